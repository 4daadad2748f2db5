//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1): names, parameters, values. Knows no extension.

use super::grammar::is_token;
use crate::error::HandshakeError;

/// Goes through one header value, front to back: the name of an extension, then its parameters, then the next. Every
/// byte is passed once and nothing is copied, so many extensions cost no more than their bytes.
#[derive(Debug)]
pub(crate) struct Extensions<'a> {
    rest: &'a [u8],
}

/// The name of a parameter and its value, where it has one: without the quotes, for [`characters`].
pub(crate) type Parameter<'a> = (&'a [u8], Option<&'a [u8]>);

impl<'a> Extensions<'a> {
    pub(crate) fn new(value: &'a [u8]) -> Self {
        Self { rest: value }
    }

    /// The name of the next extension. Empty elements of the list do not count (RFC 9110 section 5.6.1.2).
    pub(crate) fn next_name(&mut self) -> Result<Option<&'a [u8]>, HandshakeError> {
        self.take_while(|byte| is_space(byte) || byte == b',');
        if self.rest.is_empty() { Ok(None) } else { self.token().map(Some) }
    }

    /// The next parameter of the extension named last. A value that is empty counts as one: what it means to the
    /// parameter is not known here.
    pub(crate) fn next_parameter(&mut self) -> Result<Option<Parameter<'a>>, HandshakeError> {
        if !self.skip(b';') {
            return if matches!(self.rest, [] | [b',', ..]) { Ok(None) } else { Err(MALFORMED) };
        }
        self.take_while(is_space);
        let name = self.token()?;
        if !self.skip(b'=') {
            return Ok(Some((name, None)));
        }
        self.take_while(is_space);
        let value = match self.rest.split_first() {
            Some((b'"', rest)) => {
                self.rest = rest;
                self.quoted()?
            }
            _ => self.take_while(is_token_char),
        };
        Ok(Some((name, Some(value))))
    }

    fn token(&mut self) -> Result<&'a [u8], HandshakeError> {
        let token = self.take_while(is_token_char);
        if token.is_empty() { Err(MALFORMED) } else { Ok(token) }
    }

    /// What stands before the quote that ends a string, which is passed too. One behind a backslash does not end it.
    fn quoted(&mut self) -> Result<&'a [u8], HandshakeError> {
        let mut is_escaped = false;
        let text = self.take_while(|byte| {
            let goes_on = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
            goes_on
        });
        let (_quote, rest) = self.rest.split_first().ok_or(MALFORMED)?;
        self.rest = rest;
        Ok(text)
    }

    /// Passes this separator, if it is next but for white space.
    fn skip(&mut self, separator: u8) -> bool {
        self.take_while(is_space);
        match self.rest.split_first() {
            Some((&first, rest)) if first == separator => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn take_while(&mut self, mut goes_on: impl FnMut(u8) -> bool) -> &'a [u8] {
        let length = self.rest.iter().position(|&byte| !goes_on(byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }
}

/// What a value says once its escapes are undone: a quoted value means the same as one without quotes.
pub(crate) fn characters(value: &[u8]) -> impl Iterator<Item = u8> {
    let mut bytes = value.iter().copied();
    std::iter::from_fn(move || match bytes.next()? {
        b'\\' => bytes.next(),
        byte => Some(byte),
    })
}

const MALFORMED: HandshakeError =
    HandshakeError::Rule("Sec-WebSocket-Extensions is not a list of extensions");

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_token_char(byte: u8) -> bool {
    is_token(&[byte])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a; b=c` as `a;b=c`, one string for each extension.
    fn read(value: &str) -> Result<Vec<String>, HandshakeError> {
        let mut extensions = Extensions::new(value.as_bytes());
        let mut all = Vec::new();
        while let Some(name) = extensions.next_name()? {
            let mut text = String::from_utf8(name.to_vec()).unwrap();
            while let Some((name, value)) = extensions.next_parameter()? {
                text += &format!(";{}", str::from_utf8(name).unwrap());
                if let Some(value) = value {
                    text += &format!("={}", String::from_utf8(characters(value).collect()).unwrap());
                }
            }
            all.push(text);
        }
        Ok(all)
    }

    #[test]
    fn extensions_come_apart() {
        for (value, parts) in [
            ("", &[][..]),
            (" ,\t, ", &[]),
            ("a", &["a"]),
            ("a,b", &["a", "b"]),
            (" ,a ;b\t; c = d , e;f=\"g\" ,", &["a;b;c=d", "e;f=g"]),
            ("a;b=,c;d=\"\"", &["a;b=", "c;d="]),
        ] {
            assert_eq!(read(value).unwrap(), parts, "{value:?}");
        }
    }

    #[test]
    fn quoted_commas_semicolons_and_escaped_quotes_end_nothing() {
        for (value, parts) in [
            (r#"a; x="10, permessage-deflate", b"#, &["a;x=10, permessage-deflate", "b"][..]),
            (r#"a; x="; y=1", b"#, &["a;x=; y=1", "b"]),
            (r#"a; x="\", b; \\"; y, c"#, &[r#"a;x=", b; \;y"#, "c"]),
            (r#"a; x="1\0""#, &["a;x=10"]),
        ] {
            assert_eq!(read(value).unwrap(), parts, "{value:?}");
        }
    }

    #[test]
    fn what_is_no_list_of_extensions_is_refused() {
        for bad in [
            ";",
            "a;",
            "a;;b",
            "a; ,b",
            "a b",
            "a; b c",
            "a; b=c d",
            "a=b",
            "\"a\"",
            "a; \"b\"",
            "a; =b",
            "a; b=\"",
            "a; b=\"c",
            "a; b=\"c\\\"",
            "a; b=\"c\"d",
            "a; b==c",
            "a/b",
            "ä",
            "a; b=ä",
            "a; b=c\"d\"",
        ] {
            assert_eq!(read(bad), Err(MALFORMED), "{bad:?}");
        }
    }

    #[test]
    fn a_thousand_extensions_are_passed_once_and_whole() {
        let value = vec![r#"a; b="\,\c"; d"#; 1000].join(",");
        assert_eq!(read(&value).unwrap(), vec!["a;b=,c;d"; 1000]);
    }
}
