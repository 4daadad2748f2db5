/* Connections in memory: what is lent stays put, nothing is lost or repeated, and every end is told. */

#include "check.h"
#include "pair.h"

static uint8_t *noise(size_t len) {
  uint8_t *bytes = malloc(len > 0 ? len : 1);
  uint32_t state = (uint32_t)len + 1;
  for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)((state = state * 1664525 + 1013904223) >> 24);
  return bytes;
}

static int says(const ws_conn *conn, const char *word) { return strstr(ws_error_message(conn), word) != NULL; }

/* Feeds all of it; how much was taken. */
static size_t feed(ws_conn *conn, const void *data, size_t len) {
  size_t consumed = 0;
  return ws_feed(conn, data, len, &consumed) == WS_OK ? consumed : 0;
}

static size_t feed_frame(ws_conn *conn, int32_t from, uint8_t first, const char *payload) {
  uint8_t frame[256];
  return feed(conn, frame, put_frame(frame, from, first, payload, strlen(payload)));
}

static size_t feed_text(ws_conn *conn, const char *text) { return feed(conn, text, strlen(text)); }

/* Takes all output; the last frame of it is compared with one of a server. */
static int last_words_are(ws_conn *server, const void *frame, size_t frame_len) {
  const uint8_t *data;
  size_t len;
  int same = 0;
  while (ws_output(server, &data, &len) == WS_OK && len > 0) {
    same = len >= frame_len && memcmp(data + len - frame_len, frame, frame_len) == 0;
    ws_output_advance(server, len);
  }
  return same;
}

/* The opening handshake */

static void a_handshake_tells_target_headers_and_subprotocol(void) {
  ws_config *client = ws_config_new(), *server = ws_config_new();
  const ws_message *message;
  const char *name, *value;
  int headers = 0;
  pair both;
  ws_config_add_header(client, "Origin", "https://origin.example");
  ws_config_add_header(client, "X-Twice", "one");
  ws_config_add_header(client, "X-Twice", " two ");
  ws_config_add_protocol(client, "soap");
  ws_config_add_protocol(client, "chat");
  ws_config_add_protocol(server, "chat");
  ws_config_add_protocol(server, "soap");
  ws_config_add_header(server, "X-Server", "wsabi");
  CHECK_IS(open_pair(&both, client, server), WS_OK);
  ws_config_free(client);
  ws_config_free(server);
  CHECK(strcmp(ws_request_target(both.server), "/chat?room=1") == 0);
  CHECK(strcmp(ws_header(both.server, "ORIGIN"), "https://origin.example") == 0);
  CHECK(strcmp(ws_header(both.server, "host"), "example.com") == 0);
  CHECK(strcmp(ws_header(both.server, "x-twice"), "one") == 0);
  CHECK(ws_header(both.server, "X-None") == NULL);
  CHECK(strcmp(ws_protocol(both.server), "chat") == 0);
  CHECK(strcmp(ws_protocol(both.client), "chat") == 0);
  CHECK(ws_protocol(both.client) == ws_protocol(both.client));
  CHECK(strcmp(ws_header(both.client, "X-Server"), "wsabi") == 0);
  CHECK(ws_request_target(both.client) == NULL);
  CHECK_IS(ws_http_status(both.client), 101);
  CHECK_IS(ws_http_status(both.server), 0);
  for (size_t i = 0; ws_header_at(both.server, i, &name, &value) == WS_OK; i++)
    if (strcmp(name, "X-Twice") == 0) CHECK(strcmp(value, headers++ == 0 ? "one" : "two") == 0);
  CHECK_IS(headers, 2);
  CHECK_IS(ws_handshake(both.client), WS_OK);
  CHECK_IS(ws_handshake(both.server), WS_OK);
  CHECK_IS(ws_write_message(both.client, WS_TEXT, "hello", 5), WS_OK);
  CHECK_IS(read_from(both.server, both.client, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "hello"));
  free_pair(&both);
}

static void reading_completes_the_handshake(void) {
  pair both = new_pair(NULL, NULL);
  const ws_message *message;
  CHECK_IS(ws_read_message(both.client, &message), WS_ERR_WOULD_BLOCK);
  CHECK_IS(read_from(both.server, both.client, &message), WS_ERR_WOULD_BLOCK);
  CHECK_IS(read_from(both.client, both.server, &message), WS_ERR_WOULD_BLOCK);
  CHECK_IS(ws_get_state(both.client), WS_STATE_OPEN);
  CHECK_IS(ws_get_state(both.server), WS_STATE_OPEN);
  free_pair(&both);
}

static void a_server_stops_at_a_request_and_accepts_it(void) {
  ws_config *client = ws_config_new(), *server = config_with(WS_OPT_AUTO_ACCEPT, 0);
  const ws_message *message;
  const char *target;
  pair both;
  ws_config_add_protocol(client, "soap");
  ws_config_add_protocol(client, "chat");
  ws_config_add_protocol(server, "soap");
  ws_config_add_header(client, "Origin", "https://origin.example");
  both = new_pair(client, server);
  carry(both.client, both.server);
  CHECK_IS(ws_handshake(both.server), WS_OK);
  CHECK_IS(ws_handshake(both.server), WS_OK);
  CHECK_IS(ws_get_state(both.server), WS_STATE_REQUEST);
  CHECK_IS(ws_queued_bytes(both.server), 0);
  target = ws_request_target(both.server);
  CHECK(target != NULL && strcmp(target, "/chat?room=1") == 0);
  CHECK(strcmp(ws_request_method(both.server), "GET") == 0 && ws_request_method(both.client) == NULL);
  CHECK(ws_is_upgrade(both.server) == 1 && ws_is_upgrade(both.client) == 0);
  CHECK(strcmp(ws_header(both.server, "origin"), "https://origin.example") == 0);
  CHECK_IS(ws_read_message(both.server, &message), WS_ERR_MISUSE);
  CHECK_IS(ws_write_message(both.server, WS_TEXT, "x", 1), WS_ERR_MISUSE);
  CHECK_IS(ws_accept(both.server, "other"), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_reject(both.server, 100, NULL, 0), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_reject(both.server, 101, NULL, 0), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_reject(both.server, 199, NULL, 0), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_reject(both.server, 600, NULL, 0), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_reject(both.server, -400, NULL, 0), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_reject(both.server, 65536 + 400, NULL, 0), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_get_state(both.server), WS_STATE_REQUEST);
  CHECK_IS(ws_accept(both.server, "chat"), WS_OK);
  CHECK_IS(ws_get_state(both.server), WS_STATE_OPEN);
  CHECK_IS(ws_accept(both.server, "chat"), WS_ERR_MISUSE);
  CHECK_IS(ws_reject(both.server, 403, NULL, 0), WS_ERR_MISUSE);
  CHECK(strcmp(target, "/chat?room=1") == 0 && target == ws_request_target(both.server));
  carry(both.server, both.client);
  CHECK_IS(ws_handshake(both.client), WS_OK);
  CHECK(strcmp(ws_protocol(both.client), "chat") == 0);
  free_pair(&both);
  ws_config_free(client);
  ws_config_free(server);
}

static void a_rejected_client_sees_status_headers_and_body(void) {
  static const char body[] = "{\"error\":\"nobody in\"}";
  ws_config *server = config_with(WS_OPT_AUTO_ACCEPT, 0);
  pair both;
  const ws_message *message;
  const uint8_t *data;
  size_t len;
  ws_config_add_header(server, "Content-Type", "application/json");
  ws_config_add_header(server, "Retry-After", "5");
  both = new_pair(NULL, server);
  carry(both.client, both.server);
  CHECK_IS(ws_handshake(both.server), WS_OK);
  CHECK_IS(ws_reject(both.server, 503, body, sizeof body - 1), WS_OK);
  CHECK_IS(ws_accept(both.server, NULL), WS_ERR_MISUSE);
  CHECK_IS(ws_write_pending(both.server), WS_ERR_WOULD_BLOCK);
  CHECK_IS(ws_http_body(both.client, &data, &len), WS_OK);
  CHECK_IS(len, 0);
  carry(both.server, both.client);
  CHECK_IS(ws_write_pending(both.server), WS_ERR_CONNECTION_CLOSED);
  CHECK_IS(ws_write_pending(both.server), WS_ERR_ALREADY_CLOSED);
  CHECK(strcmp(ws_request_target(both.server), "/chat?room=1") == 0);
  CHECK_IS(ws_handshake(both.client), WS_ERR_HANDSHAKE);
  CHECK(says(both.client, "503"));
  CHECK_IS(ws_http_status(both.client), 503);
  CHECK(strcmp(ws_header(both.client, "retry-after"), "5") == 0);
  CHECK(strcmp(ws_header(both.client, "content-type"), "application/json") == 0);
  CHECK_IS(ws_http_body(both.client, &data, &len), WS_OK);
  CHECK(len == sizeof body - 1 && memcmp(data, body, len) == 0);
  CHECK_IS(ws_read_message(both.client, &message), WS_ERR_CONNECTION_CLOSED);
  CHECK_IS(ws_read_message(both.client, &message), WS_ERR_ALREADY_CLOSED);
  CHECK_IS(ws_handshake(both.client), WS_ERR_ALREADY_CLOSED);
  CHECK(len == sizeof body - 1 && memcmp(data, body, len) == 0);
  free_pair(&both);
  ws_config_free(server);
}

/* What a server in memory answers: its length. */
static size_t take_answer(ws_conn *server, char *answer, size_t capacity) {
  size_t n = 0;
  if (ws_output_take(server, (uint8_t *)answer, capacity - 1, &n) != WS_OK) n = 0;
  answer[n] = '\0';
  return n;
}

static ws_config *taking_plain_requests(uint64_t auto_accept) {
  ws_config *config = config_with(WS_OPT_PLAIN_REQUESTS, 1);
  ws_config_set(config, WS_OPT_AUTO_ACCEPT, auto_accept);
  return config;
}

