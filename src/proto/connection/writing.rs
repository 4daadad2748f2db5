//! What may be sent, and queueing it: accepted whole or not at all.

use super::Connection;
use super::compression::Compression;
use crate::error::{CapacityError, Error, ProtocolError, Result};
use crate::message::{CloseCode, Kind, Outgoing, Role};
use crate::proto::frame::{FrameStart, MAX_CONTROL, Opcode};
use crate::proto::utf8::Utf8Stream;

/// Longest reason of a Close, in bytes.
pub(super) const MAX_REASON: usize = MAX_CONTROL - 2;

/// What became of a message that was to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Enqueue {
    /// It is sent or queued, whole.
    Accepted,
    /// The queue is full: nothing has changed.
    Full,
}

/// A message that is being sent in fragments.
#[derive(Debug, Clone)]
pub(super) struct OutgoingFragments {
    kind: Kind,
    compressed: bool,
    total: usize,
    text: Utf8Stream,
}

impl Connection {
    /// Whether `message` may be sent at all: the state, the limits. Changes nothing.
    #[inline]
    pub fn check(&self, message: &Outgoing<'_>) -> Result<()> {
        self.check_open()?;
        let is_close = matches!(message, Outgoing::Close(_));
        if !self.phase.can_write() && !is_close {
            return Err(ProtocolError::SendAfterClosing.into());
        }
        match message {
            Outgoing::Text(_) | Outgoing::Binary(_) if self.fragments.is_some() => {
                Err(Error::Misuse("a message is being sent in fragments: finish it first"))
            }
            Outgoing::Text(text) => self.check_size(text.len()),
            Outgoing::Binary(data) => self.check_size(data.len()),
            Outgoing::Ping(data) | Outgoing::Pong(data) if data.len() > MAX_CONTROL => {
                Err(Error::InvalidArgument("the payload of a Ping or Pong is at most 125 bytes"))
            }
            Outgoing::Ping(_) | Outgoing::Pong(_) | Outgoing::Close(None) => Ok(()),
            Outgoing::Close(Some((code, _))) if !code.is_allowed() => {
                Err(Error::InvalidArgument("this Close code must not be sent"))
            }
            Outgoing::Close(Some((_, reason))) if reason.len() > MAX_REASON => {
                Err(Error::InvalidArgument("the reason of a Close is at most 123 bytes"))
            }
            Outgoing::Close(Some(_)) => Ok(()),
        }
    }

    /// Queues a message, or says that there is no room for it. Pongs and the Close always find room.
    #[inline]
    pub fn queue(&mut self, message: &Outgoing<'_>) -> Result<Enqueue> {
        if self.queue_short(std::slice::from_ref(message), usize::MAX) == 1 {
            return Ok(Enqueue::Accepted);
        }
        self.check(message)?;
        self.queue_checked(message)
    }

