/* ws_service(): one call a frame. */

#include "check.h"
#include "pair.h"
#include "peer.h"

#include <errno.h>
#include <pthread.h>

/* What one call found. */
typedef struct frame {
  ws_status_t status;
  const ws_message *const *messages;
  size_t count;
  int32_t more;
} frame;

static frame service(ws_conn *conn, size_t max_messages, size_t max_bytes) {
  frame it;
  it.status = ws_service(conn, max_messages, max_bytes, &it.messages, &it.count, &it.more);
  return it;
}

/* A random number that the test alone decides. */
static uint64_t seed;

static uint64_t below(uint64_t limit) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (seed >> 33) % limit;
}

/* Messages one after the other, and the first failure: what two ways to read are to have in common. */
typedef struct record {
  uint64_t hash; /* FNV-1a of all that was in them */
  size_t messages;
  ws_status_t end;
} record;

static void note(record *into, const void *bytes, size_t len) {
  size_t i;
  for (i = 0; i < len; i++) into->hash = (into->hash ^ ((const uint8_t *)bytes)[i]) * 1099511628211u;
}

/* Where parts end depends on what has arrived by then; all else does not. */
static void note_message(record *into, const ws_message *message) {
  const uint64_t head[] = {(uint64_t)message->kind, (uint64_t)message->close_code};
  note(into, message->data, message->len);
  if (!message->is_final) return;
  note(into, head, sizeof head);
  into->messages++;
}

static void note_status(record *into, ws_status_t status) {
  if (status != WS_OK && status != WS_ERR_WOULD_BLOCK && into->end == WS_OK) into->end = status;
}

static void read_what_is_there(ws_conn *conn, record *into) {
  const ws_message *message;
  ws_status_t status;
  while ((status = ws_read_message(conn, &message)) == WS_OK) note_message(into, message);
  note_status(into, status);
}

static void serve_what_is_there(ws_conn *conn, record *into) {
  frame it;
  do {
    const size_t most = below(3) ? below(6) : 0, bytes = below(3) ? below(500) : 0;
    size_t i, total = 0;
    it = service(conn, most, bytes);
    CHECK(most == 0 || it.count <= most);
    for (i = 0; i < it.count; i++) {
      CHECK(bytes == 0 || total < bytes);
      total += it.messages[i]->len;
      note_message(into, it.messages[i]);
    }
    CHECK(it.status == WS_OK || it.more == 0);
    CHECK(it.status != WS_ERR_WOULD_BLOCK);
    /* Now and then the next message is read in the other way. */
    if (it.status == WS_OK && below(4) == 0) {
      const ws_message *message;
      const ws_status_t status = ws_read_message(conn, &message);
      if (status == WS_OK) note_message(into, message);
      else note_status(into, status);
    }
    note_status(into, it.status);
  } while (it.status == WS_OK && it.more);
}

/* Frames of all kinds, as a client sends them, compressed by `writer` if it is one. */
static size_t random_stream(uint8_t *out, size_t room, ws_conn *writer, int ends_badly) {
  static uint8_t payload[3000];
  size_t at = 0, i, n;
  for (i = 0; i < sizeof payload; i++) payload[i] = (uint8_t)('a' + below(below(4) + 1));
  while (at + 8000 < room) {
    const uint8_t *data;
    const size_t len = below(4) ? below(200) : below(sizeof payload);
    switch (writer ? 0 : below(8)) {
    case 0:
      if (writer) {
        NEED(ws_write_message(writer, WS_TEXT, payload, len) == WS_OK);
        if (below(6) == 0) NEED(ws_write_message(writer, WS_PING, "ping", 4) == WS_OK);
        while (ws_output(writer, &data, &n) == WS_OK && n > 0) {
          memcpy(out + at, data, n);
          at += n;
          ws_output_advance(writer, n);
        }
        break;
      }
      at += put_frame(out + at, WS_CLIENT, 0x01, payload, len);
      for (n = below(4); n > 0; n--) {
        if (below(3) == 0) at += put_frame(out + at, WS_CLIENT, 0x89, "within", 6);
        at += put_frame(out + at, WS_CLIENT, 0x00, payload, below(100));
      }
      at += put_frame(out + at, WS_CLIENT, 0x80, payload, below(300));
      break;
    case 1: at += put_frame(out + at, WS_CLIENT, 0x89, "ping", 4); break;
    case 2: at += put_frame(out + at, WS_CLIENT, 0x8A, "pong", 4); break;
    case 3: at += put_frame(out + at, WS_CLIENT, 0x82, payload, len); break;
    default: at += put_frame(out + at, WS_CLIENT, 0x81, payload, len);
    }
  }
  if (ends_badly) at += put_frame(out + at, WS_CLIENT, 0x83, "no such opcode", 14);
  else at += put_frame(out + at, WS_CLIENT, 0x88, "\x03\xe8" "bye", 5);
  return at;
}

