//! The opening handshake, resumed wherever the stream blocks.

use crate::common::harness::shake;
use crate::common::wire::{self, BINARY, TEXT};
use crate::common::{
    Fault, Harness, Role, Transport, binary, config, everywhere, everywhere_on, plain, text,
};
use wsabi::{Decision, DeflateConfig, HandshakeOptions, Kind};

const URL: &str = "ws://example.com:8080/chat?room=1";

fn options(headers: &[(&str, &str)], protocols: &[&str]) -> HandshakeOptions {
    let mut options = HandshakeOptions::default();
    headers.iter().for_each(|(name, value)| options.add_header(name, value).unwrap());
    protocols.iter().for_each(|name| options.add_protocol(name).unwrap());
    options
}

fn request(extra: &str) -> String {
    format!(
        "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
    )
}

/// The answer to the request that a raw peer has received.
fn response_to(request: &[u8]) -> String {
    let request = str::from_utf8(request).unwrap();
    let key = request.split("Sec-WebSocket-Key: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let accept = wsabi::internals::accept_key(key.as_bytes().try_into().unwrap());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        str::from_utf8(&accept).unwrap()
    )
}

#[test]
fn both_ends_agree_and_messages_flow() {
    everywhere(|harness| {
        let decision = Decision::Accept {
            protocol: None,
            options: options(&[("Server", "test")], &["chat.v2", "chat.v3"]),
        };
        let offer = (URL, options(&[("Origin", "http://example.com")], &["chat.v1", "chat.v2"]));
        let (mut client, mut server) = harness.strangers(offer, decision, &plain());
        assert_eq!(shake(&mut client, &mut server), (Ok(()), Ok(())));
        assert_eq!(client.seen().status, 101);
        assert_eq!(client.seen().protocol.as_deref(), Some("chat.v2"));
        assert_eq!(server.seen().target, "/chat?room=1");
        assert_eq!(server.seen().protocol.as_deref(), Some("chat.v2"));
        client.text("from the client").unwrap();
        server.text("from the server").unwrap();
        let _ = (client.write_pending(), server.write_pending());
        assert_eq!(server.read(), Ok(text("from the client")));
        assert_eq!(client.read(), Ok(text("from the server")));
        (client.seen(), server.seen())
    });
}

#[test]
fn a_server_that_rejects_gets_its_answer_to_the_client() {
    everywhere(|harness| {
        let decision = Decision::Reject {
            status: 403,
            options: options(&[("Retry-After", "120")], &[]),
            body: b"members only".to_vec(),
        };
        let (mut client, mut server) =
            harness.strangers((URL, HandshakeOptions::default()), decision, &plain());
        assert_eq!(shake(&mut client, &mut server), (Err(Fault::Handshake), Err(Fault::Handshake)));
        assert_eq!(client.seen().status, 403);
        assert_eq!(client.seen().body, b"members only");
    });
}

#[test]
fn a_request_against_the_rules_is_answered_before_it_fails() {
    everywhere(|harness| {
        for (what, request, status) in [
            ("version 8", request("").replace("Version: 13", "Version: 8"), "426"),
            ("no key", request("").replace("Sec-WebSocket-Key", "X-Key"), "400"),
            ("POST", request("").replace("GET", "POST"), "405"),
            ("no HTTP", "\x16\x03\x01\x02\x00\x01\r\n\r\n".to_owned(), "400"),
            ("too large", request(&format!("X: {}\r\n", "a".repeat(600))), "431"),
        ] {
            let (mut server, peer) = harness.server(Decision::accept(), config(|c| c.max_head_size = 500));
            peer.send_raw(request.as_bytes());
            let fault = if status == "431" { Fault::Capacity } else { Fault::Handshake };
            assert_eq!(server.handshake(), Err(fault), "{what}");
            let answer = peer.raw();
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
            assert!(answer.contains("\r\n\r\n"), "{what}: whole, not {answer}");
        }
    });
}

#[test]
fn what_http_wants_a_server_to_take_is_taken() {
    everywhere(|harness| {
        for (what, request) in [
            ("an empty line before the request", format!("\r\n{}", request(""))),
            ("many of them", format!("{}{}", "\r\n".repeat(20), request(""))),
            ("HTTP/1.2", request("").replace("HTTP/1.1", "HTTP/1.2")),
            ("both", format!("\r\n{}", request("").replace("HTTP/1.1", "HTTP/1.9"))),
        ] {
            let (mut server, peer) = harness.server(Decision::accept(), plain());
            peer.send_raw(request.as_bytes());
            peer.send(TEXT, b"first");
            assert_eq!(server.handshake(), Ok(()), "{what}");
            assert_eq!(server.seen().target, "/chat", "{what}");
            assert_eq!(server.read(), Ok(text("first")), "{what}");
        }
    });
}

