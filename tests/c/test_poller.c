/* Many connections: pollers, Unix sockets, messages framed once for all. Names and addresses that a connection is
 * opened to are made up here, by a resolver of this program's own. */

#include "poller_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static void converse(const char *url) {
  static poller_fixture all;
  char name[160];
  int i, round, count = check_reduced(MANY);
  begin(&all, url);
  for (i = 0; i < count; i++) {
    if (strncmp(url, "ws+unix", 7) == 0) join(&all, start(url, NULL));
    else {
      snprintf(name, sizeof name, "ws://localhost:%d/", ws_listener_port(all.listener));
      join(&all, i % 2 ? start_at(all.listener) : start(name, NULL));
    }
  }
  while (!all_open(&all, WS_STATE_OPEN) && turn(&all, 5000)) continue;
  CHECK(all_open(&all, WS_STATE_OPEN));
  CHECK_IS(all.servers, count);
  for (round = 1; round <= 3; round++) {
    for (i = 0; i < count; i++) CHECK_IS(ws_write_message(all.client[i], WS_TEXT, "hello", 5), WS_OK);
    for (i = 0; i < count; i++)
      while (all.received[i] < round && turn(&all, 5000)) continue;
    for (i = 0; i < count; i++) CHECK_IS(all.received[i], round);
  }
  while (turn(&all, 20)) continue;
  all.reports = 0;
  CHECK_IS(turn(&all, 20), 0); /* all is quiet, and nobody asks in vain */
  CHECK_IS(all.reports, 0);
  for (i = 0; i < count; i++) CHECK_IS(ws_close(all.client[i], 1000, NULL, 0), WS_OK);
  for (i = 0; i < count; i++)
    while (all.ended[i] == WS_OK && turn(&all, 5000)) continue;
  for (i = 0; i < count; i++) CHECK_IS(all.ended[i], WS_ERR_CONNECTION_CLOSED);
  end(&all);
}

static void one_poller_serves_both_ends_of_many_connections(void) { converse("ws://127.0.0.1:0/"); }

static void a_unix_socket_is_as_good_as_tcp(void) {
  char url[128], path[64];
  struct stat there;
  snprintf(path, sizeof path, "/tmp/wsabi-%d.sock", (int)getpid());
  snprintf(url, sizeof url, "ws+unix://%s:/chat?room=1", path);
  converse(url);
  CHECK(stat(path, &there) != 0); /* the file goes with the listener */
}

static void an_abstract_unix_socket_leaves_no_file(void) {
  char url[128];
  snprintf(url, sizeof url, "ws+unix://@wsabi-%d:/chat", (int)getpid());
  converse(url);
}