/* Whatever the cuts, the limits and the options: the same messages in the same order, and the same end. */
static void the_same_as_reading(int deflate, int32_t option, int ends_badly) {
  record read = {0, 0, WS_OK}, served = {0, 0, WS_OK};
  static uint8_t stream[200000];
  ws_config *config = config_with(WS_OPT_DEFLATE, (uint64_t)deflate);
  pair reading, serving;
  size_t len, at = 0;
  if (option) NEED(ws_config_set(config, option, 1) == WS_OK);
  NEED(open_pair(&reading, config, config) == WS_OK);
  NEED(open_pair(&serving, config, config) == WS_OK);
  len = random_stream(stream, sizeof stream, deflate ? reading.client : NULL, ends_badly);
  while (at < len) {
    const size_t piece = below(3) ? below(3000) + 1 : below(20) + 1, n = piece < len - at ? piece : len - at;
    size_t fed = 0, more = 0;
    NEED(ws_feed(reading.server, stream + at, n, &fed) == WS_OK);
    while (fed < n) {
      read_what_is_there(reading.server, &read);
      NEED(ws_feed(reading.server, stream + at + fed, n - fed, &more) == WS_OK);
      fed += more;
    }
    for (fed = 0; fed < n; fed += more) {
      NEED(ws_feed(serving.server, stream + at + fed, n - fed, &more) == WS_OK);
      if (fed + more < n) TRY(serve_what_is_there(serving.server, &served));
    }
    read_what_is_there(reading.server, &read);
    TRY(serve_what_is_there(serving.server, &served));
    at += n;
  }
  CHECK(read.messages > 50);
  CHECK_IS(served.messages, read.messages);
  CHECK(served.hash == read.hash);
  CHECK_IS(served.end, read.end);
  CHECK(!ends_badly || deflate || read.end == WS_ERR_PROTOCOL);
  free_pair(&reading);
  free_pair(&serving);
  ws_config_free(config);
}

static void it_hands_out_what_reading_would_in_the_same_order_and_all_of_it_stays(void) {
  static const int32_t options[] = {0, WS_OPT_DELIVER_CONTROL, WS_OPT_DELIVER_FRAGMENTS};
  size_t round, i;
  for (round = 0; round < (size_t)check_reduced(40); round++)
    for (i = 0; i < LENGTH(options); i++) {
      seed = round * 31 + i;
      TRY(the_same_as_reading(0, options[i], round % 2));
      TRY(the_same_as_reading(1, options[i], round % 2));
    }
}

static void nothing_is_no_error_and_does_not_block(void) {
  ends both = open_ends("ws");
  const uint64_t begun = ws_now();
  frame it;
  set(both.client, WS_OPT_BLOCKING, 1);
  it = service(both.client, 0, 0);
  CHECK_IS(it.status, WS_OK);
  CHECK_IS(it.count, 0);
  CHECK_IS(it.more, 0);
  CHECK(ws_now() - begun < 1000);
  free_ends(&both);
}

static void the_limits_are_kept_and_more_says_that_there_is_more(void) {
  ws_conn *conn = new_open(NULL, WS_SERVER);
  uint8_t bytes[300], payload[100] = {0};
  size_t i, consumed;
  frame it;
  for (i = 0; i < 10; i++) {
    payload[0] = (uint8_t)i;
    CHECK_IS(ws_feed(conn, bytes, put_frame(bytes, WS_CLIENT, 0x82, payload, sizeof payload), &consumed), WS_OK);
  }
  it = service(conn, 3, 0);
  CHECK(it.status == WS_OK && it.count == 3 && it.more == 1 && it.messages[2]->data[0] == 2);
  it = service(conn, 0, 150);
  CHECK(it.count == 2 && it.more == 1 && it.messages[0]->data[0] == 3);
  it = service(conn, 0, 1); /* a message that is longer than the limit comes alone */
  CHECK(it.count == 1 && it.more == 1 && it.messages[0]->len == 100 && it.messages[0]->data[0] == 5);
  it = service(conn, 0, 0);
  CHECK(it.count == 4 && it.messages[3]->data[0] == 9);
  it = service(conn, 0, 0);
  CHECK(it.status == WS_OK && it.count == 0 && it.more == 0);
  ws_free(conn);
}

