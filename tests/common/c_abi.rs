//! The C ABI, called as a C program would: memory mode, callbacks, and a socket.

use crate::common::end::{Beginning, End, Event, Fault, Outcome, Seen};
use crate::common::link::ScriptedStream;
use crate::common::pair::{self, PairStream};
use std::ffi::{CStr, CString, c_char, c_void};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::ptr;
use std::time::Duration;
use wsabi::internals::ffi::{self, ws_option, ws_status};
use wsabi::{Decision, DeflateConfig, HandshakeOptions, Kind, Role, WebSocketConfig};

/// A connection handle and what moves its bytes.
pub struct CEnd {
    conn: *mut ffi::ws_conn,
    way: Way,
    decision: Option<Decision>,
    /// The handshake has failed with this, and the answer is on its way.
    refused: Option<Fault>,
    /// Whether the connection has told something worse than `WouldBlock`.
    failed: bool,
}

/// Which transport a handle gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Memory,
    Callbacks,
    Socket,
}

enum Way {
    Memory {
        stream: ScriptedStream,
        ended: bool,
        turn: usize,
    },
    /// From `Box::into_raw`: the handle has it, too.
    Callbacks(*mut ScriptedStream),
    /// The handle has the other end of the pair, `_ours`.
    Socket {
        stream: ScriptedStream,
        ended: bool,
        pair: PairStream,
        _ours: PairStream,
        /// On its way from the stream to the socket.
        incoming: Vec<u8>,
        /// On its way back.
        outgoing: Vec<u8>,
    },
}

impl CEnd {
    fn has_request(&self) -> bool {
        // SAFETY: the handle is alive.
        unsafe { ffi::ws_get_state(self.conn) == ffi::ws_state::WS_STATE_REQUEST as i32 }
    }

    pub fn new(stream: ScriptedStream, beginning: Beginning, config: WebSocketConfig, mode: Mode) -> Self {
        let (options, decision) = match &beginning {
            Beginning::Open(..) => (None, None),
            Beginning::Client(_, options) => (Some(options), None),
            Beginning::Server(decision) => {
                let (Decision::Accept { options, .. } | Decision::Reject { options, .. }) = decision;
                (Some(options), Some(decision.clone()))
            }
        };
        let mut conn = ptr::null_mut();
        // SAFETY: pointers to live values, as the header asks for.
        let status = unsafe {
            let c_config = new_config(&config, options);
            let status = match &beginning {
                Beginning::Open(role, part) => {
                    let role = if *role == Role::Client { 1 } else { 2 };
                    ffi::ws_from_partially_read(c_config, role, part.as_ptr(), part.len(), &mut conn)
                }
                Beginning::Client(url, _) => {
                    let url = CString::new(*url).unwrap();
                    ffi::ws_client_new(c_config, url.as_ptr(), &mut conn)
                }
                Beginning::Server(_) => ffi::ws_server_new(c_config, &mut conn),
            };
            ffi::ws_config_free(c_config);
            status
        };
        assert_eq!(status, 0);
        let way = match mode {
            Mode::Memory => Way::Memory { stream, ended: false, turn: 0 },
            Mode::Callbacks => {
                let userdata = Box::into_raw(Box::new(stream));
                // SAFETY: the stream lives until this end is dropped.
                let status = unsafe { ffi::ws_set_io(conn, Some(receive), Some(send), userdata.cast()) };
                assert_eq!(status, 0);
                Way::Callbacks(userdata)
            }
            Mode::Socket => {
                let (ours, pair) = pair::pair();
                pair.set_nonblocking(true).unwrap();
                // SAFETY: the socket lives until this end is dropped.
                let status = unsafe { ffi::ws_set_socket(conn, pair::number(&ours)) };
                assert_eq!(status, 0);
                Way::Socket { stream, ended: false, pair, _ours: ours, incoming: vec![], outgoing: vec![] }
            }
        };
        Self { conn, way, decision, refused: None, failed: false }
    }

