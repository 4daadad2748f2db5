/* An echo server for many clients on one thread (Linux).
 *
 *   cc -std=c99 -D_POSIX_C_SOURCE=200809L -Iinclude examples-c/echo_server.c -Lbuild/lib -lwsabi -o echo_server
 *   echo_server [ws://HOST:PORT/] [--deflate PARAMETERS]
 *
 * Without an argument it listens at ws://127.0.0.1:9001/; port 0 takes a free one. With --deflate it agrees to
 * permessage-deflate, for instance with "server_no_context_takeover" or "".
 *
 * It shows a whole event loop. Nothing ever waits but epoll. A client is served until it has nothing more to say, or
 * has had its turn; what is left goes out in one piece. Where a client does not take its echoes, its next messages are
 * left unread until it does: nothing is lost, and its share of memory has a bound. Deadlines that the library keeps,
 * of half-open handshakes for instance, are looked after. SIGTERM or SIGINT end the server with status 0. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <wsabi.h>

#include "deflate_option.h"

enum {
    TURN = 256,         /* messages echoed before the next client has its turn */
    EVENTS = 64,        /* events taken from epoll at once */
    ACCEPT_PAUSE = 100, /* ms without accepting when it fails, for instance for want of descriptors */
};

struct client {
    ws_conn *conn;
    const ws_message *unsent; /* read, but its echo found no room yet; it stays valid until the next read */
    uint32_t events;          /* what epoll watches for */
    struct client *prev, *next;
};

static struct client clients = {.prev = &clients, .next = &clients}; /* the head of a ring */
static ws_listener *listener;
static int epoll;
static uint64_t next_due = UINT64_MAX; /* when some client may have a deadline, in ws_now()'s time */
static sigset_t signals_open;          /* the signals that come in while epoll waits */
static volatile sig_atomic_t stopping;

static void catch_signals(void);
static void listen_at(const char *url, const char *deflate);
static void loop(void);
static void goodbye(void);

int main(int argc, char **argv)
{
    const char *url = "ws://127.0.0.1:9001/", *deflate = NULL;
    int i;

    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--deflate") == 0 && i + 1 < argc) {
            deflate = argv[++i];
        } else if (argv[i][0] != '-') {
            url = argv[i];
        } else {
            fprintf(stderr, "usage: %s [ws://HOST:PORT/] [--deflate PARAMETERS]\n", argv[0]);
            return 2;
        }
    }
    catch_signals();
    listen_at(url, deflate);
    loop();
    goodbye();
    return 0;
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "echo_server: %s: %s\n", what, why);
    exit(1);
}

/* Signals come in while epoll waits and at no other time, so that none is lost between a look at `stopping` and the
 * wait. */
static void stop(int number)
{
    (void)number;
    stopping = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = stop};
    sigset_t blocked;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigprocmask(SIG_BLOCK, &blocked, &signals_open);
    sigdelset(&signals_open, SIGTERM);
    sigdelset(&signals_open, SIGINT);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

/* The listener */

static void watch_listener(int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = NULL};

    if (epoll_ctl(epoll, operation, (int)ws_listener_socket(listener), &event) != 0)
        fail("epoll_ctl", strerror(errno));
}

