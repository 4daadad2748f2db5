//! How much memory a connection takes, and that costs are linear: bugs that other libraries shipped, each named after
//! its symptom. Nothing is measured in time: an allocator counts what is held and how often, streams count calls, and
//! the addresses of what is written show whether it was moved.

mod common;
mod counting;

use common::wire::{self, BINARY, BINARY_PART, CLOSE, LAST, MORE, PING, TEXT, TEXT_PART};
use common::{Fault, Harness, Role, Script, Transport, binary, config, text};
use counting::Counting;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::time::Duration;
use wsabi::internals::Connection;
use wsabi::internals::ServerHandshake;
use wsabi::internals::Setup;
use wsabi::internals::SharedConnection;
use wsabi::{CapacityError, Decision, Enqueue, Error, Kind, Outgoing, Prepared, WebSocket, WebSocketConfig};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// Runs once over every transport, on a link that neither cuts nor blocks.
fn over_every_transport(test: impl Fn(&Harness)) {
    for transport in Transport::ALL {
        eprintln!("over {transport:?}");
        test(&Harness::new(transport, Script::WHOLE));
    }
}

fn unlimited() -> WebSocketConfig {
    config(|c| {
        (c.max_message_size, c.max_frame_size, c.max_fragments) = (None, None, None);
        (c.max_send_queue, c.max_send_bytes) = (None, None);
        c.deliver_control = false;
    })
}

/// The most that `work` held beyond what was held before.
fn peak_of<R>(work: impl FnOnce() -> R) -> (R, usize) {
    let before = ALLOCATOR.start();
    let result = work();
    (result, ALLOCATOR.peak() - before)
}

/// How often `work` took memory, and how many bytes.
fn taken_by<R>(work: impl FnOnce() -> R) -> (R, usize, usize) {
    let before = ALLOCATOR.taken();
    let result = work();
    let after = ALLOCATOR.taken();
    (result, after.0 - before.0, after.1 - before.1)
}

/// Hands bytes to a connection, `step` at a time, and reads everything; how many messages, or why it ended.
fn feed(connection: &mut Connection, bytes: &[u8], step: usize) -> Result<usize, Error> {
    let mut messages = 0;
    for mut piece in bytes.chunks(step) {
        while !piece.is_empty() {
            let space = connection.space()?;
            let n = space.len().min(piece.len());
            space[..n].copy_from_slice(&piece[..n]);
            connection.received(n);
            piece = &piece[n..];
            while connection.poll_read()?.is_some() {
                messages += 1;
            }
        }
    }
    Ok(messages)
}

fn open(role: Role, config: WebSocketConfig) -> Connection {
    Connection::open(role, Arc::new(config), Vec::new())
}

#[test]
fn a_declared_length_allocates_nothing_before_its_bytes_arrive() {
    over_every_transport(|harness| {
        for role in ROLES {
            for first in [BINARY, TEXT, BINARY_PART] {
                for len in [16 << 20, (1 << 32) + 5, (1 << 62) + 1, (1 << 63) - 1] {
                    for parts in [false, true] {
                        let limits = WebSocketConfig { deliver_fragments: parts, ..unlimited() };
                        let (mut end, peer) = harness.end(role, limits);
                        peer.send_raw(&wire::header(peer.role, first, len));
                        peer.send_raw(b"a");
                        let (_, peak) = peak_of(|| end.read_all());
                        assert!(peak < 64 * KIB, "{peak} bytes for {len} declared ones");
                    }
                }
            }
        }
    });
}

#[test]
fn fourteen_bytes_do_not_reserve_16_mib_within_the_limits_either() {
    over_every_transport(|harness| {
        let (mut end, peer) = harness.end(Role::Server, common::plain());
        peer.send_raw(&wire::header(Role::Client, BINARY, 16 << 20));
        let (result, peak) = peak_of(|| end.read());
        assert_eq!(result, Err(Fault::WouldBlock));
        assert!(peak < 64 * KIB, "{peak} bytes");
    });
}

#[test]
fn a_content_length_of_a_refusal_allocates_nothing() {
    over_every_transport(|harness| {
        let (mut client, peer) = harness.client("ws://h/", Default::default(), common::plain());
        assert_eq!(client.handshake(), Err(Fault::WouldBlock));
        peer.send_raw(b"HTTP/1.1 403 No\r\nContent-Length: 18446744073709551615\r\n\r\nx");
        let (result, peak) = peak_of(|| client.handshake());
        assert_eq!(result, Err(Fault::WouldBlock));
        assert!(peak < 64 * KIB, "{peak} bytes");
    });
}

