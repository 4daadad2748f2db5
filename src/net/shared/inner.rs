//! What the lock of a shared connection protects: the connection, its transport, and what is known about both. Nothing here waits.

use super::registration::Attached;
use super::slot::{Active, MessageSlots, Slot};
use crate::config::WebSocketConfig;
use crate::driver::Driver;
use crate::error::{Deadline, Error, Result};
use crate::message::MessageView;
use crate::net::Link;
use crate::net::clock;
use crate::net::setup::{Settings, Setup};
use crate::net::wait::Interest;
use crate::proto::connection::{Connection, Opening};
use crate::proto::deadline::NEVER;
use crate::proto::receive::{Received, WholeMessage};
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the lock protects.
#[derive(Debug)]
pub struct Inner {
    pub(super) link: Link,
    pub(super) slot: Slot,
    pub(super) setup: Arc<Setup>,
    /// The poller that it is with.
    pub(super) watch: Option<Attached>,
}

impl Inner {
    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.driver().connection
    }

    /// The connection, for what needs no transport.
    pub fn connection_mut(&mut self) -> &mut Connection {
        &mut self.driver_mut().connection
    }

    /// How calls behave.
    pub fn settings(&self) -> &Settings {
        &self.setup.settings
    }

    /// The transport.
    pub fn link(&self) -> &Link {
        &self.link
    }

    #[inline]
    pub(super) fn driver(&self) -> &Driver {
        match &self.slot {
            Slot::Active(awake) => &awake.driver,
            Slot::Parked(_) => unreachable!("whoever takes the lock wakes the connection"),
        }
    }

    #[inline]
    pub(super) fn driver_mut(&mut self) -> &mut Driver {
        self.driven().0
    }

    /// What drives the connection, and what over.
    #[inline]
    pub(super) fn driven(&mut self) -> (&mut Driver, &mut Link) {
        let (awake, link) = self.awake();
        (&mut awake.driver, link)
    }

    #[inline]
    fn awake(&mut self) -> (&mut Active, &mut Link) {
        match &mut self.slot {
            Slot::Active(awake) => (awake, &mut self.link),
            Slot::Parked(_) => unreachable!("whoever takes the lock wakes the connection"),
        }
    }

    /// There is nothing to read for now, and yet it cannot sleep: it gives back what it does not need.
    pub(super) fn rest(&mut self) {
        let driver = self.driver_mut();
        if !driver.is_parkable() {
            driver.connection.release();
        }
    }

    /// Server: adds a header to the response to the request that waits.
    pub fn add_header(&mut self, name: &str, value: &str) -> Result<()> {
        if !self.connection().awaits_decision() {
            return Err(Error::Misuse("there is no request to decide on"));
        }
        let setup = Arc::make_mut(&mut self.setup);
        Arc::make_mut(&mut setup.handshake).add_header(name, value)
    }

    /// Server: takes the request (see [`Connection::accept`]) and sends what it can of the response.
    pub fn accept(&mut self, protocol: Option<&str>) -> Result<()> {
        let options = Arc::clone(&self.setup.handshake);
        let (driver, link) = self.driven();
        driver.accept(link, protocol, &options)
    }

    /// Server: refuses the request and sends what it can of the response.
    pub fn reject(&mut self, status: u16, body: &[u8]) -> Result<()> {
        let options = Arc::clone(&self.setup.handshake);
        let (driver, link) = self.driven();
        driver.connection.reject(status, &options, body)?;
        driver.flush_quietly(link)
    }

    /// What a wait for this connection would be for. Nothing, where its end is only to be told.
    pub fn interest(&self) -> Interest {
        let wanted = Interest { read: self.connection().wants_bytes(), write: self.driver().has_output() };
        self.link.interest(wanted)
    }

    /// Whether a read may find something without waiting.
    pub fn has_input(&self) -> bool {
        let connection = self.connection();
        connection.is_readable() || (connection.wants_bytes() && self.link.has_buffered_input())
    }

    /// When something is due next, on the clock that runs for it.
    pub fn next_deadline(&self) -> u64 {
        let due = self.connection().next_deadline();
        match &self.link {
            Link::Connecting(connecting) if self.connection().is_opening() => due.min(connecting.due()),
            _ => due,
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
        if !had_clock && self.link.has_clock() {
            // Nobody has asked for the time so far: what has happened until now counts as happening now.
            self.connection_mut().start_clock(clock::now_ms());
        }
        self.touch();
        Ok(())
    }

    /// Whether it is known that a read finds nothing, and that it has nothing else to do either. Then what was lent is not
    /// looked at any more, and the connection rests.
    #[inline]
    pub(super) fn rest_if_drained(&mut self) -> bool {
        let blocks = self.setup.settings.blocking;
        let (driver, Link::Socket(socket)) = self.driven() else { return false };
        let known = socket.readiness_mut();
        let drained = known.drained
            && !blocks
            && !driver.has_output()
            && !driver.connection.needs_clock()
            && driver.connection.begin_message();
        if drained {
            // Who reads all the same is to find out.
            known.drained = false;
            self.sleep();
            if let Slot::Active(awake) = &mut self.slot {
                // It cannot, and gives back what it does not need.
                awake.room = None;
                awake.driver.connection.release();
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
        let Active { driver, room } = self.awake().0;
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
        let mut simple = self.driver_mut().receive_simple();
        if simple.is_none() {
            self.tick()?;
            let (driver, link) = self.driven();
            simple = driver.receive_simply(link)?;
        }
        match simple {
            Some(simple) => Ok(First::WholeMessage(simple)),
            None => self.receive().map(First::Other),
        }
    }

    pub(super) fn receive(&mut self) -> Result<Received> {
        if self.connection().is_opening() && self.handshake()? == Opening::Request {
            return Err(Error::Misuse("the request has to be accepted or rejected first"));
        }
        self.tick()?;
        let (driver, link) = self.driven();
        driver.receive(link)
    }

    pub(super) fn handshake(&mut self) -> Result<Opening> {
        self.tick()?;
        loop {
            let (driver, link) = self.driven();
            match driver.handshake(link)? {
                Opening::Request if self.setup.settings.auto_accept => self.accept(None)?,
                opening => return Ok(opening),
            }
        }
    }

    /// Lets the library's own clock run, where it does.
    #[inline]
    pub(super) fn tick(&mut self) -> Result<()> {
        if self.connection().needs_clock() { self.tick_now() } else { Ok(()) }
    }

    pub(super) fn tick_now(&mut self) -> Result<()> {
        if self.link.has_clock() {
            let now = clock::now_ms();
            let is_late = matches!(&self.link, Link::Connecting(connecting) if connecting.is_late(now));
            if is_late && self.connection().is_opening() {
                return Err(self.connection_mut().give_up_waiting(Deadline::Connect));
            }
            self.connection_mut().tick(now)?;
        }
        Ok(())
    }

    /// With the end of the connection the stream ends, too, whenever its owner comes to free it: a client waits for that.
    pub(super) fn told<R>(&mut self, error: Error) -> Result<R> {
        if let Error::ConnectionClosed = error {
            self.link.end();
        }
        Err(error)
    }

    pub(super) fn blocks(&self) -> bool {
        self.setup.settings.blocking && self.link.fd().is_some()
    }

    pub(super) fn plan(&self, until: Option<Instant>) -> Result<Plan> {
        let fd = self.link.fd().ok_or(Error::Misuse("there is no socket to wait for"))?;
        let deadline = match self.next_deadline() {
            NEVER => None,
            at => Instant::now().checked_add(Duration::from_millis(at.saturating_sub(clock::now_ms()))),
        };
        let ends_in_deadline = deadline.is_some_and(|deadline| until.is_none_or(|until| deadline < until));
        let until = if ends_in_deadline { deadline } else { until };
        Ok(Plan { fd, until, ends_in_deadline })
    }
}

/// The first message of some.
pub(super) enum First {
    WholeMessage(WholeMessage),
    Other(Received),
}

/// A wait, decided on under the lock and carried out outside it.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) fd: RawFd,
    pub(super) until: Option<Instant>,
    /// At its end something is due on the connection's own clock.
    pub(super) ends_in_deadline: bool,
}
