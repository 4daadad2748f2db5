//! The Rust face: [`WebSocket`], a connection joined to a stream that reads and writes.
//!
//! Every call first tries to send what is pending, and every wait is the stream's own: with a stream that does not
//! block, calls end in [`Error::Io`] with [`WouldBlock`](io::ErrorKind::WouldBlock) and can be repeated. Knows no
//! protocol rule and no kind of stream.

use crate::config::{DeflateConfig, WebSocketConfig};
use crate::error::{Error, Result};
use crate::message::{CloseCode, CloseFrame, Kind, Message, Outgoing, Role};
use crate::proto::connection::{Accepted, Connection, Opening};
use crate::proto::frame::HeaderBytes;
use crate::proto::handshake::{HandshakeOptions, Head};
use crate::proto::prepared::Prepared;
use crate::proto::receive::{Received, Simple};
use crate::proto::send::{FrameStart, SHORT, Staged};
use std::borrow::Cow;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

/// Most pieces handed to the stream in one write.
const MAX_SLICES: usize = 64;
/// Most messages for [`WebSocket::send_many`].
pub(crate) const MANY: usize = MAX_SLICES / 2;
/// Messages that are sent together go right from the caller's memory from this length on, in bytes.
const DIRECT: usize = 4 << 10;

/// A WebSocket connection over a stream.
///
/// Made by [`connect`](crate::connect()), [`client`](crate::client) or [`accept`](crate::accept), or without an opening
/// handshake by [`from_raw_socket`](Self::from_raw_socket) and [`from_partially_read`](Self::from_partially_read).
#[derive(Debug)]
pub struct WebSocket<Stream> {
    stream: Stream,
    pub(crate) connection: Connection,
    /// Bytes were written since the stream was last flushed.
    unflushed: bool,
}

