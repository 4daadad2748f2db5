//! The server's side of the opening handshake (RFC 6455 section 4.2): judges a request and writes the 101. Does not know
//! how either travels, nor what the caller's reasons are to accept or to reject; what else is answered is `answer`'s.

use super::answer::write_answer;
use super::key::{accept_key, checked_key};
use super::options::{HandshakeOptions, write_header};
use super::{Opened, Progress};
use crate::config::{DeflateConfig, WebSocketConfig};
use crate::error::{Error, HandshakeError};
use crate::head::Head;
use crate::http::grammar::{has_token, is_token, is_word, list};
use crate::http::head::{HeadReader, Kind};
use crate::proto::deflate::negotiate::{self, Agreed};
use std::sync::Arc;

/// The server's side of a handshake under way.
#[derive(Debug)]
pub struct ServerHandshake {
    state: State,
    plain_requests: bool,
    /// What goes with a refusal, too, where there is anything.
    options: Option<Arc<HandshakeOptions>>,
    deflate: Option<DeflateConfig>,
    head: Head,
    protocol: Option<String>,
    agreed_deflate: Option<Agreed>,
    refusal: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Reading(HeadReader),
    /// A request waits for an answer.
    Deciding(Request),
    Accepted,
    /// With this status, or 0 where the stream ended.
    Refused(u16),
}

/// What a request leads to.
#[derive(Debug)]
enum Request {
    /// To a WebSocket, should it be accepted.
    Upgrade {
        key: [u8; 24],
        /// Permessage-deflate, and what to say about it.
        deflate: Option<(Agreed, String)>,
    },
    /// To none, for this reason, which this status says.
    Plain(u16, HandshakeError),
}

