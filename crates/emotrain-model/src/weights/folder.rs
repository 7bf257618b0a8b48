//! The weights of a Hugging Face folder: one safetensors file, or shards with an index.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use emotrain_base::sha256_hex;
use rayon::prelude::*;
use serde::Deserialize;

use super::safetensors::SafetensorsFile;
use crate::error::ModelError;
use crate::files::{lies_at, other_form_of, read_json};
use crate::float::FloatType;

/// A model's only weight file.
pub(super) const SINGLE: &str = "model.safetensors";
/// The list of tensors of a model in shards.
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// All weight files of a folder, and which of them holds which tensor.
#[derive(Debug)]
pub(crate) struct Shards {
    path: PathBuf,
    /// Sorted by file name.
    files: Vec<SafetensorsFile>,
    /// Tensor name to position in `files`.
    places: BTreeMap<String, usize>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Shards {
    /// Those of a model whose tensors are floats.
    pub(crate) fn open(folder: &Path) -> Result<Self, ModelError> {
        let shards = Self::open_any(folder)?;
        shards.check_floats(|_| false)?;
        Ok(shards)
    }

    /// The same, with tensors of any type.
    pub(super) fn open_any(folder: &Path) -> Result<Self, ModelError> {
        let single = folder.join(SINGLE);
        if lies_at(&single) {
            return Self::single(&single);
        }
        let index = folder.join(INDEX);
        if lies_at(&index) {
            return Self::sharded(folder, &index);
        }
        if let Some(other) = other_form_of(&single) {
            return Err(other);
        }
        let message = format!("holds neither {SINGLE} nor {INDEX}");
        let hint = "download the folder again with its weights, or convert them to safetensors";
        Err(ModelError::file_with_hint(folder, message, hint))
    }

    fn single(path: &Path) -> Result<Self, ModelError> {
        let file = SafetensorsFile::open_any(path)?;
        let places = file.names().map(|name| (name.to_owned(), 0)).collect();
        Ok(Self { path: path.to_path_buf(), files: vec![file], places })
    }

    fn sharded(folder: &Path, index_path: &Path) -> Result<Self, ModelError> {
        let index: Index = read_json(index_path)?;
        let names: BTreeSet<&String> = index.weight_map.values().collect();
        let mut files = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for name in names {
            let file = open_shard(folder, index_path, name)?;
            for tensor in file.names() {
                if let Some(earlier) = places.insert(tensor.to_owned(), files.len()) {
                    let message = format!("also in {}", files_name(&files, earlier));
                    return Err(ModelError::tensor(file.path(), tensor, message));
                }
            }
            files.push(file);
        }
        let shards = Self { path: folder.to_path_buf(), files, places };
        shards.check_index(index_path, &index)?;
        Ok(shards)
    }

    /// The index and the shards name the same tensors in the same places.
    fn check_index(&self, index_path: &Path, index: &Index) -> Result<(), ModelError> {
        for (tensor, file) in &index.weight_map {
            match self.places.get(tensor) {
                None => {
                    let message = format!("the index places it in {file}, which does not hold it");
                    return Err(ModelError::tensor(index_path, tensor, message));
                }
                Some(place) if files_name(&self.files, *place) != *file => {
                    let actual = files_name(&self.files, *place);
                    let message = format!("the index places it in {file}, but it is in {actual}");
                    return Err(ModelError::tensor(index_path, tensor, message));
                }
                Some(_) => {}
            }
        }
        match self.places.keys().find(|tensor| !index.weight_map.contains_key(*tensor)) {
            None => Ok(()),
            Some(tensor) => {
                let file = files_name(&self.files, self.places[tensor]);
                Err(ModelError::tensor(index_path, tensor, format!("in {file}, but not in the index")))
            }
        }
    }

    /// Refuses tensors that are no floats, but for buffers and those that `is_known` knows.
    pub(super) fn check_floats(&self, is_known: impl Fn(&str) -> bool) -> Result<(), ModelError> {
        self.files.iter().try_for_each(|file| file.check_floats(&is_known))
    }

    /// The folder, or the file when there is only one.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    pub(super) fn float_type(&self, name: &str) -> Option<FloatType> {
        self.file_of(name).and_then(|file| file.float_type(name))
    }

    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.file_of(name).and_then(|file| file.shape(name))
    }

    /// The type of a tensor as its file names it, and its bytes.
    pub(super) fn stored(&self, name: &str) -> Option<(&str, usize)> {
        self.file_of(name)?.stored(name)
    }

    /// The bytes of a tensor, whatever its type.
    pub(super) fn bytes(&self, name: &str) -> Result<Vec<u8>, ModelError> {
        self.holding(name)?.bytes(name)
    }

    pub(crate) fn tensor(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), ModelError> {
        self.holding(name)?.tensor(name)
    }

    /// Visits the values of a tensor in order, piece by piece.
    pub(crate) fn visit(&self, name: &str, visit: &mut dyn FnMut(&[f32])) -> Result<(), ModelError> {
        self.holding(name)?.visit(name, visit)
    }

    /// Appends the bits of a tensor of this type; `false` where it is of another one.
    pub(super) fn read_bits(
        &self,
        name: &str,
        float: FloatType,
        bits: &mut Vec<u16>,
    ) -> Result<bool, ModelError> {
        self.holding(name)?.read_bits(name, float, bits)
    }

    fn holding(&self, name: &str) -> Result<&SafetensorsFile, ModelError> {
        self.file_of(name).ok_or_else(|| ModelError::tensor(&self.path, name, "not in any file"))
    }

    fn file_of(&self, name: &str) -> Option<&SafetensorsFile> {
        self.places.get(name).map(|place| &self.files[*place])
    }

    /// Of a single file its sha256; of shards the sha256 over `hash  name` lines in the order of the names,
    /// which is what `sha256sum *.safetensors | sha256sum` prints. A core reads a shard.
    pub(crate) fn sha256(&self) -> Result<String, ModelError> {
        if let [only] = self.files.as_slice()
            && self.path == only.path()
        {
            return only.sha256();
        }
        let line = |(place, file): (usize, &SafetensorsFile)| {
            Ok(format!("{}  {}\n", file.sha256()?, files_name(&self.files, place)))
        };
        let lines: Vec<Result<String, ModelError>> = self.files.par_iter().enumerate().map(line).collect();
        let lines: Result<String, ModelError> = lines.into_iter().collect();
        Ok(sha256_hex(lines?.as_bytes()))
    }
}

fn open_shard(folder: &Path, index_path: &Path, name: &str) -> Result<SafetensorsFile, ModelError> {
    if Path::new(name).file_name().is_none_or(|plain| plain != name) {
        let message = format!("\"{name}\" is not a plain file name");
        return Err(ModelError::file(index_path, message));
    }
    let path = folder.join(name);
    if !lies_at(&path) {
        let message = "missing shard";
        let hint = format!("{} lists it; download the folder again", index_path.display());
        return Err(ModelError::file_with_hint(&path, message, hint));
    }
    SafetensorsFile::open_any(&path)
}

fn files_name(files: &[SafetensorsFile], place: usize) -> String {
    files[place].path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
