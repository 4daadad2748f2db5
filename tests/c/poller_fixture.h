/* Servers and clients with one poller. */
#ifndef POLLER_FIXTURE_H
#define POLLER_FIXTURE_H

#include "check.h"
#include "pair.h"

#include <dirent.h>
#include <time.h>

static inline void nap(int ms) {
  struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
  nanosleep(&time, NULL);
}

static inline int open_files(void) {
#ifdef _WIN32
  DWORD handles = 0;
  GetProcessHandleCount(GetCurrentProcess(), &handles);
  return (int)handles;
#else
  DIR *dir = opendir("/proc/self/fd");
  int count = 0;
  while (dir && readdir(dir)) count++;
  if (dir) closedir(dir);
  return count;
#endif
}

/* Under a checker time runs differently, and limits are its own. */
static inline int is_checked(void) { return getenv("CHECK_REDUCE") != NULL; }

static inline ws_listener *listen_with(const char *url, const ws_config *config) {
  ws_listener *listener = NULL;
  EXPECT_IS(ws_listen(config, url, &listener), WS_OK);
  return listener;
}

static inline ws_listener *listen_at(const char *url) {
  ws_config *config = config_with(WS_OPT_BLOCKING, 0);
  ws_listener *listener = listen_with(url, config);
  ws_config_free(config);
  return listener;
}

static inline ws_conn *start(const char *url, const ws_config *config) {
  ws_config *own = config ? NULL : config_with(WS_OPT_BLOCKING, 0);
  ws_conn *conn = NULL;
  EXPECT_IS(ws_connect(config ? config : own, url, &conn), WS_OK);
  ws_config_free(own);
  return conn;
}

static inline ws_conn *start_at(ws_listener *listener) {
  char url[64];
  snprintf(url, sizeof url, "ws://127.0.0.1:%d/chat", ws_listener_port(listener));
  return start(url, NULL);
}

/* A server and its clients with one poller. The token of a client is its number, a server's is 1000 more. */
enum { SERVER = 1000, LISTENER = 9999, MANY = 200 };

typedef struct poller_fixture {
  ws_poller *poller;
  ws_listener *listener;
  ws_conn *client[MANY], *server[MANY];
  int clients, servers;
  int received[2 * SERVER];
  ws_status_t ended[2 * SERVER];
  int reports;
} poller_fixture;

static inline void begin_with(poller_fixture *all, ws_listener *listener) {
  memset(all, 0, sizeof *all);
  EXPECT_IS(ws_poller_new(&all->poller), WS_OK);
  all->listener = listener;
  EXPECT_IS(ws_poller_add_listener(all->poller, all->listener, LISTENER), WS_OK);
}

static inline void begin(poller_fixture *all, const char *url) { begin_with(all, listen_at(url)); }

static inline void join(poller_fixture *all, ws_conn *client) {
  EXPECT_IS(ws_poller_add(all->poller, client, (uint64_t)all->clients), WS_OK);
  all->client[all->clients++] = client;
}

static inline void accept_all(poller_fixture *all) {
  ws_conn *conn;
  while (ws_listener_accept(all->listener, &conn) == WS_OK) {
    EXPECT_IS(ws_poller_add(all->poller, conn, (uint64_t)(SERVER + all->servers)), WS_OK);
    all->server[all->servers++] = conn;
  }
}

static inline ws_conn *known_as(poller_fixture *all, uint64_t token) {
  return token >= SERVER ? all->server[token - SERVER] : all->client[token];
}

/* One wait, and what it asks for: servers echo. Whether there was anything. */
static inline int turn(poller_fixture *all, int timeout_ms) {
  uint64_t tokens[16];
  size_t count, i;
  ws_status_t status = ws_poller_wait(all->poller, tokens, LENGTH(tokens), timeout_ms, &count);
  if (status != WS_OK) return 0;
  for (i = 0; i < count; i++) {
    const ws_message *message;
    if (tokens[i] == LISTENER) {
      accept_all(all);
      continue;
    }
    all->reports++;
    while ((status = ws_read_message(known_as(all, tokens[i]), &message)) == WS_OK) {
      if (message->kind == WS_CLOSE) continue;
      all->received[tokens[i]]++;
      if (tokens[i] >= SERVER)
        EXPECT_IS(ws_write_message(known_as(all, tokens[i]), message->kind, message->data, message->len), WS_OK);
    }
    if (status != WS_ERR_WOULD_BLOCK) {
      all->ended[tokens[i]] = status;
      if (status == WS_ERR_CONNECTION_CLOSED) EXPECT_IS(ws_poller_remove(all->poller, known_as(all, tokens[i])), WS_OK);
    }
  }
  return 1;
}

static inline void end(poller_fixture *all) {
  int i;
  for (i = 0; i < all->clients; i++) ws_free(all->client[i]);
  for (i = 0; i < all->servers; i++) ws_free(all->server[i]);
  ws_listener_free(all->listener);
  ws_poller_free(all->poller);
}

static inline int all_open(poller_fixture *all, int32_t state) {
  int i;
  for (i = 0; i < all->clients; i++)
    if (ws_get_state(all->client[i]) != state) return 0;
  return 1;
}

/* An open pair with one poller. */
static inline void open_one_with(poller_fixture *all, ws_listener *listener, ws_conn *client) {
  begin_with(all, listener);
  join(all, client);
  while ((all->servers < 1 || ws_get_state(all->server[0]) != WS_STATE_OPEN || !all_open(all, WS_STATE_OPEN))
         && turn(all, 5000)) continue;
  while (turn(all, 10)) continue;
  all->reports = 0;
}

static inline void open_one(poller_fixture *all) {
  ws_listener *listener = listen_at("ws://127.0.0.1:0/");
  open_one_with(all, listener, start_at(listener));
}

#endif
