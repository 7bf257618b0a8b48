//! Sections and keys that do not exist, with suggestions.

use std::collections::BTreeSet;

use toml::Value;

use crate::foreign::{self, Meaning};
use crate::problem::Fault;
use crate::section::{EXTENDS, KNOWLEDGE, SECTIONS, Section, sections_with};
use crate::suggest::{did_you_mean, folded, nearest};
use crate::values;

/// An unknown name and the probable intention.
#[derive(Debug)]
pub(crate) struct Unknown {
    pub(crate) fault: Fault,
    /// The keys (`section.key`) that were probably meant.
    pub(crate) meant: Vec<String>,
}

/// An unknown section.
pub(crate) fn section(name: &str) -> Unknown {
    let fault = Fault::new(format!("unknown section [{name}]"));
    let near = match foreign::section(&folded(name)) {
        Some(ours) => vec![ours],
        None => nearest(name, all_sections().map(|section| section.name)),
    };
    let meant = all_sections().filter(|section| near.contains(&section.name));
    let meant =
        meant.flat_map(|section| section.keys.iter().map(|key| format!("{}.{}", section.name, key.name)));
    let fault = if near.is_empty() {
        let all: Vec<_> = all_sections().map(|section| section.name).collect();
        fault.hint(format!("the sections are {}", bracketed(&all, ", ")))
    } else {
        fault.hint(format!("did you mean {}?", bracketed(&near, " or ")))
    };
    Unknown { fault, meant: meant.collect() }
}

/// Another tool's key below a section that there is not; `None` of others, which are found when it has its right name.
pub(crate) fn key_of_unknown_section(name: &str, value: Option<&Value>) -> Option<Unknown> {
    let meaning = foreign::key(&folded(name))?;
    Some(translated(None, name, meaning, value))
}

fn all_sections() -> impl Iterator<Item = &'static Section> {
    SECTIONS.iter().chain([KNOWLEDGE])
}

/// A key that `section` does not have, with the value that it was given, if that could be read.
pub(crate) fn key(section: &Section, name: &str, value: Option<&Value>) -> Unknown {
    let homonym = foreign::homonym(section.name, &folded(name));
    if let Some(meaning) = homonym.or_else(|| foreign::key(&folded(name))) {
        return translated(Some(section.name), name, meaning, value);
    }
    let homes = sections_with(name);
    if !homes.is_empty() {
        let fault = Fault::new(format!("{name:?} does not belong in {}", section.header()));
        let hint = format!("it is a key of {}", bracketed(&homes, " and of "));
        return Unknown { fault: fault.hint(hint), meant: in_each(&homes, name) };
    }
    let fault = Fault::new(format!("unknown key {name:?} in {}", section.header()));
    let near = nearest(name, section.keys.iter().map(|key| key.name));
    if let Some(hint) = did_you_mean(&near) {
        let meant = near.iter().flat_map(|near| in_each(&[section.name], near)).collect();
        return Unknown { fault: fault.hint(hint), meant };
    }
    let keys: Vec<_> = section.keys.iter().map(|key| key.name).collect();
    guessed(fault, name, format!("the keys of {} are {}", section.header(), keys.join(", ")))
}

/// A value before the first section.
pub(crate) fn stray(name: &str, value: Option<&Value>) -> Unknown {
    let near = nearest(name, [KNOWLEDGE.name]);
    if !near.is_empty() {
        let fault = Fault::new(format!("{name:?} must be a list of tables")).hint(format!(
            "write {} on a line of its own and below it the keys of one source",
            KNOWLEDGE.header()
        ));
        return Unknown { fault, meant: Vec::new() };
    }
    if let Some(hint) = did_you_mean(&nearest(name, [EXTENDS])) {
        return Unknown {
            fault: Fault::new(format!("{name:?} is outside any section")).hint(hint),
            meant: Vec::new(),
        };
    }
    if let Some(section) = Section::find(name) {
        let fault = Fault::new(format!("[{name}] must be a section"));
        let first = section.keys[0].name;
        let hint = format!("write [{name}] on a line of its own and below it its keys, such as {first}");
        return Unknown { fault: fault.hint(hint), meant: Vec::new() };
    }
    if let Some(meaning) = foreign::key(&folded(name)) {
        return translated(None, name, meaning, value);
    }
    let fault = Fault::new(format!("{name:?} is outside any section"));
    let homes = sections_with(name);
    if homes.is_empty() {
        return guessed(fault, name, "every key belongs under its [section]".to_owned());
    }
    let hint = format!("put it under {}", bracketed(&homes, " or "));
    Unknown { fault: fault.hint(hint), meant: in_each(&homes, name) }
}

/// `fault` with the most similar keys of all sections as its hint, or else with `otherwise`.
fn guessed(fault: Fault, name: &str, otherwise: String) -> Unknown {
    let meant = near_anywhere(name);
    let near: Vec<_> = meant.iter().filter_map(|path| path.split_once('.')).collect();
    let near: Vec<_> = near.iter().map(|(section, key)| format!("{key:?} in [{section}]")).collect();
    let hint = if near.is_empty() { otherwise } else { format!("did you mean {}?", near.join(" or ")) };
    Unknown { fault: fault.hint(hint), meant }
}

/// The keys (`section.key`) of all sections that are most similar to `name`.
pub(crate) fn near_anywhere(name: &str) -> Vec<String> {
    let keys: BTreeSet<_> = SECTIONS.iter().flat_map(|section| section.keys).map(|key| key.name).collect();
    nearest(name, keys).iter().flat_map(|key| in_each(&sections_with(key), key)).collect()
}

/// Another tool's name, written in the section `inside` with this value.
fn translated(inside: Option<&str>, name: &str, meaning: Meaning, value: Option<&Value>) -> Unknown {
    let valued = value.and_then(|value| foreign::valued(&folded(name), &folded(&text(value))));
    let (ours, written, remark) = match (valued, meaning) {
        (Some((ours, written)), _) | (None, Meaning::Value(ours, written)) => {
            (ours, Some(written.to_owned()), "")
        }
        (None, Meaning::Key(ours)) => (ours, value.and_then(|value| values::taken(ours, value)), ""),
        (None, Meaning::Remark(ours, remark)) => (ours, None, remark),
        (None, Meaning::Absent(reason)) => {
            let fault = Fault::new(format!("{name:?} is another tool's key")).hint(reason);
            return Unknown { fault, meant: Vec::new() };
        }
    };
    let fault = Fault::new(format!("{name:?} is another tool's name for {ours}"));
    let (section, key) = ours.split_once('.').unwrap_or(("", ours));
    let mut hint = format!("write {key} = {}", written.as_deref().unwrap_or("…"));
    if inside != Some(section) {
        hint = format!("{hint} under [{section}]");
    }
    if !remark.is_empty() {
        hint = format!("{hint}; {remark}");
    }
    Unknown { fault: fault.hint(hint), meant: vec![ours.to_owned()] }
}

/// A value as other tools' lists of words have it.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn in_each(sections: &[&str], key: &str) -> Vec<String> {
    sections.iter().map(|section| format!("{section}.{key}")).collect()
}

fn bracketed(names: &[&str], between: &str) -> String {
    let header = |name: &&str| if *name == KNOWLEDGE.name { KNOWLEDGE.header() } else { format!("[{name}]") };
    names.iter().map(header).collect::<Vec<_>>().join(between)
}
