//! permessage-deflate on the bytes of messages (RFC 7692 section 7.2): DEFLATE in both directions, with limits that hold
//! while inflating. Knows contexts and where they are kept; not frames, not how the parameters were agreed.
//!
//! A context is made with the first compressed message. With context takeover it belongs to its connection from then on.
//! Without, it is borrowed for the length of one message from a small shelf that all such connections share, so that
//! many of them hold none. The shelf is freed with the last of them: the library can be unloaded.

use crate::error::{Error, ProtocolError, Result};
use flate2::{Compress, Compression, FlushCompress};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use zlib_rs::{Inflate, InflateError, InflateFlush, Status};

/// What ends each compressed message, and is left out of it (section 7.2.1): the lengths of an empty stored block.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// [`TAIL`], and one byte more, by which it shows whether a block ends with it.
const TAIL_AND_MORE: [u8; 5] = [0x00, 0x00, 0xff, 0xff, 0x00];
/// An empty stored block for a decoder that stands between two bytes. Behind 1 to 7 bits that are set, as those of
/// [`TAIL`] would be that were left over, it is something else: a final block (1 bit), the symbol 00111110 of the fixed code,
/// which its padding spells (2 bits), or a block of no type (3 to 7).
const ALIGNED_BLOCK: [u8; 5] = [0xf8, 0x00, 0x00, 0xff, 0xff];
/// A message of no bytes (section 7.2.3.6).
const EMPTY: u8 = 0x00;
/// Most contexts of a kind on the shelf.
const SHELF: usize = 4;
/// Least room given to the compressor, so that it does not end a flush twice.
const ROOM: usize = 64;

/// Compresses the messages of one direction.
#[derive(Debug)]
pub(crate) struct Deflater {
    level: u32,
    window_bits: u8,
    source: Source,
    context: Option<Box<Compress>>,
}

/// Inflates the messages of one direction.
#[derive(Debug)]
pub(crate) struct Inflater {
    window_bits: u8,
    source: Source,
    context: Option<Box<Decoder>>,
    /// The last room was filled: there may be more to come without more input.
    has_more: bool,
    /// Nothing of the message has been inflated yet, or the last byte of it ended a final block.
    is_between_blocks: bool,
    /// Length of the last message.
    last_len: usize,
}

/// What became of some bytes that were to be inflated.
#[derive(Debug)]
#[must_use]
pub(crate) struct Inflated {
    /// How many of them were used.
    pub used: usize,
    /// How many bytes they gave.
    pub written: usize,
    /// The error that lies behind those.
    pub result: Result<()>,
}

/// Where a context comes from and goes to.
#[derive(Debug)]
enum Source {
    /// It is kept: context takeover.
    Kept,
    /// It is borrowed for each message.
    Shelf(Arc<Shelf>),
}

impl Deflater {
    /// A compressor of this level (1 to 9) and window (8 to 15 bits), which is kept between messages or not.
    pub(crate) fn new(level: u32, window_bits: u8, takeover: bool) -> Self {
        Self { level, window_bits, source: Source::new(takeover), context: None }
    }

    /// Appends the compressed form of the next part of a message to `out`; `is_final` ends the message. After an error
    /// the context is lost, and with it the connection.
    pub(crate) fn compress(&mut self, mut input: &[u8], is_final: bool, out: &mut Vec<u8>) -> Result<()> {
        if is_final && input.is_empty() {
            out.push(EMPTY);
            self.end_message();
            return Ok(());
        }
        let context = self.context.get_or_insert_with(|| {
            let shelved = self.source.take(|shelf| &mut shelf.compressors, (self.level, self.window_bits));
            shelved.unwrap_or_else(|| {
                // DEFLATE with the smallest window that the library has never reaches back over 250 bytes: that
                // serves 8 bits, which it does not have for raw streams.
                let bits = self.window_bits.max(9);
                Box::new(Compress::new_with_window_bits(Compression::new(self.level), false, bits))
            })
        });
        loop {
            out.try_reserve(ROOM + input.len() / 2).map_err(|_| Error::NoMemory)?;
            let before = context.total_in();
            context.compress_vec(input, out, FlushCompress::Sync).map_err(|_| Error::Internal)?;
            input = &input[(context.total_in() - before) as usize..];
            if input.is_empty() && out.len() < out.capacity() {
                break;
            }
        }
        if is_final {
            debug_assert!(out.ends_with(&TAIL));
            out.truncate(out.len() - TAIL.len());
            self.end_message();
        }
        Ok(())
    }

