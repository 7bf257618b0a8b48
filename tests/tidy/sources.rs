//! What Rust files may contain.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::expect_none;
use crate::modules::Modules;
use crate::rust_source::{RustSource, bracketed, line, words};
use crate::tree::{crates, files, files_with, read};

/// The maximum number of lines of a source file.
const MOST_LINES: usize = 400;
/// The files that use `cfg(feature)`: devices, and GPU kernels.
const FEATURES: [&str; 2] =
    ["crates/emotrain-model/src/device.rs", "crates/emotrain-model/src/kernels/fused.rs"];
/// The files that step outside what the compiler or cubecl promises, by the word for it.
const DOORS: [(&str, &[&str]); 2] = [
    ("cubecl_server", &["crates/emotrain-model/src/device/cuda/door.rs"]),
    (
        "unsafe",
        &[
            "crates/emotrain-kernels/src/fresh.rs",
            "crates/emotrain-kernels/src/memory.rs",
            "crates/emotrain-kernels/src/product/bf16/amx.rs",
            "crates/emotrain-kernels/src/product/bf16/x86.rs",
            "crates/emotrain-kernels/src/product/dense.rs",
            "crates/emotrain-model/src/device/cuda.rs",
            "crates/emotrain-model/src/device/cuda/library.rs",
            "crates/emotrain-model/src/device/recorded.rs",
            "crates/emotrain-retrieval/src/mapped.rs",
            "crates/emotrain-retrieval/src/search/graph.rs",
        ],
    ),
];
/// The one table of emotions.
const LABELS: &str = "crates/emotrain-data/src/label.rs";
/// The one file that reads the environment.
const ENVIRONMENT: &str = "crates/emotrain/src/env.rs";
/// The crate that reads files.
const BASE: &str = "crates/emotrain-base";
/// The program: the only crate that may print and read the clock.
const PROGRAM: &str = "crates/emotrain";
/// Crates that wait for servers, and so may measure how long.
const WAITING: [&str; 2] = ["crates/emotrain-hub", "crates/emotrain-ask"];

const PRINTING: [&str; 7] = ["println!", "print!", "eprintln!", "eprint!", "dbg!", "stdout", "stderr"];
const CLOCKS: [&str; 2] = ["SystemTime", "UNIX_EPOCH"];
const STOPWATCHES: [&str; 2] = ["Instant::now", "elapsed"];
const WHOLE_FILES: [&str; 4] = ["fs_err::read", "fs_err::read_to_string", "fs::read", "fs::read_to_string"];
const RANDOM: [&str; 6] = ["thread_rng", "rand::rng", "rand::random", "from_os_rng", "from_entropy", "OsRng"];
const VARIABLES: [&str; 8] = [
    "env::var",
    "env::var_os",
    "env::vars",
    "env::vars_os",
    "env::args",
    "env::temp_dir",
    "env::current_dir",
    "env::home_dir",
];

#[test]
fn files_are_short() {
    let lines = |file: &PathBuf| read(file).lines().count();
    let long = files_with("rs")
        .into_iter()
        .map(|file| (lines(&file), file))
        .filter(|(lines, _)| *lines > MOST_LINES);
    let violations: Vec<String> = long.map(|(lines, file)| format!("{}: {lines}", file.display())).collect();
    expect_none("a Rust file has at most 400 lines", &violations);
}

#[test]
fn two_files_know_the_features() {
    let found: Vec<String> =
        files_with("rs").into_iter().filter(|file| asks_for_a_feature(file)).map(|f| shown(&f)).collect();
    assert_eq!(found, FEATURES, "files with cfg(feature): ask emotrain_model::device::compiled() instead");
}

#[test]
fn few_files_call_c_or_open_cubecl() {
    for (word, doors) in DOORS {
        let named = |file: &PathBuf| words(&RustSource::of(file).code, word).next().is_some();
        let found: BTreeSet<String> =
            files_with("rs").iter().filter(|file| named(file)).map(|f| shown(f)).collect();
        assert_eq!(found, doors.iter().map(|&door| door.to_owned()).collect(), "files with `{word}`");
    }
}

