//! Ends, raw peers and pairs over a scripted link; and scenarios run over every transport and every link.

use crate::common::c_abi::{CEnd, Mode};
use crate::common::end::{Beginning, End, Event, Fault, Outcome, Seen};
use crate::common::face::Face;
use crate::common::link::{Activity, Block, Pipe, Script, ScriptedStream, join};
use crate::common::sans_io::SansIo;
use crate::common::wire::{self, Frame};
use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::rc::Rc;
use wsabi::{Decision, HandshakeOptions, Kind, Role, WebSocketConfig};

/// So many calls that each move something are more than any scenario needs.
const MOST_CALLS: usize = 10_000_000;

/// The ways to drive a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `WebSocket<Stream>`.
    Face,
    /// `Connection`, with `gather` and `sent`.
    Gathered,
    /// `Connection`, with `output` and `advance_output`.
    Lent,
    /// A C handle in memory mode.
    CMemory,
    /// A C handle with callbacks.
    CCallbacks,
    /// A C handle with a socket.
    CSocket,
}

impl Transport {
    #[cfg(feature = "net")]
    pub const ALL: [Self; 6] =
        [Self::Face, Self::Gathered, Self::Lent, Self::CMemory, Self::CCallbacks, Self::CSocket];
    /// There are no sockets in this build.
    #[cfg(not(feature = "net"))]
    pub const ALL: [Self; 5] = Self::SCRIPTED;
    /// Those that keep what the peer does not take, and whose clock is handed in: a socket has room of its own, and
    /// the library's clock.
    pub const SCRIPTED: [Self; 5] = [Self::Face, Self::Gathered, Self::Lent, Self::CMemory, Self::CCallbacks];
    /// Those that are told of the stream's errors: in memory mode they are the caller's own matter.
    pub const FALLIBLE: [Self; 4] = [Self::Face, Self::Gathered, Self::Lent, Self::CCallbacks];

    fn end(self, stream: ScriptedStream, beginning: Beginning, config: WebSocketConfig) -> Box<dyn End> {
        match self {
            Self::Face => Box::new(Face::new(stream, beginning, config)),
            Self::Gathered => Box::new(SansIo::new(stream, beginning, config, false)),
            Self::Lent => Box::new(SansIo::new(stream, beginning, config, true)),
            Self::CMemory => Box::new(CEnd::new(stream, beginning, config, Mode::Memory)),
            Self::CCallbacks => Box::new(CEnd::new(stream, beginning, config, Mode::Callbacks)),
            Self::CSocket => Box::new(CEnd::new(stream, beginning, config, Mode::Socket)),
        }
    }
}

/// Runs a scenario over every transport, every chunk size and with `WouldBlock` at every position. What it returns must
/// be the same each time.
pub fn everywhere<R: PartialEq + Debug>(scenario: impl Fn(&Harness) -> R) {
    everywhere_on(&Transport::ALL, scenario);
}

/// All of them; one in five over real sockets where those are slow, as under wine, and the environment says so.
fn scripts(transport: Transport) -> Vec<Script> {
    let is_slow = transport == Transport::CSocket && std::env::var_os("WSABI_SLOW_SOCKETS").is_some();
    Script::all().into_iter().step_by(if is_slow { 5 } else { 1 }).collect()
}

/// [`everywhere`], over these transports only.
pub fn everywhere_on<R: PartialEq + Debug>(transports: &[Transport], scenario: impl Fn(&Harness) -> R) {
    let expected = Harness::new(transports[0], Script::WHOLE).run(&scenario).0;
    for transport in transports {
        let check = |script: Script| {
            let (result, calls) = Harness::new(*transport, script).run(&scenario);
            assert_eq!(result, expected, "over {transport:?} with {script:?}");
            calls
        };
        for script in scripts(*transport) {
            check(script);
        }
        if *transport == Transport::CSocket {
            continue; // it is not the socket that blocks there, and the handle notices nothing of it
        }
        for (read, write) in [(usize::MAX, usize::MAX), (2, 3)] {
            let script = |at| Script { read, write, block: Block::At(at) };
            let calls = check(script(usize::MAX));
            // Every position; of a scenario with more than 48 calls, as many of them, spread out evenly.
            for at in (0..calls).step_by(calls / 48 + 1) {
                check(script(at));
            }
        }
    }
}

