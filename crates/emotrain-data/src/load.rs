//! Readers: one file per published format, all ending in the same checks.

mod assemble;
mod dailydialog;
mod emorynlp;
mod jsonl;
mod meld_csv;
mod prc_json;
mod text;

use std::path::Path;

use emotrain_recipe::DataFormat;

use crate::error::{DataError, DataProblem, Place};
use crate::io::TextFile;
use crate::label::LabelSet;
use crate::split::Split;

use self::assemble::Assembler;
pub use self::jsonl::{JsonlDialogues, jsonl_dialogues, to_jsonl};
pub use self::text::load_text;

/// Reads and checks the dialogues of one split. With `require_labels` every utterance must have a
/// label; without, labels may be absent, but those that are there must be of the set.
///
/// `path` is a file; for DailyDialog also the folder of one split.
///
/// # Errors
/// The first thing that is wrong with the file, with its line or id: see [`DataProblem`].
pub fn load_split(
    path: &Path,
    format: DataFormat,
    labels: &LabelSet,
    require_labels: bool,
) -> Result<Split, DataError> {
    let read = match format {
        DataFormat::Jsonl => jsonl::read,
        DataFormat::MeldCsv => meld_csv::read,
        DataFormat::PrcJson => prc_json::read,
        DataFormat::Emorynlp => emorynlp::read,
        DataFormat::Dailydialog => return dailydialog::load(path, labels, require_labels),
        DataFormat::Text => return Err(DataError::new(Place::file(path), DataProblem::NoDialoguesInText)),
    };
    let file = TextFile::read(path)?;
    let mut assembler = Assembler::new(&file, labels, require_labels);
    read(&file, &mut assembler)?;
    assembler.finish()
}

#[cfg(test)]
mod tests;
