//! LoRA adapters for llama.cpp (`llama_adapter_lora_init_impl`): a pair of tensors for each adapted layer, and one
//! `alpha` for the whole file.

use std::collections::BTreeMap;
use std::path::Path;

use super::output::{GgufOutput, Item, Stated};
use super::settings::single;
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::weights::gguf::adapter::{ALPHA, GgufLora, HALVES, is_alpha};
use crate::weights::gguf::blocks::BlockType;
use crate::weights::gguf::row_order::RowOrder;
use crate::weights::names::{LinearModule, linear_modules};

/// Writes an adapter of a model of shape `config` to `path`, replacing what was there once everything is on disk.
///
/// llama.cpp multiplies each layer by `alpha / rank` with one `alpha` for the whole file. It is that of the first
/// layer, `scale · rank`, which for rank-stabilised scaling is `√rank` times PEFT's; the `B` of layers that would need
/// another are multiplied by what is missing. Tensors are `f32`.
///
/// # Errors
///
/// When there is no layer, the model has not a layer of some path, its shape is another, or the file cannot be written.
pub(crate) fn write_gguf_lora(
    path: &Path,
    config: &ModelConfig,
    name: &str,
    layers: &[GgufLora],
) -> Result<(), ModelError> {
    let Some(first) = layers.first() else {
        return Err(ModelError::file(path, "the adapter has no layer"));
    };
    let alpha = first.scale * first.rank as f64;
    if !is_alpha(alpha) {
        return Err(ModelError::tensor(path, &first.path, format!("a scale of {}", first.scale)));
    }
    let known: BTreeMap<String, LinearModule> =
        linear_modules(config).into_iter().map(|linear| (linear.path.clone(), linear)).collect();
    let mut tensors = Vec::with_capacity(2 * layers.len());
    for layer in layers {
        let Some(LinearModule { gguf, outputs, inputs, .. }) = known.get(&layer.path) else {
            return Err(ModelError::tensor(path, &layer.path, "the model has no such linear layer"));
        };
        let half = |half: &str, shape: [usize; 2], order: RowOrder| Stated {
            name: format!("{gguf}{half}"),
            shape: shape.to_vec(),
            block_type: BlockType::F32,
            order,
        };
        let order = RowOrder::of(config, &format!("{}.weight", layer.path));
        tensors.push(half(HALVES[0], [layer.rank, *inputs], RowOrder::AsStored));
        tensors.push(half(HALVES[1], [*outputs, layer.rank], order));
    }
    let own = |key: &str, item| (key.to_owned(), item);
    let metadata = [
        own("general.architecture", Item::text(config.architecture.family().gguf)),
        own("general.type", Item::text("adapter")),
        own("general.name", Item::text(name)),
        own("general.file_type", Item::Size(0)),
        own("general.quantization_version", Item::Size(2)),
        own("adapter.type", Item::text("lora")),
        own(ALPHA, Item::Number(single(alpha))),
    ];
    let mut out = GgufOutput::create(path, &metadata, &tensors)?;
    for (layer, halves) in layers.iter().zip(tensors.chunks_exact(2)) {
        let missing = single(layer.scale * layer.rank as f64 / alpha);
        let is_alike = (missing - 1.0).abs() < f32::EPSILON;
        let scaled = if is_alike { layer.b.clone() } else { layer.b.iter().map(|b| b * missing).collect() };
        for (tensor, values) in halves.iter().zip([&layer.a, &scaled]) {
            out.tensor(tensor, &mut |visit| {
                visit(values);
                Ok(())
            })?;
        }
    }
    out.finish()
}
