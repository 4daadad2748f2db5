//! Constants are enumerators, and functions take them as int32_t: they are checked, never trusted. Numbers are never
//! changed or used again. No struct is passed by value or filled in by the caller.

use std::ffi::c_void;

/// Version of this ABI: the N of libwsabi.so.N. Compare it with ws_abi_version() when loading the library.
pub const WS_ABI_VERSION: u32 = 1;

/// What a call came to, as int32_t: 0, or -1 and down for the connection, or -100 and down for the caller or the
/// library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum ws_status {
    /// Done.
    WS_OK = 0,
    /// No failure: nothing can be done now. Wait for what ws_interest() says, then call again.
    WS_ERR_WOULD_BLOCK = -1,
    /// The transport failed: ws_io_error() has errno or the callback's code.
    WS_ERR_IO = -2,
    /// A message, frame, fragment count or HTTP head over its limit.
    WS_ERR_CAPACITY = -3,
    /// The message was NOT accepted: send what is pending, then send it again.
    WS_ERR_SEND_QUEUE_FULL = -4,
    /// The connection is over: free it. From a write: it is closing, and takes no messages.
    WS_ERR_CONNECTION_CLOSED = -5,
    /// Used again after CONNECTION_CLOSED had been reported: a bug of the caller.
    WS_ERR_ALREADY_CLOSED = -6,
    /// The peer broke RFC 6455.
    WS_ERR_PROTOCOL = -7,
    /// A text is not UTF-8: the peer's, or the one that was to be sent.
    WS_ERR_UTF8 = -8,
    /// The opening handshake was refused or malformed: see ws_http_status() and ws_http_body().
    WS_ERR_HANDSHAKE = -9,
    /// The URL cannot be used.
    WS_ERR_URL = -10,
    /// The TLS session failed: ws_error_message() says which certificate or rule was in the way.
    WS_ERR_TLS = -11,
    /// A deadline passed: handshake, close, pong or idle.
    WS_ERR_TIMEOUT = -12,
    /// The proxy refused, or is none: see ws_config_set_proxy().
    WS_ERR_PROXY = -13,
    /// An argument is NULL, out of range or against the rules: nothing happened.
    WS_ERR_INVALID_ARGUMENT = -100,
    /// Wrong state, a second reader, or a callback that calls back into its own handle: nothing happened.
    WS_ERR_MISUSE = -101,
    /// A buffer could not be allocated.
    WS_ERR_NO_MEMORY = -102,
    /// A bug in the library: the handle is dead and can only be freed.
    WS_ERR_INTERNAL = -103,
    /// Built without that feature.
    WS_ERR_UNSUPPORTED = -104,
}

/// A value of ws_status.
pub type ws_status_t = i32;

