//! The server's side of the opening handshake (RFC 6455 section 4.2): judges a request and writes the response. Does
//! not know how either travels, nor what the caller's reasons are to accept or to reject.

use super::key::{accept_key, checked_key};
use super::options::{HandshakeOptions, write_header};
use super::{Opened, Progress};
use crate::config::{DeflateConfig, WebSocketConfig};
use crate::error::{Error, HandshakeError};
use crate::http::grammar::{has_token, is_token, is_word, list};
use crate::http::head::{Head, HeadReader, Kind};
use crate::proto::deflate::negotiate::{self, Agreed};

/// The server's side of a handshake under way.
#[derive(Debug)]
pub struct ServerHandshake {
    state: State,
    deflate: Option<DeflateConfig>,
    head: Head,
    protocol: Option<String>,
    agreed_deflate: Option<Agreed>,
    refusal: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Reading(HeadReader),
    /// A valid request waits for an answer.
    Deciding(Request),
    Accepted,
    /// With this status, or 0 where the stream ended.
    Refused(u16),
}

/// What a valid request leads to, should it be accepted.
#[derive(Debug)]
struct Request {
    key: [u8; 24],
    /// Permessage-deflate, and what to say about it.
    deflate: Option<(Agreed, String)>,
}

/// What is wrong with a request, and the status that says so.
type Fault = (u16, &'static str);

impl ServerHandshake {
    /// Waits for a request. Of the configuration counts `max_head_size`, and `deflate`, without which every offer of an
    /// extension is passed over.
    pub fn new(config: &WebSocketConfig) -> Self {
        Self {
            state: State::Reading(HeadReader::new(Kind::Request, config.max_head_size)),
            deflate: config.deflate,
            head: Head::default(),
            protocol: None,
            agreed_deflate: None,
            refusal: Vec::new(),
        }
    }

    /// See [`Handshake::advance`](super::Handshake::advance). After an error, [`take_refusal`](Self::take_refusal) has
    /// the response to it.
    pub fn advance(&mut self, received: &[u8], eof: bool) -> Result<(Progress, usize), Error> {
        let reader = match &mut self.state {
            State::Reading(reader) => reader,
            State::Deciding(_) => return Ok((Progress::Request, 0)),
            State::Accepted => return Ok((Progress::Done, 0)),
            State::Refused(0) => return Err(HandshakeError::Incomplete.into()),
            State::Refused(status) => return Err(HandshakeError::Refused(*status).into()),
        };
        match reader.read(received, &mut self.head) {
            Ok(Some(length)) => {
                match self.judge() {
                    Ok(request) => self.state = State::Deciding(request),
                    Err((status, why)) => return Err(self.refuse(status, why.into())),
                }
                Ok((Progress::Request, length))
            }
            Ok(None) if eof => {
                self.state = State::Refused(0);
                Err(HandshakeError::Incomplete.into())
            }
            Ok(None) => Ok((Progress::NeedMore, 0)),
            Err(error) => {
                let status = match error {
                    Error::Capacity(_) => 431,
                    Error::NoMemory => 503,
                    _ => 400,
                };
                Err(self.refuse(status, error))
            }
        }
    }

    /// Accepts the request: the response to send, after which frames follow. It carries the headers of `options` and
    /// the subprotocol `protocol`, which the client must have offered; if that is `None`, the first of `options` that
    /// the client offered, if any. Permessage-deflate is accepted as the configuration says.
    pub fn accept(
        &mut self,
        protocol: Option<&str>,
        options: &HandshakeOptions,
    ) -> Result<Acceptance, Error> {
        let State::Deciding(Request { key, deflate }) = &self.state else { return Err(NO_REQUEST) };
        let protocol = match protocol {
            Some(name) if self.has_offered(name) => Some(name),
            Some(_) => return Err(Error::InvalidArgument("the client did not offer this subprotocol")),
            None => options.protocols().iter().map(String::as_str).find(|name| self.has_offered(name)),
        };
        let extensions = deflate.as_ref().map_or("", |(_, text)| text);
        let mut response = Acceptance::new(key);
        if let Some(name) = protocol {
            response.add_header("Sec-WebSocket-Protocol", name.as_bytes());
        }
        if !extensions.is_empty() {
            response.add_header("Sec-WebSocket-Extensions", extensions.as_bytes());
        }
        for (name, value) in options.headers() {
            response.add_header(name, value.as_bytes());
        }
        self.protocol = protocol.map(str::to_owned);
        self.agreed_deflate = deflate.as_ref().map(|(agreed, _)| *agreed);
        self.state = State::Accepted;
        Ok(response)
    }

    /// Rejects the request with a status from 300 to 599, the headers of `options` and a body, which is plain text
    /// unless a `Content-Type` is among the headers: the response to send, after which the stream is to be closed.
    pub fn reject(&mut self, status: u16, options: &HandshakeOptions, body: &[u8]) -> Result<Vec<u8>, Error> {
        let State::Deciding(_) = &self.state else { return Err(NO_REQUEST) };
        if !matches!(status, 300..=599) {
            return Err(Error::InvalidArgument("a rejection has a status from 300 to 599"));
        }
        self.state = State::Refused(status);
        Ok(write_refusal(status, options, body))
    }

    /// The response to a request that [`advance`](Self::advance) refused, to be sent before the stream is closed; empty
    /// where there is nobody to answer.
    pub fn take_refusal(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.refusal)
    }

    /// The head of the request; empty while it has not arrived.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The subprotocols that the client offers, its favourite first.
    pub fn offered_protocols(&self) -> impl Iterator<Item = &str> {
        let names = self.head.values_bytes("Sec-WebSocket-Protocol").flat_map(list);
        names.map(|name| str::from_utf8(name).unwrap_or_default())
    }

    /// The subprotocol chosen.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// The permessage-deflate accepted.
    pub fn agreed_deflate(&self) -> Option<Agreed> {
        self.agreed_deflate
    }

    /// The head of the request, and what was agreed upon.
    pub fn take_opened(&mut self) -> Opened {
        Opened {
            head: std::mem::take(&mut self.head),
            protocol: self.protocol.take(),
            deflate: self.agreed_deflate,
        }
    }

    /// What the request leads to, or what is wrong with it.
    fn judge(&self) -> Result<Request, (u16, HandshakeError)> {
        let key = check(&self.head).map_err(|(status, why)| (status, HandshakeError::Rule(why)))?;
        let offers = self.head.values_bytes("Sec-WebSocket-Extensions");
        let deflate = match &self.deflate {
            Some(config) => negotiate::respond(offers, config).map_err(|why| (400, why))?,
            None => None,
        };
        Ok(Request { key, deflate })
    }

    fn has_offered(&self, name: &str) -> bool {
        self.offered_protocols().any(|offered| offered == name)
    }

    fn refuse(&mut self, status: u16, error: Error) -> Error {
        self.state = State::Refused(status);
        self.refusal = write_refusal(status, &HandshakeOptions::default(), format!("{error}\n").as_bytes());
        error
    }
}

