//! Where bytes come from and go to: memory, callbacks, sockets, TLS; opening and accepting; the clock; waiting.
//!
//! Knows sockets, threads and time. Must not know C types, pointers, or a rule of the protocol. [`Link`] is one
//! transport out of all; [`shared::SharedConnection`] joins it to a connection that several threads may use, and
//! [`poller::Poller`] waits for many of those. `unsafe` is only in [`sys`], around the system calls that std lacks.

pub mod callback;
pub mod clock;
pub mod connect;
pub mod listener;
pub mod poller;
pub mod setup;
pub mod shared;
pub mod socket;
pub mod sys;
#[cfg_attr(not(feature = "tls"), path = "tls/none.rs")]
pub mod tls;
pub mod wait;

use callback::Callback;
use connect::Connecting;
use socket::Socket;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use tls::Tls;
use wait::Interest;

/// The transport of a connection.
#[derive(Debug)]
pub enum Link {
    /// The caller moves the bytes: there is nothing to read from or write to here.
    Memory,
    /// Functions of the caller's move them.
    Callback(Box<Callback>),
    /// One that is still being opened.
    Connecting(Box<Connecting>),
    /// A connected socket.
    Socket(Socket),
    /// TLS over a connected socket.
    Tls(Box<Tls>),
}

impl Link {
    /// What to wait on, where there is something.
    pub fn fd(&self) -> Option<RawFd> {
        match self {
            Link::Memory | Link::Callback(_) => None,
            Link::Connecting(connecting) => Some(connecting.fd()),
            Link::Socket(socket) => Some(socket.as_raw_fd()),
            Link::Tls(tls) => Some(tls.socket().as_raw_fd()),
        }
    }

    /// Whether the library's own clock runs for this transport.
    pub fn has_clock(&self) -> bool {
        self.fd().is_some()
    }

    /// What a connection that wants `wanted` has to wait for.
    pub fn interest(&self, wanted: Interest) -> Interest {
        match self {
            Link::Connecting(_) => Interest { read: true, write: false },
            Link::Tls(tls) => Interest { write: wanted.write || tls.has_pending_output(), ..wanted },
            _ => wanted,
        }
    }

    /// For which of these there is something to do, as far as is known; a poller asks that.
    pub fn ready(&self) -> Interest {
        match self {
            Link::Memory | Link::Callback(_) => Interest { read: false, write: false },
            Link::Connecting(connecting) => Interest { read: connecting.is_stirred(), write: false },
            Link::Socket(socket) => {
                let known = socket.readiness();
                Interest { read: known.readable, write: known.writable }
            }
            Link::Tls(tls) => {
                let known = tls.socket().readiness();
                Interest { read: known.readable || tls.has_buffered_input(), write: known.writable }
            }
        }
    }

    /// Bytes that have been taken off the socket and not been handed on.
    pub fn has_buffered_input(&self) -> bool {
        matches!(self, Link::Tls(tls) if tls.has_buffered_input())
    }

    /// A poller has heard of this.
    #[inline]
    pub fn happened(&mut self, what: Interest, ended: bool) {
        match self {
            Link::Socket(socket) => socket.readiness_mut().happened(what, ended),
            Link::Tls(tls) => tls.socket_mut().readiness_mut().happened(what, ended),
            Link::Connecting(connecting) => connecting.stir(),
            Link::Memory | Link::Callback(_) => {}
        }
    }

    /// Something may have happened to it.
    pub fn stir(&mut self) {
        match self {
            Link::Memory | Link::Callback(_) => {}
            Link::Connecting(connecting) => connecting.stir(),
            Link::Socket(_) | Link::Tls(_) => {
                if let Some(socket) = self.socket_mut() {
                    let known = socket.readiness_mut();
                    (known.readable, known.drained, known.writable) = (true, false, true);
                }
            }
        }
    }

    /// The connected socket.
    pub fn socket_mut(&mut self) -> Option<&mut Socket> {
        match self {
            Link::Socket(socket) => Some(socket),
            Link::Tls(tls) => Some(tls.socket_mut()),
            _ => None,
        }
    }

    /// Ends the stream for the peer.
    pub fn end(&mut self) {
        match self {
            Link::Socket(socket) => socket.end(),
            Link::Tls(tls) => tls.end(),
            _ => {}
        }
    }

    /// Turns a transport that is being opened into an open one, as soon as it is.
    fn settle(&mut self) -> io::Result<&mut Self> {
        if let Link::Connecting(connecting) = self {
            *self = connecting.finish()?;
        }
        Ok(self)
    }
}

impl Read for Link {
    #[inline]
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if let Link::Socket(socket) = self {
            return socket.read(space);
        }
        match self.settle()? {
            Link::Memory | Link::Connecting(_) => Err(io::ErrorKind::WouldBlock.into()),
            Link::Callback(callback) => callback.read(space),
            Link::Socket(socket) => socket.read(space),
            Link::Tls(tls) => tls.read(space),
        }
    }
}

impl Write for Link {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Link::Socket(socket) = self {
            return socket.write(bytes);
        }
        match self.settle()? {
            Link::Memory | Link::Connecting(_) => Err(io::ErrorKind::WouldBlock.into()),
            Link::Callback(callback) => callback.write(bytes),
            Link::Socket(socket) => socket.write(bytes),
            Link::Tls(tls) => tls.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.settle()? {
            Link::Memory | Link::Connecting(_) => Err(io::ErrorKind::WouldBlock.into()),
            Link::Callback(callback) => callback.write_vectored(slices),
            Link::Socket(socket) => socket.write_vectored(slices),
            Link::Tls(tls) => tls.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Link::Tls(tls) => tls.flush(),
            _ => Ok(()),
        }
    }
}
