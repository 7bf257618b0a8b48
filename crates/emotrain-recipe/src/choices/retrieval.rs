//! The closed choices of `[retrieval]`.

use std::fmt;

use serde::{Deserialize, Serialize};

choices! {
    /// What of a bank is closed to an utterance that the bank holds itself.
    Exclude {
        /// The utterance alone.
        Utterance = "utterance",
        /// Its whole dialogue.
        Dialogue = "dialogue",
    }
}

choices! {
    /// How a bank's vectors are searched.
    SearchIndex {
        /// All of them.
        Exact = "exact",
        /// Those that a graph of neighbours leads to.
        Hnsw = "hnsw",
    }
}

choices! {
    /// In which order a prompt shows demonstrations.
    DemonstrationOrder {
        /// The best one at the top.
        MostSimilarFirst = "most_similar_first",
        /// The best one at the bottom, nearest to the question.
        MostSimilarLast = "most_similar_last",
    }
}
