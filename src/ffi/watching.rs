//! # State and options
//!
//! The state of a connection, what it waits for, why it ended, and its options. None of these
//! functions waits for the peer.

use crate::error::{Error, Result};
use crate::ffi::config;
use crate::ffi::connection::ws_conn;
use crate::ffi::guard;
use crate::ffi::types::{ws_flag, ws_socket, ws_state, ws_status, ws_status_t};
use crate::net::shared::View;
use crate::proto::connection::Phase;
use crate::sys;
use std::ffi::c_char;

/// Returns the state of the connection, a value of ws_state. On failure:
/// - WS_ERR_INVALID_ARGUMENT: `conn` is NULL.
/// - WS_ERR_INTERNAL: the handle is dead.
/// - WS_ERR_MISUSE: called from a callback of the connection.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_get_state(conn: *const ws_conn) -> i32 {
    let mut state = 0;
    // SAFETY: by the caller's word.
    let status = unsafe {
        guard::call_on(conn, |conn| {
            state = conn.alive()?.look(|inner| state_of(inner.view()) as i32)?;
            Ok(())
        })
    };
    if status == ws_status::WS_OK as i32 { state } else { status }
}

/// Returns 1 if messages from the peer may still arrive, else 0: 0 before the opening handshake is
/// complete and after the peer's Close.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_can_read(conn: *const ws_conn) -> i32 {
    // SAFETY: by the caller's word.
    unsafe { look(conn, 0, |connection| connection.phase().can_read().into()) }
}

/// Returns 1 if messages can be sent, else 0: 0 before the opening handshake is complete and after
/// a Close of either side.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_can_write(conn: *const ws_conn) -> i32 {
    // SAFETY: by the caller's word.
    unsafe { look(conn, 0, |connection| connection.phase().can_write().into()) }
}

/// Returns 1 if the next read may return something without waiting: there are received bytes that
/// have not been examined yet, the end, or a failure. A loop that stops reading before
/// WS_ERR_WOULD_BLOCK has to check this before it waits.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_has_input(conn: *const ws_conn) -> i32 {
    // SAFETY: by the caller's word.
    unsafe { guard::ask(conn, 0, |conn| conn.alive()?.look(|inner| inner.has_input().into())) }
}

/// Returns what to wait for before the next call: a bitwise OR of ws_flag, or 0. Meaningful after
/// a call has returned WS_ERR_WOULD_BLOCK; otherwise see ws_has_input().
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_interest(conn: *const ws_conn) -> u32 {
    // SAFETY: by the caller's word.
    unsafe {
        guard::ask(conn, 0, |conn| {
            let interest = conn.alive()?.look(|inner| inner.interest())?;
            let read = if interest.read { ws_flag::WS_WANT_READ as u32 } else { 0 };
            let write = if interest.write { ws_flag::WS_WANT_WRITE as u32 } else { 0 };
            Ok(read | write)
        })
    }
}

/// Returns the number of bytes waiting to be sent.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_queued_bytes(conn: *const ws_conn) -> usize {
    // SAFETY: by the caller's word.
    unsafe { look(conn, 0, |connection| connection.queued_bytes()) }
}

/// Returns the code of the peer's Close, or 1005 if it had none. If the connection failed without
/// a Close from the peer, returns the code that was sent to the peer (for example 1002, 1007 or
/// 1009), or 1006 if none could be sent. 0 if neither has happened.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_close_code(conn: *const ws_conn) -> i32 {
    // SAFETY: by the caller's word.
    unsafe { look(conn, 0, |connection| connection.close_code().map_or(0, |code| code.0.into())) }
}

/// Returns the round-trip time of the last answered Ping of WS_OPT_PING_INTERVAL_MS, in ms; -1 if
/// none has been answered.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_latency(conn: *const ws_conn) -> i64 {
    // SAFETY: by the caller's word.
    unsafe {
        look(conn, -1, |connection| {
            connection.latency().map_or(-1, |ms| i64::try_from(ms).unwrap_or(i64::MAX))
        })
    }
}

/// Returns the error number of the last WS_ERR_IO: errno (on Windows what WSAGetLastError() gives,
/// for example WSAECONNRESET), or the value returned by a callback. 0 if there was none, or
/// if the system gave no number.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_io_error(conn: *const ws_conn) -> i32 {
    // SAFETY: by the caller's word.
    unsafe { guard::ask(conn, 0, |conn| Ok(conn.last_io_error())) }
}

