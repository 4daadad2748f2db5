//! `wsabi::connect`: each kind of URL goes where it says, and nowhere else, through the code that the C library connects
//! with; what the stream that comes of it can do. Servers are the C ABI's, which have TLS; proxies are made up here.

#![cfg(feature = "net")]

#[cfg(feature = "tls")]
use rcgen::{CertificateParams, KeyPair};
use std::ffi::CString;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd};
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket, AsSocket};
use std::ptr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
#[cfg(unix)]
use std::{os::unix::net::UnixListener, path::PathBuf};
use wsabi::internals::ffi::{self, ws_status};
use wsabi::{CloseCode, CloseFrame, ConnectOptions, Deadline, Error, Message, ProxyError, Stream, WebSocket};

/// A server of the C ABI's that takes one connection and echoes.
struct Echo {
    url: String,
    port: u16,
    thread: Option<JoinHandle<()>>,
}

struct Listener(*mut ffi::ws_listener);

// SAFETY: any thread may use a listener.
unsafe impl Send for Listener {}

impl Echo {
    /// Listens at the URL; `host` is what the server is to be called by.
    fn at(url: &str, host: &str, identity: Option<(&str, &str)>) -> Self {
        let mut listener = ptr::null_mut();
        // SAFETY: pointers to live values, as the header asks for.
        let port = unsafe {
            let config = ffi::ws_config_new();
            if let Some((chain, key)) = identity {
                let status = ffi::ws_config_set_tls_identity(
                    config,
                    chain.as_ptr(),
                    chain.len(),
                    key.as_ptr(),
                    key.len(),
                );
                assert_eq!(status, 0);
            }
            let text = CString::new(url).unwrap();
            assert_eq!(ffi::ws_listen(config, text.as_ptr(), &mut listener), 0);
            ffi::ws_config_free(config);
            ffi::ws_listener_port(listener)
        };
        let listener = Listener(listener);
        let thread = std::thread::spawn(move || Self::serve(listener));
        let scheme = url.split(':').next().unwrap();
        Self {
            url: format!("{scheme}://{host}:{port}/chat?room=1"),
            port: port.try_into().unwrap(),
            thread: Some(thread),
        }
    }

    fn tcp() -> Self {
        Self::at("ws://127.0.0.1:0/", "127.0.0.1", None)
    }

