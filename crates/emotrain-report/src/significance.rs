//! Whether the recipes of a sweep differ from the first.

use emotrain_eval::{Comparison, RunComparison};

use crate::block::{Block, DataTable, Section};
use crate::text::{between, capital, count, percent};

/// The section.
pub(crate) fn section(comparison: &RunComparison) -> Section {
    let columns = [
        "Recipe",
        "#pairs of runs",
        "#difference",
        "95 % interval over dialogues",
        "#p",
        "#p, Holm",
        "#p over seeds",
        "#detectable",
    ];
    let baseline = comparison.groups.first().map_or("", |group| group.name.as_str());
    let score = capital(&comparison.score.to_string());
    let caption = format!("{score} less that of {baseline}, in percentage points");
    let mut table = DataTable::new(caption, &columns);
    for one in &comparison.comparisons {
        table.row(row(one));
    }
    let text = format!(
        "{} against {baseline}, the first recipe of the sweep file, over {} utterances in {} dialogues. Runs with the \
         same seed are paired. p is of an approximate randomisation test over dialogues, corrected for the number of \
         recipes by Holm's method in the next column; p over seeds is of a t test. Detectable is the smallest difference \
         that would have been shown with a probability of 0.8.",
        score,
        count(comparison.utterances),
        count(comparison.dialogues)
    );
    let blocks = vec![Block::text(text), Block::Table { table }];
    Section { id: "significance", title: "Significance".to_owned(), blocks }
}

fn row(one: &Comparison) -> [String; 8] {
    let none = || "–".to_owned();
    let seeds = one.seeds.as_ref().map_or_else(none, |tests| p_value(tests.t_test.p));
    let detectable = one.smallest_detectable.by_dialogues.map_or_else(none, percent);
    [
        one.group.clone(),
        count(one.pairs),
        format!("{:+.2}", 100.0 * one.difference),
        between(one.bootstrap.interval),
        p_value(one.randomisation.p),
        p_value(one.p_holm),
        seeds,
        detectable,
    ]
}

fn p_value(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".to_owned() } else { format!("{p:.4}") }
}
