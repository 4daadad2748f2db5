//! A connected stream socket: the caller's, which is borrowed and never closed, or one of the library's own. Used
//! without blocking; a borrowed one keeps its flags. One that a poller watches knows whether it is worth asking again.

use crate::error::{Error, Result};
use crate::net::readiness::Readiness;
use crate::net::sys::{self, RawSocket};
use crate::simd::process::Process;
use socket2::SockAddr;
use std::ffi::OsStr;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

/// See the module.
#[derive(Debug)]
pub struct Socket {
    fd: Fd,
    /// In another process than the one that opened it, it is closed and no more: it is still the other's.
    opener: u16,
    readiness: Readiness,
}

#[derive(Debug)]
enum Fd {
    Owned(OwnedFd),
    Borrowed(BorrowedFd<'static>),
}

impl Socket {
    /// A socket that is closed with the connection.
    pub fn owned(fd: OwnedFd) -> Self {
        Self::new(Fd::Owned(fd))
    }

    /// A socket of the caller's, who keeps it open as long as the connection uses it.
    pub fn borrowed(fd: BorrowedFd<'static>) -> Self {
        Self::new(Fd::Borrowed(fd))
    }

    fn new(fd: Fd) -> Self {
        Self { fd, opener: Process::current().short(), readiness: Readiness::UNWATCHED }
    }

    /// Its number.
    #[inline]
    pub fn raw(&self) -> RawSocket {
        self.fd.as_raw_fd()
    }

    /// What is known of it.
    pub fn readiness(&self) -> Readiness {
        self.readiness
    }

    /// What is known of it, to be changed by who has heard of something.
    pub fn readiness_mut(&mut self) -> &mut Readiness {
        &mut self.readiness
    }

    /// Remembers whether there was room to send.
    fn note_would_block(&mut self, sent: io::Result<usize>) -> io::Result<usize> {
        if let Err(error) = &sent {
            self.readiness.writable = error.kind() != io::ErrorKind::WouldBlock;
        }
        sent
    }

    /// The descriptor, where the stream is the library's to be ended: not a borrowed one, nor one that a fork() copied.
    fn ours(&self) -> Option<&OwnedFd> {
        match &self.fd {
            Fd::Owned(fd) if self.opener == Process::current().short() => Some(fd),
            _ => None,
        }
    }

    /// Whether [`end`](Self::end) does anything.
    pub fn can_end(&self) -> bool {
        self.ours().is_some()
    }

    /// Ends the stream for the peer, where the socket is the library's: nothing more will be sent.
    pub fn end(&self) {
        if let Some(fd) = self.ours() {
            // It fails where the peer has ended the stream itself.
            let _ = socket2::SockRef::from(fd).shutdown(std::net::Shutdown::Write);
        }
    }
}

/// The address of a Unix socket. A path that begins with `@` is a name in Linux's abstract namespace.
pub fn unix_address(path: &[u8]) -> Result<SockAddr> {
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

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.fd {
            Fd::Owned(fd) => fd.as_fd(),
            Fd::Borrowed(fd) => *fd,
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Fd::Owned(fd) => fd.as_raw_fd(),
            Fd::Borrowed(fd) => fd.as_raw_fd(),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let known = &mut self.readiness;
        if std::mem::take(&mut known.drained) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let received = sys::recv(self.fd.as_raw_fd(), space);
        match &received {
            // Less than there was room for: that was all, unless the end lies behind it. What comes later is told.
            Ok(n) => {
                known.drained = known.watched && !known.ended && *n < space.len();
                known.readable = !known.drained;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => known.readable = false,
            Err(_) => {}
        }
        received
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = sys::send(self.as_raw_fd(), bytes);
        self.note_would_block(sent)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let sent = match slices {
            [one] => sys::send(self.as_raw_fd(), one),
            several => sys::send_vectored(self.as_raw_fd(), several),
        };
        self.note_would_block(sent)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Socket {
    /// A socket that is closed with bytes unread sends a reset, and a reset can overtake the Close that was sent last:
    /// so the end of sending is said first, and what has arrived is taken off.
    fn drop(&mut self) {
        self.end();
        if let Some(fd) = self.ours() {
            let mut scratch = [0; 4096];
            for _ in 0..256 {
                if !matches!(sys::recv(fd.as_raw_fd(), &mut scratch), Ok(1..)) {
                    break;
                }
            }
        }
    }
}
