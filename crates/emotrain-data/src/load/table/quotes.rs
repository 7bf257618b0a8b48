//! Quotation marks that swallow rows.
//!
//! A cell that starts with a quotation mark ends at the next one, across commas and lines. If the text itself starts
//! with one, and the program that wrote the CSV did not quote it, the following rows become part of it. The signs: the
//! mark is never closed, the closing mark is not followed by a comma, or a line within the cell looks like a row.

use super::whole;
use crate::error::DataProblem;

/// The structure of a table's rows.
pub(super) struct Quotes {
    /// Cells per row.
    pub(super) columns: usize,
    /// The cell that is an integer.
    pub(super) number: usize,
}

impl Quotes {
    /// The first cell whose quotation mark cannot be an opening one: its byte offset, and the problem.
    pub(super) fn first_problem(&self, text: &str) -> Option<(usize, DataProblem)> {
        let bytes = text.as_bytes();
        let (mut at, mut cell) = (0, 0);
        while at < bytes.len() {
            let mut end = at;
            if bytes[at] == b'"' {
                let Some(length) = quoted_length(&bytes[at..]) else {
                    return Some((at, DataProblem::OpenQuote("it is never closed")));
                };
                end = at + length;
                if self.holds_rows(&text[at + 1..end - 1], cell) {
                    return Some((at, DataProblem::OpenQuote("the text up to the next one looks like rows")));
                }
                end += bytes[end..].iter().take_while(|&&byte| byte == b' ').count();
                if bytes.get(end).is_some_and(|byte| !b",\r\n".contains(byte)) {
                    return Some((at, DataProblem::OpenQuote("the next one is not followed by a comma")));
                }
            }
            end += bytes[end..].iter().take_while(|byte| !b",\r\n".contains(byte)).count();
            cell = if bytes.get(end) == Some(&b',') { cell + 1 } else { 0 };
            at = end + 1;
        }
        None
    }

    /// Whether a line of a quoted cell is a row itself, or its first line the rest of one.
    fn holds_rows(&self, quoted: &str, cell: usize) -> bool {
        let Some((first, rest)) = quoted.split_once('\n') else { return false };
        let is_number = |text: &str| whole(text.trim()).parse::<u64>().is_ok();
        let cells: Vec<&str> = first.trim_end_matches('\r').split(',').collect();
        let number = self.number.checked_sub(cell).filter(|number| *number > 0);
        let ends_row = cells.len() > 1
            && cell + cells.len() == self.columns
            && number.is_none_or(|number| cells.get(number).is_some_and(|text| is_number(text)));
        ends_row || rest.lines().any(|line| self.is_row(line))
    }

    fn is_row(&self, line: &str) -> bool {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
        let record = reader.records().next().and_then(Result::ok);
        record.is_some_and(|record| {
            record.len() == self.columns && whole(record[self.number].trim()).parse::<u64>().is_ok()
        })
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
