//! Invisible characters.

use std::borrow::Cow;

/// Whether the character is invisible: Unicode's default ignorable characters, controls, the blank of Braille. White
/// space is handled separately.
pub(crate) fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// The text with only visible characters and white space.
pub(crate) fn without_invisible(text: &str) -> Cow<'_, str> {
    let stays = |character: &char| character.is_whitespace() || !is_invisible(*character);
    if text.chars().all(|character| stays(&character)) {
        return Cow::Borrowed(text);
    }
    text.chars().filter(stays).collect()
}

/// The text without control characters, terminal escape sequences and byte order marks; tabs and line breaks stay, and
/// other line and page separators become spaces.
pub(super) fn without_controls(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unwanted) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => skip_sequence(&mut characters),
            '\u{b}' | '\u{c}' => kept.push(' '),
            _ if is_unwanted(character) => {}
            _ => kept.push(character),
        }
    }
    Cow::Owned(kept)
}

fn is_unwanted(character: char) -> bool {
    character == '\u{feff}' || (character.is_ascii_control() && !"\n\t\r".contains(character))
}

/// The rest of an escape sequence that starts with `[`: parameters, and one letter.
fn skip_sequence(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    if characters.next_if_eq(&'[').is_some() {
        while characters.next_if(|next| matches!(next, ' '..='?')).is_some() {}
        characters.next_if(|next| matches!(next, '@'..='~'));
    }
}
