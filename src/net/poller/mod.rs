//! Waiting for many connections and listeners at once, in one system call.
//!
//! Sockets are watched for changes only (edge-triggered), from when they are added, and are never asked about again:
//! what is known of them is kept with them, so that an idle connection costs nothing and a busy one no more than its
//! reads and writes. What is reported is the opposite: **a source is reported for as long as a call on it could do
//! something that the last one could not**: unread bytes or whole messages on the socket, in a TLS session or in the receive
//! buffer, output that would leave now, a deadline that is due, an end that has not been told. Knows connections by what they
//! say of themselves; never reads or writes, and never waits for a connection's lock.

mod entries;
mod source;

pub use self::source::Source;

use self::entries::{Entry, Shared};
use crate::error::{Error, Result};
use crate::net::clock::{self, Now};
use crate::net::registry::{Key, Registry};
use crate::net::shared::SharedConnection;
use crate::net::signal::Events;
use crate::proto::deadline::NEVER;
use crate::sys::{self, Watch, Watcher};
use mio::{Poll, Token};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Events taken from the system at once.
const EVENTS: usize = 1024;
/// The token of the waker; those of the sources are their keys.
const WAKER: Token = Token(usize::MAX);

/// See the module.
#[derive(Debug)]
pub struct Poller {
    registry: Arc<Registry>,
    entries: Arc<Shared>,
    /// For the one thread that waits.
    waiting: Mutex<Waiting>,
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
        let entries = Arc::new(Shared::default());
        let registry = Registry::new(Watcher::new(&poll, WAKER)?, Arc::clone(&entries) as _);
        let waiting = Waiting {
            poll,
            events: mio::Events::with_capacity(EVENTS),
            reported: Vec::new(),
            ready: VecDeque::new(),
            carried: 0,
        };
        Ok(Self { registry: Arc::new(registry), entries, waiting: Mutex::new(waiting) })
    }

    /// Waits for this source, too, until it is removed.
    pub fn add(&self, source: Source, token: u64) -> Result<()> {
        // First its place, so that what the system tells of it finds one; without a lock held, for a source may be busy.
        let entry = Entry::new(source.clone(), token);
        let key = self.entries.lock().insert(entry).ok_or(Error::NoMemory)?;
        source.register(&self.registry, key).inspect_err(|_| self.registry.remove(key))
    }

    /// Waits for this connection no longer.
    pub fn remove(&self, connection: &SharedConnection) -> Result<()> {
        connection.leave(&self.registry)
    }

    /// Ends every wait, or the next.
    pub fn wake(&self) -> Result<()> {
        Ok(self.registry.wake()?)
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
            let before = self.registry.bell.before_wait();
            let next_timer = self.look_at_known(waiting, before.dirty);
            let patience = match waiting.ready.is_empty() && !before.woken {
                true => patience(until, next_timer),
                false => Some(Duration::ZERO),
            };
            sys::look();
            let polled = waiting.poll.poll(&mut waiting.events, patience);
            let after = self.registry.bell.after_wait();
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
        let mut entries = self.entries.lock();
        for key in waiting.reported.drain(..) {
            let Some(entry) = entries.get_mut(key) else { continue };
            entry.is_listed = false;
            // Most have been worked off, and that is known without a lock.
            if !entry.source.is_idle() {
                entries.look(key, now, &mut waiting.ready);
            }
        }
        if has_dirty {
            for (key, status) in self.registry.take_dirty() {
                entries.look_or_believe(key, status, now, &mut waiting.ready);
            }
        }
        entries.next_timer(now, &mut waiting.ready)
    }

    /// Takes what the system has told, and reports what has something to do.
    fn report(&self, waiting: &mut Waiting, has_dirty: bool, tokens: &mut [u64]) -> usize {
        let now = &Now::default();
        let mut entries = self.entries.lock();
        let mut count = 0;
        for event in &waiting.events {
            let key = Key::from_number(event.token().0);
            let Some(entry) = entries.get_mut(key) else { continue };
            let ended = event.is_read_closed() || event.is_error();
            let events =
                Events::new(event.is_readable() || ended, event.is_writable() || event.is_error(), ended);
            // What is not going to be reported at once rests until it is: for that the lock has to be taken.
            let waits = Watch::TELLS_ONCE && (count == tokens.len() || !waiting.ready.is_empty());
            let is_all = entry.source.leave_events(events) && !waits;
            if !is_all {
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
            for (key, status) in self.registry.take_dirty() {
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
        let entries = std::mem::take(&mut *self.entries.lock());
        for source in entries.into_sources() {
            source.deregister();
        }
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
