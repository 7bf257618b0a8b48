//! Files with one dialogue per line, as JSON.

use emotrain_recipe::DataFormat;

use super::assemble::{Assembler, RawDialogue, Spot};
use super::keys::OwnKeys;
use super::layout::DataLayout;
use super::{chat, jsonl};
use crate::error::{DataError, DataProblem, JsonSlip, Place};
use crate::io::TextFile;

/// Reads lines of one dialogue each.
#[derive(Clone, Copy)]
pub(super) struct Lines<'a>(pub(super) DataLayout<'a>);

impl Lines<'_> {
    /// The dialogue of a line.
    ///
    /// # Errors
    /// A line that is no dialogue in this form.
    pub(super) fn read(self, line: &str, spot: Spot) -> Result<RawDialogue<'_>, DataProblem> {
        let keys = OwnKeys(self.0);
        let parsed = if self.0.format == DataFormat::Chat {
            chat::dialogue(line, spot, keys)
        } else {
            jsonl::dialogue(line, spot, keys)
        };
        let mut raw = parsed.map_err(|problem| keys.in_own_words(problem))?;
        keys.restore(&mut raw);
        Ok(raw)
    }
}

/// A file that begins with this many lines that are no JSON is read no further.
const NOT_JSON: usize = 3;

pub(super) fn read(
    file: &TextFile,
    assembler: &mut Assembler<'_>,
    lines: Lines<'_>,
) -> Result<(), DataError> {
    let (mut offsets, mut broken) = (LineOffsets::new(&file.text), 0);
    for (index, text) in file.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line = index + 1;
        let spot = Spot { line, offset: offsets.of(line) };
        match lines.read(text, spot) {
            Ok(raw) => assembler.push(raw),
            Err(problem) => {
                let is_no_json = matches!(problem, DataProblem::InvalidJson(_) | DataProblem::JsonSlip(_));
                broken += usize::from(is_no_json);
                // What holds for the whole file is told once.
                let is_other = matches!(
                    problem,
                    DataProblem::JsonList
                        | DataProblem::JsonOverLines
                        | DataProblem::PythonForm
                        | DataProblem::JsonSlip(JsonSlip::CarriageReturns)
                );
                let error = DataError::new(Place::line(&file.path, line), problem);
                if is_other || (broken == NOT_JSON && assembler.is_empty()) {
                    return Err(error);
                }
                assembler.fault(error);
            }
        }
    }
    Ok(())
}

/// The line of a byte offset; offsets must be ascending.
struct LineOffsets<'a> {
    text: &'a str,
    line: usize,
    offset: usize,
}

impl<'a> LineOffsets<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, line: 1, offset: 0 }
    }

    fn of(&mut self, line: usize) -> usize {
        while self.line < line {
            let Some(length) = self.text[self.offset..].find('\n') else { break };
            self.offset += length + 1;
            self.line += 1;
        }
        self.offset
    }
}
