//! How the factors of an adapter begin, by the formulas of PEFT's `tuners/lora/layer.py`.

use burn::tensor::DType;
use emotrain_base::random::{Key, normal, uniform};
use emotrain_kernels::{Factors, qr_factors, singular_factors};
use emotrain_recipe::LoraInit;

use super::config::LoraConfig;
use crate::linear::{Linear, Module};

/// Directions beyond the rank that are looked at for the exact part of the largest singular values.
const MORE: usize = 10;

/// `A` `[r, in]` and `B` `[out, r]`, row-major; without `B` it is zero, with it `s·B·A` is a part of the weight, or for
/// `OLoRA` `B·A` is.
pub(super) fn factors(
    config: &LoraConfig,
    module: &Module,
    linear: &Linear,
    seed: u64,
) -> (Vec<f32>, Option<Vec<f32>>) {
    let [_, input] = linear.weight.dims();
    let (r, key) = (config.r, Key::new(seed).named("lora_A").named(&module.path));
    let singular = |iterations, directions| {
        let start = normal(key, directions * input, 1.0);
        let Factors { mut a, mut b } = singular_factors(&rows(linear, module), input, r, iterations, &start);
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        let root = config.scale().sqrt() as f32;
        a.iter_mut().chain(&mut b).for_each(|value| *value /= root);
        Factors { a, b }
    };
    let Factors { a, b } = match config.init {
        LoraInit::Kaiming => return (uniform(key, r * input, (input as f32).sqrt().recip()), None),
        LoraInit::Gaussian => return (normal(key, r * input, (r as f32).recip()), None),
        LoraInit::Olora => qr_factors(&rows(linear, module), input, r),
        LoraInit::Pissa => singular(None, (r + MORE.max(r)).min(input).min(module.columns.len())),
        LoraInit::PissaNiter(count) => singular(Some(count), r),
    };
    (a, Some(b))
}

/// The weight of a module, `[out, in]`, on the host.
fn rows(linear: &Linear, module: &Module) -> Vec<f32> {
    let Module { columns, .. } = module;
    let rows = linear.weight.dense().narrow(0, columns.start, columns.len());
    rows.cast(DType::F32).try_into_vec_as().expect("a device that can be read")
}
