//! Every constant that decides how much memory is used at once, or how bytes are cut: each was measured.

use std::ops::RangeInclusive;

/// From this length on, in bytes, payload is moved without a copy in between: received straight into its message, or sent
/// right from the caller's memory beside other messages. Below it, a copy costs less than another piece.
pub(crate) const DIRECT: usize = 4 << 10;
/// No more memory of one buffer is kept for the next connection that needs some.
pub(crate) const REUSED: usize = LARGEST_INPUT;

/// First size of the receive buffer; doubled whenever a read fills it.
pub(crate) const SMALLEST_INPUT: usize = 4 << 10;
/// First size of the receive buffer for a thing that must be in it whole, an HTTP head: most are shorter.
pub(crate) const SMALLEST_HEAD: usize = 1 << 10;
/// The receive buffer is no larger by itself; only an HTTP head may need more.
pub(crate) const LARGEST_INPUT: usize = 128 << 10;
/// So few bytes are moved to the front of it without a second thought: a partial frame header or control frame.
pub(crate) const FEW: usize = 256;
/// Where frames of one length follow one another, whole ones are received, as many as fit into this: more would not be in
/// the cache still when it is their turn (1.9 times the time for frames of 16 KiB).
pub(crate) const FRAMES: usize = 32 << 10;
/// The same where each receiving is a system call, which costs more than that: four of 16 KiB (0.8 times the time).
pub(crate) const FRAMES_OF_SOCKET: usize = 66 << 10;
/// Bounds of how much room for a message is made ahead of the bytes that arrive.
pub(crate) const AHEAD: RangeInclusive<usize> = 16 << 10..=128 << 10;
/// What is masked is received in pieces of this size, so that each is in the cache still when it is unmasked: 0.8 to 0.9 times
/// the time for 16 MiB. Half of it is 1.1 times the time for 1 MiB, for memory is copied faster from a MiB on.
pub(crate) const RECEIVED_PIECE: usize = 1 << 20;
/// The same where each receiving is a system call, which finds no more there (0.8 times the time for 8 MiB over TCP). Smaller
/// ones are more system calls (16 KiB: 1.5 times the time for 1 MiB). To validate text takes so much longer that pieces are
/// no help there.
pub(crate) const RECEIVED_PIECE_OF_SOCKET: usize = 128 << 10;
/// Payloads are unmasked and validated in steps of this size, so that the second pass finds them in the cache: 0.95 times the
/// time of smaller ones, and of none, for a MiB.
pub(crate) const STEP: usize = 256 << 10;
/// Least room for what is inflated, and most of it that is handed out as one part.
pub(crate) const INFLATED: RangeInclusive<usize> = 1 << 10..=64 << 10;
/// Room behind an inflated message of the same length as the last one, so that it shows that it is over.
pub(crate) const SPARE: usize = 64;

/// A fragment of fewer bytes takes longer than they are worth.
pub(crate) const SHORT_FRAGMENT: u64 = 64;
/// So many compressed bytes that give nothing take as long as a frame that gives none: 16 ns a byte for empty blocks.
pub(crate) const BARREN: u32 = 4;
/// And so many that are kept for a message: 64 MiB are let in before the caller has a turn.
pub(crate) const KEPT: usize = 4 << 10;

/// Sizes of the blocks that small frames are gathered in.
pub(crate) const BLOCK: RangeInclusive<usize> = 1 << 10..=64 << 10;
/// Longer payloads are masked and sent in pieces, which stay in the cache in between: a third of the time for 16 MiB in memory,
/// 0.8 for 8 MiB over TCP. Smaller ones are more system calls (64 KiB: 1.2 times the time for 1 MiB).
pub(crate) const SENT_PIECE: usize = 256 << 10;
/// Pongs that wait, in bytes: a burst of Pings is answered one by one. Where more come than leave, only the newest
/// Pong is kept (RFC 6455 section 5.5.3).
pub(crate) const BURST: usize = 4 << 10;
