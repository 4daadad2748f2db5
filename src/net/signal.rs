//! What threads tell one another without a lock: two words, each with named states, and nothing else.
//!
//! [`Monitor`] is a mutex with a word beside it. A poller leaves events there and learns whether they are all there is to
//! know; it never waits for the mutex, for whoever holds that marks the value dirty afterwards. [`Doorbell`] is what wakes a
//! poller. Knows no socket, no connection and no list: what is protected, and what "dirty" comes to, is the owner's. The
//! orders are checked by loom (`make test-loom`).

#[cfg(loom)]
use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU32, AtomicUsize, Ordering},
};
use std::ops::{Deref, DerefMut};
#[cfg(not(loom))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU32, AtomicUsize, Ordering},
};
use std::sync::{PoisonError, TryLockError};

/// What the system has told of a transport, as bits of a [`Monitor`]'s word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events(u32);

impl Events {
    const READ: u32 = 1;
    const WRITE: u32 = 2;
    const ENDED: u32 = 4;
    const ALL: u32 = Self::READ | Self::WRITE | Self::ENDED;

    /// Bytes to receive, or the end; room to send; the end of the stream, perhaps behind bytes that are still to come.
    pub fn new(read: bool, write: bool, ended: bool) -> Self {
        let bit = |set, bit| if set { bit } else { 0 };
        Self(bit(read, Self::READ) | bit(write, Self::WRITE) | bit(ended, Self::ENDED))
    }

    /// There is something to receive, or the end.
    pub fn read(self) -> bool {
        self.0 & Self::READ != 0
    }

    /// There is room to send.
    pub fn write(self) -> bool {
        self.0 & Self::WRITE != 0
    }

    /// The peer has ended the stream, or it is broken.
    pub fn ended(self) -> bool {
        self.0 & Self::ENDED != 0
    }
}

/// What a value says of itself when its lock is let go, for those who do not take the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Published(u32);

impl Published {
    /// It waits for its transport and for nothing else: an event that there is something to receive is all there is to know.
    const IDLE: u32 = 8;
    /// Nothing is to be done before what has been read ahead is handed out.
    const BATCH_VALID: u32 = 16;
    /// There is nothing to look at any more.
    const OVER: u32 = 64;
    const ALL: u32 = Self::IDLE | Self::BATCH_VALID | Self::OVER;

    /// See the constants.
    #[inline]
    pub(crate) fn new(idle: bool, batch_valid: bool) -> Self {
        Self(if idle { Self::IDLE } else { 0 } | if batch_valid { Self::BATCH_VALID } else { 0 })
    }

    /// That, and that there is nothing to look at any more.
    #[inline]
    pub(crate) fn and_over(self) -> Self {
        Self(self.0 | Self::OVER)
    }
}

/// A poller has found the lock taken: whoever lets it go marks the value dirty.
const LOOK: u32 = 32;

