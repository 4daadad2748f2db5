//! Writing: a message is accepted whole, handed back or refused; what was accepted arrives in order and once.

use crate::common::wire::{self, BINARY, CLOSE, PING, PONG, TEXT};
use crate::common::{
    Block, Fault, Harness, Role, Script, SharedConnection, Transport, at_every_chunk_size, binary, close,
    config, everywhere, everywhere_on, ping, plain, text,
};
use std::io::ErrorKind;
use wsabi::Kind;

const ROLES: [Role; 2] = [Role::Client, Role::Server];

#[test]
fn what_was_accepted_arrives_in_order_and_exactly_once_both_ways() {
    everywhere(|harness| {
        let (mut client, mut server) = harness.pair(plain(), plain());
        let count = if harness.script == Script::WHOLE { 300 } else { 7 };
        for i in 0..count {
            for end in [&mut client, &mut server] {
                end.text(&format!("message {i}")).unwrap();
                end.binary(&vec![i as u8; i * 7]).unwrap();
            }
        }
        for _ in 0..2 {
            let _ = (client.write_pending(), server.write_pending());
        }
        for end in [&mut server, &mut client] {
            for i in 0..count {
                assert_eq!(end.read(), Ok(text(&format!("message {i}"))));
                assert_eq!(end.read(), Ok(binary(&vec![i as u8; i * 7])));
            }
            assert_eq!(end.read(), Err(Fault::WouldBlock));
        }
    });
}

#[test]
fn a_message_that_finds_no_room_is_handed_back_and_nothing_has_changed() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, config(|c| c.max_send_queue = Some(3)));
            peer.set_window(0);
            for i in 0..3 {
                assert_eq!(end.text(&format!("{i}")), Ok(()));
            }
            for kind in [Kind::Text, Kind::Binary, Kind::Ping] {
                for _ in 0..3 {
                    assert_eq!(end.write(kind, b"too many"), Err(Fault::QueueFull));
                }
            }
            assert_eq!(end.write_pending(), Err(Fault::WouldBlock));
            peer.set_window(usize::MAX);
            // Room is made by the write itself, unless the stream would block once more.
            while end.write(Kind::Ping, b"again") == Err(Fault::QueueFull) {
                assert_ne!(harness.script.block, Block::Never);
            }
            end.write_pending().unwrap();
            let expected = [(TEXT, "0"), (TEXT, "1"), (TEXT, "2"), (PING, "again")];
            assert_eq!(peer.received(), expected.map(|(first, data)| (first, data.as_bytes().to_vec())));
        }
    });
}

#[test]
fn the_queue_is_bounded_in_bytes_and_one_larger_message_goes_when_nothing_waits() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, config(|c| c.max_send_bytes = Some(100)));
            peer.set_window(0);
            assert_eq!(end.binary(&[1; 500]), Ok(()), "nothing waits");
            assert_eq!(end.binary(&[2; 1]), Err(Fault::QueueFull));
            peer.set_window(usize::MAX);
            end.write_pending().unwrap();
            peer.set_window(0);
            assert_eq!(end.binary(&[3; 40]), Ok(()));
            assert_eq!(end.binary(&[4; 40]), Ok(()));
            assert_eq!(end.binary(&[5; 40]), Err(Fault::QueueFull));
            peer.set_window(usize::MAX);
            end.write_pending().unwrap();
            assert_eq!(peer.received(), [(1, 500), (3, 40), (4, 40)].map(|(b, n)| (BINARY, vec![b; n])));
        }
    });
}

#[test]
fn a_queue_without_limits_takes_everything() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        let unlimited = config(|c| (c.max_send_queue, c.max_send_bytes) = (None, None));
        let (mut end, peer) = harness.end(Role::Server, unlimited);
        peer.set_window(0);
        let count = if harness.script == Script::WHOLE { 3000 } else { 30 };
        (0..count).for_each(|_| end.text("x").unwrap());
        peer.set_window(usize::MAX);
        end.write_pending().unwrap();
        assert_eq!(peer.received().len(), count);
    });
}

