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

/// What a tensor is stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredType {
    /// Floats.
    Float(FloatType),
    /// Bytes.
    U8,
    /// Bytes with a sign.
    I8,
}

impl StoredType {
    /// Bytes of one value.
    fn size(self) -> usize {
        match self {
            Self::Float(float) => float.size(),
            Self::U8 | Self::I8 => 1,
        }
    }

    /// The name in a header.
    fn name(self) -> &'static str {
        match self {
            Self::Float(float) => float.safetensors_name(),
            Self::U8 => "U8",
            Self::I8 => "I8",
        }
    }
}

/// As [`TensorSpec`], of any type.
#[derive(Debug, Clone)]
pub struct StoredTensor {
    /// The name.
    pub name: String,
    /// Rows first.
    pub shape: Vec<usize>,
    /// The type it is stored as.
    pub stored: StoredType,
}

impl StoredTensor {
    pub(crate) fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.stored.size()
    }
}

/// Where the values of one tensor go.
pub struct TensorOut<'a> {
    out: &'a mut Output,
    stored: StoredType,
    /// Bytes.
    written: usize,
    /// A number that is none of its type.
    wrong: Option<f32>,
    result: std::io::Result<()>,
}

impl TensorOut<'_> {
    /// The next numbers of a tensor of floats.
    ///
    /// # Panics
    /// If the tensor has codes.
    pub fn floats(&mut self, piece: &[f32]) {
        let StoredType::Float(dtype) = self.stored else { unreachable!("codes are bytes") };
        self.wrong = self.wrong.or_else(|| dtype.misfit(piece));
        self.bytes(&dtype.encode(piece));
    }

    /// The next bytes.
    pub fn bytes(&mut self, piece: &[u8]) {
        self.written += piece.len();
        if self.result.is_ok() {
            self.result = self.out.write_all(piece);
        }
    }
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
/// no finite number of its stored type.
pub fn write_safetensors_with(
    path: &Path,
    tensors: &[TensorSpec],
    metadata: &BTreeMap<String, String>,
    mut values: impl FnMut(&TensorSpec, &mut dyn FnMut(&[f32])) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    let stored = |TensorSpec { name, shape, dtype }: &TensorSpec| StoredTensor {
        name: name.clone(),
        shape: shape.clone(),
        stored: StoredType::Float(*dtype),
    };
    let stored: Vec<StoredTensor> = tensors.iter().map(stored).collect();
    let by_name: BTreeMap<&str, &TensorSpec> =
        tensors.iter().map(|spec| (spec.name.as_str(), spec)).collect();
    write_stored(path, &stored, metadata, |tensor, out| {
        values(by_name[tensor.name.as_str()], &mut |piece| out.floats(piece))
    })
}

/// The same of tensors of any type: `fill` writes all values of the tensor whose turn it is.
///
/// # Errors
/// As [`write_safetensors_with`].
pub fn write_stored(
    path: &Path,
    tensors: &[StoredTensor],
    metadata: &BTreeMap<String, String>,
    mut fill: impl FnMut(&StoredTensor, &mut TensorOut) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    let in_order = file_order(path, tensors)?;
    let header = header(&in_order, metadata);
    let mut out = Output::create(path)?;
    let failed = |error: std::io::Error| WriteError::new(path, &error);
    out.write_all(&(header.len() as u64).to_le_bytes()).map_err(failed)?;
    out.write_all(&header).map_err(failed)?;
    for tensor in in_order {
        let mut place =
            TensorOut { out: &mut out, stored: tensor.stored, written: 0, wrong: None, result: Ok(()) };
        fill(tensor, &mut place)?;
        let TensorOut { written, wrong, result, .. } = place;
        result.map_err(failed)?;
        if let (Some(value), StoredType::Float(dtype)) = (wrong, tensor.stored) {
            return Err(ModelError::tensor(path, &tensor.name, misfit_message(value, dtype.torch_name())));
        }
        if written != tensor.bytes() {
            let values = written / tensor.stored.size();
            let message = format!("{values} values for shape {:?}", tensor.shape);
            return Err(ModelError::tensor(path, &tensor.name, message));
        }
    }
    Ok(out.finish()?)
}

/// What is wrong with a value that is no number of a type.
pub(super) fn misfit_message(value: f32, type_name: &str) -> String {
    if value.is_finite() {
        format!("{value} is too large for {type_name}")
    } else {
        format!("{value} is not a finite number")
    }
}

/// Wider types first, so that every tensor is aligned, then by name: the reference implementation's order.
fn file_order<'a>(path: &Path, tensors: &'a [StoredTensor]) -> Result<Vec<&'a StoredTensor>, ModelError> {
    let mut seen = BTreeSet::new();
    for tensor in tensors {
        if tensor.name == METADATA {
            return Err(ModelError::tensor(path, &tensor.name, "the name is taken by the header"));
        }
        if !seen.insert(&tensor.name) {
            return Err(ModelError::tensor(path, &tensor.name, "given twice"));
        }
    }
    let mut in_order: Vec<&StoredTensor> = tensors.iter().collect();
    in_order.sort_by(|left, right| {
        right.stored.size().cmp(&left.stored.size()).then_with(|| left.name.cmp(&right.name))
    });
    Ok(in_order)
}

/// The header's JSON, padded with spaces so that the data start on a multiple of eight bytes.
fn header(in_order: &[&StoredTensor], metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let mut entries = Map::new();
    let mut notes = metadata.clone();
    notes.insert("format".to_owned(), "pt".to_owned());
    entries.insert(METADATA.to_owned(), json!(notes));
    let mut start = 0;
    for tensor in in_order {
        let end = start + tensor.bytes();
        let entry = json!({
            "dtype": tensor.stored.name(),
            "shape": tensor.shape,
            "data_offsets": [start, end],
        });
        entries.insert(tensor.name.clone(), entry);
        start = end;
    }
    let mut header = Value::Object(entries).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    header
}
