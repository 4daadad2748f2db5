/* Nobody listens there, and it says so. */
#include <stdio.h>
#include <wsabi.h>

int main(void) {
    ws_conn *conn = NULL;
    ws_status_t status = ws_connect(NULL, "ws://127.0.0.1:1/", &conn);
    if (status == WS_OK) status = ws_handshake(conn);
    printf("wsabi %s: %s\n", ws_version_string(), ws_error_message(conn));
    ws_free(conn);
    return status == WS_ERR_IO ? 0 : 1;
}
