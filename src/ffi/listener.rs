//! LISTENING. A listener accepts connections over TCP, TLS or a Unix socket; several threads may use it.

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

/// Listens at the host and port of a ws:// URL, of a wss:// URL with the certificate of ws_config_set_tls_identity(), or
/// at the path of a ws+unix:// URL (see ws_connect()); what is asked of the host is not looked at. Port 0 takes a free
/// one (ws_listener_port). `config` is that of the connections, and may be NULL; WS_OPT_BLOCKING and
/// WS_OPT_READ_TIMEOUT_MS hold for accepting, too.
///
/// Of a Unix socket, the file is removed with the listener, unless something else is at the path by then. A socket that a
/// listener left behind when it died is replaced. Nothing else is ever removed: WS_ERR_IO with EADDRINUSE where somebody
/// listens at the path, with EEXIST where a file, a directory, a FIFO or a symbolic link is there.
///
/// WS_OK: *out is the listener, to be freed with ws_listener_free(); WS_ERR_IO: the address cannot be listened at, errno
/// says why (0: no such host); WS_ERR_URL; WS_ERR_TLS: wss:// without a certificate that can be used;
/// WS_ERR_UNSUPPORTED: wss in a build without TLS, or a build without sockets; WS_ERR_INVALID_ARGUMENT. *out is NULL then.
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

/// Accepts the next connection. Its opening handshake is still to come: with ws_handshake(), or with the first read.
///
/// WS_OK: *out is the connection, to be freed with ws_free(). WS_ERR_WOULD_BLOCK: none waits; blocking,
/// WS_OPT_READ_TIMEOUT_MS ran out. WS_ERR_IO: errno says why, for instance EMFILE; the listener can still be used.
/// WS_ERR_INVALID_ARGUMENT: NULL. *out is NULL then.
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

/// The listening socket, for a poll of the caller's; -1 for NULL.
///
/// # Safety
/// `listener` is NULL or a listener that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_listener_socket(listener: *const ws_listener) -> ws_socket {
    // SAFETY: by the caller's word.
    unsafe { listener.as_ref() }.map_or(-1, |listener| sys::number(listener.listener.raw_socket()))
}

/// The port it listens on; 0 for NULL and for a Unix socket.
///
/// # Safety
/// `listener` is NULL or a listener that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_listener_port(listener: *const ws_listener) -> i32 {
    // SAFETY: by the caller's word.
    unsafe { listener.as_ref() }.map_or(0, |listener| listener.listener.port().into())
}

/// Stops listening and frees the listener; connections that it accepted go on. A poller forgets it. NULL is fine.
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
