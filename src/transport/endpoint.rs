//! A connection that several threads may use: a [`WebSocket`] over a [`Link`], behind a lock.
//!
//! Calls are serialised; **a thread that waits for the peer holds nobody up**, for it waits outside the lock, and is
//! woken when another thread leaves it something to do. One thread reads at a time. Blocking is here: a wait with a
//! timeout around calls that never block. Knows threads and time; rules and kinds of socket are others' matter.

use crate::config::WebSocketConfig;
use crate::error::{Deadline, Error, Result};
use crate::message::{Kind, Role};
use crate::proto::connection::{Accepted, Connection, Dormant, Opening, Outgoing};
use crate::proto::deadline::NEVER;
use crate::proto::handshake::{ClientHandshake, HandshakeOptions, ServerHandshake, Url};
use crate::proto::prepared::Prepared;
use crate::proto::receive::Received;
use crate::transport::Link;
use crate::transport::clock;
use crate::transport::connect::Connecting;
use crate::transport::poller::{Condition, Poller, Watch, Watched};
use crate::transport::proxy::Proxy;
use crate::transport::socket::Readiness;
use crate::transport::tls::TlsOptions;
use crate::transport::wait::{self, Interest, Waker};
use crate::websocket::{MessageView, WebSocket};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

/// How calls on an endpoint behave, beyond the protocol.
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

/// All that a new endpoint can be configured with.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The protocol's part.
    pub websocket: Arc<WebSocketConfig>,
    /// The opening handshake's part.
    pub handshake: Arc<HandshakeOptions>,
    /// The endpoint's part.
    pub settings: Settings,
    /// The proxy that a client goes through, where one was given.
    pub proxy: Option<Proxy>,
    /// What wss:// takes.
    pub tls: TlsOptions,
    /// What connections that woke up have left behind when they went to sleep.
    pub spares: Arc<Spares>,
}

/// Memory for the next connection that wakes up: one after the other has the same, which is in the cache by then.
#[derive(Debug, Default)]
pub struct Spares(Mutex<[Option<Box<WebSocket<Link>>>; 4]>);

impl Spares {
    fn take(&self) -> Option<Box<WebSocket<Link>>> {
        self.0.lock().ok()?.iter_mut().find_map(Option::take)
    }

    fn put(&self, spare: Box<WebSocket<Link>>) {
        if let Ok(mut spares) = self.0.lock()
            && let Some(place) = spares.iter_mut().find(|place| place.is_none())
        {
            *place = Some(spare);
        }
    }
}

