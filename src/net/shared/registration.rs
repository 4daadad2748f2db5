//! A connection's place in a poller. Knows pollers by their registries.

use crate::net::pool::Pool;
use crate::net::registry::{Key, Registry, SourceStatus};
use crate::sys::Watch;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) poller: Arc<Registry>,
    pub(super) key: Key,
    pub(super) watch: Watch,
    /// When the poller will look by itself, at the latest.
    pub(super) due: u64,
    /// The poller will look again in any case: it has reported the connection, or has been told to.
    pub(super) awaits_look: bool,
    /// Input is not reported for now.
    pub(super) is_paused: bool,
    /// A thread is about to take the connection out of the poller.
    pub(super) is_leaving: bool,
}

impl Registration {
    /// Tells the poller to look, and how the connection is, should it be busy then.
    pub(super) fn mark_dirty(&mut self, status: SourceStatus) {
        (self.awaits_look, self.due) = (true, status.due);
        self.poller.mark_dirty(self.key, status);
    }

    pub(super) fn pool(&self) -> &Pool {
        self.poller.pool()
    }
}
