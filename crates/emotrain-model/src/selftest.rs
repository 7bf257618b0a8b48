//! A device against the CPU: a tiny model is trained, scored and asked on both, and the numbers are compared.
//!
//! The CPU in float32 is the reference, since the goldens compare it with transformers, PEFT and PyTorch. What another
//! device may differ by is the rounding of its types, so there is one tolerance for each type ([`tolerance`]).

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;

use emotrain_base::random::Key;
use emotrain_kernels::FourBitType;
use emotrain_recipe::{DeviceChoice, Dtype};

use crate::device::{self, OpenDevice};
use crate::{
    AdamW, Architecture, Batch, BertConfig, CausalLm, Checkpointing, Codes, GenerationConfig, Generator,
    Gradients, JointMoments, LoraConfig, ModelConfig, ModelError, Moments, PassOptions, Pooling, Precision,
    Quantization, Sampling, Scorer, SentenceConfig, SentenceEncoder, Sequence, Share, Storage, TokenPrompt,
    forward_backward,
};

/// Steps of gradient descent with dropout, whose masks are the same on every device.
const STEPS: usize = 4;
const LEARNING_RATE: f64 = 0.1;
/// Of the steps: without, with what layers keep on the device, and in the host's memory.
const CHECKPOINTING: [Checkpointing; STEPS] =
    [Checkpointing::Off, Checkpointing::Every(1), Checkpointing::Off, Checkpointing::Offloaded(1)];
const SEED: u64 = 5;
/// The losses of the training as a CPU with AVX-512 gave them.
const LOSSES: [f32; STEPS] = [45.666_92, 40.461_647, 35.949_52, 32.010_57];

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// The loss of each training step, of an adapter alone and of two that share their passes.
    Losses,
    /// The loss of each training step of an adapter on a base in NF4 with double quantisation.
    QuantisedLosses,
    /// The gradient norm of each step on the base itself.
    GradientNorms,
    /// Log-probabilities of completions after the training.
    Scores,
    /// Tokens of greedy answers after the training.
    Answers,
    /// Vectors of a sentence encoder.
    SentenceVectors,
    /// On the CPU, the losses compared with those that this program's authors saw: a CPU, too, can be of a new kind.
    RecordedLosses,
}

impl Quantity {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Losses => "losses",
            Self::QuantisedLosses => "quantised_losses",
            Self::GradientNorms => "gradient_norms",
            Self::Scores => "scores",
            Self::Answers => "answers",
            Self::SentenceVectors => "sentence_vectors",
            Self::RecordedLosses => "recorded_losses",
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One quantity in one dtype on the device, compared with the CPU's in float32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// What was compared.
    pub quantity: Quantity,
    /// The type of weights and activations on the device.
    pub dtype: Dtype,
    /// The largest of `|a - b| / max(|b|, 1)`, `b` being the CPU's; for answers, the share of tokens that differ.
    /// NaN where the device gave one.
    pub deviation: f64,
    /// The largest deviation that is right.
    pub tolerance: f64,
}

impl Comparison {
    /// Whether the deviation is within the tolerance; a NaN never is.
    pub fn passed(&self) -> bool {
        self.deviation <= self.tolerance
    }
}

/// Compares a device with the CPU in every type that it has, and hands each comparison to `report` as it is made.
/// Returns the device's name.
///
/// # Errors
/// A device that cannot be opened.
pub fn compare(choice: &DeviceChoice, report: &mut dyn FnMut(Comparison)) -> Result<String, ModelError> {
    let reference = Numbers::of(&device::open(&DeviceChoice::Cpu, Dtype::Float32)?);
    let name = device::open(choice, Dtype::Float32)?.name;
    for dtype in [Dtype::Float32, Dtype::Bfloat16, Dtype::Float16] {
        // A device without the type is no fault of the device.
        let Ok(open) = device::open(choice, dtype) else { continue };
        for comparison in Numbers::of(&open).against(&reference, dtype, tolerance(&open, dtype)) {
            report(comparison);
        }
    }
    if *choice == DeviceChoice::Cpu {
        let (quantity, dtype, tolerance) = (Quantity::RecordedLosses, Dtype::Float32, 1e-4);
        report(Comparison {
            quantity,
            dtype,
            deviation: deviation(&reference.losses[..STEPS], &LOSSES),
            tolerance,
        });
    }
    Ok(name)
}

