//! The peers in other languages: a script each, that is asked over its standard input and answers in lines.
//!
//! It says `ready`, or nothing where the peer is not installed. A line that begins with `{` is a message to add.
//! `time LEVEL TAKEOVER COUNT` is answered with nanoseconds a message and how many times smaller messages became,
//! `hold LEVEL TAKEOVER MESSAGES` with the bytes that one end of a connection holds: idle, and after so many messages
//! each way.

use crate::engines::Setting;
use crate::samples::Sample;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Where `tests/peers/setup.sh` installs them.
const HOME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../build/peers");

const KINDS: [Kind; 2] = [
    Kind {
        name: "websockets (Python)",
        folder: ".",
        program: |home| home.join("venv/bin/python"),
        arguments: &["-c", include_str!("../peers/deflate.py")],
    },
    Kind {
        name: "ws (Node)",
        folder: "node",
        program: |_| "node".into(),
        arguments: &["--expose-gc", "-e", include_str!("../peers/deflate.js")],
    },
];

/// A script, and what runs it.
pub struct Kind {
    name: &'static str,
    folder: &'static str,
    program: fn(&Path) -> PathBuf,
    arguments: &'static [&'static str],
}

/// One that runs.
pub struct Script {
    pub name: &'static str,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Those that are installed; names the others.
pub fn installed() -> Vec<Kind> {
    let (here, missing): (Vec<_>, Vec<_>) = KINDS.into_iter().partition(|kind| kind.try_start().is_some());
    for kind in missing {
        println!("{}: not installed, skipped (tests/peers/setup.sh)", kind.name);
    }
    here
}

impl Kind {
    /// Starts it with these messages.
    pub fn start(&self, samples: &[Sample]) -> Script {
        let mut script = self.try_start().expect("it started before");
        for sample in samples {
            writeln!(script.input, "{}", sample.text).unwrap();
        }
        script
    }

    fn try_start(&self) -> Option<Script> {
        let home = Path::new(HOME);
        let mut child = Command::new((self.program)(home))
            .args(self.arguments)
            .current_dir(home.join(self.folder))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let (input, output) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        let mut script = Script { name: self.name, child, input, output };
        (script.line() == "ready").then_some(script)
    }
}

impl Script {
    /// Nanoseconds a message, and how many times smaller messages became.
    pub fn time(&mut self, setting: Setting, count: usize) -> (f64, f64) {
        self.ask("time", setting, count)
    }

    /// Bytes that one end holds, idle and after so many messages.
    pub fn hold(&mut self, setting: Setting, messages: usize) -> (usize, usize) {
        let (idle, later) = self.ask("hold", setting, messages);
        (idle as usize, later as usize)
    }

    fn ask(&mut self, what: &str, setting: Setting, count: usize) -> (f64, f64) {
        writeln!(self.input, "{what} {} {} {count}", setting.level, u8::from(setting.takeover)).unwrap();
        let answer = self.line();
        let number = |text: &str| text.parse::<f64>().ok();
        let numbers = answer.split_once(' ').and_then(|(a, b)| Some((number(a)?, number(b)?)));
        numbers.unwrap_or_else(|| panic!("{} answers {answer:?}", self.name))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
