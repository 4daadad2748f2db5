//! A client asks, and judges what it is told.

use super::*;
use crate::error::CapacityError;

const MAX: usize = 16 << 10;

fn config() -> WebSocketConfig {
    WebSocketConfig { max_head_size: MAX, ..WebSocketConfig::default() }
}

fn sent(request: &[u8]) -> Head {
    let mut head = Head::default();
    HeadReader::new(Kind::Request, MAX).read(request, &mut head).unwrap();
    head
}

fn client(protocols: &[&str]) -> ClientHandshake {
    let mut options = HandshakeOptions::default();
    for protocol in protocols {
        options.add_protocol(protocol).unwrap();
    }
    ClientHandshake::new(&Url::parse("ws://example.com/").unwrap(), &options, &config()).unwrap().0
}

/// A 101 with these lines, where `ACCEPT` stands for the right answer.
fn answer(client: &mut ClientHandshake, lines: &str) -> Result<(Progress, usize), Error> {
    let accept = str::from_utf8(&client.accept).unwrap();
    let response = format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n").replace("ACCEPT", accept);
    let whole = client.advance(response.as_bytes(), false);
    if let Ok((_, consumed)) = &whole {
        assert_eq!(*consumed, response.len());
    }
    whole
}

const GOOD: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n";

#[track_caller]
fn refused(protocols: &[&str], lines: &str) {
    let mut client = client(protocols);
    let error = answer(&mut client, lines).unwrap_err();
    assert!(matches!(error, Error::Handshake(HandshakeError::Rule(_))), "{lines:?}: {error:?}");
    assert!(matches!(client.advance(b"", false), Err(Error::Misuse(_))));
}

/// Feeds a response byte by byte; the refusal, and how many bytes had been fed.
fn drip(client: &mut ClientHandshake, response: &[u8], eof: bool) -> (Error, usize) {
    let mut start = 0;
    for end in 1..=response.len() {
        match client.advance(&response[start..end], false) {
            Ok((progress, consumed)) => {
                assert_eq!(progress, Progress::NeedMore);
                start += consumed;
            }
            Err(error) => return (error, end),
        }
    }
    (client.advance(&response[start..], eof).unwrap_err(), response.len())
}

