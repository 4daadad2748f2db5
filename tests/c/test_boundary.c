/* What a caller can do wrong at the boundary: each call says so, changes nothing, and harms nobody. */

#include "certificates.h"
#include "check.h"
#include "pair.h"

#include <inttypes.h>
#include <limits.h>
#include <sys/socket.h>

static int32_t recv_nothing(void *userdata, uint8_t *buf, size_t len, size_t *out_n) {
  (void)userdata, (void)buf, (void)len, (void)out_n;
  return 11; /* EAGAIN */
}

static int32_t send_nothing(void *userdata, const uint8_t *buf, size_t len, size_t *out_n) {
  (void)userdata, (void)buf, (void)len, (void)out_n;
  return 11;
}

/* Every option: its default in a configuration, another value that it can have, and one that it cannot. */
static const struct option {
  int32_t number;
  uint64_t by_default, other, bad;
  int only_in_config;
} options[] = {
  {WS_OPT_MAX_SENT_SIZE, 64 << 20, 1, 0, 0}, /* whose default is the next one's value */
  {WS_OPT_MAX_MESSAGE_SIZE, 64 << 20, 1, 0, 0},
  {WS_OPT_MAX_FRAME_SIZE, 16 << 20, 77, 0, 0},
  {WS_OPT_MAX_FRAGMENTS, 131072, 3, 0, 0},
  {WS_OPT_MAX_HEAD_SIZE, 16384, 256, 255, 0},
  {WS_OPT_MAX_SEND_QUEUE, 1024, 1, 0, 0},
  {WS_OPT_MAX_SEND_BYTES, 16 << 20, 1, 0, 0},
  {WS_OPT_ACCEPT_UNMASKED_FRAMES, 0, 1, 2, 0},
  {WS_OPT_BLOCKING, 1, 0, 2, 0},
  {WS_OPT_READ_TIMEOUT_MS, 0, 1500, 0, 0},
  {WS_OPT_HANDSHAKE_TIMEOUT_MS, 10000, 1, 0, 0},
  {WS_OPT_CLOSE_TIMEOUT_MS, 10000, 1, 0, 0},
  {WS_OPT_PING_INTERVAL_MS, 0, 1, 0, 0},
  {WS_OPT_IDLE_TIMEOUT_MS, 0, 1, 0, 0},
  {WS_OPT_PONG_TIMEOUT_MS, 20000, 1, 0, 0},
  {WS_OPT_WRITE_TIMEOUT_MS, 0, 1, 0, 0},
  {WS_OPT_CONNECT_TIMEOUT_MS, 0, 1, 0, 1},
  {WS_OPT_AUTO_PONG, 1, 0, 2, 0},
  {WS_OPT_DELIVER_CONTROL, 0, 1, 2, 0},
  {WS_OPT_DELIVER_FRAGMENTS, 0, 1, 2, 0},
  {WS_OPT_AUTO_ACCEPT, 1, 0, 2, 0},
  {WS_OPT_TCP_NODELAY, 1, 0, 2, 1},
  {WS_OPT_PROXY_FROM_ENVIRONMENT, 0, 1, 2, 1},
  {WS_OPT_REUSE_PORT, 0, 1, 2, 1},
  {WS_OPT_KEEP_HEAD, 1, 0, 2, 1},
  {WS_OPT_PLAIN_REQUESTS, 0, 1, 2, 1},
  {WS_OPT_DEFLATE, 0, 1, 2, 1},
  {WS_OPT_DEFLATE_LEVEL, 1, 9, 10, 1},
  {WS_OPT_DEFLATE_THRESHOLD, 64, 0, 0, 1},
  {WS_OPT_DEFLATE_CLIENT_MAX_WINDOW_BITS, 15, 9, 16, 1},
  {WS_OPT_DEFLATE_SERVER_MAX_WINDOW_BITS, 15, 9, 7, 1},
  {WS_OPT_DEFLATE_CLIENT_NO_CONTEXT_TAKEOVER, 0, 1, 2, 1},
  {WS_OPT_DEFLATE_SERVER_NO_CONTEXT_TAKEOVER, 0, 1, 2, 1},
  {WS_OPT_TLS_VERIFY, 1, 0, 2, 1},
};

static const int32_t no_numbers[] = {0, -1, 3, 4, 5, 6, 7, 11, 12, 15, 16, 128, 255, 257, INT32_MIN, INT32_MAX};

static void free_of_null_does_nothing(void) {
  ws_free(NULL);
  ws_config_free(NULL);
  ws_listener_free(NULL);
}

