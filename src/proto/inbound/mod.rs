//! Bytes to messages: takes frames out of the receive buffer, unmasks and validates them where they lie, and puts
//! fragmented messages together (RFC 6455 sections 5.4 to 5.6).
//!
//! A message that lies whole in the buffer is lent as a view of it, without a copy. Every other one is assembled in
//! a second buffer: the bytes of a long frame are received straight into that, those of a compressed message inflated
//! into it as they come. Text is validated piece by piece as it arrives. Knows nothing of the phase of a connection, of
//! answers, or of where bytes come from.
//!
//! | file | knows |
//! | --- | --- |
//! | `whole` | the common case by itself, and messages that were prefetched |
//! | `data` | data frames: the rules between them, and their payload |
//! | `assembly` | a message that is being put together |
//! | `inflate` | compressed frames |
//! | `room` | how much to receive at once, and where to |
//! | `buffer` | the receive buffer |

mod assembly;
mod buffer;
mod data;
mod inflate;
mod room;
mod whole;

pub(crate) use self::whole::WholeMessage;

use self::assembly::Assembly;
use self::buffer::Buffer;
use self::whole::{Prefetched, whole_len_of};
use crate::config::WebSocketConfig;
use crate::error::{Error, Result};
use crate::message::{Kind, Role};
use crate::proto::deflate::Inflater;
use crate::proto::frame::{self, Header, Opcode, Rules};
use crate::proto::sizing::{BARREN, KEPT, REUSED, SHORT_FRAGMENT};
use crate::simd::mask::{self, MaskKey};

/// Something that arrived whole, or a part of a message where parts are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// What it is.
    pub kind: Kind,
    /// False for a part of a message that goes on.
    pub is_final: bool,
    place: Place,
    start: usize,
    pub(super) len: usize,
}

