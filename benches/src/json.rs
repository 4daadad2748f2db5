//! A run as a file, for `report.py`: the machine, the command, and a row for each figure.

use std::fmt::Write;
use std::process::Command;

/// A figure of one engine.
pub struct Row {
    /// What the row belongs to: `accept`, `read`, `write` or `deflate`.
    pub group: &'static str,
    pub task: &'static str,
    /// The end that is measured: `server`, `client`, or `both`.
    pub role: &'static str,
    pub size: usize,
    /// What the payload is.
    pub kind: &'static str,
    pub peer: &'static str,
    /// Nanoseconds of one message.
    pub nanoseconds: f64,
    /// Instructions of one message, where they were counted.
    pub instructions: Option<f64>,
}

/// Writes it. No name of ours needs escaping.
pub fn write(path: &str, rounds: usize, rows: &[Row]) {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let command = std::env::args().skip(1).fold("wsabi-bench".to_owned(), |all, one| all + " " + &one);
    let mut text = format!(
        "{{\"machine\": {{\"cpu\": {:?}, \"cores\": {cores}, \"kernel\": {:?}}}, \"commit\": {:?}, \"date\": {:?}, \
         \"command\": {command:?}, \"rounds\": {rounds}, \"rows\": [",
        cpu(),
        said("uname", &["-sr"]),
        said("git", &["describe", "--always", "--dirty"]),
        said("date", &["-u", "+%Y-%m-%d"]),
    );
    for (i, Row { group, task, role, size, kind, peer, nanoseconds, instructions }) in rows.iter().enumerate()
    {
        let comma = if i == 0 { "" } else { "," };
        let instructions = instructions.map_or("null".to_owned(), |count| format!("{count:.1}"));
        write!(
            text,
            "{comma}\n{{\"group\": \"{group}\", \"task\": \"{task}\", \"role\": \"{role}\", \"size\": {size}, \
             \"kind\": \"{kind}\", \"peer\": \"{peer}\", \"ns\": {nanoseconds:.2}, \"instructions\": {instructions}}}"
        )
        .unwrap();
    }
    text.push_str("\n]}\n");
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{path}: {error}"));
}

fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(name, _)| name.trim() == "model name");
    found.map_or(std::env::consts::ARCH.to_owned(), |(_, model)| model.trim().to_owned())
}

/// What a program prints; empty where it fails.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
