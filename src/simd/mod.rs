//! Loops over many bytes at once, in variants for particular processors. Knows bytes and masking
//! keys; must not know what they are part of. `unsafe` is for instructions that not every processor has.

pub mod mask;
pub mod scan;
