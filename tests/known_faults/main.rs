//! Faults of the Rust side that are known and not fixed yet: see README.md.

#[path = "../common/mod.rs"]
mod common;

use common::wire::TEXT;
use common::{Fault, Role, Transport, config, everywhere_on, text};
use std::time::Duration;

/// Between two times nobody knows when it came, and a peer is not to be given up that may have been there just now.
#[test]
fn what_arrives_between_two_ticks_counts_as_arriving_at_the_second() {
    everywhere_on(&Transport::SCRIPTED, |lab| {
        for role in [Role::Client, Role::Server] {
            let (mut end, peer) =
                lab.end(role, config(|c| c.idle_timeout = Some(Duration::from_millis(200))));
            end.tick(0).unwrap();
            peer.send(TEXT, b"here");
            assert_eq!(end.read(), Ok(text("here")));
            end.tick(500).unwrap();
            end.tick(699).unwrap();
            assert_eq!(end.tick(700), Err(Fault::Timeout));
        }
    });
}
