//! Sessions over socket pairs, with certificates made on the spot. Over 400 lines because every session needs the same certificates and pairs.

use super::options::{HTTP, provider};
use super::session::OUTPUT_LIMIT;
use super::*;
use crate::error::Error;
use crate::net::socket::Socket;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, Connection, ServerConfig};
use std::io::ErrorKind::WouldBlock;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

/// A certificate and its key, in PEM.
struct Pem {
    certificate: String,
    key: String,
}

/// A certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), root }
    }

    fn sign(&self, name: &str) -> Pem {
        self.sign_as(CertificateParams::new(vec![name.into()]).unwrap())
    }

    fn sign_as(&self, mut params: CertificateParams) -> Pem {
        params.distinguished_name.push(DnType::CommonName, "somebody");
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pem { certificate, key: key.serialize_pem() }
    }
}

/// As `openssl req -x509` makes it: an authority's own.
fn self_signed(name: &str, is_ca: bool) -> Pem {
    let mut params = CertificateParams::new(vec![name.into()]).unwrap();
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let key = KeyPair::generate().unwrap();
    Pem { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

fn options(roots: Option<&str>, identity: Option<&Pem>) -> TlsOptions {
    let mut options = TlsOptions::default();
    if let Some(roots) = roots {
        options.set_roots(roots.as_bytes()).unwrap();
    }
    if let Some(pem) = identity {
        options.set_identity(pem.certificate.as_bytes(), pem.key.as_bytes()).unwrap();
    }
    options
}

fn sockets() -> (Socket, Socket) {
    let (left, right) = crate::sys::pair();
    (Socket::owned(left), Socket::owned(right))
}

fn join(client: &TlsOptions, server: &TlsOptions, host: &str) -> (Tls, Tls) {
    let (left, right) = sockets();
    (client.client().unwrap().over(host, left).unwrap(), server.server().unwrap().over(right).unwrap())
}

/// Over TCP, the first write after the peer has gone still succeeds.
fn failure_of_writing(tls: &mut Tls) -> io::Error {
    let patience = if cfg!(windows) { 100 } else { 1 };
    for _ in 1..patience {
        if let Err(error) = tls.write_all(b"x") {
            return error;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    tls.write(b"x").unwrap_err()
}

fn words(error: io::Error) -> String {
    match Error::from(error) {
        Error::Tls(error) => error.to_string(),
        other => panic!("not a failure of TLS: {other:?}"),
    }
}

/// Reads at both ends until both are through the handshake, or have failed; what they failed with.
fn shake(client: &mut Tls, server: &mut Tls) -> [Option<String>; 2] {
    let mut failed = [None, None];
    for _ in 0..20 {
        for (tls, failed) in [&mut *client, &mut *server].into_iter().zip(&mut failed) {
            match tls.read(&mut [0; 64]) {
                Ok(n) => assert_eq!(n, 0),
                Err(error) if error.kind() == WouldBlock => {}
                Err(error) => *failed = Some(words(error)),
            }
        }
    }
    failed
}

/// Both ends' sentences where the client refuses the server, or the other way round.
fn refusal(client: &TlsOptions, server: &TlsOptions, host: &str) -> [String; 2] {
    let (mut client, mut server) = join(client, server, host);
    let failed = shake(&mut client, &mut server);
    for (tls, failed) in [(client, &failed[0]), (server, &failed[1])] {
        let mut tls = tls;
        assert!(tls.has_buffered_input());
        assert_eq!(&Some(words(tls.read(&mut [0; 8]).unwrap_err())), failed, "it stays what it was");
        assert_eq!(&Some(words(tls.write(b"x").unwrap_err())), failed);
    }
    failed.map(Option::unwrap)
}

fn opened(client: &TlsOptions, server: &TlsOptions, host: &str) -> (Tls, Tls) {
    let (mut client, mut server) = join(client, server, host);
    assert_eq!(shake(&mut client, &mut server), [None, None]);
    assert!(!client.is_handshaking() && !server.is_handshaking());
    (client, server)
}

/// A pair that trust one another.
fn friends() -> (Tls, Tls) {
    let authority = Authority::new("authority");
    opened(
        &options(Some(&authority.root), None),
        &options(None, Some(&authority.sign("localhost"))),
        "localhost",
    )
}

/// Moves bytes until all have arrived, and compares.
fn carry(from: &mut Tls, to: &mut Tls, bytes: &[u8], piece: usize) {
    let (mut sent, mut space, mut arrived) = (0, vec![0; piece], Vec::new());
    let mut blocked = 0;
    while arrived.len() < bytes.len() {
        let rest = &bytes[sent..];
        let (a, b) = rest.split_at(rest.len().min(piece));
        match from.write_vectored(&[IoSlice::new(a), IoSlice::new(&[]), IoSlice::new(b)]) {
            Ok(n) => sent += n,
            Err(error) if error.kind() == WouldBlock => {
                assert!(from.has_pending_output());
                blocked += 1;
            }
            Err(error) => panic!("{error}"),
        }
        if sent == bytes.len() {
            let _ = from.flush();
        }
        loop {
            match to.read(&mut space) {
                Ok(n) => arrived.extend_from_slice(&space[..n]),
                Err(error) if error.kind() == WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(arrived == bytes);
    assert!(blocked < bytes.len() / 1024 + 8);
}

fn noise(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i % 251) as u8).collect()
}

#[test]
fn bytes_pass_both_ways_whatever_their_number() {
    let (mut client, mut server) = friends();
    for len in [1, 2, 5, 1000, 16_383, 16_384, 16_385, 70_001] {
        carry(&mut client, &mut server, &noise(len), 777);
        carry(&mut server, &mut client, &noise(len), 4096);
    }
    assert_eq!(client.session.alpn_protocol(), Some(HTTP));
    assert_eq!(server.session.alpn_protocol(), Some(HTTP));
}

#[test]
fn a_mebibyte_passes_through_a_socket_that_is_full() {
    let (mut client, mut server) = friends();
    let bytes = noise(1 << 20);
    let mut sent = 0;
    // Until nothing more goes: then nothing more is taken.
    while let Ok(n) = client.write(&bytes[sent..]) {
        assert!((1..=OUTPUT_LIMIT).contains(&n));
        sent += n;
    }
    assert!(sent < bytes.len());
    assert!(client.has_pending_output());
    assert_eq!(client.write(b"x").unwrap_err().kind(), WouldBlock);
    assert_eq!(client.flush().unwrap_err().kind(), WouldBlock);
    let (mut arrived, mut space) = (Vec::new(), [0; 10_000]);
    while arrived.len() < bytes.len() {
        match server.read(&mut space) {
            Ok(n) => arrived.extend_from_slice(&space[..n]),
            Err(error) if error.kind() == WouldBlock => match client.write(&bytes[sent..]) {
                Ok(n) => sent += n,
                Err(error) => assert_eq!(error.kind(), WouldBlock),
            },
            Err(error) => panic!("{error}"),
        }
    }
    assert!(arrived == bytes);
    assert!(!client.has_pending_output());
}

#[test]
fn what_is_written_during_the_handshake_arrives_after_it() {
    let authority = Authority::new("authority");
    let (client, server) =
        (options(Some(&authority.root), None), options(None, Some(&authority.sign("localhost"))));
    let (mut client, mut server) = join(&client, &server, "localhost");
    assert!(client.is_handshaking());
    assert_eq!(client.write(&noise(100_000)).unwrap(), OUTPUT_LIMIT);
    assert_eq!(client.write(b"x").unwrap_err().kind(), WouldBlock);
    let (mut arrived, mut space) = (Vec::new(), [0; 1000]);
    while arrived.len() < OUTPUT_LIMIT {
        for _ in 0..100 {
            match server.read(&mut space) {
                Ok(n) => arrived.extend_from_slice(&space[..n]),
                Err(error) => {
                    assert_eq!(error.kind(), WouldBlock);
                    break;
                }
            }
        }
        assert_eq!(client.read(&mut space).unwrap_err().kind(), WouldBlock);
    }
    assert!(arrived == noise(100_000)[..OUTPUT_LIMIT]);
}

#[test]
fn decrypted_bytes_that_wait_are_told() {
    let (mut client, mut server) = friends();
    client.write_all(b"hello").unwrap();
    assert!(!server.has_buffered_input());
    assert_eq!(server.read(&mut [0; 2]).unwrap(), 2);
    assert!(server.has_buffered_input());
    assert_eq!(server.read(&mut [0; 9]).unwrap(), 3);
    assert!(!server.has_buffered_input());
    assert_eq!(server.read(&mut []).unwrap(), 0);
}

#[test]
fn an_end_is_an_end_with_a_farewell_or_without() {
    let (mut client, mut server) = friends();
    client.write_all(b"bye").unwrap();
    client.end();
    client.end();
    let mut space = [0; 16];
    assert_eq!(server.read(&mut space).unwrap(), 3);
    assert_eq!(server.read(&mut space).unwrap(), 0);
    assert!(server.has_buffered_input(), "the end is not to be waited for");
    server.write_all(b"still here").unwrap();
    assert_eq!(client.read(&mut space).unwrap(), 10);

    let (mut client, server) = friends();
    drop(server);
    assert_eq!(client.read(&mut space).unwrap(), 0);
    assert_eq!(client.read(&mut space).unwrap(), 0);
    let kind = failure_of_writing(&mut client).kind();
    // Over TCP, which is what Windows has here, it is a reset.
    let is_reset = matches!(kind, io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted);
    assert!(kind == io::ErrorKind::BrokenPipe || cfg!(windows) && is_reset, "{kind:?}");
}

#[test]
fn certificates_out_of_their_time_are_refused_with_the_day() {
    let authority = Authority::new("authority");
    let client = options(Some(&authority.root), None);
    let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    params.not_after = date_time_ymd(2021, 2, 28);
    let server = options(None, Some(&authority.sign_as(params.clone())));
    let [ours, theirs] = refusal(&client, &server, "localhost");
    assert_eq!(ours, "the server's certificate expired on 2021-02-28");
    assert_eq!(theirs, "the peer refused our certificate: it has expired or is not valid yet");
    params.not_before = date_time_ymd(2999, 12, 31);
    params.not_after = date_time_ymd(3000, 12, 31);
    let server = options(None, Some(&authority.sign_as(params)));
    let [ours, _] = refusal(&client, &server, "localhost");
    assert_eq!(ours, "the server's certificate is not valid before 2999-12-31");
}

#[test]
fn a_certificate_for_another_host_is_refused_with_both_names() {
    let authority = Authority::new("authority");
    let client = options(Some(&authority.root), None);
    let server = options(None, Some(&authority.sign("example.com")));
    let [ours, theirs] = refusal(&client, &server, "localhost");
    assert_eq!(ours, "the server's certificate is for example.com, not for localhost");
    assert_eq!(theirs, "the peer refused our certificate: it is malformed or for another name");
    let [ours, _] = refusal(&client, &server, "::1");
    assert_eq!(ours, "the server's certificate is for example.com, not for ::1");
}

#[test]
fn a_stranger_is_told_from_one_who_vouches_for_himself() {
    let client = options(Some(&Authority::new("authority").root), None);
    let stranger = Authority::new("another");
    let [ours, theirs] = refusal(&client, &options(None, Some(&stranger.sign("localhost"))), "localhost");
    assert_eq!(ours, "the server's certificate is signed by an authority that is not trusted");
    assert_eq!(theirs, "the peer refused our certificate: it is signed by an authority that is not trusted");
    for is_ca in [false, true] {
        let server = options(None, Some(&self_signed("localhost", is_ca)));
        let [ours, theirs] = refusal(&client, &server, "localhost");
        assert_eq!(ours, "the server's certificate is self-signed and not trusted");
        assert_eq!(theirs, "the peer refused our certificate: it is not trusted");
    }
}

#[test]
fn a_certificate_that_is_among_the_roots_is_taken() {
    let issued = Authority::new("authority").sign("localhost");
    for pem in [self_signed("localhost", false), self_signed("localhost", true), issued] {
        let client = options(Some(&pem.certificate), None);
        let server = options(None, Some(&pem));
        opened(&client, &server, "localhost");
        let [ours, _] = refusal(&client, &server, "example.com");
        assert_eq!(ours, "the server's certificate is for localhost, not for example.com");
    }
    let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = date_time_ymd(2021, 3, 1);
    let key = KeyPair::generate().unwrap();
    let pem = Pem { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() };
    let [ours, _] = refusal(&options(Some(&pem.certificate), None), &options(None, Some(&pem)), "localhost");
    assert_eq!(ours, "the server's certificate expired on 2021-03-01");
}

#[test]
fn a_listener_with_roots_wants_certificates_of_its_clients() {
    let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
    let server = options(Some(&clients.root), Some(&authority.sign("localhost")));
    let mut client = options(Some(&authority.root), None);
    let [ours, theirs] = refusal(&client, &server, "localhost");
    assert_eq!(ours, "the client must present a certificate");
    assert_eq!(theirs, "the client did not present a certificate, which is required");

    let stranger = authority.sign("me");
    client.set_identity(stranger.certificate.as_bytes(), stranger.key.as_bytes()).unwrap();
    let [ours, theirs] = refusal(&client, &server, "localhost");
    assert_eq!(ours, "the peer refused our certificate: it is signed by an authority that is not trusted");
    assert_eq!(theirs, "the client's certificate is signed by an authority that is not trusted");

    let friend = clients.sign("me");
    client.set_identity(friend.certificate.as_bytes(), friend.key.as_bytes()).unwrap();
    opened(&client, &server, "localhost");
}

/// As OpenSSL, Go and Java do it up to TLS 1.2: the alert is another one than in TLS 1.3, and says several things.
#[test]
fn a_server_of_tls_1_2_that_gets_no_certificate_is_understood() {
    let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
    let (handshake_failure, bad_certificate) = (40, 42);
    for (asks, alert, sentence) in [
        (true, handshake_failure, "the client must present a certificate"),
        (true, bad_certificate, "the client must present a certificate"),
        (
            false,
            handshake_failure,
            "the peer refused the TLS handshake: it found no cipher suite or signature in common",
        ),
    ] {
        let options = options(Some(&clients.root), Some(&authority.sign("localhost")));
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap();
        let builder = match asks {
            true => builder
                .with_client_cert_verifier(verify::clients(options.roots.as_deref(), provider()).unwrap()),
            false => builder.with_no_client_auth(),
        };
        let identity = options.identity.clone().unwrap();
        let server = ServerTls(Arc::new(builder.with_cert_resolver(identity)));
        let (left, right) = sockets();
        let client = self::options(Some(&authority.root), None).client().unwrap();
        let (mut client, mut server) = (client.over("localhost", left).unwrap(), server.over(right).unwrap());
        assert_eq!(client.read(&mut [0; 9]).unwrap_err().kind(), WouldBlock);
        assert_eq!(server.read(&mut [0; 9]).unwrap_err().kind(), WouldBlock);
        assert_eq!(client.read(&mut [0; 9]).unwrap_err().kind(), WouldBlock);
        assert!(client.is_handshaking());
        server.socket_mut().write_all(&[21, 3, 3, 0, 2, 2, alert]).unwrap();
        assert_eq!(words(client.read(&mut [0; 9]).unwrap_err()), sentence);
    }
}

#[test]
fn a_client_without_a_certificate_resumes_its_sessions() {
    let authority = Authority::new("authority");
    let (client, server) =
        (options(Some(&authority.root), None), options(None, Some(&authority.sign("localhost"))));
    for resumed in [false, true] {
        let (mut client, mut server) = opened(&client, &server, "localhost");
        // Tickets come behind the handshake.
        carry(&mut server, &mut client, b"hello", 5);
        let kind = client.session.handshake_kind();
        assert_eq!(kind == Some(rustls::HandshakeKind::Resumed), resumed, "{kind:?}");
    }
}

#[test]
fn verify_off_takes_anybody() {
    let mut client = options(None, None);
    client.set_verify(false);
    let (mut client, mut server) =
        opened(&client, &options(None, Some(&self_signed("elsewhere", true))), "localhost");
    carry(&mut client, &mut server, b"hello", 3);
}

#[test]
fn an_address_is_checked_against_addresses() {
    let authority = Authority::new("authority");
    let client = options(Some(&authority.root), None);
    for address in ["127.0.0.1", "::1"] {
        opened(&client, &options(None, Some(&authority.sign(address))), address);
    }
    let [ours, _] = refusal(&client, &options(None, Some(&authority.sign("127.0.0.1"))), "127.0.0.2");
    assert_eq!(ours, "the server's certificate is for 127.0.0.1, not for 127.0.0.2");
    let (left, _right) = sockets();
    let error = client.client().unwrap().over("not a host", left).unwrap_err();
    assert!(matches!(error, Error::Tls(_)));
}

#[test]
fn a_peer_without_tls_is_told() {
    let authority = Authority::new("authority");
    let (left, mut right) = sockets();
    let server = options(None, Some(&authority.sign("localhost")));
    let mut server = server.server().unwrap().over(left).unwrap();
    right.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(words(server.read(&mut [0; 9]).unwrap_err()), "the peer does not speak TLS");
    assert!(right.read(&mut [0; 99]).unwrap() > 0, "it is told by an alert");

    let (left, mut right) = sockets();
    let client = options(Some(&authority.root), None).client().unwrap();
    let mut client = client.over("localhost", left).unwrap();
    assert_eq!(client.write(b"GET /").unwrap(), 5);
    right.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    assert_eq!(words(client.write(b" HTTP/1.1").unwrap_err()), "the peer does not speak TLS");
    assert_eq!(words(client.flush().unwrap_err()), "the peer does not speak TLS");
}

#[test]
fn what_came_before_a_failure_is_read_before_it() {
    let (mut client, mut server) = friends();
    client.write_all(b"hello").unwrap();
    client.socket_mut().write_all(&[23, 3, 3, 0, 32, 1, 2, 3]).unwrap();
    client.socket_mut().write_all(&[0; 64]).unwrap();
    assert_eq!(server.read(&mut [0; 2]).unwrap(), 2);
    assert_eq!(server.read(&mut [0; 9]).unwrap(), 3);
    assert_eq!(
        words(server.read(&mut [0; 9]).unwrap_err()),
        "a TLS record was corrupted or altered in transit"
    );
}

// A reset drops what has arrived on Windows.
#[cfg(unix)]
#[test]
fn a_peer_that_has_gone_says_why() {
    let (authority, clients) = (Authority::new("authority"), Authority::new("clients"));
    let server = options(Some(&clients.root), Some(&authority.sign("localhost")));
    let (mut client, mut server) = join(&options(Some(&authority.root), None), &server, "localhost");
    for _ in 0..2 {
        assert_eq!(client.read(&mut [0; 9]).unwrap_err().kind(), WouldBlock);
        let _ = server.read(&mut [0; 9]);
    }
    assert!(server.failure.is_some());
    drop(server);
    assert_eq!(words(client.write(b"GET /").unwrap_err()), "the client must present a certificate");
}

#[test]
fn no_common_protocol_is_told() {
    let authority = Authority::new("authority");
    let mut server = options(None, Some(&authority.sign("localhost"))).server().unwrap();
    Arc::make_mut(&mut server.0).alpn_protocols = vec![b"h2".to_vec()];
    let (left, right) = sockets();
    let client = options(Some(&authority.root), None).client().unwrap();
    let (mut client, mut server) = (client.over("localhost", left).unwrap(), server.over(right).unwrap());
    let failed = shake(&mut client, &mut server).map(Option::unwrap);
    assert_eq!(
        failed,
        ["the peer does not serve http/1.1 (ALPN)", "the peer does not offer http/1.1 (ALPN)"]
    );
}

#[test]
fn a_client_without_alpn_is_served_and_tls_1_2_too() {
    let authority = Authority::new("authority");
    let server = options(None, Some(&authority.sign("localhost"))).server().unwrap();
    let roots = options(Some(&authority.root), None).roots.unwrap();
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(Arc::clone(&roots.store))
        .with_no_client_auth();
    let (left, right) = sockets();
    let client = ClientTls(Arc::new(config)).over("localhost", left).unwrap();
    let (mut client, mut server) = (client, server.over(right).unwrap());
    assert_eq!(shake(&mut client, &mut server), [None, None]);
    assert_eq!(server.session.alpn_protocol(), None);
    carry(&mut client, &mut server, &noise(50_000), 999);
    carry(&mut server, &mut client, &noise(50_000), 999);
}

#[test]
fn key_updates_without_end_do_not_hold_a_call() {
    let (mut client, mut server) = friends();
    for _ in 0..1000 {
        let Connection::Client(session) = &mut *client.session else { panic!() };
        session.refresh_traffic_keys().unwrap();
        if client.flush().is_err() {
            break;
        }
    }
    // Either a rule of rustls, or nothing to read.
    let error = server.read(&mut [0; 9]).unwrap_err();
    assert!(error.kind() == WouldBlock || server.failure.is_some());
}

#[test]
fn what_is_not_a_certificate_or_a_key_is_refused_at_once() {
    let (one, other) = (self_signed("localhost", false), self_signed("localhost", false));
    let mut options = TlsOptions::default();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cut = &one.certificate[..one.certificate.len() / 2];
    for pem in ["", "garbage", broken, cut, &one.key] {
        assert!(matches!(options.set_roots(pem.as_bytes()), Err(Error::InvalidArgument(_))), "{pem}");
        let result = options.set_identity(pem.as_bytes(), one.key.as_bytes());
        assert!(matches!(result, Err(Error::InvalidArgument(_))), "{pem}");
    }
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (key, why) in [
        (&*other.key, "the private key does not match the certificate"),
        (no_key, "the private key is malformed or of an unsupported type"),
        ("", "the PEM contains no private key (PKCS#8, PKCS#1 or SEC1, not encrypted)"),
        (&*one.certificate, "the PEM contains no private key (PKCS#8, PKCS#1 or SEC1, not encrypted)"),
    ] {
        let error = options.set_identity(one.certificate.as_bytes(), key.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), why);
    }
    assert!(options.roots.is_none() && options.identity.is_none());
    let error = options.server().unwrap_err();
    assert!(matches!(error, Error::Tls(_)));
    assert!(error.to_string().starts_with("a wss:// listener needs a certificate "));
}

#[test]
fn clones_share_what_was_made_of_them_until_one_changes() {
    let mut one = options(Some(&Authority::new("authority").root), None);
    let other = one.clone();
    assert!(!other.is_client_ready());
    let made = one.client().unwrap();
    assert!(other.is_client_ready());
    assert!(Arc::ptr_eq(&made.0, &other.client().unwrap().0));
    one.set_verify(false);
    assert!(!one.is_client_ready() && other.is_client_ready());
    assert!(!one.verify() && other.verify());
}
#[test]
fn without_roots_of_ones_own_the_systems_count() {
    // A machine without any cannot begin, and says so.
    let client = TlsOptions::default();
    if client.client().is_err() {
        return;
    }
    let server = options(None, Some(&Authority::new("authority").sign("localhost")));
    // Wine misses a list of what the unknown authority has revoked before it minds the authority.
    let unknown = "it is unknown whether the server's certificate has been revoked";
    let [ours, _] = refusal(&client, &server, "localhost");
    assert!(
        ours == "the server's certificate is signed by an authority that is not trusted"
            || cfg!(windows) && ours == unknown,
        "{ours}"
    );
    let server = options(None, Some(&self_signed("localhost", true)));
    let [ours, _] = refusal(&client, &server, "localhost");
    assert!(
        ours == "the server's certificate is self-signed and not trusted" || cfg!(windows) && ours == unknown,
        "{ours}"
    );
}

/// As Android keeps them: a file for each certificate, with text after it.
#[test]
fn roots_are_read_from_the_first_folder_that_has_some() {
    let home = std::env::temp_dir().join(format!("wsabi-roots-{}", std::process::id()));
    let [absent, empty, full] = ["absent", "empty", "full"].map(|name| home.join(name));
    let authority = Authority::new("a phone's authority");
    std::fs::create_dir_all(&empty).unwrap();
    std::fs::create_dir_all(full.join("a folder")).unwrap();
    std::fs::write(empty.join("README"), "no certificate").unwrap();
    std::fs::write(full.join("5ed36f99.0"), format!("{}Certificate:\n    Data:\n", authority.root)).unwrap();
    std::fs::write(full.join("00673b5b.0"), "-----BEGIN CERTIFICATE-----\nbad\n-----END CERTIFICATE-----\n")
        .unwrap();

    let roots = folders::roots(&[&absent, &empty, &full]).unwrap();
    let none = folders::roots(&[&absent, &empty]).unwrap_err();
    std::fs::remove_dir_all(&home).unwrap();

    assert_eq!(roots.len(), 1);
    let verifier = verify::from_roots(roots.into(), provider()).unwrap();
    let check = |pem: &Pem| {
        let certificate = CertificateDer::from_pem_slice(pem.certificate.as_bytes()).unwrap();
        let name = ServerName::try_from("phone.example").unwrap();
        verifier.verify_server_cert(&certificate, &[], &name, &[], UnixTime::now()).map(drop)
    };
    check(&authority.sign("phone.example")).unwrap();
    check(&Authority::new("another").sign("phone.example")).unwrap_err();
    assert!(none.to_string().contains("ws_config_set_tls_roots()"), "{none}");
}
