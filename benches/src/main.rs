//! Measures the engine in memory, beside its peers, in one run: alternating rounds, medians, ratios.
//!
//! `wsabi-bench --goals`: a line for each goal, in less than a minute.
//!
//! `wsabi-bench [--json FILE] [TASK [SIZE [COUNT [PEER]]]]`: the tasks whose name contains TASK; with COUNT, that many
//! messages of the first of them through one engine, for an instruction counter. The rows of times go to FILE, too.
//!
//! [`goals`] has the bounds; [`read_write`] moves plain messages, [`deflate`] compressed ones; [`memory`] tells what a connection holds for those.

mod deflate;
mod engines;
mod goals;
mod json;
mod memory;
mod peers;
mod read_write;
mod samples;
mod scripts;

use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if_eq("--goals").is_some() {
        std::process::exit(i32::from(goals::run() > 0));
    }
    let json = arguments.next_if_eq("--json").map(|_| arguments.next().expect("a file"));
    let name = arguments.next().unwrap_or_default();
    let mut number = || arguments.next().map(|number| number.parse::<usize>().expect("a number"));
    let (size, count) = (number(), number());
    let (plain, compressed) = (read_write::tasks(&name), deflate::tasks(&name));
    if let Some(count) = count {
        let (size, peer) = (size.expect("a size"), arguments.next());
        return match (plain.first(), compressed.first()) {
            (Some(task), _) => read_write::run_one(task, size, count, peer.as_deref()),
            (None, Some(task)) => deflate::run_one(*task, size, count, peer.as_deref()),
            (None, None) => panic!("no such task"),
        };
    }
    let mut rows = Vec::new();
    if !plain.is_empty() {
        read_write::run(&plain, size, &mut rows);
        println!();
    }
    if !compressed.is_empty() {
        let scripts = scripts::installed();
        deflate::run(&compressed, size, &scripts, &mut rows);
        println!();
        memory::run(&compressed, &scripts);
    }
    if let Some(path) = json {
        json::write(&path, &rows);
    }
}

/// Nanoseconds a message, and what `run` returns.
fn time<T>(count: usize, run: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = run();
    (start.elapsed().as_nanos() as f64 / count as f64, result)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