    /// Makes a call, with bytes moved before it and after it where the caller has to do that.
    fn call(&mut self, call: impl FnOnce(*mut ffi::ws_conn) -> i32) -> Outcome<()> {
        self.bytes_in();
        let status = call(self.conn);
        let result = self.outcome(status);
        self.bytes_out();
        result
    }

    /// Memory mode: reads while room is lent, and receives into that afterwards, which must leave the message alone.
    fn read_while_receiving(&mut self, message: &mut *const ffi::ws_message) -> Outcome<()> {
        let conn = self.conn;
        let Way::Memory { stream, ended: ended @ false, .. } = &mut self.way else {
            return Err(Fault::WouldBlock);
        };
        let mut status = -1;
        // SAFETY: the handle is alive.
        let moved = fill(conn, stream, || status = unsafe { ffi::ws_read_message(conn, message) });
        if moved == Some(0) {
            *ended = true;
            // SAFETY: the handle is alive.
            assert_eq!(unsafe { ffi::ws_feed_eof(conn) }, 0);
        }
        let result = self.outcome(status);
        self.bytes_out();
        result
    }

    fn outcome(&mut self, status: i32) -> Outcome<()> {
        // SAFETY: the handle is alive.
        let words = unsafe { CStr::from_ptr(ffi::ws_error_message(self.conn)) }.to_str().unwrap();
        let fault = match status {
            0 => return Ok(()),
            -1 => return Err(Fault::WouldBlock),
            // The end of a stream without a Close is told apart by its words alone.
            -5 if !self.failed && words.starts_with("the stream ended") => Fault::Protocol,
            -5 if words.starts_with("nothing can be sent after a Close") && !self.over() => {
                Fault::NotWritable
            }
            -2 => Fault::Io,
            -3 => Fault::Capacity,
            -4 => Fault::QueueFull,
            -5 => Fault::Closed,
            -6 => Fault::AlreadyClosed,
            -7 => Fault::Protocol,
            -8 => Fault::Utf8,
            -9 => Fault::Handshake,
            -12 => Fault::Timeout,
            -100 => Fault::InvalidArgument,
            -101 => Fault::Misuse,
            other => panic!("no test expects status {other}: {words}"),
        };
        self.failed |= ffi::ws_status_is_fatal(status) == 1;
        Err(fault)
    }

    fn over(&self) -> bool {
        // SAFETY: the handle is alive.
        unsafe { ffi::ws_get_state(self.conn) == ffi::ws_state::WS_STATE_CLOSED as i32 }
    }

    /// Moves one chunk in.
    fn bytes_in(&mut self) {
        let conn = self.conn;
        match &mut self.way {
            Way::Callbacks(_) => {}
            Way::Memory { stream, ended, turn } => {
                if *ended {
                    return;
                }
                *turn += 1;
                let moved = if *turn % 2 == 0 { feed(conn, stream) } else { fill(conn, stream, || ()) };
                if moved == Some(0) {
                    *ended = true;
                    // SAFETY: the handle is alive.
                    assert_eq!(unsafe { ffi::ws_feed_eof(conn) }, 0);
                }
            }
            Way::Socket { stream, ended, pair, incoming, .. } => {
                let mut chunk = [0; 4 << 10];
                if incoming.is_empty() && !*ended {
                    match stream.read(&mut chunk) {
                        Ok(0) => {
                            *ended = true;
                            pair.shutdown(Shutdown::Write).unwrap();
                        }
                        Ok(n) => incoming.extend_from_slice(&chunk[..n]),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                    }
                }
                if let (false, Ok(n)) = (incoming.is_empty(), pair.write(incoming)) {
                    incoming.drain(..n);
                }
            }
        }
    }

