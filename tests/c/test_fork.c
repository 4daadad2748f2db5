/* After fork(): the child has a copy of everything, and what it does with that is not to harm its parent. */

#include "certificates.h"
#include "poller_fixture.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Takes the place of the C library's: looking "slow.test" up takes a while, and finds this machine. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  static struct sockaddr_storage address;
  static struct addrinfo info;
  (void)service;
  if (strcmp(node, "slow.test") == 0) nap(400);
  if (hints->ai_family != AF_INET) return EAI_NONAME;
  memset(&address, 0, sizeof address);
  address.ss_family = AF_INET;
  ((unsigned char *)&address)[4] = 127, ((unsigned char *)&address)[7] = 1;
  info.ai_family = AF_INET, info.ai_socktype = SOCK_STREAM;
  info.ai_addr = (struct sockaddr *)&address, info.ai_addrlen = 16;
  *found = &info;
  return 0;
}

void freeaddrinfo(struct addrinfo *info) { (void)info; }

long syscall(long number, ...);

/* fork(), and the call beneath it, of which the C library does not know. */
static pid_t fork_by_library(void) { return fork(); }
static pid_t fork_by_system(void) { return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }

/* A child's verdict, through its status. By way of another program, for a checker would count what the child has copies
 * of as lost. */
static void child_ends_with(int failed) {
  fflush(stdout);
  execl("/bin/sh", "sh", "-c", failed ? "exit 1" : "exit 0", (char *)NULL);
  _exit(1);
}

static void child_ends(void) { child_ends_with(check_failed_here); }

static void child_was_well(pid_t child) {
  int status = -1;
  EXPECT_IS(waitpid(child, &status, 0), child);
  EXPECT_IS(status, 0);
}

/* Masking keys */

enum { KEYS = 16 };
typedef struct keys {
  uint32_t key[KEYS];
} keys;

static keys draw(ws_conn *client) {
  keys drawn;
  const uint8_t *data;
  size_t len;
  int i;
  memset(&drawn, 0, sizeof drawn);
  for (i = 0; i < KEYS; i++) {
    EXPECT_IS(ws_write_message(client, WS_TEXT, "hello", 5), WS_OK);
    EXPECT_IS(ws_output(client, &data, &len), WS_OK);
    EXPECT_IS(len, 11);
    if (len == 11) memcpy(&drawn.key[i], data + 2, 4);
    ws_output_advance(client, len);
  }
  return drawn;
}

/* How many of one's keys the other has, too: out of chance, next to never one. */
static int in_common(const keys *one, const keys *other) {
  int i, j, count = 0;
  for (i = 0; i < KEYS; i++)
    for (j = 0; j < KEYS; j++) count += one->key[i] == other->key[j];
  return count;
}

/* What a child draws, and its child after it. */
static void draw_in_child(ws_conn *client, pid_t (*make)(void), keys *child, keys *grandchild) {
  int ends[2];
  pid_t pid;
  EXPECT_IS(pipe(ends), 0);
  pid = make();
  if (pid == 0) {
    keys both[2];
    int inner[2];
    if (pipe(inner) != 0) _exit(1);
    if (grandchild) {
      both[0] = draw(client);
      if (make() == 0) {
        both[1] = draw(client);
        child_ends_with(write(inner[1], &both[1], sizeof both[1]) != sizeof both[1]);
      }
      if (read(inner[0], &both[1], sizeof both[1]) != sizeof both[1]) _exit(1);
      wait(NULL);
    } else {
      both[0] = both[1] = draw(client);
    }
    child_ends_with(write(ends[1], both, sizeof both) != sizeof both);
  }
  EXPECT_IS(read(ends[0], child, sizeof *child), sizeof *child);
  if (grandchild) EXPECT_IS(read(ends[0], grandchild, sizeof *grandchild), sizeof *grandchild);
  child_was_well(pid);
  close(ends[0]), close(ends[1]);
}

static void keys_of_all(pid_t (*make)(void)) {
  ws_conn *client = new_open(NULL, WS_CLIENT);
  keys all[6];
  int i, j;
  all[0] = draw(client);
  draw_in_child(client, make, &all[1], &all[2]);
  draw_in_child(client, make, &all[3], NULL);
  draw_in_child(client, make, &all[4], NULL);
  all[5] = draw(client);
  for (i = 0; i < 6; i++)
    for (j = 0; j < i; j++) EXPECT_IS(in_common(&all[i], &all[j]), 0);
  ws_free(client);
}

static void parent_child_and_grandchild_draw_different_masking_keys(void) { keys_of_all(fork_by_library); }

static void a_process_made_by_the_system_call_draws_its_own_masking_keys(void) { keys_of_all(fork_by_system); }

static void *fork_in_thread(void *arg) {
  (void)arg;
  keys_of_all(fork_by_library);
  return NULL;
}

static void a_fork_in_any_thread_is_noticed(void) {
  pthread_t thread;
  CHECK_IS(pthread_create(&thread, NULL, fork_in_thread, NULL), 0);
  pthread_join(thread, NULL);
}

/* Connections */

