/* A client and a server over callbacks instead of sockets.
 *
 *   cc -std=c99 -Iinclude examples-c/callbacks.c -Lbuild/lib -lwsabi -o callbacks
 *
 * It shows ws_set_io(): two callbacks move the bytes, here through a pair of small ring buffers in memory; a serial
 * line, a tunnel or a TLS library works the same way. They move as many bytes as they can, and return EAGAIN if that is
 * none: the call on the connection then returns WS_ERR_WOULD_BLOCK, and is repeated later. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wsabi.h>

/* One direction. Small, so that a long message passes in many pieces. */
struct ring {
    uint8_t bytes[1000];
    size_t from, filled;
};

/* One end: the ring it receives from, and the ring it sends to. */
struct line {
    struct ring *in, *out;
};

static int32_t receive_some(void *userdata, uint8_t *buf, size_t len, size_t *out_n)
{
    struct ring *ring = ((struct line *)userdata)->in;
    size_t i;

    if (ring->filled == 0)
        return EAGAIN; /* 0 bytes would mean the end of the stream */
    for (i = 0; i < len && ring->filled > 0; i++) {
        buf[i] = ring->bytes[ring->from];
        ring->from = (ring->from + 1) % sizeof ring->bytes;
        ring->filled--;
    }
    *out_n = i;
    return 0;
}

static int32_t send_some(void *userdata, const uint8_t *buf, size_t len, size_t *out_n)
{
    struct ring *ring = ((struct line *)userdata)->out;
    size_t i;

    if (ring->filled == sizeof ring->bytes)
        return EAGAIN;
    for (i = 0; i < len && ring->filled < sizeof ring->bytes; i++) {
        ring->bytes[(ring->from + ring->filled) % sizeof ring->bytes] = buf[i];
        ring->filled++;
    }
    *out_n = i;
    return 0;
}

static void check(int is_so, const char *what)
{
    if (!is_so) {
        fprintf(stderr, "callbacks: check failed: %s\n", what);
        exit(1);
    }
}

/* Reads from one end and lets the other one send. NULL: the connection is over. */
static const ws_message *next_message(ws_conn *reader, ws_conn *other)
{
    const ws_message *message;
    ws_status_t status;

    while ((status = ws_read_message(reader, &message)) == WS_ERR_WOULD_BLOCK) {
        status = ws_write_pending(other);
        check(status == WS_OK || status == WS_ERR_WOULD_BLOCK, "the other end can send");
    }
    check(status == WS_OK || status == WS_ERR_CONNECTION_CLOSED, ws_error_message(reader));
    return message;
}

int main(void)
{
    static char poem[100000]; /* far more than a ring holds */
    struct ring up = {.filled = 0}, down = {.filled = 0};
    struct line client_line = {&down, &up}, server_line = {&up, &down};
    ws_conn *client, *server;
    const ws_message *message;

    check(ws_client_new(NULL, "ws://example.org/chat", &client) == WS_OK, "there is a client");
    check(ws_server_new(NULL, &server) == WS_OK, "there is a server");
    check(ws_set_io(client, receive_some, send_some, &client_line) == WS_OK, "the client has its transport");
    check(ws_set_io(server, receive_some, send_some, &server_line) == WS_OK, "the server has its transport");

    while (ws_handshake(client) == WS_ERR_WOULD_BLOCK)
        ws_handshake(server);
    check(ws_get_state(client) == WS_STATE_OPEN && ws_get_state(server) == WS_STATE_OPEN, "both ends are open");
    printf("handshake done: the client asked for %s\n", ws_request_target(server));

    memset(poem, 'o', sizeof poem);
    check(ws_write_message(client, WS_TEXT, poem, sizeof poem) == WS_OK, "a message is accepted whole");
    printf("client sent %zu bytes, of which %zu still wait\n", sizeof poem, ws_queued_bytes(client));
    message = next_message(server, client);
    check(message && message->kind == WS_TEXT && message->len == sizeof poem, "the server has the message");
    check(memcmp(message->data, poem, sizeof poem) == 0, "it is the same");
    printf("server received %zu bytes\n", message->len);

    check(ws_write_message(server, WS_TEXT, "thank you", 9) == WS_OK, "the server answers");
    message = next_message(client, server);
    check(message && message->len == 9, "the client has the answer");
    printf("client received: %.*s\n", (int)message->len, (const char *)message->data);

    check(ws_close(client, 1000, "done", 4) == WS_OK, "the client closes");
    message = next_message(server, client);
    check(message && message->kind == WS_CLOSE, "the server hears it");
    printf("server received a Close: %d %.*s\n", message->close_code, (int)message->len, (const char *)message->data);
    check(next_message(server, client) == NULL, "the server is done");
    message = next_message(client, server);
    check(message && message->kind == WS_CLOSE && message->close_code == 1000, "the client has the answer");
    printf("client received the answer: closed with %d\n", ws_close_code(client));

    ws_free(client);
    ws_free(server);
    return 0;
}