/// What a message is; the opcodes of RFC 6455.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum ws_kind {
    /// UTF-8 text.
    WS_TEXT = 1,
    /// Bytes.
    WS_BINARY = 2,
    /// The closing handshake.
    WS_CLOSE = 8,
    /// A request for a Pong.
    WS_PING = 9,
    /// The answer to a Ping, or a one-way heartbeat.
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

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum ws_state {
    /// The opening handshake is going on.
    WS_STATE_CONNECTING = 0,
    /// A server has a request to ws_accept() or ws_reject() (WS_OPT_AUTO_ACCEPT is off).
    WS_STATE_REQUEST = 1,
    /// Messages flow.
    WS_STATE_OPEN = 2,
    /// A Close has been sent or received, or the connection has failed: read on until CONNECTION_CLOSED.
    WS_STATE_CLOSING = 3,
    /// Over.
    WS_STATE_CLOSED = 4,
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum ws_flag {
    /// Bytes of the peer, or the end.
    WS_WANT_READ = 1,
    /// Room to send.
    WS_WANT_WRITE = 2,
}

/// Options; all values are uint64_t. 0 stands for "no limit" or "never", where not said otherwise; on and off are 1 and
/// 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum ws_option {
    /// Largest message received, and sent where WS_OPT_MAX_SENT_SIZE says nothing else, in bytes. Default 64 MiB.
    WS_OPT_MAX_MESSAGE_SIZE = 1,
    /// Largest frame received, in bytes. Default 16 MiB.
    WS_OPT_MAX_FRAME_SIZE = 2,
    /// Most frames of one received message. Default 131072.
    WS_OPT_MAX_FRAGMENTS = 3,
    /// Largest HTTP head, and largest body kept of a refusal, in bytes; 256 at least. Default 16384.
    WS_OPT_MAX_HEAD_SIZE = 4,
    /// Most messages that wait to be sent. Default 1024.
    WS_OPT_MAX_SEND_QUEUE = 5,
    /// Most bytes that wait to be sent; one larger message still goes when nothing waits. Default 16 MiB.
    WS_OPT_MAX_SEND_BYTES = 6,
    /// A server takes frames that are not masked, against RFC 6455. Default off.
    WS_OPT_ACCEPT_UNMASKED_FRAMES = 7,
    /// Largest message sent, in bytes. Default: what WS_OPT_MAX_MESSAGE_SIZE says.
    WS_OPT_MAX_SENT_SIZE = 8,
    /// Calls wait for the peer instead of answering WOULD_BLOCK. Default on for sockets that the library opens, off
    /// for one of the caller's; without meaning in memory mode and with callbacks.
    WS_OPT_BLOCKING = 10,
    /// How long a blocking read, handshake or accept waits before it answers WOULD_BLOCK, in ms. Default 0: for ever.
    WS_OPT_READ_TIMEOUT_MS = 11,
    /// Time for the opening handshake, in ms, connecting included. Default 10000.
    WS_OPT_HANDSHAKE_TIMEOUT_MS = 12,
    /// Time for the closing handshake, in ms. Default 10000.
    WS_OPT_CLOSE_TIMEOUT_MS = 13,
    /// Sends a Ping this often, in ms. Default 0: never.
    WS_OPT_PING_INTERVAL_MS = 14,
    /// Gives up when nothing has arrived for so long, in ms; the socket is read before that is judged. Default 0: never.
    WS_OPT_IDLE_TIMEOUT_MS = 15,
    /// Gives up when nothing has arrived for so long after a Ping of WS_OPT_PING_INTERVAL_MS fell due, or after the transport
    /// last took some of what waits to be sent, whichever is later, in ms: a Ping cannot leave amid a frame. The socket is
    /// read before that is judged. Default 20000.
    WS_OPT_PONG_TIMEOUT_MS = 16,
    /// How long a blocking write waits for the transport to take the message, in ms. Default 0: for ever.
    WS_OPT_WRITE_TIMEOUT_MS = 17,
    /// Time for what comes before the opening handshake, in ms: looking the name up, TCP, a proxy. Only in a
    /// configuration. Default 0: no more than WS_OPT_HANDSHAKE_TIMEOUT_MS leaves, which runs from the start.
    WS_OPT_CONNECT_TIMEOUT_MS = 18,
    /// Answers each Ping with a Pong. Default on.
    WS_OPT_AUTO_PONG = 20,
    /// Received Pings and Pongs are handed to the reader. Default off.
    WS_OPT_DELIVER_CONTROL = 21,
    /// Messages are handed out in parts, as they arrive (see is_final), so that a message of any size needs constant
    /// memory. Parts of text are cut between characters. WS_OPT_MAX_MESSAGE_SIZE still holds. Of a message that breaks a
    /// rule or a limit, what comes before that is a part, too. Default off.
    WS_OPT_DELIVER_FRAGMENTS = 22,
    /// A server takes every valid request by itself; off, it stops at WS_STATE_REQUEST. Default on.
    WS_OPT_AUTO_ACCEPT = 23,
    /// TCP_NODELAY on sockets that the library opens. Only in a configuration. Default on.
    WS_OPT_TCP_NODELAY = 24,
    /// ws_connect() goes through the proxy that the environment names, unless ws_config_set_proxy() names one:
    /// https_proxy or HTTPS_PROXY for wss, http_proxy for ws (not HTTP_PROXY, which a CGI program has from a header of
    /// its client's), else all_proxy or ALL_PROXY. Without a scheme it is an HTTP proxy. None for what no_proxy or NO_PROXY
    /// lists: `*`, or names, which stand for their subdomains, too, addresses, and blocks like 10.0.0.0/8, with commas or
    /// spaces between, each with a port or without. ws_proxy_for() tells. The environment is read in ws_connect(): not for a program that calls setenv() in other threads.
    /// Only in a configuration. Default off.
    WS_OPT_PROXY_FROM_ENVIRONMENT = 25,
    /// Several listeners, in one process or many, listen at one port, and the system spreads the connections over them
    /// (SO_REUSEPORT): one for each poller, for instance. Only in a configuration. Default off.
    WS_OPT_REUSE_PORT = 26,
    /// Keeps the peer's part of the opening handshake for as long as the connection lasts: ws_header() and their like. Off,
    /// it is there until ws_handshake() gives WS_OK, or the first message is read; a refusal always is. A connection that waits
    /// then needs about 250 bytes, instead of 1,000 and more. Only in a configuration. Default on.
    WS_OPT_KEEP_HEAD = 27,
    /// A server with WS_OPT_AUTO_ACCEPT off stops at WS_STATE_REQUEST with every well-formed HTTP/1.x
    /// request that has no body, not only with those for WebSocket: ws_is_upgrade() tells them apart, and
    /// ws_reject() answers the health check of a load balancer, for instance. A request with a body is
    /// answered with 413. With WS_OPT_AUTO_ACCEPT on this changes nothing. Only in a configuration.
    /// Default off.
    WS_OPT_PLAIN_REQUESTS = 28,
    /// permessage-deflate (RFC 7692): a client offers it, a server takes it where it is offered. This and the options
    /// up to 36 are for a configuration only; on a connection they tell what was agreed on. With
    /// ws_from_partially_read() it is taken as agreed on. Memory per connection from the first compressed message on:
    /// what the window options say for each direction, unless that has no context takeover. Default off.
    WS_OPT_DEFLATE = 30,
    /// From 1 (fastest) to 9 (smallest). Default 1.
    WS_OPT_DEFLATE_LEVEL = 31,
    /// Messages shorter than this, in bytes, go uncompressed. 0: none does. Default 64.
    WS_OPT_DEFLATE_THRESHOLD = 32,
    /// Window that the client compresses with: 8 to 15, for 256 bytes to 32 KiB. A client that compresses holds about
    /// 380 KB at 15, a server that inflates 48 KB; less with smaller windows. Default 15.
    WS_OPT_DEFLATE_CLIENT_MAX_WINDOW_BITS = 33,
    /// The same for the server and its clients. Default 15.
    WS_OPT_DEFLATE_SERVER_MAX_WINDOW_BITS = 34,
    /// The client forgets its window after each message: it compresses less well, and neither end holds anything for
    /// that direction between messages. Default off.
    WS_OPT_DEFLATE_CLIENT_NO_CONTEXT_TAKEOVER = 35,
    /// The same for the server. Default off.
    WS_OPT_DEFLATE_SERVER_NO_CONTEXT_TAKEOVER = 36,
    /// A client of wss:// checks the server's certificate. Off, it talks to anybody who answers: for tests only. A
    /// listener with roots asks for certificates either way. Only in a configuration. Default on.
    WS_OPT_TLS_VERIFY = 40,
}

