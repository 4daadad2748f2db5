//! Messages to bytes: frames them, masks them where the role says so, and keeps what the peer has not taken yet.
//!
//! What waits is bounded in messages and in bytes. Pongs have a small place of their own and go at the next frame
//! boundary, as does a Ping that a deadline asks for; a Close always finds room, behind what was accepted before it. Partial
//! writes move an offset, never bytes. Knows nothing of received bytes, of the closing state, or of where bytes go.

use crate::config::WebSocketConfig;
use crate::error::{Error, Result};
use crate::message::{Kind, Outgoing, Role};
use crate::proto::frame::{FrameStart, HeaderBytes, MAX_CONTROL};
use crate::simd::mask::{self, MaskKey};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

/// Pongs that wait, in bytes: a burst of Pings is answered one by one. Where more come than leave, only the newest
/// Pong is kept (RFC 6455 section 5.5.3).
const BURST: usize = 4 << 10;
/// What `control` can come to: a burst that is being sent, and the newest Pong.
const MAX_CONTROL_BYTES: usize = BURST + 4 * (MAX_CONTROL + 6);
/// No more memory is kept for the next connection that needs some.
const REUSED: usize = 32 << 10;
/// Longer payloads are masked and sent in pieces, which stay in the cache in between: a third of the time for 16 MiB in memory,
/// 0.8 for 8 MiB over TCP. Smaller ones are more system calls (64 KiB: 1.2 times the time for 1 MiB).
const PIECE: usize = 256 << 10;
/// Sizes of the blocks that small frames are gathered in.
const BLOCK: std::ops::RangeInclusive<usize> = 1 << 10..=64 << 10;

/// See the module.
#[derive(Debug)]
pub struct Sender {
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

/// Room for a frame whose length fits into its second byte.
pub type ShortFrame = [u8; 2 + 4 + SHORT];
/// Longest payload of such a frame.
pub const SHORT: usize = 125;

/// Some whole frames.
#[derive(Debug)]
enum Block {
    /// There may be room for more.
    Own(Vec<u8>),
    /// One frame, which other connections send, too.
    Shared(Arc<Vec<u8>>),
}

/// A frame that is on its way out, masked: what is to follow the piece that is staged.
#[derive(Debug)]
pub struct MaskedChunk<'a> {
    key: MaskKey,
    rest: &'a [u8],
    /// Length of all of it, header included.
    total: usize,
}

impl MaskedChunk<'_> {
    /// Whether nothing of it is out once `sent` bytes of the staged piece, which has `piece` bytes, are.
    pub fn is_unsent(&self, piece: usize, sent: usize) -> bool {
        self.rest.len() + piece == self.total && sent == 0
    }
}

/// Where the next bytes come from, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Control(usize),
    /// The first block.
    Block(usize),
}

impl std::ops::Deref for Block {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Block::Own(bytes) => bytes,
            Block::Shared(bytes) => bytes,
        }
    }
}

