/* What failed where there is no connection to ask: a sentence on the configuration, and one for each thread. And what the
 * environment says, which needs no connection either. */

#include "certificates.h"
#include "check.h"
#include "pair.h"

#include <errno.h>
#include <pthread.h>

static const uint8_t *bytes_of(const char *text) { return (const uint8_t *)text; }

/* Whether the thread's sentence has these words in it. */
static int last_says(const char *words) {
  if (strstr(ws_last_error_message(), words)) return 1;
  printf("# \"%s\" is not in: %s\n", words, ws_last_error_message());
  return 0;
}

/* The same for the configuration's, which is the thread's, too. */
static int both_say(const ws_config *config, const char *words) {
  if (strcmp(ws_config_error_message(config), ws_last_error_message()) != 0) return 0;
  return last_says(words);
}

static void each_bad_url_says_what_is_wrong_with_it(void) {
  static const struct {
    const char *url, *words;
  } bad[] = {
    {"", "not a valid URL"},
    {"ws://h\n/", "not a valid URL"},
    {"ws://127.0.0.256/", "neither a name nor an address"},
    {"http://example.com/", "scheme"},
    {"ws://example.com/#part", "fragment"},
    {"ws:example.com", "no host"},
    {"ws://example.com:0/", "port"},
    {"ws://example.com:65536/", "port"},
    {"ws://me:secret@example.com/", "user name"},
  };
  ws_conn *conn;
  ws_listener *listener;
  size_t i;
  for (i = 0; i < LENGTH(bad); i++) {
    CHECK_IS(ws_connect(NULL, bad[i].url, &conn), WS_ERR_URL);
    CHECK(last_says(bad[i].words));
    CHECK_IS(ws_client_new(NULL, "also\nbad", &conn), WS_ERR_URL);
    CHECK(last_says("not a valid URL"));
    CHECK_IS(ws_client_new(NULL, bad[i].url, &conn), WS_ERR_URL);
    CHECK(last_says(bad[i].words));
    if (strcmp(bad[i].url, "ws://example.com:0/") == 0) continue; /* any port that is free */
    CHECK_IS(ws_listen(NULL, bad[i].url, &listener), WS_ERR_URL);
    CHECK(last_says(bad[i].words));
    CHECK(!strstr(ws_last_error_message(), "secret"));
  }
  CHECK_IS(ws_connect(NULL, NULL, &conn), WS_ERR_INVALID_ARGUMENT);
  CHECK(last_says("NULL"));
  CHECK_IS(ws_connect(NULL, "ws://\xff/", &conn), WS_ERR_INVALID_ARGUMENT);
  CHECK(last_says("UTF-8"));
}

static void what_a_configuration_refuses_is_said(void) {
  ws_config *config = ws_config_new(), *other = ws_config_new();
  uint64_t value;
  CHECK(strcmp(ws_config_error_message(config), "") == 0);
  CHECK(strcmp(ws_config_error_message(NULL), "") == 0);
  CHECK_IS(ws_config_set(config, 12345, 1), WS_ERR_INVALID_ARGUMENT);
  CHECK(both_say(config, "option"));
  CHECK_IS(ws_config_get(config, 12345, &value), WS_ERR_INVALID_ARGUMENT);
  CHECK(both_say(config, "option"));
  CHECK_IS(ws_config_set(config, WS_OPT_MAX_HEAD_SIZE, 1), WS_ERR_INVALID_ARGUMENT);
  CHECK(both_say(config, "256"));
  CHECK_IS(ws_config_set(config, WS_OPT_DEFLATE_LEVEL, 10), WS_ERR_INVALID_ARGUMENT);
  CHECK(both_say(config, "1 to 9"));
  CHECK_IS(ws_config_add_header(config, "a b", "c"), WS_ERR_INVALID_ARGUMENT);
  CHECK(both_say(config, "token"));
  CHECK_IS(ws_config_add_header(config, "a", "c\r\nd: e"), WS_ERR_INVALID_ARGUMENT);
  CHECK(both_say(config, "control characters"));
  CHECK_IS(ws_config_add_header(config, "Upgrade", "x"), WS_ERR_INVALID_ARGUMENT);
  CHECK(both_say(config, "belongs to the handshake"));
  CHECK_IS(ws_config_add_protocol(config, ""), WS_ERR_INVALID_ARGUMENT);
  CHECK(both_say(config, "subprotocol"));
  CHECK_IS(ws_config_add_protocol(config, "chat"), WS_OK);
  CHECK_IS(ws_config_add_protocol(config, "chat"), WS_ERR_INVALID_ARGUMENT);
  CHECK(both_say(config, "already"));
  CHECK_IS(ws_config_set_proxy(config, "proxy:8080"), WS_ERR_INVALID_ARGUMENT);
  CHECK(both_say(config, "neither http nor socks5"));
  CHECK_IS(ws_config_set_proxy(config, "https://me:secret@proxy"), WS_ERR_INVALID_ARGUMENT);
  CHECK(both_say(config, "TLS"));
  CHECK(!strstr(ws_last_error_message(), "secret"));
  CHECK_IS(ws_config_set_tls_roots(config, bytes_of("garbage"), 7), WS_ERR_INVALID_ARGUMENT);
  CHECK(both_say(config, "no certificate"));
  CHECK_IS(ws_config_set_tls_roots(config, bytes_of("-----BEGIN CERTIFICATE-----\n?\n"), 30), WS_ERR_INVALID_ARGUMENT);
  CHECK(both_say(config, "PEM"));
  CHECK_IS(ws_config_set_tls_identity(config, bytes_of(localhost_chain), strlen(localhost_chain),
                                      bytes_of(elsewhere_key), strlen(elsewhere_key)), WS_ERR_INVALID_ARGUMENT);
  CHECK(both_say(config, "does not match"));
  CHECK_IS(ws_config_set_tls_identity(config, bytes_of(localhost_chain), strlen(localhost_chain),
                                      bytes_of("no key"), 6), WS_ERR_INVALID_ARGUMENT);
  CHECK(both_say(config, "private key"));
  CHECK_IS(ws_config_set_tls_roots(config, NULL, 7), WS_ERR_INVALID_ARGUMENT);
  CHECK(both_say(config, "NULL"));
  /* Each keeps its own, and a success changes nothing. */
  CHECK_IS(ws_config_set(other, WS_OPT_AUTO_PONG, 2), WS_ERR_INVALID_ARGUMENT);
  CHECK(!strstr(ws_config_error_message(other), "a pointer is NULL"));
  CHECK(strstr(ws_config_error_message(config), "a pointer is NULL") != NULL);
  CHECK_IS(ws_config_set(config, WS_OPT_AUTO_PONG, 1), WS_OK);
  CHECK(strstr(ws_config_error_message(config), "a pointer is NULL") != NULL);
  /* What a configuration makes fail says so, too. */
  CHECK_IS(ws_config_set(NULL, WS_OPT_AUTO_PONG, 1), WS_ERR_INVALID_ARGUMENT);
  CHECK(last_says("NULL"));
  ws_config_free(config);
  ws_config_free(other);
}

