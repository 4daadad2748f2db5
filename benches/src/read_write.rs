//! Reads and writes plain messages, beside the peers in Rust: every cell of reading and writing, both ends, three kinds
//! of payload and seven sizes.
//!
//! All engines run over the same kind of stream: reading copies from a script of frames that begins again at its end,
//! writing adds up lengths. A row under 1.00 is ahead of the peer.

use crate::json::Row;
use crate::{instructions, least, median, peers, size_name, time};
use std::hint::black_box;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

/// Bytes of payload that one measurement moves, at least and at most so many messages.
const VOLUME: usize = 32 << 20;
const MESSAGES: std::ops::RangeInclusive<usize> = 20..=400_000;
/// Nanoseconds that a measurement takes at least.
const ENOUGH: f64 = 500_000.0;
/// Bytes of a page, in which the bytes to copy lie elsewhere each round.
const PAGE: usize = 4 << 10;
const SIZES: [usize; 7] = [16, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20, 16 << 20];
/// The masking key of all frames that are read.
pub const KEY: [u8; 4] = [0x1b, 0xd7, 0x42, 0x90];
/// The cells whose instructions are counted, too.
const COUNTED: [&str; 6] = [
    "read server binary 16",
    "read client binary 16",
    "read server multi-byte 1K",
    "write server binary 16",
    "write client binary 16",
    "write client binary 1K",
];

/// What one engine is to do.
pub struct Run<'a> {
    pub cell: &'a Cell,
    payload: Placed,
    frames: Placed,
    /// So that the memory of engines is elsewhere each round, too.
    ballast: Vec<u8>,
    pub count: usize,
    /// No more messages than that.
    is_exact: bool,
}

impl Run<'_> {
    /// Nanoseconds of one message through this socket.
    pub fn time<S>(&self, socket: &mut S, write: impl Fn(&mut S), read: impl Fn(&mut S)) -> f64 {
        match self.cell.write {
            true => self.time_one(|| write(socket)),
            false => self.time_one(|| read(socket)),
        }
    }

    /// After a first one, for which buffers grow. More messages than asked for, where those take no time to speak of: a
    /// message that is not copied costs the same at any size, and a few of them only show who has left the processor cold.
    /// There is one call of `message`, so that it is part of the loop: a call from outside costs half as much as a message
    /// of 16 bytes.
    fn time_one(&self, mut message: impl FnMut()) -> f64 {
        let mut count = 1;
        let mut grown = false;
        loop {
            let (nanoseconds, ()) = time(count, || (0..count).for_each(|_| message()));
            let total = nanoseconds * count as f64;
            if grown && (total >= ENOUGH || self.is_exact) {
                return nanoseconds;
            }
            count = match grown {
                true => (count as f64 * (ENOUGH / total).clamp(2.0, 1000.0)) as usize,
                false => self.count,
            };
            grown = true;
        }
    }

    /// A message has been read: its payload is there, and as long as it was sent.
    #[inline(always)]
    pub fn has_read(&self, payload: &[u8]) {
        assert_eq!(black_box(payload).len(), self.payload.len);
    }

    /// What each message carries.
    pub fn payload(&self) -> &[u8] {
        self.payload.bytes()
    }

    /// The stream to do it over.
    pub fn stream(&self) -> Script {
        Script { frames: self.frames.clone(), at: 0, written: 0 }
    }

    /// Puts everything this far into a page, and what engines allocate onto other pages.
    fn place(&mut self, begin: usize) {
        self.ballast = vec![1; begin * 37];
        self.payload.place(begin);
        self.frames.place(begin);
    }
}

/// Bytes that can lie anywhere in a page. To copy takes up to 14 times as long where the target begins a few bytes further
/// into its page than the source does, and where engines and scripts happen to lie must not decide who wins.
#[derive(Clone)]
struct Placed {
    room: Arc<[u8]>,
    begin: usize,
    len: usize,
}

impl Placed {
    fn new(bytes: &[u8]) -> Self {
        Self { room: [bytes, &[0; PAGE]].concat().into(), begin: 0, len: bytes.len() }
    }

    fn bytes(&self) -> &[u8] {
        &self.room[self.begin..][..self.len]
    }

    fn place(&mut self, begin: usize) {
        let room = Arc::get_mut(&mut self.room).expect("nobody reads at the moment");
        room.copy_within(self.begin..self.begin + self.len, begin);
        self.begin = begin;
    }
}

