//! THE OPENING HANDSHAKE. Strings and pointers that these functions return stay until ws_free().

use crate::error::Result;
use crate::ffi::connection::ws_conn;
use crate::ffi::guard;
use crate::ffi::types::{ws_status, ws_status_t};
use crate::head::Head;
use std::ffi::{CString, c_char};
use std::ptr;

/// Drives the opening handshake. Calling it again when it is done is harmless.
///
/// WS_OK: it is done; or a server has stopped at WS_STATE_REQUEST for ws_accept() or ws_reject(), which with
/// WS_OPT_AUTO_ACCEPT off is how it says that. WS_ERR_WOULD_BLOCK: the peer is waited for. WS_ERR_HANDSHAKE: refused, or
/// malformed; ws_http_status() and ws_http_body() tell what the server said. WS_ERR_CAPACITY: the HTTP head is over
/// WS_OPT_MAX_HEAD_SIZE. WS_ERR_IO, WS_ERR_TLS, WS_ERR_PROXY, WS_ERR_TIMEOUT, WS_ERR_NO_MEMORY. WS_ERR_CONNECTION_CLOSED, WS_ERR_ALREADY_CLOSED:
/// it has failed before. WS_ERR_MISUSE: another thread is inside a read. WS_ERR_INVALID_ARGUMENT: NULL.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_handshake(conn: *mut ws_conn) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe { guard::call_on(conn, |conn| conn.alive()?.handshake().map(|_| ())) }
}

/// The method of the request that a server has received: "GET", unless WS_OPT_PLAIN_REQUESTS is on. NULL
/// before that, and on a client.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_request_method(conn: *const ws_conn) -> *const c_char {
    // SAFETY: by the caller's word.
    unsafe { from_head(conn, |head| (head.status() == 0).then(|| head.method_cstr().as_ptr())) }
}

/// 1 where the request that a server has received would open a WebSocket: ws_accept() can take it. 0 for
/// any other, as WS_OPT_PLAIN_REQUESTS lets them come, before there is one, and on a client.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_is_upgrade(conn: *const ws_conn) -> i32 {
    // SAFETY: by the caller's word.
    unsafe { guard::ask(conn, 0, |conn| conn.alive()?.look(|inner| inner.view().is_upgrade().into())) }
}

/// The target of the request that a server has received, for instance "/chat?room=1". NULL before that, and on a client.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_request_target(conn: *const ws_conn) -> *const c_char {
    // SAFETY: by the caller's word.
    unsafe { from_head(conn, |head| (head.status() == 0).then(|| head.target_cstr().as_ptr())) }
}

/// The value of the first header of this name (in any case) that the peer sent, without white space around it. NULL
/// where there is none.
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

/// Name and value of header number `index`, counted from 0, that the peer sent.
///
/// WS_OK; WS_ERR_INVALID_ARGUMENT: NULL, or there are no more, which is no failure: ws_error_message() stays as it was.
/// *name and *value are NULL then.
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

/// The subprotocol agreed on. NULL where there is none.
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

/// The HTTP status that the server answered a client with: 101 where it accepted. 0 before that, and on a server.
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

/// The body that the server refused a client with, up to WS_OPT_MAX_HEAD_SIZE bytes of it; *len is 0 where there is none.
///
/// WS_OK; WS_ERR_INVALID_ARGUMENT: NULL.
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

/// Server, at WS_STATE_REQUEST: adds a header to this response, behind those of the configuration, for ws_accept() or
/// ws_reject() to send.
///
/// WS_OK; WS_ERR_INVALID_ARGUMENT: NULL, not a header by HTTP's grammar (CR, LF, NUL), or one of the handshake's own;
/// WS_ERR_MISUSE: there is no request.
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

/// Server, at WS_STATE_REQUEST: takes the request. `protocol` is one of the subprotocols that the client offered; NULL
/// takes the first of the configuration's that it offered. The response carries the headers of the configuration.
///
/// WS_OK: messages can flow. WS_ERR_INVALID_ARGUMENT: NULL, or a subprotocol that was not offered: the request still
/// waits. WS_ERR_MISUSE: there is no request, or it is not for WebSocket and still waits (see
/// ws_is_upgrade()). WS_ERR_IO, WS_ERR_NO_MEMORY.
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

/// Server, at WS_STATE_REQUEST: answers the request with an HTTP status from 200 to 599 and a body, plain
/// text unless a header of the configuration says otherwise. That is the end: the answer says
/// "Connection: close". Then call ws_write_pending() until it gives CONNECTION_CLOSED. Where HTTP has no
/// body (204, 205, 304, and every answer to HEAD) none is sent; HEAD gets the length of it.
///
/// WS_OK; WS_ERR_INVALID_ARGUMENT: NULL, or another status: the request still waits. WS_ERR_MISUSE: there is no request.
/// WS_ERR_IO, WS_ERR_NO_MEMORY.
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
