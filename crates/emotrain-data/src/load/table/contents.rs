//! Columns that are recognised by what is in them, where their names say nothing.

use std::collections::{BTreeSet, HashSet};

use csv::StringRecord;
use emotrain_recipe::ColumnRole;

use crate::label::{is_emotion, is_unlabelled};
use crate::load::other_names::{means_dialogue, means_position};

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

    /// The one of the free columns, given by their places and names, that has most of what this role has; `None` where no
    /// column has any, or several as much.
    pub(super) fn column(&self, role: ColumnRole, free: &[(usize, &str)]) -> Option<usize> {
        match role {
            ColumnRole::Label => most(free, |(column, _)| self.emotions(column)),
            ColumnRole::Text => most(free, |(column, _)| self.words(column)),
            ColumnRole::Dialogue => self.dialogue(free),
            ColumnRole::Position | ColumnRole::Speaker => None,
        }
    }

    /// The column of the dialogue: one whose rows stand together, or, where the rows of a dialogue are spread over the
    /// table, one that many rows share. Among several, those that are called like one.
    fn dialogue(&self, free: &[(usize, &str)]) -> Option<usize> {
        let named: Vec<(usize, &str)> =
            free.iter().copied().filter(|(_, name)| means_dialogue(name)).collect();
        let others: Vec<(usize, &str)> =
            free.iter().copied().filter(|(_, name)| !means_position(name)).collect();
        most(&named, |(column, _)| self.stretches(column))
            .or_else(|| most(&named, |(column, _)| self.groups(column)))
            .or_else(|| most(free, |(column, _)| self.stretches(column)))
            .or_else(|| only(&others, |(column, _)| self.groups(column)))
            .or_else(|| only(&named, |(column, _)| self.shared(column)))
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

    /// Different values of a column, each of several rows as a rule, and more of them than each has rows.
    fn groups(&self, column: usize) -> Option<usize> {
        let values: BTreeSet<&str> = self.cells(column).collect();
        let (groups, rows) = (values.len(), self.rows.len());
        let is_fit = groups > 1 && 2 * groups <= rows && groups * groups >= rows && !values.contains("");
        is_fit.then_some(groups)
    }

    /// Different values of a column that some rows share.
    fn shared(&self, column: usize) -> Option<usize> {
        let values: BTreeSet<&str> = self.cells(column).collect();
        (values.len() < self.rows.len() && !values.contains("")).then_some(values.len())
    }

    /// Words of a column, three in a cell and more as a rule.
    fn words(&self, column: usize) -> Option<usize> {
        let words: usize = self.cells(column).map(|cell| cell.split_whitespace().count()).sum();
        (words > 0 && words >= 3 * self.rows.len()).then_some(words)
    }
}

/// The place of the column with the greatest measure; `None` where no column has one, or several the greatest.
fn most(columns: &[(usize, &str)], measure: impl Fn((usize, &str)) -> Option<usize>) -> Option<usize> {
    let fitting: Vec<(usize, usize)> =
        columns.iter().filter_map(|column| Some((measure(*column)?, column.0))).collect();
    let (most, best) = fitting.iter().copied().max()?;
    (fitting.iter().filter(|(share, _)| *share == most).count() == 1).then_some(best)
}

/// The place of the only column with a measure.
fn only(columns: &[(usize, &str)], measure: impl Fn((usize, &str)) -> Option<usize>) -> Option<usize> {
    let mut fitting = columns.iter().filter(|column| measure(**column).is_some());
    fitting.next().filter(|_| fitting.next().is_none()).map(|(place, _)| *place)
}
