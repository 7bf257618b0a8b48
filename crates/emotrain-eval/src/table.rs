//! Text tables: the first column is left-aligned, the others right-aligned.

/// Rows of cells; the first row is the header. Rows may be shorter than the header.
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    pub(crate) fn new<'a>(header: impl IntoIterator<Item = &'a str>) -> Self {
        Self(vec![header.into_iter().map(str::to_owned).collect()])
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.push(cells.into_iter().collect());
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) {
        self.0.push(Vec::new());
    }

    /// The table's lines, without trailing blanks; no line break at the end.
    pub(crate) fn render(&self) -> String {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.0.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let lines = self.0.iter().map(|row| line(row, &widths));
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let aligned = row.iter().zip(widths).enumerate().map(|(column, (cell, &width))| match column {
        0 => format!("{cell:width$}"),
        _ => format!("{cell:>width$}"),
    });
    aligned.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}
