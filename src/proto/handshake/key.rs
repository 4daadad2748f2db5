//! `Sec-WebSocket-Key` and its answer, `Sec-WebSocket-Accept` (RFC 6455 sections 4.1 and 4.2.2). Knows the two strings
//! and nothing of the heads they travel in. No heap memory.

use crate::error::Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest as _, Sha1};
use std::io;

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A new random key: 16 bytes, written in base64. Fails only where the system provides no random bytes.
pub(super) fn generate_key() -> Result<[u8; 24], Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::other("the system provides no random bytes"),
    })?;
    Ok(encode(&random))
}

/// The answer that proves that this key was read by a WebSocket server.
pub fn accept_key(key: &[u8; 24]) -> [u8; 28] {
    let mut both = [0; 24 + GUID.len()];
    let (front, back) = both.split_at_mut(24);
    front.copy_from_slice(key);
    back.copy_from_slice(GUID);
    let digest: [u8; 20] = Sha1::digest(both).into();
    encode(&digest)
}

/// The key, if it is base64 of exactly 16 bytes: 22 characters and two of padding. The last character has four bits
/// to spare; clients that set them exist, and they are not looked at.
pub(super) fn checked_key(value: &[u8]) -> Option<[u8; 24]> {
    let key: [u8; 24] = value.try_into().ok()?;
    let (mut digits, padding) = (key, &key[22..]);
    digits[22..].fill(b'A');
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() | (byte == b'+') | (byte == b'/');
    // All of them, whatever the first says, and a length of whole vectors.
    let are_digits = digits.iter().fold(true, |all, &byte| all & is_digit(byte));
    (padding == b"==" && are_digits).then_some(key)
}

/// Base64 of a length known in advance: `N` has to be the length it takes.
fn encode<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut text = [0; N];
    let written = BASE64.encode_slice(bytes, &mut text);
    debug_assert_eq!(written, Ok(N));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(&accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn keys_differ_and_are_valid() {
        let (first, second) = (generate_key().unwrap(), generate_key().unwrap());
        assert_ne!(first, second);
        assert_eq!(checked_key(&first), Some(first));
        assert_eq!(BASE64.decode_slice(first, &mut [0; 18]), Ok(16));
    }

    #[test]
    fn keys_of_15_and_17_bytes_and_bad_base64_are_refused() {
        assert!(checked_key(b"dGhlIHNhbXBsZSBub25jZQ==").is_some());
        let fifteen: [u8; 20] = encode(&[7; 15]);
        let seventeen: [u8; 24] = encode(&[7; 17]);
        let eighteen: [u8; 24] = encode(&[7; 18]);
        let bad: [&[u8]; 9] = [
            b"",
            &fifteen,
            &seventeen,
            &eighteen,
            b"dGhlIHNhbXBsZSBub25jZQ",
            b"dGhlIHNhbXBsZSBub25jZQ=",
            b"dGhlIHNhbXBsZSBub25jZQ===",
            b"dGhl-HNhbXBsZSBub25jZQ==",
            b"dGhlIHNhbXBs ZSBub25jZQ=",
        ];
        for key in bad {
            assert_eq!(checked_key(key), None, "{:?}", str::from_utf8(key));
        }
    }
}
