//! The body of an HTTP response that refused (RFC 9112 section 6). Knows where a body ends and keeps the start of it;
//! does not know why it is read. A body that breaks the rules just ends: the refusal itself counts.

use super::grammar::list;
use crate::head::Head;

/// Longest line with the size of a chunk, extensions included.
const MAX_CHUNK_LINE: usize = 128;

/// Reads a body that arrives in pieces. Every byte is taken as it comes, so nothing is looked at twice.
#[derive(Debug)]
pub(crate) struct BodyReader {
    framing: Framing,
    kept: Vec<u8>,
    max: usize,
}

#[derive(Debug)]
enum Framing {
    /// This many bytes are still to come.
    Length(u64),
    Chunked(Chunks),
}

/// A body that goes on until the stream ends.
const UNTIL_EOF: Framing = Framing::Length(u64::MAX);

/// Where a chunked body stands.
#[derive(Debug)]
struct Chunks {
    /// Bytes that the chunk still has.
    left: u64,
    /// Whether the line end behind a chunk is next.
    after_data: bool,
    line: [u8; MAX_CHUNK_LINE],
    line_length: usize,
}

impl BodyReader {
    /// For the body that comes behind this head; at most `max` bytes of it are read.
    pub(crate) fn new(head: &Head, max: usize) -> Self {
        Self { framing: framing(head), kept: Vec::new(), max }
    }

    /// Takes what it needs of `received`; how many bytes these were, and whether the body is complete.
    pub(crate) fn read(&mut self, received: &[u8]) -> (usize, bool) {
        let mut at = 0;
        loop {
            let room = self.max - self.kept.len();
            if room == 0 {
                return (at, true);
            }
            let rest = &received[at..];
            let left = match &mut self.framing {
                Framing::Length(0) => return (at, true),
                Framing::Chunked(chunks) if chunks.left == 0 => {
                    let (taken, is_done) = chunks.read_line(rest);
                    at += taken;
                    if is_done || taken == rest.len() && chunks.left == 0 {
                        return (at, is_done);
                    }
                    continue;
                }
                Framing::Length(left) | Framing::Chunked(Chunks { left, .. }) => left,
            };
            if rest.is_empty() {
                return (at, false);
            }
            let taken = rest.len().min(room).min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= taken as u64;
            at += taken;
            if self.kept.try_reserve(taken).is_err() {
                return (at, true);
            }
            self.kept.extend_from_slice(&rest[..taken]);
        }
    }

    /// What was read.
    pub(crate) fn into_body(self) -> Vec<u8> {
        self.kept
    }
}

impl Chunks {
    fn new() -> Self {
        Self { left: 0, after_data: false, line: [0; MAX_CHUNK_LINE], line_length: 0 }
    }

    /// Takes bytes up to the size of the next chunk; how many, and whether that was the end of the body.
    fn read_line(&mut self, received: &[u8]) -> (usize, bool) {
        for (index, &byte) in received.iter().enumerate() {
            let Some(place) = self.line.get_mut(self.line_length) else { return (index, true) };
            *place = byte;
            self.line_length += 1;
            if byte != b'\n' {
                continue;
            }
            let line = &self.line[..std::mem::take(&mut self.line_length)];
            if std::mem::take(&mut self.after_data) {
                if line != b"\r\n" {
                    return (index + 1, true);
                }
                continue;
            }
            // The trailer behind the last chunk, of size 0, is of no interest.
            return match httparse::parse_chunk_size(line) {
                Ok(httparse::Status::Complete((_, size @ 1..))) => {
                    self.left = size;
                    self.after_data = true;
                    (index + 1, false)
                }
                _ => (index + 1, true),
            };
        }
        (received.len(), false)
    }
}

fn framing(head: &Head) -> Framing {
    if matches!(head.status(), 100..=199 | 204 | 304) {
        return Framing::Length(0);
    }
    if let Some(coding) = head.values_bytes("Transfer-Encoding").flat_map(list).last() {
        let is_chunked = coding.eq_ignore_ascii_case(b"chunked");
        return if is_chunked { Framing::Chunked(Chunks::new()) } else { UNTIL_EOF };
    }
    let length = |text: &[u8]| match text.iter().all(u8::is_ascii_digit) {
        true => str::from_utf8(text).ok()?.parse().ok(),
        false => None,
    };
    let mut lengths = head.values_bytes("Content-Length").flat_map(list).map(length);
    match lengths.next() {
        Some(Some(first)) if lengths.all(|other| other == Some(first)) => Framing::Length(first),
        _ => UNTIL_EOF,
    }
}

