//! # Messages
//!
//! Every read and write first tries to send what is pending. A received Ping or Close is answered
//! automatically; the answer leaves with the next call at the latest, if the transport accepts it.
// Over 400 lines because it is one chapter of the header, and most of it is that text.

use crate::error::{Error, Result};
use crate::ffi::batch::{BatchBuilder, MessageBatch};
use crate::ffi::connection::ws_conn;
use crate::ffi::guard;
use crate::ffi::types::{ws_kind, ws_message, ws_status, ws_status_t};
use crate::message::{CloseCode, Kind, Outgoing};
use crate::proto::connection::Enqueue;
use crate::proto::prepared::Prepared;
use std::ffi::{c_char, c_void};
use std::sync::atomic::Ordering;

/// Reads the next message. Completes the opening handshake first if it is not done yet.
///
/// The message belongs to the connection until the next read on it, on whichever thread. Other
/// calls do not affect it, and it may be passed straight to ws_write_message(). The peer's Close
/// is delivered as a message of kind WS_CLOSE, and its answer is queued: read on until
/// WS_ERR_CONNECTION_CLOSED.
///
/// Returns WS_OK: `*out` is a message. Otherwise `*out` is NULL, and the status is:
/// - WS_ERR_WOULD_BLOCK: no complete message yet; if blocking, WS_OPT_READ_TIMEOUT_MS has passed.
///   A non-blocking call may also return this when the peer sends a lot without completing a
///   message: ws_has_input() is then 1, and a poller and ws_wait() report the connection again.
/// - WS_ERR_PROTOCOL, WS_ERR_UTF8, WS_ERR_CAPACITY: the peer violated the protocol or exceeded a
///   limit. A Close with the reason is queued, and the connection is over: read on until
///   WS_ERR_CONNECTION_CLOSED.
/// - WS_ERR_CONNECTION_CLOSED: the closing handshake is complete, or the stream has ended; see
///   ws_close_code(). Returned once.
/// - WS_ERR_ALREADY_CLOSED: WS_ERR_CONNECTION_CLOSED has been returned before.
/// - WS_ERR_IO, WS_ERR_TLS, WS_ERR_TIMEOUT: the connection is over: read on until
///   WS_ERR_CONNECTION_CLOSED.
/// - WS_ERR_HANDSHAKE, WS_ERR_PROXY: the opening handshake failed, as in ws_handshake(): read on
///   until WS_ERR_CONNECTION_CLOSED.
/// - WS_ERR_MISUSE: another thread is inside a read, or a request waits for ws_accept() or
///   ws_reject().
/// - WS_ERR_NO_MEMORY: a buffer could not be allocated.
/// - WS_ERR_INVALID_ARGUMENT: an argument is NULL.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_read_message(conn: *mut ws_conn, out: *mut *const ws_message) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        if let (Some(conn), Some(out)) = (conn.as_ref(), out.as_mut())
            && let Some(message) = conn.next_prefetched()
        {
            *out = message;
            return ws_status::WS_OK as i32;
        }
        guard::null_first(out.cast::<*mut ws_message>());
        unless_nothing(conn, |conn| {
            let out = guard::out(out)?;
            let mut loan = BatchBuilder::of(PREFETCHED);
            let found = conn.alive()?.read_and_prefetch(|room, view| {
                let wants_more = loan.take(room, view);
                conn.lent.store(loan.lent, Ordering::Relaxed);
                wants_more
            })?;
            if found {
                *out = MessageBatch::messages(loan.lent);
            }
            Ok(found)
        })
    }
}

/// Reads the next message and all complete messages already received behind it, as many as fit
/// into one call.
///
/// `(*out)[0]` to `(*out)[*count - 1]` are messages as from ws_read_message(). All of them are
/// valid until the next read on this connection. Answers queued meanwhile with ws_queue_message()
/// are sent together by ws_write_pending().
///
/// Returns the statuses of ws_read_message(). `*out` is NULL and `*count` is 0 unless WS_OK is
/// returned.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `out` and `count` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_read_messages(
    conn: *mut ws_conn,
    out: *mut *const *const ws_message,
    count: *mut usize,
) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::null_first(out.cast::<*mut *const ws_message>());
        if let Some(count) = count.as_mut() {
            *count = 0;
        }
        unless_nothing(conn, |conn| {
            let (out, count) = (guard::out(out)?, guard::out(count)?);
            let mut loan = BatchBuilder::of(usize::MAX);
            let found = conn.alive()?.read_many(|room, view| loan.take(room, view))?;
            if found {
                (*out, *count) = (MessageBatch::pointers(loan.lent), loan.len);
            }
            Ok(found)
        })
    }
}

