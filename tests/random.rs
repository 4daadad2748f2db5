//! Random scripts of a peer, in order and corrupted: never a panic, and the result never depends on how bytes were cut,
//! on when the stream would block, or on the transport. All seeds are fixed.

mod common;

use common::deflate::{self, Ending};
use common::harness::shake;
use common::random::{Random, seeds};
use common::wire::{self, BINARY, CLOSE, PING, PONG, TEXT};
use common::{
    Block, Event, Fault, Harness, Role, Script, SharedConnection, Transport, WebSocketConfig, config, plain,
};
use flate2::{Compress, Compression, FlushCompress};
use wsabi::{Decision, HandshakeOptions, Kind};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// All that can be seen of a connection that was fed.
#[derive(Debug, PartialEq)]
struct Outcome {
    messages: Vec<Event>,
    faults: Vec<Fault>,
    failure: String,
    /// The Close that was sent.
    close: Option<Vec<u8>>,
    open: (bool, bool),
}

/// Feeds the bytes and the end of the stream, and reads until the end.
fn feed(harness: &Harness, role: Role, config: &WebSocketConfig, bytes: &[u8], cut: usize) -> Outcome {
    let (mut end, peer) = harness.end_after(role, &bytes[..cut], config.clone());
    peer.send_raw(&bytes[cut..]);
    peer.end();
    let (mut events, mut faults, mut failure) = (Vec::new(), Vec::new(), String::new());
    while faults.len() < 4 {
        match end.read() {
            Ok(event) => events.push(event),
            Err(fault) => {
                if faults.is_empty() && fault != Fault::Closed {
                    failure = end.failure();
                }
                faults.push(fault);
            }
        }
    }
    let sent = peer.frames();
    let closes: Vec<_> = sent.iter().filter(|frame| frame.first == CLOSE).collect();
    assert!(closes.len() <= 1, "one Close at most");
    assert!(closes.is_empty() || sent.last() == closes.last().copied(), "nothing follows a Close");
    let mut close = closes.first().map(|frame| frame.payload.clone());
    if role == Role::Client && faults[0] == Fault::Closed {
        // The server has ended the stream: whether the answer to its Close left before that makes no difference.
        close = None;
    }
    Outcome { messages: join(events), faults, failure, close, open: (end.can_read(), end.can_write()) }
}

/// Parts become messages; how much was delivered of one that was never whole is the same each time, too.
fn join(events: Vec<Event>) -> Vec<Event> {
    let mut messages = Vec::new();
    let mut open: Option<Event> = None;
    for event in events {
        if event.kind == Kind::Text {
            assert!(str::from_utf8(&event.data).is_ok(), "text is UTF-8, parts of it too");
        }
        if event.kind.is_control() {
            messages.push(event);
            continue;
        }
        let mut message = open.take().unwrap_or(Event { data: vec![], ..event.clone() });
        message.data.extend_from_slice(&event.data);
        message.is_final = event.is_final;
        if event.is_final { messages.push(message) } else { open = Some(message) }
    }
    messages.extend(open);
    messages
}

fn random_config(random: &mut Random) -> WebSocketConfig {
    config(|c| {
        if random.one_in(2) {
            c.max_message_size = Some(1 + random.below(600));
            c.max_frame_size = Some(1 + random.below(400));
            c.max_fragments = Some(1 + random.below(8));
        }
        c.auto_pong = !random.one_in(4);
        c.deliver_control = random.one_in(2);
        c.deliver_fragments = random.one_in(3);
        c.accept_unmasked_frames = random.one_in(4);
    })
}

fn random_script(random: &mut Random) -> Script {
    let sizes = [1, 2, 3, 7, 16, 125, 1024, usize::MAX];
    let block = match random.below(3) {
        0 => Block::Never,
        1 => Block::Every(2 + random.below(5)),
        _ => Block::At(random.below(60)),
    };
    Script { read: *random.pick(&sizes), write: *random.pick(&sizes), block }
}

