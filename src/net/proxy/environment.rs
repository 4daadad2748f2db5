//! The variables that name a proxy, and those that exempt from it, as curl and others read them. Knows names and
//! patterns; looks at no environment itself.

use super::url::{Proxy, address};
use crate::error::{Error, ProxyError};
use std::net::IpAddr;

/// See [`Proxy::from_environment`]. The proxy, and its URL as the variable has it, with nothing left out.
pub(super) fn find(
    secure: bool,
    host: &str,
    port: u16,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<(Proxy, String)>, Error> {
    // One that is set to nothing counts as not set.
    let first = |names: &[&'static str]| {
        names.iter().find_map(|&name| {
            let value = variable(name)?.trim().to_owned();
            (!value.is_empty()).then_some((name, value))
        })
    };
    let names: &[_] = match secure {
        true => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        false => &["http_proxy", "all_proxy", "ALL_PROXY"],
    };
    let Some((name, value)) = first(names) else { return Ok(None) };
    if first(&["no_proxy", "NO_PROXY"]).is_some_and(|(_, list)| is_exempt(&list, host, port)) {
        return Ok(None);
    }
    let url = if value.contains("://") { value } else { format!("http://{value}") };
    match Proxy::parse(&url) {
        Ok(proxy) => {
            let url = whole(&url, proxy.port());
            Ok(Some((proxy, url)))
        }
        // The caller's arguments are in order: this is about the place where the program runs.
        Err(Error::InvalidArgument(why)) => Err(ProxyError::Variable { name, why }.into()),
        Err(error) => Err(error),
    }
}

/// The URL of a proxy with its port, and without a path.
fn whole(url: &str, port: u16) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split('/').next().unwrap_or_default();
    let (login, place) = authority.rsplit_once('@').map_or(("", authority), |(login, place)| (login, place));
    let host = match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => place,
    };
    let at = if login.is_empty() { "" } else { "@" };
    format!("{}://{login}{at}{host}:{port}", scheme.to_ascii_lowercase())
}

/// Whether an element of the list stands for this destination.
fn is_exempt(list: &str, host: &str, port: u16) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let mut elements =
        list.split(|c: char| c == ',' || c.is_whitespace()).filter(|element| !element.is_empty());
    elements.any(|element| is_match(element, host, port))
}

fn is_match(element: &str, host: &str, port: u16) -> bool {
    if element == "*" {
        return true;
    }
    let (pattern, of_port) = split_port(element);
    if of_port.is_some_and(|of_port| of_port.parse() != Ok(port)) {
        return false;
    }
    match (address(host), pattern.split_once('/')) {
        (Some(host), Some((block, bits))) => is_in_block(host, block, bits),
        (Some(host), None) => address(pattern) == Some(host),
        (None, _) => is_domain(pattern, host),
    }
}

/// Parts an element from the port behind it, if there is one; an address loses its brackets.
fn split_port(element: &str) -> (&str, Option<&str>) {
    if let Some((address, rest)) = element.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, rest.strip_prefix(':'));
    }
    match element.split_once(':') {
        Some((name, port)) if !port.contains(':') => (name, Some(port)),
        _ => (element, None), // an IPv6 address has more colons than one
    }
}

/// Whether an address lies in a block like 10.0.0.0/8.
fn is_in_block(host: IpAddr, block: &str, bits: &str) -> bool {
    let Ok(bits) = bits.parse::<u32>() else { return false };
    match (host, block.parse()) {
        (IpAddr::V4(host), Ok(IpAddr::V4(block))) if bits <= 32 => {
            (host.to_bits() ^ block.to_bits()).checked_shr(32 - bits).unwrap_or_default() == 0
        }
        (IpAddr::V6(host), Ok(IpAddr::V6(block))) if bits <= 128 => {
            (host.to_bits() ^ block.to_bits()).checked_shr(128 - bits).unwrap_or_default() == 0
        }
        _ => false,
    }
}

