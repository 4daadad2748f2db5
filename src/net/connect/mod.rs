//! Opening a connection without ever holding its caller up: the name is looked up on a thread ([`resolve`]), the addresses race
//! ([`happy_eyeballs`] says which is next), a proxy is asked for a tunnel, TLS is put on top. Each call goes as far as it can.
//! All that is waited for is gathered behind one descriptor. Knows no rule of WebSocket.

pub(crate) mod happy_eyeballs;
mod race;
pub(crate) mod resolve;

use self::happy_eyeballs::{Family, HappyEyeballs};
use self::race::{Race, Waited, begin};
use self::resolve::{Completion, Completions};
use crate::error::{Error, Result};
use crate::net::clock;
use crate::net::proxy::{Proxy, Tunnel};
use crate::net::setup::Setup;
use crate::net::socket::Socket;
use crate::net::stream::Stream;
use crate::net::tls::ClientTls;
use crate::proto::deadline::NEVER;
use crate::proto::handshake::Url;
use crate::sys::{self, Bundle, RawSocket};
use socket2::SockAddr;
use std::io::{self, Read, Write};

/// A Unix socket whose listener is busy says so at once, and never that it is free again: ask this often, in ms.
const BUSY_DELAY: u64 = 10;

/// See the module.
#[derive(Debug)]
pub struct Connector {
    completions: Option<Completions>,
    stage: Stage,
    /// What is waited for, in one. Dropped after what is in it.
    bundle: Bundle,
    nodelay: bool,
    /// The proxy, and the host and port that it is asked for.
    proxy: Option<(Proxy, String, u16)>,
    tls: Tls,
    /// When patience with all this ends.
    until: u64,
    /// Something has happened that has not been looked at.
    has_events: bool,
    /// What came of it at once.
    outcome: Option<Box<Result<Stream>>>,
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    /// A Unix socket whose listener was too busy; when to ask again.
    Busy(SockAddr, u64),
    /// Addresses are awaited and tried.
    Race(Race),
    /// A proxy is being asked.
    Tunnel(Waited, Tunnel),
    /// The socket is there; TLS is not ready to begin.
    Connected(Socket),
    /// Handed on, or failed.
    Over,
}

/// TLS, where it is wanted.
#[derive(Debug)]
enum Tls {
    No,
    /// A thread is getting ready for it.
    Awaited(String),
    Ready(String, ClientTls),
}

impl Connector {
    /// Begins. What fails later is told by [`poll`](Self::poll).
    pub fn start(url: &Url, setup: &Setup) -> Result<Self> {
        let settings = &setup.settings;
        let mut connector = Self {
            completions: None,
            stage: Stage::Over,
            bundle: Bundle::new()?,
            nodelay: settings.nodelay,
            proxy: None,
            tls: Tls::No,
            until: clock::after(settings.connect_timeout),
            has_events: true,
            outcome: None,
        };
        let prepared = match url.socket_path() {
            Some(path) => {
                connector.stage = Stage::Busy(sys::unix_address(path)?, 0);
                Ok(())
            }
            None => connector.prepare(url, setup),
        };
        if let Err(error @ Error::Url(_)) = prepared {
            return Err(error);
        }
        // Whatever else goes wrong is told with a connection that can be asked why.
        match prepared.and_then(|()| connector.poll()) {
            Ok(None) => {}
            Ok(Some(stream)) => connector.outcome = Some(Box::new(Ok(stream))),
            Err(error) => connector.outcome = Some(Box::new(Err(error))),
        }
        Ok(connector)
    }

    /// One descriptor that becomes readable when there is something to do.
    pub fn raw_socket(&self) -> RawSocket {
        self.bundle.raw_socket()
    }

    /// When there is something to do even if nothing happens, on the library's clock.
    pub fn due(&self) -> u64 {
        let due = match &self.stage {
            _ if self.outcome.is_some() => 0,
            Stage::Busy(_, again) => *again,
            Stage::Race(race) => race.eyeballs.due().unwrap_or(NEVER),
            _ => NEVER,
        };
        due.min(self.until)
    }

    /// Whether it has taken too long.
    pub fn is_late(&self, now: u64) -> bool {
        now >= self.until
    }

    /// Something may have happened.
    pub fn on_event(&mut self) {
        self.has_events = true;
    }

    /// Whether [`poll`](Self::poll) may get further than last time.
    pub fn has_events(&self) -> bool {
        self.has_events || self.outcome.is_some()
    }

    /// Nobody waits for it any more: what has not been begun need not be.
    pub fn give_up(&mut self) {
        self.completions = None;
    }