fn random_text(random: &mut Random, len: usize) -> Vec<u8> {
    let letters = ['a', 'z', ' ', '\0', 'ß', 'é', '漢', '字', '🥊', '\u{10ffff}', '\u{7ff}', '\u{800}'];
    let mut text = String::new();
    while text.len() < len {
        text.push(*random.pick(&letters));
    }
    text.into_bytes()
}

/// What an orderly peer might send.
fn random_frames(random: &mut Random, sender: Role) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for _ in 0..random.below(10) {
        let len = *random.pick(&[0, 1, 5, 20, 125, 126, 130, 300]);
        let is_text = random.one_in(2);
        let payload = if is_text { random_text(random, len) } else { random.bytes(len) };
        let pieces = if random.one_in(2) { 1 } else { 1 + random.below(5) };
        let mut rest = &payload[..];
        for i in 0..pieces {
            let is_last = i + 1 == pieces;
            let (piece, behind) =
                rest.split_at(if is_last { rest.len() } else { random.below(rest.len() + 1) });
            rest = behind;
            let opcode = if i > 0 {
                0
            } else if is_text {
                TEXT & 0x0f
            } else {
                BINARY & 0x0f
            };
            frames.push(wire::frame(sender, if is_last { 0x80 } else { 0 } | opcode, piece));
            while random.one_in(4) {
                let len = *random.pick(&[0, 1, 8, 125]);
                let control = random.bytes(len);
                frames.push(wire::frame(sender, *random.pick(&[PING, PONG]), &control));
            }
        }
    }
    if random.one_in(3) {
        let code = *random.pick(&[1000, 1001, 1011, 3000, 4999, 1005, 999]);
        let reason_len = random.below(30);
        let reason = String::from_utf8(random_text(random, reason_len)).unwrap();
        frames.push(wire::frame(sender, CLOSE, &wire::close_payload(code, &reason)));
    }
    frames
}

fn corrupt(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..1 + random.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] = random.next() as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.next() as u8),
            4 => drop(bytes.remove(at)),
            _ => bytes.extend_from_within(at..),
        }
    }
}

/// The same outcome over every transport, each with links of its own.
fn check(random: &mut Random, role: Role, config: &WebSocketConfig, bytes: &[u8], what: &str) -> Outcome {
    let expected = feed(&Harness::new(Transport::Gathered, Script::WHOLE), role, config, bytes, 0);
    for transport in Transport::ALL {
        for script in [random_script(random), random_script(random)] {
            let cut = if random.one_in(2) { 0 } else { random.below(bytes.len() + 1) };
            let outcome = feed(&Harness::new(transport, script), role, config, bytes, cut);
            assert_eq!(
                outcome, expected,
                "{what}: {role:?} over {transport:?} with {script:?}, {cut} bytes first, {config:?}, {bytes:x?}"
            );
        }
    }
    expected
}

#[test]
fn an_orderly_peer_is_understood_the_same_way_however_its_bytes_are_cut() {
    let mut messages = 0;
    for seed in seeds(0..150) {
        let mut random = Random::new(seed);
        for role in ROLES {
            let config = random_config(&mut random);
            let bytes = random_frames(&mut random, wire::other(role)).concat();
            messages += check(&mut random, role, &config, &bytes, &format!("seed {seed}")).messages.len();
        }
    }
    assert!(messages > 500, "{messages} messages came through");
}

#[test]
fn a_corrupted_peer_is_refused_the_same_way_however_its_bytes_are_cut() {
    let mut seen = Vec::new();
    for seed in seeds(1000..1250) {
        let mut random = Random::new(seed);
        for role in ROLES {
            let config = random_config(&mut random);
            let mut bytes = random_frames(&mut random, wire::other(role)).concat();
            corrupt(&mut random, &mut bytes);
            let outcome = check(&mut random, role, &config, &bytes, &format!("seed {seed}"));
            seen.push(outcome.faults[0]);
        }
    }
    for fault in [Fault::Protocol, Fault::Capacity, Fault::Utf8, Fault::Closed] {
        assert!(seen.contains(&fault), "{fault:?} never came");
    }
}

