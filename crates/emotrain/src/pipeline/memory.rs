//! How much memory a recipe takes, where it fits, and the smallest change that makes it fit.

use emotrain_model::{Footprint, ModelConfig, Storage, Workload};
use emotrain_recipe::{Recipe, TrainMethod};

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
    pub(crate) recipe: &'a Recipe,
    /// Numbers of the adapter that the recipe trains, if it trains one.
    pub(crate) adapter: usize,
    pub(crate) lengths: Lengths,
}

/// A change of a recipe that leaves what is computed as it is, or nearly.
struct Change {
    words: String,
    recipe: Recipe,
}

impl Memory<'_> {
    /// The parts and the sum on a device, a line each.
    pub(crate) fn lines(&self, on_cpu: bool) -> Vec<String> {
        let footprint = self.footprint(self.recipe, on_cpu);
        let Footprint { base, trained, optimizer, activations, temporary, program } = footprint;
        let line = |name: &str, bytes: u64| format!("  {name:<28}{:>9.2} GiB", bytes as f64 / GIB);
        let device = if on_cpu { "CPU" } else { "GPU (wgpu or CUDA)" };
        let method = self.recipe.train.method == TrainMethod::Full;
        vec![
            format!("on a {device}, batches of {} × {} tokens", self.batch(), self.lengths.longest),
            line("base model", base),
            line(if method { "gradients" } else { "adapter, with gradients" }, trained),
            line("optimizer", optimizer),
            line("activations", activations),
            line("temporaries", temporary),
            line("program and driver", program),
            line("peak", footprint.total()),
        ]
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
        let mut words = Vec::new();
        for Change { words: change, recipe } in self.changes() {
            words.push(change);
            let alone = self.footprint(&recipe, on_cpu).total();
            if alone <= bytes {
                return format!("fits with {}", words.join(" and "));
            }
        }
        let smallest =
            self.changes().pop().map_or(0, |change| self.footprint(&change.recipe, on_cpu).total());
        format!("does not fit; all of {} leave {:.1} GiB", words.join(", "), smallest as f64 / GIB)
    }

    /// Changes from the least to the greatest, each with those before it.
    fn changes(&self) -> Vec<Change> {
        let mut recipe = self.recipe.clone();
        let mut changes = Vec::new();
        if recipe.train.per_device_train_batch_size > 1 {
            let factor = recipe.train.per_device_train_batch_size;
            recipe.train.per_device_train_batch_size = 1;
            recipe.train.gradient_accumulation_steps *= factor;
            recipe.eval.per_device_eval_batch_size = 1;
            let words = format!(
                "train.per_device_train_batch_size = 1, eval.per_device_eval_batch_size = 1 and \
                 train.gradient_accumulation_steps = {} (the same steps)",
                recipe.train.gradient_accumulation_steps
            );
            changes.push(Change { words, recipe: recipe.clone() });
        }
        if !recipe.train.gradient_checkpointing {
            recipe.train.gradient_checkpointing = true;
            let words = "train.gradient_checkpointing = true (the same numbers, slower)".to_owned();
            changes.push(Change { words, recipe: recipe.clone() });
        }
        if !recipe.quantization.is_on() && recipe.train.method == TrainMethod::Lora {
            recipe.quantization.load_in_4bit = true;
            changes.push(Change {
                words: "quantization.load_in_4bit = true".to_owned(),
                recipe: recipe.clone(),
            });
        }
        changes
    }

    fn batch(&self) -> usize {
        self.recipe.train.per_device_train_batch_size
    }

    fn footprint(&self, recipe: &Recipe, on_cpu: bool) -> Footprint {
        let is_lora = recipe.train.method == TrainMethod::Lora;
        let Lengths { longest, targets } = self.lengths;
        let batch = recipe.train.per_device_train_batch_size;
        let work = Workload {
            storage: &Storage::planned(recipe.model.dtype.into(), &recipe.quantization),
            adapter: is_lora.then_some(self.adapter),
            rank: recipe.lora.r,
            on_cpu,
            rows: batch * longest,
            longest,
            targets: batch * targets,
            gradient_checkpointing: recipe.train.gradient_checkpointing,
            eval_rows: recipe.eval.per_device_eval_batch_size * longest,
        };
        Footprint::of(self.config, &work)
    }
}
