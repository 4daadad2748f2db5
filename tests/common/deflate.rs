//! Compressed messages (RFC 7692) as another implementation sends them; and DEFLATE (RFC 1951) taken apart bit by bit,
//! without the library's help: what a payload gives, and how it ends.

use flate2::{Compress, Compression, FlushCompress};
use wsabi::{DeflateConfig, WebSocketConfig};

/// A configuration with permessage-deflate, changed by `change`.
pub fn config(takeover: bool, change: impl FnOnce(&mut WebSocketConfig)) -> WebSocketConfig {
    let mut config = WebSocketConfig {
        deflate: Some(DeflateConfig {
            client_no_context_takeover: !takeover,
            server_no_context_takeover: !takeover,
            ..DeflateConfig::default()
        }),
        ..WebSocketConfig::default()
    };
    change(&mut config);
    config
}

/// The payload of a message that refers to none before it.
pub fn compress(level: u32, message: &[u8]) -> Vec<u8> {
    let mut compressor = Compress::new(Compression::new(level), false);
    let mut out = Vec::with_capacity(message.len() * 2 + 1024);
    compressor.compress_vec(message, &mut out, FlushCompress::Sync).unwrap();
    assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
    out.truncate(out.len() - 4);
    out
}

/// The payload of a message in one stored block and the empty one that it ends with.
pub fn store(message: &[u8]) -> Vec<u8> {
    [&stored(message)[..], &[0]].concat()
}

/// A stored block.
pub fn stored(data: &[u8]) -> Vec<u8> {
    let len = data.len() as u16;
    [&[0][..], &len.to_le_bytes(), &(!len).to_le_bytes(), data].concat()
}

/// How a payload ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As it should: the tail that is left out (RFC 7692 section 7.2.1) makes whole blocks of it.
    Whole,
    /// Inside a block, or before its lengths are left out.
    Early,
    /// In what is not DEFLATE.
    Corrupt,
}

/// Dynamic blocks with nothing in them, which end with a byte.
pub fn empty_dynamic_blocks() -> Vec<u8> {
    let mut bits: Vec<bool> = Vec::new();
    let put = |bits: &mut Vec<bool>, value: usize, n: usize| bits.extend((0..n).map(|i| value >> i & 1 == 1));
    for _ in 0..4 {
        put(&mut bits, 0b100, 3);
        // The fewest literals and distances; lengths for the codes of 18, a run of zeros (1), and of 1 (0).
        put(&mut bits, 14 << 10, 14);
        for place in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1] {
            put(&mut bits, usize::from(matches!(place, 1 | 18)), 3);
        }
        for zeros in [138, 118] {
            put(&mut bits, 1 | (zeros - 11) << 1, 8);
        }
        // One bit for the end of the block, one for a distance; and the end.
        put(&mut bits, 0, 3);
    }
    bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |value, bit| value << 1 | u8::from(*bit))).collect()
}

/// One direction of a connection, with the largest window.
#[derive(Debug, Clone, Default)]
pub struct Inflater {
    /// All that distances may reach back to.
    history: Vec<u8>,
}

/// Why decoding stops.
enum Stop {
    /// The bits are used up.
    End,
    Corrupt,
}

impl Inflater {
    /// What a payload gives, up to where it stops. With `takeover` the next message may reach back to it.
    pub fn message(&mut self, payload: &[u8], takeover: bool) -> (Vec<u8>, Ending) {
        let mut bits = Bits { bytes: payload, at: 0 };
        let mut out = Vec::new();
        let ending = loop {
            // Here a stream begins.
            if bits.at == payload.len() * 8 {
                break Ending::Whole;
            }
            match self.stream(&mut bits, &mut out) {
                Ok(true) => break Ending::Whole,
                Ok(false) => self.history.clear(),
                Err(Stop::End) => break Ending::Early,
                Err(Stop::Corrupt) => break Ending::Corrupt,
            }
        };
        if !takeover {
            self.history.clear();
        }
        (out, ending)
    }

    /// Up to the end of a final block; or of the payload, where that is right (true).
    fn stream(&mut self, bits: &mut Bits<'_>, out: &mut Vec<u8>) -> Result<bool, Stop> {
        loop {
            let is_final = bits.take(1)? == 1;
            match bits.take(2)? {
                0 => {
                    bits.align();
                    if bits.at == bits.bytes.len() * 8 {
                        if is_final {
                            self.history.clear();
                        }
                        return Ok(true);
                    }
                    let (len, check) = (bits.take(16)?, bits.take(16)?);
                    if len != !check & 0xffff {
                        return Err(Stop::Corrupt);
                    }
                    for _ in 0..len {
                        self.put(bits.take(8)? as u8, out);
                    }
                }
                1 => {
                    let (literals, distances) = fixed();
                    self.block(&literals, &distances, bits, out)?;
                }
                2 => {
                    let (literals, distances) = dynamic(bits)?;
                    self.block(&literals, &distances, bits, out)?;
                }
                _ => return Err(Stop::Corrupt),
            }
            if is_final {
                bits.align();
                return Ok(false);
            }
        }
    }