/// What a [`Monitor`] asks of the value that it protects.
pub(crate) trait Monitored {
    /// Whether whoever has the lock may come to want it once more: calls of the caller's are made under it.
    fn may_reenter(&self) -> bool;
    /// The lock has been taken, and these events have come meanwhile.
    fn on_events(&mut self, events: Events);
    /// The lock is about to be let go.
    fn before_unlock(&mut self) -> Published;
    /// Whether a poller may come and look.
    fn is_registered(&self) -> bool;
    /// A poller came to look while the lock was taken: it has to come again.
    fn mark_dirty(&mut self);
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Monitor<T> {
    value: Mutex<T>,
    word: AtomicU32,
    /// The thread that has the lock, where it may reenter.
    owner: AtomicUsize,
}

impl<T: Monitored> Monitor<T> {
    /// Protects this value.
    pub(crate) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), word: AtomicU32::new(0), owner: AtomicUsize::new(0) }
    }

    /// Whether this very thread has the lock, and would wait for itself. Known only where it
    /// [may reenter](Monitored::may_reenter).
    #[inline]
    pub(crate) fn is_held_here(&self) -> bool {
        let owner = self.owner.load(Ordering::Relaxed);
        owner != 0 && is_this_thread(owner)
    }

    /// Takes the lock; `None` where a panic has left the value in an unknown state.
    #[inline]
    pub(crate) fn lock(&self) -> Option<Held<'_, T>> {
        self.lock_and(|_| {})
    }

    /// [`lock`](Self::lock), and does this to the value first.
    #[inline(always)]
    pub(crate) fn lock_and(&self, prepare: impl FnOnce(&mut T)) -> Option<Held<'_, T>> {
        let mut value = self.value.lock().ok()?;
        self.note_events(&mut value);
        prepare(&mut value);
        if value.may_reenter() {
            self.owner.store(this_thread(), Ordering::Relaxed);
        }
        Some(Held { value, released: Released { monitor: self, may_be_looked_at: false } })
    }

    /// Takes the lock where a panic has left the value in an unknown state, and whatever comes of it is told nobody.
    pub(crate) fn lock_dead(&self) -> Option<MutexGuard<'_, T>> {
        self.value.lock().err().map(PoisonError::into_inner)
    }

    /// Takes the lock if nobody has it. Otherwise `Err(Busy)`, and whoever has it will call
    /// [`mark_dirty`](Monitored::mark_dirty).
    pub(crate) fn look(&self) -> Result<Held<'_, T>, Busy> {
        match self.try_lock() {
            Err(Busy::Taken) => {
                // Those who let the lock go from now on see this; those who did so before have let it go.
                self.word.fetch_or(LOOK, Ordering::AcqRel);
                let held = self.try_lock()?;
                self.word.fetch_and(!LOOK, Ordering::AcqRel);
                Ok(held)
            }
            other => other,
        }
    }

    /// Leaves events for whoever takes the lock next, without taking it. True where they are all there is to know: the value
    /// was idle, and now there is something to receive.
    #[inline]
    pub(crate) fn leave_events(&self, events: Events) -> bool {
        let before = self.word.fetch_or(events.0, Ordering::AcqRel);
        events.read() && before & Published::IDLE != 0
    }

    /// Whether it waits for its transport, which has told of nothing, and for nothing else.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.word.load(Ordering::Acquire) & (Published::IDLE | Events::ALL) == Published::IDLE
    }

    /// Whether there is nothing to look at any more, however busy it is.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.word.load(Ordering::Acquire) & Published::OVER != 0
    }

    /// Whether what was read ahead may be handed out.
    #[inline(always)]
    pub(crate) fn is_batch_valid(&self) -> bool {
        self.word.load(Ordering::Relaxed) & Published::BATCH_VALID != 0
    }

    fn try_lock(&self) -> Result<Held<'_, T>, Busy> {
        match self.value.try_lock() {
            Ok(mut value) => {
                self.note_events(&mut value);
                Ok(Held { value, released: Released { monitor: self, may_be_looked_at: false } })
            }
            Err(TryLockError::WouldBlock) => Err(Busy::Taken),
            Err(TryLockError::Poisoned(_)) => Err(Busy::Dead),
        }
    }

    #[inline(always)]
    fn note_events(&self, value: &mut T) {
        if self.word.load(Ordering::Relaxed) & Events::ALL != 0 {
            self.note_some_events(value);
        }
    }

    #[inline(never)]
    fn note_some_events(&self, value: &mut T) {
        // Both at once: who sees that the events are gone sees that it is not idle.
        let before = self.word.fetch_and(!(Events::ALL | Published::IDLE), Ordering::AcqRel);
        value.on_events(Events(before & Events::ALL));
    }

    /// A poller has found the lock taken, which is let go now. Letting it go once more may find the same.
    #[cold]
    fn answer_look(&self) {
        loop {
            if let Ok(mut value) = self.value.lock() {
                value.mark_dirty();
            }
            if self.word.fetch_and(!LOOK, Ordering::AcqRel) & LOOK == 0 {
                return;
            }
        }
    }

    /// Only whoever has the lock changes these bits.
    #[inline]
    fn publish(&self, published: Published) {
        let difference = (self.word.load(Ordering::Relaxed) ^ published.0) & Published::ALL;
        if difference != 0 {
            self.word.fetch_xor(difference, Ordering::AcqRel);
        }
    }
}

