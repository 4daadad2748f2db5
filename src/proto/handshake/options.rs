//! What a caller adds to a handshake: header fields and subprotocols, checked on the way in so that nothing can be
//! smuggled into a head (RFC 6455 sections 4.1 and 4.2.2). Does not know how a head is written or read.

use crate::error::Error;
use crate::http::grammar::{is_field_value, is_token};

/// Headers and subprotocols for a handshake. A client sends the headers with its request and offers the subprotocols;
/// a server sends the headers with its response and chooses from the subprotocols, its favourite first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HandshakeOptions {
    headers: Vec<(String, String)>,
    protocols: Vec<String>,
}

impl HandshakeOptions {
    /// Adds a header field; one name may be added several times. Refused are names and values outside the HTTP grammar
    /// (CR, LF and NUL above all) and the fields that the handshake writes itself: `Connection`, `Upgrade`,
    /// `Sec-WebSocket-*`, `Content-Length` and `Transfer-Encoding`. `Host` may be added once: a client sends it instead
    /// of the host of the URL.
    pub fn add_header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        if !is_token(name.as_bytes()) {
            return Err(Error::InvalidArgument("a header name must be an HTTP token"));
        }
        if !is_field_value(value.as_bytes()) {
            return Err(Error::InvalidArgument("a header value must not contain control characters"));
        }
        if is_own(name) {
            return Err(Error::InvalidArgument("this header belongs to the handshake and cannot be set"));
        }
        if name.eq_ignore_ascii_case("Host") && self.header("Host").is_some() {
            return Err(Error::InvalidArgument("the Host header cannot be sent twice"));
        }
        self.headers.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// Adds a subprotocol: a token, not added before. The order is the order of preference.
    pub fn add_protocol(&mut self, name: &str) -> Result<(), Error> {
        if !is_token(name.as_bytes()) {
            return Err(Error::InvalidArgument("the name of a subprotocol must be an HTTP token"));
        }
        if self.protocols.iter().any(|known| known == name) {
            return Err(Error::InvalidArgument("the subprotocol was already added"));
        }
        self.protocols.push(name.to_owned());
        Ok(())
    }

    /// The headers added, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The subprotocols added, in order of preference.
    pub fn protocols(&self) -> &[String] {
        &self.protocols
    }

    /// The first header of this name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The headers, but those of this name.
    pub(super) fn without(&self, name: &str) -> Self {
        let others = self.headers.iter().filter(|(known, _)| !known.eq_ignore_ascii_case(name));
        Self { headers: others.cloned().collect(), protocols: Vec::new() }
    }

    /// How many bytes the headers take in a head.
    pub(super) fn headers_len(&self) -> usize {
        self.headers().map(|(name, value)| name.len() + value.len() + 4).sum()
    }
}

/// Appends one header field to a head.
pub(super) fn write_header(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

fn is_own(name: &str) -> bool {
    let own = ["Connection", "Upgrade", "Content-Length", "Transfer-Encoding"];
    let prefix = b"Sec-WebSocket-";
    own.iter().any(|own| name.eq_ignore_ascii_case(own))
        || name.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cr_lf_nul_in_a_header_or_subprotocol_is_an_invalid_argument() {
        let mut options = HandshakeOptions::default();
        for bad in ["\r", "\n", "\0", "\r\nX: y", "a\r\n\r\nGET / HTTP/1.1", "\x7f"] {
            let name = format!("X{bad}");
            assert!(matches!(options.add_header(&name, "v"), Err(Error::InvalidArgument(_))), "{bad:?}");
            assert!(matches!(options.add_header("X", bad), Err(Error::InvalidArgument(_))), "{bad:?}");
            assert!(matches!(options.add_protocol(&name), Err(Error::InvalidArgument(_))), "{bad:?}");
        }
        assert_eq!(options, HandshakeOptions::default());
    }

    #[test]
    fn headers_of_the_handshake_itself_cannot_be_added() {
        let mut options = HandshakeOptions::default();
        for name in [
            "upgrade",
            "CONNECTION",
            "Sec-WebSocket-Key",
            "sec-websocket-accept",
            "SEC-WEBSOCKET-VERSION",
            "Sec-WebSocket-Protocol",
            "Sec-WebSocket-Extensions",
            "content-length",
            "Transfer-Encoding",
            "",
            "a b",
            "a:",
        ] {
            assert!(matches!(options.add_header(name, "x"), Err(Error::InvalidArgument(_))), "{name}");
        }
        options.add_header("Cookie", "a=b").unwrap();
        options.add_header("Cookie", "c=d").unwrap();
        options.add_header("host", "other").unwrap();
        assert!(options.add_header("Host", "third").is_err());
        assert_eq!(options.headers().count(), 3);
    }

    #[test]
    fn a_subprotocol_is_a_token_and_unique() {
        let mut options = HandshakeOptions::default();
        options.add_protocol("chat").unwrap();
        options.add_protocol("Chat").unwrap();
        for bad in ["chat", "", "a b", "a,b", "ä"] {
            assert!(matches!(options.add_protocol(bad), Err(Error::InvalidArgument(_))), "{bad:?}");
        }
        assert_eq!(options.protocols(), ["chat", "Chat"]);
    }
}
