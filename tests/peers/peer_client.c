/* The battery of messages, closings and refusals that our client runs against somebody else's server.
 *
 *   cc -std=c99 -Iinclude tests/peers/peer_client.c -Lbuild/lib -lwsabi -o build/bin/peer_client
 *
 *   peer_client URL [--subprotocol NAME]... [--selects NAME]
 *               [--cacert FILE] [--cert FILE --key FILE] [--proxy URL]
 *               [--mirror | --closeme | --refused STATUS BODY]
 *
 * --selects   the server must select this subprotocol, and none where the option is missing
 * --cacert    trusts these certificates; --cert and --key are ours
 * --mirror    the server answers with text whatever it got, cut anew: the pieces must add up
 * --closeme   only: the server closes with 1001 "seeya" when asked to
 * --refused   only: the handshake must fail, with this status unless it is 0 and this body unless it is ""
 */
#include <wsabi.h>

#include "../../examples-c/deflate_option.h"
#include "../../examples-c/tls_options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 1 << 20, CONNECTIONS = 20, BURST = 500, TIMEOUT_MS = 10000 };
enum { PERIOD = 20011 }; /* repeats that only a large compression window reaches */

struct options {
    const char *url;
    const char *selects;
    const char *refused_status;
    const char *refused_body;
    int mirror;
    int closeme;
};

static struct options options;
static ws_config *config;
static int checks;

static void read_options(char **arguments);
static void set_option(int32_t option, uint64_t value);
static void battery(void);
static void texts(ws_conn *conn);
static void binaries(ws_conn *conn);
static void fragments(ws_conn *conn);
static void pings(ws_conn *conn);
static void burst(ws_conn *conn);
static void closings(void);
static void many(void);
static void closed_by_server(void);
static void refused(void);
static ws_conn *open_connection(void);
static void send_message(ws_conn *conn, int32_t kind, const void *data, size_t len);
static void expect_message(ws_conn *conn, int32_t kind, const void *data, size_t len);
static const ws_message *next_message(ws_conn *conn);
static void close_connection(ws_conn *conn, uint16_t code, const char *reason);
static void expect_end(ws_conn *conn);
static void expect_status(const ws_conn *conn, ws_status_t status, ws_status_t expected, const char *what);
static void done(const char *format, ...);
static void require(const ws_conn *conn, int condition, const char *format, ...);

int main(int argc, char **argv)
{
    config = ws_config_new();
    require(NULL, config != NULL && argc > 1, "usage: peer_client URL [option]...");
    set_option(WS_OPT_HANDSHAKE_TIMEOUT_MS, TIMEOUT_MS);
    set_option(WS_OPT_READ_TIMEOUT_MS, TIMEOUT_MS);
    read_options(argv + 1);

    if (options.refused_status != NULL) {
        refused();
    } else if (options.closeme) {
        closed_by_server();
    } else {
        battery();
    }

    ws_config_free(config);
    printf("peer_client: %d checks OK\n", checks);
    return 0;
}

static void read_options(char **arguments)
{
    const char *cert = NULL, *key = NULL;
    options.url = *arguments++;
    for (; *arguments != NULL; arguments++) {
        const char *name = *arguments;
        if (strcmp(name, "--mirror") == 0) {
            options.mirror = 1;
        } else if (strcmp(name, "--closeme") == 0) {
            options.closeme = 1;
        } else if (strcmp(name, "--subprotocol") == 0 && arguments[1] != NULL) {
            expect_status(NULL, ws_config_add_protocol(config, *++arguments), WS_OK, "ws_config_add_protocol");
        } else if (strcmp(name, "--selects") == 0 && arguments[1] != NULL) {
            options.selects = *++arguments;
        } else if (strcmp(name, "--refused") == 0 && arguments[1] != NULL && arguments[2] != NULL) {
            options.refused_status = *++arguments;
            options.refused_body = *++arguments;
        } else if (strcmp(name, "--deflate") == 0 && arguments[1] != NULL) {
            arguments++;
            require(NULL, set_deflate(config, *arguments), "parameters %s", *arguments);
        } else if (strcmp(name, "--cacert") == 0 && arguments[1] != NULL) {
            arguments++;
            require(NULL, trust(config, *arguments) == NULL, "certificates in %s", *arguments);
        } else if (strcmp(name, "--cert") == 0 && arguments[1] != NULL) {
            cert = *++arguments;
        } else if (strcmp(name, "--key") == 0 && arguments[1] != NULL) {
            key = *++arguments;
        } else if (strcmp(name, "--proxy") == 0 && arguments[1] != NULL) {
            expect_status(NULL, ws_config_set_proxy(config, *++arguments), WS_OK, "ws_config_set_proxy");
        } else {
            require(NULL, 0, "option %s", name);
        }
    }
    require(NULL, cert == NULL || (key != NULL && identify(config, cert, key) == NULL), "certificate %s", cert);
}

