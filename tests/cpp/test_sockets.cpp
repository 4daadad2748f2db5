// Connections over sockets: listeners, pollers, threads, TLS, proxies.
#include "pair.hpp"

#include "certificates.h"

#include <array>
#include <map>
#include <sys/socket.h>
#include <thread>
#include <vector>

using ws::errc;

namespace {

std::string url_of(const ws::listener &listener, const char *scheme = "ws", const char *host = "127.0.0.1") {
  return std::string(scheme) + "://" + host + ":" + std::to_string(listener.port()) + "/";
}

/// Echoes all that one client sends, until it closes.
void serve_one(ws::listener &listener) {
  auto conn = listener.accept();
  if (!conn) return;
  while (auto message = conn->read_message())
    if (message->kind() != ws::kind::close && !conn->write_message(*message)) return;
}

/// Reads until the end, for the closing handshake.
template <class Each> std::error_code read_to_the_end(ws::connection &conn, Each each) {
  for (;;) {
    auto message = conn.read_message();
    if (!message) return message.error();
    if (message->kind() != ws::kind::close) each(*message);
  }
}

ws::config unblocked() {
  ws::config config;
  REQUIRE(config.set(ws::option::blocking, 0));
  return config;
}

}  // namespace

TEST_CASE("a client and a server talk over TCP") {
  ws::listener listener = *ws::listen("ws://127.0.0.1:0/");
  std::thread server([&] { serve_one(listener); });
  ws::connection client = *ws::connect(url_of(listener));
  CHECK(client.handshake());
  CHECK(client.socket() >= 0);
  CHECK(client.write_text("hello"));
  CHECK(client.read_message()->text() == "hello");
  CHECK(client.close());
  CHECK(read_to_the_end(client, [](ws::message) {}) == errc::connection_closed);
  CHECK(client.close_code() == 1000);
  server.join();
}

TEST_CASE("the system's reasons are told as they are") {
  ws::listener first = *ws::listen("ws://127.0.0.1:0/");
  CHECK(first.socket() >= 0);
  CHECK(is(ws::listen(url_of(first)).error(), std::errc::address_in_use));
  const std::string url = url_of(first);
  first.reset();
  ws::connection client = *ws::connect(url);
  const auto refused = client.handshake();
  CHECK(refused.error() == errc::io);
  CHECK(refused.error() == std::errc::io_error);
  CHECK(is(client.io_error(), std::errc::connection_refused));
  CHECK(std::string(refused.sentence()).find("refused") != std::string::npos);
  CHECK(ws::listen("wss://127.0.0.1:0/").error() == errc::tls);
#ifdef _WIN32
  CHECK(ws::listen("ws+unix:///no/such/directory/socket:/").error() == errc::unsupported);
#else
  CHECK(ws::listen("ws+unix:///no/such/directory/socket:/").error() == std::errc::no_such_file_or_directory);
#endif
}

TEST_CASE("what cannot be made says what is wrong with it") {
  const auto says = [](const char *sentence, const char *words) { return std::strstr(sentence, words) != nullptr; };
  CHECK(says(ws::connect("http://example.com/").sentence(), "scheme"));
  CHECK(says(ws::connect("ws://me:secret@example.com/").sentence(), "user name"));
  CHECK(says(ws::connection::client("ws://example.com:0/").sentence(), "port"));
  CHECK(says(ws::last_error_message(), "port"));
  CHECK(says(ws::listen("ws://example.com/#part").sentence(), "fragment"));
  CHECK(says(ws::listen("wss://127.0.0.1:0/").sentence(), "certificate"));
  CHECK(says(ws::prepare_message(ws::kind::ping, "").sentence(), "can be prepared"));
  ws::config config;
  CHECK(std::string(config.error_message()).empty());
  CHECK(says(config.set_proxy("https://proxy").sentence(), "TLS"));
  CHECK(says(config.error_message(), "TLS"));
  CHECK(says(config.add_header("a", "b\rc").sentence(), "control characters"));
  CHECK(says(config.set_tls_roots("garbage").sentence(), "no certificate"));
  CHECK(says(config.set_tls_identity(localhost_chain, elsewhere_key).sentence(), "does not match"));
  CHECK(says(config.error_message(), "does not match"));
  CHECK(std::string(ws::listen("ws://127.0.0.1:0/", unblocked())->accept().sentence()).empty());
}

TEST_CASE("the proxy of the environment can be asked for") {
  CHECK(ws::proxy_for("ws://example.com/").value_or("?").empty());
  const std::string login(300, 'x');
  REQUIRE(setenv("all_proxy", (login + "@proxy.test").c_str(), 1) == 0);
  CHECK(ws::proxy_for("ws://example.com/").value_or("?") == "http://" + login + "@proxy.test:1080");
  REQUIRE(setenv("all_proxy", "https://proxy.test", 1) == 0);
  const auto none = ws::proxy_for("ws://example.com/");
  CHECK(none.error() == errc::proxy);
  CHECK(std::strstr(none.sentence(), "all_proxy"));
  REQUIRE(unsetenv("all_proxy") == 0);
}

