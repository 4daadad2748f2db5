//! # One call a frame
//!
//! For games and other programs with a loop of their own. ws_service() does all that a connection
//! needs, and costs a bounded amount of time: it never blocks, receives once at most, and stops
//! where the caller says.

use crate::error::{Error, Result};
use crate::ffi::connection::ws_conn;
use crate::ffi::guard;
use crate::ffi::types::{ws_message, ws_status_t};
use crate::message::MessageView;
use std::collections::TryReserveError;
use std::sync::TryLockError;

/// Sends what is pending, receives from the transport at most once, and hands out the messages that
/// are complete. It never blocks, even if WS_OPT_BLOCKING is on. Completes the opening handshake
/// first if it is not done yet; until then `*count` is 0.
///
/// `(*messages)[0]` to `(*messages)[*count - 1]` are messages as from ws_read_message(), in order,
/// at most `max_messages` of them. No more are added once their payloads have reached `max_bytes`
/// bytes; a single message that is longer is handed out all the same. 0 means no limit. They are
/// valid until the next read on this connection. The memory for them is kept from call to call.
///
/// `*more` is 1 if another call may find more messages at once, otherwise 0. A program that has
/// time left calls again.
///
/// Returns WS_OK, also if there is no message. Otherwise the status is one of ws_read_message()'s
/// except WS_ERR_WOULD_BLOCK. **Handle the `*count` messages in any case**: they arrived before
/// the error.
/// - WS_ERR_INVALID_ARGUMENT: an argument is NULL.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; the others are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_service(
    conn: *mut ws_conn,
    max_messages: usize,
    max_bytes: usize,
    messages: *mut *const *const ws_message,
    count: *mut usize,
    more: *mut i32,
) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::null_first(messages.cast::<*mut *const ws_message>());
        if let Some(count) = count.as_mut() {
            *count = 0;
        }
        if let Some(more) = more.as_mut() {
            *more = 0;
        }
        guard::call_on(conn, |conn| {
            let (messages, count, more) = (guard::out(messages)?, guard::out(count)?, guard::out(more)?);
            let mut turn = match conn.cold().turn.try_lock() {
                Ok(turn) => turn,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Misuse("another thread is reading from this connection"));
                }
            };
            turn.begin(max_messages, max_bytes)?;
            let outcome = conn.alive()?.service(|view, stays| turn.take(view, stays));
            turn.end();
            (*messages, *count) = (turn.pointers.as_ptr(), turn.pointers.len());
            *more = outcome?.into();
            Ok(())
        })
    }
}

/// What one call hands out. Its memory is kept for the next one.
#[derive(Default)]
pub(super) struct Turn {
    messages: Vec<ws_message>,
    pointers: Vec<*const ws_message>,
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

    fn begin(&mut self, max_messages: usize, max_bytes: usize) -> Result<()> {
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
    fn take(&mut self, view: &MessageView<'_>, stays: bool) -> bool {
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
    fn end(&mut self) {
        for place in &self.copied {
            if let Some(message) = self.messages.get_mut(*place) {
                message.data = self.copies.as_ptr().wrapping_add(message.data.addr());
            }
        }
        self.pointers.extend(self.messages.iter().map(std::ptr::from_ref));
    }
}
