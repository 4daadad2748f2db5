//! HTTP/1.1 syntax (RFC 9110, RFC 9112): heads, the body of a response, lists and parameters in field values. Knows the
//! grammar and the limits on it. No field has a meaning here: what makes a request a WebSocket is `proto::handshake`'s.

pub(crate) mod body;
pub(crate) mod extensions;
pub(crate) mod grammar;
pub(crate) mod head;
