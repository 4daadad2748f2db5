//! A connection's place in a poller: what the poller knows of it, what it asks, and what it is told. The connection registers
//! its own descriptor and deregisters no other, under its own lock. Knows pollers by their shared part.

use super::SharedConnection;
use super::inner::Inner;
use super::slot::{Pool, Slot};
use super::transport::Transport;
use crate::error::{Error, Result};
use crate::net::clock::Now;
use crate::net::poller::{Key, Poller, Shared, Sides, SourceStatus};
use crate::net::signal::{Busy, Events, Published};
use crate::proto::deadline::NEVER;
use std::io;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub(super) struct Registration {
    poller: Arc<Shared>,
    key: Key,
    /// When the poller will look by itself, at the latest.
    due: u64,
    /// The poller will look again in any case: it has reported the connection, or has been told to.
    pub(super) awaits_look: bool,
    /// Input is not reported for now.
    pub(super) is_paused: bool,
    /// A thread is about to take the connection out of the poller.
    is_leaving: bool,
}

impl Registration {
    /// Tells the poller to look, and how the connection is, should it be busy then.
    fn mark_dirty(&mut self, status: SourceStatus) {
        (self.awaits_look, self.due) = (true, status.due);
        self.poller.mark_dirty(self.key, status);
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.poller.pool
    }
}

/// What a poller asks and tells.
impl SharedConnection {
    /// Registers it with a poller, under this key.
    pub(in crate::net) fn register(&self, poller: &Arc<Shared>, key: Key) -> Result<()> {
        let mut inner = self.lock_parked()?;
        let Some(socket) = inner.transport.raw_socket() else {
            return Err(Error::Misuse("this connection has no socket to wait for"));
        };
        if inner.registration.is_some() {
            return Err(Error::Misuse("this connection is already in a poller"));
        }
        poller.register(socket, key, sides(&inner.transport))?;
        watch(&mut inner.transport);
        let registration = Registration {
            poller: Arc::clone(poller),
            key,
            due: NEVER,
            awaits_look: false,
            is_paused: false,
            is_leaving: false,
        };
        inner.registration = Some(registration);
        // What it has to do already, the system will not tell.
        inner.mark_for_poller();
        Ok(())
    }

    /// Leaves this very poller.
    pub fn leave(&self, poller: &Poller) -> Result<()> {
        match self.leave_if(|shared| poller.has(shared)) {
            true => Ok(()),
            false => Err(Error::Misuse("this connection is not in this poller")),
        }
    }

    /// Leaves its poller, where it is with one.
    pub fn leave_any(&self) {
        self.leave_if(|_| true);
    }

    /// The poller forgets it first. From then on that leaves no events here and looks no more, so that whatever another poller
    /// comes to know is all its own.
    fn leave_if(&self, is_meant: impl FnOnce(&Arc<Shared>) -> bool) -> bool {
        let is_there =
            |registration: &&mut Registration| !registration.is_leaving && is_meant(&registration.poller);
        let begin = |inner: &mut Inner| {
            let registration = inner.registration.as_mut().filter(is_there)?;
            registration.is_leaving = true;
            Some((Arc::clone(&registration.poller), registration.key))
        };
        let Some((poller, key)) = self.with_even_if_dead(begin).flatten() else { return false };
        poller.remove(key);
        self.deregister();
        true
    }

    /// Deregisters it from its poller, which has forgotten it.
    pub(in crate::net) fn deregister(&self) {
        self.with_even_if_dead(|inner| {
            let Some(registration) = inner.registration.take() else { return };
            if let Some(socket) = inner.transport.raw_socket() {
                registration.poller.deregister(socket);
            }
            if let Transport::Stream(stream) = &mut inner.transport
                && let Some(known) = stream.readiness_mut()
            {
                known.unwatch();
            }
        });
    }

    /// Whether a poller reports input. While it does not, Pings and a Close wait, too.
    pub fn set_paused(&self, paused: bool) -> Result<()> {
        let mut inner = self.lock_parked()?;
        let registration =
            inner.registration.as_mut().ok_or(Error::Misuse("this connection is not in a poller"))?;
        registration.is_paused = paused;
        inner.mark_for_poller();
        Ok(())
    }

