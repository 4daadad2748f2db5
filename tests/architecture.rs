//! What ARCHITECTURE.md says of the source is true: who uses whom, that nothing uses itself in a circle, and which files are
//! named. The source is read as text: `crate::`, `super::` and `self::` paths, in `use` or not, and what `pub use` hands on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module by its path below the crate: `["net", "shared"]`.
type Module = Vec<String>;
/// Who uses whom.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Circles that are left: modules of a directory each of which leads to every other, `.` being its mod.rs. No new ones. Those
/// of `proto` are a type in a mod.rs and the chapters of its methods, some of which have a part of it for themselves.
const CIRCLES: &[&str] = &[
    "proto/connection: ., compression, ending, opening, parked, writing",
    "proto/handshake: ., client, server",
    "proto/inbound: ., whole",
    "proto/outbound: ., block, leaving",
];

#[test]
fn modules_use_those_that_the_architecture_lets_them_use() {
    let allowed = table();
    let mut used: Graph = allowed.keys().map(|module| (module.clone(), BTreeSet::new())).collect();
    for (file, path) in Source::read().references() {
        let (from, to) = (&file.module[0], &path[0]);
        if from != to {
            let allows = allowed.get(from).is_some_and(|allowed| allowed.contains(to));
            assert!(allows, "{}: `{from}` must not use `{to}` ({})", file.path.display(), path.join("::"));
            used.entry(from.clone()).or_default().insert(to.clone());
        }
    }
    for (module, used) in used {
        assert_eq!(used, allowed[&module], "what `{module}` uses, and what ARCHITECTURE.md lets it use");
    }
}

#[test]
fn no_arrow_of_the_architecture_points_upwards() {
    let order: Vec<_> = rows().into_iter().collect();
    let mut below = BTreeSet::new();
    for (modules, uses) in order {
        for used in uses {
            assert!(below.contains(&used), "{modules:?} use `{used}`, which does not come before them");
        }
        below.extend(modules);
    }
}

#[test]
fn no_module_uses_itself_in_a_circle() {
    let source = Source::read();
    let in_directory = |directory: Module| {
        let name = directory.join("/");
        let circles = circles(&source.graph(&directory));
        circles.into_iter().map(move |circle| format!("{name}: {}", circle.join(", ")))
    };
    let found: Vec<_> = source.directories().into_iter().flat_map(in_directory).collect();
    let new: Vec<_> = found.iter().filter(|circle| !CIRCLES.contains(&circle.as_str())).collect();
    assert!(new.is_empty(), "{new:#?}");
    let gone: Vec<_> = CIRCLES.iter().filter(|known| !found.iter().any(|circle| circle == *known)).collect();
    assert!(gone.is_empty(), "these are no circles any more, so that they can leave the list: {gone:#?}");
}

#[test]
fn only_sys_knows_the_platform() {
    for file in Source::read().files.iter().filter(|file| file.module[0] != "sys") {
        for word in ["libc", "os::fd", "os::unix", "SourceFd", "cfg(unix)", "cfg(windows)", "target_os"] {
            assert!(!file.code.contains(word), "{}: {word} is for src/sys alone", file.path.display());
        }
    }
}

#[test]
fn files_that_the_architecture_names_exist() {
    let text = fs::read_to_string("ARCHITECTURE.md").unwrap();
    let section = text.split("## Where things live").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut count = 0;
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let mut directory = PathBuf::new();
        if row.contains("wherever there is one") {
            continue;
        }
        for name in ticked(row.split('|').nth(1).unwrap()) {
            // `src/proto/frame.rs`, `utf8.rs`: the second one lies beside the first.
            let path = if Path::new(&name).exists() { PathBuf::from(&name) } else { directory.join(&name) };
            let exists = path.exists() || name.contains('*');
            assert!(exists, "{name} is named in ARCHITECTURE.md");
            directory = path.parent().unwrap().to_owned();
            count += 1;
        }
    }
    assert!(count > 30, "{count} files are named");
}

