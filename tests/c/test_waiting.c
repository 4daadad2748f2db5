/* Waiting and deadlines: whoever waits is woken by what ends the wait, computes nothing meanwhile, and gives up on a peer
 * that is silent, never on one that lives. */

#include "peer.h"

#include <errno.h>
#include <sys/resource.h>

/* A write that waits for a peer that takes nothing. */

enum keepalive { BY_PONG, BY_IDLE };

static void set_keepalive(ws_conn *conn, enum keepalive how) {
  if (how == BY_IDLE) {
    set(conn, WS_OPT_IDLE_TIMEOUT_MS, 600);
  } else {
    set(conn, WS_OPT_PONG_TIMEOUT_MS, 500);
    set(conn, WS_OPT_PING_INTERVAL_MS, 300);
  }
}

/* The Ping falls due after 300 ms, when the transport has long stopped to take anything; 500 more are for its answer. */
static void a_stuck_write_gives_up(const char *scheme, int32_t role, enum keepalive how) {
  static call writer;
  ends both = open_ends(scheme);
  ws_conn *conn = role == WS_CLIENT ? both.client : both.server;
  set(conn, WS_OPT_BLOCKING, 1);
  set_keepalive(conn, how);
  begin_call(&writer, conn, write_large);
  CHECK(ends_within(&writer, 3000));
  CHECK_IS(writer.status, WS_ERR_TIMEOUT);
  CHECK(is_between(writer.took, how == BY_IDLE ? 550 : 750, 2000));
  CHECK(ws_get_state(conn) == WS_STATE_CLOSING || ws_get_state(conn) == WS_STATE_CLOSED);
  CHECK_IS(read_next(conn), WS_ERR_CONNECTION_CLOSED);
  CHECK_IS(read_next(conn), WS_ERR_ALREADY_CLOSED);
  free_ends(&both);
}

static void a_write_to_a_client_that_takes_nothing_ends_with_the_pong_timeout(void) {
  a_stuck_write_gives_up("ws", WS_SERVER, BY_PONG);
}

static void a_write_to_a_server_that_takes_nothing_ends_with_the_pong_timeout(void) {
  a_stuck_write_gives_up("ws", WS_CLIENT, BY_PONG);
}

static void a_write_over_tls_to_a_peer_that_takes_nothing_ends_with_the_pong_timeout(void) {
  a_stuck_write_gives_up("wss", WS_SERVER, BY_PONG);
}

static void a_write_to_a_client_that_takes_nothing_ends_with_the_idle_timeout(void) {
  a_stuck_write_gives_up("ws", WS_SERVER, BY_IDLE);
}

static void a_write_to_a_server_that_takes_nothing_ends_with_the_idle_timeout(void) {
  a_stuck_write_gives_up("ws", WS_CLIENT, BY_IDLE);
}

static void a_write_over_tls_to_a_peer_that_takes_nothing_ends_with_the_idle_timeout(void) {
  a_stuck_write_gives_up("wss", WS_CLIENT, BY_IDLE);
}

/* It takes nothing, and sends: it lives as long as it does. */
static void a_write_to_a_peer_that_only_sends_ends_with_the_idle_timeout_after_what_was_sent_last(void) {
  static call writer;
  line both = open_line(WS_SERVER, NULL);
  uint64_t before;
  int i;
  set(both.conn, WS_OPT_BLOCKING, 1);
  set(both.conn, WS_OPT_IDLE_TIMEOUT_MS, 500);
  begin_call(&writer, both.conn, write_large);
  nap(200);
  before = busy_ms(&writer);
  for (i = 0; i < 8; i++) {
    send_frame(both.peer, WS_SERVER, 0x81, "still here", 10);
    nap(200);
  }
  CHECK(!has_ended(&writer));
  CHECK(busy_ms(&writer) - before < 500);
  CHECK(ends_within(&writer, 3000));
  CHECK_IS(writer.status, WS_ERR_TIMEOUT);
  CHECK(is_between(writer.took, 200 + 1600 + 250, 200 + 1600 + 1500));
  free_line(&both);
}

/* A Ping every 50 ms, of which none can leave, and nothing that would end the wait. */
static void a_write_that_waits_does_not_spin_when_a_ping_is_due(void) {
  static call writer;
  int32_t role;
  for (role = WS_CLIENT; role <= WS_SERVER; role++) {
    line both = open_line(role, NULL);
    uint64_t before;
    set(both.conn, WS_OPT_BLOCKING, 1);
    set(both.conn, WS_OPT_PONG_TIMEOUT_MS, 0);
    set(both.conn, WS_OPT_PING_INTERVAL_MS, 50);
    begin_call(&writer, both.conn, write_large);
    nap(300); /* it has computed what there is to compute */
    before = busy_ms(&writer);
    nap(600);
    CHECK(busy_ms(&writer) - before < 200);
    CHECK(!has_ended(&writer));
    close(both.peer);
    CHECK(ends_within(&writer, 3000));
    CHECK(writer.status != WS_ERR_TIMEOUT);
    ws_free(both.conn);
    close(both.own);
  }
}

static struct {
  int fd, slices;
  size_t taken;
} slow_peer;

/* Takes a slice every 100 ms, for as long as it is to; then all that there is. */
static void *take_slowly(void *arg) {
  static uint8_t space[128 << 10];
  ssize_t n = 1;
  (void)arg;
  while (n > 0) {
    if (slow_peer.slices-- > 0) nap(100);
    n = recv(slow_peer.fd, space, sizeof space, 0);
    if (n > 0) __atomic_fetch_add(&slow_peer.taken, (size_t)n, __ATOMIC_SEQ_CST);
  }
  return NULL;
}

/* The Ping that falls due cannot leave amid a frame: as long as the peer takes something, it lives. */
static void a_slow_upload_survives(int32_t role, int with_reader) {
  static call writer, reader;
  line both = open_line(role, NULL);
  pthread_t thread;
  const uint64_t begun = ws_now();
  uint64_t took;
  set(both.conn, WS_OPT_BLOCKING, 1);
  slow_peer.fd = both.peer, slow_peer.slices = 30, slow_peer.taken = 0;
  NEED(pthread_create(&thread, NULL, take_slowly, NULL) == 0);
  set(both.conn, WS_OPT_PONG_TIMEOUT_MS, 800);
  set(both.conn, WS_OPT_PING_INTERVAL_MS, 200);
  if (with_reader) begin_call(&reader, both.conn, read_all);
  begin_call(&writer, both.conn, write_large);
  CHECK(ends_within(&writer, 12000));
  took = ws_now() - begun;
  CHECK_IS(writer.status, WS_OK);
  CHECK(took > 1500); /* far longer than a Ping may stay without answer */
  CHECK(busy_ms(&writer) < took / 2);
  CHECK_IS(ws_get_state(both.conn), WS_STATE_OPEN);
  shutdown(both.own, SHUT_RDWR);
  pthread_join(thread, NULL);
  CHECK(slow_peer.taken > LARGE);
  if (with_reader) CHECK(ends_within(&reader, 3000));
  free_line(&both);
}

