//! Sockets: the system calls that std lacks, and the names that other platforms have others for.

use crate::error::{Error, Result};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use socket2::{SockAddr, SockRef, Type};
use std::ffi::OsStr;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A socket by its number.
pub(crate) type RawSocket = RawFd;
/// A socket that is closed when this is dropped.
pub(crate) type OwnedSocket = std::os::fd::OwnedFd;
/// A socket that somebody else keeps open.
pub(crate) type BorrowedSocket<'a> = BorrowedFd<'a>;

/// The number of a socket.
#[inline(always)]
pub(crate) fn raw(socket: &impl AsFd) -> RawSocket {
    socket.as_fd().as_raw_fd()
}

/// The same socket, for as long as this one lives.
pub(crate) fn lend(socket: &impl AsFd) -> BorrowedSocket<'_> {
    socket.as_fd()
}

/// The number as C has it.
pub(crate) fn number(socket: RawSocket) -> isize {
    socket as isize
}

/// The stream socket with this number.
///
/// # Safety
/// It stays open for as long as what this returns is used.
pub(crate) unsafe fn borrow(number: isize) -> Result<BorrowedSocket<'static>> {
    let fd = RawFd::try_from(number).ok().filter(|fd| *fd >= 0);
    let fd = fd.ok_or(Error::InvalidArgument("not a socket"))?;
    // SAFETY: it is not -1, and stays open by the caller's word.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    if !matches!(SockRef::from(&fd).r#type(), Ok(Type::STREAM)) {
        return Err(Error::InvalidArgument("not a stream socket"));
    }
    #[cfg(target_vendor = "apple")]
    SockRef::from(&fd).set_nosigpipe(true)?;
    Ok(fd)
}

/// A socket of the library's own: here the calls below need nothing.
#[inline(always)]
pub(crate) fn own(socket: OwnedSocket) -> OwnedSocket {
    socket
}

/// Implements std's traits for a type that has `lend()`.
macro_rules! as_socket {
    ($type:ty) => {
        impl std::os::fd::AsFd for $type {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.lend()
            }
        }

        impl std::os::fd::AsRawFd for $type {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.lend().as_raw_fd()
            }
        }
    };
}
pub(crate) use as_socket;