static void messages_before_a_fault_are_handed_out_with_it(void) {
  ws_conn *conn = new_open(NULL, WS_SERVER);
  uint8_t bytes[100];
  size_t len = put_frame(bytes, WS_CLIENT, 0x81, "one", 3), consumed;
  frame it;
  len += put_frame(bytes + len, WS_CLIENT, 0x81, "two", 3);
  len += put_frame(bytes + len, WS_CLIENT, 0x83, "", 0);
  CHECK_IS(ws_feed(conn, bytes, len, &consumed), WS_OK);
  it = service(conn, 0, 0);
  CHECK_IS(it.status, WS_ERR_PROTOCOL);
  CHECK(it.count == 2 && is_message(it.messages[0], WS_TEXT, "one") && is_message(it.messages[1], WS_TEXT, "two"));
  CHECK_IS(it.more, 0);
  ws_free(conn);
}

static void a_ping_is_answered_within_the_same_call(void) {
  guest one = open_guest(WS_SERVER);
  uint8_t answer[64];
  send_frame(one.fd, WS_SERVER, 0x89, "are you there", 13);
  CHECK_IS(is_readable((int)ws_get_socket(one.conn), 1000), 1);
  CHECK_IS(service(one.conn, 0, 0).status, WS_OK);
  CHECK_IS(is_readable(one.fd, 1000), 1);
  CHECK(recv(one.fd, answer, sizeof answer, 0) == 15 && answer[0] == 0x8A && memcmp(answer + 2, "are you there", 13) == 0);
  free_guest(&one);
}

/* Both ends, and nothing but this call. */
static void a_conversation(const char *scheme) {
  ws_config *config = config_of(scheme);
  ws_listener *listener = listen_to(scheme, config);
  ws_conn *client = connect_to(scheme, listener, config), *server = NULL;
  const uint64_t begun = ws_now();
  size_t received = 0, sent = 0, i;
  int client_closed = 0, server_closed = 0;
  frame it;
  set(client, WS_OPT_BLOCKING, 0);
  while (ws_listener_accept(listener, &server) == WS_ERR_WOULD_BLOCK) {
    CHECK(ws_now() - begun < 5000);
    CHECK_IS(service(client, 0, 0).status, WS_OK);
  }
  while (!(client_closed && server_closed)) {
    CHECK(ws_now() - begun < 10000);
    if (!server_closed) {
      it = service(server, 0, 0);
      for (i = 0; i < it.count; i++)
        if (it.messages[i]->kind == WS_TEXT) CHECK_IS(ws_write_message(server, WS_TEXT, it.messages[i]->data, it.messages[i]->len), WS_OK);
      server_closed = it.status == WS_ERR_CONNECTION_CLOSED;
      CHECK(it.status == WS_OK || server_closed);
    }
    if (!client_closed) {
      it = service(client, 7, 0);
      for (i = 0; i < it.count; i++)
        if (it.messages[i]->kind == WS_TEXT) CHECK(is_message(it.messages[i], WS_TEXT, "a message") && ++received);
      client_closed = it.status == WS_ERR_CONNECTION_CLOSED;
      CHECK(it.status == WS_OK || client_closed);
      if (!client_closed && ws_get_state(client) == WS_STATE_OPEN) {
        if (sent < 1000) {
          if (ws_write_message(client, WS_TEXT, "a message", 9) == WS_OK) sent++;
        } else if (received == sent) {
          CHECK_IS(ws_close(client, 1000, NULL, 0), WS_OK);
        }
      }
    }
  }
  CHECK_IS(received, 1000);
  CHECK_IS(service(client, 0, 0).status, WS_ERR_ALREADY_CLOSED);
  ws_free(client);
  ws_free(server);
  ws_listener_free(listener);
  ws_config_free(config);
}

static void it_is_all_that_a_conversation_needs(void) { TRY(a_conversation("ws")); }
static void it_is_all_that_a_conversation_over_tls_needs(void) { TRY(a_conversation("wss")); }

/* Bytes for a connection, and how often it asked for them. */
typedef struct source {
  uint8_t bytes[1 << 18];
  size_t len, at, calls;
} source;

static int32_t from_source(void *userdata, uint8_t *buf, size_t len, size_t *out_n) {
  source *it = userdata;
  it->calls++;
  if (it->at == it->len) return EAGAIN;
  *out_n = len < it->len - it->at ? len : it->len - it->at;
  memcpy(buf, it->bytes + it->at, *out_n);
  it->at += *out_n;
  return 0;
}

static int32_t to_nobody(void *userdata, const uint8_t *buf, size_t len, size_t *out_n) {
  (void)userdata;
  (void)buf;
  *out_n = len;
  return 0;
}

