//! The board: the recipes of a sweep by the scores of their seeds.

use std::cmp::Ordering;

use emotrain_data::SplitKind;
use emotrain_eval::{Bootstrap, EvalReport, HeadlineScore, SeedSummary};
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::json;

use crate::error::SweepError;
use crate::status::{RunStatus, SweepState, SweepStatus};
use crate::tables::{TableFormat, TextTable};

/// The recipes of a sweep, the best first; scores as fractions of 1. No run is left out: a recipe without a score comes
/// last, and runs that are not finished are listed.
#[derive(Clone, Debug, Serialize)]
pub struct Board {
    /// What is compared.
    pub score: HeadlineScore,
    /// Whose scores.
    pub split: String,
    /// A recipe each.
    pub groups: Vec<BoardGroup>,
    /// The runs that have no score, whatever the reason.
    pub without_score: Vec<BoardRun>,
}

/// A recipe and its seeds.
#[derive(Clone, Debug, Serialize)]
pub struct BoardGroup {
    /// What its seeds have in common.
    pub name: String,
    /// All its runs.
    pub runs: Vec<BoardRun>,
    /// The scores of those that have one; `None` without any.
    pub summary: Option<SeedSummary>,
}

/// A run on the board.
#[derive(Clone, Debug, Serialize)]
pub struct BoardRun {
    /// Its id.
    pub id: String,
    /// What its seeds have in common.
    pub name: String,
    /// Its seed.
    pub seed: u64,
    /// How far it is.
    pub state: SweepState,
    /// Its score.
    pub score: Option<f64>,
    /// Why it has none.
    pub message: Option<String>,
}

/// The level of intervals.
const LEVEL: f64 = 0.95;

impl Board {
    /// Groups the runs of a sweep by recipe. The bootstrap interval is over seeds.
    ///
    /// # Errors
    /// A score that is not finite.
    pub fn of(status: &SweepStatus, score: HeadlineScore, split: SplitKind) -> Result<Self, SweepError> {
        let mut groups: Vec<BoardGroup> = Vec::new();
        let mut without_score = Vec::new();
        for run in &status.runs {
            let run = BoardRun::of(run, score, split);
            if run.score.is_none() {
                without_score.push(run.clone());
            }
            match groups.iter_mut().find(|group| group.name == run.name) {
                Some(group) => group.runs.push(run),
                None => groups.push(BoardGroup { name: run.name.clone(), runs: vec![run], summary: None }),
            }
        }
        let bootstrap = Bootstrap { samples: 2000, level: LEVEL, seed: 0 };
        for group in &mut groups {
            let scores: Vec<f64> = group.runs.iter().filter_map(|run| run.score).collect();
            group.summary = (!scores.is_empty()).then(|| SeedSummary::of(&scores, bootstrap)).transpose()?;
        }
        groups.sort_by(|one, other| {
            let mean = |group: &BoardGroup| group.summary.map(|summary| summary.mean);
            match (mean(one), mean(other)) {
                (Some(one), Some(other)) => other.total_cmp(&one),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => Ordering::Equal,
            }
        });
        Ok(Self { score, split: split.as_str().to_owned(), groups, without_score })
    }

    /// The board in a form; `by_run` gives a row to each run instead of each recipe.
    ///
    /// # Errors
    /// None that can be foreseen: writing to memory.
    pub fn render(&self, format: TableFormat, by_run: bool) -> Result<String, SweepError> {
        if format == TableFormat::Json {
            return Ok(format!("{:#}", json!(self)));
        }
        let table = if by_run { self.runs() } else { self.recipes() };
        Ok(match format {
            TableFormat::Text | TableFormat::Json => self.text(&table, by_run),
            TableFormat::Csv => table.csv()?,
            TableFormat::Markdown => table.markdown(),
            TableFormat::Latex => table.latex(),
        })
    }

    fn recipes(&self) -> TextTable {
        let mean = format!("{} {}", self.split, self.score);
        let header =
            ["recipe", "seeds", mean.as_str(), "sd", "95 % interval", "least", "most", "without score"];
        let mut table = TextTable::new(header);
        for group in &self.groups {
            let scores = || group.runs.iter().filter_map(|run| run.score);
            let without = group.runs.len() - scores().count();
            let extreme = |pick: fn(f64, f64) -> f64| scores().reduce(pick).map_or(String::new(), percent);
            let cells = group.summary.map_or_else(Default::default, |summary| {
                let interval = |interval: emotrain_eval::Interval| {
                    format!("{} to {}", percent(interval.low), percent(interval.high))
                };
                let std = summary.std.map_or(String::new(), percent);
                [percent(summary.mean), std, summary.t_interval.map_or(String::new(), interval)]
            });
            let [mean, std, interval] = cells;
            let seeds = scores().count().to_string();
            let (least, most) = (extreme(f64::min), extreme(f64::max));
            table.row([group.name.clone(), seeds, mean, std, interval, least, most, without.to_string()]);
        }
        table
    }