type Engine = (&'static str, fn(&Run) -> f64);

/// Ours first. The last is no engine: see [`least`].
const ENGINES: [Engine; 8] = [
    ("wsabi", wsabi_run),
    ("tungstenite", tungstenite_run),
    ("tokio-websockets", peers::tokio_websockets),
    ("fastwebsockets", peers::fastwebsockets),
    ("sockudo-ws", peers::sockudo_ws),
    ("yawc", peers::yawc),
    ("soketto", peers::soketto),
    (least::NAME, least::least),
];
const PEERS: std::ops::Range<usize> = 1..ENGINES.len() - 1;

/// Nanoseconds a message, of each engine, ours first.
pub type Measured = [(&'static str, f64); ENGINES.len()];

/// The fastest of the peers.
pub fn fastest_peer(measured: &Measured) -> (&'static str, f64) {
    measured[PEERS].iter().copied().min_by(|a, b| a.1.total_cmp(&b.1)).expect("a peer")
}

/// The table, and the cells in which a peer is faster.
pub fn run(cells: &[Cell], rounds: usize, rows: &mut Vec<Row>) {
    print!("{:30} {:>14}", "ns a message (wsabi / peer)", ENGINES[0].0);
    ENGINES[1..].iter().for_each(|engine| print!(" {:>21}", engine.0));
    println!();
    let mut behind = Vec::new();
    for cell in cells {
        let name = cell.name();
        let measured = cell.measure(VOLUME, rounds);
        let ours = measured[0].1;
        print!("{name:30} {ours:>14.1}");
        for (_, theirs) in &measured[1..] {
            print!(" {theirs:>14.1} ({:4.2})", ours / theirs);
        }
        println!();
        let counts = COUNTED
            .contains(&name.as_str())
            .then(|| ENGINES.map(|(peer, _)| instructions(&name, cell.size, peer)));
        for (i, (peer, nanoseconds)) in measured.into_iter().enumerate() {
            let instructions = counts.as_ref().and_then(|counts| counts[i]);
            rows.push(cell.row(peer, nanoseconds, instructions));
        }
        let (peer, theirs) = fastest_peer(&measured);
        if ours >= theirs {
            behind.push(format!("{name}: {:.2} x {peer}", ours / theirs));
        }
    }
    println!("{} of {} cells in which a peer is faster", behind.len(), cells.len());
    behind.iter().for_each(|cell| println!("  {cell}"));
}

/// A square of the table.
#[derive(Clone, Copy)]
pub struct Cell {
    pub write: bool,
    /// Whether we are the server, whose peer masks.
    pub server: bool,
    content: Content,
    size: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Content {
    Binary,
    Ascii,
    MultiByte,
}

/// All of them.
pub fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for write in [false, true] {
        for server in [true, false] {
            for content in [Content::Binary, Content::Ascii, Content::MultiByte] {
                cells.extend(SIZES.map(|size| Cell { write, server, content, size }));
            }
        }
    }
    cells
}

/// The one of this name.
pub fn cell(name: &str) -> Cell {
    cells().into_iter().find(|cell| cell.name() == name).expect("a cell")
}

impl Cell {
    /// As in `read server binary 64K`.
    pub fn name(&self) -> String {
        format!("{} {} {} {}", self.task(), self.role(), self.kind(), size_name(self.size))
    }

    pub fn text(&self) -> bool {
        self.content != Content::Binary
    }

    /// Through one engine.
    pub fn run_one(&self, count: usize, peer: &str) {
        let (_, engine) = ENGINES.into_iter().find(|engine| engine.0 == peer).expect("a peer");
        engine(&self.run(count, true));
    }

    /// Through all of them, in turns: medians.
    pub fn measure(&self, volume: usize, rounds: usize) -> Measured {
        let count = (volume / self.size).clamp(*MESSAGES.start(), *MESSAGES.end());
        let mut times = ENGINES.map(|_| Vec::new());
        let mut run = self.run(count, false);
        for round in 0..rounds {
            run.place(PAGE * round / rounds);
            for turn in 0..ENGINES.len() {
                // There and back: nobody comes always after the same, who may have left the processor cold.
                let i = if round % 2 == 0 { turn } else { ENGINES.len() - 1 - turn };
                times[i].push(ENGINES[i].1(&run));
            }
        }
        std::array::from_fn(|i| (ENGINES[i].0, median(std::mem::take(&mut times[i]))))
    }

    /// What an engine needs for so many messages.
    pub fn run(&self, count: usize, is_exact: bool) -> Run<'_> {
        let payload = payload(self.content, self.size);
        let frames = Placed::new(&self.frames(&payload));
        Run { cell: self, payload: Placed::new(&payload), frames, ballast: Vec::new(), count, is_exact }
    }

    fn task(&self) -> &'static str {
        if self.write { "write" } else { "read" }
    }

    fn role(&self) -> &'static str {
        if self.server { "server" } else { "client" }
    }

    fn kind(&self) -> &'static str {
        match self.content {
            Content::Binary => "binary",
            Content::Ascii => "ASCII",
            Content::MultiByte => "multi-byte",
        }
    }

    fn row(&self, peer: &'static str, nanoseconds: f64, instructions: Option<f64>) -> Row {
        let (task, role, kind, size) = (self.task(), self.role(), self.kind(), self.size);
        Row { group: task, task, role, size, kind, peer, nanoseconds, instructions }
    }

    /// What there is to read: a MiB of frames at least.
    fn frames(&self, payload: &[u8]) -> Vec<u8> {
        let mut frames = Vec::new();
        let header = header(self, payload.len());
        while !self.write && frames.len() < 1 << 20 {
            frames.extend(&header);
            match self.server {
                true => frames.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key)),
                false => frames.extend(payload),
            }
        }
        frames
    }
}