/// The rows of the table, from the bottom of the crate to its top: modules, and those that they use.
fn rows() -> Vec<(BTreeSet<String>, BTreeSet<String>)> {
    let text = fs::read_to_string("ARCHITECTURE.md").unwrap();
    let (_, after) = text.split_once("| module | uses |\n| --- | --- |\n").expect("the table of modules");
    let row = |line: &str| {
        let mut columns =
            line.trim_matches('|').split('|').map(|column| ticked(column).into_iter().collect());
        (columns.next().unwrap(), columns.next().unwrap())
    };
    after.lines().take_while(|line| line.starts_with('|')).map(row).collect()
}

fn table() -> Graph {
    let each = |(modules, uses): (BTreeSet<String>, BTreeSet<String>)| {
        modules.into_iter().map(move |module| (module, uses.clone()))
    };
    rows().into_iter().flat_map(each).collect()
}

/// What stands between backticks.
fn ticked(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Those that lead to one another, in groups.
fn circles(graph: &Graph) -> BTreeSet<Vec<String>> {
    let leads_to = |start: &String| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![start]);
        while let Some(module) = next.pop() {
            let uses = graph.get(module).into_iter().flatten();
            next.extend(uses.filter(|used| reached.insert((*used).clone())));
        }
        reached
    };
    let reached: Graph = graph.keys().map(|module| (module.clone(), leads_to(module))).collect();
    let is_in_circle = |(module, reached): &(&String, &BTreeSet<String>)| reached.contains(*module);
    let group = |(module, others): (&String, &BTreeSet<String>)| {
        others
            .iter()
            .filter(|other| reached.get(*other).is_some_and(|back| back.contains(module)))
            .cloned()
            .collect()
    };
    reached.iter().filter(is_in_circle).map(group).collect()
}

/// A file of the source.
struct File {
    path: PathBuf,
    module: Module,
    /// Without comments, strings and tests.
    code: String,
}

struct Source {
    files: Vec<File>,
    modules: BTreeSet<Module>,
    /// What a module hands on: its path, and where it comes from.
    handed_on: BTreeMap<Module, Module>,
}

impl Source {
    fn read() -> Self {
        let mut files = Vec::new();
        collect(Path::new("src"), &mut files);
        let modules = files.iter().map(|file| file.module.clone()).collect();
        let mut source = Self { files, modules, handed_on: BTreeMap::new() };
        let mut handed_on = BTreeMap::new();
        for file in &source.files {
            for Use { segments, name, is_public } in source.uses(file) {
                if let (true, Some(target)) = (is_public, source.absolute(file, &segments)) {
                    handed_on.insert([file.module.clone(), vec![name]].concat(), target);
                }
            }
        }
        source.handed_on = handed_on;
        source
    }

    /// Every path to something in the crate, beside what is only handed on to others: where it stands, and where it leads.
    fn references(&self) -> Vec<(&File, Module)> {
        let mut found = Vec::new();
        for file in self.files.iter().filter(|file| file.module != ["lib"]) {
            let own = |path: &Module| path.starts_with(&file.module);
            for Use { segments, name, is_public } in self.uses(file) {
                if let Some(path) = self.absolute(file, &segments) {
                    let path = self.resolve(path);
                    let is_used_here =
                        || file.code.split(|c| !is_word(c)).filter(|word| *word == name).count() > 1;
                    if !(is_public && own(&path)) || is_used_here() {
                        found.push((file, path));
                    }
                }
            }
        }
        found
    }

    /// Those that have files in them.
    fn directories(&self) -> BTreeSet<Module> {
        let parents = self.modules.iter().filter(|module| module.len() > 1);
        parents.map(|module| module[..module.len() - 1].to_vec()).collect()
    }