static void set_option(int32_t option, uint64_t value)
{
    ws_status_t status = ws_config_set(config, option, value);
    require(NULL, status == WS_OK, "option %d: %s", (int)option, ws_status_name(status));
}

static void battery(void)
{
    ws_conn *conn = open_connection();
    texts(conn);
    binaries(conn);
    fragments(conn);
    pings(conn);
    burst(conn);
    close_connection(conn, 1000, "done");
    closings();
    many();
}

static void texts(ws_conn *conn)
{
    static const char *const samples[] = {"hello", "κόσμε 世界 🦀", ""};
    size_t i;
    for (i = 0; i < sizeof samples / sizeof *samples; i++) {
        send_message(conn, WS_TEXT, samples[i], strlen(samples[i]));
        expect_message(conn, WS_TEXT, samples[i], strlen(samples[i]));
        done("text of %zu bytes", strlen(samples[i]));
    }
}

static void binaries(ws_conn *conn)
{
    static const size_t sizes[] = {0, 1, 125, 126, 127, 65535, 65536, LONGEST};
    static unsigned char data[LONGEST];
    size_t i;
    for (i = 0; i < LONGEST; i++) {
        unsigned value = (unsigned)((i % PERIOD) * (i % PERIOD) % PERIOD);
        data[i] = (unsigned char)(options.mirror ? 'a' + value % 26 : value % 251); /* a mirror makes it text */
    }
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (options.mirror && sizes[i] == LONGEST) {
            break; /* a mirror answers amid a message, and takes no more of it until its answers are read */
        }
        send_message(conn, WS_BINARY, data, sizes[i]);
        expect_message(conn, WS_BINARY, data, sizes[i]);
        done("binary of %zu bytes", sizes[i]);
    }
}

static void fragments(ws_conn *conn)
{
    static const char text[] = "fragmented 🦀";
    /* the second cut is within the crab, but a mirror makes a message of each piece */
    const size_t cuts[] = {0, 4, options.mirror ? 4 : 13, sizeof text - 1};
    size_t i;
    for (i = 0; i < 3; i++) {
        expect_status(conn, ws_write_fragment(conn, WS_TEXT, text + cuts[i], cuts[i + 1] - cuts[i], i == 2), WS_OK,
                      "ws_write_fragment");
    }
    expect_message(conn, WS_TEXT, text, sizeof text - 1);
    done("text in three fragments");

    for (i = 0; i < 100; i++) {
        expect_status(conn, ws_write_fragment(conn, WS_BINARY, &"0123456789"[i % 10], i % 2, i == 99), WS_OK,
                      "ws_write_fragment");
    }
    expect_message(conn, WS_BINARY, "13579135791357913579135791357913579135791357913579", 50);
    done("binary in a hundred fragments, every second one empty");
}

static void pings(ws_conn *conn)
{
    static const size_t sizes[] = {0, 4, 125};
    static char payload[125];
    size_t i;
    memset(payload, 'p', sizeof payload);
    expect_status(conn, ws_set_option(conn, WS_OPT_DELIVER_CONTROL, 1), WS_OK, "ws_set_option");
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const ws_message *pong;
        send_message(conn, WS_PING, payload, sizes[i]);
        pong = next_message(conn);
        require(conn, pong->kind == WS_PONG && pong->len == sizes[i] && memcmp(pong->data, payload, sizes[i]) == 0,
                "pong: kind %d with %zu bytes", (int)pong->kind, pong->len);
        done("pong with %zu bytes", sizes[i]);
    }
    expect_status(conn, ws_set_option(conn, WS_OPT_DELIVER_CONTROL, 0), WS_OK, "ws_set_option");
}

static void burst(ws_conn *conn)
{
    char number[16];
    int i;
    for (i = 0; i < BURST; i++) {
        send_message(conn, WS_TEXT, number, (size_t)sprintf(number, "%d", i));
    }
    for (i = 0; i < BURST; i++) {
        expect_message(conn, WS_TEXT, number, (size_t)sprintf(number, "%d", i));
    }
    done("%d messages in order", BURST);
}

static void closings(void)
{
    close_connection(open_connection(), 1001, "");
    close_connection(open_connection(), 3000, "κόσμε");
    close_connection(open_connection(), 4999, "a reason as long as it may be: "
                     "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901");
}

static void many(void)
{
    ws_conn *conns[CONNECTIONS];
    int i;
    for (i = 0; i < CONNECTIONS; i++) {
        conns[i] = open_connection();
    }
    for (i = 0; i < (options.mirror ? 1 : CONNECTIONS); i++) { /* what one says to a mirror, all hear */
        send_message(conns[i], WS_TEXT, "at once", 7);
    }
    for (i = 0; i < CONNECTIONS; i++) {
        expect_message(conns[i], WS_TEXT, "at once", 7);
    }
    done("%d connections at once", CONNECTIONS);
    for (i = 0; i < CONNECTIONS; i++) {
        close_connection(conns[i], 1000, "");
    }
}

