//! # Configuration
//!
//! Initial settings of a connection or listener. A configuration is copied when it is used; it may
//! be changed or freed at any time afterwards. Only one thread at a time may use a configuration.
// Over 400 lines because it is one chapter of the header, and most of it is that text.

use crate::config::{DeflateConfig, WebSocketConfig};
use crate::error::{Error, Result};
use crate::ffi::guard;
use crate::ffi::types::{ws_option, ws_status_t};
use crate::net::proxy::Proxy;
use crate::net::setup::{self, Settings, Setup};
use crate::proto::handshake::Url;
use std::ffi::{CString, c_char};
use std::sync::Arc;
use std::time::Duration;

/// A configuration.
#[derive(Debug)]
pub struct ws_config {
    pub(super) setup: Setup,
    /// WS_OPT_BLOCKING, where it was set.
    blocking: Option<bool>,
    /// What permessage-deflate is configured with, be it on or off.
    deflate: DeflateConfig,
    /// What went wrong last.
    sentence: CString,
}

impl ws_config {
    fn new() -> Self {
        let websocket = WebSocketConfig { deliver_control: false, ..WebSocketConfig::default() };
        let setup = Setup { websocket: Arc::new(websocket), ..Setup::default() };
        Self { setup, blocking: None, deflate: DeflateConfig::default(), sentence: CString::default() }
    }

    /// A copy of the caller's configuration, or the defaults; `blocking` unless it says otherwise.
    ///
    /// # Safety
    /// `config` is NULL or a configuration that has not been freed.
    pub(super) unsafe fn setup(config: *const Self, blocking: bool) -> Arc<Setup> {
        // SAFETY: passed on from the caller.
        let (mut setup, chosen) = match unsafe { config.as_ref() } {
            Some(config) => (config.setup.clone(), config.blocking),
            None => (Self::new().setup, None),
        };
        setup.settings.blocking = chosen.unwrap_or(blocking);
        Arc::new(setup)
    }
}

impl guard::ConfigHandle for ws_config {
    fn remember(&mut self, error: &Error) {
        self.sentence = CString::new(error.to_string()).unwrap_or_default();
    }
}

/// Creates a configuration with the default values. Returns it, never NULL; free it with
/// ws_config_free().
#[unsafe(no_mangle)]
pub extern "C" fn ws_config_new() -> *mut ws_config {
    Box::into_raw(Box::new(ws_config::new()))
}

/// Frees a configuration. NULL is a no-op.
///
/// # Safety
/// `config` is NULL or was returned by ws_config_new() and has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_config_free(config: *mut ws_config) {
    if !config.is_null() {
        // SAFETY: by the caller's word it came out of Box::into_raw, and is not used again.
        drop(unsafe { Box::from_raw(config) });
    }
}

/// Sets an option (a value of ws_option).
///
/// Returns WS_OK, or:
/// - WS_ERR_INVALID_ARGUMENT: `config` is NULL, there is no such option, or the value is out of
///   range.
///
/// # Safety
/// `config` is NULL or a configuration that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_config_set(config: *mut ws_config, option: i32, value: u64) -> ws_status_t {
    let set = |config: &mut ws_config| {
        let setup = &mut config.setup;
        let websocket = Arc::make_mut(&mut setup.websocket);
        if is_deflate(option) {
            let on = set_deflate(&mut config.deflate, websocket.deflate.is_some(), option, value)?;
            websocket.deflate = on.then_some(config.deflate);
            return Ok(());
        }
        set(websocket, &mut setup.settings, option, value)?;
        if option == ws_option::WS_OPT_BLOCKING as i32 {
            config.blocking = Some(setup.settings.blocking);
        }
        if option == ws_option::WS_OPT_TLS_VERIFY as i32 {
            setup.tls.set_verify(setup.settings.tls_verify);
        }
        Ok(())
    };
    // SAFETY: by the caller's word.
    unsafe { guard::call_on_config(config, set) }
}

