/* Many threads on one connection: calls are serialised, and a thread that waits for the peer holds nobody up. */

#include "check.h"
#include "pair.h"

#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>

static void nap(int ms) {
  struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
  nanosleep(&time, NULL);
}

typedef struct wire {
  int client_fd, server_fd;
  ws_conn *client, *server;
} wire;

static wire open_wire_with(const ws_config *config) {
  wire both;
  int fds[2] = {-1, -1};
  EXPECT_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  both.client_fd = fds[0], both.server_fd = fds[1];
  both.client = new_open(config, WS_CLIENT);
  both.server = new_open(config, WS_SERVER);
  EXPECT_IS(ws_set_option(both.client, WS_OPT_BLOCKING, 1), WS_OK);
  EXPECT_IS(ws_set_option(both.server, WS_OPT_BLOCKING, 1), WS_OK);
  EXPECT_IS(ws_set_socket(both.client, fds[0]), WS_OK);
  EXPECT_IS(ws_set_socket(both.server, fds[1]), WS_OK);
  return both;
}

static wire open_wire(void) { return open_wire_with(NULL); }

static void free_wire(wire *both) {
  ws_free(both->client);
  ws_free(both->server);
  close(both->client_fd);
  close(both->server_fd);
}

static void *echo(void *arg) {
  ws_conn *conn = arg;
  const ws_message *message;
  while (ws_read_message(conn, &message) == WS_OK)
    if (message->kind != WS_CLOSE)
      EXPECT_IS(ws_write_message(conn, message->kind, message->data, message->len), WS_OK);
  return NULL;
}

static void start(pthread_t *thread, void *(*body)(void *), void *arg) {
  if (pthread_create(thread, NULL, body, arg)) EXPECT_IS(0, 1);
}

/* The hammer: every kind of call, from all sides. A message says who sent it and the how manieth it is. */

enum { THREADS = 4 };

static struct {
  ws_conn *conn;
  int calls;
  pthread_mutex_t reading; /* a message stays until the next read: who reads looks at it before another does */
  uint32_t received[THREADS];
  uint32_t sent[THREADS];
} hammer;

/* Reads one message and checks that it is the next of its thread. */
static ws_status_t read_in_order(void) {
  const ws_message *message;
  ws_status_t status = ws_read_message(hammer.conn, &message);
  uint32_t note[2] = {THREADS, 0};
  if (status != WS_OK || message->kind != WS_BINARY) return status;
  memcpy(note, message->data, sizeof note);
  if (EXPECT_IS(note[0] < THREADS, 1)) EXPECT_IS(note[1], hammer.received[note[0]]++);
  return status;
}

/* Reads what is there, unless another thread is at it. */
static ws_status_t read_some(void) {
  ws_status_t status;
  if (pthread_mutex_trylock(&hammer.reading)) return sched_yield();
  while ((status = read_in_order()) == WS_OK) continue;
  pthread_mutex_unlock(&hammer.reading);
  return status == WS_ERR_WOULD_BLOCK ? WS_OK : status;
}

static void *strike(void *arg) {
  const uint32_t me = (uint32_t)(size_t)arg;
  ws_conn *conn = hammer.conn;
  static uint8_t payload[THREADS][3000];
  for (int i = 0; i < hammer.calls; i++) {
    const uint32_t note[2] = {me, hammer.sent[me]};
    const size_t len = sizeof note + (size_t)(i * 37 % 2900);
    ws_status_t status = WS_OK;
    uint64_t value;
    memcpy(payload[me], note, sizeof note);
    switch ((i + (int)me) % 9) {
      case 0:
      case 4:
      case 1:
        do {
          if (i % 2) status = ws_queue_message(conn, WS_BINARY, payload[me], len);
          else status = ws_write_message(conn, WS_BINARY, payload[me], len);
        } while (status == WS_ERR_SEND_QUEUE_FULL && read_some() == WS_OK);
        if (status == WS_OK) hammer.sent[me]++;
        break;
      case 2:
        status = ws_write_pending(conn);
        if (status == WS_ERR_WOULD_BLOCK) status = WS_OK;
        break;
      case 3:
        status = ws_write_message(conn, i % 2 ? WS_PING : WS_PONG, note, sizeof note);
        if (status == WS_ERR_SEND_QUEUE_FULL) status = WS_OK;
        break;
      case 5: status = ws_set_option(conn, WS_OPT_MAX_SEND_QUEUE, 500 + (uint64_t)i % 100); break;
      case 6:
        EXPECT_IS(ws_get_state(conn), WS_STATE_OPEN);
        EXPECT_IS(ws_can_read(conn) && ws_can_write(conn), 1);
        EXPECT_IS(ws_close_code(conn) + ws_io_error(conn), 0);
        ws_interest(conn), ws_queued_bytes(conn), ws_next_deadline(conn), ws_get_socket(conn);
        break;
      case 7: status = ws_get_option(conn, WS_OPT_MAX_SEND_QUEUE, &value); break;
      case 8: status = read_some(); break;
    }
    EXPECT_IS(status, WS_OK);
  }
  return NULL;
}

