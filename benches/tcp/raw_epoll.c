/* raw_epoll PORT: a TCP echo without WebSocket, the floor that no server goes below (Linux).
 *
 * One thread, level-triggered epoll, one recv and one send for each readable event; what the socket does not take waits
 * in a buffer of its connection, and until it is gone nothing more is read there. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, RECEIVED = 64 * 1024 };

struct client {
    int fd;
    uint8_t *unsent; /* NULL, or what is left of a recv */
    size_t offset, len;
};

static int epoll, listener;
static uint8_t received[RECEIVED];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(int operation, int fd, uint32_t events, struct client *client)
{
    struct epoll_event event = {.events = events, .data.ptr = client};

    if (epoll_ctl(epoll, operation, fd, &event) != 0)
        fail("epoll_ctl");
}

static void accept_all(void)
{
    int fd, on = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct client *client = calloc(1, sizeof *client);

        if (!client)
            fail("calloc");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        client->fd = fd;
        watch(EPOLL_CTL_ADD, fd, EPOLLIN, client);
    }
}

static void drop(struct client *client)
{
    close(client->fd);
    free(client->unsent);
    free(client);
}

/* Returns how many bytes the socket has taken, or -1 where the connection is over. */
static ssize_t send_some(struct client *client, const uint8_t *bytes, size_t len)
{
    ssize_t n = send(client->fd, bytes, len, MSG_NOSIGNAL);

    return n < 0 && errno == EAGAIN ? 0 : n;
}

static void echo(struct client *client)
{
    ssize_t len = recv(client->fd, received, sizeof received, 0), n;

    if (len < 0 && errno == EAGAIN)
        return;
    n = len > 0 ? send_some(client, received, (size_t)len) : -1;
    if (n < 0) {
        drop(client);
    } else if (n < len) {
        client->offset = 0;
        client->len = (size_t)(len - n);
        client->unsent = malloc(client->len);
        if (!client->unsent)
            fail("malloc");
        memcpy(client->unsent, received + n, client->len);
        watch(EPOLL_CTL_MOD, client->fd, EPOLLOUT, client);
    }
}

static void send_rest(struct client *client)
{
    ssize_t n = send_some(client, client->unsent + client->offset, client->len);

    if (n < 0) {
        drop(client);
        return;
    }
    client->offset += (size_t)n;
    client->len -= (size_t)n;
    if (client->len == 0) {
        free(client->unsent);
        client->unsent = NULL;
        watch(EPOLL_CTL_MOD, client->fd, EPOLLIN, client);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int on = 1;

    if (argc != 2) {
        fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 2;
    }
    address.sin_port = htons((uint16_t)atoi(argv[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 4096) != 0)
        fail("listen");
    epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    puts("ready");
    fflush(stdout);

    for (;;) {
        struct epoll_event events[EVENTS];
        int i, count = epoll_wait(epoll, events, EVENTS, -1);

        for (i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;

            if (!client)
                accept_all();
            else if (client->unsent)
                send_rest(client);
            else
                echo(client);
        }
    }
}
