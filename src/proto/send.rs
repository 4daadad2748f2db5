//! Messages to bytes: frames them, masks them where the role says so, and keeps what the peer has not taken yet.
//!
//! What waits is bounded in messages and in bytes. A Pong has a slot of its own and goes at the next frame boundary,
//! as does a Ping that a deadline asks for; a Close always finds room, behind what was accepted before it. Partial
//! writes move an offset, never bytes. Knows nothing of received bytes, of the closing state, or of where bytes go.

use crate::config::WebSocketConfig;
use crate::error::{Error, Result};
use crate::message::{Kind, Role};
use crate::proto::frame::{Header, HeaderBytes, MAX_CONTROL, Opcode};
use crate::proto::mask::{self, MaskKey};
use std::collections::VecDeque;
use std::io::IoSlice;

/// Payloads are copied and masked in steps of this size.
const STEP: usize = 8 << 10;
/// Sizes of the blocks that small frames are gathered in.
const BLOCK: std::ops::RangeInclusive<usize> = 1 << 10..=64 << 10;

/// See the module.
#[derive(Debug)]
pub struct Sender {
    role: Role,
    /// Whole frames (and, at first, an HTTP head), one behind another, in blocks that never move.
    blocks: VecDeque<Vec<u8>>,
    /// Bytes of the first block that have been sent.
    block_sent: usize,
    /// Length of each frame in `blocks`.
    frames: VecDeque<usize>,
    /// Bytes of the first frame that have been sent.
    frame_sent: usize,
    queued_bytes: usize,
    /// A control frame that jumps the queue, in wire form.
    control: Vec<u8>,
    control_sent: usize,
    /// The newest Pong that waits for `control` to be free.
    pong: Option<Vec<u8>>,
    /// A Ping that waits for it.
    ping: Option<Vec<u8>>,
    /// What [`Sender::output`] has lent, until it is advanced.
    lent: Option<Source>,
    /// A Close has been queued: no control frame may follow it.
    closing: bool,
}

/// Where the next bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Control,
    /// The first block, up to this many bytes.
    Block(usize),
}

impl Sender {
    /// Nothing to send yet.
    pub fn new(role: Role) -> Self {
        Self {
            role,
            blocks: VecDeque::new(),
            block_sent: 0,
            frames: VecDeque::new(),
            frame_sent: 0,
            queued_bytes: 0,
            control: Vec::new(),
            control_sent: 0,
            pong: None,
            ping: None,
            lent: None,
            closing: false,
        }
    }

    /// Whether a message of `len` bytes may be queued now.
    #[inline]
    pub fn has_room(&self, len: usize, config: &WebSocketConfig) -> bool {
        self.frames.is_empty()
            || (config.max_send_queue.is_none_or(|max| self.frames.len() < max)
                && config.max_send_bytes.is_none_or(|max| self.queued_bytes.saturating_add(len) <= max))
    }

    /// Queues one frame. Bounds are the caller's to check.
    pub fn queue(&mut self, opcode: Opcode, fin: bool, payload: &[u8]) -> Result<()> {
        let key = self.key()?;
        let header = HeaderBytes::new(&Header { fin, opcode, mask: key, len: payload.len() as u64 });
        let len = header.len() + payload.len();
        let block = self.room_in_block(len)?;
        block.extend_from_slice(&header);
        match key {
            Some(key) => {
                // In steps that are still in the cache when they are masked; STEP is a multiple of the key's length.
                for step in payload.chunks(STEP) {
                    let start = block.len();
                    block.extend_from_slice(step);
                    mask::apply(&mut block[start..], key);
                }
            }
            None => block.extend_from_slice(payload),
        }
        self.frames.push_back(len);
        self.queued_bytes += len;
        Ok(())
    }

    /// Queues a Close: `payload` is empty, or a code in network order and a reason.
    pub fn queue_close(&mut self, payload: &[u8]) -> Result<()> {
        self.queue(Opcode::Kind(Kind::Close), true, payload)?;
        self.closing = true;
        self.ping = None;
        Ok(())
    }

