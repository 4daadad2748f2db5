use super::*;

fn deflate(deflater: &mut Deflater, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        deflater.compress(part, i + 1 == parts.len(), &mut out).unwrap();
    }
    out
}

/// Inflates a message in pieces of `step` bytes into rooms of `room` bytes.
fn inflate(inflater: &mut Inflater, message: &[u8], step: usize, room: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for mut piece in message.chunks(step) {
        loop {
            let mut space = vec![0; room];
            let inflated = inflater.inflate(piece, &mut space);
            piece = &piece[inflated.used..];
            out.extend_from_slice(&space[..inflated.written]);
            inflated.result?;
            if piece.is_empty() && inflater.is_drained() {
                break;
            }
        }
    }
    inflater.finish(out.len() as u64)?;
    Ok(out)
}

fn sample(len: usize) -> Vec<u8> {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut word = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        format!("{{\"id\":{},\"name\":\"κόσμε {}\"}}", seed % 1000, seed % 17)
    };
    let mut text = Vec::new();
    while text.len() < len {
        text.extend_from_slice(word().as_bytes());
    }
    text.truncate(len);
    text
}

#[test]
fn what_goes_in_comes_out_for_every_window_level_and_takeover() {
    for bits in 8..=15 {
        for level in [1, 6, 9] {
            for takeover in [true, false] {
                let mut deflater = Deflater::new(level, bits, takeover);
                let mut inflater = Inflater::new(bits, takeover);
                for len in [0, 1, 5, 100, 1000, 70_000] {
                    let message = sample(len);
                    let compressed = deflate(&mut deflater, &[&message]);
                    assert_eq!(inflate(&mut inflater, &compressed, 4096, 4096).unwrap(), message);
                }
            }
        }
    }
}

#[test]
fn a_message_in_parts_inflates_as_one_in_pieces_and_rooms_of_any_size() {
    let message = sample(3000);
    let mut deflater = Deflater::new(6, 15, true);
    let mut inflater = Inflater::new(15, true);
    for (step, room) in [(1, 1), (1, 4096), (7, 3), (4096, 1), (4096, 3000), (3, 64)] {
        let (first, second) = message.split_at(step * 31 % 2000);
        let compressed = deflate(&mut deflater, &[first, second, b""]);
        assert_eq!(inflate(&mut inflater, &compressed, step, room).unwrap(), message);
    }
}

#[test]
fn output_that_ends_exactly_at_a_full_room_is_complete() {
    let message = sample(512);
    let mut deflater = Deflater::new(6, 15, false);
    let mut inflater = Inflater::new(15, false);
    let compressed = deflate(&mut deflater, &[&message]);
    for room in [128, 256, 512] {
        assert_eq!(inflate(&mut inflater, &compressed, 4096, room).unwrap(), message);
    }
}

#[test]
fn an_empty_compressed_message_is_one_byte() {
    let mut deflater = Deflater::new(6, 15, true);
    assert_eq!(deflate(&mut deflater, &[b""]), [0]);
    deflate(&mut deflater, &[b"something"]);
    assert_eq!(deflate(&mut deflater, &[b""]), [0]);
    let mut inflater = Inflater::new(15, true);
    assert_eq!(inflate(&mut inflater, &[0], 1, 16).unwrap(), b"");
}

#[test]
fn a_final_block_ends_its_stream_and_not_the_message() {
    // RFC 7692 section 7.2.3.4: "Hello" in a final block, then the empty block that the tail belongs to.
    let hello = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    let mut inflater = Inflater::new(15, true);
    for step in 1..=hello.len() {
        assert_eq!(inflate(&mut inflater, &hello, step, 64).unwrap(), b"Hello");
        assert_eq!(inflate(&mut inflater, &hello[..7], step, 64).unwrap(), b"Hello", "with nothing after it");
    }
    let twice = [&hello[..7], &hello[..]].concat();
    assert_eq!(inflate(&mut inflater, &twice, 3, 64).unwrap(), b"HelloHello");
}

#[test]
fn bytes_that_are_not_deflate_are_an_error() {
    let mut inflater = Inflater::new(15, true);
    let result = inflate(&mut inflater, &[0x07, 0xff, 0xff], 3, 64);
    assert!(matches!(result, Err(Error::Protocol(ProtocolError::CorruptDeflate))));
}

