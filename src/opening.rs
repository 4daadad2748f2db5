//! The Rust face of the opening handshake: [`client`] and [`accept`], each of which can be resumed where the stream would
//! block. Knows streams and decisions; the rules are `proto::handshake`'s.

use crate::config::WebSocketConfig;
use crate::error::{Error, Result};
use crate::head::Head;
use crate::proto::connection::{Connection, Opening};
use crate::proto::handshake::{ClientHandshake, HandshakeOptions, ServerHandshake, Url};
use crate::websocket::WebSocket;
use std::fmt;
use std::io::{Read, Write};

/// Performs the client's opening handshake over a stream that is connected already.
pub fn client<Stream: Read + Write>(
    url: &str,
    stream: Stream,
) -> Result<WebSocket<Stream>, HandshakeFailure<Stream>> {
    client_with(url, &HandshakeOptions::default(), stream, None)
}

/// [`client`], with headers, subprotocols and a configuration.
pub fn client_with<Stream: Read + Write>(
    url: &str,
    options: &HandshakeOptions,
    stream: Stream,
    config: Option<WebSocketConfig>,
) -> Result<WebSocket<Stream>, HandshakeFailure<Stream>> {
    let config = WebSocketConfig::shared(config);
    let url = Url::parse(url).map_err(Error::from)?;
    let (handshake, request) = ClientHandshake::new(&url, options, &config)?;
    let connection = Connection::client(config, handshake, &request)?;
    MidHandshake::new(WebSocket::over(stream, connection), None).handshake()
}

/// Performs the server's opening handshake over an accepted stream, and takes every valid request.
pub fn accept<Stream: Read + Write>(stream: Stream) -> Result<WebSocket<Stream>, HandshakeFailure<Stream>> {
    accept_with(stream, None, |_| Decision::accept())
}

/// [`accept`], with a configuration and a callback that sees the request and decides. With
/// [`plain_requests`](WebSocketConfig::plain_requests) that may be one that is not for WebSocket, which can only be rejected:
/// to accept it refuses it as without.
pub fn accept_with<Stream: Read + Write>(
    stream: Stream,
    config: Option<WebSocketConfig>,
    decide: impl FnOnce(&Head) -> Decision + Send + 'static,
) -> Result<WebSocket<Stream>, HandshakeFailure<Stream>> {
    let config = WebSocketConfig::shared(config);
    let handshake = ServerHandshake::new(&config);
    let socket = WebSocket::over(stream, Connection::server(config, handshake));
    MidHandshake::new(socket, Some(Box::new(decide))).handshake()
}

/// What a server makes of a request.
#[derive(Debug, Clone)]
pub enum Decision {
    /// Take it.
    Accept {
        /// One of the subprotocols that the client offers; without one, the first of `options` that it offers.
        protocol: Option<String>,
        /// Headers and subprotocols of the response.
        options: HandshakeOptions,
    },
    /// Answer it with a status, and end the connection.
    Reject {
        /// From 200 to 599.
        status: u16,
        /// Headers of the response.
        options: HandshakeOptions,
        /// Body of the response: plain text, unless a header says otherwise.
        body: Vec<u8>,
    },
}

impl Decision {
    /// Take it as it is, without a subprotocol.
    pub fn accept() -> Self {
        Self::Accept { protocol: None, options: HandshakeOptions::default() }
    }

    /// Answer it with a status and a text.
    pub fn reject(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Reject { status, options: HandshakeOptions::default(), body: body.into() }
    }
}

/// An opening handshake that did not come to its end.
#[derive(Debug)]
pub enum HandshakeFailure<Stream> {
    /// The stream would block: go on later with [`MidHandshake::handshake`].
    Interrupted(Box<MidHandshake<Stream>>),
    /// It failed.
    Failure(Error),
}

impl<Stream> From<Error> for HandshakeFailure<Stream> {
    fn from(error: Error) -> Self {
        Self::Failure(error)
    }
}

impl<Stream> From<HandshakeFailure<Stream>> for Error {
    fn from(failure: HandshakeFailure<Stream>) -> Self {
        match failure {
            HandshakeFailure::Interrupted(_) => std::io::Error::from(std::io::ErrorKind::WouldBlock).into(),
            HandshakeFailure::Failure(error) => error,
        }
    }
}

impl<Stream> fmt::Display for HandshakeFailure<Stream> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted(_) => {
                f.write_str("the stream would block in the middle of the opening handshake")
            }
            Self::Failure(error) => error.fmt(f),
        }
    }
}

impl<Stream: fmt::Debug> std::error::Error for HandshakeFailure<Stream> {}

type Decide = Box<dyn FnOnce(&Head) -> Decision + Send>;

/// An opening handshake under way.
pub struct MidHandshake<Stream> {
    socket: WebSocket<Stream>,
    decide: Option<Decide>,
    /// Why it failed, while the answer that says so to the peer is still being sent.
    failed: Option<Error>,
}

impl<Stream> MidHandshake<Stream> {
    fn new(socket: WebSocket<Stream>, decide: Option<Decide>) -> Self {
        Self { socket, decide, failed: None }
    }

    /// The stream.
    pub fn get_ref(&self) -> &Stream {
        self.socket.get_ref()
    }

    /// The stream.
    pub fn get_mut(&mut self) -> &mut Stream {
        self.socket.get_mut()
    }

    /// See [`WebSocket::tick`].
    pub fn tick(&mut self, now_ms: u64) -> Result<()> {
        self.socket.tick(now_ms)
    }
}

impl<Stream: Read + Write> MidHandshake<Stream> {
    /// Goes on with the handshake.
    pub fn handshake(mut self) -> Result<WebSocket<Stream>, HandshakeFailure<Stream>> {
        while self.failed.is_none() {
            match self.socket.handshake() {
                Ok(Opening::Open) => return Ok(self.socket),
                Ok(Opening::Request | Opening::NeedsBytes) => self.failed = self.decide().err(),
                Err(error) if error.is_would_block() => {
                    return Err(HandshakeFailure::Interrupted(Box::new(self)));
                }
                Err(error) => self.failed = Some(error),
            }
        }
        match self.socket.flush() {
            Err(error) if error.is_would_block() && self.socket.connection_mut().poll_end().is_ok() => {
                Err(HandshakeFailure::Interrupted(Box::new(self)))
            }
            _ => Err(self.failed.take().unwrap_or(Error::AlreadyClosed).into()),
        }
    }

    fn decide(&mut self) -> Result<()> {
        let decision = match (self.decide.take(), self.socket.head()) {
            (Some(decide), Some(head)) => decide(head),
            _ => Decision::accept(),
        };
        match decision {
            Decision::Accept { protocol, options } => {
                self.socket.connection_mut().refuse_plain()?;
                self.socket.accept(protocol.as_deref(), &options)
            }
            Decision::Reject { status, options, body } => {
                self.socket.connection_mut().reject(status, &options, &body)?;
                Err(crate::error::HandshakeError::Refused(status).into())
            }
        }
    }
}

impl<Stream: fmt::Debug> fmt::Debug for MidHandshake<Stream> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MidHandshake").field("socket", &self.socket).finish_non_exhaustive()
    }
}