/// Describes the last failure of a call on this connection: what went wrong, and where in the
/// stream. WS_ERR_CONNECTION_CLOSED is described by the reason why the connection failed, if it
/// did.
///
/// Returns a string, never NULL; "" if no call has failed, for NULL, and after WS_ERR_WOULD_BLOCK,
/// which is not a failure. It is valid until the next call on this connection that fails, on
/// whichever thread; if several threads use the connection, see ws_copy_error_message().
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_error_message(conn: *const ws_conn) -> *const c_char {
    // SAFETY: by the caller's word.
    unsafe { guard::ask(conn, c"".as_ptr(), |conn| Ok(conn.last_sentence())) }
}

/// Copies the string of ws_error_message() to `buf`, for a connection that other threads use at
/// the same time. Copies as many whole characters as fit, and a NUL. `buf` may be NULL if
/// `capacity` is 0.
///
/// Returns the length of the whole string without the NUL; 0 for NULL.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `buf` is NULL or has room for `capacity` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_copy_error_message(
    conn: *const ws_conn,
    buf: *mut c_char,
    capacity: usize,
) -> usize {
    // SAFETY: by the caller's word.
    unsafe {
        guard::ask(conn, 0, |conn| {
            let room = guard::room(buf.cast::<u8>(), capacity)?;
            Ok(conn.with_last_sentence(|sentence| copy_text(sentence.to_bytes(), room)))
        })
    }
}

/// Sets an option (a value of ws_option) of a connection. It applies from the next call on, and to
/// a call that another thread is waiting in.
///
/// Returns WS_OK, or:
/// - WS_ERR_INVALID_ARGUMENT: `conn` is NULL, there is no such option, the value is out of range,
///   or the option is for a configuration only.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_set_option(conn: *mut ws_conn, option: i32, value: u64) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on(conn, |conn| {
            if config::is_for_opening(option) {
                return Err(Error::InvalidArgument("this option is for a configuration only"));
            }
            let shared = conn.alive()?;
            shared.with(|inner| {
                inner.configure(|websocket, settings| config::set(websocket, settings, option, value))
            })??;
            Ok(())
        })
    }
}

/// Stores the value of an option (a value of ws_option) of a connection in `*out`. Options of
/// permessage-deflate have the negotiated values once the opening handshake is complete.
///
/// Returns WS_OK, or:
/// - WS_ERR_INVALID_ARGUMENT: an argument is NULL, or there is no such option.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_get_option(conn: *const ws_conn, option: i32, out: *mut u64) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on(conn, |conn| {
            let out = guard::out(out)?;
            *out = conn.alive()?.look(|inner| match config::is_deflate(option) {
                true => {
                    let (deflate, is_on) = inner.view().deflate_in_force();
                    config::get_deflate(&deflate, is_on, option)
                }
                false => config::get(inner.view().config(), inner.settings(), option),
            })??;
            Ok(())
        })
    }
}

/// Returns the socket of a connection, for your own event loop; -1 if it has none. It may change
/// while the connection is being opened: until then, it is a descriptor of the library's that
/// becomes readable when ws_handshake() has something to do (on Windows, a socket on the
/// loopback).
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_get_socket(conn: *const ws_conn) -> ws_socket {
    // SAFETY: by the caller's word.
    unsafe {
        guard::ask(conn, -1, |conn| {
            conn.alive()?.look(|inner| inner.transport().raw_socket().map_or(-1, sys::number))
        })
    }
}

/// Copies as many whole characters of a text as there is room for before a NUL. The length of all of it.
fn copy_text(text: &[u8], room: &mut [u8]) -> usize {
    if let Some(most) = room.len().checked_sub(1) {
        let is_continuation = |at: usize| text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
        let mut fits = text.len().min(most);
        while is_continuation(fits) {
            fits -= 1;
        }
        for (place, byte) in room.iter_mut().zip(text.iter().take(fits).chain(&[0])) {
            *place = *byte;
        }
    }
    text.len()
}

fn state_of(connection: View<'_>) -> ws_state {
    match connection.phase() {
        Phase::Opening(handshake) if handshake.awaits_decision() => ws_state::WS_STATE_REQUEST,
        Phase::Opening(_) => ws_state::WS_STATE_CONNECTING,
        Phase::Open => ws_state::WS_STATE_OPEN,
        Phase::Ended => ws_state::WS_STATE_CLOSED,
        _ => ws_state::WS_STATE_CLOSING,
    }
}

/// # Safety
/// `conn` is NULL or a connection that has not been freed.
unsafe fn look<R>(conn: *const ws_conn, otherwise: R, ask: impl FnOnce(View<'_>) -> R) -> R {
    // SAFETY: passed on from the caller.
    unsafe {
        guard::ask(conn, otherwise, |conn| -> Result<R> { conn.alive()?.look(|inner| ask(inner.view())) })
    }
}
