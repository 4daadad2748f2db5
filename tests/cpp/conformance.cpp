// Runs tests/conformance/cases.txt, whose README.md explains the steps, through wsabi.hpp.
//
// conformance [CASES]
#include <wsabi.hpp>

#include <deque>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace {

using words = std::vector<std::string>;

const std::map<std::string, ws::kind> KINDS = {
  {"text", ws::kind::text}, {"binary", ws::kind::binary}, {"close", ws::kind::close}, {"ping", ws::kind::ping},
  {"pong", ws::kind::pong},
};

const std::map<std::string, ws::option> OPTIONS = {
  {"MAX_MESSAGE_SIZE", ws::option::max_message_size},
  {"MAX_SENT_SIZE", ws::option::max_sent_size},
  {"MAX_FRAME_SIZE", ws::option::max_frame_size},
  {"MAX_FRAGMENTS", ws::option::max_fragments},
  {"MAX_HEAD_SIZE", ws::option::max_head_size},
  {"MAX_SEND_QUEUE", ws::option::max_send_queue},
  {"MAX_SEND_BYTES", ws::option::max_send_bytes},
  {"ACCEPT_UNMASKED_FRAMES", ws::option::accept_unmasked_frames},
  {"AUTO_PONG", ws::option::auto_pong},
  {"AUTO_ACCEPT", ws::option::auto_accept},
  {"PLAIN_REQUESTS", ws::option::plain_requests},
  {"DELIVER_CONTROL", ws::option::deliver_control},
  {"DELIVER_FRAGMENTS", ws::option::deliver_fragments},
  {"DEFLATE", ws::option::deflate},
  {"DEFLATE_LEVEL", ws::option::deflate_level},
  {"DEFLATE_THRESHOLD", ws::option::deflate_threshold},
  {"DEFLATE_CLIENT_MAX_WINDOW_BITS", ws::option::deflate_client_max_window_bits},
  {"DEFLATE_SERVER_MAX_WINDOW_BITS", ws::option::deflate_server_max_window_bits},
  {"DEFLATE_CLIENT_NO_CONTEXT_TAKEOVER", ws::option::deflate_client_no_context_takeover},
  {"DEFLATE_SERVER_NO_CONTEXT_TAKEOVER", ws::option::deflate_server_no_context_takeover},
};

/// What a step comes to that is not so.
struct not_so {
  std::string why;
};

void expect(bool is_so, const std::string &why) {
  if (!is_so) throw not_so{why};
}

std::string from_hex(const std::string &digits) {
  std::string bytes;
  for (std::size_t at = 0; at + 1 < digits.size(); at += 2)
    bytes += static_cast<char>(std::stoi(digits.substr(at, 2), nullptr, 16));
  return bytes;
}

std::string payload(const std::string &word) {
  if (word == "-") return "";
  if (word.rfind("hex:", 0) == 0) return from_hex(word.substr(4));
  if (word.size() > 2 && word[1] == '*' && word.find_first_not_of("0123456789", 2) == std::string::npos)
    return std::string(std::stoul(word.substr(2)), word[0]);
  return word;
}

/// The name of a status without WS_ERR_.
std::string name_of(std::error_code error) {
  if (!error) return "OK";
  if (error.category() != ws::category()) return error.message();
  return std::string(ws::status_name(static_cast<ws::errc>(error.value())).substr(std::string("WS_ERR_").size()));
}

/// A message that outlives the next read.
struct kept {
  ws::kind kind;
  std::int32_t code;
  std::string payload;
};

/// One end of the connection, and what reading has come to.
struct end {
  ws::config config;
  ws::connection conn;
  std::deque<kept> messages;
  std::error_code failure;
  bool is_over = false, may_fail = false, was_told = false;

  void read() {
    if (is_over) return;
    if (conn.state() == ws::state::connecting) {
      const auto opened = conn.handshake();
      if (opened.error() == ws::errc::would_block) return;
      if (!opened) failure = opened.error();
    }
    if (conn.state() == ws::state::request) return;
    for (;;) {
      const auto message = conn.read_message();
      if (message) {
        messages.push_back({message->kind(), message->close_code(), std::string(message->text())});
      } else if (message.error() == ws::errc::would_block) {
        return;
      } else if (message.error() == ws::errc::connection_closed) {
        is_over = true;
        return;
      } else if (!failure) {
        failure = message.error();
      }
    }
  }