#[test]
fn a_pong_jumps_the_queue_at_the_next_frame_boundary() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        for role in ROLES {
            for window in [0, 1, 5, 30, 49, 60] {
                let (mut end, peer) = harness.end(role, plain());
                peer.set_window(window);
                (0..4).for_each(|i| end.binary(&[i; 44]).unwrap());
                let _ = end.write_pending();
                peer.send(PING, b"now");
                assert_eq!(end.read(), Ok(ping(b"now")));
                peer.set_window(usize::MAX);
                end.write_pending().unwrap();
                let received = peer.received();
                let frame_len = if role == Role::Client { 50 } else { 46 };
                // Behind the frame that had begun, if one had.
                let boundary = usize::div_ceil(window, frame_len);
                assert_eq!(
                    received[boundary],
                    (PONG, b"now".to_vec()),
                    "{role:?}, {window} bytes sent before"
                );
                let others = received.iter().filter(|(first, _)| *first != PONG);
                assert!(others.map(|(_, data)| data[0]).eq(0..4));
                assert_eq!(received.len(), 5);
            }
        }
    });
}

#[test]
fn a_manual_pong_replaces_an_automatic_one_that_was_not_sent() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, plain());
            peer.set_window(0);
            peer.send(PING, b"answer me");
            assert_eq!(end.read(), Ok(ping(b"answer me")));
            assert_eq!(end.write(Kind::Pong, b"my own"), Ok(()));
            peer.set_window(usize::MAX);
            end.write_pending().unwrap();
            assert_eq!(peer.received(), [(PONG, b"my own".to_vec())]);
            // Without a Ping, it is a heartbeat.
            assert_eq!(end.write(Kind::Pong, b"still here"), Ok(()));
            end.write_pending().unwrap();
            assert_eq!(peer.received(), [(PONG, b"still here".to_vec())]);
        }
    });
}

#[test]
fn a_burst_of_pings_is_answered_one_by_one_in_order() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        for role in ROLES {
            for window in [0, 1, 10] {
                let (mut end, peer) = harness.end(role, plain());
                peer.set_window(window);
                for i in 0..20 {
                    peer.send(PING, &[i]);
                    assert_eq!(end.read(), Ok(ping(&[i])));
                    let _ = end.write_pending();
                }
                peer.set_window(usize::MAX);
                end.write_pending().unwrap();
                assert_eq!(peer.received(), (0..20).map(|i| (PONG, vec![i])).collect::<Vec<_>>());
            }
        }
    });
}

#[test]
fn of_more_pongs_than_a_burst_the_newest_is_kept_and_what_had_begun_is_finished() {
    for (role, window) in [(Role::Client, 0), (Role::Client, 3), (Role::Server, 126)] {
        at_every_chunk_size(&Transport::SCRIPTED, |harness| {
            let (mut end, peer) = harness.end(role, config(|c| c.deliver_control = false));
            peer.set_window(window);
            let count = if harness.script == Script::WHOLE { 500 } else { 36 };
            for i in 0..count {
                peer.send(PING, &[i as u8; 125]);
                if i == 0 {
                    assert_eq!(end.read(), Err(Fault::WouldBlock));
                }
            }
            assert_eq!(end.read(), Err(Fault::WouldBlock));
            end.text("after them").unwrap();
            peer.set_window(usize::MAX);
            end.write_pending().unwrap();
            let mut received = peer.received();
            assert_eq!(received.pop(), Some((TEXT, b"after them".to_vec())));
            let pongs: Vec<u8> = received.iter().map(|(_, data)| data[0]).collect();
            assert!(received.iter().all(|(first, data)| *first == PONG && **data == [data[0]; 125]));
            assert_eq!(pongs.last(), Some(&((count - 1) as u8)), "the newest");
            assert!(pongs.len() < 40, "{} Pongs were kept", pongs.len());
            if window > 0 {
                assert_eq!(pongs[0], 0, "it had begun");
            }
        });
    }
}

