//! What the integration tests share: a deterministic link in memory, scripted byte by byte and call by call, and one
//! face over every way to drive a connection, so that each scenario runs over all of them.
//!
//! | file | knows |
//! | --- | --- |
//! | `link` | two byte pipes, and a stream that cuts, blocks and fails as a script says |
//! | `wire` | frames in wire form, written and read independently of the library |
//! | `end` | the face: what every connection can do, events and faults that can be compared |
//! | `face` | the Rust face, `WebSocket<Stream>` |
//! | `sans_io` | `proto::connection::Connection`, fed by hand |
//! | `c_abi` | the C ABI: memory mode, callbacks, a socket |
//! | `harness` | puts them together: ends, raw peers, pairs, and "over every transport and every link" |
//! | `pair` | sockets that are connected, on each platform |
//! | `random` | a small generator of random numbers |
//! | `deflate` | compressed messages, and DEFLATE taken apart independently of the library |

#![allow(dead_code, unused_imports)] // each test binary uses its own part of this

pub mod c_abi;
pub mod deflate;
pub mod end;
pub mod face;
pub mod harness;
pub mod link;
pub mod pair;
pub mod random;
pub mod sans_io;
pub mod wire;

pub use end::{Event, Fault, binary, close, ping, pong, text};
pub use harness::{
    Harness, Peer, SharedConnection, Transport, at_every_chunk_size, everywhere, everywhere_on,
};
pub use link::{Block, Script};
pub use wire::Frame;
pub use wsabi::{Role, WebSocketConfig};

/// A configuration without timeouts, changed by `change`.
pub fn config(change: impl FnOnce(&mut WebSocketConfig)) -> WebSocketConfig {
    let mut config = WebSocketConfig::default();
    change(&mut config);
    config
}

/// The default configuration.
pub fn plain() -> WebSocketConfig {
    WebSocketConfig::default()
}
