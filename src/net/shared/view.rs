//! What can be asked of a connection, whether it is parked or not. Nothing here changes it, or makes it active.

use super::inner::Inner;
use super::slot::Slot;
use crate::config::{DeflateConfig, WebSocketConfig};
use crate::head::Head;
use crate::message::CloseCode;
use crate::proto::connection::{Connection, OPEN, Parked, Phase};
use crate::proto::handshake::is_upgrade;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub enum View<'a> {
    /// Something goes on.
    Active(&'a Connection),
    /// Nothing does; with the configuration that it has unless it has another.
    Parked(&'a Parked, &'a WebSocketConfig),
}

impl Inner {
    /// The connection, to be looked at.
    pub fn view(&self) -> View<'_> {
        match &self.slot {
            Slot::Active(active) => View::Active(&active.driver.connection),
            Slot::Parked(parked) => View::Parked(parked, &self.setup.websocket),
        }
    }
}

impl<'a> View<'a> {
    /// See [`Connection::phase`].
    pub fn phase(self) -> &'a Phase {
        match self {
            View::Active(connection) => connection.phase(),
            View::Parked(..) => &OPEN,
        }
    }

    /// See [`Connection::queued_bytes`].
    pub fn queued_bytes(self) -> usize {
        match self {
            View::Active(connection) => connection.queued_bytes(),
            View::Parked(..) => 0,
        }
    }

    /// See [`Connection::close_code`].
    pub fn close_code(self) -> Option<CloseCode> {
        match self {
            View::Active(connection) => connection.close_code(),
            View::Parked(..) => None,
        }
    }

    /// See [`Connection::latency`].
    pub fn latency(self) -> Option<u64> {
        match self {
            View::Active(connection) => connection.latency(),
            View::Parked(parked, _) => parked.latency(),
        }
    }

    /// See [`Connection::head`].
    pub fn head(self) -> Option<&'a Head> {
        match self {
            View::Active(connection) => connection.head(),
            View::Parked(parked, _) => parked.head(),
        }
    }

    /// See [`Connection::is_upgrade`].
    pub fn is_upgrade(self) -> bool {
        match self {
            View::Active(connection) => connection.is_upgrade(),
            View::Parked(parked, _) => parked.head().is_some_and(is_upgrade),
        }
    }

    /// See [`Connection::protocol`].
    pub fn protocol(self) -> Option<&'a str> {
        match self {
            View::Active(connection) => connection.protocol(),
            View::Parked(parked, _) => parked.protocol(),
        }
    }

    /// Why the connection was given up, in a sentence.
    pub fn failure(self) -> Option<&'a str> {
        match self {
            View::Active(connection) => connection.failure().map(|failure| failure.sentence.as_str()),
            View::Parked(..) => None,
        }
    }

    /// The configuration.
    pub fn config(self) -> &'a WebSocketConfig {
        match self {
            View::Active(connection) => connection.config(),
            View::Parked(parked, usual) => parked.config(usual),
        }
    }

    /// The configuration of permessage-deflate, with what was agreed on in the place of what was asked for; and whether it
    /// has been agreed on.
    pub fn deflate_in_force(self) -> (DeflateConfig, bool) {
        match self {
            View::Active(connection) => (connection.deflate_in_force(), connection.has_deflate()),
            View::Parked(parked, usual) => match parked.deflate_in_force(usual) {
                Some(agreed) => (agreed, true),
                None => (parked.config(usual).deflate.unwrap_or_default(), false),
            },
        }
    }
}
