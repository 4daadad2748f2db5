//! What stands in for TLS in a build without it: the same names, and a refusal wherever one would be used. Nothing of
//! these types can exist but the options.

use crate::error::{Result, UrlError};
use crate::net::socket::Socket;
use std::io::{self, Read, Write};

/// What TLS would be configured with.
#[derive(Debug, Clone)]
pub struct TlsOptions {
    verify: bool,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self { verify: true }
    }
}

impl TlsOptions {
    /// Whether a client would check the server's certificate.
    pub fn verify(&self) -> bool {
        self.verify
    }

    /// Sets that.
    pub fn set_verify(&mut self, verify: bool) {
        self.verify = verify;
    }

    /// Refused: there is no TLS in this build.
    pub fn set_roots(&mut self, _pem: &[u8]) -> Result<()> {
        Err(UrlError::TlsUnsupported.into())
    }

    /// Refused: there is no TLS in this build.
    pub fn set_identity(&mut self, _chain: &[u8], _key: &[u8]) -> Result<()> {
        Err(UrlError::TlsUnsupported.into())
    }

    /// Refused: there is no TLS in this build.
    pub fn client(&self) -> Result<ClientTls> {
        Err(UrlError::TlsUnsupported.into())
    }

    /// Yes: the refusal takes no time.
    pub fn is_client_ready(&self) -> bool {
        true
    }

    /// Refused: there is no TLS in this build.
    pub fn server(&self) -> Result<ServerTls> {
        Err(UrlError::TlsUnsupported.into())
    }
}

/// Cannot be.
#[derive(Debug, Clone)]
pub enum ClientTls {}

impl ClientTls {
    /// Never called.
    pub fn over(&self, _host: &str, _socket: Socket) -> Result<Tls> {
        match *self {}
    }
}

/// Cannot be.
#[derive(Debug, Clone)]
pub enum ServerTls {}

impl ServerTls {
    /// Never called.
    pub fn over(&self, _socket: Socket) -> Result<Tls> {
        match *self {}
    }
}

/// Cannot be.
#[derive(Debug)]
pub enum Tls {}

impl Tls {
    /// Never called.
    pub fn socket(&self) -> &Socket {
        match *self {}
    }

    /// Never called.
    pub fn socket_mut(&mut self) -> &mut Socket {
        match *self {}
    }

    /// Never called.
    pub fn has_buffered_input(&self) -> bool {
        match *self {}
    }

    /// Never called.
    pub fn has_pending_output(&self) -> bool {
        match *self {}
    }

    /// Never called.
    pub fn is_handshaking(&self) -> bool {
        match *self {}
    }

    /// Never called.
    pub fn end(&mut self) {
        match *self {}
    }
}

impl Read for Tls {
    fn read(&mut self, _space: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }
}

impl Write for Tls {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    fn flush(&mut self) -> io::Result<()> {
        match *self {}
    }
}
