//! Regular expressions for the paths of layers, as PEFT matches them (`peft/tuners/tuners_utils.py`,
//! `peft/utils/other.py`).

use fancy_regex::Regex;

/// A regular expression of PEFT's, with the text that the file has for it.
#[derive(Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// One that the whole path must match (`target_modules`, `exclude_modules`).
    pub(crate) fn whole(text: &str) -> Result<Self, String> {
        Self::new(&format!(r"\A(?:{text})\z"))
    }

    /// One that must match the path or the end of it behind a `.` (`rank_pattern`, `alpha_pattern`).
    pub(crate) fn end(text: &str) -> Result<Self, String> {
        Self::new(&format!(r"\A(.*\.)?({text})\z"))
    }

    /// One for what stands before the number of a layer; with none, the number is the first that stands between two
    /// dots and is not the path's beginning.
    pub(crate) fn before_number(text: Option<&str>) -> Result<Self, String> {
        match text {
            None => Self::new(r"\A.*?\.[^.]*\.(?P<idx>\d+)\."),
            Some(text) => Self::new(&format!(r"\A(?:\A|.*?\.){text}\.(?P<idx>\d+)\.")),
        }
    }

    fn new(text: &str) -> Result<Self, String> {
        Regex::new(text).map(Self).map_err(|error| format!("not a regular expression: {error}"))
    }

    /// Whether the pattern fits.
    ///
    /// # Errors
    /// When it takes too long.
    pub(crate) fn matches(&self, path: &str) -> Result<bool, String> {
        self.0.is_match(path).map_err(|error| slow(&error))
    }

    /// The number of a layer, where the pattern is for what stands before it.
    ///
    /// # Errors
    /// When it takes too long.
    pub(crate) fn number(&self, path: &str) -> Result<Option<u64>, String> {
        let found = self.0.captures(path).map_err(|error| slow(&error))?;
        Ok(found.and_then(|found| found.name("idx")?.as_str().parse().ok()))
    }
}

/// The value of the first pattern that fits the path of a layer.
///
/// # Errors
/// A pattern that takes too long on it.
pub(crate) fn first_fit<T: Copy>(patterns: &[(Pattern, T)], path: &str) -> Result<Option<T>, String> {
    for (pattern, value) in patterns {
        if pattern.matches(path)? {
            return Ok(Some(*value));
        }
    }
    Ok(None)
}

fn slow(error: &fancy_regex::Error) -> String {
    format!("cannot be matched with the names of layers: {error}")
}
