//! The rules of this repository that a machine can check; `crates/README.md` lists them.
//!
//! Each test gathers everything that breaks its rule and fails with the list. The files checked are those that
//! git tracks or would track, so that runs, caches and builds do not matter.

mod documents;
mod knots;
mod layout;
mod manifests;
mod modules;
mod names;
mod parameters;
mod rust_source;
mod sources;
mod tree;
mod unused;

/// Fails with the list of what breaks a rule.
#[track_caller]
fn expect_none(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}:\n  {}", violations.join("\n  "));
}
