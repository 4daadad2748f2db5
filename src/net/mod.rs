//! Sockets, threads and time: opening and accepting, TLS, waiting, connections that several threads use, pollers.
//!
//! Must not know C types, pointers, or a rule of the protocol. [`stream::Stream`] is one transport out of all, and
//! [`shared::SharedConnection`] joins it to a connection that several threads may use; [`poller::Poller`] waits for many of
//! those. `unsafe` is only in [`sys`], around the system calls that std lacks.

pub mod callback;
pub mod clock;
pub mod connect;
pub mod listener;
pub mod poller;
pub mod readiness;
pub mod setup;
pub mod shared;
pub mod signal;
pub mod socket;
mod socket_file;
pub mod stream;
pub mod sys;
#[cfg_attr(not(feature = "tls"), path = "tls/none.rs")]
pub mod tls;
pub mod wait;