/// Stores the value of an option (a value of ws_option) in `*out`.
///
/// Returns WS_OK, or:
/// - WS_ERR_INVALID_ARGUMENT: an argument is NULL, or there is no such option.
///
/// # Safety
/// `config` is NULL or a configuration that has not been freed; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_config_get(config: *const ws_config, option: i32, out: *mut u64) -> ws_status_t {
    let get = |config: &mut ws_config| {
        // SAFETY: by the caller's word.
        let out = unsafe { guard::out(out) }?;
        let websocket = &config.setup.websocket;
        *out = match is_deflate(option) {
            true => get_deflate(&config.deflate, websocket.deflate.is_some(), option)?,
            false => get(websocket, &config.setup.settings, option)?,
        };
        Ok(())
    };
    // SAFETY: by the caller's word; it came out of ws_config_new(), and no other thread uses it.
    unsafe { guard::call_on_config(config.cast_mut(), get) }
}

/// Adds a header to the request of a client, or to every response of a server, including refusals
/// that the library sends by itself. The same name may be added more than once. Host replaces the
/// default; headers that belong to the WebSocket handshake are refused.
///
/// Returns WS_OK, or:
/// - WS_ERR_INVALID_ARGUMENT: an argument is NULL, name or value is not allowed by the HTTP
///   grammar (for example CR, LF or NUL), or the header belongs to the handshake.
///
/// # Safety
/// `config` is NULL or a configuration that has not been freed; the strings are NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_config_add_header(
    config: *mut ws_config,
    name: *const c_char,
    value: *const c_char,
) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on_config(config, |config| {
            let (name, value) = (guard::string(name)?, guard::string(value)?);
            Arc::make_mut(&mut config.setup.handshake).add_header(name, value)
        })
    }
}

/// Adds a subprotocol, in order of preference. A client offers all of them; a server selects the
/// first of its own that was offered.
///
/// Returns WS_OK, or:
/// - WS_ERR_INVALID_ARGUMENT: an argument is NULL, `name` is not a token, or it has been added
///   before.
///
/// # Safety
/// `config` is NULL or a configuration that has not been freed; `name` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_config_add_protocol(config: *mut ws_config, name: *const c_char) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on_config(config, |config| {
            Arc::make_mut(&mut config.setup.handshake).add_protocol(guard::string(name)?)
        })
    }
}

/// Sets the proxy for ws_connect(): `http://user:password@host:port` for HTTP CONNECT, or the same
/// with socks5 or socks5h. NULL removes it. It takes precedence over
/// WS_OPT_PROXY_FROM_ENVIRONMENT.
///
/// User name and password are optional; special characters in them must be percent-encoded. The
/// default port is 1080. The proxy resolves all names, also with socks5.
///
/// Returns WS_OK, or:
/// - WS_ERR_INVALID_ARGUMENT: `config` is NULL, or `url` is not such a URL. The configuration is
///   unchanged.
///
/// # Safety
/// `config` is NULL or a configuration that has not been freed; `url` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_config_set_proxy(config: *mut ws_config, url: *const c_char) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on_config(config, |config| {
            config.setup.proxy = guard::optional_string(url)?.map(Proxy::parse).transpose()?;
            Ok(())
        })
    }
}

/// Looks up the proxy that the environment names for a URL, by the rules of
/// WS_OPT_PROXY_FROM_ENVIRONMENT, for a program that makes other connections and wants to use the
/// same proxy.
///
/// The URL of the proxy is written to `buf` as a NUL-terminated string, in the form that
/// ws_config_set_proxy() takes: with scheme, host and port, and with user name and password if the
/// variable has them. `*out_len` is its length without the NUL, or 0 if there is no proxy. If the
/// URL does not fit, `buf` gets an empty string (if `capacity` is not 0) and `*out_len` is not
/// less than `capacity`. `buf` may be NULL if `capacity` is 0.
///
/// Returns WS_OK, or:
/// - WS_ERR_URL: `url` is not valid or not supported.
/// - WS_ERR_PROXY: the variable names no usable proxy; this includes proxies that require TLS
///   (https://). ws_last_error_message() names the variable, but not its value, which may contain
///   a password.
/// - WS_ERR_INVALID_ARGUMENT: an argument is NULL, or `url` is not UTF-8.
///
/// # Safety
/// `url` is NULL or NUL-terminated; `buf` is NULL or has room for `capacity` bytes; `out_len` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_proxy_for(
    url: *const c_char,
    buf: *mut c_char,
    capacity: usize,
    out_len: *mut usize,
) -> ws_status_t {
    guard::call(|| {
        // SAFETY: by the caller's word.
        let (url, room, out_len) =
            unsafe { (guard::string(url)?, guard::room(buf.cast::<u8>(), capacity)?, guard::out(out_len)?) };
        let proxy = setup::proxy_url_for(&Url::parse(url)?)?.unwrap_or_default();
        let shown = if proxy.len() < room.len() { proxy.as_bytes() } else { &[] };
        for (place, byte) in room.iter_mut().zip(shown.iter().chain(&[0])) {
            *place = *byte;
        }
        *out_len = proxy.len();
        Ok(())
    })
}

