//! The data files of a recipe, read.

use std::path::PathBuf;

use emotrain_base::{Complaint, Listener, Problems};
use emotrain_data::{
    LabelSet, NearCopy, OtherOrder, SharedDialogue, Split, SplitKind, TextSplit, Utterance, UtteranceId,
    check_disjoint, load_text, near_copies, read_split,
};
use emotrain_recipe::{DataFormat, DataSection};

use crate::error::PrepareError;

/// What a data file holds.
#[derive(Debug)]
pub enum Content {
    /// Dialogues.
    Dialogues(Split),
    /// Plain text.
    Documents(TextSplit),
}

impl Content {
    /// Reads one of a recipe's files.
    ///
    /// # Errors
    /// A file that the recipe does not name, or that does not hold what it should.
    pub fn read(section: &DataSection, labels: &LabelSet, name: SplitKind) -> Result<Self, PrepareError> {
        let missing = || {
            let key = name.as_str();
            let complaint = Complaint::usage(format!("the recipe names no data.{key}"));
            complaint.hint(format!("add {key} = \"…\" under [data], or --set data.{key}=…"))
        };
        Ok(if section.format == DataFormat::Text {
            Self::Documents(load_text(name.file(section).ok_or_else(missing)?)?)
        } else {
            let split = read_split(section, name, labels, section.unlabelled.into());
            Self::Dialogues(split.ok_or_else(missing)??)
        })
    }

    /// The file.
    pub fn path(&self) -> &PathBuf {
        match self {
            Self::Dialogues(split) => &split.path,
            Self::Documents(split) => &split.path,
        }
    }

    /// The hash of the file.
    pub fn sha256(&self) -> &str {
        match self {
            Self::Dialogues(split) => &split.sha256,
            Self::Documents(split) => &split.sha256,
        }
    }

    /// What a file has that one should know of, counted.
    pub fn remarkable(&self) -> [(usize, &'static str); 3] {
        let (mended, damaged) = match self {
            Self::Dialogues(split) => (split.mended, split.damaged),
            Self::Documents(split) => (split.mended, 0),
        };
        let unlabelled = self.utterances().filter(|utterance| utterance.label.is_none()).count();
        [(unlabelled, "without a label are context"), (mended, "mended"), (damaged, "with lost characters")]
    }

    /// The utterance of this id.
    pub fn utterance(&self, id: &UtteranceId) -> Option<&Utterance> {
        let Self::Dialogues(split) = self else { return None };
        let dialogue = split.dialogues.iter().find(|dialogue| dialogue.id == id.dialogue)?;
        dialogue.utterances.get(id.position)
    }

    fn utterances(&self) -> impl Iterator<Item = &Utterance> {
        let dialogues = match self {
            Self::Dialogues(split) => &split.dialogues[..],
            Self::Documents(_) => &[],
        };
        dialogues.iter().flat_map(|dialogue| &dialogue.utterances)
    }

    /// Counts for people to read.
    pub fn summary(&self, labels: &LabelSet) -> String {
        match self {
            Self::Dialogues(split) => split.summary(labels).to_string(),
            Self::Documents(split) => {
                let characters: usize = split.documents.iter().map(|document| document.chars().count()).sum();
                let name = split.path.file_name().unwrap_or_default().to_string_lossy();
                format!("{name}\n  documents  {:>8}\n  characters {characters:>8}", split.documents.len())
            }
        }
    }
}

/// At most this many dialogues shared by two splits are reported individually.
const TOLD: usize = 10;

/// Reads several files and refuses any that share data, or warns of it, as `data.shared_dialogues` says.
///
/// # Errors
/// All that is wrong with them, in one go.
pub(crate) fn read_all(
    section: &DataSection,
    labels: &LabelSet,
    names: &[SplitKind],
    listener: &dyn Listener,
) -> Result<Vec<(SplitKind, Content)>, PrepareError> {
    let mut problems = Problems::default();
    let read = |name: &SplitKind| Some((*name, problems.take(Content::read(section, labels, *name))?));
    let contents: Vec<(SplitKind, Content)> = names.iter().filter_map(read).collect();
    let splits = contents.iter().filter_map(|(_, content)| match content {
        Content::Dialogues(split) => Some(split),
        Content::Documents(_) => None,
    });
    let splits: Vec<&Split> = splits.collect();
    for split in &splits {
        if let Some(column) = &split.other_order {
            let order = OtherOrder { path: &split.path, column };
            let table = order.table(&section.columns);
            listener.warn(&format!("{order}\n  hint: write columns = {table} under [data]"));
        }
    }
    let shared = check_disjoint(&splits, section.format, section.shared_dialogues);
    let shared = problems.take(shared);
    problems.finish()?;
    warn_of(&shared.unwrap_or_default(), listener);
    warn_of_near(&near_copies(&splits), listener);
    Ok(contents)
}

/// Reports the dialogues that are nearly in two splits, by id.
fn warn_of_near(near: &[NearCopy], listener: &dyn Listener) {
    for of_file in near.chunk_by(|one, other| one.later == other.later) {
        let pairs: Vec<String> = of_file.iter().take(TOLD).map(ToString::to_string).collect();
        let more = if of_file.len() > TOLD { ", …" } else { "" };
        let (count, later) = (of_file.len(), of_file[0].later.display());
        let hint = "leave out one of each, or what was learnt by heart counts as understood";
        listener.warn(&format!(
            "{later}: {count} dialogues are nearly in another split too: {}{more}\n  hint: {hint}",
            pairs.join(", ")
        ));
    }
}

/// Reports the dialogues that are in two splits, by id.
fn warn_of(shared: &[SharedDialogue], listener: &dyn Listener) {
    for of_files in shared.chunk_by(|one, other| one.later == other.later) {
        let ids: Vec<String> = of_files.iter().take(TOLD).map(ToString::to_string).collect();
        let more = if of_files.len() > TOLD { ", …" } else { "" };
        let (count, later) = (of_files.len(), of_files[0].later.display());
        listener
            .warn(&format!("{later}: {count} dialogues are in another split too: {}{more}", ids.join(", ")));
    }
}
