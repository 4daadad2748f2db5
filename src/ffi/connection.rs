//! # Connections
//!
//! Creating a connection, choosing its transport, and freeing it.
//!
//! There are four transports with the same functions for all of them: a socket that the library
//! opens (ws_connect(), ws_listen()), your own socket (ws_set_socket()), two callbacks
//! (ws_set_io()), and memory (none of these: you move the bytes with ws_feed() and ws_output()).
//!
//! Any thread may call any function on a connection. Calls are serialised, and a thread blocked on
//! the peer never blocks the others. One thread at a time reads: a second one gets WS_ERR_MISUSE.
//! A read on any thread invalidates the messages of the previous read.
// Over 400 lines because it is one chapter of the header, and most of it is that text.

use crate::error::{Error, Result};
use crate::ffi::batch::{MessageBatch, Turn};
use crate::ffi::config::ws_config;
use crate::ffi::guard::{self, Handle};
use crate::ffi::status;
use crate::ffi::types::{ws_message, ws_recv_fn, ws_role, ws_send_fn, ws_socket, ws_status, ws_status_t};
use crate::message::Role;
use crate::net::callback::Callback;
use crate::net::setup::Setup;
use crate::net::shared::SharedConnection;
use crate::net::socket::Socket;
use crate::net::stream::Stream;
use crate::proto::handshake::Url;
use crate::sys;
use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char, c_void};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A connection. Most connections of a server wait: what a handle needs now and then only is boxed.
pub struct ws_conn {
    pub(super) shared: Arc<SharedConnection>,
    /// Where the messages are that the last read has lent; looked at only while some of them are to be handed out.
    pub(super) lent: AtomicPtr<MessageBatch>,
    cold: OnceLock<Box<Cold>>,
    dead: AtomicBool,
}

/// What most connections never have.
#[derive(Default)]
pub(super) struct Cold {
    pub(super) protocol: OnceLock<CString>,
    /// What ws_service() hands out.
    pub(super) turn: Mutex<Turn>,
    last_error: Mutex<LastError>,
    /// The last call that was not WS_OK was no failure: what is in `last_error` is about an older one.
    is_stale: AtomicBool,
}

/// What went wrong last. A sentence stays where it is until the next call that fails, whatever succeeds meanwhile.
#[derive(Default)]
struct LastError {
    sentence: Cow<'static, CStr>,
    io_error: i32,
}

impl ws_conn {
    /// Moves a connection to the heap, for C to own.
    pub(super) fn into_handle(shared: SharedConnection) -> *mut Self {
        Box::into_raw(Box::new(Self {
            shared: Arc::new(shared),
            lent: AtomicPtr::new(std::ptr::null_mut()),
            cold: OnceLock::new(),
            dead: AtomicBool::new(false),
        }))
    }

    /// What most connections never have.
    pub(super) fn cold(&self) -> &Cold {
        self.cold.get_or_init(Box::default)
    }

    /// Keeps the words of a status that is no error inside.
    pub(super) fn remember_status(&self, status: ws_status) {
        self.keep(status::meaning(status as i32).into(), None);
    }

    /// "Not now" has no words, and those of an older failure are not about it.
    #[inline]
    pub(super) fn has_nothing_to_say(&self) {
        if let Some(cold) = self.cold.get() {
            cold.is_stale.store(true, Ordering::Relaxed);
        }
    }

    fn keep(&self, sentence: Cow<'static, CStr>, io_error: Option<i32>) {
        let cold = self.cold();
        let mut last = cold.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        last.sentence = sentence;
        last.io_error = io_error.unwrap_or(last.io_error);
        cold.is_stale.store(false, Ordering::Relaxed);
    }

    /// The words of the last error, until the next one.
    pub(super) fn last_sentence(&self) -> *const c_char {
        self.with_last_sentence(CStr::as_ptr)
    }

    /// The words of the last error, handed to `look` while no other thread can replace them.
    pub(super) fn with_last_sentence<R>(&self, look: impl FnOnce(&CStr) -> R) -> R {
        match self.cold.get() {
            Some(cold) if !cold.is_stale.load(Ordering::Relaxed) => {
                look(&cold.last_error.lock().unwrap_or_else(PoisonError::into_inner).sentence)
            }
            _ => look(c""),
        }
    }

    /// The code of the transport's last error.
    pub(super) fn last_io_error(&self) -> i32 {
        let cold = self.cold.get();
        cold.map_or(0, |cold| cold.last_error.lock().unwrap_or_else(PoisonError::into_inner).io_error)
    }

