/* A connection that stalls, wherever that may be, computes nothing and is not reported. Between a client and a server is a
 * relay that passes on so many bytes and then no more: each point of the opening and the closing handshake has its turn, in
 * plain text, over TLS and through a proxy, for a poller, ws_wait() and a poll() of the program's own. */

#include "peer.h"

#include <errno.h>
#include <fcntl.h>

enum { STOPS = 14, CALM_MS = 25, WATCHED_MS = 50 };

static struct relay {
  pthread_t thread;
  int listening, port, to_port;
  int client, server; /* -1: not there */
  int is_proxy;       /* it has to be asked for the server first */
  char asked[512];
  size_t asked_len;
  uint64_t budget, moved;
  int ends;
} relay;

static uint64_t moved(void) { return __atomic_load_n(&relay.moved, __ATOMIC_SEQ_CST); }

static uint64_t budget_left(void) { return relay.budget - moved(); }

static void count_moved(ssize_t n) { __atomic_fetch_add(&relay.moved, (uint64_t)n, __ATOMIC_SEQ_CST); }

/* Passes on what there is. Whether that may go on. */
static int pass_on(int from, int to) {
  uint8_t bytes[4096];
  const size_t most = budget_left() < sizeof bytes ? (size_t)budget_left() : sizeof bytes;
  const ssize_t n = recv(from, bytes, most, 0);
  if (n <= 0) return 0;
  count_moved(n);
  return send(to, bytes, (size_t)n, MSG_NOSIGNAL) == n;
}

/* The proxy's part, a byte at a time. */
static void be_asked(void) {
  static const char granted[] = "HTTP/1.1 200 OK\r\n\r\n";
  size_t i;
  if (recv(relay.client, relay.asked + relay.asked_len, 1, 0) != 1) return;
  count_moved(1);
  relay.asked_len++;
  if (relay.asked_len < 4 || memcmp(relay.asked + relay.asked_len - 4, "\r\n\r\n", 4) != 0) return;
  for (i = 0; i < sizeof granted - 1 && budget_left() > 0; i++, count_moved(1)) say(relay.client, granted + i, 1);
  if (i == sizeof granted - 1) relay.server = connect_raw(relay.to_port);
}

static void *keep_relaying(void *unused) {
  (void)unused;
  while (!__atomic_load_n(&relay.ends, __ATOMIC_SEQ_CST)) {
    struct pollfd fds[3] = {{relay.listening, POLLIN, 0}, {relay.client, POLLIN, 0}, {relay.server, POLLIN, 0}};
    if (budget_left() == 0) fds[1].fd = fds[2].fd = -1;
    if (relay.client >= 0) fds[0].fd = -1;
    if (poll(fds, 3, 5) <= 0) continue;
    if (fds[0].revents) {
      relay.client = accept(relay.listening, NULL, NULL);
      if (!relay.is_proxy) relay.server = connect_raw(relay.to_port);
      continue;
    }
    if (fds[1].revents && relay.server < 0) be_asked();
    else if (fds[1].revents && !pass_on(relay.client, relay.server)) break;
    if (fds[2].revents && !pass_on(relay.server, relay.client)) break;
  }
  if (relay.client >= 0) close(relay.client);
  if (relay.server >= 0) close(relay.server);
  return NULL;
}

/* What is under way. */

enum how { WITH_A_POLLER, WITH_WS_WAIT, WITH_POLL, WAYS };

static struct side {
  ws_conn *conn; /* set once */
  ws_listener *listener; /* before there is a connection */
  int is_client, has_spoken;
  uint64_t woken;
  pthread_t thread;
} sides[2];

static int stops;

static ws_conn *conn_of(const struct side *side) { return __atomic_load_n(&side->conn, __ATOMIC_SEQ_CST); }

/* What a program does that has been told of a connection: all that it can. The client speaks first, and closes once it has
 * its answer. */
static void step(struct side *side) {
  const ws_message *message;
  __atomic_fetch_add(&side->woken, 1, __ATOMIC_SEQ_CST);
  if (!side->conn) {
    ws_conn *conn;
    if (ws_listener_accept(side->listener, &conn) != WS_OK) return;
    __atomic_store_n(&side->conn, conn, __ATOMIC_SEQ_CST);
  }
  for (;;) {
    if (ws_read_message(side->conn, &message) == WS_OK) {
      if (message->kind == WS_TEXT) EXPECT_IS((side->is_client ? close_it : write_little)(side->conn), WS_OK);
    } else if (side->is_client && !side->has_spoken && ws_get_state(side->conn) == WS_STATE_OPEN) {
      side->has_spoken = EXPECT_IS(write_little(side->conn), WS_OK);
    } else {
      return;
    }
  }
}

