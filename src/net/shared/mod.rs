//! A connection that several threads may use: a `Driver` over a [`Transport`], behind a lock.
//!
//! Calls are serialised; **a thread blocked on the peer never blocks the others**, for it waits outside the lock, and is
//! woken when another thread changes what it waits for. One thread reads at a time. Blocking is here: a wait with a
//! timeout around calls that never block. Knows threads and time; rules and kinds of socket are others' matter.
//!
//! | file | knows |
//! | --- | --- |
//! | `reading`, `writing` | calls that may wait |
//! | `waiting`, `waiters` | a wait outside the lock; who waits, and what for |
//! | `inner`, `driving` | what the lock protects, and calls on it that never wait |
//! | `slot`, `parking` | a connection that is active or parked, and how it becomes the other |
//! | `registration`, `registering` | its place in a poller, and what the poller asks and is told |
//! | `transport` | a stream, or what is opening one |
//! | `view` | what can be asked of it, parked or not |

mod driving;
mod inner;
mod parking;
mod reading;
mod registering;
mod registration;
mod slot;
#[cfg(all(test, feature = "net"))]
mod tests;
mod transport;
mod view;
mod waiters;
mod waiting;
mod writing;

pub(crate) use self::inner::Inner;
pub(crate) use self::transport::Transport;
pub(crate) use self::view::View;

use self::slot::Slot;
use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::message::Role;
use crate::net::connect::Connector;
use crate::net::pool::Active;
use crate::net::setup::Setup;
use crate::net::signal::{Held, Monitor};
use crate::net::stream::Stream;
use crate::proto::connection::Connection;
use crate::proto::handshake::{ClientHandshake, ServerHandshake, Url};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

/// See the module.
#[derive(Debug)]
pub struct SharedConnection {
    monitor: Monitor<Inner>,
    /// A `BatchCursor`: how many of the messages that were prefetched have been handed out without the lock. Written by the
    /// one thread that reads.
    cursor: AtomicU32,
    /// A thread is inside a read, with the lock or without.
    reading: AtomicBool,
}

/// The lock, held.
type Locked<'a> = Held<'a, Inner>;

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

    /// Looks at what can be said of a connection that is parked, too, without making it active.
    pub fn look<R>(&self, look: impl FnOnce(&Inner) -> R) -> Result<R> {
        Ok(look(&*self.lock_parked()?))
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

    /// The lock, with the connection active.
    #[inline(always)]
    fn lock(&self) -> Result<Locked<'_>> {
        self.lock_and(Inner::unpark)
    }

    /// The lock, for what leaves a connection parked that is.
    #[inline(always)]
    fn lock_parked(&self) -> Result<Locked<'_>> {
        self.lock_and(|_| {})
    }

    #[inline(always)]
    fn lock_and(&self, prepare: impl FnOnce(&mut Inner)) -> Result<Locked<'_>> {
        if self.is_held_here() {
            return Err(CALLED_BACK);
        }
        // An error is not made before it is needed, for it would have to be dropped.
        match self.monitor.lock_and(prepare) {
            Some(inner) => Ok(inner),
            None => Err(Error::Internal),
        }
    }
}

const CALLED_BACK: Error = Error::Misuse("a callback called back into its own connection");
