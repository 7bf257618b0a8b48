//! Named curricula: keys of `[curriculum]` between the defaults and the recipe.

use std::path::PathBuf;

use crate::file;
use crate::overrides::Override;
use crate::path::{is_toml, joined};
use crate::places::Places;
use crate::problem::{Fault, Findings, Origin};
use crate::raw::{RawRecipe, RawSection, RawValue};
use crate::section::{Section, named_curriculum};

/// The key that selects a curriculum, within its section.
pub(crate) const NAME: &str = "name";
/// The section of a curriculum's keys.
pub(crate) const SECTION: &str = "curriculum";

/// The selected curriculum.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    name: String,
    /// Where it was selected.
    pub(crate) origin: Origin,
}

/// The keys of a curriculum.
#[derive(Debug)]
pub(crate) struct Overlay {
    pub(crate) raw: RawRecipe,
    /// The file, if it is not a named one.
    pub(crate) file: Option<PathBuf>,
    /// Where it was selected.
    pub(crate) origin: Origin,
}

impl Choice {
    /// The curriculum selected by `overrides`, or else by the first recipe that selects one; `None` if the value is not
    /// text.
    pub(crate) fn find(recipes: &[RawRecipe], overrides: &[Override]) -> Option<Self> {
        let path = format!("{SECTION}.{NAME}");
        let (value, origin) = if let Some(set) = overrides.iter().rfind(|set| set.path == path) {
            (&set.value, Origin::Override)
        } else {
            let named = |raw: &'_ RawSection| raw.keys.iter().position(|key| key.name == NAME);
            let (number, section, at) = recipes.iter().enumerate().find_map(|(number, recipe)| {
                let section = recipe.section(SECTION)?;
                Some((number, section, named(section)?))
            })?;
            let key = &section.keys[at];
            let RawValue::Plain(value) = &key.value else { return None };
            (value, Origin::of(number, key.value_at))
        };
        Some(Self { name: value.as_str()?.to_owned(), origin })
    }

    /// Whether the recipe that selected it, and those above, leave any key for it to set. A recipe with every key does
    /// not, and loads without the file.
    pub(crate) fn matters(&self, recipes: &[RawRecipe]) -> bool {
        let above = self.origin.layer().map_or(&[][..], |number| &recipes[..=number]);
        let sections = || above.iter().filter_map(|recipe| recipe.section(SECTION));
        let written = |name| sections().any(|raw| raw.keys.iter().any(|key| key.name == name));
        let keys = Section::find(SECTION).map_or(&[][..], |section| section.keys);
        self.origin == Origin::Override || !keys.iter().all(|key| written(key.name))
    }

    /// Reads the curriculum. An unknown name is reported by the check of the key's value.
    pub(crate) fn open(self, places: &Places, findings: &mut Findings) -> Option<Overlay> {
        if let Some(text) = named_curriculum(&self.name) {
            return Some(Overlay { raw: RawRecipe::parse(text), file: None, origin: self.origin });
        }
        if !is_toml(&self.name) || self.name.starts_with('~') {
            return None;
        }
        let file = joined(places.base(self.origin)?, self.name.as_ref());
        let read = file::text(&file).and_then(|text| match RawRecipe::parse(&text) {
            raw if raw.is_foreign() => {
                Err(format!("{} is not a curriculum: it has no [{SECTION}]", file.display()))
            }
            raw => Ok(raw),
        });
        match read {
            Ok(raw) => {
                findings.name_curriculum(file.clone());
                Some(Overlay { raw, file: Some(file), origin: self.origin })
            }
            Err(message) => {
                let path = format!("{SECTION}.{NAME}");
                findings.add(self.origin, Some(&path), Fault::new(format!("{path}: {message}")));
                None
            }
        }
    }
}

/// A section that is not allowed in a curriculum.
pub(crate) fn stranger(section: &Section) -> Fault {
    let fault = Fault::new(format!("[{}] does not belong in a curriculum", section.name));
    fault.hint(format!("a curriculum has only the section [{SECTION}]"))
}

/// A curriculum that selects another.
pub(crate) fn nested() -> Fault {
    Fault::new("a curriculum cannot select another").hint("copy the keys that it shares with the other")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::section::CURRICULA;

    #[test]
    fn every_file_of_the_folder_has_its_name() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../curriculum");
        let files = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let is_one = |file: &PathBuf| file.extension().is_some_and(|suffix| suffix == "toml");
        let curricula = files.filter(is_one).filter(|file| !file.ends_with("wheel.toml"));
        let stems: BTreeSet<_> =
            curricula.map(|file| file.file_stem().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(stems, CURRICULA.iter().map(ToString::to_string).collect());
    }

    #[test]
    fn every_named_curriculum_holds_keys_of_its_section_alone() {
        for name in CURRICULA {
            let raw = RawRecipe::parse(named_curriculum(name).unwrap());
            assert!(raw.syntax.is_empty() && raw.strays.is_empty(), "{name}");
            assert_eq!(raw.sections.len(), 1, "{name}");
            let section = Section::find(SECTION).unwrap();
            for key in &raw.sections[0].keys {
                let known = section.key(&key.name).unwrap_or_else(|| panic!("{name}: {}", key.name));
                let RawValue::Plain(value) = &key.value else { panic!("{name}: {}", key.name) };
                assert_eq!(crate::values::check(SECTION, known, value), [], "{name}");
                assert_ne!(key.name, NAME);
            }
        }
    }
}
