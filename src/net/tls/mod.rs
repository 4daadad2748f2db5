//! TLS over a socket: what it is configured with, the handshake, records in both directions.
//!
//! Knows rustls and sockets. Must not know what travels inside, C, or who waits for what: nothing here blocks, and the
//! TLS handshake runs within reads and writes. `verify` decides about certificates; `describe` says in a sentence why a
//! session failed. A build without the feature `tls` has `none.rs` in this place, with the same names.

mod describe;
mod verify;

#[cfg(test)]
mod tests;

use crate::error::{Error, Result, TlsError};
use crate::net::socket::Socket;
use describe::{Progress, Side};
use rustls::client::ResolvesClientCert;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, Connection, ProtocolVersion, RootCertStore, ServerConfig,
    ServerConnection, SignatureScheme,
};
use std::cell::Cell;
use std::io::{self, IoSlice, Read, Write};
use std::sync::{Arc, OnceLock};

/// Most plaintext that is taken before what it became has left.
const OUTPUT_LIMIT: usize = 64 << 10;

/// Most times that one call goes to the socket without finding anything for its caller. No handshake comes near; a
/// peer that sends nothing but key updates and tickets does.
const MAX_ROUNDS: usize = 256;

/// The name of what travels inside (ALPN).
const HTTP: &[u8] = b"http/1.1";

/// What TLS is configured with. Clones share what has been made of it, until one of them is changed.
#[derive(Debug, Clone)]
pub struct TlsOptions {
    verify: bool,
    roots: Option<Arc<Roots>>,
    identity: Option<Arc<SingleCertAndKey>>,
    client: Arc<OnceLock<ClientTls>>,
    server: Arc<OnceLock<ServerTls>>,
}

impl Default for TlsOptions {
    /// The server is checked, with the roots of the system; no certificate of our own.
    fn default() -> Self {
        Self { verify: true, roots: None, identity: None, client: Arc::default(), server: Arc::default() }
    }
}

/// Certificates to trust: as they came, and as trust anchors.
#[derive(Debug)]
struct Roots {
    pinned: Vec<CertificateDer<'static>>,
    store: Arc<RootCertStore>,
}

impl TlsOptions {
    /// Whether a client checks the server's certificate.
    pub fn verify(&self) -> bool {
        self.verify
    }

    /// Sets whether a client checks the server's certificate. Off, the server still proves that it has the key to the
    /// certificate that it shows, whosever that is. Without meaning for a server.
    pub fn set_verify(&mut self, verify: bool) {
        self.verify = verify;
        self.changed();
    }

    /// Sets the certificates to trust instead of the system's (PEM). A server asks its clients for a certificate that
    /// these vouch for. `InvalidArgument`: it contains none, or a malformed one.
    pub fn set_roots(&mut self, pem: &[u8]) -> Result<()> {
        let pinned = certificates(pem)?;
        let mut store = RootCertStore::empty();
        for certificate in &pinned {
            store.add(certificate.clone()).map_err(|_| MALFORMED_CERTIFICATE)?;
        }
        self.roots = Some(Arc::new(Roots { pinned, store: Arc::new(store) }));
        self.changed();
        Ok(())
    }

