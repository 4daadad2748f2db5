//! HTTP's CONNECT (RFC 9110 section 9.3.6): a request, and the head of its answer. Knows the status that opens a tunnel,
//! and what a proxy wants instead; not the body of a refusal, which is left unread. Proxies are old and odd: lines may end
//! with LF alone, and fields that are none are passed over, for only the status counts.

use super::url::Credentials;
use crate::error::{Error, ProxyError};
use crate::http::grammar::is_token_char;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fmt;

/// Most bytes that all heads of an answer may have together.
const MAX_HEAD: usize = 16 * 1024;

/// Most header fields that a head may have.
const MAX_FIELDS: usize = 128;

/// Most characters of a reason phrase that are told.
const MAX_REASON: usize = 100;

/// How every answer begins.
const START: &[u8] = b"HTTP/1.";

/// The least that an answer consists of.
const SHORTEST: &[u8] = b"HTTP/1.1 200\n\n";

/// Most ways to log in that are told, and most characters of each.
const MAX_SCHEMES: usize = 3;
const MAX_SCHEME: usize = 20;

/// The wait for the answer.
pub(super) struct Negotiation {
    /// The head as far as it has come.
    head: Vec<u8>,
    /// How many bytes the interim heads before it had.
    before: usize,
    has_credentials: bool,
    stands: bool,
}

impl Negotiation {
    /// Writes the request.
    pub(super) fn begin(
        host: &str,
        port: u16,
        credentials: Option<&Credentials>,
        output: &mut Vec<u8>,
    ) -> Self {
        let authority =
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        if let Some(Credentials { user, password }) = credentials {
            let pair = BASE64.encode([user.as_slice(), b":", password].concat());
            request.push_str(&format!("Proxy-Authorization: Basic {pair}\r\n"));
        }
        request.push_str("\r\n");
        output.extend_from_slice(request.as_bytes());
        Self { head: Vec::new(), before: 0, has_credentials: credentials.is_some(), stands: false }
    }

    /// How many bytes the head goes on for at least: what is still missing of its end, which is an empty line.
    pub(super) fn wanted(&self) -> usize {
        let missing = match self.head.as_slice() {
            [.., b'\n'] | [.., b'\n', b'\r'] => 1,
            _ => 2,
        };
        if self.stands { 0 } else { SHORTEST.len().saturating_sub(self.head.len()).max(missing) }
    }

    /// Looks at the next byte, and at the head where that ends it.
    pub(super) fn take(&mut self, byte: u8) -> Result<(), Error> {
        let is_expected = match START.get(self.head.len()) {
            Some(&expected) => byte == expected,
            None if self.head.last() == Some(&b'\r') => byte == b'\n',
            None => byte != 0,
        };
        if !is_expected {
            return Err(ProxyError::NotHttp.into());
        }
        if self.before + self.head.len() == MAX_HEAD {
            return Err(ProxyError::HeadTooLong.into());
        }
        self.head.push(byte);
        if !matches!(self.head.as_slice(), [.., b'\n', b'\n'] | [.., b'\n', b'\r', b'\n']) {
            return Ok(());
        }
        match self.judge()? {
            true => self.stands = true,
            // An interim answer: the one that counts follows.
            false => self.before += std::mem::take(&mut self.head).len(),
        }
        Ok(())
    }

    /// Whether a complete head opens the tunnel. False where it is but an interim one.
    fn judge(&mut self) -> Result<bool, ProxyError> {
        // A later version of HTTP/1 than 1.1 is read as that (RFC 9110 section 2.5).
        if let Some(minor @ b'2'..=b'9') = self.head.get_mut(START.len()) {
            *minor = b'1';
        }
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let parsed = httparse::ParserConfig::default()
            .allow_multiple_spaces_in_response_status_delimiters(true)
            .allow_spaces_after_header_name_in_responses(true)
            .ignore_invalid_headers_in_responses(true)
            .parse_response(&mut response, &self.head);
        match parsed {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(ProxyError::HeadTooLong),
            _ => return Err(ProxyError::NotHttp),
        }
        match response.code {
            Some(200..=299) => Ok(true),
            Some(100 | 102..=199) => Ok(false),
            // Some say 401 for what is wrong with the login.
            Some(status @ (401 | 407)) if self.has_credentials || status == 407 => {
                Err(login_wanted(response.headers, self.has_credentials))
            }
            Some(status) => {
                let reason = response.reason.unwrap_or_default().trim().chars().take(MAX_REASON).collect();
                Err(ProxyError::Http { status, reason })
            }
            None => Err(ProxyError::NotHttp),
        }
    }
}

