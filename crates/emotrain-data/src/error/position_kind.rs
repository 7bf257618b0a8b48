//! How positions in a table are written.

use std::fmt;

/// How the position of an utterance is written: those of one dialogue are of one kind, or their order is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PositionKind {
    /// `7`, `7.25`
    Number,
    /// `2024-05-01 10:01`
    LocalTime,
    /// `2024-05-01T10:01Z`
    ZonedTime,
}

impl fmt::Display for PositionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "a number",
            Self::LocalTime => "a time without a zone",
            Self::ZonedTime => "a time with a zone",
        })
    }
}