    fn runs(&self) -> TextTable {
        let score = format!("{} {}", self.split, self.score);
        let mut table = TextTable::new(["recipe", "seed", "run", "state", score.as_str(), "message"]);
        for run in self.groups.iter().flat_map(|group| &group.runs) {
            let score = run.score.map_or(String::new(), percent);
            let message = run.first_line();
            let seed = run.seed.to_string();
            table.row([run.name.clone(), seed, run.id.clone(), run.state.to_string(), score, message]);
        }
        table
    }

    /// The table, and below it the runs that have no score.
    fn text(&self, table: &TextTable, by_run: bool) -> String {
        let mut text = table.plain();
        if !by_run && !self.without_score.is_empty() {
            let mut rest = TextTable::new(["without score", "seed", "state", "recipe", "message"]);
            for run in &self.without_score {
                let state = run.state.to_string();
                rest.row([run.id.clone(), run.seed.to_string(), state, run.name.clone(), run.first_line()]);
            }
            text = format!("{text}\n\n{}", rest.plain());
        }
        if !by_run && let Some(names) = self.alike() {
            text = format!("{text}\n\nthe same score with every seed: {names}");
        }
        text
    }

    /// Recipes whose scores are those of another one, seed by seed.
    fn alike(&self) -> Option<String> {
        let scores = |group: &BoardGroup| -> Option<Vec<(u64, u64)>> {
            let of = |run: &BoardRun| Some((run.seed, run.score?.to_bits()));
            let mut scores: Vec<_> = group.runs.iter().map(of).collect::<Option<_>>()?;
            scores.sort_unstable();
            Some(scores)
        };
        let mut sets: IndexMap<Vec<(u64, u64)>, Vec<&str>> = IndexMap::new();
        for group in &self.groups {
            if let Some(scores) = scores(group) {
                sets.entry(scores).or_default().push(&group.name);
            }
        }
        let several = sets.values().filter(|names| names.len() > 1);
        let lists: Vec<String> = several.map(|names| names.join(" and ")).collect();
        (!lists.is_empty()).then(|| lists.join("; "))
    }
}

impl BoardRun {
    fn of(run: &RunStatus, score: HeadlineScore, split: SplitKind) -> Self {
        let report = run.scores.iter().find(|(of, _)| *of == split).map(|(_, report)| report);
        let value = |report: &EvalReport| score.of(&report.scores);
        let unscored = || format!("{split} was not scored");
        let message = match run.state {
            SweepState::Finished => report.is_none().then(unscored),
            SweepState::Waiting
            | SweepState::Running
            | SweepState::Stopped
            | SweepState::Failed
            | SweepState::Lost
            | SweepState::Halted => run.message.clone(),
        };
        Self {
            id: run.id.clone(),
            name: run.name.clone(),
            seed: run.seed,
            state: run.state,
            score: report.map(value),
            message,
        }
    }

    fn first_line(&self) -> String {
        self.message.as_deref().and_then(|text| text.lines().next()).unwrap_or_default().to_owned()
    }
}

fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_with_the_same_score_with_every_seed_are_told() {
        let run = |name: &str, seed: u64, score: Option<f64>| BoardRun {
            id: format!("{name}-{seed}"),
            name: name.to_owned(),
            seed,
            state: SweepState::Finished,
            score,
            message: None,
        };
        let group = |name: &str, scores: [Option<f64>; 2]| BoardGroup {
            name: name.to_owned(),
            runs: vec![run(name, 2, scores[1]), run(name, 1, scores[0])],
            summary: None,
        };
        let told = |groups: Vec<BoardGroup>| {
            let (score, split) = (HeadlineScore::Accuracy, "test".to_owned());
            Board { score, split, groups, without_score: Vec::new() }.alike()
        };
        let one = group("none", [Some(0.5), Some(0.25)]);
        let same = group("wes", [Some(0.5), Some(0.25)]);
        assert_eq!(told(vec![one.clone(), same.clone()]).as_deref(), Some("none and wes"));
        let turned = group("es", [Some(0.25), Some(0.5)]);
        let unfinished = group("prc_emo", [Some(0.5), None]);
        assert_eq!(told(vec![one, turned, unfinished.clone(), unfinished]), None);
    }
}
