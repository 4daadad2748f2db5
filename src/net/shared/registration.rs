//! What a poller asks a shared connection and tells it.

use super::SharedConnection;
use super::inner::Inner;
use super::slot::Slot;
use crate::error::{Error, Result};
use crate::net::Link;
use crate::net::clock::Now;
use crate::net::poller::{Poller, Registration, SourceStatus, Watched};
use crate::net::socket::Readiness;
use crate::net::wait::Interest;
use crate::proto::deadline::NEVER;
use std::sync::atomic::Ordering;

/// Bits of what has stirred a quiet connection: always that there is something to read, and these.
const READ: u8 = 1;
const WRITE: u8 = 2;
const ENDED: u8 = 4;

/// Being with a poller.
#[derive(Debug)]
pub(super) struct Attached {
    watch: Registration,
    /// The poller has been told to look, and has not yet.
    touched: bool,
    /// Input is not reported for now.
    paused: bool,
}

/// What a poller asks and tells.
impl SharedConnection {
    /// Puts it with a poller.
    pub fn set_watch(&self, watch: Registration) -> Result<()> {
        let mut inner = self.lock_asleep()?;
        if inner.link.fd().is_none() {
            return Err(Error::Misuse("there is no socket to wait for"));
        }
        if inner.watch.is_some() {
            return Err(Error::Misuse("this connection is with a poller already"));
        }
        inner.watch = Some(Attached { watch, touched: false, paused: false });
        Ok(())
    }

    /// Takes it from its poller; the poller's part is to be done with what this returns.
    pub fn take_watch(&self) -> Option<Registration> {
        let mut inner = self.lock_asleep().ok()?;
        if let Some(socket) = inner.link.socket_mut() {
            socket.readiness_mut().watched = false;
            socket.readiness_mut().drained = false;
        }
        inner.watch.take().map(|attachment| attachment.watch)
    }

    /// Like [`take_watch`](Self::take_watch), from this very poller.
    pub fn take_watch_of(&self, poller: &Poller) -> Result<Registration> {
        let is_with_it = self.lock()?.watch.as_ref().is_some_and(|attachment| attachment.watch.is_of(poller));
        let watch = if is_with_it { self.take_watch() } else { None };
        watch.ok_or(Error::Misuse("this connection is not with this poller"))
    }

    /// Whether a poller reports input. While it does not, Pings and a Close wait, too.
    pub fn set_paused(&self, paused: bool) -> Result<()> {
        let mut inner = self.lock_asleep()?;
        let attachment = inner.watch.as_mut().ok_or(Error::Misuse("this connection is with no poller"))?;
        attachment.paused = paused;
        inner.touch();
        Ok(())
    }

    /// Whether it waits for its socket and for nothing else: what its poller knew of it holds still.
    #[inline]
    pub fn is_quiet(&self) -> bool {
        self.stirred.load(Ordering::Acquire) == 0 && self.quiet.load(Ordering::Relaxed)
    }

    /// The poller has heard of a change. Whether that is all there is to it, as where a connection waits for nothing else: it
    /// has something to do now. Takes no lock. Otherwise see [`happened`](Self::happened).
    #[inline]
    pub fn stir(&self, what: Interest, ended: bool) -> bool {
        let stirs = what.read && self.quiet.load(Ordering::Relaxed);
        if stirs {
            let bits = READ | if what.write { WRITE } else { 0 } | if ended { ENDED } else { 0 };
            self.stirred.fetch_or(bits, Ordering::Release);
        }
        stirs
    }

    /// Takes note of what has stirred it.
    #[inline]
    pub(super) fn note_stirred(&self, inner: &mut Inner) {
        if self.stirred.load(Ordering::Relaxed) == 0 {
            return;
        }
        // In this order: a poller that sees the bits gone sees that it is not quiet any more.
        self.quiet.store(false, Ordering::Relaxed);
        let bits = self.stirred.swap(0, Ordering::AcqRel);
        let what = Interest { read: bits & READ != 0, write: bits & WRITE != 0 };
        inner.link.happened(what, bits & ENDED != 0);
    }

    /// How it is.
    pub fn condition(&self, now: &Now) -> SourceStatus {
        match self.lock_asleep() {
            Ok(mut inner) => inner.condition(now),
            Err(_) => SourceStatus::UNKNOWN,
        }
    }

    /// From now on the poller tells of changes.
    pub fn watched(&self) {
        let Ok(mut inner) = self.lock_asleep() else { return };
        if let Some(socket) = inner.link.socket_mut() {
            let ended = socket.readiness().ended;
            // How it is now, the poller tells first of all.
            *socket.readiness_mut() =
                Readiness { watched: true, readable: false, drained: false, writable: false, ended };
        }
    }

    /// The poller has heard of a change: how it is now.
    pub fn happened(&self, what: Interest, ended: bool, now: &Now) -> SourceStatus {
        let Ok(mut inner) = self.lock_asleep() else { return SourceStatus::UNKNOWN };
        inner.link.happened(what, ended);
        inner.condition(now)
    }
}

impl Inner {
    /// Has its poller look at it.
    pub(super) fn touch(&mut self) {
        if let Some(attachment) = &mut self.watch
            && !attachment.touched
        {
            attachment.touched = true;
            attachment.watch.touch();
        }
    }

    /// While a connection is being opened its socket may change, and its deadlines do when it ends.
    pub(super) fn touch_in_transition(&mut self) {
        if self.watch.is_some() && (self.connection().is_opening() || !self.connection().can_write()) {
            self.touch();
        }
    }

    /// Whether it waits for its socket and for nothing else.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        matches!(&self.slot, Slot::Parked(parked) if !parked.has_deadlines())
            && !self.link.ready().read
            && self.watch.as_ref().is_none_or(|attachment| !attachment.paused)
    }

    fn condition(&mut self, now: &Now) -> SourceStatus {
        let mut reads = true;
        if let Some(attachment) = &mut self.watch {
            attachment.touched = false;
            reads = !attachment.paused;
        }
        if let Slot::Parked(parked) = &self.slot {
            let watched = self.link.fd().map(|fd| Watched { fd, settled: true });
            let due = parked.due(&self.setup.websocket);
            let ready = (reads && self.link.ready().read) || (due != NEVER && due <= now.ms());
            return SourceStatus { ready, due, watched };
        }
        let (wanted, possible) = (self.interest(), self.link.ready());
        let input = self.has_input() || (wanted.read && possible.read);
        let output = wanted.write && possible.write;
        let due = self.next_deadline();
        let settled = !matches!(&self.link, Link::Connecting(_));
        SourceStatus {
            ready: (input && reads) || output || (due != NEVER && due <= now.ms()),
            due,
            watched: self.link.fd().map(|fd| Watched { fd, settled }),
        }
    }
}
