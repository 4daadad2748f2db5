//! Bytes to messages: takes frames out of the receive buffer, unmasks and validates them where they lie, and puts
//! fragmented messages together (RFC 6455 sections 5.4 to 5.6).
//!
//! A message that lies whole in the buffer is lent as a view of it, without a copy. Every other one is assembled in
//! a second buffer: the bytes of a long frame are received straight into that, those of a compressed message inflated
//! into it as they come. Text is validated piece by piece as it arrives. Knows nothing of the closing state, of answers, or of where bytes come from.

use crate::config::WebSocketConfig;
use crate::error::{CapacityError, Error, ProtocolError, Result};
use crate::message::{Kind, Role};
use crate::proto::buffer::{self, Buffer};
use crate::proto::deflate::{Inflated, Inflater};
use crate::proto::frame::{self, Header, Opcode, Rules};
use crate::proto::utf8::{self, InvalidUtf8, Utf8Stream};
use crate::simd::mask::{self, MaskKey};

/// From so many missing bytes on, a frame is received straight into the message.
const DIRECT: u64 = 4 << 10;
/// Where frames of one length follow one another, whole ones are received, as many as fit into this: more would not be in
/// the cache still when it is their turn (1.9 times the time for frames of 16 KiB).
const FRAMES: usize = 32 << 10;
/// The same where each receiving is a system call, which costs more than that: four of 16 KiB (0.8 times the time).
const FRAMES_OF_SOCKET: usize = 66 << 10;
/// No more memory is kept of a message for the next connection that needs some.
const REUSED: usize = 32 << 10;
/// Bounds of how much room for a message is made ahead of the bytes that arrive.
const AHEAD: std::ops::RangeInclusive<usize> = 16 << 10..=128 << 10;
/// A fragment of fewer bytes takes longer than they are worth.
const SHORT: u64 = 64;
/// So many compressed bytes that give nothing take as long as a frame that gives none: 16 ns a byte for empty blocks.
const BARREN: u32 = 4;
/// And so many that are kept for a message: 64 MiB are let in before the caller has a turn.
const KEPT: usize = 4 << 10;
/// Least room for what is inflated, and most of it that is handed out as one part.
const INFLATE: std::ops::RangeInclusive<usize> = 1 << 10..=64 << 10;
/// Room behind a message of the same length as the last one, so that it shows that it is over.
const SPARE: usize = 64;
/// Payloads are unmasked and validated in steps of this size, so that the second pass finds them in the cache: 0.95 times the
/// time of smaller ones, and of none, for a MiB.
const STEP: usize = 256 << 10;
/// What is masked is received in pieces of this size, so that each is in the cache still when it is unmasked: 0.8 to 0.9 times
/// the time for 16 MiB. Half of it is 1.1 times the time for 1 MiB, for memory is copied faster from a MiB on.
const PIECE: usize = 1 << 20;
/// The same where each receiving is a system call, which finds no more there (0.8 times the time for 8 MiB over TCP). Smaller
/// ones are more system calls (16 KiB: 1.5 times the time for 1 MiB). To validate text takes so much longer that pieces are
/// no help there.
const PIECE_OF_SOCKET: usize = 128 << 10;

/// Something that arrived whole, or a part of a message where parts are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// What it is.
    pub kind: Kind,
    /// False for a part of a message that goes on.
    pub is_final: bool,
    place: Place,
    start: usize,
    len: usize,
}

/// A text or binary message in the input buffer.
#[derive(Debug, Clone, Copy)]
pub struct WholeMessage {
    /// Text or binary.
    pub kind: Kind,
    start: usize,
    len: usize,
}

impl Received {
    /// Whether it lies in the input buffer, which the next message leaves alone.
    pub fn is_in_input(&self) -> bool {
        self.place == Place::Input
    }
}

