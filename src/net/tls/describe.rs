//! Why a session failed, in a sentence that names the facts. Knows the errors of rustls, and nothing else.

use super::verify::SelfSigned;
use rustls::pki_types::UnixTime;
use rustls::{
    AlertDescription as Alert, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible,
    PeerMisbehaved,
};

/// Which end we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// How far the session had come when it failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub side: Side,
    /// The peer has shown before that it speaks TLS.
    pub heard: bool,
    /// The TLS handshake was over, and its version is 1.2: another one can only be a renegotiation.
    pub may_renegotiate: bool,
    /// The server has asked for a certificate, and there was none to show.
    pub lacks_certificate: bool,
}

/// The sentence.
pub(super) fn sentence(error: &Error, progress: Progress) -> String {
    let side = progress.side;
    match error {
        Error::InvalidCertificate(error) => certificate(error, side),
        Error::NoCertificatesPresented => {
            "the client did not present a certificate, which is required".into()
        }
        Error::AlertReceived(alert) => alert_received(*alert, progress),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) if !progress.heard => "the peer does not speak TLS".into(),
        Error::PeerIncompatible(error) => incompatible(error),
        Error::NoApplicationProtocol => "the peer does not offer http/1.1 (ALPN)".into(),
        Error::DecryptError => "a TLS record was corrupted or altered in transit".into(),
        Error::PeerMisbehaved(PeerMisbehaved::TooManyRenegotiationRequests) => RENEGOTIATION.into(),
        Error::PeerMisbehaved(error) => format!("the peer violated the TLS protocol: {error:?}"),
        Error::InvalidMessage(error) => format!("the peer sent a malformed TLS message: {error:?}"),
        other => format!("the TLS session failed: {other}"),
    }
}

const RENEGOTIATION: &str = "the peer requested a renegotiation (TLS 1.2), which is not supported";

fn certificate(error: &CertificateError, side: Side) -> String {
    use CertificateError::*;
    let (whose, host) = match side {
        Side::Client => ("the server's certificate", "this host"),
        Side::Server => ("the client's certificate", "this client"),
    };
    match error {
        Expired => format!("{whose} has expired"),
        ExpiredContext { not_after, .. } => format!("{whose} expired on {}", date(*not_after)),
        NotValidYet => format!("{whose} is not valid yet"),
        NotValidYetContext { not_before, .. } => {
            format!("{whose} is not valid before {}", date(*not_before))
        }
        NotValidForName => format!("{whose} is not for {host}"),
        NotValidForNameContext { expected, presented } => {
            format!("{whose} is for {}, not for {}", names(presented), expected.to_str())
        }
        UnknownIssuer => format!("{whose} is signed by an authority that is not trusted"),
        Revoked => format!("{whose} has been revoked"),
        UnknownRevocationStatus => format!("it is unknown whether {whose} has been revoked"),
        Other(OtherError(other)) if cfg!(windows) && is_revocation_unknown(&other.to_string()) => {
            format!("it is unknown whether {whose} has been revoked")
        }
        BadSignature => format!("{whose} has a bad signature"),
        BadEncoding => format!("{whose} is malformed"),
        InvalidPurpose | InvalidPurposeContext { .. } => format!("{whose} was issued for another purpose"),
        Other(OtherError(other)) if other.is::<SelfSigned>() => {
            format!("{whose} is self-signed and not trusted")
        }
        Other(OtherError(other))
            if matches!(other.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity)) =>
        {
            format!("{whose} belongs to a certificate authority and cannot identify a host")
        }
        Other(OtherError(other)) => format!("{whose} cannot be trusted: {other}"),
        other => format!("{whose} cannot be trusted: {other}"),
    }
}

/// Whether Windows could have no list of revoked certificates. The verifier hands on its error's words alone, which end with the
/// number.
fn is_revocation_unknown(words: &str) -> bool {
    const REVOCATION_FAILURE: u32 = 0x800B_010E; // CERT_E_
    const NO_REVOCATION_CHECK: u32 = 0x8009_2012; // CRYPT_E_
    const REVOCATION_OFFLINE: u32 = 0x8009_2013;
    [REVOCATION_FAILURE, NO_REVOCATION_CHECK, REVOCATION_OFFLINE]
        .iter()
        .any(|number| words.ends_with(&format!("(os error {})", number.cast_signed())))
}

