//! What the library promises, one test for each promise, over every transport, at every chunk size and with
//! `WouldBlock` at every position. The result never depends on how bytes were cut: `everywhere` compares.

mod common;

#[path = "promises/closing.rs"]
mod closing;
#[path = "promises/configuration.rs"]
mod configuration;
#[path = "promises/deadlines.rs"]
mod deadlines;
#[path = "promises/deflate.rs"]
mod deflate;
#[path = "promises/fragments.rs"]
mod fragments;
#[path = "promises/handshake.rs"]
mod handshake;
#[path = "promises/limits.rs"]
mod limits;
#[path = "promises/reading.rs"]
mod reading;
#[path = "promises/violations.rs"]
mod violations;
#[path = "promises/writing.rs"]
mod writing;
