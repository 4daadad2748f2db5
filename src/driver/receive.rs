//! Messages off a stream.

use super::{Driver, read_some};
use crate::error::Result;
use crate::message::{Kind, MessageView};
use crate::proto::inbound::{Received, WholeMessage};
use std::io::{self, Read, Write};

impl Driver {
    /// A short message that lies there, where nothing else has to be done first: most calls come to no more than
    /// this. It is a sixth of the instructions of [`receive`](Self::receive).
    #[inline(always)]
    pub(crate) fn take_whole(&mut self) -> Option<WholeMessage> {
        match self.has_output() && !self.connection.is_corked() {
            true => None,
            false => self.connection.poll_whole(),
        }
    }

    /// [`take_whole`](Self::take_whole), where that found nothing: the stream is asked, if nothing has to be done
    /// before.
    #[inline]
    pub(crate) fn receive_whole(&mut self, stream: &mut (impl Read + Write)) -> Result<Option<WholeMessage>> {
        if self.has_output() || !self.connection.begin_message() {
            return Ok(None);
        }
        self.receive_some(stream)?;
        Ok(self.connection.poll_whole())
    }

    /// What [`take_whole`](Self::take_whole) returned last.
    #[inline(always)]
    pub(crate) fn whole_view(&self, whole: WholeMessage) -> MessageView<'_> {
        let data = self.connection.whole_payload(whole);
        MessageView { kind: whole.kind, data, close_code: None, is_final: true }
    }

    /// The next message, whatever it takes.
    #[inline(never)]
    pub(crate) fn receive(&mut self, stream: &mut (impl Read + Write)) -> Result<Received> {
        if let Some(whole) = self.receive_whole(stream)? {
            return Ok(whole.into());
        }
        let mut broken = None;
        let mut stuck = !self.connection.is_corked() && self.flush_before_reading(stream, &mut broken);
        loop {
            if let Some(received) = self.connection.poll_read()? {
                return Ok(received);
            }
            if !stuck && self.connection.has_output() {
                // An answer was queued, and the peer may be waiting for it before it sends anything.
                self.flush_before_reading(stream, &mut broken);
            }
            match (self.fill(stream), broken.take()) {
                (Ok(_), still) => broken = still,
                (Err(error), Some(cause)) if error.is_would_block() => self.connection.ended_by(cause)?,
                (Err(error), _) => return Err(error),
            }
            self.check_budget()?;
            stuck = self.flush_before_reading(stream, &mut broken);
        }
    }

    /// A turn of a program that has other things to do: sends what is pending, and shows `take` the messages that lie there,
    /// for as long as it wants more; where there is none, it receives once before. `take` is told whether the message stays until the
    /// next read, or until the next one is looked for. Whether the stream may have more at once.
    pub(crate) fn service(
        &mut self,
        stream: &mut (impl Read + Write),
        take: &mut impl FnMut(&MessageView<'_>, bool) -> bool,
    ) -> Result<bool> {
        let mut broken = None;
        self.flush_before_reading(stream, &mut broken);
        let mut may_have_more = true;
        if !self.hand_out(take)? {
            may_have_more = match (self.fill(stream), broken) {
                (Ok(all_room), _) => all_room,
                (Err(error), Some(cause)) if error.is_would_block() => {
                    self.connection.ended_by(cause)?;
                    false
                }
                (Err(error), _) if error.is_would_block() => false,
                (Err(error), _) => return Err(error),
            };
            self.hand_out(take)?;
        }
        self.flush_quietly(stream)?;
        Ok(may_have_more)
    }

    /// Whether there was something.
    fn hand_out(&mut self, take: &mut impl FnMut(&MessageView<'_>, bool) -> bool) -> Result<bool> {
        let mut found = false;
        let outcome = loop {
            let next = match self.take_whole() {
                Some(whole) => Ok(Some(whole.into())),
                None => self.connection.poll_read(),
            };
            match next {
                Ok(Some(received)) if !take(&self.view(&received), received.is_in_input()) => {
                    return Ok(true);
                }
                Ok(Some(_)) => found = true,
                Ok(None) => break Ok(found),
                Err(error) => break Err(error),
            }
        };
        if found {
            self.connection.keep_loan();
        }
        outcome
    }

    /// The payload and more of what [`receive`](Self::receive) returned last.
    #[inline]
    pub(crate) fn view(&self, received: &Received) -> MessageView<'_> {
        MessageView {
            kind: received.kind,
            data: self.connection.payload(received),
            close_code: if received.kind == Kind::Close { self.connection.close_code() } else { None },
            is_final: received.is_final,
        }
    }

    /// Receives once: whether as much as there was room for. What the stream says after both Closes, be it an error, is its
    /// end.
    pub(super) fn fill(&mut self, stream: &mut (impl Read + Write)) -> Result<bool> {
        if self.connection.has_ended() || self.connection.is_input_lent() {
            // It has ended and says so again and again; or the caller is receiving.
            return Err(io::Error::from(io::ErrorKind::WouldBlock).into());
        }
        if self.connection.ignores_input() {
            return self.drain(stream).map(|()| true);
        }
        self.receive_some(stream)
    }

    /// [`fill`](Self::fill), where the stream has not ended and what it gives is to be read.
    #[inline(always)]
    fn receive_some(&mut self, stream: &mut (impl Read + Write)) -> Result<bool> {
        let space = self.connection.space()?;
        let room = space.len();
        if space.is_empty() {
            return Err(io::Error::from(io::ErrorKind::WouldBlock).into());
        }
        match read_some(stream, space) {
            Ok(0) => self.connection.received_eof(),
            Ok(n) => {
                self.connection.received(n);
                return Ok(n == room);
            }
            // That it fails is known already: with this it has nothing more to give.
            Err(_) if self.connection.has_send_failed() => self.connection.received_eof(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.connection.rest();
                return Err(error.into());
            }
            Err(error) => return Err(self.connection.stream_failed(error)),
        }
        Ok(false)
    }

    /// Receives what there is, once, without looking at it: before the silence of the peer is judged. False where there is no
    /// room for it.
    pub(crate) fn receive_unread(&mut self, stream: &mut (impl Read + Write)) -> Result<bool> {
        if self.connection.has_ended() || self.connection.ignores_input() {
            return Ok(true);
        }
        let space = self.connection.space()?;
        if space.is_empty() {
            return Ok(false);
        }
        match read_some(stream, space) {
            Ok(0) => self.connection.received_eof(),
            Ok(n) => self.connection.received(n),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // What has arrived before is read first; that there is an end shows again behind it.
            Err(_) if self.connection.is_readable() => self.connection.peer_is_alive(),
            Err(error) => return Err(self.connection.stream_failed(error)),
        }
        Ok(true)
    }

    /// Receives what nobody looks at any more. Whatever the stream then says that is not bytes, be it an error, is its
    /// end.
    #[cold]
    fn drain(&mut self, stream: &mut (impl Read + Write)) -> Result<()> {
        match read_some(stream, &mut [0; 4096]) {
            Ok(1..) => self.connection.dropped(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error.into()),
            Ok(0) | Err(_) => self.connection.received_eof(),
        }
        Ok(())
    }

    /// A peer that sends nothing but what the reader does not see cannot hold up a call for ever.
    #[inline]
    pub(super) fn check_budget(&mut self) -> Result<()> {
        if self.connection.is_budget_spent() {
            return Err(io::Error::from(io::ErrorKind::WouldBlock).into());
        }
        Ok(())
    }
}
