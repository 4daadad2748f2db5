//! What stands in for pollers in a build without sockets: the same names, and a refusal.

use crate::error::{Error, Result};
use crate::net::listener::Listener;
use crate::net::shared::SharedConnection;
use std::sync::Arc;
use std::time::Duration;

/// Cannot be.
#[derive(Debug)]
pub(crate) enum Poller {}

/// What would be waited for.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A connection.
    Connection(Arc<SharedConnection>),
    /// A listening socket.
    Listener(Arc<Listener>),
}

impl Poller {
    /// Refused: there are no sockets in this build.
    pub(crate) fn new() -> Result<Self> {
        Err(Error::NO_SOCKETS)
    }

    /// Never called.
    pub(crate) fn add(&self, _source: Source, _token: u64) -> Result<()> {
        match *self {}
    }

    /// Never called.
    pub(crate) fn remove(&self, _connection: &SharedConnection) -> Result<()> {
        match *self {}
    }

    /// Never called.
    pub(crate) fn wake(&self) -> Result<()> {
        match *self {}
    }

    /// Never called.
    pub(crate) fn wait(&self, _tokens: &mut [u64], _timeout: Option<Duration>) -> Result<usize> {
        match *self {}
    }
}
