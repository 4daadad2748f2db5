//! What two peers agree on before a message is compressed (RFC 7692 sections 5 and 7.1): header text in, parameters out.
//! Knows the four parameters of permessage-deflate; does not know how a head is read, nor how anything is compressed.

use crate::config::DeflateConfig;
use crate::error::HandshakeError;
use crate::http::extensions::{Extensions, characters};
use std::fmt;

/// The parameters that both peers have agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// Base-2 logarithm of the window that the client compresses with, 8 to 15.
    pub client_max_window_bits: u8,
    /// The same for the server.
    pub server_max_window_bits: u8,
    /// The client begins each message without the window of the one before.
    pub client_no_context_takeover: bool,
    /// The same for the server.
    pub server_no_context_takeover: bool,
}

impl Agreed {
    /// What two ends of the same configuration would agree on.
    pub fn as_configured(config: &DeflateConfig) -> Self {
        Self {
            client_max_window_bits: in_range(config.client_max_window_bits),
            server_max_window_bits: in_range(config.server_max_window_bits),
            client_no_context_takeover: config.client_no_context_takeover,
            server_no_context_takeover: config.server_no_context_takeover,
        }
    }
}

/// Client: the value of `Sec-WebSocket-Extensions` that asks for permessage-deflate.
pub(crate) fn offer(config: &DeflateConfig) -> String {
    let offer = Parameters {
        client_max_window_bits: Some(in_range(config.client_max_window_bits)),
        server_max_window_bits: below_max(in_range(config.server_max_window_bits)),
        client_no_context_takeover: config.client_no_context_takeover,
        server_no_context_takeover: config.server_no_context_takeover,
        ..Parameters::default()
    };
    offer.to_string()
}

/// Server: what the values of the client's `Sec-WebSocket-Extensions` headers lead to, and the value of the header that
/// says so. The first offer that can be accepted is: one with an unknown parameter, with one that is there twice, or with a
/// value that it cannot have is declined (RFC 7692 section 7.1), and other extensions are passed over. What is no list
/// of extensions at all is an error.
pub(crate) fn respond<'a>(
    values: impl Iterator<Item = &'a [u8]>,
    config: &DeflateConfig,
) -> Result<Option<(Agreed, String)>, HandshakeError> {
    let mut first = None;
    for value in values {
        let mut extensions = Extensions::new(value);
        while let Some(name) = extensions.next_name()? {
            if name != NAME.as_bytes() {
                while extensions.next_parameter()?.is_some() {}
                continue;
            }
            let offer = Parameters::read(&mut extensions, OFFER)?;
            if first.is_none() && !offer.has_unknown && offer.illegal.is_none() {
                first = Some(offer);
            }
        }
    }
    Ok(first.map(|offer| answer(&offer, config)))
}

/// Client: what the values of the server's `Sec-WebSocket-Extensions` headers agree to, given that [`offer`] was sent, or
/// nothing where there is no configuration.
pub(crate) fn verify<'a>(
    values: impl Iterator<Item = &'a [u8]>,
    offered: Option<&DeflateConfig>,
) -> Result<Option<Agreed>, HandshakeError> {
    let mut agreed = None;
    for value in values {
        let mut extensions = Extensions::new(value);
        while let Some(name) = extensions.next_name()? {
            let config = offered.filter(|_| name == NAME.as_bytes()).ok_or(NOT_OFFERED)?;
            if agreed.is_some() {
                return Err(HandshakeError::Rule("the response contains permessage-deflate twice"));
            }
            let response = Parameters::read(&mut extensions, RESPONSE)?;
            if let Some(why) = response.illegal {
                return Err(HandshakeError::Rule(why));
            }
            if response.has_unknown {
                return Err(HandshakeError::Rule(
                    "the response has an unknown parameter of permessage-deflate",
                ));
            }
            agreed = Some(check(&response, config)?);
        }
    }
    Ok(agreed)
}

const NOT_OFFERED: HandshakeError =
    HandshakeError::Rule("the response contains an extension that was not offered");

const NAME: &str = "permessage-deflate";
const CLIENT_BITS: &str = "client_max_window_bits";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_RESET: &str = "client_no_context_takeover";
const SERVER_RESET: &str = "server_no_context_takeover";

const MIN_BITS: u8 = 8;
const MAX_BITS: u8 = 15;

/// What `client_max_window_bits` without a value stands for in an offer (RFC 7692 section 7.1.2.2).
const OFFER: Option<u8> = Some(MAX_BITS);
/// In a response it needs one.
const RESPONSE: Option<u8> = None;

/// The parameters of one offer or response.
#[derive(Debug, Default)]
struct Parameters {
    client_max_window_bits: Option<u8>,
    server_max_window_bits: Option<u8>,
    client_no_context_takeover: bool,
    server_no_context_takeover: bool,
    has_unknown: bool,
    /// The first parameter that is there twice or has a value that it cannot have.
    illegal: Option<&'static str>,
}

