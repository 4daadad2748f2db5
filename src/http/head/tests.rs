use super::*;
use crate::simd::scan;

const MAX: usize = 16 << 10;

fn read(reader: &mut HeadReader, bytes: &[u8]) -> Result<Option<(Head, usize)>, Error> {
    let mut head = Head::default();
    Ok(reader.read(bytes, &mut head)?.map(|length| (head, length)))
}

fn request(bytes: &[u8]) -> Result<Head, Error> {
    match read(&mut HeadReader::new(Kind::Request, MAX), bytes)? {
        Some((head, length)) => {
            assert_eq!(length, bytes.len());
            Ok(head)
        }
        None => panic!("incomplete"),
    }
}

/// Feeds one byte at a time; at which byte it ends, how, and how many bytes were looked at.
fn drip(kind: Kind, max: usize, bytes: &[u8]) -> (usize, Result<Option<Head>, Error>, u64) {
    let mut reader = HeadReader::new(kind, max);
    for end in 1..=bytes.len() {
        match read(&mut reader, &bytes[..end]) {
            Ok(None) => {}
            Ok(Some((head, length))) => {
                assert_eq!(length, end);
                return (end, Ok(Some(head)), reader.examined);
            }
            Err(error) => return (end, Err(error), reader.examined),
        }
    }
    (bytes.len(), Ok(None), reader.examined)
}

/// Requests of the plainest form and all that is near it: what the short way takes, the parser reads just so.
#[test]
fn a_plain_request_is_read_as_the_parser_reads_it() {
    let plain = b"GET /chat?x=1 HTTP/1.1\r\nHost: h:80\r\nX-A: b c\r\nUpgrade: websocket\r\n\r\n";
    let read = |bytes: &[u8]| {
        let mut head = Head::default();
        read_plain(bytes, &mut head).unwrap().map(|length| (head, length))
    };
    assert_eq!(read(plain).unwrap().1, plain.len());
    let mut taken = 0;
    let mut check = |bytes: &[u8]| {
        let Some((head, length)) = read(bytes) else { return };
        let mut reader = HeadReader::new(Kind::Request, MAX);
        assert_eq!(reader.find_end(bytes).unwrap(), Some(length), "{bytes:?}");
        let mut parsed = Head::default();
        parse_request(&bytes[..length], &mut parsed).unwrap();
        assert_eq!(format!("{head:?}"), format!("{parsed:?}"));
        assert_eq!((&head.bytes, head.minor_version()), (&parsed.bytes, parsed.minor_version()), "{bytes:?}");
        taken += 1;
    };
    for at in 0..plain.len() {
        for byte in 0..=255 {
            let mut bytes = plain.to_vec();
            bytes[at] = byte;
            check(&bytes);
            bytes[at] = plain[at];
            bytes.insert(at, byte);
            check(&bytes);
        }
        check(&plain[..at]);
        let mut bytes = plain.to_vec();
        bytes.remove(at);
        check(&bytes);
    }
    assert!(taken > 5_000, "{taken}");
    assert!(
        read(&[&plain[..plain.len() - 2], "A: b\r\n".repeat(PLAIN_FIELDS).as_bytes(), b"\r\n"].concat())
            .is_none()
    );
}

/// A map ends with a head of so many bytes, or in the middle of its last line end: no byte that it has not seen counts.
#[test]
fn a_request_as_long_as_a_map_is_read_as_the_parser_reads_it() {
    const LAST: usize = scan::MAX + 1;
    for len in LAST - 70..LAST + 70 {
        for line in ["", "A-1: b\r\n"] {
            let start = format!("GET / HTTP/1.1\r\n{line}X: ");
            let mut bytes = start.into_bytes();
            bytes.resize(len - 4, b'x');
            bytes.extend_from_slice(b"\r\n\r\n");
            let mut parsed = Head::default();
            parse_request(&bytes, &mut parsed).unwrap();
            for behind in ["", "\r\n", "\x01", "A: b\r\n\r\n"] {
                let received = [&bytes, behind.as_bytes()].concat();
                let mut plain = Head::default();
                let taken = read_plain(&received, &mut plain).unwrap();
                assert_eq!(taken, (len <= LAST).then_some(len), "{behind:?}");
                let (head, length) =
                    read(&mut HeadReader::new(Kind::Request, MAX), &received).unwrap().unwrap();
                assert_eq!((length, head.bytes), (len, parsed.bytes.clone()), "{behind:?}");
            }
        }
    }
}

