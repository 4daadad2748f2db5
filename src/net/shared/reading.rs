//! Calls that read: one thread at a time, and without the lock where messages have been prefetched.

use super::inner::Inner;
use super::waiters::Waits;
use super::waiting::{end_of, ended_while_it_waited, is_past};
use super::{CALLED_BACK, Locked, SharedConnection};
use crate::error::{Error, Result};
use crate::message::MessageView;
use crate::net::pool::MessageSlots;
use crate::proto::connection::Opening;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Messages that one read found behind the one it was called for, by their places, the first being that one's: `next` is at
/// least 1 and at most `end`. The next reads hand them out without the lock.
#[derive(Debug, Clone, Copy)]
struct BatchCursor {
    next: u16,
    end: u16,
}

impl SharedConnection {
    /// Drives the opening handshake until it is done, or until a server has a request to decide on that it does not
    /// take by itself.
    pub fn handshake(&self) -> Result<Opening> {
        let _reader = self.begin_to_read()?;
        self.read_around(self.lock()?, Inner::handshake)
    }

    /// Reads the next message and shows it to `take`, and with it those behind it that lie there whole, for as long as
    /// `take` wants more. Their memory stays until the next read, and so does the room that `take` is given for its notes.
    /// Does the opening handshake first, where that is not done. False, or `WouldBlock`: there is nothing for now.
    #[inline]
    pub fn read_many(
        &self,
        mut take: impl FnMut(&mut MessageSlots, &MessageView<'_>) -> bool,
    ) -> Result<bool> {
        self.read_unless_drained(&mut take, |inner, take| inner.read_many(take).map(|_| ()))
    }

    /// [`read_many`](Self::read_many), where all messages but the first count as not read yet: they are handed out one by
    /// one by [`next_prefetched`](Self::next_prefetched), or by the next reads.
    #[inline]
    pub fn read_and_prefetch(
        &self,
        mut take: impl FnMut(&mut MessageSlots, &MessageView<'_>) -> bool,
    ) -> Result<bool> {
        self.read_unless_drained(&mut take, |inner, take| {
            let may_hand_out = inner.connection().may_hand_out();
            let (start, behind) = inner.read_many(&mut |room, view| take(room, view) && may_hand_out)?;
            if behind > 0 {
                inner.connection_mut().prefetch(start);
                self.cursor.store(BatchCursor { next: 1, end: behind + 1 }.into(), Ordering::Relaxed);
            }
            Ok(())
        })
    }

    /// A turn of a program that has other things to do: sends what is pending, receives once at most, and shows `take` the
    /// messages, for as long as it wants more, and whether each stays until the next read, or until the next is looked for.
    /// Waits for nothing. Whether there may be more at once.
    pub fn service(&self, mut take: impl FnMut(&MessageView<'_>, bool) -> bool) -> Result<bool> {
        let _reader = self.begin_to_read()?;
        let mut inner = self.lock()?;
        self.end_prefetch(&mut inner);
        match inner.service(&mut take) {
            Err(error) if error.is_would_block() => Ok(false),
            Err(error) => inner.told(error),
            more => more,
        }
    }

    /// The place of the next message among those of the last [`read_and_prefetch`](Self::read_and_prefetch), which counts as read from now
    /// on: it can be read without the lock. None where anything else has to be done before: something waits to be sent,
    /// the connection is closing, it was configured. For the one thread that reads.
    #[inline(always)]
    pub fn next_prefetched(&self) -> Option<u16> {
        let cursor = BatchCursor::from(self.cursor.load(Ordering::Relaxed));
        if cursor.next >= cursor.end || !self.monitor.is_batch_valid() {
            return None;
        }
        // Nobody else changes it, so that it needs no exchange.
        self.cursor.store(BatchCursor { next: cursor.next + 1, ..cursor }.into(), Ordering::Relaxed);
        Some(cursor.next)
    }

    /// A read, unless it is known that there is nothing: who reads until then asks once too often each time, and that is to
    /// cost little (a third of the instructions).
    #[inline]
    fn read_unless_drained<T: FnMut(&mut MessageSlots, &MessageView<'_>) -> bool>(
        &self,
        take: &mut T,
        mut read: impl FnMut(&mut Inner, &mut T) -> Result<()>,
    ) -> Result<bool> {
        let _reader = self.begin_to_read()?;
        let mut inner = self.lock()?;
        self.end_prefetch(&mut inner);
        if inner.rest_if_drained() {
            return Ok(false);
        }
        self.read_around(inner, |inner| read(inner, take)).map(|()| true)
    }

    /// What was prefetched and not handed out is to be read still.
    #[inline]
    fn end_prefetch(&self, inner: &mut Inner) {
        if let Some(BatchCursor { next, end }) = self.take_cursor() {
            inner.connection_mut().handed_out(next - 1, end - next);
        }
    }

    #[inline]
    fn take_cursor(&self) -> Option<BatchCursor> {
        match self.cursor.load(Ordering::Relaxed) {
            0 => None,
            cursor => {
                self.cursor.store(0, Ordering::Relaxed);
                Some(cursor.into())
            }
        }
    }

    /// A call that reads; repeated, with waits in between, where the connection is a blocking one.
    #[inline]
    fn read_around<'a, R>(
        &'a self,
        mut inner: Locked<'a>,
        mut call: impl FnMut(&mut Inner) -> Result<R>,
    ) -> Result<R> {
        match call(&mut inner) {
            Ok(result) => Ok(result),
            Err(error) if error.is_would_block() && inner.blocks() => self.read_waiting(inner, call),
            Err(error) if error.is_would_block() => {
                inner.rest();
                Err(error)
            }
            Err(error) => inner.told(error),
        }
    }

    fn read_waiting<'a, R>(
        &'a self,
        mut inner: Locked<'a>,
        mut call: impl FnMut(&mut Inner) -> Result<R>,
    ) -> Result<R> {
        let began = Instant::now();
        let result = loop {
            inner.rest();
            let until = end_of(began, inner.settings().read_timeout);
            if inner.has_input() {
                // It lies in the buffer or in the TLS session, where the socket does not show it. Others have their turn first.
                drop(inner);
                inner = self.lock()?;
            } else {
                let interest = inner.interest();
                inner = self.wait_for(inner, Waits::ToRead, interest, until)?.0;
                inner.unpark();
            }
            // Whatever the wait has ended with: a peer that sends nothing but parts or Pings holds nobody up.
            let is_over = is_past(until);
            match call(&mut inner) {
                Err(error) if error.is_would_block() && inner.blocks() && !is_over => {}
                other => break other,
            }
        };
        result.or_else(|error| inner.told(ended_while_it_waited(error)))
    }

    /// For the one thread that reads: meanwhile others are refused, whether it holds the lock, waits for it, or waits for the
    /// peer. Two that begin in the same instant may both get in, one after the other: the lock keeps them apart.
    #[inline(always)]
    fn begin_to_read(&self) -> Result<Reader<'_>> {
        if self.reading.load(Ordering::Relaxed) {
            return Err(self.refuse_to_read());
        }
        self.reading.store(true, Ordering::Relaxed);
        Ok(Reader(&self.reading))
    }

    #[cold]
    fn refuse_to_read(&self) -> Error {
        match self.is_held_here() {
            true => CALLED_BACK,
            false => Error::Misuse("another thread is reading from this connection"),
        }
    }
}

impl From<u32> for BatchCursor {
    #[inline]
    fn from(both: u32) -> Self {
        Self { next: both as u16, end: (both >> 16) as u16 }
    }
}

impl From<BatchCursor> for u32 {
    #[inline]
    fn from(cursor: BatchCursor) -> Self {
        Self::from(cursor.end) << 16 | Self::from(cursor.next)
    }
}

/// The one thread that reads, for as long as it is inside.
struct Reader<'a>(&'a AtomicBool);

impl Drop for Reader<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
