//! One face over every way to drive a connection, with results that can be compared.

use crate::common::link::ScriptedStream;
use wsabi::{Decision, Error, HandshakeOptions, Kind, Message, ProtocolError, Role, WebSocketConfig};

/// A message, a part of one or a control frame, as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    pub kind: Kind,
    /// The payload; of a Close, its reason.
    pub data: Vec<u8>,
    /// Of a Close, its code; 1005 where it had none.
    pub code: Option<u16>,
    pub is_final: bool,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.data.len().min(60);
        write!(
            f,
            "{:?} {} bytes {:?}",
            self.kind,
            self.data.len(),
            String::from_utf8_lossy(&self.data[..shown])
        )?;
        self.code.map_or(Ok(()), |code| write!(f, " code {code}"))?;
        if self.is_final { Ok(()) } else { f.write_str(" …") }
    }
}

impl Event {
    pub fn whole(kind: Kind, data: &[u8]) -> Self {
        Self { kind, data: data.to_vec(), code: None, is_final: true }
    }

    pub fn from_message(message: &Message) -> Self {
        let code = match message {
            Message::Close(frame) => Some(frame.as_ref().map_or(1005, |frame| frame.code.0)),
            _ => None,
        };
        Self { code, ..Self::whole(message.kind(), message.data()) }
    }
}

pub fn text(text: &str) -> Event {
    Event::whole(Kind::Text, text.as_bytes())
}

pub fn binary(data: &[u8]) -> Event {
    Event::whole(Kind::Binary, data)
}

pub fn ping(data: &[u8]) -> Event {
    Event::whole(Kind::Ping, data)
}

pub fn pong(data: &[u8]) -> Event {
    Event::whole(Kind::Pong, data)
}

pub fn close(code: u16, reason: &str) -> Event {
    Event { code: Some(code), ..Event::whole(Kind::Close, reason.as_bytes()) }
}

/// Why a call did not do what it was asked, without the details that differ between Rust and C.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    WouldBlock,
    Closed,
    AlreadyClosed,
    /// A message was written after a Close.
    NotWritable,
    Io,
    Capacity,
    Protocol,
    Utf8,
    QueueFull,
    Handshake,
    Timeout,
    InvalidArgument,
    Misuse,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(_) if error.is_would_block() => Fault::WouldBlock,
            Error::Io(_) => Fault::Io,
            Error::ConnectionClosed => Fault::Closed,
            Error::AlreadyClosed => Fault::AlreadyClosed,
            Error::Protocol(ProtocolError::SendAfterClosing) => Fault::NotWritable,
            Error::Protocol(_) => Fault::Protocol,
            Error::Capacity(_) => Fault::Capacity,
            Error::SendQueueFull(_) => Fault::QueueFull,
            Error::Utf8 => Fault::Utf8,
            Error::Http(_) | Error::Handshake(_) => Fault::Handshake,
            Error::Timeout(_) => Fault::Timeout,
            Error::InvalidArgument(_) => Fault::InvalidArgument,
            Error::Misuse(_) => Fault::Misuse,
            other => panic!("no test expects {other:?}"),
        }
    }
}

pub type Outcome<T> = Result<T, Fault>;

/// How a connection begins.
#[derive(Debug, Clone)]
pub enum Beginning {
    /// After the opening handshake; this has been read already.
    Open(Role, Vec<u8>),
    /// As a client of a URL.
    Client(&'static str, HandshakeOptions),
    /// As a server that decides like this.
    Server(Decision),
}

/// What the opening handshake left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// Of a response.
    pub status: u16,
    pub body: Vec<u8>,
    /// Of a request.
    pub target: String,
    pub protocol: Option<String>,
}

/// What every connection can do. Each call does what one call of the library does, and may end in `WouldBlock`.
pub trait End {
    fn handshake(&mut self) -> Outcome<()>;
    fn read(&mut self) -> Outcome<Event>;
    fn write(&mut self, kind: Kind, data: &[u8]) -> Outcome<()>;
    fn write_fragment(&mut self, kind: Kind, data: &[u8], is_final: bool) -> Outcome<()>;
    fn write_pending(&mut self) -> Outcome<()>;
    fn close(&mut self, frame: Option<(u16, &str)>) -> Outcome<()>;
    fn tick(&mut self, now: u64) -> Outcome<()>;
    fn can_read(&self) -> bool;
    fn can_write(&self) -> bool;
    fn configure(&mut self, change: &dyn Fn(&mut WebSocketConfig));
    fn config(&self) -> WebSocketConfig;
    /// Why the connection was given up.
    fn failure(&self) -> Option<String>;
    fn seen(&self) -> Seen;
    /// What the other side of the link would see of this one.
    fn stream(&mut self) -> &mut ScriptedStream;
}
