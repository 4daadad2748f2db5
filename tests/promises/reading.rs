//! Reading: messages come as they were sent, and the answers to Pings and Closes go out by themselves.

use crate::common::wire::{self, BINARY, BINARY_PART, CLOSE, LAST, MORE, PING, PONG, TEXT, TEXT_PART};
use crate::common::{
    Block, Fault, Harness, Role, Script, SharedConnection, Transport, binary, close, config, everywhere,
    everywhere_on, ping, plain, pong, text,
};
use wsabi::internals::Connection;

const ROLES: [Role; 2] = [Role::Client, Role::Server];

#[test]
fn messages_of_every_kind_and_size_come_as_they_were_sent() {
    everywhere(|harness| {
        let mut all = Vec::new();
        // The larger ones take long in small pieces, and say nothing new there.
        let sizes: &[usize] = match harness.script {
            Script { block: Block::Never, read: 1024.., .. } => {
                &[0, 1, 125, 126, 127, 4095, 4096, 4097, 70_000]
            }
            Script { block: Block::At(_), .. } => &[0, 1, 126],
            _ => &[0, 1, 2, 125, 126, 127, 300],
        };
        for role in ROLES {
            let (mut end, peer) = harness.end(role, plain());
            for size in sizes.iter().copied() {
                let data: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
                peer.send(BINARY, &data);
                peer.send(PONG, &data[..size.min(125)]);
                peer.send(TEXT, "ä".repeat(size / 2).as_bytes());
                assert_eq!(end.read(), Ok(binary(&data)));
                assert_eq!(end.read(), Ok(pong(&data[..size.min(125)])));
                assert_eq!(end.read(), Ok(text(&"ä".repeat(size / 2))));
            }
            all.push(end.read());
            assert_eq!(peer.received(), []);
        }
        all
    });
}

#[test]
fn long_messages_of_one_length_come_as_they_were_sent_and_so_does_what_follows_them() {
    for transport in Transport::ALL {
        for (read, block) in [
            (usize::MAX, Block::Never),
            (usize::MAX, Block::Every(2)),
            (70_000, Block::Never),
            (3_000, Block::Every(3)),
        ] {
            let harness = Harness::new(transport, Script { read, write: usize::MAX, block });
            ROLES.into_iter().for_each(|role| long_messages(&harness, role));
        }
    }
}

fn long_messages(harness: &Harness, role: Role) {
    // On both sides of the longest length of 16 bits, and of the longest frame that is received into the buffer.
    for size in [5_000, 65_535, 65_536, 131_058, 131_062, 131_073, 300_000] {
        let (mut end, peer) = harness.end(role, plain());
        let data: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
        let letters = "漢ä".chars().cycle().take(size * 2 / 5).collect::<String>();
        let letters = format!("{letters}{}", "x".repeat(size - letters.len()));
        for _ in 0..2 {
            peer.send(BINARY, &data);
            assert_eq!(end.read(), Ok(binary(&data)));
            peer.send(TEXT, letters.as_bytes());
            peer.send(PING, b"?");
            peer.send(TEXT, b"short");
            assert_eq!(end.read(), Ok(text(&letters)));
            assert_eq!(end.read(), Ok(ping(b"?")));
            assert_eq!(end.read(), Ok(text("short")));
        }
        peer.send(BINARY, &data);
        peer.send(BINARY, &data);
        assert_eq!(end.read(), Ok(binary(&data)));
        assert_eq!(end.read(), Ok(binary(&data)));
        let mut letters = letters.into_bytes();
        letters[size - 1] = 0xff;
        peer.send(TEXT, &letters);
        assert_eq!(end.read(), Err(Fault::Utf8));
        end.assert_over();
    }
}

/// The ways to give a connection the chance to send what it has queued.
type Chance = fn(&mut SharedConnection);
const CHANCES: [(&str, Chance); 3] = [
    ("read", |end| assert_eq!(end.read(), Err(Fault::WouldBlock))),
    ("write", |end| {
        end.text("x").unwrap();
        let _ = end.write_pending();
    }),
    ("write_pending", |end| end.write_pending().unwrap()),
];

