//! Data frames: what they may be, lent where they lie whole, and otherwise taken into the message as they arrive.

use super::Hidden;
use super::assembly::{check_total, take_piece};
use super::{Place, Received, Receiver};
use crate::config::WebSocketConfig;
use crate::error::{CapacityError, Error, ProtocolError, Result};
use crate::message::Kind;
use crate::proto::frame::{Header, Opcode};
use crate::proto::utf8::Utf8Stream;
use crate::simd::mask;

impl Receiver {
    /// The rules between this data frame and those before it, and the limits, before a byte of payload is taken.
    #[inline]
    pub(super) fn check_data(&self, header: &Header, config: &WebSocketConfig) -> Result<()> {
        match (header.opcode, self.message.kind) {
            (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation.into()),
            (Opcode::Kind(_), Some(_)) => return Err(ProtocolError::ExpectedContinuation.into()),
            _ => {}
        }
        if let Some(max) = config.max_frame_size.map(|max| max as u64).filter(|max| header.len > *max) {
            return Err(CapacityError::FrameTooLong { size: header.len, max }.into());
        }
        if !header.compressed && !self.message.compressed {
            check_total(self.message.total.saturating_add(header.len), config)?;
        }
        if let Some(max) = config.max_fragments.map(|max| max as u64)
            && u64::from(self.message.fragments) >= max
        {
            return Err(CapacityError::TooManyFragments { max }.into());
        }
        Ok(())
    }

    /// A message in one frame that has arrived whole: unmasked, validated and lent where it lies.
    #[inline]
    pub(super) fn lend_whole(&mut self, kind: Kind, header: &Header, header_len: usize) -> Result<Received> {
        let len = header.len as usize;
        let payload = &mut self.input.filled_mut()[header_len..header_len + len];
        let mut text = Utf8Stream::default();
        let is_text = kind == Kind::Text;
        if take_piece(payload, header.mask, is_text.then_some(&mut text))
            .and_then(|()| text.finish())
            .is_err()
        {
            if let Some(key) = header.mask {
                // Back to how it was.
                mask::apply(payload, key);
            }
            return Err(Error::Utf8);
        }
        self.consume(header_len);
        let start = self.input.position();
        self.consume(len);
        self.lent = Some(Place::Input);
        self.ended((header_len + len) as u64);
        Ok(Received { kind, is_final: true, place: Place::Input, start, len })
    }

    /// Takes what has arrived of the frame at hand into the message.
    pub(super) fn continue_frame(&mut self, config: &WebSocketConfig) -> Result<Option<Received>> {
        let Some(mut frame) = self.frame else { return Ok(None) };
        let message = &mut self.message;
        let mut taken = message.fresh;
        if taken == 0 {
            let arrived = self.input.filled();
            taken =
                usize::try_from(frame.missing).map_or(arrived.len(), |missing| missing.min(arrived.len()));
            message.append(&arrived[..taken])?;
            self.input.consume(taken);
        }
        if let Err(fault) = message.take_fresh(frame.key) {
            return self.deliver_good(fault, config);
        }
        self.offset += taken as u64;
        frame.missing -= taken as u64;
        frame.key = frame.key.map(|key| key.advanced(taken));
        let ended = frame.missing == 0;
        self.frame = (!ended).then_some(frame);
        if ended {
            self.ended(frame.total);
        }
        // Room lent for the rest of the frame may have been followed by bytes in the input buffer.
        if !ended && !self.input.filled().is_empty() {
            return self.continue_frame(config);
        }
        self.deliver(ended && frame.fin, config)
    }

    /// Hands out the message, or what there is of it where parts are delivered.
    pub(super) fn deliver(&mut self, is_final: bool, config: &WebSocketConfig) -> Result<Option<Received>> {
        let Some(kind) = self.message.kind else { return Ok(None) };
        if is_final && self.message.text.incomplete() > 0 {
            return self.deliver_good(Error::Utf8, config);
        }
        let len = self.message.len - self.message.text.incomplete();
        let is_part = config.deliver_fragments && len > 0;
        if !is_final && !is_part {
            return Ok(None);
        }
        self.message.delivered = len;
        self.lent = Some(Place::Message);
        self.hidden = Hidden::default();
        if is_final {
            self.message.kind = None;
            self.message.compressed = false;
        }
        Ok(Some(Received { kind, is_final, place: Place::Message, start: 0, len }))
    }

    /// The message cannot go on. Where parts are delivered, what is good of it is one more, and the fault comes next: how much
    /// is delivered does not depend on how it was cut.
    #[cold]
    pub(super) fn deliver_good(
        &mut self,
        fault: Error,
        config: &WebSocketConfig,
    ) -> Result<Option<Received>> {
        let len = if config.deliver_fragments { self.message.good(config) } else { 0 };
        match self.message.kind {
            Some(kind) if len > 0 => {
                self.fault = Some(fault);
                self.lent = Some(Place::Message);
                Ok(Some(Received { kind, is_final: false, place: Place::Message, start: 0, len }))
            }
            _ => Err(fault),
        }
    }
}