static void a_unix_socket_left_behind_is_replaced_and_one_in_use_is_not(void) {
  char url[128];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  ws_listener *listener, *second;
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  snprintf(address.sun_path, sizeof address.sun_path, "/tmp/wsabi-%d.sock", (int)getpid());
  snprintf(url, sizeof url, "ws+unix://%s", address.sun_path);
  CHECK_IS(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  close(fd);
  listener = listen_at(url);
  CHECK(listener != NULL);
  CHECK_IS(ws_listen(NULL, url, &second), WS_ERR_IO);
  CHECK_IS(errno, EADDRINUSE);
  ws_listener_free(listener);
  CHECK_IS(ws_listen(NULL, "ws+unix:///nowhere/at/all.sock", &second), WS_ERR_IO);
  CHECK_IS(errno, ENOENT);
}

static void a_unix_socket_asks_for_its_target(void) {
  char url[128];
  ws_listener *listener;
  ws_conn *client, *server;
  int i;
  snprintf(url, sizeof url, "ws+unix://@wsabi-%d:/chat?room=1", (int)getpid());
  listener = listen_at(url);
  client = start(url, NULL);
  ws_handshake(client);
  CHECK_IS(ws_listener_accept(listener, &server), WS_OK);
  for (i = 0; i < 1000 && ws_handshake(server) == WS_ERR_WOULD_BLOCK; i++) ws_handshake(client), nap(1);
  CHECK(strcmp(ws_request_target(server), "/chat?room=1") == 0);
  CHECK(strcmp(ws_header(server, "Host"), "localhost") == 0);
  ws_free(client);
  ws_free(server);
  ws_listener_free(listener);
}

static void nobody_at_a_unix_socket_is_an_io_error_with_its_number(void) {
  ws_conn *conn = start("ws+unix:///nowhere/at/all.sock:/", NULL);
  CHECK_IS(ws_handshake(conn), WS_ERR_IO);
  CHECK_IS(ws_io_error(conn), ENOENT);
  ws_free(conn);
  CHECK_IS(ws_connect(NULL, "ws+unix:///0123456789012345678901234567890123456789012345678901234567890123456789"
                            "01234567890123456789012345678901234567890123456789", &conn), WS_ERR_INVALID_ARGUMENT);
}

static void what_is_left_unread_is_reported_again(void) {
  static poller_fixture all;
  const ws_message *message;
  uint64_t token;
  size_t count, i;
  open_one(&all);
  for (i = 0; i < 5; i++) CHECK_IS(ws_write_message(all.client[0], WS_TEXT, "one of five", 11), WS_OK);
  for (i = 0; i < 5; i++) {
    CHECK_IS(ws_poller_wait(all.poller, &token, 1, 5000, &count), WS_OK);
    CHECK_IS(count, 1);
    CHECK_IS(token, SERVER);
    CHECK_IS(ws_read_message(all.server[0], &message), WS_OK);
  }
  CHECK_IS(ws_poller_wait(all.poller, &token, 1, 5000, &count), WS_OK); /* it cannot know that this was all */
  CHECK_IS(ws_read_message(all.server[0], &message), WS_ERR_WOULD_BLOCK);
  CHECK_IS(ws_poller_wait(all.poller, &token, 1, 20, &count), WS_ERR_WOULD_BLOCK);
  CHECK_IS(count, 0);
  end(&all);
}

static int writers_done;

/* As fast as it can, so that the queue may fill up while nobody reads. */
static void *write_on(void *conn) {
  while (!__atomic_load_n(&writers_done, __ATOMIC_SEQ_CST)) {
    ws_status_t status = ws_write_message(conn, WS_TEXT, "meanwhile", 9);
    if (status != WS_ERR_SEND_QUEUE_FULL) EXPECT_IS(status, WS_OK);
  }
  return NULL;
}

/* What a poller has heard is not to get lost where another thread has the connection at that moment. */
static void what_was_reported_while_another_thread_wrote_and_was_passed_over_is_reported_again(void) {
  static poller_fixture all;
  const ws_message *message;
  pthread_t thread;
  uint64_t token;
  size_t count;
  int i, rounds = check_reduced(3000);
  ws_status_t status;
  open_one(&all);
  CHECK_IS(ws_poller_read(all.client[0], 0), WS_OK); /* what the other thread writes just has to go somewhere */
  writers_done = 0;
  CHECK_IS(pthread_create(&thread, NULL, write_on, all.server[0]), 0);
  for (i = 0; i < rounds; i++) {
    int read = 0;
    CHECK_IS(ws_write_message(all.client[0], WS_TEXT, "ping", 4), WS_OK);
    CHECK_IS(ws_poller_wait(all.poller, &token, 1, 5000, &count), WS_OK);
    while (!read) {
      CHECK_IS(ws_poller_wait(all.poller, &token, 1, 5000, &count), WS_OK);
      if (token != SERVER) {
        while ((status = ws_read_message(all.client[0], &message)) == WS_OK) continue;
        continue;
      }
      while ((status = ws_read_message(all.server[0], &message)) == WS_OK) read++;
      CHECK_IS(status, WS_ERR_WOULD_BLOCK);
    }
    while ((status = ws_read_message(all.client[0], &message)) == WS_OK) continue;
    CHECK_IS(status, WS_ERR_WOULD_BLOCK);
  }
  __atomic_store_n(&writers_done, 1, __ATOMIC_SEQ_CST);
  pthread_join(thread, NULL);
  end(&all);
}

static void more_to_report_than_there_is_room_for_waits_its_turn(void) {
  static poller_fixture all;
  uint64_t token;
  size_t count;
  int i, seen[8] = {0};
  const ws_message *message;
  begin(&all, "ws://127.0.0.1:0/");
  for (i = 0; i < 8; i++) join(&all, start_at(all.listener));
  while (!all_open(&all, WS_STATE_OPEN) && turn(&all, 5000)) continue;
  while (turn(&all, 20)) continue;
  for (i = 0; i < 8; i++) CHECK_IS(ws_write_message(all.server[i], WS_TEXT, "x", 1), WS_OK);
  nap(20);
  for (i = 0; i < 8; i++) {
    CHECK_IS(ws_poller_wait(all.poller, &token, 1, 5000, &count), WS_OK);
    CHECK(count == 1 && token < 8);
    CHECK_IS(ws_read_message(all.client[token], &message), WS_OK);
    CHECK_IS(ws_read_message(all.client[token], &message), WS_ERR_WOULD_BLOCK);
    seen[token]++;
  }
  for (i = 0; i < 8; i++) CHECK_IS(seen[i], 1);
  end(&all);
}

static void a_peer_that_does_not_read_is_no_busy_loop_and_room_is_reported(void) {
  static poller_fixture all;
  static uint8_t block[1 << 20];
  uint64_t token;
  size_t count, i, got = 0;
  const ws_message *message;
  open_one(&all);
  for (i = 0; i < 8; i++) CHECK_IS(ws_write_message(all.server[0], WS_BINARY, block, sizeof block), WS_OK);
  CHECK(ws_queued_bytes(all.server[0]) > 0);
  CHECK_IS(ws_poller_read(all.client[0], 0), WS_OK);
  for (i = 0; i < 3; i++) CHECK_IS(ws_poller_wait(all.poller, &token, 1, 30, &count), WS_ERR_WOULD_BLOCK);
  CHECK_IS(ws_poller_read(all.client[0], 1), WS_OK);
  while (got < 8) {
    CHECK_IS(ws_poller_wait(all.poller, &token, 1, 5000, &count), WS_OK);
    if (token == SERVER) {
      ws_write_pending(all.server[0]);
    } else {
      while (ws_read_message(all.client[0], &message) == WS_OK) got++;
    }
  }
  CHECK_IS(ws_queued_bytes(all.server[0]), 0);
  end(&all);
}

static void deadlines_are_part_of_the_wait(void) {
  static poller_fixture all;
  uint64_t before, token;
  size_t count;
  const ws_message *message;
  open_one(&all);
  CHECK_IS(ws_latency(all.server[0]), -1);
  CHECK_IS(ws_set_option(all.server[0], WS_OPT_PING_INTERVAL_MS, 30), WS_OK);
  while (ws_latency(all.server[0]) < 0 && turn(&all, 5000)) continue;
  CHECK(ws_latency(all.server[0]) >= 0 && ws_latency(all.server[0]) < 5000);
  CHECK_IS(ws_set_option(all.server[0], WS_OPT_PING_INTERVAL_MS, 0), WS_OK);
  while (turn(&all, 50)) continue;

  before = ws_now();
  CHECK_IS(ws_set_option(all.client[0], WS_OPT_IDLE_TIMEOUT_MS, 60), WS_OK);
  CHECK_IS(ws_poller_wait(all.poller, &token, 1, 5000, &count), WS_OK);
  CHECK_IS(token, 0);
  CHECK(ws_now() - before >= 55);
  CHECK_IS(ws_read_message(all.client[0], &message), WS_ERR_TIMEOUT);
  end(&all);
}

static void an_option_set_late_does_not_count_what_was_before_it(void) {
  static poller_fixture all;
  const ws_message *message;
  open_one(&all);
  nap(150);
  CHECK_IS(ws_set_option(all.client[0], WS_OPT_IDLE_TIMEOUT_MS, 100), WS_OK);
  CHECK_IS(ws_read_message(all.client[0], &message), WS_ERR_WOULD_BLOCK);
  end(&all);
}

static void a_dead_peer_is_found_by_its_missing_pong(void) {
  static poller_fixture all;
  const ws_message *message;
  uint64_t token;
  size_t count;
  open_one(&all);
  CHECK_IS(ws_set_option(all.server[0], WS_OPT_PONG_TIMEOUT_MS, 60), WS_OK);
  CHECK_IS(ws_set_option(all.server[0], WS_OPT_PING_INTERVAL_MS, 30), WS_OK);
  CHECK_IS(ws_poller_read(all.client[0], 0), WS_OK); /* it does not answer */
  while (ws_poller_wait(all.poller, &token, 1, 5000, &count) == WS_OK) {
    ws_status_t status;
    CHECK_IS(token, SERVER);
    status = ws_read_message(all.server[0], &message);
    if (status == WS_ERR_TIMEOUT) break;
    CHECK_IS(status, WS_ERR_WOULD_BLOCK);
  }
  CHECK(strstr(ws_error_message(all.server[0]), "Ping") != NULL);
  end(&all);
}

static void a_half_open_handshake_is_dropped_by_the_wait(void) {
  ws_config *config = config_with(WS_OPT_BLOCKING, 0);
  ws_listener *listener;
  ws_conn *server;
  ws_poller *poller;
  const ws_message *message;
  struct sockaddr_in address = {.sin_family = AF_INET};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  uint64_t token, before = ws_now();
  size_t count;
  ws_status_t status = WS_ERR_WOULD_BLOCK;
  CHECK_IS(ws_config_set(config, WS_OPT_HANDSHAKE_TIMEOUT_MS, 60), WS_OK);
  CHECK_IS(ws_listen(config, "ws://127.0.0.1:0/", &listener), WS_OK);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons((uint16_t)ws_listener_port(listener));
  CHECK_IS(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  CHECK_IS(send(fd, "GET / HT", 8, 0), 8);
  nap(10);
  CHECK_IS(ws_listener_accept(listener, &server), WS_OK);
  CHECK_IS(ws_poller_new(&poller), WS_OK);
  CHECK_IS(ws_poller_add(poller, server, 7), WS_OK);
  while (status == WS_ERR_WOULD_BLOCK) {
    CHECK_IS(ws_poller_wait(poller, &token, 1, 5000, &count), WS_OK);
    CHECK_IS(token, 7);
    status = ws_read_message(server, &message);
  }
  CHECK_IS(status, WS_ERR_TIMEOUT);
  CHECK(ws_now() - before >= 55 && ws_now() - before < 4000);
  ws_free(server);
  ws_listener_free(listener);
  ws_poller_free(poller);
  ws_config_free(config);
  close(fd);
}

static void *wake_soon(void *poller) {
  nap(30);
  EXPECT_IS(ws_poller_wake(poller), WS_OK);
  return NULL;
}

static void a_wait_is_woken_and_one_at_a_time_waits(void) {
  ws_poller *poller;
  pthread_t thread;
  uint64_t token;
  size_t count = 7;
  CHECK_IS(ws_poller_new(&poller), WS_OK);
  CHECK_IS(ws_poller_wake(poller), WS_OK);
  CHECK_IS(ws_poller_wait(poller, &token, 1, 5000, &count), WS_OK);
  CHECK_IS(count, 0);
  CHECK_IS(ws_poller_wait(poller, &token, 1, 0, &count), WS_ERR_WOULD_BLOCK);
  CHECK_IS(pthread_create(&thread, NULL, wake_soon, poller), 0);
  CHECK_IS(ws_poller_wait(poller, &token, 1, 5000, &count), WS_OK);
  pthread_join(thread, NULL);
  CHECK_IS(ws_poller_wait(poller, NULL, 0, 0, &count), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_poller_wait(poller, NULL, 1, 0, &count), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_poller_wait(poller, &token, 1, 0, NULL), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_poller_wait(NULL, &token, 1, 0, &count), WS_ERR_INVALID_ARGUMENT);
  ws_poller_free(poller);
  ws_poller_free(NULL);
}

static void *close_soon(void *conn) {
  nap(30);
  EXPECT_IS(ws_close(conn, 1000, NULL, 0), WS_OK);
  return NULL;
}

static void another_threads_close_starts_a_deadline_that_the_wait_minds(void) {
  static poller_fixture all;
  pthread_t thread;
  uint64_t token, before;
  size_t count;
  const ws_message *message;
  open_one(&all);
  CHECK_IS(ws_set_option(all.client[0], WS_OPT_CLOSE_TIMEOUT_MS, 80), WS_OK);
  CHECK_IS(ws_poller_remove(all.poller, all.server[0]), WS_OK); /* it never answers */
  CHECK_IS(ws_poller_wait(all.poller, &token, 1, 10, &count), WS_ERR_WOULD_BLOCK);
  before = ws_now();
  CHECK_IS(pthread_create(&thread, NULL, close_soon, all.client[0]), 0);
  while (ws_poller_wait(all.poller, &token, 1, 5000, &count) == WS_OK) {
    ws_status_t status = ws_read_message(all.client[0], &message);
    if (status == WS_ERR_TIMEOUT) break;
    CHECK_IS(status, WS_ERR_WOULD_BLOCK);
  }
  pthread_join(thread, NULL);
  CHECK(ws_now() - before >= 100 && ws_now() - before < 4000);
  end(&all);
}

static void misuse_of_a_poller_is_told(void) {
  ws_poller *first, *second;
  ws_listener *listener = listen_at("ws://127.0.0.1:0/");
  ws_conn *memory, *conn = start_at(listener);
  uint64_t token;
  size_t count;
  CHECK_IS(ws_poller_new(NULL), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_poller_new(&first), WS_OK);
  CHECK_IS(ws_poller_new(&second), WS_OK);
  CHECK_IS(ws_server_new(NULL, &memory), WS_OK);
  CHECK_IS(ws_poller_add(first, memory, 1), WS_ERR_MISUSE);
  CHECK_IS(ws_poller_read(conn, 1), WS_ERR_MISUSE);
  CHECK_IS(ws_poller_remove(first, conn), WS_ERR_MISUSE);
  CHECK_IS(ws_poller_add(first, conn, 1), WS_OK);
  CHECK_IS(ws_poller_add(first, conn, 1), WS_ERR_MISUSE);
  CHECK_IS(ws_poller_add(second, conn, 1), WS_ERR_MISUSE);
  CHECK_IS(ws_poller_remove(second, conn), WS_ERR_MISUSE);
  CHECK_IS(ws_poller_read(conn, 2), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_poller_remove(first, conn), WS_OK);
  CHECK_IS(ws_poller_add(second, conn, 1), WS_OK);
  CHECK_IS(ws_poller_add_listener(first, listener, 2), WS_OK);
  CHECK_IS(ws_poller_add_listener(second, listener, 2), WS_ERR_MISUSE);
  CHECK_IS(ws_poller_add(NULL, conn, 1), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_poller_add(first, NULL, 1), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_poller_add_listener(first, NULL, 1), WS_ERR_INVALID_ARGUMENT);
  ws_poller_free(second); /* before its connection, which can go to another */
  CHECK_IS(ws_poller_add(first, conn, 3), WS_OK);
  CHECK_IS(ws_poller_wait(first, &token, 1, 5000, &count), WS_OK);
  ws_free(conn);
  ws_listener_free(listener);
  CHECK_IS(ws_poller_wait(first, &token, 1, 10, &count), WS_ERR_WOULD_BLOCK);
  ws_poller_free(first);
  ws_free(memory);
}

/* The number of the next file that is opened. */
static int next_file(void) {
  int fd = dup(0);
  close(fd);
  return fd;
}

static void want_of_descriptors_is_no_busy_loop(void) {
  static poller_fixture all;
  struct rlimit limit, few;
  uint64_t token, before;
  size_t count;
  ws_conn *conn;
  int turns = 0;
  if (is_checked()) return;
  begin(&all, "ws://127.0.0.1:0/");
  conn = start_at(all.listener);
  nap(10);
  getrlimit(RLIMIT_NOFILE, &limit);
  few = limit;
  few.rlim_cur = (rlim_t)next_file();
  setrlimit(RLIMIT_NOFILE, &few);
  before = ws_now();
  while (ws_now() - before < 250) {
    ws_conn *accepted;
    if (ws_poller_wait(all.poller, &token, 1, 50, &count) != WS_OK) continue;
    EXPECT_IS(ws_listener_accept(all.listener, &accepted), WS_ERR_IO);
    turns++;
  }
  setrlimit(RLIMIT_NOFILE, &limit);
  CHECK(turns >= 2 && turns <= 4);
  join(&all, conn);
  while (!all_open(&all, WS_STATE_OPEN) && turn(&all, 5000)) continue;
  CHECK_IS(all.servers, 1);
  end(&all);
}

/* Names */

static struct {
  int slow_ms;           /* lookups of "slow.test" take so long */
  int lookups;
  char port[8];
} resolver;

static struct addrinfo *one_address(int family, const char *text) {
  struct answer {
    struct addrinfo info;
    struct sockaddr_storage address;
  } *answer = calloc(1, sizeof *answer);
  struct sockaddr_in *v4 = (struct sockaddr_in *)&answer->address;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&answer->address;
  answer->info.ai_family = family;
  answer->info.ai_socktype = SOCK_STREAM;
  answer->info.ai_protocol = IPPROTO_TCP;
  answer->info.ai_addr = (struct sockaddr *)&answer->address;
  answer->address.ss_family = (sa_family_t)family;
  if (family == AF_INET) inet_pton(AF_INET, text, &v4->sin_addr);
  else inet_pton(AF_INET6, text, &v6->sin6_addr);
  answer->info.ai_addrlen = family == AF_INET ? sizeof *v4 : sizeof *v6;
  return &answer->info;
}

/* Takes the place of the C library's. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  int family = hints ? hints->ai_family : AF_INET;
  (void)service;
  __atomic_fetch_add(&resolver.lookups, 1, __ATOMIC_SEQ_CST);
  if (strcmp(node, "slow.test") == 0) nap(__atomic_load_n(&resolver.slow_ms, __ATOMIC_SEQ_CST));
  if (strcmp(node, "localhost") == 0 || strcmp(node, "slow.test") == 0 || strcmp(node, "127.0.0.1") == 0) {
    if (family == AF_INET6) return EAI_NONAME;
    *found = one_address(AF_INET, "127.0.0.1");
    return 0;
  }
  if (strcmp(node, "hole.test") == 0) { /* its IPv6 address is a black hole, or as good as unreachable */
    *found = family == AF_INET6 ? one_address(AF_INET6, "::ffff:127.127.127.127") : one_address(AF_INET, "127.0.0.1");
    return 0;
  }
  if (strcmp(node, "late6.test") == 0 && family == AF_INET6) nap(2000);
  if (strncmp(node, "late6", 5) == 0) {
    if (family == AF_INET6) return EAI_NONAME;
    *found = one_address(AF_INET, "127.0.0.1");
    return 0;
  }
  return EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *info) {
  while (info) {
    struct addrinfo *next = info->ai_next;
    free(info);
    info = next;
  }
}

