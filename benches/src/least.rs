//! What reading and writing take at least: no engine, but what is left of all of them without a connection, rules, limits
//! and errors.
//!
//! The bytes are received, as many whole frames as fit into the nearest cache, unmasked with the processor's vectors, and
//! text goes through simdutf8; written is one frame, right from the caller's memory where nothing is masked. How long
//! frames are is known beforehand, and the masking key never changes.

use crate::read_write::{KEY, Run, Script, header};
use std::io::{IoSlice, Read, Write};

pub const NAME: &str = "libraries alone";
/// MessageSlots for short frames.
const FRAMES: usize = 32 << 10;
/// Longer ones are received, and masked, in pieces of so many bytes.
const PIECE: usize = 128 << 10;

pub fn least(run: &Run) -> f64 {
    let header = header(run.cell, run.payload().len());
    let frame = header.len() + run.payload().len();
    let received = vec![0; (FRAMES / frame).max(1) * frame];
    let mut socket = Least { stream: run.stream(), header, frame, received, at: 0, end: 0 };
    run.time(&mut socket, |socket| socket.write(run), |socket| run.has_read(socket.read(run)))
}

struct Least {
    stream: Script,
    header: Vec<u8>,
    frame: usize,
    received: Vec<u8>,
    at: usize,
    end: usize,
}

impl Least {
    #[inline]
    fn read(&mut self, run: &Run) -> &[u8] {
        let (server, header) = (run.cell.server, self.header.len());
        if self.at == self.end {
            self.receive(server);
        }
        let payload = &mut self.received[self.at + header..self.at + self.frame];
        self.at += self.frame;
        if server && self.frame <= PIECE {
            mask(payload);
        }
        assert!(!run.cell.text() || payload.is_ascii() || simdutf8::basic::from_utf8(payload).is_ok());
        payload
    }

    /// Whole frames; long ones are unmasked piece by piece.
    fn receive(&mut self, server: bool) {
        (self.at, self.end) = (0, 0);
        let mut most = self.header.len() + PIECE;
        while self.end == 0 || !self.end.is_multiple_of(self.frame) {
            let room = self.received.len().min(self.end + most);
            let n = self.stream.read(&mut self.received[self.end..room]).expect("the stream always has some");
            if server && self.frame > PIECE {
                let begin = self.end.max(self.header.len());
                mask(&mut self.received[begin..self.end + n]);
            }
            self.end += n;
            most = PIECE;
        }
    }

    #[inline]
    fn write(&mut self, run: &Run) {
        if run.cell.server {
            let slices = [IoSlice::new(&self.header), IoSlice::new(run.payload())];
            let written = self.stream.write_vectored(&slices).expect("the stream takes everything");
            assert_eq!(written, self.frame);
        } else {
            let mut header = &self.header[..];
            for piece in run.payload().chunks(PIECE) {
                self.received.clear();
                self.received.extend_from_slice(header);
                self.received.extend_from_slice(piece);
                mask(&mut self.received[header.len()..]);
                self.stream.write_all(&self.received).expect("the stream takes everything");
                header = &[];
            }
        }
        self.stream.flush().expect("the stream has nothing to flush");
    }
}

#[inline]
fn mask(payload: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if payload.len() > 64 && is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { mask_avx2(payload) };
    }
    mask_words(payload);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn mask_avx2(payload: &mut [u8]) {
    mask_words(payload);
}

#[inline(always)]
fn mask_words(payload: &mut [u8]) {
    let (words, rest) = payload.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(KEY)).to_ne_bytes();
    }
    rest.iter_mut().zip(KEY).for_each(|(byte, key)| *byte ^= key);
}
