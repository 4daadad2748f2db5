// wsabi.hpp: the C ABI of wsabi (wsabi.h) as C++17 expects it, in one header.
//
// It knows handles, views, errors and callables; it knows no rule of the protocol and holds no bytes: every function is
// a few lines over one of wsabi.h, whose name it has without the ws_, and where all that is not said here is said.
//
// Handles (config, connection, listener, prepared, poller) own what they name, can be moved but not copied, and free it
// when they go. One that was moved from is empty: every call on it is harmless, and gives errc::invalid_argument where
// it can fail.
//
// Views (bytes_view, message, messages, std::string_view) own nothing; each function says how long what it gives stays.
// Arguments are used before a call returns, and a std::string_view is never expected to end with a NUL.
//
// Errors are values: a result holds what was asked for, or a std::error_code and, where there is more to say, a
// sentence. Nothing throws, and all of this compiles with -fno-exceptions -fno-rtti. With WS_EXCEPTIONS
// defined, result::value() throws a ws::error. Files with and without it can be linked together, and so can those of
// C++17 and later.
//
// Threads: as wsabi.h says. Any thread may call any function on a connection, one at a time reads; moving, assigning
// and destroying a handle is for a moment when nobody else uses it.
#ifndef WSABI_HPP
#define WSABI_HPP

#include "wsabi.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <iterator>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

namespace ws {

// ---------------------------------------------------------------------------------------------------------------------
// WORDS. The numbers of wsabi.h by their names there, and with their meanings.

/// What went wrong (ws_status). A std::error_code by itself: `if (sent.error() == ws::errc::send_queue_full)`. Most
/// compare equal to a std::errc, too: would_block to std::errc::operation_would_block, timeout to std::errc::timed_out.
enum class errc : std::int32_t {
  would_block = WS_ERR_WOULD_BLOCK,              ///< Nothing can be done now. Wait for interest(), then call again.
  io = WS_ERR_IO,                                ///< The transport failed: connection::io_error() tells why.
  capacity = WS_ERR_CAPACITY,                    ///< A message, frame, fragment count or HTTP head over its limit.
  send_queue_full = WS_ERR_SEND_QUEUE_FULL,      ///< Not accepted: write_pending(), then send it again.
  connection_closed = WS_ERR_CONNECTION_CLOSED,  ///< The connection is over. From a write: it is closing.
  already_closed = WS_ERR_ALREADY_CLOSED,        ///< Used again after that was reported: a bug of the caller.
  protocol = WS_ERR_PROTOCOL,                    ///< The peer broke RFC 6455.
  utf8 = WS_ERR_UTF8,                            ///< A text is not UTF-8: the peer's, or the one to be sent.
  handshake = WS_ERR_HANDSHAKE,                  ///< The opening handshake was refused or malformed: http_status().
  url = WS_ERR_URL,                              ///< The URL cannot be used.
  tls = WS_ERR_TLS,                              ///< The TLS session failed.
  timeout = WS_ERR_TIMEOUT,                      ///< A deadline passed: handshake, close, pong or idle.
  proxy = WS_ERR_PROXY,                          ///< The proxy refused, or is none.
  invalid_argument = WS_ERR_INVALID_ARGUMENT,    ///< An argument is wrong, or the handle empty: nothing happened.
  misuse = WS_ERR_MISUSE,                        ///< The call does not fit the state of the handle: nothing happened.
  no_memory = WS_ERR_NO_MEMORY,                  ///< A buffer could not be allocated.
  internal = WS_ERR_INTERNAL,                    ///< A bug in the library: the handle can only be freed.
  unsupported = WS_ERR_UNSUPPORTED,              ///< The library was built without this feature.
  abi_mismatch = -1000,                          ///< This header belongs to another library: check_abi().
};

}  // namespace ws

template <> struct std::is_error_code_enum<ws::errc> : std::true_type {};

namespace ws {

/// What a message is (ws_kind): the opcodes of RFC 6455 section 5.2.
enum class kind : std::int32_t {
  text = WS_TEXT,
  binary = WS_BINARY,
  close = WS_CLOSE,
  ping = WS_PING,
  pong = WS_PONG,
};

/// Which end of a connection this is (ws_role).
enum class role : std::int32_t { client = WS_CLIENT, server = WS_SERVER };

/// How far a connection has come (ws_state).
enum class state : std::int32_t {
  connecting = WS_STATE_CONNECTING,  ///< The opening handshake is going on.
  request = WS_STATE_REQUEST,        ///< A server has a request to accept() or reject().
  open = WS_STATE_OPEN,              ///< Messages flow.
  closing = WS_STATE_CLOSING,        ///< Read on, until errc::connection_closed.
  closed = WS_STATE_CLOSED,          ///< Over.
};

/// Options of a configuration or a connection (ws_option, where each one's values and default are). Sizes are in bytes,
/// times in milliseconds, switches 0 or 1; 0 is "no limit" or "never" for sizes and times.
enum class option : std::int32_t {
  max_message_size = WS_OPT_MAX_MESSAGE_SIZE,
  max_frame_size = WS_OPT_MAX_FRAME_SIZE,
  max_fragments = WS_OPT_MAX_FRAGMENTS,
  max_head_size = WS_OPT_MAX_HEAD_SIZE,
  max_send_queue = WS_OPT_MAX_SEND_QUEUE,
  max_send_bytes = WS_OPT_MAX_SEND_BYTES,
  accept_unmasked_frames = WS_OPT_ACCEPT_UNMASKED_FRAMES,
  max_sent_size = WS_OPT_MAX_SENT_SIZE,
  blocking = WS_OPT_BLOCKING,
  read_timeout_ms = WS_OPT_READ_TIMEOUT_MS,
  handshake_timeout_ms = WS_OPT_HANDSHAKE_TIMEOUT_MS,
  close_timeout_ms = WS_OPT_CLOSE_TIMEOUT_MS,
  ping_interval_ms = WS_OPT_PING_INTERVAL_MS,
  idle_timeout_ms = WS_OPT_IDLE_TIMEOUT_MS,
  pong_timeout_ms = WS_OPT_PONG_TIMEOUT_MS,
  write_timeout_ms = WS_OPT_WRITE_TIMEOUT_MS,
  connect_timeout_ms = WS_OPT_CONNECT_TIMEOUT_MS,
  auto_pong = WS_OPT_AUTO_PONG,
  deliver_control = WS_OPT_DELIVER_CONTROL,
  deliver_fragments = WS_OPT_DELIVER_FRAGMENTS,
  auto_accept = WS_OPT_AUTO_ACCEPT,
  tcp_nodelay = WS_OPT_TCP_NODELAY,
  proxy_from_environment = WS_OPT_PROXY_FROM_ENVIRONMENT,
  reuse_port = WS_OPT_REUSE_PORT,
  keep_head = WS_OPT_KEEP_HEAD,
  plain_requests = WS_OPT_PLAIN_REQUESTS,
  deflate = WS_OPT_DEFLATE,
  deflate_level = WS_OPT_DEFLATE_LEVEL,
  deflate_threshold = WS_OPT_DEFLATE_THRESHOLD,
  deflate_client_max_window_bits = WS_OPT_DEFLATE_CLIENT_MAX_WINDOW_BITS,
  deflate_server_max_window_bits = WS_OPT_DEFLATE_SERVER_MAX_WINDOW_BITS,
  deflate_client_no_context_takeover = WS_OPT_DEFLATE_CLIENT_NO_CONTEXT_TAKEOVER,
  deflate_server_no_context_takeover = WS_OPT_DEFLATE_SERVER_NO_CONTEXT_TAKEOVER,
  tls_verify = WS_OPT_TLS_VERIFY,
};

/// What a connection waits for (ws_flag).
struct wants {
  bool read;   ///< Bytes of the peer, or the end.
  bool write;  ///< Room to send.
};

using milliseconds = std::chrono::milliseconds;

/// The ABI version of the library that was loaded. check_abi() compares it.
[[nodiscard]] inline std::uint32_t abi_version() noexcept { return ws_abi_version(); }

/// The version of the library that was loaded: major * 1000000 + minor * 1000 + patch.
[[nodiscard]] inline std::uint32_t version_number() noexcept { return ws_version_number(); }

/// The version of the library that was loaded, for instance "0.1.0". Static.
[[nodiscard]] inline std::string_view version_string() noexcept { return ws_version_string(); }

/// The library's own clock: time that never goes backwards, from a start of its own.
[[nodiscard]] inline milliseconds now() noexcept { return milliseconds(ws_now()); }

/// The name of an error in wsabi.h, for instance "WS_ERR_IO". Static.
[[nodiscard]] inline std::string_view status_name(errc error) noexcept {
  return error == errc::abi_mismatch ? "abi_mismatch" : ws_status_name(static_cast<ws_status_t>(error));
}

/// Whether a connection that gave this error can carry no more messages.
[[nodiscard]] inline bool is_fatal(errc error) noexcept {
  return ws_status_is_fatal(static_cast<ws_status_t>(error)) != 0;
}

// ---------------------------------------------------------------------------------------------------------------------
// ERRORS.

/// The category of errc: named "wsabi", its messages are the library's.
[[nodiscard]] inline const std::error_category &category() noexcept;

/// What std::error_code makes of an errc.
[[nodiscard]] inline std::error_code make_error_code(errc error) noexcept {
  return {static_cast<int>(error), category()};
}

/// What went wrong last on this thread where no connection keeps it (ws_last_error_message): results have it already.
/// Stays until the next such failure on this thread.
[[nodiscard]] inline const char *last_error_message() noexcept { return ws_last_error_message(); }

/// Why something failed. Copies nothing but, where there is more to say, a sentence.
class failure {
public:
  failure() noexcept = default;
  failure(errc error) noexcept : code_(make_error_code(error)) {}
  failure(std::error_code code) noexcept : code_(code) {}
  /// With a copy of what else there is to say; without, where there is no memory for it.
  failure(errc error, const char *sentence) noexcept : failure(error) {
    const std::size_t size = std::strlen(sentence) + 1;
    if (size > 1) sentence_.reset(new (std::nothrow) char[size]);
    if (sentence_) std::memcpy(sentence_.get(), sentence, size);
  }

