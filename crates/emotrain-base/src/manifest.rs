//! `manifest.json`: the files of a published folder with their lengths and digests.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::sha256_of;
use crate::error::{Damage, DamagedFile, WriteError, system_words};
use crate::output::write_atomic;
use crate::read::{limits, read};

/// The manifest's name. It is written last.
pub const MANIFEST: &str = "manifest.json";

/// The version that is written. The first version listed only names.
const FORMAT_VERSION: u64 = 2;

/// The result of verifying a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Every file is unchanged.
    Sound,
    /// The manifest's version has no digests: every file exists.
    Complete,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format_version: u64,
    files: Files,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Files {
    Digests(BTreeMap<String, FileRecord>),
    Names(Vec<String>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRecord {
    bytes: u64,
    sha256: String,
}

/// Syncs all files of a folder and writes their manifest.
pub(crate) fn write(folder: &Path) -> Result<(), WriteError> {
    let mut files = BTreeMap::new();
    for path in files_in(folder).map_err(|error| WriteError::new(folder, &error))? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != MANIFEST {
            let record = record(&path).map_err(|error| WriteError::new(&path, &error))?;
            files.insert(name, record);
        }
    }
    let manifest = Manifest { format_version: FORMAT_VERSION, files: Files::Digests(files) };
    let text = serde_json::to_string_pretty(&manifest).unwrap_or_default() + "\n";
    write_atomic(&folder.join(MANIFEST), text.as_bytes())
}

/// A file's entry, after the file was synced.
fn record(path: &Path) -> io::Result<FileRecord> {
    let mut file = fs_err::OpenOptions::new().read(true).write(true).open(path)?;
    file.sync_all()?;
    let bytes = file.metadata()?.len();
    Ok(FileRecord { bytes, sha256: sha256_of(&mut file)? })
}

fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        // The lock file is in the folder, too.
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !is_hidden && entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Compares a published folder with its manifest. Files that the manifest does not name are ignored.
///
/// # Errors
/// No manifest, a damaged one, or the first file that has changed.
pub fn verify(folder: &Path) -> Result<Verified, DamagedFile> {
    let path = folder.join(MANIFEST);
    let text = match read(&path, limits::CONFIG) {
        Ok(text) => text,
        // A file has no manifest next to it either.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Err(DamagedFile::new(folder, Damage::NoManifest));
        }
        Err(error) => return Err(DamagedFile::new(&path, Damage::Unreadable(system_words(&error)))),
    };
    let bad = |message: String| DamagedFile::new(&path, Damage::BadManifest(message));
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
    let version = manifest.format_version;
    match manifest.files {
        Files::Digests(files) if version == FORMAT_VERSION => {
            files.iter().try_for_each(|(name, record)| check(&folder.join(name), record))?;
            Ok(Verified::Sound)
        }
        Files::Names(names) if version == 1 => {
            let missing = names.iter().map(|name| folder.join(name)).find(|path| !path.exists());
            missing.map_or(Ok(Verified::Complete), |path| Err(DamagedFile::new(&path, Damage::NotThere)))
        }
        Files::Digests(_) | Files::Names(_) if version > FORMAT_VERSION => {
            Err(DamagedFile::new(&path, Damage::OtherVersion { found: version, known: FORMAT_VERSION }))
        }
        Files::Digests(_) | Files::Names(_) => {
            Err(bad(format!("its files do not have the format of version {version}")))
        }
    }
}

fn check(path: &Path, record: &FileRecord) -> Result<(), DamagedFile> {
    let unreadable = |error: io::Error| {
        let is_missing = error.kind() == io::ErrorKind::NotFound;
        let damage = if is_missing { Damage::NotThere } else { Damage::Unreadable(system_words(&error)) };
        DamagedFile::new(path, damage)
    };
    let found = fs_err::metadata(path).map_err(unreadable)?.len();
    if found != record.bytes {
        return Err(DamagedFile::new(path, Damage::OtherSize { found, expected: record.bytes }));
    }
    let found = fs_err::File::open(path).and_then(|mut file| sha256_of(&mut file)).map_err(unreadable)?;
    if found != record.sha256 {
        let expected = record.sha256.clone();
        return Err(DamagedFile::new(path, Damage::OtherContent { found, expected }));
    }
    Ok(())
}
