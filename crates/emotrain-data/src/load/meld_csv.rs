//! MELD's own release: one utterance per row, columns `Sr No.`, `Utterance`, `Speaker`, `Emotion`, `Sentiment`,
//! `Dialogue_ID`, `Utterance_ID`, `Season`, `Episode`, `StartTime`, `EndTime`.

use super::assemble::Assembler;
use super::table::{self, Published};
use crate::error::DataError;
use crate::io::TextFile;

const FORM: Published =
    Published { key: &["Dialogue_ID"], id: |key| key[0].to_owned(), speaker: str::to_owned };

pub(super) fn read(file: &TextFile, assembler: &mut Assembler<'_>) -> Result<(), DataError> {
    table::read(file, assembler, &FORM)
}