  /// The error; false where there is none.
  [[nodiscard]] std::error_code code() const noexcept { return code_; }

  /// What is wrong, and of a connection where in the stream. "" where there is nothing to be said beyond the message of
  /// code(). Stays as long as this failure.
  [[nodiscard]] const char *sentence() const noexcept { return sentence_ ? sentence_.get() : ""; }

private:
  friend class connection;
  std::error_code code_;
  std::unique_ptr<char[]> sentence_;
};

/// What a call came to: a T, or why there is none. Like std::expected.
template <class T> class [[nodiscard]] result {
public:
  result(T value) noexcept : value_(std::move(value)) {}
  result(failure why) noexcept : failure_(std::move(why)) {}
  result(errc error) noexcept : failure_(error) {}
  result(std::error_code code) noexcept : failure_(code) {}

  [[nodiscard]] explicit operator bool() const noexcept { return value_.has_value(); }
  [[nodiscard]] bool has_value() const noexcept { return value_.has_value(); }

  /// The value. Where there is none, std::terminate().
  [[nodiscard]] T &operator*() & noexcept { return checked(); }
  [[nodiscard]] const T &operator*() const & noexcept { return const_cast<result &>(*this).checked(); }
  [[nodiscard]] T operator*() && noexcept { return std::move(checked()); }
  [[nodiscard]] T *operator->() noexcept { return &checked(); }
  [[nodiscard]] const T *operator->() const noexcept { return &const_cast<result &>(*this).checked(); }

  /// The value, or another one where there is none.
  [[nodiscard]] T value_or(T other) && noexcept { return value_ ? std::move(*value_) : std::move(other); }

  /// The error; false where there is none.
  [[nodiscard]] std::error_code error() const noexcept { return failure_.code(); }

  /// What is wrong: see failure::sentence().
  [[nodiscard]] const char *sentence() const noexcept { return failure_.sentence(); }

  /// The failure, for another result: `if (!conn) return conn.take_failure();`
  [[nodiscard]] failure take_failure() noexcept { return std::move(failure_); }

  /// The value. Where there is none, throws a ws::error; for files that define WS_EXCEPTIONS before this header.
  template <class Self = result> T &value() & {
    if (!value_) throw_as_WS_EXCEPTIONS_allows(static_cast<Self &>(*this));
    return *value_;
  }
  template <class Self = result> T value() && {
    if (!value_) throw_as_WS_EXCEPTIONS_allows(static_cast<Self &>(*this));
    return std::move(*value_);
  }

private:
  T &checked() noexcept {
    if (!value_) std::terminate();
    return *value_;
  }

  std::optional<T> value_;
  failure failure_;
};

/// What a call came to that has nothing to give.
template <> class [[nodiscard]] result<void> {
public:
  result() noexcept = default;
  result(failure why) noexcept : failure_(std::move(why)) {}
  result(errc error) noexcept : failure_(error) {}
  result(std::error_code code) noexcept : failure_(code) {}

  [[nodiscard]] explicit operator bool() const noexcept { return !failure_.code(); }
  [[nodiscard]] bool has_value() const noexcept { return !failure_.code(); }

  /// The error; false where there is none.
  [[nodiscard]] std::error_code error() const noexcept { return failure_.code(); }

  /// What is wrong: see failure::sentence().
  [[nodiscard]] const char *sentence() const noexcept { return failure_.sentence(); }

  /// The failure, for another result.
  [[nodiscard]] failure take_failure() noexcept { return std::move(failure_); }

  /// Where it failed, throws a ws::error; for files that define WS_EXCEPTIONS before this header.
  template <class Self = result> void value() const {
    if (failure_.code()) throw_as_WS_EXCEPTIONS_allows(static_cast<const Self &>(*this));
  }

private:
  failure failure_;
};

#ifdef WS_EXCEPTIONS
/// What result::value() throws: code() is the error, what() the sentence and the message.
class error : public std::system_error {
public:
  error(std::error_code code, const char *sentence) : std::system_error(code, sentence) {}
};

/// value() finds this when it is called; without WS_EXCEPTIONS its name is what the compiler complains of.
template <class T> [[noreturn]] void throw_as_WS_EXCEPTIONS_allows(const result<T> &failed) {
  throw error(failed.error(), failed.sentence());
}
#endif

/// Whether this header belongs to the library that was loaded. Everything that makes a handle asks this first.
///
/// errc::abi_mismatch, whose message has both numbers.
inline result<void> check_abi() noexcept {
  if (ws_abi_version() != WS_ABI_VERSION) return errc::abi_mismatch;
  return {};
}

// ---------------------------------------------------------------------------------------------------------------------
// VIEWS.

/// A stretch of values that belong to somebody else: what std::span is from C++20 on, which takes it, and which it
/// takes.
template <class T> class view {
public:
  constexpr view() noexcept = default;
  constexpr view(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
  template <std::size_t N> constexpr view(T (&array)[N]) noexcept : data_(array), size_(N) {}
  template <class C, class = std::enable_if_t<std::is_convertible_v<decltype(std::declval<C &>().data()), T *>>>
  constexpr view(C &&container) noexcept : data_(container.data()), size_(container.size()) {}

  [[nodiscard]] constexpr T *data() const noexcept { return data_; }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
  [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] constexpr T *begin() const noexcept { return data_; }
  [[nodiscard]] constexpr T *end() const noexcept { return data_ + size_; }
  [[nodiscard]] constexpr T &operator[](std::size_t index) const noexcept { return data_[index]; }

private:
  T *data_ = nullptr;
  std::size_t size_ = 0;
};

/// Bytes to read. Made of anything with data() and size() whose elements are bytes (std::uint8_t, char, std::byte), of
/// text, and of a pointer and a length.
class bytes_view : public view<const std::uint8_t> {
  template <class T>
  static constexpr bool is_byte =
      sizeof(T) == 1 && (std::is_integral_v<T> || std::is_same_v<std::remove_cv_t<T>, std::byte>);

public:
  constexpr bytes_view() noexcept = default;
  bytes_view(const void *data, std::size_t size) noexcept : view(static_cast<const std::uint8_t *>(data), size) {}
  /// Text up to its NUL.
  bytes_view(const char *text) noexcept : bytes_view(text, text ? std::strlen(text) : 0) {}
  /// A buffer of characters is not taken for text: say how much of it is meant.
  template <std::size_t N> bytes_view(char (&buffer)[N]) = delete;
  template <class C, class T = std::remove_pointer_t<decltype(std::declval<const C &>().data())>,
            class = std::enable_if_t<is_byte<T>>>
  bytes_view(const C &container) noexcept : bytes_view(container.data(), container.size()) {}

  /// The same bytes as characters. Stays as long as they do.
  [[nodiscard]] std::string_view text() const noexcept { return {reinterpret_cast<const char *>(data()), size()}; }
};

/// A received message: a view of one that its connection owns. It stays until the next read on that connection, or the
/// connection's end; so does what it gives.
class message {
public:
  explicit message(const ws_message *raw) noexcept : raw_(raw) {}

  [[nodiscard]] ws::kind kind() const noexcept { return static_cast<ws::kind>(raw_->kind); }

  /// The payload; of a Close, the reason.
  [[nodiscard]] bytes_view bytes() const noexcept { return {raw_->data, raw_->len}; }

  /// The payload as characters: UTF-8 where kind() is text, or close. Without a NUL at its end.
  [[nodiscard]] std::string_view text() const noexcept { return bytes().text(); }

  /// Of a Close, its code (RFC 6455 section 7.4), 1005 where the peer gave none. Otherwise 0.
  [[nodiscard]] std::int32_t close_code() const noexcept { return raw_->close_code; }

  /// False for a part of a message that goes on; only with option::deliver_fragments.
  [[nodiscard]] bool is_final() const noexcept { return raw_->is_final != 0; }

  [[nodiscard]] const ws_message *get() const noexcept { return raw_; }

private:
  const ws_message *raw_;
};

/// Messages that were read together: for (ws::message message : messages). All of them stay until the next read on
/// their connection, or the connection's end.
class messages {
public:
  class iterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = message;
    using difference_type = std::ptrdiff_t;
    using pointer = const message *;
    using reference = message;

    explicit iterator(const ws_message *const *at) noexcept : at_(at) {}
    [[nodiscard]] message operator*() const noexcept { return message(*at_); }
    iterator &operator++() noexcept {
      ++at_;
      return *this;
    }
    iterator operator++(int) noexcept { return iterator(at_++); }
    [[nodiscard]] friend bool operator==(iterator a, iterator b) noexcept { return a.at_ == b.at_; }
    [[nodiscard]] friend bool operator!=(iterator a, iterator b) noexcept { return a.at_ != b.at_; }

  private:
    const ws_message *const *at_;
  };

  messages() noexcept = default;
  messages(const ws_message *const *first, std::size_t count) noexcept : first_(first), count_(count) {}

  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] message operator[](std::size_t index) const noexcept { return message(first_[index]); }
  [[nodiscard]] iterator begin() const noexcept { return iterator(first_); }
  [[nodiscard]] iterator end() const noexcept { return iterator(first_ + count_); }
  [[nodiscard]] const ws_message *const *get() const noexcept { return first_; }

private:
  const ws_message *const *first_ = nullptr;
  std::size_t count_ = 0;
};

