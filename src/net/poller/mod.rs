//! Waiting for many connections and listeners at once, in one system call.
//!
//! Sockets are watched for changes only (edge-triggered), from when they are added, and are never asked about again:
//! what is known of them is kept with them, so that an idle connection costs nothing and a busy one no more than its
//! reads and writes. What is reported is the opposite: **whatever still has something to do is reported again by
//! the next wait**, be it bytes on the socket, in a TLS session or in the receive buffer, output that would leave now, a
//! deadline, or an end to be told. Knows connections by what they say of themselves; never reads or writes.
//!
//! Locks are taken in this order: the entries, then a shared connection, then the list of the touched.

use crate::error::{Error, Result};
use crate::net::clock::{self, Now};
use crate::net::listener::Listener;
use crate::net::shared::SharedConnection;
use crate::net::wait::Interest;
use crate::proto::deadline::NEVER;
use mio::unix::SourceFd;
use mio::{Events, Poll, Registry, Token, Waker};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Events taken from the system at once.
const EVENTS: usize = 1024;
/// The token of the waker; those of the sources are their places.
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

/// A source's place in a poller.
#[derive(Debug, Clone)]
pub struct Registration {
    shared: Arc<Shared>,
    place: usize,
}

/// What a source says of itself.
#[derive(Debug, Clone, Copy)]
pub struct SourceStatus {
    /// A call has something to do right now.
    pub ready: bool,
    /// When it will, at the latest; [`NEVER`] if nothing happens.
    pub due: u64,
    /// What to watch; it changes once a connection is established.
    pub watched: Option<Watched>,
}

impl SourceStatus {
    /// Of a source that cannot say.
    pub const UNKNOWN: Self = Self { ready: false, due: NEVER, watched: None };
}

/// A descriptor, and whether it is the one of an established connection; a number alone can come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watched {
    /// The descriptor.
    pub fd: RawFd,
    /// Established, or listening.
    pub settled: bool,
}

#[derive(Debug)]
struct Shared {
    registry: Registry,
    waker: Waker,
    /// A wait is to return even with nothing to report.
    woken: AtomicBool,
    /// The waiting thread sleeps, or is about to.
    asleep: AtomicBool,
    entries: Mutex<Entries>,
    /// Places to look at: something was done to these sources elsewhere.
    touched: Mutex<Vec<usize>>,
    /// There are some.
    any_touched: AtomicBool,
}

#[derive(Debug, Default)]
struct Entries {
    places: Vec<Option<Entry>>,
    free: Vec<usize>,
    /// When to look at which place. An entry that its place does not have any more is out of date.
    timers: BinaryHeap<Reverse<(u64, usize)>>,
}

#[derive(Debug)]
struct Entry {
    source: Source,
    token: u64,
    watched: Option<Watched>,
    /// Its newest timer.
    due: u64,
    /// It is among what the next wait reports or looks at.
    listed: bool,
}

#[derive(Debug)]
struct Waiting {
    poll: Poll,
    events: Events,
    /// What the last wait reported: it may have more to do, or be done.
    reported: Vec<usize>,
    /// What has something to do and has not been reported yet.
    ready: VecDeque<usize>,
}

impl Poller {
    /// One that waits for nothing yet.
    pub fn new() -> Result<Self> {
        let poll = Poll::new()?;
        let shared = Shared {
            registry: poll.registry().try_clone()?,
            waker: Waker::new(poll.registry(), WAKER)?,
            woken: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            entries: Mutex::default(),
            touched: Mutex::default(),
            any_touched: AtomicBool::new(false),
        };
        let waiting = Waiting {
            poll,
            events: Events::with_capacity(EVENTS),
            reported: Vec::new(),
            ready: VecDeque::new(),
        };
        Ok(Self { shared: Arc::new(shared), waiting: Mutex::new(waiting) })
    }

    /// Waits for this source, too, until it is removed.
    pub fn add(&self, source: Source, token: u64) -> Result<()> {
        let mut entries = self.shared.entries();
        let place = entries.place();
        if let Err(error) = source.set_watch(Registration { shared: Arc::clone(&self.shared), place }) {
            entries.free.push(place);
            return Err(error);
        }
        let now = &Now::default();
        let mut entry = Entry { source, token, watched: None, due: NEVER, listed: false };
        let watched = entry.watch(place, entry.source.condition(now), now, &self.shared.registry);
        entries.places[place] = Some(entry);
        if let Err(error) = watched {
            entries.remove(place, &self.shared.registry);
            return Err(error.into());
        }
        drop(entries);
        // What it has to do already, the system will not tell.
        self.shared.touch(place);
        Ok(())
    }

    /// Ends every wait, or the next.
    pub fn wake(&self) -> Result<()> {
        self.shared.woken.store(true, Ordering::Release);
        Ok(self.shared.waker.wake()?)
    }

