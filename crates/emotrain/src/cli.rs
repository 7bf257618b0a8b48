//! The command line: types and help texts, no behaviour.

mod bank;
mod bench;
mod compare;
mod export;
mod init;
mod interpret;
mod plan;
mod predict;
mod quantize;
mod reflow;
mod report;
mod runs;
mod selftest;
mod sweep;
mod verify;

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use emotrain_data::SplitKind;
use emotrain_prompt::Task;

pub(crate) use self::bank::{
    AnnotateArgs, BankCheckArgs, BankCommand, BuildArgs, GenerateArgs, ReviewCommand, ScoreReviewArgs,
    SearchArgs, SheetArgs,
};
pub(crate) use self::bench::{BenchArgs, Product};
pub(crate) use self::compare::CompareArgs;
pub(crate) use self::export::ExportArgs;
pub(crate) use self::init::InitArgs;
pub(crate) use self::interpret::InterpretArgs;
pub(crate) use self::plan::PlanArgs;
pub(crate) use self::predict::{PredictArgs, format_named};
pub(crate) use self::quantize::QuantizeArgs;
pub(crate) use self::reflow::reflowed;
pub(crate) use self::report::ReportArgs;
pub(crate) use self::runs::RunsArgs;
pub(crate) use self::selftest::SelftestArgs;
pub(crate) use self::sweep::{
    BoardArgs, CancelArgs, Engine, EngineArgs, RetryArgs, StartArgs, StatusArgs, SweepCommand, WorkArgs,
};
pub(crate) use self::verify::VerifyArgs;

const RUN_EXAMPLES: &str = "\
Examples:
  emotrain recipes/quickstart.toml
  emotrain recipe.toml --set train.learning_rate=1e-4 --set train.seed=43
  emotrain recipe.toml --dry-run      counts samples and steps, without loading weights
  emotrain recipe.toml --resume       resumes an interrupted run
  emotrain a.toml b.toml c.toml       trains three adapters together on one base, in one process";

const EXAMPLES: &str = "\
Examples:
  emotrain recipes/quickstart.toml             trains as the recipe says
  emotrain init chats.csv                      writes a recipe for your data
  emotrain recipe.toml --dry-run               counts samples, tokens and steps first
  emotrain check a.toml b.toml                  finds all problems of recipes and data
  emotrain plan recipe.toml                    says how much memory it takes
  emotrain inspect recipe.toml --limit 2       shows what the model is trained on
  emotrain curriculum show recipe.toml         shows what its curriculum does
  emotrain eval recipe.toml --run checkpoints/recipe --split test
  emotrain predict --run checkpoints/recipe --input dialogues.jsonl

Options of a run (--set, --dry-run, --resume): emotrain train --help
Every key of a recipe, with its default: recipes/default.toml, or emotrain schema

Exit codes:
  0    done
  1    a defect of emotrain
  2    the recipe or the command line is wrong
  3    data, model files or the device cannot be used; an export does not answer as its run
  4    training stopped at a loss or gradient that is not finite
  5    output could not be written
  129  ended by SIGHUP; a run saves its state first
  130  interrupted; a run saves its state first
  138  ended by a scheduler's warning, SIGUSR1 (sweep work --requeue); a run saves its state first
  143  ended by SIGTERM; a run saves its state first

On SIGUSR1 or SIGUSR2 a run saves its state and continues.

Environment: HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH, HF_HUB_DOWNLOAD_TIMEOUT,
HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE for models from a hub, NO_COLOR to turn colours off.";

/// LoRA fine-tuning for emotion recognition in conversation.
#[derive(Debug, Parser)]
#[command(
    name = "emotrain",
    version,
    about,
    after_help = EXAMPLES,
    override_usage = "emotrain [OPTIONS] <RECIPE>...\n       emotrain [OPTIONS] <COMMAND>",
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) talk: Talk,
}

