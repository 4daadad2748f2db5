//! A server judges requests and answers them. Over 400 lines because it is a list of requests, rule by rule.

use super::*;
use crate::error::CapacityError;

const MAX: usize = 16 << 10;
const GOOD: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn waiting() -> ServerHandshake {
    ServerHandshake::new(&WebSocketConfig { max_head_size: MAX, ..WebSocketConfig::default() })
}

fn server(request: &str) -> Result<ServerHandshake, Error> {
    let mut server = waiting();
    assert_eq!(server.advance(request.as_bytes(), false)?, (Progress::Request, request.len()));
    Ok(server)
}

fn with(line: &str) -> String {
    GOOD.replace("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"))
}

fn response_head(bytes: &[u8]) -> (Head, Vec<u8>) {
    let mut head = Head::default();
    let length = HeadReader::new(Kind::Response, MAX).read(bytes, &mut head).unwrap().unwrap();
    (head, bytes[length..].to_vec())
}

/// Asserts that a request is refused with this status; the head of the refusal.
#[track_caller]
fn refused(status: u16, request: &str) -> Head {
    let mut server = waiting();
    let error = server.advance(request.as_bytes(), false).expect_err(request);
    let (head, body) = response_head(&server.take_refusal());
    assert_eq!(head.status(), status, "{error}: {request}");
    assert_eq!(body, format!("{error}\n").as_bytes());
    assert_eq!(head.header("content-length"), Some(body.len().to_string().as_str()));
    assert!(has_token(head.header("connection").unwrap().as_bytes(), b"close"));
    assert!(server.take_refusal().is_empty());
    let again = server.advance(request.as_bytes(), false).unwrap_err();
    assert!(matches!(again, Error::Handshake(HandshakeError::Refused(code)) if code == status));
    assert!(matches!(server.accept(None, &HandshakeOptions::default()), Err(Error::Misuse(_))));
    head
}

#[test]
fn the_example_of_the_rfc_is_accepted() {
    let mut server = server(GOOD).unwrap();
    assert_eq!(server.advance(b"", true).unwrap(), (Progress::Request, 0));
    let response = server.accept(None, &HandshakeOptions::default()).unwrap();
    assert_eq!(
        str::from_utf8(&response).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
    assert_eq!(server.advance(b"", false).unwrap(), (Progress::Done, 0));
    assert!(matches!(server.accept(None, &HandshakeOptions::default()), Err(Error::Misuse(_))));
    let Opened { head, protocol, deflate } = server.take_opened();
    assert_eq!((head.target(), protocol, deflate), ("/chat", None, None));
}

#[test]
fn one_byte_at_a_time_is_accepted_too() {
    let mut server = waiting();
    for end in 0..GOOD.len() {
        assert_eq!(server.advance(&GOOD.as_bytes()[..end], false).unwrap(), (Progress::NeedMore, 0));
    }
    let frames_too = format!("{GOOD}frames");
    assert_eq!(server.advance(frames_too.as_bytes(), false).unwrap(), (Progress::Request, GOOD.len()));
}

#[test]
fn header_names_and_tokens_in_any_case_lists_and_repeated_headers_are_understood() {
    for (from, to) in [
        ("Connection: Upgrade", "connection: keep-alive, Upgrade"),
        ("Connection: Upgrade", "CONNECTION: keep-alive\r\nConnection: upgrade"),
        ("Upgrade: websocket", "uPGRADE: h2c, WebSocket"),
        ("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: WEBSOCKET"),
        ("Sec-WebSocket-Key: ", "sec-websocket-key:\t"),
        ("Sec-WebSocket-Version: 13", "SEC-WEBSOCKET-VERSION:13"),
        ("Host: server.example.com", "host: [::1]:9001"),
        ("GET /chat", "GET http://server.example.com/chat"),
        ("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n"),
        ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate; x=\"a,b\"\r\n\r\n"),
    ] {
        assert!(server(&GOOD.replace(from, to)).is_ok(), "{to}");
    }
}

#[test]
fn connection_notupgrade_is_no_upgrade() {
    refused(400, &GOOD.replace("Connection: Upgrade", "Connection: notupgrade"));
    refused(400, &GOOD.replace("Connection: Upgrade\r\n", ""));
    for upgrade in ["", "Upgrade: notwebsocket\r\n", "Upgrade: h2c\r\n"] {
        let head = refused(426, &GOOD.replace("Upgrade: websocket\r\n", upgrade));
        assert_eq!(head.header("upgrade"), Some("websocket"));
    }
}

