//! The closing handshake: who may still do what, and who ends the stream.

use crate::common::wire::{BINARY, CLOSE, PING, TEXT, close_payload};
use crate::common::{
    Fault, Role, SharedConnection, Transport, close, everywhere, everywhere_on, plain, text,
};
use wsabi::{CloseCode, CloseFrame, Kind, Message, Role::*};

const ROLES: [Role; 2] = [Client, Server];

#[test]
fn the_server_is_done_as_soon_as_both_closes_have_passed() {
    everywhere(|harness| {
        // The peer begins.
        let (mut server, peer) = harness.end(Server, plain());
        peer.send_close(1000, "");
        assert_eq!(server.read(), Ok(close(1000, "")));
        server.assert_over();
        assert_eq!(peer.received(), [(CLOSE, vec![0x03, 0xe8])]);
        // We begin.
        let (mut server, peer) = harness.end(Server, plain());
        server.close(Some((1001, "restart"))).unwrap();
        assert_eq!(server.read(), Err(Fault::WouldBlock));
        assert_eq!(peer.received(), [(CLOSE, b"\x03\xe9restart".to_vec())]);
        peer.send_close(1001, "");
        assert_eq!(server.read(), Ok(close(1001, "")));
        server.assert_over();
        assert_eq!(peer.received(), []);
    });
}

#[test]
fn the_server_is_not_done_before_its_close_is_out() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        let (mut server, peer) = harness.end(Server, plain());
        peer.set_window(3);
        peer.send_close(1000, "");
        assert_eq!(server.read(), Ok(close(1000, "")));
        assert_eq!(server.read(), Err(Fault::WouldBlock));
        assert_eq!(server.write_pending(), Err(Fault::WouldBlock));
        peer.set_window(1);
        assert_eq!(server.write_pending(), Err(Fault::Closed));
        server.assert_already_closed();
        assert_eq!(peer.received(), [(CLOSE, vec![0x03, 0xe8])]);
    });
}

#[test]
fn the_client_is_done_only_after_the_server_has_ended_the_stream() {
    everywhere(|harness| {
        for we_begin in [false, true] {
            for by_reading in [false, true] {
                let (mut client, peer) = harness.end(Client, plain());
                if we_begin {
                    client.close(None).unwrap();
                    client.write_pending().unwrap();
                }
                peer.send_close(3000, "bye");
                assert_eq!(client.read(), Ok(close(3000, "bye")));
                let drive = |client: &mut SharedConnection| match by_reading {
                    true => client.read().map(drop),
                    false => client.write_pending(),
                };
                let waits = if by_reading { Err(Fault::WouldBlock) } else { Ok(()) };
                assert_eq!(drive(&mut client), waits);
                assert_eq!(drive(&mut client), waits);
                let answer = if we_begin { vec![] } else { close_payload(3000, "bye") };
                assert_eq!(peer.received(), [(CLOSE, answer)]);
                peer.end();
                // A stream that would block, for once, is a stream that has not ended yet.
                let results: Vec<_> = std::iter::repeat_with(|| drive(&mut client)).take(4).collect();
                let first_error = results.iter().find(|result| **result != waits);
                assert_eq!(first_error, Some(&Err(Fault::Closed)));
                client.assert_already_closed();
            }
        }
    });
}

#[test]
fn a_stream_that_breaks_after_both_closes_has_ended_well() {
    everywhere(|harness| {
        let (mut client, peer) = harness.end(Client, plain());
        peer.send_close(1000, "");
        assert_eq!(client.read(), Ok(close(1000, "")));
        assert_eq!(client.read(), Err(Fault::WouldBlock));
        peer.end();
        client.assert_over();
    });
}

#[test]
fn two_ends_of_ours_come_to_the_end_together_whoever_begins() {
    everywhere(|harness| {
        for who in [&[Client][..], &[Server], &[Client, Server]] {
            let (mut client, mut server) = harness.pair(plain(), plain());
            for role in who {
                let end = if *role == Client { &mut client } else { &mut server };
                end.text("last words").unwrap();
                end.close(Some((1000, "done"))).unwrap();
                end.close(Some((1001, "again"))).unwrap();
                let _ = end.write_pending();
            }
            if who.contains(&Client) {
                assert_eq!(server.read(), Ok(text("last words")));
            }
            if who == [Server] {
                assert_eq!(client.read(), Ok(text("last words")));
                assert_eq!(client.read(), Ok(close(1000, "done")));
                assert_eq!(client.read(), Err(Fault::WouldBlock));
            }
            assert_eq!(server.read(), Ok(close(1000, "done")));
            server.assert_over();
            if who != [Server] {
                if who.contains(&Server) {
                    assert_eq!(client.read(), Ok(text("last words")));
                }
                assert_eq!(client.read(), Ok(close(1000, "done")));
                assert_eq!(client.read(), Err(Fault::WouldBlock));
            }
            drop(server);
            client.assert_over();
        }
    });
}

#[test]
fn reading_goes_on_after_our_close_and_pings_are_not_answered_any_more() {
    everywhere(|harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, plain());
            assert!(end.can_read() && end.can_write());
            end.close(Some((1000, ""))).unwrap();
            assert!(end.can_read() && !end.can_write());
            peer.send(TEXT, b"still");
            peer.send(PING, b"late");
            peer.send(BINARY, b"coming");
            peer.send_close(1000, "");
            let (events, _) = end.read_all();
            assert_eq!(events.iter().filter(|event| !event.kind.is_control()).count(), 2);
            assert_eq!(events.last(), Some(&close(1000, "")));
            assert!(!end.can_read() && !end.can_write());
            assert_eq!(peer.received(), [(CLOSE, vec![0x03, 0xe8])], "nothing follows a Close");
        }
    });
}

