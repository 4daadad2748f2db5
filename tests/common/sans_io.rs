//! The connection without I/O, fed by hand: the loops that a program writes around it.

use crate::common::end::{Beginning, End, Event, Fault, Outcome, Seen};
use crate::common::link::ScriptedStream;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;
use wsabi::Enqueue;
use wsabi::Outgoing;
use wsabi::internals::Received;
use wsabi::internals::{ClientHandshake, ServerHandshake};
use wsabi::internals::{Connection, Opening};
use wsabi::{CloseCode, Decision, HandshakeError, Kind, Url, WebSocketConfig};

pub struct SansIo {
    connection: Connection,
    stream: ScriptedStream,
    /// Take bytes from `output` instead of `gather`.
    lend: bool,
    decision: Option<Decision>,
    refused: Option<Fault>,
}

impl SansIo {
    pub fn new(stream: ScriptedStream, beginning: Beginning, config: WebSocketConfig, lend: bool) -> Self {
        let config = Arc::new(config);
        let (connection, decision) = match beginning {
            Beginning::Open(role, part) => (Connection::open(role, config, part), None),
            Beginning::Client(url, options) => {
                let url = Url::parse(url).unwrap();
                let (handshake, request) = ClientHandshake::new(&url, &options, &config).unwrap();
                (Connection::client(config, handshake, &request).unwrap(), None)
            }
            Beginning::Server(decision) => {
                let handshake = ServerHandshake::new(&config);
                (Connection::server(config, handshake), Some(decision))
            }
        };
        Self { connection, stream, lend, decision, refused: None }
    }

    /// Sends what it can; `WouldBlock` where something is left.
    fn flush(&mut self) -> Outcome<()> {
        while self.connection.has_output() {
            let sent = match self.lend {
                true => self.stream.write(self.connection.output()),
                false => {
                    let mut slices = [IoSlice::new(&[]); 4];
                    let used = self.connection.gather(&mut slices);
                    self.stream.write_vectored(&slices[..used])
                }
            };
            match (sent, self.lend) {
                (Ok(n), true) => assert!(self.connection.advance_output(n)),
                (Ok(n), false) => self.connection.sent(n),
                (Err(error), lend) => {
                    // Nothing was taken: the memory need not stay lent.
                    assert!(!lend || self.connection.advance_output(0));
                    return match error.kind() {
                        ErrorKind::WouldBlock => Err(Fault::WouldBlock),
                        _ => Ok(self.connection.send_failed(error)?),
                    };
                }
            }
        }
        Ok(())
    }

    fn flush_quietly(&mut self) -> Outcome<bool> {
        match self.flush() {
            Err(Fault::WouldBlock) => Ok(true),
            other => other.map(|()| false),
        }
    }

    fn fill(&mut self) -> Outcome<()> {
        let space = self.connection.space()?;
        match self.stream.read(space) {
            Ok(0) => self.connection.received_eof(),
            Ok(n) => self.connection.received(n),
            // That it takes nothing is known: with this it has nothing more to give.
            Err(_) if self.connection.has_send_failed() => self.connection.received_eof(),
            Err(error) => {
                self.connection.release();
                return Err(self.io(error));
            }
        }
        Ok(())
    }

    fn io(&mut self, error: io::Error) -> Fault {
        match error.kind() {
            ErrorKind::WouldBlock => Fault::WouldBlock,
            _ => self.connection.stream_failed(error).into(),
        }
    }

    fn event(&self, received: &Received) -> Event {
        Event {
            kind: received.kind,
            data: self.connection.payload(received).to_vec(),
            code: (received.kind == Kind::Close).then(|| self.connection.close_code().expect("a code").0),
            is_final: received.is_final,
        }
    }

    /// Reads until there is something, or nothing can come for now.
    fn next(&mut self) -> Outcome<Event> {
        loop {
            let stuck = self.flush_quietly()?;
            if let Some(received) = self.connection.poll_read()? {
                return Ok(self.event(&received));
            }
            if !stuck && self.connection.has_output() {
                self.flush_quietly()?;
            }
            if self.connection.has_ended() {
                return Err(Fault::WouldBlock);
            }
            self.fill()?;
        }
    }

    fn accepted(&mut self, accepted: Enqueue) -> Outcome<()> {
        self.flush_quietly()?;
        match accepted {
            Enqueue::Accepted => Ok(()),
            Enqueue::Full => Err(Fault::QueueFull),
        }
    }

