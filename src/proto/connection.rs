//! One connection without I/O, from its opening handshake to its end.
//!
//! Bytes that arrived go in through [`Connection::space`] and [`Connection::received`], bytes to send come out of
//! [`Connection::gather`] or [`Connection::output`]; in between stand messages. **Given the same bytes and the same
//! calls, the result never depends on how the bytes were cut or on when they came.** Joins the receiver, the sender,
//! the closing state and the deadlines; holds no rule that one of them could hold.

use crate::config::{DeflateConfig, WebSocketConfig};
use crate::error::{CapacityError, Deadline, Error, HandshakeError, ProtocolError, Result};
use crate::http::Head;
use crate::message::{CloseCode, Kind, Outgoing, Role};
use crate::proto::closing::State;
use crate::proto::deadline::{Dating, Deadlines, Due, NEVER, Stage};
use crate::proto::deflate::{Agreed, Deflater, Inflater};
use crate::proto::frame::{HeaderBytes, MAX_CONTROL, Opcode};
use crate::proto::handshake::{
    Acceptance, ClientHandshake, Handshake, HandshakeOptions, Opened, Progress, ServerHandshake, is_upgrade,
};
use crate::proto::prepared::Prepared;
use crate::proto::receive::{Received, Receiver, WholeMessage};
use crate::proto::send::{FrameStart, MaskedChunk, Sender, ShortFrame};
use crate::proto::utf8::{self, Utf8Stream};
use std::io::IoSlice;
use std::sync::Arc;

/// How many frames that the reader does not see one call takes before it lets its caller have a turn: Pings, fragments, and
/// what costs as much as them.
const HIDDEN_FRAME_BUDGET: u32 = 1 << 14;
/// What a buffer full of bytes after the end counts for.
const DISCARD: u32 = HIDDEN_FRAME_BUDGET >> 4;
/// Longest reason of a Close, in bytes.
pub const MAX_REASON: usize = MAX_CONTROL - 2;

/// What became of a message that was to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Enqueue {
    /// It is sent or queued, whole.
    Accepted,
    /// The queue is full: nothing has changed.
    Full,
}

/// How far the opening handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// The peer's bytes are waited for.
    NeedsBytes,
    /// A server has a request to decide on: [`Connection::accept`] or [`Connection::reject`].
    Request,
    /// Messages can flow.
    Open,
}

/// Why a connection was given up.
#[derive(Debug)]
pub struct Failure {
    /// A sentence for people: what, and where in the stream.
    pub sentence: String,
    /// The Close code that says it to the peer.
    pub code: CloseCode,
}

/// All there is to know of an open connection on which nothing goes on: no message in either direction, no closing
/// handshake.
#[derive(Debug)]
pub struct Parked {
    role: Role,
    /// See [`Receiver::last_frame`].
    last_frame: u32,
    /// Bytes of the stream so far.
    offset: u64,
    cold: Option<Box<Cold>>,
}

/// What not every connection has, and none needs for a message.
#[derive(Debug, Default)]
struct Cold {
    /// The peer's part of the opening handshake, and the subprotocol that came of it.
    head: Option<(Head, Option<String>)>,
    /// Of a parked connection, the configuration, where it is not the usual one.
    config: Option<Arc<WebSocketConfig>>,
    /// Of a parked connection, where there are any.
    deadlines: Option<Deadlines>,
    /// Of a parked connection, where permessage-deflate has been agreed on.
    deflate: Option<(Box<Compression>, Box<Inflater>)>,
}

impl Cold {
    fn head(&self) -> Option<&Head> {
        self.head.as_ref().map(|(head, _)| head)
    }

    fn protocol(&self) -> Option<&str> {
        self.head.as_ref().and_then(|(_, protocol)| protocol.as_deref())
    }
}

