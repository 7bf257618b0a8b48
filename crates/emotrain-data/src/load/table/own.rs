//! Tables of one's own: separated by commas, semicolons or tabs, with the columns that `data.columns` names.

use std::collections::BTreeMap;

use csv::StringRecord;
use emotrain_recipe::{ColumnRole, DataFormat, folded};

use super::contents::Contents;
use super::moment::{looks_like_a_time, place};
use super::{Columns, Form};
use crate::error::{DataProblem, MissingColumns};
use crate::load::layout::DataLayout;
use crate::load::other_names::{means_position, others_of, says};
use crate::load::separator::separator;

/// All that columns are read for.
const ROLES: [ColumnRole; 5] =
    [ColumnRole::Dialogue, ColumnRole::Position, ColumnRole::Speaker, ColumnRole::Text, ColumnRole::Label];

/// No names of columns.
static NONE: BTreeMap<ColumnRole, String> = BTreeMap::new();

/// A table whose columns a recipe names.
pub(in crate::load) struct OwnTable<'a> {
    separator: u8,
    /// The columns that are not called like their roles.
    names: &'a BTreeMap<ColumnRole, String>,
}

impl<'a> OwnTable<'a> {
    /// The table of a layout that has columns, whose text begins like this.
    pub(in crate::load) fn of(layout: DataLayout<'a>, beginning: &str) -> Self {
        Self { separator: separator(layout.format, beginning), names: layout.columns }
    }
}

impl Form for OwnTable<'_> {
    fn separator(&self) -> u8 {
        self.separator
    }

    fn columns(&self, header: &StringRecord, needs_labels: bool) -> Result<Columns, DataProblem> {
        let header: Vec<&str> = header.iter().map(str::trim).collect();
        if header.first().is_some_and(|first| first.starts_with("sep=")) {
            return Err(DataProblem::SeparatorLine);
        }
        if let [only] = header[..]
            && only.contains('|')
        {
            return Err(DataProblem::OtherSeparator("|"));
        }
        let mut found = BTreeMap::new();
        let mut missing = Vec::new();
        for role in ROLES {
            let is_needed = match role {
                ColumnRole::Dialogue | ColumnRole::Text => true,
                ColumnRole::Label => needs_labels,
                ColumnRole::Position | ColumnRole::Speaker => false,
            };
            let mut column = self.find(&header, role)?;
            if column.is_none() && !needs_labels && role != ColumnRole::Label {
                // Other columns than those of the training may be called like their roles.
                column = OwnTable { names: &NONE, ..*self }.find(&header, role)?;
            }
            match column {
                Some(column) => drop(found.insert(role, column)),
                // What is to be labelled has no labels, whatever they are called where the model was trained; and where
                // rows have no numbers they keep their order.
                None if matches!(role, ColumnRole::Label | ColumnRole::Position) && !needs_labels => {}
                None if is_needed || self.names.contains_key(&role) => missing.push(role),
                None => {}
            }
        }
        let (Some(&dialogue), Some(&text), true) =
            (found.get(&ColumnRole::Dialogue), found.get(&ColumnRole::Text), missing.is_empty())
        else {
            return Err(self.missing(&header, &missing));
        };
        // Numbers that are not called like the position that is given out are kept, so that rows can be joined again.
        let is_kept = |role: ColumnRole, column: usize| {
            role == ColumnRole::Position && !header[column].eq_ignore_ascii_case(role.as_str())
        };
        let is_read =
            |column: &usize| found.iter().any(|(role, read)| read == column && !is_kept(*role, *read));
        let others = (0..header.len()).filter(|column| !is_read(column));
        Ok(Columns {
            width: header.len(),
            key: vec![dialogue],
            text,
            speaker: found.get(&ColumnRole::Speaker).copied(),
            label: found.get(&ColumnRole::Label).copied(),
            number: found.get(&ColumnRole::Position).map(|&column| (column, header[column].to_owned())),
            takes_times: true,
            others: others.map(|column| (column, header[column].to_owned())).collect(),
        })
    }

    fn id(&self, key: &[&str]) -> String {
        key.join("_")
    }

    fn speaker(&self, cell: &str) -> String {
        cell.to_owned()
    }
}