impl Parameters {
    /// Reads the parameters of the extension named last, from an [`OFFER`] or a [`RESPONSE`]. An error: they are none.
    fn read(extensions: &mut Extensions, without_value: Option<u8>) -> Result<Self, HandshakeError> {
        let mut read = Self::default();
        while let Some((name, value)) = extensions.next_parameter()? {
            let set = match str::from_utf8(name) {
                Ok(CLIENT_BITS) => set_bits(
                    &mut read.client_max_window_bits,
                    value.map_or(without_value, window_bits),
                    "client_max_window_bits occurs twice",
                    "client_max_window_bits is not a number from 8 to 15",
                ),
                Ok(SERVER_BITS) => set_bits(
                    &mut read.server_max_window_bits,
                    value.and_then(window_bits),
                    "server_max_window_bits occurs twice",
                    "server_max_window_bits is not a number from 8 to 15",
                ),
                Ok(CLIENT_RESET) => set_flag(
                    &mut read.client_no_context_takeover,
                    value,
                    "client_no_context_takeover occurs twice",
                    "client_no_context_takeover has a value",
                ),
                Ok(SERVER_RESET) => set_flag(
                    &mut read.server_no_context_takeover,
                    value,
                    "server_no_context_takeover occurs twice",
                    "server_no_context_takeover has a value",
                ),
                _ => {
                    read.has_unknown = true;
                    continue;
                }
            };
            read.illegal = read.illegal.or(set.err());
        }
        Ok(read)
    }
}

/// As the header has it. A limit on the client of 15 bits is written without its value: it leaves the choice to the
/// server, and only an offer has it.
impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            write!(f, "; {SERVER_RESET}")?;
        }
        if self.client_no_context_takeover {
            write!(f, "; {CLIENT_RESET}")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; {SERVER_BITS}={bits}")?;
        }
        match self.client_max_window_bits {
            None => Ok(()),
            Some(MAX_BITS) => write!(f, "; {CLIENT_BITS}"),
            Some(bits) => write!(f, "; {CLIENT_BITS}={bits}"),
        }
    }
}

/// The answer to an offer, every one of which can be met: what the client asks for, and what is configured here.
fn answer(offer: &Parameters, config: &DeflateConfig) -> (Agreed, String) {
    let agreed = Agreed {
        // A client that does not know the parameter cannot be limited (RFC 7692 section 7.1.2.2).
        client_max_window_bits: match offer.client_max_window_bits {
            Some(bits) => bits.min(in_range(config.client_max_window_bits)),
            None => MAX_BITS,
        },
        server_max_window_bits: offer
            .server_max_window_bits
            .unwrap_or(MAX_BITS)
            .min(in_range(config.server_max_window_bits)),
        client_no_context_takeover: offer.client_no_context_takeover || config.client_no_context_takeover,
        server_no_context_takeover: offer.server_no_context_takeover || config.server_no_context_takeover,
    };
    let response = Parameters {
        client_max_window_bits: below_max(agreed.client_max_window_bits),
        // An offer that has it is accepted by repeating it, even with 15 (RFC 7692 section 7.1.2.1).
        server_max_window_bits: match offer.server_max_window_bits {
            Some(_) => Some(agreed.server_max_window_bits),
            None => below_max(agreed.server_max_window_bits),
        },
        client_no_context_takeover: agreed.client_no_context_takeover,
        server_no_context_takeover: agreed.server_no_context_takeover,
        ..Parameters::default()
    };
    (agreed, response.to_string())
}

/// Checks a response against what was offered. What the client only announced of itself holds without an answer; what
/// it asked of the server has to be confirmed (RFC 7692 section 7.1).
fn check(response: &Parameters, config: &DeflateConfig) -> Result<Agreed, HandshakeError> {
    let offered = in_range(config.client_max_window_bits);
    let client_max_window_bits = response.client_max_window_bits.unwrap_or(offered);
    if client_max_window_bits > offered {
        return Err(HandshakeError::Rule("client_max_window_bits is larger than offered"));
    }
    let asked = in_range(config.server_max_window_bits);
    let server_max_window_bits = match response.server_max_window_bits {
        Some(bits) if bits > asked => {
            return Err(HandshakeError::Rule("server_max_window_bits is larger than requested"));
        }
        Some(bits) => bits,
        None if asked < MAX_BITS => {
            return Err(HandshakeError::Rule("server_max_window_bits was requested but is missing"));
        }
        None => MAX_BITS,
    };
    if config.server_no_context_takeover && !response.server_no_context_takeover {
        return Err(HandshakeError::Rule("server_no_context_takeover was requested but is missing"));
    }
    Ok(Agreed {
        client_max_window_bits,
        server_max_window_bits,
        client_no_context_takeover: response.client_no_context_takeover || config.client_no_context_takeover,
        server_no_context_takeover: response.server_no_context_takeover,
    })
}

fn set_bits(
    place: &mut Option<u8>,
    bits: Option<u8>,
    twice: &'static str,
    illegal: &'static str,
) -> Result<(), &'static str> {
    match place.replace(bits.ok_or(illegal)?) {
        None => Ok(()),
        Some(_) => Err(twice),
    }
}

fn set_flag(
    place: &mut bool,
    value: Option<&[u8]>,
    twice: &'static str,
    illegal: &'static str,
) -> Result<(), &'static str> {
    if value.is_some() {
        return Err(illegal);
    }
    match std::mem::replace(place, true) {
        false => Ok(()),
        true => Err(twice),
    }
}

/// A decimal number from 8 to 15 without leading zeros.
fn window_bits(value: &[u8]) -> Option<u8> {
    let mut digits = characters(value);
    match (digits.next(), digits.next(), digits.next()) {
        (Some(digit @ b'8'..=b'9'), None, None) => Some(digit - b'0'),
        (Some(b'1'), Some(digit @ b'0'..=b'5'), None) => Some(10 + digit - b'0'),
        _ => None,
    }
}

fn in_range(configured: u8) -> u8 {
    configured.clamp(MIN_BITS, MAX_BITS)
}

fn below_max(bits: u8) -> Option<u8> {
    Some(bits).filter(|&bits| bits < MAX_BITS)
}

#[cfg(test)]
mod tests;
