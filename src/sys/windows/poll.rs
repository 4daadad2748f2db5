//! Waiting for a few sockets, and what ends that from another thread.

use super::net::RawSocket;
use socket2::SockRef;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::windows::io::AsRawSocket;
use std::time::Duration;
use windows_sys::Win32::Networking::WinSock::{
    INVALID_SOCKET, POLLRDNORM, POLLWRNORM, SOCKET, SOCKET_ERROR, WSAPOLLFD, WSAPoll,
};

/// One thing to wait for.
#[derive(Clone, Copy)]
pub(crate) struct PollEntry(WSAPOLLFD);

/// What [`poll`] can wait for; without a socket, nothing.
pub(crate) fn poll_entry(socket: Option<RawSocket>, readable: bool, writable: bool) -> PollEntry {
    let events = if readable { POLLRDNORM } else { 0 } | if writable { POLLWRNORM } else { 0 };
    let fd = socket.map_or(INVALID_SOCKET, |socket| socket as SOCKET);
    PollEntry(WSAPOLLFD { fd, events, revents: 0 })
}

/// Whether [`poll`] found anything for this one: readiness, an error, the end.
pub(crate) fn is_ready(entry: &PollEntry) -> bool {
    entry.0.revents != 0
}

/// The most that are waited for at once.
const MOST: usize = 4;

/// Waits until one of the entries is ready, or the time is over; `None` waits for ever. May return early.
pub(crate) fn poll(entries: &mut [PollEntry], timeout: Option<Duration>) -> io::Result<()> {
    // Rounded up, so that a wait for the rest of a millisecond does not spin.
    let milliseconds = timeout
        .map_or(-1, |timeout| i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
    // WSAPoll fails for a socket that there is not, and for none at all.
    let mut real = [WSAPOLLFD { fd: INVALID_SOCKET, events: 0, revents: 0 }; MOST];
    let mut count = 0;
    for entry in entries.iter().filter(|entry| entry.0.fd != INVALID_SOCKET) {
        *real.get_mut(count).ok_or(io::ErrorKind::InvalidInput)? = entry.0;
        count += 1;
    }
    if count == 0 {
        std::thread::sleep(timeout.map_or(LONG, |timeout| timeout.min(LONG)));
        return Ok(());
    }
    // SAFETY: the pointer and length lie within a live, writable array.
    match unsafe { WSAPoll(real.as_mut_ptr(), count as u32, milliseconds) } {
        SOCKET_ERROR => return Err(io::Error::last_os_error()),
        _ => {
            let there = entries.iter_mut().filter(|entry| entry.0.fd != INVALID_SOCKET);
            there.zip(real).for_each(|(entry, found)| entry.0.revents = found.revents);
        }
    }
    Ok(())
}

/// A wait for nothing ends after this.
const LONG: Duration = Duration::from_millis(100);

/// Wakes a thread that waits in [`poll`], or anywhere else for a socket: two that are connected on the loopback.
#[derive(Debug)]
pub struct WakePair {
    sleeper: TcpStream,
    waker: TcpStream,
}

impl WakePair {
    /// Takes two sockets.
    pub fn new() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let waker = TcpStream::connect(listener.local_addr()?)?;
        let own = waker.local_addr()?;
        // Any program may connect to the port meanwhile.
        let sleeper = loop {
            let (stranger, peer) = listener.accept()?;
            if peer == own {
                break stranger;
            }
        };
        for end in [&sleeper, &waker] {
            end.set_nonblocking(true)?;
            end.set_nodelay(true)?;
            // Closed, its port is free at once: nothing is ever on its way that matters.
            SockRef::from(end).set_linger(Some(Duration::ZERO))?;
        }
        Ok(Self { sleeper, waker })
    }

    /// What to wait for: it becomes readable.
    pub fn socket(&self) -> RawSocket {
        self.sleeper.as_raw_socket()
    }

    /// Ends the wait under way, and the next ones until [`drain`](Self::drain).
    pub fn wake(&self) {
        // Full means that it will wake in any case.
        let _ = (&self.waker).write(&[1]);
    }

    /// Waits are waits again.
    pub fn drain(&self) {
        let mut scratch = [0; 64];
        while matches!((&self.sleeper).read(&mut scratch), Ok(1..)) {}
    }
}

/// Two stream sockets that are connected, for tests.
#[cfg(test)]
pub(crate) fn pair() -> (super::net::OwnedSocket, super::net::OwnedSocket) {
    let WakePair { sleeper, waker } = WakePair::new().unwrap();
    for end in [&sleeper, &waker] {
        let end = SockRef::from(end);
        end.set_linger(None).unwrap();
        // So that they can be filled.
        end.set_send_buffer_size(64 << 10).unwrap();
        end.set_recv_buffer_size(64 << 10).unwrap();
    }
    (sleeper.into(), waker.into())
}
