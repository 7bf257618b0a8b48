//! Layers that are computed again on a GPU, a software one included, against layers that keep their tapes.

use emotrain_recipe::{DeviceChoice, Dtype};

use super::gpu_tests::{long_batches, model, options};
use super::*;
use crate::device::{self, OpenDevice};

fn pass(model: &CausalLm, batch: &Batch, gradient_checkpointing: Checkpointing) -> Gradients {
    let factor = 1.0 / batch.targets().len() as f64;
    let options = options(factor, Key::new(4), gradient_checkpointing);
    let mut gradients = Gradients::default();
    model.forward_backward(batch, options, &mut gradients);
    gradients
}

/// A model of three layers none of whose factors is zero.
fn trained(on: &OpenDevice, batch: &Batch) -> CausalLm {
    let mut model = model(on);
    let mut gradients = pass(&model, batch, Checkpointing::Off);
    for (name, parameter) in model.parameters() {
        *parameter = parameter.clone() - gradients.remove(&name).unwrap();
    }
    model
}

fn numbers(model: &mut CausalLm, mut gradients: Gradients) -> Vec<Vec<f32>> {
    let names: Vec<String> = model.parameters().into_iter().map(|(name, _)| name).collect();
    let of = |name: &String| gradients.remove(name).unwrap().try_into_vec_as::<f32>().unwrap();
    names.iter().map(of).collect()
}

#[test]
fn layers_computed_again_give_the_same_bits_on_a_gpu_from_whichever_memory() {
    if !device::compiled().contains(&"wgpu") {
        println!("skipped: built without the wgpu feature");
        return;
    }
    let checkpointings = [Checkpointing::Every(1), Checkpointing::Offloaded(1), Checkpointing::Offloaded(2)];
    for (dtype, batch) in [Dtype::Float32, Dtype::Float16].into_iter().zip(long_batches()) {
        let on = device::open(&DeviceChoice::Wgpu(None), dtype).unwrap();
        let mut model = trained(&on, &batch);
        let gradients = pass(&model, &batch, Checkpointing::Off);
        let kept = numbers(&mut model, gradients);
        assert!(kept.iter().all(|one| one.iter().any(|&number| number != 0.0)));
        assert!(kept.iter().flatten().all(|number| number.is_finite()));
        for checkpointing in checkpointings {
            let gradients = pass(&model, &batch, checkpointing);
            assert!(numbers(&mut model, gradients) == kept, "{dtype}: {checkpointing:?}");
        }
        let softmaxes = |checkpointing| {
            let (_, profile) = device::profiled(|| pass(&model, &batch, checkpointing));
            profile.kernels.get("SoftmaxForward").expect("attention of a block in a launch").count
        };
        assert_eq!(
            softmaxes(Checkpointing::Off),
            softmaxes(Checkpointing::Every(1)),
            "attention is computed once"
        );
    }
}