#[test]
fn frames_in_any_order_and_without_any_sense_are_refused_the_same_way() {
    for seed in seeds(2000..2200) {
        let mut random = Random::new(seed);
        for role in ROLES {
            let config = random_config(&mut random);
            let mut bytes = Vec::new();
            for _ in 0..random.below(8) {
                let sender = if random.one_in(20) { role } else { wire::other(role) };
                let opcode = *random.pick(&[0, 0, 1, 1, 2, 2, 8, 9, 10, 3, 11]);
                let bits = if random.one_in(10) { random.next() as u8 & 0x70 } else { 0 };
                let fin = if random.one_in(2) { 0x80 } else { 0 };
                let len = *random.pick(&[0, 1, 2, 3, 7, 100, 126]);
                bytes.extend(wire::frame(sender, fin | bits | opcode, &random.bytes(len)));
            }
            check(&mut random, role, &config, &bytes, &format!("seed {seed}"));
        }
    }
}

/// A compressed payload in blocks of many kinds.
fn random_payload(random: &mut Random, compressor: &mut Compress, data: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(2 * data.len() + 1000);
    match random.below(8) {
        0 => return deflate::store(data),
        1 => {
            // A final block, with or without something behind it.
            let mut alone = Compress::new(Compression::new(random.below(10) as u32), false);
            alone.compress_vec(data, &mut payload, FlushCompress::Finish).unwrap();
            payload.extend_from_slice([&[][..], &[0], &[1]][random.below(3)]);
            return payload;
        }
        2 if data.is_empty() => return payload,
        _ => {}
    }
    let (first, second) = data.split_at(random.below(data.len() + 1));
    let flush = *random.pick(&[
        FlushCompress::None,
        FlushCompress::Partial,
        FlushCompress::Sync,
        FlushCompress::Full,
    ]);
    compressor.compress_vec(first, &mut payload, flush).unwrap();
    compressor.compress_vec(second, &mut payload, FlushCompress::Sync).unwrap();
    if payload.is_empty() {
        return vec![0];
    }
    assert!(payload.ends_with(&[0, 0, 0xff, 0xff]));
    payload.truncate(payload.len() - 4);
    payload
}

#[test]
fn a_peer_that_compresses_is_judged_the_same_way_however_its_bytes_are_cut_and_as_the_rfc_has_it() {
    let mut seen = Vec::new();
    for seed in seeds(7000..7150) {
        let mut random = Random::new(seed);
        let (role, takeover, is_limited) = (*random.pick(&ROLES), random.one_in(2), random.one_in(2));
        let mut config = if is_limited { random_config(&mut random) } else { plain() };
        config.deliver_fragments = random.one_in(2);
        config.deliver_control = false;
        config.deflate = deflate::config(takeover, |_| ()).deflate;
        let mut compressor = Compress::new(Compression::new(random.below(10) as u32), false);
        let mut reference = deflate::Inflater::default();
        let (mut bytes, mut expected, mut fault) = (Vec::new(), Vec::new(), None);
        for _ in 0..1 + random.below(6) {
            let kind = *random.pick(&[Kind::Text, Kind::Binary]);
            let len = *random.pick(&[0, 1, 5, 20, 300, 2000]);
            let data = if kind == Kind::Text || random.one_in(2) {
                random_text(&mut random, len)
            } else {
                random.bytes(len)
            };
            if !takeover {
                compressor.reset();
            }
            let mut payload = random_payload(&mut random, &mut compressor, &data);
            if random.one_in(5) {
                corrupt(&mut random, &mut payload);
            }
            let first = 0x40 | if kind == Kind::Text { TEXT & 0x0f } else { BINARY & 0x0f };
            let (one, other) = payload.split_at(random.below(payload.len() + 1));
            if random.one_in(2) {
                bytes.extend(wire::frame(wire::other(role), first, one));
                bytes.extend(wire::frame(wire::other(role), PING, b""));
                bytes.extend(wire::frame(wire::other(role), 0x80, other));
            } else {
                bytes.extend(wire::frame(wire::other(role), 0x80 | first, &payload));
            }
            if fault.is_none() {
                let (message, ending) = reference.message(&payload, takeover);
                let text = str::from_utf8(&message);
                let bad_text =
                    text.is_err_and(|error| error.error_len().is_some() || ending == Ending::Whole);
                let (good, ended) = match (kind, ending) {
                    (Kind::Text, _) if bad_text => {
                        (text.map_or_else(|e| e.valid_up_to(), str::len), Some((Fault::Utf8, 1007)))
                    }
                    (_, Ending::Whole) => (message.len(), None),
                    (Kind::Text, _) => {
                        (text.map_or_else(|e| e.valid_up_to(), str::len), Some(fault_of(ending)))
                    }
                    _ => (message.len(), Some(fault_of(ending))),
                };
                fault = ended;
                let is_final = fault.is_none();
                if is_final || (config.deliver_fragments && good > 0) {
                    expected.push(Event { is_final, ..Event::whole(kind, &message[..good]) });
                }
            }
        }
        let what = format!("seed {seed}");
        let outcome = check(&mut random, role, &config, &bytes, &what);
        if !is_limited {
            assert_eq!(outcome.messages, expected, "{what}");
            let (fault, code) = fault.unwrap_or((Fault::Protocol, 0));
            assert_eq!(outcome.faults[0], fault, "{what}");
            let close = outcome.close.map_or(0, |close| u16::from_be_bytes([close[0], close[1]]));
            assert_eq!(close, code, "{what}");
        }
        seen.push(outcome.faults[0]);
    }
    for fault in [Fault::Protocol, Fault::Capacity, Fault::Utf8] {
        assert!(seen.contains(&fault), "{fault:?} never came");
    }
}

