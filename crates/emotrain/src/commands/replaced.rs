//! Files that an output may take the place of: those that an earlier one of its kind wrote.

use std::io::Read as _;
use std::path::Path;

use emotrain_base::Complaint;

/// So much of a file tells its kind.
const HEAD: u64 = 256;

/// Refuses to write where something else is.
///
/// # Errors
/// A file that does not have what outputs of this kind begin with, one of these words.
pub(super) fn check_is_own(path: &Path, kind: &str, beginnings: &[&str]) -> Result<(), Complaint> {
    // A pipe would wait for what is written to it.
    if !path.is_file() {
        return Ok(());
    }
    let Ok(file) = fs_err::File::open(path) else { return Ok(()) };
    let mut head = Vec::new();
    let is_read = file.take(HEAD).read_to_end(&mut head).is_ok();
    let text = String::from_utf8_lossy(&head);
    let is_own = beginnings.iter().any(|beginning| text.contains(beginning));
    if !is_read || text.trim().is_empty() || is_own {
        return Ok(());
    }
    let complaint = Complaint::usage(format!("{}: is there already, and is no {kind}", path.display()));
    Err(complaint.hint("name a file that does not exist yet"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_an_earlier_output_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let check = || check_is_own(&path, "report", &["<!DOCTYPE html>"]);
        assert!(check().is_ok());
        fs_err::write(&path, "").unwrap();
        assert!(check().is_ok());
        fs_err::write(&path, "<!DOCTYPE html>\n").unwrap();
        assert!(check().is_ok());
        fs_err::write(&path, "[model]\n").unwrap();
        let told = check().unwrap_err().to_string();
        assert!(told.ends_with("file: is there already, and is no report"), "{told}");
        assert!(check_is_own(Path::new("/dev/null"), "report", &[]).is_ok());
        assert!(check_is_own(folder.path(), "report", &[]).is_ok());
    }
}