/// Name and value of a header of HTTP. Both stay as long as the connection that gave them.
struct header {
  std::string_view name;
  std::string_view value;
};

// ---------------------------------------------------------------------------------------------------------------------
// What the handles are made of.

namespace detail {

/// Owns a handle of C, which Free frees.
template <auto Free> struct deleter {
  template <class T> void operator()(T *handle) const noexcept { Free(handle); }
};
template <class T, auto Free> using owner = std::unique_ptr<T, deleter<Free>>;

/// Why a call failed that has no connection to remember it: the thread does.
inline failure last_failure(ws_status_t status) noexcept {
  return failure(static_cast<errc>(status), ws_last_error_message());
}

/// The same as a result.
inline result<void> done(ws_status_t status) noexcept {
  if (status != WS_OK) return last_failure(status);
  return {};
}

/// The same for a call that the system may refuse: errno says why.
inline failure system_failure(ws_status_t status) noexcept {
  if (status == WS_ERR_IO && errno != 0) return std::error_code(errno, std::system_category());
  return last_failure(status);
}

/// A milliseconds parameter of C: what is out of its range stands for the nearest in it.
inline std::int32_t timeout(milliseconds time) noexcept {
  constexpr milliseconds::rep most = std::numeric_limits<std::int32_t>::max();
  return static_cast<std::int32_t>(std::min(std::max<milliseconds::rep>(time.count(), -1), most));
}

/// A text of C's address functions: NULL stands for none.
inline std::optional<std::string_view> optional_text(const char *text) noexcept {
  if (!text) return std::nullopt;
  return std::string_view(text);
}

/// A string_view with a NUL behind it, in a call to C. A NUL within would cut it short there, and is refused.
class c_string {
public:
  explicit c_string(std::string_view text) noexcept {
    char *room = small_;
    if (text.size() >= sizeof small_) {
      large_.reset(new (std::nothrow) char[text.size() + 1]);
      room = large_.get();
    }
    if (!room) {
      why_ = errc::no_memory;
    } else if (text.find('\0') != std::string_view::npos) {
      why_ = errc::invalid_argument;
    } else {
      if (!text.empty()) std::memcpy(room, text.data(), text.size());
      room[text.size()] = '\0';
      text_ = room;
    }
  }
  c_string(const c_string &) = delete;
  c_string &operator=(const c_string &) = delete;

  [[nodiscard]] explicit operator bool() const noexcept { return text_ != nullptr; }
  [[nodiscard]] const char *get() const noexcept { return text_; }
  [[nodiscard]] errc why() const noexcept { return why_; }

private:
  char small_[128];
  std::unique_ptr<char[]> large_;
  const char *text_ = nullptr;
  errc why_ = errc::invalid_argument;
};

}  // namespace detail

// ---------------------------------------------------------------------------------------------------------------------
// CONFIGURATION.

/// What a connection or listener begins with. It is copied when it is used: change or drop it at any time afterwards.
/// One thread at a time may use it.
class config {
public:
  /// One with the defaults. Where check_abi() fails it is empty, and every call says so.
  config() noexcept : config_(ws_abi_version() == WS_ABI_VERSION ? ws_config_new() : nullptr) {}

  /// Sets an option. errc::invalid_argument: a value that it cannot have.
  result<void> set(option name, std::uint64_t value) noexcept {
    return done(ws_config_set(get(), static_cast<std::int32_t>(name), value));
  }

  /// The same for options in milliseconds. errc::invalid_argument also for a negative time.
  result<void> set(option name, milliseconds time) noexcept {
    if (time < time.zero()) return errc::invalid_argument;
    return set(name, static_cast<std::uint64_t>(time.count()));
  }

  /// The value of an option.
  result<std::uint64_t> get(option name) const noexcept {
    std::uint64_t value = 0;
    auto read = done(ws_config_get(get(), static_cast<std::int32_t>(name), &value));
    if (!read) return read.take_failure();
    return value;
  }