    fn decide(&mut self) -> Outcome<()> {
        match self.decision.take().expect("one request") {
            Decision::Accept { protocol, options } => {
                Ok(self.connection.accept(protocol.as_deref(), &options)?)
            }
            Decision::Reject { status, options, body } => {
                self.connection.reject(status, &options, &body)?;
                Err(HandshakeError::Refused(status)).map_err(|error| wsabi::Error::from(error).into())
            }
        }
    }
}

impl End for SansIo {
    fn handshake(&mut self) -> Outcome<()> {
        loop {
            self.flush()?;
            if let Some(fault) = self.refused {
                return Err(fault);
            }
            let step = match self.connection.poll_handshake() {
                Ok(Opening::NeedsBytes) => self.fill(),
                Ok(Opening::Request) => self.decide(),
                Ok(Opening::Open) if self.connection.has_output() => continue,
                Ok(Opening::Open) => return Ok(()),
                Err(error) => Err(error.into()),
            };
            match step {
                Ok(()) => {}
                Err(Fault::Handshake | Fault::Capacity) => self.refused = step.err(),
                Err(fault) => return Err(fault),
            }
        }
    }

    fn read(&mut self) -> Outcome<Event> {
        let result = self.next();
        if result == Err(Fault::WouldBlock) {
            assert!(
                self.connection.wants_bytes()
                    || self.connection.has_output()
                    || self.connection.is_readable(),
                "a loop that waits for what this connection wants would hang"
            );
        }
        result
    }

    fn write(&mut self, kind: Kind, data: &[u8]) -> Outcome<()> {
        let message = match kind {
            Kind::Text => Outgoing::Text(str::from_utf8(data).map_err(|_| Fault::Utf8)?),
            Kind::Binary => Outgoing::Binary(data),
            Kind::Ping => Outgoing::Ping(data),
            Kind::Pong => Outgoing::Pong(data),
            Kind::Close => panic!("see close"),
        };
        let mut accepted = self.connection.queue(&message)?;
        if accepted == Enqueue::Full {
            self.flush_quietly()?;
            accepted = self.connection.queue(&message)?;
        }
        self.accepted(accepted)
    }

    fn write_fragment(&mut self, kind: Kind, data: &[u8], is_final: bool) -> Outcome<()> {
        let accepted = self.connection.queue_fragment(kind, data, is_final)?;
        self.accepted(accepted)
    }

    fn write_pending(&mut self) -> Outcome<()> {
        if self.connection.has_send_failed() {
            return Err(Fault::NotWritable);
        }
        if !self.connection.ignores_input() {
            return self.flush();
        }
        match self.next() {
            Ok(event) => panic!("{event:?} after the end"),
            Err(Fault::WouldBlock) if !self.connection.has_output() => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    fn close(&mut self, frame: Option<(u16, &str)>) -> Outcome<()> {
        let frame = frame.map(|(code, reason)| (CloseCode(code), reason));
        let accepted = self.connection.queue(&Outgoing::Close(frame))?;
        self.accepted(accepted)
    }

    fn tick(&mut self, now: u64) -> Outcome<()> {
        let due = self.connection.next_deadline();
        let result = self.connection.tick(now);
        assert!(due <= now || result.is_ok(), "a deadline passed at {now} that was announced for {due}");
        let next = self.connection.next_deadline();
        assert!(next > now, "at {now}, {next} is announced again: a loop that waits for it would spin");
        Ok(result?)
    }

    fn can_read(&self) -> bool {
        self.connection.phase().can_read()
    }

    fn can_write(&self) -> bool {
        self.connection.phase().can_write()
    }

    fn configure(&mut self, change: &dyn Fn(&mut WebSocketConfig)) {
        change(self.connection.config_mut());
    }

    fn config(&self) -> WebSocketConfig {
        self.connection.config().clone()
    }

    fn failure(&self) -> Option<String> {
        self.connection.failure().map(|failure| failure.sentence.clone())
    }

    fn seen(&self) -> Seen {
        let Some(head) = self.connection.head() else { return Seen::default() };
        Seen {
            status: head.status(),
            body: head.body().to_vec(),
            target: head.target().into(),
            protocol: self.connection.protocol().map(str::to_owned),
        }
    }

    fn stream(&mut self) -> &mut ScriptedStream {
        &mut self.stream
    }
}