static void a_null_handle_is_an_invalid_argument_everywhere(void) {
  const ws_message *const *messages = (const ws_message *const *)1;
  size_t count = 7;
  const ws_status_t refused = WS_ERR_INVALID_ARGUMENT;
  uint64_t value = 7;
  size_t len = 7;
  uint8_t byte = 0, *room = &byte;
  const uint8_t *data = &byte;
  const char *name = "", *text = "";
  const ws_message *message = (const ws_message *)&value;
  ws_conn *conn = (ws_conn *)&value;

  CHECK_IS(ws_config_set(NULL, WS_OPT_BLOCKING, 1), refused);
  CHECK_IS(ws_config_get(NULL, WS_OPT_BLOCKING, &value), refused);
  CHECK_IS(ws_config_add_header(NULL, "a", "b"), refused);
  CHECK_IS(ws_config_add_protocol(NULL, "a"), refused);
  CHECK_IS(ws_config_set_proxy(NULL, NULL), refused);
  CHECK_IS(ws_config_set_tls_roots(NULL, &byte, 1), refused);
  CHECK_IS(ws_config_set_tls_identity(NULL, &byte, 1, &byte, 1), refused);
  CHECK_IS(ws_set_io(NULL, recv_nothing, send_nothing, NULL), refused);
  CHECK_IS(ws_set_socket(NULL, 0), refused);
  CHECK_IS(ws_listener_accept(NULL, &conn), refused);
  CHECK(conn == NULL);
  CHECK_IS(ws_listener_socket(NULL), -1);
  CHECK_IS(ws_listener_port(NULL), 0);
  CHECK_IS(ws_handshake(NULL), refused);
  CHECK(ws_request_target(NULL) == NULL);
  CHECK(ws_request_method(NULL) == NULL);
  CHECK_IS(ws_is_upgrade(NULL), 0);
  CHECK(ws_header(NULL, "Host") == NULL);
  CHECK_IS(ws_header_at(NULL, 0, &name, &text), refused);
  CHECK(name == NULL && text == NULL);
  CHECK(ws_protocol(NULL) == NULL);
  CHECK_IS(ws_http_status(NULL), 0);
  CHECK_IS(ws_http_body(NULL, &data, &len), refused);
  CHECK(data == NULL);
  CHECK_IS(ws_accept(NULL, NULL), refused);
  CHECK_IS(ws_reject(NULL, 400, NULL, 0), refused);
  CHECK_IS(ws_add_header(NULL, "X", "x"), refused);
  CHECK_IS(ws_read_message(NULL, &message), refused);
  CHECK_IS(ws_latency(NULL), -1);
  CHECK(message == NULL);
  CHECK_IS(ws_read_messages(NULL, &messages, &count), refused);
  CHECK(messages == NULL && count == 0);
  count = 7;
  CHECK_IS(ws_write_messages(NULL, &message, 1, &count), refused);
  CHECK(count == 0);
  CHECK_IS(ws_write_message(NULL, WS_TEXT, "a", 1), refused);
  CHECK_IS(ws_queue_message(NULL, WS_TEXT, "a", 1), refused);
  CHECK_IS(ws_write_fragment(NULL, WS_TEXT, "a", 1, 1), refused);
  CHECK_IS(ws_write_pending(NULL), refused);
  CHECK_IS(ws_close(NULL, 1000, NULL, 0), refused);
  CHECK_IS(ws_get_state(NULL), refused);
  CHECK_IS(ws_can_read(NULL), 0);
  CHECK_IS(ws_can_write(NULL), 0);
  CHECK_IS(ws_interest(NULL), 0);
  CHECK_IS(ws_queued_bytes(NULL), 0);
  CHECK_IS(ws_close_code(NULL), 0);
  CHECK_IS(ws_io_error(NULL), 0);
  CHECK(ws_error_message(NULL) != NULL && *ws_error_message(NULL) == '\0');
  CHECK_IS(ws_copy_error_message(NULL, NULL, 0), 0);
  CHECK_IS(ws_set_option(NULL, WS_OPT_BLOCKING, 1), refused);
  CHECK_IS(ws_get_option(NULL, WS_OPT_BLOCKING, &value), refused);
  CHECK_IS(ws_get_socket(NULL), -1);
  CHECK_IS(ws_input(NULL, &room, &len), refused);
  CHECK(room == NULL);
  CHECK_IS(ws_input_commit(NULL, 0), refused);
  CHECK_IS(ws_feed(NULL, &byte, 1, &len), refused);
  CHECK_IS(ws_feed_eof(NULL), refused);
  data = &byte;
  CHECK_IS(ws_output(NULL, &data, &len), refused);
  CHECK(data == NULL);
  CHECK_IS(ws_output_advance(NULL, 0), refused);
  CHECK_IS(ws_output_take(NULL, NULL, 0, NULL), refused);
  CHECK_IS(ws_tick(NULL, 0), refused);
  CHECK(ws_next_deadline(NULL) == UINT64_MAX);
  CHECK_IS(ws_wait(NULL, 0), refused);
  CHECK(value == 7 && len == 7);
}

static void null_for_a_result_or_a_string_is_an_invalid_argument(void) {
  const ws_status_t refused = WS_ERR_INVALID_ARGUMENT;
  ws_config *config = ws_config_new();
  pair both;
  ws_conn *conn;
  ws_listener *listener;
  uint8_t *room;
  const uint8_t *data;
  const char *text;
  size_t len;

  CHECK_IS(open_pair(&both, NULL, NULL), WS_OK);
  CHECK_IS(ws_config_get(config, WS_OPT_BLOCKING, NULL), refused);
  CHECK_IS(ws_config_add_header(config, NULL, "b"), refused);
  CHECK_IS(ws_config_add_header(config, "a", NULL), refused);
  CHECK_IS(ws_config_add_protocol(config, NULL), refused);
  CHECK_IS(ws_config_set_tls_roots(config, NULL, 1), refused);
  CHECK_IS(ws_config_set_tls_roots(config, NULL, 0), refused);
  CHECK_IS(ws_config_set_tls_identity(config, NULL, 1, (const uint8_t *)"", 0), refused);
  CHECK_IS(ws_config_set_tls_identity(config, (const uint8_t *)"", 0, NULL, 1), refused);
  CHECK_IS(ws_connect(config, "ws://127.0.0.1:1/", NULL), refused);
  CHECK_IS(ws_connect(config, NULL, &conn), refused);
  CHECK_IS(ws_client_new(config, "ws://a/", NULL), refused);
  CHECK_IS(ws_client_new(config, NULL, &conn), refused);
  CHECK_IS(ws_server_new(config, NULL), refused);
  CHECK_IS(ws_from_partially_read(config, WS_CLIENT, NULL, 0, NULL), refused);
  CHECK_IS(ws_listen(config, "ws://127.0.0.1:0/", NULL), refused);
  CHECK_IS(ws_listen(config, NULL, &listener), refused);
  CHECK_IS(ws_listen(config, "ws://127.0.0.1:0/", &listener), WS_OK);
  CHECK_IS(ws_listener_accept(listener, NULL), refused);
  ws_listener_free(listener);
  CHECK(ws_header(both.client, NULL) == NULL);
  CHECK_IS(ws_header_at(both.client, 0, NULL, &text), refused);
  CHECK(text == NULL);
  CHECK_IS(ws_header_at(both.client, 0, &text, NULL), refused);
  CHECK(text == NULL);
  CHECK_IS(ws_http_body(both.client, NULL, &len), refused);
  CHECK_IS(ws_http_body(both.client, &data, NULL), refused);
  CHECK(data == NULL);
  CHECK_IS(ws_read_message(both.client, NULL), refused);
  CHECK_IS(ws_get_option(both.client, WS_OPT_BLOCKING, NULL), refused);
  CHECK_IS(ws_input(both.client, NULL, &len), refused);
  CHECK_IS(ws_input(both.client, &room, NULL), refused);
  CHECK(room == NULL);
  CHECK_IS(ws_feed(both.client, (const uint8_t *)"", 0, NULL), refused);
  CHECK_IS(ws_output(both.client, NULL, &len), refused);
  CHECK_IS(ws_output(both.client, &data, NULL), refused);
  CHECK(data == NULL);
  CHECK_IS(ws_set_io(both.client, NULL, send_nothing, NULL), refused);
  CHECK_IS(ws_set_io(both.client, recv_nothing, NULL, NULL), refused);
  /* None of it has done anything: the pair is as good as new. */
  CHECK_IS(ws_input(both.client, &room, &len), WS_OK);
  CHECK_IS(ws_input_commit(both.client, 0), WS_OK);
  CHECK_IS(ws_get_state(both.client), WS_STATE_OPEN);
  free_pair(&both);
  ws_config_free(config);
}

