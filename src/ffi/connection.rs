//! CONNECTIONS. A connection is made here, is given a transport, and is freed. Any thread may call any function on it;
//! calls are serialised inside, and a thread that waits for the peer holds nobody up. One thread at a time reads: another
//! that does so meanwhile gets WS_ERR_MISUSE, and one that reads afterwards ends the loan of what was read before.
//!
//! There are four transports and one set of verbs: a socket that the library opens (ws_connect, ws_listen), a socket of
//! the caller's (ws_set_socket), two functions of the caller's (ws_set_io), and memory (none of these: ws_feed and
//! ws_output move the bytes).

use crate::error::{Error, Result};
use crate::ffi::batch::MessageBatch;
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
    pub(super) fn next_ahead(&self) -> Option<*const ws_message> {
        if self.dead.load(Ordering::Relaxed) {
            return None;
        }
        let place = self.shared.next_ahead()?;
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

/// Starts a connection to a URL: ws:// over TCP, wss:// over TLS, ws+unix://PATH:/TARGET over a Unix socket (a colon in
/// the path is %3A; a path that begins with @ is an abstract name of Linux's). It never waits: ws_handshake() completes
/// it and tells what went wrong on the way, be it that the name is not known or that nobody listens; reading does it, too.
///
/// URLs are UTF-8, and read as browsers read them (WHATWG's URL standard): names in other scripts become
/// IDNA, "127.1" is 127.0.0.1, and characters that a request cannot have are percent-encoded. What that
/// standard would mend in silence (a control character, a missing host), a fragment (#), a user name
/// and port 0 are refused. See ws_url_check().
///
/// Names are looked up on threads of the library's own, and so are the system's certificates read for wss://, once for
/// each configuration: on 32 threads of a process at most, of which each connection needs two for a name. Where the
/// resolver does not answer and all of them wait for it, other names wait for their turn, until WS_OPT_CONNECT_TIMEOUT_MS
/// or WS_OPT_HANDSHAKE_TIMEOUT_MS is over at the latest; addresses written out in the URL need no turn. A connection that
/// is freed, or whose time is over, gives its turn up. Addresses are tried as in RFC 8305. Blocking, unless WS_OPT_BLOCKING says otherwise; then drive it
/// with ws_handshake(), as ws_get_socket(), ws_interest() and ws_next_deadline() say, or with ws_wait() or a poller.
/// `config` may be NULL.
///
/// WS_OK: *out is the connection, to be freed with ws_free(), at any moment; WS_ERR_INVALID_ARGUMENT: NULL, not UTF-8, or
/// a path too long; WS_ERR_URL: the URL cannot be used; WS_ERR_UNSUPPORTED: wss in a build without TLS, or a build without
/// sockets; WS_ERR_IO: no descriptors to be had, errno says why; WS_ERR_NO_MEMORY. *out is NULL then.
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

/// Makes a client for a ws:// or wss:// URL over a transport of the caller's, who sees to TLS. Give it a socket or
/// callbacks next, or neither for memory mode, then call ws_handshake(). `config` may be NULL.
///
/// WS_OK: *out is the connection, to be freed with ws_free(); WS_ERR_INVALID_ARGUMENT; WS_ERR_URL; WS_ERR_NO_MEMORY.
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

/// Makes a server's end of a connection over a transport of the caller's. Give it a socket or callbacks next, or neither
/// for memory mode, then call ws_handshake(). `config` may be NULL.
///
/// WS_OK: *out is the connection, to be freed with ws_free(); WS_ERR_INVALID_ARGUMENT.
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

/// Makes a connection whose opening handshake somebody else has done. `part` is what has been read after the head; it is
/// delivered first, and copied. `role` is WS_CLIENT or WS_SERVER. `config` may be NULL.
///
/// WS_OK: *out is the connection, to be freed with ws_free(); WS_ERR_INVALID_ARGUMENT; WS_ERR_NO_MEMORY.
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

/// Lets two functions of the caller's move the bytes. They are called from within calls on this connection, one at a
/// time, whichever thread makes them; they must not call back into it (WS_ERR_MISUSE). They may block, and hold up
/// every other call on this connection while they do.
///
/// WS_OK; WS_ERR_INVALID_ARGUMENT: NULL; WS_ERR_MISUSE: the connection has its transport already, or has lent what ws_input()
/// or ws_output() gave.
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

/// Lets a connected stream socket of the caller's move the bytes. It is used without blocking whatever its flags say,
/// keeps its flags, and is never closed here: close it after ws_free(). WS_OPT_BLOCKING is off unless it was set.
///
/// WS_OK; WS_ERR_INVALID_ARGUMENT: NULL, or no stream socket; WS_ERR_MISUSE: the connection has its transport already, or has
/// lent what ws_input() or ws_output() gave; WS_ERR_UNSUPPORTED: a build without sockets.
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

/// Frees a connection, and closes the socket if the library opened it: at once, without a Close of its own. For a closing
/// handshake call ws_close() and read until CONNECTION_CLOSED first. A poller forgets it. NULL is fine. No other thread may be in a call on
/// the connection, nor may one of its callbacks make this call: it does nothing then. In the child of a fork() the
/// descriptor is closed, and the connection of the parent goes on.
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
    if code == 0 { Ok(n) } else { Err(io::Error::from_raw_os_error(code)) }
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
