use super::*;
use crate::random::Random;
use std::iter::once;

const DEFAULT: Agreed = Agreed {
    client_max_window_bits: 15,
    server_max_window_bits: 15,
    client_no_context_takeover: false,
    server_no_context_takeover: false,
};
const PARAMETERS: [&str; 4] = [CLIENT_BITS, SERVER_BITS, CLIENT_RESET, SERVER_RESET];

fn config(client_bits: u8, server_bits: u8, client_reset: bool, server_reset: bool) -> DeflateConfig {
    DeflateConfig {
        client_max_window_bits: client_bits,
        server_max_window_bits: server_bits,
        client_no_context_takeover: client_reset,
        server_no_context_takeover: server_reset,
        ..DeflateConfig::default()
    }
}

fn every_config() -> impl Iterator<Item = DeflateConfig> {
    let bits = [8, 9, 12, 15];
    let all = (0..64).map(move |n| (bits[n & 3], bits[n >> 2 & 3], n & 16 != 0, n & 32 != 0));
    all.map(|(client_bits, server_bits, client, server)| config(client_bits, server_bits, client, server))
}

fn respond(offers: &str, config: &DeflateConfig) -> Result<Option<(Agreed, String)>, HandshakeError> {
    super::respond(once(offers.as_bytes()), config)
}

/// The response of a server without wishes of its own.
fn response_to(offers: &str) -> Option<String> {
    respond(offers, &DeflateConfig::default()).unwrap().map(|(_, response)| response)
}

fn verify(response: &str, config: &DeflateConfig) -> Result<Option<Agreed>, HandshakeError> {
    super::verify(once(response.as_bytes()), Some(config))
}

/// A server declines `permessage-deflate; TEXT` and takes the next offer; a client takes it for an error, about this
/// parameter.
#[track_caller]
fn declined_and_refused(text: &str, parameter: &str) {
    let text = format!("{NAME}; {text}");
    let default = DeflateConfig::default();
    assert_eq!(respond(&text, &default), Ok(None), "{text}");
    let taken = "permessage-deflate; server_max_window_bits=10";
    for offers in [format!("{text}, {taken}, {NAME}"), format!("{taken}, {text}")] {
        assert_eq!(response_to(&offers).as_deref(), Some(taken), "{offers}");
    }
    let error = verify(&text, &default).unwrap_err();
    assert!(error.to_string().contains(parameter), "{text}: {error}");
}

#[test]
fn an_offer_says_what_differs_from_the_defaults_and_always_hints_at_the_clients_window() {
    for (config, offer) in [
        (config(15, 15, false, false), "permessage-deflate; client_max_window_bits"),
        (config(9, 15, false, false), "permessage-deflate; client_max_window_bits=9"),
        (
            config(15, 8, false, true),
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=8; client_max_window_bits",
        ),
        (
            config(8, 10, true, false),
            "permessage-deflate; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=8",
        ),
        (config(0, 255, false, false), "permessage-deflate; client_max_window_bits=8"),
    ] {
        assert_eq!(super::offer(&config), offer);
    }
}

#[test]
fn both_ends_agree_whatever_is_configured() {
    for client in every_config() {
        for server in every_config() {
            let (agreed, response) = respond(&super::offer(&client), &server).unwrap().unwrap();
            assert_eq!(verify(&response, &client).unwrap(), Some(agreed), "{client:?} {server:?}");
            let expected = Agreed {
                client_max_window_bits: client.client_max_window_bits.min(server.client_max_window_bits),
                server_max_window_bits: client.server_max_window_bits.min(server.server_max_window_bits),
                client_no_context_takeover: client.client_no_context_takeover
                    || server.client_no_context_takeover,
                server_no_context_takeover: client.server_no_context_takeover
                    || server.server_no_context_takeover,
            };
            assert_eq!(agreed, expected, "{client:?} {server:?}");
        }
    }
}

