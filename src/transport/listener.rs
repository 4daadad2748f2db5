//! A listening TCP socket. Accepts without blocking; waiting is a loop around that.

use crate::transport::socket::Socket;
use crate::transport::wait::{self, Interest};
use std::io;
use std::net::{TcpListener, ToSocketAddrs};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Instant;

/// See the module.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    nodelay: bool,
}

impl Listener {
    /// Listens on an address of this machine; port 0 takes a free one.
    pub fn bind(host: &str, port: u16, nodelay: bool) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in (host, port).to_socket_addrs()? {
            match TcpListener::bind(address) {
                Ok(socket) => {
                    socket.set_nonblocking(true)?;
                    return Ok(Self { socket, nodelay });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The next connection that waits; `WouldBlock` where there is none.
    pub fn accept(&self) -> io::Result<Socket> {
        loop {
            match self.socket.accept() {
                Ok((stream, _)) => {
                    stream.set_nodelay(self.nodelay)?;
                    return Ok(Socket::owned(stream.into()));
                }
                // The peer gave up before its turn came: that is no matter of ours.
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next connection, waited for until then; `WouldBlock` where none came.
    pub fn accept_until(&self, until: Option<Instant>) -> io::Result<Socket> {
        loop {
            match self.accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !wait::wait(self.fd(), Interest { read: true, write: false }, until, None)? {
                        return Err(error);
                    }
                }
                other => return other,
            }
        }
    }

    /// The listening socket.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// The port it listens on.
    pub fn port(&self) -> io::Result<u16> {
        self.socket.local_addr().map(|address| address.port())
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}
