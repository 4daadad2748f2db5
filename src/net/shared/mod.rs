//! A connection that several threads may use: a [`Driver`] over a [`Link`], behind a lock.
//!
//! Calls are serialised; **a thread that waits for the peer holds nobody up**, for it waits outside the lock, and is
//! woken when another thread leaves it something to do. One thread reads at a time. Blocking is here: a wait with a
//! timeout around calls that never block. Knows threads and time; rules and kinds of socket are others' matter.

mod inner;
mod registration;
mod slot;

pub use self::inner::Inner;
pub use self::slot::{MessageSlots, Pool};

use self::slot::{Active, Slot};
use crate::driver::{Driver, MANY};
use crate::error::{Error, Result};
use crate::message::{Kind, MessageView, Outgoing, Role};
use crate::net::Link;
use crate::net::connect::Connecting;
use crate::net::setup::Setup;
use crate::net::wait::{self, Interest, Waker};
use crate::proto::connection::{Connection, Enqueue, Opening};
use crate::proto::handshake::{ClientHandshake, ServerHandshake, Url};
use crate::proto::prepared::Prepared;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub struct SharedConnection {
    inner: Mutex<Inner>,
    /// It waits for its socket and for nothing else, as far as is known from the last time that it was locked.
    quiet: AtomicBool,
    /// What its poller has heard of meanwhile, without the lock: bits of [`watch`]. Whoever locks it next takes note of it.
    stirred: AtomicU8,
    /// Nothing stands before the messages that were taken ahead.
    calm: AtomicBool,
    /// An [`BatchCursor`]. Written by who reads.
    ahead: AtomicU32,
    /// A thread is inside a read, with the lock or waiting without it. Set under the lock only.
    reading: AtomicBool,
    cold: OnceLock<Box<Cold>>,
}

/// Messages that one read found behind the one it was called for, by their places, the first being that one's. The next
/// reads hand them out without the lock.
#[derive(Debug, Clone, Copy)]
struct BatchCursor {
    next: u16,
    end: u16,
}

/// What most connections never need.
#[derive(Debug, Default)]
struct Cold {
    /// The thread that holds the lock, where the transport is callbacks: one that calls back is told so instead of waiting
    /// for itself.
    owner: AtomicUsize,
    /// What wakes the threads that wait, from the first one on.
    waker: OnceLock<Waker>,
    /// How many threads wait. Changed under the lock only.
    waiting: AtomicUsize,
}

/// Making one, and what needs no waiting.
impl SharedConnection {
    /// A shared connection of this connection over this transport.
    pub fn new(connection: Connection, link: Link, setup: &Arc<Setup>) -> Self {
        let mut inner = Inner {
            link,
            slot: Slot::Active(Active::new(Driver::new(connection))),
            setup: Arc::clone(setup),
            watch: None,
        };
        if inner.link.fd().is_some() {
            inner.connection_mut().set_over_socket();
        }
        // The deadlines run from now on.
        let _ = inner.tick();
        Self {
            inner: Mutex::new(inner),
            quiet: AtomicBool::new(false),
            stirred: AtomicU8::new(0),
            calm: AtomicBool::new(false),
            ahead: AtomicU32::new(0),
            reading: AtomicBool::new(false),
            cold: OnceLock::new(),
        }
    }

    /// A connection whose opening handshake is over; `part` of its frames has been read already.
    pub fn open(setup: &Arc<Setup>, role: Role, part: Vec<u8>) -> Self {
        Self::new(Connection::open(role, Arc::clone(&setup.websocket), part), Link::Memory, setup)
    }

    /// A client of this URL, over a transport that is opened for it.
    pub fn connect(setup: &Arc<Setup>, url: &Url) -> Result<Self> {
        Self::client(setup, url, Link::Connecting(Box::new(Connecting::start(url, setup)?)))
    }

    /// A client of this URL.
    pub fn client(setup: &Arc<Setup>, url: &Url, link: Link) -> Result<Self> {
        let config = Arc::clone(&setup.websocket);
        let (handshake, request) = ClientHandshake::new(url, &setup.handshake, &config)?;
        Ok(Self::new(Connection::client(config, handshake, &request)?, link, setup))
    }

    /// A server that waits for a request.
    pub fn server(setup: &Arc<Setup>, link: Link) -> Self {
        let handshake = ServerHandshake::new(&setup.websocket);
        Self::new(Connection::server(Arc::clone(&setup.websocket), handshake), link, setup)
    }

