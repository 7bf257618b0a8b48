//! The memory that a training takes at its peak, from a configuration alone.
//!
//! Counted are the tensors that exist at the same time when the backward pass begins: the weights in their form, the
//! adapter with its gradients and moments, what each layer keeps for its backward (`Tape`), and the largest temporaries
//! of a layer and of the head.

use emotrain_kernels::DYNAMIC_BLOCKSIZE;

use crate::checkpointing::Checkpointing;
use crate::codes::Codes;
use crate::config::ModelConfig;
use crate::spec::{BlockSpec, DecoderSpec};
use crate::storage::Storage;
use crate::weights::{BlockModule, block_modules, tensor_shapes};

/// What a training is run with.
#[derive(Clone, Debug)]
pub struct Workload<'a> {
    /// The form of the base.
    pub storage: &'a Storage,
    /// Numbers of the adapter; `None` where all weights are trained.
    pub adapter: Option<usize>,
    /// The adapter's rank.
    pub rank: usize,
    /// Whether the CPU computes, on f32 whatever the weights are kept in.
    pub on_cpu: bool,
    /// Whether the optimizer's moments are in 8 bits, and in the host's memory.
    pub eight_bit_moments: bool,
    /// Whether attention is eager.
    pub eager: bool,
    /// Tokens of the largest micro-batch.
    pub rows: usize,
    /// Tokens of its longest sample.
    pub longest: usize,
    /// Tokens of it that are predicted.
    pub targets: usize,
    /// Which layers are computed again in the backward pass.
    pub gradient_checkpointing: Checkpointing,
    /// Tokens of the largest batch of an evaluation.
    pub eval_rows: usize,
}

/// Bytes at the peak, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// The weights of the base.
    pub base: u64,
    /// What is trained, with its gradients.
    pub trained: u64,
    /// The optimizer's moments.
    pub optimizer: u64,
    /// What layers keep for the backward pass, or, if that is more, what an evaluation keeps.
    pub activations: u64,
    /// What one layer, or the head, needs for a moment.
    pub temporary: u64,
    /// The program, the tokenizer and the device's driver.
    pub program: u64,
    /// Of a training on a GPU, in the host's memory instead of the GPU's: moments in 8 bits, and what layers keep that
    /// are offloaded. Not a part of the sum.
    pub host: u64,
}

/// Queries whose scores exist at a time (`attention.rs`), on the CPU where it is eager and on a GPU, and rows whose logits do
/// (`head.rs`).
const QUERIES: [u64; 2] = [128, 512];
const LOGITS: u64 = 256;
/// Of a process on the CPU, and what CUDA's context takes beside it.
const PROGRAM: u64 = 48 << 20;
const CONTEXT: u64 = 600 << 20;

impl Footprint {
    /// The memory that a training of a model of this shape takes.
    pub fn of(config: &ModelConfig, work: &Workload) -> Self {
        let count = Count { config, work, spec: DecoderSpec::of(config) };
        let trained = count.trained();
        let moments = 2 * (trained + 4 * trained.div_ceil(DYNAMIC_BLOCKSIZE as u64));
        let [activations, offloaded] = count.activations();
        Self {
            base: count.base(),
            // Of all weights the first copy is the base itself.
            trained: match (work.adapter.is_some(), work.on_cpu) {
                (true, true) => 2 * 4 * trained,
                // A GPU keeps a copy in the type of the activations.
                (true, false) => (2 * 4 + count.activation()) * trained,
                (false, _) => 4 * trained,
            },
            optimizer: match (work.eight_bit_moments, work.on_cpu) {
                (false, _) => 2 * 4 * trained,
                (true, true) => moments,
                (true, false) => 0,
            },
            activations: activations.max(count.evaluation()),
            temporary: count.layer().max(count.head()),
            program: if work.on_cpu { PROGRAM } else { CONTEXT },
            host: offloaded + if work.eight_bit_moments && !work.on_cpu { moments } else { 0 },
        }
    }

    /// All of it on the device.
    pub fn total(&self) -> u64 {
        let Self { base, trained, optimizer, activations, temporary, program, host: _ } = self;
        base + trained + optimizer + activations + temporary + program
    }
}

struct Count<'a> {
    config: &'a ModelConfig,
    work: &'a Workload<'a>,
    spec: DecoderSpec,
}

/// Sizes of a block.
struct Widths {
    hidden: u64,
    inner: u64,
    queries: u64,
    keys_values: u64,
    heads: u64,
}