static void a_slow_upload_that_a_ping_falls_into_does_not_spin(void) {
  TRY(a_slow_upload_survives(WS_SERVER, 0));
  TRY(a_slow_upload_survives(WS_CLIENT, 0));
}

static void a_slow_upload_beside_a_reader_outlives_the_pong_timeout(void) {
  TRY(a_slow_upload_survives(WS_SERVER, 1));
  TRY(a_slow_upload_survives(WS_CLIENT, 1));
}

/* A peer that stops in the midst of it is given up, and no sooner than the pong timeout after what it took last. */
static void an_upload_that_stops_is_given_up_after_what_was_taken_last(void) {
  static call writer;
  static uint8_t space[64 << 10];
  line both = open_line(WS_SERVER, NULL);
  int i;
  set(both.conn, WS_OPT_BLOCKING, 1);
  set(both.conn, WS_OPT_PONG_TIMEOUT_MS, 500);
  set(both.conn, WS_OPT_PING_INTERVAL_MS, 100);
  begin_call(&writer, both.conn, write_large);
  for (i = 0; i < 10; i++) {
    nap(100);
    recv(both.peer, space, sizeof space, 0);
    CHECK(!has_ended(&writer));
  }
  CHECK(ends_within(&writer, 3000));
  CHECK_IS(writer.status, WS_ERR_TIMEOUT);
  CHECK(is_between(writer.took, 1200, 2500));
  free_line(&both);
}

/* Closing. */

static void closing_beside_a_stuck_write(const char *scheme, int32_t role, ws_status_t (*how)(ws_conn *)) {
  static call writer, closer;
  ends both = open_ends(scheme);
  ws_conn *conn = role == WS_CLIENT ? both.client : both.server;
  uint64_t before;
  set(conn, WS_OPT_BLOCKING, 1);
  set(conn, WS_OPT_CLOSE_TIMEOUT_MS, 700);
  begin_call(&writer, conn, write_large);
  nap(300);
  NEED(!has_ended(&writer));
  before = busy_ms(&writer);
  begin_call(&closer, conn, how);
  CHECK(ends_within(&closer, 3000));
  CHECK_IS(closer.status, WS_OK);
  CHECK(is_between(closer.took, 0, SOON));
  CHECK(!has_ended(&writer));
  CHECK(ends_within(&writer, 3000));
  CHECK_IS(writer.status, WS_ERR_TIMEOUT);
  CHECK(is_between(writer.took, 300 + 650, 300 + 1900));
  CHECK(busy_ms(&writer) - before < 300);
  CHECK_IS(read_next(conn), WS_ERR_CONNECTION_CLOSED);
  free_ends(&both);
}

static ws_status_t write_a_close(ws_conn *conn) { return ws_write_message(conn, WS_CLOSE, NULL, 0); }

static void closing_beside_a_stuck_write_returns_at_once_and_the_close_deadline_ends_both(void) {
  TRY(closing_beside_a_stuck_write("ws", WS_SERVER, close_it));
  TRY(closing_beside_a_stuck_write("ws", WS_CLIENT, close_it));
}

static void closing_beside_a_stuck_write_over_tls_returns_at_once_and_the_close_deadline_ends_both(void) {
  TRY(closing_beside_a_stuck_write("wss", WS_CLIENT, close_it));
  TRY(closing_beside_a_stuck_write("wss", WS_SERVER, close_it));
}

static void writing_a_close_beside_a_stuck_write_returns_at_once_and_the_close_deadline_ends_both(void) {
  closing_beside_a_stuck_write("ws", WS_SERVER, write_a_close);
}

static void queueing_a_close_beside_a_stuck_write_starts_the_close_deadline_that_ends_it(void) {
  closing_beside_a_stuck_write("ws", WS_CLIENT, queue_a_close);
}

static void closing_behind(ws_status_t (*how)(ws_conn *)) {
  static call closer;
  line both = open_line(WS_CLIENT, NULL);
  set(both.conn, WS_OPT_BLOCKING, 1);
  CHECK_IS(ws_queue_message(both.conn, WS_BINARY, large, sizeof large), WS_OK);
  begin_call(&closer, both.conn, how);
  CHECK(ends_within(&closer, 2000));
  CHECK_IS(closer.status, WS_OK);
  CHECK(is_between(closer.took, 0, SOON));
  CHECK(ws_queued_bytes(both.conn) > 0);
  free_line(&both);
}

static void closing_behind_output_that_does_not_leave_returns_at_once(void) { closing_behind(close_it); }

static void writing_a_close_behind_output_that_does_not_leave_returns_at_once(void) { closing_behind(write_a_close); }

/* Who waits on a connection that is over is told so. */

static void the_end_of_a_connection_reaches(ws_status_t (*first)(ws_conn *), ws_status_t (*second)(ws_conn *)) {
  static call reader, writers[2];
  line both = open_line(WS_SERVER, NULL);
  ws_status_t all[3];
  int i, timeouts = 0, ends = 0;
  set(both.conn, WS_OPT_BLOCKING, 1);
  set(both.conn, WS_OPT_MAX_SEND_QUEUE, 1);
  begin_call(&writers[0], both.conn, first);
  nap(100);
  begin_call(&writers[1], both.conn, second);
  nap(100);
  set(both.conn, WS_OPT_IDLE_TIMEOUT_MS, 300);
  begin_call(&reader, both.conn, read_next);
  CHECK(ends_within(&reader, 3000));
  CHECK(is_between(reader.took, 250, 1500));
  for (i = 0; i < 2; i++) CHECK(ends_within(&writers[i], SOON));
  /* The failure is told once, and the end to everybody else who waited for something until then. */
  all[0] = reader.status, all[1] = writers[0].status, all[2] = writers[1].status;
  for (i = 0; i < 3; i++) {
    timeouts += all[i] == WS_ERR_TIMEOUT;
    ends += all[i] == WS_ERR_CONNECTION_CLOSED;
  }
  CHECK_IS(timeouts, 1);
  CHECK_IS(ends, 2);
  free_line(&both);
}

