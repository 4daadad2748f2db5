/* The broadcast server in several processes, on one machine or several, connected by NATS: a message from a client of
 * one process reaches the clients of all.
 *
 *   cc -std=c99 -D_POSIX_C_SOURCE=200809L -Iinclude examples-c/cluster_chat.c -Lbuild/lib -lwsabi -lnats -lpthread -o cluster_chat
 *   cluster_chat [URL] [--nats URL] [--subject NAME] [--reuse-port 1] and the options of broadcast_server
 *
 * By default it listens on ws://127.0.0.1:9001/ and connects to NATS at nats://127.0.0.1:4222. With --reuse-port 1,
 * several processes listen on the same port, and the system distributes the clients among them.
 *
 * A message is sent to the clients of this process at once, and to the other processes as "NAME.text" or "NAME.binary".
 * NATS delivers messages from other processes on its own thread: they are put into a queue, and the poller is woken.
 * Without the broker, clients of one process still reach each other; up to 8 MiB of their messages are sent when it is
 * back, and reach the processes that have reconnected by then. If every message has to arrive, use JetStream. Clients of
 * two processes may see messages in different orders; for a single order, omit NoEcho and relay only what the broker
 * delivers. */
#include <pthread.h>

#include <nats/nats.h>

#include "server_options.h" /* the options, the listener, and `stopping`, which a signal sets */

enum {
    MAX_CLIENTS = 100000,
    MAX_MESSAGE = 64 << 10,
    MAX_QUEUED = 256 << 10, /* bytes waiting for one client */
    CLOSE_MS = 2000,
    TURN = 16,         /* messages read before the next client's turn */
    LOOK_MS = 250,     /* how soon a signal is noticed */
    INBOX = 1024,      /* messages waiting for the poller's thread */
    RECONNECT_MS = 250, /* between two attempts to reach the broker */
    FLUSH_MS = 1000
};

struct client {
    ws_conn *conn;
    size_t place;
};

static struct client *clients[MAX_CLIENTS]; /* contiguous, unordered */
static size_t client_count;
static ws_poller *poller;

static natsConnection *broker;
static natsSubscription *subscription;
static char subject_text[256], subject_binary[256], subject_all[256];

/* From NATS's thread to the poller's. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t room;
    natsMsg *messages[INBOX]; /* a ring buffer */
    size_t first, count;
    int closed;
} inbox = {.lock = PTHREAD_MUTEX_INITIALIZER, .room = PTHREAD_COND_INITIALIZER};

/* Clients: as in broadcast_server.c */

static void welcome(ws_conn *conn)
{
    struct client *client = client_count < MAX_CLIENTS ? malloc(sizeof *client) : NULL;

    if (!client || ws_poller_add(poller, conn, (uintptr_t)client) != WS_OK) {
        free(client);
        ws_free(conn);
        return;
    }
    client->conn = conn;
    client->place = client_count;
    clients[client_count++] = client;
}

static void drop(struct client *client)
{
    clients[client->place] = clients[--client_count];
    clients[client->place]->place = client->place;
    ws_free(client->conn);
    free(client);
}

static void relay(int32_t kind, const void *data, size_t len)
{
    ws_prepared *prepared;
    size_t i;

    if (ws_prepare_message(kind, data, len, &prepared) != WS_OK)
        return; /* the broker may deliver text that is not UTF-8 */
    for (i = 0; i < client_count; i++)
        if (ws_write_prepared(clients[i]->conn, prepared) == WS_ERR_SEND_QUEUE_FULL)
            ws_close(clients[i]->conn, 1013, "too slow", strlen("too slow"));
    ws_prepared_free(prepared);
}

static void publish(const ws_message *message)
{
    const char *subject = message->kind == WS_TEXT ? subject_text : subject_binary;
    natsStatus status = natsConnection_Publish(broker, subject, message->data, (int)message->len);

    if (status != NATS_OK) /* the broker was away for too long */
        fprintf(stderr, "cluster_chat: not relayed: %s\n", natsStatus_GetText(status));
}

static void serve(struct client *client)
{
    const ws_message *message;
    ws_status_t status = WS_OK;
    int turn;

    for (turn = 0; turn < TURN && status != WS_ERR_WOULD_BLOCK; turn++) {
        status = ws_read_message(client->conn, &message);
        if (status == WS_OK && message->kind != WS_CLOSE) {
            relay(message->kind, message->data, message->len);
            publish(message);
        }
        if (status == WS_ERR_CONNECTION_CLOSED || status <= WS_ERR_INVALID_ARGUMENT) {
            drop(client);
            return;
        }
    }
}

/* The broker */

/* On NATS's thread. If the poller's thread is behind, this one waits, and NATS queues messages up to its own limit (65536)
 * and drops further ones. */
static void arrived(natsConnection *connection, natsSubscription *from, natsMsg *message, void *userdata)
{
    (void)connection, (void)from, (void)userdata;
    pthread_mutex_lock(&inbox.lock);
    while (inbox.count == INBOX && !inbox.closed)
        pthread_cond_wait(&inbox.room, &inbox.lock);
    if (inbox.closed)
        natsMsg_Destroy(message);
    else
        inbox.messages[(inbox.first + inbox.count++) % INBOX] = message;
    pthread_mutex_unlock(&inbox.lock);
    ws_poller_wake(poller);
}

static natsMsg *take(void)
{
    natsMsg *message = NULL;

    pthread_mutex_lock(&inbox.lock);
    if (inbox.count > 0) {
        message = inbox.messages[inbox.first];
        inbox.first = (inbox.first + 1) % INBOX;
        inbox.count--;
        pthread_cond_signal(&inbox.room);
    }
    pthread_mutex_unlock(&inbox.lock);
    return message;
}

