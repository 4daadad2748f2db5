//! The opening handshake of a connection: driving it, deciding on a request, and what is kept of it.

use super::{Connection, Phase};
use crate::error::{Error, HandshakeError, Result};
use crate::head::Head;
use crate::message::{CloseCode, Role};
use crate::proto::handshake::{
    Acceptance, Handshake, HandshakeOptions, Opened, Progress, ServerHandshake, is_upgrade,
};

/// How far the opening handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// The peer's bytes are waited for.
    NeedsBytes,
    /// A server has a request to decide on: [`Connection::accept`] or [`Connection::reject`].
    Request,
    /// Messages can flow.
    Open,
}

impl Connection {
    /// Drives the opening handshake with what has arrived. A refusal, a malformed head and the like end the
    /// connection; a server's answer to them is then among the bytes to send.
    pub fn poll_handshake(&mut self) -> Result<Opening> {
        self.check_not_over()?;
        let handshake = match &mut self.phase {
            Phase::Opening(handshake) => handshake,
            // It cannot be made up for any more; only the answer may still have to leave.
            Phase::Failed | Phase::Over => return self.poll_end().map(|()| Opening::NeedsBytes),
            _ => return Ok(Opening::Open),
        };
        match handshake.advance(self.receiver.buffered(), self.eof) {
            Ok((Progress::NeedMore, consumed)) => {
                // What has come of a head is no news before the rest comes.
                self.unread = false;
                self.receiver.skip(consumed);
                Ok(Opening::NeedsBytes)
            }
            Ok((Progress::Request, consumed)) => {
                self.unread = false;
                self.receiver.skip(consumed);
                Ok(Opening::Request)
            }
            Ok((Progress::Done, consumed)) => {
                self.receiver.skip(consumed);
                self.finish_handshake();
                Ok(Opening::Open)
            }
            Err(error) => {
                if let Handshake::Server(server) = &mut **handshake {
                    let answer = server.take_refusal();
                    self.sender.queue_raw(&answer)?;
                }
                Err(self.handshake_failed(error))
            }
        }
    }

    /// Server: takes the request. `protocol` is one that the client offered; without one, the first of `options` that
    /// it offered is chosen.
    pub fn accept(&mut self, protocol: Option<&str>, options: &HandshakeOptions) -> Result<()> {
        let response = self.accept_unsent(protocol, options)?;
        self.sender.queue_raw(&response)
    }

    /// [`accept`](Self::accept), with the response handed out: to be sent at once, and what the stream does not take of
    /// it to be queued with [`queue_rest`](Self::queue_rest). Only where nothing waits to be sent.
    pub fn accept_unsent(
        &mut self,
        protocol: Option<&str>,
        options: &HandshakeOptions,
    ) -> Result<Acceptance> {
        let response = self.request()?.accept(protocol, options)?;
        self.finish_handshake();
        Ok(response)
    }

    /// Server: refuses a request that waits and is not for WebSocket, as without
    /// `plain_requests`. The answer is then among the bytes to send.
    #[inline]
    pub fn refuse_plain(&mut self) -> Result<()> {
        if self.config.plain_requests { self.refuse_if_plain() } else { Ok(()) }
    }

    #[cold]
    fn refuse_if_plain(&mut self) -> Result<()> {
        let Some(Handshake::Server(server)) = self.handshake_mut() else { return Ok(()) };
        let Err(error) = server.refuse_plain() else { return Ok(()) };
        let answer = server.take_refusal();
        self.sender.queue_raw(&answer)?;
        Err(self.handshake_failed(error))
    }

    /// Whether a server has a request that would open a WebSocket, or has had one.
    pub fn is_upgrade(&self) -> bool {
        match self.handshake() {
            Some(Handshake::Server(server)) => server.is_upgrade(),
            Some(Handshake::Client(_)) => false,
            None => self.role == Role::Server && self.head().is_some_and(is_upgrade),
        }
    }

    /// Server: answers the request with an HTTP status from 200 to 599 and a body, and ends the connection.
    pub fn reject(&mut self, status: u16, options: &HandshakeOptions, body: &[u8]) -> Result<()> {
        let response = self.request()?.reject(status, options, body)?;
        self.sender.queue_raw(&response)?;
        self.finish_handshake();
        self.handshake_failed(HandshakeError::Refused(status).into());
        Ok(())
    }

    /// The peer's part of the opening handshake: a server's request from [`Opening::Request`] on, a client's response
    /// from its end on, be it a refusal.
    pub fn head(&self) -> Option<&Head> {
        let head = match (self.cold.as_ref().and_then(|cold| cold.head()), self.handshake()) {
            (Some(head), _) => head,
            (None, Some(Handshake::Server(handshake))) => handshake.head(),
            // A client's may still be followed by another.
            (None, _) => return None,
        };
        (!head.is_empty()).then_some(head)
    }

    /// The subprotocol agreed on.
    pub fn protocol(&self) -> Option<&str> {
        self.cold.as_ref()?.protocol()
    }

    fn request(&mut self) -> Result<&mut ServerHandshake> {
        self.check_not_over()?;
        match self.handshake_mut() {
            Some(Handshake::Server(handshake)) => Ok(handshake),
            _ => Err(Error::Misuse("there is no request to answer")),
        }
    }

    fn handshake(&self) -> Option<&Handshake> {
        match &self.phase {
            Phase::Opening(handshake) => Some(handshake),
            _ => None,
        }
    }

    fn handshake_mut(&mut self) -> Option<&mut Handshake> {
        match &mut self.phase {
            Phase::Opening(handshake) => Some(handshake),
            _ => None,
        }
    }

    fn finish_handshake(&mut self) {
        // The end of the stream may have come with it.
        self.unread = self.eof || !self.receiver.buffered().is_empty();
        if let Phase::Opening(mut handshake) = std::mem::replace(&mut self.phase, Phase::Open) {
            let Opened { head, protocol, deflate } = handshake.take_opened();
            if self.config.keep_head {
                self.keep_opened(head, protocol);
            } else if protocol.is_some() {
                self.keep_opened(Head::default(), protocol);
            }
            self.compress(deflate);
        }
    }

    /// Whatever became of it: what the peer said is kept.
    pub(super) fn end_handshake(&mut self) {
        if self.phase.is_opening() {
            self.finish_handshake();
        }
    }

    /// Keeps the refusal, where it is one, for [`head`](Self::head).
    pub(super) fn handshake_failed(&mut self, error: Error) -> Error {
        self.end_handshake();
        if let Error::Http(response) = &error {
            self.keep_opened((**response).clone(), None);
        }
        self.give_up(error.to_string(), CloseCode::ABNORMAL);
        error
    }

    /// A client that was reading the body of a refusal when time or the stream ran out still reports the refusal.
    pub(super) fn refusal_cut_short(&mut self) -> Option<Error> {
        match self.handshake_mut() {
            Some(Handshake::Client(client)) => client.take_refusal(),
            _ => None,
        }
    }

    fn keep_opened(&mut self, head: Head, protocol: Option<String>) {
        self.cold.get_or_insert_default().head = Some((head, protocol));
    }
}
