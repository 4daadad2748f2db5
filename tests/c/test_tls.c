/* wss://: what holds over sockets holds over TLS. Bytes that TLS has taken off the socket count as there to be read. */

#include "certificates.h"
#include "poller_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

static ws_config *server_config(void) {
  ws_config *config = config_with(WS_OPT_BLOCKING, 0);
  EXPECT_IS(ws_config_set_tls_identity(config, (const uint8_t *)localhost_chain, strlen(localhost_chain),
                                       (const uint8_t *)localhost_key, strlen(localhost_key)), WS_OK);
  return config;
}

static ws_config *client_config(int blocking) {
  ws_config *config = config_with(WS_OPT_BLOCKING, (uint64_t)blocking);
  EXPECT_IS(ws_config_set_tls_roots(config, (const uint8_t *)authority, strlen(authority)), WS_OK);
  return config;
}

static ws_listener *listen_tls(void) {
  ws_config *config = server_config();
  ws_listener *listener = listen_with("wss://127.0.0.1:0/", config);
  ws_config_free(config);
  return listener;
}

static ws_conn *start_tls(const char *scheme, const char *host, ws_listener *listener, const ws_config *config) {
  char url[96];
  snprintf(url, sizeof url, "%s://%s:%d/chat", scheme, host, ws_listener_port(listener));
  return start(url, config);
}

static void open_tls(poller_fixture *all) {
  ws_listener *listener = listen_tls();
  ws_config *config = client_config(0);
  open_one_with(all, listener, start_tls("wss", "127.0.0.1", listener, config));
  ws_config_free(config);
}

static void one_poller_serves_both_ends_of_many_connections_over_tls(void) {
  static poller_fixture all;
  int i, round, count = check_reduced(60);
  ws_config *config = client_config(0);
  begin_with(&all, listen_tls());
  for (i = 0; i < count; i++) join(&all, start_tls("wss", i % 2 ? "127.0.0.1" : "localhost", all.listener, config));
  ws_config_free(config);
  while (!all_open(&all, WS_STATE_OPEN) && turn(&all, 5000)) continue;
  CHECK(all_open(&all, WS_STATE_OPEN));
  for (round = 1; round <= 3; round++) {
    for (i = 0; i < count; i++) CHECK_IS(ws_write_message(all.client[i], WS_TEXT, "hello", 5), WS_OK);
    for (i = 0; i < count; i++)
      while (all.received[i] < round && turn(&all, 5000)) continue;
    for (i = 0; i < count; i++) CHECK_IS(all.received[i], round);
  }
  while (turn(&all, 20)) continue;
  all.reports = 0;
  CHECK_IS(turn(&all, 20), 0);
  for (i = 0; i < count; i++) CHECK_IS(ws_close(all.client[i], 1000, NULL, 0), WS_OK);
  for (i = 0; i < count; i++)
    while (all.ended[i] == WS_OK && turn(&all, 5000)) continue;
  for (i = 0; i < count; i++) CHECK_IS(all.ended[i], WS_ERR_CONNECTION_CLOSED);
  end(&all);
}

/* A flight of large messages is taken off the socket in pieces that do not end where messages end. */
static void bytes_within_tls_count_as_there_to_be_read(void) {
  static poller_fixture all;
  static uint8_t block[20000];
  const ws_message *message;
  uint64_t token;
  size_t count;
  int i, got = 0;
  open_tls(&all);
  for (i = 0; i < 40; i++) {
    memset(block, i, sizeof block);
    CHECK_IS(ws_write_message(all.client[0], WS_BINARY, block, sizeof block), WS_OK);
  }
  while (got < 40) { /* one message a wait: what is left must be told again though the socket may be empty */
    CHECK_IS(ws_poller_wait(all.poller, &token, 1, 5000, &count), WS_OK);
    if (token == 0) {
      ws_write_pending(all.client[0]);
      continue;
    }
    if (ws_read_message(all.server[0], &message) != WS_OK) continue;
    CHECK_IS(message->len, sizeof block);
    CHECK_IS(message->data[777], got);
    got++;
  }
  while (turn(&all, 20)) continue;
  for (i = 0; i < 3; i++) CHECK_IS(ws_write_message(all.client[0], WS_TEXT, "three", 5), WS_OK);
  CHECK_IS(ws_wait(all.server[0], 5000), WS_OK);
  CHECK_IS(ws_read_message(all.server[0], &message), WS_OK);
  CHECK_IS(ws_has_input(all.server[0]), 1);
  CHECK_IS(ws_wait(all.server[0], 0), WS_OK);
  CHECK_IS(ws_read_message(all.server[0], &message), WS_OK);
  CHECK_IS(ws_read_message(all.server[0], &message), WS_OK);
  CHECK_IS(ws_read_message(all.server[0], &message), WS_ERR_WOULD_BLOCK);
  CHECK_IS(ws_wait(all.server[0], 0), WS_ERR_WOULD_BLOCK);
  end(&all);
}

