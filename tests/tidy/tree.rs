//! The files of the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("tests/tidy is two folders deep")
}

/// Every file that git tracks or would track, relative to [`root`], sorted. In a source archive without git: all.
pub(crate) fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        if root().join(".git").exists() { known_to_git() } else { all_below(root()) };
    files.retain(|file| root().join(file).is_file());
    files.sort();
    files
}

/// The files of [`files`] whose name ends with `extension`.
pub(crate) fn files_with(extension: &str) -> Vec<PathBuf> {
    files().into_iter().filter(|file| file.extension().is_some_and(|found| found == extension)).collect()
}

/// The text of a file of the repository.
pub(crate) fn read(file: &Path) -> String {
    fs_err::read_to_string(root().join(file)).expect("a file of the repository is text")
}

/// The folders of the crates under `crates/`, relative to [`root`].
pub(crate) fn crates() -> Vec<PathBuf> {
    let manifests = files_with("toml").into_iter().filter(|file| file.ends_with("Cargo.toml"));
    let folders = manifests.filter_map(|file| file.parent().map(Path::to_path_buf));
    folders.filter(|folder| folder.starts_with("crates")).collect()
}

fn known_to_git() -> Vec<PathBuf> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").current_dir(root()).args(arguments).output().expect("git runs");
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git ls-files failed: {problem}");
    let names = String::from_utf8(output.stdout).expect("names of files are UTF-8");
    names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect()
}

fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder).expect("a folder of the repository can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_file() {
            files.push(path.strip_prefix(root()).expect("below the root").to_path_buf());
        } else if path != root().join("target") {
            files.extend(all_below(&path));
        }
    }
    files
}
