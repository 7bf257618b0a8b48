//! `[save]`: checkpoints.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Dtype;
use crate::blank;
use crate::key::{Kind, MOST};

section! {
    /// `[save]`: checkpoints.
    SaveSection = "save" {
        /// Optimiser steps between checkpoints; 0 = only at the end.
        save_steps: usize = Kind::up_to(MOST);
        /// Checkpoints kept in addition to the best one; 0 = all.
        save_total_limit: usize = Kind::up_to(MOST);
        /// The type of the weights in `adapter/` or `model/`.
        dtype: Dtype = Kind::Choice(Dtype::NAMES);
        /// The checkpoint to resume from; `None` = start from the beginning.
        #[serde(with = "blank::text")]
        resume_from_checkpoint: Option<ResumeFrom> = Kind::OutputPath;
    }
}

/// The checkpoint from which a run resumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ResumeFrom {
    /// The last complete checkpoint in the output directory.
    Latest,
    /// This step folder, relative to the current directory.
    Step(PathBuf),
}

impl ResumeFrom {
    /// The name of [`ResumeFrom::Latest`].
    pub const LATEST: &'static str = "latest";
}

impl From<String> for ResumeFrom {
    fn from(text: String) -> Self {
        if text == Self::LATEST { Self::Latest } else { Self::Step(PathBuf::from(text)) }
    }
}

impl From<ResumeFrom> for String {
    fn from(from: ResumeFrom) -> Self {
        match from {
            ResumeFrom::Latest => ResumeFrom::LATEST.to_owned(),
            ResumeFrom::Step(folder) => folder.to_string_lossy().into_owned(),
        }
    }
}