impl Count<'_> {
    fn modules(&self) -> impl Iterator<Item = (&BlockSpec, Vec<BlockModule>)> {
        self.spec.blocks.iter().map(|block| (block, block_modules(self.config, block)))
    }

    fn widths(&self) -> Widths {
        let config = self.config;
        Widths {
            hidden: config.hidden_size as u64,
            inner: config.intermediate_size as u64,
            queries: config.query_size() as u64,
            keys_values: 2 * config.key_value_size() as u64,
            heads: config.num_attention_heads as u64,
        }
    }

    /// Bytes of a number of the base.
    fn number(&self) -> u64 {
        self.work.storage.float().size() as u64
    }

    /// Bytes of an activation.
    fn activation(&self) -> u64 {
        if self.work.on_cpu { 4 } else { self.number() }
    }

    fn base(&self) -> u64 {
        let (config, storage) = (self.config, self.work.storage);
        let tables = if config.tie_word_embeddings { 1 } else { 2 };
        let table = tables * (config.vocab_size * config.hidden_size) as u64 * self.number();
        let linear = |path: &str, outputs: u64, inputs: u64| {
            let numbers = outputs * inputs;
            match storage.codes(path) {
                // A scale of 8 bits for each 64 codes; tensors of a GPU have scales of 32 bits.
                Some(Codes::FourBit { double: true, .. }) if self.work.on_cpu => numbers / 2 + numbers / 64,
                Some(Codes::FourBit { .. }) => numbers / 2 + numbers / 16,
                Some(Codes::Int8) => numbers + 4 * outputs,
                None => numbers * self.number(),
            }
        };
        let module = |(layer, module): (usize, &BlockModule)| match module.inputs {
            Some(inputs) => linear(&module.path(layer), module.outputs as u64, inputs as u64),
            None => module.outputs as u64 * 4,
        };
        let block = |(layer, (_, modules)): (usize, (&BlockSpec, Vec<BlockModule>))| -> u64 {
            modules.iter().map(|one| module((layer, one))).sum()
        };
        table + self.modules().enumerate().map(block).sum::<u64>()
    }

    /// Numbers that are trained.
    fn trained(&self) -> u64 {
        let shapes = || tensor_shapes(self.config).into_iter().map(|(_, shape)| shape);
        let all = || shapes().map(|shape| shape.iter().product::<usize>()).sum();
        self.work.adapter.unwrap_or_else(all) as u64
    }

    /// Numbers that a row of a layer leaves for the backward pass.
    fn tape(&self, block: &BlockSpec) -> u64 {
        let Widths { hidden, inner, queries, keys_values, heads } = self.widths();
        let head_norms = if block.head_norms { queries + keys_values } else { 0 };
        let outputs = if block.output_norms { 2 * hidden } else { 0 };
        let low = self.work.adapter.map_or(0, |_| 7 * self.work.rank as u64);
        let projected = queries + keys_values;
        2 * hidden + head_norms + projected + queries + heads + 2 * inner + outputs + low
    }

    /// Bytes that layers keep on the device, and in the host's memory instead.
    fn activations(&self) -> [u64; 2] {
        let row = self.work.rows as u64 * self.activation();
        let checkpointing = self.work.gradient_checkpointing;
        let offloads = matches!(checkpointing, Checkpointing::Offloaded(_)) && !self.work.on_cpu;
        // The last layer answers for the targets alone.
        let layers = &self.spec.blocks[..self.spec.blocks.len().saturating_sub(1)];
        let (mut kept, mut most, mut away) = (0, 0, 0);
        for (number, block) in layers.iter().enumerate() {
            // In its backward a layer has its tape, formed again or not, and those before it what they keep.
            let tape = self.tape(block);
            most = most.max(kept + tape);
            match (checkpointing.repeats(number, self.spec.blocks.len()), offloads) {
                (false, _) => kept += tape,
                (true, false) => kept += self.start() + self.low(),
                (true, true) => {
                    kept += self.low();
                    away += self.start();
                }
            }
        }
        [row * most, row * away]
    }

    /// Numbers that a row of an adapter's low-rank product has.
    fn low(&self) -> u64 {
        self.work.adapter.map_or(0, |_| self.work.rank as u64)
    }

    /// Numbers that a row of a layer leaves that is computed again: its input, and attention's output and log-sum-exps.
    fn start(&self) -> u64 {
        let Widths { hidden, queries, heads, .. } = self.widths();
        hidden + queries + heads
    }

    /// What one layer reads and writes, and on the CPU keys and values of every layer.
    fn evaluation(&self) -> u64 {
        let Widths { hidden, inner, queries, keys_values, .. } = self.widths();
        let cache = if self.work.on_cpu { self.spec.blocks.len() as u64 * keys_values } else { 0 };
        let buffers = 3 * hidden + 2 * queries + keys_values + 3 * inner;
        self.work.eval_rows as u64 * (cache + buffers) * self.activation()
    }

    /// The gradients inside a layer, and what attention needs for a moment.
    fn layer(&self) -> u64 {
        let Widths { hidden, inner, heads, keys_values, .. } = self.widths();
        let gradients = self.work.rows as u64 * (4 * inner + 4 * hidden) * self.activation();
        let longest = self.work.longest as u64;
        let attention = if self.work.on_cpu && !self.work.eager {
            // Keys, values and keys as they are multiplied, and what pieces of queries say of keys and values: sixteen with
            // the heads, each of some half of its segment.
            let pieces = 16.max(self.config.num_key_value_heads as u64);
            let sums = pieces * (self.config.head_dim as u64).next_multiple_of(64) * 9 / 8;
            self.work.rows as u64 * (2 * keys_values + sums) * 4
        } else {
            // On the CPU three f32 of each, on a GPU scores and probabilities with their gradients. Where attention is in
            // one launch there are none, which is at most a few hundred MB less.
            let (queries, bytes) =
                if self.work.on_cpu { (QUERIES[0], 3 * 4) } else { (QUERIES[1], 4 * self.activation()) };
            heads * queries.min(longest) * longest * bytes
        };
        let whole = self.config.hidden_size.max(self.config.intermediate_size * 2) * self.config.hidden_size;
        // On a GPU the numbers of a quantised matrix exist while it is multiplied.
        let numbers =
            if self.work.on_cpu || self.work.storage.quantization.is_none() { 0 } else { whole as u64 };
        gradients + attention + numbers * self.activation()
    }

    /// Logits and their gradient.
    fn head(&self) -> u64 {
        2 * LOGITS.min(self.work.targets as u64) * self.config.vocab_size as u64 * 4
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::tensor::DType;
    use emotrain_kernels::FourBitType;

    use super::*;
    use crate::storage::Quantization;
    use crate::{FloatType, LoraConfig};

    /// The shape of Qwen3-8B.
    fn qwen3_8b() -> ModelConfig {
        let text = r#"{
            "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu", "vocab_size": 151936,
            "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32,
            "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 40960, "rms_norm_eps": 1e-6,
            "rope_theta": 1000000, "tie_word_embeddings": false, "attention_bias": false}"#;
        ModelConfig::from_json(text, Path::new("config.json")).unwrap()
    }

    fn lora() -> LoraConfig {
        LoraConfig { r: 32, lora_alpha: 128.0, lora_dropout: 0.05, ..LoraConfig::default() }
    }

    #[test]
    fn an_8b_base_takes_what_its_parameters_take() {
        let (config, lora) = (qwen3_8b(), lora());
        let adapter = lora.trained_numbers(&config).unwrap();
        let codes = Codes::FourBit { quant_type: FourBitType::Nf4, double: true };
        let nf4 = Quantization { codes, compute: FloatType::Bf16, skip_modules: Vec::new() };
        let storages = [Storage::from(DType::BF16), Storage { dtype: DType::BF16, quantization: Some(nf4) }];
        let on = |on_cpu, storage, gradient_checkpointing| {
            let work = Workload {
                storage,
                adapter: Some(adapter),
                rank: lora.r,
                on_cpu,
                eight_bit_moments: false,
                eager: false,
                rows: 2048,
                longest: 2048,
                targets: 4,
                gradient_checkpointing,
                eval_rows: 1,
            };
            Footprint::of(&config, &work)
        };
        let of = |storage, checkpointing| on(true, storage, checkpointing);
        let [whole, quantised] = storages.each_ref().map(|storage| of(storage, Checkpointing::Off));
        // 8,190,735,360 parameters (Qwen3-8B's card says 8.2 billion).
        let (linears, tables, norms) = (6_945_767_424, 1_244_659_712, 304_128);
        assert_eq!(whole.base, 2 * (linears + tables) + 4 * norms);
        assert_eq!(quantised.base, 2 * tables + linears / 2 + linears / 64 + 4 * norms);
        // 87,293,952 parameters of an adapter of rank 32, with gradient, and two moments.
        assert_eq!((whole.trained, whole.optimizer), (8 * 87_293_952, 8 * 87_293_952));
        assert!(of(&storages[0], Checkpointing::Every(1)).activations * 5 < whole.activations);
        // A CPU's memory is the host's.
        assert_eq!(of(&storages[0], Checkpointing::Offloaded(1)), of(&storages[0], Checkpointing::Every(1)));

        let on_gpu = |checkpointing| on(false, &storages[0], checkpointing);
        let [tapes, every, second, away, second_away] = [
            Checkpointing::Off,
            Checkpointing::Every(1),
            Checkpointing::Every(2),
            Checkpointing::Offloaded(1),
            Checkpointing::Offloaded(2),
        ]
        .map(on_gpu);
        // The input, and attention's output with a log-sum-exp for each of 32 heads, in 16 bits.
        let start = 2048 * (2 * 4096 + 32) * 2;
        let tape = tapes.activations / 35;
        // Of rank 32.
        let low = 2048 * 32 * 2;
        assert_eq!((every.activations, every.host), (34 * (start + low) + tape, 0));
        assert_eq!((away.activations, away.host), (34 * low + tape, 35 * start));
        // Of 36 layers 18 are computed again, the last but one among them, and the last answers for the targets alone.
        assert_eq!(second.activations, 17 * (start + low) + 18 * tape);
        assert_eq!((second_away.activations, second_away.host), (17 * low + 18 * tape, 18 * start));
    }
}