/// Whether a name is this domain or one below it. A dot, or `*.`, in front of the domain changes nothing.
fn is_domain(domain: &str, name: &str) -> bool {
    let domain = domain.strip_prefix('*').unwrap_or(domain);
    let domain = domain.strip_prefix('.').unwrap_or(domain);
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let Some(start) = name.len().checked_sub(domain.len()) else { return false };
    let is_whole = start == 0 || name.as_bytes().get(start - 1) == Some(&b'.');
    let is_same = name.as_bytes().get(start..).is_some_and(|end| end.eq_ignore_ascii_case(domain.as_bytes()));
    !domain.is_empty() && is_whole && is_same
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a connection to `url` goes through, with these variables; "" for no proxy.
    fn through(variables: &[(&str, &str)], secure: bool, host: &str, port: u16) -> Result<String, Error> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let proxy = Proxy::from_environment(secure, host, port, variable)?;
        Ok(proxy.map(|proxy| format!("{}:{}", proxy.host(), proxy.port())).unwrap_or_default())
    }

    #[test]
    fn the_first_variable_that_is_set_counts() {
        for (variables, ws, wss) in [
            (&[][..], "", ""),
            (&[("http_proxy", "http://a:1")], "a:1", ""),
            (&[("HTTP_PROXY", "http://a:1")], "", ""),
            (&[("https_proxy", "http://a:1")], "", "a:1"),
            (&[("HTTPS_PROXY", "http://a:1")], "", "a:1"),
            (&[("https_proxy", "http://a:1"), ("HTTPS_PROXY", "http://b:1")], "", "a:1"),
            (&[("https_proxy", ""), ("HTTPS_PROXY", "http://b:1")], "", "b:1"),
            (&[("all_proxy", "socks5://a"), ("ALL_PROXY", "socks5://b")], "a:1080", "a:1080"),
            (&[("ALL_PROXY", "socks5://b"), ("http_proxy", "http://a")], "a:1080", "b:1080"),
            (&[("http_proxy", " "), ("ALL_PROXY", "http://b:1")], "b:1", "b:1"),
            (&[("all_proxy", "a:3128")], "a:3128", "a:3128"),
            (&[("all_proxy", "me:s3cret@a:3128/")], "a:3128", "a:3128"),
            (&[("all_proxy", "a"), ("no_proxy", "*")], "", ""),
            (&[("all_proxy", "a"), ("NO_PROXY", "*")], "", ""),
            (&[("all_proxy", "a"), ("no_proxy", "x"), ("NO_PROXY", "*")], "a:1080", "a:1080"),
            (&[("all_proxy", "a"), ("no_proxy", ""), ("NO_PROXY", "*")], "", ""),
            (&[("all_proxy", "https://no:good"), ("no_proxy", "*")], "", ""),
        ] {
            let result = [false, true].map(|secure| through(variables, secure, "example.com", 80).unwrap());
            assert_eq!(result, [ws, wss], "{variables:?}");
        }
    }

    #[test]
    fn the_url_of_a_proxy_is_given_whole() {
        for (value, url) in [
            ("a", "http://a:1080"),
            ("a:", "http://a:1080"),
            ("a:8080/", "http://a:8080"),
            ("HTTP://a:8080", "http://a:8080"),
            ("me:s3c%40ret@a", "http://me:s3c%40ret@a:1080"),
            ("@a", "http://a:1080"),
            ("socks5h://m%3Ae:x@[::1]", "socks5h://m%3Ae:x@[::1]:1080"),
            ("socks5://[::1]:9", "socks5://[::1]:9"),
        ] {
            let variable = |name: &str| (name == "all_proxy").then(|| value.to_owned());
            let (proxy, found) = find(false, "example.com", 80, variable).unwrap().unwrap();
            assert_eq!(found, url);
            assert!(Proxy::parse(&found).unwrap() == proxy);
        }
    }

    #[test]
    fn a_variable_of_no_use_is_named_and_not_shown() {
        let error = through(&[("ALL_PROXY", "https://me:s3cret@a")], true, "h", 443).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the environment variable ALL_PROXY names no usable proxy: a proxy that requires TLS (https://) is not supported"
        );
        let error = through(&[("http_proxy", "http://me:s3cret@a:x\u{FFFD}")], false, "h", 443).unwrap_err();
        assert!(matches!(error, Error::Proxy(ProxyError::Variable { name: "http_proxy", .. })), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }

    #[test]
    fn who_is_exempt() {
        for (list, host, exempt) in [
            ("*", "example.com", true),
            ("a, *", "::1", true),
            ("example.com", "example.com", true),
            ("example.com", "EXAMPLE.com.", true),
            ("Example.COM.", "example.com", true),
            ("example.com", "a.b.example.com", true),
            (".example.com", "a.example.com", true),
            (".example.com", "example.com", true),
            ("*.example.com", "a.example.com", true),
            ("example.com", "notexample.com", false),
            ("example.com", "example.com.evil", false),
            ("example.com", "com", false),
            ("a.example.com", "example.com", false),
            ("a,b c\td", "d", true),
            (" ,, ,", "a", false),
            (".", "a", false),
            ("example.com:443", "a.example.com", true),
            ("example.com:80", "example.com", false),
            ("example.com:", "example.com", false),
            ("example.com:x", "example.com", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1:443", "127.0.0.1", true),
            ("127.0.0.1:80", "127.0.0.1", false),
            ("0.0.1", "127.0.0.1", false),
            (".0.1", "127.0.0.1", false),
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("10.1.2.3/32", "10.1.2.3", true),
            ("10.1.2.3/32", "10.1.2.2", false),
            ("10.1.2.3/31", "10.1.2.2", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("10.0.0.0/x", "10.0.0.0", false),
            ("10.0.0.0/-1", "10.0.0.0", false),
            ("10.0.0.0/", "10.0.0.0", false),
            ("10.0.0.0/8", "a.10.0.0.0", false),
            ("10.0.0.0/8", "example.com", false),
            ("::1", "::1", true),
            ("[::1]", "0:0::1", true),
            ("[::1]:443", "::1", true),
            ("[::1]:80", "::1", false),
            ("fe80::/10", "febf::1", true),
            ("fe80::/10", "fec0::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/129", "::", false),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("ä.example", "example", false),
        ] {
            assert_eq!(is_exempt(list, host, 443), exempt, "{list:?} {host:?}");
        }
    }
}
