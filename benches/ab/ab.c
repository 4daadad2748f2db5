/* What a library takes for a message: one program over the C ABI that opens either of two libraries by its path, so that both
 * see the same calls, buffers and bytes. See run.py, which counts and compares.
 *
 *   ab LIBRARY --list            names the cells
 *   ab LIBRARY CELL...           runs these, each in a process of its own; for callgrind, which counts within measured()
 *   ab LIBRARY --tcp CELL        ns of CPU that a message takes over TCP
 *
 * A line for each cell: process, messages measured, name; or, where the library lacks what the cell calls, "- -" and the
 * name. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <wsabi.h>

/* The library. */

#define FUNCTIONS(F) \
  F(ws_config_new) F(ws_config_free) F(ws_config_set) F(ws_client_new) F(ws_server_new) F(ws_from_partially_read) \
  F(ws_set_socket) F(ws_free) F(ws_handshake) F(ws_read_message) F(ws_read_messages) F(ws_write_message) \
  F(ws_write_messages) F(ws_queue_message) F(ws_prepare_message) F(ws_prepared_free) F(ws_write_prepared) \
  F(ws_write_pending) F(ws_queued_bytes) F(ws_feed) F(ws_output) F(ws_output_advance) F(ws_poller_new) \
  F(ws_poller_free) F(ws_poller_add) F(ws_poller_wait)

#define MEMBER(name) __typeof__(&name) name;
static struct {
  FUNCTIONS(MEMBER)
} api;

/* One that is missing, as in an older library, ends the process of the cell that calls it. */
enum { LACKS_IT = 77 };

static int missing(void) { _exit(LACKS_IT); }

static void load(const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL), *found;
  if (!library) {
    fprintf(stderr, "ab: %s\n", dlerror());
    exit(1);
  }
#define LOAD(name) \
  found = dlsym(library, #name); \
  *(void **)&api.name = found ? found : (void *)(uintptr_t)missing;
  FUNCTIONS(LOAD)
}

static void require(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "ab: %s\n", what);
  _exit(1);
}

#define OK(call) require(api.call == WS_OK, #call)

/* Cells. */

enum what { READS, WRITES, ACCEPTS, OPENS, SERVES, PREPARED, QUEUES };
enum how { ALONE, FLOW, BATCH }; /* one by one; many together and a call for each; many a call */
enum over { MEMORY, SOCKET };

typedef struct cell {
  enum what what;
  int32_t role, kind;
  size_t size;
  enum how how;
  enum over over;
  int deflate;
  char name[64];
} cell;

enum { CELLS = 256, LARGEST = 1 << 20, GROUP = 32, PIECE = 64 << 10, REQUESTS = 64, CONNECTIONS = 8 };

static cell cells[CELLS];
static size_t cell_count;

static void add(cell one) {
  static const char *const whats[] = {"read", "write", "accept", "open", "serve", "write prepared", "queue"};
  static const char *const hows[] = {"", " flow", " batch"};
  char size[32] = "";
  if (one.size >= 1 << 20) snprintf(size, sizeof size, " %dM", (int)(one.size >> 20));
  else if (one.size >= 1 << 10 && one.size % 1024 == 0) snprintf(size, sizeof size, " %dK", (int)(one.size >> 10));
  else if (one.size > 0) snprintf(size, sizeof size, " %d", (int)one.size);
  require(cell_count < CELLS, "too many cells");
  snprintf(one.name, sizeof one.name, "%s%s%s%s%s%s%s", whats[one.what], one.role == WS_CLIENT ? " client" : " server",
           one.deflate ? " deflate" : "", one.kind == WS_TEXT ? " text" : "", size, hows[one.how],
           one.over == MEMORY ? ", memory" : ", socket");
  cells[cell_count++] = one;
}

static size_t group_of(const cell *one) {
  size_t fit = (256 << 10) / (one->size + 14);
  if (one->how == ALONE) return 1;
  return fit < 1 ? 1 : fit > GROUP ? GROUP : fit;
}