/// The tolerance of numbers in a dtype against the CPU's in float32.
///
/// The CPU repeats itself to the bit. Other devices add up in other orders: 10⁻⁴ in float32. A CUDA device without cuBLASLt
/// multiplies float32 matrices as TF32, with the 10 mantissa bits of float16, wherever burn's matrix product takes the
/// tensor cores, and burn has no switch against that; there float32 is held to float16's tolerance. bfloat16 has 8 times
/// float16's rounding error.
pub fn tolerance(on: &OpenDevice, dtype: Dtype) -> f64 {
    match dtype {
        Dtype::Float32 if on.is_cpu() => 0.0,
        Dtype::Float32 if !on.rounds_products() => 1e-4,
        Dtype::Float32 | Dtype::Float16 => 2e-2,
        Dtype::Bfloat16 => 1.6e-1,
    }
}

/// All numbers of one device in one type.
struct Numbers {
    losses: Vec<f32>,
    quantised_losses: Vec<f32>,
    norms: Vec<f32>,
    scores: Vec<f32>,
    answers: Vec<Vec<u32>>,
    vectors: Vec<f32>,
}

impl Numbers {
    fn of(on: &OpenDevice) -> Self {
        let base = CausalLm::random(&decoder(), &on.device, on.dtype, SEED);
        let adapted = |seed: u64| {
            let mut model = base.base();
            model.add_lora(&lora(), seed).expect("all linear layers are targets");
            model
        };
        let (mut model, mut pair) = (adapted(SEED), [adapted(SEED), adapted(SEED + 1)]);
        let sequences = rows(&[17, 9, 12], 13, 64);
        let batches = [batch(&sequences), batch(&rows(&[5, 21], 11, 64))];
        let (mut losses, mut norms) = train(std::slice::from_mut(&mut model), &batches[..1]);
        let (shared_losses, shared_norms) = train(&mut pair, &batches);
        losses.extend(shared_losses);
        norms.extend(shared_norms);
        let mut quantised = CausalLm::random(&decoder(), &on.device, quantised(on), SEED);
        quantised.add_lora(&lora(), SEED).expect("all linear layers are targets");
        let (quantised_losses, _) = train(std::slice::from_mut(&mut quantised), &batches[..1]);
        let completions = [vec![3], vec![4, 5], vec![6, 7, 8]];
        let mut scorer = Scorer::new(&model, &completions, Precision::Full);
        let scores = scorer.score(&[&sequences[0], &sequences[1]]).concat();
        let answers = answers(&model, &sequences);
        let encoder = SentenceEncoder::random(&encoder(), &on.device, on.computed(), SEED);
        let texts = rows(&[9, 3, 30, 1], 29, 220);
        let vectors = encoder.encode(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>());
        Self { losses, quantised_losses, norms, scores, answers, vectors }
    }

    fn against(&self, reference: &Self, dtype: Dtype, tolerance: f64) -> Vec<Comparison> {
        let compared = |quantity, deviation| Comparison { quantity, dtype, deviation, tolerance };
        let mut all = vec![
            compared(Quantity::Losses, deviation(&self.losses, &reference.losses)),
            compared(
                Quantity::QuantisedLosses,
                deviation(&self.quantised_losses, &reference.quantised_losses),
            ),
            compared(Quantity::GradientNorms, deviation(&self.norms, &reference.norms)),
            compared(Quantity::Scores, deviation(&self.scores, &reference.scores)),
            compared(Quantity::SentenceVectors, deviation(&self.vectors, &reference.vectors)),
        ];
        // With fewer bits a close call falls otherwise, and all tokens after it are others.
        if dtype == Dtype::Float32 {
            let deviation = share_of_others(&self.answers, &reference.answers);
            all.push(Comparison { tolerance: 0.0, ..compared(Quantity::Answers, deviation) });
        }
        all
    }
}

