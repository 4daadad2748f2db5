//! The receive buffer: one contiguous piece of memory that bytes are received into and parsed in. It is made when
//! bytes arrive and given back when it is empty, so that a waiting connection holds none. Knows no frames.

use crate::error::{Error, Result};
use crate::proto::sizing::{FEW, LARGEST_INPUT, REUSED, SMALLEST_HEAD, SMALLEST_INPUT};

/// See the module. All of `bytes` is initialised; `start..end` has been received and not been consumed.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// How often the first size has been doubled.
    doublings: u8,
    /// Length of the room given out last.
    room: usize,
}

impl Buffer {
    /// A buffer that holds `part`.
    pub(super) fn with_received(part: Vec<u8>) -> Self {
        Self { end: part.len(), bytes: part, ..Self::default() }
    }

    /// What has been received and not been consumed.
    #[inline]
    pub(super) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// [`filled`](Self::filled), to be unmasked where it lies.
    #[inline]
    pub(super) fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// Position of the first byte of [`filled`](Self::filled), for [`at`](Self::at).
    #[inline]
    pub(super) fn position(&self) -> usize {
        self.start
    }

    /// Bytes at a position remembered earlier; there until the next [`space`](Self::space) that may move them.
    #[inline]
    pub(super) fn at(&self, position: usize, len: usize) -> &[u8] {
        &self.bytes[position..position + len]
    }

    /// Drops the first `n` bytes of [`filled`](Self::filled).
    #[inline]
    pub(super) fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.end - self.start);
        self.start += n;
    }

    /// Room to receive into. With `may_move`, what lies in the buffer may be moved to make room; without, what has
    /// been handed out stays put and the room may be empty. Moving costs no more than receiving did: few bytes
    /// are moved, or no more than have been consumed. The buffer has room for `least` bytes in all, as far as that is
    /// allowed, and no more than `most` of it are given out.
    pub(super) fn space(&mut self, may_move: bool, least: usize, most: usize) -> Result<&mut [u8]> {
        let filled = self.end - self.start;
        if may_move
            && self.start > 0
            && (filled <= FEW || (filled <= self.start && self.end == self.bytes.len()))
        {
            if filled > 0 {
                self.bytes.copy_within(self.start..self.end, 0);
            }
            (self.start, self.end) = (0, filled);
        }
        // Where it is known what comes, no more than whole ones of it.
        let wanted = match (SMALLEST_INPUT << self.doublings, least) {
            (usual, 0) => usual,
            (usual, _) => usual.next_multiple_of(least),
        };
        let wanted = wanted.min(most.max(least)).min(LARGEST_INPUT);
        if may_move && self.start == 0 && self.bytes.len() < wanted {
            self.grow(wanted)?;
        }
        self.room = most.min(self.bytes.len() - self.end);
        Ok(&mut self.bytes[self.end..][..self.room])
    }

    /// [`space`](Self::space) while nothing lies in the buffer and nothing is known of what comes.
    #[inline]
    pub(super) fn space_anew(&mut self) -> Result<&mut [u8]> {
        debug_assert!(self.filled().is_empty());
        (self.start, self.end) = (0, 0);
        let wanted = (SMALLEST_INPUT << self.doublings).min(LARGEST_INPUT);
        if self.bytes.len() < wanted {
            self.grow(wanted)?;
        }
        self.room = self.bytes.len();
        Ok(&mut self.bytes)
    }

    /// [`space_anew`](Self::space_anew), so much of it.
    #[inline]
    pub(super) fn space_of(&mut self, wanted: usize) -> Result<&mut [u8]> {
        debug_assert!(self.filled().is_empty());
        (self.start, self.end) = (0, 0);
        if self.bytes.len() < wanted {
            self.grow(wanted)?;
        }
        self.room = wanted;
        Ok(&mut self.bytes[..wanted])
    }

    /// Room for a thing that must be in the buffer whole: grows where that is `wanted`.
    pub(super) fn space_for_whole(&mut self, wanted: bool) -> Result<&mut [u8]> {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.bytes.len() && wanted {
            self.grow((self.end * 2).max(SMALLEST_HEAD))?;
        }
        self.room = self.bytes.len() - self.end;
        Ok(&mut self.bytes[self.end..])
    }

    /// The first `n` bytes of the room have been received.
    #[inline]
    pub(super) fn commit(&mut self, n: usize) {
        debug_assert!(n <= self.bytes.len() - self.end);
        self.end += n;
        if n == self.room && self.end >= SMALLEST_INPUT && SMALLEST_INPUT << self.doublings < LARGEST_INPUT {
            self.doublings += 1;
        }
    }

    /// Starts anew, with the memory there is where it is not much.
    #[inline]
    pub(super) fn reuse(&mut self) {
        let Self { bytes, start, end, doublings, room } = self;
        if bytes.len() > REUSED {
            *bytes = Vec::new();
        }
        (*start, *end, *doublings, *room) = (0, 0, 0, 0);
    }

    /// Gives the memory back where nothing lies in it.
    pub(super) fn release(&mut self) {
        if self.start == self.end {
            self.bytes = Vec::new();
            (self.start, self.end) = (0, 0);
        }
    }

    fn grow(&mut self, size: usize) -> Result<()> {
        let more = size - self.bytes.len();
        self.bytes.try_reserve_exact(more).map_err(|_| Error::NoMemory)?;
        self.bytes.resize(size, 0);
        Ok(())
    }
}
