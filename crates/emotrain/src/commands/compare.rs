//! `emotrain compare`: whether the runs of one recipe score higher than those of another.

use std::path::{Path, PathBuf};

use anyhow::Context;
use emotrain_base::Complaint;
use emotrain_data::SplitKind;
use emotrain_eval::{
    Bootstrap, ComparisonTerms, EvalError, GroupRun, Prediction, RunComparison, RunGroup, TestSet,
};
use emotrain_runs::{RunReport, RunState, StoredRun};
use serde_json::json;

use crate::cli::{CompareArgs, Group};
use crate::exit::Exit;
use crate::shell::Shell;

const CONFIDENCE: f64 = 0.95;

/// Runs the command.
///
/// # Errors
/// A run directory that is incomplete or damaged; runs with other test sets or labels.
pub(crate) fn run(args: &CompareArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let groups: Vec<Vec<SplitRun>> =
        args.groups.iter().map(|group| read(group, args)).collect::<Result<_, _>>()?;
    let groups = answers(&groups, args)?;
    let bootstrap = Bootstrap { samples: args.samples, level: CONFIDENCE, seed: 0 };
    let comparison = RunComparison::of(&groups, ComparisonTerms { score: args.metric, bootstrap })?;
    if args.json {
        shell.printer.result(format!("{:#}", json!(comparison)))?;
    } else {
        shell.printer.result(&comparison)?;
    }
    for (one, group) in comparison.comparisons.iter().zip(&groups[1..]) {
        let left_out = groups[0].runs.len().max(group.runs.len()) - one.pairs;
        if left_out > 0 {
            let (pairs, name) = (one.pairs, &group.name);
            shell.printer.warn(format!(
                "{name}: {pairs} of its runs are paired with the baseline's; the difference over dialogues is of those \
alone"
            ));
        }
    }
    Ok(Exit::Done)
}

/// What a run directory has of a split.
struct SplitRun {
    run: StoredRun,
    file: PathBuf,
    labels: Vec<String>,
    predictions: Vec<Prediction>,
}

impl SplitRun {
    fn read(folder: &Path, split: SplitKind) -> anyhow::Result<Self> {
        let run = StoredRun::open(folder)?;
        let Some(scores) = run.scores(split).filter(|_| run.predictions_file(split).is_file()) else {
            let complaint =
                Complaint::input(format!("{}: the run has no scores of {split}", folder.display()));
            let hint = match run.state {
                RunState::Finished => {
                    "compare another split, as in --split valid, or train with eval.test = true and data.test"
                }
                RunState::Running | RunState::Unfinished => "wait for its end, or resume it",
            };
            return Err(complaint.hint(hint).into());
        };
        let labels = scores.labels.iter().map(|row| row.label.clone()).collect();
        let (file, predictions) = (run.predictions_file(split), run.predictions(split)?);
        Ok(Self { run, file, labels, predictions })
    }
}

/// The runs of a group.
///
/// # Errors
/// A run directory that is incomplete or damaged; two runs with the same seed.
fn read(group: &Group, args: &CompareArgs) -> anyhow::Result<Vec<SplitRun>> {
    let mut runs: Vec<SplitRun> = Vec::new();
    for folder in &group.0 {
        let run = SplitRun::read(folder, args.split)?;
        if let Some(earlier) = runs.iter().find(|earlier| earlier.run.record.seed == run.run.record.seed) {
            let (first, second, seed) = (earlier.run.folder.display(), folder.display(), run.run.record.seed);
            let complaint = Complaint::usage(format!(
                "{first} and {second} are runs of one group with the same seed, {seed}"
            ));
            let hint =
                "the runs of a group differ in train.seed; groups are separated by spaces, runs by commas";
            return Err(complaint.hint(hint).into());
        }
        runs.push(run);
    }
    Ok(runs)
}

/// The runs' answers to the test set of the first of them.
///
/// # Errors
/// Runs with other test sets or label sets.
fn answers(groups: &[Vec<SplitRun>], args: &CompareArgs) -> anyhow::Result<Vec<RunGroup>> {
    let first = groups.iter().flatten().next().ok_or(EvalError::NothingToCompare)?;
    let named = |run: &SplitRun| run.file.display().to_string();
    let test = TestSet::new(&first.predictions, &first.labels).with_context(|| named(first))?;
    let answers = |run: &SplitRun| {
        if run.labels != first.labels {
            let [these, those] =
                [run, first].map(|run| run.run.folder.join(RunReport::FILE).display().to_string());
            let message = format!("{these}: its labels are not those of {those}");
            return Err(Complaint::input(message).hint("compare runs with the same data.label_set").into());
        }
        let answers = test
            .answers(&run.predictions)
            .with_context(|| format!("{} cannot be compared with {}", named(run), named(first)))?;
        Ok(GroupRun { seed: run.run.record.seed, answers })
    };
    let names = args.groups.iter().map(name);
    let group = |(name, runs): (String, &Vec<SplitRun>)| {
        Ok(RunGroup { name, runs: runs.iter().map(answers).collect::<anyhow::Result<_>>()? })
    };
    names.zip(groups).map(group).collect()
}

/// A group's name in tables: its first run directory, and how many more there are.
fn name(group: &Group) -> String {
    let first = group.0.first().map_or(String::new(), |folder| folder.display().to_string());
    if group.0.len() > 1 { format!("{first} + {}", group.0.len() - 1) } else { first }
}