  /// Adds a header to the request of a client, or to the response of a server. errc::invalid_argument: not a header by
  /// HTTP's grammar (CR, LF, NUL), or one of the handshake's own.
  result<void> add_header(std::string_view name, std::string_view value) noexcept {
    const detail::c_string c_name(name), c_value(value);
    if (!c_name) return c_name.why();
    if (!c_value) return c_value.why();
    return done(ws_config_add_header(get(), c_name.get(), c_value.get()));
  }

  /// Adds a subprotocol (RFC 6455 section 1.9), the favourite first. errc::invalid_argument: not a token, or there
  /// already.
  result<void> add_protocol(std::string_view name) noexcept {
    const detail::c_string c_name(name);
    if (!c_name) return c_name.why();
    return done(ws_config_add_protocol(get(), c_name.get()));
  }

  /// Sets the proxy that connect() goes through: "http://user:password@host:port", or the same with socks5 or socks5h;
  /// nullopt for none. errc::invalid_argument: not such a URL.
  result<void> set_proxy(std::optional<std::string_view> url) noexcept {
    if (!url) return done(ws_config_set_proxy(get(), nullptr));
    const detail::c_string c_url(*url);
    if (!c_url) return c_url.why();
    return done(ws_config_set_proxy(get(), c_url.get()));
  }

  /// Sets the certificates to trust for wss://, in PEM, instead of the system's. errc::invalid_argument: none in it, or
  /// a malformed one; errc::unsupported: a build without TLS.
  result<void> set_tls_roots(bytes_view pem) noexcept {
    return done(ws_config_set_tls_roots(get(), pem.data(), pem.size()));
  }

  /// Sets the certificate that this end shows, in PEM: the chain, its own first, and the private key to that.
  /// errc::invalid_argument: one is missing, malformed, or does not fit the other; errc::unsupported: a build without
  /// TLS.
  result<void> set_tls_identity(bytes_view chain_pem, bytes_view key_pem) noexcept {
    return done(ws_config_set_tls_identity(get(), chain_pem.data(), chain_pem.size(), key_pem.data(), key_pem.size()));
  }

  /// What went wrong last in a call on this, in a sentence: what is wrong with a header, a proxy, a certificate or a
  /// value. "" where nothing did. Stays until the next such call that fails.
  [[nodiscard]] const char *error_message() const noexcept { return ws_config_error_message(get()); }

  [[nodiscard]] explicit operator bool() const noexcept { return config_ != nullptr; }
  [[nodiscard]] ws_config *get() const noexcept { return config_.get(); }

private:
  /// An empty configuration of a library that is another one has a better reason than being empty.
  static result<void> done(ws_status_t status) noexcept {
    if (auto abi = check_abi(); !abi) return abi;
    return detail::done(status);
  }

  detail::owner<ws_config, ws_config_free> config_;
};

/// The URL of the proxy that the environment names for a URL, by the rules of option::proxy_from_environment, as
/// config::set_proxy() takes it; "" for none. For a program that connects by itself. A copy.
///
/// errc::url; errc::proxy: the variable has none in it that can be used; errc::invalid_argument: a NUL in the URL;
/// errc::no_memory, errc::abi_mismatch.
[[nodiscard]] inline result<std::string> proxy_for(std::string_view url) {
  if (auto abi = check_abi(); !abi) return abi.take_failure();
  const detail::c_string c_url(url);
  if (!c_url) return c_url.why();
  std::string proxy;
  std::size_t len = 0;
  do {
    proxy.resize(len);
    // A string has room for its NUL.
    const ws_status_t status = ws_proxy_for(c_url.get(), proxy.data(), proxy.size() + 1, &len);
    if (status != WS_OK) return detail::last_failure(status);
  } while (len > proxy.size());
  proxy.resize(len);
  return proxy;
}

// ---------------------------------------------------------------------------------------------------------------------
// CONNECTIONS.

/// What a callable that moves bytes did: `count` bytes, or `error`, which is errno (EAGAIN: nothing now) or
/// WSAGetLastError(). Received 0 bytes without an error: the end of the stream.
struct transfer {
  std::size_t count;
  std::int32_t error = 0;
};

namespace detail {

/// Callables of the caller's behind the functions that C calls.
struct callables {
  bool are_running = false;  ///< one of them is being called, which happens under the connection's lock
  void (*const free)(callables *);

  explicit callables(void (*how)(callables *)) noexcept : free(how) {}
};

/// Where one of them drops its own connection while it is called, C does nothing, and they stay with it.
struct callables_deleter {
  void operator()(callables *callables) const noexcept {
    if (!callables->are_running) callables->free(callables);
  }
};

template <class Receive, class Send> struct pair_of_callables : callables {
  Receive receive_;
  Send send_;

  pair_of_callables(Receive receive, Send send) noexcept
    : callables([](callables *self) { delete static_cast<pair_of_callables *>(self); }),
      receive_(std::move(receive)), send_(std::move(send)) {}

  static std::int32_t receive(void *self, std::uint8_t *buf, std::size_t len, std::size_t *out_n) noexcept {
    return call(self, out_n, [&](pair_of_callables &both) { return both.receive_(view<std::uint8_t>(buf, len)); });
  }

  static std::int32_t send(void *self, const std::uint8_t *buf, std::size_t len, std::size_t *out_n) noexcept {
    return call(self, out_n, [&](pair_of_callables &both) { return both.send_(bytes_view(buf, len)); });
  }

  template <class Move> static std::int32_t call(void *self, std::size_t *out_n, Move move) noexcept {
    auto &both = *static_cast<pair_of_callables *>(self);
    both.are_running = true;
    const transfer moved = move(both);
    both.are_running = false;
    *out_n = moved.count;
    return moved.error;
  }
};

}  // namespace detail

/// A text or binary message, framed once for many connections: see prepare_message(). Any number of threads may send
/// one.
class prepared {
public:
  prepared() noexcept = default;
  /// Owns a handle of C.
  explicit prepared(ws_prepared *handle) noexcept : prepared_(handle) {}

  [[nodiscard]] explicit operator bool() const noexcept { return prepared_ != nullptr; }
  [[nodiscard]] ws_prepared *get() const noexcept { return prepared_.get(); }

private:
  detail::owner<ws_prepared, ws_prepared_free> prepared_;
};

/// A connection: see connect() and listener::accept() for those over sockets of the library's own, client(), server()
/// and from_partially_read() for those over a socket or callables of the caller's, or in memory.
class connection {
public:
  connection() noexcept = default;
  /// Owns a handle of C.
  explicit connection(ws_conn *handle) noexcept : conn_(handle) {}
  connection(connection &&) noexcept = default;
  connection &operator=(connection &&other) noexcept {
    connection taken(std::move(other)); // and frees what was here, the handle before the callables that it calls
    std::swap(callables_, taken.callables_);
    std::swap(conn_, taken.conn_);
    return *this;
  }

  /// A client for a ws:// or wss:// URL over a transport of the caller's, who sees to TLS: set_socket() or set_io()
  /// next, or neither for memory mode; then handshake().
  ///
  /// errc::url, errc::no_memory; errc::invalid_argument: an empty configuration, or a NUL in the URL;
  /// errc::abi_mismatch.
  [[nodiscard]] static result<connection> client(std::string_view url) noexcept { return make_client(nullptr, url); }
  [[nodiscard]] static result<connection> client(std::string_view url, const config &config) noexcept {
    if (!config) return empty();
    return make_client(config.get(), url);
  }

  /// A server's end over a transport of the caller's: set_socket() or set_io() next, or neither; then handshake().
  ///
  /// errc::invalid_argument: an empty configuration; errc::abi_mismatch.
  [[nodiscard]] static result<connection> server() noexcept { return make_server(nullptr); }
  [[nodiscard]] static result<connection> server(const config &config) noexcept {
    if (!config) return empty();
    return make_server(config.get());
  }