    /// [`queue`](Self::queue) for those at the front of these messages that are shorter than `longer` and with which there
    /// is no more to it: how many.
    #[inline]
    pub fn queue_short(&mut self, messages: &[Outgoing<'_>], longer: usize) -> usize {
        if !self.goes_as_it_is(0) {
            return 0;
        }
        let limit = self.config.largest_sent().map_or(usize::MAX, |max| max.saturating_add(1));
        self.sender.queue_short(messages, longer.min(limit), &self.config)
    }

    /// [`queue`](Self::queue), to leave together with what follows: no read sends it before it needs more bytes.
    pub fn queue_corked(&mut self, message: &Outgoing<'_>) -> Result<Enqueue> {
        let corked = self.corked || !self.has_output();
        let accepted = self.queue(message)?;
        self.corked = corked && self.phase.can_write() && !matches!(message, Outgoing::Pong(_));
        Ok(accepted)
    }

    /// Whether what waits to be sent can wait until more is there.
    #[inline]
    pub fn is_corked(&self) -> bool {
        self.corked
    }

    /// What waits is being sent.
    #[inline]
    pub fn uncork(&mut self) {
        self.corked = false;
    }

    /// [`queue`](Self::queue), after [`check`](Self::check).
    pub fn queue_checked(&mut self, message: &Outgoing<'_>) -> Result<Enqueue> {
        match *message {
            Outgoing::Text(text) => self.queue_whole(Kind::Text, text.as_bytes()),
            Outgoing::Binary(data) => self.queue_whole(Kind::Binary, data),
            Outgoing::Ping(data) => self.queue_whole(Kind::Ping, data),
            Outgoing::Pong(data) => self.sender.queue_pong(data).map(|()| Enqueue::Accepted),
            Outgoing::Close(frame) => self.queue_close(frame).map(|()| Enqueue::Accepted),
        }
    }

    /// Queues a fragment of a text or binary message; `kind` must be the same for all of them.
    pub fn queue_fragment(&mut self, kind: Kind, data: &[u8], is_final: bool) -> Result<Enqueue> {
        self.check_open()?;
        if !self.phase.can_write() {
            return Err(ProtocolError::SendAfterClosing.into());
        }
        if kind.is_control() {
            return Err(Error::InvalidArgument("control frames cannot be sent in fragments"));
        }
        let is_first = self.fragments.is_none();
        let mut fragments = match self.fragments.as_deref() {
            Some(fragments) if fragments.kind != kind => {
                return Err(Error::Misuse("a message of the other kind is being sent in fragments"));
            }
            Some(fragments) => fragments.clone(),
            None => OutgoingFragments { kind, compressed: false, total: 0, text: Utf8Stream::default() },
        };
        fragments.total = fragments.total.saturating_add(data.len());
        self.check_size(fragments.total)?;
        if is_first {
            fragments.compressed = !is_final || self.will_compress(kind, data.len());
            fragments.compressed &= self.compression.is_some();
        }
        if kind == Kind::Text {
            fragments.text.push(data).map_err(|_| Error::Utf8)?;
            if is_final {
                fragments.text.finish().map_err(|_| Error::Utf8)?;
            }
        }
        let opcode = if is_first { Opcode::Kind(kind) } else { Opcode::Continuation };
        let accepted = self.queue_frame(opcode, is_final, fragments.compressed, data)?;
        if accepted == Enqueue::Accepted {
            self.fragments = (!is_final).then(|| Box::new(fragments));
        }
        Ok(accepted)
    }

    /// Whether nothing stands in the way of a message of this length: it may be sent at once, as it is.
    #[inline(always)]
    pub fn is_free_to_send(&self, len: usize) -> bool {
        self.sender.is_empty() && self.goes_as_it_is(len)
    }

    /// Whether a message of this length may be sent, in one frame, uncompressed.
    #[inline(always)]
    fn goes_as_it_is(&self, len: usize) -> bool {
        self.phase.is_open()
            && self.fragments.is_none()
            && self.compression.is_none()
            && self.config.largest_sent().is_none_or(|max| len <= max)
    }

    /// Whether a message of this length can be sent right from the caller's memory, behind others that are.
    #[inline]
    pub fn goes_directly(&self, len: usize) -> bool {
        self.role == Role::Server && self.goes_as_it_is(len)
    }

    fn queue_whole(&mut self, kind: Kind, data: &[u8]) -> Result<Enqueue> {
        self.queue_frame(Opcode::Kind(kind), true, self.will_compress(kind, data.len()), data)
    }

    fn queue_frame(&mut self, opcode: Opcode, fin: bool, compress: bool, data: &[u8]) -> Result<Enqueue> {
        // Before anything is compressed: a refused message must leave the compressor untouched.
        if !self.sender.has_room(data.len(), &self.config) {
            return Ok(Enqueue::Full);
        }
        let compressed = compress && opcode != Opcode::Continuation;
        let start = FrameStart { opcode, fin, compressed };
        match &mut self.compression {
            Some(compression) if compress => {
                let Compression { deflater, scratch, .. } = &mut **compression;
                scratch.clear();
                let queued =
                    deflater.compress(data, fin, scratch).and_then(|()| self.sender.queue(start, scratch));
                if let Err(error) = queued {
                    // The compressor has gone on without the peer: nothing can be sent that it would understand.
                    return Err(self.fail(error));
                }
            }
            _ => self.sender.queue(start, data)?,
        }
        Ok(Enqueue::Accepted)
    }

    fn queue_close(&mut self, frame: Option<(CloseCode, &str)>) -> Result<()> {
        if self.phase.is_open() {
            let mut payload = [0; MAX_CONTROL];
            let mut len = 0;
            if let Some((code, reason)) = frame {
                len = 2 + reason.len();
                payload[..2].copy_from_slice(&code.0.to_be_bytes());
                payload[2..len].copy_from_slice(reason.as_bytes());
            }
            self.sender.queue_close(&payload[..len])?;
            self.phase.sent_close();
        }
        Ok(())
    }

    fn check_size(&self, size: usize) -> Result<()> {
        match self.config.largest_sent() {
            Some(max) if size > max => {
                Err(CapacityError::MessageTooLong { size: size as u64, max: max as u64 }.into())
            }
            _ => Ok(()),
        }
    }
}
