/* Names are looked up by a few threads of the library's: how many those are, whose turn it is, and when they end. The
 * resolver is this program's own, and as slow as it is told to be. */

#include "poller_fixture.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

enum { MOST = 32 };

static struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int hangs;   /* names that begin with "hang" are not answered while this is set */
  int hanging; /* so many wait for that */
  int lookups;
  int slow_ms; /* all others take so long */
} resolver = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0, 0};

/* Takes the place of the C library's. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  struct sockaddr_in *address;
  (void)service;
  pthread_mutex_lock(&resolver.lock);
  resolver.lookups++;
  resolver.hanging++;
  while (resolver.hangs && strncmp(node, "hang", 4) == 0) pthread_cond_wait(&resolver.changed, &resolver.lock);
  resolver.hanging--;
  pthread_mutex_unlock(&resolver.lock);
  nap(resolver.slow_ms);
  if (hints->ai_family != AF_INET) return EAI_NONAME;
  *found = calloc(1, sizeof **found + sizeof *address);
  address = (struct sockaddr_in *)(*found + 1);
  address->sin_family = AF_INET;
  address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  (*found)->ai_family = AF_INET;
  (*found)->ai_socktype = SOCK_STREAM;
  (*found)->ai_addr = (struct sockaddr *)address;
  (*found)->ai_addrlen = sizeof *address;
  return 0;
}

void freeaddrinfo(struct addrinfo *info) { free(info); }

static int count_of(int *number) {
  int count;
  pthread_mutex_lock(&resolver.lock);
  count = *number;
  pthread_mutex_unlock(&resolver.lock);
  return count;
}

static void set_hanging(int on) {
  pthread_mutex_lock(&resolver.lock);
  resolver.hangs = on;
  pthread_cond_broadcast(&resolver.changed);
  pthread_mutex_unlock(&resolver.lock);
}

static int threads(void) {
  DIR *dir = opendir("/proc/self/task");
  int count = -2;
  while (dir && readdir(dir)) count++;
  if (dir) closedir(dir);
  return count;
}

/* Waits until so many threads are left. */
static void threads_end(int left) {
  int i;
  for (i = 0; i < 5000 && threads() > left; i++) nap(1);
  EXPECT_IS(threads(), left);
}

/* All the threads that there can be hang in a look-up each; these connections have asked for it. */
static void hang_all(ws_conn **conns) {
  int i;
  resolver.lookups = 0;
  resolver.slow_ms = 0;
  set_hanging(1);
  for (i = 0; i < MOST / 2; i++) conns[i] = start("ws://hang.test:1/", NULL);
  for (i = 0; i < 5000 && count_of(&resolver.hanging) < MOST; i++) nap(1);
  EXPECT_IS(resolver.hanging, MOST);
}

static void let_go(ws_conn **conns) {
  int i;
  set_hanging(0);
  for (i = 0; i < MOST / 2; i++) ws_free(conns[i]);
}

static void however_many_connect_32_threads_look_names_up(void) {
  static ws_conn *conns[200];
  int before = threads(), most = 0, done = 0, i;
  uint64_t begun = ws_now();
  resolver.lookups = 0;
  resolver.slow_ms = 20;
  for (i = 0; i < 200; i++) conns[i] = start("ws://slow.test:1/", NULL);
  CHECK(ws_now() - begun < 1000 || is_checked());
  while (done < 200 && ws_now() - begun < 60000) {
    int now = threads() - before;
    if (now > most) most = now;
    for (done = i = 0; i < 200; i++) {
      ws_status_t status = ws_handshake(conns[i]);
      done += status != WS_ERR_WOULD_BLOCK;
      if (status == WS_ERR_IO) EXPECT_IS(ws_io_error(conns[i]), 111); /* nobody listens there */
    }
    nap(1);
  }
  CHECK_IS(done, 200);
  CHECK_IS(resolver.lookups, 400);
  CHECK(most <= MOST);
  CHECK(most > MOST / 2 || is_checked());
  for (i = 0; i < 200; i++) ws_free(conns[i]);
  threads_end(before);
}

static void a_thread_ends_when_there_is_nothing_to_look_up(void) {
  int before = threads(), i;
  resolver.slow_ms = 0;
  for (i = 0; i < check_reduced(200); i++) {
    ws_conn *conn = start("ws://quick.test:1/", NULL);
    while (ws_handshake(conn) == WS_ERR_WOULD_BLOCK) nap(0);
    ws_free(conn);
    CHECK_IS(threads(), before); /* whoever got its last answer has waited for that */
  }
}

static void a_look_up_whose_connection_has_been_freed_is_never_made(void) {
  static ws_conn *hanging[MOST / 2], *conns[100];
  int before = threads(), i;
  hang_all(hanging);
  for (i = 0; i < 100; i++) conns[i] = start("ws://quick.test:1/", NULL);
  nap(20);
  CHECK_IS(threads() - before, MOST);
  for (i = 0; i < 100; i++) ws_free(conns[i]);
  let_go(hanging);
  threads_end(before);
  CHECK_IS(resolver.lookups, MOST);
}

