/* Random schedules on two pollers, against a model that is simple enough to be right. Threads open, join, move, pause, read,
 * send on, queue on, configure, close and free connections while two others serve what their pollers report: in plain text and
 * over TLS, against bare sockets that stop half way, read nothing or break off.
 *
 * Never: a token that was removed before the wait began, one of the other poller, one twice in a wait, one after
 * CONNECTION_CLOSED; more reports than things that happened explain. Always, within a bounded time: what was sent
 * arrives, what ends is told, who connects is accepted. In the end: silence, no computing, and not a descriptor left.
 *
 * MODEL_SECONDS says how long, MODEL_SEED with which seed to begin; it is printed where something is found. */

#define _GNU_SOURCE
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>

enum { PAIRS = 10, ACTORS = 3, POLLERS = 2, RECORDS = 1 << 16, ROUND_MS = 150, SILENCE_MS = 60 };
enum { CLIENT, SERVER_END, LISTENING, ROLES };

/* One end of a pair: a connection, or a bare socket. */
typedef struct end {
  ws_conn *conn;
  int raw;             /* a bare socket; -1: none */
  int raw_reads;       /* it takes what comes */
  int poller;          /* -1: none */
  uint64_t token;      /* of now */
  int is_paused, pings;
  uint64_t sent;       /* messages that were accepted for sending */
  uint64_t received;   /* messages that have been read */
  uint64_t changed;    /* when it was last moved, paused or made to go on, or got further */
  uint64_t gone;       /* when it was freed, closed or broke off; 0: it is there */
  int is_over;         /* CONNECTION_CLOSED has been told */
  pthread_mutex_t reading;
  uint8_t rest[16];    /* a bare socket: of a frame's head */
  size_t rest_len, skip;
} end_t;

/* Whoever holds the lock for writing changes what there is; calls on connections are made with it held for reading. */
typedef struct pair_of_ends {
  pthread_rwlock_t lock;
  int is_open;
  ws_listener *listener;
  int listener_poller;
  uint64_t listener_token, opened;
  end_t end[2];
} pair_t;

/* What a token stood for. */
typedef struct record {
  int32_t pair, role, poller;
  uint64_t removed; /* before this many steps */
  uint64_t over;
} record;

static pair_t pairs[PAIRS];
static record *records;
static ws_poller *pollers[POLLERS];
static ws_config *configs[2][2]; /* plain or with TLS, of each role */
static uint64_t next_token, steps, happened, reports, idle_reports, patience;
static int stops, settles;
static uint64_t seed;

static uint64_t load(uint64_t *value) { return __atomic_load_n(value, __ATOMIC_SEQ_CST); }

static void store(uint64_t *value, uint64_t now) { __atomic_store_n(value, now, __ATOMIC_SEQ_CST); }

static uint64_t count(uint64_t *value) { return __atomic_add_fetch(value, 1, __ATOMIC_SEQ_CST); }

static int flag(int *value) { return __atomic_load_n(value, __ATOMIC_SEQ_CST); }

static uint64_t draw(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state >> 11;
}

static void found(const char *what, int pair, int role) {
  char more[128];
  snprintf(more, sizeof more, " (pair %d, role %d; MODEL_SEED=%llu)", pair, role, (unsigned long long)seed);
  check_fail(__FILE__, __LINE__, what, more);
}

static int is_found(void) { return flag(&check_failed_here); }

/* Registering. All with the pair's lock held for writing. */

static uint64_t new_token(int pair, int role, int poller) {
  const uint64_t token = count(&next_token);
  NEED(token < RECORDS);
  records[token].pair = pair, records[token].role = role, records[token].poller = poller;
  return token;
}

static void is_removed(uint64_t token) { store(&records[token].removed, count(&steps)); }

static void join_poller(int pair, int role, int poller) {
  end_t *end = &pairs[pair].end[role];
  end->token = new_token(pair, role, poller);
  end->poller = poller;
  end->is_paused = 0;
  end->changed = ws_now();
  count(&happened);
  if (!EXPECT_IS(ws_poller_add(pollers[poller], end->conn, end->token), WS_OK)) found("cannot be added", pair, role);
}

