/* The library comes and goes: after dlclose() nothing of it is left in the process, whatever it was used for. */

#include "check.h"
#include "wsabi.h"

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

/* The functions used here, by their names; ISO C has no cast from void * to a function, so their bytes are copied. */
static struct {
  void *library;
  __typeof__(ws_client_new) *client_new;
  __typeof__(ws_server_new) *server_new;
  __typeof__(ws_from_partially_read) *from_partially_read;
  __typeof__(ws_connect) *connect;
  __typeof__(ws_set_socket) *set_socket;
  __typeof__(ws_set_option) *set_option;
  __typeof__(ws_handshake) *handshake;
  __typeof__(ws_read_message) *read_message;
  __typeof__(ws_write_message) *write_message;
  __typeof__(ws_output) *output;
  __typeof__(ws_output_advance) *output_advance;
  __typeof__(ws_feed) *feed;
  __typeof__(ws_abi_version) *abi_version;
  __typeof__(ws_free) *free;
} ws;

static int find(const char *name, void *place) {
  void *address = dlsym(ws.library, name);
  memcpy(place, &address, sizeof address);
  return address != NULL;
}

static int load(void) {
  ws.library = dlopen("libwsabi.so", RTLD_NOW | RTLD_LOCAL);
  if (!ws.library) printf("# %s\n", dlerror());
  return ws.library && find("ws_client_new", &ws.client_new) && find("ws_server_new", &ws.server_new)
         && find("ws_from_partially_read", &ws.from_partially_read) && find("ws_connect", &ws.connect)
         && find("ws_set_socket", &ws.set_socket) && find("ws_set_option", &ws.set_option)
         && find("ws_handshake", &ws.handshake) && find("ws_read_message", &ws.read_message)
         && find("ws_write_message", &ws.write_message) && find("ws_output", &ws.output)
         && find("ws_output_advance", &ws.output_advance) && find("ws_feed", &ws.feed)
         && find("ws_abi_version", &ws.abi_version) && find("ws_free", &ws.free);
}

static int is_mapped(void) {
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[1024];
  int found = 0;
  while (maps && fgets(line, sizeof line, maps)) found |= strstr(line, "libwsabi") != NULL;
  if (maps) fclose(maps);
  return found;
}

static void carry(ws_conn *from, ws_conn *to) {
  const uint8_t *data;
  size_t len, consumed;
  while (ws.output(from, &data, &len) == WS_OK && len > 0) {
    EXPECT_IS(ws.feed(to, data, len, &consumed), WS_OK);
    EXPECT_IS(ws.output_advance(from, consumed), WS_OK);
  }
}

static void use_memory(void) {
  ws_conn *client, *server;
  const ws_message *message;
  CHECK_IS(ws.client_new(NULL, "ws://example.com/", &client), WS_OK);
  CHECK_IS(ws.server_new(NULL, &server), WS_OK);
  carry(client, server);
  CHECK_IS(ws.handshake(server), WS_OK);
  carry(server, client);
  CHECK_IS(ws.handshake(client), WS_OK);
  CHECK_IS(ws.write_message(client, WS_TEXT, "hello", 5), WS_OK);
  carry(client, server);
  CHECK_IS(ws.read_message(server, &message), WS_OK);
  CHECK(message->len == 5 && memcmp(message->data, "hello", 5) == 0);
  ws.free(client);
  ws.free(server);
}

