//! What is known of a socket: it turns edges, which is all that a poller hears of, into levels. Knows no system call.

use crate::net::signal::Events;

/// What is known of a socket from the calls on it, and from a poller that tells of changes only.
#[derive(Debug, Clone, Copy)]
pub struct Readiness {
    /// A poller tells when one of these becomes true.
    pub watched: bool,
    /// There may be something to receive.
    pub readable: bool,
    /// There was nothing more just now: that need not be asked once again.
    pub drained: bool,
    /// There may be room to send.
    pub writable: bool,
    /// The peer has ended the stream, or it is broken: that may lie behind bytes still to be received.
    pub ended: bool,
}

impl Readiness {
    /// Of a socket that no poller watches: only a call can tell.
    pub const UNWATCHED: Self =
        Self { watched: false, readable: true, drained: false, writable: true, ended: false };

    /// A poller has told of a change.
    #[inline]
    pub fn on_events(&mut self, events: Events) {
        self.readable |= events.read();
        self.drained &= !events.read();
        self.writable |= events.write();
        self.ended |= events.ended();
    }

    /// From now on a poller tells of changes, and first of all how it is.
    pub fn watch(&mut self) {
        *self = Self { watched: true, readable: false, drained: false, writable: false, ended: self.ended };
    }

    /// No poller tells of changes any more.
    pub fn unwatch(&mut self) {
        *self = Self { ended: self.ended, ..Self::UNWATCHED };
    }

    /// A wait that was not the poller's has ended: who reads is to find out.
    pub fn forget_drained(&mut self) {
        self.drained = false;
    }
}