#[test]
fn what_kubernetes_and_later_versions_of_http_say_in_a_101_is_taken() {
    everywhere(|harness| {
        let with = |response: String, lines: &str| response.replacen("\r\n", &format!("\r\n{lines}\r\n"), 1);
        for (protocols, lines) in [
            (&[][..], "Sec-WebSocket-Protocol:"),
            (&["chat"], "Sec-WebSocket-Protocol: "),
            (&[], "Sec-WebSocket-Extensions:"),
            (&["chat"], "Sec-WebSocket-Extensions: \t\r\nSec-WebSocket-Protocol:"),
        ] {
            for deflate in [None, Some(DeflateConfig::default())] {
                let configured = config(|c| c.deflate = deflate);
                let (mut client, peer) = harness.client(URL, options(&[], protocols), configured);
                assert_eq!(client.handshake(), Err(Fault::WouldBlock));
                peer.send_raw(
                    with(response_to(&peer.raw()), lines).replace("HTTP/1.1", "HTTP/1.2").as_bytes(),
                );
                peer.send(TEXT, b"first");
                assert_eq!(client.handshake(), Ok(()), "{lines}");
                assert_eq!(client.seen().protocol, None, "{lines}");
                assert_eq!(client.read(), Ok(text("first")), "{lines}");
            }
        }
    });
}

#[test]
fn a_bad_parameter_in_an_offer_declines_the_offer_and_nothing_else() {
    everywhere(|harness| {
        for (offers, agreed) in [
            ("permessage-deflate; server_max_window_bits=16", None),
            (
                "permessage-deflate; client_no_context_takeover=1, permessage-deflate",
                Some("permessage-deflate"),
            ),
            (
                "permessage-deflate; server_max_window_bits=7\r\nSec-WebSocket-Extensions: \
                 permessage-deflate; server_no_context_takeover",
                Some("permessage-deflate; server_no_context_takeover"),
            ),
        ] {
            let deflating = config(|c| c.deflate = Some(DeflateConfig::default()));
            let (mut server, peer) = harness.server(Decision::accept(), deflating);
            peer.send_raw(request(&format!("Sec-WebSocket-Extensions: {offers}\r\n")).as_bytes());
            peer.send(TEXT, b"first");
            assert_eq!(server.handshake(), Ok(()), "{offers}");
            assert_eq!(server.read(), Ok(text("first")), "{offers}");
            assert_eq!(server.write_pending(), Ok(()));
            let answer = String::from_utf8(peer.raw()).unwrap();
            let extensions =
                answer.split("\r\n").find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
            assert_eq!(extensions, agreed, "{offers}: {answer}");
        }
    });
}

/// What a server answers a request with, all of it, and how its handshake ends.
fn answered(harness: &Harness, request: &str, decision: Decision) -> (Result<(), Fault>, String) {
    let (mut server, peer) = harness.server(decision, config(|c| c.plain_requests = true));
    peer.send_raw(request.as_bytes());
    let outcome = server.handshake();
    (outcome, String::from_utf8(peer.raw()).unwrap())
}

#[test]
fn a_health_check_gets_its_answer_and_the_connection_ends() {
    everywhere(|harness| {
        for request in ["GET /health HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * HTTP/1.0\r\n\r\n", &request("")]
        {
            for (status, phrase) in [(200, "OK"), (299, ""), (404, "Not Found"), (503, "Service Unavailable")]
            {
                let expected = format!(
                    "HTTP/1.1 {status} {phrase}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
                     Content-Length: 5\r\n\r\nwell\n"
                );
                let answer = answered(harness, request, Decision::reject(status, *b"well\n"));
                assert_eq!(answer, (Err(Fault::Handshake), expected), "{request}");
            }
            let answer = answered(harness, request, Decision::reject(204, *b"well\n")).1;
            assert_eq!(answer, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "{request}");
        }
        let answer = answered(harness, "HEAD / HTTP/1.1\r\n\r\n", Decision::reject(200, *b"well\n")).1;
        assert!(answer.ends_with("\r\nContent-Length: 5\r\n\r\n"), "{answer}");
    });
}

#[test]
fn a_plain_request_with_a_body_is_answered_with_413() {
    everywhere(|harness| {
        for line in ["Content-Length: 3", "Transfer-Encoding: chunked"] {
            let request = format!("POST / HTTP/1.1\r\nHost: h\r\n{line}\r\n\r\nabc");
            let (outcome, answer) = answered(harness, &request, Decision::reject(200, *b""));
            assert_eq!(outcome, Err(Fault::Handshake));
            assert!(answer.starts_with("HTTP/1.1 413 Content Too Large\r\n"), "{answer}");
            assert!(
                answer.contains("\r\nConnection: close\r\n")
                    && answer.ends_with("\r\n\r\nthe request has a body\n")
            );
        }
    });
}