static void use_sockets(void) {
  ws_conn *conns[2];
  const ws_message *message;
  int fds[2];
  CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  for (int i = 0; i < 2; i++) {
    CHECK_IS(ws.from_partially_read(NULL, i == 0 ? WS_CLIENT : WS_SERVER, NULL, 0, &conns[i]), WS_OK);
    CHECK_IS(ws.set_option(conns[i], WS_OPT_BLOCKING, 1), WS_OK);
    CHECK_IS(ws.set_option(conns[i], WS_OPT_READ_TIMEOUT_MS, 10), WS_OK);
    CHECK_IS(ws.set_socket(conns[i], fds[i]), WS_OK);
  }
  CHECK_IS(ws.read_message(conns[0], &message), WS_ERR_WOULD_BLOCK);
  CHECK_IS(ws.write_message(conns[0], WS_TEXT, "hello", 5), WS_OK);
  CHECK_IS(ws.read_message(conns[1], &message), WS_OK);
  CHECK_IS(ws.write_message(conns[0], 99, "", 0), WS_ERR_INVALID_ARGUMENT);
  for (int i = 0; i < 2; i++) ws.free(conns[i]), close(fds[i]);
  /* A name is looked up, and nobody listens. */
  CHECK_IS(ws.connect(NULL, "ws://localhost:1/", &conns[0]), WS_OK);
  CHECK_IS(ws.handshake(conns[0]), WS_ERR_IO);
  ws.free(conns[0]);
}

static void nap_ms(int ms) {
  struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
  nanosleep(&time, NULL);
}

/* Takes the place of the C library's resolver: its answer takes as long as it is told. */
static int lookup_ms, lookups;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  (void)node, (void)service, (void)hints, (void)found;
  nap_ms(lookup_ms);
  __atomic_fetch_add(&lookups, 1, __ATOMIC_SEQ_CST);
  return EAI_NONAME;
}

static void a_lookup_under_way_keeps_the_library_until_it_is_over(void) {
  ws_conn *conn;
  int before = lookups;
  lookup_ms = 200;
  CHECK(load());
  CHECK_IS(ws.connect(NULL, "ws://nobody.test:1/", &conn), WS_OK);
  ws.free(conn);
  CHECK_IS(dlclose(ws.library), 0); /* whoever is looking up is still in there */
  CHECK_IS(lookups, before);
  CHECK(is_mapped());
  while (__atomic_load_n(&lookups, __ATOMIC_SEQ_CST) < before + 2) nap_ms(1);
  nap_ms(50); /* the threads end */
  lookup_ms = 0;
  CHECK(load());
  CHECK_IS(dlclose(ws.library), 0);
  CHECK(!is_mapped());
}

static void *use_it(void *arg) {
  (void)arg;
  use_memory();
  use_sockets();
  return NULL;
}

static void the_library_is_gone_after_each_dlclose(void) {
  for (int round = 0; round < 3; round++) {
    CHECK(!is_mapped());
    CHECK(load());
    CHECK(is_mapped());
    CHECK_IS(ws.abi_version(), WS_ABI_VERSION);
    use_it(NULL);
    CHECK_IS(dlclose(ws.library), 0);
    CHECK(!is_mapped());
  }
}

static struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int used, gone;
} stage = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};

static void *use_it_and_outlive_it(void *arg) {
  use_it(arg);
  pthread_mutex_lock(&stage.lock);
  stage.used++;
  pthread_cond_broadcast(&stage.changed);
  while (!stage.gone) pthread_cond_wait(&stage.changed, &stage.lock);
  pthread_mutex_unlock(&stage.lock);
  return NULL;
}

/* Threads that have used it and live on: nothing may be called in them when they end. */
static void threads_that_used_the_library_outlive_it(void) {
  pthread_t threads[3];
  CHECK(load());
  for (int i = 0; i < 3; i++) CHECK_IS(pthread_create(&threads[i], NULL, use_it_and_outlive_it, NULL), 0);
  pthread_mutex_lock(&stage.lock);
  while (stage.used < 3) pthread_cond_wait(&stage.changed, &stage.lock);
  CHECK_IS(dlclose(ws.library), 0);
  CHECK(!is_mapped());
  stage.gone = 1;
  pthread_cond_broadcast(&stage.changed);
  pthread_mutex_unlock(&stage.lock);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
}

int main(int argc, char **argv) {
  check_begin(argc, argv);
  RUN(the_library_is_gone_after_each_dlclose);
  RUN(threads_that_used_the_library_outlive_it);
  RUN(a_lookup_under_way_keeps_the_library_until_it_is_over);
  return check_end();
}