static void hammer_at(const ws_config *config) {
  wire both = open_wire_with(config);
  pthread_t threads[THREADS], peer;
  memset(&hammer, 0, sizeof hammer);
  pthread_mutex_init(&hammer.reading, NULL);
  hammer.conn = both.client;
  hammer.calls = check_reduced(32000 / THREADS);
  CHECK_IS(ws_set_option(both.client, WS_OPT_BLOCKING, 0), WS_OK);
  start(&peer, echo, both.server);
  for (size_t i = 0; i < THREADS; i++) start(&threads[i], strike, (void *)i);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  CHECK_IS(ws_set_option(both.client, WS_OPT_BLOCKING, 1), WS_OK);
  for (int i = 0; i < THREADS; i++) {
    CHECK(hammer.sent[i] >= (uint32_t)hammer.calls / 3 - 1);
    while (hammer.received[i] < hammer.sent[i]) CHECK_IS(read_in_order(), WS_OK);
  }
  CHECK_IS(ws_close(both.client, 1000, NULL, 0), WS_OK);
  CHECK_IS(read_in_order(), WS_OK); /* nothing more than the Close */
  for (int i = 0; i < THREADS; i++) CHECK_IS(hammer.received[i], hammer.sent[i]);
  pthread_join(peer, NULL);
  pthread_mutex_destroy(&hammer.reading);
  free_wire(&both);
}

static void a_hammer_of_calls_from_all_sides_loses_and_reorders_nothing(void) { hammer_at(NULL); }

static void neither_where_messages_are_compressed(void) {
  ws_config *config = config_with(WS_OPT_DEFLATE, 1);
  hammer_at(config);
  ws_config_free(config);
}

/* A reader that waits */

typedef struct reader {
  ws_conn *conn;
  pthread_t thread;
  int started, done;
  int messages;       /* of them, in their order */
  ws_status_t status; /* that ended it */
  int32_t close_code;
  int out_of_order;
} reader;

static void *read_all(void *arg) {
  reader *me = arg;
  const ws_message *message;
  __atomic_store_n(&me->started, 1, __ATOMIC_SEQ_CST);
  while ((me->status = ws_read_message(me->conn, &message)) == WS_OK) {
    uint32_t number = 0;
    if (message->kind == WS_CLOSE) {
      me->close_code = message->close_code;
      continue;
    }
    if (message->len >= sizeof number) memcpy(&number, message->data, sizeof number);
    me->out_of_order += number != (uint32_t)me->messages++;
  }
  __atomic_store_n(&me->done, 1, __ATOMIC_SEQ_CST);
  return NULL;
}

/* Starts a reader and leaves it time to block. */
static void begin_reading(reader *me, ws_conn *conn) {
  memset(me, 0, sizeof *me);
  me->conn = conn;
  start(&me->thread, read_all, me);
  while (!__atomic_load_n(&me->started, __ATOMIC_SEQ_CST)) nap(1);
  nap(30);
}

