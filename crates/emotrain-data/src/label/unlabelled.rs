//! What data sets write where an utterance has no agreed label.

/// IEMOCAP's marks for utterances whose annotators did not agree (`xxx`) or saw something else (`oth`), and what programs
/// write where there is no value. A label of such a name is a label all the same.
const MARKS: &[&str] = &["xxx", "oth", "other", "-1", "-1.0", "nan", "null"];

/// Whether the word is one of them, whatever its case.
pub(super) fn is_mark(word: &str) -> bool {
    MARKS.iter().any(|mark| mark.eq_ignore_ascii_case(word.trim()))
}
