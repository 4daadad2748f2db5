/* The option --deflate of the example programs: permessage-deflate with the parameters of RFC 7692, for example
 * "server_no_context_takeover; client_max_window_bits=10". An empty text takes the defaults. */
#ifndef DEFLATE_OPTION_H
#define DEFLATE_OPTION_H

#include <stdlib.h>
#include <string.h>

#include <wsabi.h>

/* Enables it. Returns 0 if a parameter is unknown or has an invalid value. */
static int set_deflate(ws_config *config, const char *parameters)
{
    static const struct {
        const char *name;
        int32_t option;
    } known[] = {
        {"client_max_window_bits", WS_OPT_DEFLATE_CLIENT_MAX_WINDOW_BITS},
        {"server_max_window_bits", WS_OPT_DEFLATE_SERVER_MAX_WINDOW_BITS},
        {"client_no_context_takeover", WS_OPT_DEFLATE_CLIENT_NO_CONTEXT_TAKEOVER},
        {"server_no_context_takeover", WS_OPT_DEFLATE_SERVER_NO_CONTEXT_TAKEOVER},
        {"level", WS_OPT_DEFLATE_LEVEL},
        {"threshold", WS_OPT_DEFLATE_THRESHOLD},
    };
    const char *at = parameters + strspn(parameters, "; ");

    while (*at != '\0') {
        size_t len = strcspn(at, "=; "), i = 0, count = sizeof known / sizeof *known;
        uint64_t value = at[len] == '=' ? strtoull(at + len + 1, NULL, 10) : 1;

        while (i < count && (strlen(known[i].name) != len || strncmp(known[i].name, at, len) != 0))
            i++;
        if (i == count || ws_config_set(config, known[i].option, value) != WS_OK)
            return 0;
        at += strcspn(at, ";");
        at += strspn(at, "; ");
    }
    return ws_config_set(config, WS_OPT_DEFLATE, 1) == WS_OK;
}

#endif
