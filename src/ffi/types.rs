//! # Types and constants
//!
//! Constants are enumerators, but functions take them as int32_t and validate them. Numbers never
//! change and are never reused. No struct is passed by value or filled in by the caller.

use std::ffi::c_void;

/// Version of this ABI: the N of libwsabi.so.N. A program that loads the library at run time
/// compares it with ws_abi_version().
pub const WS_ABI_VERSION: u32 = 1;

/// Result of a call, as an int32_t. WS_OK is 0; numbers from -1 down concern the connection,
/// numbers from -100 down concern the caller or the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum ws_status {
    /// Success.
    WS_OK = 0,
    /// Not a failure: nothing can be done now. Wait for ws_interest(), then call again.
    WS_ERR_WOULD_BLOCK = -1,
    /// The transport failed. ws_io_error() returns errno or the callback's code.
    WS_ERR_IO = -2,
    /// A message, frame, fragment count or HTTP head exceeds its limit.
    WS_ERR_CAPACITY = -3,
    /// The message was NOT accepted. Send what is pending, then send the message again.
    WS_ERR_SEND_QUEUE_FULL = -4,
    /// The connection is over: free it. From a write: the connection is closing and accepts no
    /// more messages.
    WS_ERR_CONNECTION_CLOSED = -5,
    /// The connection was used again after WS_ERR_CONNECTION_CLOSED had been reported: a bug in
    /// the caller.
    WS_ERR_ALREADY_CLOSED = -6,
    /// The peer violated RFC 6455 or RFC 7692.
    WS_ERR_PROTOCOL = -7,
    /// A text message or a close reason is not valid UTF-8: either the peer's, or the one passed
    /// to the call.
    WS_ERR_UTF8 = -8,
    /// The opening handshake was refused or malformed: see ws_http_status() and ws_http_body().
    WS_ERR_HANDSHAKE = -9,
    /// The URL is not valid or not supported.
    WS_ERR_URL = -10,
    /// The TLS session failed. ws_error_message() names the certificate or the rule that caused
    /// it.
    WS_ERR_TLS = -11,
    /// A deadline passed: connect, handshake, close, pong or idle.
    WS_ERR_TIMEOUT = -12,
    /// The proxy refused the connection, or the host is not a proxy: see ws_config_set_proxy().
    WS_ERR_PROXY = -13,
    /// An argument is NULL, out of range or not allowed. Nothing happened.
    WS_ERR_INVALID_ARGUMENT = -100,
    /// The handle is in the wrong state, a second thread reads, or a callback calls back into its
    /// own connection. Nothing happened.
    WS_ERR_MISUSE = -101,
    /// A buffer could not be allocated.
    WS_ERR_NO_MEMORY = -102,
    /// A bug in the library. The handle is dead: every further call on it fails with this status,
    /// and it can only be freed.
    WS_ERR_INTERNAL = -103,
    /// The library was built without the feature, or the system does not have it.
    WS_ERR_UNSUPPORTED = -104,
}

/// A value of ws_status.
pub type ws_status_t = i32;

/// Kind of a message; the values are the opcodes of RFC 6455.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum ws_kind {
    /// UTF-8 text.
    WS_TEXT = 1,
    /// Arbitrary bytes.
    WS_BINARY = 2,
    /// The closing handshake.
    WS_CLOSE = 8,
    /// A request for a Pong.
    WS_PING = 9,
    /// The answer to a Ping, or an unsolicited heartbeat.
    WS_PONG = 10,
}

/// Which end of the connection a handle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum ws_role {
    /// The end that opened the connection.
    WS_CLIENT = 1,
    /// The end that accepted it.
    WS_SERVER = 2,
}

/// State of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum ws_state {
    /// The connection is being opened: connecting, TLS, opening handshake.
    WS_STATE_CONNECTING = 0,
    /// A server has a request for ws_accept() or ws_reject() (only with WS_OPT_AUTO_ACCEPT off).
    WS_STATE_REQUEST = 1,
    /// Messages can be sent and received.
    WS_STATE_OPEN = 2,
    /// A Close has been sent or received, or the connection has failed. Read until
    /// WS_ERR_CONNECTION_CLOSED.
    WS_STATE_CLOSING = 3,
    /// The connection is over.
    WS_STATE_CLOSED = 4,
}

/// What a connection waits for: the bits that ws_interest() returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum ws_flag {
    /// Bytes from the peer, or the end of the stream.
    WS_WANT_READ = 1,
    /// Room to send.
    WS_WANT_WRITE = 2,
}

