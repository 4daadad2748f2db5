//! How a connection comes to its end: by its closing handshake, by a stream that fails, or by being given up.

use super::{Connection, Phase};
use crate::error::{Deadline, Error, ProtocolError, Result};
use crate::message::CloseCode;

/// Why a connection was given up.
#[derive(Debug)]
pub struct Failure {
    /// A sentence for people: what, and where in the stream.
    pub sentence: String,
    /// The Close code that says it to the peer.
    pub code: CloseCode,
}

impl Connection {
    /// After a Close: whether the stream can be dropped, as `ConnectionClosed` or, when that has been said, as
    /// `AlreadyClosed`.
    pub fn poll_end(&mut self) -> Result<()> {
        self.check_not_over()?;
        if self.is_over() {
            self.phase = Phase::Ended;
            return Err(Error::ConnectionClosed);
        }
        Ok(())
    }

    /// The stream takes nothing any more. The error is for whoever was sending, and is told once: it is no news where the
    /// connection was over but for what was to be sent. What has arrived is still there to be read, and what the stream
    /// still has to give; where that is nothing for now, its end is to be told ([`received_eof`](Self::received_eof)).
    #[cold]
    pub fn send_failed(&mut self, error: std::io::Error) -> Result<()> {
        // A stream that breaks its word is not asked for anything any more.
        let is_readable = error.kind() != std::io::ErrorKind::InvalidData;
        match self.phase {
            Phase::Open | Phase::CloseSent if is_readable => {}
            Phase::Opening(_) | Phase::Open | Phase::CloseSent => return Err(self.stream_failed(error)),
            _ => {
                // Nor is there anything to wait for.
                self.sender.discard();
                self.received_eof();
                return Ok(());
            }
        }
        self.sender.discard();
        let error = Error::from(error);
        self.failure = Some(Box::new(Failure { sentence: error.to_string(), code: CloseCode::ABNORMAL }));
        self.phase = Phase::SendFailed;
        self.unread = true;
        Err(error)
    }

    /// Whether [`send_failed`](Self::send_failed) has told that nothing can be sent, and there may still be something to read.
    #[inline]
    pub fn has_send_failed(&self) -> bool {
        matches!(self.phase, Phase::SendFailed)
    }

    /// The stream takes nothing any more, and has nothing to give for now: that is its end. An error where that is news.
    pub fn ended_by(&mut self, error: std::io::Error) -> Result<()> {
        if !self.phase.ignores_input() && !self.has_send_failed() {
            return Err(self.stream_failed(error));
        }
        self.received_eof();
        Ok(())
    }

    /// The stream failed: it can be dropped once this error has been handed on.
    pub fn stream_failed(&mut self, error: std::io::Error) -> Error {
        self.transport_failed(error.into())
    }

    /// [`stream_failed`](Self::stream_failed), whatever kept the transport from moving bytes.
    pub fn transport_failed(&mut self, error: Error) -> Error {
        self.sender.discard();
        self.eof = true;
        match self.refusal_cut_short() {
            Some(refusal) => self.handshake_failed(refusal),
            None => {
                self.end_handshake();
                self.fail(error)
            }
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.phase.is_over(self.role, self.sender.is_empty(), self.eof)
    }

    pub(super) fn ended_early(&mut self) -> Error {
        if self.has_send_failed() {
            return self.end_after_failed_send();
        }
        let sentence = match self.receiver.is_mid_message() {
            true => "the stream ended in the middle of a message",
            false => "the stream ended without a closing handshake",
        };
        self.give_up(sentence.to_owned(), CloseCode::ABNORMAL);
        self.phase = Phase::Ended;
        ProtocolError::ResetWithoutClosingHandshake.into()
    }

    /// That it ends has been told, and why.
    fn end_after_failed_send(&mut self) -> Error {
        self.receiver.discard();
        self.phase = Phase::Ended;
        Error::ConnectionClosed
    }

    /// A rule was broken, a limit passed, a deadline missed, the stream lost: tells the peer where that can be told,
    /// keeps the sentence, and hands the error back.
    #[cold]
    pub(super) fn fail(&mut self, error: Error) -> Error {
        if self.has_send_failed() {
            return self.end_after_failed_send();
        }
        let (code, is_frame) = match &error {
            Error::Protocol(ProtocolError::TruncatedDeflate) | Error::Utf8 => (CloseCode::INVALID, true),
            Error::Protocol(_) => (CloseCode::PROTOCOL, true),
            Error::Capacity(_) => (CloseCode::SIZE, true),
            Error::Timeout(Deadline::Idle) => (CloseCode::AWAY, false),
            Error::Timeout(Deadline::Pong) => (CloseCode::ERROR, false),
            _ => (CloseCode::ABNORMAL, false),
        };
        let mut sentence = error.to_string();
        if is_frame {
            let offset = self.receiver.frame_offset();
            sentence.push_str(&format!(", in the frame that begins at byte {offset} of the stream"));
        }
        if self.phase.is_open() && code.is_allowed() {
            // Fails only for want of memory or randomness; then the peer is not told.
            let _ = self.sender.queue_close(&code.0.to_be_bytes());
        }
        self.give_up(sentence, code);
        error
    }

    pub(super) fn give_up(&mut self, sentence: String, code: CloseCode) {
        self.failure = Some(Box::new(Failure { sentence, code }));
        self.phase = Phase::Failed;
        self.unread = true;
        self.receiver.discard();
    }
}
