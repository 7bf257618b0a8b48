//! Columns that a table of one's own lacks.

use std::fmt;

/// At most this many columns of the file are listed.
const LISTED: usize = 30;

/// Columns that a table lacks.
#[derive(Debug, PartialEq, Eq)]
pub struct MissingColumns {
    /// What was looked for, quoted.
    pub missing: Vec<String>,
    /// The columns of the file.
    pub found: Vec<String>,
    /// The entries of `data.columns` that would name all columns: the role, and the column.
    pub line: Vec<(String, String)>,
}

impl MissingColumns {
    pub(super) fn hint(&self) -> String {
        format!("write columns = {} under [data]", self.table())
    }

    /// The columns as a recipe names them: `{ dialogue = "conv_id", text = "utt" }`.
    pub(super) fn table(&self) -> String {
        let pairs: Vec<String> = self.line.iter().map(|(role, name)| format!("{role} = {name:?}")).collect();
        format!("{{ {} }}", pairs.join(", "))
    }

    /// The columns as an option names them: `dialogue=conv_id,text=utt`.
    pub(super) fn pairs(&self) -> String {
        let pairs: Vec<String> = self.line.iter().map(|(role, name)| format!("{role}={name}")).collect();
        pairs.join(",")
    }
}

impl fmt::Display for MissingColumns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = &self.found[..self.found.len().min(LISTED)];
        let missing = match self.missing.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => self.missing.concat(),
        };
        write!(f, "no column {missing}: the columns are {}", listed.join(", "))?;
        if self.found.len() > LISTED { f.write_str(", …") } else { Ok(()) }
    }
}
