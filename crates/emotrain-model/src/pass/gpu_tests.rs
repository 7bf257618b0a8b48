//! How many kernels a decoder block launches on a GPU, a software one included: what a step costs beside its products.

use burn::tensor::DType;
use emotrain_recipe::{DeviceChoice, Dtype};
use expect_test::expect;

use super::*;
use crate::batch::Sequence;
use crate::config::{Architecture, ModelConfig};
use crate::device::{self, OpenDevice, Profile};
use crate::kernels::AdamW;
use crate::lora::LoraConfig;

/// A Qwen3 of three small blocks: norms of queries and keys, grouped heads.
pub(super) fn model(on: &OpenDevice) -> CausalLm {
    let config = ModelConfig {
        architecture: Architecture::Qwen3,
        vocab_size: 64,
        hidden_size: 64,
        intermediate_size: 96,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 16,
        rms_norm_eps: 1e-6,
        rope_theta: 10_000.0,
        rotary_dim: 16,
        rope_scaling: None,
        sliding_window: None,
        query_pre_attn_scalar: None,
        max_position_embeddings: 128,
        tie_word_embeddings: true,
        attention_bias: false,
        initializer_range: 0.02,
    };
    let mut model = CausalLm::random(&config, &on.device, on.dtype, 3);
    let lora = LoraConfig { r: 8, lora_alpha: 16.0, lora_dropout: 0.1, ..LoraConfig::default() };
    model.add_lora(&lora, 3).unwrap();
    model
}

/// Two sequences of 24 tokens.
fn batch() -> Batch {
    let ids: Vec<Vec<u32>> = (0..2).map(|n| (0..25).map(|i| (7 * i + 11 * n) % 64).collect()).collect();
    let sequences: Vec<Sequence> = ids.iter().map(|ids| Sequence { ids, supervised_from: 0 }).collect();
    Batch::sequences(&sequences)
}

/// A sequence of several blocks of queries, and a tree of sequences, whose rows see several ranges.
pub(super) fn long_batches() -> [Batch; 2] {
    let ids = |length: u32, turn: u32| -> Vec<u32> { (0..length).map(|i| (i * i + turn) % 64).collect() };
    let long = ids(600, 5);
    let start = ids(40, 1);
    let branch = |turn: u32| [start.clone(), ids(20 + turn, turn)].concat();
    let (one, two, three) = (branch(2), branch(7), [branch(7), ids(9, 3)].concat());
    let tree = [&one, &two, &three].map(|ids| Sequence { ids, supervised_from: 30 });
    [Batch::sequences(&[Sequence { ids: &long, supervised_from: 0 }]), Batch::trees(&tree)]
}

/// The gradients of an adapter for a batch by name, after a step that leaves no factor zero; in f32.
fn gradients(on: &OpenDevice, batch: &Batch) -> Vec<(String, Vec<f32>)> {
    let options = PassOptions {
        factor: 1.0 / batch.targets().len() as f64,
        random: Key::new(4),
        neftune_noise_alpha: 0.0,
        label_smoothing_factor: 0.0,
        gradient_checkpointing: Checkpointing::Off,
    };
    let mut model = model(on);
    let mut first = Gradients::default();
    model.forward_backward(batch, options, &mut first);
    for (name, parameter) in model.parameters() {
        *parameter = parameter.clone() - first.remove(&name).unwrap();
    }
    let mut second = Gradients::default();
    model.forward_backward(batch, options, &mut second);
    let names: Vec<String> = second.names().map(str::to_owned).collect();
    let numbers = |name: &String| second.remove(name).unwrap().try_into_vec_as::<f32>().unwrap();
    names.iter().map(numbers).zip(&names).map(|(numbers, name)| (name.clone(), numbers)).collect()
}

/// The number of launches, then the kernels by name.
fn counted(what: &str, profile: &Profile) -> String {
    let kinds: Vec<String> =
        profile.iter().map(|(name, launches)| format!("{} {name}", launches.count)).collect();
    let all: usize = profile.values().map(|launches| launches.count).sum();
    format!("{what}: {all}\n  {}\n", kinds.join("\n  "))
}

