//! Defaults, file and overrides laid over each other, each value with where it came from.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use crate::overrides::{self, Override};
use crate::problem::{Fault, Findings, Origin, Position};
use crate::raw::{RawKey, RawRecipe, RawValue};
use crate::unknown::Unknown;
use crate::vocabulary::{Key, SECTIONS, Section};
use crate::{DEFAULT_TOML, unknown, values};

/// The value of every key of the vocabulary.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// By `section.key`.
    entries: BTreeMap<String, Entry>,
    /// Where the sections stand in the file.
    headers: BTreeMap<&'static str, Position>,
    /// Keys that an unknown name was probably meant to be.
    meant: BTreeSet<String>,
}

/// The value of one key.
#[derive(Clone, Debug)]
struct Entry {
    value: Value,
    origin: Origin,
    elements_at: Vec<Position>,
    /// A problem with it has been reported; `value` is the default instead.
    broken: bool,
}

impl Entry {
    fn new(value: Value, origin: Origin) -> Self {
        Self { value, origin, elements_at: Vec::new(), broken: false }
    }
}

impl Merged {
    /// The values of `recipes/default.toml` alone.
    ///
    /// # Panics
    ///
    /// When the embedded file is not TOML or lacks a key, which the tests exclude.
    pub(crate) fn defaults() -> Self {
        let raw = RawRecipe::parse(DEFAULT_TOML);
        let mut entries = BTreeMap::new();
        for (section, key) in vocabulary() {
            let written =
                raw.section(section.name).and_then(|raw| raw.keys.iter().find(|k| k.name == key.name));
            let Some(RawValue::Plain(value)) = written.map(|written| &written.value) else {
                panic!("default.toml lacks {}.{}", section.name, key.name);
            };
            let entry = Entry::new(value.clone(), Origin::Default);
            entries.insert(format!("{}.{}", section.name, key.name), entry);
        }
        Self { entries, headers: BTreeMap::new(), meant: BTreeSet::new() }
    }

    /// Lays `file` and then `overrides` over the defaults and checks every value by itself; a bad
    /// one is reported and the default put back.
    pub(crate) fn new(file: RawRecipe, overrides: &[String], findings: &mut Findings) -> Self {
        let defaults = Self::defaults();
        let mut merged = Self { entries: defaults.entries.clone(), ..Self::default() };
        for stray in file.strays {
            merged.refuse(Origin::File(stray.at), &stray.name, unknown::stray(&stray.name), findings);
        }
        for raw in file.sections {
            match Section::find(&raw.name) {
                Some(section) => {
                    merged.headers.insert(section.name, raw.at);
                    raw.keys.into_iter().for_each(|key| merged.write(section, key, findings));
                }
                None => merged.refuse(Origin::File(raw.at), &raw.name, unknown::section(&raw.name), findings),
            }
        }
        for argument in overrides {
            match overrides::parse(argument) {
                Ok(Override { path, value }) => {
                    merged.entries.insert(path, Entry::new(value, Origin::Override));
                }
                Err(unknown) => {
                    let path = argument.split('=').next().unwrap_or_default().trim();
                    merged.refuse(Origin::Override, path, unknown, findings);
                }
            }
        }
        for (section, key) in vocabulary() {
            merged.check(section, key, &defaults, findings);
        }
        merged
    }

    fn refuse(&mut self, origin: Origin, path: &str, unknown: Unknown, findings: &mut Findings) {
        self.meant.extend(unknown.meant);
        findings.add(origin, Some(path), unknown.fault);
    }

    fn write(&mut self, section: &'static Section, raw: RawKey, findings: &mut Findings) {
        let path = format!("{}.{}", section.name, raw.name);
        let origin = Origin::File(raw.value_at);
        let Some(entry) = self.entries.get_mut(&path) else {
            let unknown = unknown::key(section, &raw.name);
            return self.refuse(Origin::File(raw.at), &path, unknown, findings);
        };
        match raw.value {
            RawValue::Plain(value) => {
                *entry = Entry { elements_at: raw.elements_at, ..Entry::new(value, origin) };
            }
            RawValue::Unfit(fault) => {
                entry.broken = true;
                let fault = Fault { message: format!("{path}: {}", fault.message), ..fault };
                findings.add(origin, Some(&path), fault);
            }
            RawValue::Damaged => entry.broken = true,
        }
    }

    fn check(&mut self, section: &Section, key: &Key, defaults: &Self, findings: &mut Findings) {
        let path = format!("{}.{}", section.name, key.name);
        let (Some(entry), Some(default)) = (self.entries.get_mut(&path), defaults.entries.get(&path)) else {
            return;
        };
        if entry.origin == Origin::Default {
            return;
        }
        let faults = values::check(section.name, key, &entry.value);
        entry.broken = !faults.is_empty();
        for bad in faults {
            let element = bad.element.and_then(|index| entry.elements_at.get(index));
            let origin = element.map_or(entry.origin, |&at| Origin::File(at));
            findings.add(origin, Some(&path), bad.fault);
        }
        if entry.broken {
            entry.value.clone_from(&default.value);
        }
    }

    /// Whether the value of `path` (`section.key`) passed its check, and nothing else was probably
    /// meant to be it.
    pub(crate) fn is_sound(&self, path: &str) -> bool {
        !self.meant.contains(path) && self.entries.get(path).is_some_and(|entry| !entry.broken)
    }

    /// Where the value of `path` (`section.key`) came from.
    pub(crate) fn origin(&self, path: &str) -> Origin {
        self.entries.get(path).map_or(Origin::Default, |entry| entry.origin)
    }

    /// Where the section stands in the file.
    pub(crate) fn header(&self, section: &str) -> Origin {
        self.headers.get(section).map_or(Origin::Default, |&at| Origin::File(at))
    }

    /// The value of `path` (`section.key`).
    pub(crate) fn value_mut(&mut self, path: &str) -> Option<&mut Value> {
        self.entries.get_mut(path).map(|entry| &mut entry.value)
    }

    /// The value of `path` (`section.key`).
    pub(crate) fn value(&self, path: &str) -> Option<&Value> {
        self.entries.get(path).map(|entry| &entry.value)
    }

    /// All values as one document, sections and keys in the order of the vocabulary.
    pub(crate) fn table(&self) -> Table {
        let mut document = Table::new();
        for section in SECTIONS {
            let mut table = Table::new();
            for key in section.keys {
                let entry = self.entries.get(&format!("{}.{}", section.name, key.name));
                if let Some(entry) = entry {
                    table.insert(key.name.to_owned(), entry.value.clone());
                }
            }
            document.insert(section.name.to_owned(), Value::Table(table));
        }
        document
    }
}

fn vocabulary() -> impl Iterator<Item = (&'static Section, &'static Key)> {
    SECTIONS.iter().flat_map(|section| section.keys.iter().map(move |key| (section, key)))
}
