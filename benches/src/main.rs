//! Measures the engine in memory, beside its peers, in one run: alternating rounds, medians, ratios.
//!
//! `wsabi-bench --goals`: a line for each goal, in less than a minute.
//!
//! `wsabi-bench [--only WORDS] [--rounds N] [--json FILE]`: the cells whose names have all these words in them, as in
//! `--only "read server binary 64K"` or `--only deflate`; all cells without. The rows of times go to FILE, too.
//!
//! `wsabi-bench --run COUNT --cell NAME --peer NAME`: so many messages through one engine, for an instruction counter.
//!
//! [`goals`] has the bounds; [`read_write`] moves plain messages, [`least`] without an engine, [`deflate`] compressed ones; [`accept`] opens connections;
//! [`memory`] tells what a connection holds for compression.

mod accept;
mod deflate;
mod engines;
mod goals;
mod json;
mod least;
mod memory;
mod peers;
mod read_write;
mod samples;
mod scripts;

use std::process::Command;
use std::time::Instant;

fn main() {
    let options = Options::read();
    if options.goals {
        std::process::exit(i32::from(goals::run() > 0));
    }
    if let Some(count) = options.run {
        return match options.cell.as_str() {
            accept::NAME => accept::run_one(count, &options.peer),
            name => read_write::cell(name).run_one(count, &options.peer),
        };
    }
    let mut rows = Vec::new();
    let plain = read_write::cells();
    let plain = plain.into_iter().filter(|cell| options.wants(&cell.name())).collect::<Vec<_>>();
    let compressed = deflate::cells();
    let compressed = compressed.into_iter().filter(|cell| options.wants(&cell.name())).collect::<Vec<_>>();
    if !installed("valgrind") {
        println!("valgrind: not installed, skipped: no instructions are counted");
    }
    if options.wants(accept::NAME) {
        accept::run(options.rounds, &mut rows);
        println!();
    }
    if !plain.is_empty() {
        read_write::run(&plain, options.rounds, &mut rows);
        println!();
    }
    if !compressed.is_empty() {
        let scripts = scripts::installed();
        deflate::run(&compressed, &scripts, &mut rows);
        println!();
        memory::run(&compressed, &scripts);
    }
    if let Some(path) = options.json {
        json::write(&path, options.rounds, &rows);
    }
}

struct Options {
    goals: bool,
    only: String,
    rounds: usize,
    json: Option<String>,
    run: Option<usize>,
    cell: String,
    peer: String,
}

impl Options {
    fn read() -> Self {
        let none = String::new;
        let mut options = Self {
            goals: false,
            only: none(),
            rounds: 15,
            json: None,
            run: None,
            cell: none(),
            peer: none(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().unwrap_or_else(|| panic!("{name} wants a value"));
            match name.as_str() {
                "--goals" => options.goals = true,
                "--only" => options.only = value(),
                "--rounds" => options.rounds = value().parse().expect("a number of rounds"),
                "--json" => options.json = Some(value()),
                "--run" => options.run = Some(value().parse().expect("a number of messages")),
                "--cell" => options.cell = value(),
                "--peer" => options.peer = value(),
                _ => panic!("{name} is no option"),
            }
        }
        options
    }

    /// Whether all the words asked for are among those of this name.
    fn wants(&self, name: &str) -> bool {
        self.only.split_whitespace().all(|word| name.split([' ', ',']).any(|known| known == word))
    }
}

/// Nanoseconds a message, and what `run` returns. Of CPU time, so that others who want the processor are not counted.
fn time<T>(count: usize, run: impl FnOnce() -> T) -> (f64, T) {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
    };
    let start = now();
    let result = run();
    ((now() - start) / count as f64, result)
}

/// The same by the clock, beside processes that measure themselves so.
fn time_by_clock<T>(count: usize, run: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = run();
    (start.elapsed().as_nanos() as f64 / count as f64, result)
}

/// How many instructions a message of this size takes one engine: the difference of two runs under callgrind, in the shorter
/// of which all buffers have grown already. `None` where that is not installed.
fn instructions(cell: &str, size: usize, peer: &str) -> Option<f64> {
    let few = ((1 << 20) / size).min(20_000);
    let counts = [few, 4 * few];
    let total = |count: usize| {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().ok()?)
            .args(["--run", &count.to_string(), "--cell", cell, "--peer", peer])
            .output()
            .ok()?;
        let text = String::from_utf8(output.stderr).ok()?;
        text.split_once("Collected : ")?.1.split_whitespace().next()?.parse::<f64>().ok()
    };
    let [short, long] = counts.map(total);
    Some((long? - short?) / (counts[1] - counts[0]) as f64)
}

fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// As in `125`, `64K` or `16M`.
fn size_name(size: usize) -> String {
    match size {
        size if size >= 1 << 20 && size.is_multiple_of(1 << 20) => format!("{}M", size >> 20),
        size if size >= 1 << 10 && size.is_multiple_of(1 << 10) => format!("{}K", size >> 10),
        size => size.to_string(),
    }
}
