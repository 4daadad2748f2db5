//! Connections on which nothing goes on: what is kept of them, and the memory that they share.

use super::core::Core;
use crate::proto::connection::Dormant;
use crate::transport::Link;
use crate::websocket::WebSocket;
use std::sync::Mutex;

/// A connection, or what is left of it while nothing goes on: most connections of a server wait, and are to cost as
/// little as can be meanwhile.
#[derive(Debug)]
pub(super) enum Life {
    Awake(Box<WebSocket<Link>>),
    Asleep(Link, Dormant),
}

/// Memory for the next connection that wakes up: one after the other has the same, which is in the cache by then.
#[derive(Debug, Default)]
pub struct Spares(Mutex<[Option<Box<WebSocket<Link>>>; 4]>);

impl Spares {
    fn take(&self) -> Option<Box<WebSocket<Link>>> {
        self.0.lock().ok()?.iter_mut().find_map(Option::take)
    }

    fn put(&self, spare: Box<WebSocket<Link>>) {
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
        if let Life::Asleep(link, dormant) = &mut self.life {
            let link = std::mem::replace(link, Link::Memory);
            let usual = &self.setup.websocket;
            let socket = match self.setup.spares.take() {
                Some(mut spare) => {
                    *spare.get_mut() = link;
                    spare.connection.reuse(dormant, usual);
                    spare
                }
                None => Box::new(WebSocket::over(link, dormant.wake(usual))),
            };
            self.life = Life::Awake(socket);
        }
    }

    /// Puts a connection to sleep where nothing goes on. Its socket alone says when something does.
    #[inline]
    pub(super) fn sleep(&mut self) {
        if let Life::Awake(socket) = &mut self.life
            && can_sleep(socket.get_ref())
            && socket.is_dormant()
        {
            let dormant = socket.connection.dormant(&self.setup.websocket);
            let link = std::mem::replace(socket.get_mut(), Link::Memory);
            if let Life::Awake(spare) = std::mem::replace(&mut self.life, Life::Asleep(link, dormant)) {
                self.setup.spares.put(spare);
            }
        }
    }
}
