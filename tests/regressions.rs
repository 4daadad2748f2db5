//! Bugs that other WebSocket libraries shipped, each test named after its symptom: lengths, masking, control frames and
//! state. Costs and bounds are in `memory.rs`, permessage-deflate in `deflate.rs`; the heads of the opening handshake are
//! tested beside its code. Where a promise of the library is the same thing, the test is in `promises/`:
//!
//! | symptom | test |
//! | --- | --- |
//! | auto-pong not flushed in read-only use | `reading::the_pong_goes_out_in_read_only_use_…` |
//! | a pong that cannot be written blocks reads | `reading::reading_goes_on_while_the_pong_cannot_be_sent` |
//! | frames that arrive with the 101 are lost | `handshake::bytes_after_the_head_are_kept_for_the_first_read` |
//! | the echoed Close has another code, or no reason | `closing::the_answer_to_a_close_carries_its_code_and_its_reason` |
//! | data after a Close is read | `closing::nothing_is_read_after_the_peers_close` |
//! | both sides closing at once hang | `closing::two_ends_of_ours_come_to_the_end_together_whoever_begins` |
//! | sockets that never finish the handshake stay | `deadlines::a_handshake_that_takes_too_long_fails` |

mod common;

use common::wire::{
    self, BINARY, BINARY_PART, CLOSE, LAST, MORE, PING, PONG, TEXT, TEXT_PART, close_payload,
};
use common::{
    Block, Fault, Harness, Role, Script, Transport, WebSocketConfig, at_every_chunk_size, binary, config,
    everywhere, everywhere_on, ping, plain, text,
};
use std::collections::HashSet;
use std::io::{self, Cursor, Read, Write};
use wsabi::{Error, Kind, WebSocket};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

fn unlimited() -> WebSocketConfig {
    config(|c| (c.max_message_size, c.max_frame_size, c.max_fragments) = (None, None, None))
}

/// A frame header with this length in eight bytes, right or wrong.
fn header_64(sender: Role, first: u8, len: u64) -> Vec<u8> {
    let (bit, key): (u8, &[u8]) = if sender == Role::Client { (0x80, &[1, 2, 3, 4]) } else { (0, &[]) };
    [&[first, bit | 127], &len.to_be_bytes()[..], key].concat()
}

/// A frame header with this length in two bytes, right or wrong.
fn header_16(sender: Role, first: u8, len: u16) -> Vec<u8> {
    let (bit, key): (u8, &[u8]) = if sender == Role::Client { (0x80, &[1, 2, 3, 4]) } else { (0, &[]) };
    [&[first, bit | 126], &len.to_be_bytes()[..], key].concat()
}

mod lengths {
    use super::*;

    #[test]
    fn a_length_with_its_most_significant_bit_set_is_refused_with_limits_and_without() {
        for limits in [plain(), unlimited(), config(|c| c.deliver_fragments = true)] {
            at_every_chunk_size(&Transport::ALL, |harness| {
                for role in ROLES {
                    for len in [u64::MAX, 1 << 63, u64::MAX - 3, u64::MAX - 13, (1 << 63) + 5] {
                        for first in [BINARY, TEXT, BINARY_PART] {
                            let (mut end, peer) = harness.end(role, limits.clone());
                            peer.send_raw(&header_64(peer.role, first, len));
                            assert_eq!(end.read(), Err(Fault::Protocol), "{len:x}");
                            assert!(end.failure().contains("most significant bit"));
                            end.assert_over();
                            assert_eq!(peer.frames()[0].close().0, 1002);
                        }
                    }
                }
            });
        }
    }

    #[test]
    fn a_length_that_wraps_in_32_bits_or_with_its_header_is_over_the_limit_or_waited_for() {
        let lengths =
            [(1_u64 << 32) + 5, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, (1 << 63) - 14, i64::MAX as u64 - 4];
        at_every_chunk_size(&Transport::ALL, |harness| {
            for role in ROLES {
                for len in lengths {
                    let (mut end, peer) = harness.end(role, plain());
                    peer.send_raw(&header_64(peer.role, BINARY, len));
                    assert_eq!(end.read(), Err(Fault::Capacity), "{len:x}");
                    end.assert_over();
                    let (mut end, peer) = harness.end(role, unlimited());
                    peer.send_raw(&header_64(peer.role, BINARY, len));
                    peer.send_raw(b"some of it, but never all");
                    if isize::try_from(len).is_err() {
                        assert_eq!(end.read(), Err(Fault::Capacity), "{len:x} does not fit into any memory");
                        continue;
                    }
                    assert_eq!(end.read(), Err(Fault::WouldBlock), "{len:x}");
                    peer.end();
                    assert_eq!(end.read(), Err(Fault::Protocol));
                }
            }
        });
    }

