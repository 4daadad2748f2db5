/* Connections over sockets: TCP that the library opens, and sockets of the caller's; blocking and not. */

#include "check.h"
#include "pair.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

static void nap(int ms) {
  struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
  nanosleep(&time, NULL);
}

static int open_files(void) {
  DIR *dir = opendir("/proc/self/fd");
  int count = 0;
  while (dir && readdir(dir)) count++;
  if (dir) closedir(dir);
  return count;
}

/* Two open connections over a socket pair, as the caller's sockets; blocking or not. */
typedef struct wire {
  int client_fd, server_fd;
  ws_conn *client, *server;
} wire;

static ws_conn *over_socket(int32_t role, int fd, int blocking) {
  ws_conn *conn = new_open(NULL, role);
  if (blocking >= 0) ws_set_option(conn, WS_OPT_BLOCKING, (uint64_t)blocking);
  if (ws_set_socket(conn, fd) != WS_OK) EXPECT_IS(0, 1);
  return conn;
}

static wire open_wire(int blocking) {
  wire both;
  int fds[2] = {-1, -1};
  EXPECT_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  both.client_fd = fds[0], both.server_fd = fds[1];
  both.client = over_socket(WS_CLIENT, fds[0], blocking);
  both.server = over_socket(WS_SERVER, fds[1], blocking);
  return both;
}

static void free_wire(wire *both) {
  ws_free(both->client);
  ws_free(both->server);
  close(both->client_fd);
  close(both->server_fd);
}

/* A listening socket without the library; its port. */
static int listen_raw(int *port) {
  struct sockaddr_in address;
  socklen_t len = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, (struct sockaddr *)&address, len) || listen(fd, 16)) EXPECT_IS(0, 1);
  getsockname(fd, (struct sockaddr *)&address, &len);
  *port = ntohs(address.sin_port);
  return fd;
}

