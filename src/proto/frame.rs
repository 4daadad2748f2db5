//! One frame header (RFC 6455 section 5.2): reading and writing it. Knows the rules that a header can break by
//! itself, byte by byte and at the earliest byte; not what came before it.

use crate::error::ProtocolError;
use crate::message::{Kind, Role};
use crate::proto::mask::MaskKey;

/// Longest header: two bytes, a 64-bit length, a masking key.
pub const MAX_HEADER: usize = 14;
/// Longest payload of a control frame (RFC 6455 section 5.5).
pub const MAX_CONTROL: usize = 125;

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
pub struct Header {
    /// The last frame of its message.
    pub fin: bool,
    /// What it carries.
    pub opcode: Opcode,
    /// The masking key, where the payload is masked.
    pub mask: Option<MaskKey>,
    /// Length of the payload in bytes.
    pub len: u64,
}

/// Reads the header at the start of `bytes`, sent by a peer of `role`'s other side; with it, its length. `None`:
/// it has not arrived whole. `accept_unmasked` lifts the masking rule for servers.
#[inline]
pub fn parse(
    bytes: &[u8],
    role: Role,
    accept_unmasked: bool,
) -> Result<Option<(Header, usize)>, ProtocolError> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    if first & 0x70 != 0 {
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
    match role {
        Role::Server if !masked && !accept_unmasked => return Err(ProtocolError::UnmaskedFrameFromClient),
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
    Ok(Some((Header { fin, opcode, mask, len }, header_len)))
}

/// A header in its wire form.
#[derive(Debug, Clone, Copy)]
pub struct HeaderBytes {
    bytes: [u8; MAX_HEADER],
    len: u8,
}

impl HeaderBytes {
    /// Writes `header` in the shortest form.
    #[inline]
    pub fn new(header: &Header) -> Self {
        let mut bytes = [0; MAX_HEADER];
        bytes[0] = match header.opcode {
            Opcode::Continuation => 0,
            Opcode::Kind(kind) => kind as u8,
        } | if header.fin { 0x80 } else { 0 };
        let mut len = match header.len {
            len @ 0..=125 => {
                bytes[1] = len as u8;
                2
            }
            len @ 126..=0xffff => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&(len as u16).to_be_bytes());
                4
            }
            len => {
                bytes[1] = 127;
                bytes[2..10].copy_from_slice(&len.to_be_bytes());
                10
            }
        };
        if let Some(mask) = header.mask {
            bytes[1] |= 0x80;
            bytes[len..len + 4].copy_from_slice(&mask.bytes());
            len += 4;
        }
        Self { bytes, len: len as u8 }
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

    fn server(bytes: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
        parse(bytes, Role::Server, false)
    }

    fn client(bytes: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
        parse(bytes, Role::Client, false)
    }

    #[test]
    fn every_header_form_comes_back_as_it_was_written() {
        for fin in [true, false] {
            for opcode in [Opcode::Continuation, Opcode::Kind(Kind::Text), Opcode::Kind(Kind::Binary)] {
                for len in [0, 1, 125, 126, 127, 65535, 65536, 1 << 32, (1 << 63) - 1] {
                    for mask in [None, Some(MaskKey::from([9, 8, 7, 6]))] {
                        let header = Header { fin, opcode, mask, len };
                        let bytes = HeaderBytes::new(&header);
                        let role = if mask.is_some() { Role::Server } else { Role::Client };
                        assert_eq!(parse(&bytes, role, false), Ok(Some((header, bytes.len()))));
                        for cut in 0..bytes.len() {
                            assert_eq!(parse(&bytes[..cut], role, false), Ok(None));
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
        assert_eq!(server(&[0x82, 255, 255, 255, 255, 255, 255, 255, 255, 0xfc, 1, 2, 3, 4]), Err(LengthOverflow));
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
    fn who_must_mask_is_checked_unless_unmasked_frames_are_accepted() {
        assert_eq!(server(&[0x81, 0]), Err(UnmaskedFrameFromClient));
        assert_eq!(client(&[0x81, 0x80]), Err(MaskedFrameFromServer));
        assert_eq!(parse(&[0x81, 0], Role::Server, true).unwrap().unwrap().1, 2);
        assert_eq!(parse(&[0x81, 0x80, 1, 2, 3, 4], Role::Server, true).unwrap().unwrap().1, 6);
        assert_eq!(parse(&[0x81, 0x80], Role::Client, true), Err(MaskedFrameFromServer));
    }
}
