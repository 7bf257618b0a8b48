//! Repairing damaged text.
//!
//! Data sets have punctuation that lost its code page (MELD was exported with Windows-1252 bytes taken for Latin-1, so
//! its text has invisible control characters instead of curly quotes, dashes and ellipses), UTF-8 that was read as
//! Windows-1252 and written again, control characters, and invisible characters.

mod code_page;
mod invisible;
mod twice_decoded;

use std::borrow::Cow;

pub(crate) use self::invisible::{is_invisible, without_invisible};

/// The repaired and trimmed text: stray control characters become the punctuation of Windows-1252, doubly decoded text
/// is decoded once, other control characters and terminal escape sequences are removed. A text without a visible
/// character becomes empty.
///
/// Repair precedes trimming: U+0085, an ellipsis here, counts as white space.
pub(crate) fn clean(text: &str) -> (Cow<'_, str>, Mended) {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t' | b'\r')) {
        return (Cow::Borrowed(text.trim()), Mended::No);
    }
    let undisturbed = invisible::without_controls(text);
    let once = twice_decoded::mended(&undisturbed);
    let printable = code_page::mended(&once);
    let mended = invisible::without_controls(&printable);
    let trimmed = mended.trim_matches(|character: char| character.is_whitespace() || is_padding(character));
    if trimmed.chars().all(|character| character.is_whitespace() || is_invisible(character)) {
        return (Cow::Borrowed(""), Mended::Yes);
    }
    if trimmed == text.trim() {
        return (Cow::Borrowed(text.trim()), Mended::No);
    }
    (Cow::Owned(trimmed.to_owned()), Mended::Yes)
}

/// Zero-width characters that mean nothing at the ends of a text.
fn is_padding(character: char) -> bool {
    matches!(character, '\u{200b}' | '\u{2060}' | '\u{feff}')
}

/// The text as every reader of this crate returns it: repaired and trimmed.
///
/// ```
/// assert_eq!(emotrain_data::mended(" It\u{92}s late\u{85} "), "It’s late…");
/// assert_eq!(emotrain_data::mended("CafÃ© â€“ \u{1b}[31mopen\u{1b}[0m"), "Café – open");
/// ```
pub fn mended(text: &str) -> Cow<'_, str> {
    clean(text).0
}

/// Whether [`clean`] changed anything except white space at the ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mended {
    Yes,
    No,
}

#[cfg(test)]
mod tests;
