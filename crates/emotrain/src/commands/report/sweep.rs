//! The report of a sweep.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use emotrain_base::Complaint;
use emotrain_data::SplitKind;
use emotrain_eval::{Bootstrap, ComparisonTerms, GroupRun, Prediction, RunComparison, RunGroup, TestSet};
use emotrain_recipe::run_of_recipe;
use emotrain_report::SweepFacts;
use emotrain_runs::StoredRun;
use emotrain_sweep::{Board, SweepDir, SweepFile, SweepState, SweepStatus};

use crate::cli::ReportArgs;
use crate::exit::described;

/// Sets of dialogues and exchanges behind every comparison.
const SAMPLES: usize = 2_000;
const CONFIDENCE: f64 = 0.95;

/// A seed with the answers of its run.
type SeedAnswers = (u64, Vec<Prediction>);

/// The name of a run's report in its folder.
pub(super) const REPORT: &str = "report.html";

/// Whether the path is a sweep's folder, or a sweep file.
pub(super) fn is_sweep(path: &Path) -> bool {
    (path.is_file() && run_of_recipe(path).is_none()) || path.join("runs.jsonl").is_file()
}

/// What there is to see of a sweep.
///
/// # Errors
/// A sweep that has not begun, has no score, or whose files are damaged.
pub(super) fn gathered(args: &ReportArgs, out: &Path) -> anyhow::Result<SweepFacts> {
    let sweep = SweepDir::find(&args.run)?;
    let file = SweepFile::read(&sweep.path().join("sweep.toml"))?;
    let status = SweepStatus::read(&sweep)?;
    let split = args.split.unwrap_or(file.split);
    let board = Board::of(&status, file.objective, split)?;
    if board.groups.iter().all(|group| group.summary.is_none()) {
        let message = format!("{}: no run of the sweep has scores of {split}", sweep.path().display());
        return Err(Complaint::input(message).hint("wait for a run, or choose another --split").into());
    }
    let plans = sweep.plans()?;
    let mut missing = Vec::new();
    let comparison = compared(&sweep, &board, &names(&plans), split).unwrap_or_else(|error| {
        missing.push(format!("No significance: {}", described(&error)));
        None
    });
    let reports = plans.iter().filter_map(|plan| {
        let report = sweep.run(&plan.id).join(REPORT);
        Some((plan.id.clone(), report.is_file().then(|| relative(&report, out))?))
    });
    let reports: BTreeMap<String, String> = reports.collect();
    let count = |state| status.runs.iter().filter(|run| run.state == state).count();
    let states =
        SweepState::ALL.map(|state| (state, count(state))).into_iter().filter(|(_, count)| *count > 0);
    let states = states.collect();
    Ok(SweepFacts { folder: sweep.path().to_owned(), board, plans, states, comparison, reports, missing })
}

/// The recipes in the order of the sweep file.
fn names(plans: &[emotrain_sweep::StoredPlan]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for plan in plans {
        if !names.contains(&plan.name.as_str()) {
            names.push(&plan.name);
        }
    }
    names
}

/// Every recipe that has scores against the first of them; none of a single recipe.
fn compared(
    sweep: &SweepDir,
    board: &Board,
    names: &[&str],
    split: SplitKind,
) -> anyhow::Result<Option<RunComparison>> {
    let mut groups: Vec<(String, Vec<SeedAnswers>)> = Vec::new();
    let mut labels: Option<Vec<String>> = None;
    let in_order = names.iter().filter_map(|name| board.groups.iter().find(|group| group.name == **name));
    for group in in_order.filter(|group| group.summary.is_some()) {
        let mut runs = Vec::new();
        for scored in group.runs.iter().filter(|run| run.score.is_some()) {
            let run = StoredRun::open(&sweep.run(&scored.id))?;
            let names = run.scores(split).map(|report| report.labels.iter().map(|row| row.label.clone()));
            let names: Vec<String> = names.into_iter().flatten().collect();
            if labels.get_or_insert_with(|| names.clone()) != &names {
                return Err(Complaint::input("its runs have different labels").into());
            }
            let predictions = run.predictions(split)?;
            run.check_scored(split, &predictions)?;
            runs.push((scored.seed, predictions));
        }
        groups.push((group.name.clone(), runs));
    }
    let first = groups.first().and_then(|(_, runs)| runs.first());
    let (Some((_, first)), Some(labels)) = (first.filter(|_| groups.len() > 1), labels) else {
        return Ok(None);
    };
    let test = TestSet::new(first, &labels)?;
    let answered = |(name, runs): &(String, Vec<SeedAnswers>)| {
        let run = |(seed, predictions): &SeedAnswers| {
            anyhow::Ok(GroupRun { seed: *seed, answers: test.answers(predictions)? })
        };
        anyhow::Ok(RunGroup { name: name.clone(), runs: runs.iter().map(run).collect::<Result<_, _>>()? })
    };
    let groups: Vec<RunGroup> = groups.iter().map(answered).collect::<Result<_, _>>()?;
    let bootstrap = Bootstrap { samples: SAMPLES, level: CONFIDENCE, seed: 0 };
    Ok(Some(RunComparison::of(&groups, ComparisonTerms { score: board.score, bootstrap })?))
}

/// The address of a file for a page beside it or above it; from elsewhere, that of the whole path.
fn relative(file: &Path, page: &Path) -> String {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (file, page) = (whole(file), whole(page));
    let beside = page.parent().and_then(|folder| file.strip_prefix(folder).ok());
    let is_beside = beside.is_some();
    let path: PathBuf = beside.map_or_else(|| file.clone(), Path::to_path_buf);
    let names: Vec<String> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(encoded(&name.to_string_lossy())),
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
        })
        .collect();
    if is_beside { names.join("/") } else { format!("file:///{}", names.join("/")) }
}

/// A name in an address: bytes that mean something there, or nothing, as numbers.
fn encoded(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_relative_where_they_can_be() {
        let at = |file: &str, page: &str| relative(Path::new(file), Path::new(page));
        assert_eq!(at("/s/runs/a b/report.html", "/s/report.html"), "runs/a%20b/report.html");
        assert_eq!(at("/s/runs/a/report.html", "/elsewhere/report.html"), "file:///s/runs/a/report.html");
        assert_eq!(at("s/runs/a?#/report.html", "s/x.html"), "runs/a%3F%23/report.html");
    }
}
