//! Files with one dialogue per line, as JSON.

use super::assemble::{Assembler, Spot};
use super::keys::Lines;
use crate::error::{DataError, DataProblem, Place};
use crate::io::TextFile;

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
        match lines.read(text, spot, |raw| assembler.push(raw)) {
            Ok(()) => {}
            Err(problem) => {
                broken += usize::from(matches!(problem, DataProblem::InvalidJson(_)));
                // What holds for the whole file is told once.
                let is_other = matches!(
                    problem,
                    DataProblem::JsonList | DataProblem::JsonOverLines | DataProblem::PythonForm
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
