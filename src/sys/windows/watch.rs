//! What a poller waits with: mio, which watches sockets by polls that end with the first thing they find. An event is told
//! once, and what it told of only told again where that has been asked for.
//!
//! mio itself goes on: after it has told of input, it polls for the end behind that input. Under wine, whose server then goes round
//! and round all such sockets until their input is taken, a thousand of them make each call 0.1 s long. Hence [`Watcher::rest`].

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
    /// What mio has been asked for.
    asked: Sides,
    /// What of it the poll is still to tell.
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
        let (nothing, wanted) = (Sides { read: false, write: false }, Sides { read: true, write: both });
        let mut watch = Watch { source: Some(source), token: Token(token), asked: nothing, armed: nothing };
        self.ask(&mut watch, wanted)?;
        Ok(watch)
    }

    /// There is nothing more to receive, or no more room to send, as far as the caller has found out: the poll tells of the next.
    pub(crate) fn ask_again(&self, watch: &mut Watch, read: bool, write: bool) {
        let wanted = Sides { read: read || watch.armed.read, write: write || watch.armed.write };
        if wanted != watch.armed {
            // It fails where somebody else has closed the socket.
            let _ = self.ask(watch, wanted);
        }
    }

    /// Nobody has taken yet what there is to receive: the system need not poll the socket until [`ask_again`](Self::ask_again).
    pub(crate) fn rest(&self, watch: &mut Watch) {
        if watch.asked.read && !watch.armed.read {
            // As above.
            let _ = self.ask(watch, watch.armed);
        }
    }

    fn ask(&self, watch: &mut Watch, wanted: Sides) -> io::Result<()> {
        let Some(source) = &mut watch.source else { return Ok(()) };
        match (interest(watch.asked), interest(wanted)) {
            (None, None) => {}
            (None, Some(interest)) => self.registry.register(&mut **source, watch.token, interest)?,
            (Some(_), Some(interest)) => self.registry.reregister(&mut **source, watch.token, interest)?,
            (Some(_), None) => self.registry.deregister(&mut **source)?,
        }
        (watch.asked, watch.armed) = (wanted, wanted);
        Ok(())
    }

    /// The poll tells of it no more.
    pub(crate) fn end(&self, watch: &mut Watch) {
        if let Some(mut source) = watch.source.take() {
            // It fails while mio has been asked for nothing.
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

#[cfg(test)]
mod tests {
    use super::*;
    use mio::Events;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream as StdStream};
    use std::os::windows::io::AsRawSocket;
    use std::time::Duration;

    /// What a poll tells within some time: of what there is to receive, and of room to send.
    fn heard(poll: &mut Poll, watch: &mut Watch) -> (bool, bool) {
        let mut events = Events::with_capacity(8);
        poll.poll(&mut events, Some(Duration::from_millis(200))).unwrap();
        let read = events.iter().any(|event| event.is_readable());
        let write = events.iter().any(|event| event.is_writable());
        watch.told(read, write);
        (read, write)
    }

    #[test]
    fn what_rests_is_told_again_once_it_has_been_asked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = StdStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut own, _) = listener.accept().unwrap();
        let mut poll = Poll::new().unwrap();
        let watcher = Watcher::new(&poll, Token(1)).unwrap();
        let mut watch = watcher.watch(own.as_raw_socket(), 0, true).unwrap();
        assert_eq!(heard(&mut poll, &mut watch), (false, true));
        watcher.rest(&mut watch);
        assert!(watch.armed.read && watch.asked.write, "what is still to be told does not rest");

        peer.write_all(b"words").unwrap();
        assert_eq!(heard(&mut poll, &mut watch), (true, false));
        watcher.rest(&mut watch);
        assert_eq!(interest(watch.asked), None, "mio would poll for the end");
        peer.write_all(b"words").unwrap();
        assert_eq!(heard(&mut poll, &mut watch), (false, false));

        own.read_exact(&mut [0; 5]).unwrap();
        watcher.ask_again(&mut watch, true, false);
        assert_eq!(heard(&mut poll, &mut watch), (true, false));
        own.read_exact(&mut [0; 5]).unwrap();
        watcher.ask_again(&mut watch, true, true);
        assert_eq!(heard(&mut poll, &mut watch), (false, true));
        drop(peer);
        assert_eq!(heard(&mut poll, &mut watch), (true, false));
        watcher.rest(&mut watch);
        watcher.end(&mut watch);
    }
}
