//! permessage-deflate on the bytes of messages (RFC 7692 section 7.2): DEFLATE in both directions, with limits that hold
//! while inflating. Knows contexts and where they are kept; not frames, not how the parameters were agreed.
//!
//! A context is made with the first compressed message. With context takeover it belongs to its connection from then on.
//! Without, it is borrowed for the length of one message from a small shelf that all such connections share, so that
//! many of them hold none. The shelf is freed with the last of them: the library can be unloaded.

use crate::error::{Error, ProtocolError, Result};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// What ends each compressed message, and is left out of it (section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// A message of no bytes (section 7.2.3.6).
const EMPTY: u8 = 0x00;
/// Most contexts of a kind on the shelf.
const SHELF: usize = 4;
/// Least room given to the compressor, so that it does not end a flush twice.
const ROOM: usize = 64;

/// Compresses the messages of one direction.
#[derive(Debug)]
pub struct Deflater {
    level: u32,
    window_bits: u8,
    source: Source,
    context: Option<Box<Compress>>,
}

/// Inflates the messages of one direction.
#[derive(Debug)]
pub struct Inflater {
    window_bits: u8,
    source: Source,
    context: Option<Box<Decompress>>,
    /// The last room was filled: there may be more to come without more input.
    has_more: bool,
    /// The last byte of input ended a final block.
    after_final_block: bool,
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
    pub fn new(level: u32, window_bits: u8, takeover: bool) -> Self {
        Self { level, window_bits, source: Source::new(takeover), context: None }
    }

    /// Appends the compressed form of the next part of a message to `out`; `is_final` ends the message. After an error
    /// the context is lost, and with it the connection.
    pub fn compress(&mut self, mut input: &[u8], is_final: bool, out: &mut Vec<u8>) -> Result<()> {
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
    pub fn new(window_bits: u8, takeover: bool) -> Self {
        let source = Source::new(takeover);
        Self { window_bits, source, context: None, has_more: false, after_final_block: false }
    }

    /// Inflates from `input` into `room`: how many bytes of each were used. All of the input has been used, and all
    /// that it gives has been written, when [`is_drained`](Self::is_drained) says so; otherwise it wants more room.
    pub fn inflate(&mut self, input: &[u8], room: &mut [u8]) -> Result<(usize, usize)> {
        let context = self.context.get_or_insert_with(|| {
            let shelved = self.source.take(|shelf| &mut shelf.decompressors, (0, self.window_bits));
            // A larger window inflates what a smaller one has deflated; 8 bits is not to be had.
            let bits = self.window_bits.max(9);
            shelved.unwrap_or_else(|| Box::new(Decompress::new_with_window_bits(false, bits)))
        });
        let (mut used, mut written) = (0, 0);
        loop {
            let before = (context.total_in(), context.total_out());
            let status = context
                .decompress(&input[used..], &mut room[written..], FlushDecompress::Sync)
                .map_err(|_| ProtocolError::CorruptDeflate)?;
            let took = (context.total_in() - before.0) as usize;
            used += took;
            written += (context.total_out() - before.1) as usize;
            self.after_final_block &= took == 0;
            if status == Status::StreamEnd {
                // A final block ends its stream, but not the message (section 7.2.3.4): the next begins anew.
                context.reset(false);
                self.after_final_block = true;
                if used < input.len() {
                    continue;
                }
            }
            self.has_more = written == room.len() && status != Status::StreamEnd;
            return Ok((used, written));
        }
    }

    /// Whether no more comes without more input.
    pub fn is_drained(&self) -> bool {
        !self.has_more
    }

    /// What is still to be inflated at the end of a message.
    pub fn tail(&self) -> &'static [u8] {
        if self.after_final_block { &[] } else { &TAIL }
    }

