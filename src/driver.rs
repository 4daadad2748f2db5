//! A connection driven over a stream: [`Driver`] moves the bytes between the two.
//!
//! The stream is handed to each call, so that its owner may keep it where it likes. Every call first tries to send what
//! is pending, and every wait is the stream's own. Knows no protocol rule and no kind of stream.

use crate::error::{ProtocolError, Result};
use crate::message::{Kind, MessageView, Outgoing, Role};
use crate::proto::connection::{Connection, Enqueue, Opening};
use crate::proto::frame::HeaderBytes;
use crate::proto::handshake::HandshakeOptions;
use crate::proto::prepared::Prepared;
use crate::proto::receive::{Received, WholeMessage};
use crate::proto::send::{FrameStart, MaskedChunk, SHORT};
use std::io::{self, IoSlice, Read, Write};

/// Most pieces handed to the stream in one write.
const MAX_SLICES: usize = 64;
/// Most messages for [`Driver::send_many`].
pub const MANY: usize = MAX_SLICES / 2;
/// Messages that are sent together go right from the caller's memory from this length on, in bytes.
const DIRECT: usize = 4 << 10;

/// See the module.
#[derive(Debug)]
pub struct Driver {
    /// The connection, for what needs no stream.
    pub connection: Connection,
    /// Bytes were written since the stream was last flushed.
    unflushed: bool,
}

impl Driver {
    /// Drives this connection.
    pub fn new(connection: Connection) -> Self {
        Self { connection, unflushed: false }
    }

    /// Whether nothing goes on (see [`Connection::is_parkable`]).
    #[inline]
    pub fn is_parkable(&self) -> bool {
        !self.unflushed && self.connection.is_parkable()
    }

    /// Sends what is pending. After a Close this ends in [`ConnectionClosed`](crate::Error::ConnectionClosed), as reading does.
    pub fn write_pending(&mut self, stream: &mut (impl Read + Write)) -> Result<()> {
        match self.connection.state().can_read() {
            // Nothing is pending, and never will be; the end comes when all is read.
            true if self.connection.has_send_failed() => Err(ProtocolError::SendAfterClosing.into()),
            true => self.flush(stream),
            false => self.drive_to_end(stream),
        }
    }

    /// A short message that lies there, where nothing else has to be done first: most calls come to no more than
    /// this. It is a sixth of the instructions of [`receive`](Self::receive).
    #[inline(always)]
    pub fn receive_simple(&mut self) -> Option<WholeMessage> {
        match self.has_output() && !self.connection.is_corked() {
            true => None,
            false => self.connection.poll_simple(),
        }
    }

    /// [`receive_simple`](Self::receive_simple), where that found nothing: the stream is asked, if nothing has to be done
    /// before.
    #[inline]
    pub fn receive_simply(&mut self, stream: &mut (impl Read + Write)) -> Result<Option<WholeMessage>> {
        if self.has_output() || !self.connection.begin_message() {
            return Ok(None);
        }
        self.receive_some(stream)?;
        Ok(self.connection.poll_simple())
    }

