//! Broken rules: the right Close code goes out, the error says what and where, and nothing is read past them.

use crate::common::wire::{
    self, BINARY, BINARY_PART, CLOSE, LAST, MORE, PING, PONG, TEXT, TEXT_PART, close_payload,
};
use crate::common::{Fault, Harness, Role, Transport, at_every_chunk_size, everywhere, plain, text};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

struct Case {
    what: String,
    frames: Vec<Vec<u8>>,
    fault: Fault,
    code: u16,
    sentence: &'static str,
}

/// Everything that the last of these frames does wrong, sent by `sender`.
fn cases(sender: Role) -> Vec<Case> {
    let frame = |first, payload: &[u8]| wire::frame(sender, first, payload);
    let mut cases = Vec::new();
    let mut case = |what: &str, frames: Vec<Vec<u8>>, fault, code, sentence| {
        cases.push(Case { what: what.to_owned(), frames, fault, code, sentence });
    };
    let protocol = Fault::Protocol;
    for bit in [0x40, 0x20, 0x10] {
        for first in [TEXT, BINARY, PING, PONG, CLOSE] {
            case(&format!("RSV {bit:x}, {first:x}"), vec![frame(first | bit, b"")], protocol, 1002, "(RSV)");
        }
        let begun = frame(TEXT_PART, b"a");
        case("RSV on a continuation", vec![begun, frame(LAST | bit, b"")], protocol, 1002, "(RSV)");
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        let what = format!("opcode {opcode}");
        case(&what, vec![frame(0x80 | opcode, b"")], protocol, 1002, "reserved opcode");
    }
    for first in [CLOSE, PING, PONG] {
        let what = format!("control frame {first:x}");
        case(&what, vec![frame(first & 0x7f, b"")], protocol, 1002, "fragmented control frame");
        case(&what, vec![frame(first, &[0; 126])], protocol, 1002, "longer than 125");
        case(&what, vec![wire::header(sender, first, 70_000)], protocol, 1002, "longer than 125");
    }
    case("FIN continuation without a start", vec![frame(LAST, b"x")], protocol, 1002, "without a message");
    case("continuation without a start", vec![frame(MORE, b"x")], protocol, 1002, "without a message");
    let ended = vec![frame(TEXT_PART, b"a"), frame(LAST, b"b"), frame(LAST, b"c")];
    case("continuation after the end", ended, protocol, 1002, "without a message");
    for first in [TEXT, BINARY, TEXT_PART, BINARY_PART] {
        let frames = vec![frame(BINARY_PART, b"a"), frame(first, b"b")];
        case(&format!("{first:x} inside a message"), frames, protocol, 1002, "inside a fragmented one");
    }
    case(
        "masking",
        vec![wire::frame(wire::other(sender), TEXT, b"x")],
        protocol,
        1002,
        "masked frame from a",
    );
    case("one byte of Close", vec![frame(CLOSE, &[3])], protocol, 1002, "one byte");
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65535] {
        let frames = vec![frame(CLOSE, &close_payload(code, "reason"))];
        case(&format!("Close code {code}"), frames, protocol, 1002, "is not allowed");
    }
    let utf8 = Fault::Utf8;
    case("reason of a Close", vec![frame(CLOSE, b"\x03\xe8\xff")], utf8, 1007, "UTF-8");
    case("cut reason of a Close", vec![frame(CLOSE, b"\x03\xe8\xe2\x82")], utf8, 1007, "UTF-8");
    for (what, bytes) in [
        ("lone continuation", &b"ab\x80"[..]),
        ("surrogate", b"\xed\xa0\x80"),
        ("overlong", b"\xc0\xaf"),
        ("too high", b"\xf4\x90\x80\x80"),
        ("cut", b"long enough \xf0\x9f\x98"),
        ("no start", b"\xfe"),
    ] {
        case(what, vec![frame(TEXT, bytes)], utf8, 1007, "UTF-8");
        case(what, vec![frame(TEXT, &[&[b'a'; 130], bytes].concat())], utf8, 1007, "UTF-8");
        case(what, vec![frame(TEXT_PART, b"ok"), frame(LAST, bytes)], utf8, 1007, "UTF-8");
    }
    let over_frames =
        vec![frame(TEXT_PART, b"\xe2\x82"), frame(PING, b"p"), frame(MORE, b""), frame(MORE, b"a")];
    case("character cut by another", over_frames, utf8, 1007, "UTF-8");
    let never_ends = vec![frame(TEXT_PART, b"\xe2\x82"), frame(LAST, b"")];
    case("character that never ends", never_ends, utf8, 1007, "UTF-8");
    cases
}

