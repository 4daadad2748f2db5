//! When patience ends: the deadlines of a connection, on a clock in milliseconds that is handed in. Knows times, not
//! what is done about them.

use crate::config::WebSocketConfig;
use crate::error::Deadline;
use std::time::Duration;

/// The time at which nothing is due.
pub const NEVER: u64 = u64::MAX;

/// Which deadlines can run, given how far the connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The opening handshake.
    Opening,
    /// Messages flow.
    Open,
    /// A Close has been sent or received.
    Closing,
    /// Nothing is waited for.
    Over,
}

/// What has become due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Send a Ping.
    Ping,
    /// Give up.
    Expired(Deadline),
}

/// See the module.
#[derive(Debug, Default)]
pub struct Deadlines {
    /// The newest time handed in, and whether there was one.
    now: Option<u64>,
    /// Since when the stage has lasted.
    stage_since: u64,
    stage: Option<Stage>,
    last_received: u64,
    last_ping: u64,
    /// Its answer has not come.
    awaits_pong: bool,
    /// How long the answer to a Ping took last.
    latency: Option<u64>,
    /// When the first Ping went out since something last arrived.
    unanswered_since: Option<u64>,
}

impl Deadlines {
    /// The newest time handed in.
    pub fn now(&self) -> Option<u64> {
        self.now
    }

    /// Takes the time. A clock that goes backwards stands still.
    pub fn set_now(&mut self, now: u64) {
        match self.now {
            None => {
                (self.stage_since, self.last_received, self.last_ping, self.now) = (now, now, now, Some(now))
            }
            Some(before) => self.now = Some(now.max(before)),
        }
    }

    /// The clock starts again after nobody looked at it: nothing is late.
    pub fn restart(&mut self, now: u64) {
        self.set_now(now);
        (self.last_received, self.last_ping, self.unanswered_since) = (now, now, None);
    }

    /// What is in the Ping that has become due.
    pub fn ping_payload(&self) -> [u8; 8] {
        self.last_ping.to_be_bytes()
    }

    /// A Pong has arrived. One that answers the newest Ping tells how long that took.
    pub fn received_pong(&mut self, payload: &[u8]) {
        if let Some(now) = self.now
            && self.awaits_pong
            && payload == self.ping_payload()
        {
            self.awaits_pong = false;
            self.latency = Some(now.saturating_sub(self.last_ping));
        }
    }

    /// How long the answer to a Ping took last, in milliseconds.
    pub fn latency(&self) -> Option<u64> {
        self.latency
    }

    /// Bytes have arrived: the peer lives.
    pub fn received(&mut self) {
        self.last_received = self.now.unwrap_or_default();
        self.unanswered_since = None;
    }

    /// The first thing that is due now. A Ping is counted as sent.
    pub fn due(&mut self, stage: Stage, config: &WebSocketConfig) -> Option<Due> {
        self.enter(stage);
        let now = self.now?;
        let (at, due) = self.first(stage, config);
        if at > now {
            return None;
        }
        if due == Due::Ping {
            self.last_ping = now;
            self.awaits_pong = true;
            self.unanswered_since.get_or_insert(now);
        }
        Some(due)
    }

    /// When [`due`](Self::due) will have something next, or [`NEVER`]. Before a first time was handed in: at once, so
    /// that one is.
    pub fn next(&self, stage: Stage, config: &WebSocketConfig) -> u64 {
        let since = if self.stage == Some(stage) { self.stage_since } else { self.now.unwrap_or_default() };
        let mut probe = Self { stage: Some(stage), stage_since: since, ..*self };
        let at = probe.first(stage, config).0;
        if self.now.is_none() && at != NEVER { 0 } else { at }
    }

    fn enter(&mut self, stage: Stage) {
        if self.stage != Some(stage) {
            self.stage = Some(stage);
            self.stage_since = self.now.unwrap_or_default();
            if stage == Stage::Open {
                self.last_ping = self.stage_since;
            }
        }
    }