#[test]
fn a_head_that_never_ends_is_bounded_and_every_byte_of_it_is_looked_at_once() {
    for step in [1, 100, 4096] {
        let handshake = ServerHandshake::new(&common::plain());
        let mut server = Connection::server(Arc::new(common::plain()), handshake);
        let endless: Vec<u8> = b"GET / HTTP/1.1\r\n"
            .iter()
            .chain(b"X-Header: y\r\n".iter().cycle())
            .copied()
            .take(MIB)
            .collect();
        let (fed, peak) = peak_of(|| {
            for (i, piece) in endless.chunks(step).enumerate() {
                let space = server.space().unwrap();
                let n = space.len().min(piece.len());
                space[..n].copy_from_slice(&piece[..n]);
                server.received(n);
                if server.poll_handshake().is_err() {
                    return i * step;
                }
            }
            endless.len()
        });
        assert!(fed <= 17 * KIB, "{fed} bytes were taken");
        assert!(peak < 128 * KIB, "{peak} bytes were held");
    }
}

#[test]
fn more_than_an_address_space_of_shared_frames_waits_where_nothing_limits_it() {
    const COUNT: usize = 5000;
    let (_, peak) = peak_of(|| {
        let mut server = open(Role::Server, unlimited());
        let prepared = Prepared::binary(&vec![7; MIB]).unwrap();
        for _ in 0..COUNT {
            assert_eq!(server.queue_prepared(&prepared, 0), Enqueue::Accepted);
        }
        let all = COUNT as u64 * prepared.frame().len() as u64;
        assert_eq!(server.queued_bytes(), usize::try_from(all).unwrap_or(usize::MAX));
        for _ in 0..COUNT {
            assert_eq!(server.output().len(), prepared.frame().len());
            assert!(server.advance_output(prepared.frame().len()));
        }
        assert_eq!((server.queued_bytes(), server.has_output()), (0, false));
    });
    assert!(peak < 4 * MIB, "{peak} bytes");
}

#[test]
fn a_peer_that_never_reads_cannot_make_the_send_queue_grow_past_its_limits() {
    for transport in Transport::SCRIPTED {
        for role in ROLES {
            let harness = Harness::new(transport, Script::WHOLE);
            let (mut end, peer) = harness.end(role, config(|c| c.max_send_bytes = Some(MIB)));
            peer.set_window(0);
            let message = [7; 10_000];
            let (_, peak) = peak_of(|| {
                let mut accepted = 0;
                while end.binary(&message) == Ok(()) {
                    accepted += 1;
                }
                assert!((100..106).contains(&accepted), "{accepted}");
                for _ in 0..1000 {
                    assert_eq!(end.binary(&message), Err(Fault::QueueFull));
                }
            });
            assert!(peak < 2 * MIB, "{peak} bytes over {transport:?}");
        }
    }
}

#[test]
fn a_queue_of_tiny_messages_is_bounded_in_messages() {
    for transport in Transport::SCRIPTED {
        let harness = Harness::new(transport, Script::WHOLE);
        let (mut end, peer) = harness.end(Role::Client, common::plain());
        peer.set_window(0);
        let (accepted, peak) = peak_of(|| (0..100_000).take_while(|_| end.text("").is_ok()).count());
        assert_eq!(accepted, 1024);
        assert!(peak < 64 * KIB, "{peak} bytes over {transport:?}");
    }
}

#[test]
fn a_flood_of_pings_that_nobody_reads_the_answers_of_takes_no_memory() {
    for role in ROLES {
        for lent in [false, true] {
            let mut connection = open(role, unlimited());
            let pings = wire::frame(wire::other(role), PING, &[b'p'; 125]).repeat(1000);
            let (_, peak) = peak_of(|| {
                for _ in 0..20 {
                    feed(&mut connection, &pings, 64 * KIB).unwrap();
                    if lent {
                        // A transport that takes one byte now and then.
                        assert!(!connection.output().is_empty());
                        assert!(connection.advance_output(1));
                        connection.output();
                    }
                }
            });
            assert!(peak < 256 * KIB, "{peak} bytes for 2.5 MB of Pings");
            assert!(connection.queued_bytes() < 5 * KIB, "{} bytes of Pongs", connection.queued_bytes());
        }
    }
}