/// How much is printed on standard error.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Talk {
    /// Print only warnings and errors on standard error
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print more details on standard error
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train as recipes say, several together on one base; the word "train" may be omitted
    #[command(
        override_usage = "emotrain [OPTIONS] <RECIPE>...",
        after_help = RUN_EXAMPLES
    )]
    Train(TrainArgs),
    /// Write a commented recipe for a data file
    Init(InitArgs),
    /// Find all problems of recipes, their data, templates and tokenizers, without loading weights
    Check(CheckArgs),
    /// Say how much memory a recipe takes, and what makes it fit, from the model's configuration alone
    Plan(PlanArgs),
    /// Show prompts as the model gets them, with supervised tokens marked
    Inspect(InspectArgs),
    /// Evaluate a base model, an adapter or a fully trained model
    Eval(EvalArgs),
    /// Compare runs by their predictions: differences with intervals, p-values, what is detectable
    Compare(CompareArgs),
    /// Write what there is to see of a run or a sweep as one HTML file
    Report(ReportArgs),
    /// List the runs under a folder: state, score, time, and how their recipes differ
    Runs(RunsArgs),
    /// Train many runs from one file: a base recipe, axes and seeds; the word "start" may be omitted
    Sweep {
        #[command(subcommand)]
        command: SweepCommand,
    },
    /// Label the utterances of dialogues, as they come; writes JSON lines or a table
    Predict(PredictArgs),
    /// Write what was trained in the forms that PEFT, transformers and servers load
    Export(ExportArgs),
    /// Write a base model in 4 or 8 bits, in the form of bitsandbytes
    Quantize(QuantizeArgs),
    /// Compare an export's answers with those of the run it came from
    Verify(VerifyArgs),
    /// Fill the knowledge sources of a recipe by asking a language model
    Interpret(InterpretArgs),
    /// Build, inspect, search and extend a bank of demonstrations
    Bank {
        #[command(subcommand)]
        command: BankCommand,
    },
    /// Show a curriculum before training with it, or score dialogues with one
    Curriculum {
        #[command(subcommand)]
        command: CurriculumCommand,
    },
    /// Print the JSON Schema of recipes, for completion and checks in editors
    Schema,
    /// Train a byte-level BPE tokenizer with a chat template
    Tokenizer(TokenizerArgs),
    /// Measure the speed of training steps on random tokens
    Bench(BenchArgs),
    /// Compare a device's results with the CPU's
    Selftest(SelftestArgs),
}

/// A recipe and the values that the command line overrides.
#[derive(Args, Clone, Debug)]
pub(crate) struct RecipeArgs {
    /// The recipe, a TOML file
    pub(crate) recipe: PathBuf,
    /// Replace a value of the recipe, as in train.learning_rate=1e-4; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct TrainArgs {
    /// The recipes, TOML files; those of one base and one shape of adapter train together
    #[arg(required = true, value_name = "RECIPE")]
    pub(crate) recipes: Vec<PathBuf>,
    /// Replace a value of every recipe, as in train.learning_rate=1e-4; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Check everything and count samples, tokens and steps; load no weights, write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Resume from the last checkpoint in the recipe's output directory, or start if there is none; of several recipes
    /// each, unless its run is finished
    #[arg(long)]
    pub(crate) resume: bool,
    /// Resume even if data, weights or other files have changed since the run started; recorded in run.json
    #[arg(long)]
    pub(crate) resume_anyway: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  emotrain check recipe.toml
  emotrain check a.toml b.toml --set model.device=cpu")]
pub(crate) struct CheckArgs {
    /// The recipes, TOML files
    #[arg(required = true, value_name = "RECIPE")]
    pub(crate) recipes: Vec<PathBuf>,
    /// Replace a value of every recipe, as in train.learning_rate=1e-4; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// One of a recipe's files, by name.
fn split() -> impl TypedValueParser<Value = SplitKind> {
    let values = [
        ("train", "The training split"),
        ("valid", "The split that selects the best checkpoint"),
        ("test", "The split that is scored at the end"),
    ];
    let values = values.map(|(name, help)| PossibleValue::new(name).help(help));
    PossibleValuesParser::new(values).map(|name| match name.as_str() {
        "valid" => SplitKind::Valid,
        "test" => SplitKind::Test,
        _ => SplitKind::Train,
    })
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  emotrain inspect recipe.toml
  emotrain inspect recipe.toml --split valid --id '12#3'
  emotrain inspect recipe.toml --task speaker_identification")]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
    /// The split to show
    #[arg(long, value_parser = split(), default_value_t = SplitKind::Train)]
    pub(crate) split: SplitKind,
    /// How many samples to show
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = number(0, 1_000_000))]
    pub(crate) limit: usize,
    /// Show only this utterance: dialogue#position, positions counted from 0
    #[arg(long, value_name = "ID", conflicts_with = "limit")]
    pub(crate) id: Option<String>,
    /// Show only samples of this task; auxiliary tasks occur only in the training split
    #[arg(long, value_name = "TASK", value_parser = task())]
    pub(crate) task: Option<Task>,
}

