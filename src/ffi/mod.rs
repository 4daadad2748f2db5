//! The C ABI: pointers, handles, status codes, panics. Knows no protocol rule: every function is a few lines over a safe
//! call. `guard`, `status` and `sentence` are the mechanism, [`types`] is what C sees, and every other file is a chapter
//! of `include/wsabi.h`: its opening lines become the chapter's.

#![allow(non_camel_case_types)]

mod batch;
mod guard;
mod sentence;
mod status;

pub mod config;
pub mod connection;
pub mod handshake;
pub mod library;
pub mod listener;
pub mod memory;
pub mod message;
pub mod poller;
pub mod service;
pub mod time;
pub mod types;
pub mod watching;

pub use config::*;
pub use connection::*;
pub use handshake::*;
pub use library::*;
pub use listener::*;
pub use memory::*;
pub use message::*;
pub use poller::*;
pub use service::*;
pub use time::*;
pub use types::*;
pub use watching::*;