impl OwnTable<'_> {
    /// The name in the recipe, or else the role's own.
    fn name(&self, role: ColumnRole) -> &str {
        self.names.get(&role).map_or(role.as_str(), |name| name.trim())
    }

    /// The column that is read for this.
    fn find(&self, header: &[&str], role: ColumnRole) -> Result<Option<usize>, DataProblem> {
        let name = self.name(role);
        let is_named = self.names.contains_key(&role);
        let same = |column: &&str| *column == name || (!is_named && column.eq_ignore_ascii_case(name));
        let found: Vec<usize> = (0..header.len()).filter(|&column| same(&header[column])).collect();
        match found[..] {
            [] => Ok(None),
            // A column that is read for something else is not read for this too.
            [column] => Ok((is_named || !self.is_named(header[column])).then_some(column)),
            _ => Err(DataProblem::InvalidCsv(format!("the header has {name:?} {} times", found.len()))),
        }
    }

    fn is_named(&self, column: &str) -> bool {
        self.names.values().any(|name| name.trim() == column)
    }

    /// The problem with a header that lacks columns, with a line that would name all of them.
    fn missing(&self, header: &[&str], missing: &[ColumnRole]) -> DataProblem {
        let mut line = self.names.clone();
        let own = |role: ColumnRole| header.iter().any(|column| column.eq_ignore_ascii_case(role.as_str()));
        let others = ROLES.into_iter().filter(|role| !missing.contains(role));
        let others = others.filter(|role| !own(*role) && !self.names.contains_key(role));
        for role in missing.iter().copied().chain(others) {
            let is_missing = missing.contains(&role);
            let written = self.names.get(&role).map(String::as_str);
            let taken: Vec<&str> = line.values().map(String::as_str).collect();
            let free: Vec<&str> = header.iter().copied().filter(|column| !taken.contains(column)).collect();
            let meant = if is_missing {
                Some(guess(role, written, free.iter().copied()).unwrap_or("…"))
            } else {
                // What a table need not have is named where it seems to be there.
                let numbers = || free.iter().copied().find(|name| means_position(name));
                named(role, &free).or_else(|| numbers().filter(|_| role == ColumnRole::Position))
            };
            if let Some(column) = meant {
                line.insert(role, column.to_owned());
            }
        }
        let quoted = |role: &ColumnRole| match self.names.get(role) {
            Some(name) => format!("{name:?} for {role}"),
            None => format!("{:?}", role.as_str()),
        };
        DataProblem::MissingColumns(Box::new(MissingColumns {
            missing: missing.iter().map(quoted).collect(),
            found: header.iter().map(|&name| name.to_owned()).collect(),
            line: line.into_iter().map(|(role, name)| (role.to_string(), name)).collect(),
        }))
    }
}

/// The columns of a table that seem to be meant, where they are not called like their roles: by other names, or by what
/// is in them. Those that are `given` are meant.
pub(in crate::load) fn suggested_columns(
    text: &str,
    format: DataFormat,
    given: &BTreeMap<ColumnRole, String>,
) -> BTreeMap<ColumnRole, String> {
    let mut records = records(text, format);
    let header = records.next().unwrap_or_default();
    let header: Vec<&str> = header.iter().map(|name| name.trim().trim_start_matches('\u{feff}')).collect();
    let own = |role: ColumnRole| header.iter().find(|name| name.eq_ignore_ascii_case(role.as_str())).copied();
    let is_open = |role: &ColumnRole| own(*role).is_none() && !given.contains_key(role);
    let mut columns = given.clone();
    let free = |columns: &BTreeMap<ColumnRole, String>| -> Vec<usize> {
        let taken = |name: &str| {
            columns.values().any(|other| other == name)
                || ROLES.into_iter().any(|role| own(role) == Some(name))
        };
        (0..header.len()).filter(|place| !taken(header[*place])).collect()
    };
    for role in ROLES.into_iter().filter(is_open) {
        let names: Vec<&str> = free(&columns).into_iter().map(|place| header[place]).collect();
        let is_needed = !matches!(role, ColumnRole::Position | ColumnRole::Speaker);
        let guessed = || guess(role, None, names.iter().copied()).filter(|_| is_needed);
        if let Some(name) = named(role, &names).or_else(guessed) {
            columns.insert(role, name.to_owned());
        }
    }
    for role in ROLES.into_iter().filter(is_open) {
        let names = free(&columns).into_iter().map(|place| header[place]);
        let mut saying = names.filter(|name| says(role, name));
        // Of several none is more likely.
        if let (Some(name), None, false) = (saying.next(), saying.next(), columns.contains_key(&role)) {
            columns.insert(role, name.to_owned());
        }
    }
    // Its numbers show whether it is one.
    columns.retain(|role, _| *role != ColumnRole::Position || given.contains_key(role));
    let unnamed: Vec<ColumnRole> =
        ROLES.into_iter().filter(is_open).filter(|role| !columns.contains_key(role)).collect();
    let contents = Contents::new(records.take(if unnamed.is_empty() { 0 } else { Contents::ROWS }).collect());
    for role in unnamed {
        let free: Vec<(usize, &str)> =
            free(&columns).into_iter().map(|place| (place, header[place])).collect();
        if let Some(place) = contents.column(role, &free) {
            columns.insert(role, header[place].to_owned());
        }
    }
    columns
}

