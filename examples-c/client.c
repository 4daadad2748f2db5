/* A command-line client, for trying out a server.
 *
 *   cc -std=c99 -D_POSIX_C_SOURCE=200809L -Iinclude examples-c/client.c -Lbuild/lib -lwsabi -o client
 *   client [OPTION]... URL                 client --help lists the options
 *
 * It shows a connection from its opening to its end: a handshake that may be refused, a loop that waits for the
 * terminal and the peer at the same time, messages of any size sent and received in parts in constant memory, and a
 * complete closing handshake. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <wsabi.h>

#include "portable.h"
#include "tls_options.h"

static const char HELP[] =
    "usage: client [OPTION]... URL\n"
    "Sends each line of standard input to a WebSocket server as a text message, and prints what it receives.\n"
    "The URL is ws://HOST:PORT/, wss://HOST:PORT/ or ws+unix://PATH:/.\n"
    "\n"
    "  --file PATH            send this file as one binary message instead\n"
    "  --text                 send the file as one text message\n"
    "  --output PATH          write binary messages to this file instead of printing a summary\n"
    "  --header 'Name: value' add a header to the request; may be repeated\n"
    "  --subprotocol NAME     offer a subprotocol, in order of preference; may be repeated\n"
    "  --ping                 send a Ping first, and print when its Pong arrives\n"
    "  --close CODE[:REASON]  close with this code instead of 1000\n"
    "  --count N              exit after N messages\n"
    "  --wait SECONDS         exit when nothing is received for this long after the end of the input (1)\n"
    "  --timeout SECONDS      time limit for the opening and the closing handshake (10)\n"
    "  --cacert FILE          trust the certificates in this file (PEM) for wss://, instead of the system's\n"
    "  --cert FILE            present this certificate chain (PEM) to a server that requests one\n"
    "  --key FILE             its private key\n"
    "  --insecure             accept any certificate: for tests only\n"
    "  --proxy URL            use this proxy: http://, socks5:// or socks5h://[USER:PASSWORD@]HOST:PORT\n"
    "  --proxy-from-env       use the proxy that https_proxy, http_proxy or all_proxy names\n"
    "  -v, --verbose          show the opening handshake, Pings, Pongs and the closing handshake\n"
    "\n"
    "Texts and summaries go to standard output, everything else to standard error.\n"
    "\n"
    "exit status:\n"
    "  0  the connection ended with a closing handshake\n"
    "  1  connecting failed, the connection was lost, or the server closed it because of an error\n"
    "  2  an option, the URL, a file or a variable cannot be used\n"
    "  3  the server refused the opening handshake, or it is not a WebSocket server\n"
    "  4  fewer messages than --count were received, or no Pong for --ping\n";

enum { DONE = 0, FAILED = 1, UNUSABLE = 2, REFUSED = 3, INCOMPLETE = 4 };

enum {
    PIECE = 64 * 1024, /* bytes read from the input, and sent of a long message, at once */
    HEAD = 16,         /* bytes shown of a binary message */
    TURN = 64,         /* messages read before the input is looked at again */
};

static const char *url;
static ws_config *config;
static ws_conn *conn;

static const char *file; /* NULL: lines of the standard input */
static int file_kind = WS_BINARY;
static FILE *output;
static int verbose;
static long count = LONG_MAX; /* messages until we exit */
static uint64_t wait_ms = 1000;
static uint16_t close_code = 1000;
static const char *close_reason = "";

static int result = DONE;
static long received;
static int leaving;          /* our Close has been sent */
static uint64_t last_event;  /* when something was last sent or received, by ws_now() */
static int waits_for_pong;
static struct timespec pinged;

static void parse(int argc, char **argv);
static int open_connection(void);
static void converse(void);
static void clean_up(void);

int main(int argc, char **argv)
{
    config = ws_config_new();
    atexit(clean_up);
    parse(argc, argv);
    result = open_connection();
    if (result == DONE)
        converse();
    if (result == DONE && (waits_for_pong || (count != LONG_MAX && received < count))) {
        fprintf(stderr, "client: %s\n", waits_for_pong ? "no Pong was received" : "fewer messages than --count were received");
        result = INCOMPLETE;
    }
    return result;
}

static void clean_up(void)
{
    ws_free(conn);
    ws_config_free(config);
    if (output)
        fclose(output);
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "client: %s: %s\n", what, why);
    exit(UNUSABLE);
}

/* Options */