#[test]
fn a_million_fragments_of_one_byte_are_one_message_in_bounded_memory() {
    for role in ROLES {
        let sender = wire::other(role);
        let mut connection = open(role, unlimited());
        let thousand = wire::frame(sender, MORE, b"a").repeat(1000);
        let (_, peak) = peak_of(|| {
            assert_eq!(feed(&mut connection, &wire::frame(sender, TEXT_PART, b"a"), 100).unwrap(), 0);
            for _ in 0..1000 {
                assert_eq!(feed(&mut connection, &thousand, 64 * KIB).unwrap(), 0);
            }
            assert_eq!(feed(&mut connection, &wire::frame(sender, LAST, b""), 100).unwrap(), 1);
        });
        assert!(peak < 4 * MIB, "{peak} bytes for a message of 1 MB");
    }
}

#[test]
fn a_million_empty_fragments_take_no_memory_at_all() {
    for role in ROLES {
        let sender = wire::other(role);
        for parts in [false, true] {
            let limits = WebSocketConfig { deliver_fragments: parts, ..unlimited() };
            let mut connection = open(role, limits);
            let thousand = wire::frame(sender, MORE, b"").repeat(1000);
            feed(&mut connection, &wire::frame(sender, TEXT_PART, b""), 100).unwrap();
            let (_, times, bytes) = taken_by(|| {
                for _ in 0..1000 {
                    assert_eq!(feed(&mut connection, &thousand, 8 * KIB).unwrap(), 0);
                }
            });
            assert!(times < 20 && bytes < 512 * KIB, "{times} times, {bytes} bytes");
        }
    }
}

#[test]
fn fragments_are_counted_empty_ones_too() {
    over_every_transport(|harness| {
        for payload in [&b""[..], b"a"] {
            let (mut end, peer) = harness.end(Role::Server, config(|c| c.max_fragments = Some(1000)));
            peer.send(BINARY_PART, payload);
            (0..1001).for_each(|_| peer.send(MORE, payload));
            assert_eq!(end.read(), Err(Fault::Capacity));
            assert!(end.failure().contains("more than 1000 frames"));
            end.assert_over();
        }
    });
}

#[test]
fn forty_mebibytes_without_fin_stop_at_the_limit() {
    for role in ROLES {
        for step in [4 * KIB, MIB] {
            let limits = config(|c| (c.max_message_size, c.max_frame_size) = (Some(16 * MIB), Some(MIB)));
            let mut connection = open(role, limits);
            let fragment = |first| wire::frame(wire::other(role), first, &vec![b'a'; MIB]);
            let (first, more) = (fragment(TEXT_PART), fragment(MORE));
            let (taken, peak) = peak_of(|| {
                (0..40).find_map(|i| {
                    feed(&mut connection, if i == 0 { &first } else { &more }, step)
                        .err()
                        .map(|error| (i, error))
                })
            });
            match taken {
                Some((16, Error::Capacity(CapacityError::MessageTooLong { size, max }))) => {
                    assert_eq!((size, max), (17 << 20, 16 << 20));
                }
                other => panic!("{other:?}"),
            }
            // Growing takes the old and the new memory for a moment.
            assert!(peak < 50 * MIB, "{peak} bytes");
        }
    }
}

#[test]
fn connections_that_never_finish_the_handshake_are_given_up_and_leave_nothing_behind() {
    over_every_transport(|harness| {
        if harness.transport == Transport::CSocket {
            return; // it has the library's own clock
        }
        let before = ALLOCATOR.held();
        let timeout = config(|c| c.handshake_timeout = Some(Duration::from_secs(1)));
        let mut sockets: Vec<_> =
            (0..100).map(|_| harness.server(Decision::accept(), timeout.clone())).collect();
        for (server, peer) in &mut sockets {
            peer.send_raw(b"GET / HTTP/1.1\r\nHost: exam");
            assert_eq!(server.handshake(), Err(Fault::WouldBlock));
            server.tick(0).unwrap();
            assert_eq!(server.tick(1000), Err(Fault::Timeout));
        }
        drop(sockets);
        assert_eq!(ALLOCATOR.held(), before);
    });
}

