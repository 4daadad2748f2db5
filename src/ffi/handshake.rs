//! # Opening handshake
//!
//! Strings and pointers that these functions return are valid until ws_free(), unless
//! WS_OPT_KEEP_HEAD is off.

use crate::error::Result;
use crate::ffi::connection::ws_conn;
use crate::ffi::guard;
use crate::ffi::types::{ws_status, ws_status_t};
use crate::head::Head;
use std::ffi::{CString, c_char};
use std::ptr;

/// Performs the opening handshake, as far as possible without waiting if the connection is
/// non-blocking. If the handshake is already complete, the call has no effect.
///
/// Returns WS_OK when the handshake is complete. On a server with WS_OPT_AUTO_ACCEPT off, WS_OK
/// also means that it has stopped at WS_STATE_REQUEST for ws_accept() or ws_reject(). Otherwise:
/// - WS_ERR_WOULD_BLOCK: waiting for the peer; if blocking, WS_OPT_READ_TIMEOUT_MS has passed.
/// - WS_ERR_HANDSHAKE: the handshake was refused or malformed; ws_http_status() and ws_http_body()
///   return the server's answer.
/// - WS_ERR_CAPACITY: the HTTP head exceeds WS_OPT_MAX_HEAD_SIZE.
/// - WS_ERR_IO: connecting or the transport failed; see ws_io_error().
/// - WS_ERR_TLS: the TLS session failed.
/// - WS_ERR_PROXY: the proxy refused the connection, the host is not a proxy, or the environment
///   names no usable proxy.
/// - WS_ERR_TIMEOUT: WS_OPT_HANDSHAKE_TIMEOUT_MS or WS_OPT_CONNECT_TIMEOUT_MS has passed.
/// - WS_ERR_NO_MEMORY: a buffer could not be allocated.
/// - WS_ERR_CONNECTION_CLOSED, WS_ERR_ALREADY_CLOSED: the handshake has failed before, or the
///   connection is over.
/// - WS_ERR_MISUSE: another thread is inside a read.
/// - WS_ERR_INVALID_ARGUMENT: `conn` is NULL.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_handshake(conn: *mut ws_conn) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe { guard::call_on(conn, |conn| conn.alive()?.handshake().map(|_| ())) }
}

/// Returns the method of the request that a server has received: "GET", unless
/// WS_OPT_PLAIN_REQUESTS is on. NULL if there is no request yet, and on a client.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_request_method(conn: *const ws_conn) -> *const c_char {
    // SAFETY: by the caller's word.
    unsafe { from_head(conn, |head| (head.status() == 0).then(|| head.method_cstr().as_ptr())) }
}

/// Returns 1 if the request that a server has received is a WebSocket request, which ws_accept()
/// can accept. Returns 0 for other requests (see WS_OPT_PLAIN_REQUESTS), if there is no request
/// yet, and on a client.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_is_upgrade(conn: *const ws_conn) -> i32 {
    // SAFETY: by the caller's word.
    unsafe { guard::ask(conn, 0, |conn| conn.alive()?.look(|inner| inner.view().is_upgrade().into())) }
}

/// Returns the target of the request that a server has received, for example "/chat?room=1". NULL
/// if there is no request yet, and on a client.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_request_target(conn: *const ws_conn) -> *const c_char {
    // SAFETY: by the caller's word.
    unsafe { from_head(conn, |head| (head.status() == 0).then(|| head.target_cstr().as_ptr())) }
}

/// Returns the value of the first header with this name (case-insensitive) that the peer sent,
/// without surrounding white space. NULL if there is none.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `name` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_header(conn: *const ws_conn, name: *const c_char) -> *const c_char {
    // SAFETY: by the caller's word.
    let Ok(name) = (unsafe { guard::string(name) }) else { return ptr::null() };
    // SAFETY: by the caller's word.
    unsafe { from_head(conn, |head| head.header_cstr(name).map(|value| value.as_ptr())) }
}

/// Stores name and value of the peer's header number `index`, counting from 0, in `*name` and
/// `*value`.
///
/// Returns WS_OK, or, with `*name` and `*value` NULL:
/// - WS_ERR_INVALID_ARGUMENT: an argument is NULL, or there are no more headers; the latter does
///   not count as a failure and leaves ws_error_message() unchanged.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `name` and `value` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_header_at(
    conn: *const ws_conn,
    index: usize,
    name: *mut *const c_char,
    value: *mut *const c_char,
) -> ws_status_t {
    let mut found = true;
    // SAFETY: by the caller's word.
    let status = unsafe {
        guard::null_first(name.cast::<*mut c_char>());
        guard::null_first(value.cast::<*mut c_char>());
        guard::call_on(conn, |conn| {
            let (name, value) = (guard::out(name)?, guard::out(value)?);
            conn.alive()?.look(|inner| {
                match inner.view().head().and_then(|head| head.header_cstr_at(index)) {
                    Some((its_name, its_value)) => (*name, *value) = (its_name.as_ptr(), its_value.as_ptr()),
                    None => found = false,
                }
            })
        })
    };
    if found { status } else { ws_status::WS_ERR_INVALID_ARGUMENT as i32 }
}

