//! The library's own clock: milliseconds that never go backwards, counted from its first use.

use crate::proto::deadline::NEVER;
use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The time now, in milliseconds.
pub(crate) fn now_ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as u64
}

/// The time at which a piece of work began, asked for where that matters.
#[derive(Debug, Default)]
pub(crate) struct Now(Cell<Option<u64>>);

impl Now {
    /// In milliseconds, as [`now_ms`].
    pub(crate) fn ms(&self) -> u64 {
        let now = self.0.get().unwrap_or_else(now_ms);
        self.0.set(Some(now));
        now
    }
}

/// The time after a wait that begins now; [`NEVER`] without one.
pub(crate) fn after(wait: Option<Duration>) -> u64 {
    wait.and_then(|wait| u64::try_from(wait.as_millis()).ok())
        .map_or(NEVER, |wait| now_ms().saturating_add(wait))
}

/// That time as one of the system's; `None` for [`NEVER`].
pub(crate) fn instant_of(ms: u64) -> Option<Instant> {
    match ms {
        NEVER => None,
        ms => Instant::now().checked_add(Duration::from_millis(ms.saturating_sub(now_ms()))),
    }
}
