/* The two ends of a link that run.py makes faulty.
 *
 *   faulty_link server URL PING_MS PONG_MS           echoes
 *   faulty_link client URL PING_MS PONG_MS COUNT     has COUNT messages echoed, then stays
 *   faulty_link frames URL CONNECT_MS                connects from a loop of 60 frames a second
 *
 * Each tells, a line for a thing, what happens: "open", "echoed 200", and with which status a connection ended. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <wsabi.h>

enum { SPACING_MS = 5, FRAME_MS = 16 };

static void fail(const char *what, ws_status_t status)
{
    fprintf(stderr, "faulty_link: %s: %s\n", what, ws_status_name(status));
    exit(1);
}

static void nap(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

static ws_config *configuration(const char *ping, const char *pong)
{
    ws_config *config = ws_config_new();

    ws_config_set(config, WS_OPT_BLOCKING, 0);
    ws_config_set(config, WS_OPT_PING_INTERVAL_MS, strtoull(ping, NULL, 10));
    ws_config_set(config, WS_OPT_PONG_TIMEOUT_MS, strtoull(pong, NULL, 10));
    return config;
}

static void tell_end(const ws_conn *conn, ws_status_t status)
{
    printf("%s: %s\n", ws_status_name(status), ws_error_message(conn));
    fflush(stdout);
}

static void serve(ws_conn *conn)
{
    const ws_message *message;
    ws_status_t status;

    while ((status = ws_read_message(conn, &message)) != WS_ERR_WOULD_BLOCK) {
        if (status == WS_OK && message->kind != WS_CLOSE) {
            ws_write_message(conn, message->kind, message->data, message->len);
        } else if (status == WS_ERR_CONNECTION_CLOSED || ws_status_is_fatal(status)) {
            tell_end(conn, status);
            ws_free(conn);
            return;
        }
    }
}

static void server(const char *url, ws_config *config)
{
    ws_listener *listener;
    ws_poller *poller;
    ws_conn *conn;
    uint64_t token;
    size_t count;
    ws_status_t status = ws_listen(config, url, &listener);

    if (status != WS_OK) fail(url, status);
    if (ws_poller_new(&poller) != WS_OK) fail("poller", WS_ERR_IO);
    ws_poller_add_listener(poller, listener, 0);
    printf("listening on %s\n", url);
    fflush(stdout);
    for (;;) {
        if (ws_poller_wait(poller, &token, 1, -1, &count) != WS_OK || count == 0) continue;
        if (token != 0) serve((ws_conn *)(uintptr_t)token);
        while (token == 0 && ws_listener_accept(listener, &conn) == WS_OK)
            ws_poller_add(poller, conn, (uintptr_t)conn);
    }
}

static int client(const char *url, ws_config *config, long count)
{
    const ws_message *message;
    ws_conn *conn;
    ws_status_t status = ws_connect(config, url, &conn);
    long sent = 0, echoed = 0;
    int is_open = 0;
    char text[32];

    if (status != WS_OK) fail(url, status);
    for (;;) {
        while ((status = ws_read_message(conn, &message)) == WS_OK) {
            snprintf(text, sizeof text, "message %ld", echoed);
            if (message->kind != WS_TEXT || message->len != strlen(text) || memcmp(message->data, text, message->len) != 0)
                fail("not the echo that was next", WS_OK);
            if (++echoed == count) {
                printf("echoed %ld\n", echoed);
                fflush(stdout);
            }
        }
        if (status != WS_ERR_WOULD_BLOCK) break;
        if (!is_open && ws_can_write(conn)) {
            is_open = 1;
            printf("open\n");
            fflush(stdout);
        }
        if (is_open && sent < count) {
            snprintf(text, sizeof text, "message %ld", sent);
            if (ws_write_message(conn, WS_TEXT, text, strlen(text)) == WS_OK) sent++;
            nap(SPACING_MS); /* or they would all be in one packet */
        } else {
            ws_wait(conn, -1);
        }
    }
    tell_end(conn, status);
    ws_free(conn);
    ws_config_free(config);
    return 0;
}

static int frames(const char *url, const char *timeout)
{
    ws_config *config = configuration("0", "20000");
    const ws_message *message;
    ws_conn *conn;
    uint64_t start = ws_now(), begun, longest = 0;
    ws_status_t status;

    ws_config_set(config, WS_OPT_CONNECT_TIMEOUT_MS, strtoull(timeout, NULL, 10));
    status = ws_connect(config, url, &conn);
    longest = ws_now() - start;
    if (status != WS_OK) fail(url, status);
    for (;;) {
        begun = ws_now();
        status = ws_read_message(conn, &message);
        if (ws_now() - begun > longest) longest = ws_now() - begun;
        if (status != WS_ERR_WOULD_BLOCK) break;
        nap(FRAME_MS);
    }
    printf("gave up after %d ms, longest frame %d ms, ", (int)(ws_now() - start), (int)longest);
    tell_end(conn, status);
    ws_free(conn);
    ws_config_free(config);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "server") == 0) server(argv[2], configuration(argv[3], argv[4])); /* for ever */
    if (argc == 6 && strcmp(argv[1], "client") == 0)
        return client(argv[2], configuration(argv[3], argv[4]), strtol(argv[5], NULL, 10));
    if (argc == 4 && strcmp(argv[1], "frames") == 0) return frames(argv[2], argv[3]);
    fprintf(stderr, "usage: faulty_link server|client|frames URL ...\n");
    return 2;
}