/// For scenarios with many bytes: these transports, and only as many links as say something new.
pub fn at_every_chunk_size<R: PartialEq + Debug>(transports: &[Transport], scenario: impl Fn(&Harness) -> R) {
    let expected = Harness::new(transports[0], Script::WHOLE).run(&scenario).0;
    for transport in transports {
        for script in scripts(*transport) {
            let result = Harness::new(*transport, script).run(&scenario).0;
            assert_eq!(result, expected, "over {transport:?} with {script:?}");
        }
    }
}

/// Where a scenario takes place.
#[derive(Debug)]
pub struct Harness {
    pub transport: Transport,
    pub script: Script,
    pub activity: Rc<Activity>,
}

impl Harness {
    pub fn new(transport: Transport, script: Script) -> Self {
        Self { transport, script, activity: Rc::default() }
    }

    /// The result of a scenario, and how many calls it took.
    fn run<R>(self, scenario: &impl Fn(&Harness) -> R) -> (R, usize) {
        struct Report(Transport, Script);
        impl Drop for Report {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    eprintln!("over {:?} with {:?}:", self.0, self.1);
                }
            }
        }
        let _report = Report(self.transport, self.script);
        let result = scenario(&self);
        (result, self.activity.calls.get())
    }

    /// An end whose handshake is over, and the raw peer at its other side.
    pub fn end(&self, role: Role, config: WebSocketConfig) -> (SharedConnection, Peer) {
        self.end_after(role, &[], config)
    }

    /// Like [`end`](Self::end); `part` was read together with the handshake.
    pub fn end_after(&self, role: Role, part: &[u8], config: WebSocketConfig) -> (SharedConnection, Peer) {
        self.begin(role, Beginning::Open(role, part.to_vec()), config)
    }

    /// A client before its handshake, and a raw server.
    pub fn client(
        &self,
        url: &'static str,
        options: HandshakeOptions,
        config: WebSocketConfig,
    ) -> (SharedConnection, Peer) {
        self.begin(Role::Client, Beginning::Client(url, options), config)
    }

    /// A server before its handshake, and a raw client.
    pub fn server(&self, decision: Decision, config: WebSocketConfig) -> (SharedConnection, Peer) {
        self.begin(Role::Server, Beginning::Server(decision), config)
    }

    /// Both ends, joined, after the handshake.
    pub fn pair(
        &self,
        client: WebSocketConfig,
        server: WebSocketConfig,
    ) -> (SharedConnection, SharedConnection) {
        let (one, other) = join(self.script, &self.activity);
        (
            self.endpoint(one, Beginning::Open(Role::Client, vec![]), client),
            self.endpoint(other, Beginning::Open(Role::Server, vec![]), server),
        )
    }

    /// Both ends, joined, before the handshake.
    pub fn strangers(
        &self,
        (url, options): (&'static str, HandshakeOptions),
        decision: Decision,
        config: &WebSocketConfig,
    ) -> (SharedConnection, SharedConnection) {
        let (one, other) = join(self.script, &self.activity);
        (
            self.endpoint(one, Beginning::Client(url, options), config.clone()),
            self.endpoint(other, Beginning::Server(decision), config.clone()),
        )
    }

    fn begin(&self, role: Role, beginning: Beginning, config: WebSocketConfig) -> (SharedConnection, Peer) {
        let (ours, theirs) = join(self.script, &self.activity);
        let peer = Peer {
            role: wire::other(role),
            to_end: Rc::clone(&ours.incoming),
            from_end: Rc::clone(&ours.outgoing),
            seen: Cell::new(0),
        };
        drop(theirs);
        peer.to_end.borrow_mut().ended = false;
        (self.endpoint(ours, beginning, config), peer)
    }

    fn endpoint(
        &self,
        stream: ScriptedStream,
        beginning: Beginning,
        config: WebSocketConfig,
    ) -> SharedConnection {
        let (incoming, most_slices) = (Rc::clone(&stream.incoming), Rc::clone(&stream.most_slices));
        let inner = self.transport.end(stream, beginning, config);
        SharedConnection { inner, activity: Rc::clone(&self.activity), incoming, most_slices }
    }
}

