//! Readers: one file per published format, all using the same checks.

mod assemble;
mod cell;
mod dailydialog;
mod emorynlp;
mod jsonl;
mod meld_csv;
mod prc_json;
mod table;
mod text;

use std::path::Path;

use emotrain_base::limits;
use emotrain_recipe::{DataFormat, Unlabelled};

use crate::error::{DataError, DataProblem, Place};
use crate::io::TextFile;
use crate::label::LabelSet;
use crate::split::Split;

use self::assemble::Assembler;
pub use self::jsonl::{JsonlDialogues, jsonl_dialogues};
pub use self::text::load_text;

/// Which utterances of a file must have a label. A label that is present must always be in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelPolicy {
    /// Every utterance.
    Required,
    /// At least one utterance; the others are context.
    Context,
    /// None: labels may be what is predicted.
    Optional,
}

impl From<Unlabelled> for LabelPolicy {
    fn from(unlabelled: Unlabelled) -> Self {
        match unlabelled {
            Unlabelled::Context => Self::Context,
            Unlabelled::Refuse => Self::Required,
        }
    }
}

/// Reads and checks the dialogues of one split.
///
/// `path` is a file; for DailyDialog also the folder of one split.
///
/// # Errors
/// The first problem with the file, with its line or id: see [`DataProblem`].
pub fn load_split(
    path: &Path,
    format: DataFormat,
    labels: &LabelSet,
    policy: LabelPolicy,
) -> Result<Split, DataError> {
    let read = match format {
        DataFormat::Jsonl => jsonl::read,
        DataFormat::MeldCsv => meld_csv::read,
        DataFormat::PrcJson => prc_json::read,
        DataFormat::Emorynlp => emorynlp::read,
        DataFormat::Dailydialog => return dailydialog::load(path, labels, policy),
        DataFormat::Text => return Err(DataError::new(Place::file(path), DataProblem::NoDialoguesInText)),
    };
    let file = match format {
        DataFormat::MeldCsv => TextFile::read(path)?,
        DataFormat::Jsonl => TextFile::read_json(path, limits::LINES)?,
        DataFormat::PrcJson | DataFormat::Emorynlp | DataFormat::Dailydialog | DataFormat::Text => {
            TextFile::read_json(path, limits::DOCUMENT)?
        }
    };
    let mut assembler = Assembler::new(&file, labels, policy);
    read(&file, &mut assembler)?;
    assembler.finish()
}

#[cfg(test)]
mod tests;