/// Sends a message of a kind (a value of ws_kind), or queues what the transport does not accept
/// now. `data` is not used after the call. A WS_PONG is sent ahead of queued messages and replaces
/// a Pong that has not been sent yet. A WS_CLOSE is ws_close() with code 1000 and `data` as the
/// reason.
///
/// On a blocking connection, this waits for room in the queue and until the transport has accepted
/// the message. WS_OPT_WRITE_TIMEOUT_MS ends the wait but not the connection: a message that was
/// accepted stays accepted. If the connection ends meanwhile, the call returns and reports it.
///
/// This function never returns WS_ERR_WOULD_BLOCK. Returns WS_OK: the whole message was accepted,
/// that is, sent or queued. Otherwise:
/// - WS_ERR_SEND_QUEUE_FULL: not accepted, nothing has changed. Call ws_write_pending(), then send
///   the message again.
/// - WS_ERR_CAPACITY: the message exceeds WS_OPT_MAX_SENT_SIZE. Nothing has changed.
/// - WS_ERR_UTF8: a text or a close reason is not valid UTF-8. Nothing has changed.
/// - WS_ERR_INVALID_ARGUMENT: `conn` is NULL, `data` is NULL although `len` is not 0, there is no
///   such kind, a Ping or Pong is longer than 125 bytes, or a close reason is longer than 123
///   bytes. Nothing has changed.
/// - WS_ERR_MISUSE: the opening handshake is not complete, or a message is being sent in
///   fragments. Nothing has changed.
/// - WS_ERR_CONNECTION_CLOSED: not accepted: the connection is closing, or a write has failed
///   before. From a blocking call also: the connection ended while the message was waiting, and
///   another thread has been told the cause.
/// - WS_ERR_ALREADY_CLOSED: WS_ERR_CONNECTION_CLOSED has been returned before, and the connection
///   is over.
/// - WS_ERR_IO, WS_ERR_TLS: nothing can be sent any more. Reported once; read on for what has been
///   received, until WS_ERR_CONNECTION_CLOSED.
/// - WS_ERR_TIMEOUT: a deadline passed, and the connection is over.
/// - WS_ERR_NO_MEMORY: a buffer could not be allocated.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `data` is NULL or has `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_write_message(
    conn: *mut ws_conn,
    kind: i32,
    data: *const c_void,
    len: usize,
) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        unless_full(conn, |conn| {
            let message = outgoing(kind, data, len)?;
            conn.alive()?.write(&message)
        })
    }
}

/// Sends received messages, of this or another connection, all together: for a relay or an echo. A
/// WS_CLOSE among them is skipped; call ws_close() to close. `*accepted` is the number of
/// messages, from the first on, that were sent, queued or skipped; it is also set when the call
/// fails.
///
/// Returns the statuses of ws_write_message(). WS_ERR_SEND_QUEUE_FULL: there was no room for the
/// message after the first `*accepted` ones; call ws_write_pending(), then continue with that
/// message. WS_ERR_INVALID_ARGUMENT also: `accepted` or a message is NULL.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `messages` is NULL or points to `count` messages that the
/// library lends; `accepted` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_write_messages(
    conn: *mut ws_conn,
    messages: *const *const ws_message,
    count: usize,
    accepted: *mut usize,
) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        if let Some(accepted) = accepted.as_mut() {
            *accepted = 0;
        }
        unless_full(conn, |conn| {
            let accepted = guard::out(accepted)?;
            let messages = guard::values(messages, count)?;
            let message = |place: usize, out: &mut Outgoing<'_>| {
                let Some(message) = messages.get(place).and_then(|message| message.as_ref()) else {
                    return Err(Error::InvalidArgument("a message is NULL"));
                };
                let is_close = message.kind == ws_kind::WS_CLOSE as i32;
                if !is_close {
                    *out = outgoing(message.kind, message.data.cast(), message.len)?;
                }
                Ok(!is_close)
            };
            conn.alive()?.write_many(count, message, accepted)
        })
    }
}

/// Like ws_write_message(), but only queues the message. It is sent, together with all other
/// queued ones, by the next write, by ws_write_pending(), or by a read that needs more bytes.
///
/// Returns the statuses of ws_write_message() except WS_ERR_IO, WS_ERR_TLS and WS_ERR_TIMEOUT.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `data` is NULL or has `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_queue_message(
    conn: *mut ws_conn,
    kind: i32,
    data: *const c_void,
    len: usize,
) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        unless_full(conn, |conn| {
            let message = outgoing(kind, data, len)?;
            conn.alive()?.queue(&message)
        })
    }
}

/// Messages that are prefetched come to no more bytes than this: they are to be in the cache still when they are handed out.
const PREFETCHED: usize = 16 << 10;

