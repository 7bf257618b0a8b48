//! UTF-8 that was decoded as Windows-1252: `CafÃ©` for `Café`, `â€™` for `’`.
//!
//! A run of such characters is repaired if it cannot be anything else. What might be intended (`É’`, `à »` with a
//! no-break space, `MANHÃ…`) is repaired only if all non-ASCII text is of this kind, more than once.

use std::borrow::Cow;

use super::code_page::byte;

/// How often a text may have been decoded wrongly.
const MOST_ROUNDS: usize = 3;

/// The text with doubly decoded characters decoded once.
pub(super) fn mended(text: &str) -> Cow<'_, str> {
    let mut mended = Cow::Borrowed(text);
    for _ in 0..MOST_ROUNDS {
        match round(&mended) {
            Some(better) => mended = Cow::Owned(better),
            None => break,
        }
    }
    mended
}

fn round(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let characters: Vec<char> = text.chars().collect();
    let mut runs = Vec::new();
    let (mut at, mut all) = (0, true);
    while at < characters.len() {
        if let Some(run) = Run::at(at, &characters) {
            at = run.end();
            runs.push(run);
        } else {
            all &= characters[at].is_ascii();
            at += 1;
        }
    }
    let several = all && runs.len() > 1;
    runs.retain(|run| {
        is_plausible(run.meant)
            && match run.certainty(&characters) {
                Certainty::Certain => true,
                Certainty::Likely => several,
                Certainty::Doubtful => false,
            }
    });
    if runs.is_empty() {
        return None;
    }
    let (mut better, mut done) = (String::with_capacity(text.len()), 0);
    for run in runs {
        better.extend(&characters[done..run.at]);
        better.push(run.meant);
        done = run.end();
    }
    better.extend(&characters[done..]);
    Some(better)
}

/// Characters that are the bytes of another one.
struct Run {
    at: usize,
    length: usize,
    /// The character that they encode.
    meant: char,
}

impl Run {
    /// The run that starts at a place, if one does.
    fn at(at: usize, characters: &[char]) -> Option<Self> {
        let characters = &characters[at..];
        let first = byte(*characters.first()?)?;
        let length = match first {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => return None,
        };
        let mut bytes = [first, 0, 0, 0];
        for (place, character) in bytes[1..length].iter_mut().zip(characters.get(1..length)?) {
            *place = byte(*character)?;
        }
        let meant = std::str::from_utf8(&bytes[..length]).ok()?.chars().next()?;
        Some(Self { at, length, meant })
    }

    /// The place behind it.
    fn end(&self) -> usize {
        self.at + self.length
    }

    fn certainty(&self, characters: &[char]) -> Certainty {
        let last = characters[self.end() - 1];
        let is_certain = match characters[self.at] {
            'Ã' if "…‘’“”•–—„‚»".contains(last) => {
                let within = characters.get(self.end()).is_some_and(|next| next.is_alphabetic());
                return if within && self.meant.is_alphabetic() {
                    Certainty::Certain
                } else {
                    Certainty::Doubtful
                };
            }
            'Â' | 'Ã' | 'ð' => true,
            'â' => matches!(self.meant, '\u{2000}'..='\u{206f}' | '€' | '™' | '\u{2190}'..='\u{27bf}'),
            'ï' => matches!(self.meant, '\u{feff}' | '\u{fe0f}' | '\u{fffd}'),
            _ => false,
        };
        if is_certain { Certainty::Certain } else { Certainty::Likely }
    }
}

/// Whether the character is a letter of a common script, or a sign.
fn is_plausible(meant: char) -> bool {
    matches!(meant,
        '\u{80}'..='\u{17f}' | '\u{370}'..='\u{6ff}' | '\u{900}'..='\u{1cff}' | '\u{1e00}'..='\u{27bf}'
        | '\u{2b00}'..='\u{2bff}' | '\u{3000}'..='\u{d7ff}' | '\u{f900}'..='\u{fffd}' | '\u{1f000}'..='\u{1faff}')
}

/// The confidence that characters were decoded twice.
enum Certainty {
    /// They never follow each other in real text.
    Certain,
    /// They may follow each other in some languages, but rarely more than once and without other non-ASCII text.
    Likely,
    /// A capitalised word may end with the first, followed by punctuation.
    Doubtful,
}
