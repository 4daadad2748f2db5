//! MEMORY MODE. A connection without a socket or callbacks: the caller moves the bytes. Feed what arrived, hand the clock in with
//! ws_tick(), read until WOULD_BLOCK, and send what ws_output() lends. On a connection with another transport
//! all of these give WS_ERR_MISUSE.

use crate::error::{Error, Result};
use crate::ffi::connection::ws_conn;
use crate::ffi::guard;
use crate::ffi::types::ws_status_t;
use crate::proto::connection::Connection;

/// Lends room to receive into: *len bytes at *buf. It stays where it is until ws_input_commit(), whatever is read or
/// queued meanwhile. *len is 0 while whole messages wait to be read, or the one read last is in the way: read on first.
/// After the peer's Close, or a failure, what is received is dropped with the next read.
///
/// WS_OK; WS_ERR_MISUSE: room is lent already, the end was told, or another transport; WS_ERR_NO_MEMORY;
/// WS_ERR_INVALID_ARGUMENT: NULL.
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

/// The first `n` bytes of the lent room have been received. With 0 the room is only given back.
///
/// WS_OK; WS_ERR_INVALID_ARGUMENT: NULL, or more than was lent; WS_ERR_MISUSE: nothing is lent, or another transport.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; the first `n` bytes of the room have been written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_input_commit(conn: *mut ws_conn, n: usize) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe { guard::call_on(conn, |conn| in_memory(conn, |connection| connection.commit_lent(n))) }
}

/// Takes received bytes: copies them in and stores in *consumed how many there was room for. Where that is less than
/// `len`, read messages until WOULD_BLOCK, then feed the rest.
///
/// WS_OK; WS_ERR_MISUSE: room is lent, the end was told, or another transport; WS_ERR_NO_MEMORY;
/// WS_ERR_INVALID_ARGUMENT: NULL.
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

/// The peer has ended the stream: nothing more will be fed. What has arrived can still be read.
///
/// WS_OK; WS_ERR_MISUSE: another transport; WS_ERR_INVALID_ARGUMENT: NULL.
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

/// Lends the next bytes to send: *len bytes at *data; none where *len is 0. They stay where they are until
/// ws_output_advance(), whatever is queued meanwhile. There may be more behind them.
///
/// WS_OK; WS_ERR_MISUSE: another transport; WS_ERR_INVALID_ARGUMENT: NULL.
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

/// The first `n` lent bytes have been sent; the rest is lent again by the next ws_output().
///
/// WS_OK; WS_ERR_INVALID_ARGUMENT: NULL, or more than was lent; WS_ERR_MISUSE: another transport.
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
                false => Err(Error::InvalidArgument("more bytes than ws_output had lent")),
            })
        })
    }
}

/// ws_output() and ws_output_advance() in one, with a copy: the next bytes to send, up to `capacity` of them, go to `buf`, and
/// *n is how many; fewer than `capacity` where there are no more. For languages to which a call costs more than the copy.
///
/// WS_OK; WS_ERR_MISUSE: output is lent, or another transport; WS_ERR_INVALID_ARGUMENT: NULL.
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
                    return Err(Error::Misuse("output is lent already: advance it first"));
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
        false => Err(Error::Misuse("this connection moves its bytes itself")),
    })?
}

fn check_not_ended(connection: &Connection) -> Result<()> {
    if connection.has_ended() { Err(Error::Misuse("the end of the stream was told already")) } else { Ok(()) }
}
