//! wsabi: a WebSocket engine (RFC 6455, RFC 7692) for programs that link it from C and C++, load it from
//! Python, or embed it in Rust.
//!
//! This is its Rust API; `include/wsabi.h` is the C API. A [`WebSocket`] joins a connection to any stream
//! that implements [`Read`](std::io::Read) and [`Write`](std::io::Write). Create one with
//! [`connect`](connect()), which opens a [`Stream`], with [`client`] or [`accept`](accept()) over your own
//! stream, or without an opening handshake with [`WebSocket::from_raw_socket`] and
//! [`WebSocket::from_partially_read`].
//!
//! The layers, each with one reason to change: `ffi` (C) → `net` (sockets, time, waiting) → [`proto`] (bytes
//! and rules, without I/O). An arrow is never reversed.

mod config;
mod driver;
mod error;
pub mod ffi;
mod http;
mod message;
pub mod net;
mod opening;
pub mod proto;
mod simd;
mod stream;
mod websocket;

pub use config::{DeflateConfig, WebSocketConfig};
pub use error::{
    CapacityError, Deadline, Error, HandshakeError, ProtocolError, ProxyError, Result, TlsError, UrlError,
};
pub use http::Head;
pub use message::{CloseCode, CloseFrame, Kind, Message, MessageView, Outgoing, Role};
pub use opening::{
    Decision, HandshakeFailure, MidHandshake, accept, accept_with, client, client_with, connect, connect_with,
};
pub use proto::connection::Enqueue;
pub use proto::handshake::{HandshakeOptions, Url, is_upgrade};
pub use proto::prepared::Prepared;
pub use stream::{ConnectOptions, Stream};
pub use websocket::WebSocket;

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
