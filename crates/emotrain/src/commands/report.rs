//! `emotrain report`: what there is to see of a run or of a sweep, as one HTML file.

mod files;
mod prompts;
mod sweep;

use std::collections::BTreeMap;

use emotrain_base::{Complaint, write_atomic};
use emotrain_data::SplitKind;
use emotrain_report::{Against, RunFacts, confident_errors, run_page, sweep_page};
use emotrain_runs::StoredRun;
use emotrain_sweep::SweepDir;

use self::files::DataFiles;
use self::prompts::Recalled;
use super::replaced::{Output, check_replaced};
use crate::cli::ReportArgs;
use crate::exit::{Exit, described};
use crate::shell::Shell;

/// Runs the command.
///
/// # Errors
/// A folder that has no run or no scores; damaged files; a report that cannot be written.
pub(crate) fn run(args: &ReportArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let is_sweep = sweep::is_sweep(&args.run);
    let folder = if is_sweep { SweepDir::find(&args.run)?.path().to_owned() } else { args.run.clone() };
    let out = args.out.clone().unwrap_or_else(|| folder.join(sweep::REPORT));
    check_replaced(&out, Output::Report, &[])?;
    let (page, missing) = if is_sweep {
        if args.against.is_some() {
            let complaint = Complaint::usage("--against compares runs, and this is a sweep");
            return Err(complaint.hint("a sweep's report compares its recipes with the first").into());
        }
        let facts = sweep::gathered(args, &out)?;
        (sweep_page(&facts)?, facts.missing)
    } else {
        let facts = gathered(args, shell)?;
        (run_page(&facts)?, facts.missing)
    };
    for reason in &missing {
        shell.printer.warn(reason);
    }
    write_atomic(&out, page.as_bytes())?;
    shell.printer.say(format_args!("the report is in {}", out.display()));
    Ok(Exit::Done)
}

fn gathered(args: &ReportArgs, shell: &Shell) -> anyhow::Result<RunFacts> {
    let run = StoredRun::open(&args.run)?;
    let split = chosen_split(args, &run)?;
    let scores = run.scores(split).ok_or_else(|| no_scores(&run, split))?;
    let labels: Vec<String> = scores.labels.iter().map(|row| row.label.clone()).collect();
    let predictions = run.predictions(split)?;
    let errors = confident_errors(&predictions, &labels, args.errors)?;
    let against = match &args.against {
        None => Against::Defaults,
        Some(other) => {
            let other = StoredRun::open(other)?;
            Against::Run { name: other.folder.display().to_string(), recipe: Box::new(other.recipe()?) }
        }
    };
    let mut facts = RunFacts {
        metrics: run.metrics()?,
        split,
        predictions,
        errors,
        recipe: None,
        against,
        files: Vec::new(),
        shared: Vec::new(),
        dialogues: Vec::new(),
        difficulty: None,
        demonstrations: BTreeMap::new(),
        prompts: BTreeMap::new(),
        missing: Vec::new(),
        run,
    };
    add_data(&mut facts, shell);
    Ok(facts)
}

/// What the data files, the bank and the sources have of the run, as far as they are still what it read.
fn add_data(facts: &mut RunFacts, shell: &Shell) {
    let mut recipe = match facts.run.recipe() {
        Ok(recipe) => recipe,
        Err(error) => {
            let reason = described(&error.into());
            facts.missing.push(format!("No dialogues and prompts: the recipe does not load: {reason}"));
            return;
        }
    };
    facts.recipe = Some(recipe.clone());
    // Where the run is now: it has what was retrieved.
    recipe.train.output_dir.clone_from(&facts.run.folder);
    let files = match DataFiles::read(&recipe, &facts.run) {
        Ok(files) => files,
        Err(reason) => {
            facts.missing.push(format!("No dialogues and prompts: {reason}"));
            return;
        }
    };
    facts.files = files.facts();
    facts.shared = files.shared(&recipe);
    match files.content_of(facts.split) {
        Err(reason) => facts.missing.push(format!(
            "No dialogues, prompts, speakers and difficulties: {reason}. Emotion shifts are between utterances alone."
        )),
        Ok(content) => {
            match files.difficulty(&recipe, &content) {
                Ok(difficulty) => facts.difficulty = Some(difficulty),
                Err(reason) => facts.missing.push(format!("No scores by difficulty: {reason}")),
            }
            let recalled = Recalled { recipe: &recipe, run: &facts.run, split: facts.split };
            match recalled.read(content, &facts.errors, shell) {
                Ok((dialogues, prompts, demonstrations)) => {
                    facts.dialogues = dialogues;
                    facts.prompts = prompts;
                    facts.demonstrations = demonstrations;
                }
                Err((dialogues, reason)) => {
                    facts.dialogues = dialogues;
                    facts.missing.push(format!("No prompts, demonstrations and interpretations: {reason}"));
                }
            }
        }
    }
}

/// The split that is asked for; else the test split, or the validation split where that alone was scored.
///
/// # Errors
/// A run that is not finished; a split that was not scored.
fn chosen_split(args: &ReportArgs, run: &StoredRun) -> anyhow::Result<SplitKind> {
    let folder = run.folder.display();
    if run.report.is_none() {
        let complaint = Complaint::input(format!("{folder}: the run has no report.json"));
        let hint = format!(
            "its training is {}; finish it with `emotrain RECIPE --resume`, the scores are written at the end",
            run.state.as_str()
        );
        return Err(complaint.hint(hint).into());
    }
    let is_scored = |split: &SplitKind| run.scores(*split).is_some();
    let split = args.split.or_else(|| [SplitKind::Test, SplitKind::Valid].into_iter().find(is_scored));
    let split =
        split.filter(is_scored).ok_or_else(|| no_scores(run, args.split.unwrap_or(SplitKind::Valid)))?;
    let file = run.predictions_file(split);
    if !file.is_file() {
        let complaint = Complaint::input(format!("{}: there is no such file", file.display()));
        return Err(complaint
            .hint("a report needs the predictions that the run wrote beside its scores")
            .into());
    }
    Ok(split)
}

fn no_scores(run: &StoredRun, split: SplitKind) -> Complaint {
    let scored: Vec<&str> =
        SplitKind::ALL.into_iter().filter(|one| run.scores(*one).is_some()).map(SplitKind::as_str).collect();
    let complaint = Complaint::input(format!("{}: the run has no scores of {split}", run.folder.display()));
    complaint.hint(if scored.is_empty() {
        "a report needs a run with labels, and data.valid or data.test".to_owned()
    } else {
        format!("choose a split that was scored: {}", scored.join(", "))
    })
}
