// Errors, results, views, configurations, and handles that own nothing.
#include "pair.hpp"

#include <array>
#include <vector>
#if __cplusplus >= 202002L
#include <span>
#endif

TEST_CASE("an error is a std::error_code with the library's words") {
  const std::error_code code = ws::errc::capacity;
  CHECK(code.category() == ws::category());
  CHECK(std::string(code.category().name()) == "wsabi");
  CHECK(code.value() == WS_ERR_CAPACITY);
  CHECK(code.message() == ws_status_message(WS_ERR_CAPACITY));
  CHECK(code == ws::errc::capacity);
  CHECK(code != ws::errc::protocol);
  CHECK(ws::status_name(ws::errc::capacity) == "WS_ERR_CAPACITY");
}

TEST_CASE("an error means what the standard library has a word for") {
  const auto is = [](ws::errc error, std::errc condition) { return make_error_code(error) == condition; };
  CHECK(is(ws::errc::would_block, std::errc::operation_would_block));
  CHECK(is(ws::errc::would_block, std::errc::resource_unavailable_try_again));
  CHECK(is(ws::errc::timeout, std::errc::timed_out));
  CHECK(is(ws::errc::invalid_argument, std::errc::invalid_argument));
  CHECK(is(ws::errc::no_memory, std::errc::not_enough_memory));
  CHECK(is(ws::errc::protocol, std::errc::protocol_error));
  CHECK(is(ws::errc::utf8, std::errc::illegal_byte_sequence));
  CHECK(is(ws::errc::capacity, std::errc::message_size));
  CHECK(is(ws::errc::send_queue_full, std::errc::no_buffer_space));
  CHECK(is(ws::errc::unsupported, std::errc::not_supported));
  CHECK_FALSE(is(ws::errc::tls, std::errc::io_error));
  CHECK(make_error_code(ws::errc::tls).default_error_condition().category() == ws::category());
}

TEST_CASE("fatal errors are told from the others") {
  CHECK(ws::is_fatal(ws::errc::protocol));
  CHECK(ws::is_fatal(ws::errc::connection_closed));
  CHECK_FALSE(ws::is_fatal(ws::errc::would_block));
  CHECK_FALSE(ws::is_fatal(ws::errc::misuse));
}

TEST_CASE("the header belongs to the library") {
  CHECK(ws::check_abi());
  CHECK(ws::abi_version() == WS_ABI_VERSION);
  CHECK(ws::version_number() == WS_VERSION_MAJOR * 1000000 + WS_VERSION_MINOR * 1000 + WS_VERSION_PATCH);
  CHECK(ws::version_string().substr(0, 2) == std::to_string(WS_VERSION_MAJOR) + ".");
  const auto before = ws::now();
  CHECK(ws::now() >= before);
}

TEST_CASE("a URL says where it leads, or that it cannot be used") {
  const auto leads_to = [](std::string_view url) { return *ws::check_url(url); };
  CHECK(leads_to("wss://0x7f.1/").host == "127.0.0.1");
  CHECK(leads_to("wss://0x7f.1/").port == 443);
  CHECK(leads_to("ws://[0::1]:9/").host == "::1");
  CHECK(leads_to("ws://b\xc3\xbc" "cher.example:8080/").host == "xn--bcher-kva.example");
  CHECK(leads_to("ws://b\xc3\xbc" "cher.example:8080/").port == 8080);
  for (const std::string_view bad : {"ws://h/#f", "ws://h:0/", "http://h/", "ws://.0/"})
    CHECK(ws::check_url(bad).error() == ws::errc::url);
  CHECK(ws::check_url(std::string_view("ws://h/\0", 8)).error() == ws::errc::invalid_argument);
  CHECK(ws::check_url("ws://" + std::string(2000, 'a') + "/").error() == ws::errc::invalid_argument);
}

