//! The closing state machine (RFC 6455 sections 5.5.1 and 7): who has said Close, who may still do what, and when the
//! connection is over. Knows no bytes.

use crate::message::Role;

/// How far the closing handshake has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Nobody has said Close.
    #[default]
    Active,
    /// We have, the peer has not: it may still send.
    ClosedByUs,
    /// The peer has, and our answer is queued.
    ClosedByPeer,
    /// The peer has answered our Close.
    CloseAcknowledged,
    /// The stream takes nothing any more, and whoever was sending knows. What has arrived is still to be read.
    SendFailed,
    /// We gave the connection up: a rule was broken, the stream failed, a deadline passed.
    Failed,
    /// The end has been reported.
    Terminated,
}

impl State {
    /// Whether messages of the peer are still looked at.
    #[inline]
    pub fn can_read(self) -> bool {
        matches!(self, State::Active | State::ClosedByUs | State::SendFailed)
    }

    /// Whether messages are still taken for sending.
    #[inline]
    pub fn can_write(self) -> bool {
        self == State::Active
    }

    /// Our Close has been queued.
    #[must_use]
    pub fn after_our_close(self) -> Self {
        if self == State::Active { State::ClosedByUs } else { self }
    }

    /// A Close has arrived.
    #[must_use]
    pub fn after_their_close(self) -> Self {
        match self {
            State::Active => State::ClosedByPeer,
            State::ClosedByUs => State::CloseAcknowledged,
            State::SendFailed => State::Failed,
            other => other,
        }
    }

    /// Whether the stream can be dropped, given what is known of it. The server ends the TCP connection once both
    /// Closes have passed; the client waits for that (RFC 6455 section 7.1.1). A failed connection ends, on either
    /// side, as soon as its last words are out.
    pub fn is_over(self, role: Role, all_sent: bool, stream_ended: bool) -> bool {
        match self {
            State::Active | State::ClosedByUs | State::SendFailed => false,
            State::ClosedByPeer | State::CloseAcknowledged => match role {
                Role::Server => all_sent,
                Role::Client => stream_ended,
            },
            State::Failed => all_sent,
            State::Terminated => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::State::*;
    use super::*;

    #[test]
    fn reading_goes_on_after_our_close_or_a_failed_write_and_writing_after_none() {
        assert!(Active.can_read() && Active.can_write());
        for state in [ClosedByUs, SendFailed] {
            assert!(state.can_read() && !state.can_write());
        }
        for state in [ClosedByPeer, CloseAcknowledged, Failed, Terminated] {
            assert!(!state.can_read() && !state.can_write());
        }
    }

    #[test]
    fn both_orders_of_the_closes_complete_the_handshake() {
        assert_eq!(Active.after_our_close().after_their_close(), CloseAcknowledged);
        assert_eq!(Active.after_their_close().after_our_close(), ClosedByPeer);
        assert_eq!(CloseAcknowledged.after_their_close(), CloseAcknowledged);
    }

    #[test]
    fn the_server_ends_first_and_the_client_waits_for_it() {
        for state in [ClosedByPeer, CloseAcknowledged] {
            assert!(state.is_over(Role::Server, true, false));
            assert!(
                !state.is_over(Role::Server, false, true),
                "the answer may still reach a half-closed peer"
            );
            assert!(!state.is_over(Role::Client, true, false));
            assert!(state.is_over(Role::Client, true, true));
        }
        for role in [Role::Server, Role::Client] {
            assert!(!ClosedByUs.is_over(role, true, true));
            assert!(!SendFailed.is_over(role, true, true));
            assert!(Failed.is_over(role, true, false));
            assert!(!Failed.is_over(role, false, false));
        }
    }
}
