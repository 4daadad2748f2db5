//! A build without the feature `net`: what needs a socket says so, in its status and in a sentence, and all else works.

#![cfg(not(feature = "net"))]

use std::ffi::{CStr, c_char};
use std::io::{self, Read, Write};
use std::ptr;
use wsabi::internals::ffi::{self, ws_status};
use wsabi::{Message, Role, WebSocket};

const OK: i32 = ws_status::WS_OK as i32;
const UNSUPPORTED: i32 = ws_status::WS_ERR_UNSUPPORTED as i32;
const INVALID: i32 = ws_status::WS_ERR_INVALID_ARGUMENT as i32;
const MISUSE: i32 = ws_status::WS_ERR_MISUSE as i32;

fn sentence(text: *const c_char) -> String {
    // SAFETY: the library's strings end with a NUL, and stay until the next call.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned()
}

/// A connection in memory mode.
fn server() -> *mut ffi::ws_conn {
    let mut conn = ptr::null_mut();
    // SAFETY: the pointer is to a live value.
    assert_eq!(unsafe { ffi::ws_server_new(ptr::null(), &mut conn) }, OK);
    conn
}

#[test]
fn what_makes_a_socket_is_refused_with_a_sentence() {
    let (mut conn, mut listener, mut poller) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    for url in [c"ws://127.0.0.1:1/", c"wss://localhost/", c"ws+unix:///tmp/none:/", c"ws://name.invalid/"] {
        // SAFETY: the pointers are to live values, and the strings are C's.
        let statuses = unsafe {
            [
                ffi::ws_connect(ptr::null(), url.as_ptr(), &mut conn),
                ffi::ws_listen(ptr::null(), url.as_ptr(), &mut listener),
                ffi::ws_poller_new(&mut poller),
            ]
        };
        assert_eq!(statuses, [UNSUPPORTED; 3], "{url:?}");
        assert!(conn.is_null() && listener.is_null() && poller.is_null());
        assert_eq!(sentence(ffi::ws_last_error_message()), "the library was built without sockets");
    }
    // A URL that cannot be used is one here, too.
    // SAFETY: as above.
    let status = unsafe { ffi::ws_connect(ptr::null(), c"http://a/".as_ptr(), &mut conn) };
    assert_eq!(status, ws_status::WS_ERR_URL as i32);
}

#[test]
fn a_socket_of_the_callers_is_refused_and_the_connection_goes_on() {
    let conn = server();
    // SAFETY: the connection is alive until it is freed.
    unsafe {
        assert_eq!(ffi::ws_set_socket(conn, 0), UNSUPPORTED);
        assert_eq!(sentence(ffi::ws_error_message(conn)), "the library was built without sockets");
        assert_eq!(ffi::ws_get_socket(conn), -1);
        assert_eq!(ffi::ws_wait(conn, 0), MISUSE);
        assert_eq!(ffi::ws_poller_read(conn, 1), MISUSE);
        assert_eq!(ffi::ws_get_state(conn), ffi::ws_state::WS_STATE_CONNECTING as i32);
        assert_eq!(ffi::ws_feed(conn, b"GET".as_ptr(), 3, &mut 0), OK);
        ffi::ws_free(conn);
    }
}

#[test]
fn handles_that_cannot_be_are_null() {
    let conn = server();
    let (mut accepted, mut count, mut tokens) = (ptr::null_mut(), 7, [0]);
    let (listener, poller) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: NULL, or alive.
    unsafe {
        assert_eq!(ffi::ws_listener_accept(listener, &mut accepted), INVALID);
        assert_eq!((ffi::ws_listener_socket(listener), ffi::ws_listener_port(listener)), (-1, 0));
        assert_eq!(ffi::ws_poller_add(poller, conn, 1), INVALID);
        assert_eq!(ffi::ws_poller_remove(poller, conn), INVALID);
        assert_eq!(ffi::ws_poller_add_listener(poller, listener, 1), INVALID);
        assert_eq!(ffi::ws_poller_wake(poller), INVALID);
        assert_eq!(ffi::ws_poller_wait(poller, tokens.as_mut_ptr(), 1, 0, &mut count), INVALID);
        ffi::ws_listener_free(listener);
        ffi::ws_poller_free(poller);
        ffi::ws_free(conn);
    }
    assert_eq!(count, 0);
}

#[test]
fn a_configuration_takes_all_that_it_takes_elsewhere() {
    let config = ffi::ws_config_new();
    let pem = b"-----BEGIN CERTIFICATE-----";
    let (mut port, mut host, mut length) = (0, [0; 64], 0);
    // SAFETY: the configuration is alive, and the pointers are to live values.
    unsafe {
        for option in [ffi::ws_option::WS_OPT_TCP_NODELAY, ffi::ws_option::WS_OPT_REUSE_PORT] {
            assert_eq!(ffi::ws_config_set(config, option as i32, 1), OK);
        }
        assert_eq!(ffi::ws_config_set_proxy(config, c"socks5://me:pw@proxy:1".as_ptr()), OK);
        assert_eq!(ffi::ws_config_set_proxy(config, c"ftp://proxy".as_ptr()), INVALID);
        assert_eq!(ffi::ws_config_set_tls_roots(config, pem.as_ptr(), pem.len()), UNSUPPORTED);
        assert_eq!(
            ffi::ws_url_check(c"wss://B\xc3\xbccher.test/".as_ptr(), host.as_mut_ptr(), 64, &mut port),
            OK
        );
        assert_eq!((sentence(host.as_ptr()).as_str(), port), ("xn--bcher-kva.test", 443));
        assert_eq!(ffi::ws_proxy_for(c"ws://a.test/".as_ptr(), host.as_mut_ptr(), 64, &mut length), OK);
        ffi::ws_config_free(config);
    }
    assert!(ffi::ws_now() <= ffi::ws_now());
}

/// What one end has written is what it reads.
#[derive(Debug, Default)]
struct Loop(Vec<u8>);

impl Read for Loop {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let n = self.0.len().min(space.len());
        match n {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => {
                space[..n].copy_from_slice(&self.0[..n]);
                self.0.drain(..n);
                Ok(n)
            }
        }
    }
}

impl Write for Loop {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_rust_face_works_over_streams_of_the_callers() {
    let mut sender = WebSocket::from_raw_socket(Loop::default(), Role::Client, None);
    sender.write_message(Message::Text("hello".into())).unwrap();
    let mut receiver = WebSocket::from_raw_socket(sender.into_inner(), Role::Server, None);
    assert!(matches!(receiver.read_message().unwrap(), Message::Text(text) if text == "hello"));
    assert!(receiver.read_message().unwrap_err().is_would_block());

    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    assert!(wsabi::accept(Loop(request.into())).unwrap().can_write());
    assert!(matches!(wsabi::client("ws://a/", Loop::default()), Err(wsabi::HandshakeFailure::Failure(_))));
}