    /// The message is over.
    pub fn end_message(&mut self) {
        (self.has_more, self.after_final_block) = (false, false);
        let reset = |context: &mut Decompress| context.reset(false);
        let key = (0, self.window_bits);
        self.source.give_back(|shelf| &mut shelf.decompressors, key, &mut self.context, reset);
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
    decompressors: Vec<(Key, Box<Decompress>)>,
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
mod tests {
    use super::*;

    fn deflate(deflater: &mut Deflater, parts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            deflater.compress(part, i + 1 == parts.len(), &mut out).unwrap();
        }
        out
    }

    /// Inflates a message in pieces of `step` bytes into rooms of `room` bytes.
    fn inflate(inflater: &mut Inflater, message: &[u8], step: usize, room: usize) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut take = |inflater: &mut Inflater, mut piece: &[u8]| -> Result<()> {
            loop {
                let mut space = vec![0; room];
                let (used, written) = inflater.inflate(piece, &mut space)?;
                piece = &piece[used..];
                out.extend_from_slice(&space[..written]);
                if piece.is_empty() && inflater.is_drained() {
                    return Ok(());
                }
            }
        };
        for piece in message.chunks(step) {
            take(inflater, piece)?;
        }
        let tail = inflater.tail();
        take(inflater, tail)?;
        inflater.end_message();
        Ok(out)
    }