    /// Waits until something has to be done, and puts the tokens of the sources in question into `tokens`, each once;
    /// how many. None: it was woken. `WouldBlock` where the time is over. One thread at a time.
    pub fn wait(&self, tokens: &mut [u64], timeout: Option<Duration>) -> Result<usize> {
        if tokens.is_empty() {
            return Err(Error::InvalidArgument("there is no room for a token"));
        }
        let Ok(mut waiting) = self.waiting.try_lock() else {
            return Err(Error::Misuse("another thread is waiting with this poller"));
        };
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let waiting = &mut *waiting;
        loop {
            let next_timer = self.list_ready(waiting);
            let patience = match waiting.ready.is_empty() {
                true => patience(until, next_timer),
                false => Some(Duration::ZERO),
            };
            let count = self.poll(waiting, patience, tokens)?;
            if count > 0 || self.shared.woken.swap(false, Ordering::Acquire) {
                return Ok(count);
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Err(io::Error::from(io::ErrorKind::WouldBlock).into());
            }
        }
    }

    /// Lists what has something to do already; when the next will at the latest.
    fn list_ready(&self, waiting: &mut Waiting) -> u64 {
        let now = &Now::default();
        let mut entries = self.shared.entries();
        // From here on, whoever touches a source wakes the wait.
        self.shared.asleep.store(true, Ordering::SeqCst);
        for place in waiting.reported.drain(..) {
            let Some(Some(entry)) = entries.places.get_mut(place) else { continue };
            entry.listed = false;
            // Most have been worked off, and that is known without a lock.
            if !entry.source.is_quiet() {
                entries.look(place, now, &self.shared.registry, &mut waiting.ready);
            }
        }
        if self.shared.any_touched.load(Ordering::SeqCst) {
            for place in self.shared.take_touched() {
                entries.look(place, now, &self.shared.registry, &mut waiting.ready);
            }
        }
        entries.next_timer(now, &self.shared.registry, &mut waiting.ready)
    }

    /// Takes what the system has to tell, and reports what has something to do.
    fn poll(&self, waiting: &mut Waiting, patience: Option<Duration>, tokens: &mut [u64]) -> Result<usize> {
        let polled = waiting.poll.poll(&mut waiting.events, patience);
        // Who still sees it asleep wakes the next wait, which then finds what it was woken for.
        self.shared.asleep.store(false, Ordering::Relaxed);
        match polled {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => waiting.events.clear(),
            other => other?,
        }
        let now = &Now::default();
        let mut entries = self.shared.entries();
        let mut count = 0;
        for event in &waiting.events {
            let place = event.token().0;
            let Some(Some(entry)) = entries.places.get_mut(place) else { continue };
            let ended = event.is_read_closed() || event.is_error();
            let what = Interest {
                read: event.is_readable() || ended,
                write: event.is_writable() || event.is_error(),
            };
            if entry.source.stir(what, ended) {
                match tokens.get_mut(count) {
                    Some(slot) if waiting.ready.is_empty() && !entry.listed => {
                        (*slot, entry.listed) = (entry.token, true);
                        waiting.reported.push(place);
                        count += 1;
                    }
                    _ => entry.list(place, &mut waiting.ready),
                }
                continue;
            }
            let condition = entry.source.happened(what, ended, now);
            entries.apply_status(place, condition, now, &self.shared.registry, &mut waiting.ready);
        }
        while let Some(slot) = tokens.get_mut(count)
            && let Some(place) = waiting.ready.pop_front()
        {
            // A place that has been given away meanwhile is not listed.
            if let Some(Some(entry)) = entries.places.get(place)
                && entry.listed
            {
                *slot = entry.token;
                count += 1;
                waiting.reported.push(place);
            }
        }
        Ok(count)
    }
}

impl Drop for Poller {
    /// Its sources can be given to another one.
    fn drop(&mut self) {
        let entries = std::mem::take(&mut *self.shared.entries());
        for entry in entries.places.into_iter().flatten() {
            entry.source.clear_watch();
        }
    }
}

impl Source {
    fn set_watch(&self, watch: Registration) -> Result<()> {
        match self {
            Source::Connection(shared) => shared.set_watch(watch),
            Source::Listener(listener) => match &mut *listener.watch() {
                Some(_) => Err(Error::Misuse("this listener is with a poller already")),
                none => {
                    *none = Some(watch);
                    Ok(())
                }
            },
        }
    }

    fn clear_watch(&self) {
        match self {
            Source::Connection(shared) => drop(shared.take_watch()),
            Source::Listener(listener) => drop(listener.watch().take()),
        }
    }

    #[inline]
    fn is_quiet(&self) -> bool {
        matches!(self, Source::Connection(shared) if shared.is_quiet())
    }

    /// Whether what was heard of it is that it has something to do, and no more.
    #[inline]
    fn stir(&self, what: Interest, ended: bool) -> bool {
        matches!(self, Source::Connection(shared) if shared.stir(what, ended))
    }

