//! Where relative paths start.

use std::path::{Component, Path, PathBuf};

use toml::Value;

use crate::merge::Merged;
use crate::problem::Origin;
use crate::vocabulary::Kind;

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
    /// The folder that a path written in the recipe or on the command line is relative to.
    pub(crate) fn base(&self, origin: Origin) -> Option<&Path> {
        match origin {
            Origin::File(_) => Some(&self.recipe),
            Origin::Base(number, _) => self.bases.get(number).map(PathBuf::as_path),
            Origin::Override => Some(&self.working),
            Origin::Curriculum(_) | Origin::Default => None,
        }
    }

    /// Puts the folders before every relative input path.
    pub(crate) fn resolve(&self, merged: &mut Merged) {
        for (path, key) in merged.paths() {
            let base = match merged.origin(&path) {
                Origin::Curriculum(_) => Some(merged.curriculum_folder()),
                written @ (Origin::File(_) | Origin::Base(..) | Origin::Override | Origin::Default) => {
                    self.base(written)
                }
            };
            let Some(base) = base.map(Path::to_path_buf) else { continue };
            if let Some(Value::String(text)) = merged.value_mut(&path)
                && is_relative_path(key.kind, text)
            {
                *text = joined(&base, Path::new(text)).to_string_lossy().into_owned();
            }
        }
    }
}

fn is_relative_path(kind: Kind, text: &str) -> bool {
    if kind == Kind::Model {
        return text.split('/').next().is_some_and(|first| first == "." || first == "..");
    }
    let is_file = kind == Kind::InputPath
        || matches!(kind, Kind::WordOrFile(_)) && is_toml(text)
        || matches!(kind, Kind::WordOrPath(words) if !words.contains(&text));
    is_file && !text.is_empty() && Path::new(text).is_relative()
}

/// Whether a text that may be a word or a path is a path: it ends in `.toml`.
pub(crate) fn is_toml(text: &str) -> bool {
    Path::new(text).extension().is_some_and(|extension| extension == "toml")
}

/// `base` followed by `path`, where each `..` at the start of `path` takes a folder off `base`.
pub(crate) fn joined(base: &Path, path: &Path) -> PathBuf {
    let mut whole = base.to_path_buf();
    let mut climbing = true;
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir
                if climbing && matches!(whole.components().next_back(), Some(Component::Normal(_))) =>
            {
                whole.pop();
            }
            Component::ParentDir => whole.push(".."),
            Component::Normal(name) => {
                climbing = false;
                whole.push(name);
            }
            Component::Prefix(_) | Component::RootDir => whole.push(component),
        }
    }
    if whole.as_os_str().is_empty() { PathBuf::from(".") } else { whole }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::joined;

    #[test]
    fn leading_parents_climb_out_of_the_base() {
        let cases = [
            ("/a/b", "../c", "/a/c"),
            ("/a/b", "./c/d", "/a/b/c/d"),
            ("/", "../c", "/../c"),
            ("", "../c", "../c"),
            ("..", "../c", "../../c"),
            ("a", "..", "."),
            ("/a", "b/../c", "/a/b/../c"),
        ];
        for (base, path, whole) in cases {
            assert_eq!(joined(Path::new(base), Path::new(path)), Path::new(whole), "{base} + {path}");
        }
    }
}