static void the_outputs_of_a_failed_call_are_null(void) {
  union {
    ws_conn *conn;
    ws_listener *listener;
    const ws_message *message;
    uint8_t *room;
    const uint8_t *data;
  } out;
  const char *name = "x", *value = "x";
  pair both;
  size_t len = 7;
#define SPOIL() memset(&out, 0x55, sizeof out)
  CHECK_IS(open_pair(&both, NULL, NULL), WS_OK);
  SPOIL();
  CHECK(ws_connect(NULL, "http://a/", &out.conn) != WS_OK && out.conn == NULL);
  SPOIL();
  CHECK(ws_client_new(NULL, "", &out.conn) != WS_OK && out.conn == NULL);
  SPOIL();
  CHECK(ws_from_partially_read(NULL, 3, NULL, 0, &out.conn) != WS_OK && out.conn == NULL);
  SPOIL();
  CHECK(ws_listen(NULL, "ws://a b/", &out.listener) != WS_OK && out.listener == NULL);
  SPOIL();
  CHECK(ws_read_message(both.client, &out.message) == WS_ERR_WOULD_BLOCK && out.message == NULL);
  CHECK(ws_header_at(both.client, 1000, &name, &value) != WS_OK && name == NULL && value == NULL);
  CHECK(ws_header_at(both.client, SIZE_MAX, &name, &value) != WS_OK);
  CHECK_IS(ws_input(both.client, &out.room, &len), WS_OK);
  len = 7;
  SPOIL();
  CHECK(ws_input(both.client, &out.room, &len) == WS_ERR_MISUSE && out.room == NULL && len == 7);
  CHECK_IS(ws_input_commit(both.client, 0), WS_OK);
  CHECK_IS(ws_set_io(both.client, recv_nothing, send_nothing, NULL), WS_OK);
  SPOIL();
  CHECK(ws_output(both.client, &out.data, &len) == WS_ERR_MISUSE && out.data == NULL && len == 7);
  free_pair(&both);
#undef SPOIL
}

static void null_with_length_0_is_empty(void) {
  ws_conn *conn = new_open(NULL, WS_CLIENT), *server;
  size_t consumed = 9;
  CHECK_IS(ws_write_message(conn, WS_TEXT, NULL, 0), WS_OK);
  CHECK_IS(ws_write_message(conn, WS_BINARY, NULL, 0), WS_OK);
  CHECK_IS(ws_write_message(conn, WS_PING, NULL, 0), WS_OK);
  CHECK_IS(ws_write_message(conn, WS_PONG, NULL, 0), WS_OK);
  CHECK_IS(ws_queue_message(conn, WS_TEXT, NULL, 0), WS_OK);
  CHECK_IS(ws_write_fragment(conn, WS_TEXT, NULL, 0, 0), WS_OK);
  CHECK_IS(ws_write_fragment(conn, WS_TEXT, NULL, 0, 1), WS_OK);
  CHECK_IS(ws_feed(conn, NULL, 0, &consumed), WS_OK);
  CHECK_IS(consumed, 0);
  CHECK_IS(ws_close(conn, 0, NULL, 0), WS_OK);
  CHECK_IS(ws_queued_bytes(conn), 7 * (2 + 4) + 2 + 4);
  ws_free(conn);
  conn = new_open(NULL, WS_SERVER);
  CHECK_IS(ws_write_message(conn, WS_CLOSE, NULL, 0), WS_OK);
  ws_free(conn);
  conn = new_open(NULL, WS_SERVER);
  CHECK_IS(ws_close(conn, 1000, NULL, 0), WS_OK);
  ws_free(conn);
  CHECK_IS(ws_server_new(NULL, &server), WS_OK);
  CHECK_IS(ws_feed(server, NULL, 0, &consumed), WS_OK);
  ws_free(server);
}

