//! What must not hold the caller up, on threads of its own: looking names up, and reading the certificates of the
//! system. A thread leaves what it found in a mailbox and wakes whoever waits for that. Nobody waits for the thread:
//! where its connection has been freed, what it finds is dropped.
//!
//! A thread keeps the library in memory until it has ended, by a thread-local with a destructor: the C library does not
//! unload what has such a destructor still to run. It takes none of the program's signals.

use crate::transport::eyeballs::Family;
use crate::transport::sys;
use crate::transport::tls::ClientTls;
use mio::Waker;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

/// Enough for any resolver.
const STACK: usize = 512 << 10;

/// What a thread has found.
#[derive(Debug)]
pub enum News {
    /// The addresses of a name, of one family.
    Addresses(Family, io::Result<Vec<SocketAddr>>),
    /// What TLS needs to begin.
    Tls(crate::error::Result<ClientTls>),
}

/// Where it is left.
#[derive(Debug)]
pub struct Mailbox {
    news: Mutex<Vec<News>>,
    waker: Waker,
}

impl Mailbox {
    /// An empty one; `waker` is called when something comes.
    pub fn new(waker: Waker) -> Arc<Self> {
        Arc::new(Self { news: Mutex::default(), waker })
    }

    /// What has come.
    pub fn take(&self) -> Vec<News> {
        std::mem::take(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets a thread find something out.
    pub fn send_for(self: &Arc<Self>, find: impl FnOnce() -> News + Send + 'static) -> io::Result<()> {
        let mailbox = Arc::clone(self);
        let thread = std::thread::Builder::new().name("wsabi".to_owned()).stack_size(STACK);
        sys::without_signals(|| {
            thread.spawn(move || {
                STAY.with(|_| {});
                let news = find();
                mailbox.news.lock().unwrap_or_else(PoisonError::into_inner).push(news);
                // It fails where nobody waits any more.
                let _ = mailbox.waker.wake();
            })
        })?;
        Ok(())
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
