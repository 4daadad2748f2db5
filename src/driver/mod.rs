//! A connection driven over a stream: [`Driver`] moves the bytes between the two.
//!
//! The stream is handed to each call, so that its owner may keep it where it likes. Every call first tries to send what
//! is pending, and every wait is the stream's own. Knows no protocol rule and no kind of stream.

mod receive;
mod send;

pub(crate) use self::send::MANY;

use crate::error::{ProtocolError, Result};
use crate::proto::connection::{Connection, Opening, Phase};
use crate::proto::handshake::HandshakeOptions;
use std::io::{self, IoSlice, Read, Write};

/// Most pieces handed to the stream in one write.
const MAX_SLICES: usize = 64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Driver {
    /// The connection, for what needs no stream.
    pub connection: Connection,
    /// Bytes were written since the stream was last flushed.
    unflushed: bool,
}

impl Driver {
    /// Drives this connection.
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection, unflushed: false }
    }

    /// Whether nothing goes on (see [`Connection::is_parkable`]).
    #[inline]
    pub(crate) fn is_parkable(&self) -> bool {
        !self.unflushed && self.connection.is_parkable()
    }

    /// Sends what is pending. After a Close this ends in [`ConnectionClosed`](crate::Error::ConnectionClosed), as reading does.
    pub(crate) fn write_pending(&mut self, stream: &mut (impl Read + Write)) -> Result<()> {
        match self.connection.phase() {
            // Nothing is pending, and never will be; the end comes when all is read.
            Phase::SendFailed => Err(ProtocolError::SendAfterClosing.into()),
            phase if phase.ignores_input() => self.drive_to_end(stream),
            _ => self.flush(stream),
        }
    }

    /// Whether something waits to be sent, here or in the stream.
    #[inline]
    pub(crate) fn has_output(&self) -> bool {
        self.connection.has_output() || self.unflushed
    }

    /// Drives the opening handshake until a server has a request to decide on, or messages can flow.
    pub(crate) fn handshake(&mut self, stream: &mut (impl Read + Write)) -> Result<Opening> {
        loop {
            let mut broken = None;
            self.flush_before_reading(stream, &mut broken);
            if let Some(cause) = broken {
                return self.hear_out(stream, cause);
            }
            match self.connection.poll_handshake() {
                Ok(Opening::NeedsBytes) => {
                    self.fill(stream)?;
                    self.check_budget()?;
                }
                other => {
                    let _ = self.flush_quietly(stream);
                    return other;
                }
            }
        }
    }

    /// Server: takes the request (see [`Connection::accept`]) and sends what it can of the response.
    pub(crate) fn accept(
        &mut self,
        stream: &mut (impl Read + Write),
        protocol: Option<&str>,
        options: &HandshakeOptions,
    ) -> Result<()> {
        let response = self.connection.accept_unsent(protocol, options)?;
        let written = write_some(stream, &[IoSlice::new(&response)]);
        let sent = self.sent_directly(written)?;
        self.connection.queue_rest(&response, &[], sent)?;
        self.flush_quietly(stream)
    }

    /// Server: refuses a request that is not for WebSocket (see [`Connection::refuse_plain`]) and sends what it can of the
    /// answer.
    pub(crate) fn refuse_plain(&mut self, stream: &mut (impl Read + Write)) -> Result<()> {
        self.connection.refuse_plain().inspect_err(|_| {
            let _ = self.flush_quietly(stream);
        })
    }

    /// The peer takes nothing more of the opening handshake: it may have said why.
    #[cold]
    fn hear_out(&mut self, stream: &mut (impl Read + Write), cause: io::Error) -> Result<Opening> {
        loop {
            match self.connection.poll_handshake() {
                Ok(Opening::NeedsBytes) => {}
                other => return other,
            }
            let space = self.connection.space()?;
            match if space.is_empty() { Ok(0) } else { read_some(stream, space) } {
                Ok(n @ 1..) => self.connection.received(n),
                _ => return Err(self.connection.stream_failed(cause)),
            }
        }
    }

    /// After the peer's Close, or a failure: sends what is pending and waits for the end of the stream, where that is
    /// to come first.
    fn drive_to_end(&mut self, stream: &mut (impl Read + Write)) -> Result<()> {
        let mut broken = None;
        loop {
            let stuck = self.flush_before_reading(stream, &mut broken);
            self.connection.poll_end()?;
            self.check_budget()?;
            match (self.fill(stream), broken.take()) {
                (Ok(_), still) => broken = still,
                (Err(error), Some(cause)) if error.is_would_block() => self.connection.ended_by(cause)?,
                (Err(error), _) if error.is_would_block() && !stuck => return Ok(()),
                (Err(error), _) => return Err(error),
            }
        }
    }

    /// Sends what is pending. Where the stream does not take it all: `WouldBlock`.
    #[inline]
    pub(crate) fn flush(&mut self, stream: &mut (impl Read + Write)) -> Result<()> {
        self.try_flush(stream).or_else(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Err(error.into()),
            _ => self.send_failed(error),
        })
    }

    /// [`flush`](Self::flush), where it does not matter yet that the stream does not take it all.
    #[inline]
    pub(crate) fn flush_quietly(&mut self, stream: &mut (impl Read + Write)) -> Result<()> {
        // As a rule nothing waits, and there is no result to look at.
        if !self.has_output() {
            return Ok(());
        }
        match self.flush(stream) {
            Err(error) if error.is_would_block() => Ok(()),
            other => other,
        }
    }

    /// Before reading it does not matter either that the stream takes nothing any more: it may still have something
    /// to give, and what was to be sent is lost in any case. Returns whether something stays unsent.
    #[inline(always)]
    fn flush_before_reading(
        &mut self,
        stream: &mut (impl Read + Write),
        broken: &mut Option<io::Error>,
    ) -> bool {
        match self.try_flush(stream) {
            Ok(()) => false,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
            Err(error) => {
                self.connection.discard_output();
                *broken = Some(error);
                false
            }
        }
    }

    #[inline(always)]
    fn try_flush(&mut self, stream: &mut (impl Read + Write)) -> io::Result<()> {
        if self.connection.has_output() || self.unflushed { self.try_flush_some(stream) } else { Ok(()) }
    }

    fn try_flush_some(&mut self, stream: &mut (impl Read + Write)) -> io::Result<()> {
        self.connection.uncork();
        while self.connection.has_output() {
            let sent = match self.connection.output_in_one_piece() {
                Some(bytes) => write_some(stream, &[IoSlice::new(bytes)])?,
                None => {
                    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                    let used = self.connection.gather(&mut slices);
                    write_some(stream, &slices[..used])?
                }
            };
            self.connection.sent(sent);
            self.unflushed = true;
        }
        if self.unflushed {
            stream.flush()?;
            self.unflushed = false;
        }
        Ok(())
    }

    /// The stream takes nothing any more (see [`Connection::send_failed`]).
    #[cold]
    fn send_failed(&mut self, error: io::Error) -> Result<()> {
        self.unflushed = false;
        self.connection.send_failed(error)
    }
}

#[inline(always)]
fn read_some(stream: &mut impl Read, space: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(space) {
            Ok(n) if n > space.len() => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the stream reports more bytes read than the buffer holds",
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[inline(always)]
fn write_some(stream: &mut impl Write, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        match stream.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) if n > slices.iter().map(|slice| slice.len()).sum() => return Err(too_much_written()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// [`write_some`] of one piece.
#[inline(always)]
fn write_one(stream: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match stream.write(bytes) {
            Ok(n) if n == bytes.len() => return Ok(n),
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) if n > bytes.len() => return Err(too_much_written()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn too_much_written() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the stream reports more bytes written than it was given")
}