    /// What [`receive_simple`](Self::receive_simple) returned last.
    #[inline(always)]
    pub fn simple_view(&self, simple: WholeMessage) -> MessageView<'_> {
        let data = self.connection.simple_payload(simple);
        MessageView { kind: simple.kind, data, close_code: None, is_final: true }
    }

    /// The next message, whatever it takes.
    #[inline(never)]
    pub fn receive(&mut self, stream: &mut (impl Read + Write)) -> Result<Received> {
        if let Some(simple) = self.receive_simply(stream)? {
            return Ok(simple.into());
        }
        let mut broken = None;
        let mut stuck = !self.connection.is_corked() && self.flush_before_reading(stream, &mut broken);
        loop {
            if let Some(received) = self.connection.poll_read()? {
                return Ok(received);
            }
            if !stuck && self.connection.has_output() {
                // An answer was queued, and the peer may be waiting for it before it sends anything.
                self.flush_before_reading(stream, &mut broken);
            }
            match (self.fill(stream), broken.take()) {
                (Ok(()), still) => broken = still,
                (Err(error), Some(cause)) if error.is_would_block() => self.connection.ended_by(cause)?,
                (Err(error), _) => return Err(error),
            }
            self.check_patience()?;
            stuck = self.flush_before_reading(stream, &mut broken);
        }
    }

    /// The payload and more of what [`receive`](Self::receive) returned last.
    #[inline]
    pub fn view(&self, received: &Received) -> MessageView<'_> {
        MessageView {
            kind: received.kind,
            data: self.connection.payload(received),
            close_code: if received.kind == Kind::Close { self.connection.close_code() } else { None },
            is_final: received.is_final,
        }
    }

    /// Sends or queues a message; a refused one leaves everything as it was.
    #[inline]
    pub fn send(&mut self, stream: &mut (impl Read + Write), message: &Outgoing<'_>) -> Result<Enqueue> {
        let (kind, payload) = match *message {
            Outgoing::Text(text) => (Kind::Text, text.as_bytes()),
            Outgoing::Binary(data) => (Kind::Binary, data),
            _ => return self.send_any(stream, message),
        };
        match !self.unflushed && self.connection.is_free_to_send(payload.len()) {
            true if payload.len() <= SHORT => self.send_short(stream, kind, payload),
            true => match self.connection.role() {
                Role::Server => self.send_as_it_is(stream, kind, payload),
                Role::Client => self.send_masked(stream, kind, payload),
            },
            false => self.send_any(stream, message),
        }
    }

    /// A message that needs no mask, while nothing waits: right from the caller's memory.
    #[inline]
    fn send_as_it_is(
        &mut self,
        stream: &mut (impl Read + Write),
        kind: Kind,
        payload: &[u8],
    ) -> Result<Enqueue> {
        let header = HeaderBytes::new(&FrameStart::whole(kind).header(None, payload.len()));
        let written = write_some(stream, &[IoSlice::new(&header), IoSlice::new(payload)]);
        let sent = self.sent_directly(written)?;
        self.connection.queue_rest(&header, payload, sent)?;
        self.flush_quietly(stream)?;
        Ok(Enqueue::Accepted)
    }

    /// A short message while nothing waits: framed on the stack, and sent in one piece.
    #[inline]
    fn send_short(
        &mut self,
        stream: &mut (impl Read + Write),
        kind: Kind,
        payload: &[u8],
    ) -> Result<Enqueue> {
        let mut frame = [0; _];
        let len = self.connection.write_short(kind, payload, &mut frame)?;
        let frame = &frame[..len];
        match write_one(stream, frame) {
            Ok(sent) if sent == len => self.flush_stream(stream)?,
            written => self.send_rest(stream, frame, written)?,
        }
        Ok(Enqueue::Accepted)
    }

    #[cold]
    fn send_rest(
        &mut self,
        stream: &mut (impl Read + Write),
        frame: &[u8],
        written: io::Result<usize>,
    ) -> Result<()> {
        let sent = self.sent_directly(written)?;
        self.connection.queue_rest(frame, &[], sent)?;
        self.flush_quietly(stream)
    }

    /// A client's message while nothing waits: masked and sent piece by piece.
    #[inline]
    fn send_masked(
        &mut self,
        stream: &mut (impl Read + Write),
        kind: Kind,
        payload: &[u8],
    ) -> Result<Enqueue> {
        let mut staged = self.connection.stage(kind, payload)?;
        loop {
            let piece = self.connection.staged();
            match write_one(stream, piece) {
                Ok(sent) if sent == piece.len() => {
                    if !self.connection.stage_next(&mut staged) {
                        self.flush_stream(stream)?;
                        return Ok(Enqueue::Accepted);
                    }
                }
                written => {
                    self.send_rest_masked(stream, staged, written)?;
                    return Ok(Enqueue::Accepted);
                }
            }
        }
    }

    #[cold]
    fn send_rest_masked(
        &mut self,
        stream: &mut (impl Read + Write),
        staged: MaskedChunk<'_>,
        written: io::Result<usize>,
    ) -> Result<()> {
        let sent = self.sent_directly(written)?;
        self.connection.queue_staged(staged, sent)?;
        self.flush_quietly(stream)
    }

    /// All that was written leaves the stream, now or later.
    #[inline(always)]
    fn flush_stream(&mut self, stream: &mut (impl Read + Write)) -> Result<()> {
        match stream.flush() {
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
            _ => self.send_failed(error),
        }
    }

    /// The stream takes nothing any more (see [`Connection::send_failed`]).
    #[cold]
    fn send_failed(&mut self, error: io::Error) -> Result<()> {
        self.unflushed = false;
        self.connection.send_failed(error)
    }

    fn send_any(&mut self, stream: &mut (impl Read + Write), message: &Outgoing<'_>) -> Result<Enqueue> {
        self.connection.check(message)?;
        let (kind, payload) = match message {
            Outgoing::Text(text) => (Kind::Text, text.as_bytes()),
            Outgoing::Binary(data) => (Kind::Binary, *data),
            Outgoing::Ping(data) => (Kind::Ping, *data),
            Outgoing::Pong(_) | Outgoing::Close(_) => return self.queue_and_flush(stream, message),
        };
        if self.connection.has_output() || self.connection.will_compress(kind, payload.len()) {
            return self.queue_and_flush(stream, message);
        }
        // Nothing waits: the message goes to the stream at once, and only what that does not take is queued.
        match self.connection.direct_header(kind, payload.len()) {
            Some(header) => {
                let written = write_some(stream, &[IoSlice::new(&header), IoSlice::new(payload)]);
                let sent = self.sent_directly(written)?;
                self.connection.queue_rest(&header, payload, sent)?;
            }
            None => return self.send_masked(stream, kind, payload),
        }
        self.flush_quietly(stream)?;
        Ok(Enqueue::Accepted)
    }

    /// Sends or queues messages, [`MANY`] at most, that leave with the next flush if not at once; how many of them were
    /// accepted. The first that finds no room ends it. Long ones go right from the caller's memory, short ones are copied
    /// behind one another.
    pub fn send_many(
        &mut self,
        stream: &mut (impl Read + Write),
        messages: &[Outgoing<'_>],
    ) -> (usize, Result<Enqueue>) {
        let mut done = 0;
        loop {
            done += self.connection.queue_short(&messages[done..], DIRECT);
            let Some(message) = messages.get(done) else { break };
            let (count, outcome) = match self.count_direct(stream, &messages[done..]) {
                Ok(0) => (1, self.queue_one_of_many(stream, message)),
                Ok(count) => self.send_direct(stream, &messages[done..done + count]),
                Err(error) => (0, Err(error)),
            };
            match outcome {
                Ok(Enqueue::Accepted) => done += count,
                Ok(Enqueue::Full) => return (done + count - 1, outcome),
                Err(_) => return (done, outcome),
            }
        }
        (done, Ok(Enqueue::Accepted))
    }

    #[inline]
    fn queue_one_of_many(
        &mut self,
        stream: &mut (impl Read + Write),
        message: &Outgoing<'_>,
    ) -> Result<Enqueue> {
        let accepted = self.connection.queue(message)?;
        if accepted == Enqueue::Accepted {
            return Ok(accepted);
        }
        self.flush_quietly(stream)?;
        self.connection.queue(message)
    }

    /// How many of these messages can be sent together without a copy.
    #[inline]
    fn count_direct(&mut self, stream: &mut (impl Read + Write), messages: &[Outgoing<'_>]) -> Result<usize> {
        if messages.first().and_then(direct_part).is_none() {
            return Ok(0);
        }
        // What waits goes first; where that does not go, they wait behind it.
        self.flush_quietly(stream)?;
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
    fn send_direct(
        &mut self,
        stream: &mut (impl Read + Write),
        messages: &[Outgoing<'_>],
    ) -> (usize, Result<Enqueue>) {
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
        let written = write_some(stream, &slices[..used]);
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
                0 => self.queue_one_of_many(stream, message),
                _ => self.connection.queue_rest(header, payload, here).map(|()| Enqueue::Accepted),
            };
            if !matches!(outcome, Ok(Enqueue::Accepted)) {
                return (tried, outcome);
            }
        }
        (tried, Ok(Enqueue::Accepted))
    }

    /// Sends or queues a message that is framed already.
    pub fn send_prepared(
        &mut self,
        stream: &mut (impl Read + Write),
        prepared: &Prepared,
    ) -> Result<Enqueue> {
        if self.connection.role() == Role::Client {
            return self.send(stream, &prepared.message());
        }
        // Of what matters here, a text is no different from bytes.
        self.connection.check(&Outgoing::Binary(prepared.payload()))?;
        if self.connection.has_output() {
            self.flush_quietly(stream)?;
        }
        let mut sent = 0;
        if !self.connection.has_output() {
            let written = write_some(stream, &[IoSlice::new(prepared.frame())]);
            sent = self.sent_directly(written)?;
        }
        let accepted = self.connection.queue_prepared(prepared, sent);
        self.flush_quietly(stream)?;
        Ok(accepted)
    }

    /// Whether something waits to be sent, here or in the stream.
    #[inline]
    pub fn has_output(&self) -> bool {
        self.connection.has_output() || self.unflushed
    }

    /// Sends or queues a fragment of a message.
    pub fn send_fragment(
        &mut self,
        stream: &mut (impl Read + Write),
        kind: Kind,
        data: &[u8],
        is_final: bool,
    ) -> Result<Enqueue> {
        let mut accepted = self.connection.queue_fragment(kind, data, is_final)?;
        if accepted == Enqueue::Full {
            self.flush_quietly(stream)?;
            accepted = self.connection.queue_fragment(kind, data, is_final)?;
        }
        self.flush_quietly(stream)?;
        Ok(accepted)
    }

    /// Server: takes the request (see [`Connection::accept`]) and sends what it can of the response.
    pub fn accept(
        &mut self,
        stream: &mut (impl Read + Write),
        protocol: Option<&str>,
        options: &HandshakeOptions,
    ) -> Result<()> {
        let response = self.connection.accept_unsent(protocol, options)?;
        let written = write_some(stream, &[IoSlice::new(&response)]);
        let sent = self.sent_directly(written)?;
        self.connection.queue_rest(&response, &[], sent)?;
        self.flush_quietly(stream)
    }

    /// Server: refuses a request that is not for WebSocket (see [`Connection::refuse_plain`]) and sends what it can of the
    /// answer.
    pub fn refuse_plain(&mut self, stream: &mut (impl Read + Write)) -> Result<()> {
        self.connection.refuse_plain().inspect_err(|_| {
            let _ = self.flush_quietly(stream);
        })
    }

    /// Drives the opening handshake until a server has a request to decide on, or messages can flow.
    pub fn handshake(&mut self, stream: &mut (impl Read + Write)) -> Result<Opening> {
        loop {
            let mut broken = None;
            self.flush_before_reading(stream, &mut broken);
            if let Some(cause) = broken {
                return self.hear_out(stream, cause);
            }
            match self.connection.poll_handshake() {
                Ok(Opening::NeedsBytes) => self.fill(stream)?,
                other => {
                    let _ = self.flush_quietly(stream);
                    return other;
                }
            }
        }
    }

    /// The peer takes nothing more of the opening handshake: it may have said why.
    #[cold]
    fn hear_out(&mut self, stream: &mut (impl Read + Write), cause: io::Error) -> Result<Opening> {
        loop {
            match self.connection.poll_handshake() {
                Ok(Opening::NeedsBytes) => {}
                other => return other,
            }
            let space = self.connection.space()?;
            match if space.is_empty() { Ok(0) } else { read_some(stream, space) } {
                Ok(n @ 1..) => self.connection.received(n),
                _ => return Err(self.connection.stream_failed(cause)),
            }
        }
    }

    /// Sends what is pending. Where the stream does not take it all: `WouldBlock`.
    #[inline]
    pub fn flush(&mut self, stream: &mut (impl Read + Write)) -> Result<()> {
        self.try_flush(stream).or_else(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Err(error.into()),
            _ => self.send_failed(error),
        })
    }

    /// [`flush`](Self::flush), where it does not matter yet that the stream does not take it all.
    #[inline]
    pub fn flush_quietly(&mut self, stream: &mut (impl Read + Write)) -> Result<()> {
        // As a rule nothing waits, and there is no result to look at.
        if !self.has_output() {
            return Ok(());
        }
        match self.flush(stream) {
            Err(error) if error.is_would_block() => Ok(()),
            other => other,
        }
    }

    /// Before reading it does not matter either that the stream takes nothing any more: it may still have something
    /// to give, and what was to be sent is lost in any case. Returns whether something stays unsent.
    #[inline(always)]
    fn flush_before_reading(
        &mut self,
        stream: &mut (impl Read + Write),
        broken: &mut Option<io::Error>,
    ) -> bool {
        match self.try_flush(stream) {
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
    fn try_flush(&mut self, stream: &mut (impl Read + Write)) -> io::Result<()> {
        if self.connection.has_output() || self.unflushed { self.try_flush_some(stream) } else { Ok(()) }
    }

    fn try_flush_some(&mut self, stream: &mut (impl Read + Write)) -> io::Result<()> {
        self.connection.uncork();
        while self.connection.has_output() {
            let sent = match self.connection.output_in_one_piece() {
                Some(bytes) => write_some(stream, &[IoSlice::new(bytes)])?,
                None => {
                    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                    let used = self.connection.gather(&mut slices);
                    write_some(stream, &slices[..used])?
                }
            };
            self.connection.sent(sent);
            self.unflushed = true;
        }
        if self.unflushed {
            stream.flush()?;
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
            Err(error) => self.send_failed(error).map(|()| 0),
        }
    }

    /// Receives once. What the stream says after both Closes, be it an error, is its end.
    fn fill(&mut self, stream: &mut (impl Read + Write)) -> Result<()> {
        if self.connection.has_ended() || self.connection.is_input_lent() {
            // It has ended and says so again and again; or the caller is receiving.
            return Err(io::Error::from(io::ErrorKind::WouldBlock).into());
        }
        if self.connection.ignores_input() {
            return self.drain(stream);
        }
        self.receive_some(stream)
    }

    /// [`fill`](Self::fill), where the stream has not ended and what it gives is to be read.
    #[inline(always)]
    fn receive_some(&mut self, stream: &mut (impl Read + Write)) -> Result<()> {
        let space = self.connection.space()?;
        if space.is_empty() {
            return Err(io::Error::from(io::ErrorKind::WouldBlock).into());
        }
        match read_some(stream, space) {
            Ok(0) => self.connection.received_eof(),
            Ok(n) => self.connection.received(n),
            // That it fails is known already: with this it has nothing more to give.
            Err(_) if self.connection.has_send_failed() => self.connection.received_eof(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.connection.rest();
                return Err(error.into());
            }
            Err(error) => return Err(self.connection.stream_failed(error)),
        }
        Ok(())
    }

    /// Receives what there is, once, without looking at it: before the silence of the peer is judged. False where there is no
    /// room for it.
    pub fn receive_unread(&mut self, stream: &mut (impl Read + Write)) -> Result<bool> {
        if self.connection.has_ended() || self.connection.ignores_input() {
            return Ok(true);
        }
        let space = self.connection.space()?;
        if space.is_empty() {
            return Ok(false);
        }
        match read_some(stream, space) {
            Ok(0) => self.connection.received_eof(),
            Ok(n) => self.connection.received(n),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // What has arrived before is read first; that there is an end shows again behind it.
            Err(_) if self.connection.is_readable() => self.connection.peer_is_alive(),
            Err(error) => return Err(self.connection.stream_failed(error)),
        }
        Ok(true)
    }

    /// Receives what nobody looks at any more. Whatever the stream then says that is not bytes, be it an error, is its
    /// end.
    #[cold]
    fn drain(&mut self, stream: &mut (impl Read + Write)) -> Result<()> {
        match read_some(stream, &mut [0; 4096]) {
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
    fn drive_to_end(&mut self, stream: &mut (impl Read + Write)) -> Result<()> {
        let mut broken = None;
        loop {
            let stuck = self.flush_before_reading(stream, &mut broken);
            self.connection.poll_end()?;
            self.check_patience()?;
            match (self.fill(stream), broken.take()) {
                (Ok(()), still) => broken = still,
                (Err(error), Some(cause)) if error.is_would_block() => self.connection.ended_by(cause)?,
                (Err(error), _) if error.is_would_block() && !stuck => return Ok(()),
                (Err(error), _) => return Err(error),
            }
        }
    }

    fn queue_and_flush(
        &mut self,
        stream: &mut (impl Read + Write),
        message: &Outgoing<'_>,
    ) -> Result<Enqueue> {
        let mut accepted = self.connection.queue_checked(message)?;
        if accepted == Enqueue::Full {
            self.flush_quietly(stream)?;
            accepted = self.connection.queue_checked(message)?;
        }
        self.flush_quietly(stream)?;
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

#[inline(always)]
fn read_some(stream: &mut impl Read, space: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(space) {
            Ok(n) if n > space.len() => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the stream reports more bytes read than the buffer holds",
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[inline(always)]
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
    io::Error::new(io::ErrorKind::InvalidData, "the stream reports more bytes written than it was given")
}
