//! The key of a server: used, never shown.

use std::fmt;

/// Shorter keys are placeholders, as servers of one's own take them; hiding them would tear texts apart.
const SHORTEST_HIDDEN: usize = 8;
const HIDDEN: &str = "[key]";

/// A key, which prints as nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The key that a text holds, spaces around it apart; `None` where it holds what no key can.
    pub fn new(text: &str) -> Option<Self> {
        let key = text.trim();
        let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        is_key.then(|| Self(key.to_owned()))
    }

    /// The key itself, for the request's header and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text with the key taken out, should a server have repeated it.
    pub fn hide_in(&self, text: String) -> String {
        if self.0.len() >= SHORTEST_HIDDEN && text.contains(&self.0) {
            text.replace(&self.0, HIDDEN)
        } else {
            text
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_word() {
        assert_eq!(Secret::new(" hf_0123\n").unwrap().expose(), "hf_0123");
        for text in ["", " \n", "two words", "line\r\nX-Other: 1", "schlüssel", "\u{0}"] {
            assert_eq!(Secret::new(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        let key = Secret("sk-0123456789".to_owned());
        assert_eq!(format!("{key:?}"), "[key]");
        assert_eq!(key.hide_in("wrong key sk-0123456789!".to_owned()), "wrong key [key]!");
        assert_eq!(Secret("EMPTY".to_owned()).hide_in("EMPTY".to_owned()), "EMPTY");
    }
}
