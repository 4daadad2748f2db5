// A client: each line of its input is sent as a text message, each received message is a line of its output.
//
//   c++ -std=c++17 -Iinclude examples-cpp/client.cpp -Lbuild/lib -lwsabi -lpthread -o client
//   client URL [CERTIFICATES]      CERTIFICATES (PEM) are trusted instead of the system's
//
// It shows how two threads share a connection: one reads, the other writes and closes. Nothing throws: each call returns
// its result. At the end of the input it closes, and still prints what the server has sent until then.
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <thread>

#include <wsabi.hpp>

static int fail(std::string_view what, std::error_code error, std::string_view sentence = {}) {
  std::cerr << "client: " << what << ": " << error.message();
  if (!sentence.empty()) std::cerr << ": " << sentence;
  std::cerr << '\n';
  return 1;
}

/// Prints what it receives until the connection has ended. Returns whether it was closed normally.
static bool show(ws::connection &conn) {
  ws::result<ws::message> message = conn.read_message();
  for (; message; message = conn.read_message())
    if (message->kind() != ws::kind::close) std::cout << message->text() << std::endl;
  if (message.error() != ws::errc::connection_closed) fail("reading", message.error(), message.sentence());
  return message.error() == ws::errc::connection_closed && conn.close_code() == 1000;
}

int main(int argc, char **argv) {
  if (argc < 2) return std::cerr << "usage: client URL [CERTIFICATES]\n", 2;

  ws::config config;
  if (argc > 2) {
    std::ifstream file(argv[2]);
    const std::string pem{std::istreambuf_iterator<char>(file), {}};
    if (auto trusted = config.set_tls_roots(pem); !trusted) return fail(argv[2], trusted.error());
  }

  auto conn = ws::connect(argv[1], config);
  if (!conn) return fail(argv[1], conn.error());
  if (auto opened = conn->handshake(); !opened) return fail(argv[1], opened.error(), opened.sentence());

  bool ended_well = false;
  std::thread reader([&] { ended_well = show(*conn); });
  ws::result<void> sent;
  for (std::string line; sent && std::getline(std::cin, line);) sent = conn->write_text(line);
  if (!sent) fail("writing", sent.error(), sent.sentence());
  (void)conn->close(); // if this fails, the connection has already ended, and the reader reports why
  reader.join();
  return sent && ended_well ? 0 : 1;
}
