//! The tables of MELD and EmoryNLP: columns `Utterance`, `Speaker`, `Emotion`, `Utterance_ID`, and those that identify
//! the dialogue. Other columns are ignored.

use csv::StringRecord;

use super::{Columns, Form};
use crate::error::DataProblem;

const TEXT: &str = "Utterance";
const SPEAKER: &str = "Speaker";
const EMOTION: &str = "Emotion";
const NUMBER: &str = "Utterance_ID";

/// What is specific to one data set's tables.
pub(in crate::load) struct Published {
    /// The columns that together identify a dialogue.
    pub(in crate::load) key: &'static [&'static str],
    /// The dialogue's id made from their cells.
    pub(in crate::load) id: fn(&[&str]) -> String,
    /// The speaker's name made from the cell.
    pub(in crate::load) speaker: fn(&str) -> String,
}

impl Form for Published {
    fn separator(&self) -> u8 {
        b','
    }

    fn columns(&self, header: &StringRecord, needs_labels: bool) -> Result<Columns, DataProblem> {
        let find = |column: &'static str| {
            let found = header.iter().position(|name| name.trim() == column);
            found.ok_or_else(|| self.missing(header, column))
        };
        let label = match find(EMOTION) {
            Err(problem) if needs_labels => return Err(problem),
            other => other.ok(),
        };
        let key = self.key.iter().map(|column| find(column)).collect::<Result<_, _>>();
        Ok(Columns {
            width: header.len(),
            key: key?,
            text: find(TEXT)?,
            speaker: Some(find(SPEAKER)?),
            label,
            number: Some((find(NUMBER)?, NUMBER.to_owned())),
            takes_times: false,
            others: Vec::new(),
        })
    }

    fn id(&self, key: &[&str]) -> String {
        (self.id)(key)
    }

    fn speaker(&self, cell: &str) -> String {
        (self.speaker)(cell)
    }
}

impl Published {
    /// The problem with a header that lacks a column.
    fn missing(&self, header: &StringRecord, column: &'static str) -> DataProblem {
        if header.len() == 1 {
            let name = |separator| match separator {
                '\t' => "a tab",
                ';' => ";",
                _ => "|",
            };
            let separators = [';', '\t', '|'];
            if let Some(separator) = separators.into_iter().find(|&separator| header[0].contains(separator)) {
                return DataProblem::OtherSeparator(name(separator));
            }
        }
        DataProblem::MissingColumn { column, nearest: self.nearest(header, column) }
    }

    /// The most similar name in the header, if it is a misspelling and not another column.
    fn nearest(&self, header: &StringRecord, column: &str) -> Option<String> {
        let is_other =
            |name: &str| [TEXT, SPEAKER, EMOTION, NUMBER].contains(&name) || self.key.contains(&name);
        let candidates = header.iter().map(str::trim).filter(|name| !is_other(name));
        let lower: Vec<(String, &str)> = candidates.map(|name| (name.to_lowercase(), name)).collect();
        let names = lower.iter().map(|(lower, _)| lower.as_str());
        let near = emotrain_base::nearest(&column.to_lowercase(), names)?;
        lower.iter().find(|(lower, _)| lower == near).map(|(_, name)| (*name).to_owned())
    }
}
