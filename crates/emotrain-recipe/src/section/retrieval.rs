//! `[retrieval]`: the demonstrations in the prompt.

use std::ops::Bound::Included;
use std::path::PathBuf;

use crate::blank;
use crate::key::Kind;
use crate::problem::{Fault, Violations};

section! {
    /// `[retrieval]`: the demonstrations in the prompt.
    RetrievalSection = "retrieval" {
        /// Folder of the demonstration bank; `None` = no demonstrations.
        #[serde(with = "blank::path")]
        bank: Option<PathBuf> = Kind::InputPath;
        /// The bank's name for this run's data set; `None` = the name of the label set, unless it is a custom one.
        #[serde(with = "blank::text")]
        dataset_name: Option<String> = Kind::Text;
        /// [`RetrievalSection::AUTO`], [`RetrievalSection::LEXICAL`], a Hub id or a path.
        encoder: String = Kind::Model;
        /// How vectors are searched.
        index: SearchIndex = Kind::Choice(SearchIndex::NAMES);
        /// Candidates that the index examines per query, at least 1.
        ef_search: usize = Kind::one_to(1_000_000);
        /// The maximum number of demonstrations per utterance, at least 1.
        k: usize = Kind::one_to(1000);
        /// The minimum similarity of demonstrations, in [-1, 1].
        min_score: f64 = Kind::Number(Included(-1.0), Included(1.0));
        /// What is excluded for an utterance that is itself in the bank.
        exclude: Exclude = Kind::Choice(Exclude::NAMES);
        /// Skip demonstrations with the utterance's own text.
        exclude_same_text: bool = Kind::Switch;
        /// Alternate between the emotions.
        label_balance: bool = Kind::Switch;
        /// Order in the prompt.
        order: DemonstrationOrder = Kind::Choice(DemonstrationOrder::NAMES);
        /// Show how similar each one is.
        show_score: bool = Kind::Switch;
        /// Show the data set each one comes from.
        show_source: bool = Kind::Switch;
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
    /// What is excluded for an utterance that is itself in the bank.
    Exclude {
        /// Only the utterance.
        Utterance = "utterance",
        /// Its whole dialogue.
        Dialogue = "dialogue",
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

impl RetrievalSection {
    /// The name for the bank's own encoder if it is available, and lexical search otherwise.
    pub const AUTO: &'static str = "auto";
    /// The name for lexical search.
    pub const LEXICAL: &'static str = "lexical";

    /// A search has a name, and its index suits it.
    pub(crate) fn check_search(&self, violated: &mut Violations) {
        if self.encoder.is_empty() {
            let fault = Fault::new("retrieval.encoder is blank");
            let hint = format!("write encoder = {:?}", Self::AUTO);
            violated.add(&["retrieval.encoder"], fault.hint(hint));
        }
        if self.encoder == Self::LEXICAL && self.index != SearchIndex::Exact {
            let fault =
                Fault::new(format!("index = \"{}\" needs vectors; lexical search has none", self.index));
            let hint = "write index = \"exact\", or the encoder of the bank's vectors";
            violated.add(&["retrieval.index", "retrieval.encoder"], fault.hint(hint));
        }
    }
}