/// What is wrong with a request, and the status that says so.
type Fault = (u16, &'static str);

impl ServerHandshake {
    /// Waits for a request. Of the configuration counts `max_head_size`, `plain_requests`, and `deflate`, without which
    /// every offer of an extension is passed over.
    pub fn new(config: &WebSocketConfig) -> Self {
        Self {
            state: State::Reading(HeadReader::new(Kind::Request, config.max_head_size)),
            plain_requests: config.plain_requests,
            options: None,
            deflate: config.deflate,
            head: Head::default(),
            protocol: None,
            agreed_deflate: None,
            refusal: Vec::new(),
        }
    }

    /// Refuses what is not for WebSocket, whatever the configuration says: there is nobody to decide about it.
    pub fn without_plain_requests(mut self) -> Self {
        self.plain_requests = false;
        self
    }

    /// Sends these headers with its own refusals, too.
    pub fn with_headers(mut self, options: &Arc<HandshakeOptions>) -> Self {
        self.options = options.headers().next().map(|_| Arc::clone(options));
        self
    }

    /// See `Handshake::advance`. After an error, [`take_refusal`](Self::take_refusal) has
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
                    Err((status, why)) => self.judge_plain(status, why)?,
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
    /// the client offered, if any. Permessage-deflate is accepted as the configuration says. A request that is not for
    /// WebSocket cannot be accepted, and still waits.
    pub fn accept(
        &mut self,
        protocol: Option<&str>,
        options: &HandshakeOptions,
    ) -> Result<Acceptance, Error> {
        let (key, deflate) = match &self.state {
            State::Deciding(Request::Upgrade { key, deflate }) => (key, deflate),
            State::Deciding(Request::Plain(..)) => return Err(NO_UPGRADE),
            _ => return Err(NO_REQUEST),
        };
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

    /// Answers the request with a status from 200 to 599, the headers of `options` and a body, which is plain text
    /// unless a `Content-Type` is among the headers: the response to send, after which the stream is to be closed. HTTP
    /// sends no body with some statuses, nor to HEAD: then it has none.
    pub fn reject(&mut self, status: u16, options: &HandshakeOptions, body: &[u8]) -> Result<Vec<u8>, Error> {
        let State::Deciding(_) = &self.state else { return Err(NO_REQUEST) };
        if !matches!(status, 200..=599) {
            return Err(Error::InvalidArgument("the HTTP status of a rejection must be from 200 to 599"));
        }
        let answer = write_answer(status, self.head.method_bytes(), options, body)?;
        self.state = State::Refused(status);
        Ok(answer)
    }

    /// Refuses a request that waits and is not for WebSocket, as without `plain_requests`: the error is that of
    /// [`advance`](Self::advance).
    pub fn refuse_plain(&mut self) -> Result<(), Error> {
        match self.state {
            State::Deciding(Request::Plain(status, why)) => Err(self.refuse(status, why.into())),
            _ => Ok(()),
        }
    }

    /// Whether a request waits that would open a WebSocket.
    pub fn is_upgrade(&self) -> bool {
        matches!(self.state, State::Deciding(Request::Upgrade { .. }))
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

    /// What the request leads to as one for WebSocket, or what is wrong with it.
    #[inline(always)]
    fn judge(&self) -> Result<Request, (u16, HandshakeError)> {
        let key = check(&self.head).map_err(|(status, why)| (status, HandshakeError::Rule(why)))?;
        let offers = self.head.values_bytes("Sec-WebSocket-Extensions");
        let deflate = match &self.deflate {
            Some(config) => negotiate::respond(offers, config).map_err(|why| (400, why))?,
            None => None,
        };
        Ok(Request::Upgrade { key, deflate })
    }

    /// What becomes of a request that has this fault as one for WebSocket.
    #[cold]
    fn judge_plain(&mut self, status: u16, why: HandshakeError) -> Result<(), Error> {
        match self.plain_requests {
            false => Err(self.refuse(status, why.into())),
            true if has_body(&self.head) => Err(self.refuse(413, HandshakeError::Rule(HAS_BODY.1).into())),
            true => {
                self.state = State::Deciding(Request::Plain(status, why));
                Ok(())
            }
        }
    }

    fn has_offered(&self, name: &str) -> bool {
        self.offered_protocols().any(|offered| offered == name)
    }

    fn refuse(&mut self, status: u16, error: Error) -> Error {
        self.state = State::Refused(status);
        let body = format!("{error}\n");
        // The text is the library's, whatever type others have.
        let options = self.options.take().map(|options| options.without("Content-Type")).unwrap_or_default();
        // Without memory for it the stream just ends.
        let refusal = write_answer(status, self.head.method_bytes(), &options, body.as_bytes());
        self.refusal = refusal.unwrap_or_default();
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
const NO_REQUEST: Error = Error::Misuse("there is no request to answer");
const NO_UPGRADE: Error = Error::Misuse("the request is not a WebSocket upgrade: it can only be rejected");

/// Whether a request would open a WebSocket (RFC 6455 section 4.2.1).
#[cold] // seldom asked: the one place where requests are judged has the check for itself
pub fn is_upgrade(request: &Head) -> bool {
    check(request).is_ok()
}

/// Checks a request (RFC 6455 section 4.2.1); its key, or the first rule that it breaks. One pass over the headers.
#[inline(always)]
fn check(head: &Head) -> Result<[u8; 24], Fault> {
    if head.method_bytes() != b"GET" {
        return Err((405, "the method of the request is not GET"));
    }
    if head.minor_version() == 0 {
        return Err((400, "the request is HTTP/1.0, but 1.1 is required"));
    }
    let target = head.target_bytes();
    if !target.starts_with(b"/") && !target.windows(3).any(|part| part == b"://") {
        return Err((400, "the target of the request is not a path"));
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
            14 | 17 if announces_body(name, value) => return Err(HAS_BODY),
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
    checked_key(key).ok_or((400, "Sec-WebSocket-Key is not the base64 of 16 bytes"))
}

/// Whether a body comes behind this request, or something that one could take for it.
fn has_body(request: &Head) -> bool {
    request.headers_bytes().any(|(name, value)| announces_body(name, value))
}

#[inline]
fn announces_body(name: &[u8], value: &[u8]) -> bool {
    match name.len() {
        17 => is_word(name, b"transfer-encoding"),
        14 => is_word(name, b"content-length") && value != b"0",
        _ => false,
    }
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

#[cfg(test)]
mod tests;
