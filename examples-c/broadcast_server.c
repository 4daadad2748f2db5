/* Relays every message of a client to all clients, including itself: 10,000 clients on one thread.
 *
 *   cc -std=c99 -D_POSIX_C_SOURCE=200809L -Iinclude examples-c/broadcast_server.c -Lbuild/lib -lwsabi -o broadcast_server
 *   broadcast_server [URL] [--cert FILE --key FILE] [--handshake-timeout MS] [--ping MS] [--pong-timeout MS]
 *
 * Without a URL it listens on ws://127.0.0.1:9001/. A message is framed once and shared by all queues. A client whose
 * queue is full is closed with 1013, try again later (not 1008: it violated no rule). Nobody waits for it: it has
 * CLOSE_MS to read what was queued and the reason, then it is dropped. SIGTERM or SIGINT end the server with status 0. */
#include "server_options.h" /* the options, the listener, and `stopping`, which a signal sets */

enum { MAX_CLIENTS = 100000, MAX_MESSAGE = 64 << 10, MAX_QUEUED = 256 << 10 /* bytes, for one client */, CLOSE_MS = 2000 };
enum { TURN = 16 /* messages read before the next client's turn */, LOOK_MS = 250 /* how soon a signal is noticed */ };

struct client {
    ws_conn *conn;
    size_t place;
};

static struct client *clients[MAX_CLIENTS]; /* contiguous, unordered */
static size_t client_count;
static ws_poller *poller;

static void welcome(ws_conn *conn)
{
    struct client *client = client_count < MAX_CLIENTS ? malloc(sizeof *client) : NULL;

    if (!client || ws_poller_add(poller, conn, (uintptr_t)client) != WS_OK) {
        free(client);
        ws_free(conn);
        return;
    }
    client->conn = conn;
    client->place = client_count;
    clients[client_count++] = client;
}

/* Only while its own token is served: another token of the same wait must not refer to a freed client. */
static void drop(struct client *client)
{
    clients[client->place] = clients[--client_count];
    clients[client->place]->place = client->place;
    ws_free(client->conn);
    free(client);
}

static void relay(const ws_message *message)
{
    ws_prepared *prepared;
    size_t i;

    if (ws_prepare_message(message->kind, message->data, message->len, &prepared) != WS_OK)
        return;
    for (i = 0; i < client_count; i++) /* other failures are reported by the next read from that client */
        if (ws_write_prepared(clients[i]->conn, prepared) == WS_ERR_SEND_QUEUE_FULL)
            ws_close(clients[i]->conn, 1013, "too slow", strlen("too slow"));
    ws_prepared_free(prepared);
}

static void serve(struct client *client)
{
    const ws_message *message;
    ws_status_t status = WS_OK;
    int turn;

    for (turn = 0; turn < TURN && status != WS_ERR_WOULD_BLOCK; turn++) { /* what is left is reported again */
        status = ws_read_message(client->conn, &message);
        if (status == WS_OK && message->kind != WS_CLOSE)
            relay(message);
        if (status == WS_ERR_CONNECTION_CLOSED || status <= WS_ERR_INVALID_ARGUMENT) {
            drop(client); /* after any other failure a Close with the reason is being sent: read on */
            return;
        }
    }
}

int main(int argc, char **argv)
{
    const char *url = "ws://127.0.0.1:9001/";
    ws_config *config = ws_config_new();
    ws_listener *listener;
    ws_conn *conn;
    uint64_t tokens[256];
    size_t count, k;
    int i;

    ws_config_set(config, WS_OPT_BLOCKING, 0);
    ws_config_set(config, WS_OPT_MAX_MESSAGE_SIZE, MAX_MESSAGE);
    ws_config_set(config, WS_OPT_MAX_SEND_BYTES, MAX_QUEUED);
    ws_config_set(config, WS_OPT_CLOSE_TIMEOUT_MS, CLOSE_MS);
    for (i = 1; i < argc; i++) {
        if (argv[i][0] != '-')
            url = argv[i];
        else if (server_option(config, argv[i], argv[i + 1]))
            i++;
        else
            fail("usage: broadcast_server [URL]", SERVER_OPTIONS);
    }
    listener = open_listener(config, url);
    ws_config_free(config);
    if (ws_poller_new(&poller) != WS_OK || ws_poller_add_listener(poller, listener, 0) != WS_OK)
        fail("poller", strerror(errno));

    while (!stopping) {
        ws_poller_wait(poller, tokens, 256, LOOK_MS, &count);
        for (k = 0; k < count; k++) {
            if (tokens[k] != 0)
                serve((struct client *)(uintptr_t)tokens[k]);
            while (tokens[k] == 0 && ws_listener_accept(listener, &conn) == WS_OK)
                welcome(conn);
        }
    }
    while (client_count > 0) {
        ws_close(clients[0]->conn, 1001, NULL, 0); /* going away; sent if the socket accepts it */
        drop(clients[0]);
    }
    ws_listener_free(listener);
    ws_poller_free(poller);
    return 0;
}
