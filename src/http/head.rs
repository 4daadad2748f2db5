//! HTTP/1.1 heads (RFC 9112), read as they drip in and kept in one piece of memory. Knows the grammar of a head and
//! the limits on it; no field has a meaning here, and whether it arrived in time is for others to know.

use super::grammar::is_token_char;
use crate::error::{CapacityError, Error, HandshakeError};
use crate::simd::scan::Map;
use std::ffi::CStr;
use std::fmt;
use std::mem::MaybeUninit;

/// Most header fields that a head may have.
const MAX_FIELDS: usize = 128;

/// Most that a plain request has (see [`read_plain`]).
const PLAIN_FIELDS: usize = 32;

/// The head of an HTTP request or response, and of a response that refused, its body.
///
/// Names are compared in any case. A value that is not UTF-8 reads as the empty string;
/// [`header_bytes`](Self::header_bytes) and [`header_cstr`](Self::header_cstr) give it as it came.
#[derive(Clone, Default)]
pub struct Head {
    /// The text as it came, but with a NUL in place of what stood behind each string, so that all of them can be lent to C.
    /// None has a NUL inside. Behind it a [`Pair`] for each field.
    bytes: Vec<u8>,
    text_len: u32,
    /// Method and target of a request; nothing and the reason of a response.
    start: Pair,
    status: u16,
    minor_version: u8,
    body: Vec<u8>,
}

/// Where two strings that belong together lie in the text of a head: name and value, as a rule.
#[derive(Clone, Copy, Default)]
struct Pair {
    first: Span,
    second: Span,
}

/// Where a string lies; at `end` there is its NUL.
#[derive(Clone, Copy, Default)]
struct Span {
    start: u32,
    end: u32,
}

impl Head {
    /// The method of a request; empty for a response.
    pub fn method(&self) -> &str {
        as_str(self.slice(self.start.first))
    }

    /// The target of a request, path and query; empty for a response.
    pub fn target(&self) -> &str {
        if self.status == 0 { as_str(self.slice(self.start.second)) } else { "" }
    }

    /// The status of a response; 0 for a request.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase of a response, often empty; empty for a request.
    pub fn reason(&self) -> &str {
        if self.status == 0 { "" } else { as_str(self.slice(self.start.second)) }
    }

