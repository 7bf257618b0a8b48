//! The sections of a recipe after defaults, file and overrides are merged: plain data.
//!
//! What each key means to a user is written once, above the key in `recipes/default.toml`; here
//! stands what a field holds after resolution.

mod interpret;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::blank;
use crate::choices::{
    Availability, Balance, DataFormat, DemonstrationOrder, DeviceChoice, Difficulty, Direction, Dtype,
    Exclude, KnowledgeLevel, LabelSetName, LoraInit, Metric, ModelInit, NeutralShifts, Optimizer, OutputType,
    Pacing, PhaseScheduler, PromptSlots, PromptTemplate, Reporter, ResumeFrom, Scheduler, SearchIndex,
    SharedDialogues, TargetModules, TrainMethod, Unlabelled,
};

pub use self::interpret::InterpretSection;

/// `[model]`: the base model and the device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSection {
    /// A Hub id (`owner/name`) or a path; one that began with `./` or `../` is already resolved.
    pub model_name_or_path: String,
    /// Branch, tag or commit of a Hub id.
    pub revision: String,
    /// Whether the checkpoint's weights are read at all.
    pub init: ModelInit,
    /// Type of the base model's weights.
    pub dtype: Dtype,
    /// Where tensors live.
    pub device: DeviceChoice,
    /// Threads of the CPU backend; 0 = all cores.
    pub num_threads: usize,
}

/// `[lora]`: the adapter, used when `train.method` is [`TrainMethod::Lora`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraSection {
    /// Rank, at least 1.
    pub r: usize,
    /// Numerator of the scale: the update is multiplied by alpha/r, or alpha/√r with `use_rslora`.
    pub lora_alpha: usize,
    /// Dropout probability on the adapter's input, in [0, 1).
    pub lora_dropout: f64,
    /// The layers that get an adapter.
    pub target_modules: TargetModules,
    /// Scale by alpha/√r.
    pub use_rslora: bool,
    /// Start of the first factor.
    pub init_lora_weights: LoraInit,
    /// Folder of an adapter from which training starts, with its rank, alpha and layers; `None` = a fresh one.
    #[serde(with = "blank::path")]
    pub init_from: Option<PathBuf>,
}

/// `[data]`: the files of the splits and the labels in them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSection {
    /// Format of all files of this section.
    pub format: DataFormat,
    /// Training split.
    pub train: PathBuf,
    /// Validation split.
    #[serde(with = "blank::path")]
    pub valid: Option<PathBuf>,
    /// Test split.
    #[serde(with = "blank::path")]
    pub test: Option<PathBuf>,
    /// The closed set of labels.
    pub label_set: LabelSetName,
    /// The labels of [`LabelSetName::Custom`], in the order of their numbers; else empty.
    pub labels: Vec<String>,
    /// Other spellings of custom labels: spelling to label; else empty.
    pub label_aliases: BTreeMap<String, String>,
    /// What becomes of utterances without a label.
    pub unlabelled: Unlabelled,
    /// Words besides those that are known for utterances without a label.
    pub context_labels: Vec<String>,
    /// What becomes of dialogues that stand in two splits.
    pub shared_dialogues: SharedDialogues,
    /// Cap on training samples; `None` = all.
    #[serde(with = "blank::count")]
    pub max_train_samples: Option<usize>,
    /// Cap on validation samples; `None` = all.
    #[serde(with = "blank::count")]
    pub max_valid_samples: Option<usize>,
    /// Cap on test samples; `None` = all.
    #[serde(with = "blank::count")]
    pub max_test_samples: Option<usize>,
}

/// `[prompt]`: how an utterance becomes a chat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptSection {
    /// What writes the prompt.
    pub template: PromptTemplate,
    /// The parts of the prompt that are shown.
    pub slots: PromptSlots,
    /// Refuse whatever comes from later than the utterance.
    pub causal: bool,
    /// Number of earlier utterances shown.
    pub history_window: usize,
    /// Number of later utterances shown.
    pub future_window: usize,
    /// Passed to chat templates that know it.
    pub enable_thinking: bool,
}

/// `[[knowledge]]`: one source of texts that prompts show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnowledgeSection {
    /// Its name, which is also the name of its slot in templates; unique within a recipe.
    pub name: String,
    /// A file or folder; may hold [`KnowledgeSection::SPLIT`].
    #[serde(with = "blank::place")]
    pub path: PathBuf,
    /// What its texts belong to.
    pub level: KnowledgeLevel,
    /// Refuse data that it does not cover.
    pub required: bool,
    /// The key of a row that holds the text; `None` = the source's name, or `text`.
    #[serde(with = "blank::text")]
    pub field: Option<String>,
    /// Whether it needs what was said later.
    pub availability: Availability,
    /// The question that fills it; `None` = it is made elsewhere.
    #[serde(with = "blank::text")]
    pub query: Option<String>,
}

