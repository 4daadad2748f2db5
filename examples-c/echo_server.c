/* An echo server for many clients on one thread.
 *
 *   cc -std=c99 -D_POSIX_C_SOURCE=200809L -Iinclude examples-c/echo_server.c -Lbuild/lib -lwsabi -lpthread -o echo_server
 *   echo_server [OPTION]... [URL]          echo_server --help lists the options
 *
 * It shows a complete event loop. Only the poller waits; it also checks the library's deadlines, for example those of
 * half-open handshakes. A client is served until it has no more messages, or until its turn is over; its echoes are
 * queued and sent together. If a client does not read its echoes, its next messages are left unread until it does:
 * nothing is lost, and the memory per client is limited. SIGTERM or SIGINT end the server with status 0. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wsabi.h>

#include "deflate_option.h"
#include "portable.h"
#include "tls_options.h"

static const char HELP[] =
    "usage: echo_server [OPTION]... [URL]\n"
    "Listens on ws://HOST:PORT/, wss://HOST:PORT/ or ws+unix://PATH:/, and echoes all messages. Port 0 selects a\n"
    "free port. The default URL is ws://127.0.0.1:9001/.\n"
    "\n"
    "  --cert FILE            the certificate chain for wss://, in PEM\n"
    "  --key FILE             its private key\n"
    "  --client-ca FILE       require client certificates issued by those in this file\n"
    "  --deflate PARAMETERS   accept permessage-deflate, for example with \"server_no_context_takeover\" or \"\"\n"
    "  --health PATH          answer plain requests such as \"GET PATH\" with 200, for health checks of a load balancer\n";

enum {
    TURN = 256,  /* messages echoed before the next client's turn */
    TOKENS = 64, /* clients taken from the poller at once */
};

struct client {
    ws_conn *conn;
    const ws_message *unsent; /* read, but no room for its echo yet; valid until the next read */
    int paused;               /* reading is stopped */
    struct client *prev, *next;
};

static const uint64_t LISTENER = 0; /* its token; a client's is its address */

static struct client clients = {.prev = &clients, .next = &clients}; /* the head of a ring */
static ws_listener *listener;
static ws_poller *poller;
static int stopping; /* set by another thread */
static const char *health; /* the path of health checks, or NULL */

static ws_config *parse(int argc, char **argv, const char **url);
static void listen_at(const char *url, const ws_config *config);
static void announce(const char *url);
static void loop(void);
static void goodbye(void);
static void stop(void);

int main(int argc, char **argv)
{
    const char *url = "ws://127.0.0.1:9001/";
    ws_config *config = parse(argc, argv, &url);

    listen_at(url, config);
    ws_config_free(config);
    if (!on_stop(stop))
        return 1;
    announce(url);
    loop();
    after_stop();
    goodbye();
    return 0;
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "echo_server: %s: %s\n", what, why);
    exit(1);
}

static ws_config *parse(int argc, char **argv, const char **url)
{
    ws_config *config = ws_config_new();
    const char *cert = NULL, *key = NULL, *wrong = NULL;
    int i;

    ws_config_set(config, WS_OPT_BLOCKING, 0);
    for (i = 1; i < argc && !wrong; i++) {
        const char *option = argv[i], *value;

        if (option[0] != '-') {
            *url = option;
            continue;
        }
        if (strcmp(option, "--help") == 0) {
            fputs(HELP, stdout);
            exit(0);
        }
        value = argv[++i];
        if (!value)
            wrong = "no such option, or its value is missing";
        else if (strcmp(option, "--cert") == 0)
            cert = value;
        else if (strcmp(option, "--key") == 0)
            key = value;
        else if (strcmp(option, "--client-ca") == 0)
            wrong = trust(config, value);
        else if (strcmp(option, "--deflate") == 0)
            wrong = set_deflate(config, value) ? NULL : "not parameters of permessage-deflate";
        else if (strcmp(option, "--health") == 0)
            health = value;
        else
            wrong = "no such option";
        if (wrong)
            fprintf(stderr, "echo_server: %s: %s\n", option, wrong);
    }
    if (!wrong && (cert || key)) {
        wrong = cert && key ? identify(config, cert, key) : "one needs the other";
        if (wrong)
            fprintf(stderr, "echo_server: --cert and --key: %s\n", wrong);
    }
    if (wrong)
        exit(2);
    if (health) {
        ws_config_set(config, WS_OPT_AUTO_ACCEPT, 0);
        ws_config_set(config, WS_OPT_PLAIN_REQUESTS, 1);
    }
    return config;
}

/* Called on another thread. */
static void stop(void)
{
    __atomic_store_n(&stopping, 1, __ATOMIC_SEQ_CST);
    ws_poller_wake(poller);
}

/* The listener */

static void listen_at(const char *url, const ws_config *config)
{
    ws_status_t status = ws_listen(config, url, &listener);

    if (status == WS_ERR_TLS)
        fail(url, "needs --cert and --key");
    if (status != WS_OK)
        fail(url, ws_last_error_message());
    if (ws_poller_new(&poller) != WS_OK || ws_poller_add_listener(poller, listener, LISTENER) != WS_OK)
        fail("poller", strerror(errno));
}

