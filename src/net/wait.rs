//! Waiting for a socket, outside every lock, and being woken while at it. Knows descriptors and time; what is waited for is
//! the caller's matter.

use crate::sys::{self, Process, RawSocket, WakePair};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most wakers that are kept for the next thread that waits, of all that the process has made.
const MOST_KEPT: usize = 16;
/// Without a waker, for want of descriptors, a wait looks again this often.
const WITHOUT_WAKER: Duration = Duration::from_millis(10);

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    /// Bytes to read, or the end.
    pub read: bool,
    /// Room to write.
    pub write: bool,
}

/// How a wait has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The socket has something.
    Ready,
    /// Something may have changed: look again.
    Called,
    /// The time is over.
    TimedOut,
}

/// A share in the wakers of the process. Each waker takes descriptors, so a thread has one while it waits and no longer; the
/// last share closes those that were kept for the next thread.
#[derive(Debug)]
pub struct Wakers(());

#[derive(Debug)]
struct Kept {
    /// In the child of a fork() the wakers are still those of this process.
    opener: Process,
    shares: usize,
    wakers: Vec<Arc<WakePair>>,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept { opener: Process::NONE, shares: 0, wakers: Vec::new() });

impl Wakers {
    /// One for a thread that is about to wait; none where the system has no descriptors left.
    pub fn take() -> Option<Arc<WakePair>> {
        let kept = kept().wakers.pop();
        kept.or_else(|| WakePair::new().ok().map(Arc::new))
    }

    /// The thread waits no longer, and nobody else has the waker. Whether it was called is for the caller to know: to find
    /// out is a system call.
    pub fn put(waker: Arc<WakePair>, was_called: bool) {
        if was_called {
            waker.drain();
        }
        let mut kept = kept();
        if kept.wakers.len() < MOST_KEPT {
            kept.wakers.push(waker);
        }
    }
}

impl Default for Wakers {
    fn default() -> Self {
        kept().shares += 1;
        Self(())
    }
}

impl Clone for Wakers {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Drop for Wakers {
    fn drop(&mut self) {
        let mut kept = kept();
        kept.shares -= 1;
        if kept.shares == 0 {
            kept.wakers = Vec::new();
        }
    }
}

fn kept() -> MutexGuard<'static, Kept> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let process = Process::current();
    if kept.opener != process {
        (kept.opener, kept.wakers) = (process, Vec::new());
    }
    kept
}

/// Waits until the socket is ready or the waker called, or until then.
pub(crate) fn wait(
    socket: RawSocket,
    interest: Interest,
    until: Option<Instant>,
    waker: Option<&WakePair>,
) -> io::Result<Waited> {
    sys::look();
    // With nothing to wait for, the end of the socket must not end the wait either.
    let socket = (interest.read || interest.write).then_some(socket);
    let mut entries = [
        sys::poll_entry(socket, interest.read, interest.write),
        sys::poll_entry(waker.map(WakePair::socket), true, false),
    ];
    let left = left(until);
    sys::poll(&mut entries, if waker.is_some() { left } else { at_most(left, WITHOUT_WAKER) })?;
    Ok(match &entries {
        [socket, _] if sys::is_ready(socket) => Waited::Ready,
        _ if until.is_some_and(|until| Instant::now() >= until) => Waited::TimedOut,
        _ => Waited::Called,
    })
}

/// Waits for a socket that no other thread changes anything about; false where `until` came first.
pub(crate) fn wait_alone(socket: RawSocket, interest: Interest, until: Option<Instant>) -> io::Result<bool> {
    sys::look();
    loop {
        let left = left(until);
        let mut entries = [sys::poll_entry(Some(socket), interest.read, interest.write)];
        sys::poll(&mut entries, left)?;
        if entries.iter().any(sys::is_ready) {
            return Ok(true);
        }
        if left == Some(Duration::ZERO) {
            return Ok(false);
        }
    }
}

/// Whether the socket has something to read right now, be it its end.
pub(crate) fn is_readable(socket: RawSocket) -> io::Result<bool> {
    wait_alone(socket, Interest { read: true, write: false }, Some(Instant::now()))
}

fn left(until: Option<Instant>) -> Option<Duration> {
    until.map(|until| until.saturating_duration_since(Instant::now()))
}

fn at_most(wait: Option<Duration>, most: Duration) -> Option<Duration> {
    Some(wait.map_or(most, |wait| wait.min(most)))
}
