//! How much memory a recipe takes, where it fits, and the smallest change that makes it fit.

use emotrain_model::{Footprint, ModelConfig, SavedCodes, Storage, Workload};
use emotrain_recipe::{AttnImplementation, Dtype, Optimizer, Recipe, TrainMethod};

/// The memory of customary GPUs, in GiB.
const GPUS: [u64; 4] = [16, 24, 48, 80];
const GIB: f64 = (1_u64 << 30) as f64;

/// The tokens of a recipe's batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    /// Of the longest samples, or what they may have at most.
    pub(crate) longest: usize,
    /// Predicted in a sample.
    pub(crate) targets: usize,
}

/// What a recipe takes.
pub(crate) struct Memory<'a> {
    pub(crate) config: &'a ModelConfig,
    /// The codes that the base is saved as, where it is: those that the recipe takes it for.
    pub(crate) codes: Option<&'a SavedCodes>,
    pub(crate) recipe: &'a Recipe,
    /// Numbers of the adapter that the recipe trains, if it trains one.
    pub(crate) adapter: usize,
    pub(crate) lengths: Lengths,
}

/// A change of a recipe that leaves what is computed as it is, or nearly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    SmallerEvaluation,
    SmallerBatch,
    /// Every so manieth layer is computed again.
    Checkpointing(usize),
    Offloading,
    SixteenBits,
    EightBitMoments,
    FourBits,
}

/// From the least to the greatest.
const CHANGES: [Change; 7] = [
    Change::SmallerEvaluation,
    Change::SmallerBatch,
    Change::Checkpointing(1),
    Change::Offloading,
    Change::SixteenBits,
    Change::EightBitMoments,
    Change::FourBits,
];
/// Less than each layer that is computed again, the least first.
const FEWER_LAYERS: [Change; 3] =
    [Change::Checkpointing(4), Change::Checkpointing(3), Change::Checkpointing(2)];

impl Change {
    /// Makes the change, if it is one, and says it.
    fn make(self, recipe: &mut Recipe) -> Option<String> {
        let is_lora = recipe.train.method == TrainMethod::Lora;
        match self {
            Self::SmallerEvaluation => {
                let batch = &mut recipe.eval.per_device_eval_batch_size;
                (std::mem::replace(batch, 1) > 1)
                    .then(|| "eval.per_device_eval_batch_size = 1 (the same scores)".to_owned())
            }
            Self::SmallerBatch => smaller_batch(recipe),
            Self::Checkpointing(every) => checkpointing(recipe, every),
            Self::Offloading => offloading(recipe),
            Self::SixteenBits => (is_lora && recipe.model.dtype == Dtype::Float32).then(|| {
                recipe.model.dtype = Dtype::Bfloat16;
                "model.dtype = \"bfloat16\"".to_owned()
            }),
            Self::EightBitMoments => {
                let was = std::mem::replace(&mut recipe.train.optim, Optimizer::AdamW8bit);
                (was != Optimizer::AdamW8bit).then(|| "train.optim = \"adamw_8bit\"".to_owned())
            }
            Self::FourBits => (is_lora && !recipe.quantization.is_on()).then(|| {
                recipe.quantization.load_in_4bit = true;
                "quantization.load_in_4bit = true".to_owned()
            }),
        }
    }
}

fn smaller_batch(recipe: &mut Recipe) -> Option<String> {
    let batch = std::mem::replace(&mut recipe.train.per_device_train_batch_size, 1);
    recipe.train.gradient_accumulation_steps *= batch;
    let steps = recipe.train.gradient_accumulation_steps;
    let words = format!(
        "train.per_device_train_batch_size = 1 with train.gradient_accumulation_steps = {steps} (the same steps)"
    );
    (batch > 1).then_some(words)
}

/// Unless as many layers are computed again already.
fn checkpointing(recipe: &mut Recipe, every: usize) -> Option<String> {
    let train = &mut recipe.train;
    let was_on = std::mem::replace(&mut train.gradient_checkpointing, true);
    if was_on && train.gradient_checkpointing_every <= every {
        return None;
    }
    let was = std::mem::replace(&mut train.gradient_checkpointing_every, every);
    let on = "train.gradient_checkpointing = true";
    let words = match (was_on, was == every) {
        (true, _) => format!("train.gradient_checkpointing_every = {every}"),
        (false, true) => on.to_owned(),
        (false, false) => format!("{on} with train.gradient_checkpointing_every = {every}"),
    };
    Some(format!("{words} (the same numbers, slower)"))
}

