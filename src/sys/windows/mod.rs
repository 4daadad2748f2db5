//! Windows. What is needed without sockets is here, the rest in its files: sockets and their addresses in [`net`], waiting for
//! a few in [`poll`], what pollers wait with in [`watch`], what a connection waits for while it is being opened in [`bundle`],
//! and [`thread`].

#[cfg(feature = "net")]
mod bundle;
#[cfg(feature = "net")]
mod net;
#[cfg(feature = "net")]
mod poll;
#[cfg(feature = "net")]
mod thread;
#[cfg(feature = "net")]
mod watch;

#[cfg(feature = "net")]
pub(crate) use self::{bundle::*, net::*, poll::*, thread::*, watch::*};

use std::io::{self, Write};
use windows_sys::Win32::Foundation::{GetLastError, SetLastError};
use windows_sys::Win32::Networking::WinSock::{WSAEINTR, WSAEWOULDBLOCK};
use windows_sys::Win32::System::Diagnostics::Debug::{
    FORMAT_MESSAGE_FROM_SYSTEM, FORMAT_MESSAGE_IGNORE_INSERTS, FormatMessageW,
};

unsafe extern "C" {
    /// The errno of this thread, in the C library that this one is linked with.
    fn _errno() -> *mut i32;
}

/// Sets what `WSAGetLastError`, `GetLastError` and `errno` of this thread give.
pub(crate) fn set_errno(code: i32) {
    // SAFETY: it points at this thread's errno, which is always there.
    unsafe { *_errno() = code };
    // SAFETY: always allowed. WSAGetLastError gives the same number.
    unsafe { SetLastError(code as u32) };
}

/// The error with this number, which a callback gave: the C library's EAGAIN, EWOULDBLOCK and EINTR, which are
/// no numbers of sockets, mean what Winsock's do.
pub(crate) fn error_of(code: i32) -> io::Error {
    const EAGAIN: i32 = 11;
    const EWOULDBLOCK: i32 = 140;
    const EINTR: i32 = 4;
    match code {
        EAGAIN | EWOULDBLOCK => io::Error::from_raw_os_error(WSAEWOULDBLOCK),
        EINTR | WSAEINTR => io::ErrorKind::Interrupted.into(),
        other => io::Error::from_raw_os_error(other),
    }
}

/// Writes the system's words for an error, and a NUL, without taking memory. There are some for unknown numbers, too.
pub(crate) fn describe_error(code: i32, room: &mut [u8]) {
    let mut wide = [0u16; 512];
    // SAFETY: the pointer and length are those of a live, writable array; without inserts there are no arguments.
    let length = unsafe {
        FormatMessageW(
            FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS,
            std::ptr::null(),
            code as u32,
            0,
            wide.as_mut_ptr(),
            wide.len() as u32,
            std::ptr::null(),
        )
    };
    if length == 0 {
        describe_unknown(code, room);
        return;
    }
    // They end with a line's end.
    let words = wide.get(..length as usize).unwrap_or_default().trim_ascii_end_wide();
    let mut length = 0;
    for character in char::decode_utf16(words.iter().copied()) {
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        match room.get_mut(length..).filter(|left| left.len() > character.len_utf8()) {
            Some(left) => length += character.encode_utf8(left).len(),
            None => break,
        }
    }
    if let Some(end) = room.get_mut(length) {
        *end = 0;
    }
}

/// As io::Error does.
fn describe_unknown(code: i32, room: &mut [u8]) {
    // SAFETY: always allowed.
    let why = unsafe { GetLastError() };
    let length = room.len();
    let mut left = &mut *room;
    // It fails where the rest does not fit.
    let _ = write!(left, "OS Error {code} (FormatMessageW() returned error {why})\0");
    if left.is_empty()
        && let Some(last) = room.get_mut(length.saturating_sub(1))
    {
        *last = 0;
    }
}

/// Text without the white space at its end.
trait TrimWide {
    fn trim_ascii_end_wide(&self) -> &Self;
}

impl TrimWide for [u16] {
    fn trim_ascii_end_wide(&self) -> &Self {
        let is_space = |unit: &u16| u8::try_from(*unit).is_ok_and(|byte| byte.is_ascii_whitespace());
        let length = self.iter().rposition(|unit| !is_space(unit)).map_or(0, |last| last + 1);
        &self[..length]
    }
}

/// There is no fork() here, so a process stays the one that it is.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn wipe_on_fork(_start: *mut core::ffi::c_void, _len: usize) -> bool {
    true
}
