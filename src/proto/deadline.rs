//! When patience ends: the deadlines of a connection, on a clock in milliseconds that is handed in. Knows times, not
//! what is done about them.

use crate::config::WebSocketConfig;
use crate::error::Deadline;
use std::time::Duration;

/// The time at which nothing is due.
pub(crate) const NEVER: u64 = u64::MAX;

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
pub(crate) enum Due {
    /// Send a Ping.
    Ping,
    /// Give up.
    Expired(Deadline),
}

/// When bytes that arrived, or that the transport took, since the last time was handed in count as having done so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dating {
    /// At that time: it is handed in right before bytes are moved, by whoever moves them.
    Back,
    /// At the next time that is handed in: the caller moves bytes, then hands the time in.
    Ahead,
}

/// See the module.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Deadlines {
    /// The newest time handed in, and whether there was one.
    now: Option<u64>,
    /// Since when the stage has lasted.
    stage_since: u64,
    stage: Option<Stage>,
    last_received: u64,
    /// When the transport last took bytes that had been waiting for it.
    last_progress: u64,
    /// Bytes have arrived that have no date yet.
    received: bool,
    /// The transport has taken bytes that had been waiting, without a date yet.
    progressed: bool,
    /// Bytes waited for the transport when the last time was handed in.
    output_waited: bool,
    last_ping: u64,
    /// Its answer has not come.
    awaits_pong: bool,
    /// How long the answer to a Ping took last.
    latency: Option<u64>,
    /// When the first Ping fell due since something last arrived.
    unanswered_since: Option<u64>,
}

impl Deadlines {
    /// The newest time handed in.
    pub(crate) fn now(&self) -> Option<u64> {
        self.now
    }

    /// Takes the time, and whether frames wait for the transport (a Ping that has just become due is none). A clock that goes backwards stands still.
    pub(crate) fn set_now(&mut self, now: u64, dating: Dating, output_waits: bool) {
        let before = self.now.unwrap_or(now);
        let now = now.max(before);
        if self.now.is_none() {
            (self.stage_since, self.last_received, self.last_ping) = (now, now, now);
        }
        self.now = Some(now);
        self.date(if dating == Dating::Back { before } else { now });
        self.output_waited = output_waits;
    }

    /// The clock starts again after nobody looked at it: nothing is late.
    pub(crate) fn restart(&mut self, now: u64) {
        self.set_now(now, Dating::Ahead, false);
        (self.last_received, self.last_ping, self.unanswered_since) = (now, now, None);
    }

    /// What is in the Ping that has become due.
    pub(crate) fn ping_payload(&self) -> [u8; 8] {
        self.last_ping.to_be_bytes()
    }

    /// A Pong has arrived. One that answers the newest Ping tells how long that took.
    pub(crate) fn received_pong(&mut self, payload: &[u8]) {
        if let Some(now) = self.now
            && self.awaits_pong
            && payload == self.ping_payload()
        {
            self.awaits_pong = false;
            self.latency = Some(now.saturating_sub(self.last_ping));
        }
    }

    /// How long the answer to a Ping took last, in milliseconds.
    pub(crate) fn latency(&self) -> Option<u64> {
        self.latency
    }

    /// Bytes have arrived: the peer lives.
    #[inline(always)]
    pub(crate) fn received(&mut self) {
        self.received = true;
    }

    /// The transport has taken bytes that had been waiting for it: the peer lives, though it may not have seen a Ping.
    #[inline(always)]
    pub(crate) fn progressed(&mut self) {
        self.progressed = true;
    }