    fn block(
        &mut self,
        literals: &[usize],
        distances: &[usize],
        bits: &mut Bits<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        loop {
            let symbol = bits.symbol(literals)?;
            match symbol {
                0..=255 => self.put(symbol as u8, out),
                256 => return Ok(()),
                257..=285 => {
                    let len = LENGTHS[symbol - 257].0 + bits.take(LENGTHS[symbol - 257].1)?;
                    let code = bits.symbol(distances)?;
                    if code > 29 {
                        return Err(Stop::Corrupt);
                    }
                    let extra = (code / 2).saturating_sub(1);
                    let base = if code < 4 { code + 1 } else { ((2 + code % 2) << extra) + 1 };
                    let distance = base + bits.take(extra)?;
                    if distance > self.history.len().min(1 << 15) {
                        return Err(Stop::Corrupt);
                    }
                    for _ in 0..len {
                        self.put(self.history[self.history.len() - distance], out);
                    }
                }
                _ => return Err(Stop::Corrupt),
            }
        }
    }

    fn put(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.history.push(byte);
        out.push(byte);
    }
}

/// Least length and extra bits of each code for one.
const LENGTHS: [(usize, usize); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, n: usize) -> Result<usize, Stop> {
        if self.at + n > self.bytes.len() * 8 {
            return Err(Stop::End);
        }
        let value = (0..n).fold(0, |value, i| {
            let at = self.at + i;
            value | usize::from(self.bytes[at / 8] >> (at % 8) & 1) << i
        });
        self.at += n;
        Ok(value)
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }

    /// One symbol of a canonical code, given as the lengths of its symbols. Bits that are none are corrupt: only a code of one
    /// symbol, or of none, has such.
    fn symbol(&mut self, lengths: &[usize]) -> Result<usize, Stop> {
        let (mut code, mut first) = (0, 0);
        let longest = lengths.iter().max().copied().unwrap_or_default().max(1);
        for len in 1..=longest {
            code = code << 1 | self.take(1)?;
            let mut symbols = (0..lengths.len()).filter(|&i| lengths[i] == len);
            let count = symbols.clone().count();
            if code < first + count {
                return symbols.nth(code - first).ok_or(Stop::Corrupt);
            }
            first = (first + count) << 1;
        }
        Err(Stop::Corrupt)
    }
}

fn fixed() -> (Vec<usize>, Vec<usize>) {
    let literals = (0..288).map(|i| match i {
        0..=143 => 8,
        144..=255 => 9,
        256..=279 => 7,
        _ => 8,
    });
    (literals.collect(), vec![5; 32])
}

fn dynamic(bits: &mut Bits<'_>) -> Result<(Vec<usize>, Vec<usize>), Stop> {
    let (literals, distances, codes) = (bits.take(5)? + 257, bits.take(5)? + 1, bits.take(4)? + 4);
    if literals > 286 || distances > 30 {
        return Err(Stop::Corrupt);
    }
    let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let mut lengths = vec![0; 19];
    for &place in &order[..codes] {
        lengths[place] = bits.take(3)?;
    }
    check(&lengths, false)?;
    let mut all: Vec<usize> = Vec::new();
    while all.len() < literals + distances {
        // Of no code at all, each bit stands for 0.
        let symbol = match lengths.iter().all(|length| *length == 0) {
            true => bits.take(1).map(|_| 0)?,
            false => bits.symbol(&lengths)?,
        };
        let (value, times) = match symbol {
            16 => {
                let times = 3 + bits.take(2)?;
                (*all.last().ok_or(Stop::Corrupt)?, times)
            }
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            len => (len, 1),
        };
        all.extend(std::iter::repeat_n(value, times));
    }
    if all.len() > literals + distances {
        return Err(Stop::Corrupt);
    }
    let distances = all.split_off(literals);
    if all[256] == 0 {
        return Err(Stop::Corrupt);
    }
    check(&all, true)?;
    check(&distances, true)?;
    Ok((all, distances))
}

/// A code has a symbol for all bits, or no symbols; one symbol of one bit may do, too.
fn check(lengths: &[usize], one_will_do: bool) -> Result<(), Stop> {
    let used: usize = lengths.iter().filter(|length| **length > 0).map(|length| 1 << (15 - length)).sum();
    let longest = lengths.iter().max().copied().unwrap_or_default();
    match used {
        0 | 0x8000 => Ok(()),
        0..0x8000 if one_will_do && longest == 1 => Ok(()),
        _ => Err(Stop::Corrupt),
    }
}
