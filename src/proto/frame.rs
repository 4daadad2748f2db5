//! One frame header (RFC 6455 section 5.2): reading and writing it, each in one place. Knows the rules that a header can break by
//! itself, byte by byte and at the earliest byte; not what came before it.

use crate::error::ProtocolError;
use crate::message::{Kind, Role};
use crate::simd::mask::MaskKey;

/// Longest header: two bytes, a 64-bit length, a masking key.
pub(crate) const MAX_HEADER: usize = 14;
/// Longest payload of a control frame (RFC 6455 section 5.5).
pub(crate) const MAX_CONTROL: usize = 125;

/// Longest header of what is sent to this role.
pub(crate) fn longest_header(role: Role) -> usize {
    match role {
        Role::Server => MAX_HEADER,
        Role::Client => MAX_HEADER - size_of::<MaskKey>(),
    }
}

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// The next fragment of a message.
    Continuation,
    /// A message, its first fragment, or a control frame.
    Kind(Kind),
}

/// A frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The last frame of its message.
    pub fin: bool,
    /// RSV1 on the first frame: the message is compressed (RFC 7692 section 6).
    pub compressed: bool,
    /// What it carries.
    pub opcode: Opcode,
    /// The masking key, where the payload is masked.
    pub mask: Option<MaskKey>,
    /// Length of the payload in bytes.
    pub len: u64,
}

/// What a header is held to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Ours: the header is the other side's.
    pub role: Role,
    /// A server takes frames that are not masked.
    pub accept_unmasked: bool,
    /// permessage-deflate has been agreed on.
    pub compression: bool,
}

