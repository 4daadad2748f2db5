//! Messages onto a stream: at once where nothing waits, and what the stream does not take into the queue.

use super::{Driver, MAX_SLICES, write_one, write_some};
use crate::error::Result;
use crate::message::{Kind, Outgoing, Role};
use crate::proto::connection::Enqueue;
use crate::proto::outbound::{MaskedChunk, SHORT};
use crate::proto::prepared::Prepared;
use crate::proto::sizing::DIRECT;
use std::io::{self, IoSlice, Read, Write};

/// Most messages for [`Driver::send_many`].
pub(crate) const MANY: usize = MAX_SLICES / 2;

impl Driver {
    /// Sends or queues a message; a refused one leaves everything as it was.
    #[inline]
    pub(crate) fn send(
        &mut self,
        stream: &mut (impl Read + Write),
        message: &Outgoing<'_>,
    ) -> Result<Enqueue> {
        let (kind, payload) = match *message {
            Outgoing::Text(text) => (Kind::Text, text.as_bytes()),
            Outgoing::Binary(data) => (Kind::Binary, data),
            _ => return self.send_any(stream, message),
        };
        match !self.unflushed && self.connection.is_free_to_send(payload.len()) {
            true if payload.len() <= SHORT => self.send_short(stream, kind, payload),
            true => self.send_at_once(stream, kind, payload),
            false => self.send_any(stream, message),
        }
    }

    /// A message while nothing waits: it goes to the stream at once, and only what that does not take is queued.
    #[inline]
    fn send_at_once(
        &mut self,
        stream: &mut (impl Read + Write),
        kind: Kind,
        payload: &[u8],
    ) -> Result<Enqueue> {
        match self.connection.role() {
            Role::Server => self.send_as_it_is(stream, kind, payload),
            Role::Client => self.send_masked(stream, kind, payload),
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
        let header = self.connection.direct_header(kind, payload.len());
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
        let mut masked = self.connection.begin_masked(kind, payload)?;
        loop {
            let piece = self.connection.chunk();
            match write_one(stream, piece) {
                Ok(sent) if sent == piece.len() => {
                    if !self.connection.next_chunk(&mut masked) {
                        self.flush_stream(stream)?;
                        return Ok(Enqueue::Accepted);
                    }
                }
                written => {
                    self.send_rest_masked(stream, masked, written)?;
                    return Ok(Enqueue::Accepted);
                }
            }
        }
    }

    #[cold]
    fn send_rest_masked(
        &mut self,
        stream: &mut (impl Read + Write),
        masked: MaskedChunk<'_>,
        written: io::Result<usize>,
    ) -> Result<()> {
        let sent = self.sent_directly(written)?;
        self.connection.queue_masked(masked, sent)?;
        self.flush_quietly(stream)
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
        self.send_at_once(stream, kind, payload)
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

    /// Sends or queues messages, [`MANY`] at most, that leave with the next flush if not at once; how many of them were
    /// accepted. The first that finds no room ends it. Long ones go right from the caller's memory, short ones are copied
    /// behind one another.
    pub(crate) fn send_many(
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
            *frame = direct_part(message)
                .map(|(kind, payload)| (self.connection.direct_header(kind, payload.len()), payload));
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
    pub(crate) fn send_prepared(
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

    /// Sends or queues a fragment of a message.
    pub(crate) fn send_fragment(
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

    pub(super) fn sent_directly(&mut self, written: io::Result<usize>) -> Result<usize> {
        match written {
            Ok(sent) => {
                self.unflushed = true;
                Ok(sent)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => self.send_failed(error).map(|()| 0),
        }
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
