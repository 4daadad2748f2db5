//! Loops over many bytes at once, in variants for particular processors. Knows bytes and masking
//! keys; must not know what they are part of. `unsafe` is for instructions that not every processor has.

pub(crate) mod mask;
pub(crate) mod scan;
