// An echo server with Boost.Asio, for many clients.
//
//   c++ -std=c++17 -Iinclude examples-cpp/asio_server.cpp -Lbuild/lib -lwsabi -lpthread -o asio_server
//   asio_server [PORT]            default 9001; 0 selects a free port
//
// asio_session.hpp connects Boost.Asio and the library. SIGTERM or SIGINT end the server with status 0.
#include "asio_session.hpp"

#include <cstdlib>
#include <iostream>

using boost::asio::ip::tcp;

class echo : public session {
  using session::session;

  ws::result<void> received(ws::message message) override { return connection().queue_message(message); }
};

class server {
public:
  server(boost::asio::io_context &context, unsigned short port)
    : acceptor_(context, {boost::asio::ip::address_v4::loopback(), port}), pause_(context) {
    std::cout << "listening on ws://127.0.0.1:" << acceptor_.local_endpoint().port() << '/' << std::endl;
    accept();
  }

private:
  void accept() {
    acceptor_.async_accept([this](boost::system::error_code error, tcp::socket socket) {
      if (error == boost::asio::error::operation_aborted) return;
      if (error) { // for example, out of file descriptors: try again later
        pause_.expires_after(std::chrono::milliseconds(100));
        return pause_.async_wait([this](boost::system::error_code) { accept(); });
      }
      boost::system::error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      if (auto conn = ws::connection::server()) std::make_shared<echo>(std::move(socket), *std::move(conn))->pump();
      accept();
    });
  }

  tcp::acceptor acceptor_;
  boost::asio::steady_timer pause_;
};

int main(int argc, char **argv) {
  try {
    boost::asio::io_context context(1);
    const server server(context, static_cast<unsigned short>(argc > 1 ? std::atoi(argv[1]) : 9001));
    boost::asio::signal_set signals(context, SIGTERM, SIGINT);
    signals.async_wait([&](boost::system::error_code, int) { context.stop(); });
    context.run();
  } catch (const std::exception &error) {
    std::cerr << "asio_server: " << error.what() << '\n';
    return 1;
  }
}
