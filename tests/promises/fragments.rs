//! Messages in fragments: put together, sent, and delivered part by part.

use crate::common::wire::{self, BINARY_PART, LAST, MORE, PING, PONG, TEXT, TEXT_PART};
use crate::common::{
    Event, Fault, Role, Transport, binary, config, everywhere, everywhere_on, ping, plain, pong, text,
};
use wsabi::Kind;

const ROLES: [Role; 2] = [Role::Client, Role::Server];

#[test]
fn fragments_become_one_message_with_control_frames_in_between() {
    everywhere(|harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, plain());
            let word = "zwölf Boxkämpfer 🥊".as_bytes();
            peer.send(TEXT_PART, &word[..3]); // inside the ö
            peer.send(PING, b"a");
            peer.send(MORE, &word[3..19]);
            peer.send(MORE, b"");
            peer.send(PONG, b"b");
            peer.send(LAST, &word[19..]); // inside the glove
            peer.send(BINARY_PART, b"");
            peer.send(LAST, b"");
            peer.send(TEXT, b"next");
            assert_eq!(end.read(), Ok(ping(b"a")));
            assert_eq!(end.read(), Ok(pong(b"b")));
            assert_eq!(end.read(), Ok(text("zwölf Boxkämpfer 🥊")));
            assert_eq!(end.read(), Ok(binary(b"")));
            assert_eq!(end.read(), Ok(text("next")));
            assert_eq!(end.read(), Err(Fault::WouldBlock));
            assert_eq!(peer.received(), [(PONG, b"a".to_vec())]);
        }
    });
}

#[test]
fn a_message_can_be_sent_in_fragments_with_control_frames_in_between() {
    everywhere(|harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, plain());
            end.write_fragment(Kind::Text, "hall\u{f6}".split_at(4).0.as_bytes(), false).unwrap();
            end.write_fragment(Kind::Text, b"\xc3", false).unwrap();
            end.write(Kind::Ping, b"between").unwrap();
            end.write_fragment(Kind::Text, b"", false).unwrap();
            end.write_fragment(Kind::Text, b"\xb6", true).unwrap();
            end.write_fragment(Kind::Binary, b"whole", true).unwrap();
            end.text("next").unwrap();
            end.write_pending().unwrap();
            let expected: [(u8, &[u8]); 7] = [
                (TEXT_PART, b"hall"),
                (MORE, b"\xc3"),
                (PING, b"between"),
                (MORE, b""),
                (LAST, b"\xb6"),
                (0x82, b"whole"),
                (TEXT, b"next"),
            ];
            assert_eq!(peer.received(), expected.map(|(first, data)| (first, data.to_vec())));
        }
    });
}

#[test]
fn fragments_sent_by_one_end_are_one_message_at_the_other() {
    everywhere(|harness| {
        let (mut client, mut server) = harness.pair(plain(), plain());
        for end in [0, 1] {
            let (from, to) = if end == 0 { (&mut client, &mut server) } else { (&mut server, &mut client) };
            for i in 0..10 {
                from.write_fragment(Kind::Binary, &[i; 33], i == 9).unwrap();
            }
            from.write_pending().unwrap();
            let expected: Vec<u8> = (0..10).flat_map(|i| [i; 33]).collect();
            assert_eq!(to.read(), Ok(binary(&expected)));
        }
    });
}

#[test]
fn another_message_cannot_be_begun_inside_a_fragmented_one() {
    everywhere(|harness| {
        let (mut end, peer) = harness.end(Role::Client, plain());
        end.write_fragment(Kind::Text, b"a", false).unwrap();
        assert_eq!(end.text("whole"), Err(Fault::Misuse));
        assert_eq!(end.binary(b"whole"), Err(Fault::Misuse));
        assert_eq!(end.write_fragment(Kind::Binary, b"other kind", true), Err(Fault::Misuse));
        assert_eq!(end.write_fragment(Kind::Ping, b"control", true), Err(Fault::InvalidArgument));
        assert_eq!(end.write_fragment(Kind::Text, b"\xff", false), Err(Fault::Utf8));
        assert_eq!(end.write_fragment(Kind::Text, b"\xe2\x82", true), Err(Fault::Utf8));
        end.write_fragment(Kind::Text, b"b", true).unwrap();
        end.text("whole").unwrap();
        end.write_pending().unwrap();
        let expected: [(u8, &[u8]); 3] = [(TEXT_PART, b"a"), (LAST, b"b"), (TEXT, b"whole")];
        assert_eq!(peer.received(), expected.map(|(first, data)| (first, data.to_vec())));
    });
}

