//! Connections that the library opens: [`connect`], its options ([`ConnectOptions`]), and the transport
//! ([`Stream`]). TCP, TLS, Unix sockets, proxies and name lookup are in `net`, as for the C API; this module waits for
//! them. Only with the feature `net`. Knows no protocol rule.

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

/// Connects to a URL and performs the opening handshake: `ws://` over TCP, `wss://` over TLS,
/// `ws+unix://PATH:/TARGET` over a Unix socket (a colon in the path is written as `%3A`; a leading `@`
/// denotes a name in Linux's abstract namespace). The stream is blocking; opening the connection takes at
/// most 10 s. [`ConnectOptions`] has proxies, certificates and timeouts.
///
/// # Errors
/// - [`Error::Url`]: the URL is not valid or not supported.
/// - [`Error::Io`]: connecting failed, for example because the host is unknown or refuses the connection.
/// - [`Error::Tls`]: the TLS session failed.
/// - [`Error::Timeout`]: a deadline passed.
/// - [`Error::Http`]: the server refused with an HTTP response.
/// - [`Error::Handshake`]: the server's response is malformed or breaks a rule.
pub fn connect(url: &str) -> Result<WebSocket<Stream>> {
    ConnectOptions::default().connect(url)
}

/// Like [`connect`], with headers, subprotocols and a configuration.
///
/// # Errors
/// Those of [`connect`].
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

/// How to connect, beyond the URL. Created by [`default`](Self::default); can be used any number of times.
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
    /// Configuration of the connection. Its [`handshake_timeout`](WebSocketConfig::handshake_timeout) limits
    /// the whole of [`connect`](Self::connect).
    pub config: WebSocketConfig,
    /// Time limit for everything before TLS and the opening handshake: name lookup, TCP, proxy. Default: no
    /// separate limit.
    pub connect_timeout: Option<Duration>,
    /// Send small messages immediately (TCP_NODELAY). Default on.
    pub nodelay: bool,
    /// Use the proxy that the environment names, unless [`set_proxy`](Self::set_proxy) names one:
    /// `https_proxy` or `HTTPS_PROXY` for `wss`, `http_proxy` for `ws`, else `all_proxy` or `ALL_PROXY`,
    /// except for hosts in `no_proxy` or `NO_PROXY`. Default off.
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
    /// Sets the proxy, or removes it: `http://user:password@host:port`, or the same with `socks5` or
    /// `socks5h`. The proxy resolves the name.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`]: not such a URL.
    pub fn set_proxy(&mut self, url: Option<&str>) -> Result<()> {
        self.proxy = url.map(Proxy::parse).transpose()?;
        Ok(())
    }

    /// Sets the trusted certificates for `wss` (PEM), in place of the system's.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`]: the PEM contains no certificate or a malformed one. [`Error::Url`]: built
    /// without TLS.
    pub fn set_tls_roots(&mut self, pem: &[u8]) -> Result<()> {
        self.tls.set_roots(pem)
    }

    /// Sets the certificate chain and private key (PEM) that are presented to servers which request a
    /// certificate.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`]: the certificate or the key is missing or malformed, or they do not match.
    /// [`Error::Url`]: built without TLS.
    pub fn set_tls_identity(&mut self, chain_pem: &[u8], key_pem: &[u8]) -> Result<()> {
        self.tls.set_identity(chain_pem, key_pem)
    }

    /// Sets whether the server's certificate is verified. If not, any server is accepted: for tests only.
    /// Default on.
    pub fn set_tls_verify(&mut self, verify: bool) {
        self.tls.set_verify(verify);
    }

    /// Connects to a URL and performs the opening handshake. Waits until that is complete.
    ///
    /// # Errors
    /// Those of [`connect`](crate::connect()), and [`Error::Proxy`]: the proxy refused the connection, is not
    /// a proxy, or the environment names no usable one.
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

/// The transport of a connection that [`connect`](crate::connect()) has opened: TCP or a Unix socket, with
/// TLS for `wss`, directly or through a proxy. Dropping it closes the connection, including the TLS session.
///
/// It is blocking, unless [`set_nonblocking`](Self::set_nonblocking) or a timeout is set. A call that may not
/// wait any longer returns [`Error::Io`] with [`WouldBlock`](io::ErrorKind::WouldBlock) and can be repeated.
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

    /// Sets whether calls return instead of waiting. Before you wait for the file descriptor yourself, read
    /// until `WouldBlock`: TLS may already have taken bytes from it that have not been read.
    pub fn set_nonblocking(&mut self, nonblocking: bool) {
        self.nonblocking = nonblocking;
    }

    /// Sets how long a read waits. Default: no limit.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    /// Sets how long a write waits. Default: no limit.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.write_timeout = timeout;
    }

    /// Whether the connection uses TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }

    /// Returns the address of the other end of the TCP connection, which may be a proxy.
    ///
    /// # Errors
    /// The system's error; a Unix socket has no such address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        socket2::SockRef::from(self).peer_addr().and_then(of_tcp)
    }

    /// Returns the address of this end of the TCP connection.
    ///
    /// # Errors
    /// The system's error; a Unix socket has no such address.
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
    address.as_socket().ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "the transport is not TCP"))
}

fn end_of(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}
