//! What is compressed: JSON such as an exchange sends, of an exact size, different from message to message.

use bytes::Bytes;
use std::fmt::Write;

/// So many that none comes again within the window.
const COUNT: usize = 2048;

/// One message, in the forms that the engines take.
pub struct Sample {
    pub text: String,
    pub bytes: Bytes,
}

pub fn samples(size: usize) -> Vec<Sample> {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let sample = |sequence| {
        let text = text(&mut random, sequence, size);
        Sample { bytes: text.clone().into(), text }
    };
    (104_233..).take(COUNT).map(sample).collect()
}

/// As many trades as there is room for, and a note that fills the rest.
fn text(random: &mut Random, sequence: usize, size: usize) -> String {
    const NOTE: &str = r#"],"note":""#;
    const END: &str = r#""}"#;
    let mut text = format!(r#"{{"seq":{sequence},"trades":["#);
    loop {
        let trade = trade(random);
        if text.len() + trade.len() + NOTE.len() + END.len() > size {
            break;
        }
        text.push_str(&trade);
        text.push(',');
    }
    if text.ends_with(',') {
        text.pop();
    }
    text.push_str(NOTE);
    while text.len() + END.len() < size {
        write!(text, "{} ", random.one_of(&WORDS)).unwrap();
    }
    text.truncate(size - END.len());
    text + END
}

fn trade(random: &mut Random) -> String {
    let (symbol, price) = random.one_of(&SYMBOLS);
    format!(
        r#"{{"id":{},"symbol":"{symbol}","side":"{}","price":{}.{:02},"size":{}.{:04}}}"#,
        83_000_000 + random.below(1_000_000),
        random.one_of(&["buy", "sell"]),
        price + random.below(price / 50),
        random.below(100),
        random.below(20),
        random.below(10_000),
    )
}

const SYMBOLS: [(&str, usize); 6] = [
    ("BTC-USD", 61_200),
    ("ETH-USD", 3_140),
    ("SOL-EUR", 132),
    ("EUR-USD", 108),
    ("ADA-GBP", 310),
    ("XAU-CHF", 2_190),
];

const WORDS: [&str; 24] = [
    "order", "filled", "partly", "by", "desk", "in", "Zurich", "after", "the", "auction", "client", "asked",
    "for", "a", "limit", "hedge", "delayed", "settles", "tomorrow", "with", "broker", "see", "ticket",
    "amended",
];

/// The same numbers in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }
}
