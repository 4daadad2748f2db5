//! One connection without I/O, from its opening handshake to its end.
//!
//! Bytes that arrived go in through [`Connection::space`] and [`Connection::received`], bytes to send come out of
//! [`Connection::gather`] or [`Connection::output`]; in between stand messages. **Given the same bytes and the same
//! calls, the result never depends on how the bytes were cut or on when they came.** Joins the receiver, the sender,
//! the phase and the deadlines; holds no rule that one of them could hold.
//!
//! | file | knows |
//! | --- | --- |
//! | `phase` | where a connection is, and what may still be done there |
//! | `opening` | the opening handshake |
//! | `reading` | bytes to messages, and the answers to Pings and Closes |
//! | `writing` | what may be sent, and queueing it |
//! | `leaving` | bytes that leave: from the queue, or right from the caller's memory |
//! | `compression` | permessage-deflate |
//! | `timers` | what is due when |
//! | `ending` | how a connection comes to its end |
//! | `parked` | what is kept of a connection on which nothing goes on |

mod compression;
mod ending;
mod leaving;
mod opening;
mod parked;
mod phase;
mod reading;
mod timers;
mod writing;

pub(crate) use self::ending::Failure;
pub use self::opening::Opening;
pub(crate) use self::parked::Parked;
pub(crate) use self::phase::OPEN;
pub use self::phase::Phase;
pub use self::writing::Enqueue;

use self::compression::Compression;
use self::parked::Cold;
use self::writing::OutgoingFragments;
use crate::config::WebSocketConfig;
use crate::error::{Error, Result};
use crate::message::{CloseCode, Role};
use crate::proto::deadline::Deadlines;
use crate::proto::deflate::Agreed;
use crate::proto::handshake::{ClientHandshake, Handshake, ServerHandshake};
use crate::proto::inbound::Receiver;
use crate::proto::outbound::Sender;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub struct Connection {
    /// See [`set_over_socket`](Self::set_over_socket).
    over_socket: bool,
    role: Role,
    phase: Phase,
    /// The stream has ended.
    eof: bool,
    /// Something arrived that a read has not looked at.
    unread: bool,
    /// All that waits to be sent was queued to leave with what follows it.
    corked: bool,
    /// What has arrived since the last message without giving one: hidden control frames, bytes after the end. What there is
    /// of data frames the receiver knows.
    hidden_frames: u32,
    /// How much room has been lent to the caller, who is receiving into it.
    input_lent: Option<usize>,
    config: Arc<WebSocketConfig>,
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

impl Connection {
    /// A connection whose opening handshake is over; `part` has been read of its frames already. permessage-deflate is
    /// taken as agreed on just as it is configured.
    pub fn open(role: Role, config: Arc<WebSocketConfig>, part: Vec<u8>) -> Self {
        let agreed = config.deflate.as_ref().map(Agreed::as_configured);
        let unread = !part.is_empty();
        let receiver = Receiver::with_received(part);
        let mut connection = Self { unread, receiver, ..Self::new(role, config, Phase::Open) };
        connection.compress(agreed);
        connection
    }

    /// A client that begins with `request`, the bytes that go with `handshake`.
    pub fn client(config: Arc<WebSocketConfig>, handshake: ClientHandshake, request: &[u8]) -> Result<Self> {
        let phase = Phase::Opening(Box::new(Handshake::Client(handshake)));
        let mut connection = Self::new(Role::Client, config, phase);
        connection.sender.queue_raw(request)?;
        Ok(connection)
    }

    /// A server that waits for a request.
    pub fn server(config: Arc<WebSocketConfig>, handshake: ServerHandshake) -> Self {
        Self::new(Role::Server, config, Phase::Opening(Box::new(Handshake::Server(handshake))))
    }

    fn new(role: Role, config: Arc<WebSocketConfig>, phase: Phase) -> Self {
        Self {
            over_socket: false,
            role,
            phase,
            eof: false,
            unread: false,
            corked: false,
            hidden_frames: 0,
            input_lent: None,
            config,
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

    /// Each time something is received is a system call, and the owner decides when memory is given back.
    pub fn set_over_socket(&mut self) {
        self.over_socket = true;
    }

    /// Which end this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Where it is between its first byte and its end.
    #[inline]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The configuration.
    pub fn config(&self) -> &WebSocketConfig {
        &self.config
    }

    /// The configuration, to be changed. What has been accepted already stays accepted.
    pub fn config_mut(&mut self) -> &mut WebSocketConfig {
        self.receiver.forget_whole_len();
        Arc::make_mut(&mut self.config)
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

    /// The stream has nothing more to give for now.
    pub fn rest(&mut self) {
        if !self.over_socket {
            self.release();
        }
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

    fn check_not_over(&self) -> Result<()> {
        if matches!(self.phase, Phase::Ended) { Err(Error::AlreadyClosed) } else { Ok(()) }
    }

    fn check_open(&self) -> Result<()> {
        self.check_not_over()?;
        match self.phase {
            Phase::Opening(_) => Err(Error::Misuse("the opening handshake is not complete")),
            _ => Ok(()),
        }
    }
}