    fn serve(listener: Listener) {
        let Listener(listener) = listener;
        let (mut conn, mut message) = (ptr::null_mut(), ptr::null());
        // SAFETY: the handles are alive, and a message until the next read.
        unsafe {
            assert_eq!(ffi::ws_listener_accept(listener, &mut conn), 0);
            while ffi::ws_read_message(conn, &mut message) == ws_status::WS_OK as i32 {
                let ffi::ws_message { data, len, kind, .. } = *message;
                if kind != ffi::ws_kind::WS_CLOSE as i32 {
                    assert_eq!(ffi::ws_write_message(conn, kind, data.cast(), len), 0);
                }
            }
            ffi::ws_free(conn);
            ffi::ws_listener_free(listener);
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let ended = self.thread.take().map_or(Ok(()), JoinHandle::join);
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

/// Has a conversation, and ends it in good order.
fn converse(socket: &mut WebSocket<Stream>) {
    for message in [Message::from("hello"), Message::Binary(vec![7; 300_000])] {
        socket.write_message(message.clone()).unwrap();
        assert_eq!(socket.read_message().unwrap(), message);
    }
    let frame = CloseFrame { code: CloseCode(1000), reason: "done".into() };
    socket.close(Some(frame)).unwrap();
    assert!(matches!(socket.read_message(), Ok(Message::Close(Some(_)))));
    assert!(matches!(socket.read_message(), Err(Error::ConnectionClosed)));
}

/// A certificate for localhost and 127.0.0.1, and its key, in PEM.
#[cfg(feature = "tls")]
fn certificate() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// A path that nothing is at.
#[cfg(unix)]
fn free_path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("wsabi-{name}-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn ws_goes_over_tcp() {
    let echo = Echo::tcp();
    let mut socket = wsabi::connect(&echo.url).unwrap();
    assert_eq!(socket.get_ref().peer_addr().unwrap().port(), echo.port);
    assert!(socket.get_ref().local_addr().unwrap().ip().is_loopback());
    assert!(!socket.get_ref().is_tls());
    converse(&mut socket);
}

#[test]
fn a_name_is_looked_up() {
    let echo = Echo::at("ws://127.0.0.1:0/", "localhost", None);
    converse(&mut wsabi::connect(&echo.url).unwrap());
}

#[cfg(feature = "tls")]
#[test]
fn wss_goes_over_tls() {
    let (chain, key) = certificate();
    for host in ["localhost", "127.0.0.1"] {
        let echo = Echo::at("wss://127.0.0.1:0/", host, Some((&chain, &key)));
        let mut options = ConnectOptions::default();
        options.set_tls_roots(chain.as_bytes()).unwrap();
        let mut socket = options.connect(&echo.url).unwrap();
        assert!(socket.get_ref().is_tls());
        converse(&mut socket);
    }
}

#[cfg(feature = "tls")]
#[test]
fn a_server_that_nobody_vouches_for_is_refused_unless_that_is_asked_for() {
    let (chain, key) = certificate();
    let refusing = Echo::at("wss://127.0.0.1:0/", "localhost", Some((&chain, &key)));
    let error = wsabi::connect(&refusing.url).unwrap_err();
    assert!(matches!(error, Error::Tls(_)), "{error:?}");
    let echo = Echo::at("wss://127.0.0.1:0/", "localhost", Some((&chain, &key)));
    let mut options = ConnectOptions::default();
    options.set_tls_verify(false);
    converse(&mut options.connect(&echo.url).unwrap());
}

#[cfg(not(feature = "tls"))]
#[test]
fn wss_is_refused_where_there_is_no_tls() {
    let error = wsabi::connect("wss://127.0.0.1:1/").unwrap_err();
    assert!(matches!(error, Error::Url(wsabi::UrlError::TlsUnsupported)), "{error:?}");
}

#[cfg(unix)]
#[test]
fn ws_unix_goes_to_the_unix_socket() {
    let path = free_path("connect");
    let listener = UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut socket = wsabi::accept(stream).unwrap();
        let head = socket.head().unwrap();
        let asked = (head.target().to_owned(), head.header("Host").map(str::to_owned));
        let message = socket.read_message().unwrap();
        socket.write_message(message).unwrap();
        while socket.read_message().is_ok() {}
        asked
    });
    let mut socket = wsabi::connect(&format!("ws+unix://{}:/chat?room=1", path.display())).unwrap();
    socket.write_message("hello".into()).unwrap();
    assert_eq!(socket.read_message().unwrap(), "hello".into());
    assert!(socket.get_ref().peer_addr().is_err());
    socket.close(None).unwrap();
    while socket.read_message().is_ok() {}
    drop(socket);
    let (target, host) = server.join().unwrap();
    assert_eq!((target.as_str(), host.as_deref()), ("/chat?room=1", Some("localhost")));
    std::fs::remove_file(path).unwrap();
}

/// Not TCP at port 80, above all.
#[cfg(unix)]
#[test]
fn a_unix_socket_that_is_not_there_is_an_error() {
    let here = TcpListener::bind((Ipv4Addr::LOCALHOST, 80));
    let url = format!("ws+unix://{}:/", free_path("nobody").display());
    let error = wsabi::connect(&url).unwrap_err();
    assert!(matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::NotFound), "{error:?}");
    if let Ok(here) = here {
        here.set_nonblocking(true).unwrap();
        assert!(here.accept().is_err(), "somebody came to port 80");
    }
}

/// A proxy that takes one connection, has this conversation, and then carries bytes to the port.
fn proxy(answers: impl FnOnce(&mut TcpStream) -> Option<u16> + Send + 'static) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut near, _) = listener.accept().unwrap();
        let Some(port) = answers(&mut near) else { return };
        let mut far = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let (mut from_near, mut to_far) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        let there = std::thread::spawn(move || {
            let _ = io::copy(&mut from_near, &mut to_far);
            let _ = to_far.shutdown(std::net::Shutdown::Write);
        });
        let _ = io::copy(&mut far, &mut near);
        let _ = near.shutdown(std::net::Shutdown::Write);
        there.join().unwrap();
    });
    (port, thread)
}

fn head_of(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend_from_slice(&byte);
    }
    String::from_utf8(head).unwrap()
}

