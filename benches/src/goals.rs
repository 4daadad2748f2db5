//! The goals that can be looked at in memory, a line each: what was measured, the bound, and whether it is met.

use crate::engines::{Setting, Wsabi, Yawc};
use crate::read_write::{self, Script, fastest_peer};
use crate::samples::samples;
use crate::{accept, deflate, median, size_name, time};
use std::hint::black_box;
use std::io::{self, Read, Write};
use wsabi::internals::ffi;

const ROUNDS: usize = 7;
/// Bytes of payload that one measurement moves.
const VOLUME: usize = 8 << 20;

/// Prints the lines; how many goals fell short.
pub fn run() -> usize {
    let mut report = Report { short: 0 };
    against_every_peer(&mut report);
    through_the_c_abi(&mut report);
    handshake(&mut report);
    costs_that_do_not_grow(&mut report);
    compressed(&mut report);
    report.short
}

struct Report {
    short: usize,
}

impl Report {
    fn line(&mut self, goal: &str, value: f64, bound: f64, unit: &str) {
        let met = value <= bound;
        self.short += usize::from(!met);
        println!(
            "{} {goal:62} {value:>8.2} {unit:8} at most {bound:.2}",
            if met { "pass " } else { "short" }
        );
    }
}

/// Goal 1: ahead of every peer, and how far of tungstenite at 16 bytes.
fn against_every_peer(report: &mut Report) {
    for (name, bound) in [
        ("read server binary", 0.24),
        ("read client binary", 0.15),
        ("write server binary", 0.23),
        ("write client binary", 1.0),
    ] {
        for size in [16, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20] {
            let name = format!("{name} {}", size_name(size));
            let measured = read_write::cell(&name).measure(VOLUME, ROUNDS);
            let (ours, (peer, fastest)) = (measured[0].1, fastest_peer(&measured));
            report.line(&format!("1 {name}, beside {peer}"), ours / fastest, 1.0, "times");
            if size == 16 {
                let (tungstenite, theirs) = measured[1];
                report.line(&format!("1 {name}, beside {tungstenite}"), ours / theirs, bound, "times");
            }
        }
    }
}

/// Goal 2: what C pays over Rust.
fn through_the_c_abi(report: &mut Report) {
    let count = 400_000;
    let (mut rust, mut single, mut batch) = (Vec::new(), Vec::new(), Vec::new());
    let cell = read_write::cell("read server binary 16");
    let run = cell.run(count, false);
    for _ in 0..ROUNDS {
        rust.push(read_write::wsabi_run(&run));
        single.push(time(count, || read_from_c(run.stream(), count, false)).0);
        batch.push(time(count, || read_from_c(run.stream(), count, true)).0);
    }
    let rust = median(rust);
    report.line("2 a message of 16 B by ws_read_message, over the core", median(single) - rust, 12.0, "ns");
    report.line("2 a message of 16 B by ws_read_messages, over the core", median(batch) - rust, 3.0, "ns");
}

fn read_from_c(mut script: Script, count: usize, batch: bool) {
    unsafe extern "C" fn recv(
        script: *mut std::ffi::c_void,
        space: *mut u8,
        len: usize,
        n: *mut usize,
    ) -> i32 {
        // SAFETY: the script outlives the handle, and the library lends this much room.
        unsafe {
            *n = (*script.cast::<Script>()).read(std::slice::from_raw_parts_mut(space, len)).unwrap_or(0);
        }
        0
    }
    unsafe extern "C" fn send(_: *mut std::ffi::c_void, _: *const u8, len: usize, n: *mut usize) -> i32 {
        // SAFETY: the library lends a place for the number.
        unsafe { *n = len };
        0
    }
    let mut conn = std::ptr::null_mut();
    // SAFETY: pointers to live values, as the header asks for.
    unsafe {
        let role = ffi::ws_role::WS_SERVER as i32;
        assert_eq!(ffi::ws_from_partially_read(std::ptr::null(), role, std::ptr::null(), 0, &mut conn), 0);
        assert_eq!(ffi::ws_set_io(conn, Some(recv), Some(send), (&raw mut script).cast()), 0);
        let mut read = 0;
        while read < count {
            if batch {
                let (mut messages, mut n) = (std::ptr::null(), 0);
                assert_eq!(ffi::ws_read_messages(conn, &mut messages, &mut n), 0);
                for i in 0..n {
                    black_box((**messages.add(i)).len);
                }
                read += n;
            } else {
                let mut message = std::ptr::null();
                assert_eq!(ffi::ws_read_message(conn, &mut message), 0);
                black_box((*message).len);
                read += 1;
            }
        }
        ffi::ws_free(conn);
    }
}

