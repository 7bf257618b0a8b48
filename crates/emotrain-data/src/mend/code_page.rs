//! Windows-1252, and characters that represent its bytes.

use std::borrow::Cow;

/// Windows-1252 at 0x80 to 0x9F; `None` where the code page is undefined.
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

/// The text with every stray control character (U+0080 to U+009F) replaced by the intended punctuation. The five
/// characters that are undefined in Windows-1252 are removed.
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

/// The byte above ASCII that this character represents in Windows-1252 or Latin-1.
pub(super) fn byte(character: char) -> Option<u8> {
    if let Ok(byte) = u8::try_from(character) {
        return (byte >= 0x80).then_some(byte);
    }
    let place = CP1252.iter().position(|shown| *shown == Some(character))?;
    u8::try_from(0x80 + place).ok()
}