    #[test]
    fn a_huge_length_behind_a_first_fragment_does_not_wrap_the_total() {
        at_every_chunk_size(&Transport::ALL, |harness| {
            for role in ROLES {
                for limits in [plain(), unlimited()] {
                    let (mut end, peer) = harness.end(role, limits.clone());
                    peer.send(BINARY_PART, &[1; 20]);
                    peer.send_raw(&header_64(peer.role, MORE, (1 << 63) - 1));
                    assert_eq!(end.read(), Err(Fault::Capacity), "it does not fit into any memory");
                    end.assert_over();
                }
            }
        });
    }

    #[test]
    fn non_minimal_lengths_are_refused() {
        at_every_chunk_size(&Transport::ALL, |harness| {
            for role in ROLES {
                let sender = wire::other(role);
                let short = [0, 1, 5, 124, 125].map(|len| header_16(sender, TEXT, len));
                let long = [0, 1, 125, 126, 65_535].map(|len| header_64(sender, BINARY, len));
                for header in short.into_iter().chain(long) {
                    let (mut end, peer) = harness.end(role, plain());
                    peer.send_raw(&header);
                    assert_eq!(end.read(), Err(Fault::Protocol), "{header:x?}");
                    assert!(end.failure().contains("shortest form"));
                    end.assert_over();
                }
            }
        });
    }

    #[test]
    fn a_final_continuation_without_a_start_is_refused() {
        at_every_chunk_size(&Transport::ALL, |harness| {
            for role in ROLES {
                for before in [&[][..], &[(TEXT, &b"whole"[..])], &[(TEXT_PART, b"a"), (LAST, b"b")]] {
                    let (mut end, peer) = harness.end(role, plain());
                    before.iter().for_each(|(first, data)| peer.send(*first, data));
                    peer.send(LAST, b"");
                    let (events, fault) = end.read_all();
                    assert_eq!((events.len(), fault), (before.len().min(1), Fault::Protocol));
                }
            }
        });
    }