/// Section 7.1 as a table: every offer of a foreign client against every configuration of a server.
#[test]
fn a_server_answers_each_parameter_by_the_rfc() {
    let windows = [None, Some(""), Some("=8"), Some("=10"), Some("=15")];
    let number = |text: &str| text.trim_start_matches('=').parse().unwrap_or(15);
    for server in every_config() {
        for n in 0..100 {
            let (client_bits, server_bits) =
                (windows[n % 5], windows[n / 5 % 5].filter(|text| !text.is_empty()));
            let (client_reset, server_reset) = (n / 25 % 2 == 1, n / 50 == 1);
            let mut offer = NAME.to_owned();
            for (name, value) in [(CLIENT_BITS, client_bits), (SERVER_BITS, server_bits)] {
                offer += &value.map(|value| format!(" ;{name}{value}")).unwrap_or_default();
            }
            for (name, is_there) in [(CLIENT_RESET, client_reset), (SERVER_RESET, server_reset)] {
                offer += &if is_there { format!(";{name}") } else { String::new() };
            }
            let (agreed, response) = respond(&offer, &server).unwrap().unwrap();
            let says = |text: &str| response.split("; ").any(|part| part == text);
            let context = format!("{offer} | {server:?} | {response}");

            // The client can be limited only if it says that it knows the parameter.
            let limit = client_bits.map_or(15, |text| server.client_max_window_bits.min(number(text)));
            assert_eq!(agreed.client_max_window_bits, limit, "{context}");
            assert_eq!(says(&format!("{CLIENT_BITS}={limit}")), limit < 15, "{context}");
            assert_eq!(response.contains(CLIENT_BITS), limit < 15, "{context}");
            // The server must repeat what was asked of it, and may limit itself unasked.
            let limit = server.server_max_window_bits.min(server_bits.map_or(15, number));
            assert_eq!(agreed.server_max_window_bits, limit, "{context}");
            assert_eq!(
                says(&format!("{SERVER_BITS}={limit}")),
                server_bits.is_some() || limit < 15,
                "{context}"
            );
            // Either end can ask for a reset of either.
            let reset = client_reset || server.client_no_context_takeover;
            assert_eq!((agreed.client_no_context_takeover, says(CLIENT_RESET)), (reset, reset), "{context}");
            let reset = server_reset || server.server_no_context_takeover;
            assert_eq!((agreed.server_no_context_takeover, says(SERVER_RESET)), (reset, reset), "{context}");
        }
    }
}

#[test]
fn a_client_judges_each_parameter_by_the_rfc() {
    let numbers = [None, Some(8), Some(10), Some(15)];
    for client in every_config() {
        for n in 0..64 {
            let (client_bits, server_bits) = (numbers[n & 3], numbers[n >> 2 & 3]);
            let (client_reset, server_reset) = (n & 16 != 0, n & 32 != 0);
            let mut response = NAME.to_owned();
            for (name, bits) in [(CLIENT_BITS, client_bits), (SERVER_BITS, server_bits)] {
                response += &bits.map(|bits: u8| format!("; {name}={bits}")).unwrap_or_default();
            }
            for (name, is_there) in [(CLIENT_RESET, client_reset), (SERVER_RESET, server_reset)] {
                response += &if is_there { format!("; {name}") } else { String::new() };
            }
            let verdict = verify(&response, &client);
            let context = format!("{response} | {client:?} | {verdict:?}");
            let asked = client.server_max_window_bits;
            let culprit = if client_bits.is_some_and(|bits| bits > client.client_max_window_bits) {
                Some(CLIENT_BITS)
            } else if server_bits.unwrap_or(15) > asked {
                Some(SERVER_BITS)
            } else if client.server_no_context_takeover && !server_reset {
                Some(SERVER_RESET)
            } else {
                None
            };
            match (verdict, culprit) {
                (Ok(agreed), None) => {
                    let expected = Agreed {
                        client_max_window_bits: client_bits.unwrap_or(client.client_max_window_bits),
                        server_max_window_bits: server_bits.unwrap_or(15),
                        client_no_context_takeover: client_reset || client.client_no_context_takeover,
                        server_no_context_takeover: server_reset,
                    };
                    assert_eq!(agreed, Some(expected), "{context}");
                }
                (Err(error), Some(culprit)) => {
                    assert!(error.to_string().starts_with(culprit), "{context}");
                }
                _ => panic!("{context}"),
            }
        }
    }
}

