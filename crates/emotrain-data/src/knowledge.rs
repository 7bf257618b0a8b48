//! Knowledge: texts about utterances, speakers and dialogues, joined to a split by id.
//!
//! A source is read for one split at a time and keeps only that split's texts; the rest of the file is streamed.

mod gather;
mod lists;
mod manifest;
mod rows;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use emotrain_recipe::{Availability, KnowledgeLevel, KnowledgeSection};

use crate::dialogue::Dialogue;
use crate::error::{DataError, DataProblem, KnowledgeGap, Place};
use crate::io::sha256_file;
use crate::split::Split;
use crate::split_kind::SplitKind;

use self::gather::Gather;

/// Maximum number of missing texts that a message or a record lists.
const NAMED: usize = 20;

/// The texts of one source for one split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knowledge {
    /// The source's name in the recipe.
    pub name: String,
    /// The level of its texts.
    pub level: KnowledgeLevel,
    /// Whether the texts needed later utterances; never [`Availability::Auto`].
    pub availability: Availability,
    /// Their file.
    pub path: PathBuf,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Their coverage.
    pub coverage: Coverage,
    /// Texts that had stray control characters.
    pub mended: usize,
    /// Whether every row of the file names its split.
    pub is_by_split: bool,
    /// By dialogue: one entry per utterance, one per speaker in order of appearance, or a single one. Never iterated.
    texts: HashMap<String, Vec<Option<Box<str>>>>,
}

/// How much of a split a source covers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Utterances, speakers of dialogues, or dialogues of the split.
    pub wanted: usize,
    /// Those without a text, by id: `12#3`, `12/Joey` or `12`, in the order of the split.
    pub missing: Vec<String>,
    /// Texts for something outside the split.
    pub extra: usize,
    /// Speakers whose utterances had different texts, of which the first was used.
    pub differing: usize,
}

impl Knowledge {
    /// The text for an utterance: its own, its speaker's or its dialogue's. Empty if there is none.
    pub fn text(&self, dialogue: &Dialogue, position: usize) -> &str {
        let place = gather::place_of(self.level, dialogue, position);
        let texts = self.texts.get(&dialogue.id);
        texts.and_then(|texts| texts.get(place?)?.as_deref()).unwrap_or_default()
    }

    /// The plural of a level.
    fn things(level: KnowledgeLevel) -> &'static str {
        match level {
            KnowledgeLevel::Utterance => "utterances",
            KnowledgeLevel::Speaker => "speakers of dialogues",
            KnowledgeLevel::Dialogue => "dialogues",
        }
    }
}

impl fmt::Display for Knowledge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Coverage { wanted, missing, extra, differing } = &self.coverage;
        let (name, things) = (&self.name, Self::things(self.level));
        write!(f, "{name} ({}): {} of {wanted} {things}", self.availability, wanted - missing.len())?;
        if !missing.is_empty() {
            write!(f, "; {} have none, so their slot is empty: {}", missing.len(), listed(missing))?;
        }
        if *extra > 0 {
            write!(f, "; {extra} texts are for other data")?;
        }
        if *differing > 0 {
            write!(f, "; {differing} speakers have several texts; the first is used")?;
        }
        Ok(())
    }
}

/// Reads a source for a split.
///
/// `section.path`, with `{split}` replaced, is JSON lines, a JSON file (its name ends in `.json`), or a folder with
/// `<split>.jsonl` and `manifest.json`: see `recipes/default.toml`. A `manifest.json` next to a file is used, too, if
/// it has a level and an availability.
///
/// # Errors
/// The first problem with the file, with its line: a key that is missing or of another type, two texts for the same
/// place, lists with another length than the dialogue; for a required source also every missing text.
pub fn load_knowledge(
    section: &KnowledgeSection,
    split: &Split,
    kind: SplitKind,
) -> Result<Knowledge, DataError> {
    let named = section.path_of(kind.as_str());
    let manifest = manifest::find(&named)?;
    let path = if named.is_dir() { named.join(format!("{}.jsonl", kind.as_str())) } else { named };
    let mut availability = section.availability;
    if let Some(manifest) = &manifest {
        manifest.check_level(section)?;
        if availability == Availability::Auto {
            availability = manifest.availability;
        }
    }
    if availability == Availability::Auto {
        availability = Availability::Offline;
    }
    let mut gather = Gather::new(section, &split.dialogues);
    let is_by_split = if path.extension().is_some_and(|extension| extension == "json") {
        lists::read(&path, &mut gather)?;
        false
    } else {
        rows::read(&path, &mut gather, kind)?
    };
    let sha256 = sha256_file(&path)?;
    let gathered = gather.finish(&path)?;
    let (name, level) = (section.name.clone(), section.level);
    let knowledge = Knowledge {
        name,
        level,
        availability,
        path,
        sha256,
        coverage: gathered.coverage,
        mended: gathered.mended,
        is_by_split,
        texts: gathered.texts,
    };
    if section.required && !knowledge.coverage.missing.is_empty() {
        return Err(knowledge.uncovered(&split.path));
    }
    Ok(knowledge)
}

impl Knowledge {
    fn uncovered(&self, data: &Path) -> DataError {
        let Coverage { wanted, missing, extra, .. } = &self.coverage;
        let gap = KnowledgeGap {
            source: self.name.clone(),
            things: Self::things(self.level),
            data: data.to_path_buf(),
            missing: missing.len(),
            wanted: *wanted,
            extra: *extra,
            listed: listed(missing),
        };
        let problem = DataProblem::MissingKnowledge(Box::new(gap));
        DataError::new(Place::file(&self.path), problem)
    }
}

fn listed(ids: &[String]) -> String {
    let named: Vec<&str> = ids.iter().take(NAMED).map(String::as_str).collect();
    let rest = ids.len().saturating_sub(NAMED);
    if rest == 0 { named.join(", ") } else { format!("{} and {rest} more", named.join(", ")) }
}

#[cfg(test)]
mod tests;