/// Both ends do their handshakes in turns; how it ended for the client and for the server.
pub fn shake(client: &mut SharedConnection, server: &mut SharedConnection) -> (Outcome<()>, Outcome<()>) {
    let mut results = [Err(Fault::WouldBlock); 2];
    for _ in 0..MOST_CALLS {
        for (end, result) in [&mut *client, &mut *server].into_iter().zip(&mut results) {
            match result {
                Err(Fault::WouldBlock) => *result = end.inner.handshake(),
                // The last bytes of its answer may still have to leave.
                Ok(()) => {
                    let _ = end.inner.write_pending();
                }
                Err(_) => {}
            }
        }
        if !results.contains(&Err(Fault::WouldBlock)) {
            break;
        }
    }
    (results[0], results[1])
}

/// An end of the connection under test. Its calls are patient: they are repeated as long as `WouldBlock` came of the
/// script, bytes have moved, or the stream is still readable; so a `WouldBlock` that comes out of them says that nothing more can happen for now.
pub struct SharedConnection {
    pub inner: Box<dyn End>,
    activity: Rc<Activity>,
    incoming: Rc<RefCell<Pipe>>,
    /// Most slices that one write was given.
    pub most_slices: Rc<Cell<usize>>,
}

impl SharedConnection {
    fn patiently<T>(&mut self, mut call: impl FnMut(&mut dyn End) -> Outcome<T>) -> Outcome<T> {
        let mut idle = 0;
        for _ in 0..MOST_CALLS {
            let before = self.activity.events.get();
            let result = call(&mut *self.inner);
            idle = if self.activity.events.get() == before { idle + 1 } else { 0 };
            // A readable stream is worth another try: a call may leave something for the next one.
            let hope = idle == 0 || (idle < 3 && self.incoming.borrow().is_readable());
            if !matches!(result, Err(Fault::WouldBlock)) || !hope {
                return result;
            }
        }
        panic!("no end to WouldBlock");
    }

    pub fn handshake(&mut self) -> Outcome<()> {
        self.patiently(|end| end.handshake())
    }

    pub fn read(&mut self) -> Outcome<Event> {
        self.patiently(|end| end.read())
    }

    /// Reads until something is in the way: what came, and what that was.
    pub fn read_all(&mut self) -> (Vec<Event>, Fault) {
        let mut events = Vec::new();
        loop {
            match self.read() {
                Ok(event) => events.push(event),
                Err(fault) => return (events, fault),
            }
        }
    }

    /// Writing never ends in `WouldBlock`.
    pub fn write(&mut self, kind: Kind, data: &[u8]) -> Outcome<()> {
        let result = self.inner.write(kind, data);
        assert_ne!(result, Err(Fault::WouldBlock), "a message is accepted or not: there is no third way");
        result
    }

    pub fn text(&mut self, text: &str) -> Outcome<()> {
        self.write(Kind::Text, text.as_bytes())
    }

    pub fn binary(&mut self, data: &[u8]) -> Outcome<()> {
        self.write(Kind::Binary, data)
    }

    pub fn write_fragment(&mut self, kind: Kind, data: &[u8], is_final: bool) -> Outcome<()> {
        let result = self.inner.write_fragment(kind, data, is_final);
        assert_ne!(result, Err(Fault::WouldBlock), "a fragment is accepted or not: there is no third way");
        result
    }

