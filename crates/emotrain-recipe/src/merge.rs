//! Merging defaults, files and overrides; each value remembers its origin.

mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use toml::{Table, Value};

use crate::curriculum::{self, Choice, Overlay};
use crate::extends::Layers;
use crate::key::Key;
use crate::overrides::{self, Override};
use crate::path::joined;
use crate::places::{Places, is_relative_path};
use crate::problem::{Fault, Findings, Origin, Position};
use crate::raw::{RawKey, RawRecipe, RawSection, RawValue};
use crate::section::{KNOWLEDGE, SECTIONS, Section};
use crate::unknown::Unknown;
use crate::{DEFAULT_TOML, unknown, values};

/// The value of every key of the vocabulary.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// By `section.key`, and `knowledge.name.key`.
    entries: BTreeMap<String, Entry>,
    /// The names of the knowledge sources, in their order.
    sources: Vec<String>,
    /// The defaults of a knowledge source.
    prototype: BTreeMap<&'static str, Value>,
    /// The places of the sections in the file.
    headers: BTreeMap<String, Origin>,
    /// Keys that were probably meant by an unknown name.
    meant: BTreeSet<String>,
    /// The folder of the curriculum file.
    curriculum_folder: PathBuf,
    /// Whether the curriculum file has invalid TOML.
    is_damaged: bool,
}

/// The value of one key.
#[derive(Clone, Debug)]
struct Entry {
    value: Value,
    origin: Origin,
    elements_at: Vec<Position>,
    /// A problem with it was reported; `value` is the default instead.
    broken: bool,
}

impl Entry {
    fn new(value: Value, origin: Origin) -> Self {
        Self { value, origin, elements_at: Vec::new(), broken: false }
    }
}

/// A section, or one source of `[[knowledge]]`, with the prefix of its keys' paths.
#[derive(Debug)]
struct Home {
    section: &'static Section,
    path: String,
}

impl Home {
    fn section(section: &'static Section) -> Self {
        Self { section, path: section.name.to_owned() }
    }

    /// Whether a path belongs to a source, or to all of them.
    fn is_about_sources(path: &str) -> bool {
        path.split('.').next() == Some(KNOWLEDGE.name)
    }

    fn source(name: &str) -> Self {
        Self { section: KNOWLEDGE, path: format!("{}.{name}", KNOWLEDGE.name) }
    }
}

