//! How many kernels a decoder block launches on a GPU, a software one included: what a step costs beside its products.

use std::collections::BTreeMap;

use burn::tensor::DType;
use emotrain_recipe::{DeviceChoice, Dtype};
use expect_test::expect;

use super::*;
use crate::batch::Sequence;
use crate::config::{Architecture, ModelConfig};
use crate::device::{self, OpenDevice, Profile};
use crate::joint::JointMoments;
use crate::kernels::{AdamW, Moments};
use crate::lora::LoraConfig;

/// The widths of a block.
#[derive(Clone, Copy)]
struct Widths {
    hidden: usize,
    inner: usize,
    heads: [usize; 2],
    head: usize,
    rank: usize,
}

/// A Qwen3 of three small blocks: norms of queries and keys, grouped heads.
pub(super) fn model(on: &OpenDevice) -> CausalLm {
    model_of(on, Widths { hidden: 64, inner: 96, heads: [4, 2], head: 16, rank: 8 })
}

fn model_of(on: &OpenDevice, widths: Widths) -> CausalLm {
    let config = ModelConfig {
        architecture: Architecture::Qwen3,
        vocab_size: 64,
        hidden_size: widths.hidden,
        intermediate_size: widths.inner,
        num_hidden_layers: 3,
        num_attention_heads: widths.heads[0],
        num_key_value_heads: widths.heads[1],
        head_dim: widths.head,
        rms_norm_eps: 1e-6,
        rope_theta: 10_000.0,
        rotary_dim: widths.head,
        rope_scaling: None,
        sliding_window: None,
        query_pre_attn_scalar: None,
        max_position_embeddings: 1024,
        tie_word_embeddings: true,
        attention_bias: false,
        initializer_range: 0.02,
    };
    let mut model = CausalLm::random(&config, &on.device, on.dtype, 3);
    let lora = LoraConfig { r: widths.rank, lora_alpha: 16.0, lora_dropout: 0.1, ..LoraConfig::default() };
    model.add_lora(&lora, 3).unwrap();
    model
}

pub(super) fn options(factor: f64, random: Key, gradient_checkpointing: Checkpointing) -> PassOptions {
    PassOptions {
        factor,
        random,
        neftune_noise_alpha: 0.0,
        label_smoothing_factor: 0.0,
        gradient_checkpointing,
    }
}

/// Sequences of so many tokens.
pub(super) fn batch(sequences: u32, tokens: u32) -> Batch {
    let ids = |n: u32| (0..=tokens).map(|i| (7 * i + 11 * n) % 64).collect();
    let ids: Vec<Vec<u32>> = (0..sequences).map(ids).collect();
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
    let options = options(1.0 / batch.targets().len() as f64, Key::new(4), Checkpointing::Off);
    let mut model = model(on);
    let mut first = Gradients::default();
    model.forward_backward(batch, options, &mut first);
    for (name, parameter) in model.parameters() {
        *parameter = parameter.clone() - first.remove(&name).unwrap();
    }
    let mut second = Gradients::default();
    model.forward_backward(batch, options, &mut second);
    let names = second.names();
    let numbers = |name: &String| second.remove(name).unwrap().try_into_vec_as::<f32>().unwrap();
    names.iter().map(numbers).zip(&names).map(|(numbers, name)| (name.clone(), numbers)).collect()
}

/// The number of launches, then the kernels by name.
fn counted(what: &str, profile: &Profile) -> String {
    let kinds: Vec<String> =
        profile.kernels.iter().map(|(name, launches)| format!("{} {name}", launches.count)).collect();
    let all: usize = profile.kernels.values().map(|launches| launches.count).sum();
    format!("{what}: {all}\n  {}\n", kinds.join("\n  "))
}

const RULE: AdamW = AdamW { beta_1: 0.9, beta_2: 0.99, epsilon: 1e-3, weight_decay: 0.1 };

