//! Connections on which nothing goes on: what is kept of them, and the memory that they share.

use super::inner::Inner;
use crate::driver::Driver;
use crate::net::Link;
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

/// Memory for the next connection that wakes up: one after the other has the same, which is in the cache by then.
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

/// Whether what the transport has for its connection can be told from the transport alone.
fn can_sleep(link: &Link) -> bool {
    match link {
        Link::Socket(_) => true,
        Link::Tls(tls) => !tls.has_pending_output(),
        Link::Memory | Link::Callback(_) | Link::Connecting(_) => false,
    }
}

impl Inner {
    pub(super) fn wake(&mut self) {
        if let Slot::Parked(parked) = &mut self.slot {
            let usual = &self.setup.websocket;
            let awake = match self.setup.pool.take() {
                Some(mut spare) => {
                    spare.driver.connection.reuse(parked, usual);
                    spare
                }
                None => Active::new(Driver::new(parked.wake(usual))),
            };
            self.slot = Slot::Active(awake);
        }
    }

    /// Nothing is lent any more. Where the connection is about to sleep the room goes with the rest of its memory.
    #[cold]
    pub(super) fn end_loan(&mut self) {
        if let Slot::Active(awake) = &mut self.slot
            && !(can_sleep(&self.link) && awake.driver.is_parkable())
        {
            awake.room = None;
        }
    }

    /// Puts a connection to sleep where nothing goes on. Its socket alone says when something does.
    #[inline]
    pub(super) fn sleep(&mut self) {
        if let Slot::Active(awake) = &mut self.slot
            && can_sleep(&self.link)
            && awake.driver.is_parkable()
        {
            let parked = awake.driver.connection.parked(&self.setup.websocket);
            if let Slot::Active(spare) = std::mem::replace(&mut self.slot, Slot::Parked(parked)) {
                self.setup.pool.put(spare);
            }
        }
    }
}