fn fault_of(ending: Ending) -> (Fault, u16) {
    match ending {
        Ending::Corrupt => (Fault::Protocol, 1002),
        _ => (Fault::Protocol, 1007),
    }
}

#[test]
fn noise_is_refused_the_same_way() {
    for seed in seeds(3000..3200) {
        let mut random = Random::new(seed);
        let len = random.below(200);
        let bytes = random.bytes(len);
        for role in ROLES {
            let config = random_config(&mut random);
            check(&mut random, role, &config, &bytes, &format!("seed {seed}"));
        }
    }
}

#[test]
fn heads_that_were_tampered_with_are_judged_the_same_way_however_they_are_cut() {
    let request = b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Protocol: a, b\r\n\r\n\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let response =
        b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\nnot allowed";
    for seed in seeds(4000..4200) {
        let mut random = Random::new(seed);
        let as_server = random.one_in(2);
        let mut bytes = if as_server { request.to_vec() } else { response.to_vec() };
        corrupt(&mut random, &mut bytes);
        let judge = |harness: &Harness| {
            let limits = config(|c| c.max_head_size = 300);
            let (mut end, peer) = match as_server {
                true => harness.server(Decision::accept(), limits),
                false => harness.client("ws://example.com/", HandshakeOptions::default(), limits),
            };
            peer.send_raw(&bytes);
            peer.end();
            let verdict = end.handshake();
            let mut events = Vec::new();
            if verdict.is_ok() {
                let _ = end.write_pending();
                events = end.read_all().0;
                let _ = end.read();
            }
            // The key of a client's request is a new one each time.
            let sent = if as_server { peer.raw() } else { vec![] };
            (verdict, events, sent, end.seen())
        };
        let expected = judge(&Harness::new(Transport::Gathered, Script::WHOLE));
        for transport in Transport::ALL {
            let script = random_script(&mut random);
            let outcome = judge(&Harness::new(transport, script));
            let shown = String::from_utf8_lossy(&bytes);
            assert_eq!(outcome.0, expected.0, "seed {seed} over {transport:?} with {script:?}: {shown}");
            assert_eq!(outcome.1, expected.1, "seed {seed} over {transport:?} with {script:?}: {shown}");
            assert_eq!(
                String::from_utf8_lossy(&outcome.2),
                String::from_utf8_lossy(&expected.2),
                "seed {seed} over {transport:?} with {script:?}: {shown}"
            );
            if expected.0 == Ok(()) || !as_server {
                assert_eq!(outcome.3, expected.3, "seed {seed} over {transport:?} with {script:?}: {shown}");
            }
        }
    }
}