    /// Goes as far as it can. The stream, once; `None` while it takes its time.
    pub fn poll(&mut self) -> Result<Option<Stream>> {
        if let Some(outcome) = self.outcome.take() {
            return outcome.map(Some);
        }
        self.has_events = false;
        let now = clock::now_ms();
        let arrived = self.take_events(now)?;
        loop {
            match &mut self.stage {
                Stage::Busy(_, again) if now < *again => return Ok(None),
                Stage::Busy(address, again) => match begin(address, false) {
                    Ok(socket) => self.stage = Stage::Connected(Socket::owned(socket.into())),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        *again = now + BUSY_DELAY;
                        return Ok(None);
                    }
                    Err(error) => return Err(error.into()),
                },
                Stage::Race(race) => {
                    let Some(socket) = race.advance(&self.bundle, self.nodelay, &arrived, now)? else {
                        return Ok(None);
                    };
                    self.stage = match &self.proxy {
                        None => Stage::Connected(socket.alone()),
                        Some((proxy, host, port)) => Stage::Tunnel(socket, proxy.tunnel(host, *port)?),
                    };
                }
                Stage::Tunnel(socket, tunnel) => {
                    if !ask_proxy(&mut socket.socket, tunnel)? {
                        return Ok(None);
                    }
                    self.next_stage(|stage| match stage {
                        Stage::Tunnel(socket, _) => Stage::Connected(socket.alone()),
                        other => other,
                    });
                }
                Stage::Connected(_) => return self.hand_on(),
                Stage::Over => return Err(io::Error::from(io::ErrorKind::NotConnected).into()),
            }
        }
    }

    /// Begins with what takes a while.
    fn prepare(&mut self, url: &Url, setup: &Setup) -> Result<()> {
        let (mut host, mut port) = (url.host().to_owned(), url.port());
        if url.secure() {
            self.prepare_tls(setup, host.clone())?;
        }
        if let Some(proxy) = setup.proxy_for(url.secure(), &host, port)? {
            let destination = (proxy.clone(), host, port);
            (host, port) = (proxy.host().to_owned(), proxy.port());
            self.proxy = Some(destination);
        }
        Ok(self.look_up(host, port)?)
    }

    fn prepare_tls(&mut self, setup: &Setup, host: String) -> Result<()> {
        if setup.tls.is_client_ready() {
            self.tls = Tls::Ready(host, setup.tls.client()?);
            return Ok(());
        }
        // The certificates of the system are many, and lie in files.
        let options = setup.tls.clone();
        self.completions()?.spawn(move || Completion::Tls(options.client()))?;
        self.tls = Tls::Awaited(host);
        Ok(())
    }

    fn look_up(&mut self, host: String, port: u16) -> io::Result<()> {
        let mut eyeballs = HappyEyeballs::new();
        if let Some(address) = resolve::literal(&host, port) {
            let family = if address.is_ipv6() { Family::V6 } else { Family::V4 };
            let other = if address.is_ipv6() { Family::V4 } else { Family::V6 };
            eyeballs.found(other, [], 0);
            eyeballs.found(family, [address], 0);
        } else {
            for family in [Family::V6, Family::V4] {
                let host = host.clone();
                self.completions()?
                    .spawn(move || Completion::Addresses(family, resolve::look_up(&host, port, family)))?;
            }
        }
        self.stage = Stage::Race(Race::new(eyeballs));
        Ok(())
    }

    fn completions(&mut self) -> io::Result<&mut Completions> {
        if self.completions.is_none() {
            self.completions = Some(Completions::new(self.bundle.notifier()?));
        }
        self.completions.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Takes what has happened: the attempts that have come to something.
    fn take_events(&mut self, now: u64) -> Result<Vec<usize>> {
        let arrived = self.bundle.take_news()?;
        let completions = self.completions.as_mut().map(Completions::take).unwrap_or_default();
        for completion in completions {
            match (completion, &mut self.stage) {
                (Completion::Addresses(family, found), Stage::Race(race)) => {
                    let addresses = found.unwrap_or_else(|error| {
                        race.error = error;
                        Vec::new()
                    });
                    race.eyeballs.found(family, addresses, now);
                }
                (Completion::Addresses(..), _) => {}
                (Completion::Tls(ready), _) => {
                    if let Tls::Awaited(host) = &mut self.tls {
                        let host = std::mem::take(host);
                        self.tls = Tls::Ready(host, ready?);
                    }
                }
            }
        }
        Ok(arrived)
    }

    fn next_stage(&mut self, next: impl FnOnce(Stage) -> Stage) {
        self.stage = next(std::mem::replace(&mut self.stage, Stage::Over));
    }

    /// The socket is connected as far as the destination.
    fn hand_on(&mut self) -> Result<Option<Stream>> {
        if let Tls::Awaited(_) = self.tls {
            return Ok(None);
        }
        let Stage::Connected(socket) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return Err(io::Error::from(io::ErrorKind::NotConnected).into());
        };
        Ok(Some(match &self.tls {
            Tls::Ready(host, tls) => Stream::Tls(Box::new(tls.over(host, socket)?)),
            _ => Stream::Socket(socket),
        }))
    }
}

/// Has the conversation with a proxy. Whether the tunnel has been established.
fn ask_proxy(socket: &mut Socket, tunnel: &mut Tunnel) -> Result<bool> {
    loop {
        while !tunnel.output().is_empty() {
            let Some(sent) = until_it_would_block(|| socket.write(tunnel.output()))? else {
                return Ok(false);
            };
            tunnel.sent(sent);
        }
        let mut space = [0; 512];
        let wanted = tunnel.wanted().min(space.len());
        let Some(n) = until_it_would_block(|| socket.read(&mut space[..wanted]))? else { return Ok(false) };
        if n == 0 {
            return Err(tunnel.ended());
        }
        if tunnel.received(&space[..n])? {
            return Ok(true);
        }
    }
}

/// How much was moved; `None` where nothing can be for now.
fn until_it_would_block(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match call() {
            Ok(n) => return Ok(Some(n)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    // On Windows threads of the system's say so, one after the other.
    #[cfg(unix)]
    #[test]
    fn attempts_that_come_to_something_at_once_are_all_heard_of() {
        use super::*;
        use std::net::TcpListener;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let url = Url::parse(&format!("ws://{address}/")).unwrap();
        let mut connector = Connector::start(&url, &Setup::default()).unwrap();
        let Stage::Race(race) = &mut connector.stage else { panic!("it is still to be looked at") };
        for _ in 1..40 {
            race.attempt(address, &connector.bundle, true).unwrap();
        }
        assert_eq!(connector.take_events(0).unwrap().len(), 40);
        // A poller hears of changes only.
        assert!(connector.take_events(0).unwrap().is_empty());
    }
}