static void closed_by_server(void)
{
    ws_conn *conn = open_connection();
    const ws_message *message;
    send_message(conn, WS_TEXT, "closeme\n", 8);
    do {
        message = next_message(conn);
    } while (message->kind != WS_CLOSE);
    require(conn, message->close_code == 1001, "close code %d", (int)message->close_code);
    require(conn, message->len == 5 && memcmp(message->data, "seeya", 5) == 0, "reason of %zu bytes", message->len);
    expect_end(conn);
    done("closed by the server with 1001 \"seeya\"");
}

static void refused(void)
{
    const int expected = atoi(options.refused_status);
    const size_t expected_len = strlen(options.refused_body);
    ws_conn *conn;
    expect_status(NULL, ws_connect(config, options.url, &conn), WS_OK, "ws_connect");
    expect_status(conn, ws_handshake(conn), WS_ERR_HANDSHAKE, "ws_handshake");
    require(conn, expected == 0 || ws_http_status(conn) == expected, "HTTP status %d", (int)ws_http_status(conn));
    if (expected_len > 0) {
        const uint8_t *body;
        size_t len;
        expect_status(conn, ws_http_body(conn, &body, &len), WS_OK, "ws_http_body");
        require(conn, len == expected_len && memcmp(body, options.refused_body, len) == 0, "body of %zu bytes", len);
    }
    require(conn, *ws_error_message(conn) != '\0', "an explanation");
    done("refused: %s", ws_error_message(conn));
    ws_free(conn);
}

static ws_conn *open_connection(void)
{
    ws_conn *conn;
    const char *selected;
    expect_status(NULL, ws_connect(config, options.url, &conn), WS_OK, "ws_connect");
    expect_status(conn, ws_handshake(conn), WS_OK, "ws_handshake");
    require(conn, ws_http_status(conn) == 101, "HTTP status %d", (int)ws_http_status(conn));
    selected = ws_protocol(conn);
    require(conn, strcmp(selected ? selected : "", options.selects ? options.selects : "") == 0, "subprotocol %s",
            selected ? selected : "(none)");
    return conn;
}

static void send_message(ws_conn *conn, int32_t kind, const void *data, size_t len)
{
    ws_status_t status = ws_write_message(conn, kind, data, len);
    while (status == WS_ERR_SEND_QUEUE_FULL) {
        expect_status(conn, ws_write_pending(conn), WS_OK, "ws_write_pending");
        status = ws_write_message(conn, kind, data, len);
    }
    expect_status(conn, status, WS_OK, "ws_write_message");
}

static void expect_message(ws_conn *conn, int32_t kind, const void *data, size_t len)
{
    const unsigned char *rest = data;
    do {
        const ws_message *message = next_message(conn);
        require(conn, message->kind == (options.mirror ? WS_TEXT : kind), "message of kind %d", (int)message->kind);
        require(conn, (options.mirror ? message->len <= len : message->len == len), "message of %zu bytes for %zu",
                message->len, len);
        require(conn, memcmp(message->data, rest, message->len) == 0, "other bytes than were sent");
        rest += message->len;
        len -= message->len;
    } while (len > 0);
}

static const ws_message *next_message(ws_conn *conn)
{
    const ws_message *message;
    expect_status(conn, ws_read_message(conn, &message), WS_OK, "ws_read_message");
    return message;
}

static void close_connection(ws_conn *conn, uint16_t code, const char *reason)
{
    const ws_message *message;
    expect_status(conn, ws_close(conn, code, reason, strlen(reason)), WS_OK, "ws_close");
    require(conn, ws_write_message(conn, WS_TEXT, "late", 4) != WS_OK, "a message after our Close");
    message = next_message(conn);
    require(conn, message->kind == WS_CLOSE && message->close_code == code, "kind %d, close code %d",
            (int)message->kind, (int)message->close_code);
    expect_end(conn);
    done("closed with %d", (int)code);
}

static void expect_end(ws_conn *conn)
{
    const ws_message *message;
    expect_status(conn, ws_read_message(conn, &message), WS_ERR_CONNECTION_CLOSED, "reading after the Close");
    expect_status(conn, ws_read_message(conn, &message), WS_ERR_ALREADY_CLOSED, "reading again");
    ws_free(conn);
}

static void expect_status(const ws_conn *conn, ws_status_t status, ws_status_t expected, const char *what)
{
    require(conn, status == expected, "%s: %s", what, ws_status_name(status));
}

static void done(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("ok ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    checks++;
}

static void require(const ws_conn *conn, int condition, const char *format, ...)
{
    va_list arguments;
    if (condition) {
        return;
    }
    va_start(arguments, format);
    fflush(stdout);
    fprintf(stderr, "peer_client: FAILED ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, " (%s)\n", conn != NULL ? ws_error_message(conn) : "no connection");
    va_end(arguments);
    exit(1);
}