#[test]
fn nothing_is_read_after_the_peers_close() {
    everywhere(|harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, plain());
            peer.send_close(1000, "");
            peer.send(TEXT, b"against the rules");
            peer.send_raw(&[0xff; 300]);
            assert_eq!(end.read(), Ok(close(1000, "")));
            assert!(!end.can_read() && !end.can_write());
            peer.send_raw(&[0xff; 300]);
            peer.end();
            end.assert_over();
            assert_eq!(peer.received(), [(CLOSE, vec![0x03, 0xe8])]);
        }
    });
}

#[test]
fn nothing_is_written_after_a_close_of_either_side() {
    everywhere(|harness| {
        for role in ROLES {
            for ours in [true, false] {
                let (mut end, peer) = harness.end(role, plain());
                if ours {
                    end.close(None).unwrap();
                } else {
                    peer.send_close(1000, "");
                    assert_eq!(end.read(), Ok(close(1000, "")));
                }
                for kind in [Kind::Text, Kind::Binary, Kind::Ping, Kind::Pong] {
                    assert_eq!(end.write(kind, b"late"), Err(Fault::NotWritable));
                }
                assert_eq!(end.write_fragment(Kind::Text, b"late", true), Err(Fault::NotWritable));
                let _ = end.write_pending();
                assert_eq!(peer.received().len(), 1, "the Close and nothing else");
            }
        }
    });
}

#[test]
fn closing_again_is_harmless_at_any_time_before_the_end() {
    everywhere(|harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, plain());
            for (code, reason) in [(1000, "first"), (1001, "second"), (4999, "")] {
                end.close(Some((code, reason))).unwrap();
                let _ = end.write_pending();
            }
            peer.send_close(1000, "first");
            assert_eq!(end.read(), Ok(close(1000, "first")));
            end.close(None).unwrap();
            peer.end();
            end.assert_over();
            assert_eq!(peer.received(), [(CLOSE, b"\x03\xe8first".to_vec())]);
        }
    });
}

#[test]
fn the_answer_to_a_close_carries_its_code_and_its_reason() {
    let long = "ä".repeat(61) + "!";
    assert_eq!(long.len(), 123);
    everywhere(|harness| {
        for role in ROLES {
            for code in [1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999] {
                for reason in ["", "a reason that is repeated", &long] {
                    let (mut end, peer) = harness.end(role, plain());
                    peer.send_close(code, reason);
                    assert_eq!(end.read(), Ok(close(code, reason)));
                    let _ = end.write_pending();
                    assert_eq!(peer.received(), [(CLOSE, close_payload(code, reason))]);
                }
            }
            let (mut end, peer) = harness.end(role, plain());
            peer.send(CLOSE, b"");
            assert_eq!(end.read(), Ok(close(1005, "")));
            let _ = end.write_pending();
            assert_eq!(peer.received(), [(CLOSE, vec![])]);
        }
    });
}

#[test]
fn closing_is_the_same_as_writing_a_close_message() {
    let frame = || Some(CloseFrame { code: CloseCode::AWAY, reason: "bye".into() });
    let bytes = |close: fn(&mut wsabi::WebSocket<std::io::Cursor<Vec<u8>>>, Option<CloseFrame>)| {
        let stream = std::io::Cursor::new(Vec::new());
        let mut socket = wsabi::WebSocket::from_raw_socket(stream, Server, None);
        close(&mut socket, frame());
        assert!(socket.can_read() && !socket.can_write());
        socket.into_inner().into_inner()
    };
    let by_close = bytes(|socket, frame| socket.close(frame).unwrap());
    let by_message = bytes(|socket, frame| socket.write_message(Message::Close(frame)).unwrap());
    assert_eq!(by_close, by_message);
    assert_eq!(by_close, b"\x88\x05\x03\xe9bye");
    everywhere_on(&[Transport::Face], |harness| {
        let (mut end, peer) = harness.end(Client, plain());
        end.close(Some((1001, "bye"))).unwrap();
        let _ = end.write_pending();
        assert_eq!(peer.received(), [(CLOSE, b"\x03\xe9bye".to_vec())]);
    });
}

#[test]
fn a_peer_that_ends_the_stream_instead_of_answering_our_close_is_reported() {
    everywhere(|harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, plain());
            end.close(None).unwrap();
            peer.end();
            assert_eq!(end.read(), Err(Fault::Protocol));
            end.assert_already_closed();
        }
    });
}

#[test]
fn an_end_whose_answer_cannot_be_sent_does_not_spin_when_the_peer_is_gone() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        for role in ROLES {
            for write in [false, true] {
                let (mut end, peer) = harness.end(role, plain());
                peer.set_window(0);
                peer.send_raw(&[0xf0]);
                peer.end();
                assert_eq!(end.read(), Err(Fault::Protocol));
                let result = if write { end.write_pending() } else { end.read().map(drop) };
                assert_eq!(result, Err(Fault::WouldBlock), "{role:?}");
                peer.set_window(usize::MAX);
                end.assert_over();
                assert_eq!(peer.received(), [(CLOSE, vec![0x03, 0xea])]);
            }
        }
        let (mut server, peer) = harness.end(Server, plain());
        peer.set_window(0);
        peer.send_close(1000, "");
        peer.end();
        assert_eq!(server.read(), Ok(close(1000, "")));
        assert_eq!(server.read(), Err(Fault::WouldBlock));
        assert_eq!(server.write_pending(), Err(Fault::WouldBlock));
        peer.set_window(usize::MAX);
        server.assert_over();
    });
}
