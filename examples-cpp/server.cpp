// An echo server for many clients on one thread.
//
//   c++ -std=c++17 -Iinclude examples-cpp/server.cpp -Lbuild/lib -lwsabi -lpthread -o server
//   server [URL]                  default ws://127.0.0.1:9001/; port 0 selects a free port
//
// It shows a complete event loop with a poller. A client is served until it has no more messages, or until its turn is
// over; its echoes are sent together. If a client does not read its echoes, its next messages are left unread until it
// does: nothing is lost, and the memory per client is limited. SIGTERM or SIGINT end the server with status 0.
#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <unordered_map>

#include <wsabi.hpp>

struct client {
  ws::connection conn;
  std::optional<ws::message> unsent = {}; // read, but no room for its echo yet; valid until the next read
  bool paused = false;                    // reading is stopped
};

constexpr std::uint64_t LISTENER = 0; // its token; a client's is its number
constexpr int TURN = 256;             // messages echoed before the next client's turn

static ws::poller poller;
static std::atomic<bool> stopping{false};

static int fail(std::string_view what, std::error_code error) {
  std::cerr << "server: " << what << ": " << error.message() << '\n';
  return 1;
}

static void stop(int) {
  stopping = true;
  (void)poller.wake(); // which a signal handler may call
}

/// Queues an echo. errc::would_block: the client has to read others first.
static ws::result<void> answer(client &client, ws::message message) {
  client.unsent = message;
  for (;;) {
    auto queued = client.conn.queue_message(message);
    if (queued) client.unsent.reset();
    if (queued.error() != ws::errc::send_queue_full) return queued;
    if (auto sent = client.conn.write_pending(); !sent) return sent;
  }
}

/// Echoes what was received. Success: there may be more. errc::would_block: there is not, or the client has to read its
/// echoes first. Any other error: the connection is over.
static ws::result<void> echo(client &client) {
  if (client.unsent)
    if (auto answered = answer(client, *client.unsent); !answered) return answered;
  for (int turn = 0; turn < TURN; turn++) {
    auto message = client.conn.read_message();
    if (message && message->kind() != ws::kind::close) { // a Close has already been answered
      if (auto answered = answer(client, *message); !answered) return answered;
    }
    const std::error_code error = message.error();
    if (error == ws::errc::would_block || error == ws::errc::connection_closed || error == ws::errc::already_closed)
      return message.take_failure();
    // Other errors: a Close with the reason is being sent. Read on until connection_closed.
  }
  return {};
}

/// Gives a client its turn. Returns whether the connection continues; if there is more to do, the poller reports it again.
static bool serve(client &client) {
  auto served = echo(client);
  const bool is_full = client.unsent.has_value();
  if (served || (served.error() == ws::errc::would_block && !is_full)) served = client.conn.write_pending();
  if (!served && served.error() != ws::errc::would_block) return false;
  if (is_full != client.paused) {
    client.paused = is_full;
    (void)client.conn.poller_read(!is_full);
  }
  return true;
}

int main(int argc, char **argv) {
  const std::string url = argc > 1 ? argv[1] : "ws://127.0.0.1:9001/";
  ws::config config;
  if (auto set = config.set(ws::option::blocking, 0); !set) return fail("configuration", set.error());
  auto listener = ws::listen(url, config);
  if (!listener) return fail(url, listener.error());
  auto made = ws::poller::create();
  if (!made) return fail("poller", made.error());
  poller = *std::move(made);
  if (auto added = poller.add_listener(*listener, LISTENER); !added) return fail("poller", added.error());

  std::signal(SIGTERM, stop);
  std::signal(SIGINT, stop);
  const std::size_t host_end = url.find_first_of(":/", url.find("://") + 3);
  std::cout << "listening on " << url.substr(0, host_end) << ':' << listener->port() << '/' << std::endl;

  std::unordered_map<std::uint64_t, client> clients;
  std::uint64_t next = LISTENER + 1;
  std::array<std::uint64_t, 64> room;
  while (!stopping) {
    const auto ready = poller.wait(room, ws::milliseconds(-1));
    if (!ready) return fail("poller", ready.error());
    for (const std::uint64_t token : *ready) {
      if (token != LISTENER) {
        if (!serve(clients.at(token))) clients.erase(token); // also removes it from the poller
        continue;
      }
      while (auto conn = listener->accept()) {
        client &added = clients.emplace(next, client{*std::move(conn)}).first->second;
        if (!poller.add(added.conn, next) || !serve(added)) clients.erase(next); // the first call starts its deadlines
        next++;
      }
    }
  }
  for (auto &entry : clients) (void)entry.second.conn.close(1001); // going away; sent if the sockets accept it
  return 0;
}
