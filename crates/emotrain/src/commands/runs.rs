//! `emotrain runs`: the runs under a folder.

use std::path::Path;

use emotrain_base::{Complaint, system_words};
use emotrain_data::SplitKind;
use emotrain_recipe::{KeyDifference, Metric, Recipe};
use emotrain_runs::{StoredRun, find_runs};
use emotrain_sweep::TextTable;
use serde::Serialize;
use serde_json::json;

use crate::cli::RunsArgs;
use crate::exit::Exit;
use crate::printer::duration;
use crate::shell::Shell;

/// Runs are looked for this many folders deep.
const DEPTH: usize = 6;

/// A run in the list.
#[derive(Debug, Serialize)]
struct Listed {
    run: String,
    state: &'static str,
    begun_unix_s: f64,
    seed: u64,
    steps: Option<usize>,
    /// The metric that chooses the best evaluation, by its key in a recipe.
    metric: &'static str,
    /// The best evaluation: its step, and its value; scores are fractions of 1.
    best: Option<(usize, f64)>,
    /// The split of the score, and weighted F1 as a fraction of 1.
    score: Option<(SplitKind, f64)>,
    /// Seconds spent training.
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    differences: Option<Vec<KeyDifference>>,
}

/// Runs the command.
///
/// # Errors
/// A folder that cannot be read; a run to compare with that is none. A run whose record is damaged, and a folder within
/// that cannot be read, are warned about.
pub(crate) fn run(args: &RunsArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let other = args.against.as_deref().map(|folder| StoredRun::open(folder)?.recipe()).transpose()?;
    if !args.folder.is_dir() {
        let complaint = Complaint::input(format!("{}: there is no such folder", args.folder.display()));
        return Err(complaint.hint("name a folder with run directories, such as checkpoints").into());
    }
    let mut listed = Vec::new();
    let found = find_runs(&args.folder, DEPTH)?;
    for (folder, error) in &found.unreadable {
        let folder = folder.display();
        shell.printer.warn(format_args!("{folder}: cannot be read, nor runs in it: {}", system_words(error)));
    }
    for folder in found.runs {
        match list(&folder, &args.folder, other.as_ref()) {
            Ok(run) => listed.push(run),
            Err(error) => shell.printer.warn(format_args!("{}: {error:#}", folder.display())),
        }
    }
    if listed.is_empty() {
        let complaint = Complaint::input(format!("{}: contains no run", args.folder.display()));
        return Err(complaint.hint("name a folder with run directories, such as checkpoints").into());
    }
    if args.json {
        shell.printer.result(format!("{:#}", json!(listed)))?;
    } else {
        shell.printer.result(table(&listed))?;
    }
    Ok(Exit::Done)
}

fn list(folder: &Path, within: &Path, other: Option<&Recipe>) -> anyhow::Result<Listed> {
    let run = StoredRun::open(folder)?;
    let training = run.record.training.as_ref();
    let score = [SplitKind::Test, SplitKind::Valid]
        .into_iter()
        .find_map(|split| Some((split, run.scores(split)?.scores.weighted_f1)));
    let steps = match training {
        Some(training) => Some(training.steps),
        None => run.metrics()?.last().map(|line| line.step),
    };
    let name = folder.strip_prefix(within).ok().filter(|name| !name.as_os_str().is_empty());
    Ok(Listed {
        run: name.unwrap_or(folder).display().to_string(),
        state: run.state.as_str(),
        begun_unix_s: run.record.begun_unix_s,
        seed: run.record.seed,
        steps,
        metric: run.recipe()?.eval.metric_for_best_model.as_str(),
        best: training.and_then(|training| training.best).map(|best| (best.step, best.value)),
        score,
        seconds: training.map(|training| training.seconds),
        differences: other
            .map(|other| Ok::<_, anyhow::Error>(run.recipe()?.differences(other)))
            .transpose()?,
    })
}

fn table(runs: &[Listed]) -> String {
    let mut header = vec!["run", "state", "seed", "steps", "best", "score", "trained in"];
    let has_differences = runs.iter().any(|run| run.differences.is_some());
    header.extend(has_differences.then_some("differs in"));
    let mut table = TextTable::new(header);
    for run in runs {
        let steps = run.steps.map_or(String::new(), |steps| steps.to_string());
        let is_share = run.metric != Metric::Loss.as_str();
        let value =
            |value: f64| if is_share { format!("{:.2}", 100.0 * value) } else { format!("{value:.4}") };
        let best = run.best.map_or(String::new(), |(step, best)| format!("{} at {step}", value(best)));
        let score = run.score.map_or(String::new(), |(split, score)| format!("{:.2} {split}", 100.0 * score));
        let time = run.seconds.map_or(String::new(), duration);
        let mut row =
            vec![run.run.clone(), run.state.to_owned(), run.seed.to_string(), steps, best, score, time];
        row.extend(run.differences.as_ref().map(|differences| {
            let nothing = || "none".to_owned();
            let one =
                |one: &KeyDifference| format!("{}={}", one.key, one.here.clone().unwrap_or_else(nothing));
            differences.iter().map(one).collect::<Vec<_>>().join(", ")
        }));
        table.row(row);
    }
    table.plain()
}
