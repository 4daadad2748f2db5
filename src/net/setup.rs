//! What a new connection can be configured with, beyond the protocol.

use crate::config::WebSocketConfig;
use crate::error::Result;
use crate::net::pool::Pool;
use crate::net::proxy::Proxy;
use crate::net::tls::TlsOptions;
use crate::net::wait::Wakers;
use crate::proto::handshake::{HandshakeOptions, Url};
use std::sync::Arc;
use std::time::Duration;

/// How calls on a connection behave, beyond the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Wait for the peer instead of answering `WouldBlock`; only where there is a socket to wait for.
    pub blocking: bool,
    /// How long a blocking read waits.
    pub read_timeout: Option<Duration>,
    /// How long a blocking write waits.
    pub write_timeout: Option<Duration>,
    /// How long opening the transport may take: the name, TCP, a proxy.
    pub connect_timeout: Option<Duration>,
    /// A server takes every valid request by itself.
    pub auto_accept: bool,
    /// Sends small messages at once (TCP_NODELAY).
    pub nodelay: bool,
    /// Several listeners, each with its own queue, may listen at one port (SO_REUSEPORT).
    pub reuse_port: bool,
    /// A client looks at the environment for a proxy, where none was given.
    pub proxy_from_environment: bool,
    /// A client checks the server's certificate. Here it is only told; [`Setup::tls`] goes by its own.
    pub tls_verify: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            blocking: true,
            read_timeout: None,
            write_timeout: None,
            connect_timeout: None,
            auto_accept: true,
            nodelay: true,
            reuse_port: false,
            proxy_from_environment: false,
            tls_verify: true,
        }
    }
}

/// All that a new connection can be configured with.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The protocol's part.
    pub websocket: Arc<WebSocketConfig>,
    /// The opening handshake's part.
    pub handshake: Arc<HandshakeOptions>,
    /// The connection's part.
    pub settings: Settings,
    /// The proxy that a client goes through, where one was given.
    pub proxy: Option<Proxy>,
    /// What wss:// takes.
    pub tls: TlsOptions,
    /// What connections that woke up have left behind when they went to sleep.
    pub pool: Arc<Pool>,
    /// What wakes threads that wait.
    pub wakers: Wakers,
}

impl Setup {
    /// The proxy for this destination: the one given, else that of the environment where it is asked for, else none.
    pub fn proxy_for(&self, secure: bool, host: &str, port: u16) -> Result<Option<Proxy>> {
        match &self.proxy {
            Some(proxy) => Ok(Some(proxy.clone())),
            None if self.settings.proxy_from_environment => {
                Proxy::from_environment(secure, host, port, variable)
            }
            None => Ok(None),
        }
    }
}

/// The URL of the proxy that the environment names for this URL, if it does.
pub(crate) fn proxy_url_for(url: &Url) -> Result<Option<String>> {
    match url.socket_path() {
        Some(_) => Ok(None),
        None => Proxy::url_from_environment(url.secure(), url.host(), url.port(), variable),
    }
}

/// What is not Unicode is no URL either, and has to be told rather than passed over.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}
