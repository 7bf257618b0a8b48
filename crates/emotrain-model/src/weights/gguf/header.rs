//! The header of a GGUF file: metadata and the offset of each tensor.

use std::collections::BTreeMap;

use super::blocks::BlockType;
use super::cursor::Cursor;
use super::metadata::{self, Metadata};
use crate::error::ModelError;
use crate::weights::opened::OpenedFile;

/// A power of two between the tensors unless `general.alignment` says otherwise.
const DEFAULT_ALIGNMENT: usize = 32;

/// A tensor in the file.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) block_type: BlockType,
    /// Slowest dimension first, as Hugging Face has it: the reverse of the order in the file.
    pub(super) shape: Vec<usize>,
    /// Position in the file.
    pub(super) start: usize,
}

impl Entry {
    /// Values in a row: the dimension that quantisation blocks divide.
    pub(super) fn row_length(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }
}

/// A tensor as the header states it.
struct Stated {
    name: String,
    block_type: BlockType,
    shape: Vec<usize>,
    bytes: usize,
    /// From the start of the data.
    offset: u64,
}

/// Reads the header and checks every tensor against the length of the file.
pub(super) fn read(file: &OpenedFile) -> Result<(Metadata, BTreeMap<String, Entry>), ModelError> {
    let mut cursor = Cursor::open(file.path(), file.len())?;
    let (tensor_count, value_count) = preamble(&mut cursor)?;
    let mut values = BTreeMap::new();
    for _ in 0..value_count {
        let key = cursor.text()?;
        let value = metadata::value(&mut cursor)?;
        if values.insert(key.clone(), value).is_some() {
            return Err(cursor.error(&format!("metadata key \"{key}\" occurs twice")));
        }
    }
    let mut stated = Vec::new();
    for _ in 0..tensor_count {
        stated.push(tensor(&mut cursor)?);
    }
    let metadata = Metadata::new(file.path(), values);
    let alignment = alignment(&metadata)?;
    let data_start = cursor.position().next_multiple_of(alignment);
    let tensors = place(file, stated, data_start, alignment)?;
    Ok((metadata, tensors))
}

fn preamble(cursor: &mut Cursor) -> Result<(u64, u64), ModelError> {
    if cursor.array().ok() != Some(*b"GGUF") {
        let hint = "download the file again, or name a folder with safetensors";
        return Err(ModelError::file_with_hint(cursor.path(), "not a GGUF file", hint));
    }
    let version = cursor.u32()?;
    if version.swap_bytes() == 2 || version.swap_bytes() == 3 {
        return Err(ModelError::file(cursor.path(), "big-endian GGUF files are not supported"));
    }
    if version != 2 && version != 3 {
        let message = format!("GGUF version {version} is not supported (supported: 2, 3)");
        return Err(ModelError::file(cursor.path(), message));
    }
    Ok((cursor.u64()?, cursor.u64()?))
}

fn alignment(metadata: &Metadata) -> Result<usize, ModelError> {
    let stated = metadata.size("general.alignment").map_err(|problem| metadata.error(vec![problem]))?;
    match stated {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(alignment) if alignment.is_power_of_two() && alignment <= 1 << 20 => Ok(alignment),
        Some(other) => {
            let message = format!("general.alignment: {other} is not a small power of two");
            Err(ModelError::file(metadata.path(), message))
        }
    }
}

fn tensor(cursor: &mut Cursor) -> Result<Stated, ModelError> {
    let name = cursor.text()?;
    let path = cursor.path().to_path_buf();
    let wrong = |message: String| ModelError::tensor(&path, &name, message);
    let dimensions = cursor.u32()?;
    if !(1..=4).contains(&dimensions) {
        return Err(wrong(format!("{dimensions} dimensions")));
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let size = cursor.u64()?;
        match usize::try_from(size) {
            Ok(size) if size > 0 => shape.insert(0, size),
            _ => return Err(wrong(format!("impossible size {size}"))),
        }
    }
    let block_type = BlockType::from_number(cursor.u32()?).map_err(|(message, hint)| {
        ModelError::file_with_hint(&path, format!("tensor {name:?}: {message}"), hint)
    })?;
    let offset = cursor.u64()?;
    let row_length = shape.last().copied().unwrap_or(1);
    if row_length % block_type.values_per_block() != 0 {
        let message = format!(
            "rows of {row_length} values cannot be {}, whose blocks hold {}",
            block_type.name(),
            block_type.values_per_block()
        );
        return Err(wrong(message));
    }
    let elements = shape.iter().try_fold(1_usize, |elements, size| elements.checked_mul(*size));
    let bytes = elements.and_then(|elements| {
        (elements / block_type.values_per_block()).checked_mul(block_type.bytes_per_block())
    });
    let Some(bytes) = bytes else { return Err(wrong(format!("impossible shape {shape:?}"))) };
    Ok(Stated { name, block_type, shape, bytes, offset })
}

/// Turns offsets into positions: inside the file, aligned, no two over each other.
fn place(
    file: &OpenedFile,
    mut stated: Vec<Stated>,
    data_start: usize,
    alignment: usize,
) -> Result<BTreeMap<String, Entry>, ModelError> {
    stated.sort_by_key(|tensor| tensor.offset);
    let mut free = data_start;
    let mut tensors = BTreeMap::new();
    for Stated { name, block_type, shape, bytes, offset } in stated {
        let wrong = |message: String| ModelError::tensor(file.path(), &name, message);
        let start = usize::try_from(offset).ok().and_then(|offset| data_start.checked_add(offset));
        let end = start.and_then(|start| start.checked_add(bytes)).filter(|end| *end <= file.len());
        let (Some(start), Some(end)) = (start, end) else {
            let message =
                format!("truncated: {bytes} bytes at offset {offset} do not fit a file of {}", file.len());
            return Err(wrong(message));
        };
        if offset % alignment as u64 != 0 {
            return Err(wrong(format!("offset {offset} is not a multiple of {alignment}")));
        }
        if start < free {
            return Err(wrong("overlaps the tensor before it".to_owned()));
        }
        free = end;
        if tensors.contains_key(&name) {
            return Err(wrong("occurs twice".to_owned()));
        }
        tensors.insert(name, Entry { block_type, shape, start });
    }
    Ok(tensors)
}
