//! The client's side of the opening handshake (RFC 6455 section 4.1): writes the request and judges the response.
//! Does not know how either travels, and follows no redirect: a refusal goes to the caller as it is.

use super::key::{accept_key, generate_key};
use super::options::{HandshakeOptions, write_header};
use super::url::Url;
use super::{Opened, Progress};
use crate::config::{DeflateConfig, WebSocketConfig};
use crate::error::{Error, HandshakeError};
use crate::head::Head;
use crate::http::body::BodyReader;
use crate::http::grammar::has_token;
use crate::http::head::{HeadReader, Kind};
use crate::proto::deflate::negotiate::{self, Agreed};

/// The client's side of a handshake under way.
#[derive(Debug)]
pub struct ClientHandshake {
    state: State,
    /// What `max_head_size` leaves: interim responses use up some of it.
    max_head_size: usize,
    accept: [u8; 28],
    offered: Vec<String>,
    offered_deflate: Option<DeflateConfig>,
    head: Head,
    protocol: Option<String>,
    agreed_deflate: Option<Agreed>,
}

/// What a 101 agrees to.
type Verdict = (Option<String>, Option<Agreed>);

#[derive(Debug)]
enum State {
    ReadingHead(HeadReader),
    /// The server refused; the head is there and its body arrives.
    ReadingBody(BodyReader),
    Done,
    Failed,
}

impl ClientHandshake {
    /// A handshake for this URL, and the request to send. Of the configuration counts `max_head_size`, for head and body
    /// of the response each, and `deflate`, which is offered if it is there.
    pub fn new(
        url: &Url,
        options: &HandshakeOptions,
        config: &WebSocketConfig,
    ) -> Result<(Self, Vec<u8>), Error> {
        let key = generate_key()?;
        let WebSocketConfig { max_head_size, deflate, .. } = *config;
        let handshake = Self {
            state: State::ReadingHead(HeadReader::new(Kind::Response, max_head_size)),
            max_head_size,
            accept: accept_key(&key),
            offered: options.protocols().to_vec(),
            offered_deflate: deflate,
            head: Head::default(),
            protocol: None,
            agreed_deflate: None,
        };
        let extensions = deflate.as_ref().map(negotiate::offer).unwrap_or_default();
        Ok((handshake, write_request(url, options, &extensions, &key)))
    }

    /// See `Handshake::advance`. A response that is not a 101 ends in [`Error::Http`],
    /// once its body is there or as much of it as is kept.
    pub fn advance(&mut self, received: &[u8], eof: bool) -> Result<(Progress, usize), Error> {
        let result = self.step(received, eof);
        if result.is_err() {
            self.state = State::Failed;
        }
        result
    }

    /// The refusal with the body read so far, where one is being read: a better answer than the deadline or the
    /// stream's error that cut it short. Ends the handshake.
    pub fn take_refusal(&mut self) -> Option<Error> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::ReadingBody(body) => Some(self.refusal(body)),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// The head of the response; empty while it has not arrived.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The subprotocol that the server chose.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// What permessage-deflate the server agreed to.
    pub fn agreed_deflate(&self) -> Option<Agreed> {
        self.agreed_deflate
    }

    /// The head of the response, and what was agreed upon.
    pub fn take_opened(&mut self) -> Opened {
        Opened {
            head: std::mem::take(&mut self.head),
            protocol: self.protocol.take(),
            deflate: self.agreed_deflate,
        }
    }

    fn step(&mut self, received: &[u8], eof: bool) -> Result<(Progress, usize), Error> {
        let mut consumed = 0;
        loop {
            let rest = &received[consumed..];
            match &mut self.state {
                State::ReadingHead(reader) => {
                    // Kept even if it breaks a rule: the caller may want to see what the server said.
                    let Some(length) = reader.read(rest, &mut self.head)? else {
                        return if eof {
                            Err(HandshakeError::Incomplete.into())
                        } else {
                            Ok((Progress::NeedMore, consumed))
                        };
                    };
                    consumed += length;
                    self.judge(length)?;
                }
                State::ReadingBody(body) => {
                    let (taken, is_complete) = body.read(rest);
                    if !is_complete && !eof {
                        return Ok((Progress::NeedMore, consumed + taken));
                    }
                    return Err(self.take_refusal().unwrap_or(Error::AlreadyClosed));
                }
                State::Done => return Ok((Progress::Done, consumed)),
                State::Failed => return Err(Error::Misuse("the opening handshake has already failed")),
            }
        }
    }

