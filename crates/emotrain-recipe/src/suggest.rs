//! "Did you mean …?": the known names most similar to an unknown one.

use emotrain_base::typing_errors;
use unicode_normalization::UnicodeNormalization as _;

/// At most this many names are suggested.
const MOST: usize = 3;

/// The candidates nearest to `written`: those with the fewest typing errors (all of them in a tie), else those that
/// share whole words with it. Empty if nothing is similar.
///
/// Case and the difference between `-`, `_` and a space do not count as errors.
pub(crate) fn nearest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Vec<&'c str> {
    let written = folded(written);
    let candidates: Vec<_> = candidates.into_iter().collect();
    let allowed = (written.chars().count() / 3).max(1);
    let distance = |candidate: &str| typing_errors(&written, &folded(candidate));
    let least = candidates.iter().map(|candidate| distance(candidate)).min();
    let mut found: Vec<_> = match least {
        Some(least) if least <= allowed => {
            candidates.into_iter().filter(|candidate| distance(candidate) == least).collect()
        }
        _ => candidates.into_iter().filter(|candidate| shares_words(&written, candidate)).collect(),
    };
    if found.len() > MOST {
        found.clear();
    }
    found
}

/// The normalised spelling of a name: lower case, words joined by one `_`, Unicode NFC. A hyphen joins words; where none
/// follows or comes before it is a sign and stays: `-1` and `B-` are not `1` and `B`.
pub fn folded(name: &str) -> String {
    let name = composed(name);
    let name = name.trim();
    let joins = |at: usize| {
        let is_word = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace() && c != '-' && c != '_');
        is_word(name[..at].chars().next_back()) && is_word(name[at + 1..].chars().next())
    };
    let words: String =
        name.char_indices().map(|(at, c)| if c == '-' && joins(at) { ' ' } else { c }).collect();
    let words = words.split(|c: char| c.is_whitespace() || c == '_');
    composed(&words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect::<Vec<_>>().join("_"))
}

/// The text in Unicode's normal form NFC: files from a Mac may write `é` as `e` and an accent.
pub fn composed(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { text.nfc().collect() }
}

/// Whether a name has a line break, a tab or another control character between its ends: no label has one.
pub fn has_control(name: &str) -> bool {
    name.trim().chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// Whether one name is made of words of the other: `lr_scheduler` and `lr_scheduler_type`.
fn shares_words(written: &str, candidate: &str) -> bool {
    let candidate = folded(candidate);
    let within = |inner: &str, outer: &str| inner.split('_').all(|word| outer.split('_').any(|w| w == word));
    within(written, &candidate) || within(&candidate, written)
}

/// `did you mean "a" or "b"?`, or `None` if there is nothing to suggest.
pub(crate) fn did_you_mean(names: &[&str]) -> Option<String> {
    (!names.is_empty()).then(|| format!("did you mean {}?", either(names)))
}

/// `"a", "b", "c"`.
pub(crate) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

/// `"a", "b" or "c"`.
pub(crate) fn either(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.join(""),
    }
}

#[cfg(test)]
mod tests {
    use super::{did_you_mean, nearest};

    #[test]
    fn ties_are_all_named_and_far_names_are_not() {
        let keys = ["adam_beta1", "adam_beta2", "learning_rate", "num_train_epochs"];
        assert_eq!(nearest("adam_beta3", keys), ["adam_beta1", "adam_beta2"]);
        assert_eq!(nearest("Learning-Rat", keys), ["learning_rate"]);
        assert_eq!(nearest("train_epochs", keys), ["num_train_epochs"]);
        assert!(nearest("colour", keys).is_empty());
    }

    #[test]
    fn a_question_needs_a_name() {
        assert_eq!(did_you_mean(&["a", "b"]).as_deref(), Some("did you mean \"a\" or \"b\"?"));
        assert_eq!(did_you_mean(&[]), None);
    }
}
