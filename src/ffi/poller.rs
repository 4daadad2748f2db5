//! # Polling many connections
//!
//! A poller waits for any number of connections and listeners at once, on one thread. What it
//! waits for follows from the state of each connection: nothing has to be updated when output is
//! pending or a deadline approaches. Use one poller for each thread that serves connections. A
//! connection can be in one poller at a time. Any thread may add, remove and wake.
//!
//! A token is reported as long as a call on its connection could do something that the last call
//! could not: there are unread bytes or whole messages, room for pending output, a deadline that
//! is due, or an end that has not been reported yet. Bytes that complete neither a head nor a
//! frame are not reported again once they have been read, and neither is a request that waits for
//! ws_accept() or ws_reject(). A wait reports each token once at most, and none after
//! ws_poller_remove() or ws_free() has returned, except one that a wait running on another thread
//! has already collected. A poller never waits for a call that another thread makes on a
//! connection.
//!
//! When a token is reported, read until WS_ERR_WOULD_BLOCK, or as much as one turn may take: what
//! is left is reported again. Reading also sends pending output, performs the opening handshake
//! and checks the deadlines.

use crate::error::{Error, Result};
use crate::ffi::connection::ws_conn;
use crate::ffi::guard;
use crate::ffi::listener::ws_listener;
use crate::ffi::types::ws_status_t;
use crate::net::poller::{Poller, Source};
use std::sync::Arc;
use std::time::Duration;

/// A poller.
#[derive(Debug)]
pub struct ws_poller {
    poller: Poller,
}

/// Creates a poller.
///
/// Returns WS_OK: `*out` is the poller; free it with ws_poller_free(). Otherwise `*out` is NULL,
/// and the status is:
/// - WS_ERR_IO: the system refused a resource; see errno.
/// - WS_ERR_INVALID_ARGUMENT: `out` is NULL.
/// - WS_ERR_UNSUPPORTED: the library was built without sockets.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_poller_new(out: *mut *mut ws_poller) -> ws_status_t {
    guard::call(|| {
        // SAFETY: by the caller's word.
        let out = unsafe {
            guard::null_first(out);
            guard::out(out)?
        };
        *out = Box::into_raw(Box::new(ws_poller { poller: Poller::new()? }));
        Ok(())
    })
}

/// Frees a poller. Its connections and listeners continue and can be added to another one. NULL is
/// a no-op. In the child of a fork(), this is the only function that may be called on a poller of
/// the parent; it closes the child's descriptors.
///
/// # Safety
/// `poller` is NULL or a poller that has not been freed, and nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_poller_free(poller: *mut ws_poller) {
    if !poller.is_null() {
        // SAFETY: by the caller's word it came out of Box::into_raw, and is not used again.
        drop(unsafe { Box::from_raw(poller) });
    }
}

/// Adds a connection: one that ws_connect() opened or a listener accepted, in any state, or one
/// over your own socket. ws_poller_wait() reports it as `token`. ws_free() removes it.
///
/// Returns WS_OK, or:
/// - WS_ERR_MISUSE: the connection has no socket, or is already in a poller.
/// - WS_ERR_IO: the system refused a resource; see ws_io_error().
/// - WS_ERR_INVALID_ARGUMENT: `poller` or `conn` is NULL.
///
/// # Safety
/// `poller` is NULL or a poller, `conn` is NULL or a connection, that have not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_poller_add(
    poller: *mut ws_poller,
    conn: *mut ws_conn,
    token: u64,
) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on_both(conn, |conn| {
            get(poller)?.add(Source::Connection(Arc::clone(conn.alive()?)), token)
        })
    }
}

/// Removes a connection.
///
/// Returns WS_OK, or:
/// - WS_ERR_MISUSE: the connection is not in this poller.
/// - WS_ERR_INVALID_ARGUMENT: `poller` or `conn` is NULL.
///
/// # Safety
/// As for ws_poller_add().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_poller_remove(poller: *mut ws_poller, conn: *mut ws_conn) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe { guard::call_on_both(conn, |conn| get(poller)?.remove(conn.alive()?)) }
}

