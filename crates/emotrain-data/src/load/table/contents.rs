//! Columns that are recognised by what is in them, where their names say nothing.

use std::collections::{BTreeSet, HashSet};

use csv::StringRecord;
use emotrain_recipe::ColumnRole;

use crate::label::{is_emotion, is_unlabelled};

/// The first rows of a table, of which columns are recognised.
pub(super) struct Contents {
    rows: Vec<StringRecord>,
}

impl Contents {
    /// As many rows as are looked at.
    pub(super) const ROWS: usize = 5000;

    pub(super) fn new(rows: Vec<StringRecord>) -> Self {
        Self { rows }
    }

    /// The one of the free columns, given by their places, that has most of what this role has; `None` where no column
    /// has any, or several as much.
    pub(super) fn column(&self, role: ColumnRole, free: &[usize]) -> Option<usize> {
        let share = |column: usize| match role {
            ColumnRole::Label => self.emotions(column),
            ColumnRole::Dialogue => self.stretches(column),
            ColumnRole::Text => self.words(column),
            ColumnRole::Position | ColumnRole::Speaker => None,
        };
        let fitting: Vec<(usize, usize)> =
            free.iter().filter_map(|column| Some((share(*column)?, *column))).collect();
        let (most, best) = fitting.iter().copied().max()?;
        (fitting.iter().filter(|(share, _)| *share == most).count() == 1).then_some(best)
    }

    fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        self.rows.iter().map(move |row| row.get(column).unwrap_or_default().trim())
    }

    /// Names of emotions among the words of a column: two at least, and half of all.
    fn emotions(&self, column: usize) -> Option<usize> {
        let words: BTreeSet<String> = self
            .cells(column)
            .filter(|word| !is_unlabelled(word))
            .map(str::to_lowercase)
            .take_while(|word| word.len() < 40)
            .collect();
        let known = words.iter().filter(|word| is_emotion(word)).count();
        (known >= 2 && 2 * known >= words.len()).then_some(known)
    }

    /// Stretches of rows with the same in a column, which never comes again: several rows long as a rule, and more of them
    /// than each has rows, for a table may also be sorted by positions.
    fn stretches(&self, column: usize) -> Option<usize> {
        let (mut seen, mut last) = (HashSet::new(), None);
        for cell in self.cells(column) {
            if cell.is_empty() || (last != Some(cell) && !seen.insert(cell)) {
                return None;
            }
            last = Some(cell);
        }
        let (stretches, rows) = (seen.len(), self.rows.len());
        (stretches > 1 && 2 * stretches <= rows && stretches * stretches >= rows).then_some(stretches)
    }

    /// Words of a column, three in a cell and more as a rule.
    fn words(&self, column: usize) -> Option<usize> {
        let words: usize = self.cells(column).map(|cell| cell.split_whitespace().count()).sum();
        (words > 0 && words >= 3 * self.rows.len()).then_some(words)
    }
}