static void a_timeout_of_a_reader_wakes_and_tells_the_writers_that_are_stuck(void) {
  the_end_of_a_connection_reaches(write_large, write_large);
}

static void a_timeout_of_a_reader_wakes_and_tells_who_sends_what_is_pending(void) {
  the_end_of_a_connection_reaches(write_large, ws_write_pending);
}

/* A silence is one only where nothing lies in the socket. */

static void what_came_in_time(const char *scheme, int32_t role, int blocking, ws_status_t (*look)(ws_conn *),
                              ws_status_t expected) {
  ends both = open_ends(scheme);
  ws_conn *conn = role == WS_CLIENT ? both.client : both.server;
  ws_conn *peer = role == WS_CLIENT ? both.server : both.client;
  CHECK_IS(read_next(conn), WS_ERR_WOULD_BLOCK);
  set(conn, WS_OPT_BLOCKING, (uint64_t)blocking);
  set(conn, WS_OPT_IDLE_TIMEOUT_MS, 300);
  nap(100);
  CHECK_IS(ws_write_message(peer, WS_TEXT, "in time", 7), WS_OK);
  nap(500);
  CHECK_IS(look(conn), expected);
  CHECK_IS(ws_get_state(conn), WS_STATE_OPEN);
  if (look != read_next) CHECK_IS(read_next(conn), WS_OK);
  set(conn, WS_OPT_BLOCKING, 0);
  CHECK_IS(read_next(conn), WS_ERR_WOULD_BLOCK);
  nap(450); /* and now nothing has come for too long */
  CHECK_IS(read_next(conn), WS_ERR_TIMEOUT);
  free_ends(&both);
}

static void a_message_that_came_in_time_is_read_however_late_the_program_looks(void) {
  TRY(what_came_in_time("ws", WS_SERVER, 0, read_next, WS_OK));
  TRY(what_came_in_time("ws", WS_CLIENT, 0, read_next, WS_OK));
}

static void a_message_that_came_in_time_is_read_by_a_blocking_read_that_begins_late(void) {
  what_came_in_time("ws", WS_SERVER, 1, read_next, WS_OK);
}

static void a_message_that_came_in_time_over_tls_is_read_however_late_the_program_looks(void) {
  TRY(what_came_in_time("wss", WS_SERVER, 0, read_next, WS_OK));
  TRY(what_came_in_time("wss", WS_CLIENT, 1, read_next, WS_OK));
}

static void a_message_that_came_in_time_keeps_a_late_writer_alive(void) {
  TRY(what_came_in_time("ws", WS_SERVER, 0, write_little, WS_OK));
  TRY(what_came_in_time("ws", WS_CLIENT, 1, write_little, WS_OK));
  TRY(what_came_in_time("wss", WS_CLIENT, 0, write_little, WS_OK));
}

static void a_message_that_came_in_time_keeps_alive_who_sends_what_is_pending(void) {
  what_came_in_time("ws", WS_SERVER, 0, ws_write_pending, WS_OK);
}

/* The same told by a poller: one stall of a server must not cost it all its connections. */
static void a_server_that_stalls_loses_no_connection_whose_message_came_in_time(void) {
  enum { HERE = 20 };
  static ends both[HERE];
  ws_poller *poller;
  uint64_t tokens[HERE], begun;
  size_t count, i;
  int seen = 0;
  CHECK_IS(ws_poller_new(&poller), WS_OK);
  for (i = 0; i < HERE; i++) {
    both[i] = open_ends("ws");
    CHECK_IS(ws_poller_add(poller, both[i].server, i), WS_OK);
  }
  while (ws_poller_wait(poller, tokens, HERE, 20, &count) == WS_OK)
    for (i = 0; i < count; i++) CHECK_IS(read_next(both[tokens[i]].server), WS_ERR_WOULD_BLOCK);
  for (i = 0; i < HERE; i++) set(both[i].server, WS_OPT_IDLE_TIMEOUT_MS, 300);
  for (i = 0; i < HERE; i++) CHECK_IS(ws_write_message(both[i].client, WS_TEXT, "in time", 7), WS_OK);
  nap(500);
  begun = ws_now();
  while (seen < HERE && ws_now() - begun < 2000) {
    if (ws_poller_wait(poller, tokens, HERE, 100, &count) != WS_OK) continue;
    for (i = 0; i < count; i++) {
      const ws_status_t status = read_next(both[tokens[i]].server);
      CHECK(status == WS_OK || status == WS_ERR_WOULD_BLOCK);
      seen += status == WS_OK;
    }
  }
  CHECK_IS(seen, HERE);
  for (i = 0; i < HERE; i++) free_ends(&both[i]);
  ws_poller_free(poller);
}

/* Answers what has arrived on its end, which holds the Pings. */
static void a_pong_that_came_in_time(const char *scheme, int32_t role, ws_status_t (*look)(ws_conn *),
                                     ws_status_t expected) {
  ends both = open_ends(scheme);
  ws_conn *conn = role == WS_CLIENT ? both.client : both.server;
  ws_conn *peer = role == WS_CLIENT ? both.server : both.client;
  int i;
  CHECK_IS(read_next(conn), WS_ERR_WOULD_BLOCK);
  set(conn, WS_OPT_PONG_TIMEOUT_MS, 300);
  set(conn, WS_OPT_PING_INTERVAL_MS, 100);
  CHECK_IS(read_next(conn), WS_ERR_WOULD_BLOCK);
  nap(150);
  CHECK_IS(read_next(conn), WS_ERR_WOULD_BLOCK); /* the Ping leaves */
  set(conn, WS_OPT_PING_INTERVAL_MS, 10000);
  for (i = 0; i < 10; i++) {
    CHECK_IS(read_next(peer), WS_ERR_WOULD_BLOCK);
    nap(10);
  }
  nap(400);
  CHECK_IS(look(conn), expected);
  CHECK_IS(ws_get_state(conn), WS_STATE_OPEN);
  CHECK_IS(read_next(conn), WS_ERR_WOULD_BLOCK);
  CHECK(ws_latency(conn) >= 0);
  free_ends(&both);
}

static void a_pong_that_came_in_time_counts_however_late_the_program_looks(void) {
  TRY(a_pong_that_came_in_time("ws", WS_SERVER, read_next, WS_ERR_WOULD_BLOCK));
  TRY(a_pong_that_came_in_time("ws", WS_CLIENT, read_next, WS_ERR_WOULD_BLOCK));
  TRY(a_pong_that_came_in_time("wss", WS_CLIENT, read_next, WS_ERR_WOULD_BLOCK));
}

