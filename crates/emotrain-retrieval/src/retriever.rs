//! Retrieving demonstrations for utterances.

mod one_by_one;

use std::fmt;

use emotrain_data::{Demonstration, Dialogue, LabelSet, ShownDemonstration, Split, UtteranceId};
use emotrain_recipe::{RetrievalSection, SearchIndex};
use serde::{Deserialize, Serialize};

use crate::bank::Bank;
use crate::embed::{Embedder, embed_checked, encoder_digest, same_encoder};
use crate::error::{BankProblem, RetrievalError};
use crate::guard::{Asked, Closed, Guard};
use crate::index;
use crate::manifest::{HnswParameters, INDEX, IndexRecord};
use crate::search::dense::{Rows, nearest};
use crate::search::graph::Graph;
use crate::search::lexical::Lexical;
use crate::search::{Hit, SearchQuery};
use crate::text::TextKey;

pub use self::one_by_one::DialogueSearch;

/// Texts per call of the encoder.
const AT_ONCE: usize = 512;

/// Retrieves demonstrations from a bank, by the vectors of an encoder or by lexical search.
pub struct Retriever<'a> {
    bank: &'a Bank,
    section: &'a RetrievalSection,
    engine: Engine<'a>,
}

enum Engine<'a> {
    /// Exact cosine similarity over the bank's vectors.
    Dense(&'a dyn Embedder),
    /// Approximate search with an HNSW graph.
    Graph(&'a dyn Embedder, Box<Graph>),
    /// BM25 over the bank's texts.
    Lexical(Box<Lexical>),
}

/// The search method. Displayed as it is reported to users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// Exact cosine similarity over vectors of the encoder with this identity.
    Dense(String),
    /// Approximate cosine similarity with an HNSW graph.
    Hnsw {
        /// The encoder's identity.
        encoder: String,
        /// Neighbours per node.
        m: usize,
        /// Candidates examined for a new node.
        ef_construction: usize,
        /// Candidates examined per query.
        ef_search: usize,
        /// The digest of the graph.
        sha256: String,
    },
    /// BM25.
    Lexical,
}

impl EngineName {
    /// What determines the results, wherever an encoder was found: "lexical", or its digest, and the digest of a graph.
    pub fn decisive(&self) -> String {
        match self {
            Self::Dense(encoder) => encoder_digest(encoder).to_owned(),
            Self::Hnsw { encoder, ef_search, sha256, .. } => {
                format!("{} by the graph {sha256}, ef_search {ef_search}", encoder_digest(encoder))
            }
            Self::Lexical => RetrievalSection::LEXICAL.to_owned(),
        }
    }
}

impl fmt::Display for EngineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dense(encoder) => write!(f, "exact cosine over vectors of {encoder}"),
            Self::Hnsw { encoder, m, ef_construction, ef_search, .. } => write!(
                f,
                "approximate cosine (HNSW, m {m}, ef_construction {ef_construction}, ef_search {ef_search}) \
                 over vectors of {encoder}"
            ),
            Self::Lexical => f.write_str("lexical search (BM25)"),
        }
    }
}

/// The demonstrations of a split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retrieved {
    /// The search method.
    pub engine: EngineName,
    /// Each utterance with its demonstrations, the most similar first, in the split's order.
    pub hits: Vec<(UtteranceId, Vec<Hit>)>,
    /// Utterances for which a demonstration was excluded because of its equal text.
    pub same_text: usize,
    /// Utterances with fewer demonstrations than requested.
    pub short: usize,
}

impl fmt::Display for Retrieved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: usize = self.hits.iter().map(|(_, hits)| hits.len()).sum();
        let Self { engine, hits, same_text, short } = self;
        write!(f, "{shown} demonstrations for {} utterances by {engine}", hits.len())?;
        if *same_text > 0 {
            write!(f, "; for {same_text}, demonstrations with the same text were excluded")?;
        }
        if *short > 0 {
            write!(f, "; {short} got fewer than requested")?;
        }
        Ok(())
    }
}

