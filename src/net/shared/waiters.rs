//! The threads that wait for a connection, and what they wait for as things stand. Whoever changes that, by whichever call,
//! wakes them: it is compared each time the lock is let go. Knows no socket.

use crate::net::setup::Settings;
use crate::net::wait::Interest;
use crate::proto::connection::{OPEN, Phase};
use crate::sys::WakePair;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::Duration;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    /// One of them is inside a read: what arrives is that one's.
    pub(super) is_read_from: bool,
    threads: Vec<Thread>,
}

/// A thread that waits.
#[derive(Debug)]
struct Thread {
    waker: Arc<WakePair>,
    /// What it has planned its wait by.
    told: Option<Outlook>,
    is_called: bool,
}

/// What a thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    /// Inside a read, for something to read.
    ToRead,
    /// For room to write, or that anything can be done.
    Otherwise,
}

/// What a wait is planned by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outlook {
    /// A read may find something without waiting.
    pub(super) has_input: bool,
    /// What to wait for.
    pub(super) interest: Interest,
    /// The stream is still being opened: there is another descriptor to wait on afterwards.
    pub(super) is_connecting: bool,
    /// See [`Waiters`].
    pub(super) is_read_from: bool,
    /// When something falls due, on the library's clock.
    pub(super) due: u64,
    /// Where the connection is.
    pub(super) phase: Discriminant<Phase>,
    pub(super) blocking: bool,
    pub(super) read_timeout: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
}

impl Outlook {
    pub(super) fn of_settings(settings: &Settings) -> Self {
        Self {
            has_input: false,
            interest: Interest { read: true, write: false },
            is_connecting: false,
            is_read_from: false,
            due: u64::MAX,
            phase: discriminant(&OPEN),
            blocking: settings.blocking,
            read_timeout: settings.read_timeout,
            write_timeout: settings.write_timeout,
        }
    }
}

impl Thread {
    fn call(&mut self) {
        if !self.is_called {
            self.is_called = true;
            self.waker.wake();
        }
    }
}

impl Waiters {
    /// A thread begins to wait, with this waker where there is one.
    pub(super) fn enter(&mut self, waits: Waits, waker: Option<&Arc<WakePair>>) {
        self.is_read_from |= waits == Waits::ToRead;
        self.threads.extend(waker.map(|waker| Thread {
            waker: Arc::clone(waker),
            told: None,
            is_called: false,
        }));
    }

    /// A thread waits no longer. Whether its waker was called.
    pub(super) fn leave(&mut self, waits: Waits, waker: Option<&Arc<WakePair>>) -> bool {
        self.is_read_from &= waits != Waits::ToRead;
        let is_its = |thread: &Thread| waker.is_some_and(|waker| Arc::ptr_eq(&thread.waker, waker));
        let place = self.threads.iter().position(is_its);
        place.is_some_and(|place| self.threads.swap_remove(place).is_called)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    /// This is how things stand now. Wakes those that know otherwise.
    pub(super) fn tell(&mut self, outlook: Outlook) {
        for thread in &mut self.threads {
            if *thread.told.get_or_insert(outlook) != outlook {
                thread.call();
            }
        }
    }

    /// Wakes all.
    pub(super) fn call_all(&mut self) {
        self.threads.iter_mut().for_each(Thread::call);
    }
}