static ws_conn *start_named(const char *name, ws_listener *listener, const ws_config *config) {
  char url[96];
  snprintf(url, sizeof url, "ws://%s:%d/", name, ws_listener_port(listener));
  return start(url, config);
}

static void a_slow_resolver_does_not_hold_up_a_frame(void) {
  ws_listener *listener = listen_at("ws://127.0.0.1:0/");
  uint64_t before = ws_now(), slowest = 0;
  ws_conn *conn, *server = NULL;
  int frames = 0;
  __atomic_store_n(&resolver.slow_ms, 300, __ATOMIC_SEQ_CST);
  conn = start_named("slow.test", listener, NULL);
  CHECK(ws_now() - before < 150);
  while (ws_get_state(conn) == WS_STATE_CONNECTING && frames < 2000) { /* a game's loop */
    uint64_t begun = ws_now(), took;
    ws_handshake(conn);
    if (!server) ws_listener_accept(listener, &server);
    if (server) ws_handshake(server);
    took = ws_now() - begun;
    if (took > slowest) slowest = took;
    frames++;
    nap(1);
  }
  CHECK_IS(ws_get_state(conn), WS_STATE_OPEN);
  CHECK(ws_now() - before >= 300);
  CHECK(slowest < 150 || is_checked());
  ws_free(conn);
  ws_free(server);
  ws_listener_free(listener);
}