static void a_look_up_whose_deadline_has_passed_is_never_made(void) {
  static ws_conn *hanging[MOST / 2], *conns[40];
  int options[] = {WS_OPT_CONNECT_TIMEOUT_MS, WS_OPT_HANDSHAKE_TIMEOUT_MS};
  int before = threads(), i;
  uint64_t begun;
  hang_all(hanging);
  begun = ws_now();
  for (i = 0; i < 40; i++) {
    ws_config *config = config_with(options[i % 2], 60); /* and blocking */
    CHECK_IS(ws_connect(config, "ws://quick.test:1/", &conns[i]), WS_OK);
    ws_config_free(config);
  }
  for (i = 0; i < 40; i++) CHECK_IS(ws_handshake(conns[i]), WS_ERR_TIMEOUT);
  CHECK(ws_now() - begun < 1000 || is_checked()); /* those that hang delay them no longer than that */
  let_go(hanging);
  threads_end(before);
  CHECK_IS(resolver.lookups, MOST);
  for (i = 0; i < 40; i++) ws_free(conns[i]);
}

/* Who still waits when the others let go gets an answer. An address needs no turn. */
static void who_still_waits_has_a_turn_when_the_others_let_go(void) {
  static ws_conn *hanging[MOST / 2];
  ws_listener *listener = listen_at("ws://127.0.0.1:0/");
  ws_conn *by_name, *by_address, *server;
  char url[64];
  int before = threads(), i;
  hang_all(hanging);
  snprintf(url, sizeof url, "ws://quick.test:%d/", ws_listener_port(listener));
  by_name = start(url, NULL);
  by_address = start_at(listener);
  for (i = 0; i < 5000 && ws_listener_accept(listener, &server) != WS_OK; i++) ws_handshake(by_address), nap(1);
  CHECK(server != NULL);
  ws_free(server);
  for (i = 0; i < 50; i++) {
    CHECK_IS(ws_handshake(by_name), WS_ERR_WOULD_BLOCK);
    nap(1);
  }
  CHECK_IS(ws_listener_accept(listener, &server), WS_ERR_WOULD_BLOCK);
  let_go(hanging);
  for (i = 0; i < 5000 && ws_listener_accept(listener, &server) != WS_OK; i++) ws_handshake(by_name), nap(1);
  CHECK(server != NULL);
  ws_free(server);
  ws_free(by_name);
  ws_free(by_address);
  ws_listener_free(listener);
  threads_end(before);
}

static long resident_pages(void) {
  long size = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file && fscanf(file, "%ld %ld", &size, &resident) != 2) resident = 0;
  if (file) fclose(file);
  return resident;
}

static void a_queue_that_does_not_move_does_not_keep_who_has_left(void) {
  static ws_conn *hanging[MOST / 2];
  int before = threads(), i, count = check_reduced(30000);
  long pages;
  hang_all(hanging);
  for (i = 0; i < 100; i++) ws_free(start("ws://quick.test:1/", NULL));
  pages = resident_pages();
  for (i = 0; i < count; i++) ws_free(start("ws://quick.test:1/", NULL));
  CHECK(is_checked() || resident_pages() - pages < 512);
  let_go(hanging);
  threads_end(before);
  CHECK_IS(resolver.lookups, MOST);
}

static void *connect_and_free(void *arg) {
  int i;
  (void)arg;
  for (i = 0; i < check_reduced(400); i++) {
    ws_conn *conn = start("ws://quick.test:1/", NULL);
    if (i % 3) while (ws_handshake(conn) == WS_ERR_WOULD_BLOCK) nap(0);
    ws_free(conn);
  }
  return NULL;
}

static void many_threads_ask_at_once(void) {
  pthread_t thread[8];
  int before = threads(), i;
  resolver.slow_ms = 0;
  for (i = 0; i < 8; i++) CHECK_IS(pthread_create(&thread[i], NULL, connect_and_free, NULL), 0);
  for (i = 0; i < 8; i++) pthread_join(thread[i], NULL);
  threads_end(before);
}

int main(int argc, char **argv) {
  check_begin(argc, argv);
  RUN(however_many_connect_32_threads_look_names_up);
  RUN(a_thread_ends_when_there_is_nothing_to_look_up);
  RUN(a_look_up_whose_connection_has_been_freed_is_never_made);
  RUN(a_look_up_whose_deadline_has_passed_is_never_made);
  RUN(who_still_waits_has_a_turn_when_the_others_let_go);
  RUN(a_queue_that_does_not_move_does_not_keep_who_has_left);
  RUN(many_threads_ask_at_once);
  return check_end();
}
