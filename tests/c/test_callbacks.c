/* Connections over functions of the caller's: slow ones, lying ones, failing ones, and ones that call back. */

#include "check.h"
#include "pair.h"

#include <errno.h>
#include <sys/socket.h>

/* A pipe in memory, and how its ends behave. */
typedef struct queue {
  uint8_t bytes[1 << 21];
  size_t start, end;
} queue;

typedef struct transport {
  queue *in, *out;
  size_t most;      /* bytes moved per call */
  int stutter;      /* EAGAIN before each move, in both directions */
  unsigned receives, gives;
  int32_t fails_with; /* a code to fail with, ... */
  size_t lies_by;     /* or so many bytes more than there was room for, claimed ... */
  size_t after_calls; /* ... after so many calls */
  int is_over;        /* the end of the stream, when nothing is left */
} transport;

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static int32_t receive(void *userdata, uint8_t *buf, size_t len, size_t *out_n) {
  transport *t = userdata;
  size_t n = least(least(len, t->most), t->in->end - t->in->start);
  if (++t->receives + t->gives > t->after_calls) {
    if (t->fails_with) return t->fails_with;
    if (t->lies_by) {
      memset(buf, 0x81, len);
      *out_n = len + t->lies_by;
      return 0;
    }
  }
  if (t->stutter && t->receives % 2) return EAGAIN;
  if (n == 0 && !t->is_over) return EAGAIN;
  memcpy(buf, t->in->bytes + t->in->start, n);
  t->in->start += n;
  if (t->in->start == t->in->end) t->in->start = t->in->end = 0;
  *out_n = n;
  return 0;
}

static int32_t give(void *userdata, const uint8_t *buf, size_t len, size_t *out_n) {
  transport *t = userdata;
  size_t n = least(least(len, t->most), sizeof t->out->bytes - t->out->end);
  if (t->receives + ++t->gives > t->after_calls) {
    if (t->fails_with) return t->fails_with;
    if (t->lies_by) {
      *out_n = len + t->lies_by;
      return 0;
    }
  }
  if (t->stutter && t->gives % 2) return EAGAIN;
  if (n == 0) return EAGAIN;
  memcpy(t->out->bytes + t->out->end, buf, n);
  t->out->end += n;
  *out_n = n;
  return 0;
}

static queue to_server, to_client;

static void reset(transport *client, transport *server) {
  const transport fresh = {NULL, NULL, SIZE_MAX, 0, 0, 0, 0, 0, SIZE_MAX, 0};
  to_server.start = to_server.end = to_client.start = to_client.end = 0;
  *client = *server = fresh;
  client->in = server->out = &to_client;
  client->out = server->in = &to_server;
}

static pair join(transport *client, transport *server, const ws_config *config) {
  pair both = new_pair(config, config);
  ws_set_io(both.client, receive, give, client);
  ws_set_io(both.server, receive, give, server);
  return both;
}

/* Reads, and lets the other side work while nothing is there. */
static ws_status_t read_slowly(ws_conn *conn, ws_conn *peer, const ws_message **out) {
  ws_status_t status = WS_ERR_WOULD_BLOCK;
  for (int i = 0; i < 1000000 && status == WS_ERR_WOULD_BLOCK; i++) {
    ws_write_pending(peer);
    status = ws_read_message(conn, out);
  }
  return status;
}

static ws_status_t shake_hands(const pair *both) {
  ws_status_t client = WS_ERR_WOULD_BLOCK, server = WS_ERR_WOULD_BLOCK;
  for (int i = 0; i < 10000 && (client || server); i++) {
    client = ws_handshake(both->client);
    server = ws_handshake(both->server);
    ws_write_pending(both->server);
  }
  return client ? client : server;
}