static void a_listener_that_cannot_be_made_says_why(void) {
  ws_listener *listener, *taken;
  char url[64];
  CHECK_IS(ws_listen(NULL, "ws://127.0.0.1:0/", &taken), WS_OK);
  snprintf(url, sizeof url, "ws://127.0.0.1:%d/", ws_listener_port(taken));
  CHECK_IS(ws_listen(NULL, url, &listener), WS_ERR_IO);
  CHECK_IS(errno, EADDRINUSE);
#ifdef _WIN32 /* wine has no sentence for it */
  CHECK(last_says("10048"));
#else
  CHECK(last_says("in use"));
  CHECK(last_says("98"));
#endif
  CHECK_IS(ws_listen(NULL, "wss://127.0.0.1:0/", &listener), WS_ERR_TLS);
  CHECK(last_says("certificate"));
  CHECK_IS(ws_listener_accept(NULL, (ws_conn *[]){NULL}), WS_ERR_INVALID_ARGUMENT);
  CHECK(last_says("listener is NULL"));
  ws_listener_free(taken);
}

static void what_else_has_no_handle_says_why(void) {
  ws_poller *poller;
  ws_listener *listener;
  ws_conn *conn = NULL, *memory = new_open(NULL, WS_CLIENT);
  ws_prepared *prepared;
  const ws_message *message;
  ws_config *config = config_with(WS_OPT_BLOCKING, 0);
  uint64_t token;
  size_t count;
  CHECK_IS(ws_prepare_message(99, "", 0, &prepared), WS_ERR_INVALID_ARGUMENT);
  CHECK(last_says("kind"));
  CHECK_IS(ws_prepare_message(WS_TEXT, "\xff", 1, &prepared), WS_ERR_UTF8);
  CHECK(last_says("UTF-8"));
  CHECK_IS(ws_server_new(NULL, NULL), WS_ERR_INVALID_ARGUMENT);
  CHECK(last_says("result is NULL"));
  CHECK_IS(ws_from_partially_read(NULL, 7, NULL, 0, &conn), WS_ERR_INVALID_ARGUMENT);
  CHECK(last_says("role"));
  CHECK_IS(ws_poller_wait(NULL, &token, 1, 0, &count), WS_ERR_INVALID_ARGUMENT);
  CHECK(last_says("poller is NULL"));
  CHECK_IS(ws_poller_new(&poller), WS_OK);
  CHECK_IS(ws_poller_wait(poller, &token, 0, 0, &count), WS_ERR_INVALID_ARGUMENT);
  CHECK(last_says("capacity for tokens"));
  CHECK_IS(ws_poller_add(poller, memory, 1), WS_ERR_MISUSE);
  CHECK(last_says("no socket"));
  CHECK_IS(ws_poller_remove(poller, memory), WS_ERR_MISUSE);
  CHECK(last_says("not in this poller"));
  CHECK_IS(ws_read_message(NULL, &message), WS_ERR_INVALID_ARGUMENT);
  CHECK(last_says("connection is NULL"));
  /* "Not now" is no failure, and has no words: least of all old ones. */
  CHECK_IS(ws_poller_wait(poller, &token, 1, 0, &count), WS_ERR_WOULD_BLOCK);
  CHECK(strcmp(ws_last_error_message(), "") == 0);
  CHECK_IS(ws_listen(config, "ws://127.0.0.1:0/", &listener), WS_OK);
  CHECK_IS(ws_poller_add_listener(poller, listener, 1), WS_OK);
  CHECK_IS(ws_poller_add_listener(poller, listener, 1), WS_ERR_MISUSE);
  CHECK(last_says("already"));
  CHECK_IS(ws_listener_accept(listener, &conn), WS_ERR_WOULD_BLOCK);
  CHECK(strcmp(ws_last_error_message(), "") == 0);
  ws_listener_free(listener);
  ws_poller_free(poller);
  ws_config_free(config);
  ws_free(memory);
}