    /// Sets the certificate to show: its chain, its own first, and its key (PKCS#8, PKCS#1 or SEC1), all PEM.
    /// `InvalidArgument`: something is missing or malformed, or the key does not match the certificate.
    pub fn set_identity(&mut self, chain: &[u8], key: &[u8]) -> Result<()> {
        let chain = certificates(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
            Error::InvalidArgument("the PEM contains no private key (PKCS#8, PKCS#1 or SEC1, not encrypted)")
        })?;
        let identity = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                Error::InvalidArgument("the private key does not match the certificate")
            }
            rustls::Error::InvalidCertificate(_) => MALFORMED_CERTIFICATE,
            _ => Error::InvalidArgument("the private key is malformed or of an unsupported type"),
        })?;
        self.identity = Some(Arc::new(identity.into()));
        self.changed();
        Ok(())
    }

    /// A client's part, ready for use. Slow the first time: it may read the roots of the system.
    pub fn client(&self) -> Result<ClientTls> {
        match self.client.get() {
            Some(client) => Ok(client.clone()),
            None => {
                let client = self.new_client().map_err(cannot_begin)?;
                Ok(self.client.get_or_init(|| client).clone())
            }
        }
    }

    /// Whether [`client`](Self::client) is quick now.
    pub fn is_client_ready(&self) -> bool {
        self.client.get().is_some()
    }

    /// A server's part, ready for use. It needs an identity.
    pub fn server(&self) -> Result<ServerTls> {
        match self.server.get() {
            Some(server) => Ok(server.clone()),
            None => {
                let server = self.new_server()?;
                Ok(self.server.get_or_init(|| server).clone())
            }
        }
    }

    fn new_client(&self) -> Result<ClientTls, rustls::Error> {
        let verifier = verify::servers(self.verify, self.roots.as_deref(), provider())?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &self.identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::clone(identity) as _),
            None => builder.with_client_cert_resolver(Arc::new(NoIdentity)),
        };
        config.alpn_protocols = vec![HTTP.to_vec()];
        Ok(ClientTls(Arc::new(config)))
    }

    fn new_server(&self) -> Result<ServerTls> {
        let Some(identity) = &self.identity else {
            return Err(TlsError::new("a wss:// listener needs a certificate and its private key").into());
        };
        let verifier = verify::clients(self.roots.as_deref(), provider())?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(cannot_begin)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(identity) as _);
        config.alpn_protocols = vec![HTTP.to_vec()];
        Ok(ServerTls(Arc::new(config)))
    }

    /// What was made of the options before does not hold any more, here; elsewhere it does.
    fn changed(&mut self) {
        self.client = Arc::default();
        self.server = Arc::default();
    }
}

/// The client's side of TLS.
#[derive(Debug, Clone)]
pub struct ClientTls(Arc<ClientConfig>);

impl ClientTls {
    /// Begins a session over this socket with the server of this name, or address (IPv6 without brackets).
    pub fn over(&self, host: &str, socket: Socket) -> Result<Tls> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            TlsError::new("no certificate can match this host: it is not a valid name or address")
        })?;
        let session = ClientConnection::new(Arc::clone(&self.0), name).map_err(cannot_begin)?;
        Ok(Tls::new(session.into(), Side::Client, socket))
    }
}

/// Stands in for a client's certificate where none is set, and notes that one was asked for. One of them serves all sessions of
/// a configuration, for sessions are resumed by it; so what it notes is the thread's, and [`Tls::receive`] takes it from there.
#[derive(Debug)]
struct NoIdentity;

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

/// The server's side of TLS.
#[derive(Debug, Clone)]
pub struct ServerTls(Arc<ServerConfig>);

impl ServerTls {
    /// Begins a session over this socket.
    pub fn over(&self, socket: Socket) -> Result<Tls> {
        let session = ServerConnection::new(Arc::clone(&self.0)).map_err(cannot_begin)?;
        Ok(Tls::new(session.into(), Side::Server, socket))
    }
}

/// A TLS session over a socket that does not block.
///
/// The end of the stream is the end, with a close_notify or without: WebSocket has a closing handshake of its own, so a
/// stream that was cut short shows there.
#[derive(Debug)]
pub struct Tls {
    session: Box<Connection>,
    side: Side,
    socket: Socket,
    /// Decrypted bytes that wait to be read.
    plaintext: usize,
    /// The peer sends nothing more.
    ended: bool,
    /// The server has asked for a certificate, and there was none to show.
    lacks_certificate: bool,
    failure: Option<TlsError>,
}

impl Tls {
    fn new(mut session: Connection, side: Side, socket: Socket) -> Self {
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

const MALFORMED_CERTIFICATE: Error = Error::InvalidArgument("a certificate is malformed");

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| Error::InvalidArgument("the PEM is malformed"))?;
    match certificates.is_empty() {
        true => Err(Error::InvalidArgument("the PEM contains no certificate")),
        false => Ok(certificates),
    }
}

/// Handed to everything that needs one, and never installed: the process may have another in use. Cheap to make; a
/// static one would outlive a library that is unloaded.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn cannot_begin(error: rustls::Error) -> Error {
    TlsError::new(format!("TLS cannot start: {error}")).into()
}