static void a_pong_that_came_in_time_keeps_a_late_writer_alive(void) {
  TRY(a_pong_that_came_in_time("ws", WS_SERVER, write_little, WS_OK));
  TRY(a_pong_that_came_in_time("wss", WS_CLIENT, write_little, WS_OK));
}

static ws_status_t wait_a_little(ws_conn *conn) {
  const ws_status_t status = ws_wait(conn, 50);
  return status == WS_OK ? WS_ERR_WOULD_BLOCK : status;
}

static void a_pong_that_came_in_time_counts_after_a_wait(void) {
  a_pong_that_came_in_time("ws", WS_CLIENT, wait_a_little, WS_ERR_WOULD_BLOCK);
}

static int answering;

static void *answer_pings(void *arg) {
  ws_conn *peer = arg;
  while (__atomic_load_n(&answering, __ATOMIC_SEQ_CST)) {
    const ws_status_t status = read_next(peer);
    if (status != WS_OK) EXPECT_IS(status, WS_ERR_WOULD_BLOCK);
    if (status != WS_OK) nap(5);
  }
  return NULL;
}

/* It never reads; the peer answers each Ping at once. */
static void who_only_writes_lives_on_the_pongs_in_its_socket(void) {
  int32_t role;
  for (role = WS_CLIENT; role <= WS_SERVER; role++) {
    ends both = open_ends("ws");
    ws_conn *conn = role == WS_CLIENT ? both.client : both.server;
    pthread_t thread;
    int i;
    answering = 1;
    NEED(pthread_create(&thread, NULL, answer_pings, role == WS_CLIENT ? both.server : both.client) == 0);
    set(conn, WS_OPT_PONG_TIMEOUT_MS, 300);
    set(conn, WS_OPT_PING_INTERVAL_MS, 100);
    for (i = 0; i < 20 && EXPECT_IS(write_little(conn), WS_OK); i++) nap(50);
    __atomic_store_n(&answering, 0, __ATOMIC_SEQ_CST);
    pthread_join(thread, NULL);
    CHECK_IS(ws_get_state(conn), WS_STATE_OPEN);
    free_ends(&both);
  }
}

/* Time that is handed in: what has been fed since the last time counts as having come at the next one. */

static void feed_frame(ws_conn *conn, int32_t role, uint8_t first, const void *payload, size_t len) {
  uint8_t frame[256];
  size_t consumed, size = put_frame(frame, other_role(role), first, payload, len);
  NEED(ws_feed(conn, frame, size, &consumed) == WS_OK && consumed == size);
}

static void what_is_fed_is_dated_by_the_next_tick(void) {
  int32_t role;
  for (role = WS_CLIENT; role <= WS_SERVER; role++) {
    ws_conn *conn = new_open(NULL, role);
    set(conn, WS_OPT_IDLE_TIMEOUT_MS, 300);
    CHECK_IS(ws_tick(conn, 1000), WS_OK);
    feed_frame(conn, role, 0x81, "in time", 7);
    CHECK_IS(ws_tick(conn, 1600), WS_OK); /* not read yet */
    CHECK_IS(read_next(conn), WS_OK);
    CHECK_IS(read_next(conn), WS_ERR_WOULD_BLOCK);
    CHECK_IS(ws_next_deadline(conn), 1900);
    CHECK_IS(ws_tick(conn, 1899), WS_OK);
    feed_frame(conn, role, 0x81, "in time", 7);
    CHECK_IS(read_next(conn), WS_OK); /* read before the next tick */
    CHECK_IS(ws_tick(conn, 2500), WS_OK);
    CHECK_IS(ws_tick(conn, 2799), WS_OK);
    CHECK_IS(ws_tick(conn, 2800), WS_ERR_TIMEOUT);
    ws_free(conn);
  }
}

static int32_t take_from_script(void *script, uint8_t *buf, size_t len, size_t *out_n) {
  const char **rest = script;
  const size_t n = strlen(*rest);
  (void)len;
  if (n == 0) return EAGAIN;
  memcpy(buf, *rest, n);
  *rest += n;
  *out_n = n;
  return 0;
}

static int32_t send_nowhere(void *script, const uint8_t *buf, size_t len, size_t *out_n) {
  (void)script, (void)buf;
  *out_n = len;
  return 0;
}

static void what_a_callback_brings_is_dated_by_the_next_tick(void) {
  ws_conn *conn = new_open(NULL, WS_CLIENT);
  const char *script = "\x81\x07in time";
  CHECK_IS(ws_set_io(conn, take_from_script, send_nowhere, &script), WS_OK);
  set(conn, WS_OPT_IDLE_TIMEOUT_MS, 300);
  CHECK_IS(ws_tick(conn, 1000), WS_OK);
  CHECK_IS(read_next(conn), WS_OK);
  CHECK_IS(ws_tick(conn, 1600), WS_OK);
  CHECK_IS(ws_tick(conn, 1899), WS_OK);
  CHECK_IS(ws_tick(conn, 1900), WS_ERR_TIMEOUT);
  ws_free(conn);
}

/* Options hold for a thread that waits. */

static void an_option_ends(int32_t role, ws_status_t (*wait)(ws_conn *), int32_t option, uint64_t value,
                           ws_status_t expected) {
  static call waiter;
  line both = open_line(role, NULL);
  set(both.conn, WS_OPT_BLOCKING, 1);
  set(both.conn, WS_OPT_READ_TIMEOUT_MS, 6000);
  set(both.conn, WS_OPT_WRITE_TIMEOUT_MS, 6000);
  begin_call(&waiter, both.conn, wait);
  nap(300);
  NEED(!has_ended(&waiter));
  set(both.conn, option, value);
  CHECK(ends_within(&waiter, 2000));
  CHECK_IS(waiter.status, expected);
  CHECK(is_between(waiter.took, value, 300 + value + 700));
  free_line(&both);
}

static void a_shorter_read_timeout_holds_for_a_reader_that_waits(void) {
  TRY(an_option_ends(WS_SERVER, read_next, WS_OPT_READ_TIMEOUT_MS, 200, WS_ERR_WOULD_BLOCK));
  TRY(an_option_ends(WS_CLIENT, read_next, WS_OPT_READ_TIMEOUT_MS, 500, WS_ERR_WOULD_BLOCK));
}

static void a_shorter_write_timeout_holds_for_a_writer_that_waits(void) {
  TRY(an_option_ends(WS_SERVER, write_large, WS_OPT_WRITE_TIMEOUT_MS, 200, WS_OK));
  TRY(an_option_ends(WS_CLIENT, write_large, WS_OPT_WRITE_TIMEOUT_MS, 500, WS_OK));
}

