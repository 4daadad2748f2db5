//! The limits on messages: Capacity, in both directions, and no way around them.

use crate::common::wire::{self, BINARY, BINARY_PART, CLOSE, LAST, MORE, TEXT, TEXT_PART};
use crate::common::{
    Fault, Role, Script, Transport, at_every_chunk_size, binary, config, everywhere, plain, text,
};
use wsabi::{Kind, WebSocketConfig};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

fn limits() -> WebSocketConfig {
    config(|c| {
        c.max_message_size = Some(300);
        c.max_frame_size = Some(200);
        c.max_fragments = Some(4);
    })
}

/// Frames, what they say, and the words of the error.
type Case = (&'static str, Vec<(u8, usize)>, &'static str);

fn over_the_limits() -> Vec<Case> {
    vec![
        ("frame", vec![(BINARY, 201)], "frame of 201 bytes is over the limit of 200"),
        ("message", vec![(BINARY_PART, 200), (LAST, 101)], "message of 301 bytes is over the limit of 300"),
        ("message that goes on", vec![(TEXT_PART, 150), (MORE, 150), (MORE, 1)], "message of 301 bytes"),
        ("fragments", vec![(TEXT_PART, 1), (MORE, 1), (MORE, 1), (MORE, 1), (LAST, 1)], "more than 4 frames"),
        (
            "empty fragments",
            vec![(TEXT_PART, 0), (MORE, 0), (MORE, 0), (MORE, 0), (MORE, 0)],
            "more than 4 frames",
        ),
    ]
}

#[test]
fn a_message_over_a_limit_is_refused_with_1009_and_the_connection_ends() {
    for role in ROLES {
        for (name, frames, sentence) in over_the_limits() {
            at_every_chunk_size(&Transport::ALL, |harness| {
                let (mut end, peer) = harness.end(role, limits());
                peer.send(TEXT, b"in order");
                let mut offset = wire::frame(peer.role, TEXT, b"in order").len();
                for (i, (first, len)) in frames.iter().enumerate() {
                    let frame = wire::frame(peer.role, *first, &vec![b'a'; *len]);
                    peer.send_raw(&frame);
                    offset += if i + 1 < frames.len() { frame.len() } else { 0 };
                }
                peer.send(TEXT, b"never read");
                assert_eq!(end.read(), Ok(text("in order")), "{name}");
                assert_eq!(end.read(), Err(Fault::Capacity), "{name}");
                assert!(end.failure().contains(sentence), "{name}: {}", end.failure());
                assert!(end.failure().contains(&format!("at byte {offset} of")), "{}", end.failure());
                assert!(!end.can_read() && !end.can_write());
                end.assert_over();
                assert_eq!(peer.received(), [(CLOSE, vec![0x03, 0xf1])], "{name}");
            });
        }
    }
}

#[test]
fn the_limits_themselves_are_allowed() {
    everywhere(|harness| {
        for role in ROLES {
            let exact = config(|c| {
                (c.max_message_size, c.max_frame_size, c.max_fragments) = (Some(30), Some(20), Some(4));
            });
            let (mut end, peer) = harness.end(role, exact);
            for _ in 0..2 {
                peer.send(BINARY, &[1; 20]);
                peer.send(BINARY_PART, &[1; 20]);
                peer.send(MORE, &[]);
                peer.send(MORE, &[]);
                peer.send(LAST, &[1; 10]);
            }
            for _ in 0..2 {
                assert_eq!(end.read(), Ok(binary(&[1; 20])));
                assert_eq!(end.read(), Ok(binary(&[1; 30])));
            }
            assert_eq!(end.read(), Err(Fault::WouldBlock));
        }
    });
}

#[test]
fn a_declared_length_over_the_limit_is_refused_before_its_bytes_come() {
    everywhere(|harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, limits());
            peer.send_raw(&wire::header(peer.role, BINARY, 1 << 40));
            assert_eq!(end.read(), Err(Fault::Capacity));
            end.assert_over();
            assert_eq!(peer.received(), [(CLOSE, vec![0x03, 0xf1])]);
        }
    });
}

#[test]
fn a_message_over_the_limit_is_not_sent_and_the_connection_goes_on() {
    everywhere(|harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, limits());
            assert_eq!(end.binary(&[1; 301]), Err(Fault::Capacity));
            assert_eq!(end.text(&"a".repeat(301)), Err(Fault::Capacity));
            assert_eq!(end.binary(&[2; 300]), Ok(()));
            assert_eq!(end.write_fragment(Kind::Binary, &[3; 200], false), Ok(()));
            assert_eq!(end.write_fragment(Kind::Binary, &[3; 101], true), Err(Fault::Capacity));
            assert_eq!(end.write_fragment(Kind::Binary, &[3; 100], true), Ok(()));
            end.write_pending().unwrap();
            let received = peer.received();
            assert_eq!(received[0], (BINARY, vec![2; 300]));
            assert!(received[1..].iter().flat_map(|(_, data)| data).all(|byte| *byte == 3));
            assert!(end.can_read() && end.can_write());
        }
    });
}

#[test]
fn without_limits_every_size_goes() {
    everywhere(|harness| {
        let large = (harness.transport, harness.script) == (Transport::Face, Script::WHOLE);
        let size = if large { 17 << 20 } else { 200 };
        let unlimited = config(|c| {
            (c.max_message_size, c.max_frame_size, c.max_fragments) = (None, None, None);
            (c.max_send_queue, c.max_send_bytes) = (None, None);
        });
        let (mut client, mut server) = harness.pair(unlimited.clone(), unlimited);
        client.binary(&vec![1; size]).unwrap();
        client.write_pending().unwrap();
        assert_eq!(server.read(), Ok(binary(&vec![1; size])));
        server.binary(&vec![2; size]).unwrap();
        server.write_pending().unwrap();
        assert_eq!(client.read(), Ok(binary(&vec![2; size])));
    });
}

#[test]
fn the_default_limits_are_those_that_are_documented() {
    let config = plain();
    assert_eq!(config.max_message_size, Some(64 << 20));
    assert_eq!(config.max_frame_size, Some(16 << 20));
    assert_eq!(config.max_fragments, Some(131_072));
    assert_eq!((config.max_send_queue, config.max_send_bytes), (Some(1024), Some(16 << 20)));
    assert_eq!(config.max_head_size, 16 << 10);
}
