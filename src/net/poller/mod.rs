//! Waiting for many connections and listeners at once, in one system call.
//!
//! Sockets are watched for changes only (edge-triggered), from when they are added, and are never asked about again:
//! what is known of them is kept with them, so that an idle connection costs nothing and a busy one no more than its
//! reads and writes. What is reported is the opposite: **a source is reported for as long as a call on it could do
//! something that the last one could not**: unread bytes or whole messages on the socket, in a TLS session or in the receive
//! buffer, output that would leave now, a deadline that is due, an end that has not been told. Knows connections by what they
//! say of themselves; never reads or writes, and never waits for a connection's lock.
//!
//! Locks are taken in this order: the entries (or a source's own, never one under the other but to try it), then the list of
//! the dirty.

mod entries;

pub use self::entries::Key;

use self::entries::{Entries, Entry};
use crate::error::{Error, Result};
use crate::net::clock::{self, Now};
use crate::net::listener::Listener;
use crate::net::shared::{Pool, SharedConnection};
use crate::net::signal::{Doorbell, Events};
use crate::net::sys::RawSocket;
use crate::proto::deadline::NEVER;
use crate::simd::process::{self, Process};
use mio::unix::SourceFd;
use mio::{Poll, Registry, Token, Waker};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Events taken from the system at once.
const EVENTS: usize = 1024;
/// The token of the waker; those of the sources are their keys.
const WAKER: Token = Token(usize::MAX);

/// See the module.
#[derive(Debug)]
pub struct Poller {
    shared: Arc<Shared>,
    /// For the one thread that waits.
    waiting: Mutex<Waiting>,
}

/// What is waited for.
#[derive(Debug, Clone)]
pub enum Source {
    /// A connection over a socket.
    Connection(Arc<SharedConnection>),
    /// A listening socket.
    Listener(Arc<Listener>),
}

/// What a source says of itself.
#[derive(Debug, Clone, Copy)]
pub struct SourceStatus {
    /// A call has something to do right now.
    pub ready: bool,
    /// When it will, at the latest; [`NEVER`] if nothing happens.
    pub due: u64,
}

/// What to watch a descriptor for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// Something to receive, or to accept.
    Read,
    /// Room to send, too.
    Both,
}

/// What the sources of a poller have of it.
#[derive(Debug)]
pub struct Shared {
    registry: Registry,
    waker: Waker,
    /// In the child of a fork() the system has the same list of descriptors: that of this process.
    opener: Process,
    bell: Doorbell,
    entries: Mutex<Entries>,
    /// What to look at: something was done to these sources elsewhere. How they were then, for those that are busy still.
    dirty: Mutex<Vec<(Key, SourceStatus)>>,
    /// Memory for the connections that become active.
    pub(in crate::net) pool: Pool,
}

#[derive(Debug)]
struct Waiting {
    poll: Poll,
    events: mio::Events,
    /// What the last wait reported: it may have more to do, or be done.
    reported: Vec<Key>,
    /// What has something to do and has not been reported yet.
    ready: VecDeque<Key>,
    /// How many of those an earlier wait had no room for.
    carried: usize,
}

impl Poller {
    /// One that waits for nothing yet.
    pub fn new() -> Result<Self> {
        let poll = Poll::new()?;
        let shared = Shared {
            registry: poll.registry().try_clone()?,
            waker: Waker::new(poll.registry(), WAKER)?,
            opener: Process::current(),
            bell: Doorbell::default(),
            entries: Mutex::default(),
            dirty: Mutex::default(),
            pool: Pool::default(),
        };
        let waiting = Waiting {
            poll,
            events: mio::Events::with_capacity(EVENTS),
            reported: Vec::new(),
            ready: VecDeque::new(),
            carried: 0,
        };
        Ok(Self { shared: Arc::new(shared), waiting: Mutex::new(waiting) })
    }

