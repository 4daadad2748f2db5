//! The engines that compress, each as the two ends of a connection in memory.
//!
//! They share one flate2 with zlib-rs behind it, so what differs is their own work. soketto cannot be among them: it puts
//! C's zlib behind the flate2 of the whole program, and does not inflate with the present one.

use crate::samples::Sample;
use futures::{FutureExt, SinkExt, StreamExt};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How to compress; the window is of 15 bits always.
#[derive(Clone, Copy)]
pub struct Setting {
    pub level: u32,
    /// Of both sides.
    pub takeover: bool,
}

/// One end of a connection.
pub trait End: Sized {
    const NAME: &str;

    fn new(client: bool, setting: Setting, pipe: Pipe) -> Self;

    fn write(&mut self, sample: &Sample);

    /// Reads a message, which is to be this one.
    fn read(&mut self, sample: &Sample);

    /// Finds that there is no more to read, as a connection does before it waits.
    fn rest(&mut self);
}

/// An end of each kind, connected.
pub struct Pair<E> {
    pub client: E,
    pub server: E,
    to_server: Wire,
}

impl<E: End> Pair<E> {
    pub fn new(setting: Setting) -> Self {
        let (near, far) = pipes();
        let to_server = near.outgoing.clone();
        Self { client: E::new(true, setting, near), server: E::new(false, setting, far), to_server }
    }

    /// From the client to the server; returns the compressed length.
    pub fn send(&mut self, sample: &Sample) -> usize {
        self.client.write(sample);
        let frame = self.to_server.borrow().len();
        self.server.read(sample);
        frame - if frame < 6 + 126 { 6 } else { 8 }
    }
}

pub struct Wsabi(wsabi::WebSocket<Pipe>);

impl End for Wsabi {
    const NAME: &str = "wsabi";

    fn new(client: bool, setting: Setting, pipe: Pipe) -> Self {
        let deflate = wsabi::DeflateConfig {
            level: setting.level,
            client_no_context_takeover: !setting.takeover,
            server_no_context_takeover: !setting.takeover,
            ..Default::default()
        };
        let config = wsabi::WebSocketConfig { deflate: Some(deflate), ..Default::default() };
        let role = if client { wsabi::Role::Client } else { wsabi::Role::Server };
        Self(wsabi::WebSocket::from_raw_socket(pipe, role, Some(config)))
    }

    fn write(&mut self, sample: &Sample) {
        let message = wsabi::Outgoing::Text(&sample.text);
        assert_eq!(self.0.write_view(&message).unwrap(), wsabi::Enqueue::Accepted);
    }

    fn read(&mut self, sample: &Sample) {
        assert_eq!(self.0.read_view().unwrap().data, sample.text.as_bytes());
    }

    fn rest(&mut self) {
        assert!(self.0.read_view().is_err());
    }
}

pub struct Yawc(yawc::WebSocket<Pipe>);

impl End for Yawc {
    const NAME: &str = "yawc";

    fn new(client: bool, setting: Setting, pipe: Pipe) -> Self {
        // It has a pool for what is not taken over, if it is given one.
        static POOL: OnceLock<yawc::DeflatePool> = OnceLock::new();
        let compression = yawc::DeflateOptions {
            level: yawc::CompressionLevel::new(setting.level),
            client_no_context_takeover: !setting.takeover,
            server_no_context_takeover: !setting.takeover,
            pool: Some(POOL.get_or_init(|| yawc::DeflatePool::new(4)).clone()),
            ..Default::default()
        };
        let options =
            yawc::Options { check_utf8: true, compression: Some(compression), ..Default::default() };
        let extensions = match setting.takeover {
            true => "permessage-deflate",
            false => "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
        };
        let role = if client { yawc::Role::Client } else { yawc::Role::Server };
        Self(yawc::WebSocket::from_stream_with_extensions(pipe, role, Some(extensions), options).unwrap())
    }

    fn write(&mut self, sample: &Sample) {
        self.0.send(yawc::Frame::text(sample.bytes.clone())).now_or_never().unwrap().unwrap();
    }

    fn read(&mut self, sample: &Sample) {
        assert_eq!(self.0.next().now_or_never().unwrap().unwrap().payload(), &sample.bytes);
    }

    fn rest(&mut self) {
        assert!(self.0.next().now_or_never().is_none());
    }
}

type Wire = Rc<RefCell<Vec<u8>>>;

/// The stream of one end.
pub struct Pipe {
    incoming: Wire,
    outgoing: Wire,
}

/// A stream for each of two ends. They have room enough never to allocate again.
pub fn pipes() -> (Pipe, Pipe) {
    let wire = || Rc::new(RefCell::new(Vec::with_capacity(4096)));
    let (up, down): (Wire, Wire) = (wire(), wire());
    (Pipe { incoming: down.clone(), outgoing: up.clone() }, Pipe { incoming: up, outgoing: down })
}

impl Pipe {
    /// Takes what has come, `most` bytes of it.
    fn receive(&mut self, most: usize, put: impl FnOnce(&[u8])) -> io::Result<usize> {
        let mut bytes = self.incoming.borrow_mut();
        if bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = most.min(bytes.len());
        put(&bytes[..n]);
        bytes.drain(..n);
        Ok(n)
    }
}

impl Read for Pipe {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.receive(space.len(), |bytes| space[..bytes.len()].copy_from_slice(bytes))
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.receive(space.remaining(), |bytes| space.put_slice(bytes)) {
            Err(_) => Poll::Pending,
            Ok(_) => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Pipe {
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
