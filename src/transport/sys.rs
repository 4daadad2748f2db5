//! The system calls that std lacks: receiving and sending without blocking whatever the socket's flags say and without
//! SIGPIPE, poll, and the signals that a thread takes. The `unsafe` of the transports is here and nowhere else.

use std::io::{self, IoSlice};
use std::os::fd::RawFd;
use std::time::Duration;

/// Receives without blocking.
pub fn recv(fd: RawFd, space: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the pointer and length are those of a live, writable slice.
    let n = unsafe { libc::recv(fd, space.as_mut_ptr().cast(), space.len(), libc::MSG_DONTWAIT) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// Sends without blocking and without SIGPIPE.
pub fn send(fd: RawFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    #[cfg(any(target_os = "macos", target_os = "ios"))]
    const FLAGS: libc::c_int = libc::MSG_DONTWAIT; // SO_NOSIGPIPE is set on the socket
    #[cfg(not(any(target_os = "macos", target_os = "ios")))]
    const FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: an all-zero msghdr is a valid one: no address, no data, no control messages.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // IoSlice is guaranteed to have the layout of iovec; sendmsg does not write through it.
    message.msg_iov = slices.as_ptr().cast_mut().cast();
    message.msg_iovlen = slices.len() as _;
    // SAFETY: the message points at live slices for the length of the call.
    let n = unsafe { libc::sendmsg(fd, &message, FLAGS) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// One thing to wait for.
pub type PollFd = libc::pollfd;

/// What [`poll`] can wait for.
pub fn poll_fd(fd: RawFd, readable: bool, writable: bool) -> PollFd {
    let events = if readable { libc::POLLIN } else { 0 } | if writable { libc::POLLOUT } else { 0 };
    PollFd { fd, events, revents: 0 }
}

/// Whether [`poll`] found anything for this one: readiness, an error, the end.
pub fn is_ready(fd: &PollFd) -> bool {
    fd.revents != 0
}

/// Waits until one of `fds` is ready, or the time is over; `None` waits for ever. May return early.
pub fn poll(fds: &mut [PollFd], timeout: Option<Duration>) -> io::Result<()> {
    // Rounded up, so that a wait for the rest of a millisecond does not spin.
    let timeout = timeout
        .map_or(-1, |timeout| i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
    // SAFETY: the pointer and length are those of a live, writable slice of pollfd.
    let n = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout) };
    match n {
        -1 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            error => Err(error),
        },
        _ => Ok(()),
    }
}

/// Does a thing while this thread takes no signals. A thread that is started takes none either, then: they are the
/// program's, for its own threads.
pub fn without_signals<R>(act: impl FnOnce() -> R) -> R {
    // SAFETY: an all-zero sigset_t is a valid place for sigfillset and pthread_sigmask to write to.
    let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = unsafe { std::mem::zeroed() };
    // SAFETY: both point at live sets.
    let masked = unsafe {
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before) == 0
    };
    let result = act();
    if masked {
        // SAFETY: it is the set that was in force.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut()) };
    }
    result
}