/// The last three tokens of each sequence are predicted.
fn batch(sequences: &[Vec<u32>]) -> Batch {
    let packed = sequences.iter().map(|ids| Sequence { ids, supervised_from: ids.len() - 3 });
    Batch::sequences(&packed.collect::<Vec<_>>())
}

/// Losses and gradient norms of steps of `AdamW`, of models that share their passes.
fn train(models: &mut [CausalLm], batches: &[Batch]) -> (Vec<f32>, Vec<f32>) {
    let (mut losses, mut norms) = (Vec::new(), Vec::new());
    let mut moments: Vec<BTreeMap<String, Moments>> = models.iter().map(|_| BTreeMap::new()).collect();
    for (step, gradient_checkpointing) in CHECKPOINTING.into_iter().enumerate() {
        let mut gradients: Vec<Gradients> = models.iter().map(CausalLm::gradients).collect();
        let shares = models.iter().zip(batches).zip(&mut gradients).map(|((model, batch), gradients)| {
            let options = PassOptions {
                factor: 1.0 / batch.targets().len() as f64,
                random: Key::new(SEED).with(step as u64),
                neftune_noise_alpha: 0.0,
                label_smoothing_factor: 0.0,
                gradient_checkpointing,
            };
            Share { model, batch, options, gradients }
        });
        losses
            .extend(forward_backward(shares.collect()).into_iter().map(|all| all.sum().into_scalar::<f32>()));
        for ((model, gradients), moments) in models.iter_mut().zip(gradients).zip(&mut moments) {
            #[expect(clippy::cast_possible_truncation, reason = "norms of a tiny model")]
            norms.push(gradients.norm() as f32);
            update(model, gradients, moments);
        }
    }
    (losses, norms)
}

/// An update whose size is the gradient's: where that is rounding alone, so is the update.
fn update(model: &mut CausalLm, mut gradients: Gradients, moments: &mut BTreeMap<String, Moments>) {
    let rule = AdamW { beta_1: 0.5, beta_2: 0.9, epsilon: 1.0, weight_decay: 0.01 };
    let known = moments.iter().map(|(name, moments)| (name.as_str(), moments)).collect();
    if let Some(mut joint) = JointMoments::of(model, &known) {
        model.update_jointly(rule, gradients, &mut joint, [LEARNING_RATE; 2]);
        *moments = joint.split().collect();
        return;
    }
    for (name, parameter) in model.parameters() {
        if let Some(gradient) = gradients.remove(&name) {
            let before = moments.remove(&name);
            let (updated, after) = rule.update(parameter.clone(), gradient, before, LEARNING_RATE);
            *parameter = updated;
            moments.insert(name, after);
        }
    }
}

fn answers(model: &CausalLm, sequences: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let config = GenerationConfig {
        max_new_tokens: Some(12),
        min_new_tokens: 0,
        sampling: Sampling::GREEDY,
        stop_tokens: vec![0],
        seed: 0,
        max_batch_size: 2,
    };
    let prompts: Vec<TokenPrompt> = sequences.iter().map(|ids| TokenPrompt { ids, sequence: 0 }).collect();
    let answers = Generator::new(model).generate(&prompts, &config, &mut |_| ControlFlow::Continue(()));
    // A device that gives NaN has no likeliest token.
    answers.map_or_else(|_| Vec::new(), |answers| answers.into_iter().map(|answer| answer.ids).collect())
}

/// The largest deviation of two lists of one length.
fn deviation(found: &[f32], reference: &[f32]) -> f64 {
    assert_eq!(found.len(), reference.len(), "the same questions on both devices");
    let each = found.iter().zip(reference).map(|(&a, &b)| (f64::from(a), f64::from(b)));
    each.map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, |largest, deviation| {
        if deviation > largest || deviation.is_nan() { deviation } else { largest }
    })
}