#[test]
fn a_websocket_is_opened_beside_plain_requests() {
    everywhere(|harness| {
        let (mut server, peer) = harness.server(Decision::accept(), config(|c| c.plain_requests = true));
        peer.send_raw(request("").as_bytes());
        peer.send(TEXT, b"first");
        assert_eq!(server.handshake(), Ok(()));
        assert_eq!(server.read(), Ok(text("first")));
    });
}

/// The callback of the Rust face is asked once: where it accepts what cannot be, the answer is the library's.
#[test]
fn a_plain_request_that_is_accepted_is_refused_by_its_fault() {
    everywhere_on(&[Transport::Face], |harness| {
        let (outcome, answer) = answered(harness, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", Decision::accept());
        assert_eq!(outcome, Err(Fault::Handshake));
        assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
    });
}

#[test]
fn bytes_after_the_head_are_kept_for_the_first_read() {
    everywhere(|harness| {
        let (mut server, peer) = harness.server(Decision::accept(), plain());
        let frames = [
            wire::frame(Role::Client, TEXT, b"with the request"),
            wire::frame(Role::Client, BINARY, &[9; 300]),
        ]
        .concat();
        let stream = [request("").into_bytes(), frames].concat();
        let (first, later) = stream.split_at(stream.len() - 50);
        peer.send_raw(first);
        assert_eq!(server.handshake(), Ok(()));
        assert_eq!(server.read(), Ok(text("with the request")));
        assert_eq!(server.read(), Err(Fault::WouldBlock));
        peer.send_raw(later);
        assert_eq!(server.read(), Ok(binary(&[9; 300])));

        let (mut client, peer) = harness.client(URL, HandshakeOptions::default(), plain());
        assert_eq!(client.handshake(), Err(Fault::WouldBlock));
        let response = response_to(&peer.raw());
        peer.send_raw(&[response.as_bytes(), b"\x81\x0dwith the 101!\x82\x03\x01"].concat());
        assert_eq!(client.handshake(), Ok(()));
        assert_eq!(client.read(), Ok(text("with the 101!")));
        assert_eq!(client.read(), Err(Fault::WouldBlock));
        peer.send_raw(&[2, 3]);
        assert_eq!(client.read(), Ok(binary(&[1, 2, 3])));
    });
}

#[test]
fn a_stream_that_ends_or_breaks_during_the_handshake_fails_it() {
    everywhere_on(&Transport::FALLIBLE, |harness| {
        let request = request("");
        for cut in [0, 1, 40, request.len() - 1] {
            for error in [None, Some(std::io::ErrorKind::ConnectionReset)] {
                let expected = if error.is_some() { Fault::Io } else { Fault::Handshake };
                let (mut server, peer) = harness.server(Decision::accept(), plain());
                peer.send_raw(&request.as_bytes()[..cut]);
                peer.to_end.borrow_mut().read_error = error;
                peer.end();
                assert_eq!(server.handshake(), Err(expected));

                let (mut client, peer) = harness.client(URL, HandshakeOptions::default(), plain());
                assert_eq!(client.handshake(), Err(Fault::WouldBlock));
                let response = response_to(&peer.raw());
                peer.send_raw(&response.as_bytes()[..cut.min(response.len() - 1)]);
                peer.to_end.borrow_mut().read_error = error;
                peer.end();
                assert_eq!(client.handshake(), Err(expected));
            }
        }
    });
}

#[test]
fn a_refusal_is_read_to_its_end_and_a_redirect_is_not_followed() {
    everywhere(|harness| {
        for (response, status, body) in [
            ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nlogin", 401, &b"login"[..]),
            ("HTTP/1.1 301 Moved\r\nLocation: ws://other/\r\nContent-Length: 0\r\n\r\n", 301, b""),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                200,
                b"abcde",
            ),
        ] {
            let (mut client, peer) = harness.client(URL, HandshakeOptions::default(), plain());
            assert_eq!(client.handshake(), Err(Fault::WouldBlock));
            let request = peer.raw();
            peer.send_raw(response.as_bytes());
            assert_eq!(client.handshake(), Err(Fault::Handshake));
            let seen = client.seen();
            assert_eq!((seen.status, &seen.body[..]), (status, body));
            assert_eq!(peer.raw(), b"", "one request, and {} bytes of it", request.len());
        }
    });
}

