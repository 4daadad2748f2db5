//! How a connection on which nothing goes on is parked, and made active again with the memory of another.

use super::inner::Inner;
use super::slot::{Slot, can_park};
use crate::driver::Driver;
use crate::net::pool::{Active, Pool};

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

    /// Nothing is lent any more. Where the connection is about to be parked the room goes with the rest of its memory.
    #[cold]
    pub(super) fn end_loan(&mut self) {
        if let Slot::Active(active) = &mut self.slot
            && !can_park(&self.transport, active)
        {
            active.room = None;
        }
    }
}