    #[test]
    fn a_header_and_the_next_frame_in_one_read_are_told_apart() {
        for role in ROLES {
            let frames = [
                wire::frame(wire::other(role), TEXT, b""),
                wire::frame(wire::other(role), BINARY, &[0x81; 130]),
                wire::frame(wire::other(role), TEXT, b"next"),
                wire::frame(wire::other(role), PING, b""),
                wire::frame(wire::other(role), TEXT, b"last"),
            ];
            let expected = [text(""), binary(&[0x81; 130]), text("next"), ping(b""), text("last")];
            let stream = frames.concat();
            for cut in 0..=stream.len() {
                for transport in Transport::ALL {
                    let (mut end, peer) = Harness::new(transport, Script::WHOLE).end(role, plain());
                    let mut events = Vec::new();
                    for piece in [&stream[..cut], &stream[cut..]] {
                        peer.send_raw(piece);
                        events.extend(end.read_all().0);
                    }
                    assert_eq!(events, expected, "cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn a_second_read_after_a_capacity_error_does_not_hand_out_the_message() {
        let limits = || {
            config(|c| {
                (c.max_message_size, c.max_frame_size, c.max_fragments) = (Some(40), Some(30), Some(3));
            })
        };
        everywhere(|harness| {
            for role in ROLES {
                for (first, last) in [
                    (vec![], vec![(BINARY, 31)]),
                    (vec![(BINARY_PART, 30)], vec![(LAST, 11)]),
                    (vec![(BINARY_PART, 1), (MORE, 1), (MORE, 1)], vec![(LAST, 1)]),
                    (vec![], vec![(BINARY_PART, 31), (LAST, 1)]),
                ] {
                    for together in [true, false] {
                        let (mut end, peer) = harness.end(role, limits());
                        first.iter().for_each(|(first, len)| peer.send(*first, &vec![1; *len]));
                        let rest: Vec<u8> = last
                            .iter()
                            .flat_map(|(first, len)| wire::frame(peer.role, *first, &vec![1; *len]))
                            .collect();
                        // The whole message, or its header first.
                        let (head, tail) =
                            rest.split_at(if together { rest.len() } else { 14.min(rest.len() - 1) });
                        peer.send_raw(head);
                        assert_eq!(end.read(), Err(Fault::Capacity));
                        peer.send_raw(tail);
                        peer.send(TEXT, b"and another");
                        end.assert_over();
                        assert_eq!(end.read(), Err(Fault::AlreadyClosed));
                    }
                }
            }
        });
    }
}

mod masking {
    use super::*;

    #[test]
    fn every_frame_has_a_new_mask_that_cannot_be_predicted() {
        for transport in Transport::ALL {
            let (mut end, peer) = Harness::new(transport, Script::WHOLE).end(Role::Client, plain());
            for i in 0..500_u32 {
                end.text("the same text").unwrap();
                end.write_fragment(Kind::Binary, b"", false).unwrap();
                end.write_fragment(Kind::Binary, b"x", true).unwrap();
                end.write(Kind::Ping, b"").unwrap();
                peer.send(PING, &i.to_be_bytes());
                end.read().unwrap();
                end.write_pending().unwrap();
            }
            end.close(None).unwrap();
            let keys: Vec<[u8; 4]> = peer.frames().iter().map(|frame| frame.key.expect("masked")).collect();
            assert_eq!(keys.len(), 2501);
            let distinct: HashSet<_> = keys.iter().collect();
            assert!(distinct.len() >= 2499, "{} of 2501 masks are different", distinct.len());
            for bit in 0..32 {
                let ones = keys.iter().filter(|key| u32::from_be_bytes(**key) >> bit & 1 == 1).count();
                assert!((1000..1500).contains(&ones), "bit {bit} is set in {ones} of 2501 masks");
            }
            // No counter: neighbours differ by all kinds of numbers.
            let steps: HashSet<u32> = keys
                .windows(2)
                .map(|pair| u32::from_be_bytes(pair[1]).wrapping_sub(u32::from_be_bytes(pair[0])))
                .collect();
            assert!(steps.len() > 2490, "{} different steps", steps.len());
        }
    }

    #[test]
    fn masks_of_two_connections_have_nothing_in_common() {
        let keys = || {
            let (mut end, peer) = Harness::new(Transport::Face, Script::WHOLE).end(Role::Client, plain());
            (0..200).for_each(|_| end.text("x").unwrap());
            peer.frames().iter().map(|frame| frame.key.unwrap()).collect::<HashSet<_>>()
        };
        let (one, other) = (keys(), std::thread::spawn(keys).join().unwrap());
        assert!(one.intersection(&other).count() <= 1);
    }

    #[test]
    fn all_alignments_and_lengths_are_unmasked_like_by_a_byte_loop() {
        for transport in [Transport::Face] {
            for alignment in 0..64 {
                let (mut end, peer) = Harness::new(transport, Script::WHOLE).end(Role::Server, plain());
                // What lies before the frame shifts it in the buffer.
                peer.send(BINARY, &vec![0; alignment]);
                for len in 0..=200 {
                    peer.send(if len % 2 == 0 { BINARY } else { BINARY_PART }, &payload(len, alignment));
                    if len % 2 == 1 {
                        peer.send(LAST, b"");
                    }
                }
                assert_eq!(end.read(), Ok(binary(&vec![0; alignment])));
                for len in 0..=200 {
                    assert_eq!(end.read(), Ok(binary(&payload(len, alignment))), "{alignment}, {len}");
                }
            }
        }
    }

    #[test]
    fn all_alignments_and_lengths_are_masked_like_by_a_byte_loop() {
        for transport in [Transport::Face] {
            for alignment in 0..64 {
                let (mut end, peer) = Harness::new(transport, Script::WHOLE).end(Role::Client, unlimited());
                for len in 0..=200 {
                    let memory = [vec![0xee; alignment], payload(len, alignment)].concat();
                    end.binary(&memory[alignment..]).unwrap();
                }
                end.write_pending().unwrap();
                let frames = peer.frames();
                assert_eq!(frames.len(), 201);
                for (len, frame) in frames.iter().enumerate() {
                    assert_eq!(frame.payload, payload(len, alignment));
                }
            }
        }
    }

    fn payload(len: usize, seed: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 37 + seed * 11) as u8).collect()
    }
}

mod control_frames {
    use super::*;

    #[test]
    fn a_ping_between_fragments_keeps_the_message() {
        let word = "Grüße aus dem Süden";
        for control in [true, false] {
            everywhere(|harness| {
                for role in ROLES {
                    let (mut end, peer) = harness.end(role, config(|c| c.deliver_control = control));
                    let pieces: Vec<&[u8]> = word.as_bytes().chunks(7).collect();
                    for (i, piece) in pieces.iter().enumerate() {
                        let fin = if i + 1 == pieces.len() { 0x80 } else { 0 };
                        peer.send(PING, &[i as u8; 20]);
                        peer.send(fin | u8::from(i == 0), piece);
                        peer.send(PONG, b"");
                    }
                    let mut events = Vec::new();
                    while let Ok(event) = end.read() {
                        events.push(event);
                    }
                    let expected = if control { 2 * pieces.len() + 1 } else { 1 };
                    assert_eq!(events.len(), expected);
                    assert!(events.contains(&text(word)));
                    assert!(peer.received().iter().all(|(first, _)| *first == PONG));
                }
            });
        }
    }

    #[test]
    fn no_payload_is_delivered_from_a_frame_that_is_then_refused() {
        for parts in [true, false] {
            let limits = config(|c| (c.deliver_fragments, c.max_frame_size) = (parts, Some(50)));
            at_every_chunk_size(&Transport::ALL, |harness| {
                for role in ROLES {
                    let sender = wire::other(role);
                    for frame in [
                        wire::frame(sender, TEXT | 0x40, b"RSV"),
                        wire::frame(sender, 0x83, b"opcode"),
                        wire::frame(sender, MORE, b"nothing to continue"),
                        wire::frame(sender, BINARY, &[1; 51]),
                        wire::frame(role, TEXT, b"masked or not, and wrong"),
                        wire::frame(sender, PING & 0x7f, b"fragmented control"),
                        wire::frame(sender, PING, &[b'p'; 126]),
                        wire::frame(sender, CLOSE, &[1]),
                    ] {
                        let (mut end, peer) = harness.end(role, limits.clone());
                        peer.send_raw(&frame);
                        let (events, fault) = end.read_all();
                        assert_eq!(events, [], "{frame:x?}");
                        assert!(matches!(fault, Fault::Protocol | Fault::Capacity));
                        end.assert_over();
                    }
                }
            });
        }
    }

    #[test]
    fn a_close_reason_has_at_most_123_bytes_and_nothing_else_leaves_with_it() {
        at_every_chunk_size(&Transport::ALL, |harness| {
            for role in ROLES {
                for len in [0, 1, 123] {
                    let reason = "r".repeat(len);
                    let (mut end, peer) = harness.end(role, plain());
                    end.close(Some((1000, &reason))).unwrap();
                    let _ = end.write_pending();
                    assert_eq!(peer.received(), [(CLOSE, close_payload(1000, &reason))]);
                    let (mut end, peer) = harness.end(role, plain());
                    peer.send_close(1000, &reason);
                    assert_eq!(end.read(), Ok(common::close(1000, &reason)));
                }
                let (mut end, peer) = harness.end(role, plain());
                assert_eq!(end.close(Some((1000, &"r".repeat(124)))), Err(Fault::InvalidArgument));
                assert_eq!(end.close(Some((1000, &"r".repeat(100_000)))), Err(Fault::InvalidArgument));
                assert!(end.can_write(), "nothing has happened");
                end.text("still open").unwrap();
                let _ = end.write_pending();
                assert_eq!(peer.received(), [(TEXT, b"still open".to_vec())]);
                peer.send_close(1000, &"r".repeat(124));
                assert_eq!(end.read(), Err(Fault::Protocol));
            }
        });
    }

    #[test]
    fn close_codes_that_must_not_travel_are_refused_in_both_directions() {
        at_every_chunk_size(&Transport::ALL, |harness| {
            for role in ROLES {
                for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
                    let (mut end, peer) = harness.end(role, plain());
                    assert_eq!(end.close(Some((code, "x"))), Err(Fault::InvalidArgument), "{code}");
                    let _ = end.write_pending();
                    assert!(end.can_write());
                    assert_eq!(peer.received(), [], "{code}");
                    peer.send_close(code, "x");
                    assert_eq!(end.read(), Err(Fault::Protocol), "{code}");
                    end.assert_over();
                    assert_eq!(peer.received(), [(CLOSE, vec![0x03, 0xea])], "{code}");
                }
            }
        });
    }
}

mod state {
    use super::*;

