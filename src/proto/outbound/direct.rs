//! Frames that leave without waiting, and what becomes of the rest where the stream does not take all of one.

use super::Sender;
use super::block::Block;
use crate::error::{Error, Result};
use crate::message::{Kind, Role};
use crate::proto::frame::{FrameStart, HeaderBytes};
use crate::proto::sizing::SENT_PIECE;
use crate::simd::mask::{self, MaskKey};

/// Room for a frame whose length fits into its second byte.
pub(crate) type ShortFrame = [u8; 2 + 4 + SHORT];

/// Longest payload of such a frame.
pub(crate) const SHORT: usize = 125;

/// A frame that is on its way out, masked: what is to follow the chunk at hand.
#[derive(Debug)]
pub struct MaskedChunk<'a> {
    key: MaskKey,
    rest: &'a [u8],
    /// Length of all of it, header included.
    total: usize,
}

impl MaskedChunk<'_> {
    /// Whether nothing of it is out once `sent` bytes of the chunk, which has `piece` bytes, are.
    pub fn is_unsent(&self, piece: usize, sent: usize) -> bool {
        self.rest.len() + piece == self.total && sent == 0
    }
}

impl Sender {
    /// Writes a whole message of at most 125 bytes in wire form, to be sent at once; its length. What the stream does not
    /// take goes to [`queue_rest`](Self::queue_rest).
    #[inline(always)]
    pub(crate) fn write_short(&self, kind: Kind, payload: &[u8], frame: &mut ShortFrame) -> Result<usize> {
        let (key, mut at) = (self.key()?, 0);
        FrameStart::whole(kind).encode(payload.len().min(SHORT), key, |piece| {
            frame[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        });
        let end = at + payload.len();
        match key {
            None => copy_short(&mut frame[at..], payload),
            Some(key) => mask::copy(&mut frame[at..end], payload, key),
        }
        Ok(end)
    }

    /// The header for a whole message that may be sent right from the caller's memory: nothing waits before it and
    /// it needs no mask. What the stream then does not take goes to [`queue_rest`](Self::queue_rest).
    #[inline]
    pub(crate) fn direct_header(&self, start: FrameStart, len: usize) -> HeaderBytes {
        debug_assert!(self.is_empty() && self.role == Role::Server);
        HeaderBytes::new(start, len, None)
    }

    /// Queues what is left of a frame of which `sent` bytes have left directly.
    pub(crate) fn queue_rest(&mut self, header: &[u8], payload: &[u8], sent: usize) -> Result<()> {
        let total = header.len() + payload.len();
        if sent >= total {
            return Ok(());
        }
        let header_rest = header.get(sent..).unwrap_or_default();
        let payload_rest = payload.get(sent.saturating_sub(header.len())..).unwrap_or_default();
        let block = self.room_in_block(total - sent)?;
        block.extend_from_slice(header_rest);
        block.extend_from_slice(payload_rest);
        // Where some of it has left, the frame counts as begun: no Pong is put into its middle.
        self.frames.push_back(total);
        self.frame_sent = sent;
        self.queued_bytes += (total - sent) as u64;
        Ok(())
    }

    /// A client's, where nothing waits: the beginning of a frame in wire form, to be sent at once; it is what
    /// [`chunk`](Self::chunk) returns. Once that has left, [`next_chunk`](Self::next_chunk) goes on; what the stream does
    /// not take goes to the queue with [`queue_masked`](Self::queue_masked).
    #[inline]
    pub(crate) fn begin_masked<'a>(
        &mut self,
        start: FrameStart,
        payload: &'a [u8],
    ) -> Result<MaskedChunk<'a>> {
        debug_assert!(self.is_empty() && self.role == Role::Client);
        let key = MaskKey::random()?;
        let header = HeaderBytes::new(start, payload.len(), Some(key));
        let (piece, rest) = payload.split_at(piece_len(payload.len()));
        let block = self.room_in_block(header.len() + piece.len())?;
        block.extend_from_slice(&header);
        mask::append(block, piece, key);
        Ok(MaskedChunk { key: key.advanced(piece.len()), rest, total: header.len() + payload.len() })
    }

    /// The piece that is to be sent.
    #[inline]
    pub(crate) fn chunk(&self) -> &[u8] {
        self.blocks.back().map_or(&[], |block| block)
    }

    /// The chunk has left whole; whether there is another. It is no longer, so that it needs no memory.
    #[inline]
    pub(crate) fn next_chunk(&mut self, masked: &mut MaskedChunk<'_>) -> bool {
        self.empty_last_block();
        match self.blocks.back_mut() {
            Some(Block::Own(block)) if !masked.rest.is_empty() => {
                let (piece, rest) = masked.rest.split_at(piece_len(masked.rest.len()));
                debug_assert!(piece.len() <= block.capacity());
                mask::append(block, piece, masked.key);
                (masked.key, masked.rest) = (masked.key.advanced(piece.len()), rest);
                true
            }
            _ => false,
        }
    }

    /// Of the chunk `sent` bytes have left: queues the rest of the frame. Where there is no memory for that, nothing
    /// is left of it.
    pub(crate) fn queue_masked(&mut self, masked: MaskedChunk<'_>, sent: usize) -> Result<()> {
        let MaskedChunk { key, rest, total } = masked;
        let left_before = total - rest.len() - self.chunk().len();
        if rest.is_empty() {
            self.block_sent = sent;
        } else {
            let piece = self.chunk().get(sent..).unwrap_or_default();
            let mut block = Vec::new();
            if block.try_reserve_exact(piece.len() + rest.len()).is_err() {
                self.empty_last_block();
                return Err(Error::NoMemory);
            }
            block.extend_from_slice(piece);
            mask::append(&mut block, rest, key);
            self.blocks.clear();
            self.blocks.push_back(Block::Own(block));
        }
        // Where some of it has left, the frame counts as begun: no Pong is put into its middle.
        self.frames.push_back(total);
        self.frame_sent = left_before + sent;
        self.queued_bytes = (total - self.frame_sent) as u64;
        Ok(())
    }
}

/// Length of the next of so many bytes that are sent in pieces of about the same length.
#[inline]
fn piece_len(len: usize) -> usize {
    if len <= SENT_PIECE { len } else { len.div_ceil(len.div_ceil(SENT_PIECE)) }
}

/// Copies the bytes of a short message. A few of them without a call: 7 % of the time of sending 16.
#[inline(always)]
fn copy_short(target: &mut [u8], source: &[u8]) {
    let end = source.len();
    match (source.first_chunk::<16>(), source.last_chunk::<16>()) {
        (Some(first), Some(last)) if end <= 32 => {
            target[..16].copy_from_slice(first);
            target[end - 16..end].copy_from_slice(last);
        }
        _ => target[..end].copy_from_slice(source),
    }
}