    pub fn write_pending(&mut self) -> Outcome<()> {
        self.patiently(|end| end.write_pending())
    }

    pub fn close(&mut self, frame: Option<(u16, &str)>) -> Outcome<()> {
        let result = self.inner.close(frame);
        assert_ne!(result, Err(Fault::WouldBlock), "a Close always finds room");
        result
    }

    pub fn tick(&mut self, now: u64) -> Outcome<()> {
        self.inner.tick(now)
    }

    pub fn can_read(&self) -> bool {
        self.inner.can_read()
    }

    pub fn can_write(&self) -> bool {
        self.inner.can_write()
    }

    pub fn configure(&mut self, change: impl Fn(&mut WebSocketConfig)) {
        self.inner.configure(&change);
    }

    pub fn failure(&self) -> String {
        self.inner.failure().unwrap_or_default()
    }

    pub fn seen(&self) -> Seen {
        self.inner.seen()
    }

    /// How many more bytes its stream takes.
    pub fn set_window(&mut self, window: usize) {
        self.inner.stream().outgoing.borrow_mut().window = window;
    }

    /// The end of a connection: once `Closed`, and `AlreadyClosed` for whatever is tried after it.
    pub fn assert_over(&mut self) {
        assert_eq!(self.read(), Err(Fault::Closed));
        self.assert_already_closed();
    }

    pub fn assert_already_closed(&mut self) {
        for _ in 0..2 {
            assert_eq!(self.read(), Err(Fault::AlreadyClosed));
            assert_eq!(self.write_pending(), Err(Fault::AlreadyClosed));
            assert_eq!(self.text("late"), Err(Fault::AlreadyClosed));
            assert_eq!(self.close(None), Err(Fault::AlreadyClosed));
        }
    }
}

/// The other side of an end, in raw bytes: it is never cut or blocked.
pub struct Peer {
    pub role: Role,
    pub to_end: Rc<RefCell<Pipe>>,
    pub from_end: Rc<RefCell<Pipe>>,
    /// Bytes of `from_end` that were asked for already.
    seen: Cell<usize>,
}

impl Peer {
    /// Sends one frame that is in order.
    pub fn send(&self, first: u8, payload: &[u8]) {
        self.send_raw(&wire::frame(self.role, first, payload));
    }

    /// Sends a Close.
    pub fn send_close(&self, code: u16, reason: &str) {
        self.send(wire::CLOSE, &wire::close_payload(code, reason));
    }

    pub fn send_raw(&self, bytes: &[u8]) {
        self.to_end.borrow_mut().put(bytes);
    }

    /// Sends no more.
    pub fn end(&self) {
        self.to_end.borrow_mut().ended = true;
    }

    /// How many more bytes it takes.
    pub fn set_window(&self, window: usize) {
        self.from_end.borrow_mut().window = window;
    }

    /// The frames that came since this was last asked; an unfinished one is left for the next time.
    pub fn frames(&self) -> Vec<Frame> {
        let pipe = self.from_end.borrow();
        let bytes = &pipe.log[self.seen.get()..];
        let (frames, left) = wire::parse(wire::other(self.role), bytes);
        self.seen.set(pipe.log.len() - left);
        frames
    }

    /// [`frames`](Self::frames), as first byte and payload.
    pub fn received(&self) -> Vec<(u8, Vec<u8>)> {
        self.frames().into_iter().map(|frame| (frame.first, frame.payload)).collect()
    }

    /// The bytes that came since this was last asked: an HTTP head.
    pub fn raw(&self) -> Vec<u8> {
        let pipe = self.from_end.borrow();
        let bytes = pipe.log[self.seen.get()..].to_vec();
        self.seen.set(pipe.log.len());
        bytes
    }

    /// Whether the end has closed the stream.
    pub fn sees_end(&self) -> bool {
        self.from_end.borrow().ended
    }
}
