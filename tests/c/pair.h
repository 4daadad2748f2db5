/* Two connections joined in memory, and frames made by hand. */
#ifndef PAIR_H
#define PAIR_H

#include "wsabi.h"

#include <stdint.h>
#include <string.h>

typedef struct pair {
  ws_conn *client, *server;
} pair;

/* Moves all that `from` has to send, as far as `to` takes it. How many bytes that was. */
static inline size_t carry(ws_conn *from, ws_conn *to) {
  size_t total = 0, len = 0, consumed = 0;
  const uint8_t *data;
  while (ws_output(from, &data, &len) == WS_OK && len > 0) {
    if (ws_feed(to, data, len, &consumed) != WS_OK) break;
    if (ws_output_advance(from, consumed) != WS_OK) break;
    total += consumed;
    if (consumed < len) break;
  }
  return total;
}

/* Reads from `conn`, and brings it the bytes of `peer` as often as it lacks some. */
static inline ws_status_t read_from(ws_conn *conn, ws_conn *peer, const ws_message **out) {
  ws_status_t status;
  while ((status = ws_read_message(conn, out)) == WS_ERR_WOULD_BLOCK && carry(peer, conn) > 0) continue;
  return status;
}

/* Whether the message is that kind and those words. */
static inline int is_message(const ws_message *message, int32_t kind, const char *words) {
  return message && message->kind == kind && message->len == strlen(words)
         && memcmp(message->data, words, message->len) == 0;
}

static inline pair new_pair(const ws_config *client, const ws_config *server) {
  pair both = {NULL, NULL};
  if (ws_client_new(client, "ws://example.com/chat?room=1", &both.client) != WS_OK) both.client = NULL;
  if (ws_server_new(server, &both.server) != WS_OK) both.server = NULL;
  return both;
}

/* A pair whose opening handshake is done; its status. */
static inline ws_status_t open_pair(pair *both, const ws_config *client, const ws_config *server) {
  ws_status_t status;
  *both = new_pair(client, server);
  carry(both->client, both->server);
  if ((status = ws_handshake(both->server)) != WS_OK) return status;
  carry(both->server, both->client);
  return ws_handshake(both->client);
}

static inline void free_pair(pair *both) {
  ws_free(both->client);
  ws_free(both->server);
}

/* A connection in memory that is open without a handshake. */
static inline ws_conn *new_open(const ws_config *config, int32_t role) {
  ws_conn *conn = NULL;
  return ws_from_partially_read(config, role, NULL, 0, &conn) == WS_OK ? conn : NULL;
}

/* Writes a frame as a client (masked with zeros, which change nothing) or as a server; returns its length. `first` is
 * FIN, RSV and opcode: 0x81 begins and ends a text. */
static inline size_t put_frame(uint8_t *out, int32_t from, uint8_t first, const void *payload, size_t len) {
  const uint8_t masked = from == WS_CLIENT ? 0x80 : 0;
  size_t at = 0;
  out[at++] = first;
  if (len < 126) {
    out[at++] = (uint8_t)(masked | len);
  } else {
    int bytes = len < 65536 ? 2 : 8;
    out[at++] = (uint8_t)(masked | (bytes == 2 ? 126 : 127));
    while (bytes-- > 0) out[at++] = (uint8_t)((uint64_t)len >> (8 * bytes));
  }
  if (masked) {
    memset(out + at, 0, 4);
    at += 4;
  }
  if (len > 0) memcpy(out + at, payload, len);
  return at + len;
}

static inline ws_config *config_with(int32_t option, uint64_t value) {
  ws_config *config = ws_config_new();
  if (ws_config_set(config, option, value) != WS_OK) {
    ws_config_free(config);
    return NULL;
  }
  return config;
}

#endif