/// The response that takes a request.
#[derive(Debug)]
pub struct Acceptance {
    /// What is needed: most have no more, and so no memory is asked for.
    usual: [u8; USUAL],
    /// All of it, where there are more headers.
    long: Vec<u8>,
}

const BEGINNING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
const USUAL: usize = BEGINNING.len() + 28 + 4;

impl Acceptance {
    fn new(key: &[u8; 24]) -> Self {
        let mut usual = [0; USUAL];
        let (beginning, rest) = usual.split_at_mut(BEGINNING.len());
        let (answer, end) = rest.split_at_mut(28);
        beginning.copy_from_slice(BEGINNING);
        answer.copy_from_slice(&accept_key(key));
        end.copy_from_slice(b"\r\n\r\n");
        Self { usual, long: Vec::new() }
    }

    fn add_header(&mut self, name: &str, value: &[u8]) {
        if self.long.is_empty() {
            // Room for a few more headers: permessage-deflate, most often.
            self.long.reserve(2 * USUAL);
            self.long.extend_from_slice(&self.usual);
        }
        // Over the empty line at the end.
        self.long.truncate(self.long.len() - 2);
        write_header(&mut self.long, name, value);
        self.long.extend_from_slice(b"\r\n");
    }
}

impl std::ops::Deref for Acceptance {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        if self.long.is_empty() { &self.usual } else { &self.long }
    }
}