  void feed(ws::bytes_view bytes) {
    for (std::size_t at = 0; at < bytes.size() && !is_over;) {
      const auto taken = conn.feed({bytes.data() + at, bytes.size() - at});
      expect(bool(taken), name_of(taken.error()));
      at += *taken;
      read();
    }
  }

  void hang_up() {
    was_told = true;
    expect(bool(conn.feed_eof()), "the end cannot be told");
    read();
  }
};

/// Two connections, and who carries the bytes.
class world {
public:
  void run(const words &step) {
    const auto &steps = table();
    const auto found = steps.find(step.at(0));
    expect(found != steps.end(), "there is no such step");
    const bool prepares = step[0] == "option" || step[0] == "protocol" || step[0] == "header";
    if (!prepares && !client_.conn) {
      client_.conn = *ws::connection::client("ws://127.0.0.1/", client_.config);
      server_.conn = *ws::connection::server(server_.config);
    }
    found->second(*this, step);
  }

  void finish() {
    for (const end *each : {&client_, &server_})
      expect(!each->failure || each->may_fail, "at the end, reading has failed: " + name_of(each->failure));
  }

private:
  using step_function = std::function<void(world &, const words &)>;

  static const std::map<std::string, step_function> &table() {
    static const std::map<std::string, step_function> steps = {
      {"option", [](world &w, const words &s) {
         is(w.at(s).config.set(OPTIONS.at(s.at(2)), std::stoull(s.at(3))), "OK");
       }},
      {"protocol", [](world &w, const words &s) { is(w.at(s).config.add_protocol(s.at(2)), "OK"); }},
      {"header", [](world &w, const words &s) { is(w.at(s).config.add_header(s.at(2), s.at(3)), "OK"); }},
      {"open", [](world &w, const words &) { w.open(); }},
      {"refuse", [](world &w, const words &s) { w.refuse(std::stoi(s.at(1)), payload(s.at(2))); }},
      {"send", [](world &w, const words &s) {
         is(w.at(s).conn.write_message(KINDS.at(s.at(2)), payload(s.at(3))), status(s, 4));
       }},
      {"fragment", [](world &w, const words &s) {
         is(w.at(s).conn.write_fragment(KINDS.at(s.at(2)), payload(s.at(3)), s.at(4) == "last"), status(s, 5));
       }},
      {"close", [](world &w, const words &s) {
         is(w.at(s).conn.close(static_cast<std::uint16_t>(std::stoi(s.at(2))), payload(s.at(3))), status(s, 4));
       }},
      {"set", [](world &w, const words &s) {
         is(w.at(s).conn.set_option(OPTIONS.at(s.at(2)), std::stoull(s.at(3))), status(s, 4));
       }},
      {"feed", [](world &w, const words &s) { w.at(s).feed(from_hex(s.at(2))); }},
      {"hangup", [](world &w, const words &s) { w.at(s).hang_up(); }},
      {"cut", [](world &w, const words &s) { w.cut_ = std::stoul(s.at(1)); }},
      {"pass", [](world &w, const words &) { w.pass(); }},
      {"got", [](world &w, const words &s) { got(w.at(s), s); }},
      {"nothing", [](world &w, const words &s) { expect(w.at(s).messages.empty(), "it has read a message"); }},
      {"fails", [](world &w, const words &s) {
         w.at(s).may_fail = true;
         expect(name_of(w.at(s).failure) == s.at(2), "it is " + name_of(w.at(s).failure));
       }},
      {"over", [](world &w, const words &s) {
         expect(w.at(s).is_over, "it is not over");
         const auto code = w.at(s).conn.close_code();
         expect(code == std::stoi(s.at(2)), "the code is " + std::to_string(code));
       }},
      {"agreed", [](world &w, const words &s) {
         expect(w.at(s).conn.protocol().value_or("-") == s.at(2), "it is another");
       }},
      {"heard", [](world &w, const words &s) { expect(w.at(s).conn.header(s.at(2)) == s.at(3), "it is another"); }},
      {"deflated", [](world &w, const words &s) {
         expect(*w.at(s).conn.get_option(ws::option::deflate) == std::stoull(s.at(2)), "it is not");
       }},
    };
    return steps;
  }

