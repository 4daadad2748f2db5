// wsabi.hpp: the C API of wsabi (wsabi.h) for C++17 and later, in one header.
//
// It provides handles, views, errors and callables. It contains no protocol rule and stores no bytes: every function is
// a few lines over the one in wsabi.h with the same name and ws_ in front, whose documentation applies unless something
// else is said here.
//
// Handles (config, connection, listener, prepared, poller) own their object and free it when they are destroyed. They
// can be moved but not copied. A handle that was moved from is empty: calls on it have no effect, and return
// errc::invalid_argument if they can fail.
//
// Views (bytes_view, message, messages, std::string_view) own nothing; each function says how long what it returns is
// valid. Arguments are not used after a call has returned. A std::string_view need not be NUL-terminated.
//
// Errors are values: a result holds the value, or a std::error_code and in many cases a sentence. Nothing throws, and
// all of this compiles with -fno-exceptions -fno-rtti. If WS_EXCEPTIONS is defined, result::value() throws a ws::error.
// Files with and without it can be linked together, and so can files for C++17 and for later standards.
//
// Threads: as in wsabi.h. Any thread may call any function on a connection; one at a time reads. A handle may only be
// moved, assigned or destroyed while no other thread uses it.
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
// CONSTANTS of wsabi.h, with their names and numbers there.

/// Error codes (ws_status). They convert to std::error_code: `if (sent.error() == ws::errc::send_queue_full)`. Most
/// also compare equal to a std::errc: would_block to std::errc::operation_would_block, timeout to std::errc::timed_out.
enum class errc : std::int32_t {
  would_block = WS_ERR_WOULD_BLOCK,              ///< Nothing can be done now. Wait for interest(), then call again.
  io = WS_ERR_IO,                                ///< The transport failed: see connection::io_error().
  capacity = WS_ERR_CAPACITY,                    ///< A message, frame, fragment count or HTTP head exceeds its limit.
  send_queue_full = WS_ERR_SEND_QUEUE_FULL,      ///< Not accepted: call write_pending(), then send it again.
  connection_closed = WS_ERR_CONNECTION_CLOSED,  ///< The connection is over. From a write: it is closing.
  already_closed = WS_ERR_ALREADY_CLOSED,        ///< Used again after that was reported: a bug in the caller.
  protocol = WS_ERR_PROTOCOL,                    ///< The peer violated RFC 6455 or RFC 7692.
  utf8 = WS_ERR_UTF8,                            ///< A text is not UTF-8: the peer's, or the one passed to the call.
  handshake = WS_ERR_HANDSHAKE,                  ///< The opening handshake was refused or malformed: see http_status().
  url = WS_ERR_URL,                              ///< The URL is not valid or not supported.
  tls = WS_ERR_TLS,                              ///< The TLS session failed.
  timeout = WS_ERR_TIMEOUT,                      ///< A deadline passed: connect, handshake, close, pong or idle.
  proxy = WS_ERR_PROXY,                          ///< The proxy refused, or the host is not a proxy.
  invalid_argument = WS_ERR_INVALID_ARGUMENT,    ///< An argument is not allowed, or an empty handle: nothing happened.
  misuse = WS_ERR_MISUSE,                        ///< The call is not allowed in this state: nothing happened.
  no_memory = WS_ERR_NO_MEMORY,                  ///< A buffer could not be allocated.
  internal = WS_ERR_INTERNAL,                    ///< A bug in the library: the handle can only be freed.
  unsupported = WS_ERR_UNSUPPORTED,              ///< The library was built without this feature.
  abi_mismatch = -1000,                          ///< The library does not match this header: see check_abi().
};

}  // namespace ws

template <> struct std::is_error_code_enum<ws::errc> : std::true_type {};

namespace ws {

/// Kind of a message (ws_kind): the opcodes of RFC 6455 section 5.2.
enum class kind : std::int32_t {
  text = WS_TEXT,
  binary = WS_BINARY,
  close = WS_CLOSE,
  ping = WS_PING,
  pong = WS_PONG,
};

/// Which end of a connection this is (ws_role).
enum class role : std::int32_t { client = WS_CLIENT, server = WS_SERVER };

/// State of a connection (ws_state).
enum class state : std::int32_t {
  connecting = WS_STATE_CONNECTING,  ///< The connection is being opened.
  request = WS_STATE_REQUEST,        ///< A server has a request for accept() or reject().
  open = WS_STATE_OPEN,              ///< Messages can be sent and received.
  closing = WS_STATE_CLOSING,        ///< Read until errc::connection_closed.
  closed = WS_STATE_CLOSED,          ///< The connection is over.
};

/// Options of a configuration or a connection. ws_option documents their values and defaults. Sizes are in bytes, times
/// in milliseconds, switches 0 or 1; 0 means no limit or never for sizes and times.
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
  bool read;   ///< Bytes from the peer, or the end of the stream.
  bool write;  ///< Room to send.
};

using milliseconds = std::chrono::milliseconds;

/// Returns the ABI version of the loaded library. check_abi() compares it.
[[nodiscard]] inline std::uint32_t abi_version() noexcept { return ws_abi_version(); }

/// Returns the version of the loaded library: major * 1000000 + minor * 1000 + patch.
[[nodiscard]] inline std::uint32_t version_number() noexcept { return ws_version_number(); }

/// Returns the version of the loaded library, for example "0.2.0". The string is static.
[[nodiscard]] inline std::string_view version_string() noexcept { return ws_version_string(); }

/// Returns the time of the library's clock, since an arbitrary start. It never goes backwards.
[[nodiscard]] inline milliseconds now() noexcept { return milliseconds(ws_now()); }

/// Returns the name of an error in wsabi.h, for example "WS_ERR_IO". The string is static.
[[nodiscard]] inline std::string_view status_name(errc error) noexcept {
  return error == errc::abi_mismatch ? "abi_mismatch" : ws_status_name(static_cast<ws_status_t>(error));
}

/// Whether a connection on which a call returned this error can carry no more messages (see ws_status_is_fatal()).
[[nodiscard]] inline bool is_fatal(errc error) noexcept {
  return ws_status_is_fatal(static_cast<ws_status_t>(error)) != 0;
}

// ---------------------------------------------------------------------------------------------------------------------
// ERRORS.

/// The category of errc, named "wsabi". Its messages are those of ws_status_message().
[[nodiscard]] inline const std::error_category &category() noexcept;

