//! What a row sees of the rows of its segment.

use std::ops::Range;
use std::sync::Arc;

/// What one row sees, as offsets in its segment (or among the keys of a block): what lies before it on its path, and its
/// own range, which it ends itself. A row of a branch sees its ancestors and not its siblings; its position is the
/// number of rows that it sees, less one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visible {
    /// Ascending, none of them empty.
    before: Arc<[Range<usize>]>,
    own: Range<usize>,
}

impl Visible {
    /// A row of a plain causal sequence: all keys up to and with its own.
    pub(crate) fn causal(row: usize) -> Self {
        Self { before: Arc::default(), own: 0..row + 1 }
    }

    /// A row that sees these ranges and then its own; all ascend.
    pub(crate) fn after(before: &Arc<[Range<usize>]>, own: Range<usize>) -> Self {
        Self { before: Arc::clone(before), own }
    }

    /// All that is visible, ascending.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<usize>> + Clone + '_ {
        self.before.iter().cloned().chain(std::iter::once(self.own.clone()))
    }

    /// Of this the last `window` positions, the row's own included; a branch's positions continue those before it.
    pub(crate) fn within(&self, window: Option<usize>) -> Self {
        let seen: usize = self.ranges().map(|range| range.len()).sum();
        let mut hidden = window.map_or(0, |window| seen.saturating_sub(window));
        if hidden == 0 {
            return self.clone();
        }
        let mut rest = |range: Range<usize>| {
            let gone = hidden.min(range.len());
            hidden -= gone;
            range.start + gone..range.end
        };
        let before: Vec<Range<usize>> =
            self.before.iter().cloned().map(&mut rest).filter(|range| !range.is_empty()).collect();
        Self { before: before.into(), own: rest(self.own.clone()) }
    }

    /// The same of keys of which only `kept` are there, behind one another: ascending ranges that have all it sees.
    pub(crate) fn among(&self, kept: &[Range<usize>]) -> Self {
        let moved = |range: &Range<usize>| {
            let at = kept.partition_point(|kept| kept.end <= range.start);
            let before: usize = kept[..at].iter().map(Range::len).sum();
            let start = before + range.start - kept[at].start;
            start..start + range.len()
        };
        Self { before: self.before.iter().map(moved).collect(), own: moved(&self.own) }
    }
}

/// What is in some of the ranges, as few ascending ones.
pub(crate) fn union(ranges: impl IntoIterator<Item = Range<usize>>) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = ranges.into_iter().collect();
    all.sort_unstable_by_key(|range| (range.start, range.end));
    let mut union: Vec<Range<usize>> = Vec::new();
    for range in all {
        match union.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => union.push(range),
        }
    }
    union
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path of one stretch.
    fn prompt(rows: Range<usize>) -> Arc<[Range<usize>]> {
        std::iter::once(rows).collect()
    }

    fn sees(visible: &Visible) -> Vec<usize> {
        visible.ranges().flatten().collect()
    }

    #[test]
    fn a_window_hides_what_is_further_back() {
        assert_eq!(sees(&Visible::causal(6).within(Some(3))), [4, 5, 6]);
        assert_eq!(sees(&Visible::causal(1).within(Some(3))), [0, 1]);
        // A branch of three rows behind another, on a prompt of four: its positions are 4, 5 and 6.
        let branch = Visible::after(&prompt(0..4), 7..10);
        assert_eq!(sees(&branch.within(Some(5))), [2, 3, 7, 8, 9]);
        assert_eq!(sees(&branch.within(Some(2))), [8, 9]);
        assert_eq!(branch.within(None), branch);
        // And one on that branch.
        let twig = Visible::after(&[0..4, 7..10].into(), 20..21);
        assert_eq!(sees(&twig.within(Some(6))), [2, 3, 7, 8, 9, 20]);
        assert_eq!(sees(&twig.within(Some(3))), [8, 9, 20]);
        assert_eq!(sees(&twig.within(Some(1))), [20]);
    }

    #[test]
    fn what_is_seen_stays_the_same_among_fewer_keys() {
        let twigs = [Visible::after(&[0..4, 7..10].into(), 20..22), Visible::after(&prompt(0..4), 5..6)];
        let kept = union(twigs.iter().flat_map(Visible::ranges));
        assert_eq!(kept, [0..4, 5..6, 7..10, 20..22]);
        let among: Vec<Vec<usize>> = twigs.iter().map(|twig| sees(&twig.among(&kept))).collect();
        assert_eq!(among, [vec![0, 1, 2, 3, 5, 6, 7, 8, 9], vec![0, 1, 2, 3, 4]]);
    }
}
