/* A loop of 60 frames per second that is never blocked by its connection.
 *
 *   cc -std=c99 -D_POSIX_C_SOURCE=200809L -Iinclude examples-c/game_loop.c -Lbuild/lib -lwsabi -o game_loop
 *   game_loop URL FRAMES                   for example ws://127.0.0.1:9001/ 120
 *
 * It shows the network's part of a frame: read what has been received, up to a limit; queue what is to be sent; send it
 * all together. This also holds while connecting, while closing and with a slow server: no call waits. At the end it
 * prints how long the network took in the worst frame. The server must be an echo server. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <wsabi.h>

enum {
    FRAME_NS = 1000000000 / 60,
    READS = 16,     /* most messages read in one frame */
    FAREWELL = 120, /* maximum number of frames for the closing handshake */
};

static long sent, received, skipped;

static ws_conn *open_connection(const char *url);
static ws_status_t network(ws_conn *conn, long frame, int is_playing);
static int64_t now_ns(void);
static void sleep_until(int64_t ns);

int main(int argc, char **argv)
{
    long frames = argc == 3 ? strtol(argv[2], NULL, 10) : 0, frame;
    int64_t longest = 0, next;
    ws_status_t status = WS_OK;
    ws_conn *conn;
    int failed;

    if (frames <= 0) {
        fprintf(stderr, "usage: %s URL FRAMES\n", argv[0]);
        return 2;
    }
    conn = open_connection(argv[1]);
    next = now_ns();
    for (frame = 0; frame < frames + FAREWELL && status == WS_OK; frame++) {
        int64_t start = now_ns(), took;

        status = network(conn, frame, frame < frames);
        took = now_ns() - start;
        if (took > longest)
            longest = took;

        /* here the game would be updated and drawn */
        sleep_until(next += FRAME_NS);
    }
    printf("%ld frames, %ld messages sent, %ld received, %ld skipped; the longest frame spent %ld us on the network\n",
           frame, sent, received, skipped, (long)(longest / 1000));
    failed = status != WS_ERR_CONNECTION_CLOSED || ws_close_code(conn) != 1000;
    if (failed)
        fprintf(stderr, "game_loop: %s: %s\n", argv[1], ws_error_message(conn));
    ws_free(conn);
    return failed;
}

static ws_conn *open_connection(const char *url)
{
    ws_config *config = ws_config_new();
    ws_conn *conn;
    ws_status_t status;

    ws_config_set(config, WS_OPT_BLOCKING, 0);
    status = ws_connect(config, url, &conn); /* does not wait either */
    ws_config_free(config);
    if (status != WS_OK) {
        fprintf(stderr, "game_loop: %s: %s\n", url, ws_last_error_message());
        exit(1);
    }
    return conn;
}

/* The network's part of a frame. WS_OK while connecting or connected. */
static ws_status_t network(ws_conn *conn, long frame, int is_playing)
{
    const ws_message *message;
    ws_status_t status = WS_OK;
    char position[64];
    int reads, length;

    for (reads = 0; reads < READS && status == WS_OK; reads++) {
        status = ws_read_message(conn, &message); /* also continues the handshake */
        if (status == WS_OK && message->kind != WS_CLOSE)
            received++;
    }
    if (status != WS_OK && status != WS_ERR_WOULD_BLOCK)
        return status;

    if (!is_playing)
        ws_close(conn, 1000, NULL, 0); /* repeated calls have no effect */
    else if (ws_can_write(conn)) {
        length = snprintf(position, sizeof position, "{\"frame\": %ld, \"x\": %ld, \"y\": %ld}", frame, frame % 640,
                          frame % 480);
        status = ws_queue_message(conn, WS_TEXT, position, (size_t)length);
        if (status == WS_OK)
            sent++;
        else
            skipped++; /* the queue is full: a later position is worth more than this one */
    }
    status = ws_write_pending(conn);
    return status == WS_ERR_WOULD_BLOCK ? WS_OK : status;
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void sleep_until(int64_t ns)
{
    int64_t left = ns - now_ns();
    struct timespec rest = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};

    if (left > 0)
        nanosleep(&rest, NULL);
}