static void add_header(const char *header)
{
    size_t length = strcspn(header, ":");
    char *name = strdup(header);

    if (!name || header[length] == '\0')
        fail("not a header", header);
    name[length] = '\0';
    header += length + 1;
    header += strspn(header, " \t");
    if (ws_config_add_header(config, name, header) != WS_OK)
        fail("cannot send this header", name);
    free(name);
}

static uint64_t number(const char *option, const char *value, double scale, double max)
{
    char *end;
    double parsed = strtod(value, &end) * scale;

    if (end == value || *end != '\0' || !(parsed >= 0 && parsed <= max))
        fail(option, "not a number that can be used");
    return (uint64_t)parsed;
}

static void parse_close(char *value)
{
    char *colon = strchr(value, ':');

    if (colon) {
        *colon = '\0';
        close_reason = colon + 1;
    }
    close_code = (uint16_t)number("--close", value, 1, 4999);
}

static void parse(int argc, char **argv)
{
    uint64_t timeout = 10000;
    const char *cert = NULL, *key = NULL, *wrong;
    int i;

    for (i = 1; i < argc; i++) {
        const char *option = argv[i];
        char *value;

        if (option[0] != '-') {
            if (url)
                fail("more than one URL", option);
            url = option;
            continue;
        }
        if (strcmp(option, "--help") == 0) {
            fputs(HELP, stdout);
            exit(DONE);
        }
        if (strcmp(option, "-v") == 0 || strcmp(option, "--verbose") == 0) {
            verbose = 1;
            continue;
        }
        if (strcmp(option, "--ping") == 0) {
            waits_for_pong = 1;
            continue;
        }
        if (strcmp(option, "--text") == 0) {
            file_kind = WS_TEXT;
            continue;
        }
        if (strcmp(option, "--insecure") == 0) {
            ws_config_set(config, WS_OPT_TLS_VERIFY, 0);
            continue;
        }
        if (strcmp(option, "--proxy-from-env") == 0) {
            ws_config_set(config, WS_OPT_PROXY_FROM_ENVIRONMENT, 1);
            continue;
        }
        value = argv[++i];
        if (!value)
            fail(option, "no such option, or its value is missing");
        if (strcmp(option, "--file") == 0)
            file = value;
        else if (strcmp(option, "--output") == 0) {
            output = fopen(value, "wb");
            if (!output)
                fail(value, strerror(errno));
        } else if (strcmp(option, "--header") == 0)
            add_header(value);
        else if (strcmp(option, "--subprotocol") == 0) {
            if (ws_config_add_protocol(config, value) != WS_OK)
                fail("not a subprotocol", value);
        } else if (strcmp(option, "--close") == 0)
            parse_close(value);
        else if (strcmp(option, "--count") == 0)
            count = (long)number(option, value, 1, 1e9);
        else if (strcmp(option, "--wait") == 0)
            wait_ms = number(option, value, 1000, 1e9);
        else if (strcmp(option, "--timeout") == 0)
            timeout = number(option, value, 1000, 1e9);
        else if (strcmp(option, "--cacert") == 0) {
            wrong = trust(config, value);
            if (wrong)
                fail(value, wrong);
        } else if (strcmp(option, "--cert") == 0)
            cert = value;
        else if (strcmp(option, "--key") == 0)
            key = value;
        else if (strcmp(option, "--proxy") == 0) {
            if (ws_config_set_proxy(config, value) != WS_OK)
                fail(option, "not the URL of a proxy"); /* it may hold a password */
        } else
            fail(option, "no such option");
    }
    if (cert || key) {
        wrong = cert && key ? identify(config, cert, key) : "one needs the other";
        if (wrong)
            fail("--cert and --key", wrong);
    }
    if (!url) {
        fputs(HELP, stderr);
        exit(UNUSABLE);
    }
    ws_config_set(config, WS_OPT_HANDSHAKE_TIMEOUT_MS, timeout);
    ws_config_set(config, WS_OPT_CLOSE_TIMEOUT_MS, timeout);
    /* Messages are shown part by part and not stored, so they need no limit. */
    ws_config_set(config, WS_OPT_DELIVER_FRAGMENTS, 1);
    ws_config_set(config, WS_OPT_DELIVER_CONTROL, 1);
    ws_config_set(config, WS_OPT_MAX_MESSAGE_SIZE, 0);
    ws_config_set(config, WS_OPT_MAX_FRAME_SIZE, 0);
    ws_config_set(config, WS_OPT_MAX_FRAGMENTS, 0);
}

/* The opening handshake */