/* The child frees what it has a copy of; then the parent's still work both ways, bytes that had come before included. */
static void freed_by_child(poller_fixture *all) {
  const ws_message *message;
  pid_t child;
  CHECK_IS(ws_write_message(all->server[0], WS_TEXT, "before", 6), WS_OK);
  CHECK_IS(ws_write_message(all->client[0], WS_TEXT, "before", 6), WS_OK);
  nap(20);
  child = fork();
  if (child == 0) {
    end(all);
    child_ends();
  }
  child_was_well(child);
  CHECK_IS(ws_wait(all->client[0], 5000), WS_OK);
  CHECK_IS(ws_read_message(all->client[0], &message), WS_OK);
  CHECK(is_message(message, WS_TEXT, "before"));
  CHECK_IS(ws_write_message(all->client[0], WS_TEXT, "after", 5), WS_OK);
  while (all->received[0] < 2 && turn(all, 5000)) continue; /* its poller knows it still */
  CHECK_IS(all->received[0], 2);
  CHECK_IS(all->ended[0], WS_OK);
  CHECK_IS(ws_close(all->client[0], 1000, NULL, 0), WS_OK);
  while (all->ended[0] == WS_OK && turn(all, 5000)) continue;
  CHECK_IS(all->ended[0], WS_ERR_CONNECTION_CLOSED);
  CHECK_IS(all->ended[SERVER], WS_ERR_CONNECTION_CLOSED);
  end(all);
}

static void a_child_that_frees_its_copies_leaves_the_parents_alone(void) {
  static poller_fixture all;
  open_one(&all);
  freed_by_child(&all);
}

static void open_tls(poller_fixture *all) {
  ws_config *server = config_with(WS_OPT_BLOCKING, 0), *client = config_with(WS_OPT_BLOCKING, 0);
  ws_listener *listener;
  char url[64];
  EXPECT_IS(ws_config_set_tls_identity(server, (const uint8_t *)localhost_chain, strlen(localhost_chain),
                                       (const uint8_t *)localhost_key, strlen(localhost_key)), WS_OK);
  EXPECT_IS(ws_config_set_tls_roots(client, (const uint8_t *)authority, strlen(authority)), WS_OK);
  listener = listen_with("wss://127.0.0.1:0/", server);
  snprintf(url, sizeof url, "wss://127.0.0.1:%d/", ws_listener_port(listener));
  open_one_with(all, listener, start(url, client));
  ws_config_free(server);
  ws_config_free(client);
}

static void a_child_that_frees_its_copies_leaves_the_parents_alone_over_tls(void) {
  static poller_fixture all;
  open_tls(&all);
  freed_by_child(&all);
}

static char path[64], url[96];

static void open_unix(poller_fixture *all) {
  ws_listener *listener;
  snprintf(path, sizeof path, "/tmp/wsabi-fork-%d.sock", (int)getpid());
  snprintf(url, sizeof url, "ws+unix://%s:/", path);
  unlink(path);
  listener = listen_at(url);
  open_one_with(all, listener, start(url, NULL));
}

static void a_child_that_frees_its_copies_leaves_the_parents_alone_over_a_unix_socket(void) {
  static poller_fixture all;
  open_unix(&all);
  freed_by_child(&all);
}

static void a_child_that_frees_its_listener_leaves_the_parents_file(void) {
  static poller_fixture all;
  struct stat there;
  ws_conn *another;
  pid_t child;
  open_unix(&all);
  child = fork();
  if (child == 0) {
    end(&all);
    child_ends();
  }
  child_was_well(child);
  CHECK_IS(lstat(path, &there), 0);
  another = start(url, NULL);
  join(&all, another);
  while (ws_get_state(another) != WS_STATE_OPEN && turn(&all, 5000)) continue;
  CHECK_IS(ws_get_state(another), WS_STATE_OPEN);
  end(&all);
  CHECK(lstat(path, &there) != 0);
}

static poller_fixture *left;

static void free_what_is_left(void) {
  end(left);
  child_ends();
}

static void a_child_that_ends_in_the_normal_way_leaves_the_parents_alone(void) {
  static poller_fixture all;
  pid_t child;
  open_one(&all);
  child = fork();
  if (child == 0) { /* as the destructors of a C++ program would */
    left = &all;
    atexit(free_what_is_left);
    exit(0);
  }
  child_was_well(child);
  freed_by_child(&all);
}

