//! What a server answers a request with that it does not turn into a WebSocket: a status, headers and a body (RFC 9110,
//! RFC 9112 section 6.3). Knows where HTTP has no body to send; not why this is the answer.

use super::options::{HandshakeOptions, write_header};
use crate::error::Error;

/// The whole response to a request of this method. The stream ends behind it. The body is plain text, unless a
/// `Content-Type` is among the headers.
pub(super) fn write_answer(
    status: u16,
    method: &[u8],
    options: &HandshakeOptions,
    body: &[u8],
) -> Result<Vec<u8>, Error> {
    let content = content(status, method);
    let body_len = if content == Content::Body { body.len() } else { 0 };
    let mut response = Vec::new();
    response.try_reserve(256 + options.headers_len() + body_len).map_err(|_| Error::NoMemory)?;
    response.extend_from_slice(format!("HTTP/1.1 {status} {}\r\n", reason(status)).as_bytes());
    match status {
        405 => write_header(&mut response, "Allow", b"GET"),
        426 => {
            write_header(&mut response, "Upgrade", b"websocket");
            write_header(&mut response, "Sec-WebSocket-Version", b"13");
        }
        _ => {}
    }
    write_header(&mut response, "Connection", if status == 426 { b"Upgrade, close" } else { b"close" });
    if let Content::Body | Content::LengthOnly = content {
        if options.header("Content-Type").is_none() {
            write_header(&mut response, "Content-Type", b"text/plain; charset=utf-8");
        }
        write_header(&mut response, "Content-Length", body.len().to_string().as_bytes());
    }
    if content == Content::Empty {
        write_header(&mut response, "Content-Length", b"0");
    }
    for (name, value) in options.headers() {
        write_header(&mut response, name, value.as_bytes());
    }
    response.extend_from_slice(b"\r\n");
    response.extend_from_slice(body.get(..body_len).unwrap_or_default());
    Ok(response)
}

/// What stands behind a head, and what the head says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// The body, with its length.
    Body,
    /// Nothing; the length is that of the body that a GET would get.
    LengthOnly,
    /// Nothing, and the head says so.
    Empty,
    /// Nothing, and the head says nothing of it.
    None,
}

fn content(status: u16, method: &[u8]) -> Content {
    match (status, method) {
        (204 | 304, _) | (200..=299, b"CONNECT") => Content::None,
        (205, _) => Content::Empty,
        (_, b"HEAD") => Content::LengthOnly,
        _ => Content::Body,
    }
}

/// The reason phrase of the registry (RFC 9110 section 15); it may be empty (RFC 9112 section 4).
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        511 => "Network Authentication Required",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, method: &str, headers: &[(&str, &str)], body: &str) -> String {
        let mut options = HandshakeOptions::default();
        headers.iter().for_each(|(name, value)| options.add_header(name, value).unwrap());
        String::from_utf8(write_answer(status, method.as_bytes(), &options, body.as_bytes()).unwrap())
            .unwrap()
    }

    #[test]
    fn an_answer_is_whole_and_ends_the_connection() {
        assert_eq!(
            answer(200, "GET", &[("Server", "x")], "well\n"),
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: 5\r\nServer: x\r\n\r\nwell\n"
        );
        assert_eq!(
            answer(299, "POST", &[("Content-Type", "a/b")], ""),
            "HTTP/1.1 299 \r\nConnection: close\r\nContent-Length: 0\r\nContent-Type: a/b\r\n\r\n"
        );
        for status in 200..=599 {
            for method in ["", "GET", "HEAD", "CONNECT", "POST"] {
                let answer = answer(status, method, &[], "body");
                let connection = if status == 426 { "Upgrade, close" } else { "close" };
                assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
                assert!(answer.contains(&format!("\r\nConnection: {connection}\r\n")), "{answer}");
            }
        }
    }

    #[test]
    fn head_204_205_and_304_have_no_body() {
        let of = |status, method| {
            let answer = answer(status, method, &[], "body");
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let length = head.split("\r\n").find_map(|line| line.strip_prefix("Content-Length: "));
            (length.map(str::to_owned), body.to_owned())
        };
        let (none, empty) = ((None, String::new()), (Some("0".to_owned()), String::new()));
        let length_only = (Some("4".to_owned()), String::new());
        for method in ["GET", "HEAD", "POST"] {
            assert_eq!(of(204, method), none, "{method}");
            assert_eq!(of(304, method), none, "{method}");
            assert_eq!(of(205, method), empty, "{method}");
        }
        for status in [200, 206, 301, 404, 426, 500] {
            assert_eq!(of(status, "HEAD"), length_only, "{status}");
            assert_eq!(of(status, "GET"), (Some("4".to_owned()), "body".to_owned()), "{status}");
            // Methods are written in capitals.
            assert_eq!(of(status, "head"), (Some("4".to_owned()), "body".to_owned()), "{status}");
        }
        assert_eq!(of(200, "CONNECT"), none);
        assert_eq!(of(403, "CONNECT"), (Some("4".to_owned()), "body".to_owned()));
    }
}