static void a_conversation(size_t most, int stutter, int deflate) {
  static const size_t lengths[] = {0, 1, 5, 125, 126, 300, 65536};
  static uint8_t payload[65536];
  ws_config *config = config_with(WS_OPT_DEFLATE, (uint64_t)deflate);
  transport client, server;
  const ws_message *message;
  pair both;
  reset(&client, &server);
  client.most = server.most = most;
  client.stutter = server.stutter = stutter;
  both = join(&client, &server, config);
  ws_config_free(config);
  CHECK_IS(shake_hands(&both), WS_OK);
  for (size_t i = 0; i < sizeof payload; i++) payload[i] = (uint8_t)(i * 7 + i / 256);
  for (size_t i = 0; i < LENGTH(lengths); i++) {
    CHECK_IS(ws_write_message(both.client, WS_BINARY, payload, lengths[i]), WS_OK);
    CHECK_IS(ws_write_message(both.client, WS_PING, "p", 1), WS_OK);
    CHECK_IS(read_slowly(both.server, both.client, &message), WS_OK);
    CHECK(message->len == lengths[i] && memcmp(message->data, payload, lengths[i]) == 0);
    CHECK_IS(ws_write_message(both.server, message->kind, message->data, message->len), WS_OK);
    CHECK_IS(read_slowly(both.client, both.server, &message), WS_OK);
    CHECK(message->len == lengths[i] && memcmp(message->data, payload, lengths[i]) == 0);
  }
  CHECK_IS(ws_close(both.client, 1000, "bye", 3), WS_OK);
  CHECK_IS(read_slowly(both.server, both.client, &message), WS_OK);
  CHECK(is_message(message, WS_CLOSE, "bye"));
  CHECK_IS(read_slowly(both.client, both.server, &message), WS_OK);
  CHECK_IS(message->close_code, 1000);
  CHECK_IS(ws_get_state(both.server), WS_STATE_CLOSED); /* ws_write_pending() has told it */
  CHECK_IS(ws_read_message(both.server, &message), WS_ERR_ALREADY_CLOSED);
  client.is_over = 1;
  CHECK_IS(read_slowly(both.client, both.server, &message), WS_ERR_CONNECTION_CLOSED);
  free_pair(&both);
}

static void a_conversation_in_one_go(void) { a_conversation(SIZE_MAX, 0, 0); }
static void a_conversation_one_byte_at_a_time(void) { a_conversation(1, 0, 0); }
static void a_conversation_with_eagain_at_every_position(void) { a_conversation(1, 1, 0); }
static void a_compressed_conversation_with_eagain_at_every_position(void) { a_conversation(1, 1, 1); }
static void a_conversation_in_odd_pieces(void) {
  const int up_to = 2 + check_reduced(18);
  for (int most = 2; most < up_to && !check_failed_here; most++) a_conversation((size_t)most, most % 2, most % 3 == 0);
}

static void a_callback_that_claims_to_have_received_more_than_there_was_room_for_is_an_io_error(void) {
  static const size_t lies[] = {1, 1000, SIZE_MAX / 2, SIZE_MAX - (1 << 20)};
  for (size_t lie = 0; lie < LENGTH(lies); lie++) {
    for (size_t after = 0; after < 8; after++) {
      transport client, server;
      const ws_message *message;
      ws_status_t status = WS_ERR_WOULD_BLOCK;
      pair both;
      reset(&client, &server);
      server.most = client.most = 40;
      both = join(&client, &server, NULL);
      if (after >= 4) CHECK_IS(shake_hands(&both), WS_OK);
      client.receives = client.gives = 0;
      client.after_calls = after;
      client.lies_by = lies[lie];
      for (int i = 0; i < 100 && (status == WS_ERR_WOULD_BLOCK || status == WS_OK); i++) {
        status = ws_read_message(both.client, &message);
        ws_handshake(both.server);
        ws_write_message(both.server, WS_TEXT, "some words", 10);
      }
      CHECK_IS(status, WS_ERR_IO);
      CHECK(*ws_error_message(both.client) != '\0');
      CHECK_IS(ws_io_error(both.client), 0); /* the system gave no number */
      CHECK_IS(ws_read_message(both.client, &message), WS_ERR_CONNECTION_CLOSED);
      CHECK_IS(ws_read_message(both.client, &message), WS_ERR_ALREADY_CLOSED);
      free_pair(&both);
    }
  }
}