static int is_over(const struct side *side) {
  return conn_of(side) && ws_get_state(conn_of(side)) == WS_STATE_CLOSED;
}

static void wait_with_a_poller(ws_poller *poller) {
  uint64_t tokens[4];
  size_t count, i;
  const int had = sides[1].conn != NULL;
  if (ws_poller_wait(poller, tokens, 4, 5, &count) != WS_OK) return;
  for (i = 0; i < count; i++) {
    ws_conn *more;
    step(&sides[tokens[i] & 1]);
    if (tokens[i] == LISTENER && sides[1].conn)
      EXPECT_IS(ws_listener_accept(sides[1].listener, &more), WS_ERR_WOULD_BLOCK);
  }
  if (!had && sides[1].conn) EXPECT_IS(ws_poller_add(poller, sides[1].conn, 1), WS_OK);
}

static void *keep_waiting(void *arg) {
  struct side *side = arg;
  while (!__atomic_load_n(&stops, __ATOMIC_SEQ_CST)) {
    if (!side->conn) {
      step(side);
      nap(5);
    } else if (is_over(side)) {
      nap(5);
    } else if (ws_wait(side->conn, 10) == WS_OK) {
      step(side);
    }
  }
  return NULL;
}

static void wait_for_side(struct side *side) {
  struct pollfd fd = {-1, 0, 0};
  if (!side->conn) {
    step(side);
  } else if (!is_over(side)) {
    const uint32_t interest = ws_interest(side->conn);
    if (interest) fd.fd = (int)ws_get_socket(side->conn);
    fd.events = (short)((interest & WS_WANT_READ ? POLLIN : 0) | (interest & WS_WANT_WRITE ? POLLOUT : 0));
    if (ws_has_input(side->conn) || poll(&fd, 1, 1) > 0 || ws_next_deadline(side->conn) <= ws_now()) step(side);
  }
}

static void wait_with_poll(void) {
  wait_for_side(&sides[0]);
  wait_for_side(&sides[1]);
}

static void wait_somehow(enum how how, ws_poller *poller) {
  switch (how) {
    case WITH_A_POLLER: wait_with_a_poller(poller); break;
    case WITH_POLL: wait_with_poll(); break;
    default: break;
  }
  nap(1);
}

/* The same for the first of them alone. */
static void wait_for_one(enum how how, ws_poller *poller) {
  uint64_t token;
  size_t count;
  if (how == WITH_A_POLLER && ws_poller_wait(poller, &token, 1, 5, &count) == WS_OK) step(&sides[0]);
  if (how == WITH_POLL) wait_for_side(&sides[0]);
  nap(1);
}

static uint64_t woken(void) {
  return __atomic_load_n(&sides[0].woken, __ATOMIC_SEQ_CST) + __atomic_load_n(&sides[1].woken, __ATOMIC_SEQ_CST);
}