#[cfg(feature = "tls")]
#[test]
fn wss_goes_through_an_http_proxy() {
    let (chain, key) = certificate();
    let mut echo = Echo::at("wss://127.0.0.1:0/", "localhost", Some((&chain, &key)));
    let port = echo.port;
    let (at, carrying) = proxy(move |near| {
        let head = head_of(near);
        assert!(head.starts_with(&format!("CONNECT localhost:{port} HTTP/1.1\r\n")), "{head}");
        assert!(head.contains("Proxy-Authorization: Basic bWU6czNjcmV0\r\n"), "{head}");
        near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        Some(port)
    });
    let mut options = ConnectOptions::default();
    options.set_tls_roots(chain.as_bytes()).unwrap();
    options.set_proxy(Some(&format!("http://me:s3cret@127.0.0.1:{at}"))).unwrap();
    let mut socket = options.connect(&echo.url).unwrap();
    assert_eq!(socket.get_ref().peer_addr().unwrap().port(), at);
    converse(&mut socket);
    drop(socket);
    echo.thread.take().unwrap().join().unwrap();
    carrying.join().unwrap();
    assert!(!format!("{options:?}").contains("s3cret"));
}

#[test]
fn ws_goes_through_a_socks_proxy_that_looks_the_name_up() {
    let echo = Echo::tcp();
    let port = echo.port;
    let (at, carrying) = proxy(move |near| {
        let mut greeting = [0; 3];
        near.read_exact(&mut greeting).unwrap();
        assert_eq!(greeting, [5, 1, 0]);
        near.write_all(&[5, 0]).unwrap();
        let mut request = vec![0; 5 + "only.the.proxy.test".len() + 2];
        near.read_exact(&mut request).unwrap();
        assert!(request.windows(19).any(|part| part == b"only.the.proxy.test"));
        near.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]).unwrap();
        Some(port)
    });
    let mut options = ConnectOptions::default();
    options.set_proxy(Some(&format!("socks5://127.0.0.1:{at}"))).unwrap();
    let mut socket = options.connect(&format!("ws://only.the.proxy.test:{port}/")).unwrap();
    converse(&mut socket);
    drop(socket);
    carrying.join().unwrap();
}

#[test]
fn a_proxy_that_refuses_says_why() {
    let (at, refusing) = proxy(|near| {
        head_of(near);
        near.write_all(b"HTTP/1.1 403 Not you\r\nContent-Length: 0\r\n\r\n").unwrap();
        None
    });
    let mut options = ConnectOptions::default();
    options.set_proxy(Some(&format!("http://127.0.0.1:{at}"))).unwrap();
    let error = options.connect("ws://example.test/").unwrap_err();
    assert!(matches!(&error, Error::Proxy(ProxyError::Http { status: 403, .. })), "{error:?}");
    refusing.join().unwrap();
    let error = options.set_proxy(Some("https://127.0.0.1")).unwrap_err();
    assert!(error.to_string().contains("TLS"), "{error}");
    options.set_proxy(None).unwrap();
}

#[test]
fn what_cannot_be_connected_to_is_an_error_of_its_kind() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    drop(taken);
    let error = wsabi::connect(&format!("ws://127.0.0.1:{port}/")).unwrap_err();
    assert!(
        matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused),
        "{error:?}"
    );
    assert!(matches!(wsabi::connect("http://127.0.0.1/"), Err(Error::Url(_))));
    assert!(matches!(wsabi::connect("ws://no-such-name.invalid/"), Err(Error::Io(_))));
}

/// A peer that takes a connection and says nothing.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let place = listener.local_addr().unwrap().to_string();
    (listener, place)
}

#[test]
fn a_peer_that_says_nothing_is_given_up() {
    let (_peer, place) = silent();
    let mut options = ConnectOptions::default();
    options.config.handshake_timeout = Some(Duration::from_millis(60));
    let schemes: &[_] = if cfg!(feature = "tls") { &["ws", "wss"] } else { &["ws"] };
    for scheme in schemes {
        let begun = Instant::now();
        options.set_tls_verify(false);
        let error = options.connect(&format!("{scheme}://{place}/")).unwrap_err();
        assert!(matches!(error, Error::Timeout(Deadline::Handshake)), "{error:?}");
        assert!(begun.elapsed() >= Duration::from_millis(55) && begun.elapsed() < Duration::from_secs(5));
    }
    options.config.handshake_timeout = None;
    options.connect_timeout = Some(Duration::from_millis(60));
    options.set_proxy(Some(&format!("http://{place}"))).unwrap();
    let error = options.connect("ws://example.test/").unwrap_err();
    assert!(matches!(error, Error::Timeout(Deadline::Connect)), "{error:?}");
}

