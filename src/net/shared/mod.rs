//! A connection that several threads may use: a `Driver` over a [`Transport`], behind a lock.
//!
//! Calls are serialised; **a thread blocked on the peer never blocks the others**, for it waits outside the lock, and is
//! woken when another thread changes what it waits for. One thread reads at a time. Blocking is here: a wait with a
//! timeout around calls that never block. Knows threads and time; rules and kinds of socket are others' matter.

mod inner;
mod registration;
mod slot;
#[cfg(test)]
mod tests;
mod transport;
mod view;
mod waiters;

pub use self::inner::Inner;
pub use self::slot::{MessageSlots, Pool};
pub use self::transport::Transport;
pub use self::view::View;

use self::slot::{Active, Slot};
use self::waiters::Waits;
use crate::driver::{Driver, MANY};
use crate::error::{Error, Result};
use crate::message::{Kind, MessageView, Outgoing, Role};
use crate::net::clock;
use crate::net::connect::Connector;
use crate::net::setup::Setup;
use crate::net::signal::{Held, Monitor};
use crate::net::stream::Stream;
use crate::net::wait::{self, Interest, Waited, Wakers};
use crate::proto::closing::State;
use crate::proto::connection::{Connection, Enqueue, Opening};
use crate::proto::deadline::NEVER;
use crate::proto::handshake::{ClientHandshake, ServerHandshake, Url};
use crate::proto::prepared::Prepared;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub struct SharedConnection {
    monitor: Monitor<Inner>,
    /// A [`BatchCursor`]. Written by the one thread that reads.
    cursor: AtomicU32,
    /// A thread is inside a read, with the lock or without.
    reading: AtomicBool,
}

/// Messages that one read found behind the one it was called for, by their places, the first being that one's. The next
/// reads hand them out without the lock.
#[derive(Debug, Clone, Copy)]
struct BatchCursor {
    next: u16,
    end: u16,
}

/// The lock, held.
type Locked<'a> = Held<'a, Inner>;

/// What a call that writes waits for, where it blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// That the message has left, and for room before that.
    ForOutput,
    /// Nothing: a Close always finds room, and whether it gets through is for the reads that follow to find out.
    Never,
}

/// Making one, and what needs no waiting.
impl SharedConnection {
    /// A connection over this transport.
    pub fn new(connection: Connection, transport: Transport, setup: &Arc<Setup>) -> Self {
        let mut inner = Inner {
            transport,
            slot: Slot::Active(Active::new(Driver::new(connection))),
            setup: Arc::clone(setup),
            registration: None,
            waiters: None,
        };
        if inner.transport.has_clock() {
            inner.connection_mut().set_over_socket();
        }
        // The deadlines run from now on.
        let _ = inner.tick();
        Self { monitor: Monitor::new(inner), cursor: AtomicU32::new(0), reading: AtomicBool::new(false) }
    }

    /// A connection whose opening handshake is over; `part` of its frames has been read already.
    pub fn open(setup: &Arc<Setup>, role: Role, part: Vec<u8>) -> Self {
        let connection = Connection::open(role, Arc::clone(&setup.websocket), part);
        Self::new(connection, Transport::Stream(Stream::Memory), setup)
    }

    /// A client of this URL, over a stream that is opened for it.
    pub fn connect(setup: &Arc<Setup>, url: &Url) -> Result<Self> {
        Self::client_over(setup, url, Transport::Connecting(Box::new(Connector::start(url, setup)?)))
    }

    /// A client of this URL.
    pub fn client(setup: &Arc<Setup>, url: &Url, stream: Stream) -> Result<Self> {
        Self::client_over(setup, url, Transport::Stream(stream))
    }

    fn client_over(setup: &Arc<Setup>, url: &Url, transport: Transport) -> Result<Self> {
        let config = Arc::clone(&setup.websocket);
        let (handshake, request) = ClientHandshake::new(url, &setup.handshake, &config)?;
        Ok(Self::new(Connection::client(config, handshake, &request)?, transport, setup))
    }

    /// A server that waits for a request.
    pub fn server(setup: &Arc<Setup>, stream: Stream) -> Self {
        let mut handshake = ServerHandshake::new(&setup.websocket).with_headers(&setup.handshake);
        if setup.settings.auto_accept {
            handshake = handshake.without_plain_requests();
        }
        let connection = Connection::server(Arc::clone(&setup.websocket), handshake);
        Self::new(connection, Transport::Stream(stream), setup)
    }

    /// Gives a connection that was made without one its transport.
    pub fn set_stream(&self, stream: Stream) -> Result<()> {
        self.lock()?.set_stream(stream)
    }

    /// Whether this very thread is in a call on it: this is one of its callbacks then.
    #[inline]
    pub fn is_held_here(&self) -> bool {
        self.monitor.is_held_here()
    }

    /// Looks at the connection, or does a thing to it that needs no waiting.
    #[inline]
    pub fn with<R>(&self, look: impl FnOnce(&mut Inner) -> R) -> Result<R> {
        Ok(look(&mut *self.lock()?))
    }

