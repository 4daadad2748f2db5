//! The rows of a run as a file, for `report.py`.

use std::fmt::Write;

/// A figure of one engine.
pub struct Row {
    /// What the row belongs to: `read`, `write` or `deflate`.
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
}

/// Writes a list of objects. No name of ours needs escaping; instructions are counted by others, who fill them in.
pub fn write(path: &str, rows: &[Row]) {
    let mut text = String::from("[");
    for (i, Row { group, task, role, size, kind, peer, nanoseconds }) in rows.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        write!(
            text,
            "{comma}\n{{\"group\": \"{group}\", \"task\": \"{task}\", \"role\": \"{role}\", \"size\": {size}, \
             \"kind\": \"{kind}\", \"peer\": \"{peer}\", \"ns\": {nanoseconds:.2}, \"instructions\": null}}"
        )
        .unwrap();
    }
    text.push_str("\n]\n");
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{path}: {error}"));
}