static void show_headers(void)
{
    const char *name, *value;
    size_t i;

    for (i = 0; ws_header_at(conn, i, &name, &value) == WS_OK; i++)
        fprintf(stderr, "< %s: %s\n", name, value);
}

static int refused(void)
{
    const uint8_t *body;
    size_t length;

    fprintf(stderr, "client: no WebSocket at %s: %s\n", url, ws_error_message(conn));
    if (verbose)
        show_headers();
    if (ws_http_body(conn, &body, &length) == WS_OK && length > 0) {
        fwrite(body, 1, length, stderr);
        fputc('\n', stderr);
    }
    return REFUSED;
}

static int open_connection(void)
{
    ws_status_t status = ws_connect(config, url, &conn);

    if (status == WS_ERR_UNSUPPORTED)
        fail(url, "TLS is not supported: the library was built without it");
    if (status != WS_OK)
        fail(url, ws_last_error_message());

    status = ws_handshake(conn); /* blocking, which is the default */
    if (status == WS_ERR_HANDSHAKE)
        return refused();
    if (status != WS_OK) {
        fprintf(stderr, "client: cannot connect to %s: %s\n", url, ws_error_message(conn));
        return FAILED;
    }
    if (verbose) {
        fprintf(stderr, "connected to %s, HTTP status %d\n", url, ws_http_status(conn));
        show_headers();
    }
    if (ws_protocol(conn))
        fprintf(stderr, "subprotocol: %s\n", ws_protocol(conn));
    ws_set_option(conn, WS_OPT_BLOCKING, 0); /* from here on, wait_for_both() waits */
    return DONE;
}

/* Closing */

static void leave(void)
{
    ws_status_t status;

    if (leaving)
        return;
    leaving = 1;
    status = ws_close(conn, close_code, close_reason, strlen(close_reason));
    if (status == WS_ERR_INVALID_ARGUMENT || status == WS_ERR_UTF8) {
        fprintf(stderr, "client: %d %s: %s\n", close_code, close_reason, ws_error_message(conn));
        result = UNUSABLE;
        ws_close(conn, 1000, NULL, 0);
    }
}

/* Sending: a message is sent in pieces as they are read, and ends with its line or file. */

static struct {
    int fd;
    int kind;
    int ended;
    int in_message; /* a part of a message has been sent */
    uint8_t bytes[PIECE];
    size_t from, to; /* the part that has not been sent */
} input;

static void open_input(void)
{
    input.kind = file ? file_kind : WS_TEXT;
    input.fd = file ? open(file, O_RDONLY | O_BINARY) : STDIN_FILENO;
    input.in_message = file != NULL; /* even an empty file is a message */
    if (input.fd < 0)
        fail(file, strerror(errno));
}

/* Sends what has been read, as long as there is room. */
static void send_input(void)
{
    while (!leaving && (input.from < input.to || (input.ended && input.in_message))) {
        const uint8_t *piece = input.bytes + input.from;
        size_t length = input.to - input.from;
        const uint8_t *newline = file ? NULL : memchr(piece, '\n', length);
        int is_final = newline || (input.ended && length == 0);
        ws_status_t status;

        if (newline)
            length = (size_t)(newline - piece);
        status = ws_write_fragment(conn, input.kind, piece, length, is_final);
        if (status == WS_ERR_SEND_QUEUE_FULL)
            return;
        if (status != WS_OK) {
            if (status == WS_ERR_UTF8) {
                fprintf(stderr, "client: %s is not UTF-8\n", file ? file : "a line of the input");
                result = UNUSABLE;
                leave();
            }
            input.in_message = 0; /* the connection ends: the next read returns why */
            input.from = input.to;
            input.ended = 1;
            return;
        }
        input.in_message = !is_final;
        input.from += length + (newline ? 1 : 0);
        last_event = ws_now();
    }
}

