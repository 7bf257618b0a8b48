//! Sequences that begin alike, packed so that what they have in common is computed once, forward and backward.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::visible::Visible;
use super::{Batch, Sequence};

impl Batch {
    /// Sequences that have fewer tokens in common stay apart.
    pub(crate) const SHORTEST_SHARED_PREFIX: usize = 32;

    /// Packs sequences for training as [`Batch::sequences`] does, but those that begin with the same tokens share the
    /// rows of these: a family of them is a tree, and one segment. A row sees its ancestors and the rows before it in its
    /// own branch, and counts its position along this path, so that each sequence gives what it gives alone. The targets
    /// go sequence by sequence as there; several may be of one row.
    ///
    /// Sequences with fewer than 32 tokens in common stay apart; if all do, it is the same batch.
    pub fn trees(sequences: &[Sequence]) -> Self {
        let fed: Vec<&[u32]> = sequences.iter().map(Sequence::fed).collect();
        let mut batch = Self::default();
        let mut rows: Vec<Vec<usize>> = fed.iter().map(|ids| Vec::with_capacity(ids.len())).collect();
        for family in families(&fed) {
            batch.push_tree(family, &fed, &mut rows);
        }
        for (sequence, rows) in sequences.iter().zip(&rows) {
            batch.push_targets(sequence, |position| rows[position]);
        }
        batch
    }

    /// How many rows fewer [`Batch::trees`] has than [`Batch::sequences`].
    pub fn shared_rows(sequences: &[Sequence]) -> usize {
        let fed: Vec<&[u32]> = sequences.iter().map(Sequence::fed).collect();
        let order = in_order(&fed);
        let pairs = order.windows(2).map(|pair| common(fed[pair[0]], fed[pair[1]]));
        pairs.filter(|&common| common >= Self::SHORTEST_SHARED_PREFIX).sum()
    }

    /// Appends a family as a segment, and for each of its sequences the rows of its tokens.
    fn push_tree(&mut self, family: Vec<usize>, fed: &[&[u32]], rows: &mut [Vec<usize>]) {
        let start = self.rows();
        let mut left = vec![Branch { members: family, depth: 0, path: Vec::new() }];
        while let Some(Branch { members, depth, mut path }) = left.pop() {
            let end = common(fed[members[0]], fed[members[members.len() - 1]]);
            let here = self.rows() - start;
            // Rows right behind their parent's continue its range.
            let own = match path.last() {
                Some(parent) if parent.end == here => path.pop().map_or(here, |parent| parent.start),
                _ => here,
            };
            let before: Arc<[Range<usize>]> = path.as_slice().into();
            let ids = &fed[members[0]][depth..end];
            self.push_rows(ids, depth, |row| Visible::after(&before, own..here + row + 1));
            for &member in &members {
                rows[member].extend(start + here..start + here + ids.len());
            }
            path.push(own..here + ids.len());
            path.retain(|range| !range.is_empty());
            let mut branches = branches(fed, &members, end);
            // The branch of most sequences comes first and so continues the range; of single ones, the longest.
            branches.sort_by_key(|branch| (Reverse(branch.len()), Reverse(fed[branch[0]].len())));
            let grown = |members| Branch { members, depth: end, path: path.clone() };
            left.extend(branches.into_iter().rev().map(grown));
        }
        self.segments.push(start..self.rows());
    }
}

/// Sequences whose first `depth` tokens have their rows.
struct Branch {
    /// At least one, in the order of their tokens.
    members: Vec<usize>,
    depth: usize,
    /// The rows of these tokens.
    path: Vec<Range<usize>>,
}

/// Sequences that are packed together, each in the order of its tokens; the families in the order of their first members.
fn families(fed: &[&[u32]]) -> Vec<Vec<usize>> {
    let order = in_order(fed);
    let alike = |one: &usize, next: &usize| common(fed[*one], fed[*next]) >= Batch::SHORTEST_SHARED_PREFIX;
    let mut families: Vec<Vec<usize>> = order.chunk_by(alike).map(<[usize]>::to_vec).collect();
    families.sort_by_key(|members| members.iter().min().copied());
    families
}

/// The numbers of sequences in the order of their tokens: those that begin alike are neighbours.
fn in_order(fed: &[&[u32]]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..fed.len()).collect();
    order.sort_by_key(|&number| fed[number]);
    order
}

/// How many tokens two sequences begin with.
fn common(one: &[u32], other: &[u32]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// The members that go on after `depth` tokens that they have in common, by the next one.
fn branches(fed: &[&[u32]], members: &[usize], depth: usize) -> Vec<Vec<usize>> {
    let mut branches = BTreeMap::<u32, Vec<usize>>::new();
    for &member in members {
        if let Some(&next) = fed[member].get(depth) {
            branches.entry(next).or_default().push(member);
        }
    }
    branches.into_values().collect()
}