/// Parses a number within bounds.
pub(crate) fn number(least: u64, most: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(least..=most)
}

/// Parses the name of a task.
fn task() -> impl TypedValueParser<Value = Task> {
    let named = |name: String| Task::ALL.into_iter().find(|task| task.as_str() == name).unwrap_or_default();
    PossibleValuesParser::new(Task::ALL.map(Task::as_str)).map(named)
}

/// The adapter or model that was trained.
#[derive(Args, Clone, Debug)]
#[group(id = "trained", multiple = false)]
pub(crate) struct TrainedArgs {
    /// A folder with an adapter in PEFT's format or with a fully trained model, or a .gguf file of either
    #[arg(long, value_name = "PATH")]
    pub(crate) adapter: Option<PathBuf>,
    /// The run directory of a finished training
    #[arg(long, value_name = "DIR")]
    pub(crate) run: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Without --adapter and --run the base model is evaluated. Without --output, predictions are written to
predictions.eval-<split>.jsonl in the folder of the adapter or run.

Examples:
  emotrain eval recipe.toml
  emotrain eval recipe.toml --run checkpoints/recipe --split test"
)]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
    #[command(flatten)]
    pub(crate) trained: TrainedArgs,
    /// The split to evaluate on
    #[arg(long, value_parser = split(), default_value_t = SplitKind::Valid)]
    pub(crate) split: SplitKind,
    /// The file to write predictions to, as JSON lines
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CurriculumCommand {
    /// Show what a recipe's curriculum does: buckets, easiest and hardest dialogues, epochs
    Show(ShowArgs),
    /// Write the difficulty of every dialogue of a file and its components, as JSON lines
    Score(ScoreArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  emotrain curriculum show recipe.toml
  emotrain curriculum show recipe.toml --set curriculum.name=wes --svg wes.svg")]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
    /// Also draw the histogram of difficulties to this SVG file
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Each line has id, dif, wes_same, wes_diff, n_shift_same, n_shift_diff, n_utt and n_spk. JSONL is read
dialogue by dialogue, so a file may be larger than memory. A recipe reads the scores with
curriculum.difficulty_file.

Examples:
  emotrain curriculum score --data train.jsonl --curriculum prc_emo --out scores.jsonl
  emotrain curriculum score --data meld.train.json --curriculum wes --set curriculum.k=2.0 --out scores.jsonl
  emotrain curriculum score --data iemocap.json --label-set iemocap --curriculum prc_emo --out scores.jsonl"
)]
pub(crate) struct ScoreArgs {
    /// The dialogues, with labels
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// A curriculum's name, or the path of its .toml file
    #[arg(long, value_name = "NAME")]
    pub(crate) curriculum: String,
    /// The file to write the scores to
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// The file's format, as data.format in a recipe; by default, inferred from the file's name
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// The label set, as `data.label_set` in a recipe; by default, that of the format (meld for JSON lines)
    #[arg(long, value_name = "NAME")]
    pub(crate) label_set: Option<String>,
    /// Set a key of a recipe, as in curriculum.k=2.0; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Writes tokenizer.json and tokenizer_config.json, the latter with a ChatML chat template.

Examples:
  emotrain tokenizer --vocab-size 4096 --output my-model corpus.txt more.txt"
)]
pub(crate) struct TokenizerArgs {
    /// The vocabulary size: 256 bytes, 3 special tokens, and merges
    #[arg(long, value_name = "N", value_parser = number(1, 2_000_000))]
    pub(crate) vocab_size: usize,
    /// The folder to write to
    #[arg(long, short, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// UTF-8 text to learn the merges from
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}
