//! HTTP/1.1 heads (RFC 9112), read as they drip in. Knows the grammar of a head and
//! the limits on it; no field has a meaning here, and whether it arrived in time is for others to know.

use super::grammar::is_token_char;
use crate::error::{CapacityError, Error, HandshakeError};
use crate::head::{Head, Pair, Span};
use crate::simd::scan::Map;
use std::collections::TryReserveError;
use std::mem::MaybeUninit;

/// Most header fields that a head may have.
const MAX_FIELDS: usize = 128;

/// Most that a plain request has (see [`read_plain`]).
const PLAIN_FIELDS: usize = 32;

/// Which kind of head is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Response,
}

/// Reads one head that arrives in pieces. Each byte is looked at once for where the head ends and what must not be in
/// it; only then the whole is parsed, once.
#[derive(Debug)]
pub(crate) struct HeadReader {
    kind: Kind,
    max: usize,
    /// How many bytes have been looked at.
    scanned: usize,
    /// Where the line begins that is being looked at.
    line: usize,
    /// How many lines are complete.
    lines: usize,
    #[cfg(test)]
    pub(crate) examined: u64,
}

impl HeadReader {
    /// For a head of at most `max` bytes.
    pub(crate) fn new(kind: Kind, max: usize) -> Self {
        let max = max.min(1 << 30);
        Self {
            kind,
            max,
            scanned: 0,
            line: 0,
            lines: 0,
            #[cfg(test)]
            examined: 0,
        }
    }

    /// Reads the head into `head`, if it is complete in `received`: all bytes since the start of the head; its length.
    pub(crate) fn read(&mut self, received: &[u8], head: &mut Head) -> Result<Option<usize>, Error> {
        let window = &received[..received.len().min(self.max)];
        if self.kind == Kind::Response && !may_be_response(window) {
            return malformed("this is not HTTP/1");
        }
        if received.is_empty() && self.max > 0 {
            return Ok(None);
        }
        // As a rule a request arrives whole and is plain.
        if self.scanned == 0
            && self.kind == Kind::Request
            && let Some(length) = read_plain(window, head)?
        {
            #[cfg(test)]
            {
                self.examined += length as u64;
            }
            return Ok(Some(length));
        }
        let Some(length) = self.find_end(window)? else {
            if window.len() == self.max {
                return Err(CapacityError::HeadTooLong { max: self.max as u64 }.into());
            }
            return Ok(None);
        };
        parse(self.kind, &window[..length], head)?;
        Ok(Some(length))
    }

    /// Looks for the empty line that ends the head, from where the last look ended.
    fn find_end(&mut self, window: &[u8]) -> Result<Option<usize>, Error> {
        let mut at = self.scanned;
        while let Some(&first) = window.get(at) {
            if at == self.line && self.lines > 0 && matches!(first, b' ' | b'\t') {
                return malformed("folded line");
            }
            let plain = printable_prefix(&window[at..]);
            at += plain;
            #[cfg(test)]
            {
                self.examined += plain as u64 + 1;
            }
            if window.get(at) == Some(&b'\r') {
                match window.get(at + 1) {
                    None => break, // to be looked at again, with the next byte
                    Some(b'\n') => {}
                    Some(_) => return malformed("CR without LF"),
                }
                let is_empty = at == self.line;
                at += 2;
                if is_empty && self.lines > 0 {
                    return Ok(Some(at));
                }
                self.end_line(is_empty, at)?;
                continue;
            }
            match window.get(at) {
                None => {}
                Some(b'\t') => at += 1,
                Some(b'\n') => return malformed("LF without CR"),
                Some(0) => return malformed("NUL"),
                Some(_) => return malformed("control character"),
            }
        }
        self.scanned = at;
        Ok(None)
    }

    fn end_line(&mut self, is_empty: bool, next: usize) -> Result<(), Error> {
        if is_empty && self.kind == Kind::Response {
            return malformed("empty first line");
        }
        if is_empty {
            // Before a request line it counts for nothing (RFC 9112 section 2.2).
            self.line = next;
            return Ok(());
        }
        if self.lines > MAX_FIELDS {
            return Err(CapacityError::TooManyHeaders { max: MAX_FIELDS as u64 }.into());
        }
        self.lines += 1;
        self.line = next;
        Ok(())
    }
}

/// How many bytes come before the first control character; DEL is left to the parser.
fn printable_prefix(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The high bit of each byte below 0x20; only bytes after the first such can be marked wrongly.
        let controls = word.wrapping_sub(ONES * 0x20) & !word & (ONES * 0x80);
        if controls != 0 {
            return index * 8 + controls.trailing_zeros() as usize / 8;
        }
    }
    let rest_prefix = rest.iter().position(|&byte| byte < 0x20).unwrap_or(rest.len());
    words.len() * 8 + rest_prefix
}

/// Whether a response may begin like this: another protocol is recognised by its first bytes.
fn may_be_response(received: &[u8]) -> bool {
    received.iter().zip(b"HTTP/1.").all(|(byte, expected)| byte == expected)
}

