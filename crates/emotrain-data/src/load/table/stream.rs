//! Tables row by row, for files that do not fit in memory. The rows of a dialogue stand together.

use std::path::Path;

use csv::StringRecord;
use emotrain_base::limits;

use super::order::OrderSearch;
use super::own::OwnTable;
use super::quotes::NEVER_CLOSED;
use super::{Columns, Form, Row, dialogue, is_blank};
use crate::error::{DataError, DataProblem, Place};
use crate::io::LineReader;
use crate::load::LabelPolicy;
use crate::load::assemble::{RawDialogue, Refused, Rules};
use crate::load::faults::Faults;
use crate::load::layout::DataLayout;
use crate::load::looks;

/// At most this many bytes of a record, so that a quotation mark that is never closed does not take the whole file in.
const RECORD_BYTES: usize = 2 * limits::UTTERANCE_BYTES;

/// Reads one dialogue at a time. Offsets are lines here, counted from 1.
pub(in crate::load) struct TableStream<'a> {
    lines: LineReader,
    layout: DataLayout<'a>,
    form: OwnTable<'a>,
    columns: Columns,
    rules: Rules<'a>,
    /// What looks for the position, where none is read.
    order: Option<OrderSearch>,
    /// The first row of the next dialogue.
    ahead: Option<(String, Row)>,
    /// The lines of a record; kept to reuse the memory.
    text: String,
    record: StringRecord,
}

impl<'a> TableStream<'a> {
    /// Reads the header; an empty file has no dialogues.
    pub(in crate::load) fn open(
        lines: LineReader,
        layout: DataLayout<'a>,
        rules: Rules<'a>,
    ) -> Result<Self, DataError> {
        let (columns, form) = (Columns::default(), OwnTable::of(layout, ""));
        let (text, record) = (String::new(), StringRecord::new());
        let mut stream = Self { lines, layout, form, columns, rules, order: None, ahead: None, text, record };
        stream.read_header().map_err(|error| {
            let is_other = error.problem().is_of_form();
            match is_other.then(|| looks::other(&stream.text, layout)).flatten() {
                Some(problem) => DataError::new(Place::file(stream.path()), problem),
                None => error,
            }
        })?;
        Ok(stream)
    }

    fn read_header(&mut self) -> Result<(), DataError> {
        if self.next_record()?.is_some() {
            let needs_labels = self.rules.policy != LabelPolicy::Optional;
            let found = self.form.columns(&self.record, needs_labels);
            self.columns = found.map_err(|problem| DataError::new(self.lines.place(), problem))?;
            self.order = self.columns.order_search();
        }
        Ok(())
    }

    pub(in crate::load) fn path(&self) -> &Path {
        self.lines.path()
    }

    /// A column that gives the rows read so far another order.
    pub(in crate::load) fn other_order(&self) -> Option<String> {
        let found = self.order.as_ref()?.found()?;
        found.is_other.then_some(found.column)
    }

    /// Reads the next record; returns its first line.
    fn next_record(&mut self) -> Result<Option<usize>, DataError> {
        self.text.clear();
        let mut begin = None;
        while let Some(line) = self.lines.next_raw()? {
            if begin.is_none() && line.trim().is_empty() {
                continue;
            }
            if begin.is_none() && self.columns.width == 0 {
                self.form = OwnTable::of(self.layout, line);
            }
            self.text.push_str(line);
            let line = *begin.get_or_insert_with(|| self.lines.place().line.unwrap_or(0));
            let quotes = self.columns.quotes(&self.form, self.rules.labels);
            match quotes.first_problem(&self.text) {
                Some((_, NEVER_CLOSED)) if self.text.len() < RECORD_BYTES => {}
                Some((_, problem)) => return Err(self.error(line, problem)),
                None => return self.parse(line).map(Some),
            }
        }
        begin.map_or(Ok(None), |line| Err(self.error(line, NEVER_CLOSED)))
    }

    fn parse(&mut self, line: usize) -> Result<usize, DataError> {
        let mut reader = csv::ReaderBuilder::new();
        let reader = reader.has_headers(false).flexible(true).delimiter(self.form.separator());
        let mut reader = reader.buffer_capacity(self.text.len()).from_reader(self.text.as_bytes());
        let read = reader.read_record(&mut self.record);
        read.map_err(|error| self.error(line, DataProblem::InvalidCsv(error.to_string())))?;
        Ok(line)
    }

    fn error(&self, line: usize, problem: DataProblem) -> DataError {
        DataError::new(Place::line(self.path(), line), problem)
    }

    /// The next dialogue, with the faults of its rows.
    pub(in crate::load) fn next_dialogue(
        &mut self,
    ) -> Result<Option<(RawDialogue<'static>, Faults)>, DataError> {
        let mut faults = Faults::default();
        let mut rows = Vec::new();
        let mut current = self.ahead.take().map(|(id, row)| {
            rows.push(row);
            id
        });
        while let Some(line) = self.next_record()? {
            if is_blank(&self.record) {
                continue;
            }
            match self.columns.row(&self.record, line, &self.form) {
                Ok((id, row)) if current.as_ref().is_none_or(|current| *current == id) => {
                    current = Some(id);
                    rows.push(row);
                }
                Ok(ahead) => {
                    self.ahead = Some(ahead);
                    break;
                }
                Err(problem) => faults.add(problem, || Place::line(self.lines.path(), line)),
            }
        }
        let Some(id) = current else {
            return faults.into_error(self.path()).map_or(Ok(None), Err);
        };
        if let Some(order) = &mut self.order {
            order.see(&rows);
        }
        let (raw, clashes) = dialogue(id, rows);
        for clash in clashes {
            let problem = clash.problem(clash.first_offset);
            let Refused { offset: line, subject, problem } =
                Refused::dialogue(&raw.id, clash.offset, problem);
            faults.add(problem, || Place { path: self.path().to_owned(), line: Some(line), subject });
        }
        Ok(Some((raw, faults)))
    }
}
