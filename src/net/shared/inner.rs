//! What the lock of a shared connection protects: the connection, its transport, and what is known about both. Nothing here
//! waits.

use super::registration::Registration;
use super::slot::{Active, MessageSlots, Slot};
use super::transport::Transport;
use super::waiters::{Outlook, Waiters};
use crate::config::WebSocketConfig;
use crate::driver::Driver;
use crate::error::{Deadline, Error, Result};
use crate::message::MessageView;
use crate::net::clock;
use crate::net::setup::{Settings, Setup};
use crate::net::signal::{Events, Monitored, Published};
use crate::net::stream::Stream;
use crate::net::wait::{self, Interest};
use crate::proto::closing::State;
use crate::proto::connection::{Connection, Opening};
use crate::proto::receive::{Received, WholeMessage};
use std::mem::MaybeUninit;
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
    fn active(&mut self) -> (&mut Active, &mut Transport) {
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

    /// Server: adds a header to the response to the request that waits.
    pub fn add_header(&mut self, name: &str, value: &str) -> Result<()> {
        if !self.connection().awaits_decision() {
            return Err(Error::Misuse("there is no request to answer"));
        }
        let setup = Arc::make_mut(&mut self.setup);
        Arc::make_mut(&mut setup.handshake).add_header(name, value)
    }

    /// Server: takes the request (see [`Connection::accept`]) and sends what it can of the response.
    pub fn accept(&mut self, protocol: Option<&str>) -> Result<()> {
        let options = Arc::clone(&self.setup.handshake);
        let (driver, transport) = self.driven();
        driver.accept(transport, protocol, &options)
    }

    /// Server: refuses the request and sends what it can of the response.
    pub fn reject(&mut self, status: u16, body: &[u8]) -> Result<()> {
        let options = Arc::clone(&self.setup.handshake);
        let (driver, transport) = self.driven();
        driver.connection.reject(status, &options, body)?;
        driver.flush_quietly(transport)
    }

    /// What a wait for this connection would be for. Nothing, where its end is only to be told, or has been.
    pub fn interest(&self) -> Interest {
        let wanted = match &self.slot {
            Slot::Parked(_) => Interest { read: true, write: false },
            // What is left to be sent, here or in a TLS session, stays.
            Slot::Active(active) if active.driver.connection.state() == State::Terminated => {
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
    fn is_opening(&self) -> bool {
        matches!(&self.slot, Slot::Active(active) if active.driver.connection.is_opening())
    }

    /// How far the closing handshake is.
    pub(super) fn state(&self) -> State {
        match &self.slot {
            Slot::Parked(_) => State::Active,
            Slot::Active(active) => active.driver.connection.state(),
        }
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

    /// Whether it is known that a read finds nothing, and that it has nothing else to do either. Then what was lent is not
    /// looked at any more, and the connection rests.
    #[inline]
    pub(super) fn rest_if_drained(&mut self) -> bool {
        let blocks = self.setup.settings.blocking;
        let (driver, Transport::Stream(Stream::Socket(socket))) = self.driven() else { return false };
        let known = socket.readiness_mut();
        let drained = known.drained
            && !blocks
            && !driver.has_output()
            && !driver.connection.needs_clock()
            && driver.connection.begin_message();
        if drained {
            // Who reads all the same is to find out.
            known.drained = false;
            self.park();
            if let Slot::Active(active) = &mut self.slot {
                // It cannot be, and gives back what it does not need.
                active.room = None;
                active.driver.connection.release();
            }
        }
        drained
    }

    /// Shows `take` the next message and those behind it; how many those are.
    #[inline]
    pub(super) fn read_many(
        &mut self,
        take: &mut impl FnMut(&mut MessageSlots, &MessageView<'_>) -> bool,
    ) -> Result<u16> {
        let first = self.first_of_many().inspect_err(|_| self.end_loan())?;
        let Active { driver, room } = self.active().0;
        let room = room.get_or_insert_with(|| Box::new([MaybeUninit::uninit(); _]));
        let mut wants_more = match &first {
            First::WholeMessage(simple) => take(room, &driver.simple_view(*simple)),
            // What was put together elsewhere does not outlast the next one.
            First::Other(received) => take(room, &driver.view(received)) && received.is_in_input(),
        };
        let mut behind = 0;
        let start = driver.connection.input_position();
        while wants_more && let Some(simple) = driver.connection.poll_simple() {
            behind += 1;
            wants_more = take(room, &driver.simple_view(simple));
        }
        driver.connection.read_behind(start, behind);
        Ok(behind)
    }

    #[inline]
    pub(super) fn first_of_many(&mut self) -> Result<First> {
        let mut simple = self.driven().0.receive_simple();
        if simple.is_none() {
            self.tick()?;
            let (driver, transport) = self.driven();
            simple = driver.receive_simply(transport)?;
        }
        match simple {
            Some(simple) => Ok(First::WholeMessage(simple)),
            None => self.receive().map(First::Other),
        }
    }

    pub(super) fn receive(&mut self) -> Result<Received> {
        if self.connection().is_opening() && self.handshake()? == Opening::Request {
            return Err(Error::Misuse("the request must be accepted or rejected first"));
        }
        self.tick()?;
        let (driver, transport) = self.driven();
        driver.receive(transport)
    }

    pub(super) fn handshake(&mut self) -> Result<Opening> {
        self.tick()?;
        loop {
            self.connect()?;
            let (driver, transport) = self.driven();
            match driver.handshake(transport)? {
                Opening::Request if self.setup.settings.auto_accept => self.accept_by_itself()?,
                opening => return Ok(opening),
            }
        }
    }

    /// Takes the request that waits, or refuses it where it is not for WebSocket.
    fn accept_by_itself(&mut self) -> Result<()> {
        let (driver, transport) = self.driven();
        driver.refuse_plain(transport)?;
        self.accept(None)
    }

    /// Sends what is pending.
    pub(super) fn write_pending(&mut self) -> Result<()> {
        self.tick()?;
        self.connect()?;
        let (driver, transport) = self.driven();
        driver.write_pending(transport)
    }

    /// Goes on with opening the stream, where that is still to be done; `WouldBlock` where it takes its time.
    #[inline]
    fn connect(&mut self) -> Result<()> {
        match &self.transport {
            // Where it has failed, there is nothing left to connect for.
            Transport::Connecting(_) if self.is_opening() => self.connect_now(),
            Transport::Connecting(_) | Transport::Stream(_) => Ok(()),
        }
    }

    fn connect_now(&mut self) -> Result<()> {
        let Transport::Connecting(connector) = &mut self.transport else { return Ok(()) };
        let stream = match connector.poll() {
            Ok(None) => return Err(std::io::Error::from(std::io::ErrorKind::WouldBlock).into()),
            Ok(Some(stream)) => stream,
            Err(error) => return Err(self.connection_mut().transport_failed(error)),
        };
        // The poller forgets a descriptor before that is closed and its number given to somebody else.
        let connector = std::mem::replace(&mut self.transport, Transport::Stream(stream));
        match self.move_registration(connector) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.connection_mut().transport_failed(error.into())),
        }
    }

    /// Lets the library's own clock run, where it does.
    #[inline]
    pub(super) fn tick(&mut self) -> Result<()> {
        if self.connection().needs_clock() { self.tick_now() } else { Ok(()) }
    }

    fn tick_now(&mut self) -> Result<()> {
        if !self.transport.has_clock() {
            return Ok(());
        }
        let now = clock::now_ms();
        let would_judge = self.connection_mut().would_judge_silence(now);
        let outcome = match &self.transport {
            Transport::Connecting(connector) if connector.is_late(now) && self.is_opening() => {
                Err(self.connection_mut().give_up_waiting(Deadline::Connect))
            }
            Transport::Stream(_) if would_judge => {
                self.listen()?;
                self.connection_mut().tick(now)
            }
            _ => self.connection_mut().tick(now),
        };
        if let (Err(_), Transport::Connecting(connector)) = (&outcome, &mut self.transport) {
            connector.give_up();
        }
        outcome
    }

    /// Before the silence of the peer is judged, what lies in the transport is received.
    fn listen(&mut self) -> Result<()> {
        let (driver, transport) = self.driven();
        if driver.receive_unread(transport)? {
            return Ok(());
        }
        // There is no room for it: that there is something is enough to know.
        let Transport::Stream(stream) = &self.transport else { return Ok(()) };
        let has_something = stream.has_buffered_input()
            || stream.raw_socket().is_some_and(|socket| wait::is_readable(socket).unwrap_or(true));
        if has_something {
            self.connection_mut().peer_is_alive();
        }
        Ok(())
    }

    /// With the end of the connection the stream ends, too, whenever its owner comes to free it: a client waits for that.
    pub(super) fn told<R>(&mut self, error: Error) -> Result<R> {
        if let Error::ConnectionClosed = error {
            self.transport.end();
        }
        Err(error)
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
            state: self.state(),
            ..Outlook::of_settings(self.settings())
        }
    }

    /// The lock is about to be let go: wakes the threads that wait where something has changed for them.
    fn tell_waiters(&mut self) {
        let outlook = self.outlook();
        if let Some(waiters) = self.waiters.as_mut().filter(|waiters| !waiters.is_empty()) {
            waiters.tell(outlook);
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
                active.driver.connection.is_batch_valid() && !self.transport.is_callback()
            }
            Slot::Parked(_) => false,
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

/// The first message of some.
pub(super) enum First {
    WholeMessage(WholeMessage),
    Other(Received),
}