static void announce(const char *url)
{
    const char *host = strstr(url, "://");

    if (host && ws_listener_port(listener) != 0) {
        host += strlen("://");
        printf("listening on %.*s:%d/\n",
               (int)(host - url) + (int)(*host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?")), url,
               ws_listener_port(listener));
    } else
        printf("listening on %s\n", url); /* a path */
    fflush(stdout);
}

/* One client */

static void drop(struct client *client)
{
    client->prev->next = client->next;
    client->next->prev = client->prev;
    ws_free(client->conn); /* also removes it from the poller */
    free(client);
}

/* Queues an echo. WS_ERR_WOULD_BLOCK: the client has to read others first. */
static ws_status_t answer(struct client *client, const ws_message *message)
{
    ws_status_t status;

    client->unsent = message;
    while ((status = ws_queue_message(client->conn, message->kind, message->data, message->len)) ==
           WS_ERR_SEND_QUEUE_FULL) {
        status = ws_write_pending(client->conn);
        if (status != WS_OK)
            return status;
    }
    client->unsent = NULL;
    return status;
}

/* Echoes what was received. WS_OK: there may be more. WS_ERR_WOULD_BLOCK: there is not, or the client has to read its
 * echoes first. Any other status: the connection is over. */
static ws_status_t echo(struct client *client)
{
    ws_status_t status = client->unsent ? answer(client, client->unsent) : WS_OK;
    const ws_message *message;
    int turn;

    for (turn = 0; turn < TURN && status == WS_OK; turn++) {
        switch (status = ws_read_message(client->conn, &message)) {
        case WS_OK:
            if (message->kind == WS_TEXT || message->kind == WS_BINARY)
                status = answer(client, message);
            break; /* a Close has already been answered */
        case WS_ERR_PROTOCOL:
        case WS_ERR_UTF8:
        case WS_ERR_CAPACITY:
        case WS_ERR_HANDSHAKE:
        case WS_ERR_TIMEOUT:
            status = WS_OK; /* a Close with the reason is being sent: read on until CONNECTION_CLOSED */
        }
    }
    return status;
}

/* With --health, each request is answered here. WS_OK: there may be something to read. */
static ws_status_t decide(struct client *client)
{
    ws_status_t status = ws_handshake(client->conn);
    int ask_elsewhere;

    if (status == WS_ERR_WOULD_BLOCK || ws_get_state(client->conn) != WS_STATE_REQUEST)
        return status == WS_ERR_WOULD_BLOCK ? status : WS_OK; /* after a failure, reading leads to the end */
    if (ws_is_upgrade(client->conn))
        return ws_accept(client->conn, NULL);
    ask_elsewhere = strcmp(ws_request_target(client->conn), health) != 0;
    return ask_elsewhere ? ws_reject(client->conn, 426, "this is a WebSocket server\n", 27)
                         : ws_reject(client->conn, 200, "all is well\n", 12);
}

/* Gives a client its turn. If there is more to do, the poller reports it again. */
static void serve(struct client *client)
{
    ws_status_t status = health ? decide(client) : WS_OK;
    int paused;

    if (status == WS_OK)
        status = echo(client);
    paused = client->unsent != NULL;
    if (status == WS_OK || (status == WS_ERR_WOULD_BLOCK && !paused))
        status = ws_write_pending(client->conn);
    if (status != WS_OK && status != WS_ERR_WOULD_BLOCK) {
        drop(client);
    } else if (paused != client->paused) {
        client->paused = paused;
        ws_poller_read(client->conn, !paused);
    }
}

static void welcome(ws_conn *conn)
{
    struct client *client = calloc(1, sizeof *client);

    if (!client || ws_poller_add(poller, conn, (uint64_t)(uintptr_t)client) != WS_OK) {
        free(client);
        ws_free(conn);
        return;
    }
    client->conn = conn;
    client->next = clients.next;
    client->prev = &clients;
    client->next->prev = clients.next = client;
    serve(client); /* the first call starts the deadline of its opening handshake */
}

/* All clients */

static void loop(void)
{
    uint64_t tokens[TOKENS];
    size_t i, count;
    ws_conn *conn;

    while (!__atomic_load_n(&stopping, __ATOMIC_SEQ_CST)) {
        if (ws_poller_wait(poller, tokens, TOKENS, -1, &count) != WS_OK)
            fail("poller", strerror(errno));
        for (i = 0; i < count; i++) {
            if (tokens[i] != LISTENER)
                serve((struct client *)(uintptr_t)tokens[i]);
            else
                while (ws_listener_accept(listener, &conn) == WS_OK)
                    welcome(conn);
        }
    }
}

static void goodbye(void)
{
    while (clients.next != &clients) {
        ws_close(clients.next->conn, 1001, NULL, 0); /* going away; sent if the socket accepts it */
        drop(clients.next);
    }
    ws_listener_free(listener);
    ws_poller_free(poller);
}
