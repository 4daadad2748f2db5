//! What a poller waits with: mio, which watches sockets by polls that end with the first thing they find. An event is told
//! once, and what it told of only told again where that has been asked for.

use super::net::RawSocket;
use mio::net::TcpStream;
use mio::{Interest, Poll, Registry, Token, Waker};
use std::io;
use std::mem::ManuallyDrop;
use std::os::windows::io::{FromRawSocket, IntoRawSocket};

/// What a mio poll tells changes of. Its socket is open for as long as this is used.
#[derive(Debug)]
pub(crate) struct Watch {
    /// None once it has ended. mio has no source that closes nothing.
    source: Option<ManuallyDrop<TcpStream>>,
    token: Token,
    /// What the poll will tell.
    armed: Sides,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sides {
    read: bool,
    write: bool,
}

impl Watch {
    /// What has been told of is told again only after [`Watcher::ask_again`].
    pub(crate) const TELLS_ONCE: bool = true;

    /// The poll has told of these.
    pub(crate) fn told(&mut self, read: bool, write: bool) {
        self.armed.read &= !read;
        self.armed.write &= !write;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(source) = self.source.take() {
            // What is mio's goes; the socket stays open.
            let _ = ManuallyDrop::into_inner(source).into_raw_socket();
        }
    }
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
        // SAFETY: by the word of `Watch` the socket stays open, and `ManuallyDrop` does not close it. mio asks it for nothing that
        // only a connected one has.
        let source = ManuallyDrop::new(unsafe { TcpStream::from_raw_socket(socket) });
        let armed = Sides { read: true, write: both };
        let mut watch = Watch { source: Some(source), token: Token(token), armed };
        if let Some(source) = &mut watch.source
            && let Some(interest) = interest(armed)
        {
            self.registry.register(&mut **source, watch.token, interest)?;
        }
        Ok(watch)
    }

    /// There is nothing more to receive, or no more room to send, as far as the caller has found out: the poll tells of the next.
    pub(crate) fn ask_again(&self, watch: &mut Watch, read: bool, write: bool) {
        let wanted = Sides { read: read || watch.armed.read, write: write || watch.armed.write };
        if wanted != watch.armed
            && let Some(source) = &mut watch.source
            && let Some(interest) = interest(wanted)
        {
            // It fails where somebody else has closed the socket.
            let _ = self.registry.reregister(&mut **source, watch.token, interest);
            watch.armed = wanted;
        }
    }

    /// The poll tells of it no more.
    pub(crate) fn end(&self, watch: &mut Watch) {
        if let Some(mut source) = watch.source.take() {
            let _ = self.registry.deregister(&mut *source);
            let _ = ManuallyDrop::into_inner(source).into_raw_socket();
        }
    }

    /// Ends the wait under way, or the next.
    pub(crate) fn wake(&self) -> io::Result<()> {
        self.waker.wake()
    }
}

fn interest(sides: Sides) -> Option<Interest> {
    match sides {
        Sides { read: true, write: true } => Some(Interest::READABLE | Interest::WRITABLE),
        Sides { read: true, write: false } => Some(Interest::READABLE),
        Sides { read: false, write: true } => Some(Interest::WRITABLE),
        Sides { read: false, write: false } => None,
    }
}
