//! Which crate may depend on which, and that versions are in the root manifest alone.

use std::collections::BTreeSet;
use std::path::Path;

use toml::{Table, Value};

use crate::expect_none;
use crate::modules::Modules;
use crate::rust_source::words;
use crate::tree::{crates, files_with, read};

/// A crate of the workspace and what its shipped code may depend on, the lowest level first.
const EDGES: [(&str, u8, &[&str]); 19] = [
    ("emotrain-base", 0, &[]),
    ("emotrain-recipe", 1, &["emotrain-base"]),
    ("emotrain-kernels", 1, &["emotrain-base"]),
    ("emotrain-data", 2, &["emotrain-recipe", "emotrain-base"]),
    ("emotrain-model", 2, &["emotrain-kernels", "emotrain-recipe", "emotrain-base"]),
    ("emotrain-retrieval", 3, &["emotrain-data", "emotrain-kernels", "emotrain-recipe", "emotrain-base"]),
    ("emotrain-curriculum", 3, &["emotrain-data", "emotrain-recipe", "emotrain-base"]),
    ("emotrain-prompt", 3, &["emotrain-data", "emotrain-recipe", "emotrain-base"]),
    ("emotrain-eval", 3, &["emotrain-data", "emotrain-base"]),
    ("emotrain-runs", 4, &["emotrain-eval", "emotrain-data", "emotrain-recipe", "emotrain-base"]),
    (
        "emotrain-hub",
        4,
        &["emotrain-retrieval", "emotrain-prompt", "emotrain-model", "emotrain-recipe", "emotrain-base"],
    ),
    (
        "emotrain-sweep",
        5,
        &["emotrain-runs", "emotrain-eval", "emotrain-data", "emotrain-recipe", "emotrain-base"],
    ),
    (
        "emotrain-train",
        5,
        &[
            "emotrain-runs",
            "emotrain-model",
            "emotrain-prompt",
            "emotrain-curriculum",
            "emotrain-eval",
            "emotrain-data",
            "emotrain-recipe",
            "emotrain-base",
        ],
    ),
    (
        "emotrain-report",
        6,
        &[
            "emotrain-sweep",
            "emotrain-runs",
            "emotrain-eval",
            "emotrain-data",
            "emotrain-recipe",
            "emotrain-base",
        ],
    ),
    (
        "emotrain-ask",
        5,
        &[
            "emotrain-hub",
            "emotrain-retrieval",
            "emotrain-prompt",
            "emotrain-model",
            "emotrain-data",
            "emotrain-recipe",
            "emotrain-base",
        ],
    ),
    (
        "emotrain-export",
        5,
        &[
            "emotrain-runs",
            "emotrain-hub",
            "emotrain-prompt",
            "emotrain-model",
            "emotrain-recipe",
            "emotrain-base",
        ],
    ),
    (
        "emotrain-prepare",
        6,
        &[
            "emotrain-train",
            "emotrain-runs",
            "emotrain-hub",
            "emotrain-retrieval",
            "emotrain-curriculum",
            "emotrain-prompt",
            "emotrain-model",
            "emotrain-data",
            "emotrain-recipe",
            "emotrain-base",
        ],
    ),
    (
        "emotrain-verify",
        7,
        &[
            "emotrain-ask",
            "emotrain-export",
            "emotrain-prepare",
            "emotrain-train",
            "emotrain-eval",
            "emotrain-hub",
            "emotrain-prompt",
            "emotrain-model",
            "emotrain-data",
            "emotrain-recipe",
            "emotrain-base",
        ],
    ),
    (
        "emotrain",
        8,
        &[
            "emotrain-verify",
            "emotrain-ask",
            "emotrain-export",
            "emotrain-prepare",
            "emotrain-hub",
            "emotrain-train",
            "emotrain-report",
            "emotrain-sweep",
            "emotrain-runs",
            "emotrain-retrieval",
            "emotrain-curriculum",
            "emotrain-prompt",
            "emotrain-eval",
            "emotrain-model",
            "emotrain-data",
            "emotrain-recipe",
            "emotrain-base",
        ],
    ),
];
/// The crates that name burn.
const WITH_BURN: [&str; 3] = ["emotrain-model", "emotrain-train", "emotrain"];
/// Those that do not, but are built on one that does.
const ABOVE_BURN: [&str; 5] =
    ["emotrain-hub", "emotrain-ask", "emotrain-export", "emotrain-prepare", "emotrain-verify"];

/// The manifest of a crate under `crates/`.
struct Manifest {
    name: String,
    table: Table,
}

impl Manifest {
    fn all() -> Vec<Self> {
        crates().iter().map(|folder| Self::read(&folder.join("Cargo.toml"))).collect()
    }

    fn read(file: &Path) -> Self {
        let table = parsed(file);
        let name = table["package"]["name"].as_str().expect("a package has a name").to_owned();
        Self { name, table }
    }