static void a_reader_that_waits_holds_no_writer_up(void) {
  const uint32_t count = (uint32_t)check_reduced(10000);
  wire both = open_wire();
  reader mine, theirs;
  static uint8_t payload[300];
  begin_reading(&mine, both.client);
  begin_reading(&theirs, both.server);
  for (uint32_t i = 0; i < count; i++) {
    memcpy(payload, &i, sizeof i);
    CHECK_IS(ws_write_message(both.client, WS_BINARY, payload, sizeof i + i % 290), WS_OK);
    if (i % 100 == 0) {
      CHECK_IS(ws_write_message(both.client, WS_PING, "?", 1), WS_OK);
      CHECK_IS(ws_get_state(both.client), WS_STATE_OPEN);
    }
  }
  CHECK(!__atomic_load_n(&mine.done, __ATOMIC_SEQ_CST) && mine.messages == 0); /* it is still waiting */
  for (uint32_t i = 0; i < count; i++) {
    memcpy(payload, &i, sizeof i);
    CHECK_IS(ws_write_message(both.server, WS_BINARY, payload, sizeof i), WS_OK);
  }
  CHECK_IS(ws_close(both.client, 1000, NULL, 0), WS_OK);
  pthread_join(theirs.thread, NULL);
  CHECK_IS(theirs.status, WS_ERR_CONNECTION_CLOSED);
  shutdown(both.server_fd, SHUT_RDWR);
  pthread_join(mine.thread, NULL);
  CHECK_IS(mine.status, WS_ERR_CONNECTION_CLOSED);
  CHECK_IS(theirs.messages, count);
  CHECK_IS(mine.messages, count);
  CHECK_IS(mine.out_of_order + theirs.out_of_order, 0);
  free_wire(&both);
}

/* What a socket did not take in the time of its writer is left to the thread that waits. */
static void a_reader_that_waits_sends_what_others_leave(void) {
  static uint8_t payload[1 << 20];
  wire both = open_wire();
  reader mine;
  const ws_message *message;
  begin_reading(&mine, both.client);
  CHECK_IS(ws_set_option(both.client, WS_OPT_WRITE_TIMEOUT_MS, 1), WS_OK);
  CHECK_IS(ws_write_message(both.client, WS_BINARY, payload, sizeof payload), WS_OK);
  CHECK(ws_queued_bytes(both.client) > 0);
  CHECK_IS(ws_read_message(both.server, &message), WS_OK);
  CHECK_IS(message->len, sizeof payload);
  CHECK_IS(ws_close(both.server, 1000, NULL, 0), WS_OK);
  CHECK_IS(ws_read_message(both.server, &message), WS_OK);
  CHECK_IS(ws_read_message(both.server, &message), WS_ERR_CONNECTION_CLOSED);
  shutdown(both.server_fd, SHUT_RDWR);
  pthread_join(mine.thread, NULL);
  CHECK_IS(mine.status, WS_ERR_CONNECTION_CLOSED);
  free_wire(&both);
}

static void closing_from_another_thread_ends_a_reader_that_waits(void) {
  wire both = open_wire();
  reader mine;
  pthread_t peer;
  begin_reading(&mine, both.server);
  start(&peer, echo, both.client);
  CHECK_IS(ws_close(both.server, 4000, "done", 4), WS_OK);
  pthread_join(mine.thread, NULL);
  CHECK_IS(mine.status, WS_ERR_CONNECTION_CLOSED);
  CHECK_IS(mine.close_code, 4000);
  shutdown(both.server_fd, SHUT_RDWR);
  pthread_join(peer, NULL);
  free_wire(&both);
}

static void closing_ends_a_reader_that_waits_even_where_the_peer_never_answers(void) {
  for (int role = WS_CLIENT; role <= WS_SERVER; role++) {
    wire both = open_wire();
    ws_conn *conn = role == WS_CLIENT ? both.client : both.server;
    reader mine;
    uint64_t begun;
    CHECK_IS(ws_set_option(conn, WS_OPT_CLOSE_TIMEOUT_MS, 150), WS_OK);
    begin_reading(&mine, conn);
    begun = ws_now();
    CHECK_IS(ws_close(conn, 1000, NULL, 0), WS_OK);
    pthread_join(mine.thread, NULL);
    CHECK(ws_now() - begun >= 140 && ws_now() - begun < 5000);
    CHECK_IS(mine.status, WS_ERR_TIMEOUT);
    free_wire(&both);
  }
}