impl Merged {
    /// The values of `recipes/default.toml` alone.
    ///
    /// # Panics
    ///
    /// If the embedded file is not TOML or lacks a key, which the tests exclude.
    pub(crate) fn defaults() -> &'static Self {
        static DEFAULTS: OnceLock<Merged> = OnceLock::new();
        DEFAULTS.get_or_init(Self::read_defaults)
    }

    fn read_defaults() -> Self {
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
        let written = raw.sources.first().map_or(&[][..], |source| &source.keys);
        let prototype = KNOWLEDGE.keys.iter().map(|key| {
            let written = written.iter().find(|written| written.name == key.name);
            let Some(RawValue::Plain(value)) = written.map(|written| &written.value) else {
                panic!("default.toml lacks {}.{}", KNOWLEDGE.name, key.name);
            };
            (key.name, value.clone())
        });
        Self { entries, prototype: prototype.collect(), ..Self::default() }
    }

    /// Merges the recipes, from the lowest to the one that is read, and then `overrides` into the defaults, and checks
    /// every value by itself; an invalid one is reported and reset to the default.
    ///
    /// A curriculum goes directly below the layer that selected it, so that `--set curriculum.name=…` also changes a
    /// recipe with every key.
    pub(crate) fn new(
        layers: Layers,
        overrides: &[String],
        places: &Places,
        findings: &mut Findings,
    ) -> Self {
        let defaults = Self::defaults();
        let (entries, prototype) = (defaults.entries.clone(), defaults.prototype.clone());
        let mut merged = Self { entries, prototype, ..Self::default() };
        let (overrides, refused) = parsed(overrides);
        let recipes = layers.recipes;
        let choice = Choice::find(&recipes, &overrides).filter(|choice| choice.matters(&recipes));
        let mut overlay = choice.and_then(|choice| choice.open(places, findings));
        for (number, recipe) in recipes.into_iter().enumerate().rev() {
            if let Some(overlay) = overlay.take_if(|overlay| overlay.origin.layer() == Some(number)) {
                merged.lay_curriculum(overlay, findings);
            }
            merged.lay_recipe(recipe, number, findings);
        }
        if let Some(overlay) = overlay {
            merged.lay_curriculum(overlay, findings);
        }
        for set in overrides {
            let path = set.path.clone();
            if Home::is_about_sources(&path) {
                let laid = merged.override_source(set);
                laid.unwrap_or_else(|fault| findings.add(Origin::Override, Some(&path), fault));
            } else {
                merged.entries.insert(path, Entry::new(set.value, Origin::Override));
            }
        }
        for (path, unknown) in refused {
            merged.refuse(Origin::Override, &path, unknown, findings);
        }
        for home in merged.homes() {
            home.section.keys.iter().for_each(|key| merged.check(&home, key, defaults, findings));
        }
        merged
    }

    fn lay_recipe(&mut self, recipe: RawRecipe, number: usize, findings: &mut Findings) {
        let origin = |at| Origin::of(number, at);
        for stray in recipe.strays {
            self.refuse(
                origin(stray.at),
                &stray.name,
                unknown::stray(&stray.name, stray.value.plain()),
                findings,
            );
        }
        for raw in recipe.sections {
            if let Some(section) = Section::find(&raw.name) {
                self.headers.insert(section.name.to_owned(), origin(raw.at));
                let home = Home::section(section);
                raw.keys.into_iter().for_each(|key| self.write(&home, key, origin, findings));
                continue;
            }
            self.refuse(origin(raw.at), &raw.name, unknown::section(&raw.name), findings);
            for key in raw.keys {
                let unknown = unknown::key_of_unknown_section(&key.name, key.value.plain());
                if let Some(unknown) = unknown {
                    self.refuse(origin(key.at), &key.name, unknown, findings);
                }
            }
        }
        if recipe.cleared.is_some() {
            self.sources.clear();
        }
        self.lay_sources(recipe.sources, origin, findings);
    }

    /// All sections and sources.
    fn homes(&self) -> Vec<Home> {
        let sources = self.sources.iter().map(|name| Home::source(name));
        SECTIONS.iter().map(Home::section).chain(sources).collect()
    }

    /// The keys of a named curriculum have the origin of its selection.
    fn lay_curriculum(&mut self, overlay: Overlay, findings: &mut Findings) {
        let Overlay { raw, file, origin: chosen } = overlay;
        let is_file = file.is_some();
        let origin = |at| if is_file { Origin::Curriculum(at) } else { chosen };
        self.curriculum_folder =
            file.as_deref().and_then(Path::parent).map(Path::to_path_buf).unwrap_or_default();
        self.is_damaged = !raw.syntax.is_empty();
        for (at, fault) in raw.syntax {
            findings.add(origin(at), None, fault);
        }
        for stray in raw.strays.into_iter().chain(raw.extends) {
            self.refuse(
                origin(stray.at),
                &stray.name,
                unknown::stray(&stray.name, stray.value.plain()),
                findings,
            );
        }
        for RawSection { name, at, keys } in raw.sections {
            match Section::find(&name) {
                Some(section) if name == curriculum::SECTION => {
                    for key in keys {
                        if key.name == curriculum::NAME {
                            findings.add(origin(key.at), None, curriculum::nested());
                        } else {
                            self.write(&Home::section(section), key, origin, findings);
                        }
                    }
                }
                Some(section) => findings.add(origin(at), None, curriculum::stranger(section)),
                None => self.refuse(origin(at), &name, unknown::section(&name), findings),
            }
        }
    }

    fn refuse(&mut self, origin: Origin, path: &str, unknown: Unknown, findings: &mut Findings) {
        self.meant.extend(unknown.meant);
        findings.add(origin, Some(path), unknown.fault);
    }

    fn write(
        &mut self,
        home: &Home,
        raw: RawKey,
        origin: impl Fn(Position) -> Origin,
        findings: &mut Findings,
    ) {
        let path = format!("{}.{}", home.path, raw.name);
        let Some(entry) = self.entries.get_mut(&path) else {
            let mut unknown = unknown::key(home.section, &raw.name, raw.value.plain());
            for meant in &mut unknown.meant {
                *meant = meant.replacen(home.section.name, &home.path, 1);
            }
            return self.refuse(origin(raw.at), &path, unknown, findings);
        };
        let origin = origin(raw.value_at);
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

    fn check(&mut self, home: &Home, key: &Key, defaults: &Self, findings: &mut Findings) {
        let path = format!("{}.{}", home.path, key.name);
        let default = defaults.entries.get(&path).map(|entry| &entry.value);
        let (Some(entry), Some(default)) =
            (self.entries.get_mut(&path), default.or_else(|| defaults.prototype.get(key.name)))
        else {
            return;
        };
        if entry.origin == Origin::Default {
            return;
        }
        let faults = values::check(&home.path, key, &entry.value);
        entry.broken = !faults.is_empty();
        for bad in faults {
            let element = bad.element.and_then(|index| entry.elements_at.get(index));
            let origin = element.map_or(entry.origin, |&at| entry.origin.at(at));
            findings.add(origin, Some(&path), bad.fault);
        }
        if entry.broken {
            entry.value.clone_from(default);
        }
    }

    /// Whether the value of `path` (`section.key`) passed its check, and no other name was probably meant to be it.
    pub(crate) fn is_sound(&self, path: &str) -> bool {
        !self.meant.contains(path) && self.entries.get(path).is_some_and(|entry| !entry.broken)
    }

    /// The origin of the value of `path` (`section.key`).
    pub(crate) fn origin(&self, path: &str) -> Origin {
        self.entries.get(path).map_or(Origin::Default, |entry| entry.origin)
    }

    /// Whether the curriculum file was read completely.
    pub(crate) fn is_whole(&self) -> bool {
        !self.is_damaged
    }

    /// The folder that paths in the curriculum file are relative to.
    pub(crate) fn curriculum_folder(&self) -> &Path {
        &self.curriculum_folder
    }

    /// The place of the section, or of the source `knowledge.name`, in the recipe.
    pub(crate) fn header(&self, section: &str) -> Origin {
        self.headers.get(section).copied().unwrap_or(Origin::Default)
    }

    /// The paths (`section.key`, `knowledge.name.key`) of all keys.
    pub(crate) fn paths(&self) -> Vec<(String, &'static Key)> {
        let homes = self.homes().into_iter();
        homes
            .flat_map(|home| {
                home.section.keys.iter().map(move |key| (format!("{}.{}", home.path, key.name), key))
            })
            .collect()
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
        document.insert(KNOWLEDGE.name.to_owned(), self.source_tables());
        document
    }

    /// Makes every relative input path relative to its folder.
    pub(crate) fn resolve(&mut self, places: &Places) {
        for (path, key) in self.paths() {
            let base = match self.origin(&path) {
                Origin::Curriculum(_) => Some(self.curriculum_folder()),
                written @ (Origin::File(_) | Origin::Base(..) | Origin::Override | Origin::Default) => {
                    places.base(written)
                }
            };
            let Some(base) = base.map(Path::to_path_buf) else { continue };
            if let Some(Value::String(text)) = self.value_mut(&path)
                && is_relative_path(key.kind, text)
            {
                *text = joined(&base, Path::new(text)).to_string_lossy().into_owned();
            }
        }
    }
}

/// The overrides that name a key, and the invalid ones with the path they start with.
fn parsed(overrides: &[String]) -> (Vec<Override>, Vec<(String, Unknown)>) {
    let (mut sound, mut refused) = (Vec::new(), Vec::new());
    for argument in overrides {
        match overrides::parse(argument) {
            Ok(set) => sound.push(set),
            Err(unknown) => {
                let path = argument.split('=').next().unwrap_or_default().trim();
                refused.push((path.to_owned(), unknown));
            }
        }
    }
    (sound, refused)
}

fn vocabulary() -> impl Iterator<Item = (&'static Section, &'static Key)> {
    SECTIONS.iter().flat_map(|section| section.keys.iter().map(move |key| (section, key)))
}
