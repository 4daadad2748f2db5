//! Compressed messages, from a client that writes to a server that reads: messages a second, and how much smaller they
//! become.
//!
//! The peer in Rust is a whole engine, as ours is; of the scripted ones only the extension runs, without frames, masks
//! and streams. `time` is ours over theirs: a row under 1.00 is ahead of the peer.

use crate::engines::{End, Pair, Setting, Wsabi, Yawc};
use crate::samples::{Sample, samples};
use crate::scripts::{SCRIPTS, Script};
use crate::{median, time};

const SIZES: [usize; 2] = [125, 1 << 10];
/// Many short rounds: what the scripts do in between must not matter.
const ROUNDS: usize = 15;
/// Bytes of payload that one measurement moves; the scripts move less.
const VOLUME: usize = 2 << 20;
const SCRIPT_SHARE: usize = 8;

pub const TASKS: [(&str, Setting); 3] = [
    ("deflate, level 1", Setting { level: 1, takeover: true }),
    ("deflate, level 6", Setting { level: 6, takeover: true }),
    ("deflate, level 1, no takeover", Setting { level: 1, takeover: false }),
];

/// Sends so many messages and returns their compressed lengths together.
type Exchange = fn(Setting, &[Sample], usize) -> usize;

const ENGINES: [(&str, Exchange); 2] = [(Wsabi::NAME, exchange::<Wsabi>), (Yawc::NAME, exchange::<Yawc>)];

fn exchange<E: End>(setting: Setting, samples: &[Sample], count: usize) -> usize {
    let mut pair = Pair::<E>::new(setting);
    samples.iter().cycle().take(count).map(|sample| pair.send(sample)).sum()
}

/// One task through one engine.
pub fn run_one(name: &str, size: usize, count: usize, peer: Option<&str>) {
    let (_, setting) = TASKS.into_iter().find(|task| task.0.contains(name)).expect("a task");
    let peer = peer.unwrap_or(Wsabi::NAME);
    let (_, exchange) = ENGINES.into_iter().find(|engine| engine.0 == peer).expect("a peer");
    exchange(setting, &samples(size), count);
}

/// The table.
pub fn run(name: &str, size: Option<usize>) {
    let tasks = TASKS.into_iter().filter(|task| task.0.contains(name)).collect::<Vec<_>>();
    if tasks.is_empty() {
        return;
    }
    println!();
    println!(
        "{:34} {:>8} {:>11} {:>11} {:>19} {:>7} {:>7} {:>7}",
        "", "bytes", "wsabi msg/s", "peer msg/s", "peer", "time", "smaller", "peer"
    );
    let (mut rows, mut behind) = (0, 0);
    for size in size.map_or(SIZES.to_vec(), |size| vec![size]) {
        let samples = samples(size);
        let mut scripts = SCRIPTS.iter().filter_map(|script| script.start(&samples)).collect::<Vec<_>>();
        for (name, setting) in &tasks {
            let measured = measure(*setting, &samples, size, &mut scripts);
            let (ours, peers) = measured.split_first().unwrap();
            for peer in peers {
                let ratio = ours.nanoseconds / peer.nanoseconds;
                rows += 1;
                behind += usize::from(ratio >= 1.0);
                println!(
                    "{name:34} {size:>8} {:>11.0} {:>11.0} {:>19} {ratio:>7.2} {:>7.2} {:>7.2}",
                    1e9 / ours.nanoseconds,
                    1e9 / peer.nanoseconds,
                    peer.name,
                    ours.smaller,
                    peer.smaller
                );
            }
        }
    }
    println!("{rows} rows, {behind} behind");
}

struct Measured {
    name: &'static str,
    /// Of one message.
    nanoseconds: f64,
    /// How many times smaller messages become.
    smaller: f64,
}

/// All the engines, ours first.
fn measure(setting: Setting, samples: &[Sample], size: usize, scripts: &mut [Script]) -> Vec<Measured> {
    let count = VOLUME / size;
    let names = ENGINES.iter().map(|engine| engine.0).chain(scripts.iter().map(|script| script.name));
    let mut measured = names.map(|name| (name, Vec::new(), 0.0)).collect::<Vec<_>>();
    for _ in 0..ROUNDS {
        let mut results = Vec::new();
        for (_, exchange) in ENGINES {
            let (nanoseconds, compressed) = time(count, || exchange(setting, samples, count));
            results.push((nanoseconds, (count * size) as f64 / compressed as f64));
        }
        results.extend(scripts.iter_mut().map(|script| script.time(setting, count / SCRIPT_SHARE)));
        for (measured, (nanoseconds, smaller)) in measured.iter_mut().zip(results) {
            measured.1.push(nanoseconds);
            measured.2 = smaller;
        }
    }
    let finish = |(name, rounds, smaller)| Measured { name, nanoseconds: median(rounds), smaller };
    measured.into_iter().map(finish).collect()
}
