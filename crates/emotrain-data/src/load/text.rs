//! Plain text for language-model training: documents separated by blank lines.

use std::path::Path;

use crate::error::{DataError, DataProblem, Place};
use crate::io::TextFile;
use crate::mend::{Mended, clean};
use crate::split::TextSplit;

/// Reads the documents of a UTF-8 file. Line endings become `\n`; a line of white space is blank.
///
/// # Errors
/// A file that cannot be read, is not UTF-8, or has no documents.
pub fn load_text(path: &Path) -> Result<TextSplit, DataError> {
    let file = TextFile::read(path)?;
    let lines: Vec<&str> = file.text.lines().collect();
    let mut documents = Vec::new();
    let mut mended = 0;
    for lines in lines.split(|line| line.trim().is_empty()).filter(|lines| !lines.is_empty()) {
        let document = lines.join("\n");
        let (document, was_mended) = clean(&document);
        mended += usize::from(was_mended == Mended::Yes);
        if !document.is_empty() {
            documents.push(document.into_owned());
        }
    }
    if documents.is_empty() {
        return Err(DataError::new(Place::file(path), DataProblem::Empty("documents")));
    }
    Ok(TextSplit { path: file.path, sha256: file.sha256, documents, mended })
}
