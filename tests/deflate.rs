//! permessage-deflate through whole connections: what goes in comes out, whatever the parameters and the chunking; limits
//! hold while inflating; what the RFC forbids is refused.

use flate2::{Compress, Compression, FlushCompress};
use std::sync::Arc;
use wsabi::internals::{ClientHandshake, ServerHandshake};
use wsabi::internals::{Connection, Opening};
use wsabi::{
    CapacityError, CloseCode, DeflateConfig, Enqueue, Error, Kind, Outgoing, ProtocolError, Role,
    WebSocketConfig,
};
use wsabi::{HandshakeOptions, Url};

mod counting;
use counting::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

#[test]
fn any_message_any_chunking_any_parameters_what_goes_in_comes_out() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..120 {
        let config = random_config(&mut random);
        let chunk = [1, 2, 3, 7, 64, 1024, usize::MAX][random.below(7)];
        let mut pair =
            Pair::new(&random_side(&config, &mut random), &random_side(&config, &mut random), chunk);
        let mut sent = [Vec::new(), Vec::new()];
        for _ in 0..1 + random.below(12) {
            let from = random.below(2);
            let (kind, message) = random_message(&mut random, if chunk == 1 { 3000 } else { 40_000 });
            pair.send(from, kind, &message, &mut random);
            sent[from].push((kind, message));
            if random.below(3) == 0 {
                pair.exchange();
            }
        }
        pair.exchange();
        assert_eq!(pair.received[1], sent[0], "round {round}: client to server, {config:?}");
        assert_eq!(pair.received[0], sent[1], "round {round}: server to client, {config:?}");
    }
}

#[test]
fn a_refused_send_leaves_the_compressor_untouched() {
    let message = |i: usize| format!("{{\"sequence\":{i},\"text\":\"the same words again and again\"}}");
    let run = |refusals: usize| {
        let mut client = open(Role::Client, |config| config.max_send_queue = Some(3));
        let mut wire = Vec::new();
        for i in 0..9 {
            assert_eq!(client.queue(&Outgoing::Text(&message(i))).unwrap(), Enqueue::Accepted);
            if i % 3 == 2 {
                for _ in 0..refusals {
                    let refused = client.queue(&Outgoing::Text("something quite different, and refused"));
                    assert_eq!(refused.unwrap(), Enqueue::Full);
                    let refused = client.queue_fragment(Kind::Binary, &[7; 500], false);
                    assert_eq!(refused.unwrap(), Enqueue::Full);
                }
                wire.extend(take_output(&mut client));
            }
        }
        let mut server = open(Role::Server, |_| {});
        feed(&mut server, &wire, usize::MAX);
        (0..9)
            .map(|i| assert_eq!(read(&mut server).unwrap(), Some((Kind::Text, message(i).into_bytes()))))
            .count();
        wire.len()
    };
    assert_eq!(run(0), run(2), "the same bytes, but for the masks");
}

#[test]
fn a_bomb_stops_at_the_limit_whole_or_in_fragments_or_behind_tiny_reads() {
    const LIMIT: usize = 1 << 20;
    let bomb = compress(&vec![b'a'; 64 << 20]);
    assert!(bomb.len() < 100_000, "64 MiB in {} bytes", bomb.len());
    let whole = frame(0xc2, &bomb);
    let fragments: Vec<u8> = bomb
        .chunks(1000)
        .enumerate()
        .flat_map(|(i, piece)| frame(if i == 0 { 0x42 } else { 0x00 }, piece))
        .collect();
    for (bytes, chunk) in [(&whole, usize::MAX), (&whole, 1), (&fragments, usize::MAX), (&fragments, 7)] {
        for parts in [false, true] {
            let mut server = open(Role::Server, |config| {
                config.max_message_size = Some(LIMIT);
                config.deliver_fragments = parts;
            });
            let before = ALLOCATOR.start();
            let error = feed_until_error(&mut server, bytes, chunk);
            let Error::Capacity(CapacityError::MessageTooLong { size, max }) = error else {
                panic!("{error}")
            };
            assert_eq!((size, max), (LIMIT as u64 + 1, LIMIT as u64), "not a byte more is inflated");
            let peak = ALLOCATOR.peak() - before;
            assert!(peak < 3 * LIMIT + (1 << 18), "{peak} bytes were held");
            assert_eq!(server.close_code(), Some(CloseCode::SIZE));
            assert!(matches!(read(&mut server), Ok(None)), "nothing of it can be read after that");
        }
    }
}