static void listen_at(const char *url, const char *deflate)
{
    const char *host = url + strlen("ws://");
    ws_config *config = ws_config_new();
    ws_status_t status;

    ws_config_set(config, WS_OPT_BLOCKING, 0);
    if (deflate && !set_deflate(config, deflate))
        fail(deflate, "not parameters of permessage-deflate");
    status = ws_listen(config, url, &listener);
    if (status != WS_OK)
        fail(url, status == WS_ERR_IO && errno != 0 ? strerror(errno) : ws_status_message(status));
    ws_config_free(config);

    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        fail("epoll_create1", strerror(errno));
    watch_listener(EPOLL_CTL_ADD, EPOLLIN);

    printf("listening on ws://%.*s:%d/\n", (int)(*host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?")), host,
           ws_listener_port(listener));
    fflush(stdout);
}

/* One client */

static void drop(struct client *client)
{
    client->prev->next = client->next;
    client->next->prev = client->prev;
    ws_free(client->conn); /* closes the socket, and with that epoll forgets it */
    free(client);
}

/* Echoes what has come. WS_OK: there may be more. WS_ERR_WOULD_BLOCK: there is not, or the client is to take its
 * echoes first. Anything else: it is over. */
static ws_status_t echo(struct client *client)
{
    int turn;

    for (turn = 0; turn < TURN; turn++) {
        const ws_message *message = client->unsent;
        ws_status_t status = message ? WS_OK : ws_read_message(client->conn, &message);

        switch (status) {
        case WS_OK:
            break;
        case WS_ERR_PROTOCOL:
        case WS_ERR_UTF8:
        case WS_ERR_CAPACITY:
        case WS_ERR_HANDSHAKE:
        case WS_ERR_TIMEOUT:
            continue; /* the peer is being told: read on, until CONNECTION_CLOSED */
        default:
            return status;
        }
        client->unsent = NULL;
        if (message->kind != WS_TEXT && message->kind != WS_BINARY)
            continue; /* a Close; its answer is queued already */

        status = ws_queue_message(client->conn, message->kind, message->data, message->len);
        if (status == WS_ERR_SEND_QUEUE_FULL) {
            client->unsent = message;
            status = ws_write_pending(client->conn);
        }
        if (status != WS_OK)
            return status;
    }
    return WS_OK;
}

/* Gives a client its turn, then sees to it that epoll tells when the next is due. */
static void serve(struct client *client)
{
    ws_status_t status = echo(client);
    int has_more = status == WS_OK;
    uint32_t interest;
    struct epoll_event event = {.data.ptr = client};
    uint64_t deadline;

    if (status == WS_OK || status == WS_ERR_WOULD_BLOCK)
        status = ws_write_pending(client->conn);
    if (status != WS_OK && status != WS_ERR_WOULD_BLOCK) {
        drop(client);
        return;
    }

    interest = ws_interest(client->conn);
    if ((interest & WS_WANT_READ) && !client->unsent)
        event.events |= EPOLLIN;
    /* Messages that have arrived already are nothing that epoll could see. Room to send is: that is when to go on. */
    if ((interest & WS_WANT_WRITE) || has_more)
        event.events |= EPOLLOUT;
    if (event.events != client->events) {
        if (epoll_ctl(epoll, EPOLL_CTL_MOD, (int)ws_get_socket(client->conn), &event) != 0) {
            drop(client);
            return;
        }
        client->events = event.events;
    }
    deadline = ws_next_deadline(client->conn);
    if (deadline < next_due)
        next_due = deadline;
}

static void welcome(ws_conn *conn)
{
    struct client *client = calloc(1, sizeof *client);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};

    if (!client || epoll_ctl(epoll, EPOLL_CTL_ADD, (int)ws_get_socket(conn), &event) != 0) {
        free(client);
        ws_free(conn);
        return;
    }
    client->conn = conn;
    client->events = event.events;
    client->next = clients.next;
    client->prev = &clients;
    client->next->prev = clients.next = client;
    serve(client); /* the first call starts the clock of its opening handshake */
}

/* All of them */

static void accept_all(void)
{
    ws_conn *conn;
    ws_status_t status;

    while ((status = ws_listener_accept(listener, &conn)) == WS_OK)
        welcome(conn);
    if (status != WS_ERR_WOULD_BLOCK) {
        /* The connection still waits, and epoll would tell so without end. */
        uint64_t again = ws_now() + ACCEPT_PAUSE;

        watch_listener(EPOLL_CTL_MOD, 0);
        if (again < next_due)
            next_due = again;
    }
}

/* Looks at all clients, which is seldom: deadlines run only during handshakes, unless pings are switched on. */
static void look_after_deadlines(void)
{
    struct client *client, *next;
    uint64_t now = ws_now();

    if (now < next_due)
        return;
    next_due = UINT64_MAX;
    watch_listener(EPOLL_CTL_MOD, EPOLLIN); /* where it was paused */
    for (client = clients.next; client != &clients; client = next) {
        uint64_t deadline = ws_next_deadline(client->conn);

        next = client->next;
        if (deadline <= now)
            serve(client);
        else if (deadline < next_due)
            next_due = deadline;
    }
}

static int time_left(void)
{
    uint64_t now;

    if (next_due == UINT64_MAX)
        return -1;
    now = ws_now();
    return now >= next_due ? 0 : next_due - now < INT_MAX ? (int)(next_due - now) : INT_MAX;
}

static void loop(void)
{
    struct epoll_event events[EVENTS];

    while (!stopping) {
        int i, count = epoll_pwait(epoll, events, EVENTS, time_left(), &signals_open);

        if (count < 0 && errno != EINTR)
            fail("epoll_pwait", strerror(errno));
        for (i = 0; i < count; i++) {
            if (events[i].data.ptr)
                serve(events[i].data.ptr);
            else
                accept_all();
        }
        look_after_deadlines();
    }
}

static void goodbye(void)
{
    while (clients.next != &clients) {
        ws_close(clients.next->conn, 1001, NULL, 0); /* going away; as far as the socket takes it */
        drop(clients.next);
    }
    ws_listener_free(listener);
    close(epoll);
}