impl Block {
    /// Bytes that it takes up.
    fn memory(&self) -> usize {
        match self {
            Block::Own(bytes) => bytes.capacity(),
            Block::Shared(bytes) => bytes.capacity(),
        }
    }
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
            ping: None,
            lent: None,
        }
    }

    /// Whether a message of `len` bytes may be queued now.
    #[inline]
    pub fn has_room(&self, len: usize, config: &WebSocketConfig) -> bool {
        self.frames.is_empty()
            || (config.max_send_queue.is_none_or(|max| self.frames.len() < max)
                && config
                    .max_send_bytes
                    .is_none_or(|max| self.queued_bytes.saturating_add(len as u64) <= max as u64))
    }

    /// Queues one frame. Bounds are the caller's to check.
    pub fn queue(&mut self, start: FrameStart, payload: &[u8]) -> Result<()> {
        let len = self.encode(start, payload)?;
        self.frames.push_back(len);
        self.queued_bytes += len as u64;
        Ok(())
    }

    /// [`queue`](Self::queue) for messages in one frame each, as most are: those at the front of these that are shorter than
    /// `longer`, for as long as there is room, behind others in a block and without a mask. How many. That takes 60 % of the
    /// instructions of one by one.
    #[inline]
    pub fn queue_short(
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

    /// A client's, where nothing waits: the beginning of a frame in wire form, to be sent at once; it is what
    /// [`staged`](Self::staged) returns. Once that has left, [`stage_next`](Self::stage_next) goes on; what the stream does
    /// not take goes to the queue with [`queue_staged`](Self::queue_staged).
    #[inline]
    pub fn stage<'a>(&mut self, start: FrameStart, payload: &'a [u8]) -> Result<MaskedChunk<'a>> {
        debug_assert!(self.is_empty() && self.role == Role::Client);
        let key = MaskKey::random()?;
        let header = HeaderBytes::new(start, payload.len(), Some(key));
        let (piece, rest) = payload.split_at(piece_len(payload.len()));
        let block = self.room_in_block(header.len() + piece.len())?;
        block.extend_from_slice(&header);
        mask::append(block, piece, key);
        Ok(MaskedChunk { key: key.advanced(piece.len()), rest, total: header.len() + payload.len() })
    }

    /// The piece that is to be sent.
    #[inline]
    pub fn staged(&self) -> &[u8] {
        self.blocks.back().map_or(&[], |block| block)
    }

    /// The staged piece has left whole; whether there is another. It is no longer, so that it needs no memory.
    #[inline]
    pub fn stage_next(&mut self, staged: &mut MaskedChunk<'_>) -> bool {
        self.empty_last_block();
        match self.blocks.back_mut() {
            Some(Block::Own(block)) if !staged.rest.is_empty() => {
                let (piece, rest) = staged.rest.split_at(piece_len(staged.rest.len()));
                debug_assert!(piece.len() <= block.capacity());
                mask::append(block, piece, staged.key);
                (staged.key, staged.rest) = (staged.key.advanced(piece.len()), rest);
                true
            }
            _ => false,
        }
    }

    /// Of the staged piece `sent` bytes have left: queues the rest of the frame. Where there is no memory for that, nothing
    /// is left of it.
    pub fn queue_staged(&mut self, staged: MaskedChunk<'_>, sent: usize) -> Result<()> {
        let MaskedChunk { key, rest, total } = staged;
        let left_before = total - rest.len() - self.staged().len();
        if rest.is_empty() {
            self.block_sent = sent;
        } else {
            let piece = self.staged().get(sent..).unwrap_or_default();
            let mut block = Vec::new();
            if block.try_reserve_exact(piece.len() + rest.len()).is_err() {
                self.empty_last_block();
                return Err(Error::NoMemory);
            }
            block.extend_from_slice(piece);
            mask::append(&mut block, rest, key);
            self.blocks.clear();
            self.blocks.push_back(Block::Own(block));
        }
        // Where some of it has left, the frame counts as begun: no Pong is put into its middle.
        self.frames.push_back(total);
        self.frame_sent = left_before + sent;
        self.queued_bytes = (total - self.frame_sent) as u64;
        Ok(())
    }

    /// Queues a Close: `payload` is empty, or a code in network order and a reason.
    pub fn queue_close(&mut self, payload: &[u8]) -> Result<()> {
        self.queue(FrameStart::whole(Kind::Close), payload)?;
        self.ping = None;
        Ok(())
    }

    /// Queues the bytes of the opening handshake.
    pub fn queue_raw(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.room_in_block(bytes.len())?.extend_from_slice(bytes);
        self.frames.push_back(bytes.len());
        self.queued_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Queues the Pong to a Ping. Where too many wait, it replaces all that have not begun to be sent.
    pub fn answer_ping(&mut self, payload: &[u8]) -> Result<()> {
        let replaces = self.control.len() + payload.len() > BURST;
        self.put_control(Kind::Pong, payload, replaces)
    }

    /// Queues a Pong of the caller's. It replaces all that have not begun to be sent.
    pub fn queue_pong(&mut self, payload: &[u8]) -> Result<()> {
        self.put_control(Kind::Pong, payload, true)
    }

    /// Queues a Ping that jumps the queue.
    pub fn queue_urgent_ping(&mut self, payload: &[u8]) -> Result<()> {
        self.ping = Some(payload.to_vec());
        self.put_waiting_ping()
    }

    /// Writes a whole message of at most 125 bytes in wire form, to be sent at once; its length. What the stream does not
    /// take goes to [`queue_rest`](Self::queue_rest).
    #[inline(always)]
    pub fn write_short(&self, kind: Kind, payload: &[u8], frame: &mut ShortFrame) -> Result<usize> {
        let (key, mut at) = (self.key()?, 0);
        FrameStart::whole(kind).encode(payload.len().min(SHORT), key, |piece| {
            frame[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        });
        let end = at + payload.len();
        match key {
            None => copy_short(&mut frame[at..], payload),
            Some(key) => mask::copy(&mut frame[at..end], payload, key),
        }
        Ok(end)
    }

    /// The header for a whole message that may be sent right from the caller's memory: nothing waits before it and
    /// it needs no mask. What the stream then does not take goes to [`queue_rest`](Self::queue_rest).
    #[inline]
    pub fn direct_header(&self, start: FrameStart, len: usize) -> HeaderBytes {
        debug_assert!(self.is_empty() && self.role == Role::Server);
        HeaderBytes::new(start, len, None)
    }

    /// Queues what is left of a frame of which `sent` bytes have left directly.
    pub fn queue_rest(&mut self, header: &[u8], payload: &[u8], sent: usize) -> Result<()> {
        let total = header.len() + payload.len();
        if sent >= total {
            return Ok(());
        }
        let header_rest = header.get(sent..).unwrap_or_default();
        let payload_rest = payload.get(sent.saturating_sub(header.len())..).unwrap_or_default();
        let block = self.room_in_block(total - sent)?;
        block.extend_from_slice(header_rest);
        block.extend_from_slice(payload_rest);
        // Where some of it has left, the frame counts as begun: no Pong is put into its middle.
        self.frames.push_back(total);
        self.frame_sent = sent;
        self.queued_bytes += (total - sent) as u64;
        Ok(())
    }

    /// Queues a frame that is ready and belongs to many, of which `sent` bytes have left directly. A server's only.
    pub fn queue_shared(&mut self, frame: &Arc<Vec<u8>>, sent: usize) {
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
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.control.is_empty()
    }

    /// Whether frames wait that are not control frames which jump the queue.
    #[inline]
    pub fn has_frames_waiting(&self) -> bool {
        !self.frames.is_empty()
    }

    /// Whether there is nothing in it but memory.
    #[inline]
    pub fn holds_nothing(&self) -> bool {
        self.is_empty() && self.ping.is_none() && self.lent.is_none()
    }

    /// Goes on with another stream, and keeps the memory where that is not much. Only where it
    /// [`holds_nothing`](Self::holds_nothing). A field that is added has to be thought of.
    pub fn reuse(&mut self, new_role: Role) {
        let Self {
            role,
            blocks,
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
        // What is left is one block that is empty, at most.
        if !matches!(blocks.front(), None | Some(Block::Own(_)))
            || blocks.front().is_some_and(|block| block.memory() > REUSED)
        {
            blocks.clear();
        }
    }

    /// Bytes that wait to be sent, or the most that can be said.
    pub fn queued_bytes(&self) -> usize {
        let control = self.control.len() - self.control_sent;
        usize::try_from(self.queued_bytes).map_or(usize::MAX, |queued| queued.saturating_add(control))
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

    /// Whether [`output`](Self::output) has lent something.
    pub fn is_lent(&self) -> bool {
        self.lent.is_some()
    }

    /// The first `n` bytes that [`output`](Self::output) lent have been sent; false where it did not lend so many. `ends`: no
    /// control frame may follow what is queued, for that ends in a Close.
    pub fn advance_output(&mut self, n: usize, ends: bool) -> bool {
        let lent = self.lent.map_or(0, |source| self.bytes(source).len());
        if n > lent {
            return false;
        }
        if let Some(source) = self.lent.take() {
            self.advance_source(source, n, ends);
        }
        // Fails only where there is no memory or randomness to be had; the Ping then waits on.
        let _ = self.put_waiting_ping();
        true
    }

    /// All bytes to send, where they lie in one piece.
    #[inline]
    pub fn one_piece(&self) -> Option<&[u8]> {
        match self.blocks.len() {
            1 if self.control.is_empty() => Some(&self.blocks[0][self.block_sent..]),
            _ => None,
        }
    }

    /// Fills `slices` with the bytes to send, in their order; returns how many it used.
    pub fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut used = 0;
        let at_most = slices.len();
        let mut put = |bytes: &'a [u8]| {
            if let (Some(slice), false) = (slices.get_mut(used), bytes.is_empty()) {
                *slice = IoSlice::new(bytes);
                used += 1;
            }
        };
        let mut first_block_from = self.block_sent;
        match self.source() {
            Some(Source::Control(_)) => put(&self.control[self.control_sent..]),
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
        blocks.take(at_most).for_each(|block| put(block));
        used
    }

    /// The first `n` bytes that [`gather`](Self::gather) gave have been sent. `ends` as for
    /// [`advance_output`](Self::advance_output).
    pub fn advance(&mut self, mut n: usize, ends: bool) {
        if n as u64 == self.queued_bytes && self.blocks.len() == 1 && self.is_plain() {
            // The most common case: all of it left in one piece.
            self.empty_last_block();
            self.frames.clear();
            (self.block_sent, self.frame_sent, self.queued_bytes) = (0, 0, 0);
            return;
        }
        while n > 0 {
            let Some(source) = self.source() else { break };
            let step = n.min(self.bytes(source).len());
            self.advance_source(source, step, ends);
            n -= step;
        }
        // Only now: what was not in what was gathered must not be taken for sent. It fails only where there is no memory
        // or randomness to be had; the Ping then waits on.
        let _ = self.put_waiting_ping();
    }

    /// Nobody will take the bytes any more: drops them.
    pub fn discard(&mut self) {
        *self = Self::new(self.role);
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

    /// The block to write the next `len` bytes to: it has room for them and will not move.
    #[inline]
    fn room_in_block(&mut self, len: usize) -> Result<&mut Vec<u8>> {
        let (room, capacity) = match self.blocks.back() {
            Some(Block::Own(block)) => (block.capacity() - block.len(), block.capacity()),
            Some(Block::Shared(_)) | None => (0, 0),
        };
        if room < len || capacity == 0 {
            let ahead = (capacity * 2).max(*BLOCK.start());
            self.drop_empty_block();
            let mut block = Vec::new();
            block.try_reserve_exact(len.max(ahead.min(*BLOCK.end()))).map_err(|_| Error::NoMemory)?;
            self.blocks.push_back(Block::Own(block));
        }
        match self.blocks.back_mut() {
            Some(Block::Own(block)) => Ok(block),
            _ => Err(Error::NoMemory),
        }
    }

    /// With nothing queued there is one block at most, which is empty and would stand before all that comes. A Pong that is
    /// lent lies elsewhere.
    fn drop_empty_block(&mut self) {
        if self.frames.is_empty() && !matches!(self.lent, Some(Source::Block(_))) {
            self.blocks.clear();
        }
    }

    /// All of it has been sent.
    #[inline]
    fn empty_last_block(&mut self) {
        match self.blocks.back_mut() {
            Some(Block::Own(block)) => block.clear(),
            _ => self.blocks.clear(),
        }
    }

    /// Whether there are but data frames.
    fn is_plain(&self) -> bool {
        self.control.is_empty() && self.ping.is_none()
    }

    fn source(&self) -> Option<Source> {
        let at_boundary = self.frame_sent == 0;
        if self.control_sent > 0 || (at_boundary && !self.control.is_empty()) {
            // No more than a burst at once: the newest Pong behind it can still be replaced.
            return Some(Source::Control((self.control.len() - self.control_sent).min(BURST)));
        }
        let first = self.blocks.front()?;
        let frame = self.frames.front()?;
        let up_to =
            if self.control.is_empty() { first.len() - self.block_sent } else { frame - self.frame_sent };
        Some(Source::Block(up_to))
    }

    fn bytes(&self, source: Source) -> &[u8] {
        match source {
            Source::Control(len) => &self.control[self.control_sent..self.control_sent + len],
            Source::Block(len) => match self.blocks.front() {
                Some(first) => &first[self.block_sent..self.block_sent + len],
                None => &[],
            },
        }
    }

    fn advance_source(&mut self, source: Source, n: usize, ends: bool) {
        match source {
            Source::Control(_) => self.advance_control(n),
            Source::Block(_) => self.advance_block(n, ends),
        }
    }

    fn advance_control(&mut self, n: usize) {
        self.control_sent += n;
        // Whole frames that have left make room; at most one that has begun stays at the front.
        let mut left = 0;
        while left < self.control.len() && left + self.control_frame_len(left) <= self.control_sent {
            left += self.control_frame_len(left);
        }
        self.control.drain(..left);
        self.control_sent -= left;
    }

    fn advance_block(&mut self, n: usize, ends: bool) {
        self.queued_bytes -= n as u64;
        self.block_sent += n;
        self.frame_sent += n;
        while let Some(frame) = self.frames.front().copied().filter(|frame| *frame <= self.frame_sent) {
            self.frame_sent -= frame;
            self.frames.pop_front();
        }
        if ends && self.frames.is_empty() {
            // The Close has left: nothing may follow it.
            (self.control, self.control_sent) = (Vec::new(), 0);
        }
        if self.blocks.front().is_some_and(|first| first.len() == self.block_sent) {
            self.block_sent = 0;
            match self.blocks.len() {
                1 => self.empty_last_block(),
                _ => drop(self.blocks.pop_front()),
            }
        }
    }

    /// A Ping goes once no other control frame waits.
    fn put_waiting_ping(&mut self) -> Result<()> {
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

    fn key(&self) -> Result<Option<MaskKey>> {
        match self.role {
            Role::Client => MaskKey::random().map(Some),
            Role::Server => Ok(None),
        }
    }
}

/// Length of the next of so many bytes that are sent in pieces of about the same length.
#[inline]
fn piece_len(len: usize) -> usize {
    if len <= PIECE { len } else { len.div_ceil(len.div_ceil(PIECE)) }
}

/// Copies the bytes of a short message. A few of them without a call: 7 % of the time of sending 16.
#[inline(always)]
fn copy_short(target: &mut [u8], source: &[u8]) {
    let end = source.len();
    match (source.first_chunk::<16>(), source.last_chunk::<16>()) {
        (Some(first), Some(last)) if end <= 32 => {
            target[..16].copy_from_slice(first);
            target[end - 16..end].copy_from_slice(last);
        }
        _ => target[..end].copy_from_slice(source),
    }
}
