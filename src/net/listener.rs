//! A listening socket, TCP or Unix, plain or with TLS. Accepts without blocking; waiting is a loop around that.

use crate::error::Result;
use crate::net::poller::Registration;
use crate::net::setup::Setup;
use crate::net::socket::{self, Socket};
use crate::net::tls::ServerTls;
use crate::net::wait::{self, Interest};
use crate::net::{Link, clock};
use crate::proto::handshake::Url;
use socket2::{Domain, SockAddr, Type};
use std::ffi::OsStr;
use std::io;
use std::net::ToSocketAddrs;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
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
    file: Option<PathBuf>,
    /// None waits, as far as is known.
    drained: AtomicBool,
    /// Nothing can be accepted before this.
    paused_until: AtomicU64,
    watch: Mutex<Option<Registration>>,
}

impl Listener {
    /// Listens where the URL says; port 0 takes a free one.
    pub fn bind(url: &Url, setup: &Setup) -> Result<Self> {
        let tls = if url.secure() { Some(setup.tls.server()?) } else { None };
        let (socket, file) = match url.socket_path() {
            Some(path) => bind_unix(path)?,
            None => (bind_tcp(url.host(), url.port(), setup.settings.reuse_port)?, None),
        };
        Ok(Self {
            socket,
            nodelay: setup.settings.nodelay && url.socket_path().is_none(),
            tls,
            file,
            drained: AtomicBool::new(false),
            paused_until: AtomicU64::new(0),
            watch: Mutex::default(),
        })
    }

    /// The next connection that waits; `WouldBlock` where there is none.
    pub fn accept(&self) -> Result<Link> {
        let socket = loop {
            match self.socket.accept() {
                Ok((socket, _)) => break socket,
                // The peer gave up before its turn came: that is no matter of ours.
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    if error.kind() == io::ErrorKind::WouldBlock {
                        self.drained.store(true, Ordering::Relaxed);
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
            Some(tls) => Ok(Link::Tls(Box::new(tls.over(socket)?))),
            None => Ok(Link::Socket(socket)),
        }
    }

    /// The next connection, waited for until then; `WouldBlock` where none came.
    pub fn accept_until(&self, until: Option<Instant>) -> Result<Link> {
        loop {
            match self.accept() {
                Err(error) if error.is_would_block() => {
                    if !wait::wait(self.fd(), Interest { read: true, write: false }, until, None)? {
                        return Err(error);
                    }
                }
                other => return other,
            }
        }
    }

    /// The listening socket.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// The port it listens on; 0 for a Unix socket.
    pub fn port(&self) -> u16 {
        let address = self.socket.local_addr().ok().and_then(|address| address.as_socket());
        address.map_or(0, |address| address.port())
    }

    /// The poller that watches it.
    pub fn watch(&self) -> std::sync::MutexGuard<'_, Option<Registration>> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection may wait.
    pub fn stir(&self) {
        self.drained.store(false, Ordering::Relaxed);
    }

    /// When accepting is worth a try: a time that is over for now, none where nobody waits.
    pub fn due(&self) -> Option<u64> {
        (!self.drained.load(Ordering::Relaxed)).then(|| self.paused_until.load(Ordering::Relaxed))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // Somebody may have removed it already.
            let _ = std::fs::remove_file(file);
        }
    }
}

fn bind_tcp(host: &str, port: u16, reuse_port: bool) -> io::Result<socket2::Socket> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in (host, port).to_socket_addrs()? {
        let address = SockAddr::from(address);
        let attempt = || {
            let socket = socket2::Socket::new(address.domain(), Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.set_reuse_port(reuse_port)?;
            socket.bind(&address)?;
            Ok(socket)
        };
        match attempt().and_then(listen) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Listens at a path. A file that a listener left behind when it died is replaced, one that somebody listens at is not.
fn bind_unix(path: &[u8]) -> Result<(socket2::Socket, Option<PathBuf>)> {
    let address = socket::unix_address(path)?;
    let file = (!path.starts_with(b"@")).then(|| PathBuf::from(OsStr::from_bytes(path)));
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    match (socket.bind(&address), &file) {
        (Err(error), Some(file)) if error.kind() == io::ErrorKind::AddrInUse && is_left_behind(&address) => {
            std::fs::remove_file(file)?;
            socket.bind(&address)?;
        }
        (bound, _) => bound?,
    }
    Ok((listen(socket)?, file))
}

fn is_left_behind(address: &SockAddr) -> bool {
    let probe = socket2::Socket::new(Domain::UNIX, Type::STREAM, None).and_then(|probe| {
        probe.set_nonblocking(true)?;
        probe.connect(address)
    });
    matches!(probe, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)
}

fn listen(socket: socket2::Socket) -> io::Result<socket2::Socket> {
    socket.set_nonblocking(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}