#[test]
fn a_connection_that_waits_holds_no_buffers() {
    for role in ROLES {
        let stream = Recorder::new(&[
            wire::frame(wire::other(role), BINARY, &[1; 300_000]),
            wire::frame(wire::other(role), TEXT, &[b'a'; 10]),
            wire::frame(wire::other(role), PING, &[1; 100]),
        ]);
        let mut socket = WebSocket::from_raw_socket(stream, role, Some(unlimited()));
        let before = ALLOCATOR.held();
        for _ in 0..3 {
            socket.get_mut().at = 0;
            assert_eq!(socket.read_message().unwrap().len(), 300_000);
            assert_eq!(socket.read_message().unwrap().len(), 10);
            assert!(socket.read_message().unwrap_err().is_would_block());
            socket.write_message(vec![1; 300_000].into()).unwrap();
            assert!(socket.read_message().unwrap_err().is_would_block());
            let held = ALLOCATOR.held() - before;
            assert!(held < 256, "{held} bytes are held while it waits");
        }
    }
}

/// Reads a message, as the loop of a poller does, and then until there is nothing more.
fn read_to_the_end(endpoint: &SharedConnection) {
    let mut count = 0;
    let read = |count: &mut usize| {
        endpoint.read_many(|_, _| {
            *count += 1;
            true
        })
    };
    while matches!(read(&mut count), Ok(true)) {}
    assert_eq!(count, 1);
}

#[test]
fn a_connection_in_memory_that_waits_holds_no_room_for_what_was_lent() {
    let setup = Arc::new(Setup::default());
    let endpoint = SharedConnection::open(&setup, Role::Server, Vec::new());
    let before = ALLOCATOR.held();
    for _ in 0..3 {
        let frame = wire::frame(Role::Client, BINARY, &[1; 100]);
        let fed = endpoint.with(|core| {
            core.connection_mut().space().unwrap()[..frame.len()].copy_from_slice(&frame);
            core.connection_mut().received(frame.len());
        });
        fed.unwrap();
        read_to_the_end(&endpoint);
        let held = ALLOCATOR.held().saturating_sub(before);
        assert!(held < 256, "{held} bytes are held while it waits");
    }
}

#[test]
fn a_message_of_any_size_is_delivered_in_parts_in_constant_memory() {
    const SIZE: usize = 32 * MIB;
    for role in ROLES {
        for frames in [1, 7] {
            let sender = wire::other(role);
            let limits = WebSocketConfig { deliver_fragments: true, ..unlimited() };
            let mut connection = open(role, limits);
            let chunk = [0x55; 32 * KIB];
            let (parts, peak) = peak_of(|| {
                let (mut parts, mut total, mut ended) = (0, 0, false);
                for i in 0..frames {
                    let (len, fin) = (SIZE / frames, if i + 1 == frames { 0x80 } else { 0 });
                    let mut next = wire::header(sender, fin | if i == 0 { 2 } else { 0 }, len as u64);
                    let mut left = len;
                    while !next.is_empty() {
                        let mut piece = &next[..];
                        while !piece.is_empty() {
                            let space = connection.space().unwrap();
                            let n = space.len().min(piece.len());
                            space[..n].copy_from_slice(&piece[..n]);
                            connection.received(n);
                            piece = &piece[n..];
                            while let Some(part) = connection.poll_read().unwrap() {
                                (parts, total) = (parts + 1, total + connection.payload(&part).len());
                                assert!(!ended);
                                ended = part.is_final;
                            }
                        }
                        next = chunk[..left.min(chunk.len())].to_vec();
                        left -= next.len();
                    }
                }
                assert!(ended);
                assert_eq!(total, SIZE / frames * frames);
                parts
            });
            assert!(parts > 100);
            assert!(peak < MIB, "{peak} bytes");
        }
    }
}

#[test]
fn a_received_message_is_copied_a_few_times_at_most_however_small_the_pieces() {
    for role in ROLES {
        for (size, step) in [(2 * MIB, 4 * KIB), (2 * MIB, 100_000), (128 * KIB, 1), (128 * KIB, 100)] {
            for fragments in [1, 50] {
                let sender = wire::other(role);
                let payload = vec![b'x'; size / fragments];
                let bytes: Vec<u8> = (0..fragments)
                    .flat_map(|i| {
                        let fin = if i + 1 == fragments { 0x80 } else { 0 };
                        wire::frame(sender, fin | if i == 0 { 1 } else { 0 }, &payload)
                    })
                    .collect();
                let mut connection = open(role, unlimited());
                let (messages, times, taken) = taken_by(|| feed(&mut connection, &bytes, step).unwrap());
                assert_eq!(messages, 1);
                assert!(times < 50, "memory was taken {times} times");
                assert!(taken < 4 * size + MIB, "{taken} bytes for a message of {size} in {step}s");
            }
        }
    }
}

