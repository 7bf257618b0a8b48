//! Reading safetensors files.
//!
//! The header is read here and not with the `safetensors` crate, because its errors do not say which tensor
//! is at fault. The rules are the same: an 8-byte length, a JSON object, then the data, which the
//! tensors cover without gaps or overlaps.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::names::is_known_buffer;
use super::opened::{OpenedFile, in_pieces, whole};
use crate::error::ModelError;
use crate::float::{CHUNK, FloatType};

/// As in the reference implementation: a larger header is a corrupt length.
const LARGEST_HEADER: u64 = 100_000_000;

/// The types of codes.
const BYTES: [&str; 2] = ["U8", "I8"];

/// The header's entry for free-form text, in place of a tensor.
pub(super) const METADATA: &str = "__metadata__";

/// An opened safetensors file with tensors of `F32`, `F16` and `BF16`. Buffers that are never read, such as saved
/// position numbers, may be of other types, and so may what bitsandbytes saves.
#[derive(Debug)]
pub struct SafetensorsFile {
    file: OpenedFile,
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// As the header names it.
    dtype: String,
    /// `None` for another type.
    float: Option<FloatType>,
    shape: Vec<usize>,
    /// Position in the file.
    start: usize,
    end: usize,
}

/// A tensor as the header states it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stated {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl SafetensorsFile {
    /// Opens the file and checks its header against its length.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is truncated, contradicts itself, or holds a type other than `F32`,
    /// `F16` and `BF16`.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let file = Self::open_any(path)?;
        file.check_floats(&|_| false)?;
        Ok(file)
    }

    /// The same, with tensors of any type.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is truncated or contradicts itself.
    pub fn open_any(path: &Path) -> Result<Self, ModelError> {
        let file = OpenedFile::open(path)?;
        let (header, data_start) = header(&file)?;
        let mut metadata = BTreeMap::new();
        let mut tensors = BTreeMap::new();
        for (name, value) in header {
            if name == METADATA {
                metadata = serde_json::from_value(value)
                    .map_err(|source| ModelError::file(path, format!("__metadata__: {source}")))?;
            } else {
                let entry = entry(&file, &name, value, data_start)?;
                tensors.insert(name, entry);
            }
        }
        check_coverage(&file, &tensors, data_start)?;
        Ok(Self { file, metadata, tensors })
    }

    /// Refuses tensors that are no floats, but for buffers and those that `is_known` knows.
    pub(super) fn check_floats(&self, is_known: &dyn Fn(&str) -> bool) -> Result<(), ModelError> {
        let other = self
            .tensors
            .iter()
            .find(|(name, entry)| entry.float.is_none() && !is_known_buffer(name) && !is_known(name));
        let Some((name, Entry { dtype, .. })) = other else { return Ok(()) };
        let message = format!("type {dtype} is not supported (supported: F32, F16, BF16)");
        Err(ModelError::tensor(self.path(), name, message))
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The free-form entries of the header (`__metadata__`).
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The shape of a tensor; `None` when the file does not hold it.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.shape.as_slice())
    }

    /// Shape and values (row-major) of a tensor.
    ///
    /// # Errors
    ///
    /// When the file does not hold the tensor.
    pub fn tensor(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), ModelError> {
        let (entry, float) = self.entry(name)?;
        let values = whole(&entry.shape, |rows, values| self.rows(entry, float, rows, values))?;
        Ok((entry.shape.clone(), values))
    }

    /// Visits the values of a tensor in order, piece by piece.
    pub(super) fn visit(&self, name: &str, visit: &mut dyn FnMut(&[f32])) -> Result<(), ModelError> {
        let (entry, float) = self.entry(name)?;
        in_pieces(&entry.shape, |rows, values| self.rows(entry, float, rows, values), visit)
    }

    /// Appends the bits of a tensor; `false` where it is not of this type of 16 bits.
    pub(super) fn read_bits(
        &self,
        name: &str,
        float: FloatType,
        bits: &mut Vec<u16>,
    ) -> Result<bool, ModelError> {
        let (Entry { start, end, .. }, stored) = self.entry(name)?;
        if stored != float || float.size() != 2 {
            return Ok(false);
        }
        let first = bits.len();
        bits.resize(first + (end - start) / 2, 0);
        self.file.read(*start, bytemuck::cast_slice_mut(&mut bits[first..]))?;
        bits[first..].iter_mut().for_each(|bits| *bits = u16::from_le(*bits));
        Ok(true)
    }

    /// The type of a tensor as the header names it, and its bytes; `None` when the file does not hold it.
    pub(super) fn stored(&self, name: &str) -> Option<(&str, usize)> {
        self.tensors.get(name).map(|entry| (entry.dtype.as_str(), entry.end - entry.start))
    }

    /// The bytes of a tensor, whatever its type.
    ///
    /// # Errors
    ///
    /// When the file does not hold the tensor, or cannot be read.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, ModelError> {
        let Some(Entry { start, end, .. }) = self.tensors.get(name) else {
            return Err(ModelError::tensor(self.path(), name, "not in the file"));
        };
        let mut bytes = vec![0; end - start];
        self.file.read(*start, &mut bytes)?;
        Ok(bytes)
    }

    fn entry(&self, name: &str) -> Result<(&Entry, FloatType), ModelError> {
        let Some(entry) = self.tensors.get(name) else {
            return Err(ModelError::tensor(self.path(), name, "not in the file"));
        };
        let Some(float) = entry.float else {
            return Err(ModelError::tensor(self.path(), name, "is not of a float type"));
        };
        Ok((entry, float))
    }

    fn rows(
        &self,
        entry: &Entry,
        float: FloatType,
        rows: Range<usize>,
        values: &mut [f32],
    ) -> Result<(), ModelError> {
        let size = float.size();
        let width = entry.shape.last().copied().unwrap_or(1);
        let mut bytes = vec![0; values.len() * size];
        self.file.read(entry.start + rows.start * width * size, &mut bytes)?;
        values
            .par_chunks_mut(CHUNK)
            .zip(bytes.par_chunks(CHUNK * size))
            .for_each(|(values, bytes)| float.decode(bytes, values));
        Ok(())
    }

    pub(super) fn sha256(&self) -> Result<String, ModelError> {
        self.file.sha256()
    }

    /// The type a tensor is stored as; `None` when the file does not hold it, or holds no floats under this name.
    pub fn float_type(&self, name: &str) -> Option<FloatType> {
        self.tensors.get(name).and_then(|entry| entry.float)
    }
}