#[test]
fn a_message_has_to_end_where_its_tail_is_the_end_of_a_block() {
    let ends = |payload: &[u8]| {
        let outcome = |step| inflate(&mut Inflater::new(15, true), payload, step, 64);
        let outcomes: Vec<_> =
            (1..=payload.len().max(1)).map(|step| outcome(step).map_err(|error| error.to_string())).collect();
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{payload:x?}: {outcomes:?}");
        outcomes[0].clone()
    };
    let early = Err(ProtocolError::TruncatedDeflate.to_string());
    let stored = [0, 2, 0, 0xfd, 0xff, b'h', b'i'];
    for len in 1..=stored.len() {
        assert_eq!(ends(&stored[..len]), if len == 1 { Ok(vec![]) } else { early.clone() }, "{len}");
    }
    assert_eq!(ends(&[&stored[..], &[0]].concat()), Ok(b"hi".to_vec()));
    assert_eq!(ends(&[&stored[..], &[0, 0, 0, 0xff, 0xff]].concat()), early, "the tail, twice then");
    assert_eq!(ends(&[]), Ok(vec![]));
    // The header of a block with the symbol that ends it, cut where the tail is the rest of both.
    let mut at_the_same_place = 0;
    for len in 1..=8 {
        let payload = dynamic_block_without_its_end(len);
        assert_eq!(ends(&payload), early, "the symbol has {len} bits");
        let mut decoder = Decoder::new(15);
        assert_eq!(decoder.step(&payload, &mut [0; 1], InflateFlush::SyncFlush).used, payload.len());
        let step = decoder.step(&TAIL_AND_MORE, &mut [0; 1], InflateFlush::Block);
        at_the_same_place += usize::from(step.status.is_ok() && step.used == 4 && step.written == 0);
    }
    assert_eq!(at_the_same_place, 6, "what only the second look tells");
}

/// A dynamic block that goes on with 16 bits that are 0 and some that are 1, and ends with a symbol of `len` such bits.
fn dynamic_block_without_its_end(len: usize) -> Vec<u8> {
    let mut lengths = [0; 19];
    (lengths[0], lengths[18]) = (1, 2);
    // Below 11, the lengths that occur, and the run of zeros, which comes last: its code is nothing but ones.
    let depth = (len + 1).next_power_of_two().ilog2() as usize;
    let short = (1 << depth) - (len + 1);
    for (symbol, length) in lengths.iter_mut().enumerate().take(len + 1).skip(1) {
        *length = 2 + if symbol <= short { depth - 1 } else { depth };
    }
    lengths[17] = 2 + depth;
    let mut bits = String::new();
    let put = |bits: &mut String, value: usize, n: usize| {
        bits.extend((0..n).map(|i| if value >> i & 1 == 1 { '1' } else { '0' }));
    };
    let symbol = |bits: &mut String, wanted: usize| {
        let is_before =
            |other: &usize| lengths[*other] > 0 && (lengths[*other], *other) < (lengths[wanted], wanted);
        let code: usize =
            (0..19).filter(is_before).map(|other| 1 << (lengths[wanted] - lengths[other])).sum();
        bits.extend((0..lengths[wanted]).rev().map(|i| if code >> i & 1 == 1 { '1' } else { '0' }));
    };
    let mut body = String::new();
    (1..=len).for_each(|length| symbol(&mut body, length));
    for zeros in [138, 256 - len - 138] {
        symbol(&mut body, 18);
        put(&mut body, zeros - 11, 7);
    }
    symbol(&mut body, len);
    let head_len = 3 + 14 + 19 * 3;
    // The payload ends with a byte.
    let padding = (8 - (head_len + body.len()) % 8) % 8;
    // 16 zeros, one by one, and ten at once.
    let rest = padding + 16 + 10;
    let literals = (rest - 1).min(29);
    put(&mut bits, 0b100, 3);
    put(&mut bits, literals, 5);
    put(&mut bits, rest - literals - 1, 5);
    put(&mut bits, 15, 4);
    for place in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] {
        put(&mut bits, lengths[place], 3);
    }
    bits.push_str(&body);
    bits.extend(std::iter::repeat_n('0', padding));
    bits.as_bytes()
        .chunks(8)
        .map(|byte| byte.iter().rev().fold(0, |value, bit| value << 1 | (bit - b'0')))
        .collect()
}