impl Received {
    /// Whether it lies in the input buffer, which the next message leaves alone.
    pub fn is_in_input(&self) -> bool {
        self.place == Place::Input
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Input,
    Message,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
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
    /// [`Receiver::next_whole`]. Zero where that is not known.
    whole_len: u32,
    /// Messages of [`Receiver::next_whole`] that count as not read: see [`Receiver::prefetch`].
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

/// A data frame of which a part is still to come.
#[derive(Debug, Clone, Copy)]
struct DataFrame {
    missing: u64,
    key: Option<MaskKey>,
    fin: bool,
    /// All of it, header included.
    pub(super) total: u64,
    /// Compressed: how many bytes at the front of the input are unmasked already.
    unmasked: usize,
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
    pub(crate) fn with_received(part: Vec<u8>) -> Self {
        Self { input: Buffer::with_received(part), ..Self::default() }
    }

    /// Length in bytes of the last frame, header included, as far as 32 bits tell: the next is likely to have the same.
    pub(crate) fn last_frame(&self) -> u32 {
        u32::try_from(self.last_frame).unwrap_or(u32::MAX)
    }

    /// Bytes of the stream that have been looked at.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether there is nothing in it but memory.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.input.filled().is_empty()
            && self.lent.is_none()
            && self.frame.is_none()
            && self.message.kind.is_none()
            && self.fault.is_none()
    }

    /// Keeps of its memory what another stream may have next, where that is not much. Only where [`is_empty`](Self::is_empty);
    /// then only [`reuse`](Self::reuse) makes sense.
    #[inline]
    pub(crate) fn trim(&mut self) {
        self.input.reuse();
        self.message.reuse();
    }

    /// Goes on with another stream, so many bytes into it, in the memory that was [kept](Self::trim). Where the configuration is
    /// another one, after [`forget_whole_len`](Self::forget_whole_len). A field that is added has to be thought of.
    #[inline]
    pub(crate) fn reuse(&mut self, new_offset: u64, new_last_frame: u32, config: &WebSocketConfig) {
        let Self {
            direct,
            last_frame,
            planned,
            frame_offset,
            offset,
            whole_len,
            hidden,
            prefetched,
            // As new.
            input: _,
            message: _,
            // Nothing, or it would not be empty.
            frame: _,
            fault: _,
            lent: _,
            // The new stream's, or none.
            inflater: _,
        } = self;
        (*direct, *last_frame, *planned) = (false, new_last_frame as usize, (0, 0));
        (*frame_offset, *offset, *hidden) = (new_offset, new_offset, Hidden::default());
        *prefetched = Prefetched::default();
        if *whole_len == 0 {
            *whole_len = whole_len_of(config);
        }
    }

    /// From now on messages may be compressed.
    pub(crate) fn inflate_with(&mut self, inflater: Box<Inflater>) {
        self.inflater = Some(inflater);
    }

    /// The inflater, where messages may be compressed: for a connection that is parked.
    pub(crate) fn take_inflater(&mut self) -> Option<Box<Inflater>> {
        self.inflater.take()
    }

    /// The first `n` bytes of the room last given out have been received.
    #[inline]
    pub(crate) fn commit(&mut self, n: usize) {
        if self.direct { self.message.commit(n) } else { self.input.commit(n) }
    }

    /// What has been received and not been looked at.
    pub(crate) fn buffered(&self) -> &[u8] {
        self.input.filled()
    }

    /// Drops bytes from the front of [`buffered`](Self::buffered): the HTTP head.
    pub(crate) fn skip(&mut self, n: usize) {
        self.input.consume(n);
        self.offset += n as u64;
    }

    /// How much has been taken since the last message without giving one, in frames that cost about as much.
    pub(crate) fn hidden_frames(&self, is_socket: bool) -> u64 {
        // Where it is not a socket it may be one that blocks: whoever waits for a long message is not to be disturbed.
        let kept = if is_socket { self.message.len.saturating_sub(self.message.seen) / KEPT } else { 0 };
        u64::from(self.hidden.frames) + u64::from(self.hidden.barren / BARREN) + kept as u64
    }

    /// The caller has had a turn.
    pub(crate) fn forget_hidden(&mut self) {
        self.hidden = Hidden::default();
        self.message.seen = self.message.len;
    }

    /// Drops everything that has arrived: nothing after a Close or a broken rule is looked at. The memory stays, for
    /// somebody may be receiving into it or looking at what was lent.
    pub(crate) fn discard(&mut self) {
        self.forget_whole_len();
        self.frame = None;
        self.fault = None;
        self.hidden = Hidden::default();
        self.prefetched = Prefetched::default();
        self.message.clear();
        self.skip(self.input.filled().len());
    }

    /// What was lent is not looked at any more.
    pub(crate) fn end_loan(&mut self) {
        self.lent = None;
    }

    /// What was lent from the input stays lent, whatever was looked for behind it.
    pub(crate) fn keep_loan(&mut self) {
        self.lent = self.lent.or(Some(Place::Input));
    }

    /// Gives back the memory that nothing lies in.
    pub(crate) fn release(&mut self) {
        if self.lent.is_none() {
            self.input.release();
            if self.message.kind.is_none() {
                self.message.bytes = Vec::new();
            }
        }
    }

    /// Whether bytes of an unfinished frame or message have arrived.
    pub(crate) fn is_mid_message(&self) -> bool {
        self.frame.is_some() || self.message.kind.is_some() || !self.input.filled().is_empty()
    }

    /// Whether there is something of an unfinished frame that could be delivered as a part. What came in frames before it goes
    /// with the next one.
    pub(crate) fn holds_part(&self) -> bool {
        self.frame.is_some() && self.message.len > self.message.text.incomplete()
    }

    /// Bytes of the stream, counted from its first, before the frame that was looked at last.
    pub(crate) fn frame_offset(&self) -> u64 {
        self.frame_offset
    }

    /// The payload of what [`next`](Self::next) returned last; there until it is called again.
    #[inline]
    pub(crate) fn payload(&self, received: &Received) -> &[u8] {
        match received.place {
            Place::Input => self.input.at(received.start, received.len),
            Place::Message => &self.message.bytes[received.start..received.start + received.len],
        }
    }

    /// Takes the next message, part or control frame out of what has arrived; `None`: more bytes are needed.
    /// After an error only [`discard`](Self::discard) makes sense.
    pub(crate) fn next(&mut self, role: Role, config: &WebSocketConfig) -> Result<Option<Received>> {
        if self.has_prefetched() {
            let message = self.next_prefetched(role, config);
            if message.is_err() {
                // Nothing is lent by a read that fails.
                self.lent = None;
            }
            return Ok(message?.map(Received::from));
        }
        self.forget_whole_len();
        if self.lent.take() == Some(Place::Message) {
            self.message.drop_delivered();
        }
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let received = self.next_of_any_kind(role, config);
        let between = self.frame.is_none() && self.message.kind.is_none();
        if received.is_ok() && between && self.lent != Some(Place::Message) {
            self.whole_len = whole_len_of(config);
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
            if header.len < SHORT_FRAGMENT {
                self.hidden.frames = self.hidden.frames.saturating_add(1);
            }
            if !self.message.compressed {
                self.message.total += header.len;
            }
            self.consume(header_len);
            let (missing, key, fin) = (header.len, header.mask, header.fin);
            let total = header.len.saturating_add(header_len as u64);
            // Not for a fragment that goes on with others: each of one length would move all before it.
            if total == self.last_frame as u64 && self.message.fragments == 1 {
                self.message.expect(self.last_frame.min(REUSED));
            }
            self.frame = Some(DataFrame { missing, key, fin, total, unmasked: 0 });
        }
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
