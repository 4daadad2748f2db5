//! Everything that can go wrong. Knows no layer; every layer returns these errors.

use crate::head::Head;
use crate::message::Message;
use std::io;

/// The result of a call on a connection.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection is over in an orderly way: the stream can be dropped. Reported once.
    #[error("the connection is closed")]
    ConnectionClosed,
    /// The connection was used again after its end had been reported: a bug in the caller.
    #[error("the connection was already closed: it was used again after its end had been reported")]
    AlreadyClosed,
    /// The stream's own error. All are fatal except [`io::ErrorKind::WouldBlock`].
    #[error("{0}")]
    Io(#[source] io::Error),
    /// The TLS session failed or could not be started.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// A limit of the configuration was exceeded.
    #[error("{0}")]
    Capacity(#[from] CapacityError),
    /// A rule of RFC 6455 or RFC 7692 was violated.
    #[error("{0}")]
    Protocol(#[from] ProtocolError),
    /// No room in the send queue: the message is returned unchanged.
    #[error("the send queue is full")]
    SendQueueFull(Message),
    /// A text or a close reason is not valid UTF-8.
    #[error("text is not valid UTF-8")]
    Utf8,
    /// The URL is not valid or not supported.
    #[error("{0}")]
    Url(#[from] UrlError),
    /// The opening handshake is malformed or breaks a rule.
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    /// The server refused with this HTTP response, which has its status, headers and body.
    #[error("the server answered with HTTP status {}", .0.status())]
    Http(Box<Head>),
    /// The proxy refused the connection, or the host is not a proxy.
    #[error("{0}")]
    Proxy(#[from] ProxyError),
    /// A deadline passed.
    #[error("{0}")]
    Timeout(#[from] Deadline),
    /// An argument is not allowed; nothing happened.
    #[error("{0}")]
    InvalidArgument(&'static str),
    /// The call is not allowed in the current state of the connection; nothing happened.
    #[error("{0}")]
    Misuse(&'static str),
    /// The library was built without the feature; nothing happened.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A bug in this library: the connection is dead.
    #[error("internal error: the connection is dead")]
    Internal,
    /// A buffer could not be allocated.
    #[error("out of memory")]
    NoMemory,
}

/// What a layer below had to say through a stream comes out as it went in.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        error.downcast::<Error>().unwrap_or_else(Error::Io)
    }
}

impl Error {
    /// Returned by everything that needs a socket if the feature `net` is off.
    #[cfg(not(feature = "net"))]
    pub(crate) const NO_SOCKETS: Self = Self::Unsupported("the library was built without sockets");

    /// Whether this is [`io::ErrorKind::WouldBlock`] from the stream: not a failure, call again later.
    pub fn is_would_block(&self) -> bool {
        matches!(self, Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// Why a TLS session failed, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

impl TlsError {
    /// An error with this text.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// Which limit was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CapacityError {
    /// See [`max_message_size`](crate::WebSocketConfig::max_message_size).
    #[error("message of {size} bytes is over the limit of {max}")]
    MessageTooLong {
        /// The size that the message has reached, or declares.
        size: u64,
        /// The limit.
        max: u64,
    },
    /// See [`max_frame_size`](crate::WebSocketConfig::max_frame_size).
    #[error("frame of {size} bytes is over the limit of {max}")]
    FrameTooLong {
        /// The size that the frame declares.
        size: u64,
        /// The limit.
        max: u64,
    },
    /// See [`max_fragments`](crate::WebSocketConfig::max_fragments).
    #[error("message has more than {max} frames")]
    TooManyFragments {
        /// The limit.
        max: u64,
    },
    /// See [`max_head_size`](crate::WebSocketConfig::max_head_size).
    #[error("HTTP head is over the limit of {max} bytes")]
    HeadTooLong {
        /// The limit.
        max: u64,
    },
    /// The head has more header fields than the library keeps.
    #[error("HTTP head has more than {max} header fields")]
    TooManyHeaders {
        /// The limit.
        max: u64,
    },
}

/// Which rule of RFC 6455 or RFC 7692 was violated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// Section 5.2: a reserved bit was set, and no extension defines it.
    #[error("a reserved bit (RSV) is set")]
    ReservedBits,
    /// Section 5.2: opcodes 3 to 7 and 11 to 15.
    #[error("reserved opcode {0}")]
    ReservedOpcode(u8),
    /// Section 5.5: a control frame with FIN clear.
    #[error("fragmented control frame")]
    FragmentedControlFrame,
    /// Section 5.5: a control frame of more than 125 bytes.
    #[error("control frame longer than 125 bytes")]
    ControlFrameTooLong,
    /// Section 5.2: the length is not encoded in the minimal number of bytes.
    #[error("frame length is not in its shortest form")]
    NonMinimalLength,
    /// Section 5.2: the most significant bit of a 64-bit length is set.
    #[error("frame length has its most significant bit set")]
    LengthOverflow,
    /// Section 5.1: a client must mask.
    #[error("unmasked frame from a client")]
    UnmaskedFrameFromClient,
    /// Section 5.1: a server must not mask.
    #[error("masked frame from a server")]
    MaskedFrameFromServer,
    /// Section 5.4: a continuation frame, but there is no message to continue.
    #[error("continuation frame without a message to continue")]
    UnexpectedContinuation,
    /// Section 5.4: a new message within a fragmented message.
    #[error("new message inside a fragmented one")]
    ExpectedContinuation,
    /// Section 5.5.1: a Close with one byte of payload.
    #[error("Close frame with a payload of one byte")]
    TruncatedCloseCode,
    /// Section 7.4: a close code that may not be sent.
    #[error("Close code {0} is not allowed")]
    InvalidCloseCode(u16),
    /// RFC 7692 section 7.2.2: a compressed message is not valid DEFLATE.
    #[error("a compressed message is corrupt")]
    CorruptDeflate,
    /// RFC 7692 section 7.2.2: a compressed message does not end at the end of a DEFLATE block.
    #[error("a compressed message ends too early")]
    TruncatedDeflate,
    /// The stream ended without a closing handshake.
    #[error("the stream ended without a closing handshake")]
    ResetWithoutClosingHandshake,
    /// A message was written after the closing handshake had begun.
    #[error("nothing can be sent after a Close")]
    SendAfterClosing,
}

/// Why a URL cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not a URL: no scheme, control characters, or spaces around it.
    #[error("not a valid URL")]
    Malformed,
    /// The scheme is not `ws`, `wss` or `ws+unix`.
    #[error("the scheme of the URL is not ws, wss or ws+unix")]
    Scheme,
    /// RFC 6455 section 3: a fragment has no meaning.
    #[error("a WebSocket URL cannot have a fragment (#)")]
    Fragment,
    /// The URL has no host.
    #[error("the URL has no host")]
    NoHost,
    /// The WHATWG URL standard refuses the host: for example an IPv4 address out of range, a malformed `xn--`
    /// name, or a space.
    #[error("the host of the URL is neither a name nor an address")]
    Host,
    /// A port outside 1 to 65535.
    #[error("the port of the URL is not a number from 1 to 65535")]
    Port,
    /// A user name or password: send an Authorization header instead.
    #[error("a user name in the URL is not supported: add an Authorization header instead")]
    UserInfo,
    /// The library was built without TLS.
    #[error("the library was built without TLS, which wss needs")]
    TlsUnsupported,
}

/// What is wrong with the opening handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The head violates the HTTP grammar; bare LF, NUL and folded lines count as violations.
    #[error("malformed HTTP head: {0}")]
    Malformed(&'static str),
    /// Something required is missing, repeated or wrong in the peer's request or response.
    #[error("{0}")]
    Rule(&'static str),
    /// The stream ended before the handshake was complete.
    #[error("the stream ended during the opening handshake")]
    Incomplete,
    /// This server answered the request with the given HTTP status.
    #[error("the request was answered with HTTP status {0}")]
    Refused(u16),
}

/// Why the proxy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// An environment variable names a proxy that cannot be used.
    #[error("the environment variable {name} names no usable proxy: {why}")]
    Variable {
        /// The name of the variable. Its value may hold a password.
        name: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The answer to CONNECT is not HTTP.
    #[error("the proxy's answer is not HTTP")]
    NotHttp,
    /// The answer to CONNECT is too long.
    #[error("the proxy's answer is too long")]
    HeadTooLong,
    /// An HTTP status other than 2xx. The reason phrase is the proxy's, and may be empty.
    #[error("the proxy refused the connection with HTTP status {status}{}{reason}", if reason.is_empty() { "" } else { " " })]
    Http {
        /// The status.
        status: u16,
        /// What the proxy calls it.
        reason: String,
    },
    /// The answer breaks RFC 1928 or 1929.
    #[error("the proxy's answer is not SOCKS 5")]
    NotSocks,
    /// RFC 1928 section 6: a reply other than 0.
    #[error("{} (SOCKS reply {})", socks_reply(*.0), .0)]
    Socks(u8),
    /// HTTP status 407, or SOCKS without a common method, and no user name and password were given.
    #[error("the proxy requires a user name and a password, but none were given")]
    CredentialsMissing,
    /// HTTP status 407, or a failed SOCKS login, with the user name and password that were given.
    #[error("the proxy rejected the user name and password")]
    CredentialsRefused,
    /// HTTP status 407, and the proxy does not offer Basic authentication.
    #[error("the proxy requires authentication by {schemes}, but only Basic is supported")]
    LoginUnsupported {
        /// The first of those that it offers.
        schemes: String,
    },
    /// SOCKS: the proxy accepts neither unauthenticated clients nor a user name and password.
    #[error("the proxy accepts neither a user name and password nor unauthenticated clients")]
    NoWayToLogIn,
    /// The stream ended before the tunnel was established.
    #[error("the proxy closed the connection before the tunnel was established")]
    Closed,
}

fn socks_reply(reply: u8) -> &'static str {
    match reply {
        1 => "the proxy failed",
        2 => "the proxy's rules do not allow this connection",
        3 => "the proxy cannot reach the network of the host",
        4 => "the proxy cannot reach the host",
        5 => "the host refused the proxy's connection",
        6 => "the proxy's connection to the host exceeded its time to live (TTL)",
        7 => "the proxy does not support CONNECT",
        8 => "the proxy does not support this kind of address",
        _ => "the proxy refused",
    }
}

/// Which deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Deadline {
    /// The transport was not established in time: name lookup, TCP, proxy.
    #[error("connecting took too long")]
    Connect,
    /// See [`handshake_timeout`](crate::WebSocketConfig::handshake_timeout).
    #[error("the opening handshake took too long")]
    Handshake,
    /// See [`close_timeout`](crate::WebSocketConfig::close_timeout).
    #[error("the peer did not answer the Close in time")]
    Close,
    /// See [`pong_timeout`](crate::WebSocketConfig::pong_timeout).
    #[error("the peer did not answer a Ping in time")]
    Pong,
    /// See [`idle_timeout`](crate::WebSocketConfig::idle_timeout).
    #[error("nothing was received for too long")]
    Idle,
}
