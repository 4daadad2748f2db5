//! # Listening
//!
//! A listener accepts connections over TCP, TLS or a Unix socket. Several threads may use it at
//! the same time.

use crate::error::Error;
use crate::ffi::config::ws_config;
use crate::ffi::connection::ws_conn;
use crate::ffi::guard;
use crate::ffi::types::{ws_socket, ws_status_t};
use crate::net::listener::Listener;
use crate::net::setup::Setup;
use crate::net::shared::SharedConnection;
use crate::proto::handshake::Url;
use crate::sys;
use std::ffi::c_char;
use std::sync::Arc;
use std::time::Instant;

/// A listening socket, and the configuration of the connections it accepts.
#[derive(Debug)]
pub struct ws_listener {
    pub(super) listener: Arc<Listener>,
    setup: Arc<Setup>,
}

/// Listens on the host and port of a ws:// URL, on those of a wss:// URL with the certificate of
/// ws_config_set_tls_identity(), or on the path of a ws+unix:// URL (see ws_connect()). The URL's
/// path and query are ignored. Port 0 selects a free port (see ws_listener_port()). `config` also
/// applies to the accepted connections and may be NULL; WS_OPT_BLOCKING and WS_OPT_READ_TIMEOUT_MS
/// apply to accepting as well.
///
/// The file of a Unix socket is removed with the listener, unless something else has taken its
/// place. A socket file left behind by a listener that no longer exists is replaced. Nothing else
/// is ever removed: the result is WS_ERR_IO with EADDRINUSE if the path is in use by another
/// listener, and with EEXIST if it is a file, a directory, a FIFO or a symbolic link.
///
/// Returns WS_OK: `*out` is the listener; free it with ws_listener_free(). Otherwise `*out` is
/// NULL, and the status is:
/// - WS_ERR_IO: listening on the address failed; see errno (0: the host was not found).
/// - WS_ERR_URL: the URL is not valid or not supported.
/// - WS_ERR_TLS: a wss:// URL, but the configuration has no usable certificate.
/// - WS_ERR_UNSUPPORTED: a wss:// URL, but the library was built without TLS; a ws+unix:// URL or
///   WS_OPT_REUSE_PORT on Windows; or it was built without sockets.
/// - WS_ERR_INVALID_ARGUMENT: `url` or `out` is NULL, `url` is not UTF-8, or the path of a Unix
///   socket is too long.
///
/// # Safety
/// `config` is NULL or a configuration; `url` is NULL or NUL-terminated; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_listen(
    config: *const ws_config,
    url: *const c_char,
    out: *mut *mut ws_listener,
) -> ws_status_t {
    guard::call(|| {
        // SAFETY: by the caller's word.
        let (out, url, setup) = unsafe {
            guard::null_first(out);
            (guard::out(out)?, guard::string(url)?, ws_config::setup(config, true))
        };
        let listener = Arc::new(Listener::bind(&Url::parse_local(url)?, &setup)?);
        *out = Box::into_raw(Box::new(ws_listener { listener, setup }));
        Ok(())
    })
}

/// Accepts the next connection. Its opening handshake is still to be done, by ws_handshake() or by
/// the first read.
///
/// Returns WS_OK: `*out` is the connection; free it with ws_free(). Otherwise `*out` is NULL, and
/// the status is:
/// - WS_ERR_WOULD_BLOCK: no connection is waiting; if blocking, WS_OPT_READ_TIMEOUT_MS has passed.
/// - WS_ERR_IO: accepting failed; see errno, for example EMFILE. The listener remains usable.
/// - WS_ERR_INVALID_ARGUMENT: an argument is NULL.
///
/// # Safety
/// `listener` is NULL or a listener that has not been freed; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_listener_accept(
    listener: *mut ws_listener,
    out: *mut *mut ws_conn,
) -> ws_status_t {
    guard::call(|| {
        // SAFETY: by the caller's word.
        let (out, listener) = unsafe {
            guard::null_first(out);
            (guard::out(out)?, listener.as_ref().ok_or(Error::InvalidArgument("the listener is NULL"))?)
        };
        let settings = &listener.setup.settings;
        let link = match settings.blocking {
            true => {
                let until = settings.read_timeout.and_then(|wait| Instant::now().checked_add(wait));
                listener.listener.accept_until(until)?
            }
            false => listener.listener.accept()?,
        };
        *out = ws_conn::into_handle(SharedConnection::server(&listener.setup, link));
        Ok(())
    })
}

/// Returns the listening socket, for your own event loop; -1 for NULL.
///
/// # Safety
/// `listener` is NULL or a listener that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_listener_socket(listener: *const ws_listener) -> ws_socket {
    // SAFETY: by the caller's word.
    unsafe { listener.as_ref() }.map_or(-1, |listener| sys::number(listener.listener.raw_socket()))
}

/// Returns the port on which it listens; 0 for NULL and for a Unix socket.
///
/// # Safety
/// `listener` is NULL or a listener that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_listener_port(listener: *const ws_listener) -> i32 {
    // SAFETY: by the caller's word.
    unsafe { listener.as_ref() }.map_or(0, |listener| listener.listener.port().into())
}

/// Stops listening and frees the listener. Connections that it accepted continue. It is removed
/// from its poller. NULL is a no-op.
///
/// # Safety
/// `listener` is NULL or a listener that has not been freed, and nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_listener_free(listener: *mut ws_listener) {
    if !listener.is_null() {
        // SAFETY: by the caller's word it came out of Box::into_raw, and is not used again.
        let listener = unsafe { Box::from_raw(listener) };
        listener.listener.leave_poller();
    }
}
