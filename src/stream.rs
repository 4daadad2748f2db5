//! Connections that the library opens by itself: [`connect`], what it can be told ([`ConnectOptions`]), and what moves the
//! bytes ([`Stream`]). TCP, TLS, Unix sockets, proxies and the looking up of names are `net`'s, as for the C ABI; what is
//! done here is to wait for it. Only with the feature `net`. Knows no rule of the protocol.

use crate::config::WebSocketConfig;
use crate::error::{Deadline, Error, Result};
use crate::net::clock;
use crate::net::connect::Connector;
use crate::net::proxy::Proxy;
use crate::net::setup::Setup;
use crate::net::socket::Socket;
use crate::net::stream::Stream as Opened;
use crate::net::tls::{Tls, TlsOptions};
use crate::net::wait::{self, Interest};
use crate::opening::{HandshakeFailure, client_with};
use crate::proto::deadline::NEVER;
use crate::proto::handshake::{HandshakeOptions, Url};
use crate::sys;
use crate::websocket::WebSocket;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connects to a URL and performs the opening handshake: `ws://` over TCP, `wss://` over TLS, `ws+unix://PATH:/TARGET` over a
/// Unix socket (a colon in the path is `%3A`; a path that begins with `@` is an abstract name of Linux's). The stream
/// blocks; it may take 10 s until the connection is open.
///
/// [`Error::Url`]; [`Error::Io`]: there is no such host, or nobody listens; [`Error::Tls`]; [`Error::Timeout`];
/// [`Error::Http`]: the server refuses; [`Error::Handshake`]. [`ConnectOptions`] has proxies, certificates and timeouts.
pub fn connect(url: &str) -> Result<WebSocket<Stream>> {
    ConnectOptions::default().connect(url)
}

/// [`connect`], with headers, subprotocols and a configuration.
pub fn connect_with(
    url: &str,
    options: &HandshakeOptions,
    config: Option<WebSocketConfig>,
) -> Result<WebSocket<Stream>> {
    let options = ConnectOptions {
        handshake: options.clone(),
        config: config.unwrap_or_default(),
        ..ConnectOptions::default()
    };
    options.connect(url)
}

/// How to connect, beyond the URL. Made by [`default`](Self::default); used as often as one likes.
///
/// ```no_run
/// let mut options = wsabi::ConnectOptions::default();
/// options.handshake.add_header("Authorization", "Bearer token")?;
/// options.set_proxy(Some("socks5://127.0.0.1:1080"))?;
/// let mut socket = options.connect("wss://example.com/")?;
/// # Ok::<(), wsabi::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// Headers and subprotocols of the request.
    pub handshake: HandshakeOptions,
    /// Configuration of the connection. Its [`handshake_timeout`](WebSocketConfig::handshake_timeout) is the time for all of
    /// [`connect`](Self::connect).
    pub config: WebSocketConfig,
    /// Time for what comes before the opening handshake: looking the name up, TCP, a proxy. Default: none of its own.
    pub connect_timeout: Option<Duration>,
    /// Send small messages at once (TCP_NODELAY). Default on.
    pub nodelay: bool,
    /// Go through the proxy that the environment names, unless [`set_proxy`](Self::set_proxy) names one: `https_proxy` or
    /// `HTTPS_PROXY` for `wss`, `http_proxy` for `ws`, else `all_proxy` or `ALL_PROXY`; none for what `no_proxy` or
    /// `NO_PROXY` lists. Default off.
    pub proxy_from_environment: bool,
    proxy: Option<Proxy>,
    tls: TlsOptions,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            handshake: HandshakeOptions::default(),
            config: WebSocketConfig::default(),
            connect_timeout: None,
            nodelay: true,
            proxy_from_environment: false,
            proxy: None,
            tls: TlsOptions::default(),
        }
    }
}

impl ConnectOptions {
    /// Sets the proxy to go through, or none again: `http://user:password@host:port`, or the same with `socks5` or
    /// `socks5h`. The proxy looks the name up. [`Error::InvalidArgument`]: not such a URL.
    pub fn set_proxy(&mut self, url: Option<&str>) -> Result<()> {
        self.proxy = url.map(Proxy::parse).transpose()?;
        Ok(())
    }

    /// Sets the certificates to trust for `wss` instead of the system's (PEM). [`Error::InvalidArgument`]: there is none in
    /// it, or a malformed one.
    pub fn set_tls_roots(&mut self, pem: &[u8]) -> Result<()> {
        self.tls.set_roots(pem)
    }

    /// Sets the certificate that is shown to servers that ask for one, and its key (PEM). [`Error::InvalidArgument`]: one is
    /// missing, malformed, or does not fit the other.
    pub fn set_tls_identity(&mut self, chain_pem: &[u8], key_pem: &[u8]) -> Result<()> {
        self.tls.set_identity(chain_pem, key_pem)
    }

    /// Sets whether the server's certificate is checked. Off, the connection is to anybody who answers: for tests only.
    pub fn set_tls_verify(&mut self, verify: bool) {
        self.tls.set_verify(verify);
    }

    /// Connects to a URL, and performs the opening handshake; waits until that is done. See [`connect`](crate::connect()).
    pub fn connect(&self, url: &str) -> Result<WebSocket<Stream>> {
        let url_parts = Url::parse(url)?;
        let end = end_of(self.config.handshake_timeout);
        let mut stream = Stream::over(self.open(&url_parts, end)?);
        stream.opening_end = end;
        let config = Some(self.config.clone());
        let mut socket = match client_with(url, &self.handshake, stream, config) {
            Err(HandshakeFailure::Interrupted(_)) => return Err(Deadline::Handshake.into()),
            other => other?,
        };
        socket.get_mut().opening_end = None;
        Ok(socket)
    }

