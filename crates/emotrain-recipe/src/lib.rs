//! Recipes: the TOML files that describe a run of emotrain.
//!
//! [`load`] merges a file and command-line overrides with the defaults, checks everything, and returns a [`Recipe`] in
//! which every key has its final value, or all problems at once, each with its place and a suggestion. [`json_schema`]
//! describes the same keys for editors.
//!
//! The defaults and the description of every key are in one file, `recipes/default.toml` ([`DEFAULT_TOML`]). The crate
//! deliberately does not look at the files a recipe names: whether a split exists and what is in it is checked by its
//! reader. The exceptions are files of keys: the recipe that `extends` names and the curriculum that `curriculum.name`
//! may name.
//!
//! ```
//! let text = r#"
//!     [model]
//!     model_name_or_path = "Qwen/Qwen2.5-7B-Instruct"
//!     [data]
//!     train = "train.jsonl"
//!     valid = "valid.jsonl"
//!     [train]
//!     lora_rank = 8
//! "#;
//! let error = emotrain_recipe::parse(text, "erc.toml".as_ref(), &[]).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "erc.toml:8:5: \"lora_rank\" is another tool's name for lora.r\n  hint: write r = 8 under [lora]"
//! );
//! ```

mod blank;
mod check;
mod curriculum;
mod difference;
mod extends;
mod file;
mod fingerprint;
mod foreign;
mod key;
mod load;
mod merge;
mod other_file;
mod overrides;
mod path;
mod places;
mod problem;
mod raw;
mod recipe;
mod run_folder;
mod schema;
mod section;
mod stand_in;
mod suggest;
mod syntax;
mod unknown;
mod values;

pub use difference::KeyDifference;
pub use load::{load, load_in, parse};
pub use problem::{OVERRIDE_FILE, Problem, RecipeError};
pub use recipe::Recipe;
pub use run_folder::run_of_recipe;
pub use schema::json_schema;
pub use section::{
    AttnImplementation, AuxiliarySection, Availability, Balance, CURRICULA, ClassWeights, ColumnRole,
    ComputeDtype, CurriculumSection, DataFormat, DataSection, DemonstrationOrder, DeviceChoice, Difficulty,
    Direction, Dtype, EvalSection, EvalSteps, Exclude, FourBitQuantType, InterpretSection, KnowledgeLevel,
    KnowledgeSection, LabelSampling, LabelSetName, LoggingSection, LoraInit, LoraSection, Metric, ModelInit,
    ModelSection, NeutralShifts, Optimizer, OutputType, Pacing, PhaseScheduler, PromptSection, PromptSlots,
    PromptTemplate, Provider, QUERIES, QuantizationSection, Reporter, ResponseFormat, ResumeFrom,
    RetrievalSection, SaveSection, Scheduler, SearchIndex, SharedDialogues, SharedPrefix, ShuffleBy,
    TEMPLATE_NAMES, TargetModules, TrainMethod, TrainSection, UnknownDevice, Unlabelled, WrongForm,
};
pub use stand_in::StandIn;
pub use suggest::{composed, folded, has_control};

/// `recipes/default.toml`: every key with its default and what it means.
pub const DEFAULT_TOML: &str = include_str!("../../../recipes/default.toml");
