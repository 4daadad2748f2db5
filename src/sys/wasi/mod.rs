//! WASI, preview 1: WebAssembly outside of a browser. There are no sockets, no threads, and no fork().

#[cfg(feature = "net")]
compile_error!("WASI has no sockets: build without the feature `net`");

use std::io;

/// Sets the errno.
pub(crate) fn set_errno(code: i32) {
    // SAFETY: it points at errno, which is always there.
    unsafe { *libc::__errno_location() = code };
}

/// The error with this number, which a callback gave.
pub(crate) fn error_of(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

/// Writes the system's words for an error, and a NUL, without taking memory. There are some for unknown numbers, too.
pub(crate) fn describe_error(code: i32, room: &mut [u8]) {
    // SAFETY: the pointer and length are those of a live, writable slice.
    unsafe { libc::strerror_r(code, room.as_mut_ptr().cast(), room.len()) };
}

/// True: there is no child that could find it otherwise.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn wipe_on_fork(_start: *mut libc::c_void, _len: usize) -> bool {
    true
}
