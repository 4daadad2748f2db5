//! The small grammars of HTTP header fields (RFC 9110 section 5.6). Knows characters only: no field has a meaning here.

/// Whether this is a token: the grammar of methods, header names and subprotocols.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_char(byte))
}

/// Whether this may stand in a token.
pub(crate) fn is_token_char(byte: u8) -> bool {
    TOKEN_CHARS[usize::from(byte)]
}

const TOKEN_CHARS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let is_separator = matches!(
            byte as u8,
            b'"' | b'(' | b')' | b',' | b'/' | b':'..=b'@' | b'['..=b']' | b'{' | b'}'
        );
        table[byte] = (byte as u8).is_ascii_graphic() && !is_separator;
        byte += 1;
    }
    table
};

/// Whether this may be a header value: no control character but the tab, so no CR, LF and NUL.
pub(crate) fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control())
}

/// The elements of a comma-separated list, without the white space around them; empty elements do not count.
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// Whether a comma-separated list has `token` in it, in any case; it is to be written as for [`is_word`].
pub(crate) fn has_token<const N: usize>(value: &[u8], token: &[u8; N]) -> bool {
    // As a rule it is the only element.
    is_word(value, token) || list(value).any(|element| is_word(element, token))
}

/// Whether this is `word`, in any case. The word is of hyphens and small letters, the rest without control characters. A
/// length that is known makes it a tenth of the instructions of `eq_ignore_ascii_case`.
#[inline]
pub(crate) fn is_word<const N: usize>(bytes: &[u8], word: &[u8; N]) -> bool {
    // The bit is set in hyphens and small letters, and is all that capital letters lack.
    let differences = |bytes: &[u8; N]| bytes.iter().zip(word).fold(0, |all, (a, b)| all | ((a | 0x20) ^ b));
    bytes.try_into().is_ok_and(|bytes: &[u8; N]| differences(bytes) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_no_separators_controls_or_foreign_letters() {
        assert!(is_token(b"chat.v2~x_|!"));
        let allowed = (0..=255).filter(|&byte| is_token(&[byte]));
        assert!(
            allowed.eq((0..=255)
                .filter(|byte: &u8| { byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte) }))
        );
        for bad in ["", " ", "a b", "a,b", "a\r\n", "a\0", "\"a\"", "a/b", "a:b", "ä", "a=b", "\x7f"] {
            assert!(!is_token(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn values_have_no_control_characters_but_tabs() {
        assert!(is_field_value("".as_bytes()) && is_field_value("a\tb \"c\" ü".as_bytes()));
        for bad in ["\r", "\n", "a\r\nb: c", "\0", "\x0b", "\x7f"] {
            assert!(!is_field_value(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn a_token_is_found_as_a_whole_element_only() {
        for yes in ["upgrade", "Upgrade", "keep-alive, Upgrade", "a,,UPGRADE\t,b", " upgrade "] {
            assert!(has_token(yes.as_bytes(), b"upgrade"), "{yes:?}");
        }
        for no in [
            "",
            ",",
            "notupgrade",
            "upgrades",
            "up grade",
            "keep-alive upgrade",
            "\"upgrade\"",
            "upgrade;q=1",
        ] {
            assert!(!has_token(no.as_bytes(), b"upgrade"), "{no:?}");
        }
    }
}
