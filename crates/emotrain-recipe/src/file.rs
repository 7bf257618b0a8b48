//! Files that a recipe names, read as text.

use std::io::Read;
use std::path::Path;

/// The largest file that is read, in bytes: a recipe has a few thousand.
const LARGEST: u64 = 1 << 20;

/// The text of a file.
///
/// # Errors
///
/// Words on a file that cannot be read, is none, is too large or is not text; they show nothing of what it holds.
pub(crate) fn text(path: &Path) -> Result<String, String> {
    // Others may have no end, or keep whoever opens them waiting.
    if fs_err::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Err(format!("{} is no regular file", path.display()));
    }
    let file = fs_err::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("{} is larger than 1 MiB", path.display()));
    }
    String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8 text", path.display()))
}
