//! What a panic leaves of a connection: the call that it went through says so, others do not wait for ever, and freeing it closes
//! its socket. No call of C's can be made to panic, so that this is tested from within.

use super::*;
use crate::net::poller::{Poller, Source};
use crate::net::socket::Socket;
use crate::proto::connection::Phase;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// A connection that blocks, and the bare socket of its peer.
fn open() -> (Arc<SharedConnection>, socket2::Socket) {
    let (own, peer) = crate::sys::pair();
    let connection = SharedConnection::open(&Arc::default(), Role::Server, Vec::new());
    connection.set_stream(Stream::Socket(Socket::owned(own))).unwrap();
    let peer = socket2::Socket::from(peer);
    peer.set_nonblocking(false).unwrap();
    (Arc::new(connection), peer)
}

/// What the C boundary does with a panic.
fn die(connection: &SharedConnection) {
    let died = catch_unwind(AssertUnwindSafe(|| connection.with(|_| panic!("a bug, for a test"))));
    assert!(died.is_err());
    connection.died();
}

#[test]
fn a_panic_ends_the_waits_of_other_threads() {
    let (connection, _peer) = open();
    let waiting: [fn(&SharedConnection) -> Result<()>; 2] = [
        |connection| connection.read_many(|_, _| false).map(|_| ()),
        |connection| connection.wait(None).map(|_| ()),
    ];
    let threads = waiting.map(|wait| {
        let connection = Arc::clone(&connection);
        std::thread::spawn(move || wait(&connection))
    });
    std::thread::sleep(Duration::from_millis(100));
    die(&connection);
    for thread in threads {
        assert!(matches!(thread.join().unwrap(), Err(Error::Internal)));
    }
}

#[test]
fn a_connection_that_a_panic_went_through_leaves_its_poller_and_closes_its_socket() {
    let (connection, mut peer) = open();
    let poller = Poller::new().unwrap();
    poller.add(Source::Connection(Arc::clone(&connection)), 7).unwrap();
    die(&connection);
    let mut tokens = [0; 4];
    while poller.wait(&mut tokens, Some(Duration::from_millis(50))).is_ok() {}
    connection.leave_any();
    assert_eq!(Arc::strong_count(&connection), 1);
    drop(connection);
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(peer.read(&mut [0; 16]).unwrap(), 0);
}

#[test]
fn a_connection_that_is_busy_is_not_reported_after_its_end_has_been_told() {
    let (connection, peer) = open();
    connection
        .with(|inner| {
            inner.configure(|_, settings| {
                settings.blocking = false;
                Ok(())
            })
        })
        .unwrap()
        .unwrap();
    let poller = Poller::new().unwrap();
    poller.add(Source::Connection(Arc::clone(&connection)), 7).unwrap();
    drop(peer);
    let (mut tokens, at_once) = ([0; 4], Some(Duration::ZERO));
    assert_eq!(poller.wait(&mut tokens, Some(Duration::from_secs(5))).unwrap(), 1);
    // Marked dirty while there is something to tell.
    connection.set_paused(false).unwrap();
    assert!(connection.read_many(|_, _| false).is_err());
    assert!(connection.look(|inner| matches!(inner.view().phase(), Phase::Ended)).unwrap());
    let busy = connection.lock().unwrap();
    assert!(poller.wait(&mut tokens, at_once).is_err(), "the poller believes what was said before the end");
    drop(busy);
    assert!(poller.wait(&mut tokens, at_once).is_err());
}