static void a_plain_request_waits_for_an_answer_where_the_program_asks_for_that(void) {
  static const struct {
    const char *request, *method, *target;
    int32_t status;
    const char *answer;
  } cases[] = {
    {"GET /health HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n", "GET", "/health", 200,
     "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n"
     "X-All: yes\r\nX-This: 1\r\n\r\nup\n"},
    {"OPTIONS * HTTP/1.0\r\nX: y\r\n\r\n", "OPTIONS", "*", 204,
     "HTTP/1.1 204 No Content\r\nConnection: close\r\nX-All: yes\r\nX-This: 1\r\n\r\n"},
    {"HEAD / HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 0\r\n\r\n", "HEAD", "/", 503,
     "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
     "Content-Length: 3\r\nX-All: yes\r\nX-This: 1\r\n\r\n"},
    {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX: y\r\nSec-WebSocket-Version: 12\r\n\r\n",
     "GET", "/", 304, "HTTP/1.1 304 Not Modified\r\nConnection: close\r\nX-All: yes\r\nX-This: 1\r\n\r\n"},
  };
  ws_config *config = taking_plain_requests(0);
  char answer[512];
  ws_config_add_header(config, "X-All", "yes");
  for (size_t i = 0; i < LENGTH(cases); i++) {
    ws_conn *server;
    const ws_message *message;
    CHECK_IS(ws_server_new(config, &server), WS_OK);
    CHECK(ws_request_method(server) == NULL && ws_is_upgrade(server) == 0);
    CHECK_IS(feed_text(server, cases[i].request), strlen(cases[i].request));
    CHECK_IS(ws_handshake(server), WS_OK);
    CHECK_IS(ws_get_state(server), WS_STATE_REQUEST);
    CHECK_IS(ws_is_upgrade(server), 0);
    CHECK(strcmp(ws_request_method(server), cases[i].method) == 0);
    CHECK(strcmp(ws_request_target(server), cases[i].target) == 0);
    CHECK(strcmp(ws_header(server, "x"), "y") == 0);
    CHECK_IS(ws_queued_bytes(server), 0);
    /* It cannot become a WebSocket, and still waits. */
    CHECK_IS(ws_accept(server, NULL), WS_ERR_MISUSE);
    CHECK(says(server, "not a WebSocket upgrade"));
    CHECK_IS(ws_reject(server, 101, NULL, 0), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(ws_read_message(server, &message), WS_ERR_MISUSE);
    CHECK_IS(ws_get_state(server), WS_STATE_REQUEST);
    CHECK_IS(ws_add_header(server, "X-This", "1"), WS_OK);
    CHECK_IS(ws_reject(server, cases[i].status, "up\n", 3), WS_OK);
    CHECK_IS(ws_write_pending(server), WS_ERR_WOULD_BLOCK);
    CHECK_IS(take_answer(server, answer, sizeof answer), strlen(cases[i].answer));
    CHECK(strcmp(answer, cases[i].answer) == 0);
    CHECK_IS(ws_write_pending(server), WS_ERR_CONNECTION_CLOSED);
    CHECK(strcmp(ws_request_method(server), cases[i].method) == 0 && ws_is_upgrade(server) == 0);
    ws_free(server);
  }
  ws_config_free(config);
}

static void a_websocket_is_opened_beside_plain_requests(void) {
  ws_config *config = taking_plain_requests(0);
  pair both = new_pair(NULL, config);
  carry(both.client, both.server);
  CHECK_IS(ws_handshake(both.server), WS_OK);
  CHECK_IS(ws_get_state(both.server), WS_STATE_REQUEST);
  CHECK_IS(ws_is_upgrade(both.server), 1);
  CHECK_IS(ws_accept(both.server, NULL), WS_OK);
  CHECK(ws_is_upgrade(both.server) == 1 && strcmp(ws_request_method(both.server), "GET") == 0);
  carry(both.server, both.client);
  CHECK_IS(ws_handshake(both.client), WS_OK);
  free_pair(&both);
  ws_config_free(config);
}

static void a_plain_request_is_refused_unless_the_program_decides_about_requests(void) {
  static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", post[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
  char answer[512];
  for (int way = 0; way < 5; way++) {
    const char *const expected = way == 3 ? "HTTP/1.1 413 Content Too Large\r\n" : way == 4 ? "HTTP/1.1 405 " : "HTTP/1.1 426 ";
    ws_config *config = taking_plain_requests(way == 1 || way == 4);
    ws_conn *server;
    if (way == 0) CHECK_IS(ws_config_set(config, WS_OPT_PLAIN_REQUESTS, 0), WS_OK);
    CHECK_IS(ws_config_add_header(config, "Server", "ours"), WS_OK);
    CHECK_IS(ws_server_new(config, &server), WS_OK);
    CHECK_IS(ws_set_option(server, WS_OPT_PLAIN_REQUESTS, 1), WS_ERR_INVALID_ARGUMENT);
    if (way == 2) CHECK_IS(ws_set_option(server, WS_OPT_AUTO_ACCEPT, 1), WS_OK); /* it comes late, and counts */
    feed_text(server, way >= 3 ? post : get);
    CHECK_IS(ws_handshake(server), WS_ERR_HANDSHAKE);
    CHECK(take_answer(server, answer, sizeof answer) > 0 && strncmp(answer, expected, strlen(expected)) == 0);
    CHECK(strstr(answer, "close\r\n") != NULL && strstr(answer, "\r\nServer: ours\r\n") != NULL);
    CHECK_IS(ws_write_pending(server), WS_ERR_CONNECTION_CLOSED);
    CHECK(strcmp(ws_request_method(server), way >= 3 ? "POST" : "GET") == 0);
    ws_free(server);
    ws_config_free(config);
  }
}

static void each_response_may_have_headers_of_its_own(void) {
  ws_config *config = config_with(WS_OPT_AUTO_ACCEPT, 0);
  int accepted;
  ws_config_add_header(config, "X-All", "yes");
  for (accepted = 0; accepted < 2; accepted++) {
    pair both = new_pair(NULL, config), other = new_pair(NULL, config);
    CHECK_IS(ws_add_header(both.server, "X-Early", "1"), WS_ERR_MISUSE);
    CHECK_IS(ws_add_header(both.client, "X-Client", "1"), WS_ERR_MISUSE);
    carry(both.client, both.server);
    carry(other.client, other.server);
    CHECK_IS(ws_handshake(both.server), WS_OK);
    CHECK_IS(ws_handshake(other.server), WS_OK);
    CHECK_IS(ws_add_header(both.server, "WWW-Authenticate", "Basic"), WS_OK);
    CHECK_IS(ws_add_header(both.server, "Upgrade", "h2c"), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(ws_add_header(both.server, "X", "a\r\nb: c"), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(ws_add_header(both.server, NULL, "x"), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(ws_add_header(both.server, "X", NULL), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(accepted ? ws_accept(both.server, NULL) : ws_reject(both.server, 401, NULL, 0), WS_OK);
    CHECK_IS(ws_accept(other.server, NULL), WS_OK);
    CHECK_IS(ws_add_header(both.server, "X-Late", "1"), WS_ERR_MISUSE);
    carry(both.server, both.client);
    carry(other.server, other.client);
    CHECK_IS(ws_handshake(both.client), accepted ? WS_OK : WS_ERR_HANDSHAKE);
    CHECK_IS(ws_handshake(other.client), WS_OK);
    CHECK(strcmp(ws_header(both.client, "www-authenticate"), "Basic") == 0);
    CHECK(strcmp(ws_header(both.client, "x-all"), "yes") == 0);
    CHECK(ws_header(both.client, "x") == NULL && ws_header(both.client, "x-early") == NULL);
    CHECK(ws_header(other.client, "www-authenticate") == NULL);
    free_pair(&both);
    free_pair(&other);
  }
  ws_config_free(config);
}

/* Strings of the handshake stay until ws_free(), also where it comes to nothing. */
static void strings_of_a_request_stay_when_its_time_is_over(void) {
  ws_config *config = config_with(WS_OPT_AUTO_ACCEPT, 0);
  pair both = new_pair(NULL, config);
  const ws_message *message;
  const char *target, *host;
  carry(both.client, both.server);
  CHECK_IS(ws_tick(both.server, 0), WS_OK);
  CHECK_IS(ws_handshake(both.server), WS_OK);
  target = ws_request_target(both.server);
  host = ws_header(both.server, "Host");
  CHECK(target != NULL && host != NULL);
  CHECK_IS(ws_tick(both.server, 10000), WS_ERR_TIMEOUT);
  CHECK_IS(ws_accept(both.server, NULL), WS_ERR_MISUSE);
  CHECK_IS(ws_read_message(both.server, &message), WS_ERR_CONNECTION_CLOSED);
  CHECK(strcmp(target, "/chat?room=1") == 0 && strcmp(host, "example.com") == 0);
  free_pair(&both);
  ws_config_free(config);
}

static void strings_of_a_refusal_stay_while_its_body_arrives(void) {
  static const char head[] = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 10\r\n\r\n01234";
  for (int way = 0; way < 4; way++) {
    ws_conn *client;
    const ws_message *message;
    const char *header;
    const uint8_t *data;
    size_t len;
    ws_status_t status;
    CHECK_IS(ws_client_new(NULL, "ws://example.com/", &client), WS_OK);
    CHECK_IS(ws_tick(client, 0), WS_OK);
    CHECK_IS(feed_text(client, head), sizeof head - 1);
    CHECK_IS(ws_handshake(client), WS_ERR_WOULD_BLOCK);
    header = ws_header(client, "WWW-Authenticate"); /* may be NULL still */
    if (way == 0) CHECK_IS(feed_text(client, "56789"), 5);
    if (way == 1) CHECK_IS(ws_feed_eof(client), WS_OK);
    if (way == 2) CHECK_IS(ws_tick(client, 20000), WS_ERR_HANDSHAKE);
    if (way == 3) CHECK_IS(feed_text(client, "5678"), 4);
    status = ws_handshake(client);
    CHECK_IS(status, way == 2 ? WS_ERR_CONNECTION_CLOSED : way == 3 ? WS_ERR_WOULD_BLOCK : WS_ERR_HANDSHAKE);
    if (way == 3) CHECK_IS(feed_text(client, "9"), 1);
    if (way == 3) CHECK_IS(ws_read_message(client, &message), WS_ERR_HANDSHAKE);
    CHECK(header == NULL || strcmp(header, "Basic") == 0);
    CHECK(strcmp(ws_header(client, "WWW-Authenticate"), "Basic") == 0);
    CHECK_IS(ws_http_status(client), 401);
    CHECK_IS(ws_http_body(client, &data, &len), WS_OK);
    CHECK_IS(len, way == 0 || way == 3 ? 10 : 5);
    CHECK(memcmp(data, "0123456789", len) == 0);
    ws_free(client);
  }
}

static void a_malformed_handshake_is_refused_in_words(void) {
  static const char *const requests[] = {
    "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\n\r\n", "nonsense\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 12\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: short\r\n\r\n",
  };
  for (size_t i = 0; i < LENGTH(requests); i++) {
    ws_conn *server;
    const ws_message *message;
    const uint8_t *data;
    size_t len;
    CHECK_IS(ws_server_new(NULL, &server), WS_OK);
    CHECK_IS(feed_text(server, requests[i]), strlen(requests[i]));
    CHECK_IS(ws_read_message(server, &message), WS_ERR_HANDSHAKE);
    CHECK(*ws_error_message(server) != '\0');
    CHECK_IS(ws_get_state(server), WS_STATE_CLOSING);
    CHECK_IS(ws_output(server, &data, &len), WS_OK);
    CHECK(len > 12 && memcmp(data, "HTTP/1.1 4", 10) == 0);
    CHECK_IS(ws_output_advance(server, len), WS_OK);
    CHECK_IS(ws_read_message(server, &message), WS_ERR_CONNECTION_CLOSED);
    CHECK_IS(ws_get_state(server), WS_STATE_CLOSED);
    ws_free(server);
  }
}

static void a_head_over_its_limit_is_a_capacity_error(void) {
  ws_config *config = config_with(WS_OPT_MAX_HEAD_SIZE, 256);
  ws_conn *server;
  size_t fed = 0, consumed = 1;
  ws_status_t status = WS_ERR_WOULD_BLOCK;
  CHECK_IS(ws_server_new(config, &server), WS_OK);
  feed_text(server, "GET / HTTP/1.1\r\n");
  while (status == WS_ERR_WOULD_BLOCK && fed < 10 << 20) {
    fed += consumed = feed_text(server, "X: yyyyyyyyyyyyyyyyyyyyyyyy\r\n");
    status = ws_handshake(server);
  }
  CHECK_IS(status, WS_ERR_CAPACITY);
  CHECK(fed < 512 && says(server, "256"));
  ws_free(server);
  ws_config_free(config);
}

static void what_was_read_after_the_head_is_delivered_first(void) {
  uint8_t part[64];
  size_t len = put_frame(part, WS_CLIENT, 0x81, "first", 5);
  const ws_message *message;
  ws_conn *server;
  len += put_frame(part + len, WS_CLIENT, 0x82, "second", 6);
  CHECK_IS(ws_from_partially_read(NULL, WS_SERVER, part, len - 3, &server), WS_OK);
  memset(part, 0x55, len - 3); /* it was copied */
  CHECK_IS(ws_get_state(server), WS_STATE_OPEN);
  CHECK_IS(ws_read_message(server, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "first") && message->is_final == 1);
  CHECK_IS(ws_read_message(server, &message), WS_ERR_WOULD_BLOCK);
  CHECK_IS(feed_text(server, "ond"), 3);
  CHECK_IS(ws_read_message(server, &message), WS_OK);
  CHECK(is_message(message, WS_BINARY, "second"));
  ws_free(server);
}

/* Messages */

static void an_echo_of_the_received_view_arrives_unharmed(void) {
  static const size_t lengths[] = {0, 1, 125, 126, 127, 4096, 65535, 65536, 300000, 3 << 20};
  for (int text = 0; text < 2; text++) {
    for (size_t i = 0; i < LENGTH(lengths); i++) {
      const size_t len = lengths[i];
      const int32_t kind = text ? WS_TEXT : WS_BINARY;
      uint8_t *bytes = noise(len);
      const ws_message *message;
      pair both;
      for (size_t b = 0; text && b < len; b++) bytes[b] &= 0x7f;
      CHECK_IS(open_pair(&both, NULL, NULL), WS_OK);
      CHECK_IS(ws_write_message(both.client, kind, bytes, len), WS_OK);
      CHECK_IS(read_from(both.server, both.client, &message), WS_OK);
      CHECK_IS(ws_write_message(both.server, message->kind, message->data, message->len), WS_OK);
      CHECK(message->len == len && memcmp(message->data, bytes, len) == 0);
      CHECK_IS(read_from(both.client, both.server, &message), WS_OK);
      CHECK(message->kind == kind && message->len == len && memcmp(message->data, bytes, len) == 0);
      /* Once more from the client's view, which has to be masked on its way out and must not change. */
      CHECK_IS(ws_write_message(both.client, message->kind, message->data, message->len), WS_OK);
      CHECK(memcmp(message->data, bytes, len) == 0);
      CHECK_IS(read_from(both.server, both.client, &message), WS_OK);
      CHECK(message->len == len && memcmp(message->data, bytes, len) == 0);
      free_pair(&both);
      free(bytes);
    }
  }
}

static void fragments_are_joined_and_a_ping_between_them_is_answered(void) {
  const ws_message *message;
  pair both;
  CHECK_IS(open_pair(&both, NULL, NULL), WS_OK);
  CHECK_IS(ws_write_fragment(both.client, WS_TEXT, "h\xc3", 2, 0), WS_OK);
  CHECK_IS(ws_write_message(both.client, WS_PING, "?", 1), WS_OK);
  CHECK_IS(ws_write_message(both.client, WS_TEXT, "x", 1), WS_ERR_MISUSE);
  CHECK_IS(ws_queue_message(both.client, WS_BINARY, "x", 1), WS_ERR_MISUSE);
  CHECK_IS(ws_write_fragment(both.client, WS_BINARY, "x", 1, 1), WS_ERR_MISUSE);
  CHECK_IS(ws_write_fragment(both.client, WS_TEXT, "", 0, 0), WS_OK);
  CHECK_IS(ws_write_fragment(both.client, WS_TEXT, "\xff", 1, 0), WS_ERR_UTF8);
  CHECK_IS(ws_write_fragment(both.client, WS_TEXT, "\xa4", 1, 1), WS_OK);
  CHECK_IS(ws_write_message(both.client, WS_BINARY, "next", 4), WS_OK);
  CHECK_IS(read_from(both.server, both.client, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "h\xc3\xa4") && message->is_final == 1);
  CHECK_IS(read_from(both.server, both.client, &message), WS_OK);
  CHECK(is_message(message, WS_BINARY, "next"));
  CHECK(last_words_are(both.server, "\x8a\x01?", 3));
  free_pair(&both);
}

static void parts_are_delivered_as_they_arrive_and_text_between_characters(void) {
  ws_config *config = config_with(WS_OPT_DELIVER_FRAGMENTS, 1);
  ws_conn *server = new_open(config, WS_SERVER);
  const ws_message *message;
  uint8_t frame[64], got[16];
  size_t len = put_frame(frame, WS_CLIENT, 0x01, "a\xe2\x82", 3), total = 0;
  int parts = 0, ended = 0;
  len += put_frame(frame + len, WS_CLIENT, 0x89, "p", 1);
  len += put_frame(frame + len, WS_CLIENT, 0x80, "\xac" "bcd", 4);
  for (size_t i = 0; i < len; i++) {
    CHECK_IS(feed(server, frame + i, 1), 1);
    while (ws_read_message(server, &message) == WS_OK) {
      CHECK_IS(message->kind, WS_TEXT);
      CHECK(!ended && total + message->len <= sizeof got);
      CHECK(message->len == 0 || (message->data[0] & 0xc0) != 0x80); /* never from inside a character */
      memcpy(got + total, message->data, message->len);
      total += message->len;
      ended = message->is_final;
      parts++;
    }
  }
  CHECK(ended && parts > 2 && total == 7);
  CHECK(memcmp(got, "a\xe2\x82\xac" "bcd", 7) == 0);
  CHECK(last_words_are(server, "\x8a\x01p", 3));
  /* A whole message is one part, and the limit on messages still holds. */
  CHECK(feed_frame(server, WS_CLIENT, 0x82, "whole") > 0);
  CHECK_IS(ws_read_message(server, &message), WS_OK);
  CHECK(is_message(message, WS_BINARY, "whole") && message->is_final == 1);
  CHECK_IS(ws_set_option(server, WS_OPT_MAX_MESSAGE_SIZE, 6), WS_OK);
  CHECK(feed_frame(server, WS_CLIENT, 0x02, "four") > 0);
  CHECK_IS(ws_read_message(server, &message), WS_OK);
  CHECK(is_message(message, WS_BINARY, "four") && message->is_final == 0);
  CHECK(feed_frame(server, WS_CLIENT, 0x80, "+++") > 0);
  CHECK_IS(ws_read_message(server, &message), WS_ERR_CAPACITY);
  ws_free(server);
  ws_config_free(config);
}

static void pings_are_answered_unless_that_is_off_and_shown_where_that_is_on(void) {
  ws_conn *server = new_open(NULL, WS_SERVER);
  const ws_message *message;
  feed_frame(server, WS_CLIENT, 0x89, "one");
  feed_frame(server, WS_CLIENT, 0x8a, "unasked");
  CHECK_IS(ws_read_message(server, &message), WS_ERR_WOULD_BLOCK);
  CHECK(last_words_are(server, "\x8a\x03one", 5));
  CHECK_IS(ws_set_option(server, WS_OPT_DELIVER_CONTROL, 1), WS_OK);
  feed_frame(server, WS_CLIENT, 0x89, "two");
  feed_frame(server, WS_CLIENT, 0x8a, "pong");
  CHECK_IS(ws_read_message(server, &message), WS_OK);
  CHECK(is_message(message, WS_PING, "two"));
  CHECK(last_words_are(server, "\x8a\x03two", 5));
  CHECK_IS(ws_read_message(server, &message), WS_OK);
  CHECK(is_message(message, WS_PONG, "pong"));
  CHECK_IS(ws_set_option(server, WS_OPT_AUTO_PONG, 0), WS_OK);
  feed_frame(server, WS_CLIENT, 0x89, "three");
  CHECK_IS(ws_read_message(server, &message), WS_OK);
  CHECK(is_message(message, WS_PING, "three"));
  CHECK_IS(ws_queued_bytes(server), 0);
  ws_free(server);
}

static void a_flood_of_pings_leaves_few_pongs_waiting_and_they_jump_the_queue(void) {
  const int count = check_reduced(100000);
  ws_conn *server = new_open(NULL, WS_SERVER);
  const ws_message *message;
  const uint8_t *data;
  size_t len;
  CHECK_IS(ws_queue_message(server, WS_TEXT, "queued", 6), WS_OK);
  for (int i = 1; i <= count; i++) {
    char text[16];
    snprintf(text, sizeof text, "%06d", i == count ? 999999 : i);
    CHECK(feed_frame(server, WS_CLIENT, 0x89, text) > 0);
    CHECK_IS(ws_read_message(server, &message), WS_ERR_WOULD_BLOCK);
  }
  CHECK(ws_queued_bytes(server) < 8192);
  CHECK_IS(ws_output(server, &data, &len), WS_OK);
  CHECK(len >= 8 && data[0] == 0x8a);
  CHECK(memcmp(data + len - 8, "\x8a\x06" "999999", 8) == 0); /* the newest was answered */
  CHECK_IS(ws_output_advance(server, len), WS_OK);
  CHECK_IS(ws_queued_bytes(server), 2 + 6);
  /* A Pong of the caller's replaces one that has not been sent. */
  for (int i = 0; i < 1000; i++) CHECK_IS(ws_write_message(server, WS_PONG, "beat", 4), WS_OK);
  CHECK_IS(ws_queued_bytes(server), 2 + 6 + 2 + 4);
  ws_free(server);
}

static void a_full_send_queue_hands_the_message_back_and_nothing_changes(void) {
  ws_config *config = config_with(WS_OPT_MAX_SEND_QUEUE, 3);
  ws_conn *server;
  const uint8_t *data, *again;
  uint8_t before[64];
  size_t len, len_again;
  ws_config_set(config, WS_OPT_MAX_SEND_BYTES, 20);
  server = new_open(config, WS_SERVER);
  for (int i = 0; i < 3; i++) CHECK_IS(ws_write_message(server, WS_TEXT, "abc", 3), WS_OK);
  CHECK_IS(ws_output(server, &data, &len), WS_OK);
  CHECK_IS(len, 15);
  memcpy(before, data, len);
  for (int i = 0; i < 100; i++) {
    CHECK_IS(ws_write_message(server, WS_TEXT, "d", 1), WS_ERR_SEND_QUEUE_FULL);
    CHECK_IS(ws_queue_message(server, WS_BINARY, "d", 1), WS_ERR_SEND_QUEUE_FULL);
    CHECK_IS(ws_write_fragment(server, WS_TEXT, "d", 1, 0), WS_ERR_SEND_QUEUE_FULL);
    CHECK_IS(ws_write_message(server, WS_PING, "d", 1), WS_ERR_SEND_QUEUE_FULL);
  }
  CHECK_IS(ws_queued_bytes(server), 15);
  CHECK_IS(ws_output(server, &again, &len_again), WS_OK);
  CHECK(again == data && len_again == len && memcmp(data, before, len) == 0);
  CHECK_IS(ws_get_state(server), WS_STATE_OPEN);
  /* There is always room for a Pong and for the Close. */
  CHECK_IS(ws_write_message(server, WS_PONG, "p", 1), WS_OK);
  CHECK_IS(ws_output_advance(server, 5), WS_OK);
  CHECK_IS(ws_write_message(server, WS_TEXT, "too many bytes", 14), WS_ERR_SEND_QUEUE_FULL); /* by the bytes */
  CHECK_IS(ws_write_message(server, WS_TEXT, "d", 1), WS_OK);
  CHECK_IS(ws_write_message(server, WS_TEXT, "e", 1), WS_ERR_SEND_QUEUE_FULL);
  CHECK_IS(ws_close(server, 1000, NULL, 0), WS_OK);
  CHECK(last_words_are(server, "\x81\x01" "d\x88\x02\x03\xe8", 7));
  ws_free(server);
  /* A message over the limit still goes when nothing waits. */
  server = new_open(config, WS_SERVER);
  CHECK_IS(ws_write_message(server, WS_BINARY, before, 50), WS_OK);
  CHECK_IS(ws_write_message(server, WS_BINARY, before, 1), WS_ERR_SEND_QUEUE_FULL);
  ws_free(server);
  ws_config_free(config);
}

static void a_fragment_that_finds_no_room_can_be_sent_again(void) {
  ws_config *config = config_with(WS_OPT_MAX_SEND_QUEUE, 1);
  const ws_message *message;
  pair both;
  CHECK_IS(open_pair(&both, NULL, config), WS_OK);
  CHECK_IS(ws_write_fragment(both.server, WS_TEXT, "\xe2", 1, 0), WS_OK);
  CHECK_IS(ws_write_fragment(both.server, WS_TEXT, "\x82", 1, 0), WS_ERR_SEND_QUEUE_FULL);
  CHECK_IS(ws_write_fragment(both.server, WS_TEXT, "\x82", 1, 0), WS_ERR_SEND_QUEUE_FULL);
  carry(both.server, both.client);
  CHECK_IS(ws_write_fragment(both.server, WS_TEXT, "\x82", 1, 0), WS_OK);
  carry(both.server, both.client);
  CHECK_IS(ws_write_fragment(both.server, WS_TEXT, "\xac", 1, 1), WS_OK);
  CHECK_IS(read_from(both.client, both.server, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "\xe2\x82\xac"));
  free_pair(&both);
  ws_config_free(config);
}

static void a_message_over_the_limit_fails_on_either_side(void) {
  ws_config *config = config_with(WS_OPT_MAX_MESSAGE_SIZE, 4);
  const ws_message *message;
  pair both;
  CHECK_IS(open_pair(&both, NULL, config), WS_OK);
  CHECK_IS(ws_write_message(both.server, WS_TEXT, "12345", 5), WS_ERR_CAPACITY);
  CHECK(says(both.server, "5") && says(both.server, "4"));
  CHECK_IS(ws_write_fragment(both.server, WS_TEXT, "123", 3, 0), WS_OK);
  CHECK_IS(ws_write_fragment(both.server, WS_TEXT, "45", 2, 1), WS_ERR_CAPACITY);
  CHECK_IS(ws_write_fragment(both.server, WS_TEXT, "4", 1, 1), WS_OK);
  CHECK_IS(ws_get_state(both.server), WS_STATE_OPEN);
  CHECK_IS(read_from(both.client, both.server, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "1234"));
  CHECK_IS(ws_write_message(both.client, WS_TEXT, "12345", 5), WS_OK);
  CHECK_IS(read_from(both.server, both.client, &message), WS_ERR_CAPACITY);
  CHECK(message == NULL && says(both.server, "5") && says(both.server, "byte"));
  CHECK_IS(ws_close_code(both.server), 1009);
  CHECK_IS(ws_get_state(both.server), WS_STATE_CLOSING);
  for (int i = 0; i < 3; i++) CHECK_IS(ws_read_message(both.server, &message), WS_ERR_WOULD_BLOCK);
  CHECK_IS(read_from(both.client, both.server, &message), WS_OK);
  CHECK(message->kind == WS_CLOSE && message->close_code == 1009);
  CHECK_IS(ws_read_message(both.server, &message), WS_ERR_CONNECTION_CLOSED);
  CHECK_IS(ws_read_message(both.server, &message), WS_ERR_ALREADY_CLOSED);
  CHECK_IS(ws_close_code(both.server), 1009);
  free_pair(&both);
  ws_config_free(config);
}

static void what_may_be_sent_can_be_more_than_what_may_be_received(void) {
  uint64_t value = 1;
  const ws_message *message;
  pair both;
  CHECK_IS(open_pair(&both, NULL, NULL), WS_OK);
  CHECK_IS(ws_set_option(both.server, WS_OPT_MAX_MESSAGE_SIZE, 4), WS_OK);
  CHECK_IS(ws_write_message(both.server, WS_TEXT, "hello", 5), WS_ERR_CAPACITY);
  CHECK_IS(ws_set_option(both.server, WS_OPT_MAX_SENT_SIZE, 0), WS_OK);
  CHECK_IS(ws_get_option(both.server, WS_OPT_MAX_SENT_SIZE, &value), WS_OK);
  CHECK_IS(value, 0);
  CHECK_IS(ws_write_message(both.server, WS_TEXT, "hello", 5), WS_OK);
  CHECK_IS(ws_set_option(both.server, WS_OPT_MAX_SENT_SIZE, 3), WS_OK);
  CHECK_IS(ws_write_message(both.server, WS_TEXT, "four", 4), WS_ERR_CAPACITY);
  CHECK_IS(read_from(both.client, both.server, &message), WS_OK);
  CHECK_IS(ws_write_message(both.client, WS_TEXT, "hello", 5), WS_OK);
  CHECK_IS(read_from(both.server, both.client, &message), WS_ERR_CAPACITY);
  free_pair(&both);
}

static void options_of_a_live_connection_hold_from_the_next_call_on(void) {
  const ws_message *message;
  uint64_t value;
  pair both;
  CHECK_IS(open_pair(&both, NULL, NULL), WS_OK);
  CHECK_IS(ws_set_option(both.server, WS_OPT_MAX_FRAME_SIZE, 3), WS_OK);
  CHECK_IS(ws_get_option(both.server, WS_OPT_MAX_FRAME_SIZE, &value), WS_OK);
  CHECK_IS(value, 3);
  CHECK_IS(ws_get_option(both.client, WS_OPT_MAX_FRAME_SIZE, &value), WS_OK);
  CHECK_IS(value, 16 << 20);
  CHECK_IS(ws_write_message(both.client, WS_TEXT, "abc", 3), WS_OK);
  CHECK_IS(read_from(both.server, both.client, &message), WS_OK);
  CHECK_IS(ws_set_option(both.server, WS_OPT_MAX_FRAGMENTS, 2), WS_OK);
  for (int i = 0; i < 3; i++) CHECK_IS(ws_write_fragment(both.client, WS_TEXT, "a", 1, i == 2), WS_OK);
  CHECK_IS(read_from(both.server, both.client, &message), WS_ERR_CAPACITY);
  free_pair(&both);
}

/* permessage-deflate */

static void compressed_messages_arrive_unharmed_and_what_was_agreed_on_can_be_asked(void) {
  static const size_t lengths[] = {0, 1, 63, 64, 125, 5000, 65536, 1 << 20};
  for (int sides = 0; sides < 4; sides++) {
    ws_config *client = config_with(WS_OPT_DEFLATE, sides & 1), *server = config_with(WS_OPT_DEFLATE, sides >> 1);
    const ws_message *message;
    pair both;
    uint64_t value = 7;
    ws_config_set(client, WS_OPT_DEFLATE_CLIENT_MAX_WINDOW_BITS, 10);
    ws_config_set(server, WS_OPT_DEFLATE_SERVER_NO_CONTEXT_TAKEOVER, 1);
    CHECK_IS(open_pair(&both, client, server), WS_OK);
    for (size_t i = 0; i < LENGTH(lengths); i++) {
      uint8_t *bytes = noise(lengths[i]);
      size_t sent = 0;
      for (size_t b = 0; b < lengths[i]; b++) bytes[b] = b % 50 ? 'a' : bytes[b] % 4;
      CHECK_IS(ws_write_message(both.client, WS_BINARY, bytes, lengths[i]), WS_OK);
      sent = ws_queued_bytes(both.client);
      CHECK(lengths[i] < 5000 || (sent < lengths[i] / 2) == (sides == 3));
      CHECK_IS(read_from(both.server, both.client, &message), WS_OK);
      CHECK_IS(ws_write_message(both.server, message->kind, message->data, message->len), WS_OK);
      CHECK_IS(read_from(both.client, both.server, &message), WS_OK);
      CHECK(message->len == lengths[i] && memcmp(message->data, bytes, lengths[i]) == 0);
      free(bytes);
    }
    CHECK_IS(ws_get_option(both.client, WS_OPT_DEFLATE, &value), WS_OK);
    CHECK_IS(value, sides == 3);
    CHECK_IS(ws_get_option(both.server, WS_OPT_DEFLATE, &value), WS_OK);
    CHECK_IS(value, sides == 3);
    if (sides == 3) {
      CHECK_IS(ws_get_option(both.server, WS_OPT_DEFLATE_CLIENT_MAX_WINDOW_BITS, &value), WS_OK);
      CHECK_IS(value, 10);
      CHECK_IS(ws_get_option(both.client, WS_OPT_DEFLATE_SERVER_NO_CONTEXT_TAKEOVER, &value), WS_OK);
      CHECK_IS(value, 1);
    }
    free_pair(&both);
    ws_config_free(client);
    ws_config_free(server);
  }
}

static void a_refused_message_does_not_advance_the_compressor(void) {
  static const char refused_text[] = "a text that finds no room, and is long enough to be compressed, as all the others";
  ws_config *config = config_with(WS_OPT_DEFLATE, 1);
  const ws_message *message;
  char text[400];
  pair both;
  ws_config_set(config, WS_OPT_MAX_SEND_QUEUE, 1);
  CHECK_IS(open_pair(&both, config, config), WS_OK);
  for (int i = 0; i < 50; i++) {
    memset(text, 'a' + i % 26, 300 + (size_t)i);
    text[i] = '!';
    text[300 + i] = '\0';
    CHECK_IS(ws_write_message(both.client, WS_TEXT, text, strlen(text)), WS_OK);
    for (int refused = 0; refused < 3; refused++)
      CHECK_IS(ws_write_message(both.client, WS_TEXT, refused_text, sizeof refused_text - 1), WS_ERR_SEND_QUEUE_FULL);
    CHECK_IS(read_from(both.server, both.client, &message), WS_OK);
    CHECK(is_message(message, WS_TEXT, text));
  }
  free_pair(&both);
  ws_config_free(config);
}

static void a_compressed_message_that_swells_stops_at_the_limit(void) {
  ws_config *client = config_with(WS_OPT_DEFLATE, 1), *server = config_with(WS_OPT_DEFLATE, 1);
  const size_t len = 16 << 20;
  uint8_t *zeros = calloc(len, 1);
  const ws_message *message;
  pair both;
  ws_config_set(server, WS_OPT_MAX_MESSAGE_SIZE, 1 << 20);
  CHECK_IS(open_pair(&both, client, server), WS_OK);
  CHECK_IS(ws_write_message(both.client, WS_BINARY, zeros, len), WS_OK);
  CHECK(ws_queued_bytes(both.client) < len / 50);
  CHECK_IS(read_from(both.server, both.client, &message), WS_ERR_CAPACITY);
  CHECK_IS(ws_close_code(both.server), 1009);
  free_pair(&both);
  free(zeros);
  ws_config_free(client);
  ws_config_free(server);
}

/* What is lent stays put */

static const char *const frame_words[] = {"alpha", "beta", "gamma"};

static void lent_input_stays_put_whatever_is_read_or_sent_meanwhile(void) {
  /* Before the room is lent: nothing, three messages, a part of a header, a part of a long message. */
  for (int before = 0; before < 5; before++) {
    ws_config *config = config_with(WS_OPT_DELIVER_FRAGMENTS, before == 4);
    ws_conn *server = new_open(config, WS_SERVER);
    uint8_t *long_message = noise(100000), *frame = malloc(100100), *room;
    const size_t frame_len = put_frame(frame, WS_CLIENT, 0x82, long_message, 100000);
    const ws_message *message;
    const uint8_t *data;
    size_t len, consumed, fed = 0, total = 0;
    if (before == 1)
      for (int i = 0; i < 3; i++) CHECK(feed_frame(server, WS_CLIENT, 0x81, frame_words[i]) > 0);
    if (before == 2) fed = feed(server, frame, 5);
    if (before >= 3) fed = feed(server, frame, 50);
    if (before == 3) CHECK_IS(ws_read_message(server, &message), WS_ERR_WOULD_BLOCK);
    if (before == 4) CHECK_IS(ws_read_message(server, &message), WS_OK);
    if (before == 4) total = message->len;
    CHECK_IS(ws_input(server, &room, &len), WS_OK);
    CHECK(room != NULL && len >= 64);
    len = len < frame_len - fed ? len : frame_len - fed;
    for (int round = 0; round < 3; round++) {
      memcpy(room + len / 3 * (size_t)round, frame + fed + len / 3 * (size_t)round,
             round == 2 ? len - len / 3 * 2 : len / 3);
      CHECK_IS(ws_feed(server, frame, 1, &consumed), WS_ERR_MISUSE);
      if (before == 1) {
        CHECK_IS(ws_read_message(server, &message), WS_OK);
        CHECK(is_message(message, WS_TEXT, frame_words[round]));
      } else {
        CHECK_IS(ws_read_message(server, &message), WS_ERR_WOULD_BLOCK);
      }
      for (int i = 0; i < 100; i++) CHECK_IS(ws_queue_message(server, WS_BINARY, long_message, 1000), WS_OK);
      CHECK_IS(ws_write_pending(server), WS_ERR_WOULD_BLOCK);
      CHECK_IS(ws_output(server, &data, &consumed), WS_OK);
      CHECK_IS(ws_output_advance(server, consumed), WS_OK);
      CHECK_IS(ws_tick(server, (uint64_t)round), WS_OK);
    }
    CHECK(memcmp(room, frame + fed, len) == 0);
    CHECK_IS(ws_input_commit(server, len), WS_OK);
    fed += len;
    for (;;) {
      ws_status_t status = ws_read_message(server, &message);
      if (status == WS_ERR_WOULD_BLOCK) {
        CHECK(fed < frame_len);
        consumed = feed(server, frame + fed, frame_len - fed);
        CHECK(consumed > 0);
        fed += consumed;
        continue;
      }
      CHECK_IS(status, WS_OK);
      CHECK(total + message->len <= 100000);
      CHECK(memcmp(message->data, long_message + total, message->len) == 0);
      total += message->len;
      if (message->is_final) break;
    }
    CHECK_IS(total, 100000);
    CHECK_IS(fed, frame_len);
    ws_free(server);
    ws_config_free(config);
    free(long_message);
    free(frame);
  }
}

static void lent_input_can_be_written_to_after_the_connection_has_failed(void) {
  for (int way = 0; way < 4; way++) {
    ws_conn *server = new_open(NULL, WS_SERVER);
    const ws_message *message;
    uint8_t *room;
    size_t len;
    CHECK_IS(ws_set_option(server, WS_OPT_IDLE_TIMEOUT_MS, 5), WS_OK);
    CHECK_IS(ws_tick(server, 0), WS_OK);
    if (way == 0) feed(server, "\xff", 1);
    if (way == 1) feed(server, "\x02\xff\0\0\0\0\0\x01\xff\xff\0\0\0\0abc", 17);
    if (way == 1) CHECK_IS(ws_read_message(server, &message), WS_ERR_WOULD_BLOCK);
    if (way == 1) CHECK_IS(ws_tick(server, 0), WS_OK); /* what was fed counts from then on */
    CHECK_IS(ws_input(server, &room, &len), WS_OK);
    CHECK(len > 0);
    if (way == 0) ws_read_message(server, &message);
    if (way == 1 || way == 2) CHECK_IS(ws_tick(server, 5), WS_ERR_TIMEOUT);
    if (way == 3) CHECK_IS(ws_feed_eof(server), WS_OK);
    for (int i = 0; i < 4; i++) ws_read_message(server, &message), ws_write_pending(server);
    memset(room, 0x55, len);
    CHECK_IS(ws_input_commit(server, len), WS_OK);
    ws_read_message(server, &message);
    ws_free(server);
  }
}

static void lent_output_stays_put_whatever_is_queued_meanwhile(void) {
  const ws_message *message;
  const uint8_t *data, *again;
  uint8_t before[4096], *payload = noise(100000);
  size_t len, len_again;
  for (int control_first = 0; control_first < 2; control_first++) {
    ws_conn *server = new_open(NULL, WS_SERVER);
    if (control_first) CHECK_IS(ws_write_message(server, WS_PONG, "pong", 4), WS_OK);
    for (int i = 0; i < 5; i++) CHECK_IS(ws_queue_message(server, WS_TEXT, "some words", 10), WS_OK);
    CHECK_IS(ws_output(server, &data, &len), WS_OK);
    CHECK(len > 0 && len <= sizeof before);
    memcpy(before, data, len);
    for (int i = 0; i < 200; i++) {
      CHECK_IS(ws_queue_message(server, WS_BINARY, payload, i == 0 ? 100000 : 77), WS_OK);
      feed_frame(server, WS_CLIENT, 0x89, "ping");
      CHECK_IS(ws_read_message(server, &message), WS_ERR_WOULD_BLOCK);
      CHECK_IS(ws_write_message(server, WS_PONG, "another", 7), WS_OK);
      CHECK_IS(ws_write_pending(server), WS_ERR_WOULD_BLOCK);
    }
    CHECK_IS(ws_close(server, 1000, "bye", 3), WS_OK);
    CHECK_IS(ws_output(server, &again, &len_again), WS_OK);
    CHECK(again == data && len_again == len && memcmp(data, before, len) == 0);
    /* What is left after a part has gone is the rest of it. */
    CHECK_IS(ws_output_advance(server, len + 1), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(ws_output_advance(server, SIZE_MAX), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(ws_output_advance(server, 1), WS_OK);
    CHECK_IS(ws_output_advance(server, 1), WS_ERR_INVALID_ARGUMENT); /* nothing is lent now */
    CHECK_IS(ws_output(server, &again, &len_again), WS_OK);
    CHECK(len_again > 0 && again[0] == before[1]);
    ws_free(server);
  }
  free(payload);
}

static void output_can_be_taken_in_pieces_of_any_size(void) {
  size_t sizes[] = {1, 7, 4096, 1000000}, i, j, n, total;
  for (i = 0; i < 4; i++) {
    pair both;
    static uint8_t room[1000000], wire[1000000], large[300000];
    const ws_message *message;
    CHECK_IS(open_pair(&both, NULL, NULL), WS_OK);
    memset(large, 'x', sizeof large);
    CHECK_IS(ws_output_take(both.server, room, sizes[i], &n), WS_OK);
    CHECK(n == 0);
    for (j = 0; j < 3; j++) CHECK_IS(ws_queue_message(both.server, WS_BINARY, large, sizeof large), WS_OK);
    total = 0;
    do {
      CHECK_IS(ws_output_take(both.server, room, sizes[i], &n), WS_OK);
      CHECK(n <= sizes[i]);
      memcpy(wire + total, room, n);
      total += n;
    } while (n == sizes[i]);
    CHECK(total == 3 * (10 + sizeof large) && ws_queued_bytes(both.server) == 0);
    for (j = 0; j < total; j += n) {
      CHECK_IS(ws_feed(both.client, wire + j, total - j, &n), WS_OK);
      while (ws_read_message(both.client, &message) == WS_OK) {
        CHECK(message->kind == WS_BINARY && message->len == sizeof large);
        CHECK(memcmp(message->data, large, sizeof large) == 0);
      }
    }
    CHECK_IS(ws_output_take(both.server, NULL, 0, &n), WS_OK);
    CHECK(n == 0);
    CHECK_IS(ws_output_take(both.server, NULL, 1, &n), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(ws_output_take(both.server, room, 1, NULL), WS_ERR_INVALID_ARGUMENT);
    free_pair(&both);
  }
}

static void no_more_can_be_committed_than_was_lent(void) {
  ws_conn *server = new_open(NULL, WS_SERVER);
  const ws_message *message;
  uint8_t *room, *again;
  size_t len;
  CHECK_IS(ws_input_commit(server, 0), WS_ERR_MISUSE);
  CHECK_IS(ws_input(server, &room, &len), WS_OK);
  CHECK_IS(ws_input_commit(server, len + 1), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_input_commit(server, SIZE_MAX), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_input(server, &again, &len), WS_ERR_MISUSE); /* still lent */
  CHECK_IS(ws_input_commit(server, put_frame(room, WS_CLIENT, 0x81, "in place", 8)), WS_OK);
  CHECK_IS(ws_input_commit(server, 0), WS_ERR_MISUSE);
  CHECK_IS(ws_read_message(server, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "in place"));
  ws_free(server);
}

/* "A received message belongs to its connection until the next read on it or ws_free()": so no other call may touch
 * it. What is compared is the message in place; checkers of memory see the rest. */
static void a_received_message_stays_until_the_next_read(void) {
  static const char text[] = "a message to be remembered";
  enum { WHOLE, JOINED, CLOSE, INFLATED, KINDS };
  ws_config *deflate = config_with(WS_OPT_DEFLATE, 1);
  ws_config_set(deflate, WS_OPT_DEFLATE_THRESHOLD, 1);
  for (int what = 0; what < KINDS; what++) {
    for (int way = 0; way < 10; way++) {
      ws_conn *server = new_open(what == INFLATED ? deflate : NULL, WS_SERVER);
      ws_conn *client = new_open(deflate, WS_CLIENT);
      const ws_message *message;
      const uint8_t *data, *output;
      uint8_t frame[200], *room;
      size_t len;
      CHECK_IS(ws_set_option(server, WS_OPT_IDLE_TIMEOUT_MS, 5), WS_OK);
      CHECK_IS(ws_set_option(server, WS_OPT_CLOSE_TIMEOUT_MS, 5), WS_OK);
      CHECK_IS(ws_tick(server, 0), WS_OK);
      if (what == WHOLE) CHECK(feed_frame(server, WS_CLIENT, 0x81, text) > 0);
      if (what == JOINED) CHECK(feed_frame(server, WS_CLIENT, 0x01, "") && feed_frame(server, WS_CLIENT, 0x80, text));
      if (what == CLOSE) {
        memcpy(frame + 100, "\x03\xe8", 2);
        memcpy(frame + 102, text, sizeof text - 1);
        CHECK(feed(server, frame, put_frame(frame, WS_CLIENT, 0x88, frame + 100, sizeof text + 1)) > 0);
      }
      if (what == INFLATED) {
        CHECK_IS(ws_write_message(client, WS_TEXT, text, sizeof text - 1), WS_OK);
        CHECK(carry(client, server) > 0);
      }
      if (way == 9) feed(server, "\xff\xff\xff\xff", 4);
      CHECK_IS(ws_read_message(server, &message), WS_OK);
      CHECK(is_message(message, what == CLOSE ? WS_CLOSE : WS_TEXT, text));
      data = message->data;
      memset(frame, 0x55, sizeof frame);
      for (int round = 0; round < 3; round++) {
        if (way == 0) ws_write_pending(server);
        if (way == 1) ws_tick(server, 20 * (uint64_t)round), ws_write_pending(server);
        if (way == 2) feed(server, frame, sizeof frame), ws_write_pending(server);
        if (way == 3 && ws_input(server, &room, &len) == WS_OK) memset(room, 0x55, len), ws_input_commit(server, len);
        if (way == 4) ws_feed_eof(server), ws_write_pending(server);
        if (way == 5) ws_close(server, 1001, "x", 1), ws_write_pending(server);
        if (way == 6) ws_write_message(server, WS_BINARY, frame, sizeof frame), ws_handshake(server);
        if (way == 7 && ws_output(server, &output, &len) == WS_OK)
          ws_output_advance(server, len), ws_write_pending(server);
        if (way == 8) ws_write_pending(server), feed(server, frame, sizeof frame), ws_tick(server, 100);
        if (way == 9) ws_set_option(server, WS_OPT_DELIVER_CONTROL, 1), ws_write_pending(server);
        if (!is_message(message, what == CLOSE ? WS_CLOSE : WS_TEXT, text)) printf("# what %d, way %d\n", what, way);
        CHECK(is_message(message, what == CLOSE ? WS_CLOSE : WS_TEXT, text));
        CHECK(message->data == data);
      }
      ws_free(server);
      ws_free(client);
    }
  }
  ws_config_free(deflate);
}

static void feeding_more_than_there_is_room_for_loses_nothing(void) {
  const size_t rounds = (size_t)check_reduced(3), payload_len = 3000, count = (10 << 20) / payload_len;
  uint8_t *all = malloc(count * (payload_len + 20)), *payload = noise(payload_len);
  ws_conn *server = new_open(NULL, WS_SERVER);
  const ws_message *message;
  size_t total = 0, read = 0;
  for (size_t i = 0; i < count; i++) {
    /* Some long, some short, and their number in front. */
    size_t len = i % 3 == 0 ? payload_len : 4 + i % 700;
    memcpy(payload, &i, sizeof i);
    total += put_frame(all + total, WS_CLIENT, 0x82, payload, len);
  }
  for (size_t round = 0; round < rounds; round++) {
    size_t fed = 0;
    read = 0;
    while (fed < total || read < count) {
      size_t consumed = 0;
      ws_status_t status;
      CHECK_IS(ws_feed(server, all + fed, total - fed, &consumed), WS_OK);
      fed += consumed;
      CHECK(consumed < 2 << 20); /* what waits to be read is bounded */
      consumed = 0;
      while ((status = ws_read_message(server, &message)) == WS_OK) {
        size_t number = 0;
        memcpy(&number, message->data, read % 3 == 0 ? sizeof number : 4);
        CHECK_IS(number, read);
        CHECK_IS(message->len, read % 3 == 0 ? payload_len : 4 + read % 700);
        CHECK(memcmp(message->data + 8, payload + 8, message->len > 8 ? message->len - 8 : 0) == 0);
        read++;
        consumed++;
      }
      CHECK_IS(status, WS_ERR_WOULD_BLOCK);
    }
    CHECK_IS(read, count);
  }
  ws_free(server);
  free(all);
  free(payload);
}

static void nobody_can_make_a_connection_hoard_by_feeding_without_reading(void) {
  ws_conn *conns[3] = {NULL, NULL, NULL};
  uint8_t *junk = noise(1 << 20);
  conns[0] = new_open(NULL, WS_SERVER);
  CHECK_IS(ws_server_new(NULL, &conns[1]), WS_OK);
  conns[2] = new_open(NULL, WS_SERVER);
  CHECK_IS(ws_close(conns[2], 1000, NULL, 0), WS_OK);
  for (int c = 0; c < 3; c++) {
    size_t total = 0;
    for (int i = 0; i < 64; i++) {
      size_t consumed = 0;
      CHECK_IS(ws_feed(conns[c], junk, 1 << 20, &consumed), WS_OK);
      total += consumed;
    }
    CHECK(total <= 4 << 20);
    ws_free(conns[c]);
  }
  free(junk);
}

static void one_byte_at_a_time_is_the_same(void) {
  for (int role = WS_CLIENT; role <= WS_SERVER; role++) {
    ws_conn *conn = new_open(NULL, role);
    uint8_t bytes[1024], *room;
    const ws_message *message;
    size_t total = 0, len;
    int read = 0;
    const int32_t peer = role == WS_CLIENT ? WS_SERVER : WS_CLIENT;
    for (int i = 0; i < 3; i++) {
      total += put_frame(bytes + total, peer, 0x01, "al", 2);
      total += put_frame(bytes + total, peer, 0x89, "ping", 4);
      total += put_frame(bytes + total, peer, 0x80, "pha", 3);
    }
    for (size_t i = 0; i < total; i++) {
      CHECK_IS(ws_input(conn, &room, &len), WS_OK);
      CHECK(len > 0);
      *room = bytes[i];
      CHECK_IS(ws_input_commit(conn, 1), WS_OK);
      while (ws_read_message(conn, &message) == WS_OK) CHECK(++read && is_message(message, WS_TEXT, "alpha"));
    }
    CHECK_IS(read, 3);
    CHECK(ws_queued_bytes(conn) > 0); /* the Pongs */
    ws_free(conn);
  }
}

/* Ends */

static void the_end_is_told_once(void) {
  for (int from_client = 0; from_client < 2; from_client++) {
    const ws_message *message;
    ws_conn *first, *second;
    pair both;
    CHECK_IS(open_pair(&both, NULL, NULL), WS_OK);
    first = from_client ? both.client : both.server;
    second = from_client ? both.server : both.client;
    CHECK_IS(ws_write_message(second, WS_TEXT, "last", 4), WS_OK);
    CHECK_IS(ws_close(first, 4001, "enough", 6), WS_OK);
    CHECK_IS(ws_close(first, 4001, "enough", 6), WS_OK);
    CHECK_IS(ws_get_state(first), WS_STATE_CLOSING);
    CHECK(ws_can_read(first) && !ws_can_write(first));
    CHECK_IS(ws_write_message(first, WS_TEXT, "x", 1), WS_ERR_CONNECTION_CLOSED);
    CHECK_IS(ws_queue_message(first, WS_TEXT, "x", 1), WS_ERR_CONNECTION_CLOSED);
    CHECK_IS(ws_write_fragment(first, WS_TEXT, "x", 1, 1), WS_ERR_CONNECTION_CLOSED);
    /* Reading stays possible after our own Close. */
    CHECK_IS(read_from(first, second, &message), WS_OK);
    CHECK(is_message(message, WS_TEXT, "last"));
    CHECK_IS(read_from(second, first, &message), WS_OK);
    CHECK(is_message(message, WS_CLOSE, "enough") && message->close_code == 4001);
    CHECK(!ws_can_read(second) && !ws_can_write(second));
    CHECK_IS(ws_close_code(second), 4001);
    CHECK_IS(ws_write_message(second, WS_TEXT, "x", 1), WS_ERR_CONNECTION_CLOSED);
    CHECK_IS(ws_read_message(second, &message), WS_ERR_WOULD_BLOCK);
    CHECK_IS(read_from(first, second, &message), WS_OK);
    CHECK(is_message(message, WS_CLOSE, "enough") && message->close_code == 4001);
    /* The server is done as soon as its Close has left, the client when the server has ended the stream. */
    CHECK_IS(ws_read_message(both.client, &message), WS_ERR_WOULD_BLOCK);
    CHECK_IS(ws_interest(both.client), WS_WANT_READ);
    CHECK_IS(ws_interest(both.server), 0);
    CHECK_IS(ws_read_message(both.server, &message), WS_ERR_CONNECTION_CLOSED);
    CHECK(message == NULL);
    CHECK_IS(ws_feed_eof(both.client), WS_OK);
    CHECK_IS(ws_read_message(both.client, &message), WS_ERR_CONNECTION_CLOSED);
    for (int i = 0; i < 2; i++) {
      ws_conn *conn = i == 0 ? both.client : both.server;
      CHECK_IS(ws_get_state(conn), WS_STATE_CLOSED);
      CHECK_IS(ws_read_message(conn, &message), WS_ERR_ALREADY_CLOSED);
      CHECK_IS(ws_write_message(conn, WS_TEXT, "x", 1), WS_ERR_ALREADY_CLOSED);
      CHECK_IS(ws_queue_message(conn, WS_PING, "x", 1), WS_ERR_ALREADY_CLOSED);
      CHECK_IS(ws_write_fragment(conn, WS_TEXT, "x", 1, 0), WS_ERR_ALREADY_CLOSED);
      CHECK_IS(ws_write_pending(conn), WS_ERR_ALREADY_CLOSED);
      CHECK_IS(ws_close(conn, 1000, NULL, 0), WS_ERR_ALREADY_CLOSED);
      CHECK_IS(ws_close_code(conn), 4001);
      CHECK(ws_next_deadline(conn) == UINT64_MAX);
    }
    free_pair(&both);
  }
}

static void both_sides_may_close_at_once(void) {
  const ws_message *message;
  pair both;
  CHECK_IS(open_pair(&both, NULL, NULL), WS_OK);
  CHECK_IS(ws_close(both.client, 1001, NULL, 0), WS_OK);
  CHECK_IS(ws_close(both.server, 0, NULL, 0), WS_OK);
  CHECK_IS(read_from(both.server, both.client, &message), WS_OK);
  CHECK(message->kind == WS_CLOSE && message->close_code == 1001);
  CHECK_IS(read_from(both.client, both.server, &message), WS_OK);
  CHECK(message->kind == WS_CLOSE && message->close_code == 1005);
  CHECK_IS(ws_close_code(both.client), 1005);
  CHECK_IS(ws_read_message(both.server, &message), WS_ERR_CONNECTION_CLOSED);
  CHECK_IS(ws_feed_eof(both.client), WS_OK);
  CHECK_IS(ws_read_message(both.client, &message), WS_ERR_CONNECTION_CLOSED);
  CHECK_IS(ws_queued_bytes(both.client), 0);
  free_pair(&both);
}

static void what_comes_after_a_close_is_not_looked_at(void) {
  ws_conn *server = new_open(NULL, WS_SERVER);
  const ws_message *message;
  CHECK(feed_frame(server, WS_CLIENT, 0x88, "\x03\xe9" "why") > 0);
  CHECK(feed_frame(server, WS_CLIENT, 0x81, "after") > 0);
  CHECK(feed(server, "\xff\xff\xff", 3) == 3);
  CHECK_IS(ws_read_message(server, &message), WS_OK);
  CHECK(is_message(message, WS_CLOSE, "why") && message->close_code == 1001);
  CHECK_IS(ws_read_message(server, &message), WS_ERR_WOULD_BLOCK);
  CHECK(last_words_are(server, "\x88\x05\x03\xe9" "why", 7));
  CHECK_IS(ws_write_pending(server), WS_ERR_CONNECTION_CLOSED);
  CHECK_IS(ws_close_code(server), 1001);
  ws_free(server);
}

static void an_end_of_the_stream_in_the_middle_is_told_after_what_came_before(void) {
  /* Nothing, a part of a header, a part of a payload, a message without its last fragment. */
  for (int how = 0; how < 4; how++) {
    ws_conn *server = new_open(NULL, WS_SERVER);
    const ws_message *message;
    uint8_t byte = 0, *room;
    size_t len;
    CHECK(feed_frame(server, WS_CLIENT, 0x81, "whole") > 0);
    if (how == 1) feed(server, "\x81", 1);
    if (how == 2) feed(server, "\x81\x85\0\0\0\0hel", 9);
    if (how == 3) feed_frame(server, WS_CLIENT, 0x01, "begun");
    CHECK_IS(ws_feed_eof(server), WS_OK);
    CHECK_IS(ws_feed_eof(server), WS_OK);
    CHECK_IS(ws_feed(server, &byte, 1, &len), WS_ERR_MISUSE);
    CHECK_IS(ws_input(server, &room, &len), WS_ERR_MISUSE);
    CHECK_IS(ws_read_message(server, &message), WS_OK);
    CHECK(is_message(message, WS_TEXT, "whole"));
    CHECK_IS(ws_close_code(server), 0);
    CHECK_IS(ws_read_message(server, &message), WS_ERR_CONNECTION_CLOSED);
    CHECK(message == NULL);
    CHECK_IS(ws_close_code(server), 1006);
    CHECK(says(server, "end"));
    CHECK_IS(ws_read_message(server, &message), WS_ERR_ALREADY_CLOSED);
    CHECK_IS(ws_get_state(server), WS_STATE_CLOSED);
    ws_free(server);
  }
}

static void an_end_of_the_stream_in_the_handshake_is_told(void) {
  pair both = new_pair(NULL, NULL);
  const ws_message *message;
  CHECK_IS(feed_text(both.client, "HTTP/1.1 101 Switch"), 19);
  CHECK_IS(ws_feed_eof(both.client), WS_OK);
  CHECK_IS(ws_handshake(both.client), WS_ERR_HANDSHAKE);
  CHECK(says(both.client, "end"));
  CHECK_IS(ws_feed_eof(both.server), WS_OK);
  CHECK_IS(ws_read_message(both.server, &message), WS_ERR_HANDSHAKE);
  CHECK_IS(ws_read_message(both.server, &message), WS_ERR_CONNECTION_CLOSED);
  CHECK_IS(ws_read_message(both.server, &message), WS_ERR_ALREADY_CLOSED);
  free_pair(&both);
}

/* A peer that asks and leaves: a loop that waits where there is no input would wait for good. */
static void an_end_of_the_stream_that_came_with_the_handshake_is_input_to_read(void) {
  static const char request[] =
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  for (uint64_t accepts = 0; accepts < 2; accepts++) {
    ws_config *config = config_with(WS_OPT_AUTO_ACCEPT, accepts);
    const ws_message *message;
    ws_conn *server;
    CHECK_IS(ws_server_new(config, &server), WS_OK);
    ws_config_free(config);
    CHECK_IS(feed_text(server, request), strlen(request));
    CHECK_IS(ws_feed_eof(server), WS_OK);
    CHECK_IS(ws_handshake(server), WS_OK);
    if (!accepts) {
      CHECK_IS(ws_get_state(server), WS_STATE_REQUEST);
      CHECK_IS(ws_has_input(server), 0);
      CHECK_IS(ws_accept(server, NULL), WS_OK);
    }
    CHECK_IS(ws_get_state(server), WS_STATE_OPEN);
    CHECK_IS(ws_has_input(server), 1);
    CHECK_IS(ws_read_message(server, &message), WS_ERR_CONNECTION_CLOSED);
    CHECK_IS(ws_has_input(server), 0);
    ws_free(server);
  }
  pair both = new_pair(NULL, NULL);
  const ws_message *message;
  CHECK_IS(ws_handshake(both.client), WS_ERR_WOULD_BLOCK);
  carry(both.client, both.server);
  CHECK_IS(ws_handshake(both.server), WS_OK);
  carry(both.server, both.client);
  CHECK_IS(ws_feed_eof(both.client), WS_OK);
  CHECK_IS(ws_handshake(both.client), WS_OK);
  CHECK_IS(ws_has_input(both.client), 1);
  CHECK_IS(ws_read_message(both.client, &message), WS_ERR_CONNECTION_CLOSED);
  free_pair(&both);
}

/* What has arrived of a message is a part as soon as parts are asked for, whether or not more comes. */
static void what_has_arrived_of_a_message_is_input_once_parts_are_delivered(void) {
  for (int32_t role = WS_CLIENT; role <= WS_SERVER; role++) {
    ws_conn *conn = new_open(NULL, role);
    const ws_message *message;
    uint8_t frame[64];
    size_t len = put_frame(frame, role == WS_CLIENT ? WS_SERVER : WS_CLIENT, 0x81, "begun", 5);
    CHECK_IS(feed(conn, frame, len - 2), len - 2);
    CHECK_IS(ws_read_message(conn, &message), WS_ERR_WOULD_BLOCK);
    CHECK_IS(ws_set_option(conn, WS_OPT_MAX_MESSAGE_SIZE, 1000), WS_OK);
    CHECK_IS(ws_set_option(conn, WS_OPT_DELIVER_FRAGMENTS, 1), WS_OK);
    CHECK_IS(ws_has_input(conn), 1);
    CHECK_IS(ws_read_message(conn, &message), WS_OK);
    CHECK(is_message(message, WS_TEXT, "beg") && !message->is_final);
    CHECK_IS(ws_read_message(conn, &message), WS_ERR_WOULD_BLOCK);
    CHECK_IS(ws_set_option(conn, WS_OPT_MAX_MESSAGE_SIZE, 2000), WS_OK);
    CHECK_IS(ws_has_input(conn), 0);
    ws_free(conn);
    /* Between two frames there is nothing to do before the next one comes. */
    conn = new_open(NULL, role);
    feed_frame(conn, role == WS_CLIENT ? WS_SERVER : WS_CLIENT, 0x01, "begun");
    CHECK_IS(ws_read_message(conn, &message), WS_ERR_WOULD_BLOCK);
    CHECK_IS(ws_set_option(conn, WS_OPT_DELIVER_FRAGMENTS, 1), WS_OK);
    CHECK_IS(ws_has_input(conn), 0);
    CHECK_IS(ws_read_message(conn, &message), WS_ERR_WOULD_BLOCK);
    CHECK_IS(ws_has_input(conn), 0);
    feed_frame(conn, role == WS_CLIENT ? WS_SERVER : WS_CLIENT, 0x80, "");
    CHECK_IS(ws_read_message(conn, &message), WS_OK);
    CHECK(is_message(message, WS_TEXT, "begun") && message->is_final);
    ws_free(conn);
  }
}

/* Each broken rule: the status, the Close code that the peer is told, and words that say what and where. */
static void a_broken_rule_is_told_in_words_and_to_the_peer(void) {
  static const struct {
    const char *bytes;
    size_t len;
    ws_status_t status;
    int32_t code;
    const char *word;
  } cases[] = {
    {"\x83\x80\0\0\0\0", 6, WS_ERR_PROTOCOL, 1002, "opcode"},
    {"\xc1\x80\0\0\0\0", 6, WS_ERR_PROTOCOL, 1002, "reserved bit"},
    {"\x81\x01x", 3, WS_ERR_PROTOCOL, 1002, "unmasked"},
    {"\x80\x80\0\0\0\0", 6, WS_ERR_PROTOCOL, 1002, "continu"},
    {"\x09\x80\0\0\0\0", 6, WS_ERR_PROTOCOL, 1002, "ragmented control"},
    {"\x89\xfe\0\x7e", 4, WS_ERR_PROTOCOL, 1002, "125"},
    {"\x81\xfe\0\x01\0\0\0\0x", 9, WS_ERR_PROTOCOL, 1002, "shortest"},
    {"\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 14, WS_ERR_PROTOCOL, 1002, "significant"},
    {"\x81\xff\0\0\0\0\x7f\xff\xff\xff\0\0\0\0", 14, WS_ERR_CAPACITY, 1009, "2147483647"},
    {"\x81\x81\0\0\0\0\xff", 7, WS_ERR_UTF8, 1007, "UTF-8"},
    {"\x88\x81\0\0\0\0x", 7, WS_ERR_PROTOCOL, 1002, "one byte"},
    {"\x88\x82\0\0\0\0\x03\xed", 8, WS_ERR_PROTOCOL, 1002, "1005"},
    {"\x88\x83\0\0\0\0\x03\xe8\xff", 9, WS_ERR_UTF8, 1007, "UTF-8"},
  };
  for (size_t i = 0; i < LENGTH(cases); i++) {
    ws_conn *server = new_open(NULL, WS_SERVER);
    const ws_message *message;
    uint8_t close_frame[] = {0x88, 2, (uint8_t)(cases[i].code >> 8), (uint8_t)cases[i].code};
    CHECK(*ws_error_message(server) == '\0');
    CHECK_IS(ws_close_code(server), 0);
    CHECK(feed_frame(server, WS_CLIENT, 0x81, "fine") == 10);
    feed(server, cases[i].bytes, cases[i].len);
    CHECK_IS(ws_read_message(server, &message), WS_OK);
    CHECK_IS(ws_read_message(server, &message), cases[i].status);
    if (!says(server, cases[i].word)) printf("# %s\n", ws_error_message(server));
    CHECK(says(server, cases[i].word));
    CHECK(says(server, "byte 10"));
    CHECK_IS(ws_close_code(server), cases[i].code);
    CHECK_IS(ws_queued_bytes(server), 4);
    CHECK_IS(ws_read_message(server, &message), WS_ERR_WOULD_BLOCK);
    CHECK(last_words_are(server, close_frame, 4));
    CHECK_IS(ws_read_message(server, &message), WS_ERR_CONNECTION_CLOSED);
    CHECK_IS(ws_read_message(server, &message), WS_ERR_ALREADY_CLOSED);
    CHECK(says(server, cases[i].word)); /* the end does not cover its reason */
    ws_free(server);
  }
}

static void misuse_and_bad_arguments_are_told_in_words(void) {
  ws_conn *conn = new_open(NULL, WS_SERVER);
  size_t consumed;
  CHECK_IS(ws_write_message(conn, 3, "", 0), WS_ERR_INVALID_ARGUMENT);
  CHECK(says(conn, "kind"));
  CHECK_IS(ws_set_option(conn, 99, 0), WS_ERR_INVALID_ARGUMENT);
  CHECK(says(conn, "option"));
  CHECK_IS(ws_feed(conn, NULL, 3, &consumed), WS_ERR_INVALID_ARGUMENT);
  CHECK(says(conn, "NULL"));
  CHECK_IS(ws_accept(conn, NULL), WS_ERR_MISUSE);
  CHECK(says(conn, "request"));
  ws_free(conn);
}

static void a_status_without_a_sentence_of_its_own_does_not_tell_an_older_failures(void) {
  ws_config *config = config_with(WS_OPT_MAX_SEND_QUEUE, 1);
  ws_conn *conn = new_open(config, WS_SERVER);
  ws_prepared *prepared;
  const ws_message *message, *const *messages;
  const char *older;
  size_t count;
  CHECK_IS(ws_prepare_message(WS_TEXT, "a", 1, &prepared), WS_OK);
  CHECK_IS(ws_write_message(conn, WS_TEXT, "a", 1), WS_OK);
  for (int way = 0; way < 8; way++) {
    int full = way >= 3;
    CHECK_IS(ws_set_option(conn, 99, 0), WS_ERR_INVALID_ARGUMENT);
    older = ws_error_message(conn);
    CHECK(strcmp(older, "no such option") == 0);
    if (way == 0) CHECK_IS(ws_read_message(conn, &message), WS_ERR_WOULD_BLOCK);
    if (way == 1) CHECK_IS(ws_read_messages(conn, &messages, &count), WS_ERR_WOULD_BLOCK);
    if (way == 2) CHECK_IS(ws_write_pending(conn), WS_ERR_WOULD_BLOCK);
    if (way == 3) CHECK_IS(ws_write_message(conn, WS_TEXT, "b", 1), WS_ERR_SEND_QUEUE_FULL);
    if (way == 4) CHECK_IS(ws_queue_message(conn, WS_TEXT, "b", 1), WS_ERR_SEND_QUEUE_FULL);
    if (way == 5) CHECK_IS(ws_write_fragment(conn, WS_TEXT, "b", 1, 0), WS_ERR_SEND_QUEUE_FULL);
    if (way == 6) CHECK_IS(ws_write_prepared(conn, prepared), WS_ERR_SEND_QUEUE_FULL);
    if (way == 7) CHECK_IS(ws_write_message(conn, WS_PING, "b", 1), WS_ERR_SEND_QUEUE_FULL);
    /* "Not now" is no failure, and leaves the string that was handed out alone. */
    if (full) CHECK(says(conn, "the send queue is full"));
    if (!full) CHECK(*ws_error_message(conn) == '\0' && ws_copy_error_message(conn, NULL, 0) == 0);
    if (!full) CHECK(strcmp(older, "no such option") == 0);
  }
  ws_prepared_free(prepared);
  ws_free(conn);
  ws_config_free(config);
}

static void the_end_says_why_the_connection_was_given_up_and_not_what_else_went_wrong(void) {
  for (int gave_up = 0; gave_up < 2; gave_up++) {
    ws_conn *conn = new_open(NULL, WS_SERVER);
    const ws_message *message;
    uint8_t sink[64];
    size_t n;
    CHECK_IS(feed_frame(conn, WS_CLIENT, gave_up ? 0xc1 : 0x88, gave_up ? "x" : ""), gave_up ? 7 : 6);
    CHECK_IS(ws_read_message(conn, &message), gave_up ? WS_ERR_PROTOCOL : WS_OK);
    CHECK_IS(ws_set_option(conn, 99, 0), WS_ERR_INVALID_ARGUMENT);
    CHECK_IS(ws_write_pending(conn), WS_ERR_WOULD_BLOCK);
    CHECK(*ws_error_message(conn) == '\0');
    CHECK_IS(ws_output_take(conn, sink, sizeof sink, &n), WS_OK);
    CHECK_IS(ws_write_pending(conn), WS_ERR_CONNECTION_CLOSED);
    CHECK(says(conn, gave_up ? "reserved bit" : "the connection is closed"));
    CHECK_IS(ws_write_pending(conn), WS_ERR_ALREADY_CLOSED);
    CHECK(says(conn, gave_up ? "reserved bit" : "already closed"));
    ws_free(conn);
  }
}

static void the_end_of_the_headers_is_no_failure(void) {
  ws_config *config = config_with(WS_OPT_AUTO_ACCEPT, 0);
  pair both = new_pair(NULL, config);
  const char *name, *value, *why;
  char copy[128];
  size_t i;
  CHECK_IS(ws_header_at(both.client, 0, &name, &value), WS_ERR_INVALID_ARGUMENT); /* nothing has come yet */
  CHECK(*ws_error_message(both.client) == '\0');
  carry(both.client, both.server);
  CHECK_IS(ws_handshake(both.server), WS_OK);
  CHECK_IS(ws_reject(both.server, 403, NULL, 0), WS_OK);
  carry(both.server, both.client);
  CHECK_IS(ws_handshake(both.client), WS_ERR_HANDSHAKE);
  why = ws_error_message(both.client);
  CHECK(strstr(why, "403") != NULL);
  snprintf(copy, sizeof copy, "%s", why);
  for (i = 0; ws_header_at(both.client, i, &name, &value) == WS_OK; i++) continue;
  CHECK(i > 0 && name == NULL && value == NULL);
  CHECK_IS(ws_header_at(both.client, SIZE_MAX, &name, &value), WS_ERR_INVALID_ARGUMENT);
  CHECK(ws_error_message(both.client) == why && strcmp(why, copy) == 0);
  /* A mistake still is one. */
  CHECK_IS(ws_header_at(both.client, 0, NULL, &value), WS_ERR_INVALID_ARGUMENT);
  CHECK(says(both.client, "NULL"));
  free_pair(&both);
  ws_config_free(config);
}

/* Time */

static void a_handshake_that_takes_too_long_is_given_up(void) {
  pair both = new_pair(NULL, NULL);
  ws_conn *conns[2];
  const ws_message *message;
  conns[0] = both.client, conns[1] = both.server;
  for (int i = 0; i < 2; i++) {
    CHECK_IS(ws_next_deadline(conns[i]), 0); /* no time has been handed in yet */
    CHECK_IS(ws_tick(conns[i], 5000), WS_OK);
    CHECK_IS(ws_next_deadline(conns[i]), 15000);
    CHECK_IS(ws_tick(conns[i], 14999), WS_OK);
    CHECK_IS(ws_tick(conns[i], 15000), WS_ERR_TIMEOUT);
    CHECK(says(conns[i], "handshake"));
    CHECK_IS(ws_read_message(conns[i], &message), WS_ERR_CONNECTION_CLOSED);
    CHECK_IS(ws_read_message(conns[i], &message), WS_ERR_ALREADY_CLOSED);
    CHECK_IS(ws_tick(conns[i], 99999), WS_OK);
    CHECK(ws_next_deadline(conns[i]) == UINT64_MAX);
  }
  free_pair(&both);
}

static void a_close_that_is_not_answered_is_given_up(void) {
  ws_conn *client = new_open(NULL, WS_CLIENT);
  const ws_message *message;
  CHECK(ws_next_deadline(client) == UINT64_MAX);
  CHECK_IS(ws_tick(client, 1000), WS_OK);
  CHECK_IS(ws_set_option(client, WS_OPT_CLOSE_TIMEOUT_MS, 50), WS_OK);
  CHECK_IS(ws_close(client, 1000, NULL, 0), WS_OK);
  CHECK_IS(ws_tick(client, 1000), WS_OK);
  CHECK_IS(ws_next_deadline(client), 1050);
  CHECK_IS(ws_tick(client, 1049), WS_OK);
  CHECK_IS(ws_tick(client, 1050), WS_ERR_TIMEOUT);
  CHECK(says(client, "Close"));
  CHECK_IS(ws_read_message(client, &message), WS_ERR_CONNECTION_CLOSED);
  CHECK_IS(ws_close_code(client), 1006);
  ws_free(client);
  /* The peer has answered, but a client whose server does not end the stream waits no longer than that either. */
  client = new_open(NULL, WS_CLIENT);
  CHECK_IS(ws_tick(client, 0), WS_OK);
  CHECK_IS(ws_close(client, 1000, NULL, 0), WS_OK);
  CHECK(feed_frame(client, WS_SERVER, 0x88, "\x03\xe8") > 0);
  CHECK_IS(ws_read_message(client, &message), WS_OK);
  CHECK_IS(ws_tick(client, 0), WS_OK);
  CHECK_IS(ws_read_message(client, &message), WS_ERR_WOULD_BLOCK);
  CHECK_IS(ws_tick(client, 10000), WS_OK);
  CHECK_IS(ws_read_message(client, &message), WS_ERR_CONNECTION_CLOSED);
  CHECK_IS(ws_close_code(client), 1000);
  ws_free(client);
}

static void a_ping_goes_out_each_interval_and_silence_ends_the_connection(void) {
  ws_conn *server = new_open(NULL, WS_SERVER);
  const ws_message *message;
  const uint8_t *data;
  size_t len;
  CHECK_IS(ws_set_option(server, WS_OPT_PING_INTERVAL_MS, 100), WS_OK);
  CHECK_IS(ws_set_option(server, WS_OPT_PONG_TIMEOUT_MS, 30), WS_OK);
  CHECK_IS(ws_tick(server, 7), WS_OK);
  CHECK_IS(ws_next_deadline(server), 107);
  CHECK_IS(ws_tick(server, 106), WS_OK);
  CHECK_IS(ws_queued_bytes(server), 0);
  CHECK_IS(ws_tick(server, 107), WS_OK);
  CHECK_IS(ws_output(server, &data, &len), WS_OK);
  CHECK(len >= 2 && data[0] == 0x89);
  CHECK_IS(ws_output_advance(server, len), WS_OK);
  CHECK_IS(ws_next_deadline(server), 137);
  CHECK(feed_frame(server, WS_CLIENT, 0x8a, "") > 0); /* anything counts as a sign of life */
  CHECK_IS(ws_read_message(server, &message), WS_ERR_WOULD_BLOCK);
  CHECK_IS(ws_tick(server, 137), WS_OK);
  CHECK_IS(ws_next_deadline(server), 207);
  CHECK_IS(ws_tick(server, 207), WS_OK);
  CHECK_IS(ws_tick(server, 237), WS_ERR_TIMEOUT);
  CHECK(says(server, "Ping"));
  CHECK_IS(ws_close_code(server), 1011);
  CHECK(last_words_are(server, "\x88\x02\x03\xf3", 4));
  CHECK_IS(ws_read_message(server, &message), WS_ERR_CONNECTION_CLOSED);
  ws_free(server);
}

static void silence_over_the_idle_timeout_ends_the_connection(void) {
  ws_conn *server = new_open(NULL, WS_SERVER);
  const ws_message *message;
  CHECK_IS(ws_set_option(server, WS_OPT_IDLE_TIMEOUT_MS, 100), WS_OK);
  CHECK_IS(ws_tick(server, 1000), WS_OK);
  CHECK_IS(ws_tick(server, 1050), WS_OK);
  CHECK(feed_frame(server, WS_CLIENT, 0x81, "here") > 0);
  CHECK_IS(ws_tick(server, 1050), WS_OK);
  CHECK_IS(ws_next_deadline(server), 1150);
  CHECK_IS(ws_tick(server, 1149), WS_OK);
  CHECK_IS(ws_tick(server, 3), WS_OK); /* a clock that goes backwards stands still */
  CHECK_IS(ws_tick(server, 1150), WS_ERR_TIMEOUT);
  CHECK(last_words_are(server, "\x88\x02\x03\xe9", 4));
  CHECK_IS(ws_read_message(server, &message), WS_ERR_CONNECTION_CLOSED);
  CHECK_IS(ws_close_code(server), 1001);
  ws_free(server);
}

static void the_clock_of_the_library_does_not_go_backwards(void) {
  uint64_t before = ws_now();
  for (int i = 0; i < 1000; i++) {
    uint64_t now = ws_now();
    CHECK(now >= before && now < UINT64_MAX / 2);
    before = now;
  }
}

/* All that lies there whole comes in one call, in order, and stays until the next read. */
static void messages_that_lie_there_are_read_together(void) {
  pair both;
  const ws_message *const *messages;
  const ws_message *message;
  static char long_text[70000];
  char text[16];
  size_t count, got = 0;
  CHECK_IS(open_pair(&both, NULL, NULL), WS_OK);
  CHECK_IS(ws_read_messages(both.server, &messages, &count), WS_ERR_WOULD_BLOCK);
  CHECK(messages == NULL && count == 0);
  for (int i = 0; i < 200; i++) {
    snprintf(text, sizeof text, "message %d", i);
    CHECK_IS(ws_queue_message(both.client, i % 2 ? WS_TEXT : WS_BINARY, text, strlen(text)), WS_OK);
    if (i == 100) CHECK_IS(ws_write_message(both.client, WS_PING, "?", 1), WS_OK);
  }
  carry(both.client, both.server);
  while (got < 200) {
    CHECK_IS(ws_read_messages(both.server, &messages, &count), WS_OK);
    CHECK(count >= 1);
    for (size_t i = 0; i < count; i++, got++) {
      snprintf(text, sizeof text, "message %d", (int)got);
      CHECK(is_message(messages[i], got % 2 ? WS_TEXT : WS_BINARY, text));
      CHECK(messages[i]->is_final);
      CHECK_IS(ws_queue_message(both.server, messages[i]->kind, messages[i]->data, messages[i]->len), WS_OK);
    }
    carry(both.client, both.server);
  }
  CHECK_IS(ws_read_messages(both.server, &messages, &count), WS_ERR_WOULD_BLOCK);
  carry(both.server, both.client);
  for (got = 0; got < 200; got++) { /* whatever way they are read at the other end */
    CHECK_IS(read_from(both.client, both.server, &message), WS_OK);
    snprintf(text, sizeof text, "message %d", (int)got);
    CHECK(is_message(message, got % 2 ? WS_TEXT : WS_BINARY, text));
  }
  /* Fragments and long messages in between are put together elsewhere, and end what is read together. */
  memset(long_text, 'x', sizeof long_text);
  CHECK_IS(ws_write_message(both.client, WS_TEXT, "before", 6), WS_OK);
  CHECK_IS(ws_write_fragment(both.client, WS_TEXT, "in ", 3, 0), WS_OK);
  CHECK_IS(ws_write_fragment(both.client, WS_TEXT, "two", 3, 1), WS_OK);
  CHECK_IS(ws_write_message(both.client, WS_TEXT, "between", 7), WS_OK);
  CHECK_IS(ws_write_message(both.client, WS_TEXT, long_text, sizeof long_text), WS_OK);
  CHECK_IS(ws_write_message(both.client, WS_TEXT, "after", 5), WS_OK);
  CHECK_IS(ws_close(both.client, 1000, "bye", 3), WS_OK);
  for (got = 0; got < 6;) {
    const char *expected[] = {"before", "in two", "between", NULL, "after", "bye"};
    ws_status_t status = ws_read_messages(both.server, &messages, &count);
    if (status == WS_ERR_WOULD_BLOCK && carry(both.client, both.server) > 0) continue;
    CHECK_IS(status, WS_OK);
    for (size_t i = 0; i < count; i++, got++) {
      if (expected[got]) CHECK(is_message(messages[i], got == 5 ? WS_CLOSE : WS_TEXT, expected[got]));
      else CHECK(messages[i]->len == sizeof long_text && !memcmp(messages[i]->data, long_text, sizeof long_text));
    }
  }
  carry(both.server, both.client);
  CHECK_IS(ws_read_messages(both.server, &messages, &count), WS_ERR_CONNECTION_CLOSED);
  CHECK_IS(ws_read_messages(both.server, &messages, &count), WS_ERR_ALREADY_CLOSED);
  free_pair(&both);
}

/* A relay: what is read together is sent on together, as far as there is room. */
/* Three texts of 10, 100 and 10 bytes, the first of which is read: the others may have been looked at by then. */
static void read_one_of_three(ws_conn *conn, int32_t role) {
  static const char text[] =
      "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 .";
  const ws_message *message;
  uint8_t frames[256];
  const int32_t from = role == WS_SERVER ? WS_CLIENT : WS_SERVER;
  size_t len = put_frame(frames, from, 0x81, text, 10);
  len += put_frame(frames + len, from, 0x81, text, 100);
  len += put_frame(frames + len, from, 0x81, text, 10);
  CHECK(feed(conn, frames, len) == len);
  CHECK_IS(ws_read_message(conn, &message), WS_OK);
  CHECK(message->len == 10);
}

static void a_limit_that_is_lowered_holds_for_messages_that_lie_there(void) {
  static const struct {
    int32_t option;
    uint64_t value;
  } lowered[] = {{WS_OPT_MAX_MESSAGE_SIZE, 99}, {WS_OPT_MAX_FRAME_SIZE, 99}};
  const ws_message *message, *const *messages;
  size_t i, count;
  int32_t role;
  for (role = WS_CLIENT; role <= WS_SERVER; role++) {
    for (i = 0; i < 4; i++) {
      ws_conn *conn = new_open(NULL, role);
      read_one_of_three(conn, role);
      CHECK_IS(ws_set_option(conn, lowered[i / 2].option, lowered[i / 2].value), WS_OK);
      if (i % 2) {
        CHECK_IS(ws_read_messages(conn, &messages, &count), WS_ERR_CAPACITY);
      } else {
        CHECK_IS(ws_read_message(conn, &message), WS_ERR_CAPACITY);
      }
      CHECK(says(conn, role == WS_SERVER ? "at byte 16 of" : "at byte 12 of"));
      CHECK(ws_close_code(conn) == 1009);
      ws_free(conn);
    }
  }
}

static void messages_that_lie_there_come_in_their_order_whatever_is_done_between(void) {
  const ws_message *message, *const *messages;
  size_t count;
  int32_t role;
  int way;
  for (role = WS_CLIENT; role <= WS_SERVER; role++) {
    for (way = 0; way < 5; way++) {
      ws_conn *conn = new_open(NULL, role);
      read_one_of_three(conn, role);
      if (way == 1) CHECK_IS(ws_set_option(conn, WS_OPT_MAX_MESSAGE_SIZE, 100), WS_OK);
      if (way == 2) CHECK_IS(ws_write_message(conn, WS_TEXT, "x", 1), WS_OK);
      if (way == 3) CHECK_IS(ws_write_message(conn, WS_PING, "x", 1), WS_OK);
      if (way == 4) CHECK_IS(ws_close(conn, 1000, NULL, 0), WS_OK);
      CHECK(ws_has_input(conn));
      if (way % 2) {
        CHECK_IS(ws_read_messages(conn, &messages, &count), WS_OK);
        CHECK(count == 2 && messages[0]->len == 100 && messages[1]->len == 10);
      } else {
        CHECK_IS(ws_read_message(conn, &message), WS_OK);
        CHECK(message->len == 100);
        CHECK_IS(ws_read_message(conn, &message), WS_OK);
        CHECK(message->len == 10);
      }
      CHECK_IS(ws_read_message(conn, &message), WS_ERR_WOULD_BLOCK);
      ws_free(conn);
    }
  }
}

static void messages_read_together_are_sent_on_together(void) {
  pair from, to;
  const ws_message *const *messages;
  const ws_message *message;
  size_t count, accepted = 7, done;
  CHECK_IS(open_pair(&from, NULL, NULL), WS_OK);
  CHECK_IS(open_pair(&to, NULL, NULL), WS_OK);
  CHECK_IS(ws_write_message(from.client, WS_TEXT, "a text", 6), WS_OK);
  CHECK_IS(ws_write_message(from.client, WS_BINARY, "bytes", 5), WS_OK);
  CHECK_IS(ws_write_message(from.client, WS_TEXT, "", 0), WS_OK);
  CHECK_IS(ws_close(from.client, 1000, "bye", 3), WS_OK);
  carry(from.client, from.server);
  CHECK_IS(ws_set_option(to.server, WS_OPT_MAX_SEND_QUEUE, 2), WS_OK);
  for (done = 0; done < 3; done += count) {
    size_t sent = 0;
    CHECK_IS(ws_read_messages(from.server, &messages, &count), WS_OK);
    while (sent < count) {
      ws_status_t status = ws_write_messages(to.server, messages + sent, count - sent, &accepted);
      CHECK(status == WS_OK || status == WS_ERR_SEND_QUEUE_FULL);
      CHECK(status == WS_ERR_SEND_QUEUE_FULL || accepted == count - sent);
      sent += accepted;
      if (status == WS_ERR_SEND_QUEUE_FULL) carry(to.server, to.client);
    }
  }
  CHECK_IS(read_from(to.client, to.server, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "a text"));
  CHECK_IS(read_from(to.client, to.server, &message), WS_OK);
  CHECK(is_message(message, WS_BINARY, "bytes"));
  CHECK_IS(read_from(to.client, to.server, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, ""));
  CHECK_IS(ws_read_messages(from.server, &messages, &count), WS_OK);
  CHECK_IS(count, 1);
  CHECK_IS(messages[0]->kind, WS_CLOSE);
  CHECK_IS(ws_write_messages(to.server, messages, 1, &accepted), WS_OK); /* which closes nothing */
  CHECK_IS(accepted, 1);
  CHECK_IS(ws_get_state(to.server), WS_STATE_OPEN);
  CHECK_IS(ws_write_messages(to.server, NULL, 0, &accepted), WS_OK);
  CHECK_IS(ws_write_messages(to.server, NULL, 1, &accepted), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_write_messages(to.server, messages, 1, NULL), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_write_messages(NULL, messages, 1, &accepted), WS_ERR_INVALID_ARGUMENT);
  free_pair(&from);
  free_pair(&to);
}

/* What is wrong behind good messages is told after them. */
static void messages_read_together_end_before_what_is_wrong(void) {
  ws_conn *conn = new_open(NULL, WS_SERVER);
  const ws_message *const *messages;
  uint8_t bytes[128];
  size_t count, consumed, len = put_frame(bytes, WS_CLIENT, 0x81, "good", 4);
  len += put_frame(bytes + len, WS_CLIENT, 0x81, "fine", 4);
  len += put_frame(bytes + len, WS_CLIENT, 0x81, "b\xff", 2);
  CHECK_IS(ws_feed(conn, bytes, len, &consumed), WS_OK);
  CHECK_IS(consumed, len);
  for (size_t got = 0; got < 2; got += count) {
    CHECK_IS(ws_read_messages(conn, &messages, &count), WS_OK);
    CHECK(is_message(messages[0], WS_TEXT, got == 0 ? "good" : "fine"));
  }
  CHECK_IS(ws_read_messages(conn, &messages, &count), WS_ERR_UTF8);
  CHECK(messages == NULL && count == 0);
  CHECK(strstr(ws_error_message(conn), "byte 20") != NULL);
  CHECK_IS(ws_read_messages(NULL, &messages, &count), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_read_messages(conn, NULL, &count), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_read_messages(conn, &messages, NULL), WS_ERR_INVALID_ARGUMENT);
  ws_free(conn);
}

/* Where several messages lie there one read may look at them all; whoever reads must not notice. */
static void what_comes_between_two_reads_holds_for_the_second(void) {
  const ws_message *const *messages;
  const ws_message *message;
  const uint8_t *data;
  size_t count, len;
  for (int32_t role = WS_CLIENT; role <= WS_SERVER; role++) {
    const int32_t peer = WS_CLIENT + WS_SERVER - role;
    uint8_t frame[64];
    ws_conn *conn = new_open(NULL, role);
    feed_frame(conn, peer, 0x81, "first");
    feed_frame(conn, peer, 0x82, "second");
    feed_frame(conn, peer, 0x81, "third");
    feed_frame(conn, peer, 0x81, "fourth");
    CHECK_IS(ws_read_message(conn, &message), WS_OK);
    CHECK(is_message(message, WS_TEXT, "first"));
    /* It lies there still, and reading it the other way gives all of it. */
    CHECK(ws_has_input(conn));
    CHECK_IS(ws_read_message(conn, &message), WS_OK);
    CHECK(is_message(message, WS_BINARY, "second"));
    CHECK_IS(ws_read_messages(conn, &messages, &count), WS_OK);
    CHECK_IS(count, 2);
    CHECK(is_message(messages[0], WS_TEXT, "third"));
    CHECK(is_message(messages[1], WS_TEXT, "fourth"));
    CHECK_IS(ws_read_message(conn, &message), WS_ERR_WOULD_BLOCK);
    CHECK(!ws_has_input(conn));
    ws_free(conn);

    /* A mask over what was looked at already is put back. */
    conn = new_open(NULL, role);
    for (int i = 0; i < 3; i++) {
      len = put_frame(frame, peer, 0x81, "masked", 6);
      if (peer == WS_CLIENT) {
        memcpy(frame + 2, "\x11\x22\x33\x44", 4);
        for (size_t at = 6; at < len; at++) frame[at] ^= frame[2 + (at - 6) % 4];
      }
      CHECK_IS(feed(conn, frame, len), len);
    }
    for (int i = 0; i < 3; i++) {
      CHECK_IS(ws_read_message(conn, &message), WS_OK);
      CHECK(is_message(message, WS_TEXT, "masked"));
      CHECK_IS(ws_set_option(conn, WS_OPT_MAX_MESSAGE_SIZE, (uint64_t)(100 + i)), WS_OK);
    }
    ws_free(conn);

    /* A limit, */
    conn = new_open(NULL, role);
    feed_frame(conn, peer, 0x81, "long enough");
    feed_frame(conn, peer, 0x81, "ok");
    feed_frame(conn, peer, 0x81, "long enough");
    CHECK_IS(ws_read_message(conn, &message), WS_OK);
    CHECK_IS(ws_set_option(conn, WS_OPT_MAX_MESSAGE_SIZE, 8), WS_OK);
    CHECK_IS(ws_read_message(conn, &message), WS_OK);
    CHECK(is_message(message, WS_TEXT, "ok"));
    CHECK_IS(ws_read_message(conn, &message), WS_ERR_CAPACITY);
    CHECK(says(conn, peer == WS_CLIENT ? "byte 25 " : "byte 17 "));
    ws_free(conn);

    /* our Close, after which messages still come, */
    conn = new_open(NULL, role);
    feed_frame(conn, peer, 0x81, "one");
    feed_frame(conn, peer, 0x81, "two");
    CHECK_IS(ws_read_message(conn, &message), WS_OK);
    CHECK_IS(ws_close(conn, 1000, NULL, 0), WS_OK);
    CHECK_IS(ws_read_message(conn, &message), WS_OK);
    CHECK(is_message(message, WS_TEXT, "two"));
    CHECK_IS(ws_output(conn, &data, &len), WS_OK);
    CHECK(len > 0 && data[0] == 0x88);
    ws_free(conn);

    /* the end of our patience, after which none does, */
    conn = new_open(NULL, role);
    CHECK_IS(ws_set_option(conn, WS_OPT_IDLE_TIMEOUT_MS, 1000), WS_OK);
    CHECK_IS(ws_tick(conn, 1), WS_OK);
    feed_frame(conn, peer, 0x81, "one");
    feed_frame(conn, peer, 0x81, "two");
    CHECK_IS(ws_read_message(conn, &message), WS_OK);
    CHECK_IS(ws_tick(conn, 1), WS_OK);
    CHECK_IS(ws_tick(conn, 5000), WS_ERR_TIMEOUT);
    CHECK(ws_read_message(conn, &message) != WS_OK);
    ws_free(conn);

    /* what is broken behind them. */
    conn = new_open(NULL, role);
    feed_frame(conn, peer, 0x81, "one");
    feed_frame(conn, peer, 0x81, "two");
    feed_frame(conn, peer, 0x81, "\xff");
    CHECK_IS(ws_read_message(conn, &message), WS_OK);
    CHECK_IS(ws_read_message(conn, &message), WS_OK);
    CHECK(is_message(message, WS_TEXT, "two"));
    CHECK_IS(ws_read_message(conn, &message), WS_ERR_UTF8);
    CHECK(message == NULL);
    CHECK_IS(ws_read_message(conn, NULL), WS_ERR_INVALID_ARGUMENT);
    ws_free(conn);
  }
}

static void what_is_queued_while_a_pong_is_lent_leaves_behind_it(void) {
  ws_conn *conn = new_open(NULL, WS_SERVER);
  static uint8_t payload[5000];
  const uint8_t *data;
  size_t len, total = 0;
  CHECK_IS(ws_write_message(conn, WS_BINARY, payload, 10), WS_OK);
  CHECK_IS(ws_output(conn, &data, &len), WS_OK);
  CHECK_IS(ws_output_advance(conn, len), WS_OK);
  CHECK_IS(ws_write_message(conn, WS_PONG, "!", 1), WS_OK);
  CHECK_IS(ws_output(conn, &data, &len), WS_OK);
  CHECK_IS(len, 3);
  CHECK_IS(ws_write_message(conn, WS_BINARY, payload, sizeof payload), WS_OK);
  CHECK_IS(ws_output_advance(conn, len), WS_OK);
  while (ws_output(conn, &data, &len) == WS_OK && len > 0) {
    total += len;
    ws_output_advance(conn, len);
  }
  CHECK_IS(total, sizeof payload + 4);
  CHECK_IS(ws_queued_bytes(conn), 0);
  ws_free(conn);
}

int main(int argc, char **argv) {
  check_begin(argc, argv);
  RUN(a_handshake_tells_target_headers_and_subprotocol);
  RUN(reading_completes_the_handshake);
  RUN(a_server_stops_at_a_request_and_accepts_it);
  RUN(a_rejected_client_sees_status_headers_and_body);
  RUN(a_plain_request_waits_for_an_answer_where_the_program_asks_for_that);
  RUN(a_websocket_is_opened_beside_plain_requests);
  RUN(a_plain_request_is_refused_unless_the_program_decides_about_requests);
  RUN(each_response_may_have_headers_of_its_own);
  RUN(strings_of_a_request_stay_when_its_time_is_over);
  RUN(strings_of_a_refusal_stay_while_its_body_arrives);
  RUN(a_malformed_handshake_is_refused_in_words);
  RUN(a_head_over_its_limit_is_a_capacity_error);
  RUN(what_was_read_after_the_head_is_delivered_first);
  RUN(an_echo_of_the_received_view_arrives_unharmed);
  RUN(fragments_are_joined_and_a_ping_between_them_is_answered);
  RUN(parts_are_delivered_as_they_arrive_and_text_between_characters);
  RUN(pings_are_answered_unless_that_is_off_and_shown_where_that_is_on);
  RUN(a_flood_of_pings_leaves_few_pongs_waiting_and_they_jump_the_queue);
  RUN(a_full_send_queue_hands_the_message_back_and_nothing_changes);
  RUN(a_fragment_that_finds_no_room_can_be_sent_again);
  RUN(a_message_over_the_limit_fails_on_either_side);
  RUN(what_may_be_sent_can_be_more_than_what_may_be_received);
  RUN(options_of_a_live_connection_hold_from_the_next_call_on);
  RUN(compressed_messages_arrive_unharmed_and_what_was_agreed_on_can_be_asked);
  RUN(a_refused_message_does_not_advance_the_compressor);
  RUN(a_compressed_message_that_swells_stops_at_the_limit);
  RUN(lent_input_stays_put_whatever_is_read_or_sent_meanwhile);
  RUN(lent_input_can_be_written_to_after_the_connection_has_failed);
  RUN(lent_output_stays_put_whatever_is_queued_meanwhile);
  RUN(output_can_be_taken_in_pieces_of_any_size);
  RUN(no_more_can_be_committed_than_was_lent);
  RUN(a_received_message_stays_until_the_next_read);
  RUN(feeding_more_than_there_is_room_for_loses_nothing);
  RUN(nobody_can_make_a_connection_hoard_by_feeding_without_reading);
  RUN(one_byte_at_a_time_is_the_same);
  RUN(the_end_is_told_once);
  RUN(both_sides_may_close_at_once);
  RUN(what_comes_after_a_close_is_not_looked_at);
  RUN(an_end_of_the_stream_in_the_middle_is_told_after_what_came_before);
  RUN(an_end_of_the_stream_in_the_handshake_is_told);
  RUN(an_end_of_the_stream_that_came_with_the_handshake_is_input_to_read);
  RUN(what_has_arrived_of_a_message_is_input_once_parts_are_delivered);
  RUN(a_broken_rule_is_told_in_words_and_to_the_peer);
  RUN(misuse_and_bad_arguments_are_told_in_words);
  RUN(a_status_without_a_sentence_of_its_own_does_not_tell_an_older_failures);
  RUN(the_end_says_why_the_connection_was_given_up_and_not_what_else_went_wrong);
  RUN(the_end_of_the_headers_is_no_failure);
  RUN(a_handshake_that_takes_too_long_is_given_up);
  RUN(a_close_that_is_not_answered_is_given_up);
  RUN(a_ping_goes_out_each_interval_and_silence_ends_the_connection);
  RUN(silence_over_the_idle_timeout_ends_the_connection);
  RUN(the_clock_of_the_library_does_not_go_backwards);
  RUN(what_is_queued_while_a_pong_is_lent_leaves_behind_it);
  RUN(what_comes_between_two_reads_holds_for_the_second);
  RUN(messages_that_lie_there_are_read_together);
  RUN(messages_read_together_end_before_what_is_wrong);
  RUN(a_limit_that_is_lowered_holds_for_messages_that_lie_there);
  RUN(messages_that_lie_there_come_in_their_order_whatever_is_done_between);
  RUN(messages_read_together_are_sent_on_together);
  return check_end();
}
