/* What a poller reports, and what ends a wait: a token for as long as a call on its connection could do something that the
 * last one could not, and never for nothing. Some calls of the system are made up here, to be slow or to fail. */

#define _GNU_SOURCE
#include "peer.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* Bytes that complete nothing. */

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

static void one_byte_of_a_request_does_not_make_a_poller_spin(void) {
  TRY(a_first_byte("ws", "G", read_all));
  TRY(a_first_byte("ws", "G", ws_handshake));
}

static void one_byte_of_a_request_does_not_make_ws_wait_spin(void) {
  guest one = accept_raw("ws", NULL);
  CHECK(waits_within(100, one.conn, read_all) <= 2);
  say(one.fd, "G", 1);
  CHECK(waits_within(A_WHILE, one.conn, read_all) <= 2);
  free_guest(&one);
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

static void one_byte_of_a_response_does_not_make_a_poller_spin(void) { a_first_byte_of_an_answer(NULL, "H", 1); }

static void one_byte_of_a_response_does_not_make_ws_wait_spin(void) { a_first_byte_of_an_answer(NULL, "H", 0); }

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

/* Byte by byte: each is reported once, and nothing is lost on the way. */
static void a_request_that_trickles_in_is_reported_once_a_byte(void) {
  guest one = accept_raw("ws", NULL);
  ws_poller *poller = poller_of(one.conn, 7);
  uint8_t scratch[4096];
  size_t i;
  CHECK(reports_within(100, poller, one.conn, read_all) <= 2);
  for (i = 0; i < sizeof a_request - 1; i++) {
    say(one.fd, a_request + i, 1);
    CHECK(reports_within(3, poller, one.conn, read_all) <= 2);
  }
  CHECK(is_readable(one.fd, SOON));
  CHECK(recv(one.fd, scratch, sizeof scratch, 0) > 12 && memcmp(scratch, "HTTP/1.1 101", 12) == 0);
  CHECK_IS(ws_get_state(one.conn), WS_STATE_OPEN);
  free_guest(&one);
  ws_poller_free(poller);
}

/* A request that waits for a decision. */

static guest accept_request(const char *behind, size_t len) {
  ws_config *config = config_with(WS_OPT_AUTO_ACCEPT, 0);
  guest one;
  ws_status_t status = WS_ERR_WOULD_BLOCK;
  const uint64_t begun = ws_now();
  NEED(ws_config_set(config, WS_OPT_BLOCKING, 0) == WS_OK);
  one = accept_raw("ws", config);
  ws_config_free(config);
  say(one.fd, a_request, sizeof a_request - 1);
  if (len > 0) say(one.fd, behind, len);
  while (ws_get_state(one.conn) != WS_STATE_REQUEST) {
    NEED(status == WS_ERR_WOULD_BLOCK && ws_now() - begun < 5000);
    status = ws_handshake(one.conn);
  }
  return one;
}

static void a_pending_decision(const char *behind, size_t len, ws_status_t (*act)(ws_conn *)) {
  guest one = accept_request(behind, len);
  ws_poller *poller = poller_of(one.conn, 7);
  CHECK(reports_within(100, poller, one.conn, act) <= 3);
  CHECK(reports_within(A_WHILE, poller, one.conn, act) <= 1);
  CHECK_IS(ws_get_state(one.conn), WS_STATE_REQUEST);
  CHECK_IS(ws_accept(one.conn, NULL), WS_OK);
  if (len == 0) say(one.fd, "\x81\x82\0\0\0\0hi", 8);
  CHECK(is_reported(poller, 7, SOON));
  CHECK_IS(read_next(one.conn), WS_OK);
  free_guest(&one);
  ws_poller_free(poller);
}

static void a_request_that_waits_for_a_decision_does_not_make_a_poller_spin(void) {
  TRY(a_pending_decision("", 0, ws_handshake));
  TRY(a_pending_decision("", 0, do_nothing));
  TRY(a_pending_decision("", 0, read_next));
}

static void a_message_behind_a_request_that_waits_for_a_decision_is_reported_after_it(void) {
  TRY(a_pending_decision("\x81\x82\0\0\0\0hi", 8, ws_handshake));
  TRY(a_pending_decision("\x81\x82\0\0\0\0hi", 8, do_nothing));
}

/* What comes behind it while it waits is nothing to be done either. */
static void a_message_that_comes_while_a_decision_is_pending_does_not_make_a_poller_spin(void) {
  guest one = accept_request("", 0);
  ws_poller *poller = poller_of(one.conn, 7);
  CHECK(reports_within(100, poller, one.conn, ws_handshake) <= 3);
  say(one.fd, "\x81\x82\0\0\0\0hi", 8);
  CHECK(reports_within(A_WHILE, poller, one.conn, ws_handshake) <= 2);
  CHECK_IS(ws_accept(one.conn, NULL), WS_OK);
  CHECK(is_reported(poller, 7, SOON));
  CHECK_IS(read_next(one.conn), WS_OK);
  free_guest(&one);
  ws_poller_free(poller);
}

static void a_request_that_waits_for_a_decision_does_not_make_ws_wait_spin(void) {
  guest one = accept_request("", 0);
  CHECK(waits_within(A_WHILE, one.conn, ws_handshake) <= 3);
  CHECK_IS(ws_accept(one.conn, NULL), WS_OK);
  say(one.fd, "\x81\x82\0\0\0\0hi", 8);
  CHECK_IS(ws_wait(one.conn, SOON), WS_OK);
  CHECK_IS(read_next(one.conn), WS_OK);
  free_guest(&one);
}

/* A refusal that has left: its client is to go, and does not. */
static void a_refusal_that_has_been_sent_does_not_make_a_poller_spin(void) {
  guest one = accept_request("", 0);
  ws_poller *poller = poller_of(one.conn, 7);
  reports_within(50, poller, one.conn, ws_handshake);
  CHECK_IS(ws_reject(one.conn, 404, "no", 2), WS_OK);
  ws_write_pending(one.conn);
  CHECK(is_readable(one.fd, SOON));
  CHECK(reports_within(A_WHILE, poller, one.conn, ws_write_pending) <= 3);
  free_guest(&one);
  ws_poller_free(poller);
}

static void a_refusal_that_has_been_sent_does_not_make_ws_wait_spin(void) {
  guest one = accept_request("", 0);
  CHECK_IS(ws_reject(one.conn, 404, "no", 2), WS_OK);
  ws_write_pending(one.conn);
  CHECK(is_readable(one.fd, SOON));
  CHECK(waits_within(A_WHILE, one.conn, ws_write_pending) <= 3);
  free_guest(&one);
}

/* Tokens. */

enum { FOUR = 4 };

/* Four are ready, and find no room at once. One that has not been reported goes, and another one comes to its place. */
static void freed_amid_reports(size_t capacity, int victim, int free_it) {
  line all[FOUR + 1];
  ws_poller *poller;
  uint64_t tokens[FOUR];
  size_t count, i;
  int seen[FOUR + 1] = {0}, gone = -1, turns;
  CHECK_IS(ws_poller_new(&poller), WS_OK);
  for (i = 0; i <= FOUR; i++) all[i] = open_line(WS_SERVER, NULL);
  for (i = 0; i < FOUR; i++) CHECK_IS(ws_poller_add(poller, all[i].conn, 100 + i), WS_OK);
  while (ws_poller_wait(poller, tokens, FOUR, 50, &count) == WS_OK)
    for (i = 0; i < count; i++) CHECK_IS(read_all(all[tokens[i] - 100].conn), WS_ERR_WOULD_BLOCK);
  for (i = 0; i <= FOUR; i++) send_frame(all[i].peer, WS_SERVER, 0x81, "news", 4);
  nap(20);
  for (turns = 0; turns < 20; turns++) {
    if (ws_poller_wait(poller, tokens, capacity, 100, &count) != WS_OK) break;
    for (i = 0; i < count; i++) {
      const uint64_t place = tokens[i] - 100;
      CHECK(place <= FOUR && (int)place != gone);
      seen[place]++;
      CHECK_IS(read_all(all[place].conn), WS_ERR_WOULD_BLOCK);
    }
    if (gone >= 0) continue;
    for (i = 0; i < FOUR; i++) /* of those that wait for their report, the one in question */
      if (seen[i] == 0 && victim-- == 0) gone = (int)i;
    NEED(gone >= 0);
    if (free_it) {
      ws_free(all[gone].conn);
      all[gone].conn = NULL;
    } else {
      CHECK_IS(ws_poller_remove(poller, all[gone].conn), WS_OK);
    }
    CHECK_IS(ws_poller_add(poller, all[FOUR].conn, 100 + FOUR), WS_OK);
  }
  CHECK(turns < 20);
  for (i = 0; i <= FOUR; i++) CHECK_IS(seen[i], (int)i != gone);
  for (i = 0; i <= FOUR; i++) free_line(&all[i]);
  ws_poller_free(poller);
}

static void each_token_comes_once_and_none_of_a_freed_connection(void) {
  size_t capacity;
  int victim, how;
  for (capacity = 1; capacity < FOUR; capacity++)
    for (victim = 0; victim < FOUR - (int)capacity; victim++)
      for (how = 0; how < 2; how++) TRY(freed_amid_reports(capacity, victim, how));
}

/* Two are ready where there is room for one; what the other one had to say is read before its turn comes. */
static void a_connection_that_found_no_room_and_was_read_meanwhile_is_not_reported(void) {
  line both[2];
  ws_poller *poller;
  uint64_t token;
  size_t count, i;
  CHECK_IS(ws_poller_new(&poller), WS_OK);
  for (i = 0; i < 2; i++) {
    both[i] = open_line(WS_SERVER, NULL);
    CHECK_IS(ws_poller_add(poller, both[i].conn, i), WS_OK);
    CHECK(reports_within(30, poller, both[i].conn, read_all) <= 2);
  }
  for (i = 0; i < 2; i++) send_frame(both[i].peer, WS_SERVER, 0x81, "news", 4);
  nap(20);
  CHECK_IS(ws_poller_wait(poller, &token, 1, SOON, &count), WS_OK);
  for (i = 0; i < 2; i++) CHECK_IS(read_all(both[i].conn), WS_ERR_WOULD_BLOCK);
  CHECK_IS(ws_poller_wait(poller, &token, 1, 50, &count), WS_ERR_WOULD_BLOCK);
  for (i = 0; i < 2; i++) send_frame(both[i].peer, WS_SERVER, 0x81, "more", 4);
  for (i = 0; i < 2; i++) {
    CHECK_IS(ws_poller_wait(poller, &token, 1, SOON, &count), WS_OK);
    CHECK_IS(read_all(both[token].conn), WS_ERR_WOULD_BLOCK);
  }
  CHECK_IS(ws_poller_wait(poller, &token, 1, 50, &count), WS_ERR_WOULD_BLOCK);
  for (i = 0; i < 2; i++) free_line(&both[i]);
  ws_poller_free(poller);
}

/* Any thread may add, remove and wake. */

static struct {
  ws_poller *poller[2];
  ws_conn *conn;
  int ends;
} shared;

static int goes_on(void) { return !__atomic_load_n(&shared.ends, __ATOMIC_SEQ_CST); }

/* Whoever has added it to a poller that nobody else removes it from can remove it. */
static void *add_and_remove(void *arg) {
  ws_poller *poller = arg;
  while (goes_on()) {
    const ws_status_t status = ws_poller_add(poller, shared.conn, 7);
    if (status == WS_ERR_MISUSE) continue;
    if (!EXPECT_IS(status, WS_OK) || !EXPECT_IS(ws_poller_remove(poller, shared.conn), WS_OK)) break;
  }
  return NULL;
}

static void *keep_adding(void *poller) {
  while (goes_on()) {
    const ws_status_t status = ws_poller_add(poller, shared.conn, 7);
    if (status != WS_ERR_MISUSE && !EXPECT_IS(status, WS_OK)) break;
  }
  return NULL;
}

static void *keep_removing(void *poller) {
  while (goes_on()) {
    const ws_status_t status = ws_poller_remove(poller, shared.conn);
    if (status != WS_ERR_MISUSE && !EXPECT_IS(status, WS_OK)) break;
  }
  return NULL;
}

/* For a while both threads go on at once, beside one that waits; then nothing of the connection is left anywhere. */
static void at_once(void *(*first)(void *), void *(*second)(void *), int two_pollers) {
  guest one = open_guest(WS_SERVER);
  pthread_t threads[2];
  const uint64_t begun = ws_now();
  uint64_t token;
  size_t count;
  int i;
  for (i = 0; i < 2; i++) NEED(ws_poller_new(&shared.poller[i]) == WS_OK);
  shared.conn = one.conn;
  shared.ends = 0;
  NEED(pthread_create(&threads[0], NULL, first, shared.poller[0]) == 0);
  NEED(pthread_create(&threads[1], NULL, second, shared.poller[two_pollers]) == 0);
  while (ws_now() - begun < 200) {
    ws_poller_wait(shared.poller[0], &token, 1, 1, &count);
    ws_poller_wait(shared.poller[1], &token, 1, 0, &count);
  }
  __atomic_store_n(&shared.ends, 1, __ATOMIC_SEQ_CST);
  for (i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  ws_poller_remove(shared.poller[0], one.conn); /* unless it is with none */
  CHECK_IS(ws_poller_add(shared.poller[1], one.conn, 8), WS_OK);
  CHECK_IS(ws_poller_remove(shared.poller[1], one.conn), WS_OK);
  CHECK_IS(ws_poller_add(shared.poller[0], one.conn, 9), WS_OK);
  ws_free(one.conn);
  one.conn = NULL;
  CHECK(has_ended_within(one.fd, 1000)); /* the socket is closed */
  for (i = 0; i < 2; i++) CHECK_IS(ws_poller_wait(shared.poller[i], &token, 1, 10, &count), WS_ERR_WOULD_BLOCK);
  for (i = 0; i < 2; i++) ws_poller_free(shared.poller[i]);
  free_guest(&one);
}

static void adding_and_removing_a_connection_at_once_leaves_it_with_the_poller_or_without(void) {
  int i;
  for (i = 0; i < 5; i++) TRY(at_once(keep_adding, keep_removing, 0));
}

static void a_connection_that_was_added_can_be_removed_while_another_poller_adds_and_removes_it(void) {
  int i;
  for (i = 0; i < 5; i++) TRY(at_once(add_and_remove, add_and_remove, 1));
}

/* The number of a descriptor comes again. */
static void a_connection_with_the_descriptor_that_another_one_had_while_connecting_is_reported(void) {
  ws_listener *listener = listen_to("ws", NULL);
  const uint64_t begun = ws_now();
  const int fd = connect_raw(ws_listener_port(listener)); /* first in the queue */
  ws_conn *settles = connect_to("ws", listener, NULL), *accepted = NULL;
  ws_poller *poller = poller_of(settles, 1);
  ws_socket before = ws_get_socket(settles);
  while (ws_get_socket(settles) == before && ws_now() - begun < 2000) {
    CHECK_IS(read_next(settles), WS_ERR_WOULD_BLOCK);
    nap(5);
  }
  CHECK_IS(ws_listener_accept(listener, &accepted), WS_OK);
  CHECK_IS(ws_poller_add(poller, accepted, 2), WS_OK);
  ws_free(settles);
  reports_within(100, poller, accepted, read_all);
  say(fd, a_request, sizeof a_request - 1);
  CHECK(is_reported(poller, 2, SOON));
  CHECK_IS(read_next(accepted), WS_ERR_WOULD_BLOCK);
  CHECK_IS(ws_get_state(accepted), WS_STATE_OPEN);
  ws_free(accepted);
  ws_listener_free(listener);
  ws_poller_free(poller);
  close(fd);
}

/* An opening that one call completes: what is sent takes its time, and the peer has answered by then. */

static struct {
  pthread_t thread;
  int ms;
} slow_sender;

#ifndef _WIN32 /* where the tests below have a sender that is not slow */
static ssize_t next_send(int fd, const void *buf, size_t len, int flags) {
  ssize_t (*next)(int, const void *, size_t, int);
  *(void **)&next = dlsym(RTLD_NEXT, "send");
  return next(fd, buf, len, flags);
}

/* These take the place of the C library's. */
ssize_t send(int fd, const void *buf, size_t len, int flags) {
  const ssize_t sent = next_send(fd, buf, len, flags);
  const int ms = __atomic_load_n(&slow_sender.ms, __ATOMIC_SEQ_CST);
  if (ms > 0 && pthread_equal(pthread_self(), slow_sender.thread)) nap(ms);
  return sent;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  ssize_t sent, (*next)(int, const struct msghdr *, int);
  const int ms = __atomic_load_n(&slow_sender.ms, __ATOMIC_SEQ_CST);
  *(void **)&next = dlsym(RTLD_NEXT, "sendmsg");
  sent = next(fd, message, flags);
  if (ms > 0 && pthread_equal(pthread_self(), slow_sender.thread)) nap(ms);
  return sent;
}
#endif

static struct {
  ws_listener *listener;
  int is_open, goes_on;
} greeter;

/* Takes a connection, and sends a message when told to. */
static void *greet(void *arg) {
  ws_conn *conn = NULL;
  const uint64_t until = ws_now() + 10000;
  (void)arg;
  while (!conn && ws_now() < until)
    if (ws_listener_accept(greeter.listener, &conn) != WS_OK) nap(1);
  while (conn && ws_handshake(conn) == WS_ERR_WOULD_BLOCK && ws_now() < until) ws_wait(conn, 100);
  __atomic_store_n(&greeter.is_open, 1, __ATOMIC_SEQ_CST);
  while (!__atomic_load_n(&greeter.goes_on, __ATOMIC_SEQ_CST) && ws_now() < until) nap(1);
  if (conn) EXPECT_IS(ws_write_message(conn, WS_TEXT, "welcome", 7), WS_OK);
  while (__atomic_load_n(&greeter.goes_on, __ATOMIC_SEQ_CST) < 2 && ws_now() < until) nap(1);
  ws_free(conn);
  return NULL;
}

/* `others`: the poller has a connection whose deadline comes first. */
static void an_opening_within_one_call(const char *scheme, uint64_t timeout, ws_status_t (*act)(ws_conn *), int others) {
  ws_config *config = config_with(WS_OPT_BLOCKING, 0);
  line bystander = open_line(WS_SERVER, NULL);
  ws_conn *conn;
  ws_poller *poller;
  pthread_t thread;
  uint64_t token, begun;
  size_t count;
  ws_status_t status = WS_ERR_WOULD_BLOCK;
  NEED(ws_config_set(config, WS_OPT_HANDSHAKE_TIMEOUT_MS, timeout) == WS_OK);
  memset(&greeter, 0, sizeof greeter);
  greeter.listener = listen_to(scheme, NULL);
  NEED(pthread_create(&thread, NULL, greet, NULL) == 0);
  conn = connect_to(scheme, greeter.listener, config);
  poller = poller_of(conn, 7);
  set(bystander.conn, WS_OPT_PING_INTERVAL_MS, 5000);
  if (others) CHECK_IS(ws_poller_add(poller, bystander.conn, 8), WS_OK);
  nap(200); /* TCP is there, and so are the certificates to trust */
  do CHECK_IS(ws_poller_wait(poller, &token, 1, 2000, &count), WS_OK);
  while (token != 7);
  slow_sender.thread = pthread_self();
  __atomic_store_n(&slow_sender.ms, 100, __ATOMIC_SEQ_CST);
  act(conn);
  __atomic_store_n(&slow_sender.ms, 0, __ATOMIC_SEQ_CST);
  /* Over TLS it may be known that there was nothing more to receive just then. */
  while (ws_get_state(conn) != WS_STATE_OPEN && ws_poller_wait(poller, &token, 1, 2000, &count) == WS_OK)
    if (token == 7) act(conn);
  NEED(ws_get_state(conn) == WS_STATE_OPEN);
  while (ws_poller_wait(poller, &token, 1, 50, &count) == WS_OK)
    CHECK_IS(read_next(token == 7 ? conn : bystander.conn), WS_ERR_WOULD_BLOCK);
  __atomic_store_n(&greeter.goes_on, 1, __ATOMIC_SEQ_CST);
  begun = ws_now();
  while (status == WS_ERR_WOULD_BLOCK && ws_now() - begun < 1500)
    if (ws_poller_wait(poller, &token, 1, 1500, &count) == WS_OK && token == 7) status = read_next(conn);
  CHECK_IS(status, WS_OK);
  CHECK(is_between(ws_now() - begun, 0, SOON));
  __atomic_store_n(&greeter.goes_on, 2, __ATOMIC_SEQ_CST);
  pthread_join(thread, NULL);
  ws_free(conn);
  free_line(&bystander);
  ws_poller_free(poller);
  ws_listener_free(greeter.listener);
  ws_config_free(config);
}

static void a_message_after_an_opening_that_one_call_completed_is_reported_at_once(void) {
  TRY(an_opening_within_one_call("ws", 10000, ws_handshake, 1));
  TRY(an_opening_within_one_call("ws", 10000, read_next, 1));
}

static void a_message_after_an_opening_that_one_call_completed_is_reported_without_deadlines_too(void) {
  TRY(an_opening_within_one_call("ws", 0, ws_handshake, 0));
  TRY(an_opening_within_one_call("ws", 0, read_next, 0));
}

static void a_message_after_an_opening_over_tls_that_one_call_completed_is_reported_at_once(void) {
  TRY(an_opening_within_one_call("wss", 10000, ws_handshake, 1));
  TRY(an_opening_within_one_call("wss", 10000, read_next, 1));
}

/* A connection whose lock is held for seconds holds up nobody else on its poller. */

enum { HEAVY = 60 << 20 };

static uint8_t *heavy;

static ws_status_t write_heavy(ws_conn *conn) { return ws_write_message(conn, WS_BINARY, heavy, HEAVY); }

/* Words in no order: hard work for a compressor. */
static void fill_heavy(void) {
  uint32_t seed = 1;
  size_t i;
  NEED((heavy = malloc(HEAVY)) != NULL);
  for (i = 0; i < HEAVY; i++) {
    seed = seed * 1664525 + 1013904223;
    heavy[i] = (uint8_t)("etaoin shrdlu"[(seed >> 24) % 13]);
  }
}

enum how_it_is_asked { BY_AN_EVENT, BY_THE_LAST_REPORT, BY_A_DEADLINE };

static void a_bystander_of(enum how_it_is_asked how) {
  static call writer;
  ws_config *config = config_with(WS_OPT_DEFLATE, 1), *server = config_with(WS_OPT_DEFLATE, 1);
  ends busy;
  line other = open_line(WS_SERVER, NULL);
  ws_poller *poller;
  uint64_t token, begun;
  size_t count;
  NEED(ws_config_set(server, WS_OPT_DEFLATE_LEVEL, 9) == WS_OK && ws_config_set(server, WS_OPT_BLOCKING, 0) == WS_OK);
  NEED(ws_config_set(server, WS_OPT_MAX_SEND_BYTES, 0) == WS_OK && ws_config_set(config, WS_OPT_BLOCKING, 0) == WS_OK);
  busy = open_ends_with("ws", config, server);
  poller = poller_of(busy.server, 1);
  CHECK_IS(ws_poller_add(poller, other.conn, 2), WS_OK);
  while (ws_poller_wait(poller, &token, 1, 50, &count) == WS_OK) read_all(token == 1 ? busy.server : other.conn);
  if (how == BY_THE_LAST_REPORT) {
    CHECK_IS(ws_write_message(busy.client, WS_TEXT, "news", 4), WS_OK);
    CHECK(is_reported(poller, 1, SOON));
    CHECK_IS(read_all(busy.server), WS_ERR_WOULD_BLOCK);
  }
  if (how == BY_A_DEADLINE) {
    set(busy.server, WS_OPT_PING_INTERVAL_MS, 150);
    while (ws_poller_wait(poller, &token, 1, 20, &count) == WS_OK) read_all(token == 1 ? busy.server : other.conn);
  }
  begin_call(&writer, busy.server, write_heavy);
  nap(150);
  if (how == BY_AN_EVENT) CHECK_IS(ws_write_message(busy.client, WS_TEXT, "news", 4), WS_OK);
  nap(20);
  send_frame(other.peer, WS_SERVER, 0x81, "quick", 5);
  begun = ws_now();
  token = 0;
  while (token != 2 && ws_now() - begun < 20000) ws_poller_wait(poller, &token, 1, 100, &count);
  CHECK(is_between(ws_now() - begun, 0, SOON));
  NEED(!has_ended(&writer)); /* or there was nothing to be held up by */
  CHECK_IS(read_next(other.conn), WS_OK);
  CHECK(ends_within(&writer, 60000));
  CHECK_IS(writer.status, WS_OK);
  free_ends(&busy);
  free_line(&other);
  ws_poller_free(poller);
  ws_config_free(config);
  ws_config_free(server);
}

static void a_poller_is_not_held_up(enum how_it_is_asked how) {
  if (is_checked()) return; /* everything is, there */
  fill_heavy();
  a_bystander_of(how);
  free(heavy);
}

static void a_poller_that_hears_of_a_connection_that_compresses_is_not_held_up(void) {
  a_poller_is_not_held_up(BY_AN_EVENT);
}

static void a_poller_that_has_reported_a_connection_that_compresses_is_not_held_up(void) {
  a_poller_is_not_held_up(BY_THE_LAST_REPORT);
}

static void a_poller_with_a_deadline_of_a_connection_that_compresses_is_not_held_up(void) {
  a_poller_is_not_held_up(BY_A_DEADLINE);
}

/* Whoever leaves output, or begins to close, tells the poller. */

static ws_status_t queue_soon(ws_conn *conn) {
  nap(150);
  return queue_little(conn);
}

static ws_status_t close_soon(ws_conn *conn) {
  nap(150);
  return queue_a_close(conn);
}

/* An idle connection that a poller has nothing to report of. */
static ws_poller *poller_of_idle(line *both, int32_t role) {
  ws_config *config = config_with(WS_OPT_CLOSE_TIMEOUT_MS, 100);
  ws_poller *poller;
  *both = open_line(role, config);
  ws_config_free(config);
  poller = poller_of(both->conn, 7);
  NEED(reports_within(50, poller, both->conn, read_all) <= 2);
  return poller;
}

static void is_sent(line *both, ws_poller *poller, uint8_t first) {
  uint8_t frame[64];
  CHECK(is_reported(poller, 7, SOON));
  CHECK_IS(ws_write_pending(both->conn), WS_OK);
  CHECK(is_readable(both->peer, SOON));
  CHECK(recv(both->peer, frame, sizeof frame, 0) > 1);
  CHECK_IS(frame[0], first);
}

static void a_text_that_is_queued_on_an_idle_connection_is_reported(void) {
  int32_t role;
  for (role = WS_CLIENT; role <= WS_SERVER; role++) {
    line both;
    ws_poller *poller = poller_of_idle(&both, role);
    CHECK_IS(queue_little(both.conn), WS_OK);
    TRY(is_sent(&both, poller, 0x81));
    CHECK(reports_within(100, poller, both.conn, read_all) <= 1);
    free_line(&both);
    ws_poller_free(poller);
  }
}

static void times_out(line *both, ws_poller *poller) {
  const uint64_t begun = ws_now();
  ws_status_t status = WS_ERR_WOULD_BLOCK;
  while (status == WS_ERR_WOULD_BLOCK && ws_now() - begun < 2000)
    if (is_reported(poller, 7, 1000)) status = read_next(both->conn);
  CHECK_IS(status, WS_ERR_TIMEOUT);
  CHECK(is_between(ws_now() - begun, 0, 100 + SOON));
}

static void a_close_that_is_queued_on_an_idle_connection_is_reported_and_times_out(void) {
  int32_t role;
  for (role = WS_CLIENT; role <= WS_SERVER; role++) {
    line both;
    ws_poller *poller = poller_of_idle(&both, role);
    CHECK_IS(queue_a_close(both.conn), WS_OK);
    TRY(is_sent(&both, poller, 0x88));
    TRY(times_out(&both, poller));
    free_line(&both);
    ws_poller_free(poller);
  }
}

/* The wait is under way. */
static void a_text_that_another_thread_queues_on_an_idle_connection_is_reported(void) {
  static call other;
  line both;
  ws_poller *poller = poller_of_idle(&both, WS_SERVER);
  const uint64_t begun = ws_now();
  begin_call(&other, both.conn, queue_soon);
  CHECK(is_reported(poller, 7, 2000));
  CHECK(is_between(ws_now() - begun, 130, 150 + SOON));
  CHECK(ends_within(&other, 1000));
  CHECK_IS(other.status, WS_OK);
  TRY(is_sent(&both, poller, 0x81));
  free_line(&both);
  ws_poller_free(poller);
}

static void a_close_that_another_thread_queues_on_an_idle_connection_is_reported_and_times_out(void) {
  static call other;
  line both;
  ws_poller *poller = poller_of_idle(&both, WS_CLIENT);
  begin_call(&other, both.conn, close_soon);
  CHECK(is_reported(poller, 7, 2000));
  CHECK(ends_within(&other, 1000));
  TRY(times_out(&both, poller));
  free_line(&both);
  ws_poller_free(poller);
}

/* After the end. */

enum how_it_ends { AT_A_BOUNDARY, IN_A_HEADER, IN_A_PAYLOAD, IN_A_MESSAGE, WITH_A_RESET, WITH_A_CLOSE, WITH_A_VIOLATION };

static void the_stream_ends(enum how_it_ends how, int32_t role) {
  static const struct {
    uint8_t first;
    size_t cut; /* so much of the frame is missing */
  } last[] = {{0, 0}, {0x81, 0}, {0x81, 2}, {0x01, 0}, {0x81, 2}, {0x88, 0}, {0x83, 0}};
  const struct linger now = {1, 0};
  guest one = open_guest(role);
  ws_poller *poller = poller_of(one.conn, 7);
  uint8_t frame[16];
  uint64_t token;
  size_t count, len = put_frame(frame, other_role(role), last[how].first, how == WITH_A_CLOSE ? "\x03\xe8" : "word",
                                how == WITH_A_CLOSE ? 2 : 4);
  int reports = 0, closed = 0;
  CHECK(reports_within(30, poller, one.conn, read_all) <= 2);
  if (how == IN_A_HEADER) len = 1;
  if (how != AT_A_BOUNDARY) say(one.fd, frame, len - last[how].cut);
  if (how <= WITH_A_RESET) CHECK(reports_within(30, poller, one.conn, read_all) <= 2);
  if (how == WITH_A_RESET) setsockopt(one.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  if (how == WITH_A_CLOSE || how == WITH_A_VIOLATION) shutdown(one.fd, SHUT_WR);
  else close(one.fd);
  while (!closed && reports++ < 10 && ws_poller_wait(poller, &token, 1, 1000, &count) == WS_OK) {
    ws_status_t status = WS_OK;
    while (!closed && status != WS_ERR_WOULD_BLOCK) closed = (status = read_next(one.conn)) == WS_ERR_CONNECTION_CLOSED;
  }
  CHECK(closed);
  CHECK_IS(ws_poller_wait(poller, &token, 1, 100, &count), WS_ERR_WOULD_BLOCK);
  if (how == WITH_A_CLOSE || how == WITH_A_VIOLATION) close(one.fd);
  CHECK_IS(ws_poller_wait(poller, &token, 1, 30, &count), WS_ERR_WOULD_BLOCK);
  ws_free(one.conn);
  ws_listener_free(one.listener);
  ws_poller_free(poller);
}

static void nothing_is_reported_after_connection_closed(void) {
  int how, role;
  for (how = AT_A_BOUNDARY; how <= WITH_A_VIOLATION; how++)
    for (role = WS_CLIENT; role <= WS_SERVER; role++) TRY(the_stream_ends((enum how_it_ends)how, role));
}

/* What is left to be sent can be sent no more. */

static void is_silent(ws_conn *conn, ws_poller *poller) {
  ws_status_t status;
  const uint64_t begun = ws_now();
  while ((status = read_next(conn)) != WS_ERR_CONNECTION_CLOSED) {
    CHECK(ws_now() - begun < 3000);
    if (status == WS_ERR_WOULD_BLOCK) is_reported(poller, 7, 100);
  }
  CHECK_IS(ws_interest(conn), 0);
  CHECK_IS(reports_within(A_WHILE, poller, conn, read_next), 0);
}

static void nothing_is_reported_of_output_that_outlives_its_connection(void) {
  int32_t role;
  for (role = WS_CLIENT; role <= WS_SERVER; role++) {
    line both;
    ws_poller *poller = poller_of_idle(&both, role);
    ws_queue_message(both.conn, WS_BINARY, large, sizeof large);
    CHECK_IS(close_it(both.conn), WS_OK);
    TRY(is_silent(both.conn, poller));
    CHECK(ws_queued_bytes(both.conn) > 0);
    while (is_readable(both.peer, 50)) NEED(recv(both.peer, large, sizeof large, 0) > 0); /* there is room again */
    CHECK_IS(reports_within(A_WHILE, poller, both.conn, read_next), 0);
    CHECK_IS(ws_next_deadline(both.conn), -1);
    free_line(&both);
    ws_poller_free(poller);
  }
}

static void nothing_is_reported_over_tls_of_output_that_outlives_its_connection(void) {
  const struct linger now = {1, 0};
  int32_t role;
  for (role = WS_CLIENT; role <= WS_SERVER; role++) {
    ends both = open_ends("wss");
    ws_conn *conn = role == WS_CLIENT ? both.client : both.server, **peer = role == WS_CLIENT ? &both.server : &both.client;
    ws_poller *poller = poller_of(conn, 7);
    int i;
    NEED(setsockopt((int)ws_get_socket(*peer), SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    CHECK(reports_within(30, poller, conn, read_all) <= 2);
    ws_free(*peer);
    *peer = NULL;
    for (i = 0; i < 3; i++) write_little(conn);
    TRY(is_silent(conn, poller));
    free_ends(&both);
    ws_poller_free(poller);
  }
}

/* A server that takes no more connections: whoever connects waits. */
static int listen_full(int *port, int *waiting) {
  const int fd = listen_raw(port);
  NEED(listen(fd, 0) == 0);
  *waiting = connect_raw(*port);
  return fd;
}

/* The opening is given up before connecting is: that deadline is not looked at any more. */
static void nothing_is_reported_of_a_connection_that_failed_while_connecting(void) {
  ws_config *config = config_with(WS_OPT_BLOCKING, 0);
  int port, waiting, listening = listen_full(&port, &waiting);
  char url[64];
  ws_conn *conn = NULL;
  ws_poller *poller;
  NEED(ws_config_set(config, WS_OPT_HANDSHAKE_TIMEOUT_MS, 100) == WS_OK);
  NEED(ws_config_set(config, WS_OPT_CONNECT_TIMEOUT_MS, 300) == WS_OK);
  snprintf(url, sizeof url, "ws://127.0.0.1:%d/", port);
  NEED(ws_connect(config, url, &conn) == WS_OK);
  ws_config_free(config);
  poller = poller_of(conn, 7);
  TRY(is_silent(conn, poller));
  CHECK_IS(ws_next_deadline(conn), -1);
  CHECK_IS(reports_within(A_WHILE, poller, conn, read_next), 0);
  ws_free(conn);
  ws_poller_free(poller);
  close(waiting);
  close(listening);
}

/* What the system refuses. */

static struct {
  int fails;
  int calls;
} registration;

#ifndef _WIN32
int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event) {
  int (*next)(int, int, int, struct epoll_event *);
  if (op == EPOLL_CTL_ADD && __atomic_load_n(&registration.fails, __ATOMIC_SEQ_CST)) {
    registration.calls++;
    errno = ENOSPC;
    return -1;
  }
  *(void **)&next = dlsym(RTLD_NEXT, "epoll_ctl");
  return next(epfd, op, fd, event);
}
#endif

/* The socket of a connection that has just been established cannot be watched, for a while. */
static void a_socket_that_cannot_be_watched_is_not_reported_without_end(void) {
  ws_listener *listener = listen_to("ws", NULL);
  ws_conn *conn = connect_to("ws", listener, NULL), *server = NULL;
  ws_poller *poller = poller_of(conn, 7);
  uint64_t token, begun = ws_now();
  size_t count;
  ws_status_t status = WS_ERR_WOULD_BLOCK;
  while (ws_listener_accept(listener, &server) != WS_OK) NEED(ws_now() - begun < 5000);
  __atomic_store_n(&registration.fails, 1, __ATOMIC_SEQ_CST);
  reports_within(100, poller, conn, read_all);
  CHECK(reports_within(A_WHILE, poller, conn, read_all) <= 35); /* every 10 ms, if it must be */
  __atomic_store_n(&registration.fails, 0, __ATOMIC_SEQ_CST);
  NEED(registration.calls > 0);
  if (ws_get_state(conn) == WS_STATE_CLOSING || ws_get_state(conn) == WS_STATE_CLOSED) { /* given up: with a reason */
    CHECK(strlen(ws_error_message(conn)) > 0);
  } else { /* or it goes on */
    CHECK_IS(ws_handshake(server), WS_OK);
    CHECK_IS(ws_write_message(server, WS_TEXT, "there", 5), WS_OK);
    begun = ws_now();
    while (status == WS_ERR_WOULD_BLOCK && ws_now() - begun < 2000)
      if (ws_poller_wait(poller, &token, 1, 2000, &count) == WS_OK) status = read_next(conn);
    CHECK_IS(status, WS_OK);
  }
  ws_free(conn);
  ws_free(server);
  ws_listener_free(listener);
  ws_poller_free(poller);
}

static int refusal;

static struct {
  pthread_t thread;
  int ms; /* so long it takes to say that nobody waits */
} slow_acceptor;

#ifndef _WIN32
/* Takes the place of the C library's. */
int accept4(int fd, __SOCKADDR_ARG address, socklen_t *__restrict len, int flags) {
  const int ms = __atomic_load_n(&slow_acceptor.ms, __ATOMIC_SEQ_CST);
  int accepted;
  if (refusal) {
    errno = refusal;
    return -1;
  }
  accepted = (int)syscall(SYS_accept4, fd, address.__sockaddr__, len, flags);
  if (accepted < 0 && ms > 0 && pthread_equal(pthread_self(), slow_acceptor.thread)) {
    const int why = errno;
    nap(ms);
    errno = why;
  }
  return accepted;
}
#endif

static ws_listener *busy_listener;

static ws_status_t accept_slowly(ws_conn *unused) {
  ws_conn *conn;
  ws_status_t status;
  (void)unused;
  slow_acceptor.thread = pthread_self();
  __atomic_store_n(&slow_acceptor.ms, 200, __ATOMIC_SEQ_CST);
  status = ws_listener_accept(busy_listener, &conn);
  __atomic_store_n(&slow_acceptor.ms, 0, __ATOMIC_SEQ_CST);
  return status;
}

/* It found nobody waiting, and says so when others have come. */
static void who_waits_to_be_accepted_is_reported_beside_a_thread_that_found_nobody(void) {
  static call other;
  ws_poller *poller;
  ws_conn *conn = NULL;
  int fds[2], i;
  busy_listener = listen_to("ws", NULL);
  NEED(ws_poller_new(&poller) == WS_OK && ws_poller_add_listener(poller, busy_listener, 7) == WS_OK);
  CHECK(is_reported(poller, 7, SOON));
  CHECK_IS(ws_listener_accept(busy_listener, &conn), WS_ERR_WOULD_BLOCK);
  begin_call(&other, NULL, accept_slowly);
  nap(50);
  for (i = 0; i < 2; i++) fds[i] = connect_raw(ws_listener_port(busy_listener));
  for (i = 0; i < 2; i++) {
    CHECK(is_reported(poller, 7, SOON));
    CHECK_IS(ws_listener_accept(busy_listener, &conn), WS_OK);
    ws_free(conn);
    if (i == 0) CHECK(ends_within(&other, 1000));
    close(fds[i]);
  }
  CHECK_IS(other.status, WS_ERR_WOULD_BLOCK);
  ws_listener_free(busy_listener);
  ws_poller_free(poller);
}

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

/* Names. */

static struct {
  int ms, lookups;
} resolver;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  (void)node, (void)service, (void)hints, (void)found;
  __atomic_fetch_add(&resolver.lookups, 1, __ATOMIC_SEQ_CST);
  nap(resolver.ms);
  return EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *info) { (void)info; }

static int threads_now(void) {
  DIR *dir = opendir("/proc/self/task");
  int count = -2; /* . and .. */
  while (dir && readdir(dir)) count++;
  if (dir) closedir(dir);
  return count;
}

static ws_conn *look_up(void) {
  ws_config *config = config_with(WS_OPT_BLOCKING, 0);
  ws_conn *conn = NULL;
  NEED(ws_connect(config, "ws://slow.test/", &conn) == WS_OK);
  ws_config_free(config);
  return conn;
}

static int has_found_out(ws_conn *conn, int ms) {
  const uint64_t until = ws_now() + (uint64_t)ms;
  ws_status_t status = WS_ERR_WOULD_BLOCK;
  while (status == WS_ERR_WOULD_BLOCK && ws_now() < until) {
    ws_wait(conn, 50);
    status = ws_handshake(conn);
  }
  return status == WS_ERR_IO;
}

enum { AT_MOST = 32 };

static void two_hundred_look_ups_take_no_more_than_32_threads(void) {
  enum { ALL = 200 };
  static ws_conn *conn[ALL];
  const int before = threads_now();
  int i, most = 0;
  resolver.ms = 200;
  for (i = 0; i < ALL; i++) {
    int now;
    conn[i] = look_up();
    now = threads_now() - before;
    if (now > most) most = now;
  }
  CHECK(most > 1 && most <= AT_MOST);
  for (i = 0; i < ALL; i++) CHECK(has_found_out(conn[i], 5000)); /* each gets its turn */
  for (i = 0; i < ALL; i++) ws_free(conn[i]);
}

static void look_ups_that_nobody_waits_for_any_more_leave_the_queue(void) {
  enum { BUSY = AT_MOST / 2, GIVEN_UP = 100 }; /* each looks up two families */
  static ws_conn *conn[BUSY];
  ws_conn *last;
  int i;
  resolver.ms = 500;
  __atomic_store_n(&resolver.lookups, 0, __ATOMIC_SEQ_CST);
  for (i = 0; i < BUSY; i++) conn[i] = look_up();
  for (i = 0; i < GIVEN_UP; i++) ws_free(look_up());
  last = look_up();
  CHECK(has_found_out(last, 500 + 500 + SOON));
  CHECK(__atomic_load_n(&resolver.lookups, __ATOMIC_SEQ_CST) <= AT_MOST + 2);
  ws_free(last);
  for (i = 0; i < BUSY; i++) ws_free(conn[i]);
}

static void a_long_request_over_tls(int with_poller) {
  int fd;
  ws_conn *conn = connect_with_a_long_request(0, &fd);
  ws_poller *poller;
  poller = poller_of(conn, 7);
  if (!with_poller) NEED(ws_poller_remove(poller, conn) == WS_OK);
  if (with_poller) reports_within(100, poller, conn, read_all);
  else waits_within(100, conn, read_all);
  CHECK((with_poller ? reports_within(A_WHILE, poller, conn, read_all) : waits_within(A_WHILE, conn, read_all)) <= 1);
  ws_free(conn);
  ws_poller_free(poller);
  close(fd);
}

static void a_request_longer_than_a_tls_session_keeps_does_not_make_a_poller_spin(void) { a_long_request_over_tls(1); }

static void a_request_longer_than_a_tls_session_keeps_does_not_make_ws_wait_spin(void) { a_long_request_over_tls(0); }

/* A poller beside a thread that reads and waits. */

static void what_arrives_is_not_reported_while_a_thread_waits_inside_a_read(void) {
  static call reader;
  line both = open_line(WS_SERVER, NULL);
  ws_poller *poller;
  int i;
  set(both.conn, WS_OPT_BLOCKING, 1);
  poller = poller_of(both.conn, 7);
  begin_call(&reader, both.conn, read_next);
  nap(50);
  while (is_reported(poller, 7, 0)) continue; /* what it was added with */
  for (i = 0; i < 10; i++) {
    say(both.peer, i == 0 ? "\x81\x8a\0\0\0\0" : "x", i == 0 ? 6 : 1); /* it is the reader's */
    CHECK_IS(reports_within(20, poller, both.conn, do_nothing), 0);
  }
  CHECK(!has_ended(&reader));
  say(both.peer, "x", 1);
  CHECK(ends_within(&reader, SOON));
  CHECK_IS(reader.status, WS_OK);
  free_line(&both);
  ws_poller_free(poller);
}

static void what_a_thread_leaves_unread_is_reported_once_it_is_outside(void) {
  static call reader;
  line both = open_line(WS_SERVER, NULL);
  ws_poller *poller;
  uint8_t frames[64];
  size_t len = 0, i;
  set(both.conn, WS_OPT_BLOCKING, 1);
  poller = poller_of(both.conn, 7);
  begin_call(&reader, both.conn, read_next);
  nap(50);
  while (is_reported(poller, 7, 0)) continue;
  for (i = 0; i < 2; i++) len += put_frame(frames + len, WS_CLIENT, 0x81, "news", 4);
  say(both.peer, frames, len);
  CHECK(ends_within(&reader, SOON));
  CHECK(is_reported(poller, 7, SOON));
  CHECK_IS(read_next(both.conn), WS_OK);
  set(both.conn, WS_OPT_BLOCKING, 0);
  CHECK_IS(read_next(both.conn), WS_ERR_WOULD_BLOCK);
  send_frame(both.peer, WS_SERVER, 0x81, "news", 4);
  CHECK(is_reported(poller, 7, SOON));
  free_line(&both);
  ws_poller_free(poller);
}

/* Paused. */

static void a_paused_connection_is_reported_for_its_pings_and_no_more(void) {
  line both = open_line(WS_SERVER, NULL);
  ws_poller *poller = poller_of(both.conn, 7);
  int reports;
  CHECK(reports_within(30, poller, both.conn, read_all) <= 2);
  CHECK_IS(ws_poller_read(both.conn, 0), WS_OK);
  set(both.conn, WS_OPT_PONG_TIMEOUT_MS, 0);
  set(both.conn, WS_OPT_PING_INTERVAL_MS, 50);
  send_frame(both.peer, WS_SERVER, 0x81, "news", 4);
  reports = reports_within(500, poller, both.conn, ws_write_pending);
  CHECK(is_between((uint64_t)reports, 4, 25));
  set(both.conn, WS_OPT_PING_INTERVAL_MS, 0);
  CHECK(reports_within(100, poller, both.conn, ws_write_pending) <= 2);
  CHECK_IS(ws_poller_read(both.conn, 1), WS_OK);
  CHECK(is_reported(poller, 7, SOON));
  CHECK_IS(read_next(both.conn), WS_OK);
  free_line(&both);
  ws_poller_free(poller);
}

/* There is nothing left to pause. */
static void a_paused_connection_is_reported_until_its_end_has_been_told(void) {
  line both = open_line(WS_SERVER, NULL);
  ws_poller *poller = poller_of(both.conn, 7);
  CHECK(reports_within(30, poller, both.conn, read_all) <= 2);
  set(both.conn, WS_OPT_CLOSE_TIMEOUT_MS, 100);
  CHECK_IS(ws_poller_read(both.conn, 0), WS_OK);
  send_frame(both.peer, WS_SERVER, 0x81, "news", 4);
  CHECK_IS(close_it(both.conn), WS_OK);
  CHECK(reports_within(500, poller, both.conn, ws_write_pending) <= 5);
  CHECK_IS(ws_get_state(both.conn), WS_STATE_CLOSED);
  free_line(&both);
  ws_poller_free(poller);
}

int main(int argc, char **argv) {
  check_begin(argc, argv);
  RUN(one_byte_of_a_request_does_not_make_a_poller_spin);
  RUN(one_byte_of_a_request_does_not_make_ws_wait_spin);
  RUN(one_byte_of_a_tls_session_does_not_make_a_poller_spin);
  RUN(one_byte_of_a_response_does_not_make_a_poller_spin);
  RUN(one_byte_of_a_response_does_not_make_ws_wait_spin);
  RUN(one_byte_of_a_proxys_answer_does_not_make_a_poller_spin);
  RUN(a_request_that_trickles_in_is_reported_once_a_byte);
  RUN(a_request_that_waits_for_a_decision_does_not_make_a_poller_spin);
  RUN(a_message_behind_a_request_that_waits_for_a_decision_is_reported_after_it);
  RUN(a_message_that_comes_while_a_decision_is_pending_does_not_make_a_poller_spin);
  RUN(a_request_that_waits_for_a_decision_does_not_make_ws_wait_spin);
  RUN(a_refusal_that_has_been_sent_does_not_make_a_poller_spin);
  RUN(a_refusal_that_has_been_sent_does_not_make_ws_wait_spin);
  RUN(a_request_that_waits_for_too_long_is_reported);
  RUN(each_token_comes_once_and_none_of_a_freed_connection);
  RUN(a_connection_that_found_no_room_and_was_read_meanwhile_is_not_reported);
  RUN(adding_and_removing_a_connection_at_once_leaves_it_with_the_poller_or_without);
  RUN(a_connection_that_was_added_can_be_removed_while_another_poller_adds_and_removes_it);
  RUN(a_connection_with_the_descriptor_that_another_one_had_while_connecting_is_reported);
  RUN(a_message_after_an_opening_that_one_call_completed_is_reported_at_once);
  RUN(a_message_after_an_opening_that_one_call_completed_is_reported_without_deadlines_too);
  RUN(a_message_after_an_opening_over_tls_that_one_call_completed_is_reported_at_once);
  RUN(a_poller_that_hears_of_a_connection_that_compresses_is_not_held_up);
  RUN(a_poller_that_has_reported_a_connection_that_compresses_is_not_held_up);
  RUN(a_poller_with_a_deadline_of_a_connection_that_compresses_is_not_held_up);
  RUN(a_text_that_is_queued_on_an_idle_connection_is_reported);
  RUN(a_close_that_is_queued_on_an_idle_connection_is_reported_and_times_out);
  RUN(a_text_that_another_thread_queues_on_an_idle_connection_is_reported);
  RUN(a_close_that_another_thread_queues_on_an_idle_connection_is_reported_and_times_out);
  RUN(nothing_is_reported_after_connection_closed);
  RUN(nothing_is_reported_of_output_that_outlives_its_connection);
  RUN(nothing_is_reported_over_tls_of_output_that_outlives_its_connection);
  RUN(nothing_is_reported_of_a_connection_that_failed_while_connecting);
  RUN_POSIX(a_socket_that_cannot_be_watched_is_not_reported_without_end);
  RUN_POSIX(a_listener_that_cannot_accept_is_reported_after_a_moment);
  RUN_POSIX(who_waits_to_be_accepted_is_reported_beside_a_thread_that_found_nobody);
  RUN(a_request_longer_than_a_tls_session_keeps_does_not_make_a_poller_spin);
  RUN(a_request_longer_than_a_tls_session_keeps_does_not_make_ws_wait_spin);
  RUN(what_arrives_is_not_reported_while_a_thread_waits_inside_a_read);
  RUN(what_a_thread_leaves_unread_is_reported_once_it_is_outside);
  RUN(a_paused_connection_is_reported_for_its_pings_and_no_more);
  RUN(a_paused_connection_is_reported_until_its_end_has_been_told);
  RUN_POSIX(two_hundred_look_ups_take_no_more_than_32_threads);
  RUN_POSIX(look_ups_that_nobody_waits_for_any_more_leave_the_queue);
  return check_end();
}