/// Returns the negotiated subprotocol, or NULL if there is none.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_protocol(conn: *const ws_conn) -> *const c_char {
    // SAFETY: by the caller's word.
    unsafe {
        guard::ask(conn, ptr::null(), |conn| {
            if let Some(protocol) = conn.cold().protocol.get() {
                return Ok(protocol.as_ptr());
            }
            let agreed = conn.alive()?.look(|inner| inner.view().protocol().map(str::to_owned))?;
            // A token has no NUL.
            let agreed = agreed.and_then(|protocol| CString::new(protocol).ok());
            Ok(agreed.map_or(ptr::null(), |agreed| conn.cold().protocol.get_or_init(|| agreed).as_ptr()))
        })
    }
}

/// Returns the HTTP status of the server's answer to a client: 101 if it accepted. 0 before the
/// answer, and on a server.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_http_status(conn: *const ws_conn) -> i32 {
    // SAFETY: by the caller's word.
    unsafe {
        guard::ask(conn, 0, |conn| {
            conn.alive()?.look(|inner| inner.view().head().map_or(0, |head| head.status().into()))
        })
    }
}

/// Stores the body with which the server refused a client, up to WS_OPT_MAX_HEAD_SIZE bytes of it,
/// in `*data` and `*len`. `*len` is 0 if there is none.
///
/// Returns WS_OK, or:
/// - WS_ERR_INVALID_ARGUMENT: an argument is NULL.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `data` and `len` are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_http_body(
    conn: *const ws_conn,
    data: *mut *const u8,
    len: *mut usize,
) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::null_first(data.cast::<*mut u8>());
        guard::call_on(conn, |conn| {
            let (data, len) = (guard::out(data)?, guard::out(len)?);
            conn.alive()?.look(|inner| {
                let body = inner.view().head().map_or(&[][..], Head::body);
                (*data, *len) = (body.as_ptr(), body.len());
            })
        })
    }
}

/// On a server at WS_STATE_REQUEST: adds a header to the response that ws_accept() or ws_reject()
/// will send, after those of the configuration.
///
/// Returns WS_OK, or:
/// - WS_ERR_INVALID_ARGUMENT: an argument is NULL, name or value is not allowed by the HTTP
///   grammar (for example CR, LF or NUL), or the header belongs to the handshake.
/// - WS_ERR_MISUSE: there is no request.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `name` and `value` are NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_add_header(
    conn: *mut ws_conn,
    name: *const c_char,
    value: *const c_char,
) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on(conn, |conn| {
            let (name, value) = (guard::string(name)?, guard::string(value)?);
            conn.alive()?.with(|inner| inner.add_header(name, value))?
        })
    }
}

/// On a server at WS_STATE_REQUEST: accepts the request. `protocol` is one of the subprotocols
/// that the client offered; NULL selects the first one of the configuration that was offered. The
/// response includes the headers of the configuration.
///
/// Returns WS_OK when the connection is open. Otherwise:
/// - WS_ERR_INVALID_ARGUMENT: `conn` is NULL, or `protocol` was not offered; the request still
///   waits.
/// - WS_ERR_MISUSE: there is no request, or it is not a WebSocket request (see ws_is_upgrade());
///   the request still waits.
/// - WS_ERR_ALREADY_CLOSED: WS_ERR_CONNECTION_CLOSED has been returned before.
/// - WS_ERR_IO, WS_ERR_TLS: the transport failed.
/// - WS_ERR_NO_MEMORY: a buffer could not be allocated.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `protocol` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_accept(conn: *mut ws_conn, protocol: *const c_char) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on(conn, |conn| {
            let protocol = guard::optional_string(protocol)?;
            conn.alive()?.with(|inner| inner.accept(protocol))?
        })
    }
}

/// On a server at WS_STATE_REQUEST: answers the request with an HTTP status from 200 to 599 and a
/// body, which is text/plain unless a header of the configuration says otherwise, and ends the
/// connection. The response contains "Connection: close". Then call ws_write_pending() until it
/// returns WS_ERR_CONNECTION_CLOSED.
///
/// No body is sent where HTTP allows none (status 204, 205 and 304, and any answer to HEAD, which
/// only gets the length).
///
/// Returns WS_OK, or:
/// - WS_ERR_INVALID_ARGUMENT: `conn` is NULL, `body` is NULL although `len` is not 0, or the
///   status is not allowed; the request still waits.
/// - WS_ERR_MISUSE: there is no request.
/// - WS_ERR_ALREADY_CLOSED: WS_ERR_CONNECTION_CLOSED has been returned before.
/// - WS_ERR_IO, WS_ERR_TLS: the transport failed.
/// - WS_ERR_NO_MEMORY: a buffer could not be allocated.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `body` is NULL or has `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_reject(
    conn: *mut ws_conn,
    http_status: i32,
    body: *const c_char,
    len: usize,
) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on(conn, |conn| {
            let body = guard::bytes(body.cast(), len)?;
            let status = u16::try_from(http_status).unwrap_or_default();
            conn.alive()?.with(|inner| inner.reject(status, body))?
        })
    }
}

/// # Safety
/// `conn` is NULL or a connection that has not been freed.
unsafe fn from_head(
    conn: *const ws_conn,
    find: impl FnOnce(&Head) -> Option<*const c_char>,
) -> *const c_char {
    // SAFETY: passed on from the caller.
    unsafe {
        guard::ask(conn, ptr::null(), |conn| -> Result<*const c_char> {
            let found = conn.alive()?.look(|inner| inner.view().head().and_then(find))?;
            Ok(found.unwrap_or(ptr::null()))
        })
    }
}