impl Parked {
    /// The connection again, with memory of its own.
    pub fn unpark(&mut self, usual: &Arc<WebSocketConfig>) -> Connection {
        let mut connection = Connection::new(self.role, Arc::clone(usual), None);
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

/// See the module.
#[derive(Debug)]
pub struct Connection {
    /// See [`set_over_socket`](Self::set_over_socket).
    over_socket: bool,
    role: Role,
    state: State,
    /// The stream has ended.
    eof: bool,
    /// A deadline passed that leaves nothing to wait for.
    abandoned: bool,
    /// Something arrived that a read has not looked at.
    unread: bool,
    /// All that waits to be sent was queued to leave with what follows it.
    corked: bool,
    /// What has arrived since the last message without giving one: hidden control frames, bytes after the end. What there is
    /// of data frames the receiver knows.
    hidden_frames: u32,
    /// Where in the input the messages begin that were read ahead, and how many they were.
    ahead: (usize, u16),
    /// The configuration has changed since.
    reconfigured: bool,
    /// How much room has been lent to the caller, who is receiving into it.
    input_lent: Option<usize>,
    config: Arc<WebSocketConfig>,
    handshake: Option<Box<Handshake>>,
    cold: Option<Box<Cold>>,
    receiver: Receiver,
    sender: Sender,
    deadlines: Deadlines,
    fragments: Option<Box<OutgoingFragments>>,
    compression: Option<Box<Compression>>,
    /// The code of the Close that arrived.
    close_code: Option<CloseCode>,
    failure: Option<Box<Failure>>,
}

/// A message that is being sent in fragments.
#[derive(Debug, Clone)]
struct OutgoingFragments {
    kind: Kind,
    compressed: bool,
    total: usize,
    text: Utf8Stream,
}

/// permessage-deflate, where it has been agreed on: what is sent. What is received is the receiver's matter.
#[derive(Debug)]
struct Compression {
    agreed: Agreed,
    deflater: Deflater,
    /// Shorter messages go uncompressed.
    threshold: usize,
    /// Where messages are compressed to.
    scratch: Vec<u8>,
}

impl Compression {
    /// What was agreed on in the place of what was asked for.
    fn in_force(&self, config: &WebSocketConfig) -> DeflateConfig {
        DeflateConfig {
            client_max_window_bits: self.agreed.client_max_window_bits,
            server_max_window_bits: self.agreed.server_max_window_bits,
            client_no_context_takeover: self.agreed.client_no_context_takeover,
            server_no_context_takeover: self.agreed.server_no_context_takeover,
            ..config.deflate.unwrap_or_default()
        }
    }
}

/// Beginning: with or without an opening handshake.
impl Connection {
    /// A connection whose opening handshake is over; `part` has been read of its frames already. permessage-deflate is
    /// taken as agreed on just as it is configured.
    pub fn open(role: Role, config: Arc<WebSocketConfig>, part: Vec<u8>) -> Self {
        let agreed = config.deflate.as_ref().map(Agreed::as_configured);
        let unread = !part.is_empty();
        let receiver = Receiver::with_received(part);
        let mut connection = Self { unread, receiver, ..Self::new(role, config, None) };
        connection.compress(agreed);
        connection
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
            ahead,
            reconfigured,
            config,
            // Given above, or taken from both by being parked.
            cold: _,
            deadlines: _,
            compression: _,
            // Of a connection over a socket, as all that are parked.
            over_socket: _,
            // As new, or it could not have been parked.
            state: _,
            eof: _,
            abandoned: _,
            unread: _,
            input_lent: _,
            handshake: _,
            fragments: _,
            close_code: _,
            failure: _,
        } = self;
        *role = parked.role;
        receiver.reuse(parked.offset, parked.last_frame, config);
        sender.reuse(parked.role);
        (*corked, *hidden_frames, *ahead, *reconfigured) = (false, 0, (0, 0), false);
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
        self.receiver.end_simple();
        // Without any it has none already, as it was when it was parked.
        if let Some(deadlines) = deadlines {
            self.deadlines = deadlines;
        }
        if let Some((compression, inflater)) = deflate {
            self.compression = Some(compression);
            self.receiver.inflate_with(inflater);
        }
    }

    /// Each time something is received is a system call, and the owner decides when memory is given back.
    pub fn set_over_socket(&mut self) {
        self.over_socket = true;
    }

    /// The stream has nothing more to give for now.
    pub fn rest(&mut self) {
        if !self.over_socket {
            self.release();
        }
    }

    /// Whether it is [`Parked`], but for memory.
    #[inline]
    pub fn is_parkable(&self) -> bool {
        !self.unread
            && self.receiver.is_empty()
            && self.sender.holds_nothing()
            && self.state == State::Active
            && !self.eof
            && !self.abandoned
            && self.input_lent.is_none()
            && self.handshake.is_none()
            && self.fragments.is_none()
    }

    /// What is left of it where it [`is_parkable`](Self::is_parkable).
    #[inline]
    pub fn parked(&mut self, usual: &Arc<WebSocketConfig>) -> Parked {
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

    /// A client that begins with `request`, the bytes that go with `handshake`.
    pub fn client(config: Arc<WebSocketConfig>, handshake: ClientHandshake, request: &[u8]) -> Result<Self> {
        let mut connection = Self::new(Role::Client, config, Some(Handshake::Client(handshake)));
        connection.sender.queue_raw(request)?;
        Ok(connection)
    }

    /// A server that waits for a request.
    pub fn server(config: Arc<WebSocketConfig>, handshake: ServerHandshake) -> Self {
        Self::new(Role::Server, config, Some(Handshake::Server(handshake)))
    }

    fn new(role: Role, config: Arc<WebSocketConfig>, handshake: Option<Handshake>) -> Self {
        Self {
            over_socket: false,
            role,
            state: State::Active,
            eof: false,
            abandoned: false,
            unread: false,
            corked: false,
            hidden_frames: 0,
            ahead: (0, 0),
            reconfigured: false,
            input_lent: None,
            config,
            handshake: handshake.map(Box::new),
            cold: None,
            receiver: Receiver::default(),
            sender: Sender::new(role),
            deadlines: Deadlines::default(),
            fragments: None,
            compression: None,
            close_code: None,
            failure: None,
        }
    }

    /// Drives the opening handshake with what has arrived. A refusal, a malformed head and the like end the
    /// connection; a server's answer to them is then among the bytes to send.
    pub fn poll_handshake(&mut self) -> Result<Opening> {
        self.check_not_over()?;
        let Some(handshake) = &mut self.handshake else {
            if self.state != State::Failed {
                return Ok(Opening::Open);
            }
            // It cannot be made up for any more; only the answer may still have to leave.
            return self.poll_end().map(|()| Opening::NeedsBytes);
        };
        match handshake.advance(self.receiver.buffered(), self.eof) {
            Ok((Progress::NeedMore, consumed)) => {
                // What has come of a head is no news before the rest comes.
                self.unread = false;
                self.receiver.skip(consumed);
                Ok(Opening::NeedsBytes)
            }
            Ok((Progress::Request, consumed)) => {
                self.unread = false;
                self.receiver.skip(consumed);
                Ok(Opening::Request)
            }
            Ok((Progress::Done, consumed)) => {
                self.receiver.skip(consumed);
                self.finish_handshake();
                Ok(Opening::Open)
            }
            Err(error) => {
                if let Handshake::Server(server) = &mut **handshake {
                    let answer = server.take_refusal();
                    self.sender.queue_raw(&answer)?;
                }
                Err(self.handshake_failed(error))
            }
        }
    }

    /// Server: takes the request. `protocol` is one that the client offered; without one, the first of `options` that
    /// it offered is chosen.
    pub fn accept(&mut self, protocol: Option<&str>, options: &HandshakeOptions) -> Result<()> {
        let response = self.accept_unsent(protocol, options)?;
        self.sender.queue_raw(&response)
    }

    /// [`accept`](Self::accept), with the response handed out: to be sent at once, and what the stream does not take of
    /// it to be queued with [`queue_rest`](Self::queue_rest). Only where nothing waits to be sent.
    pub fn accept_unsent(
        &mut self,
        protocol: Option<&str>,
        options: &HandshakeOptions,
    ) -> Result<Acceptance> {
        let response = self.request()?.accept(protocol, options)?;
        self.finish_handshake();
        Ok(response)
    }

    /// Server: refuses a request that waits and is not for WebSocket, as without
    /// [`plain_requests`](WebSocketConfig::plain_requests). The answer is then among the bytes to send.
    #[inline]
    pub fn refuse_plain(&mut self) -> Result<()> {
        if self.config.plain_requests { self.refuse_if_plain() } else { Ok(()) }
    }

    #[cold]
    fn refuse_if_plain(&mut self) -> Result<()> {
        let Some(Handshake::Server(server)) = self.handshake.as_deref_mut() else { return Ok(()) };
        let Err(error) = server.refuse_plain() else { return Ok(()) };
        let answer = server.take_refusal();
        self.sender.queue_raw(&answer)?;
        Err(self.handshake_failed(error))
    }

    /// Whether a server has a request that would open a WebSocket, or has had one.
    pub fn is_upgrade(&self) -> bool {
        match self.handshake.as_deref() {
            Some(Handshake::Server(server)) => server.is_upgrade(),
            Some(Handshake::Client(_)) => false,
            None => self.role == Role::Server && self.head().is_some_and(is_upgrade),
        }
    }

    /// Server: answers the request with an HTTP status from 200 to 599 and a body, and ends the connection.
    pub fn reject(&mut self, status: u16, options: &HandshakeOptions, body: &[u8]) -> Result<()> {
        let response = self.request()?.reject(status, options, body)?;
        self.sender.queue_raw(&response)?;
        self.finish_handshake();
        self.handshake_failed(HandshakeError::Refused(status).into());
        Ok(())
    }

    /// The peer's part of the opening handshake: a server's request from [`Opening::Request`] on, a client's response
    /// from its end on, be it a refusal.
    pub fn head(&self) -> Option<&Head> {
        let head = match (self.cold.as_ref().and_then(|cold| cold.head()), self.handshake.as_deref()) {
            (Some(head), _) => head,
            (None, Some(Handshake::Server(handshake))) => handshake.head(),
            // A client's may still be followed by another.
            (None, _) => return None,
        };
        (!head.is_empty()).then_some(head)
    }

    /// The subprotocol agreed on.
    pub fn protocol(&self) -> Option<&str> {
        self.cold.as_ref()?.protocol()
    }

    fn keep_opened(&mut self, head: Head, protocol: Option<String>) {
        self.cold.get_or_insert_default().head = Some((head, protocol));
    }

    fn request(&mut self) -> Result<&mut ServerHandshake> {
        self.check_not_over()?;
        match self.handshake.as_deref_mut() {
            Some(Handshake::Server(handshake)) if self.state == State::Active => Ok(handshake),
            _ => Err(Error::Misuse("there is no request to answer")),
        }
    }

    fn finish_handshake(&mut self) {
        self.unread = !self.receiver.buffered().is_empty();
        if let Some(mut handshake) = self.handshake.take() {
            let Opened { head, protocol, deflate } = handshake.take_opened();
            if self.config.keep_head {
                self.keep_opened(head, protocol);
            } else if protocol.is_some() {
                self.keep_opened(Head::default(), protocol);
            }
            self.compress(deflate);
        }
    }

    /// From now on messages may be compressed, as agreed.
    fn compress(&mut self, agreed: Option<Agreed>) {
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

    /// Whatever became of it: what the peer said is kept.
    fn end_handshake(&mut self) {
        if self.handshake.is_some() {
            self.finish_handshake();
        }
    }

    /// Keeps the refusal, where it is one, for [`head`](Self::head).
    fn handshake_failed(&mut self, error: Error) -> Error {
        self.end_handshake();
        if let Error::Http(response) = &error {
            self.keep_opened((**response).clone(), None);
        }
        self.give_up(error.to_string(), CloseCode::ABNORMAL);
        error
    }

    /// A client that was reading the body of a refusal when time or the stream ran out still reports the refusal.
    fn refusal_cut_short(&mut self) -> Option<Error> {
        match self.handshake.as_deref_mut() {
            Some(Handshake::Client(client)) => client.take_refusal(),
            _ => None,
        }
    }
}

/// Bytes in.
impl Connection {
    /// Room for received bytes. Empty only while whole messages wait to be read, or the message read last is in the
    /// way: read on, then ask again.
    pub fn space(&mut self) -> Result<&mut [u8]> {
        match self.handshake {
            Some(_) => self.receiver.space_for_head(self.config.max_head_size),
            None => self.receiver.space(self.role, self.over_socket),
        }
    }

    /// Whether nothing that still arrives is looked at: after a Close of the peer, or a failure.
    #[inline]
    pub fn ignores_input(&self) -> bool {
        !self.state.can_read()
    }

    /// Bytes that nobody looks at have arrived, and are dropped.
    pub fn dropped(&mut self) {
        self.hidden_frames += DISCARD;
    }

    /// The first `n` bytes of the room last given out have been received.
    #[inline(always)]
    pub fn received(&mut self, n: usize) {
        self.receiver.commit(n);
        self.deadlines.received();
        self.unread = true;
    }

    /// The stream has ended: nothing more will arrive.
    pub fn received_eof(&mut self) {
        self.eof = true;
        self.unread = true;
    }

    /// [`space`](Self::space), lent until [`commit_lent`](Self::commit_lent): until then it stays where it is, whatever
    /// is read or sent.
    pub fn lend_space(&mut self) -> Result<&mut [u8]> {
        self.check_not_lent()?;
        let space = match self.handshake {
            Some(_) => self.receiver.space_for_head(self.config.max_head_size)?,
            None => self.receiver.space(self.role, self.over_socket)?,
        };
        self.input_lent = Some(space.len());
        Ok(space)
    }

    /// The first `n` bytes of the lent room have been received; it is not lent any more.
    pub fn commit_lent(&mut self, n: usize) -> Result<()> {
        match self.input_lent.take() {
            None => return Err(Error::Misuse("no input memory is lent")),
            Some(lent) if n > lent => {
                self.input_lent = Some(lent);
                return Err(Error::InvalidArgument("more bytes than were lent"));
            }
            Some(_) if n > 0 => self.received(n),
            Some(_) => {}
        }
        Ok(())
    }

    /// One room at a time is lent.
    #[inline]
    pub fn check_not_lent(&self) -> Result<()> {
        match self.input_lent {
            Some(_) => Err(Error::Misuse("input memory is already lent: commit it first")),
            None => Ok(()),
        }
    }

    /// Whether room is lent.
    pub fn is_input_lent(&self) -> bool {
        self.input_lent.is_some()
    }

    /// Whether the stream has ended.
    pub fn has_ended(&self) -> bool {
        self.eof
    }

    /// Whether a read would find something new without more bytes: a message, the end, a failure.
    pub fn is_readable(&self) -> bool {
        self.state != State::Terminated && (self.unread || self.is_over())
    }

    /// The stream takes nothing any more. The error is for whoever was sending, and is told once: it is no news where the
    /// connection was over but for what was to be sent. What has arrived is still there to be read, and what the stream
    /// still has to give; where that is nothing for now, its end is to be told ([`received_eof`](Self::received_eof)).
    #[cold]
    pub fn send_failed(&mut self, error: std::io::Error) -> Result<()> {
        // A stream that breaks its word is not asked for anything any more.
        let is_readable = self.handshake.is_none() && error.kind() != std::io::ErrorKind::InvalidData;
        match self.state {
            State::Active | State::ClosedByUs if is_readable => {}
            State::Active | State::ClosedByUs => return Err(self.stream_failed(error)),
            _ => {
                // Nor is there anything to wait for.
                self.sender.discard();
                self.received_eof();
                return Ok(());
            }
        }
        self.sender.discard();
        let error = Error::from(error);
        self.failure = Some(Box::new(Failure { sentence: error.to_string(), code: CloseCode::ABNORMAL }));
        self.state = State::SendFailed;
        self.unread = true;
        Err(error)
    }

    /// Whether [`send_failed`](Self::send_failed) has told that nothing can be sent, and there may still be something to read.
    #[inline]
    pub fn has_send_failed(&self) -> bool {
        self.state == State::SendFailed
    }

    /// The stream takes nothing any more, and has nothing to give for now: that is its end. An error where that is news.
    pub fn ended_by(&mut self, error: std::io::Error) -> Result<()> {
        if self.state.can_read() && !self.has_send_failed() {
            return Err(self.stream_failed(error));
        }
        self.received_eof();
        Ok(())
    }

    /// The stream failed: it can be dropped once this error has been handed on.
    pub fn stream_failed(&mut self, error: std::io::Error) -> Error {
        self.transport_failed(error.into())
    }

    /// [`stream_failed`](Self::stream_failed), whatever kept the transport from moving bytes.
    pub fn transport_failed(&mut self, error: Error) -> Error {
        self.sender.discard();
        self.eof = true;
        match self.refusal_cut_short() {
            Some(refusal) => self.handshake_failed(refusal),
            None => {
                self.end_handshake();
                self.fail(error)
            }
        }
    }

    /// Whether nothing has arrived that waits to be read, so that what arrives next is the beginning of a message: then
    /// [`poll_simple`](Self::poll_simple) will do for most. The loan of what was read before ends.
    #[inline(always)]
    pub fn begin_message(&mut self) -> bool {
        let begins = !self.eof && self.input_lent.is_none() && self.receiver.begin_message();
        if begins {
            self.unread = false;
        }
        begins
    }

    /// The next message, if it is as simple as most are and has arrived. Everything else is for
    /// [`poll_read`](Self::poll_read).
    #[inline(always)]
    pub fn poll_simple(&mut self) -> Option<WholeMessage> {
        let simple = self.receiver.next_simple(self.role)?;
        self.hidden_frames = 0;
        Some(simple)
    }

    /// Where in the input the next byte lies that has not been read.
    #[inline]
    pub fn input_position(&self) -> usize {
        self.receiver.input_position()
    }

    /// The last `count` messages of [`poll_simple`](Self::poll_simple), from that position of the input on, are read ahead:
    /// they can be taken back, until the next read.
    #[inline]
    pub fn read_behind(&mut self, start: usize, count: u16) {
        self.reconfigured = false;
        self.ahead = (start, count);
    }

    /// Of the messages read ahead the last `left` are to be read again. Where nothing more is read, they are dropped.
    #[inline]
    pub fn take_back(&mut self, left: u16) {
        let (start, count) = self.ahead;
        if left > 0
            && self.state.can_read()
            && self.receiver.take_back(start, count.saturating_sub(left), self.role)
        {
            self.unread = true;
        }
    }

    /// Whether messages are read ahead, and nothing is to be done before they are handed out.
    #[inline]
    pub fn is_batch_valid(&self) -> bool {
        self.ahead.1 > 0 && self.is_calm()
    }

    /// Whether nothing is to be done before messages that have arrived are handed out.
    #[inline]
    pub fn is_calm(&self) -> bool {
        !self.reconfigured && self.can_read() && (!self.has_output() || self.corked)
    }

    /// The payload of what [`poll_simple`](Self::poll_simple) returned last.
    #[inline(always)]
    pub fn simple_payload(&self, simple: WholeMessage) -> &[u8] {
        self.receiver.simple_payload(simple)
    }

    /// The next message out of what has arrived; `None`: more bytes are needed. Answers to Pings and Closes are
    /// queued. `ConnectionClosed` comes once, when the stream can be dropped; `AlreadyClosed` after it.
    #[inline]
    pub fn poll_read(&mut self) -> Result<Option<Received>> {
        loop {
            if !self.state.can_read() {
                // Bytes that nobody looks at make room for others.
                self.receiver.end_loan();
                self.receiver.discard();
                self.unread = false;
                return self.poll_end().map(|()| None);
            }
            let received = match self.receiver.next(self.role, &self.config) {
                Ok(Some(received)) => received,
                Ok(None) if self.eof => return Err(self.ended_early()),
                Ok(None) => {
                    self.unread = false;
                    return Ok(None);
                }
                Err(error) => return Err(self.fail(error)),
            };
            match received.kind {
                Kind::Text | Kind::Binary => {
                    self.hidden_frames = 0;
                    return Ok(Some(received));
                }
                Kind::Close => {
                    self.take_close(&received)?;
                    return Ok(Some(received));
                }
                Kind::Ping if self.config.auto_pong && self.state == State::Active => {
                    self.sender.answer_ping(self.receiver.payload(&received))?;
                    self.corked = false;
                }
                Kind::Pong => self.deadlines.received_pong(self.receiver.payload(&received)),
                Kind::Ping => {}
            }
            if self.config.deliver_control {
                return Ok(Some(received));
            }
            self.hidden_frames += 1;
        }
    }

    /// The payload of the message read last; of a Close, its reason. There until the next read.
    #[inline]
    pub fn payload(&self, received: &Received) -> &[u8] {
        let payload = self.receiver.payload(received);
        match received.kind {
            Kind::Close => payload.get(2..).unwrap_or_default(),
            _ => payload,
        }
    }

    /// Whether so much has arrived without giving a message that the caller should have a turn. Starts anew then, and
    /// counts as [readable](Self::is_readable), for there is likely to be more.
    pub fn is_patience_lost(&mut self) -> bool {
        let hidden = u64::from(self.hidden_frames) + self.receiver.hidden_frames(self.over_socket);
        let lost = hidden >= HIDDEN_FRAME_BUDGET.into();
        if lost {
            self.hidden_frames = 0;
            self.receiver.forget_hidden();
            self.unread = true;
        }
        lost
    }

    /// After a Close: whether the stream can be dropped, as `ConnectionClosed` or, when that has been said, as
    /// `AlreadyClosed`.
    pub fn poll_end(&mut self) -> Result<()> {
        self.check_not_over()?;
        if self.is_over() {
            self.state = State::Terminated;
            return Err(Error::ConnectionClosed);
        }
        Ok(())
    }

    /// Gives back the memory of buffers that nothing lies in. For when the stream has nothing more to give.
    pub fn release(&mut self) {
        if self.input_lent.is_none() {
            self.receiver.release();
        }
        self.sender.release();
        if let Some(compression) = &mut self.compression {
            compression.scratch = Vec::new();
        }
    }

    fn is_over(&self) -> bool {
        let (all_sent, ended) = (self.sender.is_empty(), self.eof);
        self.state != State::Terminated
            && self.state.is_over(self.role, all_sent || self.abandoned, ended || self.abandoned)
    }

    fn take_close(&mut self, received: &Received) -> Result<()> {
        let payload = self.receiver.payload(received);
        let code = match payload {
            [] => CloseCode::NO_STATUS,
            [_] => return Err(self.fail(ProtocolError::TruncatedCloseCode.into())),
            [high, low, reason @ ..] => {
                let code = CloseCode(u16::from_be_bytes([*high, *low]));
                if !code.is_allowed() {
                    return Err(self.fail(ProtocolError::InvalidCloseCode(code.0).into()));
                }
                if !utf8::is_valid(reason) {
                    return Err(self.fail(Error::Utf8));
                }
                code
            }
        };
        self.close_code = Some(code);
        if self.state == State::Active {
            // The answer carries the peer's code (RFC 6455 section 5.5.1), and its reason: programs show it to the user.
            self.sender.queue_close(payload)?;
            self.corked = false;
        }
        self.state = self.state.after_their_close();
        self.receiver.discard();
        Ok(())
    }

    fn ended_early(&mut self) -> Error {
        if self.has_send_failed() {
            return self.end_after_failed_send();
        }
        let sentence = match self.receiver.is_mid_message() {
            true => "the stream ended in the middle of a message",
            false => "the stream ended without a closing handshake",
        };
        self.give_up(sentence.to_owned(), CloseCode::ABNORMAL);
        self.state = State::Terminated;
        ProtocolError::ResetWithoutClosingHandshake.into()
    }
}

/// Messages and bytes out.
impl Connection {
    /// Whether `message` may be sent at all: the state, the limits. Changes nothing.
    #[inline]
    pub fn check(&self, message: &Outgoing<'_>) -> Result<()> {
        self.check_open()?;
        let is_close = matches!(message, Outgoing::Close(_));
        if !self.state.can_write() && !is_close {
            return Err(ProtocolError::SendAfterClosing.into());
        }
        match message {
            Outgoing::Text(_) | Outgoing::Binary(_) if self.fragments.is_some() => {
                Err(Error::Misuse("a message is being sent in fragments: finish it first"))
            }
            Outgoing::Text(text) => self.check_size(text.len()),
            Outgoing::Binary(data) => self.check_size(data.len()),
            Outgoing::Ping(data) | Outgoing::Pong(data) if data.len() > MAX_CONTROL => {
                Err(Error::InvalidArgument("the payload of a Ping or Pong is at most 125 bytes"))
            }
            Outgoing::Ping(_) | Outgoing::Pong(_) | Outgoing::Close(None) => Ok(()),
            Outgoing::Close(Some((code, _))) if !code.is_allowed() => {
                Err(Error::InvalidArgument("this Close code must not be sent"))
            }
            Outgoing::Close(Some((_, reason))) if reason.len() > MAX_REASON => {
                Err(Error::InvalidArgument("the reason of a Close is at most 123 bytes"))
            }
            Outgoing::Close(Some(_)) => Ok(()),
        }
    }

    /// Queues a message, or says that there is no room for it. Pongs and the Close always find room.
    #[inline]
    pub fn queue(&mut self, message: &Outgoing<'_>) -> Result<Enqueue> {
        if self.queue_short(std::slice::from_ref(message), usize::MAX) == 1 {
            return Ok(Enqueue::Accepted);
        }
        self.check(message)?;
        self.queue_checked(message)
    }

    /// [`queue`](Self::queue) for those at the front of these messages that are shorter than `longer` and with which there
    /// is no more to it: how many.
    #[inline]
    pub fn queue_short(&mut self, messages: &[Outgoing<'_>], longer: usize) -> usize {
        if !self.goes_as_it_is(0) {
            return 0;
        }
        let limit = self.config.largest_sent().map_or(usize::MAX, |max| max.saturating_add(1));
        self.sender.queue_short(messages, longer.min(limit), &self.config)
    }

    /// [`queue`](Self::queue), to leave together with what follows: no read sends it before it needs more bytes.
    pub fn queue_corked(&mut self, message: &Outgoing<'_>) -> Result<Enqueue> {
        let corked = self.corked || !self.has_output();
        let accepted = self.queue(message)?;
        self.corked = corked && self.state.can_write() && !matches!(message, Outgoing::Pong(_));
        Ok(accepted)
    }

    /// Whether what waits to be sent can wait until more is there.
    #[inline]
    pub fn is_corked(&self) -> bool {
        self.corked
    }

    /// What waits is being sent.
    #[inline]
    pub fn uncork(&mut self) {
        self.corked = false;
    }

    /// [`queue`](Self::queue), after [`check`](Self::check).
    pub fn queue_checked(&mut self, message: &Outgoing<'_>) -> Result<Enqueue> {
        match *message {
            Outgoing::Text(text) => self.queue_whole(Kind::Text, text.as_bytes()),
            Outgoing::Binary(data) => self.queue_whole(Kind::Binary, data),
            Outgoing::Ping(data) => self.queue_whole(Kind::Ping, data),
            Outgoing::Pong(data) => self.sender.queue_pong(data).map(|()| Enqueue::Accepted),
            Outgoing::Close(frame) => self.queue_close(frame).map(|()| Enqueue::Accepted),
        }
    }

    /// Queues a fragment of a text or binary message; `kind` must be the same for all of them.
    pub fn queue_fragment(&mut self, kind: Kind, data: &[u8], is_final: bool) -> Result<Enqueue> {
        self.check_open()?;
        if !self.state.can_write() {
            return Err(ProtocolError::SendAfterClosing.into());
        }
        if kind.is_control() {
            return Err(Error::InvalidArgument("control frames cannot be sent in fragments"));
        }
        let is_first = self.fragments.is_none();
        let mut fragments = match self.fragments.as_deref() {
            Some(fragments) if fragments.kind != kind => {
                return Err(Error::Misuse("a message of the other kind is being sent in fragments"));
            }
            Some(fragments) => fragments.clone(),
            None => OutgoingFragments { kind, compressed: false, total: 0, text: Utf8Stream::default() },
        };
        fragments.total = fragments.total.saturating_add(data.len());
        self.check_size(fragments.total)?;
        if is_first {
            fragments.compressed = !is_final || self.will_compress(kind, data.len());
            fragments.compressed &= self.compression.is_some();
        }
        if kind == Kind::Text {
            fragments.text.push(data).map_err(|_| Error::Utf8)?;
            if is_final {
                fragments.text.finish().map_err(|_| Error::Utf8)?;
            }
        }
        let opcode = if is_first { Opcode::Kind(kind) } else { Opcode::Continuation };
        let accepted = self.queue_frame(opcode, is_final, fragments.compressed, data)?;
        if accepted == Enqueue::Accepted {
            self.fragments = (!is_final).then(|| Box::new(fragments));
        }
        Ok(accepted)
    }

    /// Whether a message of this length will be compressed.
    #[inline]
    pub fn will_compress(&self, kind: Kind, len: usize) -> bool {
        self.compression
            .as_ref()
            .is_some_and(|compression| !kind.is_control() && len >= compression.threshold)
    }

    /// Whether nothing stands in the way of a message of this length: it may be sent at once, as it is.
    #[inline(always)]
    pub fn is_free_to_send(&self, len: usize) -> bool {
        self.sender.is_empty() && self.goes_as_it_is(len)
    }

    /// Whether a message of this length may be sent, in one frame, uncompressed.
    #[inline(always)]
    fn goes_as_it_is(&self, len: usize) -> bool {
        self.state == State::Active
            && self.handshake.is_none()
            && self.fragments.is_none()
            && self.compression.is_none()
            && self.config.largest_sent().is_none_or(|max| len <= max)
    }

    /// Whether a message of this length can be sent right from the caller's memory, behind others that are.
    #[inline]
    pub fn goes_directly(&self, len: usize) -> bool {
        self.role == Role::Server && self.goes_as_it_is(len)
    }

    /// A short message in wire form (see [`Sender::write_short`]).
    #[inline(always)]
    pub fn write_short(&self, kind: Kind, payload: &[u8], frame: &mut ShortFrame) -> Result<usize> {
        self.sender.write_short(kind, payload, frame)
    }

    /// The header of a message that may leave right from the caller's memory (see [`Sender::direct_header`]).
    #[inline]
    pub fn direct_header(&self, kind: Kind, len: usize) -> Option<HeaderBytes> {
        self.sender.direct_header(FrameStart::whole(kind), len)
    }

    /// Queues what is left of a message of which `sent` bytes, header included, have left directly.
    pub fn queue_rest(&mut self, header: &[u8], payload: &[u8], sent: usize) -> Result<()> {
        if 0 < sent && sent < header.len() + payload.len() {
            self.deadlines.progressed();
        }
        self.sender.queue_rest(header, payload, sent).map_err(|error| match sent {
            0 => error,
            _ => self.cut_off(error),
        })
    }

    /// The beginning of a message is out and its rest lost: whatever followed would be taken for that.
    fn cut_off(&mut self, error: Error) -> Error {
        self.sender.discard();
        self.fail(error)
    }

    /// Queues a frame that is ready and belongs to many, of which `sent` bytes have left directly. Only on a server,
    /// after [`check`](Self::check).
    pub fn queue_prepared(&mut self, prepared: &Prepared, sent: usize) -> Enqueue {
        if sent == 0 && !self.sender.has_room(prepared.frame().len(), &self.config) {
            return Enqueue::Full;
        }
        self.sender.queue_shared(prepared.frame(), sent);
        Enqueue::Accepted
    }

    /// The beginning of a client's message in wire form, to be sent at once; only where nothing waits (see
    /// [`Sender::stage`]).
    #[inline]
    pub fn stage<'a>(&mut self, kind: Kind, payload: &'a [u8]) -> Result<MaskedChunk<'a>> {
        self.sender.stage(FrameStart::whole(kind), payload)
    }

    /// The piece of it that is to be sent.
    #[inline]
    pub fn staged(&self) -> &[u8] {
        self.sender.staged()
    }

    /// That piece has left; whether there is another.
    #[inline]
    pub fn stage_next(&mut self, staged: &mut MaskedChunk<'_>) -> bool {
        self.sender.stage_next(staged)
    }

    /// Of that piece `sent` bytes have left: queues what is left of the message.
    pub fn queue_staged(&mut self, staged: MaskedChunk<'_>, sent: usize) -> Result<()> {
        self.deadlines.progressed();
        let is_unsent = staged.is_unsent(self.staged().len(), sent);
        self.sender.queue_staged(staged, sent).map_err(|error| match is_unsent {
            true => error,
            false => self.cut_off(error),
        })
    }

    /// Whether bytes wait to be sent.
    #[inline]
    pub fn has_output(&self) -> bool {
        !self.sender.is_empty()
    }

    /// How many bytes wait to be sent.
    pub fn queued_bytes(&self) -> usize {
        self.sender.queued_bytes()
    }

    /// All bytes to send, where they lie in one piece.
    #[inline]
    pub fn output_in_one_piece(&self) -> Option<&[u8]> {
        self.sender.one_piece()
    }

    /// Fills `slices` with the bytes to send; returns how many it used.
    pub fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.sender.gather(slices)
    }

    /// The first `n` bytes that [`gather`](Self::gather) gave have been sent.
    pub fn sent(&mut self, n: usize) {
        self.deadlines.progressed();
        self.sender.advance(n);
    }

    /// The next bytes to send in one piece, lent until [`advance_output`](Self::advance_output).
    pub fn output(&mut self) -> &[u8] {
        self.sender.output()
    }

    /// Whether [`output`](Self::output) has lent something.
    pub fn is_output_lent(&self) -> bool {
        self.sender.is_lent()
    }

    /// The first `n` lent bytes have been sent; false where fewer were lent.
    pub fn advance_output(&mut self, n: usize) -> bool {
        if n > 0 {
            self.deadlines.progressed();
        }
        self.sender.advance_output(n)
    }

    /// The stream takes nothing any more, though it may still have something to read.
    pub fn discard_output(&mut self) {
        self.sender.discard();
    }

    fn queue_whole(&mut self, kind: Kind, data: &[u8]) -> Result<Enqueue> {
        self.queue_frame(Opcode::Kind(kind), true, self.will_compress(kind, data.len()), data)
    }

    fn queue_frame(&mut self, opcode: Opcode, fin: bool, compress: bool, data: &[u8]) -> Result<Enqueue> {
        // Before anything is compressed: a refused message must leave the compressor untouched.
        if !self.sender.has_room(data.len(), &self.config) {
            return Ok(Enqueue::Full);
        }
        let compressed = compress && opcode != Opcode::Continuation;
        let start = FrameStart { opcode, fin, compressed };
        match &mut self.compression {
            Some(compression) if compress => {
                let Compression { deflater, scratch, .. } = &mut **compression;
                scratch.clear();
                let queued =
                    deflater.compress(data, fin, scratch).and_then(|()| self.sender.queue(start, scratch));
                if let Err(error) = queued {
                    // The compressor has gone on without the peer: nothing can be sent that it would understand.
                    return Err(self.fail(error));
                }
            }
            _ => self.sender.queue(start, data)?,
        }
        Ok(Enqueue::Accepted)
    }

    fn queue_close(&mut self, frame: Option<(CloseCode, &str)>) -> Result<()> {
        if self.state == State::Active {
            let mut payload = [0; MAX_CONTROL];
            let mut len = 0;
            if let Some((code, reason)) = frame {
                len = 2 + reason.len();
                payload[..2].copy_from_slice(&code.0.to_be_bytes());
                payload[2..len].copy_from_slice(reason.as_bytes());
            }
            self.sender.queue_close(&payload[..len])?;
            self.state = self.state.after_our_close();
        }
        Ok(())
    }

    fn check_size(&self, size: usize) -> Result<()> {
        match self.config.largest_sent() {
            Some(max) if size > max => {
                Err(CapacityError::MessageTooLong { size: size as u64, max: max as u64 }.into())
            }
            _ => Ok(()),
        }
    }
}

/// Watching, configuration and time.
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