    /// The connection, unless a bug has killed it.
    pub(super) fn alive(&self) -> Result<&Arc<SharedConnection>> {
        if self.dead.load(Ordering::Relaxed) { Err(Error::Internal) } else { Ok(&self.shared) }
    }

    /// The next message of those that were read ahead, without the lock. Nothing is looked at here: should two threads
    /// read at once, against the rules, they may get one message twice.
    #[inline(always)]
    pub(super) fn next_prefetched(&self) -> Option<*const ws_message> {
        if self.dead.load(Ordering::Relaxed) {
            return None;
        }
        let place = self.shared.next_prefetched()?;
        Some(MessageBatch::messages(self.lent.load(Ordering::Relaxed)).wrapping_add(place.into()))
    }
}

impl Handle for ws_conn {
    /// Keeps the words of an error, and says its status. The end says why, where the connection was given up.
    fn remember(&self, error: &Error) -> ws_status {
        let status = status::of(error);
        if matches!(status, ws_status::WS_ERR_WOULD_BLOCK) {
            self.has_nothing_to_say();
            return status;
        }
        let ended = matches!(error, Error::ConnectionClosed | Error::AlreadyClosed);
        let from_peer = matches!(error, Error::Protocol(_) | Error::Utf8 | Error::Capacity(_));
        let failure = |shared: &SharedConnection| {
            let sentence = shared.look(|inner| inner.view().failure().map(str::to_owned));
            sentence.ok().flatten()
        };
        let sentence = if ended || from_peer { failure(&self.shared) } else { None };
        let sentence = CString::new(sentence.unwrap_or_else(|| error.to_string())).unwrap_or_default();
        let io_error = match error {
            Error::Io(error) => Some(error.raw_os_error().unwrap_or_default()),
            _ => None,
        };
        self.keep(sentence.into(), io_error);
        status
    }

    /// A panic went through this connection.
    fn poison(&self) {
        self.dead.store(true, Ordering::Relaxed);
        self.shared.died();
    }
}

impl fmt::Debug for ws_conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ws_conn").field("connection", &self.shared).finish_non_exhaustive()
    }
}

/// Starts connecting to a URL: ws:// over TCP, wss:// over TLS, `ws+unix://PATH:/TARGET` over a
/// Unix socket. In such a PATH, a colon is written as `%3A`, and a leading `@` denotes a name in
/// Linux's abstract namespace. `config` may be NULL.
///
/// This function never waits. ws_handshake(), or the first read, completes the connection and
/// reports what fails on the way, for example an unknown name or a refused connection. Calls are
/// blocking unless WS_OPT_BLOCKING is 0; then call ws_handshake() as ws_get_socket(),
/// ws_interest() and ws_next_deadline() say, or use ws_wait() or a poller.
///
/// URLs are UTF-8 and are parsed as browsers do (WHATWG URL standard): internationalised names are
/// converted by IDNA, "127.1" is 127.0.0.1, and characters that may not appear in a request are
/// percent-encoded. Refused are URLs that the standard would silently repair (a control character,
/// a missing host), a fragment (#), a user name, and port 0. See ws_url_check().
///
/// Names are looked up on threads of the library, which also load the system's certificates for
/// wss:// (once per configuration). There are at most 32 of them in a process; each lookup uses
/// two. If a resolver does not answer and all threads wait for it, further lookups queue, but not
/// longer than WS_OPT_CONNECT_TIMEOUT_MS and WS_OPT_HANDSHAKE_TIMEOUT_MS allow. Numeric addresses
/// need no lookup. A connection that is freed or times out leaves the queue. Addresses are tried
/// as described in RFC 8305 (Happy Eyeballs).
///
/// Returns WS_OK: `*out` is the connection; free it with ws_free(), at any time. Otherwise `*out`
/// is NULL, and the status is:
/// - WS_ERR_URL: the URL is not valid or not supported.
/// - WS_ERR_UNSUPPORTED: a wss:// URL, but the library was built without TLS; a ws+unix:// URL on
///   Windows; or it was built without sockets.
/// - WS_ERR_IO: the system refused a resource, for example a file descriptor; see errno.
/// - WS_ERR_NO_MEMORY: a buffer could not be allocated.
/// - WS_ERR_INVALID_ARGUMENT: `url` or `out` is NULL, `url` is not UTF-8, or the path of a Unix
///   socket is too long.
///
/// # Safety
/// `config` is NULL or a configuration; `url` is NULL or NUL-terminated; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_connect(
    config: *const ws_config,
    url: *const c_char,
    out: *mut *mut ws_conn,
) -> ws_status_t {
    guard::call(|| {
        // SAFETY: by the caller's word.
        let (out, url, setup) = unsafe {
            guard::null_first(out);
            (guard::out(out)?, guard::string(url)?, ws_config::setup(config, true))
        };
        *out = ws_conn::into_handle(SharedConnection::connect(&setup, &Url::parse(url)?)?);
        Ok(())
    })
}