    /// Gives a shared connection that was made without one its transport.
    pub fn set_link(&self, link: Link) -> Result<()> {
        let mut inner = self.lock()?;
        if inner.connection().is_input_lent() || inner.connection().is_output_lent() {
            return Err(Error::Misuse("room or output is lent: give it back first"));
        }
        match inner.link {
            Link::Memory => {
                if link.fd().is_some() {
                    inner.connection_mut().set_over_socket();
                }
                inner.link = link;
                inner.tick()
            }
            _ => Err(Error::Misuse("this connection has its transport already")),
        }
    }

    /// Whether this very thread is in a call on it: this is one of its callbacks then.
    pub fn is_held_here(&self) -> bool {
        let owner = self.cold.get().map_or(0, |cold| cold.owner.load(Ordering::Relaxed));
        owner != 0 && owner == thread_token()
    }

    /// Looks at the connection, or does a thing to it that needs no waiting.
    pub fn with<R>(&self, look: impl FnOnce(&mut Inner) -> R) -> Result<R> {
        let mut inner = self.lock()?;
        let result = look(&mut inner);
        self.tell(&mut inner);
        Ok(result)
    }
}

/// Calls that may wait.
impl SharedConnection {
    /// Lets every thread that waits look again at what it waits for: the configuration has changed.
    pub fn look_again(&self) {
        if let Some(cold) = self.cold.get()
            && cold.waiting.load(Ordering::Relaxed) > 0
            && let Some(waker) = cold.waker.get()
        {
            waker.wake();
        }
    }

    /// Drives the opening handshake until it is done, or until a server has a request to decide on that it does not
    /// take by itself.
    pub fn handshake(&self) -> Result<Opening> {
        let (inner, _reader) = self.lock_to_read()?;
        self.read_around(inner, Inner::handshake)
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
            self.ahead.store(BatchCursor { next: 1, end: behind + 1 }.into(), Ordering::Relaxed);
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
        let (mut inner, _reader) = self.lock_to_read()?;
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
        let ahead = BatchCursor::from(self.ahead.load(Ordering::Relaxed));
        if ahead.left() == 0 || !self.calm.load(Ordering::Relaxed) {
            return None;
        }
        // Nobody else changes it, so that it needs no exchange.
        self.ahead.store(BatchCursor { next: ahead.next + 1, ..ahead }.into(), Ordering::Relaxed);
        Some(ahead.next)
    }

    #[inline]
    fn forget_ahead(&self) -> u16 {
        let ahead = BatchCursor::from(self.ahead.load(Ordering::Relaxed));
        self.ahead.store(0, Ordering::Relaxed);
        ahead.left()
    }

    /// Sends or queues a message. Blocking, it waits until the message has left, and for room before that; the
    /// message counts as accepted however that wait ends.
    pub fn write(&self, message: &Outgoing<'_>) -> Result<Enqueue> {
        self.write_with(|driver, link| driver.send(link, message))
    }

    /// Like [`write`](Self::write), for a message that many connections send.
    pub fn write_prepared(&self, message: &Prepared) -> Result<Enqueue> {
        self.write_with(|driver, link| driver.send_prepared(link, message))
    }

