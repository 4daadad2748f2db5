//! # Library
//!
//! Version, status texts and URLs. These functions may be called at any time and from any thread.

use crate::error::Error;
use crate::ffi::types::{WS_ABI_VERSION, ws_status, ws_status_t};
use crate::ffi::{guard, sentence, status};
use crate::proto::handshake::Url;
use std::ffi::{CStr, c_char};

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// Returns the ABI version of the loaded library. If it differs from WS_ABI_VERSION, the library
/// does not match this header.
#[unsafe(no_mangle)]
pub extern "C" fn ws_abi_version() -> u32 {
    WS_ABI_VERSION
}

/// Returns the version of the loaded library: major * 1000000 + minor * 1000 + patch.
#[unsafe(no_mangle)]
pub extern "C" fn ws_version_number() -> u32 {
    let part = |text: &str| text.parse::<u32>().unwrap_or_default();
    part(env!("CARGO_PKG_VERSION_MAJOR")) * 1_000_000
        + part(env!("CARGO_PKG_VERSION_MINOR")) * 1_000
        + part(env!("CARGO_PKG_VERSION_PATCH"))
}

/// Returns the version of the loaded library, for example "0.2.0". The string is static.
#[unsafe(no_mangle)]
pub extern "C" fn ws_version_string() -> *const c_char {
    VERSION.as_ptr()
}

/// Returns the name of a status, for example "WS_ERR_IO", or "unknown status". The string is
/// static.
#[unsafe(no_mangle)]
pub extern "C" fn ws_status_name(status: ws_status_t) -> *const c_char {
    status::name(status).as_ptr()
}

/// Returns a short description of a status, or "unknown status". The string is static.
/// ws_error_message() describes the actual failure of a connection, ws_last_error_message() one
/// that no connection records.
#[unsafe(no_mangle)]
pub extern "C" fn ws_status_message(status: ws_status_t) -> *const c_char {
    status::meaning(status).as_ptr()
}

/// Describes the last failure on this thread that no connection records: of functions that create
/// a handle (ws_connect(), ws_listen() and so on), of calls on configurations, listeners and
/// pollers, and of calls with a NULL handle.
///
/// Returns a string of at most 511 bytes, never NULL; "" if there was no such failure, or if the
/// last one was WS_ERR_WOULD_BLOCK. A call that succeeds does not change it. It is valid until the
/// next such failure on this thread. It needs no allocation.
#[unsafe(no_mangle)]
pub extern "C" fn ws_last_error_message() -> *const c_char {
    sentence::last()
}

/// Returns 1 if a connection on which a call returned this status can carry no more messages, else
/// 0. A status alone does not tell whether a limit was exceeded by the peer or by the caller:
/// WS_ERR_CAPACITY and WS_ERR_UTF8 count as fatal, but from a write they only reject the message.
#[unsafe(no_mangle)]
pub extern "C" fn ws_status_is_fatal(status: ws_status_t) -> i32 {
    let harmless = [
        ws_status::WS_OK,
        ws_status::WS_ERR_WOULD_BLOCK,
        ws_status::WS_ERR_SEND_QUEUE_FULL,
        ws_status::WS_ERR_INVALID_ARGUMENT,
        ws_status::WS_ERR_MISUSE,
        ws_status::WS_ERR_UNSUPPORTED,
    ];
    i32::from(!harmless.iter().any(|harmless| *harmless as i32 == status))
}

/// Checks a URL as ws_connect() does, without opening anything, and returns its host and port.
///
/// The host is written to `host`, which has room for `capacity` bytes, as a NUL-terminated string:
/// lower case, internationalised names in their ASCII form (IDNA), addresses in their canonical
/// form, IPv6 without brackets; "localhost" for ws+unix://. This is the host that will be looked
/// up and sent to the server, so a program that only allows certain hosts has to compare this
/// string: "ws://0x7f.1/" leads to 127.0.0.1. `*port` is 80, or 443 for wss://, if the URL
/// contains no port.
///
/// Returns WS_OK, or:
/// - WS_ERR_URL: the URL is not valid or not supported.
/// - WS_ERR_INVALID_ARGUMENT: an argument is NULL, `url` is not UTF-8, or `capacity` is too small
///   for the host.
///
/// # Safety
/// `url` is NULL or NUL-terminated; `host` is NULL or has room for `capacity` bytes; `port` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_url_check(
    url: *const c_char,
    host: *mut c_char,
    capacity: usize,
    port: *mut u16,
) -> ws_status_t {
    guard::call(|| {
        // SAFETY: by the caller's word.
        let (url, room, port) =
            unsafe { (guard::string(url)?, guard::room(host.cast::<u8>(), capacity)?, guard::out(port)?) };
        let url = Url::parse(url)?;
        let host = url.host().as_bytes();
        match room.split_at_mut_checked(host.len()) {
            Some((place, [end, ..])) => {
                place.copy_from_slice(host);
                *end = 0;
            }
            _ => return Err(Error::InvalidArgument("the capacity is too small for the host")),
        }
        *port = url.port();
        Ok(())
    })
}