static void a_callback_that_claims_to_have_sent_more_than_it_was_given_is_an_io_error(void) {
  static const size_t lies[] = {1, SIZE_MAX / 2, SIZE_MAX - 1024};
  for (size_t lie = 0; lie < LENGTH(lies); lie++) {
    for (int role = WS_CLIENT; role <= WS_SERVER; role++) {
      transport mine, other;
      const ws_message *message;
      ws_conn *conn = new_open(NULL, role);
      reset(&mine, &other);
      mine.after_calls = 0;
      mine.lies_by = lies[lie];
      CHECK_IS(ws_set_io(conn, receive, give, &mine), WS_OK);
      CHECK_IS(ws_write_message(conn, WS_TEXT, "some words", 10), WS_ERR_IO);
      CHECK(*ws_error_message(conn) != '\0');
      CHECK_IS(ws_read_message(conn, &message), WS_ERR_CONNECTION_CLOSED);
      ws_free(conn);
    }
  }
}

static void the_code_of_a_failing_callback_is_kept(void) {
  static const int32_t codes[] = {EPIPE, ECONNRESET, EIO, 12345};
  for (size_t i = 0; i < LENGTH(codes); i++) {
    for (int sends = 0; sends < 2; sends++) {
      transport mine, other;
      const ws_message *message;
      ws_conn *conn = new_open(NULL, WS_SERVER);
      reset(&mine, &other);
      mine.after_calls = 0;
      mine.fails_with = codes[i];
      CHECK_IS(ws_io_error(conn), 0);
      CHECK_IS(ws_set_io(conn, receive, give, &mine), WS_OK);
      CHECK_IS(sends ? ws_write_message(conn, WS_TEXT, "x", 1) : ws_read_message(conn, &message), WS_ERR_IO);
      CHECK_IS(ws_io_error(conn), codes[i]);
      CHECK(*ws_error_message(conn) != '\0');
      CHECK_IS(ws_close_code(conn), 1006);
      CHECK_IS(ws_read_message(conn, &message), WS_ERR_CONNECTION_CLOSED);
      CHECK_IS(ws_write_message(conn, WS_TEXT, "x", 1), WS_ERR_ALREADY_CLOSED);
      CHECK_IS(ws_io_error(conn), codes[i]);
      ws_free(conn);
    }
  }
}

static void what_was_received_before_a_send_failed_is_still_read(void) {
  transport mine, other;
  const ws_message *message;
  ws_conn *conn = new_open(NULL, WS_SERVER);
  reset(&mine, &other);
  to_server.end = put_frame(to_server.bytes, WS_CLIENT, 0x81, "early", 5);
  to_server.end += put_frame(to_server.bytes + to_server.end, WS_CLIENT, 0x82, "late", 4);
  mine.in = &to_server;
  CHECK_IS(ws_set_io(conn, receive, give, &mine), WS_OK);
  CHECK_IS(ws_read_message(conn, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "early"));
  mine.out = &to_client;
  to_client.end = sizeof to_client.bytes; /* takes nothing */
  CHECK_IS(ws_write_message(conn, WS_TEXT, "waits", 5), WS_OK);
  CHECK_IS(ws_queued_bytes(conn), 7);
  CHECK_IS(ws_write_pending(conn), WS_ERR_WOULD_BLOCK);
  CHECK_IS(ws_read_message(conn, &message), WS_OK);
  CHECK(is_message(message, WS_BINARY, "late"));
  CHECK_IS(ws_read_message(conn, &message), WS_ERR_WOULD_BLOCK);
  ws_free(conn);
}

/* Callbacks that call back */

