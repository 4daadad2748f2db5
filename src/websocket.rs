//! The Rust face: [`WebSocket`], a connection joined to a stream that reads and writes.
//!
//! Every call first tries to send what is pending, and every wait is the stream's own: with a stream that does not
//! block, calls end in [`Error::Io`] with [`WouldBlock`](std::io::ErrorKind::WouldBlock) and can be repeated. Knows no
//! protocol rule and no kind of stream.

use crate::config::{DeflateConfig, WebSocketConfig};
use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::head::Head;
use crate::message::{CloseCode, CloseFrame, Kind, Message, MessageView, Outgoing, Role};
use crate::proto::connection::{Connection, Enqueue, Opening};
use crate::proto::handshake::HandshakeOptions;
use crate::proto::prepared::Prepared;
use std::borrow::Cow;
use std::io::{Read, Write};

/// A WebSocket connection over a stream.
///
/// Made by [`connect`](crate::connect()), [`client`](crate::client) or [`accept`](crate::accept), or without an opening
/// handshake by [`from_raw_socket`](Self::from_raw_socket) and [`from_partially_read`](Self::from_partially_read).
#[derive(Debug)]
pub struct WebSocket<Stream> {
    stream: Stream,
    driver: Driver,
}

/// Making and unmaking, configuration.
impl<Stream> WebSocket<Stream> {
    /// A connection over a stream whose opening handshake is over.
    pub fn from_raw_socket(stream: Stream, role: Role, config: Option<WebSocketConfig>) -> Self {
        Self::from_partially_read(stream, Vec::new(), role, config)
    }

    /// Like [`from_raw_socket`](Self::from_raw_socket), where `part` has already been read from the stream: it is
    /// delivered first.
    pub fn from_partially_read(
        stream: Stream,
        part: Vec<u8>,
        role: Role,
        config: Option<WebSocketConfig>,
    ) -> Self {
        Self::over(stream, Connection::open(role, WebSocketConfig::shared(config), part))
    }

    pub(crate) fn over(stream: Stream, connection: Connection) -> Self {
        Self { stream, driver: Driver::new(connection) }
    }

    /// The stream.
    pub fn get_ref(&self) -> &Stream {
        &self.stream
    }

    /// The stream. Reading from it or writing to it breaks the connection.
    pub fn get_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// The stream back; what was queued or received and not read is dropped.
    pub fn into_inner(self) -> Stream {
        self.stream
    }

    /// Changes the configuration; it holds from the next call on.
    pub fn set_config(&mut self, change: impl FnOnce(&mut WebSocketConfig)) {
        change(self.driver.connection.config_mut());
    }

    /// The configuration.
    pub fn get_config(&self) -> &WebSocketConfig {
        self.driver.connection.config()
    }

    /// Whether messages can still be read: not after the peer's Close, but after our own.
    pub fn can_read(&self) -> bool {
        self.driver.connection.phase().can_read()
    }

    /// Whether messages can still be written: not after a Close of either side.
    pub fn can_write(&self) -> bool {
        self.driver.connection.phase().can_write()
    }

    /// The peer's part of the opening handshake, where there was one.
    pub fn head(&self) -> Option<&Head> {
        self.driver.connection.head()
    }

    /// The subprotocol agreed on.
    pub fn protocol(&self) -> Option<&str> {
        self.driver.connection.protocol()
    }

    /// The permessage-deflate in force, where it has been agreed on.
    pub fn deflate(&self) -> Option<DeflateConfig> {
        self.driver.connection.has_deflate().then(|| self.driver.connection.deflate_in_force())
    }

    /// Why the connection was given up: what, and where in the stream.
    pub fn failure(&self) -> Option<&str> {
        self.driver.connection.failure().map(|failure| failure.sentence.as_str())
    }

    /// Takes the time, in milliseconds on any clock that does not go backwards, and does what is due by the
    /// timeouts of the configuration: sends a Ping, or ends the connection with [`Error::Timeout`]. Without a call
    /// no timeout runs.
    pub fn tick(&mut self, now_ms: u64) -> Result<()> {
        self.driver.connection.tick(now_ms)
    }
}

