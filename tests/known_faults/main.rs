//! Faults of the Rust side that are known and not fixed yet: see README.md. There are none.