#[test]
fn a_read_queues_the_pong_and_the_next_read_or_write_or_write_pending_sends_it() {
    everywhere(|harness| {
        for role in ROLES {
            for (name, chance) in CHANCES {
                let (mut end, peer) = harness.end(role, plain());
                peer.send(PING, b"are you there?");
                assert_eq!(end.read(), Ok(ping(b"are you there?")));
                chance(&mut end);
                assert_eq!(peer.received()[0], (PONG, b"are you there?".to_vec()), "{name}");
            }
        }
    });
}

#[test]
fn a_read_queues_the_close_reply_and_the_next_read_or_write_pending_sends_it() {
    everywhere(|harness| {
        for (role, chance) in ROLES.into_iter().flat_map(|role| [(role, 0), (role, 1)]) {
            let (mut end, peer) = harness.end(role, plain());
            peer.send_close(1001, "going away");
            assert_eq!(end.read(), Ok(close(1001, "going away")));
            let result = match chance {
                0 => end.read().map(drop),
                _ => end.write_pending(),
            };
            match role {
                Role::Server => assert_eq!(result, Err(Fault::Closed)),
                Role::Client => assert!(matches!(result, Ok(()) | Err(Fault::WouldBlock))),
            }
            assert_eq!(peer.received(), [(CLOSE, wire::close_payload(1001, "going away"))]);
        }
    });
}

#[test]
fn the_pong_goes_out_in_read_only_use_even_when_control_frames_are_not_delivered() {
    everywhere(|harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, config(|c| c.deliver_control = false));
            peer.send(PING, b"1");
            assert_eq!(end.read(), Err(Fault::WouldBlock));
            assert_eq!(peer.received(), [(PONG, b"1".to_vec())]);
            peer.send(PING, b"2");
            peer.send(PONG, b"unasked");
            peer.send(TEXT, b"text");
            assert_eq!(end.read(), Ok(text("text")));
            assert_eq!(end.read(), Err(Fault::WouldBlock));
            assert_eq!(peer.received(), [(PONG, b"2".to_vec())]);
        }
    });
}

#[test]
fn reading_goes_on_while_the_pong_cannot_be_sent() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, plain());
            peer.set_window(0);
            peer.send(PING, b"1");
            peer.send(TEXT, b"after the ping");
            assert_eq!(end.read(), Ok(ping(b"1")));
            assert_eq!(end.read(), Ok(text("after the ping")));
            assert_eq!(end.read(), Err(Fault::WouldBlock));
            assert_eq!(end.write_pending(), Err(Fault::WouldBlock));
            peer.send(TEXT, b"more");
            assert_eq!(end.read(), Ok(text("more")));
            peer.set_window(usize::MAX);
            assert_eq!(end.read(), Err(Fault::WouldBlock));
            assert_eq!(peer.received(), [(PONG, b"1".to_vec())]);
        }
    });
}

#[test]
fn without_auto_pong_nothing_is_answered() {
    everywhere(|harness| {
        let (mut end, peer) = harness.end(Role::Server, config(|c| c.auto_pong = false));
        peer.send(PING, b"1");
        assert_eq!(end.read(), Ok(ping(b"1")));
        assert_eq!(end.read(), Err(Fault::WouldBlock));
        assert_eq!(peer.received(), []);
    });
}

#[test]
fn what_was_already_read_is_delivered_first_wherever_it_was_cut() {
    for role in ROLES {
        let sender = wire::other(role);
        let stream = [
            wire::frame(sender, TEXT, "grüße".as_bytes()),
            wire::frame(sender, BINARY, &[7; 200]),
            wire::frame(sender, TEXT, b""),
            wire::frame(sender, CLOSE, &wire::close_payload(1000, "done")),
        ]
        .concat();
        for cut in 0..=stream.len() {
            let run = |harness: &Harness| {
                let (mut end, peer) = harness.end_after(role, &stream[..cut], plain());
                peer.send_raw(&stream[cut..]);
                let expected = [text("grüße"), binary(&[7; 200]), text(""), close(1000, "done")];
                for event in expected {
                    assert_eq!(end.read().as_ref(), Ok(&event), "cut at {cut}");
                }
            };
            // Every cut over every transport; every link for a few of them.
            if cut % 100 == 9 {
                everywhere(run);
            } else {
                for transport in Transport::ALL {
                    run(&Harness::new(transport, Script::WHOLE));
                }
            }
        }
    }
}

