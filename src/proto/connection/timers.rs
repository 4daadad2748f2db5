//! What is due when: Pings, and the deadlines after which a connection is given up.

use super::{Connection, Phase};
use crate::error::{Deadline, Error, Result};
use crate::proto::deadline::{Dating, Due, NEVER, Stage};

impl Connection {
    /// Takes the time, in milliseconds on any clock that does not go backwards, and does all that is due: sends a Ping,
    /// or ends the connection with [`Error::Timeout`].
    pub fn tick(&mut self, now: u64) -> Result<()> {
        self.deadlines.set_now(now, self.dating(), self.sender.has_frames_waiting());
        while let Some(due) = self.deadlines.due(self.phase.stage(), &self.config) {
            match due {
                Due::Ping => self.sender.queue_urgent_ping(&self.deadlines.ping_payload())?,
                // Both Closes have passed, or the connection has failed already: its end just need not be waited for.
                Due::Expired(_) if self.phase.ignores_input() => self.phase = Phase::Over,
                Due::Expired(deadline) => return Err(self.give_up_waiting(deadline)),
            }
        }
        Ok(())
    }

    /// Takes the time. Whether the connection would now be given up for the silence of its peer: what lies in the transport
    /// is to be received before [`tick`](Self::tick).
    pub fn would_judge_silence(&mut self, now: u64) -> bool {
        self.deadlines.set_now(now, self.dating(), self.sender.has_frames_waiting());
        self.deadlines.silence(self.phase.stage(), &self.config) <= now
    }

    /// Something has arrived that there is no room for.
    pub fn peer_is_alive(&mut self) {
        self.deadlines.received();
    }

    /// A deadline has passed: ends the connection.
    pub fn give_up_waiting(&mut self, deadline: Deadline) -> Error {
        if let Some(refusal) = self.refusal_cut_short() {
            let error = self.handshake_failed(refusal);
            self.phase = Phase::Over;
            return error;
        }
        // Later on there is nobody to hear last words, and none get through to a peer that takes no bytes.
        let is_silence = matches!(deadline, Deadline::Pong | Deadline::Idle);
        let takes_nothing = is_silence && self.sender.has_frames_waiting();
        let has_last_words = self.phase.is_open() && !takes_nothing;
        self.end_handshake();
        let error = self.fail(Error::Timeout(deadline));
        if !has_last_words && matches!(self.phase, Phase::Failed) {
            self.phase = Phase::Over;
        }
        error
    }

    /// Deadlines that nobody looked at so far run from `now` on.
    pub fn start_clock(&mut self, now: u64) {
        self.deadlines.restart(now);
    }

    /// How long the peer took to answer the Ping of `ping_interval` last, in
    /// milliseconds.
    pub fn latency(&self) -> Option<u64> {
        self.deadlines.latency()
    }

    /// Whether there is any deadline to run: without one the time need not be asked for.
    #[inline]
    pub fn needs_clock(&self) -> bool {
        !self.phase.is_open() || self.config.ping_interval.is_some() || self.config.idle_timeout.is_some()
    }

    /// When [`tick`](Self::tick) has something to do next, or `NEVER`.
    pub fn next_deadline(&self) -> u64 {
        match self.phase.stage() {
            Stage::Over => NEVER,
            stage => self.deadlines.next(stage, &self.config),
        }
    }

    fn dating(&self) -> Dating {
        if self.over_socket { Dating::Back } else { Dating::Ahead }
    }
}