static void a_second_reader_is_told_so(void) {
  wire both = open_wire();
  const ws_message *message = (const ws_message *)&both;
  reader mine;
  begin_reading(&mine, both.client);
  for (int i = 0; i < 100; i++) CHECK_IS(ws_read_message(both.client, &message), WS_ERR_MISUSE);
  CHECK(message == NULL && strstr(ws_error_message(both.client), "read") != NULL);
  CHECK_IS(ws_write_message(both.server, WS_BINARY, "\0\0\0\0", 4), WS_OK);
  CHECK_IS(ws_close(both.server, 1000, NULL, 0), WS_OK);
  CHECK_IS(ws_read_message(both.server, &message), WS_OK);
  shutdown(both.server_fd, SHUT_RDWR);
  pthread_join(mine.thread, NULL);
  CHECK_IS(mine.messages, 1);
  CHECK_IS(mine.status, WS_ERR_CONNECTION_CLOSED);
  free_wire(&both);
}

/* "Beside a thread that reads, it waits for room to send only": where nothing waits to be sent, for the time given. */
/* A transport that takes its time. */
typedef struct slow_transport {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int is_inside, may_go;
} slow_transport;

static int32_t receive_slowly(void *userdata, uint8_t *buf, size_t len, size_t *out_n) {
  slow_transport *me = userdata;
  pthread_mutex_lock(&me->mutex);
  me->is_inside = 1;
  pthread_cond_broadcast(&me->changed);
  while (!me->may_go) pthread_cond_wait(&me->changed, &me->mutex);
  pthread_mutex_unlock(&me->mutex);
  *out_n = len < 7 ? 0 : put_frame(buf, WS_SERVER, 0x81, "hello", 5);
  return 0;
}

static int32_t send_quickly(void *userdata, const uint8_t *buf, size_t len, size_t *out_n) {
  (void)userdata, (void)buf;
  *out_n = len;
  return 0;
}

static void *read_once(void *arg) {
  reader *me = arg;
  const ws_message *message;
  me->status = ws_read_message(me->conn, &message);
  me->messages = me->status == WS_OK && is_message(message, WS_TEXT, "hello");
  return NULL;
}

/* Whether or not the first one waits: here it is inside its own callback, and holds the connection. */
static void a_second_reader_is_told_so_while_the_first_does_not_wait_either(void) {
  static slow_transport slow = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
  const ws_message *message, *const *messages;
  size_t count;
  reader mine = {0};
  ws_conn *conn = mine.conn = new_open(NULL, WS_CLIENT);
  CHECK_IS(ws_set_io(conn, receive_slowly, send_quickly, &slow), WS_OK);
  start(&mine.thread, read_once, &mine);
  pthread_mutex_lock(&slow.mutex);
  while (!slow.is_inside) pthread_cond_wait(&slow.changed, &slow.mutex);
  pthread_mutex_unlock(&slow.mutex);
  for (int i = 0; i < 100; i++) {
    CHECK_IS(ws_read_message(conn, &message), WS_ERR_MISUSE);
    CHECK(message == NULL);
    CHECK_IS(ws_read_messages(conn, &messages, &count), WS_ERR_MISUSE);
    CHECK_IS(ws_handshake(conn), WS_ERR_MISUSE);
  }
  pthread_mutex_lock(&slow.mutex);
  slow.may_go = 1;
  pthread_cond_broadcast(&slow.changed);
  pthread_mutex_unlock(&slow.mutex);
  pthread_join(mine.thread, NULL);
  CHECK_IS(mine.messages, 1);
  CHECK_IS(ws_read_message(conn, &message), WS_OK); /* it has left */
  CHECK(is_message(message, WS_TEXT, "hello"));
  ws_free(conn);
}

static void waiting_beside_a_reader_is_for_room_to_send(void) {
  wire both = open_wire();
  const ws_message *message;
  reader mine;
  uint64_t begun;
  begin_reading(&mine, both.client);
  begun = ws_now();
  CHECK_IS(ws_wait(both.client, 60), WS_ERR_WOULD_BLOCK);
  CHECK(ws_now() - begun >= 55);
  CHECK_IS(ws_close(both.server, 1000, NULL, 0), WS_OK);
  CHECK_IS(ws_read_message(both.server, &message), WS_OK);
  shutdown(both.server_fd, SHUT_RDWR);
  pthread_join(mine.thread, NULL);
  free_wire(&both);
}

static void *read_until_time_is_over(void *arg) {
  const ws_message *message;
  EXPECT_IS(ws_read_message(arg, &message), WS_ERR_WOULD_BLOCK);
  return NULL;
}

