//! Errors to status codes, and status codes to words: one table.

use crate::error::{Error, ProtocolError, UrlError};
use crate::ffi::types::ws_status::{self, *};
use std::ffi::CStr;

/// Name and meaning of every status.
const TABLE: &[(ws_status, &CStr, &CStr)] = &[
    (WS_OK, c"WS_OK", c"done"),
    (WS_ERR_WOULD_BLOCK, c"WS_ERR_WOULD_BLOCK", c"nothing can be done now: wait, then call again"),
    (WS_ERR_IO, c"WS_ERR_IO", c"the transport failed"),
    (WS_ERR_CAPACITY, c"WS_ERR_CAPACITY", c"a limit of the configuration was exceeded"),
    (
        WS_ERR_SEND_QUEUE_FULL,
        c"WS_ERR_SEND_QUEUE_FULL",
        c"the send queue is full: the message was not accepted",
    ),
    (WS_ERR_CONNECTION_CLOSED, c"WS_ERR_CONNECTION_CLOSED", c"the connection is closed"),
    (WS_ERR_ALREADY_CLOSED, c"WS_ERR_ALREADY_CLOSED", c"the connection was used again after its end"),
    (WS_ERR_PROTOCOL, c"WS_ERR_PROTOCOL", c"the peer violated the WebSocket protocol"),
    (WS_ERR_UTF8, c"WS_ERR_UTF8", c"a text is not valid UTF-8"),
    (WS_ERR_HANDSHAKE, c"WS_ERR_HANDSHAKE", c"the opening handshake was refused or malformed"),
    (WS_ERR_URL, c"WS_ERR_URL", c"the URL is not valid or not supported"),
    (WS_ERR_TLS, c"WS_ERR_TLS", c"the TLS session failed"),
    (WS_ERR_TIMEOUT, c"WS_ERR_TIMEOUT", c"a deadline passed"),
    (WS_ERR_PROXY, c"WS_ERR_PROXY", c"the proxy refused the connection, or the host is not a proxy"),
    (WS_ERR_INVALID_ARGUMENT, c"WS_ERR_INVALID_ARGUMENT", c"an argument is not valid: nothing happened"),
    (WS_ERR_MISUSE, c"WS_ERR_MISUSE", c"the call is not allowed in this state: nothing happened"),
    (WS_ERR_NO_MEMORY, c"WS_ERR_NO_MEMORY", c"out of memory"),
    (WS_ERR_INTERNAL, c"WS_ERR_INTERNAL", c"a bug in the library: the handle can only be freed"),
    (WS_ERR_UNSUPPORTED, c"WS_ERR_UNSUPPORTED", c"the library was built without this feature"),
];

/// Its name, for instance `WS_ERR_IO`.
pub(super) fn name(status: i32) -> &'static CStr {
    find(status).map_or(c"unknown status", |(_, name, _)| name)
}

/// Its meaning in a few words.
pub(super) fn meaning(status: i32) -> &'static CStr {
    find(status).map_or(c"unknown status", |(_, _, meaning)| meaning)
}

/// The status that an error is reported as.
pub(super) fn of(error: &Error) -> ws_status {
    match error {
        error if error.is_would_block() => WS_ERR_WOULD_BLOCK,
        Error::ConnectionClosed => WS_ERR_CONNECTION_CLOSED,
        Error::AlreadyClosed => WS_ERR_ALREADY_CLOSED,
        Error::Io(_) => WS_ERR_IO,
        Error::Capacity(_) => WS_ERR_CAPACITY,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake | ProtocolError::SendAfterClosing) => {
            WS_ERR_CONNECTION_CLOSED
        }
        Error::Protocol(_) => WS_ERR_PROTOCOL,
        Error::SendQueueFull(_) => WS_ERR_SEND_QUEUE_FULL,
        Error::Utf8 => WS_ERR_UTF8,
        Error::Unsupported(_) | Error::Url(UrlError::TlsUnsupported) => WS_ERR_UNSUPPORTED,
        Error::Url(_) => WS_ERR_URL,
        Error::Handshake(_) | Error::Http(_) => WS_ERR_HANDSHAKE,
        Error::Proxy(_) => WS_ERR_PROXY,
        Error::Tls(_) => WS_ERR_TLS,
        Error::Timeout(_) => WS_ERR_TIMEOUT,
        Error::InvalidArgument(_) => WS_ERR_INVALID_ARGUMENT,
        Error::Misuse(_) => WS_ERR_MISUSE,
        Error::NoMemory => WS_ERR_NO_MEMORY,
        Error::Internal => WS_ERR_INTERNAL,
    }
}

fn find(status: i32) -> Option<&'static (ws_status, &'static CStr, &'static CStr)> {
    TABLE.iter().find(|(known, _, _)| *known as i32 == status)
}