static void read_input(void)
{
    ssize_t length = read(input.fd, input.bytes, sizeof input.bytes);

    if (length < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (length < 0)
        fail(file ? file : "standard input", strerror(errno));
    if (length == 0) {
        input.ended = 1;
        close(input.fd);
    }
    input.from = 0;
    input.to = (size_t)length;
    last_event = ws_now();
}

/* Receiving */

static void show_binary(const ws_message *part)
{
    static uint8_t head[HEAD];
    static size_t shown;
    static uint64_t total;
    size_t i;

    if (output) {
        if (fwrite(part->data, 1, part->len, output) != part->len)
            fail("--output", strerror(errno));
        return;
    }
    for (i = 0; i < part->len && shown < HEAD; i++)
        head[shown++] = part->data[i];
    total += part->len;
    if (!part->is_final)
        return;
    printf("binary, %llu bytes:", (unsigned long long)total);
    for (i = 0; i < shown; i++)
        printf(" %02x", head[i]);
    printf("%s |", total > shown ? " ..." : "");
    for (i = 0; i < shown; i++)
        putchar(isprint(head[i]) ? head[i] : '.');
    puts("|");
    shown = 0;
    total = 0;
}

static void show_pong(const ws_message *pong)
{
    struct timespec now;

    if (waits_for_pong) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        waits_for_pong = 0;
        fprintf(stderr, "pong after %.3f ms\n",
                (double)(now.tv_sec - pinged.tv_sec) * 1e3 + (double)(now.tv_nsec - pinged.tv_nsec) / 1e6);
    } else if (verbose)
        fprintf(stderr, "pong: %.*s\n", (int)pong->len, (const char *)pong->data);
}

static void show_close(const ws_message *last)
{
    int code = last->close_code;
    int is_normal = code == 1000 || code == 1001 || code == 1005 || (leaving && code == close_code);

    if (verbose || !is_normal)
        fprintf(stderr, "closed%s: %d%s%.*s\n", leaving ? "" : " by the server", code, last->len > 0 ? " " : "",
                (int)last->len, (const char *)last->data);
    if (!is_normal)
        result = FAILED;
    leaving = 1;
}

static void show(const ws_message *message)
{
    last_event = ws_now();
    switch (message->kind) {
    case WS_PING:
        if (verbose)
            fprintf(stderr, "ping: %.*s\n", (int)message->len, (const char *)message->data);
        return;
    case WS_PONG:
        show_pong(message);
        return;
    case WS_CLOSE:
        show_close(message);
        return;
    }
    if (received >= count)
        return; /* --count is reached */
    if (message->kind == WS_BINARY)
        show_binary(message);
    else {
        fwrite(message->data, 1, message->len, stdout);
        if (message->is_final)
            putchar('\n');
    }
    if (message->is_final && ++received == count)
        leave();
}

/* Both at the same time */

static void send_ping(void)
{
    clock_gettime(CLOCK_MONOTONIC, &pinged);
    ws_write_message(conn, WS_PING, "are you there?", 14);
}

/* Waits for the peer, for the input if wanted, or until a deadline. Returns whether there is input. */
static int wait_for_events(int wants_input, uint64_t due)
{
    uint64_t deadline = ws_next_deadline(conn), now = ws_now();
    int timeout = -1, has_input;

    if (deadline < due)
        due = deadline;
    if (due != UINT64_MAX)
        timeout = due <= now ? 0 : due - now < INT_MAX ? (int)(due - now) : INT_MAX;
    has_input = wait_for_both(conn, wants_input ? input.fd : -1, timeout);
    if (has_input < 0)
        fail("poll", strerror(errno));
    return has_input;
}

static void converse(void)
{
    ws_status_t status = WS_OK;
    const ws_message *message;
    int turn, has_input;

    open_input();
    last_event = ws_now();
    if (waits_for_pong)
        send_ping();
    if (count == 0)
        leave();

    for (;;) {
        uint64_t due = UINT64_MAX;

        for (turn = 0; turn < TURN && (status = ws_read_message(conn, &message)) == WS_OK; turn++)
            show(message);
        fflush(stdout);
        if (status == WS_ERR_CONNECTION_CLOSED)
            break;
        if (status != WS_OK && status != WS_ERR_WOULD_BLOCK) {
            fprintf(stderr, "client: %s\n", ws_error_message(conn));
            result = FAILED;
            if (status == WS_ERR_ALREADY_CLOSED || status <= WS_ERR_INVALID_ARGUMENT)
                break;
            continue; /* a Close with the reason is being sent: read on until CONNECTION_CLOSED */
        }

        send_input();
        if (input.ended && !input.in_message && !leaving) {
            due = last_event + wait_ms;
            if (ws_now() >= due) {
                leave();
                continue;
            }
        }
        /* Input is only read as fast as the server takes it. Do not wait while there may be more messages. */
        has_input = wait_for_events(!leaving && !input.ended && input.from == input.to && ws_queued_bytes(conn) == 0,
                                    status == WS_OK ? 0 : due);
        if (has_input)
            read_input();
    }
    if (ws_close_code(conn) == 1006) {
        fprintf(stderr, "client: %s\n", ws_error_message(conn));
        result = FAILED;
    }
    if (output && fflush(output) != 0)
        fail("--output", strerror(errno));
}
