/* Shared by the servers for many clients: options, files, the listener, signals. */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <sys/resource.h>
#endif

#include <wsabi.h>

#define SERVER_OPTIONS "[--cert FILE --key FILE] [--handshake-timeout MS] [--ping MS] [--pong-timeout MS]"

static volatile sig_atomic_t stopping;

static void stop(int number)
{
    (void)number;
    stopping = 1;
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static size_t load(const char *path, uint8_t *buffer, size_t room)
{
    FILE *file = fopen(path, "rb");
    size_t length = file ? fread(buffer, 1, room, file) : 0;

    if (!file || length == room)
        fail(path, file ? "is too long" : strerror(errno));
    fclose(file);
    return length;
}

/* Sets one of SERVER_OPTIONS. Returns 0 if it is not one of these or has no value. */
static int server_option(ws_config *config, const char *name, const char *value)
{
    static uint8_t cert[64 << 10], key[16 << 10];
    static size_t cert_length, key_length;
    static const struct {
        const char *name;
        int32_t option;
    } times[] = {{"--handshake-timeout", WS_OPT_HANDSHAKE_TIMEOUT_MS},
                 {"--ping", WS_OPT_PING_INTERVAL_MS},
                 {"--pong-timeout", WS_OPT_PONG_TIMEOUT_MS}};
    size_t i;

    if (!value)
        return 0;
    for (i = 0; i < sizeof times / sizeof *times; i++)
        if (strcmp(name, times[i].name) == 0)
            return ws_config_set(config, times[i].option, strtoull(value, NULL, 10)) == WS_OK;
    if (strcmp(name, "--cert") == 0)
        cert_length = load(value, cert, sizeof cert);
    else if (strcmp(name, "--key") == 0)
        key_length = load(value, key, sizeof key);
    else
        return 0;
    if (cert_length && key_length && ws_config_set_tls_identity(config, cert, cert_length, key, key_length) != WS_OK)
        fail(value, "the certificate and its key cannot be used");
    return 1;
}

/* Listens and prints the address. Signals set `stopping`; the limit of open files is raised. */
static ws_listener *open_listener(const ws_config *config, const char *url)
{
    const char *host = strstr(url, "://");
    ws_listener *listener;
    ws_status_t status;

#ifdef _WIN32 /* which has neither sigaction() nor such a limit */
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
#else
    {
        struct sigaction action = {.sa_handler = stop}; /* signal() may forget it after the first one */
        struct rlimit files;

        sigaction(SIGTERM, &action, NULL);
        sigaction(SIGINT, &action, NULL);
        getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
#endif

    status = ws_listen(config, url, &listener);
    if (status != WS_OK)
        fail(url, ws_last_error_message());
    host = host ? host + strlen("://") : url;
    host += *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?");
    printf("listening on %.*s:%d/\n", (int)(host - url), url, ws_listener_port(listener));
    fflush(stdout);
    return listener;
}

#endif
