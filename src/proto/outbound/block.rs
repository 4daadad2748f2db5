//! The memory of what waits to be sent: blocks that never move.

use super::Sender;
use super::leaving::Source;
use crate::error::{Error, Result};
use crate::proto::sizing::BLOCK;
use std::sync::Arc;

/// Some whole frames.
#[derive(Debug)]
pub(super) enum Block {
    /// There may be room for more.
    Own(Vec<u8>),
    /// One frame, which other connections send, too.
    Shared(Arc<Vec<u8>>),
}

impl std::ops::Deref for Block {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Block::Own(bytes) => bytes,
            Block::Shared(bytes) => bytes,
        }
    }
}

impl Block {
    /// Bytes that it takes up.
    pub(super) fn memory(&self) -> usize {
        match self {
            Block::Own(bytes) => bytes.capacity(),
            Block::Shared(bytes) => bytes.capacity(),
        }
    }
}

impl Sender {
    /// The block to write the next `len` bytes to: it has room for them and will not move.
    #[inline]
    pub(super) fn room_in_block(&mut self, len: usize) -> Result<&mut Vec<u8>> {
        let (room, capacity) = match self.blocks.back() {
            Some(Block::Own(block)) => (block.capacity() - block.len(), block.capacity()),
            Some(Block::Shared(_)) | None => (0, 0),
        };
        if room < len || capacity == 0 {
            let ahead = (capacity * 2).max(*BLOCK.start());
            self.drop_empty_block();
            let mut block = Vec::new();
            block.try_reserve_exact(len.max(ahead.min(*BLOCK.end()))).map_err(|_| Error::NoMemory)?;
            self.blocks.push_back(Block::Own(block));
        }
        match self.blocks.back_mut() {
            Some(Block::Own(block)) => Ok(block),
            _ => Err(Error::NoMemory),
        }
    }

    /// With nothing queued there is one block at most, which is empty and would stand before all that comes. A Pong that is
    /// lent lies elsewhere.
    pub(super) fn drop_empty_block(&mut self) {
        if self.frames.is_empty() && !matches!(self.lent, Some(Source::Block(_))) {
            self.blocks.clear();
        }
    }

    /// All of it has been sent.
    #[inline]
    pub(super) fn empty_last_block(&mut self) {
        match self.blocks.back_mut() {
            Some(Block::Own(block)) => block.clear(),
            _ => self.blocks.clear(),
        }
    }
}
