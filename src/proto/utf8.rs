//! Validates UTF-8 that arrives in pieces, and fails at the first byte that cannot be mended by what follows
//! (RFC 6455 section 8.1). Knows nothing of frames.

use crate::simd::mask;

/// From this length on the widest vectors pay.
const LONG: usize = 512;

/// Text that has been seen so far: valid, but for a character that may be incomplete at its end.
#[derive(Debug, Default, Clone)]
pub(crate) struct Utf8Stream {
    tail: [u8; 4],
    tail_len: u8,
}

/// The text is not, and whatever follows cannot become, UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidUtf8;

impl Utf8Stream {
    /// Takes the next piece.
    pub(crate) fn push(&mut self, mut piece: &[u8]) -> Result<(), InvalidUtf8> {
        while self.tail_len > 0 {
            let Some((first, rest)) = piece.split_first() else { return Ok(()) };
            self.tail[usize::from(self.tail_len)] = *first;
            self.tail_len += 1;
            piece = rest;
            match std::str::from_utf8(&self.tail[..usize::from(self.tail_len)]) {
                Ok(_) => self.tail_len = 0,
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(InvalidUtf8),
            }
        }
        // Cut before the character that may be incomplete: whole ones are looked at 3 % faster where it need not be found
        // out at which byte they are wrong.
        let (whole, tail) = piece.split_at(piece.len() - unfinished(piece));
        if !is_valid(whole) {
            return Err(InvalidUtf8);
        }
        if std::str::from_utf8(tail).is_err_and(|error| error.error_len().is_some()) {
            return Err(InvalidUtf8);
        }
        self.tail[..tail.len()].copy_from_slice(tail);
        self.tail_len = tail.len() as u8;
        Ok(())
    }

    /// Takes a piece that is known to be ASCII.
    pub(crate) fn push_ascii(&mut self, piece: &[u8]) -> Result<(), InvalidUtf8> {
        if self.tail_len > 0 && !piece.is_empty() { Err(InvalidUtf8) } else { Ok(()) }
    }

    /// How many bytes at the end belong to a character that is not complete yet: 0 to 3.
    pub(crate) fn incomplete(&self) -> usize {
        usize::from(self.tail_len)
    }

    /// The text is over: it must not end inside a character. Ready for the next text.
    pub(crate) fn finish(&mut self) -> Result<(), InvalidUtf8> {
        if std::mem::take(&mut self.tail_len) > 0 { Err(InvalidUtf8) } else { Ok(()) }
    }
}

/// How many bytes at the end begin a character that takes more of them than there are.
fn unfinished(piece: &[u8]) -> usize {
    let last = piece.iter().rev().take(3).zip(1..);
    let takes = |first: u8| match first {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    };
    last.map(|(&byte, length)| (takes(byte), length))
        .find(|(takes, length)| takes > length)
        .map_or(0, |(_, length)| length)
}

/// Whether all of it is UTF-8. Most text is ASCII, or is at its front, which is found out in half the time or less.
#[inline]
pub(crate) fn is_valid(text: &[u8]) -> bool {
    if text.len() < LONG {
        return is_ascii(text) || simdutf8::basic::from_utf8(text).is_ok();
    }
    let ascii = mask::ascii_prefix(text);
    ascii == text.len() || simdutf8::basic::from_utf8(&text[ascii..]).is_ok()
}

/// Whether it is ASCII, and so short that it takes no time to find out.
#[inline]
pub(crate) fn is_short_ascii(text: &[u8]) -> bool {
    text.len() < LONG && is_ascii(text)
}

/// Whether no byte is over 127. For short texts: std's looks at each of the last 31 bytes, which takes it 50 ns of 70 at 125.
#[inline]
fn is_ascii(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk() else { return text.is_ascii() };
    let (words, _) = text.as_chunks();
    let all = words.iter().fold(u64::from_ne_bytes(*last), |all, word| all | u64::from_ne_bytes(*word));
    all & 0x8080_8080_8080_8080 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_pieces(text: &[u8], size: usize) -> (Result<(), InvalidUtf8>, usize) {
        let mut stream = Utf8Stream::default();
        for (i, piece) in text.chunks(size).enumerate() {
            if stream.push(piece).is_err() {
                return (Err(InvalidUtf8), (i + 1) * size);
            }
        }
        (stream.finish(), text.len())
    }

    #[test]
    fn pieces_of_any_size_give_the_verdict_of_the_whole() {
        let long = "κόσμε \u{10ffff} Grüße 漢字 ".repeat(20);
        let samples: &[&[u8]] = &[
            b"",
            b"plain",
            long.as_bytes(),
            b"\xf4\x8f\xbf\xbf",
            b"\xf4\x90\x80\x80",
            b"\xed\xa0\x80",
            b"\xc0\xaf",
            b"\xe2\x28\xa1",
            b"ok\xff",
            b"\xce\xba\xe1\xbd",
            b"\xf0\x9f\x98",
            b"\x80",
        ];
        for sample in samples {
            for size in [1, 2, 3, 7, 64] {
                assert_eq!(
                    in_pieces(sample, size).0.is_ok(),
                    std::str::from_utf8(sample).is_ok(),
                    "{sample:x?}"
                );
            }
        }
    }

    #[test]
    fn a_bad_byte_fails_at_once_and_not_at_the_end() {
        assert_eq!(
            in_pieces(b"\xce\xba\xe1\xbd\xb9\xcf\x83\xf4\x90\x80\x80edited", 1),
            (Err(InvalidUtf8), 9)
        );
        assert_eq!(in_pieces(b"\xed\xa0\x80", 1), (Err(InvalidUtf8), 2));
    }

    #[test]
    fn ascii_inside_a_character_is_refused() {
        let mut stream = Utf8Stream::default();
        stream.push(b"\xe2\x82").unwrap();
        assert_eq!(stream.incomplete(), 2);
        stream.push_ascii(b"").unwrap();
        assert_eq!(stream.push_ascii(b"a"), Err(InvalidUtf8));
    }

    #[test]
    fn one_byte_over_127_is_seen_wherever_it_is() {
        for len in 0..200 {
            let mut text = vec![b'a'; len];
            assert!(is_ascii(&text));
            for i in 0..len {
                text[i] = 0x80;
                assert!(!is_ascii(&text), "{i} of {len}");
                text[i] = 0x7f;
            }
        }
    }
}
