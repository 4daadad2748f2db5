/* A client and a server without any transport: the program moves the bytes from one to the other.
 *
 *   cc -std=c99 -Iinclude examples-c/memory_pair.c -Lbuild/lib -lwsabi -o memory_pair
 *
 * It shows memory mode, with which an event loop or an engine with its own sockets drives a connection: it sends what
 * ws_output() lends, and feeds what it receives. Here a whole conversation takes place in this way, from the opening
 * handshake to the end on both sides, and each step is checked. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wsabi.h>

#define CHECK(condition) check(condition, #condition, __LINE__)

static void check(int is_so, const char *condition, int line)
{
    if (!is_so) {
        fprintf(stderr, "memory_pair.c:%d: check failed: %s\n", line, condition);
        exit(1);
    }
}

/* Moves the pending output of one end to the other. With a socket, call send() here. */
static size_t carry(ws_conn *from, ws_conn *to)
{
    const uint8_t *bytes;
    size_t length, taken, total = 0;

    while (ws_output(from, &bytes, &length) == WS_OK && length > 0) {
        CHECK(ws_feed(to, bytes, length, &taken) == WS_OK);
        CHECK(ws_output_advance(from, taken) == WS_OK);
        total += taken;
        if (taken < length)
            break; /* no room at the other end: it has to read first */
    }
    return total;
}

/* The same without an intermediate copy: bytes are received directly into the other end's buffer. */
static size_t carry_into(ws_conn *from, ws_conn *to)
{
    const uint8_t *bytes;
    uint8_t *room;
    size_t length, space;

    CHECK(ws_output(from, &bytes, &length) == WS_OK);
    CHECK(ws_input(to, &room, &space) == WS_OK);
    if (length > space)
        length = space;
    memcpy(room, bytes, length); /* with a socket: length = recv(fd, room, space, 0) */
    CHECK(ws_input_commit(to, length) == WS_OK);
    CHECK(ws_output_advance(from, length) == WS_OK);
    return length;
}

static int is(const ws_message *message, int32_t kind, const char *text)
{
    return message && message->kind == kind && message->len == strlen(text) &&
           memcmp(message->data, text, message->len) == 0;
}

int main(void)
{
    ws_config *config = ws_config_new();
    ws_conn *client, *server;
    const ws_message *message;

    ws_config_add_protocol(config, "chat");
    ws_config_set(config, WS_OPT_DELIVER_CONTROL, 1); /* to see the Pong */
    CHECK(ws_client_new(config, "ws://example.org/room?id=7", &client) == WS_OK);
    CHECK(ws_server_new(config, &server) == WS_OK);
    ws_config_free(config);

    /* The opening handshake: a request, a response. */
    CHECK(ws_handshake(client) == WS_ERR_WOULD_BLOCK);
    printf("request: %zu bytes\n", carry(client, server));
    CHECK(ws_handshake(server) == WS_OK);
    CHECK(strcmp(ws_request_target(server), "/room?id=7") == 0);
    printf("response: %zu bytes\n", carry(server, client));
    CHECK(ws_handshake(client) == WS_OK);
    CHECK(ws_http_status(client) == 101);
    CHECK(strcmp(ws_protocol(client), "chat") == 0);

    /* Messages, several at once. */
    CHECK(ws_queue_message(client, WS_TEXT, "h\xc3\xa9llo", 6) == WS_OK);
    CHECK(ws_queue_message(client, WS_BINARY, "\x00\x01\x02", 3) == WS_OK);
    printf("two messages: %zu bytes\n", carry(client, server));
    CHECK(ws_read_message(server, &message) == WS_OK);
    CHECK(is(message, WS_TEXT, "h\xc3\xa9llo"));
    CHECK(ws_read_message(server, &message) == WS_OK);
    CHECK(message->kind == WS_BINARY && message->len == 3);
    CHECK(ws_write_message(server, message->kind, message->data, message->len) == WS_OK); /* an echo needs no copy */
    CHECK(ws_read_message(server, &message) == WS_ERR_WOULD_BLOCK);
    printf("the echo of one: %zu bytes\n", carry_into(server, client));
    CHECK(ws_read_message(client, &message) == WS_OK);
    CHECK(message->kind == WS_BINARY && message->len == 3);

    /* A Ping is answered automatically when the server reads. */
    CHECK(ws_write_message(client, WS_PING, "still there?", 12) == WS_OK);
    printf("a Ping: %zu bytes\n", carry(client, server));
    CHECK(ws_read_message(server, &message) == WS_OK);
    CHECK(is(message, WS_PING, "still there?"));
    printf("its Pong: %zu bytes\n", carry(server, client));
    CHECK(ws_read_message(client, &message) == WS_OK);
    CHECK(is(message, WS_PONG, "still there?"));

    /* The closing handshake. The server is done when its answer has been sent, the client when the stream has ended. */
    CHECK(ws_close(client, 1000, "bye", 3) == WS_OK);
    CHECK(!ws_can_write(client) && ws_can_read(client));
    printf("a Close: %zu bytes\n", carry(client, server));
    CHECK(ws_read_message(server, &message) == WS_OK);
    CHECK(is(message, WS_CLOSE, "bye") && message->close_code == 1000);
    printf("its answer: %zu bytes\n", carry(server, client));
    CHECK(ws_read_message(server, &message) == WS_ERR_CONNECTION_CLOSED && message == NULL);
    CHECK(ws_feed_eof(client) == WS_OK); /* the server would close its socket now */
    CHECK(ws_read_message(client, &message) == WS_OK);
    CHECK(message->kind == WS_CLOSE && message->close_code == 1000);
    CHECK(ws_read_message(client, &message) == WS_ERR_CONNECTION_CLOSED);
    CHECK(ws_read_message(client, &message) == WS_ERR_ALREADY_CLOSED);
    CHECK(ws_close_code(client) == 1000 && ws_close_code(server) == 1000);
    puts("both ends are closed");

    ws_free(client);
    ws_free(server);
    return 0;
}