#[track_caller]
fn http(error: Error) -> Head {
    match error {
        Error::Http(head) => *head,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_request_is_complete() {
    let mut options = HandshakeOptions::default();
    options.add_protocol("a").unwrap();
    options.add_protocol("b").unwrap();
    options.add_header("Origin", "null").unwrap();
    let url = Url::parse("ws://[::1]:9001/x?y").unwrap();
    let (client, request) = ClientHandshake::new(&url, &options, &config()).unwrap();
    let text = String::from_utf8(request.clone()).unwrap();
    assert!(
        text.starts_with("GET /x?y HTTP/1.1\r\nHost: [::1]:9001\r\n") && text.ends_with("\r\n\r\n"),
        "{text}"
    );
    let head = sent(&request);
    assert_eq!(head.header("upgrade"), Some("websocket"));
    assert_eq!(head.header("connection"), Some("Upgrade"));
    assert_eq!(head.header("sec-websocket-version"), Some("13"));
    assert_eq!(head.header("sec-websocket-protocol"), Some("a, b"));
    assert_eq!(head.header("origin"), Some("null"));
    assert_eq!(head.header("sec-websocket-extensions"), None);
    let key = head.header_bytes("sec-websocket-key").unwrap().try_into().unwrap();
    assert_eq!(accept_key(key), client.accept);
}

#[test]
fn a_host_header_of_the_caller_replaces_that_of_the_url() {
    let mut options = HandshakeOptions::default();
    options.add_header("host", "other:1").unwrap();
    let url = Url::parse("ws://example.com/").unwrap();
    let request = ClientHandshake::new(&url, &options, &config()).unwrap().1;
    let head = sent(&request);
    assert_eq!(head.values("Host").collect::<Vec<_>>(), ["other:1"]);
}

#[test]
fn every_request_has_a_key_of_its_own() {
    assert_ne!(client(&[]).accept, client(&[]).accept);
}

#[test]
fn header_names_and_tokens_in_any_case_lists_and_repeated_headers_are_understood() {
    for lines in [
        GOOD,
        "UPGRADE: WebSocket\r\nconnection: keep-alive, UPGRADE\r\nsec-websocket-ACCEPT:ACCEPT\r\n",
        "Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: \t ACCEPT \r\n",
    ] {
        // The name of the header must not be taken for the mark.
        let lines = lines.replace("sec-websocket-ACCEPT:", "SEC-websocket-accepT:");
        assert_eq!(answer(&mut client(&[]), &lines).unwrap().0, Progress::Done, "{lines}");
    }
}

#[test]
fn connection_notupgrade_is_no_upgrade() {
    let rest = "Sec-WebSocket-Accept: ACCEPT\r\n";
    for lines in [
        "Upgrade: websocket\r\nConnection: notupgrade\r\n",
        "Upgrade: websocket\r\nConnection: keep-alive\r\n",
        "Upgrade: websocket\r\n",
        "Connection: Upgrade\r\n",
        "Upgrade: notwebsocket\r\nConnection: Upgrade\r\n",
        "Upgrade:\r\nConnection: Upgrade\r\n",
    ] {
        refused(&[], &format!("{lines}{rest}"));
    }
}

#[test]
fn wrong_missing_and_doubled_accept_fail() {
    let rest = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    for lines in [
        "",
        "Sec-WebSocket-Accept:\r\n",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        "Sec-WebSocket-Accept: ACCEPTx\r\n",
        "Sec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Accept: ACCEPT\r\n",
        "Sec-WebSocket-Accept: ACCEPT, ACCEPT\r\n",
    ] {
        refused(&[], &format!("{lines}{rest}"));
    }
}

#[test]
fn a_subprotocol_that_was_not_asked_for_fails() {
    for (offered, lines) in [
        (&[][..], "Sec-WebSocket-Protocol: chat\r\n"),
        (&["chat"], "Sec-WebSocket-Protocol: Chat\r\n"),
        (&["chat"], "Sec-WebSocket-Protocol: other\r\n"),
        (&["chat", "b"], "Sec-WebSocket-Protocol: chat, b\r\n"),
        (&["chat", "b"], "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: b\r\n"),
    ] {
        refused(offered, &format!("{GOOD}{lines}"));
    }
    let mut chosen = client(&["a", "chat"]);
    answer(&mut chosen, &format!("{GOOD}Sec-WebSocket-Protocol: chat\r\n")).unwrap();
    assert_eq!(chosen.protocol(), Some("chat"));
    let mut none = client(&["a", "chat"]);
    answer(&mut none, GOOD).unwrap();
    assert_eq!(none.take_opened().protocol, None);
}

#[test]
fn an_empty_subprotocol_or_extension_in_a_101_is_as_if_it_were_not_there() {
    for empty in ["", " \t ", "\r\nX: y"] {
        let protocol = format!("Sec-WebSocket-Protocol:{empty}\r\n");
        let extensions = format!("Sec-WebSocket-Extensions:{empty}\r\n");
        for make in [|| client(&[]), || client(&["chat"]), deflating] {
            for lines in [protocol.clone(), extensions.clone(), format!("{protocol}{extensions}")] {
                let mut client = make();
                answer(&mut client, &format!("{GOOD}{lines}")).unwrap();
                assert_eq!((client.protocol(), client.agreed_deflate()), (None, None), "{lines}");
            }
        }
        for lines in [
            format!("{protocol}Sec-WebSocket-Protocol: chat\r\n"),
            format!("sec-websocket-protocol: chat\r\n{protocol}"),
        ] {
            let mut client = client(&["chat"]);
            answer(&mut client, &format!("{GOOD}{lines}")).unwrap();
            assert_eq!(client.protocol(), Some("chat"), "{lines}");
        }
    }
}

#[test]
fn an_extension_that_was_not_offered_fails() {
    refused(&[], &format!("{GOOD}Sec-WebSocket-Extensions: permessage-deflate\r\n"));
    let error = answer(&mut deflating(), &format!("{GOOD}Sec-WebSocket-Extensions: foo\r\n")).unwrap_err();
    assert!(matches!(error, Error::Handshake(HandshakeError::Rule(_))), "{error:?}");
}

/// A client that offers permessage-deflate.
fn deflating() -> ClientHandshake {
    let url = Url::parse("ws://example.com/").unwrap();
    let deflate = Some(DeflateConfig::default());
    let config = WebSocketConfig { deflate, ..config() };
    let (client, request) = ClientHandshake::new(&url, &HandshakeOptions::default(), &config).unwrap();
    let head = sent(&request);
    let offer = head.values("Sec-WebSocket-Extensions").collect::<Vec<_>>();
    assert_eq!(offer, ["permessage-deflate; client_max_window_bits"]);
    client
}

#[test]
fn permessage_deflate_is_what_the_server_makes_of_it() {
    let mut declined = deflating();
    answer(&mut declined, GOOD).unwrap();
    assert_eq!(declined.agreed_deflate(), None);
    let mut agreed = deflating();
    let line = "sec-websocket-extensions: permessage-deflate; client_max_window_bits=\"9\"\r\n";
    answer(&mut agreed, &format!("{GOOD}{line}")).unwrap();
    assert_eq!(agreed.agreed_deflate().unwrap().client_max_window_bits, 9);
    assert_eq!(agreed.agreed_deflate(), agreed.take_opened().deflate);
}

#[test]
fn a_parameter_of_permessage_deflate_twice_or_illegal_fails_by_name() {
    for (line, name) in [
        ("permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", "server_max_window_bits"),
        ("permessage-deflate; client_max_window_bits=16", "client_max_window_bits"),
    ] {
        let mut client = deflating();
        let error = answer(&mut client, &format!("{GOOD}Sec-WebSocket-Extensions: {line}\r\n")).unwrap_err();
        assert!(
            matches!(error, Error::Handshake(HandshakeError::Rule(why)) if why.contains(name)),
            "{error:?}"
        );
        assert_eq!((client.agreed_deflate(), client.head().status()), (None, 101));
    }
}

#[test]
fn a_101_of_http_1_0_fails() {
    let mut client = client(&[]);
    let error = client.advance(b"HTTP/1.0 101 x\r\n\r\n", false).unwrap_err();
    assert!(matches!(error, Error::Handshake(HandshakeError::Rule(_))), "{error:?}");
}

#[test]
fn a_stream_that_ends_early_is_incomplete() {
    for bytes in [&b""[..], b"H", b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n"] {
        let error = client(&[]).advance(bytes, true).unwrap_err();
        assert!(matches!(error, Error::Handshake(HandshakeError::Incomplete)), "{error:?}");
    }
}

#[test]
fn status_headers_and_body_of_200_301_and_401_are_readable() {
    let (error, end) =
        drip(&mut client(&[]), b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more", false);
    let head = http(error);
    assert_eq!((head.status(), head.body(), end), (200, &b"hello"[..], 43));

    let redirect = b"HTTP/1.1 301 Moved Permanently\r\nLocation: ws://other/\r\nContent-Length: 0\r\n\r\n";
    let (error, end) = drip(&mut client(&[]), redirect, false);
    let head = http(error);
    assert_eq!((head.status(), head.reason()), (301, "Moved Permanently"));
    assert_eq!((head.header("location"), head.body(), end), (Some("ws://other/"), &b""[..], redirect.len()));

    let chunked =
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nTransfer-Encoding: chunked\r\n\r\n\
                    3\r\nlog\r\n3\r\n in\r\n0\r\n\r\n";
    let (error, _) = drip(&mut client(&[]), chunked, false);
    let head = http(error);
    assert_eq!((head.status(), head.body()), (401, &b"log in"[..]));
    assert_eq!(head.header("www-authenticate"), Some("Basic"));
    for step in [true, false] {
        let mut client = client(&[]);
        let at_once = b"HTTP/1.0 503 Busy\r\n\r\nuntil the end";
        let error = if step {
            drip(&mut client, at_once, true).0
        } else {
            client.advance(at_once, true).unwrap_err()
        };
        assert_eq!(http(error).body(), b"until the end");
    }
}

#[test]
fn an_endless_body_stops_at_the_limit() {
    let mut response = b"HTTP/1.1 500 x\r\n\r\n".to_vec();
    let start = response.len();
    response.resize(start + 10 * MAX, b'x');
    let (error, end) = drip(&mut client(&[]), &response, false);
    assert_eq!((http(error).body().len(), end), (MAX, start + MAX));
}

#[test]
fn a_refusal_cut_short_by_a_deadline_is_still_readable() {
    let mut client = client(&[]);
    assert!(client.take_refusal().is_none());
    let response = b"HTTP/1.1 403 Forbidden\r\n\r\nno";
    assert_eq!(client.advance(response, false).unwrap(), (Progress::NeedMore, response.len()));
    let head = http(client.take_refusal().unwrap());
    assert_eq!((head.status(), head.body()), (403, &b"no"[..]));
    assert!(client.take_refusal().is_none());
}

#[test]
fn interim_responses_are_skipped_but_not_without_end() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    for step in [1, 5, 1000] {
        let mut client = client(&[]);
        let accept = str::from_utf8(&client.accept).unwrap();
        let response = format!("{interim}HTTP/1.1 101 x\r\n{GOOD}\r\n").replace("ACCEPT", accept);
        let (mut start, mut end) = (0, 0);
        while start < response.len() {
            end = response.len().min(end + step);
            let (progress, consumed) = client.advance(&response.as_bytes()[start..end], false).unwrap();
            start += consumed;
            assert_eq!(progress == Progress::Done, start == response.len());
        }
        assert_eq!(client.head().status(), 101);
    }
    let endless = interim.repeat(MAX / interim.len() + 1);
    let (error, end) = drip(&mut client(&[]), endless.as_bytes(), false);
    assert!(matches!(error, Error::Capacity(CapacityError::HeadTooLong { .. })), "{error:?}");
    assert!(end <= MAX, "{end}");
}
