//! What can keep a curriculum from being made.

use emotrain_base::{Advice, Fault};
use emotrain_data::DataError;
use emotrain_recipe::Difficulty;

/// How many ids an error lists.
const LISTED: usize = 5;

/// What is wrong with a wheel. Prints as `file:line: problem`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}:{line}: {problem}")]
pub struct WheelError {
    pub(crate) origin: String,
    pub(crate) line: usize,
    pub(crate) problem: String,
    pub(crate) hint: Option<&'static str>,
}

impl WheelError {
    /// The line in the file, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The fix, where one can be named.
    pub fn hint(&self) -> Option<&str> {
        self.hint
    }
}

/// A problem with difficulties, or with the files that they come from. [`CurriculumError::hint`] says
/// what to do, where that is known.
#[derive(Debug, thiserror::Error)]
pub enum CurriculumError {
    /// A wheel that is not well formed.
    #[error(transparent)]
    Wheel(#[from] WheelError),
    /// A file could not be read or written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A label that has no place on the wheel.
    #[error("the wheel {wheel} does not know the label \"{label}\"")]
    UnknownEmotion {
        /// As the label set spells it.
        label: String,
        /// The wheel's file, or the name of the built-in one.
        wheel: String,
        /// The most similar emotion of the wheel.
        nearest: Option<String>,
    },
    /// A difficulty that does not come from the labels and that nobody has given.
    #[error("difficulty = \"{difficulty}\" needs a number for each dialogue, and none were given")]
    NotGiven {
        /// The kind of difficulty.
        difficulty: Difficulty,
    },
    /// Dialogues without a difficulty.
    #[error("{origin}: has no difficulty for {}", listed(.ids))]
    Missing {
        /// The file of difficulties, or what they are.
        origin: String,
        /// All such dialogues, in the order of the data.
        ids: Vec<String>,
    },
    /// Difficulties without a dialogue.
    #[error("{origin}: the data does not hold {}", listed(.ids))]
    Unknown {
        /// The file of difficulties with the line of the first, or what they are.
        origin: String,
        /// All such ids, in the order of the file.
        ids: Vec<String>,
    },
    /// A dialogue with two difficulties.
    #[error("{origin}: dialogue {id} is given twice, first on line {first_line}")]
    Duplicate {
        /// The file of difficulties with the line.
        origin: String,
        /// Which dialogue.
        id: String,
        /// Where it was first given, counted from 1.
        first_line: usize,
    },
    /// A difficulty that nothing can be ordered by.
    #[error("{origin}: the difficulty of dialogue {id} is {value}")]
    NotFinite {
        /// What the difficulties are.
        origin: String,
        /// Which dialogue.
        id: String,
        /// What it is instead.
        value: f64,
    },
    /// Difficulties that cannot belong to the dialogues.
    #[error("{given} difficulties for {dialogues} dialogues")]
    LengthMismatch {
        /// Number of difficulties.
        given: usize,
        /// Number of dialogues.
        dialogues: usize,
    },
    /// Buckets that would be empty.
    #[error("curriculum.num_buckets = {buckets}, but there are only {dialogues} dialogues")]
    TooFewDialogues {
        /// Number of dialogues.
        dialogues: usize,
        /// Number of buckets.
        buckets: usize,
    },
    /// Nothing to order.
    #[error("there are no dialogues to order")]
    NoDialogues,
}

impl CurriculumError {
    /// The fix, where one can be named.
    pub fn hint(&self) -> Option<String> {
        if let Self::Wheel(error) = self {
            error.hint().map(str::to_owned)
        } else if let Self::Data(error) = self {
            error.hint()
        } else if let Self::UnknownEmotion { label, nearest, .. } = self {
            let own = "give it a place in a wheel of your own and name that in curriculum.wheel";
            Some(match nearest {
                Some(nearest) => {
                    format!("{own}, perhaps under [aliases]: {} = \"{nearest}\"", bare_or_quoted(label))
                }
                None => own.to_owned(),
            })
        } else if let Self::TooFewDialogues { .. } = self {
            Some("a dialogue is never split, so there can be no more buckets than dialogues".to_owned())
        } else if let Self::Missing { .. } | Self::Unknown { .. } = self {
            Some("difficulties belong to one training split: each of its dialogues has one".to_owned())
        } else {
            None
        }
    }
}

impl Advice for CurriculumError {
    fn fault(&self) -> Fault {
        #[expect(clippy::wildcard_enum_match_arm, reason = "all others are about files and what they hold")]
        match self {
            Self::Data(error) => error.fault(),
            Self::Wheel(_) | Self::UnknownEmotion { .. } | Self::TooFewDialogues { .. } => Fault::Usage,
            _ => Fault::Input,
        }
    }

    fn hint(&self) -> Option<String> {
        Self::hint(self)
    }
}

/// A TOML key.
fn bare_or_quoted(name: &str) -> String {
    let is_bare = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_bare { name.to_owned() } else { format!("{name:?}") }
}

/// `dialogue a`, or `7 dialogues: a, b, c, d, e, …`.
fn listed(ids: &[String]) -> String {
    let more = if ids.len() > LISTED { ", …" } else { "" };
    match ids {
        [id] => format!("dialogue {id}"),
        ids => format!("{} dialogues: {}{more}", ids.len(), ids[..ids.len().min(LISTED)].join(", ")),
    }
}
