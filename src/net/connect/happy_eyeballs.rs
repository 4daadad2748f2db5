//! Which address to try next, and when: Happy HappyEyeballs (RFC 8305), on a clock in milliseconds that is handed in. Knows
//! addresses and times; resolves no names and opens no sockets.

use std::collections::VecDeque;
use std::net::SocketAddr;

/// How long IPv4 addresses wait for IPv6 ones (RFC 8305 section 8: Resolution Delay).
const RESOLUTION_DELAY: u64 = 50;
/// How long an attempt goes on alone (RFC 8305 section 8: Connection Attempt Delay).
const ATTEMPT_DELAY: u64 = 250;
/// Most addresses tried of each family.
const MAX_ADDRESSES: usize = 32;

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv6, which is tried first.
    V6,
    /// IPv4.
    V4,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct HappyEyeballs {
    v6: Answer,
    v4: Answer,
    /// The family of the attempt begun last.
    last: Option<Family>,
    /// Before this the next attempt waits for the ones under way, or for the other family's addresses.
    not_before: u64,
    under_way: usize,
}

/// What a lookup has given.
#[derive(Debug, Default)]
struct Answer {
    has_come: bool,
    addresses: VecDeque<SocketAddr>,
}

impl HappyEyeballs {
    /// Both lookups are still to answer.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A lookup has answered, perhaps with nothing; the best address comes first.
    pub(crate) fn found(
        &mut self,
        family: Family,
        addresses: impl IntoIterator<Item = SocketAddr>,
        now: u64,
    ) {
        let answer = self.answer(family);
        answer.has_come = true;
        answer.addresses.extend(addresses.into_iter().take(MAX_ADDRESSES));
        let has_addresses = !answer.addresses.is_empty();
        if family == Family::V4 && has_addresses && !self.v6.has_come {
            self.not_before = now.saturating_add(RESOLUTION_DELAY);
        } else if family == Family::V6 && self.under_way == 0 {
            self.not_before = now;
        }
    }

    /// An address to begin with now, if any. Ask again until there is none.
    pub(crate) fn next(&mut self, now: u64) -> Option<SocketAddr> {
        if now < self.not_before {
            return None;
        }
        let preferred = if self.last == Some(Family::V6) { Family::V4 } else { Family::V6 };
        let other = if preferred == Family::V6 { Family::V4 } else { Family::V6 };
        let (family, address) = [preferred, other]
            .into_iter()
            .find_map(|family| Some((family, self.answer(family).addresses.pop_front()?)))?;
        self.last = Some(family);
        self.under_way += 1;
        self.not_before = now.saturating_add(ATTEMPT_DELAY);
        Some(address)
    }

    /// An attempt has failed: nothing speaks against the next one.
    pub(crate) fn failed(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
        self.not_before = 0;
    }

    /// When [`next`](Self::next) will have an address, going by what is known; `None` where it has none.
    pub(crate) fn due(&self) -> Option<u64> {
        let waits = !self.v6.addresses.is_empty() || !self.v4.addresses.is_empty();
        waits.then_some(self.not_before)
    }

    /// Nothing is under way and nothing more will come.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.under_way == 0
            && [&self.v6, &self.v4].iter().all(|answer| answer.has_come && answer.addresses.is_empty())
    }

    fn answer(&mut self, family: Family) -> &mut Answer {
        match family {
            Family::V6 => &mut self.v6,
            Family::V4 => &mut self.v4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse::<IpAddr>().unwrap(), 80)).collect()
    }

    #[track_caller]
    fn expect(eyeballs: &mut HappyEyeballs, now: u64, address: &str) {
        assert_eq!(eyeballs.next(now), Some(addresses(&[address])[0]));
    }

    #[test]
    fn ipv6_answered_first_is_tried_at_once() {
        let mut eyeballs = HappyEyeballs::new();
        assert_eq!((eyeballs.next(0), eyeballs.due(), eyeballs.is_hopeless()), (None, None, false));
        eyeballs.found(Family::V6, addresses(&["::1"]), 5);
        expect(&mut eyeballs, 5, "::1");
        assert_eq!((eyeballs.next(5), eyeballs.due()), (None, None));
    }

    #[test]
    fn ipv4_answered_first_waits_a_little_for_ipv6() {
        let mut eyeballs = HappyEyeballs::new();
        eyeballs.found(Family::V4, addresses(&["127.0.0.1"]), 100);
        assert_eq!((eyeballs.next(149), eyeballs.due()), (None, Some(150)));
        let mut late = HappyEyeballs::new();
        late.found(Family::V4, addresses(&["127.0.0.1"]), 100);
        late.found(Family::V6, addresses(&["::1"]), 120);
        expect(&mut late, 120, "::1");
        expect(&mut eyeballs, 150, "127.0.0.1");
    }

    #[test]
    fn no_ipv6_address_means_no_wait() {
        let mut eyeballs = HappyEyeballs::new();
        eyeballs.found(Family::V4, addresses(&["127.0.0.1"]), 100);
        eyeballs.found(Family::V6, [], 101);
        expect(&mut eyeballs, 101, "127.0.0.1");
    }

    #[test]
    fn families_take_turns_a_quarter_of_a_second_apart() {
        let mut eyeballs = HappyEyeballs::new();
        eyeballs.found(Family::V6, addresses(&["::1", "::2", "::3"]), 0);
        eyeballs.found(Family::V4, addresses(&["127.0.0.1"]), 0);
        expect(&mut eyeballs, 0, "::1");
        assert_eq!((eyeballs.next(249), eyeballs.due()), (None, Some(250)));
        expect(&mut eyeballs, 250, "127.0.0.1");
        expect(&mut eyeballs, 500, "::2");
        expect(&mut eyeballs, 750, "::3");
        assert_eq!(eyeballs.due(), None);
    }

    #[test]
    fn after_a_failure_the_next_is_tried_at_once() {
        let mut eyeballs = HappyEyeballs::new();
        eyeballs.found(Family::V6, addresses(&["::1"]), 0);
        expect(&mut eyeballs, 0, "::1");
        eyeballs.found(Family::V4, addresses(&["127.0.0.1"]), 1);
        eyeballs.failed();
        assert!(!eyeballs.is_hopeless());
        eyeballs.next(2).map(|address| assert!(address.is_ipv4())).unwrap();
        eyeballs.failed();
        assert!(eyeballs.is_hopeless());
    }

    #[test]
    fn an_endless_list_of_addresses_is_cut() {
        let mut eyeballs = HappyEyeballs::new();
        eyeballs.found(Family::V6, addresses(&["::1"; 1000]), 0);
        eyeballs.found(Family::V4, [], 0);
        let mut tried = 0;
        while eyeballs.next(1_000_000).is_some() {
            eyeballs.failed();
            tried += 1;
        }
        assert_eq!(tried, MAX_ADDRESSES);
        assert!(eyeballs.is_hopeless());
    }
}