/// Receives without blocking.
pub(crate) fn recv(socket: RawSocket, space: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the pointer and length are those of a live, writable slice.
    let n = unsafe { libc::recv(socket, space.as_mut_ptr().cast(), space.len(), libc::MSG_DONTWAIT) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

#[cfg(target_vendor = "apple")]
const SEND: libc::c_int = libc::MSG_DONTWAIT; // SO_NOSIGPIPE is set on the socket
#[cfg(not(target_vendor = "apple"))]
const SEND: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// Sends without blocking and without SIGPIPE.
pub(crate) fn send(socket: RawSocket, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the pointer and length are those of a live slice.
    let n = unsafe { libc::send(socket, bytes.as_ptr().cast(), bytes.len(), SEND) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// Sends several pieces without blocking and without SIGPIPE.
pub(crate) fn send_vectored(socket: RawSocket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    // SAFETY: an all-zero msghdr is a valid one: no address, no data, no control messages.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // IoSlice is guaranteed to have the layout of iovec; sendmsg does not write through it.
    message.msg_iov = slices.as_ptr().cast_mut().cast();
    message.msg_iovlen = slices.len() as _;
    // SAFETY: the message points at live slices for the length of the call.
    let n = unsafe { libc::sendmsg(socket, &message, SEND) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// Ends the stream for the peer: nothing more will be sent.
pub(crate) fn end_sending(socket: &OwnedSocket) -> io::Result<()> {
    SockRef::from(socket).shutdown(std::net::Shutdown::Write)
}

/// Whether a connect() that does not wait has begun.
pub(crate) fn is_in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

/// A listener may take a port whose last one is gone; with `reuse_port`, beside others that have this set.
pub(crate) fn share_address(socket: &socket2::Socket, reuse_port: bool) -> Result<()> {
    socket.set_reuse_address(true)?;
    Ok(socket.set_reuse_port(reuse_port)?)
}

/// The address of a Unix socket. A path that begins with `@` is a name in Linux's abstract namespace.
pub(crate) fn unix_address(path: &[u8]) -> Result<SockAddr> {
    let mut path = path.to_vec();
    if let Some(first) = path.first_mut().filter(|first| **first == b'@') {
        if !cfg!(any(target_os = "linux", target_os = "android")) {
            return Err(Error::InvalidArgument("this system has no abstract Unix sockets"));
        }
        *first = 0;
    }
    SockAddr::unix(OsStr::from_bytes(&path))
        .map_err(|_| Error::InvalidArgument("the path of the Unix socket is too long"))
}

/// The path that these bytes name.
pub(crate) fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// A file. While it is open, no other one has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

/// What is at a path, a link being one: which file, and whether it is a socket.
pub(crate) fn file_at(path: &Path) -> io::Result<(FileId, bool)> {
    let file = std::fs::symlink_metadata(path)?;
    Ok((FileId { device: file.dev(), inode: file.ino() }, file.file_type().is_socket()))
}

/// The error of what must not be there.
pub(crate) fn file_exists() -> io::Error {
    io::Error::from_raw_os_error(libc::EEXIST)
}

/// One thing to wait for.
pub(crate) type PollEntry = libc::pollfd;

/// What [`poll`] can wait for; without a socket, nothing.
pub(crate) fn poll_entry(socket: Option<RawSocket>, readable: bool, writable: bool) -> PollEntry {
    let events = if readable { libc::POLLIN } else { 0 } | if writable { libc::POLLOUT } else { 0 };
    PollEntry { fd: socket.unwrap_or(-1), events, revents: 0 }
}

/// Whether [`poll`] found anything for this one: readiness, an error, the end.
pub(crate) fn is_ready(entry: &PollEntry) -> bool {
    entry.revents != 0
}

/// Waits until one of `fds` is ready, or the time is over; `None` waits for ever. May return early.
pub(crate) fn poll(fds: &mut [PollEntry], timeout: Option<Duration>) -> io::Result<()> {
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

/// What a mio poll tells changes of. Its descriptor is open for as long as this is used.
#[derive(Debug)]
pub(crate) struct Watch(RawSocket);

impl Watch {
    /// Nothing.
    const NONE: Self = Self(-1);
    /// Each change is told, without being asked for.
    pub(crate) const TELLS_ONCE: bool = false;

    /// The poll has told of these.
    #[inline(always)]
    pub(crate) fn told(&mut self, _read: bool, _write: bool) {}
}

/// What a mio poll is told by, from any thread.
#[derive(Debug)]
pub(crate) struct Watcher {
    registry: Registry,
    waker: Waker,
}

impl Watcher {
    /// A call of [`wake`](Self::wake) comes out of the poll as `waker`.
    pub(crate) fn new(poll: &Poll, waker: Token) -> io::Result<Self> {
        Ok(Self { registry: poll.registry().try_clone()?, waker: Waker::new(poll.registry(), waker)? })
    }

    /// From now on the poll tells of changes, with this token: something to receive, and room to send where `both`.
    pub(crate) fn watch(&self, socket: RawSocket, token: usize, both: bool) -> io::Result<Watch> {
        let interest = if both { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        self.registry.register(&mut SourceFd(&socket), Token(token), interest)?;
        Ok(Watch(socket))
    }

    /// Need not be: see [`Watch::TELLS_ONCE`].
    #[inline(always)]
    pub(crate) fn ask_again(&self, _watch: &mut Watch, _read: bool, _write: bool) {}

    /// Nor need this.
    #[inline(always)]
    pub(crate) fn rest(&self, _watch: &mut Watch) {}

    /// The poll tells of it no more.
    pub(crate) fn end(&self, watch: &mut Watch) {
        let Watch(socket) = std::mem::replace(watch, Watch::NONE);
        if socket >= 0 {
            // It fails where somebody else has closed it.
            let _ = self.registry.deregister(&mut SourceFd(&socket));
        }
    }

    /// Ends the wait under way, or the next.
    pub(crate) fn wake(&self) -> io::Result<()> {
        self.waker.wake()
    }
}

/// Several things to wait for behind one descriptor: sockets that connect, and what threads find out.
#[derive(Debug)]
pub(crate) struct Bundle(Poll);

/// What a [`Notifier`] tells; the tokens of the sockets count up from 0.
const NOTIFIED: Token = Token(usize::MAX);

impl Bundle {
    /// An empty one.
    pub(crate) fn new() -> io::Result<Self> {
        Poll::new().map(Self)
    }

    /// Becomes readable when there is news.
    pub(crate) fn raw_socket(&self) -> RawSocket {
        self.0.as_raw_fd()
    }

    /// From now on there is news with this token when the socket is connected, can be read from or written to again, or fails. It
    /// is open for as long as what this returns.
    pub(crate) fn add(&self, socket: RawSocket, token: usize) -> io::Result<InBundle> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.0.registry().register(&mut SourceFd(&socket), Token(token), interest)?;
        Ok(InBundle(()))
    }

    /// What makes it readable from any thread. One at a time.
    pub(crate) fn notifier(&self) -> io::Result<Notifier> {
        Waker::new(self.0.registry(), NOTIFIED).map(Notifier)
    }

    /// The tokens of the sockets on which something has happened since the last call; may be said twice.
    pub(crate) fn take_news(&mut self) -> io::Result<Vec<usize>> {
        let mut tokens = Vec::new();
        let mut events = Events::with_capacity(16);
        let mut is_all = false;
        while !is_all {
            match self.0.poll(&mut events, Some(Duration::ZERO)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            is_all = events.iter().count() < events.capacity();
            tokens.extend(events.iter().map(|event| event.token().0).filter(|token| *token != NOTIFIED.0));
        }
        Ok(tokens)
    }
}

/// A socket's place in a bundle. The socket is still open when it is dropped: closed, it is in none.
#[derive(Debug)]
pub(crate) struct InBundle(());

/// See [`Bundle::notifier`].
#[derive(Debug)]
pub(crate) struct Notifier(Waker);

impl Notifier {
    /// The bundle becomes readable.
    pub(crate) fn notify(&self) {
        // It fails only where it is readable already.
        let _ = self.0.wake();
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

/// Two stream sockets that are connected, for tests.
#[cfg(test)]
pub(crate) fn pair() -> (OwnedSocket, OwnedSocket) {
    let (left, right) = UnixStream::pair().unwrap();
    (left.into(), right.into())
}
