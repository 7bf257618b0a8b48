//! Windows-1252, and characters that stand for its bytes.

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

/// The text with every stray control character (U+0080 to U+009F) replaced by the punctuation that was meant. The
/// five characters without a meaning in Windows-1252 are left out.
pub(super) fn mended(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_stray) {
        return Cow::Borrowed(text);
    }
    let meant = |character| if is_stray(character) { meant(character) } else { Some(character) };
    text.chars().filter_map(meant).collect()
}

pub(super) fn is_stray(character: char) -> bool {
    ('\u{80}'..='\u{9f}').contains(&character)
}

fn meant(stray: char) -> Option<char> {
    CP1252.get((stray as usize).checked_sub(0x80)?).copied().flatten()
}

/// The byte that a program which takes bytes for Windows-1252 or Latin-1 shows as this character, above ASCII.
pub(super) fn byte(character: char) -> Option<u8> {
    if let Ok(byte) = u8::try_from(character) {
        return (byte >= 0x80).then_some(byte);
    }
    let place = CP1252.iter().position(|shown| *shown == Some(character))?;
    u8::try_from(0x80 + place).ok()
}
