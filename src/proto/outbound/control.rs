//! Control frames that jump the queue: Pongs, and a Ping that a deadline asks for.

use super::Sender;
use super::leaving::Source;
use crate::error::{Error, Result};
use crate::message::{Kind, Role};
use crate::proto::frame::{FrameStart, MAX_CONTROL};
use crate::proto::sizing::BURST;
use crate::simd::mask;

/// What `control` can come to: a burst that is being sent, and the newest Pong.
const MAX_CONTROL_BYTES: usize = BURST + 4 * (MAX_CONTROL + 6);

impl Sender {
    /// Queues the Pong to a Ping. Where too many wait, it replaces all that have not begun to be sent.
    pub(crate) fn answer_ping(&mut self, payload: &[u8]) -> Result<()> {
        let replaces = self.control.len() + payload.len() > BURST;
        self.put_control(Kind::Pong, payload, replaces)
    }

    /// Queues a Pong of the caller's. It replaces all that have not begun to be sent.
    pub(crate) fn queue_pong(&mut self, payload: &[u8]) -> Result<()> {
        self.put_control(Kind::Pong, payload, true)
    }

    /// Queues a Ping that jumps the queue.
    pub(crate) fn queue_urgent_ping(&mut self, payload: &[u8]) -> Result<()> {
        self.ping = Some(payload.to_vec());
        self.put_waiting_ping()
    }

    pub(super) fn advance_control(&mut self, n: usize) {
        self.control_sent += n;
        // Whole frames that have left make room; at most one that has begun stays at the front.
        let mut left = 0;
        while left < self.control.len() && left + self.control_frame_len(left) <= self.control_sent {
            left += self.control_frame_len(left);
        }
        self.control.drain(..left);
        self.control_sent -= left;
    }

    /// A Ping goes once no other control frame waits.
    pub(super) fn put_waiting_ping(&mut self) -> Result<()> {
        match self.ping.take_if(|_| self.control.is_empty()) {
            Some(payload) => self.put_control(Kind::Ping, &payload, false),
            None => Ok(()),
        }
    }

    fn put_control(&mut self, kind: Kind, payload: &[u8], replaces: bool) -> Result<()> {
        debug_assert!(payload.len() <= MAX_CONTROL);
        let key = self.key()?;
        if replaces {
            self.control.truncate(self.replaceable_from());
        }
        if self.control.capacity() == 0 {
            self.control.try_reserve_exact(MAX_CONTROL_BYTES).map_err(|_| Error::NoMemory)?;
        }
        FrameStart::whole(kind).encode(payload.len(), key, |piece| self.control.extend_from_slice(piece));
        let start = self.control.len();
        self.control.extend_from_slice(payload);
        if let Some(key) = key {
            mask::apply(&mut self.control[start..], key);
        }
        debug_assert!(self.control.len() <= MAX_CONTROL_BYTES);
        Ok(())
    }

    /// Where the control frames begin that may be replaced: behind what has begun to be sent or is lent, and a Ping.
    fn replaceable_from(&self) -> usize {
        let lent = if let Some(Source::Control(len)) = self.lent { len } else { 0 };
        let mut from = 0;
        while from < self.control.len()
            && (from < self.control_sent + lent || self.control[from] & 0x0f == Kind::Ping as u8)
        {
            from += self.control_frame_len(from);
        }
        from
    }

    /// Length of the control frame that begins there: their headers have one length byte.
    fn control_frame_len(&self, start: usize) -> usize {
        let mask = if self.role == Role::Client { 4 } else { 0 };
        2 + mask + usize::from(self.control[start + 1] & 0x7f)
    }
}
