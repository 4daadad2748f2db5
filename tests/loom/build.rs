//! Writes the file that is checked, as it is and with one fault in each copy. A fault that no longer fits into the file fails
//! the build: it has to be thought of anew.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The name of a copy, and what is exchanged in it.
type Fault = (&'static str, &'static [(&'static str, &'static str)]);

const FAULTS: &[Fault] = &[
    // Orders of two operations.
    (
        "asks_before_it_says_so",
        &[(
            "self.word.fetch_or(LOOK, Ordering::AcqRel);
                let held = self.try_lock()?;",
            "let held = self.try_lock();
                self.word.fetch_or(LOOK, Ordering::AcqRel);
                let held = held?;",
        )],
    ),
    (
        "is_asked_before_it_unlocks",
        &[(
            "self.released.may_be_looked_at = self.value.is_registered();",
            "if self.released.monitor.word.fetch_and(!LOOK, Ordering::AcqRel) & LOOK != 0 { self.value.mark_dirty() }",
        )],
    ),
    (
        "publishes_after_it_unlocked",
        &[
            ("self.released.monitor.publish(published);", "self.released.published = Some(published);"),
            ("may_be_looked_at: false }", "may_be_looked_at: false, published: None }"),
            ("may_be_looked_at: bool,", "may_be_looked_at: bool, published: Option<Published>,"),
            (
                "if self.may_be_looked_at && ",
                "if let Some(published) = self.published { self.monitor.publish(published) }
        if self.may_be_looked_at && ",
            ),
        ],
    ),
    (
        "forgets_its_owner_after_it_unlocked",
        &[
            ("self.released.monitor.owner.store(0, Ordering::Relaxed);", ""),
            (
                "if self.may_be_looked_at && ",
                "self.monitor.owner.store(0, Ordering::Relaxed);
        if self.may_be_looked_at && ",
            ),
        ],
    ),
    // Orders that are too weak.
    (
        "says_so_relaxed",
        &[("self.word.fetch_or(LOOK, Ordering::AcqRel)", "self.word.fetch_or(LOOK, Ordering::Relaxed)")],
    ),
    (
        "is_asked_relaxed",
        &[(
            "self.monitor.word.fetch_and(!LOOK, Ordering::AcqRel)",
            "self.monitor.word.fetch_and(!LOOK, Ordering::Relaxed)",
        )],
    ),
    // Two steps that have to be one.
    (
        "leaves_events_in_two_steps",
        &[(
            "let before = self.word.fetch_or(events.0, Ordering::AcqRel);",
            "let before = self.word.load(Ordering::Acquire);
        self.word.store(before | events.0, Ordering::Release);",
        )],
    ),
    (
        "publishes_in_two_steps",
        &[(
            "self.word.fetch_xor(difference, Ordering::AcqRel);",
            "self.word.store(self.word.load(Ordering::Acquire) ^ difference, Ordering::Release);",
        )],
    ),
    (
        "waits_in_two_steps",
        &[(
            "Self::rung(self.0.swap(Self::WAITING, Ordering::AcqRel))",
            "let word = self.0.load(Ordering::Acquire);
        self.0.store(Self::WAITING, Ordering::Release);
        Self::rung(word)",
        )],
    ),
    (
        "ends_its_wait_in_two_steps",
        &[(
            "Self::rung(self.0.swap(0, Ordering::AcqRel))",
            "let word = self.0.load(Ordering::Acquire);
        self.0.store(0, Ordering::Release);
        Self::rung(word)",
        )],
    ),
    // Something is left out.
    (
        "stays_idle_with_what_was_noted",
        &[("fetch_and(!(Events::ALL | Published::IDLE), ", "fetch_and(!Events::ALL, ")],
    ),
    (
        "does_not_say_that_it_is_over",
        &[(
            "const ALL: u32 = Self::IDLE | Self::BATCH_VALID | Self::OVER;",
            "const ALL: u32 = Self::IDLE | Self::BATCH_VALID;",
        )],
    ),
    (
        "is_not_over_while_it_notes_events",
        &[(
            "fetch_and(!(Events::ALL | Published::IDLE), ",
            "fetch_and(!(Events::ALL | Published::IDLE | Published::OVER), ",
        )],
    ),
    (
        "is_idle_with_events",
        &[("& (Published::IDLE | Events::ALL) == Published::IDLE", "& Published::IDLE == Published::IDLE")],
    ),
    (
        "asks_once_only",
        &[(
            "if self.word.fetch_and(!LOOK, Ordering::AcqRel) & LOOK == 0 {
                return;
            }",
            "return;",
        )],
    ),
    (
        "wakes_who_is_not_there_yet",
        &[("fetch_or(what, Ordering::AcqRel) == Self::WAITING", "fetch_or(what, Ordering::AcqRel) == 0")],
    ),
];

fn main() {
    const FILE: &str = "../../src/net/signal.rs";
    const MODELS: &str = "src/models.rs";
    println!("cargo::rerun-if-changed={FILE}");
    println!("cargo::rerun-if-changed={MODELS}");
    println!("cargo::rustc-cfg=loom");
    let models = read(MODELS);
    let promises: Vec<_> =
        models.lines().filter_map(|line| line.strip_prefix("pub fn ")?.strip_suffix("() {")).collect();
    // What is included has no description of its own.
    let source = read(FILE);
    let source: Vec<_> = source.lines().filter(|line| !line.starts_with("//!")).collect();
    let source = exchange(&source.join("\n"), "loom::sync::{", "crate::sync::{");
    let source = exchange(
        &source,
        "std::thread_local!(static TOKEN: u8 = const { 0 })",
        "loom::thread_local!(static TOKEN: u8 = 0)",
    );
    let mut copies = copy("as_it_is", &source);
    copies += "holds!(";
    copies += &promises.join(" ");
    copies += ");\n";
    for (name, exchanges) in FAULTS {
        let faulty = exchanges.iter().fold(source.clone(), |source, (from, to)| exchange(&source, from, to));
        copies += &copy(name, &faulty);
        copies += &format!("is_found!({name}: {});\n", promises.join(" "));
    }
    write("copies", &copies);
}

/// A module with this copy of the file, and the models next to it.
fn copy(name: &str, source: &str) -> String {
    let file = write(name, source);
    let models = env::current_dir().expect("the folder of this crate").join("src/models.rs");
    format!(
        "#[allow(dead_code, clippy::all)] mod {name} {{
            mod signal {{ include!({file:?}); }}
            pub mod models {{ include!({models:?}); }}
        }}\n"
    )
}

fn exchange(source: &str, from: &str, to: &str) -> String {
    assert!(source.contains(from), "there is no such place in the file any more:\n{from}");
    source.replace(from, to)
}

fn read(file: &str) -> String {
    fs::read_to_string(file).expect(file)
}

fn write(name: &str, text: &str) -> PathBuf {
    let folder = env::var("OUT_DIR").expect("cargo says where");
    let file = Path::new(&folder).join(name).with_extension("rs");
    fs::write(&file, text).expect("a file to write to");
    file
}
