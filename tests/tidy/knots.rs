//! Import cycles between sibling modules.
//!
//! Two sibling modules are in a cycle if each reaches the other through imports, where a submodule's imports count as
//! its parent's. A module and its submodules may import each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::expect_none;
use crate::modules::Modules;
use crate::rust_source::{leaves, uses, words};
use crate::tree::crates;

type Names = Vec<String>;

/// The modules of a crate by path, and what each re-exports.
struct Crate {
    code: BTreeMap<Names, String>,
    exports: BTreeMap<Names, BTreeMap<String, Names>>,
}

impl Crate {
    fn of(folder: &Path) -> Self {
        let modules = Modules::of(folder);
        let code: BTreeMap<Names, String> = modules
            .shipped
            .into_iter()
            .filter_map(|(file, source)| {
                Some((module(file.strip_prefix(folder.join("src")).ok()?), source.code))
            })
            .collect();
        let mut this = Self { code, exports: BTreeMap::new() };
        for (path, code) in this.code.clone() {
            for (is_public, tree) in uses(&code) {
                let targets = leaves(tree).into_iter().filter_map(|leaf| this.absolute(&path, &leaf));
                let targets: Vec<Names> = targets.filter(|_| is_public).collect();
                let exports = this.exports.entry(path.clone()).or_default();
                exports
                    .extend(targets.into_iter().filter_map(|target| Some((target.last()?.clone(), target))));
            }
        }
        this
    }

    /// A path relative to the crate's root; `None` for one outside of the crate.
    fn absolute(&self, from: &[String], path: &str) -> Option<Names> {
        let parts: Names = path.split("::").map(|part| part.trim().to_owned()).collect();
        let first = parts.first()?.as_str();
        let ups = parts.iter().take_while(|part| *part == "super").count();
        match first {
            "crate" => Some(parts[1..].to_vec()),
            "self" => Some([from, &parts[1..]].concat()),
            "super" => Some([&from[..from.len().checked_sub(ups)?], &parts[ups..]].concat()),
            _ => self.code.contains_key(&[from, &parts[..1]].concat()).then(|| [from, &parts].concat()),
        }
    }

    /// The module that defines an item, whichever re-exports it.
    fn home(&self, path: &[String]) -> Option<Names> {
        let depth = (0..=path.len()).rev().find(|depth| self.code.contains_key(&path[..*depth]))?;
        let (module, rest) = path.split_at(depth);
        let passed_on = rest.first().and_then(|name| self.exports.get(module)?.get(name));
        match passed_on {
            Some(target) if target.as_slice() != path => self.home(&[target, &rest[1..]].concat()),
            _ => Some(module.to_vec()),
        }
    }

    /// Which sibling modules import which, by their parent.
    fn edges(&self) -> BTreeMap<Names, BTreeMap<String, BTreeSet<String>>> {
        let mut edges: BTreeMap<Names, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for (from, code) in &self.code {
            let imported = uses(code).flat_map(|(_, tree)| leaves(tree));
            for path in imported.chain(paths(code)) {
                let Some(to) = self.absolute(from, &path).and_then(|path| self.home(&path)) else { continue };
                let shared = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
                if shared < from.len().min(to.len()) {
                    let around = edges.entry(from[..shared].to_vec()).or_default();
                    around.entry(from[shared].clone()).or_default().insert(to[shared].clone());
                }
            }
        }
        edges
    }
}

/// `config/rope.rs` is `config::rope`.
fn module(file: &Path) -> Names {
    let names =
        file.with_extension("").iter().map(|name| name.to_string_lossy().into_owned()).collect::<Names>();
    names.into_iter().filter(|name| !["lib", "main", "mod"].contains(&name.as_str())).collect()
}

/// Paths in code that start at the crate or above.
fn paths(code: &str) -> impl Iterator<Item = String> {
    ["crate", "super", "self"].into_iter().flat_map(move |word| words(code, word)).filter_map(|at| {
        let rest = &code[at..];
        let end = rest.find(|c: char| c != '_' && c != ':' && !c.is_alphanumeric()).unwrap_or(rest.len());
        let path = rest[..end].trim_end_matches(':');
        path.contains("::").then(|| path.to_owned())
    })
}

/// The modules in cycles, grouped.
fn knots(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let reach = |start: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![start]);
        while let Some(module) = next.pop() {
            for to in edges.get(module).into_iter().flatten() {
                if seen.insert(to) {
                    next.push(to);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        edges.keys().map(|from| (from, reach(from))).collect();
    let tied = |one: &String, other: &String| reached[one].contains(other) && reached[other].contains(one);
    let groups: BTreeSet<Vec<&str>> = reached
        .keys()
        .filter(|one| reached[*one].contains(**one))
        .map(|one| reached.keys().filter(|other| tied(one, other)).map(|name| name.as_str()).collect())
        .collect();
    groups.into_iter().map(|group| group.join(" ⇄ ")).collect()
}

#[test]
fn no_two_modules_import_each_other() {
    let mut violations = Vec::new();
    for folder in crates() {
        for (around, edges) in Crate::of(&folder).edges() {
            let place = folder.join("src").join(around.join("/"));
            violations.extend(knots(&edges).into_iter().map(|knot| format!("{}: {knot}", place.display())));
        }
    }
    expect_none("no import cycles between sibling modules", &violations);
}

#[test]
fn a_tree_of_imports_has_its_paths() {
    let tree = "crate::{a::{self, b}, c as d,\n    e::f,\n}";
    assert_eq!(leaves(tree), ["crate::a::self", "crate::a::b", "crate::c", "crate::e::f"]);
    assert_eq!(
        paths("x(crate::a::B::new(), super::c)").collect::<Vec<_>>(),
        ["crate::a::B::new", "super::c"]
    );
}

#[test]
fn a_knot_is_told_with_all_who_are_tied() {
    let edges = [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"), ("e", "f")];
    let mut map: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in edges {
        map.entry(from.to_owned()).or_default().insert(to.to_owned());
    }
    assert_eq!(knots(&map), ["a ⇄ b ⇄ c"]);
}
