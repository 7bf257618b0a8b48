//! Counts over generated texts: emotion words in them, and lengths.

use emotrain_data::LabelSet;

use super::Query;

/// The maximum number of words in a label or its spellings.
const LONGEST_LABEL: usize = 3;

/// The counts over the texts of one reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    /// Texts that contain a label.
    pub naming_labels: usize,
    /// Texts shorter or longer than the query asks for.
    pub length_outside: usize,
}

impl Query {
    /// Counts over the texts of a reply.
    pub fn measure<'t>(&self, texts: impl IntoIterator<Item = &'t str>, labels: &LabelSet) -> Measures {
        let (least, most) = (self.file.min_words.unwrap_or(0), self.file.max_words.unwrap_or(usize::MAX));
        let mut measures = Measures::default();
        for text in texts {
            measures.naming_labels += usize::from(label_words(text, labels) > 0);
            let words = text.split_whitespace().count();
            measures.length_outside += usize::from(!(least..=most).contains(&words));
        }
        measures
    }
}

/// The number of whole words, or groups of words, in a text that are a label of the set or another spelling of one,
/// ignoring case: "joy" occurs in "such joy!", but not in "enjoyed".
pub fn label_words(text: &str, labels: &LabelSet) -> usize {
    // An accent may be separate from its letter.
    let is_within = |letter: char| letter.is_alphanumeric() || matches!(letter, '\'' | '\u{300}'..='\u{36f}');
    let words: Vec<&str> = text.split(|letter: char| !is_within(letter)).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let is_label = |at: usize, length: usize| {
        words.get(at..at + length).is_some_and(|words| labels.resolve(&words.join(" ")).is_some())
    };
    (0..words.len()).filter(|at| (1..=LONGEST_LABEL).any(|length| is_label(*at, length))).count()
}
