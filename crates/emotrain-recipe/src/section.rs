//! The sections of a recipe, each in a file of its own: its keys with their types and valid values, its choices, and
//! the rules between its keys.
//!
//! The meaning of each key for users is written once, above the key in `recipes/default.toml`, together with its
//! default; here is the meaning of the resolved field. Rules between sections are in [`crate::check`].

use crate::key::Key;

/// Defines an enum whose variants have these names in a recipe.
macro_rules! choices {
    ($(#[$about:meta])* $Choice:ident { $($(#[$about_variant:meta])* $Variant:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        pub enum $Choice {
            $($(#[$about_variant])* #[serde(rename = $name)] $Variant,)+
        }

        impl $Choice {
            /// The names in a recipe, in the order of the variants.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// The name in a recipe.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$Variant => $name,)+
                }
            }
        }

        impl std::fmt::Display for $Choice {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

/// Defines a section: a struct with a field for each key, written `key: Type = valid values;`, and the same keys as
/// its [`Section`], in the order of `recipes/default.toml`. `, required` after the values: every recipe must set it.
macro_rules! section {
    ($(#[$about:meta])* $Struct:ident = $name:literal {
        $($(#[$about_key:meta])* $key:ident: $Type:ty = $kind:expr $(, $required:ident)?;)+
    }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $Struct {
            $($(#[$about_key])* pub $key: $Type,)+
        }

        impl $Struct {
            /// Its name and keys.
            pub(crate) const SECTION: $crate::section::Section = $crate::section::Section {
                name: $name,
                keys: &[$($crate::key::Key::new(stringify!($key), $kind)$(.$required())?),+],
            };
        }
    };
}

mod auxiliary;
mod curriculum;
mod data;
mod eval;
mod interpret;
mod knowledge;
mod logging;
mod lora;
mod model;
mod prompt;
mod quantization;
mod retrieval;
mod save;
mod train;

pub use self::auxiliary::AuxiliarySection;
pub(crate) use self::curriculum::named_curriculum;
pub use self::curriculum::{
    Balance, CURRICULA, CurriculumSection, Difficulty, Direction, NeutralShifts, Pacing, PhaseScheduler,
    ShuffleBy,
};
pub use self::data::{
    ColumnRole, DataFormat, DataSection, LabelSampling, LabelSetName, SharedDialogues, Unlabelled,
};
pub use self::eval::{EvalSection, EvalSteps, Metric, OutputType};
pub use self::interpret::{InterpretSection, Provider, ResponseFormat};
pub use self::knowledge::{Availability, KnowledgeLevel, KnowledgeSection, QUERIES, TEMPLATE_NAMES};
pub(crate) use self::knowledge::{NAME_PATTERN, refused_name, reserved_names};
pub use self::logging::{LoggingSection, Reporter};
pub use self::lora::{LoraInit, LoraSection, TargetModules};
pub use self::model::{AttnImplementation, DeviceChoice, Dtype, ModelInit, ModelSection, UnknownDevice};
pub use self::prompt::{PromptSection, PromptSlots, PromptTemplate};
pub use self::quantization::{ComputeDtype, FourBitQuantType, QuantizationSection};
pub use self::retrieval::{DemonstrationOrder, Exclude, RetrievalSection, SearchIndex};
pub use self::save::{ResumeFrom, SaveSection};
pub use self::train::{ClassWeights, Optimizer, Scheduler, SharedPrefix, TrainMethod, TrainSection};

/// The top-level key that names the recipe below.
pub(crate) const EXTENDS: &str = "extends";

/// Every section that a recipe has once, in the order of `recipes/default.toml`.
pub(crate) const SECTIONS: &[Section] = &[
    ModelSection::SECTION,
    QuantizationSection::SECTION,
    LoraSection::SECTION,
    DataSection::SECTION,
    PromptSection::SECTION,
    RetrievalSection::SECTION,
    InterpretSection::SECTION,
    TrainSection::SECTION,
    AuxiliarySection::SECTION,
    CurriculumSection::SECTION,
    EvalSection::SECTION,
    SaveSection::SECTION,
    LoggingSection::SECTION,
];

/// `[[knowledge]]`: a section that a recipe may have any number of times, with different names.
pub(crate) const KNOWLEDGE: &Section = &KnowledgeSection::SECTION;

/// The name and the keys of a section, in the order of the file.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) keys: &'static [Key],
}

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

/// A value of the wrong type, found while deserialising a choice that is not a plain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct WrongForm {
    expected: &'static str,
}

impl WrongForm {
    /// The texts of a list; refuses any other value as not being what was `expected`.
    fn unless_texts(value: &toml::Value, expected: &'static str) -> Result<Vec<String>, Self> {
        let texts = value.as_array().ok_or(Self { expected })?;
        texts.iter().map(|text| text.as_str().map(str::to_owned).ok_or(Self { expected })).collect()
    }
}
