/* Connections whose peer does as a test likes, and calls on threads of their own, which may never return. */
#ifndef PEER_H
#define PEER_H

#include "certificates.h"
#include "poller_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

/* Both ends of a connection, made by the library over a URL of this scheme: nothing is read but where the test does so. */
typedef struct ends {
  ws_listener *listener;
  ws_conn *client, *server;
} ends;

static inline ws_config *config_of(const char *scheme) {
  ws_config *config = config_with(WS_OPT_BLOCKING, 0);
  if (strcmp(scheme, "wss") == 0) {
    NEED(ws_config_set_tls_identity(config, (const uint8_t *)localhost_chain, strlen(localhost_chain),
                                    (const uint8_t *)localhost_key, strlen(localhost_key)) == WS_OK);
  }
  return config;
}

/* A listener at a free port; connections that it accepts do not block. */
static inline ws_listener *listen_to(const char *scheme, const ws_config *config) {
  ws_config *own = config ? NULL : config_of(scheme);
  ws_listener *listener = NULL;
  char url[32];
  snprintf(url, sizeof url, "%s://127.0.0.1:0/", scheme);
  NEED(ws_listen(config ? config : own, url, &listener) == WS_OK);
  ws_config_free(own);
  return listener;
}

/* A client on its way to a listener; it does not block. */
static inline ws_conn *connect_to(const char *scheme, ws_listener *listener, ws_config *config) {
  ws_config *own = config ? NULL : config_with(WS_OPT_BLOCKING, 0);
  ws_conn *conn = NULL;
  char url[64];
  NEED(ws_config_set_tls_roots(config ? config : own, (const uint8_t *)authority, strlen(authority)) == WS_OK);
  snprintf(url, sizeof url, "%s://127.0.0.1:%d/", scheme, ws_listener_port(listener));
  NEED(ws_connect(config ? config : own, url, &conn) == WS_OK);
  ws_config_free(own);
  return conn;
}

static inline ends open_ends_with(const char *scheme, ws_config *client, const ws_config *server) {
  const uint64_t begun = ws_now();
  ends both = {listen_to(scheme, server), NULL, NULL};
  ws_status_t status;
  both.client = connect_to(scheme, both.listener, client);
  while (ws_get_state(both.client) != WS_STATE_OPEN || !both.server || ws_get_state(both.server) != WS_STATE_OPEN) {
    NEED(ws_now() - begun < 10000);
    status = ws_handshake(both.client);
    NEED(status == WS_OK || status == WS_ERR_WOULD_BLOCK);
    if (!both.server) ws_listener_accept(both.listener, &both.server);
    if (both.server) status = ws_handshake(both.server);
    NEED(status == WS_OK || status == WS_ERR_WOULD_BLOCK);
    nap(1);
  }
  return both;
}

static inline ends open_ends(const char *scheme) { return open_ends_with(scheme, NULL, NULL); }

static inline void free_ends(ends *both) {
  ws_free(both->client);
  ws_free(both->server);
  ws_listener_free(both->listener);
}

/* A connection over TCP with small buffers, and a bare socket at its other end. */
typedef struct line {
  ws_conn *conn;
  int own, peer;
} line;