/// Stops (0) or resumes (1) reporting that a connection has something to read. For a connection
/// that sends requests faster than it takes the answers: stop when a write returns
/// WS_ERR_SEND_QUEUE_FULL, resume when ws_write_pending() returns WS_OK. Meanwhile Pings and a
/// Close are not read either; room to send and deadlines are still reported.
///
/// Returns WS_OK, or:
/// - WS_ERR_MISUSE: the connection is not in a poller.
/// - WS_ERR_INVALID_ARGUMENT: `conn` is NULL, or `on` is neither 0 nor 1.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_poller_read(conn: *mut ws_conn, on: i32) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on_both(conn, |conn| match on {
            0 | 1 => conn.alive()?.set_paused(on == 0),
            _ => Err(Error::InvalidArgument("reading must be 1 (on) or 0 (off)")),
        })
    }
}

/// Adds a listener. Its token is reported while connections wait to be accepted. Set
/// WS_OPT_BLOCKING to 0 for the listener and call ws_listener_accept() until WS_ERR_WOULD_BLOCK.
/// ws_listener_free() removes it. If accepting fails, for example because the process is out of
/// file descriptors, the listener is reported again after a short pause.
///
/// Returns WS_OK, or:
/// - WS_ERR_MISUSE: the listener is already in a poller.
/// - WS_ERR_IO: the system refused a resource; see errno.
/// - WS_ERR_INVALID_ARGUMENT: `poller` or `listener` is NULL.
///
/// # Safety
/// `poller` is NULL or a poller, `listener` is NULL or a listener, that have not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_poller_add_listener(
    poller: *mut ws_poller,
    listener: *mut ws_listener,
    token: u64,
) -> ws_status_t {
    guard::call(|| {
        // SAFETY: by the caller's word.
        let (poller, listener) = unsafe {
            (get(poller)?, listener.as_ref().ok_or(Error::InvalidArgument("the listener is NULL"))?)
        };
        poller.add(Source::Listener(Arc::clone(&listener.listener)), token)
    })
}

/// Ends the wait that another thread is in, or else the next one. May also be called from a signal
/// handler.
///
/// Returns WS_OK, or:
/// - WS_ERR_IO: waking failed; see errno.
/// - WS_ERR_INVALID_ARGUMENT: `poller` is NULL.
///
/// # Safety
/// `poller` is NULL or a poller that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_poller_wake(poller: *mut ws_poller) -> ws_status_t {
    guard::call(|| {
        // SAFETY: by the caller's word.
        unsafe { get(poller) }?.wake()
    })
}

/// Waits until some of its connections and listeners have something to do, but no longer than
/// `timeout_ms` (negative: no limit). Writes up to `capacity` tokens to `tokens`, each at most
/// once, and their number to `*out_count`. Tokens for which there was no room come first next
/// time. Only one thread at a time may wait.
///
/// Returns WS_OK: there are `*out_count` tokens; 0 if ws_poller_wake() was called. Otherwise
/// `*out_count` is 0, and the status is:
/// - WS_ERR_WOULD_BLOCK: `timeout_ms` has passed.
/// - WS_ERR_MISUSE: another thread is waiting.
/// - WS_ERR_IO: waiting failed; see errno.
/// - WS_ERR_INVALID_ARGUMENT: an argument is NULL, or `capacity` is 0.
///
/// # Safety
/// `poller` is NULL or a poller that has not been freed; `tokens` is NULL or has room for `capacity`; `out_count` is NULL
/// or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_poller_wait(
    poller: *mut ws_poller,
    tokens: *mut u64,
    capacity: usize,
    timeout_ms: i32,
    out_count: *mut usize,
) -> ws_status_t {
    guard::call(|| {
        // SAFETY: by the caller's word.
        let (count, poller) = unsafe { (guard::out(out_count)?, get(poller)) };
        *count = 0;
        // SAFETY: by the caller's word.
        let tokens = unsafe { guard::room(tokens, capacity) }?;
        let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        *count = poller?.wait(tokens, timeout)?;
        Ok(())
    })
}

/// # Safety
/// `poller` is NULL or a poller that has not been freed.
unsafe fn get<'a>(poller: *const ws_poller) -> Result<&'a Poller> {
    // SAFETY: passed on from the caller.
    match unsafe { poller.as_ref() } {
        Some(handle) => Ok(&handle.poller),
        None => Err(Error::InvalidArgument("the poller is NULL")),
    }
}
