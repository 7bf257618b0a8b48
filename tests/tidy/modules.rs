//! Which files of a crate are compiled into it, and which only into its tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::expect_none;
use crate::rust_source::{RustSource, words};
use crate::tree::{crates, files_with, root};

/// The source files of a crate.
#[derive(Default)]
pub(crate) struct Modules {
    /// Shipped sources, by file, without tests.
    pub(crate) shipped: BTreeMap<PathBuf, RustSource>,
    /// Files that only tests compile.
    tests: Vec<PathBuf>,
    /// Declared modules without a file.
    missing: Vec<String>,
}

impl Modules {
    /// Follows the `mod` lines of the crate in `folder`.
    pub(crate) fn of(folder: &Path) -> Self {
        let mut modules = Self::default();
        for crate_root in ["src/lib.rs", "src/main.rs"].map(|file| folder.join(file)) {
            if root().join(&crate_root).is_file() {
                modules.follow(crate_root, false);
            }
        }
        modules
    }

    fn follow(&mut self, file: PathBuf, only_tests: bool) {
        let (shipped, tests) = RustSource::of(&file).split_tests();
        for (code, only_tests) in [(&shipped.code, only_tests), (&tests, true)] {
            for module in declared(code) {
                match place(&file, module) {
                    Some(child) => self.follow(child, only_tests),
                    None => self.missing.push(format!("{}: mod {module}", file.display())),
                }
            }
        }
        if only_tests {
            self.tests.push(file);
        } else {
            self.shipped.insert(file, shipped);
        }
    }
}

/// The modules that `code` declares with a semicolon.
fn declared(code: &str) -> impl Iterator<Item = &str> {
    words(code, "mod").filter_map(|at| {
        let rest = code[at + "mod".len()..].trim_start();
        let (name, after) = rest.split_at(rest.find(|c: char| c != '_' && !c.is_alphanumeric())?);
        after.trim_start().starts_with(';').then_some(name)
    })
}

/// The file of the module `name` that `parent` declares.
fn place(parent: &Path, name: &str) -> Option<PathBuf> {
    let folder = parent.parent()?;
    let stem = parent.file_stem()?.to_str()?;
    let folder =
        if ["lib", "main", "mod"].contains(&stem) { folder.to_path_buf() } else { folder.join(stem) };
    let candidates = [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")];
    candidates.into_iter().find(|file| root().join(file).is_file())
}

#[test]
fn every_source_file_is_compiled() {
    let mut violations = Vec::new();
    for folder in crates() {
        let modules = Modules::of(&folder);
        let known = |file: &PathBuf| modules.shipped.contains_key(file) || modules.tests.contains(file);
        let ours = files_with("rs").into_iter().filter(|file| file.starts_with(folder.join("src")));
        violations.extend(modules.missing.iter().map(|module| format!("{module} has no file")));
        violations
            .extend(ours.filter(|file| !known(file)).map(|file| format!("{}: no mod line", file.display())));
    }
    expect_none("every file under src/ belongs to a module", &violations);
}
