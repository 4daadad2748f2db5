//! TLS over a socket: what it is configured with, the handshake, records in both directions.
//!
//! Knows rustls and sockets. Must not know what travels inside, C, or who waits for what: nothing here blocks, and the
//! TLS handshake runs within reads and writes. `options` makes sessions of a configuration, `session` is one, `verify`
//! decides about certificates, `describe` says in a sentence why a session failed. A build without the feature `tls` has
//! `none.rs` in this place, with the same names.

mod describe;
#[cfg(any(test, roots_in_folders))]
mod folders;
mod options;
mod session;
#[cfg(test)]
mod tests;
mod verify;

pub(crate) use self::options::{ClientTls, ServerTls, TlsOptions};
pub(crate) use self::session::Tls;
