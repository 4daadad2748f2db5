// Whole conversations in memory and over callables: what every verb does, and how long what it gives stays.
#include "pair.hpp"

#include <array>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

using ws::errc;
using ws::kind;

TEST_CASE("messages are echoed both ways") {
  pair both = open_pair();
  CHECK(both.client.state() == ws::state::open);
  CHECK(both.client.can_write());
  CHECK(both.client.write_text("héllo"));
  auto message = read_from(both.server, both.client);
  REQUIRE(message);
  CHECK(message->kind() == kind::text);
  CHECK(message->text() == "héllo");
  CHECK(message->is_final());
  CHECK(message->close_code() == 0);
  CHECK(both.server.write_message(*message));
  message = read_from(both.client, both.server);
  REQUIRE(message);
  CHECK(message->text() == "héllo");
  CHECK(both.server.write_binary(std::vector<std::uint8_t>(70000, 7)));
  message = read_from(both.client, both.server);
  REQUIRE(message);
  CHECK(message->kind() == kind::binary);
  CHECK(message->bytes().size() == 70000);
  CHECK(message->bytes()[69999] == 7);
  CHECK(both.client.queue_message(*message));
  CHECK(both.client.queue_message(kind::text, ""));
  CHECK(both.client.queued_bytes() > 70000);
  CHECK(read_from(both.server, both.client)->bytes().size() == 70000);
  CHECK(read_from(both.server, both.client)->bytes().empty());
}

TEST_CASE("messages are compressed where both ends agree") {
  ws::config config;
  REQUIRE(config.set(ws::option::deflate, 1));
  REQUIRE(config.set(ws::option::deflate_client_max_window_bits, 10));
  pair both = open_pair(config, config);
  CHECK(*both.client.get_option(ws::option::deflate) == 1);
  CHECK(*both.server.get_option(ws::option::deflate_client_max_window_bits) == 10);
  const std::string poem(50000, 'o');
  for (int round = 0; round < 3; round++) {
    REQUIRE(both.client.write_text(poem));
    CHECK(both.client.queued_bytes() < 1000);
    auto message = read_from(both.server, both.client);
    REQUIRE(message);
    REQUIRE(message->text() == poem);
    REQUIRE(both.server.write_message(*message));
    CHECK(both.server.queued_bytes() < 1000);
    message = read_from(both.client, both.server);
    REQUIRE(message);
    CHECK(message->text() == poem);
  }
}

TEST_CASE("the opening handshake can be looked at from both ends") {
  const std::string long_value(1000, 'v');
  ws::config client, server;
  REQUIRE(client.add_header("X-Long", long_value));
  REQUIRE(client.add_protocol("chat"));
  REQUIRE(client.add_protocol("talk"));
  REQUIRE(server.add_protocol("talk"));
  REQUIRE(server.add_header("X-Answer", "42"));
  pair both = open_pair(client, server);
  CHECK(both.server.request_target() == "/chat?room=1");
  CHECK(both.server.header("x-long") == long_value);
  CHECK_FALSE(both.server.header("X-None"));
  CHECK_FALSE(both.server.header(std::string_view("Host\0", 5)));
  CHECK(both.client.header("X-Answer") == "42");
  CHECK(both.client.http_status() == 101);
  CHECK(both.client.protocol() == "talk");
  CHECK(both.server.protocol() == "talk");
  CHECK_FALSE(both.client.request_target());
  std::size_t count = 0;
  bool found = false;
  while (const auto header = both.server.header_at(count)) {
    found |= header->name == "X-Long" && header->value == long_value;
    count++;
  }
  CHECK(found);
  CHECK(count > 4);
}

TEST_CASE("a server chooses whom it takes") {
  ws::config client, server;
  REQUIRE(client.add_protocol("chat"));
  REQUIRE(server.set(ws::option::auto_accept, 0));

  pair taken = new_pair(client, server);
  CHECK(taken.client.handshake().error() == errc::would_block);
  carry(taken.client, taken.server);
  CHECK(taken.server.accept().error() == errc::misuse);
  CHECK(taken.server.handshake());
  CHECK(taken.server.state() == ws::state::request);
  CHECK(taken.server.accept("talk").error() == errc::invalid_argument);
  CHECK(taken.server.accept(std::string_view("chat\0", 5)).error() == errc::invalid_argument);
  CHECK(taken.server.state() == ws::state::request);
  CHECK(taken.server.add_header("X-Only-You", "yes"));
  CHECK(taken.server.add_header("X-Cut", std::string_view("a\0b", 3)).error() == errc::invalid_argument);
  CHECK(taken.server.accept("chat"));
  CHECK(taken.server.add_header("X-Late", "no").error() == errc::misuse);
  carry(taken.server, taken.client);
  CHECK(taken.client.handshake());
  CHECK(taken.client.header("X-Only-You") == "yes");
  CHECK(taken.client.protocol() == "chat");

  pair refused = new_pair(client, server);
  CHECK(refused.client.handshake().error() == errc::would_block);
  carry(refused.client, refused.server);
  CHECK(refused.server.handshake());
  CHECK(refused.server.reject(101).error() == errc::invalid_argument);
  CHECK(refused.server.reject(403, "not you"));
  carry(refused.server, refused.client);
  CHECK(refused.client.feed_eof());
  const auto opened = refused.client.handshake();
  CHECK(opened.error() == errc::handshake);
  CHECK(std::string(opened.sentence()).find("403") != std::string::npos);
  CHECK(refused.client.http_status() == 403);
  CHECK(refused.client.http_body().text() == "not you");
}