impl Setup {
    /// The proxy for this destination: the one given, else that of the environment where it is asked for, else none.
    pub fn proxy_for(&self, secure: bool, host: &str, port: u16) -> Result<Option<Proxy>> {
        match &self.proxy {
            Some(proxy) => Ok(Some(proxy.clone())),
            None if self.settings.proxy_from_environment => {
                Proxy::from_environment(secure, host, port, |name| {
                    // What is not Unicode is no URL either, and has to be told rather than passed over.
                    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
                })
            }
            None => Ok(None),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Endpoint {
    core: Mutex<Core>,
    /// The thread that holds `core`, where the transport is callbacks: one that calls back is told so instead of waiting
    /// for itself.
    owner: AtomicUsize,
    /// The threads that wait, from the first one on.
    waiting: OnceLock<Box<Waiting>>,
}

/// What wakes the threads that wait, and how many those are; that changes under the lock only.
#[derive(Debug)]
struct Waiting {
    waker: Waker,
    threads: AtomicUsize,
}

/// What the lock protects.
#[derive(Debug)]
pub struct Core {
    life: Life,
    setup: Arc<Setup>,
    /// A thread that reads is waiting.
    reading: bool,
    /// The poller that it is with.
    watch: Option<Attachment>,
}

/// A connection, or what is left of it while nothing goes on: most connections of a server wait, and are to cost as
/// little as can be meanwhile.
#[derive(Debug)]
enum Life {
    Awake(Box<WebSocket<Link>>),
    Asleep(Link, Dormant),
}

/// Being with a poller.
#[derive(Debug)]
struct Attachment {
    watch: Watch,
    /// The poller has been told to look, and has not yet.
    touched: bool,
    /// Input is not reported for now.
    paused: bool,
}

/// Making one, and what needs no waiting.
impl Endpoint {
    /// An endpoint of this connection over this transport.
    pub fn new(connection: Connection, link: Link, setup: &Arc<Setup>) -> Self {
        let mut core = Core {
            life: Life::Awake(Box::new(WebSocket::over(link, connection))),
            setup: Arc::clone(setup),
            reading: false,
            watch: None,
        };
        if core.link().fd().is_some() {
            core.connection_mut().keep_memory();
        }
        // The deadlines run from now on.
        let _ = core.tick();
        Self { core: Mutex::new(core), owner: AtomicUsize::new(0), waiting: OnceLock::new() }
    }

    /// A connection whose opening handshake is over; `part` of its frames has been read already.
    pub fn open(setup: &Arc<Setup>, role: Role, part: Vec<u8>) -> Self {
        Self::new(Connection::open(role, Arc::clone(&setup.websocket), part), Link::Memory, setup)
    }

    /// A client of this URL, over a transport that is opened for it.
    pub fn connect(setup: &Arc<Setup>, url: &Url) -> Result<Self> {
        Self::client(setup, url, Link::Connecting(Box::new(Connecting::start(url, setup)?)))
    }

    /// A client of this URL.
    pub fn client(setup: &Arc<Setup>, url: &Url, link: Link) -> Result<Self> {
        let config = Arc::clone(&setup.websocket);
        let (handshake, request) = ClientHandshake::new(url, &setup.handshake, &config)?;
        Ok(Self::new(Connection::client(config, handshake, &request)?, link, setup))
    }

    /// A server that waits for a request.
    pub fn server(setup: &Arc<Setup>, link: Link) -> Self {
        let handshake = ServerHandshake::new(&setup.websocket);
        Self::new(Connection::server(Arc::clone(&setup.websocket), handshake), link, setup)
    }

    /// Gives an endpoint that was made without one its transport.
    pub fn set_link(&self, link: Link) -> Result<()> {
        let mut core = self.lock()?;
        match core.link() {
            Link::Memory => {
                if link.fd().is_some() {
                    core.connection_mut().keep_memory();
                }
                *core.link_mut() = link;
                core.tick()
            }
            _ => Err(Error::Misuse("this connection has its transport already")),
        }
    }

    /// Whether this very thread is in a call on it: this is one of its callbacks then.
    pub fn is_held_here(&self) -> bool {
        let owner = self.owner.load(Ordering::Relaxed);
        owner != 0 && owner == thread_token()
    }

    /// Looks at the connection, or does a thing to it that needs no waiting.
    pub fn with<R>(&self, look: impl FnOnce(&mut Core) -> R) -> Result<R> {
        let mut core = self.lock()?;
        let result = look(&mut core);
        self.tell(&mut core);
        Ok(result)
    }
}

/// What a poller asks and tells.
impl Endpoint {
    /// Puts it with a poller.
    pub fn set_watch(&self, watch: Watch) -> Result<()> {
        let mut core = self.lock_asleep()?;
        if core.link().fd().is_none() {
            return Err(Error::Misuse("there is no socket to wait for"));
        }
        if core.watch.is_some() {
            return Err(Error::Misuse("this connection is with a poller already"));
        }
        core.watch = Some(Attachment { watch, touched: false, paused: false });
        Ok(())
    }

    /// Takes it from its poller; the poller's part is to be done with what this returns.
    pub fn take_watch(&self) -> Option<Watch> {
        let mut core = self.lock_asleep().ok()?;
        if let Some(socket) = core.link_mut().socket_mut() {
            socket.readiness_mut().watched = false;
            socket.readiness_mut().drained = false;
        }
        core.watch.take().map(|attachment| attachment.watch)
    }

    /// Like [`take_watch`](Self::take_watch), from this very poller.
    pub fn take_watch_of(&self, poller: &Poller) -> Result<Watch> {
        let is_with_it = self.lock()?.watch.as_ref().is_some_and(|attachment| attachment.watch.is_of(poller));
        let watch = if is_with_it { self.take_watch() } else { None };
        watch.ok_or(Error::Misuse("this connection is not with this poller"))
    }

    /// Whether a poller reports input. While it does not, Pings and a Close wait, too.
    pub fn set_paused(&self, paused: bool) -> Result<()> {
        let mut core = self.lock_asleep()?;
        let attachment = core.watch.as_mut().ok_or(Error::Misuse("this connection is with no poller"))?;
        attachment.paused = paused;
        core.touch();
        Ok(())
    }

    /// How it is.
    pub fn condition(&self, now: u64) -> Condition {
        match self.lock_asleep() {
            Ok(mut core) => core.condition(now),
            Err(_) => Condition { ready: false, due: NEVER, watched: None },
        }
    }

    /// From now on the poller tells of changes.
    pub fn watched(&self) {
        let Ok(mut core) = self.lock_asleep() else { return };
        if let Some(socket) = core.link_mut().socket_mut() {
            let ended = socket.readiness().ended;
            // How it is now, the poller tells first of all.
            *socket.readiness_mut() =
                Readiness { watched: true, readable: false, drained: false, writable: false, ended };
        }
    }

    /// The poller has heard of a change.
    pub fn happened(&self, what: Interest, ended: bool) {
        let Ok(mut core) = self.lock_asleep() else { return };
        match core.link_mut() {
            Link::Connecting(connecting) => connecting.stir(),
            link => {
                if let Some(socket) = link.socket_mut() {
                    let known = socket.readiness_mut();
                    known.readable |= what.read;
                    known.drained &= !what.read;
                    known.writable |= what.write;
                    known.ended |= ended;
                }
            }
        }
    }
}

/// Calls that may wait.
impl Endpoint {
    /// Lets every thread that waits look again at what it waits for: the configuration has changed.
    pub fn look_again(&self) {
        if let Some(waiting) = self.waiting.get()
            && waiting.threads.load(Ordering::Relaxed) > 0
        {
            waiting.waker.wake();
        }
    }

    /// Drives the opening handshake until it is done, or until a server has a request to decide on that it does not
    /// take by itself.
    pub fn handshake(&self) -> Result<Opening> {
        self.read_around(Core::handshake)
    }

    /// Reads the next message and shows it to `take`; its memory stays until the next read. Does the opening handshake
    /// first, where that is not done.
    #[inline]
    pub fn read<R>(&self, mut take: impl FnMut(&MessageView<'_>) -> R) -> Result<R> {
        self.read_around(|core| {
            if let Some(simple) = core.socket_mut().receive_simple() {
                return Ok(take(&core.socket().simple_view(simple)));
            }
            let received = core.receive()?;
            Ok(take(&core.socket().view(&received)))
        })
    }

    /// Reads the next message, as [`read`](Self::read) does, and shows it to `take`, and with it those behind it that
    /// lie there whole, for as long as `take` wants more. Their memory stays until the next read.
    #[inline]
    pub fn read_many(&self, mut take: impl FnMut(&MessageView<'_>) -> bool) -> Result<()> {
        self.read_around(|core| {
            let simple = match core.socket_mut().receive_simple() {
                Some(simple) => simple,
                None => {
                    let received = core.receive()?;
                    // What was put together elsewhere does not outlast the next one.
                    let stays = received.is_in_input();
                    if !take(&core.socket().view(&received)) || !stays {
                        return Ok(());
                    }
                    match core.socket_mut().connection.poll_simple() {
                        Some(simple) => simple,
                        None => return Ok(()),
                    }
                }
            };
            let mut next = Some(simple);
            while let Some(simple) = next
                && take(&core.socket().simple_view(simple))
            {
                next = core.socket_mut().connection.poll_simple();
            }
            Ok(())
        })
    }

    /// Sends or queues a message. Blocking, it waits until the message has left, and for room before that; the
    /// message counts as accepted however that wait ends.
    pub fn write(&self, message: &Outgoing<'_>) -> Result<Accepted> {
        self.write_with(|core| core.socket_mut().send(message))
    }

    /// Like [`write`](Self::write), for a message that many connections send.
    pub fn write_prepared(&self, message: &Prepared) -> Result<Accepted> {
        self.write_with(|core| core.socket_mut().send_prepared(message))
    }

    /// Like [`write`](Self::write), for several messages that leave together. `accepted` counts them; the first one that
    /// finds no room ends it. What is no message is passed over.
    pub fn write_many<'a>(
        &self,
        messages: impl IntoIterator<Item = Result<Option<Outgoing<'a>>>>,
        accepted: &mut usize,
    ) -> Result<Accepted> {
        let mut messages = messages.into_iter();
        let mut next = messages.next().transpose()?;
        self.write_with(|core| {
            let socket = core.socket_mut();
            while let Some(message) = &next {
                let Some(message) = message else {
                    *accepted += 1;
                    next = messages.next().transpose()?;
                    continue;
                };
                let mut outcome = socket.connection.queue_corked(message)?;
                if outcome == Accepted::QueueFull {
                    socket.flush_quietly()?;
                    outcome = socket.connection.queue_corked(message)?;
                }
                if outcome == Accepted::QueueFull {
                    return Ok(outcome);
                }
                *accepted += 1;
                next = messages.next().transpose()?;
            }
            socket.flush_quietly()?;
            Ok(Accepted::Yes)
        })
    }

    /// Like [`write`](Self::write), for a fragment of a message.
    pub fn write_fragment(&self, kind: Kind, data: &[u8], is_final: bool) -> Result<Accepted> {
        self.write_with(|core| core.socket_mut().send_fragment(kind, data, is_final))
    }

    /// Queues a message without sending anything; it leaves with what follows.
    pub fn queue(&self, message: &Outgoing<'_>) -> Result<Accepted> {
        self.lock()?.socket_mut().connection.queue_corked(message)
    }

    /// Sends what is pending.
    pub fn write_pending(&self) -> Result<()> {
        let mut until = None;
        loop {
            let mut core = self.lock()?;
            core.tick()?;
            let error = match core.socket_mut().write_pending() {
                Ok(()) => return Ok(()),
                Err(error) if error.is_would_block() && core.blocks() => error,
                Err(error) => return core.told(error),
            };
            until = until.or_else(|| end_of(core.setup.settings.write_timeout));
            if !self.wait_to_write(core, until)? {
                return Err(error);
            }
        }
    }

    /// Waits until a read or a write has something to do, for `timeout` at most; whether it has. Beside a thread that
    /// reads, it waits for room for what is to be sent only.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool> {
        let core = self.lock()?;
        let beside_reader = core.reading;
        if !beside_reader && core.has_input() {
            return Ok(true);
        }
        let mut interest = core.interest();
        interest.read &= !beside_reader;
        Ok(self.wait_awake(core, interest, end_of(timeout))?.1)
    }

    fn write_with(&self, mut write: impl FnMut(&mut Core) -> Result<Accepted>) -> Result<Accepted> {
        let mut until = None;
        loop {
            let mut core = self.lock()?;
            core.tick()?;
            let accepted = write(&mut core)?;
            self.tell(&mut core);
            if !core.blocks() || !core.socket().has_output() {
                return Ok(accepted);
            }
            until = until.or_else(|| end_of(core.setup.settings.write_timeout));
            if accepted == Accepted::Yes {
                drop(core);
                self.wait_for_output(until)?;
                return Ok(accepted);
            }
            if !self.wait_to_write(core, until)? {
                return Ok(accepted);
            }
        }
    }

    /// Waits until all output has left. A message that was accepted stays accepted: what goes wrong now is told by the
    /// next call.
    fn wait_for_output(&self, until: Option<Instant>) -> Result<()> {
        loop {
            let mut core = self.lock()?;
            match core.socket_mut().flush() {
                Err(error) if error.is_would_block() => {}
                _ => return Ok(()),
            }
            if !self.wait_to_write(core, until)? {
                return Ok(());
            }
        }
    }

    /// A call that reads; repeated, with waits in between, where the endpoint is a blocking one.
    #[inline]
    fn read_around<R>(&self, mut call: impl FnMut(&mut Core) -> Result<R>) -> Result<R> {
        let mut core = self.lock()?;
        if core.reading {
            return Err(Error::Misuse("another thread is reading from this connection"));
        }
        match call(&mut core) {
            Ok(result) => {
                core.touch_in_transition();
                Ok(result)
            }
            Err(error) if error.is_would_block() && core.blocks() => self.read_waiting(core, error, call),
            Err(error) if error.is_would_block() => {
                core.rest();
                core.touch_in_transition();
                Err(error)
            }
            Err(error) => {
                core.touch_in_transition();
                core.told(error)
            }
        }
    }

    fn read_waiting<'a, R>(
        &'a self,
        mut core: Locked<'a>,
        mut error: Error,
        mut call: impl FnMut(&mut Core) -> Result<R>,
    ) -> Result<R> {
        let mut until = None;
        loop {
            until = until.or_else(|| end_of(core.setup.settings.read_timeout));
            core.reading = true;
            core.rest();
            let interest = core.interest();
            let waited = self.wait_awake(core, interest, until);
            let ready;
            (core, ready) = match waited {
                Ok(waited) => waited,
                Err(error) => {
                    self.lock()?.reading = false;
                    return Err(error);
                }
            };
            core.reading = false;
            if !ready {
                return Err(error);
            }
            match call(&mut core) {
                Err(next) if next.is_would_block() && core.blocks() => error = next,
                Err(error) => {
                    core.touch_in_transition();
                    return core.told(error);
                }
                Ok(result) => {
                    core.touch_in_transition();
                    return Ok(result);
                }
            }
        }
    }

    /// Waits, outside the lock, and can be woken by another thread: that is arranged before the lock is let go, and
    /// undone, by the last one that waited, under the lock. Whether there is something to do.
    fn wait_awake<'a>(
        &'a self,
        core: Locked<'a>,
        interest: Interest,
        until: Option<Instant>,
    ) -> Result<(Locked<'a>, bool)> {
        let plan = core.plan(until)?;
        let waiting = match self.waiting.get() {
            Some(waiting) => waiting,
            None => {
                let waiting = Waiting { waker: Waker::new()?, threads: AtomicUsize::new(0) };
                self.waiting.get_or_init(|| Box::new(waiting))
            }
        };
        waiting.threads.fetch_add(1, Ordering::Relaxed);
        drop(core);
        let ready = wait::wait(plan.fd, interest, plan.until, Some(&waiting.waker));
        let core = self.lock();
        if waiting.threads.fetch_sub(1, Ordering::Relaxed) == 1 {
            waiting.waker.drain();
        }
        let mut core = core?;
        core.link_mut().stir();
        Ok((core, ready? || plan.ends_in_deadline))
    }

    /// Waits, outside the lock, for room to write.
    fn wait_to_write(&self, core: Locked<'_>, until: Option<Instant>) -> Result<bool> {
        let plan = core.plan(until)?;
        drop(core);
        let ready = wait::wait(plan.fd, Interest { read: false, write: true }, plan.until, None)?;
        Ok(ready || plan.ends_in_deadline)
    }

    /// Who waits takes care of what another thread leaves unsent, and of the deadlines of a closing handshake.
    fn tell(&self, core: &mut Core) {
        if core.socket().has_output() || !core.connection().can_write() {
            self.look_again();
            core.touch();
        }
    }

    #[inline]
    fn lock(&self) -> Result<Locked<'_>> {
        let mut core = self.lock_asleep()?;
        if let Life::Asleep(..) = core.life {
            core.wake();
        }
        Ok(core)
    }

