//! What the sources of a poller have of it: where they register, and where they say that something was done to them. Knows
//! descriptors and keys; must not know what a source is.
//!
//! Locks are taken in this order: the poller's entries (or a source's own, never one under the other but to try it), then the
//! list of the dirty.

use crate::net::pool::Pool;
use crate::net::signal::Doorbell;
use crate::sys::{Process, RawSocket, Watch, Watcher};
use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many bits of a key say the place. The others count how often the place was given.
pub(in crate::net) const PLACE_BITS: u32 = if usize::BITS == 64 { 32 } else { 20 };

/// Names a source of a poller. A key is never given twice, so that what is said of a source that is gone concerns nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(usize);

impl Key {
    pub(in crate::net) fn new(place: usize, generation: usize) -> Self {
        Self(generation << PLACE_BITS | place)
    }

    pub(in crate::net) fn from_number(number: usize) -> Self {
        Self(number)
    }

    pub(in crate::net) fn place(self) -> usize {
        self.0 & ((1 << PLACE_BITS) - 1)
    }

    pub(in crate::net) fn generation(self) -> usize {
        self.0 >> PLACE_BITS
    }
}

/// What a source says of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SourceStatus {
    /// A call has something to do right now.
    pub ready: bool,
    /// When it will, at the latest; [`NEVER`](crate::proto::deadline::NEVER) if nothing happens.
    pub due: u64,
}

/// What to watch a descriptor for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sides {
    /// Something to receive, or to accept.
    Read,
    /// Room to send, too.
    Both,
}

/// The sources of a poller by their keys.
pub(crate) trait Sources: Debug + Send + Sync {
    /// Forgets one.
    fn remove(&self, key: Key);
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Registry {
    watcher: Watcher,
    /// In the child of a fork() the system has the same list of descriptors: that of this process.
    opener: Process,
    pub(in crate::net) bell: Doorbell,
    sources: Arc<dyn Sources>,
    /// What to look at: something was done to these sources elsewhere. How they were then, for those that are busy still.
    dirty: Mutex<Vec<(Key, SourceStatus)>>,
    pool: Pool,
}

impl Registry {
    /// For a poller that waits with this and has these sources.
    pub(in crate::net) fn new(watcher: Watcher, sources: Arc<dyn Sources>) -> Self {
        Self {
            watcher,
            opener: Process::current(),
            bell: Doorbell::default(),
            sources,
            dirty: Mutex::default(),
            pool: Pool::default(),
        }
    }

    /// Memory for the connections that become active.
    #[inline]
    pub(in crate::net) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Ends every wait, or the next.
    pub(in crate::net) fn wake(&self) -> io::Result<()> {
        if self.bell.ring_wake() {
            self.watcher.wake()?;
        }
        Ok(())
    }

    /// Has the system tell of changes of this descriptor, and first of all how it is. Each source registers its own, and
    /// deregisters no other.
    pub(in crate::net) fn register(&self, socket: RawSocket, key: Key, sides: Sides) -> io::Result<Watch> {
        self.watcher.watch(socket, key.0, sides == Sides::Both)
    }

    /// A call has found that there is nothing more to receive, or no more room to send: the system tells of the next.
    #[inline(always)]
    pub(in crate::net) fn ask_again(&self, watch: &mut Watch, read: bool, write: bool) {
        self.watcher.ask_again(watch, read, write);
    }

    /// What the system has told of has not been taken yet: until then it need not watch.
    #[inline(always)]
    pub(in crate::net) fn rest(&self, watch: &mut Watch) {
        self.watcher.rest(watch);
    }

    /// The system tells of it no more. The descriptor is still open.
    pub(in crate::net) fn deregister(&self, watch: &mut Watch) {
        if self.opener == Process::current() {
            self.watcher.end(watch);
        }
    }

    /// Something was done to this source that the poller does not know of; this is how it is now.
    pub(in crate::net) fn mark_dirty(&self, key: Key, status: SourceStatus) {
        self.dirty().push((key, status));
        if self.bell.ring_dirty() {
            // It fails only where a wake-up is on its way already.
            let _ = self.watcher.wake();
        }
    }

    /// Forgets a source, which has been deregistered. Nobody may hold a lock of the source's.
    pub(in crate::net) fn remove(&self, key: Key) {
        self.sources.remove(key);
    }

    /// What has been marked dirty.
    pub(in crate::net) fn take_dirty(&self) -> Vec<(Key, SourceStatus)> {
        std::mem::take(&mut self.dirty())
    }

    fn dirty(&self) -> MutexGuard<'_, Vec<(Key, SourceStatus)>> {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
