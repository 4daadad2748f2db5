//! Connections on which nothing goes on: what is kept of them, and the memory that they share.

use super::inner::Inner;
use super::transport::Transport;
use crate::driver::Driver;
use crate::net::stream::Stream;
use crate::proto::connection::Parked;
use std::mem::MaybeUninit;
use std::sync::Mutex;

/// A connection, or what is left of it while nothing goes on: most connections of a server wait, and are to cost as
/// little as can be meanwhile.
#[derive(Debug)]
pub(super) enum Slot {
    Active(Box<Active>),
    Parked(Parked),
}

/// A connection on which something goes on.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) driver: Driver,
    /// There from the first message that is lent to its end.
    pub(super) room: Option<Box<MessageSlots>>,
}

/// Memory for what a reader has to note about the messages that are lent to it: there as long as they are.
pub type MessageSlots = [MaybeUninit<u64>; 120];

impl Active {
    pub(super) fn new(driver: Driver) -> Box<Self> {
        Box::new(Self { driver, room: None })
    }
}

/// Memory for the next connection that becomes active: one after the other has the same, which is in the cache by then. Each
/// poller has its own, so that pollers share no lock; connections without one share that of their configuration.
#[derive(Debug, Default)]
pub struct Pool(Mutex<[Option<Box<Active>>; 4]>);

impl Pool {
    #[inline]
    fn take(&self) -> Option<Box<Active>> {
        self.0.lock().ok()?.iter_mut().find_map(Option::take)
    }

    #[inline]
    fn put(&self, spare: Box<Active>) {
        if let Ok(mut pool) = self.0.lock()
            && let Some(place) = pool.iter_mut().find(|place| place.is_none())
        {
            *place = Some(spare);
        }
    }
}

impl Inner {
    #[inline]
    fn pool(&self) -> &Pool {
        match &self.registration {
            Some(registration) => registration.pool(),
            None => &self.setup.pool,
        }
    }

    /// Makes a parked connection active again.
    #[inline]
    pub(super) fn unpark(&mut self) {
        if let Slot::Parked(_) = &self.slot {
            self.unpark_now();
        }
    }

    fn unpark_now(&mut self) {
        let spare = self.pool().take();
        let Slot::Parked(parked) = &mut self.slot else { return };
        let usual = &self.setup.websocket;
        let active = match spare {
            Some(mut spare) => {
                spare.driver.connection.reuse(parked, usual);
                spare
            }
            None => Active::new(Driver::new(parked.unpark(usual))),
        };
        self.slot = Slot::Active(active);
    }

    /// Nothing is lent any more. Where the connection is about to be parked the room goes with the rest of its memory.
    #[cold]
    pub(super) fn end_loan(&mut self) {
        if let Slot::Active(active) = &mut self.slot
            && !can_park(&self.transport, active)
        {
            active.room = None;
        }
    }

    /// Parks a connection on which nothing goes on. Its socket alone says when something does.
    #[inline(always)]
    pub(super) fn park(&mut self) {
        if let Slot::Active(active) = &self.slot
            && can_park(&self.transport, active)
            // What a panic has left behind is no memory for another connection.
            && !std::thread::panicking()
        {
            self.park_now();
        }
    }

    #[inline(never)]
    fn park_now(&mut self) {
        if let Slot::Active(active) = &mut self.slot {
            let parked = active.driver.connection.parked(&self.setup.websocket);
            if let Slot::Active(spare) = std::mem::replace(&mut self.slot, Slot::Parked(parked)) {
                self.pool().put(spare);
            }
        }
    }
}

#[inline(always)]
fn can_park(transport: &Transport, active: &Active) -> bool {
    transport.stream().is_some_and(Stream::can_park) && active.driver.is_parkable()
}
