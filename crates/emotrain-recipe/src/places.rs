//! The base folders of relative paths.

use std::path::{Path, PathBuf};

use crate::key::Kind;
use crate::path::is_toml;
use crate::problem::Origin;

/// The folders that paths of a recipe are relative to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Places {
    /// The folder of the recipe file: for input paths written in the file.
    pub(crate) recipe: PathBuf,
    /// The folders of the recipes that it extends.
    pub(crate) bases: Vec<PathBuf>,
    /// The folder the program runs in: for input paths given on the command line.
    pub(crate) working: PathBuf,
}

impl Places {
    /// The base folder of a path in the recipe or on the command line.
    pub(crate) fn base(&self, origin: Origin) -> Option<&Path> {
        match origin {
            Origin::File(_) => Some(&self.recipe),
            Origin::Base(number, _) => self.bases.get(number).map(PathBuf::as_path),
            Origin::Override => Some(&self.working),
            Origin::Curriculum(_) | Origin::Default => None,
        }
    }
}

/// Whether a value of this kind is a path relative to [`Places::base`].
pub(crate) fn is_relative_path(kind: Kind, text: &str) -> bool {
    if kind == Kind::Model {
        return text.split('/').next().is_some_and(|first| first == "." || first == "..");
    }
    let is_file = kind == Kind::InputPath
        || matches!(kind, Kind::WordOrFile(_)) && is_toml(text)
        || matches!(kind, Kind::WordOrPath(words) if !words.contains(&text));
    is_file && !text.is_empty() && Path::new(text).is_relative()
}
