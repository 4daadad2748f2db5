//! A message framed once, to be sent to many. Servers do not mask (RFC 6455 section 5.1), so that every connection of a
//! server can send, and keep waiting, the same bytes. Knows one frame; nothing of who sends it.

use crate::error::{Error, Result};
use crate::message::{Kind, Outgoing};
use crate::proto::frame::{FrameStart, HeaderBytes};
use std::sync::Arc;

/// See the module. A clone shares the bytes.
#[derive(Debug, Clone)]
pub struct Prepared {
    kind: Kind,
    frame: Arc<Vec<u8>>,
    header_len: usize,
}

impl Prepared {
    /// Frames a text.
    pub fn text(text: &str) -> Result<Self> {
        Self::new(Kind::Text, text.as_bytes())
    }

    /// Frames bytes.
    pub fn binary(data: &[u8]) -> Result<Self> {
        Self::new(Kind::Binary, data)
    }

    fn new(kind: Kind, payload: &[u8]) -> Result<Self> {
        let header = HeaderBytes::new(FrameStart::whole(kind), payload.len(), None);
        let mut frame = Vec::new();
        frame.try_reserve_exact(header.len() + payload.len()).map_err(|_| Error::NoMemory)?;
        frame.extend_from_slice(&header);
        frame.extend_from_slice(payload);
        Ok(Self { kind, frame: Arc::new(frame), header_len: header.len() })
    }

    /// The whole frame, as a server sends it.
    pub fn frame(&self) -> &Arc<Vec<u8>> {
        &self.frame
    }

    /// What is in it.
    pub fn payload(&self) -> &[u8] {
        self.frame.get(self.header_len..).unwrap_or_default()
    }

    /// The message, for who has to mask it.
    pub fn message(&self) -> Outgoing<'_> {
        match (self.kind, simdutf8::basic::from_utf8(self.payload())) {
            (Kind::Text, Ok(text)) => Outgoing::Text(text),
            _ => Outgoing::Binary(self.payload()),
        }
    }
}
