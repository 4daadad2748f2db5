//! Where bytes come from and go to: memory, callbacks, sockets; the clock; waiting.
//!
//! Knows sockets, threads and time. Must not know C types, pointers, or a rule of the protocol. [`Link`] is one
//! transport out of all; [`endpoint::Endpoint`] joins it to a connection that several threads may use. `unsafe` is
//! only in [`sys`], around the system calls that std lacks.

pub mod callback;
pub mod clock;
pub mod connect;
pub mod endpoint;
pub mod listener;
pub mod socket;
pub mod sys;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
pub mod tls;
pub mod wait;

use callback::Callback;
use connect::Connecting;
use socket::Socket;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsRawFd, RawFd};

/// The transport of a connection.
#[derive(Debug)]
pub enum Link {
    /// The caller moves the bytes: there is nothing to read from or write to here.
    Memory,
    /// Functions of the caller's move them.
    Callback(Callback),
    /// A socket that is still connecting.
    Connecting(Connecting),
    /// A connected socket.
    Socket(Socket),
}

impl Link {
    /// The socket to wait on, where there is one.
    pub fn fd(&self) -> Option<RawFd> {
        match self {
            Link::Memory | Link::Callback(_) => None,
            Link::Connecting(connecting) => connecting.fd(),
            Link::Socket(socket) => Some(socket.as_raw_fd()),
        }
    }

    /// Whether the library's own clock runs for this transport.
    pub fn has_clock(&self) -> bool {
        matches!(self, Link::Connecting(_) | Link::Socket(_))
    }

    /// Turns a connecting socket into a connected one, as soon as it is.
    fn settle(&mut self) -> io::Result<&mut Self> {
        if let Link::Connecting(connecting) = self {
            *self = Link::Socket(connecting.finish()?);
        }
        Ok(self)
    }
}

impl Read for Link {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self.settle()? {
            Link::Memory | Link::Connecting(_) => Err(io::ErrorKind::WouldBlock.into()),
            Link::Callback(callback) => callback.read(space),
            Link::Socket(socket) => socket.read(space),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.settle()? {
            Link::Memory | Link::Connecting(_) => Err(io::ErrorKind::WouldBlock.into()),
            Link::Callback(callback) => callback.write_vectored(slices),
            Link::Socket(socket) => socket.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
