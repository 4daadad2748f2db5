//! Bytes that a connection holds: before its first compressed message, and at rest after some each way.
//!
//! For the Rust engines, what one more connection adds to the heap, by a counting allocator: what connections share has
//! been made by another. For the scripted peers, by how much many connections make the process larger, for one end.

use crate::deflate::Cell;
use crate::engines::{End, Setting, Wsabi, Yawc, pipes};
use crate::samples::{Sample, samples};
use crate::scripts::Kind;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const SIZE: usize = 1 << 10;
/// Messages each way: enough to fill the windows, of which a process holds only the pages that were used.
const MESSAGES: usize = 64;

/// The table.
pub fn run(cells: &[Cell], scripts: &[Kind]) {
    println!(
        "{:34} {:>19} {:>12} {:>12} {:>12} {:>12}",
        "bytes held", "", "client idle", "server idle", "client", "server"
    );
    let samples = samples(SIZE);
    let mut tasks = cells.iter().map(|cell| cell.task).collect::<Vec<_>>();
    tasks.sort_by_key(|task| task.0);
    tasks.dedup_by_key(|task| task.0);
    for (task, setting) in tasks {
        let row = |name: &str, [client_idle, server_idle, client, server]: [usize; 4]| {
            println!("{task:34} {name:>19} {client_idle:>12} {server_idle:>12} {client:>12} {server:>12}");
        };
        for (name, held) in [held::<Wsabi>(setting, &samples), held::<Yawc>(setting, &samples)] {
            row(name, held);
        }
        for kind in scripts {
            // Afresh, so that nothing is left of the last connections.
            let mut script = kind.start(&samples);
            let (idle, busy) = script.hold(setting, MESSAGES);
            row(script.name, [idle, idle, busy, busy]);
        }
    }
}

/// What the client's end and the server's hold, idle and later.
fn held<E: End>(setting: Setting, samples: &[Sample]) -> (&'static str, [usize; 4]) {
    let first = connection::<E>(setting, samples);
    let second = connection::<E>(setting, samples);
    drop(first.0);
    (E::NAME, second.1)
}

fn connection<E: End>(setting: Setting, samples: &[Sample]) -> ((Box<E>, Box<E>), [usize; 4]) {
    let (near, far) = pipes();
    // In boxes, so that the values themselves are counted.
    let (mut client, client_idle) = grown(|| Box::new(E::new(true, setting, near)));
    let (mut server, server_idle) = grown(|| Box::new(E::new(false, setting, far)));
    let mut held = [client_idle, server_idle, client_idle, server_idle];
    // Wrapping, as an end may also let go of something.
    let mut add = |place: usize, run: &mut dyn FnMut()| {
        held[place] = held[place].wrapping_add(grown(run).1);
    };
    for sample in &samples[..MESSAGES] {
        add(2, &mut || client.write(sample));
        add(3, &mut || server.read(sample));
        add(3, &mut || server.write(sample));
        add(2, &mut || client.read(sample));
    }
    add(2, &mut || client.rest());
    add(3, &mut || server.rest());
    ((client, server), held)
}

/// By how much the heap grows; wraps where it shrinks.
fn grown<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.load(Relaxed);
    let result = run();
    (result, HELD.load(Relaxed).wrapping_sub(before))
}

static HELD: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, with a sum.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// There is one thread: two plain steps cost the timed rows nothing, where an atomic one would.
fn count(more: usize, less: usize) {
    HELD.store(HELD.load(Relaxed).wrapping_add(more).wrapping_sub(less), Relaxed);
}

// SAFETY: all of it is the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(0, layout.size());
        unsafe { System.dealloc(place, layout) }
    }
}