#[test]
fn a_pong_finds_room_in_a_full_queue() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        let (mut end, peer) = harness.end(Role::Client, config(|c| c.max_send_queue = Some(1)));
        peer.set_window(0);
        end.text("full").unwrap();
        assert_eq!(end.text("more"), Err(Fault::QueueFull));
        assert_eq!(end.write(Kind::Pong, b"still"), Ok(()));
        peer.set_window(usize::MAX);
        end.write_pending().unwrap();
        assert_eq!(peer.received(), [(PONG, b"still".to_vec()), (TEXT, b"full".to_vec())]);
    });
}

#[test]
fn a_close_finds_room_in_a_full_queue_and_goes_behind_what_was_accepted() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        for role in ROLES {
            let (mut end, peer) =
                harness.end(role, config(|c| (c.max_send_queue, c.max_send_bytes) = (Some(1), Some(1))));
            peer.set_window(0);
            end.text("full").unwrap();
            assert_eq!(end.text("more"), Err(Fault::QueueFull));
            assert_eq!(end.close(Some((1000, "bye"))), Ok(()));
            peer.set_window(usize::MAX);
            end.write_pending().unwrap();
            assert_eq!(peer.received(), [(TEXT, b"full".to_vec()), (CLOSE, b"\x03\xe8bye".to_vec())]);
        }
    });
}

#[test]
fn control_frames_are_at_most_125_bytes() {
    everywhere(|harness| {
        let (mut end, peer) = harness.end(Role::Client, plain());
        for kind in [Kind::Ping, Kind::Pong] {
            assert_eq!(end.write(kind, &[0; 126]), Err(Fault::InvalidArgument));
            assert_eq!(end.write(kind, &[0; 125]), Ok(()));
            end.write_pending().unwrap();
        }
        assert_eq!(peer.received(), [(PING, vec![0; 125]), (PONG, vec![0; 125])]);
    });
}

#[test]
fn an_error_of_the_stream_while_writing_is_reported_as_io() {
    everywhere_on(&Transport::FALLIBLE, |harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, plain());
            peer.from_end.borrow_mut().write_error = Some(std::io::ErrorKind::BrokenPipe);
            let mut result = end.text("lost");
            if result.is_ok() {
                // The script blocked the write; the error comes with the next try.
                result = end.write_pending();
            }
            assert_eq!(result, Err(Fault::Io));
            end.assert_over();
        }
    });
}

/// Over every transport that is told of errors, and every link that has what there is at once: where nothing comes for now,
/// a stream that takes nothing any more is over.
fn without_delay(scenario: impl Fn(&Harness)) {
    let scripts = Script::all().into_iter().filter(|script| script.block == Block::Never);
    for (transport, script) in
        scripts.flat_map(|script| Transport::FALLIBLE.map(|transport| (transport, script)))
    {
        println!("over {transport:?} with {script:?}");
        scenario(&Harness::new(transport, script));
    }
}

/// Ways to write, each of which finds out that the stream takes nothing.
type Write = fn(&mut SharedConnection) -> Result<(), Fault>;
const WRITES: [(&str, Write); 7] = [
    ("short", |end| end.text("short")),
    ("long", |end| end.binary(&[7; 300])),
    ("in pieces", |end| end.binary(&[7; 600_000])),
    ("fragment", |end| end.write_fragment(Kind::Text, b"a fragment", false)),
    ("Ping", |end| end.write(Kind::Ping, b"there?")),
    ("Pong", |end| end.write(Kind::Pong, b"here")),
    ("Close", |end| end.close(Some((1000, "mine")))),
];

