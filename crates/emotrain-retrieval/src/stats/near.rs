//! Near-duplicate texts.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use rayon::prelude::*;

use crate::bank::Bank;
use crate::search::dense::each_pair;
use crate::text::normalised;
use crate::vectors::Vectors;

/// The minimum cosine of two vectors.
const COSINE: f32 = 0.95;
/// The minimum proportion of common words among all words of either text.
const IN_COMMON: f64 = 0.8;
/// The maximum number of vector products: twelve minutes of two cores, enough for every pair of 60,000 vectors. Of a
/// larger bank an evenly spread sample is compared with all.
const MOST_PRODUCTS: usize = 3_600_000_000;
/// Rows of the sample per task.
const BLOCK: usize = 48;
/// At most this many pairs are listed.
const NAMED: usize = 10;

/// Pairs of demonstrations whose normalised texts differ slightly.
///
/// In a bank with vectors: a cosine of at least 0.95, computed for every pair; in banks of more than 60,000
/// demonstrations for a sample of them against all. In a bank without: texts that have at least eight words in ten in
/// common, each word counted once. Only texts that share one of their rarest words can be that similar, and an index of
/// those finds the pairs without comparing all.
#[derive(Clone, Debug, PartialEq)]
pub struct NearDuplicates {
    /// How they were found.
    pub method: NearMethod,
    /// Demonstrations that were compared with all.
    pub compared: usize,
    /// The number of them with a near-duplicate.
    pub demonstrations: usize,
    /// The most similar pairs: rows of the bank and their similarity.
    pub closest: Vec<(usize, usize, f32)>,
}

/// How near-duplicates are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NearMethod {
    /// By their vectors.
    Cosine,
    /// By words in common.
    Words,
}

impl fmt::Display for NearDuplicates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.method {
            NearMethod::Cosine => format!("a cosine of {COSINE} or more"),
            NearMethod::Words => format!("{:.0} % of the words or more in common", 100.0 * IN_COMMON),
        };
        let Self { compared, demonstrations, closest, .. } = self;
        write!(f, "near-duplicates: {demonstrations} of {compared} have a neighbour with {how}")?;
        closest.first().map_or(Ok(()), |(one, other, score)| {
            write!(f, "; closest: lines {} and {} ({score:.3})", one + 1, other + 1)
        })
    }
}

pub(super) fn find(bank: &Bank, texts: &[String]) -> NearDuplicates {
    let (method, compared, mut pairs) = match bank.vectors() {
        Some(vectors) => by_vectors(bank, vectors),
        None => (NearMethod::Words, texts.len(), by_words(texts)),
    };
    let rows: BTreeSet<usize> = pairs.iter().flat_map(|(one, other, _)| [*one, *other]).collect();
    pairs.sort_by(|one, other| other.2.total_cmp(&one.2).then((one.0, one.1).cmp(&(other.0, other.1))));
    pairs.truncate(NAMED);
    NearDuplicates { method, compared, demonstrations: rows.len().min(compared), closest: pairs }
}

type Pairs = Vec<(usize, usize, f32)>;

fn by_vectors(bank: &Bank, vectors: &Vectors) -> (NearMethod, usize, Pairs) {
    let (count, texts) = (vectors.count(), &bank.entries().texts);
    // Pairs within the bank are symmetric, one half is enough.
    let step = (count * count / 2).div_ceil(MOST_PRODUCTS).max(1);
    let sample: Vec<usize> = (0..count).step_by(step).collect();
    let pairs = sample.par_chunks(BLOCK).flat_map_iter(|block| {
        let queries: Vec<f32> = block.iter().flat_map(|row| vectors.row(*row)).copied().collect();
        let first = if step == 1 { block[0] } else { 0 };
        let mut pairs = Vec::new();
        each_pair(&queries, vectors.all(), vectors.width(), first, &mut |query, row, score| {
            let asked = block[query];
            let is_new = if step == 1 { row > asked } else { row != asked };
            if score >= COSINE && is_new && texts[row] != texts[asked] {
                pairs.push((asked.min(row), asked.max(row), score));
            }
        });
        pairs
    });
    let mut pairs: Pairs = pairs.collect();
    pairs.sort_by_key(|(one, other, _)| (*one, *other));
    pairs.dedup_by_key(|(one, other, _)| (*one, *other));
    (NearMethod::Cosine, sample.len(), pairs)
}

fn by_words(texts: &[String]) -> Pairs {
    let texts: Vec<String> = texts.iter().map(|text| normalised(text)).collect();
    let mut frequency: HashMap<&str, usize> = HashMap::new();
    for word in texts.iter().flat_map(|text| text.split(' ')) {
        *frequency.entry(word).or_default() += 1;
    }
    // Words by number, the rarest first.
    let mut order: Vec<&str> = frequency.keys().copied().collect();
    order.sort_unstable_by_key(|word| (frequency[word], *word));
    let numbers: HashMap<&str, usize> = order.iter().zip(0..).map(|(word, number)| (*word, number)).collect();
    let mut index: Vec<Vec<usize>> = vec![Vec::new(); order.len()];
    let mut sets: Vec<Vec<usize>> = Vec::with_capacity(texts.len());
    let mut seen: HashSet<&str> = HashSet::new();
    let mut last_compared = vec![usize::MAX; texts.len()];
    let mut pairs = Vec::new();
    for (row, text) in texts.iter().enumerate() {
        let mut set: Vec<usize> = text.split(' ').map(|word| numbers[word]).collect();
        set.sort_unstable();
        set.dedup();
        // Of duplicate texts, one represents all.
        if seen.insert(text) {
            let rare = &set[..=set.len() - needed(set.len())];
            for other in rare.iter().flat_map(|word| &index[*word]) {
                if std::mem::replace(&mut last_compared[*other], row) == row {
                    continue;
                }
                let alike = in_common(&set, &sets[*other]);
                if alike >= IN_COMMON {
                    #[expect(clippy::cast_possible_truncation, reason = "a share")]
                    pairs.push((*other, row, alike as f32));
                }
            }
            for word in rare {
                index[*word].push(row);
            }
        }
        sets.push(set);
    }
    pairs
}

/// The minimum number of words that a similar set must share with a set of this size.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a number of words")]
fn needed(size: usize) -> usize {
    ((size as f64 * IN_COMMON).ceil() as usize).max(1)
}

/// Words in both sets, as a proportion of those in either. Sets are sorted.
fn in_common(one: &[usize], other: &[usize]) -> f64 {
    let (mut first, mut second, mut both) = (0, 0, 0_u32);
    while first < one.len() && second < other.len() {
        match one[first].cmp(&other[second]) {
            Ordering::Less => first += 1,
            Ordering::Greater => second += 1,
            Ordering::Equal => (first, second, both) = (first + 1, second + 1, both + 1),
        }
    }
    f64::from(both) / ((one.len() + other.len()) as f64 - f64::from(both))
}
