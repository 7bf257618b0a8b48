//! Finding the most similar demonstrations, deterministically.

pub(crate) mod dense;
pub(crate) mod graph;
pub(crate) mod lexical;

use serde::{Deserialize, Serialize};

/// A search result.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// Its row in the bank, counted from 0.
    pub row: usize,
    /// Its similarity; at most 1, up to rounding.
    pub score: f32,
}

/// The parameters of a search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SearchQuery<'a> {
    /// The maximum number of results.
    pub(crate) k: usize,
    /// The minimum similarity.
    pub(crate) min_score: f32,
    /// Each demonstration's emotion and the number of emotions, to alternate between them.
    pub(crate) balance: Option<(&'a [u16], usize)>,
}

/// The best candidates so far: by score, and in a tie the earlier rows.
#[derive(Clone, Debug)]
pub(crate) struct Best<'a> {
    wish: SearchQuery<'a>,
    /// One list, or one per emotion; best first.
    lists: Vec<Vec<Hit>>,
}

impl<'a> Best<'a> {
    pub(crate) fn new(wish: SearchQuery<'a>) -> Self {
        let lists = wish.balance.map_or(1, |(_, emotions)| emotions);
        Self { wish, lists: vec![Vec::new(); lists] }
    }

    fn place(&self, row: usize) -> usize {
        self.wish.balance.map_or(0, |(emotions, _)| usize::from(emotions[row]))
    }

    /// Adds a row if it is among the best; `admits` is called only then.
    #[inline]
    pub(crate) fn offer(&mut self, row: usize, score: f32, admits: impl FnOnce(usize) -> bool) {
        let (k, place) = (self.wish.k, self.place(row));
        let list = &mut self.lists[place];
        let before = |hit: &Hit| hit.score > score || (hit.score >= score && hit.row < row);
        let is_better = list.len() < k || list.last().is_some_and(|worst| !before(worst));
        if is_better && score >= self.wish.min_score && admits(row) {
            let place = list.partition_point(before);
            list.truncate(k.saturating_sub(1));
            list.insert(place, Hit { row, score });
        }
    }

    /// Whether a row with a score of at most `bound` might be added.
    #[inline]
    fn might_want(&self, row: usize, bound: f32) -> bool {
        self.wants(&self.lists[self.place(row)], bound)
    }

    /// Whether a row with a score of at most `bound` might be added to a list.
    fn wants(&self, list: &[Hit], bound: f32) -> bool {
        bound >= self.wish.min_score
            && bound > f32::NEG_INFINITY
            && (list.len() < self.wish.k || list.last().is_some_and(|worst| bound >= worst.score))
    }

    fn holds(&self, row: usize) -> bool {
        self.lists[self.place(row)].iter().any(|hit| hit.row == row)
    }

    /// The best ones, best first. With balance: the best of each emotion, then the second of each, and so on until
    /// there are k; the last round may leave out the emotions with the lowest scores.
    pub(crate) fn into_hits(self) -> Vec<Hit> {
        let rounds = self.lists.iter().map(Vec::len).max().unwrap_or(0);
        let mut hits = Vec::new();
        for round in 0..rounds {
            let mut turn: Vec<Hit> = self.lists.iter().filter_map(|list| list.get(round)).copied().collect();
            sort(&mut turn);
            turn.truncate(self.wish.k - hits.len());
            hits.extend(turn);
        }
        sort(&mut hits);
        hits
    }
}

/// By score, the highest first, then by row.
fn sort(hits: &mut [Hit]) {
    hits.sort_by(|one, other| other.score.total_cmp(&one.score).then(one.row.cmp(&other.row)));
}

#[cfg(test)]
mod tests;