impl KnowledgeSection {
    /// What stands in [`KnowledgeSection::path`] for the name of a split.
    pub const SPLIT: &'static str = "{split}";

    /// The path for a split: `train`, `valid` or `test`.
    pub fn path_of(&self, split: &str) -> PathBuf {
        PathBuf::from(self.path.to_string_lossy().replace(Self::SPLIT, split))
    }
}

/// `[retrieval]`: the demonstrations in the prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the recipe")]
pub struct RetrievalSection {
    /// Folder of the demonstration bank; `None` = no demonstrations.
    #[serde(with = "blank::path")]
    pub bank: Option<PathBuf>,
    /// The bank's name for this run's data; `None` = the name of the label set, if
    /// it is not a custom one.
    #[serde(with = "blank::text")]
    pub dataset_name: Option<String>,
    /// [`RetrievalSection::AUTO`], [`RetrievalSection::LEXICAL`], a Hub id or a path.
    pub encoder: String,
    /// How vectors are searched.
    pub index: SearchIndex,
    /// Candidates that the index weighs for a query, at least 1.
    pub ef_search: usize,
    /// Most demonstrations per utterance, at least 1.
    pub k: usize,
    /// Demonstrations that are less similar are not shown, in [-1, 1].
    pub min_score: f64,
    /// What is closed to an utterance that the bank holds.
    pub exclude: Exclude,
    /// Pass over demonstrations whose text is the utterance's own.
    pub exclude_same_text: bool,
    /// Take turns between the emotions.
    pub label_balance: bool,
    /// Order in the prompt.
    pub order: DemonstrationOrder,
    /// Show how similar each one is.
    pub show_score: bool,
    /// Show the data set each one comes from.
    pub show_source: bool,
}

impl RetrievalSection {
    /// The word for the bank's own encoder where it is at hand, and words in common elsewhere.
    pub const AUTO: &'static str = "auto";
    /// The word for words in common.
    pub const LEXICAL: &'static str = "lexical";
}

/// `[train]`: the loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSection {
    /// Which weights are trained.
    pub method: TrainMethod,
    /// Peak learning rate, above 0.
    pub learning_rate: f64,
    /// Samples per forward pass, at least 1.
    pub per_device_train_batch_size: usize,
    /// Forward passes per optimiser step, at least 1.
    pub gradient_accumulation_steps: usize,
    /// Passes over the training split, at least 1.
    pub num_train_epochs: usize,
    /// Optimiser steps in all; `None` = as the epochs give.
    #[serde(with = "blank::count")]
    pub max_steps: Option<usize>,
    /// The optimiser.
    pub optim: Optimizer,
    /// Decay of the first moment, in [0, 1).
    pub adam_beta1: f64,
    /// Decay of the second moment, in [0, 1).
    pub adam_beta2: f64,
    /// Added to the root of the second moment, above 0.
    pub adam_epsilon: f64,
    /// Decoupled weight decay, in [0, 1].
    pub weight_decay: f64,
    /// Shape of the schedule after the warm-up.
    pub lr_scheduler_type: Scheduler,
    /// Warm-up as a share of all steps, in [0, 1]; 0 when `warmup_steps` is given.
    pub warmup_ratio: f64,
    /// Warm-up in optimiser steps; 0 = by `warmup_ratio`.
    pub warmup_steps: usize,
    /// Limit on the global gradient norm; 0 = no limit.
    pub max_grad_norm: f64,
    /// Alpha of `NEFTune`; 0 = no noise.
    pub neftune_noise_alpha: f64,
    /// Longest sample in tokens, answer included.
    pub max_seq_length: usize,
    /// Loss on the answer alone, else on every token.
    pub completion_only_loss: bool,
    /// Recompute each layer in the backward pass.
    pub gradient_checkpointing: bool,
    /// Batch samples of like length.
    pub group_by_length: bool,
    /// Seed of every random draw.
    pub seed: u64,
    /// The run directory, relative to the current directory.
    #[serde(with = "blank::place")]
    pub output_dir: PathBuf,
}