  /// One whose opening handshake somebody else has done. `part` is what has been read after the head; it is copied, and
  /// delivered first.
  ///
  /// errc::invalid_argument: no such role, or an empty configuration; errc::no_memory, errc::abi_mismatch.
  [[nodiscard]] static result<connection> from_partially_read(ws::role role, bytes_view part) noexcept {
    return make_open(nullptr, role, part);
  }
  [[nodiscard]] static result<connection> from_partially_read(ws::role role, bytes_view part,
                                                              const config &config) noexcept {
    if (!config) return empty();
    return make_open(config.get(), role, part);
  }

  /// Lets two callables of the caller's move the bytes:
  ///
  ///     ws::transfer receive(ws::view<std::uint8_t> room);
  ///     ws::transfer send(ws::bytes_view bytes);
  ///
  /// They are moved in here and stay as long as this handle. They are called from within calls on this connection, one
  /// at a time, whichever thread makes them; what their arguments view stays until they return. They must not throw
  /// (std::terminate), nor call back into the connection (errc::misuse); if one drops it, it stays behind for good.
  ///
  /// errc::misuse: the connection has its transport already; errc::no_memory.
  template <class Receive, class Send> result<void> set_io(Receive receive, Send send) noexcept {
    using both = detail::pair_of_callables<Receive, Send>;
    std::unique_ptr<detail::callables, detail::callables_deleter> callables(
        new (std::nothrow) both(std::move(receive), std::move(send)));
    if (!callables) return errc::no_memory;
    auto set = done(ws_set_io(get(), &both::receive, &both::send, static_cast<both *>(callables.get())));
    if (set) callables_ = std::move(callables);
    return set;
  }

  /// Lets a connected stream socket of the caller's move the bytes. It keeps its flags and is never closed here: close
  /// it after this handle. errc::invalid_argument: no stream socket; errc::misuse: there is a transport already.
  result<void> set_socket(ws_socket socket) noexcept { return done(ws_set_socket(get(), socket)); }

  /// Frees the connection, and closes the socket if the library opened it: at once, without a Close. Harmless if
  /// repeated.
  void reset() noexcept { *this = connection(); }

  [[nodiscard]] explicit operator bool() const noexcept { return conn_ != nullptr; }
  [[nodiscard]] ws_conn *get() const noexcept { return conn_.get(); }

  // The opening handshake (RFC 6455 section 4).

  /// Drives the opening handshake. Done, or a server has a request to accept() or reject() (option::auto_accept off).
  ///
  /// errc::would_block: the peer is waited for. errc::handshake: refused (http_status(), http_body()), or malformed;
  /// errc::capacity: the head is too long; errc::io, errc::tls, errc::proxy, errc::timeout, errc::no_memory; then
  /// errc::connection_closed, errc::already_closed. errc::misuse: another thread is inside a read.
  result<void> handshake() noexcept { return done(ws_handshake(get())); }

  /// The method of the request that a server has received: "GET", unless option::plain_requests is on. Stays as long as
  /// the connection.
  [[nodiscard]] std::optional<std::string_view> request_method() const noexcept {
    return detail::optional_text(ws_request_method(get()));
  }

  /// Whether the request that a server has received would open a WebSocket: accept() can take it.
  [[nodiscard]] bool is_upgrade() const noexcept { return ws_is_upgrade(get()) == 1; }

  /// The target of the request that a server has received, for instance "/chat?room=1". Stays as long as the
  /// connection.
  [[nodiscard]] std::optional<std::string_view> request_target() const noexcept {
    return detail::optional_text(ws_request_target(get()));
  }

