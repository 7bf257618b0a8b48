//! What data sets write for utterances without an agreed label.

/// IEMOCAP's marks for utterances whose annotators disagreed (`xxx`) or saw another emotion (`oth`), and what programs
/// write for missing values. A label with such a name is still a label.
const MARKS: &[&str] = &["xxx", "oth", "other", "-1", "-1.0", "-", "--", "nan", "null"];

/// Whether the word is one of them, ignoring case.
pub(super) fn is_mark(word: &str) -> bool {
    MARKS.iter().any(|mark| mark.eq_ignore_ascii_case(word.trim()))
}
