//! Bytes that leave: from the queue, or right from the caller's memory where nothing waits. Where a part of a frame has
//! left, the rest of it is queued, or the connection is over.

use super::{Connection, Enqueue};
use crate::error::{Error, Result};
use crate::message::Kind;
use crate::proto::frame::{FrameStart, HeaderBytes};
use crate::proto::outbound::{MaskedChunk, ShortFrame};
use crate::proto::prepared::Prepared;
use std::io::IoSlice;

impl Connection {
    /// A short message in wire form (see `Sender::write_short`).
    #[inline(always)]
    pub fn write_short(&self, kind: Kind, payload: &[u8], frame: &mut ShortFrame) -> Result<usize> {
        self.sender.write_short(kind, payload, frame)
    }

    /// The header of a message that may leave right from the caller's memory (see `Sender::direct_header`).
    #[inline]
    pub fn direct_header(&self, kind: Kind, len: usize) -> HeaderBytes {
        self.sender.direct_header(FrameStart::whole(kind), len)
    }

    /// Queues what is left of a message of which `sent` bytes, header included, have left directly.
    pub fn queue_rest(&mut self, header: &[u8], payload: &[u8], sent: usize) -> Result<()> {
        if 0 < sent && sent < header.len() + payload.len() {
            self.deadlines.progressed();
        }
        self.sender.queue_rest(header, payload, sent).map_err(|error| match sent {
            0 => error,
            _ => self.cut_off(error),
        })
    }

    /// Queues a frame that is ready and belongs to many, of which `sent` bytes have left directly. Only on a server,
    /// after [`check`](Self::check).
    pub fn queue_prepared(&mut self, prepared: &Prepared, sent: usize) -> Enqueue {
        if sent == 0 && !self.sender.has_room(prepared.frame().len(), &self.config) {
            return Enqueue::Full;
        }
        self.sender.queue_shared(prepared.frame(), sent);
        Enqueue::Accepted
    }

    /// The beginning of a client's message in wire form, to be sent at once; only where nothing waits (see
    /// `Sender::begin_masked`).
    #[inline]
    pub fn begin_masked<'a>(&mut self, kind: Kind, payload: &'a [u8]) -> Result<MaskedChunk<'a>> {
        self.sender.begin_masked(FrameStart::whole(kind), payload)
    }

    /// The piece of it that is to be sent.
    #[inline]
    pub fn chunk(&self) -> &[u8] {
        self.sender.chunk()
    }

    /// That piece has left; whether there is another.
    #[inline]
    pub fn next_chunk(&mut self, masked: &mut MaskedChunk<'_>) -> bool {
        self.sender.next_chunk(masked)
    }

    /// Of that piece `sent` bytes have left: queues what is left of the message.
    pub fn queue_masked(&mut self, masked: MaskedChunk<'_>, sent: usize) -> Result<()> {
        self.deadlines.progressed();
        let is_unsent = masked.is_unsent(self.chunk().len(), sent);
        self.sender.queue_masked(masked, sent).map_err(|error| match is_unsent {
            true => error,
            false => self.cut_off(error),
        })
    }

    /// The beginning of a message is out and its rest lost: whatever followed would be taken for that.
    fn cut_off(&mut self, error: Error) -> Error {
        self.sender.discard();
        self.fail(error)
    }

    /// Whether bytes wait to be sent.
    #[inline]
    pub fn has_output(&self) -> bool {
        !self.sender.is_empty()
    }

    /// How many bytes wait to be sent.
    pub fn queued_bytes(&self) -> usize {
        self.sender.queued_bytes()
    }

    /// All bytes to send, where they lie in one piece.
    #[inline]
    pub fn output_in_one_piece(&self) -> Option<&[u8]> {
        self.sender.one_piece()
    }

    /// Fills `slices` with the bytes to send; returns how many it used.
    pub fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.sender.gather(slices)
    }

    /// The first `n` bytes that [`gather`](Self::gather) gave have been sent.
    pub fn sent(&mut self, n: usize) {
        self.deadlines.progressed();
        self.sender.advance(n, self.phase.has_said_all());
    }

    /// The next bytes to send in one piece, lent until [`advance_output`](Self::advance_output).
    pub fn output(&mut self) -> &[u8] {
        self.sender.output()
    }

    /// Whether [`output`](Self::output) has lent something.
    pub fn is_output_lent(&self) -> bool {
        self.sender.is_lent()
    }

    /// The first `n` lent bytes have been sent; false where fewer were lent.
    pub fn advance_output(&mut self, n: usize) -> bool {
        if n > 0 {
            self.deadlines.progressed();
        }
        self.sender.advance_output(n, self.phase.has_said_all())
    }

    /// The stream takes nothing any more, though it may still have something to read.
    pub fn discard_output(&mut self) {
        self.sender.discard();
    }
}