  /// The value of the first header of this name, in any case, that the peer sent. Stays as long as the connection; with
  /// option::keep_head 0 it, and what the functions around this one give, is there until the first message is read.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const noexcept {
    return detail::optional_text(ws_header(get(), detail::c_string(name).get()));
  }

  /// Header number `index`, counted from 0, that the peer sent; none after the last. Stays as long as the connection.
  [[nodiscard]] std::optional<ws::header> header_at(std::size_t index) const noexcept {
    const char *name = nullptr, *value = nullptr;
    if (ws_header_at(get(), index, &name, &value) != WS_OK) return std::nullopt;
    return ws::header{name, value};
  }

  /// The subprotocol agreed on. Stays as long as the connection.
  [[nodiscard]] std::optional<std::string_view> protocol() const noexcept {
    return detail::optional_text(ws_protocol(get()));
  }

  /// The HTTP status that the server answered a client with: 101 where it accepted, 0 before that and on a server.
  [[nodiscard]] std::int32_t http_status() const noexcept { return ws_http_status(get()); }

  /// The body that the server refused a client with, as far as option::max_head_size. Stays as long as the connection.
  [[nodiscard]] bytes_view http_body() const noexcept {
    const std::uint8_t *data = nullptr;
    std::size_t len = 0;
    if (ws_http_body(get(), &data, &len) != WS_OK) return {};
    return {data, len};
  }

  /// Server, at state::request: adds a header to this response, behind those of the configuration.
  ///
  /// errc::invalid_argument: not a header by HTTP's grammar (CR, LF, NUL), or one of the handshake's own; errc::misuse:
  /// there is no request.
  result<void> add_header(std::string_view name, std::string_view value) noexcept {
    const detail::c_string c_name(name), c_value(value);
    if (!c_name) return c_name.why();
    if (!c_value) return c_value.why();
    return done(ws_add_header(get(), c_name.get(), c_value.get()));
  }

  /// Server, at state::request: takes the request, with one of the subprotocols offered, or the first of the
  /// configuration's.
  ///
  /// errc::invalid_argument: it was not offered, the request still waits; errc::misuse: there is no request, or it is not
  /// for WebSocket (is_upgrade()) and still waits; errc::io.
  result<void> accept() noexcept { return done(ws_accept(get(), nullptr)); }
  result<void> accept(std::string_view protocol) noexcept {
    const detail::c_string c_protocol(protocol);
    if (!c_protocol) return c_protocol.why();
    return done(ws_accept(get(), c_protocol.get()));
  }

  /// Server, at state::request: answers it with an HTTP status from 200 to 599, which is the end. Then write_pending()
  /// until errc::connection_closed. Where HTTP has no body (204, 205, 304, answers to HEAD) none is sent.
  ///
  /// errc::invalid_argument: another status, the request still waits; errc::misuse: there is no request; errc::io.
  result<void> reject(std::int32_t http_status, std::string_view body = {}) noexcept {
    return done(ws_reject(get(), http_status, body.data(), body.size()));
  }

  // Messages (RFC 6455 sections 5 and 6).

  /// Reads the next message; does the opening handshake first where that is not done, and sends what is pending. The
  /// peer's Close comes as a message; read on, until errc::connection_closed. The message stays until the next read.
  ///
  /// errc::would_block: nothing complete yet. errc::protocol, errc::utf8, errc::capacity: the peer broke a rule or a
  /// limit; errc::io, errc::tls, errc::proxy, errc::timeout, errc::handshake: the connection is over, read on here,
  /// too. errc::connection_closed: the end, once; then errc::already_closed. errc::misuse: another thread is inside a read, or a
  /// request waits. errc::no_memory.
  result<message> read_message() noexcept {
    const ws_message *out = nullptr;
    const ws_status_t status = ws_read_message(get(), &out);
    if (status != WS_OK) return why(status);
    return message(out);
  }

  /// Reads the next message, and with it those behind it that lie there whole. All stay until the next read. Errors as
  /// read_message().
  result<messages> read_messages() noexcept {
    const ws_message *const *out = nullptr;
    std::size_t count = 0;
    const ws_status_t status = ws_read_messages(get(), &out, &count);
    if (status != WS_OK) return why(status);
    return messages(out, count);
  }

  /// Sends a message, or queues what the transport does not take.
  ///
  /// errc::send_queue_full: not accepted, nothing has changed: write_pending(), then send it again. errc::capacity:
  /// over option::max_message_size; errc::utf8: a text that is not UTF-8; errc::invalid_argument: a Ping or Pong over
  /// 125 bytes, a reason over 123; errc::misuse: the opening handshake is not complete, or a message is being sent in
  /// fragments: nothing has changed either. errc::connection_closed: closing; errc::already_closed. errc::io,
  /// errc::tls, errc::timeout: the connection is over. errc::no_memory. Never errc::would_block.
  result<void> write_message(ws::kind kind, bytes_view payload) noexcept {
    return done(ws_write_message(get(), static_cast<std::int32_t>(kind), payload.data(), payload.size()));
  }

  /// The same for one that was read, on this connection or another: an echo needs no copy.
  result<void> write_message(message message) noexcept { return write_message(message.kind(), message.bytes()); }

  /// write_message() for text, in UTF-8.
  result<void> write_text(std::string_view text) noexcept { return write_message(kind::text, text); }

  /// write_message() for bytes.
  result<void> write_binary(bytes_view bytes) noexcept { return write_message(kind::binary, bytes); }

  /// Sends messages that were read, here or on another connection, all together; a Close among them is passed over.
  /// Those that were accepted are taken off the front of `batch`.
  ///
  /// As write_message(). errc::send_queue_full: after write_pending(), call this again with what is left.
  result<void> write_messages(messages &batch) noexcept {
    std::size_t accepted = 0;
    const ws_status_t status = ws_write_messages(get(), batch.get(), batch.size(), &accepted);
    batch = messages(batch.get() + accepted, batch.size() - accepted);
    return done(status);
  }

  /// write_message() without sending: the message leaves with the next write, write_pending(), or read that needs more
  /// bytes.
  ///
  /// As write_message(), without errc::io, errc::tls and errc::timeout.
  result<void> queue_message(ws::kind kind, bytes_view payload) noexcept {
    return done(ws_queue_message(get(), static_cast<std::int32_t>(kind), payload.data(), payload.size()));
  }
  result<void> queue_message(message message) noexcept { return queue_message(message.kind(), message.bytes()); }

  /// write_message() for a prepared message: a server copies nothing of it. As write_message().
  result<void> write_prepared(const prepared &message) noexcept {
    return done(ws_write_prepared(get(), message.get()));
  }

  /// Sends the next fragment of a text or binary message (RFC 6455 section 5.4). Text may be cut anywhere; Pings, Pongs
  /// and a Close may be sent in between. As write_message(); errc::misuse also for another kind than the first
  /// fragment's.
  result<void> write_fragment(ws::kind kind, bytes_view payload, bool is_final) noexcept {
    return done(ws_write_fragment(get(), static_cast<std::int32_t>(kind), payload.data(), payload.size(), is_final));
  }

  /// Sends what is pending. Done: nothing is left. errc::would_block: the transport does not take it all. After a
  /// Close: errc::connection_closed when the connection is over. errc::io, errc::tls, errc::timeout.
  result<void> write_pending() noexcept { return done(ws_write_pending(get())); }

  /// Begins the closing handshake (RFC 6455 section 7) behind what was accepted before; there is always room. Code 0
  /// sends neither code nor reason. Then read on, until errc::connection_closed. Harmless if repeated.
  ///
  /// errc::invalid_argument: a code that must not be sent, or a reason over 123 bytes or without a code; errc::utf8;
  /// errc::misuse: the opening handshake is not complete; errc::already_closed; errc::io; errc::no_memory.
  result<void> close(std::uint16_t code = 1000, std::string_view reason = {}) noexcept {
    return done(ws_close(get(), code, reason.data(), reason.size()));
  }

  // Watching. None of these waits for the peer.

  /// How far it has come; state::closed for an empty handle, too, for a dead one, and within a callable of its own.
  [[nodiscard]] ws::state state() const noexcept {
    const std::int32_t state = ws_get_state(get());
    return state < 0 ? ws::state::closed : static_cast<ws::state>(state);
  }

  /// Whether messages of the peer may still come.
  [[nodiscard]] bool can_read() const noexcept { return ws_can_read(get()) != 0; }

  /// Whether messages can be sent.
  [[nodiscard]] bool can_write() const noexcept { return ws_can_write(get()) != 0; }

  /// Whether the next read may find something without waiting. To ask before waiting by one who stops reading before
  /// errc::would_block.
  [[nodiscard]] bool has_input() const noexcept { return ws_has_input(get()) != 0; }

  /// What to wait for after errc::would_block.
  [[nodiscard]] wants interest() const noexcept {
    const std::uint32_t flags = ws_interest(get());
    return {(flags & WS_WANT_READ) != 0, (flags & WS_WANT_WRITE) != 0};
  }

  /// How many bytes wait to be sent.
  [[nodiscard]] std::size_t queued_bytes() const noexcept { return ws_queued_bytes(get()); }

  /// The code of the peer's Close, 1005 where it had none; without one, why the connection was given up, or 1006. 0
  /// while nothing of that has happened.
  [[nodiscard]] std::int32_t close_code() const noexcept { return ws_close_code(get()); }

  /// How long the peer took to answer the last Ping of option::ping_interval_ms; none while none has been answered.
  [[nodiscard]] std::optional<milliseconds> latency() const noexcept {
    const std::int64_t latency = ws_latency(get());
    if (latency < 0) return std::nullopt;
    return milliseconds(latency);
  }

  /// Why the transport failed with the last errc::io: errno, or what a callable returned. False where nothing is known.
  [[nodiscard]] std::error_code io_error() const noexcept { return {ws_io_error(get()), std::system_category()}; }

  /// What the last call that failed has to say, in a sentence: what went wrong, and where in the stream. "" where none
  /// failed, and after errc::would_block, which is no failure. A copy: other threads may fail meanwhile.
  [[nodiscard]] std::string error_message() const {
    const auto sentence = last_sentence();
    return sentence ? sentence.get() : std::string();
  }

  /// Sets an option; it holds from the next call on, and for a thread that waits in one. errc::invalid_argument: a
  /// value that it cannot have, or an option for a configuration only.
  result<void> set_option(option name, std::uint64_t value) noexcept {
    return done(ws_set_option(get(), static_cast<std::int32_t>(name), value));
  }
  result<void> set_option(option name, milliseconds time) noexcept {
    if (time < time.zero()) return errc::invalid_argument;
    return set_option(name, static_cast<std::uint64_t>(time.count()));
  }

  /// The value of an option; of permessage-deflate (RFC 7692), what was agreed on.
  result<std::uint64_t> get_option(option name) const noexcept {
    std::uint64_t value = 0;
    const ws_status_t status = ws_get_option(get(), static_cast<std::int32_t>(name), &value);
    if (status != WS_OK) return why(status);
    return value;
  }

  /// The socket, for a poll of the caller's; -1 where it has none. It may change while it is connecting.
  [[nodiscard]] ws_socket socket() const noexcept { return ws_get_socket(get()); }

  // Memory mode: feed what arrived, read until errc::would_block, send what output() lends, and tick() the clock. On a
  // connection with another transport all of these give errc::misuse.

  /// Lends room to receive into. It stays where it is until input_commit(), whatever is read or queued meanwhile; it is
  /// empty while messages wait to be read first. errc::misuse: it is lent already, or the end was told;
  /// errc::no_memory.
  result<view<std::uint8_t>> input() noexcept {
    std::uint8_t *data = nullptr;
    std::size_t len = 0;
    const ws_status_t status = ws_input(get(), &data, &len);
    if (status != WS_OK) return why(status);
    return view<std::uint8_t>(data, len);
  }

  /// The first `n` bytes of the lent room have been received; 0 only gives it back. errc::invalid_argument: more than
  /// was lent; errc::misuse: nothing is lent.
  result<void> input_commit(std::size_t n) noexcept { return done(ws_input_commit(get(), n)); }

  /// Takes received bytes, and gives how many there was room for. Where that are not all, read until errc::would_block,
  /// then feed the rest. errc::misuse: room is lent, or the end was told; errc::no_memory.
  result<std::size_t> feed(bytes_view bytes) noexcept {
    std::size_t consumed = 0;
    const ws_status_t status = ws_feed(get(), bytes.data(), bytes.size(), &consumed);
    if (status != WS_OK) return why(status);
    return consumed;
  }

  /// The peer has ended the stream. What has arrived can still be read.
  result<void> feed_eof() noexcept { return done(ws_feed_eof(get())); }

  /// Lends the next bytes to send; none where it is empty. They stay where they are until output_advance(), whatever is
  /// queued meanwhile. There may be more behind them.
  result<bytes_view> output() noexcept {
    const std::uint8_t *data = nullptr;
    std::size_t len = 0;
    const ws_status_t status = ws_output(get(), &data, &len);
    if (status != WS_OK) return why(status);
    return bytes_view(data, len);
  }

  /// The first `n` lent bytes have been sent. errc::invalid_argument: more than was lent.
  result<void> output_advance(std::size_t n) noexcept { return done(ws_output_advance(get(), n)); }

  /// The next bytes to send, copied, as many as there are and have room; how many. For who sends from a buffer of its
  /// own.
  result<std::size_t> output_take(view<std::uint8_t> room) noexcept {
    std::size_t n = 0;
    const ws_status_t status = ws_output_take(get(), room.data(), room.size(), &n);
    if (status != WS_OK) return why(status);
    return n;
  }

  // Time and waiting.

  /// Memory mode and callables: hands the clock in, from any start, and does what is due. errc::timeout: a deadline
  /// passed, read on, until errc::connection_closed; errc::misuse: the library's own clock runs here;
  /// errc::invalid_argument: a time before the start.
  result<void> tick(milliseconds now) noexcept {
    if (now < now.zero()) return errc::invalid_argument;
    return done(ws_tick(get(), static_cast<std::uint64_t>(now.count())));
  }

  /// When something is due next, on the clock that runs for this connection: ws::now()'s with a socket, tick()'s
  /// otherwise. None: never.
  [[nodiscard]] std::optional<milliseconds> next_deadline() const noexcept {
    const std::uint64_t deadline = ws_next_deadline(get());
    if (deadline > static_cast<std::uint64_t>(milliseconds::max().count())) return std::nullopt;
    return milliseconds(deadline);
  }

  /// Waits until there is something to do, `timeout` at most, for ever where that is negative. Others can use the
  /// connection meanwhile. errc::would_block: the time is over; errc::misuse: there is no socket; errc::io.
  result<void> wait(milliseconds timeout) noexcept { return done(ws_wait(get(), detail::timeout(timeout))); }

  /// Stops (false) or goes on (true) having its input reported by its poller: for one whose own queue is full.
  /// errc::misuse: it is with no poller.
  result<void> poller_read(bool on) noexcept { return done(ws_poller_read(get(), on)); }