static int connect_raw(int port) {
  struct sockaddr_in address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons((uint16_t)port);
  EXPECT_IS(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

static const char *local_url(int port) {
  static char url[64];
  snprintf(url, sizeof url, "ws://127.0.0.1:%d/chat?room=1", port);
  return url;
}

/* Has the next bytes closed with a reset. */
static void reset(int fd) {
  struct linger now = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(fd);
}

static int is_readable(int fd, int ms) {
  struct pollfd poll_fd = {fd, POLLIN, 0};
  return poll(&poll_fd, 1, ms) == 1;
}

static ssize_t recv_all(int fd, uint8_t *buf, size_t len) {
  size_t got = 0;
  while (got < len && is_readable(fd, 5000)) {
    ssize_t n = recv(fd, buf + got, len - got, 0);
    if (n <= 0) break;
    got += (size_t)n;
  }
  return (ssize_t)got;
}

/* The server's side of a handshake over a raw socket, worked out in memory; then sends `more` in the same breath. */
static int shake_hands_raw(int fd, const void *more, size_t more_len) {
  uint8_t bytes[4096], response[4096];
  const uint8_t *data;
  size_t len = 0, consumed;
  ws_conn *memory;
  ws_server_new(NULL, &memory);
  while (ws_handshake(memory) == WS_ERR_WOULD_BLOCK && is_readable(fd, 5000)) {
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    if (n <= 0) break;
    ws_feed(memory, bytes, (size_t)n, &consumed);
  }
  if (ws_output(memory, &data, &len) == WS_OK && len + more_len < sizeof response) {
    memcpy(response, data, len);
    if (more_len > 0) memcpy(response + len, more, more_len);
    len += more_len;
  }
  ws_free(memory);
  return len > 0 && send(fd, response, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Echoes until the end. Any loss or reordering shows at the other side. */
static void *echo(void *arg) {
  ws_conn *conn = arg;
  const ws_message *message;
  ws_status_t status;
  while ((status = ws_read_message(conn, &message)) == WS_OK)
    if (message->kind != WS_CLOSE)
      EXPECT_IS(ws_write_message(conn, message->kind, message->data, message->len), WS_OK);
  EXPECT_IS(status, WS_ERR_CONNECTION_CLOSED);
  return NULL;
}

static void *echo_and_free(void *arg) {
  echo(arg);
  ws_free(arg);
  return NULL;
}

static void *accept_and_echo(void *arg) {
  ws_conn *conn;
  return EXPECT_IS(ws_listener_accept(arg, &conn), WS_OK) ? echo_and_free(conn) : NULL;
}

/* TCP that the library opens */

static void a_conversation_over_tcp(const char *host, const char *named) {
  static uint8_t payload[1 << 20];
  char url[64];
  const ws_message *message;
  ws_listener *listener;
  ws_conn *client;
  pthread_t thread;
  snprintf(url, sizeof url, "ws://%s:0/", host);
  if (ws_listen(NULL, url, &listener) != WS_OK) {
    check_skip("this address cannot be listened at");
    return;
  }
  CHECK(ws_listener_port(listener) > 0 && ws_listener_socket(listener) >= 0);
  CHECK_IS(pthread_create(&thread, NULL, accept_and_echo, listener), 0);
  snprintf(url, sizeof url, "ws://%s:%d/chat", named, ws_listener_port(listener));
  CHECK_IS(ws_connect(NULL, url, &client), WS_OK);
  CHECK_IS(ws_handshake(client), WS_OK);
  CHECK_IS(ws_http_status(client), 101);
  CHECK(ws_get_socket(client) >= 0);
  CHECK_IS(ws_write_message(client, WS_TEXT, "hello", 5), WS_OK);
  CHECK_IS(ws_read_message(client, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "hello"));
  for (size_t i = 0; i < sizeof payload; i++) payload[i] = (uint8_t)(i ^ i >> 8);
  CHECK_IS(ws_write_message(client, WS_BINARY, payload, sizeof payload), WS_OK);
  CHECK_IS(ws_read_message(client, &message), WS_OK);
  CHECK(message->len == sizeof payload && memcmp(message->data, payload, sizeof payload) == 0);
  CHECK_IS(ws_close(client, 1000, "bye", 3), WS_OK);
  CHECK_IS(ws_read_message(client, &message), WS_OK);
  CHECK(message->kind == WS_CLOSE && message->close_code == 1000);
  CHECK_IS(ws_read_message(client, &message), WS_ERR_CONNECTION_CLOSED);
  CHECK_IS(ws_read_message(client, &message), WS_ERR_ALREADY_CLOSED);
  pthread_join(thread, NULL);
  ws_free(client);
  ws_listener_free(listener);
}

static void a_conversation_over_ipv4(void) { a_conversation_over_tcp("127.0.0.1", "127.0.0.1"); }
static void a_conversation_over_ipv6(void) { a_conversation_over_tcp("[::1]", "[::1]"); }
/* The name may stand for ::1 first, where nobody listens. */
static void a_name_is_tried_at_all_its_addresses(void) { a_conversation_over_tcp("127.0.0.1", "localhost"); }

static void a_conversation_without_blocking(void) {
  ws_config *config = config_with(WS_OPT_BLOCKING, 0);
  ws_conn *conns[2] = {NULL, NULL};
  const ws_message *message;
  ws_listener *listener;
  int echoed = 0, closed = 0;
  CHECK_IS(ws_listen(config, "ws://127.0.0.1:0/", &listener), WS_OK);
  CHECK_IS(ws_listener_accept(listener, &conns[1]), WS_ERR_WOULD_BLOCK);
  CHECK(conns[1] == NULL);
  CHECK_IS(ws_connect(config, local_url(ws_listener_port(listener)), &conns[0]), WS_OK);
  CHECK_IS(ws_get_state(conns[0]), WS_STATE_CONNECTING);
  CHECK(is_readable((int)ws_listener_socket(listener), 5000));
  CHECK_IS(ws_listener_accept(listener, &conns[1]), WS_OK);
  CHECK_IS(ws_handshake(conns[1]), WS_ERR_WOULD_BLOCK);
  CHECK_IS(ws_interest(conns[1]), WS_WANT_READ);
  while (ws_get_state(conns[0]) != WS_STATE_OPEN || ws_get_state(conns[1]) != WS_STATE_OPEN) {
    for (int i = 0; i < 2; i++) {
      ws_status_t status = ws_handshake(conns[i]);
      CHECK(status == WS_OK || status == WS_ERR_WOULD_BLOCK);
      if (status == WS_ERR_WOULD_BLOCK) ws_wait(conns[i], 10);
    }
  }
  CHECK_IS(ws_write_message(conns[0], WS_TEXT, "hello", 5), WS_OK);
  while (closed < 2) {
    for (int i = 0; i < 2; i++) {
      ws_status_t status = conns[i] ? ws_read_message(conns[i], &message) : WS_ERR_ALREADY_CLOSED;
      if (status == WS_ERR_WOULD_BLOCK) ws_wait(conns[i], 10);
      if (status == WS_ERR_CONNECTION_CLOSED) {
        closed++;
        ws_free(conns[i]); /* the client waits for this of the server */
        conns[i] = NULL;
      }
      if (status != WS_OK || message->kind != WS_TEXT) continue;
      if (++echoed < 10) CHECK_IS(ws_write_message(conns[i], WS_TEXT, message->data, message->len), WS_OK);
      else CHECK_IS(ws_close(conns[i], 1000, NULL, 0), WS_OK);
    }
  }
  CHECK_IS(echoed, 10);
  ws_listener_free(listener);
  ws_config_free(config);
}

static void a_listener_waits_as_long_as_it_was_told_and_an_address_is_taken_once(void) {
  ws_config *config = config_with(WS_OPT_READ_TIMEOUT_MS, 60);
  ws_listener *listener, *second;
  ws_conn *conn;
  uint64_t start = ws_now();
  CHECK_IS(ws_listen(config, "ws://127.0.0.1:0/", &listener), WS_OK);
  CHECK_IS(ws_listener_accept(listener, &conn), WS_ERR_WOULD_BLOCK);
  CHECK(ws_now() - start >= 55 && conn == NULL);
  CHECK_IS(ws_listen(config, local_url(ws_listener_port(listener)), &second), WS_ERR_IO);
  CHECK(second == NULL);
  ws_listener_free(listener);
  ws_config_free(config);
}

static void an_accepted_connection_outlives_its_listener(void) {
  ws_listener *listener;
  ws_conn *client, *server;
  const ws_message *message;
  pthread_t thread;
  CHECK_IS(ws_listen(NULL, "ws://127.0.0.1:0/", &listener), WS_OK);
  CHECK_IS(ws_connect(NULL, local_url(ws_listener_port(listener)), &client), WS_OK);
  CHECK_IS(ws_listener_accept(listener, &server), WS_OK);
  ws_listener_free(listener);
  CHECK_IS(pthread_create(&thread, NULL, echo_and_free, server), 0);
  CHECK_IS(ws_handshake(client), WS_OK);
  CHECK_IS(ws_write_message(client, WS_TEXT, "hello", 5), WS_OK);
  CHECK_IS(ws_read_message(client, &message), WS_OK);
  CHECK_IS(ws_close(client, 1000, NULL, 0), WS_OK);
  while (ws_read_message(client, &message) == WS_OK) continue;
  pthread_join(thread, NULL);
  ws_free(client);
}

static void a_refusal_over_tcp_arrives_whole(void) {
  ws_config *config = config_with(WS_OPT_AUTO_ACCEPT, 0);
  static char body[8000];
  ws_listener *listener;
  ws_conn *client, *server;
  const uint8_t *data;
  size_t len;
  ws_status_t status;
  memset(body, 'n', sizeof body);
  CHECK_IS(ws_config_set(config, WS_OPT_READ_TIMEOUT_MS, 20), WS_OK);
  CHECK_IS(ws_listen(config, "ws://127.0.0.1:0/", &listener), WS_OK);
  CHECK_IS(ws_connect(NULL, local_url(ws_listener_port(listener)), &client), WS_OK);
  CHECK_IS(ws_set_option(client, WS_OPT_READ_TIMEOUT_MS, 20), WS_OK);
  do CHECK_IS(ws_handshake(client), WS_ERR_WOULD_BLOCK);
  while ((status = ws_listener_accept(listener, &server)) == WS_ERR_WOULD_BLOCK);
  CHECK_IS(status, WS_OK);
  while ((status = ws_handshake(server)) == WS_ERR_WOULD_BLOCK) CHECK_IS(ws_handshake(client), WS_ERR_WOULD_BLOCK);
  CHECK_IS(status, WS_OK);
  CHECK_IS(ws_get_state(server), WS_STATE_REQUEST);
  CHECK(strcmp(ws_request_target(server), "/chat?room=1") == 0);
  CHECK_IS(ws_reject(server, 403, body, sizeof body), WS_OK);
  CHECK_IS(ws_write_pending(server), WS_ERR_CONNECTION_CLOSED);
  ws_free(server);
  CHECK_IS(ws_set_option(client, WS_OPT_READ_TIMEOUT_MS, 0), WS_OK);
  CHECK_IS(ws_handshake(client), WS_ERR_HANDSHAKE);
  CHECK_IS(ws_http_status(client), 403);
  CHECK_IS(ws_http_body(client, &data, &len), WS_OK);
  CHECK(len == sizeof body && memcmp(data, body, len) == 0);
  ws_free(client);
  ws_listener_free(listener);
  ws_config_free(config);
}

/* As a load balancer asks; a second request behind the first must not have the answer to that lost in a reset. */
static void a_health_check_gets_its_answer_and_the_end(void) {
  static const char one[] = "GET /health HTTP/1.0\r\n\r\n", two[] = "GET /health HTTP/1.0\r\n\r\nGET /again HTTP/1.0\r\n\r\n";
  static const char answer[] = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
                               "Content-Length: 3\r\n\r\nup\n";
  for (int twice = 0; twice < 2; twice++) {
    const char *const request = twice ? two : one;
    const size_t len = strlen(request);
    ws_config *config = config_with(WS_OPT_AUTO_ACCEPT, 0);
    ws_listener *listener;
    ws_conn *server;
    char heard[512];
    ssize_t n;
    size_t total = 0;
    int fd;
    CHECK_IS(ws_config_set(config, WS_OPT_PLAIN_REQUESTS, 1), WS_OK);
    CHECK_IS(ws_listen(config, "ws://127.0.0.1:0/", &listener), WS_OK);
    fd = connect_raw(ws_listener_port(listener));
    CHECK_IS(send(fd, request, 10, 0), 10);
    CHECK_IS(ws_listener_accept(listener, &server), WS_OK);
    CHECK_IS(ws_set_option(server, WS_OPT_BLOCKING, 0), WS_OK);
    CHECK_IS(ws_handshake(server), WS_ERR_WOULD_BLOCK);
    CHECK_IS(send(fd, request + 10, len - 10, 0), len - 10);
    CHECK_IS(ws_set_option(server, WS_OPT_BLOCKING, 1), WS_OK);
    CHECK_IS(ws_handshake(server), WS_OK);
    CHECK_IS(ws_get_state(server), WS_STATE_REQUEST);
    CHECK(ws_is_upgrade(server) == 0 && strcmp(ws_request_target(server), "/health") == 0);
    CHECK_IS(ws_reject(server, 200, "up\n", 3), WS_OK);
    CHECK_IS(ws_write_pending(server), WS_ERR_CONNECTION_CLOSED);
    ws_free(server);
    while ((n = recv(fd, heard + total, sizeof heard - total, 0)) > 0) total += (size_t)n;
    CHECK_IS(n, 0);
    CHECK(total == sizeof answer - 1 && memcmp(heard, answer, total) == 0);
    close(fd);
    ws_listener_free(listener);
    ws_config_free(config);
  }
}

static void nobody_who_listens_is_an_io_error_with_its_number(void) {
  for (int blocking = 0; blocking < 2; blocking++) {
    ws_config *config = config_with(WS_OPT_BLOCKING, (uint64_t)blocking);
    const ws_message *message;
    ws_conn *client;
    ws_status_t status;
    int port;
    close(listen_raw(&port));
    CHECK_IS(ws_connect(config, local_url(port), &client), WS_OK);
    while ((status = blocking ? ws_handshake(client) : ws_read_message(client, &message)) == WS_ERR_WOULD_BLOCK)
      CHECK(!blocking && ws_wait(client, 1000) == WS_OK);
    CHECK_IS(status, WS_ERR_IO);
    CHECK_IS(ws_io_error(client), ECONNREFUSED);
    CHECK(*ws_error_message(client) != '\0');
    CHECK_IS(ws_read_message(client, &message), WS_ERR_CONNECTION_CLOSED);
    CHECK_IS(ws_read_message(client, &message), WS_ERR_ALREADY_CLOSED);
    ws_free(client);
    ws_config_free(config);
  }
}

static void an_unknown_host_is_an_io_error(void) {
  const ws_message *message;
  ws_conn *client;
  CHECK_IS(ws_connect(NULL, "ws://no-such-host.invalid/", &client), WS_OK);
  CHECK(ws_get_socket(client) >= 0); /* the look-up is waited for like anything else */
  CHECK_IS(ws_handshake(client), WS_ERR_IO);
  CHECK(*ws_error_message(client) != '\0');
  CHECK_IS(ws_read_message(client, &message), WS_ERR_CONNECTION_CLOSED);
  ws_free(client);
}

/* Frames that come with the 101 lie in the library's memory: the socket never becomes readable for them. */
static void frames_that_come_with_the_101_are_delivered_without_new_readiness(void) {
  for (int blocking = 0; blocking < 2; blocking++) {
    ws_config *config = config_with(WS_OPT_BLOCKING, (uint64_t)blocking);
    const ws_message *message;
    uint8_t frames[32];
    size_t len = put_frame(frames, WS_SERVER, 0x81, "first", 5);
    ws_conn *client;
    int port, listening = listen_raw(&port), fd;
    ws_status_t status = WS_ERR_WOULD_BLOCK;
    len += put_frame(frames + len, WS_SERVER, 0x81, "second", 6);
    CHECK_IS(ws_connect(config, local_url(port), &client), WS_OK);
    fd = accept(listening, NULL, NULL);
    CHECK_IS(ws_set_option(client, WS_OPT_READ_TIMEOUT_MS, 20), WS_OK);
    while (!is_readable(fd, 0)) CHECK_IS(ws_handshake(client), WS_ERR_WOULD_BLOCK);
    CHECK(shake_hands_raw(fd, frames, len));
    while (status == WS_ERR_WOULD_BLOCK) status = ws_handshake(client);
    CHECK_IS(status, WS_OK);
    CHECK(!is_readable((int)ws_get_socket(client), 50));
    CHECK_IS(ws_wait(client, 0), WS_OK);
    CHECK_IS(ws_read_message(client, &message), WS_OK);
    CHECK(is_message(message, WS_TEXT, "first"));
    CHECK_IS(ws_wait(client, 0), WS_OK);
    CHECK_IS(ws_read_message(client, &message), WS_OK);
    CHECK(is_message(message, WS_TEXT, "second"));
    CHECK_IS(ws_read_message(client, &message), WS_ERR_WOULD_BLOCK);
    CHECK_IS(ws_wait(client, 0), WS_ERR_WOULD_BLOCK);
    ws_free(client);
    close(fd);
    close(listening);
    ws_config_free(config);
  }
}

/* Sockets of the caller's */

static void a_borrowed_socket_keeps_its_flags_and_stays_open(void) {
  for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
    for (int blocking = -1; blocking < 2; blocking++) {
      int fds[2], flags;
      ws_conn *conn;
      const ws_message *message;
      uint64_t start, value;
      char byte;
      CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
      if (nonblocking) fcntl(fds[0], F_SETFL, O_NONBLOCK);
      flags = fcntl(fds[0], F_GETFL);
      conn = over_socket(WS_CLIENT, fds[0], blocking);
      CHECK_IS(ws_get_option(conn, WS_OPT_BLOCKING, &value), WS_OK);
      CHECK_IS(value, blocking == 1); /* off unless it was set, whatever the flags say */
      CHECK_IS(ws_set_option(conn, WS_OPT_READ_TIMEOUT_MS, 250), WS_OK);
      start = ws_now();
      CHECK_IS(ws_read_message(conn, &message), WS_ERR_WOULD_BLOCK);
      CHECK(blocking == 1 ? ws_now() - start >= 245 : ws_now() - start < 245);
      CHECK_IS(ws_write_message(conn, WS_TEXT, "x", 1), WS_OK);
      CHECK_IS(fcntl(fds[0], F_GETFL), flags);
      ws_free(conn);
      CHECK_IS(fcntl(fds[0], F_GETFL), flags);
      CHECK_IS(send(fds[0], "y", 1, 0), 1);
      for (int i = 0; i < 8; i++) CHECK_IS(recv(fds[1], &byte, 1, 0), 1);
      CHECK_IS(byte, 'y');
      close(fds[0]);
      close(fds[1]);
    }
  }
}

static void a_freed_connection_closes_the_socket_that_the_library_opened(void) {
  int port, listening = listen_raw(&port), fd;
  ws_conn *client;
  char bytes[512];
  ssize_t n;
  CHECK_IS(ws_connect(NULL, local_url(port), &client), WS_OK);
  fd = accept(listening, NULL, NULL);
  ws_free(client);
  CHECK(is_readable(fd, 5000));
  do n = recv(fd, bytes, sizeof bytes, 0);
  while (n > 0);
  CHECK_IS(n, 0);
  close(fd);
  close(listening);
}

/* SIGPIPE is at its default in this program: it would end it. */
static void a_peer_that_resets_the_connection_does_not_end_the_program(void) {
  static const uint8_t payload[4096];
  for (int how = 0; how < 3; how++) {
    const ws_message *message;
    ws_conn *conn;
    ws_status_t status = WS_OK;
    int port, listening = listen_raw(&port), fds[2];
    if (how == 0) CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    if (how > 0) fds[0] = connect_raw(port), fds[1] = accept(listening, NULL, NULL);
    conn = over_socket(WS_SERVER, fds[0], how == 2);
    if (how == 0) close(fds[1]);
    else reset(fds[1]);
    nap(20);
    for (int i = 0; i < 100 && status == WS_OK; i++)
      status = ws_write_message(conn, WS_BINARY, payload, sizeof payload);
    CHECK_IS(status, WS_ERR_IO);
    CHECK(ws_io_error(conn) == EPIPE || ws_io_error(conn) == ECONNRESET);
    CHECK_IS(ws_write_message(conn, WS_TEXT, "x", 1), WS_ERR_CONNECTION_CLOSED);
    CHECK_IS(ws_read_message(conn, &message), WS_ERR_CONNECTION_CLOSED);
    CHECK_IS(ws_read_message(conn, &message), WS_ERR_ALREADY_CLOSED);
    CHECK_IS(ws_close_code(conn), 1006);
    ws_free(conn);
    close(fds[0]);
    close(listening);
  }
}

/* A way to send something; `how` counts them. */
static ws_status_t write_somehow(ws_conn *conn, int how) {
  static const uint8_t payload[70000];
  const ws_message one = {payload, 5000, WS_BINARY, 0, 1}, *many[3] = {&one, &one, &one};
  ws_prepared *prepared;
  ws_status_t status;
  size_t accepted;
  switch (how) {
    case 0: return ws_write_message(conn, WS_TEXT, "short", 5);
    case 1: return ws_write_message(conn, WS_BINARY, payload, sizeof payload);
    case 2: return ws_write_fragment(conn, WS_BINARY, payload, 10, 0);
    case 3: return ws_write_message(conn, WS_PING, "there?", 6);
    case 4: return ws_write_messages(conn, many, 3, &accepted);
    case 5:
      if ((status = ws_prepare_message(WS_TEXT, "for many", 8, &prepared)) != WS_OK) return status;
      status = ws_write_prepared(conn, prepared);
      ws_prepared_free(prepared);
      return status;
    default:
      status = ws_queue_message(conn, WS_TEXT, "queued", 6);
      return status == WS_OK ? ws_write_pending(conn) : status;
  }
}

/* The peer says two things and why it goes, and is gone: the second write finds that out. */
static void what_had_arrived_before_a_write_failed_is_still_read(void) {
  for (int round = 0; round < 7 * 2 * 2 * 2; round++) {
    const int how = round % 7, role = round / 7 % 2 ? WS_CLIENT : WS_SERVER, blocking = round / 14 % 2;
    const int peer = role == WS_CLIENT ? WS_SERVER : WS_CLIENT, read_before = round / 28;
    const ws_message *message;
    uint8_t bytes[128];
    size_t len = put_frame(bytes, peer, 0x81, "one", 3);
    int port, listening = listen_raw(&port), fd = connect_raw(port), there = accept(listening, NULL, NULL);
    ws_conn *conn = over_socket(role, fd, blocking);
    ws_status_t status = WS_OK;
    len += put_frame(bytes + len, peer, 0x81, "two", 3);
    len += put_frame(bytes + len, peer, 0x88, "\x0f\xa0why", 5);
    CHECK_IS(send(there, bytes, len, 0), (long long)len);
    close(there);
    CHECK(is_readable(fd, 5000));
    if (read_before) CHECK_IS(ws_read_message(conn, &message), WS_OK);
    for (int i = 0; i < 100 && status == WS_OK; i++) {
      status = write_somehow(conn, how);
      nap(2);
    }
    CHECK_IS(status, WS_ERR_IO);
    CHECK(ws_io_error(conn) == EPIPE || ws_io_error(conn) == ECONNRESET);
    CHECK(strstr(ws_error_message(conn), "os error"));
    CHECK_IS(write_somehow(conn, how), WS_ERR_CONNECTION_CLOSED);
    CHECK_IS(ws_write_pending(conn), WS_ERR_CONNECTION_CLOSED);
    CHECK_IS(ws_can_write(conn), 0);
    CHECK_IS(ws_can_read(conn), 1);
    CHECK_IS(ws_has_input(conn), 1);
    CHECK_IS(ws_wait(conn, 0), WS_OK);
    if (!read_before) {
      CHECK_IS(ws_read_message(conn, &message), WS_OK);
      CHECK(is_message(message, WS_TEXT, "one"));
    }
    CHECK_IS(ws_read_message(conn, &message), WS_OK);
    CHECK(is_message(message, WS_TEXT, "two"));
    CHECK_IS(ws_read_message(conn, &message), WS_OK);
    CHECK(is_message(message, WS_CLOSE, "why") && message->close_code == 4000);
    CHECK_IS(ws_read_message(conn, &message), WS_ERR_CONNECTION_CLOSED);
    CHECK_IS(ws_read_message(conn, &message), WS_ERR_ALREADY_CLOSED);
    CHECK_IS(ws_close_code(conn), 4000);
    ws_free(conn);
    close(fd);
    close(listening);
  }
}

/* The peer refuses the opening handshake before it has all of it, and is gone. */
static void a_refusal_that_came_before_the_request_was_out_is_still_read(void) {
  static const char response[] = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
  for (int blocking = 0; blocking < 2; blocking++) {
    ws_conn *conn;
    int port, listening = listen_raw(&port), fd = connect_raw(port), there = accept(listening, NULL, NULL);
    CHECK_IS(ws_client_new(NULL, local_url(port), &conn), WS_OK);
    CHECK_IS(send(there, response, sizeof response - 1, 0), (long long)sizeof response - 1);
    close(there);
    CHECK(is_readable(fd, 5000));
    CHECK_IS(send(fd, "x", 1, MSG_NOSIGNAL), 1); /* on which the peer says that it is gone */
    nap(20);
    CHECK_IS(ws_set_option(conn, WS_OPT_BLOCKING, (uint64_t)blocking), WS_OK);
    CHECK_IS(ws_set_socket(conn, fd), WS_OK);
    CHECK_IS(ws_handshake(conn), WS_ERR_HANDSHAKE);
    CHECK_IS(ws_http_status(conn), 503);
    CHECK_IS(ws_handshake(conn), WS_ERR_CONNECTION_CLOSED);
    ws_free(conn);
    close(fd);
    close(listening);
  }
}

static void a_reset_is_told_to_a_reader_that_waits(void) {
  const ws_message *message;
  int port, listening = listen_raw(&port), fd = connect_raw(port);
  ws_conn *conn = over_socket(WS_CLIENT, fd, 1);
  reset(accept(listening, NULL, NULL));
  CHECK_IS(ws_read_message(conn, &message), WS_ERR_IO);
  CHECK_IS(ws_io_error(conn), ECONNRESET);
  CHECK_IS(ws_read_message(conn, &message), WS_ERR_CONNECTION_CLOSED);
  ws_free(conn);
  close(fd);
  close(listening);
}

static volatile sig_atomic_t interruptions;

static void on_interrupt(int signal) {
  (void)signal;
  interruptions++;
}

static struct {
  pthread_t reader;
  volatile int stop;
} interrupter;

static void *interrupt(void *arg) {
  (void)arg;
  while (!interrupter.stop) {
    pthread_kill(interrupter.reader, SIGUSR1);
    nap(1);
  }
  return NULL;
}

static void a_signal_does_not_cut_a_wait_short(void) {
  struct sigaction action;
  wire both = open_wire(1);
  const ws_message *message;
  pthread_t thread;
  uint64_t start;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_interrupt; /* without SA_RESTART */
  sigaction(SIGUSR1, &action, NULL);
  CHECK_IS(ws_set_option(both.client, WS_OPT_READ_TIMEOUT_MS, 150), WS_OK);
  interruptions = 0;
  interrupter.stop = 0;
  interrupter.reader = pthread_self();
  start = ws_now();
  CHECK_IS(pthread_create(&thread, NULL, interrupt, NULL), 0);
  CHECK_IS(ws_read_message(both.client, &message), WS_ERR_WOULD_BLOCK);
  CHECK(ws_now() - start >= 145);
  start = ws_now();
  CHECK_IS(ws_wait(both.client, 100), WS_ERR_WOULD_BLOCK);
  CHECK(ws_now() - start >= 95);
  CHECK_IS(ws_write_message(both.server, WS_TEXT, "after all", 9), WS_OK);
  CHECK_IS(ws_read_message(both.client, &message), WS_OK);
  interrupter.stop = 1;
  pthread_join(thread, NULL);
  CHECK(interruptions > 2);
  free_wire(&both);
}

/* Deadlines */

static void a_server_that_never_answers_is_given_up(void) {
  for (int drips = 0; drips < 2; drips++) {
    ws_config *config = config_with(WS_OPT_HANDSHAKE_TIMEOUT_MS, 150);
    const ws_message *message;
    int port, listening = listen_raw(&port), fd;
    ws_conn *client;
    uint64_t start = ws_now();
    CHECK_IS(ws_connect(config, local_url(port), &client), WS_OK);
    fd = accept(listening, NULL, NULL);
    if (drips) CHECK_IS(send(fd, "HTTP/1.1 101 Swit", 17, 0), 17);
    CHECK_IS(ws_handshake(client), WS_ERR_TIMEOUT);
    CHECK(ws_now() - start >= 145 && ws_now() - start < 5000);
    CHECK_IS(ws_read_message(client, &message), WS_ERR_CONNECTION_CLOSED);
    ws_free(client);
    close(fd);
    close(listening);
    ws_config_free(config);
  }
}

static void a_client_that_never_asks_is_given_up(void) {
  ws_config *config = config_with(WS_OPT_HANDSHAKE_TIMEOUT_MS, 150);
  ws_listener *listener;
  const ws_message *message;
  ws_conn *server;
  int fd;
  CHECK_IS(ws_listen(config, "ws://127.0.0.1:0/", &listener), WS_OK);
  fd = connect_raw(ws_listener_port(listener));
  CHECK_IS(ws_listener_accept(listener, &server), WS_OK);
  CHECK_IS(send(fd, "GET / HT", 8, 0), 8);
  CHECK_IS(ws_read_message(server, &message), WS_ERR_TIMEOUT);
  CHECK_IS(ws_read_message(server, &message), WS_ERR_CONNECTION_CLOSED);
  ws_free(server);
  close(fd);
  ws_listener_free(listener);
  ws_config_free(config);
}

static void a_peer_that_never_answers_the_close_is_given_up(void) {
  wire both = open_wire(1);
  const ws_message *message;
  uint64_t start = ws_now();
  CHECK_IS(ws_set_option(both.client, WS_OPT_CLOSE_TIMEOUT_MS, 150), WS_OK);
  CHECK_IS(ws_close(both.client, 1000, NULL, 0), WS_OK);
  CHECK_IS(ws_read_message(both.client, &message), WS_ERR_TIMEOUT);
  CHECK(ws_now() - start >= 145 && ws_now() - start < 5000);
  CHECK_IS(ws_read_message(both.client, &message), WS_ERR_CONNECTION_CLOSED);
  CHECK_IS(ws_close_code(both.client), 1006);
  free_wire(&both);
}

static void a_read_timeout_is_no_end(void) {
  wire both = open_wire(1);
  const ws_message *message;
  CHECK_IS(ws_set_option(both.client, WS_OPT_READ_TIMEOUT_MS, 40), WS_OK);
  for (int i = 0; i < 3; i++) {
    uint64_t start = ws_now();
    CHECK_IS(ws_read_message(both.client, &message), WS_ERR_WOULD_BLOCK);
    CHECK(ws_now() - start >= 38 && ws_now() - start < 3000);
  }
  CHECK_IS(ws_write_message(both.server, WS_TEXT, "still", 5), WS_OK);
  CHECK_IS(ws_read_message(both.client, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "still"));
  free_wire(&both);
}

static void a_reader_that_waits_pings_and_gives_up(void) {
  wire both = open_wire(1);
  const ws_message *message;
  uint8_t bytes[16];
  uint64_t start = ws_now();
  CHECK_IS(ws_set_option(both.server, WS_OPT_PING_INTERVAL_MS, 60), WS_OK);
  CHECK_IS(ws_set_option(both.server, WS_OPT_PONG_TIMEOUT_MS, 40), WS_OK);
  CHECK_IS(ws_read_message(both.server, &message), WS_ERR_TIMEOUT);
  CHECK(ws_now() - start >= 95 && ws_now() - start < 5000);
  CHECK(recv(both.client_fd, bytes, 1, 0) == 1 && bytes[0] == 0x89);
  CHECK_IS(ws_read_message(both.server, &message), WS_ERR_CONNECTION_CLOSED);
  CHECK_IS(ws_close_code(both.server), 1011);
  free_wire(&both);
  both = open_wire(1);
  start = ws_now();
  CHECK_IS(ws_set_option(both.client, WS_OPT_IDLE_TIMEOUT_MS, 60), WS_OK);
  CHECK_IS(ws_read_message(both.client, &message), WS_ERR_TIMEOUT);
  CHECK(ws_now() - start >= 55);
  free_wire(&both);
}

static void a_blocking_write_waits_no_longer_than_it_was_told(void) {
  static const uint8_t payload[1 << 20];
  wire both = open_wire(1);
  uint64_t start = ws_now();
  ws_status_t status = WS_OK;
  int accepted = 0;
  CHECK_IS(ws_set_option(both.server, WS_OPT_WRITE_TIMEOUT_MS, 50), WS_OK);
  CHECK_IS(ws_write_message(both.server, WS_BINARY, payload, sizeof payload), WS_OK);
  CHECK(ws_now() - start >= 45 && ws_now() - start < 5000);
  CHECK(ws_queued_bytes(both.server) > 0);
  CHECK_IS(ws_write_pending(both.server), WS_ERR_WOULD_BLOCK);
  while (status == WS_OK && accepted++ < 100)
    status = ws_write_message(both.server, WS_BINARY, payload, sizeof payload);
  CHECK_IS(status, WS_ERR_SEND_QUEUE_FULL);
  CHECK(accepted >= 15 && accepted <= 17);
  free_wire(&both);
}

static void waiting_ends_for_bytes_for_messages_for_deadlines_and_when_time_is_over(void) {
  wire both = open_wire(0);
  const ws_message *message;
  uint64_t start = ws_now();
  CHECK_IS(ws_wait(both.client, 0), WS_ERR_WOULD_BLOCK);
  CHECK(ws_now() - start < 1000);
  start = ws_now();
  CHECK_IS(ws_wait(both.client, 50), WS_ERR_WOULD_BLOCK);
  CHECK(ws_now() - start >= 45);
  CHECK_IS(ws_queue_message(both.server, WS_TEXT, "one", 3), WS_OK);
  CHECK_IS(ws_queue_message(both.server, WS_TEXT, "two", 3), WS_OK);
  CHECK_IS(ws_write_pending(both.server), WS_OK);
  CHECK_IS(ws_wait(both.client, -1), WS_OK);
  CHECK_IS(ws_read_message(both.client, &message), WS_OK);
  CHECK_IS(ws_wait(both.client, -1), WS_OK); /* the second has arrived with the first */
  CHECK_IS(ws_read_message(both.client, &message), WS_OK);
  CHECK_IS(ws_read_message(both.client, &message), WS_ERR_WOULD_BLOCK);
  CHECK_IS(ws_wait(both.client, 0), WS_ERR_WOULD_BLOCK);
  CHECK_IS(ws_set_option(both.client, WS_OPT_PING_INTERVAL_MS, 30), WS_OK);
  CHECK_IS(ws_read_message(both.client, &message), WS_ERR_WOULD_BLOCK); /* the clock starts */
  CHECK_IS(ws_wait(both.client, -1), WS_OK);
  CHECK_IS(ws_read_message(both.client, &message), WS_ERR_WOULD_BLOCK);
  CHECK(is_readable(both.server_fd, 0)); /* the Ping */
  CHECK_IS(shutdown(both.server_fd, SHUT_WR), 0);
  CHECK_IS(ws_wait(both.client, -1), WS_OK);
  CHECK_IS(ws_read_message(both.client, &message), WS_ERR_CONNECTION_CLOSED);
  free_wire(&both);
}

/* Much at once */

static void a_large_message_makes_its_way_in_partial_writes(void) {
  const size_t len = (size_t)check_reduced(32 << 20);
  uint8_t *payload = malloc(len);
  wire both = open_wire(1);
  const ws_message *message;
  pthread_t thread;
  int small = 4096;
  for (size_t i = 0; i < len; i++) payload[i] = (uint8_t)(i * 31 + (i >> 13));
  setsockopt(both.client_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  CHECK_IS(ws_set_option(both.client, WS_OPT_MAX_FRAME_SIZE, 0), WS_OK);
  CHECK_IS(ws_set_option(both.server, WS_OPT_MAX_FRAME_SIZE, 0), WS_OK);
  for (int round = 0; round < 2; round++) {
    /* At first without blocking, while nobody reads: the message waits in the queue, and reading sends it on. */
    CHECK_IS(ws_set_option(both.client, WS_OPT_BLOCKING, (uint64_t)round), WS_OK);
    CHECK_IS(ws_write_message(both.client, WS_BINARY, payload, len), WS_OK);
    CHECK(round == 1 || ws_queued_bytes(both.client) > 0);
    if (round == 0) CHECK_IS(pthread_create(&thread, NULL, echo, both.server), 0);
    CHECK(round == 0 || ws_queued_bytes(both.client) == 0);
    CHECK_IS(ws_set_option(both.client, WS_OPT_BLOCKING, 1), WS_OK);
    CHECK_IS(ws_read_message(both.client, &message), WS_OK);
    CHECK(message->len == len && memcmp(message->data, payload, len) == 0);
  }
  CHECK_IS(ws_close(both.client, 1000, NULL, 0), WS_OK);
  CHECK_IS(ws_read_message(both.client, &message), WS_OK);
  pthread_join(thread, NULL);
  free_wire(&both);
  free(payload);
}

static void more_queued_messages_than_one_call_can_send_arrive_in_order(void) {
  static uint8_t payload[1 << 17];
  for (int role = WS_CLIENT; role <= WS_SERVER; role++) {
    wire both = open_wire(0);
    ws_conn *from = role == WS_CLIENT ? both.client : both.server;
    ws_conn *to = role == WS_CLIENT ? both.server : both.client;
    const ws_message *message;
    ws_status_t status;
    uint32_t read = 0;
    CHECK_IS(ws_set_option(from, WS_OPT_MAX_SEND_QUEUE, 0), WS_OK);
    CHECK_IS(ws_set_option(from, WS_OPT_MAX_SEND_BYTES, 0), WS_OK);
    for (uint32_t i = 0; i < 2000; i++) {
      size_t len = i % 100 == 99 ? sizeof payload : 4 + i % 300;
      memcpy(payload, &i, sizeof i);
      CHECK_IS(ws_queue_message(from, WS_BINARY, payload, len), WS_OK);
    }
    CHECK(ws_queued_bytes(from) > 2000 * 6);
    CHECK_IS(ws_close(from, 1000, NULL, 0), WS_OK);
    for (;;) {
      uint32_t number;
      status = ws_read_message(to, &message);
      if (status == WS_ERR_WOULD_BLOCK) {
        ws_write_pending(from);
        continue;
      }
      CHECK_IS(status, WS_OK);
      if (message->kind == WS_CLOSE) break;
      memcpy(&number, message->data, sizeof number);
      CHECK_IS(number, read);
      CHECK_IS(message->len, read % 100 == 99 ? sizeof payload : 4 + read % 300);
      read++;
    }
    CHECK_IS(read, 2000);
    free_wire(&both);
  }
}

static void a_peer_that_drips_is_understood(void) {
  wire both = open_wire(0);
  uint8_t bytes[1000];
  size_t len = put_frame(bytes, WS_SERVER, 0x01, "hel", 3);
  const ws_message *message;
  len += put_frame(bytes + len, WS_SERVER, 0x89, "", 0);
  len += put_frame(bytes + len, WS_SERVER, 0x80, "lo", 2);
  for (size_t i = 0; i < len; i++) {
    CHECK_IS(ws_read_message(both.client, &message), WS_ERR_WOULD_BLOCK);
    CHECK_IS(send(both.server_fd, bytes + i, 1, 0), 1);
  }
  CHECK_IS(ws_read_message(both.client, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "hello"));
  free_wire(&both);
}

/* Who ends the TCP connection: the server, once both Closes have passed; the client waits for that. */

static void a_server_ends_the_connection_first(void) {
  for (int server_closes = 0; server_closes < 2; server_closes++) {
    ws_config *config = config_with(WS_OPT_READ_TIMEOUT_MS, 50);
    const ws_message *message;
    ws_listener *listener;
    ws_conn *server, *client;
    uint8_t bytes[512], frame[16];
    const uint8_t *data;
    size_t len;
    ssize_t n;
    int fd;
    CHECK_IS(ws_listen(config, "ws://127.0.0.1:0/", &listener), WS_OK);
    fd = connect_raw(ws_listener_port(listener));
    CHECK_IS(ws_listener_accept(listener, &server), WS_OK);
    CHECK_IS(ws_client_new(NULL, "ws://127.0.0.1/", &client), WS_OK); /* for its request only */
    CHECK_IS(ws_output(client, &data, &len), WS_OK);
    CHECK_IS(send(fd, data, len, 0), (ssize_t)len);
    ws_free(client);
    CHECK_IS(ws_handshake(server), WS_OK);
    n = recv(fd, bytes, sizeof bytes, 0);
    CHECK(n > 12 && memcmp(bytes, "HTTP/1.1 101", 12) == 0);
    if (server_closes) {
      CHECK_IS(ws_close(server, 1001, NULL, 0), WS_OK);
      CHECK_IS(recv_all(fd, bytes, 4), 4);
      CHECK_IS(ws_read_message(server, &message), WS_ERR_WOULD_BLOCK);
      CHECK(!is_readable(fd, 20)); /* no end before our answer */
    }
    len = put_frame(frame, WS_CLIENT, 0x88, "\x03\xe9", 2);
    CHECK_IS(send(fd, frame, len, 0), (ssize_t)len);
    CHECK_IS(ws_read_message(server, &message), WS_OK);
    CHECK_IS(message->close_code, 1001);
    CHECK_IS(ws_read_message(server, &message), WS_ERR_CONNECTION_CLOSED);
    if (!server_closes) CHECK_IS(recv_all(fd, bytes, 4), 4);
    CHECK(memcmp(bytes, "\x88\x02\x03\xe9", 4) == 0);
    ws_free(server);
    CHECK(is_readable(fd, 5000));
    CHECK_IS(recv(fd, bytes, sizeof bytes, 0), 0); /* an end, not a reset */
    close(fd);
    ws_listener_free(listener);
    ws_config_free(config);
  }
}

static void a_client_waits_for_the_server_to_end_the_connection(void) {
  const ws_message *message;
  uint8_t bytes[64];
  int port, listening = listen_raw(&port), fd;
  ws_conn *client;
  ws_status_t status = WS_ERR_WOULD_BLOCK;
  CHECK_IS(ws_connect(NULL, local_url(port), &client), WS_OK);
  CHECK_IS(ws_set_option(client, WS_OPT_READ_TIMEOUT_MS, 50), WS_OK);
  fd = accept(listening, NULL, NULL);
  while (!is_readable(fd, 0)) CHECK_IS(ws_handshake(client), WS_ERR_WOULD_BLOCK);
  CHECK(shake_hands_raw(fd, NULL, 0));
  while (status == WS_ERR_WOULD_BLOCK) status = ws_handshake(client);
  CHECK_IS(status, WS_OK);
  CHECK_IS(ws_close(client, 1000, NULL, 0), WS_OK);
  CHECK_IS(recv_all(fd, bytes, 8), 8);
  CHECK_IS(send(fd, "\x88\x02\x03\xe8", 4, 0), 4);
  CHECK_IS(ws_read_message(client, &message), WS_OK);
  CHECK_IS(message->kind, WS_CLOSE);
  for (int i = 0; i < 2; i++) {
    CHECK_IS(ws_read_message(client, &message), WS_ERR_WOULD_BLOCK);
    CHECK_IS(recv(fd, bytes, sizeof bytes, MSG_DONTWAIT), -1); /* it has not ended first */
    CHECK(errno == EAGAIN || errno == EWOULDBLOCK);
  }
  CHECK_IS(ws_get_state(client), WS_STATE_CLOSING);
  close(fd);
  CHECK_IS(ws_read_message(client, &message), WS_ERR_CONNECTION_CLOSED);
  ws_free(client);
  close(listening);
}

static int files_at_first;

static void no_file_is_left_open(void) { CHECK_IS(open_files(), files_at_first); }

int main(int argc, char **argv) {
  setenv("RES_OPTIONS", "timeout:1 attempts:1", 1); /* where there is no name server, not to wait long for it */
  check_begin(argc, argv);
  files_at_first = open_files();
  RUN(a_conversation_over_ipv4);
  RUN(a_conversation_over_ipv6);
  RUN(a_name_is_tried_at_all_its_addresses);
  RUN(a_conversation_without_blocking);
  RUN(a_listener_waits_as_long_as_it_was_told_and_an_address_is_taken_once);
  RUN(an_accepted_connection_outlives_its_listener);
  RUN(a_refusal_over_tcp_arrives_whole);
  RUN(a_health_check_gets_its_answer_and_the_end);
  RUN(nobody_who_listens_is_an_io_error_with_its_number);
  RUN(an_unknown_host_is_an_io_error);
  RUN(frames_that_come_with_the_101_are_delivered_without_new_readiness);
  RUN(a_borrowed_socket_keeps_its_flags_and_stays_open);
  RUN(a_freed_connection_closes_the_socket_that_the_library_opened);
  RUN(a_peer_that_resets_the_connection_does_not_end_the_program);
  RUN_POSIX(what_had_arrived_before_a_write_failed_is_still_read);
  RUN_POSIX(a_refusal_that_came_before_the_request_was_out_is_still_read);
  RUN(a_reset_is_told_to_a_reader_that_waits);
  RUN_POSIX(a_signal_does_not_cut_a_wait_short);
  RUN(a_server_that_never_answers_is_given_up);
  RUN(a_client_that_never_asks_is_given_up);
  RUN(a_peer_that_never_answers_the_close_is_given_up);
  RUN(a_read_timeout_is_no_end);
  RUN(a_reader_that_waits_pings_and_gives_up);
  RUN(a_blocking_write_waits_no_longer_than_it_was_told);
  RUN(waiting_ends_for_bytes_for_messages_for_deadlines_and_when_time_is_over);
  RUN(a_large_message_makes_its_way_in_partial_writes);
  RUN(more_queued_messages_than_one_call_can_send_arrive_in_order);
  RUN(a_peer_that_drips_is_understood);
  RUN(a_server_ends_the_connection_first);
  RUN(a_client_waits_for_the_server_to_end_the_connection);
  if (check_failed == 0) RUN(no_file_is_left_open); /* a test that fails leaves some behind */
  return check_end();
}
