//! `ws` and `wss` URLs (RFC 6455 section 3), and `ws+unix` ones for Unix sockets: text in, the parts a handshake needs
//! out. Resolves no names, opens nothing, and does not know whether TLS is there.

use crate::error::UrlError;
use fluent_uri::Uri;
use fluent_uri::pct_enc::{EStr, encoder::Path};

/// What the `Host` header of a request over a Unix socket says.
const UNIX_HOST: &str = "localhost";

/// The parts of a `ws` or `wss` URL. It is always valid: there is no CR, LF, NUL or space in any part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    secure: bool,
    host: String,
    port: u16,
    authority: String,
    target: String,
    socket_path: Option<Vec<u8>>,
}

impl Url {
    /// Reads a URL. Characters that RFC 3986 does not allow have to be percent-encoded by the caller.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        match Self::parse_local(text)? {
            Self { port: 0, .. } => Err(UrlError::Port),
            url => Ok(url),
        }
    }

    /// Like [`parse`](Self::parse), for a place to listen at: port 0 stands for any free one.
    pub fn parse_local(text: &str) -> Result<Self, UrlError> {
        let uri = Uri::parse(text).map_err(|_| UrlError::Malformed)?;
        let scheme = uri.scheme().as_str();
        if scheme.eq_ignore_ascii_case("ws+unix") {
            return match uri.has_fragment() {
                true => Err(UrlError::Fragment),
                false => Self::parse_unix(&text[scheme.len() + 1..]),
            };
        }
        let secure = if scheme.eq_ignore_ascii_case("ws") {
            false
        } else if scheme.eq_ignore_ascii_case("wss") {
            true
        } else {
            return Err(UrlError::Scheme);
        };
        if uri.has_fragment() {
            return Err(UrlError::Fragment);
        }
        let authority = uri.authority().ok_or(UrlError::NoHost)?;
        if authority.has_userinfo() {
            return Err(UrlError::UserInfo);
        }
        let bracketed = authority.host();
        let host = match bracketed.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) if address.starts_with(['v', 'V']) => return Err(UrlError::Malformed), // of a future kind
            Some(address) => address,
            None => bracketed,
        };
        if host.is_empty() {
            return Err(UrlError::NoHost);
        }
        if host.contains('%') {
            return Err(UrlError::Malformed); // no name that a resolver knows has to be written like this
        }
        let default_port = if secure { 443 } else { 80 };
        let port = authority.port_to_u16().map_err(|_| UrlError::Port)?.unwrap_or(default_port);
        let mut target = uri.path().as_str().to_owned();
        if target.is_empty() {
            target.push('/');
        }
        if let Some(query) = uri.query() {
            target.push('?');
            target.push_str(query.as_str());
        }
        let authority =
            if port == default_port { bracketed.to_owned() } else { format!("{bracketed}:{port}") };
        Ok(Self { secure, host: host.to_owned(), port, authority, target, socket_path: None })
    }

    /// What follows `ws+unix:`: `//`, the path of the socket, and after a colon the target. A colon in the path is
    /// written `%3A`.
    fn parse_unix(rest: &str) -> Result<Self, UrlError> {
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (path, target) = rest.split_once(':').unwrap_or((rest, "/"));
        let path = EStr::<Path>::new(path).ok_or(UrlError::Malformed)?.decode().to_bytes().into_owned();
        if path.is_empty() || path == b"@" {
            return Err(UrlError::NoHost);
        }
        if path.contains(&0) {
            return Err(UrlError::Malformed);
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self {
            secure: false,
            host: UNIX_HOST.to_owned(),
            port: 80,
            authority: UNIX_HOST.to_owned(),
            target: format!("{slash}{target}"),
            socket_path: Some(path),
        })
    }

    /// Whether this is a `wss` URL.
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// The host to connect to: a name or an address, IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to: 80, or 443 for `wss`, where the URL names none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Of a `ws+unix` URL, the path of the socket. One that begins with `@` is a name in Linux's abstract namespace.
    pub fn socket_path(&self) -> Option<&[u8]> {
        self.socket_path.as_deref()
    }

    /// Host and port as the `Host` header wants them: IPv6 in brackets, the usual port left out.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// What is asked of the host: path and query, at least `/`.
    pub fn target(&self) -> &str {
        &self.target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (bool, String, u16, String, String) {
        let url = Url::parse(text).unwrap();
        (url.secure, url.host, url.port, url.authority, url.target)
    }

    #[track_caller]
    fn expect(text: &str, secure: bool, host: &str, port: u16, authority: &str, target: &str) {
        assert_eq!(parts(text), (secure, host.to_owned(), port, authority.to_owned(), target.to_owned()));
    }

    #[test]
    fn urls_come_apart() {
        expect("ws://example.com", false, "example.com", 80, "example.com", "/");
        expect("ws://example.com:80/", false, "example.com", 80, "example.com", "/");
        expect("ws://example.com:/", false, "example.com", 80, "example.com", "/");
        expect("wss://example.com:80", true, "example.com", 80, "example.com:80", "/");
        expect(
            "WSS://example.com/a%20b/?x=1&y=/?",
            true,
            "example.com",
            443,
            "example.com",
            "/a%20b/?x=1&y=/?",
        );
        expect("Ws://127.0.0.1:9001?q", false, "127.0.0.1", 9001, "127.0.0.1:9001", "/?q");
        expect("ws://[::1]:9001/", false, "::1", 9001, "[::1]:9001", "/");
        expect("ws://[2001:db8::1]//a", false, "2001:db8::1", 80, "[2001:db8::1]", "//a");
    }

    #[test]
    fn unix_sockets_have_a_path_and_a_target() {
        for (text, path, target) in [
            ("ws+unix:///run/chat.sock:/room?x=1:2", "/run/chat.sock", "/room?x=1:2"),
            ("ws+unix:///run/chat.sock", "/run/chat.sock", "/"),
            ("ws+unix:///run/chat.sock:", "/run/chat.sock", "/"),
            ("ws+unix:///run/chat.sock:?q", "/run/chat.sock", "/?q"),
            ("ws+unix:/run/chat.sock:/a", "/run/chat.sock", "/a"),
            ("WS+UNIX://./chat%20%3A.sock:/a", "./chat :.sock", "/a"),
            ("ws+unix://chat.sock:/a", "chat.sock", "/a"),
            ("ws+unix://@name:/a", "@name", "/a"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(url.socket_path(), Some(path.as_bytes()), "{text}");
            assert_eq!((url.target(), url.authority(), url.secure()), (target, "localhost", false), "{text}");
        }
        for (text, error) in [
            ("ws+unix://", UrlError::NoHost),
            ("ws+unix:///a%00b", UrlError::Malformed),
            ("ws+unix:///a b", UrlError::Malformed),
            ("ws+unix:///a:/\r\nX: y", UrlError::Malformed),
            ("ws+unix:///a:/#f", UrlError::Fragment),
            ("ws+unix://@:/", UrlError::NoHost),
            ("wss+unix:///a", UrlError::Scheme),
        ] {
            assert_eq!(Url::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn cr_lf_nul_and_space_in_a_url_are_refused() {
        for bad in ["\r", "\n", "\0", " ", "\r\nX-Evil: 1", "\t", "ä", "\\", "\"", "%", "%0", "%zz"] {
            for url in [
                format!("ws://h/{bad}"),
                format!("ws://h/?{bad}"),
                format!("ws://h{bad}/"),
                format!("ws:{bad}//h"),
            ] {
                assert_eq!(Url::parse(&url), Err(UrlError::Malformed), "{url:?}");
            }
        }
        for url in ["\nws://h/", " ws://h/", "ws://h:\r\n80/", "ws://h\0.example/"] {
            assert_eq!(Url::parse(url), Err(UrlError::Malformed), "{url:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said() {
        for (url, error) in [
            ("", UrlError::Malformed),
            ("example.com/chat", UrlError::Malformed),
            ("//example.com/chat", UrlError::Malformed),
            ("http://example.com", UrlError::Scheme),
            ("wsx://example.com", UrlError::Scheme),
            ("ws://example.com/#", UrlError::Fragment),
            ("ws://example.com/a#b", UrlError::Fragment),
            ("ws:example.com", UrlError::NoHost),
            ("ws:///path", UrlError::NoHost),
            ("ws://:80/", UrlError::NoHost),
            ("ws://me:secret@example.com/", UrlError::UserInfo),
            ("ws://@example.com/", UrlError::UserInfo),
            ("ws://example.com:0/", UrlError::Port),
            ("ws://example.com:65536/", UrlError::Port),
            ("ws://example.com:99999999999999999999/", UrlError::Port),
            ("ws://example.com:-1/", UrlError::Malformed),
            ("ws://[::1/", UrlError::Malformed),
            ("ws://[v1.x]/", UrlError::Malformed),
            ("ws://[fe80::1%25eth0]/", UrlError::Malformed),
            ("ws://ex%41mple.com/", UrlError::Malformed),
        ] {
            assert_eq!(Url::parse(url), Err(error), "{url:?}");
        }
    }
}
