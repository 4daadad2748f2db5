//! What a poller waits for: one out of two kinds. Knows what they have in common.

use crate::error::Result;
use crate::net::clock::Now;
use crate::net::listener::Listener;
use crate::net::registry::{Key, Registry, SourceStatus};
use crate::net::shared::SharedConnection;
use crate::net::signal::Events;
use std::sync::Arc;

/// What is waited for.
#[derive(Debug, Clone)]
pub enum Source {
    /// A connection over a socket.
    Connection(Arc<SharedConnection>),
    /// A listening socket.
    Listener(Arc<Listener>),
}

impl Source {
    pub(super) fn register(&self, poller: &Arc<Registry>, key: Key) -> Result<()> {
        match self {
            Source::Connection(connection) => connection.register(poller, key),
            Source::Listener(listener) => listener.register(poller, key),
        }
    }

    pub(super) fn deregister(&self) {
        match self {
            Source::Connection(connection) => connection.deregister(),
            Source::Listener(listener) => drop(listener.deregister()),
        }
    }

    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Source::Connection(connection) if connection.is_idle())
    }

    /// Whether what was heard of it is that it has something to do, and no more.
    #[inline]
    pub(super) fn leave_events(&self, events: Events) -> bool {
        match self {
            Source::Connection(connection) => connection.leave_events(events),
            Source::Listener(listener) => {
                listener.on_event();
                false
            }
        }
    }

    /// `None` while it is busy; it will be marked dirty.
    pub(super) fn status(&self, now: &Now) -> Option<SourceStatus> {
        match self {
            Source::Connection(connection) => connection.status(now),
            Source::Listener(listener) => Some(listener.status(now)),
        }
    }
}
