//! The protocol without I/O: bytes in, messages and bytes out (RFC 6455).
//!
//! Knows frames, messages, the opening handshake, the closing state machine and deadlines on a clock that is handed
//! in. Must not know sockets, threads, the time of day or C. All of it is safe Rust.
//!
//! [`connection::Connection`] is the whole: [`receive`] turns bytes into messages, [`send`] turns messages into
//! bytes, [`closing`] says who may still do what, [`deadline`] when patience ends, [`handshake`] how it all begins.

#[deny(unsafe_code)]
mod buffer;
#[deny(unsafe_code)]
pub mod closing;
#[deny(unsafe_code)]
pub mod connection;
#[deny(unsafe_code)]
pub mod deadline;
#[deny(unsafe_code)]
pub mod deflate;
#[deny(unsafe_code)]
pub mod frame;
#[deny(unsafe_code)]
pub mod handshake;
#[deny(unsafe_code)]
pub mod prepared;
#[deny(unsafe_code)]
pub mod receive;
#[deny(unsafe_code)]
pub mod send;
#[deny(unsafe_code)]
pub mod utf8;
