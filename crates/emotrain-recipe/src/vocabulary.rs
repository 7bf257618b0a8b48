//! Every section and key of a recipe, and the valid values of each key.
//!
//! Defaults and descriptions are in `recipes/default.toml`, the resolved types in [`crate::sections`]; tests keep the
//! three consistent.

use std::ops::Bound::{self, Excluded, Included};

use crate::choices::{
    Availability, Balance, DataFormat, DemonstrationOrder, Difficulty, Direction, Dtype, Exclude,
    KnowledgeLevel, LabelSetName, LoraInit, Metric, ModelInit, NeutralShifts, Optimizer, OutputType, Pacing,
    PhaseScheduler, PromptSlots, PromptTemplate, Provider, QUERIES, Reporter, ResponseFormat, Scheduler,
    SearchIndex, SharedDialogues, TargetModules, TrainMethod, Unlabelled,
};

/// The top-level key that names the recipe below.
pub(crate) const EXTENDS: &str = "extends";

/// The named curricula: the files of `curriculum/`.
pub const CURRICULA: &[&str] =
    &["none", "prc_emo", "wes", "es", "reverse", "random_buckets", "length", "speakers", "file", "loss"];

/// A section and its keys, in the order of the file.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) keys: &'static [Key],
}

/// A key within a section.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Every recipe must set it: the default is blank.
    pub(crate) required: bool,
}

