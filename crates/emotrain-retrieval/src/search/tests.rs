use bm25::{EmbedderBuilder, Scorer};
use proptest::prelude::*;

use super::dense::{Rows, Source, nearest};
use super::lexical::Lexical;
use super::*;
use crate::embed::length;
use crate::fixture::noise;
use crate::quantised::{QuantisedRows, quantise};
use crate::text::Words;

/// Vectors of length 1 with their quantised forms.
struct Sample {
    vectors: Vec<f32>,
    width: usize,
    codes: Vec<i8>,
    steps: Vec<f32>,
    errors: Vec<f32>,
}

impl Sample {
    /// Every `repeat`-th vector is the first one again, so that scores tie.
    fn new(count: usize, width: usize, seed: u64, repeat: usize) -> Self {
        let mut sample =
            Self { vectors: Vec::new(), width, codes: Vec::new(), steps: Vec::new(), errors: Vec::new() };
        for row in 0..count as u64 {
            let seed = if row % repeat as u64 == 0 { seed } else { seed + row * 7919 };
            let vector: Vec<f32> = noise(seed).take(width).collect();
            let length = length(&vector);
            let vector: Vec<f32> = vector.iter().map(|value| value / length).collect();
            let (codes, step, error) = quantise(&vector);
            sample.codes.extend(codes);
            sample.steps.push(step);
            sample.errors.push(error);
            sample.vectors.extend(vector);
        }
        sample
    }

    fn rows(&self) -> Rows<'_> {
        let quantised = QuantisedRows { codes: &self.codes, steps: &self.steps, errors: &self.errors };
        Rows { source: Source::Memory(&self.vectors), width: self.width, quantised }
    }

    /// All scores in double precision, best first.
    fn exact(&self, query: &[f32]) -> Vec<(f64, usize)> {
        let product = |row: &[f32]| {
            row.iter().zip(query).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum::<f64>()
        };
        let mut all: Vec<_> = self.vectors.chunks_exact(self.width).map(product).zip(0..).collect();
        all.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
        all
    }
}

const ALL: SearchQuery<'static> = SearchQuery { k: 3, min_score: f32::NEG_INFINITY, balance: None };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_best_are_found_and_scores_are_batch_invariant(
        count in 1_usize..700, width in 1_usize..70, seed in any::<u32>(), repeat in 1_usize..50,
        queries in 1_usize..120, k in 1_usize..9,
    ) {
        let sample = Sample::new(count, width, u64::from(seed), repeat);
        let asked = Sample::new(queries, width, u64::from(seed), 5);
        let wish = SearchQuery { k, ..ALL };
        let admits = |query: usize, row: usize| !(query + row).is_multiple_of(3);
        let together = nearest(sample.rows(), &asked.vectors, wish, admits);
        for (at, query) in asked.vectors.chunks_exact(width).enumerate().take(20) {
            let alone = nearest(sample.rows(), query, wish, |_, row| admits(at, row)).remove(0);
            prop_assert_eq!(&together[at], &alone);
            let mut exact = sample.exact(query);
            exact.retain(|(_, row)| admits(at, *row));
            prop_assert_eq!(alone.len(), k.min(exact.len()));
            for (hit, (score, _)) in alone.iter().zip(&exact) {
                prop_assert!((f64::from(hit.score) - score).abs() < 1e-6, "{} {}", hit.score, score);
            }
            for pair in alone.windows(2) {
                let in_order = pair[0].score > pair[1].score
                    || (pair[0].score.to_bits() == pair[1].score.to_bits() && pair[0].row < pair[1].row);
                prop_assert!(in_order, "{pair:?}");
            }
            // In a tie, an earlier row is never dropped for a later one.
            if let Some(last) = alone.last() {
                let earlier = (0..last.row).filter(|row| admits(at, *row) && sample.vectors[row * width..][..width] == sample.vectors[last.row * width..][..width]);
                for row in earlier {
                    prop_assert!(alone.iter().any(|hit| hit.row == row), "row {row} is as good");
                }
            }
        }
    }
}

