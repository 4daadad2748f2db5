/* An echo server as one writes it for speed: one poller, messages read and answered in batches, one send for each.
 *
 *   wsabi PORT */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <wsabi.h>

enum { TOKENS = 256, LISTENER = 0 };

static ws_poller *poller;
static ws_listener *listener;

static void require(ws_status_t status, const char *what)
{
    if (status != WS_OK) {
        fprintf(stderr, "wsabi: %s: %s\n", what, ws_status_message(status));
        exit(1);
    }
}

static void accept_all(void)
{
    ws_conn *conn;

    while (ws_listener_accept(listener, &conn) == WS_OK)
        if (ws_poller_add(poller, conn, (uint64_t)(uintptr_t)conn) != WS_OK)
            ws_free(conn);
}

/* Answers what has come. A peer that leaves too many of its echoes lying is cut off. */
static void serve(ws_conn *conn)
{
    const ws_message *const *messages;
    size_t count, accepted;
    ws_status_t status;

    while ((status = ws_read_messages(conn, &messages, &count)) == WS_OK) {
        status = ws_write_messages(conn, messages, count, &accepted);
        if (status != WS_OK)
            break;
    }
    if (status != WS_ERR_WOULD_BLOCK)
        ws_free(conn);
}

int main(int argc, char **argv)
{
    ws_config *config = ws_config_new();
    uint64_t tokens[TOKENS];
    char url[64];
    size_t count, i;

    signal(SIGTERM, SIG_DFL);
    snprintf(url, sizeof url, "ws://127.0.0.1:%s/", argc > 1 ? argv[1] : "9001");
    ws_config_set(config, WS_OPT_BLOCKING, 0);
    ws_config_set(config, WS_OPT_KEEP_HEAD, 0);
    ws_config_set(config, WS_OPT_MAX_SEND_BYTES, 64 << 20);
    require(ws_listen(config, url, &listener), url);
    require(ws_poller_new(&poller), "poller");
    require(ws_poller_add_listener(poller, listener, LISTENER), "listener");
    ws_config_free(config);
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        require(ws_poller_wait(poller, tokens, TOKENS, -1, &count), "wait");
        for (i = 0; i < count; i++) {
            if (tokens[i] == LISTENER)
                accept_all();
            else
                serve((ws_conn *)(uintptr_t)tokens[i]);
        }
    }
}
