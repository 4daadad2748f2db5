//! Loops over many bytes at once, in variants for particular processors. The one place in `proto` with `unsafe`. Knows
//! bytes and masking keys; must not know what they are part of.

pub mod mask;
pub mod scan;
