//! Threads of the library's own, and what a fork() leaves of them.

use super::platform::{self, ThreadId, Work};
use super::process::Process;
use std::io;
use std::mem::ManuallyDrop;

/// A thread that takes no signals: they are the program's, for its own threads. Dropped without [`join`](Self::join), it
/// goes on by itself.
///
/// std's threads leave a destructor behind in the thread that starts one, which would keep the library from being
/// unloaded for as long as that lives.
#[derive(Debug)]
pub(crate) struct Thread {
    id: ThreadId,
    /// In the child of a fork() there is no such thread.
    process: Process,
}

impl Thread {
    /// Starts one, with a stack of this many bytes.
    pub(crate) fn start(stack: usize, work: Work) -> io::Result<Self> {
        Ok(Self { id: platform::start_thread(stack, work)?, process: Process::current() })
    }

    /// Waits until it has ended.
    pub(crate) fn join(self) {
        let thread = ManuallyDrop::new(self);
        if thread.process == Process::current() {
            // SAFETY: it has been started in this process, and is neither joined nor detached elsewhere.
            unsafe { platform::join_thread(thread.id) };
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if self.process == Process::current() {
            // SAFETY: it has been started in this process, and is neither joined nor detached elsewhere.
            unsafe { platform::detach_thread(self.id) };
        }
    }
}
