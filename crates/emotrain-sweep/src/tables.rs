//! Tables in the forms that people paste: text, CSV, Markdown, LaTeX.

use crate::error::SweepError;

/// The form of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Aligned columns.
    Text,
    /// Comma-separated values (RFC 4180).
    Csv,
    /// JSON.
    Json,
    /// A table of GitHub's Markdown.
    Markdown,
    /// A `tabular` with the rules of the package booktabs.
    Latex,
}

impl TableFormat {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Text, Self::Csv, Self::Json, Self::Markdown, Self::Latex];

    /// The name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Markdown => "markdown",
            Self::Latex => "latex",
        }
    }
}

/// A header and rows of cells.
#[derive(Clone, Debug)]
pub struct TextTable {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl TextTable {
    /// A table without rows.
    pub fn new<'a>(header: impl IntoIterator<Item = &'a str>) -> Self {
        Self { header: header.into_iter().map(str::to_owned).collect(), rows: Vec::new() }
    }

    /// Adds a row, with as many cells as the header has.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn has_rows(&self) -> bool {
        !self.rows.is_empty()
    }

    fn all(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.header).chain(&self.rows)
    }

    /// Aligned columns, numbers to the right.
    pub fn plain(&self) -> String {
        let column = |number: usize| self.rows.iter().filter_map(move |row| row.get(number));
        let width =
            |number: usize| self.all().filter_map(|row| row.get(number)).map(|cell| length(cell)).max();
        // Names of runs may begin with a digit.
        let is_numeric =
            |cell: &String| cell.chars().all(|one| one.is_ascii_digit() || "+-±./% to".contains(one));
        let is_number = |number: usize| column(number).all(is_numeric);
        let forms: Vec<(usize, bool)> =
            (0..self.header.len()).map(|number| (width(number).unwrap_or(0), is_number(number))).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&forms).map(|(cell, (width, right))| {
                let gap = " ".repeat(width - length(cell));
                if *right { gap + cell } else { cell.clone() + &gap }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.all().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Comma-separated values, without a line break at the end.
    pub(crate) fn csv(&self) -> Result<String, SweepError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in self.all() {
            writer.write_record(row).map_err(std::io::Error::other)?;
        }
        let bytes = writer.into_inner().map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }

    pub(crate) fn markdown(&self) -> String {
        let escaped = |cell: &String| cell.replace('|', "\\|").replace('\n', " ");
        let line =
            |row: &Vec<String>| format!("| {} |", row.iter().map(escaped).collect::<Vec<_>>().join(" | "));
        let rule = format!("|{}", " --- |".repeat(self.header.len()));
        let mut lines = vec![line(&self.header), rule];
        lines.extend(self.rows.iter().map(line));
        lines.join("\n")
    }

    pub(crate) fn latex(&self) -> String {
        let line = |row: &Vec<String>| {
            format!("{} \\\\", row.iter().map(|cell| latex(cell)).collect::<Vec<_>>().join(" & "))
        };
        let columns = "l".to_owned() + &"r".repeat(self.header.len().saturating_sub(1));
        let mut lines = vec![format!("\\begin{{tabular}}{{{columns}}}"), "\\toprule".to_owned()];
        lines.extend([line(&self.header), "\\midrule".to_owned()]);
        lines.extend(self.rows.iter().map(line));
        lines.extend(["\\bottomrule".to_owned(), "\\end{tabular}".to_owned()]);
        lines.join("\n")
    }
}

fn length(cell: &str) -> usize {
    cell.chars().count()
}

/// Text that LaTeX prints as it is.
fn latex(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', character]),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '\\' => out.push_str("\\textbackslash{}"),
            '±' => out.push_str("$\\pm$"),
            '\n' => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn every_form_keeps_its_special_characters_apart() {
        let mut table = TextTable::new(["recipe", "mean"]);
        table.row(["w/o R & C, 50 %".to_owned(), "61.2 ± 0.4".to_owned()]);
        table.row(["a|b_c\"d,e".to_owned(), "7.0".to_owned()]);
        let all = [table.plain(), table.csv().unwrap(), table.markdown(), table.latex()].join("\n\n");
        expect![[r#"
            recipe                 mean
            w/o R & C, 50 %  61.2 ± 0.4
            a|b_c"d,e               7.0

            recipe,mean
            "w/o R & C, 50 %",61.2 ± 0.4
            "a|b_c""d,e",7.0

            | recipe | mean |
            | --- | --- |
            | w/o R & C, 50 % | 61.2 ± 0.4 |
            | a\|b_c"d,e | 7.0 |

            \begin{tabular}{lr}
            \toprule
            recipe & mean \\
            \midrule
            w/o R \& C, 50 \% & 61.2 $\pm$ 0.4 \\
            a|b\_c"d,e & 7.0 \\
            \bottomrule
            \end{tabular}"#]]
        .assert_eq(&all);
    }
}