    fn first(&mut self, stage: Stage, config: &WebSocketConfig) -> (u64, Due) {
        let after = |since: u64, wait: Option<Duration>| match wait {
            Some(wait) => since.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(NEVER)),
            None => NEVER,
        };
        let handshake =
            (after(self.stage_since, config.handshake_timeout), Due::Expired(Deadline::Handshake));
        let close = (after(self.stage_since, config.close_timeout), Due::Expired(Deadline::Close));
        let idle = (after(self.last_received, config.idle_timeout), Due::Expired(Deadline::Idle));
        let ping = (after(self.last_ping, config.ping_interval), Due::Ping);
        let never = (NEVER, Due::Ping);
        let pong = match self.unanswered_since {
            Some(since) if config.ping_interval.is_some() => {
                (after(since, config.pong_timeout), Due::Expired(Deadline::Pong))
            }
            _ => never,
        };
        match stage {
            Stage::Opening => handshake,
            Stage::Closing => close,
            Stage::Open => [pong, idle, ping].into_iter().min_by_key(|(at, _)| *at).unwrap_or(never),
            Stage::Over => never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> WebSocketConfig {
        WebSocketConfig {
            handshake_timeout: Some(Duration::from_millis(100)),
            close_timeout: Some(Duration::from_millis(50)),
            ping_interval: Some(Duration::from_millis(1000)),
            pong_timeout: Some(Duration::from_millis(200)),
            idle_timeout: Some(Duration::from_millis(5000)),
            ..WebSocketConfig::default()
        }
    }

    #[test]
    fn the_first_time_handed_in_starts_the_clock() {
        let mut deadlines = Deadlines::default();
        assert_eq!(deadlines.due(Stage::Opening, &config()), None);
        assert_eq!(deadlines.next(Stage::Opening, &config()), 0);
        deadlines.set_now(1_000_000);
        assert_eq!(deadlines.due(Stage::Opening, &config()), None);
        assert_eq!(deadlines.next(Stage::Opening, &config()), 1_000_100);
        deadlines.set_now(1_000_100);
        assert_eq!(deadlines.due(Stage::Opening, &config()), Some(Due::Expired(Deadline::Handshake)));
    }

    #[test]
    fn a_ping_goes_out_each_interval_and_silence_after_it_expires() {
        let mut deadlines = Deadlines::default();
        deadlines.set_now(0);
        assert_eq!(deadlines.due(Stage::Open, &config()), None);
        deadlines.set_now(1000);
        assert_eq!(deadlines.due(Stage::Open, &config()), Some(Due::Ping));
        assert_eq!(deadlines.next(Stage::Open, &config()), 1200);
        deadlines.received();
        assert_eq!(deadlines.next(Stage::Open, &config()), 2000);
        deadlines.set_now(2000);
        assert_eq!(deadlines.due(Stage::Open, &config()), Some(Due::Ping));
        deadlines.set_now(2200);
        assert_eq!(deadlines.due(Stage::Open, &config()), Some(Due::Expired(Deadline::Pong)));
    }

    #[test]
    fn the_answer_to_the_newest_ping_tells_the_latency() {
        let mut deadlines = Deadlines::default();
        deadlines.set_now(0);
        deadlines.received_pong(&0u64.to_be_bytes());
        assert_eq!(deadlines.latency(), None, "nobody asked");
        deadlines.due(Stage::Open, &config());
        deadlines.set_now(1000);
        assert_eq!(deadlines.due(Stage::Open, &config()), Some(Due::Ping));
        let payload = deadlines.ping_payload();
        deadlines.set_now(1030);
        deadlines.received_pong(b"something");
        assert_eq!(deadlines.latency(), None);
        deadlines.received_pong(&payload);
        deadlines.set_now(1090);
        deadlines.received_pong(&payload);
        assert_eq!(deadlines.latency(), Some(30));
    }

    #[test]
    fn a_clock_that_nobody_looked_at_makes_nothing_late() {
        let mut deadlines = Deadlines::default();
        deadlines.set_now(0);
        deadlines.due(Stage::Open, &config());
        deadlines.restart(1_000_000);
        assert_eq!(deadlines.due(Stage::Open, &config()), None);
        assert_eq!(deadlines.next(Stage::Open, &config()), 1_001_000);
    }

    #[test]
    fn nothing_received_for_too_long_expires() {
        let config = WebSocketConfig { ping_interval: None, ..config() };
        let mut deadlines = Deadlines::default();
        deadlines.set_now(10);
        deadlines.due(Stage::Open, &config);
        deadlines.set_now(4000);
        deadlines.received();
        deadlines.set_now(5010);
        assert_eq!(deadlines.due(Stage::Open, &config), None);
        deadlines.set_now(9000);
        assert_eq!(deadlines.due(Stage::Open, &config), Some(Due::Expired(Deadline::Idle)));
    }

    #[test]
    fn a_clock_that_goes_backwards_stands_still() {
        let mut deadlines = Deadlines::default();
        deadlines.set_now(1000);
        deadlines.set_now(5);
        assert_eq!(deadlines.now(), Some(1000));
    }

    #[test]
    fn without_deadlines_nothing_is_ever_due() {
        let config = WebSocketConfig {
            handshake_timeout: None,
            close_timeout: None,
            ping_interval: None,
            idle_timeout: None,
            ..config()
        };
        let mut deadlines = Deadlines::default();
        deadlines.set_now(u64::MAX - 1);
        for stage in [Stage::Opening, Stage::Open, Stage::Closing, Stage::Over] {
            assert_eq!(deadlines.due(stage, &config), None);
            assert_eq!(deadlines.next(stage, &config), NEVER);
        }
    }
}