static void it_receives_at_most_once_however_much_there_is(void) {
  static source it;
  static uint8_t payload[100000];
  ws_conn *conn = new_open(NULL, WS_SERVER);
  size_t messages = 0, calls = 0;
  frame found;
  it.len = put_frame(it.bytes, WS_CLIENT, 0x82, payload, sizeof payload); /* takes several calls */
  while (it.len < 200000) it.len += put_frame(it.bytes + it.len, WS_CLIENT, 0x82, payload, 100);
  CHECK_IS(ws_set_io(conn, from_source, to_nobody, &it), WS_OK);
  do {
    const size_t before = it.calls;
    found = service(conn, 0, 0);
    CHECK_IS(found.status, WS_OK);
    CHECK(it.calls - before <= 1);
    messages += found.count;
    CHECK(++calls < 10000);
  } while (found.more);
  CHECK_IS(it.at, it.len);
  CHECK(messages > 900);
  ws_free(conn);
}

static void a_peer_that_is_gone_is_told_after_what_it_has_said(void) {
  guest one = open_guest(WS_SERVER);
  const uint64_t begun = ws_now();
  size_t received = 0;
  frame it;
  send_frame(one.fd, WS_SERVER, 0x81, "last words", 10);
  close(one.fd);
  one.fd = -1;
  do {
    CHECK(ws_now() - begun < 5000);
    ws_write_message(one.conn, WS_TEXT, "are you there", 13); /* is answered with a reset */
    it = service(one.conn, 0, 0);
    received += it.count;
  } while (it.status == WS_OK);
  CHECK_IS(received, 1);
  while (it.status != WS_ERR_CONNECTION_CLOSED) {
    CHECK(ws_now() - begun < 5000);
    it = service(one.conn, 0, 0);
    CHECK(it.status != WS_ERR_ALREADY_CLOSED);
  }
  CHECK_IS(service(one.conn, 0, 0).status, WS_ERR_ALREADY_CLOSED);
  free_guest(&one);
}

static void messages_of_one_call_stay_while_others_are_sent(void) {
  guest one = open_guest(WS_SERVER);
  const uint64_t begun = ws_now();
  frame it;
  size_t i;
  for (i = 0; i < 20; i++) send_frame(one.fd, WS_SERVER, 0x81, "a message", 9);
  do {
    CHECK(ws_now() - begun < 5000);
    it = service(one.conn, 0, 0);
  } while (it.count == 0);
  for (i = 0; i < 1000; i++) CHECK_IS(ws_write_message(one.conn, WS_TEXT, "another message of ours", 23), WS_OK);
  ws_write_pending(one.conn);
  for (i = 0; i < it.count; i++) CHECK(is_message(it.messages[i], WS_TEXT, "a message"));
  free_guest(&one);
}

static void bad_arguments_are_named(void) {
  ws_conn *conn = new_open(NULL, WS_SERVER);
  const ws_message *const *messages;
  size_t count = 7;
  int32_t more = 7;
  CHECK_IS(ws_service(NULL, 0, 0, &messages, &count, &more), WS_ERR_INVALID_ARGUMENT);
  CHECK(messages == NULL && count == 0 && more == 0);
  CHECK_IS(ws_service(conn, 0, 0, NULL, &count, &more), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_service(conn, 0, 0, &messages, NULL, &more), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_service(conn, 0, 0, &messages, &count, NULL), WS_ERR_INVALID_ARGUMENT);
  ws_free(conn);
}

static void while_another_thread_reads_it_is_refused(void) {
  static call reader;
  guest one = open_guest(WS_SERVER);
  frame it;
  set(one.conn, WS_OPT_BLOCKING, 1);
  begin_call(&reader, one.conn, read_next);
  nap(100);
  it = service(one.conn, 0, 0);
  CHECK_IS(it.status, WS_ERR_MISUSE);
  CHECK_IS(it.count, 0);
  send_frame(one.fd, WS_SERVER, 0x81, "words", 5);
  CHECK(ends_within(&reader, 1000));
  CHECK_IS(reader.status, WS_OK);
  free_guest(&one);
}

int main(int argc, char **argv) {
  check_begin(argc, argv);
  RUN(it_hands_out_what_reading_would_in_the_same_order_and_all_of_it_stays);
  RUN(nothing_is_no_error_and_does_not_block);
  RUN(the_limits_are_kept_and_more_says_that_there_is_more);
  RUN(messages_before_a_fault_are_handed_out_with_it);
  RUN(a_ping_is_answered_within_the_same_call);
  RUN(it_is_all_that_a_conversation_needs);
  RUN(it_is_all_that_a_conversation_over_tls_needs);
  RUN(it_receives_at_most_once_however_much_there_is);
  RUN(a_peer_that_is_gone_is_told_after_what_it_has_said);
  RUN(messages_of_one_call_stay_while_others_are_sent);
  RUN(bad_arguments_are_named);
  RUN(while_another_thread_reads_it_is_refused);
  return check_end();
}
