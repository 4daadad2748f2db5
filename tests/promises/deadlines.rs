//! Deadlines, on a clock that stands still unless the test moves it.

use crate::common::harness::shake;
use crate::common::wire::{CLOSE, PING, PONG, TEXT};
use crate::common::{
    Fault, Role, SharedConnection, Transport, WebSocketConfig, close, config, everywhere, everywhere_on,
    plain, text,
};
use std::time::Duration;
use wsabi::{Decision, HandshakeOptions};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

fn ms(ms: u64) -> Option<Duration> {
    Some(Duration::from_millis(ms))
}

/// All timeouts, none of which is a multiple of another.
fn timeouts() -> WebSocketConfig {
    config(|c| {
        c.handshake_timeout = ms(100);
        c.close_timeout = ms(70);
        c.ping_interval = ms(1000);
        c.pong_timeout = ms(300);
        c.idle_timeout = ms(50_000);
    })
}

/// After a deadline nothing is read; the end comes at once, whether or not the peer takes the last words.
fn assert_given_up(end: &mut SharedConnection, words: &str) {
    assert!(end.failure().contains(words), "{}", end.failure());
    assert!(!end.can_read() && !end.can_write());
    end.assert_over();
}

#[test]
fn a_handshake_that_takes_too_long_fails() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        let (mut server, peer) = harness.server(Decision::accept(), timeouts());
        server.tick(5).unwrap();
        peer.send_raw(b"GET / HTTP/1.1\r\n");
        assert_eq!(server.handshake(), Err(Fault::WouldBlock));
        server.tick(5).unwrap();
        for now in [50, 104] {
            server.tick(now).unwrap();
            // Single bytes do not buy time.
            peer.send_raw(b"X");
            assert_eq!(server.handshake(), Err(Fault::WouldBlock));
        }
        assert_eq!(server.tick(105), Err(Fault::Timeout));

        let (mut client, _peer) = harness.client("ws://h/", HandshakeOptions::default(), timeouts());
        assert_eq!(client.handshake(), Err(Fault::WouldBlock));
        client.tick(1000).unwrap();
        assert_eq!(client.handshake(), Err(Fault::WouldBlock));
        client.tick(1099).unwrap();
        assert_eq!(client.tick(1100), Err(Fault::Timeout));
    });
}

#[test]
fn a_handshake_cannot_be_completed_after_its_deadline() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        let (mut server, peer) = harness.server(Decision::accept(), timeouts());
        assert_eq!(server.handshake(), Err(Fault::WouldBlock));
        server.tick(0).unwrap();
        assert_eq!(server.tick(100), Err(Fault::Timeout));
        peer.send_raw(b"GET / HTTP/1.1\r\n");
        assert_eq!(server.handshake(), Err(Fault::Closed));
        assert_eq!(peer.raw(), b"");
    });
}

#[test]
fn a_refusal_whose_body_takes_too_long_is_reported_as_the_refusal_that_it_is() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        let (mut client, peer) = harness.client("ws://h/", HandshakeOptions::default(), timeouts());
        client.tick(0).ok();
        assert_eq!(client.handshake(), Err(Fault::WouldBlock));
        client.tick(0).unwrap();
        peer.send_raw(b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nit broke");
        assert_eq!(client.handshake(), Err(Fault::WouldBlock));
        assert_eq!(client.tick(100), Err(Fault::Handshake));
    });
}

#[test]
fn the_handshake_deadline_ends_with_the_handshake() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        let (mut client, mut server) =
            harness.strangers(("ws://h/", HandshakeOptions::default()), Decision::accept(), &timeouts());
        assert_eq!(shake(&mut client, &mut server), (Ok(()), Ok(())));
        for now in [0, 99, 100, 999] {
            client.tick(now).unwrap();
            server.tick(now).unwrap();
        }
    });
}

#[test]
fn a_peer_that_does_not_answer_our_close_is_given_up() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, timeouts());
            end.tick(0).unwrap();
            end.close(Some((1000, ""))).unwrap();
            let _ = end.write_pending();
            for now in [500, 569] {
                end.tick(now).unwrap();
                // Messages do not buy time, only the Close would.
                peer.send(TEXT, b"not yet");
                assert_eq!(end.read(), Ok(text("not yet")));
            }
            assert_eq!(end.tick(570), Err(Fault::Timeout));
            assert_given_up(&mut end, "did not answer the Close in time");
            assert_eq!(peer.received(), [(CLOSE, vec![0x03, 0xe8])]);
        }
    });
}