/// The valid values of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Switch,
    /// An integer, at least the first and at most the second.
    Count(i64, i64),
    /// A number between the bounds.
    Number(Bound<f64>, Bound<f64>),
    /// Any text.
    Text,
    /// A path relative to the recipe's folder; `""` = none.
    InputPath,
    /// A path relative to the current directory; `""` = the default place, or none.
    OutputPath,
    /// A Hub id, or a path relative to the recipe's folder.
    Model,
    /// One of these words, or the path of a `.toml` file relative to the recipe's folder.
    WordOrFile(&'static [&'static str]),
    /// One of these words, or a path relative to the recipe's folder; `""` = the first word.
    WordOrPath(&'static [&'static str]),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A device name.
    Device,
    /// Any texts.
    Texts,
    /// Some of these words, each at most once.
    Choices(&'static [&'static str]),
    /// The one word, or some of the others.
    WordOrChoices(&'static str, &'static [&'static str]),
    /// The one word, or any texts.
    WordOrTexts(&'static str),
    /// `true`, or the word.
    TrueOrWord(&'static str),
    /// Texts by text.
    TextTable,
}

impl Kind {
    /// Whether every value of this kind is text.
    pub(crate) fn holds_text(self) -> bool {
        match self {
            Self::Text
            | Self::InputPath
            | Self::OutputPath
            | Self::Model
            | Self::WordOrFile(_)
            | Self::WordOrPath(_)
            | Self::Choice(_)
            | Self::Device => true,
            Self::Switch
            | Self::Count(..)
            | Self::Number(..)
            | Self::Texts
            | Self::Choices(_)
            | Self::WordOrChoices(..)
            | Self::WordOrTexts(_)
            | Self::TrueOrWord(_)
            | Self::TextTable => false,
        }
    }
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, required: false }
}

const fn required(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, required: true }
}

/// The upper limit of counts that are not stored: steps, samples, questions.
const MOST: i64 = 1_000_000_000;

/// From 0, which means "none" or "all", or that another key decides.
const fn up_to(most: i64) -> Kind {
    Kind::Count(0, most)
}

/// At least one.
const fn one_to(most: i64) -> Kind {
    Kind::Count(1, most)
}

const SHARE: Kind = Kind::Number(Included(0.0), Included(1.0));
const SHARE_BELOW_ONE: Kind = Kind::Number(Included(0.0), Excluded(1.0));
const SHARE_ABOVE_ZERO: Kind = Kind::Number(Excluded(0.0), Included(1.0));
const COSINE: Kind = Kind::Number(Included(-1.0), Included(1.0));
/// A weight, or a limit on a norm.
const FACTOR: Kind = Kind::Number(Included(0.0), Included(1e6));
/// From zero to an hour.
const PAUSE: Kind = Kind::Number(Included(0.0), Included(3600.0));
/// Up to a day.
const PATIENCE: Kind = Kind::Number(Excluded(0.0), Included(86400.0));
const TEMPERATURE: Kind = Kind::Number(Included(0.0), Included(2.0));

/// The whole vocabulary.
pub(crate) const SECTIONS: &[Section] = &[
    Section {
        name: "model",
        keys: &[
            required("model_name_or_path", Kind::Model),
            key("revision", Kind::Text),
            key("init", Kind::Choice(ModelInit::NAMES)),
            key("dtype", Kind::Choice(Dtype::NAMES)),
            key("device", Kind::Device),
            key("num_threads", up_to(1024)),
        ],
    },
    Section {
        name: "lora",
        keys: &[
            key("r", one_to(4096)),
            key("lora_alpha", one_to(1_000_000)),
            key("lora_dropout", SHARE_BELOW_ONE),
            key("target_modules", Kind::WordOrChoices(TargetModules::ALL_LINEAR, TargetModules::NAMES)),
            key("use_rslora", Kind::Switch),
            key("init_lora_weights", Kind::TrueOrWord(LoraInit::GAUSSIAN)),
            key("init_from", Kind::InputPath),
        ],
    },
    Section {
        name: "data",
        keys: &[
            key("format", Kind::Choice(DataFormat::NAMES)),
            required("train", Kind::InputPath),
            key("valid", Kind::InputPath),
            key("test", Kind::InputPath),
            key("label_set", Kind::Choice(LabelSetName::NAMES)),
            key("labels", Kind::Texts),
            key("label_aliases", Kind::TextTable),
            key("unlabelled", Kind::Choice(Unlabelled::NAMES)),
            key("context_labels", Kind::Texts),
            key("shared_dialogues", Kind::Choice(SharedDialogues::NAMES)),
            key("max_train_samples", up_to(MOST)),
            key("max_valid_samples", up_to(MOST)),
            key("max_test_samples", up_to(MOST)),
        ],
    },
    Section {
        name: "prompt",
        keys: &[
            key("template", Kind::WordOrPath(PromptTemplate::NAMES)),
            key("slots", Kind::WordOrTexts(PromptSlots::ALL)),
            key("causal", Kind::Switch),
            key("history_window", up_to(100_000)),
            key("future_window", up_to(100_000)),
            key("enable_thinking", Kind::Switch),
        ],
    },
    Section {
        name: "retrieval",
        keys: &[
            key("bank", Kind::InputPath),
            key("dataset_name", Kind::Text),
            key("encoder", Kind::Model),
            key("index", Kind::Choice(SearchIndex::NAMES)),
            key("ef_search", one_to(1_000_000)),
            key("k", one_to(1000)),
            key("min_score", COSINE),
            key("exclude", Kind::Choice(Exclude::NAMES)),
            key("exclude_same_text", Kind::Switch),
            key("label_balance", Kind::Switch),
            key("order", Kind::Choice(DemonstrationOrder::NAMES)),
            key("show_score", Kind::Switch),
            key("show_source", Kind::Switch),
        ],
    },
    Section {
        name: "interpret",
        keys: &[
            key("provider", Kind::Choice(Provider::NAMES)),
            key("base_url", Kind::Text),
            key("model", Kind::Model),
            key("api_key_env", Kind::Text),
            key("concurrency", one_to(1024)),
            key("timeout_s", PATIENCE),
            key("max_retries", up_to(1000)),
            key("retry_backoff_s", PAUSE),
            key("requests_per_minute", up_to(1_000_000)),
            key("temperature", TEMPERATURE),
            key("top_p", SHARE_ABOVE_ZERO),
            key("max_tokens", up_to(1_000_000)),
            key("response_format", Kind::Choice(ResponseFormat::NAMES)),
            key("seed", up_to(i64::MAX)),
            key("max_attempts", one_to(1000)),
            key("extra_body", Kind::Text),
        ],
    },
    Section {
        name: "train",
        keys: &[
            key("method", Kind::Choice(TrainMethod::NAMES)),
            key("learning_rate", SHARE_ABOVE_ZERO),
            key("per_device_train_batch_size", one_to(65_536)),
            key("gradient_accumulation_steps", one_to(65_536)),
            key("num_train_epochs", one_to(10_000)),
            key("max_steps", up_to(MOST)),
            key("optim", Kind::Choice(Optimizer::NAMES)),
            key("adam_beta1", SHARE_BELOW_ONE),
            key("adam_beta2", SHARE_BELOW_ONE),
            key("adam_epsilon", SHARE_ABOVE_ZERO),
            key("weight_decay", SHARE),
            key("lr_scheduler_type", Kind::Choice(Scheduler::NAMES)),
            key("warmup_ratio", SHARE),
            key("warmup_steps", up_to(MOST)),
            key("max_grad_norm", Kind::Number(Included(0.0), Included(1e9))),
            key("neftune_noise_alpha", Kind::Number(Included(0.0), Included(1000.0))),
            key("max_seq_length", one_to(1_048_576)),
            key("completion_only_loss", Kind::Switch),
            key("gradient_checkpointing", Kind::Switch),
            key("group_by_length", Kind::Switch),
            key("seed", up_to(i64::MAX)),
            key("output_dir", Kind::OutputPath),
        ],
    },
    Section {
        name: "auxiliary",
        keys: &[
            key("speaker_identification", SHARE),
            key("emotion_impact", SHARE),
            key("speaker_identification_template", Kind::InputPath),
            key("emotion_impact_template", Kind::InputPath),
        ],
    },
    Section {
        name: "curriculum",
        keys: &[
            key("name", Kind::WordOrFile(CURRICULA)),
            key("difficulty", Kind::Choice(Difficulty::NAMES)),
            key("difficulty_file", Kind::InputPath),
            key("direction", Kind::Choice(Direction::NAMES)),
            key("scheduler", Kind::Choice(PhaseScheduler::NAMES)),
            key("num_buckets", one_to(1000)),
            key("epochs_per_phase", one_to(1000)),
            key("balance", Kind::Choice(Balance::NAMES)),
            key("pacing", Kind::Choice(Pacing::NAMES)),
            key("initial_competence", SHARE_ABOVE_ZERO),
            key("competence_epochs", one_to(1000)),
            key("shuffle", Kind::Switch),
            key("k", FACTOR),
            key("b", FACTOR),
            key("num_labels", up_to(1000)),
            key("neutral_shifts", Kind::Choice(NeutralShifts::NAMES)),
            key("wheel", Kind::InputPath),
            key("restart_lr_scheduler", Kind::Switch),
            key("restart_optimizer", Kind::Switch),
        ],
    },
    Section {
        name: "eval",
        keys: &[
            key("eval_steps", up_to(MOST)),
            key("per_device_eval_batch_size", one_to(65_536)),
            key("metric_for_best_model", Kind::Choice(Metric::NAMES)),
            key("greater_is_better", Kind::Switch),
            key("load_best_model_at_end", Kind::Switch),
            key("early_stopping_patience", up_to(MOST)),
            key("output_type", Kind::Choice(OutputType::NAMES)),
            key("bf16_full_eval", Kind::Switch),
            key("baseline", Kind::Switch),
            key("test", Kind::Switch),
        ],
    },
    Section {
        name: "save",
        keys: &[
            key("save_steps", up_to(MOST)),
            key("save_total_limit", up_to(MOST)),
            key("dtype", Kind::Choice(Dtype::NAMES)),
            key("resume_from_checkpoint", Kind::OutputPath),
        ],
    },
    Section {
        name: "logging",
        keys: &[key("logging_steps", one_to(MOST)), key("report_to", Kind::Choices(Reporter::NAMES))],
    },
];

/// `[[knowledge]]`: a section that a recipe may have any number of times, with different names.
pub(crate) const KNOWLEDGE: &Section = &Section {
    name: "knowledge",
    keys: &[
        required("name", Kind::Text),
        required("path", Kind::InputPath),
        key("level", Kind::Choice(KnowledgeLevel::NAMES)),
        key("required", Kind::Switch),
        key("field", Kind::Text),
        key("availability", Kind::Choice(Availability::NAMES)),
        key("query", Kind::WordOrFile(QUERIES)),
    ],
};

impl Section {
    /// As written in a file: `[train]`, `[[knowledge]]`.
    pub(crate) fn header(&self) -> String {
        if self.name == KNOWLEDGE.name { format!("[[{}]]", self.name) } else { format!("[{}]", self.name) }
    }

    /// The section of this name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        SECTIONS.iter().find(|section| section.name == name)
    }

    /// The key of this name in the section.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// The names of the sections that have a key of this name.
pub(crate) fn sections_with(key: &str) -> Vec<&'static str> {
    SECTIONS.iter().filter(|section| section.key(key).is_some()).map(|section| section.name).collect()
}