static struct {
  ws_conn *conn;
  int socket;
  int calls, wrong;
} reentrant;

#define REFUSED(call) (reentrant.wrong += (call) != WS_ERR_MISUSE)

static void call_back(void) {
  ws_conn *conn = reentrant.conn;
  const ws_message *message = (const ws_message *)&message;
  uint8_t byte = 0, *room = &byte;
  const uint8_t *data = &byte;
  const char *name = "x", *value = "x";
  size_t len = 7;
  uint64_t number = 7;
  reentrant.calls++;
  REFUSED(ws_set_io(conn, receive, give, NULL));
#ifndef WITHOUT_NET /* it is WS_ERR_UNSUPPORTED then */
  REFUSED(ws_set_socket(conn, reentrant.socket));
#endif
  REFUSED(ws_handshake(conn));
  REFUSED(ws_header_at(conn, 0, &name, &value));
  REFUSED(ws_http_body(conn, &data, &len));
  REFUSED(ws_accept(conn, NULL));
  REFUSED(ws_reject(conn, 403, NULL, 0));
  REFUSED(ws_read_message(conn, &message));
  REFUSED(ws_write_message(conn, WS_TEXT, "x", 1));
  REFUSED(ws_write_message(conn, WS_PONG, "x", 1));
  REFUSED(ws_queue_message(conn, WS_TEXT, "x", 1));
  REFUSED(ws_write_fragment(conn, WS_TEXT, "x", 1, 0));
  REFUSED(ws_write_pending(conn));
  REFUSED(ws_close(conn, 1000, NULL, 0));
  REFUSED(ws_get_state(conn));
  REFUSED(ws_set_option(conn, WS_OPT_AUTO_PONG, 0));
  REFUSED(ws_get_option(conn, WS_OPT_AUTO_PONG, &number));
  REFUSED(ws_input(conn, &room, &len));
  REFUSED(ws_input_commit(conn, 0));
  REFUSED(ws_feed(conn, &byte, 1, &len));
  REFUSED(ws_feed_eof(conn));
  data = &byte;
  REFUSED(ws_output(conn, &data, &len));
  REFUSED(ws_output_advance(conn, 0));
  REFUSED(ws_tick(conn, 1));
  REFUSED(ws_wait(conn, 0));
  reentrant.wrong += message != NULL || room != NULL || data != NULL || name != NULL || value != NULL;
  reentrant.wrong += len != 7 || number != 7;
  reentrant.wrong += strstr(ws_error_message(conn), "callback") == NULL;
  /* These have no status to give; they answer as for NULL, and come back. */
  reentrant.wrong += ws_can_read(conn) != 0 || ws_can_write(conn) != 0 || ws_interest(conn) != 0;
  reentrant.wrong += ws_queued_bytes(conn) != 0 || ws_close_code(conn) != 0 || ws_get_socket(conn) != -1;
  reentrant.wrong += ws_http_status(conn) != 0 || ws_request_target(conn) != NULL || ws_header(conn, "Host") != NULL;
  ws_protocol(conn), ws_io_error(conn), ws_next_deadline(conn);
  ws_free(conn);
}

static int32_t receive_and_call_back(void *userdata, uint8_t *buf, size_t len, size_t *out_n) {
  call_back();
  return receive(userdata, buf, len, out_n);
}

static int32_t give_and_call_back(void *userdata, const uint8_t *buf, size_t len, size_t *out_n) {
  call_back();
  return give(userdata, buf, len, out_n);
}

