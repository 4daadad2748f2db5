//! Compressed messages (RFC 7692): where they end, and what a corrupt one leaves behind.

use crate::common::deflate::{self, Ending, compress, store, stored};
use crate::common::random::Random;
use crate::common::wire::{self, CLOSE, LAST, MORE, PING, TEXT};
use crate::common::{
    Event, Fault, Harness, Role, Script, Transport, WebSocketConfig, at_every_chunk_size, binary, everywhere,
    ping, text,
};

const ROLES: [Role; 2] = [Role::Client, Role::Server];
/// First bytes of compressed messages.
const ZIPPED_TEXT: u8 = 0xc1;
const ZIPPED: u8 = 0xc2;
const ZIPPED_PART: u8 = 0x42;
/// "Hello" in a fixed block.
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
/// The same in a final one (RFC 7692 section 7.2.3.4), and nothing behind it.
const HELLO_FINAL: [u8; 7] = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

/// Payloads that the tail makes no whole blocks of.
fn cut_short() -> Vec<(&'static str, Vec<u8>)> {
    let stored_hi = stored(b"hi");
    vec![
        ("an empty fixed block cut in its end, which the tail would complete", vec![0x02]),
        ("a stored block without its closing one", stored_hi.clone()),
        ("two of them", [&stored_hi[..], &stored_hi].concat()),
        ("the tail that is left out, not left out", [&store(b"hi")[..], &[0, 0, 0xff, 0xff]].concat()),
        ("lengths cut after one byte", vec![0, 2]),
        ("lengths cut after two bytes", vec![0, 2, 0]),
        ("lengths cut after three bytes", vec![0, 2, 0, 0xfd]),
        ("lengths that the tail would complete", vec![0, 0xff]),
        ("a stored block without its data", stored_hi[..5].to_vec()),
        ("a stored block without half of its data", stored_hi[..6].to_vec()),
        ("a fixed block cut in its first symbol", HELLO[..1].to_vec()),
        ("a fixed block cut before its end", HELLO[..5].to_vec()),
        ("a fixed block cut in its end", HELLO[..6].to_vec()),
        ("a final block cut", HELLO_FINAL[..5].to_vec()),
        ("a block behind a final one, cut", [&HELLO_FINAL[..], &HELLO[..4]].concat()),
        (
            "a dynamic block cut in its header",
            compress(9, b"a dynamic block it is, it is, a dynamic one")[..9].to_vec(),
        ),
    ]
}

#[test]
fn a_compressed_message_that_ends_inside_a_block_fails_at_once() {
    for (what, payload) in cut_short() {
        at_every_chunk_size(&Transport::ALL, |harness| {
            for (role, takeover) in ROLES.into_iter().flat_map(|role| [(role, true), (role, false)]) {
                let (mut end, peer) = harness.end(role, deflate::config(takeover, |_| ()));
                peer.send(ZIPPED, &HELLO);
                peer.send(ZIPPED, &payload);
                peer.send(ZIPPED, &HELLO);
                assert_eq!(end.read(), Ok(binary(b"Hello")));
                assert_eq!(end.read(), Err(Fault::Protocol), "{what}");
                assert!(end.failure().contains("ends too early"), "{what}: {}", end.failure());
                end.assert_over();
                assert_eq!(peer.received(), [(CLOSE, vec![0x03, 0xef])], "1007: {what}");
            }
        });
    }
}

