//! The gradients of one step as a file, for comparing them with another trainer's.

use std::collections::BTreeMap;
use std::path::Path;

use emotrain_base::random::Key;
use emotrain_model::{
    Batch, CausalLm, Checkpointing, FloatType, NamedTensor, PassOptions, TensorSpec, write_safetensors,
};

/// Writes `ids`, `completion`, `scale` and `loss`, every parameter by its name, and its gradient by the name with
/// `.grad` behind it, all in float32. Nothing is updated.
///
/// # Errors
/// A file that cannot be written.
pub(super) fn write(model: &mut CausalLm, ids: &[u32], completion: usize, path: &Path) -> anyhow::Result<()> {
    let batch =
        Batch::sequences(&[emotrain_model::Sequence { ids, supervised_from: ids.len() - completion }]);
    let options = PassOptions {
        factor: 1.0 / completion as f64,
        random: Key::new(0),
        neftune_noise_alpha: 0.0,
        label_smoothing_factor: 0.0,
        gradient_checkpointing: Checkpointing::Off,
    };
    let mut gradients = model.gradients();
    let loss = model.forward_backward(&batch, options, &mut gradients).mean().into_scalar::<f32>();
    let scale = model.lora().map_or(1.0, |lora| lora.lora_alpha / lora.r as f64);
    #[expect(clippy::cast_precision_loss, reason = "token ids and counts are far below 2^24")]
    let mut tensors = vec![
        named("ids", vec![ids.len()], ids.iter().map(|&id| id as f32).collect()),
        named("completion", vec![1], vec![completion as f32]),
        #[expect(clippy::cast_possible_truncation, reason = "alpha over r")]
        named("scale", vec![1], vec![scale as f32]),
        named("loss", vec![1], vec![loss]),
    ];
    for (name, parameter) in model.parameters() {
        let shape = parameter.dims().to_vec();
        if let Some(gradient) = gradients.remove(&name) {
            tensors.push(named(&format!("{name}.grad"), shape.clone(), values(gradient)));
        }
        tensors.push(named(&name, shape, values(parameter.clone())));
    }
    Ok(write_safetensors(path, &tensors, &BTreeMap::new())?)
}

fn values(tensor: burn::tensor::Tensor<2>) -> Vec<f32> {
    tensor.cast(burn::tensor::DType::F32).try_into_vec_as::<f32>().expect("f32 on every device")
}

fn named(name: &str, shape: Vec<usize>, values: Vec<f32>) -> NamedTensor {
    NamedTensor { spec: TensorSpec { name: name.to_owned(), shape, dtype: FloatType::F32 }, values }
}
