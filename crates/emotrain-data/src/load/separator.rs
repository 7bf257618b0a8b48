//! What separates the cells of a table.

use emotrain_recipe::DataFormat;

/// The separator of a table that begins like this: a tab in TSV; in CSV a comma, or the semicolon that spreadsheets write
/// where the comma is the decimal sign, whichever the header has more of.
pub(super) fn separator(format: DataFormat, beginning: &str) -> u8 {
    if format == DataFormat::Tsv {
        return b'\t';
    }
    let header = beginning.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let (mut commas, mut semicolons, mut is_quoted) = (0, 0, false);
    for byte in header.bytes() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => commas += 1,
            b';' if !is_quoted => semicolons += 1,
            _ => {}
        }
    }
    if semicolons > commas { b';' } else { b',' }
}
