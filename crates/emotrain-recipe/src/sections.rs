//! The sections of a recipe after defaults, files and overrides are merged: plain data.
//!
//! The meaning of each key for users is written once, above the key in `recipes/default.toml`; here is the meaning of
//! the resolved field.

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
    /// The device of all tensors.
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
    /// Initialisation of the first factor.
    pub init_lora_weights: LoraInit,
    /// Folder of an adapter to start from, with its rank, alpha and layers; `None` = a new adapter.
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
    /// How utterances without a label are handled.
    pub unlabelled: Unlabelled,
    /// Additional words that mark utterances without a label.
    pub context_labels: Vec<String>,
    /// How dialogues that occur in two splits are handled.
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
    /// The template.
    pub template: PromptTemplate,
    /// The parts of the prompt that are shown.
    pub slots: PromptSlots,
    /// Refuse everything that comes from later utterances.
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
    /// The level of its texts.
    pub level: KnowledgeLevel,
    /// Refuse data that it does not cover completely.
    pub required: bool,
    /// The key of a row with the text; `None` = the source's name, or `text`.
    #[serde(with = "blank::text")]
    pub field: Option<String>,
    /// Whether its texts needed later utterances.
    pub availability: Availability,
    /// The query that generates it; `None` = it is made elsewhere.
    #[serde(with = "blank::text")]
    pub query: Option<String>,
}

impl KnowledgeSection {
    /// The placeholder for the name of a split in [`KnowledgeSection::path`].
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
    /// The bank's name for this run's data set; `None` = the name of the label set, unless it is a custom one.
    #[serde(with = "blank::text")]
    pub dataset_name: Option<String>,
    /// [`RetrievalSection::AUTO`], [`RetrievalSection::LEXICAL`], a Hub id or a path.
    pub encoder: String,
    /// How vectors are searched.
    pub index: SearchIndex,
    /// Candidates that the index examines per query, at least 1.
    pub ef_search: usize,
    /// The maximum number of demonstrations per utterance, at least 1.
    pub k: usize,
    /// The minimum similarity of demonstrations, in [-1, 1].
    pub min_score: f64,
    /// What is excluded for an utterance that is itself in the bank.
    pub exclude: Exclude,
    /// Skip demonstrations with the utterance's own text.
    pub exclude_same_text: bool,
    /// Alternate between the emotions.
    pub label_balance: bool,
    /// Order in the prompt.
    pub order: DemonstrationOrder,
    /// Show how similar each one is.
    pub show_score: bool,
    /// Show the data set each one comes from.
    pub show_source: bool,
}

impl RetrievalSection {
    /// The name for the bank's own encoder if it is available, and lexical search otherwise.
    pub const AUTO: &'static str = "auto";
    /// The name for lexical search.
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
    /// Epochs over the training split, at least 1.
    pub num_train_epochs: usize,
    /// Optimiser steps in total; `None` = determined by the epochs.
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
    /// Warm-up as a fraction of all steps, in [0, 1]; 0 if `warmup_steps` is set.
    pub warmup_ratio: f64,
    /// Warm-up in optimiser steps; 0 = use `warmup_ratio`.
    pub warmup_steps: usize,
    /// Limit on the global gradient norm; 0 = no limit.
    pub max_grad_norm: f64,
    /// Alpha of `NEFTune`; 0 = no noise.
    pub neftune_noise_alpha: f64,
    /// Maximum length of a sample in tokens, answer included.
    pub max_seq_length: usize,
    /// Compute the loss on the answer alone, else on every token.
    pub completion_only_loss: bool,
    /// Recompute each layer in the backward pass.
    pub gradient_checkpointing: bool,
    /// Batch samples of similar length.
    pub group_by_length: bool,
    /// Seed of every random draw.
    pub seed: u64,
    /// The run directory, relative to the current directory.
    #[serde(with = "blank::place")]
    pub output_dir: PathBuf,
}

