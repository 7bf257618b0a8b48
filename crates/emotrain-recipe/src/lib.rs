//! Recipes: the TOML files that describe a run of emotrain.
//!
//! [`load`] merges a file and command-line overrides with the defaults, checks everything, and returns a [`Recipe`] in
//! which every key has its final value, or all problems at once, each with its place and a suggestion. [`json_schema`]
//! describes the same vocabulary for editors.
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
//!     "erc.toml:8:5: \"lora_rank\" is another tool's name for lora.r\n  hint: write r = … under [lora]"
//! );
//! ```

mod blank;
mod check;
mod choices;
mod curriculum;
mod extends;
mod file;
mod fingerprint;
mod foreign;
mod load;
mod merge;
mod overrides;
mod path;
mod places;
mod problem;
mod raw;
mod recipe;
mod reserved;
mod schema;
mod sections;
mod stand_in;
mod suggest;
mod syntax;
mod unknown;
mod values;
mod vocabulary;

pub use choices::{
    Availability, Balance, DataFormat, DemonstrationOrder, DeviceChoice, Difficulty, Direction, Dtype,
    Exclude, KnowledgeLevel, LabelSetName, LoraInit, Metric, ModelInit, NeutralShifts, Optimizer, OutputType,
    Pacing, PhaseScheduler, PromptSlots, PromptTemplate, Provider, QUERIES, Reporter, ResponseFormat,
    ResumeFrom, Scheduler, SearchIndex, SharedDialogues, TargetModules, TrainMethod, UnknownDevice,
    Unlabelled, WrongForm,
};
pub use load::{load, parse};
pub use problem::{OVERRIDE_FILE, Problem, RecipeError};
pub use recipe::Recipe;
pub use reserved::TEMPLATE_NAMES;
pub use schema::json_schema;
pub use sections::{
    AuxiliarySection, CurriculumSection, DataSection, EvalSection, InterpretSection, KnowledgeSection,
    LoggingSection, LoraSection, ModelSection, PromptSection, RetrievalSection, SaveSection, TrainSection,
};
pub use stand_in::StandIn;
pub use suggest::{composed, folded};
pub use vocabulary::CURRICULA;

/// `recipes/default.toml`: every key with its default and what it means.
pub const DEFAULT_TOML: &str = include_str!("../../../recipes/default.toml");