/// Converts an errc to a std::error_code.
[[nodiscard]] inline std::error_code make_error_code(errc error) noexcept {
  return {static_cast<int>(error), category()};
}

/// Describes the last failure on this thread that no connection records (ws_last_error_message()). Results already
/// contain it. Valid until the next such failure on this thread.
[[nodiscard]] inline const char *last_error_message() noexcept { return ws_last_error_message(); }

/// Why a call failed: an error code and possibly a sentence, which is the only thing it copies.
class failure {
public:
  failure() noexcept = default;
  failure(errc error) noexcept : code_(make_error_code(error)) {}
  failure(std::error_code code) noexcept : code_(code) {}
  /// With a copy of a sentence; without it if there is no memory for the copy.
  failure(errc error, const char *sentence) noexcept : failure(error) {
    const std::size_t size = std::strlen(sentence) + 1;
    if (size > 1) sentence_.reset(new (std::nothrow) char[size]);
    if (sentence_) std::memcpy(sentence_.get(), sentence, size);
  }

  /// The error; false if there is none.
  [[nodiscard]] std::error_code code() const noexcept { return code_; }

  /// Describes what is wrong, for a connection also where in the stream. "" if there is nothing to add to the message
  /// of code(). Valid as long as this failure.
  [[nodiscard]] const char *sentence() const noexcept { return sentence_ ? sentence_.get() : ""; }

private:
  friend class connection;
  std::error_code code_;
  std::unique_ptr<char[]> sentence_;
};