TEST_CASE("a plain request waits for an answer where the program asks for that") {
  ws::config config;
  REQUIRE(config.set(ws::option::auto_accept, 0));
  REQUIRE(config.set(ws::option::plain_requests, 1));
  ws::connection server = *ws::connection::server(config);
  CHECK_FALSE(server.request_method());
  const std::string_view request = "HEAD /health HTTP/1.0\r\n\r\n";
  REQUIRE(server.feed(request));
  REQUIRE(server.handshake());
  CHECK(server.state() == ws::state::request);
  CHECK(server.request_method() == "HEAD");
  CHECK(server.request_target() == "/health");
  CHECK_FALSE(server.is_upgrade());
  CHECK(server.accept().error() == errc::misuse);
  CHECK(server.reject(200, "well"));
  const std::string answer(server.output()->text());
  CHECK(answer.substr(0, 17) == "HTTP/1.1 200 OK\r\n");
  CHECK(answer.find("\r\nContent-Length: 4\r\n\r\n") == answer.size() - 23);

  pair both = new_pair({}, config);
  CHECK(both.client.handshake().error() == errc::would_block);
  carry(both.client, both.server);
  REQUIRE(both.server.handshake());
  CHECK(both.server.is_upgrade());
  CHECK(both.server.request_method() == "GET");
  CHECK(both.server.accept());
}

TEST_CASE("a closing handshake carries code and reason, and ends once") {
  pair both = open_pair();
  CHECK(both.client.close(1005).error() == errc::invalid_argument);
  CHECK(both.client.close(4001, std::string(124, 'x')).error() == errc::invalid_argument);
  CHECK(both.client.close(4001, "that is all"));
  CHECK(both.client.state() == ws::state::closing);
  CHECK_FALSE(both.client.can_write());
  CHECK(both.client.write_text("late").error() == errc::connection_closed);
  auto message = read_from(both.server, both.client);
  REQUIRE(message);
  CHECK(message->kind() == kind::close);
  CHECK(message->close_code() == 4001);
  CHECK(message->text() == "that is all");
  carry(both.server, both.client);
  CHECK(both.server.read_message().error() == errc::connection_closed);
  CHECK(both.client.feed_eof());
  CHECK(both.client.read_message()->close_code() == 4001);
  auto end = both.client.read_message();
  CHECK(end.error() == errc::connection_closed);
  CHECK(end.error() == std::errc::not_connected);
  CHECK(std::string(end.sentence()).empty());
  CHECK(both.client.read_message().error() == errc::already_closed);
  CHECK(both.client.close_code() == 4001);
  CHECK(both.client.state() == ws::state::closed);
}

TEST_CASE("who breaks the protocol is told, and the failure says what and where") {
  ws::connection server = *ws::connection::from_partially_read(ws::role::server, std::string("\xc1\x80\0\0\0\0", 6));
  const auto message = server.read_message();
  CHECK(message.error() == errc::protocol);
  CHECK(message.error() == std::errc::protocol_error);
  CHECK(std::string(message.sentence()).find("byte 0") != std::string::npos);
  CHECK(server.error_message() == message.sentence());
  CHECK(server.close_code() == 1002);
  CHECK(server.output()->size() == 4);
  const auto sentence = ws::result<int>(ws::failure(errc::timeout)).sentence();
  CHECK(std::strlen(sentence) == 0);
}

TEST_CASE("a failure outlives its connection and moves from result to result") {
  const auto read = []() -> ws::result<int> {
    ws::connection server = *ws::connection::from_partially_read(ws::role::server, "\xc1");
    auto message = server.read_message();
    if (!message) return message.take_failure();
    return 1;
  };
  const auto failed = read();
  CHECK(failed.error() == errc::protocol);
  CHECK(std::string(failed.sentence()).find("byte 0") != std::string::npos);
}