    #[test]
    fn a_block_at_every_byte_both_ways_loses_and_repeats_nothing() {
        for transport in Transport::ALL {
            for block in [Block::Never, Block::Every(2), Block::Every(3)] {
                let harness = Harness::new(transport, Script { read: 1, write: 1, block });
                let (mut client, mut server) = harness.pair(plain(), plain());
                let mut received = [Vec::new(), Vec::new()];
                for i in 0..100_u8 {
                    for (end, log) in [&mut client, &mut server].into_iter().zip(&mut received) {
                        end.binary(&vec![i; usize::from(i) % 7]).unwrap();
                        if i % 3 == 0 {
                            end.write(Kind::Ping, &[i]).unwrap();
                        }
                        if let Ok(event) = end.inner.read() {
                            log.push(event);
                        }
                    }
                }
                for _ in 0..3 {
                    for (end, log) in [&mut client, &mut server].into_iter().zip(&mut received) {
                        let _ = end.write_pending();
                        log.extend(end.read_all().0);
                    }
                }
                for log in received {
                    let messages: Vec<_> = log.iter().filter(|event| event.kind == Kind::Binary).collect();
                    assert_eq!(messages.len(), 100, "over {transport:?}");
                    for (i, message) in messages.iter().enumerate() {
                        assert_eq!(**message, binary(&vec![i as u8; i % 7]));
                    }
                    assert_eq!(log.iter().filter(|event| event.kind == Kind::Ping).count(), 34);
                }
            }
        }
    }