#[test]
fn a_message_in_many_fragments_of_one_length_does_not_move_with_each_of_them() {
    for role in ROLES {
        let (fragments, len) = (5000, 200);
        let bytes: Vec<u8> = (0..fragments)
            .flat_map(|i| {
                let fin = if i + 1 == fragments { 0x80 } else { 0 };
                wire::frame(wire::other(role), fin | if i == 0 { 2 } else { 0 }, &vec![7; len])
            })
            .collect();
        let mut connection = open(role, unlimited());
        let (messages, times, taken) = taken_by(|| feed(&mut connection, &bytes, 4 * KIB).unwrap());
        assert_eq!(messages, 1);
        assert!(times < 50, "memory was taken {times} times");
        assert!(taken < 4 * MIB, "{taken} bytes for a message of {}", fragments * len);
    }
}

/// A stream that counts and looks at addresses: what it is given must not move while it waits.
struct Recorder {
    input: Vec<u8>,
    at: usize,
    reads: usize,
    /// Bytes that one write takes.
    step: usize,
    /// Bytes that it takes before it blocks, once.
    room: usize,
    writes: usize,
    total: usize,
    /// Where the byte that was refused last lay.
    expected: Option<usize>,
    moved: usize,
    most_slices: usize,
}

impl Recorder {
    fn new(input: &[Vec<u8>]) -> Self {
        let input = input.concat();
        Self {
            input,
            at: 0,
            reads: 0,
            step: usize::MAX,
            room: usize::MAX,
            writes: 0,
            total: 0,
            expected: None,
            moved: 0,
            most_slices: 0,
        }
    }
}

