//! What counts as the same text, and what as a word.

use std::hash::Hasher as _;

use bm25::Tokenizer;
use sha2::{Digest as _, Sha256};

/// A number that stands for a text: equal texts have equal ones, and two different ones among a
/// million have the same with a probability of about 10⁻⁸.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TextKey(pub(crate) u64);

impl TextKey {
    /// Of the text as it stands.
    pub(crate) fn exact(text: &str) -> Self {
        Self::of(text.as_bytes())
    }

    /// Of the text in its [`normalised`] form.
    pub(crate) fn same(text: &str) -> Self {
        Self::of(normalised(text).as_bytes())
    }

    fn of(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self(u64::from_le_bytes(first))
    }
}

/// The text by which two utterances are told to say the same: lower case, runs of anything but letters
/// and digits taken for one space. A text without letters and digits, such as "?!", stays as it is.
///
/// ```
/// use emotrain_retrieval::normalised;
///
/// assert_eq!(normalised("  It’s OVER!! "), normalised("it's over"));
/// assert_ne!(normalised("?!"), normalised("…"));
/// ```
pub fn normalised(text: &str) -> String {
    let mut same = String::with_capacity(text.len());
    for word in words(text) {
        if !same.is_empty() {
            same.push(' ');
        }
        same.extend(word.chars().flat_map(char::to_lowercase));
    }
    if same.is_empty() { text.trim().to_owned() } else { same }
}

/// The runs of letters and digits, as they stand.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Words in lower case, each as often as it occurs. No word is left out and none is cut to its stem: in
/// an utterance of six words "not" and "so" carry the feeling, and the language is not known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Words;

impl Tokenizer for Words {
    fn tokenize(&self, text: &str) -> Vec<String> {
        words(text).map(str::to_lowercase).collect()
    }
}

/// Mixes numbers into one, in order: tells dialogues with equal texts from others.
pub(crate) fn fingerprint(keys: impl IntoIterator<Item = TextKey>) -> u64 {
    let mut mixed = std::hash::DefaultHasher::new();
    for key in keys {
        mixed.write_u64(key.0);
    }
    mixed.finish()
}
