//! What src/net/signal.rs takes from std::sync, over loom's, which falls short in two ways.
//!
//! It keeps one last access of each object only, so that a load hides an earlier one of another thread, and orders are never
//! tried. A load that is an exchange hides nothing, but then it always sees the newest value. So each model runs both ways.
//!
//! And an attempt to take a lock never fails without need. Here it does what std's may do, whose failed exchange is a relaxed
//! load: it may see an older value, as long as nothing that happened before rules that out.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::{LockResult, TryLockError, TryLockResult};

pub mod atomic {
    pub use super::AtomicU32;
    pub use loom::sync::atomic::{AtomicUsize, Ordering};
}

use self::atomic::Ordering;

thread_local!(static LOADS_SEE_THE_NEWEST: Cell<bool> = const { Cell::new(false) });

/// Runs a model in every order that loom can think of. Its threads are all this one.
pub fn check(model: impl Fn() + Sync + Send + 'static) {
    let model = std::sync::Arc::new(model);
    for newest in [true, false] {
        LOADS_SEE_THE_NEWEST.set(newest);
        let model = std::sync::Arc::clone(&model);
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(4);
        builder.check(move || model());
    }
}

#[derive(Debug, Default)]
pub struct AtomicU32(loom::sync::atomic::AtomicU32);

impl AtomicU32 {
    pub fn new(value: u32) -> Self {
        Self(loom::sync::atomic::AtomicU32::new(value))
    }

    #[track_caller]
    pub fn load(&self, order: Ordering) -> u32 {
        match (LOADS_SEE_THE_NEWEST.get(), order) {
            (true, Ordering::Relaxed) => self.0.fetch_or(0, Ordering::Relaxed),
            (true, _) => self.0.fetch_or(0, Ordering::Acquire),
            (false, order) => self.0.load(order),
        }
    }
}

impl Deref for AtomicU32 {
    type Target = loom::sync::atomic::AtomicU32;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

#[derive(Debug)]
pub struct Mutex<T> {
    is_locked: AtomicU32,
    value: loom::sync::Mutex<T>,
}

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self { is_locked: AtomicU32::new(0), value: loom::sync::Mutex::new(value) }
    }

    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        match self.value.lock() {
            Ok(value) => Ok(self.locked(value)),
            Err(_) => unreachable!("loom's locks are never poisoned"),
        }
    }

    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        if self.is_locked.load(Ordering::Relaxed) == 1 {
            return Err(TryLockError::WouldBlock);
        }
        match self.value.try_lock() {
            Ok(value) => Ok(self.locked(value)),
            Err(_) => Err(TryLockError::WouldBlock),
        }
    }

    fn locked<'a>(&'a self, value: loom::sync::MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.is_locked.swap(1, Ordering::Acquire);
        MutexGuard { _open: Open(&self.is_locked), value }
    }
}

#[derive(Debug)]
pub struct MutexGuard<'a, T> {
    // Dropped in this order.
    _open: Open<'a>,
    value: loom::sync::MutexGuard<'a, T>,
}

#[derive(Debug)]
struct Open<'a>(&'a AtomicU32);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.swap(0, Ordering::Release);
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}