/// Options. All values are uint64_t. Switches take 1 (on) and 0 (off). Unless noted otherwise, 0
/// disables a limit or a timeout. "Configuration only" means that ws_set_option() refuses the
/// option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum ws_option {
    /// Maximum size of a received message, in bytes. Also that of a sent message, unless
    /// WS_OPT_MAX_SENT_SIZE is set. Default 64 MiB.
    WS_OPT_MAX_MESSAGE_SIZE = 1,
    /// Maximum size of a received frame, in bytes. Default 16 MiB.
    WS_OPT_MAX_FRAME_SIZE = 2,
    /// Maximum number of frames in one received message. Default 131072.
    WS_OPT_MAX_FRAGMENTS = 3,
    /// Maximum size of an HTTP head, in bytes, and of the part of a refusal's body that is kept.
    /// At least 256. Default 16384.
    WS_OPT_MAX_HEAD_SIZE = 4,
    /// Maximum number of messages waiting to be sent. Default 1024.
    WS_OPT_MAX_SEND_QUEUE = 5,
    /// Maximum number of bytes waiting to be sent. A single larger message is still accepted while
    /// nothing else is waiting. Default 16 MiB.
    WS_OPT_MAX_SEND_BYTES = 6,
    /// A server accepts unmasked frames, which RFC 6455 section 5.1 forbids. Default off.
    WS_OPT_ACCEPT_UNMASKED_FRAMES = 7,
    /// Maximum size of a sent message, in bytes. Default: the value of WS_OPT_MAX_MESSAGE_SIZE.
    WS_OPT_MAX_SENT_SIZE = 8,
    /// Calls wait for the peer instead of returning WS_ERR_WOULD_BLOCK. Default on for sockets
    /// opened by the library, off for your own socket (ws_set_socket()). Has no effect in memory
    /// mode and with callbacks.
    WS_OPT_BLOCKING = 10,
    /// How long a blocking read, handshake or accept waits before it returns WS_ERR_WOULD_BLOCK,
    /// in ms. Default 0: no limit.
    WS_OPT_READ_TIMEOUT_MS = 11,
    /// Time limit for opening the connection, in ms, including name lookup, connecting, TLS and
    /// the opening handshake. Default 10000.
    WS_OPT_HANDSHAKE_TIMEOUT_MS = 12,
    /// Time limit for the closing handshake, in ms. Default 10000.
    WS_OPT_CLOSE_TIMEOUT_MS = 13,
    /// Interval at which Pings are sent, in ms. Default 0: never.
    WS_OPT_PING_INTERVAL_MS = 14,
    /// The connection fails with WS_ERR_TIMEOUT when nothing has been received for this long, in
    /// ms. The socket is read once more before the deadline counts as passed. Default 0: never.
    WS_OPT_IDLE_TIMEOUT_MS = 15,
    /// The connection fails with WS_ERR_TIMEOUT when nothing has been received for this long, in
    /// ms, after a Ping of WS_OPT_PING_INTERVAL_MS was due, or after the transport last accepted
    /// pending bytes, whichever is later (a Ping cannot be sent in the middle of a frame). The
    /// socket is read once more before the deadline counts as passed. Default 20000.
    WS_OPT_PONG_TIMEOUT_MS = 16,
    /// How long a blocking write waits for the transport to accept the message, in ms. Default 0:
    /// no limit.
    WS_OPT_WRITE_TIMEOUT_MS = 17,
    /// Time limit for everything before TLS and the opening handshake, in ms: name lookup, TCP,
    /// proxy. Default 0: only WS_OPT_HANDSHAKE_TIMEOUT_MS applies, which runs from the start in
    /// any case. Configuration only.
    WS_OPT_CONNECT_TIMEOUT_MS = 18,
    /// Answers each Ping with a Pong. Default on.
    WS_OPT_AUTO_PONG = 20,
    /// Delivers received Pings and Pongs to the reader. Default off.
    WS_OPT_DELIVER_CONTROL = 21,
    /// Delivers messages in parts as they arrive (see is_final in ws_message), so that a message
    /// of any size needs constant memory. Parts of a text end between characters.
    /// WS_OPT_MAX_MESSAGE_SIZE still applies. If a message breaks a rule or a limit, what precedes
    /// the violation is delivered first. Default off.
    WS_OPT_DELIVER_FRAGMENTS = 22,
    /// A server accepts every valid request by itself. If off, it stops at WS_STATE_REQUEST.
    /// Default on.
    WS_OPT_AUTO_ACCEPT = 23,
    /// Sets TCP_NODELAY on sockets opened by the library. Default on. Configuration only.
    WS_OPT_TCP_NODELAY = 24,
    /// ws_connect() uses the proxy that the environment names, unless ws_config_set_proxy() names
    /// one. Default off. Configuration only.
    ///
    /// The variables are https_proxy or HTTPS_PROXY for wss, and http_proxy for ws (not
    /// HTTP_PROXY, which in a CGI program comes from a header of its client), then all_proxy or
    /// ALL_PROXY. A value without a scheme is an HTTP proxy.
    ///
    /// no_proxy or NO_PROXY lists the exceptions, separated by commas or spaces: `*`, names (which
    /// include their subdomains), addresses, and blocks such as 10.0.0.0/8, each with or without a
    /// port.
    ///
    /// ws_proxy_for() returns the result. ws_connect() reads the environment: do not use this
    /// option in a program that calls setenv() on other threads.
    WS_OPT_PROXY_FROM_ENVIRONMENT = 25,
    /// Lets several listeners, in one or several processes, listen on the same port. The system
    /// distributes the connections among them (SO_REUSEPORT); for example, one listener per
    /// poller. Default off. Configuration only. On Windows ws_listen() then returns
    /// WS_ERR_UNSUPPORTED: accept in one thread, and hand the connections on.
    WS_OPT_REUSE_PORT = 26,
    /// Keeps the peer's part of the opening handshake (ws_header() and its like) for the lifetime
    /// of the connection. If off, it is dropped when the handshake is complete: a server has it at
    /// WS_STATE_REQUEST until ws_accept(), and pointers into it become invalid then. The
    /// subprotocol and a refusal are always kept. An idle connection then needs about 240 bytes
    /// instead of about 580 plus the size of that head. Default on. Configuration only.
    WS_OPT_KEEP_HEAD = 27,
    /// A server with WS_OPT_AUTO_ACCEPT off stops at WS_STATE_REQUEST for every well-formed
    /// HTTP/1.x request without a body, not only for WebSocket requests: for example, to answer a
    /// load balancer's health check with ws_reject(). ws_is_upgrade() distinguishes the two. A
    /// request with a body is answered with status 413. With WS_OPT_AUTO_ACCEPT on, this option
    /// has no effect. Default off. Configuration only.
    WS_OPT_PLAIN_REQUESTS = 28,
    /// permessage-deflate (RFC 7692): a client offers it, a server accepts it if offered. With
    /// ws_from_partially_read(), it counts as negotiated. Default off.
    ///
    /// This option and those up to 36 are configuration only. On a connection, ws_get_option()
    /// returns what was negotiated. From the first compressed message on, a connection holds
    /// memory for each direction as described at the window options, unless that direction has no
    /// context takeover.
    WS_OPT_DEFLATE = 30,
    /// Compression level, from 1 (fastest) to 9 (smallest). Default 1.
    WS_OPT_DEFLATE_LEVEL = 31,
    /// Messages shorter than this, in bytes, are sent uncompressed. 0: all are compressed. Default
    /// 64.
    WS_OPT_DEFLATE_THRESHOLD = 32,
    /// Size of the window that the client compresses with, as a power of two: 8 to 15, for 256
    /// bytes to 32 KiB. At 15, a client that compresses holds about 380 KB and a server that
    /// inflates about 48 KB; smaller windows need less. Default 15.
    WS_OPT_DEFLATE_CLIENT_MAX_WINDOW_BITS = 33,
    /// The same for the window that the server compresses with. Default 15.
    WS_OPT_DEFLATE_SERVER_MAX_WINDOW_BITS = 34,
    /// The client resets its window after each message: compression is weaker, but neither end
    /// holds memory for this direction between messages. Default off.
    WS_OPT_DEFLATE_CLIENT_NO_CONTEXT_TAKEOVER = 35,
    /// The same for the server. Default off.
    WS_OPT_DEFLATE_SERVER_NO_CONTEXT_TAKEOVER = 36,
    /// A wss:// client verifies the server's certificate. If off, it accepts any server: for tests
    /// only. A listener with trusted certificates (ws_config_set_tls_roots()) requires client
    /// certificates in either case. Default on. Configuration only.
    WS_OPT_TLS_VERIFY = 40,
}