TEST_CASE("what cannot be sent is refused, and the connection goes on") {
  ws::config config;
  REQUIRE(config.set(ws::option::max_message_size, 100));
  pair both = open_pair(config);
  CHECK(both.client.write_text("\xff").error() == errc::utf8);
  CHECK(both.client.write_text(std::string(101, 'x')).error() == errc::capacity);
  CHECK(both.client.write_message(kind::ping, std::string(126, 'x')).error() == errc::invalid_argument);
  CHECK(both.client.write_message(static_cast<kind>(3), "x").error() == errc::invalid_argument);
  CHECK(both.client.write_text("fine"));
  CHECK(read_from(both.server, both.client)->text() == "fine");
}

TEST_CASE("a message stays until the next read, whatever is written meanwhile") {
  pair both = open_pair();
  REQUIRE(both.client.write_text("first"));
  REQUIRE(both.client.write_text("second"));
  carry(both.client, both.server);
  const ws::message first = *both.server.read_message();
  for (int i = 0; i < 100; i++) REQUIRE(both.server.queue_message(first));
  REQUIRE(both.server.write_message(kind::ping, "there?"));
  CHECK(first.text() == "first");
  CHECK(both.server.read_message()->text() == "second");
  for (int i = 0; i < 100; i++) REQUIRE(read_from(both.client, both.server)->text() == "first");
}

TEST_CASE("messages that lie there come together, and are sent on together") {
  ws::config config;
  REQUIRE(config.set(ws::option::max_send_queue, 6));
  pair both = open_pair({}, config);
  for (int i = 0; i < 10; i++) REQUIRE(both.client.queue_message(kind::text, std::to_string(i)));
  carry(both.client, both.server);
  std::string sent, received;
  for (;;) {
    auto batch = both.server.read_messages();
    if (!batch) {
      CHECK(batch.error() == errc::would_block);
      break;
    }
    CHECK_FALSE(batch->empty());
    CHECK((*batch)[0].text().size() == 1);
    for (const ws::message message : *batch) sent += message.text();
    // Those that found no room are what is left of the batch.
    while (!batch->empty()) {
      const std::size_t before = batch->size();
      const auto written = both.server.write_messages(*batch);
      CHECK(batch->size() < before);
      if (!written) CHECK(written.error() == errc::send_queue_full);
      carry(both.server, both.client);
    }
  }
  CHECK(sent == "0123456789");
  while (auto batch = both.client.read_messages())
    for (const ws::message message : *batch) received += message.text();
  CHECK(received == "0123456789");
}

TEST_CASE("a frame takes what lies there, as much as it wants, and messages come before the fault behind them") {
  pair both = open_pair();
  CHECK(both.server.service().outcome);
  CHECK(both.server.service().found.empty());
  for (int i = 0; i < 5; i++) REQUIRE(both.client.write_text(std::to_string(i)));
  carry(both.client, both.server);
  std::string seen;
  ws::serviced frame = both.server.service(3);
  for (const ws::message message : frame.found) seen += message.text();
  CHECK(frame.more);
  frame = both.server.service(0, 1);
  CHECK(frame.found.size() == 1);
  seen += frame.found[0].text();
  frame = both.server.service();
  CHECK_FALSE(frame.more);
  for (const ws::message message : frame.found) seen += message.text();
  CHECK(seen == "01234");
  REQUIRE(both.client.write_text("last"));
  carry(both.client, both.server);
  REQUIRE(both.server.feed(std::string_view("\x83\x80\0\0\0\0", 6)));
  frame = both.server.service();
  CHECK(frame.found.size() == 1);
  CHECK(frame.outcome.error() == errc::protocol);
}

TEST_CASE("a full queue takes nothing and loses nothing") {
  ws::config config;
  REQUIRE(config.set(ws::option::max_send_queue, 3));
  pair both = open_pair(config);
  int accepted = 0;
  ws::result<void> written;
  while ((written = both.client.queue_message(kind::text, std::to_string(accepted)))) accepted++;
  CHECK(written.error() == errc::send_queue_full);
  CHECK(written.error() == std::errc::no_buffer_space);
  CHECK(both.client.write_pending().error() == errc::would_block);
  carry(both.client, both.server);
  CHECK(both.client.write_text(std::to_string(accepted)));
  for (int i = 0; i <= accepted; i++) CHECK(read_from(both.server, both.client)->text() == std::to_string(i));
}