/// `[auxiliary]`: questions that training asks besides those about emotions (Lei 2023, arXiv 2309.11911).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuxiliarySection {
    /// The share of the utterances trained on of which training asks who said them, in [0, 1].
    pub speaker_identification: f64,
    /// The share of those of which it asks, before they are said, what their speaker will feel, in [0, 1].
    pub emotion_impact: f64,
    /// A template of the user's own for the first question; `None` = the built-in one.
    #[serde(with = "blank::path")]
    pub speaker_identification_template: Option<PathBuf>,
    /// A template of the user's own for the second question; `None` = the built-in one.
    #[serde(with = "blank::path")]
    pub emotion_impact_template: Option<PathBuf>,
}

/// `[curriculum]`: in what order training meets the dialogues (PRC-Emo, Eq. 1-5 and Algorithm 1).
///
/// With [`PhaseScheduler::None`] and `shuffle` no difficulty is needed, and nothing but those two
/// keys means anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurriculumSection {
    /// The named curriculum or the file that filled in the other fields; says nothing by itself.
    pub name: String,
    /// What makes a dialogue hard.
    pub difficulty: Difficulty,
    /// The numbers of [`Difficulty::File`]; else `None`.
    #[serde(with = "blank::path")]
    pub difficulty_file: Option<PathBuf>,
    /// Which end comes first.
    pub direction: Direction,
    /// When dialogues join.
    pub scheduler: PhaseScheduler,
    /// Buckets of [`PhaseScheduler::BabyStep`] and [`PhaseScheduler::OnePass`], at least 1.
    pub num_buckets: usize,
    /// Epochs of each of their phases, at least 1.
    pub epochs_per_phase: usize,
    /// What buckets and shares hold equally much of.
    pub balance: Balance,
    /// How the share of [`PhaseScheduler::Competence`] grows.
    pub pacing: Pacing,
    /// The share it begins with, above 0 and at most 1: `c0` of Platanios 2019.
    pub initial_competence: f64,
    /// The first epoch, from 0, in which the share is 1; at least 1.
    pub competence_epochs: usize,
    /// Shuffle within an epoch, else leave the order of difficulty.
    pub shuffle: bool,
    /// Factor of the similarity in a shift's weight `k·s + b` (Eq. 2), not negative.
    pub k: f64,
    /// Constant of a shift's weight (Eq. 2), not negative.
    pub b: f64,
    /// `N` of the similarity 1/N (Eq. 1); `None` = the labels of the label set.
    #[serde(with = "blank::count")]
    pub num_labels: Option<usize>,
    /// Whether shifts from and to neutral count.
    pub neutral_shifts: NeutralShifts,
    /// A wheel of the user's own; `None` = the built-in one.
    #[serde(with = "blank::path")]
    pub wheel: Option<PathBuf>,
    /// Start the learning rate's schedule anew in every phase.
    pub restart_lr_scheduler: bool,
    /// Start the optimiser's moments anew in every phase.
    pub restart_optimizer: bool,
}

/// `[eval]`: when to measure and what to keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the recipe")]
pub struct EvalSection {
    /// Optimiser steps between evaluations; 0 = only at the end.
    pub eval_steps: usize,
    /// Samples per forward pass, at least 1.
    pub per_device_eval_batch_size: usize,
    /// The score that chooses the best checkpoint.
    pub metric_for_best_model: Metric,
    /// Agrees with [`Metric::greater_is_better`].
    pub greater_is_better: bool,
    /// End with the best weights, not the last.
    pub load_best_model_at_end: bool,
    /// Evaluations without a better score before the run stops; 0 = never.
    pub early_stopping_patience: usize,
    /// How the labels of final scores are asked for.
    pub output_type: OutputType,
    /// Score labels in bfloat16 on the CPU.
    pub bf16_full_eval: bool,
    /// Evaluate the untrained model first.
    pub baseline: bool,
    /// Evaluate the test split once, after selection.
    pub test: bool,
}

/// `[save]`: checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaveSection {
    /// Optimiser steps between checkpoints; 0 = only at the end.
    pub save_steps: usize,
    /// Checkpoints kept beside the best one; 0 = all.
    pub save_total_limit: usize,
    /// The type of the weights in `adapter/` or `model/`.
    pub dtype: Dtype,
    /// Where to go on from; `None` = start anew.
    #[serde(with = "blank::resume")]
    pub resume_from_checkpoint: Option<ResumeFrom>,
}

/// `[logging]`: training curves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoggingSection {
    /// Optimiser steps between entries, at least 1.
    pub logging_steps: usize,
    /// Where entries go.
    pub report_to: Vec<Reporter>,
}