TEST_CASE("a result has a value or a reason") {
  ws::result<std::string> good(std::string("here"));
  CHECK(good);
  CHECK(good.has_value());
  CHECK(*good == "here");
  CHECK(good->size() == 4);
  CHECK_FALSE(good.error());
  CHECK(std::move(good).value_or("there") == "here");

  ws::result<std::string> bad(ws::errc::timeout);
  CHECK_FALSE(bad);
  CHECK(bad.error() == ws::errc::timeout);
  CHECK(std::string(bad.sentence()).empty());
  CHECK(std::move(bad).value_or("there") == "there");

  const ws::result<void> done;
  CHECK(done);
  CHECK_FALSE(done.error());
  const ws::result<void> foreign(std::make_error_code(std::errc::address_in_use));
  CHECK_FALSE(foreign);
  CHECK(foreign.error() == std::errc::address_in_use);
}

#ifndef _WIN32 // there is no fork()
TEST_CASE("a value that is not there ends the program when it is used") {
  CHECK(terminates([] { (void)*ws::result<int>(ws::errc::io); }));
  CHECK(terminates([] { (void)ws::result<std::string>(ws::errc::io)->size(); }));
  CHECK_FALSE(terminates([] { (void)*ws::result<int>(7); }));
}
#endif

TEST_CASE("bytes are seen in whatever holds them") {
  const auto seen = [](ws::bytes_view bytes) { return std::string(bytes.text()); };
  const unsigned char array[] = {'a', 'b', 'c'};
  CHECK(seen("abc") == "abc");
  CHECK(seen(std::string("a\0c", 3)) == std::string("a\0c", 3));
  CHECK(seen(std::string_view("abcd").substr(0, 3)) == "abc");
  CHECK(seen(std::vector<std::uint8_t>{'a', 'b', 'c'}) == "abc");
  CHECK(seen(std::vector<char>{'a', 'b', 'c'}) == "abc");
  CHECK(seen(std::array<std::byte, 2>{std::byte{'a'}, std::byte{'b'}}) == "ab");
  CHECK(seen({array, sizeof array}) == "abc");
  CHECK(seen(ws::bytes_view()).empty());
  CHECK(seen(std::vector<char>()).empty());
  static_assert(!std::is_convertible_v<std::vector<int>, ws::bytes_view>, "what is no byte is not taken for some");
  static_assert(!std::is_convertible_v<std::vector<bool>, ws::bytes_view>);

  unsigned sum = 0;
  for (const std::uint8_t byte : ws::bytes_view("\1\2\3")) sum += byte;
  CHECK(sum == 6);
  CHECK(ws::bytes_view("xy")[1] == 'y');

#if __cplusplus >= 202002L
  const std::span<const std::uint8_t> span = ws::bytes_view("abc");
  CHECK(span.size() == 3);
  CHECK(seen(span) == "abc");
  std::uint64_t tokens[4] = {};
  const ws::view<std::uint64_t> room = std::span<std::uint64_t>(tokens);
  CHECK(room.size() == 4);
#endif
}

TEST_CASE("options are set and read back") {
  ws::config config;
  CHECK(config.set(ws::option::max_message_size, 1000));
  CHECK(*config.get(ws::option::max_message_size) == 1000);
  CHECK(config.set(ws::option::ping_interval_ms, std::chrono::seconds(5)));
  CHECK(*config.get(ws::option::ping_interval_ms) == 5000);
  CHECK(config.set(ws::option::ping_interval_ms, std::chrono::milliseconds(-1)).error() == ws::errc::invalid_argument);
  CHECK(*config.get(ws::option::ping_interval_ms) == 5000);
  CHECK(config.set(ws::option::deflate_level, 99).error() == ws::errc::invalid_argument);
  CHECK(config.get(static_cast<ws::option>(999)).error() == ws::errc::invalid_argument);

  ws::connection conn = *ws::connection::server(config);
  CHECK(*conn.get_option(ws::option::max_message_size) == 1000);
  CHECK(conn.set_option(ws::option::idle_timeout_ms, std::chrono::minutes(1)));
  CHECK(*conn.get_option(ws::option::idle_timeout_ms) == 60000);
  CHECK(conn.set_option(ws::option::idle_timeout_ms, ws::milliseconds(-1)).error() == ws::errc::invalid_argument);
  CHECK(conn.get_option(static_cast<ws::option>(999)).error() == ws::errc::invalid_argument);
}