/// Sets the trusted certificates for wss://, one or more in PEM, in place of the system's. A
/// client accepts a server whose certificate was issued by one of them, or is one of them. A
/// listener requires such a certificate from its clients, and refuses clients without one. The
/// bytes are copied; a second call replaces the first.
///
/// Returns WS_OK, or:
/// - WS_ERR_INVALID_ARGUMENT: an argument is NULL, or `pem` contains no certificate or a malformed
///   one.
/// - WS_ERR_UNSUPPORTED: the library was built without TLS.
///
/// # Safety
/// `config` is NULL or a configuration that has not been freed; `pem` is NULL or points to `len` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_config_set_tls_roots(
    config: *mut ws_config,
    pem: *const u8,
    len: usize,
) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe { guard::call_on_config(config, |config| config.setup.tls.set_roots(guard::bytes(pem, len)?)) }
}

/// Sets the own certificate, in PEM: the chain, own certificate first, and its private key
/// (PKCS#8, PKCS#1 or SEC1, unencrypted). Required for a wss:// listener; a client presents it to
/// servers that request one. The bytes are copied; a second call replaces the first.
///
/// Returns WS_OK, or:
/// - WS_ERR_INVALID_ARGUMENT: an argument is NULL, the certificate or the key is missing or
///   malformed, or the key does not match the certificate.
/// - WS_ERR_UNSUPPORTED: the library was built without TLS.
///
/// # Safety
/// `config` is NULL or a configuration that has not been freed; each other pointer is NULL or points to
/// as many readable bytes as its length says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_config_set_tls_identity(
    config: *mut ws_config,
    chain_pem: *const u8,
    chain_len: usize,
    key_pem: *const u8,
    key_len: usize,
) -> ws_status_t {
    // SAFETY: by the caller's word.
    unsafe {
        guard::call_on_config(config, |config| {
            let (chain, key) = (guard::bytes(chain_pem, chain_len)?, guard::bytes(key_pem, key_len)?);
            config.setup.tls.set_identity(chain, key)
        })
    }
}

/// Describes the last failure of a call on this configuration: for example, what is wrong with a
/// header, a proxy, a certificate or a value. Failures of calls that only use the configuration,
/// such as ws_connect(), are described by ws_last_error_message().
///
/// Returns a string, never NULL; "" if there was no failure, and for NULL. It is valid until the
/// next call on this configuration that fails, or ws_config_free().
///
/// # Safety
/// `config` is NULL or a configuration that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ws_config_error_message(config: *const ws_config) -> *const c_char {
    // SAFETY: by the caller's word.
    unsafe { config.as_ref() }.map_or(c"".as_ptr(), |config| config.sentence.as_ptr())
}

