//! Texts that a knowledge source lacks.

use std::fmt;
use std::path::PathBuf;

/// What a required knowledge source lacks.
#[derive(Debug, PartialEq, Eq)]
pub struct KnowledgeGap {
    /// The source.
    pub source: String,
    /// What its texts belong to: utterances, speakers or dialogues.
    pub things: &'static str,
    /// The data file.
    pub data: PathBuf,
    /// The number of missing texts.
    pub missing: usize,
    /// The number of required texts.
    pub wanted: usize,
    /// The number of texts for other data.
    pub extra: usize,
    /// The first of the missing ones.
    pub listed: String,
}

impl fmt::Display for KnowledgeGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, things, data, missing, wanted, listed, .. } = self;
        let data = data.display();
        write!(f, "knowledge.{source} has no text for {missing} of the {wanted} {things} of {data}: {listed}")
    }
}
