//! Errors of making a curriculum.

use emotrain_base::{Advice, Fault};
use emotrain_data::DataError;
use emotrain_recipe::Difficulty;

/// The number of ids an error lists.
const LISTED: usize = 5;

/// A problem with a wheel. Displayed as `file:line: problem`.
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

    /// The fix, if there is one to suggest.
    pub fn hint(&self) -> Option<&str> {
        self.hint
    }
}

/// A problem with difficulties, or with the files they come from. [`CurriculumError::hint`] says how to fix it, if that
/// is known.
#[derive(Debug, thiserror::Error)]
pub enum CurriculumError {
    /// An invalid wheel.
    #[error(transparent)]
    Wheel(#[from] WheelError),
    /// A file could not be read or written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Labels that are missing from the wheel.
    #[error("the wheel {wheel} has no {}", quoted(.labels))]
    UnknownEmotions {
        /// As spelt in the label set, each with the most similar emotion of the wheel.
        labels: Vec<(String, Option<String>)>,
        /// The wheel's file, or the name of the built-in one.
        wheel: String,
    },
    /// A difficulty that must be provided and was not.
    #[error("difficulty = \"{difficulty}\" needs a number for each dialogue, but none were provided")]
    NotGiven {
        /// The kind of difficulty.
        difficulty: Difficulty,
    },
    /// Dialogues without a difficulty.
    #[error("{origin}: has no difficulty for {}", listed(.ids))]
    Missing {
        /// The file of difficulties, or their kind.
        origin: String,
        /// All such dialogues, in the order of the data.
        ids: Vec<String>,
    },
    /// Difficulties without a dialogue.
    #[error("{origin}: not in the data: {}", listed(.ids))]
    Unknown {
        /// The file of difficulties with the line of the first, or their kind.
        origin: String,
        /// All such ids, in the order of the file.
        ids: Vec<String>,
    },
    /// A dialogue with more than one difficulty.
    #[error("{origin}: dialogue {id} is given twice, first on line {first_line}")]
    Duplicate {
        /// The file of difficulties with the line.
        origin: String,
        /// The dialogue.
        id: String,
        /// The line of the first one, counted from 1.
        first_line: usize,
    },
    /// A difficulty that is not a finite number.
    #[error("{origin}: the difficulty of dialogue {id} is {value}")]
    NotFinite {
        /// The file of difficulties, or their kind.
        origin: String,
        /// The dialogue.
        id: String,
        /// Its value.
        value: f64,
    },
    /// A number of difficulties that differs from the number of dialogues.
    #[error("{given} difficulties for {dialogues} dialogues")]
    LengthMismatch {
        /// Number of difficulties.
        given: usize,
        /// Number of dialogues.
        dialogues: usize,
    },
    /// More buckets than dialogues.
    #[error("curriculum.num_buckets = {buckets}, but there are only {dialogues} dialogues")]
    TooFewDialogues {
        /// Number of dialogues.
        dialogues: usize,
        /// Number of buckets.
        buckets: usize,
    },
    /// No dialogues.
    #[error("there are no dialogues to order")]
    NoDialogues,
}

impl CurriculumError {
    /// The fix, if there is one to suggest.
    pub fn hint(&self) -> Option<String> {
        if let Self::Wheel(error) = self {
            error.hint().map(str::to_owned)
        } else if let Self::Data(error) = self {
            error.hint()
        } else if let Self::UnknownEmotions { labels, .. } = self {
            let what = if labels.len() == 1 { "it" } else { "them" };
            let own = format!("add {what} to a wheel of your own and name that file in curriculum.wheel");
            let alias = |(label, nearest): &(String, Option<String>)| {
                Some(format!("{} = \"{}\"", bare_or_quoted(label), nearest.as_ref()?))
            };
            let aliases: Vec<String> = labels.iter().filter_map(alias).collect();
            Some(match &aliases[..] {
                [] => own,
                aliases => format!("{own}, perhaps under [aliases]: {}", aliases.join(", ")),
            })
        } else if let Self::TooFewDialogues { .. } = self {
            Some("a dialogue is never split, so there are at most as many buckets as dialogues".to_owned())
        } else if let Self::Missing { .. } | Self::Unknown { .. } = self {
            Some(
                "difficulties belong to one training split and need one for each of its dialogues".to_owned(),
            )
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
            Self::Wheel(_) | Self::UnknownEmotions { .. } | Self::TooFewDialogues { .. } => Fault::Usage,
            _ => Fault::Input,
        }
    }

    fn hint(&self) -> Option<String> {
        Self::hint(self)
    }
}

/// `label "a"`, or `labels "a", "b"`.
fn quoted(labels: &[(String, Option<String>)]) -> String {
    let quoted: Vec<String> = labels.iter().map(|(label, _)| format!("\"{label}\"")).collect();
    format!("label{} {}", if labels.len() == 1 { "" } else { "s" }, quoted.join(", "))
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