static void a_callback_that_calls_back_is_told_so_and_changes_nothing(void) {
  transport client, server;
  const ws_message *message;
  pair both = new_pair(NULL, NULL);
  uint64_t value = 0;
  reset(&client, &server);
  CHECK_IS(ws_set_io(both.client, receive_and_call_back, give_and_call_back, &client), WS_OK);
  CHECK_IS(ws_set_io(both.server, receive, give, &server), WS_OK);
  reentrant.conn = both.client;
#ifndef WITHOUT_NET
  reentrant.socket = socket(AF_UNIX, SOCK_STREAM, 0);
#endif
  reentrant.calls = reentrant.wrong = 0;
  CHECK_IS(shake_hands(&both), WS_OK);
  CHECK_IS(ws_write_message(both.client, WS_TEXT, "hello", 5), WS_OK);
  CHECK_IS(ws_write_message(both.server, WS_TEXT, "world", 5), WS_OK);
  CHECK_IS(read_slowly(both.client, both.server, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "world"));
  CHECK_IS(read_slowly(both.server, both.client, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "hello"));
  CHECK_IS(ws_close(both.client, 1000, NULL, 0), WS_OK);
  CHECK_IS(ws_read_message(both.client, &message), WS_ERR_WOULD_BLOCK);
  CHECK(reentrant.calls > 6);
  CHECK_IS(reentrant.wrong, 0);
  CHECK_IS(ws_get_option(both.client, WS_OPT_AUTO_PONG, &value), WS_OK);
  CHECK_IS(value, 1);
#ifndef WITHOUT_NET
  close(reentrant.socket);
#endif
  free_pair(&both);
}

/* Another connection may be used from a callback: the handles share nothing. */
static int32_t give_to_another(void *userdata, const uint8_t *buf, size_t len, size_t *out_n) {
  reentrant.wrong += ws_write_message(reentrant.conn, WS_BINARY, buf, len) != WS_OK;
  return give(userdata, buf, len, out_n);
}

static void a_callback_may_use_another_connection(void) {
  transport mine, other;
  ws_conn *conn = new_open(NULL, WS_SERVER);
  reset(&mine, &other);
  reentrant.conn = new_open(NULL, WS_SERVER);
  reentrant.wrong = 0;
  CHECK_IS(ws_set_io(conn, receive, give_to_another, &mine), WS_OK);
  CHECK_IS(ws_write_message(conn, WS_TEXT, "hi", 2), WS_OK);
  CHECK_IS(reentrant.wrong, 0);
  CHECK(ws_queued_bytes(reentrant.conn) > 0);
  ws_free(reentrant.conn);
  ws_free(conn);
}

static int interruptions;

static int32_t receive_interrupted(void *userdata, uint8_t *buf, size_t len, size_t *out_n) {
  return interruptions-- > 0 ? EINTR : receive(userdata, buf, len, out_n);
}

static int32_t give_interrupted(void *userdata, const uint8_t *buf, size_t len, size_t *out_n) {
  return interruptions-- > 0 ? EINTR : give(userdata, buf, len, out_n);
}

static void an_interrupted_callback_is_called_again(void) {
  transport mine, other;
  const ws_message *message;
  ws_conn *conn = new_open(NULL, WS_SERVER);
  reset(&mine, &other);
  mine.in = &to_server;
  to_server.end = put_frame(to_server.bytes, WS_CLIENT, 0x81, "hi", 2);
  mine.out = &to_client;
  CHECK_IS(ws_set_io(conn, receive_interrupted, give_interrupted, &mine), WS_OK);
  interruptions = 5;
  CHECK_IS(ws_read_message(conn, &message), WS_OK);
  interruptions = 5;
  CHECK_IS(ws_write_message(conn, WS_TEXT, "ho", 2), WS_OK);
  CHECK_IS(to_client.end, 4);
  CHECK_IS(ws_write_pending(conn), WS_OK);
  ws_free(conn);
}

static void a_callback_that_sends_nothing_is_taken_for_not_now(void) {
  transport mine, other;
  ws_conn *conn = new_open(NULL, WS_SERVER);
  reset(&mine, &other);
  mine.most = 0; /* give() answers EAGAIN; a 0 without it must not spin either */
  CHECK_IS(ws_set_io(conn, receive, give, &mine), WS_OK);
  CHECK_IS(ws_write_message(conn, WS_TEXT, "ho", 2), WS_OK);
  CHECK_IS(ws_write_pending(conn), WS_ERR_WOULD_BLOCK);
  mine.most = 100;
  CHECK_IS(ws_write_pending(conn), WS_OK);
  ws_free(conn);
}

