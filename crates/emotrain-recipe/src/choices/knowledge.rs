//! The closed choices of `[[knowledge]]`.

use std::fmt;

use serde::{Deserialize, Serialize};

choices! {
    /// What the texts of a knowledge source belong to.
    KnowledgeLevel {
        /// Each utterance has its own.
        Utterance = "utterance",
        /// Each speaker of a dialogue has one.
        Speaker = "speaker",
        /// Each dialogue has one.
        Dialogue = "dialogue",
    }
}

choices! {
    /// Whether a text could have been written when its utterance was said.
    Availability {
        /// The manifest beside the file says; without one, offline.
        Auto = "auto",
        /// From the utterance and what was said before it.
        Online = "online",
        /// With the help of what was said after it.
        Offline = "offline",
    }
}

/// What `knowledge.query` may say beside the path of a file: nothing, or a query that comes with the program.
pub const QUERIES: &[&str] = &["", "interpretation", "characteristic", "biography", "rationale"];