static void *fail_otherwise(void *arg) {
  ws_conn *conn;
  (void)arg;
  EXPECT_IS(strcmp(ws_last_error_message(), ""), 0);
  EXPECT_IS(ws_connect(NULL, "http://h/", &conn), WS_ERR_URL);
  EXPECT_IS(last_says("scheme"), 1);
  return NULL;
}

static void each_thread_has_a_sentence_of_its_own(void) {
  pthread_t thread;
  ws_conn *conn;
  const char *before;
  CHECK_IS(ws_connect(NULL, "ws://h:0/", &conn), WS_ERR_URL);
  before = ws_last_error_message();
  CHECK_IS(pthread_create(&thread, NULL, fail_otherwise, NULL), 0);
  pthread_join(thread, NULL);
  CHECK(last_says("port"));
  CHECK(before == ws_last_error_message()); /* in a place that stays */
}

/* What the environment says of proxies, without connecting. */
static void the_proxy_of_the_environment_can_be_asked_for(void) {
  static const char *names[] = {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                                "no_proxy", "NO_PROXY"};
  char room[64];
  size_t len = 99, i;
  ws_config *config = ws_config_new();
  for (i = 0; i < LENGTH(names); i++) unsetenv(names[i]);
  CHECK_IS(ws_proxy_for("ws://example.com/", room, sizeof room, &len), WS_OK);
  CHECK(len == 0 && strcmp(room, "") == 0);
  setenv("all_proxy", "me:s3cret@proxy.test", 1);
  setenv("no_proxy", "10.0.0.0/8", 1);
  CHECK_IS(ws_proxy_for("wss://example.com/", room, sizeof room, &len), WS_OK);
  CHECK(strcmp(room, "http://me:s3cret@proxy.test:1080") == 0);
  CHECK_IS(len, strlen(room));
  CHECK_IS(ws_config_set_proxy(config, room), WS_OK);
  CHECK_IS(ws_proxy_for("wss://10.1.2.3/", room, sizeof room, &len), WS_OK);
  CHECK_IS(len, 0);
  CHECK_IS(ws_proxy_for("ws+unix:///nowhere/at/all:/", room, sizeof room, &len), WS_OK);
  CHECK_IS(len, 0);
  /* Whole or not at all. */
  CHECK_IS(ws_proxy_for("ws://example.com/", NULL, 0, &len), WS_OK);
  CHECK_IS(len, 32);
  room[0] = room[1] = room[32] = 'x';
  CHECK_IS(ws_proxy_for("ws://example.com/", room, 32, &len), WS_OK);
  CHECK(len == 32 && room[0] == 0 && room[1] == 'x' && room[32] == 'x');
  CHECK_IS(ws_proxy_for("ws://example.com/", room, 33, &len), WS_OK);
  CHECK(strlen(room) == 32);
  setenv("all_proxy", "https://me:s3cret@proxy.test", 1);
  CHECK_IS(ws_proxy_for("ws://example.com/", room, sizeof room, &len), WS_ERR_PROXY);
  CHECK(last_says("all_proxy") && last_says("TLS") && !strstr(ws_last_error_message(), "s3cret"));
  CHECK_IS(ws_proxy_for("http://example.com/", room, sizeof room, &len), WS_ERR_URL);
  CHECK(last_says("scheme"));
  CHECK_IS(ws_proxy_for(NULL, room, sizeof room, &len), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_proxy_for("ws://h/", NULL, 1, &len), WS_ERR_INVALID_ARGUMENT);
  CHECK_IS(ws_proxy_for("ws://h/", room, sizeof room, NULL), WS_ERR_INVALID_ARGUMENT);
  unsetenv("all_proxy"), unsetenv("no_proxy");
  ws_config_free(config);
}

int main(int argc, char **argv) {
  check_begin(argc, argv);
  RUN(each_bad_url_says_what_is_wrong_with_it);
  RUN(what_a_configuration_refuses_is_said);
  RUN(a_listener_that_cannot_be_made_says_why);
  RUN(what_else_has_no_handle_says_why);
  RUN(each_thread_has_a_sentence_of_its_own);
  RUN(the_proxy_of_the_environment_can_be_asked_for);
  return check_end();
}