static void a_timeout_set_meanwhile_holds_for_a_reader_that_waits(void) {
  wire both = open_wire();
  pthread_t thread;
  start(&thread, read_until_time_is_over, both.client);
  nap(50);
  CHECK_IS(ws_set_option(both.client, WS_OPT_READ_TIMEOUT_MS, 50), WS_OK);
  pthread_join(thread, NULL);
  free_wire(&both);
}

static void *wait_long(void *arg) {
  EXPECT_IS(ws_wait(arg, 400), WS_ERR_WOULD_BLOCK);
  return NULL;
}

/* "Other threads can use the connection meanwhile": a thread in ws_wait() does not read. */
static void others_can_use_a_connection_that_is_waited_for(void) {
  wire both = open_wire();
  const ws_message *message;
  pthread_t waiter;
  CHECK_IS(ws_set_option(both.client, WS_OPT_BLOCKING, 0), WS_OK);
  start(&waiter, wait_long, both.client);
  nap(50);
  CHECK_IS(ws_write_message(both.client, WS_TEXT, "x", 1), WS_OK);
  CHECK_IS(ws_get_state(both.client), WS_STATE_OPEN);
  CHECK_IS(ws_read_message(both.client, &message), WS_ERR_WOULD_BLOCK);
  pthread_join(waiter, NULL);
  free_wire(&both);
}

/* Full duplex: both sides send large messages, one echoes besides; nobody waits for the other for ever. */

static struct {
  int count;
  ws_conn *client, *server;
} duplex;

enum { LARGE = 1 << 20 };

static void *send_large(void *arg) {
  ws_conn *conn = arg;
  uint8_t *payload = malloc(LARGE);
  memset(payload, conn == duplex.client ? 'c' : 's', LARGE);
  for (int i = 0; i < duplex.count; i++) {
    memcpy(payload + 1, &i, sizeof i);
    EXPECT_IS(ws_write_message(conn, WS_BINARY, payload, LARGE), WS_OK);
  }
  free(payload);
  return NULL;
}

static void *echo_large(void *arg) {
  const ws_message *message;
  (void)arg;
  for (int i = 0; i < duplex.count; i++) {
    if (!EXPECT_IS(ws_read_message(duplex.server, &message), WS_OK)) break;
    EXPECT_IS(ws_write_message(duplex.server, message->kind, message->data, message->len), WS_OK);
  }
  return NULL;
}

static void large_messages_go_both_ways_at_once(void) {
  wire both = open_wire();
  const ws_message *message;
  pthread_t threads[3];
  int own = 0, echoed = 0;
  duplex.count = check_reduced(20);
  duplex.client = both.client, duplex.server = both.server;
  start(&threads[0], send_large, both.client);
  start(&threads[1], send_large, both.server);
  start(&threads[2], echo_large, NULL);
  while (own + echoed < 2 * duplex.count) {
    int number;
    CHECK_IS(ws_read_message(both.client, &message), WS_OK);
    CHECK_IS(message->len, LARGE);
    memcpy(&number, message->data + 1, sizeof number);
    CHECK_IS(number, message->data[0] == 'c' ? echoed++ : own++);
    CHECK(message->data[LARGE - 1] == message->data[0] && message->data[LARGE / 2] == message->data[0]);
  }
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  CHECK(own == duplex.count && echoed == duplex.count);
  free_wire(&both);
}

/* Writers in the midst of a Close: each write is either accepted or told that it is over. */
static void *write_until_closed(void *arg) {
  ws_status_t status;
  do status = ws_write_message(arg, WS_TEXT, "words", 5);
  while (status == WS_OK || status == WS_ERR_SEND_QUEUE_FULL);
  EXPECT_IS(status == WS_ERR_CONNECTION_CLOSED || status == WS_ERR_ALREADY_CLOSED, 1);
  return NULL;
}

static void a_close_in_the_midst_of_writers_is_orderly(void) {
  const int rounds = check_reduced(20);
  for (int round = 0; round < rounds; round++) {
    wire both = open_wire();
    reader mine, theirs;
    pthread_t writers[3];
    begin_reading(&mine, both.client);
    begin_reading(&theirs, both.server);
    for (int i = 0; i < 3; i++) start(&writers[i], write_until_closed, both.client);
    nap(round % 3);
    CHECK_IS(ws_close(both.client, 1000, NULL, 0), WS_OK);
    for (int i = 0; i < 3; i++) pthread_join(writers[i], NULL);
    pthread_join(theirs.thread, NULL);
    CHECK_IS(theirs.status, WS_ERR_CONNECTION_CLOSED);
    CHECK_IS(theirs.close_code, 1000);
    shutdown(both.server_fd, SHUT_RDWR);
    pthread_join(mine.thread, NULL);
    CHECK_IS(mine.status, WS_ERR_CONNECTION_CLOSED);
    free_wire(&both);
  }
}

