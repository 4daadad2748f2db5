//! The memory of connections on which something goes on, which they hand from one to the next. Knows no connection's place or
//! transport.

use crate::driver::Driver;
use std::mem::MaybeUninit;
use std::sync::Mutex;

/// A connection on which something goes on.
#[derive(Debug)]
pub(crate) struct Active {
    pub(in crate::net) driver: Driver,
    /// There from the first message that is lent to its end.
    pub(in crate::net) room: Option<Box<MessageSlots>>,
}

/// Memory for what a reader has to note about the messages that are lent to it: there as long as they are.
pub(crate) type MessageSlots = [MaybeUninit<u64>; 120];

impl Active {
    pub(in crate::net) fn new(driver: Driver) -> Box<Self> {
        Box::new(Self { driver, room: None })
    }
}

/// Memory for the next connection that becomes active: one after the other has the same, which is in the cache by then. Each
/// poller has its own, so that pollers share no lock; connections without one share that of their configuration.
#[derive(Debug, Default)]
pub struct Pool(Mutex<[Option<Box<Active>>; 4]>);

impl Pool {
    #[inline]
    pub(in crate::net) fn take(&self) -> Option<Box<Active>> {
        self.0.lock().ok()?.iter_mut().find_map(Option::take)
    }

    #[inline]
    pub(in crate::net) fn put(&self, spare: Box<Active>) {
        if let Ok(mut pool) = self.0.lock()
            && let Some(place) = pool.iter_mut().find(|place| place.is_none())
        {
            *place = Some(spare);
        }
    }
}
