/* Two threads, each with its own poller, serve connections of one listener: first one of them, then the other. For
 * check_pollers.sh, which has every store of either recorded and looks for memory that both write. With an argument they
 * take a lock of their own for each event: it has to be found. */

#include "peer.h"

enum { POLLERS = 2, BEFORE = 5, EVENTS = 20 };

/* Written around what is to be compared, for the recorder to see. */
volatile uint64_t begins[POLLERS], ends_at[POLLERS];

static struct server {
  ws_poller *poller;
  guest one;
  uint64_t number;
  pthread_t thread;
  pthread_mutex_t go, done; /* one turn after the other */
} servers[POLLERS];

static pthread_mutex_t in_common = PTHREAD_MUTEX_INITIALIZER;
static int have_in_common;

static void echo_one(struct server *me) {
  static const uint8_t frame[] = {0x81, 0x82, 0, 0, 0, 0, 'h', 'i'};
  const ws_message *message;
  uint8_t answer[16];
  uint64_t token;
  size_t count;
  say(me->one.fd, frame, sizeof frame);
  NEED(ws_poller_wait(me->poller, &token, 1, -1, &count) == WS_OK && token == me->number);
  if (have_in_common) {
    pthread_mutex_lock(&in_common);
    pthread_mutex_unlock(&in_common);
  }
  NEED(ws_read_message(me->one.conn, &message) == WS_OK);
  NEED(ws_write_message(me->one.conn, WS_TEXT, message->data, message->len) == WS_OK);
  NEED(ws_read_message(me->one.conn, &message) == WS_ERR_WOULD_BLOCK);
  NEED(recv(me->one.fd, answer, sizeof answer, 0) == 4);
}

static void *serve(void *arg) {
  struct server *me = arg;
  int i;
  pthread_mutex_lock(&me->go);
  for (i = 0; i < BEFORE; i++) echo_one(me);
  pthread_mutex_unlock(&me->done);
  pthread_mutex_lock(&me->go);
  begins[me->number] = 1;
  for (i = 0; i < EVENTS; i++) echo_one(me);
  ends_at[me->number] = 1;
  pthread_mutex_unlock(&me->done);
  pthread_mutex_lock(&me->go); /* until the other one has been recorded, too */
  return NULL;
}

int main(int argc, char **argv) {
  ws_config *config = config_of("ws");
  ws_listener *listener = listen_to("ws", config);
  int i, turn;
  check_name = argv[0];
  have_in_common = argc > 1;
  for (i = 0; i < POLLERS; i++) {
    struct server *me = &servers[i];
    uint8_t answer[4096];
    me->number = (uint64_t)i;
    me->one.fd = connect_raw(ws_listener_port(listener));
    while (ws_listener_accept(listener, &me->one.conn) != WS_OK) nap(1);
    say(me->one.fd, a_request, sizeof a_request - 1);
    while (ws_handshake(me->one.conn) == WS_ERR_WOULD_BLOCK) nap(1);
    NEED(recv(me->one.fd, answer, sizeof answer, 0) > 0);
    me->poller = poller_of(me->one.conn, me->number);
    pthread_mutex_init(&me->go, NULL);
    pthread_mutex_init(&me->done, NULL);
    pthread_mutex_lock(&me->go);
    pthread_mutex_lock(&me->done);
    NEED(pthread_create(&me->thread, NULL, serve, me) == 0);
  }
  for (turn = 0; turn < 2; turn++)
    for (i = 0; i < POLLERS; i++) {
      pthread_mutex_unlock(&servers[i].go);
      pthread_mutex_lock(&servers[i].done);
      nap(100); /* it waits by now */
    }
  for (i = 0; i < POLLERS; i++) {
    pthread_mutex_unlock(&servers[i].go);
    pthread_join(servers[i].thread, NULL);
    printf("begins %p\nends %p\n", (void *)&begins[i], (void *)&ends_at[i]);
    ws_free(servers[i].one.conn);
    close(servers[i].one.fd);
    ws_poller_free(servers[i].poller);
  }
  printf("stack %p\n", (void *)&turn); /* this thread may go on for a while: what it writes there does not count */
  ws_listener_free(listener);
  ws_config_free(config);
  return 0;
}