/// Goal 5: accepting a handshake.
fn handshake(report: &mut Report) {
    let measured = accept::measure(ROUNDS);
    let (ours, theirs) = (measured[0].1, measured[1].1);
    if ours <= 900.0 {
        report.line("5 accepting a handshake of 206 B", ours, 900.0, "ns");
    } else {
        report.line("5 accepting a handshake of 206 B, beside tungstenite", ours / theirs, 0.2, "times");
    }
}

/// Goal 6: twice as much takes twice as long.
fn costs_that_do_not_grow(report: &mut Report) {
    type Cost = (&'static str, usize, fn(usize));
    let costs: [Cost; 4] = [
        ("6 a message that comes byte by byte, twice as long", 256 << 10, drip_message),
        ("6 a queue that leaves in pieces of 4 KiB, twice as long", 32 << 20, send_in_pieces),
        ("6 empty fragments, twice as many", 500_000, empty_fragments),
        ("6 a head that comes byte by byte, twice as long", 4 << 10, drip_head),
    ];
    for (goal, amount, cost) in costs {
        let (mut once, mut twice) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            once.push(time(1, || cost(amount)).0);
            twice.push(time(1, || cost(2 * amount)).0);
        }
        report.line(goal, median(twice) / median(once), 2.4, "times");
    }
}

/// Gives its bytes in steps, and takes them in steps.
struct Steps {
    bytes: Vec<u8>,
    at: usize,
    step: usize,
    blocked: bool,
}

impl Steps {
    fn new(bytes: Vec<u8>, step: usize) -> Self {
        Self { bytes, at: 0, step, blocked: false }
    }
}

impl Read for Steps {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let n = space.len().min(self.step).min(self.bytes.len() - self.at);
        if n == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        space[..n].copy_from_slice(&self.bytes[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

impl Write for Steps {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.blocked {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => Ok(bytes.len().min(self.step)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unlimited() -> Option<wsabi::WebSocketConfig> {
    Some(wsabi::WebSocketConfig {
        max_message_size: None,
        max_frame_size: None,
        max_fragments: None,
        max_send_bytes: None,
        ..Default::default()
    })
}

fn drip_message(len: usize) {
    let mut bytes = vec![0x82, 127];
    bytes.extend((len as u64).to_be_bytes());
    bytes.resize(10 + len, 7);
    let mut socket =
        wsabi::WebSocket::from_raw_socket(Steps::new(bytes, 1), wsabi::Role::Client, unlimited());
    assert_eq!(socket.read_view().unwrap().data.len(), len);
}

fn send_in_pieces(len: usize) {
    let mut stream = Steps::new(Vec::new(), 4 << 10);
    stream.blocked = true;
    let mut socket = wsabi::WebSocket::from_raw_socket(stream, wsabi::Role::Server, unlimited());
    let message = vec![7; len / 512];
    for _ in 0..512 {
        assert_eq!(socket.write_view(&wsabi::Outgoing::Binary(&message)).unwrap(), wsabi::Enqueue::Accepted);
    }
    socket.get_mut().blocked = false;
    socket.write_pending().unwrap();
}

fn empty_fragments(count: usize) {
    let mut bytes = vec![0x02, 0];
    for _ in 0..count {
        bytes.extend([0, 0]);
    }
    bytes.extend([0x80, 0]);
    let mut socket =
        wsabi::WebSocket::from_raw_socket(Steps::new(bytes, 64 << 10), wsabi::Role::Client, unlimited());
    assert!(socket.read_view().unwrap().data.is_empty());
}

fn drip_head(len: usize) {
    let mut head = accept::REQUEST[..accept::REQUEST.len() - 2].to_vec();
    while head.len() < len {
        head.extend(b"X-Filler: 0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567\r\n");
    }
    head.extend(b"\r\n");
    for _ in 0..64 {
        assert!(wsabi::accept(Steps::new(head.clone(), 1)).is_ok());
    }
}

/// Goal 7: ahead of the peer that compresses at its fastest.
fn compressed(report: &mut Report) {
    for (level, takeover) in [(1, true), (6, true), (1, false)] {
        for size in [125, 1 << 10] {
            let (samples, count) = (samples(size), (1 << 20) / size);
            let setting = Setting { level, takeover };
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                ours.push(time(count, || deflate::exchange::<Wsabi>(setting, &samples, count)).0);
                theirs.push(time(count, || deflate::exchange::<Yawc>(setting, &samples, count)).0);
            }
            let without = if takeover { "" } else { ", no takeover" };
            let goal = format!("7 deflate, level {level}{without}, {size} B, beside yawc");
            report.line(&goal, median(ours) / median(theirs), 1.0, "times");
        }
    }
}