    #[test]
    fn two_thousand_queued_messages_arrive() {
        for transport in Transport::SCRIPTED {
            let many = config(|c| c.max_send_queue = Some(2000));
            let (mut end, peer) = Harness::new(transport, Script::WHOLE).end(Role::Client, many);
            peer.set_window(0);
            (0..2000).for_each(|i| end.text(&i.to_string()).unwrap());
            assert_eq!(end.text("one more"), Err(Fault::QueueFull));
            peer.set_window(usize::MAX);
            end.write_pending().unwrap();
            assert!(end.most_slices.get() <= 1024, "{} slices in one write", end.most_slices.get());
            let received = peer.received();
            assert!(
                received
                    .iter()
                    .map(|(_, data)| data.clone())
                    .eq((0..2000).map(|i| i.to_string().into_bytes()))
            );
        }
    }

    #[test]
    fn a_pong_into_the_middle_of_a_large_message_waits_for_its_end() {
        // A small message first: its memory is used again, and must not be mistaken for that of the large one.
        everywhere_on(&Transport::SCRIPTED, |harness| {
            for role in ROLES {
                let (mut end, peer) = harness.end(role, plain());
                end.text("small").unwrap();
                end.write_pending().unwrap();
                peer.received();
                peer.set_window(100);
                end.binary(&[7; 1100]).unwrap();
                assert_eq!(end.write_pending(), Err(Fault::WouldBlock));
                peer.send(PING, b"!");
                assert_eq!(end.read(), Ok(ping(b"!")));
                end.text("last").unwrap();
                peer.set_window(usize::MAX);
                end.write_pending().unwrap();
                let expected = [(BINARY, vec![7; 1100]), (PONG, b"!".to_vec()), (TEXT, b"last".to_vec())];
                assert_eq!(peer.received(), expected);
            }
        });
    }

    #[test]
    fn messages_read_out_of_one_chunk_need_no_new_readiness() {
        for transport in Transport::ALL {
            for role in ROLES {
                let (mut end, peer) = Harness::new(transport, Script::WHOLE).end(role, plain());
                (0..20).for_each(|i| peer.send(TEXT, format!("{i}").as_bytes()));
                // One call of the stream brings them all; each call of the library gives one, and none blocks.
                for i in 0..20 {
                    assert_eq!(end.inner.read(), Ok(text(&format!("{i}"))), "over {transport:?}");
                }
                assert_eq!(end.read(), Err(Fault::WouldBlock));
            }
        }
    }

    #[test]
    fn a_stream_that_claims_more_bytes_than_it_was_given_room_for_is_an_io_error() {
        for role in ROLES {
            for excess in [1, 1000, usize::MAX / 2] {
                let mut socket = WebSocket::from_raw_socket(Liar { excess, reads: true }, role, None);
                assert!(matches!(socket.read_message(), Err(Error::Io(_))));
                assert!(matches!(socket.read_message(), Err(Error::ConnectionClosed)));
                let mut socket = WebSocket::from_raw_socket(Liar { excess, reads: false }, role, None);
                assert!(matches!(socket.write_message("text".into()), Err(Error::Io(_))));
                assert!(matches!(socket.read_message(), Err(Error::ConnectionClosed)));
                // The same with something in the queue already.
                let mut socket = WebSocket::from_raw_socket(Liar { excess: 0, reads: false }, role, None);
                socket.write_message("queued".into()).unwrap();
                socket.get_mut().excess = excess;
                assert!(matches!(socket.write_pending(), Err(Error::Io(_))));
            }
        }
    }