/// A received message that lies in the connection's own memory, until the next call on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageView<'a> {
    /// What it is.
    pub kind: Kind,
    /// The payload: valid UTF-8 for a text; of a Close, its reason.
    pub data: &'a [u8],
    /// Of a Close, its code ([`CloseCode::NO_STATUS`] where it had none).
    pub close_code: Option<CloseCode>,
    /// False for a part of a message that goes on
    /// ([`deliver_fragments`](crate::WebSocketConfig::deliver_fragments)).
    pub is_final: bool,
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
        Self::over(stream, Connection::open(role, Arc::new(config.unwrap_or_default()), part))
    }

    /// Whether nothing goes on (see [`Connection::is_dormant`]).
    #[inline]
    pub(crate) fn is_dormant(&self) -> bool {
        !self.unflushed && self.connection.is_dormant()
    }

    pub(crate) fn over(stream: Stream, connection: Connection) -> Self {
        Self { stream, connection, unflushed: false }
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
        change(self.connection.config_mut());
    }

    /// The configuration.
    pub fn get_config(&self) -> &WebSocketConfig {
        self.connection.config()
    }

    /// Whether messages can still be read: not after the peer's Close, but after our own.
    pub fn can_read(&self) -> bool {
        self.connection.can_read()
    }

    /// Whether messages can still be written: not after a Close of either side.
    pub fn can_write(&self) -> bool {
        self.connection.can_write()
    }

    /// The peer's part of the opening handshake, where there was one.
    pub fn head(&self) -> Option<&Head> {
        self.connection.head()
    }

    /// The subprotocol agreed on.
    pub fn protocol(&self) -> Option<&str> {
        self.connection.protocol()
    }

    /// The permessage-deflate in force, where it has been agreed on.
    pub fn deflate(&self) -> Option<DeflateConfig> {
        self.connection.has_deflate().then(|| self.connection.deflate_in_force())
    }

    /// Why the connection was given up: what, and where in the stream.
    pub fn failure(&self) -> Option<&str> {
        self.connection.failure().map(|failure| failure.sentence.as_str())
    }

    /// Takes the time, in milliseconds on any clock that does not go backwards, and does what is due by the
    /// timeouts of the configuration: sends a Ping, or ends the connection with [`Error::Timeout`]. Without a call
    /// no timeout runs.
    pub fn tick(&mut self, now_ms: u64) -> Result<()> {
        self.connection.tick(now_ms)
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
        if let Some(simple) = self.receive_simple() {
            return Ok(self.simple_view(simple));
        }
        let received = self.receive()?;
        Ok(self.view(&received))
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
        match self.send(&outgoing)? {
            Accepted::Yes => Ok(()),
            Accepted::QueueFull => Err(Error::SendQueueFull(message)),
        }
    }

    /// Like [`write_message`](Self::write_message), without a copy where the stream takes it at once and the role asks for
    /// no mask: the message is borrowed.
    pub fn write_view(&mut self, message: &Outgoing<'_>) -> Result<Accepted> {
        self.send(message)
    }

    /// Like [`write_view`](Self::write_view), for a message that many connections send: a server sends and queues it without
    /// a copy. It goes uncompressed.
    pub fn write_prepared(&mut self, prepared: &Prepared) -> Result<Accepted> {
        self.send_prepared(prepared)
    }

    /// Sends a fragment of a text or binary message; the last one is final. Text may be cut anywhere. Pings, Pongs and a
    /// Close may be sent in between, other messages not.
    pub fn write_fragment(&mut self, kind: Kind, data: &[u8], is_final: bool) -> Result<Accepted> {
        self.send_fragment(kind, data, is_final)
    }

    /// Sends what is pending; [`WouldBlock`](io::ErrorKind::WouldBlock) while the stream does not take it all. After
    /// a Close this ends in [`Error::ConnectionClosed`], as reading does.
    pub fn write_pending(&mut self) -> Result<()> {
        if self.connection.state().can_read() {
            return self.flush();
        }
        self.drive_to_end()
    }

    /// Begins the closing handshake: queues a Close, for which there is always room. Again is harmless. Then read on,
    /// until [`Error::ConnectionClosed`].
    pub fn close(&mut self, frame: Option<CloseFrame>) -> Result<()> {
        self.write_message(Message::Close(frame))
    }

    /// A short message that lies there, where nothing else has to be done first: most calls come to no more than
    /// this. It is a sixth of the instructions of [`receive`](Self::receive).
    #[inline(always)]
    pub(crate) fn receive_simple(&mut self) -> Option<Simple> {
        match self.has_output() && !self.connection.is_corked() {
            true => None,
            false => self.connection.poll_simple(),
        }
    }

    /// [`receive_simple`](Self::receive_simple), for which the stream is asked, too, where nothing has to be done before
    /// that.
    #[inline]
    pub(crate) fn receive_simply(&mut self) -> Result<Option<Simple>> {
        if self.has_output() {
            return Ok(self.receive_simple());
        }
        if let Some(simple) = self.connection.poll_simple() {
            return Ok(Some(simple));
        }
        if !self.connection.begin_message() {
            return Ok(None);
        }
        self.fill()?;
        Ok(self.connection.poll_simple())
    }

    /// What [`receive_simple`](Self::receive_simple) returned last.
    #[inline(always)]
    pub(crate) fn simple_view(&self, simple: Simple) -> MessageView<'_> {
        let data = self.connection.simple_payload(simple);
        MessageView { kind: simple.kind, data, close_code: None, is_final: true }
    }

    /// [`read_view`](Self::read_view) in two steps, for callers that keep the answer.
    #[inline(never)]
    pub(crate) fn receive(&mut self) -> Result<Received> {
        let mut broken = None;
        let mut stuck = !self.connection.is_corked() && self.flush_before_reading(&mut broken);
        loop {
            if let Some(received) = self.connection.poll_read()? {
                return Ok(received);
            }
            if !stuck && self.connection.has_output() {
                // An answer was queued, and the peer may be waiting for it before it sends anything.
                self.flush_before_reading(&mut broken);
            }
            self.check_patience()?;
            match (self.fill(), broken.take()) {
                (Ok(()), still) => broken = still,
                (Err(error), Some(cause)) if error.is_would_block() => {
                    return Err(self.connection.stream_failed(cause));
                }
                (Err(error), _) => return Err(error),
            }
            stuck = self.flush_before_reading(&mut broken);
        }
    }

    /// The payload and more of what [`receive`](Self::receive) returned last.
    #[inline]
    pub(crate) fn view(&self, received: &Received) -> MessageView<'_> {
        MessageView {
            kind: received.kind,
            data: self.connection.payload(received),
            close_code: if received.kind == Kind::Close { self.connection.close_code() } else { None },
            is_final: received.is_final,
        }
    }

    /// Sends or queues a message; a refused one leaves everything as it was.
    #[inline]
    pub(crate) fn send(&mut self, message: &Outgoing<'_>) -> Result<Accepted> {
        let (kind, payload) = match *message {
            Outgoing::Text(text) => (Kind::Text, text.as_bytes()),
            Outgoing::Binary(data) => (Kind::Binary, data),
            _ => return self.send_any(message),
        };
        match !self.unflushed && self.connection.is_free_to_send(payload.len()) {
            true if payload.len() <= SHORT => self.send_short(kind, payload),
            true => match self.connection.role() {
                Role::Server => self.send_as_it_is(kind, payload),
                Role::Client => self.send_masked(kind, payload),
            },
            false => self.send_any(message),
        }
    }

    /// A message that needs no mask, while nothing waits: right from the caller's memory.
    #[inline]
    fn send_as_it_is(&mut self, kind: Kind, payload: &[u8]) -> Result<Accepted> {
        let header = HeaderBytes::new(&FrameStart::whole(kind).header(None, payload.len()));
        let written = write_some(&mut self.stream, &[IoSlice::new(&header), IoSlice::new(payload)]);
        let sent = self.sent_directly(written)?;
        self.connection.queue_rest(&header, payload, sent)?;
        self.flush_quietly()?;
        Ok(Accepted::Yes)
    }

    /// A short message while nothing waits: framed on the stack, and sent in one piece.
    #[inline]
    fn send_short(&mut self, kind: Kind, payload: &[u8]) -> Result<Accepted> {
        let mut frame = [0; _];
        let len = self.connection.write_short(kind, payload, &mut frame)?;
        let frame = &frame[..len];
        match write_one(&mut self.stream, frame) {
            Ok(sent) if sent == len => self.flush_stream()?,
            written => self.send_rest(frame, written)?,
        }
        Ok(Accepted::Yes)
    }

    #[cold]
    fn send_rest(&mut self, frame: &[u8], written: io::Result<usize>) -> Result<()> {
        let sent = self.sent_directly(written)?;
        self.connection.queue_rest(frame, &[], sent)?;
        self.flush_quietly()
    }

    /// A client's message while nothing waits: masked and sent piece by piece.
    #[inline]
    fn send_masked(&mut self, kind: Kind, payload: &[u8]) -> Result<Accepted> {
        let mut staged = self.connection.stage(kind, payload)?;
        loop {
            let piece = self.connection.staged();
            match write_one(&mut self.stream, piece) {
                Ok(sent) if sent == piece.len() => {
                    if !self.connection.stage_next(&mut staged) {
                        self.flush_stream()?;
                        return Ok(Accepted::Yes);
                    }
                }
                written => {
                    self.send_rest_masked(staged, written)?;
                    return Ok(Accepted::Yes);
                }
            }
        }
    }

    #[cold]
    fn send_rest_masked(&mut self, staged: Staged<'_>, written: io::Result<usize>) -> Result<()> {
        let sent = self.sent_directly(written)?;
        self.connection.queue_staged(staged, sent)?;
        self.flush_quietly()
    }

    /// All that was written leaves the stream, now or later.
    #[inline(always)]
    fn flush_stream(&mut self) -> Result<()> {
        match self.stream.flush() {
            Ok(()) => {
                self.unflushed = false;
                Ok(())
            }
            Err(error) => self.not_flushed(error),
        }
    }

    #[cold]
    fn not_flushed(&mut self, error: io::Error) -> Result<()> {
        self.unflushed = true;
        match error.kind() {
            io::ErrorKind::WouldBlock => Ok(()),
            _ => Err(self.connection.stream_failed(error)),
        }
    }

    fn send_any(&mut self, message: &Outgoing<'_>) -> Result<Accepted> {
        self.connection.check(message)?;
        let (kind, payload) = match message {
            Outgoing::Text(text) => (Kind::Text, text.as_bytes()),
            Outgoing::Binary(data) => (Kind::Binary, *data),
            Outgoing::Ping(data) => (Kind::Ping, *data),
            Outgoing::Pong(_) | Outgoing::Close(_) => return self.queue_and_flush(message),
        };
        if self.connection.has_output() || self.connection.will_compress(kind, payload.len()) {
            return self.queue_and_flush(message);
        }
        // Nothing waits: the message goes to the stream at once, and only what that does not take is queued.
        match self.connection.direct_header(kind, payload.len()) {
            Some(header) => {
                let written = write_some(&mut self.stream, &[IoSlice::new(&header), IoSlice::new(payload)]);
                let sent = self.sent_directly(written)?;
                self.connection.queue_rest(&header, payload, sent)?;
            }
            None => return self.send_masked(kind, payload),
        }
        self.flush_quietly()?;
        Ok(Accepted::Yes)
    }

    /// Sends or queues messages, [`MANY`] at most, that leave with the next flush if not at once; how many of them were
    /// accepted. The first that finds no room ends it. Long ones go right from the caller's memory, short ones are copied
    /// behind one another.
    pub(crate) fn send_many(&mut self, messages: &[Outgoing<'_>]) -> (usize, Result<Accepted>) {
        let mut done = 0;
        loop {
            done += self.connection.queue_short(&messages[done..], DIRECT);
            let Some(message) = messages.get(done) else { break };
            let (count, outcome) = match self.count_direct(&messages[done..]) {
                Ok(0) => (1, self.queue_one_of_many(message)),
                Ok(count) => self.send_direct(&messages[done..done + count]),
                Err(error) => (0, Err(error)),
            };
            match outcome {
                Ok(Accepted::Yes) => done += count,
                Ok(Accepted::QueueFull) => return (done + count - 1, outcome),
                Err(_) => return (done, outcome),
            }
        }
        (done, Ok(Accepted::Yes))
    }

    #[inline]
    fn queue_one_of_many(&mut self, message: &Outgoing<'_>) -> Result<Accepted> {
        let accepted = self.connection.queue(message)?;
        if accepted == Accepted::Yes {
            return Ok(accepted);
        }
        self.flush_quietly()?;
        self.connection.queue(message)
    }

    /// How many of these messages can be sent together without a copy.
    #[inline]
    fn count_direct(&mut self, messages: &[Outgoing<'_>]) -> Result<usize> {
        if messages.first().and_then(direct_part).is_none() {
            return Ok(0);
        }
        // What waits goes first; where that does not go, they wait behind it.
        self.flush_quietly()?;
        if self.has_output() {
            return Ok(0);
        }
        let goes = |message: &&Outgoing<'_>| {
            direct_part(message).is_some_and(|(_, payload)| self.connection.goes_directly(payload.len()))
        };
        Ok(messages.iter().take(MANY).take_while(goes).count())
    }

    /// Sends messages right from the caller's memory, and queues what the stream does not take; how many were tried, the
    /// last of which may have found no room.
    fn send_direct(&mut self, messages: &[Outgoing<'_>]) -> (usize, Result<Accepted>) {
        let mut frames = [const { None }; MANY];
        for (frame, message) in frames.iter_mut().zip(messages) {
            *frame = direct_part(message).and_then(|(kind, payload)| {
                self.connection.direct_header(kind, payload.len()).map(|header| (header, payload))
            });
        }
        let mut slices = [IoSlice::new(&[]); 2 * MANY];
        let mut used = 0;
        for (header, payload) in frames.iter().flatten() {
            (slices[used], slices[used + 1]) = (IoSlice::new(header), IoSlice::new(payload));
            used += 2;
        }
        let written = write_some(&mut self.stream, &slices[..used]);
        let mut sent = match self.sent_directly(written) {
            Ok(sent) => sent,
            Err(error) => return (0, Err(error)),
        };
        let mut tried = 0;
        for ((header, payload), message) in frames.iter().flatten().zip(messages) {
            let here = sent.min(header.len() + payload.len());
            sent -= here;
            tried += 1;
            let outcome = match here {
                0 => self.queue_one_of_many(message),
                _ => self.connection.queue_rest(header, payload, here).map(|()| Accepted::Yes),
            };
            if !matches!(outcome, Ok(Accepted::Yes)) {
                return (tried, outcome);
            }
        }
        (tried, Ok(Accepted::Yes))
    }

    /// Sends or queues a message that is framed already.
    pub(crate) fn send_prepared(&mut self, prepared: &Prepared) -> Result<Accepted> {
        if self.connection.role() == Role::Client {
            return self.send(&prepared.message());
        }
        // Of what matters here, a text is no different from bytes.
        self.connection.check(&Outgoing::Binary(prepared.payload()))?;
        if self.connection.has_output() {
            self.flush_quietly()?;
        }
        let mut sent = 0;
        if !self.connection.has_output() {
            let written = write_some(&mut self.stream, &[IoSlice::new(prepared.frame())]);
            sent = self.sent_directly(written)?;
        }
        let accepted = self.connection.queue_prepared(prepared, sent);
        self.flush_quietly()?;
        Ok(accepted)
    }

    /// Whether something waits to be sent, here or in the stream.
    #[inline]
    pub(crate) fn has_output(&self) -> bool {
        self.connection.has_output() || self.unflushed
    }

    /// Sends or queues a fragment of a message.
    pub(crate) fn send_fragment(&mut self, kind: Kind, data: &[u8], is_final: bool) -> Result<Accepted> {
        let mut accepted = self.connection.queue_fragment(kind, data, is_final)?;
        if accepted == Accepted::QueueFull {
            self.flush_quietly()?;
            accepted = self.connection.queue_fragment(kind, data, is_final)?;
        }
        self.flush_quietly()?;
        Ok(accepted)
    }

    /// Server: takes the request (see [`Connection::accept`]) and sends what it can of the response.
    pub(crate) fn accept(&mut self, protocol: Option<&str>, options: &HandshakeOptions) -> Result<()> {
        let response = self.connection.accept_unsent(protocol, options)?;
        let written = write_some(&mut self.stream, &[IoSlice::new(&response)]);
        let sent = self.sent_directly(written)?;
        self.connection.queue_rest(&response, &[], sent)?;
        self.flush_quietly()
    }

    /// Drives the opening handshake until a server has a request to decide on, or messages can flow.
    pub(crate) fn handshake(&mut self) -> Result<Opening> {
        loop {
            self.flush_quietly()?;
            match self.connection.poll_handshake() {
                Ok(Opening::NeedsBytes) => self.fill()?,
                other => {
                    let _ = self.flush_quietly();
                    return other;
                }
            }
        }
    }

    /// Sends what is pending. Where the stream does not take it all: `WouldBlock`.
    #[inline]
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.try_flush().map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => error.into(),
            _ => self.connection.stream_failed(error),
        })
    }

    /// [`flush`](Self::flush), where it does not matter yet that the stream does not take it all.
    #[inline]
    pub(crate) fn flush_quietly(&mut self) -> Result<()> {
        match self.flush() {
            Err(error) if error.is_would_block() => Ok(()),
            other => other,
        }
    }

    /// Before reading it does not matter either that the stream takes nothing any more: it may still have something
    /// to give, and what was to be sent is lost in any case. Returns whether something stays unsent.
    #[inline(always)]
    fn flush_before_reading(&mut self, broken: &mut Option<io::Error>) -> bool {
        match self.try_flush() {
            Ok(()) => false,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
            Err(error) => {
                self.connection.discard_output();
                *broken = Some(error);
                false
            }
        }
    }

    #[inline(always)]
    fn try_flush(&mut self) -> io::Result<()> {
        if self.connection.has_output() || self.unflushed { self.try_flush_some() } else { Ok(()) }
    }

    fn try_flush_some(&mut self) -> io::Result<()> {
        self.connection.uncork();
        while self.connection.has_output() {
            let sent = match self.connection.output_in_one_piece() {
                Some(bytes) => write_some(&mut self.stream, &[IoSlice::new(bytes)])?,
                None => {
                    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                    let used = self.connection.gather(&mut slices);
                    write_some(&mut self.stream, &slices[..used])?
                }
            };
            self.connection.sent(sent);
            self.unflushed = true;
        }
        if self.unflushed {
            self.stream.flush()?;
            self.unflushed = false;
        }
        Ok(())
    }

    fn sent_directly(&mut self, written: io::Result<usize>) -> Result<usize> {
        match written {
            Ok(sent) => {
                self.unflushed = true;
                Ok(sent)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(self.connection.stream_failed(error)),
        }
    }

    /// Receives once. What the stream says after both Closes, be it an error, is its end.
    fn fill(&mut self) -> Result<()> {
        let would_block = || Err(io::Error::from(io::ErrorKind::WouldBlock).into());
        if self.connection.has_ended() || self.connection.is_input_lent() {
            // It has ended and says so again and again; or the caller is receiving.
            return would_block();
        }
        if self.connection.is_deaf() {
            return self.drain();
        }
        let space = self.connection.space()?;
        if space.is_empty() {
            return would_block();
        }
        match read_some(&mut self.stream, space) {
            Ok(0) => self.connection.received_eof(),
            Ok(n) => self.connection.received(n),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.connection.rest();
                return Err(error.into());
            }
            Err(error) => return Err(self.connection.stream_failed(error)),
        }
        Ok(())
    }

    /// Receives what nobody looks at any more. Whatever the stream then says that is not bytes, be it an error, is its
    /// end.
    fn drain(&mut self) -> Result<()> {
        match read_some(&mut self.stream, &mut [0; 4096]) {
            Ok(1..) => self.connection.dropped(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error.into()),
            Ok(0) | Err(_) => self.connection.received_eof(),
        }
        Ok(())
    }

    /// A peer that sends nothing but what the reader does not see cannot hold up a call for ever.
    #[inline]
    fn check_patience(&mut self) -> Result<()> {
        if self.connection.is_patience_lost() {
            return Err(io::Error::from(io::ErrorKind::WouldBlock).into());
        }
        Ok(())
    }

    /// After the peer's Close, or a failure: sends what is pending and waits for the end of the stream, where that is
    /// to come first.
    fn drive_to_end(&mut self) -> Result<()> {
        let mut broken = None;
        loop {
            let stuck = self.flush_before_reading(&mut broken);
            self.connection.poll_end()?;
            self.check_patience()?;
            match self.fill() {
                Err(error) if error.is_would_block() && !stuck => return Ok(()),
                other => other?,
            }
        }
    }

    fn queue_and_flush(&mut self, message: &Outgoing<'_>) -> Result<Accepted> {
        let mut accepted = self.connection.queue_checked(message)?;
        if accepted == Accepted::QueueFull {
            self.flush_quietly()?;
            accepted = self.connection.queue_checked(message)?;
        }
        self.flush_quietly()?;
        Ok(accepted)
    }
}

/// The payload of a message that is so long that a copy costs more than a piece of its own in a write.
fn direct_part<'a>(message: &Outgoing<'a>) -> Option<(Kind, &'a [u8])> {
    match *message {
        Outgoing::Text(text) if text.len() >= DIRECT => Some((Kind::Text, text.as_bytes())),
        Outgoing::Binary(data) if data.len() >= DIRECT => Some((Kind::Binary, data)),
        _ => None,
    }
}

fn read_some(stream: &mut impl Read, space: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(space) {
            Ok(n) if n > space.len() => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the stream claims to have read more than there was room for",
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn write_some(stream: &mut impl Write, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        match stream.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) if n > slices.iter().map(|slice| slice.len()).sum() => return Err(too_much_written()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// [`write_some`] of one piece.
#[inline(always)]
fn write_one(stream: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match stream.write(bytes) {
            Ok(n) if n == bytes.len() => return Ok(n),
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) if n > bytes.len() => return Err(too_much_written()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn too_much_written() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the stream claims to have written more than it was given")
}