/// Of layers that are computed again.
fn offloading(recipe: &mut Recipe) -> Option<String> {
    if !recipe.train.gradient_checkpointing {
        return None;
    }
    let was = std::mem::replace(&mut recipe.train.activation_offloading, true);
    (!was).then(|| "train.activation_offloading = true (the same numbers, slower)".to_owned())
}

/// The changes without those, the greatest first, that the others make needless, and with as few layers computed again as
/// is enough.
fn needed(changes: &[Change], is_enough: impl Fn(&[Change]) -> bool) -> Vec<Change> {
    let mut changes = changes.to_vec();
    for place in (0..changes.len()).rev() {
        let mut fewer = changes.clone();
        fewer.remove(place);
        if is_enough(&fewer) {
            changes = fewer;
        }
    }
    let with = |less: Change| {
        changes.iter().map(|&one| if one == Change::Checkpointing(1) { less } else { one }).collect()
    };
    let weaker: Option<Vec<Change>> =
        FEWER_LAYERS.into_iter().map(with).find(|weaker: &Vec<Change>| is_enough(weaker));
    weaker.unwrap_or(changes)
}

impl Memory<'_> {
    /// The parts and the sum on a device, a line each.
    pub(crate) fn lines(&self, on_cpu: bool) -> Vec<String> {
        let footprint = self.footprint(self.recipe, on_cpu);
        let Footprint { base, trained, optimizer, activations, temporary, program, host } = footprint;
        let line = |name: &str, bytes: u64| format!("  {name:<28}{:>9.2} GiB", bytes as f64 / GIB);
        let device = match (on_cpu, self.recipe.train.activation_offloading) {
            (true, false) => "CPU",
            (true, true) => "CPU, without train.activation_offloading, which needs a GPU",
            (false, _) => "GPU (wgpu or CUDA)",
        };
        let method = self.recipe.train.method == TrainMethod::Full;
        let mut lines = vec![
            format!("on a {device}, batches of {} × {} tokens", self.batch(), self.lengths.longest),
            line("base model", base),
            line(if method { "gradients" } else { "adapter, with gradients" }, trained),
            line("optimizer", optimizer),
            line("activations", activations),
            line("temporaries", temporary),
            line("program and driver", program),
            line("peak", footprint.total()),
        ];
        lines.extend((host > 0).then(|| line("beside it, on the host", host)));
        lines
    }

    /// The sums in a line.
    pub(crate) fn summary(&self) -> String {
        let gib = |on_cpu| self.footprint(self.recipe, on_cpu).total() as f64 / GIB;
        format!(
            "about {:.1} GiB on a CPU, {:.1} GiB on a GPU; emotrain plan says what for",
            gib(true),
            gib(false)
        )
    }

    /// On which customary GPUs it fits, and what makes it fit on the smaller ones.
    pub(crate) fn gpus(&self) -> Vec<String> {
        let line = |gib: &u64| format!("  {gib} GiB: {}", self.verdict(*gib << 30, false));
        GPUS.iter().map(line).collect()
    }

    /// Whether it fits into as many bytes, and how it would.
    pub(crate) fn verdict(&self, bytes: u64, on_cpu: bool) -> String {
        if self.footprint(self.recipe, on_cpu).total() <= bytes {
            return "fits".to_owned();
        }
        // As few as it takes, the greatest last; then without those that the others make needless.
        let taken = |changes: &[Change]| self.footprint(&self.changed(changes).0, on_cpu).total();
        let rest = "what remains is a shorter train.max_seq_length, or a smaller model";
        let all = self.changes(on_cpu);
        let Some(count) = (1..=all.len()).find(|count| taken(&all[..*count]) <= bytes) else {
            let least = taken(&all);
            let (_, words) = self.changed(&needed(&all, |changes| taken(changes) <= least));
            if words.is_empty() {
                return format!("does not fit; {rest}");
            }
            let gib = least as f64 / GIB;
            return format!("does not fit; {} leave {gib:.1} GiB, and {rest}", words.join(" and "));
        };
        let changes = needed(&all[..count], |changes| taken(changes) <= bytes);
        format!("fits with {}", self.changed(&changes).1.join(" and "))
    }

    /// Those there are: a base that is saved as codes stays what it is, and a CPU's memory is the host's.
    fn changes(&self, on_cpu: bool) -> Vec<Change> {
        let is_there = |change: &Change| {
            (*change != Change::FourBits || self.codes.is_none())
                && (*change != Change::Offloading || !on_cpu)
        };
        CHANGES.into_iter().filter(is_there).collect()
    }

    /// The recipe with these changes, and what they are.
    fn changed(&self, changes: &[Change]) -> (Recipe, Vec<String>) {
        let mut recipe = self.recipe.clone();
        let words = changes.iter().filter_map(|change| change.make(&mut recipe)).collect();
        (recipe, words)
    }

    fn batch(&self) -> usize {
        self.recipe.train.per_device_train_batch_size
    }

    fn footprint(&self, recipe: &Recipe, on_cpu: bool) -> Footprint {
        let is_lora = recipe.train.method == TrainMethod::Lora;
        let Lengths { longest, targets } = self.lengths;
        let batch = recipe.train.per_device_train_batch_size;
        let planned = Storage::planned(recipe.model.dtype.into(), &recipe.quantization);
        let work = Workload {
            storage: &planned.clone().of_saved(self.codes).unwrap_or(planned),
            adapter: is_lora.then_some(self.adapter),
            rank: recipe.lora.r,
            on_cpu,
            eight_bit_moments: recipe.train.optim == Optimizer::AdamW8bit,
            eager: recipe.model.attn_implementation == AttnImplementation::Eager,
            rows: batch * longest,
            longest,
            targets: batch * targets,
            gradient_checkpointing: (&recipe.train).into(),
            eval_rows: recipe.eval.per_device_eval_batch_size * longest,
        };
        Footprint::of(self.config, &work)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use emotrain_train::fresh_size;
    use expect_test::expect;

    use super::*;

    #[test]
    fn the_smallest_change_that_makes_it_fit_is_named() {
        let text = r#"{
            "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu", "vocab_size": 151936,
            "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32,
            "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 40960, "rms_norm_eps": 1e-6,
            "rope_theta": 1000000, "tie_word_embeddings": false, "attention_bias": false}"#;
        let config = ModelConfig::from_json(text, Path::new("config.json")).unwrap();
        let text = "[model]\nmodel_name_or_path = \"a/b\"\ndtype = \"bfloat16\"\n[data]\ntrain = \"a\"\nvalid = \"b\"\n\
                    [train]\nper_device_train_batch_size = 4\ngradient_checkpointing = false\n";
        let recipe = emotrain_recipe::parse(text, Path::new("erc.toml"), &[]).unwrap();
        let adapter = fresh_size(&recipe.lora, &config).unwrap();
        let lengths = Lengths { longest: 2048, targets: 4 };
        let memory = Memory { config: &config, codes: None, recipe: &recipe, adapter, lengths };
        let told = [8, 9, 16, 20, 22, 23, 24, 48, 80]
            .map(|gib| format!("{gib}: {}", memory.verdict(gib << 30, false)));
        expect![[r#"
            8: does not fit; eval.per_device_eval_batch_size = 1 (the same scores) and train.per_device_train_batch_size = 1 with train.gradient_accumulation_steps = 16 (the same steps) and train.gradient_checkpointing = true (the same numbers, slower) and train.activation_offloading = true (the same numbers, slower) and train.optim = "adamw_8bit" and quantization.load_in_4bit = true leave 8.3 GiB, and what remains is a shorter train.max_seq_length, or a smaller model
            9: fits with eval.per_device_eval_batch_size = 1 (the same scores) and train.per_device_train_batch_size = 1 with train.gradient_accumulation_steps = 16 (the same steps) and train.gradient_checkpointing = true (the same numbers, slower) and train.activation_offloading = true (the same numbers, slower) and quantization.load_in_4bit = true
            16: fits with train.per_device_train_batch_size = 1 with train.gradient_accumulation_steps = 16 (the same steps) and quantization.load_in_4bit = true
            20: fits with train.per_device_train_batch_size = 1 with train.gradient_accumulation_steps = 16 (the same steps) and train.gradient_checkpointing = true (the same numbers, slower)
            22: fits with train.per_device_train_batch_size = 1 with train.gradient_accumulation_steps = 16 (the same steps) and train.gradient_checkpointing = true with train.gradient_checkpointing_every = 2 (the same numbers, slower)
            23: fits with train.per_device_train_batch_size = 1 with train.gradient_accumulation_steps = 16 (the same steps) and train.gradient_checkpointing = true with train.gradient_checkpointing_every = 4 (the same numbers, slower)
            24: fits with train.gradient_checkpointing = true (the same numbers, slower)
            48: fits
            80: fits"#]].assert_eq(&told.join("\n"));
    }
}