    /// Whether it waits for its socket and for nothing else: what its poller knew of it holds still.
    #[inline]
    pub(in crate::net) fn is_idle(&self) -> bool {
        self.monitor.is_idle()
    }

    /// The system has told of these. Whether that is all there is to know: it has something to do. Takes no lock. Otherwise
    /// see [`status`](Self::status).
    #[inline]
    pub(in crate::net) fn leave_events(&self, events: Events) -> bool {
        self.monitor.leave_events(events)
    }

    /// How it is; `None` while somebody has the lock, who will mark it dirty.
    pub(in crate::net) fn status(&self, now: &Now) -> Option<SourceStatus> {
        match self.monitor.look() {
            Ok(mut inner) => {
                let status = inner.status(now);
                if let Some(registration) = &mut inner.registration {
                    registration.awaits_look = status.ready;
                    registration.due = status.due;
                }
                Some(status)
            }
            Err(Busy::Taken) => None,
            Err(Busy::Dead) => Some(SourceStatus { ready: false, due: NEVER }),
        }
    }
}

impl Inner {
    /// The stream is there: the poller watches its socket from now on, and not what opened it any more.
    pub(super) fn move_registration(&mut self, connector: Transport) -> io::Result<()> {
        let Some(registration) = &self.registration else { return Ok(()) };
        if let Some(socket) = connector.raw_socket() {
            registration.poller.deregister(socket);
        }
        drop(connector);
        if let Some(socket) = self.transport.raw_socket() {
            registration.poller.register(socket, registration.key, sides(&self.transport))?;
            watch(&mut self.transport);
        }
        Ok(())
    }

    /// The lock is about to be let go: has the poller look where there is something that it does not know. Not inlined: who
    /// is with no poller keeps its registers.
    #[inline(never)]
    pub(super) fn publish_to_poller(&mut self) -> Published {
        let (is_idle, is_batch_valid) = match &self.slot {
            Slot::Parked(_) => (self.is_idle(), false),
            Slot::Active(_) => (false, self.is_batch_valid()),
        };
        match &mut self.registration {
            // It may find out without the lock that there is nothing to look at.
            Some(registration) if is_idle => registration.awaits_look = false,
            Some(registration) if !registration.awaits_look => self.tell_status(),
            _ => {}
        }
        Published::new(is_idle, is_batch_valid)
    }

    /// Has the poller look, whatever it knows.
    pub(super) fn mark_for_poller(&mut self) {
        let status = self.status(&Now::default());
        if let Some(registration) = &mut self.registration {
            registration.mark_dirty(status);
        }
    }

    #[cold]
    fn tell_status(&mut self) {
        let status = self.status(&Now::default());
        if let Some(registration) = &mut self.registration
            && (status.ready || status.due < registration.due)
        {
            registration.mark_dirty(status);
        }
    }

    fn status(&self, now: &Now) -> SourceStatus {
        let (wanted, possible) = (self.interest(), self.transport.ready());
        // Nothing is left to pause where the end is to be told; and beside a thread that reads nobody else can.
        let is_paused = self.registration.as_ref().is_some_and(|registration| registration.is_paused);
        let reads = !self.is_read_from() && (!is_paused || !self.state().can_read());
        let input = reads && (self.has_input() || (wanted.read && possible.read));
        let output = wanted.write && possible.write;
        let due = self.next_deadline();
        SourceStatus { ready: input || output || (due != NEVER && due <= now.ms()), due }
    }
}

fn watch(transport: &mut Transport) {
    if let Transport::Stream(stream) = transport
        && let Some(known) = stream.readiness_mut()
    {
        known.watch();
    }
}

/// A kqueue, which is what a connector may lend, cannot be watched for room to write.
fn sides(transport: &Transport) -> Sides {
    match transport {
        Transport::Connecting(_) => Sides::Read,
        Transport::Stream(_) => Sides::Both,
    }
}
