//! Sockets, threads and time: opening and accepting, TLS, waiting, connections that several threads use, pollers.
//!
//! Must not know C types, pointers, or a rule of the protocol. [`stream::Stream`] is one transport out of all, and
//! [`shared::SharedConnection`] joins it to a connection that several threads may use; [`poller::Poller`] waits for many of
//! those. There is no `unsafe` here: system calls are `sys`'.

// Without sockets nobody calls what is for them alone.
#![cfg_attr(not(feature = "net"), allow(dead_code))]

pub(crate) mod callback;
pub(crate) mod clock;
#[cfg_attr(not(feature = "net"), path = "connect/none.rs")]
pub(crate) mod connect;
#[cfg_attr(not(feature = "net"), path = "listener/none.rs")]
pub(crate) mod listener;
#[cfg_attr(not(feature = "net"), path = "poller/none.rs")]
pub(crate) mod poller;
pub(crate) mod pool;
pub(crate) mod proxy;
pub(crate) mod readiness;
pub(crate) mod registry;
pub(crate) mod setup;
pub(crate) mod shared;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod stream;
#[cfg_attr(not(feature = "tls"), path = "tls/none.rs")]
pub(crate) mod tls;
pub(crate) mod wait;
