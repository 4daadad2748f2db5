//! Waiting for the socket: outside the lock, planned under it, and woken by whoever changes what the wait was planned by.

use super::waiters::Waits;
use super::{Locked, SharedConnection};
use crate::error::{Error, Result};
use crate::net::clock;
use crate::net::wait::{self, Interest, Waited, Wakers};
use crate::proto::connection::Phase;
use crate::proto::deadline::NEVER;
use std::time::{Duration, Instant};

const NO_SOCKET: Error = Error::Misuse("this connection has no socket to wait for");

impl SharedConnection {
    /// Waits until a read or a write has something to do, for `timeout` at most; whether it has. Beside a thread that
    /// reads, it waits for room for what is to be sent only.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool> {
        let until = end_of(Instant::now(), timeout);
        let mut inner = self.lock_parked()?;
        inner.transport().raw_socket().ok_or(NO_SOCKET)?;
        loop {
            if matches!(inner.view().phase(), Phase::Ended) {
                return Err(Error::AlreadyClosed);
            }
            let due = inner.next_deadline();
            let beside_reader = inner.is_read_from();
            if (!beside_reader && inner.has_input()) || (due != NEVER && due <= clock::now_ms()) {
                return Ok(true);
            }
            let mut interest = inner.interest();
            interest.read &= !beside_reader;
            let waited;
            (inner, waited) = self.wait_for(inner, Waits::Otherwise, interest, until)?;
            match waited {
                Waited::Ready => return Ok(true),
                // Another thread has changed something: perhaps there is something else to wait for now.
                Waited::Called => {}
                Waited::TimedOut => return Ok(false),
            }
        }
    }

    /// Waits, outside the lock, for room to write, for as long as a blocking write may take.
    pub(super) fn wait_to_write<'a>(
        &'a self,
        inner: Locked<'a>,
        began: &mut Option<Instant>,
    ) -> Result<(Locked<'a>, Waited)> {
        let began = *began.get_or_insert_with(Instant::now);
        let until = end_of(began, inner.settings().write_timeout);
        let interest = inner.transport.interest_to_write();
        let (mut inner, waited) = self.wait_for(inner, Waits::Otherwise, interest, until)?;
        inner.unpark();
        Ok((inner, if is_past(until) { Waited::TimedOut } else { waited }))
    }

    /// Waits, outside the lock, and can be woken by another thread. The end of the time is not told where something has
    /// fallen due on the connection's own clock by then.
    pub(super) fn wait_for<'a>(
        &'a self,
        mut inner: Locked<'a>,
        waits: Waits,
        interest: Interest,
        until: Option<Instant>,
    ) -> Result<(Locked<'a>, Waited)> {
        let socket = inner.transport.raw_socket().ok_or(NO_SOCKET)?;
        let due = clock::instant_of(inner.next_deadline());
        let ends_in_deadline = due.is_some_and(|due| until.is_none_or(|until| due < until));
        let waker = Wakers::take();
        inner.waiters.get_or_insert_default().enter(waits, waker.as_ref());
        drop(inner);
        let until = if ends_in_deadline { due } else { until };
        let waited = wait::wait(socket, interest, until, waker.as_deref());
        let mut inner = self.lock_parked()?;
        let was_called = inner.waiters.as_mut().is_some_and(|waiters| waiters.leave(waits, waker.as_ref()));
        if let Some(waker) = waker {
            Wakers::put(waker, was_called);
        }
        inner.transport.after_wait();
        let waited = match waited? {
            Waited::TimedOut if ends_in_deadline => Waited::Called,
            waited => waited,
        };
        Ok((inner, waited))
    }
}

/// A call that began before the end, and waited until another thread was told of it, is told of the end, too, and of no misuse.
pub(super) fn ended_while_it_waited(error: Error) -> Error {
    match error {
        Error::AlreadyClosed => Error::ConnectionClosed,
        other => other,
    }
}

pub(super) fn is_past(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() >= until)
}

pub(super) fn end_of(began: Instant, timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| began.checked_add(timeout))
}
