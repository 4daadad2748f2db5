//! What the library asks of a platform. Each has a file of its own here; the rest of the crate knows none of them.

mod unix;

pub use unix::*;
