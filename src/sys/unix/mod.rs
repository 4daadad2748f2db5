//! Unix. What is needed without sockets is here, the rest in [`net`] and [`thread`].

#[cfg(feature = "net")]
mod net;
#[cfg(feature = "net")]
mod thread;

#[cfg(feature = "net")]
pub(crate) use self::{net::*, thread::*};

use std::io;

/// Where the system keeps the certificates that it trusts. From Android 14 on they come with updates of a module, and the older
/// place is not kept up.
#[cfg(target_os = "android")]
pub(crate) const ROOT_FOLDERS: [&str; 2] =
    ["/apex/com.android.conscrypt/cacerts", "/system/etc/security/cacerts"];

/// Sets the errno of this thread.
pub(crate) fn set_errno(code: i32) {
    #[cfg(any(target_os = "linux", target_os = "emscripten"))]
    // SAFETY: it points at this thread's errno, which is always there.
    unsafe {
        *libc::__errno_location() = code;
    }
    #[cfg(target_os = "android")]
    // SAFETY: as above.
    unsafe {
        *libc::__errno() = code;
    }
    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    // SAFETY: as above.
    unsafe {
        *libc::__error() = code;
    }
}

/// The error with this number, which a callback gave.
#[inline(always)]
pub(crate) fn error_of(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

/// Writes the system's words for an error, and a NUL, without taking memory. There are some for unknown numbers, too.
pub(crate) fn describe_error(code: i32, room: &mut [u8]) {
    // SAFETY: the pointer and length are those of a live, writable slice.
    unsafe { libc::strerror_r(code, room.as_mut_ptr().cast(), room.len()) };
}

/// Whether the child of a fork() will find this memory zeroed.
///
/// # Safety
/// It is a whole number of pages, stays for ever, and has a meaning where it is zero, also while it is used.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) unsafe fn wipe_on_fork(start: *mut libc::c_void, len: usize) -> bool {
    // SAFETY: by the caller's word the memory is nobody else's, and may become zero in a child.
    let advise = |advice: libc::c_int| unsafe { libc::madvise(start, len, advice) == 0 };
    // Some emulators say yes to everything.
    !advise(-1) && advise(libc::MADV_WIPEONFORK)
}

/// There is no such thing here.
///
/// # Safety
/// None is needed.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) unsafe fn wipe_on_fork(_start: *mut libc::c_void, _len: usize) -> bool {
    false
}
