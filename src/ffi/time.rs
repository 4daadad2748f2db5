//! # Time and waiting
//!
//! Connections over sockets use the library's clock: every call on them checks the deadlines. In
//! memory mode and with callbacks, the caller runs the clock with ws_tick().

use crate::error::{Error, Result};
use crate::ffi::connection::ws_conn;
use crate::ffi::guard;
use crate::ffi::types::ws_status_t;
use crate::net::clock;
use std::io;
use std::time::Duration;

/// Returns the time of the library's clock: milliseconds since an arbitrary start. It never goes
/// backwards.
#[unsafe(no_mangle)]
pub extern "C" fn ws_now() -> u64 {
    clock::now_ms()
}

/// In memory mode and with callbacks: sets the clock, in milliseconds since any start, and does
/// everything that is due: a Ping is queued, or the connection ends. Feed first, then tick: what
/// was received or accepted by the transport since the last call counts as received or accepted at
/// the time of this call.
///
/// Returns WS_OK, or:
/// - WS_ERR_TIMEOUT: a deadline passed, and the connection is over: read on until
///   WS_ERR_CONNECTION_CLOSED.
/// - WS_ERR_MISUSE: the connection uses the library's clock.
/// - WS_ERR_INVALID_ARGUMENT: `conn` is NULL.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_tick(conn: *mut ws_conn, now_ms: u64) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on(conn, |conn| {
            conn.alive()?.with(|inner| match inner.transport().has_clock() {
                true => Err(Error::Misuse("this connection uses the library's clock")),
                false => inner.connection_mut().tick(now_ms),
            })?
        })
    }
}

/// Returns when something is due next, on the clock of the connection: that of ws_now() with a
/// socket, that of ws_tick() otherwise. UINT64_MAX means never. At that time call ws_tick(), or,
/// with a socket, ws_read_message() or ws_write_pending().
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_next_deadline(conn: *const ws_conn) -> u64 {
    // SAFETY: by the caller's word.
    unsafe { guard::ask(conn, u64::MAX, |conn| conn.alive()?.look(|inner| inner.next_deadline())) }
}

/// Waits until the connection has something to read, room for pending output or a deadline that is
/// due, but no longer than `timeout_ms` (negative: no limit). Bytes that complete neither a head
/// nor a frame do not end another wait once they have been read. Other threads may use the
/// connection meanwhile; what they change is taken into account. While another thread is inside a
/// read, this only waits for room to send.
///
/// Returns WS_OK: call again. Otherwise:
/// - WS_ERR_WOULD_BLOCK: `timeout_ms` has passed.
/// - WS_ERR_MISUSE: the connection has no socket.
/// - WS_ERR_ALREADY_CLOSED: WS_ERR_CONNECTION_CLOSED has been returned before; there is nothing
///   left to wait for.
/// - WS_ERR_IO: waiting failed; see ws_io_error().
/// - WS_ERR_INVALID_ARGUMENT: `conn` is NULL.
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