    /// Like [`write`](Self::write), for `count` messages that leave together: `message` puts one in its place and says whether
    /// it has; what is no message is passed over. `accepted` counts them; the first one that finds no room ends it.
    pub fn write_many<'a>(
        &self,
        count: usize,
        message: impl Fn(usize, &mut Outgoing<'a>) -> Result<bool>,
        accepted: &mut usize,
    ) -> Result<Enqueue> {
        self.write_with(|driver, link| {
            if count == 1 {
                let mut only = Outgoing::Binary(&[]);
                let outcome =
                    if message(0, &mut only)? { driver.send(link, &only)? } else { Enqueue::Accepted };
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
                            driver.flush_quietly(link)?;
                            return Err(error);
                        }
                        // Once those before it are out of the way.
                        _ => break,
                    }
                }
                let (done, outcome) = driver.send_many(link, &some[..len]);
                *accepted += done;
                match outcome {
                    Ok(Enqueue::Accepted) => {}
                    refused => {
                        driver.flush_quietly(link)?;
                        return refused;
                    }
                }
            }
            driver.flush_quietly(link)?;
            Ok(Enqueue::Accepted)
        })
    }

    /// Like [`write`](Self::write), for a fragment of a message.
    pub fn write_fragment(&self, kind: Kind, data: &[u8], is_final: bool) -> Result<Enqueue> {
        self.write_with(|driver, link| driver.send_fragment(link, kind, data, is_final))
    }

    /// Queues a message without sending anything; it leaves with what follows.
    pub fn queue(&self, message: &Outgoing<'_>) -> Result<Enqueue> {
        self.lock()?.connection_mut().queue_corked(message)
    }

    /// Sends what is pending.
    pub fn write_pending(&self) -> Result<()> {
        let mut until = None;
        loop {
            let mut inner = self.lock()?;
            inner.tick()?;
            let (driver, link) = inner.driven();
            let error = match driver.write_pending(link) {
                Ok(()) => return Ok(()),
                Err(error) if error.is_would_block() && inner.blocks() => error,
                Err(error) => return inner.told(error),
            };
            until = until.or_else(|| end_of(inner.setup.settings.write_timeout));
            if !self.wait_to_write(inner, until)? {
                return Err(error);
            }
        }
    }

    /// Waits until a read or a write has something to do, for `timeout` at most; whether it has. Beside a thread that
    /// reads, it waits for room for what is to be sent only.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool> {
        let inner = self.lock()?;
        let beside_reader = self.reading.load(Ordering::Relaxed);
        if !beside_reader && inner.has_input() {
            return Ok(true);
        }
        let mut interest = inner.interest();
        interest.read &= !beside_reader;
        Ok(self.wait_awake(inner, interest, end_of(timeout))?.1)
    }

    fn write_with(
        &self,
        mut write: impl FnMut(&mut Driver, &mut Link) -> Result<Enqueue>,
    ) -> Result<Enqueue> {
        let mut until = None;
        loop {
            let mut inner = self.lock()?;
            inner.tick()?;
            let (driver, link) = inner.driven();
            let accepted = write(driver, link);
            self.tell(&mut inner);
            let accepted = accepted?;
            if !inner.blocks() || !inner.driver().has_output() {
                return Ok(accepted);
            }
            until = until.or_else(|| end_of(inner.setup.settings.write_timeout));
            if accepted == Enqueue::Accepted {
                drop(inner);
                self.wait_for_output(until)?;
                return Ok(accepted);
            }
            if !self.wait_to_write(inner, until)? {
                return Ok(accepted);
            }
        }
    }

    /// Waits until all output has left. A message that was accepted stays accepted: what goes wrong now is told by the
    /// next call.
    fn wait_for_output(&self, until: Option<Instant>) -> Result<()> {
        loop {
            let mut inner = self.lock()?;
            let (driver, link) = inner.driven();
            match driver.flush(link) {
                Err(error) if error.is_would_block() => {}
                result => {
                    self.tell(&mut inner);
                    return result;
                }
            }
            if !self.wait_to_write(inner, until)? {
                return Ok(());
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
            Ok(result) => {
                inner.touch_in_transition();
                Ok(result)
            }
            Err(error) if error.is_would_block() && inner.blocks() => self.read_waiting(inner, error, call),
            Err(error) if error.is_would_block() => {
                inner.rest();
                inner.touch_in_transition();
                Err(error)
            }
            Err(error) => {
                inner.touch_in_transition();
                inner.told(error)
            }
        }
    }

    fn read_waiting<'a, R>(
        &'a self,
        mut inner: Locked<'a>,
        mut error: Error,
        mut call: impl FnMut(&mut Inner) -> Result<R>,
    ) -> Result<R> {
        let mut until = None;
        loop {
            until = until.or_else(|| end_of(inner.setup.settings.read_timeout));
            inner.rest();
            let interest = inner.interest();
            let ready;
            (inner, ready) = self.wait_awake(inner, interest, until)?;
            if !ready {
                return Err(error);
            }
            match call(&mut inner) {
                Err(next) if next.is_would_block() && inner.blocks() => error = next,
                Err(error) => {
                    inner.touch_in_transition();
                    return inner.told(error);
                }
                Ok(result) => {
                    inner.touch_in_transition();
                    return Ok(result);
                }
            }
        }
    }

    /// Waits, outside the lock, and can be woken by another thread: that is arranged before the lock is let go, and
    /// undone, by the last one that waited, under the lock. Whether there is something to do.
    fn wait_awake<'a>(
        &'a self,
        inner: Locked<'a>,
        interest: Interest,
        until: Option<Instant>,
    ) -> Result<(Locked<'a>, bool)> {
        let plan = inner.plan(until)?;
        let cold = self.cold.get_or_init(Box::default);
        let waker = match cold.waker.get() {
            Some(waker) => waker,
            None => {
                let waker = Waker::new()?;
                cold.waker.get_or_init(|| waker)
            }
        };
        cold.waiting.fetch_add(1, Ordering::Relaxed);
        drop(inner);
        let ready = wait::wait(plan.fd, interest, plan.until, Some(waker));
        let inner = self.lock();
        if cold.waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
            waker.drain();
        }
        let mut inner = inner?;
        inner.link.stir();
        Ok((inner, ready? || plan.ends_in_deadline))
    }

    /// Waits, outside the lock, for room to write.
    fn wait_to_write(&self, inner: Locked<'_>, until: Option<Instant>) -> Result<bool> {
        let plan = inner.plan(until)?;
        drop(inner);
        let ready = wait::wait(plan.fd, Interest { read: false, write: true }, plan.until, None)?;
        Ok(ready || plan.ends_in_deadline)
    }

    /// Who waits takes care of what another thread leaves unsent, and of the deadlines of a closing handshake.
    fn tell(&self, inner: &mut Inner) {
        if inner.driver().has_output() || !inner.connection().can_write() {
            self.look_again();
            inner.touch();
        }
    }

    #[inline]
    fn lock(&self) -> Result<Locked<'_>> {
        let mut inner = self.lock_asleep()?;
        if let Slot::Parked(..) = inner.slot {
            inner.wake();
        }
        Ok(inner)
    }

    /// The lock, for the one thread that reads: while it is inside, others are refused, whether or not it holds the lock.
    #[inline]
    fn lock_to_read(&self) -> Result<(Locked<'_>, Reader<'_>)> {
        if self.reading.load(Ordering::Relaxed) {
            return Err(self.refuse_to_read());
        }
        let inner = self.lock()?;
        match self.reading.load(Ordering::Relaxed) {
            true => Err(self.refuse_to_read()),
            false => {
                self.reading.store(true, Ordering::Relaxed);
                Ok((inner, Reader(&self.reading)))
            }
        }
    }

    #[cold]
    fn refuse_to_read(&self) -> Error {
        match self.is_held_here() {
            true => CALLED_BACK,
            false => Error::Misuse("another thread is reading from this connection"),
        }
    }

    /// The lock, for what leaves a connection asleep that is.
    #[inline]
    fn lock_asleep(&self) -> Result<Locked<'_>> {
        if self.is_held_here() {
            return Err(CALLED_BACK);
        }
        let mut inner = self.inner.lock().map_err(|_| Error::Internal)?;
        self.note_stirred(&mut inner);
        if let Link::Callback(_) = inner.link {
            // Not without the lock, either.
            self.calm.store(false, Ordering::Relaxed);
            self.cold.get_or_init(Box::default).owner.store(thread_token(), Ordering::Relaxed);
        }
        Ok(Locked { inner, shared: self })
    }
}

const CALLED_BACK: Error = Error::Misuse("a callback called back into its own connection");

fn end_of(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
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
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// The lock, held.
struct Locked<'a> {
    inner: MutexGuard<'a, Inner>,
    shared: &'a SharedConnection,
}

impl std::ops::Deref for Locked<'_> {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl std::ops::DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Inner {
        &mut self.inner
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // What a panic has left behind is no memory for another connection.
        if !std::thread::panicking() {
            self.inner.sleep();
        }
        self.shared.quiet.store(self.inner.is_quiet(), Ordering::Relaxed);
        if BatchCursor::from(self.shared.ahead.load(Ordering::Relaxed)).left() > 0 {
            self.shared.calm.store(self.inner.connection().is_calm(), Ordering::Relaxed);
        }
        if let Some(cold) = self.shared.cold.get() {
            cold.owner.store(0, Ordering::Relaxed);
        }
    }
}

/// A number of this thread's own: the address of a thread-local without a destructor.
fn thread_token() -> usize {
    thread_local!(static TOKEN: u8 = const { 0 });
    TOKEN.with(|token| std::ptr::from_ref(token).addr())
}
