//! The `[[knowledge]]` tables of all layers, joined by name.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::{Entry, Home, Merged};
use crate::overrides::Override;
use crate::problem::{Fault, Findings, Origin, Position};
use crate::raw::{RawKey, RawSection, RawValue};
use crate::section::{KNOWLEDGE, refused_name};
use crate::suggest::{did_you_mean, nearest, quoted};

/// The key that identifies a source.
const NAME: &str = "name";
const PATH: &str = "path";

impl Merged {
    /// Merges the sources of a recipe into those of the recipes below it: a source with a known name changes that one,
    /// others are appended.
    pub(super) fn lay_sources(
        &mut self,
        sources: Vec<RawSection>,
        origin: impl Fn(Position) -> Origin,
        findings: &mut Findings,
    ) {
        let mut seen = BTreeMap::new();
        for source in sources {
            let name = match named(&source) {
                Ok(Some(name)) => name,
                Ok(None) => continue,
                Err((at, fault)) => {
                    findings.add(origin(at), Some("knowledge.name"), fault);
                    continue;
                }
            };
            if let Some(first) = seen.insert(name.clone(), source.at.line) {
                let fault = Fault::new(format!(
                    "the knowledge source {name:?} is defined twice, first on line {first}"
                ));
                let fault = fault.hint("give each source its own name");
                findings.add(origin(source.at), Some("knowledge.name"), fault);
                continue;
            }
            let home = self.source(&name);
            self.headers.insert(home.path.clone(), origin(source.at));
            source.keys.into_iter().for_each(|key| self.write(&home, key, &origin, findings));
        }
    }

    /// Applies a `--set` about sources.
    ///
    /// # Errors
    ///
    /// If there is no source with its name.
    pub(super) fn override_source(&mut self, set: Override) -> Result<(), Fault> {
        if set.path == KNOWLEDGE.name {
            self.sources.clear();
            return Ok(());
        }
        let name = set.path.split('.').nth(1).unwrap_or_default();
        if !self.sources.iter().any(|source| source == name) {
            let known: Vec<_> = self.sources.iter().map(String::as_str).collect();
            let hint = did_you_mean(&nearest(name, known.iter().copied())).unwrap_or_else(|| {
                if known.is_empty() {
                    "the recipe has none: write [[knowledge]] in the recipe".to_owned()
                } else {
                    format!("the recipe has {}", quoted(&known))
                }
            });
            return Err(Fault::new(format!("the recipe has no knowledge source {name:?}")).hint(hint));
        }
        self.entries.insert(set.path, Entry::new(set.value, Origin::Override));
        Ok(())
    }

    /// The index of a source among the entries; a new one has the defaults.
    fn source(&mut self, name: &str) -> Home {
        let home = Home::source(name);
        if !self.sources.iter().any(|source| source == name) {
            self.sources.push(name.to_owned());
            for key in KNOWLEDGE.keys {
                let default = self.prototype.get(key.name).cloned();
                let default = default.map(|value| Entry::new(value, Origin::Default));
                self.entries.extend(default.map(|entry| (format!("{}.{}", home.path, key.name), entry)));
            }
        }
        home
    }

    /// The defaults of a source's keys.
    pub(crate) fn source_defaults(&self) -> Table {
        self.prototype.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    }

    /// The sources as one list of tables.
    pub(super) fn source_tables(&self) -> Value {
        let table = |name: &String| {
            let home = Home::source(name);
            let entry =
                |key: &str| self.entries.get(&format!("{}.{key}", home.path)).map(|e| e.value.clone());
            let keys = KNOWLEDGE.keys.iter().filter_map(|key| Some((key.name.to_owned(), entry(key.name)?)));
            Value::Table(keys.collect::<Table>())
        };
        Value::Array(self.sources.iter().map(table).collect())
    }
}

/// The name of a source; `None` if the table defines none, like that of `recipes/default.toml`.
fn named(source: &RawSection) -> Result<Option<String>, (Position, Fault)> {
    let find = |name: &str| source.keys.iter().find(|key| key.name == name);
    let Some(key) = find(NAME) else {
        let fault = Fault::new(format!("this {} has no name", KNOWLEDGE.header()));
        return Err((source.at, fault.hint(format!("write {NAME} = \"…\" below it"))));
    };
    let RawValue::Plain(Value::String(name)) = &key.value else {
        let fault = Fault::new(format!("the name of a knowledge source must be text{}", of(key)));
        return Err((key.value_at, fault));
    };
    let is_blank =
        |key: &RawKey| matches!(&key.value, RawValue::Plain(Value::String(text)) if text.is_empty());
    if name.is_empty() {
        if find(PATH).is_none_or(is_blank) {
            return Ok(None);
        }
        let fault = Fault::new("a knowledge source with a path needs a name");
        return Err((key.value_at, fault.hint("templates show it by its name")));
    }
    match refused_name(name) {
        Some(fault) => Err((key.value_at, fault)),
        None => Ok(Some(name.clone())),
    }
}

fn of(key: &RawKey) -> &'static str {
    if matches!(key.value, RawValue::Damaged) { ", and this line is not TOML" } else { "" }
}
