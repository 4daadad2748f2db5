//! Calls on what the lock protects that move bytes, and never wait: the opening, reading, and the clock.

use super::inner::Inner;
use super::slot::Slot;
use super::transport::Transport;
use crate::error::{Deadline, Error, Result};
use crate::message::MessageView;
use crate::net::clock;
use crate::net::pool::{Active, MessageSlots};
use crate::net::stream::Stream;
use crate::net::wait;
use crate::proto::connection::Opening;
use crate::proto::inbound::{Received, WholeMessage};
use std::mem::MaybeUninit;
use std::sync::Arc;

/// The first message of some.
pub(super) enum First {
    WholeMessage(WholeMessage),
    Other(Received),
}

impl Inner {
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

    /// Shows `take` the next message and those behind it; where in the input those begin, and how many they are.
    #[inline]
    pub(super) fn read_many(
        &mut self,
        take: &mut impl FnMut(&mut MessageSlots, &MessageView<'_>) -> bool,
    ) -> Result<(usize, u16)> {
        let first = self.first_of_many().inspect_err(|_| self.end_loan())?;
        let Active { driver, room } = self.active().0;
        let room = room.get_or_insert_with(|| Box::new([MaybeUninit::uninit(); _]));
        let mut wants_more = match &first {
            First::WholeMessage(whole) => take(room, &driver.whole_view(*whole)),
            // What was put together elsewhere does not outlast the next one.
            First::Other(received) => take(room, &driver.view(received)) && received.is_in_input(),
        };
        let mut behind = 0;
        let start = driver.connection.input_position();
        while wants_more && let Some(whole) = driver.connection.poll_prefetched() {
            behind += 1;
            wants_more = take(room, &driver.whole_view(whole));
        }
        while wants_more && let Some(whole) = driver.connection.poll_whole() {
            behind += 1;
            wants_more = take(room, &driver.whole_view(whole));
        }
        Ok((start, behind))
    }

    /// See [`Driver::service`](crate::driver::Driver::service). The opening comes first.
    pub(super) fn service(&mut self, take: &mut impl FnMut(&MessageView<'_>, bool) -> bool) -> Result<bool> {
        if self.is_opening() && self.handshake()? == Opening::Request {
            return Err(Error::Misuse("the request must be accepted or rejected first"));
        }
        self.tick()?;
        let (driver, transport) = self.driven();
        let may_have_more = driver.service(transport, take)?;
        Ok(self.has_input() || may_have_more && !self.transport.is_memory())
    }

    #[inline]
    pub(super) fn first_of_many(&mut self) -> Result<First> {
        let mut whole = self.driven().0.take_whole();
        if whole.is_none() {
            self.tick()?;
            let (driver, transport) = self.driven();
            whole = driver.receive_whole(transport)?;
        }
        match whole {
            Some(whole) => Ok(First::WholeMessage(whole)),
            None => self.receive().map(First::Other),
        }
    }

    pub(super) fn receive(&mut self) -> Result<Received> {
        if self.is_opening() && self.handshake()? == Opening::Request {
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

    /// Server: takes the request (see `Connection::accept`) and sends what it can of the response.
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

    /// Server: adds a header to the response to the request that waits.
    pub fn add_header(&mut self, name: &str, value: &str) -> Result<()> {
        if !self.connection().phase().awaits_decision() {
            return Err(Error::Misuse("there is no request to answer"));
        }
        let setup = Arc::make_mut(&mut self.setup);
        Arc::make_mut(&mut setup.handshake).add_header(name, value)
    }
}