impl From<WholeMessage> for Received {
    fn from(WholeMessage { kind, start, len }: WholeMessage) -> Self {
        Self { kind, is_final: true, place: Place::Input, start, len }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Input,
    Message,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Receiver {
    input: Buffer,
    message: Assembly,
    frame: Option<DataFrame>,
    /// What is wrong with the message, where that lies behind a part of it that has been handed out.
    fault: Option<Error>,
    /// Where permessage-deflate has been agreed on.
    inflater: Option<Box<Inflater>>,
    /// What has been lent and must stay where it is until the next call of [`Receiver::next`].
    lent: Option<Place>,
    /// The next byte begins a message, and nothing stands in its way that is shorter than this: see
    /// [`Receiver::next_simple`]. Zero where that is not known.
    simple_len: u32,
    /// Messages of [`Receiver::next_simple`] that count as not read: see [`Receiver::prefetch`].
    prefetched: Prefetched,
    /// Whether the room last given out was in the message instead of the input buffer.
    direct: bool,
    /// Length in bytes of the last frame, header included: see [`Receiver::long_frame`].
    last_frame: usize,
    /// How much is received when a frame begins, after a last one of that length.
    planned: (usize, usize),
    hidden: Hidden,
    /// Bytes of the stream before the frame at hand.
    frame_offset: u64,
    offset: u64,
}

/// Whole messages in the input buffer, one behind another, unmasked and found valid: their frames by their places. While
/// there are any, the buffer's bytes are lent, and stay where they are.
#[derive(Debug, Default, Clone, Copy)]
struct Prefetched {
    start: usize,
    end: usize,
}

/// A data frame of which a part is still to come.
#[derive(Debug, Clone, Copy)]
struct DataFrame {
    missing: u64,
    key: Option<MaskKey>,
    fin: bool,
    /// All of it, header included.
    total: u64,
    /// Compressed: how many bytes at the front of the input are unmasked already.
    unmasked: usize,
}

/// A message that is being put together. `bytes[..len]` is its payload so far; what follows is room, of which
/// `fresh` bytes have been received and are still masked.
#[derive(Debug, Default)]
struct Assembly {
    bytes: Vec<u8>,
    len: usize,
    fresh: usize,
    /// Where the room begins that was given out last: parts may be dropped before it is filled.
    room: usize,
    /// Length of the part that was delivered last and may be dropped now.
    delivered: usize,
    kind: Option<Kind>,
    compressed: bool,
    fragments: u32,
    /// How much of `len` was there when the caller had a turn last.
    seen: usize,
    /// Bytes of the whole message, delivered parts included.
    total: u64,
    text: Utf8Stream,
}

/// What has been taken since the last message, or part of one, without giving one.
#[derive(Debug, Default)]
struct Hidden {
    /// Data frames with little or nothing in them.
    frames: u32,
    /// Compressed bytes that gave nothing: empty blocks, and headers of others.
    barren: u32,
}

impl Receiver {
    /// A receiver that has received `part` already.
    pub fn with_received(part: Vec<u8>) -> Self {
        Self { input: Buffer::with_received(part), ..Self::default() }
    }

    /// A receiver of messages, so many bytes into the stream.
    pub fn at(offset: u64, config: &WebSocketConfig) -> Self {
        Self { offset, simple_len: simple_len_of(config), ..Self::default() }
    }

    /// Length in bytes of the last frame, header included, as far as 32 bits tell: the next is likely to have the same.
    pub fn last_frame(&self) -> u32 {
        u32::try_from(self.last_frame).unwrap_or(u32::MAX)
    }

    /// Bytes of the stream that have been looked at.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether there is nothing in it but memory.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.input.filled().is_empty()
            && self.lent.is_none()
            && self.frame.is_none()
            && self.message.kind.is_none()
            && self.fault.is_none()
    }

    /// Goes on with another stream, so many bytes into it, and keeps the memory where that is not much. Only where
    /// [`is_empty`](Self::is_empty), and, where the configuration is another one, after [`end_simple`](Self::end_simple).
    /// A field that is added has to be thought of.
    #[inline]
    pub fn reuse(&mut self, new_offset: u64, new_last_frame: u32, config: &WebSocketConfig) {
        let Self {
            input,
            message,
            direct,
            last_frame,
            planned,
            frame_offset,
            offset,
            simple_len,
            hidden,
            prefetched,
            // Nothing, or it would not be empty.
            frame: _,
            fault: _,
            lent: _,
            // The new stream's, or none.
            inflater: _,
        } = self;
        input.reuse();
        message.reuse();
        (*direct, *last_frame, *planned) = (false, new_last_frame as usize, (0, 0));
        (*frame_offset, *offset, *hidden) = (new_offset, new_offset, Hidden::default());
        *prefetched = Prefetched::default();
        if *simple_len == 0 {
            *simple_len = simple_len_of(config);
        }
    }

    /// Whether nothing has arrived of the next message, and nothing stands in its way; what was lent is then not looked at
    /// any more. What [`next`](Self::next) would find out, where there is no more to it.
    #[inline]
    pub fn begin_message(&mut self) -> bool {
        let begins = self.simple_len > 0 && self.input.filled().is_empty();
        if begins {
            self.lent = None;
        }
        begins
    }

    /// From now on messages may be compressed.
    pub fn inflate_with(&mut self, inflater: Box<Inflater>) {
        self.inflater = Some(inflater);
    }

    /// The inflater, where messages may be compressed: for a connection that is parked.
    pub fn take_inflater(&mut self) -> Option<Box<Inflater>> {
        self.inflater.take()
    }

    /// Room to receive into; empty only while a lent view is in the way or whole messages wait to be read.
    #[inline]
    pub fn space(&mut self, role: Role, is_socket: bool) -> Result<&mut [u8]> {
        if self.frame.is_none() && self.lent.is_none() && self.input.filled().is_empty() {
            // A frame begins, and nothing is known of it, or how much to receive: a quarter of the instructions.
            self.direct = false;
            if self.long_frame() == 0 {
                return self.input.space_anew();
            }
            if self.planned.0 == self.last_frame {
                return self.input.space_of(self.planned.1);
            }
        }
        self.space_for_rest(role, is_socket)
    }

    fn space_for_rest(&mut self, role: Role, is_socket: bool) -> Result<&mut [u8]> {
        let frames = if is_socket { FRAMES_OF_SOCKET } else { FRAMES };
        let free =
            self.lent != Some(Place::Message) && self.input.filled().is_empty() && !self.message.compressed;
        match self.frame {
            Some(frame) if free && frame.missing - self.message.fresh as u64 >= DIRECT => {
                self.direct = true;
                let (is_masked, is_text) = (frame.key.is_some(), self.message.kind == Some(Kind::Text));
                let piece = match is_socket {
                    true if is_masked && !is_text => PIECE_OF_SOCKET,
                    false if is_masked => PIECE,
                    _ => usize::MAX,
                };
                self.message.space(frame.missing, piece)
            }
            _ => {
                self.direct = false;
                let begins_frame = self.input.filled().is_empty();
                let (least, most) = match self.long_frame() {
                    0 => (0, usize::MAX),
                    long @ ..=buffer::LARGEST => (long, (frames / long).max(1) * long),
                    // Its beginning is enough: the rest will be received straight into the message. Of a socket a
                    // little more than the header, in case that short ones follow: a call costs more than a copy of it.
                    _ if is_socket => (0, buffer::SMALLEST),
                    _ => (0, frame::longest_header(role)),
                };
                let most = if begins_frame { most } else { usize::MAX };
                let is_free = self.lent != Some(Place::Input);
                let room = self.input.space(is_free, least, most)?;
                if begins_frame && is_free && room.len() == most {
                    self.planned = (self.last_frame, most);
                }
                Ok(room)
            }
        }
    }

    /// Room for an HTTP head of `max` bytes at most, which is parsed whole; empty once so much has arrived.
    pub fn space_for_head(&mut self, max: usize) -> Result<&mut [u8]> {
        self.direct = false;
        let left = max.saturating_sub(self.input.filled().len());
        let space = self.input.space_for_whole(left > 0)?;
        let len = space.len().min(left);
        Ok(&mut space[..len])
    }

    /// The first `n` bytes of the room last given out have been received.
    #[inline]
    pub fn commit(&mut self, n: usize) {
        if self.direct { self.message.commit(n) } else { self.input.commit(n) }
    }

    /// What has been received and not been looked at.
    pub fn buffered(&self) -> &[u8] {
        self.input.filled()
    }

    /// Drops bytes from the front of [`buffered`](Self::buffered): the HTTP head.
    pub fn skip(&mut self, n: usize) {
        self.input.consume(n);
        self.offset += n as u64;
    }

    /// How much has been taken since the last message without giving one, in frames that cost about as much.
    pub fn hidden_frames(&self, is_socket: bool) -> u64 {
        // Where it is not a socket it may be one that blocks: whoever waits for a long message is not to be disturbed.
        let kept = if is_socket { self.message.len.saturating_sub(self.message.seen) / KEPT } else { 0 };
        u64::from(self.hidden.frames) + u64::from(self.hidden.barren / BARREN) + kept as u64
    }

    /// The caller has had a turn.
    pub fn forget_hidden(&mut self) {
        self.hidden = Hidden::default();
        self.message.seen = self.message.len;
    }

    /// Drops everything that has arrived: nothing after a Close or a broken rule is looked at. The memory stays, for
    /// somebody may be receiving into it or looking at what was lent.
    pub fn discard(&mut self) {
        self.end_simple();
        self.frame = None;
        self.fault = None;
        self.hidden = Hidden::default();
        self.prefetched = Prefetched::default();
        self.message.clear();
        self.skip(self.input.filled().len());
    }

    /// What was lent is not looked at any more.
    pub fn end_loan(&mut self) {
        self.lent = None;
    }

    /// Gives back the memory that nothing lies in.
    pub fn release(&mut self) {
        if self.lent.is_none() {
            self.input.release();
            if self.message.kind.is_none() {
                self.message.bytes = Vec::new();
            }
        }
    }

    /// Whether bytes of an unfinished frame or message have arrived.
    pub fn is_mid_message(&self) -> bool {
        self.frame.is_some() || self.message.kind.is_some() || !self.input.filled().is_empty()
    }

    /// Bytes of the stream, counted from its first, before the frame that was looked at last.
    pub fn frame_offset(&self) -> u64 {
        self.frame_offset
    }

    /// The payload of what [`next`](Self::next) returned last; there until it is called again.
    #[inline]
    pub fn payload(&self, received: &Received) -> &[u8] {
        match received.place {
            Place::Input => self.input.at(received.start, received.len),
            Place::Message => &self.message.bytes[received.start..received.start + received.len],
        }
    }

    /// Takes the next message, part or control frame out of what has arrived; `None`: more bytes are needed.
    /// After an error only [`discard`](Self::discard) makes sense.
    pub fn next(&mut self, role: Role, config: &WebSocketConfig) -> Result<Option<Received>> {
        if self.has_prefetched() {
            return Ok(self.next_prefetched(role, config)?.map(Received::from));
        }
        self.end_simple();
        if self.lent.take() == Some(Place::Message) {
            self.message.drop_delivered();
        }
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let received = self.next_of_any_kind(role, config);
        let between = self.frame.is_none() && self.message.kind.is_none();
        if received.is_ok() && between && self.lent != Some(Place::Message) {
            self.simple_len = simple_len_of(config);
        }
        received
    }

    fn next_of_any_kind(&mut self, role: Role, config: &WebSocketConfig) -> Result<Option<Received>> {
        loop {
            if self.frame.is_some() {
                let received = match self.message.compressed {
                    true => self.continue_compressed(config)?,
                    false => self.continue_frame(config)?,
                };
                match received {
                    Some(received) => return Ok(Some(received)),
                    None if self.frame.is_some() => return Ok(None),
                    None => {}
                }
            }
            self.frame_offset = self.offset;
            let compression = self.inflater.is_some();
            let rules = Rules { role, accept_unmasked: config.accept_unmasked_frames, compression };
            let parsed = frame::parse(self.input.filled(), rules)?;
            let Some((header, header_len)) = parsed else { return Ok(None) };
            match header.opcode {
                Opcode::Kind(kind) if kind.is_control() => {
                    return Ok(self.take_control(kind, &header, header_len));
                }
                _ => {}
            }
            self.check_data(&header, config)?;
            let whole = header.len <= (self.input.filled().len() - header_len) as u64;
            match header.opcode {
                Opcode::Kind(kind) if header.fin && whole && !header.compressed => {
                    match self.lend_whole(kind, &header, header_len) {
                        // What is good of it is a part.
                        Err(_) if config.deliver_fragments => self.message.begin(kind, false),
                        lent => return lent.map(Some),
                    }
                }
                Opcode::Kind(kind) => self.message.begin(kind, header.compressed),
                Opcode::Continuation => {}
            }
            self.message.fragments += 1;
            if header.len < SHORT {
                self.hidden.frames += 1;
            }
            if !self.message.compressed {
                self.message.total += header.len;
            }
            self.consume(header_len);
            let (missing, key, fin) = (header.len, header.mask, header.fin);
            let total = header.len.saturating_add(header_len as u64);
            self.frame = Some(DataFrame { missing, key, fin, total, unmasked: 0 });
        }
    }

    /// The common case by itself: a text or binary message in one frame that has arrived whole, masked as it should be,
    /// within the limits. Everything else is not for here, and `None`: [`next`](Self::next) takes it.
    #[inline(always)]
    pub fn next_simple(&mut self, role: Role) -> Option<WholeMessage> {
        match role {
            Role::Server => self.next_simple_for(Role::Server),
            Role::Client => self.next_simple_for(Role::Client),
        }
    }

    /// Made once for each role, which saves a tenth of the instructions of a short message.
    #[inline(always)]
    fn next_simple_for(&mut self, role: Role) -> Option<WholeMessage> {
        let frame = self.input.filled_mut();
        let [first, second] = *frame.first_chunk()?;
        let kind = match first {
            0x81 => Kind::Text,
            0x82 => Kind::Binary,
            _ => return None,
        };
        // With the mask bit the role asks for, this is the length; without, it is over 127.
        let (bit, key_len) = match role {
            Role::Server => (0x80, 4),
            Role::Client => (0, 0),
        };
        let (len, header_len) = match second ^ bit {
            short @ ..126 => (usize::from(short), 2 + key_len),
            126 => {
                let len = u16::from_be_bytes(*frame.get(2..)?.first_chunk()?);
                (Some(usize::from(len)).filter(|len| *len >= 126)?, 4 + key_len)
            }
            127 => {
                let len = usize::try_from(u64::from_be_bytes(*frame.get(2..)?.first_chunk()?)).ok()?;
                (Some(len).filter(|len| *len > 0xffff)?, 10 + key_len)
            }
            _ => return None,
        };
        if len >= self.simple_len as usize {
            return None;
        }
        let (header, payload) = frame.get_mut(..header_len + len)?.split_at_mut(header_len);
        let ascii = match role {
            Role::Server => !mask::apply(payload, MaskKey::from(*header.last_chunk()?)),
            Role::Client => false,
        };
        if kind == Kind::Text && !ascii && !is_text(payload) {
            if role == Role::Server {
                // Back to how it was, for who can say where the fault is.
                mask::apply(payload, MaskKey::from(*header.last_chunk()?));
            }
            return None;
        }
        let start = self.input.position() + header_len;
        self.consume(header_len + len);
        self.lent = Some(Place::Input);
        self.ended((header_len + len) as u64);
        Some(WholeMessage { kind, start, len })
    }

    /// Where in the input the next message begins.
    #[inline]
    pub fn input_position(&self) -> usize {
        match self.has_prefetched() {
            true => self.prefetched.start,
            false => self.input.position(),
        }
    }

    /// The messages that were taken from this position of the input on count as not read: they are the next ones. Where they
    /// are handed out otherwise, [`drop_prefetched`](Self::drop_prefetched) says so.
    #[inline]
    pub fn prefetch(&mut self, start: usize) {
        debug_assert!(self.lent == Some(Place::Input));
        self.prefetched = Prefetched { start, end: self.input.position() };
    }

    /// Whether messages have been prefetched that are not read yet.
    #[inline]
    pub fn has_prefetched(&self) -> bool {
        self.prefetched.start < self.prefetched.end
    }

    /// Whether they may be handed out just as they are: nothing has changed by which they were found good.
    #[inline]
    pub fn is_prefetch_valid(&self) -> bool {
        self.has_prefetched() && self.simple_len > 0
    }

    /// They have all been handed out.
    #[inline]
    pub fn end_prefetch(&mut self) {
        self.prefetched = Prefetched::default();
    }

    /// The first `count` of them have been handed out; the others are the next messages.
    #[cold]
    pub fn drop_prefetched(&mut self, count: u16, role: Role) {
        for _ in 0..count {
            if let Some(message) = self.first_prefetched(role) {
                self.prefetched.start = message.start + message.len;
            }
        }
        // What follows is not to overtake them.
        self.end_simple();
    }

    /// The next of them, where the configuration still allows it.
    #[cold]
    pub fn next_prefetched(&mut self, role: Role, config: &WebSocketConfig) -> Result<Option<WholeMessage>> {
        let Prefetched { start, end } = self.prefetched;
        let Some(message) = self.first_prefetched(role) else { return Ok(None) };
        self.frame_offset = self.offset - (self.input.position() - start) as u64;
        let opcode = Opcode::Kind(message.kind);
        let header = Header { fin: true, compressed: false, opcode, mask: None, len: message.len as u64 };
        self.check_data(&header, config)?;
        self.prefetched.start = message.start + message.len;
        if self.prefetched.start == end {
            self.simple_len = simple_len_of(config);
        }
        Ok(Some(message))
    }

    /// Their headers are as they came.
    fn first_prefetched(&self, role: Role) -> Option<WholeMessage> {
        let Prefetched { start, end } = self.prefetched;
        let rules = Rules { role, accept_unmasked: false, compression: false };
        let frame = self.input.at(start, end.checked_sub(start)?);
        match frame::parse(frame, rules) {
            Ok(Some((Header { opcode: Opcode::Kind(kind), len, .. }, header_len))) => {
                Some(WholeMessage { kind, start: start + header_len, len: len as usize })
            }
            _ => None,
        }
    }

    /// What was known of the next message does not hold any more; [`next`](Self::next) finds out again.
    pub fn end_simple(&mut self) {
        self.simple_len = 0;
    }

    /// The payload of what [`next_simple`](Self::next_simple) returned last.
    #[inline(always)]
    pub fn simple_payload(&self, simple: WholeMessage) -> &[u8] {
        self.input.at(simple.start, simple.len)
    }

    fn take_control(&mut self, kind: Kind, header: &Header, header_len: usize) -> Option<Received> {
        let len = header.len as usize; // at most 125
        let payload = self.input.filled_mut()[header_len..].get_mut(..len)?;
        if let Some(key) = header.mask {
            mask::apply(payload, key);
        }
        self.consume(header_len);
        let start = self.input.position();
        self.consume(len);
        self.lent = Some(Place::Input);
        Some(Received { kind, is_final: true, place: Place::Input, start, len })
    }

    /// The rules between this data frame and those before it, and the limits, before a byte of payload is taken.
    #[inline]
    fn check_data(&self, header: &Header, config: &WebSocketConfig) -> Result<()> {
        match (header.opcode, self.message.kind) {
            (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation.into()),
            (Opcode::Kind(_), Some(_)) => return Err(ProtocolError::ExpectedContinuation.into()),
            _ => {}
        }
        if let Some(max) = config.max_frame_size.map(|max| max as u64).filter(|max| header.len > *max) {
            return Err(CapacityError::FrameTooLong { size: header.len, max }.into());
        }
        if !header.compressed && !self.message.compressed {
            check_total(self.message.total.saturating_add(header.len), config)?;
        }
        if let Some(max) = config.max_fragments.map(|max| max as u64)
            && u64::from(self.message.fragments) >= max
        {
            return Err(CapacityError::TooManyFragments { max }.into());
        }
        Ok(())
    }

    /// A message in one frame that has arrived whole: unmasked, validated and lent where it lies.
    #[inline]
    fn lend_whole(&mut self, kind: Kind, header: &Header, header_len: usize) -> Result<Received> {
        let len = header.len as usize;
        let payload = &mut self.input.filled_mut()[header_len..header_len + len];
        let mut text = Utf8Stream::default();
        let is_text = kind == Kind::Text;
        if take_piece(payload, header.mask, is_text.then_some(&mut text))
            .and_then(|()| text.finish())
            .is_err()
        {
            if let Some(key) = header.mask {
                // Back to how it was.
                mask::apply(payload, key);
            }
            return Err(Error::Utf8);
        }
        self.consume(header_len);
        let start = self.input.position();
        self.consume(len);
        self.lent = Some(Place::Input);
        self.ended((header_len + len) as u64);
        Ok(Received { kind, is_final: true, place: Place::Input, start, len })
    }

    /// Takes what has arrived of the frame at hand into the message.
    fn continue_frame(&mut self, config: &WebSocketConfig) -> Result<Option<Received>> {
        let Some(mut frame) = self.frame else { return Ok(None) };
        let message = &mut self.message;
        let mut taken = message.fresh;
        if taken == 0 {
            let arrived = self.input.filled();
            taken =
                usize::try_from(frame.missing).map_or(arrived.len(), |missing| missing.min(arrived.len()));
            message.append(&arrived[..taken])?;
            self.input.consume(taken);
        }
        if let Err(fault) = message.take_fresh(frame.key) {
            return self.deliver_good(fault, config);
        }
        self.offset += taken as u64;
        frame.missing -= taken as u64;
        frame.key = frame.key.map(|key| key.advanced(taken));
        let ended = frame.missing == 0;
        self.frame = (!ended).then_some(frame);
        if ended {
            self.ended(frame.total);
        }
        // Room lent for the rest of the frame may have been followed by bytes in the input buffer.
        if !ended && !self.input.filled().is_empty() {
            return self.continue_frame(config);
        }
        self.deliver(ended && frame.fin, config)
    }

    /// Inflates what has arrived of the frame at hand into the message. The limit holds while it does; where parts are
    /// delivered, it stops at each. What was inflated before it became corrupt counts: it comes first, however it was cut.
    fn continue_compressed(&mut self, config: &WebSocketConfig) -> Result<Option<Received>> {
        let (Some(mut frame), Some(inflater)) = (self.frame, &mut self.inflater) else { return Ok(None) };
        let message = &mut self.message;
        loop {
            let arrived = self.input.filled_mut();
            let available = usize::try_from(frame.missing).map_or(arrived.len(), |m| m.min(arrived.len()));
            if let Some(key) = frame.key {
                mask::apply(&mut arrived[frame.unmasked..available], key);
                frame.key = Some(key.advanced(available - frame.unmasked));
            }
            frame.unmasked = available;
            let source = &arrived[..available];
            if source.is_empty() && inflater.is_drained() {
                break;
            }
            let has_source = !source.is_empty();
            let Inflated { used, written, result } =
                inflater.inflate(source, message.inflate_room(inflater.last_len(), config)?);
            self.input.consume(used);
            self.offset += used as u64;
            frame.missing -= used as u64;
            frame.unmasked -= used;
            // No byte takes more than 15 bits, but for headers: where more is used than that, there is nothing in it.
            // One step uses no more than the buffer has, and gives no more than a part.
            self.hidden.barren =
                self.hidden.barren.saturating_add(used as u32).saturating_sub(2 * written as u32);
            message.fresh = written;
            let is_stuck = has_source && used == 0 && written == 0;
            let result = message
                .take_fresh(None)
                .and_then(|()| {
                    message.total += written as u64;
                    check_total(message.total, config)
                })
                .and(result)
                .and(if is_stuck { Err(ProtocolError::CorruptDeflate.into()) } else { Ok(()) });
            if let Err(fault) = result {
                return self.deliver_good(fault, config);
            }
            if config.deliver_fragments && message.len >= *INFLATE.end() {
                self.frame = Some(frame);
                return self.deliver(false, config);
            }
        }
        let ended = frame.missing == 0;
        if ended
            && frame.fin
            && let Err(fault) = inflater.finish(message.total)
        {
            return self.deliver_good(fault, config);
        }
        self.frame = (!ended).then_some(frame);
        self.deliver(ended && frame.fin, config)
    }

    /// Hands out the message, or what there is of it where parts are delivered.
    fn deliver(&mut self, is_final: bool, config: &WebSocketConfig) -> Result<Option<Received>> {
        let Some(kind) = self.message.kind else { return Ok(None) };
        if is_final && self.message.text.incomplete() > 0 {
            return self.deliver_good(Error::Utf8, config);
        }
        let len = self.message.len - self.message.text.incomplete();
        let is_part = config.deliver_fragments && len > 0;
        if !is_final && !is_part {
            return Ok(None);
        }
        self.message.delivered = len;
        self.lent = Some(Place::Message);
        self.hidden = Hidden::default();
        if is_final {
            self.message.kind = None;
            self.message.compressed = false;
        }
        Ok(Some(Received { kind, is_final, place: Place::Message, start: 0, len }))
    }

    /// The message cannot go on. Where parts are delivered, what is good of it is one more, and the fault comes next: how much
    /// is delivered does not depend on how it was cut.
    #[cold]
    fn deliver_good(&mut self, fault: Error, config: &WebSocketConfig) -> Result<Option<Received>> {
        let len = if config.deliver_fragments { self.message.good(config) } else { 0 };
        match self.message.kind {
            Some(kind) if len > 0 => {
                self.fault = Some(fault);
                self.lent = Some(Place::Message);
                Ok(Some(Received { kind, is_final: false, place: Place::Message, start: 0, len }))
            }
            _ => Err(fault),
        }
    }

    /// Length in bytes of the last frame, header included, if it was a long one: the next is likely to have the same.
    /// Received as a whole, it is lent from where it lies; anything more would have to be moved.
    #[inline(always)]
    fn long_frame(&self) -> usize {
        if self.last_frame as u64 > DIRECT { self.last_frame } else { 0 }
    }

    /// A frame of this length has arrived whole.
    #[inline(always)]
    fn ended(&mut self, total: u64) {
        self.last_frame = usize::try_from(total).unwrap_or(usize::MAX);
    }

    #[inline]
    fn consume(&mut self, n: usize) {
        self.input.consume(n);
        self.offset += n as u64;
    }
}

/// Not inlined: the common case keeps its registers.
#[inline(never)]
fn is_text(payload: &[u8]) -> bool {
    utf8::is_valid(payload)
}

/// Which messages are short enough for [`Receiver::next_simple`]: those shorter than this.
fn simple_len_of(config: &WebSocketConfig) -> u32 {
    let limit = |limit: Option<usize>| limit.unwrap_or(usize::MAX);
    let longest = limit(config.max_frame_size).min(limit(config.max_message_size)).min(buffer::LARGEST);
    if config.max_fragments == Some(0) { 0 } else { longest as u32 + 1 }
}

impl Assembly {
    fn begin(&mut self, kind: Kind, compressed: bool) {
        self.clear();
        self.kind = Some(kind);
        self.compressed = compressed;
    }

