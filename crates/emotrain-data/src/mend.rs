//! Punctuation that lost its code page.
//!
//! MELD was exported with Windows-1252 bytes taken for Latin-1, so that its text holds invisible
//! control characters (U+0080 to U+009F) where curly quotes, dashes and dots were meant.

use std::borrow::Cow;

/// What Windows-1252 prints at 0x80 to 0x9F; `None` where the code page is empty.
const CP1252: [Option<char>; 32] = [
    Some('€'),
    None,
    Some('‚'),
    Some('ƒ'),
    Some('„'),
    Some('…'),
    Some('†'),
    Some('‡'),
    Some('ˆ'),
    Some('‰'),
    Some('Š'),
    Some('‹'),
    Some('Œ'),
    None,
    Some('Ž'),
    None,
    None,
    Some('‘'),
    Some('’'),
    Some('“'),
    Some('”'),
    Some('•'),
    Some('–'),
    Some('—'),
    Some('˜'),
    Some('™'),
    Some('š'),
    Some('›'),
    Some('œ'),
    None,
    Some('ž'),
    Some('Ÿ'),
];

/// The text with every stray control character replaced by the punctuation that was meant, and
/// trimmed. The five characters without a meaning in Windows-1252 are left out.
///
/// Mending comes before trimming: U+0085, an ellipsis here, counts as white space.
pub(crate) fn clean(text: &str) -> (Cow<'_, str>, Mended) {
    if text.is_ascii() || !text.chars().any(is_stray) {
        return (Cow::Borrowed(text.trim()), Mended::No);
    }
    let mended: String = text
        .chars()
        .filter_map(|character| if is_stray(character) { meant(character) } else { Some(character) })
        .collect();
    (Cow::Owned(mended.trim().to_owned()), Mended::Yes)
}

/// The text as every reader of this crate gives it: without stray control characters and trimmed.
///
/// ```
/// assert_eq!(emotrain_data::mended(" It\u{92}s late\u{85} "), "It’s late…");
/// ```
pub fn mended(text: &str) -> Cow<'_, str> {
    clean(text).0
}

/// Whether [`clean`] replaced anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mended {
    Yes,
    No,
}

fn is_stray(character: char) -> bool {
    ('\u{80}'..='\u{9f}').contains(&character)
}

fn meant(stray: char) -> Option<char> {
    CP1252.get((stray as usize).checked_sub(0x80)?).copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_the_punctuation_that_was_meant() {
        let (text, mended) = clean("it\u{92}s \u{93}late\u{94} \u{97} or early\u{85}");
        assert_eq!(text, "it’s “late” — or early…");
        assert_eq!(mended, Mended::Yes);
    }

    #[test]
    fn a_leading_ellipsis_is_not_taken_for_white_space() {
        assert_eq!(clean(" \u{85}fine ").0, "…fine");
    }

    #[test]
    fn characters_without_a_meaning_are_left_out() {
        assert_eq!(clean("a\u{81}\u{8d}\u{8f}\u{90}\u{9d}b").0, "ab");
    }

    #[test]
    fn sound_text_is_only_trimmed() {
        let (text, mended) = clean("\u{a0} déjà — vu…\n");
        assert_eq!(text, "déjà — vu…");
        assert_eq!(mended, Mended::No);
        assert!(matches!(text, Cow::Borrowed(_)));
    }

    #[test]
    fn nothing_stray_survives() {
        let every: String = ('\u{80}'..='\u{9f}').collect();
        let (text, _) = clean(&every);
        assert!(!text.chars().any(is_stray));
        assert_eq!(text.chars().count(), 27);
    }
}