#[test]
fn a_request_is_read() {
    let bytes = b"GET /a?b HTTP/1.1\r\nHost:  example.com \t\r\nX-Empty:\r\nx-TWICE: 1\r\nX-Twice: 2\r\n\r\n";
    let head = request(bytes).unwrap();
    assert_eq!((head.method(), head.target(), head.status(), head.reason()), ("GET", "/a?b", 0, ""));
    assert_eq!(head.header("HOST"), Some("example.com"));
    assert_eq!(head.header("x-empty"), Some(""));
    assert_eq!(head.header("x-missing"), None);
    assert_eq!(head.values("X-Twice").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(head.header_count(), 4);
    assert_eq!(
        head.headers().map(|(name, _)| name).collect::<Vec<_>>(),
        ["Host", "X-Empty", "x-TWICE", "X-Twice"]
    );
    assert_eq!(head.minor_version(), 1);
    let debug = format!("{head:?}");
    assert!(debug.contains("\"/a?b\"") && debug.contains("\"x-TWICE\": \"1\""), "{debug}");
}

#[test]
fn a_response_is_read() {
    let bytes = b"HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\nbody";
    let (head, length) = read(&mut HeadReader::new(Kind::Response, MAX), bytes).unwrap().unwrap();
    assert_eq!(length, bytes.len() - 4);
    assert_eq!((head.status(), head.reason(), head.method(), head.target()), (404, "Not Found", "", ""));
    assert_eq!((head.reason_cstr(), head.method_cstr(), head.target_cstr()), (c"Not Found", c"", c""));
    let head = read(&mut HeadReader::new(Kind::Response, MAX), b"HTTP/1.1 101\r\n\r\n").unwrap().unwrap().0;
    assert_eq!((head.status(), head.reason(), head.header_count()), (101, "", 0));
}

#[test]
fn every_string_can_be_lent_to_c() {
    let head = request(b"GET /chat HTTP/1.1\r\nHost: h\r\nEmpty:\r\nRaw: \xff\xfe\r\n\r\n").unwrap();
    assert_eq!((head.method_cstr(), head.target_cstr(), head.reason_cstr()), (c"GET", c"/chat", c""));
    assert_eq!(head.header_cstr("host"), Some(c"h"));
    assert_eq!(head.header_cstr("empty"), Some(c""));
    assert_eq!(head.header_cstr("raw"), Some(c"\xff\xfe"));
    assert_eq!(head.header_cstr("none"), None);
    assert_eq!(head.header_cstr_at(1), Some((c"Empty", c"")));
    assert_eq!(head.header_cstr_at(3), None);
    let empty = Head::default();
    assert_eq!((empty.method_cstr(), empty.target_cstr(), empty.header_cstr("a")), (c"", c"", None));
    assert_eq!((empty.method(), empty.target(), empty.status(), empty.reason()), ("", "", 0, ""));
}

#[test]
fn a_value_that_is_not_utf8_is_kept_as_bytes() {
    let head = request(b"GET / HTTP/1.1\r\nX: caf\xe9\r\nY: caf\xc3\xa9\r\n\r\n").unwrap();
    assert_eq!((head.header("X"), head.header_bytes("X")), (Some(""), Some(&b"caf\xe9"[..])));
    assert_eq!(head.header("Y"), Some("café"));
}

#[test]
fn one_byte_at_a_time_looks_at_each_byte_once() {
    let mut bytes = b"GET / HTTP/1.1\r\n".to_vec();
    for index in 0..100 {
        bytes.extend_from_slice(format!("X-{index}: {}\r\n", "v".repeat(100)).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    let (end, head, examined) = drip(Kind::Request, MAX, &bytes);
    assert_eq!((end, head.unwrap().unwrap().header_count()), (bytes.len(), 100));
    assert!(examined <= 3 * bytes.len() as u64, "{examined} for {}", bytes.len());
}

#[test]
fn ten_mebibytes_of_headers_stop_at_the_limit() {
    let mut bytes = b"GET / HTTP/1.1\r\nX: ".to_vec();
    bytes.resize(10 << 20, b'a');
    let mut reader = HeadReader::new(Kind::Request, MAX);
    let error = read(&mut reader, &bytes).unwrap_err();
    assert!(matches!(error, Error::Capacity(CapacityError::HeadTooLong { max }) if max == MAX as u64));
    assert!(reader.examined <= MAX as u64 + 16);
    let (end, error, examined) = drip(Kind::Request, MAX, &bytes);
    assert!(matches!(error, Err(Error::Capacity(CapacityError::HeadTooLong { .. }))));
    assert!(end == MAX && examined <= 3 * MAX as u64, "{end}, {examined}");
}

#[test]
fn ten_mebibytes_of_headers_are_linear_where_the_limit_allows_them() {
    let mut bytes = b"GET / HTTP/1.1\r\nX: ".to_vec();
    bytes.resize((10 << 20) - 4, b'a');
    bytes.extend_from_slice(b"\r\n\r\n");
    let (end, head, examined) = drip(Kind::Request, 10 << 20, &bytes);
    assert_eq!(end, 10 << 20);
    assert!(head.unwrap().unwrap().header_bytes("X").unwrap().len() > 10_000_000);
    assert!(examined <= 3 * bytes.len() as u64);
}

#[test]
fn a_head_of_exactly_the_limit_passes() {
    let bytes = b"GET / HTTP/1.1\r\nA: b\r\n\r\n";
    assert!(read(&mut HeadReader::new(Kind::Request, bytes.len()), bytes).unwrap().is_some());
    for max in 0..bytes.len() {
        let error = read(&mut HeadReader::new(Kind::Request, max), bytes).unwrap_err();
        assert!(matches!(error, Error::Capacity(CapacityError::HeadTooLong { .. })), "{max}: {error:?}");
    }
}

#[test]
fn ten_thousand_headers_stop_at_the_129th() {
    let head = |count: usize| {
        let mut bytes = b"GET / HTTP/1.1\r\n".to_vec();
        bytes.extend_from_slice(&b"A:b\r\n".repeat(count));
        bytes.extend_from_slice(b"\r\n");
        bytes
    };
    assert_eq!(request(&head(128)).unwrap().header_count(), 128);
    let (end, error, _) = drip(Kind::Request, 1 << 20, &head(10_000));
    assert!(matches!(error, Err(Error::Capacity(CapacityError::TooManyHeaders { max: 128 }))));
    assert_eq!(end, 16 + 129 * 5);
}

#[test]
fn bare_lf_bare_cr_nul_and_folded_lines_are_refused_at_once() {
    let cases: [(&[u8], usize); 15] = [
        (b"GET / HTTP/1.1\nHost: h\n\n", 15),
        (b"GET / HTTP/1.1\r\nHost: h\n\r\n", 24),
        (b"GET / HTTP/1.1\r\nHost: h\r\n\n", 26),
        (b"GET / HTTP/1.1\rHost: h\r\n\r\n", 16),
        (b"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", 22),
        (b"GET / HTTP/1.1\r\r\n", 16),
        (b"GET / HTTP/1.1\r\nA: \0\r\n\r\n", 20),
        (b"\0GET / HTTP/1.1\r\n\r\n", 1),
        (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 23),
        (b"GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", 23),
        (b"GET / HTTP/1.1\r\n A: b\r\n\r\n", 17),
        (b"GET / HTTP/1.1\r\nA: \x01\r\n\r\n", 20),
        (b"\nGET / HTTP/1.1\r\n\r\n", 1),
        (b"\r\n\r\r\nGET / HTTP/1.1\r\n\r\n", 4),
        (b"\x16\x03\x01\x02\x00\x01", 1),
    ];
    for (bytes, offending) in cases {
        let (end, error, _) = drip(Kind::Request, MAX, bytes);
        assert!(matches!(error, Err(Error::Handshake(HandshakeError::Malformed(_)))), "{bytes:?}: {error:?}");
        assert_eq!(end, offending, "{:?}", bytes.escape_ascii().to_string());
        let at_once = read(&mut HeadReader::new(Kind::Request, MAX), bytes).unwrap_err();
        assert_eq!(at_once.to_string(), error.unwrap_err().to_string());
    }
}

#[test]
fn empty_lines_before_a_request_are_passed_over_and_before_a_response_refused() {
    let plain = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
    for empty in ["\r\n", "\r\n\r\n", &"\r\n".repeat(200)] {
        let bytes = [empty.as_bytes(), plain].concat();
        let at_once = request(&bytes).unwrap();
        assert_eq!((at_once.method(), at_once.target(), at_once.header("host")), ("GET", "/a", Some("h")));
        assert_eq!((at_once.method_cstr(), at_once.header_cstr_at(0)), (c"GET", Some((c"Host", c"h"))));
        let (end, head, examined) = drip(Kind::Request, MAX, &bytes);
        assert_eq!((end, head.unwrap().unwrap().target()), (bytes.len(), "/a"));
        assert!(examined <= 3 * bytes.len() as u64);
    }
    let (end, error, _) = drip(Kind::Request, MAX, &b"\r\n".repeat(MAX));
    assert!(matches!(error, Err(Error::Capacity(CapacityError::HeadTooLong { .. }))));
    assert_eq!(end, MAX);
    assert!(drip(Kind::Response, MAX, b"\r\nHTTP/1.1 200 OK\r\n\r\n").1.is_err());
}

#[test]
fn a_later_version_of_http_1_is_read_as_1_1() {
    for minor in 2..=9 {
        let bytes = format!("\r\nGET /HTTP/1.2 HTTP/1.{minor}\r\nHost: h\r\nX: HTTP/1.{minor}\r\n\r\n");
        let head = request(bytes.as_bytes()).unwrap();
        assert_eq!((head.minor_version(), head.target(), head.header("host")), (1, "/HTTP/1.2", Some("h")));
        assert_eq!(head.header("x"), Some(&*format!("HTTP/1.{minor}")));
        let (end, dripped, _) = drip(Kind::Request, MAX, bytes.as_bytes());
        assert_eq!((end, dripped.unwrap().unwrap().minor_version()), (bytes.len(), 1));

        let bytes = format!("HTTP/1.{minor} 101 x\r\nA: b\r\n\r\n");
        let (end, head, _) = drip(Kind::Response, MAX, bytes.as_bytes());
        let head = head.unwrap().unwrap();
        assert_eq!(
            (end, head.status(), head.minor_version(), head.header("a")),
            (bytes.len(), 101, 1, Some("b"))
        );
    }
    for bad in [
        "HTTP/1.10",
        "HTTP/1.",
        "HTTP/1.x",
        "HTTP/1",
        "HTTP/11",
        "HTTP/0.9",
        "HTTP/3.2",
        "HTTP/1.2x",
        "xHTTP/1.2",
    ] {
        assert!(request(format!("GET / {bad}\r\nHost: h\r\n\r\n").as_bytes()).is_err(), "{bad}");
        let response = format!("{bad} 200 OK\r\n\r\n");
        assert!(drip(Kind::Response, MAX, response.as_bytes()).1.is_err(), "{bad}");
    }
}

#[test]
fn what_is_no_head_is_refused() {
    let cases: [&[u8]; 13] = [
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET / http/1.1\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1 \r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"G\x7fT / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n: no name\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHo st: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: \x7f\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ];
    for bytes in cases {
        let error = request(bytes).unwrap_err();
        assert!(matches!(error, Error::Handshake(HandshakeError::Malformed(_))), "{bytes:?}: {error:?}");
    }
}

#[test]
fn another_protocol_is_recognised_by_its_first_bytes() {
    for (bytes, offending) in
        [("SSH-2.0-x\r\n", 1), ("HTTP/2 200\r\n", 6), ("HTML", 3), ("ICY 200 OK\r\n", 1)]
    {
        let (end, error, _) = drip(Kind::Response, MAX, bytes.as_bytes());
        assert!(matches!(error, Err(Error::Handshake(HandshakeError::Malformed(_)))), "{bytes}");
        assert_eq!(end, offending, "{bytes}");
    }
    for bad in
        ["HTTP/1.1 099 \r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000\r\n\r\n", "HTTP/1.1\r\n\r\n"]
    {
        assert!(read(&mut HeadReader::new(Kind::Response, MAX), bad.as_bytes()).is_err(), "{bad:?}");
    }
}