impl<'a> Retriever<'a> {
    /// Selects the search method. `embedder` is the available sentence encoder, if any: with `retrieval.encoder =
    /// "auto"` it is used if it computed the bank's vectors.
    ///
    /// # Errors
    /// For a named encoder: it is unavailable, or the bank has no vectors or another encoder's. For an index: the bank
    /// has none, it is damaged, or the search is lexical.
    pub fn new(
        bank: &'a Bank,
        section: &'a RetrievalSection,
        embedder: Option<&'a dyn Embedder>,
    ) -> Result<Self, RetrievalError> {
        let wanted = section.encoder.as_str();
        let dense = match (wanted, embedder) {
            (RetrievalSection::LEXICAL, _) => None,
            (RetrievalSection::AUTO, embedder) => {
                embedder.filter(|embedder| require_encoder(bank, *embedder).is_ok())
            }
            (name, None) => {
                let problem = BankProblem::NoEncoder(name.to_owned());
                return Err(RetrievalError::bank(bank.folder(), problem));
            }
            (_, Some(embedder)) => {
                require_encoder(bank, embedder)?;
                Some(embedder)
            }
        };
        let engine = match (dense, section.index) {
            (Some(embedder), SearchIndex::Exact) => Engine::Dense(embedder),
            (Some(embedder), SearchIndex::Hnsw) => {
                Engine::Graph(embedder, Box::new(index::open(bank, section.ef_search)?))
            }
            (None, SearchIndex::Exact) => Engine::Lexical(Box::new(lexical(bank)?)),
            (None, SearchIndex::Hnsw) => {
                return Err(RetrievalError::bank(bank.folder(), BankProblem::IndexOfWords));
            }
        };
        Ok(Self { bank, section, engine })
    }

    /// The selected search method, to be reported to the user.
    pub fn engine(&self) -> EngineName {
        match &self.engine {
            Engine::Dense(embedder) => EngineName::Dense(embedder.identity()),
            Engine::Graph(embedder, _) => {
                let record = self.bank.manifest().index.as_ref();
                let HnswParameters { m, ef_construction } =
                    record.map_or_else(HnswParameters::default, IndexRecord::parameters);
                let sha256 = record.map_or_else(String::new, |record| record.sha256.clone());
                let (encoder, ef_search) = (embedder.identity(), self.section.ef_search);
                EngineName::Hnsw { encoder, m, ef_construction, ef_search, sha256 }
            }
            Engine::Lexical(_) => EngineName::Lexical,
        }
    }

    /// Demonstrations for every utterance of a split, according to the section; none is of the dialogues `held_out`.
    ///
    /// # Errors
    /// An error of the encoder.
    pub fn for_split(
        &self,
        split: &Split,
        asked: &Asked,
        held_out: &[Dialogue],
    ) -> Result<Retrieved, RetrievalError> {
        let mut guard = Guard::new(self.bank, self.section, asked);
        guard.close(held_out);
        let closed = guard.split(split);
        let turns = split.dialogues.iter().flat_map(|dialogue| &dialogue.utterances);
        let texts: Vec<&str> = turns.map(|turn| turn.text.as_str()).collect();
        let found = self.search_guarded(&texts, &guard, &closed)?;
        let same_text = closed.iter().filter(|closed| guard.passes_over_same_text(closed)).count();
        let short = found.iter().filter(|hits| hits.len() < self.section.k).count();
        let hits = split.utterance_ids().zip(found).collect();
        Ok(Retrieved { engine: self.engine(), hits, same_text, short })
    }

    /// Demonstrations for texts without a dialogue. Their origin is unknown: held-out demonstrations are returned only
    /// from a bank that was built by force.
    ///
    /// # Errors
    /// An error of the encoder.
    pub fn for_texts(&self, texts: &[&str]) -> Result<Vec<Vec<Hit>>, RetrievalError> {
        let asked = Asked { dataset: None, split: emotrain_data::SplitKind::Train, sha256: None };
        let guard = Guard::new(self.bank, self.section, &asked);
        let closed: Vec<Closed> = texts.iter().map(|text| guard.free(text)).collect();
        self.search_guarded(texts, &guard, &closed)
    }

    fn search_guarded(
        &self,
        texts: &[&str],
        guard: &Guard<'_>,
        closed: &[Closed],
    ) -> Result<Vec<Vec<Hit>>, RetrievalError> {
        let entries = self.bank.entries();
        let balance = (entries.emotions.as_slice(), self.bank.emotions().len());
        #[expect(clippy::cast_possible_truncation, reason = "a bound between -1 and 1")]
        let wish = SearchQuery {
            k: self.section.k,
            min_score: least(self.section.min_score as f32),
            balance: self.section.label_balance.then_some(balance),
        };
        let admits = |query: usize, row| guard.admits(&closed[query], row);
        match &self.engine {
            Engine::Lexical(index) => Ok(index.nearest(texts, wish, admits)),
            Engine::Dense(embedder) => {
                let Some(vectors) = self.bank.vectors() else {
                    return Err(RetrievalError::bank(self.bank.folder(), BankProblem::NoVectors));
                };
                let queries = self.encode(*embedder, texts)?;
                Ok(nearest(Rows::of(vectors), &queries, wish, admits))
            }
            Engine::Graph(embedder, graph) => {
                let queries = self.encode(*embedder, texts)?;
                graph.nearest(&queries, wish, admits).map_err(|fault| {
                    RetrievalError::bank(&self.bank.folder().join(INDEX), BankProblem::BadIndex(fault))
                })
            }
        }
    }

