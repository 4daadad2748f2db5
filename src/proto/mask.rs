//! Masking (RFC 6455 section 5.3): the XOR, in variants for particular processors, and the keys for it.
//!
//! Knows bytes and keys only. The one place in `proto` with `unsafe`: calling a function compiled for AVX2 is
//! allowed only after that has been detected. The function bodies are plain, safe Rust that the compiler vectorises.

use crate::error::{Error, Result};
use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use std::cell::RefCell;
use std::mem::ManuallyDrop;

/// A masking key, rotated so that its first byte belongs to the next byte of payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskKey(u32);

impl MaskKey {
    /// A key that nobody can predict (RFC 6455 section 10.3), a new one at every call and no system call for most.
    pub fn random() -> Result<Self> {
        KEYS.with_borrow_mut(|generator| {
            if generator.is_none() {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).map_err(|error| Error::Io(error.into()))?;
                *generator = Some(ManuallyDrop::new(ChaCha8Rng::from_seed(seed)));
            }
            Ok(Self(generator.as_mut().map_or(0, |generator| generator.next_u32())))
        })
    }

    /// The key as it stands in the frame header.
    #[inline]
    pub fn bytes(self) -> [u8; 4] {
        self.0.to_ne_bytes()
    }

    /// The key for the bytes that follow the next `n` of the payload.
    #[inline]
    pub fn advanced(self, n: usize) -> Self {
        let bits = (n % 4) as u32 * 8;
        Self(if cfg!(target_endian = "little") {
            self.0.rotate_right(bits)
        } else {
            self.0.rotate_left(bits)
        })
    }
}

impl From<[u8; 4]> for MaskKey {
    #[inline]
    fn from(bytes: [u8; 4]) -> Self {
        Self(u32::from_ne_bytes(bytes))
    }
}

/// XORs `data` in place; returns whether the result has a byte over 127, that is, whether it is not ASCII.
#[inline(always)]
pub fn apply(data: &mut [u8], key: MaskKey) -> bool {
    #[cfg(target_arch = "x86_64")]
    if data.len() >= WIDE && is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, which is all that this function needs over its safe body.
        return unsafe { apply_avx2(data, key) };
    }
    apply_portable(data, key)
}

/// Writes the XOR of `source` to `target`, which has the same length.
#[inline]
pub fn copy(target: &mut [u8], source: &[u8], key: MaskKey) {
    #[cfg(target_arch = "x86_64")]
    if source.len() >= WIDE && is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, which is all that this function needs over its safe body.
        return unsafe { copy_avx2(target, source, key) };
    }
    copy_portable(target, source, key)
}

/// From this length on the call of a variant pays.
#[cfg(target_arch = "x86_64")]
const WIDE: usize = 64;