static void leave_poller(int pair, int role) {
  end_t *end = &pairs[pair].end[role];
  if (end->poller < 0) return;
  if (!EXPECT_IS(ws_poller_remove(pollers[end->poller], end->conn), WS_OK)) found("cannot be removed", pair, role);
  is_removed(end->token);
  end->poller = -1;
  end->changed = ws_now();
}

static void free_listener(pair_t *pair) {
  if (!pair->listener) return;
  ws_listener_free(pair->listener);
  is_removed(pair->listener_token);
  pair->listener = NULL;
}

static void free_end(int pair, int role) {
  end_t *end = &pairs[pair].end[role];
  if (!end->conn && end->raw < 0) return;
  if (end->raw >= 0) close(end->raw);
  ws_free(end->conn);
  if (end->conn && end->poller >= 0) is_removed(end->token);
  end->conn = NULL;
  end->raw = end->poller = -1;
  if (!end->gone) end->gone = ws_now();
  count(&happened);
  /* The socket goes with its connection. */
  end = &pairs[pair].end[!role];
  if (end->raw >= 0 && !has_ended_within(end->raw, (int)patience)) found("the socket outlives its connection", pair, role);
}

static void clear_end(end_t *end) {
  end->conn = NULL;
  end->raw = end->poller = -1;
  end->raw_reads = 1;
  end->is_paused = end->is_over = end->pings = 0;
  end->sent = end->received = end->gone = 0;
  end->changed = ws_now();
  end->rest_len = end->skip = 0;
}

/* A listener, and a client on its way to it: a connection, or a bare socket with as much of a request as it cares to send. */
static void open_pair_of_ends(int number, uint64_t *random) {
  pair_t *pair = &pairs[number];
  const int tls = draw(random) % 3 == 0, poller = (int)(draw(random) % POLLERS);
  char url[64];
  clear_end(&pair->end[CLIENT]);
  clear_end(&pair->end[SERVER_END]);
  snprintf(url, sizeof url, "%s://127.0.0.1:0/", tls ? "wss" : "ws");
  NEED(ws_listen(configs[tls][SERVER_END], url, &pair->listener) == WS_OK);
  pair->listener_token = new_token(number, LISTENING, poller);
  pair->opened = ws_now();
  pair->is_open = 1;
  NEED(ws_poller_add_listener(pollers[poller], pair->listener, pair->listener_token) == WS_OK);
  if (draw(random) % 3 == 0) {
    const size_t len = sizeof a_request - 1, part = draw(random) % 3 == 0 ? draw(random) % len : len;
    pair->end[CLIENT].raw = connect_raw(ws_listener_port(pair->listener));
    NEED(fcntl(pair->end[CLIENT].raw, F_SETFL, O_NONBLOCK) == 0);
    send(pair->end[CLIENT].raw, a_request, part, MSG_NOSIGNAL);
    if (tls || part < len) pair->end[CLIENT].gone = ws_now(); /* it will come to nothing */
  } else {
    snprintf(url, sizeof url, "%s://127.0.0.1:%d/", tls ? "wss" : "ws", ws_listener_port(pair->listener));
    NEED(ws_connect(configs[tls][CLIENT], url, &pair->end[CLIENT].conn) == WS_OK);
    join_poller(number, CLIENT, (int)(draw(random) % POLLERS));
  }
  count(&happened);
}

static void close_pair_of_ends(int number) {
  pair_t *pair = &pairs[number];
  free_end(number, SERVER_END);
  free_end(number, CLIENT);
  free_listener(pair);
  pair->is_open = 0;
}