#[test]
fn post_and_http_1_0_are_refused() {
    assert_eq!(refused(405, &GOOD.replace("GET", "POST")).header("allow"), Some("GET"));
    refused(405, &GOOD.replace("GET", "get"));
    refused(400, &GOOD.replace("HTTP/1.1", "HTTP/1.0"));
    refused(400, &GOOD.replace("HTTP/1.1", "HTTP/2.0"));
    refused(400, &GOOD.replace("/chat", "*"));
    refused(400, &GOOD.replace("/chat", "server.example.com:80"));
}

#[test]
fn version_12_is_answered_with_426_and_the_version_that_works() {
    for version in ["12", "8", "0", "14", "013", "13, 8", "", "x"] {
        let head = refused(426, &GOOD.replace("Version: 13", &format!("Version: {version}")));
        assert_eq!(head.header("sec-websocket-version"), Some("13"));
    }
    refused(426, &GOOD.replace("Sec-WebSocket-Version: 13\r\n", ""));
    refused(400, &with("Sec-WebSocket-Version: 13"));
}

#[test]
fn a_key_of_15_or_17_bytes_bad_base64_missing_or_twice_is_refused() {
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    for bad in [
        "BwcHBwcHBwcHBwcHBwcH",
        "BwcHBwcHBwcHBwcHBwcHBwc=",
        "",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25!ZQ==",
    ] {
        refused(400, &GOOD.replace(key, bad));
    }
    refused(400, &GOOD.replace(&format!("Sec-WebSocket-Key: {key}\r\n"), ""));
    refused(400, &with(&format!("Sec-WebSocket-Key: {key}")));
    refused(400, &GOOD.replace(key, &format!("{key}, {key}")));
}

#[test]
fn host_is_there_exactly_once() {
    refused(400, &GOOD.replace("Host: server.example.com\r\n", ""));
    refused(400, &with("Host: server.example.com"));
    for bad in ["", "a b", "a, b", "a/b", "user@a"] {
        refused(400, &GOOD.replace("Host: server.example.com", &format!("Host: {bad}")));
    }
}

#[test]
fn a_request_with_a_body_is_refused() {
    for line in [
        "Content-Length: 1",
        "content-length: 00",
        "Content-Length:",
        "Content-Length: -1",
        "Content-Length: 0\r\nContent-Length: 5",
        "Transfer-Encoding: chunked",
        "transfer-encoding: identity",
        "Transfer-Encoding:",
    ] {
        refused(400, &with(line));
    }
}

#[test]
fn malformed_and_oversized_heads_are_answered() {
    refused(400, &GOOD.replace("\r\n", "\n"));
    refused(400, &with("X: a\r\n folded"));
    refused(400, &with("X: a\0b"));
    refused(400, &with("no colon"));
    refused(431, &with(&format!("X: {}", "a".repeat(10 << 20))));
    refused(431, &with(&vec!["A:b"; 10_000].join("\r\n")));
    let error = server(&with(&vec!["A:b"; 10_000].join("\r\n"))).unwrap_err();
    assert!(matches!(error, Error::Capacity(CapacityError::TooManyHeaders { .. })));
}

#[test]
fn a_stream_that_ends_early_is_incomplete_and_gets_no_answer() {
    for end in [0, 1, GOOD.len() - 1] {
        let mut server = waiting();
        for _ in 0..2 {
            let error = server.advance(&GOOD.as_bytes()[..end], true).unwrap_err();
            assert!(matches!(error, Error::Handshake(HandshakeError::Incomplete)));
        }
        assert!(server.take_refusal().is_empty());
    }
}