#[test]
fn a_broken_rule_is_answered_with_its_close_code_and_the_error_says_what_and_where() {
    for role in ROLES {
        for case in cases(wire::other(role)) {
            at_every_chunk_size(&Transport::ALL, |harness| check(harness, role, &case));
        }
    }
}

fn check(harness: &Harness, role: Role, case: &Case) {
    let what = format!("{role:?}: {}", case.what);
    let (mut end, peer) = harness.end(role, plain());
    peer.send(TEXT, b"ok");
    let (last, others) = case.frames.split_last().unwrap();
    others.iter().for_each(|frame| peer.send_raw(frame));
    let offset = peer.to_end.borrow().waiting();
    peer.send_raw(last);
    peer.send(TEXT, b"no");
    assert_eq!(end.read(), Ok(text("ok")), "{what}");
    let (events, fault) = end.read_all();
    assert_eq!(fault, case.fault, "{what}");
    let delivered = events.iter().filter(|event| !event.kind.is_control() && event.data != b"ab");
    assert_eq!(delivered.count(), 0, "{what}: {events:?} came of a refused message");
    let failure = end.failure();
    assert!(failure.contains(case.sentence), "{what}: {failure}");
    assert!(failure.contains(&format!("at byte {offset} of the stream")), "{what}: {failure}");
    assert!(!end.can_read() && !end.can_write(), "{what}");
    end.assert_over();
    let closes: Vec<_> = peer.frames().into_iter().filter(|frame| frame.first == CLOSE).collect();
    assert_eq!(closes.len(), 1, "{what}");
    assert_eq!(closes[0].close(), (case.code, &b""[..]), "{what}");
}

#[test]
fn a_broken_rule_after_our_close_sends_no_second_close() {
    everywhere(|harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, plain());
            end.close(Some((1000, "mine"))).unwrap();
            peer.send_raw(&[0xff]);
            assert_eq!(end.read(), Err(Fault::Protocol));
            end.assert_over();
            assert_eq!(peer.received(), [(CLOSE, b"\x03\xe8mine".to_vec())]);
        }
    });
}

#[test]
fn bad_text_fails_at_its_first_bad_byte_and_not_at_the_end_of_the_message() {
    everywhere(|harness| {
        for role in ROLES {
            for first in [TEXT, TEXT_PART] {
                let (mut end, peer) = harness.end(role, plain());
                let whole = wire::frame(peer.role, first, &[&b"ok \xed\xa0"[..], &[b'a'; 50]].concat());
                peer.send_raw(&whole[..whole.len() - 50]);
                assert_eq!(end.read(), Err(Fault::Utf8), "the rest has not come, and need not");
                end.assert_over();
            }
        }
    });
}

#[test]
fn a_broken_header_fails_at_its_first_bad_byte() {
    everywhere(|harness| {
        for role in ROLES {
            for bytes in [&[0xc1][..], &[0x83], &[0x08], &[0x89, 0xfe], &[0x89, 0x7e]] {
                let (mut end, peer) = harness.end(role, plain());
                peer.send_raw(bytes);
                assert_eq!(end.read(), Err(Fault::Protocol), "{bytes:x?}");
                end.assert_over();
            }
        }
    });
}
