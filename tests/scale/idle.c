/* Holds many idle connections to a server that relays to all, and tells what each costs that server.
 *
 *   idle URL COUNT SERVER_PID [SECONDS BROADCASTS]
 *
 * Reports at 1,000, 5,000 and 10,000 connections, and at COUNT: private bytes of the server and of this program for each,
 * then the server's CPU time for the openings. One client sends a message, which all must get; each answers with a Ping,
 * and all must get their Pong. With SECONDS, the server's CPU time is taken while nothing is said for so long, and with
 * BROADCASTS while so many messages go to all. Ends with status 0 if nothing was lost. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <wsabi.h>

enum { AT_ONCE = 128 /* handshakes under way, fewer than listeners let wait */, PATIENCE_MS = 20000 };

struct client {
    ws_conn *conn;
    int is_open;
};

static struct client *clients;
static ws_poller *poller;
static size_t opened, lost, texts, pongs;

static void fail(const char *what)
{
    fprintf(stderr, "idle: %s: %zu open, %zu lost, %zu texts, %zu pongs\n", what, opened, lost, texts, pongs);
    exit(1);
}

/* Private memory, or resident where the kernel does not tell. */
static long resident(long pid)
{
    char path[64], line[256];
    long kilobytes = 0, pages = 0, part;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", pid);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Private_Clean: %ld", &part) == 1 || sscanf(line, "Private_Dirty: %ld", &part) == 1)
            kilobytes += part;
    if (file) fclose(file);
    if (kilobytes > 0) return kilobytes * 1024;

    snprintf(path, sizeof path, "/proc/%ld/statm", pid);
    file = fopen(path, "r");
    if (!file || fscanf(file, "%*s %ld", &pages) != 1) pages = 0;
    if (file) fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static double cpu_seconds(long pid)
{
    char path[64];
    unsigned long user = 0, system = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    file = fopen(path, "r");
    if (!file || fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        fail(path);
    fclose(file);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void read_from(struct client *client)
{
    const ws_message *message;
    ws_status_t status;

    while ((status = ws_read_message(client->conn, &message)) == WS_OK) {
        texts += message->kind == WS_TEXT;
        pongs += message->kind == WS_PONG;
    }
    if (!client->is_open && ws_can_write(client->conn)) {
        client->is_open = 1;
        opened++;
    }
    if (status != WS_ERR_WOULD_BLOCK) {
        lost++;
        fprintf(stderr, "idle: %s: %s\n", ws_status_name(status), ws_error_message(client->conn));
        ws_poller_remove(poller, client->conn);
    }
}

/* Serves all until `*value` is `goal`, or for `ms`. */
static void run(const size_t *value, size_t goal, uint64_t ms)
{
    uint64_t tokens[256], until = ws_now() + ms, now;
    size_t count, i;

    while ((!value || *value < goal) && lost == 0 && (now = ws_now()) < until) {
        ws_poller_wait(poller, tokens, 256, (int32_t)(until - now), &count);
        for (i = 0; i < count; i++) read_from(&clients[tokens[i]]);
    }
    if (lost > 0) fail("connections are gone");
    if (value && *value < goal) fail("not all");
}

static void say(const char *text)
{
    if (ws_write_message(clients[0].conn, WS_TEXT, text, strlen(text)) != WS_OK) fail("cannot send");
}

int main(int argc, char **argv)
{
    ws_config *config = ws_config_new();
    struct rlimit files;
    size_t count, started, n, broadcasts;
    long pid, empty, own;
    double before, seconds;

    if (argc != 4 && argc != 6) {
        fprintf(stderr, "usage: idle URL COUNT SERVER_PID [SECONDS BROADCASTS]\n");
        return 2;
    }
    count = strtoul(argv[2], NULL, 10);
    pid = strtol(argv[3], NULL, 10);
    seconds = argc == 6 ? strtod(argv[4], NULL) : 0;
    broadcasts = argc == 6 ? strtoul(argv[5], NULL, 10) : 0;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < count + 64) {
        printf("skipped: %zu files wanted, %lu allowed\n", count + 64, (unsigned long)files.rlim_cur);
        return 77;
    }
    clients = calloc(count, sizeof *clients);
    ws_config_set(config, WS_OPT_BLOCKING, 0);
    ws_config_set(config, WS_OPT_DELIVER_CONTROL, 1);
    ws_config_set(config, WS_OPT_TLS_VERIFY, 0); /* the certificate is one of the test's */
    ws_config_set(config, WS_OPT_HANDSHAKE_TIMEOUT_MS, PATIENCE_MS);
    if (!clients || ws_poller_new(&poller) != WS_OK) fail("poller");

    empty = resident(pid);
    own = resident(getpid());
    before = cpu_seconds(pid);
    for (started = 0; started < count; started++) {
        if (ws_connect(config, argv[1], &clients[started].conn) != WS_OK) fail("ws_connect");
        if (ws_poller_add(poller, clients[started].conn, started) != WS_OK) fail("ws_poller_add");
        if (started >= AT_ONCE) run(&opened, started - AT_ONCE, PATIENCE_MS);
        n = started + 1;
        if (n == 1000 || n == 5000 || n == 10000 || n == count) {
            run(&opened, n, PATIENCE_MS);
            run(NULL, 0, 200); /* what comes after the handshake, session tickets for instance */
            printf("%zu connections: %ld bytes each in the server, %ld in the client\n", n,
                   (resident(pid) - empty) / (long)n, (resident(getpid()) - own) / (long)n);
            fflush(stdout);
        }
    }
    printf("%zu openings: %.0f us of the server's CPU time for each\n", count,
           (cpu_seconds(pid) - before) * 1e6 / (double)count);
    if (seconds > 0) {
        before = cpu_seconds(pid);
        run(NULL, 0, (uint64_t)(seconds * 1000));
        printf("%g s of silence: %g s of the server's CPU time\n", seconds, cpu_seconds(pid) - before);
    }

    say("who is there?");
    run(&texts, count, PATIENCE_MS);
    for (n = 0; n < count; n++)
        if (ws_write_message(clients[n].conn, WS_PING, "here", 4) != WS_OK) fail("cannot answer");
    run(&pongs, count, PATIENCE_MS);
    printf("all %zu got a message and had an answer answered\n", count);

    if (broadcasts > 0) {
        before = cpu_seconds(pid);
        for (n = 0, texts = 0; n < broadcasts; n++) {
            say("to all");
            run(&texts, (n + 1) * count, PATIENCE_MS);
        }
        printf("%zu messages to all: %.2f us of the server's CPU time for each client and message\n", broadcasts,
               (cpu_seconds(pid) - before) * 1e6 / (double)(broadcasts * count));
        printf("%zu connections after that: %ld bytes each in the server\n", count, (resident(pid) - empty) / (long)count);
    }
    fflush(stdout);
    for (n = 0; n < count; n++) ws_free(clients[n].conn);
    ws_poller_free(poller);
    ws_config_free(config);
    free(clients);
    return 0;
}
