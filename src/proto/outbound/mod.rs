//! Messages to bytes: frames them, masks them where the role says so, and keeps what the peer has not taken yet.
//!
//! What waits is bounded in messages and in bytes. Pongs have a small place of their own and go at the next frame
//! boundary, as does a Ping that a deadline asks for; a Close always finds room, behind what was accepted before it. Partial
//! writes move an offset, never bytes. Knows nothing of received bytes, of the phase of a connection, or of where bytes go.
//!
//! | file | knows |
//! | --- | --- |
//! | `block` | the memory of what waits, which never moves |
//! | `control` | control frames that jump the queue |
//! | `leaving` | what leaves next, and what has left |
//! | `direct` | frames that leave without waiting |

mod block;
mod control;
mod direct;
mod leaving;

pub(crate) use self::direct::{MaskedChunk, SHORT, ShortFrame};

use self::block::Block;
use self::leaving::Source;
use crate::config::WebSocketConfig;
use crate::error::Result;
use crate::message::{Kind, Outgoing, Role};
use crate::proto::frame::{FrameStart, HeaderBytes};
use crate::proto::sizing::REUSED;
use crate::simd::mask::{self, MaskKey};
use std::collections::VecDeque;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub(crate) struct Sender {
    role: Role,
    /// Whole frames (and, at first, an HTTP head), one behind another, in blocks that never move.
    blocks: VecDeque<Block>,
    /// Bytes of the first block that have been sent.
    block_sent: usize,
    /// Length of each frame in `blocks`.
    frames: VecDeque<usize>,
    /// Bytes of the first frame that have been sent.
    frame_sent: usize,
    /// Shared frames may come to more than there are addresses for.
    queued_bytes: u64,
    /// Pongs, which jump the queue, and perhaps a Ping before them, in wire form. Never moves while it is lent.
    control: Vec<u8>,
    control_sent: usize,
    /// A Ping that waits for `control` to be empty.
    ping: Option<Vec<u8>>,
    /// What [`Sender::output`] has lent, until it is advanced.
    lent: Option<Source>,
}

impl Sender {
    /// Nothing to send yet.
    pub(crate) fn new(role: Role) -> Self {
        Self {
            role,
            blocks: VecDeque::new(),
            block_sent: 0,
            frames: VecDeque::new(),
            frame_sent: 0,
            queued_bytes: 0,
            control: Vec::new(),
            control_sent: 0,
            ping: None,
            lent: None,
        }
    }

    /// Whether a message of `len` bytes may be queued now.
    #[inline]
    pub(crate) fn has_room(&self, len: usize, config: &WebSocketConfig) -> bool {
        self.frames.is_empty()
            || (config.max_send_queue.is_none_or(|max| self.frames.len() < max)
                && config
                    .max_send_bytes
                    .is_none_or(|max| self.queued_bytes.saturating_add(len as u64) <= max as u64))
    }

    /// Queues one frame. Bounds are the caller's to check.
    pub(crate) fn queue(&mut self, start: FrameStart, payload: &[u8]) -> Result<()> {
        let len = self.encode(start, payload)?;
        self.frames.push_back(len);
        self.queued_bytes += len as u64;
        Ok(())
    }

