//! Which process this is. The child of a fork() has a copy of everything, and is to draw other masking keys and to leave
//! its parent's sockets alone: what was made before the fork knows a number that is not the current one any more.
//!
//! Knows that number alone. It costs a load to look at, for the number lies in a page that the child finds zeroed
//! (MADV_WIPEONFORK, Linux 4.14). Where there is no such thing the number is the process id, asked for now and then: see
//! [`look`].

use super::platform;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A process, as far as it can be told from those that it was forked from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    /// No process at all.
    pub(crate) const NONE: Self = Self(u32::MAX);

    /// This one.
    pub(crate) fn current() -> Self {
        look();
        match PAGE.current.load(Ordering::Relaxed) {
            0 => Self(begin()),
            current => Self(current),
        }
    }

    /// Whether this is the one, as far as is known without asking the system.
    #[inline(always)]
    pub(crate) fn is_current(self) -> bool {
        PAGE.current.load(Ordering::Relaxed) == self.0
    }

    /// The same in fewer bits, for those who have few. Only a process 65,536 forks away has the same ones.
    pub(crate) fn short(self) -> u16 {
        self.0 as u16
    }
}

/// Asks the system for the process id, where nothing else tells of a fork: with each wait, and when something is opened or
/// closed.
#[inline]
pub(crate) fn look() {
    if ASKS.load(Ordering::Relaxed) {
        PAGE.current.store(std::process::id(), Ordering::Relaxed);
    }
}

/// Nothing else may be on the page. So it is as large as a page can be: the loaders of old systems align to the page, and to
/// no more.
#[cfg_attr(any(target_arch = "x86", target_arch = "x86_64"), repr(align(4096)))]
#[cfg_attr(not(any(target_arch = "x86", target_arch = "x86_64")), repr(align(65536)))]
struct Page {
    /// 0: not known yet, or wiped.
    current: AtomicU32,
}

static PAGE: Page = Page { current: AtomicU32::new(0) };

/// The process id has to be asked for.
static ASKS: AtomicBool = AtomicBool::new(false);

/// The first time in this process.
#[cold]
fn begin() -> u32 {
    static FORKS: AtomicU32 = AtomicU32::new(0);
    let own = match is_wiped_on_fork() {
        true => FORKS.fetch_add(1, Ordering::Relaxed).wrapping_add(1),
        false => {
            ASKS.store(true, Ordering::Relaxed);
            std::process::id()
        }
    };
    // Of threads that begin at once, one names the process.
    match PAGE.current.compare_exchange(0, own, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => own,
        Err(first) => first,
    }
}

fn is_wiped_on_fork() -> bool {
    // SAFETY: the memory is that of PAGE and nothing else, which is atomic, and has a meaning where it is zero.
    unsafe { platform::wipe_on_fork((&raw const PAGE).cast_mut().cast(), size_of::<Page>()) }
}
