//! Text comparison, and words.

use std::hash::Hasher as _;

use bm25::Tokenizer;

/// A key of a text: equal texts have equal keys, and among a million different texts two have the same key with a
/// probability of about 10⁻⁸.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TextKey(pub(crate) u64);

impl TextKey {
    /// The key of the literal text.
    pub(crate) fn exact(text: &str) -> Self {
        Self::of(text.as_bytes())
    }

    /// The key of the [`normalised`] text.
    pub(crate) fn same(text: &str) -> Self {
        Self::of(normalised(text).as_bytes())
    }

    /// Eight bytes at a time: each step multiplies to double width and folds the halves. Keys are stored on disk, so
    /// the function is our own and must never change.
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

/// The normalised form in which texts are compared: lower case, with each run of other characters than letters and
/// digits as one space. A text without letters and digits, such as "?!", is unchanged.
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

/// The runs of letters and digits, unchanged.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Words in lower case, with repetitions. No word is left out or stemmed: in an utterance of six words "not" and "so"
/// carry the emotion, and the language is unknown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Words;

impl Tokenizer for Words {
    fn tokenize(&self, text: &str) -> Vec<String> {
        words(text).map(str::to_lowercase).collect()
    }
}

/// Combines keys into one, in order: distinguishes dialogues with equal texts from others.
pub(crate) fn fingerprint(keys: impl IntoIterator<Item = TextKey>) -> u64 {
    let mut mixed = std::hash::DefaultHasher::new();
    for key in keys {
        mixed.write_u64(key.0);
    }
    mixed.finish()
}
