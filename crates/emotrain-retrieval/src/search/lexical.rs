//! Lexical search: BM25 over an inverted index.
//!
//! The weight of a word in a text (k1 = 1.2, b = 0.75, the bank's mean length) comes from the `bm25` crate. Its own
//! search engine is not used: it keeps a hash set per word, scores in hash order and sorts all matches; here scores are
//! accumulated in one array, in word order, from contiguous lists.
//!
//! A score is divided by the maximum that any text could have for the query, so it is between 0 (no word in common) and
//! 1, and a minimum score means the same for every query.

use std::collections::HashMap;

use bm25::{Embedder, EmbedderBuilder, TokenEmbedder};
use rayon::prelude::*;

use super::{Best, Hit, SearchQuery};
use crate::text::Words;

const K1: f32 = 1.2;
const B: f32 = 0.75;

/// Words themselves are the coordinates of a text: no two share one.
#[derive(Debug)]
struct Word;

impl TokenEmbedder for Word {
    type EmbeddingSpace = String;

    fn embed(word: &str) -> String {
        word.to_owned()
    }
}

/// An inverted index of texts.
#[derive(Debug)]
pub(crate) struct Lexical {
    embedder: Embedder<Word, Words>,
    /// Each word's index in `ends`.
    words: HashMap<String, u32>,
    /// The end of each word's list in `rows`; it starts at the end of the previous one.
    ends: Vec<usize>,
    /// The texts with a word, in order, with the word's weight in each.
    rows: Vec<(u32, f32)>,
    count: usize,
}

/// A query's words in the order of their first use: list, weight, count.
struct Query<'a> {
    parts: Vec<(&'a [(u32, f32)], f32)>,
    /// The maximum possible score.
    most: f32,
}

impl Lexical {
    /// # Panics
    /// If there are 2³² texts or more, which a bank never has.
    pub(crate) fn new(texts: &[&str]) -> Self {
        let builder = EmbedderBuilder::<Word, Words>::with_tokenizer_and_fit_to_corpus(Words, texts);
        let embedder = builder.k1(K1).b(B).build();
        let weighed: Vec<_> = texts.par_iter().map(|text| embedder.embed(text)).collect();
        let mut words: HashMap<String, u32> = HashMap::new();
        let mut lists: Vec<Vec<(u32, f32)>> = Vec::new();
        for (row, weights) in weighed.into_iter().enumerate() {
            let row = u32::try_from(row).expect("a bank has fewer than 2^32 texts");
            for word in weights.0 {
                let new = u32::try_from(lists.len()).expect("no more words than fit into memory");
                let list = *words.entry(word.index).or_insert(new);
                if list == new {
                    lists.push(Vec::new());
                }
                let list = &mut lists[list as usize];
                // A word that occurs twice is listed twice, with the weight of both.
                if list.last().is_none_or(|(last, _)| *last != row) {
                    list.push((row, word.value));
                }
            }
        }
        let mut ends = Vec::with_capacity(lists.len());
        let mut rows = Vec::with_capacity(lists.iter().map(Vec::len).sum());
        for list in lists {
            rows.extend(list);
            ends.push(rows.len());
        }
        Self { embedder, words, ends, rows, count: texts.len() }
    }

    /// The best texts for each query, best first; in a tie the earlier one is first. Texts without a word in common are
    /// not returned. `admits(query, row)` says which texts may be returned.
    pub(crate) fn nearest(
        &self,
        queries: &[&str],
        wish: SearchQuery<'_>,
        admits: impl Fn(usize, usize) -> bool + Sync,
    ) -> Vec<Vec<Hit>> {
        let numbered = queries.par_iter().enumerate();
        let found = numbered.map_init(
            || vec![0.0; self.count],
            |scores, (at, query)| {
                let mut best = Best::new(wish);
                let query = self.query(query);
                query.score(scores);
                for (row, score) in scores.iter_mut().enumerate() {
                    if *score > 0.0 {
                        best.offer(row, *score / query.most, |row| admits(at, row));
                        *score = 0.0;
                    }
                }
                best.into_hits()
            },
        );
        found.collect()
    }

    fn query(&self, text: &str) -> Query<'_> {
        let mut query = Query { parts: Vec::new(), most: 0.0 };
        for word in self.embedder.embed(text).0 {
            let list = self.words.get(&word.index).map_or(&[][..], |word| self.list(*word));
            let held = list.len() as f32;
            // Never negative, however common the word: Lucene's variant.
            let rarity = (1.0 + (self.count as f32 - held + 0.5) / (held + 0.5)).ln();
            query.most += rarity * (K1 + 1.0);
            query.parts.push((list, rarity));
        }
        query
    }

    fn list(&self, word: u32) -> &[(u32, f32)] {
        let word = word as usize;
        let start = if word == 0 { 0 } else { self.ends[word - 1] };
        &self.rows[start..self.ends[word]]
    }
}

impl Query<'_> {
    /// Adds each text's score to `scores`; a repeated word of the query counts each time.
    fn score(&self, scores: &mut [f32]) {
        for (list, rarity) in &self.parts {
            for (row, weight) in *list {
                scores[*row as usize] += rarity * weight;
            }
        }
    }
}