#[test]
fn an_empty_compressed_payload_is_an_empty_message_and_leaves_nothing_behind() {
    everywhere(|harness| {
        for (role, takeover) in ROLES.into_iter().flat_map(|role| [(role, true), (role, false)]) {
            let (mut end, peer) = harness.end(role, deflate::config(takeover, |_| ()));
            type Frames<'a> = &'a [(u8, &'a [u8])];
            let messages: [(Frames<'_>, _); 9] = [
                (&[(ZIPPED, b"")], binary(b"")),
                (&[(ZIPPED, b"\0")], binary(b"")),
                (&[(ZIPPED_TEXT, b"")], text("")),
                (&[(ZIPPED, &store(b"hi"))], binary(b"hi")),
                (&[(ZIPPED_PART, b""), (MORE, b""), (LAST, b"")], binary(b"")),
                (
                    &[(ZIPPED_PART, b""), (MORE, &HELLO[..3]), (MORE, b""), (LAST, &HELLO[3..])],
                    binary(b"Hello"),
                ),
                (&[(ZIPPED_PART, &HELLO), (LAST, b"")], binary(b"Hello")),
                (&[(ZIPPED, b"")], binary(b"")),
                (&[(ZIPPED_TEXT, &HELLO)], text("Hello")),
            ];
            for (frames, _) in &messages {
                frames.iter().for_each(|(first, payload)| peer.send(*first, payload));
            }
            for (frames, message) in messages {
                assert_eq!(end.read(), Ok(message), "{frames:x?}");
            }
            assert_eq!(end.read(), Err(Fault::WouldBlock));
        }
    });
}

#[test]
fn a_message_may_end_with_a_final_block_and_nothing_of_it_is_left() {
    let closed = [&HELLO_FINAL[..], &[0]].concat();
    let closed_by_a_final_block = [&HELLO_FINAL[..], &[1]].concat();
    let followed = [&HELLO_FINAL[..], &HELLO].concat();
    let followed_by_a_final_block = [&HELLO_FINAL[..], &HELLO_FINAL].concat();
    everywhere(|harness| {
        for (role, takeover) in ROLES.into_iter().flat_map(|role| [(role, true), (role, false)]) {
            let (mut end, peer) = harness.end(role, deflate::config(takeover, |_| ()));
            let messages: [(&[u8], &[u8]); 8] = [
                (&closed, b"Hello"),
                (&HELLO_FINAL, b"Hello"),
                (b"", b""),
                (&closed_by_a_final_block, b"Hello"),
                (&[1], b""),
                (&followed, b"HelloHello"),
                (&followed_by_a_final_block, b"HelloHello"),
                (&HELLO, b"Hello"),
            ];
            for (payload, _) in messages {
                peer.send(ZIPPED, payload);
                peer.send(ZIPPED_PART, payload);
                peer.send(PING, b"");
                peer.send(LAST, b"");
            }
            for (payload, message) in messages {
                assert_eq!(end.read(), Ok(binary(message)), "{payload:x?}");
                assert_eq!(end.read(), Ok(ping(b"")));
                assert_eq!(end.read(), Ok(binary(message)), "{payload:x?}, in parts");
            }
            // A final block ends what may be referred to.
            peer.send(ZIPPED, &HELLO);
            peer.send(ZIPPED, &[0x03, 0x00]);
            peer.send(ZIPPED, &[0x02, 0x04, 0x05, 0x00]);
            let (events, fault) = end.read_all();
            assert_eq!((&events[..2], fault), (&[binary(b"Hello"), binary(b"")][..], Fault::Protocol));
        }
    });
}

/// A payload in blocks of each kind.
fn long_payload() -> Vec<u8> {
    let noise = Random::new(7).bytes(280);
    let words = b"what is said again and again is said again and again, and again".repeat(3);
    let mut payload = stored(&noise);
    payload.extend(compress(9, &words));
    payload.extend([0, 0, 0xff, 0xff]);
    payload.extend(compress(1, &noise));
    payload
}

#[test]
fn a_message_cut_at_any_byte_fails_and_the_whole_one_comes_through() {
    let payload = long_payload();
    assert!(payload.len() >= 600, "{} truncations", payload.len());
    let cuts: Vec<_> = (0..=payload.len())
        .map(|len| (&payload[..len], deflate::Inflater::default().message(&payload[..len], false)))
        .collect();
    let whole = cuts.iter().filter(|(_, (_, ending))| *ending == Ending::Whole).count();
    assert!((2..6).contains(&whole), "an empty one, all of it, and a few in between: {whole}");
    // Every cut as it is; in small pieces, and over each other transport, some of them.
    let links = [(Transport::Gathered, usize::MAX, 1), (Transport::Gathered, 1, 5), (Transport::Face, 7, 11)]
        .into_iter()
        .chain(Transport::ALL.map(|transport| (transport, usize::MAX, 17)));
    for (transport, read, step) in links {
        let harness = Harness::new(transport, Script { read, ..Script::WHOLE });
        for (role, takeover) in ROLES.into_iter().flat_map(|role| [(role, true), (role, false)]) {
            for (cut, (message, ending)) in cuts.iter().step_by(step) {
                let what = format!("{} bytes, {role:?} {harness:?}", cut.len());
                let (mut end, peer) = harness.end(role, deflate::config(takeover, |_| ()));
                peer.send(ZIPPED, cut);
                peer.send(ZIPPED, &HELLO);
                if *ending == Ending::Whole {
                    assert_eq!(end.read(), Ok(binary(message)), "{what}");
                    assert_eq!(end.read(), Ok(binary(b"Hello")), "{what}");
                } else {
                    assert_eq!(end.read(), Err(Fault::Protocol), "{what}");
                    assert_eq!(end.read(), Err(Fault::Closed), "{what}");
                    assert_eq!(peer.frames()[0].close(), (1007, &b""[..]), "{what}");
                }
            }
        }
    }
}

/// What a connection says of these frames, in parts where they are delivered; and the code of the Close that it sends.
fn told(harness: &Harness, role: Role, config: WebSocketConfig, bytes: &[u8], first: usize) -> Told {
    let (mut end, peer) = harness.end_after(role, &bytes[..first], config);
    peer.send_raw(&bytes[first..]);
    let (events, fault) = end.read_all();
    let mut messages: Vec<Event> = Vec::new();
    for event in events {
        match messages.last_mut() {
            Some(open) if !open.is_final => {
                open.data.extend(event.data);
                open.is_final = event.is_final;
            }
            _ => messages.push(event),
        }
    }
    let failure = end.failure();
    end.assert_over();
    (messages, fault, failure, peer.frames()[0].close().0)
}

type Told = (Vec<Event>, Fault, String, u16);

#[test]
fn what_was_inflated_before_a_message_became_corrupt_counts_however_it_was_cut() {
    let bad_block = [0x06];
    let then = |good: &[u8], bad: &[u8]| [good, bad].concat();
    let long = "well said, ".repeat(20_000);
    let zipped = |text: &str| {
        let mut payload = compress(6, text.as_bytes());
        payload.extend([0, 0, 0xff, 0xff]);
        payload
    };
    // Payloads, what comes of them, and what comes of them first.
    let cases: Vec<(Vec<u8>, &[u8], Fault, u16)> = vec![
        (then(&stored(b"\xff"), &bad_block), b"", Fault::Utf8, 1007),
        (then(&stored(b"ok\xe2\x82"), &bad_block), b"ok", Fault::Protocol, 1002),
        (then(&stored(b"ok\xe2\x82"), &stored(b"x")), b"ok", Fault::Utf8, 1007),
        (then(&stored(b"ok\xff"), &stored(b"x")), b"ok", Fault::Utf8, 1007),
        (then(&stored(b"ok"), &bad_block), b"ok", Fault::Protocol, 1002),
        (then(&stored(b"ok\xe2\x82"), &[0]), b"ok", Fault::Utf8, 1007),
        (stored("ok €".as_bytes())[..10].to_vec(), b"ok ", Fault::Protocol, 1007),
        (then(&zipped("ok and ok and ok"), &bad_block), b"ok and ok and ok", Fault::Protocol, 1002),
        (then(&zipped("ok"), &[0, 1, 0, 0, 0, 0]), b"ok", Fault::Protocol, 1002),
        // A distance that reaches back too far.
        (then(&zipped("ok"), &[0x02, 0x5e, 0, 0]), b"ok", Fault::Protocol, 1002),
        (then(&stored(&[b'a'; 299]), &store("é".as_bytes())), &[b'a'; 299], Fault::Capacity, 1009),
        (then(&stored(&[b'a'; 300]), &store(b"b")), &[b'a'; 300], Fault::Capacity, 1009),
        (then(&stored(&[b'a'; 300]), &store(b"\xff")), &[b'a'; 300], Fault::Utf8, 1007),
        (then(&stored(&[b'a'; 300]), &bad_block), &[b'a'; 300], Fault::Protocol, 1002),
        (then(&stored(&[b'a'; 301]), &bad_block), &[b'a'; 300], Fault::Capacity, 1009),
        (then(&stored(b"\xff"), &store(&[b'a'; 300])), b"", Fault::Utf8, 1007),
        (zipped(&long), &long.as_bytes()[..300], Fault::Capacity, 1009),
    ];
    for (payload, good, fault, code) in cases {
        for parts in [false, true] {
            let limited = || {
                deflate::config(true, |c| {
                    (c.max_message_size, c.deliver_fragments) = (Some(300), parts);
                })
            };
            let whole = Harness::new(Transport::Gathered, Script::WHOLE);
            for (role, in_two) in ROLES.into_iter().flat_map(|role| [(role, false), (role, true)]) {
                let sender = wire::other(role);
                let mut bytes = wire::frame(sender, ZIPPED, &HELLO);
                if in_two {
                    let (one, other) = payload.split_at(payload.len() / 2);
                    bytes.extend(wire::frame(sender, ZIPPED_TEXT & !LAST, one));
                    bytes.extend(wire::frame(sender, LAST, other));
                } else {
                    bytes.extend(wire::frame(sender, ZIPPED_TEXT, &payload));
                }
                bytes.extend(wire::frame(sender, ZIPPED, &HELLO));
                let expected = told(&whole, role, limited(), &bytes, 0);
                let (messages, told_fault, _, told_code) = &expected;
                assert_eq!((*told_fault, *told_code), (fault, code), "{payload:x?}");
                let delivered = messages.get(1).map_or(&[][..], |part| &part.data);
                let part = if parts { good } else { b"" };
                assert_eq!(String::from_utf8_lossy(delivered), String::from_utf8_lossy(part), "{payload:x?}");
                for first in 1..bytes.len() {
                    assert_eq!(told(&whole, role, limited(), &bytes, first), expected, "{first} bytes first");
                }
                // Half of them: each frame once, whole or in two.
                if (role == Role::Server) == (in_two == parts) {
                    at_every_chunk_size(&Transport::ALL, |harness| {
                        assert_eq!(told(harness, role, limited(), &bytes, 0), expected);
                    });
                }
            }
        }
    }
}

#[test]
fn what_is_good_of_a_text_that_is_not_utf8_is_delivered_in_parts_however_it_was_cut() {
    let texts: [(&[u8], &[u8]); 4] = [
        (b"good, good\xff and more of it", b"good, good"),
        (b"good \xe2\x82", b"good "),
        (b"\xff", b""),
        ("ä\u{10ffff}\0".as_bytes(), "ä\u{10ffff}\0".as_bytes()),
    ];
    for role in ROLES {
        for (text, good) in texts {
            at_every_chunk_size(&Transport::ALL, |harness| {
                let bytes = [
                    wire::frame(wire::other(role), TEXT, text),
                    wire::frame(wire::other(role), TEXT, b"\xff"),
                ];
                let config = deflate::config(true, |c| c.deliver_fragments = true);
                let (messages, fault, _, code) = told(harness, role, config, &bytes.concat(), 0);
                assert_eq!((fault, code), (Fault::Utf8, 1007));
                let delivered: Vec<u8> = messages.into_iter().flat_map(|message| message.data).collect();
                assert_eq!(delivered, good);
            });
        }
    }
}