#[test]
fn the_servers_favourite_among_the_offered_subprotocols_is_chosen() {
    let request = with("Sec-WebSocket-Protocol: c, a\r\nSec-WebSocket-Protocol:,b,");
    let choose = |protocol: Option<&str>, configured: &[&str]| {
        let mut options = HandshakeOptions::default();
        for name in configured {
            options.add_protocol(name).unwrap();
        }
        let mut server = server(&request).unwrap();
        assert_eq!(server.offered_protocols().collect::<Vec<_>>(), ["c", "a", "b"]);
        let response = server.accept(protocol, &options)?;
        let head = response_head(&response).0;
        assert_eq!(head.header("sec-websocket-protocol"), server.protocol());
        Ok::<_, Error>(server.take_opened().protocol)
    };
    assert_eq!(choose(None, &["x", "b", "c"]).unwrap().as_deref(), Some("b"));
    assert_eq!(choose(None, &["x", "A"]).unwrap(), None);
    assert_eq!(choose(None, &[]).unwrap(), None);
    assert_eq!(choose(Some("a"), &["b"]).unwrap().as_deref(), Some("a"));
    for name in ["x", "A", "", "a\r\nX: y"] {
        assert!(matches!(choose(Some(name), &["a"]), Err(Error::InvalidArgument(_))), "{name:?}");
    }
}

#[test]
fn a_malformed_list_of_subprotocols_is_refused() {
    for bad in ["a b", "a;b", "\"a\"", "a, b/c", "ä"] {
        refused(400, &with(&format!("Sec-WebSocket-Protocol: {bad}")));
    }
}

/// A server that takes permessage-deflate.
fn deflating() -> ServerHandshake {
    let deflate = Some(DeflateConfig { server_max_window_bits: 12, ..DeflateConfig::default() });
    ServerHandshake::new(&WebSocketConfig { max_head_size: 1 << 20, deflate, ..WebSocketConfig::default() })
}

#[test]
fn an_offer_of_permessage_deflate_is_accepted_where_it_is_configured() {
    let offers = vec!["permessage-deflate; x=\"10, permessage-deflate\""; 1000].join(", ");
    let offer =
        format!("{offers}\r\nSec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover");
    let request = with(&format!("Sec-WebSocket-Extensions: {offer}"));
    let answer = "permessage-deflate; client_no_context_takeover; server_max_window_bits=12";
    for (mut server, request, answer) in [
        (deflating(), request.as_str(), Some(answer)),
        (deflating(), GOOD, None),
        (
            ServerHandshake::new(&WebSocketConfig { max_head_size: 1 << 20, ..WebSocketConfig::default() }),
            request.as_str(),
            None,
        ),
    ] {
        assert_eq!(server.advance(request.as_bytes(), false).unwrap().0, Progress::Request);
        assert_eq!(server.agreed_deflate(), None);
        let response = server.accept(None, &HandshakeOptions::default()).unwrap();
        let head = response_head(&response).0;
        assert_eq!(head.header("sec-websocket-extensions"), answer);
        assert_eq!(server.agreed_deflate().map(|agreed| agreed.server_max_window_bits), answer.map(|_| 12));
        assert_eq!(server.agreed_deflate(), server.take_opened().deflate);
    }
}

#[test]
fn an_offer_of_permessage_deflate_with_a_bad_parameter_is_declined_and_the_next_one_taken() {
    for bad in ["server_max_window_bits=16", "client_no_context_takeover; client_no_context_takeover", "x=1"]
    {
        for (behind, answer) in [
            ("", None),
            (", foo", None),
            (", permessage-deflate", Some("permessage-deflate; server_max_window_bits=12")),
            (
                "\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9",
                Some("permessage-deflate; server_max_window_bits=9"),
            ),
        ] {
            let request = with(&format!("Sec-WebSocket-Extensions: permessage-deflate; {bad}{behind}"));
            let mut server = deflating();
            assert_eq!(server.advance(request.as_bytes(), false).unwrap().0, Progress::Request, "{request}");
            let response = server.accept(None, &HandshakeOptions::default()).unwrap();
            let head = response_head(&response).0;
            assert_eq!(head.header("sec-websocket-extensions"), answer, "{request}");
            assert_eq!(server.agreed_deflate().is_some(), answer.is_some(), "{request}");
        }
    }
}

#[test]
fn what_is_no_list_of_extensions_is_refused_where_permessage_deflate_is_configured() {
    for offer in ["permessage-deflate;", "permessage-deflate; server_max_window_bits=16;"] {
        let request = with(&format!("Sec-WebSocket-Extensions: {offer}"));
        let mut server = deflating();
        let error = server.advance(request.as_bytes(), false).unwrap_err();
        assert!(error.to_string().contains("Sec-WebSocket-Extensions"), "{error}");
        let (head, body) = response_head(&server.take_refusal());
        assert_eq!((head.status(), body), (400, format!("{error}\n").into_bytes()));
        assert!(self::server(&request).is_ok(), "{offer}");
    }
}

