//! `ws` and `wss` URLs (RFC 6455 section 3), and `ws+unix` ones for Unix sockets: text in, the parts a handshake needs
//! out. They are read as browsers read them (WHATWG's URL standard), so that a host means here what it means to a program
//! that checks it there; what that standard would mend in silence is refused. Resolves no names, opens nothing, and does
//! not know whether TLS is there.

use crate::error::UrlError;
use percent_encoding::percent_decode_str;
use url::{ParseError, Position};

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
    /// Reads a URL. The host is normalised: small letters, names in other scripts by IDNA (`bücher.example` is
    /// `xn--bcher-kva.example`), addresses in their usual form (`0x7f.1` is `127.0.0.1`). In path and query, characters that
    /// a request cannot have are percent-encoded, in UTF-8, and `.` and `..` are resolved.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        match Self::parse_local(text)? {
            Self { port: 0, .. } => Err(UrlError::Port),
            url => Ok(url),
        }
    }

    /// Like [`parse`](Self::parse), for a place to listen at: port 0 stands for any free one.
    pub fn parse_local(text: &str) -> Result<Self, UrlError> {
        let (scheme, authority, rest) = split(text).ok_or(UrlError::Malformed)?;
        let is_scheme = |name: &str| scheme.eq_ignore_ascii_case(name);
        let secure = match () {
            () if is_scheme("ws") => false,
            () if is_scheme("wss") => true,
            () if is_scheme("ws+unix") => return Self::parse_unix(&text[scheme.len() + 1..]),
            () => return Err(UrlError::Scheme),
        };
        if has_any(rest, b"#") {
            return Err(UrlError::Fragment);
        }
        match authority {
            Some(authority) if has_any(authority, b"@") => return Err(UrlError::UserInfo),
            // The standard would decode it, and no name has to be written like this.
            Some(authority) if has_any(authority, b"%") => return Err(UrlError::Host),
            None | Some("") => return Err(UrlError::NoHost),
            Some(_) => {}
        }
        let url = url::Url::parse(text).map_err(|error| match error {
            ParseError::EmptyHost => UrlError::NoHost,
            ParseError::InvalidPort => UrlError::Port,
            ParseError::IdnaError
            | ParseError::InvalidIpv4Address
            | ParseError::InvalidIpv6Address
            | ParseError::InvalidDomainCharacter => UrlError::Host,
            _ => UrlError::Malformed,
        })?;
        let bracketed = url.host_str().ok_or(UrlError::NoHost)?;
        // The standard takes these, RFC 3986 does not, and in a Host header they help nobody.
        if has_any(bracketed, b"\"`{}") {
            return Err(UrlError::Host);
        }
        let host = bracketed.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(bracketed);
        Ok(Self {
            secure,
            host: host.to_owned(),
            port: url.port_or_known_default().ok_or(UrlError::Port)?,
            authority: url[Position::BeforeHost..Position::AfterPort].to_owned(),
            target: target_of(&url),
            socket_path: None,
        })
    }

    /// What follows `ws+unix:`: `//`, the path of the socket, and after a colon the target. A colon in the path is
    /// written `%3A`.
    fn parse_unix(rest: &str) -> Result<Self, UrlError> {
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (path, target) = rest.split_once(':').unwrap_or((rest, ""));
        if path.contains('?') {
            return Err(UrlError::Malformed);
        }
        let path: Vec<u8> = percent_decode_str(path).collect();
        if path.is_empty() || path == b"@" {
            return Err(UrlError::NoHost);
        }
        if path.contains(&0) {
            return Err(UrlError::Malformed);
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        let url =
            url::Url::parse(&format!("ws://{UNIX_HOST}{slash}{target}")).map_err(|_| UrlError::Malformed)?;
        Ok(Self {
            secure: false,
            host: UNIX_HOST.to_owned(),
            port: 80,
            authority: UNIX_HOST.to_owned(),
            target: target_of(&url),
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

/// The scheme of a URL, what stands behind `//` up to the path, and what is behind that. Nothing, where it has control
/// characters in it or spaces around it, which the standard would take away, or no scheme.
pub(crate) fn split(text: &str) -> Option<(&str, Option<&str>, &str)> {
    // All of them, whatever the first says: it is done by vectors.
    let has_controls = text.bytes().fold(false, |found, byte| found | byte.is_ascii_control());
    if has_controls || text.starts_with(' ') || text.ends_with(' ') {
        return None;
    }
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let end = text.bytes().position(|byte| !is_scheme(byte))?;
    let (scheme, rest) = (&text[..end], text[end..].strip_prefix(':')?);
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return None;
    }
    let Some(behind) = rest.strip_prefix("//") else { return Some((scheme, None, rest)) };
    let end = behind.bytes().position(|byte| matches!(byte, b'/' | b'\\' | b'?' | b'#'));
    let (authority, rest) = behind.split_at(end.unwrap_or(behind.len()));
    Some((scheme, Some(authority), rest))
}

/// Whether there is any of these ASCII characters in it.
fn has_any(text: &str, these: &[u8]) -> bool {
    these.iter().any(|this| text.bytes().fold(false, |found, byte| found | (byte == *this)))
}

/// Path and query, with the `?` of an empty one.
fn target_of(url: &url::Url) -> String {
    url[Position::BeforePath..Position::AfterQuery].to_owned()
}

#[cfg(test)]
mod tests;
