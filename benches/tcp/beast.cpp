// beast PORT: an echo server with Boost.Beast, asynchronous, on one thread.
//
// It has no way to send several messages together: a message is written, then the next is read.
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>

#include <cstdio>
#include <cstdlib>
#include <memory>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;
using error_code = boost::system::error_code;
// The executor's own type instead of a polymorphic one, and no extension in the frames' way.
using Socket = asio::basic_stream_socket<tcp, asio::io_context::executor_type>;
using Acceptor = asio::basic_socket_acceptor<tcp, asio::io_context::executor_type>;
using Stream = websocket::stream<Socket, false>;

class Session : public std::enable_shared_from_this<Session> {
public:
    explicit Session(Socket &&socket) : stream_(std::move(socket)) {}

    void start()
    {
        stream_.auto_fragment(false);
        stream_.read_message_max(64 << 20);
        stream_.async_accept([self = shared_from_this()](error_code error) {
            if (!error)
                self->read();
        });
    }

private:
    void read()
    {
        stream_.async_read(buffer_, [self = shared_from_this()](error_code error, std::size_t) {
            if (!error)
                self->write();
        });
    }

    void write()
    {
        stream_.text(stream_.got_text());
        stream_.async_write(buffer_.data(), [self = shared_from_this()](error_code error, std::size_t len) {
            if (error)
                return;
            self->buffer_.consume(len);
            self->read();
        });
    }

    Stream stream_;
    beast::flat_buffer buffer_;
};

static void accept(Acceptor &acceptor)
{
    acceptor.async_accept([&acceptor](error_code error, Socket socket) {
        if (!error) {
            socket.set_option(tcp::no_delay(true));
            std::make_shared<Session>(std::move(socket))->start();
        }
        accept(acceptor);
    });
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 2;
    }
    asio::io_context context(1);
    const auto port = static_cast<unsigned short>(std::atoi(argv[1]));
    Acceptor acceptor(context, {asio::ip::address_v4::loopback(), port});
    acceptor.listen(4096);
    accept(acceptor);
    std::puts("ready");
    std::fflush(stdout);
    context.run();
}