static void add_all(void) {
  static const size_t sizes[] = {16, 125, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20}, some[] = {125, 4 << 10, 64 << 10};
  size_t i;
  int what, role, how, over;
  for (what = READS; what <= WRITES; what++)
    for (role = WS_CLIENT; role <= WS_SERVER; role++)
      for (over = MEMORY; over <= SOCKET; over++)
        for (how = ALONE; how <= BATCH; how++)
          for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            cell one = {(enum what)what, role, WS_BINARY, sizes[i], (enum how)how, (enum over)over, 0, ""};
            if (how == FLOW && group_of(&one) == 1) continue; /* no different from one by one */
            add(one);
          }
  for (what = READS; what <= WRITES; what++)
    for (role = WS_CLIENT; role <= WS_SERVER; role++)
      for (i = 0; i < sizeof some / sizeof *some; i++) {
        cell one = {(enum what)what, role, WS_TEXT, some[i], ALONE, MEMORY, 0, ""};
        add(one);
        one.deflate = 1;
        add(one);
      }
  for (over = MEMORY; over <= SOCKET; over++) add((cell){ACCEPTS, WS_SERVER, 0, 0, ALONE, (enum over)over, 0, ""});
  add((cell){ACCEPTS, WS_SERVER, 0, 0, ALONE, MEMORY, 1, ""});
  add((cell){OPENS, WS_CLIENT, 0, 0, ALONE, MEMORY, 0, ""});
  add((cell){OPENS, WS_CLIENT, 0, 0, ALONE, MEMORY, 1, ""});
  for (i = 0; i < sizeof some / sizeof *some; i++) {
    add((cell){SERVES, WS_SERVER, WS_BINARY, some[i], ALONE, SOCKET, 0, ""});
    add((cell){SERVES, WS_SERVER, WS_BINARY, some[i], BATCH, SOCKET, 0, ""});
  }
  add((cell){PREPARED, WS_SERVER, WS_TEXT, 125, ALONE, SOCKET, 0, ""});
  add((cell){QUEUES, WS_SERVER, WS_TEXT, 125, FLOW, SOCKET, 0, ""});
}

/* What a cell works with. Memory is the same for both libraries. */

static const cell *cell_now;
static ws_conn *conn, *source;
static ws_config *config;
static int fds[2];                                                     /* of the library, and of its peer */
static uint8_t payload[LARGEST] __attribute__((aligned(4096)));
static uint8_t wire[20 << 20] __attribute__((aligned(4096)));         /* frames, one behind the other */
static size_t wire_len;
static uint8_t scratch[1 << 20] __attribute__((aligned(4096)));
static const uint8_t *piece;                                           /* for a step to take in */
static size_t piece_len, done, group;
static const ws_message *const *batch;
static ws_prepared *prepared;

static const char request[] =
  "GET /chat?room=1 HTTP/1.1\r\nHost: server.example.com\r\nConnection: Upgrade\r\nPragma: no-cache\r\n"
  "Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
  "Chrome/126.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: http://server.example.com\r\n"
  "Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate\r\nAccept-Language: en-US,en;q=0.9\r\n"
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
  "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

static void fill_payload(int32_t kind) {
  static const char words[] = "{\"id\":4711,\"text\":\"the quick brown fox jumps over the lazy dog\",\"at\":1700000000} ";
  uint32_t seed = 1;
  size_t i;
  for (i = 0; i < sizeof payload; i++) {
    seed = seed * 1664525 + 1013904223;
    if (kind == WS_BINARY) payload[i] = (uint8_t)(seed >> 24);
    else payload[i] = (uint8_t)(seed >> 28 ? words[i % (sizeof words - 1)] : "0123456789"[(seed >> 24) % 10]);
  }
}

/* A frame as the peer of this role sends it. */
static size_t put_frame(uint8_t *out, int32_t role, int32_t kind, size_t size) {
  static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
  const uint8_t masked = role == WS_SERVER ? 0x80 : 0;
  size_t at = 0, i;
  int shift;
  out[at++] = (uint8_t)(0x80 | kind);
  if (size < 126) {
    out[at++] = (uint8_t)(masked | size);
  } else {
    out[at++] = masked | (size < 65536 ? 126 : 127);
    for (shift = size < 65536 ? 8 : 56; shift >= 0; shift -= 8) out[at++] = (uint8_t)((uint64_t)size >> shift);
  }
  if (masked) memcpy(out + at, key, 4), at += 4;
  for (i = 0; i < size; i++) out[at + i] = payload[i] ^ (masked ? key[i % 4] : 0);
  return at + size;
}

