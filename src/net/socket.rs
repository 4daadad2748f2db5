//! A connected stream socket: the caller's, which is borrowed and never closed, or one of the library's own. Used
//! without blocking; a borrowed one keeps its flags. One that a poller watches knows whether it is worth asking again.

use crate::net::readiness::Readiness;
use crate::sys::{self, BorrowedSocket, OwnedSocket, Process, RawSocket};
use std::io::{self, IoSlice, Read, Write};

/// See the module.
#[derive(Debug)]
pub struct Socket {
    handle: Handle,
    /// In another process than the one that opened it, it is closed and no more: it is still the other's.
    opener: u16,
    readiness: Readiness,
}

#[derive(Debug)]
enum Handle {
    Owned(OwnedSocket),
    Borrowed(BorrowedSocket<'static>),
}

impl Socket {
    /// A socket that is closed with the connection.
    pub fn owned(socket: OwnedSocket) -> Self {
        Self::new(Handle::Owned(sys::own(socket)))
    }

    /// A socket of the caller's, who keeps it open as long as the connection uses it.
    pub fn borrowed(socket: BorrowedSocket<'static>) -> Self {
        Self::new(Handle::Borrowed(socket))
    }

    fn new(handle: Handle) -> Self {
        Self { handle, opener: Process::current().short(), readiness: Readiness::UNWATCHED }
    }

    /// Its number.
    #[inline]
    pub fn raw(&self) -> RawSocket {
        match &self.handle {
            Handle::Owned(socket) => sys::raw(socket),
            Handle::Borrowed(socket) => sys::raw(socket),
        }
    }

    /// The same socket, for those who only look at it.
    pub fn lend(&self) -> BorrowedSocket<'_> {
        match &self.handle {
            Handle::Owned(socket) => sys::lend(socket),
            Handle::Borrowed(socket) => sys::lend(socket),
        }
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

    /// The socket, where the stream is the library's to be ended: not a borrowed one, nor one that a fork() copied.
    fn ours(&self) -> Option<&OwnedSocket> {
        match &self.handle {
            Handle::Owned(socket) if self.opener == Process::current().short() => Some(socket),
            _ => None,
        }
    }

    /// Whether [`end`](Self::end) does anything.
    pub fn can_end(&self) -> bool {
        self.ours().is_some()
    }

    /// Ends the stream for the peer, where the socket is the library's: nothing more will be sent.
    pub fn end(&self) {
        if let Some(socket) = self.ours() {
            // It fails where the peer has ended the stream itself.
            let _ = sys::end_sending(socket);
        }
    }
}

impl Read for Socket {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let socket = self.raw();
        let known = &mut self.readiness;
        if std::mem::take(&mut known.drained) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let received = sys::recv(socket, space);
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
        let sent = sys::send(self.raw(), bytes);
        self.note_would_block(sent)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let sent = match slices {
            [one] => sys::send(self.raw(), one),
            several => sys::send_vectored(self.raw(), several),
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
        if let Some(socket) = self.ours() {
            let mut scratch = [0; 4096];
            for _ in 0..256 {
                if !matches!(sys::recv(sys::raw(socket), &mut scratch), Ok(1..)) {
                    break;
                }
            }
        }
    }
}