    /// The tables of dependencies, including platform-specific ones, with their kinds.
    fn dependencies(&self) -> Vec<(&'static str, &Table)> {
        let platforms =
            self.table.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
        let tables = platforms.filter_map(Value::as_table).chain([&self.table]);
        let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
        let of_kind =
            |table, kind| Table::get(table, kind).and_then(Value::as_table).map(|found| (kind, found));
        tables.flat_map(|table| kinds.into_iter().filter_map(move |kind| of_kind(table, kind))).collect()
    }

    /// The names of dependencies that `wanted` selects by kind.
    fn names(&self, wanted: impl Fn(&str) -> bool) -> BTreeSet<&str> {
        let tables = self.dependencies().into_iter().filter(|(kind, _)| wanted(kind));
        tables.flat_map(|(_, table)| table.keys().map(String::as_str)).collect()
    }
}

fn parsed(file: &Path) -> Table {
    read(file).parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn ours(name: &str) -> bool {
    name == "emotrain" || name.starts_with("emotrain-")
}

fn level(name: &str) -> u8 {
    EDGES.iter().find(|(known, ..)| *known == name).map_or(u8::MAX, |(_, level, _)| *level)
}

#[test]
fn crates_import_only_what_they_may() {
    let mut violations = Vec::new();
    for manifest in Manifest::all() {
        let name = manifest.name.as_str();
        let Some((_, _, allowed)) = EDGES.iter().find(|(known, ..)| *known == name) else {
            violations.push(format!("{name}: has no place in the table of tests/tidy/manifests.rs"));
            continue;
        };
        let ships = manifest.names(|kind| kind != "dev-dependencies");
        let wrong = ships.into_iter().filter(|other| ours(other) && !allowed.contains(other));
        violations.extend(wrong.map(|other| format!("{name} imports {other}")));
        let tests = manifest.names(|kind| kind == "dev-dependencies");
        let wrong = tests.into_iter().filter(|other| ours(other) && level(other) >= level(name));
        violations.extend(wrong.map(|other| format!("{name} imports {other} in its tests")));
    }
    expect_none("crates import only those below them", &violations);
}

#[test]
fn only_three_crates_name_burn() {
    let mut violations = Vec::new();
    for folder in crates() {
        let manifest = Manifest::read(&folder.join("Cargo.toml"));
        let name = manifest.name.as_str();
        if WITH_BURN.contains(&name) {
            continue;
        }
        let compiles_burn = |other: &str| WITH_BURN.contains(&other) || ABOVE_BURN.contains(&other);
        let may_compile_it = ABOVE_BURN.contains(&name);
        let wrong = |other: &&str| other.starts_with("burn") || !may_compile_it && compiles_burn(other);
        let wrong = manifest.names(|_| true).into_iter().filter(wrong);
        violations.extend(wrong.map(|other| format!("{name} depends on {other}")));
        for (file, source) in Modules::of(&folder).shipped {
            violations.extend(words(&source.code, "burn").map(|_| format!("{} names burn", file.display())));
        }
    }
    expect_none(
        "only emotrain-model, emotrain-train and emotrain name burn, and only what is built on them compiles it",
        &violations,
    );
}

#[test]
fn versions_stand_once() {
    let inherited = |value: &Value| value.get("workspace").and_then(Value::as_bool) == Some(true);
    let mut violations = Vec::new();
    for file in files_with("toml").into_iter().filter(|file| file.ends_with("Cargo.toml")) {
        let manifest = parsed(&file);
        let Some(package) = manifest.get("package") else { continue };
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            if !package.get(key).is_some_and(inherited) {
                violations.push(format!("{}: package.{key} is not the workspace's", file.display()));
            }
        }
        if !manifest.get("lints").is_some_and(inherited) {
            violations.push(format!("{}: lints are not the workspace's", file.display()));
        }
        for (kind, table) in Manifest::read(&file).dependencies() {
            let own = table.iter().filter(|(_, value)| !inherited(value) || value.get("version").is_some());
            violations.extend(
                own.map(|(name, _)| format!("{}: {kind}.{name} has a source of its own", file.display())),
            );
        }
    }
    expect_none("versions are in the root manifest alone", &violations);
}

#[test]
fn every_dependency_is_used() {
    let mut violations = Vec::new();
    let mut declared = BTreeSet::from(["emotrain".to_owned()]);
    for file in files_with("toml").into_iter().filter(|file| file.ends_with("Cargo.toml")) {
        let folder = file.parent().expect("a file has a folder").to_path_buf();
        let manifest = parsed(&file);
        if !manifest.contains_key("package") {
            continue;
        }
        let manifest = Manifest::read(&file);
        let sources = files_with("rs").into_iter().filter(|source| source.starts_with(&folder));
        let text: String = sources.map(|source| read(&source)).collect();
        for name in manifest.names(|_| true) {
            declared.insert(name.to_owned());
            if words(&text, &name.replace('-', "_")).next().is_none() {
                violations.push(format!("{}: {name}", file.display()));
            }
        }
    }
    let workspace = parsed(Path::new("Cargo.toml"));
    let listed = workspace["workspace"]["dependencies"].as_table().expect("the root lists dependencies");
    violations.extend(
        listed.keys().filter(|name| !declared.contains(*name)).map(|name| format!("Cargo.toml: {name}")),
    );
    expect_none("every dependency is used", &violations);
}
