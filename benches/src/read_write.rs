//! Reads and writes plain messages, beside tungstenite.
//!
//! Both engines run over the same kind of stream: reading copies from a script of frames that begins again at its end,
//! writing adds up lengths. A row under 1.00 is ahead of the peer.

use crate::json::Row;
use crate::{median, time};
use std::hint::black_box;
use std::io::{self, IoSlice, Read, Write};

const ROUNDS: usize = 7;
/// Bytes of payload that one measurement moves, at least and at most this many messages.
const VOLUME: usize = 64 << 20;
const MESSAGES: std::ops::RangeInclusive<usize> = 48..=400_000;
const SIZES: [usize; 4] = [16, 1 << 10, 64 << 10, 1 << 20];

/// The table.
pub fn run(tasks: &[Task], size: Option<usize>, rows: &mut Vec<Row>) {
    let sizes = size.map_or(SIZES.to_vec(), |size| vec![size]);
    println!("{:34} {:>8} {:>12} {:>12} {:>7}", "", "bytes", "wsabi ns", "tungstenite", "ratio");
    let mut behind = 0;
    for task in tasks {
        for &size in &sizes {
            let (ours, theirs) = measure(task, size);
            rows.push(task.row(size, "wsabi", ours));
            rows.push(task.row(size, "tungstenite", theirs));
            let ratio = ours / theirs;
            behind += usize::from(ratio >= 1.0);
            println!("{:34} {size:>8} {ours:>12.1} {theirs:>12.1} {ratio:>7.2}", task.name);
        }
    }
    println!("{} rows, {behind} behind", tasks.len() * sizes.len());
}

/// One task through one engine.
pub fn run_one(task: &Task, size: usize, count: usize, peer: Option<&str>) {
    let run = if peer.is_none() { wsabi_run } else { tungstenite_run };
    run(task, &payload(task.content, size), count);
}

pub struct Task {
    name: &'static str,
    /// Whether we are the server, whose peer masks.
    server: bool,
    content: Content,
    write: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Content {
    Binary,
    Ascii,
    MultiByte,
}

/// The tasks of such a name.
pub fn tasks(name: &str) -> Vec<Task> {
    use Content::*;
    let task = |name, server, content, write| Task { name, server, content, write };
    let tasks = [
        task("read masked binary", true, Binary, false),
        task("read masked text, ASCII", true, Ascii, false),
        task("read masked text, multi-byte", true, MultiByte, false),
        task("read unmasked binary", false, Binary, false),
        task("read unmasked text, ASCII", false, Ascii, false),
        task("read unmasked text, multi-byte", false, MultiByte, false),
        task("write as server, binary", true, Binary, true),
        task("write as server, text", true, Ascii, true),
        task("write as client, binary", false, Binary, true),
        task("write as client, text", false, Ascii, true),
    ];
    tasks.into_iter().filter(|task| task.name.contains(name)).collect()
}

impl Task {
    fn row(&self, size: usize, peer: &'static str, nanoseconds: f64) -> Row {
        Row {
            group: if self.write { "write" } else { "read" },
            task: self.name,
            role: if self.server { "server" } else { "client" },
            size,
            kind: match self.content {
                Content::Binary => "binary",
                Content::Ascii => "ascii",
                Content::MultiByte => "multi-byte",
            },
            peer,
            nanoseconds,
        }
    }
}

fn measure(task: &Task, size: usize) -> (f64, f64) {
    let payload = payload(task.content, size);
    let count = (VOLUME / size).clamp(*MESSAGES.start(), *MESSAGES.end());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(time(count, || wsabi_run(task, &payload, count)).0);
        theirs.push(time(count, || tungstenite_run(task, &payload, count)).0);
    }
    (median(ours), median(theirs))
}

fn wsabi_run(task: &Task, payload: &[u8], count: usize) {
    let role = if task.server { wsabi::Role::Server } else { wsabi::Role::Client };
    let mut socket = wsabi::WebSocket::from_raw_socket(Script::new(task, payload), role, None);
    if task.write {
        let message = match task.content {
            Content::Binary => wsabi::Outgoing::Binary(payload),
            _ => wsabi::Outgoing::Text(std::str::from_utf8(payload).unwrap()),
        };
        for _ in 0..count {
            assert_eq!(socket.write_view(black_box(&message)).unwrap(), wsabi::Accepted::Yes);
        }
        black_box(socket.get_ref().written);
    } else {
        for _ in 0..count {
            assert_eq!(black_box(socket.read_view().unwrap()).data.len(), payload.len());
        }
    }
}

fn tungstenite_run(task: &Task, payload: &[u8], count: usize) {
    use tungstenite::protocol::{Role, WebSocket};
    let role = if task.server { Role::Server } else { Role::Client };
    let mut socket = WebSocket::from_raw_socket(Script::new(task, payload), role, None);
    if task.write {
        let message = match task.content {
            Content::Binary => tungstenite::Message::binary(payload.to_vec()),
            _ => tungstenite::Message::text(std::str::from_utf8(payload).unwrap()),
        };
        for _ in 0..count {
            socket.send(black_box(message.clone())).unwrap();
        }
        black_box(socket.get_ref().written);
    } else {
        for _ in 0..count {
            assert_eq!(black_box(socket.read().unwrap()).len(), payload.len());
        }
    }
}

/// A stream that gives the same frames again and again, and takes everything.
struct Script {
    frames: Vec<u8>,
    at: usize,
    written: usize,
}

impl Script {
    fn new(task: &Task, payload: &[u8]) -> Self {
        let mut frames = Vec::new();
        while !task.write && frames.len() < 1 << 20 {
            frames.push(if task.content == Content::Binary { 0x82 } else { 0x81 });
            let mask = if task.server { 0x80 } else { 0 };
            match payload.len() {
                len @ 0..=125 => frames.push(mask | len as u8),
                len @ 126..=0xffff => {
                    frames.push(mask | 126);
                    frames.extend((len as u16).to_be_bytes());
                }
                len => {
                    frames.push(mask | 127);
                    frames.extend((len as u64).to_be_bytes());
                }
            }
            let key = [0x1b, 0xd7, 0x42, 0x90];
            if task.server {
                frames.extend(key);
                frames.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
            } else {
                frames.extend(payload);
            }
        }
        Self { frames, at: 0, written: 0 }
    }
}

impl Read for Script {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let n = space.len().min(self.frames.len() - self.at);
        space[..n].copy_from_slice(&self.frames[self.at..self.at + n]);
        self.at = (self.at + n) % self.frames.len();
        Ok(n)
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written += black_box(bytes).len();
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let n = black_box(slices).iter().map(|slice| slice.len()).sum();
        self.written += n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn payload(content: Content, size: usize) -> Vec<u8> {
    match content {
        Content::Binary => (0..size).map(|i| (i * 131) as u8).collect(),
        Content::Ascii => (0..size).map(|i| b' ' + (i % 90) as u8).collect(),
        Content::MultiByte => {
            let mut text: String = "κόσμε Grüße 漢字 ".chars().cycle().take(size).collect();
            while text.len() > size {
                text.pop();
            }
            let mut text = text.into_bytes();
            text.resize(size, b'.');
            text
        }
    }
}