    /// Moves out what the stream takes.
    fn bytes_out(&mut self) {
        let conn = self.conn;
        match &mut self.way {
            Way::Callbacks(_) => {}
            Way::Memory { stream, .. } => loop {
                let (mut data, mut len) = (ptr::null(), 0);
                // SAFETY: the handle is alive, and the memory it lends is, until it is advanced.
                unsafe {
                    assert_eq!(ffi::ws_output(conn, &mut data, &mut len), 0);
                    if len == 0 {
                        return;
                    }
                    let sent = stream.write(std::slice::from_raw_parts(data, len));
                    assert_eq!(ffi::ws_output_advance(conn, *sent.as_ref().unwrap_or(&0)), 0);
                    if sent.is_err() {
                        return;
                    }
                }
            },
            Way::Socket { stream, pair, outgoing, .. } => {
                let mut chunk = [0; 4 << 10];
                while let Ok(n @ 1..) = pair.read(&mut chunk) {
                    outgoing.extend_from_slice(&chunk[..n]);
                }
                // The socket has taken them: that the stream blocks is nothing that the handle would notice.
                while !outgoing.is_empty() {
                    let taken = stream.write(outgoing).unwrap_or(0);
                    outgoing.drain(..taken);
                }
            }
        }
    }

    /// Whether bytes that the library has let go of are still on their way.
    fn in_transit(&self) -> bool {
        match &self.way {
            // SAFETY: the handle is alive.
            Way::Memory { .. } => unsafe { ffi::ws_queued_bytes(self.conn) > 0 },
            Way::Callbacks(_) => false,
            Way::Socket { outgoing, .. } => !outgoing.is_empty(),
        }
    }

    fn decide(&mut self) -> Outcome<()> {
        match self.decision.take().expect("one request") {
            Decision::Accept { protocol, .. } => {
                let protocol = protocol.map(|name| CString::new(name).unwrap());
                let protocol = protocol.as_ref().map_or(ptr::null(), |name| name.as_ptr());
                // SAFETY: the handle and the string are alive.
                self.call(|conn| unsafe { ffi::ws_accept(conn, protocol) })
            }
            Decision::Reject { status, body, .. } => {
                let (data, len) = (body.as_ptr().cast::<c_char>(), body.len());
                // SAFETY: the handle and the body are alive.
                self.call(|conn| unsafe { ffi::ws_reject(conn, status.into(), data, len) })?;
                Err(Fault::Handshake)
            }
        }
    }
}

/// Lends room, makes a call in between, which must leave the room alone, and receives into it: how many bytes.
fn fill(conn: *mut ffi::ws_conn, stream: &mut ScriptedStream, between: impl FnOnce()) -> Option<usize> {
    let (mut room, mut len) = (ptr::null_mut(), 0);
    // SAFETY: the handle is alive; the room stays until it is committed.
    unsafe {
        assert_eq!(ffi::ws_input(conn, &mut room, &mut len), 0);
        if len == 0 {
            assert_eq!(ffi::ws_input_commit(conn, 0), 0);
            return None;
        }
        between();
        ptr::write_bytes(room, 0xa5, len.min(64));
        let received = stream.read(std::slice::from_raw_parts_mut(room, len)).ok();
        assert_eq!(ffi::ws_input_commit(conn, received.unwrap_or(0)), 0);
        received
    }
}

/// Copies bytes in, as many as there is room for; the rest would have to wait, so only so many are taken at first.
fn feed(conn: *mut ffi::ws_conn, stream: &mut ScriptedStream) -> Option<usize> {
    let mut chunk = [0; 100];
    let (mut room, mut len) = (ptr::null_mut(), 0);
    // SAFETY: the handle is alive; so is the chunk.
    unsafe {
        assert_eq!(ffi::ws_input(conn, &mut room, &mut len), 0);
        assert_eq!(ffi::ws_input_commit(conn, 0), 0);
        if len == 0 {
            return None;
        }
        let space = len.min(chunk.len());
        let received = stream.read(&mut chunk[..space]).ok()?;
        let mut consumed = usize::MAX;
        assert_eq!(ffi::ws_feed(conn, chunk.as_ptr(), received, &mut consumed), 0);
        assert_eq!(consumed, received);
        Some(received)
    }
}