/// Creates a client for a ws:// or wss:// URL over your own transport, which has to provide TLS if
/// that is wanted. Next, call ws_set_socket() or ws_set_io(), or neither for memory mode, then
/// ws_handshake(). `config` may be NULL.
///
/// Returns WS_OK: `*out` is the connection; free it with ws_free(). Otherwise `*out` is NULL, and
/// the status is:
/// - WS_ERR_URL: the URL is not valid or not supported.
/// - WS_ERR_NO_MEMORY: a buffer could not be allocated.
/// - WS_ERR_INVALID_ARGUMENT: `url` or `out` is NULL, or `url` is not UTF-8.
///
/// # Safety
/// `config` is NULL or a configuration; `url` is NULL or NUL-terminated; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_client_new(
    config: *const ws_config,
    url: *const c_char,
    out: *mut *mut ws_conn,
) -> ws_status_t {
    guard::call(|| {
        // SAFETY: by the caller's word.
        let (out, url, setup) = unsafe {
            guard::null_first(out);
            (guard::out(out)?, guard::string(url)?, ws_config::setup(config, false))
        };
        *out = ws_conn::into_handle(SharedConnection::client(&setup, &Url::parse(url)?, Stream::Memory)?);
        Ok(())
    })
}

/// Creates the server's end of a connection over your own transport. Next, call ws_set_socket() or
/// ws_set_io(), or neither for memory mode, then ws_handshake(). `config` may be NULL.
///
/// Returns WS_OK: `*out` is the connection; free it with ws_free(). Otherwise:
/// - WS_ERR_INVALID_ARGUMENT: `out` is NULL.
///
/// # Safety
/// `config` is NULL or a configuration; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_server_new(config: *const ws_config, out: *mut *mut ws_conn) -> ws_status_t {
    guard::call(|| {
        // SAFETY: by the caller's word.
        let (out, setup) = unsafe {
            guard::null_first(out);
            (guard::out(out)?, ws_config::setup(config, false))
        };
        *out = ws_conn::into_handle(SharedConnection::server(&setup, Stream::Memory));
        Ok(())
    })
}

/// Creates a connection whose opening handshake has been done elsewhere. `role` is WS_CLIENT or
/// WS_SERVER. `part` holds the bytes that were already received after the HTTP head; they are
/// copied and read first. `config` may be NULL.
///
/// Returns WS_OK: `*out` is the connection; free it with ws_free(). Otherwise `*out` is NULL, and
/// the status is:
/// - WS_ERR_INVALID_ARGUMENT: `out` is NULL, `part` is NULL although `len` is not 0, or there is
///   no such role.
/// - WS_ERR_NO_MEMORY: a buffer could not be allocated.
///
/// # Safety
/// `config` is NULL or a configuration; `part` is NULL or has `len` bytes; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_from_partially_read(
    config: *const ws_config,
    role: i32,
    part: *const u8,
    len: usize,
    out: *mut *mut ws_conn,
) -> ws_status_t {
    guard::call(|| {
        // SAFETY: by the caller's word.
        let (out, part, setup) = unsafe {
            guard::null_first(out);
            (guard::out(out)?, guard::bytes(part, len)?, ws_config::setup(config, false))
        };
        let role = match role {
            role if role == ws_role::WS_CLIENT as i32 => Role::Client,
            role if role == ws_role::WS_SERVER as i32 => Role::Server,
            _ => return Err(Error::InvalidArgument("no such role")),
        };
        *out = open(&setup, role, part)?;
        Ok(())
    })
}

