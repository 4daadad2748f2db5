//! The configuration: readable, and changeable while the connection runs.

use crate::common::wire::{PING, PONG, TEXT};
use crate::common::{Fault, Role, Transport, config, everywhere, everywhere_on, ping, plain, text};
use std::time::Duration;

#[test]
fn the_configuration_is_readable() {
    everywhere(|harness| {
        let ours = config(|c| {
            c.max_send_queue = Some(5);
            c.max_message_size = None;
            c.max_frame_size = Some(1 << 20);
            c.deliver_fragments = true;
            c.ping_interval = Some(Duration::from_millis(1500));
        });
        let (end, _peer) = harness.end(Role::Client, ours.clone());
        assert_eq!(end.inner.config(), ours);
        let (end, _peer) = harness.end(Role::Server, plain());
        assert_eq!(end.inner.config(), plain());
    });
}

#[test]
fn the_configuration_is_changeable_and_holds_from_the_next_call_on() {
    everywhere(|harness| {
        let (mut end, peer) = harness.end(Role::Server, plain());
        peer.send(PING, b"1");
        assert_eq!(end.read(), Ok(ping(b"1")));
        end.configure(|c| {
            c.deliver_control = false;
            c.auto_pong = false;
            c.max_message_size = Some(5);
        });
        assert_eq!(end.inner.config().max_message_size, Some(5));
        peer.send(PING, b"2");
        peer.send(TEXT, b"small");
        peer.send(TEXT, b"larger");
        assert_eq!(end.text("larger"), Err(Fault::Capacity));
        assert_eq!(end.read(), Ok(text("small")));
        assert_eq!(end.read(), Err(Fault::Capacity));
        let _ = end.write_pending();
        let received = peer.received();
        assert_eq!(received[0], (PONG, b"1".to_vec()));
        assert_eq!(received.len(), 2, "one Pong, and the Close");
    });
}

#[test]
fn what_was_accepted_before_a_limit_was_lowered_stays_accepted() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        let (mut end, peer) = harness.end(Role::Client, plain());
        peer.set_window(0);
        (0..5).for_each(|_| end.text("accepted").unwrap());
        end.configure(|c| (c.max_send_queue, c.max_message_size) = (Some(1), Some(1)));
        assert_eq!(end.text("x"), Err(Fault::QueueFull));
        peer.set_window(usize::MAX);
        end.write_pending().unwrap();
        assert_eq!(peer.received().len(), 5);
        assert_eq!(end.text("x"), Ok(()));
    });
}

#[test]
fn unmasked_frames_of_a_client_are_taken_only_where_that_was_asked_for() {
    everywhere(|harness| {
        for (accepted, expected) in [(true, Ok(text("bare"))), (false, Err(Fault::Protocol))] {
            let (mut end, peer) = harness.end(Role::Server, config(|c| c.accept_unmasked_frames = accepted));
            peer.send_raw(b"\x81\x04bare");
            assert_eq!(end.read(), expected);
        }
    });
}
