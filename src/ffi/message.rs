//! MESSAGES. Every read and write first tries to send what is pending. A received Ping is answered by itself, and so is
//! a Close; both answers leave with the next call at the latest, if the transport takes them.

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

/// Reads the next message. Completes the opening handshake first, where that is not done.
///
/// *out is NULL but for WS_OK. The message belongs to the connection until the next read on it, by whichever thread; other
/// calls leave it alone, and it may be passed straight to ws_write_message(). When the peer closes, its Close comes as a
/// message of kind WS_CLOSE; its answer is queued: read on, until CONNECTION_CLOSED.
///
/// WS_OK: *out is a message. WS_ERR_WOULD_BLOCK: nothing complete yet; blocking, WS_OPT_READ_TIMEOUT_MS ran out. It also
/// ends a call that does not block where the peer sends much and no message: ws_has_input() is 1 then, and a poller and
/// ws_wait() report the connection again.
/// WS_ERR_PROTOCOL, WS_ERR_UTF8, WS_ERR_CAPACITY: the peer broke a rule or a limit. The Close that says so is queued, and
/// the connection is over: read on, until CONNECTION_CLOSED. WS_ERR_CONNECTION_CLOSED: the closing handshake is done, or
/// the stream has ended; ws_close_code() tells. Once; then WS_ERR_ALREADY_CLOSED. WS_ERR_IO, WS_ERR_TLS, WS_ERR_PROXY,
/// WS_ERR_TIMEOUT, WS_ERR_HANDSHAKE (as from ws_handshake()): the connection is over; read on here, too. WS_ERR_MISUSE:
/// another thread is inside a read, or a request waits for ws_accept(). WS_ERR_NO_MEMORY. WS_ERR_INVALID_ARGUMENT: NULL.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_read_message(conn: *mut ws_conn, out: *mut *const ws_message) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        if let (Some(conn), Some(out)) = (conn.as_ref(), out.as_mut())
            && let Some(message) = conn.next_ahead()
        {
            *out = message;
            return ws_status::WS_OK as i32;
        }
        guard::null_first(out.cast::<*mut ws_message>());
        unless_nothing(conn, |conn| {
            let out = guard::out(out)?;
            let mut loan = BatchBuilder::of(PREFETCHED);
            let found = conn.alive()?.read_ahead(|room, view| {
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

/// Reads the next message, and with it those behind it that lie there whole, as many as one call hands out.
///
/// (*out)[0] to (*out)[*count - 1] are messages as ws_read_message() gives them, and all of them stay until the next read on
/// this connection. Answers that are queued meanwhile (ws_queue_message) leave together, with ws_write_pending().
///
/// Statuses as ws_read_message(); *out is NULL and *count 0 but for WS_OK.
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
        unless_nothing(conn, |conn| {
            let (out, count) = (guard::out(out)?, guard::out(count)?);
            *count = 0;
            let mut loan = BatchBuilder::of(usize::MAX);
            let found = conn.alive()?.read_many(|room, view| loan.take(room, view))?;
            if found {
                (*out, *count) = (MessageBatch::pointers(loan.lent), loan.len);
            }
            Ok(found)
        })
    }
}

/// Sends a message of a kind (ws_kind), or queues what the transport does not take. The bytes are used before this
/// returns. A WS_PONG jumps the queue, and replaces one that has not been sent. A WS_CLOSE is ws_close() with code 1000
/// and the bytes as its reason. Blocking, this waits until the transport has taken the message, and for room in the
/// queue before that; where the connection ends meanwhile, it returns and says so. WS_OPT_WRITE_TIMEOUT_MS ends the wait,
/// and not the connection: a message that was accepted stays accepted.
///
/// WS_OK: accepted whole, and sent or queued. WS_ERR_SEND_QUEUE_FULL: not accepted, and nothing has changed: call
/// ws_write_pending(), then send it again. Never WOULD_BLOCK. WS_ERR_CAPACITY: over WS_OPT_MAX_MESSAGE_SIZE; WS_ERR_UTF8:
/// a text that is not UTF-8; WS_ERR_INVALID_ARGUMENT: NULL, no such kind, a Ping or Pong over 125 bytes, a reason over
/// 123; WS_ERR_MISUSE: the opening handshake is not done, or a message is being sent in fragments: all of these change
/// nothing. WS_ERR_CONNECTION_CLOSED: closing, or a write has failed, not accepted; blocking, also that the connection ended
/// while the message waited, of which another thread was told why. WS_ERR_ALREADY_CLOSED. WS_ERR_IO, WS_ERR_TLS: nothing can
/// be sent any more, which is told once; read on for what has arrived, until CONNECTION_CLOSED.
/// WS_ERR_TIMEOUT: the connection is over. WS_ERR_NO_MEMORY.
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

/// Sends messages that were read, on this connection or another, all of them together: for a relay, or an echo. A WS_CLOSE
/// among them is passed over; to close is a decision of its own. *accepted tells how many were sent or queued (or passed
/// over), from the first on.
///
/// Statuses as ws_write_message(). WS_ERR_SEND_QUEUE_FULL: the message after the *accepted first ones found no room; after
/// ws_write_pending(), go on with it.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `messages` is NULL or points at `count` messages that the
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
        unless_full(conn, |conn| {
            let accepted = guard::out(accepted)?;
            *accepted = 0;
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

/// ws_write_message() without sending: the message leaves with the next write, ws_write_pending(), or read that needs
/// more bytes, all queued ones together.
///
/// Statuses as ws_write_message(), without WS_ERR_IO, WS_ERR_TLS and WS_ERR_TIMEOUT.
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

/// Frames a WS_TEXT or WS_BINARY once, for ws_write_prepared(). The bytes are copied.
///
/// WS_OK: *out is the message, to be freed with ws_prepared_free(); WS_ERR_UTF8: a text that is not UTF-8;
/// WS_ERR_INVALID_ARGUMENT: NULL, or another kind; WS_ERR_NO_MEMORY. *out is NULL then.
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
            _ => Err(Error::InvalidArgument("only texts and binary messages can be prepared")),
        }?;
        *out = Box::into_raw(Box::new(ws_prepared { message }));
        Ok(())
    })
}