TEST_CASE("a NUL within a text is refused and cuts nothing short") {
  const std::string_view evil("ws://a/\0b", 9);
  ws::config config;
  CHECK(ws::connect(evil).error() == ws::errc::invalid_argument);
  CHECK(ws::connection::client(evil).error() == ws::errc::invalid_argument);
  CHECK(ws::listen(std::string_view("ws://127.0.0.1:0/\0", 18)).error() == ws::errc::invalid_argument);
  CHECK(config.add_header("X-A", std::string_view("a\0b", 3)).error() == ws::errc::invalid_argument);
  CHECK(config.add_header(std::string_view("X\0A", 3), "a").error() == ws::errc::invalid_argument);
  CHECK(config.add_protocol(std::string_view("a\0b", 3)).error() == ws::errc::invalid_argument);
  CHECK(config.set_proxy(std::string_view("http://a\0b", 10)).error() == ws::errc::invalid_argument);
  CHECK(config.add_protocol("a"));
}

TEST_CASE("what a configuration cannot use, it refuses") {
  ws::config config;
  CHECK(config.add_header("Sec-WebSocket-Key", "mine").error() == ws::errc::invalid_argument);
  CHECK(config.add_protocol("not a token").error() == ws::errc::invalid_argument);
  CHECK(config.set_proxy("ftp://example.com").error() == ws::errc::invalid_argument);
  CHECK(config.set_proxy("http://user:word@example.com:8080"));
  CHECK(config.set_proxy(std::nullopt));
  CHECK(config.set_tls_roots("no certificate").error() == ws::errc::invalid_argument);
  CHECK(config.set_tls_identity("neither", "nor").error() == ws::errc::invalid_argument);
  CHECK(ws::connect("http://example.com/").error() == ws::errc::url);
  CHECK(ws::connection::from_partially_read(static_cast<ws::role>(7), {}).error() == ws::errc::invalid_argument);
  CHECK(ws::prepare_message(ws::kind::ping, "x").error() == ws::errc::invalid_argument);
  CHECK(ws::prepare_message(ws::kind::text, "\xff").error() == ws::errc::utf8);
}