/// One end of two: what it has been told to send, and what it has read.
struct Side {
    end: SharedConnection,
    accepted: Vec<Event>,
    read: Vec<Event>,
    /// A fragmented message that is being sent.
    open: Option<Event>,
}

impl Side {
    fn new(end: SharedConnection) -> Self {
        Self { end, accepted: vec![], read: vec![], open: None }
    }

    /// Writes something, which may be refused: then it must not arrive.
    fn write_something(&mut self, random: &mut Random) {
        let kind = self.open.as_ref().map_or(*random.pick(&[Kind::Text, Kind::Binary]), |open| open.kind);
        let len = *random.pick(&[0, 1, 10, 125, 126, 400]);
        let data = if kind == Kind::Text { random_text(random, len) } else { random.bytes(len) };
        if self.open.is_some() || random.one_in(3) {
            let is_final = random.one_in(3);
            if self.end.write_fragment(kind, &data, is_final).is_ok() {
                let mut open = self.open.take().unwrap_or(Event::whole(kind, b""));
                open.data.extend_from_slice(&data);
                if is_final { self.accepted.push(open) } else { self.open = Some(open) }
            }
        } else if self.end.write(kind, &data).is_ok() {
            self.accepted.push(Event::whole(kind, &data));
        }
        if random.one_in(8) {
            let _ = self.end.write(*random.pick(&[Kind::Ping, Kind::Pong]), b"control");
        }
    }

    fn read_some(&mut self, most: usize) {
        for _ in 0..most {
            match self.end.inner.read() {
                Ok(event) if event.kind.is_control() => {}
                Ok(event) => self.read.push(event),
                Err(_) => return,
            }
        }
    }
}

#[test]
fn two_ends_that_write_and_read_at_random_lose_and_repeat_nothing() {
    for seed in seeds(5000..5120) {
        let mut random = Random::new(seed);
        let transport = *random.pick(&Transport::ALL);
        let harness = Harness::new(transport, random_script(&mut random));
        let limits = config(|c| c.max_send_queue = Some(1 + random.below(6)));
        let (client, server) = harness.pair(limits.clone(), plain());
        let mut sides = [Side::new(client), Side::new(server)];
        for _ in 0..random.below(60) {
            let side = &mut sides[random.below(2)];
            match random.below(4) {
                0 | 1 => side.write_something(&mut random),
                2 => side.read_some(random.below(5)),
                _ => drop(side.end.inner.write_pending()),
            }
        }
        for side in &mut sides {
            while let Some(open) = side.open.take() {
                // The queue may be full.
                match side.end.write_fragment(open.kind, b"", true) {
                    Ok(()) => side.accepted.push(open),
                    Err(_) => {
                        let _ = side.end.write_pending();
                        side.open = Some(open);
                    }
                }
            }
            side.end.close(Some((1000, "done"))).unwrap();
        }
        for _ in 0..3 {
            for side in &mut sides {
                let (events, _) = side.end.read_all();
                side.read.extend(events.into_iter().filter(|event| !event.kind.is_control()));
            }
        }
        let [client, server] = sides;
        assert!(server.read == client.accepted, "seed {seed}: client to server over {harness:?}");
        assert!(client.read == server.accepted, "seed {seed}: server to client over {harness:?}");
        let (mut client, mut server) = (client.end, server.end);
        assert_eq!(server.read(), Err(Fault::AlreadyClosed), "seed {seed}: both Closes have passed");
        drop(server);
        client.assert_over();
    }
}

#[test]
fn two_strangers_meet_over_any_link() {
    for seed in seeds(6000..6100) {
        let mut random = Random::new(seed);
        let harness = Harness::new(*random.pick(&Transport::ALL), random_script(&mut random));
        let (mut client, mut server) = harness.strangers(
            ("ws://example.com/x", HandshakeOptions::default()),
            Decision::accept(),
            &plain(),
        );
        assert_eq!(shake(&mut client, &mut server), (Ok(()), Ok(())), "seed {seed} over {harness:?}");
        server.text("hello").unwrap();
        let _ = server.write_pending();
        assert_eq!(client.read(), Ok(common::text("hello")));
    }
}
