// A client that sends and does not read, until the server takes no more; then it reads, and every echo has to be there. A
// server without back-pressure would take it all and hold it.
//
// deaf_client URL
#include <wsabi.hpp>

#include <iostream>
#include <string>
#include <thread>

static int fail(const std::string &why) {
  std::cout << why << '\n';
  return 1;
}

int main(int argc, char **argv) {
  constexpr int MOST = 4000; // messages of 64 KiB: 250 MiB, far beyond all queues and sockets
  const std::string payload(64 << 10, 'x');
  auto conn = ws::connect(argc > 1 ? argv[1] : "");
  if (!conn) return fail(conn.error().message());
  if (auto opened = conn->handshake(); !opened) return fail(opened.sentence());
  if (auto set = conn->set_option(ws::option::blocking, 0); !set) return fail(set.sentence());

  int sent = 0;
  const auto patience = ws::milliseconds(1000);
  for (auto last = ws::now(); ws::now() - last < patience;) {
    const auto written = conn->write_binary(payload);
    if (!written && written.error() != ws::errc::send_queue_full) return fail(written.sentence());
    if (written) {
      last = ws::now();
      if (++sent > MOST) return fail("the server takes everything");
    } else {
      (void)conn->write_pending();
      std::this_thread::sleep_for(ws::milliseconds(5));
    }
  }

  for (int echoes = 0; echoes < sent;) {
    const auto message = conn->read_message();
    if (message && message->text() != payload) return fail("another echo has come");
    if (message) echoes++;
    else if (message.error() != ws::errc::would_block) return fail(message.error().message());
    else if (!conn->wait(std::chrono::seconds(10))) return fail("only " + std::to_string(echoes) + " echoes have come");
  }
  std::cout << "all " << sent << " echoes have come\n";
  return 0;
}