    /// Goes on as the head says, which was so many bytes long.
    fn judge(&mut self, length: usize) -> Result<(), Error> {
        let head = &self.head;
        let verdict = if head.status() == 101 { self.verify(head) } else { Ok((None, None)) };
        self.state = match head.status() {
            101 => State::Done,
            // An interim response (RFC 9110 section 15.2): the real one follows. All heads together keep to the limit.
            100..=199 => {
                self.max_head_size = self.max_head_size.saturating_sub(length);
                State::ReadingHead(HeadReader::new(Kind::Response, self.max_head_size))
            }
            _ => State::ReadingBody(BodyReader::new(head, self.max_head_size)),
        };
        (self.protocol, self.agreed_deflate) = verdict?;
        Ok(())
    }

    /// Checks a 101 (RFC 6455 section 4.1, the second list): what it agrees to, or what is wrong with it.
    fn verify(&self, head: &Head) -> Result<Verdict, HandshakeError> {
        self.verify_upgrade(head).map_err(HandshakeError::Rule)?;
        let extensions = head.values_bytes("Sec-WebSocket-Extensions");
        let deflate = negotiate::verify(extensions, self.offered_deflate.as_ref())?;
        Ok((self.verify_protocol(head).map_err(HandshakeError::Rule)?, deflate))
    }

    fn verify_upgrade(&self, head: &Head) -> Result<(), &'static str> {
        if head.minor_version() == 0 {
            return Err("the response is HTTP/1.0, but 1.1 is required");
        }
        if !head.values_bytes("Upgrade").any(|value| has_token(value, b"websocket")) {
            return Err("the response has no \"Upgrade: websocket\"");
        }
        if !head.values_bytes("Connection").any(|value| has_token(value, b"upgrade")) {
            return Err("the response has no \"Connection: Upgrade\"");
        }
        let mut accepts = head.values_bytes("Sec-WebSocket-Accept");
        match (accepts.next(), accepts.next()) {
            (None, _) => Err("the response has no Sec-WebSocket-Accept"),
            (_, Some(_)) => Err("the response has more than one Sec-WebSocket-Accept"),
            (Some(accept), None) if accept != self.accept => {
                Err("Sec-WebSocket-Accept does not match the key that was sent")
            }
            _ => Ok(()),
        }
    }

    fn verify_protocol(&self, head: &Head) -> Result<Option<String>, &'static str> {
        // Some servers send an empty one where they choose none.
        let mut protocols =
            head.values_bytes("Sec-WebSocket-Protocol").filter(|protocol| !protocol.is_empty());
        match (protocols.next(), protocols.next()) {
            (None, _) => Ok(None),
            (_, Some(_)) => Err("the response has more than one Sec-WebSocket-Protocol"),
            (Some(chosen), None) => {
                let offered = self.offered.iter().find(|offered| offered.as_bytes() == chosen);
                offered.cloned().map(Some).ok_or("the response selects a subprotocol that was not offered")
            }
        }
    }

    fn refusal(&mut self, body: BodyReader) -> Error {
        let mut head = std::mem::take(&mut self.head);
        head.set_body(body.into_body());
        Error::Http(Box::new(head))
    }
}

fn write_request(url: &Url, options: &HandshakeOptions, extensions: &str, key: &[u8; 24]) -> Vec<u8> {
    let host = options.header("Host").unwrap_or(url.authority());
    let protocols = options.protocols().join(", ");
    let length =
        224 + url.target().len() + host.len() + protocols.len() + extensions.len() + options.headers_len();
    let mut request = Vec::with_capacity(length);
    request.extend_from_slice(b"GET ");
    request.extend_from_slice(url.target().as_bytes());
    request.extend_from_slice(b" HTTP/1.1\r\n");
    write_header(&mut request, "Host", host.as_bytes());
    write_header(&mut request, "Upgrade", b"websocket");
    write_header(&mut request, "Connection", b"Upgrade");
    write_header(&mut request, "Sec-WebSocket-Version", b"13");
    write_header(&mut request, "Sec-WebSocket-Key", key);
    if !protocols.is_empty() {
        write_header(&mut request, "Sec-WebSocket-Protocol", protocols.as_bytes());
    }
    if !extensions.is_empty() {
        write_header(&mut request, "Sec-WebSocket-Extensions", extensions.as_bytes());
    }
    for (name, value) in options.headers().filter(|(name, _)| !name.eq_ignore_ascii_case("Host")) {
        write_header(&mut request, name, value.as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    request
}

#[cfg(test)]
mod tests;
