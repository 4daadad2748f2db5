//! Frames in wire form, written and read without the library's help (RFC 6455 section 5.2).

use wsabi::Role;

/// First bytes of frames.
pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;
/// Fragments: FIN is clear but in the last.
pub const TEXT_PART: u8 = 0x01;
pub const BINARY_PART: u8 = 0x02;
pub const MORE: u8 = 0x00;
pub const LAST: u8 = 0x80;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame as it was seen on the wire, unmasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// FIN, the reserved bits and the opcode.
    pub first: u8,
    pub payload: Vec<u8>,
    pub key: Option<[u8; 4]>,
}

impl Frame {
    /// The code and the reason of a Close.
    pub fn close(&self) -> (u16, &[u8]) {
        assert_eq!(self.first, CLOSE, "not a Close: {self:?}");
        match &self.payload[..] {
            [] => (1005, &[]),
            [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
            [_] => panic!("a Close of one byte"),
        }
    }
}

/// A frame of this sender, masked where it must be.
pub fn frame(sender: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(sender, first, payload.len() as u64);
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    if sender == Role::Client {
        xor(&mut bytes[start..], KEY);
    }
    bytes
}

/// Only the header of such a frame.
pub fn header(sender: Role, first: u8, len: u64) -> Vec<u8> {
    let mask = if sender == Role::Client { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match len {
        0..=125 => bytes.push(mask | len as u8),
        126..=0xffff => {
            bytes.push(mask | 126);
            bytes.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            bytes.push(mask | 127);
            bytes.extend_from_slice(&len.to_be_bytes());
        }
    }
    if sender == Role::Client {
        bytes.extend_from_slice(&KEY);
    }
    bytes
}

/// The payload of a Close.
pub fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

/// Cuts what `sender` sent into frames; the bytes of an unfinished one are left over. Every rule for senders is checked.
pub fn parse(sender: Role, mut bytes: &[u8]) -> (Vec<Frame>, usize) {
    let mut frames = Vec::new();
    while let Some((frame, len)) = parse_one(sender, bytes) {
        frames.push(frame);
        bytes = &bytes[len..];
    }
    (frames, bytes.len())
}

fn parse_one(sender: Role, bytes: &[u8]) -> Option<(Frame, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    assert_eq!(first & 0x70, 0, "a reserved bit was sent");
    assert_eq!(second & 0x80 != 0, sender == Role::Client, "clients mask, servers do not");
    let (len, mut at) = match second & 0x7f {
        126 => {
            let len = u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap()));
            assert!(len > 125, "the shortest form of a length");
            (len, 4)
        }
        127 => {
            let len = u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap());
            assert!(len > 0xffff && len >> 63 == 0, "the shortest form of a length");
            (len, 10)
        }
        len => (u64::from(len), 2),
    };
    if first & 0x08 != 0 {
        assert!(first & 0x80 != 0 && len <= 125, "control frames are whole and short");
    }
    let key: Option<[u8; 4]> = match sender {
        Role::Client => Some(bytes.get(at..at + 4)?.try_into().unwrap()),
        Role::Server => None,
    };
    at += key.map_or(0, |key| key.len());
    let mut payload = bytes.get(at..at + len as usize)?.to_vec();
    if let Some(key) = key {
        xor(&mut payload, key);
    }
    Some((Frame { first, payload, key }, at + len as usize))
}

fn xor(bytes: &mut [u8], key: [u8; 4]) {
    bytes.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
}

/// The other end.
pub fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}
