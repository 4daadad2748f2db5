//! MANY CONNECTIONS. A poller waits for any number of connections and listeners at once, in one thread. What to wait for
//! follows from how each connection is: nothing has to be changed when output waits or a deadline nears. One poller for
//! each thread that serves connections; a connection can be with one poller at a time. Any thread may add, remove and wake.
//!
//! A token is reported for as long as a call on its connection could do something that the last one could not: unread
//! bytes or whole messages, room for output that waits, a deadline that is due, an end that has not been told yet. Bytes that
//! completed nothing, of a head or a frame, are not reported again once they have been read, nor is a request that waits
//! for ws_accept() or ws_reject(). Each token comes once a wait, and not after ws_poller_remove() or ws_free() has returned;
//! what a wait under way in another thread has already taken may still come. A poller never waits for a call that another
//! thread makes on a connection.
//!
//! Where a token is reported, read until WS_ERR_WOULD_BLOCK, or as much as a turn may take: what is left is reported again.
//! Reading also sends what is pending, does the opening handshake and looks after the deadlines.

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

/// Makes a poller.
///
/// WS_OK: *out is the poller, to be freed with ws_poller_free(); WS_ERR_IO: errno says why; WS_ERR_UNSUPPORTED: a build
/// without sockets; WS_ERR_INVALID_ARGUMENT: NULL.
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

/// Frees a poller. Connections and listeners that were with it go on, and can be added to another one. NULL is fine. In the
/// child of a fork() this is all that a poller of the parent's is good for: it closes the child's descriptors.
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

/// Waits for this connection, too: one that ws_connect() opened or a listener accepted, at any stage, or one over a socket
/// of the caller's. `token` is what ws_poller_wait() calls it by. ws_free() removes it.
///
/// WS_OK; WS_ERR_MISUSE: it has no socket, or is with a poller already; WS_ERR_IO: errno says why; WS_ERR_INVALID_ARGUMENT:
/// NULL.
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

/// Waits for this connection no longer.
///
/// WS_OK; WS_ERR_MISUSE: it is not with this poller; WS_ERR_INVALID_ARGUMENT: NULL.
///
/// # Safety
/// As for ws_poller_add().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_poller_remove(poller: *mut ws_poller, conn: *mut ws_conn) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe { guard::call_on_both(conn, |conn| get(poller)?.remove(conn.alive()?)) }
}

/// Stops (0) or goes on (1) reporting that a connection has something to read. For one that is read from faster than its
/// answers find room: stop while WS_ERR_SEND_QUEUE_FULL comes back, go on when ws_write_pending() gave WS_OK. Meanwhile
/// Pings and a Close are not read either; room to send and deadlines are still reported.
///
/// WS_OK; WS_ERR_MISUSE: it is with no poller; WS_ERR_INVALID_ARGUMENT: NULL, or neither 0 nor 1.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_poller_read(conn: *mut ws_conn, on: i32) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on_both(conn, |conn| match on {
            0 | 1 => conn.alive()?.set_paused(on == 0),
            _ => Err(Error::InvalidArgument("reading is on or off, 1 or 0")),
        })
    }
}

/// Waits for this listener, too: its token is reported while connections wait to be accepted. Give it WS_OPT_BLOCKING 0,
/// and call ws_listener_accept() until WS_ERR_WOULD_BLOCK. ws_listener_free() removes it. Where none can be accepted, for
/// instance for want of descriptors, it is reported again after a moment.
///
/// WS_OK; WS_ERR_MISUSE: it is with a poller already; WS_ERR_IO: errno says why; WS_ERR_INVALID_ARGUMENT: NULL.
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

/// Ends the wait under way in another thread, or the next one. A signal handler may call this, too.
///
/// WS_OK; WS_ERR_IO; WS_ERR_INVALID_ARGUMENT: NULL.
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

/// Waits until some of its connections and listeners have something to do, `timeout_ms` at most, for ever where that is
/// negative. Up to `capacity` tokens are written to `tokens`, each once, and their number to *out_count; those that find
/// no room come first next time. One thread at a time.
///
/// WS_OK: *out_count tokens are there; none, where ws_poller_wake() was called. WS_ERR_WOULD_BLOCK: the time is over.
/// WS_ERR_MISUSE: another thread is waiting. WS_ERR_IO: errno says why. WS_ERR_INVALID_ARGUMENT: NULL, or no capacity.
/// *out_count is 0 wherever this fails.
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
