//! Connections on which nothing goes on: what is kept of them, and the memory that they share.

use super::core::Core;
use crate::driver::Driver;
use crate::proto::connection::Dormant;
use crate::transport::Link;
use std::mem::MaybeUninit;
use std::sync::Mutex;

/// A connection, or what is left of it while nothing goes on: most connections of a server wait, and are to cost as
/// little as can be meanwhile.
#[derive(Debug)]
pub(super) enum Life {
    Awake(Box<Awake>),
    Asleep(Dormant),
}

/// A connection on which something goes on.
#[derive(Debug)]
pub(super) struct Awake {
    pub(super) driver: Driver,
    /// There from the first message that is lent to its end.
    pub(super) room: Option<Box<Room>>,
}

/// Memory for what a reader has to note about the messages that are lent to it: there as long as they are.
pub type Room = [MaybeUninit<u64>; 120];

impl Awake {
    pub(super) fn new(driver: Driver) -> Box<Self> {
        Box::new(Self { driver, room: None })
    }
}

/// Memory for the next connection that wakes up: one after the other has the same, which is in the cache by then.
#[derive(Debug, Default)]
pub struct Spares(Mutex<[Option<Box<Awake>>; 4]>);

impl Spares {
    #[inline]
    fn take(&self) -> Option<Box<Awake>> {
        self.0.lock().ok()?.iter_mut().find_map(Option::take)
    }

    #[inline]
    fn put(&self, spare: Box<Awake>) {
        if let Ok(mut spares) = self.0.lock()
            && let Some(place) = spares.iter_mut().find(|place| place.is_none())
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

impl Core {
    pub(super) fn wake(&mut self) {
        if let Life::Asleep(dormant) = &mut self.life {
            let usual = &self.setup.websocket;
            let awake = match self.setup.spares.take() {
                Some(mut spare) => {
                    spare.driver.connection.reuse(dormant, usual);
                    spare
                }
                None => Awake::new(Driver::new(dormant.wake(usual))),
            };
            self.life = Life::Awake(awake);
        }
    }

    /// Nothing is lent any more. Where the connection is about to sleep the room goes with the rest of its memory.
    #[cold]
    pub(super) fn end_loan(&mut self) {
        if let Life::Awake(awake) = &mut self.life
            && !(can_sleep(&self.link) && awake.driver.is_dormant())
        {
            awake.room = None;
        }
    }

    /// Puts a connection to sleep where nothing goes on. Its socket alone says when something does.
    #[inline]
    pub(super) fn sleep(&mut self) {
        if let Life::Awake(awake) = &mut self.life
            && can_sleep(&self.link)
            && awake.driver.is_dormant()
        {
            let dormant = awake.driver.connection.dormant(&self.setup.websocket);
            if let Life::Awake(spare) = std::mem::replace(&mut self.life, Life::Asleep(dormant)) {
                self.setup.spares.put(spare);
            }
        }
    }
}