#[test]
fn a_body_that_ends_with_the_stream_or_is_cut_by_it_is_kept() {
    everywhere_on(&Transport::FALLIBLE, |harness| {
        for (head, error) in [
            ("HTTP/1.1 503 Busy\r\n\r\n", None),
            ("HTTP/1.1 503 Busy\r\nContent-Length: 900\r\n\r\n", None),
            ("HTTP/1.1 503 Busy\r\nContent-Length: 900\r\n\r\n", Some(std::io::ErrorKind::ConnectionReset)),
        ] {
            let (mut client, peer) = harness.client(URL, HandshakeOptions::default(), plain());
            assert_eq!(client.handshake(), Err(Fault::WouldBlock));
            peer.send_raw(&[head.as_bytes(), b"come back later"].concat());
            assert_eq!(client.handshake(), Err(Fault::WouldBlock));
            peer.to_end.borrow_mut().read_error = error;
            peer.end();
            assert_eq!(client.handshake(), Err(Fault::Handshake));
            assert_eq!((client.seen().status, &client.seen().body[..]), (503, &b"come back later"[..]));
        }
    });
}

#[test]
fn nothing_is_written_before_the_handshake_is_done() {
    // The Rust face has nothing to write to by then.
    let others: Vec<_> =
        Transport::ALL.into_iter().filter(|transport| *transport != Transport::Face).collect();
    everywhere_on(&others, |harness| {
        let (mut client, peer) = harness.client(URL, HandshakeOptions::default(), plain());
        assert_eq!(client.handshake(), Err(Fault::WouldBlock));
        let request = peer.raw();
        assert!(!client.can_read() && !client.can_write());
        assert_eq!(client.text("early"), Err(Fault::Misuse));
        assert_eq!(client.close(None), Err(Fault::Misuse));
        assert_eq!(client.write_fragment(Kind::Text, b"early", true), Err(Fault::Misuse));
        assert_eq!(peer.raw(), b"");
        peer.send_raw(response_to(&request).as_bytes());
        assert_eq!(client.handshake(), Ok(()));
        assert!(client.can_read() && client.can_write());
    });
}

#[test]
fn a_head_may_be_as_large_as_the_limit_and_frames_may_follow_it() {
    everywhere(|harness| {
        let limited = || config(|c| c.max_head_size = 400);
        for (excess, verdict) in [(0, Ok(())), (1, Err(Fault::Capacity))] {
            let padding = 400 - request("X: \r\n").len() + excess;
            let (mut server, peer) = harness.server(Decision::accept(), limited());
            peer.send_raw(request(&format!("X: {}\r\n", "a".repeat(padding))).as_bytes());
            peer.send(BINARY, &[5; 500]);
            assert_eq!(server.handshake(), verdict);
            if verdict.is_ok() {
                assert_eq!(server.read(), Ok(binary(&[5; 500])));
            }
            let (mut client, peer) = harness.client(URL, HandshakeOptions::default(), limited());
            assert_eq!(client.handshake(), Err(Fault::WouldBlock));
            let response = response_to(&peer.raw());
            let padding = 400 - response.len() - "X: \r\n".len() + excess;
            let response = response.replacen("\r\n", &format!("\r\nX: {}\r\n", "a".repeat(padding)), 1);
            peer.send_raw(response.as_bytes());
            peer.send(BINARY, &[6; 500]);
            assert_eq!(client.handshake(), verdict);
            if verdict.is_ok() {
                assert_eq!(client.read(), Ok(binary(&[6; 500])));
            }
        }
    });
}

#[test]
fn interim_responses_are_passed_over() {
    everywhere(|harness| {
        let (mut client, peer) = harness.client(URL, HandshakeOptions::default(), plain());
        assert_eq!(client.handshake(), Err(Fault::WouldBlock));
        let response = response_to(&peer.raw());
        peer.send_raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
        assert_eq!(client.handshake(), Err(Fault::WouldBlock));
        peer.send_raw(response.as_bytes());
        peer.send(TEXT, b"first");
        assert_eq!(client.handshake(), Ok(()));
        assert_eq!(client.seen().status, 101);
        assert_eq!(client.read(), Ok(text("first")));
    });
}

#[test]
fn what_lies_beyond_the_limit_that_interim_responses_left_is_not_judged() {
    everywhere(|harness| {
        for left in [0, 1, 4, 6] {
            let interim = format!("HTTP/1.1 103 Early Hints\r\nLink: </{}>\r\n\r\n", "x".repeat(300));
            let limited = config(|c| c.max_head_size = interim.len() + left);
            let (mut client, peer) = harness.client(URL, HandshakeOptions::default(), limited);
            assert_eq!(client.handshake(), Err(Fault::WouldBlock));
            let start = &"HTTP/1"[..left];
            peer.send_raw(format!("{interim}{start}~ and no HTTP").as_bytes());
            assert_eq!(client.handshake(), Err(Fault::Capacity), "{left} bytes left");
        }
    });
}
