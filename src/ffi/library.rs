//! LIBRARY. Version, words and URLs. These functions may be called at any time from any thread.

use crate::error::Error;
use crate::ffi::types::{WS_ABI_VERSION, ws_status, ws_status_t};
use crate::ffi::{guard, sentence, status};
use crate::proto::handshake::Url;
use std::ffi::{CStr, c_char};

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// The ABI version of the library that was loaded. Where it is not WS_ABI_VERSION, the header belongs to another one.
#[unsafe(no_mangle)]
pub extern "C" fn ws_abi_version() -> u32 {
    WS_ABI_VERSION
}

/// The version of the library that was loaded: major * 1000000 + minor * 1000 + patch.
#[unsafe(no_mangle)]
pub extern "C" fn ws_version_number() -> u32 {
    let part = |text: &str| text.parse::<u32>().unwrap_or_default();
    part(env!("CARGO_PKG_VERSION_MAJOR")) * 1_000_000
        + part(env!("CARGO_PKG_VERSION_MINOR")) * 1_000
        + part(env!("CARGO_PKG_VERSION_PATCH"))
}

/// The version of the library that was loaded, for instance "0.1.0". Static.
#[unsafe(no_mangle)]
pub extern "C" fn ws_version_string() -> *const c_char {
    VERSION.as_ptr()
}

/// The name of a status, for instance "WS_ERR_IO"; "unknown status" for a number that is none. Static.
#[unsafe(no_mangle)]
pub extern "C" fn ws_status_name(status: ws_status_t) -> *const c_char {
    status::name(status).as_ptr()
}

/// The meaning of a status in a few words. ws_error_message() says more about a particular failure of a connection,
/// ws_last_error_message() about one that no connection keeps. Static.
#[unsafe(no_mangle)]
pub extern "C" fn ws_status_message(status: ws_status_t) -> *const c_char {
    status::meaning(status).as_ptr()
}

/// What went wrong last on this thread where no connection keeps it, in a sentence: in ws_connect(), ws_listen() and what
/// else makes a handle, in calls on configurations, listeners and pollers, and where a handle was NULL. "" where nothing
/// did, and after WS_ERR_WOULD_BLOCK; never NULL. A call that succeeds leaves it as it is. It stays until the next of these
/// calls on this thread that fails, at most 511 bytes, and needs no memory.
#[unsafe(no_mangle)]
pub extern "C" fn ws_last_error_message() -> *const c_char {
    sentence::last()
}

/// 1 where a connection that gave this status can carry no more messages, else 0.
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

/// Checks a URL as ws_connect() does, opens nothing, and says where it leads.
///
/// The host is copied to `host`, room for `capacity` bytes, with a NUL at the end: in small letters,
/// names in other scripts by IDNA, addresses in their usual form, IPv6 without brackets; "localhost"
/// for ws+unix://. It is what will be looked up and what the server is told, so a program that
/// allows some hosts only compares this: "ws://0x7f.1/" leads to 127.0.0.1. *port is 80, or 443 for
/// wss://, where the URL names none.
///
/// WS_OK; WS_ERR_URL: it cannot be used; WS_ERR_INVALID_ARGUMENT: NULL, not UTF-8, or too little
/// room for the host.
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
            _ => return Err(Error::InvalidArgument("there is too little room for the host")),
        }
        *port = url.port();
        Ok(())
    })
}
