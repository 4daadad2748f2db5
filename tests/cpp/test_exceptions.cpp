// Exceptions, for those who ask for them; the other files of this program do not.
#define WS_EXCEPTIONS
#include "pair.hpp"

TEST_CASE("value() gives what is there") {
  ws::connection server = ws::connection::server().value();
  CHECK(server);
  ws::config config;
  config.set(ws::option::max_message_size, 1).value();
  CHECK(config.get(ws::option::max_message_size).value() == 1);
}

TEST_CASE("value() of a result that has a name leaves its value, or its failure, there") {
  auto made = ws::connection::server();
  CHECK(made.value().state() == ws::state::connecting);
  CHECK(made);
  const ws::result<void> failed = made->close();
  CHECK_THROWS_AS(failed.value(), const ws::error &);
  CHECK(failed.error() == ws::errc::misuse);
  CHECK(std::string(failed.sentence()).size() > 10);
}

TEST_CASE("value() throws the error with the connection's sentence") {
  ws::connection server = ws::connection::from_partially_read(ws::role::server, "\xc1").value();
  std::string what;
  try {
    server.read_message().value();
  } catch (const ws::error &error) {
    CHECK(error.code() == ws::errc::protocol);
    what = error.what();
  }
  CHECK(what.find("byte 0") != std::string::npos);
  CHECK(what.find(ws_status_message(WS_ERR_PROTOCOL)) != std::string::npos);
}

TEST_CASE("what is thrown is a std::system_error") {
  ws::listener first = ws::listen("ws://127.0.0.1:0/").value();
  const std::string again = "ws://127.0.0.1:" + std::to_string(first.port()) + "/";
  CHECK_THROWS_AS(ws::listen(again).value(), const std::system_error &);
  try {
    ws::listen(again).value();
  } catch (const std::system_error &error) {
    CHECK(is(error.code(), std::errc::address_in_use));
  }
  CHECK_THROWS_AS(ws::connect("no url").value(), const ws::error &);
  try {
    ws::connect("http://example.com/").value();
  } catch (const ws::error &error) {
    CHECK(std::string(error.what()).find("scheme") != std::string::npos);
  }
}

TEST_CASE("nothing throws that was not asked to") {
  static_assert(noexcept(ws::connect("")) && noexcept(ws::listen("")) && noexcept(ws::poller::create()));
  static_assert(noexcept(std::declval<ws::connection &>().read_message()));
  static_assert(noexcept(std::declval<ws::connection &>().write_text("")));
  CHECK_FALSE(ws::connect("no url"));
  CHECK_FALSE(ws::connection().read_message());
}