/// The header's entries and the position of the data.
fn header(file: &OpenedFile) -> Result<(serde_json::Map<String, Value>, usize), ModelError> {
    if file.len() < 8 {
        return Err(not_safetensors(file, "it is too short"));
    }
    let mut length = [0; 8];
    file.read(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    if length > LARGEST_HEADER {
        return Err(not_safetensors(file, &format!("it states a header of {length} bytes")));
    }
    let length =
        usize::try_from(length).ok().filter(|length| *length <= file.len() - 8).ok_or_else(|| {
            let message = format!("truncated: the header has {length} bytes, the file only {}", file.len());
            ModelError::file_with_hint(file.path(), message, "download the file again")
        })?;
    let mut text = vec![0; length];
    file.read(8, &mut text)?;
    let header = serde_json::from_slice(&text)
        .map_err(|error| not_safetensors(file, &format!("its header is no JSON object ({error})")))?;
    Ok((header, 8 + text.len()))
}

fn not_safetensors(file: &OpenedFile, why: &str) -> ModelError {
    let message = format!("not a safetensors file: {why}");
    let hint = "download the file again, or convert it to safetensors if it is of another format";
    ModelError::file_with_hint(file.path(), message, hint)
}

fn entry(file: &OpenedFile, name: &str, value: Value, data_start: usize) -> Result<Entry, ModelError> {
    let wrong = |message: String| ModelError::tensor(file.path(), name, message);
    let stated: Stated = serde_json::from_value(value).map_err(|source| wrong(source.to_string()))?;
    let float = FloatType::from_safetensors_name(&stated.dtype);
    let (start, end) = stated.data_offsets;
    let available = file.len() - data_start;
    let (Some(start), Some(end)) = (within(start, available), within(end, available)) else {
        let message = format!("truncated: its data ends at byte {end} of {available}");
        return Err(wrong(message));
    };
    if end < start {
        return Err(wrong(format!("offsets are {start}..{end}")));
    }
    let shape: Option<Vec<usize>> = stated.shape.iter().map(|size| usize::try_from(*size).ok()).collect();
    let place = |shape| Entry {
        dtype: stated.dtype.clone(),
        float,
        shape,
        start: data_start + start,
        end: data_start + end,
    };
    let size = float.map(FloatType::size).or_else(|| BYTES.contains(&stated.dtype.as_str()).then_some(1));
    // The sizes of other types are nobody's business: they are never read.
    let Some(size) = size else { return Ok(place(shape.unwrap_or_default())) };
    let needed = shape
        .as_deref()
        .and_then(|shape| shape.iter().try_fold(size, |bytes, size| bytes.checked_mul(*size)));
    let (Some(shape), Some(needed)) = (shape, needed) else {
        return Err(wrong(format!("impossible shape {:?}", stated.shape)));
    };
    if start.checked_add(needed) != Some(end) {
        let message =
            format!("shape {shape:?} of {} needs {needed} bytes, offsets are {start}..{end}", stated.dtype);
        return Err(wrong(message));
    }
    Ok(place(shape))
}

fn within(offset: u64, available: usize) -> Option<usize> {
    usize::try_from(offset).ok().filter(|offset| *offset <= available)
}

/// The tensors follow each other from the header to the end of the file.
fn check_coverage(
    file: &OpenedFile,
    tensors: &BTreeMap<String, Entry>,
    data_start: usize,
) -> Result<(), ModelError> {
    let mut in_order: Vec<(&String, &Entry)> = tensors.iter().collect();
    in_order.sort_by_key(|(_, entry)| (entry.start, entry.end));
    let mut position = data_start;
    for (name, entry) in in_order {
        if entry.start != position {
            let what = if entry.start < position { "overlaps the tensor before it" } else { "follows a gap" };
            return Err(ModelError::tensor(file.path(), name, what));
        }
        position = entry.end;
    }
    if position != file.len() {
        let message = format!("{} bytes after the last tensor", file.len() - position);
        return Err(ModelError::file(file.path(), message));
    }
    Ok(())
}
