//! How a data file is laid out.

use std::collections::BTreeMap;

use emotrain_recipe::{ColumnRole, DataFormat, DataSection};

/// No names of columns.
static ROLES: BTreeMap<ColumnRole, String> = BTreeMap::new();

/// How a data file is laid out: made from a recipe's `[data]`, or from a format alone.
#[derive(Clone, Copy, Debug)]
pub struct DataLayout<'a> {
    /// Its format.
    pub format: DataFormat,
    /// The columns of a table of one's own, or keys of JSON lines, that are not called like their roles.
    pub columns: &'a BTreeMap<ColumnRole, String>,
}

impl From<DataFormat> for DataLayout<'_> {
    fn from(format: DataFormat) -> Self {
        Self { format, columns: &ROLES }
    }
}

impl<'a> From<&'a DataSection> for DataLayout<'a> {
    fn from(section: &'a DataSection) -> Self {
        Self { format: section.format, columns: &section.columns }
    }
}

impl<'a> DataLayout<'a> {
    /// A file of a format with the columns that were named for files of another one. Those of tables say nothing of JSON.
    pub fn with_columns(
        format: DataFormat,
        of: DataFormat,
        columns: &'a BTreeMap<ColumnRole, String>,
    ) -> Self {
        let columns = if format.is_json_lines() == of.is_json_lines() { columns } else { &ROLES };
        Self { format, columns }
    }
}