/// A message framed once, to be sent by many connections.
#[derive(Debug)]
pub struct ws_prepared {
    message: Prepared,
}

/// Frames a WS_TEXT or WS_BINARY message once, to be sent many times with ws_write_prepared(). The
/// bytes are copied.
///
/// Returns WS_OK: `*out` is the prepared message; free it with ws_prepared_free(). Otherwise
/// `*out` is NULL, and the status is:
/// - WS_ERR_UTF8: a text is not valid UTF-8.
/// - WS_ERR_INVALID_ARGUMENT: `out` is NULL, `data` is NULL although `len` is not 0, or it is
///   another kind.
/// - WS_ERR_NO_MEMORY: a buffer could not be allocated.
///
/// # Safety
/// `data` is NULL or has `len` bytes; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_prepare_message(
    kind: i32,
    data: *const c_void,
    len: usize,
    out: *mut *mut ws_prepared,
) -> ws_status_t {
    guard::call(|| {
        // SAFETY: by the caller's word.
        let (out, message) = unsafe {
            guard::null_first(out);
            (guard::out(out)?, outgoing(kind, data, len)?)
        };
        let message = match message {
            Outgoing::Text(text) => Prepared::text(text),
            Outgoing::Binary(data) => Prepared::binary(data),
            _ => Err(Error::InvalidArgument("only text and binary messages can be prepared")),
        }?;
        *out = Box::into_raw(Box::new(ws_prepared { message }));
        Ok(())
    })
}

/// Frees a prepared message. Connections that have queued it still send it. NULL is a no-op.
///
/// # Safety
/// `prepared` is NULL or was returned by ws_prepare_message() and has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_prepared_free(prepared: *mut ws_prepared) {
    if !prepared.is_null() {
        // SAFETY: by the caller's word it came out of Box::into_raw, and is not used again.
        drop(unsafe { Box::from_raw(prepared) });
    }
}

/// Like ws_write_message(), for a prepared message. A server sends the bytes as they are; if it
/// has to queue them, all connections share them. A client has to copy and mask them. The message
/// is sent uncompressed. Any number of threads may send the same prepared message.
///
/// Returns the statuses of ws_write_message(). WS_ERR_INVALID_ARGUMENT also: `prepared` is NULL.
///
/// # Safety
/// `conn` is NULL or a connection, `prepared` is NULL or a prepared message, that have not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_write_prepared(conn: *mut ws_conn, prepared: *const ws_prepared) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        unless_full(conn, |conn| {
            let prepared = prepared.as_ref().ok_or(Error::InvalidArgument("the prepared message is NULL"))?;
            conn.alive()?.write_prepared(&prepared.message)
        })
    }
}

/// Sends the next fragment of a text or binary message; `is_final` is 1 for the last one, else 0.
/// All fragments of a message have the same kind. A text may be split anywhere. Pings, Pongs and a
/// Close may be sent between fragments, other messages may not.
///
/// Returns the statuses of ws_write_message(). WS_ERR_MISUSE also: the kind differs from that of
/// the first fragment. WS_ERR_INVALID_ARGUMENT also: the kind is neither WS_TEXT nor WS_BINARY, or
/// `is_final` is neither 0 nor 1.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `data` is NULL or has `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_write_fragment(
    conn: *mut ws_conn,
    kind: i32,
    data: *const c_void,
    len: usize,
    is_final: i32,
) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        unless_full(conn, |conn| {
            let data = guard::bytes(data.cast(), len)?;
            let is_final = match is_final {
                0 => false,
                1 => true,
                _ => return Err(Error::InvalidArgument("is_final must be 0 or 1")),
            };
            conn.alive()?.write_fragment(self::kind(kind)?, data, is_final)
        })
    }
}

/// Sends what is pending.
///
/// Returns WS_OK when nothing is left to send. Otherwise:
/// - WS_ERR_WOULD_BLOCK: the transport does not accept all of it; in memory mode: ws_output() has
///   more.
/// - WS_ERR_CONNECTION_CLOSED: after a Close: the connection is over, as from ws_read_message(),
///   returned once. Also after a failed write: there may still be messages to read.
/// - WS_ERR_ALREADY_CLOSED: WS_ERR_CONNECTION_CLOSED has been returned before, and the connection
///   is over.
/// - WS_ERR_IO, WS_ERR_TLS: as from ws_write_message().
/// - WS_ERR_TIMEOUT: a deadline passed, and the connection is over.
/// - WS_ERR_INVALID_ARGUMENT: `conn` is NULL.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_write_pending(conn: *mut ws_conn) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe { guard::call_on(conn, |conn| conn.alive()?.write_pending()) }
}

