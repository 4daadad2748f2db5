//! Messages that one read lends together: where they lie, and how C sees them. Knows no handle.

use crate::ffi::types::ws_message;
use crate::message::MessageView;
use crate::net::pool::MessageSlots;
use std::mem::offset_of;

/// Messages that were read together, and pointers to them, in the connection's [`MessageSlots`]. Only so many of both are there as
/// were lent.
#[derive(Debug)]
pub(super) struct MessageBatch {
    messages: [ws_message; Self::LEN],
    pointers: [*const ws_message; Self::LEN],
}

impl MessageBatch {
    const LEN: usize = size_of::<MessageSlots>() / (size_of::<ws_message>() + size_of::<*const ws_message>());

    /// Where the first message is. Looks at nothing.
    #[inline(always)]
    pub(super) fn messages(this: *const Self) -> *const ws_message {
        this.wrapping_byte_add(offset_of!(Self, messages)).cast()
    }

    /// Where the first pointer is. Looks at nothing.
    pub(super) fn pointers(this: *const Self) -> *const *const ws_message {
        this.wrapping_byte_add(offset_of!(Self, pointers)).cast()
    }
}

/// What one read lends to its caller.
pub(super) struct BatchBuilder {
    pub(super) lent: *mut MessageBatch,
    pub(super) len: usize,
    /// How many more bytes it may be, about.
    left: usize,
}

impl BatchBuilder {
    pub(super) fn of(bytes: usize) -> Self {
        Self { lent: std::ptr::null_mut(), len: 0, left: bytes }
    }

    /// Lends a message. Whether there is room for more.
    #[inline(always)]
    pub(super) fn take(&mut self, room: &mut MessageSlots, view: &MessageView<'_>) -> bool {
        const {
            assert!(
                size_of::<MessageBatch>() <= size_of::<MessageSlots>()
                    && align_of::<MessageBatch>() <= align_of::<MessageSlots>()
            )
        };
        self.lent = room.as_mut_ptr().cast();
        if self.len < MessageBatch::LEN {
            // SAFETY: a `MessageBatch` fits into the room, and `len` is a place in it.
            unsafe {
                let place = MessageBatch::messages(self.lent).add(self.len);
                place.cast_mut().write(ws_message::from(view));
                MessageBatch::pointers(self.lent).add(self.len).cast_mut().write(place);
            }
            self.len += 1;
        }
        self.left = self.left.saturating_sub(view.data.len());
        self.len < MessageBatch::LEN && self.left > 0
    }
}

impl From<&MessageView<'_>> for ws_message {
    #[inline(always)]
    fn from(view: &MessageView<'_>) -> Self {
        Self {
            data: view.data.as_ptr(),
            len: view.data.len(),
            kind: view.kind as i32,
            close_code: view.close_code.map_or(0, |code| code.0.into()),
            is_final: view.is_final.into(),
        }
    }
}