#[test]
fn a_stream_that_ends_without_a_close_is_an_error_and_what_came_before_is_delivered() {
    everywhere(|harness| {
        let mut sentences = Vec::new();
        for role in ROLES {
            for cut in [0, 1, 5, 7] {
                let (mut end, peer) = harness.end(role, plain());
                peer.send(TEXT, b"whole");
                peer.send_raw(&wire::frame(peer.role, TEXT, b"never whole")[..cut]);
                peer.end();
                assert_eq!(end.read(), Ok(text("whole")));
                assert_eq!(end.read(), Err(Fault::Protocol));
                end.assert_already_closed();
                sentences.push(end.failure());
            }
        }
        assert!(sentences[0].contains("without a closing handshake"));
        assert!(sentences[1].contains("in the middle of a message"));
        sentences
    });
}

#[test]
fn an_error_of_the_stream_is_reported_as_io_and_ends_the_connection() {
    everywhere_on(&Transport::FALLIBLE, |harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, plain());
            peer.send(TEXT, b"before");
            peer.to_end.borrow_mut().read_error = Some(std::io::ErrorKind::ConnectionReset);
            assert_eq!(end.read(), Ok(text("before")));
            assert_eq!(end.read(), Err(Fault::Io));
            assert!(!end.can_read() && !end.can_write());
            end.assert_over();
        }
    });
}

#[test]
fn a_large_part_that_was_already_read_is_taken_as_it_is() {
    for role in ROLES {
        let frames = [
            wire::frame(wire::other(role), TEXT, &[b'a'; 5000]),
            wire::frame(wire::other(role), BINARY, &[1; 300_000]),
            wire::frame(wire::other(role), TEXT, b"last"),
        ];
        let stream = frames.concat();
        for cut in [5014, 5020, 100_000, 305_000, stream.len() - 1] {
            for transport in Transport::ALL {
                let harness = Harness::new(transport, Script::WHOLE);
                let (mut end, peer) = harness.end_after(role, &stream[..cut], plain());
                peer.send_raw(&stream[cut..]);
                assert_eq!(end.read(), Ok(text(&"a".repeat(5000))));
                assert!(end.read() == Ok(binary(&[1; 300_000])));
                assert_eq!(end.read(), Ok(text("last")));
            }
        }
    }
}

/// A stream that brings something, then the same for ever, and takes whatever it is given.
struct Endless<'a> {
    first: &'a [u8],
    again: &'a [u8],
    /// Bytes that it has brought.
    brought: usize,
}

impl std::io::Read for Endless<'_> {
    fn read(&mut self, space: &mut [u8]) -> std::io::Result<usize> {
        let source = match self.brought.checked_sub(self.first.len()) {
            None => &self.first[self.brought..],
            Some(at) => &self.again[at % self.again.len()..],
        };
        let n = space.len().min(source.len());
        space[..n].copy_from_slice(&source[..n]);
        self.brought += n;
        Ok(n)
    }
}

impl std::io::Write for Endless<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_peer_of_hidden_pings_alone_does_not_hold_up_a_read_for_ever() {
    let hidden = config(|c| c.deliver_control = false);
    let pings = Endless { first: b"", again: &[PING, 0].repeat(1000), brought: 0 };
    let mut socket = wsabi::WebSocket::from_raw_socket(pings, Role::Client, Some(hidden));
    for round in 1..4 {
        assert!(socket.read_message().unwrap_err().is_would_block());
        let brought = socket.get_ref().brought;
        assert!(brought < round * (300 << 10), "one call of the library reads for ever: {brought} bytes");
    }
}