TEST_CASE("bytes are received right into lent room") {
  pair both = open_pair();
  REQUIRE(both.client.write_text("no copy"));
  const ws::bytes_view out = *both.client.output();
  const ws::view<std::uint8_t> room = *both.server.input();
  CHECK(both.server.input().error() == errc::misuse);
  REQUIRE(room.size() >= out.size());
  std::memcpy(room.data(), out.data(), out.size());
  CHECK(both.server.input_commit(room.size() + 1).error() == errc::invalid_argument);
  CHECK(both.server.input_commit(out.size()));
  CHECK(both.client.output_advance(out.size() + 1).error() == errc::invalid_argument);
  CHECK(both.client.output_advance(out.size()));
  CHECK(both.server.has_input());
  CHECK(both.server.read_message()->text() == "no copy");
  CHECK(both.server.read_message().error() == errc::would_block);
  CHECK(both.server.interest().read);
  CHECK_FALSE(both.server.interest().write);
  CHECK(both.server.input_commit(0).error() == errc::misuse);
}

TEST_CASE("bytes to send are copied into room of the caller's") {
  pair both = open_pair();
  std::array<std::uint8_t, 10> room{};
  CHECK(*both.client.output_take(room) == 0);
  REQUIRE(both.client.write_text("in two pieces"));
  std::size_t n = 0;
  while ((n = *both.client.output_take(room)) > 0) CHECK(*both.server.feed({room.data(), n}) == n);
  CHECK(both.server.read_message()->text() == "in two pieces");
}

TEST_CASE("a message goes out in fragments, and comes in whole or in parts") {
  ws::config parts;
  REQUIRE(parts.set(ws::option::deliver_fragments, 1));
  pair both = open_pair();
  CHECK(both.client.write_fragment(kind::text, "caf\xc3", false));
  CHECK(both.client.write_text("between").error() == errc::misuse);
  CHECK(both.client.write_message(kind::ping, ""));
  CHECK(both.client.write_fragment(kind::text, "\xa9", true));
  CHECK(read_from(both.server, both.client)->text() == "café");

  both = open_pair({}, parts);
  CHECK(both.client.write_fragment(kind::binary, "one", false));
  auto part = read_from(both.server, both.client);
  REQUIRE(part);
  CHECK(part->text() == "one");
  CHECK_FALSE(part->is_final());
  CHECK(both.client.write_fragment(kind::binary, "two", true));
  while (part && !part->is_final()) part = read_from(both.server, both.client);
  REQUIRE(part);
  CHECK(part->is_final());
}

TEST_CASE("a prepared message goes to many, and may be freed before it has left") {
  pair a = open_pair(), b = open_pair();
  ws::prepared prepared = *ws::prepare_message(kind::text, "to all");
  CHECK(prepared);
  CHECK(a.server.write_prepared(prepared));
  CHECK(b.server.write_prepared(prepared));
  CHECK(a.client.write_prepared(prepared));
  prepared = ws::prepared();
  CHECK(read_from(a.client, a.server)->text() == "to all");
  CHECK(read_from(b.client, b.server)->text() == "to all");
  CHECK(read_from(a.server, a.client)->text() == "to all");
}

TEST_CASE("deadlines run on the clock that is handed in") {
  ws::config config;
  REQUIRE(config.set(ws::option::ping_interval_ms, std::chrono::seconds(10)));
  REQUIRE(config.set(ws::option::pong_timeout_ms, std::chrono::seconds(5)));
  pair both = open_pair({}, config);
  const auto start = ws::milliseconds(1000);
  CHECK(both.server.tick(start));
  CHECK(both.server.tick(ws::milliseconds(-1)).error() == errc::invalid_argument);
  CHECK_FALSE(both.server.latency());
  const auto due = both.server.next_deadline();
  REQUIRE(due);
  CHECK(both.server.tick(*due)); // a Ping
  CHECK(carry(both.server, both.client) > 0);
  CHECK(both.client.read_message().error() == errc::would_block);
  CHECK(both.server.tick(*due + ws::milliseconds(30)));
  CHECK(read_from(both.server, both.client).error() == errc::would_block);
  CHECK(both.server.latency() == ws::milliseconds(30));
  CHECK(both.server.tick(*both.server.next_deadline())); // another, never answered
  const auto patience = both.server.next_deadline();
  REQUIRE(patience);
  CHECK(both.server.tick(*patience).error() == std::errc::timed_out);
  CHECK_FALSE(both.client.next_deadline());
}

TEST_CASE("a connection whose handshake another has done begins with what was read") {
  ws::connection client = *ws::connection::from_partially_read(ws::role::client, "\x81\x02hi");
  CHECK(client.state() == ws::state::open);
  CHECK(client.read_message()->text() == "hi");
}

