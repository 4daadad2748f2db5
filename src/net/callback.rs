//! A transport made of two functions of the caller's. They may block; they hold up the connection while they do.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};

/// Receives into the slice: how many bytes, 0 at the end of the stream.
pub(crate) type Receive = Box<dyn FnMut(&mut [u8]) -> io::Result<usize> + Send>;
/// Sends from the slice: how many bytes were taken.
pub(crate) type Transmit = Box<dyn FnMut(&[u8]) -> io::Result<usize> + Send>;

/// See the module.
pub struct Callback {
    receive: Receive,
    send: Transmit,
}

impl Callback {
    /// Joins the two functions.
    pub fn new(receive: Receive, send: Transmit) -> Self {
        Self { receive, send }
    }
}

impl Read for Callback {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        (self.receive)(space)
    }
}

impl Write for Callback {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match (self.send)(bytes)? {
            n if n > bytes.len() => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the callback reports more bytes sent than it was given",
            )),
            n => Ok(n),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut total = 0;
        for slice in slices.iter().filter(|slice| !slice.is_empty()) {
            match self.write(slice) {
                Ok(n) if n == slice.len() => total += n,
                Ok(n) => return Ok(total + n),
                // What has been taken counts; the error comes again.
                Err(_) if total > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}
