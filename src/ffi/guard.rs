//! What every C function needs: checked pointers, caught panics, and errors turned into a status that the handle
//! remembers the words of.

use crate::error::{Error, Result};
use crate::ffi::sentence;
use crate::ffi::status;
use crate::ffi::types::{ws_status, ws_status_t};
use crate::proto::utf8;
use crate::sys;
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What remembers the words of its errors.
pub(super) trait Handle {
    /// Keeps the words of an error, and says its status.
    fn remember(&self, error: &Error) -> ws_status;
    /// A panic went through it.
    fn poison(&self);
}

/// The same, for what one thread at a time uses.
pub(super) trait ConfigHandle {
    /// Keeps the words of an error.
    fn remember(&mut self, error: &Error);
}

/// Runs a call that has no connection to remember its error: the thread does, and errno says why the system refused.
pub(super) fn call(body: impl FnOnce() -> Result<()>) -> ws_status_t {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => ws_status::WS_OK as i32,
        Ok(Err(error)) => failed(&error),
        Err(_) => failed(&Error::Internal),
    }
}

/// Runs a call on a configuration, which remembers what went wrong, as the thread does.
///
/// # Safety
/// `config` is NULL or a configuration that has not been freed.
pub(super) unsafe fn call_on_config<C: ConfigHandle>(
    config: *mut C,
    body: impl FnOnce(&mut C) -> Result<()>,
) -> ws_status_t {
    call(|| {
        // SAFETY: passed on from the caller.
        let config = unsafe { config.as_mut() }.ok_or(Error::InvalidArgument("the configuration is NULL"))?;
        body(config).inspect_err(|error| config.remember(error))
    })
}

/// The status of an error that the thread remembers.
fn failed(error: &Error) -> ws_status_t {
    sentence::keep(error);
    if let Error::Io(error) = error {
        sys::set_errno(error.raw_os_error().unwrap_or_default());
    }
    status::of(error) as i32
}

/// Runs a call on a connection, which remembers what went wrong.
///
/// # Safety
/// `conn` is NULL or a handle that has not been freed.
pub(super) unsafe fn call_on<C: Handle>(conn: *const C, body: impl FnOnce(&C) -> Result<()>) -> ws_status_t {
    // SAFETY: passed on from the caller.
    let Some(conn) = (unsafe { conn.as_ref() }) else { return no_connection() };
    match catch_unwind(AssertUnwindSafe(|| body(conn))) {
        Ok(Ok(())) => ws_status::WS_OK as i32,
        Ok(Err(error)) => conn.remember(&error) as i32,
        Err(_) => {
            conn.poison();
            conn.remember(&Error::Internal) as i32
        }
    }
}

/// Runs a call on a connection and another handle: the connection and the thread remember what went wrong.
///
/// # Safety
/// `conn` is NULL or a handle that has not been freed.
pub(super) unsafe fn call_on_both<C: Handle>(
    conn: *const C,
    body: impl FnOnce(&C) -> Result<()>,
) -> ws_status_t {
    // SAFETY: passed on from the caller.
    unsafe { call_on(conn, |conn| body(conn).inspect_err(sentence::keep)) }
}

/// The status of a call on NULL.
#[cold]
pub(super) fn no_connection() -> ws_status_t {
    failed(&Error::InvalidArgument("the connection is NULL"))
}

/// Asks a connection something; `otherwise` for NULL, a dead handle, or a panic.
///
/// # Safety
/// `conn` is NULL or a handle that has not been freed.
pub(super) unsafe fn ask<C: Handle, R>(
    conn: *const C,
    otherwise: R,
    body: impl FnOnce(&C) -> Result<R>,
) -> R {
    // SAFETY: passed on from the caller.
    let Some(conn) = (unsafe { conn.as_ref() }) else { return otherwise };
    match catch_unwind(AssertUnwindSafe(|| body(conn))) {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => otherwise,
        Err(_) => {
            conn.poison();
            otherwise
        }
    }
}

/// A slice of the caller's. NULL with length 0 is an empty one.
///
/// # Safety
/// `data` is NULL or points to `len` readable bytes that stay until the call returns.
pub(super) unsafe fn bytes<'a>(data: *const u8, len: usize) -> Result<&'a [u8]> {
    // SAFETY: passed on from the caller.
    unsafe { values(data, len) }
}

/// Values of the caller's. NULL with length 0 is none.
///
/// # Safety
/// `values` is NULL or points to `len` values that stay until the call returns.
pub(super) unsafe fn values<'a, T>(values: *const T, len: usize) -> Result<&'a [T]> {
    match (values.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Error::InvalidArgument("a pointer is NULL although its length is not 0")),
        (false, _) if len > isize::MAX as usize / size_of::<T>() => {
            Err(Error::InvalidArgument("a length is too large for any buffer"))
        }
        // SAFETY: not NULL, not too long, and the rest is passed on from the caller.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(values, len) }),
    }
}

/// Room of the caller's for some values.
///
/// # Safety
/// `room` is NULL or points to `len` writable values that nobody else uses until the call returns.
pub(super) unsafe fn room<'a, T>(room: *mut T, len: usize) -> Result<&'a mut [T]> {
    match (room.is_null(), len) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(Error::InvalidArgument("a pointer is NULL although its length is not 0")),
        (false, _) if len > isize::MAX as usize / size_of::<T>() => {
            Err(Error::InvalidArgument("a length is too large for any buffer"))
        }
        // SAFETY: not NULL, not too long, and the rest is passed on from the caller.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts_mut(room, len) }),
    }
}

/// Text of the caller's.
///
/// # Safety
/// As for [`bytes`].
pub(super) unsafe fn text<'a>(data: *const u8, len: usize) -> Result<&'a str> {
    // SAFETY: passed on from the caller.
    let bytes = unsafe { bytes(data, len) }?;
    match utf8::is_valid(bytes) {
        // SAFETY: it is.
        true => Ok(unsafe { str::from_utf8_unchecked(bytes) }),
        false => Err(Error::Utf8),
    }
}

/// A C string of the caller's.
///
/// # Safety
/// `string` is NULL or points to a NUL-terminated string that stays until the call returns.
pub(super) unsafe fn string<'a>(string: *const c_char) -> Result<&'a str> {
    if string.is_null() {
        return Err(Error::InvalidArgument("a string is NULL"));
    }
    // SAFETY: not NULL, and the rest is passed on from the caller.
    unsafe { CStr::from_ptr(string) }
        .to_str()
        .map_err(|_| Error::InvalidArgument("a string is not valid UTF-8"))
}

/// A C string of the caller's, or `None` for NULL.
///
/// # Safety
/// As for [`string`].
pub(super) unsafe fn optional_string<'a>(pointer: *const c_char) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: passed on from the caller.
    unsafe { string(pointer) }.map(Some)
}

/// A place for a result.
///
/// # Safety
/// `out` is NULL or points to a writable `T` that nobody else uses until the call returns.
pub(super) unsafe fn out<'a, T>(out: *mut T) -> Result<&'a mut T> {
    // SAFETY: passed on from the caller.
    match unsafe { out.as_mut() } {
        Some(out) => Ok(out),
        // Not made before it is needed, for it would have to be dropped.
        None => Err(Error::InvalidArgument("the pointer for the result is NULL")),
    }
}

/// Sets the place for a pointer to NULL, so that it is that wherever the call fails.
///
/// # Safety
/// As for [`out`].
pub(super) unsafe fn null_first<T>(out: *mut *mut T) {
    if !out.is_null() {
        // SAFETY: not NULL, and writable by the caller's word.
        unsafe { out.write(std::ptr::null_mut()) };
    }
}