    fn clear(&mut self) {
        *self = Self { bytes: std::mem::take(&mut self.bytes), ..Self::default() };
    }

    /// Nothing of a message is left but memory, where that is not much.
    #[inline]
    fn reuse(&mut self) {
        // Most have received no message that had to be put together.
        if !self.bytes.is_empty() {
            self.clear();
            if self.bytes.capacity() > REUSED {
                self.bytes = Vec::new();
            }
        }
    }

    /// What was delivered is dropped; up to three bytes of an incomplete character stay, and what was received since.
    fn drop_delivered(&mut self) {
        let delivered = std::mem::take(&mut self.delivered);
        self.bytes.copy_within(delivered..self.len + self.fresh, 0);
        self.len -= delivered;
        if self.kind.is_none() {
            (self.fragments, self.total) = (0, 0);
        }
    }

    /// Room for the next bytes of a frame of which `missing` are to come: grows with what has arrived, never by
    /// what was declared.
    fn space(&mut self, missing: u64, piece: usize) -> Result<&mut [u8]> {
        let used = self.len + self.fresh;
        let missing = (missing - self.fresh as u64).min(piece as u64);
        let wanted = used.clamp(*AHEAD.start(), *AHEAD.end());
        let wanted = usize::try_from(missing).map_or(wanted, |missing| missing.min(wanted));
        self.reserve(wanted)?;
        // What is missing may end where there are no addresses any more.
        let end = (self.bytes.len() as u64).min(used as u64 + missing) as usize;
        self.room = used;
        Ok(&mut self.bytes[used..end])
    }