static void a_connection_can_be_freed_while_its_name_is_looked_up(void) {
  ws_listener *listener = listen_at("ws://127.0.0.1:0/");
  uint64_t before = ws_now();
  int i;
  __atomic_store_n(&resolver.slow_ms, 1000, __ATOMIC_SEQ_CST);
  for (i = 0; i < 20; i++) ws_free(start_named("slow.test", listener, NULL));
  CHECK(ws_now() - before < 800 || is_checked());
  nap(1300); /* the threads end, and nobody minds what they found */
  ws_listener_free(listener);
}

static void waiting_for_a_name_ends_with_the_connect_timeout(void) {
  ws_listener *listener = listen_at("ws://127.0.0.1:0/");
  ws_config *config = config_with(WS_OPT_CONNECT_TIMEOUT_MS, 60);
  uint64_t before = ws_now();
  ws_conn *conn;
  __atomic_store_n(&resolver.slow_ms, 1500, __ATOMIC_SEQ_CST);
  conn = start_named("slow.test", listener, config);
  CHECK_IS(ws_handshake(conn), WS_ERR_TIMEOUT);
  CHECK(strstr(ws_error_message(conn), "onnecting") != NULL);
  CHECK(ws_now() - before >= 55 && ws_now() - before < 1000);
  ws_free(conn);
  CHECK_IS(ws_config_set(config, WS_OPT_CONNECT_TIMEOUT_MS, 0), WS_OK);
  CHECK_IS(ws_config_set(config, WS_OPT_HANDSHAKE_TIMEOUT_MS, 60), WS_OK);
  before = ws_now();
  conn = start_named("slow.test", listener, config);
  CHECK_IS(ws_handshake(conn), WS_ERR_TIMEOUT);
  CHECK(ws_now() - before < 1000);
  ws_free(conn);
  ws_config_free(config);
  ws_listener_free(listener);
  nap(1600);
}