static void a_writer_that_waits_minds_that_blocking_is_switched_off(void) {
  TRY(an_option_ends(WS_SERVER, write_large, WS_OPT_BLOCKING, 0, WS_OK));
  TRY(an_option_ends(WS_CLIENT, write_large, WS_OPT_BLOCKING, 0, WS_OK));
}

static void a_reader_that_waits_minds_that_blocking_is_switched_off(void) {
  TRY(an_option_ends(WS_SERVER, read_next, WS_OPT_BLOCKING, 0, WS_ERR_WOULD_BLOCK));
  TRY(an_option_ends(WS_CLIENT, read_next, WS_OPT_BLOCKING, 0, WS_ERR_WOULD_BLOCK));
}

static void an_idle_timeout_holds_for_a_writer_that_waits(void) {
  an_option_ends(WS_SERVER, write_large, WS_OPT_IDLE_TIMEOUT_MS, 300, WS_ERR_TIMEOUT);
}

static void a_longer_read_timeout_holds_for_a_reader_that_waits(void) {
  static call reader;
  line both = open_line(WS_CLIENT, NULL);
  set(both.conn, WS_OPT_BLOCKING, 1);
  set(both.conn, WS_OPT_READ_TIMEOUT_MS, 300);
  begin_call(&reader, both.conn, read_next);
  nap(100);
  set(both.conn, WS_OPT_READ_TIMEOUT_MS, 1200);
  CHECK(ends_within(&reader, 4000));
  CHECK_IS(reader.status, WS_ERR_WOULD_BLOCK);
  CHECK(is_between(reader.took, 1100, 2500));
  free_line(&both);
}

/* Others leave output, or begin to close: who waits takes care of that. */

static void what_is_queued_is_sent_by_a_reader_that_waits(void) {
  static call reader;
  line both = open_line(WS_SERVER, NULL);
  set(both.conn, WS_OPT_BLOCKING, 1);
  begin_call(&reader, both.conn, read_next);
  nap(200);
  CHECK_IS(queue_little(both.conn), WS_OK);
  CHECK(is_readable(both.peer, 1000));
  close(both.peer);
  CHECK(ends_within(&reader, 2000));
  ws_free(both.conn);
  close(both.own);
}

static void a_close_that_is_queued_is_sent_by_a_reader_that_waits_and_its_deadline_ends_it(void) {
  static call reader;
  line both = open_line(WS_SERVER, NULL);
  set(both.conn, WS_OPT_BLOCKING, 1);
  set(both.conn, WS_OPT_CLOSE_TIMEOUT_MS, 300);
  begin_call(&reader, both.conn, read_next);
  nap(200);
  CHECK_IS(queue_a_close(both.conn), WS_OK);
  CHECK(is_readable(both.peer, 200));
  CHECK(ends_within(&reader, 2000));
  CHECK_IS(reader.status, WS_ERR_TIMEOUT);
  CHECK(is_between(reader.took, 480, 1500));
  free_line(&both);
}

static ws_status_t wait_long(ws_conn *conn) { return ws_wait(conn, 3000); }

static void what_is_queued_ends_a_wait(void) {
  static call waiter;
  line both = open_line(WS_CLIENT, NULL);
  begin_call(&waiter, both.conn, wait_long);
  nap(200);
  CHECK_IS(queue_little(both.conn), WS_OK);
  CHECK(ends_within(&waiter, 1000));
  CHECK_IS(waiter.status, WS_OK);
  free_line(&both);
}

/* A message behind so many Pings that a call looks no further: it lies in the session by then, and the socket is empty. */
static void a_message_over_tls_is_behind(int count, int32_t role) {
  static call reader;
  ends both = open_ends("wss");
  ws_conn *conn = role == WS_CLIENT ? both.client : both.server;
  ws_conn *peer = role == WS_CLIENT ? both.server : both.client;
  int i;
  set(peer, WS_OPT_MAX_SEND_QUEUE, 100000);
  for (i = 0; i < count; i++) CHECK_IS(ws_queue_message(peer, WS_PING, "", 0), WS_OK);
  CHECK_IS(ws_queue_message(peer, WS_TEXT, "behind", 6), WS_OK);
  CHECK_IS(ws_write_pending(peer), WS_OK);
  nap(50);
  set(conn, WS_OPT_BLOCKING, 1);
  begin_call(&reader, conn, read_next);
  CHECK(ends_within(&reader, 2000));
  CHECK_IS(reader.status, WS_OK);
  free_ends(&both);
}

static void a_message_over_tls_behind_as_many_pings_as_a_call_looks_at_is_read(void) {
  int i;
  for (i = 0; i < 4; i++) TRY(a_message_over_tls_is_behind((1 << 14) + 1000 * i, i % 2 ? WS_CLIENT : WS_SERVER));
}

/* Out of file descriptors. */

static struct {
  ws_conn *conn;
  ws_conn *peer;
  ws_status_t (*wait)(ws_conn *);
} without_files;

/* Has not one more file opened meanwhile. */
static void spend_files(void (*meanwhile)(void)) {
  struct rlimit enough, few;
  const int next = dup(1);
  NEED(next >= 0 && close(next) == 0 && getrlimit(RLIMIT_NOFILE, &enough) == 0);
  few = enough;
  few.rlim_cur = (rlim_t)next;
  NEED(setrlimit(RLIMIT_NOFILE, &few) == 0 && dup(1) < 0);
  meanwhile();
  setrlimit(RLIMIT_NOFILE, &enough);
}

static void wait_for_a_message(void) {
  static call waiter;
  const uint64_t before = cpu_ms();
  begin_call(&waiter, without_files.conn, without_files.wait);
  nap(300);
  CHECK(!has_ended(&waiter));
  CHECK(cpu_ms() - before < 150);
  CHECK_IS(ws_write_message(without_files.peer, WS_TEXT, "there", 5), WS_OK);
  CHECK(ends_within(&waiter, SOON));
  CHECK_IS(waiter.status, WS_OK);
}

static void out_of_files(const char *scheme, ws_status_t (*wait)(ws_conn *)) {
  ends both = open_ends(scheme);
  set(both.client, WS_OPT_BLOCKING, 1);
  without_files.conn = both.client, without_files.peer = both.server, without_files.wait = wait;
  TRY(spend_files(wait_for_a_message));
  free_ends(&both);
}