#[test]
fn a_fragment_that_finds_no_room_is_not_accepted_and_can_be_written_again() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        let (mut end, peer) = harness.end(Role::Server, config(|c| c.max_send_queue = Some(2)));
        peer.set_window(0);
        end.write_fragment(Kind::Text, b"\xc3", false).unwrap();
        end.write_fragment(Kind::Text, b"\xb6", false).unwrap();
        for _ in 0..3 {
            assert_eq!(end.write_fragment(Kind::Text, b"\xe2", false), Err(Fault::QueueFull));
        }
        peer.set_window(usize::MAX);
        end.write_pending().unwrap();
        end.write_fragment(Kind::Text, b"!", true).unwrap();
        end.write_pending().unwrap();
        let expected: [(u8, &[u8]); 3] = [(TEXT_PART, b"\xc3"), (MORE, b"\xb6"), (LAST, b"!")];
        assert_eq!(peer.received(), expected.map(|(first, data)| (first, data.to_vec())));
    });
}

#[test]
fn a_close_may_end_a_connection_in_the_middle_of_a_message() {
    everywhere(|harness| {
        let (mut client, mut server) = harness.pair(plain(), plain());
        client.write_fragment(Kind::Text, b"half", false).unwrap();
        client.close(Some((1000, ""))).unwrap();
        client.write_pending().unwrap();
        assert_eq!(client.write_fragment(Kind::Text, b"", true), Err(Fault::NotWritable));
        assert_eq!(server.read(), Ok(crate::common::close(1000, "")));
        server.assert_over();
    });
}

/// Joins the parts of messages; checks each of them on its way.
fn join_parts(events: &[Event]) -> Vec<Event> {
    let mut messages: Vec<Event> = Vec::new();
    let mut open: Option<Event> = None;
    for event in events {
        if event.kind.is_control() {
            messages.push(event.clone());
            continue;
        }
        if event.kind == Kind::Text {
            assert!(str::from_utf8(&event.data).is_ok(), "a part of a text is cut between characters");
        }
        assert!(event.is_final || !event.data.is_empty(), "a part that says nothing");
        let mut message = open.take().unwrap_or(Event { data: vec![], ..event.clone() });
        assert_eq!(message.kind, event.kind);
        message.data.extend_from_slice(&event.data);
        if event.is_final {
            messages.push(Event { is_final: true, ..message });
        } else {
            open = Some(message);
        }
    }
    assert_eq!(open, None, "the last part of a message says that it is the last");
    messages
}

#[test]
fn parts_are_delivered_as_they_come_and_text_is_cut_between_characters() {
    everywhere(|harness| {
        let mut all = Vec::new();
        for role in ROLES {
            let (mut end, peer) = harness.end(role, config(|c| c.deliver_fragments = true));
            let long = "Grüße, 漢字, 🥊! ".repeat(6);
            peer.send(TEXT_PART, &long.as_bytes()[..101]);
            peer.send(PING, b"between");
            peer.send(MORE, &long.as_bytes()[101..103]);
            peer.send(MORE, b"");
            peer.send(LAST, &long.as_bytes()[103..]);
            peer.send(TEXT, long.as_bytes());
            peer.send(TEXT, b"");
            peer.send(BINARY_PART, b"\xff\xfe");
            peer.send(LAST, b"");
            let (events, fault) = end.read_all();
            assert_eq!(fault, Fault::WouldBlock);
            let messages = join_parts(&events);
            assert_eq!(
                messages,
                [ping(b"between"), text(&long), text(&long), text(""), binary(b"\xff\xfe")],
                "{events:?}"
            );
            all.push(messages);
        }
        all
    });
}

