//! What stands in for listening in a build without sockets: the same names, and a refusal.

use crate::error::{Error, Result};
use crate::net::setup::Setup;
use crate::net::stream::Stream;
use crate::proto::handshake::Url;
use crate::sys::RawSocket;
use std::time::Instant;

/// Cannot be.
#[derive(Debug)]
pub(crate) enum Listener {}

impl Listener {
    /// Refused: there are no sockets in this build.
    pub(crate) fn bind(_url: &Url, _setup: &Setup) -> Result<Self> {
        Err(Error::NO_SOCKETS)
    }

    /// Never called.
    pub(crate) fn accept(&self) -> Result<Stream> {
        match *self {}
    }

    /// Never called.
    pub(crate) fn accept_until(&self, _until: Option<Instant>) -> Result<Stream> {
        match *self {}
    }

    /// Never called.
    pub(crate) fn raw_socket(&self) -> RawSocket {
        match *self {}
    }

    /// Never called.
    pub(crate) fn port(&self) -> u16 {
        match *self {}
    }

    /// Never called.
    pub(crate) fn leave_poller(&self) {
        match *self {}
    }
}
