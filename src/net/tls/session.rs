//! A TLS session over a socket: the handshake, records in both directions. Knows no configuration.

use super::describe::{self, Progress, Side};
use crate::error::{Error, TlsError};
use crate::net::socket::Socket;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::{Connection, ProtocolVersion, SignatureScheme};
use std::cell::Cell;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

/// Most plaintext that is taken before what it became has left.
pub(super) const OUTPUT_LIMIT: usize = 64 << 10;

/// Most times that one call goes to the socket without finding anything for its caller. No handshake comes near; a
/// peer that sends nothing but key updates and tickets does.
const MAX_ROUNDS: usize = 256;

/// A TLS session over a socket that does not block.
///
/// The end of the stream is the end, with a close_notify or without: WebSocket has a closing handshake of its own, so a
/// stream that was cut short shows there.
#[derive(Debug)]
pub struct Tls {
    pub(super) session: Box<Connection>,
    side: Side,
    socket: Socket,
    /// Decrypted bytes that wait to be read.
    plaintext: usize,
    /// The peer sends nothing more.
    ended: bool,
    /// The server has asked for a certificate, and there was none to show.
    lacks_certificate: bool,
    pub(super) failure: Option<TlsError>,
}

impl Tls {
    pub(super) fn new(mut session: Connection, side: Side, socket: Socket) -> Self {
        session.set_buffer_limit(Some(OUTPUT_LIMIT));
        Self {
            session: Box::new(session),
            side,
            socket,
            plaintext: 0,
            ended: false,
            lacks_certificate: false,
            failure: None,
        }
    }

    /// The socket beneath.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The socket beneath.
    pub fn socket_mut(&mut self) -> &mut Socket {
        &mut self.socket
    }

    /// Whether a read has something to say (bytes, the end, a failure) that waiting for the socket would not show.
    pub fn has_buffered_input(&self) -> bool {
        self.plaintext > 0 || self.ended || self.failure.is_some()
    }

    /// Whether something waits for room in the socket. Plaintext written during the TLS handshake is not counted: it
    /// waits for the peer.
    pub fn has_pending_output(&self) -> bool {
        self.session.wants_write()
    }

    /// Whether the TLS handshake is still going on.
    pub fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    /// Ends the stream for the peer: says so in TLS, sends what the socket takes, and ends the socket.
    pub fn end(&mut self) {
        if !self.socket.can_end() {
            return;
        }
        if self.failure.is_none() {
            self.session.send_close_notify();
        }
        // Whoever is gone need not be told.
        let _ = self.push();
        self.socket.end();
    }

    /// Sends what the socket takes.
    fn push(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends what the socket takes. Where the peer is gone, its last words say why, if it had any.
    fn push_or_why(&mut self) -> io::Result<()> {
        self.push().map_err(|error| {
            for _ in 0..MAX_ROUNDS {
                if self.has_buffered_input() || self.receive().is_err() {
                    break;
                }
            }
            match &self.failure {
                Some(failure) => io::Error::other(Error::from(failure.clone())),
                None => error,
            }
        })
    }

    /// Takes records off the socket, once, and works them.
    fn receive(&mut self) -> io::Result<()> {
        let n = self.session.read_tls(&mut self.socket)?;
        let was_open = !self.is_handshaking();
        CERTIFICATE_LACKED.set(false);
        let processed = self.session.process_new_packets();
        self.lacks_certificate |= CERTIFICATE_LACKED.get();
        match processed {
            Ok(state) => {
                self.plaintext = state.plaintext_bytes_to_read();
                self.ended |= n == 0 || state.peer_has_closed();
                Ok(())
            }
            Err(error) => {
                // The peer learns the reason by an alert, if it still listens.
                let _ = self.push();
                let version = self.session.protocol_version();
                let progress = Progress {
                    side: self.side,
                    heard: version.is_some(),
                    may_renegotiate: was_open && version == Some(ProtocolVersion::TLSv1_2),
                    lacks_certificate: self.lacks_certificate,
                };
                self.failure = Some(TlsError::new(describe::sentence(&error, progress)));
                self.check()
            }
        }
    }

    /// A session that has failed stays so.
    fn check(&self) -> io::Result<()> {
        match &self.failure {
            Some(failure) => Err(io::Error::other(Error::from(failure.clone()))),
            None => Ok(()),
        }
    }

    /// Takes the TLS handshake as far as the socket lets it.
    fn shake_hands(&mut self) -> io::Result<()> {
        for _ in 0..MAX_ROUNDS {
            self.push_or_why()?;
            if self.ended || !self.is_handshaking() {
                break;
            }
            match self.receive() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                other => other?,
            }
        }
        self.push_or_why()
    }

    /// Decrypted bytes, as far as there are any.
    fn take(&mut self, space: &mut [u8]) -> usize {
        // An error is "none now", or an end without close_notify, which `ended` knows.
        let n = self.session.reader().read(space).unwrap_or(0);
        self.plaintext = self.plaintext.saturating_sub(n);
        n
    }
}

impl Read for Tls {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        // A peer that takes nothing more may still have something to say: what cannot be sent is told by a write.
        let _ = self.push();
        for _ in 0..MAX_ROUNDS {
            let n = self.take(space);
            if n > 0 || space.is_empty() {
                return Ok(n);
            }
            // What came before a failure, or before the end, has been read now.
            self.check()?;
            if self.ended {
                return Ok(0);
            }
            match self.receive() {
                Err(error) if self.failure.is_none() => return Err(error),
                _ => {}
            }
            let _ = self.push();
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Write for Tls {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.check()?;
        if self.is_handshaking() {
            self.shake_hands()?;
        }
        self.flush()?;
        match self.session.writer().write_vectored(slices)? {
            0 if slices.iter().any(|slice| !slice.is_empty()) => Err(io::ErrorKind::WouldBlock.into()),
            n => {
                self.push_or_why()?;
                Ok(n)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.check()?;
        self.push_or_why()?;
        match self.session.wants_write() {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => Ok(()),
        }
    }
}

/// Stands in for a client's certificate where none is set, and notes that one was asked for. One of them serves all sessions of
/// a configuration, for sessions are resumed by it; so what it notes is the thread's, and [`Tls::receive`] takes it from there.
#[derive(Debug)]
pub(super) struct NoIdentity;

thread_local! {
    /// A session that this thread is processing has been asked for a certificate, and has none.
    static CERTIFICATE_LACKED: Cell<bool> = const { Cell::new(false) };
}

impl ResolvesClientCert for NoIdentity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        CERTIFICATE_LACKED.set(true);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