const HAS_BODY: Fault = (400, "the request has a body");
const NO_REQUEST: Error = Error::Misuse("no request waits for an answer");

/// Checks a request (RFC 6455 section 4.2.1); its key, or the first rule that it breaks. One pass over the headers.
fn check(head: &Head) -> Result<[u8; 24], Fault> {
    if head.method_bytes() != b"GET" {
        return Err((405, "the method of the request is not GET"));
    }
    if head.minor_version() == 0 {
        return Err((400, "the request is HTTP/1.0, where 1.1 is needed"));
    }
    let target = head.target_bytes();
    if !target.starts_with(b"/") && !target.windows(3).any(|part| part == b"://") {
        return Err((400, "the target of the request is no path"));
    }
    let (mut host, mut version, mut key) = (None, None, None);
    let (mut has_upgrade, mut has_connection) = (false, false);
    for (name, value) in head.headers_bytes() {
        match name.len() {
            4 if is_word(name, b"host") => set(&mut host, value, "the request has more than one Host")?,
            7 if is_word(name, b"upgrade") => has_upgrade |= has_token(value, b"websocket"),
            10 if is_word(name, b"connection") => has_connection |= has_token(value, b"upgrade"),
            21 if is_word(name, b"sec-websocket-version") => {
                set(&mut version, value, "the request has more than one Sec-WebSocket-Version")?;
            }
            17 if is_word(name, b"sec-websocket-key") => {
                set(&mut key, value, "the request has more than one Sec-WebSocket-Key")?;
            }
            22 if is_word(name, b"sec-websocket-protocol") && !list(value).all(is_token) => {
                return Err((400, "Sec-WebSocket-Protocol is not a list of tokens"));
            }
            // What a proxy takes for a body must not be taken for frames here.
            17 if is_word(name, b"transfer-encoding") => return Err(HAS_BODY),
            14 if is_word(name, b"content-length") && value != b"0" => return Err(HAS_BODY),
            _ => {}
        }
    }
    if !host.is_some_and(is_host) {
        return Err((400, "the request has no valid Host"));
    }
    if !has_upgrade {
        return Err((426, "the request has no \"Upgrade: websocket\""));
    }
    if !has_connection {
        return Err((400, "the request has no \"Connection: Upgrade\""));
    }
    if version != Some(b"13") {
        return Err((426, "the request has no \"Sec-WebSocket-Version: 13\""));
    }
    let key = key.ok_or((400, "the request has no Sec-WebSocket-Key"))?;
    checked_key(key).ok_or((400, "Sec-WebSocket-Key is not base64 of 16 bytes"))
}

fn set<'a>(place: &mut Option<&'a [u8]>, value: &'a [u8], twice: &'static str) -> Result<(), Fault> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err((400, twice)),
    }
}

/// Whether this may be a host and a port: not the full grammar, but nothing that two readers could read differently.
fn is_host(value: &[u8]) -> bool {
    let is_foreign =
        |byte: &u8| matches!(byte, b' ' | b'\t' | b'/' | b'\\' | b'?' | b'#' | b'@' | b'"' | b'<' | b'>');
    // All of them, whatever the first says: it is done by vectors.
    !value.is_empty() && !value.iter().fold(false, |found, byte| found | is_foreign(byte))
}

