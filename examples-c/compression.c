/* permessage-deflate (RFC 7692): the size of a conversation in JSON on the wire.
 *
 *   cc -std=c99 -Iinclude examples-c/compression.c -Lbuild/lib -lwsabi -o compression
 *   compression [PARAMETERS]               for example "server_no_context_takeover; level=6"
 *
 * A client and a server in memory negotiate it in their opening handshake. Then the client sends messages that differ in
 * a few words each, and the bytes that it sends are counted. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wsabi.h>

#include "deflate_option.h"

enum { MESSAGES = 100 };

static void fail(const char *what)
{
    fprintf(stderr, "compression: %s\n", what);
    exit(1);
}

/* Moves the pending output of one end to the other; returns its size in bytes. */
static size_t carry(ws_conn *from, ws_conn *to)
{
    const uint8_t *bytes;
    size_t length, taken, total = 0;

    while (ws_output(from, &bytes, &length) == WS_OK && length > 0) {
        if (ws_feed(to, bytes, length, &taken) != WS_OK || ws_output_advance(from, taken) != WS_OK)
            fail("the bytes cannot be carried over");
        total += taken;
    }
    return total;
}

static uint64_t agreed(const ws_conn *conn, int32_t option)
{
    uint64_t value = 0;

    ws_get_option(conn, option, &value);
    return value;
}

int main(int argc, char **argv)
{
    ws_config *config = ws_config_new();
    ws_conn *client = NULL, *server = NULL;
    const ws_message *message;
    size_t plain = 0, sent = 0;
    int i;

    if (!set_deflate(config, argc > 1 ? argv[1] : ""))
        fail("not parameters of permessage-deflate");
    if (ws_client_new(config, "ws://example.org/", &client) != WS_OK || ws_server_new(config, &server) != WS_OK)
        fail("no connection");
    ws_config_free(config);

    ws_handshake(client);
    carry(client, server);
    ws_handshake(server);
    carry(server, client);
    if (ws_handshake(client) != WS_OK || agreed(client, WS_OPT_DEFLATE) != 1)
        fail("no agreement");
    printf("agreed: a window of %" PRIu64 " bits for the client, %" PRIu64 " for the server; context takeover: %s, %s\n",
           agreed(client, WS_OPT_DEFLATE_CLIENT_MAX_WINDOW_BITS), agreed(client, WS_OPT_DEFLATE_SERVER_MAX_WINDOW_BITS),
           agreed(client, WS_OPT_DEFLATE_CLIENT_NO_CONTEXT_TAKEOVER) ? "no" : "yes",
           agreed(client, WS_OPT_DEFLATE_SERVER_NO_CONTEXT_TAKEOVER) ? "no" : "yes");

    for (i = 0; i < MESSAGES; i++) {
        char text[256];
        size_t length = (size_t)snprintf(text, sizeof text,
            "{\"type\":\"position\",\"player\":\"player-%d\",\"x\":%d.%02d,\"y\":%d.%02d,\"action\":\"%s\",\"sequence\":%d}",
            i % 7, i * 37 % 1000, i * 13 % 100, i * 53 % 1000, i * 71 % 100, i % 3 ? "walk" : "jump", i);

        if (ws_write_message(client, WS_TEXT, text, length) != WS_OK)
            fail(ws_error_message(client));
        plain += length;
        sent += carry(client, server);
        if (ws_read_message(server, &message) != WS_OK || message->len != length ||
            memcmp(message->data, text, length) != 0)
            fail("a message did not arrive as it was sent");
    }
    printf("%d messages: %zu bytes of JSON, %zu on the wire with all headers: %.1f to 1\n", MESSAGES, plain, sent,
           (double)plain / (double)sent);

    ws_free(client);
    ws_free(server);
    return 0;
}
