//! Which layers an adapter adapts, and with which rank: the rules by which PEFT matches the names of modules
//! (`peft/tuners/tuners_utils.py`, `peft/utils/other.py`).

use crate::pattern::Pattern;

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

fn ends_in(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
