//! Models in Hugging Face's form: safetensors in one file or in shards with an index, and `config.json`
//! (`huggingface_hub/serialization/_base.py`, `split_state_dict_into_shards_factory`).

use std::collections::BTreeMap;
use std::path::Path;

use emotrain_base::write_atomic;
use serde_json::json;

use super::merged::Merged;
use crate::codes::Codes;
use crate::config::ModelDescription;
use crate::error::ModelError;
use crate::float::FloatType;
use crate::weights::{StoredTensor, StoredType, TensorOut, tensor_shapes, write_stored};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Writes every tensor of `merged` into the existing folder `folder` as `dtype`, and `config.json`. A file has at most
/// `max_shard_size` bytes of tensors, or one tensor.
///
/// Nothing larger than some rows of a tensor is in memory.
///
/// # Errors
/// A base that cannot be read, a file that cannot be written, a weight that overflows `dtype`.
pub fn write_model(
    merged: &Merged,
    folder: &Path,
    dtype: FloatType,
    max_shard_size: usize,
) -> Result<(), ModelError> {
    let description = merged.description();
    let stored = StoredType::Float(dtype);
    let tensor = |(name, shape)| vec![StoredTensor { name, shape, stored }];
    let tensors = tensor_shapes(&description.config).into_iter().map(tensor).collect();
    write_shards(folder, tensors, max_shard_size, &mut |tensor, out| {
        merged.visit(&tensor.name, &tensor.shape, &mut |piece| out.floats(piece))
    })?;
    write_config(description, folder, dtype, None)
}

/// Writes what `fill` gives into as many files as it takes, each with at most `max_shard_size` bytes or one group of
/// tensors, and an index where there are several.
pub(super) fn write_shards(
    folder: &Path,
    groups: Vec<Vec<StoredTensor>>,
    max_shard_size: usize,
    fill: &mut dyn FnMut(&StoredTensor, &mut TensorOut) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    let shards = shards(groups, max_shard_size);
    let count = shards.len();
    let mut places = BTreeMap::new();
    let (mut total, mut values) = (0, 0);
    for (number, shard) in shards.iter().enumerate() {
        let name = match count {
            1 => SINGLE.to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
        };
        write_stored(&folder.join(&name), shard, &BTreeMap::new(), &mut *fill)?;
        total += shard.iter().map(StoredTensor::bytes).sum::<usize>();
        values += shard.iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum::<usize>();
        places.extend(shard.iter().map(|tensor| (tensor.name.clone(), name.clone())));
    }
    if count > 1 {
        let index = json!({
            "metadata": { "total_parameters": values, "total_size": total },
            "weight_map": places,
        });
        write_atomic(&folder.join(INDEX), format!("{index:#}\n").as_bytes())?;
    }
    Ok(())
}

/// Writes `config.json`, which says of special tokens and the like what the base's says.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write_config(
    description: &ModelDescription,
    folder: &Path,
    dtype: FloatType,
    codes: Option<Codes>,
) -> Result<(), ModelError> {
    let text = description.to_json(dtype, codes);
    Ok(write_atomic(&folder.join("config.json"), text.as_bytes())?)
}

/// Tensors file by file, in their order; those of a group stay together.
fn shards(groups: Vec<Vec<StoredTensor>>, max_shard_size: usize) -> Vec<Vec<StoredTensor>> {
    let (mut shards, mut size) = (vec![Vec::new()], 0);
    for group in groups {
        let own: usize = group.iter().map(StoredTensor::bytes).sum();
        if size > 0 && size + own > max_shard_size {
            shards.push(Vec::new());
            size = 0;
        }
        size += own;
        shards.last_mut().expect("there is a first shard").extend(group);
    }
    shards
}
