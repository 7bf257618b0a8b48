//! Comparisons for people, in percent.

use std::fmt;

use super::{Comparison, GroupSummary, Matching, RunComparison};
use crate::bootstrap::Interval;
use crate::table::Table;

const UNKNOWN: &str = "–";

impl fmt::Display for RunComparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { utterances, dialogues, score, comparisons, .. } = self;
        writeln!(f, "{utterances} utterances in {dialogues} dialogues, scores in percent\n")?;
        writeln!(f, "{}\n", groups(self))?;
        writeln!(f, "{}\n", over_dialogues(self))?;
        let with_seeds = comparisons.iter().any(|one| one.seeds.is_some());
        if with_seeds {
            writeln!(f, "{}\n", over_seeds(self))?;
        }
        let level = comparisons.first().map_or(0.0, |first| 100.0 * first.bootstrap.interval.level);
        writeln!(f, "intervals are of {level:.0} %; what is detectable is shown in 80 of 100 cases")?;
        writeln!(
            f,
            "over dialogues, whether other dialogues would agree, of the runs given: paired bootstrap, p of"
        )?;
        write!(f, "  an approximate randomisation of {score}; McNemar's test is of accuracy")?;
        if comparisons.len() > 1 {
            write!(f, ";\n  p Holm is p corrected for {} comparisons", comparisons.len())?;
        }
        if with_seeds {
            f.write_str("\nover seeds, whether other seeds would agree: t tests")?;
        }
        comparisons.iter().filter_map(unmatched).try_for_each(|note| write!(f, "\n{note}"))
    }
}

fn groups(comparison: &RunComparison) -> String {
    let score = comparison.score.to_string();
    let mut table = Table::new(["group", "runs", &score, "std", "t interval over seeds"]);
    for GroupSummary { name, summary, .. } in &comparison.groups {
        table.row([
            name.clone(),
            summary.seeds.to_string(),
            percent(summary.mean),
            summary.std.map_or(UNKNOWN.to_owned(), percent),
            summary.t_interval.map_or(UNKNOWN.to_owned(), |interval| {
                format!("{} to {}", percent(interval.low), percent(interval.high))
            }),
        ]);
    }
    table.render()
}

fn over_dialogues(comparison: &RunComparison) -> String {
    let baseline = comparison.groups.first().map_or("", |group| &group.name);
    let corrected = comparison.comparisons.len() > 1;
    let title = format!("over dialogues, against {baseline}");
    let mut header = vec![title.as_str(), "pairs", "difference", "interval", "p"];
    header.extend(corrected.then_some("p Holm"));
    header.extend(["p McNemar", "detectable"]);
    let mut table = Table::new(header);
    for one in &comparison.comparisons {
        let mut cells = vec![
            one.group.clone(),
            one.pairs.to_string(),
            signed(one.difference),
            signed_interval(one.bootstrap.interval),
            probability(one.randomisation.p),
        ];
        cells.extend(corrected.then(|| probability(one.p_holm)));
        cells.extend([probability(one.p_mcnemar), known(one.smallest_detectable.by_dialogues, percent)]);
        table.row(cells);
    }
    table.render()
}

fn over_seeds(comparison: &RunComparison) -> String {
    let baseline = comparison.groups.first().map_or("", |group| &group.name);
    let title = format!("over seeds, against {baseline}");
    let mut table = Table::new([title.as_str(), "difference", "t interval", "p", "p Wilcoxon", "detectable"]);
    for one in &comparison.comparisons {
        let t_test = one.seeds.map(|seeds| seeds.t_test);
        table.row([
            one.group.clone(),
            known(t_test.map(|test| test.statistic * test.standard_error), signed),
            t_test.map_or(UNKNOWN.to_owned(), |test| signed_interval(test.interval)),
            known(t_test.map(|test| test.p), probability),
            known(one.seeds.and_then(|seeds| seeds.signed_rank).map(|test| test.p), probability),
            known(one.smallest_detectable.by_seeds, percent),
        ]);
    }
    table.render()
}

fn known(value: Option<f64>, show: fn(f64) -> String) -> String {
    value.map_or(UNKNOWN.to_owned(), show)
}

/// What is said of pairs that have not the same seed.
fn unmatched(comparison: &Comparison) -> Option<String> {
    let Comparison { group, baseline, matching, pairs, .. } = comparison;
    (*matching == Matching::Order && *pairs > 1)
        .then(|| format!("{group} and {baseline} have no seed in common: their runs are paired in order"))
}

fn percent(fraction: f64) -> String {
    format!("{:.2}", 100.0 * fraction)
}

fn signed(fraction: f64) -> String {
    format!("{:+.2}", 100.0 * fraction)
}

fn signed_interval(interval: Interval) -> String {
    format!("{} to {}", signed(interval.low), signed(interval.high))
}

/// With four decimals, or in powers of ten below that.
fn probability(p: f64) -> String {
    if p < 5e-5 && p > 0.0 { format!("{p:.0e}") } else { format!("{p:.4}") }
}