/// Starts the closing handshake: queues a Close behind the messages accepted before. There is
/// always room for it. Code 0 sends neither code nor reason. Then read until
/// WS_ERR_CONNECTION_CLOSED. Calling it again has no effect.
///
/// It never waits for the peer, even on a blocking connection; at most it waits while a call on
/// another thread computes or is in a callback. From then on WS_OPT_CLOSE_TIMEOUT_MS runs, which
/// ends the connection and every wait on it.
///
/// Returns WS_OK, or:
/// - WS_ERR_INVALID_ARGUMENT: `conn` is NULL, `reason` is NULL although `len` is not 0, the code
///   may not be sent (RFC 6455 section 7.4; allowed are 1000 to 1003, 1007 to 1014 and 3000 to
///   4999), the reason is longer than 123 bytes, or code 0 has a reason.
/// - WS_ERR_UTF8: the reason is not valid UTF-8.
/// - WS_ERR_MISUSE: the opening handshake is not complete.
/// - WS_ERR_ALREADY_CLOSED: WS_ERR_CONNECTION_CLOSED has been returned before.
/// - WS_ERR_IO, WS_ERR_TLS: the transport failed.
/// - WS_ERR_NO_MEMORY: a buffer could not be allocated.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `reason` is NULL or has `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_close(
    conn: *mut ws_conn,
    code: u16,
    reason: *const c_char,
    len: usize,
) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        unless_full(conn, |conn| {
            let frame = match (code, guard::text(reason.cast(), len)?) {
                (0, "") => None,
                (0, _) => return Err(Error::InvalidArgument("a close reason needs a code")),
                (code, reason) => Some((CloseCode(code), reason)),
            };
            conn.alive()?.write(&Outgoing::Close(frame))
        })
    }
}

/// Runs a call that may find the queue full, which is a status and no error.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
unsafe fn unless_full(conn: *const ws_conn, call: impl FnOnce(&ws_conn) -> Result<Enqueue>) -> ws_status_t {
    let mut accepted = Enqueue::Accepted;
    // SAFETY: passed on from the caller.
    let status = unsafe {
        guard::call_on(conn, |conn| {
            accepted = call(conn)?;
            if accepted == Enqueue::Full {
                conn.remember_status(ws_status::WS_ERR_SEND_QUEUE_FULL);
            }
            Ok(())
        })
    };
    if accepted == Enqueue::Full { ws_status::WS_ERR_SEND_QUEUE_FULL as i32 } else { status }
}

/// A call that reads; whether it found something.
///
/// # Safety
/// `conn` is NULL or a handle that has not been freed.
#[inline]
unsafe fn unless_nothing(conn: *const ws_conn, call: impl FnOnce(&ws_conn) -> Result<bool>) -> ws_status_t {
    let mut found = true;
    // SAFETY: passed on from the caller.
    let status = unsafe {
        guard::call_on(conn, |conn| {
            found = call(conn)?;
            if !found {
                conn.has_nothing_to_say();
            }
            Ok(())
        })
    };
    if found { status } else { ws_status::WS_ERR_WOULD_BLOCK as i32 }
}

/// # Safety
/// As for [`guard::bytes`].
#[inline]
unsafe fn outgoing<'a>(kind: i32, data: *const c_void, len: usize) -> Result<Outgoing<'a>> {
    // SAFETY: passed on from the caller.
    unsafe {
        Ok(match self::kind(kind)? {
            Kind::Text => Outgoing::Text(guard::text(data.cast(), len)?),
            Kind::Binary => Outgoing::Binary(guard::bytes(data.cast(), len)?),
            Kind::Ping => Outgoing::Ping(guard::bytes(data.cast(), len)?),
            Kind::Pong => Outgoing::Pong(guard::bytes(data.cast(), len)?),
            Kind::Close => Outgoing::Close(Some((CloseCode::NORMAL, guard::text(data.cast(), len)?))),
        })
    }
}

#[inline]
fn kind(kind: i32) -> Result<Kind> {
    const TEXT: i32 = ws_kind::WS_TEXT as i32;
    const BINARY: i32 = ws_kind::WS_BINARY as i32;
    const CLOSE: i32 = ws_kind::WS_CLOSE as i32;
    const PING: i32 = ws_kind::WS_PING as i32;
    const PONG: i32 = ws_kind::WS_PONG as i32;
    match kind {
        TEXT => Ok(Kind::Text),
        BINARY => Ok(Kind::Binary),
        CLOSE => Ok(Kind::Close),
        PING => Ok(Kind::Ping),
        PONG => Ok(Kind::Pong),
        _ => Err(Error::InvalidArgument("no such kind of message")),
    }
}