TEST_CASE("a handle that was moved from is empty, and every call on it is harmless") {
  const auto refused = ws::errc::invalid_argument;
  ws::connection conn = *ws::connection::server();
  ws::connection other = std::move(conn);
  CHECK(other);
  // NOLINTBEGIN: that is the point
  CHECK_FALSE(conn);
  CHECK(conn.get() == nullptr);
  CHECK(conn.handshake().error() == refused);
  CHECK(conn.read_message().error() == refused);
  CHECK(conn.read_messages().error() == refused);
  CHECK(conn.service().outcome.error() == refused);
  CHECK(conn.write_text("x").error() == refused);
  CHECK(conn.write_binary("x").error() == refused);
  CHECK(conn.queue_message(ws::kind::text, "x").error() == refused);
  CHECK(conn.write_fragment(ws::kind::text, "x", true).error() == refused);
  CHECK(conn.write_prepared({}).error() == refused);
  CHECK(conn.write_pending().error() == refused);
  ws::messages none;
  CHECK(conn.write_messages(none).error() == refused);
  CHECK(conn.close().error() == refused);
  CHECK(conn.accept().error() == refused);
  CHECK(conn.reject(400).error() == refused);
  CHECK(conn.add_header("A", "b").error() == refused);
  CHECK(conn.input().error() == refused);
  CHECK(conn.input_commit(0).error() == refused);
  CHECK(conn.feed("x").error() == refused);
  CHECK(conn.feed_eof().error() == refused);
  CHECK(conn.output().error() == refused);
  CHECK(conn.output_advance(0).error() == refused);
  CHECK(conn.output_take({}).error() == refused);
  CHECK(conn.tick(ws::now()).error() == refused);
  CHECK(conn.wait(ws::milliseconds(0)).error() == refused);
  CHECK(conn.poller_read(true).error() == refused);
  CHECK(conn.set_option(ws::option::blocking, 1).error() == refused);
  CHECK(conn.get_option(ws::option::blocking).error() == refused);
  CHECK(conn.set_socket(0).error() == refused);
  CHECK(conn.set_io([](auto) { return ws::transfer{0}; }, [](auto) { return ws::transfer{0}; }).error() == refused);
  CHECK(conn.state() == ws::state::closed);
  CHECK_FALSE(conn.can_read());
  CHECK_FALSE(conn.can_write());
  CHECK_FALSE(conn.has_input());
  CHECK_FALSE(conn.interest().read);
  CHECK_FALSE(conn.interest().write);
  CHECK(conn.queued_bytes() == 0);
  CHECK(conn.close_code() == 0);
  CHECK_FALSE(conn.latency());
  CHECK_FALSE(conn.next_deadline());
  CHECK_FALSE(conn.io_error());
  CHECK(conn.error_message().empty());
  CHECK(conn.socket() == -1);
  CHECK_FALSE(conn.request_target());
  CHECK_FALSE(conn.request_method());
  CHECK_FALSE(conn.is_upgrade());
  CHECK_FALSE(conn.header("Host"));
  CHECK_FALSE(conn.header_at(0));
  CHECK_FALSE(conn.protocol());
  CHECK(conn.http_status() == 0);
  CHECK(conn.http_body().empty());
  conn.reset();
  conn = std::move(other);
  CHECK(conn);

  ws::config config;
  const ws::config taken = std::move(config);
  CHECK(taken);
  CHECK_FALSE(config);
  CHECK(config.set(ws::option::blocking, 1).error() == refused);
  CHECK(config.get(ws::option::blocking).error() == refused);
  CHECK(config.add_header("A", "b").error() == refused);
  CHECK(config.add_protocol("a").error() == refused);
  CHECK(config.set_proxy(std::nullopt).error() == refused);
  // Its settings are gone: a connection without them would not be the one that was meant.
  CHECK(ws::connect("ws://127.0.0.1:1/", config).error() == refused);
  CHECK(ws::listen("ws://127.0.0.1:0/", config).error() == refused);
  CHECK(ws::connection::client("ws://a/", config).error() == refused);
  CHECK(ws::connection::server(config).error() == refused);
  CHECK(ws::connection::from_partially_read(ws::role::client, {}, config).error() == refused);

  ws::poller poller = *ws::poller::create();
  ws::poller waits = std::move(poller);
  std::uint64_t tokens[1];
  CHECK_FALSE(poller);
  CHECK(poller.wait(tokens, ws::milliseconds(0)).error() == refused);
  CHECK(poller.wake().error() == refused);
  CHECK(poller.add(conn, 1).error() == refused);
  CHECK(poller.remove(conn).error() == refused);

  ws::listener listener = *ws::listen("ws://127.0.0.1:0/");
  ws::listener listens = std::move(listener);
  CHECK(listens.port() > 0);
  CHECK_FALSE(listener);
  CHECK(listener.accept().error() == refused);
  CHECK(listener.port() == 0);
  CHECK(listener.socket() == -1);
  CHECK(waits.add_listener(listener, 1).error() == refused);
  // NOLINTEND
}

TEST_CASE("freeing twice, and assigning to itself, is harmless") {
  ws::connection conn = *ws::connection::server();
  ws::connection &same = conn;
  conn = std::move(same);
  CHECK(conn);
  conn.reset();
  conn.reset();
  CHECK_FALSE(conn);
  ws::listener listener = *ws::listen("ws://127.0.0.1:0/");
  listener.reset();
  listener.reset();
  CHECK_FALSE(listener);
}

TEST_CASE("handles can be moved, not copied") {
  static_assert(std::is_nothrow_move_constructible_v<ws::connection>);
  static_assert(std::is_nothrow_move_assignable_v<ws::connection>);
  static_assert(!std::is_copy_constructible_v<ws::connection> && !std::is_copy_assignable_v<ws::connection>);
  static_assert(std::is_nothrow_move_constructible_v<ws::config> && !std::is_copy_constructible_v<ws::config>);
  static_assert(std::is_nothrow_move_constructible_v<ws::listener> && !std::is_copy_constructible_v<ws::listener>);
  static_assert(std::is_nothrow_move_constructible_v<ws::prepared> && !std::is_copy_constructible_v<ws::prepared>);
  static_assert(std::is_nothrow_move_constructible_v<ws::poller> && !std::is_copy_constructible_v<ws::poller>);
  std::vector<ws::connection> many;
  for (int i = 0; i < 10; i++) many.push_back(*ws::connection::server());
  CHECK(many.front().state() == ws::state::connecting);
}
