/* Loads one echo server over loopback, the same way whichever it is (Linux).
 *
 *   loadgen PORT [--connections N] [--depth D] [--size S] [--text] [--raw]
 *   loadgen PORT --idle N
 *
 * It opens N WebSocket connections to 127.0.0.1 and prints "ready". Each number that it then reads is of messages to
 * exchange over all of them together, D in flight on each, S bytes of payload in a message; it answers with how many
 * they were (a multiple of N) and how many seconds it took. At the end of its input it ends. Connections that are only
 * held (--idle) are those that are given no number.
 *
 * Whoever started it looks at the server between two answers, so that neither handshakes nor goodbyes are counted.
 *
 * With --raw there is no handshake and the very frames come back: the same bytes on the wire for a server that knows
 * no WebSocket. Every reply's head is compared with what it has to be, and the first one's payload on every connection.
 * Anything else that comes ends it with status 1. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS = 256,
    RECEIVED = 256 * 1024, /* bytes taken from a socket at once */
    STALLED = 20000,       /* ms without any reply */
};

/* From RFC 6455, section 1.3: any key does, and of this one the answer is known. */
static const char request[] = "GET / HTTP/1.1\r\n"
                              "Host: 127.0.0.1\r\n"
                              "Upgrade: websocket\r\n"
                              "Connection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                              "Sec-WebSocket-Version: 13\r\n\r\n";
static const char accept_key[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
static const uint8_t masking_key[4] = {0x1b, 0xd7, 0x42, 0x90};

struct connection {
    int fd;
    bool watches_room;  /* epoll tells when there is room to send */
    bool verified;      /* the first reply has come back byte by byte */
    size_t offset;      /* sent of the present frame */
    size_t at;          /* received of the present reply */
    uint64_t unsent;    /* bytes that may go out now */
    uint64_t to_send;   /* messages that wait for replies to others */
    uint64_t to_receive;
};

static int port;
static size_t connection_count = 1, depth = 1, payload_len = 125;
static bool raw, text;

static struct connection *connections;
static int epoll;
static uint8_t *frames; /* one more than can be in flight: what goes out next always lies in one piece */
static size_t frame_len;
static uint8_t *reply;
static size_t reply_len, reply_head_len;
static uint8_t received[RECEIVED];

static void read_arguments(int argc, char **argv);
static void make_frames(void);
static void connect_all(void);
static double exchange(uint64_t count);

int main(int argc, char **argv)
{
    char line[64];

    read_arguments(argc, argv);
    make_frames();
    connect_all();
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        uint64_t each = (strtoull(line, NULL, 10) + connection_count - 1) / connection_count;
        double seconds = exchange(each);

        printf("%llu %.9f\n", (unsigned long long)(each * connection_count), seconds);
        fflush(stdout);
    }
    return 0;
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "loadgen: %s: %s\n", what, why);
    exit(1);
}

static void *allocate(size_t count, size_t size)
{
    void *place = calloc(count, size);

    if (!place)
        fail("memory", "none left");
    return place;
}

static void read_arguments(int argc, char **argv)
{
    int i;

    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--raw") == 0) {
            raw = true;
        } else if (strcmp(argv[i], "--text") == 0) {
            text = true;
        } else if ((strcmp(argv[i], "--connections") == 0 || strcmp(argv[i], "--idle") == 0) && i + 1 < argc) {
            connection_count = strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--depth") == 0 && i + 1 < argc) {
            depth = strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--size") == 0 && i + 1 < argc) {
            payload_len = strtoul(argv[++i], NULL, 10);
        } else {
            port = atoi(argv[i]);
        }
    }
    if (port <= 0 || connection_count == 0 || depth == 0) {
        fprintf(stderr, "usage: loadgen PORT [--connections N] [--depth D] [--size S] [--text] [--raw] | --idle N\n");
        exit(2);
    }
}

/* Frames */

static size_t put_head(uint8_t *head, bool masked)
{
    uint8_t mask = masked ? 0x80 : 0;
    size_t len = 2;
    int shift;

    head[0] = text ? 0x81 : 0x82;
    if (payload_len < 126) {
        head[1] = (uint8_t)(mask | payload_len);
    } else {
        bool small = payload_len <= 0xffff;

        head[1] = mask | (small ? 126 : 127);
        for (shift = small ? 8 : 56; shift >= 0; shift -= 8)
            head[len++] = (uint8_t)((uint64_t)payload_len >> shift);
    }
    if (masked) {
        memcpy(head + len, masking_key, sizeof masking_key);
        len += sizeof masking_key;
    }
    return len;
}