#[test]
fn a_request_that_is_rejected_agrees_to_no_compression() {
    let mut server = deflating();
    server.advance(with("Sec-WebSocket-Extensions: permessage-deflate").as_bytes(), false).unwrap();
    let rejection = server.reject(403, &HandshakeOptions::default(), b"").unwrap();
    assert_eq!(response_head(&rejection).0.header("sec-websocket-extensions"), None);
    assert_eq!(server.take_opened().deflate, None);
}

#[test]
fn a_refused_argument_leaves_the_request_waiting() {
    let mut server = server(GOOD).unwrap();
    let options = HandshakeOptions::default();
    assert!(matches!(server.accept(Some("x"), &options), Err(Error::InvalidArgument(_))));
    for status in [0, 99, 100, 101, 199, 600, u16::MAX] {
        assert!(matches!(server.reject(status, &options, b""), Err(Error::InvalidArgument(_))), "{status}");
    }
    assert!(server.accept(None, &options).is_ok());
}

#[test]
fn a_rejection_has_status_headers_and_body() {
    let mut options = HandshakeOptions::default();
    options.add_header("WWW-Authenticate", "Basic").unwrap();
    let mut server = server(GOOD).unwrap();
    let (head, body) = response_head(&server.reject(401, &options, "Wer da? ü".as_bytes()).unwrap());
    assert_eq!((head.status(), head.reason()), (401, "Unauthorized"));
    assert_eq!(head.header("www-authenticate"), Some("Basic"));
    assert_eq!(head.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!((head.header("content-length"), head.header("connection")), (Some("10"), Some("close")));
    assert_eq!(body, "Wer da? ü".as_bytes());
    let again = server.advance(b"", false).unwrap_err();
    assert!(matches!(again, Error::Handshake(HandshakeError::Refused(401))));
    assert!(matches!(server.reject(401, &options, b""), Err(Error::Misuse(_))));
}

#[test]
fn nothing_can_be_answered_before_there_is_a_request() {
    let mut server = waiting();
    let options = HandshakeOptions::default();
    assert!(matches!(server.accept(None, &options), Err(Error::Misuse(_))));
    assert!(matches!(server.reject(400, &options, b""), Err(Error::Misuse(_))));
}

/// A server that takes requests of any kind, and has received this one.
fn plain(request: &str) -> Result<ServerHandshake, Error> {
    let deflate = Some(DeflateConfig::default());
    let config = WebSocketConfig { plain_requests: true, deflate, ..WebSocketConfig::default() };
    let mut server = ServerHandshake::new(&config);
    assert_eq!(server.advance(request.as_bytes(), false)?, (Progress::Request, request.len()));
    assert_eq!(server.advance(b"", true)?, (Progress::Request, 0));
    Ok(server)
}

#[test]
fn with_plain_requests_all_that_is_http_1_and_has_no_body_waits_for_an_answer() {
    for request in [
        "GET /health HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.0\r\n\r\n",
        "HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.3\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n",
        "MAKE-TEA /pot HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        &GOOD.replace("Version: 13", "Version: 8"),
        &GOOD.replace("Upgrade: websocket", "Upgrade: h2c"),
        &with("Sec-WebSocket-Extensions: permessage-deflate;"),
    ] {
        for status in [200, 204, 301, 404, 599] {
            let mut server = plain(request).unwrap();
            assert!(!server.is_upgrade(), "{request}");
            assert_eq!(server.head().method(), request.split(' ').next().unwrap());
            // It cannot be accepted, and still waits.
            assert!(matches!(server.accept(None, &HandshakeOptions::default()), Err(Error::Misuse(_))));
            let answer = server.reject(status, &HandshakeOptions::default(), b"well").unwrap();
            assert_eq!(response_head(&answer).0.status(), status, "{request}");
            let again = server.advance(b"", false).unwrap_err();
            assert!(matches!(again, Error::Handshake(HandshakeError::Refused(code)) if code == status));
        }
        // Where nobody decides it is refused as without.
        let mut without = waiting_with_deflate();
        let error = without.advance(request.as_bytes(), false).unwrap_err().to_string();
        let refusal = without.take_refusal();
        let mut server = plain(request).unwrap();
        assert_eq!(server.refuse_plain().unwrap_err().to_string(), error, "{request}");
        assert_eq!(server.take_refusal(), refusal, "{request}");
        assert!(matches!(server.reject(200, &HandshakeOptions::default(), b""), Err(Error::Misuse(_))));
    }
}

/// As [`plain`], without plain requests.
fn waiting_with_deflate() -> ServerHandshake {
    let config = WebSocketConfig { deflate: Some(DeflateConfig::default()), ..WebSocketConfig::default() };
    ServerHandshake::new(&config)
}

#[test]
fn with_plain_requests_a_websocket_is_opened_as_without() {
    for request in [GOOD, &with("Sec-WebSocket-Extensions: permessage-deflate"), &with("Content-Length: 0")] {
        let mut server = plain(request).unwrap();
        assert!(server.is_upgrade() && is_upgrade(server.head()));
        assert!(server.refuse_plain().is_ok());
        let response = server.accept(None, &HandshakeOptions::default()).unwrap();
        let mut without = waiting_with_deflate();
        without.advance(request.as_bytes(), false).unwrap();
        assert_eq!(&*response, &*without.accept(None, &HandshakeOptions::default()).unwrap());
        let mut rejected = plain(request).unwrap();
        let (head, body) = response_head(&rejected.reject(200, &HandshakeOptions::default(), b"no").unwrap());
        assert_eq!((head.status(), head.reason(), body), (200, "OK", b"no".to_vec()));
    }
}

#[test]
fn with_plain_requests_a_body_is_answered_with_413_and_what_is_no_http_as_without() {
    for line in [
        "Content-Length: 1",
        "Content-Length: 00",
        "Content-Length:",
        "Transfer-Encoding: chunked",
        "Content-Length: 0\r\nTransfer-Encoding: identity",
        "content-length: 0, 0",
    ] {
        for request in [
            with(line),
            format!("POST / HTTP/1.0\r\n{line}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: h\r\n{line}\r\n\r\n"),
        ] {
            let config = WebSocketConfig { plain_requests: true, ..WebSocketConfig::default() };
            let mut server = ServerHandshake::new(&config);
            let error = server.advance(request.as_bytes(), false).unwrap_err();
            assert_eq!(error.to_string(), "the request has a body");
            let (head, body) = response_head(&server.take_refusal());
            assert_eq!((head.status(), head.reason()), (413, "Content Too Large"), "{request}");
            assert_eq!(
                (head.header("connection"), &body[..]),
                (Some("close"), &b"the request has a body\n"[..])
            );
            let mut without = ServerHandshake::new(&config).without_plain_requests();
            without.advance(request.as_bytes(), false).unwrap_err();
            assert_ne!(response_head(&without.take_refusal()).0.status(), 413, "{request}");
        }
    }
    for (request, status) in [
        ("GET /\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\n\r\n", 400),
        ("GET / HTTP/1.1\n\n", 400),
        ("GET / HTTP/1.1\r\nA b: c\r\n\r\n", 400),
    ] {
        let config = WebSocketConfig { plain_requests: true, ..WebSocketConfig::default() };
        let mut server = ServerHandshake::new(&config);
        server.advance(request.as_bytes(), false).unwrap_err();
        assert_eq!(response_head(&server.take_refusal()).0.status(), status, "{request}");
    }
}

#[test]
fn a_refusal_of_a_head_request_has_no_body() {
    let mut server = waiting();
    let error = server.advance(GOOD.replace("GET", "HEAD").as_bytes(), false).unwrap_err();
    let (head, body) = response_head(&server.take_refusal());
    assert_eq!(
        (head.status(), head.header("content-length"), body.len()),
        (405, Some(&*(error.to_string().len() + 1).to_string()), 0)
    );
}

#[test]
fn headers_of_the_configuration_go_with_a_refusal_but_its_text_is_plain() {
    let mut options = HandshakeOptions::default();
    for (name, value) in [("Server", "x"), ("content-type", "application/json"), ("Server", "y")] {
        options.add_header(name, value).unwrap();
    }
    let mut server = waiting().with_headers(&Arc::new(options));
    server.advance(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", false).unwrap_err();
    let (head, _) = response_head(&server.take_refusal());
    assert_eq!(head.values("server").collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!(head.values("content-type").collect::<Vec<_>>(), ["text/plain; charset=utf-8"]);
}
