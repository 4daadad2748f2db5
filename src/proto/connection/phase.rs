//! Where a connection is between its first byte and its end, and what may still be done there (RFC 6455 sections 5.5.1
//! and 7). Knows no bytes.
//!
//! ```text
//!  Opening ──► Open ──┬──► CloseSent ──────┬──► ClosesExchanged ──┐
//!     │         │     ├──► CloseReceived ──┼──────────────────────┼──► Over ──► Ended
//!     │         │     └──► SendFailed ─────┤                      │
//!     └─────────┴──────────────────────────┴──► Failed ───────────┘
//! ```
//!
//! `Ended` can also come at once, where the end of the stream is itself what is told.

use crate::message::Role;
use crate::proto::deadline::Stage;
use crate::proto::handshake::Handshake;

/// See the module.
#[derive(Debug)]
pub enum Phase {
    /// The opening handshake is going on.
    Opening(Box<Handshake>),
    /// Messages flow both ways: nobody has said Close.
    Open,
    /// We have said Close, the peer has not: it may still send.
    CloseSent,
    /// The peer has said Close, and our answer is queued.
    CloseReceived,
    /// The peer has answered our Close.
    ClosesExchanged,
    /// The stream takes nothing any more, and whoever was sending knows. What has arrived is still to be read.
    SendFailed,
    /// We gave the connection up: a rule was broken, the stream failed, a deadline passed. Last words may have to leave.
    Failed,
    /// Nothing is waited for any more. That the connection is over has not been told yet.
    Over,
    /// It has been told.
    Ended,
}

/// What a parked connection is in.
pub(crate) static OPEN: Phase = Phase::Open;

impl Phase {
    /// Whether messages flow both ways.
    #[inline]
    pub fn is_open(&self) -> bool {
        matches!(self, Phase::Open)
    }

    /// Whether the opening handshake is going on.
    #[inline]
    pub fn is_opening(&self) -> bool {
        matches!(self, Phase::Opening(_))
    }

    /// Whether a server has a request to decide on.
    pub fn awaits_decision(&self) -> bool {
        matches!(self, Phase::Opening(handshake) if handshake.awaits_decision())
    }

    /// Whether messages of the peer may still come.
    #[inline]
    pub fn can_read(&self) -> bool {
        matches!(self, Phase::Open | Phase::CloseSent | Phase::SendFailed)
    }

    /// Whether messages may still be sent.
    #[inline]
    pub fn can_write(&self) -> bool {
        self.is_open()
    }

    /// Whether nothing that still arrives is looked at: after a Close of the peer, or a failure.
    #[inline]
    pub fn ignores_input(&self) -> bool {
        match self {
            Phase::Opening(_) | Phase::Open | Phase::CloseSent | Phase::SendFailed => false,
            Phase::CloseReceived | Phase::ClosesExchanged | Phase::Failed | Phase::Over | Phase::Ended => {
                true
            }
        }
    }

    /// Whether bytes of the peer make a difference, or the end of its stream. Not while a request waits to be decided on.
    pub fn wants_bytes(&self, role: Role) -> bool {
        match self {
            Phase::Opening(_) => !self.awaits_decision(),
            Phase::Open | Phase::CloseSent | Phase::SendFailed => true,
            Phase::CloseReceived | Phase::ClosesExchanged => role == Role::Client,
            Phase::Failed | Phase::Over | Phase::Ended => false,
        }
    }

    /// Whether all that may be sent has been queued: nothing follows the last of it.
    #[inline]
    pub fn has_said_all(&self) -> bool {
        !matches!(self, Phase::Opening(_) | Phase::Open)
    }

    /// Whether nothing can be sent any more, and nobody need wait for it.
    pub fn has_failed(&self) -> bool {
        matches!(self, Phase::SendFailed | Phase::Failed | Phase::Over | Phase::Ended)
    }

    /// Which deadlines run.
    pub fn stage(&self) -> Stage {
        match self {
            Phase::Opening(_) => Stage::Opening,
            Phase::Open => Stage::Open,
            Phase::CloseSent | Phase::CloseReceived | Phase::ClosesExchanged | Phase::Failed => {
                Stage::Closing
            }
            Phase::SendFailed | Phase::Over | Phase::Ended => Stage::Over,
        }
    }

