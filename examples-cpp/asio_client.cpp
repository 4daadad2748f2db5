// A client with Boost.Asio: many connections at once, each of which sends a message many times and waits for the echoes.
//
//   c++ -std=c++17 -Iinclude examples-cpp/asio_client.cpp -Lbuild/lib -lwsabi -lpthread -o asio_client
//   asio_client PORT [CONNECTIONS [MESSAGES [BYTES]]]
//
// It sends as fast as the send queue accepts; when that is full, it continues after the next echo: both ends together
// never hold more than their queues. asio_session.hpp connects Boost.Asio and the library.
#include "asio_session.hpp"

#include <cstdlib>
#include <iostream>
#include <string>

using boost::asio::ip::tcp;

static int echoes, closes; // of all connections

class speaker : public session {
public:
  speaker(tcp::socket socket, ws::connection conn, const std::string &text, int messages)
    : session(std::move(socket), std::move(conn)), text_(text), to_send_(messages), to_come_(messages) {}

private:
  void opened() override { speak(); }

  ws::result<void> received(ws::message message) override {
    if (message.text() == text_) echoes++, to_come_--;
    speak();
    if (to_come_ == 0) (void)connection().close(1000);
    return {};
  }

  void closed() override { closes += connection().close_code() == 1000; }

  void speak() {
    while (to_send_ > 0 && connection().queue_message(ws::kind::text, text_)) to_send_--;
  }

  const std::string &text_;
  int to_send_, to_come_;
};

int main(int argc, char **argv) {
  const auto number = [&](int index, int otherwise) { return argc > index ? std::atoi(argv[index]) : otherwise; };
  const int connections = number(2, 10), messages = number(3, 100);
  const std::string text(static_cast<std::size_t>(number(4, 1000)), 'x');
  const std::string url = "ws://127.0.0.1:" + std::to_string(number(1, 9001)) + "/";
  try {
    boost::asio::io_context context(1);
    const tcp::endpoint server(boost::asio::ip::address_v4::loopback(), static_cast<unsigned short>(number(1, 9001)));
    for (int i = 0; i < connections; i++) {
      auto conn = ws::connection::client(url);
      if (!conn) return std::cerr << "asio_client: " << conn.error().message() << '\n', 1;
      tcp::socket socket(context);
      socket.connect(server);
      std::make_shared<speaker>(std::move(socket), *std::move(conn), text, messages)->pump();
    }
    context.run(); // until all connections are over
  } catch (const std::exception &error) {
    std::cerr << "asio_client: " << error.what() << '\n';
    return 1;
  }
  std::cout << echoes << " of " << connections * messages << " echoes, " << closes << " of " << connections
            << " closed well\n";
  return echoes == connections * messages && closes == connections ? 0 : 1;
}