/* What is no request, and then bytes without end, which can be taken a million times before the test gives up. */
static int32_t receive_a_flood(void *userdata, uint8_t *buf, size_t len, size_t *out_n) {
  static const char bad[] = "NONSENSE\r\n\r\n";
  int *calls = userdata;
  *out_n = 0;
  if (++*calls > 1000000) return EAGAIN;
  *out_n = *calls == 1 ? least(len, sizeof bad - 1) : len;
  memset(buf, 'x', *out_n);
  if (*calls == 1) memcpy(buf, bad, *out_n);
  return 0;
}

static int32_t give_nothing(void *userdata, const uint8_t *buf, size_t len, size_t *out_n) {
  (void)userdata, (void)buf, (void)len;
  *out_n = 0;
  return EAGAIN;
}

static void a_peer_that_floods_and_takes_no_refusal_does_not_hold_a_handshake(void) {
  ws_conn *conn;
  int calls = 0, i;
  CHECK_IS(ws_server_new(NULL, &conn), WS_OK);
  CHECK_IS(ws_set_io(conn, receive_a_flood, give_nothing, &calls), WS_OK);
  CHECK_IS(ws_handshake(conn), WS_ERR_HANDSHAKE);
  for (i = 0; i < 10; i++) {
    calls = 1;
    CHECK_IS(ws_handshake(conn), WS_ERR_WOULD_BLOCK);
    CHECK(calls < 1000);
  }
  ws_free(conn);
}

/* Time runs by ws_tick() here, as in memory. */
static void callbacks_have_no_clock_but_ws_tick(void) {
  transport mine, other;
  const ws_message *message;
  ws_conn *conn;
  reset(&mine, &other);
  CHECK_IS(ws_client_new(NULL, "ws://example.com/", &conn), WS_OK);
  CHECK_IS(ws_set_option(conn, WS_OPT_BLOCKING, 1), WS_OK); /* without meaning here */
  CHECK_IS(ws_set_io(conn, receive, give, &mine), WS_OK);
  CHECK_IS(ws_handshake(conn), WS_ERR_WOULD_BLOCK);
  CHECK_IS(ws_get_socket(conn), -1);
  CHECK_IS(ws_tick(conn, 100), WS_OK);
  CHECK_IS(ws_next_deadline(conn), 10100);
  CHECK_IS(ws_tick(conn, 10100), WS_ERR_TIMEOUT);
  CHECK_IS(ws_read_message(conn, &message), WS_ERR_CONNECTION_CLOSED);
  ws_free(conn);
}

/* A received message stays until the next read: what is sent, or fails to be sent, must not touch it. */
static void a_received_message_stays_whatever_becomes_of_the_transport(void) {
  for (int way = 0; way < 6; way++) {
    transport mine, other;
    const ws_message *message;
    const int is_close = way >= 4;
    ws_conn *conn = new_open(NULL, WS_SERVER);
    reset(&mine, &other);
    mine.in = &to_server;
    mine.out = &to_client;
    to_server.end = put_frame(to_server.bytes, WS_CLIENT, is_close ? 0x88 : 0x81, "\x03\xe8" "a reason", 10);
    if (!is_close) to_server.end = put_frame(to_server.bytes, WS_CLIENT, 0x81, "a reason", 8);
    CHECK_IS(ws_set_io(conn, receive, give, &mine), WS_OK);
    CHECK_IS(ws_read_message(conn, &message), WS_OK);
    CHECK(is_message(message, is_close ? WS_CLOSE : WS_TEXT, "a reason"));
    to_server.start = 0;
    to_server.end = 20000;
    memset(to_server.bytes, 0x55, to_server.end); /* more has arrived */
    mine.receives = mine.gives = 0;
    mine.after_calls = way % 2 ? 0 : SIZE_MAX;
    mine.fails_with = way % 2 ? EPIPE : 0;
    if (way < 2) ws_write_message(conn, WS_TEXT, "x", 1);
    if (way == 2 || way == 3) ws_close(conn, 1000, NULL, 0);
    for (int i = 0; i < 3; i++) ws_write_pending(conn), ws_handshake(conn);
    ws_tick(conn, 1);
    CHECK(is_message(message, is_close ? WS_CLOSE : WS_TEXT, "a reason"));
    ws_free(conn);
  }
}

