//! WATCHING. What a connection is at and waits for, what ended it, and its options. None of these waits for the peer.

use crate::error::{Error, Result};
use crate::ffi::config;
use crate::ffi::connection::ws_conn;
use crate::ffi::guard;
use crate::ffi::types::{ws_flag, ws_socket, ws_state, ws_status, ws_status_t};
use crate::net::shared::View;
use crate::proto::connection::Phase;
use crate::sys;
use std::ffi::c_char;

/// How far the connection has come: a value of ws_state; WS_ERR_INVALID_ARGUMENT for NULL, WS_ERR_INTERNAL for a dead
/// handle, WS_ERR_MISUSE from a callback.
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

/// 1 where messages of the peer may still come: not before the opening handshake is done, not after the peer's Close.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_can_read(conn: *const ws_conn) -> i32 {
    // SAFETY: by the caller's word.
    unsafe { look(conn, 0, |connection| connection.phase().can_read().into()) }
}

/// 1 where messages can be sent: not before the opening handshake is done, not after a Close of either side.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_can_write(conn: *const ws_conn) -> i32 {
    // SAFETY: by the caller's word.
    unsafe { look(conn, 0, |connection| connection.phase().can_write().into()) }
}

/// 1 where the next read may find something without waiting: bytes that have arrived and have not been looked at, the
/// end, or a failure. A loop that stops reading before WOULD_BLOCK asks this before it waits.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_has_input(conn: *const ws_conn) -> i32 {
    // SAFETY: by the caller's word.
    unsafe { guard::ask(conn, 0, |conn| conn.alive()?.look(|inner| inner.has_input().into())) }
}

/// What to wait for before the next call: WS_WANT_READ, WS_WANT_WRITE, both or none (values of ws_flag, joined). Ask
/// after a call gave WOULD_BLOCK; before, see ws_has_input().
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

/// How many bytes wait to be sent.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_queued_bytes(conn: *const ws_conn) -> usize {
    // SAFETY: by the caller's word.
    unsafe { look(conn, 0, |connection| connection.queued_bytes()) }
}

/// The code of the peer's Close, 1005 where it had none. Without a Close, why the connection was given up: the code that
/// the peer was told (1002, 1007, 1009, …), or 1006 where it could not be told. 0 while nothing of that has happened.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_close_code(conn: *const ws_conn) -> i32 {
    // SAFETY: by the caller's word.
    unsafe { look(conn, 0, |connection| connection.close_code().map_or(0, |code| code.0.into())) }
}

/// How long the peer took to answer the last Ping of WS_OPT_PING_INTERVAL_MS, in ms; -1 while none has been answered.
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

/// errno, or what a callback returned, of the last WS_ERR_IO. 0 where there was none, or the system gave no number.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_io_error(conn: *const ws_conn) -> i32 {
    // SAFETY: by the caller's word.
    unsafe { guard::ask(conn, 0, |conn| Ok(conn.last_io_error())) }
}

/// What the last call on this connection that did not give WS_OK has to say, in a sentence: what went wrong, and where in the
/// stream. "" where every call gave WS_OK, and after WS_ERR_WOULD_BLOCK, which is no failure; never NULL. The string stays until
/// the next call on this connection that fails, on whichever thread. WS_ERR_CONNECTION_CLOSED says why the connection was given
/// up, if it was.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_error_message(conn: *const ws_conn) -> *const c_char {
    // SAFETY: by the caller's word.
    unsafe { guard::ask(conn, c"".as_ptr(), |conn| Ok(conn.last_sentence())) }
}

/// Copies what ws_error_message() says to `buf`, for a connection on which other threads may fail meanwhile: as much as
/// `capacity` bytes hold with a NUL at the end, cut between characters. `buf` may be NULL where `capacity` is 0.
///
/// Returns the length of the whole sentence, without its NUL; 0 for NULL.
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

/// Sets an option (ws_option) of a connection; it holds from the next call on, and for a thread that waits in one.
///
/// WS_OK; WS_ERR_INVALID_ARGUMENT: NULL, no such option, a value that it cannot have, or one for a configuration only.
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

/// Reads an option (ws_option) of a connection into *out. Those of permessage-deflate tell what was agreed on, once the
/// opening handshake is done.
///
/// WS_OK; WS_ERR_INVALID_ARGUMENT: NULL, or no such option.
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

/// The socket of a connection, for a poll of the caller's; -1 where it has none. It may change while it is connecting.
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
