//! What must not hold the caller up, on threads of its own: looking names up, and reading the certificates of the
//! system. A thread leaves what it found in a queue of completions and wakes whoever waits for that. Nobody waits for the thread:
//! where its connection has been freed, what it finds is dropped.
//!
//! A thread keeps the library in memory until it has ended, by a thread-local with a destructor: the C library does not
//! unload what has such a destructor still to run. It takes none of the program's signals.

use crate::net::connect::happy_eyeballs::Family;
use crate::net::sys::Thread;
use crate::net::tls::ClientTls;
use mio::Waker;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};

/// Enough for any resolver.
const STACK: usize = 512 << 10;

/// What a thread has found.
#[derive(Debug)]
pub enum Completion {
    /// The addresses of a name, of one family.
    Addresses(Family, io::Result<Vec<SocketAddr>>),
    /// What TLS needs to begin.
    Tls(crate::error::Result<ClientTls>),
}

/// Where it is left, and by whom.
#[derive(Debug)]
pub struct Completions {
    shared: Arc<Shared>,
    threads: Vec<Option<Thread>>,
}

#[derive(Debug)]
struct Shared {
    news: Mutex<Vec<(usize, Completion)>>,
    waker: Waker,
}

impl Completions {
    /// An empty one; `waker` is called when something comes.
    pub fn new(waker: Waker) -> Self {
        Self { shared: Arc::new(Shared { news: Mutex::default(), waker }), threads: Vec::new() }
    }

    /// What has come.
    pub fn take(&mut self) -> Vec<Completion> {
        let news = std::mem::take(&mut *self.shared.news());
        for (thread, _) in &news {
            if let Some(thread) = self.threads.get_mut(*thread).and_then(Option::take) {
                // It has nothing left to do but to end, and then does not keep the library.
                thread.join();
            }
        }
        news.into_iter().map(|(_, news)| news).collect()
    }

    /// Lets a thread find something out.
    pub fn spawn(&mut self, find: impl FnOnce() -> Completion + Send + 'static) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let place = self.threads.len();
        let staying = Arc::new(Barrier::new(2));
        let stays = Arc::clone(&staying);
        let work = move || {
            STAY.with(|_| {});
            stays.wait();
            let news = find();
            shared.news().push((place, news));
            // It fails where nobody waits any more.
            let _ = shared.waker.wake();
        };
        self.threads.push(Some(Thread::start(STACK, Box::new(work))?));
        // Before it has seen to that it stays, the library must not go.
        staying.wait();
        Ok(())
    }
}

impl Shared {
    fn news(&self) -> MutexGuard<'_, Vec<(usize, Completion)>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Completions {
    fn drop(&mut self) {
        self.take();
    }
}

/// Looks up the addresses of a name, of one family.
pub fn look_up(host: &str, port: u16, family: Family) -> io::Result<Vec<SocketAddr>> {
    let hints = dns_lookup::AddrInfoHints {
        address: match family {
            Family::V6 => libc::AF_INET6,
            Family::V4 => libc::AF_INET,
        },
        socktype: libc::SOCK_STREAM,
        ..dns_lookup::AddrInfoHints::default()
    };
    let found = dns_lookup::getaddrinfo(Some(host), None, Some(hints)).map_err(io::Error::from)?;
    let mut addresses = Vec::new();
    for answer in found {
        let mut address = answer?.sockaddr;
        address.set_port(port);
        addresses.push(address);
    }
    Ok(addresses)
}

/// The address that is written out in `host`, if one is; its family says which lookup it stands for.
pub fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    host.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port))
}

thread_local!(static STAY: Stay = const { Stay });

/// Has a destructor, and nothing for it to do.
struct Stay;

impl Drop for Stay {
    fn drop(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_written_out_need_no_lookup() {
        assert_eq!(literal("127.0.0.1", 80), Some("127.0.0.1:80".parse().unwrap()));
        assert_eq!(literal("::1", 80), Some("[::1]:80".parse().unwrap()));
        assert_eq!(literal("localhost", 80), None);
    }

    #[test]
    fn a_name_has_its_addresses_and_the_port_asked_for() {
        let addresses = look_up("localhost", 4711, Family::V4).unwrap();
        assert!(addresses.contains(&"127.0.0.1:4711".parse().unwrap()));
        assert!(look_up("no-such-name.invalid", 80, Family::V4).is_err());
    }
}
