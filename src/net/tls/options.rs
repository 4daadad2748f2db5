//! What TLS is configured with, and the sessions that are made of it. Knows certificates and keys as they come; who is believed
//! is `verify`'s.

use super::describe::Side;
use super::session::{NoIdentity, Tls};
use super::verify::{self, Roots};
use crate::error::{Error, Result, TlsError};
use crate::net::socket::Socket;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::sync::{Arc, OnceLock};

/// The name of what travels inside (ALPN).
pub(super) const HTTP: &[u8] = b"http/1.1";

/// What TLS is configured with. Clones share what has been made of it, until one of them is changed.
#[derive(Debug, Clone)]
pub struct TlsOptions {
    verify: bool,
    pub(super) roots: Option<Arc<Roots>>,
    pub(super) identity: Option<Arc<SingleCertAndKey>>,
    client: Arc<OnceLock<ClientTls>>,
    server: Arc<OnceLock<ServerTls>>,
}

impl Default for TlsOptions {
    /// The server is checked, with the roots of the system; no certificate of our own.
    fn default() -> Self {
        Self { verify: true, roots: None, identity: None, client: Arc::default(), server: Arc::default() }
    }
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
    /// these vouch for. `InvalidArgument`: there is none in it, or a malformed one.
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
pub struct ClientTls(pub(super) Arc<ClientConfig>);

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

/// The server's side of TLS.
#[derive(Debug, Clone)]
pub struct ServerTls(pub(super) Arc<ServerConfig>);

impl ServerTls {
    /// Begins a session over this socket.
    pub fn over(&self, socket: Socket) -> Result<Tls> {
        let session = ServerConnection::new(Arc::clone(&self.0)).map_err(cannot_begin)?;
        Ok(Tls::new(session.into(), Side::Server, socket))
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
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn cannot_begin(error: rustls::Error) -> Error {
    match error {
        // It is a sentence already.
        rustls::Error::General(error) => TlsError::new(format!("TLS cannot start: {error}")).into(),
        error => TlsError::new(format!("TLS cannot start: {error}")).into(),
    }
}