/* Two sentences in turn. */
static void *fail_on(void *arg) {
  const int rounds = check_reduced(20000);
  for (int i = 0; i < rounds; i++)
    EXPECT_IS(i % 2 ? ws_feed_eof(arg) : ws_write_message(arg, 99, NULL, 0),
              i % 2 ? WS_ERR_MISUSE : WS_ERR_INVALID_ARGUMENT);
  return NULL;
}

static void a_sentence_is_copied_whole_while_others_fail(void) {
  wire both = open_wire();
  char kind[128], memory[128], got[128];
  size_t len;
  const int rounds = check_reduced(20000);
  pthread_t thread;
  CHECK_IS(ws_copy_error_message(both.client, got, sizeof got), 0);
  CHECK(*got == '\0');
  CHECK_IS(ws_write_message(both.client, 99, NULL, 0), WS_ERR_INVALID_ARGUMENT);
  len = ws_copy_error_message(both.client, kind, sizeof kind);
  CHECK_IS(len, strlen(kind));
  CHECK(strcmp(kind, ws_error_message(both.client)) == 0 && *kind != '\0');
  CHECK_IS(ws_copy_error_message(both.client, got, 4), strlen(kind));
  CHECK(strncmp(got, kind, 3) == 0 && got[3] == '\0');
  CHECK_IS(ws_copy_error_message(both.client, NULL, 0), strlen(kind));
  CHECK_IS(ws_feed_eof(both.client), WS_ERR_MISUSE);
  len = ws_copy_error_message(both.client, memory, sizeof memory);
  CHECK_IS(len, strlen(memory));
  CHECK(strcmp(kind, memory) != 0);
  start(&thread, fail_on, both.client);
  for (int i = 0; i < rounds; i++) {
    len = ws_copy_error_message(both.client, got, sizeof got);
    CHECK_IS(len, strlen(got));
    CHECK(strcmp(got, kind) == 0 || strcmp(got, memory) == 0);
  }
  pthread_join(thread, NULL);
  free_wire(&both);
}

static void *make_and_free(void *arg) {
  const int rounds = check_reduced(500);
  (void)arg;
  for (int i = 0; i < rounds; i++) {
    const ws_message *message;
    pair both;
    EXPECT_IS(open_pair(&both, NULL, NULL), WS_OK);
    EXPECT_IS(ws_write_message(both.client, WS_TEXT, "mine", 4), WS_OK);
    EXPECT_IS(read_from(both.server, both.client, &message), WS_OK);
    EXPECT_IS(is_message(message, WS_TEXT, "mine"), 1);
    free_pair(&both);
  }
  return NULL;
}

static void different_handles_share_nothing(void) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) start(&threads[i], make_and_free, NULL);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

int main(int argc, char **argv) {
  check_begin(argc, argv);
  RUN(a_hammer_of_calls_from_all_sides_loses_and_reorders_nothing);
  RUN(neither_where_messages_are_compressed);
  RUN(a_reader_that_waits_holds_no_writer_up);
  RUN(a_reader_that_waits_sends_what_others_leave);
  RUN(closing_from_another_thread_ends_a_reader_that_waits);
  RUN(closing_ends_a_reader_that_waits_even_where_the_peer_never_answers);
  RUN(a_second_reader_is_told_so);
  RUN(a_second_reader_is_told_so_while_the_first_does_not_wait_either);
  RUN(waiting_beside_a_reader_is_for_room_to_send);
  RUN(a_timeout_set_meanwhile_holds_for_a_reader_that_waits);
  RUN(others_can_use_a_connection_that_is_waited_for);
  RUN(large_messages_go_both_ways_at_once);
  RUN(a_close_in_the_midst_of_writers_is_orderly);
  RUN(a_sentence_is_copied_whole_while_others_fail);
  RUN(different_handles_share_nothing);
  return check_end();
}