/// Result of a call: a T, or a failure. Like std::expected.
template <class T> class [[nodiscard]] result {
public:
  result(T value) noexcept : value_(std::move(value)) {}
  result(failure why) noexcept : failure_(std::move(why)) {}
  result(errc error) noexcept : failure_(error) {}
  result(std::error_code code) noexcept : failure_(code) {}

  [[nodiscard]] explicit operator bool() const noexcept { return value_.has_value(); }
  [[nodiscard]] bool has_value() const noexcept { return value_.has_value(); }

  /// The value. Calls std::terminate() if there is none.
  [[nodiscard]] T &operator*() & noexcept { return checked(); }
  [[nodiscard]] const T &operator*() const & noexcept { return const_cast<result &>(*this).checked(); }
  [[nodiscard]] T operator*() && noexcept { return std::move(checked()); }
  [[nodiscard]] T *operator->() noexcept { return &checked(); }
  [[nodiscard]] const T *operator->() const noexcept { return &const_cast<result &>(*this).checked(); }

  /// The value, or `other` if there is none.
  [[nodiscard]] T value_or(T other) && noexcept { return value_ ? std::move(*value_) : std::move(other); }

  /// The error; false if there is none.
  [[nodiscard]] std::error_code error() const noexcept { return failure_.code(); }

  /// Describes what is wrong: see failure::sentence().
  [[nodiscard]] const char *sentence() const noexcept { return failure_.sentence(); }

  /// The failure, for another result: `if (!conn) return conn.take_failure();`
  [[nodiscard]] failure take_failure() noexcept { return std::move(failure_); }

  /// The value. Throws a ws::error if there is none. Only for files that define WS_EXCEPTIONS before they include this
  /// header.
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

/// Result of a call that returns no value.
template <> class [[nodiscard]] result<void> {
public:
  result() noexcept = default;
  result(failure why) noexcept : failure_(std::move(why)) {}
  result(errc error) noexcept : failure_(error) {}
  result(std::error_code code) noexcept : failure_(code) {}

  [[nodiscard]] explicit operator bool() const noexcept { return !failure_.code(); }
  [[nodiscard]] bool has_value() const noexcept { return !failure_.code(); }

  /// The error; false if there is none.
  [[nodiscard]] std::error_code error() const noexcept { return failure_.code(); }

  /// Describes what is wrong: see failure::sentence().
  [[nodiscard]] const char *sentence() const noexcept { return failure_.sentence(); }

  /// The failure, for another result.
  [[nodiscard]] failure take_failure() noexcept { return std::move(failure_); }

  /// Throws a ws::error if the call failed. Only for files that define WS_EXCEPTIONS before they include this header.
  template <class Self = result> void value() const {
    if (failure_.code()) throw_as_WS_EXCEPTIONS_allows(static_cast<const Self &>(*this));
  }

private:
  failure failure_;
};

#ifdef WS_EXCEPTIONS
/// Thrown by result::value(): code() is the error, what() contains the sentence and the message.
class error : public std::system_error {
public:
  error(std::error_code code, const char *sentence) : std::system_error(code, sentence) {}
};

/// value() finds this at the point of instantiation. Without WS_EXCEPTIONS, the compiler reports its name.
template <class T> [[noreturn]] void throw_as_WS_EXCEPTIONS_allows(const result<T> &failed) {
  throw error(failed.error(), failed.sentence());
}
#endif

/// Checks that the loaded library matches this header. Every function that creates a handle does so first.
///
/// errc::abi_mismatch: it does not; the message contains both version numbers.
inline result<void> check_abi() noexcept {
  if (ws_abi_version() != WS_ABI_VERSION) return errc::abi_mismatch;
  return {};
}

// ---------------------------------------------------------------------------------------------------------------------
// VIEWS.

/// A view of contiguous values owned by somebody else, like std::span of C++20; the two convert to each other.
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

/// A view of bytes to read. Can be constructed from anything with data() and size() whose elements are bytes
/// (std::uint8_t, char, std::byte), from a C string, and from a pointer and a length.
class bytes_view : public view<const std::uint8_t> {
  template <class T>
  static constexpr bool is_byte =
      sizeof(T) == 1 && (std::is_integral_v<T> || std::is_same_v<std::remove_cv_t<T>, std::byte>);

public:
  constexpr bytes_view() noexcept = default;
  bytes_view(const void *data, std::size_t size) noexcept : view(static_cast<const std::uint8_t *>(data), size) {}
  /// A C string, without its NUL.
  bytes_view(const char *text) noexcept : bytes_view(text, text ? std::strlen(text) : 0) {}
  /// A character buffer is not treated as text: pass a pointer and a length.
  template <std::size_t N> bytes_view(char (&buffer)[N]) = delete;
  template <class C, class T = std::remove_pointer_t<decltype(std::declval<const C &>().data())>,
            class = std::enable_if_t<is_byte<T>>>
  bytes_view(const C &container) noexcept : bytes_view(container.data(), container.size()) {}

  /// The same bytes as characters. Valid as long as they are.
  [[nodiscard]] std::string_view text() const noexcept { return {reinterpret_cast<const char *>(data()), size()}; }
};

/// A received message: a view of a message that its connection owns. It, and everything obtained from it, is valid
/// until the next read on that connection, or until the connection is destroyed.
class message {
public:
  explicit message(const ws_message *raw) noexcept : raw_(raw) {}

  [[nodiscard]] ws::kind kind() const noexcept { return static_cast<ws::kind>(raw_->kind); }

  /// The payload; for a Close, the reason.
  [[nodiscard]] bytes_view bytes() const noexcept { return {raw_->data, raw_->len}; }

  /// The payload as characters: valid UTF-8 if kind() is text or close. Not NUL-terminated.
  [[nodiscard]] std::string_view text() const noexcept { return bytes().text(); }

  /// The code of a Close (RFC 6455 section 7.4), or 1005 if the peer sent none. Otherwise 0.
  [[nodiscard]] std::int32_t close_code() const noexcept { return raw_->close_code; }

  /// False for a part of a message that more parts follow; only with option::deliver_fragments.
  [[nodiscard]] bool is_final() const noexcept { return raw_->is_final != 0; }

  [[nodiscard]] const ws_message *get() const noexcept { return raw_; }

private:
  const ws_message *raw_;
};

/// Messages that were read together: `for (ws::message message : messages)`. All of them are valid until the next read
/// on their connection, or until the connection is destroyed.
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

/// What service() found. The messages are valid whatever the outcome is: they arrived before it.
struct serviced {
  messages found;
  bool more = false;
  result<void> outcome;
};

/// Name and value of an HTTP header. Both are valid as long as the connection that returned them.
struct header {
  std::string_view name;
  std::string_view value;
};

// ---------------------------------------------------------------------------------------------------------------------
// Implementation of the handles.

namespace detail {

/// Owns a handle of the C API and frees it with Free.
template <auto Free> struct deleter {
  template <class T> void operator()(T *handle) const noexcept { Free(handle); }
};
template <class T, auto Free> using owner = std::unique_ptr<T, deleter<Free>>;

/// Why a call without a connection failed: the thread records it.
inline failure last_failure(ws_status_t status) noexcept {
  return failure(static_cast<errc>(status), ws_last_error_message());
}

/// The same as a result.
inline result<void> done(ws_status_t status) noexcept {
  if (status != WS_OK) return last_failure(status);
  return {};
}

/// The same for a call that the system may refuse: errno has the reason.
inline failure system_failure(ws_status_t status) noexcept {
  if (status == WS_ERR_IO && errno != 0) return std::error_code(errno, std::system_category());
  return last_failure(status);
}

/// Converts milliseconds to a parameter of the C API; values out of range are clamped.
inline std::int32_t timeout(milliseconds time) noexcept {
  constexpr milliseconds::rep most = std::numeric_limits<std::int32_t>::max();
  return static_cast<std::int32_t>(std::min(std::max<milliseconds::rep>(time.count(), -1), most));
}

/// Converts a C string that may be NULL.
inline std::optional<std::string_view> optional_text(const char *text) noexcept {
  if (!text) return std::nullopt;
  return std::string_view(text);
}

/// A NUL-terminated copy of a string_view, for a call to C. A string that contains a NUL is refused, because C would
/// cut it short.
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

/// Initial settings of a connection or listener. A configuration is copied when it is used; it may be changed or
/// destroyed at any time afterwards. Only one thread at a time may use it.
class config {
public:
  /// Creates a configuration with the default values. If check_abi() fails, it is empty, and every call on it says so.
  config() noexcept : config_(ws_abi_version() == WS_ABI_VERSION ? ws_config_new() : nullptr) {}

  /// Sets an option. errc::invalid_argument: the value is out of range.
  result<void> set(option name, std::uint64_t value) noexcept {
    return done(ws_config_set(get(), static_cast<std::int32_t>(name), value));
  }

  /// The same for options in milliseconds. errc::invalid_argument also for a negative time.
  result<void> set(option name, milliseconds time) noexcept {
    if (time < time.zero()) return errc::invalid_argument;
    return set(name, static_cast<std::uint64_t>(time.count()));
  }

  /// Returns the value of an option.
  result<std::uint64_t> get(option name) const noexcept {
    std::uint64_t value = 0;
    auto read = done(ws_config_get(get(), static_cast<std::int32_t>(name), &value));
    if (!read) return read.take_failure();
    return value;
  }

  /// Adds a header to the request of a client, or to every response of a server. errc::invalid_argument: name or value
  /// is not allowed by the HTTP grammar (for example CR, LF or NUL), or the header belongs to the handshake.
  result<void> add_header(std::string_view name, std::string_view value) noexcept {
    const detail::c_string c_name(name), c_value(value);
    if (!c_name) return c_name.why();
    if (!c_value) return c_value.why();
    return done(ws_config_add_header(get(), c_name.get(), c_value.get()));
  }

  /// Adds a subprotocol (RFC 6455 section 1.9), in order of preference. errc::invalid_argument: not a token, or it has
  /// been added before.
  result<void> add_protocol(std::string_view name) noexcept {
    const detail::c_string c_name(name);
    if (!c_name) return c_name.why();
    return done(ws_config_add_protocol(get(), c_name.get()));
  }

  /// Sets the proxy for connect(): "http://user:password@host:port", or the same with socks5 or socks5h; std::nullopt
  /// removes it. errc::invalid_argument: not such a URL.
  result<void> set_proxy(std::optional<std::string_view> url) noexcept {
    if (!url) return done(ws_config_set_proxy(get(), nullptr));
    const detail::c_string c_url(*url);
    if (!c_url) return c_url.why();
    return done(ws_config_set_proxy(get(), c_url.get()));
  }

  /// Sets the trusted certificates for wss://, in PEM, in place of the system's. errc::invalid_argument: it contains no
  /// certificate or a malformed one; errc::unsupported: the library was built without TLS.
  result<void> set_tls_roots(bytes_view pem) noexcept {
    return done(ws_config_set_tls_roots(get(), pem.data(), pem.size()));
  }

  /// Sets the own certificate, in PEM: the chain, own certificate first, and its private key. errc::invalid_argument:
  /// one of them is missing or malformed, or they do not match; errc::unsupported: the library was built without TLS.
  result<void> set_tls_identity(bytes_view chain_pem, bytes_view key_pem) noexcept {
    return done(ws_config_set_tls_identity(get(), chain_pem.data(), chain_pem.size(), key_pem.data(), key_pem.size()));
  }

  /// Describes the last failure of a call on this configuration: for example, what is wrong with a header, a proxy, a
  /// certificate or a value. "" if there was none. Valid until the next such call that fails.
  [[nodiscard]] const char *error_message() const noexcept { return ws_config_error_message(get()); }

  [[nodiscard]] explicit operator bool() const noexcept { return config_ != nullptr; }
  [[nodiscard]] ws_config *get() const noexcept { return config_.get(); }

private:
  /// If the library does not match this header, that is the reason rather than the empty configuration.
  static result<void> done(ws_status_t status) noexcept {
    if (auto abi = check_abi(); !abi) return abi;
    return detail::done(status);
  }

  detail::owner<ws_config, ws_config_free> config_;
};

/// Returns the URL of the proxy that the environment names for a URL, by the rules of option::proxy_from_environment
/// and in the form that config::set_proxy() takes; "" for none. For a program that makes other connections and wants to
/// use the same proxy. The result is a copy.
///
/// errc::url; errc::proxy: the variable names no usable proxy; errc::invalid_argument: the URL contains a NUL;
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

/// Result of a callable that moves bytes: `count` bytes, or `error`, which is errno (EAGAIN: nothing now) or
/// WSAGetLastError(). Receiving 0 bytes without an error means the end of the stream.
struct transfer {
  std::size_t count;
  std::int32_t error = 0;
};

namespace detail {

/// The user's callables, called by the functions that the C API calls.
struct callables {
  bool are_running = false;  ///< a callable is running, under the connection's lock
  void (*const free)(callables *);

  explicit callables(void (*how)(callables *)) noexcept : free(how) {}
};

/// If a callable destroys its own connection while it runs, C does nothing, and the callables stay with the connection.
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

/// A text or binary message that is framed once for many connections: see prepare_message(). Any number of threads may
/// send the same one.
class prepared {
public:
  prepared() noexcept = default;
  /// Takes ownership of a handle of the C API.
  explicit prepared(ws_prepared *handle) noexcept : prepared_(handle) {}

  [[nodiscard]] explicit operator bool() const noexcept { return prepared_ != nullptr; }
  [[nodiscard]] ws_prepared *get() const noexcept { return prepared_.get(); }

private:
  detail::owner<ws_prepared, ws_prepared_free> prepared_;
};

/// A connection. connect() and listener::accept() create one over a socket of the library; client(), server() and
/// from_partially_read() create one over your own socket or callables, or in memory.
class connection {
public:
  connection() noexcept = default;
  /// Takes ownership of a handle of the C API.
  explicit connection(ws_conn *handle) noexcept : conn_(handle) {}
  connection(connection &&) noexcept = default;
  connection &operator=(connection &&other) noexcept {
    connection taken(std::move(other)); // frees the old handle before the callables that it calls
    std::swap(callables_, taken.callables_);
    std::swap(conn_, taken.conn_);
    return *this;
  }

  /// Creates a client for a ws:// or wss:// URL over your own transport, which has to provide TLS if that is wanted.
  /// Next, call set_socket() or set_io(), or neither for memory mode, then handshake().
  ///
  /// errc::url, errc::no_memory; errc::invalid_argument: an empty configuration, or a NUL in the URL;
  /// errc::abi_mismatch.
  [[nodiscard]] static result<connection> client(std::string_view url) noexcept { return make_client(nullptr, url); }
  [[nodiscard]] static result<connection> client(std::string_view url, const config &config) noexcept {
    if (!config) return empty();
    return make_client(config.get(), url);
  }

  /// Creates a server's end over your own transport. Next, call set_socket() or set_io(), or neither for memory mode,
  /// then handshake().
  ///
  /// errc::invalid_argument: an empty configuration; errc::abi_mismatch.
  [[nodiscard]] static result<connection> server() noexcept { return make_server(nullptr); }
  [[nodiscard]] static result<connection> server(const config &config) noexcept {
    if (!config) return empty();
    return make_server(config.get());
  }

  /// Creates a connection whose opening handshake has been done elsewhere. `part` holds the bytes that were already
  /// received after the HTTP head; they are copied and read first.
  ///
  /// errc::invalid_argument: there is no such role, or an empty configuration; errc::no_memory, errc::abi_mismatch.
  [[nodiscard]] static result<connection> from_partially_read(ws::role role, bytes_view part) noexcept {
    return make_open(nullptr, role, part);
  }
  [[nodiscard]] static result<connection> from_partially_read(ws::role role, bytes_view part,
                                                              const config &config) noexcept {
    if (!config) return empty();
    return make_open(config.get(), role, part);
  }

  /// Makes two callables the transport of the connection:
  ///
  ///     ws::transfer receive(ws::view<std::uint8_t> room);
  ///     ws::transfer send(ws::bytes_view bytes);
  ///
  /// They are moved into the handle and live as long as it does. They are called from within calls on this connection,
  /// one at a time, on the thread that makes the call; their arguments are valid until they return. They must not throw
  /// (std::terminate) and must not call back into the connection (errc::misuse). A connection destroyed by its own
  /// callable is leaked.
  ///
  /// errc::misuse: the connection already has a transport; errc::no_memory.
  template <class Receive, class Send> result<void> set_io(Receive receive, Send send) noexcept {
    using both = detail::pair_of_callables<Receive, Send>;
    std::unique_ptr<detail::callables, detail::callables_deleter> callables(
        new (std::nothrow) both(std::move(receive), std::move(send)));
    if (!callables) return errc::no_memory;
    auto set = done(ws_set_io(get(), &both::receive, &both::send, static_cast<both *>(callables.get())));
    if (set) callables_ = std::move(callables);
    return set;
  }

  /// Makes your own connected stream socket the transport of the connection. Its flags are not changed, and it is never
  /// closed: close it after this handle. errc::invalid_argument: not a stream socket; errc::misuse: the connection
  /// already has a transport; errc::unsupported: the library was built without sockets.
  result<void> set_socket(ws_socket socket) noexcept { return done(ws_set_socket(get(), socket)); }

  /// Frees the connection and closes its socket if the library opened it, without waiting and without a Close. Calling
  /// it again has no effect.
  void reset() noexcept { *this = connection(); }

  [[nodiscard]] explicit operator bool() const noexcept { return conn_ != nullptr; }
  [[nodiscard]] ws_conn *get() const noexcept { return conn_.get(); }

  // The opening handshake (RFC 6455 section 4).

  /// Performs the opening handshake. Success: it is complete, or a server has a request for accept() or reject()
  /// (option::auto_accept off).
  ///
  /// errc::would_block: waiting for the peer. errc::handshake: refused (see http_status(), http_body()) or malformed;
  /// errc::capacity: the HTTP head is too long; errc::io, errc::tls, errc::proxy, errc::timeout, errc::no_memory;
  /// afterwards errc::connection_closed, errc::already_closed. errc::misuse: another thread is inside a read.
  result<void> handshake() noexcept { return done(ws_handshake(get())); }

  /// Returns the method of the request that a server has received: "GET", unless option::plain_requests is on. Valid as
  /// long as the connection.
  [[nodiscard]] std::optional<std::string_view> request_method() const noexcept {
    return detail::optional_text(ws_request_method(get()));
  }

  /// Whether the request that a server has received is a WebSocket request, which accept() can accept.
  [[nodiscard]] bool is_upgrade() const noexcept { return ws_is_upgrade(get()) == 1; }

  /// Returns the target of the request that a server has received, for example "/chat?room=1". Valid as long as the
  /// connection.
  [[nodiscard]] std::optional<std::string_view> request_target() const noexcept {
    return detail::optional_text(ws_request_target(get()));
  }

  /// Returns the value of the first header with this name (case-insensitive) that the peer sent. Valid as long as the
  /// connection; with option::keep_head 0, this and the results of the neighbouring functions are only available until
  /// the opening handshake is complete.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const noexcept {
    return detail::optional_text(ws_header(get(), detail::c_string(name).get()));
  }

  /// Returns the peer's header number `index`, counting from 0; none after the last. Valid as long as the connection.
  [[nodiscard]] std::optional<ws::header> header_at(std::size_t index) const noexcept {
    const char *name = nullptr, *value = nullptr;
    if (ws_header_at(get(), index, &name, &value) != WS_OK) return std::nullopt;
    return ws::header{name, value};
  }

  /// Returns the negotiated subprotocol. Valid as long as the connection.
  [[nodiscard]] std::optional<std::string_view> protocol() const noexcept {
    return detail::optional_text(ws_protocol(get()));
  }

  /// Returns the HTTP status of the server's answer to a client: 101 if it accepted; 0 before the answer, and on a
  /// server.
  [[nodiscard]] std::int32_t http_status() const noexcept { return ws_http_status(get()); }

  /// Returns the body with which the server refused a client, up to option::max_head_size bytes. Valid as long as the
  /// connection.
  [[nodiscard]] bytes_view http_body() const noexcept {
    const std::uint8_t *data = nullptr;
    std::size_t len = 0;
    if (ws_http_body(get(), &data, &len) != WS_OK) return {};
    return {data, len};
  }

  /// On a server at state::request: adds a header to the response, after those of the configuration.
  ///
  /// errc::invalid_argument: name or value is not allowed by the HTTP grammar (for example CR, LF or NUL), or the
  /// header belongs to the handshake; errc::misuse: there is no request.
  result<void> add_header(std::string_view name, std::string_view value) noexcept {
    const detail::c_string c_name(name), c_value(value);
    if (!c_name) return c_name.why();
    if (!c_value) return c_value.why();
    return done(ws_add_header(get(), c_name.get(), c_value.get()));
  }

  /// On a server at state::request: accepts the request, with one of the offered subprotocols, or with the first one of
  /// the configuration that was offered.
  ///
  /// errc::invalid_argument: the subprotocol was not offered, and the request still waits; errc::misuse: there is no
  /// request, or it is not a WebSocket request (see is_upgrade()) and still waits; errc::already_closed; errc::io,
  /// errc::tls, errc::no_memory.
  result<void> accept() noexcept { return done(ws_accept(get(), nullptr)); }
  result<void> accept(std::string_view protocol) noexcept {
    const detail::c_string c_protocol(protocol);
    if (!c_protocol) return c_protocol.why();
    return done(ws_accept(get(), c_protocol.get()));
  }

  /// On a server at state::request: answers the request with an HTTP status from 200 to 599 and ends the connection.
  /// Then call write_pending() until errc::connection_closed. No body is sent where HTTP allows none (204, 205, 304,
  /// answers to HEAD).
  ///
  /// errc::invalid_argument: the status is not allowed, and the request still waits; errc::misuse: there is no request;
  /// errc::already_closed; errc::io, errc::tls, errc::no_memory.
  result<void> reject(std::int32_t http_status, std::string_view body = {}) noexcept {
    return done(ws_reject(get(), http_status, body.data(), body.size()));
  }

  // Messages (RFC 6455 sections 5 and 6).

  /// Reads the next message. Completes the opening handshake first if it is not done yet, and sends what is pending.
  /// The peer's Close is delivered as a message: read on until errc::connection_closed. The message is valid until the
  /// next read.
  ///
  /// errc::would_block: no complete message yet. errc::protocol, errc::utf8, errc::capacity: the peer violated the
  /// protocol or exceeded a limit; errc::io, errc::tls, errc::proxy, errc::timeout, errc::handshake: the connection is
  /// over; after all of these, read on. errc::connection_closed: the end, returned once, then errc::already_closed.
  /// errc::misuse: another thread is inside a read, or a request waits. errc::no_memory.
  result<message> read_message() noexcept {
    const ws_message *out = nullptr;
    const ws_status_t status = ws_read_message(get(), &out);
    if (status != WS_OK) return why(status);
    return message(out);
  }

  /// Reads the next message and all complete messages already received behind it. All are valid until the next read.
  /// Errors as for read_message().
  result<messages> read_messages() noexcept {
    const ws_message *const *out = nullptr;
    std::size_t count = 0;
    const ws_status_t status = ws_read_messages(get(), &out, &count);
    if (status != WS_OK) return why(status);
    return messages(out, count);
  }

  /// One call a frame, for games: sends what is pending, receives at most once, never blocks, and hands out complete messages, at
  /// most `max_messages` of them, and no more once they have `max_bytes` bytes; 0 means no limit. `more`: another call may find more
  /// at once. Nothing to read is no error. Errors as for read_message() otherwise.
  serviced service(std::size_t max_messages = 0, std::size_t max_bytes = 0) noexcept {
    const ws_message *const *out = nullptr;
    std::size_t count = 0;
    std::int32_t more = 0;
    const ws_status_t status = ws_service(get(), max_messages, max_bytes, &out, &count, &more);
    return {messages(out, count), more != 0, done(status)};
  }

  /// Sends a message, or queues what the transport does not accept now.
  ///
  /// errc::send_queue_full: not accepted, nothing has changed: call write_pending(), then send it again.
  /// errc::capacity: it exceeds option::max_sent_size; errc::utf8: a text is not valid UTF-8; errc::invalid_argument: a
  /// Ping or Pong over 125 bytes, a reason over 123; errc::misuse: the opening handshake is not complete, or a message
  /// is being sent in fragments; nothing has changed either. errc::connection_closed: the connection is closing;
  /// errc::already_closed. errc::io, errc::tls, errc::timeout: the connection is over. errc::no_memory. Never
  /// errc::would_block.
  result<void> write_message(ws::kind kind, bytes_view payload) noexcept {
    return done(ws_write_message(get(), static_cast<std::int32_t>(kind), payload.data(), payload.size()));
  }

  /// The same for a received message, of this or another connection: an echo needs no copy.
  result<void> write_message(message message) noexcept { return write_message(message.kind(), message.bytes()); }

  /// write_message() for text, in UTF-8.
  result<void> write_text(std::string_view text) noexcept { return write_message(kind::text, text); }

  /// write_message() for bytes.
  result<void> write_binary(bytes_view bytes) noexcept { return write_message(kind::binary, bytes); }

  /// Sends received messages, of this or another connection, all together; a Close among them is skipped. Accepted
  /// messages are removed from the front of `batch`.
  ///
  /// Errors as for write_message(). errc::send_queue_full: after write_pending(), call this again with what is left.
  result<void> write_messages(messages &batch) noexcept {
    std::size_t accepted = 0;
    const ws_status_t status = ws_write_messages(get(), batch.get(), batch.size(), &accepted);
    batch = messages(batch.get() + accepted, batch.size() - accepted);
    return done(status);
  }

  /// Like write_message(), but only queues the message. It is sent by the next write, by write_pending(), or by a read
  /// that needs more bytes.
  ///
  /// Errors as for write_message() except errc::io, errc::tls and errc::timeout.
  result<void> queue_message(ws::kind kind, bytes_view payload) noexcept {
    return done(ws_queue_message(get(), static_cast<std::int32_t>(kind), payload.data(), payload.size()));
  }
  result<void> queue_message(message message) noexcept { return queue_message(message.kind(), message.bytes()); }

  /// write_message() for a prepared message: a server does not copy it. Errors as for write_message().
  result<void> write_prepared(const prepared &message) noexcept {
    return done(ws_write_prepared(get(), message.get()));
  }

  /// Sends the next fragment of a text or binary message (RFC 6455 section 5.4). A text may be split anywhere; Pings,
  /// Pongs and a Close may be sent between fragments. Errors as for write_message(); errc::misuse also if the kind
  /// differs from that of the first fragment.
  result<void> write_fragment(ws::kind kind, bytes_view payload, bool is_final) noexcept {
    return done(ws_write_fragment(get(), static_cast<std::int32_t>(kind), payload.data(), payload.size(), is_final));
  }

  /// Sends what is pending. Success: nothing is left. errc::would_block: the transport does not accept all of it. After
  /// a Close: errc::connection_closed when the connection is over. errc::io, errc::tls, errc::timeout.
  result<void> write_pending() noexcept { return done(ws_write_pending(get())); }

  /// Starts the closing handshake (RFC 6455 section 7) behind the messages accepted before; there is always room. Code
  /// 0 sends neither code nor reason. Then read until errc::connection_closed. Calling it again has no effect.
  ///
  /// errc::invalid_argument: the code may not be sent, the reason is over 123 bytes, or there is a reason without a
  /// code; errc::utf8; errc::misuse: the opening handshake is not complete; errc::already_closed; errc::io, errc::tls;
  /// errc::no_memory.
  result<void> close(std::uint16_t code = 1000, std::string_view reason = {}) noexcept {
    return done(ws_close(get(), code, reason.data(), reason.size()));
  }

  // State and options. None of these functions waits for the peer.

  /// Returns the state; state::closed also for an empty or a dead handle, and within the connection's own callable.
  [[nodiscard]] ws::state state() const noexcept {
    const std::int32_t state = ws_get_state(get());
    return state < 0 ? ws::state::closed : static_cast<ws::state>(state);
  }

  /// Whether messages from the peer may still arrive.
  [[nodiscard]] bool can_read() const noexcept { return ws_can_read(get()) != 0; }

  /// Whether messages can be sent.
  [[nodiscard]] bool can_write() const noexcept { return ws_can_write(get()) != 0; }

  /// Whether the next read may return something without waiting. A loop that stops reading before errc::would_block has
  /// to check this before it waits.
  [[nodiscard]] bool has_input() const noexcept { return ws_has_input(get()) != 0; }

  /// Returns what to wait for after errc::would_block.
  [[nodiscard]] wants interest() const noexcept {
    const std::uint32_t flags = ws_interest(get());
    return {(flags & WS_WANT_READ) != 0, (flags & WS_WANT_WRITE) != 0};
  }

  /// Returns the number of bytes waiting to be sent.
  [[nodiscard]] std::size_t queued_bytes() const noexcept { return ws_queued_bytes(get()); }

  /// Returns the code of the peer's Close, or 1005 if it had none. If the connection failed without one, returns the
  /// code that was sent to the peer, or 1006 if none could be sent. 0 if neither has happened.
  [[nodiscard]] std::int32_t close_code() const noexcept { return ws_close_code(get()); }

  /// Returns the round-trip time of the last answered Ping of option::ping_interval_ms; none if none has been answered.
  [[nodiscard]] std::optional<milliseconds> latency() const noexcept {
    const std::int64_t latency = ws_latency(get());
    if (latency < 0) return std::nullopt;
    return milliseconds(latency);
  }

  /// Returns the cause of the last errc::io: errno, or what a callable returned. False if it is unknown.
  [[nodiscard]] std::error_code io_error() const noexcept { return {ws_io_error(get()), std::system_category()}; }

  /// Describes the last call that failed: what went wrong, and where in the stream. "" if none failed, and after
  /// errc::would_block, which is not a failure. The result is a copy, because other threads may fail meanwhile.
  [[nodiscard]] std::string error_message() const {
    const auto sentence = last_sentence();
    return sentence ? sentence.get() : std::string();
  }

  /// Sets an option. It applies from the next call on, and to a call that another thread is waiting in.
  /// errc::invalid_argument: the value is out of range, or the option is for a configuration only.
  result<void> set_option(option name, std::uint64_t value) noexcept {
    return done(ws_set_option(get(), static_cast<std::int32_t>(name), value));
  }
  result<void> set_option(option name, milliseconds time) noexcept {
    if (time < time.zero()) return errc::invalid_argument;
    return set_option(name, static_cast<std::uint64_t>(time.count()));
  }

  /// Returns the value of an option. Options of permessage-deflate (RFC 7692) have the negotiated values.
  result<std::uint64_t> get_option(option name) const noexcept {
    std::uint64_t value = 0;
    const ws_status_t status = ws_get_option(get(), static_cast<std::int32_t>(name), &value);
    if (status != WS_OK) return why(status);
    return value;
  }

  /// Returns the socket, for your own event loop; -1 if there is none. It may change while the connection is being
  /// opened.
  [[nodiscard]] ws_socket socket() const noexcept { return ws_get_socket(get()); }

  // Memory mode: feed what has been received, read until errc::would_block, send what output() lends, and pass the time
  // with tick(). On a connection with another transport all of these return errc::misuse.

  /// Lends memory to receive into. It stays valid until input_commit(), whatever is read or queued meanwhile; it is
  /// empty if messages have to be read first. errc::misuse: memory is already lent, or feed_eof() has been called;
  /// errc::no_memory.
  result<view<std::uint8_t>> input() noexcept {
    std::uint8_t *data = nullptr;
    std::size_t len = 0;
    const ws_status_t status = ws_input(get(), &data, &len);
    if (status != WS_OK) return why(status);
    return view<std::uint8_t>(data, len);
  }

  /// Gives back the lent memory, of which the first `n` bytes have been received; `n` may be 0. errc::invalid_argument:
  /// `n` is more than was lent; errc::misuse: nothing is lent.
  result<void> input_commit(std::size_t n) noexcept { return done(ws_input_commit(get(), n)); }

  /// Copies received bytes into the connection and returns how many it had room for. If that is not all, read until
  /// errc::would_block, then feed the rest. errc::misuse: memory is lent, or feed_eof() has been called;
  /// errc::no_memory.
  result<std::size_t> feed(bytes_view bytes) noexcept {
    std::size_t consumed = 0;
    const ws_status_t status = ws_feed(get(), bytes.data(), bytes.size(), &consumed);
    if (status != WS_OK) return why(status);
    return consumed;
  }

  /// Tells the connection that the peer has ended the stream. What has been received can still be read.
  result<void> feed_eof() noexcept { return done(ws_feed_eof(get())); }

  /// Lends the next bytes to send; empty if there are none. They stay valid until output_advance(), whatever is queued
  /// meanwhile. More bytes may follow.
  result<bytes_view> output() noexcept {
    const std::uint8_t *data = nullptr;
    std::size_t len = 0;
    const ws_status_t status = ws_output(get(), &data, &len);
    if (status != WS_OK) return why(status);
    return bytes_view(data, len);
  }

  /// Gives back the lent bytes, of which the first `n` have been sent. errc::invalid_argument: `n` is more than was
  /// lent.
  result<void> output_advance(std::size_t n) noexcept { return done(ws_output_advance(get(), n)); }

  /// Copies the next bytes to send, as many as fit, and returns their number. For programs that send from their own
  /// buffer.
  result<std::size_t> output_take(view<std::uint8_t> room) noexcept {
    std::size_t n = 0;
    const ws_status_t status = ws_output_take(get(), room.data(), room.size(), &n);
    if (status != WS_OK) return why(status);
    return n;
  }

  // Time and waiting.

  /// In memory mode and with callables: sets the clock, since any start, and does what is due. errc::timeout: a
  /// deadline passed, read on until errc::connection_closed; errc::misuse: the connection uses the library's clock;
  /// errc::invalid_argument: a negative time.
  result<void> tick(milliseconds now) noexcept {
    if (now < now.zero()) return errc::invalid_argument;
    return done(ws_tick(get(), static_cast<std::uint64_t>(now.count())));
  }

  /// Returns when something is due next, on the clock of the connection: that of ws::now() with a socket, that of
  /// tick() otherwise. None: never.
  [[nodiscard]] std::optional<milliseconds> next_deadline() const noexcept {
    const std::uint64_t deadline = ws_next_deadline(get());
    if (deadline > static_cast<std::uint64_t>(milliseconds::max().count())) return std::nullopt;
    return milliseconds(deadline);
  }

  /// Waits until there is something to do, but no longer than `timeout` (negative: no limit). Other threads may use the
  /// connection meanwhile. errc::would_block: the timeout has passed; errc::misuse: there is no socket; errc::io.
  result<void> wait(milliseconds timeout) noexcept { return done(ws_wait(get(), detail::timeout(timeout))); }

  /// Stops (false) or resumes (true) reporting of input by its poller: for a connection whose send queue is full.
  /// errc::misuse: the connection is not in a poller.
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

  /// A failure with its sentence. errc::would_block and the end have none.
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

  /// A copy of the last sentence, cut if another thread replaces it by a longer one; NULL if there is none.
  std::unique_ptr<char[]> last_sentence() const noexcept {
    const std::size_t len = ws_copy_error_message(get(), nullptr, 0);
    std::unique_ptr<char[]> sentence(len > 0 ? new (std::nothrow) char[len + 1] : nullptr);
    if (sentence) ws_copy_error_message(get(), sentence.get(), len + 1);
    return sentence;
  }

  std::unique_ptr<detail::callables, detail::callables_deleter> callables_;  // goes after the handle that calls them
  detail::owner<ws_conn, ws_free> conn_;
};

/// Host and port of a URL.
struct destination {
  std::string host;        ///< The host that is looked up and sent to the server; IPv6 without brackets.
  std::uint16_t port = 0;  ///< 80, or 443 for wss://, if the URL contains no port.
};

/// Checks a URL as connect() does, without opening anything, and returns its host and port. The host is in lower case,
/// internationalised names in their ASCII form (IDNA), addresses in their canonical form; "localhost" for ws+unix://. A
/// program that only allows certain hosts has to compare this host.
///
/// errc::url: the URL is not valid or not supported; errc::invalid_argument: it contains a NUL, is not UTF-8, or the
/// host is longer than a thousand bytes; errc::no_memory.
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

/// Starts connecting to a URL: ws:// over TCP, wss:// over TLS, ws+unix://PATH:/TARGET over a Unix socket. It never
/// waits: connection::handshake() completes the connection and reports what fails on the way. Blocking, unless
/// option::blocking is 0.
///
/// errc::url; errc::invalid_argument: an empty configuration, a URL with a NUL or not in UTF-8, or a path that is too
/// long; errc::unsupported: wss, but the library was built without TLS, or it was built without sockets; an error of
/// the system, for example out of file descriptors; errc::no_memory, errc::abi_mismatch.
[[nodiscard]] inline result<connection> connect(std::string_view url) noexcept {
  if (auto abi = check_abi(); !abi) return abi.take_failure();
  return detail::connect(nullptr, url);
}
[[nodiscard]] inline result<connection> connect(std::string_view url, const config &config) noexcept {
  if (auto abi = check_abi(); !abi) return abi.take_failure();
  if (!config) return errc::invalid_argument;
  return detail::connect(config.get(), url);
}

/// Frames a text or binary message once, to be sent many times with connection::write_prepared(). The bytes are copied.
///
/// errc::utf8: a text is not valid UTF-8; errc::invalid_argument: another kind; errc::no_memory, errc::abi_mismatch.
[[nodiscard]] inline result<prepared> prepare_message(kind kind, bytes_view payload) noexcept {
  if (auto abi = check_abi(); !abi) return abi.take_failure();
  ws_prepared *out = nullptr;
  const ws_status_t status = ws_prepare_message(static_cast<std::int32_t>(kind), payload.data(), payload.size(), &out);
  if (status != WS_OK) return detail::last_failure(status);
  return prepared(out);
}

// ---------------------------------------------------------------------------------------------------------------------
// LISTENING.

/// Accepts connections: see listen(). Several threads may use it at the same time.
class listener {
public:
  listener() noexcept = default;
  /// Takes ownership of a handle of the C API.
  explicit listener(ws_listener *handle) noexcept : listener_(handle) {}

  /// Accepts the next connection. Its opening handshake is still to be done, by handshake() or by the first read.
  ///
  /// errc::would_block: no connection is waiting, or option::read_timeout_ms has passed. An error of the system, for
  /// example std::errc::too_many_files_open: the listener remains usable.
  result<connection> accept() noexcept {
    ws_conn *out = nullptr;
    const ws_status_t status = ws_listener_accept(get(), &out);
    if (status != WS_OK) return detail::system_failure(status);
    return connection(out);
  }

  /// Returns the listening socket, for your own event loop; -1 for an empty handle.
  [[nodiscard]] ws_socket socket() const noexcept { return ws_listener_socket(get()); }

  /// Returns the port on which it listens; 0 for an empty handle and for a Unix socket.
  [[nodiscard]] std::int32_t port() const noexcept { return ws_listener_port(get()); }

  /// Stops listening; connections that it accepted continue. Calling it again has no effect.
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

/// Listens on the host and port of a ws:// or wss:// URL, or on the path of a ws+unix:// URL. Port 0 selects a free
/// port (see listener::port()). The configuration also applies to the accepted connections.
///
/// An error of the system, for example std::errc::address_in_use; errc::io: the host was not found; errc::url;
/// errc::tls: a wss:// URL, but the configuration has no usable certificate; errc::unsupported: wss, but the library
/// was built without TLS, or it was built without sockets; errc::invalid_argument, errc::abi_mismatch.
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

/// Waits for any number of connections and listeners at once, on one thread; any thread may add, remove and wake. When
/// a token is reported, read until errc::would_block, or as much as one turn may take: what is left is reported again.
/// Handles that were added may be moved and freed at any time.
class poller {
public:
  poller() noexcept = default;
  /// Takes ownership of a handle of the C API.
  explicit poller(ws_poller *handle) noexcept : poller_(handle) {}

  /// Creates a poller. An error of the system; errc::abi_mismatch.
  [[nodiscard]] static result<poller> create() noexcept {
    if (auto abi = check_abi(); !abi) return abi.take_failure();
    ws_poller *out = nullptr;
    const ws_status_t status = ws_poller_new(&out);
    if (status != WS_OK) return detail::system_failure(status);
    return poller(out);
  }

  /// Adds a connection, which wait() reports as `token`. errc::misuse: it has no socket, or is already in a poller; an
  /// error of the system.
  result<void> add(connection &conn, std::uint64_t token) noexcept {
    return done(ws_poller_add(get(), conn.get(), token));
  }

  /// Removes a connection. errc::misuse: it is not in this poller.
  result<void> remove(connection &conn) noexcept { return done(ws_poller_remove(get(), conn.get())); }

  /// Adds a listener, which should have option::blocking 0. Its token is reported while connections wait to be
  /// accepted. errc::misuse: it is already in a poller; an error of the system.
  result<void> add_listener(listener &listener, std::uint64_t token) noexcept {
    return done(ws_poller_add_listener(get(), listener.get(), token));
  }

  /// Ends the wait that another thread is in, or else the next one. May also be called from a signal handler.
  result<void> wake() noexcept { return done(ws_poller_wake(get())); }

  /// Waits until some of them have something to do, but no longer than `timeout` (negative: no limit). Returns the part
  /// of `room` that contains tokens; it is empty after wake(). Tokens for which there was no room come first next time.
  /// Only one thread at a time may wait.
  ///
  /// errc::would_block: the timeout has passed; errc::misuse: another thread is waiting; errc::invalid_argument: no
  /// room; an error of the system.
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

  using std::error_category::equivalent;

  // Not all systems have one number for these two.
  bool equivalent(int value, const std::error_condition &condition) const noexcept override {
    return std::error_category::equivalent(value, condition) ||
           (value == static_cast<int>(errc::would_block) && condition == std::errc::resource_unavailable_try_again);
  }
};

}  // namespace detail

inline const std::error_category &category() noexcept {
  static const detail::wsabi_category category;
  return category;
}

}  // namespace ws

#endif