#[test]
fn a_message_far_larger_than_memory_comes_in_parts_in_constant_memory() {
    let total = 64 << 20;
    let bytes = frame(0xc2, &compress(&vec![b'x'; total]));
    let mut server = open(Role::Server, |config| {
        config.max_message_size = None;
        config.deliver_fragments = true;
    });
    let before = ALLOCATOR.start();
    let mut received = 0;
    let mut rest = &bytes[..];
    loop {
        match server.poll_read().unwrap() {
            Some(part) => {
                received += server.payload(&part).len();
                if part.is_final {
                    break;
                }
            }
            None => rest = &rest[give(&mut server, rest)..],
        }
    }
    assert_eq!(received, total);
    let peak = ALLOCATOR.peak() - before;
    assert!(peak < 1 << 20, "{peak} bytes were held for {total}");
}

#[test]
fn uncompressed_and_empty_messages_and_control_frames_mix_with_compressed_ones() {
    let mut server = open(Role::Server, |config| config.deliver_control = false);
    let hello = compress(b"hello");
    let mut bytes = frame(0x81, b"as it is");
    bytes.extend(frame(0xc1, &hello));
    bytes.extend(frame(0x82, b""));
    bytes.extend(frame(0xc2, &[0]));
    bytes.extend(frame(0x41, &hello[..2]));
    bytes.extend(frame(0x89, b"ping"));
    bytes.extend(frame(0x00, b""));
    bytes.extend(frame(0x80, &hello[2..]));
    for chunk in [1, 3, usize::MAX] {
        let mut server =
            std::mem::replace(&mut server, open(Role::Server, |config| config.deliver_control = false));
        feed(&mut server, &bytes, chunk);
        let mut received = Vec::new();
        while let Some((_, data)) = read(&mut server).unwrap() {
            received.push(data);
        }
        assert_eq!(received, [&b"as it is"[..], b"hello", b"", b"", b"hello"]);
    }
}

#[test]
fn a_final_block_inside_a_message_is_inflated() {
    let hello_final = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    for chunk in [1, 2, usize::MAX] {
        let mut server = open(Role::Server, |_| {});
        feed(&mut server, &[frame(0xc1, &hello_final), frame(0xc1, &hello_final)].concat(), chunk);
        for _ in 0..2 {
            assert_eq!(read(&mut server).unwrap(), Some((Kind::Text, b"Hello".to_vec())));
        }
    }
}

#[test]
fn rsv1_on_a_continuation_or_a_control_frame_or_without_agreement_is_refused() {
    let hello = compress(b"hello");
    let continuation = [frame(0x41, &hello[..2]), frame(0xc0, &hello[2..])].concat();
    for bytes in [continuation, frame(0xc9, b""), frame(0xc8, b""), frame(0xe1, &hello)] {
        let mut server = open(Role::Server, |_| {});
        let error = feed_until_error(&mut server, &bytes, usize::MAX);
        assert!(matches!(error, Error::Protocol(ProtocolError::ReservedBits)), "{error}");
        assert_eq!(server.close_code(), Some(CloseCode::PROTOCOL));
    }
    let mut server = Connection::open(Role::Server, Arc::new(WebSocketConfig::default()), Vec::new());
    let error = feed_until_error(&mut server, &frame(0xc1, &hello), usize::MAX);
    assert!(matches!(error, Error::Protocol(ProtocolError::ReservedBits)), "{error}");
}

#[test]
fn bytes_that_do_not_inflate_end_the_connection() {
    for chunk in [1, usize::MAX] {
        let mut server = open(Role::Server, |_| {});
        let error = feed_until_error(&mut server, &frame(0xc2, &[0x07, 0xff, 0xff, 0xff]), chunk);
        assert!(matches!(error, Error::Protocol(ProtocolError::CorruptDeflate)), "{error}");
        assert_eq!(server.close_code(), Some(CloseCode::PROTOCOL));
    }
}

#[test]
fn text_is_validated_after_inflating_and_fails_before_the_message_is_over() {
    let mut text = vec![b'a'; 100_000];
    text[50_000] = 0xff;
    let bytes = frame(0xc1, &compress(&text));
    let mut server = open(Role::Server, |_| {});
    let error = feed_until_error(&mut server, &bytes, 16);
    assert!(matches!(error, Error::Utf8), "{error}");
    assert_eq!(server.close_code(), Some(CloseCode::INVALID));
    let mut split = open(Role::Server, |_| {});
    let euro = compress("€".as_bytes());
    feed(&mut split, &frame(0xc1, &euro), 1);
    assert_eq!(read(&mut split).unwrap(), Some((Kind::Text, "€".into())));
    let error = feed_until_error(&mut split, &frame(0xc1, &compress(&"€".as_bytes()[..2])), 1);
    assert!(matches!(error, Error::Utf8), "it ends inside a character: {error}");
}

