/* PEM files in options of the example programs: trusted certificates, and the own certificate with its key. */
#ifndef TLS_OPTIONS_H
#define TLS_OPTIONS_H

#include <stdio.h>
#include <stdlib.h>

#include <wsabi.h>

/* Reads a whole file, to be freed; NULL if it cannot be read. */
static uint8_t *read_pem(const char *path, size_t *len)
{
    enum { MOST = 4 << 20 }; /* all roots of a system are a fraction of that */
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = file ? malloc(MOST) : NULL;

    *len = bytes ? fread(bytes, 1, MOST, file) : 0;
    if (bytes && ferror(file)) {
        free(bytes);
        bytes = NULL;
    }
    if (file)
        fclose(file);
    return bytes;
}

/* Trusts only the certificates in this file. Returns NULL, or what is wrong. */
static const char *trust(ws_config *config, const char *path)
{
    size_t len;
    uint8_t *pem = read_pem(path, &len);
    ws_status_t status = ws_config_set_tls_roots(config, pem, len);

    free(pem);
    if (!pem)
        return "cannot be read";
    return status == WS_OK ? NULL : ws_config_error_message(config);
}

/* Sets the certificate in one file with the key in the other. Returns NULL, or what is wrong. */
static const char *identify(ws_config *config, const char *certificate, const char *key)
{
    size_t chain_len, key_len;
    uint8_t *chain_pem = read_pem(certificate, &chain_len), *key_pem = read_pem(key, &key_len);
    ws_status_t status = ws_config_set_tls_identity(config, chain_pem, chain_len, key_pem, key_len);
    int is_read = chain_pem && key_pem;

    free(chain_pem);
    free(key_pem);
    if (!is_read)
        return "certificate or key cannot be read";
    return status == WS_OK ? NULL : ws_config_error_message(config);
}

#endif