static void a_blocking_read_needs_no_file_of_its_own(void) {
  TRY(out_of_files("ws", read_next));
  TRY(out_of_files("wss", read_next));
}

static void a_wait_needs_no_file_of_its_own(void) { out_of_files("ws", wait_long); }

static void close_beside_a_reader(void) {
  static call reader;
  begin_call(&reader, without_files.conn, read_next);
  nap(200);
  CHECK(!has_ended(&reader));
  CHECK_IS(close_it(without_files.conn), WS_OK);
  CHECK(ends_within(&reader, 1500));
  CHECK_IS(reader.status, WS_ERR_TIMEOUT);
}

/* Where there is nothing to wake it by, it looks again by itself. */
static void a_blocking_read_without_files_is_ended_by_another_threads_close(void) {
  line both = open_line(WS_CLIENT, NULL);
  set(both.conn, WS_OPT_BLOCKING, 1);
  set(both.conn, WS_OPT_CLOSE_TIMEOUT_MS, 200);
  without_files.conn = both.conn;
  TRY(spend_files(close_beside_a_reader));
  free_line(&both);
}

static void shorten_a_write(void) {
  static call writer;
  begin_call(&writer, without_files.conn, write_large);
  nap(200);
  CHECK(!has_ended(&writer));
  set(without_files.conn, WS_OPT_WRITE_TIMEOUT_MS, 300);
  CHECK(ends_within(&writer, 1500));
  CHECK_IS(writer.status, WS_OK);
}

static void a_blocking_write_without_files_minds_its_options(void) {
  line both = open_line(WS_CLIENT, NULL);
  set(both.conn, WS_OPT_BLOCKING, 1);
  without_files.conn = both.conn;
  TRY(spend_files(shorten_a_write));
  free_line(&both);
}

/* What is queued is no different from what a write brings along. */
static void sending_what_is_pending_to_a_peer_that_takes_nothing_ends_with_the_pong_timeout(void) {
  static call writer;
  line both = open_line(WS_SERVER, NULL);
  CHECK_IS(ws_queue_message(both.conn, WS_BINARY, large, sizeof large), WS_OK);
  set(both.conn, WS_OPT_BLOCKING, 1);
  set(both.conn, WS_OPT_PONG_TIMEOUT_MS, 500);
  set(both.conn, WS_OPT_PING_INTERVAL_MS, 300);
  begin_call(&writer, both.conn, ws_write_pending);
  CHECK(ends_within(&writer, 3000));
  CHECK_IS(writer.status, WS_ERR_TIMEOUT);
  CHECK(is_between(writer.took, 750, 2000));
  free_line(&both);
}

/* Nobody answers: who only writes is told. */
static void who_only_writes_to_a_peer_that_is_gone_is_told_once_the_pong_is_late(void) {
  line both = open_line(WS_SERVER, NULL);
  ws_status_t status = WS_OK;
  uint64_t begun;
  set(both.conn, WS_OPT_PONG_TIMEOUT_MS, 300);
  set(both.conn, WS_OPT_PING_INTERVAL_MS, 100);
  for (begun = ws_now(); status == WS_OK && ws_now() - begun < 3000; nap(20)) status = write_little(both.conn);
  CHECK_IS(status, WS_ERR_TIMEOUT);
  CHECK(is_between(ws_now() - begun, 380, 1500));
  free_line(&both);
}

static void a_pong_that_is_fed_is_dated_by_the_next_tick(void) {
  ws_conn *conn = new_open(NULL, WS_SERVER);
  const uint8_t *data;
  uint8_t payload[8], frame[32];
  size_t len, size, consumed;
  set(conn, WS_OPT_PONG_TIMEOUT_MS, 200);
  set(conn, WS_OPT_PING_INTERVAL_MS, 1000);
  CHECK_IS(ws_tick(conn, 0), WS_OK);
  CHECK_IS(ws_tick(conn, 1000), WS_OK);
  CHECK_IS(ws_output(conn, &data, &len), WS_OK);
  CHECK(len == 2 + sizeof payload && data[0] == 0x89);
  memcpy(payload, data + 2, sizeof payload);
  CHECK_IS(ws_output_advance(conn, len), WS_OK);
  size = put_frame(frame, WS_CLIENT, 0x8a, payload, sizeof payload);
  CHECK_IS(ws_feed(conn, frame, size, &consumed), WS_OK);
  CHECK_IS(ws_tick(conn, 1600), WS_OK);
  CHECK_IS(read_next(conn), WS_ERR_WOULD_BLOCK);
  CHECK(ws_latency(conn) >= 0 && ws_latency(conn) <= 600);
  CHECK_IS(ws_tick(conn, 2000), WS_OK); /* the next Ping */
  CHECK_IS(ws_tick(conn, 2199), WS_OK);
  CHECK_IS(ws_tick(conn, 2200), WS_ERR_TIMEOUT);
  ws_free(conn);
}

/* Threads that wait on one connection: what one of them does, the others take into account. */

/* Beside a thread that reads, what arrives is that one's; then it is the others' again. */
static void a_wait_beside_a_reader_that_gave_up_ends_with_the_next_message(void) {
  static call reader, waiter;
  line both = open_line(WS_SERVER, NULL);
  set(both.conn, WS_OPT_BLOCKING, 1);
  set(both.conn, WS_OPT_READ_TIMEOUT_MS, 200);
  begin_call(&reader, both.conn, read_next);
  nap(60);
  begin_call(&waiter, both.conn, wait_long);
  CHECK(ends_within(&reader, 2000));
  CHECK_IS(reader.status, WS_ERR_WOULD_BLOCK);
  nap(100);
  CHECK(!has_ended(&waiter));
  send_frame(both.peer, WS_SERVER, 0x81, "news", 4);
  CHECK(ends_within(&waiter, SOON));
  CHECK_IS(waiter.status, WS_OK);
  free_line(&both);
}

static void a_wait_ends_where_another_thread_is_told_of_the_end(void) {
  static call waiter;
  guest one = open_guest(WS_SERVER);
  const uint64_t begun = ws_now();
  ws_status_t status = WS_ERR_WOULD_BLOCK;
  CHECK_IS(close_it(one.conn), WS_OK);
  begin_call(&waiter, one.conn, wait_long);
  nap(50);
  send_frame(one.fd, WS_SERVER, 0x88, "\x03\xe8", 2);
  while (status != WS_ERR_CONNECTION_CLOSED && ws_now() - begun < 2000) status = read_next(one.conn);
  CHECK_IS(status, WS_ERR_CONNECTION_CLOSED);
  CHECK(ends_within(&waiter, SOON));
  CHECK(waiter.status == WS_OK || waiter.status == WS_ERR_ALREADY_CLOSED);
  CHECK_IS(ws_wait(one.conn, 10), WS_ERR_ALREADY_CLOSED);
  free_guest(&one);
}

