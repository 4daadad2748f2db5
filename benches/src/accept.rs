//! Accepts opening handshakes over a stream in memory, from the first byte of a request to an open connection and its end.

use crate::json::Row;
use crate::{instructions, median, time};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::FutureExt;
use sha1::{Digest as _, Sha1};
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub const NAME: &str = "accept server handshake";
const COUNT: usize = 20_000;

type Engine = (&'static str, fn());

/// Ours first, then tungstenite, which a goal is about. The last is no engine: what is left of all of them without a
/// connection, rules and errors.
const ENGINES: [Engine; 5] = [
    ("wsabi", || assert!(black_box(wsabi::accept(Request::new())).is_ok())),
    ("tungstenite", || assert!(black_box(tungstenite::accept(Request::new())).is_ok())),
    ("tokio-websockets", tokio_websockets),
    ("soketto", soketto),
    ("libraries alone", libraries_alone),
];

/// Nanoseconds a handshake, of each engine.
pub fn measure(rounds: usize) -> [(&'static str, f64); ENGINES.len()] {
    let mut times = ENGINES.map(|_| Vec::new());
    for _ in 0..rounds {
        for (times, (_, accept)) in times.iter_mut().zip(ENGINES) {
            times.push(time(COUNT, || (0..COUNT).for_each(|_| accept())).0);
        }
    }
    std::array::from_fn(|i| (ENGINES[i].0, median(std::mem::take(&mut times[i]))))
}

/// The lines of the table.
pub fn run(rounds: usize, rows: &mut Vec<Row>) {
    let measured = measure(rounds);
    for (peer, nanoseconds) in measured {
        println!(
            "{NAME:30} {peer:>17} {nanoseconds:>10.1} ns, wsabi / peer {:.2}",
            measured[0].1 / nanoseconds
        );
        let (task, role, size, kind) = ("accept", "server", REQUEST.len(), "handshake");
        let instructions = instructions(NAME, size, peer);
        rows.push(Row { group: "accept", task, role, size, kind, peer, nanoseconds, instructions });
    }
}

/// So many through one engine.
pub fn run_one(count: usize, peer: &str) {
    let (_, accept) = ENGINES.into_iter().find(|engine| engine.0 == peer).expect("a peer");
    (0..count).for_each(|_| accept());
}

fn tokio_websockets() {
    let server = tokio_websockets::ServerBuilder::new();
    let accepted = server.accept(Request::new()).now_or_never();
    assert!(black_box(accepted.expect("the stream is always ready")).is_ok());
}

fn soketto() {
    use soketto::handshake::server::{Response, Server};
    let accept = async {
        let mut server = Server::new(Request::new());
        let key = server.receive_request().await?.key();
        server.send_response(&Response::Accept { key, protocol: None }).await?;
        Ok::<_, soketto::handshake::Error>(server.into_builder().finish())
    };
    assert!(black_box(accept.now_or_never().expect("the stream is always ready")).is_ok());
}

/// Receives, has the head parsed, looks for the fields that count, keeps the head, and answers: httparse, sha1 and base64.
fn libraries_alone() {
    let mut stream = Request::new();
    let mut received = vec![0; 1024];
    let len = stream.read(&mut received).expect("the stream is always ready");
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut fields);
    assert!(request.parse(&received[..len]).is_ok_and(|status| status.is_complete()));
    let value = |name: &str| {
        let mut fields = request.headers.iter();
        fields.find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    };
    let is = |name, value: Option<&[u8]>| value.is_some_and(|value| value.eq_ignore_ascii_case(name));
    assert!(is(b"websocket", value("Upgrade")) && is(b"Upgrade", value("Connection")));
    assert!(is(b"13", value("Sec-WebSocket-Version")) && value("Host").is_some());
    let key = value("Sec-WebSocket-Key").expect("a key");
    let digest =
        Sha1::new().chain_update(key).chain_update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    let mut answer = [0; 28];
    BASE64.encode_slice(digest, &mut answer).expect("there is room");
    let head = received[..len].to_vec();
    let mut response = Vec::with_capacity(224);
    response.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
    );
    response.extend_from_slice(b"Sec-WebSocket-Accept: ");
    response.extend_from_slice(&answer);
    response.extend_from_slice(b"\r\n\r\n");
    stream.write_all(&response).expect("the stream takes everything");
    black_box((received, head));
}

/// A client that asks for a WebSocket and takes what it is answered.
#[derive(Debug)]
struct Request {
    at: usize,
}

/// As a browser sends it, but for some headers.
pub const REQUEST: &[u8] =
    b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\nUser-Agent: benchmark\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

impl Request {
    fn new() -> Self {
        Self { at: 0 }
    }
}

impl Read for Request {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if self.at == REQUEST.len() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = space.len().min(REQUEST.len() - self.at);
        space[..n].copy_from_slice(&REQUEST[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

impl Write for Request {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(black_box(bytes).len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Request {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n = self.read(space.initialize_unfilled())?;
        space.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Request {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl futures::AsyncRead for Request {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.read(space))
    }
}

impl futures::AsyncWrite for Request {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