static void a_full_queue_over_tls_loses_nothing(void) {
  static poller_fixture all;
  static uint8_t block[300000];
  const ws_message *message;
  int sent = 0, got = 0, full = 0;
  open_tls(&all);
  CHECK_IS(ws_set_option(all.client[0], WS_OPT_MAX_SEND_QUEUE, 4), WS_OK);
  while (got < 60) {
    memset(block, sent, sizeof block);
    if (sent < 60) {
      ws_status_t status = ws_write_message(all.client[0], WS_BINARY, block, sizeof block);
      if (status == WS_OK) {
        sent++;
        continue;
      }
      CHECK_IS(status, WS_ERR_SEND_QUEUE_FULL);
      full++;
    }
    ws_write_pending(all.client[0]);
    while (ws_read_message(all.server[0], &message) == WS_OK) {
      CHECK_IS(message->len, sizeof block);
      CHECK(message->data[0] == got && message->data[sizeof block - 1] == got);
      got++;
    }
  }
  CHECK(full > 0);
  end(&all);
}

/* What arrived before a write failed is reported and read, at either end. */
static void what_had_arrived_over_tls_before_a_write_failed_is_still_read(void) {
  static poller_fixture all;
  for (int from_server = 0; from_server < 2; from_server++) {
    const ws_message *message;
    uint64_t token = 0;
    size_t count;
    ws_status_t status = WS_OK;
    ws_conn *there, *here;
    int texts = 0, closes = 0;
    open_tls(&all);
    while (turn(&all, 20)) continue;
    there = from_server ? all.server[0] : all.client[0];
    here = from_server ? all.client[0] : all.server[0];
    CHECK_IS(ws_write_message(there, WS_TEXT, "one", 3), WS_OK);
    CHECK_IS(ws_write_message(there, WS_TEXT, "two", 3), WS_OK);
    CHECK_IS(ws_close(there, 4000, "why", 3), WS_OK);
    ws_free(there);
    if (from_server) all.servers = 0;
    else all.clients = 0;
    for (int i = 0; i < 100 && status == WS_OK; i++) {
      status = ws_write_message(here, WS_TEXT, "hello", 5);
      nap(2);
    }
    CHECK_IS(status, WS_ERR_IO);
    CHECK_IS(ws_write_message(here, WS_TEXT, "hello", 5), WS_ERR_CONNECTION_CLOSED);
    while (status != WS_ERR_CONNECTION_CLOSED) {
      CHECK_IS(ws_poller_wait(all.poller, &token, 1, 5000, &count), WS_OK);
      CHECK_IS(token, from_server ? 0 : SERVER);
      status = ws_read_message(here, &message);
      CHECK(status == WS_OK || status == WS_ERR_CONNECTION_CLOSED);
      if (status == WS_OK && message->kind == WS_TEXT) texts++;
      if (status == WS_OK && message->kind == WS_CLOSE) closes += message->close_code == 4000;
    }
    CHECK_IS(texts, 2);
    CHECK_IS(closes, 1);
    CHECK_IS(ws_read_message(here, &message), WS_ERR_ALREADY_CLOSED);
    end(&all);
  }
}

static void refused(ws_listener *listener, ws_config *config, const char *host, const char *word) {
  const ws_message *message;
  ws_conn *server = NULL, *client = start_tls("wss", host, listener, config);
  ws_status_t status;
  int i;
  for (i = 0; i < 3000 && (status = ws_handshake(client)) == WS_ERR_WOULD_BLOCK; i++) {
    if (!server) ws_listener_accept(listener, &server);
    if (server) ws_handshake(server);
    ws_wait(client, 5);
  }
  EXPECT_IS(status, WS_ERR_TLS);
  if (!strstr(ws_error_message(client), word)) check_fail(__FILE__, __LINE__, ws_error_message(client), "");
  EXPECT_IS(ws_read_message(client, &message), WS_ERR_CONNECTION_CLOSED);
  ws_free(client);
  ws_free(server);
  ws_config_free(config);
}

