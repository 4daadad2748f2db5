//! Threads of the library's own.

use crate::sys::Process;
use std::io;

/// A thread that takes no signals: they are the program's, for its own threads. Dropped without [`join`](Self::join), it
/// goes on by itself.
///
/// std's threads leave a destructor behind in the thread that starts one, which would keep the library from being
/// unloaded for as long as that lives.
#[derive(Debug)]
pub struct Thread {
    id: libc::pthread_t,
    /// In the child of a fork() there is no such thread.
    process: Process,
}

type Work = Box<dyn FnOnce() + Send>;

impl Thread {
    /// Starts one, with a stack of this many bytes.
    pub fn start(stack: usize, work: Work) -> io::Result<Self> {
        extern "C" fn run(work: *mut libc::c_void) -> *mut libc::c_void {
            // SAFETY: it is what `start` made of a `Box<Work>`, and handed to this thread alone.
            let work = unsafe { Box::from_raw(work.cast::<Work>()) };
            // There is nobody to tell; what was promised just never comes.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            std::ptr::null_mut()
        }
        let work = Box::into_raw(Box::new(work));
        let started = without_signals(|| {
            // SAFETY: all-zero is a valid place for pthread_attr_init and pthread_create to write to; `work` is alive,
            // and `run` takes it over where pthread_create succeeds.
            unsafe {
                let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
                let mut thread: libc::pthread_t = std::mem::zeroed();
                let mut code = libc::pthread_attr_init(&mut attributes);
                if code == 0 {
                    // It fails where the size is not to the system's liking, which then uses its own.
                    libc::pthread_attr_setstacksize(&mut attributes, stack);
                    code = libc::pthread_create(&mut thread, &attributes, run, work.cast());
                    libc::pthread_attr_destroy(&mut attributes);
                }
                match code {
                    0 => Ok(Self { id: thread, process: Process::current() }),
                    code => Err(io::Error::from_raw_os_error(code)),
                }
            }
        });
        if started.is_err() {
            // SAFETY: no thread has it.
            drop(unsafe { Box::from_raw(work) });
        }
        started
    }

    /// Waits until it has ended.
    pub fn join(self) {
        let thread = std::mem::ManuallyDrop::new(self);
        if thread.process == Process::current() {
            // SAFETY: it has been started here, and is neither joined nor detached elsewhere.
            unsafe { libc::pthread_join(thread.id, std::ptr::null_mut()) };
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if self.process == Process::current() {
            // SAFETY: it has been started here, and is neither joined nor detached elsewhere.
            unsafe { libc::pthread_detach(self.id) };
        }
    }
}

/// Does a thing while this thread takes no signals. A thread that is started takes none either, then.
fn without_signals<R>(act: impl FnOnce() -> R) -> R {
    // SAFETY: an all-zero sigset_t is a valid place for sigfillset and pthread_sigmask to write to.
    let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = unsafe { std::mem::zeroed() };
    // SAFETY: both point at live sets.
    let masked = unsafe {
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before) == 0
    };
    let result = act();
    if masked {
        // SAFETY: it is the set that was in force.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut()) };
    }
    result
}