/// Makes two callbacks the transport of a connection. They are called from within calls on this
/// connection, one at a time, on the thread that makes the call. They must not call back into the
/// connection (WS_ERR_MISUSE). They may block, but block all other calls on this connection
/// meanwhile.
///
/// Returns WS_OK, or:
/// - WS_ERR_INVALID_ARGUMENT: `conn` or a callback is NULL.
/// - WS_ERR_MISUSE: the connection already has a transport, or memory lent by ws_input() or
///   ws_output() has not been given back.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; the functions behave as ws_recv_fn and ws_send_fn say, with
/// `userdata`, from any thread, until ws_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_set_io(
    conn: *mut ws_conn,
    recv: ws_recv_fn,
    send: ws_send_fn,
    userdata: *mut c_void,
) -> ws_status_t {
    let set_io = |conn: &ws_conn| {
        let (Some(recv), Some(send)) = (recv, send) else {
            return Err(Error::InvalidArgument("a callback is NULL"));
        };
        let userdata = Userdata(userdata);
        let receive = move |space: &mut [u8]| {
            let mut n = 0;
            // SAFETY: by the caller's word; the pointer and length are those of a live, writable slice.
            let code = unsafe { recv(userdata.get(), space.as_mut_ptr(), space.len(), &mut n) };
            moved(code, n)
        };
        let send = move |bytes: &[u8]| {
            let mut n = 0;
            // SAFETY: by the caller's word; the pointer and length are those of a live slice.
            let code = unsafe { send(userdata.get(), bytes.as_ptr(), bytes.len(), &mut n) };
            match moved(code, n)? {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                n => Ok(n),
            }
        };
        conn.alive()?.set_stream(Stream::Callback(Box::new(Callback::new(Box::new(receive), Box::new(send)))))
    };
    // SAFETY: by the caller's word.
    unsafe { guard::call_on(conn, set_io) }
}

/// Makes your own connected stream socket the transport of a connection. The library does not
/// change its flags and never blocks in a system call on it, whether or not it is non-blocking. It
/// never closes it: close it after ws_free(). WS_OPT_BLOCKING is off unless it was set.
///
/// On Windows no single call can be told not to block. There, this function makes the socket
/// non-blocking (FIONBIO), and it has to stay that.
///
/// Returns WS_OK, or:
/// - WS_ERR_INVALID_ARGUMENT: `conn` is NULL, or `socket` is not a stream socket.
/// - WS_ERR_MISUSE: the connection already has a transport, or memory lent by ws_input() or
///   ws_output() has not been given back.
/// - WS_ERR_UNSUPPORTED: the library was built without sockets.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed; `socket` stays open until ws_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_set_socket(conn: *mut ws_conn, socket: ws_socket) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on(conn, |conn| {
            let socket = sys::borrow(socket)?;
            conn.alive()?.set_stream(Stream::Socket(Socket::borrowed(socket)))
        })
    }
}

/// Frees a connection and closes its socket if the library opened it. NULL is a no-op.
///
/// It does not wait and sends no Close. For a closing handshake, call ws_close() and read until
/// WS_ERR_CONNECTION_CLOSED first. The connection is removed from its poller. No other thread may
/// be inside a call on this connection. From one of the connection's own callbacks, this function
/// does nothing. In the child of a fork() it only closes the child's descriptor; the parent's
/// connection continues.
///
/// # Safety
/// `conn` is NULL or a connection that has not been freed, and nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_free(conn: *mut ws_conn) {
    // SAFETY: by the caller's word.
    let in_callback = unsafe { conn.as_ref() }.is_none_or(|conn| conn.shared.is_held_here());
    if !in_callback {
        // SAFETY: by the caller's word it came out of Box::into_raw, and is not used again.
        let conn = unsafe { Box::from_raw(conn) };
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            conn.shared.leave_any();
            drop(conn);
        }));
    }
}

fn open(setup: &Arc<Setup>, role: Role, part: &[u8]) -> Result<*mut ws_conn> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(part.len()).map_err(|_| Error::NoMemory)?;
    copy.extend_from_slice(part);
    Ok(ws_conn::into_handle(SharedConnection::open(setup, role, copy)))
}

/// What a callback has moved, or why not.
fn moved(code: i32, n: usize) -> io::Result<usize> {
    if code == 0 { Ok(n) } else { Err(sys::error_of(code)) }
}

/// The caller's pointer, on its way back to the caller's functions.
#[derive(Clone, Copy)]
struct Userdata(*mut c_void);

// SAFETY: it is only handed back to functions that the caller has said may be called from any thread.
unsafe impl Send for Userdata {}

impl Userdata {
    fn get(self) -> *mut c_void {
        self.0
    }
}