static void make_frames(void)
{
    uint8_t head[14];
    size_t i, head_len = put_head(head, true);

    frame_len = head_len + payload_len;
    frames = allocate(depth + 1, frame_len);
    memcpy(frames, head, head_len);
    for (i = 0; i < payload_len; i++)
        frames[head_len + i] = (uint8_t)((' ' + i % 90) ^ masking_key[i % 4]);
    for (i = 1; i <= depth; i++)
        memcpy(frames + i * frame_len, frames, frame_len);

    if (raw) {
        reply_head_len = head_len;
        reply = frames;
    } else {
        reply_head_len = put_head(head, false);
        reply = allocate(1, reply_head_len + payload_len);
        memcpy(reply, head, reply_head_len);
        for (i = 0; i < payload_len; i++)
            reply[reply_head_len + i] = (uint8_t)(' ' + i % 90);
    }
    reply_len = reply_head_len + payload_len;
}

/* Connections */

static void shake_hands(int fd)
{
    char head[4096];
    size_t len = 0;

    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)sizeof request - 1)
        fail("handshake", strerror(errno));
    /* Nothing follows the head before we have sent a message. */
    while (len < 4 || memcmp(head + len - 4, "\r\n\r\n", 4) != 0) {
        ssize_t n = len < sizeof head - 1 ? recv(fd, head + len, sizeof head - 1 - len, 0) : 0;

        if (n <= 0)
            fail("handshake", n < 0 ? strerror(errno) : "no whole head");
        len += (size_t)n;
    }
    head[len] = '\0';
    if (strncmp(head, "HTTP/1.1 101 ", 13) != 0 || !strstr(head, accept_key))
        fail("handshake", head);
}

static int open_connection(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!raw)
        shake_hands(fd);
    return fd;
}

static void connect_all(void)
{
    struct rlimit limit;
    size_t i;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    epoll = epoll_create1(EPOLL_CLOEXEC);
    connections = allocate(connection_count, sizeof *connections);
    for (i = 0; i < connection_count; i++) {
        struct connection *connection = &connections[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};

        connection->fd = open_connection();
        fcntl(connection->fd, F_SETFL, O_NONBLOCK);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0)
            fail("epoll_ctl", strerror(errno));
    }
}

/* Messages */

static void watch_room(struct connection *connection, bool watch)
{
    struct epoll_event event = {.events = EPOLLIN | (watch ? EPOLLOUT : 0), .data.ptr = connection};

    if (connection->watches_room != watch && epoll_ctl(epoll, EPOLL_CTL_MOD, connection->fd, &event) != 0)
        fail("epoll_ctl", strerror(errno));
    connection->watches_room = watch;
}

static void send_more(struct connection *connection)
{
    while (connection->unsent > 0) {
        ssize_t n = send(connection->fd, frames + connection->offset, connection->unsent, MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            fail("send", strerror(errno));
        connection->unsent -= (uint64_t)n;
        connection->offset = (connection->offset + (size_t)n) % frame_len;
    }
    watch_room(connection, connection->unsent > 0);
}

/* Checks received bytes and returns how many replies they complete. */
static uint64_t check(struct connection *connection, const uint8_t *bytes, size_t len)
{
    uint64_t whole = 0;

    while (len > 0) {
        size_t left = reply_len - connection->at, n = len < left ? len : left;
        size_t end = connection->verified ? reply_head_len : reply_len;

        if (connection->at < end) {
            size_t compared = n < end - connection->at ? n : end - connection->at;

            if (memcmp(bytes, reply + connection->at, compared) != 0)
                fail("reply", connection->at < reply_head_len ? "another head" : "another payload");
        }
        connection->at += n;
        bytes += n;
        len -= n;
        if (connection->at == reply_len) {
            connection->at = 0;
            connection->verified = true;
            whole++;
        }
    }
    return whole;
}

/* Returns how many replies have come. */
static uint64_t receive(struct connection *connection)
{
    ssize_t n = recv(connection->fd, received, sizeof received, 0);
    uint64_t replies, next;

    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0)
        fail("receive", n < 0 ? strerror(errno) : "the server ended the connection");
    replies = check(connection, received, (size_t)n);
    if (replies > connection->to_receive)
        fail("reply", "more than were asked for");
    connection->to_receive -= replies;
    next = replies < connection->to_send ? replies : connection->to_send;
    connection->to_send -= next;
    connection->unsent += next * frame_len;
    return replies;
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* So many messages on each connection; returns the seconds that they take. */
static double exchange(uint64_t each)
{
    uint64_t left = each * connection_count;
    double start = now();
    size_t i;

    for (i = 0; i < connection_count; i++) {
        struct connection *connection = &connections[i];
        uint64_t first = each < depth ? each : depth;

        connection->unsent = first * frame_len;
        connection->to_send = each - first;
        connection->to_receive = each;
        send_more(connection);
    }
    while (left > 0) {
        struct epoll_event events[EVENTS];
        int n, count = epoll_wait(epoll, events, EVENTS, STALLED);

        if (count == 0)
            fail("exchange", "stalled");
        for (n = 0; n < count; n++) {
            struct connection *connection = events[n].data.ptr;

            if (events[n].events & ~(uint32_t)EPOLLOUT)
                left -= receive(connection);
            send_more(connection);
        }
    }
    return now() - start;
}