impl Read for Recorder {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        let n = space.len().min(self.input.len() - self.at);
        if n == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        space[..n].copy_from_slice(&self.input[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

impl Write for Recorder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.most_slices = self.most_slices.max(slices.len());
        if self.room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.writes += 1;
        let first = slices[0].as_ptr().addr();
        self.moved += usize::from(self.expected.take().is_some_and(|expected| expected != first));
        let n = slices.iter().map(|slice| slice.len()).sum::<usize>().min(self.step).min(self.room);
        self.room -= n;
        self.total += n;
        if n < slices[0].len() {
            self.expected = Some(first + n);
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn sixteen_mebibytes_written_4_kib_at_a_time_are_never_moved() {
    for role in ROLES {
        for count in [1, 16, 4096] {
            let mut stream = Recorder::new(&[]);
            (stream.step, stream.room) = (4 * KIB, 0);
            let mut socket = WebSocket::from_raw_socket(stream, role, Some(unlimited()));
            let message = vec![3; 16 * MIB / count];
            let (_, times, taken) = taken_by(|| {
                for _ in 0..count {
                    let accepted = socket.write_view(&Outgoing::Binary(&message)).unwrap();
                    assert_eq!(accepted, Enqueue::Accepted);
                }
                socket.get_mut().room = usize::MAX;
                socket.write_pending().unwrap();
            });
            let stream = socket.get_ref();
            assert!((16 * MIB..17 * MIB).contains(&stream.total));
            assert_eq!(stream.moved, 0, "what waits lies where it lay");
            // Each write takes 4 KiB, but for the last of a block.
            assert!(stream.writes <= stream.total / (4 * KIB) + 400, "{} writes", stream.writes);
            assert!(taken < 18 * MIB && times < 400 + count / 8, "{taken} bytes in {times} pieces");
        }
    }
}

#[test]
fn sixteen_mebibytes_lent_4_kib_at_a_time_are_never_moved() {
    for role in ROLES {
        let mut connection = open(role, unlimited());
        let message = vec![3; 16 * MIB];
        let (_, _, taken) = taken_by(|| {
            assert_eq!(connection.queue(&Outgoing::Binary(&message)).unwrap(), Enqueue::Accepted);
            let start = connection.output().as_ptr().addr();
            let mut sent = 0;
            while connection.has_output() {
                let lent = connection.output();
                assert_eq!(lent.as_ptr().addr(), start + sent);
                let step = lent.len().min(4 * KIB);
                assert!(connection.advance_output(step));
                sent += step;
            }
            assert!(sent > 16 * MIB);
        });
        assert!(taken < 17 * MIB, "{taken} bytes");
    }
}

#[test]
fn two_thousand_queued_messages_leave_in_few_writes_of_no_more_slices_than_the_system_takes() {
    for role in ROLES {
        for (count, size) in [(2000, 10), (2000, 1000), (150, 40_000)] {
            let mut stream = Recorder::new(&[]);
            stream.room = 0;
            let mut socket = WebSocket::from_raw_socket(stream, role, Some(unlimited()));
            for _ in 0..count {
                assert_eq!(socket.write_view(&Outgoing::Binary(&vec![1; size])).unwrap(), Enqueue::Accepted);
            }
            socket.get_mut().room = usize::MAX;
            socket.write_pending().unwrap();
            let stream = socket.get_ref();
            assert!(stream.total >= count * size);
            assert!(stream.most_slices <= 1024, "{} slices", stream.most_slices);
            assert!(stream.writes < 20, "{} writes", stream.writes);
        }
    }
}

#[test]
fn where_memory_runs_out_a_message_is_not_accepted_and_the_connection_goes_on() {
    for role in ROLES {
        let mut stream = Recorder::new(&[]);
        stream.room = 0;
        let mut socket = WebSocket::from_raw_socket(stream, role, Some(unlimited()));
        let large = vec![1; MIB];
        for _ in 0..3 {
            let results = ALLOCATOR.with_no_more_than(100 * KIB, || {
                [
                    socket.write_view(&Outgoing::Binary(&large)),
                    socket.write_fragment(Kind::Binary, &large, false),
                    socket.write_view(&Outgoing::Text("small")),
                ]
            });
            let expected =
                matches!(results, [Err(Error::NoMemory), Err(Error::NoMemory), Ok(Enqueue::Accepted)]);
            assert!(expected, "{results:?}");
        }
        assert!(socket.can_write() && socket.can_read());
        socket.get_mut().room = usize::MAX;
        socket.write_pending().unwrap();
        let header = if role == Role::Client { 6 } else { 2 };
        assert_eq!(socket.get_ref().total, 3 * (header + 5), "three small messages and nothing else");
    }
}

#[test]
fn where_memory_runs_out_in_the_middle_of_a_message_the_connection_ends_instead_of_losing_its_place() {
    for (role, room) in ROLES.into_iter().flat_map(|role| [1000, 300_000].map(|room| (role, room))) {
        let mut stream = Recorder::new(&[]);
        stream.room = room;
        let mut socket = WebSocket::from_raw_socket(stream, role, Some(unlimited()));
        let large = vec![1; MIB];
        let mut write = |message: Outgoing<'_>| {
            let result = ALLOCATOR.with_no_more_than(300 * KIB, || socket.write_view(&message));
            (result, socket.can_write(), socket.get_ref().total)
        };
        // That much of it is out, and there is no room for the rest.
        let (result, can_write, _) = write(Outgoing::Binary(&large));
        assert!(result.is_err() && !can_write, "{result:?}");
        let (result, _, total) = write(Outgoing::Text("would be taken for the rest"));
        assert!(result.is_err() && total == room, "{result:?}, {total}");
    }
}

#[test]
fn a_long_message_refused_for_want_of_memory_leaves_nothing_behind_that_the_next_would_bring_along() {
    for (role, header) in [(Role::Client, 8), (Role::Server, 4)] {
        let mut socket = WebSocket::from_raw_socket(Recorder::new(&[]), role, Some(unlimited()));
        // There is room for more than the next one's first piece from now on.
        assert_eq!(socket.write_view(&Outgoing::Binary(&vec![1; 250_000])).unwrap(), Enqueue::Accepted);
        let before = socket.get_ref().total;
        for room in [0, usize::MAX] {
            socket.get_mut().room = 0;
            let large = vec![2; 300_000];
            let result =
                ALLOCATOR.with_no_more_than(200 * KIB, || socket.write_view(&Outgoing::Binary(&large)));
            assert!(matches!(result, Err(Error::NoMemory)), "{result:?}");
            socket.get_mut().room = room;
            assert_eq!(socket.write_view(&Outgoing::Binary(&[3; 200])).unwrap(), Enqueue::Accepted);
            assert_eq!(socket.write_view(&Outgoing::Ping(b"there?")).unwrap(), Enqueue::Accepted);
            socket.get_mut().room = usize::MAX;
            socket.write_pending().unwrap();
        }
        let control = if role == Role::Client { 6 + 6 } else { 2 + 6 };
        assert_eq!(socket.get_ref().total - before, 2 * (header + 200 + control));
    }
}

#[test]
fn a_client_sends_a_long_message_without_a_copy_of_all_of_it() {
    let mut socket = WebSocket::from_raw_socket(Recorder::new(&[]), Role::Client, Some(unlimited()));
    let message = vec![1; 16 * MIB];
    let (_, most) = peak_of(|| {
        assert_eq!(socket.write_view(&Outgoing::Binary(&message)).unwrap(), Enqueue::Accepted);
    });
    assert!(most < 300 * KIB, "{most} bytes held");
    assert_eq!(socket.get_ref().total, 14 + 16 * MIB);
}

#[test]
fn where_memory_runs_out_while_reading_nothing_is_lost_and_the_read_can_be_repeated() {
    for role in ROLES {
        let bytes = wire::frame(wire::other(role), BINARY, &vec![1; 2 * MIB]);
        let stream = Recorder::new(&[bytes, wire::frame(wire::other(role), TEXT, b"next")]);
        let mut socket = WebSocket::from_raw_socket(stream, role, Some(unlimited()));
        for _ in 0..3 {
            let result =
                ALLOCATOR.with_no_more_than(300 * KIB, || socket.read_view().map(|view| view.data.len()));
            assert!(matches!(result, Err(Error::NoMemory)), "{result:?}");
        }
        assert!(*socket.read_view().unwrap().data == [1; 2 * MIB]);
        assert_eq!(socket.read_view().unwrap().data, b"next");
    }
}

#[test]
fn a_server_sends_a_message_without_copying_it() {
    let mut socket = WebSocket::from_raw_socket(Recorder::new(&[]), Role::Server, Some(unlimited()));
    let message = vec![1; MIB];
    let (_, _, taken) = taken_by(|| {
        for _ in 0..10 {
            assert_eq!(socket.write_view(&Outgoing::Binary(&message)).unwrap(), Enqueue::Accepted);
        }
    });
    assert_eq!(taken, 0, "bytes were taken");
    assert_eq!(socket.get_ref().writes, 10, "header and payload leave together");
}

#[test]
fn one_read_of_the_stream_gives_many_messages() {
    for role in ROLES {
        let frames: Vec<Vec<u8>> =
            (0..50).map(|i| wire::frame(wire::other(role), TEXT, &[b'a'; 60][..i])).collect();
        let mut socket = WebSocket::from_raw_socket(Recorder::new(&frames), role, None);
        for i in 0..50 {
            assert_eq!(socket.read_view().unwrap().data.len(), i);
        }
        assert!(socket.get_ref().reads <= 2, "{} reads", socket.get_ref().reads);
    }
}

#[test]
fn one_byte_missing_of_a_header_does_not_spin() {
    for role in ROLES {
        for (first, len) in [(TEXT, 0), (TEXT, 126), (BINARY, 70_000), (PING, 3), (CLOSE, 0)] {
            let header = wire::header(wire::other(role), first, len);
            for cut in 1..header.len() {
                let stream = Recorder::new(&[header[..cut].to_vec()]);
                let mut socket = WebSocket::from_raw_socket(stream, role, None);
                for _ in 0..3 {
                    assert!(socket.read_message().unwrap_err().is_would_block());
                }
                assert!(socket.get_ref().reads <= 4, "{} reads in three calls", socket.get_ref().reads);
            }
        }
    }
}

#[test]
fn a_pong_that_cannot_be_written_does_not_spin() {
    for role in ROLES {
        let mut stream = Recorder::new(&[wire::frame(wire::other(role), PING, b"p")]);
        stream.room = 0;
        let mut socket = WebSocket::from_raw_socket(stream, role, Some(unlimited()));
        for _ in 0..10 {
            assert!(socket.read_message().unwrap_err().is_would_block());
        }
        assert!(socket.get_ref().reads <= 11, "{} reads in ten calls", socket.get_ref().reads);
    }
}

#[test]
fn large_and_small_messages_arrive_whole_over_every_transport() {
    over_every_transport(|harness| {
        let (mut client, mut server) = harness.pair(unlimited(), unlimited());
        for size in [0, 1, 125, 126, 65_535, 65_536, 3 * MIB] {
            for (from, to) in [(0, 1), (1, 0)] {
                let ends = [&mut client, &mut server];
                ends[from].binary(&vec![9; size]).unwrap();
                ends[from].text("then").unwrap();
                let mut received = Vec::new();
                while received.len() < 2 {
                    let _ = ends[from].write_pending();
                    received.extend(ends[to].read_all().0);
                }
                assert!(received == [binary(&vec![9; size]), text("then")]);
            }
        }
    });
}

#[cfg(feature = "net")]
mod over_sockets {
    use super::*;
    use common::pair::pair;
    use wsabi::DeflateConfig;
    use wsabi::internals::Settings;
    use wsabi::internals::Socket;
    use wsabi::internals::Stream;
    use wsabi::internals::{Poller, Source};

    /// What many connections that compress come to while a poller waits for them: their buffers are lent by the poller, which
    /// has a few for all. Each has received a message, and is then to hold less than `most` bytes.
    fn connections_that_compress(context_takeover: bool, most: usize) {
        const MANY: usize = 64;
        let deflate = DeflateConfig {
            client_no_context_takeover: !context_takeover,
            server_no_context_takeover: !context_takeover,
            ..DeflateConfig::default()
        };
        let websocket = Arc::new(config(|c| c.deflate = Some(deflate)));
        let settings = Settings { blocking: false, ..Settings::default() };
        let setup = Arc::new(Setup { websocket, settings, ..Setup::default() });
        let poller = Poller::new().unwrap();
        let before = ALLOCATOR.held();
        let mut ends = Vec::new();
        for token in 0..MANY {
            let (near, far) = pair();
            let endpoint = Arc::new(SharedConnection::open(&setup, Role::Server, Vec::new()));
            endpoint.set_stream(Stream::Socket(Socket::owned(near.into()))).unwrap();
            poller.add(Source::Connection(Arc::clone(&endpoint)), token as u64).unwrap();
            ends.push((endpoint, far));
        }
        let mut tokens = [0];
        while poller.wait(&mut tokens, Some(Duration::from_millis(20))).is_ok() {
            assert!(ends[tokens[0] as usize].0.read_many(|_, _| true).is_err());
        }
        for _ in 0..3 {
            for (token, (endpoint, far)) in ends.iter_mut().enumerate() {
                far.write_all(&wire::frame(Role::Client, BINARY, &[1; 3000])).unwrap();
                assert_eq!(poller.wait(&mut tokens, Some(Duration::from_secs(5))).unwrap(), 1);
                assert_eq!(tokens[0], token as u64);
                read_to_the_end(endpoint);
            }
            let held = ALLOCATOR.held().saturating_sub(before) / MANY;
            assert!(held < most, "{held} bytes are held by each while it waits");
        }
    }

    #[test]
    fn long_messages_leave_no_memory_behind_with_connections_that_wait() {
        const MANY: usize = 8;
        let settings = Settings { blocking: false, ..Settings::default() };
        let setup = Arc::new(Setup { settings, websocket: Arc::new(unlimited()), ..Setup::default() });
        let before = ALLOCATOR.held();
        let mut ends = Vec::new();
        for _ in 0..MANY {
            let (near, far) = pair();
            far.set_nonblocking(true).unwrap();
            let endpoint = SharedConnection::open(&setup, Role::Server, Vec::new());
            endpoint.set_stream(Stream::Socket(Socket::owned(near.into()))).unwrap();
            ends.push((endpoint, far));
        }
        for (endpoint, far) in &mut ends {
            let bytes = wire::frame(Role::Client, BINARY, &vec![1; 4 * MIB]);
            let mut sent = 0;
            // It is lent until all have received theirs, so that none has the memory of another.
            while !matches!(endpoint.read_many(|_, _| true), Ok(true)) {
                sent += far.write(&bytes[sent..]).unwrap_or_default();
            }
            // And many short ones have waited to be sent.
            let queue = |_| endpoint.queue(&Outgoing::Binary(&[1; 8])).unwrap();
            assert!((0..100_000).map(queue).all(|accepted| accepted == Enqueue::Accepted));
        }
        for (endpoint, far) in &mut ends {
            while endpoint.write_pending().is_err() {
                let _ = far.read(&mut vec![0; MIB]);
            }
            assert!(!matches!(endpoint.read_many(|_, _| true), Ok(true)));
        }
        let held = ALLOCATOR.held().saturating_sub(before);
        // What a pool has for the next ones that become active: four times three buffers of 128 KiB at most.
        assert!(held < 4 * 3 * 128 * KIB + 64 * KIB, "{held} bytes are held while they wait");
    }

    #[test]
    fn a_connection_that_compresses_holds_no_buffers_while_a_poller_waits_for_it() {
        connections_that_compress(true, 1024);
        connections_that_compress(false, 1024);
    }
}
