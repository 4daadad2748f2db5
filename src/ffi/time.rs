//! TIME AND WAITING. Sockets use the library's own clock: every call on them looks after the deadlines. In memory mode
//! and with callbacks no deadline runs but by ws_tick().

use crate::error::{Error, Result};
use crate::ffi::connection::ws_conn;
use crate::ffi::guard;
use crate::ffi::types::ws_status_t;
use crate::net::clock;
use std::io;
use std::time::Duration;

/// The library's own clock: milliseconds that never go backwards, from a start of its own.
#[unsafe(no_mangle)]
pub extern "C" fn ws_now() -> u64 {
    clock::now_ms()
}

/// Memory mode and callbacks: hands the clock in, in milliseconds from any start, and does all that is due: a Ping is queued,
/// or the connection ends.
///
/// WS_OK; WS_ERR_TIMEOUT: a deadline passed, the connection is over: read on, until CONNECTION_CLOSED. WS_ERR_MISUSE: the
/// library's own clock runs for this connection. WS_ERR_INVALID_ARGUMENT: NULL.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_tick(conn: *mut ws_conn, now_ms: u64) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on(conn, |conn| {
            conn.alive()?.with(|inner| match inner.link().has_clock() {
                true => Err(Error::Misuse("this connection has a clock of its own")),
                false => inner.connection_mut().tick(now_ms),
            })?
        })
    }
}

/// When something is due next, on the clock that runs for this connection: ws_now()'s with a socket, ws_tick()'s
/// otherwise. UINT64_MAX: never. Call ws_tick() then, or, with a socket, ws_read_message() or ws_write_pending().
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_next_deadline(conn: *const ws_conn) -> u64 {
    // SAFETY: by the caller's word.
    unsafe { guard::ask(conn, u64::MAX, |conn| conn.alive()?.with(|inner| inner.next_deadline())) }
}

/// Waits until the connection has something to read, or room for what waits to be sent, or a deadline to look after;
/// `timeout_ms` at most, for ever where that is negative. Other threads can use the connection meanwhile. Beside a
/// thread that reads, it waits for room to send only.
///
/// WS_OK: call again. WS_ERR_WOULD_BLOCK: the time is over. WS_ERR_MISUSE: there is no socket. WS_ERR_IO.
/// WS_ERR_INVALID_ARGUMENT: NULL.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_wait(conn: *mut ws_conn, timeout_ms: i32) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on(conn, |conn| -> Result<()> {
            let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
            match conn.alive()?.wait(timeout)? {
                true => Ok(()),
                false => Err(io::Error::from(io::ErrorKind::WouldBlock).into()),
            }
        })
    }
}
