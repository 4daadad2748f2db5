//! permessage-deflate, where it has been agreed on: what is sent. What is received is the receiver's matter.

use super::Connection;
use crate::config::{DeflateConfig, WebSocketConfig};
use crate::message::{Kind, Role};
use crate::proto::deflate::{Agreed, Deflater, Inflater};

/// permessage-deflate, where it has been agreed on: what is sent. What is received is the receiver's matter.
#[derive(Debug)]
pub(super) struct Compression {
    agreed: Agreed,
    pub(super) deflater: Deflater,
    /// Shorter messages go uncompressed.
    threshold: usize,
    /// Where messages are compressed to.
    pub(super) scratch: Vec<u8>,
}

impl Compression {
    /// What was agreed on in the place of what was asked for.
    pub(super) fn in_force(&self, config: &WebSocketConfig) -> DeflateConfig {
        DeflateConfig {
            client_max_window_bits: self.agreed.client_max_window_bits,
            server_max_window_bits: self.agreed.server_max_window_bits,
            client_no_context_takeover: self.agreed.client_no_context_takeover,
            server_no_context_takeover: self.agreed.server_no_context_takeover,
            ..config.deflate.unwrap_or_default()
        }
    }
}

impl Connection {
    /// Whether permessage-deflate has been agreed on.
    pub fn has_deflate(&self) -> bool {
        self.compression.is_some()
    }

    /// The configuration of permessage-deflate, with what was agreed on in the place of what was asked for.
    pub fn deflate_in_force(&self) -> DeflateConfig {
        match &self.compression {
            None => self.config.deflate.unwrap_or_default(),
            Some(compression) => compression.in_force(&self.config),
        }
    }

    /// Whether a message of this length will be compressed.
    #[inline]
    pub fn will_compress(&self, kind: Kind, len: usize) -> bool {
        self.compression
            .as_ref()
            .is_some_and(|compression| !kind.is_control() && len >= compression.threshold)
    }

    /// From now on messages may be compressed, as agreed.
    pub(super) fn compress(&mut self, agreed: Option<Agreed>) {
        let (Some(agreed), Some(config)) = (agreed, &self.config.deflate) else { return };
        let client = (agreed.client_max_window_bits, !agreed.client_no_context_takeover);
        let server = (agreed.server_max_window_bits, !agreed.server_no_context_takeover);
        let (ours, theirs) = match self.role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        let deflater = Deflater::new(config.level.clamp(1, 9), ours.0, ours.1);
        let threshold = config.threshold;
        self.compression = Some(Box::new(Compression { agreed, deflater, threshold, scratch: Vec::new() }));
        self.receiver.inflate_with(Box::new(Inflater::new(theirs.0, theirs.1)));
    }
}
