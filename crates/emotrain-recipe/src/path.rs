//! Recognising and joining paths, without accessing the disk.

use std::path::{Component, Path, PathBuf};

/// Whether a text that may be a word or a path is a path: it ends in `.toml`.
pub(crate) fn is_toml(text: &str) -> bool {
    Path::new(text).extension().is_some_and(|extension| extension == "toml")
}

/// `base` followed by `path`, where each `..` at the start of `path` removes a folder from `base`.
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
