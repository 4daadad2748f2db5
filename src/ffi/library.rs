//! LIBRARY. Version and words. These functions may be called at any time from any thread.

use crate::ffi::sentence;
use crate::ffi::status;
use crate::ffi::types::{WS_ABI_VERSION, ws_status, ws_status_t};
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
