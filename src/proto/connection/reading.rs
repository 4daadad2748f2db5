//! Bytes of the peer to messages: room for them, what is read from them, and the answers to Pings and Closes that this
//! queues.

use super::{Connection, Phase};
use crate::error::{Error, ProtocolError, Result};
use crate::message::{CloseCode, Kind};
use crate::proto::inbound::{Received, WholeMessage};
use crate::proto::utf8;

/// How many frames that the reader does not see one call takes before it lets its caller have a turn: Pings, fragments, and
/// what costs as much as them.
const HIDDEN_FRAME_BUDGET: u32 = 1 << 14;

/// What a buffer full of bytes after the end counts for.
const DISCARD: u32 = HIDDEN_FRAME_BUDGET >> 4;

impl Connection {
    /// Room for received bytes. Empty only while whole messages wait to be read, or the message read last is in the
    /// way: read on, then ask again.
    pub fn space(&mut self) -> Result<&mut [u8]> {
        match self.phase {
            Phase::Opening(_) => self.receiver.space_for_head(self.config.max_head_size),
            _ => self.receiver.space(self.role, self.over_socket),
        }
    }

    /// Whether nothing that still arrives is looked at: after a Close of the peer, or a failure.
    #[inline]
    pub fn ignores_input(&self) -> bool {
        self.phase.ignores_input()
    }

    /// Bytes that nobody looks at have arrived, and are dropped.
    pub fn dropped(&mut self) {
        self.hidden_frames = self.hidden_frames.saturating_add(DISCARD);
    }

    /// The first `n` bytes of the room last given out have been received.
    #[inline(always)]
    pub fn received(&mut self, n: usize) {
        self.receiver.commit(n);
        self.deadlines.received();
        self.unread = true;
    }

    /// The stream has ended: nothing more will arrive.
    pub fn received_eof(&mut self) {
        self.eof = true;
        self.unread = true;
    }

    /// [`space`](Self::space), lent until [`commit_lent`](Self::commit_lent): until then it stays where it is, whatever
    /// is read or sent.
    pub fn lend_space(&mut self) -> Result<&mut [u8]> {
        self.check_not_lent()?;
        let space = match self.phase {
            Phase::Opening(_) => self.receiver.space_for_head(self.config.max_head_size)?,
            _ => self.receiver.space(self.role, self.over_socket)?,
        };
        self.input_lent = Some(space.len());
        Ok(space)
    }

    /// The first `n` bytes of the lent room have been received; it is not lent any more.
    pub fn commit_lent(&mut self, n: usize) -> Result<()> {
        match self.input_lent.take() {
            None => return Err(Error::Misuse("no input memory is lent")),
            Some(lent) if n > lent => {
                self.input_lent = Some(lent);
                return Err(Error::InvalidArgument("more bytes than were lent"));
            }
            Some(_) if n > 0 => self.received(n),
            Some(_) => {}
        }
        Ok(())
    }

    /// One room at a time is lent.
    #[inline]
    pub fn check_not_lent(&self) -> Result<()> {
        match self.input_lent {
            Some(_) => Err(Error::Misuse("input memory is already lent: commit it first")),
            None => Ok(()),
        }
    }

    /// Whether room is lent.
    pub fn is_input_lent(&self) -> bool {
        self.input_lent.is_some()
    }

    /// Whether the stream has ended.
    pub fn has_ended(&self) -> bool {
        self.eof
    }

    /// Whether a read would find something new without more bytes: a message, the end, a failure.
    pub fn is_readable(&self) -> bool {
        (self.unread && !matches!(self.phase, Phase::Ended))
            || self.is_over()
            // Parts may have been asked for since it was looked at.
            || (self.config.deliver_fragments && self.receiver.holds_part())
    }

    /// Whether nothing has arrived that waits to be read, so that what arrives next is the beginning of a message: then
    /// [`poll_whole`](Self::poll_whole) will do for most. The loan of what was read before ends.
    #[inline(always)]
    pub fn begin_message(&mut self) -> bool {
        let begins = !self.eof && self.input_lent.is_none() && self.receiver.begin_message();
        if begins {
            self.unread = false;
        }
        begins
    }

    /// The next message, if it is as simple as most are and has arrived. Everything else is for
    /// [`poll_read`](Self::poll_read).
    #[inline(always)]
    pub fn poll_whole(&mut self) -> Option<WholeMessage> {
        let whole = self.receiver.next_whole(self.role)?;
        self.hidden_frames = 0;
        Some(whole)
    }

    /// What was read from the input so far stays until the next read, although [`poll_read`](Self::poll_read) has been
    /// asked for what lies behind it.
    pub fn keep_loan(&mut self) {
        self.receiver.keep_loan();
    }

    /// The payload of what [`poll_whole`](Self::poll_whole) returned last.
    #[inline(always)]
    pub fn whole_payload(&self, whole: WholeMessage) -> &[u8] {
        self.receiver.whole_payload(whole)
    }

    /// Where in the input the next message begins, for [`prefetch`](Self::prefetch).
    #[inline]
    pub fn input_position(&self) -> usize {
        self.receiver.input_position()
    }