/// The first row of a table without a header: two of its cells or more stand again beneath themselves. `None` where it may
/// be a header.
pub(in crate::load) fn row_for_header(text: &str, format: DataFormat) -> Option<String> {
    let mut records = records(text, format);
    let first = records.next()?;
    // A header that stands between rows too is one.
    let rows: Vec<StringRecord> = records.take(Contents::ROWS).filter(|row| *row != first).collect();
    let stands_again = |&(column, cell): &(usize, &str)| {
        !cell.trim().is_empty() && rows.iter().any(|row| row.get(column) == Some(cell))
    };
    let again = first.iter().enumerate().filter(stands_again).count();
    (again > 1).then(|| first.iter().collect::<Vec<_>>().join(", "))
}

/// The first column whose cells all look like times that are not read.
pub(in crate::load) fn unread_time(text: &str, format: DataFormat) -> Option<String> {
    let mut records = records(text, format);
    let header = records.next()?;
    if header.iter().any(|name| name.trim().eq_ignore_ascii_case(ColumnRole::Position.as_str())) {
        return None;
    }
    let rows: Vec<StringRecord> = records.take(Contents::ROWS).collect();
    let is_unread = |column: &usize| {
        let mut cells = rows.iter().map(|row| row.get(*column).unwrap_or_default().trim());
        !rows.is_empty() && cells.all(|cell| looks_like_a_time(cell) && place(cell).is_none())
    };
    (0..header.len()).find(is_unread).map(|column| header[column].trim().to_owned())
}

/// The rows of a table, the header first, up to one that is none.
fn records(text: &str, format: DataFormat) -> impl Iterator<Item = StringRecord> {
    let mut reader = csv::ReaderBuilder::new();
    let reader = reader.has_headers(false).flexible(true).delimiter(separator(format, text));
    reader.from_reader(text.as_bytes()).into_records().map_while(Result::ok)
}

/// The first of the names that others give it which is there.
fn named<'h>(role: ColumnRole, free: &[&'h str]) -> Option<&'h str> {
    others_of(role).iter().find_map(|other| free.iter().copied().find(|name| folded(name) == *other))
}

/// The column that may be meant.
fn guess<'h>(
    role: ColumnRole,
    written: Option<&str>,
    header: impl Iterator<Item = &'h str> + Clone,
) -> Option<&'h str> {
    let mut folded_names = Vec::new();
    for name in header {
        folded_names.push((folded(name), name));
    }
    let near = |wrong: &str| {
        let near =
            emotrain_base::nearest(&folded(wrong), folded_names.iter().map(|(name, _)| name.as_str()))?;
        folded_names.iter().find(|(name, _)| name == near).map(|(_, name)| *name)
    };
    let named = |other: &&str| folded_names.iter().find(|(name, _)| name == other).map(|(_, name)| *name);
    written.and_then(near).or_else(|| others_of(role).iter().find_map(named)).or_else(|| near(role.as_str()))
}