static void relay_arrived(void)
{
    natsMsg *message;
    int turn;

    for (turn = 0; turn < INBOX && (message = take()) != NULL; turn++) {
        int is_text = strcmp(natsMsg_GetSubject(message), subject_text) == 0;

        relay(is_text ? WS_TEXT : WS_BINARY, natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message));
        natsMsg_Destroy(message);
    }
    if (turn == INBOX)
        ws_poller_wake(poller); /* there may be more after the clients' turn */
}

static void tell(natsConnection *connection, void *what)
{
    (void)connection;
    printf("%s\n", (const char *)what);
    fflush(stdout);
}

static void join(const char *url, const char *name)
{
    static char connected[] = "connected to the broker", lost[] = "lost the broker", again[] = "reconnected to the broker";
    natsOptions *options = NULL;
    natsStatus status = natsOptions_Create(&options);

    snprintf(subject_text, sizeof subject_text, "%s.text", name);
    snprintf(subject_binary, sizeof subject_binary, "%s.binary", name);
    snprintf(subject_all, sizeof subject_all, "%s.*", name);

    if (status == NATS_OK) status = natsOptions_SetURL(options, url);
    if (status == NATS_OK) status = natsOptions_SetNoEcho(options, true);
    if (status == NATS_OK) status = natsOptions_SetMaxReconnect(options, -1); /* no limit */
    if (status == NATS_OK) status = natsOptions_SetReconnectWait(options, RECONNECT_MS);
    if (status == NATS_OK) status = natsOptions_SetDisconnectedCB(options, tell, lost);
    if (status == NATS_OK) status = natsOptions_SetReconnectedCB(options, tell, again);
    if (status == NATS_OK) status = natsOptions_SetRetryOnFailedConnect(options, true, tell, connected);
    if (status == NATS_OK) status = natsConnection_Connect(&broker, options);
    if (status == NATS_OK) tell(broker, connected);
    if (status == NATS_NOT_YET_CONNECTED) status = NATS_OK; /* subscriptions and messages wait until it is connected */
    if (status == NATS_OK) status = natsConnection_Subscribe(&subscription, broker, subject_all, arrived, NULL);
    if (status == NATS_OK && natsConnection_Status(broker) == NATS_CONN_STATUS_CONNECTED)
        natsConnection_FlushTimeout(broker, FLUSH_MS); /* subscribe before the first client connects */
    if (status != NATS_OK)
        fail(url, natsStatus_GetText(status));
    natsOptions_Destroy(options);
}

static void leave(void)
{
    natsMsg *message;

    pthread_mutex_lock(&inbox.lock);
    inbox.closed = 1;
    pthread_cond_broadcast(&inbox.room);
    pthread_mutex_unlock(&inbox.lock);
    natsSubscription_Destroy(subscription);
    natsConnection_Destroy(broker);
    nats_CloseAndWait(2000); /* until its threads have ended, which use the poller */
    while ((message = take()) != NULL)
        natsMsg_Destroy(message);
}

int main(int argc, char **argv)
{
    const char *url = "ws://127.0.0.1:9001/", *nats = "nats://127.0.0.1:4222", *subject = "chat";
    ws_config *config = ws_config_new();
    ws_listener *listener;
    ws_conn *conn;
    uint64_t tokens[256];
    size_t count, k;
    int i;

    ws_config_set(config, WS_OPT_BLOCKING, 0);
    ws_config_set(config, WS_OPT_MAX_MESSAGE_SIZE, MAX_MESSAGE);
    ws_config_set(config, WS_OPT_MAX_SEND_BYTES, MAX_QUEUED);
    ws_config_set(config, WS_OPT_CLOSE_TIMEOUT_MS, CLOSE_MS);
    for (i = 1; i < argc; i++) {
        const char *value = argv[i + 1];

        if (argv[i][0] != '-') {
            url = argv[i];
            continue;
        }
        if (value && strcmp(argv[i], "--nats") == 0)
            nats = value;
        else if (value && strcmp(argv[i], "--subject") == 0)
            subject = value;
        else if (value && strcmp(argv[i], "--reuse-port") == 0)
            ws_config_set(config, WS_OPT_REUSE_PORT, value[0] == '1');
        else if (!server_option(config, argv[i], value))
            fail("usage: cluster_chat [URL] [--nats URL] [--subject NAME] [--reuse-port 1]", SERVER_OPTIONS);
        i++;
    }
    if (ws_poller_new(&poller) != WS_OK)
        fail("poller", strerror(errno));
    join(nats, subject);
    listener = open_listener(config, url);
    ws_config_free(config);
    if (ws_poller_add_listener(poller, listener, 0) != WS_OK)
        fail("poller", strerror(errno));

    while (!stopping) {
        ws_poller_wait(poller, tokens, 256, LOOK_MS, &count);
        for (k = 0; k < count; k++) {
            if (tokens[k] != 0)
                serve((struct client *)(uintptr_t)tokens[k]);
            while (tokens[k] == 0 && ws_listener_accept(listener, &conn) == WS_OK)
                welcome(conn);
        }
        relay_arrived();
    }
    leave();
    while (client_count > 0) {
        ws_close(clients[0]->conn, 1001, NULL, 0); /* going away; sent if the socket accepts it */
        drop(clients[0]);
    }
    ws_listener_free(listener);
    ws_poller_free(poller);
    return 0;
}