/// A write that fails, at once or with the next try where the script blocks.
fn fails(end: &mut SharedConnection, (what, write): (&str, Write)) {
    let result = write(end).and_then(|()| end.write_pending());
    assert_eq!(result, Err(Fault::Io), "{what}");
    assert!(end.can_read() && !end.can_write(), "{what}");
    for again in [end.text("again"), end.write_fragment(Kind::Text, b"again", true), end.write_pending()] {
        assert!(matches!(again, Err(Fault::NotWritable | Fault::Closed)), "{what}, and again: {again:?}");
    }
}

#[test]
fn what_had_arrived_before_a_write_failed_is_still_read_and_the_failure_is_told_once() {
    without_delay(|harness| {
        for (role, write) in ROLES.into_iter().flat_map(|role| WRITES.map(|write| (role, write))) {
            for (read_before, how) in [(0, 0), (1, 0), (2, 0), (1, 1), (1, 2)] {
                let (mut end, peer) = harness.end(role, plain());
                peer.send(TEXT, b"one");
                peer.send(PING, b"");
                peer.send(TEXT, b"two");
                peer.send_close(4000, "bye");
                match how {
                    0 => {}
                    1 => peer.end(),
                    _ => peer.to_end.borrow_mut().read_error = Some(ErrorKind::ConnectionReset),
                }
                let mut expected = vec![text("one"), ping(b""), text("two"), close(4000, "bye")];
                for event in expected.drain(..read_before) {
                    assert_eq!(end.read(), Ok(event));
                }
                peer.from_end.borrow_mut().write_error = Some(ErrorKind::BrokenPipe);
                fails(&mut end, write);
                for event in expected {
                    assert_eq!(end.read(), Ok(event), "{}", write.0);
                }
                end.assert_over();
            }
        }
    });
}

#[test]
fn after_a_write_failed_the_end_is_the_end_whatever_it_looks_like() {
    without_delay(|harness| {
        for (role, write) in ROLES.into_iter().flat_map(|role| WRITES.map(|write| (role, write))) {
            for how in 0..6 {
                let (mut end, peer) = harness.end(role, plain());
                peer.send(TEXT, b"one");
                match how {
                    0 => {}
                    1 => peer.end(),
                    2 => peer.to_end.borrow_mut().read_error = Some(ErrorKind::ConnectionReset),
                    3 => peer.send_raw(&[0xff; 20]),
                    4 => peer.send(TEXT, b"\xff"),
                    _ => peer.send_raw(&wire::frame(peer.role, TEXT, b"half")[..4]),
                }
                peer.from_end.borrow_mut().write_error = Some(ErrorKind::BrokenPipe);
                fails(&mut end, write);
                assert_eq!(end.read(), Ok(text("one")), "{}, {how}", write.0);
                end.assert_over();
            }
        }
    });
}

#[test]
fn a_stream_that_breaks_while_the_close_of_a_failed_connection_leaves_is_no_second_failure() {
    everywhere_on(&Transport::FALLIBLE, |harness| {
        for (role, when) in ROLES.into_iter().flat_map(|role| (0..4).map(move |when| (role, when))) {
            let (mut end, peer) = harness.end(role, plain());
            peer.set_window(0);
            end.text("waits").unwrap();
            peer.send_raw(&[0xff]);
            assert_eq!(end.read(), Err(Fault::Protocol));
            peer.from_end.borrow_mut().write_error = Some(ErrorKind::BrokenPipe);
            match when {
                0 => {}
                1 => end.close(Some((1000, "mine"))).unwrap(),
                2 => assert!(matches!(end.text("late"), Err(Fault::NotWritable | Fault::Closed))),
                _ => assert_eq!(end.write_pending(), Err(Fault::Closed)),
            }
            match when {
                3 => end.assert_already_closed(),
                _ => end.assert_over(),
            }
        }
    });
}