/* What a bare socket has received: messages are counted. */
static void take_raw(end_t *end) {
  uint8_t bytes[4096];
  ssize_t n;
  while ((n = recv(end->raw, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
    ssize_t i = 0;
    end->changed = ws_now();
    while (i < n) {
      if (end->skip > 0) {
        const size_t skip = end->skip < (size_t)(n - i) ? end->skip : (size_t)(n - i);
        end->skip -= skip, i += (ssize_t)skip;
        continue;
      }
      end->rest[end->rest_len++] = bytes[i++];
      if (end->rest[0] == 'H') { /* the response */
        static const char last[] = "\r\n\r\n";
        if (end->rest_len > 4) memmove(end->rest + 1, end->rest + 2, --end->rest_len - 1);
        if (end->rest_len == 4 && memcmp(end->rest + 1, last + 1, 3) == 0) end->rest_len = 0;
        continue;
      }
      if (end->rest_len < 2 || (end->rest[1] == 126 && end->rest_len < 4)) continue;
      end->skip = end->rest[1] == 126 ? (size_t)(end->rest[2] << 8 | end->rest[3]) : end->rest[1];
      if ((end->rest[0] & 0xf) < 8) end->received++;
      end->rest_len = 0;
    }
  }
}

/* CONNECTION_CLOSED is told once, by whichever call; a message is refused with it sooner. */
static ws_status_t heed(end_t *end, ws_status_t status) {
  if (status == WS_ERR_CONNECTION_CLOSED && ws_get_state(end->conn) == WS_STATE_CLOSED) {
    if (!load(&end->gone)) store(&end->gone, ws_now());
    if (end->poller >= 0) store(&records[end->token].over, count(&steps));
    __atomic_store_n(&end->is_over, 1, __ATOMIC_SEQ_CST);
  }
  return status;
}

/* Serving. */

/* Reads so many messages at most. Whether anything came of it. */
static int read_from_end(int number, int role, uint64_t most) {
  end_t *end = &pairs[number].end[role];
  ws_status_t status = WS_OK;
  const ws_message *message;
  int news = 0;
  pthread_mutex_lock(&end->reading);
  while (most-- > 0 && (status = ws_read_message(end->conn, &message)) == WS_OK) {
    news = 1;
    if (message->kind == WS_TEXT || message->kind == WS_BINARY) count(&end->received);
    store(&end->changed, ws_now());
  }
  if (status != WS_OK && status != WS_ERR_WOULD_BLOCK) news = 1;
  heed(end, status);
  if (status == WS_ERR_INTERNAL || status == WS_ERR_MISUSE || status == WS_ERR_NO_MEMORY)
    found("a read fails for no reason", number, role);
  pthread_mutex_unlock(&end->reading);
  return news;
}

static int accept_for(int number, uint64_t token, uint64_t *random) {
  pair_t *pair = &pairs[number];
  ws_conn *conn = NULL;
  int news = 0;
  pthread_rwlock_wrlock(&pair->lock);
  if (pair->listener && pair->listener_token == token && ws_listener_accept(pair->listener, &conn) == WS_OK) {
    news = 1;
    pair->end[SERVER_END].conn = conn;
    join_poller(number, SERVER_END, (int)(draw(random) % POLLERS));
    if (draw(random) % 2) free_listener(pair);
  }
  pthread_rwlock_unlock(&pair->lock);
  return news;
}

static int serve_end(int number, int role, uint64_t token, uint64_t *random) {
  pair_t *pair = &pairs[number];
  end_t *end = &pair->end[role];
  int news = 1;
  pthread_rwlock_rdlock(&pair->lock);
  if (end->conn && end->token == token && end->poller >= 0) {
    const uint64_t how = flag(&settles) ? 9 : draw(random) % 10, queued = ws_queued_bytes(end->conn);
    const uint64_t deadline = ws_next_deadline(end->conn);
    const int32_t state = ws_get_state(end->conn);
    if (how > 0) { /* otherwise it comes again */
      news = read_from_end(number, role, how < 4 ? how : 1000);
      news |= ws_queued_bytes(end->conn) < queued || ws_next_deadline(end->conn) != deadline
              || ws_get_state(end->conn) != state;
    }
  }
  pthread_rwlock_unlock(&pair->lock);
  return news;
}

static void *serve(void *arg) {
  const int me = (int)(size_t)arg;
  uint64_t random = seed * 31 + (uint64_t)me + 1, tokens[4], begun;
  size_t found_count, i, j;
  while (!flag(&stops) && !is_found()) {
    const size_t capacity = 1 + draw(&random) % LENGTH(tokens);
    ws_status_t status;
    begun = count(&steps);
    /* As a rule nothing but a report ends it. */
    status = ws_poller_wait(pollers[me], tokens, capacity, draw(&random) % 4 ? 60000 : 0, &found_count);
    if (status != WS_OK && status != WS_ERR_WOULD_BLOCK) found("a wait fails", -1, me);
    if (found_count > capacity) found("more tokens than there is room for", -1, me);
    for (i = 0; i < found_count; i++) {
      record *it = &records[tokens[i] < RECORDS ? tokens[i] : 0];
      const uint64_t removed = load(&it->removed), over = load(&it->over);
      count(&reports);
      for (j = 0; j < i; j++)
        if (tokens[j] == tokens[i]) found("a token twice in a wait", it->pair, it->role);
      if (it->poller != me) found("a token of another poller", it->pair, it->role);
      if (removed && removed < begun) found("a token that was removed before the wait began", it->pair, it->role);
      if (over && over < begun) found("a token after CONNECTION_CLOSED", it->pair, it->role);
      if (!(it->role == LISTENING ? accept_for(it->pair, tokens[i], &random)
                                  : serve_end(it->pair, it->role, tokens[i], &random)))
        count(&idle_reports);
    }
  }
  return NULL;
}

/* Acting. */

static void send_one_from(end_t *end, uint64_t *random) {
  static const uint8_t bytes[20000];
  const size_t len = draw(random) % 8 ? draw(random) % 100 : draw(random) % sizeof bytes;
  const int queues = draw(random) % 3 == 0;
  if (end->raw >= 0) {
    uint8_t frame[300];
    /* All or nothing: what does not fit would cut the frames that follow. */
    const size_t size = put_frame(frame, WS_CLIENT, 0x82, bytes, len % 100);
    if (end->gone) return;
    if (draw(random) % 20 == 0) {
      end->gone = ws_now(); /* breaks off in a frame */
      send(end->raw, frame, size / 2, MSG_NOSIGNAL);
      shutdown(end->raw, SHUT_WR);
      return;
    }
    if (send(end->raw, frame, size, MSG_NOSIGNAL) == (ssize_t)size) count(&end->sent);
    else end->gone = ws_now();
    return;
  }
  /* Counted before it can arrive. */
  count(&end->sent);
  if (heed(end, (queues ? ws_queue_message : ws_write_message)(end->conn, WS_BINARY, bytes, len)) != WS_OK)
    __atomic_sub_fetch(&end->sent, 1, __ATOMIC_SEQ_CST);
}

static void send_from(end_t *end, uint64_t *random) {
  uint64_t burst = draw(random) % 3 ? 1 : draw(random) % 20;
  while (burst-- > 0) send_one_from(end, random);
}

static void act_on_raw(end_t *end, uint64_t *random) {
  const struct linger now = {1, 0};
  switch (draw(random) % 12) {
    case 0: end->raw_reads = !end->raw_reads, end->changed = ws_now(); break;
    case 1:
      setsockopt(end->raw, SOL_SOCKET, SO_LINGER, &now, sizeof now);
      close(end->raw);
      end->raw = -1, end->gone = ws_now();
      break;
    default: send_from(end, random);
  }
}

/* Calls that several threads may make at once. */
static void act_on(int number, int role, uint64_t *random) {
  end_t *end = &pairs[number].end[role];
  switch (draw(random) % 16) {
    case 0:
      if (end->poller < 0) break;
      pthread_mutex_lock(&end->reading); /* what is noted is what was said last */
      end->is_paused = draw(random) % 2;
      store(&end->changed, ws_now());
      EXPECT_IS(ws_poller_read(end->conn, !end->is_paused), WS_OK);
      pthread_mutex_unlock(&end->reading);
      break;
    case 1:
      pthread_mutex_lock(&end->reading);
      end->pings = draw(random) % 2;
      set(end->conn, WS_OPT_PING_INTERVAL_MS, end->pings ? 5 + draw(random) % 30 : 0);
      pthread_mutex_unlock(&end->reading);
      break;
    case 2:
      if (draw(random) % 2) set(end->conn, WS_OPT_MAX_SEND_QUEUE, 1 + draw(random) % 300);
      else set(end->conn, WS_OPT_IDLE_TIMEOUT_MS, 100000 * (draw(random) % 2)); /* far away */
      break;
    case 3: heed(end, ws_write_pending(end->conn)); break;
    case 4: read_from_end(number, role, draw(random) % 4); break;
    case 5: ws_wait(end->conn, (int32_t)(draw(random) % 3)); break;
    case 6:
      if (draw(random) % 8) break;
      if ((draw(random) % 2 ? close_it : queue_a_close)(end->conn) == WS_OK && !load(&end->gone))
        store(&end->gone, ws_now());
      break;
    case 7:
      ws_interest(end->conn);
      ws_has_input(end->conn);
      ws_next_deadline(end->conn);
      ws_latency(end->conn);
      break;
    case 8: ws_poller_wake(pollers[draw(random) % POLLERS]); break;
    default: send_from(end, random);
  }
}

/* Whoever does this is alone with the pair. */
static void change(int number, uint64_t *random) {
  pair_t *pair = &pairs[number];
  const int role = (int)(draw(random) % 2);
  if (!pair->is_open) {
    open_pair_of_ends(number, random);
    return;
  }
  switch (draw(random) % 8) {
    case 0: free_end(number, role); break;
    case 1: close_pair_of_ends(number); break;
    case 2:
      if (pair->end[SERVER_END].conn) free_listener(pair);
      break;
    default:
      if (!pair->end[role].conn) break;
      if (pair->end[role].poller >= 0) leave_poller(number, role);
      else join_poller(number, role, (int)(draw(random) % POLLERS));
      if (pair->end[role].poller < 0 && draw(random) % 2) join_poller(number, role, (int)(draw(random) % POLLERS));
  }
}

static void *act(void *arg) {
  uint64_t random = seed * 1000003 + (uint64_t)(size_t)arg + 1;
  while (!flag(&settles) && !is_found()) {
    const int number = (int)(draw(&random) % PAIRS), role = (int)(draw(&random) % 2);
    pair_t *pair = &pairs[number];
    const int changes = draw(&random) % 12 == 0;
    int is_raw = 0;
    if (!changes) {
      pthread_rwlock_rdlock(&pair->lock);
      is_raw = pair->end[role].raw >= 0;
      if (pair->end[role].conn) act_on(number, role, &random);
      pthread_rwlock_unlock(&pair->lock);
    }
    if (changes || is_raw) { /* a bare socket is one thread's at a time, and so is what changes */
      pthread_rwlock_wrlock(&pair->lock);
      if (changes) change(number, &random);
      else if (pair->end[role].raw >= 0) act_on_raw(&pair->end[role], &random);
      pthread_rwlock_unlock(&pair->lock);
    }
    count(&happened);
    if (draw(&random) % 8 == 0) nap(1);
  }
  return NULL;
}

/* The model: what has to have happened by now. */

static int is_served(const end_t *end) { return end->conn && end->poller >= 0 && !end->is_paused && !end->is_over; }

static uint64_t latest(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* What is known of an end that something is found about. */
static void overdue(const char *what, int number, int role) {
  int i;
  for (i = CLIENT; i <= SERVER_END && !is_found(); i++) {
    const end_t *end = &pairs[number].end[i];
    printf("  role %d: poller %d, paused %d, over %d, sent %llu, received %llu, changed %llu, gone %llu, now %llu", i,
           end->poller, end->is_paused, end->is_over, (unsigned long long)end->sent, (unsigned long long)end->received,
           (unsigned long long)end->changed, (unsigned long long)end->gone, (unsigned long long)ws_now());
    if (end->conn)
      printf("; state %d, interest %u, input %d, queued %zu, deadline %lld\n", ws_get_state(end->conn),
             ws_interest(end->conn), ws_has_input(end->conn), ws_queued_bytes(end->conn),
             (long long)ws_next_deadline(end->conn));
    else printf("; %s\n", end->raw >= 0 ? "bare" : "none");
  }
  found(what, number, role);
}

/* Whether something is still to come; found, where it is overdue. */
static int look_at(int number) {
  pair_t *pair = &pairs[number];
  const uint64_t now = ws_now();
  int role, open = 0;
  if (!pair->is_open) return 0;
  for (role = CLIENT; role <= SERVER_END; role++) {
    end_t *end = &pair->end[role], *other = &pair->end[!role];
    const uint64_t since = latest(end->changed, other->changed);
    if (end->raw >= 0 && end->raw_reads) take_raw(end);
    if (end->gone && is_served(end)) { /* it closes, or never will be open */
      open = 1;
      if (now > latest(since, end->gone) + patience) overdue("closing is not brought to an end", number, role);
    }
    if (other->gone && is_served(end)) {
      open = 1;
      if (now > latest(since, other->gone) + patience) overdue("the end of the other side is not told", number, role);
    }
    if (end->gone || other->gone || load(&end->sent) == load(&other->received)) continue;
    /* It may lie in the queue of an end that nobody serves. */
    if (end->conn && end->poller < 0 && ws_queued_bytes(end->conn) > 0) continue;
    if (other->raw >= 0 ? !other->raw_reads : !is_served(other)) continue;
    open = 1;
    if (now > since + patience) overdue("what was sent does not arrive", number, role);
  }
  if (pair->listener && !pair->end[SERVER_END].conn && !pair->end[SERVER_END].gone) {
    open = 1;
    if (now > pair->opened + patience) overdue("who connects is not accepted", number, LISTENING);
  }
  return open;
}

static int look_at_all(void) {
  int i, open = 0;
  for (i = 0; i < PAIRS; i++) {
    pthread_rwlock_wrlock(&pairs[i].lock);
    open += look_at(i);
    pthread_rwlock_unlock(&pairs[i].lock);
  }
  return open;
}

/* Nobody acts any more: all are served, and nothing falls due again. Others are left alone: nothing else may be what
 * helps them on. */
static void settle(void) {
  int i, role;
  for (i = 0; i < PAIRS; i++) {
    pthread_rwlock_wrlock(&pairs[i].lock);
    for (role = CLIENT; pairs[i].is_open && role <= SERVER_END; role++) {
      end_t *end = &pairs[i].end[role];
      end->raw_reads = 1;
      end->changed = ws_now();
      if (!end->conn) continue;
      if (end->pings) set(end->conn, WS_OPT_PING_INTERVAL_MS, 0);
      if (end->poller < 0) join_poller(i, role, i % POLLERS);
      if (end->is_paused) EXPECT_IS(ws_poller_read(end->conn, 1), WS_OK);
      end->is_paused = 0;
    }
    pthread_rwlock_unlock(&pairs[i].lock);
  }
}

static void make_configs(void) {
  int tls, role;
  for (tls = 0; tls < 2; tls++) {
    configs[tls][SERVER_END] = config_of(tls ? "wss" : "ws");
    configs[tls][CLIENT] = config_with(WS_OPT_BLOCKING, 0);
    NEED(ws_config_set_tls_roots(configs[tls][CLIENT], (const uint8_t *)authority, strlen(authority)) == WS_OK);
    for (role = CLIENT; role <= SERVER_END; role++) {
      NEED(ws_config_set(configs[tls][role], WS_OPT_HANDSHAKE_TIMEOUT_MS, 200) == WS_OK);
      NEED(ws_config_set(configs[tls][role], WS_OPT_CLOSE_TIMEOUT_MS, 100) == WS_OK);
      NEED(ws_config_set(configs[tls][role], WS_OPT_PONG_TIMEOUT_MS, 0) == WS_OK);
    }
  }
}

static void free_configs(void) {
  int i;
  for (i = 0; i < 4; i++) ws_config_free(configs[i / 2][i % 2]);
}

static void a_round(void) {
  pthread_t actors[ACTORS], servers[POLLERS];
  uint64_t begun = ws_now(), before = 0, used = 0;
  size_t i;
  int files = open_files();
  next_token = steps = happened = reports = idle_reports = 0;
  stops = settles = 0;
  memset(records, 0, RECORDS * sizeof *records);
  make_configs();
  for (i = 0; i < POLLERS; i++) NEED(ws_poller_new(&pollers[i]) == WS_OK);
  for (i = 0; i < POLLERS; i++) NEED(pthread_create(&servers[i], NULL, serve, (void *)i) == 0);
  for (i = 0; i < ACTORS; i++) NEED(pthread_create(&actors[i], NULL, act, (void *)i) == 0);
  while (ws_now() - begun < ROUND_MS && !is_found()) {
    look_at_all();
    nap(10);
  }
  __atomic_store_n(&settles, 1, __ATOMIC_SEQ_CST);
  for (i = 0; i < ACTORS; i++) pthread_join(actors[i], NULL);
  settle();
  while (look_at_all() && !is_found()) nap(5);
  for (begun = ws_now(); ws_now() - begun < 10 * patience && !is_found();) { /* until no deadline is left either */
    before = load(&reports), used = cpu_ms();
    nap(SILENCE_MS);
    if (load(&reports) == before) break;
  }
  if (load(&reports) != before) found("reports without end", -1, -1);
  if (cpu_ms() - used > SILENCE_MS / 2) found("computes, and has nothing to do", -1, -1);
  if (load(&idle_reports) > 2 * happened + 100) found("reports for nothing", -1, -1);
  if (getenv("MODEL_SHOWS"))
    printf("seed %llu: %llu steps, %llu reports, %llu of them for nothing, %llu tokens\n", (unsigned long long)seed,
           (unsigned long long)happened, (unsigned long long)load(&reports), (unsigned long long)load(&idle_reports),
           (unsigned long long)next_token);
  __atomic_store_n(&stops, 1, __ATOMIC_SEQ_CST);
  for (i = 0; i < POLLERS; i++) ws_poller_wake(pollers[i]);
  for (i = 0; i < POLLERS; i++) pthread_join(servers[i], NULL);
  if (is_found()) return;
  for (i = 0; i < PAIRS; i++)
    if (pairs[i].is_open) close_pair_of_ends((int)i);
  for (i = 0; i < POLLERS; i++) ws_poller_free(pollers[i]);
  free_configs();
  if (!EXPECT_IS(open_files(), files)) found("a descriptor is left", -1, -1);
}

static uint64_t from_environment(const char *name, uint64_t otherwise) {
  const char *value = getenv(name);
  return value ? strtoull(value, NULL, 10) : otherwise;
}

static void random_schedules_on_two_pollers_lose_nothing_and_invent_nothing(void) {
  const uint64_t until = ws_now() + 1000 * from_environment("MODEL_SECONDS", 4);
  int i;
  patience = is_checked() ? 40000 : 5000;
  alarm((unsigned)from_environment("MODEL_SECONDS", 4) + 80);
  seed = from_environment("MODEL_SEED", (uint64_t)time(NULL) * 1000 % 1000000007);
  NEED((records = malloc(RECORDS * sizeof *records)) != NULL);
  for (i = 0; i < PAIRS; i++) {
    NEED(pthread_rwlock_init(&pairs[i].lock, NULL) == 0);
    NEED(pthread_mutex_init(&pairs[i].end[0].reading, NULL) == 0);
    NEED(pthread_mutex_init(&pairs[i].end[1].reading, NULL) == 0);
    clear_end(&pairs[i].end[0]);
    clear_end(&pairs[i].end[1]);
  }
  do {
    seed++;
    a_round();
  } while (ws_now() < until && !is_found());
  free(records);
}

int main(int argc, char **argv) {
  check_begin(argc, argv);
  RUN(random_schedules_on_two_pollers_lose_nothing_and_invent_nothing);
  return check_end();
}
