//! Models in Hugging Face's form: safetensors in one file or in shards with an index, and `config.json`
//! (`huggingface_hub/serialization/_base.py`, `split_state_dict_into_shards_factory`).

use std::collections::BTreeMap;
use std::path::Path;

use emotrain_base::write_atomic;
use serde_json::json;

use super::merged::Merged;
use crate::config::ModelDescription;
use crate::error::ModelError;
use crate::float::FloatType;
use crate::weights::{TensorSpec, tensor_shapes, write_safetensors_with};

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
    let specs = tensor_shapes(&description.config)
        .into_iter()
        .map(|(name, shape)| TensorSpec { name, shape, dtype })
        .collect();
    let shards = shards(specs, max_shard_size);
    let count = shards.len();
    let mut places = BTreeMap::new();
    let mut total = 0;
    for (number, shard) in shards.iter().enumerate() {
        let name = match count {
            1 => SINGLE.to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
        };
        let path = folder.join(&name);
        write_safetensors_with(&path, shard, &BTreeMap::new(), |spec, visit| {
            merged.visit(&spec.name, &spec.shape, visit)
        })?;
        total += shard.iter().map(bytes).sum::<usize>();
        places.extend(shard.iter().map(|spec| (spec.name.clone(), name.clone())));
    }
    if count > 1 {
        let parameters = total / dtype.size();
        let index = json!({
            "metadata": { "total_parameters": parameters, "total_size": total },
            "weight_map": places,
        });
        write_atomic(&folder.join(INDEX), format!("{index:#}\n").as_bytes())?;
    }
    write_config(description, folder, dtype)
}

/// Writes `config.json`, which says of special tokens and the like what the base's says.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write_config(
    description: &ModelDescription,
    folder: &Path,
    dtype: FloatType,
) -> Result<(), ModelError> {
    Ok(write_atomic(&folder.join("config.json"), description.to_json(dtype).as_bytes())?)
}

/// Tensors file by file, in their order.
fn shards(specs: Vec<TensorSpec>, max_shard_size: usize) -> Vec<Vec<TensorSpec>> {
    let (mut shards, mut size) = (vec![Vec::new()], 0);
    for spec in specs {
        let own = bytes(&spec);
        if size > 0 && size + own > max_shard_size {
            shards.push(Vec::new());
            size = 0;
        }
        size += own;
        shards.last_mut().expect("there is a first shard").push(spec);
    }
    shards
}

fn bytes(spec: &TensorSpec) -> usize {
    spec.shape.iter().product::<usize>() * spec.dtype.size()
}
