//! The protocol without I/O: bytes in, messages and bytes out (RFC 6455).
//!
//! Knows frames, messages, the opening handshake, the closing state machine and deadlines on a clock that is handed
//! in. Must not know sockets, threads, the time of day or C. All of it is safe Rust.
//!
//! [`connection::Connection`] is the whole: [`inbound`] turns bytes into messages, [`outbound`] turns messages into
//! bytes, [`connection::Phase`] says what may still be done, [`deadline`] what is due when, [`handshake`] how it begins.

#[deny(unsafe_code)]
pub(crate) mod connection;
#[deny(unsafe_code)]
pub(crate) mod deadline;
#[deny(unsafe_code)]
pub(crate) mod deflate;
#[deny(unsafe_code)]
pub(crate) mod frame;
#[deny(unsafe_code)]
pub(crate) mod handshake;
#[deny(unsafe_code)]
pub(crate) mod inbound;
#[deny(unsafe_code)]
pub(crate) mod outbound;
#[deny(unsafe_code)]
pub(crate) mod prepared;
#[deny(unsafe_code)]
pub(crate) mod sizing;
#[deny(unsafe_code)]
pub(crate) mod utf8;