unsafe extern "C" fn receive(userdata: *mut c_void, buf: *mut u8, len: usize, out_n: *mut usize) -> i32 {
    // SAFETY: what ws_set_io was given, and what the header promises to callbacks.
    let (stream, space) =
        unsafe { (&mut *userdata.cast::<ScriptedStream>(), std::slice::from_raw_parts_mut(buf, len)) };
    // SAFETY: as above.
    code(stream.read(space), unsafe { &mut *out_n })
}

unsafe extern "C" fn send(userdata: *mut c_void, buf: *const u8, len: usize, out_n: *mut usize) -> i32 {
    // SAFETY: what ws_set_io was given, and what the header promises to callbacks.
    let (stream, bytes) =
        unsafe { (&mut *userdata.cast::<ScriptedStream>(), std::slice::from_raw_parts(buf, len)) };
    // SAFETY: as above.
    code(stream.write(bytes), unsafe { &mut *out_n })
}

fn code(moved: io::Result<usize>, out_n: &mut usize) -> i32 {
    match moved {
        Ok(n) => {
            *out_n = n;
            0
        }
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock => pair::WOULD_BLOCK,
            ErrorKind::ConnectionReset => pair::RESET,
            _ => pair::BROKEN,
        },
    }
}

impl End for CEnd {
    fn handshake(&mut self) -> Outcome<()> {
        loop {
            if let Some(fault) = self.refused {
                // SAFETY: the handle is alive.
                return match self.call(|conn| unsafe { ffi::ws_write_pending(conn) }) {
                    Err(Fault::WouldBlock) => Err(Fault::WouldBlock),
                    _ if self.in_transit() => Err(Fault::WouldBlock),
                    _ => Err(fault),
                };
            }
            // SAFETY: the handle is alive.
            let step = match self.call(|conn| unsafe { ffi::ws_handshake(conn) }) {
                Ok(()) if self.has_request() => self.decide(),
                Ok(()) if self.in_transit() => return Err(Fault::WouldBlock),
                Ok(()) => return Ok(()),
                Err(fault) => Err(fault),
            };
            match step {
                Ok(()) => {}
                Err(Fault::Handshake | Fault::Capacity) => self.refused = step.err(),
                Err(fault) => return Err(fault),
            }
        }
    }

    fn read(&mut self) -> Outcome<Event> {
        let mut message = ptr::dangling();
        let mut result = self.read_while_receiving(&mut message);
        if result == Err(Fault::WouldBlock) {
            // SAFETY: the handle is alive.
            result = self.call(|conn| unsafe { ffi::ws_read_message(conn, &mut message) });
        }
        if let Err(fault) = result {
            assert!(message.is_null(), "outputs are NULL where a call fails");
            // SAFETY: the handle is alive.
            let hope = unsafe { ffi::ws_interest(self.conn) != 0 || ffi::ws_has_input(self.conn) == 1 };
            assert!(fault != Fault::WouldBlock || hope, "a loop that waits for what it wants would hang");
            return Err(fault);
        }
        // SAFETY: the message stays until the next read.
        let message = unsafe { &*message };
        assert!(!message.data.is_null(), "never NULL");
        let kind = match message.kind {
            1 => Kind::Text,
            2 => Kind::Binary,
            8 => Kind::Close,
            9 => Kind::Ping,
            10 => Kind::Pong,
            other => panic!("kind {other}"),
        };
        // SAFETY: as above; bytes that were moved meanwhile leave it alone.
        let data = unsafe { std::slice::from_raw_parts(message.data, message.len) }.to_vec();
        let code = (kind == Kind::Close).then_some(message.close_code as u16);
        Ok(Event { kind, data, code, is_final: message.is_final == 1 })
    }

    fn write(&mut self, kind: Kind, data: &[u8]) -> Outcome<()> {
        let (bytes, len) = (data.as_ptr().cast::<c_void>(), data.len());
        // SAFETY: the handle and the bytes are alive.
        let write = |conn| unsafe { ffi::ws_write_message(conn, kind as i32, bytes, len) };
        match self.call(write) {
            // The bytes have been moved out meanwhile: there may be room now.
            Err(Fault::QueueFull) => self.call(write),
            other => other,
        }
    }