    /// The first `n` bytes of the room last given out have been received.
    fn commit(&mut self, n: usize) {
        if self.room != self.len + self.fresh {
            self.catch_up(n);
        }
        self.fresh += n;
    }

    /// Parts before the room have been dropped meanwhile.
    #[cold]
    fn catch_up(&mut self, n: usize) {
        self.bytes.copy_within(self.room..self.room + n, self.len + self.fresh);
    }

    /// Room to inflate into, at first for a message as long as the last one: never more than a byte over the limit.
    fn inflate_room(&mut self, last: usize, config: &WebSocketConfig) -> Result<&mut [u8]> {
        if self.bytes.len() - self.len < *INFLATE.start() {
            let more = self.len.max(last.saturating_add(SPARE).saturating_sub(self.len));
            self.reserve(more.clamp(*INFLATE.start(), *INFLATE.end()))?;
        }
        let left = max_total(config).saturating_sub(self.total).saturating_add(1);
        let room = (self.bytes.len() - self.len).min(*INFLATE.end());
        let room = usize::try_from(left).map_or(room, |left| left.min(room));
        Ok(&mut self.bytes[self.len..self.len + room])
    }

    fn append(&mut self, piece: &[u8]) -> Result<()> {
        self.reserve(piece.len())?;
        let used = self.len + self.fresh;
        self.bytes[used..used + piece.len()].copy_from_slice(piece);
        self.fresh += piece.len();
        Ok(())
    }

