//! Messages that one read lends together: where they lie, and how C sees them. Knows no handle.

use crate::error::{Error, Result};
use crate::ffi::types::ws_message;
use crate::message::MessageView;
use crate::net::pool::MessageSlots;
use std::collections::TryReserveError;
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

/// What one call of `ws_service` hands out. Its memory is kept for the next one.
#[derive(Default)]
pub(super) struct Turn {
    messages: Vec<ws_message>,
    pub(super) pointers: Vec<*const ws_message>,
    /// Payloads that do not stay where they are; a message has an offset in place of its address until the end.
    copies: Vec<u8>,
    /// The messages whose payloads are there.
    copied: Vec<usize>,
    messages_left: usize,
    bytes_left: usize,
}

// SAFETY: what it points to belongs to the connection, and is looked at by whoever the caller lets read.
unsafe impl Send for Turn {}

impl Turn {
    /// More than so many bytes are not kept from one call to the next.
    const KEPT: usize = 1 << 20;

    pub(super) fn begin(&mut self, max_messages: usize, max_bytes: usize) -> Result<()> {
        if self.copies.capacity() > Self::KEPT {
            self.copies = Vec::new();
        }
        self.messages.clear();
        self.pointers.clear();
        self.copies.clear();
        self.copied.clear();
        let or_unlimited = |limit| if limit == 0 { usize::MAX } else { limit };
        self.messages_left = or_unlimited(max_messages);
        self.bytes_left = or_unlimited(max_bytes);
        self.reserve(0).map_err(|_| Error::NoMemory)
    }

    /// Lends a message, for which there is room. Whether there is to be another one.
    pub(super) fn take(&mut self, view: &MessageView<'_>, stays: bool) -> bool {
        self.messages_left -= 1;
        self.bytes_left = self.bytes_left.saturating_sub(view.data.len());
        let copied = if stays { 0 } else { view.data.len() };
        let mut message = ws_message::from(view);
        let wants_more = self.messages_left > 0 && self.bytes_left > 0 && self.reserve(copied).is_ok();
        // The last one stays in any case: nothing is looked for behind it.
        if wants_more && !stays {
            message.data = std::ptr::without_provenance(self.copies.len());
            self.copies.extend_from_slice(view.data);
            self.copied.push(self.messages.len());
        }
        self.messages.push(message);
        wants_more
    }

    /// Makes room for this message and for another one.
    fn reserve(&mut self, bytes: usize) -> std::result::Result<(), TryReserveError> {
        self.messages.try_reserve(2)?;
        self.pointers.try_reserve(self.messages.len() + 2)?;
        self.copied.try_reserve(2)?;
        self.copies.try_reserve(bytes)
    }

    /// Nothing is added any more: all of it has its place.
    pub(super) fn end(&mut self) {
        for place in &self.copied {
            if let Some(message) = self.messages.get_mut(*place) {
                message.data = self.copies.as_ptr().wrapping_add(message.data.addr());
            }
        }
        self.pointers.extend(self.messages.iter().map(std::ptr::from_ref));
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