    fn write_fragment(&mut self, kind: Kind, data: &[u8], is_final: bool) -> Outcome<()> {
        let (bytes, len) = (data.as_ptr().cast::<c_void>(), data.len());
        // SAFETY: the handle and the bytes are alive.
        self.call(|conn| unsafe { ffi::ws_write_fragment(conn, kind as i32, bytes, len, is_final.into()) })
    }

    fn write_pending(&mut self) -> Outcome<()> {
        // In memory mode, and where bytes are on their way from the socket to the stream, they have to move first.
        self.bytes_out();
        // SAFETY: the handle is alive.
        let result = self.call(|conn| unsafe { ffi::ws_write_pending(conn) });
        if result == Ok(()) && self.in_transit() { Err(Fault::WouldBlock) } else { result }
    }

    fn close(&mut self, frame: Option<(u16, &str)>) -> Outcome<()> {
        let (code, reason) = frame.unwrap_or((0, ""));
        if frame.is_some_and(|(code, _)| code == 0) {
            return Err(Fault::InvalidArgument); // in C it stands for no code
        }
        let (bytes, len) = (reason.as_ptr().cast::<c_char>(), reason.len());
        // SAFETY: the handle and the bytes are alive.
        self.call(|conn| unsafe { ffi::ws_close(conn, code, bytes, len) })
    }

    fn tick(&mut self, now: u64) -> Outcome<()> {
        // SAFETY: the handle is alive.
        let due = unsafe { ffi::ws_next_deadline(self.conn) };
        // SAFETY: the handle is alive.
        let status = unsafe { ffi::ws_tick(self.conn, now) };
        assert!(due <= now || status == 0, "a deadline passed at {now} that was announced for {due}");
        // SAFETY: the handle is alive.
        let next = unsafe { ffi::ws_next_deadline(self.conn) };
        assert!(next > now, "at {now}, {next} is announced again: a loop that waits for it would spin");
        self.outcome(status)
    }

    fn can_read(&self) -> bool {
        // SAFETY: the handle is alive.
        unsafe { ffi::ws_can_read(self.conn) == 1 }
    }

    fn can_write(&self) -> bool {
        // SAFETY: the handle is alive.
        unsafe { ffi::ws_can_write(self.conn) == 1 }
    }

    fn configure(&mut self, change: &dyn Fn(&mut WebSocketConfig)) {
        let before = self.config();
        let mut after = before.clone();
        change(&mut after);
        for ((option, old), (_, new)) in numbers(&before).into_iter().zip(numbers(&after)) {
            if old != new {
                // SAFETY: the handle is alive.
                assert_eq!(unsafe { ffi::ws_set_option(self.conn, option as i32, new) }, 0);
            }
        }
    }

    fn config(&self) -> WebSocketConfig {
        let get = |option: ws_option| {
            let mut value = 0;
            // SAFETY: the handle is alive.
            assert_eq!(unsafe { ffi::ws_get_option(self.conn, option as i32, &mut value) }, 0);
            value
        };
        let limit = |option| Some(get(option) as usize).filter(|limit| *limit > 0);
        let time = |option| Some(Duration::from_millis(get(option))).filter(|time| !time.is_zero());
        WebSocketConfig {
            max_send_queue: limit(ws_option::WS_OPT_MAX_SEND_QUEUE),
            max_send_bytes: limit(ws_option::WS_OPT_MAX_SEND_BYTES),
            max_message_size: limit(ws_option::WS_OPT_MAX_MESSAGE_SIZE),
            max_frame_size: limit(ws_option::WS_OPT_MAX_FRAME_SIZE),
            max_fragments: limit(ws_option::WS_OPT_MAX_FRAGMENTS),
            max_head_size: get(ws_option::WS_OPT_MAX_HEAD_SIZE) as usize,
            accept_unmasked_frames: get(ws_option::WS_OPT_ACCEPT_UNMASKED_FRAMES) == 1,
            auto_pong: get(ws_option::WS_OPT_AUTO_PONG) == 1,
            deliver_control: get(ws_option::WS_OPT_DELIVER_CONTROL) == 1,
            deliver_fragments: get(ws_option::WS_OPT_DELIVER_FRAGMENTS) == 1,
            handshake_timeout: time(ws_option::WS_OPT_HANDSHAKE_TIMEOUT_MS),
            close_timeout: time(ws_option::WS_OPT_CLOSE_TIMEOUT_MS),
            ping_interval: time(ws_option::WS_OPT_PING_INTERVAL_MS),
            pong_timeout: time(ws_option::WS_OPT_PONG_TIMEOUT_MS),
            idle_timeout: time(ws_option::WS_OPT_IDLE_TIMEOUT_MS),
            ..WebSocketConfig::default()
        }
    }

