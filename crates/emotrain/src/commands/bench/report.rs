//! What a bench prints.

use emotrain_model::device::Profile;
use emotrain_recipe::Recipe;
use serde_json::{Value, json};

use super::generation::MeasuredGeneration;
use super::product::MeasuredProduct;
use crate::cli::BenchArgs;

/// Kernels that are shown by name; the others are added up.
const MOST_KERNELS: usize = 20;
const MIB: f64 = 1024.0 * 1024.0;

/// The steps of one length.
pub(super) struct Measured {
    /// Tokens of a step.
    pub(super) tokens: usize,
    /// The median step.
    pub(super) seconds: f64,
    /// What the process had reserved on the device after these steps.
    pub(super) device_bytes: Option<u64>,
    pub(super) profile: Option<Profile>,
    pub(super) generation: Option<MeasuredGeneration>,
}

/// All that a bench found.
pub(super) struct Report<'a> {
    pub(super) args: &'a BenchArgs,
    pub(super) recipe: &'a Recipe,
    pub(super) device: &'a str,
    pub(super) load_seconds: f64,
    pub(super) flops_per_token: f64,
    pub(super) peak_rss_mib: Option<f64>,
    pub(super) runs: Vec<Measured>,
    /// Plain matrix products.
    pub(super) products: Vec<MeasuredProduct>,
}

impl Report<'_> {
    /// One object, the lengths under `runs`.
    pub(super) fn as_json(&self) -> Value {
        let Self { args, recipe, .. } = self;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let random = args.random.as_ref().map(|path| format!("random {}", path.display()));
        let threads = recipe.model.num_threads;
        let mut object = json!({
            "model": args.model.clone().or(random),
            "device": self.device,
            "dtype": recipe.model.dtype.as_str(),
            "quantization": recipe.quantization.is_on().then_some(&recipe.quantization),
            "threads": if threads == 0 { cores } else { threads },
            "method": recipe.train.method.as_str(),
            "r": recipe.lora.r,
            "gradient_checkpointing": recipe.train.gradient_checkpointing,
            "gradient_checkpointing_every": recipe.train.gradient_checkpointing_every,
            "activation_offloading": recipe.train.activation_offloading,
            "completion": args.completion,
            "steps": args.steps,
            "load_seconds": self.load_seconds,
            "peak_rss_mib": self.peak_rss_mib,
            "runs": self.runs.iter().map(|run| self.run(run)).collect::<Vec<_>>(),
        });
        if !self.products.is_empty() {
            let by_product = |tflops: fn(&MeasuredProduct) -> f64| -> Value {
                self.products.iter().map(|one| (one.product.to_string(), json!(tflops(one)))).collect()
            };
            object["products_tflops"] = by_product(|one| one.tflops);
            object["burn_products_tflops"] = by_product(|one| one.burn_tflops);
        }
        object
    }

    fn run(&self, run: &Measured) -> Value {
        let tokens_per_second = run.tokens as f64 / run.seconds;
        let tflops = tokens_per_second * self.flops_per_token / 1e12;
        let mut object = json!({
            "tokens": run.tokens,
            "steps_per_second": 1.0 / run.seconds,
            "tokens_per_second": tokens_per_second,
            "tflops": tflops,
        });
        if let Some(peak) = self.args.peak_tflops {
            object["share_of_peak"] = json!(tflops / peak);
        }
        if let Some(bytes) = run.device_bytes {
            object["device_mib"] = json!(bytes as f64 / MIB);
        }
        if let Some(profile) = &run.profile {
            object["kernels"] = kernels(profile);
        }
        if let Some(generation) = &run.generation {
            object["generation"] = generated(generation, run.tokens);
        }
        object
    }

    /// A line a number; those of a length under the length.
    pub(super) fn table(&self) -> String {
        let mut lines = Vec::new();
        rows(&mut lines, &self.as_json(), "");
        lines.join("\n")
    }
}

/// How fast prompts of so many tokens are answered.
fn generated(generation: &MeasuredGeneration, tokens: usize) -> Value {
    let MeasuredGeneration { prompts, prompt_seconds, token_seconds, profile } = generation;
    let mut object = json!({
        "prompts": prompts,
        "prompt_tokens_per_second": (prompts * tokens) as f64 / prompt_seconds,
        "tokens_per_second": *prompts as f64 / token_seconds,
    });
    if let Some(profile) = profile {
        object["kernels"] = kernels(profile);
    }
    object
}

/// The launches of one step: all, and by kernel, the longest first.
fn kernels(profile: &Profile) -> Value {
    let mut kinds: Vec<_> = profile.kernels.iter().collect();
    kinds.sort_by(|a, b| b.1.seconds.total_cmp(&a.1.seconds).then_with(|| a.0.cmp(b.0)));
    let count: usize = kinds.iter().map(|(_, launches)| launches.count).sum();
    let seconds: f64 = kinds.iter().map(|(_, launches)| launches.seconds).sum();
    let shown = kinds.iter().take(MOST_KERNELS).map(
        |(name, launches)| json!({"kernel": name, "launches": launches.count, "ms": launches.seconds * 1e3}),
    );
    let moved = profile.bytes as f64 / 1e9;
    json!({"launches": count, "ms": seconds * 1e3, "gb_moved": moved, "kinds": shown.collect::<Vec<_>>()})
}

fn rows(lines: &mut Vec<String>, value: &Value, indent: &str) {
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Array(parts) if name == "kinds" => lines.extend(parts.iter().map(|kind| {
                let (ms, launches) = (number(&kind["ms"]), number(&kind["launches"]));
                format!("{indent}{ms:>10} ms {launches:>7} x {}", kind["kernel"].as_str().unwrap_or_default())
            })),
            Value::Array(parts) => parts.iter().for_each(|part| {
                lines.push(String::new());
                rows(lines, part, indent);
            }),
            Value::Object(_) => {
                lines.push(format!("{indent}{name}"));
                rows(lines, value, &format!("{indent}  "));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                let width = (24 - indent.len()).max(name.len() + 1);
                lines.push(format!("{indent}{name:<width$}{}", number(value)));
            }
        }
    }
}

/// A value for people: three digits of what is no whole number.
fn number(value: &Value) -> String {
    match value.as_f64().filter(|number| number.fract() != 0.0) {
        Some(number) => format!("{number:.3}"),
        None => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use emotrain_model::device::Launches;

    use super::*;

    #[test]
    fn kernels_are_told_with_the_longest_first() {
        let kernels_by_name = [
            ("cast".to_owned(), Launches { count: 3, seconds: 0.001 }),
            ("matmul".to_owned(), Launches { count: 2, seconds: 0.25 }),
        ];
        let profile = Profile { kernels: kernels_by_name.into(), bytes: 1_500_000_000 };
        let mut lines = Vec::new();
        rows(&mut lines, &json!({"tokens": 16, "kernels": kernels(&profile)}), "");
        assert_eq!(
            lines,
            [
                "tokens                  16",
                "kernels",
                "  launches              5",
                "  ms                    251.0",
                "  gb_moved              1.500",
                "       250.0 ms       2 x matmul",
                "         1.0 ms       3 x cast",
            ]
        );
    }
}