    /// Which end this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// How far the closing handshake is.
    #[inline]
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether the opening handshake is still going on.
    pub fn is_opening(&self) -> bool {
        self.handshake.is_some()
    }

    /// Whether a server has a request to decide on.
    pub fn awaits_decision(&self) -> bool {
        matches!(self.handshake.as_deref(), Some(Handshake::Server(_))) && self.head().is_some()
    }

    /// Whether messages of the peer may still come.
    pub fn can_read(&self) -> bool {
        self.handshake.is_none() && self.state.can_read()
    }

    /// Whether messages may still be sent.
    pub fn can_write(&self) -> bool {
        self.handshake.is_none() && self.state.can_write()
    }

    /// Whether bytes from the peer make a difference: messages, its Close, or the end of the stream. Not while a request
    /// waits to be decided on.
    pub fn wants_bytes(&self) -> bool {
        let waits_for_end = matches!(self.state, State::ClosedByPeer | State::CloseAcknowledged);
        let reads = self.state.can_read() && !self.awaits_decision();
        !self.eof && (reads || (waits_for_end && self.role == Role::Client))
    }

    /// The code of the Close that arrived, [`CloseCode::NO_STATUS`] where it had none; otherwise the code that says
    /// why the connection was given up.
    pub fn close_code(&self) -> Option<CloseCode> {
        self.close_code.or_else(|| self.failure.as_ref().map(|failure| failure.code))
    }

