//! Recipes compared with a baseline by the runs of each.

mod table;

use std::collections::BTreeMap;

use emotrain_base::random::Key;
use serde::{Deserialize, Serialize};

use crate::bootstrap::Bootstrap;
use crate::error::EvalError;
use crate::resampling::{DialogueBootstrap, Randomisation, RunPair, difference};
use crate::statistics::{
    McNemar, SeedSummary, SignedRank, TTest, combined, detectable_by_t_test, detectable_by_z_test, holm,
};
use crate::tally::HeadlineScore;
use crate::test_set::RunAnswers;

/// The runs of one recipe.
#[derive(Clone, Debug)]
pub struct RunGroup {
    /// Its name in tables.
    pub name: String,
    /// Its runs, no two with the same seed.
    pub runs: Vec<GroupRun>,
}

/// A run of a group.
#[derive(Clone, Debug)]
pub struct GroupRun {
    /// The seed of its training.
    pub seed: u64,
    /// Its answers to the test set.
    pub answers: RunAnswers,
}

/// How to compare.
#[derive(Clone, Copy, Debug)]
pub struct ComparisonTerms {
    /// What is compared.
    pub score: HeadlineScore,
    /// Resampled sets of dialogues and exchanges of answers; ten thousand take seconds. The level of all intervals, and
    /// of what is detectable.
    pub bootstrap: Bootstrap,
}

/// Groups of runs and how they differ from the first, scores as fractions of 1. Displayed as tables in percent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunComparison {
    /// What is compared.
    pub score: HeadlineScore,
    /// Utterances with a true label.
    pub utterances: usize,
    /// The dialogues they are in.
    pub dialogues: usize,
    /// The groups, the baseline first.
    pub groups: Vec<GroupSummary>,
    /// Every other group against the baseline.
    pub comparisons: Vec<Comparison>,
}

/// A group and the scores of its runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSummary {
    /// The group's name.
    pub name: String,
    /// The seeds of its runs.
    pub seeds: Vec<u64>,
    /// Their scores.
    pub scores: Vec<f64>,
    /// The scores, summarised.
    pub summary: SeedSummary,
}

/// A group of runs against the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// The baseline's name.
    pub baseline: String,
    /// The group's name.
    pub group: String,
    /// Which runs are paired.
    pub matching: Matching,
    /// How many pairs of runs; runs without a partner only count in [`Comparison::seeds`] and the group's own summary.
    pub pairs: usize,
    /// The group's score less the baseline's, the mean over the pairs.
    pub difference: f64,
    /// Over the choice of dialogues, the runs given.
    pub bootstrap: DialogueBootstrap,
    /// Over exchanged answers, the runs given.
    pub randomisation: Randomisation,
    /// The p-value of the randomisation, corrected for the number of comparisons by Holm's method.
    pub p_holm: f64,
    /// McNemar's test of each pair.
    pub mcnemar: Vec<McNemar>,
    /// Their exact p-values in one, valid whatever the pairs have in common: n/k times the k-th smallest of n, the
    /// median.
    pub p_mcnemar: f64,
    /// Over the choice of seeds; `None` with fewer than two in a group, or without any variation.
    pub seeds: Option<SeedTests>,
    /// The smallest differences that could have been shown.
    pub smallest_detectable: SmallestDetectable,
}

/// How the runs of two groups are paired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matching {
    /// Runs with the same seed.
    Seed,
    /// In the order of the groups: no seed occurs in both.
    Order,
}

/// Tests that take the seeds for the sample: would other seeds differ, too?
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedTests {
    /// Student's paired test of runs matched by seed; with fewer than two such pairs, Welch's test of all runs of both
    /// groups.
    pub t_test: TTest,
    /// Wilcoxon's signed-rank test, where the t test is Student's.
    pub signed_rank: Option<SignedRank>,
}

/// The smallest true difference that a test at this level shows with a probability of 0.8, as a fraction of 1. It follows
/// from the spread at hand, whatever the difference at hand.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmallestDetectable {
    /// By the paired bootstrap over dialogues: 2.80 standard errors at 95 % (Card and others 2020, With little power comes
    /// great responsibility). `None` if all answers are the same.
    pub by_dialogues: Option<f64>,
    /// By the t test over seeds, with the noncentral t distribution; `None` where that test is.
    pub by_seeds: Option<f64>,
}