static void a_connect_timeout_is_told_once(void) {
  ws_listener *listener = listen_at("ws://127.0.0.1:0/");
  ws_config *config = config_with(WS_OPT_CONNECT_TIMEOUT_MS, 60);
  for (int how = 0; how < 3; how++) {
    const ws_message *message;
    ws_conn *conn;
    CHECK_IS(ws_config_set(config, WS_OPT_BLOCKING, how == 0), WS_OK);
    __atomic_store_n(&resolver.slow_ms, 300, __ATOMIC_SEQ_CST);
    conn = start_named("slow.test", listener, config);
    if (how > 0) nap(100);
    CHECK_IS(how == 1 ? ws_read_message(conn, &message) : ws_handshake(conn), WS_ERR_TIMEOUT);
    CHECK_IS(how == 2 ? ws_write_pending(conn) : ws_read_message(conn, &message), WS_ERR_CONNECTION_CLOSED);
    CHECK_IS(ws_read_message(conn, &message), WS_ERR_ALREADY_CLOSED);
    CHECK_IS(ws_handshake(conn), WS_ERR_ALREADY_CLOSED);
    CHECK(strstr(ws_error_message(conn), "onnecting") != NULL);
    CHECK(ws_next_deadline(conn) == UINT64_MAX);
    ws_free(conn);
    nap(400);
  }
  ws_config_free(config);
  ws_listener_free(listener);
}