#[test]
fn a_peer_that_does_not_even_take_our_close_is_given_up() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, timeouts());
            peer.set_window(0);
            end.tick(0).unwrap();
            end.close(None).unwrap();
            end.tick(0).unwrap();
            end.tick(69).unwrap();
            assert_eq!(end.read(), Err(Fault::WouldBlock));
            assert_eq!(end.tick(70), Err(Fault::Timeout));
            assert_given_up(&mut end, "did not answer the Close in time");
        }
    });
}

#[test]
fn a_server_that_does_not_end_the_stream_is_not_waited_for_longer_than_the_close_timeout() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        let (mut client, peer) = harness.end(Role::Client, timeouts());
        client.tick(0).unwrap();
        peer.send_close(1000, "");
        assert_eq!(client.read(), Ok(close(1000, "")));
        assert_eq!(client.read(), Err(Fault::WouldBlock));
        client.tick(10).unwrap();
        client.tick(79).unwrap();
        assert_eq!(client.read(), Err(Fault::WouldBlock));
        // Both Closes have passed: no error, just the end.
        client.tick(80).unwrap();
        client.assert_over();
    });
}

#[test]
fn a_peer_that_does_not_take_the_answer_to_a_broken_rule_is_not_waited_for() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, timeouts());
            peer.set_window(0);
            end.tick(0).unwrap();
            peer.send_raw(&[0xff]);
            assert_eq!(end.read(), Err(Fault::Protocol));
            assert_eq!(end.read(), Err(Fault::WouldBlock));
            end.tick(1).unwrap();
            end.tick(70).unwrap();
            assert_eq!(end.read(), Err(Fault::WouldBlock));
            end.tick(71).unwrap();
            end.assert_over();
        }
    });
}

#[test]
fn pings_go_out_at_their_interval_and_a_pong_keeps_the_connection() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, timeouts());
            end.tick(0).unwrap();
            end.tick(999).unwrap();
            end.write_pending().unwrap();
            assert_eq!(peer.received(), []);
            for round in 1..5 {
                end.tick(round * 1000).unwrap();
                end.write_pending().unwrap();
                let pings = peer.received();
                assert_eq!(pings.len(), 1);
                assert_eq!(pings[0].0, PING);
                end.tick(round * 1000 + 299).unwrap();
                peer.send(PONG, &pings[0].1);
                assert_eq!(end.read(), Ok(crate::common::pong(&pings[0].1)));
                end.tick(round * 1000 + 999).unwrap();
            }
        }
    });
}

#[test]
fn a_peer_that_stays_silent_after_a_ping_is_given_up_and_told() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, timeouts());
            end.tick(0).unwrap();
            end.tick(1000).unwrap();
            end.write_pending().unwrap();
            end.tick(1299).unwrap();
            assert_eq!(end.tick(1300), Err(Fault::Timeout));
            assert_given_up(&mut end, "did not answer a Ping in time");
            let received = peer.frames();
            assert_eq!(received.len(), 2);
            assert_eq!(received[1].close().0, 1011);
        }
    });
}

#[test]
fn a_silent_peer_is_given_up_even_when_pings_are_more_frequent_than_the_pong_timeout_is_long() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        let often = config(|c| (c.ping_interval, c.pong_timeout) = (ms(100), ms(250)));
        let (mut end, peer) = harness.end(Role::Server, often);
        for now in [0, 100, 200, 300, 349] {
            end.tick(now).unwrap();
            end.write_pending().unwrap();
        }
        assert_eq!(end.tick(350), Err(Fault::Timeout), "250 ms after the first Ping that was not answered");
        assert_given_up(&mut end, "did not answer a Ping in time");
        assert_eq!(peer.received().iter().filter(|(first, _)| *first == PING).count(), 3);
    });
}

#[test]
fn an_idle_connection_is_ended_and_bytes_keep_it() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, config(|c| c.idle_timeout = ms(200)));
            end.tick(0).unwrap();
            end.tick(150).unwrap();
            peer.send(TEXT, b"here");
            assert_eq!(end.read(), Ok(text("here")));
            // What arrived since the last time counts from this one on.
            end.tick(150).unwrap();
            end.tick(349).unwrap();
            // What we send does not count.
            end.text("there").unwrap();
            end.write_pending().unwrap();
            assert_eq!(end.tick(350), Err(Fault::Timeout));
            assert_given_up(&mut end, "nothing was received for too long");
            assert_eq!(peer.frames().pop().unwrap().close().0, 1001);
        }
    });
}

#[test]
fn a_ping_of_a_deadline_jumps_the_queue_and_does_not_pile_up() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        for role in ROLES {
            let patient = config(|c| (c.ping_interval, c.pong_timeout) = (ms(10), None));
            let (mut end, peer) = harness.end(role, patient);
            end.tick(0).unwrap();
            peer.set_window(1);
            end.text("first").unwrap();
            end.text("second").unwrap();
            let _ = end.write_pending();
            (1..50).for_each(|i| end.tick(i * 10).unwrap());
            peer.set_window(usize::MAX);
            end.write_pending().unwrap();
            let received: Vec<u8> = peer.received().into_iter().map(|(first, _)| first).collect();
            assert_eq!(received[..2], [TEXT, PING]);
            assert!(received.len() <= 4, "{} Pings", received.len() - 2);
        }
    });
}