impl RunComparison {
    /// Compares groups of runs on one test set with the first of them. All answers must be of that test set.
    ///
    /// # Errors
    /// Fewer than two groups, a group without runs, no samples, or a level outside 0 to 1.
    pub fn of(groups: &[RunGroup], terms: ComparisonTerms) -> Result<Self, EvalError> {
        let ComparisonTerms { score, bootstrap } = terms;
        bootstrap.check()?;
        let [baseline, others @ ..] = groups else { return Err(EvalError::NothingToCompare) };
        let first = baseline.runs.first().ok_or(EvalError::NothingToCompare)?;
        if others.is_empty() || others.iter().any(|group| group.runs.is_empty()) {
            return Err(EvalError::NothingToCompare);
        }
        let summaries =
            groups.iter().map(|group| GroupSummary::of(group, terms)).collect::<Result<_, _>>()?;
        let mut comparisons: Vec<Comparison> =
            others.iter().map(|other| Comparison::of(baseline, other, terms)).collect();
        let p: Vec<f64> = comparisons.iter().map(|comparison| comparison.randomisation.p).collect();
        for (comparison, corrected) in comparisons.iter_mut().zip(holm(&p)) {
            comparison.p_holm = corrected;
        }
        let (utterances, dialogues) = (first.answers.right.len(), first.answers.dialogues.len());
        Ok(Self { score, utterances, dialogues, groups: summaries, comparisons })
    }
}

impl GroupSummary {
    fn of(group: &RunGroup, terms: ComparisonTerms) -> Result<Self, EvalError> {
        let scores = group.scores(terms.score);
        let summary = SeedSummary::of(&scores, terms.bootstrap.named("seeds"))?;
        let seeds = group.runs.iter().map(|run| run.seed).collect();
        Ok(Self { name: group.name.clone(), seeds, scores, summary })
    }
}

impl Comparison {
    fn of(baseline: &RunGroup, group: &RunGroup, terms: ComparisonTerms) -> Self {
        let ComparisonTerms { score, bootstrap } = terms;
        let level = bootstrap.level;
        let (pairs, matching) = paired(baseline, group);
        let resampled = DialogueBootstrap::of(&pairs, score, bootstrap.named("dialogues"));
        let randomisation = Randomisation::of(&pairs, score, bootstrap.named("exchanges"));
        let mcnemar: Vec<McNemar> =
            pairs.iter().map(|pair| McNemar::of(&pair.baseline.right, &pair.other.right)).collect();
        let seeds = if matching == Matching::Seed && pairs.len() > 1 {
            SeedTests::paired(&pairs, score, level)
        } else {
            let t_test = TTest::welch(&baseline.scores(score), &group.scores(score), level);
            t_test.map(|t_test| SeedTests { t_test, signed_rank: None })
        };
        let by_seeds = seeds.map(|SeedTests { t_test, .. }| {
            detectable_by_t_test(t_test.degrees_of_freedom, level) * t_test.standard_error
        });
        let error = resampled.standard_error;
        let by_dialogues = (error > 0.0).then(|| detectable_by_z_test(level) * error);
        Self {
            baseline: baseline.name.clone(),
            group: group.name.clone(),
            matching,
            pairs: pairs.len(),
            difference: difference(&pairs, score),
            bootstrap: resampled,
            randomisation,
            p_holm: randomisation.p,
            p_mcnemar: combined(mcnemar.iter().map(|test| test.exact_p)).unwrap_or(1.0),
            mcnemar,
            seeds,
            smallest_detectable: SmallestDetectable { by_dialogues, by_seeds },
        }
    }
}

impl SeedTests {
    fn paired(pairs: &[RunPair], score: HeadlineScore, level: f64) -> Option<Self> {
        let baseline: Vec<f64> = pairs.iter().map(|pair| pair.baseline.score(score)).collect();
        let other: Vec<f64> = pairs.iter().map(|pair| pair.other.score(score)).collect();
        let t_test = TTest::paired(&baseline, &other, level)?;
        Some(Self { t_test, signed_rank: SignedRank::of(&baseline, &other) })
    }
}

impl RunGroup {
    fn scores(&self, score: HeadlineScore) -> Vec<f64> {
        self.runs.iter().map(|run| run.answers.score(score)).collect()
    }
}

impl Bootstrap {
    /// The same with draws of its own for a purpose.
    fn named(self, purpose: &str) -> Self {
        Self { seed: Key::new(self.seed).named(purpose).bits(), ..self }
    }
}

/// The runs of both groups with the same seed, in the order of seeds; if there are none, both groups in their order.
fn paired<'a>(baseline: &'a RunGroup, group: &'a RunGroup) -> (Vec<RunPair<'a>>, Matching) {
    let by_seed: BTreeMap<u64, &RunAnswers> =
        baseline.runs.iter().map(|run| (run.seed, &run.answers)).collect();
    let mut others: Vec<&GroupRun> = group.runs.iter().collect();
    others.sort_by_key(|run| run.seed);
    let matched = others
        .iter()
        .filter_map(|run| Some(RunPair { baseline: by_seed.get(&run.seed)?, other: &run.answers }));
    let matched: Vec<RunPair> = matched.collect();
    if !matched.is_empty() {
        return (matched, Matching::Seed);
    }
    let both = baseline.runs.iter().zip(&group.runs);
    (
        both.map(|(one, other)| RunPair { baseline: &one.answers, other: &other.answers }).collect(),
        Matching::Order,
    )
}

#[cfg(test)]
mod tests;
