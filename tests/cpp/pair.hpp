// Two connections joined in memory, and what the tests of several files do with them.
#pragma once

#include "wsabi.hpp"

#include <ostream> // for what doctest shows

#include <doctest/doctest.h>

#include <string>
#include <sys/wait.h>
#include <unistd.h>

// doctest shows what was compared.
namespace ws {
inline doctest::String toString(errc error) { return std::string(status_name(error)).c_str(); }
}

/// Whether a code of the system's means this. MinGW's libstdc++ does not know what Winsock's numbers mean.
inline bool is(std::error_code code, std::errc meaning) {
#ifdef __MINGW32__
  switch (meaning) {
  case std::errc::address_in_use: return code == std::error_code(10048, std::system_category());
  case std::errc::connection_reset: return code == std::error_code(10054, std::system_category());
  case std::errc::connection_refused: return code == std::error_code(10061, std::system_category());
  default: break;
  }
#endif
  return code == meaning;
}

struct pair {
  ws::connection client, server;
};

/// Moves all that `from` has to send, as far as `to` takes it. How many bytes that was.
inline std::size_t carry(ws::connection &from, ws::connection &to) {
  std::size_t total = 0;
  for (;;) {
    const ws::bytes_view out = *from.output();
    const std::size_t taken = out.empty() ? 0 : *to.feed(out);
    REQUIRE(from.output_advance(taken));
    total += taken;
    if (taken < out.size() || out.empty()) return total;
  }
}

/// Reads from one end, and brings it the bytes of the other as often as it lacks some.
inline ws::result<ws::message> read_from(ws::connection &reader, ws::connection &peer) {
  for (;;) {
    auto message = reader.read_message();
    if (message.error() != ws::errc::would_block || carry(peer, reader) == 0) return message;
  }
}

inline pair new_pair(const ws::config &client = {}, const ws::config &server = {}) {
  return {*ws::connection::client("ws://example.com/chat?room=1", client), *ws::connection::server(server)};
}

/// A pair whose opening handshake is done.
inline pair open_pair(const ws::config &client = {}, const ws::config &server = {}) {
  pair both = new_pair(client, server);
  REQUIRE(both.client.handshake().error() == ws::errc::would_block);
  carry(both.client, both.server);
  REQUIRE(both.server.handshake());
  carry(both.server, both.client);
  REQUIRE(both.client.handshake());
  return both;
}

#ifndef _WIN32
/// Whether a function ends the program by std::terminate(); it runs in a process of its own.
template <class Function> bool terminates(Function function) {
  const pid_t child = fork();
  if (child == 0) {
    std::set_terminate([] { _exit(42); });
    function();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 42;
}
#endif
