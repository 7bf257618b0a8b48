//! The journal of computed vectors.
//!
//! The file starts with a line of JSON that names the encoder; a record is the key of a text, its vector and a checksum
//! of both, which detects truncated and overwritten records.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::error::RetrievalError;
use crate::text::TextKey;

/// Length of a key in bytes.
const KEY: usize = 8;

pub(super) struct Journal {
    path: PathBuf,
    file: std::fs::File,
    width: usize,
    /// The byte offsets of the vectors.
    places: HashMap<TextKey, u64>,
    end: u64,
}

impl Journal {
    /// Opens the journal at `path`; the records of another encoder are discarded.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub(super) fn open(path: &Path, encoder: &str, width: usize) -> Result<Self, RetrievalError> {
        let fail = |error: std::io::Error| RetrievalError::write(path, &error);
        let header = json!({ "format_version": 1, "encoder": encoder, "dimensions": width });
        let header = format!("{header}\n");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut journal =
            Self { file: file.map_err(fail)?, width, places: HashMap::new(), end: 0, path: path.to_owned() };
        journal.recover(header.as_bytes()).map_err(fail)?;
        Ok(journal)
    }

    /// Reads the complete records and truncates the file after them.
    fn recover(&mut self, header: &[u8]) -> std::io::Result<()> {
        let mut reader = std::io::BufReader::with_capacity(1 << 20, &self.file);
        let mut found = vec![0; header.len()];
        let is_ours = reader.read_exact(&mut found).is_ok() && found == header;
        let mut places = HashMap::new();
        let mut end = header.len() as u64;
        let mut record = vec![0; self.record()];
        while is_ours && reader.read_exact(&mut record).is_ok() {
            let (body, check) = record.split_at(record.len() - KEY);
            if key_of(body) != check {
                break;
            }
            places.insert(TextKey(number(body)), end + KEY as u64);
            end += record.len() as u64;
        }
        self.file.set_len(if is_ours { end } else { 0 })?;
        if !is_ours {
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(header)?;
            self.file.sync_all()?;
        }
        (self.places, self.end) = (places, end);
        Ok(())
    }

    fn record(&self) -> usize {
        KEY + self.width * size_of::<f32>() + KEY
    }

    pub(super) fn holds(&self, key: TextKey) -> bool {
        self.places.contains_key(&key)
    }

    /// Stores vectors; when it returns they are on disk.
    pub(super) fn append(&mut self, keys: &[TextKey], vectors: &[f32]) -> Result<(), RetrievalError> {
        let mut bytes = Vec::with_capacity(keys.len() * self.record());
        let mut places = Vec::with_capacity(keys.len());
        for (key, vector) in keys.iter().zip(vectors.chunks_exact(self.width)) {
            let start = bytes.len();
            bytes.extend(key.0.to_le_bytes());
            places.push((*key, self.end + bytes.len() as u64));
            bytes.extend(vector.iter().flat_map(|value| value.to_le_bytes()));
            let check = key_of(&bytes[start..]);
            bytes.extend(check);
        }
        let end = self.end;
        let mut write = || {
            self.file.seek(SeekFrom::Start(end))?;
            self.file.write_all(&bytes)?;
            self.file.sync_data()
        };
        write().map_err(|error| RetrievalError::write(&self.path, &error))?;
        self.end += bytes.len() as u64;
        self.places.extend(places);
        Ok(())
    }

    /// A stored vector.
    ///
    /// # Errors
    /// A file that cannot be read, or no such vector.
    pub(super) fn read(&self, key: TextKey) -> Result<Vec<f32>, RetrievalError> {
        let mut bytes = vec![0; self.width * size_of::<f32>()];
        let read = |place: u64| {
            let mut file = &self.file;
            file.seek(SeekFrom::Start(place))?;
            file.read_exact(&mut bytes)
        };
        let missing = || Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a vector is missing"));
        let found = self.places.get(&key).copied().map_or_else(missing, read);
        found.map_err(|error| RetrievalError::io(&self.path, &error))?;
        let (numbers, _) = bytes.as_chunks::<4>();
        Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
    }
}

fn key_of(bytes: &[u8]) -> [u8; KEY] {
    number(&Sha256::digest(bytes)).to_le_bytes()
}

fn number(bytes: &[u8]) -> u64 {
    let mut first = [0; KEY];
    first.copy_from_slice(&bytes[..KEY]);
    u64::from_le_bytes(first)
}

/// The journal's name in a stage.
pub(super) fn place(stage: &Path) -> PathBuf {
    stage.join("vectors.journal")
}
