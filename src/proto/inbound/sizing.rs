//! How much to receive at once, and where to; and every constant that decides about memory and its use.

use super::{Place, Receiver};
use crate::error::Result;
use crate::message::{Kind, Role};
use crate::proto::frame;

/// From so many missing bytes on, a frame is received straight into the message.
pub(super) const DIRECT: u64 = 4 << 10;
/// Where frames of one length follow one another, whole ones are received, as many as fit into this: more would not be in
/// the cache still when it is their turn (1.9 times the time for frames of 16 KiB).
const FRAMES: usize = 32 << 10;
/// The same where each receiving is a system call, which costs more than that: four of 16 KiB (0.8 times the time).
const FRAMES_OF_SOCKET: usize = 66 << 10;
/// No more memory is kept of a message for the next connection that needs some.
pub(super) const REUSED_MESSAGE: usize = 32 << 10;
/// Bounds of how much room for a message is made ahead of the bytes that arrive.
pub(super) const AHEAD: std::ops::RangeInclusive<usize> = 16 << 10..=128 << 10;
/// A fragment of fewer bytes takes longer than they are worth.
pub(super) const SHORT: u64 = 64;
/// So many compressed bytes that give nothing take as long as a frame that gives none: 16 ns a byte for empty blocks.
pub(super) const BARREN: u32 = 4;
/// And so many that are kept for a message: 64 MiB are let in before the caller has a turn.
pub(super) const KEPT: usize = 4 << 10;
/// Least room for what is inflated, and most of it that is handed out as one part.
pub(super) const INFLATE: std::ops::RangeInclusive<usize> = 1 << 10..=64 << 10;
/// Room behind a message of the same length as the last one, so that it shows that it is over.
pub(super) const SPARE: usize = 64;
/// Payloads are unmasked and validated in steps of this size, so that the second pass finds them in the cache: 0.95 times the
/// time of smaller ones, and of none, for a MiB.
pub(super) const STEP: usize = 256 << 10;
/// What is masked is received in pieces of this size, so that each is in the cache still when it is unmasked: 0.8 to 0.9 times
/// the time for 16 MiB. Half of it is 1.1 times the time for 1 MiB, for memory is copied faster from a MiB on.
const PIECE: usize = 1 << 20;
/// The same where each receiving is a system call, which finds no more there (0.8 times the time for 8 MiB over TCP). Smaller
/// ones are more system calls (16 KiB: 1.5 times the time for 1 MiB). To validate text takes so much longer that pieces are
/// no help there.
const PIECE_OF_SOCKET: usize = 128 << 10;
/// First size, in bytes; doubled whenever a read fills the buffer.
pub(super) const SMALLEST: usize = 4 << 10;
/// First size for a thing that must be in the buffer whole, an HTTP head: most are shorter.
pub(super) const SMALLEST_WHOLE: usize = 1 << 10;
/// No larger by itself; only an HTTP head may need more.
pub(super) const LARGEST: usize = 128 << 10;
/// No more memory is kept for the next connection that needs some.
pub(super) const REUSED_INPUT: usize = LARGEST;
/// So few bytes are moved to the front without a second thought: a partial frame header or control frame.
pub(super) const FEW: usize = 256;

impl Receiver {
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
                    long @ ..=LARGEST => (long, (frames / long).max(1) * long),
                    // Its beginning is enough: the rest will be received straight into the message. Of a socket a
                    // little more than the header, in case that short ones follow: a call costs more than a copy of it.
                    _ if is_socket => (0, SMALLEST),
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

    /// Length in bytes of the last frame, header included, if it was a long one: the next is likely to have the same.
    /// Received as a whole, it is lent from where it lies; anything more would have to be moved.
    #[inline(always)]
    fn long_frame(&self) -> usize {
        if self.last_frame as u64 > DIRECT { self.last_frame } else { 0 }
    }
}