    /// The texts' vectors. Texts with a vector in the bank are not encoded again, and no text is encoded twice.
    fn encode(&self, embedder: &dyn Embedder, texts: &[&str]) -> Result<Vec<f32>, RetrievalError> {
        let width = embedder.dimensions();
        let mut vectors = vec![0.0; texts.len() * width];
        let mut missing: indexmap::IndexMap<&str, Vec<usize>> = indexmap::IndexMap::new();
        for (at, text) in texts.iter().enumerate() {
            let known = self.bank.with_exact_text(TextKey::exact(text));
            match known.and_then(|row| self.bank.vector(row as usize)) {
                Some(vector) => vectors[at * width..(at + 1) * width].copy_from_slice(vector),
                None => missing.entry(text).or_default().push(at),
            }
        }
        // Texts of similar length together: an encoder pads a batch to its longest.
        missing.sort_by(|one, _, other, _| one.len().cmp(&other.len()).then(one.cmp(other)));
        let wanted: Vec<&str> = missing.keys().copied().collect();
        for (chunk, texts) in wanted.chunks(AT_ONCE).enumerate() {
            let made = embed_checked(embedder, texts)?;
            for (offset, vector) in made.chunks_exact(width).enumerate() {
                for at in &missing[chunk * AT_ONCE + offset] {
                    vectors[at * width..(at + 1) * width].copy_from_slice(vector);
                }
            }
        }
        Ok(vectors)
    }

    /// Results as a prompt shows them, in the same order.
    ///
    /// # Errors
    /// The errors of [`Bank::demonstration`].
    pub fn shown(&self, hits: &[Hit], labels: &LabelSet) -> Result<Vec<ShownDemonstration>, RetrievalError> {
        let shown = hits.iter().map(|hit| {
            let found = self.bank.demonstration(hit.row)?;
            Ok(ShownDemonstration {
                label: found.shown_label(labels).to_owned(),
                source: self.section.show_source.then(|| found.dataset.clone()),
                score: self.section.show_score.then_some(hit.score),
                text: found.text,
            })
        });
        shown.collect()
    }

    /// Results with their demonstrations, for display.
    ///
    /// # Errors
    /// The errors of [`Bank::demonstration`].
    pub fn neighbours(&self, hits: &[Hit]) -> Result<Vec<(Demonstration, f32)>, RetrievalError> {
        hits.iter().map(|hit| Ok((self.bank.demonstration(hit.row)?, hit.score))).collect()
    }
}

/// A minimum of -1 means none: rounding may give a cosine below it.
fn least(bound: f32) -> f32 {
    if bound <= -1.0 { f32::NEG_INFINITY } else { bound }
}

fn lexical(bank: &Bank) -> Result<Lexical, RetrievalError> {
    let texts: Vec<String> = bank.iter().map(|one| one.map(|one| one.text)).collect::<Result<_, _>>()?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    Ok(Lexical::new(&texts))
}

/// Refuses an encoder that did not compute the bank's vectors.
///
/// # Errors
/// [`BankProblem::NoVectors`] and [`BankProblem::OtherEncoder`].
pub(crate) fn require_encoder(bank: &Bank, embedder: &dyn Embedder) -> Result<(), RetrievalError> {
    let fail = |problem| RetrievalError::bank(bank.folder(), problem);
    let Some(record) = &bank.manifest().vectors else { return Err(fail(BankProblem::NoVectors)) };
    let (asked, asked_width) = (embedder.identity(), embedder.dimensions());
    if same_encoder(&record.encoder, &asked) && record.dimensions == asked_width {
        return Ok(());
    }
    let (bank, bank_width) = (record.encoder.clone(), record.dimensions);
    Err(fail(BankProblem::OtherEncoder { bank, bank_width, asked, asked_width }))
}

#[cfg(test)]
mod tests;