    /// Queues the bytes of the opening handshake.
    pub fn queue_raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.room_in_block(bytes.len())?.extend_from_slice(bytes);
        self.frames.push_back(bytes.len());
        self.queued_bytes += bytes.len();
        Ok(())
    }

    /// Puts a Pong into its slot; it replaces one that has not begun to be sent.
    pub fn set_pong(&mut self, payload: &[u8]) -> Result<()> {
        debug_assert!(payload.len() <= MAX_CONTROL);
        let slot = self.pong.get_or_insert_default();
        slot.clear();
        slot.extend_from_slice(payload);
        self.fill_control()
    }

    /// Puts a Ping into its slot.
    pub fn set_ping(&mut self, payload: &[u8]) -> Result<()> {
        self.ping = Some(payload.to_vec());
        self.fill_control()
    }

    /// The header for a whole message that may be sent right from the caller's memory: nothing waits before it and
    /// it needs no mask. What the stream then does not take goes to [`queue_rest`](Self::queue_rest).
    #[inline]
    pub fn direct_header(&self, opcode: Opcode, fin: bool, len: usize) -> Option<HeaderBytes> {
        (self.role == Role::Server && self.is_empty())
            .then(|| HeaderBytes::new(&Header { fin, opcode, mask: None, len: len as u64 }))
    }

    /// Queues what is left of a frame of which `sent` bytes have left directly.
    pub fn queue_rest(&mut self, header: &HeaderBytes, payload: &[u8], sent: usize) -> Result<()> {
        let total = header.len() + payload.len();
        if sent >= total {
            return Ok(());
        }
        let header_rest = header.get(sent..).unwrap_or_default();
        let payload_rest = payload.get(sent.saturating_sub(header.len())..).unwrap_or_default();
        let block = self.room_in_block(total - sent)?;
        block.extend_from_slice(header_rest);
        block.extend_from_slice(payload_rest);
        // The frame counts as begun, so that no Pong is put into its middle.
        self.frames.push_back(total);
        self.frame_sent = sent;
        self.queued_bytes += total - sent;
        Ok(())
    }

    /// Whether nothing waits to be sent.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.control.is_empty()
    }

    /// Bytes that wait to be sent.
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes + self.control.len() - self.control_sent
    }

    /// The next bytes to send, in one piece; empty when nothing waits. They stay where they are until
    /// [`advance_output`](Self::advance_output), whatever is queued meanwhile.
    pub fn output(&mut self) -> &[u8] {
        let source = self.lent.or_else(|| self.source());
        self.lent = source;
        match source {
            Some(source) => self.bytes(source),
            None => &[],
        }
    }

    /// The first `n` bytes that [`output`](Self::output) lent have been sent; false where it did not lend so many.
    pub fn advance_output(&mut self, n: usize) -> bool {
        let lent = self.lent.map_or(0, |source| self.bytes(source).len());
        if n > lent {
            return false;
        }
        if let Some(source) = self.lent.take() {
            self.advance_source(source, n);
            self.refill_control();
        }
        true
    }

    /// Fills `slices` with the bytes to send, in their order; returns how many it used.
    pub fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut used = 0;
        let mut put = |bytes: &'a [u8]| {
            if let (Some(slice), false) = (slices.get_mut(used), bytes.is_empty()) {
                *slice = IoSlice::new(bytes);
                used += 1;
            }
        };
        let mut first_block_from = self.block_sent;
        match self.source() {
            Some(Source::Control) => put(self.bytes(Source::Control)),
            Some(Source::Block(len)) if !self.control.is_empty() => {
                put(self.bytes(Source::Block(len)));
                put(&self.control);
                first_block_from += len;
            }
            _ => {}
        }
        let mut blocks = self.blocks.iter();
        if let Some(first) = blocks.next() {
            put(&first[first_block_from..]);
        }
        blocks.for_each(|block| put(block));
        used
    }

    /// The first `n` bytes that [`gather`](Self::gather) gave have been sent.
    pub fn advance(&mut self, mut n: usize) {
        while n > 0 {
            let Some(source) = self.source() else { break };
            let step = n.min(self.bytes(source).len());
            self.advance_source(source, step);
            n -= step;
        }
        // Only now: a control frame that was not in what was gathered must not be taken for sent.
        self.refill_control();
    }

    /// Nobody will take the bytes any more: drops them.
    pub fn discard(&mut self) {
        let closing = self.closing;
        *self = Self::new(self.role);
        self.closing = closing;
    }

    /// Gives back memory that nothing waits in.
    pub fn release(&mut self) {
        if self.frames.is_empty() && self.lent.is_none() {
            self.blocks = VecDeque::new();
            self.frames = VecDeque::new();
        }
        if self.control.is_empty() && self.lent.is_none() {
            self.control = Vec::new();
        }
    }

    /// The block to write the next `len` bytes to: it has room for them and will not move.
    fn room_in_block(&mut self, len: usize) -> Result<&mut Vec<u8>> {
        let has_room = self.blocks.back().is_some_and(|block| block.capacity() - block.len() >= len);
        if !has_room {
            let ahead = self.blocks.back().map_or(*BLOCK.start(), |block| block.capacity() * 2);
            let mut block = Vec::new();
            block.try_reserve_exact(len.max(ahead.min(*BLOCK.end()))).map_err(|_| Error::NoMemory)?;
            self.blocks.push_back(block);
        }
        self.blocks.back_mut().ok_or(Error::NoMemory)
    }

    fn source(&self) -> Option<Source> {
        let at_boundary = self.frame_sent == 0;
        if self.control_sent > 0 || (at_boundary && !self.control.is_empty()) {
            return Some(Source::Control);
        }
        let first = self.blocks.front()?;
        let frame = self.frames.front()?;
        let up_to = if self.control.is_empty() { first.len() - self.block_sent } else { frame - self.frame_sent };
        Some(Source::Block(up_to))
    }

    fn bytes(&self, source: Source) -> &[u8] {
        match source {
            Source::Control => &self.control[self.control_sent..],
            Source::Block(len) => match self.blocks.front() {
                Some(first) => &first[self.block_sent..self.block_sent + len],
                None => &[],
            },
        }
    }

    fn advance_source(&mut self, source: Source, n: usize) {
        match source {
            Source::Control => {
                self.control_sent += n;
                if self.control_sent == self.control.len() {
                    self.control.clear();
                    self.control_sent = 0;
                }
            }
            Source::Block(_) => self.advance_block(n),
        }
    }

    fn advance_block(&mut self, n: usize) {
        self.queued_bytes -= n;
        self.block_sent += n;
        self.frame_sent += n;
        while let Some(frame) = self.frames.front().copied().filter(|frame| *frame <= self.frame_sent) {
            self.frame_sent -= frame;
            self.frames.pop_front();
        }
        if self.closing && self.frames.is_empty() {
            // The Close has left: nothing may follow it.
            (self.control, self.control_sent, self.pong) = (Vec::new(), 0, None);
        }
        if self.blocks.front().is_some_and(|first| first.len() == self.block_sent) {
            self.block_sent = 0;
            match self.blocks.len() {
                1 => self.blocks[0].clear(),
                _ => drop(self.blocks.pop_front()),
            }
        }
    }

    /// After an advance: the next control frame may take its place.
    fn refill_control(&mut self) {
        if self.control.is_empty() && (self.pong.is_some() || self.ping.is_some()) {
            // Fails only where there is no randomness to be had; the frame then waits on.
            let _ = self.fill_control();
        }
    }

    /// Puts a waiting Pong or Ping into wire form, unless a control frame is being sent already or is a Ping.
    fn fill_control(&mut self) -> Result<()> {
        let being_sent = self.control_sent > 0 || self.lent == Some(Source::Control);
        let is_ping = self.control.first().is_some_and(|first| first & 0x0f == Kind::Ping as u8);
        if being_sent || is_ping {
            return Ok(());
        }
        let key = self.key()?;
        let (kind, payload) = match (self.pong.take(), &self.ping) {
            (Some(pong), _) => (Kind::Pong, pong),
            (None, Some(_)) if self.control.is_empty() => (Kind::Ping, self.ping.take().unwrap_or_default()),
            _ => return Ok(()),
        };
        let header = Header { fin: true, opcode: Opcode::Kind(kind), mask: key, len: payload.len() as u64 };
        self.control.clear();
        self.control.extend_from_slice(&HeaderBytes::new(&header));
        let start = self.control.len();
        self.control.extend_from_slice(&payload);
        if let Some(key) = key {
            mask::apply(&mut self.control[start..], key);
        }
        Ok(())
    }

    fn key(&self) -> Result<Option<MaskKey>> {
        match self.role {
            Role::Client => MaskKey::random().map(Some),
            Role::Server => Ok(None),
        }
    }
}