    /// Who uses whom of the children of a module; `.` is that module without them.
    fn graph(&self, directory: &Module) -> Graph {
        let child = |module: &[String]| {
            let below = module.strip_prefix(&directory[..])?;
            let child = below
                .first()
                .filter(|name| self.modules.contains(&[&directory[..], &[(*name).clone()]].concat()));
            Some(child.cloned().unwrap_or_else(|| ".".to_owned()))
        };
        let mut graph = Graph::new();
        for (file, path) in self.references() {
            if let (Some(from), Some(to)) = (child(&file.module), child(&path))
                && from != to
            {
                graph.entry(from).or_default().insert(to);
            }
        }
        graph
    }

    /// Follows what is handed on.
    fn resolve(&self, mut path: Module) -> Module {
        for _ in 0..8 {
            let known = (1..=path.len()).rev().find_map(|len| Some((len, self.handed_on.get(&path[..len])?)));
            match known {
                Some((len, target)) if !self.modules.contains(&path[..len]) => {
                    path = [target.clone(), path[len..].to_vec()].concat();
                }
                _ => break,
            }
        }
        path
    }

    /// A path from the crate on; `None` where it leads out of it.
    fn absolute(&self, file: &File, segments: &[String]) -> Option<Module> {
        let mut module = file.module.clone();
        let mut rest = segments;
        match segments.first()?.as_str() {
            "crate" => module.clear(),
            "self" | "super" => {}
            // A child's name alone.
            child if self.modules.contains(&[&module[..], &[child.to_owned()]].concat()) => {
                return Some([&module[..], rest].concat());
            }
            _ => return None,
        }
        while let Some(first) =
            rest.first().filter(|first| ["crate", "self", "super"].contains(&first.as_str()))
        {
            if first == "super" {
                module.pop();
            }
            rest = &rest[1..];
        }
        module.extend(rest.iter().cloned());
        (!module.is_empty()).then_some(module)
    }

    /// The paths of a file, those in braces one by one.
    fn uses(&self, file: &File) -> Vec<Use> {
        let mut found = Vec::new();
        let code = &file.code;
        let mut at = 0;
        while let Some(length) = code[at..].find("::") {
            let before = &code[..at + length];
            let start = before.rfind(|c: char| !is_word(c)).map_or(0, |place| place + 1);
            let statement = &code[code[..start].rfind([';', '}']).map_or(0, |place| place + 1)..start];
            let is_visibility = code[..start].ends_with("(in ");
            let mut end = start;
            let mut paths = Vec::new();
            tree(code, &mut end, Vec::new(), &mut paths);
            if !is_visibility && start < at + length && !code[..start].ends_with(['$', ':']) {
                let statement = statement.rsplit(']').next().unwrap_or_default().trim_start();
                let is_public = statement.starts_with("pub") && statement.trim_end().ends_with("use");
                found.extend(paths.into_iter().map(|(segments, name)| Use { segments, name, is_public }));
            }
            at = end.max(at + length + 2);
        }
        found
    }
}

/// A path in the text.
struct Use {
    segments: Vec<String>,
    /// What it is called here.
    name: String,
    is_public: bool,
}

