//! Files that a recipe names, read as text.

use std::path::Path;

use emotrain_base::limits;

/// The text of a file.
///
/// # Errors
///
/// Words on a file that cannot be read, is none, is too large or is not text; they show nothing of what it holds.
pub(crate) fn text(path: &Path) -> Result<String, String> {
    emotrain_base::read_to_string(path, limits::RECIPE).map_err(|error| error.to_string())
}
