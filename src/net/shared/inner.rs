//! What the lock of a shared connection protects: the connection, its transport, and what is known about both. Nothing here
//! waits.

use super::registration::Registration;
use super::slot::Slot;
use super::transport::Transport;
use super::waiters::{Outlook, Waiters};
use crate::config::WebSocketConfig;
use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::net::clock;
use crate::net::pool::Active;
use crate::net::setup::{Settings, Setup};
use crate::net::signal::{Events, Monitored, Published};
use crate::net::stream::Stream;
use crate::net::wait::Interest;
use crate::proto::connection::{Connection, Phase};
use std::mem::discriminant;
use std::sync::Arc;

/// What the lock protects.
#[derive(Debug)]
pub struct Inner {
    pub(super) transport: Transport,
    pub(super) slot: Slot,
    pub(super) setup: Arc<Setup>,
    /// Its place in a poller, where it is with one.
    pub(super) registration: Option<Registration>,
    /// There from the first wait on.
    pub(super) waiters: Option<Box<Waiters>>,
}

impl Inner {
    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.driver().connection
    }

    /// The connection, for what needs no transport.
    pub fn connection_mut(&mut self) -> &mut Connection {
        &mut self.driven().0.connection
    }

    /// How calls behave.
    pub fn settings(&self) -> &Settings {
        &self.setup.settings
    }

    /// The transport.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    #[inline]
    pub(super) fn driver(&self) -> &Driver {
        match &self.slot {
            Slot::Active(active) => &active.driver,
            Slot::Parked(_) => {
                unreachable!("whoever takes the lock for more than a look unparks the connection")
            }
        }
    }

    /// What drives the connection, and what over.
    #[inline]
    pub(super) fn driven(&mut self) -> (&mut Driver, &mut Transport) {
        let (active, transport) = self.active();
        (&mut active.driver, transport)
    }

    #[inline]
    pub(super) fn active(&mut self) -> (&mut Active, &mut Transport) {
        match &mut self.slot {
            Slot::Active(active) => (active, &mut self.transport),
            Slot::Parked(_) => {
                unreachable!("whoever takes the lock for more than a look unparks the connection")
            }
        }
    }

    /// There is nothing to read for now, and yet it cannot be parked: it gives back what it does not need.
    pub(super) fn rest(&mut self) {
        let driver = self.driven().0;
        if !driver.is_parkable() {
            driver.connection.release();
        }
    }

    /// Gives a connection that was made without one its transport.
    pub(super) fn set_stream(&mut self, stream: Stream) -> Result<()> {
        if !self.transport.is_memory() {
            return Err(Error::Misuse("this connection already has a transport"));
        }
        if self.connection().is_input_lent() || self.connection().is_output_lent() {
            return Err(Error::Misuse("input or output memory is lent: give it back first"));
        }
        if stream.socket().is_some() {
            self.connection_mut().set_over_socket();
        }
        self.transport = Transport::Stream(stream);
        self.tick()
    }

    /// Changes how it is configured, while it runs.
    pub fn configure(
        &mut self,
        change: impl FnOnce(&mut WebSocketConfig, &mut Settings) -> Result<()>,
    ) -> Result<()> {
        let had_clock = self.connection().needs_clock();
        let mut settings = self.setup.settings.clone();
        change(self.connection_mut().config_mut(), &mut settings)?;
        if settings != self.setup.settings {
            Arc::make_mut(&mut self.setup).settings = settings;
        }
        if !had_clock && self.transport.has_clock() {
            // Nobody has asked for the time so far: what has happened until now counts as happening now.
            self.connection_mut().start_clock(clock::now_ms());
        }
        Ok(())
    }

    /// What a wait for this connection would be for. Nothing, where its end is only to be told, or has been.
    pub fn interest(&self) -> Interest {
        let wanted = match &self.slot {
            Slot::Parked(_) => Interest { read: true, write: false },
            // What is left to be sent, here or in a TLS session, stays.
            Slot::Active(active) if matches!(active.driver.connection.phase(), Phase::Ended) => {
                return Interest { read: false, write: false };
            }
            Slot::Active(active) => {
                Interest { read: active.driver.connection.wants_bytes(), write: active.driver.has_output() }
            }
        };
        self.transport.interest(wanted)
    }

    /// Whether a read may find something without waiting.
    pub fn has_input(&self) -> bool {
        let (is_readable, wants_bytes) = match &self.slot {
            Slot::Parked(_) => (false, true),
            Slot::Active(active) => {
                (active.driver.connection.is_readable(), active.driver.connection.wants_bytes())
            }
        };
        is_readable || (wants_bytes && self.transport.stream().is_some_and(Stream::has_buffered_input))
    }

    /// When something is due next, on the clock that runs for it.
    pub fn next_deadline(&self) -> u64 {
        let due = match &self.slot {
            Slot::Parked(parked) => parked.due(&self.setup.websocket),
            Slot::Active(active) => active.driver.connection.next_deadline(),
        };
        match &self.transport {
            // A connection that has failed is connected no further.
            Transport::Connecting(connector) if self.is_opening() => due.min(connector.due()),
            Transport::Connecting(_) | Transport::Stream(_) => due,
        }
    }

    /// Whether the opening handshake is still going on.
    pub(super) fn is_opening(&self) -> bool {
        self.view().phase().is_opening()
    }

    pub(super) fn blocks(&self) -> bool {
        self.setup.settings.blocking && self.transport.raw_socket().is_some()
    }

    /// Whether a thread waits inside a read: nobody else can read meanwhile.
    #[inline]
    pub(super) fn is_read_from(&self) -> bool {
        self.waiters.as_ref().is_some_and(|waiters| waiters.is_read_from)
    }

    /// What waits are planned by now.
    pub(super) fn outlook(&self) -> Outlook {
        Outlook {
            has_input: self.has_input(),
            interest: self.interest(),
            is_connecting: self.transport.stream().is_none(),
            is_read_from: self.is_read_from(),
            due: self.next_deadline(),
            phase: discriminant(self.view().phase()),
            ..Outlook::of_settings(self.settings())
        }
    }

    /// Whether it waits for its socket and for nothing else.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        matches!(&self.slot, Slot::Parked(parked) if !parked.has_deadlines())
            && !self.transport.ready().read
            && !self.is_read_from()
            && self.registration.as_ref().is_none_or(|registration| !registration.is_paused)
    }

    /// Whether nothing is to be done before messages that were read ahead are handed out. A callback that calls back is to
    /// find the lock taken.
    #[inline]
    pub(super) fn is_batch_valid(&self) -> bool {
        match &self.slot {
            Slot::Active(active) => {
                active.driver.connection.is_prefetch_valid() && !self.transport.is_callback()
            }
            Slot::Parked(_) => false,
        }
    }

    /// The lock is about to be let go: wakes the threads that wait where something has changed for them.
    fn tell_waiters(&mut self) {
        let outlook = self.outlook();
        if let Some(waiters) = self.waiters.as_mut().filter(|waiters| !waiters.is_empty()) {
            waiters.tell(outlook);
        }
    }
}

impl Monitored for Inner {
    /// A callback that calls back is told so instead of waiting for itself.
    #[inline]
    fn may_reenter(&self) -> bool {
        self.transport.is_callback()
    }

    fn on_events(&mut self, events: Events) {
        self.transport.on_events(events);
        if let Some(registration) = &mut self.registration {
            // The poller that left them reports the connection, or looks at it.
            registration.awaits_look = true;
            registration.watch.told(events.read(), events.write());
        }
    }

    #[inline]
    fn before_unlock(&mut self) -> Published {
        self.park();
        if self.waiters.is_some() {
            self.tell_waiters();
        }
        match self.registration {
            Some(_) => self.publish_to_poller(),
            // Only a poller asks whether it is idle.
            None => Published::new(false, self.is_batch_valid()),
        }
    }

    #[inline]
    fn is_registered(&self) -> bool {
        self.registration.is_some()
    }

    fn mark_dirty(&mut self) {
        self.mark_for_poller();
    }
}
