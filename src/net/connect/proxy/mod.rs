//! Proxies: which one to go through, and the talk with it until a tunnel stands (RFC 9110 section 9.3.6; RFC 1928, 1929).
//!
//! Knows the URL of a proxy, HTTP's CONNECT, SOCKS 5 and the rules of the environment. Must not know sockets, clocks or
//! what goes through the tunnel: bytes in, bytes out, a verdict. It never takes a byte of the tunnel itself, for it says
//! how many may be read: the other end begins to speak with the byte after its answer.
//!
//! | file | knows |
//! | --- | --- |
//! | `environment` | the variables that name a proxy, and those that exempt from it |
//! | `http` | CONNECT and the head that answers it |
//! | `socks` | the three rounds of SOCKS 5 |

mod environment;
mod http;
mod socks;

use crate::error::{Error, ProxyError};
use crate::proto::handshake::split_url;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A proxy: where it is, how it is spoken to, and who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    credentials: Option<Credentials>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http,
    Socks,
}

/// User name and password, percent-decoded; they need not be UTF-8.
#[derive(Clone, PartialEq, Eq)]
struct Credentials {
    user: Vec<u8>,
    password: Vec<u8>,
}

impl Proxy {
    /// Reads `http://[user[:password]@]host[:port]`, or the same with `socks5` or `socks5h`; without a port it is 1080 for
    /// all of them, as curl has it. Names of destinations are always resolved by the proxy. What is wrong is told as
    /// [`Error::InvalidArgument`], without the URL, which may hold a password.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let no_url = || invalid("the URL of the proxy is not a valid URL");
        let (scheme, authority, rest) = split_url(url).filter(|_| !url.contains(' ')).ok_or_else(no_url)?;
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "http" => Kind::Http,
            "socks5" | "socks5h" => Kind::Socks,
            "https" => return Err(invalid("a proxy that requires TLS (https://) is not supported")),
            "socks4" | "socks4a" => return Err(invalid("only version 5 of SOCKS is supported: socks5://")),
            _ => return Err(invalid("the scheme of the proxy is neither http nor socks5")),
        };
        let authority = authority.ok_or_else(|| invalid("the URL of the proxy has no host"))?;
        if !matches!(rest, "" | "/") {
            return Err(invalid("the URL of a proxy must end with the port"));
        }
        let (userinfo, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        if userinfo.contains('@') {
            return Err(no_url());
        }
        let colon = address.rfind(':').filter(|colon| !address[*colon..].contains(']'));
        let (host, port) = colon.map_or((address, ""), |colon| (&address[..colon], &address[colon + 1..]));
        if host.is_empty() {
            return Err(invalid("the URL of the proxy has no host"));
        }
        // As in the URLs of servers: names in other scripts are converted, addresses normalised.
        let host = match url::Host::parse(host) {
            Ok(url::Host::Ipv6(address)) => address.to_string(),
            Ok(other) if !host.contains('%') => other.to_string(),
            _ => String::new(),
        };
        if !is_host(&host) {
            return Err(invalid("the host of the proxy is neither a name nor an address"));
        }
        let port = match port.parse() {
            _ if port.is_empty() => 1080,
            Ok(number @ 1..) if port.bytes().all(|byte| byte.is_ascii_digit()) => number,
            _ => return Err(invalid("the port of the proxy is not a number from 1 to 65535")),
        };
        let credentials = match userinfo {
            "" => None,
            userinfo => Some(Credentials::new(userinfo, kind)?),
        };
        Ok(Self { kind, host, port, credentials })
    }

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

    /// The host to connect to: a name or an address, IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Begins the talk that ends in a tunnel to this destination; IPv6 comes without brackets.
    pub fn tunnel(&self, host: &str, port: u16) -> Result<Tunnel, Error> {
        if !is_host(host) {
            return Err(invalid("the host to reach is neither a name nor an address"));
        }
        let mut output = Vec::new();
        let talk = match self.kind {
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
        Ok(Tunnel { talk, output, sent: 0 })
    }
}

/// The talk with a proxy, without I/O: send [`output`](Self::output), read at most [`wanted`](Self::wanted) bytes and
/// hand them to [`received`](Self::received), until that says that the tunnel stands.
pub struct Tunnel {
    talk: Negotiation,
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
        match &self.talk {
            Negotiation::Http(talk) => talk.wanted(),
            Negotiation::Socks(talk) => talk.wanted(),
        }
    }

    /// Takes what was read, at most [`wanted`](Self::wanted) bytes; whether the tunnel stands. Afterwards there may be
    /// output again. An error ends the talk.
    pub fn received(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        if bytes.len() > self.wanted() {
            return Err(Error::Misuse("more bytes were read than the proxy's answer has"));
        }
        for &byte in bytes {
            match &mut self.talk {
                Negotiation::Http(talk) => talk.take(byte)?,
                Negotiation::Socks(talk) => talk.take(byte, &mut self.output)?,
            }
        }
        Ok(self.wanted() == 0)
    }

    /// What it means that the stream of the proxy ends here.
    pub fn ended(&self) -> Error {
        ProxyError::Closed.into()
    }
}

impl Credentials {
    fn new(userinfo: &str, kind: Kind) -> Result<Self, Error> {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        let decode = |text| percent_decode_str(text).collect();
        let credentials = Self { user: decode(user), password: decode(password) };
        let fields = [&credentials.user, &credentials.password];
        if fields.iter().any(|field| field.iter().any(u8::is_ascii_control)) {
            return Err(invalid("the user name or password for the proxy contains a control character"));
        }
        match kind {
            Kind::Http if credentials.user.contains(&b':') => {
                Err(invalid("HTTP allows no colon in a user name")) // RFC 7617 section 2
            }
            Kind::Socks if fields.iter().any(|field| !(1..=255).contains(&field.len())) => {
                Err(invalid("SOCKS requires a user name and a password of 1 to 255 bytes each")) // RFC 1929
            }
            _ => Ok(credentials),
        }
    }
}

