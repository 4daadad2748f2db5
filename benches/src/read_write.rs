//! Reads and writes plain messages, beside the peers in Rust.
//!
//! All engines run over the same kind of stream: reading copies from a script of frames that begins again at its end,
//! writing adds up lengths. A row under 1.00 is ahead of the peer.

use crate::json::Row;
use crate::{median, peers, time};
use std::hint::black_box;
use std::io::{self, IoSlice, Read, Write};

const ROUNDS: usize = 7;
/// Bytes of payload that one measurement moves, at least and at most this many messages.
const VOLUME: usize = 64 << 20;
const MESSAGES: std::ops::RangeInclusive<usize> = 48..=400_000;
const SIZES: [usize; 4] = [16, 1 << 10, 64 << 10, 1 << 20];

/// What one engine is to do.
pub struct Run<'a> {
    pub task: &'a Task,
    pub payload: &'a [u8],
    pub count: usize,
}

impl Run<'_> {
    pub fn stream(&self) -> Script {
        Script::new(self.task, self.payload)
    }
}

type Engine = (&'static str, fn(&Run));

/// Ours first.
const ENGINES: [Engine; 6] = [
    ("wsabi", wsabi_run),
    ("tungstenite", tungstenite_run),
    ("tokio-websockets", peers::tokio_websockets),
    ("fastwebsockets", peers::fastwebsockets),
    ("sockudo-ws", peers::sockudo_ws),
    ("yawc", peers::yawc),
];

/// The table.
pub fn run(tasks: &[Task], size: Option<usize>, rows: &mut Vec<Row>) {
    let sizes = size.map_or(SIZES.to_vec(), |size| vec![size]);
    println!("{:34} {:>8} {:>12} {:>12} {:>17} {:>7}", "", "bytes", "wsabi ns", "peer ns", "peer", "ratio");
    let mut behind = 0;
    for task in tasks {
        for &size in &sizes {
            let measured = measure(task, size, VOLUME, ROUNDS);
            rows.extend(measured.map(|(peer, nanoseconds)| task.row(size, peer, nanoseconds)));
            let ours = measured[0].1;
            for &(peer, theirs) in &measured[1..] {
                let ratio = ours / theirs;
                behind += usize::from(ratio >= 1.0);
                println!("{:34} {size:>8} {ours:>12.1} {theirs:>12.1} {peer:>17} {ratio:>7.2}", task.name);
            }
        }
    }
    println!("{} rows, {behind} behind", tasks.len() * sizes.len() * (ENGINES.len() - 1));
}

/// One task through one engine.
pub fn run_one(task: &Task, size: usize, count: usize, peer: Option<&str>) {
    let peer = peer.unwrap_or("wsabi");
    let (_, engine) = ENGINES.into_iter().find(|engine| engine.0 == peer).expect("a peer");
    engine(&Run { task, payload: &payload(task.content, size), count });
}

pub struct Task {
    name: &'static str,
    /// Whether we are the server, whose peer masks.
    pub server: bool,
    content: Content,
    pub write: bool,
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
    pub fn text(&self) -> bool {
        self.content != Content::Binary
    }

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

/// Nanoseconds a message, of each engine.
pub fn measure(
    task: &Task,
    size: usize,
    volume: usize,
    rounds: usize,
) -> [(&'static str, f64); ENGINES.len()] {
    let count = (volume / size).clamp(*MESSAGES.start(), *MESSAGES.end());
    let run = Run { task, payload: &payload(task.content, size), count };
    let mut times = ENGINES.map(|_| Vec::new());
    for round in 0..rounds {
        for turn in 0..ENGINES.len() {
            // There and back: nobody comes always after the same, who may have left the processor cold.
            let i = if round % 2 == 0 { turn } else { ENGINES.len() - 1 - turn };
            times[i].push(time(count, || ENGINES[i].1(&run)).0);
        }
    }
    std::array::from_fn(|i| (ENGINES[i].0, median(std::mem::take(&mut times[i]))))
}

pub fn wsabi_run(&Run { task, payload, count }: &Run) {
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

fn tungstenite_run(&Run { task, payload, count }: &Run) {
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
pub struct Script {
    frames: Vec<u8>,
    at: usize,
    written: usize,
}

impl Script {
    pub fn new(task: &Task, payload: &[u8]) -> Self {
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

    /// What comes next, `most` bytes of it.
    pub fn receive(&mut self, most: usize) -> &[u8] {
        let start = self.at;
        let end = self.frames.len().min(start + most);
        self.at = end % self.frames.len();
        &self.frames[start..end]
    }
}

impl Read for Script {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let bytes = self.receive(space.len());
        space[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
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