static void a_certificate_that_does_not_do_is_refused_with_a_reason(void) {
  ws_listener *listener = listen_tls();
  ws_config *config = config_with(WS_OPT_BLOCKING, 0);
  ws_conn *client;
  EXPECT_IS(ws_config_set_tls_roots(config, (const uint8_t *)elsewhere_chain, strlen(elsewhere_chain)), WS_OK);
  refused(listener, config, "127.0.0.1", "not trusted");
  ws_listener_free(listener);

  config = config_with(WS_OPT_BLOCKING, 0);
  EXPECT_IS(ws_config_set_tls_identity(config, (const uint8_t *)elsewhere_chain, strlen(elsewhere_chain),
                                       (const uint8_t *)elsewhere_key, strlen(elsewhere_key)), WS_OK);
  listener = listen_with("wss://127.0.0.1:0/", config);
  ws_config_free(config);
  refused(listener, client_config(0), "127.0.0.1", "elsewhere.example");

  config = config_with(WS_OPT_BLOCKING, 0);
  EXPECT_IS(ws_config_set(config, WS_OPT_TLS_VERIFY, 0), WS_OK);
  client = start_tls("wss", "127.0.0.1", listener, config);
  {
    static poller_fixture all;
    open_one_with(&all, listener, client); /* on his own head be it */
    CHECK(all_open(&all, WS_STATE_OPEN));
    end(&all);
  }
  ws_config_free(config);
}

static void a_listener_with_roots_wants_a_certificate_of_its_clients(void) {
  static poller_fixture all;
  ws_config *config = server_config();
  ws_listener *listener;
  ws_conn *client;
  CHECK_IS(ws_config_set_tls_roots(config, (const uint8_t *)authority, strlen(authority)), WS_OK);
  listener = listen_with("wss://127.0.0.1:0/", config);
  ws_config_free(config);
  refused(listener, client_config(0), "127.0.0.1", "certificate");
  config = client_config(0);
  CHECK_IS(ws_config_set_tls_identity(config, (const uint8_t *)elsewhere_chain, strlen(elsewhere_chain),
                                      (const uint8_t *)elsewhere_key, strlen(elsewhere_key)), WS_OK);
  client = start_tls("wss", "127.0.0.1", listener, config);
  ws_config_free(config);
  open_one_with(&all, listener, client);
  CHECK(all_open(&all, WS_STATE_OPEN));
  end(&all);
}

static void identities_and_roots_are_looked_at_when_they_are_set(void) {
  ws_config *config = ws_config_new();
  const uint8_t *junk = (const uint8_t *)"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  CHECK_IS(ws_config_set_tls_roots(config, junk, strlen((const char *)junk)), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_config_set_tls_roots(config, NULL, 0), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_config_set_tls_identity(config, (const uint8_t *)localhost_chain, strlen(localhost_chain),
                                      (const uint8_t *)elsewhere_key, strlen(elsewhere_key)), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_config_set(config, WS_OPT_TLS_VERIFY, 2), WS_ERR_INVALID_ARGUMENT);
  ws_config_free(config);
}

static void who_does_not_speak_tls_is_told_so(void) {
  ws_listener *listener = listen_at("ws://127.0.0.1:0/"), *tls = listen_tls();
  const ws_message *message;
  ws_conn *client, *server;
  ws_status_t status = WS_ERR_WOULD_BLOCK;
  int i;
  refused(listener, client_config(0), "127.0.0.1", "TLS");
  client = start_tls("ws", "127.0.0.1", tls, NULL);
  for (i = 0; i < 1000 && ws_listener_accept(tls, &server) != WS_OK; i++) ws_handshake(client), nap(1);
  for (i = 0; i < 1000 && status == WS_ERR_WOULD_BLOCK; i++) {
    ws_handshake(client);
    status = ws_read_message(server, &message);
    nap(1);
  }
  CHECK_IS(status, WS_ERR_TLS);
  CHECK_IS(ws_read_message(server, &message), WS_ERR_CONNECTION_CLOSED);
  ws_free(client);
  ws_free(server);
  ws_listener_free(listener);
  ws_listener_free(tls);
}

static void a_tls_handshake_that_never_comes_is_given_up(void) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  ws_config *config = client_config(1);
  ws_conn *conn;
  socklen_t len = sizeof address;
  char url[64];
  uint64_t before = ws_now();
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK_IS(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  CHECK_IS(listen(fd, 1), 0);
  getsockname(fd, (struct sockaddr *)&address, &len);
  snprintf(url, sizeof url, "wss://127.0.0.1:%d/", ntohs(address.sin_port));
  CHECK_IS(ws_config_set(config, WS_OPT_HANDSHAKE_TIMEOUT_MS, 60), WS_OK);
  CHECK_IS(ws_connect(config, url, &conn), WS_OK);
  CHECK_IS(ws_handshake(conn), WS_ERR_TIMEOUT);
  CHECK(ws_now() - before >= 55);
  ws_free(conn);
  ws_config_free(config);
  close(fd);
}

