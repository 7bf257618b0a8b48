//! Writing safetensors files.
//!
//! Written here and not with the `safetensors` crate for two reasons: the same tensors give the same bytes
//! (the crate's header entries come in the order of a hash map), and a full model is written one tensor at a
//! time, never held twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use emotrain_base::{Output, WriteError};
use serde_json::{Map, Value, json};

use super::safetensors::METADATA;
use crate::error::ModelError;
use crate::float::FloatType;

/// What a safetensors header says of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// The name.
    pub name: String,
    /// Rows first.
    pub shape: Vec<usize>,
    /// The type it is stored as.
    pub dtype: FloatType,
}

/// A tensor to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Name, shape and stored type.
    pub spec: TensorSpec,
    /// Row-major values; as many as the shape says.
    pub values: Vec<f32>,
}

/// Writes `tensors` to `path`, replacing what was there once everything is on disk. The header's metadata
/// are `metadata` and `format = "pt"`, which Python tools look for.
///
/// # Errors
///
/// When the file cannot be written, a name occurs twice, or a tensor has not as many values as its shape.
pub fn write_safetensors(
    path: &Path,
    tensors: &[NamedTensor],
    metadata: &BTreeMap<String, String>,
) -> Result<(), ModelError> {
    let specs: Vec<TensorSpec> = tensors.iter().map(|tensor| tensor.spec.clone()).collect();
    let by_name: BTreeMap<&str, &[f32]> =
        tensors.iter().map(|tensor| (tensor.spec.name.as_str(), tensor.values.as_slice())).collect();
    write_safetensors_with(path, &specs, metadata, |spec, visit| {
        visit(by_name[spec.name.as_str()]);
        Ok(())
    })
}

/// Like [`write_safetensors`], with the values of each tensor asked for when its turn comes, piece by piece: a model is
/// written without being in memory. `values` is called once a tensor, in the order of the file, and visits all of its
/// values in order.
///
/// # Errors
///
/// As [`write_safetensors`], and whatever `values` returns; then nothing was written. A number that was finite and is
/// too large for its stored type.
pub fn write_safetensors_with(
    path: &Path,
    tensors: &[TensorSpec],
    metadata: &BTreeMap<String, String>,
    mut values: impl FnMut(&TensorSpec, &mut dyn FnMut(&[f32])) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    let in_order = file_order(path, tensors)?;
    let header = header(&in_order, metadata);
    let mut out = Output::create(path)?;
    let failed = |error: std::io::Error| WriteError::new(path, &error);
    out.write_all(&(header.len() as u64).to_le_bytes()).map_err(failed)?;
    out.write_all(&header).map_err(failed)?;
    for spec in in_order {
        let (mut written, mut wrong, mut result) = (0, None, Ok(()));
        values(spec, &mut |piece| {
            written += piece.len();
            wrong = wrong.or_else(|| spec.dtype.overflow(piece));
            if result.is_ok() {
                result = out.write_all(&spec.dtype.encode(piece));
            }
        })?;
        result.map_err(failed)?;
        if let Some(value) = wrong {
            let message = format!("{value} is too large for {}", spec.dtype.torch_name());
            return Err(ModelError::tensor(path, &spec.name, message));
        }
        if written != spec.shape.iter().product::<usize>() {
            let message = format!("{written} values for shape {:?}", spec.shape);
            return Err(ModelError::tensor(path, &spec.name, message));
        }
    }
    Ok(out.finish()?)
}

/// Wider types first, so that every tensor is aligned, then by name: the reference implementation's order.
fn file_order<'a>(path: &Path, tensors: &'a [TensorSpec]) -> Result<Vec<&'a TensorSpec>, ModelError> {
    let mut seen = BTreeSet::new();
    for spec in tensors {
        if spec.name == METADATA {
            return Err(ModelError::tensor(path, &spec.name, "the name is taken by the header"));
        }
        if !seen.insert(&spec.name) {
            return Err(ModelError::tensor(path, &spec.name, "given twice"));
        }
    }
    let mut in_order: Vec<&TensorSpec> = tensors.iter().collect();
    in_order.sort_by(|left, right| {
        right.dtype.size().cmp(&left.dtype.size()).then_with(|| left.name.cmp(&right.name))
    });
    Ok(in_order)
}

/// The header's JSON, padded with spaces so that the data start on a multiple of eight bytes.
fn header(in_order: &[&TensorSpec], metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let mut entries = Map::new();
    let mut notes = metadata.clone();
    notes.insert("format".to_owned(), "pt".to_owned());
    entries.insert(METADATA.to_owned(), json!(notes));
    let mut start = 0;
    for spec in in_order {
        let end = start + spec.shape.iter().product::<usize>() * spec.dtype.size();
        let entry = json!({
            "dtype": spec.dtype.safetensors_name(),
            "shape": spec.shape,
            "data_offsets": [start, end],
        });
        entries.insert(spec.name.clone(), entry);
        start = end;
    }
    let mut header = Value::Object(entries).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    header
}