/// What is to be said where the proxy wants another login, by the ways to log in that it offers.
fn login_wanted(fields: &[httparse::Header<'_>], has_credentials: bool) -> ProxyError {
    let names = ["Proxy-Authenticate", "WWW-Authenticate"];
    let is_challenge =
        |field: &&httparse::Header<'_>| names.iter().any(|name| field.name.eq_ignore_ascii_case(name));
    let schemes: Vec<_> = fields.iter().filter(is_challenge).flat_map(|field| schemes(field.value)).collect();
    if !schemes.is_empty() && !schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case(b"Basic")) {
        let told =
            |scheme: &&[u8]| scheme.iter().take(MAX_SCHEME).copied().map(char::from).collect::<String>();
        let told: Vec<_> = schemes.iter().take(MAX_SCHEMES).map(told).collect();
        return ProxyError::LoginUnsupported { schemes: told.join(" or ") };
    }
    if has_credentials { ProxyError::CredentialsRefused } else { ProxyError::CredentialsMissing }
}

/// The ways to log in that a list of challenges names (RFC 9110 section 11.6.1): what a parameter begins with has `=` behind
/// it, the name of a scheme has not.
fn schemes(challenges: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let elements = challenges.split(move |&byte| {
        is_quoted ^= byte == b'"' && !is_escaped;
        is_escaped = is_quoted && byte == b'\\' && !is_escaped;
        byte == b',' && !is_quoted
    });
    elements.filter_map(|element| {
        let element = element.trim_ascii();
        let end = element.iter().position(|&byte| !is_token_char(byte)).unwrap_or(element.len());
        let (name, rest) = element.split_at(end);
        (!name.is_empty() && !rest.trim_ascii_start().starts_with(b"=")).then_some(name)
    })
}