/// Reads the request that these bytes begin with, where it is of the plainest form: a GET over HTTP/1.1, and values behind a
/// single space; its length. All others, and what is wrong with some of them, are for the parser.
fn read_plain(bytes: &[u8], head: &mut Head) -> Result<Option<usize>, Error> {
    let mut fields = [Pair::default(); PLAIN_FIELDS];
    let Some((target, count, length)) = find_plain(bytes, &mut fields) else { return Ok(None) };
    let start = Pair { first: Span::new(0, 3), second: target };
    head.set(&bytes[..length], start, fields[..count].iter().copied(), (0, 1)).map_err(no_memory)?;
    Ok(Some(length))
}

/// Where the parts of such a request lie: its target and its fields; how many these are; and the length of all.
#[inline]
fn find_plain(bytes: &[u8], fields: &mut [Pair; PLAIN_FIELDS]) -> Option<(Span, usize, usize)> {
    let mut map = Map::EMPTY;
    map.fill(bytes);
    let mut controls = map.controls();
    // Where the next line ends: in two control characters, and none is before them.
    let mut line_end = || {
        let (end, _) = (controls.next()?, controls.next());
        (bytes.get(end..end + 2)? == b"\r\n").then_some(end)
    };
    let mut end = line_end()?;
    let target = bytes[..end].strip_prefix(b"GET ")?.strip_suffix(b" HTTP/1.1")?;
    // All of them, whatever the first says: it is done by vectors.
    if target.is_empty() || !target.iter().fold(true, |all, byte| all & byte.is_ascii_graphic()) {
        return None;
    }
    for count in 0..=PLAIN_FIELDS {
        let start = end + 2;
        end = line_end()?;
        if end == start {
            return Some((Span::new(4, 4 + target.len()), count, start + 2));
        }
        let mut name_end = map.other(start);
        while name_end < end && is_token_char(bytes[name_end]) {
            name_end = map.other(name_end + 1);
        }
        let value = name_end + 2;
        let has_value = value < end && bytes[name_end..].starts_with(b": ");
        if name_end == start || !has_value || bytes[value] == b' ' || bytes[end - 1] == b' ' {
            return None;
        }
        *fields.get_mut(count)? = Pair { first: Span::new(start, name_end), second: Span::new(value, end) };
    }
    None
}

/// Reads a whole head. A version of HTTP/1 that is later than 1.1 is read as that (RFC 9110 section 2.5).
fn parse(kind: Kind, bytes: &[u8], head: &mut Head) -> Result<(), Error> {
    let parse = match kind {
        Kind::Request => parse_request,
        Kind::Response => parse_response,
    };
    match parse(bytes, head) {
        Err(Error::Handshake(UNKNOWN_VERSION)) => parse(&as_version_1_1(kind, bytes)?, head),
        other => other,
    }
}

/// A copy of a head of HTTP/1.2 to 1.9 that says HTTP/1.1.
#[cold]
fn as_version_1_1(kind: Kind, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| Error::NoMemory)?;
    copy.extend_from_slice(bytes);
    let is_line_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
    let end = match kind {
        Kind::Response => "HTTP/1.1".len(),
        Kind::Request => {
            let start = bytes.iter().take_while(is_line_end).count();
            start + bytes.iter().skip(start).take_while(|byte| !is_line_end(byte)).count()
        }
    };
    match copy.get_mut(..end).and_then(|start| start.last_chunk_mut()) {
        Some([b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'2'..=b'9']) => *minor = b'1',
        _ => return Err(UNKNOWN_VERSION.into()),
    }
    Ok(copy)
}

// Not inlined, like the next: room for all those fields is a page of the stack.
#[inline(never)]
fn parse_request(bytes: &[u8], head: &mut Head) -> Result<(), Error> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    request.parse_with_uninit_headers(bytes, &mut fields).map_err(parse_error)?;
    let (Some(method), Some(target), Some(minor_version)) = (request.method, request.path, request.version)
    else {
        return malformed("incomplete");
    };
    head.set_parsed(bytes, (method, target), request.headers, (0, minor_version)).map_err(no_memory)
}

#[inline(never)]
fn parse_response(bytes: &[u8], head: &mut Head) -> Result<(), Error> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut response, bytes, &mut fields)
        .map_err(parse_error)?;
    let (Some(status @ 100..), Some(minor_version)) = (response.code, response.version) else {
        return malformed("invalid status");
    };
    let reason = response.reason.unwrap_or_default();
    head.set_parsed(bytes, ("", reason), response.headers, (status, minor_version)).map_err(no_memory)
}

fn parse_error(error: httparse::Error) -> Error {
    HandshakeError::Malformed(match error {
        httparse::Error::HeaderName => "invalid header name",
        httparse::Error::HeaderValue => "invalid header value",
        httparse::Error::NewLine => "invalid end of line",
        httparse::Error::Status => "invalid status",
        httparse::Error::Token => "invalid request line",
        httparse::Error::TooManyHeaders => "too many headers",
        httparse::Error::Version => return UNKNOWN_VERSION.into(),
    })
    .into()
}

fn no_memory(_: TryReserveError) -> Error {
    Error::NoMemory
}

const UNKNOWN_VERSION: HandshakeError = HandshakeError::Malformed("HTTP version is not 1.x");

fn malformed<T>(why: &'static str) -> Result<T, Error> {
    Err(HandshakeError::Malformed(why).into())
}

#[cfg(test)]
mod tests;