#[test]
fn a_part_is_delivered_before_the_rest_of_its_frame_has_come() {
    everywhere(|harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, config(|c| c.deliver_fragments = true));
            let frame = wire::frame(peer.role, TEXT, &[b'a'; 100]);
            let (head, tail) = frame.split_at(40);
            peer.send_raw(head);
            let (parts, fault) = end.read_all();
            assert_eq!(fault, Fault::WouldBlock);
            let arrived: usize = parts.iter().map(|part| part.data.len()).sum();
            assert_eq!(arrived, 40 - (frame.len() - 100));
            assert!(parts.iter().all(|part| !part.is_final));
            peer.send_raw(tail);
            let (parts, _) = end.read_all();
            assert_eq!(arrived + parts.iter().map(|part| part.data.len()).sum::<usize>(), 100);
            assert!(parts.last().unwrap().is_final);
        }
    });
}

#[test]
fn half_a_character_may_come_before_the_longest_frame_that_32_bits_can_tell() {
    everywhere(|harness| {
        for role in ROLES {
            let unlimited = config(|c| {
                (c.deliver_fragments, c.max_message_size, c.max_frame_size) = (true, None, None);
            });
            let (mut end, peer) = harness.end(role, unlimited);
            let text = "ö, and what follows it";
            peer.send(TEXT_PART, &text.as_bytes()[..1]);
            peer.send_raw(&wire::header(peer.role, LAST, u32::MAX.into()));
            assert_eq!(end.read(), Err(Fault::WouldBlock));
            let rest = wire::frame(peer.role, LAST, &text.as_bytes()[1..]);
            let header_len = wire::header(peer.role, LAST, 1).len();
            peer.send_raw(&rest[header_len..]);
            let (parts, fault) = end.read_all();
            assert_eq!(fault, Fault::WouldBlock);
            assert_eq!(parts.iter().flat_map(|part| part.data.clone()).collect::<Vec<_>>(), text.as_bytes());
        }
    });
}

#[test]
fn parts_are_limited_and_validated_like_whole_messages() {
    everywhere(|harness| {
        for role in ROLES {
            let limited = config(|c| (c.deliver_fragments, c.max_message_size) = (true, Some(100)));
            let (mut end, peer) = harness.end(role, limited.clone());
            (0..3).for_each(|i| peer.send(if i == 0 { TEXT_PART } else { MORE }, &[b'a'; 40]));
            let (parts, fault) = end.read_all();
            assert_eq!(
                (fault, parts.iter().map(|part| part.data.len()).sum::<usize>()),
                (Fault::Capacity, 80)
            );
            end.assert_over();
            let (mut end, peer) = harness.end(role, limited);
            peer.send(TEXT_PART, b"good\xe2\x82");
            peer.send(LAST, b"bad");
            let (parts, fault) = end.read_all();
            assert_eq!((fault, parts.iter().map(|part| part.data.len()).sum::<usize>()), (Fault::Utf8, 4));
            end.assert_over();
        }
    });
}

#[test]
fn parts_come_in_time_whatever_the_switch_is_set_to_in_the_middle_of_a_message() {
    everywhere(|harness| {
        let (mut end, peer) = harness.end(Role::Server, plain());
        peer.send(TEXT_PART, b"first ");
        assert_eq!(end.read(), Err(Fault::WouldBlock));
        end.configure(|c| c.deliver_fragments = true);
        peer.send(MORE, b"second ");
        let (parts, _) = end.read_all();
        assert_eq!(parts.iter().flat_map(|part| part.data.clone()).collect::<Vec<_>>(), b"first second ");
        end.configure(|c| c.deliver_fragments = false);
        peer.send(LAST, b"third");
        assert_eq!(end.read(), Ok(text("third")));
    });
}