impl fmt::Debug for Negotiation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("head", &format_args!("{} bytes", self.head.len()))
            .field("stands", &self.stands)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Proxy;
    use super::super::tests::talk;
    use super::*;
    use crate::random::Random;

    const ASKED: &[u8] = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n";

    fn refusal(url: &str, asked: &[u8], answer: impl AsRef<[u8]>) -> String {
        talk(url, "example.com", &[(asked, answer.as_ref())]).unwrap_err()
    }

    #[test]
    fn any_2xx_opens_the_tunnel_and_its_fields_do_not_matter() {
        for answer in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.0 200 Connection established\r\nProxy-Agent: x\r\n\r\n",
            "HTTP/1.1 200\r\nContent-Length: 1000\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 299 \r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
            "HTTP/1.2 200 OK\r\n\r\n",
        ] {
            talk("http://proxy", "example.com", &[(ASKED, answer.as_bytes())]).unwrap();
        }
    }

    #[test]
    fn lines_that_end_with_lf_alone_and_odd_fields_open_the_tunnel_too() {
        for answer in [
            "HTTP/1.0 200 Connection established\n\n",
            "HTTP/1.1 200\n\n",
            "HTTP/1.1 200 OK\nVia: x\n\n",
            "HTTP/1.1 200 OK\r\nVia: x\n\r\n",
            "HTTP/1.1 200 OK\nVia: x\r\n\n",
            "HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\n\n",
            "HTTP/1.1  200 OK\n\n",
            "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno field\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA b: x\r\nVia : y\r\n folded\r\n\r\n",
            "HTTP/1.1 200 OK\r\nVia: \x01\x7f\r\n\r\n",
        ] {
            talk("http://proxy", "example.com", &[(ASKED, answer.as_bytes())]).expect(answer);
        }
        let answer = "HTTP/1.1 403 Forbidden\nno field\n\n";
        assert_eq!(
            refusal("http://proxy", ASKED, answer),
            "the proxy refused the connection with HTTP status 403 Forbidden"
        );
    }

    #[test]
    fn a_proxy_that_offers_no_basic_says_what_it_wants() {
        let asked = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\
                      Proxy-Authorization: Basic bWU6czNjcmV0\r\n\r\n";
        for (challenges, wants) in [
            ("Digest realm=\"a, Basic b\", qop=\"auth, Basic\", nonce=x", "Digest"),
            ("NTLM\r\nProxy-Authenticate: Negotiate", "NTLM or Negotiate"),
            ("Negotiate YWJj==, Digest realm=x, Kerberos, Bearer", "Negotiate or Digest or Kerberos"),
            ("Digest realm=\"a\\\", Basic \\\\\", nonce = y", "Digest"),
            (&"x".repeat(100), &"x".repeat(MAX_SCHEME)),
        ] {
            let answer = format!("HTTP/1.1 407 x\r\nproxy-authenticate: {challenges}\r\n\r\n");
            let sentence =
                format!("the proxy requires authentication by {wants}, but only Basic is supported");
            assert_eq!(refusal("http://me:s3cret@proxy", asked, &answer), sentence, "{challenges}");
            assert_eq!(refusal("http://proxy", ASKED, &answer), sentence, "{challenges}");
        }
        for challenges in [
            "Basic",
            "basic realm=x",
            "Digest realm=\"x\", BASIC realm=y",
            "Digest a=b\r\nProxy-Authenticate: Basic",
            "",
            "\"Digest\"",
            "=",
        ] {
            let answer = format!("HTTP/1.1 407 x\r\nProxy-Authenticate: {challenges}\r\n\r\n");
            assert_eq!(
                refusal("http://me:s3cret@proxy", asked, &answer),
                "the proxy rejected the user name and password",
                "{challenges}"
            );
            assert_eq!(
                refusal("http://proxy", ASKED, &answer),
                "the proxy requires a user name and a password, but none were given",
                "{challenges}"
            );
        }
        let without_login =
            refusal("http://proxy", ASKED, "HTTP/1.1 401 x\r\nWWW-Authenticate: Digest x=y\r\n\r\n");
        assert_eq!(without_login, "the proxy refused the connection with HTTP status 401 x");
    }

    #[test]
    fn an_ipv6_destination_is_bracketed() {
        let asked = b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n";
        talk("http://proxy", "2001:db8::1", &[(asked, b"HTTP/1.1 200 OK\r\n\r\n")]).unwrap();
    }

    #[test]
    fn credentials_are_sent_and_their_refusal_is_told() {
        let asked = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\
                      Proxy-Authorization: Basic bWU6czNjcmV0\r\n\r\n";
        let url = "http://me:s3cret@proxy";
        talk(url, "example.com", &[(asked, b"HTTP/1.1 200 OK\r\n\r\n")]).unwrap();
        let answer = "HTTP/1.1 407 Authenticate\r\nProxy-Authenticate: Basic realm=x\r\n\r\n";
        assert_eq!(refusal(url, asked, answer), "the proxy rejected the user name and password");
        assert_eq!(
            refusal("http://proxy", ASKED, answer),
            "the proxy requires a user name and a password, but none were given"
        );
    }

    #[test]
    fn another_status_is_named() {
        let long = format!("HTTP/1.1 500 {}\r\n\r\n", "x".repeat(5000));
        for (answer, told) in [
            ("HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nbad", "403 Forbidden"),
            ("HTTP/1.0 502\r\n\r\n", "502"),
            ("HTTP/1.1 101 Switching\r\n\r\n", "101 Switching"),
            ("HTTP/1.1 302 Found\r\nLocation: x\r\n\r\n", "302 Found"),
            ("HTTP/1.1 999 \r\n\r\n", "999"),
            (&long, &format!("500 {}", "x".repeat(MAX_REASON))),
        ] {
            let expected = format!("the proxy refused the connection with HTTP status {told}");
            assert_eq!(refusal("http://proxy", ASKED, answer), expected);
        }
    }

    #[test]
    fn what_is_not_http_is_refused() {
        for answer in [
            &b"SSH-2.0-x\r\n"[..],
            b"\x05\x00",
            b"http/1.1 200 OK\r\n\r\n",
            b"HTTP/2 200\r\n\r\n",
            b"HTTP/1.1 20 x\r\n\r\n",
            b"HTTP/1.1 2000 x\r\n\r\n",
            b"HTTP/1.1 200 OK\rX\n",
            b"HTTP/1.1 OK\n\n",
            b"HTTP/1. 200 OK\n\n",
            b"HTTP/1.1 200 OK\r\nA\0: x\r\n\r\n",
            b"HTTP/1.1 \x1b[31m OK\r\n\r\n",
        ] {
            let sentence = refusal("http://proxy", ASKED, answer);
            assert_eq!(sentence, "the proxy's answer is not HTTP", "{}", answer.escape_ascii());
        }
    }

    /// Answers with bytes flipped, cut, doubled and inserted: the verdict never depends on how they are cut, and no byte
    /// behind the end is taken.
    #[test]
    fn no_answer_is_read_differently_by_how_it_is_cut() {
        let answers: [&[u8]; 3] = [
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nVia: x\r\n\r\nbehind",
            b"HTTP/1.0 200 Connection established\nVia: x\n\nbehind",
            b"HTTP/1.1 407 x\r\nProxy-Authenticate: Digest a=\"b, Basic\", c\r\n\r\nbehind",
        ];
        let mut generator = Random::new(1);
        let mut random = move |below: usize| generator.below(below.max(1));
        for round in 0..20_000 {
            let mut bytes = answers[round % 3].to_vec();
            for _ in 0..random(4) {
                let at = random(bytes.len());
                match random(4) {
                    0 => bytes[at] = random(256) as u8,
                    1 => bytes.truncate(at.max(1)),
                    2 => bytes.extend_from_within(at..),
                    _ => bytes.insert(at, b"\r\n\0 :\t,=0\xff"[random(10)]),
                }
            }
            let talk = |step: usize| {
                let mut tunnel = Proxy::parse("http://me:s3cret@proxy").unwrap().tunnel("h", 1).unwrap();
                let mut at = 0;
                while at < bytes.len() {
                    let n = tunnel.wanted().min(step).min(bytes.len() - at);
                    match tunnel.received(&bytes[at..at + n]) {
                        Ok(false) => at += n,
                        Ok(true) => return Ok(at + n),
                        Err(error) => return Err(error.to_string()),
                    }
                }
                Ok(0)
            };
            assert_eq!(talk(1), talk(usize::MAX), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn an_endless_answer_stops_at_the_limit() {
        let fields = "A: b\r\n".repeat(MAX_FIELDS + 1);
        for answer in [
            format!("HTTP/1.1 200 {}", "x".repeat(2 * MAX_HEAD)),
            format!("HTTP/1.1 200 OK\r\n{}", "A: b\r\n".repeat(MAX_HEAD)),
            "HTTP/1.1 100 Continue\r\n\r\n".repeat(MAX_HEAD / 20),
            format!("HTTP/1.1 200 OK\r\n{fields}\r\n"),
        ] {
            assert_eq!(refusal("http://proxy", ASKED, &answer), "the proxy's answer is too long");
        }
        let mut tunnel = Proxy::parse("http://proxy").unwrap().tunnel("h", 1).unwrap();
        let start = b"HTTP/1.1 200 ";
        let taken =
            (0..).take_while(|&at| tunnel.received(&[*start.get(at).unwrap_or(&b'x')]).is_ok()).count();
        assert_eq!(taken, MAX_HEAD);
    }
}
