// A greeting in memory, in a program that can do without exceptions and run-time types, and is built that way, too.
#include <wsabi.hpp>

#include <cstdio>

static bool carry(ws::connection &from, ws::connection &to) {
  const auto out = from.output();
  if (!out || out->empty()) return false;
  const auto taken = to.feed(*out);
  return taken && from.output_advance(*taken);
}

static ws::result<void> converse() {
  auto client = ws::connection::client("ws://example.com/");
  if (!client) return client.take_failure();
  auto server = ws::connection::server();
  if (!server) return server.take_failure();
  (void)client->handshake();
  carry(*client, *server);
  if (auto opened = server->handshake(); !opened) return opened;
  carry(*server, *client);
  if (auto opened = client->handshake(); !opened) return opened;
  if (auto sent = client->write_text("hello"); !sent) return sent;
  carry(*client, *server);
  const auto message = server->read_message();
  if (!message || message->text() != "hello") return ws::errc::protocol;
  const auto nothing = server->read_message();
  return nothing.error() == ws::errc::would_block ? ws::result<void>() : ws::errc::misuse;
}

int main() {
  const auto done = converse();
  std::printf("%s\n", done ? "hello" : done.error().message().c_str());
  return done ? 0 : 1;
}
