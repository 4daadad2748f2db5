//! What can be configured, with the defaults. Knows numbers only; each layer reads the fields that concern it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Configuration of one connection, readable and changeable while it runs
/// ([`WebSocket::set_config`](crate::WebSocket::set_config)). `None` means "no limit" or "never".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocketConfig {
    /// Most messages that wait to be sent. Pongs and the Close have places of their own. Default 1024.
    pub max_send_queue: Option<usize>,
    /// Most bytes that wait to be sent; one larger message still goes when nothing waits. Default 16 MiB.
    pub max_send_bytes: Option<usize>,
    /// Largest message, received or sent, in bytes. Default 64 MiB.
    pub max_message_size: Option<usize>,
    /// Largest message sent, in bytes, where that is to be another than [`max_message_size`](Self::max_message_size).
    /// `Some(None)`: of any size. Default none.
    pub max_sent_size: Option<Option<usize>>,
    /// Largest frame received, in bytes. Default 16 MiB.
    pub max_frame_size: Option<usize>,
    /// Most frames that one received message may be split into. Default 131,072.
    pub max_fragments: Option<usize>,
    /// Largest HTTP head of the opening handshake, in bytes, and largest body kept of a refusal. Default 16 KiB.
    pub max_head_size: usize,
    /// Keep the peer's part of the opening handshake for as long as the connection lasts. Without it, a connection that
    /// waits needs a fifth of the memory. Default on.
    pub keep_head: bool,
    /// As a server, have every well-formed request decided on that has no body, not only those for WebSocket: the health checks
    /// of a load balancer, for instance ([`is_upgrade`](crate::is_upgrade) tells them apart). A request with a body is
    /// answered with 413. Default off.
    pub plain_requests: bool,
    /// As a server, take frames that are not masked, against RFC 6455 section 5.1. Default off.
    pub accept_unmasked_frames: bool,
    /// Answer each Ping with a Pong. Default on.
    pub auto_pong: bool,
    /// Hand received Pings and Pongs to the reader. Default on here, off in the C ABI.
    pub deliver_control: bool,
    /// Hand out parts of a message as they arrive instead of whole messages: a message of any size in constant
    /// memory. Parts of text are cut between characters. Default off.
    pub deliver_fragments: bool,
    /// Time for the opening handshake. Default 10 s.
    pub handshake_timeout: Option<Duration>,
    /// Time for the closing handshake, from the first Close on. Default 10 s.
    pub close_timeout: Option<Duration>,
    /// Send a Ping this often. Default never.
    pub ping_interval: Option<Duration>,
    /// How long after such a Ping the connection may stay silent. Default 20 s.
    pub pong_timeout: Option<Duration>,
    /// How long nothing may arrive before the connection is given up. Default never.
    pub idle_timeout: Option<Duration>,
    /// Compress messages, if the peer agrees in the opening handshake, after which a change comes too late. Default off.
    pub deflate: Option<DeflateConfig>,
}

/// How messages are compressed: permessage-deflate (RFC 7692).
///
/// A connection that compresses holds about 380 KB for it, one that decompresses about 48 KB, at a window of 15 bits and
/// each from the first compressed message on. Without context takeover both are borrowed from a pool instead, for one
/// message at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflateConfig {
    /// How hard to try, from 1, the fastest, to 9, the smallest. Default 1.
    pub level: u32,
    /// Messages shorter than this, in bytes, are sent as they are. Default 64.
    pub threshold: usize,
    /// Largest window that the client compresses with, as a base-2 logarithm from 8 to 15; what is outside counts as
    /// the nearest. A server can ask it only of clients that know the parameter. Default 15.
    pub client_max_window_bits: u8,
    /// The same for the server, which has to agree. Default 15.
    pub server_max_window_bits: u8,
    /// The client compresses each message on its own: less memory at both ends, and less compression. Default off.
    pub client_no_context_takeover: bool,
    /// The same for the server, which has to agree. Default off.
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