    /// Waits for this source, too, until it is removed.
    pub fn add(&self, source: Source, token: u64) -> Result<()> {
        // First its place, so that what the system tells of it finds one; without a lock held, for a source may be busy.
        let entry = Entry::new(source.clone(), token);
        let key = self.shared.entries().insert(entry).ok_or(Error::NoMemory)?;
        source.register(&self.shared, key).inspect_err(|_| self.shared.remove(key))
    }

    /// Whether this is its part that sources have.
    pub fn has(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    /// Ends every wait, or the next.
    pub fn wake(&self) -> Result<()> {
        if self.shared.bell.ring_wake() {
            self.shared.waker.wake()?;
        }
        Ok(())
    }

    /// Waits until something has to be done, and puts the tokens of the sources in question into `tokens`, each once;
    /// how many. None: it was woken. `WouldBlock` where the time is over. One thread at a time.
    pub fn wait(&self, tokens: &mut [u64], timeout: Option<Duration>) -> Result<usize> {
        if tokens.is_empty() {
            return Err(Error::InvalidArgument("the capacity for tokens is 0"));
        }
        let Ok(mut waiting) = self.waiting.try_lock() else {
            return Err(Error::Misuse("another thread is already waiting on this poller"));
        };
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let waiting = &mut *waiting;
        loop {
            // From here on, whoever marks a source dirty ends the wait.
            let before = self.shared.bell.before_wait();
            let next_timer = self.look_at_known(waiting, before.dirty);
            let patience = match waiting.ready.is_empty() && !before.woken {
                true => patience(until, next_timer),
                false => Some(Duration::ZERO),
            };
            process::look();
            let polled = waiting.poll.poll(&mut waiting.events, patience);
            let after = self.shared.bell.after_wait();
            match polled {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => waiting.events.clear(),
                other => other?,
            }
            let count = self.report(waiting, after.dirty, tokens);
            if count > 0 || before.woken || after.woken {
                return Ok(count);
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Err(io::Error::from(io::ErrorKind::WouldBlock).into());
            }
        }
    }

    /// Looks at what may have something to do already; when the next will at the latest.
    fn look_at_known(&self, waiting: &mut Waiting, has_dirty: bool) -> u64 {
        let now = &Now::default();
        let mut entries = self.shared.entries();
        for key in waiting.reported.drain(..) {
            let Some(entry) = entries.get_mut(key) else { continue };
            entry.is_listed = false;
            // Most have been worked off, and that is known without a lock.
            if !entry.source.is_idle() {
                entries.look(key, now, &mut waiting.ready);
            }
        }
        if has_dirty {
            for (key, status) in self.shared.take_dirty() {
                entries.look_or_believe(key, status, now, &mut waiting.ready);
            }
        }
        entries.next_timer(now, &mut waiting.ready)
    }

    /// Takes what the system has told, and reports what has something to do.
    fn report(&self, waiting: &mut Waiting, has_dirty: bool, tokens: &mut [u64]) -> usize {
        let now = &Now::default();
        let mut entries = self.shared.entries();
        let mut count = 0;
        for event in &waiting.events {
            let key = Key::from(event.token());
            let Some(entry) = entries.get_mut(key) else { continue };
            let ended = event.is_read_closed() || event.is_error();
            let events =
                Events::new(event.is_readable() || ended, event.is_writable() || event.is_error(), ended);
            if !entry.source.leave_events(events) {
                entries.look(key, now, &mut waiting.ready);
                continue;
            }
            match tokens.get_mut(count) {
                Some(slot) if waiting.ready.is_empty() && !entry.is_listed => {
                    (*slot, entry.is_listed) = (entry.token, true);
                    waiting.reported.push(key);
                    count += 1;
                }
                _ => entry.list(key, &mut waiting.ready),
            }
        }
        if has_dirty {
            for (key, status) in self.shared.take_dirty() {
                entries.look_or_believe(key, status, now, &mut waiting.ready);
            }
        }
        while let Some(slot) = tokens.get_mut(count)
            && let Some(key) = waiting.ready.pop_front()
        {
            let is_carried = waiting.carried > 0;
            waiting.carried = waiting.carried.saturating_sub(1);
            if is_carried && !entries.is_still_ready(key, now) {
                continue;
            }
            // What has been removed meanwhile has no entry.
            if let Some(entry) = entries.get_mut(key) {
                *slot = entry.token;
                count += 1;
                waiting.reported.push(key);
            }
        }
        waiting.carried = waiting.ready.len();
        count
    }
}

impl Drop for Poller {
    /// Its sources can be given to another one.
    fn drop(&mut self) {
        let entries = std::mem::take(&mut *self.shared.entries());
        for source in entries.into_sources() {
            source.deregister();
        }
    }
}

impl Source {
    fn register(&self, poller: &Arc<Shared>, key: Key) -> Result<()> {
        match self {
            Source::Connection(connection) => connection.register(poller, key),
            Source::Listener(listener) => listener.register(poller, key),
        }
    }

