//! Measures the engine in memory, beside its peers, in one run: alternating rounds, medians, ratios.
//!
//! `wsabi-bench [TASK [SIZE [COUNT [PEER]]]]`: the tasks whose name contains TASK; with COUNT, that many messages of the
//! first of them through one engine, for an instruction counter.
//!
//! [`read_write`] moves plain messages, [`deflate`] compressed ones, and tells what a connection holds for them.

mod deflate;
mod engines;
mod memory;
mod read_write;
mod samples;
mod scripts;

use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let mut number = || arguments.next().map(|number| number.parse::<usize>().expect("a number"));
    let (size, count) = (number(), number());
    if let Some(count) = count {
        let (size, peer) = (size.expect("a size"), arguments.next());
        if !read_write::run_one(&name, size, count, peer.as_deref()) {
            deflate::run_one(&name, size, count, peer.as_deref());
        }
        return;
    }
    read_write::run(&name, size);
    deflate::run(&name, size);
    memory::run(&name);
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