static inline int connect_raw(int port) {
  struct sockaddr_in address;
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons((uint16_t)port);
  NEED(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
  return fd;
}

static inline line open_line(int32_t role, const ws_config *config) {
  struct sockaddr_in address;
  socklen_t len = sizeof address;
  const int small = 64 << 10, listening = socket(AF_INET, SOCK_STREAM, 0);
  line both;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  NEED(setsockopt(listening, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
  NEED(bind(listening, (struct sockaddr *)&address, len) == 0 && listen(listening, 1) == 0);
  NEED(getsockname(listening, (struct sockaddr *)&address, &len) == 0);
  both.own = connect_raw(ntohs(address.sin_port));
  both.peer = accept(listening, NULL, NULL);
  NEED(both.peer >= 0 && setsockopt(both.own, SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
  close(listening);
  both.conn = new_open(config, role);
  NEED(both.conn && ws_set_socket(both.conn, both.own) == WS_OK);
  return both;
}

static inline void free_line(line *both) {
  ws_free(both->conn);
  close(both->own);
  close(both->peer);
}

static inline int listen_raw(int *port) {
  struct sockaddr_in address;
  socklen_t len = sizeof address;
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  NEED(bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 16) == 0);
  NEED(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
  *port = ntohs(address.sin_port);
  return fd;
}

/* A client on its way over TLS, whose request is more than a TLS session keeps before it has shaken hands; `fd` is the bare
 * socket of its server, which says nothing. */
static inline ws_conn *connect_with_a_long_request(int blocking, int *fd) {
  static char value[100001];
  ws_config *config = config_with(WS_OPT_BLOCKING, (uint64_t)blocking);
  int port, listening = listen_raw(&port);
  ws_conn *conn = NULL;
  char url[64];
  memset(value, 'x', sizeof value - 1);
  NEED(ws_config_add_header(config, "X-Long", value) == WS_OK);
  NEED(ws_config_set_tls_roots(config, (const uint8_t *)authority, strlen(authority)) == WS_OK);
  snprintf(url, sizeof url, "wss://127.0.0.1:%d/", port);
  NEED(ws_connect(config, url, &conn) == WS_OK && (*fd = accept(listening, NULL, NULL)) >= 0);
  ws_config_free(config);
  close(listening);
  return conn;
}

static inline void say(int fd, const void *bytes, size_t len) {
  NEED(send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len);
}

static inline int32_t other_role(int32_t role) { return role == WS_CLIENT ? WS_SERVER : WS_CLIENT; }

/* The peer of a connection of this role sends a frame. */
static inline void send_frame(int fd, int32_t role, uint8_t first, const void *payload, size_t len) {
  uint8_t frame[256];
  const size_t size = put_frame(frame, other_role(role), first, payload, len);
  say(fd, frame, size);
}

static inline int is_readable(int fd, int ms) {
  struct pollfd poll_fd = {fd, POLLIN, 0};
  return poll(&poll_fd, 1, ms) == 1;
}

/* Whether the stream ends or breaks within this time; what comes before that is dropped. */
static inline int has_ended_within(int fd, int ms) {
  const uint64_t until = ws_now() + (uint64_t)ms;
  uint8_t scratch[4096];
  while (ws_now() < until)
    if (is_readable(fd, 20) && recv(fd, scratch, sizeof scratch, 0) <= 0) return 1;
  return 0;
}

/* A request as a client sends it. */
static const char a_request[] =
  "GET /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/* A connection that the library made, open or not, and the bare socket of its peer. */
typedef struct guest {
  ws_listener *listener;
  ws_conn *conn;
  int fd;
} guest;

static inline guest accept_raw(const char *scheme, const ws_config *config) {
  guest one = {listen_to(scheme, config), NULL, -1};
  const uint64_t begun = ws_now();
  one.fd = connect_raw(ws_listener_port(one.listener));
  while (ws_listener_accept(one.listener, &one.conn) != WS_OK) NEED(ws_now() - begun < 5000);
  return one;
}

/* With WS_CLIENT the connection is the client. */
static inline guest open_guest(int32_t role) {
  guest one = {NULL, NULL, -1};
  const uint64_t begun = ws_now();
  uint8_t bytes[4096];
  const uint8_t *data;
  size_t len, consumed;
  ssize_t n;
  if (role == WS_SERVER) {
    one = accept_raw("ws", NULL);
    say(one.fd, a_request, sizeof a_request - 1);
    while (ws_handshake(one.conn) == WS_ERR_WOULD_BLOCK) NEED(ws_now() - begun < 5000);
    NEED(recv(one.fd, bytes, sizeof bytes, 0) > 0);
  } else {
    int port, listening = listen_raw(&port);
    ws_config *config = config_with(WS_OPT_BLOCKING, 0);
    ws_conn *memory = NULL; /* works the response out */
    char url[64];
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/", port);
    NEED(ws_connect(config, url, &one.conn) == WS_OK && ws_server_new(NULL, &memory) == WS_OK);
    NEED((one.fd = accept(listening, NULL, NULL)) >= 0);
    close(listening);
    ws_config_free(config);
    while (ws_handshake(memory) == WS_ERR_WOULD_BLOCK) {
      NEED(ws_now() - begun < 5000);
      ws_handshake(one.conn);
      if (!is_readable(one.fd, 1)) continue;
      NEED((n = recv(one.fd, bytes, sizeof bytes, 0)) > 0 && ws_feed(memory, bytes, (size_t)n, &consumed) == WS_OK);
    }
    NEED(ws_output(memory, &data, &len) == WS_OK);
    say(one.fd, data, len);
    ws_free(memory);
    while (ws_handshake(one.conn) == WS_ERR_WOULD_BLOCK) NEED(ws_now() - begun < 5000);
  }
  NEED(ws_get_state(one.conn) == WS_STATE_OPEN);
  return one;
}

static inline void free_guest(guest *one) {
  ws_free(one->conn);
  ws_listener_free(one->listener);
  close(one->fd);
}

/* How long this process has computed, in ms. Under a checker nobody knows. */
static inline uint64_t cpu_ms(void) {
  struct timespec time;
  if (is_checked()) return 0;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* A call on a thread of its own. It has to be static: where the call does not return, its thread is left behind. */
typedef struct call {
  ws_conn *conn;
  ws_status_t (*make)(ws_conn *);
  ws_status_t status;
  uint64_t took; /* in ms */
  pthread_t thread;
  int schedstat; /* what the system knows of the thread's time */
  uint64_t busy;
  int ended;
} call;

/* How long the call has computed so far, or wanted to and waited for a processor, in ms: a loop in vain shows in that however
 * busy the machine is. Under a checker nobody knows. */
static inline uint64_t busy_ms(call *me) {
  char text[128] = "";
  unsigned long long ran, waited;
  if (is_checked()) return 0;
  if (pread(me->schedstat, text, sizeof text - 1, 0) > 0 && sscanf(text, "%llu %llu", &ran, &waited) == 2)
    me->busy = (ran + waited) / 1000000;
  return me->busy; /* once the thread has ended, what it was then */
}

static inline void *make_call(void *arg) {
  call *me = arg;
  const uint64_t begun = ws_now();
  me->schedstat = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC); /* fails where a test has no files left */
  me->status = me->make(me->conn);
  me->took = ws_now() - begun;
  busy_ms(me);
  __atomic_store_n(&me->ended, 1, __ATOMIC_SEQ_CST);
  return NULL;
}

static inline void begin_call(call *me, ws_conn *conn, ws_status_t (*make)(ws_conn *)) {
  memset(me, 0, sizeof *me);
  me->conn = conn;
  me->make = make;
  me->schedstat = -1;
  NEED(pthread_create(&me->thread, NULL, make_call, me) == 0);
}

static inline int has_ended(call *me) { return __atomic_load_n(&me->ended, __ATOMIC_SEQ_CST); }

/* Whether it returns within this time from now. */
static inline int ends_within(call *me, int ms) {
  const uint64_t until = ws_now() + (uint64_t)ms;
  while (!has_ended(me) && ws_now() < until) nap(2);
  if (!has_ended(me)) return 0;
  pthread_join(me->thread, NULL);
  if (me->schedstat >= 0) close(me->schedstat);
  me->schedstat = -1;
  return 1;
}

/* Whether a time in ms lies between these two. A checker slows everything down, so that nothing is late then. */
static inline int is_between(uint64_t ms, uint64_t least, uint64_t most) {
  return ms >= least && (ms <= most || is_checked());
}

/* What tests of waiting and reporting call. */

enum { LARGE = 8 << 20, SOON = 400, A_WHILE = 300 }; /* more than buffers hold; in ms: at once, and long enough to see */

static uint8_t large[LARGE];

static inline ws_status_t write_large(ws_conn *conn) { return ws_write_message(conn, WS_BINARY, large, sizeof large); }

static inline ws_status_t write_little(ws_conn *conn) { return ws_write_message(conn, WS_TEXT, "words", 5); }

static inline ws_status_t queue_little(ws_conn *conn) { return ws_queue_message(conn, WS_TEXT, "words", 5); }

static inline ws_status_t queue_a_close(ws_conn *conn) { return ws_queue_message(conn, WS_CLOSE, NULL, 0); }

static inline ws_status_t close_it(ws_conn *conn) { return ws_close(conn, 1000, NULL, 0); }

static inline ws_status_t read_next(ws_conn *conn) {
  const ws_message *message;
  return ws_read_message(conn, &message);
}

/* Until there is nothing more, for now or for ever. */
static inline ws_status_t read_all(ws_conn *conn) {
  ws_status_t status;
  while ((status = read_next(conn)) == WS_OK) continue;
  return status;
}

static inline ws_status_t do_nothing(ws_conn *conn) {
  (void)conn;
  return WS_OK;
}

static inline void set(ws_conn *conn, int32_t option, uint64_t value) {
  NEED(ws_set_option(conn, option, value) == WS_OK);
}

static inline ws_poller *poller_of(ws_conn *conn, uint64_t token) {
  ws_poller *poller = NULL;
  NEED(ws_poller_new(&poller) == WS_OK && ws_poller_add(poller, conn, token) == WS_OK);
  return poller;
}

/* Whether this token, and no other one, is reported within this time. */
static inline int is_reported(ws_poller *poller, uint64_t token, int ms) {
  uint64_t got = ~token;
  size_t count;
  return ws_poller_wait(poller, &got, 1, ms, &count) == WS_OK && count == 1 && got == token;
}

/* How often a poller reports anything for some time, where `act` is called on `conn` each time. */
static inline int reports_within(int ms, ws_poller *poller, ws_conn *conn, ws_status_t (*act)(ws_conn *)) {
  const uint64_t until = ws_now() + (uint64_t)ms;
  uint64_t token, now;
  size_t count;
  int reports = 0;
  while ((now = ws_now()) < until) {
    if (ws_poller_wait(poller, &token, 1, (int32_t)(until - now), &count) != WS_OK) continue;
    reports += (int)count;
    act(conn);
  }
  return reports;
}

/* The same for ws_wait(). */
static inline int waits_within(int ms, ws_conn *conn, ws_status_t (*act)(ws_conn *)) {
  const uint64_t until = ws_now() + (uint64_t)ms;
  uint64_t now;
  int reports = 0;
  while ((now = ws_now()) < until) {
    if (ws_wait(conn, (int32_t)(until - now)) != WS_OK) continue;
    reports++;
    act(conn);
  }
  return reports;
}

#endif
