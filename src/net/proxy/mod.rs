//! Proxies: which one to go through, and the negotiation with it until a tunnel stands (RFC 9110 section 9.3.6; RFC 1928, 1929).
//!
//! Knows the URL of a proxy, HTTP's CONNECT, SOCKS 5 and the rules of the environment. Must not know sockets, clocks or
//! what goes through the tunnel: bytes in, bytes out, a verdict. It never takes a byte of the tunnel itself, for it says
//! how many may be read: the other end begins to speak with the byte after its answer.
//!
//! | file | knows |
//! | --- | --- |
//! | `url` | the URL of a proxy |
//! | `environment` | the variables that name a proxy, and those that exempt from it |
//! | `http` | CONNECT and the head that answers it |
//! | `socks` | the three rounds of SOCKS 5 |

mod environment;
mod http;
mod socks;
mod url;

pub(crate) use self::url::Proxy;

use self::url::{Kind, invalid, is_host};
use crate::error::{Error, ProxyError};
use std::fmt;

impl Proxy {
    /// The proxy that the environment names for this destination, if any; IPv6 comes without brackets.
    ///
    /// The first of these that is set and not empty: `https_proxy` or `HTTPS_PROXY` for `wss`, `http_proxy` for `ws`
    /// (not `HTTP_PROXY`, which a CGI program has from a header of its client's), then `all_proxy` or `ALL_PROXY`. It may
    /// do without `http://`. `no_proxy` or `NO_PROXY` exempts: `*`, or a list, with commas or spaces between, of names,
    /// which stand for their subdomains, too, of addresses and of blocks like `10.0.0.0/8`; names and addresses may have
    /// a port.
    pub fn from_environment(
        secure: bool,
        host: &str,
        port: u16,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, Error> {
        Ok(environment::find(secure, host, port, variable)?.map(|(proxy, _)| proxy))
    }

    /// The same as a URL that [`parse`](Self::parse) takes, with the port, and with user name and password where it has
    /// them.
    pub fn url_from_environment(
        secure: bool,
        host: &str,
        port: u16,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<String>, Error> {
        Ok(environment::find(secure, host, port, variable)?.map(|(_, url)| url))
    }

    /// Begins the negotiation that ends in a tunnel to this destination; IPv6 comes without brackets.
    pub fn tunnel(&self, host: &str, port: u16) -> Result<Tunnel, Error> {
        if !is_host(host) {
            return Err(invalid("the host to reach is neither a name nor an address"));
        }
        let mut output = Vec::new();
        let negotiation = match self.kind {
            Kind::Http => Negotiation::Http(http::Negotiation::begin(
                host,
                port,
                self.credentials.as_ref(),
                &mut output,
            )),
            Kind::Socks => Negotiation::Socks(socks::Negotiation::begin(
                host,
                port,
                self.credentials.as_ref(),
                &mut output,
            )?),
        };
        Ok(Tunnel { negotiation, output, sent: 0 })
    }
}

/// The negotiation with a proxy, without I/O: send [`output`](Self::output), read at most [`wanted`](Self::wanted) bytes and
/// hand them to [`received`](Self::received), until that says that the tunnel stands.
pub struct Tunnel {
    negotiation: Negotiation,
    output: Vec<u8>,
    /// How much of the output has left.
    sent: usize,
}

#[derive(Debug)]
enum Negotiation {
    Http(http::Negotiation),
    Socks(socks::Negotiation),
}

impl Tunnel {
    /// Bytes to send to the proxy now; empty, where it is the proxy's turn.
    pub fn output(&self) -> &[u8] {
        self.output.get(self.sent..).unwrap_or_default()
    }

    /// So many bytes of the output have been sent.
    pub fn sent(&mut self, n: usize) {
        self.sent = self.sent.saturating_add(n).min(self.output.len());
    }

    /// At most so many bytes may be read now: as many as the answer goes on for at least, so that nothing of what comes
    /// through the tunnel is taken. 0 where the tunnel stands.
    pub fn wanted(&self) -> usize {
        match &self.negotiation {
            Negotiation::Http(negotiation) => negotiation.wanted(),
            Negotiation::Socks(negotiation) => negotiation.wanted(),
        }
    }

    /// Takes what was read, at most [`wanted`](Self::wanted) bytes; whether the tunnel stands. Afterwards there may be
    /// output again. An error ends the negotiation.
    pub fn received(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        if bytes.len() > self.wanted() {
            return Err(Error::Misuse("more bytes were read than the proxy's answer has"));
        }
        for &byte in bytes {
            match &mut self.negotiation {
                Negotiation::Http(negotiation) => negotiation.take(byte)?,
                Negotiation::Socks(negotiation) => negotiation.take(byte, &mut self.output)?,
            }
        }
        Ok(self.wanted() == 0)
    }

    /// What it means that the stream of the proxy ends here.
    pub fn ended(&self) -> Error {
        ProxyError::Closed.into()
    }
}

/// The output holds the credentials.
impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("negotiation", &self.negotiation)
            .field("output", &format_args!("{} bytes", self.output().len()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Talks to a proxy about port 443 of `host`, at every chunking: a round is what is asked and what is answered. What
    /// comes of it is the same each time; what comes behind the last answer is not touched, and no secret is told.
    pub(super) fn talk(url: &str, host: &str, rounds: &[(&[u8], &[u8])]) -> Result<(), String> {
        let proxy = Proxy::parse(url).unwrap();
        let [first, others @ ..] =
            [1, 2, 3, 7, usize::MAX].map(|step| talk_in_steps(&proxy, host, rounds, step));
        assert!(others.iter().all(|other| *other == first), "{first:?} {others:?}");
        first
    }

    fn talk_in_steps(
        proxy: &Proxy,
        host: &str,
        rounds: &[(&[u8], &[u8])],
        step: usize,
    ) -> Result<(), String> {
        let mut tunnel = proxy.tunnel(host, 443).map_err(|error| error.to_string())?;
        let mut stands = false;
        for (question, answer) in rounds {
            assert!(!stands);
            let mut asked = Vec::new();
            while !tunnel.output().is_empty() {
                let n = tunnel.output().len().min(step);
                asked.extend_from_slice(&tunnel.output()[..n]);
                tunnel.sent(n);
            }
            assert_eq!(asked.escape_ascii().to_string(), question.escape_ascii().to_string());
            let stream = [*answer, b"what follows"].concat();
            let mut rest = &stream[..];
            while !stands && tunnel.output().is_empty() {
                assert_no_secret(&format!("{tunnel:?}"));
                let (now, later) = rest.split_at(tunnel.wanted().min(step));
                stands = tunnel.received(now).map_err(|error| error.to_string()).inspect_err(|error| {
                    assert_no_secret(error);
                })?;
                rest = later;
            }
            assert_eq!(rest, b"what follows");
        }
        assert!(stands && tunnel.wanted() == 0 && tunnel.output().is_empty());
        assert!(matches!(tunnel.received(b"w"), Err(Error::Misuse(_))));
        Ok(())
    }

    /// The password of these tests is `s3cret`, and `bWU6czNjcmV0` is `me:s3cret` in base64.
    pub(super) fn assert_no_secret(text: &str) {
        let bytes = format!("{:?}", b"s3cret");
        for secret in ["s3cret", "czNjcmV0", bytes.trim_matches(['[', ']'])] {
            assert!(!text.contains(secret), "{text}");
        }
    }

    #[test]
    fn nothing_can_be_smuggled_into_the_talk_by_the_host() {
        let long = "x".repeat(256);
        for url in ["http://proxy", "socks5://proxy"] {
            for host in ["", "a b", "a\r\nb", "a\0", "a:1", "a/b", "[::1]", "u@h", "ä", "::1%eth0", "1:2"] {
                let result = Proxy::parse(url).unwrap().tunnel(host, 443);
                assert!(matches!(result, Err(Error::InvalidArgument(_))), "{host:?}");
            }
        }
        let socks = Proxy::parse("socks5://proxy").unwrap();
        assert!(socks.tunnel(&long[1..], 443).is_ok());
        assert!(matches!(socks.tunnel(&long, 443), Err(Error::InvalidArgument(_))));
    }

    #[test]
    fn more_than_is_wanted_is_not_taken() {
        for url in ["http://proxy", "socks5://proxy"] {
            let mut tunnel = Proxy::parse(url).unwrap().tunnel("host", 443).unwrap();
            let bytes = vec![5; tunnel.wanted() + 1];
            assert!(matches!(tunnel.received(&bytes), Err(Error::Misuse(_))));
        }
    }

    #[test]
    fn a_stream_that_ends_early_is_said() {
        let mut tunnel = Proxy::parse("socks5://proxy").unwrap().tunnel("host", 443).unwrap();
        assert!(!tunnel.received(&[5]).unwrap());
        assert_eq!(
            tunnel.ended().to_string(),
            "the proxy closed the connection before the tunnel was established"
        );
    }
}