fn asks_for_a_feature(file: &Path) -> bool {
    let code = RustSource::of(file).code;
    ["cfg", "cfg!", "cfg_attr"].into_iter().any(|word| {
        words(&code, word).any(|at| {
            let condition = code[at + word.len()..].trim_start();
            condition.starts_with('(')
                && words(&condition[..bracketed(condition)], "feature").next().is_some()
        })
    })
}

#[test]
fn one_table_names_the_labels() {
    let mut sources: Vec<(PathBuf, RustSource)> =
        crates().iter().flat_map(|folder| Modules::of(folder).shipped).collect();
    let table =
        sources.iter().position(|(file, _)| file == Path::new(LABELS)).expect("there is a label table");
    let (_, table) = sources.swap_remove(table);
    let is_word = |text: &str| text.len() > 2 && text.chars().all(|c| c == '_' || c.is_ascii_lowercase());
    let emotions: BTreeSet<String> =
        table.strings.into_iter().map(|(_, text)| text).filter(|t| is_word(t)).collect();
    assert!(emotions.contains("neutral"), "{LABELS} names no emotions: {emotions:?}");
    let mut violations = Vec::new();
    for (file, source) in sources {
        let named = source.strings.iter().filter(|(_, text)| emotions.contains(text));
        violations.extend(
            named.map(|(at, text)| format!("{}:{}: {text:?}", file.display(), line(&source.code, *at))),
        );
    }
    expect_none("only the label table names emotions", &violations);
}

#[test]
fn libraries_keep_to_themselves() {
    let mut violations = Vec::new();
    for folder in crates().iter().filter(|folder| *folder != Path::new(PROGRAM)) {
        let waits = WAITING.iter().any(|waiting| folder == Path::new(waiting));
        let stopwatches = if waits { &[][..] } else { &STOPWATCHES };
        for (file, source) in Modules::of(folder).shipped {
            let forbidden = [&PRINTING[..], &CLOCKS, stopwatches, &RANDOM, &VARIABLES].concat();
            violations.extend(uses(&file, &source.code, &forbidden));
        }
    }
    expect_none(
        "libraries print nothing and read no environment, clock or global random generator",
        &violations,
    );
}

#[test]
fn every_file_is_read_with_a_limit() {
    let mut violations = Vec::new();
    for folder in crates().iter().filter(|folder| *folder != Path::new(BASE)) {
        for (file, source) in Modules::of(folder).shipped {
            violations.extend(uses(&file, &source.code, &WHOLE_FILES));
        }
    }
    expect_none("files are read by emotrain_base::read and read_to_string, with a limit", &violations);
}

#[test]
fn one_file_of_the_program_reads_the_environment() {
    let mut sources = Modules::of(Path::new(PROGRAM)).shipped;
    sources.remove(Path::new(ENVIRONMENT));
    let violations: Vec<String> = sources
        .iter()
        .flat_map(|(file, source)| uses(file, &source.code, &[&VARIABLES[..4], &RANDOM].concat()))
        .collect();
    expect_none(
        "the environment is read in crates/emotrain/src/env.rs, and nothing draws from a global generator",
        &violations,
    );
}

#[test]
fn nothing_is_left_open() {
    let mut violations = Vec::new();
    for file in files_with("rs") {
        violations.extend(uses(&file, &RustSource::of(&file).code, &["todo!", "unimplemented!", "#[ignore"]));
    }
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    for file in files().into_iter().filter(|file| is_written_by_hand(file)) {
        violations.extend(uses(&file, &read(&file), &marks));
    }
    expect_none("no stubs, no ignored tests, no notes of open work", &violations);
}

fn is_written_by_hand(file: &Path) -> bool {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    file.ends_with(".ci/run") || ["rs", "md", "toml", "sh", "py", "jinja"].contains(&extension)
}

fn uses(file: &Path, code: &str, forbidden: &[&str]) -> Vec<String> {
    let found = forbidden.iter().flat_map(|word| words(code, word).map(move |at| (at, word)));
    found.map(|(at, word)| format!("{}:{}: {word}", file.display(), line(code, at))).collect()
}

fn shown(file: &Path) -> String {
    file.to_string_lossy().into_owned()
}
