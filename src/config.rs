//! Configuration and its defaults. Knows numbers only; each layer reads the fields that concern it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Configuration of a connection. It can be read and changed while the connection is in use
/// ([`WebSocket::set_config`](crate::WebSocket::set_config)). `None` means "no limit" or "never".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocketConfig {
    /// Maximum number of messages waiting to be sent. Pongs and the Close do not count. Default 1024.
    pub max_send_queue: Option<usize>,
    /// Maximum number of bytes waiting to be sent. A single larger message is still accepted while nothing
    /// else is waiting. Default 16 MiB.
    pub max_send_bytes: Option<usize>,
    /// Maximum size of a message, received or sent, in bytes. Default 64 MiB.
    pub max_message_size: Option<usize>,
    /// Maximum size of a sent message, in bytes, if it differs from
    /// [`max_message_size`](Self::max_message_size). `Some(None)`: no limit. Default `None`: the same limit.
    pub max_sent_size: Option<Option<usize>>,
    /// Maximum size of a received frame, in bytes. Default 16 MiB.
    pub max_frame_size: Option<usize>,
    /// Maximum number of frames in one received message. Default 131,072.
    pub max_fragments: Option<usize>,
    /// Maximum size of the HTTP head in the opening handshake, in bytes, and of the part of a refusal's body
    /// that is kept. Default 16 KiB.
    pub max_head_size: usize,
    /// Keep the peer's part of the opening handshake for the lifetime of the connection. Without it, an idle
    /// connection needs about 240 bytes instead of about 580 plus the size of that head. Default on.
    pub keep_head: bool,
    /// As a server, pass every well-formed request without a body to the callback of
    /// [`accept_with`](crate::accept_with()), not only WebSocket requests: for example, for the health checks
    /// of a load balancer. [`is_upgrade`](crate::is_upgrade) distinguishes the two. A request with a body is
    /// answered with status 413. Default off.
    pub plain_requests: bool,
    /// As a server, accept unmasked frames, which RFC 6455 section 5.1 forbids. Default off.
    pub accept_unmasked_frames: bool,
    /// Answer each Ping with a Pong. Default on.
    pub auto_pong: bool,
    /// Deliver received Pings and Pongs to the reader. Default on here, off in the C API.
    pub deliver_control: bool,
    /// Deliver messages in parts as they arrive, so that a message of any size needs constant memory. Parts
    /// of a text end between characters. Default off.
    pub deliver_fragments: bool,
    /// Time limit for the opening handshake. Default 10 s.
    pub handshake_timeout: Option<Duration>,
    /// Time limit for the closing handshake, from the first Close on. Default 10 s.
    pub close_timeout: Option<Duration>,
    /// Interval at which Pings are sent. Default never.
    pub ping_interval: Option<Duration>,
    /// How long nothing may be received after such a Ping before the connection fails. Default 20 s.
    pub pong_timeout: Option<Duration>,
    /// How long nothing may be received before the connection fails. Default never.
    pub idle_timeout: Option<Duration>,
    /// Compress messages if the peer agrees in the opening handshake. A change after that has no effect.
    /// Default off.
    pub deflate: Option<DeflateConfig>,
}

/// Parameters of permessage-deflate (RFC 7692).
///
/// From the first compressed message on, and with a window of 15 bits, a connection holds about 380 KB to
/// compress and about 48 KB to decompress. Without context takeover, it borrows this memory from a pool for
/// one message at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflateConfig {
    /// Compression level, from 1 (fastest) to 9 (smallest). Default 1.
    pub level: u32,
    /// Messages shorter than this, in bytes, are sent uncompressed. Default 64.
    pub threshold: usize,
    /// Size of the window that the client compresses with, as a base-2 logarithm from 8 to 15; other values
    /// are clamped. A server can only request it from clients that know the parameter. Default 15.
    pub client_max_window_bits: u8,
    /// The same for the window of the server, which must agree. Default 15.
    pub server_max_window_bits: u8,
    /// The client compresses each message separately: both ends need less memory, but compression is weaker.
    /// Default off.
    pub client_no_context_takeover: bool,
    /// The same for the server, which must agree. Default off.
    pub server_no_context_takeover: bool,
}

impl WebSocketConfig {
    /// Largest message sent, in bytes.
    #[inline]
    pub(crate) fn largest_sent(&self) -> Option<usize> {
        self.max_sent_size.unwrap_or(self.max_message_size)
    }

    /// To be shared by connections. All that are configured as usual share one.
    pub(crate) fn shared(config: Option<Self>) -> Arc<Self> {
        static USUAL: OnceLock<Arc<WebSocketConfig>> = OnceLock::new();
        config.map_or_else(|| Arc::clone(USUAL.get_or_init(Arc::default)), Arc::new)
    }
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        Self {
            max_send_queue: Some(1024),
            max_send_bytes: Some(16 << 20),
            max_message_size: Some(64 << 20),
            max_sent_size: None,
            max_frame_size: Some(16 << 20),
            max_fragments: Some(1 << 17),
            max_head_size: 16 << 10,
            keep_head: true,
            plain_requests: false,
            accept_unmasked_frames: false,
            auto_pong: true,
            deliver_control: true,
            deliver_fragments: false,
            handshake_timeout: Some(Duration::from_secs(10)),
            close_timeout: Some(Duration::from_secs(10)),
            ping_interval: None,
            pong_timeout: Some(Duration::from_secs(20)),
            idle_timeout: None,
            deflate: None,
        }
    }
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            level: 1,
            threshold: 64,
            client_max_window_bits: 15,
            server_max_window_bits: 15,
            client_no_context_takeover: false,
            server_no_context_takeover: false,
        }
    }
}
