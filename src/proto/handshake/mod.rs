//! The opening handshake (RFC 6455 section 4), both ends of it: bytes in, bytes out, a verdict. Knows HTTP/1.1 heads
//! and the rules that turn one into a WebSocket; must not know frames, sockets, clocks or C.
//!
//! | file | knows |
//! | --- | --- |
//! | `key` | `Sec-WebSocket-Key` and `-Accept` |
//! | `options` | what the caller adds to a handshake |
//! | `url` | `ws` and `wss` URLs |
//! | `client`, `server` | the two sides |
//! | `answer` | what a server answers that opens no WebSocket |

mod answer;
mod client;
mod key;
mod options;
mod server;
mod url;

pub use client::ClientHandshake;
pub use key::accept_key;
pub use options::HandshakeOptions;
pub(crate) use server::Acceptance;
pub use server::{ServerHandshake, is_upgrade};
pub use url::Url;
pub(crate) use url::split as split_url;

use crate::error::Error;
use crate::head::Head;
use crate::proto::deflate::Agreed;

/// A handshake under way, from either end.
#[derive(Debug)]
pub enum Handshake {
    /// The end that asks.
    Client(ClientHandshake),
    /// The end that is asked.
    Server(ServerHandshake),
}

/// How far a handshake has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    NeedMore,
    /// Server only: a request is there and waits for [`ServerHandshake::accept`] or [`ServerHandshake::reject`].
    Request,
    /// Done: whatever follows the consumed bytes is frames.
    Done,
}

/// What came of a handshake.
#[derive(Debug)]
pub struct Opened {
    /// The peer's head.
    pub head: Head,
    /// The subprotocol agreed upon.
    pub protocol: Option<String>,
    /// The permessage-deflate agreed upon.
    pub deflate: Option<Agreed>,
}

impl Handshake {
    /// Looks at `received`, all bytes that arrived and were not yet consumed, and says how far the handshake has come
    /// and how many of these bytes it has consumed, whatever the progress: the next call starts behind them. `eof`
    /// says that no more will arrive.
    ///
    /// The cost is linear in the bytes that are new, in however small pieces they arrive. An error is final.
    pub fn advance(&mut self, received: &[u8], eof: bool) -> Result<(Progress, usize), Error> {
        match self {
            Handshake::Client(client) => client.advance(received, eof),
            Handshake::Server(server) => server.advance(received, eof),
        }
    }

    /// The peer's head; empty while it has not arrived.
    pub fn head(&self) -> &Head {
        match self {
            Handshake::Client(client) => client.head(),
            Handshake::Server(server) => server.head(),
        }
    }

    /// Whether a request is there that waits for [`ServerHandshake::accept`] or [`ServerHandshake::reject`].
    pub fn awaits_decision(&self) -> bool {
        matches!(self, Handshake::Server(server) if !server.head().is_empty())
    }

    /// The subprotocol agreed upon, once done.
    pub fn protocol(&self) -> Option<&str> {
        match self {
            Handshake::Client(client) => client.protocol(),
            Handshake::Server(server) => server.protocol(),
        }
    }

    /// The permessage-deflate agreed upon, once done.
    pub fn agreed_deflate(&self) -> Option<Agreed> {
        match self {
            Handshake::Client(client) => client.agreed_deflate(),
            Handshake::Server(server) => server.agreed_deflate(),
        }
    }