/* A peer that never stops to send what is no message. */

static struct {
  pthread_t thread;
  int fd;
  ws_conn *peer; /* or this one */
  int ends;
} flood;

static void *keep_pinging(void *unused) {
  static uint8_t pings[54000];
  size_t len = 0;
  (void)unused;
  while (len + 6 <= sizeof pings) len += put_frame(pings + len, WS_CLIENT, 0x89, "", 0);
  while (!__atomic_load_n(&flood.ends, __ATOMIC_SEQ_CST)) {
    if (!flood.peer && send(flood.fd, pings, len, MSG_NOSIGNAL) < 0) break;
    if (flood.peer && ws_queue_message(flood.peer, WS_PING, "", 0) != WS_OK) read_all(flood.peer);
  }
  return NULL;
}

/* Whoever reads gives up in time. */
static void a_flood_is_outlived(ws_conn *conn, int fd, ws_conn *peer) {
  static call reader;
  static uint8_t pongs[64 << 10];
  const uint64_t begun = ws_now();
  set(conn, WS_OPT_BLOCKING, 1);
  set(conn, WS_OPT_READ_TIMEOUT_MS, 300);
  flood.fd = fd, flood.peer = peer, flood.ends = 0;
  NEED(pthread_create(&flood.thread, NULL, keep_pinging, NULL) == 0);
  begin_call(&reader, conn, read_next);
  while (!has_ended(&reader) && ws_now() - begun < 5000) {
    if (peer) nap(5);
    else recv(fd, pongs, sizeof pongs, MSG_DONTWAIT);
  }
  __atomic_store_n(&flood.ends, 1, __ATOMIC_SEQ_CST);
  if (!peer) shutdown(fd, SHUT_RDWR);
  pthread_join(flood.thread, NULL);
  CHECK(ends_within(&reader, SOON));
  CHECK_IS(reader.status, WS_ERR_WOULD_BLOCK);
  CHECK(is_between(reader.took, 280, 1500));
}

static void a_read_timeout_holds_against_a_peer_that_never_stops_pinging(void) {
  line both = open_line(WS_SERVER, NULL);
  ends secured;
  TRY(a_flood_is_outlived(both.conn, both.peer, NULL));
  free_line(&both);
  secured = open_ends("wss");
  TRY(a_flood_is_outlived(secured.client, -1, secured.server));
  free_ends(&secured);
}

/* A message whose rest never comes, a byte at a time. */
static void a_read_timeout_holds_against_a_message_that_trickles_in(void) {
  static call reader;
  line both = open_line(WS_SERVER, NULL);
  uint8_t head[8] = {0x82, 0xfe, 0xff, 0xff};
  set(both.conn, WS_OPT_BLOCKING, 1);
  set(both.conn, WS_OPT_READ_TIMEOUT_MS, 300);
  begin_call(&reader, both.conn, read_next);
  say(both.peer, head, sizeof head);
  while (!has_ended(&reader)) {
    say(both.peer, "x", 1);
    nap(1);
  }
  CHECK(ends_within(&reader, SOON));
  CHECK_IS(reader.status, WS_ERR_WOULD_BLOCK);
  CHECK(is_between(reader.took, 280, 1000));
  free_line(&both);
}

/* However steadily it takes a little. */
static void a_write_timeout_holds_against_a_peer_that_takes_little_at_a_time(void) {
  static call writer;
  static uint8_t space[20000];
  line both = open_line(WS_SERVER, NULL);
  set(both.conn, WS_OPT_BLOCKING, 1);
  set(both.conn, WS_OPT_WRITE_TIMEOUT_MS, 300);
  begin_call(&writer, both.conn, write_large);
  while (!has_ended(&writer)) {
    recv(both.peer, space, sizeof space, 0);
    nap(5);
  }
  CHECK(ends_within(&writer, SOON));
  CHECK_IS(writer.status, WS_OK);
  CHECK(ws_queued_bytes(both.conn) > 0);
  CHECK(is_between(writer.took, 280, 1000));
  free_line(&both);
}

/* Openings. */

static void a_handshake_timeout_holds_for_an_opening_under_way(ws_status_t (*open)(ws_conn *)) {
  static call opener;
  int port, listening = listen_raw(&port), fd;
  ws_config *config = config_with(WS_OPT_BLOCKING, 1);
  ws_conn *conn = NULL;
  char url[64];
  snprintf(url, sizeof url, "ws://127.0.0.1:%d/", port);
  NEED(ws_connect(config, url, &conn) == WS_OK && (fd = accept(listening, NULL, NULL)) >= 0);
  begin_call(&opener, conn, open);
  nap(100);
  set(conn, WS_OPT_HANDSHAKE_TIMEOUT_MS, 300);
  CHECK(ends_within(&opener, 2000));
  CHECK_IS(opener.status, WS_ERR_TIMEOUT);
  ws_free(conn);
  ws_config_free(config);
  close(fd);
  close(listening);
}

static void a_handshake_timeout_holds_for_who_waits_in_an_opening(void) {
  TRY(a_handshake_timeout_holds_for_an_opening_under_way(ws_handshake));
  TRY(a_handshake_timeout_holds_for_an_opening_under_way(read_next));
}

/* A client whose proxy has been asked for its server, and has not answered. */
typedef struct asking {
  ws_conn *conn;
  int listening, fd;
} asking;

static asking ask_proxy(uint64_t blocking) {
  ws_config *config = config_with(WS_OPT_BLOCKING, 0);
  const uint64_t begun = ws_now();
  char url[64], scratch[512];
  asking one;
  int port;
  one.listening = listen_raw(&port);
  snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
  NEED(ws_config_set_proxy(config, url) == WS_OK);
  NEED(ws_connect(config, "ws://server.example/", &one.conn) == WS_OK);
  NEED((one.fd = accept(one.listening, NULL, NULL)) >= 0);
  while (!is_readable(one.fd, 1)) {
    NEED(ws_now() - begun < 5000);
    ws_write_pending(one.conn);
  }
  NEED(recv(one.fd, scratch, sizeof scratch, 0) > 0);
  NEED(ws_write_pending(one.conn) == WS_ERR_WOULD_BLOCK);
  set(one.conn, WS_OPT_BLOCKING, blocking);
  ws_config_free(config);
  return one;
}