#[test]
fn short_messages_go_as_they_are_and_long_ones_compressed() {
    let mut client = open(Role::Client, |config| {
        config.deflate = Some(DeflateConfig { threshold: 32, ..DeflateConfig::default() });
    });
    let mut firsts = Vec::new();
    for len in [0, 31, 32, 100] {
        assert_eq!(client.queue(&Outgoing::Binary(&vec![5; len])).unwrap(), Enqueue::Accepted);
        firsts.push(take_output(&mut client)[0]);
    }
    assert_eq!(firsts, [0x82, 0x82, 0xc2, 0xc2]);
}

#[test]
fn connections_without_context_takeover_hold_nothing_between_messages() {
    const COUNT: usize = 200;
    let deflate = DeflateConfig {
        client_no_context_takeover: true,
        server_no_context_takeover: true,
        threshold: 0,
        ..DeflateConfig::default()
    };
    let message = b"{\"some\":\"json\",\"that\":\"is\",\"said\":\"often\"}".repeat(3);
    let held = |use_them: bool| {
        let before = ALLOCATOR.start();
        let mut servers: Vec<_> =
            (0..COUNT).map(|_| open(Role::Server, |config| config.deflate = Some(deflate))).collect();
        for server in servers.iter_mut().filter(|_| use_them) {
            feed(server, &frame(0xc2, &compress(&message)), usize::MAX);
            assert_eq!(read(server).unwrap(), Some((Kind::Binary, message.clone())));
            assert_eq!(server.queue(&Outgoing::Binary(&message)).unwrap(), Enqueue::Accepted);
            take_output(server);
            assert_eq!(read(server).unwrap(), None);
            server.release();
        }
        // Less than nothing where a context of another test's was borrowed and not returned.
        ALLOCATOR.held() as isize - before as isize
    };
    let (idle, used) = (held(false), held(true));
    let shelf = 2 << 20;
    assert!(used < idle + shelf, "{idle} bytes before any message, {used} after");
}

fn random_config(random: &mut Random) -> DeflateConfig {
    DeflateConfig {
        level: 1 + random.below(9) as u32,
        threshold: [0, 1, 64, 10_000][random.below(4)],
        client_max_window_bits: 8 + random.below(8) as u8,
        server_max_window_bits: 8 + random.below(8) as u8,
        client_no_context_takeover: random.below(2) == 0,
        server_no_context_takeover: random.below(2) == 0,
    }
}

/// One end's view of it: now and then with other wishes.
fn random_side(config: &DeflateConfig, random: &mut Random) -> DeflateConfig {
    if random.below(2) == 0 { *config } else { random_config(random) }
}

fn random_message(random: &mut Random, max: usize) -> (Kind, Vec<u8>) {
    let len = [0, 1, 30, 300, max][random.below(5)];
    let len = if len == max { random.below(max) } else { len };
    if random.below(2) == 0 {
        let text: String = (0..len / 3).map(|_| ['a', 'b', ' ', 'ß', '漢'][random.below(5)]).collect();
        (Kind::Text, text.into_bytes())
    } else {
        let range = [2, 20, 256][random.below(3)];
        (Kind::Binary, (0..len).map(|_| random.below(range) as u8).collect())
    }
}

/// A client and a server that have shaken hands, joined by hand.
struct Pair {
    ends: [Connection; 2],
    received: [Vec<(Kind, Vec<u8>)>; 2],
    chunk: usize,
}