private:
  static result<connection> empty() noexcept {
    if (auto abi = check_abi(); !abi) return abi.take_failure();
    return errc::invalid_argument;
  }
  static result<connection> make_client(const ws_config *config, std::string_view url) noexcept {
    if (auto abi = check_abi(); !abi) return abi.take_failure();
    const detail::c_string c_url(url);
    if (!c_url) return c_url.why();
    ws_conn *out = nullptr;
    const ws_status_t status = ws_client_new(config, c_url.get(), &out);
    return made(status, out);
  }
  static result<connection> make_server(const ws_config *config) noexcept {
    if (auto abi = check_abi(); !abi) return abi.take_failure();
    ws_conn *out = nullptr;
    const ws_status_t status = ws_server_new(config, &out);
    return made(status, out);
  }
  static result<connection> make_open(const ws_config *config, ws::role role, bytes_view part) noexcept {
    if (auto abi = check_abi(); !abi) return abi.take_failure();
    ws_conn *out = nullptr;
    const auto number = static_cast<std::int32_t>(role);
    const ws_status_t status = ws_from_partially_read(config, number, part.data(), part.size(), &out);
    return made(status, out);
  }
  static result<connection> made(ws_status_t status, ws_conn *conn) noexcept {
    if (status != WS_OK) return detail::system_failure(status);
    return connection(conn);
  }

  result<void> done(ws_status_t status) const noexcept {
    if (status != WS_OK) return why(status);
    return {};
  }

  /// A failure with the sentence that belongs to it. "Not now" and the end have none.
  failure why(ws_status_t status) const noexcept {
    failure why(static_cast<errc>(status));
    switch (status) {
    case WS_ERR_WOULD_BLOCK:
    case WS_ERR_SEND_QUEUE_FULL:
    case WS_ERR_CONNECTION_CLOSED:
    case WS_ERR_ALREADY_CLOSED: break;
    default: why.sentence_ = last_sentence();
    }
    return why;
  }

  /// A copy of the last sentence, cut where another thread puts a longer one in its place; NULL where there is none.
  std::unique_ptr<char[]> last_sentence() const noexcept {
    const std::size_t len = ws_copy_error_message(get(), nullptr, 0);
    std::unique_ptr<char[]> sentence(len > 0 ? new (std::nothrow) char[len + 1] : nullptr);
    if (sentence) ws_copy_error_message(get(), sentence.get(), len + 1);
    return sentence;
  }

  std::unique_ptr<detail::callables, detail::callables_deleter> callables_;  // goes after the handle that calls them
  detail::owner<ws_conn, ws_free> conn_;
};

/// Where a URL leads to.
struct destination {
  std::string host;        ///< As it is looked up and told to the server; IPv6 without brackets.
  std::uint16_t port = 0;  ///< 80, or 443 for wss://, where the URL names none.
};

/// Checks a URL as connect() does, opens nothing, and says where it leads: the host in small letters, names in other scripts by
/// IDNA, addresses in their usual form, "localhost" for ws+unix://. A program that allows some hosts only compares this.
///
/// errc::url: it cannot be used; errc::invalid_argument: a NUL in it, not UTF-8, or a host of more than a thousand bytes;
/// errc::no_memory.
[[nodiscard]] inline result<destination> check_url(std::string_view url) {
  const detail::c_string c_url(url);
  if (!c_url) return c_url.why();
  char host[1024];
  std::uint16_t port = 0;
  const ws_status_t status = ws_url_check(c_url.get(), host, sizeof host, &port);
  if (status != WS_OK) return static_cast<errc>(status);
  return destination{host, port};
}

namespace detail {

inline result<connection> connect(const ws_config *config, std::string_view url) noexcept {
  const c_string c_url(url);
  if (!c_url) return c_url.why();
  ws_conn *out = nullptr;
  const ws_status_t status = ws_connect(config, c_url.get(), &out);
  if (status != WS_OK) return system_failure(status);
  return connection(out);
}

}  // namespace detail

/// Starts a connection to a URL: ws:// over TCP, wss:// over TLS, ws+unix://PATH:/TARGET over a Unix socket. It never
/// waits: connection::handshake() completes it and tells what went wrong on the way. Blocking, unless option::blocking
/// is 0.
///
/// errc::url; errc::invalid_argument: an empty configuration, a NUL in the URL, not UTF-8, or a path too long;
/// errc::unsupported: wss in a build without TLS; an error of the system's, where no descriptors are to be had;
/// errc::no_memory, errc::abi_mismatch.
[[nodiscard]] inline result<connection> connect(std::string_view url) noexcept {
  if (auto abi = check_abi(); !abi) return abi.take_failure();
  return detail::connect(nullptr, url);
}
[[nodiscard]] inline result<connection> connect(std::string_view url, const config &config) noexcept {
  if (auto abi = check_abi(); !abi) return abi.take_failure();
  if (!config) return errc::invalid_argument;
  return detail::connect(config.get(), url);
}