    /// Opens what the bytes go over, as far as a proxy, and TLS, let it: the TLS handshake is still to come.
    fn open(&self, url: &Url, end: Option<Instant>) -> Result<Transport> {
        let mut connector = Connector::start(url, &self.setup())?;
        loop {
            match connector.poll()? {
                None => {}
                Some(Opened::Socket(socket)) => return Ok(Transport::Plain(socket)),
                Some(Opened::Tls(tls)) => return Ok(Transport::Tls(tls)),
                Some(_) => return Err(Error::Internal),
            }
            let now = clock::now_ms();
            if connector.is_late(now) {
                return Err(Deadline::Connect.into());
            }
            if end.is_some_and(|end| end <= Instant::now()) {
                return Err(Deadline::Handshake.into());
            }
            let due = match connector.due() {
                NEVER => None,
                due => end_of(Some(Duration::from_millis(due.saturating_sub(now)))),
            };
            let until = due.into_iter().chain(end).min();
            wait::wait_alone(connector.raw_socket(), Interest { read: true, write: false }, until)?;
        }
    }

    fn setup(&self) -> Setup {
        let mut setup = Setup {
            handshake: Arc::new(self.handshake.clone()),
            proxy: self.proxy.clone(),
            tls: self.tls.clone(),
            ..Setup::default()
        };
        setup.settings.connect_timeout = self.connect_timeout;
        setup.settings.nodelay = self.nodelay;
        setup.settings.proxy_from_environment = self.proxy_from_environment;
        setup
    }
}

/// What moves the bytes of a connection that [`connect`](crate::connect()) has opened: TCP or a Unix socket, with TLS for
/// `wss`, or what a proxy carries. Dropped, it ends: within TLS, too.
///
/// It blocks. [`set_nonblocking`](Self::set_nonblocking) and the timeouts change that: a call that may not wait any longer
/// ends in [`Error::Io`] with [`WouldBlock`](io::ErrorKind::WouldBlock), and can be repeated.
#[derive(Debug)]
pub struct Stream {
    transport: Transport,
    nonblocking: bool,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    /// While the opening handshake goes on: when it has to be over.
    opening_end: Option<Instant>,
}

#[derive(Debug)]
enum Transport {
    Plain(Socket),
    Tls(Box<Tls>),
}

impl Stream {
    fn over(transport: Transport) -> Self {
        Self { transport, nonblocking: false, read_timeout: None, write_timeout: None, opening_end: None }
    }

    /// Sets whether calls never wait. To wait for the descriptor instead, mind that TLS may have taken bytes off it that are
    /// still to be read: read until `WouldBlock` first.
    pub fn set_nonblocking(&mut self, nonblocking: bool) {
        self.nonblocking = nonblocking;
    }

    /// Sets how long a read waits. Default: for ever.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    /// Sets how long a write waits. Default: for ever.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.write_timeout = timeout;
    }

    /// Whether the bytes go over TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }

    /// The address of the other end of TCP, which may be a proxy. A Unix socket has none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        socket2::SockRef::from(self).peer_addr().and_then(of_tcp)
    }

    /// The address of this end of TCP. A Unix socket has none.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        socket2::SockRef::from(self).local_addr().and_then(of_tcp)
    }

    fn lend(&self) -> sys::BorrowedSocket<'_> {
        self.socket().lend()
    }

    fn socket(&self) -> &Socket {
        match &self.transport {
            Transport::Plain(socket) => socket,
            Transport::Tls(tls) => tls.socket(),
        }
    }

    /// A call that waits, as long as it may, until it does not have to.
    fn wait_around<R>(
        &mut self,
        writes: bool,
        mut call: impl FnMut(&mut Transport) -> io::Result<R>,
    ) -> io::Result<R> {
        let timeout = if writes { self.write_timeout } else { self.read_timeout };
        let mut end = None;
        loop {
            let error = match call(&mut self.transport) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.nonblocking => error,
                other => return other,
            };
            let end = *end.get_or_insert_with(|| end_of(timeout).into_iter().chain(self.opening_end).min());
            if !wait::wait_alone(self.socket().raw(), self.interest(writes), end)? {
                return Err(error);
            }
        }
    }

    fn interest(&self, writes: bool) -> Interest {
        match &self.transport {
            // Whatever a call is for, a session may have to say something first, or to hear something.
            Transport::Tls(tls) => {
                let sends = tls.has_pending_output();
                Interest { read: !(writes && sends), write: sends }
            }
            Transport::Plain(_) => Interest { read: !writes, write: writes },
        }
    }
}

impl Read for Stream {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.wait_around(false, |transport| match transport {
            Transport::Plain(socket) => socket.read(space),
            Transport::Tls(tls) => tls.read(space),
        })
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.wait_around(true, |transport| match transport {
            Transport::Plain(socket) => socket.write_vectored(slices),
            Transport::Tls(tls) => tls.write_vectored(slices),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wait_around(true, |transport| match transport {
            Transport::Plain(_) => Ok(()),
            Transport::Tls(tls) => tls.flush(),
        })
    }
}

sys::as_socket!(Stream);

impl Drop for Stream {
    fn drop(&mut self) {
        match &mut self.transport {
            Transport::Plain(socket) => socket.end(),
            Transport::Tls(tls) => tls.end(),
        }
    }
}

fn of_tcp(address: socket2::SockAddr) -> io::Result<SocketAddr> {
    address.as_socket().ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "this is not TCP"))
}

fn end_of(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}
