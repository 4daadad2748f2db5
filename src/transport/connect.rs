//! Opening a TCP connection without blocking: one address after the other, until one answers.

use crate::transport::socket::Socket;
use crate::transport::sys;
use socket2::{Domain, Protocol, Type};
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// See the module.
#[derive(Debug)]
pub struct Connecting {
    attempt: Option<socket2::Socket>,
    addresses: VecDeque<SocketAddr>,
    nodelay: bool,
    /// Why the attempts so far failed; the last one's is told.
    error: io::Error,
}

impl Connecting {
    /// Looks the name up, which may block, and begins. A failure is told by [`finish`](Self::finish).
    pub fn start(host: &str, port: u16, nodelay: bool) -> Self {
        let (addresses, error) = match (host, port).to_socket_addrs() {
            Ok(addresses) => (addresses.collect(), io::ErrorKind::NotFound.into()),
            Err(error) => (VecDeque::new(), error),
        };
        let mut connecting = Self { attempt: None, addresses, nodelay, error };
        connecting.next_attempt();
        connecting
    }

    /// The socket under way.
    pub fn fd(&self) -> Option<RawFd> {
        self.attempt.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// The connected socket; `WouldBlock` while there is hope.
    pub fn finish(&mut self) -> io::Result<Socket> {
        while let Some(socket) = &self.attempt {
            let mut fds = [sys::poll_fd(socket.as_raw_fd(), false, true)];
            sys::poll(&mut fds, Some(Duration::ZERO))?;
            if !sys::is_ready(&fds[0]) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            match socket.take_error()? {
                None => {
                    return self
                        .attempt
                        .take()
                        .map(|socket| Socket::owned(socket.into()))
                        .ok_or_else(no_address);
                }
                Some(error) => {
                    self.error = error;
                    self.next_attempt();
                }
            }
        }
        Err(std::mem::replace(&mut self.error, no_address()))
    }

    fn next_attempt(&mut self) {
        self.attempt = None;
        while let Some(address) = self.addresses.pop_front() {
            match begin(address, self.nodelay) {
                Ok(socket) => {
                    self.attempt = Some(socket);
                    return;
                }
                Err(error) => self.error = error,
            }
        }
    }
}

fn begin(address: SocketAddr, nodelay: bool) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(nodelay)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket),
    }
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the host has no address that could be connected to")
}
