//! Reading the small JSON files of a sentence-transformers folder.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{ConfigProblem, ModelError};
use crate::files::{lies_at, read_json};

/// The JSON value in a file; `None` if there is no such file.
pub(super) fn value(path: &Path) -> Result<Option<Value>, ModelError> {
    if lies_at(path) { read_json(path).map(Some) } else { Ok(None) }
}

/// The JSON object in a file; `None` if there is no such file.
pub(super) fn object(path: &Path) -> Result<Option<Map<String, Value>>, ModelError> {
    match value(path)? {
        None => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(other) => Err(ModelError::file(path, format!("expected an object, found {other}"))),
    }
}

/// The JSON object in a file that has to be there.
pub(super) fn required_object(path: &Path) -> Result<Map<String, Value>, ModelError> {
    object(path)?.ok_or_else(|| ModelError::file(path, "missing"))
}

/// An error if there are problems.
pub(super) fn complain(path: &Path, problems: Vec<ConfigProblem>) -> Result<(), ModelError> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(ModelError::Config { path: path.to_path_buf(), problems })
}
