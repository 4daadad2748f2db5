//! Two byte pipes and the streams at their ends. A stream cuts what it reads and writes, and blocks, as its script says;
//! nothing depends on time or on threads.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::rc::Rc;

/// So many calls in a row, during which nothing happens, count as an endless loop.
const SPINNING: u32 = 10_000;

/// When a call would block although it could go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    Never,
    /// Every n-th read and every n-th write or flush of a stream that could go on; n is at least 2.
    Every(usize),
    /// One of the calls that could go on, counted from 0 over all streams of a harness.
    At(usize),
}

/// How a stream behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// Most bytes one read gives.
    pub read: usize,
    /// Most bytes one write takes.
    pub write: usize,
    pub block: Block,
}

impl Script {
    /// As many bytes as there are, and no blocking.
    pub const WHOLE: Self = Self { read: usize::MAX, write: usize::MAX, block: Block::Never };

    /// Every chunk size both ways, and blocking every so often.
    pub fn all() -> Vec<Self> {
        const MAX: usize = usize::MAX;
        let sizes = [(1, 1), (1, MAX), (2, MAX), (3, 3), (3, MAX), (7, MAX), (1024, MAX)];
        let more_sizes = [(MAX, 1), (MAX, 2), (MAX, 3), (MAX, 7), (MAX, 1024), (MAX, MAX)];
        let never = sizes.into_iter().chain(more_sizes).map(|sizes| (sizes, Block::Never));
        let often = [2, 3, 5]
            .into_iter()
            .flat_map(|every| [(1, 1), (7, 3), (MAX, MAX)].map(|sizes| (sizes, Block::Every(every))));
        never.chain(often).map(|((read, write), block)| Self { read, write, block }).collect()
    }
}

/// What the streams of one harness have done, all together.
#[derive(Debug, Default)]
pub struct Activity {
    /// Calls that could go on.
    pub calls: Cell<usize>,
    /// Bytes moved and blocks that the script asked for: where this stands still, waiting helps nobody.
    pub events: Cell<u64>,
}

impl Activity {
    fn happens(&self) {
        self.events.set(self.events.get() + 1);
    }
}

/// One direction of a link.
#[derive(Debug)]
pub struct Pipe {
    bytes: VecDeque<u8>,
    /// All that ever went in.
    pub log: Vec<u8>,
    /// How many more bytes it takes.
    pub window: usize,
    /// Nothing more will come.
    pub ended: bool,
    /// What a read says when the bytes are used up.
    pub read_error: Option<ErrorKind>,
    /// What a write says.
    pub write_error: Option<ErrorKind>,
}

impl Pipe {
    fn new() -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self {
            bytes: VecDeque::new(),
            log: Vec::new(),
            window: usize::MAX,
            ended: false,
            read_error: None,
            write_error: None,
        }))
    }

    /// Puts bytes in, from outside.
    pub fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.log.extend_from_slice(bytes);
    }

    /// Whether a read finds something, be it the end.
    pub fn is_readable(&self) -> bool {
        !self.bytes.is_empty() || self.read_error.is_some() || self.ended
    }

    /// Bytes that nobody has taken yet.
    pub fn waiting(&self) -> usize {
        self.bytes.len()
    }
}

/// One end of a link.
#[derive(Debug)]
pub struct ScriptedStream {
    pub script: Script,
    pub activity: Rc<Activity>,
    pub incoming: Rc<RefCell<Pipe>>,
    pub outgoing: Rc<RefCell<Pipe>>,
    reads: Cell<usize>,
    writes: Cell<usize>,
    idle: Cell<(u64, u32)>,
    /// Most slices that one write was given.
    pub most_slices: Rc<Cell<usize>>,
}

/// Two streams, joined.
pub fn join(script: Script, activity: &Rc<Activity>) -> (ScriptedStream, ScriptedStream) {
    let (there, back) = (Pipe::new(), Pipe::new());
    let stream = |incoming: &Rc<RefCell<Pipe>>, outgoing: &Rc<RefCell<Pipe>>| ScriptedStream {
        script,
        activity: Rc::clone(activity),
        incoming: Rc::clone(incoming),
        outgoing: Rc::clone(outgoing),
        reads: Cell::new(0),
        writes: Cell::new(0),
        idle: Cell::new((0, 0)),
        most_slices: Rc::default(),
    };
    (stream(&back, &there), stream(&there, &back))
}

impl ScriptedStream {
    /// Called where the call can go on, so that a script never blocks for ever.
    fn gate(&self, own: &Cell<usize>) -> io::Result<()> {
        let call = self.activity.calls.replace(self.activity.calls.get() + 1);
        let own_call = own.replace(own.get() + 1);
        let blocks = match self.script.block {
            Block::Never => false,
            Block::Every(n) => own_call % n == n - 1,
            Block::At(at) => call == at,
        };
        if blocks {
            self.activity.happens();
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(())
    }

    fn detect_spinning(&self) {
        let now = self.activity.events.get();
        let (before, calls) = self.idle.get();
        let calls = if now == before { calls + 1 } else { 0 };
        self.idle.set((now, calls));
        assert!(calls < SPINNING, "the connection spins: {calls} calls and nothing happens");
    }
}

impl Read for ScriptedStream {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        assert!(!space.is_empty(), "a read without room looks like the end of the stream");
        self.detect_spinning();
        let mut pipe = self.incoming.borrow_mut();
        if !pipe.is_readable() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.gate(&self.reads)?;
        let n = space.len().min(self.script.read).min(pipe.bytes.len());
        if n > 0 {
            let (front, back) = pipe.bytes.as_slices();
            let from_front = n.min(front.len());
            space[..from_front].copy_from_slice(&front[..from_front]);
            space[from_front..n].copy_from_slice(&back[..n - from_front]);
            pipe.bytes.drain(..n);
            self.activity.happens();
            return Ok(n);
        }
        pipe.read_error.map_or(Ok(0), |error| Err(error.into()))
    }
}

impl Write for ScriptedStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        assert!(slices.iter().any(|slice| !slice.is_empty()), "a write of nothing");
        self.detect_spinning();
        self.most_slices.set(self.most_slices.get().max(slices.len()));
        let mut pipe = self.outgoing.borrow_mut();
        if pipe.window == 0 && pipe.write_error.is_none() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.gate(&self.writes)?;
        if let Some(error) = pipe.write_error {
            return Err(error.into());
        }
        let mut room = self.script.write.min(pipe.window);
        let mut taken = 0;
        for slice in slices {
            let n = slice.len().min(room);
            pipe.put(&slice[..n]);
            room -= n;
            taken += n;
        }
        pipe.window = pipe.window.saturating_sub(taken);
        self.activity.happens();
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.gate(&self.writes)
    }
}

impl Drop for ScriptedStream {
    fn drop(&mut self) {
        self.outgoing.borrow_mut().ended = true;
    }
}