/// Frames a text or binary message once, for connection::write_prepared(). The bytes are copied.
///
/// errc::utf8: a text that is not UTF-8; errc::invalid_argument: another kind; errc::no_memory, errc::abi_mismatch.
[[nodiscard]] inline result<prepared> prepare_message(kind kind, bytes_view payload) noexcept {
  if (auto abi = check_abi(); !abi) return abi.take_failure();
  ws_prepared *out = nullptr;
  const ws_status_t status = ws_prepare_message(static_cast<std::int32_t>(kind), payload.data(), payload.size(), &out);
  if (status != WS_OK) return detail::last_failure(status);
  return prepared(out);
}

// ---------------------------------------------------------------------------------------------------------------------
// LISTENING.

/// Accepts connections: see listen(). Several threads may use one.
class listener {
public:
  listener() noexcept = default;
  /// Owns a handle of C.
  explicit listener(ws_listener *handle) noexcept : listener_(handle) {}

  /// Accepts the next connection. Its opening handshake is still to come: with handshake(), or with the first read.
  ///
  /// errc::would_block: none waits, or option::read_timeout_ms ran out. An error of the system's, for instance
  /// std::errc::too_many_files_open: the listener can still be used.
  result<connection> accept() noexcept {
    ws_conn *out = nullptr;
    const ws_status_t status = ws_listener_accept(get(), &out);
    if (status != WS_OK) return detail::system_failure(status);
    return connection(out);
  }

  /// The listening socket, for a poll of the caller's; -1 for an empty handle.
  [[nodiscard]] ws_socket socket() const noexcept { return ws_listener_socket(get()); }

  /// The port it listens on; 0 for an empty handle and for a Unix socket.
  [[nodiscard]] std::int32_t port() const noexcept { return ws_listener_port(get()); }

  /// Stops listening; connections that it accepted go on. Harmless if repeated.
  void reset() noexcept { listener_.reset(); }

  [[nodiscard]] explicit operator bool() const noexcept { return listener_ != nullptr; }
  [[nodiscard]] ws_listener *get() const noexcept { return listener_.get(); }

private:
  detail::owner<ws_listener, ws_listener_free> listener_;
};

namespace detail {

inline result<listener> listen(const ws_config *config, std::string_view url) noexcept {
  const c_string c_url(url);
  if (!c_url) return c_url.why();
  ws_listener *out = nullptr;
  const ws_status_t status = ws_listen(config, c_url.get(), &out);
  if (status != WS_OK) return system_failure(status);
  return listener(out);
}

}  // namespace detail

/// Listens at the host and port of a ws:// or wss:// URL, or at the path of a ws+unix:// URL; port 0 takes a free one
/// (listener::port()). The configuration is that of the connections.
///
/// An error of the system's, for instance std::errc::address_in_use; errc::io: no such host; errc::url; errc::tls:
/// wss:// without a certificate that can be used; errc::unsupported: wss in a build without TLS;
/// errc::invalid_argument, errc::abi_mismatch.
[[nodiscard]] inline result<listener> listen(std::string_view url) noexcept {
  if (auto abi = check_abi(); !abi) return abi.take_failure();
  return detail::listen(nullptr, url);
}
[[nodiscard]] inline result<listener> listen(std::string_view url, const config &config) noexcept {
  if (auto abi = check_abi(); !abi) return abi.take_failure();
  if (!config) return errc::invalid_argument;
  return detail::listen(config.get(), url);
}

// ---------------------------------------------------------------------------------------------------------------------
// MANY CONNECTIONS.

/// Waits for any number of connections and listeners at once, in one thread; any thread may add, remove and wake. Where
/// a token is reported, read until errc::would_block, or as much as a turn may take: what is left is reported again.
/// Handles that are with it may be moved and freed at any time.
class poller {
public:
  poller() noexcept = default;
  /// Owns a handle of C.
  explicit poller(ws_poller *handle) noexcept : poller_(handle) {}

  /// Makes one. An error of the system's; errc::abi_mismatch.
  [[nodiscard]] static result<poller> create() noexcept {
    if (auto abi = check_abi(); !abi) return abi.take_failure();
    ws_poller *out = nullptr;
    const ws_status_t status = ws_poller_new(&out);
    if (status != WS_OK) return detail::system_failure(status);
    return poller(out);
  }

  /// Waits for this connection, too; `token` is what wait() calls it by. errc::misuse: it has no socket, or is with a
  /// poller already; an error of the system's.
  result<void> add(connection &conn, std::uint64_t token) noexcept {
    return done(ws_poller_add(get(), conn.get(), token));
  }

  /// Waits for this connection no longer. errc::misuse: it is not with this poller.
  result<void> remove(connection &conn) noexcept { return done(ws_poller_remove(get(), conn.get())); }

  /// Waits for this listener, too, which should have option::blocking 0: its token is reported while connections wait
  /// to be accepted. errc::misuse: it is with a poller already; an error of the system's.
  result<void> add_listener(listener &listener, std::uint64_t token) noexcept {
    return done(ws_poller_add_listener(get(), listener.get(), token));
  }

  /// Ends the wait under way in another thread, or the next one. A signal handler may call this, too.
  result<void> wake() noexcept { return done(ws_poller_wake(get())); }

  /// Waits until some of them have something to do, `timeout` at most, for ever where that is negative. Gives the part
  /// of `room` that has tokens in it; none after wake(). Those that find no room come first next time. One thread at a
  /// time.
  ///
  /// errc::would_block: the time is over; errc::misuse: another thread is waiting; errc::invalid_argument: no room; an
  /// error of the system's.
  result<view<const std::uint64_t>> wait(view<std::uint64_t> room, milliseconds timeout) noexcept {
    std::size_t count = 0;
    const ws_status_t status = ws_poller_wait(get(), room.data(), room.size(), detail::timeout(timeout), &count);
    if (status != WS_OK) return detail::system_failure(status);
    return view<const std::uint64_t>(room.data(), count);
  }

  [[nodiscard]] explicit operator bool() const noexcept { return poller_ != nullptr; }
  [[nodiscard]] ws_poller *get() const noexcept { return poller_.get(); }

private:
  static result<void> done(ws_status_t status) noexcept {
    if (status != WS_OK) return detail::system_failure(status);
    return {};
  }

  detail::owner<ws_poller, ws_poller_free> poller_;
};

// ---------------------------------------------------------------------------------------------------------------------
// The category.

namespace detail {

class wsabi_category final : public std::error_category {
public:
  const char *name() const noexcept override { return "wsabi"; }

  std::string message(int value) const override {
    if (value != static_cast<int>(errc::abi_mismatch)) return ws_status_message(value);
    return "this program was compiled for version " + std::to_string(WS_ABI_VERSION) +
           " of the ABI of wsabi, and the library has " + std::to_string(ws_abi_version());
  }

  std::error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<errc>(value)) {
    case errc::would_block: return std::errc::operation_would_block;
    case errc::io: return std::errc::io_error;
    case errc::capacity: return std::errc::message_size;
    case errc::send_queue_full: return std::errc::no_buffer_space;
    case errc::connection_closed:
    case errc::already_closed: return std::errc::not_connected;
    case errc::protocol: return std::errc::protocol_error;
    case errc::utf8: return std::errc::illegal_byte_sequence;
    case errc::timeout: return std::errc::timed_out;
    case errc::invalid_argument: return std::errc::invalid_argument;
    case errc::misuse: return std::errc::operation_not_permitted;
    case errc::no_memory: return std::errc::not_enough_memory;
    case errc::unsupported: return std::errc::not_supported;
    case errc::handshake:
    case errc::url:
    case errc::tls:
    case errc::proxy:
    case errc::internal:
    case errc::abi_mismatch: break;
    }
    return {value, *this};
  }
};

}  // namespace detail

inline const std::error_category &category() noexcept {
  static const detail::wsabi_category category;
  return category;
}

}  // namespace ws

#endif