/// Sets an option by its number.
pub(super) fn set(
    websocket: &mut WebSocketConfig,
    settings: &mut Settings,
    option: i32,
    value: u64,
) -> Result<()> {
    use ws_option::*;
    match known(option)? {
        WS_OPT_MAX_MESSAGE_SIZE => websocket.max_message_size = limit(value)?,
        WS_OPT_MAX_SENT_SIZE => websocket.max_sent_size = Some(limit(value)?),
        WS_OPT_MAX_FRAME_SIZE => websocket.max_frame_size = limit(value)?,
        WS_OPT_MAX_FRAGMENTS => websocket.max_fragments = limit(value)?,
        WS_OPT_MAX_HEAD_SIZE if value < 256 => {
            return Err(Error::InvalidArgument("the limit of an HTTP head must be at least 256 bytes"));
        }
        WS_OPT_MAX_HEAD_SIZE => websocket.max_head_size = size(value)?,
        WS_OPT_MAX_SEND_QUEUE => websocket.max_send_queue = limit(value)?,
        WS_OPT_MAX_SEND_BYTES => websocket.max_send_bytes = limit(value)?,
        WS_OPT_ACCEPT_UNMASKED_FRAMES => websocket.accept_unmasked_frames = flag(value)?,
        WS_OPT_BLOCKING => settings.blocking = flag(value)?,
        WS_OPT_READ_TIMEOUT_MS => settings.read_timeout = time(value),
        WS_OPT_HANDSHAKE_TIMEOUT_MS => websocket.handshake_timeout = time(value),
        WS_OPT_CLOSE_TIMEOUT_MS => websocket.close_timeout = time(value),
        WS_OPT_PING_INTERVAL_MS => websocket.ping_interval = time(value),
        WS_OPT_IDLE_TIMEOUT_MS => websocket.idle_timeout = time(value),
        WS_OPT_PONG_TIMEOUT_MS => websocket.pong_timeout = time(value),
        WS_OPT_WRITE_TIMEOUT_MS => settings.write_timeout = time(value),
        WS_OPT_CONNECT_TIMEOUT_MS => settings.connect_timeout = time(value),
        WS_OPT_AUTO_PONG => websocket.auto_pong = flag(value)?,
        WS_OPT_DELIVER_CONTROL => websocket.deliver_control = flag(value)?,
        WS_OPT_DELIVER_FRAGMENTS => websocket.deliver_fragments = flag(value)?,
        WS_OPT_AUTO_ACCEPT => settings.auto_accept = flag(value)?,
        WS_OPT_TCP_NODELAY => settings.nodelay = flag(value)?,
        WS_OPT_REUSE_PORT => settings.reuse_port = flag(value)?,
        WS_OPT_KEEP_HEAD => websocket.keep_head = flag(value)?,
        WS_OPT_PLAIN_REQUESTS => websocket.plain_requests = flag(value)?,
        WS_OPT_PROXY_FROM_ENVIRONMENT => settings.proxy_from_environment = flag(value)?,
        WS_OPT_TLS_VERIFY => settings.tls_verify = flag(value)?,
        _ => return Err(Error::InvalidArgument("this option is for a configuration only")),
    }
    Ok(())
}

/// Whether an option tells how a transport is opened: for a connection that is there it comes too late.
pub(super) fn is_for_opening(option: i32) -> bool {
    use ws_option::*;
    let these = [
        WS_OPT_TCP_NODELAY,
        WS_OPT_CONNECT_TIMEOUT_MS,
        WS_OPT_REUSE_PORT,
        WS_OPT_PROXY_FROM_ENVIRONMENT,
        WS_OPT_TLS_VERIFY,
        WS_OPT_KEEP_HEAD,
        WS_OPT_PLAIN_REQUESTS,
    ];
    these.iter().any(|opening| *opening as i32 == option)
}

/// Whether an option is one of permessage-deflate's.
pub(super) fn is_deflate(option: i32) -> bool {
    (ws_option::WS_OPT_DEFLATE as i32..=ws_option::WS_OPT_DEFLATE_SERVER_NO_CONTEXT_TAKEOVER as i32)
        .contains(&option)
}

/// Sets an option of permessage-deflate; whether that is on afterwards.
fn set_deflate(deflate: &mut DeflateConfig, on: bool, option: i32, value: u64) -> Result<bool> {
    use ws_option::*;
    match known(option)? {
        WS_OPT_DEFLATE => return flag(value),
        WS_OPT_DEFLATE_LEVEL => match value {
            1..=9 => deflate.level = value as u32,
            _ => return Err(Error::InvalidArgument("a level of compression is 1 to 9")),
        },
        WS_OPT_DEFLATE_THRESHOLD => deflate.threshold = size(value)?,
        WS_OPT_DEFLATE_CLIENT_MAX_WINDOW_BITS => deflate.client_max_window_bits = window_bits(value)?,
        WS_OPT_DEFLATE_SERVER_MAX_WINDOW_BITS => deflate.server_max_window_bits = window_bits(value)?,
        WS_OPT_DEFLATE_CLIENT_NO_CONTEXT_TAKEOVER => deflate.client_no_context_takeover = flag(value)?,
        _ => deflate.server_no_context_takeover = flag(value)?,
    }
    Ok(on)
}