fn write_refusal(status: u16, options: &HandshakeOptions, body: &[u8]) -> Vec<u8> {
    let mut response = Vec::with_capacity(256 + options.headers_len() + body.len());
    response.extend_from_slice(format!("HTTP/1.1 {status} {}\r\n", reason(status)).as_bytes());
    match status {
        405 => write_header(&mut response, "Allow", b"GET"),
        426 => {
            write_header(&mut response, "Upgrade", b"websocket");
            write_header(&mut response, "Sec-WebSocket-Version", b"13");
        }
        _ => {}
    }
    write_header(&mut response, "Connection", if status == 426 { b"Upgrade, close" } else { b"close" });
    if options.header("Content-Type").is_none() {
        write_header(&mut response, "Content-Type", b"text/plain; charset=utf-8");
    }
    write_header(&mut response, "Content-Length", body.len().to_string().as_bytes());
    for (name, value) in options.headers() {
        write_header(&mut response, name, value.as_bytes());
    }
    response.extend_from_slice(b"\r\n");
    response.extend_from_slice(body);
    response
}

/// The usual reason phrase; it may be empty (RFC 9112 section 4).
fn reason(status: u16) -> &'static str {
    match status {
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::CapacityError;

    const MAX: usize = 16 << 10;
    const GOOD: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

    fn waiting() -> ServerHandshake {
        ServerHandshake::new(&WebSocketConfig { max_head_size: MAX, ..WebSocketConfig::default() })
    }

    fn server(request: &str) -> Result<ServerHandshake, Error> {
        let mut server = waiting();
        assert_eq!(server.advance(request.as_bytes(), false)?, (Progress::Request, request.len()));
        Ok(server)
    }

    fn with(line: &str) -> String {
        GOOD.replace("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"))
    }

    fn response_head(bytes: &[u8]) -> (Head, Vec<u8>) {
        let mut head = Head::default();
        let length = HeadReader::new(Kind::Response, MAX).read(bytes, &mut head).unwrap().unwrap();
        (head, bytes[length..].to_vec())
    }

    /// Asserts that a request is refused with this status; the head of the refusal.
    #[track_caller]
    fn refused(status: u16, request: &str) -> Head {
        let mut server = waiting();
        let error = server.advance(request.as_bytes(), false).expect_err(request);
        let (head, body) = response_head(&server.take_refusal());
        assert_eq!(head.status(), status, "{error}: {request}");
        assert_eq!(body, format!("{error}\n").as_bytes());
        assert_eq!(head.header("content-length"), Some(body.len().to_string().as_str()));
        assert!(has_token(head.header("connection").unwrap().as_bytes(), b"close"));
        assert!(server.take_refusal().is_empty());
        let again = server.advance(request.as_bytes(), false).unwrap_err();
        assert!(matches!(again, Error::Handshake(HandshakeError::Refused(code)) if code == status));
        assert!(matches!(server.accept(None, &HandshakeOptions::default()), Err(Error::Misuse(_))));
        head
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let mut server = server(GOOD).unwrap();
        assert_eq!(server.advance(b"", true).unwrap(), (Progress::Request, 0));
        let response = server.accept(None, &HandshakeOptions::default()).unwrap();
        assert_eq!(
            str::from_utf8(&response).unwrap(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        );
        assert_eq!(server.advance(b"", false).unwrap(), (Progress::Done, 0));
        assert!(matches!(server.accept(None, &HandshakeOptions::default()), Err(Error::Misuse(_))));
        let Opened { head, protocol, deflate } = server.take_opened();
        assert_eq!((head.target(), protocol, deflate), ("/chat", None, None));
    }

    #[test]
    fn one_byte_at_a_time_is_accepted_too() {
        let mut server = waiting();
        for end in 0..GOOD.len() {
            assert_eq!(server.advance(&GOOD.as_bytes()[..end], false).unwrap(), (Progress::NeedMore, 0));
        }
        let frames_too = format!("{GOOD}frames");
        assert_eq!(server.advance(frames_too.as_bytes(), false).unwrap(), (Progress::Request, GOOD.len()));
    }

    #[test]
    fn header_names_and_tokens_in_any_case_lists_and_repeated_headers_are_understood() {
        for (from, to) in [
            ("Connection: Upgrade", "connection: keep-alive, Upgrade"),
            ("Connection: Upgrade", "CONNECTION: keep-alive\r\nConnection: upgrade"),
            ("Upgrade: websocket", "uPGRADE: h2c, WebSocket"),
            ("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: WEBSOCKET"),
            ("Sec-WebSocket-Key: ", "sec-websocket-key:\t"),
            ("Sec-WebSocket-Version: 13", "SEC-WEBSOCKET-VERSION:13"),
            ("Host: server.example.com", "host: [::1]:9001"),
            ("GET /chat", "GET http://server.example.com/chat"),
            ("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n"),
            ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate; x=\"a,b\"\r\n\r\n"),
        ] {
            assert!(server(&GOOD.replace(from, to)).is_ok(), "{to}");
        }
    }

    #[test]
    fn connection_notupgrade_is_no_upgrade() {
        refused(400, &GOOD.replace("Connection: Upgrade", "Connection: notupgrade"));
        refused(400, &GOOD.replace("Connection: Upgrade\r\n", ""));
        for upgrade in ["", "Upgrade: notwebsocket\r\n", "Upgrade: h2c\r\n"] {
            let head = refused(426, &GOOD.replace("Upgrade: websocket\r\n", upgrade));
            assert_eq!(head.header("upgrade"), Some("websocket"));
        }
    }

    #[test]
    fn post_and_http_1_0_are_refused() {
        assert_eq!(refused(405, &GOOD.replace("GET", "POST")).header("allow"), Some("GET"));
        refused(405, &GOOD.replace("GET", "get"));
        refused(400, &GOOD.replace("HTTP/1.1", "HTTP/1.0"));
        refused(400, &GOOD.replace("HTTP/1.1", "HTTP/2.0"));
        refused(400, &GOOD.replace("/chat", "*"));
        refused(400, &GOOD.replace("/chat", "server.example.com:80"));
    }

    #[test]
    fn version_12_is_answered_with_426_and_the_version_that_works() {
        for version in ["12", "8", "0", "14", "013", "13, 8", "", "x"] {
            let head = refused(426, &GOOD.replace("Version: 13", &format!("Version: {version}")));
            assert_eq!(head.header("sec-websocket-version"), Some("13"));
        }
        refused(426, &GOOD.replace("Sec-WebSocket-Version: 13\r\n", ""));
        refused(400, &with("Sec-WebSocket-Version: 13"));
    }

    #[test]
    fn a_key_of_15_or_17_bytes_bad_base64_missing_or_twice_is_refused() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        for bad in [
            "BwcHBwcHBwcHBwcHBwcH",
            "BwcHBwcHBwcHBwcHBwcHBwc=",
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25!ZQ==",
        ] {
            refused(400, &GOOD.replace(key, bad));
        }
        refused(400, &GOOD.replace(&format!("Sec-WebSocket-Key: {key}\r\n"), ""));
        refused(400, &with(&format!("Sec-WebSocket-Key: {key}")));
        refused(400, &GOOD.replace(key, &format!("{key}, {key}")));
    }

    #[test]
    fn host_is_there_exactly_once() {
        refused(400, &GOOD.replace("Host: server.example.com\r\n", ""));
        refused(400, &with("Host: server.example.com"));
        for bad in ["", "a b", "a, b", "a/b", "user@a"] {
            refused(400, &GOOD.replace("Host: server.example.com", &format!("Host: {bad}")));
        }
    }

    #[test]
    fn a_request_with_a_body_is_refused() {
        for line in [
            "Content-Length: 1",
            "content-length: 00",
            "Content-Length:",
            "Content-Length: -1",
            "Content-Length: 0\r\nContent-Length: 5",
            "Transfer-Encoding: chunked",
            "transfer-encoding: identity",
            "Transfer-Encoding:",
        ] {
            refused(400, &with(line));
        }
    }

    #[test]
    fn malformed_and_oversized_heads_are_answered() {
        refused(400, &GOOD.replace("\r\n", "\n"));
        refused(400, &with("X: a\r\n folded"));
        refused(400, &with("X: a\0b"));
        refused(400, &with("no colon"));
        refused(431, &with(&format!("X: {}", "a".repeat(10 << 20))));
        refused(431, &with(&vec!["A:b"; 10_000].join("\r\n")));
        let error = server(&with(&vec!["A:b"; 10_000].join("\r\n"))).unwrap_err();
        assert!(matches!(error, Error::Capacity(CapacityError::TooManyHeaders { .. })));
    }

    #[test]
    fn a_stream_that_ends_early_is_incomplete_and_gets_no_answer() {
        for end in [0, 1, GOOD.len() - 1] {
            let mut server = waiting();
            for _ in 0..2 {
                let error = server.advance(&GOOD.as_bytes()[..end], true).unwrap_err();
                assert!(matches!(error, Error::Handshake(HandshakeError::Incomplete)));
            }
            assert!(server.take_refusal().is_empty());
        }
    }

    #[test]
    fn the_servers_favourite_among_the_offered_subprotocols_is_chosen() {
        let request = with("Sec-WebSocket-Protocol: c, a\r\nSec-WebSocket-Protocol:,b,");
        let choose = |protocol: Option<&str>, configured: &[&str]| {
            let mut options = HandshakeOptions::default();
            for name in configured {
                options.add_protocol(name).unwrap();
            }
            let mut server = server(&request).unwrap();
            assert_eq!(server.offered_protocols().collect::<Vec<_>>(), ["c", "a", "b"]);
            let response = server.accept(protocol, &options)?;
            let head = response_head(&response).0;
            assert_eq!(head.header("sec-websocket-protocol"), server.protocol());
            Ok::<_, Error>(server.take_opened().protocol)
        };
        assert_eq!(choose(None, &["x", "b", "c"]).unwrap().as_deref(), Some("b"));
        assert_eq!(choose(None, &["x", "A"]).unwrap(), None);
        assert_eq!(choose(None, &[]).unwrap(), None);
        assert_eq!(choose(Some("a"), &["b"]).unwrap().as_deref(), Some("a"));
        for name in ["x", "A", "", "a\r\nX: y"] {
            assert!(matches!(choose(Some(name), &["a"]), Err(Error::InvalidArgument(_))), "{name:?}");
        }
    }

    #[test]
    fn a_malformed_list_of_subprotocols_is_refused() {
        for bad in ["a b", "a;b", "\"a\"", "a, b/c", "ä"] {
            refused(400, &with(&format!("Sec-WebSocket-Protocol: {bad}")));
        }
    }

    /// A server that takes permessage-deflate.
    fn deflating() -> ServerHandshake {
        let deflate = Some(DeflateConfig { server_max_window_bits: 12, ..DeflateConfig::default() });
        ServerHandshake::new(&WebSocketConfig {
            max_head_size: 1 << 20,
            deflate,
            ..WebSocketConfig::default()
        })
    }

    #[test]
    fn an_offer_of_permessage_deflate_is_accepted_where_it_is_configured() {
        let offers = vec!["permessage-deflate; x=\"10, permessage-deflate\""; 1000].join(", ");
        let offer =
            format!("{offers}\r\nSec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover");
        let request = with(&format!("Sec-WebSocket-Extensions: {offer}"));
        let answer = "permessage-deflate; client_no_context_takeover; server_max_window_bits=12";
        for (mut server, request, answer) in [
            (deflating(), request.as_str(), Some(answer)),
            (deflating(), GOOD, None),
            (
                ServerHandshake::new(&WebSocketConfig {
                    max_head_size: 1 << 20,
                    ..WebSocketConfig::default()
                }),
                request.as_str(),
                None,
            ),
        ] {
            assert_eq!(server.advance(request.as_bytes(), false).unwrap().0, Progress::Request);
            assert_eq!(server.agreed_deflate(), None);
            let response = server.accept(None, &HandshakeOptions::default()).unwrap();
            let head = response_head(&response).0;
            assert_eq!(head.header("sec-websocket-extensions"), answer);
            assert_eq!(
                server.agreed_deflate().map(|agreed| agreed.server_max_window_bits),
                answer.map(|_| 12)
            );
            assert_eq!(server.agreed_deflate(), server.take_opened().deflate);
        }
    }

    #[test]
    fn an_offer_of_permessage_deflate_with_a_bad_parameter_is_declined_and_the_next_one_taken() {
        for bad in
            ["server_max_window_bits=16", "client_no_context_takeover; client_no_context_takeover", "x=1"]
        {
            for (behind, answer) in [
                ("", None),
                (", foo", None),
                (", permessage-deflate", Some("permessage-deflate; server_max_window_bits=12")),
                (
                    "\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9",
                    Some("permessage-deflate; server_max_window_bits=9"),
                ),
            ] {
                let request = with(&format!("Sec-WebSocket-Extensions: permessage-deflate; {bad}{behind}"));
                let mut server = deflating();
                assert_eq!(
                    server.advance(request.as_bytes(), false).unwrap().0,
                    Progress::Request,
                    "{request}"
                );
                let response = server.accept(None, &HandshakeOptions::default()).unwrap();
                let head = response_head(&response).0;
                assert_eq!(head.header("sec-websocket-extensions"), answer, "{request}");
                assert_eq!(server.agreed_deflate().is_some(), answer.is_some(), "{request}");
            }
        }
    }

    #[test]
    fn what_is_no_list_of_extensions_is_refused_where_permessage_deflate_is_configured() {
        for offer in ["permessage-deflate;", "permessage-deflate; server_max_window_bits=16;"] {
            let request = with(&format!("Sec-WebSocket-Extensions: {offer}"));
            let mut server = deflating();
            let error = server.advance(request.as_bytes(), false).unwrap_err();
            assert!(error.to_string().contains("Sec-WebSocket-Extensions"), "{error}");
            let (head, body) = response_head(&server.take_refusal());
            assert_eq!((head.status(), body), (400, format!("{error}\n").into_bytes()));
            assert!(self::server(&request).is_ok(), "{offer}");
        }
    }

    #[test]
    fn a_request_that_is_rejected_agrees_to_no_compression() {
        let mut server = deflating();
        server.advance(with("Sec-WebSocket-Extensions: permessage-deflate").as_bytes(), false).unwrap();
        let rejection = server.reject(403, &HandshakeOptions::default(), b"").unwrap();
        assert_eq!(response_head(&rejection).0.header("sec-websocket-extensions"), None);
        assert_eq!(server.take_opened().deflate, None);
    }

    #[test]
    fn a_refused_argument_leaves_the_request_waiting() {
        let mut server = server(GOOD).unwrap();
        let options = HandshakeOptions::default();
        assert!(matches!(server.accept(Some("x"), &options), Err(Error::InvalidArgument(_))));
        for status in [0, 101, 200, 299, 600, u16::MAX] {
            assert!(
                matches!(server.reject(status, &options, b""), Err(Error::InvalidArgument(_))),
                "{status}"
            );
        }
        assert!(server.accept(None, &options).is_ok());
    }

    #[test]
    fn a_rejection_has_status_headers_and_body() {
        let mut options = HandshakeOptions::default();
        options.add_header("WWW-Authenticate", "Basic").unwrap();
        let mut server = server(GOOD).unwrap();
        let (head, body) = response_head(&server.reject(401, &options, "Wer da? ü".as_bytes()).unwrap());
        assert_eq!((head.status(), head.reason()), (401, "Unauthorized"));
        assert_eq!(head.header("www-authenticate"), Some("Basic"));
        assert_eq!(head.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!((head.header("content-length"), head.header("connection")), (Some("10"), Some("close")));
        assert_eq!(body, "Wer da? ü".as_bytes());
        let again = server.advance(b"", false).unwrap_err();
        assert!(matches!(again, Error::Handshake(HandshakeError::Refused(401))));
        assert!(matches!(server.reject(401, &options, b""), Err(Error::Misuse(_))));
    }

    #[test]
    fn nothing_can_be_answered_before_there_is_a_request() {
        let mut server = waiting();
        let options = HandshakeOptions::default();
        assert!(matches!(server.accept(None, &options), Err(Error::Misuse(_))));
        assert!(matches!(server.reject(400, &options, b""), Err(Error::Misuse(_))));
    }
}
