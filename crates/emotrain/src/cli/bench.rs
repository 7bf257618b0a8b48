//! The command line of `emotrain bench`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::number;

#[derive(Args, Debug)]
#[command(
    after_help = "TFLOP/s counts 4 operations for each weight of the decoder blocks and each token (forward and backward through a
frozen base; 6 with train.method=full). Attention, adapters, the head and what gradient checkpointing
recomputes are not counted.

Examples:
  emotrain bench model/ --tokens 512 --steps 5
  emotrain bench model/ --set train.gradient_checkpointing=true --json
  emotrain bench --random config.json --tokens 650,2048 --profile --set model.device=cuda --set model.dtype=bfloat16"
)]
pub(crate) struct BenchArgs {
    /// A model: a folder, a .gguf file or a hub name
    #[arg(required_unless_present = "random")]
    pub(crate) model: Option<String>,
    /// A config.json; the model gets random weights, drawn on the device in its dtype
    #[arg(long, value_name = "CONFIG", conflicts_with = "model")]
    pub(crate) random: Option<PathBuf>,
    /// Sequence length in tokens, completion included; several lengths, separated by commas, are measured in turn
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "512", value_parser = number(2, 1_048_576))]
    pub(crate) tokens: Vec<usize>,
    /// Supervised tokens at the end of each sequence
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = number(1, 1_048_576))]
    pub(crate) completion: usize,
    /// The number of measured steps
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = number(1, 1_000_000))]
    pub(crate) steps: usize,
    /// The number of warm-up steps
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = number(0, 1_000_000))]
    pub(crate) warmup: usize,
    /// The adapter's rank
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = number(1, 4_096))]
    pub(crate) r: usize,
    /// The device's peak TFLOP/s for the dtype, to print the utilisation
    #[arg(long, value_name = "TFLOPS")]
    pub(crate) peak_tflops: Option<f64>,
    /// Also measure matrix products of these sizes, an upper bound for steps; separated by commas
    #[arg(long, value_name = "MxKxN", value_delimiter = ',')]
    pub(crate) products: Vec<Product>,
    /// Also measure greedy generation for so many prompts at a time, each as long as a sequence
    #[arg(long, value_name = "N", value_parser = number(1, 4_096))]
    pub(crate) generate: Option<usize>,
    /// Write the adapter and its gradients on the first step's tokens to a safetensors file, for comparison
    #[arg(long, value_name = "FILE")]
    pub(crate) gradients: Option<PathBuf>,
    /// Count and time the kernels of one additional step, and of one generated token, run one at a time (GPUs only)
    #[arg(long)]
    pub(crate) profile: bool,
    /// Set a key of the measured recipe, as in model.dtype=bfloat16; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `[m, k] · [k, n]`, written `MxKxN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    pub(crate) m: usize,
    pub(crate) k: usize,
    pub(crate) n: usize,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.m, self.k, self.n)
    }
}

/// Of a matrix that is multiplied: 4 GiB in float32.
const MOST_NUMBERS: usize = 1 << 30;

impl FromStr for Product {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sides: Vec<usize> = text.split('x').map_while(|side| side.parse().ok()).collect();
        match sides.as_slice() {
            &[m, k, n] if m.min(k).min(n) > 0 && text.matches('x').count() == 2 => {
                let sizes = [m.saturating_mul(k), k.saturating_mul(n), m.saturating_mul(n)];
                if sizes.into_iter().any(|size| size > MOST_NUMBERS) {
                    return Err(format!("no matrix may have more than {MOST_NUMBERS} numbers"));
                }
                Ok(Self { m, k, n })
            }
            _ => Err("three sizes above 0, as in 2048x4096x12288".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_three_sizes() {
        assert_eq!("2x3x4".parse(), Ok(Product { m: 2, k: 3, n: 4 }));
        for wrong in ["2x3", "2x3x0", "2x3x4x5", "ax3x4", "2x3x", "32769x1x32769", "9999999999x9999999999x1"]
        {
            assert!(wrong.parse::<Product>().is_err(), "{wrong}");
        }
    }
}