/// Reads the header at the start of `bytes`, sent by the peer; with it, its length. `None`:
/// it has not arrived whole.
#[inline]
pub(crate) fn parse(bytes: &[u8], rules: Rules) -> Result<Option<(Header, usize)>, ProtocolError> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let compressed = first & 0x70 == 0x40 && rules.compression && matches!(first & 0x0f, 1 | 2);
    if first & 0x70 != 0 && !compressed {
        return Err(ProtocolError::ReservedBits);
    }
    let fin = first & 0x80 != 0;
    let opcode = match first & 0x0f {
        0 => Opcode::Continuation,
        1 => Opcode::Kind(Kind::Text),
        2 => Opcode::Kind(Kind::Binary),
        8 => Opcode::Kind(Kind::Close),
        9 => Opcode::Kind(Kind::Ping),
        10 => Opcode::Kind(Kind::Pong),
        reserved => return Err(ProtocolError::ReservedOpcode(reserved)),
    };
    let is_control = first & 0x08 != 0;
    if is_control && !fin {
        return Err(ProtocolError::FragmentedControlFrame);
    }
    let Some(&second) = bytes.get(1) else { return Ok(None) };
    let masked = second & 0x80 != 0;
    match rules.role {
        Role::Server if !masked && !rules.accept_unmasked => {
            return Err(ProtocolError::UnmaskedFrameFromClient);
        }
        Role::Client if masked => return Err(ProtocolError::MaskedFrameFromServer),
        _ => {}
    }
    let (len, mut header_len) = match second & 0x7f {
        126 | 127 if is_control => return Err(ProtocolError::ControlFrameTooLong),
        126 => {
            let Some(len) = bytes.get(2..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
            let len = u16::from_be_bytes(*len);
            if len < 126 {
                return Err(ProtocolError::NonMinimalLength);
            }
            (u64::from(len), 4)
        }
        127 => {
            let Some(len) = bytes.get(2..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
            let len = u64::from_be_bytes(*len);
            if len >> 63 != 0 {
                return Err(ProtocolError::LengthOverflow);
            }
            if len <= 0xffff {
                return Err(ProtocolError::NonMinimalLength);
            }
            (len, 10)
        }
        len => (u64::from(len), 2),
    };
    let mask = if masked {
        let Some(key) = bytes.get(header_len..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
        header_len += 4;
        Some(MaskKey::from(*key))
    } else {
        None
    };
    Ok(Some((Header { fin, compressed, opcode, mask, len }, header_len)))
}

/// What the sender decides of a frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameStart {
    /// What it carries.
    pub opcode: Opcode,
    /// The last frame of its message.
    pub fin: bool,
    /// The first frame of a compressed message.
    pub compressed: bool,
}

impl FrameStart {
    /// A frame that is a whole message, not compressed.
    #[inline(always)]
    pub fn whole(kind: Kind) -> Self {
        Self { opcode: Opcode::Kind(kind), fin: true, compressed: false }
    }

    /// Gives `put` the header of a frame with a payload of this length, in the shortest form, piece by piece: at most three,
    /// whose lengths are known where this is compiled.
    #[inline(always)]
    pub fn encode(self, len: usize, mask: Option<MaskKey>, mut put: impl FnMut(&[u8])) {
        let opcode = match self.opcode {
            Opcode::Continuation => 0,
            Opcode::Kind(kind) => kind as u8,
        };
        let first = opcode | if self.fin { 0x80 } else { 0 } | if self.compressed { 0x40 } else { 0 };
        let masked = if mask.is_some() { 0x80 } else { 0 };
        match len {
            0..=125 => put(&[first, masked | len as u8]),
            126..=0xffff => {
                let [high, low] = (len as u16).to_be_bytes();
                put(&[first, masked | 126, high, low]);
            }
            _ => {
                put(&[first, masked | 127]);
                put(&(len as u64).to_be_bytes());
            }
        }
        if let Some(mask) = mask {
            put(&mask.bytes());
        }
    }
}

/// A header in its wire form.
#[derive(Debug, Clone, Copy)]
pub struct HeaderBytes {
    bytes: [u8; MAX_HEADER],
    len: u8,
}

impl HeaderBytes {
    /// The header of a frame with a payload of this length.
    #[inline]
    pub fn new(start: FrameStart, len: usize, mask: Option<MaskKey>) -> Self {
        let (mut bytes, mut at) = ([0; MAX_HEADER], 0);
        start.encode(len, mask, |piece| {
            bytes[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        });
        Self { bytes, len: at as u8 }
    }
}

impl std::ops::Deref for HeaderBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ProtocolError::*;

    const SERVER: Rules = Rules { role: Role::Server, accept_unmasked: false, compression: false };
    const CLIENT: Rules = Rules { role: Role::Client, ..SERVER };

    fn server(bytes: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
        parse(bytes, SERVER)
    }

    fn client(bytes: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
        parse(bytes, CLIENT)
    }

    #[test]
    fn every_header_form_comes_back_as_it_was_written() {
        for fin in [true, false] {
            for opcode in [Opcode::Continuation, Opcode::Kind(Kind::Text), Opcode::Kind(Kind::Binary)] {
                for len in [0, 1, 125, 126, 127, 65535, 65536, u32::MAX as usize, isize::MAX as usize] {
                    for mask in [None, Some(MaskKey::from([9, 8, 7, 6]))] {
                        let compressed = opcode != Opcode::Continuation && len % 2 == 1;
                        let header = Header { fin, compressed, opcode, mask, len: len as u64 };
                        let bytes = HeaderBytes::new(FrameStart { opcode, fin, compressed }, len, mask);
                        let rules = if mask.is_some() { SERVER } else { CLIENT };
                        let rules = Rules { compression: true, ..rules };
                        assert_eq!(parse(&bytes, rules), Ok(Some((header, bytes.len()))));
                        for cut in 0..bytes.len() {
                            assert_eq!(parse(&bytes[..cut], rules), Ok(None));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn lengths_that_are_not_in_their_shortest_form_are_refused() {
        assert_eq!(client(&[0x82, 126, 0, 125]), Err(NonMinimalLength));
        assert_eq!(client(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), Err(NonMinimalLength));
        assert_eq!(client(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0, 1]), Err(NonMinimalLength));
    }

    #[test]
    fn a_length_with_its_top_bit_set_is_refused() {
        assert_eq!(client(&[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]), Err(LengthOverflow));
        assert_eq!(client(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]), Err(LengthOverflow));
        assert_eq!(
            server(&[0x82, 255, 255, 255, 255, 255, 255, 255, 255, 0xfc, 1, 2, 3, 4]),
            Err(LengthOverflow)
        );
    }

    #[test]
    fn a_broken_rule_is_seen_at_its_own_byte() {
        for bit in [0x40, 0x20, 0x10] {
            assert_eq!(server(&[0x81 | bit]), Err(ReservedBits));
        }
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            assert_eq!(server(&[0x80 | opcode]), Err(ReservedOpcode(opcode)));
        }
        for opcode in [8, 9, 10] {
            assert_eq!(server(&[opcode]), Err(FragmentedControlFrame));
            assert_eq!(server(&[0x80 | opcode, 0x80 | 126]), Err(ControlFrameTooLong));
            assert_eq!(server(&[0x80 | opcode, 0x80 | 127]), Err(ControlFrameTooLong));
        }
    }

    #[test]
    fn rsv1_is_refused_on_a_continuation_or_a_control_frame_and_where_no_compression_was_agreed() {
        let rules = Rules { compression: true, ..SERVER };
        for first in [0xc1, 0xc2, 0x41, 0x42] {
            assert_eq!(parse(&[first], rules), Ok(None));
            assert_eq!(server(&[first]), Err(ReservedBits));
        }
        for first in [0xc0, 0x40, 0xc8, 0xc9, 0xca, 0xc3, 0xe1, 0xd1, 0xa1, 0x91] {
            assert_eq!(parse(&[first], rules), Err(ReservedBits));
        }
    }

    #[test]
    fn who_must_mask_is_checked_unless_unmasked_frames_are_accepted() {
        assert_eq!(server(&[0x81, 0]), Err(UnmaskedFrameFromClient));
        assert_eq!(client(&[0x81, 0x80]), Err(MaskedFrameFromServer));
        let accepting = Rules { accept_unmasked: true, ..SERVER };
        assert_eq!(parse(&[0x81, 0], accepting).unwrap().unwrap().1, 2);
        assert_eq!(parse(&[0x81, 0x80, 1, 2, 3, 4], accepting).unwrap().unwrap().1, 6);
        let accepting = Rules { role: Role::Client, ..accepting };
        assert_eq!(parse(&[0x81, 0x80], accepting), Err(MaskedFrameFromServer));
    }
}
