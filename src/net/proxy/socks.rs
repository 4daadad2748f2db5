//! SOCKS 5 (RFC 1928) with user name and password (RFC 1929): how to log in, the login, the destination. Each is a
//! question and an answer, whose length is known from its first bytes.

use super::url::{Credentials, address, invalid};
use crate::error::{Error, ProxyError};
use std::fmt;
use std::net::IpAddr;

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
const CONNECT: u8 = 1;

/// Ways to log in.
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const NO_WAY: u8 = 0xFF;

/// Kinds of address.
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The talk, one round after the other.
pub(super) struct Negotiation {
    round: Round,
    /// The answer of this round as far as it has come.
    answer: Vec<u8>,
    /// The questions of the rounds to come; no login, where there are no credentials.
    login: Option<Vec<u8>>,
    request: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    Method,
    Login,
    Request,
    Over,
}

impl Negotiation {
    /// Writes the first question.
    pub(super) fn begin(
        host: &str,
        port: u16,
        credentials: Option<&Credentials>,
        output: &mut Vec<u8>,
    ) -> Result<Self, Error> {
        let mut request = vec![VERSION, CONNECT, 0];
        match address(host) {
            Some(IpAddr::V4(address)) => {
                request.push(IPV4);
                request.extend_from_slice(&address.octets());
            }
            Some(IpAddr::V6(address)) => {
                request.push(IPV6);
                request.extend_from_slice(&address.octets());
            }
            None => {
                request.push(NAME);
                push_counted(&mut request, host.as_bytes())
                    .ok_or_else(|| invalid("SOCKS allows host names of at most 255 bytes"))?;
            }
        }
        request.extend_from_slice(&port.to_be_bytes());
        let login = credentials.map(login).transpose()?;
        output.extend_from_slice(match login {
            Some(_) => &[VERSION, 2, NO_LOGIN, PASSWORD],
            None => &[VERSION, 1, NO_LOGIN],
        });
        Ok(Self { round: Round::Method, answer: Vec::new(), login, request })
    }

    /// How many bytes the answer of this round goes on for at least.
    pub(super) fn wanted(&self) -> usize {
        let length = match (self.round, self.answer.as_slice()) {
            (Round::Over, _) => 0,
            (Round::Method | Round::Login, _) => 2,
            (Round::Request, [_, _, _, IPV4, _, ..]) => 4 + 4 + 2,
            (Round::Request, [_, _, _, IPV6, _, ..]) => 4 + 16 + 2,
            (Round::Request, [_, _, _, _, length, ..]) => 4 + 1 + usize::from(*length) + 2,
            (Round::Request, _) => 5,
        };
        length.saturating_sub(self.answer.len())
    }

    /// Looks at the next byte of the answer, and asks on where that ends it.
    pub(super) fn take(&mut self, byte: u8, output: &mut Vec<u8>) -> Result<(), Error> {
        self.answer.push(byte);
        match (self.round, self.answer.as_slice()) {
            // Some servers repeat the version of SOCKS where that of the login belongs.
            (Round::Login, [LOGIN_VERSION | VERSION] | [_, 0]) => {}
            (Round::Login, [_, _]) => return Err(ProxyError::CredentialsRefused.into()),
            (Round::Method | Round::Request, [VERSION]) => {}
            (Round::Method, [_, NO_LOGIN]) => {}
            (Round::Method, [_, PASSWORD]) if self.login.is_some() => {}
            (Round::Method, [_, NO_WAY]) if self.login.is_some() => {
                return Err(ProxyError::NoWayToLogIn.into());
            }
            (Round::Method, [_, NO_WAY]) => return Err(ProxyError::CredentialsMissing.into()),
            (Round::Request, [_, 0]) => {}
            (Round::Request, [_, reply]) => return Err(ProxyError::Socks(*reply).into()),
            (Round::Request, [_, _, _] | [_, _, _, IPV4 | NAME | IPV6, ..]) => {}
            _ => return Err(ProxyError::NotSocks.into()),
        }
        if self.wanted() == 0 {
            self.next_round(output);
        }
        Ok(())
    }

    fn next_round(&mut self, output: &mut Vec<u8>) {
        let method = self.answer.last().copied();
        self.answer.clear();
        self.round = match (self.round, self.login.take()) {
            (Round::Method, Some(login)) if method == Some(PASSWORD) => {
                output.extend_from_slice(&login);
                Round::Login
            }
            (Round::Method | Round::Login, _) => {
                output.append(&mut self.request);
                Round::Request
            }
            (Round::Request | Round::Over, _) => Round::Over,
        };
    }
}

/// The question holds the password.
impl fmt::Debug for Negotiation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socks").field("round", &self.round).field("answer", &self.answer).finish()
    }
}

fn login(credentials: &Credentials) -> Result<Vec<u8>, Error> {
    let mut login = vec![LOGIN_VERSION];
    push_counted(&mut login, &credentials.user)
        .and_then(|()| push_counted(&mut login, &credentials.password))
        .ok_or_else(|| invalid("SOCKS allows user names and passwords of at most 255 bytes"))?;
    Ok(login)
}

