//! Compressed messages, from a client that writes to a server that reads: messages a second, and how much smaller they
//! become.
//!
//! The peer in Rust is a whole engine, as ours is; of the scripted ones only the extension runs, without frames, masks
//! and streams. `time` is ours over theirs: a row under 1.00 is ahead of the peer.

use crate::engines::{End, Pair, Setting, Wsabi, Yawc};
use crate::json::Row;
use crate::samples::{Sample, samples};
use crate::scripts::{Kind, Script};
use crate::{median, size_name, time_by_clock};

const SIZES: [usize; 2] = [125, 1 << 10];
/// Short rounds, and many: what else the machine does must not matter.
const ROUNDS: usize = 15;
/// Bytes of payload that one measurement moves; the scripts move less.
const VOLUME: usize = 2 << 20;
const SCRIPT_SHARE: usize = 8;

pub type Task = (&'static str, Setting);

const TASKS: [Task; 3] = [
    ("deflate, level 1", Setting { level: 1, takeover: true }),
    ("deflate, level 6", Setting { level: 6, takeover: true }),
    ("deflate, level 1, no takeover", Setting { level: 1, takeover: false }),
];

/// Sends so many messages and returns their compressed lengths together.
type Exchange = fn(Setting, &[Sample], usize) -> usize;

const ENGINES: [(&str, Exchange); 2] = [(Wsabi::NAME, exchange::<Wsabi>), (Yawc::NAME, exchange::<Yawc>)];

pub fn exchange<E: End>(setting: Setting, samples: &[Sample], count: usize) -> usize {
    let mut pair = Pair::<E>::new(setting);
    samples.iter().cycle().take(count).map(|sample| pair.send(sample)).sum()
}

/// A square of the table.
pub struct Cell {
    pub task: Task,
    size: usize,
}

/// All of them.
pub fn cells() -> Vec<Cell> {
    SIZES.into_iter().flat_map(|size| TASKS.map(|task| Cell { task, size })).collect()
}

impl Cell {
    /// As in `deflate, level 1, 1K`.
    pub fn name(&self) -> String {
        format!("{}, {}", self.task.0, size_name(self.size))
    }
}

/// The table.
pub fn run(cells: &[Cell], scripts: &[Kind], json: &mut Vec<Row>) {
    println!(
        "{:34} {:>11} {:>11} {:>19} {:>7} {:>7} {:>7}",
        "", "wsabi msg/s", "peer msg/s", "peer", "time", "smaller", "peer"
    );
    let (mut rows, mut behind) = (0, 0);
    for cell in cells {
        let Cell { task: (name, setting), size } = *cell;
        let samples = samples(size);
        let mut scripts = scripts.iter().map(|kind| kind.start(&samples)).collect::<Vec<_>>();
        let measured = measure(setting, &samples, size, &mut scripts);
        json.extend(measured.iter().map(|engine| engine.row(name, size)));
        let (ours, peers) = measured.split_first().unwrap();
        for peer in peers {
            let ratio = ours.nanoseconds / peer.nanoseconds;
            rows += 1;
            behind += usize::from(ratio >= 1.0);
            println!(
                "{:34} {:>11.0} {:>11.0} {:>19} {ratio:>7.2} {:>7.2} {:>7.2}",
                cell.name(),
                1e9 / ours.nanoseconds,
                1e9 / peer.nanoseconds,
                peer.name,
                ours.smaller,
                peer.smaller
            );
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

impl Measured {
    fn row(&self, task: &'static str, size: usize) -> Row {
        let nanoseconds = self.nanoseconds;
        Row {
            group: "deflate",
            task,
            role: "both",
            size,
            kind: "JSON",
            peer: self.name,
            nanoseconds,
            instructions: None,
        }
    }
}

/// All the engines, ours first.
fn measure(setting: Setting, samples: &[Sample], size: usize, scripts: &mut [Script]) -> Vec<Measured> {
    let count = VOLUME / size;
    let names = ENGINES.iter().map(|engine| engine.0).chain(scripts.iter().map(|script| script.name));
    let mut measured = names.map(|name| (name, Vec::new(), 0.0)).collect::<Vec<_>>();
    for round in 0..ROUNDS {
        for turn in 0..measured.len() {
            // There and back: nobody comes always after the same, who may have left the processor cold.
            let i = if round % 2 == 0 { turn } else { measured.len() - 1 - turn };
            let (nanoseconds, smaller) = match ENGINES.get(i) {
                Some((_, exchange)) => {
                    let (nanoseconds, compressed) =
                        time_by_clock(count, || exchange(setting, samples, count));
                    (nanoseconds, (count * size) as f64 / compressed as f64)
                }
                None => scripts[i - ENGINES.len()].time(setting, count / SCRIPT_SHARE),
            };
            measured[i].1.push(nanoseconds);
            measured[i].2 = smaller;
        }
    }
    let finish = |(name, rounds, smaller)| Measured { name, nanoseconds: median(rounds), smaller };
    measured.into_iter().map(finish).collect()
}