static void a_read_sends_what_waits_also_where_its_message_lies_there_already(void) {
  transport client, server;
  const ws_message *message;
  pair both;
  reset(&client, &server);
  both = join(&client, &server, NULL);
  CHECK_IS(shake_hands(&both), WS_OK);
  for (int i = 0; i < 4; i++) CHECK_IS(ws_write_message(both.client, WS_TEXT, "question", 8), WS_OK);
  CHECK_IS(ws_read_message(both.server, &message), WS_OK);
  server.most = 0; /* takes nothing, and sends nothing either */
  CHECK_IS(ws_write_message(both.server, WS_TEXT, "answer", 6), WS_OK);
  CHECK_IS(ws_read_message(both.server, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "question"));
  CHECK_IS(ws_read_message(both.client, &message), WS_ERR_WOULD_BLOCK);
  server.most = SIZE_MAX;
  CHECK_IS(ws_read_message(both.server, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "question"));
  CHECK_IS(ws_read_message(both.client, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "answer"));
  /* What is queued to leave with what follows it waits, as long as there is something to read. */
  CHECK_IS(ws_queue_message(both.server, WS_TEXT, "later", 5), WS_OK);
  CHECK_IS(ws_read_message(both.server, &message), WS_OK);
  CHECK_IS(ws_read_message(both.client, &message), WS_ERR_WOULD_BLOCK);
  CHECK_IS(ws_read_message(both.server, &message), WS_ERR_WOULD_BLOCK);
  CHECK_IS(ws_read_message(both.client, &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "later"));
  free_pair(&both);
}

static ws_status_t status_within;
static ws_conn *calls_back;

static int32_t give_and_read(void *userdata, const uint8_t *buf, size_t len, size_t *out_n) {
  const ws_message *message;
  status_within = ws_read_message(calls_back, &message);
  return give(userdata, buf, len, out_n);
}

static void a_callback_that_reads_what_lies_there_already_is_told_so_too(void) {
  transport client, server;
  const ws_message *message;
  pair both;
  reset(&client, &server);
  both = join(&client, &server, NULL);
  CHECK_IS(shake_hands(&both), WS_OK);
  for (int i = 0; i < 3; i++) CHECK_IS(ws_write_message(both.client, WS_TEXT, "one of three", 12), WS_OK);
  calls_back = new_open(NULL, WS_SERVER);
  CHECK_IS(ws_set_io(calls_back, receive, give_and_read, &server), WS_OK);
  CHECK_IS(ws_read_message(calls_back, &message), WS_OK);
  CHECK_IS(ws_write_message(calls_back, WS_TEXT, "answer", 6), WS_OK);
  CHECK_IS(status_within, WS_ERR_MISUSE);
  for (int i = 0; i < 2; i++) {
    CHECK_IS(ws_read_message(calls_back, &message), WS_OK);
    CHECK(is_message(message, WS_TEXT, "one of three"));
  }
  ws_free(calls_back);
  free_pair(&both);
}