  end &at(const words &step) {
    expect(step.at(1) == "client" || step.at(1) == "server", "there is no such end");
    return step[1] == "client" ? client_ : server_;
  }

  static std::string status(const words &step, std::size_t index) { return index < step.size() ? step[index] : "OK"; }

  static void is(const ws::result<void> &done, const std::string &wanted) {
    expect(name_of(done.error()) == wanted, "it is " + name_of(done.error()));
  }

  void open() {
    pass();
    for (const end *each : {&client_, &server_})
      expect(each->conn.state() == ws::state::open, "it is not open: " + name_of(each->failure));
  }

  void refuse(std::int32_t http_status, const std::string &body) {
    pass();
    is(server_.conn.reject(http_status, body), "OK");
    pass();
    client_.may_fail = true;
    expect(client_.failure == ws::errc::handshake, "the client has " + name_of(client_.failure));
    expect(client_.conn.http_status() == http_status, "the status is another");
    expect(client_.conn.http_body().text() == body, "the body is another");
  }

  void pass() {
    client_.read();
    server_.read();
    for (bool moving = true; moving;) {
      moving = move(client_, server_);
      moving = move(server_, client_) || moving;
      for (auto [over, peer] : {std::pair(&client_, &server_), std::pair(&server_, &client_)})
        if (over->is_over && !peer->was_told && over->conn.output()->empty()) {
          peer->hang_up();
          moving = true;
        }
    }
  }

  /// Hands over what there is, and whether there was anything.
  bool move(end &from, end &to) {
    bool has_moved = false;
    for (;;) {
      const ws::bytes_view lent = *from.conn.output();
      const std::size_t n = cut_ == 0 ? lent.size() : std::min(cut_, lent.size());
      if (n == 0) return has_moved;
      to.feed({lent.data(), n});
      expect(bool(from.conn.output_advance(n)), "it cannot be advanced");
      from.read(); // a Close that has left may have been the last thing to wait for
      has_moved = true;
    }
  }

  static void got(end &end, const words &step) {
    expect(!end.messages.empty(), "nothing has come");
    const kept message = end.messages.front();
    end.messages.pop_front();
    expect(message.kind == KINDS.at(step.at(2)), "another kind has come");
    const bool is_close = message.kind == ws::kind::close;
    if (is_close) expect(message.code == std::stoi(step.at(3)), "its code is " + std::to_string(message.code));
    const std::string &wanted = step.at(is_close ? 4 : 3);
    expect(wanted == "?" || message.payload == payload(wanted), "its payload is " + message.payload.substr(0, 60));
  }

  end client_, server_;
  std::size_t cut_ = 0;
};

}  // namespace

int main(int argc, char **argv) {
  std::ifstream script(argc > 1 ? argv[1] : "tests/conformance/cases.txt");
  std::vector<std::pair<std::string, std::vector<std::string>>> cases;
  for (std::string line; std::getline(script, line);) {
    if (line.rfind("case ", 0) == 0) cases.push_back({line.substr(5), {}});
    else if (!line.empty() && line[0] != '#' && !cases.empty()) cases.back().second.push_back(line);
  }

  int passed = 0, failed = 0;
  for (const auto &[name, steps] : cases) {
    world world;
    std::string step;
    try {
      for (const auto &line : steps) {
        step = line;
        std::istringstream stream(line);
        world.run({std::istream_iterator<std::string>(stream), {}});
      }
      step = "the end";
      world.finish();
      passed++;
    } catch (const not_so &failure) {
      failed++;
      std::cout << "FAIL " << name << ": " << step << ": " << failure.why << '\n';
    } catch (const std::exception &error) {
      failed++;
      std::cout << "FAIL " << name << ": " << step << ": the step makes no sense: " << error.what() << '\n';
    }
  }
  std::cout << passed << " passed, " << failed << " failed, 0 skipped\n";
  return failed > 0 || passed == 0;
}
