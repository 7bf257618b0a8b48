//! The closed choices of `[[knowledge]]`.

use std::fmt;

use serde::{Deserialize, Serialize};

choices! {
    /// The level of a knowledge source's texts.
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
        /// As its manifest says; offline without one.
        Auto = "auto",
        /// From the utterance and those before it.
        Online = "online",
        /// With later utterances.
        Offline = "offline",
    }
}

/// The values of `knowledge.query` besides the path of a file: none, or a built-in query.
pub const QUERIES: &[&str] = &["", "interpretation", "characteristic", "biography", "rationale"];