/// Reads a path, or several with the same beginning, from `at` on.
fn tree(code: &str, at: &mut usize, mut prefix: Vec<String>, found: &mut Vec<(Vec<String>, String)>) {
    let skip = |at: &mut usize| *at += code[*at..].len() - code[*at..].trim_start().len();
    loop {
        skip(at);
        if code[*at..].starts_with('{') {
            *at += 1;
            loop {
                skip(at);
                match code[*at..].chars().next() {
                    Some('}') | None => break *at += 1,
                    Some(',') => *at += 1,
                    Some(_) => {
                        let before = *at;
                        tree(code, at, prefix.clone(), found);
                        *at = (*at).max(before + 1);
                    }
                }
            }
            return;
        }
        let length = code[*at..].find(|c: char| !is_word(c)).unwrap_or(code.len() - *at);
        if length == 0 {
            break;
        }
        prefix.push(code[*at..*at + length].to_owned());
        *at += length;
        if !code[*at..].starts_with("::") {
            break;
        }
        *at += 2;
    }
    if prefix.len() > 1 && prefix.last().is_some_and(|last| last == "self") {
        prefix.pop();
    }
    let alias =
        code[*at..].strip_prefix(" as ").map(|rest| rest.split(|c| !is_word(c)).next().unwrap().to_owned());
    if let Some(name) = alias.or_else(|| prefix.last().cloned()) {
        found.push((prefix, name));
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Reads the files of a directory, but those that are tests.
fn collect(directory: &Path, files: &mut Vec<File>) {
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            collect(&path, files);
        } else if name != "tests" && path.extension().is_some_and(|extension| extension == "rs") {
            let inside = path.strip_prefix("src").unwrap().with_extension("");
            let mut module: Module = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            // none.rs takes the place of mod.rs in some builds.
            if name == "mod" || name == "none" {
                module.pop();
            }
            // What is beside it knows it by this name.
            if module.len() > 1 && module[0] == "sys" && ["unix", "windows"].contains(&module[1].as_str()) {
                module[1] = "platform".to_owned();
            }
            files.push(File { code: code_of(&fs::read_to_string(&path).unwrap()), path, module });
        }
    }
}

/// The text without comments, strings and the module of tests.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("r#\"") {
            rest.find("\"#").map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            string_length(rest)
        } else if first == '\'' {
            let literal =
                rest.char_indices().skip(2).take(8).find(|(_, c)| *c == '\'').map(|(end, _)| end + 1);
            let is_literal = rest[1..].starts_with('\\') || rest.chars().nth(2) == Some('\'');
            literal.filter(|_| is_literal).unwrap_or(1)
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        rest = &rest[skipped..];
    }
    match code.find("#[cfg(test)]\nmod tests {") {
        Some(tests) => code[..tests].to_owned(),
        None => code,
    }
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (place, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return place + 1,
            _ => {}
        }
    }
    text.len()
}

/// How many functions and files each walk of docs/walks.md has, in its order: they are to become fewer.
const WALKS: [(usize, usize); 4] = [(23, 12), (20, 12), (21, 9), (26, 11)];

#[test]
fn functions_that_the_walks_name_exist_and_no_walk_grows() {
    let text = fs::read_to_string("docs/walks.md").unwrap();
    let walks: Vec<_> = text.split("\n## ").skip(1).collect();
    assert_eq!(walks.len(), WALKS.len());
    for (walk, most) in walks.into_iter().zip(WALKS) {
        let title = walk.lines().next().unwrap();
        let (mut functions, mut files) = (0, 0);
        for row in walk.lines().filter(|line| line.starts_with("| `")) {
            let mut columns = row.trim_matches('|').split('|').map(ticked);
            let (file, names) = (columns.next().unwrap().remove(0), columns.next().unwrap());
            let code = fs::read_to_string(&file).unwrap_or_else(|_| panic!("{title}: there is no {file}"));
            for name in &names {
                let is_there = ["(", "<"].iter().any(|then| code.contains(&format!("fn {name}{then}")));
                assert!(is_there, "{title}: there is no function {name} in {file}");
            }
            functions += names.len();
            files += 1;
        }
        assert_eq!((functions, files), most, "{title}");
    }
}

#[test]
fn files_are_short_or_say_why_not() {
    let mut over = Vec::new();
    for file in Source::read().files {
        let text = fs::read_to_string(&file.path).unwrap();
        let lines = text.lines().count();
        assert!(lines <= 700, "{}: {lines} lines", file.path.display());
        if lines > 400 {
            let begins = text.split("\nuse ").next().unwrap();
            assert!(begins.contains("Over 400 lines because"), "{}: {lines} lines", file.path.display());
            over.push(file.path);
        }
    }
    assert!(over.len() <= 6, "{over:?}");
}
