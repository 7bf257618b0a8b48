//! The command line of `emotrain verify`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::TypedValueParser;
use emotrain_ask::ServedAddress;
use emotrain_recipe::DeviceChoice;
use emotrain_verify::{LoadType, VerifyOptions};

use super::export::named;
use super::number;

#[derive(Args, Debug)]
#[command(
    after_help = "Asks the run's result, the export and the base without it the same utterances of the run's validation
file, with the run's prompts, and compares the log-probabilities of all labels. Exits with code 3 if the export does
not answer as the run does, cannot be loaded, or has another prompt contract.

--endpoint asks a running server instead: /completions with the prompts' token ids, which depends on the weights alone,
and /chat/completions with the messages, which depends on the server's chat template, too. Labels are compared by the
log-probability of the first token in which they differ, or by greedy answers where a server gives none.

Rounding errors of log-probabilities are proportional to those of the weights. --tolerance is for float32; with float16
(11 bits of significand) 12.5 times as much is allowed, with bfloat16 (8 bits) 100 times, and 1 % of the labels may
differ. Quantised weights count as floats with errors as large: q8_0 as one of 6 bits (400 times), q4_k as one of 2 bits
(6,400 times), where 10 % of the labels may differ. On the CPU --dtype rounds the weights and computes in float32; a GPU
computes in the type, too. With q8_0 and q4_k a model is quantised as a whole, of an adapter the base alone.

Examples:
  emotrain verify exported --run checkpoints/my-run
  emotrain verify exported --run checkpoints/my-run --dtype bfloat16      what rounding costs in weighted F1
  emotrain verify exported/model.gguf --run checkpoints/my-run
  emotrain verify exported --run checkpoints/my-run --dtype q4_k          whether it can be served in 4 bits
  emotrain verify exported --run checkpoints/my-run --samples 500 --device cuda --json
  emotrain verify --endpoint http://localhost:8000/v1 --model emotion --run checkpoints/my-run"
)]
pub(crate) struct VerifyArgs {
    /// An exported adapter or model, or any in PEFT's or Hugging Face's format, or a .gguf file
    #[arg(value_name = "EXPORT", required_unless_present = "endpoint", conflicts_with = "endpoint")]
    pub(crate) folder: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) endpoint: Option<EndpointArgs>,
    /// The run directory of the training that it came from
    #[arg(long, value_name = "DIR")]
    pub(crate) run: PathBuf,
    /// The base model of an exported adapter, if it is not what the adapter names
    #[arg(long, value_name = "MODEL", conflicts_with = "endpoint")]
    pub(crate) base: Option<String>,
    /// At most how many utterances to ask, drawn at random, always the same
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = number(1, 1_000_000))]
    pub(crate) samples: usize,
    /// The largest difference of a label's log-probability in float32, in nats
    #[arg(long, value_name = "NATS", default_value_t = 1e-3, value_parser = tolerance)]
    pub(crate) tolerance: f64,
    /// Load the export in this type, as a server does; with --endpoint, the type that the server computes in, bfloat16
    /// if it is not said
    #[arg(long, value_name = "DTYPE", value_parser = load_type())]
    pub(crate) dtype: Option<LoadType>,
    /// The device, in the place of the recipe's: cpu, wgpu or cuda, or one of several, as in cuda:1
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<DeviceChoice>,
    /// Replace a value of the run's recipe, as in data.valid=file.jsonl; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl VerifyArgs {
    /// What is compared, and how exactly.
    pub(crate) fn options(&self) -> VerifyOptions<'_> {
        let Self { run, base, samples, tolerance, dtype, device, set, .. } = self;
        VerifyOptions {
            run,
            set,
            base: base.as_deref(),
            samples: *samples,
            tolerance: *tolerance,
            dtype: *dtype,
            device: *device,
        }
    }
}

/// A server with OpenAI's interface.
#[derive(Args, Debug)]
#[group(requires_all = ["endpoint", "model"])]
pub(crate) struct EndpointArgs {
    /// A running server in the place of EXPORT: its address before /completions, often in /v1
    #[arg(long, value_name = "URL", required = false)]
    pub(crate) endpoint: String,
    /// The server's name for the model or the adapter
    #[arg(long, value_name = "NAME", required = false)]
    pub(crate) model: String,
    /// The environment variable that holds the server's key
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    pub(crate) api_key_env: Option<String>,
}

impl EndpointArgs {
    /// Where the model is served.
    pub(crate) fn address(&self) -> ServedAddress<'_> {
        let Self { endpoint, model, api_key_env } = self;
        ServedAddress { base_url: endpoint, model, api_key_env: api_key_env.as_deref() }
    }
}

fn load_type() -> impl TypedValueParser<Value = LoadType> {
    named(&LoadType::ALL, LoadType::name)
}

fn tolerance(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "expected a number, as in 1e-3".to_owned())?;
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err("expected a number above 0".to_owned()) }
}
