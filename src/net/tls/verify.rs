//! Whom to believe: the verifiers of certificates, around those of rustls and of the system.
//!
//! Two things are added to them. A certificate that is itself among the roots is taken, as people pin the self-signed
//! certificate of a server; and a self-signed one is told apart from one of a stranger's authority. Must not know
//! sockets or sessions.

use crate::error::{Error, TlsError};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error as RustlsError, OtherError,
    RootCertStore, SignatureScheme,
};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Certificates to trust: as they came, and as trust anchors.
#[derive(Debug)]
pub(super) struct Roots {
    pub(super) pinned: Vec<CertificateDer<'static>>,
    pub(super) store: Arc<RootCertStore>,
}

/// A client's verifier: of the system, of these roots, or of nothing.
pub(super) fn servers(
    verify: bool,
    roots: Option<&Roots>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, RustlsError> {
    if !verify {
        return Ok(Arc::new(Anybody(provider)));
    }
    let Some(roots) = roots else {
        return Ok(Arc::new(Servers { inner: system(provider)?, pinned: Vec::new() }));
    };
    let inner = from_roots(Arc::clone(&roots.store), provider)?;
    Ok(Arc::new(Servers { inner, pinned: roots.pinned.clone() }))
}

pub(super) fn from_roots(
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, RustlsError> {
    WebPkiServerVerifier::builder_with_provider(roots, provider)
        .build()
        .map_err(|error| RustlsError::General(error.to_string()))
}

/// A server's verifier: with roots, clients need a certificate.
pub(super) fn clients(
    roots: Option<&Roots>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let Some(roots) = roots else { return Ok(WebPkiClientVerifier::no_client_auth()) };
    let inner = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots.store), provider)
        .build()
        .map_err(|error| TlsError::new(error.to_string()))?;
    Ok(Arc::new(Clients { inner, pinned: roots.pinned.clone() }))
}

/// A certificate that nobody vouches for but itself.
#[derive(Debug, thiserror::Error)]
#[error("self-signed")]
pub(super) struct SelfSigned;

#[cfg(not(roots_in_folders))]
use rustls_platform_verifier::Verifier as SystemVerifier;
#[cfg(roots_in_folders)]
type SystemVerifier = WebPkiServerVerifier;

#[cfg(not(roots_in_folders))]
fn new_system(provider: Arc<CryptoProvider>) -> Result<Arc<SystemVerifier>, RustlsError> {
    SystemVerifier::new(provider).map(Arc::new)
}

#[cfg(roots_in_folders)]
fn new_system(provider: Arc<CryptoProvider>) -> Result<Arc<SystemVerifier>, RustlsError> {
    from_roots(super::folders::roots(&crate::sys::ROOT_FOLDERS)?.into(), provider)
}

/// The system's verifier, which is slow to make: all that are alive share one.
fn system(provider: Arc<CryptoProvider>) -> Result<Arc<SystemVerifier>, RustlsError> {
    static SHARED: Mutex<Weak<SystemVerifier>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    match shared.upgrade() {
        Some(verifier) => Ok(verifier),
        None => {
            let verifier = new_system(provider)?;
            *shared = Arc::downgrade(&verifier);
            Ok(verifier)
        }
    }
}

/// What a refusal comes to: `None`, where the certificate is pinned. Its own dates have been checked before webpki says
/// that nobody has issued it, or that it is an authority's.
fn judge(
    error: RustlsError,
    certificate: &CertificateDer<'_>,
    pinned: &[CertificateDer<'_>],
) -> Option<RustlsError> {
    let is_untrusted = match &error {
        RustlsError::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        RustlsError::InvalidCertificate(CertificateError::Other(OtherError(other))) => {
            matches!(other.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    };
    if is_untrusted && pinned.contains(certificate) {
        return None;
    }
    let signed_itself =
        |certificate: &webpki::EndEntityCert<'_>| certificate.issuer() == certificate.subject();
    match webpki::EndEntityCert::try_from(certificate) {
        Ok(certificate) if is_untrusted && signed_itself(&certificate) => {
            Some(CertificateError::Other(OtherError(Arc::new(SelfSigned))).into())
        }
        _ => Some(error),
    }
}

#[derive(Debug)]
struct Servers<V> {
    inner: Arc<V>,
    pinned: Vec<CertificateDer<'static>>,
}

impl<V: ServerCertVerifier> ServerCertVerifier for Servers<V> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        let verified = self.inner.verify_server_cert(end_entity, intermediates, name, ocsp, now);
        verified.or_else(|error| match judge(error, end_entity, &self.pinned) {
            Some(error) => Err(error),
            None => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[derive(Debug)]
struct Clients {
    inner: Arc<dyn ClientCertVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl ClientCertVerifier for Clients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, RustlsError> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now);
        verified.or_else(|error| match judge(error, end_entity, &self.pinned) {
            Some(error) => Err(error),
            None => Ok(ClientCertVerified::assertion()),
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Takes any certificate, and still wants proof that the peer has its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