    /// The value of the first header of this name, without the white space around it.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_bytes(name).map(as_str)
    }

    /// Like [`header`](Self::header), as it came.
    pub fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        self.values_bytes(name).next()
    }

    /// The values of all headers of this name, in order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values_bytes(name).map(as_str)
    }

    /// All headers, in order: name and value.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers_bytes().map(|(name, value)| (as_str(name), as_str(value)))
    }

    /// How many headers there are.
    pub fn header_count(&self) -> usize {
        self.fields().len()
    }

    /// The body of a response that refused, as much as was kept of it.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// [`method`](Self::method) as a C string.
    pub fn method_cstr(&self) -> &CStr {
        self.cstr(self.start.first)
    }

    /// [`target`](Self::target) as a C string.
    pub fn target_cstr(&self) -> &CStr {
        if self.status == 0 { self.cstr(self.start.second) } else { c"" }
    }

    /// [`reason`](Self::reason) as a C string.
    pub fn reason_cstr(&self) -> &CStr {
        if self.status == 0 { c"" } else { self.cstr(self.start.second) }
    }

    /// The value of the first header of this name as a C string, as it came.
    pub fn header_cstr(&self, name: &str) -> Option<&CStr> {
        let is_it = |field: &Pair| self.slice(field.first).eq_ignore_ascii_case(name.as_bytes());
        let field = self.fields().find(is_it)?;
        Some(self.cstr(field.second))
    }

    /// Name and value of header number `index`, counted from 0, as C strings.
    pub fn header_cstr_at(&self, index: usize) -> Option<(&CStr, &CStr)> {
        let field = self.fields().nth(index)?;
        Some((self.cstr(field.first), self.cstr(field.second)))
    }

    /// Whether nothing has been read into it.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// [`method`](Self::method) as it came.
    pub(crate) fn method_bytes(&self) -> &[u8] {
        self.slice(self.start.first)
    }

    /// [`target`](Self::target) of a request as it came.
    pub(crate) fn target_bytes(&self) -> &[u8] {
        self.slice(self.start.second)
    }

    /// The `x` of `HTTP/1.x`.
    pub(crate) fn minor_version(&self) -> u8 {
        self.minor_version
    }

    pub(crate) fn values_bytes(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers_bytes()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    pub(crate) fn headers_bytes(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields().map(|field| (self.slice(field.first), self.slice(field.second)))
    }

    pub(crate) fn set_body(&mut self, body: Vec<u8>) {
        self.body = body;
    }

    fn fields(&self) -> impl ExactSizeIterator<Item = Pair> {
        let pairs = self.bytes.get(self.text_len as usize..).unwrap_or_default();
        pairs.as_chunks().0.iter().map(Pair::from_bytes)
    }

    fn slice(&self, span: Span) -> &[u8] {
        self.bytes.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    fn cstr(&self, span: Span) -> &CStr {
        let with_nul = self.bytes.get(span.start as usize..=span.end as usize).unwrap_or_default();
        CStr::from_bytes_with_nul(with_nul).unwrap_or_default()
    }

    /// Becomes a copy of `text`, a head that was parsed; the strings are parts of it.
    fn set_parsed(
        &mut self,
        text: &[u8],
        start: (&str, &str),
        fields: &[httparse::Header<'_>],
        version: (u16, u8),
    ) -> Result<(), Error> {
        let span = |part: &[u8]| match part.is_empty() {
            // It may lie elsewhere: the LF that ends the head is not needed and becomes an empty string.
            true => Span::new(text.len() - 1, text.len() - 1),
            false => {
                let start = part.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
                Span::new(start, start.wrapping_add(part.len()))
            }
        };
        let pair = |first: &[u8], second: &[u8]| Pair { first: span(first), second: span(second) };
        let fields = fields.iter().map(|field| pair(field.name.as_bytes(), field.value.trim_ascii()));
        self.set(text, pair(start.0.as_bytes(), start.1.as_bytes()), fields, version)
    }

    /// Becomes a copy of `text`, a head whose strings lie there, and puts a NUL behind each: over the space, colon or CR
    /// there.
    fn set(
        &mut self,
        text: &[u8],
        start: Pair,
        fields: impl ExactSizeIterator<Item = Pair>,
        (status, minor_version): (u16, u8),
    ) -> Result<(), Error> {
        let mut bytes = Vec::new();
        let len = text.len() + fields.len() * PAIR;
        bytes.try_reserve_exact(len).map_err(|_| Error::NoMemory)?;
        bytes.extend_from_slice(text);
        end(&mut bytes, start);
        for field in fields {
            end(&mut bytes, field);
            bytes.extend_from_slice(&field.to_bytes());
        }
        // No cast loses anything: a [`HeadReader`] reads no head of 4 GiB.
        *self = Head { bytes, text_len: text.len() as u32, start, status, minor_version, body: Vec::new() };
        Ok(())
    }
}

/// Puts a NUL behind both.
#[inline]
fn end(text: &mut [u8], pair: Pair) {
    for span in [pair.first, pair.second] {
        if let Some(behind) = text.get_mut(span.end as usize) {
            *behind = 0;
        }
    }
}

/// Length of a pair among other bytes.
const PAIR: usize = 16;

impl Pair {
    fn from_bytes(bytes: &[u8; PAIR]) -> Self {
        let (numbers, _) = bytes.as_chunks();
        let number = |index: usize| numbers.get(index).map_or(0, |bytes| u32::from_ne_bytes(*bytes));
        let span = |index: usize| Span { start: number(index), end: number(index + 1) };
        Self { first: span(0), second: span(2) }
    }

    fn to_bytes(self) -> [u8; PAIR] {
        let mut bytes = [0; PAIR];
        let numbers = [self.first.start, self.first.end, self.second.start, self.second.end];
        for (place, number) in bytes.as_chunks_mut().0.iter_mut().zip(numbers) {
            *place = number.to_ne_bytes();
        }
        bytes
    }
}

impl Span {
    /// No cast loses anything: a [`HeadReader`] reads no head of 4 GiB.
    fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Fields<'a>(&'a Head);
        impl fmt::Debug for Fields<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_map().entries(self.0.headers()).finish()
            }
        }
        let mut head = f.debug_struct("Head");
        if self.status == 0 {
            head.field("method", &self.method()).field("target", &self.target());
        } else {
            head.field("status", &self.status).field("reason", &self.reason());
        }
        head.field("headers", &Fields(self))
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish()
    }
}