    fn deregister(&self) {
        match self {
            Source::Connection(connection) => connection.deregister(),
            Source::Listener(listener) => drop(listener.deregister()),
        }
    }

    #[inline]
    fn is_idle(&self) -> bool {
        matches!(self, Source::Connection(connection) if connection.is_idle())
    }

    /// Whether what was heard of it is that it has something to do, and no more.
    #[inline]
    fn leave_events(&self, events: Events) -> bool {
        match self {
            Source::Connection(connection) => connection.leave_events(events),
            Source::Listener(listener) => {
                listener.on_event();
                false
            }
        }
    }

    /// `None` while it is busy; it will be marked dirty.
    fn status(&self, now: &Now) -> Option<SourceStatus> {
        match self {
            Source::Connection(connection) => connection.status(now),
            Source::Listener(listener) => Some(listener.status(now)),
        }
    }
}

/// For the sources. Each registers its own descriptor, and deregisters no other.
impl Shared {
    /// Has the system tell of changes of this descriptor, and first of all how it is.
    pub(in crate::net) fn register(&self, socket: RawSocket, key: Key, sides: Sides) -> io::Result<()> {
        let interest = match sides {
            Sides::Read => mio::Interest::READABLE,
            Sides::Both => mio::Interest::READABLE | mio::Interest::WRITABLE,
        };
        self.registry.register(&mut SourceFd(&socket), key.into(), interest)
    }

    /// The system tells of it no more. The descriptor is still open.
    pub(in crate::net) fn deregister(&self, socket: RawSocket) {
        if self.opener == Process::current() {
            // It fails where it was never registered.
            let _ = self.registry.deregister(&mut SourceFd(&socket));
        }
    }

    /// Something was done to this source that the poller does not know of; this is how it is now.
    pub(in crate::net) fn mark_dirty(&self, key: Key, status: SourceStatus) {
        self.dirty().push((key, status));
        if self.bell.ring_dirty() {
            // It fails only where a wake-up is on its way already.
            let _ = self.waker.wake();
        }
    }

    /// Forgets a source, which has been deregistered. Nobody may hold a lock of the source's.
    pub(in crate::net) fn remove(&self, key: Key) {
        let entry = self.entries().remove(key);
        // A socket that goes with it takes its time.
        drop(entry);
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dirty(&self) -> MutexGuard<'_, Vec<(Key, SourceStatus)>> {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_dirty(&self) -> Vec<(Key, SourceStatus)> {
        std::mem::take(&mut self.dirty())
    }
}

fn patience(until: Option<Instant>, timer: u64) -> Option<Duration> {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let timer = (timer != NEVER).then(|| Duration::from_millis(timer.saturating_sub(clock::now_ms())));
    match (left, timer) {
        (Some(left), Some(timer)) => Some(left.min(timer)),
        (left, timer) => left.or(timer),
    }
}