#[test]
fn the_stream_waits_as_long_as_it_is_told() {
    let echo = Echo::tcp();
    let mut socket = wsabi::connect(&echo.url).unwrap();
    socket.get_mut().set_read_timeout(Some(Duration::from_millis(50)));
    let begun = Instant::now();
    assert!(socket.read_message().unwrap_err().is_would_block());
    assert!(begun.elapsed() >= Duration::from_millis(45) && begun.elapsed() < Duration::from_secs(5));
    socket.get_mut().set_nonblocking(true);
    let begun = Instant::now();
    assert!(socket.read_message().unwrap_err().is_would_block());
    assert!(begun.elapsed() < Duration::from_millis(45));
    #[cfg(unix)]
    assert_eq!(socket.get_ref().as_fd().as_raw_fd(), socket.get_ref().as_raw_fd());
    #[cfg(windows)]
    assert_eq!(socket.get_ref().as_socket().as_raw_socket(), socket.get_ref().as_raw_socket());
    socket.get_mut().set_nonblocking(false);
    socket.get_mut().set_read_timeout(None);
    converse(&mut socket);
}

#[test]
fn a_write_that_nobody_takes_ends_in_time() {
    let (peer, place) = silent();
    let server = std::thread::spawn(move || wsabi::accept(peer.accept().unwrap().0).unwrap());
    let mut options = ConnectOptions::default();
    options.config.max_send_bytes = Some(1 << 20);
    let mut socket = options.connect(&format!("ws://{place}/")).unwrap();
    let mut server = server.join().unwrap();
    socket.get_mut().set_write_timeout(Some(Duration::from_millis(50)));
    let block = vec![1; 1 << 20];
    let mut accepted = 0;
    loop {
        match socket.write_message(Message::Binary(block.clone())) {
            Ok(()) => accepted += 1,
            Err(Error::SendQueueFull(message)) => break assert_eq!(message, Message::Binary(block.clone())),
            Err(error) => panic!("{error}"),
        }
        assert!(accepted < 100);
    }
    let reader = std::thread::spawn(move || {
        for _ in 0..accepted {
            assert_eq!(server.read_message().unwrap(), Message::Binary(vec![1; 1 << 20]));
        }
    });
    socket.get_mut().set_write_timeout(None);
    socket.write_pending().unwrap();
    reader.join().unwrap();
}

#[test]
fn headers_subprotocols_and_configuration_go_along() {
    let (peer, place) = silent();
    let server = std::thread::spawn(move || {
        let decide = |head: &wsabi::Head| {
            assert_eq!(head.header("X-Mine"), Some("yes"));
            wsabi::Decision::Accept {
                protocol: Some("chat".into()),
                options: wsabi::HandshakeOptions::default(),
            }
        };
        let mut socket = wsabi::accept_with(peer.accept().unwrap().0, None, decide).unwrap();
        let _ = socket.write_message(Message::Binary(vec![0; 2000]));
        while socket.read_message().is_ok() {}
    });
    let mut options = ConnectOptions::default();
    options.handshake.add_header("X-Mine", "yes").unwrap();
    options.handshake.add_protocol("chat").unwrap();
    options.config.max_message_size = Some(1000);
    let mut socket = options.connect(&format!("ws://{place}/")).unwrap();
    assert_eq!(socket.protocol(), Some("chat"));
    assert!(matches!(socket.read_message(), Err(Error::Capacity(_))));
    while !matches!(socket.read_message(), Err(Error::ConnectionClosed | Error::AlreadyClosed)) {}
    drop(socket);
    server.join().unwrap();
}

#[test]
fn a_connection_can_go_to_another_thread() {
    fn is_send<T: Send + 'static>() {}
    is_send::<WebSocket<Stream>>();
    is_send::<ConnectOptions>();
}