fn as_str(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}

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
    head.set(&bytes[..length], start, fields[..count].iter().copied(), (0, 1))?;
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
    head.set_parsed(bytes, (method, target), request.headers, (0, minor_version))
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
    head.set_parsed(bytes, ("", reason), response.headers, (status, minor_version))
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

const UNKNOWN_VERSION: HandshakeError = HandshakeError::Malformed("HTTP version is not 1.x");

fn malformed<T>(why: &'static str) -> Result<T, Error> {
    Err(HandshakeError::Malformed(why).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::scan;

    const MAX: usize = 16 << 10;

    fn read(reader: &mut HeadReader, bytes: &[u8]) -> Result<Option<(Head, usize)>, Error> {
        let mut head = Head::default();
        Ok(reader.read(bytes, &mut head)?.map(|length| (head, length)))
    }

    fn request(bytes: &[u8]) -> Result<Head, Error> {
        match read(&mut HeadReader::new(Kind::Request, MAX), bytes)? {
            Some((head, length)) => {
                assert_eq!(length, bytes.len());
                Ok(head)
            }
            None => panic!("incomplete"),
        }
    }

    /// Feeds one byte at a time; at which byte it ends, how, and how many bytes were looked at.
    fn drip(kind: Kind, max: usize, bytes: &[u8]) -> (usize, Result<Option<Head>, Error>, u64) {
        let mut reader = HeadReader::new(kind, max);
        for end in 1..=bytes.len() {
            match read(&mut reader, &bytes[..end]) {
                Ok(None) => {}
                Ok(Some((head, length))) => {
                    assert_eq!(length, end);
                    return (end, Ok(Some(head)), reader.examined);
                }
                Err(error) => return (end, Err(error), reader.examined),
            }
        }
        (bytes.len(), Ok(None), reader.examined)
    }

    /// Requests of the plainest form and all that is near it: what the short way takes, the parser reads just so.
    #[test]
    fn a_plain_request_is_read_as_the_parser_reads_it() {
        let plain = b"GET /chat?x=1 HTTP/1.1\r\nHost: h:80\r\nX-A: b c\r\nUpgrade: websocket\r\n\r\n";
        let read = |bytes: &[u8]| {
            let mut head = Head::default();
            read_plain(bytes, &mut head).unwrap().map(|length| (head, length))
        };
        assert_eq!(read(plain).unwrap().1, plain.len());
        let mut taken = 0;
        let mut check = |bytes: &[u8]| {
            let Some((head, length)) = read(bytes) else { return };
            let mut reader = HeadReader::new(Kind::Request, MAX);
            assert_eq!(reader.find_end(bytes).unwrap(), Some(length), "{bytes:?}");
            let mut parsed = Head::default();
            parse_request(&bytes[..length], &mut parsed).unwrap();
            assert_eq!(format!("{head:?}"), format!("{parsed:?}"));
            assert_eq!((head.bytes, head.minor_version), (parsed.bytes, parsed.minor_version), "{bytes:?}");
            taken += 1;
        };
        for at in 0..plain.len() {
            for byte in 0..=255 {
                let mut bytes = plain.to_vec();
                bytes[at] = byte;
                check(&bytes);
                bytes[at] = plain[at];
                bytes.insert(at, byte);
                check(&bytes);
            }
            check(&plain[..at]);
            let mut bytes = plain.to_vec();
            bytes.remove(at);
            check(&bytes);
        }
        assert!(taken > 5_000, "{taken}");
        assert!(
            read(&[&plain[..plain.len() - 2], "A: b\r\n".repeat(PLAIN_FIELDS).as_bytes(), b"\r\n"].concat())
                .is_none()
        );
    }

    /// A map ends with a head of so many bytes, or in the middle of its last line end: no byte that it has not seen counts.
    #[test]
    fn a_request_as_long_as_a_map_is_read_as_the_parser_reads_it() {
        const LAST: usize = scan::MAX + 1;
        for len in LAST - 70..LAST + 70 {
            for line in ["", "A-1: b\r\n"] {
                let start = format!("GET / HTTP/1.1\r\n{line}X: ");
                let mut bytes = start.into_bytes();
                bytes.resize(len - 4, b'x');
                bytes.extend_from_slice(b"\r\n\r\n");
                let mut parsed = Head::default();
                parse_request(&bytes, &mut parsed).unwrap();
                for behind in ["", "\r\n", "\x01", "A: b\r\n\r\n"] {
                    let received = [&bytes, behind.as_bytes()].concat();
                    let mut plain = Head::default();
                    let taken = read_plain(&received, &mut plain).unwrap();
                    assert_eq!(taken, (len <= LAST).then_some(len), "{behind:?}");
                    let (head, length) =
                        read(&mut HeadReader::new(Kind::Request, MAX), &received).unwrap().unwrap();
                    assert_eq!((length, head.bytes), (len, parsed.bytes.clone()), "{behind:?}");
                }
            }
        }
    }

    #[test]
    fn a_request_is_read() {
        let bytes =
            b"GET /a?b HTTP/1.1\r\nHost:  example.com \t\r\nX-Empty:\r\nx-TWICE: 1\r\nX-Twice: 2\r\n\r\n";
        let head = request(bytes).unwrap();
        assert_eq!((head.method(), head.target(), head.status(), head.reason()), ("GET", "/a?b", 0, ""));
        assert_eq!(head.header("HOST"), Some("example.com"));
        assert_eq!(head.header("x-empty"), Some(""));
        assert_eq!(head.header("x-missing"), None);
        assert_eq!(head.values("X-Twice").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(head.header_count(), 4);
        assert_eq!(
            head.headers().map(|(name, _)| name).collect::<Vec<_>>(),
            ["Host", "X-Empty", "x-TWICE", "X-Twice"]
        );
        assert_eq!(head.minor_version(), 1);
        let debug = format!("{head:?}");
        assert!(debug.contains("\"/a?b\"") && debug.contains("\"x-TWICE\": \"1\""), "{debug}");
    }

    #[test]
    fn a_response_is_read() {
        let bytes = b"HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\nbody";
        let (head, length) = read(&mut HeadReader::new(Kind::Response, MAX), bytes).unwrap().unwrap();
        assert_eq!(length, bytes.len() - 4);
        assert_eq!((head.status(), head.reason(), head.method(), head.target()), (404, "Not Found", "", ""));
        assert_eq!((head.reason_cstr(), head.method_cstr(), head.target_cstr()), (c"Not Found", c"", c""));
        let head =
            read(&mut HeadReader::new(Kind::Response, MAX), b"HTTP/1.1 101\r\n\r\n").unwrap().unwrap().0;
        assert_eq!((head.status(), head.reason(), head.header_count()), (101, "", 0));
    }

    #[test]
    fn every_string_can_be_lent_to_c() {
        let head = request(b"GET /chat HTTP/1.1\r\nHost: h\r\nEmpty:\r\nRaw: \xff\xfe\r\n\r\n").unwrap();
        assert_eq!((head.method_cstr(), head.target_cstr(), head.reason_cstr()), (c"GET", c"/chat", c""));
        assert_eq!(head.header_cstr("host"), Some(c"h"));
        assert_eq!(head.header_cstr("empty"), Some(c""));
        assert_eq!(head.header_cstr("raw"), Some(c"\xff\xfe"));
        assert_eq!(head.header_cstr("none"), None);
        assert_eq!(head.header_cstr_at(1), Some((c"Empty", c"")));
        assert_eq!(head.header_cstr_at(3), None);
        let empty = Head::default();
        assert_eq!((empty.method_cstr(), empty.target_cstr(), empty.header_cstr("a")), (c"", c"", None));
        assert_eq!((empty.method(), empty.target(), empty.status(), empty.reason()), ("", "", 0, ""));
    }

    #[test]
    fn a_value_that_is_not_utf8_is_kept_as_bytes() {
        let head = request(b"GET / HTTP/1.1\r\nX: caf\xe9\r\nY: caf\xc3\xa9\r\n\r\n").unwrap();
        assert_eq!((head.header("X"), head.header_bytes("X")), (Some(""), Some(&b"caf\xe9"[..])));
        assert_eq!(head.header("Y"), Some("café"));
    }

    #[test]
    fn one_byte_at_a_time_looks_at_each_byte_once() {
        let mut bytes = b"GET / HTTP/1.1\r\n".to_vec();
        for index in 0..100 {
            bytes.extend_from_slice(format!("X-{index}: {}\r\n", "v".repeat(100)).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        let (end, head, examined) = drip(Kind::Request, MAX, &bytes);
        assert_eq!((end, head.unwrap().unwrap().header_count()), (bytes.len(), 100));
        assert!(examined <= 3 * bytes.len() as u64, "{examined} for {}", bytes.len());
    }

    #[test]
    fn ten_mebibytes_of_headers_stop_at_the_limit() {
        let mut bytes = b"GET / HTTP/1.1\r\nX: ".to_vec();
        bytes.resize(10 << 20, b'a');
        let mut reader = HeadReader::new(Kind::Request, MAX);
        let error = read(&mut reader, &bytes).unwrap_err();
        assert!(matches!(error, Error::Capacity(CapacityError::HeadTooLong { max }) if max == MAX as u64));
        assert!(reader.examined <= MAX as u64 + 16);
        let (end, error, examined) = drip(Kind::Request, MAX, &bytes);
        assert!(matches!(error, Err(Error::Capacity(CapacityError::HeadTooLong { .. }))));
        assert!(end == MAX && examined <= 3 * MAX as u64, "{end}, {examined}");
    }

    #[test]
    fn ten_mebibytes_of_headers_are_linear_where_the_limit_allows_them() {
        let mut bytes = b"GET / HTTP/1.1\r\nX: ".to_vec();
        bytes.resize((10 << 20) - 4, b'a');
        bytes.extend_from_slice(b"\r\n\r\n");
        let (end, head, examined) = drip(Kind::Request, 10 << 20, &bytes);
        assert_eq!(end, 10 << 20);
        assert!(head.unwrap().unwrap().header_bytes("X").unwrap().len() > 10_000_000);
        assert!(examined <= 3 * bytes.len() as u64);
    }

    #[test]
    fn a_head_of_exactly_the_limit_passes() {
        let bytes = b"GET / HTTP/1.1\r\nA: b\r\n\r\n";
        assert!(read(&mut HeadReader::new(Kind::Request, bytes.len()), bytes).unwrap().is_some());
        for max in 0..bytes.len() {
            let error = read(&mut HeadReader::new(Kind::Request, max), bytes).unwrap_err();
            assert!(matches!(error, Error::Capacity(CapacityError::HeadTooLong { .. })), "{max}: {error:?}");
        }
    }

    #[test]
    fn ten_thousand_headers_stop_at_the_129th() {
        let head = |count: usize| {
            let mut bytes = b"GET / HTTP/1.1\r\n".to_vec();
            bytes.extend_from_slice(&b"A:b\r\n".repeat(count));
            bytes.extend_from_slice(b"\r\n");
            bytes
        };
        assert_eq!(request(&head(128)).unwrap().header_count(), 128);
        let (end, error, _) = drip(Kind::Request, 1 << 20, &head(10_000));
        assert!(matches!(error, Err(Error::Capacity(CapacityError::TooManyHeaders { max: 128 }))));
        assert_eq!(end, 16 + 129 * 5);
    }

    #[test]
    fn bare_lf_bare_cr_nul_and_folded_lines_are_refused_at_once() {
        let cases: [(&[u8], usize); 15] = [
            (b"GET / HTTP/1.1\nHost: h\n\n", 15),
            (b"GET / HTTP/1.1\r\nHost: h\n\r\n", 24),
            (b"GET / HTTP/1.1\r\nHost: h\r\n\n", 26),
            (b"GET / HTTP/1.1\rHost: h\r\n\r\n", 16),
            (b"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", 22),
            (b"GET / HTTP/1.1\r\r\n", 16),
            (b"GET / HTTP/1.1\r\nA: \0\r\n\r\n", 20),
            (b"\0GET / HTTP/1.1\r\n\r\n", 1),
            (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 23),
            (b"GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", 23),
            (b"GET / HTTP/1.1\r\n A: b\r\n\r\n", 17),
            (b"GET / HTTP/1.1\r\nA: \x01\r\n\r\n", 20),
            (b"\nGET / HTTP/1.1\r\n\r\n", 1),
            (b"\r\n\r\r\nGET / HTTP/1.1\r\n\r\n", 4),
            (b"\x16\x03\x01\x02\x00\x01", 1),
        ];
        for (bytes, offending) in cases {
            let (end, error, _) = drip(Kind::Request, MAX, bytes);
            assert!(
                matches!(error, Err(Error::Handshake(HandshakeError::Malformed(_)))),
                "{bytes:?}: {error:?}"
            );
            assert_eq!(end, offending, "{:?}", bytes.escape_ascii().to_string());
            let at_once = read(&mut HeadReader::new(Kind::Request, MAX), bytes).unwrap_err();
            assert_eq!(at_once.to_string(), error.unwrap_err().to_string());
        }
    }

    #[test]
    fn empty_lines_before_a_request_are_passed_over_and_before_a_response_refused() {
        let plain = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
        for empty in ["\r\n", "\r\n\r\n", &"\r\n".repeat(200)] {
            let bytes = [empty.as_bytes(), plain].concat();
            let at_once = request(&bytes).unwrap();
            assert_eq!(
                (at_once.method(), at_once.target(), at_once.header("host")),
                ("GET", "/a", Some("h"))
            );
            assert_eq!((at_once.method_cstr(), at_once.header_cstr_at(0)), (c"GET", Some((c"Host", c"h"))));
            let (end, head, examined) = drip(Kind::Request, MAX, &bytes);
            assert_eq!((end, head.unwrap().unwrap().target()), (bytes.len(), "/a"));
            assert!(examined <= 3 * bytes.len() as u64);
        }
        let (end, error, _) = drip(Kind::Request, MAX, &b"\r\n".repeat(MAX));
        assert!(matches!(error, Err(Error::Capacity(CapacityError::HeadTooLong { .. }))));
        assert_eq!(end, MAX);
        assert!(drip(Kind::Response, MAX, b"\r\nHTTP/1.1 200 OK\r\n\r\n").1.is_err());
    }

    #[test]
    fn a_later_version_of_http_1_is_read_as_1_1() {
        for minor in 2..=9 {
            let bytes = format!("\r\nGET /HTTP/1.2 HTTP/1.{minor}\r\nHost: h\r\nX: HTTP/1.{minor}\r\n\r\n");
            let head = request(bytes.as_bytes()).unwrap();
            assert_eq!(
                (head.minor_version(), head.target(), head.header("host")),
                (1, "/HTTP/1.2", Some("h"))
            );
            assert_eq!(head.header("x"), Some(&*format!("HTTP/1.{minor}")));
            let (end, dripped, _) = drip(Kind::Request, MAX, bytes.as_bytes());
            assert_eq!((end, dripped.unwrap().unwrap().minor_version()), (bytes.len(), 1));

            let bytes = format!("HTTP/1.{minor} 101 x\r\nA: b\r\n\r\n");
            let (end, head, _) = drip(Kind::Response, MAX, bytes.as_bytes());
            let head = head.unwrap().unwrap();
            assert_eq!(
                (end, head.status(), head.minor_version(), head.header("a")),
                (bytes.len(), 101, 1, Some("b"))
            );
        }
        for bad in [
            "HTTP/1.10",
            "HTTP/1.",
            "HTTP/1.x",
            "HTTP/1",
            "HTTP/11",
            "HTTP/0.9",
            "HTTP/3.2",
            "HTTP/1.2x",
            "xHTTP/1.2",
        ] {
            assert!(request(format!("GET / {bad}\r\nHost: h\r\n\r\n").as_bytes()).is_err(), "{bad}");
            let response = format!("{bad} 200 OK\r\n\r\n");
            assert!(drip(Kind::Response, MAX, response.as_bytes()).1.is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let cases: [&[u8]; 13] = [
            b"GET / HTTP/2.0\r\n\r\n",
            b"GET / http/1.1\r\n\r\n",
            b"GET /\r\n\r\n",
            b"GET  / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1 \r\n\r\n",
            b"GET /a b HTTP/1.1\r\n\r\n",
            b"G\x7fT / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\n: no name\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
            b"GET / HTTP/1.1\r\nHo st: h\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: \x7f\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
        ];
        for bytes in cases {
            let error = request(bytes).unwrap_err();
            assert!(matches!(error, Error::Handshake(HandshakeError::Malformed(_))), "{bytes:?}: {error:?}");
        }
    }

    #[test]
    fn another_protocol_is_recognised_by_its_first_bytes() {
        for (bytes, offending) in
            [("SSH-2.0-x\r\n", 1), ("HTTP/2 200\r\n", 6), ("HTML", 3), ("ICY 200 OK\r\n", 1)]
        {
            let (end, error, _) = drip(Kind::Response, MAX, bytes.as_bytes());
            assert!(matches!(error, Err(Error::Handshake(HandshakeError::Malformed(_)))), "{bytes}");
            assert_eq!(end, offending, "{bytes}");
        }
        for bad in
            ["HTTP/1.1 099 \r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000\r\n\r\n", "HTTP/1.1\r\n\r\n"]
        {
            assert!(read(&mut HeadReader::new(Kind::Response, MAX), bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
