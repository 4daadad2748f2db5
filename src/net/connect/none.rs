//! What stands in for connecting in a build without sockets: the same names, and a refusal.

use crate::error::{Error, Result};
use crate::net::setup::Setup;
use crate::net::stream::Stream;
use crate::proto::handshake::Url;
use crate::sys::RawSocket;

/// Cannot be.
#[derive(Debug)]
pub enum Connector {}

impl Connector {
    /// Refused: there are no sockets in this build.
    pub fn start(_url: &Url, _setup: &Setup) -> Result<Self> {
        Err(Error::NO_SOCKETS)
    }

    /// Never called.
    pub fn raw_socket(&self) -> RawSocket {
        match *self {}
    }

    /// Never called.
    pub fn due(&self) -> u64 {
        match *self {}
    }

    /// Never called.
    pub fn is_late(&self, _now: u64) -> bool {
        match *self {}
    }

    /// Never called.
    pub fn on_event(&mut self) {
        match *self {}
    }

    /// Never called.
    pub fn has_events(&self) -> bool {
        match *self {}
    }

    /// Never called.
    pub fn give_up(&mut self) {
        match *self {}
    }

    /// Never called.
    pub fn poll(&mut self) -> Result<Option<Stream>> {
        match *self {}
    }
}