static void a_connection_over_tls_can_be_freed_at_any_moment(void) {
  ws_listener *listener = listen_tls();
  ws_config *config = client_config(0);
  int turns, i;
  for (turns = 0; turns < 30; turns++) {
    ws_conn *server = NULL, *client = start_tls("wss", "127.0.0.1", listener, config);
    for (i = 0; i < turns; i++) {
      ws_handshake(client);
      if (!server) ws_listener_accept(listener, &server);
      if (server) ws_handshake(server);
    }
    if (turns % 2) ws_free(server), ws_free(client);
    else ws_free(client), ws_free(server);
  }
  ws_config_free(config);
  ws_listener_free(listener);
}

/* Threads: one reads while others write, ping and close. */

enum { WRITERS = 3 };

static ws_conn *shared;
static int rounds;

static void *serve_one(void *arg) {
  ws_conn *conn = arg;
  const ws_message *message;
  ws_status_t status;
  while ((status = ws_read_message(conn, &message)) == WS_OK)
    if (message->kind != WS_CLOSE) EXPECT_IS(ws_write_message(conn, message->kind, message->data, message->len), WS_OK);
  EXPECT_IS(status, WS_ERR_CONNECTION_CLOSED);
  return NULL;
}

static void *write_many(void *arg) {
  int i;
  (void)arg;
  for (i = 0; i < rounds; i++) {
    EXPECT_IS(ws_write_message(shared, WS_TEXT, "over TLS", 8), WS_OK);
    if (i % 16 == 0) EXPECT_IS(ws_write_message(shared, WS_PING, "?", 1), WS_OK);
  }
  return NULL;
}

static void one_reads_while_others_write_and_close_over_tls(void) {
  ws_config *config = server_config(), *client = client_config(1);
  ws_listener *listener;
  ws_conn *server;
  pthread_t serving, writing[WRITERS];
  const ws_message *message;
  int i, got = 0;
  rounds = check_reduced(3000);
  ws_config_set(config, WS_OPT_BLOCKING, 1);
  listener = listen_with("wss://127.0.0.1:0/", config);
  shared = start_tls("wss", "localhost", listener, client);
  CHECK_IS(ws_set_option(shared, WS_OPT_BLOCKING, 0), WS_OK);
  while (ws_handshake(shared) == WS_ERR_WOULD_BLOCK && ws_queued_bytes(shared) > 0) ws_wait(shared, 5);
  CHECK_IS(ws_listener_accept(listener, &server), WS_OK);
  CHECK_IS(pthread_create(&serving, NULL, serve_one, server), 0);
  CHECK_IS(ws_set_option(shared, WS_OPT_BLOCKING, 1), WS_OK);
  CHECK_IS(ws_handshake(shared), WS_OK);
  for (i = 0; i < WRITERS; i++) CHECK_IS(pthread_create(&writing[i], NULL, write_many, NULL), 0);
  while (got < WRITERS * rounds) {
    CHECK_IS(ws_read_message(shared, &message), WS_OK);
    CHECK(is_message(message, WS_TEXT, "over TLS"));
    got++;
  }
  for (i = 0; i < WRITERS; i++) pthread_join(writing[i], NULL);
  CHECK_IS(ws_close(shared, 1000, "bye", 3), WS_OK);
  CHECK_IS(ws_read_message(shared, &message), WS_OK);
  CHECK_IS(message->close_code, 1000);
  CHECK_IS(ws_read_message(shared, &message), WS_ERR_CONNECTION_CLOSED);
  pthread_join(serving, NULL);
  ws_free(shared);
  ws_free(server);
  ws_listener_free(listener);
  ws_config_free(config);
  ws_config_free(client);
}

static int files_at_first;

static void no_file_is_left_open(void) {
  /* Threads that look names up for nobody any more may still be at it. */
  for (int i = 0; i < 200 && open_files() != files_at_first; i++) nap(50);
  CHECK_IS(open_files(), files_at_first);
}

int main(int argc, char **argv) {
  check_begin(argc, argv);
  files_at_first = open_files();
  RUN(one_poller_serves_both_ends_of_many_connections_over_tls);
  RUN(bytes_within_tls_count_as_there_to_be_read);
  RUN(a_full_queue_over_tls_loses_nothing);
  RUN_POSIX(what_had_arrived_over_tls_before_a_write_failed_is_still_read);
  RUN(a_certificate_that_does_not_do_is_refused_with_a_reason);
  RUN(a_listener_with_roots_wants_a_certificate_of_its_clients);
  RUN(identities_and_roots_are_looked_at_when_they_are_set);
  RUN(who_does_not_speak_tls_is_told_so);
  RUN(a_tls_handshake_that_never_comes_is_given_up);
  RUN(a_connection_over_tls_can_be_freed_at_any_moment);
  RUN(one_reads_while_others_write_and_close_over_tls);
  RUN(no_file_is_left_open);
  return check_end();
}