    /// Why the connection was given up.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_deref()
    }

    /// The configuration.
    pub fn config(&self) -> &WebSocketConfig {
        &self.config
    }

    /// The configuration, to be changed. What has been accepted already stays accepted.
    pub fn config_mut(&mut self) -> &mut WebSocketConfig {
        self.receiver.end_simple();
        self.reconfigured = true;
        Arc::make_mut(&mut self.config)
    }

    /// Takes the time, in milliseconds on any clock that does not go backwards, and does all that is due: sends a Ping,
    /// or ends the connection with [`Error::Timeout`].
    pub fn tick(&mut self, now: u64) -> Result<()> {
        self.deadlines.set_now(now, self.dating(), self.sender.has_frames_waiting());
        while let Some(due) = self.deadlines.due(self.deadline_stage(), &self.config) {
            match due {
                Due::Ping => self.sender.queue_urgent_ping(&self.deadlines.ping_payload())?,
                // Both Closes have passed, or the connection has failed already: its end just need not be waited for.
                Due::Expired(_) if !matches!(self.state, State::Active | State::ClosedByUs) => {
                    self.abandoned = true;
                }
                Due::Expired(deadline) => return Err(self.give_up_waiting(deadline)),
            }
        }
        Ok(())
    }

    /// Takes the time. Whether the connection would now be given up for the silence of its peer: what lies in the transport
    /// is to be received before [`tick`](Self::tick).
    pub fn would_judge_silence(&mut self, now: u64) -> bool {
        self.deadlines.set_now(now, self.dating(), self.sender.has_frames_waiting());
        self.deadlines.silence(self.deadline_stage(), &self.config) <= now
    }

    /// Something has arrived that there is no room for.
    pub fn peer_is_alive(&mut self) {
        self.deadlines.received();
    }

    /// A deadline has passed: ends the connection.
    pub fn give_up_waiting(&mut self, deadline: Deadline) -> Error {
        if let Some(refusal) = self.refusal_cut_short() {
            self.abandoned = true;
            return self.handshake_failed(refusal);
        }
        // Later on there is nobody to hear last words, and none get through to a peer that takes no bytes.
        let is_silence = matches!(deadline, Deadline::Pong | Deadline::Idle);
        let takes_nothing = is_silence && self.sender.has_frames_waiting();
        self.abandoned = self.is_opening() || self.state != State::Active || takes_nothing;
        self.end_handshake();
        self.fail(Error::Timeout(deadline))
    }

    fn dating(&self) -> Dating {
        if self.over_socket { Dating::Back } else { Dating::Ahead }
    }

    /// Deadlines that nobody looked at so far run from `now` on.
    pub fn start_clock(&mut self, now: u64) {
        self.deadlines.restart(now);
    }

    /// How long the peer took to answer the Ping of [`ping_interval`](WebSocketConfig::ping_interval) last, in
    /// milliseconds.
    pub fn latency(&self) -> Option<u64> {
        self.deadlines.latency()
    }

    /// Whether there is any deadline to run: without one the time need not be asked for.
    #[inline]
    pub fn needs_clock(&self) -> bool {
        let open = self.state == State::Active && self.handshake.is_none();
        !open || self.config.ping_interval.is_some() || self.config.idle_timeout.is_some()
    }

    /// When [`tick`](Self::tick) has something to do next, or [`NEVER`].
    pub fn next_deadline(&self) -> u64 {
        match self.deadline_stage() {
            Stage::Over => NEVER,
            stage => self.deadlines.next(stage, &self.config),
        }
    }

    fn deadline_stage(&self) -> Stage {
        match self.state {
            _ if self.abandoned => Stage::Over,
            State::Active if self.is_opening() => Stage::Opening,
            State::Active => Stage::Open,
            State::SendFailed | State::Terminated => Stage::Over,
            _ => Stage::Closing,
        }
    }

    fn check_not_over(&self) -> Result<()> {
        if self.state == State::Terminated { Err(Error::AlreadyClosed) } else { Ok(()) }
    }

    fn check_open(&self) -> Result<()> {
        self.check_not_over()?;
        match self.handshake {
            Some(_) => Err(Error::Misuse("the opening handshake is not complete")),
            None => Ok(()),
        }
    }

    /// That it ends has been told, and why.
    fn end_after_failed_send(&mut self) -> Error {
        self.receiver.discard();
        self.state = State::Terminated;
        Error::ConnectionClosed
    }

    /// A rule was broken, a limit passed, a deadline missed, the stream lost: tells the peer where that can be told,
    /// keeps the sentence, and hands the error back.
    #[cold]
    fn fail(&mut self, error: Error) -> Error {
        if self.has_send_failed() {
            return self.end_after_failed_send();
        }
        let (code, is_frame) = match &error {
            Error::Protocol(ProtocolError::TruncatedDeflate) | Error::Utf8 => (CloseCode::INVALID, true),
            Error::Protocol(_) => (CloseCode::PROTOCOL, true),
            Error::Capacity(_) => (CloseCode::SIZE, true),
            Error::Timeout(Deadline::Idle) => (CloseCode::AWAY, false),
            Error::Timeout(Deadline::Pong) => (CloseCode::ERROR, false),
            _ => (CloseCode::ABNORMAL, false),
        };
        let mut sentence = error.to_string();
        if is_frame {
            let offset = self.receiver.frame_offset();
            sentence.push_str(&format!(", in the frame that begins at byte {offset} of the stream"));
        }
        if self.state == State::Active && code.is_allowed() {
            // Fails only for want of memory or randomness; then the peer is not told.
            let _ = self.sender.queue_close(&code.0.to_be_bytes());
        }
        self.give_up(sentence, code);
        error
    }

    fn give_up(&mut self, sentence: String, code: CloseCode) {
        self.failure = Some(Box::new(Failure { sentence, code }));
        self.state = State::Failed;
        self.unread = true;
        self.receiver.discard();
    }
}