    fn failure(&self) -> Option<String> {
        // SAFETY: the handle is alive.
        let words = unsafe { CStr::from_ptr(ffi::ws_error_message(self.conn)) };
        Some(words.to_str().unwrap().to_owned())
    }

    fn seen(&self) -> Seen {
        // SAFETY: the handle is alive, and so are the strings and the body until it is freed.
        unsafe {
            let string = |string: *const c_char| {
                (!string.is_null()).then(|| CStr::from_ptr(string).to_str().unwrap().to_owned())
            };
            let (mut body, mut len) = (ptr::null(), 0);
            assert_eq!(ffi::ws_http_body(self.conn, &mut body, &mut len), 0);
            Seen {
                status: ffi::ws_http_status(self.conn) as u16,
                body: if len == 0 { vec![] } else { std::slice::from_raw_parts(body, len).to_vec() },
                target: string(ffi::ws_request_target(self.conn)).unwrap_or_default(),
                protocol: string(ffi::ws_protocol(self.conn)),
            }
        }
    }

    fn stream(&mut self) -> &mut ScriptedStream {
        match &mut self.way {
            Way::Memory { stream, .. } | Way::Socket { stream, .. } => stream,
            // SAFETY: no callback runs now, so nobody else uses it.
            Way::Callbacks(stream) => unsafe { &mut **stream },
        }
    }
}

impl Drop for CEnd {
    fn drop(&mut self) {
        // SAFETY: each is freed once, the handle first.
        unsafe {
            ffi::ws_free(self.conn);
            if let Way::Callbacks(stream) = self.way {
                drop(Box::from_raw(stream));
            }
        }
    }
}

/// # Safety
/// None beyond that of the functions of the header; the result is freed with `ws_config_free`.
unsafe fn new_config(config: &WebSocketConfig, options: Option<&HandshakeOptions>) -> *mut ffi::ws_config {
    // SAFETY: every pointer is that of a live value.
    unsafe {
        let c_config = ffi::ws_config_new();
        for (option, value) in numbers(config) {
            assert_eq!(
                ffi::ws_config_set(c_config, option as i32, value),
                ws_status::WS_OK as i32,
                "{value}"
            );
        }
        assert_eq!(ffi::ws_config_set(c_config, ws_option::WS_OPT_AUTO_ACCEPT as i32, 0), 0);
        for (option, value) in config.deflate.iter().flat_map(deflate_numbers) {
            assert_eq!(ffi::ws_config_set(c_config, option as i32, value), 0, "{value}");
        }
        for (name, value) in options.into_iter().flat_map(|options| options.headers()) {
            let (name, value) = (CString::new(name).unwrap(), CString::new(value).unwrap());
            assert_eq!(ffi::ws_config_add_header(c_config, name.as_ptr(), value.as_ptr()), 0);
        }
        for name in options.into_iter().flat_map(|options| options.protocols()) {
            let name = CString::new(name.as_str()).unwrap();
            assert_eq!(ffi::ws_config_add_protocol(c_config, name.as_ptr()), 0);
        }
        c_config
    }
}

