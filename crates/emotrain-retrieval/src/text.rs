//! What counts as the same text, and what as a word.

use std::hash::Hasher as _;

use bm25::Tokenizer;

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

    /// Eight bytes at a time: each step multiplies to twice the width and folds the halves together. Kept
    /// on disk, so that it is ours and stays as it is.
    fn of(bytes: &[u8]) -> Self {
        let fold = |state: u64, factor: u64| {
            let product = u128::from(state) * u128::from(factor);
            #[expect(clippy::cast_possible_truncation, reason = "the halves are folded together")]
            let folded = (product >> 64) as u64 ^ product as u64;
            folded
        };
        let (chunks, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let numbers = chunks.iter().chain([&last]).map(|chunk| u64::from_le_bytes(*chunk));
        let mixed = numbers.fold(bytes.len() as u64 ^ 0x243f_6a88_85a3_08d3, |state, number| {
            fold(state ^ number ^ 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d1 ^ state.rotate_left(32) | 1)
        });
        Self(fold(mixed ^ 0x082e_fa98_ec4e_6c89, 0x4528_21e6_38d0_1377))
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
    let mut is_gap = false;
    for character in text.chars() {
        if !character.is_alphanumeric() {
            is_gap = !same.is_empty();
            continue;
        }
        if std::mem::take(&mut is_gap) {
            same.push(' ');
        }
        if character.is_ascii() {
            same.push(character.to_ascii_lowercase());
        } else {
            same.extend(character.to_lowercase());
        }
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