/// Neither of these says more than that there are credentials.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("kind", &self.kind)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("credentials", &self.credentials)
            .finish()
    }
}

/// The output holds the credentials.
impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("talk", &self.talk)
            .field("output", &format_args!("{} bytes", self.output().len()))
            .finish()
    }
}

fn invalid(why: &'static str) -> Error {
    Error::InvalidArgument(why)
}

/// Whether this is a name or an address, with nothing in it that could end a line or a field.
fn is_host(host: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"#%,/:;<>?@[\\]^`{|}".contains(&byte);
    host.parse::<Ipv6Addr>().is_ok() || (!host.is_empty() && host.bytes().all(is_plain))
}

/// The address that a host is, where it is no name. IPv4 in the dress of IPv6 counts as IPv4.
fn address(host: &str) -> Option<IpAddr> {
    host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
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
    fn assert_no_secret(text: &str) {
        let bytes = format!("{:?}", b"s3cret");
        for secret in ["s3cret", "czNjcmV0", bytes.trim_matches(['[', ']'])] {
            assert!(!text.contains(secret), "{text}");
        }
    }

    #[test]
    fn the_url_of_a_proxy_comes_apart() {
        for (url, kind, host, port, credentials) in [
            ("http://proxy", Kind::Http, "proxy", 1080, None),
            ("HTTP://proxy:8080/", Kind::Http, "proxy", 8080, None),
            ("http://proxy:", Kind::Http, "proxy", 1080, None),
            ("http://proxy:80", Kind::Http, "proxy", 80, None),
            ("http://b\u{fc}cher.example:1", Kind::Http, "xn--bcher-kva.example", 1, None),
            ("socks5://127.1:1", Kind::Socks, "127.0.0.1", 1, None),
            ("http://@proxy:1", Kind::Http, "proxy", 1, None),
            ("http://me@proxy", Kind::Http, "proxy", 1080, Some(("me", ""))),
            ("http://me:s3cret@[::1]:3128", Kind::Http, "::1", 3128, Some(("me", "s3cret"))),
            ("http://m%40e:a%3Ab:c%25@10.0.0.1", Kind::Http, "10.0.0.1", 1080, Some(("m@e", "a:b:c%"))),
            ("socks5://proxy", Kind::Socks, "proxy", 1080, None),
            ("socks5h://m%3Ae:s3cret@proxy:9", Kind::Socks, "proxy", 9, Some(("m:e", "s3cret"))),
        ] {
            let credentials = credentials.map(|(user, password)| Credentials {
                user: user.as_bytes().to_vec(),
                password: password.as_bytes().to_vec(),
            });
            let expected = Proxy { kind, host: host.to_owned(), port, credentials };
            let proxy = Proxy::parse(url).unwrap();
            assert!(proxy == expected && (proxy.host(), proxy.port()) == (host, port), "{url}: {proxy:?}");
            assert_no_secret(&format!("{proxy:?} {proxy:#?}"));
        }
    }

    #[test]
    fn what_is_wrong_with_the_url_of_a_proxy_is_said() {
        let long = format!("socks5://me:{}@proxy", "x".repeat(256));
        for (url, sentence) in [
            ("", "not a valid URL"),
            ("proxy", "not a valid URL"),
            ("http://pro xy", "not a valid URL"),
            ("http://me:s3cret\r\n@proxy", "not a valid URL"),
            ("http://me:s3cret@@proxy", "not a valid URL"),
            ("http://[::1", "neither a name nor an address"),
            ("http://127.0.0.256", "neither a name nor an address"),
            ("http://xn--a", "neither a name nor an address"),
            ("http://[::1]x:1", "neither a name nor an address"),
            ("http://a:b:1", "neither a name nor an address"),
            ("http://proxy:+80", "1 to 65535"),
            ("http://proxy:8x", "1 to 65535"),
            ("proxy:8080", "neither http nor socks5"),
            ("ftp://proxy", "neither http nor socks5"),
            ("https://me:s3cret@proxy", "TLS"),
            ("socks4://proxy", "version 5"),
            ("socks4a://proxy", "version 5"),
            ("http:proxy", "no host"),
            ("http:///", "no host"),
            ("http://:8080", "no host"),
            ("http://me:s3cret@", "no host"),
            ("http://pr%6Fxy", "neither a name nor an address"),
            ("http://a;b", "neither a name nor an address"),
            ("http://[v1.x]", "neither a name nor an address"),
            ("http://proxy/path", "must end with the port"),
            ("http://proxy?query", "must end with the port"),
            ("http://proxy#part", "must end with the port"),
            ("http://proxy:0", "1 to 65535"),
            ("http://proxy:65536", "1 to 65535"),
            ("http://m%3Ae:s3cret@proxy", "no colon"),
            ("http://me:s3cret%0D%0A@proxy", "control character"),
            ("http://m%00e:s3cret@proxy", "control character"),
            ("socks5://me@proxy", "1 to 255"),
            ("socks5://:s3cret@proxy", "1 to 255"),
            (&long, "1 to 255"),
        ] {
            let error = Proxy::parse(url).unwrap_err();
            assert!(
                matches!(error, Error::InvalidArgument(why) if why.contains(sentence)),
                "{url:?}: {error}"
            );
            assert_no_secret(&format!("{error} {error:?}"));
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