/// Reads an option of permessage-deflate.
pub(super) fn get_deflate(deflate: &DeflateConfig, on: bool, option: i32) -> Result<u64> {
    use ws_option::*;
    Ok(match known(option)? {
        WS_OPT_DEFLATE => on.into(),
        WS_OPT_DEFLATE_LEVEL => deflate.level.into(),
        WS_OPT_DEFLATE_THRESHOLD => deflate.threshold as u64,
        WS_OPT_DEFLATE_CLIENT_MAX_WINDOW_BITS => deflate.client_max_window_bits.into(),
        WS_OPT_DEFLATE_SERVER_MAX_WINDOW_BITS => deflate.server_max_window_bits.into(),
        WS_OPT_DEFLATE_CLIENT_NO_CONTEXT_TAKEOVER => deflate.client_no_context_takeover.into(),
        _ => deflate.server_no_context_takeover.into(),
    })
}

/// Reads an option by its number.
pub(super) fn get(websocket: &WebSocketConfig, settings: &Settings, option: i32) -> Result<u64> {
    use ws_option::*;
    let limit = |limit: Option<usize>| limit.unwrap_or_default() as u64;
    let time =
        |time: Option<Duration>| time.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    Ok(match known(option)? {
        WS_OPT_MAX_MESSAGE_SIZE => limit(websocket.max_message_size),
        WS_OPT_MAX_SENT_SIZE => limit(websocket.largest_sent()),
        WS_OPT_MAX_FRAME_SIZE => limit(websocket.max_frame_size),
        WS_OPT_MAX_FRAGMENTS => limit(websocket.max_fragments),
        WS_OPT_MAX_HEAD_SIZE => websocket.max_head_size as u64,
        WS_OPT_MAX_SEND_QUEUE => limit(websocket.max_send_queue),
        WS_OPT_MAX_SEND_BYTES => limit(websocket.max_send_bytes),
        WS_OPT_ACCEPT_UNMASKED_FRAMES => websocket.accept_unmasked_frames.into(),
        WS_OPT_BLOCKING => settings.blocking.into(),
        WS_OPT_READ_TIMEOUT_MS => time(settings.read_timeout),
        WS_OPT_HANDSHAKE_TIMEOUT_MS => time(websocket.handshake_timeout),
        WS_OPT_CLOSE_TIMEOUT_MS => time(websocket.close_timeout),
        WS_OPT_PING_INTERVAL_MS => time(websocket.ping_interval),
        WS_OPT_IDLE_TIMEOUT_MS => time(websocket.idle_timeout),
        WS_OPT_PONG_TIMEOUT_MS => time(websocket.pong_timeout),
        WS_OPT_WRITE_TIMEOUT_MS => time(settings.write_timeout),
        WS_OPT_CONNECT_TIMEOUT_MS => time(settings.connect_timeout),
        WS_OPT_AUTO_PONG => websocket.auto_pong.into(),
        WS_OPT_DELIVER_CONTROL => websocket.deliver_control.into(),
        WS_OPT_DELIVER_FRAGMENTS => websocket.deliver_fragments.into(),
        WS_OPT_AUTO_ACCEPT => settings.auto_accept.into(),
        WS_OPT_TCP_NODELAY => settings.nodelay.into(),
        WS_OPT_REUSE_PORT => settings.reuse_port.into(),
        WS_OPT_KEEP_HEAD => websocket.keep_head.into(),
        WS_OPT_PLAIN_REQUESTS => websocket.plain_requests.into(),
        WS_OPT_PROXY_FROM_ENVIRONMENT => settings.proxy_from_environment.into(),
        WS_OPT_TLS_VERIFY => settings.tls_verify.into(),
        _ => return Err(Error::InvalidArgument("no such option here")),
    })
}

