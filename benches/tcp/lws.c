/* lws PORT: an echo server with libwebsockets, on its libuv event loop where that is installed.
 *
 * Messages come in pieces and are put together, as the others do; echoes wait until their connection is writable, which
 * is when the library wants them. */
#define _GNU_SOURCE
#include <libwebsockets.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECEIVED = 64 * 1024 };

struct message {
    struct message *next;
    enum lws_write_protocol kind;
    size_t len, room;
    unsigned char bytes[]; /* LWS_PRE of them before the payload, for the head */
};

struct client {
    struct message *arriving;
    struct message *first, **last; /* to be echoed */
};

static int receive(struct lws *wsi, struct client *client, const void *bytes, size_t len)
{
    struct message *message = client->arriving;

    if (!message || message->room - message->len < len) {
        /* What is left of the frame is known: a message in one frame is never moved. */
        size_t have = message ? message->len : 0, room = have + len + lws_remaining_packet_payload(wsi);

        message = realloc(message, sizeof *message + LWS_PRE + room);
        if (!message)
            return -1;
        message->next = NULL;
        message->len = have;
        message->room = room;
        client->arriving = message;
    }
    memcpy(message->bytes + LWS_PRE + message->len, bytes, len);
    message->len += len;
    if (lws_is_final_fragment(wsi)) {
        message->kind = lws_frame_is_binary(wsi) ? LWS_WRITE_BINARY : LWS_WRITE_TEXT;
        client->arriving = NULL;
        if (!client->first)
            lws_callback_on_writable(wsi); /* a system call; for the others it has been asked already */
        *client->last = message;
        client->last = &message->next;
    }
    return 0;
}

static int echo(struct lws *wsi, struct client *client)
{
    while (client->first) {
        struct message *message = client->first;
        int written = lws_write(wsi, message->bytes + LWS_PRE, message->len, message->kind);

        client->first = message->next;
        if (!client->first)
            client->last = &client->first;
        free(message);
        if (written < 0)
            return -1;
        if (client->first && lws_send_pipe_choked(wsi)) {
            lws_callback_on_writable(wsi);
            break;
        }
    }
    return 0;
}

static void forget(struct client *client)
{
    while (client->first) {
        struct message *message = client->first;

        client->first = message->next;
        free(message);
    }
    free(client->arriving);
    client->arriving = NULL;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *bytes, size_t len)
{
    struct client *client = user;

    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        memset(client, 0, sizeof *client);
        client->last = &client->first;
        return 0;
    case LWS_CALLBACK_RECEIVE:
        return receive(wsi, client, bytes, len);
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return echo(wsi, client);
    case LWS_CALLBACK_CLOSED:
        forget(client);
        return 0;
    default:
        return lws_callback_http_dummy(wsi, reason, user, bytes, len);
    }
}

int main(int argc, char **argv)
{
    static const struct lws_protocols protocols[] = {
        {.name = "echo", .callback = on_event, .per_session_data_size = sizeof(struct client)},
        {.name = NULL},
    };
    struct lws_context_creation_info info;
    struct lws_context *context;

    if (argc != 2) {
        fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 2;
    }
    lws_set_log_level(LLL_ERR, NULL);
    memset(&info, 0, sizeof info);
    info.port = atoi(argv[1]);
    info.iface = "127.0.0.1";
    info.protocols = protocols;
    info.pt_serv_buf_size = RECEIVED; /* taken from a socket at once; 4096 otherwise */
    info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_DISABLE_IPV6;
    context = lws_create_context(&info);
    if (!context) {
        info.options &= ~(uint64_t)LWS_SERVER_OPTION_LIBUV;
        context = lws_create_context(&info);
    }
    if (!context)
        return 1;
    signal(SIGTERM, SIG_DFL); /* its loop catches it, stops, and then turns for ever */
    puts("ready");
    fflush(stdout);
    while (lws_service(context, 0) >= 0)
        ;
    lws_context_destroy(context);
    return 0;
}
