//! How much to receive at once, and where to.

use super::{Place, Receiver};
use crate::error::Result;
use crate::message::{Kind, Role};
use crate::proto::frame;
use crate::proto::sizing::{
    DIRECT, FRAMES, FRAMES_OF_SOCKET, LARGEST_INPUT, RECEIVED_PIECE, RECEIVED_PIECE_OF_SOCKET, SMALLEST_INPUT,
};

impl Receiver {
    /// Room to receive into; empty only while a lent view is in the way or whole messages wait to be read.
    #[inline]
    pub(crate) fn space(&mut self, role: Role, is_socket: bool) -> Result<&mut [u8]> {
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
            Some(frame) if free && frame.missing - self.message.fresh as u64 >= DIRECT as u64 => {
                self.direct = true;
                let (is_masked, is_text) = (frame.key.is_some(), self.message.kind == Some(Kind::Text));
                let piece = match is_socket {
                    true if is_masked && !is_text => RECEIVED_PIECE_OF_SOCKET,
                    false if is_masked => RECEIVED_PIECE,
                    _ => usize::MAX,
                };
                self.message.space(frame.missing, piece)
            }
            _ => {
                self.direct = false;
                let begins_frame = self.input.filled().is_empty();
                let (least, most) = match self.long_frame() {
                    0 => (0, usize::MAX),
                    long @ ..=LARGEST_INPUT => (long, (frames / long).max(1) * long),
                    // Its beginning is enough: the rest will be received straight into the message. Of a socket a
                    // little more than the header, in case that short ones follow: a call costs more than a copy of it.
                    _ if is_socket => (0, SMALLEST_INPUT),
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
    pub(crate) fn space_for_head(&mut self, max: usize) -> Result<&mut [u8]> {
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
        if self.last_frame > DIRECT { self.last_frame } else { 0 }
    }
}
