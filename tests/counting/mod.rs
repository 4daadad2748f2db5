//! An allocator that counts what the thread that asks holds, so that tests beside it do not disturb.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
    static TAKEN: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    static LARGEST: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// See the module.
#[derive(Debug)]
pub struct Counting;

#[allow(dead_code)] // not every test asks for everything
impl Counting {
    pub const fn new() -> Self {
        Self
    }

    /// Begins a measurement: bytes held now.
    pub fn start(&self) -> usize {
        PEAK.set(HELD.get());
        HELD.get()
    }

    /// Bytes held now.
    pub fn held(&self) -> usize {
        HELD.get()
    }

    /// Most bytes held since the start.
    pub fn peak(&self) -> usize {
        PEAK.get()
    }

    /// How often memory was taken or moved to a larger place, ever, and how many bytes that were: what each of these
    /// may have to copy.
    pub fn taken(&self) -> (usize, usize) {
        TAKEN.get()
    }

    /// Runs `work` on a machine that has no piece of memory larger than this.
    pub fn with_no_more_than<R>(&self, largest: usize, work: impl FnOnce() -> R) -> R {
        LARGEST.set(largest);
        let result = work();
        LARGEST.set(usize::MAX);
        result
    }
}

fn count(grown: usize, shrunk: usize) {
    if grown > 0 {
        let (times, bytes) = TAKEN.get();
        TAKEN.set((times + 1, bytes.wrapping_add(grown)));
    }
    let held = HELD.get().wrapping_add(grown).wrapping_sub(shrunk);
    HELD.set(held);
    // A thread that frees what another has made wraps below zero.
    if held < usize::MAX / 2 {
        PEAK.set(PEAK.get().max(held));
    }
}

fn refuses(size: usize) -> bool {
    size > LARGEST.get()
}

// SAFETY: every call goes to the system's allocator as it is, or gives NULL, as an allocator may.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if refuses(layout.size()) {
            return std::ptr::null_mut();
        }
        count(layout.size(), 0);
        // SAFETY: passed on from the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if refuses(layout.size()) {
            return std::ptr::null_mut();
        }
        count(layout.size(), 0);
        // SAFETY: passed on from the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if refuses(size) {
            return std::ptr::null_mut();
        }
        count(size, layout.size());
        // SAFETY: passed on from the caller.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: passed on from the caller.
        unsafe { System.dealloc(memory, layout) }
    }
}