impl Pair {
    fn new(client: &DeflateConfig, server: &DeflateConfig, chunk: usize) -> Self {
        let config =
            |deflate| Arc::new(WebSocketConfig { deflate: Some(deflate), ..WebSocketConfig::default() });
        let (client, server) = (config(*client), config(*server));
        let url = Url::parse("ws://example.com/").unwrap();
        let options = HandshakeOptions::default();
        let (handshake, request) = ClientHandshake::new(&url, &options, &client).unwrap();
        let mut client = Connection::client(client, handshake, &request).unwrap();
        let mut server = Connection::server(Arc::clone(&server), ServerHandshake::new(&server));
        let request = take_output(&mut client);
        give_all(&mut server, &request);
        assert_eq!(server.poll_handshake().unwrap(), Opening::Request);
        server.accept(None, &options).unwrap();
        let response = take_output(&mut server);
        give_all(&mut client, &response);
        match client.poll_handshake() {
            Ok(opening) => assert_eq!(opening, Opening::Open),
            // A server may not be able to do what a client insists on: then there is no connection.
            Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&response)),
        }
        assert!(client.has_deflate() && server.has_deflate());
        Self { ends: [client, server], received: [Vec::new(), Vec::new()], chunk }
    }

    fn send(&mut self, from: usize, kind: Kind, message: &[u8], random: &mut Random) {
        if random.below(3) == 0 {
            let mut rest = message;
            loop {
                let (piece, after) = rest.split_at(random.below(rest.len() + 1));
                let is_final = random.below(3) == 0 || after.is_empty();
                let piece = if is_final { rest } else { piece };
                self.until_accepted(from, |end| end.queue_fragment(kind, piece, is_final));
                if is_final {
                    return;
                }
                rest = after;
            }
        }
        self.until_accepted(from, |end| match kind {
            Kind::Text => end.queue(&Outgoing::Text(std::str::from_utf8(message).unwrap())),
            _ => end.queue(&Outgoing::Binary(message)),
        });
    }

    fn until_accepted(&mut self, from: usize, queue: impl Fn(&mut Connection) -> wsabi::Result<Enqueue>) {
        while queue(&mut self.ends[from]).unwrap() == Enqueue::Full {
            self.exchange();
        }
    }

    fn exchange(&mut self) {
        for from in [0, 1] {
            let bytes = take_output(&mut self.ends[from]);
            for piece in bytes.chunks(self.chunk.min(bytes.len().max(1))) {
                let mut rest = piece;
                while !rest.is_empty() {
                    rest = &rest[give(&mut self.ends[1 - from], rest)..];
                    while let Some(message) = read(&mut self.ends[1 - from]).unwrap() {
                        self.received[1 - from].push(message);
                    }
                }
            }
        }
    }
}

fn open(role: Role, change: impl FnOnce(&mut WebSocketConfig)) -> Connection {
    let deflate = DeflateConfig { threshold: 0, ..DeflateConfig::default() };
    let mut config = WebSocketConfig { deflate: Some(deflate), ..WebSocketConfig::default() };
    change(&mut config);
    Connection::open(role, Arc::new(config), Vec::new())
}

fn read(connection: &mut Connection) -> wsabi::Result<Option<(Kind, Vec<u8>)>> {
    let received = connection.poll_read()?;
    Ok(received.map(|received| (received.kind, connection.payload(&received).to_vec())))
}

/// Gives what there is room for; how much that was.
fn give(connection: &mut Connection, bytes: &[u8]) -> usize {
    let space = connection.space().unwrap();
    let n = space.len().min(bytes.len());
    space[..n].copy_from_slice(&bytes[..n]);
    connection.received(n);
    n
}

fn give_all(connection: &mut Connection, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        bytes = &bytes[give(connection, bytes)..];
    }
}

/// Gives all of it, in chunks, to be read later.
fn feed(connection: &mut Connection, bytes: &[u8], chunk: usize) {
    for piece in bytes.chunks(chunk.min(bytes.len())) {
        give_all(connection, piece);
    }
}

fn feed_until_error(connection: &mut Connection, bytes: &[u8], chunk: usize) -> Error {
    for piece in bytes.chunks(chunk.min(bytes.len())) {
        let mut rest = piece;
        while !rest.is_empty() {
            rest = &rest[give(connection, rest)..];
            loop {
                match connection.poll_read() {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => return error,
                }
            }
        }
    }
    panic!("no error");
}

fn take_output(connection: &mut Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while connection.has_output() {
        let output = connection.output();
        let n = output.len();
        bytes.extend_from_slice(output);
        assert!(connection.advance_output(n));
    }
    bytes
}

/// One message as another implementation would compress it.
fn compress(message: &[u8]) -> Vec<u8> {
    let mut compressor = Compress::new(Compression::best(), false);
    let mut out = Vec::with_capacity(message.len() + 1024);
    compressor.compress_vec(message, &mut out, FlushCompress::Sync).unwrap();
    assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
    out.truncate(out.len() - 4);
    out
}

/// A masked frame with a key of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}