/// The middle block of three forward and backward, and the norm and the update of its adapters' gradients.
fn launches(on: &OpenDevice) -> String {
    let (model, batch) = (model(on), batch());
    let dropout = model.dropout(Key::new(1));
    let shares = vec![ShareRows { dropout, ..ShareRows::all(batch.rows()) }];
    let ((passes, x), start) = device::profiled(|| {
        let passes = Passes::new(vec![&model], &batch, None, shares);
        (passes, model.embedded(batch.ids.iter().copied()).0)
    });
    let (layer, run) = (&model.layers[1], passes.of(1));
    let ((out, tape), forward) = device::profiled(|| layer.forward(x, &run));
    let mut gradients = Gradients::default();
    let (_, backward) = device::profiled(|| layer.backward(&out, tape, &run, &mut [&mut gradients]).unwrap());
    let (norm, norms) = device::profiled(|| gradients.norm());
    assert!(norm.is_finite() && norm > 0.0, "{norm}");
    let rule = AdamW { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.01 };
    let count = gradients.names().count();
    let mut adapter = model.layer_adapter(1).clone();
    let update = |name: &str, parameter: &Tensor<2>, moments| {
        rule.update(parameter.clone(), gradients.get(name).unwrap().clone(), moments, 1e-3)
    };
    // The first update has no moments yet.
    let mut begun: Vec<_> = adapter.parameters().map(|(name, p)| (update(&name, p, None), name)).collect();
    let ((), update) = device::profiled(|| {
        for ((parameter, moments), name) in begun.drain(..) {
            let _ = update(&name, &parameter, Some(moments));
        }
    });
    [
        counted("once a batch", &start),
        counted("forward", &forward),
        counted("backward", &backward),
        counted(&format!("norm of {count} gradients"), &norms),
        counted(&format!("update of {count} parameters"), &update),
    ]
    .concat()
}

#[test]
fn a_gpu_gives_the_gradients_of_the_cpu_over_long_sequences_and_trees() {
    if !device::compiled().contains(&"wgpu") {
        println!("skipped: built without the wgpu feature");
        return;
    }
    let open = |choice| device::open(&choice, Dtype::Float32).unwrap();
    let (gpu, cpu) = (open(DeviceChoice::Wgpu(None)), open(DeviceChoice::Cpu));
    for batch in long_batches() {
        for ((name, ours), (_, reference)) in gradients(&gpu, &batch).into_iter().zip(gradients(&cpu, &batch))
        {
            let largest = reference.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
            let difference =
                ours.iter().zip(&reference).fold(0.0_f32, |largest, (a, b)| largest.max((a - b).abs()));
            assert!(largest > 0.0 && difference <= 1e-3 * largest, "{name}: {difference} of {largest}");
        }
    }
}

#[test]
fn a_block_takes_few_launches_on_a_gpu() {
    if !device::compiled().contains(&"wgpu") {
        println!("skipped: built without the wgpu feature");
        return;
    }
    let open = |dtype| device::open(&DeviceChoice::Wgpu(None), dtype);
    let on =
        open(Dtype::Bfloat16).or_else(|_| open(Dtype::Float16)).or_else(|_| open(Dtype::Float32)).unwrap();
    assert_eq!(on.dtype, DType::F16, "the counts are those of a device with float16");
    expect![[r"
        once a batch: 1
          1 SelectKernel
        forward: 67
          4 AddToBlock
          14 Convert
          5 DropNumbers
          1 GatedForward
          3 HeadsOfRows
          5 KernelBinop
          21 MatmulEntry
          4 RmsNormForward
          2 RotateHeads
          2 RowsOfHeads
          4 SliceKernel
          2 SoftmaxForward
        backward: 96
          5 AddKeptNumbers
          2 AddKeysAndValues
          7 CastElement
          7 Convert
          5 DropNumbers
          1 FullKernel
          1 GatedBackward
          1 GatedForward
          5 HeadsOfRows
          3 KernelBinop
          39 MatmulEntry
          4 RmsNormBackward
          2 RmsNormForward
          2 RotateHeads
          2 RowsOfHeads
          4 SliceAssignKernel
          4 SliceKernel
          2 SoftmaxBackward
        norm of 14 gradients: 16
          1 FullKernel
          1 SharedSumKernel
          14 Squares
        update of 14 parameters: 14
          14 AdamwUpdate
    "]]
    .assert_eq(&launches(&on));
}