    fn reserve(&mut self, more: usize) -> Result<()> {
        let needed = self.len + self.fresh + more;
        if needed > self.bytes.len() {
            self.bytes.try_reserve(needed - self.bytes.len()).map_err(|_| Error::NoMemory)?;
            self.bytes.resize(needed, 0);
        }
        Ok(())
    }

    /// How much of it is valid and within the limit.
    fn good(&self, config: &WebSocketConfig) -> usize {
        let over = if self.compressed { self.total.saturating_sub(max_total(config)) } else { 0 };
        let len = (self.len + self.fresh).saturating_sub(usize::try_from(over).unwrap_or(usize::MAX));
        match self.kind {
            Some(Kind::Text) => match std::str::from_utf8(&self.bytes[..len]) {
                Ok(_) => len,
                Err(error) => error.valid_up_to(),
            },
            _ => len,
        }
    }

    /// The fresh bytes become payload.
    fn take_fresh(&mut self, key: Option<MaskKey>) -> Result<()> {
        let piece = &mut self.bytes[self.len..self.len + self.fresh];
        let is_text = self.kind == Some(Kind::Text);
        take_piece(piece, key, is_text.then_some(&mut self.text)).map_err(|_| Error::Utf8)?;
        self.len += std::mem::take(&mut self.fresh);
        Ok(())
    }
}

/// What a message may come to: where it is handed out in parts, more than memory can hold.
fn max_total(config: &WebSocketConfig) -> u64 {
    let addressable = if config.deliver_fragments { u64::MAX } else { isize::MAX as u64 };
    config.max_message_size.map_or(addressable, |max| max as u64)
}

fn check_total(size: u64, config: &WebSocketConfig) -> Result<()> {
    let max = max_total(config);
    if size > max { Err(CapacityError::MessageTooLong { size, max }.into()) } else { Ok(()) }
}

/// Unmasks and validates a piece of payload where it lies, in steps that stay in the cache. All of it is unmasked, valid or
/// not.
#[inline]
fn take_piece(
    payload: &mut [u8],
    key: Option<MaskKey>,
    mut text: Option<&mut Utf8Stream>,
) -> Result<(), InvalidUtf8> {
    let mut invalid = false;
    let has_two_passes = text.is_some() && key.is_some();
    let step = if has_two_passes { STEP } else { usize::MAX };
    for step in payload.chunks_mut(step) {
        // STEP is a multiple of the key's length: the key needs no turning.
        let ascii = match key {
            Some(key) => !mask::apply(step, key),
            None => text.is_some() && utf8::is_short_ascii(step),
        };
        let taken = match &mut text {
            Some(text) if ascii => text.push_ascii(step),
            Some(text) => text.push(step),
            None => Ok(()),
        };
        if taken.is_err() {
            // What is wrong is known; the rest is unmasked without a look at it.
            (text, invalid) = (None, true);
        }
    }
    if invalid { Err(InvalidUtf8) } else { Ok(()) }
}