    /// [`queue`](Self::queue) for messages in one frame each, as most are: those at the front of these that are shorter than
    /// `longer`, for as long as there is room, behind others in a block and without a mask. How many. That takes 60 % of the
    /// instructions of one by one.
    #[inline]
    pub(crate) fn queue_short(
        &mut self,
        messages: &[Outgoing<'_>],
        longer: usize,
        config: &WebSocketConfig,
    ) -> usize {
        let Some(Block::Own(block)) = self.blocks.back_mut() else { return 0 };
        if self.role == Role::Client {
            return 0;
        }
        let longer = longer.min(usize::from(u16::MAX));
        let max_frames = config.max_send_queue.unwrap_or(usize::MAX);
        let max_bytes = config.max_send_bytes.map_or(u64::MAX, |max| max as u64);
        let mut done = 0;
        for message in messages {
            let (kind, payload) = match *message {
                Outgoing::Text(text) => (Kind::Text, text.as_bytes()),
                Outgoing::Binary(data) => (Kind::Binary, data),
                _ => break,
            };
            let is_full = self.frames.len() >= max_frames
                || self.queued_bytes.saturating_add(payload.len() as u64) > max_bytes;
            if payload.len() >= longer
                || 4 + payload.len() > block.capacity() - block.len()
                || (is_full && !self.frames.is_empty())
            {
                break;
            }
            let begins_at = block.len();
            FrameStart::whole(kind).encode(payload.len(), None, |piece| block.extend_from_slice(piece));
            block.extend_from_slice(payload);
            let frame_len = block.len() - begins_at;
            self.frames.push_back(frame_len);
            self.queued_bytes += frame_len as u64;
            done += 1;
        }
        done
    }

    /// Queues a Close: `payload` is empty, or a code in network order and a reason.
    pub(crate) fn queue_close(&mut self, payload: &[u8]) -> Result<()> {
        self.queue(FrameStart::whole(Kind::Close), payload)?;
        self.ping = None;
        Ok(())
    }

    /// Queues the bytes of the opening handshake.
    pub(crate) fn queue_raw(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.room_in_block(bytes.len())?.extend_from_slice(bytes);
        self.frames.push_back(bytes.len());
        self.queued_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Queues a frame that is ready and belongs to many, of which `sent` bytes have left directly. A server's only.
    pub(crate) fn queue_shared(&mut self, frame: &Arc<Vec<u8>>, sent: usize) {
        if sent >= frame.len() {
            return;
        }
        self.drop_empty_block();
        if self.blocks.is_empty() {
            (self.block_sent, self.frame_sent) = (sent, sent);
        }
        self.blocks.push_back(Block::Shared(Arc::clone(frame)));
        self.frames.push_back(frame.len());
        self.queued_bytes += (frame.len() - sent) as u64;
    }

    /// Whether nothing waits to be sent.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.control.is_empty()
    }

    /// Whether frames wait that are not control frames which jump the queue.
    #[inline]
    pub(crate) fn has_frames_waiting(&self) -> bool {
        !self.frames.is_empty()
    }

    /// Whether there is nothing in it but memory.
    #[inline]
    pub(crate) fn holds_nothing(&self) -> bool {
        self.is_empty() && self.ping.is_none() && self.lent.is_none()
    }

    /// Keeps of its memory what another stream may have next, where that is not much. Only where it
    /// [`holds_nothing`](Self::holds_nothing).
    #[inline]
    pub(crate) fn trim(&mut self) {
        // What is left is one block that is empty, at most.
        if !matches!(self.blocks.front(), None | Some(Block::Own(_)))
            || self.blocks.front().is_some_and(|block| block.memory() > REUSED)
        {
            self.blocks.clear();
        }
        // No more blocks have waited than frames.
        if self.frames.capacity() > REUSED / size_of::<usize>() {
            (self.blocks, self.frames) = (VecDeque::new(), VecDeque::new());
        }
    }

    /// Goes on with another stream, in the memory that was [kept](Self::trim). A field that is added has to be thought of.
    pub(crate) fn reuse(&mut self, new_role: Role) {
        let Self {
            role,
            // Memory.
            blocks: _,
            // Zero and none, where nothing waits.
            block_sent: _,
            frames: _,
            frame_sent: _,
            queued_bytes: _,
            control: _,
            control_sent: _,
            ping: _,
            lent: _,
        } = self;
        *role = new_role;
    }

    /// Bytes that wait to be sent, or the most that can be said.
    pub(crate) fn queued_bytes(&self) -> usize {
        let control = self.control.len() - self.control_sent;
        usize::try_from(self.queued_bytes).map_or(usize::MAX, |queued| queued.saturating_add(control))
    }

    /// Nobody will take the bytes any more: drops them.
    pub(crate) fn discard(&mut self) {
        *self = Self::new(self.role);
    }

    /// Gives back memory that nothing waits in.
    pub(crate) fn release(&mut self) {
        if self.frames.is_empty() && self.lent.is_none() {
            self.blocks = VecDeque::new();
            self.frames = VecDeque::new();
        }
        if self.control.is_empty() && self.lent.is_none() {
            self.control = Vec::new();
        }
    }

    /// Writes one frame into a block; its length.
    #[inline]
    fn encode(&mut self, start: FrameStart, payload: &[u8]) -> Result<usize> {
        let key = self.key()?;
        let header = HeaderBytes::new(start, payload.len(), key);
        let len = header.len() + payload.len();
        let block = self.room_in_block(len)?;
        block.extend_from_slice(&header);
        match key {
            Some(key) => mask::append(block, payload, key),
            None => block.extend_from_slice(payload),
        }
        Ok(len)
    }

    /// Whether there are but data frames.
    fn is_plain(&self) -> bool {
        self.control.is_empty() && self.ping.is_none()
    }

    fn key(&self) -> Result<Option<MaskKey>> {
        match self.role {
            Role::Client => MaskKey::random().map(Some),
            Role::Server => Ok(None),
        }
    }
}
