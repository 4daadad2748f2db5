//! wsabi: a WebSocket engine (RFC 6455, RFC 7692) for programs that link it from C and C++, load it from
//! Python, or embed it in Rust.
//!
//! This is its Rust API; `include/wsabi.h` is the C API. A [`WebSocket`] joins a connection to any stream
//! that implements [`Read`](std::io::Read) and [`Write`](std::io::Write). Create one with
//! [`connect`](connect()), which opens a [`Stream`], with [`client`] or [`accept`](accept()) over your own
//! stream, or without an opening handshake with [`WebSocket::from_raw_socket`] and
//! [`WebSocket::from_partially_read`].
//!
//! Without the feature `net`, which is on by default, [`connect`](connect()), [`ConnectOptions`] and [`Stream`] are
//! absent; everything else works over your own streams.
//!
//! The layers, each with one reason to change: `ffi` (C) → `net` (sockets, time, waiting) → `proto` (bytes
//! and rules, without I/O). An arrow is never reversed.

#![deny(unsafe_code)]
#![warn(unreachable_pub)]

mod config;
mod driver;
mod error;
#[allow(unsafe_code)]
mod ffi;
mod head;
mod http;
mod message;
mod net;
mod opening;
mod proto;
#[cfg(test)]
#[allow(dead_code, unreachable_pub)]
#[path = "../tests/common/random.rs"]
mod random;
#[allow(unsafe_code)]
mod simd;
#[cfg(feature = "net")]
mod stream;
#[allow(unsafe_code)]
mod sys;
mod websocket;

pub use config::{DeflateConfig, WebSocketConfig};
pub use error::{
    CapacityError, Deadline, Error, HandshakeError, ProtocolError, ProxyError, Result, TlsError, UrlError,
};
pub use head::Head;
pub use message::{CloseCode, CloseFrame, Kind, Message, MessageView, Outgoing, Role};
pub use opening::{Decision, HandshakeFailure, MidHandshake, accept, accept_with, client, client_with};
pub use proto::connection::Enqueue;
pub use proto::handshake::{HandshakeOptions, Url, is_upgrade};
pub use proto::prepared::Prepared;
#[cfg(feature = "net")]
pub use stream::{ConnectOptions, Stream, connect, connect_with};
pub use websocket::WebSocket;

/// The examples of the README, compiled.
#[cfg(all(doctest, feature = "net"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// What the tests and the benchmarks need: not part of the API, and without any promise.
#[doc(hidden)]
pub mod internals {
    pub use crate::net::setup::{Settings, Setup};
    pub use crate::net::shared::SharedConnection;
    #[cfg(feature = "net")]
    pub use crate::net::{
        poller::{Poller, Source},
        socket::Socket,
        stream::Stream,
    };
    pub use crate::proto::connection::{Connection, Opening, Phase};
    pub use crate::proto::handshake::{ClientHandshake, ServerHandshake, accept_key};
    pub use crate::proto::inbound::Received;

    /// The C API.
    pub mod ffi {
        pub use crate::ffi::*;
    }
}