thread_local! {
    /// One generator a thread: handles share nothing. It has no destructor, so that the library can be unloaded.
    static KEYS: RefCell<Generator> = const { RefCell::new(None) };
}
type Generator = Option<ManuallyDrop<ChaCha8Rng>>;
const _: () = assert!(!std::mem::needs_drop::<Generator>());

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn apply_avx2(data: &mut [u8], key: MaskKey) -> bool {
    apply_blocks::<64>(data, key).unwrap_or_else(|| apply_portable(data, key))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn copy_avx2(target: &mut [u8], source: &[u8], key: MaskKey) {
    copy_blocks::<64>(target, source, key).unwrap_or_else(|| copy_portable(target, source, key))
}

#[inline(always)]
fn apply_portable(data: &mut [u8], key: MaskKey) -> bool {
    if data.len() <= 2 * SMALL {
        apply_small(data, key)
    } else {
        apply_blocks::<SMALL>(data, key).unwrap_or(true)
    }
}

#[inline(always)]
fn copy_portable(target: &mut [u8], source: &[u8], key: MaskKey) {
    if source.len() < SMALL {
        target.copy_from_slice(source);
        apply_small(target, key);
    } else {
        copy_blocks::<SMALL>(target, source, key);
    }
}

/// Up to twice so many bytes are done without a loop.
const SMALL: usize = 16;

/// At most 32 bytes: the first and the last 16, 8 or 4 of them, which may overlap: both are read before either is
/// written.
#[inline(always)]
fn apply_small(data: &mut [u8], key: MaskKey) -> bool {
    let wide = u128::from(key.0) * 0x1_0000_0001_0000_0001_0000_0001;
    let last_wide = u128::from(key.advanced(data.len()).0) * 0x1_0000_0001_0000_0001_0000_0001;
    if let (Some(first), Some(last)) = (data.first_chunk(), data.last_chunk()) {
        let first = u128::from_ne_bytes(*first) ^ wide;
        let last = u128::from_ne_bytes(*last) ^ last_wide;
        data[..16].copy_from_slice(&first.to_ne_bytes());
        let end = data.len();
        data[end - 16..].copy_from_slice(&last.to_ne_bytes());
        return (first | last) & 0x8080_8080_8080_8080_8080_8080_8080_8080 != 0;
    }
    if let (Some(first), Some(last)) = (data.first_chunk(), data.last_chunk()) {
        let first = u64::from_ne_bytes(*first) ^ wide as u64;
        let last = u64::from_ne_bytes(*last) ^ last_wide as u64;
        data[..8].copy_from_slice(&first.to_ne_bytes());
        let end = data.len();
        data[end - 8..].copy_from_slice(&last.to_ne_bytes());
        return (first | last) & 0x8080_8080_8080_8080 != 0;
    }
    if let (Some(first), Some(last)) = (data.first_chunk(), data.last_chunk()) {
        let first = u32::from_ne_bytes(*first) ^ wide as u32;
        let last = u32::from_ne_bytes(*last) ^ last_wide as u32;
        data[..4].copy_from_slice(&first.to_ne_bytes());
        let end = data.len();
        data[end - 4..].copy_from_slice(&last.to_ne_bytes());
        return (first | last) & 0x8080_8080 != 0;
    }
    let mut seen = 0;
    for (byte, mask) in data.iter_mut().zip(key.bytes()) {
        *byte ^= mask;
        seen |= *byte;
    }
    seen >= 0x80
}

/// XORs in blocks of N bytes, a multiple of four; `None` (and nothing done) for less than one block. What is left
/// over at the end is covered by a block that overlaps the one before: it is read first and written last.
#[inline(always)]
fn apply_blocks<const N: usize>(data: &mut [u8], key: MaskKey) -> Option<bool> {
    let pattern = pattern::<N>(key);
    let last_pattern = self::pattern::<N>(key.advanced(data.len() % N));
    let mut last = *data.last_chunk::<N>()?;
    let mut seen = [0; N];
    for i in 0..N {
        last[i] ^= last_pattern[i];
        seen[i] |= last[i];
    }
    for block in data.as_chunks_mut::<N>().0 {
        for i in 0..N {
            block[i] ^= pattern[i];
            seen[i] |= block[i];
        }
    }
    *data.last_chunk_mut::<N>()? = last;
    Some(seen.iter().fold(0, |all, byte| all | byte) >= 0x80)
}

/// [`apply_blocks`] from one place to another.
#[inline(always)]
fn copy_blocks<const N: usize>(target: &mut [u8], source: &[u8], key: MaskKey) -> Option<()> {
    let pattern = pattern::<N>(key);
    let last_pattern = self::pattern::<N>(key.advanced(source.len() % N));
    let mut last = *source.last_chunk::<N>()?;
    for i in 0..N {
        last[i] ^= last_pattern[i];
    }
    for (target, source) in target.as_chunks_mut::<N>().0.iter_mut().zip(source.as_chunks::<N>().0) {
        for i in 0..N {
            target[i] = source[i] ^ pattern[i];
        }
    }
    *target.last_chunk_mut::<N>()? = last;
    Some(())
}

#[inline(always)]
fn pattern<const N: usize>(key: MaskKey) -> [u8; N] {
    let mut pattern = [0; N];
    for chunk in pattern.as_chunks_mut::<4>().0 {
        *chunk = key.bytes();
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    type Apply = fn(&mut [u8], MaskKey) -> bool;
    type Copy = fn(&mut [u8], &[u8], MaskKey);

    fn variants() -> Vec<(&'static str, Apply, Copy)> {
        let mut variants: Vec<(&'static str, Apply, Copy)> =
            vec![("dispatched", apply, copy), ("portable", apply_portable, copy_portable)];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            variants.push((
                "avx2",
                |d, k| unsafe { apply_avx2(d, k) },
                |t, s, k| unsafe { copy_avx2(t, s, k) },
            ));
        }
        variants
    }

    #[test]
    fn every_variant_equals_a_byte_loop_at_every_alignment_and_length() {
        let key = MaskKey::from([0x12, 0x83, 0x5a, 0xf1]);
        for (name, apply, copy) in variants() {
            for alignment in 0..64 {
                for len in 0..=200 {
                    let plain: Vec<u8> = (0..len).map(|i| (i * 37 + alignment) as u8).collect();
                    let expected: Vec<u8> =
                        plain.iter().zip(key.bytes().iter().cycle()).map(|(b, k)| b ^ k).collect();
                    let mut memory = vec![0xee; 64 + len + 64];
                    memory[alignment..alignment + len].copy_from_slice(&plain);
                    let high = apply(&mut memory[alignment..alignment + len], key);
                    assert_eq!(memory[alignment..alignment + len], expected, "{name} {alignment} {len}");
                    assert_eq!(high, !expected.is_ascii(), "{name} {alignment} {len}");
                    assert!(memory[..alignment].iter().chain(&memory[alignment + len..]).all(|b| *b == 0xee));
                    let mut target = vec![0; len];
                    copy(&mut target, &plain, key);
                    assert_eq!(target, expected, "{name} copy {len}");
                }
            }
        }
    }

    #[test]
    fn a_key_advanced_by_n_masks_what_follows_n_bytes() {
        let key = MaskKey::from([1, 2, 3, 4]);
        for split in 0..40 {
            let mut whole = [7u8; 40];
            let mut parts = whole;
            apply(&mut whole, key);
            let (head, tail) = parts.split_at_mut(split);
            apply(head, key);
            apply(tail, key.advanced(split));
            assert_eq!(whole, parts);
        }
    }

    #[test]
    fn keys_are_new_each_time_and_in_each_thread() {
        let draw = || (0..1000).map(|_| MaskKey::random().unwrap().bytes()).collect::<Vec<_>>();
        let mut keys = draw();
        keys.extend(std::thread::spawn(draw).join().unwrap());
        keys.sort_unstable();
        keys.dedup();
        assert!(keys.len() >= 1998, "{} of 2000 keys differ", keys.len());
    }
}
