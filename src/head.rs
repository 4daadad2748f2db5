//! The head of an HTTP message, as it is kept: part of the public face, as messages are. Knows where its strings lie, and no
//! grammar: [`http`](crate::http) reads it.

use std::collections::TryReserveError;
use std::ffi::CStr;
use std::fmt;

/// The head of an HTTP request or response, and of a response that refused, its body.
///
/// Names are compared in any case. A value that is not UTF-8 reads as the empty string;
/// [`header_bytes`](Self::header_bytes) and [`header_cstr`](Self::header_cstr) give it as it came.
#[derive(Clone, Default)]
pub struct Head {
    /// The text as it came, but with a NUL in place of what stood behind each string, so that all of them can be lent to C.
    /// None has a NUL inside. Behind it a [`Pair`] for each field.
    pub(crate) bytes: Vec<u8>,
    text_len: u32,
    /// Method and target of a request; nothing and the reason of a response.
    start: Pair,
    status: u16,
    minor_version: u8,
    body: Vec<u8>,
}

/// Where two strings that belong together lie in the text of a head: name and value, as a rule.
#[derive(Clone, Copy, Default)]
pub(crate) struct Pair {
    pub(crate) first: Span,
    pub(crate) second: Span,
}

/// Where a string lies; at `end` there is its NUL.
#[derive(Clone, Copy, Default)]
pub(crate) struct Span {
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
    pub(crate) fn set_parsed(
        &mut self,
        text: &[u8],
        start: (&str, &str),
        fields: &[httparse::Header<'_>],
        version: (u16, u8),
    ) -> Result<(), TryReserveError> {
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
    #[inline]
    pub(crate) fn set(
        &mut self,
        text: &[u8],
        start: Pair,
        fields: impl ExactSizeIterator<Item = Pair>,
        (status, minor_version): (u16, u8),
    ) -> Result<(), TryReserveError> {
        let mut bytes = Vec::new();
        let len = text.len() + fields.len() * PAIR;
        bytes.try_reserve_exact(len)?;
        bytes.extend_from_slice(text);
        end(&mut bytes, start);
        for field in fields {
            end(&mut bytes, field);
            bytes.extend_from_slice(&field.to_bytes());
        }
        // No cast loses anything: no head of 4 GiB is read.
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
    /// No cast loses anything: no head of 4 GiB is read.
    pub(crate) fn new(start: usize, end: usize) -> Self {
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
