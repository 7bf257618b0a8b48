//! `[logging]`: training curves.

use crate::key::{Kind, MOST};

section! {
    /// `[logging]`: training curves.
    LoggingSection = "logging" {
        /// Optimiser steps between entries, at least 1.
        logging_steps: usize = Kind::one_to(MOST);
        /// Where entries are written.
        report_to: Vec<Reporter> = Kind::Choices(Reporter::NAMES);
    }
}

choices! {
    /// Where the training curves are written.
    Reporter {
        /// `metrics.jsonl` in the output directory.
        Jsonl = "jsonl",
        /// TensorBoard event files under `tb/` in the output directory.
        Tensorboard = "tensorboard",
    }
}