/// What can be said of permessage-deflate before the opening handshake only.
fn deflate_numbers(deflate: &DeflateConfig) -> Vec<(ws_option, u64)> {
    vec![
        (ws_option::WS_OPT_DEFLATE, 1),
        (ws_option::WS_OPT_DEFLATE_LEVEL, deflate.level.into()),
        (ws_option::WS_OPT_DEFLATE_THRESHOLD, deflate.threshold as u64),
        (ws_option::WS_OPT_DEFLATE_CLIENT_MAX_WINDOW_BITS, deflate.client_max_window_bits.into()),
        (ws_option::WS_OPT_DEFLATE_SERVER_MAX_WINDOW_BITS, deflate.server_max_window_bits.into()),
        (ws_option::WS_OPT_DEFLATE_CLIENT_NO_CONTEXT_TAKEOVER, deflate.client_no_context_takeover.into()),
        (ws_option::WS_OPT_DEFLATE_SERVER_NO_CONTEXT_TAKEOVER, deflate.server_no_context_takeover.into()),
    ]
}

/// A configuration in the numbers that C has for it.
fn numbers(config: &WebSocketConfig) -> Vec<(ws_option, u64)> {
    let limit = |limit: Option<usize>| limit.unwrap_or(0) as u64;
    let time = |time: Option<Duration>| time.map_or(0, |time| time.as_millis() as u64);
    let mut numbers = vec![
        (ws_option::WS_OPT_MAX_SEND_QUEUE, limit(config.max_send_queue)),
        (ws_option::WS_OPT_MAX_SEND_BYTES, limit(config.max_send_bytes)),
        (ws_option::WS_OPT_MAX_MESSAGE_SIZE, limit(config.max_message_size)),
        (ws_option::WS_OPT_MAX_FRAME_SIZE, limit(config.max_frame_size)),
        (ws_option::WS_OPT_MAX_FRAGMENTS, limit(config.max_fragments)),
        (ws_option::WS_OPT_MAX_HEAD_SIZE, config.max_head_size as u64),
        (ws_option::WS_OPT_ACCEPT_UNMASKED_FRAMES, config.accept_unmasked_frames.into()),
        (ws_option::WS_OPT_PLAIN_REQUESTS, config.plain_requests.into()),
        (ws_option::WS_OPT_AUTO_PONG, config.auto_pong.into()),
        (ws_option::WS_OPT_DELIVER_CONTROL, config.deliver_control.into()),
        (ws_option::WS_OPT_DELIVER_FRAGMENTS, config.deliver_fragments.into()),
        (ws_option::WS_OPT_HANDSHAKE_TIMEOUT_MS, time(config.handshake_timeout)),
        (ws_option::WS_OPT_CLOSE_TIMEOUT_MS, time(config.close_timeout)),
        (ws_option::WS_OPT_PING_INTERVAL_MS, time(config.ping_interval)),
        (ws_option::WS_OPT_PONG_TIMEOUT_MS, time(config.pong_timeout)),
        (ws_option::WS_OPT_IDLE_TIMEOUT_MS, time(config.idle_timeout)),
    ];
    if let Some(deflate) = config.deflate {
        numbers.extend([
            (ws_option::WS_OPT_DEFLATE, 1),
            (ws_option::WS_OPT_DEFLATE_LEVEL, deflate.level.into()),
            (ws_option::WS_OPT_DEFLATE_THRESHOLD, deflate.threshold as u64),
            (ws_option::WS_OPT_DEFLATE_CLIENT_MAX_WINDOW_BITS, deflate.client_max_window_bits.into()),
            (ws_option::WS_OPT_DEFLATE_SERVER_MAX_WINDOW_BITS, deflate.server_max_window_bits.into()),
            (ws_option::WS_OPT_DEFLATE_CLIENT_NO_CONTEXT_TAKEOVER, deflate.client_no_context_takeover.into()),
            (ws_option::WS_OPT_DEFLATE_SERVER_NO_CONTEXT_TAKEOVER, deflate.server_no_context_takeover.into()),
        ]);
    }
    numbers
}
