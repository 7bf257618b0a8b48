//! Columns of a table that may be the position, where none is read.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use emotrain_recipe::ColumnRole;

/// The column that seems to be the position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) column: String,
    /// Whether its name or its numbers leave no doubt.
    pub(super) is_sure: bool,
    /// Whether rows stand in another order.
    pub(super) is_other: bool,
}

/// A table whose rows keep their order, and a column that gives them another; displayed as a warning.
#[derive(Clone, Copy, Debug)]
pub struct OtherOrder<'a> {
    /// The table.
    pub path: &'a Path,
    /// The column.
    pub column: &'a str,
}

impl OtherOrder<'_> {
    /// These columns and the position, as a recipe names them.
    pub fn table(&self, columns: &BTreeMap<ColumnRole, String>) -> String {
        let mut columns = columns.clone();
        columns.insert(ColumnRole::Position, self.column.to_owned());
        let pairs: Vec<String> = columns.iter().map(|(role, name)| format!("{role} = {name:?}")).collect();
        format!("{{ {} }}", pairs.join(", "))
    }
}

impl fmt::Display for OtherOrder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, column } = self;
        write!(
            f,
            "{}: rows keep their order in the file, but \"{column}\" looks like their position and gives another",
            path.display()
        )
    }
}
