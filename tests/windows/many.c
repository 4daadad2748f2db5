/* Many connections, both ends of each in one poller of one thread: every message is echoed, and no report of the poller is for
 * nothing. `many CONNECTIONS ROUNDS` prints what it has counted; the status is 0 where each echo came and no report was in vain. */
#include "wsabi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 50, TOKENS = 256, PATIENCE = 120000 };

static const uint64_t LISTENER = UINT64_MAX;
static ws_poller *poller;
static ws_listener *listener;
static ws_conn **conns; /* clients at the even places, by their tokens, servers at the odd */
static size_t clients, servers, opened, most;
static size_t echoes, reports, in_vain;

static void need(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "many: %s: %s; %zu clients, %zu servers, %zu open, %zu echoes\n", what, ws_last_error_message(), clients,
          servers, opened, echoes);
  exit(2);
}

static int is_open(size_t token) { return ws_get_state(conns[token]) == WS_STATE_OPEN; }

static void shake(size_t token) {
  ws_status_t status = ws_handshake(conns[token]);
  need(status == WS_OK || status == WS_ERR_WOULD_BLOCK, ws_error_message(conns[token]));
  opened += is_open(token);
}

static void accept_all(void) {
  ws_conn *conn;
  while (ws_listener_accept(listener, &conn) == WS_OK) {
    size_t token = 2 * servers++ + 1;
    conns[token] = conn;
    need(ws_poller_add(poller, conn, token) == WS_OK, "ws_poller_add");
    shake(token);
  }
}

/* Reads all there is, and echoes what a client has sent. */
static void serve(size_t token) {
  const ws_message *message;
  ws_status_t status;
  size_t read = 0;
  while ((status = ws_read_message(conns[token], &message)) == WS_OK) {
    read++;
    if (token % 2 == 0) echoes++;
    else need(ws_write_message(conns[token], message->kind, message->data, message->len) == WS_OK, "an echo");
  }
  need(status == WS_ERR_WOULD_BLOCK, ws_error_message(conns[token]));
  in_vain += read == 0;
}

static size_t wait_once(int32_t ms) {
  uint64_t tokens[TOKENS];
  size_t count = 0, i;
  ws_status_t status = ws_poller_wait(poller, tokens, TOKENS, ms, &count);
  need(status == WS_OK || status == WS_ERR_WOULD_BLOCK, "ws_poller_wait");
  for (i = 0; i < count; i++) {
    if (tokens[i] == LISTENER) accept_all();
    else if (is_open((size_t)tokens[i])) serve((size_t)tokens[i]);
    else shake((size_t)tokens[i]);
  }
  return count;
}

int main(int argc, char **argv) {
  ws_config *config = ws_config_new();
  size_t rounds, round, token;
  char url[64];
  uint64_t begun;
  most = argc > 1 ? (size_t)atol(argv[1]) : 1000;
  rounds = argc > 2 ? (size_t)atol(argv[2]) : 10;
  conns = calloc(2 * most, sizeof *conns);
  ws_config_set(config, WS_OPT_BLOCKING, 0);
  need(ws_listen(config, "ws://127.0.0.1:0/", &listener) == WS_OK, "ws_listen");
  need(ws_poller_new(&poller) == WS_OK && ws_poller_add_listener(poller, listener, LISTENER) == WS_OK, "the poller");
  snprintf(url, sizeof url, "ws://127.0.0.1:%d/", ws_listener_port(listener));

  begun = ws_now();
  while (opened < 2 * most) {
    while (clients < most && 2 * clients < opened + 2 * BATCH) {
      token = 2 * clients++;
      need(ws_connect(config, url, &conns[token]) == WS_OK, "ws_connect");
      need(ws_poller_add(poller, conns[token], token) == WS_OK, "ws_poller_add");
    }
    wait_once(1000);
    need(ws_now() - begun < PATIENCE, "opening takes too long");
  }
  printf("%zu connections are open after %d ms\n", most, (int)(ws_now() - begun));
  while (wait_once(200) > 0) continue; /* what opening has left */
  in_vain = 0;
  begun = ws_now();
  for (round = 0; round < rounds; round++) {
    for (token = 0; token < 2 * most; token += 2)
      need(ws_write_message(conns[token], WS_TEXT, "words", 5) == WS_OK, "a message");
    while (echoes < (round + 1) * most) {
      reports += wait_once(1000);
      need(ws_now() - begun < PATIENCE, "echoing takes too long");
    }
  }
  reports += wait_once(200); /* there is nothing more to report */
  printf("%zu messages echoed in %d ms: %zu reports, %zu of them for nothing\n", echoes, (int)(ws_now() - begun), reports,
         in_vain);
  for (token = 0; token < 2 * most; token++) ws_free(conns[token]);
  ws_listener_free(listener);
  ws_poller_free(poller);
  ws_config_free(config);
  free(conns);
  return in_vain > 0 || echoes != rounds * most;
}
