//! Text files that a recipe names.

use std::path::Path;

use emotrain_base::limits;

/// The text of a file.
///
/// # Errors
///
/// A message about a file that is unreadable, not a regular file, too large or not text; it never quotes the contents.
pub(crate) fn text(path: &Path) -> Result<String, String> {
    emotrain_base::read_to_string(path, limits::RECIPE).map_err(|error| error.to_string())
}
