//! The transport of a connection: a stream, or what is still opening one. Knows which of the two it is, and no more.

use crate::net::connect::Connector;
use crate::net::signal::Events;
use crate::net::stream::Stream;
use crate::net::wait::Interest;
use crate::sys::RawSocket;
use std::io::{self, IoSlice, Read, Write};

/// See the module.
#[derive(Debug)]
pub enum Transport {
    /// A stream is being opened.
    Connecting(Box<Connector>),
    /// It is there.
    Stream(Stream),
}

impl Transport {
    /// What to wait on, where there is something.
    pub fn raw_socket(&self) -> Option<RawSocket> {
        match self {
            Transport::Connecting(connector) => Some(connector.raw_socket()),
            Transport::Stream(stream) => stream.raw_socket(),
        }
    }

    /// Whether the library's own clock runs for it.
    pub fn has_clock(&self) -> bool {
        self.raw_socket().is_some()
    }

    /// Whether the caller moves the bytes.
    pub fn is_memory(&self) -> bool {
        matches!(self, Transport::Stream(Stream::Memory))
    }

    /// Whether functions of the caller's move the bytes.
    #[inline]
    pub fn is_callback(&self) -> bool {
        matches!(self, Transport::Stream(Stream::Callback(_)))
    }

    /// What a connection that wants `wanted` has to wait for.
    pub fn interest(&self, wanted: Interest) -> Interest {
        match self {
            Transport::Connecting(_) => Interest { read: true, write: false },
            Transport::Stream(stream) => stream.interest(wanted),
        }
    }

    /// What who only sends has to wait for.
    pub fn interest_to_write(&self) -> Interest {
        match self {
            Transport::Connecting(_) => Interest { read: true, write: false },
            Transport::Stream(stream) => stream.interest_to_write(),
        }
    }

    /// For which of these there is something to do, as far as is known.
    #[inline]
    pub fn ready(&self) -> Interest {
        match self {
            Transport::Connecting(connector) => Interest { read: connector.has_events(), write: false },
            Transport::Stream(stream) => stream.ready(),
        }
    }

    /// What a call has found nothing more of, so that only the next change is of interest.
    pub fn exhausted(&self) -> Interest {
        match self {
            Transport::Connecting(connector) => Interest { read: !connector.has_events(), write: false },
            Transport::Stream(stream) => stream.exhausted(),
        }
    }

    /// A poller has told of these.
    pub fn on_events(&mut self, events: Events) {
        match self {
            Transport::Connecting(connector) => connector.on_event(),
            Transport::Stream(stream) => {
                if let Some(known) = stream.readiness_mut() {
                    known.on_events(events);
                }
            }
        }
    }

    /// A wait that was not a poller's has ended.
    pub fn after_wait(&mut self) {
        match self {
            Transport::Connecting(connector) => connector.on_event(),
            Transport::Stream(stream) => {
                if let Some(known) = stream.readiness_mut() {
                    known.forget_drained();
                }
            }
        }
    }

    /// The stream, where it is there.
    #[inline]
    pub fn stream(&self) -> Option<&Stream> {
        match self {
            Transport::Connecting(_) => None,
            Transport::Stream(stream) => Some(stream),
        }
    }

    /// Ends the stream for the peer.
    pub fn end(&mut self) {
        if let Transport::Stream(stream) = self {
            stream.end();
        }
    }
}

/// While a stream is being opened, nothing can be moved.
impl Read for Transport {
    #[inline(always)]
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Connecting(_) => Err(io::ErrorKind::WouldBlock.into()),
            Transport::Stream(stream) => stream.read(space),
        }
    }
}

/// While a stream is being opened, nothing can be moved.
impl Write for Transport {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Connecting(_) => Err(io::ErrorKind::WouldBlock.into()),
            Transport::Stream(stream) => stream.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Transport::Connecting(_) => Err(io::ErrorKind::WouldBlock.into()),
            Transport::Stream(stream) => stream.write_vectored(slices),
        }
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Transport::Connecting(_) => Ok(()),
            Transport::Stream(stream) => stream.flush(),
        }
    }
}
