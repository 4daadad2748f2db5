//! What URLs mean, what is refused, and what is said about it.

use super::*;
use crate::random::Random;

fn parts(text: &str) -> (bool, String, u16, String, String) {
    let url = Url::parse(text).expect(text);
    (url.secure, url.host, url.port, url.authority, url.target)
}

#[track_caller]
fn expect(text: &str, secure: bool, host: &str, port: u16, authority: &str, target: &str) {
    assert_eq!(parts(text), (secure, host.to_owned(), port, authority.to_owned(), target.to_owned()));
}

#[test]
fn urls_come_apart() {
    expect("ws://example.com", false, "example.com", 80, "example.com", "/");
    expect("ws://example.com:80/", false, "example.com", 80, "example.com", "/");
    expect("ws://example.com:/", false, "example.com", 80, "example.com", "/");
    expect("wss://example.com:80", true, "example.com", 80, "example.com:80", "/");
    expect("wss://example.com:443?", true, "example.com", 443, "example.com", "/?");
    expect("WSS://Example.com/a%20b/?x=1&y=/?", true, "example.com", 443, "example.com", "/a%20b/?x=1&y=/?");
    expect("Ws://127.0.0.1:9001?q", false, "127.0.0.1", 9001, "127.0.0.1:9001", "/?q");
    expect("ws://[::1]:9001/", false, "::1", 9001, "[::1]:9001", "/");
    expect("ws://[2001:DB8:0::1]//a", false, "2001:db8::1", 80, "[2001:db8::1]", "//a");
    expect("ws://my_host-1.local./", false, "my_host-1.local.", 80, "my_host-1.local.", "/");
}

