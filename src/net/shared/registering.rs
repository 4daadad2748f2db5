//! What a poller asks of a connection, and what it is told. The connection registers its own descriptor and deregisters no
//! other, under its own lock.

use super::SharedConnection;
use super::inner::Inner;
use super::registration::Registration;
use super::slot::Slot;
use super::transport::Transport;
use crate::error::{Error, Result};
use crate::net::clock::Now;
use crate::net::registry::{Key, Registry, Sides, SourceStatus};
use crate::net::signal::{Busy, Events, Published};
use crate::net::wait::Interest;
use crate::proto::connection::Phase;
use crate::proto::deadline::NEVER;
use crate::sys::Watch;
use std::io;
use std::sync::Arc;

impl SharedConnection {
    /// Registers it with a poller, under this key.
    pub(in crate::net) fn register(&self, poller: &Arc<Registry>, key: Key) -> Result<()> {
        let mut inner = self.lock_parked()?;
        let Some(socket) = inner.transport.raw_socket() else {
            return Err(Error::Misuse("this connection has no socket to wait for"));
        };
        if inner.registration.is_some() {
            return Err(Error::Misuse("this connection is already in a poller"));
        }
        let watched = poller.register(socket, key, sides(&inner.transport))?;
        watch(&mut inner.transport);
        let registration = Registration {
            poller: Arc::clone(poller),
            key,
            watch: watched,
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
    pub(in crate::net) fn leave(&self, poller: &Arc<Registry>) -> Result<()> {
        match self.leave_if(|own| Arc::ptr_eq(own, poller)) {
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
    fn leave_if(&self, is_meant: impl FnOnce(&Arc<Registry>) -> bool) -> bool {
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
            let Some(mut registration) = inner.registration.take() else { return };
            registration.poller.deregister(&mut registration.watch);
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

    /// How it is; `None` while somebody has the lock, who will mark it dirty. Once its end has been told nothing happens any
    /// more, and what was said before that is not to be believed.
    pub(in crate::net) fn status(&self, now: &Now) -> Option<SourceStatus> {
        if self.monitor.is_over() {
            return Some(SourceStatus { ready: false, due: NEVER });
        }
        match self.monitor.look() {
            Ok(mut inner) => {
                let status = inner.status(now);
                if let Some(registration) = &mut inner.registration {
                    registration.awaits_look = status.ready;
                    registration.due = status.due;
                    if Watch::TELLS_ONCE && status.ready {
                        registration.poller.rest(&mut registration.watch);
                    }
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
        let Some(registration) = &mut self.registration else { return Ok(()) };
        registration.poller.deregister(&mut registration.watch);
        drop(connector);
        if let Some(socket) = self.transport.raw_socket() {
            let sides = sides(&self.transport);
            registration.watch = registration.poller.register(socket, registration.key, sides)?;
            watch(&mut self.transport);
        }
        Ok(())
    }

    /// The lock is about to be let go: has the poller look where there is something that it does not know. Not inlined: who
    /// is with no poller keeps its registers.
    #[inline(never)]
    pub(super) fn publish_to_poller(&mut self) -> Published {
        if Watch::TELLS_ONCE {
            self.ask_poller_again();
        }
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
        let published = Published::new(is_idle, is_batch_valid);
        if matches!(self.view().phase(), Phase::Ended) { published.and_over() } else { published }
    }

    /// What the calls so far have exhausted is told of once more. After the end, nothing is.
    fn ask_poller_again(&mut self) {
        let Interest { read, write } = self.transport.exhausted();
        let has_ended = matches!(self.view().phase(), Phase::Ended);
        match &mut self.registration {
            Some(registration) if has_ended => registration.poller.deregister(&mut registration.watch),
            Some(registration) => registration.poller.ask_again(&mut registration.watch, read, write),
            None => {}
        }
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
        let reads = !self.is_read_from() && (!is_paused || self.view().phase().ignores_input());
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

#[cfg(all(test, feature = "net"))]
mod tests {
    use super::*;
    use crate::net::connect::Connector;
    use crate::net::setup::Setup;
    use crate::proto::handshake::Url;

    #[test]
    fn what_is_being_opened_is_watched_for_input_only() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("ws://{}/", listener.local_addr().unwrap())).unwrap();
        let connector = Connector::start(&url, &Setup::default()).unwrap();
        assert!(sides(&Transport::Connecting(Box::new(connector))) == Sides::Read);
    }
}