static void open_blocking(const char *name, int within_ms) {
  static poller_fixture all;
  uint64_t before = ws_now();
  begin(&all, "ws://127.0.0.1:0/");
  join(&all, start_named(name, all.listener, NULL));
  while (!all_open(&all, WS_STATE_OPEN) && ws_now() - before < 10000) turn(&all, 1000);
  CHECK(all_open(&all, WS_STATE_OPEN));
  CHECK(ws_now() - before < (uint64_t)within_ms);
  end(&all);
}

static void an_address_that_does_not_answer_is_raced_by_the_next(void) { open_blocking("hole.test", 2500); }

static void a_late_answer_for_ipv6_is_not_waited_for(void) {
  open_blocking("late6.test", 1500);
  nap(2000);
}

static void a_name_that_nobody_knows_is_an_io_error(void) {
  ws_conn *conn;
  CHECK_IS(ws_connect(NULL, "ws://nobody.test/", &conn), WS_OK);
  CHECK_IS(ws_handshake(conn), WS_ERR_IO);
  CHECK(strlen(ws_error_message(conn)) > 0);
  ws_free(conn);
}

/* Messages framed once */

static void a_prepared_message_reaches_all_and_is_queued_without_a_copy(void) {
  static poller_fixture all;
  static uint8_t block[300000];
  ws_prepared *prepared, *text;
  const ws_message *message;
  int i;
  begin(&all, "ws://127.0.0.1:0/");
  for (i = 0; i < 8; i++) join(&all, start_at(all.listener));
  while (!all_open(&all, WS_STATE_OPEN) && turn(&all, 5000)) continue;
  memset(block, 7, sizeof block);
  CHECK_IS(ws_prepare_message(WS_BINARY, block, sizeof block, &prepared), WS_OK);
  CHECK_IS(ws_prepare_message(WS_TEXT, "to all", 6, &text), WS_OK);
  for (i = 0; i < 8; i++) {
    int n;
    for (n = 0; n < 20; n++) CHECK_IS(ws_write_prepared(all.server[i], prepared), WS_OK);
    CHECK_IS(ws_write_prepared(all.server[i], text), WS_OK);
    CHECK_IS(ws_write_message(all.server[i], WS_TEXT, "own", 3), WS_OK);
    CHECK(ws_queued_bytes(all.server[i]) > 0);
  }
  ws_prepared_free(prepared); /* what is queued lives on */
  ws_prepared_free(text);
  ws_prepared_free(NULL);
  for (i = 0; i < 8; i++) {
    int n = 0;
    while (n < 22) {
      ws_status_t status = ws_read_message(all.client[i], &message);
      if (status == WS_ERR_WOULD_BLOCK) {
        ws_write_pending(all.server[i]);
        ws_wait(all.client[i], 100);
        continue;
      }
      CHECK_IS(status, WS_OK);
      if (n < 20) CHECK(message->kind == WS_BINARY && message->len == sizeof block && !memcmp(message->data, block, sizeof block));
      if (n == 20) CHECK(is_message(message, WS_TEXT, "to all"));
      if (n == 21) CHECK(is_message(message, WS_TEXT, "own"));
      n++;
    }
  }
  end(&all);
}

static void a_client_masks_a_prepared_message(void) {
  pair both;
  ws_status_t opened = open_pair(&both, NULL, NULL);
  ws_prepared *prepared;
  const ws_message *message;
  const uint8_t *data;
  size_t len;
  CHECK_IS(opened, WS_OK);
  CHECK_IS(ws_prepare_message(WS_TEXT, "masked", 6, &prepared), WS_OK);
  CHECK_IS(ws_write_prepared(both.client, prepared), WS_OK);
  CHECK_IS(ws_output(both.client, &data, &len), WS_OK);
  CHECK_IS(len, 2 + 4 + 6);
  CHECK_IS(data[1], 0x80 | 6);
  CHECK_IS(read_from(both.server, both.client, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "masked"));
  ws_prepared_free(prepared);
  free_pair(&both);
}

static void a_full_queue_hands_a_prepared_message_back(void) {
  pair both;
  ws_status_t opened = open_pair(&both, NULL, NULL);
  ws_prepared *prepared;
  CHECK_IS(opened, WS_OK);
  CHECK_IS(ws_set_option(both.server, WS_OPT_MAX_SEND_QUEUE, 2), WS_OK);
  CHECK_IS(ws_set_option(both.server, WS_OPT_MAX_MESSAGE_SIZE, 100), WS_OK);
  CHECK_IS(ws_prepare_message(WS_BINARY, "123456", 6, &prepared), WS_OK);
  CHECK_IS(ws_write_prepared(both.server, prepared), WS_OK);
  CHECK_IS(ws_write_prepared(both.server, prepared), WS_OK);
  CHECK_IS(ws_write_prepared(both.server, prepared), WS_ERR_SEND_QUEUE_FULL);
  CHECK_IS(ws_queued_bytes(both.server), 16);
  CHECK_IS(ws_write_prepared(both.server, NULL), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_write_prepared(NULL, prepared), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_close(both.server, 1000, NULL, 0), WS_OK);
  CHECK_IS(ws_write_prepared(both.server, prepared), WS_ERR_CONNECTION_CLOSED);
  ws_prepared_free(prepared);
  CHECK_IS(ws_prepare_message(WS_TEXT, "\xff", 1, &prepared), WS_ERR_UTF8);
  CHECK(prepared == NULL);
  CHECK_IS(ws_prepare_message(WS_PING, "", 0, &prepared), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_prepare_message(WS_TEXT, NULL, 1, &prepared), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_prepare_message(WS_TEXT, "", 0, NULL), WS_ERR_INVALID_ARGUMENT);
  free_pair(&both);
}