static ws_config *new_config(int deflate) {
  ws_config *made = api.ws_config_new();
  require(made != NULL, "a configuration");
  if (deflate) OK(ws_config_set(made, WS_OPT_DEFLATE, 1));
  return made;
}

static ws_conn *new_open(int32_t role) {
  ws_conn *made = NULL;
  OK(ws_from_partially_read(config, role, NULL, 0, &made));
  return made;
}

static void set_flags(int fd) { require(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "a socket that does not block"); }

static void new_sockets(int pair[2]) {
  require(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "a pair of sockets");
  set_flags(pair[1]);
}

static size_t drain(int fd) {
  size_t total = 0;
  ssize_t n;
  while ((n = recv(fd, scratch, sizeof scratch, 0)) > 0) total += (size_t)n;
  return total;
}

/* Steps: what is counted, and nothing else. */

static void read_on(void) {
  const ws_message *message;
  ws_status_t status;
  if (cell_now->how == BATCH) {
    const ws_message *const *some;
    size_t count;
    while ((status = api.ws_read_messages(conn, &some, &count)) == WS_OK) done += count;
  } else {
    while ((status = api.ws_read_message(conn, &message)) == WS_OK) done++;
  }
  require(status == WS_ERR_WOULD_BLOCK, "reading goes on");
}

static void feed_and_read(void) {
  while (piece_len > 0) {
    size_t consumed = 0;
    OK(ws_feed(conn, piece, piece_len < PIECE ? piece_len : PIECE, &consumed));
    piece += consumed, piece_len -= consumed;
    read_on();
  }
}

static void take_output(void) {
  const uint8_t *data;
  size_t len;
  while (api.ws_output(conn, &data, &len) == WS_OK && len > 0) OK(ws_output_advance(conn, len));
}

static void write_some(void) {
  size_t i, accepted;
  if (cell_now->what == PREPARED) {
    OK(ws_write_prepared(conn, prepared));
  } else if (cell_now->what == QUEUES) {
    for (i = 0; i < group; i++) OK(ws_queue_message(conn, cell_now->kind, payload, cell_now->size));
    OK(ws_write_pending(conn));
  } else if (cell_now->how == BATCH) {
    OK(ws_write_messages(conn, batch, group, &accepted));
    require(accepted == group, "all are accepted");
  } else {
    for (i = 0; i < group; i++) OK(ws_write_message(conn, cell_now->kind, payload, cell_now->size));
  }
  done += group;
  if (cell_now->over == MEMORY) take_output();
}

static void write_pending(void) {
  const ws_status_t status = api.ws_write_pending(conn);
  require(status == WS_OK || status == WS_ERR_WOULD_BLOCK, "writing goes on");
}

static void accept_one(void) {
  size_t consumed;
  ws_conn *server;
  OK(ws_server_new(config, &server));
  if (cell_now->over == SOCKET) {
    OK(ws_set_socket(server, fds[0]));
  } else {
    OK(ws_feed(server, (const uint8_t *)request, sizeof request - 1, &consumed));
  }
  OK(ws_handshake(server));
  if (cell_now->over == MEMORY) {
    conn = server;
    take_output();
  }
  api.ws_free(server);
  done++;
}

static void carry(ws_conn *from, ws_conn *to) {
  const uint8_t *data;
  size_t len, consumed;
  while (api.ws_output(from, &data, &len) == WS_OK && len > 0) {
    OK(ws_feed(to, data, len, &consumed));
    OK(ws_output_advance(from, consumed));
  }
}

static void open_one(void) {
  ws_conn *client, *server;
  OK(ws_client_new(config, "ws://server.example.com/chat?room=1", &client));
  OK(ws_server_new(config, &server));
  carry(client, server);
  OK(ws_handshake(server));
  carry(server, client);
  OK(ws_handshake(client));
  api.ws_free(client);
  api.ws_free(server);
  done++;
}

