//! # One call a frame
//!
//! For games and other programs with a loop of their own. ws_service() does all that a connection
//! needs, and costs a bounded amount of time: it never blocks, receives once at most, and stops
//! where the caller says.

use crate::error::Error;
use crate::ffi::connection::ws_conn;
use crate::ffi::guard;
use crate::ffi::types::{ws_message, ws_status_t};
use std::sync::TryLockError;

/// Sends what is pending, receives from the transport at most once, and hands out the messages
/// that are complete. It never blocks, even if WS_OPT_BLOCKING is on. Completes the opening
/// handshake first if it is not done yet; until then `*count` is 0.
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