#[cold]
fn is_this_thread(owner: usize) -> bool {
    owner == this_thread()
}

/// A number of this thread's own: the address of a thread-local without a destructor.
#[cold]
fn this_thread() -> usize {
    std::thread_local!(static TOKEN: u8 = const { 0 });
    TOKEN.with(|token| std::ptr::from_ref(token).addr())
}

/// Why a lock could not be had at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Busy {
    /// Somebody has it.
    Taken,
    /// A panic has left the value in an unknown state.
    Dead,
}

/// The lock of a [`Monitor`], held.
#[derive(Debug)]
pub(crate) struct Held<'a, T: Monitored> {
    // Dropped in this order: the lock is let go before it is looked whether a poller has come meanwhile.
    value: MutexGuard<'a, T>,
    released: Released<'a, T>,
}

impl<T: Monitored> Deref for Held<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Monitored> DerefMut for Held<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Monitored> Drop for Held<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.value.may_reenter() {
            self.released.monitor.owner.store(0, Ordering::Relaxed);
        }
        let published = self.value.before_unlock();
        self.released.monitor.publish(published);
        self.released.may_be_looked_at = self.value.is_registered();
    }
}

/// The lock has been let go, and a poller may have found it taken.
#[derive(Debug)]
struct Released<'a, T: Monitored> {
    monitor: &'a Monitor<T>,
    may_be_looked_at: bool,
}

impl<T: Monitored> Drop for Released<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.may_be_looked_at && self.monitor.word.fetch_and(!LOOK, Ordering::AcqRel) & LOOK != 0 {
            self.monitor.answer_look();
        }
    }
}

/// What wakes the thread that waits in a poller.
#[derive(Debug, Default)]
pub(crate) struct Doorbell(AtomicU32);

/// What a [`Doorbell`] was rung for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rung {
    /// Sources have been marked dirty.
    pub dirty: bool,
    /// The wait is to return.
    pub woken: bool,
}

impl Doorbell {
    /// The thread waits in the system, or is about to.
    const WAITING: u32 = 1;
    /// Sources have been marked dirty.
    const DIRTY: u32 = 2;
    /// The wait is to return.
    const WOKEN: u32 = 4;

    /// Something was added to the list of the dirty. Whether the system's waker is needed.
    pub(crate) fn ring_dirty(&self) -> bool {
        self.ring(Self::DIRTY)
    }

    /// The wait is to return. Whether the system's waker is needed.
    pub(crate) fn ring_wake(&self) -> bool {
        self.ring(Self::WOKEN)
    }

    /// The thread is about to wait: from now on whoever rings wakes it. What it was rung for until now.
    pub(crate) fn before_wait(&self) -> Rung {
        Self::rung(self.0.swap(Self::WAITING, Ordering::AcqRel))
    }

    /// The wait is over. What the bell was rung for meanwhile.
    pub(crate) fn after_wait(&self) -> Rung {
        Self::rung(self.0.swap(0, Ordering::AcqRel))
    }

    /// Only the first needs the waker: the thread is on its way then.
    fn ring(&self, what: u32) -> bool {
        self.0.fetch_or(what, Ordering::AcqRel) == Self::WAITING
    }

    fn rung(word: u32) -> Rung {
        Rung { dirty: word & Self::DIRTY != 0, woken: word & Self::WOKEN != 0 }
    }
}