/* Messages as the library lends them, of these lengths. */
static ws_status_t write_lengths(ws_conn *conn, const size_t *lengths, size_t count, size_t *accepted) {
  static uint8_t payload[1 << 16];
  ws_message messages[4];
  const ws_message *pointers[4];
  for (size_t i = 0; i < count; i++) {
    const ws_message message = {payload, lengths[i], WS_BINARY, 0, 1};
    messages[i] = message;
    pointers[i] = &messages[i];
  }
  return ws_write_messages(conn, pointers, count, accepted);
}

static void of_messages_sent_together_each_is_sent_or_refused_by_itself(void) {
  static const size_t one_too_long[] = {10, 200}, long_ones[] = {8192, 8192, 8192}, short_and_long[] = {10, 8192};
  transport client, server;
  const ws_message *message;
  size_t accepted;
  pair both;
  reset(&client, &server);
  both = join(&client, &server, NULL);
  CHECK_IS(shake_hands(&both), WS_OK);
  /* What comes before the one that is refused has left. */
  CHECK_IS(ws_set_option(both.server, WS_OPT_MAX_MESSAGE_SIZE, 100), WS_OK);
  CHECK_IS(write_lengths(both.server, one_too_long, 2, &accepted), WS_ERR_CAPACITY);
  CHECK_IS(accepted, 1);
  CHECK_IS(ws_queued_bytes(both.server), 0);
  CHECK_IS(ws_read_message(both.client, &message), WS_OK);
  CHECK_IS(message->len, 10);
  /* Where all of it is taken, no bound is in the way. */
  CHECK_IS(ws_set_option(both.server, WS_OPT_MAX_MESSAGE_SIZE, 1 << 20), WS_OK);
  CHECK_IS(ws_set_option(both.server, WS_OPT_MAX_SEND_QUEUE, 1), WS_OK);
  CHECK_IS(write_lengths(both.server, long_ones, 3, &accepted), WS_OK);
  CHECK_IS(accepted, 3);
  server.most = 5000;
  CHECK_IS(write_lengths(both.server, long_ones, 3, &accepted), WS_OK);
  CHECK_IS(accepted, 3);
  for (int i = 0; i < 6; i++) {
    CHECK_IS(read_slowly(both.client, both.server, &message), WS_OK);
    CHECK_IS(message->len, 8192);
  }
  /* A transport that fails is told as that. */
  server.after_calls = 0;
  server.fails_with = EPIPE;
  CHECK_IS(write_lengths(both.server, short_and_long, 2, &accepted), WS_ERR_IO);
  CHECK_IS(ws_io_error(both.server), EPIPE);
  free_pair(&both);
}

int main(int argc, char **argv) {
  check_begin(argc, argv);
  RUN(a_conversation_in_one_go);
  RUN(a_conversation_one_byte_at_a_time);
  RUN(a_conversation_with_eagain_at_every_position);
  RUN(a_compressed_conversation_with_eagain_at_every_position);
  RUN(a_conversation_in_odd_pieces);
  RUN(a_callback_that_claims_to_have_received_more_than_there_was_room_for_is_an_io_error);
  RUN(a_callback_that_claims_to_have_sent_more_than_it_was_given_is_an_io_error);
  RUN(the_code_of_a_failing_callback_is_kept);
  RUN(what_was_received_before_a_send_failed_is_still_read);
  RUN(an_interrupted_callback_is_called_again);
  RUN(a_callback_that_sends_nothing_is_taken_for_not_now);
  RUN(a_peer_that_floods_and_takes_no_refusal_does_not_hold_a_handshake);
  RUN(callbacks_have_no_clock_but_ws_tick);
  RUN(a_received_message_stays_whatever_becomes_of_the_transport);
  RUN(a_callback_that_calls_back_is_told_so_and_changes_nothing);
  RUN(a_callback_may_use_another_connection);
  RUN(a_callback_that_reads_what_lies_there_already_is_told_so_too);
  RUN(of_messages_sent_together_each_is_sent_or_refused_by_itself);
  RUN(a_read_sends_what_waits_also_where_its_message_lies_there_already);
  return check_end();
}