/// `[auxiliary]`: auxiliary questions of the training (Lei 2023, arXiv 2309.11911).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuxiliarySection {
    /// The fraction of the trained utterances about which training asks who the speaker is, in [0, 1].
    pub speaker_identification: f64,
    /// The fraction of them about which training asks, before the utterance, what its speaker will feel, in [0, 1].
    pub emotion_impact: f64,
    /// A user's template for the first question; `None` = the built-in one.
    #[serde(with = "blank::path")]
    pub speaker_identification_template: Option<PathBuf>,
    /// A user's template for the second question; `None` = the built-in one.
    #[serde(with = "blank::path")]
    pub emotion_impact_template: Option<PathBuf>,
}

/// `[curriculum]`: the order of dialogues in training (PRC-Emo, Eq. 1-5 and Algorithm 1).
///
/// With [`PhaseScheduler::None`] and `shuffle` no difficulty is needed, and all other keys are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurriculumSection {
    /// The named curriculum or the file that set the other fields; has no effect by itself.
    pub name: String,
    /// The difficulty of a dialogue.
    pub difficulty: Difficulty,
    /// The numbers of [`Difficulty::File`]; else `None`.
    #[serde(with = "blank::path")]
    pub difficulty_file: Option<PathBuf>,
    /// Which end comes first.
    pub direction: Direction,
    /// When dialogues are added.
    pub scheduler: PhaseScheduler,
    /// Buckets of [`PhaseScheduler::BabyStep`] and [`PhaseScheduler::OnePass`], at least 1.
    pub num_buckets: usize,
    /// Epochs of each of their phases, at least 1.
    pub epochs_per_phase: usize,
    /// What is balanced between buckets and fractions.
    pub balance: Balance,
    /// The growth of the fraction in [`PhaseScheduler::Competence`].
    pub pacing: Pacing,
    /// The initial fraction, above 0 and at most 1: `c0` of Platanios 2019.
    pub initial_competence: f64,
    /// The first epoch, from 0, with fraction 1; at least 1.
    pub competence_epochs: usize,
    /// Shuffle within an epoch, else keep the order of difficulty.
    pub shuffle: bool,
    /// Factor of the similarity in a shift's weight `k·s + b` (Eq. 2), not negative.
    pub k: f64,
    /// Constant of a shift's weight (Eq. 2), not negative.
    pub b: f64,
    /// `N` of the similarity 1/N (Eq. 1); `None` = the size of the label set.
    #[serde(with = "blank::count")]
    pub num_labels: Option<usize>,
    /// Whether shifts from and to neutral count.
    pub neutral_shifts: NeutralShifts,
    /// A user's wheel; `None` = the built-in one.
    #[serde(with = "blank::path")]
    pub wheel: Option<PathBuf>,
    /// Restart the learning rate schedule in every phase.
    pub restart_lr_scheduler: bool,
    /// Reset the optimiser's moments in every phase.
    pub restart_optimizer: bool,
}

/// `[eval]`: when to evaluate and what to keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the recipe")]
pub struct EvalSection {
    /// Optimiser steps between evaluations; 0 = only at the end.
    pub eval_steps: usize,
    /// Samples per forward pass, at least 1.
    pub per_device_eval_batch_size: usize,
    /// The metric that selects the best checkpoint.
    pub metric_for_best_model: Metric,
    /// Must match [`Metric::greater_is_better`].
    pub greater_is_better: bool,
    /// End with the best weights, not the last.
    pub load_best_model_at_end: bool,
    /// Evaluations without a better score before the run stops; 0 = never.
    pub early_stopping_patience: usize,
    /// How the labels of final scores are obtained.
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
    /// Checkpoints kept in addition to the best one; 0 = all.
    pub save_total_limit: usize,
    /// The type of the weights in `adapter/` or `model/`.
    pub dtype: Dtype,
    /// The checkpoint to resume from; `None` = start from the beginning.
    #[serde(with = "blank::resume")]
    pub resume_from_checkpoint: Option<ResumeFrom>,
}

/// `[logging]`: training curves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoggingSection {
    /// Optimiser steps between entries, at least 1.
    pub logging_steps: usize,
    /// Where entries are written.
    pub report_to: Vec<Reporter>,
}
