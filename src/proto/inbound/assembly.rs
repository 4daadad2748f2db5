//! A message that is being put together, and the payload that is taken into it.

use crate::config::WebSocketConfig;
use crate::error::{CapacityError, Error, Result};
use crate::message::Kind;
use crate::proto::sizing::{AHEAD, REUSED, STEP};
use crate::proto::utf8::{self, InvalidUtf8, Utf8Stream};
use crate::simd::mask::{self, MaskKey};

/// A message that is being put together. `bytes[..len]` is its payload so far; what follows is room, of which
/// `fresh` bytes have been received and are still masked.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    pub(super) bytes: Vec<u8>,
    pub(super) len: usize,
    pub(super) fresh: usize,
    /// Where the room begins that was given out last: parts may be dropped before it is filled.
    room: usize,
    /// Length of the part that was delivered last and may be dropped now.
    pub(super) delivered: usize,
    pub(super) kind: Option<Kind>,
    pub(super) compressed: bool,
    pub(super) fragments: u32,
    /// How much of `len` was there when the caller had a turn last.
    pub(super) seen: usize,
    /// Bytes of the whole message, delivered parts included.
    pub(super) total: u64,
    pub(super) text: Utf8Stream,
}

impl Assembly {
    pub(super) fn begin(&mut self, kind: Kind, compressed: bool) {
        self.clear();
        self.kind = Some(kind);
        self.compressed = compressed;
    }

    pub(super) fn clear(&mut self) {
        *self = Self { bytes: std::mem::take(&mut self.bytes), ..Self::default() };
    }

    /// Nothing of a message is left but memory, where that is not much.
    #[inline]
    pub(super) fn reuse(&mut self) {
        // Most have received no message that had to be put together.
        if !self.bytes.is_empty() {
            self.clear();
            if self.bytes.capacity() > REUSED {
                self.bytes = Vec::new();
            }
        }
    }

    /// A message begins of which so many bytes are likely to come, for as many came last time: there is memory for them in one
    /// piece, so that none is moved once more. Where there is none, it will be made as they come.
    pub(super) fn expect(&mut self, len: usize) {
        let _ = self.bytes.try_reserve_exact(len.saturating_sub(self.bytes.len()));
    }

    /// What was delivered is dropped; up to three bytes of an incomplete character stay, and what was received since.
    pub(super) fn drop_delivered(&mut self) {
        let delivered = std::mem::take(&mut self.delivered);
        self.bytes.copy_within(delivered..self.len + self.fresh, 0);
        self.len -= delivered;
        if self.kind.is_none() {
            (self.fragments, self.total) = (0, 0);
        }
    }

    /// Room for the next bytes of a frame of which `missing` are to come: grows with what has arrived, never by
    /// what was declared.
    pub(super) fn space(&mut self, missing: u64, piece: usize) -> Result<&mut [u8]> {
        let used = self.len + self.fresh;
        let missing = (missing - self.fresh as u64).min(piece as u64);
        let wanted = used.clamp(*AHEAD.start(), *AHEAD.end());
        let wanted = usize::try_from(missing).map_or(wanted, |missing| missing.min(wanted));
        self.reserve(wanted)?;
        // What is missing may end where there are no addresses any more.
        let end = (self.bytes.len() as u64).min(used as u64 + missing) as usize;
        self.room = used;
        Ok(&mut self.bytes[used..end])
    }

    /// The first `n` bytes of the room last given out have been received.
    pub(super) fn commit(&mut self, n: usize) {
        if self.room != self.len + self.fresh {
            self.catch_up(n);
        }
        self.fresh += n;
    }

    /// Parts before the room have been dropped meanwhile.
    #[cold]
    fn catch_up(&mut self, n: usize) {
        self.bytes.copy_within(self.room..self.room + n, self.len + self.fresh);
    }

    pub(super) fn append(&mut self, piece: &[u8]) -> Result<()> {
        self.reserve(piece.len())?;
        let used = self.len + self.fresh;
        self.bytes[used..used + piece.len()].copy_from_slice(piece);
        self.fresh += piece.len();
        Ok(())
    }

    pub(super) fn reserve(&mut self, more: usize) -> Result<()> {
        let needed = self.len + self.fresh + more;
        if needed > self.bytes.len() {
            self.bytes.try_reserve(needed - self.bytes.len()).map_err(|_| Error::NoMemory)?;
            self.bytes.resize(needed, 0);
        }
        Ok(())
    }

    /// How much of it is valid and within the limit.
    pub(super) fn good(&self, config: &WebSocketConfig) -> usize {
        let over = if self.compressed { self.total.saturating_sub(max_total(config)) } else { 0 };
        let len = (self.len + self.fresh).saturating_sub(usize::try_from(over).unwrap_or(usize::MAX));
        match self.kind {
            Some(Kind::Text) => match std::str::from_utf8(&self.bytes[..len]) {
                Ok(_) => len,
                Err(error) => error.valid_up_to(),
            },
            _ => len,
        }
    }

    /// The fresh bytes become payload.
    pub(super) fn take_fresh(&mut self, key: Option<MaskKey>) -> Result<()> {
        let piece = &mut self.bytes[self.len..self.len + self.fresh];
        let is_text = self.kind == Some(Kind::Text);
        take_piece(piece, key, is_text.then_some(&mut self.text)).map_err(|_| Error::Utf8)?;
        self.len += std::mem::take(&mut self.fresh);
        Ok(())
    }
}

/// What a message may come to: where it is handed out in parts, more than memory can hold.
pub(super) fn max_total(config: &WebSocketConfig) -> u64 {
    let addressable = if config.deliver_fragments { u64::MAX } else { isize::MAX as u64 };
    config.max_message_size.map_or(addressable, |max| max as u64)
}

pub(super) fn check_total(size: u64, config: &WebSocketConfig) -> Result<()> {
    let max = max_total(config);
    if size > max { Err(CapacityError::MessageTooLong { size, max }.into()) } else { Ok(()) }
}

/// Unmasks and validates a piece of payload where it lies, in steps that stay in the cache. All of it is unmasked, valid or
/// not.
#[inline]
pub(super) fn take_piece(
    payload: &mut [u8],
    key: Option<MaskKey>,
    mut text: Option<&mut Utf8Stream>,
) -> Result<(), InvalidUtf8> {
    let mut invalid = false;
    let has_two_passes = text.is_some() && key.is_some();
    let step = if has_two_passes { STEP } else { usize::MAX };
    for step in payload.chunks_mut(step) {
        // STEP is a multiple of the key's length: the key needs no turning.
        let ascii = match key {
            Some(key) => !mask::apply(step, key),
            None => text.is_some() && utf8::is_short_ascii(step),
        };
        let taken = match &mut text {
            Some(text) if ascii => text.push_ascii(step),
            Some(text) => text.push(step),
            None => Ok(()),
        };
        if taken.is_err() {
            // What is wrong is known; the rest is unmasked without a look at it.
            (text, invalid) = (None, true);
        }
    }
    if invalid { Err(InvalidUtf8) } else { Ok(()) }
}