/// Frees a prepared message; connections that have it queued send it all the same. NULL is fine.
///
/// # Safety
/// `prepared` is NULL or came from ws_prepare_message() and has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_prepared_free(prepared: *mut ws_prepared) {
    if !prepared.is_null() {
        // SAFETY: by the caller's word it came out of Box::into_raw, and is not used again.
        drop(unsafe { Box::from_raw(prepared) });
    }
}

/// ws_write_message() for a prepared message. A server sends the bytes as they are, and where it has to queue them it
/// queues no copy: all connections share them. It goes uncompressed; a client masks a copy. Any number of threads may send
/// one prepared message.
///
/// Statuses as ws_write_message().
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

/// Sends the next fragment of a text or binary message; the last one has `is_final` 1. All of them have the same kind.
/// Text may be cut anywhere. Pings, Pongs and a Close may be sent in between, other messages not.
///
/// Statuses as ws_write_message(); WS_ERR_MISUSE also for another kind than the first fragment's.
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
                _ => return Err(Error::InvalidArgument("is_final is 0 or 1")),
            };
            conn.alive()?.write_fragment(self::kind(kind)?, data, is_final)
        })
    }
}

/// Sends what is pending.
///
/// WS_OK: nothing is left to send. WS_ERR_WOULD_BLOCK: the transport does not take it all. After a Close:
/// WS_ERR_CONNECTION_CLOSED, once, when the connection is over, as from ws_read_message(); then WS_ERR_ALREADY_CLOSED.
/// WS_ERR_IO, WS_ERR_TLS: as from ws_write_message(), and from then on WS_ERR_CONNECTION_CLOSED: there may be messages to
/// read. WS_ERR_TIMEOUT: the connection is over. WS_ERR_INVALID_ARGUMENT: NULL.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_write_pending(conn: *mut ws_conn) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe { guard::call_on(conn, |conn| conn.alive()?.write_pending()) }
}

/// Begins the closing handshake: queues a Close, for which there is always room, behind what was accepted before. Code 0
/// sends neither code nor reason. Then read on, until CONNECTION_CLOSED. Calling it again is harmless.
///
/// It never waits for the peer, blocking or not: only for a call of another thread that is computing or in a callback. From
/// now on WS_OPT_CLOSE_TIMEOUT_MS runs, and ends every wait on the connection with it.
///
/// WS_OK; WS_ERR_INVALID_ARGUMENT: NULL, a code that must not be sent (RFC 6455 section 7.4: 1000 to 1003, 1007 to 1014
/// and 3000 to 4999 may), a reason over 123 bytes, or one with code 0; WS_ERR_UTF8: a reason that is not UTF-8;
/// WS_ERR_MISUSE: the opening handshake is not done; WS_ERR_ALREADY_CLOSED; WS_ERR_IO; WS_ERR_NO_MEMORY.
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
                (0, _) => return Err(Error::InvalidArgument("a reason needs a code")),
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
