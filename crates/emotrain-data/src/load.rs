//! Readers: one file per published format, all using the same checks.

mod assemble;
mod chat;
mod dailydialog;
mod emorynlp;
mod faults;
mod json_lines;
mod jsonl;
mod keys;
mod layout;
mod looks;
mod meld_csv;
mod order;
mod other_names;
mod other_rows;
mod parts;
mod prc_json;
mod separator;
mod stream;
mod survey;
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
use self::json_lines::Lines;
pub use self::layout::DataLayout;
pub use self::looks::{format_of, looks_like};
pub use self::order::OtherOrder;
pub use self::parts::read_split;
pub use self::stream::{DataInput, DialogueReader};
pub use self::survey::{Survey, recognised, survey};
use self::table::OwnTable;
pub use self::table::SPEAKER;
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
/// All that is wrong with the file, with lines and ids: the first problems one by one, the others counted, unknown
/// labels summed up. See [`DataProblem`].
pub fn load_split<'a>(
    path: &Path,
    layout: impl Into<DataLayout<'a>>,
    labels: &LabelSet,
    policy: LabelPolicy,
) -> Result<Split, DataError> {
    let layout = layout.into();
    let file = match layout.format {
        DataFormat::Csv | DataFormat::Tsv | DataFormat::MeldCsv => TextFile::read(path)?,
        DataFormat::Jsonl | DataFormat::Chat => TextFile::read_json(path, limits::LINES)?,
        DataFormat::PrcJson | DataFormat::Emorynlp => TextFile::read_json(path, limits::DOCUMENT)?,
        DataFormat::Dailydialog => return dailydialog::load(path, labels, policy),
        DataFormat::Text => return Err(DataError::new(Place::file(path), DataProblem::NoDialoguesInText)),
    };
    let mut assembler = Assembler::new(&file, labels, policy);
    let ended = read(&file, layout, &mut assembler);
    assembler.finish(ended, layout)
}

fn read(file: &TextFile, layout: DataLayout<'_>, assembler: &mut Assembler<'_>) -> Result<(), DataError> {
    match layout.format {
        DataFormat::Jsonl | DataFormat::Chat => json_lines::read(file, assembler, Lines(layout)),
        DataFormat::Csv | DataFormat::Tsv => table::read(file, assembler, &OwnTable::of(layout, &file.text)),
        DataFormat::MeldCsv => meld_csv::read(file, assembler),
        DataFormat::PrcJson => prc_json::read(file, assembler),
        DataFormat::Emorynlp => emorynlp::read(file, assembler),
        DataFormat::Dailydialog | DataFormat::Text => {
            unreachable!("these are read from other files, or not at all")
        }
    }
}

#[cfg(test)]
mod tests;