#[test]
fn distances_of_an_8_bit_window_stay_within_256_bytes() {
    let mut deflater = Deflater::new(9, 8, true);
    for len in [100, 1000, 20_000] {
        let mut compressed = deflate(&mut deflater, &[&sample(len)]);
        compressed.extend_from_slice(&TAIL);
        assert!(farthest_distance(&compressed) <= 256);
    }
    let mut deflater = Deflater::new(9, 15, true);
    let mut compressed = deflate(&mut deflater, &[&sample(20_000)]);
    compressed.extend_from_slice(&TAIL);
    assert!(farthest_distance(&compressed) > 256, "the measure measures");
}

#[test]
fn connections_without_takeover_share_a_few_contexts_and_the_last_frees_them() {
    let message = sample(500);
    let mut deflaters: Vec<_> = (0..100).map(|_| Deflater::new(3, 15, false)).collect();
    for deflater in &mut deflaters {
        deflate(deflater, &[&message]);
        assert!(deflater.context.is_none());
    }
    let Source::Shelf(shelf) = &deflaters[0].source else { panic!("it is not kept") };
    let on_shelf = shelf.lock().compressors.len();
    assert!((1..=SHELF).contains(&on_shelf));
}

/// The farthest distance in a DEFLATE stream, by a small decoder of its own (RFC 1951).
fn farthest_distance(stream: &[u8]) -> usize {
    let mut bits = Bits { stream, at: 0 };
    let mut farthest = 0;
    while bits.at + 3 <= stream.len() * 8 {
        let is_final = bits.take(1);
        match bits.take(2) {
            0 => {
                bits.at = bits.at.div_ceil(8) * 8;
                let len = bits.take(16);
                bits.take(16);
                bits.at += len * 8;
            }
            kind => {
                let (literals, distances) = if kind == 1 { fixed() } else { dynamic(&mut bits) };
                loop {
                    match bits.symbol(&literals) {
                        0..=255 => {}
                        256 => break,
                        code => {
                            bits.take(LENGTH_EXTRA[code - 257]);
                            let code = bits.symbol(&distances);
                            let extra = (code / 2).saturating_sub(1);
                            let base = if code < 4 { code + 1 } else { ((2 + code % 2) << extra) + 1 };
                            farthest = farthest.max(base + bits.take(extra));
                        }
                    }
                }
            }
        }
        if is_final == 1 {
            break;
        }
    }
    farthest
}

const LENGTH_EXTRA: [usize; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];

struct Bits<'a> {
    stream: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, n: usize) -> usize {
        (0..n).fold(0, |value, i| {
            let bit = self.stream[self.at / 8] >> (self.at % 8) & 1;
            self.at += 1;
            value | usize::from(bit) << i
        })
    }

    /// One symbol of a canonical Huffman code, given as the lengths of its symbols.
    fn symbol(&mut self, lengths: &[usize]) -> usize {
        let (mut code, mut first) = (0, 0);
        for len in 1..=15 {
            code = code << 1 | self.take(1);
            let symbols: Vec<usize> = (0..lengths.len()).filter(|&i| lengths[i] == len).collect();
            if code < first + symbols.len() {
                return symbols[code - first];
            }
            first = (first + symbols.len()) << 1;
        }
        panic!("not a Huffman code");
    }
}

fn fixed() -> (Vec<usize>, Vec<usize>) {
    let literals = (0..288).map(|i| match i {
        0..=143 => 8,
        144..=255 => 9,
        256..=279 => 7,
        _ => 8,
    });
    (literals.collect(), vec![5; 30])
}

fn dynamic(bits: &mut Bits<'_>) -> (Vec<usize>, Vec<usize>) {
    let (literals, distances, codes) = (bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4);
    let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let mut lengths = vec![0; 19];
    for &place in &order[..codes] {
        lengths[place] = bits.take(3);
    }
    let mut all: Vec<usize> = Vec::new();
    while all.len() < literals + distances {
        let (value, times) = match bits.symbol(&lengths) {
            16 => (all[all.len() - 1], 3 + bits.take(2)),
            17 => (0, 3 + bits.take(3)),
            18 => (0, 11 + bits.take(7)),
            len => (len, 1),
        };
        all.extend(std::iter::repeat_n(value, times));
    }
    let distances = all.split_off(literals);
    (all, distances)
}
