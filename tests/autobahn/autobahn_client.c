/* The client that the Autobahn TestSuite judges: it runs every case of a fuzzing server and echoes what it is sent.
 *
 *   cc -std=c99 -Iinclude tests/autobahn/autobahn_client.c -Lbuild/lib -lwsabi -o build/bin/autobahn_client
 *   autobahn_client ws://127.0.0.1:9001 AGENT
 *
 * The exit status says whether all cases ran, not how they went: that is in the suite's report. */
#include <stdio.h>
#include <stdlib.h>

#include "wsabi.h"

static ws_config *config;
static const char *server;
static const char *agent;

static long count_cases(void);
static void run_case(long number);
static void update_reports(void);

int main(int argc, char **argv)
{
    long number, count;

    if (argc != 3) {
        fprintf(stderr, "usage: %s ws://HOST:PORT AGENT\n", argv[0]);
        return 2;
    }
    server = argv[1];
    agent = argv[2];
    config = ws_config_new();
    ws_config_set(config, WS_OPT_DEFLATE, 1); /* offered; only cases 12 and 13 take it up */
    ws_config_set(config, WS_OPT_DEFLATE_THRESHOLD, 0);

    count = count_cases();
    for (number = 1; number <= count; number++)
        run_case(number);
    update_reports();

    ws_config_free(config);
    return 0;
}

static ws_conn *open_connection(const char *path);
static const ws_message *read_data(ws_conn *conn);
static void fail(const char *what, ws_status_t status, ws_conn *conn);

static long count_cases(void)
{
    ws_conn *conn = open_connection("/getCaseCount");
    const ws_message *message;
    char digits[16];
    long count = 0;

    while ((message = read_data(conn)) != NULL) {
        snprintf(digits, sizeof digits, "%.*s", (int)message->len, (const char *)message->data);
        count = strtol(digits, NULL, 10);
    }
    ws_free(conn);
    return count;
}

static void run_case(long number)
{
    char path[256];
    ws_conn *conn;
    const ws_message *message;

    snprintf(path, sizeof path, "/runCase?case=%ld&agent=%s", number, agent);
    conn = open_connection(path);
    while ((message = read_data(conn)) != NULL) {
        ws_status_t status = ws_write_message(conn, message->kind, message->data, message->len);
        if (status != WS_OK && status != WS_ERR_CONNECTION_CLOSED && status != WS_ERR_IO)
            fail("ws_write_message", status, conn);
    }
    ws_free(conn);
}

static void update_reports(void)
{
    char path[256];
    ws_conn *conn;

    snprintf(path, sizeof path, "/updateReports?agent=%s", agent);
    conn = open_connection(path);
    while (read_data(conn) != NULL)
        ;
    ws_free(conn);
}

static ws_conn *open_connection(const char *path)
{
    char url[512];
    ws_conn *conn = NULL;
    ws_status_t status;

    snprintf(url, sizeof url, "%s%s", server, path);
    status = ws_connect(config, url, &conn);
    if (status != WS_OK)
        fail("ws_connect", status, NULL);
    status = ws_handshake(conn);
    if (status != WS_OK)
        fail("ws_handshake", status, conn);
    return conn;
}

/* The next text or binary message; NULL when the connection is over. */
static const ws_message *read_data(ws_conn *conn)
{
    for (;;) {
        const ws_message *message;
        ws_status_t status = ws_read_message(conn, &message);

        switch (status) {
        case WS_OK:
            if (message->kind == WS_TEXT || message->kind == WS_BINARY)
                return message;
            break;
        case WS_ERR_PROTOCOL:
        case WS_ERR_UTF8:
        case WS_ERR_CAPACITY:
            break; /* what most cases provoke: reading on sends our Close and awaits the peer's */
        case WS_ERR_CONNECTION_CLOSED:
        case WS_ERR_IO: /* the suite drops connections too */
            return NULL;
        default:
            fail("ws_read_message", status, conn);
        }
    }
}

/* A case that the library cannot handle at all ends the run, so that it is seen. */
static void fail(const char *what, ws_status_t status, ws_conn *conn)
{
    const char *detail = conn != NULL ? ws_error_message(conn) : NULL;

    fprintf(stderr, "%s: %s%s%s\n", what, ws_status_message(status), detail != NULL ? ": " : "",
            detail != NULL ? detail : "");
    exit(1);
}
