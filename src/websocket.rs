//! The Rust API: [`WebSocket`], a connection joined to a stream.
//!
//! Every call first tries to send what is pending. Waiting is left to the stream: with a non-blocking stream,
//! calls return [`Error::Io`] with [`WouldBlock`](std::io::ErrorKind::WouldBlock) and can be repeated. Knows
//! no protocol rule and no kind of stream.

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
/// Created by [`connect`](crate::connect()), [`client`](crate::client) or [`accept`](crate::accept), or
/// without an opening handshake by [`from_raw_socket`](Self::from_raw_socket) and
/// [`from_partially_read`](Self::from_partially_read).
#[derive(Debug)]
pub struct WebSocket<Stream> {
    stream: Stream,
    driver: Driver,
}

/// Making and unmaking, configuration.
impl<Stream> WebSocket<Stream> {
    /// Creates a connection over a stream whose opening handshake is complete.
    pub fn from_raw_socket(stream: Stream, role: Role, config: Option<WebSocketConfig>) -> Self {
        Self::from_partially_read(stream, Vec::new(), role, config)
    }

    /// Like [`from_raw_socket`](Self::from_raw_socket), with bytes (`part`) that have already been read from
    /// the stream. They are processed first.
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

    /// Returns the stream.
    pub fn get_ref(&self) -> &Stream {
        &self.stream
    }

    /// Returns the stream. Reading from it or writing to it breaks the connection.
    pub fn get_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// Returns the stream and drops the connection, including what is queued or has been received but not
    /// read.
    pub fn into_inner(self) -> Stream {
        self.stream
    }

    /// Changes the configuration. It applies from the next call on.
    pub fn set_config(&mut self, change: impl FnOnce(&mut WebSocketConfig)) {
        change(self.driver.connection.config_mut());
    }

    /// Returns the configuration.
    pub fn get_config(&self) -> &WebSocketConfig {
        self.driver.connection.config()
    }

    /// Whether messages can still be received: false after the peer's Close, but true after our own.
    pub fn can_read(&self) -> bool {
        self.driver.connection.phase().can_read()
    }

    /// Whether messages can still be sent: false after a Close of either side.
    pub fn can_write(&self) -> bool {
        self.driver.connection.phase().can_write()
    }

    /// Returns the peer's part of the opening handshake, if there was one.
    pub fn head(&self) -> Option<&Head> {
        self.driver.connection.head()
    }

    /// Returns the negotiated subprotocol.
    pub fn protocol(&self) -> Option<&str> {
        self.driver.connection.protocol()
    }

    /// Returns the negotiated parameters of permessage-deflate, if it is in use.
    pub fn deflate(&self) -> Option<DeflateConfig> {
        self.driver.connection.has_deflate().then(|| self.driver.connection.deflate_in_force())
    }

    /// Describes why the connection failed: what went wrong, and where in the stream.
    pub fn failure(&self) -> Option<&str> {
        self.driver.connection.failure().map(|failure| failure.sentence.as_str())
    }

    /// Sets the time, in milliseconds on any clock that does not go backwards, and does what the timeouts of
    /// the configuration require: sends a Ping, or ends the connection. Without this call no timeout applies.
    ///
    /// # Errors
    /// [`Error::Timeout`]: a deadline passed, and the connection is over.
    pub fn tick(&mut self, now_ms: u64) -> Result<()> {
        self.driver.connection.tick(now_ms)
    }
}

/// Messages.
impl<Stream: Read + Write> WebSocket<Stream> {
    /// Reads a message.
    ///
    /// Sends what is pending first, whether or not the stream accepts it. A Ping is answered automatically,
    /// by the next call at the latest. The peer's Close is returned as [`Message::Close`]: read on until
    /// [`Error::ConnectionClosed`], after which the stream can be dropped.
    ///
    /// If the peer sends a lot without completing a message (for example, thousands of Pings that are not
    /// delivered), the call returns [`WouldBlock`](std::io::ErrorKind::WouldBlock) even on a blocking stream.
    /// Read on.
    ///
    /// With [`deliver_fragments`](WebSocketConfig::deliver_fragments), use [`read_view`](Self::read_view).
    ///
    /// # Errors
    /// - [`Error::Io`]: the stream failed; with [`WouldBlock`](std::io::ErrorKind::WouldBlock), no message is
    ///   complete yet.
    /// - [`Error::Protocol`], [`Error::Utf8`], [`Error::Capacity`]: the peer violated the protocol or
    ///   exceeded a limit. A Close with the reason is queued: read on until [`Error::ConnectionClosed`].
    /// - [`Error::ConnectionClosed`]: the connection is over. Returned once, then [`Error::AlreadyClosed`].
    /// - [`Error::NoMemory`]: a buffer could not be allocated.
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