/// A socket: a POSIX file descriptor or a Windows SOCKET.
pub type ws_socket = isize;

/// A received message. The connection owns it; it is valid until the next read on that connection
/// or ws_free(). It is only used through a pointer, so that fields can be added.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ws_message {
    /// The payload; never NULL. WS_TEXT: valid UTF-8, not NUL-terminated. WS_CLOSE: the reason.
    pub data: *const u8,
    /// Length of the payload in bytes.
    pub len: usize,
    /// A value of ws_kind.
    pub kind: i32,
    /// WS_CLOSE: the close code, or 1005 if the peer sent none. Otherwise 0.
    pub close_code: i32,
    /// 0 for a part of a message that more parts follow (only with WS_OPT_DELIVER_FRAGMENTS).
    /// Otherwise 1.
    pub is_final: i32,
}

/// Receives up to `len` bytes into `buf`, stores their number in `*out_n` and returns 0. Storing 0
/// bytes means the end of the stream. On failure it returns errno (EAGAIN: nothing available now)
/// or, on Windows, what WSAGetLastError() gives (WSAEWOULDBLOCK; EAGAIN will do).
pub type ws_recv_fn =
    Option<unsafe extern "C" fn(userdata: *mut c_void, buf: *mut u8, len: usize, out_n: *mut usize) -> i32>;

/// Sends up to `len` bytes from `buf`, stores the number of bytes accepted in `*out_n` and returns
/// 0. On failure it returns errno (EAGAIN: none accepted now) or, on Windows, what
/// WSAGetLastError() gives.
pub type ws_send_fn =
    Option<unsafe extern "C" fn(userdata: *mut c_void, buf: *const u8, len: usize, out_n: *mut usize) -> i32>;