static ws_poller *poller;
static ws_conn *served[CONNECTIONS];

/* One wait, and what it asks for. */
static void serve(void) {
  uint64_t tokens[2 * CONNECTIONS];
  size_t count, i, n, accepted;
  if (api.ws_poller_wait(poller, tokens, 2 * CONNECTIONS, 0, &count) != WS_OK) return;
  for (i = 0; i < count; i++) {
    ws_conn *one = served[tokens[i]];
    ws_status_t status;
    if (cell_now->how == BATCH) {
      const ws_message *const *some;
      while ((status = api.ws_read_messages(one, &some, &n)) == WS_OK) {
        OK(ws_write_messages(one, some, n, &accepted));
        done += n;
      }
    } else {
      const ws_message *message;
      while ((status = api.ws_read_message(one, &message)) == WS_OK) {
        OK(ws_write_message(one, message->kind, message->data, message->len));
        done++;
      }
    }
    require(status == WS_ERR_WOULD_BLOCK, "serving goes on");
  }
}

/* Counting. callgrind is told to count within measured() only. */

static enum { NOT, INSTRUCTIONS, TIME } measuring;
static volatile uint64_t steps;

static void __attribute__((noinline)) measured(void (*step)(void)) {
  step();
  steps++; /* so that this function is left, and not jumped out of */
}

static uint64_t cpu_ns;

static uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void go(void (*step)(void)) {
  const uint64_t begun = measuring == TIME ? now_ns() : 0;
  if (measuring == INSTRUCTIONS) measured(step);
  else step();
  if (measuring == TIME) cpu_ns += now_ns() - begun;
}

/* Cells at work: each brings `count` messages about. */

static size_t frame_ends[2048];

/* Frames for all messages that are read, one after the other: those of a compressor depend on what was before them. */
static void prepare_frames(size_t count) {
  size_t i, len;
  const uint8_t *data;
  ws_conn *peer = NULL;
  wire_len = 0;
  if (cell_now->deflate) peer = new_open(cell_now->role == WS_SERVER ? WS_CLIENT : WS_SERVER);
  for (i = 0; i < count; i++) {
    if (peer) {
      OK(ws_write_message(peer, cell_now->kind, payload, cell_now->size));
      while (api.ws_output(peer, &data, &len) == WS_OK && len > 0) {
        require(wire_len + len < sizeof wire, "room");
        memcpy(wire + wire_len, data, len);
        wire_len += len;
        OK(ws_output_advance(peer, len));
      }
    } else {
      require(wire_len + cell_now->size + 14 < sizeof wire, "room");
      wire_len += put_frame(wire + wire_len, cell_now->role, cell_now->kind, cell_now->size);
    }
    require(i < sizeof frame_ends / sizeof *frame_ends, "room");
    frame_ends[i] = wire_len;
  }
  api.ws_free(peer);
}

static size_t frames_read;

static void read_messages(size_t count) {
  size_t i;
  for (i = 0; i < count; i += group) {
    const size_t from = frames_read ? frame_ends[frames_read - 1] : 0, to = frame_ends[frames_read + group - 1];
    piece = wire + from, piece_len = to - from;
    frames_read += group;
    if (cell_now->over == MEMORY) {
      go(feed_and_read);
      continue;
    }
    while (piece_len > 0) {
      const ssize_t sent = send(fds[1], piece, piece_len < PIECE ? piece_len : PIECE, 0);
      require(sent > 0, "the peer sends");
      piece += sent, piece_len -= (size_t)sent;
      go(read_on);
    }
  }
}

static void write_messages(size_t count) {
  size_t i;
  for (i = 0; i < count; i += group) {
    go(write_some);
    if (cell_now->over == MEMORY) continue;
    drain(fds[1]);
    while (api.ws_queued_bytes(conn) > 0) {
      go(write_pending);
      drain(fds[1]);
    }
  }
}