static void free_asking(asking *one) {
  ws_free(one->conn);
  close(one->fd);
  close(one->listening);
}

static const char a_tunnel[] = "HTTP/1.1 200 OK\r\n\r\n";

static void what_an_opening_has_to_send_is_sent_by_a_call_that_waits_for_the_proxy(void) {
  static call sender;
  asking one = ask_proxy(1);
  const uint64_t before = cpu_ms();
  begin_call(&sender, one.conn, ws_write_pending);
  nap(200);
  CHECK(!has_ended(&sender));
  CHECK(cpu_ms() - before < 100);
  say(one.fd, a_tunnel, sizeof a_tunnel - 1);
  CHECK(ends_within(&sender, SOON));
  CHECK_IS(sender.status, WS_OK);
  CHECK(is_readable(one.fd, SOON)); /* the request */
  free_asking(&one);
}

static void what_an_opening_has_to_send_over_tls_does_not_make_a_call_spin(void) {
  static call sender;
  int fd;
  ws_conn *conn = connect_with_a_long_request(1, &fd);
  uint64_t before;
  begin_call(&sender, conn, ws_write_pending);
  nap(200);
  before = cpu_ms();
  nap(300);
  CHECK(!has_ended(&sender));
  CHECK(cpu_ms() - before < 100);
  close(fd);
  CHECK(ends_within(&sender, SOON));
  CHECK(sender.status != WS_OK);
  ws_free(conn);
}

int main(int argc, char **argv) {
  check_begin(argc, argv);
  RUN(a_write_to_a_client_that_takes_nothing_ends_with_the_pong_timeout);
  RUN(a_write_to_a_server_that_takes_nothing_ends_with_the_pong_timeout);
  RUN(a_write_over_tls_to_a_peer_that_takes_nothing_ends_with_the_pong_timeout);
  RUN(a_write_to_a_client_that_takes_nothing_ends_with_the_idle_timeout);
  RUN(a_write_to_a_server_that_takes_nothing_ends_with_the_idle_timeout);
  RUN(a_write_over_tls_to_a_peer_that_takes_nothing_ends_with_the_idle_timeout);
  RUN(a_write_to_a_peer_that_only_sends_ends_with_the_idle_timeout_after_what_was_sent_last);
  RUN(a_write_that_waits_does_not_spin_when_a_ping_is_due);
  RUN(a_slow_upload_that_a_ping_falls_into_does_not_spin);
  RUN(a_slow_upload_beside_a_reader_outlives_the_pong_timeout);
  RUN(an_upload_that_stops_is_given_up_after_what_was_taken_last);
  RUN(closing_beside_a_stuck_write_returns_at_once_and_the_close_deadline_ends_both);
  RUN(closing_beside_a_stuck_write_over_tls_returns_at_once_and_the_close_deadline_ends_both);
  RUN(writing_a_close_beside_a_stuck_write_returns_at_once_and_the_close_deadline_ends_both);
  RUN(queueing_a_close_beside_a_stuck_write_starts_the_close_deadline_that_ends_it);
  RUN(closing_behind_output_that_does_not_leave_returns_at_once);
  RUN(writing_a_close_behind_output_that_does_not_leave_returns_at_once);
  RUN(a_timeout_of_a_reader_wakes_and_tells_the_writers_that_are_stuck);
  RUN(a_timeout_of_a_reader_wakes_and_tells_who_sends_what_is_pending);
  RUN(a_message_that_came_in_time_is_read_however_late_the_program_looks);
  RUN(a_message_that_came_in_time_is_read_by_a_blocking_read_that_begins_late);
  RUN(a_message_that_came_in_time_over_tls_is_read_however_late_the_program_looks);
  RUN(a_message_that_came_in_time_keeps_a_late_writer_alive);
  RUN(a_message_that_came_in_time_keeps_alive_who_sends_what_is_pending);
  RUN(a_server_that_stalls_loses_no_connection_whose_message_came_in_time);
  RUN(a_pong_that_came_in_time_counts_however_late_the_program_looks);
  RUN(a_pong_that_came_in_time_keeps_a_late_writer_alive);
  RUN(a_pong_that_came_in_time_counts_after_a_wait);
  RUN(who_only_writes_lives_on_the_pongs_in_its_socket);
  RUN(what_is_fed_is_dated_by_the_next_tick);
  RUN(what_a_callback_brings_is_dated_by_the_next_tick);
  RUN(a_shorter_read_timeout_holds_for_a_reader_that_waits);
  RUN(a_longer_read_timeout_holds_for_a_reader_that_waits);
  RUN(a_shorter_write_timeout_holds_for_a_writer_that_waits);
  RUN(a_writer_that_waits_minds_that_blocking_is_switched_off);
  RUN(a_reader_that_waits_minds_that_blocking_is_switched_off);
  RUN(an_idle_timeout_holds_for_a_writer_that_waits);
  RUN(what_is_queued_is_sent_by_a_reader_that_waits);
  RUN(a_close_that_is_queued_is_sent_by_a_reader_that_waits_and_its_deadline_ends_it);
  RUN(what_is_queued_ends_a_wait);
  RUN(a_message_over_tls_behind_as_many_pings_as_a_call_looks_at_is_read);
  RUN_POSIX(a_blocking_read_needs_no_file_of_its_own);
  RUN_POSIX(a_wait_needs_no_file_of_its_own);
  RUN_POSIX(a_blocking_read_without_files_is_ended_by_another_threads_close);
  RUN_POSIX(a_blocking_write_without_files_minds_its_options);
  RUN(sending_what_is_pending_to_a_peer_that_takes_nothing_ends_with_the_pong_timeout);
  RUN(who_only_writes_to_a_peer_that_is_gone_is_told_once_the_pong_is_late);
  RUN(a_pong_that_is_fed_is_dated_by_the_next_tick);
  RUN(a_wait_beside_a_reader_that_gave_up_ends_with_the_next_message);
  RUN(a_wait_ends_where_another_thread_is_told_of_the_end);
  RUN(a_read_timeout_holds_against_a_peer_that_never_stops_pinging);
  RUN(a_read_timeout_holds_against_a_message_that_trickles_in);
  RUN(a_write_timeout_holds_against_a_peer_that_takes_little_at_a_time);
  RUN(a_handshake_timeout_holds_for_who_waits_in_an_opening);
  RUN(what_an_opening_has_to_send_is_sent_by_a_call_that_waits_for_the_proxy);
  RUN(what_an_opening_has_to_send_over_tls_does_not_make_a_call_spin);
  return check_end();
}
