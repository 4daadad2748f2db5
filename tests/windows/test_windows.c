/* What Windows has in another way: its error codes, ports that are not shared, sockets that cannot be asked not to block for one
 * call, a completion port that cannot be lent, and libraries that are unloaded. */

#include "peer.h"

#include <errno.h>

static void an_error_has_winsocks_number_and_the_systems_sentence(void) {
  ws_conn *conn = NULL;
  const ws_message *message;
  int port, listening = listen_raw(&port);
  char url[64];
  close(listening); /* nobody is there */
  snprintf(url, sizeof url, "ws://127.0.0.1:%d/", port);
  CHECK_IS(ws_connect(NULL, url, &conn), WS_OK);
  CHECK_IS(ws_read_message(conn, &message), WS_ERR_IO);
  CHECK_IS(ws_io_error(conn), WSAECONNREFUSED);
  CHECK(strstr(ws_error_message(conn), "10061") != NULL);
  CHECK(strlen(ws_error_message(conn)) > 20);
  ws_free(conn);
}

static void a_reset_is_told_with_its_number(void) {
  line one = open_line(WS_CLIENT, NULL);
  const ws_message *message;
  struct linger at_once = {1, 0};
  NEED(setsockopt(one.peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
  close(one.peer);
  CHECK_IS(ws_read_message(one.conn, &message), WS_ERR_IO);
  CHECK_IS(ws_io_error(one.conn), WSAECONNRESET);
  ws_free(one.conn);
  close(one.own);
}

static void a_listeners_port_cannot_be_taken_by_others(void) {
  ws_listener *first = listen_to("ws", NULL), *second = NULL;
  struct sockaddr_in address;
  const int thief = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  char url[64];
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons((uint16_t)ws_listener_port(first));
  NEED(setsockopt(thief, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
  CHECK(bind(thief, (struct sockaddr *)&address, sizeof address) != 0);
  snprintf(url, sizeof url, "ws://127.0.0.1:%d/", ws_listener_port(first));
  CHECK_IS(ws_listen(NULL, url, &second), WS_ERR_IO);
  CHECK(WSAGetLastError() == WSAEADDRINUSE || WSAGetLastError() == WSAEACCES);
  close(thief);
  ws_listener_free(first);
  CHECK_IS(ws_listen(NULL, url, &second), WS_OK); /* free at once */
  ws_listener_free(second);
}

static int option_of(ws_socket listening, int name) {
  int value = 0;
  socklen_t len = sizeof value;
  NEED(getsockopt((int)listening, SOL_SOCKET, name, &value, &len) == 0);
  return value;
}

static void a_listener_holds_its_port_for_itself(void) {
  ws_listener *listener = listen_to("ws", NULL);
  CHECK_IS(option_of(ws_listener_socket(listener), SO_REUSEADDR), 0);
  CHECK(option_of(ws_listener_socket(listener), SO_EXCLUSIVEADDRUSE) != 0);
  ws_listener_free(listener);
}

static void what_windows_lacks_is_unsupported(void) {
  ws_config *config = ws_config_new();
  ws_listener *listener = NULL;
  ws_conn *conn = NULL;
  CHECK_IS(ws_config_set(config, WS_OPT_REUSE_PORT, 1), WS_OK);
  CHECK_IS(ws_listen(config, "ws://127.0.0.1:0/", &listener), WS_ERR_UNSUPPORTED);
  CHECK(strlen(ws_last_error_message()) > 10);
  CHECK_IS(ws_config_set(config, WS_OPT_REUSE_PORT, 0), WS_OK);
  CHECK_IS(ws_listen(config, "ws+unix://C:/nothing.sock", &listener), WS_ERR_UNSUPPORTED);
  CHECK_IS(ws_connect(config, "ws+unix://C:/nothing.sock", &conn), WS_ERR_UNSUPPORTED);
  CHECK(strlen(ws_last_error_message()) > 10);
  ws_config_free(config);
}

static void a_borrowed_socket_does_not_block(void) {
  line one = open_line(WS_CLIENT, config_with(WS_OPT_BLOCKING, 0));
  const ws_message *message;
  const uint64_t begun = ws_now();
  CHECK_IS(ws_read_message(one.conn, &message), WS_ERR_WOULD_BLOCK);
  CHECK(ws_now() - begun < 1000);
  CHECK_IS(ws_set_socket(one.conn, -1), WS_ERR_INVALID_ARGUMENT);
  free_line(&one);
}

/* A name is looked up, two addresses race, and all that through one socket that any loop can wait for. */
static void the_socket_lent_while_connecting_is_signalled(void) {
  ws_listener *listener = listen_to("ws", NULL);
  ws_config *config = config_with(WS_OPT_BLOCKING, 0);
  ws_conn *client = NULL, *server = NULL;
  char url[64];
  int rounds;
  snprintf(url, sizeof url, "ws://localhost:%d/", ws_listener_port(listener));
  CHECK_IS(ws_connect(config, url, &client), WS_OK);
  for (rounds = 0; rounds < 50 && (!server || ws_get_state(client) != WS_STATE_OPEN); rounds++) {
    struct pollfd fd = {(SOCKET)ws_get_socket(client), POLLIN, 0};
    ws_status_t status = ws_handshake(client);
    CHECK(status == WS_OK || status == WS_ERR_WOULD_BLOCK);
    if (status == WS_OK) break;
    if (server) ws_handshake(server);
    else if (ws_listener_accept(listener, &server) == WS_OK) continue;
    fd.fd = (SOCKET)ws_get_socket(client);
    poll(&fd, 1, 100);
  }
  CHECK_IS(ws_get_state(client), WS_STATE_OPEN);
  CHECK(rounds < 20); /* it did not spin either */
  ws_free(client);
  ws_free(server);
  ws_listener_free(listener);
  ws_config_free(config);
}

/* Each message is a change of its own: a poller that is not asked again tells of the first only. */
static void every_message_is_reported(void) {
  ends both = open_ends("ws");
  ws_poller *poller = poller_of(both.server, 7);
  int i;
  while (is_reported(poller, 7, 50)) read_all(both.server);
  for (i = 0; i < 20; i++) {
    CHECK_IS(write_little(both.client), WS_OK);
    CHECK(is_reported(poller, 7, 2000));
    CHECK_IS(read_next(both.server), WS_OK);
    CHECK_IS(read_next(both.server), WS_ERR_WOULD_BLOCK);
  }
  CHECK(!is_reported(poller, 7, 100));
  ws_poller_free(poller);
  free_ends(&both);
}

static void room_to_send_is_reported_each_time(void) {
  ends both = open_ends("ws");
  ws_poller *poller = poller_of(both.client, 7);
  const ws_message *message;
  ws_status_t status;
  int i;
  for (i = 0; i < 3; i++) {
    const uint64_t begun = ws_now();
    int got = 0;
    status = write_large(both.client);
    CHECK(status == WS_OK || status == WS_ERR_WOULD_BLOCK);
    while (!got) {
      CHECK(ws_now() - begun < 20000);
      while ((status = ws_read_message(both.server, &message)) == WS_OK) got += message->len == LARGE;
      if (is_reported(poller, 7, 5)) {
        status = ws_write_pending(both.client);
        CHECK(status == WS_OK || status == WS_ERR_WOULD_BLOCK);
      }
    }
  }
  CHECK_IS(ws_queued_bytes(both.client), 0);
  ws_poller_free(poller);
  free_ends(&both);
}

static void every_connection_that_comes_is_reported(void) {
  ws_listener *listener = listen_to("ws", NULL);
  ws_poller *poller = NULL;
  int i;
  CHECK_IS(ws_poller_new(&poller), WS_OK);
  CHECK_IS(ws_poller_add_listener(poller, listener, 3), WS_OK);
  for (i = 0; i < 10; i++) {
    ws_conn *conn = NULL, *none = NULL;
    const int fd = connect_raw(ws_listener_port(listener));
    CHECK(is_reported(poller, 3, 2000));
    CHECK_IS(ws_listener_accept(listener, &conn), WS_OK);
    CHECK_IS(ws_listener_accept(listener, &none), WS_ERR_WOULD_BLOCK);
    ws_free(conn);
    close(fd);
  }
  CHECK(!is_reported(poller, 3, 100));
  ws_poller_free(poller);
  ws_listener_free(listener);
}

/* Loads another copy of the library, uses it, and lets it go. */
static void an_unloaded_library_is_gone(void) {
  char path[MAX_PATH];
  HMODULE library;
  const HMODULE own = GetModuleHandleA("wsabi.dll");
  int i;
  NEED(own && GetModuleFileNameA(own, path, sizeof path) > 0);
  NEED(CopyFileA(path, "wsabi-copy.dll", FALSE));
  for (i = 0; i < 3; i++) {
    __typeof__(ws_connect) *connect_to_url;
    __typeof__(ws_handshake) *handshake;
    __typeof__(ws_free) *free_it;
    FARPROC function;
    ws_conn *conn = NULL;
    const uint64_t begun = ws_now();
    CHECK((library = LoadLibraryA("wsabi-copy.dll")) != NULL);
    function = GetProcAddress(library, "ws_connect");
    memcpy(&connect_to_url, &function, sizeof function);
    function = GetProcAddress(library, "ws_handshake");
    memcpy(&handshake, &function, sizeof function);
    function = GetProcAddress(library, "ws_free");
    memcpy(&free_it, &function, sizeof function);
    CHECK_IS(connect_to_url(NULL, "ws://localhost:1/", &conn), WS_OK);
    if (i > 0) CHECK_IS(handshake(conn), WS_ERR_IO); /* else threads still look the name up */
    free_it(conn);
    CHECK(FreeLibrary(library));
    while (GetModuleHandleA("wsabi-copy.dll")) {
      CHECK(ws_now() - begun < 20000);
      nap(5);
    }
  }
  CHECK(DeleteFileA("wsabi-copy.dll"));
}

int main(int argc, char **argv) {
  check_begin(argc, argv);
  RUN(an_error_has_winsocks_number_and_the_systems_sentence);
  RUN(a_reset_is_told_with_its_number);
  RUN(a_listeners_port_cannot_be_taken_by_others);
  RUN(a_listener_holds_its_port_for_itself);
  RUN(what_windows_lacks_is_unsupported);
  RUN(a_borrowed_socket_does_not_block);
  RUN(the_socket_lent_while_connecting_is_signalled);
  RUN(every_message_is_reported);
  RUN(room_to_send_is_reported_each_time);
  RUN(every_connection_that_comes_is_reported);
  RUN(an_unloaded_library_is_gone);
  return check_end();
}
