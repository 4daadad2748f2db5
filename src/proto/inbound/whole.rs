//! The common case by itself: a text or binary message in one frame that has arrived whole, masked as it should be, within
//! the limits. Of those that lie behind one another some may be prefetched: found good, and not read yet.

use super::{Place, Received, Receiver};
use crate::config::WebSocketConfig;
use crate::error::Result;
use crate::message::{Kind, Role};
use crate::proto::frame::{self, Header, Opcode, Rules};
use crate::proto::sizing::LARGEST_INPUT;
use crate::proto::utf8;
use crate::simd::mask::{self, MaskKey};

/// A text or binary message in the input buffer.
#[derive(Debug, Clone, Copy)]
pub struct WholeMessage {
    /// Text or binary.
    pub kind: Kind,
    start: usize,
    pub(super) len: usize,
}

impl From<WholeMessage> for Received {
    fn from(WholeMessage { kind, start, len }: WholeMessage) -> Self {
        Self { kind, is_final: true, place: Place::Input, start, len }
    }
}

/// Whole messages in the input buffer, one behind another, unmasked and found valid: their frames by their places. While
/// there are any, the buffer's bytes are lent, and stay where they are.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Prefetched {
    start: usize,
    end: usize,
}

impl Receiver {
    /// Whether nothing has arrived of the next message, and nothing stands in its way; what was lent is then not looked at
    /// any more. What [`next`](Self::next) would find out, where there is no more to it.
    #[inline]
    pub(crate) fn begin_message(&mut self) -> bool {
        let begins = self.whole_len > 0 && self.input.filled().is_empty();
        if begins {
            self.lent = None;
        }
        begins
    }

    /// The common case by itself: a text or binary message in one frame that has arrived whole, masked as it should be,
    /// within the limits. Everything else is not for here, and `None`: [`next`](Self::next) takes it.
    #[inline(always)]
    pub(crate) fn next_whole(&mut self, role: Role) -> Option<WholeMessage> {
        match role {
            Role::Server => self.next_whole_for(Role::Server),
            Role::Client => self.next_whole_for(Role::Client),
        }
    }

    /// Made once for each role, which saves a tenth of the instructions of a short message.
    #[inline(always)]
    fn next_whole_for(&mut self, role: Role) -> Option<WholeMessage> {
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
        if len >= self.whole_len as usize {
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

    /// The payload of what [`next_whole`](Self::next_whole) returned last.
    #[inline(always)]
    pub(crate) fn whole_payload(&self, whole: WholeMessage) -> &[u8] {
        self.input.at(whole.start, whole.len)
    }

    /// Where in the input the next message begins.
    #[inline]
    pub(crate) fn input_position(&self) -> usize {
        match self.has_prefetched() {
            true => self.prefetched.start,
            false => self.input.position(),
        }
    }

    /// The messages that were taken from this position of the input on count as not read: they are the next ones. Where they
    /// are handed out otherwise, [`drop_prefetched`](Self::drop_prefetched) says so.
    #[inline]
    pub(crate) fn prefetch(&mut self, start: usize) {
        debug_assert!(self.lent == Some(Place::Input));
        self.prefetched = Prefetched { start, end: self.input.position() };
    }

    /// Whether messages have been prefetched that are not read yet.
    #[inline]
    pub(crate) fn has_prefetched(&self) -> bool {
        self.prefetched.start < self.prefetched.end
    }

    /// Whether they may be handed out just as they are: nothing has changed by which they were found good.
    #[inline]
    pub(crate) fn is_prefetch_valid(&self) -> bool {
        self.has_prefetched() && self.whole_len > 0
    }

    /// They have all been handed out.
    #[inline]
    pub(crate) fn end_prefetch(&mut self) {
        self.prefetched = Prefetched::default();
    }

    /// The first `count` of them have been handed out; the others are the next messages.
    #[cold]
    pub(crate) fn drop_prefetched(&mut self, count: u16, role: Role) {
        for _ in 0..count {
            if let Some(message) = self.first_prefetched(role) {
                self.prefetched.start = message.start + message.len;
            }
        }
        // What follows is not to overtake them.
        self.forget_whole_len();
    }

    /// The next of them, where the configuration still allows it.
    #[cold]
    pub(crate) fn next_prefetched(
        &mut self,
        role: Role,
        config: &WebSocketConfig,
    ) -> Result<Option<WholeMessage>> {
        let Prefetched { start, end } = self.prefetched;
        let Some(message) = self.first_prefetched(role) else { return Ok(None) };
        self.frame_offset = self.offset - (self.input.position() - start) as u64;
        let opcode = Opcode::Kind(message.kind);
        let header = Header { fin: true, compressed: false, opcode, mask: None, len: message.len as u64 };
        self.check_data(&header, config)?;
        self.prefetched.start = message.start + message.len;
        if self.prefetched.start == end {
            self.whole_len = whole_len_of(config);
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
    pub(crate) fn forget_whole_len(&mut self) {
        self.whole_len = 0;
    }
}

/// Not inlined: the common case keeps its registers.
#[inline(never)]
fn is_text(payload: &[u8]) -> bool {
    utf8::is_valid(payload)
}

/// Which messages are short enough for [`Receiver::next_whole`]: those shorter than this.
pub(super) fn whole_len_of(config: &WebSocketConfig) -> u32 {
    let limit = |limit: Option<usize>| limit.unwrap_or(usize::MAX);
    let longest = limit(config.max_frame_size).min(limit(config.max_message_size)).min(LARGEST_INPUT);
    if config.max_fragments == Some(0) { 0 } else { longest as u32 + 1 }
}