/* As far as the budget goes; how many bytes that were. */
static uint64_t goes_as_far_as(uint64_t budget, const char *scheme, int with_proxy, enum how how) {
  ws_config *config = config_with(WS_OPT_BLOCKING, 0);
  ws_poller *poller = NULL;
  char url[64];
  uint64_t since, last, begun = ws_now(), before = 0, used;
  int i;
  memset(sides, 0, sizeof sides);
  memset(&relay, 0, sizeof relay);
  stops = 0;
  relay.client = relay.server = -1;
  relay.is_proxy = with_proxy;
  relay.budget = budget;
  relay.listening = listen_raw(&relay.port);
  sides[0].is_client = 1;
  sides[1].listener = listen_to(scheme, NULL);
  relay.to_port = ws_listener_port(sides[1].listener);
  NEED(pthread_create(&relay.thread, NULL, keep_relaying, NULL) == 0);
  NEED(ws_config_set_tls_roots(config, (const uint8_t *)authority, strlen(authority)) == WS_OK);
  if (with_proxy) {
    snprintf(url, sizeof url, "http://127.0.0.1:%d", relay.port);
    NEED(ws_config_set_proxy(config, url) == WS_OK);
  }
  snprintf(url, sizeof url, "%s://127.0.0.1:%d/", scheme, relay.port);
  NEED(ws_connect(config, url, &sides[0].conn) == WS_OK);
  step(&sides[0]);
  if (how == WITH_A_POLLER) {
    poller = poller_of(sides[0].conn, 0);
    NEED(ws_poller_add_listener(poller, sides[1].listener, LISTENER) == WS_OK);
  }
  for (i = 0; how == WITH_WS_WAIT && i < 2; i++)
    NEED(pthread_create(&sides[i].thread, NULL, keep_waiting, &sides[i]) == 0);
  for (since = ws_now(), last = 0; ws_now() - since < CALM_MS && !check_failed_here;) {
    if (moved() != last) last = moved(), since = ws_now();
    if (is_over(&sides[0]) && is_over(&sides[1])) break;
    if (ws_now() - begun > 20000) check_fail(__FILE__, __LINE__, "goes on without end", "");
    wait_somehow(how, poller);
  }
  /* Something may still have been on its way; who has not been accepted is asked for now and then, but for a poller. */
  for (i = 0; i < 10 && (conn_of(&sides[1]) || how == WITH_A_POLLER); i++) {
    before = woken(), used = cpu_ms();
    for (begun = ws_now(); ws_now() - begun < WATCHED_MS;) wait_somehow(how, poller);
    if (woken() == before && cpu_ms() - used <= WATCHED_MS / 2) break;
  }
  if (i == 10) {
    char more[160];
    snprintf(more, sizeof more, " (%s%s, way %d, after %d bytes: woken %d times, states %d and %d)", scheme,
             with_proxy ? " through a proxy" : "", how, (int)moved(), (int)(woken() - before),
             ws_get_state(sides[0].conn), conn_of(&sides[1]) ? (int)ws_get_state(conn_of(&sides[1])) : -1);
    check_fail(__FILE__, __LINE__, "is woken for nothing", more);
  }
  __atomic_store_n(&stops, 1, __ATOMIC_SEQ_CST);
  __atomic_store_n(&relay.ends, 1, __ATOMIC_SEQ_CST);
  for (i = 0; how == WITH_WS_WAIT && i < 2; i++) pthread_join(sides[i].thread, NULL);
  pthread_join(relay.thread, NULL);
  if (budget == UINT64_MAX && !(is_over(&sides[0]) && is_over(&sides[1])))
    check_fail(__FILE__, __LINE__, "does not come to its end", "");
  for (i = 0; i < 2; i++) ws_free(sides[i].conn);
  ws_listener_free(sides[1].listener);
  ws_poller_free(poller);
  ws_config_free(config);
  close(relay.listening);
  return moved();
}

static void stalls(const char *scheme, int with_proxy) {
  const uint64_t all = goes_as_far_as(UINT64_MAX, scheme, with_proxy, WITH_A_POLLER);
  const int points = check_reduced(STOPS);
  int how, i;
  CHECK(all > 300 && all < 100000);
  for (how = WITH_A_POLLER; how < WAYS; how++)
    for (i = 0; i <= points; i++)
      TRY(goes_as_far_as(all * (uint64_t)i / (uint64_t)points + (uint64_t)how, scheme, with_proxy, (enum how)how));
}

static void a_connection_that_stalls_anywhere_is_left_alone(void) { stalls("ws", 0); }

static void a_connection_over_tls_that_stalls_anywhere_is_left_alone(void) { stalls("wss", 0); }

static void a_connection_through_a_proxy_that_stalls_anywhere_is_left_alone(void) { stalls("ws", 1); }

static void a_connection_over_tls_through_a_proxy_that_stalls_anywhere_is_left_alone(void) { stalls("wss", 1); }

/* A peer that leaves off, or takes nothing, at a point that no handshake comes to. */

enum state {
  HALF_A_HEADER,
  HALF_A_PAYLOAD,
  HALF_A_MESSAGE,
  HALF_A_PING,
  AFTER_OUR_CLOSE,
  HALF_A_FRAME_AFTER_OUR_CLOSE,
  MESSAGES_AFTER_OUR_CLOSE,
  WITH_STUCK_OUTPUT,
  STUCK_WITH_OUR_CLOSE,
  STUCK_WITH_THEIR_CLOSE,
  STUCK_WITH_BOTH,
  STUCK_WITH_A_VIOLATION,
  STUCK_AT_THE_END_OF_THEIR_SIDE,
  BYTES_AFTER_THEIR_CLOSE,
  STATES
};

