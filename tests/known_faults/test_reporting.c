/* What a poller reports, and what ends a wait. A call of the system is made up here, to be slow. */

#define _GNU_SOURCE
#include "peer.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>

/* Names. */

static struct {
  int ms, lookups;
} resolver;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  (void)node, (void)service, (void)hints, (void)found;
  __atomic_fetch_add(&resolver.lookups, 1, __ATOMIC_SEQ_CST);
  nap(resolver.ms);
  return EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *info) { (void)info; }

static int threads_now(void) {
  DIR *dir = opendir("/proc/self/task");
  int count = -2; /* . and .. */
  while (dir && readdir(dir)) count++;
  if (dir) closedir(dir);
  return count;
}

static ws_conn *look_up(void) {
  ws_config *config = config_with(WS_OPT_BLOCKING, 0);
  ws_conn *conn = NULL;
  NEED(ws_connect(config, "ws://slow.test/", &conn) == WS_OK);
  ws_config_free(config);
  return conn;
}

static int has_found_out(ws_conn *conn, int ms) {
  const uint64_t until = ws_now() + (uint64_t)ms;
  ws_status_t status = WS_ERR_WOULD_BLOCK;
  while (status == WS_ERR_WOULD_BLOCK && ws_now() < until) {
    ws_wait(conn, 50);
    status = ws_handshake(conn);
  }
  return status == WS_ERR_IO;
}

enum { AT_MOST = 32 };

static void two_hundred_look_ups_take_no_more_than_32_threads(void) {
  enum { ALL = 200 };
  static ws_conn *conn[ALL];
  const int before = threads_now();
  int i, most = 0;
  resolver.ms = 200;
  for (i = 0; i < ALL; i++) {
    int now;
    conn[i] = look_up();
    now = threads_now() - before;
    if (now > most) most = now;
  }
  CHECK(most > 1 && most <= AT_MOST);
  for (i = 0; i < ALL; i++) CHECK(has_found_out(conn[i], 5000)); /* each gets its turn */
  for (i = 0; i < ALL; i++) ws_free(conn[i]);
}

static void look_ups_that_nobody_waits_for_any_more_leave_the_queue(void) {
  enum { BUSY = AT_MOST / 2, GIVEN_UP = 100 }; /* each looks up two families */
  static ws_conn *conn[BUSY];
  ws_conn *last;
  int i;
  resolver.ms = 500;
  __atomic_store_n(&resolver.lookups, 0, __ATOMIC_SEQ_CST);
  for (i = 0; i < BUSY; i++) conn[i] = look_up();
  for (i = 0; i < GIVEN_UP; i++) ws_free(look_up());
  last = look_up();
  CHECK(has_found_out(last, 500 + 500 + SOON));
  CHECK(__atomic_load_n(&resolver.lookups, __ATOMIC_SEQ_CST) <= AT_MOST + 2);
  ws_free(last);
  for (i = 0; i < BUSY; i++) ws_free(conn[i]);
}

int main(int argc, char **argv) {
  check_begin(argc, argv);
  RUN(two_hundred_look_ups_take_no_more_than_32_threads);
  RUN(look_ups_that_nobody_waits_for_any_more_leave_the_queue);
  return check_end();
}
