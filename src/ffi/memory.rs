//! # Memory mode
//!
//! A connection without a socket or callbacks: the caller moves the bytes. Feed what has been
//! received, pass the time with ws_tick(), read until WS_ERR_WOULD_BLOCK, and send what
//! ws_output() lends. On a connection with another transport, all of these functions return
//! WS_ERR_MISUSE.

use crate::error::{Error, Result};
use crate::ffi::connection::ws_conn;
use crate::ffi::guard;
use crate::ffi::types::ws_status_t;
use crate::proto::connection::Connection;

/// Lends memory to receive into: `*len` bytes at `*buf`. It stays valid until ws_input_commit(),
/// whatever is read or queued meanwhile. `*len` is 0 if complete messages have to be read first,
/// or while the last message read occupies the buffer: read on. After the peer's Close or a
/// failure, the next read discards what is received.
///
/// Returns WS_OK, or, with `*buf` NULL:
/// - WS_ERR_MISUSE: memory is already lent, ws_feed_eof() has been called, or the connection has
///   another transport.
/// - WS_ERR_NO_MEMORY: a buffer could not be allocated.
/// - WS_ERR_INVALID_ARGUMENT: an argument is NULL.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `buf` and `len` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_input(conn: *mut ws_conn, buf: *mut *mut u8, len: *mut usize) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::null_first(buf);
        guard::call_on(conn, |conn| {
            let (buf, len) = (guard::out(buf)?, guard::out(len)?);
            in_memory(conn, |connection| {
                check_not_ended(connection)?;
                let space = connection.lend_space()?;
                (*buf, *len) = (space.as_mut_ptr(), space.len());
                Ok(())
            })
        })
    }
}

/// Gives back the memory lent by ws_input(), of which the first `n` bytes have been received. `n`
/// may be 0.
///
/// Returns WS_OK, or:
/// - WS_ERR_INVALID_ARGUMENT: `conn` is NULL, or `n` is more than was lent.
/// - WS_ERR_MISUSE: nothing is lent, or the connection has another transport.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; the first `n` bytes of the room have been written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_input_commit(conn: *mut ws_conn, n: usize) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe { guard::call_on(conn, |conn| in_memory(conn, |connection| connection.commit_lent(n))) }
}

/// Copies received bytes into the connection and stores in `*consumed` how many it had room for.
/// If that is less than `len`, read messages until WS_ERR_WOULD_BLOCK, then feed the rest. After
/// the peer's Close or a failure, bytes are consumed and discarded.
///
/// Returns WS_OK, or:
/// - WS_ERR_MISUSE: memory is lent by ws_input(), ws_feed_eof() has been called, or the connection
///   has another transport.
/// - WS_ERR_NO_MEMORY: a buffer could not be allocated.
/// - WS_ERR_INVALID_ARGUMENT: `conn` or `consumed` is NULL, or `data` is NULL although `len` is
///   not 0.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `data` is NULL or has `len` bytes; `consumed` is NULL or
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_feed(
    conn: *mut ws_conn,
    data: *const u8,
    len: usize,
    consumed: *mut usize,
) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on(conn, |conn| {
            let (consumed, mut rest) = (guard::out(consumed)?, guard::bytes(data, len)?);
            in_memory(conn, |connection| {
                check_not_ended(connection)?;
                *consumed = 0;
                if rest.is_empty() || connection.ignores_input() {
                    // Nothing is looked at any more.
                    connection.check_not_lent()?;
                    *consumed = rest.len();
                    return Ok(());
                }
                while !rest.is_empty() {
                    let space = connection.lend_space()?;
                    let n = space.len().min(rest.len());
                    space[..n].copy_from_slice(&rest[..n]);
                    connection.commit_lent(n)?;
                    *consumed += n;
                    rest = &rest[n..];
                    if n == 0 {
                        break;
                    }
                }
                Ok(())
            })
        })
    }
}

/// Tells the connection that the peer has ended the stream: no more bytes will be fed. What has
/// been received can still be read.
///
/// Returns WS_OK, or:
/// - WS_ERR_MISUSE: the connection has another transport.
/// - WS_ERR_INVALID_ARGUMENT: `conn` is NULL.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_feed_eof(conn: *mut ws_conn) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on(conn, |conn| {
            in_memory(conn, |connection| {
                connection.received_eof();
                Ok(())
            })
        })
    }
}

/// Lends the next bytes to send: `*len` bytes at `*data`. `*len` is 0 if there are none. They stay
/// valid until ws_output_advance(), whatever is queued meanwhile. More bytes may follow.
///
/// Returns WS_OK, or, with `*data` NULL:
/// - WS_ERR_MISUSE: the connection has another transport.
/// - WS_ERR_INVALID_ARGUMENT: an argument is NULL.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `data` and `len` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_output(conn: *mut ws_conn, data: *mut *const u8, len: *mut usize) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::null_first(data.cast::<*mut u8>());
        guard::call_on(conn, |conn| {
            let (data, len) = (guard::out(data)?, guard::out(len)?);
            in_memory(conn, |connection| {
                let output = connection.output();
                (*data, *len) = (output.as_ptr(), output.len());
                Ok(())
            })
        })
    }
}

/// Gives back the bytes lent by ws_output(), of which the first `n` have been sent. The next
/// ws_output() lends the rest again.
///
/// Returns WS_OK, or:
/// - WS_ERR_INVALID_ARGUMENT: `conn` is NULL, or `n` is more than was lent.
/// - WS_ERR_MISUSE: the connection has another transport.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_output_advance(conn: *mut ws_conn, n: usize) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on(conn, |conn| {
            in_memory(conn, |connection| match connection.advance_output(n) {
                true => Ok(()),
                false => Err(Error::InvalidArgument("more bytes than ws_output() lent")),
            })
        })
    }
}

/// Combines ws_output() and ws_output_advance(): copies the next bytes to send, up to `capacity`,
/// to `buf` and stores their number in `*n`. If that is less than `capacity`, there are no more.
/// For languages in which a call costs more than the copy.
///
/// Returns WS_OK, or:
/// - WS_ERR_MISUSE: output is lent, or the connection has another transport.
/// - WS_ERR_INVALID_ARGUMENT: `conn` or `n` is NULL, or `buf` is NULL although `capacity` is not
///   0.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `buf` is NULL or has room for `capacity` bytes; `n` is NULL or
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_output_take(
    conn: *mut ws_conn,
    buf: *mut u8,
    capacity: usize,
    n: *mut usize,
) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on(conn, |conn| {
            let (n, room) = (guard::out(n)?, guard::room(buf, capacity)?);
            in_memory(conn, |connection| {
                if connection.is_output_lent() {
                    return Err(Error::Misuse("output is already lent: advance it first"));
                }
                *n = 0;
                while *n < room.len() {
                    let output = connection.output();
                    let len = output.len().min(room.len() - *n);
                    if len == 0 {
                        break;
                    }
                    room[*n..*n + len].copy_from_slice(&output[..len]);
                    connection.advance_output(len);
                    *n += len;
                }
                Ok(())
            })
        })
    }
}

fn in_memory(conn: &ws_conn, call: impl FnOnce(&mut Connection) -> Result<()>) -> Result<()> {
    conn.alive()?.with(|inner| match inner.transport().is_memory() {
        true => call(inner.connection_mut()),
        false => Err(Error::Misuse("this connection is not in memory mode")),
    })?
}

fn check_not_ended(connection: &Connection) -> Result<()> {
    if connection.has_ended() { Err(Error::Misuse("the end of the stream was already fed")) } else { Ok(()) }
}
