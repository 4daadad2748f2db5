//! A connected stream socket: the caller's, which is borrowed and never closed, or one of the library's own. Used
//! without blocking; a borrowed one keeps its flags.

use crate::transport::sys;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// See the module.
#[derive(Debug)]
pub struct Socket {
    fd: Fd,
}

#[derive(Debug)]
enum Fd {
    Owned(OwnedFd),
    Borrowed(BorrowedFd<'static>),
}

impl Socket {
    /// A socket that is closed with the connection.
    pub fn owned(fd: OwnedFd) -> Self {
        Self { fd: Fd::Owned(fd) }
    }

    /// A socket of the caller's, who keeps it open as long as the connection uses it.
    pub fn borrowed(fd: BorrowedFd<'static>) -> Self {
        Self { fd: Fd::Borrowed(fd) }
    }
}

impl Socket {
    /// Ends the stream for the peer, where the socket is the library's: nothing more will be sent.
    pub fn end(&self) {
        if let Fd::Owned(fd) = &self.fd {
            // It fails where the peer has ended the stream itself.
            let _ = socket2::SockRef::from(fd).shutdown(std::net::Shutdown::Write);
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        match &self.fd {
            Fd::Owned(fd) => fd.as_raw_fd(),
            Fd::Borrowed(fd) => fd.as_raw_fd(),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        sys::recv(self.as_raw_fd(), space)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        sys::send(self.as_raw_fd(), &[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        sys::send(self.as_raw_fd(), slices)
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
        if let Fd::Owned(fd) = &self.fd {
            let mut scratch = [0; 4096];
            for _ in 0..256 {
                if !matches!(sys::recv(fd.as_raw_fd(), &mut scratch), Ok(1..)) {
                    break;
                }
            }
        }
    }
}