    /// The messages that were taken from that position of the input on count as not read: for a caller who hands them out
    /// by himself while [`is_prefetch_valid`](Self::is_prefetch_valid). Before anything else is read he says how many were
    /// with [`handed_out`](Self::handed_out).
    #[inline]
    pub fn prefetch(&mut self, start: usize) {
        self.receiver.prefetch(start);
    }

    /// Of the messages that have been prefetched `count` were handed out, and `left` are to be read still.
    #[inline]
    pub fn handed_out(&mut self, count: u16, left: u16) {
        match left {
            0 => self.receiver.end_prefetch(),
            _ => {
                self.receiver.drop_prefetched(count, self.role);
                self.unread |= self.phase.can_read();
            }
        }
    }

    /// The next of the messages that have been prefetched and not handed out.
    #[inline]
    pub fn poll_prefetched(&mut self) -> Option<WholeMessage> {
        match self.receiver.has_prefetched() {
            true => self.receiver.next_prefetched(self.role, &self.config).ok().flatten(),
            false => None,
        }
    }

    /// Whether messages have been prefetched, and nothing is to be done before they are handed out.
    #[inline]
    pub fn is_prefetch_valid(&self) -> bool {
        self.receiver.is_prefetch_valid() && self.may_hand_out()
    }

    /// Whether nothing is to be done before messages that have arrived are handed out.
    #[inline]
    pub fn may_hand_out(&self) -> bool {
        self.phase.can_read() && (!self.has_output() || self.corked)
    }

    /// The next message out of what has arrived; `None`: more bytes are needed. Answers to Pings and Closes are
    /// queued. `ConnectionClosed` comes once, when the stream can be dropped; `AlreadyClosed` after it.
    #[inline]
    pub fn poll_read(&mut self) -> Result<Option<Received>> {
        loop {
            if self.phase.ignores_input() {
                // Bytes that nobody looks at make room for others.
                self.receiver.end_loan();
                self.receiver.discard();
                self.unread = false;
                return self.poll_end().map(|()| None);
            }
            let received = match self.receiver.next(self.role, &self.config) {
                Ok(Some(received)) => received,
                Ok(None) if self.eof => return Err(self.ended_early()),
                Ok(None) => {
                    self.unread = false;
                    return Ok(None);
                }
                Err(error) => return Err(self.fail(error)),
            };
            match received.kind {
                Kind::Text | Kind::Binary => {
                    self.hidden_frames = 0;
                    return Ok(Some(received));
                }
                Kind::Close => {
                    self.take_close(&received)?;
                    return Ok(Some(received));
                }
                Kind::Ping if self.config.auto_pong && self.phase.is_open() => {
                    self.sender.answer_ping(self.receiver.payload(&received))?;
                    self.corked = false;
                }
                Kind::Pong => self.deadlines.received_pong(self.receiver.payload(&received)),
                Kind::Ping => {}
            }
            if self.config.deliver_control {
                return Ok(Some(received));
            }
            self.hidden_frames = self.hidden_frames.saturating_add(1);
        }
    }

    /// The payload of the message read last; of a Close, its reason. There until the next read.
    #[inline]
    pub fn payload(&self, received: &Received) -> &[u8] {
        let payload = self.receiver.payload(received);
        match received.kind {
            Kind::Close => payload.get(2..).unwrap_or_default(),
            _ => payload,
        }
    }

    /// Whether so much has arrived without giving a message that the caller should have a turn. Starts anew then, and
    /// counts as [readable](Self::is_readable), for there is likely to be more.
    pub fn is_budget_spent(&mut self) -> bool {
        let hidden = u64::from(self.hidden_frames) + self.receiver.hidden_frames(self.over_socket);
        let lost = hidden >= HIDDEN_FRAME_BUDGET.into();
        if lost {
            self.hidden_frames = 0;
            self.receiver.forget_hidden();
            self.unread = true;
        }
        lost
    }

    /// Whether bytes from the peer make a difference: messages, its Close, or the end of the stream. Not while a request
    /// waits to be decided on.
    pub fn wants_bytes(&self) -> bool {
        !self.eof && self.phase.wants_bytes(self.role)
    }

    fn take_close(&mut self, received: &Received) -> Result<()> {
        let payload = self.receiver.payload(received);
        let code = match payload {
            [] => CloseCode::NO_STATUS,
            [_] => return Err(self.fail(ProtocolError::TruncatedCloseCode.into())),
            [high, low, reason @ ..] => {
                let code = CloseCode(u16::from_be_bytes([*high, *low]));
                if !code.is_allowed() {
                    return Err(self.fail(ProtocolError::InvalidCloseCode(code.0).into()));
                }
                if !utf8::is_valid(reason) {
                    return Err(self.fail(Error::Utf8));
                }
                code
            }
        };
        self.close_code = Some(code);
        if self.phase.is_open() {
            // The answer carries the peer's code (RFC 6455 section 5.5.1), and its reason: programs show it to the user.
            self.sender.queue_close(payload)?;
            self.corked = false;
        }
        self.phase.received_close();
        self.receiver.discard();
        Ok(())
    }
}
