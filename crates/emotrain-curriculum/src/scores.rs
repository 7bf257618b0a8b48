//! Score files, one dialogue per line.

use emotrain_data::{DataError, Dialogue, JsonlWriter};

use crate::difficulty::{DifficultyScorer, Score};
use crate::error::CurriculumError;

/// Writes the [`Score`] of each dialogue as a line of JSON and returns their number. Numbers have enough digits to
/// round-trip exactly.
///
/// Dialogues are streamed: with a [`DialogueReader`](emotrain_data::DialogueReader) memory grows by a few bytes per
/// dialogue. The caller finishes the file.
///
/// # Errors
/// The first error of the dialogues, of the scorer, or of the writer.
pub fn write_scores(
    scorer: &mut DifficultyScorer,
    dialogues: impl IntoIterator<Item = Result<Dialogue, DataError>>,
    to: &mut JsonlWriter,
) -> Result<usize, CurriculumError> {
    let mut count = 0;
    for dialogue in dialogues {
        let dialogue = dialogue?;
        let components = scorer.components(&dialogue)?;
        to.write(&Score { id: &dialogue.id, components })?;
        count += 1;
    }
    scorer.finish()?;
    Ok(count)
}

#[cfg(test)]
mod tests;
