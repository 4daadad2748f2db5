//! What leaves next, and what has left.

use super::Sender;
use crate::proto::sizing::BURST;
use std::io::IoSlice;

/// Where the next bytes come from, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Control(usize),
    /// The first block.
    Block(usize),
}

impl Sender {
    /// The next bytes to send, in one piece; empty when nothing waits. They stay where they are until
    /// [`advance_output`](Self::advance_output), whatever is queued meanwhile.
    pub(crate) fn output(&mut self) -> &[u8] {
        let source = self.lent.or_else(|| self.source());
        self.lent = source;
        match source {
            Some(source) => self.bytes(source),
            None => &[],
        }
    }

    /// Whether [`output`](Self::output) has lent something.
    pub(crate) fn is_lent(&self) -> bool {
        self.lent.is_some()
    }

    /// The first `n` bytes that [`output`](Self::output) lent have been sent; false where it did not lend so many. `ends`: no
    /// control frame may follow what is queued, for that ends in a Close.
    pub(crate) fn advance_output(&mut self, n: usize, ends: bool) -> bool {
        let lent = self.lent.map_or(0, |source| self.bytes(source).len());
        if n > lent {
            return false;
        }
        if let Some(source) = self.lent.take() {
            self.advance_source(source, n, ends);
        }
        // Fails only where there is no memory or randomness to be had; the Ping then waits on.
        let _ = self.put_waiting_ping();
        true
    }

    /// All bytes to send, where they lie in one piece.
    #[inline]
    pub(crate) fn one_piece(&self) -> Option<&[u8]> {
        match self.blocks.len() {
            1 if self.control.is_empty() => Some(&self.blocks[0][self.block_sent..]),
            _ => None,
        }
    }

    /// Fills `slices` with the bytes to send, in their order; returns how many it used.
    pub(crate) fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut used = 0;
        let at_most = slices.len();
        let mut put = |bytes: &'a [u8]| {
            if let (Some(slice), false) = (slices.get_mut(used), bytes.is_empty()) {
                *slice = IoSlice::new(bytes);
                used += 1;
            }
        };
        let mut first_block_from = self.block_sent;
        match self.source() {
            Some(Source::Control(_)) => put(&self.control[self.control_sent..]),
            Some(Source::Block(len)) if !self.control.is_empty() => {
                put(self.bytes(Source::Block(len)));
                put(&self.control);
                first_block_from += len;
            }
            _ => {}
        }
        let mut blocks = self.blocks.iter();
        if let Some(first) = blocks.next() {
            put(&first[first_block_from..]);
        }
        blocks.take(at_most).for_each(|block| put(block));
        used
    }

    /// The first `n` bytes that [`gather`](Self::gather) gave have been sent. `ends` as for
    /// [`advance_output`](Self::advance_output).
    pub(crate) fn advance(&mut self, mut n: usize, ends: bool) {
        if n as u64 == self.queued_bytes && self.blocks.len() == 1 && self.is_plain() {
            // The most common case: all of it left in one piece.
            self.empty_last_block();
            self.frames.clear();
            (self.block_sent, self.frame_sent, self.queued_bytes) = (0, 0, 0);
            return;
        }
        while n > 0 {
            let Some(source) = self.source() else { break };
            let step = n.min(self.bytes(source).len());
            self.advance_source(source, step, ends);
            n -= step;
        }
        // Only now: what was not in what was gathered must not be taken for sent. It fails only where there is no memory
        // or randomness to be had; the Ping then waits on.
        let _ = self.put_waiting_ping();
    }

    fn source(&self) -> Option<Source> {
        let at_boundary = self.frame_sent == 0;
        if self.control_sent > 0 || (at_boundary && !self.control.is_empty()) {
            // No more than a burst at once: the newest Pong behind it can still be replaced.
            return Some(Source::Control((self.control.len() - self.control_sent).min(BURST)));
        }
        let first = self.blocks.front()?;
        let frame = self.frames.front()?;
        let up_to =
            if self.control.is_empty() { first.len() - self.block_sent } else { frame - self.frame_sent };
        Some(Source::Block(up_to))
    }

    fn bytes(&self, source: Source) -> &[u8] {
        match source {
            Source::Control(len) => &self.control[self.control_sent..self.control_sent + len],
            Source::Block(len) => match self.blocks.front() {
                Some(first) => &first[self.block_sent..self.block_sent + len],
                None => &[],
            },
        }
    }

    fn advance_source(&mut self, source: Source, n: usize, ends: bool) {
        match source {
            Source::Control(_) => self.advance_control(n),
            Source::Block(_) => self.advance_block(n, ends),
        }
    }

    fn advance_block(&mut self, n: usize, ends: bool) {
        self.queued_bytes -= n as u64;
        self.block_sent += n;
        self.frame_sent += n;
        while let Some(frame) = self.frames.front().copied().filter(|frame| *frame <= self.frame_sent) {
            self.frame_sent -= frame;
            self.frames.pop_front();
        }
        if ends && self.frames.is_empty() {
            // The Close has left: nothing may follow it.
            (self.control, self.control_sent) = (Vec::new(), 0);
        }
        if self.blocks.front().is_some_and(|first| first.len() == self.block_sent) {
            self.block_sent = 0;
            match self.blocks.len() {
                1 => self.empty_last_block(),
                _ => drop(self.blocks.pop_front()),
            }
        }
    }
}