/// What the work of a step launches: the middle block of three, the gradients' norm and the update of all.
pub(super) struct Step {
    /// The gradients' norm.
    size: f64,
    start: Profile,
    pub(super) forward: Profile,
    pub(super) backward: Profile,
    norm: Profile,
    update: Profile,
    parameters: usize,
}

impl Step {
    /// Its launches, for people.
    pub(super) fn told(&self) -> String {
        let Self { start, forward, backward, norm, update, parameters, .. } = self;
        [
            counted("once a batch", start),
            counted("forward", forward),
            counted("backward", backward),
            counted(&format!("norm of the gradients of {parameters} parameters"), norm),
            counted(&format!("update of {parameters} parameters"), update),
        ]
        .concat()
    }
}

/// After an update, which gathers the parameters, and makes the factors that a pass has asked for.
pub(super) fn step(mut model: CausalLm, batch: &Batch) -> Step {
    let mut moments = JointMoments::of(&model, &BTreeMap::new()).unwrap();
    model.log_probabilities(batch);
    model.update_jointly(RULE, model.gradients(), &mut moments, [1e-3, 1e-3]);
    let dropout = model.dropout(Key::new(1));
    let shares = vec![ShareRows { dropout, ..ShareRows::all(batch.rows()) }];
    let ((passes, x), start) = device::profiled(|| {
        let passes = Passes::new(vec![&model], batch, None, shares);
        (passes, model.embedded(batch.ids.iter().copied()).0)
    });
    let (layer, run) = (&model.layers[1], passes.of(1));
    let ((out, tape), forward) = device::profiled(|| layer.forward(x, &run));
    let mut gradients = model.gradients();
    let (_, backward) = device::profiled(|| layer.backward(&out, tape, &run, &mut [&mut gradients]).unwrap());
    let (size, norm) = device::profiled(|| gradients.norm());
    let parameters = gradients.names().len();
    let ((), update) = device::profiled(|| model.update_jointly(RULE, gradients, &mut moments, [1e-3, 1e-3]));
    Step { size, start, forward, backward, norm, update, parameters }
}

pub(super) fn launches(profiles: &[&Profile]) -> usize {
    profiles.iter().flat_map(|profile| profile.kernels.values()).map(|launches| launches.count).sum()
}

