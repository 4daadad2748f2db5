//! The threads that wait for a connection, and what they wait for as things stand. Whoever changes that, by whichever call,
//! wakes them: it is compared each time the lock is let go. Knows no socket.

use crate::net::setup::Settings;
use crate::net::sys::WakePair;
use crate::net::wait::Interest;
use crate::proto::closing::State;
use std::sync::Arc;
use std::time::Duration;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    threads: Vec<Thread>,
    /// What they have been told.
    told: Option<Outlook>,
}

/// A thread that waits.
#[derive(Debug)]
struct Thread {
    waker: Arc<WakePair>,
    is_called: bool,
}

/// What a wait is planned by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outlook {
    /// A read may find something without waiting.
    pub(super) has_input: bool,
    /// What to wait for.
    pub(super) interest: Interest,
    /// When something falls due, on the library's clock.
    pub(super) due: u64,
    /// How far the closing handshake is.
    pub(super) state: State,
    pub(super) blocking: bool,
    pub(super) read_timeout: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
}

impl Outlook {
    pub(super) fn of_settings(settings: &Settings) -> Self {
        Self {
            has_input: false,
            interest: Interest { read: true, write: false },
            due: u64::MAX,
            state: State::Active,
            blocking: settings.blocking,
            read_timeout: settings.read_timeout,
            write_timeout: settings.write_timeout,
        }
    }
}

impl Waiters {
    /// A thread begins to wait with this waker.
    pub(super) fn enter(&mut self, waker: &Arc<WakePair>) {
        self.threads.push(Thread { waker: Arc::clone(waker), is_called: false });
    }

    /// A thread waits no longer. Whether its waker was called.
    pub(super) fn leave(&mut self, waker: &Arc<WakePair>) -> bool {
        let Some(place) = self.threads.iter().position(|thread| Arc::ptr_eq(&thread.waker, waker)) else {
            return false;
        };
        if self.threads.len() == 1 {
            self.told = None;
        }
        self.threads.swap_remove(place).is_called
    }

    pub(super) fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    /// This is how things stand now. Wakes all where it is not what they know.
    pub(super) fn tell(&mut self, outlook: Outlook) {
        let changed = self.told.is_some_and(|told| told != outlook);
        self.told = Some(outlook);
        if changed {
            for thread in self.threads.iter_mut().filter(|thread| !thread.is_called) {
                thread.is_called = true;
                thread.waker.wake();
            }
        }
    }
}
