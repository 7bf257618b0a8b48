//! The `manifest.json` of knowledge texts.

use std::path::Path;

use emotrain_recipe::{Availability, KnowledgeLevel, KnowledgeSection};
use serde::Deserialize;
use serde_json::Value;

use crate::error::{DataError, DataProblem, Place};
use crate::io::TextFile;

const FILE: &str = "manifest.json";

/// The supported format version.
const VERSION: u64 = 1;

/// The fields of a manifest that a reader needs.
#[derive(Deserialize)]
pub(super) struct Manifest {
    level: KnowledgeLevel,
    pub(super) availability: Availability,
    #[serde(skip)]
    place: Option<Place>,
}

/// The manifest in a folder, or next to a file.
///
/// # Errors
/// A folder without a manifest, or with an invalid one; next to a file, a manifest of something else is ignored.
pub(super) fn find(path: &Path) -> Result<Option<Manifest>, DataError> {
    let is_folder = path.is_dir();
    let folder = if is_folder { Some(path) } else { path.parent() };
    let Some(file) = folder.map(|folder| folder.join(FILE)).filter(|file| file.exists()) else {
        return if is_folder {
            Err(DataError::new(Place::file(path), DataProblem::NoManifest))
        } else {
            Ok(None)
        };
    };
    let text = TextFile::read(&file)?;
    let value: Value = match serde_json::from_str(&text.text) {
        Ok(value) => value,
        Err(error) if is_folder => return Err(text.json_error(&text.text, &error)),
        Err(_) => return Ok(None),
    };
    if !is_folder && (value.get("level").is_none() || value.get("availability").is_none()) {
        return Ok(None);
    }
    let wrong = |message| DataError::new(Place::file(&file), DataProblem::WrongForm(message));
    match value.get("format_version").and_then(Value::as_u64) {
        Some(VERSION) => {}
        Some(other) => return Err(wrong(format!("format_version {other}, this version reads {VERSION}"))),
        None => return Err(wrong("missing field `format_version`".to_owned())),
    }
    let manifest: Manifest = serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?;
    Ok(Some(Manifest { place: Some(Place::file(&file)), ..manifest }))
}

impl Manifest {
    /// Refuses a source whose level differs from the manifest's.
    pub(super) fn check_level(&self, section: &KnowledgeSection) -> Result<(), DataError> {
        match &self.place {
            Some(place) if self.level != section.level => {
                let problem = DataProblem::KnowledgeLevel {
                    name: section.name.clone(),
                    found: self.level.as_str(),
                    wanted: section.level.as_str(),
                };
                Err(DataError::new(place.clone(), problem))
            }
            _ => Ok(()),
        }
    }
}