/// Else a program's list of hosts that are allowed says one thing, and the resolver of the system another.
#[test]
fn a_host_is_what_the_url_standard_says_it_is() {
    for (host, normalised) in [
        ("0", "0.0.0.0"),
        ("127.1", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0177.0.0.01", "127.0.0.1"),
        ("0X7F000001", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("1e2", "1e2"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("faß.de", "xn--fa-hia.de"),
        ("☃.net", "xn--n3h.net"),
        ("ｅｘａｍｐｌｅ。com", "example.com"),
        ("１２７.１", "127.0.0.1"),
        ("soft\u{ad}hyphen", "softhyphen"),
        ("[::ffff:127.0.0.1]", "::ffff:7f00:1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
    ] {
        for scheme in ["ws", "wss"] {
            let url = Url::parse(&format!("{scheme}://{host}:9001/a")).expect(host);
            assert_eq!((url.host(), url.port()), (normalised, 9001), "{host}");
            let bracketed =
                if normalised.contains(':') { format!("[{normalised}]") } else { normalised.to_owned() };
            assert_eq!(url.authority(), format!("{bracketed}:9001"), "{host}");
        }
    }
    for host in [
        ".0",
        "0.0.0.0.0",
        "256.0.0.1",
        "1.2.3.256",
        "4294967296",
        "0x1.2.3.0x100",
        "08",
        "1.08",
        "a.0x",
        "1..2",
        "..1",
        "xn--",
        "xn--a",
        "xn--a.example",
        "xn--zzzz-999999",
        "xn--bücher",
        "a\u{202e}b",
        "\u{ad}",
        "a^b",
        "a|b",
        "a b",
        "a<b",
        "a\"b",
        "a`b",
        "{a}",
        "[::1",
        "[::1]x",
        "[1]",
        "[v1.x]",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "::1",
        "%00",
        "ex%41mple.com",
        "%E2%98%83",
    ] {
        let error = Url::parse(&format!("ws://{host}/")).expect_err(host);
        assert!(matches!(error, UrlError::Host | UrlError::Port | UrlError::NoHost), "{host}: {error:?}");
    }
}

#[test]
fn what_a_request_cannot_have_is_encoded_as_browsers_do_it() {
    for (written, target) in [
        ("/ä?ö=ü", "/%C3%A4?%C3%B6=%C3%BC"),
        ("/%C3%A4?%c3%b6", "/%C3%A4?%c3%b6"),
        ("/?ids[]=1", "/?ids[]=1"),
        ("/?q={\"a\":1}", "/?q={%22a%22:1}"),
        ("/{a}\"<b>`", "/%7Ba%7D%22%3Cb%3E%60"),
        ("/?'<>", "/?%27%3C%3E"),
        ("/a|b?a|b", "/a|b?a|b"),
        ("/?a^b", "/?a^b"),
        ("/a\\b?a\\b", "/a/b?a\\b"),
        ("/%zz%?%zz%", "/%zz%?%zz%"),
        ("/a b?c d", "/a%20b?c%20d"),
        ("/a/./b/../c/%2e%2E/d", "/a/d"),
        ("/☃/漢?🙂", "/%E2%98%83/%E6%BC%A2?%F0%9F%99%82"),
        ("?", "/?"),
        ("/?", "/?"),
        ("/a?", "/a?"),
        ("/??", "/??"),
        ("//a//", "//a//"),
        ("/:8080/@a", "/:8080/@a"),
    ] {
        for (start, end) in [("ws://h", ""), ("wss://h:1", ""), ("ws+unix:///s:", "")] {
            let text = format!("{start}{written}{end}");
            let url = Url::parse(&text).expect(&text);
            assert_eq!(url.target(), target, "{text}");
            assert!(url.target().bytes().all(|byte| byte.is_ascii_graphic()), "{text}");
        }
    }
    assert!(Url::parse("ws://h/a^b").unwrap().target().starts_with("/a"));
}

#[test]
fn unix_sockets_have_a_path_and_a_target() {
    for (text, path, target) in [
        ("ws+unix:///run/chat.sock:/room?x=1:2", "/run/chat.sock", "/room?x=1:2"),
        ("ws+unix:///run/chat.sock", "/run/chat.sock", "/"),
        ("ws+unix:///run/chat.sock:", "/run/chat.sock", "/"),
        ("ws+unix:///run/chat.sock:?q", "/run/chat.sock", "/?q"),
        ("ws+unix:/run/chat.sock:/a", "/run/chat.sock", "/a"),
        ("WS+UNIX://./chat%20%3A.sock:/a", "./chat :.sock", "/a"),
        ("ws+unix://chat.sock:/a", "chat.sock", "/a"),
        ("ws+unix://@name:/a", "@name", "/a"),
        ("ws+unix:///tmp/a b/ä|%zz.sock:/a b", "/tmp/a b/ä|%zz.sock", "/a%20b"),
    ] {
        let url = Url::parse(text).unwrap();
        assert_eq!(url.socket_path(), Some(path.as_bytes()), "{text}");
        assert_eq!((url.target(), url.authority(), url.secure()), (target, "localhost", false), "{text}");
    }
    for (text, error) in [
        ("ws+unix://", UrlError::NoHost),
        ("ws+unix:///a%00b", UrlError::Malformed),
        ("ws+unix:///a?b", UrlError::Malformed),
        ("ws+unix:///a:/\r\nX: y", UrlError::Malformed),
        ("ws+unix:///a:/#f", UrlError::Fragment),
        ("ws+unix:///a#:/", UrlError::Fragment),
        ("ws+unix://@:/", UrlError::NoHost),
        ("wss+unix:///a", UrlError::Scheme),
    ] {
        assert_eq!(Url::parse(text), Err(error), "{text:?}");
    }
}

#[test]
fn cr_lf_nul_and_other_control_characters_in_a_url_are_refused() {
    for bad in ["\r", "\n", "\0", "\r\nX-Evil: 1", "\t", "\x1b", "\x7f"] {
        for url in [
            format!("ws://h/{bad}"),
            format!("ws://h/a{bad}b"),
            format!("ws://h/?{bad}"),
            format!("ws://h{bad}/"),
            format!("ws:{bad}//h"),
            format!("ws+unix:///a:/{bad}"),
            format!("{bad}ws://h"),
        ] {
            assert_eq!(Url::parse(&url), Err(UrlError::Malformed), "{url:?}");
        }
    }
    for url in ["\nws://h/", " ws://h/", "ws://h/ ", "ws://h:\r\n80/", "ws://h\0.example/"] {
        assert_eq!(Url::parse(url), Err(UrlError::Malformed), "{url:?}");
    }
}

#[test]
fn what_is_wrong_with_a_url_is_said() {
    for (url, error) in [
        ("", UrlError::Malformed),
        ("example.com/chat", UrlError::Malformed),
        ("//example.com/chat", UrlError::Malformed),
        ("//example.com:80/chat", UrlError::Malformed),
        ("1ws://example.com", UrlError::Malformed),
        (":", UrlError::Malformed),
        ("http://example.com", UrlError::Scheme),
        ("wsx://example.com", UrlError::Scheme),
        ("ws://example.com/#", UrlError::Fragment),
        ("ws://example.com/a#b", UrlError::Fragment),
        ("ws://h/#f", UrlError::Fragment),
        ("ws://h#f", UrlError::Fragment),
        ("ws:example.com", UrlError::NoHost),
        ("ws:/example.com", UrlError::NoHost),
        ("ws:\\\\example.com", UrlError::NoHost),
        ("ws:///path", UrlError::NoHost),
        ("ws://\\path", UrlError::NoHost),
        ("ws://?query", UrlError::NoHost),
        ("ws://:80/", UrlError::NoHost),
        ("ws://me:secret@example.com/", UrlError::UserInfo),
        ("ws://@example.com/", UrlError::UserInfo),
        ("ws://h:0/", UrlError::Port),
        ("ws://example.com:65536/", UrlError::Port),
        ("ws://example.com:99999999999999999999/", UrlError::Port),
        ("ws://example.com:-1/", UrlError::Port),
        ("ws://[::1/", UrlError::Host),
        ("ws://[v1.x]/", UrlError::Host),
        ("ws://[fe80::1%25eth0]/", UrlError::Host),
        ("ws://ex%41mple.com/", UrlError::Host),
    ] {
        assert_eq!(Url::parse(url), Err(error), "{url:?}");
    }
    assert_eq!(Url::parse_local("ws://h:0/").unwrap().port(), 0);
}

/// Pieces of URLs in any order: an answer, never a panic, and nothing in it that could end a line of a request.
#[test]
fn no_text_makes_a_request_that_says_something_else() {
    let pieces = [
        "ws", "wss", "ws+unix", ":", "//", "/", "\\", "?", "#", "@", "[", "]", "::1", "h", "%", "%0d", "%0a",
        "%00", " ", "\r\n", "\t", "ä", "\u{2028}", "\u{ff0f}", "xn--", "0x", "1", ".", "..", ":80", "\u{ad}",
        "\u{85}",
    ];
    let mut generator = Random::new(1);
    let mut random = move |below: usize| generator.below(below);
    let mut parsed = 0;
    for round in 0..100_000 {
        let start = ["", "ws://", "wss://h", "ws+unix:/s:"][round % 4];
        let rest: String = (0..random(8)).map(|_| pieces[random(pieces.len())]).collect();
        let Ok(url) = Url::parse_local(&format!("{start}{rest}")) else { continue };
        parsed += 1;
        for part in [url.host(), url.authority(), url.target()] {
            assert!(
                !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic()),
                "{start}{rest}: {url:?}"
            );
        }
        assert!(url.target().starts_with('/') && !url.target().contains('#'), "{start}{rest}");
        assert!(!url.authority().contains(['/', '\\', '?', '@']), "{start}{rest}");
    }
    assert!(parsed > 5_000, "{parsed}");
}
