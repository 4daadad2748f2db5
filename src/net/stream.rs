//! The stream that moves the bytes of a connection: one out of memory, callbacks, a socket, TLS over a socket. Open streams
//! only; what is still being opened is a [`Connector`](crate::net::connect::Connector). Knows no rule of the protocol.

use crate::net::callback::Callback;
use crate::net::readiness::Readiness;
use crate::net::socket::Socket;
use crate::net::tls::Tls;
use crate::net::wait::Interest;
use crate::sys::RawSocket;
use std::io::{self, IoSlice, Read, Write};

/// See the module.
#[derive(Debug)]
pub enum Stream {
    /// The caller moves the bytes: there is nothing to read from or write to here.
    Memory,
    /// Functions of the caller's move them.
    Callback(Box<Callback>),
    /// A connected socket.
    Socket(Socket),
    /// TLS over a connected socket.
    Tls(Box<Tls>),
}

impl Stream {
    /// The connected socket, where there is one.
    #[inline]
    pub fn socket(&self) -> Option<&Socket> {
        match self {
            Stream::Memory | Stream::Callback(_) => None,
            Stream::Socket(socket) => Some(socket),
            Stream::Tls(tls) => Some(tls.socket()),
        }
    }

    /// Its number.
    pub fn raw_socket(&self) -> Option<RawSocket> {
        self.socket().map(Socket::raw)
    }

    /// What is known of the socket.
    #[inline]
    pub fn readiness_mut(&mut self) -> Option<&mut Readiness> {
        match self {
            Stream::Memory | Stream::Callback(_) => None,
            Stream::Socket(socket) => Some(socket.readiness_mut()),
            Stream::Tls(tls) => Some(tls.socket_mut().readiness_mut()),
        }
    }

    /// What a connection that wants `wanted` has to wait for.
    pub fn interest(&self, wanted: Interest) -> Interest {
        match self {
            // What is to be sent waits for the TLS handshake, and that for the peer, or for room.
            Stream::Tls(tls) if tls.is_handshaking() => {
                Interest { write: tls.has_pending_output(), ..wanted }
            }
            Stream::Tls(tls) => Interest { write: wanted.write || tls.has_pending_output(), ..wanted },
            _ => wanted,
        }
    }

    /// What who only sends has to wait for.
    pub fn interest_to_write(&self) -> Interest {
        match self {
            Stream::Tls(tls) if tls.is_handshaking() => {
                Interest { read: true, write: tls.has_pending_output() }
            }
            _ => Interest { read: false, write: true },
        }
    }

    /// For which of these there is something to do, as far as is known; a poller asks that.
    #[inline]
    pub fn ready(&self) -> Interest {
        let Some(known) = self.socket().map(Socket::readiness) else {
            return Interest { read: false, write: false };
        };
        Interest { read: known.readable || self.has_buffered_input(), write: known.writable }
    }

    /// What the last calls have found nothing more of.
    pub fn exhausted(&self) -> Interest {
        let known = self.socket().map(Socket::readiness).unwrap_or(Readiness::UNWATCHED);
        Interest { read: !known.readable, write: !known.writable }
    }

    /// Bytes that have been taken off the socket and not been handed on, or an end that it does not show any more.
    #[inline]
    pub fn has_buffered_input(&self) -> bool {
        matches!(self, Stream::Tls(tls) if tls.has_buffered_input())
    }

    /// Whether a connection over it can be put aside and told by the socket alone when to go on.
    #[inline]
    pub fn can_park(&self) -> bool {
        match self {
            Stream::Socket(_) => true,
            Stream::Tls(tls) => !tls.has_pending_output(),
            Stream::Memory | Stream::Callback(_) => false,
        }
    }

    /// Ends the stream for the peer.
    pub fn end(&mut self) {
        match self {
            Stream::Socket(socket) => socket.end(),
            Stream::Tls(tls) => tls.end(),
            Stream::Memory | Stream::Callback(_) => {}
        }
    }
}

impl Read for Stream {
    #[inline(always)]
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Memory => Err(io::ErrorKind::WouldBlock.into()),
            Stream::Callback(callback) => callback.read(space),
            Stream::Socket(socket) => socket.read(space),
            Stream::Tls(tls) => tls.read(space),
        }
    }
}

impl Write for Stream {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Memory => Err(io::ErrorKind::WouldBlock.into()),
            Stream::Callback(callback) => callback.write(bytes),
            Stream::Socket(socket) => socket.write(bytes),
            Stream::Tls(tls) => tls.write(bytes),
        }
    }

    #[inline(always)]
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Memory => Err(io::ErrorKind::WouldBlock.into()),
            Stream::Callback(callback) => callback.write_vectored(slices),
            Stream::Socket(socket) => socket.write_vectored(slices),
            Stream::Tls(tls) => tls.write_vectored(slices),
        }
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Tls(tls) => tls.flush(),
            Stream::Memory | Stream::Callback(_) | Stream::Socket(_) => Ok(()),
        }
    }
}
