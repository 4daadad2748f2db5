//! What stands in for pollers in a build without sockets: the same names, and a refusal.

use crate::error::{Error, Result};
use crate::net::listener::Listener;
use crate::net::shared::{Pool, SharedConnection};
use crate::sys::{RawSocket, Watch};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Cannot be.
#[derive(Debug)]
pub enum Poller {}

/// What would be waited for.
#[derive(Debug, Clone)]
pub enum Source {
    /// A connection.
    Connection(Arc<SharedConnection>),
    /// A listening socket.
    Listener(Arc<Listener>),
}

/// What a source would say of itself.
#[derive(Debug, Clone, Copy)]
pub struct SourceStatus {
    /// A call has something to do right now.
    pub ready: bool,
    /// When it will, at the latest.
    pub due: u64,
}

/// What to watch a descriptor for.
#[derive(Debug, Clone, Copy)]
pub enum Sides {
    /// Something to receive.
    Read,
    /// Room to send, too.
    Both,
}

/// Cannot be.
#[derive(Debug, Clone, Copy)]
pub enum Key {}

/// Cannot be.
#[derive(Debug)]
pub enum Shared {}

impl Poller {
    /// Refused: there are no sockets in this build.
    pub fn new() -> Result<Self> {
        Err(Error::NO_SOCKETS)
    }

    /// Never called.
    pub fn add(&self, _source: Source, _token: u64) -> Result<()> {
        match *self {}
    }

    /// Never called.
    pub fn has(&self, _shared: &Arc<Shared>) -> bool {
        match *self {}
    }

    /// Never called.
    pub fn wake(&self) -> Result<()> {
        match *self {}
    }

    /// Never called.
    pub fn wait(&self, _tokens: &mut [u64], _timeout: Option<Duration>) -> Result<usize> {
        match *self {}
    }
}

impl Shared {
    pub(in crate::net) fn pool(&self) -> &Pool {
        match *self {}
    }

    pub(in crate::net) fn register(&self, _socket: RawSocket, _key: Key, _sides: Sides) -> io::Result<Watch> {
        match *self {}
    }

    pub(in crate::net) fn deregister(&self, _watch: &mut Watch) {
        match *self {}
    }

    pub(in crate::net) fn mark_dirty(&self, _key: Key, _status: SourceStatus) {
        match *self {}
    }

    pub(in crate::net) fn remove(&self, _key: Key) {
        match *self {}
    }
}
