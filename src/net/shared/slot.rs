//! A connection that is active, or what is kept of it while nothing goes on.

use super::transport::Transport;
use crate::net::pool::Active;
use crate::net::stream::Stream;
use crate::proto::connection::Parked;

/// A connection, or what is left of it while nothing goes on: most connections of a server wait, and are to cost as
/// little as can be meanwhile.
#[derive(Debug)]
pub(super) enum Slot {
    Active(Box<Active>),
    Parked(Parked),
}

#[inline(always)]
pub(super) fn can_park(transport: &Transport, active: &Active) -> bool {
    transport.stream().is_some_and(Stream::can_park) && active.driver.is_parkable()
}
