/* Waiting and deadlines: whoever waits is woken by what ends the wait, computes nothing meanwhile, and gives up on a peer
 * that is silent, never on one that lives. */

#include "peer.h"

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

int main(int argc, char **argv) {
  check_begin(argc, argv);
  RUN(sending_what_is_pending_to_a_peer_that_takes_nothing_ends_with_the_pong_timeout);
  RUN(who_only_writes_to_a_peer_that_is_gone_is_told_once_the_pong_is_late);
  RUN(a_pong_that_is_fed_is_dated_by_the_next_tick);
  return check_end();
}