/* Compressed bytes without a message in them: a call on a socket that does not block ends before they do, and its
 * connection is reported until all of them are read. */
static void bytes_that_give_no_message_are_read_in_turns(void) {
  static const uint8_t header[14] = {0xc2, 0xff, 0, 0, 1}, empty_blocks[5] = {0x02, 0x08, 0x20, 0x80, 0x00};
  static uint8_t bytes[5 * 8192];
  ws_config *config = config_with(WS_OPT_DEFLATE, 1);
  ws_poller *poller = NULL;
  ws_conn *conn;
  const ws_message *message;
  uint64_t token = 0;
  size_t count, i, left;
  int fds[2], size = 1 << 20, turns = 0, waits = 0;
  for (i = 0; i < sizeof bytes; i++) bytes[i] = empty_blocks[i % 5];
  CHECK_IS(ws_config_set(config, WS_OPT_MAX_FRAME_SIZE, 0), WS_OK);
  CHECK_IS(ws_config_set(config, WS_OPT_BLOCKING, 0), WS_OK);
  conn = new_open(config, WS_SERVER);
  CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  CHECK_IS(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
  CHECK_IS(ws_set_socket(conn, (ws_socket)fds[0]), WS_OK);
  CHECK_IS(ws_poller_new(&poller), WS_OK);
  CHECK_IS(ws_poller_add(poller, conn, 7), WS_OK);
  CHECK_IS(send(fds[1], header, sizeof header, MSG_DONTWAIT), (long long)sizeof header);
  for (left = 0; send(fds[1], bytes, sizeof bytes, MSG_DONTWAIT) == (ssize_t)sizeof bytes;) left += sizeof bytes;
  CHECK(left > 300 * 1024);
  while (ws_poller_wait(poller, &token, 1, 200, &count) == WS_OK && count == 1) {
    CHECK_IS(token, 7);
    CHECK_IS(ws_read_message(conn, &message), WS_ERR_WOULD_BLOCK);
    if (ws_has_input(conn)) {
      CHECK(ws_interest(conn) & WS_WANT_READ);
      CHECK_IS(ws_wait(conn, 0), WS_OK);
      waits++;
    }
    CHECK(++turns < 100);
  }
  CHECK(turns > 2 && waits > 1);
  CHECK_IS(ws_has_input(conn), 0);
  CHECK_IS(ws_wait(conn, 0), WS_ERR_WOULD_BLOCK);
  ws_free(conn);
  ws_poller_free(poller);
  ws_config_free(config);
  close(fds[0]);
  close(fds[1]);
}

static void several_listeners_share_a_port(void) {
  ws_config *config = config_with(WS_OPT_REUSE_PORT, 1);
  ws_listener *first, *second, *third;
  char url[64];
  CHECK_IS(ws_listen(config, "ws://127.0.0.1:0/", &first), WS_OK);
  snprintf(url, sizeof url, "ws://127.0.0.1:%d/", ws_listener_port(first));
  CHECK_IS(ws_listen(config, url, &second), WS_OK);
  CHECK_IS(ws_listen(NULL, url, &third), WS_ERR_IO);
  ws_listener_free(first);
  ws_listener_free(second);
  ws_config_free(config);
}

/* Threads: each serves its own poller, over one port, while another thread writes to their connections and closes. */

enum { WORKERS = 3, CONNECTIONS = 8 };

static struct worker {
  ws_poller *poller;
  ws_listener *listener;
  ws_conn *served[WORKERS * CONNECTIONS];
  int count, stop, echoed;
} workers[WORKERS];

static void *work(void *arg) {
  struct worker *me = arg;
  uint64_t tokens[8];
  size_t count, i;
  while (!__atomic_load_n(&me->stop, __ATOMIC_SEQ_CST)) {
    if (ws_poller_wait(me->poller, tokens, LENGTH(tokens), 5000, &count) != WS_OK) continue;
    for (i = 0; i < count; i++) {
      const ws_message *message;
      ws_conn *conn;
      ws_status_t status;
      if (tokens[i] == LISTENER) {
        while (ws_listener_accept(me->listener, &conn) == WS_OK) {
          me->served[me->count] = conn;
          EXPECT_IS(ws_poller_add(me->poller, conn, (uint64_t)me->count++), WS_OK);
        }
        continue;
      }
      conn = me->served[tokens[i]];
      while ((status = ws_read_message(conn, &message)) == WS_OK)
        if (message->kind == WS_TEXT && ws_write_message(conn, WS_TEXT, message->data, message->len) == WS_OK)
          __atomic_fetch_add(&me->echoed, 1, __ATOMIC_SEQ_CST);
      if (status != WS_ERR_WOULD_BLOCK) ws_poller_remove(me->poller, conn);
    }
  }
  return NULL;
}

static void threads_serve_a_port_while_others_write_and_close(void) {
  ws_config *config = config_with(WS_OPT_REUSE_PORT, 1);
  ws_conn *client[WORKERS * CONNECTIONS];
  pthread_t thread[WORKERS];
  char url[64] = "ws://127.0.0.1:0/";
  int i, n, rounds = check_reduced(200);
  ws_config_set(config, WS_OPT_BLOCKING, 0);
  memset(workers, 0, sizeof workers);
  for (i = 0; i < WORKERS; i++) {
    CHECK_IS(ws_poller_new(&workers[i].poller), WS_OK);
    CHECK_IS(ws_listen(config, url, &workers[i].listener), WS_OK);
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/", ws_listener_port(workers[i].listener));
    CHECK_IS(ws_poller_add_listener(workers[i].poller, workers[i].listener, LISTENER), WS_OK);
    CHECK_IS(pthread_create(&thread[i], NULL, work, &workers[i]), 0);
  }
  for (i = 0; i < WORKERS * CONNECTIONS; i++) {
    CHECK_IS(ws_connect(NULL, url, &client[i]), WS_OK);
    CHECK_IS(ws_handshake(client[i]), WS_OK);
  }
  for (n = 0; n < rounds; n++) {
    const ws_message *message;
    for (i = 0; i < WORKERS * CONNECTIONS; i++) CHECK_IS(ws_write_message(client[i], WS_TEXT, "echo", 4), WS_OK);
    for (i = 0; i < WORKERS * CONNECTIONS; i++) CHECK_IS(ws_read_message(client[i], &message), WS_OK);
  }
  for (i = 0; i < WORKERS * CONNECTIONS; i++) CHECK_IS(ws_close(client[i], 1000, NULL, 0), WS_OK);
  for (i = 0; i < WORKERS * CONNECTIONS; i++) {
    const ws_message *message;
    CHECK_IS(ws_read_message(client[i], &message), WS_OK);
    CHECK_IS(ws_read_message(client[i], &message), WS_ERR_CONNECTION_CLOSED);
    ws_free(client[i]);
  }
  for (n = 0, i = 0; i < WORKERS; i++) {
    int k;
    __atomic_store_n(&workers[i].stop, 1, __ATOMIC_SEQ_CST);
    CHECK_IS(ws_poller_wake(workers[i].poller), WS_OK);
    pthread_join(thread[i], NULL);
    n += workers[i].echoed;
    for (k = 0; k < workers[i].count; k++) ws_free(workers[i].served[k]);
    ws_listener_free(workers[i].listener);
    ws_poller_free(workers[i].poller);
  }
  CHECK_IS(n, WORKERS * CONNECTIONS * rounds);
  ws_config_free(config);
}

static int files_at_first;

static void no_file_is_left_open(void) { CHECK_IS(open_files(), files_at_first); }

int main(int argc, char **argv) {
  check_begin(argc, argv);
  files_at_first = open_files();
  RUN(one_poller_serves_both_ends_of_many_connections);
  RUN_POSIX(a_unix_socket_is_as_good_as_tcp);
  RUN_POSIX(an_abstract_unix_socket_leaves_no_file);
  RUN_POSIX(a_unix_socket_left_behind_is_replaced_and_one_in_use_is_not);
  RUN_POSIX(a_unix_socket_asks_for_its_target);
  RUN_POSIX(nobody_at_a_unix_socket_is_an_io_error_with_its_number);
  RUN(what_is_left_unread_is_reported_again);
  RUN(what_was_reported_while_another_thread_wrote_and_was_passed_over_is_reported_again);
  RUN(more_to_report_than_there_is_room_for_waits_its_turn);
  RUN(a_peer_that_does_not_read_is_no_busy_loop_and_room_is_reported);
  RUN(deadlines_are_part_of_the_wait);
  RUN(an_option_set_late_does_not_count_what_was_before_it);
  RUN(a_dead_peer_is_found_by_its_missing_pong);
  RUN(a_half_open_handshake_is_dropped_by_the_wait);
  RUN(a_wait_is_woken_and_one_at_a_time_waits);
  RUN(another_threads_close_starts_a_deadline_that_the_wait_minds);
  RUN(misuse_of_a_poller_is_told);
  RUN_POSIX(want_of_descriptors_is_no_busy_loop);
  RUN_POSIX(a_slow_resolver_does_not_hold_up_a_frame);
  RUN_POSIX(a_connection_can_be_freed_while_its_name_is_looked_up);
  RUN_POSIX(waiting_for_a_name_ends_with_the_connect_timeout);
  RUN_POSIX(a_connect_timeout_is_told_once);
  RUN_POSIX(an_address_that_does_not_answer_is_raced_by_the_next);
  RUN_POSIX(a_late_answer_for_ipv6_is_not_waited_for);
  RUN_POSIX(a_name_that_nobody_knows_is_an_io_error);
  RUN(a_prepared_message_reaches_all_and_is_queued_without_a_copy);
  RUN(a_client_masks_a_prepared_message);
  RUN(a_full_queue_hands_a_prepared_message_back);
  RUN(bytes_that_give_no_message_are_read_in_turns);
  RUN_POSIX(several_listeners_share_a_port);
  RUN_POSIX(threads_serve_a_port_while_others_write_and_close);
  RUN(no_file_is_left_open);
  return check_end();
}
