//! The order of a dialogue's rows in a table whose position is not named: a column that numbers them, found by its
//! values.

use emotrain_recipe::{ColumnRole, folded};

use super::Row;
use super::moment::Moment;
use crate::load::order::Order;
use crate::load::other_names::{means_position, others_of};

/// Words of names that hold times, which order utterances too.
const TIMES: [&str; 19] = [
    "ts",
    "datetime",
    "zeit",
    "uhrzeit",
    "zeitpunkt",
    "heure",
    "hora",
    "time",
    "timestamp",
    "start",
    "begin",
    "onset",
    "offset",
    "ms",
    "seconds",
    "date",
    "at",
    "sent",
    "created",
];

/// So many rows that count on are no chance.
const ROWS: usize = 3;

/// Looks for the column, dialogue by dialogue.
#[derive(Debug, Default)]
pub(super) struct OrderSearch(Vec<Candidate>);

/// A column of whole numbers or times so far.
#[derive(Debug)]
struct Candidate {
    name: String,
    /// Whether the numbers of each dialogue are the next ones of one another.
    counts_on: bool,
    /// Whether a number occurs twice in a dialogue.
    repeats: bool,
    /// Whether the rows of a dialogue have another order.
    is_other: bool,
    /// Rows of the longest dialogue.
    longest: usize,
}

impl OrderSearch {
    /// Looks among these columns.
    pub(super) fn new<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let roles = [ColumnRole::Dialogue, ColumnRole::Speaker, ColumnRole::Text, ColumnRole::Label];
        let is_free =
            |name: &&str| !roles.iter().any(|role| others_of(*role).contains(&folded(name).as_str()));
        Self(names.filter(is_free).map(Candidate::new).collect())
    }

    /// Looks at the rows of a dialogue, in the order of the file.
    pub(super) fn see(&mut self, rows: &[Row]) {
        self.0.retain_mut(|candidate| candidate.fits(rows));
    }

    /// The likeliest of the columns that still fit.
    pub(super) fn found(&self) -> Option<Order> {
        let ranked = self.0.iter().filter_map(|one| Some((one.rank()?, one)));
        let (rank, best) = ranked.min_by_key(|(rank, one)| (*rank, !one.counts_on, one.place()))?;
        Some(Order { column: best.name.clone(), is_sure: rank < 3, is_other: best.is_other && rank != 2 })
    }
}

impl Candidate {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), counts_on: true, repeats: false, is_other: false, longest: 0 }
    }

    /// Whether the name says that it is a time.
    fn is_time(&self) -> bool {
        folded(&self.name).split('_').any(|word| TIMES.contains(&word))
    }

    /// Whether the rows have whole numbers or times in it.
    fn fits(&mut self, rows: &[Row]) -> bool {
        let moments: Option<Vec<Moment>> = rows.iter().map(|row| row.number_in(&self.name)).collect();
        let Some(moments) = moments else { return false };
        let mut numbers: Vec<u64> = moments.iter().map(|moment| moment.millionths).collect();
        self.longest = self.longest.max(numbers.len());
        self.is_other |= !numbers.is_sorted();
        numbers.sort_unstable();
        // At one time several things may be said, but a time that all of a dialogue has is that of the whole.
        let is_time = moments.iter().all(|moment| moment.is_time);
        let mut pairs = numbers.windows(2).map(|pair| pair[0] == pair[1]);
        self.repeats |=
            if is_time { pairs.len() > 0 && pairs.all(|same| same) } else { pairs.any(|same| same) };
        self.counts_on &= numbers.windows(2).all(|pair| pair[1] - pair[0] == Moment::ONE);
        true
    }

    /// The less, the likelier; `None` where nothing speaks for it, or nothing depends on it.
    fn rank(&self) -> Option<u8> {
        let is_position = means_position(&self.name);
        match (is_position || self.is_time(), self.repeats) {
            (true, false) => Some(0),
            (false, false) if self.counts_on && self.longest >= ROWS => Some(1),
            // The repeated numbers are then told as faults; times may repeat, such as that of the whole dialogue.
            (true, true) if is_position => Some(2),
            (is_time, repeats) => (self.is_other && (is_time || !repeats)).then_some(3),
        }
    }

    /// Where its name stands among those that are known.
    fn place(&self) -> usize {
        let names = others_of(ColumnRole::Position);
        names.iter().position(|name| *name == folded(&self.name)).unwrap_or(names.len())
    }
}
