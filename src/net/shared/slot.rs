//! Connections on which nothing goes on: what is kept of them, and how they become active again.

use super::inner::Inner;
use super::transport::Transport;
use crate::driver::Driver;
use crate::net::pool::{Active, Pool};
use crate::net::stream::Stream;
use crate::proto::connection::Parked;

/// A connection, or what is left of it while nothing goes on: most connections of a server wait, and are to cost as
/// little as can be meanwhile.
#[derive(Debug)]
pub(super) enum Slot {
    Active(Box<Active>),
    Parked(Parked),
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