/// What stands before the payload of a frame of this cell.
pub fn header(cell: &Cell, len: usize) -> Vec<u8> {
    // A reading server is sent masked frames, a writing one sends others.
    let is_masked = cell.server != cell.write;
    let (opcode, bit) = (if cell.text() { 0x81 } else { 0x82 }, if is_masked { 0x80 } else { 0 });
    let mut header = match len {
        ..126 => vec![opcode, bit | len as u8],
        126..=0xffff => [&[opcode, bit | 126][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[opcode, bit | 127][..], &(len as u64).to_be_bytes()].concat(),
    };
    if is_masked {
        header.extend(KEY);
    }
    header
}

pub fn wsabi_run(run: &Run) -> f64 {
    let (cell, payload) = (run.cell, run.payload());
    let role = if cell.server { wsabi::Role::Server } else { wsabi::Role::Client };
    let mut socket = wsabi::WebSocket::from_raw_socket(run.stream(), role, None);
    let message = match cell.content {
        Content::Binary => wsabi::Outgoing::Binary(payload),
        _ => wsabi::Outgoing::Text(std::str::from_utf8(payload).unwrap()),
    };
    run.time(
        &mut socket,
        |socket| assert_eq!(socket.write_view(black_box(&message)).unwrap(), wsabi::Enqueue::Accepted),
        |socket| run.has_read(socket.read_view().unwrap().data),
    )
}

fn tungstenite_run(run: &Run) -> f64 {
    use tungstenite::protocol::{Role, WebSocket};
    let (cell, payload) = (run.cell, run.payload());
    let role = if cell.server { Role::Server } else { Role::Client };
    let mut socket = WebSocket::from_raw_socket(run.stream(), role, None);
    let message = match cell.content {
        Content::Binary => tungstenite::Message::binary(payload.to_vec()),
        _ => tungstenite::Message::text(std::str::from_utf8(payload).unwrap()),
    };
    run.time(
        &mut socket,
        |socket| socket.send(black_box(&message).clone()).unwrap(),
        |socket| match socket.read().unwrap() {
            tungstenite::Message::Text(text) => run.has_read(text.as_bytes()),
            tungstenite::Message::Binary(data) => run.has_read(&data),
            _ => panic!("neither text nor binary"),
        },
    )
}

/// A stream that gives the same frames again and again, and takes everything.
pub struct Script {
    frames: Placed,
    at: usize,
    written: usize,
}

impl Script {
    /// What comes next, `most` bytes of it.
    pub fn receive(&mut self, most: usize) -> &[u8] {
        let start = self.at;
        let end = self.frames.len.min(start + most);
        self.at = end % self.frames.len;
        &self.frames.bytes()[start..end]
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