/// Messages.
impl<Stream: Read + Write> WebSocket<Stream> {
    /// Reads a message.
    ///
    /// Sends what is pending first, whether or not the stream takes it. A Ping is answered by itself, at the latest
    /// by the next call. When the peer says Close this returns [`Message::Close`]: read on, until
    /// [`Error::ConnectionClosed`] says that the stream can be dropped. After that comes [`Error::AlreadyClosed`].
    ///
    /// A peer that sends much and no message, as with thousands of Pings that are not delivered, does not hold up this call
    /// for ever: it ends in [`WouldBlock`](std::io::ErrorKind::WouldBlock) then, with a stream that blocks, too. Read on.
    ///
    /// With [`deliver_fragments`](WebSocketConfig::deliver_fragments), use [`read_view`](Self::read_view).
    pub fn read_message(&mut self) -> Result<Message> {
        let view = self.read_view()?;
        let text = |data: &[u8]| String::from_utf8(data.to_vec()).map_err(|_| Error::Utf8);
        Ok(match view.kind {
            Kind::Text => Message::Text(text(view.data)?),
            Kind::Binary => Message::Binary(view.data.to_vec()),
            Kind::Ping => Message::Ping(view.data.to_vec()),
            Kind::Pong => Message::Pong(view.data.to_vec()),
            Kind::Close => Message::Close(match view.close_code {
                None | Some(CloseCode::NO_STATUS) => None,
                Some(code) => Some(CloseFrame { code, reason: Cow::Owned(text(view.data)?) }),
            }),
        })
    }

    /// Like [`read_message`](Self::read_message), without a copy: the message is lent.
    #[inline]
    pub fn read_view(&mut self) -> Result<MessageView<'_>> {
        if let Some(simple) = self.driver.take_whole() {
            return Ok(self.driver.whole_view(simple));
        }
        let received = self.driver.receive(&mut self.stream)?;
        Ok(self.driver.view(&received))
    }

    /// Sends a message, or queues it.
    ///
    /// `Ok`: it was accepted whole, whether or not the stream has taken it yet. [`Error::SendQueueFull`] hands it back.
    /// A Pong jumps the queue, and replaces one that has not been sent; a Close always finds room.
    pub fn write_message(&mut self, message: Message) -> Result<()> {
        let outgoing = match &message {
            Message::Text(text) => Outgoing::Text(text),
            Message::Binary(data) => Outgoing::Binary(data),
            Message::Ping(data) => Outgoing::Ping(data),
            Message::Pong(data) => Outgoing::Pong(data),
            Message::Close(frame) => {
                Outgoing::Close(frame.as_ref().map(|frame| (frame.code, frame.reason.as_ref())))
            }
        };
        match self.driver.send(&mut self.stream, &outgoing)? {
            Enqueue::Accepted => Ok(()),
            Enqueue::Full => Err(Error::SendQueueFull(message)),
        }
    }

    /// Like [`write_message`](Self::write_message), without a copy where the stream takes it at once and the role asks for
    /// no mask: the message is borrowed.
    pub fn write_view(&mut self, message: &Outgoing<'_>) -> Result<Enqueue> {
        self.driver.send(&mut self.stream, message)
    }

    /// Like [`write_view`](Self::write_view), for a message that many connections send: a server sends and queues it without
    /// a copy. It goes uncompressed.
    pub fn write_prepared(&mut self, prepared: &Prepared) -> Result<Enqueue> {
        self.driver.send_prepared(&mut self.stream, prepared)
    }

    /// Sends a fragment of a text or binary message; the last one is final. Text may be cut anywhere. Pings, Pongs and a
    /// Close may be sent in between, other messages not.
    pub fn write_fragment(&mut self, kind: Kind, data: &[u8], is_final: bool) -> Result<Enqueue> {
        self.driver.send_fragment(&mut self.stream, kind, data, is_final)
    }

    /// Sends what is pending; [`WouldBlock`](std::io::ErrorKind::WouldBlock) while the stream does not take it all. After
    /// a Close this ends in [`Error::ConnectionClosed`], as reading does.
    pub fn write_pending(&mut self) -> Result<()> {
        self.driver.write_pending(&mut self.stream)
    }

    /// Begins the closing handshake: queues a Close, for which there is always room. Again is harmless. Then read on,
    /// until [`Error::ConnectionClosed`].
    pub fn close(&mut self, frame: Option<CloseFrame>) -> Result<()> {
        self.write_message(Message::Close(frame))
    }
}

/// The opening handshake.
impl<Stream: Read + Write> WebSocket<Stream> {
    /// Server: takes the request (see [`Connection::accept`]) and sends what it can of the response.
    pub(crate) fn accept(&mut self, protocol: Option<&str>, options: &HandshakeOptions) -> Result<()> {
        self.driver.accept(&mut self.stream, protocol, options)
    }

    /// Drives the opening handshake until a server has a request to decide on, or messages can flow.
    pub(crate) fn handshake(&mut self) -> Result<Opening> {
        self.driver.handshake(&mut self.stream)
    }

    /// Sends what is pending. Where the stream does not take it all: `WouldBlock`.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.driver.flush(&mut self.stream)
    }

    /// The connection, for what needs no stream.
    pub(crate) fn connection_mut(&mut self) -> &mut Connection {
        &mut self.driver.connection
    }
}
