//! Masking (RFC 6455 section 5.3): the XOR, in variants for particular processors, and the keys for it; whether bytes are
//! ASCII, which is seen on the way or, where nothing is masked, by itself.
//! Over 400 lines because the variants of one loop are read side by side.
//!
//! Knows bytes and keys only. Loops over blocks of 16, 32 or 64 bytes: NEON (which is always there), AVX2 and AVX-512 (which
//! are looked for); elsewhere two words, of which the compiler makes what it can.

use crate::error::{Error, Result};
use crate::sys::Process;
use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
use std::arch::aarch64 as neon;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64 as x86;
use std::cell::RefCell;
use std::mem::ManuallyDrop;

/// A masking key, rotated so that its first byte belongs to the next byte of payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskKey(u32);

impl MaskKey {
    /// A key that nobody can predict (RFC 6455 section 10.3), a new one at every call and no system call for most.
    pub fn random() -> Result<Self> {
        KEYS.with_borrow_mut(|keys| {
            if !keys.as_ref().is_some_and(|keys| keys.process.is_current()) {
                *keys = Some(Keys::seed()?);
            }
            Ok(Self(keys.as_mut().map_or(0, |keys| keys.generator.next_u32())))
        })
    }

    /// The key as it stands in the frame header.
    #[inline]
    pub fn bytes(self) -> [u8; 4] {
        self.0.to_ne_bytes()
    }

    /// The key, twice in a row.
    #[inline(always)]
    fn twice(self) -> u64 {
        u64::from(self.0) << 32 | u64::from(self.0)
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
pub(crate) fn apply(data: &mut [u8], key: MaskKey) -> bool {
    if data.len() <= 2 * SMALL {
        return apply_small(data, key);
    }
    apply_long(data, key)
}

/// How many bytes at the front have been seen to be ASCII: all of them, or a multiple of 64 before the first that is not.
pub(crate) fn ascii_prefix(data: &[u8]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        if is_x86_feature_detected!("avx512bw") {
            // SAFETY: the processor has AVX-512 F and BW.
            return unsafe { ascii_prefix_avx512(data) };
        }
        // SAFETY: the processor has AVX2.
        return unsafe { ascii_prefix_avx2(data) };
    }
    ascii_prefix_portable(data)
}

/// Writes the XOR of `source` to `target`, which has the same length.
#[inline(always)]
pub(crate) fn copy(target: &mut [u8], source: &[u8], key: MaskKey) {
    if source.len() <= 2 * SMALL {
        target.copy_from_slice(source);
        apply_small(target, key);
        return;
    }
    assert_eq!(target.len(), source.len());
    // SAFETY: there is room for as many bytes.
    unsafe { copy_long(target.as_mut_ptr(), source, key) }
}

/// Writes the XOR of `source` behind what is in `target`, in one pass.
#[inline]
pub(crate) fn append(target: &mut Vec<u8>, source: &[u8], key: MaskKey) {
    let start = target.len();
    if source.len() <= 2 * SMALL {
        target.extend_from_slice(source);
        apply_small(&mut target[start..], key);
        return;
    }
    target.reserve(source.len());
    // SAFETY: there is room for as many bytes, and all of them are written.
    unsafe {
        copy_long(target.as_mut_ptr().add(start), source, key);
        target.set_len(start + source.len());
    }
}

/// From this length on the wider variant of the two is the faster one: 5 to 15 % at 1 KiB, where at 125 bytes it loses.
#[cfg(target_arch = "x86_64")]
const WIDEST: usize = 512;

fn apply_long(data: &mut [u8], key: MaskKey) -> bool {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        if data.len() >= WIDEST && is_x86_feature_detected!("avx512bw") {
            // SAFETY: the processor has AVX-512 F and BW.
            return unsafe { apply_avx512(data, key) };
        }
        // SAFETY: the processor has AVX2.
        return unsafe { apply_avx2(data, key) };
    }
    apply_portable(data, key)
}

/// # Safety
/// `target` has room for as many bytes as `source` has. This goes for the variants, too.
unsafe fn copy_long(target: *mut u8, source: &[u8], key: MaskKey) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2; by the caller's word.
        return unsafe { copy_avx2(target, source, key) };
    }
    // SAFETY: by the caller's word.
    unsafe { copy_portable(target, source, key) };
}

thread_local! {
    /// One generator a thread: handles share nothing. It has no destructor, so that the library can be unloaded.
    static KEYS: RefCell<Option<Keys>> = const { RefCell::new(None) };
}
const _: () = assert!(!std::mem::needs_drop::<Keys>());

struct Keys {
    /// Where the generator was seeded: in the child of a fork() it would go on as in the parent.
    process: Process,
    generator: ManuallyDrop<ChaCha8Rng>,
}