/// Appends a field behind its length; `None` where that does not fit in a byte.
fn push_counted(bytes: &mut Vec<u8>, field: &[u8]) -> Option<()> {
    bytes.push(u8::try_from(field.len()).ok()?);
    bytes.extend_from_slice(field);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::talk;

    const OPEN: &str = "socks5://proxy";
    const LOCKED: &str = "socks5h://me:s3cret@proxy";

    const METHOD: (&[u8], &[u8]) = (b"\x05\x01\x00", b"\x05\x00");
    const REQUEST: &[u8] = b"\x05\x01\x00\x03\x0bexample.com\x01\xBB";
    const DONE: &[u8] = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x10\x92";

    fn refusal(url: &str, rounds: &[(&[u8], &[u8])]) -> String {
        talk(url, "example.com", rounds).unwrap_err()
    }

    #[test]
    fn a_name_goes_to_the_proxy_as_it_is() {
        talk(OPEN, "example.com", &[METHOD, (REQUEST, DONE)]).unwrap();
    }

    #[test]
    fn an_address_goes_as_an_address() {
        let four = b"\x05\x01\x00\x01\x0a\x01\x02\x03\x01\xBB";
        talk(OPEN, "10.1.2.3", &[METHOD, (four, DONE)]).unwrap();
        let six = b"\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\xBB";
        talk(OPEN, "2001:db8::1", &[METHOD, (six, DONE)]).unwrap();
    }

    #[test]
    fn the_bound_address_is_read_to_its_end_whatever_its_kind() {
        let name = |length: u8| {
            let text = vec![b'n'; length.into()];
            [&b"\x05\x00\x00\x03"[..], &[length], &text, b"\x00\x50"].concat()
        };
        let six = [&b"\x05\x00\x00\x04"[..], &[0xFE; 16], b"\x00\x00"].concat();
        for answer in [six, name(0), name(1), name(255), b"\x05\x00\xff\x01\x00\x00\x00\x00\x00\x00".to_vec()]
        {
            talk(OPEN, "example.com", &[METHOD, (REQUEST, &answer)]).unwrap();
        }
    }

    #[test]
    fn the_login_is_made_where_the_proxy_asks_for_it() {
        let offer = b"\x05\x02\x00\x02";
        let login = b"\x01\x02me\x06s3cret";
        talk(LOCKED, "example.com", &[(offer, b"\x05\x00"), (REQUEST, DONE)]).unwrap();
        for taken in [b"\x01\x00", b"\x05\x00"] {
            talk(LOCKED, "example.com", &[(offer, b"\x05\x02"), (login, taken), (REQUEST, DONE)]).unwrap();
        }
        for refused in [b"\x01\x01", b"\x01\xFF"] {
            assert_eq!(
                refusal(LOCKED, &[(offer, b"\x05\x02"), (login, refused)]),
                "the proxy rejected the user name and password"
            );
        }
        assert_eq!(
            refusal(LOCKED, &[(offer, b"\x05\xFF")]),
            "the proxy accepts neither a user name and password nor unauthenticated clients"
        );
        assert_eq!(
            refusal(OPEN, &[(METHOD.0, b"\x05\xFF")]),
            "the proxy requires a user name and a password, but none were given"
        );
        assert_eq!(
            refusal(LOCKED, &[(offer, b"\x05\x02"), (login, b"\x02\x00")]),
            "the proxy's answer is not SOCKS 5"
        );
    }

    #[test]
    fn each_reply_has_a_sentence() {
        for (reply, sentence) in [
            (1, "the proxy failed (SOCKS reply 1)"),
            (2, "the proxy's rules do not allow this connection (SOCKS reply 2)"),
            (3, "the proxy cannot reach the network of the host (SOCKS reply 3)"),
            (4, "the proxy cannot reach the host (SOCKS reply 4)"),
            (5, "the host refused the proxy's connection (SOCKS reply 5)"),
            (6, "the proxy's connection to the host exceeded its time to live (TTL) (SOCKS reply 6)"),
            (7, "the proxy does not support CONNECT (SOCKS reply 7)"),
            (8, "the proxy does not support this kind of address (SOCKS reply 8)"),
            (9, "the proxy refused (SOCKS reply 9)"),
            (255, "the proxy refused (SOCKS reply 255)"),
        ] {
            // The reply is told at once: some proxies send nothing behind it.
            assert_eq!(refusal(OPEN, &[METHOD, (REQUEST, &[5, reply])]), sentence);
        }
    }

    #[test]
    fn what_is_not_socks_5_is_refused() {
        for answer in
            [&b"\x04\x00"[..], b"HTTP/1.1 400 Bad\r\n", b"\x00", b"\x05\x01", b"\x05\x02", b"\x05\x80"]
        {
            assert_eq!(refusal(OPEN, &[(METHOD.0, answer)]), "the proxy's answer is not SOCKS 5");
        }
        for answer in
            [&b"\x04"[..], b"\x01\x00", b"\x05\x00\x00\x00", b"\x05\x00\x00\x02", b"\x05\x00\x00\xFF"]
        {
            assert_eq!(refusal(OPEN, &[METHOD, (REQUEST, answer)]), "the proxy's answer is not SOCKS 5");
        }
    }
}
