//! What failed last where no connection keeps it: a sentence for each thread. It lies in a place of fixed size without a
//! destructor, so that it can be said that memory has run out, and the library can be unloaded. What does not fit is cut
//! between characters.

use crate::error::Error;
use crate::sys;
use std::cell::Cell;
use std::ffi::c_char;
use std::fmt::{self, Write};

/// Bytes, the NUL included.
const ROOM: usize = 512;

thread_local! {
    static LAST: Cell<[u8; ROOM]> = const { Cell::new([0; ROOM]) };
}

/// Keeps the words of an error. "Not now" has none.
#[cold]
pub(super) fn keep(error: &Error) {
    let mut text = Text { bytes: [0; ROOM], len: 0 };
    if !error.is_would_block() {
        // It fails where the text is cut.
        let _ = text.describe(error);
    }
    LAST.with(|last| last.set(text.bytes));
}

/// Where the words are.
pub(super) fn last() -> *const c_char {
    LAST.with(|last| last.as_ptr().cast())
}

struct Text {
    bytes: [u8; ROOM],
    len: usize,
}

impl Text {
    fn describe(&mut self, error: &Error) -> fmt::Result {
        match error {
            Error::Io(io) => match io.raw_os_error() {
                Some(code) => {
                    self.describe_code(code);
                    write!(self, " (os error {code})")
                }
                None => write!(self, "{error}"),
            },
            _ => write!(self, "{error}"),
        }
    }

    /// The system's words, for which std would take memory. It has some for numbers that it does not know, too.
    fn describe_code(&mut self, code: i32) {
        let room = &mut self.bytes[self.len..];
        sys::describe_error(code, room);
        self.len += room.iter().position(|byte| *byte == 0).unwrap_or_default();
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut fits = text.len().min(ROOM - 1 - self.len);
        while !text.is_char_boundary(fits) {
            fits -= 1;
        }
        self.bytes[self.len..self.len + fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.len += fits;
        if fits < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::TlsError;
    use std::ffi::CStr;
    use std::io;

    fn kept(error: impl Into<Error>) -> String {
        keep(&error.into());
        // SAFETY: it ends with a NUL, and stays as long as this thread.
        unsafe { CStr::from_ptr(last()) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_sentence_that_is_too_long_is_cut_between_characters() {
        for (start, len) in [("", 510), ("x", 511)] {
            let cut = kept(TlsError::new(format!("{start}{}", "ä".repeat(1000))));
            assert_eq!(cut.len(), len);
            assert!(cut.strip_prefix(start).unwrap().chars().all(|c| c == 'ä'));
        }
        assert_eq!(kept(Error::NoMemory), "out of memory");
    }

    #[test]
    fn an_error_of_the_system_has_its_words_and_its_number() {
        for code in [libc::ENOENT, libc::EADDRINUSE, 99999] {
            let error = io::Error::from_raw_os_error(code);
            let said = error.to_string();
            assert_eq!(kept(error), said);
        }
        assert_eq!(kept(io::Error::from(io::ErrorKind::WouldBlock)), "");
        assert_eq!(kept(io::Error::other("mine")), "mine");
    }
}
