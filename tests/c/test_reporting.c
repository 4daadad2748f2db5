/* What a poller reports, and what ends a wait: a token for as long as a call on its connection could do something that the
 * last one could not, and never for nothing. One call of the system is made to fail. */

#define _DEFAULT_SOURCE /* syscall() */
#include "peer.h"

#include <errno.h>
#include <sys/syscall.h>

static void a_first_byte(const char *scheme, const char *byte, ws_status_t (*act)(ws_conn *)) {
  guest one = accept_raw(scheme, NULL);
  ws_poller *poller = poller_of(one.conn, 7);
  CHECK(reports_within(100, poller, one.conn, act) <= 2);
  say(one.fd, byte, 1);
  CHECK(reports_within(A_WHILE, poller, one.conn, act) <= 2);
  CHECK_IS(ws_get_state(one.conn), WS_STATE_CONNECTING);
  free_guest(&one);
  ws_poller_free(poller);
}

static void one_byte_of_a_tls_session_does_not_make_a_poller_spin(void) { a_first_byte("wss", "\x16", read_all); }

/* A client whose server, or proxy, has answered with one byte. */
static void a_first_byte_of_an_answer(const char *proxy, const char *byte, int with_poller) {
  ws_config *config = config_with(WS_OPT_BLOCKING, 0);
  int port, listening = listen_raw(&port), fd;
  char url[64], proxy_url[64];
  ws_conn *conn = NULL;
  ws_poller *poller;
  uint8_t scratch[4096];
  snprintf(url, sizeof url, "ws://127.0.0.1:%d/", port);
  if (proxy) {
    snprintf(proxy_url, sizeof proxy_url, "%s://127.0.0.1:%d", proxy, port);
    NEED(ws_config_set_proxy(config, proxy_url) == WS_OK);
  }
  NEED(ws_connect(config, url, &conn) == WS_OK);
  NEED((fd = accept(listening, NULL, NULL)) >= 0);
  poller = poller_of(conn, 7);
  if (!with_poller) NEED(ws_poller_remove(poller, conn) == WS_OK);
  CHECK((with_poller ? reports_within(100, poller, conn, read_all) : waits_within(100, conn, read_all)) <= 3);
  NEED(recv(fd, scratch, sizeof scratch, 0) > 0); /* what it asks for */
  say(fd, byte, 1);
  CHECK((with_poller ? reports_within(A_WHILE, poller, conn, read_all) : waits_within(A_WHILE, conn, read_all)) <= 2);
  CHECK_IS(ws_get_state(conn), WS_STATE_CONNECTING);
  ws_free(conn);
  ws_poller_free(poller);
  ws_config_free(config);
  close(fd);
  close(listening);
}

static void one_byte_of_a_proxys_answer_does_not_make_a_poller_spin(void) {
  TRY(a_first_byte_of_an_answer("http", "H", 1));
  TRY(a_first_byte_of_an_answer("socks5", "\x05", 1));
}

/* A decision that nobody makes: the deadline is news. */
static void a_request_that_waits_for_too_long_is_reported(void) {
  ws_config *config = config_with(WS_OPT_AUTO_ACCEPT, 0);
  const uint64_t begun = ws_now();
  ws_status_t status = WS_OK;
  uint64_t token;
  size_t count;
  ws_poller *poller;
  guest one;
  NEED(ws_config_set(config, WS_OPT_BLOCKING, 0) == WS_OK);
  NEED(ws_config_set(config, WS_OPT_HANDSHAKE_TIMEOUT_MS, 300) == WS_OK);
  one = accept_raw("ws", config);
  poller = poller_of(one.conn, 7);
  say(one.fd, a_request, sizeof a_request - 1);
  while (status != WS_ERR_TIMEOUT && ws_now() - begun < 3000) {
    if (ws_poller_wait(poller, &token, 1, 3000, &count) != WS_OK) continue;
    status = ws_handshake(one.conn);
    CHECK(status == WS_OK || status == WS_ERR_WOULD_BLOCK || status == WS_ERR_TIMEOUT);
  }
  CHECK_IS(status, WS_ERR_TIMEOUT);
  CHECK(is_between(ws_now() - begun, 250, 300 + SOON));
  free_guest(&one);
  ws_poller_free(poller);
  ws_config_free(config);
}

/* What the system refuses. */

static int refusal;

/* Takes the place of the C library's. */
int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);
int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags) {
  if (refusal) {
    errno = refusal;
    return -1;
  }
  return (int)syscall(SYS_accept4, fd, address, len, flags);
}

static ws_listener *busy_listener;

static ws_status_t accept_once(ws_conn *unused) {
  ws_conn *conn;
  (void)unused;
  EXPECT_IS(ws_listener_accept(busy_listener, &conn), WS_ERR_IO);
  return WS_OK;
}

static void a_listener_that_cannot_accept_is_reported_after_a_moment(void) {
  const int refusals[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS};
  ws_poller *poller;
  ws_conn *conn = NULL;
  size_t i;
  busy_listener = listen_to("ws", NULL);
  NEED(ws_poller_new(&poller) == WS_OK && ws_poller_add_listener(poller, busy_listener, 7) == WS_OK);
  for (i = 0; i < LENGTH(refusals); i++) {
    const int fd = connect_raw(ws_listener_port(busy_listener));
    int reports;
    refusal = refusals[i];
    reports = reports_within(A_WHILE, poller, NULL, accept_once);
    CHECK(reports >= 2 && reports <= 5);
    refusal = 0;
    CHECK(is_reported(poller, 7, SOON));
    CHECK_IS(ws_listener_accept(busy_listener, &conn), WS_OK);
    ws_free(conn);
    close(fd);
  }
  ws_listener_free(busy_listener);
  ws_poller_free(poller);
}

int main(int argc, char **argv) {
  check_begin(argc, argv);
  RUN(one_byte_of_a_tls_session_does_not_make_a_poller_spin);
  RUN(one_byte_of_a_proxys_answer_does_not_make_a_poller_spin);
  RUN(a_request_that_waits_for_too_long_is_reported);
  RUN(a_listener_that_cannot_accept_is_reported_after_a_moment);
  return check_end();
}