fn known(option: i32) -> Result<ws_option> {
    use ws_option::*;
    const ALL: &[ws_option] = &[
        WS_OPT_MAX_MESSAGE_SIZE,
        WS_OPT_MAX_SENT_SIZE,
        WS_OPT_MAX_FRAME_SIZE,
        WS_OPT_MAX_FRAGMENTS,
        WS_OPT_MAX_HEAD_SIZE,
        WS_OPT_MAX_SEND_QUEUE,
        WS_OPT_MAX_SEND_BYTES,
        WS_OPT_ACCEPT_UNMASKED_FRAMES,
        WS_OPT_BLOCKING,
        WS_OPT_READ_TIMEOUT_MS,
        WS_OPT_HANDSHAKE_TIMEOUT_MS,
        WS_OPT_CLOSE_TIMEOUT_MS,
        WS_OPT_PING_INTERVAL_MS,
        WS_OPT_IDLE_TIMEOUT_MS,
        WS_OPT_PONG_TIMEOUT_MS,
        WS_OPT_WRITE_TIMEOUT_MS,
        WS_OPT_CONNECT_TIMEOUT_MS,
        WS_OPT_AUTO_PONG,
        WS_OPT_DELIVER_CONTROL,
        WS_OPT_DELIVER_FRAGMENTS,
        WS_OPT_AUTO_ACCEPT,
        WS_OPT_TCP_NODELAY,
        WS_OPT_REUSE_PORT,
        WS_OPT_PROXY_FROM_ENVIRONMENT,
        WS_OPT_KEEP_HEAD,
        WS_OPT_PLAIN_REQUESTS,
        WS_OPT_DEFLATE,
        WS_OPT_DEFLATE_LEVEL,
        WS_OPT_DEFLATE_THRESHOLD,
        WS_OPT_DEFLATE_CLIENT_MAX_WINDOW_BITS,
        WS_OPT_DEFLATE_SERVER_MAX_WINDOW_BITS,
        WS_OPT_DEFLATE_CLIENT_NO_CONTEXT_TAKEOVER,
        WS_OPT_DEFLATE_SERVER_NO_CONTEXT_TAKEOVER,
        WS_OPT_TLS_VERIFY,
    ];
    ALL.iter().copied().find(|known| *known as i32 == option).ok_or(Error::InvalidArgument("no such option"))
}

fn size(value: u64) -> Result<usize> {
    usize::try_from(value).map_err(|_| Error::InvalidArgument("the value is too large for this machine"))
}

fn window_bits(value: u64) -> Result<u8> {
    match value {
        8..=15 => Ok(value as u8),
        _ => Err(Error::InvalidArgument("a window has 8 to 15 bits")),
    }
}

fn limit(value: u64) -> Result<Option<usize>> {
    Ok(Some(size(value)?).filter(|limit| *limit > 0))
}

fn time(value: u64) -> Option<Duration> {
    Some(Duration::from_millis(value)).filter(|time| !time.is_zero())
}

fn flag(value: u64) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::InvalidArgument("an option that is on or off takes 1 or 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::types::ws_status::{WS_ERR_INVALID_ARGUMENT, WS_OK};

    #[test]
    fn a_proxy_that_cannot_be_used_changes_nothing() {
        let mut config = ws_config::new();
        for (url, status, host) in [
            (Some(c"http://a:1"), WS_OK, Some("a")),
            (Some(c"https://b:1"), WS_ERR_INVALID_ARGUMENT, Some("a")),
            (Some(c"http://b:\xFF"), WS_ERR_INVALID_ARGUMENT, Some("a")),
            (Some(c"socks5://b"), WS_OK, Some("b")),
            (None, WS_OK, None),
        ] {
            let url = url.map_or(std::ptr::null(), |url| url.as_ptr());
            // SAFETY: the configuration is alive, and the string is one of C's.
            assert_eq!(unsafe { ws_config_set_proxy(&mut config, url) }, status as i32);
            assert_eq!(config.setup.proxy.as_ref().map(Proxy::host), host);
        }
    }

    #[test]
    fn a_proxy_that_is_set_comes_before_that_of_the_environment() {
        let mut config = ws_config::new();
        assert_eq!(config.setup.proxy_for(true, "host", 443).unwrap(), None);
        let option = ws_option::WS_OPT_PROXY_FROM_ENVIRONMENT as i32;
        // SAFETY: the configuration is alive, and the string is one of C's.
        unsafe {
            assert_eq!(ws_config_set(&mut config, option, 1), WS_OK as i32);
            assert_eq!(ws_config_set_proxy(&mut config, c"http://a".as_ptr()), WS_OK as i32);
        }
        let proxy = config.setup.proxy_for(true, "host", 443).unwrap();
        assert_eq!(proxy.as_ref().map(Proxy::host), Some("a"));
    }
}