// Callables.

namespace {

/// Both directions between two ends, in bytes; each call moves a few.
struct line {
  std::deque<std::uint8_t> up, down;
};

auto receive_from(std::deque<std::uint8_t> &bytes) {
  return [&bytes](ws::view<std::uint8_t> room) -> ws::transfer {
    if (bytes.empty()) return {0, EAGAIN};
    const std::size_t n = std::min({room.size(), bytes.size(), std::size_t{100}});
    std::copy_n(bytes.begin(), n, room.begin());
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    return {n};
  };
}

auto send_to(std::deque<std::uint8_t> &bytes) {
  return [&bytes](ws::bytes_view out) -> ws::transfer {
    const std::size_t n = std::min(out.size(), std::size_t{70});
    bytes.insert(bytes.end(), out.begin(), out.begin() + n);
    return {n};
  };
}

}  // namespace

TEST_CASE("two callables move the bytes") {
  line line;
  pair both = new_pair();
  REQUIRE(both.client.set_io(receive_from(line.down), send_to(line.up)));
  REQUIRE(both.server.set_io(receive_from(line.up), send_to(line.down)));
  while (both.client.handshake().error() == errc::would_block) (void)both.server.handshake();
  CHECK(both.client.state() == ws::state::open);
  const std::string poem(5000, 'o');
  CHECK(both.client.write_text(poem));
  ws::result<ws::message> message = errc::would_block;
  while ((message = both.server.read_message()).error() == errc::would_block) (void)both.client.write_pending();
  REQUIRE(message);
  CHECK(message->text() == poem);
  CHECK(both.client.feed("x").error() == errc::misuse);
}

TEST_CASE("callables stay as long as the connection that calls them, wherever that is moved") {
  const auto alive = std::make_shared<int>(0);
  const auto receive = [alive](ws::view<std::uint8_t>) { return ws::transfer{0, EAGAIN}; };
  const auto send = [alive](ws::bytes_view bytes) { return ws::transfer{bytes.size()}; };
  const auto without = alive.use_count();
  {
    ws::connection elsewhere;
    {
      ws::connection conn = *ws::connection::client("ws://a/");
      REQUIRE(conn.set_io(receive, send));
      CHECK(alive.use_count() == without + 2);
      // One that is refused goes at once.
      CHECK(conn.set_io(receive, send).error() == errc::misuse);
      CHECK(alive.use_count() == without + 2);
      elsewhere = std::move(conn);
    }
    CHECK(alive.use_count() == without + 2);
    CHECK(elsewhere.handshake().error() == errc::would_block);
    elsewhere = *ws::connection::server();
    CHECK(alive.use_count() == without);
  }
}

TEST_CASE("the code of a callable is the reason of the failure") {
  ws::connection conn = *ws::connection::client("ws://a/");
  REQUIRE(conn.set_io([](ws::view<std::uint8_t>) { return ws::transfer{0, ECONNRESET}; },
                      [](ws::bytes_view bytes) { return ws::transfer{bytes.size()}; }));
  CHECK(conn.handshake().error() == errc::io);
  CHECK(is(conn.io_error(), std::errc::connection_reset));
}

#ifndef _WIN32 // there is no fork()
TEST_CASE("a callable that throws ends the program, and nothing goes on half done") {
  CHECK(terminates([] {
    ws::connection conn = *ws::connection::client("ws://a/");
    (void)conn.set_io([](ws::view<std::uint8_t>) -> ws::transfer { throw 1; },
                      [](ws::bytes_view bytes) { return ws::transfer{bytes.size()}; });
    (void)conn.handshake();
  }));
}
#endif

TEST_CASE("a callable cannot use its own connection, nor take it away") {
  auto conn = std::make_unique<ws::connection>(*ws::connection::client("ws://a/"));
  static ws_conn *const handle = conn->get(); // it and its callables stay behind
  std::error_code within;
  const auto kept = std::make_shared<std::string>("here");
  REQUIRE(conn->set_io([](ws::view<std::uint8_t>) { return ws::transfer{0, EAGAIN}; },
                       [&, kept](ws::bytes_view bytes) -> ws::transfer {
                         within = conn->write_text("again").error();
                         conn.reset();
                         CHECK(*kept == "here"); // what runs here is still there
                         return {bytes.size()};
                       }));
  ws_handshake(handle); // and not conn->handshake(), which has no conn to return to
  CHECK(within == errc::misuse);
  CHECK_FALSE(conn);
  CHECK(kept.use_count() == 2);
}
