//! Compressed messages (RFC 7692): where they end, and what a corrupt one leaves behind.

use crate::common::deflate::{self, Ending, compress, store, stored};
use crate::common::random::Random;
use crate::common::wire::{CLOSE, LAST, MORE, PING};
use crate::common::{
    Fault, Lab, Role, Script, Transport, at_every_chunk_size, binary, everywhere, ping, text,
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
        at_every_chunk_size(&Transport::ALL, |lab| {
            for (role, takeover) in ROLES.into_iter().flat_map(|role| [(role, true), (role, false)]) {
                let (mut end, peer) = lab.end(role, deflate::config(takeover, |_| ()));
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
    everywhere(|lab| {
        for (role, takeover) in ROLES.into_iter().flat_map(|role| [(role, true), (role, false)]) {
            let (mut end, peer) = lab.end(role, deflate::config(takeover, |_| ()));
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
    everywhere(|lab| {
        for (role, takeover) in ROLES.into_iter().flat_map(|role| [(role, true), (role, false)]) {
            let (mut end, peer) = lab.end(role, deflate::config(takeover, |_| ()));
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
    // Every cut as it is and byte by byte; over each other transport, some of them.
    let links = [(Transport::Gathered, 1, 1), (Transport::Gathered, usize::MAX, 1), (Transport::Face, 7, 5)]
        .into_iter()
        .chain(Transport::ALL.map(|transport| (transport, usize::MAX, 11)));
    for (transport, read, step) in links {
        let lab = Lab::new(transport, Script { read, ..Script::WHOLE });
        for (role, takeover) in ROLES.into_iter().flat_map(|role| [(role, true), (role, false)]) {
            for (cut, (message, ending)) in cuts.iter().step_by(step) {
                let what = format!("{} bytes, {role:?} {lab:?}", cut.len());
                let (mut end, peer) = lab.end(role, deflate::config(takeover, |_| ()));
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
