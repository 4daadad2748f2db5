//! Threads of the library's own. Each keeps the library loaded until it leaves it.

use std::io;
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, HMODULE};
use windows_sys::Win32::System::LibraryLoader::{
    FreeLibraryAndExitThread, GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GetModuleHandleExW,
};
use windows_sys::Win32::System::Threading::{
    CreateThread, INFINITE, STACK_SIZE_PARAM_IS_A_RESERVATION, WaitForSingleObject,
};

/// A thread that has been started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThreadId(HANDLE);

// SAFETY: a handle is no thread's own.
unsafe impl Send for ThreadId {}

/// What it does.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// What is handed to the thread: the library, for it to leave, and the work.
struct Start {
    library: HMODULE,
    work: Work,
}

/// Starts a thread with a stack of this many bytes.
pub(crate) fn start_thread(stack: usize, work: Work) -> io::Result<ThreadId> {
    let mut library: HMODULE = std::ptr::null_mut();
    // SAFETY: the address lies in this library, or in the program that it is part of. It stays loaded for the thread.
    let is_held = unsafe {
        GetModuleHandleExW(
            GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
            (run as *const core::ffi::c_void).cast(),
            &mut library,
        )
    };
    if is_held == 0 {
        return Err(io::Error::last_os_error());
    }
    let start = Box::into_raw(Box::new(Start { library, work }));
    // SAFETY: `run` takes `start` over where this succeeds.
    let handle = unsafe {
        CreateThread(
            std::ptr::null(),
            stack,
            Some(run),
            start.cast_const().cast(),
            STACK_SIZE_PARAM_IS_A_RESERVATION,
            std::ptr::null_mut(),
        )
    };
    if handle.is_null() {
        let error = io::Error::last_os_error();
        // SAFETY: no thread has it.
        drop(unsafe { Box::from_raw(start) });
        // SAFETY: it was held for the thread that there is not.
        unsafe { windows_sys::Win32::Foundation::FreeLibrary(library) };
        return Err(error);
    }
    Ok(ThreadId(handle))
}

unsafe extern "system" fn run(start: *mut core::ffi::c_void) -> u32 {
    // SAFETY: it is what `start_thread` made of a `Box<Start>`, and handed to this thread alone.
    let Start { library, work } = *unsafe { Box::from_raw(start.cast::<Start>()) };
    // There is nobody to tell; what was promised just never comes.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    // SAFETY: nothing of this library is left on the stack that would have to be dropped.
    unsafe { FreeLibraryAndExitThread(library, 0) }
}

/// Waits until it has ended.
///
/// # Safety
/// It has been started in this process, and neither been joined nor detached.
pub(crate) unsafe fn join_thread(id: ThreadId) {
    // SAFETY: by the caller's word the handle is open.
    unsafe {
        WaitForSingleObject(id.0, INFINITE);
        CloseHandle(id.0);
    }
}

/// Lets it go on by itself.
///
/// # Safety
/// As for [`join_thread`].
pub(crate) unsafe fn detach_thread(id: ThreadId) {
    // SAFETY: by the caller's word the handle is open.
    unsafe { CloseHandle(id.0) };
}
