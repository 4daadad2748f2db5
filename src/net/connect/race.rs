//! Attempts to connect to several addresses, of which the first that succeeds wins. Which is tried when is
//! [`happy_eyeballs`](super::happy_eyeballs)'s; knows sockets.

use super::happy_eyeballs::HappyEyeballs;
use crate::net::socket::Socket;
use crate::sys::{self, Bundle, InBundle};
use socket2::{Domain, Protocol, SockAddr, Type};
use std::io;
use std::net::SocketAddr;

#[derive(Debug)]
pub(super) struct Race {
    pub(super) eyeballs: HappyEyeballs,
    /// Each attempt's token is its place.
    attempts: Vec<Option<Attempt>>,
    /// Why the attempts so far failed; the last one's is told.
    pub(super) error: io::Error,
}

#[derive(Debug)]
struct Attempt {
    place: InBundle,
    socket: socket2::Socket,
}

/// A socket that is waited for, in the bundle.
#[derive(Debug)]
pub(super) struct Waited {
    _place: InBundle,
    pub(super) socket: Socket,
}

impl Waited {
    /// The socket, which is in no bundle any more.
    pub(super) fn alone(self) -> Socket {
        self.socket
    }
}

impl Race {
    pub(super) fn new(eyeballs: HappyEyeballs) -> Self {
        let error = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        Self { eyeballs, attempts: Vec::new(), error }
    }

    /// The socket that has won, if one has.
    pub(super) fn advance(
        &mut self,
        bundle: &Bundle,
        nodelay: bool,
        arrived: &[usize],
        now: u64,
    ) -> io::Result<Option<Waited>> {
        for place in arrived {
            let Some(attempt) = self.attempts.get_mut(*place) else { continue };
            let outcome = attempt.as_ref().map(|attempt| outcome(&attempt.socket));
            match outcome {
                Some(Ok(true)) => {
                    if let Some(Attempt { place, socket }) = attempt.take() {
                        return Ok(Some(Waited { _place: place, socket: Socket::owned(socket.into()) }));
                    }
                }
                Some(Err(error)) => {
                    *attempt = None;
                    self.error = error;
                    self.eyeballs.failed();
                }
                Some(Ok(false)) | None => {}
            }
        }
        while let Some(address) = self.eyeballs.next(now) {
            if let Err(error) = self.attempt(address, bundle, nodelay) {
                self.error = error;
                self.eyeballs.failed();
            }
        }
        if self.eyeballs.is_hopeless() {
            return Err(std::mem::replace(&mut self.error, io::ErrorKind::NotFound.into()));
        }
        Ok(None)
    }

    pub(super) fn attempt(&mut self, address: SocketAddr, bundle: &Bundle, nodelay: bool) -> io::Result<()> {
        let socket = begin(&address.into(), nodelay)?;
        let place = bundle.add(sys::raw(&socket), self.attempts.len())?;
        self.attempts.push(Some(Attempt { place, socket }));
        Ok(())
    }
}

/// Begins to connect. A Unix socket is connected at once, or busy.
pub(super) fn begin(address: &SockAddr, nodelay: bool) -> io::Result<socket2::Socket> {
    let domain = Domain::from(i32::from(address.family()));
    let protocol = (domain != Domain::UNIX).then_some(Protocol::TCP);
    let socket = socket2::Socket::new(domain, Type::STREAM, protocol)?;
    socket.set_nonblocking(true)?;
    if protocol.is_some() {
        socket.set_tcp_nodelay(nodelay)?;
    }
    match socket.connect(address) {
        Err(error) if !sys::is_in_progress(&error) => Err(error),
        _ => Ok(socket),
    }
}

/// Whether an attempt that was heard of has succeeded.
fn outcome(socket: &socket2::Socket) -> io::Result<bool> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}