static void null_with_a_length_and_impossible_lengths_are_invalid_arguments(void) {
  static const char byte[1] = "a";
  static const int32_t kinds[] = {WS_TEXT, WS_BINARY, WS_PING, WS_PONG, WS_CLOSE};
  const struct {
    const char *data;
    size_t len;
  } bad[] = {{NULL, 1}, {NULL, SIZE_MAX}, {byte, SIZE_MAX}, {byte, (size_t)PTRDIFF_MAX + 1}};
  for (size_t i = 0; i < LENGTH(bad); i++) {
    const void *data = bad[i].data;
    size_t len = bad[i].len, consumed = 9;
    ws_config *config = config_with(WS_OPT_AUTO_ACCEPT, 0);
    ws_conn *conn = new_open(NULL, WS_CLIENT), *none = (ws_conn *)&consumed;
    pair both = new_pair(NULL, config);
    for (size_t k = 0; k < LENGTH(kinds); k++) {
      CHECK_IS(ws_write_message(conn, kinds[k], data, len), WS_ERR_INVALID_ARGUMENT);
      CHECK_IS(ws_queue_message(conn, kinds[k], data, len), WS_ERR_INVALID_ARGUMENT);
      CHECK_IS(ws_write_fragment(conn, kinds[k], data, len, 0), WS_ERR_INVALID_ARGUMENT);
    }
    CHECK_IS(ws_close(conn, 1000, data, len), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(ws_close(conn, 0, data, len), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(ws_feed(conn, data, len, &consumed), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(consumed, 9);
    CHECK_IS(ws_from_partially_read(NULL, WS_CLIENT, data, len, &none), WS_ERR_INVALID_ARGUMENT);
    CHECK(none == NULL);
    CHECK_IS(ws_queued_bytes(conn), 0);
    CHECK_IS(ws_get_state(conn), WS_STATE_OPEN);
    CHECK_IS(ws_output_advance(conn, len), WS_ERR_INVALID_ARGUMENT);
    ws_free(conn);
    carry(both.client, both.server);
    CHECK_IS(ws_handshake(both.server), WS_OK);
    CHECK_IS(ws_reject(both.server, 400, data, len), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(ws_get_state(both.server), WS_STATE_REQUEST);
    free_pair(&both);
    ws_config_free(config);
  }
}

static void unknown_numbers_are_invalid_arguments(void) {
  ws_config *config = ws_config_new();
  ws_conn *conn = new_open(NULL, WS_CLIENT), *none;
  uint64_t value = 7;
  for (size_t i = 0; i < LENGTH(no_numbers); i++) {
    int32_t number = no_numbers[i];
    CHECK_IS(ws_write_message(conn, number, "", 0), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(ws_queue_message(conn, number, "", 0), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(ws_write_fragment(conn, number, "", 0, 1), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(ws_from_partially_read(NULL, number, NULL, 0, &none), WS_ERR_INVALID_ARGUMENT);
    if (number >= 1 && number <= WS_OPT_MAX_SEND_BYTES + 10) continue; /* some of these are options */
    CHECK_IS(ws_config_set(config, number, 1), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(ws_config_get(config, number, &value), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(ws_set_option(conn, number, 1), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(ws_get_option(conn, number, &value), WS_ERR_INVALID_ARGUMENT);
  }
  for (int32_t number = -300; number < 300; number++) {
    int known = 0;
    for (size_t i = 0; i < LENGTH(options); i++) known |= options[i].number == number;
    CHECK_IS(ws_config_get(config, number, &value), known ? WS_OK : WS_ERR_INVALID_ARGUMENT);
  }
  CHECK_IS(ws_write_fragment(conn, WS_PING, "", 0, 1), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_write_fragment(conn, WS_TEXT, "", 0, 2), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_write_fragment(conn, WS_TEXT, "", 0, -1), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_queued_bytes(conn), 0);
  ws_free(conn);
  ws_config_free(config);
}

static void close_codes_that_must_not_be_sent_are_invalid_arguments(void) {
  static const uint16_t bad[] = {1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535};
  static const uint16_t good[] = {0, 1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999};
  char reason[124];
  ws_conn *conn = new_open(NULL, WS_SERVER);
  memset(reason, 'r', sizeof reason);
  for (size_t i = 0; i < LENGTH(bad); i++) CHECK_IS(ws_close(conn, bad[i], NULL, 0), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_close(conn, 0, "r", 1), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_close(conn, 1000, reason, 124), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_write_message(conn, WS_CLOSE, reason, 124), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_close(conn, 1000, "\xff", 1), WS_ERR_UTF8);
  CHECK_IS(ws_get_state(conn), WS_STATE_OPEN);
  CHECK_IS(ws_queued_bytes(conn), 0);
  ws_free(conn);
  for (size_t i = 0; i < LENGTH(good); i++) {
    size_t len = good[i] == 0 ? 0 : 123;
    conn = new_open(NULL, WS_SERVER);
    CHECK_IS(ws_close(conn, good[i], reason, len), WS_OK);
    CHECK_IS(ws_close(conn, good[i], reason, len), WS_OK);
    CHECK_IS(ws_queued_bytes(conn), good[i] == 0 ? 2 : 2 + 2 + 123);
    ws_free(conn);
  }
}

static void payloads_against_the_rules_are_refused_and_change_nothing(void) {
  static const uint8_t payload[200];
  static const char *const bad[] = {"\xff", "a\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"};
  ws_conn *conn = new_open(NULL, WS_CLIENT);
  CHECK_IS(ws_write_message(conn, WS_PING, payload, 126), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_write_message(conn, WS_PONG, payload, 126), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_queue_message(conn, WS_PING, payload, 126), WS_ERR_INVALID_ARGUMENT);
  for (size_t i = 0; i < LENGTH(bad); i++) {
    CHECK_IS(ws_write_message(conn, WS_TEXT, bad[i], strlen(bad[i])), WS_ERR_UTF8);
    CHECK_IS(ws_queue_message(conn, WS_TEXT, bad[i], strlen(bad[i])), WS_ERR_UTF8);
    CHECK_IS(ws_write_fragment(conn, WS_TEXT, bad[i], strlen(bad[i]), 1), WS_ERR_UTF8);
    CHECK_IS(ws_write_message(conn, WS_CLOSE, bad[i], strlen(bad[i])), WS_ERR_UTF8);
  }
  CHECK_IS(ws_queued_bytes(conn), 0);
  CHECK_IS(ws_write_message(conn, WS_BINARY, "\xff", 1), WS_OK);
  CHECK_IS(ws_write_message(conn, WS_PING, payload, 125), WS_OK);
  ws_free(conn);
}

static void strings_that_are_not_utf8_are_invalid_arguments(void) {
  ws_config *config = ws_config_new();
  ws_config *asking = config_with(WS_OPT_AUTO_ACCEPT, 0);
  pair both = new_pair(NULL, asking);
  ws_conn *conn;
  ws_listener *listener;
  CHECK_IS(ws_config_add_header(config, "a\xff", "b"), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_config_add_header(config, "a", "b\xff"), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_config_add_protocol(config, "\xc3"), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_config_set_proxy(config, "http://\xff"), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_connect(config, "ws://\xff/", &conn), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_client_new(config, "ws://h/\xe4", &conn), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_listen(config, "ws://\xff:0/", &listener), WS_ERR_INVALID_ARGUMENT);
  carry(both.client, both.server);
  CHECK_IS(ws_handshake(both.server), WS_OK);
  CHECK_IS(ws_accept(both.server, "\xff"), WS_ERR_INVALID_ARGUMENT);
  CHECK(ws_header(both.server, "\xff") == NULL);
  CHECK_IS(ws_get_state(both.server), WS_STATE_REQUEST);
  free_pair(&both);
  ws_config_free(asking);
  ws_config_free(config);
}

static void every_option_has_its_default_and_takes_another_value(void) {
  ws_config *config = ws_config_new();
  ws_conn *conn;
  uint64_t value = 0;
  for (size_t i = 0; i < LENGTH(options); i++) {
    const struct option *option = &options[i];
    CHECK_IS(ws_config_get(config, option->number, &value), WS_OK);
    CHECK_IS(value, option->by_default);
    CHECK_IS(ws_config_set(config, option->number, option->other), WS_OK);
    CHECK_IS(ws_config_get(config, option->number, &value), WS_OK);
    CHECK_IS(value, option->other);
  }
  /* A connection has a copy: it keeps what the configuration was when it was made. */
  conn = new_open(config, WS_SERVER);
  for (size_t i = 0; i < LENGTH(options); i++)
    CHECK_IS(ws_config_set(config, options[i].number, options[i].by_default), WS_OK);
  for (size_t i = 0; i < LENGTH(options); i++) {
    const struct option *option = &options[i];
    CHECK_IS(ws_get_option(conn, option->number, &value), WS_OK);
    CHECK_IS(value, option->other);
    if (option->only_in_config) {
      CHECK_IS(ws_set_option(conn, option->number, option->by_default), WS_ERR_INVALID_ARGUMENT);
      continue;
    }
    CHECK_IS(ws_set_option(conn, option->number, option->by_default), WS_OK);
    CHECK_IS(ws_get_option(conn, option->number, &value), WS_OK);
    CHECK_IS(value, option->by_default);
  }
  ws_config_free(config);
  ws_free(conn);
}

static void an_option_keeps_its_value_where_the_new_one_is_bad(void) {
  ws_config *config = ws_config_new();
  ws_conn *conn = new_open(NULL, WS_SERVER);
  for (size_t i = 0; i < LENGTH(options); i++) {
    const struct option *option = &options[i];
    const uint64_t bad[] = {option->bad, UINT64_MAX, UINT64_C(1) << 32};
    uint64_t before = 0, after = 0;
    if (option->bad == 0) continue; /* this one takes any */
    CHECK_IS(ws_get_option(conn, option->number, &before), WS_OK);
    for (size_t b = 0; b < (option->number == WS_OPT_MAX_HEAD_SIZE ? 1 : LENGTH(bad)); b++) {
      CHECK_IS(ws_config_set(config, option->number, bad[b]), WS_ERR_INVALID_ARGUMENT);
      CHECK_IS(ws_set_option(conn, option->number, bad[b]), WS_ERR_INVALID_ARGUMENT);
    }
    CHECK_IS(ws_config_get(config, option->number, &after), WS_OK);
    CHECK_IS(after, option->by_default);
    CHECK_IS(ws_get_option(conn, option->number, &after), WS_OK);
    CHECK_IS(after, before);
  }
  CHECK_IS(ws_config_set(config, WS_OPT_MAX_HEAD_SIZE, 0), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_config_set(config, WS_OPT_DEFLATE_LEVEL, 0), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_config_set(config, WS_OPT_DEFLATE_CLIENT_MAX_WINDOW_BITS, 0), WS_ERR_INVALID_ARGUMENT);
  ws_config_free(config);
  ws_free(conn);
}

static void the_largest_and_the_smallest_values_are_no_trap(void) {
  const uint64_t extremes[] = {UINT64_MAX, UINT64_MAX - 1, (uint64_t)INT64_MAX, 0, 1};
  for (size_t e = 0; e < LENGTH(extremes); e++) {
    ws_config *config = ws_config_new();
    const ws_message *message;
    pair both;
    uint64_t value;
    for (size_t i = 0; i < LENGTH(options); i++) {
      if (options[i].bad && (options[i].number != WS_OPT_MAX_HEAD_SIZE || extremes[e] < 256)) continue;
      if (sizeof(size_t) < 8 && extremes[e] > UINT32_MAX && options[i].number < WS_OPT_BLOCKING) continue;
      CHECK_IS(ws_config_set(config, options[i].number, extremes[e]), WS_OK);
      CHECK_IS(ws_config_get(config, options[i].number, &value), WS_OK);
      CHECK(value == extremes[e]);
    }
    CHECK_IS(open_pair(&both, config, config), WS_OK);
    CHECK_IS(ws_tick(both.client, 1), WS_OK);
    CHECK_IS(ws_write_message(both.client, WS_TEXT, "x", 1), WS_OK);
    CHECK_IS(read_from(both.server, both.client, &message), WS_OK);
    CHECK(is_message(message, WS_TEXT, "x"));
    ws_next_deadline(both.client);
    ws_tick(both.client, UINT64_MAX);
    ws_tick(both.client, 0);
    CHECK(ws_get_state(both.client) >= WS_STATE_OPEN);
    free_pair(&both);
    ws_config_free(config);
  }
}

static void control_characters_in_headers_and_subprotocols_are_invalid_arguments(void) {
  ws_config *config = ws_config_new();
  const ws_status_t refused = WS_ERR_INVALID_ARGUMENT;
  for (int c = 1; c < 128; c++) {
    const char name[] = {'X', (char)c, 'y', '\0'};
    const int is_control = c < 32 || c == 127;
    const int is_separator = c == ' ' || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL;
    CHECK_IS(ws_config_add_header(config, name, "v"), is_control || is_separator ? refused : WS_OK);
    CHECK_IS(ws_config_add_protocol(config, name), is_control || is_separator ? refused : WS_OK);
    CHECK_IS(ws_config_add_header(config, "X", name), is_control && c != '\t' ? refused : WS_OK);
  }
  CHECK_IS(ws_config_add_header(config, "X", "v\r\nEvil: 1"), refused);
  CHECK_IS(ws_config_add_header(config, "X: v\r\nEvil", "1"), refused);
  CHECK_IS(ws_config_add_header(config, "", "v"), refused);
  CHECK_IS(ws_config_add_header(config, "X", ""), WS_OK);
  CHECK_IS(ws_config_add_protocol(config, ""), refused);
  CHECK_IS(ws_config_add_protocol(config, "Xay"), refused); /* there already */
  ws_config_free(config);
}

static void headers_of_the_handshake_itself_cannot_be_added(void) {
  static const char *const own[] = {"Upgrade", "connection", "SEC-WEBSOCKET-KEY", "Sec-WebSocket-Version",
                                    "sec-websocket-protocol", "Sec-WebSocket-Extensions", "Sec-WebSocket-Accept"};
  ws_config *config = ws_config_new();
  for (size_t i = 0; i < LENGTH(own); i++)
    CHECK_IS(ws_config_add_header(config, own[i], "x"), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_config_add_header(config, "Host", "other.example"), WS_OK);
  ws_config_free(config);
}

static void a_url_that_cannot_be_used_is_refused_before_anything_is_opened(void) {
  static const char *const bad[] = {
    "", "example.com", "//example.com/", "http://example.com/", "https://example.com/", "wsx://example.com/", "ws:",
    "ws:/", "ws://", "ws:///path", "ws://:80/", "ws://example.com:65536/", "ws://example.com:-1/",
    "ws://example.com:99999999999999999999/", "ws://example.com:x/", "ws://user@example.com/",
    "ws://user:secret@example.com/", "ws://example.com/#fragment", "ws://example.com/#", "ws://h/#f", "ws://exa mple.com/",
    " ws://example.com/", "ws://example.com/ ", "ws://example.com/\r\nEvil: 1", "ws://example.com\r\n/",
    "ws://example.com/\n", "ws://example.com/\t", "ws://example.com/\x7f", "ws://[::1/", "ws://[::g]/", "ws://[v1.x]/",
    "ws://.0/", "ws://1.2.3.256/", "ws://xn--a/", "ws://xn--zzzz-999999/", "ws://ex%41mple.com/", "ws:\\\\example.com/",
  };
  ws_conn *conn;
  ws_listener *listener;
  char host[64] = "as it was";
  uint16_t port = 7;
  for (size_t i = 0; i < LENGTH(bad); i++) {
    CHECK_IS(ws_connect(NULL, bad[i], &conn), WS_ERR_URL);
    CHECK_IS(ws_client_new(NULL, bad[i], &conn), WS_ERR_URL);
    CHECK_IS(ws_listen(NULL, bad[i], &listener), WS_ERR_URL);
    CHECK_IS(ws_url_check(bad[i], host, sizeof host, &port), WS_ERR_URL);
  }
  CHECK_IS(ws_connect(NULL, "ws://h:0/", &conn), WS_ERR_URL);
  CHECK_IS(ws_client_new(NULL, "ws://example.com:0/", &conn), WS_ERR_URL);
  CHECK_IS(ws_url_check("ws://h:0/", host, sizeof host, &port), WS_ERR_URL);
  CHECK(strcmp(host, "as it was") == 0 && port == 7);
}

static void a_url_is_read_as_browsers_read_it(void) {
  static const struct {
    const char *url, *target, *host;
  } cases[] = {
    {"ws://h/\xc3\xa4?\xc3\xb6=\xc3\xbc", "/%C3%A4?%C3%B6=%C3%BC", "h"},
    {"ws://b\xc3\xbc" "cher.example/", "/", "xn--bcher-kva.example"},
    {"ws://127.1/?ids[]=1", "/?ids[]=1", "127.0.0.1"},
    {"ws://0x7f.1:8080/?q={\"a\":1}", "/?q={%22a%22:1}", "127.0.0.1:8080"},
    {"WSS://Example.COM:443/a|b\\c%zz d?|^\\%zz", "/a|b/c%zz%20d?|^\\%zz", "example.com"},
    {"ws://h/?", "/?", "h"},
    {"ws+unix:///no/such:/\xc3\xa4?", "/%C3%A4?", "localhost"},
  };
  for (size_t i = 0; i < LENGTH(cases); i++) {
    ws_conn *client, *server;
    CHECK_IS(ws_client_new(NULL, cases[i].url, &client), WS_OK);
    CHECK_IS(ws_server_new(NULL, &server), WS_OK);
    carry(client, server);
    CHECK_IS(ws_handshake(server), WS_OK);
    CHECK(strcmp(ws_request_target(server), cases[i].target) == 0);
    CHECK(strcmp(ws_header(server, "Host"), cases[i].host) == 0);
    ws_free(client);
    ws_free(server);
  }
}

static void a_url_can_be_checked_without_opening_anything(void) {
  static const struct {
    const char *url, *host;
    uint16_t port;
  } cases[] = {
    {"ws://example.com", "example.com", 80},          {"wss://Example.com/", "example.com", 443},
    {"ws://2130706433:1/", "127.0.0.1", 1},           {"wss://[0::1]:9/", "::1", 9},
    {"ws://b\xc3\xbc" "cher.example:80/a", "xn--bcher-kva.example", 80}, {"ws+unix:///run/a.socket:/", "localhost", 80},
  };
  const char *url = cases[0].url;
  char host[64];
  uint16_t port;
  for (size_t i = 0; i < LENGTH(cases); i++) {
    size_t len = strlen(cases[i].host);
    memset(host, 'x', sizeof host);
    CHECK_IS(ws_url_check(cases[i].url, host, len, &port), WS_ERR_INVALID_ARGUMENT); /* no room for the NUL */
    CHECK(host[0] == 'x');
    CHECK_IS(ws_url_check(cases[i].url, host, len + 1, &port), WS_OK);
    CHECK(strcmp(host, cases[i].host) == 0 && host[len + 1] == 'x');
    CHECK_IS(port, cases[i].port);
  }
  port = 7;
  CHECK_IS(ws_url_check(NULL, host, sizeof host, &port), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_url_check("ws://\xff/", host, sizeof host, &port), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_url_check(url, NULL, 0, &port), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_url_check(url, NULL, 1, &port), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_url_check(url, host, SIZE_MAX, &port), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(port, 7);
  CHECK_IS(ws_url_check(url, host, sizeof host, NULL), WS_ERR_INVALID_ARGUMENT);
}

static void wss_needs_a_certificate_to_listen_and_nothing_to_begin(void) {
  ws_conn *conn;
  ws_listener *listener;
  ws_config *config = ws_config_new(); /* with roots of its own: nobody is still reading the system's at the end */
  CHECK_IS(ws_config_set_tls_roots(config, (const uint8_t *)authority, strlen(authority)), WS_OK);
  CHECK_IS(ws_connect(config, "wss://127.0.0.1:1/", &conn), WS_OK);
  ws_free(conn);
  ws_config_free(config);
  CHECK_IS(ws_listen(NULL, "wss://127.0.0.1:0/", &listener), WS_ERR_TLS);
  CHECK(listener == NULL);
  CHECK_IS(ws_client_new(NULL, "wss://127.0.0.1/", &conn), WS_OK);
  ws_free(conn);
}

static void pem_that_is_none_is_refused_when_it_is_set(void) {
  static const char *const bad[] = {
    "", "garbage", "-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"};
  ws_config *config = ws_config_new();
  for (size_t i = 0; i < LENGTH(bad); i++) {
    const uint8_t *pem = (const uint8_t *)bad[i];
    const size_t len = strlen(bad[i]);
    CHECK_IS(ws_config_set_tls_roots(config, pem, len), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(ws_config_set_tls_identity(config, pem, len, pem, len), WS_ERR_INVALID_ARGUMENT);
  }
  ws_config_free(config);
}

static void every_status_has_a_name_and_a_meaning(void) {
  static const struct {
    int32_t status;
    const char *name;
  } known[] = {
    {WS_OK, "WS_OK"},
    {WS_ERR_WOULD_BLOCK, "WS_ERR_WOULD_BLOCK"},
    {WS_ERR_IO, "WS_ERR_IO"},
    {WS_ERR_CAPACITY, "WS_ERR_CAPACITY"},
    {WS_ERR_SEND_QUEUE_FULL, "WS_ERR_SEND_QUEUE_FULL"},
    {WS_ERR_CONNECTION_CLOSED, "WS_ERR_CONNECTION_CLOSED"},
    {WS_ERR_ALREADY_CLOSED, "WS_ERR_ALREADY_CLOSED"},
    {WS_ERR_PROTOCOL, "WS_ERR_PROTOCOL"},
    {WS_ERR_UTF8, "WS_ERR_UTF8"},
    {WS_ERR_HANDSHAKE, "WS_ERR_HANDSHAKE"},
    {WS_ERR_URL, "WS_ERR_URL"},
    {WS_ERR_TLS, "WS_ERR_TLS"},
    {WS_ERR_TIMEOUT, "WS_ERR_TIMEOUT"},
    {WS_ERR_PROXY, "WS_ERR_PROXY"},
    {WS_ERR_INVALID_ARGUMENT, "WS_ERR_INVALID_ARGUMENT"},
    {WS_ERR_MISUSE, "WS_ERR_MISUSE"},
    {WS_ERR_NO_MEMORY, "WS_ERR_NO_MEMORY"},
    {WS_ERR_INTERNAL, "WS_ERR_INTERNAL"},
    {WS_ERR_UNSUPPORTED, "WS_ERR_UNSUPPORTED"},
  };
  for (size_t i = 0; i < LENGTH(known); i++) {
    CHECK(strcmp(ws_status_name(known[i].status), known[i].name) == 0);
    CHECK(strlen(ws_status_message(known[i].status)) > 0);
  }
  for (int32_t status = -200; status < 10; status++) {
    int is_known = 0;
    for (size_t i = 0; i < LENGTH(known); i++) is_known |= known[i].status == status;
    CHECK((strcmp(ws_status_name(status), "unknown status") == 0) == !is_known);
    CHECK(ws_status_message(status) != NULL);
    CHECK(ws_status_is_fatal(status) == 0 || ws_status_is_fatal(status) == 1);
  }
  CHECK(ws_status_name(INT32_MIN) && ws_status_name(INT32_MAX));
  CHECK_IS(ws_status_is_fatal(WS_OK), 0);
  CHECK_IS(ws_status_is_fatal(WS_ERR_WOULD_BLOCK), 0);
  CHECK_IS(ws_status_is_fatal(WS_ERR_SEND_QUEUE_FULL), 0);
  CHECK_IS(ws_status_is_fatal(WS_ERR_INVALID_ARGUMENT), 0);
  CHECK_IS(ws_status_is_fatal(WS_ERR_MISUSE), 0);
  CHECK_IS(ws_status_is_fatal(WS_ERR_IO), 1);
  CHECK_IS(ws_status_is_fatal(WS_ERR_PROTOCOL), 1);
  CHECK_IS(ws_status_is_fatal(WS_ERR_CONNECTION_CLOSED), 1);
  CHECK_IS(ws_status_is_fatal(WS_ERR_ALREADY_CLOSED), 1);
  CHECK_IS(ws_status_is_fatal(WS_ERR_TIMEOUT), 1);
  CHECK_IS(ws_status_is_fatal(WS_ERR_INTERNAL), 1);
}

static void the_version_is_that_of_the_header(void) {
  char text[32];
  snprintf(text, sizeof text, "%d.%d.%d", WS_VERSION_MAJOR, WS_VERSION_MINOR, WS_VERSION_PATCH);
  CHECK(strcmp(text, ws_version_string()) == 0);
  CHECK_IS(ws_version_number(), WS_VERSION_MAJOR * 1000000 + WS_VERSION_MINOR * 1000 + WS_VERSION_PATCH);
  CHECK_IS(ws_abi_version(), WS_ABI_VERSION);
}

static void a_transport_is_set_once_and_is_a_socket(void) {
  ws_conn *conn = new_open(NULL, WS_CLIENT);
  int fds[2], pipes[2];
  CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  CHECK_IS(pipe(pipes), 0);
  CHECK_IS(ws_get_socket(conn), -1);
  CHECK_IS(ws_set_socket(conn, -1), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_set_socket(conn, PTRDIFF_MIN), WS_ERR_INVALID_ARGUMENT);
#if PTRDIFF_MAX > INT_MAX
  CHECK_IS(ws_set_socket(conn, (ws_socket)INT_MAX + 1), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_set_socket(conn, ((ws_socket)1 << 32) + fds[0]), WS_ERR_INVALID_ARGUMENT);
#endif
  CHECK_IS(ws_set_socket(conn, pipes[0]), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_set_socket(conn, 987654), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_set_socket(conn, fds[0]), WS_OK);
  CHECK_IS(ws_get_socket(conn), fds[0]);
  CHECK_IS(ws_set_socket(conn, fds[1]), WS_ERR_MISUSE);
  CHECK_IS(ws_set_io(conn, recv_nothing, send_nothing, NULL), WS_ERR_MISUSE);
  CHECK_IS(ws_get_socket(conn), fds[0]);
  ws_free(conn);
  for (int i = 0; i < 2; i++) close(fds[i]), close(pipes[i]);
}

static void memory_calls_need_memory_mode_and_waiting_needs_a_socket(void) {
  ws_conn *conns[2] = {new_open(NULL, WS_CLIENT), new_open(NULL, WS_CLIENT)};
  int fds[2];
  CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  CHECK_IS(ws_wait(conns[0], 0), WS_ERR_MISUSE);
  CHECK_IS(ws_set_io(conns[0], recv_nothing, send_nothing, NULL), WS_OK);
  CHECK_IS(ws_set_socket(conns[1], fds[0]), WS_OK);
  CHECK_IS(ws_wait(conns[0], 0), WS_ERR_MISUSE);
  for (int i = 0; i < 2; i++) {
    uint8_t byte = 0, *room;
    const uint8_t *data;
    size_t len;
    CHECK_IS(ws_input(conns[i], &room, &len), WS_ERR_MISUSE);
    CHECK_IS(ws_input_commit(conns[i], 0), WS_ERR_MISUSE);
    CHECK_IS(ws_feed(conns[i], &byte, 1, &len), WS_ERR_MISUSE);
    CHECK_IS(ws_feed_eof(conns[i]), WS_ERR_MISUSE);
    CHECK_IS(ws_output(conns[i], &data, &len), WS_ERR_MISUSE);
    CHECK_IS(ws_output_advance(conns[i], 0), WS_ERR_MISUSE);
    CHECK_IS(ws_get_state(conns[i]), WS_STATE_OPEN);
  }
  CHECK_IS(ws_tick(conns[0], 5), WS_OK);
  CHECK_IS(ws_tick(conns[1], 5), WS_ERR_MISUSE);
  for (int i = 0; i < 2; i++) ws_free(conns[i]), close(fds[i]);
}

static void before_the_handshake_is_done_nothing_can_be_sent(void) {
  pair both = new_pair(NULL, NULL);
  ws_conn *conns[2];
  conns[0] = both.client, conns[1] = both.server;
  for (int i = 0; i < 2; i++) {
    size_t queued = ws_queued_bytes(conns[i]);
    CHECK_IS(ws_get_state(conns[i]), WS_STATE_CONNECTING);
    CHECK_IS(ws_write_message(conns[i], WS_TEXT, "x", 1), WS_ERR_MISUSE);
    CHECK_IS(ws_queue_message(conns[i], WS_TEXT, "x", 1), WS_ERR_MISUSE);
    CHECK_IS(ws_write_fragment(conns[i], WS_TEXT, "x", 1, 1), WS_ERR_MISUSE);
    CHECK_IS(ws_close(conns[i], 1000, NULL, 0), WS_ERR_MISUSE);
    CHECK_IS(ws_accept(conns[i], NULL), WS_ERR_MISUSE);
    CHECK_IS(ws_reject(conns[i], 403, NULL, 0), WS_ERR_MISUSE);
    CHECK(!ws_can_read(conns[i]) && !ws_can_write(conns[i]));
    CHECK(ws_request_target(conns[i]) == NULL && ws_header(conns[i], "Host") == NULL);
    CHECK_IS(ws_http_status(conns[i]), 0);
    CHECK_IS(ws_queued_bytes(conns[i]), queued);
    CHECK_IS(ws_get_state(conns[i]), WS_STATE_CONNECTING);
  }
  free_pair(&both);
}

/* A monkey: any call with any argument, in any order, on a pair in memory. Nothing may be an internal error. */
static uint32_t seed;

static uint32_t dice(uint32_t sides) {
  seed = seed * 1664525 + 1013904223;
  return (seed >> 8) % sides;
}

static ws_status_t one_random_call(ws_conn *conn, ws_conn *peer) {
  static const int32_t kinds[] = {WS_TEXT, WS_BINARY, WS_PING, WS_PONG, WS_CLOSE, 0, 3};
  static uint8_t noise[20000];
  const int32_t kind = kinds[dice(dice(8) ? 2 : LENGTH(kinds))];
  const size_t len = dice(8) ? dice(64) : dice(8) ? dice(512) : dice(sizeof noise);
  const ws_message *message;
  const uint8_t *data;
  const char *name, *value;
  uint8_t *room;
  size_t n = 0;
  uint64_t number;
  ws_status_t status;
  for (size_t i = 0; i < len; i++) noise[i] = (uint8_t)(dice(40) ? 'a' : dice(256));
  switch (dice(24)) {
    case 0: return ws_handshake(conn);
    case 1: return ws_write_message(conn, kind, noise, len);
    case 2: return ws_queue_message(conn, kind, noise, len);
    case 3: return ws_write_fragment(conn, kind, noise, len, (int32_t)dice(3));
    case 4: return ws_write_pending(conn);
    case 5: return dice(20) ? WS_OK : ws_close(conn, (uint16_t)dice(5100), (const char *)noise, len);
    case 6: return dice(20) ? WS_OK : ws_feed_eof(conn);
    case 7: return dice(20) ? WS_OK : ws_feed(conn, noise, len, &n);
    case 8: return ws_output_advance(conn, dice(4));
    case 9: return ws_output(conn, &data, &n);
    case 10: return ws_tick(conn, dice(20) ? seed % 100 : seed);
    case 11: return ws_set_option(conn, (int32_t)dice(38), dice(2) ? dice(3) : dice(3000));
    case 12: return ws_get_option(conn, (int32_t)dice(38), &number);
    case 13: return ws_accept(conn, dice(2) ? NULL : "chat");
    case 14: return dice(10) ? WS_OK : ws_reject(conn, (int32_t)dice(700), (const char *)noise, len);
    case 15: return ws_header_at(conn, dice(9), &name, &value);
    case 16: return ws_http_body(conn, &data, &n);
    case 17:
      if (ws_input(conn, &room, &n) != WS_OK) return WS_OK;
      if (!dice(4)) ws_tick(conn, seed);
      if (!dice(4)) ws_write_pending(conn);
      status = dice(2) ? ws_read_message(conn, &message) : WS_OK;
      if (status == WS_ERR_INTERNAL) return status;
      n = dice(2) ? 0 : dice(2) ? n : n < len ? n : len;
      for (size_t i = 0; i < n; i++) room[i] = noise[i % sizeof noise];
      return ws_input_commit(conn, n);
    case 18:
      status = ws_read_message(conn, &message);
      return status == WS_OK ? ws_write_message(peer, message->kind, message->data, message->len) : status;
    case 19:
    case 20:
      if (ws_output(peer, &data, &n) != WS_OK || n == 0) return WS_OK;
      if ((status = ws_feed(conn, data, dice((uint32_t)n) + 1, &n)) != WS_OK) return status;
      return ws_output_advance(peer, n);
    default: carry(peer, conn); return ws_read_message(conn, &message);
  }
}

static void no_sequence_of_calls_is_an_internal_error(void) {
  const int rounds = check_reduced(10000);
  for (int round = 0; round < rounds; round++) {
    ws_config *config = ws_config_new();
    pair both;
    seed = (uint32_t)round;
    ws_config_add_protocol(config, "chat");
    ws_config_set(config, WS_OPT_AUTO_ACCEPT, dice(4) > 0);
    ws_config_set(config, WS_OPT_DELIVER_FRAGMENTS, dice(2));
    ws_config_set(config, WS_OPT_DELIVER_CONTROL, dice(2));
    ws_config_set(config, WS_OPT_DEFLATE, dice(2));
    ws_config_set(config, WS_OPT_DEFLATE_THRESHOLD, dice(2));
    ws_config_set(config, WS_OPT_DEFLATE_CLIENT_NO_CONTEXT_TAKEOVER, dice(2));
    ws_config_set(config, WS_OPT_DEFLATE_SERVER_MAX_WINDOW_BITS, 8 + dice(8));
    if (round % 2) open_pair(&both, config, config);
    else both = new_pair(config, config);
    for (int i = 0; i < 200; i++) {
      int from_client = (int)dice(2);
      ws_status_t status =
        one_random_call(from_client ? both.client : both.server, from_client ? both.server : both.client);
      if (status == WS_ERR_INTERNAL) printf("# round %d, call %d\n", round, i);
      CHECK(status != WS_ERR_INTERNAL);
    }
    CHECK(ws_get_state(both.client) >= 0 && ws_get_state(both.server) >= 0);
    free_pair(&both);
    ws_config_free(config);
  }
}

int main(int argc, char **argv) {
  check_begin(argc, argv);
  RUN(free_of_null_does_nothing);
  RUN(a_null_handle_is_an_invalid_argument_everywhere);
  RUN(null_for_a_result_or_a_string_is_an_invalid_argument);
  RUN(the_outputs_of_a_failed_call_are_null);
  RUN(null_with_length_0_is_empty);
  RUN(null_with_a_length_and_impossible_lengths_are_invalid_arguments);
  RUN(unknown_numbers_are_invalid_arguments);
  RUN(close_codes_that_must_not_be_sent_are_invalid_arguments);
  RUN(payloads_against_the_rules_are_refused_and_change_nothing);
  RUN(strings_that_are_not_utf8_are_invalid_arguments);
  RUN(every_option_has_its_default_and_takes_another_value);
  RUN(an_option_keeps_its_value_where_the_new_one_is_bad);
  RUN(the_largest_and_the_smallest_values_are_no_trap);
  RUN(control_characters_in_headers_and_subprotocols_are_invalid_arguments);
  RUN(headers_of_the_handshake_itself_cannot_be_added);
  RUN(a_url_that_cannot_be_used_is_refused_before_anything_is_opened);
  RUN(a_url_is_read_as_browsers_read_it);
  RUN(a_url_can_be_checked_without_opening_anything);
  RUN(wss_needs_a_certificate_to_listen_and_nothing_to_begin);
  RUN(pem_that_is_none_is_refused_when_it_is_set);
  RUN(every_status_has_a_name_and_a_meaning);
  RUN(the_version_is_that_of_the_header);
  RUN(a_transport_is_set_once_and_is_a_socket);
  RUN(memory_calls_need_memory_mode_and_waiting_needs_a_socket);
  RUN(before_the_handshake_is_done_nothing_can_be_sent);
  RUN(no_sequence_of_calls_is_an_internal_error);
  return check_end();
}
