//! A listening socket, TCP or Unix, plain or with TLS. Accepts without blocking; waiting is a loop around that.

mod socket_file;

use self::socket_file::SocketFile;
use crate::error::{Error, Result};
use crate::net::clock::{self, Now};
use crate::net::registry::{Key, Registry, Sides, SourceStatus};
use crate::net::setup::Setup;
use crate::net::socket::Socket;
use crate::net::stream::Stream;
use crate::net::tls::ServerTls;
use crate::net::wait::{self, Interest};
use crate::proto::deadline::NEVER;
use crate::proto::handshake::Url;
use crate::sys::{self, Process, RawSocket, Watch};
use socket2::{SockAddr, Type};
use std::io;
use std::net::ToSocketAddrs;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Connections that wait to be accepted; the system may have a lower limit of its own.
const BACKLOG: i32 = 4096;
/// How long a poller keeps quiet about a connection that could not be accepted, for instance for want of descriptors, in
/// ms.
const PAUSE: u64 = 100;

/// See the module.
#[derive(Debug)]
pub struct Listener {
    socket: socket2::Socket,
    nodelay: bool,
    tls: Option<ServerTls>,
    /// The file of a Unix socket, which goes with it.
    file: Option<SocketFile>,
    opener: Process,
    /// How often a poller has told of connections that wait.
    told: AtomicUsize,
    /// How often it had when there was none any more. Whoever asked the system before one came has not drained it.
    drained_at: AtomicUsize,
    /// Nothing can be accepted before this.
    paused_until: AtomicU64,
    registration: Mutex<Option<Registration>>,
}

/// Its place in a poller.
#[derive(Debug)]
struct Registration {
    poller: Arc<Registry>,
    key: Key,
    watch: Watch,
}

impl Listener {
    /// Listens where the URL says; port 0 takes a free one.
    pub fn bind(url: &Url, setup: &Setup) -> Result<Self> {
        let tls = if url.secure() { Some(setup.tls.server()?) } else { None };
        let (socket, file) = match url.socket_path() {
            Some(path) => socket_file::bind(path, listen)?,
            None => (bind_tcp(url.host(), url.port(), setup.settings.reuse_port)?, None),
        };
        Ok(Self {
            socket,
            nodelay: setup.settings.nodelay && url.socket_path().is_none(),
            tls,
            file,
            opener: Process::current(),
            told: AtomicUsize::new(1),
            drained_at: AtomicUsize::new(0),
            paused_until: AtomicU64::new(0),
            registration: Mutex::default(),
        })
    }

    /// The next connection that waits; `WouldBlock` where there is none.
    pub fn accept(&self) -> Result<Stream> {
        let socket = loop {
            let told = self.told.load(Ordering::Acquire);
            match self.socket.accept() {
                Ok((socket, _)) => break socket,
                // The peer gave up before its turn came: that is no matter of ours.
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    if error.kind() == io::ErrorKind::WouldBlock {
                        self.drained_at.store(told, Ordering::Relaxed);
                        self.ask_poller_again();
                    } else {
                        self.paused_until.store(clock::now_ms() + PAUSE, Ordering::Relaxed);
                    }
                    return Err(error.into());
                }
            }
        };
        if self.nodelay {
            // It fails where the peer is gone already, which reading will tell.
            let _ = socket.set_tcp_nodelay(true);
        }
        let socket = Socket::owned(socket.into());
        match &self.tls {
            Some(tls) => Ok(Stream::Tls(Box::new(tls.over(socket)?))),
            None => Ok(Stream::Socket(socket)),
        }
    }

    /// The next connection, waited for until then; `WouldBlock` where none came.
    pub fn accept_until(&self, until: Option<Instant>) -> Result<Stream> {
        loop {
            match self.accept() {
                Err(error) if error.is_would_block() => {
                    if !wait::wait_alone(self.raw_socket(), Interest { read: true, write: false }, until)? {
                        return Err(error);
                    }
                }
                other => return other,
            }
        }
    }

    /// The listening socket.
    pub fn raw_socket(&self) -> RawSocket {
        sys::raw(&self.socket)
    }

    /// The port it listens on; 0 for a Unix socket.
    pub fn port(&self) -> u16 {
        let address = self.socket.local_addr().ok().and_then(|address| address.as_socket());
        address.map_or(0, |address| address.port())
    }

    /// Registers it with a poller, under this key.
    pub(in crate::net) fn register(&self, poller: &Arc<Registry>, key: Key) -> Result<()> {
        let mut registration = self.registration();
        if registration.is_some() {
            return Err(Error::Misuse("this listener is already in a poller"));
        }
        let watch = poller.register(self.raw_socket(), key, Sides::Read)?;
        *registration = Some(Registration { poller: Arc::clone(poller), key, watch });
        drop(registration);
        poller.mark_dirty(key, self.status(&Now::default()));
        Ok(())
    }

    /// Deregisters it from its poller; the key that it had there.
    pub(in crate::net) fn deregister(&self) -> Option<(Arc<Registry>, Key)> {
        let Registration { poller, key, mut watch } = self.registration().take()?;
        poller.deregister(&mut watch);
        Some((poller, key))
    }

    /// Leaves its poller, where it is with one.
    pub fn leave_poller(&self) {
        if let Some((poller, key)) = self.deregister() {
            poller.remove(key);
        }
    }

    /// A connection may wait.
    pub(in crate::net) fn on_event(&self) {
        self.told.fetch_add(1, Ordering::Relaxed);
        if Watch::TELLS_ONCE
            && let Some(registration) = &mut *self.registration()
        {
            registration.watch.told(true, false);
        }
    }

    /// There is none that waits: its poller tells of the next.
    fn ask_poller_again(&self) {
        if Watch::TELLS_ONCE
            && let Some(registration) = &mut *self.registration()
        {
            registration.poller.ask_again(&mut registration.watch, true, false);
        }
    }

    /// Whether accepting is worth a try, and when it will be; never, where nobody waits.
    pub(in crate::net) fn status(&self, now: &Now) -> SourceStatus {
        let is_drained = self.drained_at.load(Ordering::Relaxed) == self.told.load(Ordering::Relaxed);
        let due = match is_drained {
            true => NEVER,
            false => self.paused_until.load(Ordering::Relaxed),
        };
        if Watch::TELLS_ONCE
            && !is_drained
            && let Some(registration) = &mut *self.registration()
        {
            registration.poller.rest(&mut registration.watch);
        }
        SourceStatus { ready: due != NEVER && due <= now.ms(), due }
    }

    fn registration(&self) -> MutexGuard<'_, Option<Registration>> {
        self.registration.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(file) = &self.file
            && self.opener == Process::current()
        {
            file.remove();
        }
    }
}

fn bind_tcp(host: &str, port: u16, reuse_port: bool) -> Result<socket2::Socket> {
    let mut last = io::Error::from(io::ErrorKind::NotFound).into();
    for address in (host, port).to_socket_addrs()? {
        let address = SockAddr::from(address);
        let attempt = || -> Result<_> {
            let socket = socket2::Socket::new(address.domain(), Type::STREAM, None)?;
            sys::share_address(&socket, reuse_port)?;
            socket.bind(&address)?;
            Ok(listen(socket)?)
        };
        match attempt() {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen(socket: socket2::Socket) -> io::Result<socket2::Socket> {
    socket.set_nonblocking(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}
