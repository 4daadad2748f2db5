//! What the C ABI lends in memory mode: room to receive into, bytes to send, messages. A loan stays as it is until it is
//! given back, whatever is called meanwhile, and nothing is lost over it.

mod common;

use common::random::{Random, seeds};
use common::wire;
use std::ffi::c_void;
use std::ptr;
use wsabi::Role;
use wsabi::internals::ffi::{self, ws_option, ws_status};

const OK: i32 = ws_status::WS_OK as i32;
const WOULD_BLOCK: i32 = ws_status::WS_ERR_WOULD_BLOCK as i32;
const MISUSE: i32 = ws_status::WS_ERR_MISUSE as i32;
const CONNECTION_CLOSED: i32 = ws_status::WS_ERR_CONNECTION_CLOSED as i32;
const TEXT: i32 = 1;
const BINARY: i32 = 2;
const CLOSE: i32 = 8;

/// A message, or a part of one: its kind, its bytes, and whether it is the last part.
type Read = (i32, Vec<u8>, bool);

/// A connection in memory mode, with what it has lent, and what that is to look like.
struct Handle {
    conn: *mut ffi::ws_conn,
    room: Option<&'static mut [u8]>,
    output: Option<(&'static [u8], Vec<u8>)>,
    messages: Vec<(&'static [u8], Vec<u8>)>,
    /// Calls may be refused: it is over, or soon.
    ends: bool,
}

/// What an untouched room looks like.
fn pattern(i: usize) -> u8 {
    (i * 31 + 7) as u8
}

impl Handle {
    fn open(role: i32, options: &[(ws_option, u64)]) -> Self {
        let mut conn = ptr::null_mut();
        // SAFETY: pointers to live values, as the header asks for.
        unsafe {
            let config = ffi::ws_config_new();
            for (option, value) in options {
                assert_eq!(ffi::ws_config_set(config, *option as i32, *value), OK);
            }
            assert_eq!(ffi::ws_from_partially_read(config, role, ptr::null(), 0, &mut conn), OK);
            ffi::ws_config_free(config);
        }
        Self { conn, room: None, output: None, messages: vec![], ends: false }
    }

    /// What a call is to give, unless the connection may have ended.
    fn expect(&self, status: i32, wanted: i32) -> bool {
        assert_ne!(status, ws_status::WS_ERR_INTERNAL as i32);
        assert!(self.ends || status == wanted, "{status}, not {wanted}");
        status == OK
    }

    /// Whatever was called: loans are as they were.
    fn check(&self, what: &str) {
        if let Some(room) = &self.room {
            let touched = room.iter().enumerate().position(|(i, byte)| *byte != pattern(i));
            assert_eq!(touched, None, "after {what}, a byte of a room of {}", room.len());
        }
        for (lent, copy) in self.output.iter().chain(&self.messages) {
            assert!(lent == copy, "after {what}, of {} bytes", copy.len());
        }
    }

    /// Lends room; whether there is any.
    fn lend_room(&mut self) -> bool {
        let (mut room, mut len) = (ptr::null_mut(), 0);
        // SAFETY: the handle is alive.
        let status = unsafe { ffi::ws_input(self.conn, &mut room, &mut len) };
        if self.room.is_some() {
            assert_eq!(status, MISUSE, "one loan at a time");
            return false;
        }
        if !self.expect(status, OK) {
            return false;
        }
        // SAFETY: it is lent until it is committed.
        let room = unsafe { std::slice::from_raw_parts_mut(room, len) };
        room.iter_mut().enumerate().for_each(|(i, byte)| *byte = pattern(i));
        self.room = Some(room);
        len > 0
    }

    /// Receives so many bytes into the room, or as many as it has; how many.
    fn commit(&mut self, bytes: &[u8]) -> usize {
        let Some(room) = self.room.take() else {
            // SAFETY: the handle is alive.
            assert_eq!(unsafe { ffi::ws_input_commit(self.conn, 0) }, MISUSE);
            return 0;
        };
        let n = room.len().min(bytes.len());
        room[..n].copy_from_slice(&bytes[..n]);
        // SAFETY: the handle is alive.
        assert_eq!(unsafe { ffi::ws_input_commit(self.conn, n) }, OK);
        n
    }

    fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut consumed = 0;
        // SAFETY: the handle and the bytes are alive.
        let status = unsafe { ffi::ws_feed(self.conn, bytes.as_ptr(), bytes.len(), &mut consumed) };
        self.expect(status, if self.room.is_some() { MISUSE } else { OK });
        consumed
    }

    /// Lends bytes to send; how many.
    fn lend_output(&mut self) -> usize {
        let (mut data, mut len) = (ptr::null(), 0);
        // SAFETY: the handle is alive.
        assert_eq!(unsafe { ffi::ws_output(self.conn, &mut data, &mut len) }, OK);
        if len > 0 {
            // SAFETY: they are lent until they are advanced.
            let lent = unsafe { std::slice::from_raw_parts(data, len) };
            if let Some((before, _)) = self.output {
                assert!(ptr::eq(before, lent), "the same is lent until it is given back");
            }
            self.output = Some((lent, lent.to_vec()));
        }
        len
    }

    /// The first `n` lent bytes are sent: what they were.
    fn advance(&mut self, n: usize) -> Vec<u8> {
        let mut copy = self.output.take().map_or(vec![], |(_, copy)| copy);
        copy.truncate(n);
        // SAFETY: the handle is alive.
        assert_eq!(unsafe { ffi::ws_output_advance(self.conn, copy.len()) }, OK);
        copy
    }

    /// Takes bytes to send with a copy.
    fn take(&mut self, capacity: usize) -> Vec<u8> {
        let (mut bytes, mut n) = (vec![0; capacity], 0);
        // SAFETY: the handle and the bytes are alive.
        let status = unsafe { ffi::ws_output_take(self.conn, bytes.as_mut_ptr(), capacity, &mut n) };
        self.expect(status, if self.output.is_some() { MISUSE } else { OK });
        bytes.truncate(n);
        bytes
    }

    /// Reads: a message, or a part of one, or why not.
    fn read(&mut self) -> Result<Read, i32> {
        let mut message = ptr::null();
        self.messages.clear();
        // SAFETY: the handle is alive.
        match unsafe { ffi::ws_read_message(self.conn, &mut message) } {
            OK => Ok(self.lent(message)),
            status => Err(status),
        }
    }

    /// Reads messages together.
    fn read_some(&mut self) -> Result<Vec<Read>, i32> {
        let (mut messages, mut count) = (ptr::null(), 0);
        self.messages.clear();
        // SAFETY: the handle is alive, and so many pointers are lent.
        unsafe {
            match ffi::ws_read_messages(self.conn, &mut messages, &mut count) {
                OK => Ok((0..count).map(|i| self.lent(*messages.add(i))).collect()),
                status => Err(status),
            }
        }
    }

    fn lent(&mut self, message: *const ffi::ws_message) -> Read {
        // SAFETY: it is lent until the next read.
        let (kind, is_final, lent) = unsafe {
            let message = &*message;
            let data = std::slice::from_raw_parts(message.data, message.len);
            (message.kind, message.is_final == 1, data)
        };
        self.messages.push((lent, lent.to_vec()));
        (kind, lent.to_vec(), is_final)
    }

    fn queue(&mut self, kind: i32, data: &[u8]) -> i32 {
        // SAFETY: the handle and the bytes are alive.
        unsafe { ffi::ws_queue_message(self.conn, kind, data.as_ptr().cast::<c_void>(), data.len()) }
    }

    fn write(&mut self, kind: i32, data: &[u8]) -> i32 {
        // SAFETY: the handle and the bytes are alive.
        unsafe { ffi::ws_write_message(self.conn, kind, data.as_ptr().cast::<c_void>(), data.len()) }
    }

    fn write_fragment(&mut self, data: &[u8], is_final: bool) -> i32 {
        let bytes = data.as_ptr().cast::<c_void>();
        // SAFETY: the handle and the bytes are alive.
        unsafe { ffi::ws_write_fragment(self.conn, BINARY, bytes, data.len(), is_final.into()) }
    }

    fn set(&mut self, option: ws_option, value: u64) {
        // SAFETY: the handle is alive.
        assert_eq!(unsafe { ffi::ws_set_option(self.conn, option as i32, value) }, OK);
    }

    /// Gives it another transport, which it takes where nothing is lent.
    fn set_io(&mut self) -> i32 {
        // SAFETY: the handle is alive.
        unsafe { ffi::ws_set_io(self.conn, Some(nothing), Some(nothing_sent), ptr::null_mut()) }
    }

    fn tick(&mut self, now: u64) -> i32 {
        // SAFETY: the handle is alive.
        unsafe { ffi::ws_tick(self.conn, now) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: it is freed once.
        unsafe { ffi::ws_free(self.conn) };
    }
}

unsafe extern "C" fn nothing(_: *mut c_void, _: *mut u8, _: usize, _: *mut usize) -> i32 {
    common::pair::WOULD_BLOCK
}

unsafe extern "C" fn nothing_sent(_: *mut c_void, _: *const u8, _: usize, _: *mut usize) -> i32 {
    common::pair::WOULD_BLOCK
}

#[test]
#[cfg(feature = "net")]
fn a_connection_takes_no_other_transport_while_something_is_lent() {
    for lend in [
        |handle: &mut Handle| assert!(handle.lend_room()),
        |handle: &mut Handle| {
            assert_eq!(handle.queue(BINARY, &[7; 50_000]), OK);
            assert!(handle.lend_output() > 0);
        },
    ] {
        let mut handle = Handle::open(2, &[]);
        lend(&mut handle);
        assert_eq!(handle.set_io(), MISUSE);
        handle.check("ws_set_io");
        let (near, _far) = common::pair::pair();
        let socket = common::pair::number(&near);
        // SAFETY: the handle is alive, and the socket is until it is closed.
        assert_eq!(unsafe { ffi::ws_set_socket(handle.conn, socket) }, MISUSE);
        handle.check("ws_set_socket");
        handle.commit(&[]);
        handle.advance(0);
        // SAFETY: as above.
        assert_eq!(unsafe { ffi::ws_set_socket(handle.conn, socket) }, OK);
        drop(handle);
    }
}

#[test]
fn what_is_received_into_lent_room_is_right_though_parts_are_read_meanwhile() {
    let payload: Vec<u8> = (0..100_000).map(|i| (i / 7) as u8).collect();
    for role in [Role::Client, Role::Server] {
        for kind in [BINARY, TEXT] {
            let data: Vec<u8> =
                payload.iter().map(|byte| if kind == TEXT { byte % 128 } else { *byte }).collect();
            let bytes = wire::frame(role, 0x80 | kind as u8, &data);
            let mut handle = Handle::open(if role == Role::Client { 2 } else { 1 }, &[]);
            let mut at = handle.feed(&bytes[..5000]);
            assert_eq!(handle.read(), Err(WOULD_BLOCK));
            let mut received = Vec::new();
            while at < bytes.len() {
                assert!(handle.lend_room(), "{at}");
                handle.set(ws_option::WS_OPT_DELIVER_FRAGMENTS, 1);
                for _ in 0..2 {
                    while let Ok((_, part, _)) = handle.read() {
                        received.extend(part);
                        handle.check("a part");
                    }
                }
                at += handle.commit(&bytes[at..]);
                handle.set(ws_option::WS_OPT_DELIVER_FRAGMENTS, 0);
            }
            let (_, rest, is_final) = handle.read().unwrap();
            received.extend(rest);
            assert!(is_final && received == data, "{kind} from a {role:?}");
        }
    }
}

#[test]
fn there_is_room_again_after_the_close_for_as_long_as_the_end_is_waited_for() {
    let mut client = Handle::open(1, &[]);
    client.feed(&wire::frame(Role::Server, wire::CLOSE, &wire::close_payload(1000, "")));
    assert_eq!(client.read(), Ok((CLOSE, vec![], true)));
    for _ in 0..100 {
        assert_eq!(client.read(), Err(WOULD_BLOCK));
        assert!(client.lend_room(), "a read says that more is waited for");
        client.check("ws_input");
        let len = client.room.as_ref().map_or(0, |room| room.len());
        assert_eq!(client.commit(&vec![0xff; len]), len);
    }
    // SAFETY: the handle is alive.
    assert_eq!(unsafe { ffi::ws_feed_eof(client.conn) }, OK);
    assert_eq!(client.read(), Err(CONNECTION_CLOSED));
}

#[test]
fn a_read_that_ends_in_a_limit_leaves_no_message_in_the_way_of_what_is_received() {
    for (role, peer) in [(1, Role::Server), (2, Role::Client)] {
        let frame = wire::frame(peer, 0x80 | BINARY as u8, &[7; 100]);
        let mut handle = Handle::open(role, &[]);
        // The buffer is full to its end, so that there is no room behind what lies in it.
        while handle.feed(&frame) == frame.len() {}
        assert_eq!(handle.read(), Ok((BINARY, vec![7; 100], true)));
        handle.set(ws_option::WS_OPT_MAX_FRAME_SIZE, 99);
        assert_eq!(handle.read(), Err(ws_status::WS_ERR_CAPACITY as i32));
        assert!(handle.lend_room(), "for a {peer:?}'s bytes, which are dropped");
    }
}

/// One direction of two connections: what was accepted at one end, what was read at the other, and bytes in between.
#[derive(Default)]
struct Direction {
    accepted: Vec<(i32, Vec<u8>)>,
    fragments: Option<Vec<u8>>,
    bytes: Vec<u8>,
    read: Vec<(i32, Vec<u8>)>,
    part: Option<Vec<u8>>,
}

#[test]
fn loans_stay_as_they_are_whatever_is_called_and_nothing_is_lost_over_them() {
    let mut read = 0;
    for seed in seeds(0..40) {
        read += run_at_random(seed);
    }
    assert!(read > 1_000, "{read} messages came through");
}

#[test]
fn loans_stay_as_they_are_when_the_connection_ends() {
    let mut kinds = [0; 6];
    for seed in seeds(1000..1040) {
        let mut random = Random::new(seed);
        let options = [
            (ws_option::WS_OPT_DEFLATE, random.below(2) as u64),
            (ws_option::WS_OPT_DELIVER_FRAGMENTS, random.below(2) as u64),
            (ws_option::WS_OPT_MAX_MESSAGE_SIZE, 60_000),
            (ws_option::WS_OPT_IDLE_TIMEOUT_MS, 100_000),
        ];
        let mut ends = [Handle::open(1, &options), Handle::open(2, &options)];
        let mut ways = [Direction::default(), Direction::default()];
        let mut now = 0;
        for call in 0..300 {
            let which = random.below(2);
            let mut what = step(&mut random, which, &mut ends, &mut ways, &mut now);
            if call > 100 && random.one_in(50) {
                ends.iter_mut().for_each(|end| end.ends = true);
                let conn = ends[which].conn;
                let way = random.below(kinds.len());
                kinds[way] += 1;
                // SAFETY: the handle is alive.
                what = unsafe {
                    match way {
                        0 => (ffi::ws_close(conn, 1000, ptr::null(), 0), "ws_close").1,
                        1 => (ffi::ws_feed_eof(conn), "ws_feed_eof").1,
                        2 => (ends[which].tick(now + 1_000_000), "a timeout").1,
                        3 => (ends[which].feed(&[0xff; 100]), "a broken rule").1,
                        4 => (ends[which].write(CLOSE, b"bye"), "a Close").1,
                        _ => {
                            carry_some(which, &mut ends, &mut ways);
                            "bytes"
                        }
                    }
                };
            }
            ends.iter().for_each(|end| end.check(&format!("{what} (seed {seed}, call {call})")));
        }
    }
    assert!(kinds.iter().all(|count| *count > 5), "{kinds:?}");
}

/// Brings over what is taken, without reading.
fn carry_some(from: usize, ends: &mut [Handle; 2], ways: &mut [Direction; 2]) {
    let bytes = ends[from].take(1 << 16);
    ways[from].bytes.extend(bytes);
    let fed = ends[1 - from].feed(&ways[from].bytes);
    ways[from].bytes.drain(..fed);
}

fn run_at_random(seed: u64) -> usize {
    let mut random = Random::new(seed);
    let options = [
        (ws_option::WS_OPT_DEFLATE, random.below(2) as u64),
        (ws_option::WS_OPT_DEFLATE_THRESHOLD, random.below(2) as u64 * 1000),
        (ws_option::WS_OPT_DELIVER_CONTROL, random.below(2) as u64),
        (ws_option::WS_OPT_PING_INTERVAL_MS, 50),
        (ws_option::WS_OPT_PONG_TIMEOUT_MS, 0),
    ];
    let mut ends = [Handle::open(1, &options), Handle::open(2, &options)];
    let mut ways = [Direction::default(), Direction::default()];
    let mut now = 0;
    for call in 0..400 {
        let which = random.below(2);
        let what = step(&mut random, which, &mut ends, &mut ways, &mut now);
        ends.iter().for_each(|end| end.check(&format!("{what} (seed {seed}, call {call})")));
    }
    // All loans are given back, and all bytes brought: nothing is missing.
    for from in [0, 1] {
        if let Some(mut last) = ways[from].fragments.take() {
            while ends[from].write_fragment(b"last", true) != OK {
                carry(from, &mut ends, &mut ways);
            }
            last.extend(b"last");
            ways[from].accepted.push((BINARY, last));
        }
    }
    for end in &mut ends {
        end.commit(&[]);
        end.advance(0);
    }
    for _ in 0..3 {
        for from in [0, 1] {
            carry(from, &mut ends, &mut ways);
        }
    }
    for (from, way) in ways.iter().enumerate() {
        assert!(way.bytes.is_empty() && way.part.is_none(), "seed {seed}: all is read");
        assert!(way.read == way.accepted, "seed {seed}: what end {from} sent is what the other read");
    }
    ways.iter().map(|way| way.read.len()).sum()
}

/// Brings over all there is.
fn carry(from: usize, ends: &mut [Handle; 2], ways: &mut [Direction; 2]) {
    loop {
        ends[from].advance(0);
        ends[1 - from].commit(&[]);
        let bytes = ends[from].take(1 << 16);
        ways[from].bytes.extend(bytes);
        let fed = ends[1 - from].feed(&ways[from].bytes);
        ways[from].bytes.drain(..fed);
        let read = read_one(&mut ends[1 - from], &mut ways[from]);
        if fed == 0 && !read && ways[from].bytes.is_empty() {
            return;
        }
    }
}

/// Reads once; whether there was something. Where not, there is room for more.
fn read_one(end: &mut Handle, way: &mut Direction) -> bool {
    let read = end.read().map(|message| vec![message]);
    take_read(end, way, read)
}

fn take_read(end: &mut Handle, way: &mut Direction, read: Result<Vec<Read>, i32>) -> bool {
    match read {
        Ok(messages) => {
            for (kind, data, is_final) in messages.into_iter().filter(|(kind, ..)| *kind < CLOSE) {
                way.part.get_or_insert_default().extend(data);
                if is_final {
                    way.read.push((kind, way.part.take().unwrap_or_default()));
                }
            }
            true
        }
        Err(status) => {
            end.expect(status, WOULD_BLOCK);
            if end.room.is_none() && !end.ends {
                assert!(end.lend_room(), "nothing to read, and no room to receive into");
                end.check("ws_input");
                end.commit(&[]);
            }
            false
        }
    }
}

fn step(
    random: &mut Random,
    which: usize,
    ends: &mut [Handle; 2],
    ways: &mut [Direction; 2],
    now: &mut u64,
) -> &'static str {
    let len = *random.pick(&[0, 1, 20, 21, 22, 125, 126, 2000, 5000, 20_000, 70_000]);
    let data = || (0..len).map(|i| (i % 101) as u8).collect::<Vec<u8>>();
    let kind = *random.pick(&[TEXT, BINARY]);
    match random.below(16) {
        0 | 1 => {
            let data = data();
            let accepted = match random.one_in(2) {
                true => ends[which].write(kind, &data),
                false => ends[which].queue(kind, &data),
            };
            if accepted == OK {
                ways[which].accepted.push((kind, data));
            }
            "a write"
        }
        2 => {
            let (data, is_final) = (data(), random.one_in(2));
            if ends[which].write_fragment(&data, is_final) == OK {
                let mut message = ways[which].fragments.take().unwrap_or_default();
                message.extend(data);
                match is_final {
                    true => ways[which].accepted.push((BINARY, message)),
                    false => ways[which].fragments = Some(message),
                }
            }
            "a fragment"
        }
        3 => {
            ends[which].write(*random.pick(&[9, 10]), b"control");
            "a control frame"
        }
        4 | 5 => {
            ends[which].lend_room();
            "ws_input"
        }
        6 | 7 => {
            let way = &mut ways[1 - which];
            let most = random.below(1 + way.bytes.len()).min(random.below(100_000) + 1);
            let n = ends[which].commit(&way.bytes[..most]);
            way.bytes.drain(..n);
            "ws_input_commit"
        }
        8 => {
            let way = &mut ways[1 - which];
            let most = random.below(1 + way.bytes.len()).min(10_000);
            let fed = ends[which].feed(&way.bytes[..most]);
            way.bytes.drain(..fed);
            "ws_feed"
        }
        9 | 10 => {
            ends[which].lend_output();
            "ws_output"
        }
        11 => {
            let lent = ends[which].output.as_ref().map_or(0, |(_, copy)| copy.len());
            let n = if random.one_in(3) { random.below(lent + 1) } else { lent };
            let bytes = ends[which].advance(n);
            ways[which].bytes.extend(bytes);
            "ws_output_advance"
        }
        12 => {
            let bytes = ends[which].take(1000);
            ways[which].bytes.extend(bytes);
            "ws_output_take"
        }
        13 => {
            let parts = random.below(2) as u64;
            ends[which].set(ws_option::WS_OPT_DELIVER_FRAGMENTS, parts);
            // Another limit, which none of them reaches: messages that lie there are looked at again.
            ends[which].set(ws_option::WS_OPT_MAX_FRAME_SIZE, 100_000 + random.below(9) as u64);
            "ws_set_option"
        }
        14 => {
            *now += random.below(40) as u64;
            let status = ends[which].tick(*now);
            ends[which].expect(status, OK);
            if ends[which].room.is_some() || ends[which].output.is_some() {
                assert_eq!(ends[which].set_io(), MISUSE);
            }
            "ws_tick"
        }
        15 if random.one_in(4) => {
            let read = ends[which].read_some();
            take_read(&mut ends[which], &mut ways[1 - which], read);
            "ws_read_messages"
        }
        _ => {
            // Some at a time: they lie behind one another, and a call in between comes when some of them are read.
            for _ in 0..random.below(5) + 1 {
                read_one(&mut ends[which], &mut ways[1 - which]);
                ends[which].check("a read");
            }
            "reads"
        }
    }
}