#[test]
fn without_a_clock_no_timeout_runs() {
    everywhere(|harness| {
        let (mut end, peer) = harness.end(Role::Client, timeouts());
        end.close(None).unwrap();
        for _ in 0..3 {
            assert_eq!(end.read(), Err(Fault::WouldBlock));
        }
        peer.send_close(1000, "");
        assert_eq!(end.read(), Ok(close(1000, "")));
        let _ = plain();
    });
}

#[test]
fn a_clock_that_jumps_ahead_gives_the_peer_its_time_all_the_same() {
    const HOURS: u64 = 10 * 3_600_000;
    everywhere_on(&Transport::SCRIPTED, |harness| {
        let (mut end, peer) = harness.end(Role::Client, timeouts());
        end.configure(|c| c.idle_timeout = None);
        end.tick(0).unwrap();
        // The machine has slept.
        end.tick(HOURS).unwrap();
        end.write_pending().unwrap();
        assert_eq!(peer.received().len(), 1, "one Ping, not one for each hour");
        end.tick(HOURS + 299).unwrap();
        assert_eq!(end.tick(HOURS + 300), Err(Fault::Timeout));
    });
}

#[test]
fn a_clock_that_goes_backwards_stands_still() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        let (mut end, peer) = harness.end(Role::Server, timeouts());
        end.tick(5000).unwrap();
        let _ = end.tick(10);
        end.tick(5999).unwrap();
        end.write_pending().unwrap();
        assert_eq!(peer.received(), []);
        end.tick(6000).unwrap();
        end.write_pending().unwrap();
        assert_eq!(peer.received().len(), 1);
    });
}

/// Between two times nobody knows when it came, and a peer is not to be given up that may have been there just now.
#[test]
fn what_arrives_between_two_ticks_counts_as_arriving_at_the_second() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        for role in ROLES {
            let (mut end, peer) = harness.end(role, config(|c| c.idle_timeout = ms(200)));
            end.tick(0).unwrap();
            peer.send(TEXT, b"here");
            assert_eq!(end.read(), Ok(text("here")));
            end.tick(500).unwrap();
            end.tick(699).unwrap();
            assert_eq!(end.tick(700), Err(Fault::Timeout));
        }
    });
}

/// Each Ping is still on its way when the time is taken once more.
#[test]
fn pings_that_leave_late_do_not_keep_a_silent_peer_alive() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        for role in ROLES {
            let often = config(|c| (c.ping_interval, c.pong_timeout) = (ms(30), ms(60)));
            let (mut end, _peer) = harness.end(role, often);
            end.tick(0).unwrap();
            let mut result = Ok(());
            let mut now = 0;
            while result.is_ok() && now < 1000 {
                now += 1;
                result = end.tick(now).and_then(|()| end.tick(now));
                if now % 5 == 0 {
                    let _ = end.write_pending();
                }
            }
            assert_eq!((result, now), (Err(Fault::Timeout), 90));
        }
    });
}

#[test]
fn all_that_is_due_is_done_by_one_tick() {
    everywhere_on(&Transport::SCRIPTED, |harness| {
        for role in ROLES {
            let config = || {
                config(|c| {
                    (c.ping_interval, c.pong_timeout, c.idle_timeout) = (ms(1000), ms(300), ms(1500));
                })
            };
            let (mut end, peer) = harness.end(role, config());
            end.tick(0).unwrap();
            assert_eq!(end.tick(1500), Err(Fault::Timeout), "the Ping fell due before");
            assert_given_up(&mut end, "nothing was received for too long");
            let firsts: Vec<_> = peer.received().into_iter().map(|(first, _)| first).collect();
            assert_eq!(firsts, [PING, CLOSE]);
            // One Ping for all that were missed.
            let (mut end, peer) = harness.end(role, WebSocketConfig { idle_timeout: None, ..config() });
            end.tick(0).unwrap();
            end.tick(5500).unwrap();
            end.write_pending().unwrap();
            assert_eq!(peer.received().len(), 1);
            // A failed connection that is also late has one thing to tell.
            let (mut end, peer) = harness.end(role, config());
            peer.set_window(0);
            end.tick(0).unwrap();
            peer.send_raw(&[0xff]);
            assert_eq!(end.read(), Err(Fault::Protocol));
            end.tick(100_000).unwrap();
            end.tick(200_000).unwrap();
            end.assert_over();
        }
    });
}