    /// The peer's head, and what was agreed upon; once.
    pub fn take_opened(&mut self) -> Opened {
        match self {
            Handshake::Client(client) => client.take_opened(),
            Handshake::Server(server) => server.take_opened(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DeflateConfig, WebSocketConfig};
    use crate::random::Random;

    /// Both ends against each other, `step` bytes at a time; what each side ends up with.
    fn shake(
        client_options: &HandshakeOptions,
        server_options: &HandshakeOptions,
        step: usize,
    ) -> [Handshake; 2] {
        let deflate = Some(DeflateConfig { server_max_window_bits: 11, ..DeflateConfig::default() });
        let config = WebSocketConfig { deflate, ..WebSocketConfig::default() };
        let url = Url::parse("ws://example.com/chat?room=1").unwrap();
        let (client, request) = ClientHandshake::new(&url, client_options, &config).unwrap();
        let mut client = Handshake::Client(client);
        let mut server = Handshake::Server(ServerHandshake::new(&config));
        assert_eq!(drive(&mut server, &request, step), (Progress::Request, request.len()));
        let Handshake::Server(inner) = &mut server else { unreachable!() };
        let mut response = inner.accept(None, server_options).unwrap().to_vec();
        let length = response.len();
        response.extend_from_slice(b"\x81\x02hi");
        assert_eq!(drive(&mut client, &response, step), (Progress::Done, length));
        assert_eq!(server.advance(b"", false).unwrap(), (Progress::Done, 0));
        [client, server]
    }

    fn drive(end: &mut Handshake, bytes: &[u8], step: usize) -> (Progress, usize) {
        let mut arrived = 0;
        let mut start = 0;
        loop {
            arrived = bytes.len().min(arrived + step);
            let (progress, consumed) = end.advance(&bytes[start..arrived], false).unwrap();
            start += consumed;
            if progress != Progress::NeedMore {
                return (progress, start);
            }
            assert!(arrived < bytes.len());
        }
    }

    #[test]
    fn both_ends_agree_at_every_chunk_size() {
        let mut client_options = HandshakeOptions::default();
        client_options.add_protocol("chat.v1").unwrap();
        client_options.add_protocol("chat.v2").unwrap();
        client_options.add_header("Origin", "http://example.com").unwrap();
        let mut server_options = HandshakeOptions::default();
        server_options.add_protocol("chat.v2").unwrap();
        server_options.add_header("Server", "test").unwrap();
        for step in (1..64).chain([usize::MAX >> 1]) {
            for mut end in shake(&client_options, &server_options, step) {
                assert_eq!(end.protocol(), Some("chat.v2"));
                assert_eq!(end.agreed_deflate().unwrap().server_max_window_bits, 11);
                let is_client = matches!(end, Handshake::Client(_));
                let Opened { head, protocol, deflate } = end.take_opened();
                assert!(deflate.is_some());
                assert_eq!(protocol.as_deref(), Some("chat.v2"));
                if is_client {
                    assert_eq!(head.header("server"), Some("test"));
                } else {
                    assert_eq!(head.target(), "/chat?room=1");
                    assert_eq!(head.header("ORIGIN"), Some("http://example.com"));
                    assert_eq!(head.header("host"), Some("example.com"));
                }
            }
        }
    }

    #[test]
    fn frames_that_arrive_with_the_101_are_left_alone() {
        let [client, _] = shake(&HandshakeOptions::default(), &HandshakeOptions::default(), usize::MAX >> 1);
        assert_eq!(client.head().status(), 101);
        assert_eq!(client.protocol(), None);
    }

    /// Bytes flipped, cut, doubled and inserted in valid heads, in pieces of any size: an answer, never a panic.
    #[test]
    fn no_bytes_from_a_peer_panic() {
        let url = Url::parse("ws://example.com/").unwrap();
        let deflate = Some(DeflateConfig::default());
        let config = WebSocketConfig { max_head_size: 256, deflate, ..WebSocketConfig::default() };
        let options = HandshakeOptions::default();
        let request = ClientHandshake::new(&url, &options, &config).unwrap().1;
        let responses: [&[u8]; 3] = [
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello",
            b"HTTP/1.1 503 \r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
        ];
        let mut generator = Random::new(1);
        let mut random = move |below: usize| generator.below(below.max(1));
        for round in 0..20_000 {
            let as_server = round % 4 == 3;
            let config = WebSocketConfig { plain_requests: round % 8 == 7, ..config.clone() };
            let mut bytes = if as_server { request.clone() } else { responses[round % 4].to_vec() };
            for _ in 0..=random(4) {
                let at = random(bytes.len());
                match random(4) {
                    0 => bytes[at] = random(256) as u8,
                    1 => bytes.truncate(at.max(1)),
                    2 => bytes.extend_from_within(at..),
                    _ => bytes.insert(at, b"\r\n\0 :\t,=0\xff"[random(10)]),
                }
            }
            let mut end = if as_server {
                Handshake::Server(ServerHandshake::new(&config))
            } else {
                Handshake::Client(ClientHandshake::new(&url, &options, &config).unwrap().0)
            };
            let (mut start, mut arrived) = (0, 0);
            loop {
                arrived = bytes.len().min(arrived + 1 + random(40));
                let eof = arrived == bytes.len();
                match end.advance(&bytes[start..arrived], eof) {
                    Ok((Progress::NeedMore, consumed)) => {
                        assert!(!eof);
                        start += consumed;
                        assert!(start <= arrived);
                    }
                    Ok((Progress::Request, _)) => {
                        let Handshake::Server(server) = &mut end else { panic!("a client has no requests") };
                        let is_upgrade = server.is_upgrade();
                        assert_eq!(server.accept(None, &options).is_ok(), is_upgrade);
                        assert_eq!(server.reject(200, &options, b"").is_ok(), !is_upgrade);
                        break;
                    }
                    _ => break,
                }
            }
        }
    }
}