#[test]
fn window_bits_0_7_16_99999_empty_missing_signed_and_with_a_leading_zero_are_declined_or_refused_by_name() {
    for name in [CLIENT_BITS, SERVER_BITS] {
        for bad in [
            "0", "7", "16", "99999", "", "\"\"", "\"0\"", "\"16\"", "\" 10\"", "+10", "-10", "\"-9\"", "08",
            "010", "\"010\"", "1e1", "0xA", "10.0", "ten", "8x", "1", "2", "80", "151",
        ] {
            declined_and_refused(&format!("{name}={bad}"), name);
            declined_and_refused(&format!("x; {name}={bad}"), name);
            declined_and_refused(&format!("{name}={bad}; x"), name);
        }
    }
    declined_and_refused("server_max_window_bits=18446744073709551624", SERVER_BITS); // 8, if it wraps
    declined_and_refused(r#"server_max_window_bits="1\"0""#, SERVER_BITS);
    declined_and_refused(SERVER_BITS, SERVER_BITS);
    let missing = verify("permessage-deflate; client_max_window_bits", &DeflateConfig::default());
    assert!(missing.unwrap_err().to_string().contains(CLIENT_BITS));
}

#[test]
fn window_bits_8_to_15_quoted_or_not_are_legal_at_both_ends() {
    for bits in 8..=15 {
        let agreed = Agreed { client_max_window_bits: bits, server_max_window_bits: bits, ..DEFAULT };
        let quoted = format!("\"{bits}\"");
        let escaped = bits.to_string().chars().map(|digit| format!("\\{digit}")).collect::<String>();
        for value in [bits.to_string(), quoted, format!("\"{escaped}\"")] {
            let text = format!("{NAME}; {CLIENT_BITS}={value}; {SERVER_BITS}={value}");
            assert_eq!(respond(&text, &DeflateConfig::default()).unwrap().unwrap().0, agreed, "{text}");
            assert_eq!(verify(&text, &DeflateConfig::default()).unwrap(), Some(agreed), "{text}");
        }
    }
}

#[test]
fn a_parameter_twice_is_declined_or_refused_by_name() {
    for name in PARAMETERS {
        let once = if name.ends_with("bits") { format!("{name}=10") } else { name.to_owned() };
        declined_and_refused(&format!("{once}; {once}"), name);
        declined_and_refused(&format!("{once}; {CLIENT_RESET}=1"), CLIENT_RESET);
        declined_and_refused(&format!("{once}; y; {once}"), name);
    }
    let hinted_twice = respond(
        "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
        &DeflateConfig::default(),
    );
    assert_eq!(hinted_twice, Ok(None));
}

#[test]
fn no_context_takeover_with_a_value_is_declined_or_refused_by_name() {
    for name in [CLIENT_RESET, SERVER_RESET] {
        for value in ["", "1", "true", "\"\""] {
            declined_and_refused(&format!("{name}={value}"), name);
        }
    }
}

#[test]
fn an_offer_with_an_unknown_parameter_is_declined_and_the_next_one_taken() {
    for declined in [
        "permessage-deflate; x",
        "permessage-deflate; x; x=1; x=\"\"",
        "permessage-deflate; client_max_window_bits; Server_No_Context_Takeover",
        "permessage-deflate; server_no_context_takeover; x=8",
        "permessage-bzip2; client_max_window_bits=99",
        "x-webkit-deflate-frame",
        "Permessage-Deflate",
        "permessage-deflate2; server_max_window_bits=8",
    ] {
        assert_eq!(response_to(declined), None, "{declined}");
        let taken = format!("permessage-deflate; server_max_window_bits=9, {declined}, {NAME}");
        assert_eq!(response_to(&taken).as_deref(), Some("permessage-deflate; server_max_window_bits=9"));
        let fallback = format!("{declined}, permessage-deflate; server_max_window_bits=10, {NAME}");
        let response = "permessage-deflate; server_max_window_bits=10";
        assert_eq!(response_to(&fallback).as_deref(), Some(response), "{declined}");
        let in_two_headers = [declined.as_bytes(), b"permessage-deflate; server_max_window_bits=10"];
        let (_, text) =
            super::respond(in_two_headers.into_iter(), &DeflateConfig::default()).unwrap().unwrap();
        assert_eq!(text, response, "{declined}");
    }
    let unknown = verify("permessage-deflate; x", &DeflateConfig::default()).unwrap_err();
    assert!(unknown.to_string().contains("unknown parameter"), "{unknown}");
}

#[test]
fn the_extension_named_twice_is_two_offers_but_no_response() {
    assert_eq!(response_to("permessage-deflate, permessage-deflate").as_deref(), Some(NAME));
    let default = DeflateConfig::default();
    let one = NAME.as_bytes();
    for error in [
        verify("permessage-deflate, permessage-deflate", &default),
        verify("permessage-deflate; server_no_context_takeover, permessage-deflate", &default),
        super::verify([one, one].into_iter(), Some(&default)),
    ] {
        assert!(error.unwrap_err().to_string().contains("twice"));
    }
}

#[test]
fn an_extension_that_was_not_offered_fails() {
    for response in [
        "x-webkit-deflate-frame",
        "permessage-deflate, foo",
        "foo, permessage-deflate",
        "permessage-deflatee",
        "permessage-deflat",
        "PERMESSAGE-DEFLATE",
    ] {
        let error = verify(response, &DeflateConfig::default()).unwrap_err();
        assert!(error.to_string().contains("not offered"), "{response}: {error}");
    }
}

#[test]
fn no_header_and_one_that_names_nothing_agree_to_nothing() {
    let default = DeflateConfig::default();
    assert_eq!(super::respond(std::iter::empty(), &default), Ok(None));
    for offered in [Some(&default), None] {
        assert_eq!(super::verify(std::iter::empty(), offered), Ok(None));
        for nothing in ["", " , ,"] {
            assert_eq!(respond(nothing, &default), Ok(None));
            assert_eq!(super::verify(once(nothing.as_bytes()), offered), Ok(None));
        }
        assert!(super::verify(once(&b"foo"[..]), offered).is_err());
    }
    assert_eq!(super::verify(once(NAME.as_bytes()), None), Err(NOT_OFFERED));
}

#[test]
fn a_quoted_comma_begins_no_offer() {
    let trap = r#"permessage-deflate; x="10, permessage-deflate""#;
    assert_eq!(response_to(trap), None);
    assert_eq!(response_to(r#"foo; x="\", permessage-deflate; y=""#), None);
    assert_eq!(
        response_to(&format!("{trap}, {NAME}; {SERVER_RESET}")).unwrap(),
        format!("{NAME}; {SERVER_RESET}")
    );
    assert!(verify(trap, &DeflateConfig::default()).is_err());
}

#[test]
fn a_thousand_offers_get_one_answer() {
    let mut offers = vec!["permessage-deflate; x=\"\\,\""; 999];
    assert_eq!(response_to(&offers.join(",")), None);
    offers.push("permessage-deflate; client_no_context_takeover");
    assert_eq!(response_to(&offers.join(",")).unwrap(), "permessage-deflate; client_no_context_takeover");
    let accepted = vec![NAME; 1000].join(",");
    assert_eq!(response_to(&accepted).as_deref(), Some(NAME));
    assert!(verify(&accepted, &DeflateConfig::default()).is_err());
}

#[test]
fn what_is_no_list_of_extensions_is_declined_and_refused() {
    for bad in [
        "permessage-deflate;",
        "permessage-deflate, foo bar",
        "permessage-deflate; x=\"",
        "=",
        "permessage-deflate ; ;",
    ] {
        let default = DeflateConfig::default();
        assert!(matches!(respond(bad, &default), Err(HandshakeError::Rule(_))), "{bad}");
        assert!(verify(bad, &default).is_err(), "{bad}");
    }
}

/// Pieces of offers in any order, cut anywhere: an answer, never a panic, and one that a client can live with.
#[test]
fn no_header_of_a_peer_panics() {
    let marks = [NAME, "; ", ";", ",", "=", "\"", "\\", "8", "15", " ", "x", "\u{fc}"];
    let pieces = [&PARAMETERS[..], &marks].concat();
    let mut generator = Random::new(1);
    let mut random = move |below: usize| generator.below(below);
    for _ in 0..50_000 {
        let text: String = (0..random(16)).map(|_| pieces[random(pieces.len())]).collect();
        let text = &text.as_bytes()[..text.len() - random(2).min(text.len())];
        let server = config(random(20) as u8, random(20) as u8, random(2) == 0, random(2) == 0);
        let _ = super::verify(once(text), Some(&server));
        if let Ok(Some((agreed, response))) = super::respond(once(text), &server) {
            let mut response = Extensions::new(response.as_bytes());
            assert_eq!(response.next_name(), Ok(Some(NAME.as_bytes())));
            let said = Parameters::read(&mut response, RESPONSE).unwrap();
            assert_eq!(said.client_max_window_bits.unwrap_or(15), agreed.client_max_window_bits);
            assert_eq!(said.server_max_window_bits.unwrap_or(15), agreed.server_max_window_bits);
        }
    }
}