    /// Does a thing to it that has nothing to do with the protocol, be it that a panic has left the rest in an unknown state.
    /// `None` for a callback of its own.
    fn with_even_if_dead<R>(&self, act: impl FnOnce(&mut Inner) -> R) -> Option<R> {
        if self.is_held_here() {
            return None;
        }
        match self.monitor.lock() {
            Some(mut inner) => Some(act(&mut inner)),
            None => self.monitor.lock_dead().map(|mut inner| act(&mut inner)),
        }
    }

    /// A panic went through a call on it: whoever waits finds out.
    pub fn died(&self) {
        self.with_even_if_dead(|inner| {
            if let Some(waiters) = &mut inner.waiters {
                waiters.call_all();
            }
        });
    }

    /// Looks at what can be said of a connection that is parked, too, without making it active.
    pub fn look<R>(&self, look: impl FnOnce(&Inner) -> R) -> Result<R> {
        Ok(look(&*self.lock_parked()?))
    }
}

/// Calls that may wait.
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
    /// one by [`next_ahead`](Self::next_ahead), or taken back by the next read.
    #[inline]
    pub fn read_ahead(
        &self,
        mut take: impl FnMut(&mut MessageSlots, &MessageView<'_>) -> bool,
    ) -> Result<bool> {
        self.read_unless_drained(&mut take, |inner, take| {
            let is_calm = inner.connection().is_calm();
            let behind = inner.read_many(&mut |room, view| take(room, view) && is_calm)?;
            self.cursor.store(BatchCursor { next: 1, end: behind + 1 }.into(), Ordering::Relaxed);
            Ok(())
        })
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
        inner.connection_mut().take_back(self.forget_ahead());
        if inner.rest_if_drained() {
            return Ok(false);
        }
        self.read_around(inner, |inner| read(inner, take)).map(|()| true)
    }

    /// The place of the next message among those of the last [`read_ahead`](Self::read_ahead), which counts as read from now
    /// on: it can be read without the lock. None where anything else has to be done before: something waits to be sent,
    /// the connection is closing, it was configured. For the one thread that reads.
    #[inline(always)]
    pub fn next_ahead(&self) -> Option<u16> {
        let cursor = BatchCursor::from(self.cursor.load(Ordering::Relaxed));
        if cursor.left() == 0 || !self.monitor.is_batch_valid() {
            return None;
        }
        // Nobody else changes it, so that it needs no exchange.
        self.cursor.store(BatchCursor { next: cursor.next + 1, ..cursor }.into(), Ordering::Relaxed);
        Some(cursor.next)
    }

    #[inline]
    fn forget_ahead(&self) -> u16 {
        let cursor = BatchCursor::from(self.cursor.load(Ordering::Relaxed));
        self.cursor.store(0, Ordering::Relaxed);
        cursor.left()
    }

    /// Sends or queues a message. Blocking, it waits until the message has left, and for room before that; the
    /// message counts as accepted where that wait ends for want of time. A Close waits for nothing.
    pub fn write(&self, message: &Outgoing<'_>) -> Result<Enqueue> {
        let wait = if matches!(message, Outgoing::Close(_)) { Wait::Never } else { Wait::ForOutput };
        self.write_with(wait, |driver, transport| driver.send(transport, message))
    }

    /// Like [`write`](Self::write), for a message that many connections send.
    pub fn write_prepared(&self, message: &Prepared) -> Result<Enqueue> {
        self.write_with(Wait::ForOutput, |driver, transport| driver.send_prepared(transport, message))
    }

    /// Like [`write`](Self::write), for `count` messages that leave together: `message` puts one in its place and says whether
    /// it has; what is no message is passed over. `accepted` counts them; the first one that finds no room ends it.
    pub fn write_many<'a>(
        &self,
        count: usize,
        message: impl Fn(usize, &mut Outgoing<'a>) -> Result<bool>,
        accepted: &mut usize,
    ) -> Result<Enqueue> {
        self.write_with(Wait::ForOutput, |driver, transport| {
            if count == 1 {
                let mut only = Outgoing::Binary(&[]);
                let outcome =
                    if message(0, &mut only)? { driver.send(transport, &only)? } else { Enqueue::Accepted };
                *accepted = usize::from(outcome == Enqueue::Accepted);
                return Ok(outcome);
            }
            while *accepted < count {
                let mut some = [Outgoing::Binary(&[]); MANY];
                let mut len = 0;
                while len < MANY && *accepted + len < count {
                    match message(*accepted + len, &mut some[len]) {
                        Ok(true) => len += 1,
                        Ok(false) if len == 0 => *accepted += 1,
                        Err(error) if len == 0 => {
                            // Those before it are accepted.
                            driver.flush_quietly(transport)?;
                            return Err(error);
                        }
                        // Once those before it are out of the way.
                        _ => break,
                    }
                }
                let (done, outcome) = driver.send_many(transport, &some[..len]);
                *accepted += done;
                match outcome {
                    Ok(Enqueue::Accepted) => {}
                    refused => {
                        driver.flush_quietly(transport)?;
                        return refused;
                    }
                }
            }
            driver.flush_quietly(transport)?;
            Ok(Enqueue::Accepted)
        })
    }

    /// Like [`write`](Self::write), for a fragment of a message.
    pub fn write_fragment(&self, kind: Kind, data: &[u8], is_final: bool) -> Result<Enqueue> {
        self.write_with(Wait::ForOutput, |driver, transport| {
            driver.send_fragment(transport, kind, data, is_final)
        })
    }

    /// Queues a message without sending anything; it leaves with what follows.
    pub fn queue(&self, message: &Outgoing<'_>) -> Result<Enqueue> {
        self.lock()?.connection_mut().queue_corked(message)
    }

    /// Sends what is pending.
    pub fn write_pending(&self) -> Result<()> {
        let mut began = None;
        loop {
            let mut inner = self.lock()?;
            let error = match inner.write_pending() {
                Ok(()) => return Ok(()),
                Err(error) if error.is_would_block() && inner.blocks() => error,
                Err(error) if began.is_some() => return inner.told(ended_while_it_waited(error)),
                Err(error) => return inner.told(error),
            };
            let (_, waited) = self.wait_to_write(inner, &mut began)?;
            if waited == Waited::TimedOut {
                return Err(error);
            }
        }
    }

    /// Waits until a read or a write has something to do, for `timeout` at most; whether it has. Beside a thread that
    /// reads, it waits for room for what is to be sent only.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool> {
        let until = end_of(Instant::now(), timeout);
        let mut inner = self.lock_parked()?;
        inner.transport().raw_socket().ok_or(NO_SOCKET)?;
        loop {
            if inner.state() == State::Terminated {
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

    fn write_with(
        &self,
        wait: Wait,
        mut write: impl FnMut(&mut Driver, &mut Transport) -> Result<Enqueue>,
    ) -> Result<Enqueue> {
        let mut began = None;
        loop {
            let mut inner = self.lock()?;
            inner.tick()?;
            let (driver, transport) = inner.driven();
            let accepted = match began {
                None => write(driver, transport)?,
                Some(_) => write(driver, transport).map_err(ended_while_it_waited)?,
            };
            if wait == Wait::Never || !inner.blocks() || !inner.driver().has_output() {
                return Ok(accepted);
            }
            if accepted == Enqueue::Accepted {
                return self.wait_for_output(inner, began);
            }
            let (_, waited) = self.wait_to_write(inner, &mut began)?;
            if waited == Waited::TimedOut {
                return Ok(accepted);
            }
        }
    }

    /// Waits until all output has left. A message that was accepted stays accepted where time runs out; where the connection
    /// ends meanwhile, whoever waits is told.
    #[cold]
    fn wait_for_output<'a>(&'a self, mut inner: Locked<'a>, mut began: Option<Instant>) -> Result<Enqueue> {
        while inner.blocks() {
            let waited;
            (inner, waited) = self.wait_to_write(inner, &mut began)?;
            inner.tick()?;
            if matches!(inner.state(), State::SendFailed | State::Failed | State::Terminated) {
                // Another thread was told why.
                return Err(Error::ConnectionClosed);
            }
            let (driver, transport) = inner.driven();
            match driver.flush(transport) {
                Err(error) if error.is_would_block() && waited != Waited::TimedOut => {}
                Err(error) if error.is_would_block() => break,
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        Ok(Enqueue::Accepted)
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

    /// Waits, outside the lock, for room to write, for as long as a blocking write may take.
    fn wait_to_write<'a>(
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
    fn wait_for<'a>(
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

    /// The lock, with the connection active.
    #[inline]
    fn lock(&self) -> Result<Locked<'_>> {
        let mut inner = self.lock_parked()?;
        inner.unpark();
        Ok(inner)
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

    /// The lock, for what leaves a connection parked that is.
    #[inline(always)]
    fn lock_parked(&self) -> Result<Locked<'_>> {
        if self.is_held_here() {
            return Err(CALLED_BACK);
        }
        // An error is not made before it is needed, for it would have to be dropped.
        match self.monitor.lock() {
            Some(inner) => Ok(inner),
            None => Err(Error::Internal),
        }
    }
}

const NO_SOCKET: Error = Error::Misuse("this connection has no socket to wait for");
const CALLED_BACK: Error = Error::Misuse("a callback called back into its own connection");

/// A call that began before the end, and waited until another thread was told of it, is told of the end, too, and of no misuse.
fn ended_while_it_waited(error: Error) -> Error {
    match error {
        Error::AlreadyClosed => Error::ConnectionClosed,
        other => other,
    }
}

fn is_past(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() >= until)
}

fn end_of(began: Instant, timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| began.checked_add(timeout))
}

impl BatchCursor {
    #[inline]
    fn left(self) -> u16 {
        self.end.saturating_sub(self.next)
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
    fn from(ahead: BatchCursor) -> Self {
        Self::from(ahead.end) << 16 | Self::from(ahead.next)
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
