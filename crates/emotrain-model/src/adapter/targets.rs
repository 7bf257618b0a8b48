//! Which layers an adapter adapts, and with which rank: the rules by which PEFT matches the names of modules
//! (`peft/tuners/tuners_utils.py`, `peft/utils/other.py`).

use fancy_regex::Regex;

/// A name of PEFT's matches a module whose path is it, or ends in `.` and it.
#[derive(Debug)]
pub(crate) enum Names {
    /// Every linear layer but the head (`"all-linear"`).
    AllLinear,
    /// Each by its path or the end of it.
    Listed(Vec<String>),
    /// A pattern that the whole path must match.
    Pattern(Pattern),
}

impl Names {
    fn hold(&self, path: &str) -> Result<bool, String> {
        match self {
            Self::AllLinear => Ok(true),
            Self::Listed(names) => Ok(names.iter().any(|name| ends_in(path, name))),
            Self::Pattern(pattern) => pattern.matches(path),
        }
    }
}

/// The layers of a decoder that an adapter is for.
#[derive(Debug)]
pub(crate) struct Targets {
    /// `target_modules`.
    pub(crate) modules: Names,
    /// `exclude_modules`.
    pub(crate) excluded: Option<Names>,
    /// `layers_to_transform`: the numbers of the layers; all where there is none.
    pub(crate) layers: Vec<u64>,
    /// `layers_pattern`: where a path has its layer's number, `N` in group `idx`.
    pub(crate) places: Vec<Pattern>,
}

impl Targets {
    /// Whether the layer of this path is adapted.
    ///
    /// # Errors
    /// A pattern that takes too long on it.
    pub(crate) fn hold(&self, path: &str) -> Result<bool, String> {
        if let Some(excluded) = &self.excluded
            && excluded.hold(path)?
        {
            return Ok(false);
        }
        if !self.modules.hold(path)? {
            return Ok(false);
        }
        let by_path = matches!(&self.modules, Names::Listed(names) if names.iter().any(|name| name == path));
        if self.layers.is_empty() || by_path {
            return Ok(true);
        }
        for place in &self.places {
            if let Some(number) = place.number(path)? {
                return Ok(self.layers.contains(&number));
            }
        }
        Ok(false)
    }
}

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

    fn number(&self, path: &str) -> Result<Option<u64>, String> {
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

fn ends_in(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