    fn end_message(&mut self) {
        let key = (self.level, self.window_bits);
        self.source.give_back(|shelf| &mut shelf.compressors, key, &mut self.context, Compress::reset);
    }
}

impl Inflater {
    /// An inflater for a window of 8 to 15 bits, which is kept between messages or not.
    pub(crate) fn new(window_bits: u8, takeover: bool) -> Self {
        let source = Source::new(takeover);
        Self { window_bits, source, context: None, has_more: false, is_between_blocks: true, last_len: 0 }
    }

    /// Inflates from `input` into `room`. All of the input has been used, and all that it gives has been written, when
    /// [`is_drained`](Self::is_drained) says so; otherwise it wants more room. After an error the context is lost, and
    /// with it the connection.
    pub(crate) fn inflate(&mut self, input: &[u8], room: &mut [u8]) -> Inflated {
        let context = self.context.get_or_insert_with(|| {
            let shelved = self.source.take(|shelf| &mut shelf.decompressors, (0, self.window_bits));
            shelved.unwrap_or_else(|| Box::new(Decoder::new(self.window_bits)))
        });
        let (mut used, mut written) = (0, 0);
        loop {
            let step = context.step(&input[used..], &mut room[written..], InflateFlush::SyncFlush);
            used += step.used;
            written += step.written;
            self.is_between_blocks &= step.used == 0;
            let status = match step.status {
                Ok(status) => status,
                Err(InflateError::MemError) => {
                    return Inflated { used, written, result: Err(Error::NoMemory) };
                }
                Err(_) => {
                    return Inflated { used, written, result: Err(ProtocolError::CorruptDeflate.into()) };
                }
            };
            if status == Status::StreamEnd {
                // A final block ends its stream, but not the message (section 7.2.3.4): the next begins anew.
                context.reset();
                self.is_between_blocks = true;
                if used < input.len() {
                    continue;
                }
            }
            self.has_more = written == room.len() && status != Status::StreamEnd;
            return Inflated { used, written, result: Ok(()) };
        }
    }

    /// Whether no more comes without more input.
    pub(crate) fn is_drained(&self) -> bool {
        !self.has_more
    }

    /// Length of the last message: the next is likely to have the same.
    pub(crate) fn last_len(&self) -> usize {
        self.last_len
    }

    /// The message is over, and all of its `len` bytes have been written. It has to end where a block does, once the tail is
    /// put behind it (section 7.2.2): what is left of one would be taken for the beginning of the next message.
    pub(crate) fn finish(&mut self, len: u64) -> Result<()> {
        let ends = self.is_between_blocks || self.context.as_mut().is_some_and(|context| context.take_tail());
        if !ends {
            return Err(ProtocolError::TruncatedDeflate.into());
        }
        self.is_between_blocks = true;
        self.last_len = usize::try_from(len).unwrap_or(usize::MAX);
        let key = (0, self.window_bits);
        self.source.give_back(|shelf| &mut shelf.decompressors, key, &mut self.context, Decoder::reset);
        Ok(())
    }
}

/// What inflates.
struct Decoder {
    inner: Inflate,
    window_bits: u8,
}

/// How far a decoder has come in one step.
struct Step {
    used: usize,
    written: usize,
    status: Result<Status, InflateError>,
}