#[test]
fn the_minimum_score_is_respected() {
    let sample = Sample::new(500, 32, 3, 500);
    let query = &sample.vectors[..32];
    let wish = SearchQuery { k: 500, min_score: 0.2, balance: None };
    let found = nearest(sample.rows(), query, wish, |_, _| true).remove(0);
    let expected = sample.exact(query).iter().filter(|(score, _)| *score >= 0.2).count();
    assert_eq!(found.len(), expected);
    assert!(found.iter().all(|hit| hit.score >= 0.2) && found[0].row == 0);
}

#[test]
fn emotions_alternate() {
    let emotions = [0, 0, 0, 1, 1, 2];
    let scores = [0.9, 0.8, 0.7, 0.5, 0.4, 0.1];
    let chosen = |k| {
        let mut best = Best::new(SearchQuery { k, balance: Some((&emotions, 3)), ..ALL });
        scores.iter().enumerate().for_each(|(row, score)| best.offer(row, *score, |_| true));
        best.into_hits().iter().map(|hit| hit.row).collect::<Vec<_>>()
    };
    assert_eq!(chosen(1), [0]);
    assert_eq!(chosen(2), [0, 3]);
    assert_eq!(chosen(3), [0, 3, 5]);
    assert_eq!(chosen(4), [0, 1, 3, 5]);
    assert_eq!(chosen(5), [0, 1, 3, 4, 5]);
    assert_eq!(chosen(9), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn vectors_of_the_greatest_width_do_not_overflow() {
    for width in [384, 4096, 20_000] {
        let value = 1.0 / (width as f32).sqrt();
        let vectors = vec![value; width * 3];
        let (codes, step, error) = quantise(&vectors[..width]);
        let quantised = QuantisedRows { codes: &codes.repeat(3), steps: &[step; 3], errors: &[error; 3] };
        let found = nearest(
            Rows { source: Source::Memory(&vectors), width, quantised },
            &vectors[..width],
            ALL,
            |_, _| true,
        );
        assert!(found[0].iter().all(|hit| (hit.score - 1.0).abs() < 1e-4), "{found:?}");
    }
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    let words = vec!["the", "ship", "Ship", "leaves", "at", "nine", "oh", "no", "why", "?", "—"];
    let text =
        proptest::collection::vec(proptest::sample::select(words), 0..9).prop_map(|words| words.join(" "));
    proptest::collection::vec(text, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lexical_scores_equal_those_of_the_crate(bank in texts(), query in "(the|ship|oh|no|no|nine| ){1,6}") {
        let bank: Vec<&str> = bank.iter().map(String::as_str).collect();
        let index = Lexical::new(&bank);
        let found = index.nearest(&[&query], SearchQuery { k: 100, ..ALL }, |_, _| true).remove(0);

        let embedder = EmbedderBuilder::<u64, Words>::with_tokenizer_and_fit_to_corpus(Words, &bank).build();
        let mut scorer = Scorer::<usize, u64>::new();
        bank.iter().enumerate().for_each(|(row, text)| scorer.upsert(&row, embedder.embed(text)));
        let expected = scorer.matches(&embedder.embed(&query));
        prop_assert_eq!(found.len(), expected.len());
        let best = expected.iter().map(|one| one.score).fold(0.0_f32, f32::max);
        for one in expected {
            let hit = found.iter().find(|hit| hit.row == one.id).unwrap();
            // Ours are divided by one number for the whole query.
            prop_assert!((hit.score / found[0].score - one.score / best).abs() < 1e-4);
            prop_assert!(hit.score > 0.0 && hit.score < 1.0);
        }
    }
}

#[test]
fn equal_texts_come_in_the_order_of_the_bank() {
    let index = Lexical::new(&["Why me?", "why, me", "why me too", "nothing", "?!"]);
    let rows = |query| {
        let found = index.nearest(&[query], SearchQuery { k: 9, ..ALL }, |_, _| true).remove(0);
        found.iter().map(|hit| hit.row).collect::<Vec<_>>()
    };
    assert_eq!(rows("WHY ME"), [0, 1, 2]);
    assert!(rows("unheard").is_empty());
    assert!(rows("").is_empty());
    assert!(rows("?!").is_empty());
}