#[test]
fn a_stream_that_breaks_while_the_answer_to_a_close_leaves_has_ended_well() {
    everywhere_on(&Transport::FALLIBLE, |harness| {
        for (role, when) in ROLES.into_iter().flat_map(|role| (0..3).map(move |when| (role, when))) {
            let (mut end, peer) = harness.end(role, plain());
            peer.set_window(0);
            end.text("waits").unwrap();
            peer.send_close(4000, "bye");
            assert_eq!(end.read(), Ok(close(4000, "bye")));
            peer.from_end.borrow_mut().write_error = Some(ErrorKind::BrokenPipe);
            match when {
                0 => end.assert_over(),
                1 => {
                    end.close(None).unwrap();
                    end.assert_over();
                }
                _ => {
                    assert_eq!(end.write_pending(), Err(Fault::Closed));
                    end.assert_already_closed();
                }
            }
        }
    });
}

#[test]
fn both_ends_write_more_than_the_link_holds_and_lose_nothing() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        let (mut client, mut server) = harness.pair(plain(), plain());
        let mut log = [Vec::new(), Vec::new()];
        let (mut sent, mut rounds) = ([0_u8; 2], 0);
        while log.iter().any(|log| log.len() < 6) {
            for (i, end) in [&mut client, &mut server].into_iter().enumerate() {
                end.set_window(25);
                if sent[i] < 6 && end.binary(&[sent[i]; 40]).is_ok() {
                    sent[i] += 1;
                }
                while let Ok(event) = end.read() {
                    log[i].push(event);
                }
            }
            rounds += 1;
            assert!(rounds < 100, "{sent:?} {log:?}");
        }
        let expected: Vec<_> = (0..6).map(|i| binary(&[i; 40])).collect();
        assert_eq!(log, [expected.clone(), expected]);
    });
}

#[test]
fn a_message_so_long_that_it_leaves_in_pieces_goes_on_from_any_byte_with_a_pong_behind_it() {
    const LEN: usize = 600_001; // three pieces, the first of 200,001 bytes behind its header
    let payload: Vec<u8> = (0..LEN).map(|i| (i * 7) as u8).collect();
    let windows = [0, 13, 14, 15, 200_014, 200_015, 200_016, 400_015, LEN + 13, usize::MAX];
    let blocks = [Block::Never, Block::At(1), Block::At(2), Block::Every(2)];
    let scripts = [usize::MAX, 150_000]
        .into_iter()
        .flat_map(|write| blocks.map(|block| Script { read: usize::MAX, write, block }));
    for (script, transport) in
        scripts.flat_map(|script| Transport::SCRIPTED.map(|transport| (script, transport)))
    {
        for (role, window) in ROLES.into_iter().flat_map(|role| windows.map(|window| (role, window))) {
            let harness = Harness::new(transport, script);
            let (mut end, peer) = harness.end(role, plain());
            peer.set_window(window);
            assert_eq!(end.binary(&payload), Ok(()), "{role:?} {window} {harness:?}");
            peer.send(PING, b"are you there?");
            while end.read() != Ok(ping(b"are you there?")) {}
            assert_eq!(end.text("next"), Ok(()));
            peer.set_window(usize::MAX);
            while end.write_pending() == Err(Fault::WouldBlock) {}
            let received = peer.received();
            let order = received.iter().map(|(first, data)| (*first, data.len())).collect::<Vec<_>>();
            assert_eq!(order.len(), 3, "{role:?} {window} {harness:?}: {order:?}");
            assert!(
                received.contains(&(BINARY, payload.clone())),
                "{role:?} {window} {harness:?}: {order:?}"
            );
            assert!(
                received.contains(&(PONG, b"are you there?".to_vec())),
                "{role:?} {window} {harness:?}: {order:?}"
            );
            let at = |kind| order.iter().position(|(first, _)| *first == kind);
            assert!(at(BINARY) < at(TEXT), "{role:?} {window} {harness:?}: {order:?}");
        }
    }
}