/// A socket: a POSIX file descriptor or a Windows SOCKET.
pub type ws_socket = isize;

/// A received message. It is owned by its connection and stays until the next read on that or ws_free(); only ever
/// used through a pointer, so that fields can be added.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ws_message {
    /// The payload; never NULL. WS_TEXT is valid UTF-8 without a NUL at its end; of WS_CLOSE, the reason.
    pub data: *const u8,
    /// Its length in bytes.
    pub len: usize,
    /// A value of ws_kind.
    pub kind: i32,
    /// Of WS_CLOSE, the code; 1005 where the peer gave none. Otherwise 0.
    pub close_code: i32,
    /// 0 for a part of a message that goes on; only with WS_OPT_DELIVER_FRAGMENTS.
    pub is_final: i32,
}

/// Receives up to len bytes into buf, stores in *out_n how many, and returns 0; 0 bytes mean the end of the stream.
/// Otherwise returns errno (EAGAIN: nothing now) or WSAGetLastError().
pub type ws_recv_fn =
    Option<unsafe extern "C" fn(userdata: *mut c_void, buf: *mut u8, len: usize, out_n: *mut usize) -> i32>;

/// Sends up to len bytes from buf, stores in *out_n how many were taken, and returns 0. Otherwise returns errno (EAGAIN:
/// none now) or WSAGetLastError().
pub type ws_send_fn =
    Option<unsafe extern "C" fn(userdata: *mut c_void, buf: *const u8, len: usize, out_n: *mut usize) -> i32>;
