//! Loops over many bytes at once, in variants for particular processors. The one place in `proto` with `unsafe`. Knows
//! bytes and masking keys; must not know what they are part of. What the keys need to know of a fork() is here, too.

pub mod mask;
pub mod process;
pub mod scan;
