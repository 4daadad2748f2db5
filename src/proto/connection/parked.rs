//! What is kept of a connection on which nothing goes on, so that its memory serves others meanwhile.

use super::compression::Compression;
use super::{Connection, Phase};
use crate::config::{DeflateConfig, WebSocketConfig};
use crate::head::Head;
use crate::message::Role;
use crate::proto::deadline::{Deadlines, NEVER, Stage};
use crate::proto::deflate::Inflater;
use std::sync::Arc;

/// All there is to know of an open connection on which nothing goes on: no message in either direction, no closing
/// handshake.
#[derive(Debug)]
pub struct Parked {
    role: Role,
    /// See `Receiver::last_frame`.
    last_frame: u32,
    /// Bytes of the stream so far.
    offset: u64,
    cold: Option<Box<Cold>>,
}

/// What not every connection has, and none needs for a message.
#[derive(Debug, Default)]
pub(super) struct Cold {
    /// The peer's part of the opening handshake, and the subprotocol that came of it.
    pub(super) head: Option<(Head, Option<String>)>,
    /// Of a parked connection, the configuration, where it is not the usual one.
    config: Option<Arc<WebSocketConfig>>,
    /// Of a parked connection, where there are any.
    deadlines: Option<Deadlines>,
    /// Of a parked connection, where permessage-deflate has been agreed on.
    deflate: Option<(Box<Compression>, Box<Inflater>)>,
}

impl Parked {
    /// The connection again, with memory of its own.
    pub fn unpark(&mut self, usual: &Arc<WebSocketConfig>) -> Connection {
        let mut connection = Connection::new(self.role, Arc::clone(usual), Phase::Open);
        connection.reuse(self, usual);
        connection.set_over_socket();
        connection
    }

    /// When the connection has to be unparked, or [`NEVER`].
    pub fn due(&self, usual: &WebSocketConfig) -> u64 {
        let deadlines = self.cold.as_ref().and_then(|cold| cold.deadlines.as_ref());
        deadlines.map_or(NEVER, |deadlines| deadlines.next(Stage::Open, self.config(usual)))
    }

    /// Whether time makes a difference to it.
    #[inline]
    pub fn has_deadlines(&self) -> bool {
        self.cold.as_ref().is_some_and(|cold| cold.deadlines.is_some())
    }

    /// See [`Connection::head`].
    pub fn head(&self) -> Option<&Head> {
        self.cold.as_ref()?.head().filter(|head| !head.is_empty())
    }

    /// See [`Connection::protocol`].
    pub fn protocol(&self) -> Option<&str> {
        self.cold.as_ref()?.protocol()
    }

    /// See [`Connection::latency`].
    pub fn latency(&self) -> Option<u64> {
        self.cold.as_ref()?.deadlines.as_ref()?.latency()
    }

    /// The configuration.
    pub fn config<'a>(&'a self, usual: &'a WebSocketConfig) -> &'a WebSocketConfig {
        self.cold.as_ref().and_then(|cold| cold.config.as_deref()).unwrap_or(usual)
    }

    /// See [`Connection::deflate_in_force`]; `None` where permessage-deflate has not been agreed on.
    pub fn deflate_in_force(&self, usual: &WebSocketConfig) -> Option<DeflateConfig> {
        let (compression, _) = self.cold.as_ref()?.deflate.as_ref()?;
        Some(compression.in_force(self.config(usual)))
    }
}

impl Connection {
    /// Whether it is `Parked`, but for memory.
    #[inline]
    pub fn is_parkable(&self) -> bool {
        !self.unread
            && self.sender.holds_nothing()
            && self.receiver.is_empty()
            && self.phase.is_open()
            && !self.eof
            && self.input_lent.is_none()
            && self.fragments.is_none()
    }

    /// What is left of it where it [`is_parkable`](Self::is_parkable): all but memory, of which no more stays here than the next
    /// one may need.
    #[inline]
    pub fn parked(&mut self, usual: &Arc<WebSocketConfig>) -> Parked {
        self.receiver.trim();
        self.sender.trim();
        let is_usual = self.deadlines.now().is_none()
            && !self.needs_clock()
            && Arc::ptr_eq(&self.config, usual)
            && self.compression.is_none();
        if !is_usual {
            self.put_aside(usual);
        }
        Parked {
            role: self.role,
            last_frame: self.receiver.last_frame(),
            offset: self.receiver.offset(),
            cold: self.cold.take(),
        }
    }

    /// Becomes the connection that is parked, with the memory of this one, which has been parked itself: all else in it is as
    /// new but for what is set here. A field that is added has to be thought of.
    #[inline]
    pub fn reuse(&mut self, parked: &mut Parked, usual: &Arc<WebSocketConfig>) {
        self.cold = parked.cold.take();
        if self.cold.is_some() || !Arc::ptr_eq(&self.config, usual) {
            self.reuse_cold(usual);
        }
        let Self {
            role,
            receiver,
            sender,
            corked,
            hidden_frames,
            config,
            // Given above, or taken from both by being parked.
            cold: _,
            deadlines: _,
            compression: _,
            // Of a connection over a socket, as all that are parked.
            over_socket: _,
            // As new, or it could not have been parked.
            phase: _,
            eof: _,
            unread: _,
            input_lent: _,
            fragments: _,
            close_code: _,
            failure: _,
        } = self;
        *role = parked.role;
        receiver.reuse(parked.offset, parked.last_frame, config);
        sender.reuse(parked.role);
        (*corked, *hidden_frames) = (false, 0);
    }

    #[cold]
    fn reuse_cold(&mut self, usual: &Arc<WebSocketConfig>) {
        let (config, deadlines, deflate) = match &mut self.cold {
            Some(cold) => (cold.config.take(), cold.deadlines.take(), cold.deflate.take()),
            None => (None, None, None),
        };
        match config {
            Some(config) => self.config = config,
            // As a rule it has the usual one: who shares that is not to count on one another's counter for nothing.
            None if !Arc::ptr_eq(&self.config, usual) => self.config = Arc::clone(usual),
            None => {}
        }
        self.receiver.forget_whole_len();
        // Without any it has none already, as it was when it was parked.
        if let Some(deadlines) = deadlines {
            self.deadlines = deadlines;
        }
        if let Some((compression, inflater)) = deflate {
            self.compression = Some(compression);
            self.receiver.inflate_with(inflater);
        }
    }

    #[cold]
    fn put_aside(&mut self, usual: &Arc<WebSocketConfig>) {
        if !Arc::ptr_eq(&self.config, usual) {
            self.cold.get_or_insert_default().config = Some(Arc::clone(&self.config));
        }
        let is_kept = self.needs_clock() || self.latency().is_some();
        let deadlines = std::mem::take(&mut self.deadlines);
        if is_kept {
            self.cold.get_or_insert_default().deadlines = Some(deadlines);
        }
        if let (Some(mut compression), Some(inflater)) =
            (self.compression.take(), self.receiver.take_inflater())
        {
            compression.scratch = Vec::new();
            self.cold.get_or_insert_default().deflate = Some((compression, inflater));
        }
    }
}

impl Cold {
    pub(super) fn head(&self) -> Option<&Head> {
        self.head.as_ref().map(|(head, _)| head)
    }

    pub(super) fn protocol(&self) -> Option<&str> {
        self.head.as_ref().and_then(|(_, protocol)| protocol.as_deref())
    }
}