TEST_CASE("nobody waits who was told not to") {
  ws::listener listener = *ws::listen("ws://127.0.0.1:0/", unblocked());
  CHECK(listener.accept().error() == errc::would_block);
  ws::config patient;
  REQUIRE(patient.set(ws::option::read_timeout_ms, ws::milliseconds(20)));
  ws::connection client = *ws::connect(url_of(listener), patient);
  const auto before = std::chrono::steady_clock::now();
  CHECK(client.handshake().error() == errc::would_block);
  CHECK(std::chrono::steady_clock::now() - before >= ws::milliseconds(20));
  CHECK(client.wait(ws::milliseconds(1)).error() == errc::would_block);
  CHECK(client.next_deadline());
}

TEST_CASE("a socket of the caller's moves the bytes and stays open") {
  int fds[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
  {
    pair both = new_pair();
    REQUIRE(both.client.set_socket(fds[0]));
    REQUIRE(both.server.set_socket(fds[1]));
    CHECK(both.client.set_socket(fds[0]).error() == errc::misuse);
    std::thread later([&] {
      std::this_thread::sleep_for(ws::milliseconds(20));
      CHECK(both.client.handshake().error() == errc::would_block);
    });
    CHECK(both.server.wait(ws::milliseconds(1LL << 32))); // more than C can be told, of which it would hear 0
    later.join();
    CHECK(both.server.handshake());
    CHECK(both.client.handshake());
    CHECK(both.client.write_text("hello"));
    CHECK(both.server.wait(std::chrono::seconds(5)));
    CHECK(both.server.read_message()->text() == "hello");
    CHECK(both.server.tick(ws::now()).error() == errc::misuse);
  }
  CHECK(send(fds[0], "x", 1, 0) == 1);
  close(fds[0]);
  close(fds[1]);
  ws::connection none = *ws::connection::server();
  CHECK(none.set_socket(-1).error() == errc::invalid_argument);
  CHECK(none.wait(ws::milliseconds(0)).error() == errc::misuse);
}

TEST_CASE("one thread with a poller serves many clients") {
  constexpr std::uint64_t LISTENER = 0, FIRST = 1, CLIENTS = 20;
  ws::poller poller = *ws::poller::create();
  ws::listener listener = *ws::listen("ws://127.0.0.1:0/", unblocked());
  REQUIRE(poller.add_listener(listener, LISTENER));
  std::map<std::uint64_t, ws::connection> clients;
  std::uint64_t next = FIRST, ended = 0;

  const auto serve = [&](std::uint64_t token) {
    ws::connection &conn = clients.at(token);
    for (;;) {
      auto message = conn.read_message();
      if (message && message->kind() != ws::kind::close) REQUIRE(conn.write_message(*message));
      if (message.error() == errc::would_block) return;
      if (message.error() == errc::connection_closed) {
        clients.erase(token);
        ended++;
        return;
      }
    }
  };
  std::thread server([&] {
    std::array<std::uint64_t, 8> room{};
    while (ended < CLIENTS)
      for (const std::uint64_t token : poller.wait(room, std::chrono::seconds(10)).value_or({})) {
        if (token != LISTENER) {
          serve(token);
          continue;
        }
        while (auto conn = listener.accept()) {
          ws::connection &kept = clients[next] = *std::move(conn); // moving does not disturb a poller, before or after
          CHECK(poller.add(kept, next++));
        }
      }
  });

  std::vector<ws::connection> peers;
  for (std::uint64_t i = 0; i < CLIENTS; i++) {
    peers.push_back(*ws::connect(url_of(listener)));
    REQUIRE(peers.back().handshake());
  }
  for (int round = 0; round < 5; round++)
    for (auto &peer : peers) REQUIRE(peer.write_text(std::to_string(round)));
  for (auto &peer : peers) {
    for (int round = 0; round < 5; round++) REQUIRE(peer.read_message()->text() == std::to_string(round));
    REQUIRE(peer.close());
    CHECK(read_to_the_end(peer, [](ws::message) {}) == errc::connection_closed);
  }
  server.join();
  CHECK(ended == CLIENTS);
}

TEST_CASE("a poller is woken, gives up in time, and forgets who is taken out") {
  ws::poller poller = *ws::poller::create();
  std::array<std::uint64_t, 4> room{};
  CHECK(poller.wait(room, ws::milliseconds(1)).error() == errc::would_block);
  CHECK(poller.wake());
  const auto woken = poller.wait(room, std::chrono::seconds(10));
  REQUIRE(woken);
  CHECK(woken->empty());
  CHECK(poller.wait({}, ws::milliseconds(0)).error() == errc::invalid_argument);

  int fds[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
  ws::connection in_memory = *ws::connection::server();
  CHECK(poller.add(in_memory, 1).error() == errc::misuse);
  ws::connection conn = *ws::connection::from_partially_read(ws::role::client, {});
  REQUIRE(conn.set_socket(fds[0]));
  CHECK(poller.add(conn, 7));
  CHECK(poller.add(conn, 7).error() == errc::misuse);
  REQUIRE(send(fds[1], "\x81\x01x", 3, 0) == 3);
  REQUIRE(poller.wait(room, std::chrono::seconds(10)));
  CHECK(room[0] == 7);
  CHECK(conn.read_message()->text() == "x");
  CHECK(conn.poller_read(false));
  REQUIRE(send(fds[1], "\x81\x01y", 3, 0) == 3);
  CHECK(poller.wait(room, ws::milliseconds(20)).error() == errc::would_block);
  CHECK(conn.poller_read(true));
  CHECK(poller.wait(room, std::chrono::seconds(10)));
  CHECK(poller.remove(conn));
  CHECK(poller.remove(conn).error() == errc::misuse);
  CHECK(conn.poller_read(true).error() == errc::misuse);
  close(fds[0]);
  close(fds[1]);
}

TEST_CASE("one thread reads while many write, and nothing is lost") {
  constexpr int WRITERS = 4, MESSAGES = 500;
  ws::listener listener = *ws::listen("ws://127.0.0.1:0/");
  std::thread server([&] { serve_one(listener); });
  ws::connection client = *ws::connect(url_of(listener));
  REQUIRE(client.handshake());

  std::vector<std::thread> writers;
  for (int writer = 0; writer < WRITERS; writer++)
    writers.emplace_back([&client, writer] {
      for (int i = 0; i < MESSAGES; i++) {
        const std::string text = std::to_string(writer) + " " + std::to_string(i);
        REQUIRE(client.write_text(text));
        // Failures of many threads at once leave each its sentence whole.
        if (i % 50 == 0) CHECK(std::string(client.write_text("\xff").sentence()).find("UTF-8") != std::string::npos);
      }
    });
  std::array<int, WRITERS> next{};
  std::thread reader([&] {
    const auto end = read_to_the_end(client, [&](ws::message message) {
      const std::string text(message.text());
      auto &expected = next.at(static_cast<std::size_t>(text[0] - '0'));
      CHECK(std::stoi(text.substr(2)) == expected);
      expected++;
    });
    CHECK(end == errc::connection_closed);
  });
  for (auto &writer : writers) writer.join();
  CHECK(client.close());
  reader.join();
  server.join();
  for (const int count : next) CHECK(count == MESSAGES);
}

TEST_CASE("a second reader is told so") {
  ws::listener listener = *ws::listen("ws://127.0.0.1:0/");
  std::thread server([&] { serve_one(listener); });
  ws::connection client = *ws::connect(url_of(listener));
  REQUIRE(client.handshake());
  REQUIRE(client.set_option(ws::option::read_timeout_ms, ws::milliseconds(20)));
  const auto is_over = [](std::error_code error) { return error != errc::would_block && error != errc::misuse; };
  std::thread reader([&] {
    while (!is_over(client.read_message().error())) continue;
  });
  while (client.read_message().error() != errc::misuse) continue; // each has its turn, until both want it
  CHECK(client.close());
  reader.join();
  server.join();
}

TEST_CASE("wss:// takes the certificate that it trusts, and no other") {
  ws::config server, client;
  REQUIRE(server.set_tls_identity(localhost_chain, localhost_key));
  REQUIRE(client.set_tls_roots(authority));
  CHECK(server.set_tls_identity(localhost_chain, elsewhere_key).error() == errc::invalid_argument);
  ws::listener listener = *ws::listen("wss://127.0.0.1:0/", server);
  std::thread thread([&] {
    serve_one(listener);
    serve_one(listener);
  });
  {
    ws::connection conn = *ws::connect(url_of(listener, "wss", "localhost"), client);
    const auto opened = conn.handshake();
    CHECK_MESSAGE(opened, opened.sentence());
    CHECK(conn.write_text("secret"));
    CHECK(conn.read_message()->text() == "secret");
  }
  REQUIRE(client.set_tls_roots(elsewhere_chain));
  ws::connection stranger = *ws::connect(url_of(listener, "wss", "localhost"), client);
  const auto refused = stranger.handshake();
  CHECK(refused.error() == errc::tls);
  CHECK(std::string(refused.sentence()).size() > 10);
  stranger.reset();
  thread.join();
}

TEST_CASE("a connection goes through its proxy, and says when that refuses") {
  ws::listener no_proxy = *ws::listen("ws://127.0.0.1:0/");
  std::thread thread([&] { serve_one(no_proxy); });
  ws::config config;
  REQUIRE(config.set_proxy("http://user:word@127.0.0.1:" + std::to_string(no_proxy.port())));
  ws::connection client = *ws::connect("ws://example.invalid/", config);
  const auto refused = client.handshake();
  CHECK(refused.error() == errc::proxy);
  client.reset();
  thread.join();
}

#ifndef _WIN32 // the library has no Unix sockets there
TEST_CASE("a Unix socket is served, too") {
  const std::string url = "ws+unix://@wsabi-cpp-" + std::to_string(getpid()) + ":/";
  ws::listener listener = *ws::listen(url);
  CHECK(listener.port() == 0);
  std::thread server([&] { serve_one(listener); });
  ws::connection client = *ws::connect(url);
  REQUIRE(client.handshake());
  CHECK(client.write_binary("hello"));
  CHECK(client.read_message()->bytes().text() == "hello");
  client.reset();
  server.join();
}
#endif