    /// The first thing that is due now. A Ping is counted as sent. Ask again until there is nothing.
    pub(crate) fn due(&mut self, stage: Stage, config: &WebSocketConfig) -> Option<Due> {
        self.enter(stage);
        let now = self.now?;
        let (at, due) = self.first(config);
        if at > now || at == NEVER {
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
    pub(crate) fn next(&self, stage: Stage, config: &WebSocketConfig) -> u64 {
        let at = self.at(stage).first(config).0;
        if self.now.is_none() && at != NEVER { 0 } else { at }
    }

    /// When the connection would be given up for the silence of its peer, or [`NEVER`].
    pub(crate) fn silence(&self, stage: Stage, config: &WebSocketConfig) -> u64 {
        match stage {
            Stage::Open => self.at(stage).idle(config).min(self.at(stage).pong(config)),
            _ => NEVER,
        }
    }

    /// How it will be in this stage, with a date for everything.
    fn at(mut self, stage: Stage) -> Self {
        self.enter(stage);
        self.date(self.now.unwrap_or_default());
        self
    }

    fn date(&mut self, at: u64) {
        if std::mem::take(&mut self.received) {
            (self.last_received, self.unanswered_since) = (at, None);
        }
        // A Ping that leaves as soon as it is due says nothing about the peer.
        if std::mem::take(&mut self.progressed) && self.output_waited {
            self.last_progress = at;
        }
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

    /// What comes first in the stage that has been entered.
    fn first(&self, config: &WebSocketConfig) -> (u64, Due) {
        let never = (NEVER, Due::Ping);
        match self.stage {
            Some(Stage::Opening) => {
                (after(self.stage_since, config.handshake_timeout), Due::Expired(Deadline::Handshake))
            }
            Some(Stage::Closing) => {
                (after(self.stage_since, config.close_timeout), Due::Expired(Deadline::Close))
            }
            Some(Stage::Open) => {
                let pong = (self.pong(config), Due::Expired(Deadline::Pong));
                let idle = (self.idle(config), Due::Expired(Deadline::Idle));
                let ping = (after(self.last_ping, config.ping_interval), Due::Ping);
                [pong, idle, ping].into_iter().min_by_key(|(at, _)| *at).unwrap_or(never)
            }
            Some(Stage::Over) | None => never,
        }
    }

    fn idle(&self, config: &WebSocketConfig) -> u64 {
        after(self.last_received, config.idle_timeout)
    }

    /// A Ping cannot leave amid a frame, and an upload that makes progress, however slowly, has a peer that lives.
    fn pong(&self, config: &WebSocketConfig) -> u64 {
        match self.unanswered_since {
            Some(since) if config.ping_interval.is_some() => {
                after(since.max(self.last_progress), config.pong_timeout)
            }
            _ => NEVER,
        }
    }
}

fn after(since: u64, wait: Option<Duration>) -> u64 {
    match wait {
        Some(wait) => since.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(NEVER)),
        None => NEVER,
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
        deadlines.set_now(1_000_000, Dating::Back, false);
        assert_eq!(deadlines.due(Stage::Opening, &config()), None);
        assert_eq!(deadlines.next(Stage::Opening, &config()), 1_000_100);
        deadlines.set_now(1_000_100, Dating::Back, false);
        assert_eq!(deadlines.due(Stage::Opening, &config()), Some(Due::Expired(Deadline::Handshake)));
    }

    #[test]
    fn a_ping_goes_out_each_interval_and_silence_after_it_expires() {
        let mut deadlines = Deadlines::default();
        deadlines.set_now(0, Dating::Back, false);
        assert_eq!(deadlines.due(Stage::Open, &config()), None);
        deadlines.set_now(1000, Dating::Back, false);
        assert_eq!(deadlines.due(Stage::Open, &config()), Some(Due::Ping));
        assert_eq!(deadlines.next(Stage::Open, &config()), 1200);
        deadlines.received();
        assert_eq!(deadlines.next(Stage::Open, &config()), 2000);
        deadlines.set_now(2000, Dating::Back, false);
        assert_eq!(deadlines.due(Stage::Open, &config()), Some(Due::Ping));
        deadlines.set_now(2200, Dating::Back, false);
        assert_eq!(deadlines.due(Stage::Open, &config()), Some(Due::Expired(Deadline::Pong)));
    }

    #[test]
    fn the_answer_to_the_newest_ping_tells_the_latency() {
        let mut deadlines = Deadlines::default();
        deadlines.set_now(0, Dating::Back, false);
        deadlines.received_pong(&0u64.to_be_bytes());
        assert_eq!(deadlines.latency(), None, "nobody asked");
        deadlines.due(Stage::Open, &config());
        deadlines.set_now(1000, Dating::Back, false);
        assert_eq!(deadlines.due(Stage::Open, &config()), Some(Due::Ping));
        let payload = deadlines.ping_payload();
        deadlines.set_now(1030, Dating::Back, false);
        deadlines.received_pong(b"something");
        assert_eq!(deadlines.latency(), None);
        deadlines.received_pong(&payload);
        deadlines.set_now(1090, Dating::Back, false);
        deadlines.received_pong(&payload);
        assert_eq!(deadlines.latency(), Some(30));
    }

    #[test]
    fn a_clock_that_nobody_looked_at_makes_nothing_late() {
        let mut deadlines = Deadlines::default();
        deadlines.set_now(0, Dating::Back, false);
        deadlines.due(Stage::Open, &config());
        deadlines.restart(1_000_000);
        assert_eq!(deadlines.due(Stage::Open, &config()), None);
        assert_eq!(deadlines.next(Stage::Open, &config()), 1_001_000);
    }

    #[test]
    fn nothing_received_for_too_long_expires() {
        let config = WebSocketConfig { ping_interval: None, ..config() };
        let mut deadlines = Deadlines::default();
        deadlines.set_now(10, Dating::Back, false);
        deadlines.due(Stage::Open, &config);
        deadlines.set_now(4000, Dating::Back, false);
        deadlines.received();
        deadlines.set_now(5010, Dating::Back, false);
        assert_eq!(deadlines.due(Stage::Open, &config), None);
        deadlines.set_now(9000, Dating::Back, false);
        assert_eq!(deadlines.due(Stage::Open, &config), Some(Due::Expired(Deadline::Idle)));
    }

    #[test]
    fn a_clock_that_goes_backwards_stands_still() {
        let mut deadlines = Deadlines::default();
        deadlines.set_now(1000, Dating::Back, false);
        deadlines.set_now(5, Dating::Back, false);
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
        deadlines.set_now(u64::MAX - 1, Dating::Back, false);
        for stage in [Stage::Opening, Stage::Open, Stage::Closing, Stage::Over] {
            assert_eq!(deadlines.due(stage, &config), None);
            assert_eq!(deadlines.next(stage, &config), NEVER);
        }
    }

    #[test]
    fn what_arrived_since_the_last_time_counts_from_then_or_from_the_next_one() {
        let config = WebSocketConfig { ping_interval: None, ..config() };
        for (dating, date) in [(Dating::Back, 0), (Dating::Ahead, 5500)] {
            let mut deadlines = Deadlines::default();
            deadlines.set_now(0, dating, false);
            assert_eq!(deadlines.due(Stage::Open, &config), None);
            deadlines.received();
            deadlines.set_now(5500, dating, false);
            assert_eq!(deadlines.next(Stage::Open, &config), date + 5000, "{dating:?}");
        }
    }

    #[test]
    fn an_upload_that_makes_progress_puts_off_the_end_of_patience_for_a_pong() {
        let mut deadlines = Deadlines::default();
        deadlines.set_now(0, Dating::Back, false);
        deadlines.due(Stage::Open, &config());
        deadlines.set_now(1000, Dating::Back, true);
        assert_eq!(deadlines.due(Stage::Open, &config()), Some(Due::Ping));
        assert_eq!(deadlines.silence(Stage::Open, &config()), 1200);
        deadlines.set_now(1150, Dating::Back, true);
        deadlines.progressed();
        assert_eq!(deadlines.next(Stage::Open, &config()), 1350);
        deadlines.set_now(1349, Dating::Back, false);
        assert_eq!(deadlines.due(Stage::Open, &config()), None);
        deadlines.set_now(1350, Dating::Back, false);
        assert_eq!(deadlines.due(Stage::Open, &config()), Some(Due::Expired(Deadline::Pong)));
    }

    #[test]
    fn all_that_is_due_comes_one_by_one() {
        let mut deadlines = Deadlines::default();
        deadlines.set_now(0, Dating::Back, false);
        assert_eq!(deadlines.due(Stage::Open, &config()), None);
        deadlines.set_now(5000, Dating::Back, false);
        assert_eq!(deadlines.due(Stage::Open, &config()), Some(Due::Ping));
        assert_eq!(deadlines.due(Stage::Open, &config()), Some(Due::Expired(Deadline::Idle)));
    }
}
