//! The asynchronous engines that read and write plain messages, over the stream that `read_write` gives them.
//!
//! The stream is always ready, so one poll is a whole operation and no runtime is there.

use crate::read_write::{Run, Script};
use bytes::Bytes;
use futures::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use std::fmt::Debug;
use std::hint::black_box;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::str::from_utf8;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// No message of the benchmark is refused.
const LIMIT: usize = 64 << 20;

pub fn fastwebsockets(run: &Run) -> f64 {
    use fastwebsockets::{FragmentCollector, Frame, Payload, Role, WebSocket};
    let role = if run.cell.server { Role::Server } else { Role::Client };
    let mut socket = WebSocket::after_handshake(run.stream(), role);
    socket.set_max_message_size(LIMIT);
    let mut socket = FragmentCollector::new(socket);
    run.time(
        &mut socket,
        |socket| {
            let payload = Payload::Borrowed(black_box(run.payload()));
            let frame = if run.cell.text() { Frame::text(payload) } else { Frame::binary(payload) };
            now(socket.write_frame(frame)).unwrap();
        },
        |socket| read_frame(socket, run),
    )
}

/// A call of its own: as a part of the loop it is compiled into something a third slower.
#[inline(never)]
fn read_frame(socket: &mut fastwebsockets::FragmentCollector<Script>, run: &Run) {
    run.has_read(&black_box(now(socket.read_frame()).unwrap()).payload);
}

pub fn tokio_websockets(run: &Run) -> f64 {
    use tokio_websockets::{ClientBuilder, Config, Limits, Message, ServerBuilder};
    let (config, limits) =
        (Config::default().frame_size(LIMIT), Limits::default().max_payload_len(Some(LIMIT)));
    let socket = if run.cell.server {
        ServerBuilder::new().config(config).limits(limits).serve(run.stream())
    } else {
        ClientBuilder::new().config(config).limits(limits).take_over(run.stream())
    };
    let payload = Bytes::copy_from_slice(run.payload());
    let message = if run.cell.text() { Message::text(payload) } else { Message::binary(payload) };
    drive(run, socket, message, |message| run.has_read(message.as_payload()))
}

pub fn sockudo_ws(run: &Run) -> f64 {
    use sockudo_ws::{Config, Message, Role, WebSocketStream};
    let config = Config::builder()
        .max_message_size(LIMIT)
        .max_frame_size(LIMIT)
        .auto_ping(false)
        .idle_timeout(0)
        .build();
    let role = if run.cell.server { Role::Server } else { Role::Client };
    let socket = WebSocketStream::from_raw(run.stream(), role, config);
    let payload = Bytes::copy_from_slice(run.payload());
    let message = if run.cell.text() { Message::Text(payload) } else { Message::Binary(payload) };
    drive(run, socket, message, |message| match message {
        Message::Text(payload) | Message::Binary(payload) => run.has_read(&payload),
        _ => panic!("neither text nor binary"),
    })
}

pub fn yawc(run: &Run) -> f64 {
    use yawc::{Frame, Options, Role, WebSocket};
    let options = Options {
        check_utf8: true,
        max_payload_read: Some(LIMIT),
        max_read_buffer: Some(2 * LIMIT),
        ..Default::default()
    };
    let role = if run.cell.server { Role::Server } else { Role::Client };
    let mut socket = WebSocket::from_stream_with_extensions(run.stream(), role, None, options).unwrap();
    let payload = Bytes::copy_from_slice(run.payload());
    run.time(
        &mut socket,
        |socket| {
            let payload = black_box(&payload).clone();
            let frame = if run.cell.text() { Frame::text(payload) } else { Frame::binary(payload) };
            now(socket.send(frame)).unwrap();
        },
        |socket| run.has_read(now(socket.next()).unwrap().payload()),
    )
}

pub fn soketto(run: &Run) -> f64 {
    use soketto::connection::{Builder, Mode};
    let mode = if run.cell.server { Mode::Server } else { Mode::Client };
    let mut builder = Builder::new(run.stream(), mode);
    builder.set_max_message_size(LIMIT);
    builder.set_max_frame_size(LIMIT);
    let (sender, receiver) = builder.finish();
    run.time(
        &mut (sender, receiver, Vec::new()),
        |(sender, _, _)| {
            let payload = black_box(run.payload());
            match run.cell.text() {
                true => now(sender.send_text(from_utf8(payload).unwrap())).unwrap(),
                false => now(sender.send_binary(payload)).unwrap(),
            }
            now(sender.flush()).unwrap();
        },
        |(_, receiver, message)| {
            message.clear();
            now(receiver.receive_data(message)).unwrap();
            // It does not look whether a text is one.
            assert!(!run.cell.text() || from_utf8(black_box(message)).is_ok());
            run.has_read(message);
        },
    )
}

fn drive<S, M, E: Debug>(run: &Run, mut socket: S, message: M, has_read: impl Fn(M)) -> f64
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    M: Clone,
{
    run.time(
        &mut socket,
        |socket| now(socket.send(black_box(&message).clone())).unwrap(),
        |socket| has_read(now(socket.next()).unwrap().unwrap()),
    )
}

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("the stream is always ready")
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        space.put_slice(self.receive(space.remaining()));
        Poll::Ready(Ok(()))
    }
}

impl futures::AsyncRead for Script {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(io::Read::read(&mut *self, space))
    }
}

impl futures::AsyncWrite for Script {
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

impl AsyncWrite for Script {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