/// The share of the reference's tokens that differ or are missing.
fn share_of_others(found: &[Vec<u32>], reference: &[Vec<u32>]) -> f64 {
    let tokens: usize = reference.iter().map(Vec::len).sum();
    let same = |(a, b): (&Vec<u32>, &Vec<u32>)| a.iter().zip(b).filter(|(a, b)| a == b).count();
    let same: usize = found.iter().zip(reference).map(same).sum();
    (tokens - same) as f64 / tokens.max(1) as f64
}

/// Rows of ids below `vocabulary`, of these lengths.
fn rows(lengths: &[u32], stride: u32, vocabulary: u32) -> Vec<Vec<u32>> {
    lengths.iter().map(|&n| (0..n).map(|i| (i * stride + n) % vocabulary).collect()).collect()
}

fn decoder() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Qwen3,
        vocab_size: 64,
        hidden_size: 32,
        intermediate_size: 48,
        num_hidden_layers: 2,
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
        initializer_range: 0.2,
    }
}

/// NF4 with double quantisation.
fn quantised(on: &OpenDevice) -> Storage {
    let codes = Codes::FourBit { quant_type: FourBitType::Nf4, double: true };
    let compute = Storage::from(on.dtype).float();
    Storage { dtype: on.dtype, quantization: Some(Quantization { codes, compute, skip_modules: Vec::new() }) }
}

fn lora() -> LoraConfig {
    LoraConfig { r: 4, lora_alpha: 8.0, lora_dropout: 0.1, ..LoraConfig::default() }
}

fn encoder() -> SentenceConfig {
    SentenceConfig {
        bert: BertConfig {
            vocab_size: 220,
            hidden_size: 24,
            num_hidden_layers: 2,
            num_attention_heads: 3,
            intermediate_size: 40,
            max_position_embeddings: 48,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
        },
        max_seq_length: 32,
        do_lower_case: false,
        pooling: Pooling::Mean,
        normalize: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deviation_is_relative_to_large_numbers_and_absolute_among_small_ones() {
        assert!((deviation(&[101.0, 0.5], &[100.0, 0.25]) - 0.25).abs() < 1e-12);
        assert!((deviation(&[102.0], &[100.0]) - 0.02).abs() < 1e-12);
        assert!(deviation(&[1.0, f32::NAN, 1.0], &[1.0, 1.0, 1.0]).is_nan());
    }

    #[test]
    fn a_nan_never_passes() {
        let quantity = Quantity::Losses;
        let nan = Comparison { quantity, dtype: Dtype::Float32, deviation: f64::NAN, tolerance: 1.0 };
        assert!(!nan.passed());
        assert!(Comparison { deviation: 1.0, ..nan }.passed());
        assert!(!Comparison { deviation: 1.1, ..nan }.passed());
    }

    #[test]
    fn missing_and_other_tokens_count() {
        let reference = [vec![1, 2, 3], vec![4]];
        assert!(share_of_others(&reference, &reference).abs() < 1e-12);
        assert!((share_of_others(&[vec![1, 9, 3]], &reference) - 0.5).abs() < 1e-12);
        assert!((share_of_others(&[], &reference) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_model_learns_and_answers() {
        let numbers = Numbers::of(&device::open(&DeviceChoice::Cpu, Dtype::Float32).unwrap());
        assert!(numbers.losses[STEPS - 1] < numbers.losses[0], "{:?}", numbers.losses);
        let shared: Vec<f32> = numbers.losses[STEPS..].iter().copied().step_by(2).collect();
        assert!(shared == numbers.losses[..STEPS], "the first of the pair is the one alone");
        assert!(numbers.answers.iter().any(|answer| answer.len() > 3), "{:?}", numbers.answers);
    }
}
