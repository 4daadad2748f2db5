//! Threads of the library's own.

use std::io;

/// A thread that has been started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThreadId(libc::pthread_t);

// SAFETY: any thread of the process may use it. With musl it is a pointer, which is no thread's own.
unsafe impl Send for ThreadId {}

/// What it does.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// Starts a thread that takes no signals, with a stack of this many bytes.
pub(crate) fn start_thread(stack: usize, work: Work) -> io::Result<ThreadId> {
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
                0 => Ok(ThreadId(thread)),
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
///
/// # Safety
/// It has been started in this process, and neither been joined nor detached.
pub(crate) unsafe fn join_thread(id: ThreadId) {
    // SAFETY: by the caller's word.
    unsafe { libc::pthread_join(id.0, std::ptr::null_mut()) };
}

/// Lets it go on by itself.
///
/// # Safety
/// As for [`join_thread`].
pub(crate) unsafe fn detach_thread(id: ThreadId) {
    // SAFETY: by the caller's word.
    unsafe { libc::pthread_detach(id.0) };
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
