//! The opening handshake of the Rust API: [`client`] and [`accept`]. Each can be resumed if the stream would
//! block. Knows streams and decisions; the rules are in `proto::handshake`.

use crate::config::WebSocketConfig;
use crate::error::{Error, Result};
use crate::head::Head;
use crate::proto::connection::{Connection, Opening};
use crate::proto::handshake::{ClientHandshake, HandshakeOptions, ServerHandshake, Url};
use crate::websocket::WebSocket;
use std::fmt;
use std::io::{Read, Write};

/// Performs the client's opening handshake over a connected stream.
///
/// # Errors
/// [`HandshakeFailure::Interrupted`] if the stream would block, else [`HandshakeFailure::Failure`].
pub fn client<Stream: Read + Write>(
    url: &str,
    stream: Stream,
) -> Result<WebSocket<Stream>, HandshakeFailure<Stream>> {
    client_with(url, &HandshakeOptions::default(), stream, None)
}

/// Like [`client`], with headers, subprotocols and a configuration.
///
/// # Errors
/// Those of [`client`].
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

/// Performs the server's opening handshake over an accepted stream, accepting every valid request.
///
/// # Errors
/// [`HandshakeFailure::Interrupted`] if the stream would block, else [`HandshakeFailure::Failure`].
pub fn accept<Stream: Read + Write>(stream: Stream) -> Result<WebSocket<Stream>, HandshakeFailure<Stream>> {
    accept_with(stream, None, |_| Decision::accept())
}

/// Like [`accept`], with a configuration and a callback that receives the request and decides. With
/// [`plain_requests`](WebSocketConfig::plain_requests), the request may be one that is not for WebSocket.
/// Such a request can only be rejected: accepting it answers it with the same refusal as without that
/// option.
///
/// # Errors
/// Those of [`accept`].
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

/// How a server answers a request.
#[derive(Debug, Clone)]
pub enum Decision {
    /// Accept the request.
    Accept {
        /// One of the subprotocols that the client offered; `None` selects the first of `options` that was offered.
        protocol: Option<String>,
        /// Headers and subprotocols of the response.
        options: HandshakeOptions,
    },
    /// Answer the request with an HTTP status and end the connection.
    Reject {
        /// From 200 to 599.
        status: u16,
        /// Headers of the response.
        options: HandshakeOptions,
        /// Body of the response: text/plain unless a header says otherwise.
        body: Vec<u8>,
    },
}

impl Decision {
    /// Accepts the request without a subprotocol and without more headers.
    pub fn accept() -> Self {
        Self::Accept { protocol: None, options: HandshakeOptions::default() }
    }

    /// Rejects the request with an HTTP status and a text.
    pub fn reject(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Reject { status, options: HandshakeOptions::default(), body: body.into() }
    }
}

/// An opening handshake that is not complete.
#[derive(Debug)]
pub enum HandshakeFailure<Stream> {
    /// The stream would block: continue later with [`MidHandshake::handshake`].
    Interrupted(Box<MidHandshake<Stream>>),
    /// The handshake failed.
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

/// An opening handshake in progress.
pub struct MidHandshake<Stream> {
    socket: WebSocket<Stream>,
    decide: Option<Decide>,
    /// Why it failed, while the response to the peer is still being sent.
    failed: Option<Error>,
}

impl<Stream> MidHandshake<Stream> {
    fn new(socket: WebSocket<Stream>, decide: Option<Decide>) -> Self {
        Self { socket, decide, failed: None }
    }

    /// Returns the stream.
    pub fn get_ref(&self) -> &Stream {
        self.socket.get_ref()
    }

    /// Returns the stream.
    pub fn get_mut(&mut self) -> &mut Stream {
        self.socket.get_mut()
    }

    /// See [`WebSocket::tick`].
    pub fn tick(&mut self, now_ms: u64) -> Result<()> {
        self.socket.tick(now_ms)
    }
}

impl<Stream: Read + Write> MidHandshake<Stream> {
    /// Continues the handshake.
    ///
    /// # Errors
    /// [`HandshakeFailure::Interrupted`] if the stream would block, else [`HandshakeFailure::Failure`].
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