/// Beginnings of frames and what may follow them for ever without giving a message.
fn barren(sender: Role) -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let zipped = |first| wire::header(sender, first, (isize::MAX as u64).min(1 << 40));
    // Masked with zeros, it is what it says.
    let begun = |first: u8| match sender {
        Role::Client => [&zipped(first)[..10], &[0; 4]].concat(),
        Role::Server => zipped(first),
    };
    let fragment = |payload: &[u8]| wire::frame(sender, MORE, payload).repeat(1000);
    let fixed = [0x02, 0x08, 0x20, 0x80, 0x00]; // four blocks of 10 bits
    // A header that tells of two symbols, the end among them, and the end.
    let dynamic = crate::common::deflate::empty_dynamic_blocks();
    vec![
        ("empty fixed blocks", begun(0xc2), fixed.repeat(1000)),
        ("empty fixed blocks in the middle", begun(0x42), fixed.repeat(1000)),
        ("empty stored blocks", begun(0xc1), [0, 0, 0, 0xff, 0xff].repeat(1000)),
        ("empty final blocks", begun(0xc1), [0x03, 0x00].repeat(1000)),
        ("empty dynamic blocks", begun(0xc2), dynamic.repeat(100)),
        ("empty fragments", wire::frame(sender, BINARY_PART, b"begun"), fragment(b"")),
        ("empty compressed fragments", wire::frame(sender, 0x42, &[0xf2, 0x48]), fragment(b"")),
        ("fragments of one byte", wire::frame(sender, TEXT_PART, b""), fragment(b"a")),
        ("fragments of an empty block", wire::frame(sender, 0x42, b""), fragment(&fixed)),
        (
            "Pings in a fragmented message",
            wire::frame(sender, TEXT_PART, b"a"),
            wire::frame(sender, PING, b""),
        ),
    ]
}

#[test]
fn a_peer_whose_bytes_give_no_message_does_not_hold_up_a_read_for_ever() {
    for role in ROLES {
        for (what, first, again) in barren(wire::other(role)) {
            for parts in [false, true] {
                let unlimited = crate::common::deflate::config(true, |c| {
                    (c.max_message_size, c.max_frame_size, c.max_fragments) = (None, None, None);
                    (c.deliver_control, c.deliver_fragments) = (false, parts);
                });
                let stream = Endless { first: &first, again: &again, brought: 0 };
                let mut socket = wsabi::WebSocket::from_raw_socket(stream, role, Some(unlimited));
                let (mut rounds, mut before) = (0, 0);
                while rounds < 3 {
                    // Where parts are delivered, some of it is one.
                    match socket.read_view() {
                        Ok(part) => {
                            assert!(parts && !part.is_final && !part.data.is_empty(), "{what}: {part:?}")
                        }
                        Err(error) => {
                            assert!(error.is_would_block(), "{what}: {error}");
                            rounds += 1;
                        }
                    }
                    let brought = socket.get_ref().brought;
                    assert!(brought - before < 500 << 10, "{what}: {brought} bytes in one call");
                    before = brought;
                    if parts && what.contains("one byte") {
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn a_long_message_in_few_fragments_is_read_in_one_call_from_a_stream_that_blocks() {
    for role in ROLES {
        let mut bytes = wire::frame(wire::other(role), BINARY_PART, b"");
        for _ in 0..200 {
            bytes.extend(wire::frame(wire::other(role), MORE, &[7; 100_000]));
        }
        bytes.extend(wire::frame(wire::other(role), LAST, b""));
        let stream = Endless { first: &bytes, again: &[0], brought: 0 };
        let mut socket = wsabi::WebSocket::from_raw_socket(stream, role, None);
        assert_eq!(socket.read_message().unwrap().len(), 20_000_000);
    }
}

#[test]
fn a_message_that_arrives_faster_than_it_is_read_lets_others_have_a_turn_on_a_socket() {
    let unlimited = config(|c| (c.max_message_size, c.max_frame_size) = (None, None));
    for (is_socket, role) in [(true, Role::Client), (true, Role::Server), (false, Role::Client)] {
        let mut connection = Connection::open(role, std::sync::Arc::new(unlimited.clone()), vec![]);
        if is_socket {
            connection.set_over_socket();
        }
        let header = wire::header(wire::other(role), BINARY, (isize::MAX as u64).min(1 << 40));
        connection.space().unwrap()[..header.len()].copy_from_slice(&header);
        connection.received(header.len());
        let mut received = 0;
        let lost = loop {
            assert_eq!(connection.poll_read().unwrap(), None);
            if connection.is_budget_spent() || received > 70 << 20 {
                break received;
            }
            let room = connection.space().unwrap().len();
            connection.received(room);
            received += room;
        };
        match is_socket {
            true => assert!((64 << 20..65 << 20).contains(&lost) && connection.is_readable(), "{lost}"),
            false => assert!(lost > 70 << 20, "a stream that blocks is a stream that blocks"),
        }
    }
}