static void come_to(enum state state, line *both, int32_t role) {
  static uint8_t frame[64];
  size_t len;
  if (state >= WITH_STUCK_OUTPUT && state <= STUCK_AT_THE_END_OF_THEIR_SIDE) write_large(both->conn);
  switch (state) {
    case HALF_A_HEADER: say(both->peer, "\x82", 1); break;
    case HALF_A_PAYLOAD:
    case HALF_A_FRAME_AFTER_OUR_CLOSE:
    case HALF_A_PING:
      if (state == HALF_A_FRAME_AFTER_OUR_CLOSE) close_it(both->conn);
      len = put_frame(frame, other_role(role), state == HALF_A_PING ? 0x89 : 0x82, "0123456789", 10);
      say(both->peer, frame, len - 5);
      break;
    case HALF_A_MESSAGE: send_frame(both->peer, role, 0x02, "0123456789", 10); break;
    case AFTER_OUR_CLOSE:
    case STUCK_WITH_OUR_CLOSE: close_it(both->conn); break;
    case MESSAGES_AFTER_OUR_CLOSE:
      close_it(both->conn);
      send_frame(both->peer, role, 0x82, "0123456789", 10);
      break;
    case STUCK_WITH_BOTH: close_it(both->conn); /* fall through */
    case STUCK_WITH_THEIR_CLOSE:
    case BYTES_AFTER_THEIR_CLOSE:
      send_frame(both->peer, role, 0x88, "\x03\xe8", 2);
      if (state == BYTES_AFTER_THEIR_CLOSE) say(both->peer, "abcdef", 6);
      break;
    case STUCK_WITH_A_VIOLATION: send_frame(both->peer, role, 0x83, "", 0); break;
    case STUCK_AT_THE_END_OF_THEIR_SIDE: shutdown(both->peer, SHUT_WR); break;
    default: break;
  }
}

static void rests_in(enum state state, int32_t role, enum how how) {
  ws_config *config = config_with(WS_OPT_CLOSE_TIMEOUT_MS, 60000);
  line both = open_line(role, config);
  ws_poller *poller = NULL;
  uint64_t begun, before = 0, used;
  int i;
  ws_config_free(config);
  memset(sides, 0, sizeof sides);
  stops = 0;
  sides[0].conn = both.conn;
  if (how == WITH_A_POLLER) poller = poller_of(both.conn, 0);
  else if (how == WITH_WS_WAIT) NEED(pthread_create(&sides[0].thread, NULL, keep_waiting, &sides[0]) == 0);
  come_to(state, &both, role);
  for (i = 0; i < 10; i++) {
    before = woken(), used = cpu_ms();
    for (begun = ws_now(); ws_now() - begun < WATCHED_MS;) wait_for_one(how, poller);
    if (woken() == before && cpu_ms() - used <= WATCHED_MS / 2) break;
  }
  if (i == 10) {
    char more[120];
    snprintf(more, sizeof more, " (state %d, role %d, way %d: woken %d times)", state, role, how, (int)(woken() - before));
    check_fail(__FILE__, __LINE__, "is woken for nothing", more);
  }
  __atomic_store_n(&stops, 1, __ATOMIC_SEQ_CST);
  if (how == WITH_WS_WAIT) pthread_join(sides[0].thread, NULL);
  free_line(&both);
  ws_poller_free(poller);
}

static void a_connection_whose_peer_leaves_off_or_takes_nothing_is_left_alone(void) {
  int state, how;
  int32_t role;
  for (state = 0; state < STATES; state++)
    for (role = WS_CLIENT; role <= WS_SERVER; role++)
      for (how = WITH_A_POLLER; how < WAYS; how++) TRY(rests_in((enum state)state, role, (enum how)how));
}

int main(int argc, char **argv) {
  check_begin(argc, argv);
  RUN(a_connection_that_stalls_anywhere_is_left_alone);
  RUN(a_connection_over_tls_that_stalls_anywhere_is_left_alone);
  RUN(a_connection_through_a_proxy_that_stalls_anywhere_is_left_alone);
  RUN(a_connection_over_tls_through_a_proxy_that_stalls_anywhere_is_left_alone);
  RUN(a_connection_whose_peer_leaves_off_or_takes_nothing_is_left_alone);
  return check_end();
}