    fn sample(len: usize) -> Vec<u8> {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut word = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            format!("{{\"id\":{},\"name\":\"κόσμε {}\"}}", seed % 1000, seed % 17)
        };
        let mut text = Vec::new();
        while text.len() < len {
            text.extend_from_slice(word().as_bytes());
        }
        text.truncate(len);
        text
    }

    #[test]
    fn what_goes_in_comes_out_for_every_window_level_and_takeover() {
        for bits in 8..=15 {
            for level in [1, 6, 9] {
                for takeover in [true, false] {
                    let mut deflater = Deflater::new(level, bits, takeover);
                    let mut inflater = Inflater::new(bits, takeover);
                    for len in [0, 1, 5, 100, 1000, 70_000] {
                        let message = sample(len);
                        let compressed = deflate(&mut deflater, &[&message]);
                        assert_eq!(inflate(&mut inflater, &compressed, 4096, 4096).unwrap(), message);
                    }
                }
            }
        }
    }

    #[test]
    fn a_message_in_parts_inflates_as_one_in_pieces_and_rooms_of_any_size() {
        let message = sample(3000);
        let mut deflater = Deflater::new(6, 15, true);
        let mut inflater = Inflater::new(15, true);
        for (step, room) in [(1, 1), (1, 4096), (7, 3), (4096, 1), (4096, 3000), (3, 64)] {
            let (first, second) = message.split_at(step * 31 % 2000);
            let compressed = deflate(&mut deflater, &[first, second, b""]);
            assert_eq!(inflate(&mut inflater, &compressed, step, room).unwrap(), message);
        }
    }

    #[test]
    fn output_that_ends_exactly_at_a_full_room_is_complete() {
        let message = sample(512);
        let mut deflater = Deflater::new(6, 15, false);
        let mut inflater = Inflater::new(15, false);
        let compressed = deflate(&mut deflater, &[&message]);
        for room in [128, 256, 512] {
            assert_eq!(inflate(&mut inflater, &compressed, 4096, room).unwrap(), message);
        }
    }

    #[test]
    fn an_empty_compressed_message_is_one_byte() {
        let mut deflater = Deflater::new(6, 15, true);
        assert_eq!(deflate(&mut deflater, &[b""]), [0]);
        deflate(&mut deflater, &[b"something"]);
        assert_eq!(deflate(&mut deflater, &[b""]), [0]);
        let mut inflater = Inflater::new(15, true);
        assert_eq!(inflate(&mut inflater, &[0], 1, 16).unwrap(), b"");
    }

    #[test]
    fn a_final_block_ends_its_stream_and_not_the_message() {
        // RFC 7692 section 7.2.3.4: "Hello" in a final block, then the empty block that the tail belongs to.
        let hello = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        let mut inflater = Inflater::new(15, true);
        for step in 1..=hello.len() {
            assert_eq!(inflate(&mut inflater, &hello, step, 64).unwrap(), b"Hello");
            assert_eq!(
                inflate(&mut inflater, &hello[..7], step, 64).unwrap(),
                b"Hello",
                "with nothing after it"
            );
        }
        let twice = [&hello[..7], &hello[..]].concat();
        assert_eq!(inflate(&mut inflater, &twice, 3, 64).unwrap(), b"HelloHello");
    }

    #[test]
    fn bytes_that_are_not_deflate_are_an_error() {
        let mut inflater = Inflater::new(15, true);
        let result = inflate(&mut inflater, &[0x07, 0xff, 0xff], 3, 64);
        assert!(matches!(result, Err(Error::Protocol(ProtocolError::CorruptDeflate))));
    }

    #[test]
    fn distances_of_an_8_bit_window_stay_within_256_bytes() {
        let mut deflater = Deflater::new(9, 8, true);
        for len in [100, 1000, 20_000] {
            let mut compressed = deflate(&mut deflater, &[&sample(len)]);
            compressed.extend_from_slice(&TAIL);
            assert!(farthest_distance(&compressed) <= 256);
        }
        let mut deflater = Deflater::new(9, 15, true);
        let mut compressed = deflate(&mut deflater, &[&sample(20_000)]);
        compressed.extend_from_slice(&TAIL);
        assert!(farthest_distance(&compressed) > 256, "the measure measures");
    }

    #[test]
    fn connections_without_takeover_share_a_few_contexts_and_the_last_frees_them() {
        let message = sample(500);
        let mut deflaters: Vec<_> = (0..100).map(|_| Deflater::new(3, 15, false)).collect();
        for deflater in &mut deflaters {
            deflate(deflater, &[&message]);
            assert!(deflater.context.is_none());
        }
        let Source::Shelf(shelf) = &deflaters[0].source else { panic!("it is not kept") };
        let on_shelf = shelf.lock().compressors.len();
        assert!((1..=SHELF).contains(&on_shelf));
    }

    /// The farthest distance in a DEFLATE stream, by a small decoder of its own (RFC 1951).
    fn farthest_distance(stream: &[u8]) -> usize {
        let mut bits = Bits { stream, at: 0 };
        let mut farthest = 0;
        while bits.at + 3 <= stream.len() * 8 {
            let is_final = bits.take(1);
            match bits.take(2) {
                0 => {
                    bits.at = bits.at.div_ceil(8) * 8;
                    let len = bits.take(16);
                    bits.take(16);
                    bits.at += len * 8;
                }
                kind => {
                    let (literals, distances) = if kind == 1 { fixed() } else { dynamic(&mut bits) };
                    loop {
                        match bits.symbol(&literals) {
                            0..=255 => {}
                            256 => break,
                            code => {
                                bits.take(LENGTH_EXTRA[code - 257]);
                                let code = bits.symbol(&distances);
                                let extra = (code / 2).saturating_sub(1);
                                let base = if code < 4 { code + 1 } else { ((2 + code % 2) << extra) + 1 };
                                farthest = farthest.max(base + bits.take(extra));
                            }
                        }
                    }
                }
            }
            if is_final == 1 {
                break;
            }
        }
        farthest
    }

    const LENGTH_EXTRA: [usize; 29] =
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];

    struct Bits<'a> {
        stream: &'a [u8],
        at: usize,
    }

    impl Bits<'_> {
        fn take(&mut self, n: usize) -> usize {
            (0..n).fold(0, |value, i| {
                let bit = self.stream[self.at / 8] >> (self.at % 8) & 1;
                self.at += 1;
                value | usize::from(bit) << i
            })
        }

        /// One symbol of a canonical Huffman code, given as the lengths of its symbols.
        fn symbol(&mut self, lengths: &[usize]) -> usize {
            let (mut code, mut first) = (0, 0);
            for len in 1..=15 {
                code = code << 1 | self.take(1);
                let symbols: Vec<usize> = (0..lengths.len()).filter(|&i| lengths[i] == len).collect();
                if code < first + symbols.len() {
                    return symbols[code - first];
                }
                first = (first + symbols.len()) << 1;
            }
            panic!("not a Huffman code");
        }
    }

    fn fixed() -> (Vec<usize>, Vec<usize>) {
        let literals = (0..288).map(|i| match i {
            0..=143 => 8,
            144..=255 => 9,
            256..=279 => 7,
            _ => 8,
        });
        (literals.collect(), vec![5; 30])
    }

    fn dynamic(bits: &mut Bits<'_>) -> (Vec<usize>, Vec<usize>) {
        let (literals, distances, codes) = (bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4);
        let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let mut lengths = vec![0; 19];
        for &place in &order[..codes] {
            lengths[place] = bits.take(3);
        }
        let mut all: Vec<usize> = Vec::new();
        while all.len() < literals + distances {
            let (value, times) = match bits.symbol(&lengths) {
                16 => (all[all.len() - 1], 3 + bits.take(2)),
                17 => (0, 3 + bits.take(3)),
                18 => (0, 11 + bits.take(7)),
                len => (len, 1),
            };
            all.extend(std::iter::repeat_n(value, times));
        }
        let distances = all.split_off(literals);
        (all, distances)
    }
}
