// A WebSocket connection over a Boost.Asio socket, for asio_server.cpp and asio_client.cpp.
//
// It shows how any event loop drives a connection in memory mode: bytes are received directly into memory that the
// connection lends, and output is sent directly from memory that it lends. One read and one write are in progress at a
// time. If there is no room for an answer in the send queue, nothing more is read until some output has been sent: the
// peer has to stop sending, and memory is limited.
#pragma once

#include <boost/asio.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include <wsabi.hpp>

class session : public std::enable_shared_from_this<session> {
public:
  using tcp = boost::asio::ip::tcp;

  session(tcp::socket socket, ws::connection conn)
    : conn_(std::move(conn)), socket_(std::move(socket)), timer_(socket_.get_executor()) {}
  virtual ~session() = default;

  /// Does whatever can be done now, and the rest when the socket allows. Call it first, and after queueing
  /// messages from outside of opened() and received(). It keeps itself alive until the connection is over.
  void pump() {
    if (!socket_.is_open()) return;
    (void)conn_.tick(ws::now()); // if a deadline has passed, reading reports it
    if (!read_messages()) return finish();
    receive();
    send();
    wait();
  }

protected:
  /// The opening handshake is complete.
  virtual void opened() {}

  /// A message was received. errc::send_queue_full: there was no room for its answer, and it is passed again later.
  virtual ws::result<void> received(ws::message message) = 0;

  /// The connection is over; see connection().close_code().
  virtual void closed() {}

  ws::connection &connection() { return conn_; }

private:
  /// Passes on messages as long as there are any and there is room for their answers. False: the connection is over.
  bool read_messages() {
    for (;;) {
      if (unanswered_) {
        if (received(*unanswered_).error() == ws::errc::send_queue_full) return true;
        unanswered_.reset();
      }
      const auto message = conn_.read_message(); // also performs the opening handshake
      if (!is_open_ && conn_.state() == ws::state::open) {
        is_open_ = true;
        opened();
      }
      if (message && message->kind() != ws::kind::close) unanswered_ = *message;
      if (message.error() == ws::errc::would_block) return true;
      if (message.error() == ws::errc::connection_closed || message.error() == ws::errc::already_closed) return false;
      // Another error: a Close with the reason is being sent. Read on until connection_closed.
    }
  }

  void receive() {
    if (is_receiving_ || unanswered_) return;
    const auto room = conn_.input();
    if (!room) return; // the peer has ended the stream
    if (room->empty()) return (void)conn_.input_commit(0);
    is_receiving_ = true;
    socket_.async_read_some(boost::asio::buffer(room->data(), room->size()),
                            [self = shared_from_this()](boost::system::error_code error, std::size_t n) {
                              self->is_receiving_ = false;
                              (void)self->conn_.input_commit(n);
                              if (error) (void)self->conn_.feed_eof();
                              self->pump();
                            });
  }

  void send() {
    if (is_sending_) return;
    const auto bytes = conn_.output();
    if (!bytes || bytes->empty()) return;
    is_sending_ = true;
    socket_.async_write_some(boost::asio::buffer(bytes->data(), bytes->size()),
                             [self = shared_from_this()](boost::system::error_code error, std::size_t n) {
                               self->is_sending_ = false;
                               if (error) return self->finish(); // the peer is gone
                               (void)self->conn_.output_advance(n);
                               self->pump();
                             });
  }

  /// Checks the clock at the next deadline. A timer that is set for an earlier one is kept.
  void wait() {
    const auto deadline = conn_.next_deadline();
    if (!deadline || (waiting_for_ && *waiting_for_ <= *deadline)) return;
    waiting_for_ = deadline;
    timer_.expires_after(*deadline - ws::now());
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (error) return; // it has been set again, or the connection is over
      self->waiting_for_.reset();
      self->pump();
    });
  }

  void finish() {
    if (!socket_.is_open()) return;
    boost::system::error_code ignored;
    socket_.close(ignored);
    timer_.cancel();
    closed();
  }

  ws::connection conn_; // owns the buffers of reads and writes in progress
  tcp::socket socket_;
  boost::asio::steady_timer timer_;
  std::optional<ws::message> unanswered_; // valid until the next read
  std::optional<ws::milliseconds> waiting_for_;
  bool is_open_ = false, is_receiving_ = false, is_sending_ = false;
};