/* As servers of many processes do. What a child accepts is its own. */
static void a_child_may_serve_what_its_parents_listener_accepts(void) {
  static poller_fixture mine, own;
  ws_listener *listener = listen_at("ws://127.0.0.1:0/");
  pid_t child = fork();
  if (child == 0) {
    begin_with(&own, listener);
    while (own.servers < 1 || own.ended[SERVER] == WS_OK) turn(&own, 5000);
    EXPECT_IS(own.received[SERVER], 1);
    EXPECT_IS(own.ended[SERVER], WS_ERR_CONNECTION_CLOSED);
    end(&own);
    child_ends();
  }
  begin_with(&mine, listen_at("ws://127.0.0.1:0/"));
  join(&mine, start_at(listener));
  while (ws_get_state(mine.client[0]) != WS_STATE_OPEN && turn(&mine, 5000)) continue;
  CHECK_IS(ws_write_message(mine.client[0], WS_TEXT, "hello", 5), WS_OK);
  while (mine.received[0] < 1 && turn(&mine, 5000)) continue;
  CHECK_IS(mine.received[0], 1);
  CHECK_IS(ws_close(mine.client[0], 1000, NULL, 0), WS_OK);
  while (mine.ended[0] == WS_OK && turn(&mine, 5000)) continue;
  CHECK_IS(mine.ended[0], WS_ERR_CONNECTION_CLOSED); /* the child has ended the stream, too */
  child_was_well(child);
  end(&mine);
  ws_listener_free(listener);
}

static void freeing_in_a_child_what_is_looking_a_name_up_does_not_hang(void) {
  ws_listener *listener = listen_at("ws://127.0.0.1:0/");
  char name[64];
  ws_conn *client, *server = NULL, *another;
  pid_t child;
  int i;
  snprintf(name, sizeof name, "ws://slow.test:%d/", ws_listener_port(listener));
  client = start(name, NULL);
  nap(50);
  child = fork();
  if (child == 0) { /* it has no such threads; names can be looked up all the same */
    alarm(20);
    ws_free(client);
    another = start(name, NULL);
    for (i = 0; i < 1000 && ws_handshake(another) == WS_ERR_WOULD_BLOCK && ws_interest(another); i++) {
      nap(5);
      if (i == 200) break;
    }
    EXPECT_IS(ws_get_state(another), WS_STATE_CONNECTING); /* nobody has accepted it */
    EXPECT_IS(ws_io_error(another), 0);
    ws_free(another);
    child_ends();
  }
  for (i = 0; i < 2000 && ws_get_state(client) == WS_STATE_CONNECTING; i++) {
    ws_handshake(client);
    if (!server) ws_listener_accept(listener, &server);
    if (server) ws_handshake(server);
    nap(1);
  }
  CHECK_IS(ws_get_state(client), WS_STATE_OPEN);
  child_was_well(child);
  ws_free(client);
  ws_free(server);
  ws_listener_free(listener);
}

/* Threads that wait, and what wakes them */

static ws_conn *over_socket(int fd) {
  ws_conn *conn = new_open(NULL, WS_SERVER);
  EXPECT_IS(ws_set_option(conn, WS_OPT_BLOCKING, 1), WS_OK);
  EXPECT_IS(ws_set_socket(conn, fd), WS_OK);
  return conn;
}

static void *read_once(void *conn) {
  const ws_message *message;
  EXPECT_IS(ws_read_message(conn, &message), WS_ERR_WOULD_BLOCK);
  return NULL;
}

/* A thread waits for ever, until it is told that it is not to. */
static void wait_and_be_called(int rounds) {
  int fds[2];
  ws_conn *conn;
  EXPECT_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  conn = over_socket(fds[0]);
  while (rounds-- > 0) {
    pthread_t thread;
    EXPECT_IS(ws_set_option(conn, WS_OPT_READ_TIMEOUT_MS, 0), WS_OK);
    EXPECT_IS(pthread_create(&thread, NULL, read_once, conn), 0);
    nap(2);
    EXPECT_IS(ws_set_option(conn, WS_OPT_READ_TIMEOUT_MS, 1), WS_OK);
    pthread_join(thread, NULL);
  }
  ws_free(conn);
  close(fds[0]), close(fds[1]);
}

static void a_child_whose_threads_wait_does_not_take_what_wakes_its_parents(void) {
  pid_t child;
  int fds[2], rounds = check_reduced(200);
  ws_conn *keeps;
  CHECK_IS(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  keeps = over_socket(fds[0]); /* so that what woke the first one is kept for the next */
  wait_and_be_called(1);
  child = fork();
  wait_and_be_called(rounds); /* or this hangs */
  if (child == 0) child_ends();
  child_was_well(child);
  ws_free(keeps);
  close(fds[0]), close(fds[1]);
}

int main(int argc, char **argv) {
  check_begin(argc, argv);
  RUN(parent_child_and_grandchild_draw_different_masking_keys);
  RUN(a_process_made_by_the_system_call_draws_its_own_masking_keys);
  RUN(a_fork_in_any_thread_is_noticed);
  RUN(a_child_that_frees_its_copies_leaves_the_parents_alone);
  RUN(a_child_that_frees_its_copies_leaves_the_parents_alone_over_tls);
  RUN(a_child_that_frees_its_copies_leaves_the_parents_alone_over_a_unix_socket);
  RUN(a_child_that_frees_its_listener_leaves_the_parents_file);
  RUN(a_child_that_ends_in_the_normal_way_leaves_the_parents_alone);
  RUN(a_child_may_serve_what_its_parents_listener_accepts);
  RUN(a_child_whose_threads_wait_does_not_take_what_wakes_its_parents);
  RUN(freeing_in_a_child_what_is_looking_a_name_up_does_not_hang);
  return check_end();
}
