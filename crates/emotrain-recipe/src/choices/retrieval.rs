//! The closed choices of `[retrieval]`.

use std::fmt;

use serde::{Deserialize, Serialize};

choices! {
    /// What is excluded for an utterance that is itself in the bank.
    Exclude {
        /// Only the utterance.
        Utterance = "utterance",
        /// Its whole dialogue.
        Dialogue = "dialogue",
    }
}

choices! {
    /// How a bank's vectors are searched.
    SearchIndex {
        /// Exactly, over all vectors.
        Exact = "exact",
        /// Approximately, with an HNSW graph.
        Hnsw = "hnsw",
    }
}

choices! {
    /// The order of demonstrations in a prompt.
    DemonstrationOrder {
        /// The most similar first.
        MostSimilarFirst = "most_similar_first",
        /// The most similar last, nearest to the question.
        MostSimilarLast = "most_similar_last",
    }
}