impl Keys {
    #[cold]
    fn seed() -> Result<Self> {
        let process = Process::current();
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| Error::Io(error.into()))?;
        Ok(Self { process, generator: ManuallyDrop::new(ChaCha8Rng::from_seed(seed)) })
    }
}

/// The block that needs no looking for. Where words are looked at on their way, the compiler does not make NEON of them.
#[cfg(not(all(target_arch = "aarch64", target_endian = "little")))]
type Always = [u64; 2];
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
type Always = neon::uint8x16_t;

fn apply_portable(data: &mut [u8], key: MaskKey) -> bool {
    // SAFETY: every processor has these blocks.
    unsafe { apply_blocks::<Always>(data, key) }
}

fn ascii_prefix_portable(data: &[u8]) -> usize {
    // SAFETY: every processor has these blocks.
    unsafe { ascii_prefix_blocks::<Always>(data) }
}

unsafe fn copy_portable(target: *mut u8, source: &[u8], key: MaskKey) {
    // SAFETY: every processor has these blocks; by the caller's word.
    unsafe { copy_blocks::<Always>(target, source, key) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn apply_avx2(data: &mut [u8], key: MaskKey) -> bool {
    // SAFETY: this function is for processors with AVX2.
    unsafe { apply_blocks::<x86::__m256i>(data, key) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw")]
fn apply_avx512(data: &mut [u8], key: MaskKey) -> bool {
    // SAFETY: this function is for processors with AVX-512 F and BW.
    unsafe { apply_blocks::<x86::__m512i>(data, key) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn ascii_prefix_avx2(data: &[u8]) -> usize {
    // SAFETY: this function is for processors with AVX2.
    unsafe { ascii_prefix_blocks::<x86::__m256i>(data) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw")]
fn ascii_prefix_avx512(data: &[u8]) -> usize {
    // SAFETY: this function is for processors with AVX-512 F and BW.
    unsafe { ascii_prefix_blocks::<x86::__m512i>(data) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn copy_avx2(target: *mut u8, source: &[u8], key: MaskKey) {
    // SAFETY: this function is for processors with AVX2; by the caller's word.
    unsafe { copy_blocks::<x86::__m256i>(target, source, key) }
}

/// Some bytes that are worked on at once.
///
/// # Safety
/// All functions: the processor has the instructions for this type. `load` and `store`: the pointer is good for as many
/// bytes as the type has.
trait Block: Copy {
    unsafe fn of(key: MaskKey) -> Self;
    unsafe fn load(from: *const u8) -> Self;
    unsafe fn store(self, to: *mut u8);
    unsafe fn xor(self, other: Self) -> Self;
    unsafe fn or(self, other: Self) -> Self;
    /// Whether a byte is over 127.
    unsafe fn is_high(self) -> bool;
}

impl Block for [u64; 2] {
    #[inline(always)]
    unsafe fn of(key: MaskKey) -> Self {
        [key.twice(); 2]
    }
    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: by the caller's word.
        unsafe { from.cast::<Self>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: by the caller's word.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }
    #[inline(always)]
    unsafe fn xor(self, other: Self) -> Self {
        [self[0] ^ other[0], self[1] ^ other[1]]
    }
    #[inline(always)]
    unsafe fn or(self, other: Self) -> Self {
        [self[0] | other[0], self[1] | other[1]]
    }
    #[inline(always)]
    unsafe fn is_high(self) -> bool {
        (self[0] | self[1]) & HIGH != 0
    }
}

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
impl Block for neon::uint8x16_t {
    #[inline(always)]
    unsafe fn of(key: MaskKey) -> Self {
        // SAFETY: by the caller's word.
        unsafe { neon::vreinterpretq_u8_u32(neon::vdupq_n_u32(key.0)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: by the caller's word.
        unsafe { neon::vld1q_u8(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: by the caller's word.
        unsafe { neon::vst1q_u8(to, self) }
    }
    #[inline(always)]
    unsafe fn xor(self, other: Self) -> Self {
        // SAFETY: by the caller's word.
        unsafe { neon::veorq_u8(self, other) }
    }
    #[inline(always)]
    unsafe fn or(self, other: Self) -> Self {
        // SAFETY: by the caller's word.
        unsafe { neon::vorrq_u8(self, other) }
    }
    #[inline(always)]
    unsafe fn is_high(self) -> bool {
        // SAFETY: by the caller's word.
        unsafe { neon::vmaxvq_u8(self) >= 0x80 }
    }
}

#[cfg(target_arch = "x86_64")]
impl Block for x86::__m256i {
    #[inline(always)]
    unsafe fn of(key: MaskKey) -> Self {
        // SAFETY: by the caller's word.
        unsafe { x86::_mm256_set1_epi32(key.0.cast_signed()) }
    }
    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: by the caller's word.
        unsafe { x86::_mm256_loadu_si256(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: by the caller's word.
        unsafe { x86::_mm256_storeu_si256(to.cast(), self) }
    }
    #[inline(always)]
    unsafe fn xor(self, other: Self) -> Self {
        // SAFETY: by the caller's word.
        unsafe { x86::_mm256_xor_si256(self, other) }
    }
    #[inline(always)]
    unsafe fn or(self, other: Self) -> Self {
        // SAFETY: by the caller's word.
        unsafe { x86::_mm256_or_si256(self, other) }
    }
    #[inline(always)]
    unsafe fn is_high(self) -> bool {
        // SAFETY: by the caller's word.
        unsafe { x86::_mm256_movemask_epi8(self) != 0 }
    }
}

#[cfg(target_arch = "x86_64")]
impl Block for x86::__m512i {
    #[inline(always)]
    unsafe fn of(key: MaskKey) -> Self {
        // SAFETY: by the caller's word.
        unsafe { x86::_mm512_set1_epi32(key.0.cast_signed()) }
    }
    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: by the caller's word.
        unsafe { x86::_mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: by the caller's word.
        unsafe { x86::_mm512_storeu_si512(to.cast(), self) }
    }
    #[inline(always)]
    unsafe fn xor(self, other: Self) -> Self {
        // SAFETY: by the caller's word.
        unsafe { x86::_mm512_xor_si512(self, other) }
    }
    #[inline(always)]
    unsafe fn or(self, other: Self) -> Self {
        // SAFETY: by the caller's word.
        unsafe { x86::_mm512_or_si512(self, other) }
    }
    #[inline(always)]
    unsafe fn is_high(self) -> bool {
        // SAFETY: by the caller's word.
        unsafe { x86::_mm512_movepi8_mask(self) != 0 }
    }
}

/// Up to twice so many bytes are done without a loop.
const SMALL: usize = 16;
/// From this length on the blocks are aligned: a store that crosses a cache line costs two.
const ALIGN: usize = 256;

/// What is looked at for bytes over 127 at once.
const FIRST_CHUNK: usize = 64;
const CHUNK: usize = 2 << 10;

/// The highest bit of each byte.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// At most 32 bytes: the first and the last 16, 8 or 4 of them, which may overlap: both are read before either is
/// written.
#[inline(always)]
fn apply_small(data: &mut [u8], key: MaskKey) -> bool {
    let (wide, last_wide) = (key.twice(), key.advanced(data.len()).twice());
    if let (Some(first), Some(last)) = (data.first_chunk::<16>(), data.last_chunk::<16>()) {
        let first = words(first).map(|word| word ^ wide);
        let last = words(last).map(|word| word ^ last_wide);
        let end = data.len();
        data[..16].copy_from_slice(first.map(u64::to_ne_bytes).as_flattened());
        data[end - 16..].copy_from_slice(last.map(u64::to_ne_bytes).as_flattened());
        return (first[0] | first[1] | last[0] | last[1]) & HIGH != 0;
    }
    if let (Some(first), Some(last)) = (data.first_chunk(), data.last_chunk()) {
        let first = u64::from_ne_bytes(*first) ^ wide;
        let last = u64::from_ne_bytes(*last) ^ last_wide;
        let end = data.len();
        data[..8].copy_from_slice(&first.to_ne_bytes());
        data[end - 8..].copy_from_slice(&last.to_ne_bytes());
        return (first | last) & HIGH != 0;
    }
    if let (Some(first), Some(last)) = (data.first_chunk(), data.last_chunk()) {
        let first = u32::from_ne_bytes(*first) ^ wide as u32;
        let last = u32::from_ne_bytes(*last) ^ last_wide as u32;
        let end = data.len();
        data[..4].copy_from_slice(&first.to_ne_bytes());
        data[end - 4..].copy_from_slice(&last.to_ne_bytes());
        return (first | last) & HIGH as u32 != 0;
    }
    apply_bytes(data, key)
}

#[inline(always)]
fn words(bytes: &[u8; 16]) -> [u64; 2] {
    let (words, _) = bytes.as_chunks::<8>();
    [u64::from_ne_bytes(words[0]), u64::from_ne_bytes(words[1])]
}

/// XORs in blocks, four in a step. The first and the last one may overlap those in between: they are read first and
/// written last.
///
/// # Safety
/// The processor has the instructions for B.
#[inline(always)]
unsafe fn apply_blocks<B: Block>(data: &mut [u8], key: MaskKey) -> bool {
    let (block, len, place) = (size_of::<B>(), data.len(), data.as_mut_ptr());
    if len < block {
        return apply_bytes(data, key);
    }
    // SAFETY: every block that is read or written ends at `len` at the latest, and the rest is passed on.
    unsafe {
        let first = B::load(place).xor(B::of(key));
        let last = B::load(place.add(len - block)).xor(B::of(key.advanced(len - block)));
        let mut seen = first.or(last);
        let mut at = start(place, block, len);
        let pattern = B::of(key.advanced(at));
        while at + 4 * block <= len {
            let place = place.add(at);
            let a = B::load(place).xor(pattern);
            let b = B::load(place.add(block)).xor(pattern);
            let c = B::load(place.add(2 * block)).xor(pattern);
            let d = B::load(place.add(3 * block)).xor(pattern);
            a.store(place);
            b.store(place.add(block));
            c.store(place.add(2 * block));
            d.store(place.add(3 * block));
            seen = seen.or(a.or(b).or(c.or(d)));
            at += 4 * block;
        }
        while at + block <= len {
            let next = B::load(place.add(at)).xor(pattern);
            next.store(place.add(at));
            seen = seen.or(next);
            at += block;
        }
        first.store(place);
        last.store(place.add(len - block));
        seen.is_high()
    }
}

/// [`apply_blocks`] from one place to another, which may hold anything.
///
/// # Safety
/// The processor has the instructions for B, and `to` has room for as many bytes as `source` has.
#[inline(always)]
unsafe fn copy_blocks<B: Block>(to: *mut u8, source: &[u8], key: MaskKey) {
    let (block, len, from) = (size_of::<B>(), source.len(), source.as_ptr());
    // SAFETY: both have this length, every block that is read or written ends there at the latest, and the rest is passed
    // on.
    unsafe {
        if len < block {
            to.copy_from_nonoverlapping(from, len);
            apply_bytes(std::slice::from_raw_parts_mut(to, len), key);
            return;
        }
        let last = B::load(from.add(len - block)).xor(B::of(key.advanced(len - block)));
        B::load(from).xor(B::of(key)).store(to);
        let mut at = start(to, block, len);
        let pattern = B::of(key.advanced(at));
        while at + 4 * block <= len {
            let (from, to) = (from.add(at), to.add(at));
            let a = B::load(from).xor(pattern);
            let b = B::load(from.add(block)).xor(pattern);
            let c = B::load(from.add(2 * block)).xor(pattern);
            let d = B::load(from.add(3 * block)).xor(pattern);
            a.store(to);
            b.store(to.add(block));
            c.store(to.add(2 * block));
            d.store(to.add(3 * block));
            at += 4 * block;
        }
        while at + block <= len {
            B::load(from.add(at)).xor(pattern).store(to.add(at));
            at += block;
        }
        last.store(to.add(len - block));
    }
}

/// [`ascii_prefix`], a chunk at a time: the first is short, for text that is not ASCII shows it early.
///
/// # Safety
/// The processor has the instructions for B.
#[inline(always)]
unsafe fn ascii_prefix_blocks<B: Block>(data: &[u8]) -> usize {
    let mut at = 0;
    while at < data.len() {
        let chunk = if at == 0 { FIRST_CHUNK } else { CHUNK };
        let chunk = &data[at..data.len().min(at + chunk)];
        // SAFETY: by the caller's word.
        if unsafe { has_high::<B>(chunk) } {
            return at;
        }
        at += chunk.len();
    }
    data.len()
}

/// Whether there is a byte over 127.
///
/// # Safety
/// The processor has the instructions for B.
#[inline(always)]
unsafe fn has_high<B: Block>(data: &[u8]) -> bool {
    let (block, len, place) = (size_of::<B>(), data.len(), data.as_ptr());
    if len < block {
        return !data.is_ascii();
    }
    // SAFETY: every block that is read ends at `len` at the latest.
    unsafe {
        let mut seen = B::load(place.add(len - block));
        let mut at = 0;
        while at + 4 * block <= len {
            let place = place.add(at);
            let (a, b) = (B::load(place), B::load(place.add(block)));
            let (c, d) = (B::load(place.add(2 * block)), B::load(place.add(3 * block)));
            seen = seen.or(a.or(b).or(c.or(d)));
            at += 4 * block;
        }
        while at + block <= len {
            seen = seen.or(B::load(place.add(at)));
            at += block;
        }
        seen.is_high()
    }
}

/// Where the blocks behind the first one begin: a block further, or, where it pays, at an address that is a multiple of a
/// block's length.
#[inline(always)]
fn start(place: *const u8, block: usize, len: usize) -> usize {
    match len {
        ALIGN.. => block - place.addr() % block,
        _ => block,
    }
}

#[inline(always)]
fn apply_bytes(data: &mut [u8], key: MaskKey) -> bool {
    let mut seen = 0;
    for (byte, mask) in data.iter_mut().zip(key.bytes().into_iter().cycle()) {
        *byte ^= mask;
        seen |= *byte;
    }
    seen >= 0x80
}

#[cfg(test)]
mod tests;