static void accept_many(size_t count) {
  size_t i;
  for (i = 0; i < count; i++) {
    if (cell_now->over == SOCKET) {
      new_sockets(fds);
      require(send(fds[1], request, sizeof request - 1, 0) == (ssize_t)sizeof request - 1, "the peer asks");
    }
    go(accept_one);
    if (cell_now->over == SOCKET) close(fds[0]), close(fds[1]);
  }
}

static void open_many(size_t count) {
  size_t i;
  for (i = 0; i < count; i++) go(open_one);
}

static int peers[CONNECTIONS];

/* Every peer sends as many frames as are in flight, and takes its echoes. */
static void exchange(size_t in_flight, int connections) {
  const size_t all = in_flight * (size_t)connections, len = frame_ends[in_flight - 1];
  const size_t back = in_flight * (cell_now->size + (cell_now->size < 126 ? 2 : cell_now->size < 65536 ? 4 : 10));
  size_t sent[CONNECTIONS] = {0}, got[CONNECTIONS] = {0}, left = all;
  const size_t goal = done + all;
  int i;
  while (left > 0) {
    for (i = 0; i < connections; i++) {
      const size_t rest = len - sent[i];
      const ssize_t n = rest ? send(peers[i], wire + sent[i], rest < PIECE ? rest : PIECE, 0) : 0;
      if (n > 0) sent[i] += (size_t)n;
    }
    go(serve);
    left = 0;
    for (i = 0; i < connections; i++) {
      got[i] += drain(peers[i]);
      left += back - got[i];
    }
  }
  require(done == goal, "each message is answered");
}

static void serve_many(size_t count) {
  size_t i;
  for (i = 0; i < count; i += group * CONNECTIONS) exchange(group, CONNECTIONS);
}

/* Whole groups, some 2 MiB of them. */
static size_t count_of(const cell *one) {
  const size_t many = one->what == SERVES ? group * CONNECTIONS : group;
  size_t count = (one->deflate ? 512 << 10 : 2 << 20) / (one->size + 1);
  if (one->what == ACCEPTS || one->what == OPENS) return REQUESTS;
  count = count > 512 ? 512 : count < 8 ? 8 : count;
  return (count + many - 1) / many * many;
}

static void set_up(size_t count) {
  size_t consumed;
  ws_status_t status;
  fill_payload(cell_now->kind);
  config = new_config(cell_now->deflate);
  if (cell_now->what == ACCEPTS || cell_now->what == OPENS) return;
  if (cell_now->what == SERVES) {
    int i;
    prepare_frames(group);
    OK(ws_poller_new(&poller));
    for (i = 0; i < CONNECTIONS; i++) {
      new_sockets(fds);
      peers[i] = fds[1];
      served[i] = new_open(cell_now->role);
      OK(ws_set_socket(served[i], fds[0]));
      OK(ws_poller_add(poller, served[i], (uint64_t)i));
    }
    return;
  }
  conn = new_open(cell_now->role);
  if (cell_now->over == SOCKET) {
    new_sockets(fds);
    OK(ws_set_socket(conn, fds[0]));
  }
  if (cell_now->what == READS) prepare_frames(2 * count);
  if (cell_now->what == PREPARED) OK(ws_prepare_message(cell_now->kind, payload, cell_now->size, &prepared));
  if (cell_now->what == WRITES && cell_now->how == BATCH) { /* messages come from another connection */
    const size_t wanted = group;
    prepare_frames(group);
    source = new_open(cell_now->role);
    piece = wire, piece_len = wire_len;
    do {
      do {
        OK(ws_feed(source, piece, piece_len < PIECE ? piece_len : PIECE, &consumed));
        piece += consumed, piece_len -= consumed;
      } while (consumed > 0 && piece_len > 0);
      status = api.ws_read_messages(source, &batch, &group);
    } while (status == WS_ERR_WOULD_BLOCK && piece_len > 0);
    require(status == WS_OK, "messages are there");
    require(group >= 1 && group <= wanted, "messages to send");
  }
}

static void (*const work[])(size_t) = {read_messages, write_messages, accept_many, open_many,
                                       serve_many,    write_messages, write_messages};

