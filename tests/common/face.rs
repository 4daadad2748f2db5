//! The Rust face: `WebSocket<Stream>`, `client` and `accept`.

use crate::common::end::{Beginning, End, Event, Fault, Outcome, Seen};
use crate::common::link::ScriptedStream;
use wsabi::{
    CloseCode, CloseFrame, Enqueue, Error, HandshakeFailure, Kind, Message, MidHandshake, WebSocket,
    WebSocketConfig,
};

pub struct Face {
    state: State,
    seen: Seen,
}

#[allow(clippy::large_enum_variant)] // there are two of them in a test
enum State {
    New(Option<(ScriptedStream, Beginning, WebSocketConfig)>),
    Opening(Option<Box<MidHandshake<ScriptedStream>>>),
    Open(WebSocket<ScriptedStream>),
}

impl Face {
    pub fn new(stream: ScriptedStream, beginning: Beginning, config: WebSocketConfig) -> Self {
        let state = match beginning {
            Beginning::Open(role, part) => {
                State::Open(WebSocket::from_partially_read(stream, part, role, Some(config)))
            }
            other => State::New(Some((stream, other, config))),
        };
        Self { state, seen: Seen::default() }
    }

    fn socket(&mut self) -> &mut WebSocket<ScriptedStream> {
        match &mut self.state {
            State::Open(socket) => socket,
            _ => panic!("the opening handshake is not complete"),
        }
    }

    fn socket_ref(&self) -> &WebSocket<ScriptedStream> {
        match &self.state {
            State::Open(socket) => socket,
            _ => panic!("the opening handshake is not complete"),
        }
    }
}

impl End for Face {
    fn handshake(&mut self) -> Outcome<()> {
        let result = match &mut self.state {
            State::New(parts) => match parts.take().expect("the handshake has failed") {
                (stream, Beginning::Client(url, options), config) => {
                    wsabi::client_with(url, &options, stream, Some(config))
                }
                (stream, Beginning::Server(decision), config) => {
                    wsabi::accept_with(stream, Some(config), move |_| decision)
                }
                (_, Beginning::Open(..), _) => unreachable!(),
            },
            State::Opening(mid) => mid.take().expect("the handshake has failed").handshake(),
            State::Open(_) => return Ok(()),
        };
        match result {
            Ok(socket) => {
                let protocol = socket.protocol().map(str::to_owned);
                let head = socket.head().expect("a head");
                self.seen =
                    Seen { status: head.status(), body: vec![], target: head.target().into(), protocol };
                self.state = State::Open(socket);
                Ok(())
            }
            Err(HandshakeFailure::Interrupted(mid)) => {
                self.state = State::Opening(Some(mid));
                Err(Fault::WouldBlock)
            }
            Err(HandshakeFailure::Failure(error)) => {
                self.state = State::Opening(None);
                if let Error::Http(head) = &error {
                    self.seen = Seen { status: head.status(), body: head.body().to_vec(), ..Seen::default() };
                }
                Err(error.into())
            }
        }
    }

    fn read(&mut self) -> Outcome<Event> {
        if self.socket_ref().get_config().deliver_fragments {
            let view = self.socket().read_view()?;
            let code = view.close_code.map(|code| code.0);
            return Ok(Event { kind: view.kind, data: view.data.to_vec(), code, is_final: view.is_final });
        }
        Ok(Event::from_message(&self.socket().read_message()?))
    }

    fn write(&mut self, kind: Kind, data: &[u8]) -> Outcome<()> {
        let message = match kind {
            Kind::Text => Message::Text(String::from_utf8(data.to_vec()).map_err(|_| Fault::Utf8)?),
            Kind::Binary => Message::Binary(data.to_vec()),
            Kind::Ping => Message::Ping(data.to_vec()),
            Kind::Pong => Message::Pong(data.to_vec()),
            Kind::Close => panic!("see close"),
        };
        match self.socket().write_message(message.clone()) {
            Err(Error::SendQueueFull(back)) => {
                assert_eq!(back, message, "the message is handed back");
                Err(Fault::QueueFull)
            }
            other => Ok(other?),
        }
    }

    fn write_fragment(&mut self, kind: Kind, data: &[u8], is_final: bool) -> Outcome<()> {
        match self.socket().write_fragment(kind, data, is_final)? {
            Enqueue::Accepted => Ok(()),
            Enqueue::Full => Err(Fault::QueueFull),
        }
    }

    fn write_pending(&mut self) -> Outcome<()> {
        Ok(self.socket().write_pending()?)
    }

    fn close(&mut self, frame: Option<(u16, &str)>) -> Outcome<()> {
        let frame = frame
            .map(|(code, reason)| CloseFrame { code: CloseCode(code), reason: reason.to_owned().into() });
        Ok(self.socket().close(frame)?)
    }

    fn tick(&mut self, now: u64) -> Outcome<()> {
        match &mut self.state {
            State::New(_) => Ok(()),
            State::Opening(mid) => Ok(mid.as_mut().expect("the handshake has failed").tick(now)?),
            State::Open(socket) => Ok(socket.tick(now)?),
        }
    }

    fn can_read(&self) -> bool {
        matches!(&self.state, State::Open(socket) if socket.can_read())
    }

    fn can_write(&self) -> bool {
        matches!(&self.state, State::Open(socket) if socket.can_write())
    }

    fn configure(&mut self, change: &dyn Fn(&mut WebSocketConfig)) {
        self.socket().set_config(change);
    }

    fn config(&self) -> WebSocketConfig {
        self.socket_ref().get_config().clone()
    }

    fn failure(&self) -> Option<String> {
        self.socket_ref().failure().map(str::to_owned)
    }

    fn seen(&self) -> Seen {
        self.seen.clone()
    }

    fn stream(&mut self) -> &mut ScriptedStream {
        match &mut self.state {
            State::Open(socket) => socket.get_mut(),
            State::Opening(Some(mid)) => mid.get_mut(),
            State::New(Some((stream, ..))) => stream,
            _ => panic!("the stream is gone with the failed handshake"),
        }
    }
}
