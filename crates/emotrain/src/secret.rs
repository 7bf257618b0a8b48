//! The key of a server: used, and told to nobody.

use std::fmt;

use crate::env;
use crate::exit::Complaint;

/// Shorter keys are placeholders, as servers of one's own take them; hiding them would tear texts apart.
const SHORTEST_HIDDEN: usize = 8;
const HIDDEN: &str = "[key]";

/// A key, which prints as nothing.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// The key that a text holds, spaces around it apart; `None` where it holds what no key can.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let key = text.trim();
        let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        is_key.then(|| Self(key.to_owned()))
    }

    /// The key in the environment variable of this name.
    ///
    /// # Errors
    /// A variable that is not set, is empty, or holds what no key can.
    pub(crate) fn from_environment(name: &str) -> Result<Self, Complaint> {
        let Some(value) = env::variable(name) else {
            let message =
                format!("interpret.api_key_env: the environment variable {name} is not set or is empty");
            return Err(
                Complaint::usage(message).hint(format!("export {name}=…, or write api_key_env = \"\""))
            );
        };
        value.to_str().and_then(Self::new).ok_or_else(|| {
            let message = format!("interpret.api_key_env: what {name} holds is no key");
            Complaint::usage(message).hint("a key is one word of plain letters, digits and signs")
        })
    }

    /// The key itself, for the request's header and for nothing else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The text with the key taken out, should a server have repeated it.
    pub(crate) fn hide_in(&self, text: String) -> String {
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
