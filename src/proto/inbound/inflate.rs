//! Compressed frames: inflated into the message as they arrive, up to the limit.

use super::assembly::{Assembly, check_total, max_total};
use super::{Received, Receiver};
use crate::config::WebSocketConfig;
use crate::error::{ProtocolError, Result};
use crate::proto::deflate::Inflated;
use crate::proto::sizing::{INFLATED, SPARE};
use crate::simd::mask;

impl Receiver {
    /// Inflates what has arrived of the frame at hand into the message. The limit holds while it does; where parts are
    /// delivered, it stops at each. What was inflated before it became corrupt counts: it comes first, however it was cut.
    pub(super) fn continue_compressed(&mut self, config: &WebSocketConfig) -> Result<Option<Received>> {
        let (Some(mut frame), Some(inflater)) = (self.frame, &mut self.inflater) else { return Ok(None) };
        let message = &mut self.message;
        loop {
            let arrived = self.input.filled_mut();
            let available = usize::try_from(frame.missing).map_or(arrived.len(), |m| m.min(arrived.len()));
            if let Some(key) = frame.key {
                mask::apply(&mut arrived[frame.unmasked..available], key);
                frame.key = Some(key.advanced(available - frame.unmasked));
            }
            frame.unmasked = available;
            let source = &arrived[..available];
            if source.is_empty() && inflater.is_drained() {
                break;
            }
            let has_source = !source.is_empty();
            let Inflated { used, written, result } =
                inflater.inflate(source, message.inflate_room(inflater.last_len(), config)?);
            self.input.consume(used);
            self.offset += used as u64;
            frame.missing -= used as u64;
            frame.unmasked -= used;
            // No byte takes more than 15 bits, but for headers: where more is used than that, there is nothing in it.
            // One step uses no more than the buffer has, and gives no more than a part.
            self.hidden.barren =
                self.hidden.barren.saturating_add(used as u32).saturating_sub(2 * written as u32);
            message.fresh = written;
            let is_stuck = has_source && used == 0 && written == 0;
            let result = message
                .take_fresh(None)
                .and_then(|()| {
                    message.total += written as u64;
                    check_total(message.total, config)
                })
                .and(result)
                .and(if is_stuck { Err(ProtocolError::CorruptDeflate.into()) } else { Ok(()) });
            if let Err(fault) = result {
                return self.deliver_good(fault, config);
            }
            if config.deliver_fragments && message.len >= *INFLATED.end() {
                self.frame = Some(frame);
                return self.deliver(false, config);
            }
        }
        let ended = frame.missing == 0;
        if ended
            && frame.fin
            && let Err(fault) = inflater.finish(message.total)
        {
            return self.deliver_good(fault, config);
        }
        self.frame = (!ended).then_some(frame);
        self.deliver(ended && frame.fin, config)
    }
}

impl Assembly {
    /// Room to inflate into, at first for a message as long as the last one: never more than a byte over the limit.
    fn inflate_room(&mut self, last: usize, config: &WebSocketConfig) -> Result<&mut [u8]> {
        if self.bytes.len() - self.len < *INFLATED.start() {
            let more = self.len.max(last.saturating_add(SPARE).saturating_sub(self.len));
            self.reserve(more.clamp(*INFLATED.start(), *INFLATED.end()))?;
        }
        let left = max_total(config).saturating_sub(self.total).saturating_add(1);
        let room = (self.bytes.len() - self.len).min(*INFLATED.end());
        let room = usize::try_from(left).map_or(room, |left| left.min(room));
        Ok(&mut self.bytes[self.len..self.len + room])
    }
}
