//! The library's own clock: milliseconds that never go backwards, counted from its first use.

use std::sync::OnceLock;
use std::time::Instant;

/// The time now, in milliseconds.
pub fn now_ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as u64
}
