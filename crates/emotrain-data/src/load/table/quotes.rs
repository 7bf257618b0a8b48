//! Quotation marks that swallow rows.
//!
//! A cell that starts with a quotation mark ends at the next one, across separators and lines. If the text itself starts
//! with one, and the program that wrote the table did not quote it, the following rows become part of it. The signs: the
//! mark is never closed, the closing mark is not followed by a separator, or a line within the cell looks like a row.

use super::whole;
use crate::error::DataProblem;
use crate::label::LabelSet;

/// The quotation mark of a cell that goes on to the end.
pub(super) const NEVER_CLOSED: DataProblem = DataProblem::OpenQuote("it is never closed");

/// The structure of a table's rows.
pub(super) struct Quotes<'l> {
    /// Between cells.
    pub(super) separator: u8,
    /// Cells per row.
    pub(super) columns: usize,
    /// The cell by which a row is recognised; without one, no line is taken for a row.
    pub(super) mark: Option<(usize, Mark<'l>)>,
}

/// What a row's mark is.
#[derive(Clone, Copy)]
pub(super) enum Mark<'l> {
    /// An integer.
    Number,
    /// A label of the set.
    Label(&'l LabelSet),
}

impl Mark<'_> {
    fn is(self, cell: &str) -> bool {
        match self {
            Self::Number => whole(cell.trim()).parse::<u64>().is_ok(),
            Self::Label(labels) => labels.resolve(cell.trim()).is_some(),
        }
    }
}

impl Quotes<'_> {
    /// The first cell whose quotation mark cannot be an opening one: its byte offset, and the problem.
    pub(super) fn first_problem(&self, text: &str) -> Option<(usize, DataProblem)> {
        let bytes = text.as_bytes();
        let (mut at, mut cell) = (0, 0);
        while at < bytes.len() {
            let mut end = at;
            if bytes[at] == b'"' {
                let Some(length) = quoted_length(&bytes[at..]) else {
                    return Some((at, NEVER_CLOSED));
                };
                end = at + length;
                if self.holds_rows(&text[at + 1..end - 1], cell) {
                    return Some((at, DataProblem::OpenQuote("the text up to the next one looks like rows")));
                }
                end += bytes[end..].iter().take_while(|&&byte| byte == b' ').count();
                if bytes.get(end).is_some_and(|byte| !self.ends_cell(*byte)) {
                    return Some((at, DataProblem::OpenQuote(self.unfollowed())));
                }
            }
            end += bytes[end..].iter().take_while(|byte| !self.ends_cell(**byte)).count();
            cell = if bytes.get(end) == Some(&self.separator) { cell + 1 } else { 0 };
            at = end + 1;
        }
        None
    }

    fn ends_cell(&self, byte: u8) -> bool {
        byte == self.separator || b"\r\n".contains(&byte)
    }

    fn unfollowed(&self) -> &'static str {
        match self.separator {
            b'\t' => "the next one is not followed by a tab",
            b';' => "the next one is not followed by a semicolon",
            _ => "the next one is not followed by a comma",
        }
    }

    /// Whether a line of a quoted cell is a row itself, or its first line the rest of one.
    fn holds_rows(&self, quoted: &str, cell: usize) -> bool {
        let Some((column, mark)) = self.mark else { return false };
        let Some((first, rest)) = quoted.split_once('\n') else { return false };
        let cells: Vec<&str> = first.trim_end_matches('\r').split(char::from(self.separator)).collect();
        let marked = column.checked_sub(cell).filter(|column| *column > 0);
        let ends_row = cells.len() > 1
            && cell + cells.len() == self.columns
            && marked.is_some_and(|column| cells.get(column).is_some_and(|text| mark.is(text)));
        ends_row || rest.lines().any(|line| self.is_row(line, column, mark))
    }

    fn is_row(&self, line: &str, column: usize, mark: Mark<'_>) -> bool {
        let mut reader = csv::ReaderBuilder::new();
        let reader = reader.has_headers(false).delimiter(self.separator);
        let record = reader.from_reader(line.as_bytes()).records().next().and_then(Result::ok);
        record.is_some_and(|record| record.len() == self.columns && mark.is(&record[column]))
    }
}

/// The length in bytes of a cell that starts with a quotation mark, including both marks; a doubled mark is an escape.
fn quoted_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += bytes[at..].iter().position(|&byte| byte == b'"')? + 1;
        if bytes.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}
