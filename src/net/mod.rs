//! Sockets, threads and time: opening and accepting, TLS, waiting, connections that several threads use, pollers.
//!
//! Must not know C types, pointers, or a rule of the protocol. [`stream::Stream`] is one transport out of all, and
//! [`shared::SharedConnection`] joins it to a connection that several threads may use; [`poller::Poller`] waits for many of
//! those. There is no `unsafe` here: system calls are `sys`'.

// Without sockets nobody calls what is for them alone.
#![cfg_attr(not(feature = "net"), allow(dead_code))]

pub mod callback;
pub mod clock;
#[cfg_attr(not(feature = "net"), path = "connect/none.rs")]
pub mod connect;
#[cfg_attr(not(feature = "net"), path = "listener/none.rs")]
pub mod listener;
#[cfg_attr(not(feature = "net"), path = "poller/none.rs")]
pub mod poller;
pub mod pool;
pub mod proxy;
pub mod readiness;
pub mod registry;
pub mod setup;
pub mod shared;
pub mod signal;
pub mod socket;
pub mod stream;
#[cfg_attr(not(feature = "tls"), path = "tls/none.rs")]
pub mod tls;
pub mod wait;
