//! Type names that two crates export.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::expect_none;
use crate::rust_source::{RustSource, leaves, uses};
use crate::tree::{crates, root};

/// The types that a crate's root exports.
fn offered(folder: &Path) -> BTreeSet<String> {
    let file = folder.join("src/lib.rs");
    if !root().join(&file).is_file() {
        return BTreeSet::new();
    }
    let code = RustSource::of(&file).split_tests().0.code;
    let names = uses(&code).filter(|(is_public, _)| *is_public).flat_map(|(_, tree)| leaves(tree));
    let names = names.filter_map(|path| path.rsplit("::").next().map(str::to_owned));
    let is_type =
        |name: &String| name.starts_with(char::is_uppercase) && name.contains(|c: char| c.is_lowercase());
    names.filter(is_type).collect()
}

#[test]
fn a_type_name_means_one_thing() {
    let mut crates_by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for folder in crates() {
        for name in offered(&folder) {
            crates_by_name.entry(name).or_default().push(folder.display().to_string());
        }
    }
    assert!(crates_by_name.contains_key("CausalLm"), "the crates offer no types");
    let several = crates_by_name.into_iter().filter(|(_, crates)| crates.len() > 1);
    let violations: Vec<String> =
        several.map(|(name, crates)| format!("{name}: {}", crates.join(", "))).collect();
    expect_none("no two crates export a type of the same name", &violations);
}
