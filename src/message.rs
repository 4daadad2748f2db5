//! Messages, their kinds, close codes and the two roles (RFC 6455 sections 5.5, 5.6 and 7.4). Knows values
//! only: no buffers, no state.

use std::borrow::Cow;
use std::fmt;

/// Which end of the connection this is. It determines who masks frames and who closes the TCP connection
/// first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The end that opened the connection; its frames are masked.
    Client,
    /// The end that accepted it; its frames are not masked, and it closes the TCP connection first.
    Server,
}

/// Kind of a message; the numbers are the opcodes of RFC 6455 section 5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// UTF-8 text.
    Text = 1,
    /// Bytes.
    Binary = 2,
    /// The closing handshake.
    Close = 8,
    /// A request for a Pong.
    Ping = 9,
    /// The answer to a Ping, or an unsolicited heartbeat.
    Pong = 10,
}

impl Kind {
    /// Close, Ping or Pong: at most 125 bytes, never fragmented.
    pub fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// A message that owns its memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// A Ping of at most 125 bytes. A received Ping is answered with a Pong automatically.
    Ping(Vec<u8>),
    /// A Pong of at most 125 bytes.
    Pong(Vec<u8>),
    /// A Close, with or without a code and a reason.
    Close(Option<CloseFrame>),
}

/// A received message in the memory of the connection, valid until the next call on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageView<'a> {
    /// Kind of the message.
    pub kind: Kind,
    /// The payload: valid UTF-8 for a text, the reason for a Close.
    pub data: &'a [u8],
    /// The code of a Close ([`CloseCode::NO_STATUS`] if it had none).
    pub close_code: Option<CloseCode>,
    /// False for a part of a message that more parts follow
    /// ([`deliver_fragments`](crate::WebSocketConfig::deliver_fragments)).
    pub is_final: bool,
}

/// A message to send, borrowed.
#[derive(Debug, Clone, Copy)]
pub enum Outgoing<'a> {
    /// UTF-8 text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
    /// At most 125 bytes.
    Ping(&'a [u8]),
    /// At most 125 bytes.
    Pong(&'a [u8]),
    /// A code and a reason of at most 123 bytes, or neither.
    Close(Option<(CloseCode, &'a str)>),
}

impl Message {
    /// The kind of this message.
    pub fn kind(&self) -> Kind {
        match self {
            Message::Text(_) => Kind::Text,
            Message::Binary(_) => Kind::Binary,
            Message::Ping(_) => Kind::Ping,
            Message::Pong(_) => Kind::Pong,
            Message::Close(_) => Kind::Close,
        }
    }

    /// The payload; of a Close, its reason.
    pub fn data(&self) -> &[u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(data) | Message::Ping(data) | Message::Pong(data) => data,
            Message::Close(frame) => frame.as_ref().map_or(&[], |frame| frame.reason.as_bytes()),
        }
    }

    /// Length of [`data`](Self::data) in bytes.
    pub fn len(&self) -> usize {
        self.data().len()
    }

    /// Whether [`data`](Self::data) is empty.
    pub fn is_empty(&self) -> bool {
        self.data().is_empty()
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Message::Text(text.to_owned())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Message::Text(text)
    }
}

impl From<Vec<u8>> for Message {
    fn from(data: Vec<u8>) -> Self {
        Message::Binary(data)
    }
}

/// The content of a Close frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame {
    /// Why the connection is closed, for programs.
    pub code: CloseCode,
    /// Why the connection is closed, for people: at most 123 bytes.
    pub reason: Cow<'static, str>,
}

/// A close code (RFC 6455 section 7.4 and the IANA registry).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(pub u16);

#[allow(missing_docs)] // the registry's names say it
impl CloseCode {
    pub const NORMAL: Self = Self(1000);
    pub const AWAY: Self = Self(1001);
    pub const PROTOCOL: Self = Self(1002);
    pub const UNSUPPORTED: Self = Self(1003);
    /// Never sent: stands for a Close without a code.
    pub const NO_STATUS: Self = Self(1005);
    /// Never sent: stands for a connection that ended without a Close.
    pub const ABNORMAL: Self = Self(1006);
    pub const INVALID: Self = Self(1007);
    pub const POLICY: Self = Self(1008);
    pub const SIZE: Self = Self(1009);
    pub const EXTENSION: Self = Self(1010);
    pub const ERROR: Self = Self(1011);
    pub const RESTART: Self = Self(1012);
    pub const AGAIN: Self = Self(1013);
    pub const BAD_GATEWAY: Self = Self(1014);
    /// Never sent: stands for a failed TLS handshake.
    pub const TLS: Self = Self(1015);

    /// Whether this code may be sent in a Close frame.
    pub fn is_allowed(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