    /// A stream that says that it has moved more than there was.
    struct Liar {
        /// How much more; 0: it blocks.
        excess: usize,
        reads: bool,
    }

    impl Read for Liar {
        fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
            if self.reads { Ok(space.len() + self.excess) } else { Err(io::ErrorKind::WouldBlock.into()) }
        }
    }

    impl Write for Liar {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.excess == 0 {
                Err(io::ErrorKind::WouldBlock.into())
            } else {
                Ok(bytes.len() + self.excess)
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_interrupted_system_call_is_repeated() {
        struct Interrupted(u32, Cursor<Vec<u8>>);
        impl Interrupted {
            fn interrupt(&mut self) -> io::Result<()> {
                self.0 += 1;
                if self.0.is_multiple_of(3) { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
            }
        }
        impl Read for Interrupted {
            fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
                self.interrupt()?;
                self.1.read(space)
            }
        }
        impl Write for Interrupted {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.interrupt()?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let stream = Interrupted(0, Cursor::new(wire::frame(Role::Server, TEXT, b"here")));
        let mut socket = WebSocket::from_raw_socket(stream, Role::Client, None);
        socket.write_message("there".into()).unwrap();
        socket.write_message(vec![1; 600_000].into()).unwrap();
        assert_eq!(socket.read_message().unwrap(), "here".into());
    }

    /// A stream that takes everything, and whose flush does so many times what it is told to.
    struct Flushing(Vec<io::ErrorKind>, u32);

    impl Read for Flushing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    impl Write for Flushing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.1 += 1;
            self.0.pop().map_or(Ok(()), |kind| Err(kind.into()))
        }
    }

    const LENGTHS: [usize; 4] = [10, 1000, 5000, 600_000];

    #[test]
    fn a_flush_that_fails_once_is_told() {
        for (role, len) in ROLES.into_iter().flat_map(|role| LENGTHS.map(|len| (role, len))) {
            let stream = Flushing(vec![io::ErrorKind::BrokenPipe], 0);
            let mut socket = WebSocket::from_raw_socket(stream, role, None);
            let result = socket.write_message(vec![1; len].into());
            assert!(matches!(result, Err(Error::Io(_))), "{role:?} {len}: {result:?}");
            assert!(!socket.can_write());
        }
    }

    #[test]
    fn what_was_flushed_late_is_not_flushed_again() {
        for (role, len) in ROLES.into_iter().flat_map(|role| LENGTHS.map(|len| (role, len))) {
            let stream = Flushing(vec![io::ErrorKind::WouldBlock; 2], 0);
            let mut socket = WebSocket::from_raw_socket(stream, role, None);
            for _ in 0..4 {
                socket.write_message(vec![1; len].into()).unwrap();
            }
            let flushed = socket.get_ref().1;
            socket.write_pending().unwrap();
            assert_eq!(socket.get_ref().1, flushed, "{role:?} {len}");
        }
    }

    #[test]
    fn a_stream_that_takes_nothing_and_says_so_without_an_error_is_an_io_error() {
        struct Full;
        impl Read for Full {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Ok(0)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut socket = WebSocket::from_raw_socket(Full, Role::Client, None);
        assert!(matches!(socket.write_message("x".into()), Err(Error::Io(_))));
    }

    #[test]
    fn what_the_peer_said_before_it_broke_the_connection_is_still_read() {
        at_every_chunk_size(&[Transport::Face, Transport::CCallbacks], |harness| {
            if harness.script.block != Block::Never {
                return; // what has not come by then is not waited for
            }
            for role in ROLES {
                let (mut end, peer) = harness.end(role, plain());
                peer.send(TEXT, b"why I hang up");
                peer.from_end.borrow_mut().write_error = Some(io::ErrorKind::BrokenPipe);
                peer.send(PING, b"the answer to this one fails");
                peer.send(TEXT, b"that is why");
                peer.end();
                let (events, fault) = end.read_all();
                let texts: Vec<_> = events.iter().filter(|event| event.kind == Kind::Text).cloned().collect();
                assert_eq!(texts, [text("why I hang up"), text("that is why")]);
                assert!(matches!(fault, Fault::Io | Fault::Protocol), "{fault:?}");
            }
        });
    }
}
