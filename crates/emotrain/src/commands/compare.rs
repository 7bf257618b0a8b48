//! `emotrain compare`: whether the runs of one recipe score higher than those of another.

use std::path::{Path, PathBuf};

use anyhow::Context;
use emotrain_base::Complaint;
use emotrain_data::{SplitKind, UtteranceId};
use emotrain_eval::{
    Bootstrap, ComparisonTerms, EvalError, GroupRun, Prediction, RunComparison, RunGroup, TestSet,
};
use emotrain_runs::{RunReport, RunState, StoredRun};
use emotrain_sweep::{StoredPlan, SweepDir};
use serde_json::json;

use crate::cli::CompareArgs;
use crate::exit::Exit;
use crate::shell::Shell;

const CONFIDENCE: f64 = 0.95;

/// Runs the command.
///
/// # Errors
/// A run directory that is incomplete or damaged; runs with other test sets or labels.
pub(crate) fn run(args: &CompareArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let sweep = sweep(args)?;
    let found = Found::all(args, sweep.as_ref())?;
    let split = match (args.split, &sweep) {
        (Some(split), _) => split,
        (None, Some(sweep)) => sweep.file()?.split,
        (None, None) => SplitKind::Test,
    };
    let groups: Vec<Vec<SplitRun>> =
        found.iter().map(|group| read(group, split, shell)).collect::<Result<_, _>>()?;
    let same: Vec<bool> = groups.iter().map(|group| is_same(&groups[0], group)).collect();
    let trained: Vec<Option<usize>> =
        groups.iter().map(|group| trained_samples(&group[0])).collect::<Result<_, _>>()?;
    let trained_first = trained[0];
    let groups = answers(&found, &groups, split)?;
    let bootstrap = Bootstrap { samples: args.samples, level: CONFIDENCE, seed: 0 };
    let comparison = RunComparison::of(&groups, ComparisonTerms { score: args.metric, bootstrap })?;
    if args.json {
        shell.printer.result(format!("{:#}", json!(comparison)))?;
    } else {
        shell.printer.result(&comparison)?;
    }
    for ((group, trained), is_same) in groups.iter().zip(&trained).zip(same).skip(1) {
        if let (Some(own), Some(baselines)) = (trained, trained_first)
            && *own != baselines
        {
            let (name, baseline) = (&group.name, &groups[0].name);
            shell.printer.warn(format!(
                "{name}: trained on {own} samples, {baseline} on {baselines}: the difference may come from that"
            ));
        }
        if is_same {
            let (name, baseline) = (&group.name, &groups[0].name);
            shell.printer.warn(format!("{name}: its runs give the answers of {baseline} to every utterance"));
        }
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

/// The sweep that the groups are recipes of, if they are.
fn sweep(args: &CompareArgs) -> anyhow::Result<Option<SweepDir>> {
    let is_sweep = |path: &&Path| path.is_file() || SweepDir::is_in(path);
    Ok(args.within.as_deref().filter(is_sweep).map(SweepDir::find).transpose()?)
}

/// The run directories of a group.
struct Found {
    /// Its name in tables.
    name: String,
    folders: Vec<PathBuf>,
}

impl Found {
    /// The groups, by path or by name.
    fn all(args: &CompareArgs, sweep: Option<&SweepDir>) -> anyhow::Result<Vec<Self>> {
        let Some(sweep) = sweep else {
            let within = args.within.as_deref().unwrap_or(Path::new(""));
            return Ok(args.groups.iter().map(|text| Self::of_folders(text, within)).collect());
        };
        let plans = sweep.plans()?;
        args.groups.iter().map(|text| Self::of_sweep(text, sweep, &plans)).collect()
    }

    fn of_folders(text: &str, within: &Path) -> Self {
        let folders: Vec<PathBuf> = text.split(',').map(|name| within.join(name)).collect();
        let first = text.split(',').next().unwrap_or_default();
        let name =
            if folders.len() > 1 { format!("{first} + {}", folders.len() - 1) } else { first.to_owned() };
        Self { name, folders }
    }

    /// A recipe of a sweep by its name on the board, and those of its runs that are finished.
    fn of_sweep(text: &str, sweep: &SweepDir, plans: &[StoredPlan]) -> anyhow::Result<Self> {
        let is_named = |plan: &&StoredPlan| plan.name == text || plan.id == text;
        let ids: Vec<&str> = plans.iter().filter(is_named).map(|plan| plan.id.as_str()).collect();
        let place = sweep.path().display();
        if ids.is_empty() {
            let mut names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
            names.dedup();
            let complaint = Complaint::usage(format!("{place}: the sweep has no recipe {text:?}"));
            return Err(complaint.hint(format!("its recipes are {}", names.join("; "))).into());
        }
        let is_finished =
            |folder: &PathBuf| StoredRun::open(folder).is_ok_and(|run| run.state == RunState::Finished);
        let folders: Vec<PathBuf> = ids.iter().map(|id| sweep.run(id)).filter(is_finished).collect();
        if folders.is_empty() {
            let complaint = Complaint::input(format!("{place}: no run of {text:?} is finished"));
            return Err(complaint.hint("emotrain sweep status shows how far each is").into());
        }
        Ok(Self { name: text.to_owned(), folders })
    }
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
fn read(group: &Found, split: SplitKind, shell: &Shell) -> anyhow::Result<Vec<SplitRun>> {
    let mut runs: Vec<SplitRun> = Vec::new();
    for folder in &group.folders {
        let run = SplitRun::read(folder, split)?;
        if let Some(earlier) = runs.iter().find(|earlier| earlier.run.record.seed == run.run.record.seed) {
            let (first, second, seed) = (earlier.run.folder.display(), folder.display(), run.run.record.seed);
            let complaint = Complaint::usage(format!(
                "{first} and {second} are runs of one group with the same seed, {seed}"
            ));
            let hint =
                "the runs of a group differ in train.seed; groups are separated by spaces, runs by commas";
            return Err(complaint.hint(hint).into());
        }
        if let Some(first) = runs.first() {
            warn_of_differences(first, &run, shell)?;
        }
        runs.push(run);
    }
    Ok(runs)
}

/// The samples of all steps of a run, repeated ones counted again; `None` where it has no record of its end.
fn trained_samples(run: &SplitRun) -> anyhow::Result<Option<usize>> {
    let recipe = run.run.recipe()?.train;
    let batch = recipe.per_device_train_batch_size * recipe.gradient_accumulation_steps;
    Ok(run.run.record.training.as_ref().map(|training| training.steps * batch))
}

/// Whether the runs of two groups have the same seeds, and with each of them the same answers.
fn is_same(one: &[SplitRun], other: &[SplitRun]) -> bool {
    let answers = |run: &SplitRun| -> Vec<(UtteranceId, Option<String>)> {
        let mut answers: Vec<_> =
            run.predictions.iter().map(|one| (one.id.clone(), one.label.clone())).collect();
        answers.sort();
        answers
    };
    let has_like = |run: &SplitRun| {
        let of_seed = other.iter().find(|other| other.run.record.seed == run.run.record.seed);
        of_seed.is_some_and(|other| answers(run) == answers(other))
    };
    one.len() == other.len() && one.iter().all(has_like)
}

/// Runs of a group are seeds of one recipe.
fn warn_of_differences(first: &SplitRun, run: &SplitRun, shell: &Shell) -> anyhow::Result<()> {
    let mut differences = run.run.recipe()?.differences(&first.run.recipe()?);
    differences.retain(|one| one.key != "train.seed");
    if !differences.is_empty() {
        let keys: Vec<&str> = differences.iter().map(|one| one.key.as_str()).collect();
        let (one, other, keys) = (first.run.folder.display(), run.run.folder.display(), keys.join(", "));
        shell.printer.warn(format!("{one} and {other} are in one group, and differ in {keys}"));
    }
    Ok(())
}

/// The runs' answers to the test set of the first of them.
///
/// # Errors
/// Runs with other test sets or label sets, or with answers that were not scored.
fn answers(found: &[Found], groups: &[Vec<SplitRun>], split: SplitKind) -> anyhow::Result<Vec<RunGroup>> {
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
        run.run.check_scored(split, &run.predictions)?;
        Ok(GroupRun { seed: run.run.record.seed, answers })
    };
    let names = found.iter().map(|group| group.name.clone());
    let group = |(name, runs): (String, &Vec<SplitRun>)| {
        Ok(RunGroup { name, runs: runs.iter().map(answers).collect::<anyhow::Result<_>>()? })
    };
    names.zip(groups).map(group).collect()
}