    fn condition(&self, now: &Now) -> SourceStatus {
        match self {
            Source::Connection(shared) => shared.condition(now),
            Source::Listener(listener) => {
                let due = listener.due();
                SourceStatus {
                    ready: due.is_some_and(|due| due <= now.ms()),
                    due: due.unwrap_or(NEVER),
                    watched: Some(Watched { fd: listener.fd(), settled: true }),
                }
            }
        }
    }

    fn happened(&self, what: Interest, ended: bool, now: &Now) -> SourceStatus {
        match self {
            Source::Connection(shared) => shared.happened(what, ended, now),
            Source::Listener(listener) => {
                listener.stir();
                self.condition(now)
            }
        }
    }

    fn watched(&self) {
        if let Source::Connection(shared) = self {
            shared.watched();
        }
    }
}

impl Registration {
    /// Something was done to the source that its poller may want to know of.
    pub fn touch(&self) {
        self.shared.touch(self.place);
    }

    /// Whether this is a place in that poller.
    pub fn is_of(&self, poller: &Poller) -> bool {
        Arc::ptr_eq(&self.shared, &poller.shared)
    }

    /// Takes the source out of the poller. Nobody may hold a lock of the source's.
    pub fn remove(self) {
        self.shared.entries().remove(self.place, &self.shared.registry);
    }
}

impl Shared {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touched(&self) -> MutexGuard<'_, Vec<usize>> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_touched(&self) -> Vec<usize> {
        let mut touched = self.touched();
        self.any_touched.store(false, Ordering::Relaxed);
        std::mem::take(&mut touched)
    }

    fn touch(&self, place: usize) {
        let mut touched = self.touched();
        touched.push(place);
        self.any_touched.store(true, Ordering::SeqCst);
        drop(touched);
        if self.asleep.swap(false, Ordering::SeqCst) {
            // It fails only where a wake-up is on its way already.
            let _ = self.waker.wake();
        }
    }
}

impl Entries {
    /// A free place.
    fn place(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        })
    }

    /// Asks a source how it is.
    fn look(&mut self, place: usize, now: &Now, registry: &Registry, ready: &mut VecDeque<usize>) {
        let Some(Some(entry)) = self.places.get_mut(place) else { return };
        let condition = entry.source.condition(now);
        self.apply_status(place, condition, now, registry, ready);
    }

    /// Lists a source where it has something to do, and minds when it will.
    fn apply_status(
        &mut self,
        place: usize,
        mut condition: SourceStatus,
        now: &Now,
        registry: &Registry,
        ready: &mut VecDeque<usize>,
    ) {
        let Some(Some(entry)) = self.places.get_mut(place) else { return };
        if condition.watched != entry.watched {
            condition = match entry.watch(place, condition, now, registry) {
                Ok(condition) => condition,
                // What the system cannot watch is reported: a call on it will tell why.
                Err(_) => SourceStatus { ready: true, ..condition },
            };
        }
        if condition.ready {
            entry.list(place, ready);
        } else if condition.due < entry.due {
            entry.due = condition.due;
            self.timers.push(Reverse((condition.due, place)));
        }
    }

    /// Looks at what is due, and says what will be next. A deadline that has been put off or called off meanwhile must not
    /// be the one to wait for: a wait with an end costs the system more than one without.
    fn next_timer(&mut self, now: &Now, registry: &Registry, ready: &mut VecDeque<usize>) -> u64 {
        while let Some(Reverse((due, place))) = self.timers.peek().copied() {
            if let Some(Some(entry)) = self.places.get_mut(place)
                && entry.due == due
            {
                if due > now.ms() && entry.source.condition(now).due <= due {
                    return due;
                }
                entry.due = NEVER;
                self.timers.pop();
                self.look(place, now, registry, ready);
            } else {
                self.timers.pop();
            }
        }
        NEVER
    }

    fn remove(&mut self, place: usize, registry: &Registry) {
        let Some(entry) = self.places.get_mut(place).and_then(Option::take) else { return };
        if let Some(Watched { fd, .. }) = entry.watched {
            // It fails where the descriptor has been closed.
            let _ = registry.deregister(&mut SourceFd(&fd));
        }
        entry.source.clear_watch();
        self.free.push(place);
    }
}

impl Entry {
    /// It has something to do.
    #[inline]
    fn list(&mut self, place: usize, ready: &mut VecDeque<usize>) {
        if !self.listed {
            self.listed = true;
            ready.push_back(place);
        }
    }

    /// Has the system watch what there is to watch of it now; how it is then.
    fn watch(
        &mut self,
        place: usize,
        condition: SourceStatus,
        now: &Now,
        registry: &Registry,
    ) -> io::Result<SourceStatus> {
        // The one before is closed by now, and thereby forgotten.
        self.watched = None;
        if let Some(Watched { fd, .. }) = condition.watched {
            let interest = mio::Interest::READABLE | mio::Interest::WRITABLE;
            registry.register(&mut SourceFd(&fd), Token(place), interest)?;
            self.source.watched();
        }
        self.watched = condition.watched;
        Ok(self.source.condition(now))
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