fn alert_received(alert: Alert, progress: Progress) -> String {
    let refused = |why: &str| format!("the peer refused our certificate: {why}");
    match alert {
        Alert::CertificateRequired => "the client must present a certificate".into(),
        // What servers say to clients without one, up to TLS 1.2: OpenSSL the first, Go and Java the second.
        Alert::HandshakeFailure | Alert::BadCertificate if progress.lacks_certificate => {
            "the client must present a certificate".into()
        }
        Alert::HandshakeFailure if progress.may_renegotiate => RENEGOTIATION.into(),
        Alert::BadCertificate => refused("it is malformed or for another name"),
        Alert::UnsupportedCertificate => refused("its type or purpose is not supported"),
        Alert::CertificateRevoked => refused("it has been revoked"),
        Alert::CertificateExpired => refused("it has expired or is not valid yet"),
        Alert::CertificateUnknown => refused("it is not trusted"),
        Alert::UnknownCA => refused("it is signed by an authority that is not trusted"),
        Alert::AccessDenied => refused("access denied"),
        Alert::ProtocolVersion => "the peer supports neither TLS 1.2 nor TLS 1.3".into(),
        Alert::InsufficientSecurity => "the peer has no cipher suite in common with us".into(),
        Alert::HandshakeFailure => {
            "the peer refused the TLS handshake: it found no cipher suite or signature in common".into()
        }
        Alert::NoApplicationProtocol => "the peer does not serve http/1.1 (ALPN)".into(),
        Alert::UnrecognisedName => "the peer does not serve this host name".into(),
        other => format!("the peer ended the TLS session with an alert: {other:?}"),
    }
}

fn incompatible(error: &PeerIncompatible) -> String {
    use PeerIncompatible::*;
    match error {
        ServerDoesNotSupportTls12Or13
        | ServerTlsVersionIsDisabledByOurConfig
        | SupportedVersionsExtensionRequired
        | Tls12NotOffered
        | Tls12NotOfferedOrEnabled => "the peer supports neither TLS 1.2 nor TLS 1.3".into(),
        NoCipherSuitesInCommon | NoKxGroupsInCommon | NoSignatureSchemesInCommon => {
            "the peer has no cipher suite in common with us".into()
        }
        other => format!("the peer's TLS is not compatible: {other:?}"),
    }
}

/// The names of a certificate, as webpki writes them: `DnsName("example.com")`. They are the peer's words, so only a
/// few, and nothing but what a name consists of.
fn names(presented: &[String]) -> String {
    const MOST: usize = 4;
    let plain = |name: &String| {
        let inner = name.split_once('(').map_or(name.as_str(), |(_, inner)| inner.trim_end_matches(')'));
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || ".-_*:/".contains(*c);
        inner.chars().filter(is_plain).take(100).collect::<String>()
    };
    let mut names: Vec<String> = presented.iter().take(MOST).map(plain).collect();
    match presented.len() {
        0 => return "no name".into(),
        1..=MOST => {}
        _ => names.push("others".into()),
    }
    names.join(", ")
}

/// The day (UTC), as 2026-01-31.
fn date(time: UnixTime) -> String {
    // Days are counted in eras of 400 years, each beginning on a first of March.
    let days = time.as_secs() / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_a_handshake_failure_means_is_said_by_how_far_the_session_had_come() {
        let client =
            Progress { side: Side::Client, heard: true, may_renegotiate: false, lacks_certificate: false };
        let server = Progress { side: Side::Server, ..client };
        let lacking = Progress { lacks_certificate: true, ..client };
        let open = Progress { may_renegotiate: true, ..client };
        let nothing_in_common =
            "the peer refused the TLS handshake: it found no cipher suite or signature in common";
        for (alert, progress, expected) in [
            (Alert::HandshakeFailure, client, nothing_in_common),
            (Alert::HandshakeFailure, server, nothing_in_common),
            (Alert::HandshakeFailure, lacking, "the client must present a certificate"),
            (Alert::BadCertificate, lacking, "the client must present a certificate"),
            (Alert::CertificateRequired, lacking, "the client must present a certificate"),
            (
                Alert::BadCertificate,
                client,
                "the peer refused our certificate: it is malformed or for another name",
            ),
            (Alert::HandshakeFailure, open, RENEGOTIATION),
            (Alert::HandshakeFailure, Progress { side: Side::Server, ..open }, RENEGOTIATION),
        ] {
            assert_eq!(sentence(&Error::AlertReceived(alert), progress), expected, "{progress:?}");
        }
        let too_many = Error::PeerMisbehaved(PeerMisbehaved::TooManyRenegotiationRequests);
        assert_eq!(sentence(&too_many, Progress { side: Side::Server, ..open }), RENEGOTIATION);
    }

    #[test]
    fn a_date_is_the_calendars() {
        let on = |secs| date(UnixTime::since_unix_epoch(Duration::from_secs(secs)));
        assert_eq!(on(0), "1970-01-01");
        assert_eq!(on(951_782_399), "2000-02-28");
        assert_eq!(on(951_782_400), "2000-02-29");
        assert_eq!(on(951_868_800), "2000-03-01");
        assert_eq!(on(4_107_542_399), "2100-02-28");
        assert_eq!(on(4_107_542_400), "2100-03-01");
        on(u64::MAX);
    }

    #[test]
    fn names_of_a_peer_are_cut_down() {
        assert_eq!(names(&[]), "no name");
        assert_eq!(names(&["DnsName(\"a.b\")".into(), "IpAddress(::1)".into()]), "a.b, ::1");
        assert_eq!(names(&["DnsName(\"\u{1b}[2J\n\0x\")".into()]), "2Jx");
        assert_eq!(names(&vec!["DnsName(\"a\")".to_owned(); 9]), "a, a, a, a, others");
    }
}
