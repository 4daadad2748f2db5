//! What stands in for sockets in a build without the feature `net`: the same names, of which nothing can exist, and a refusal
//! where one would be made.

use crate::error::{Error, Result};
use std::io::{self, IoSlice};
use std::marker::PhantomData;
use std::time::Duration;

/// No socket has it.
#[derive(Debug, Clone, Copy)]
pub struct RawSocket(());

/// Cannot be.
#[derive(Debug)]
pub struct OwnedSocket(Never);

/// Cannot be.
#[derive(Debug, Clone, Copy)]
pub struct BorrowedSocket<'a>(Never, PhantomData<&'a ()>);

#[derive(Debug, Clone, Copy)]
enum Never {}

/// What would be a socket.
pub(crate) trait NoSocket {
    /// Never called.
    fn never(&self) -> !;
}

impl NoSocket for OwnedSocket {
    fn never(&self) -> ! {
        match self.0 {}
    }
}

impl NoSocket for BorrowedSocket<'_> {
    fn never(&self) -> ! {
        match self.0 {}
    }
}

/// Never called.
pub(crate) fn raw(socket: &impl NoSocket) -> RawSocket {
    socket.never()
}

/// Never called.
pub(crate) fn own(socket: OwnedSocket) -> OwnedSocket {
    socket.never()
}

/// Never called.
pub(crate) fn lend(socket: &impl NoSocket) -> BorrowedSocket<'_> {
    socket.never()
}

/// The number of none.
pub(crate) fn number(_socket: RawSocket) -> isize {
    -1
}

/// Refused: there are no sockets in this build.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn borrow(_number: isize) -> Result<BorrowedSocket<'static>> {
    Err(Error::NO_SOCKETS)
}

/// Fails: there is no such socket.
pub(crate) fn recv(_socket: RawSocket, _space: &mut [u8]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Fails: there is no such socket.
pub(crate) fn send(_socket: RawSocket, _bytes: &[u8]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Fails: there is no such socket.
pub(crate) fn send_vectored(_socket: RawSocket, _slices: &[IoSlice<'_>]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Never called.
pub(crate) fn end_sending(socket: &OwnedSocket) -> io::Result<()> {
    socket.never()
}

/// What is never waited for.
pub(crate) type PollEntry = ();

/// Nothing to wait for.
pub(crate) fn poll_entry(_socket: Option<RawSocket>, _readable: bool, _writable: bool) -> PollEntry {}

/// Never.
pub(crate) fn is_ready(_entry: &PollEntry) -> bool {
    false
}

/// Fails: there is nothing to wait for.
pub(crate) fn poll(_entries: &mut [PollEntry], _timeout: Option<Duration>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What a poller would watch.
#[derive(Debug)]
pub(crate) struct Watch(());

/// Cannot be.
#[derive(Debug)]
pub(crate) enum Watcher {}

impl Watch {
    /// Nothing is told.
    pub(crate) const TELLS_ONCE: bool = false;

    /// Never called.
    pub(crate) fn told(&mut self, _read: bool, _write: bool) {}
}

impl Watcher {
    /// Never called.
    pub(crate) fn ask_again(&self, _watch: &mut Watch, _read: bool, _write: bool) {
        match *self {}
    }

    /// Never called.
    pub(crate) fn rest(&self, _watch: &mut Watch) {
        match *self {}
    }

    /// Never called.
    pub(crate) fn watch(&self, _socket: RawSocket, _token: usize, _both: bool) -> io::Result<Watch> {
        match *self {}
    }

    /// Never called.
    pub(crate) fn end(&self, _watch: &mut Watch) {
        match *self {}
    }

    /// Never called.
    pub(crate) fn wake(&self) -> io::Result<()> {
        match *self {}
    }
}

/// Cannot be.
#[derive(Debug)]
pub enum WakePair {}

impl WakePair {
    /// Refused: no thread waits.
    pub fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Never called.
    pub fn socket(&self) -> RawSocket {
        match *self {}
    }

    /// Never called.
    pub fn wake(&self) {
        match *self {}
    }

    /// Never called.
    pub fn drain(&self) {
        match *self {}
    }
}