/// With 16 bits a number if there is one.
fn narrow_gpu() -> Option<OpenDevice> {
    if !device::compiled().contains(&"wgpu") {
        println!("skipped: built without the wgpu feature");
        return None;
    }
    let open = |dtype| device::open(&DeviceChoice::Wgpu(None), dtype);
    let on =
        open(Dtype::Bfloat16).or_else(|_| open(Dtype::Float16)).or_else(|_| open(Dtype::Float32)).unwrap();
    assert_eq!(on.dtype, DType::F16, "the counts are those of a device with float16");
    Some(on)
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
    let Some(on) = narrow_gpu() else { return };
    let step = step(model(&on), &batch(2, 24));
    assert!(step.size.is_finite() && step.size > 0.0, "{}", step.size);
    let Step { forward, backward, norm, update, .. } = &step;
    assert!(launches(&[forward, backward]) <= 100, "a block is few launches");
    assert!(launches(&[norm, update]) <= 60, "so is the update of all adapters");
    expect![[r"
        once a batch: 1
          1 RowsOfTable
        forward: 28
          5 AddLowProduct
          1 GatedForward
          1 KernelBinop
          14 MatmulEntry
          2 RmsNormForward
          1 RowsOfBlocks
          2 SoftmaxForward
          2 TurnHeads
        backward: 62
          5 AddLowProduct
          12 AddToBlock
          1 BlocksOfRows
          1 DropNumbers
          1 GatedBackward
          1 GatedForward
          1 KernelBinop
          30 MatmulEntry
          2 PutKeysAndValues
          2 RmsNormBackward
          2 RmsNormForward
          2 SoftmaxBackward
          2 TurnHeadsBack
        norm of the gradients of 42 parameters: 2
          1 Squares
          1 SumOfAll
        update of 42 parameters: 4
          1 AdamwUpdate
          1 Convert
          1 FullKernel
          1 SpreadColumns
    "]]
    .assert_eq(&step.told());
}

/// The gigabytes that a block of Qwen3-8B moves with adapters of rank 32 and 2,048 tokens in three sequences, and in one, and
/// what of them no score is, from a block an eighth as wide and long: of a tensor that depends on no sequence both sides
/// are eight times as long there, of scores heads, queries and keys. What scores take is known from the same tokens in two
/// sequences.
fn gigabytes(on: &OpenDevice) -> [f64; 3] {
    let widths = Widths { hidden: 512, inner: 1536, heads: [4, 1], head: 128, rank: 4 };
    let bytes = |sequences, tokens| {
        let Step { forward, backward, .. } = step(model_of(on, widths), &batch(sequences, tokens));
        (forward.bytes + backward.bytes) as f64
    };
    let (one, two) = (bytes(1, 256), bytes(2, 128));
    let of_score = (one - two) / f64::from(256 * 256 - 2 * 128 * 128);
    let others = one - of_score * f64::from(256 * 256);
    // Blocks of 512 queries, each with the keys up to its last.
    let scores = |tokens: usize| -> usize {
        (0..tokens).step_by(512).map(|start| (tokens - start).min(512) * (start + 512).min(tokens)).sum()
    };
    let whole = |lengths: &[usize]| {
        let scores: usize = lengths.iter().map(|&length| scores(length)).sum();
        (64.0 * others + 8.0 * of_score * scores as f64) / 1e9
    };
    [whole(&[683, 683, 682]), whole(&[2048]), 64.0 * others / 1e9]
}

/// At most five of them in three sequences; those in one.
pub(super) fn check_gigabytes(on: &OpenDevice) -> f64 {
    let [three, one, beside] = gigabytes(on);
    println!("{three:.2} and {one:.2} GB, of them {beside:.2} beside scores");
    assert!(three > 1.0 && three <= 5.0, "{three}");
    one
}

#[test]
fn a_block_moves_few_bytes_on_a_gpu() {
    let Some(on) = narrow_gpu() else { return };
    let one = check_gigabytes(&on);
    assert!(one <= 6.5, "{one}");
}

/// A step by the gradients of a batch: of an adapter on a GPU in one buffer, of one on the CPU parameter by parameter.
fn updated(on: &OpenDevice, config: &LoraConfig, steps: usize) -> Vec<(String, Vec<f32>)> {
    let (mut model, rates) = (model(on), [1e-2, 4e-2]);
    model.add_lora(config, 3).unwrap();
    let mut moments: BTreeMap<String, Moments> = BTreeMap::new();
    for _ in 0..steps {
        let mut gradients = model.gradients();
        for batch in [batch(2, 24), batch(1, 24)] {
            let options = options(1e-2, Key::new(4), Checkpointing::Off);
            model.forward_backward(&batch, options, &mut gradients);
        }
        gradients.scale(0.5);
        let given = moments.iter().map(|(name, moments)| (name.as_str(), moments)).collect();
        if let Some(mut joint) = JointMoments::of(&model, &given) {
            model.update_jointly(RULE, gradients, &mut joint, rates);
            moments = joint.split().collect();
            continue;
        }
        for (name, parameter) in model.parameters() {
            let rate = rates[usize::from(!name.ends_with("lora_A.weight"))];
            let gradient = gradients.get(&name).unwrap();
            let (new, kept) = RULE.update(parameter.clone(), gradient, moments.remove(&name), rate);
            *parameter = new;
            moments.insert(name, kept);
        }
    }
    let loss = model.forward_backward(
        &batch(2, 24),
        options(1.0, Key::new(4), Checkpointing::Off),
        &mut model.gradients(),
    );
    let numbers = |tensor: Tensor<2>| tensor.try_into_vec_as::<f32>().unwrap();
    let losses = ("losses".to_owned(), loss.try_into_vec_as::<f32>().unwrap());
    let parameters = model.parameters().into_iter().map(|(name, tensor)| (name, numbers(tensor.clone())));
    parameters.chain([losses]).collect()
}

/// With ranks of several widths, layers that are not adapted, and magnitudes.
#[test]
fn a_gpu_updates_an_adapter_in_one_buffer_as_the_cpu_does_by_matrix() {
    if !device::compiled().contains(&"wgpu") {
        println!("skipped: built without the wgpu feature");
        return;
    }
    let open = |choice| device::open(&choice, Dtype::Float32).unwrap();
    let (gpu, cpu) = (open(DeviceChoice::Wgpu(None)), open(DeviceChoice::Cpu));
    let plain = LoraConfig { r: 6, lora_alpha: 9.0, lora_dropout: 0.1, ..LoraConfig::default() };
    let some = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let configs = [
        LoraConfig { rank_pattern: vec![("v_proj".to_owned(), 3)], ..plain.clone() },
        LoraConfig { target_modules: some(&["v_proj", "up_proj"]), ..plain.clone() },
        LoraConfig { use_dora: true, target_modules: some(&["q_proj", "gate_proj", "up_proj"]), ..plain },
    ];
    for config in configs {
        let (ours, theirs) = (updated(&gpu, &config, 3), updated(&cpu, &config, 3));
        assert_eq!(ours.len(), theirs.len());
        for ((name, ours), (other, theirs)) in ours.into_iter().zip(theirs) {
            assert_eq!((&name, ours.len()), (&other, theirs.len()));
            let apart = ours.iter().zip(&theirs).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(apart < 2e-4, "{name}: {apart}");
        }
    }
}

/// The parameters after two steps of two micro-batches, on one GPU or dealt to two.
fn dealt(models: &mut [CausalLm]) -> Vec<Vec<f32>> {
    let mut moments = JointMoments::of(&models[0], &BTreeMap::new()).unwrap();
    for number in 0..2 {
        let mut gradients: Vec<Gradients> = models.iter().map(CausalLm::gradients).collect();
        for (micro, batch) in [batch(2, 24), batch(1, 24)].iter().enumerate() {
            let options = options(1.0 / 72.0, Key::new(number).with(micro as u64), Checkpointing::Off);
            let of = micro % models.len();
            models[of].forward_backward(batch, options, &mut gradients[of]);
        }
        let mut all = gradients.into_iter();
        let (mut sum, device) = (all.next().unwrap(), models[0].device());
        all.for_each(|others| sum.add_all(others, &device));
        let (first, others) = models.split_first_mut().unwrap();
        first.update_jointly(RULE, sum, &mut moments, [1e-2, 1e-2]);
        for other in others {
            other.follow(first);
        }
    }
    let last = models.last_mut().unwrap();
    last.parameters().into_iter().map(|(_, tensor)| tensor.clone().try_into_vec_as().unwrap()).collect()
}

#[test]
fn two_gpus_make_the_steps_of_one() {
    let (Some(on), Some(other)) = (narrow_gpu(), device::another()) else { return };
    let one = OpenDevice { dtype: DType::F32, ..on.clone() };
    let two = OpenDevice { device: other, ..one.clone() };
    assert!(one.device != two.device);
    let alone = dealt(&mut [model(&one)]);
    let (first, mut second) = (model(&one), model(&two).base());
    second.follow(&first);
    let together = dealt(&mut [first, second]);
    assert_eq!(alone.len(), together.len());
    for (ours, reference) in together.iter().zip(&alone) {
        let apart = ours.iter().zip(reference).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(apart < 1e-5, "{apart}");
    }
}
