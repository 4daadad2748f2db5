//! Several things to wait for behind one socket: sockets that connect, and what threads find out. A completion port, which is
//! what mio waits with here, cannot be waited for like a socket. So the system's own threads wait for the sockets' events, and
//! signal a pair on the loopback.

use super::net::RawSocket;
use super::poll::WakePair;
use std::io;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Networking::WinSock::{
    FD_CLOSE, FD_CONNECT, FD_READ, FD_WRITE, SOCKET, WSAEVENT, WSAEnumNetworkEvents, WSAEventSelect,
    WSANETWORKEVENTS,
};
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, RegisterWaitForSingleObject, UnregisterWaitEx, WT_EXECUTEDEFAULT,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Bundle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pair: WakePair,
    /// The tokens of the sockets on which something has happened.
    news: Mutex<Vec<usize>>,
}

impl Bundle {
    /// An empty one.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Shared { pair: WakePair::new()?, news: Mutex::default() })))
    }

    /// Becomes readable when there is news.
    pub(crate) fn raw_socket(&self) -> RawSocket {
        self.0.pair.socket()
    }

    /// From now on there is news with this token when the socket is connected, can be read from or written to again, or fails. It
    /// is open for as long as what this returns.
    pub(crate) fn add(&self, socket: RawSocket, token: usize) -> io::Result<InBundle> {
        // SAFETY: without attributes and name. Reset by the wait that it ends.
        let event = unsafe { CreateEventW(null_mut(), 0, 0, null_mut()) };
        if event.is_null() {
            return Err(io::Error::last_os_error());
        }
        let context = Box::new(Context { shared: Arc::clone(&self.0), socket: socket as SOCKET, token });
        let mut entry = InBundle { event, wait: null_mut(), context };
        let wanted = (FD_CONNECT | FD_READ | FD_WRITE | FD_CLOSE) as i32;
        // SAFETY: the event is one, and stays until the socket has been told to forget it.
        if unsafe { WSAEventSelect(entry.context.socket, event as WSAEVENT, wanted) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let context: *const Context = &*entry.context;
        // SAFETY: the context stays where it is until the wait has been taken back.
        let is_waited_for = unsafe {
            RegisterWaitForSingleObject(
                &mut entry.wait,
                event,
                Some(on_event),
                context.cast(),
                INFINITE,
                WT_EXECUTEDEFAULT,
            )
        };
        if is_waited_for == 0 { Err(io::Error::last_os_error()) } else { Ok(entry) }
    }

    /// What makes it readable from any thread. One at a time.
    pub(crate) fn notifier(&self) -> io::Result<Notifier> {
        Ok(Notifier(Arc::clone(&self.0)))
    }

    /// The tokens of the sockets on which something has happened since the last call; may be said twice.
    pub(crate) fn take_news(&mut self) -> io::Result<Vec<usize>> {
        // What comes from here on makes it readable again.
        self.0.pair.drain();
        Ok(std::mem::take(&mut self.0.news()))
    }
}

impl Shared {
    fn news(&self) -> MutexGuard<'_, Vec<usize>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Bundle::notifier`].
#[derive(Debug)]
pub(crate) struct Notifier(Arc<Shared>);

impl Notifier {
    /// The bundle becomes readable.
    pub(crate) fn notify(&self) {
        self.0.pair.wake();
    }
}

/// A socket's place in a bundle. The socket is still open when it is dropped.
#[derive(Debug)]
pub(crate) struct InBundle {
    event: HANDLE,
    wait: HANDLE,
    context: Box<Context>,
}

// SAFETY: the handles are no thread's own.
unsafe impl Send for InBundle {}

#[derive(Debug)]
struct Context {
    shared: Arc<Shared>,
    socket: SOCKET,
    token: usize,
}

/// Called by a thread of the system's, each time that the socket's event is set.
unsafe extern "system" fn on_event(context: *mut core::ffi::c_void, _timed_out: bool) {
    // SAFETY: it is the context of an `InBundle`, which is dropped after the last call has ended.
    let context = unsafe { &*context.cast::<Context>() };
    // SAFETY: all-zero is a valid one; the socket is open. What has been asked for here is recorded again.
    unsafe {
        let mut events: WSANETWORKEVENTS = std::mem::zeroed();
        WSAEnumNetworkEvents(context.socket, 0, &mut events);
    }
    context.shared.news().push(context.token);
    context.shared.pair.wake();
}

impl Drop for InBundle {
    fn drop(&mut self) {
        // SAFETY: both were made by `Bundle::add`, and the socket is open by its word. The first call waits until no thread is in
        // `on_event` any more.
        unsafe {
            if !self.wait.is_null() {
                UnregisterWaitEx(self.wait, INVALID_HANDLE_VALUE);
            }
            WSAEventSelect(self.context.socket, 0, 0);
            CloseHandle(self.event);
        }
    }
}