    /// The lock, for what leaves a connection asleep that is.
    #[inline]
    fn lock_asleep(&self) -> Result<Locked<'_>> {
        if self.is_held_here() {
            return Err(Error::Misuse("a callback called back into its own connection"));
        }
        let core = self.core.lock().map_err(|_| Error::Internal)?;
        let calls_back = matches!(core.link(), Link::Callback(_));
        if calls_back {
            self.owner.store(thread_token(), Ordering::Relaxed);
        }
        Ok(Locked { core, owner: calls_back.then_some(&self.owner) })
    }
}

impl Core {
    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.socket().connection
    }

    /// The connection, for what needs no transport.
    pub fn connection_mut(&mut self) -> &mut Connection {
        &mut self.socket_mut().connection
    }

    /// How calls behave.
    pub fn settings(&self) -> &Settings {
        &self.setup.settings
    }

    /// The transport.
    pub fn link(&self) -> &Link {
        match &self.life {
            Life::Awake(socket) => socket.get_ref(),
            Life::Asleep(link, _) => link,
        }
    }

    fn link_mut(&mut self) -> &mut Link {
        match &mut self.life {
            Life::Awake(socket) => socket.get_mut(),
            Life::Asleep(link, _) => link,
        }
    }

    #[inline]
    fn socket(&self) -> &WebSocket<Link> {
        match &self.life {
            Life::Awake(socket) => socket,
            Life::Asleep(..) => unreachable!("whoever takes the lock wakes the connection"),
        }
    }

    #[inline]
    fn socket_mut(&mut self) -> &mut WebSocket<Link> {
        match &mut self.life {
            Life::Awake(socket) => socket,
            Life::Asleep(..) => unreachable!("whoever takes the lock wakes the connection"),
        }
    }

    fn wake(&mut self) {
        if let Life::Asleep(link, dormant) = &mut self.life {
            let link = std::mem::replace(link, Link::Memory);
            let socket = match self.setup.spares.take() {
                Some(mut spare) => {
                    *spare.get_mut() = link;
                    spare.connection.reuse(dormant);
                    spare
                }
                None => Box::new(WebSocket::over(link, dormant.wake())),
            };
            self.life = Life::Awake(socket);
        }
    }

    /// Puts a connection to sleep where nothing goes on. Its socket alone says when something does.
    #[inline]
    fn sleep(&mut self) {
        if let Life::Awake(socket) = &mut self.life
            && socket.is_dormant()
            && let Link::Socket(_) = socket.get_ref()
        {
            let dormant = socket.connection.dormant();
            let link = std::mem::replace(socket.get_mut(), Link::Memory);
            if let Life::Awake(spare) = std::mem::replace(&mut self.life, Life::Asleep(link, dormant)) {
                self.setup.spares.put(spare);
            }
        }
    }

    /// There is nothing to read for now, and yet it cannot sleep: it gives back what it does not need.
    fn rest(&mut self) {
        let socket = self.socket_mut();
        if !socket.is_dormant() {
            socket.connection.release();
        }
    }

    /// Server: takes the request (see [`Connection::accept`]) and sends what it can of the response.
    pub fn accept(&mut self, protocol: Option<&str>) -> Result<()> {
        let options = Arc::clone(&self.setup.handshake);
        self.socket_mut().accept(protocol, &options)
    }

    /// Server: refuses the request and sends what it can of the response.
    pub fn reject(&mut self, status: u16, body: &[u8]) -> Result<()> {
        let options = Arc::clone(&self.setup.handshake);
        self.socket_mut().connection.reject(status, &options, body)?;
        self.socket_mut().flush_quietly()
    }

    /// What a wait for this connection would be for. Nothing, where its end is only to be told.
    pub fn interest(&self) -> Interest {
        let wanted = Interest { read: self.connection().wants_bytes(), write: self.socket().has_output() };
        self.link().interest(wanted)
    }

    /// Whether a read may find something without waiting.
    pub fn has_input(&self) -> bool {
        let connection = self.connection();
        connection.is_readable() || (connection.wants_bytes() && self.link().has_buffered_input())
    }

    /// When something is due next, on the clock that runs for it.
    pub fn next_deadline(&self) -> u64 {
        let due = self.connection().next_deadline();
        match self.link() {
            Link::Connecting(connecting) => due.min(connecting.due()),
            _ => due,
        }
    }

    /// Changes how it is configured, while it runs.
    pub fn configure(
        &mut self,
        change: impl FnOnce(&mut WebSocketConfig, &mut Settings) -> Result<()>,
    ) -> Result<()> {
        let had_clock = self.connection().needs_clock();
        let mut settings = self.setup.settings.clone();
        change(self.connection_mut().config_mut(), &mut settings)?;
        if settings != self.setup.settings {
            Arc::make_mut(&mut self.setup).settings = settings;
        }
        if !had_clock && self.link().has_clock() {
            // Nobody has asked for the time so far: what has happened until now counts as happening now.
            self.socket_mut().connection.start_clock(clock::now_ms());
        }
        self.touch();
        Ok(())
    }

    /// Has its poller look at it.
    fn touch(&mut self) {
        if let Some(attachment) = &mut self.watch
            && !attachment.touched
        {
            attachment.touched = true;
            attachment.watch.touch();
        }
    }

    /// While a connection is being opened its socket may change, and its deadlines do when it ends.
    fn touch_in_transition(&mut self) {
        if self.watch.is_some() && (self.connection().is_opening() || !self.connection().can_write()) {
            self.touch();
        }
    }

    fn condition(&mut self, now: u64) -> Condition {
        let mut reads = true;
        if let Some(attachment) = &mut self.watch {
            attachment.touched = false;
            reads = !attachment.paused;
        }
        if let Life::Asleep(link, _) = &self.life {
            let watched = link.fd().map(|fd| Watched { fd, settled: true });
            return Condition { ready: reads && link.ready().read, due: NEVER, watched };
        }
        let (wanted, possible) = (self.interest(), self.link().ready());
        let input = self.has_input() || (wanted.read && possible.read);
        let output = wanted.write && possible.write;
        let due = self.next_deadline();
        let settled = !matches!(self.link(), Link::Connecting(_));
        Condition {
            ready: (input && reads) || output || due <= now,
            due,
            watched: self.link().fd().map(|fd| Watched { fd, settled }),
        }
    }

    fn receive(&mut self) -> Result<Received> {
        if self.connection().is_opening() && self.handshake()? == Opening::Request {
            return Err(Error::Misuse("the request has to be accepted or rejected first"));
        }
        self.tick()?;
        self.socket_mut().receive()
    }

    fn handshake(&mut self) -> Result<Opening> {
        self.tick()?;
        loop {
            match self.socket_mut().handshake()? {
                Opening::Request if self.setup.settings.auto_accept => self.accept(None)?,
                opening => return Ok(opening),
            }
        }
    }

    /// Lets the library's own clock run, where it does.
    fn tick(&mut self) -> Result<()> {
        if self.link().has_clock() && self.connection().needs_clock() {
            let now = clock::now_ms();
            if matches!(self.link(), Link::Connecting(connecting) if connecting.is_late(now)) {
                return Err(self.socket_mut().connection.give_up_waiting(Deadline::Connect));
            }
            self.socket_mut().connection.tick(now)?;
        }
        Ok(())
    }

    /// With the end of the connection the stream ends, too, whenever its owner comes to free it: a client waits for that.
    fn told<R>(&mut self, error: Error) -> Result<R> {
        if let Error::ConnectionClosed = error {
            self.link_mut().end();
        }
        Err(error)
    }

    fn blocks(&self) -> bool {
        self.setup.settings.blocking && self.link().fd().is_some()
    }

    fn plan(&self, until: Option<Instant>) -> Result<Plan> {
        let fd = self.link().fd().ok_or(Error::Misuse("there is no socket to wait for"))?;
        let deadline = match self.next_deadline() {
            NEVER => None,
            at => Instant::now().checked_add(Duration::from_millis(at.saturating_sub(clock::now_ms()))),
        };
        let ends_in_deadline = deadline.is_some_and(|deadline| until.is_none_or(|until| deadline < until));
        let until = if ends_in_deadline { deadline } else { until };
        Ok(Plan { fd, until, ends_in_deadline })
    }
}

/// A wait, decided on under the lock and carried out outside it.
#[derive(Debug)]
struct Plan {
    fd: RawFd,
    until: Option<Instant>,
    /// At its end something is due on the connection's own clock.
    ends_in_deadline: bool,
}

fn end_of(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

/// The lock, held.
struct Locked<'a> {
    core: MutexGuard<'a, Core>,
    owner: Option<&'a AtomicUsize>,
}

impl std::ops::Deref for Locked<'_> {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

impl std::ops::DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Core {
        &mut self.core
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // What a panic has left behind is no memory for another connection.
        if !std::thread::panicking() {
            self.core.sleep();
        }
        if let Some(owner) = self.owner {
            owner.store(0, Ordering::Relaxed);
        }
    }
}

/// A number of this thread's own: the address of a thread-local without a destructor.
fn thread_token() -> usize {
    thread_local!(static TOKEN: u8 = const { 0 });
    TOKEN.with(|token| std::ptr::from_ref(token).addr())
}