    /// Whether the stream can be dropped, which has not been told yet, given what is known of it. The server ends the TCP
    /// connection once both Closes have passed; the client waits for that (RFC 6455 section 7.1.1). A failed connection
    /// ends, on either side, as soon as its last words are out.
    pub fn is_over(&self, role: Role, all_sent: bool, stream_ended: bool) -> bool {
        match self {
            Phase::Opening(_) | Phase::Open | Phase::CloseSent | Phase::SendFailed | Phase::Ended => false,
            Phase::CloseReceived | Phase::ClosesExchanged => match role {
                Role::Server => all_sent,
                Role::Client => stream_ended,
            },
            Phase::Failed => all_sent,
            Phase::Over => true,
        }
    }

    /// Our Close has been queued.
    pub fn sent_close(&mut self) {
        if self.is_open() {
            *self = Phase::CloseSent;
        }
    }

    /// A Close has arrived, and where it is the first one its answer has been queued.
    pub fn received_close(&mut self) {
        match self {
            Phase::Open => *self = Phase::CloseReceived,
            Phase::CloseSent => *self = Phase::ClosesExchanged,
            Phase::SendFailed => *self = Phase::Failed,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Phase::*;
    use super::*;

    fn all_but_opening() -> [Phase; 8] {
        [Open, CloseSent, CloseReceived, ClosesExchanged, SendFailed, Failed, Over, Ended]
    }

    /// By their names, which are all there is to them.
    fn names(phases: impl IntoIterator<Item = Phase>) -> Vec<String> {
        phases.into_iter().map(|phase| format!("{phase:?}")).collect()
    }

    fn those(which: impl Fn(&Phase) -> bool) -> Vec<String> {
        names(all_but_opening().into_iter().filter(which))
    }

    #[test]
    fn reading_goes_on_after_our_close_or_a_failed_write_and_writing_after_none() {
        assert_eq!(those(Phase::can_write), names([Open]));
        assert_eq!(those(Phase::can_read), names([Open, CloseSent, SendFailed]));
        assert_eq!(those(|phase| !phase.ignores_input()), those(Phase::can_read));
    }

    #[test]
    fn both_orders_of_the_closes_complete_the_handshake() {
        let after = |mut phase: Phase, closes: [fn(&mut Phase); 2]| {
            closes.into_iter().for_each(|close| close(&mut phase));
            format!("{phase:?}")
        };
        assert_eq!(after(Open, [Phase::sent_close, Phase::received_close]), "ClosesExchanged");
        assert_eq!(after(Open, [Phase::received_close, Phase::sent_close]), "CloseReceived");
        assert_eq!(after(SendFailed, [Phase::received_close, Phase::received_close]), "Failed");
        for ended in [Failed, Over, Ended] {
            let name = format!("{ended:?}");
            assert_eq!(after(ended, [Phase::sent_close, Phase::received_close]), name);
        }
    }

    #[test]
    fn the_server_ends_first_and_the_client_waits_for_it() {
        let over = |role, all_sent, ended| those(|phase| phase.is_over(role, all_sent, ended));
        assert_eq!(over(Role::Server, false, false), names([Over]));
        // The answer may still reach a peer that has closed its half.
        assert_eq!(over(Role::Server, false, true), names([Over]));
        assert_eq!(over(Role::Server, true, false), names([CloseReceived, ClosesExchanged, Failed, Over]));
        assert_eq!(over(Role::Client, true, false), names([Failed, Over]));
        assert_eq!(over(Role::Client, true, true), names([CloseReceived, ClosesExchanged, Failed, Over]));
    }

    #[test]
    fn a_client_waits_for_the_end_of_the_stream_and_a_server_does_not() {
        let wants = |role| those(|phase| phase.wants_bytes(role));
        assert_eq!(wants(Role::Server), those(Phase::can_read));
        let waiting = names([Open, CloseSent, CloseReceived, ClosesExchanged, SendFailed]);
        assert_eq!(wants(Role::Client), waiting);
    }

    #[test]
    fn deadlines_run_until_nothing_is_waited_for() {
        assert_eq!(those(|phase| phase.stage() == Stage::Over), names([SendFailed, Over, Ended]));
        assert_eq!(those(|phase| phase.stage() == Stage::Open), names([Open]));
    }
}
