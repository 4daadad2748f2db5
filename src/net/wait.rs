//! Waiting for a socket, outside every lock, and being woken while at it.

use crate::net::sys;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    /// Bytes to read, or the end.
    pub read: bool,
    /// Room to write.
    pub write: bool,
}

/// Wakes all threads that wait, until it is drained.
#[derive(Debug)]
pub struct Waker {
    sleeper: UnixStream,
    waker: UnixStream,
}

impl Waker {
    /// A new one.
    pub fn new() -> io::Result<Self> {
        let (sleeper, waker) = UnixStream::pair()?;
        sleeper.set_nonblocking(true)?;
        waker.set_nonblocking(true)?;
        Ok(Self { sleeper, waker })
    }

    /// Ends every wait under way, and the next ones, until [`drain`](Self::drain).
    pub fn wake(&self) {
        // Full means that it will wake in any case.
        let _ = (&self.waker).write(&[1]);
    }

    /// Waits are waits again.
    pub fn drain(&self) {
        let mut scratch = [0; 64];
        while matches!((&self.sleeper).read(&mut scratch), Ok(1..)) {}
    }
}

/// Waits until the socket is ready or the waker called; false where `until` came first.
pub fn wait(
    fd: RawFd,
    interest: Interest,
    until: Option<Instant>,
    waker: Option<&Waker>,
) -> io::Result<bool> {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        // With nothing to wait for, the end of the socket must not end the wait either.
        let fd = if interest.read || interest.write { fd } else { -1 };
        let waker = waker.map_or(-1, |waker| waker.sleeper.as_raw_fd());
        let mut fds = [sys::poll_fd(fd, interest.read, interest.write), sys::poll_fd(waker, true, false)];
        sys::poll(&mut fds, left)?;
        if fds.iter().any(sys::is_ready) {
            return Ok(true);
        }
        if left == Some(Duration::ZERO) {
            return Ok(false);
        }
    }
}