static void run(const cell *one) {
  size_t count;
  cell_now = one;
  group = group_of(one);
  count = count_of(one);
  set_up(count);
  work[one->what](count); /* until buffers are as they stay */
  measuring = INSTRUCTIONS;
  done = 0;
  work[one->what](count);
  require(done > 0 && (one->what != READS || done == count), "every message is there");
  printf("%d %d %s\n", (int)getpid(), (int)done, one->name);
  fflush(stdout);
}

/* Over TCP. The peers are this very thread, so that nothing depends on how threads are scheduled; what they take is not in
 * the figure. */

typedef struct flow {
  const char *name;
  int connections;
  size_t in_flight, size;
  int rounds;
} flow;

static const flow flows[] = {
  {"tcp 1 x 1 of 32", 1, 1, 32, 40000},
  {"tcp 8 x 16 of 125", 8, 16, 125, 2500},
  {"tcp 8 x 4 of 16K", 8, 4, 16 << 10, 400},
  {"tcp 1 x 1 of 1M", 1, 1, 1 << 20, 160},
};

static void connect_tcp(int i) {
  struct sockaddr_in address;
  socklen_t len = sizeof address;
  const int listening = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  int own;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  require(bind(listening, (struct sockaddr *)&address, len) == 0 && listen(listening, 1) == 0, "listening");
  getsockname(listening, (struct sockaddr *)&address, &len);
  peers[i] = socket(AF_INET, SOCK_STREAM, 0);
  require(connect(peers[i], (struct sockaddr *)&address, len) == 0, "connecting");
  require((own = accept(listening, NULL, NULL)) >= 0, "accepting");
  close(listening);
  setsockopt(peers[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(own, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  set_flags(peers[i]);
  served[i] = new_open(WS_SERVER);
  OK(ws_set_socket(served[i], own));
  OK(ws_poller_add(poller, served[i], (uint64_t)i));
}

static void run_tcp(const flow *one) {
  static cell as_cell = {SERVES, WS_SERVER, WS_BINARY, 0, BATCH, SOCKET, 0, ""};
  int i;
  as_cell.size = one->size;
  cell_now = &as_cell;
  fill_payload(WS_BINARY);
  config = new_config(0);
  prepare_frames(one->in_flight);
  OK(ws_poller_new(&poller));
  for (i = 0; i < one->connections; i++) connect_tcp(i);
  for (i = 0; i < one->rounds / 4; i++) exchange(one->in_flight, one->connections);
  measuring = TIME;
  cpu_ns = 0, done = 0;
  for (i = 0; i < one->rounds; i++) exchange(one->in_flight, one->connections);
  printf("%.1f %s\n", (double)cpu_ns / (double)done, one->name);
}

static void run_apart(const cell *one) {
  int status = 0;
  pid_t child;
  fflush(stdout);
  child = fork();
  if (child == 0) {
    run(one);
    exit(0);
  }
  require(child > 0 && waitpid(child, &status, 0) == child, "a process");
  if (WIFEXITED(status) && WEXITSTATUS(status) == LACKS_IT) printf("- - %s\n", one->name);
  else require(status == 0, one->name);
}

int main(int argc, char **argv) {
  size_t i;
  int arg;
  require(argc > 2, "ab LIBRARY --list | CELL... | --tcp CELL");
  load(argv[1]);
  add_all();
  for (arg = 2; arg < argc; arg++) {
    const int tcp = strcmp(argv[arg], "--tcp") == 0, list = strcmp(argv[arg], "--list") == 0;
    if (tcp) arg++;
    for (i = 0; list && i < cell_count; i++) puts(cells[i].name);
    for (i = 0; list && i < sizeof flows / sizeof *flows; i++) puts(flows[i].name);
    for (i = 0; tcp && arg < argc && i < sizeof flows / sizeof *flows; i++)
      if (strcmp(flows[i].name, argv[arg]) == 0) run_tcp(&flows[i]);
    for (i = 0; !tcp && !list && i < cell_count; i++)
      if (strcmp(cells[i].name, argv[arg]) == 0) run_apart(&cells[i]);
  }
  return 0;
}