    /// Like [`read_message`](Self::read_message), without a copy: the message is borrowed from the
    /// connection.
    ///
    /// # Errors
    /// Those of [`read_message`](Self::read_message).
    #[inline]
    pub fn read_view(&mut self) -> Result<MessageView<'_>> {
        if let Some(simple) = self.driver.take_whole() {
            return Ok(self.driver.whole_view(simple));
        }
        let received = self.driver.receive(&mut self.stream)?;
        Ok(self.driver.view(&received))
    }

    /// Sends a message, or queues what the stream does not accept now.
    ///
    /// `Ok` means that the whole message was accepted. A Pong is sent ahead of queued messages and replaces a
    /// Pong that has not been sent yet. There is always room for a Close.
    ///
    /// # Errors
    /// - [`Error::SendQueueFull`]: not accepted; the message is returned.
    /// - [`Error::Capacity`]: the message exceeds the limit.
    /// - [`Error::InvalidArgument`]: a Ping, Pong or close reason is too long, or the close code may not be
    ///   sent.
    /// - [`Error::Misuse`]: a message is being sent in fragments.
    /// - [`Error::Protocol`] with [`SendAfterClosing`](crate::ProtocolError::SendAfterClosing): a Close was
    ///   sent or received.
    /// - [`Error::Io`]: the stream failed.
    /// - [`Error::NoMemory`]: a buffer could not be allocated.
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

    /// Like [`write_message`](Self::write_message), for a borrowed message. It is not copied if the stream
    /// accepts it at once and this end does not mask. A full queue is reported as [`Enqueue::Full`].
    ///
    /// # Errors
    /// Those of [`write_message`](Self::write_message), except [`Error::SendQueueFull`].
    pub fn write_view(&mut self, message: &Outgoing<'_>) -> Result<Enqueue> {
        self.driver.send(&mut self.stream, message)
    }

    /// Like [`write_view`](Self::write_view), for a message that many connections send: a server sends and
    /// queues it without a copy. It is sent uncompressed.
    ///
    /// # Errors
    /// Those of [`write_view`](Self::write_view).
    pub fn write_prepared(&mut self, prepared: &Prepared) -> Result<Enqueue> {
        self.driver.send_prepared(&mut self.stream, prepared)
    }

    /// Sends the next fragment of a text or binary message; the last one is final. A text may be split
    /// anywhere. Pings, Pongs and a Close may be sent between fragments, other messages may not.
    ///
    /// # Errors
    /// Those of [`write_view`](Self::write_view); [`Error::Misuse`] also if the kind differs from that of the
    /// first fragment.
    pub fn write_fragment(&mut self, kind: Kind, data: &[u8], is_final: bool) -> Result<Enqueue> {
        self.driver.send_fragment(&mut self.stream, kind, data, is_final)
    }

    /// Sends what is pending.
    ///
    /// # Errors
    /// - [`Error::Io`]: the stream failed; with [`WouldBlock`](std::io::ErrorKind::WouldBlock), it does not
    ///   accept all of it.
    /// - [`Error::ConnectionClosed`]: after a Close, as from [`read_message`](Self::read_message).
    pub fn write_pending(&mut self) -> Result<()> {
        self.driver.write_pending(&mut self.stream)
    }

    /// Starts the closing handshake: queues a Close, for which there is always room. Calling it again has no
    /// effect. Then read until [`Error::ConnectionClosed`].
    ///
    /// # Errors
    /// - [`Error::InvalidArgument`]: the code may not be sent, or the reason is longer than 123 bytes.
    /// - [`Error::AlreadyClosed`]: the connection is over.
    /// - [`Error::Io`]: the stream failed.
    /// - [`Error::NoMemory`]: a buffer could not be allocated.
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