impl Decoder {
    /// A larger window inflates what a smaller one has deflated; 8 bits is not to be had.
    fn new(window_bits: u8) -> Self {
        Self { inner: Inflate::new(false, window_bits.max(9)), window_bits }
    }

    /// Ready for another stream.
    fn reset(&mut self) {
        match self.window_bits {
            15.. => self.inner.reset(false),
            // It would have the largest window there is.
            _ => *self = Self::new(self.window_bits),
        }
    }

    fn step(&mut self, input: &[u8], room: &mut [u8], flush: InflateFlush) -> Step {
        let before = (self.inner.total_in(), self.inner.total_out());
        let status = self.inner.decompress(input, room, flush);
        let used = (self.inner.total_in() - before.0) as usize;
        let written = (self.inner.total_out() - before.1) as usize;
        Step { used, written, status }
    }

    /// Takes the tail: whether it ends a block that it adds nothing to, and nothing is left of it.
    fn take_tail(&mut self) -> bool {
        // This stops behind a block, and so before the last byte, if the tail was the lengths of an empty one. What else
        // it could be gives bytes, is an error, ends elsewhere or does not end, but for one thing: the end of what tells
        // the codes of a block, and the end of that block.
        let end = self.step(&TAIL_AND_MORE, &mut [0; 1], InflateFlush::Block);
        if end.written > 0 || end.used != TAIL.len() || !matches!(end.status, Ok(Status::Ok)) {
            return false;
        }
        // Of that, some bits would be left.
        let next = self.step(&ALIGNED_BLOCK, &mut [0; 1], InflateFlush::SyncFlush);
        match next.status {
            Ok(Status::Ok) => next.written == 0 && next.used == ALIGNED_BLOCK.len(),
            Ok(Status::StreamEnd) if next.used == 0 => {
                // It was a final block.
                self.reset();
                true
            }
            _ => false,
        }
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("window_bits", &self.window_bits).finish_non_exhaustive()
    }
}

/// Contexts that nobody uses.
#[derive(Debug, Default)]
struct Shelf {
    contexts: Mutex<Contexts>,
}

#[derive(Debug, Default)]
struct Contexts {
    compressors: Vec<(Key, Box<Compress>)>,
    decompressors: Vec<(Key, Box<Decoder>)>,
}

/// Level and window bits.
type Key = (u32, u8);

/// Which of the two kinds of context.
type KindOf<C> = fn(&mut Contexts) -> &mut Vec<(Key, Box<C>)>;

impl Source {
    fn new(takeover: bool) -> Self {
        if takeover { Source::Kept } else { Source::Shelf(Shelf::shared()) }
    }

    fn take<C>(&self, kind: KindOf<C>, key: Key) -> Option<Box<C>> {
        let Source::Shelf(shelf) = self else { return None };
        let mut contexts = shelf.lock();
        let shelved = kind(&mut contexts);
        let at = shelved.iter().position(|(known, _)| *known == key)?;
        Some(shelved.swap_remove(at).1)
    }

    fn give_back<C>(
        &self,
        kind: KindOf<C>,
        key: Key,
        context: &mut Option<Box<C>>,
        reset: impl FnOnce(&mut C),
    ) {
        let Source::Shelf(shelf) = self else { return };
        let Some(mut context) = context.take() else { return };
        reset(&mut context);
        let mut contexts = shelf.lock();
        let shelved = kind(&mut contexts);
        if shelved.len() == SHELF {
            // The kind that is not asked for makes room.
            shelved.remove(0);
        }
        shelved.push((key, context));
    }
}

impl Shelf {
    /// The one shelf, as long as somebody holds it.
    fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Shelf>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let shelf = Arc::new(Self::default());
            *shared = Arc::downgrade(&shelf);
            shelf
        })
    }

    fn lock(&self) -> MutexGuard<'_, Contexts> {
        self.contexts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
