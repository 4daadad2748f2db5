//! The URL of a proxy: where it is, how it is spoken to, and who asks. Knows its grammar, which is stricter than that of other
//! URLs, and hides what is secret in it.

use crate::error::Error;
use crate::proto::handshake::split_url;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A proxy: where it is, how it is spoken to, and who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(super) kind: Kind,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) credentials: Option<Credentials>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Http,
    Socks,
}

/// User name and password, percent-decoded; they need not be UTF-8.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: Vec<u8>,
    pub(super) password: Vec<u8>,
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

    /// The host to connect to: a name or an address, IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
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

pub(super) fn invalid(why: &'static str) -> Error {
    Error::InvalidArgument(why)
}

/// Whether this is a name or an address, with nothing in it that could end a line or a field.
pub(super) fn is_host(host: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"#%,/:;<>?@[\\]^`{|}".contains(&byte);
    host.parse::<Ipv6Addr>().is_ok() || (!host.is_empty() && host.bytes().all(is_plain))
}

/// The address that a host is, where it is no name. IPv4 in the dress of IPv6 counts as IPv4.
pub(super) fn address(host: &str) -> Option<IpAddr> {
    host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_no_secret;
    use super::*;

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
}
