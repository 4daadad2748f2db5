//! Unix: the system calls that std lacks. The `unsafe` of `net` is here and nowhere else.

use crate::simd::process::Process;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A socket by its number.
pub type RawSocket = RawFd;

/// Receives without blocking.
pub fn recv(fd: RawFd, space: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the pointer and length are those of a live, writable slice.
    let n = unsafe { libc::recv(fd, space.as_mut_ptr().cast(), space.len(), libc::MSG_DONTWAIT) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

#[cfg(any(target_os = "macos", target_os = "ios"))]
const SEND: libc::c_int = libc::MSG_DONTWAIT; // SO_NOSIGPIPE is set on the socket
#[cfg(not(any(target_os = "macos", target_os = "ios")))]
const SEND: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// Sends without blocking and without SIGPIPE.
pub fn send(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the pointer and length are those of a live slice.
    let n = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), SEND) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// Sends several pieces without blocking and without SIGPIPE.
pub fn send_vectored(fd: RawFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    // SAFETY: an all-zero msghdr is a valid one: no address, no data, no control messages.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // IoSlice is guaranteed to have the layout of iovec; sendmsg does not write through it.
    message.msg_iov = slices.as_ptr().cast_mut().cast();
    message.msg_iovlen = slices.len() as _;
    // SAFETY: the message points at live slices for the length of the call.
    let n = unsafe { libc::sendmsg(fd, &message, SEND) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// One thing to wait for.
pub type PollEntry = libc::pollfd;

/// What [`poll`] can wait for; without a socket, nothing.
pub fn poll_entry(socket: Option<RawSocket>, readable: bool, writable: bool) -> PollEntry {
    let events = if readable { libc::POLLIN } else { 0 } | if writable { libc::POLLOUT } else { 0 };
    PollEntry { fd: socket.unwrap_or(-1), events, revents: 0 }
}

/// Whether [`poll`] found anything for this one: readiness, an error, the end.
pub fn is_ready(entry: &PollEntry) -> bool {
    entry.revents != 0
}

/// Waits until one of `fds` is ready, or the time is over; `None` waits for ever. May return early.
pub fn poll(fds: &mut [PollEntry], timeout: Option<Duration>) -> io::Result<()> {
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

/// Wakes a thread that waits in [`poll`].
#[derive(Debug)]
pub struct WakePair {
    sleeper: UnixStream,
    waker: UnixStream,
}

impl WakePair {
    /// Takes two descriptors.
    pub fn new() -> io::Result<Self> {
        let (sleeper, waker) = UnixStream::pair()?;
        sleeper.set_nonblocking(true)?;
        waker.set_nonblocking(true)?;
        Ok(Self { sleeper, waker })
    }

    /// What to wait for: it becomes readable.
    pub fn socket(&self) -> RawSocket {
        self.sleeper.as_raw_fd()
    }

    /// Ends the wait under way, and the next ones until [`drain`](Self::drain).
    pub fn wake(&self) {
        // Full means that it will wake in any case.
        let _ = (&self.waker).write(&[1]);
    }

    /// Waits are waits again.
    pub fn drain(&self) {
        let mut scratch = [0; 64];
        while matches!((&self.sleeper).read(&mut scratch), Ok(n) if n == scratch.len()) {}
    }
}

/// A thread that takes no signals: they are the program's, for its own threads. Dropped without [`join`](Self::join), it
/// goes on by itself.
///
/// std's threads leave a destructor behind in the thread that starts one, which would keep the library from being
/// unloaded for as long as that lives.
#[derive(Debug)]
pub struct Thread {
    id: libc::pthread_t,
    /// In the child of a fork() there is no such thread.
    process: Process,
}

type Work = Box<dyn FnOnce() + Send>;

impl Thread {
    /// Starts one, with a stack of this many bytes.
    pub fn start(stack: usize, work: Work) -> io::Result<Self> {
        extern "C" fn run(work: *mut libc::c_void) -> *mut libc::c_void {
            // SAFETY: it is what `start` made of a `Box<Work>`, and handed to this thread alone.
            let work = unsafe { Box::from_raw(work.cast::<Work>()) };
            // There is nobody to tell; what was promised just never comes.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            std::ptr::null_mut()
        }
        let work = Box::into_raw(Box::new(work));
        let started = without_signals(|| {
            // SAFETY: all-zero is a valid place for pthread_attr_init and pthread_create to write to; `work` is alive,
            // and `run` takes it over where pthread_create succeeds.
            unsafe {
                let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
                let mut thread: libc::pthread_t = std::mem::zeroed();
                let mut code = libc::pthread_attr_init(&mut attributes);
                if code == 0 {
                    // It fails where the size is not to the system's liking, which then uses its own.
                    libc::pthread_attr_setstacksize(&mut attributes, stack);
                    code = libc::pthread_create(&mut thread, &attributes, run, work.cast());
                    libc::pthread_attr_destroy(&mut attributes);
                }
                match code {
                    0 => Ok(Self { id: thread, process: Process::current() }),
                    code => Err(io::Error::from_raw_os_error(code)),
                }
            }
        });
        if started.is_err() {
            // SAFETY: no thread has it.
            drop(unsafe { Box::from_raw(work) });
        }
        started
    }

    /// Waits until it has ended.
    pub fn join(self) {
        let thread = std::mem::ManuallyDrop::new(self);
        if thread.process == Process::current() {
            // SAFETY: it has been started here, and is neither joined nor detached elsewhere.
            unsafe { libc::pthread_join(thread.id, std::ptr::null_mut()) };
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if self.process == Process::current() {
            // SAFETY: it has been started here, and is neither joined nor detached elsewhere.
            unsafe { libc::pthread_detach(self.id) };
        }
    }
}

/// Does a thing while this thread takes no signals. A thread that is started takes none either, then.
fn without_signals<R>(act: impl FnOnce() -> R) -> R {
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