#[cfg(test)]
mod tests {
    use super::super::head::{HeadReader, Kind};
    use super::*;

    /// The body, how many bytes it took, and whether it was complete; fed `step` bytes at a time.
    fn read(head: &str, body: &[u8], max: usize, step: usize) -> (Vec<u8>, usize, bool) {
        let head = format!("HTTP/1.1 {head}\r\n\r\n");
        let bytes = head.as_bytes();
        let mut head = Head::default();
        HeadReader::new(Kind::Response, 4096).read(bytes, &mut head).unwrap();
        let mut reader = BodyReader::new(&head, max);
        let (mut start, mut arrived) = (0, 0);
        loop {
            let (taken, is_done) = reader.read(&body[start..arrived]);
            start += taken;
            if is_done || arrived == body.len() {
                return (reader.into_body(), start, is_done);
            }
            arrived = body.len().min(arrived + step);
        }
    }

    #[test]
    fn a_body_ends_where_its_head_says() {
        for step in [1, 2, 3, 7, 1000] {
            let with_length = "404 x\r\nContent-Length: 5";
            assert_eq!(read(with_length, b"helloworld", 99, step), (b"hello".to_vec(), 5, true));
            assert_eq!(read(with_length, b"hel", 99, step), (b"hel".to_vec(), 3, false));
            assert_eq!(read("404 x", b"hello", 99, step), (b"hello".to_vec(), 5, false));
            let chunked = "404 x\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 1";
            let body = b"5;a=\"b\"\r\nhello\r\n00A \r\n, world!!!\r\n0\r\nTrailer: x\r\n\r\n";
            let (text, taken, is_done) = read(chunked, body, 99, step);
            assert_eq!((text, is_done), (b"hello, world!!!".to_vec(), true));
            assert_eq!(taken, body.len() - b"Trailer: x\r\n\r\n".len());
        }
    }

    #[test]
    fn a_body_stops_at_the_limit() {
        let big = vec![b'x'; 1000];
        let mut chunked = b"fffffffffffffff0\r\n".to_vec();
        chunked.extend_from_slice(&big);
        for step in [1, 10, 1000] {
            for head in ["500 x", "500 x\r\nContent-Length: 18446744073709551615"] {
                assert_eq!(read(head, &big, 100, step), (big[..100].to_vec(), 100, true));
            }
            let (text, _, is_done) = read("500 x\r\nTransfer-Encoding: chunked", &chunked, 100, step);
            assert_eq!((text.len(), is_done), (100, true));
        }
        assert_eq!(read("500 x", b"x", 0, 1), (vec![], 0, true));
    }

    #[test]
    fn some_responses_have_no_body() {
        for head in ["204 x", "304 x\r\nContent-Length: 5", "404 x\r\nContent-Length: 0", "101 x"] {
            assert_eq!(read(head, b"hello", 99, 1), (vec![], 0, true), "{head}");
        }
    }

    #[test]
    fn a_broken_length_means_until_the_end_and_a_broken_chunk_is_the_end() {
        for length in ["-1", "+5", "five", "5, 6", "99999999999999999999", "5\r\nContent-Length: 6", ""] {
            let head = format!("404 x\r\nContent-Length: {length}");
            assert_eq!(read(&head, b"hello", 99, 1), (b"hello".to_vec(), 5, false), "{length}");
        }
        assert_eq!(read("404 x\r\nContent-Length: 2, 2", b"hello", 99, 1).0, b"he");
        let chunked = "404 x\r\nTransfer-Encoding: chunked";
        let long_line = vec![b'0'; 10_000];
        let bodies: [&[u8]; 8] = [
            b"x\r\n",
            b"\r\n",
            b"5\nhello",
            b"-5\r\n",
            b"10000000000000000\r\n",
            b"0\r\n",
            &long_line,
            b"5\r\nhelloX\r\n0\r\n",
        ];
        for body in bodies {
            let (text, taken, is_done) = read(chunked, body, 99, 1);
            assert!(is_done && (text.is_empty() || text == b"hello") && taken <= 130, "{body:?}");
        }
    }
}
