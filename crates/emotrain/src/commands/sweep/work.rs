//! `emotrain sweep work`: one process of a sweep.

use std::cell::RefCell;
use std::ops::ControlFlow;

use emotrain_base::Complaint;
use emotrain_eval::HeadlineScore;
use emotrain_recipe::{DeviceChoice, Recipe, ResumeFrom};
use emotrain_runs::{OnDifference, StoredRun};
use emotrain_sweep::{Attempt, Claim, ClaimedRun, Halving, RungVerdict, SweepDir};
use emotrain_train::Event;

use crate::cli::WorkArgs;
use crate::env;
use crate::exit::{self, Exit};
use crate::interrupt::Interrupt;
use crate::pipeline::{self, Terms};
use crate::shell::Shell;

/// A run that this process trains.
struct Task {
    id: String,
    recipe: Recipe,
    claim: ClaimedRun,
    halving: Option<Halving>,
    /// Steps of the whole run.
    total: usize,
    /// The rung at which it was halted.
    halted: Option<usize>,
}

/// Runs the command.
///
/// # Errors
/// A folder without the runs; a file that cannot be written. What runs fail at is in their attempts, and the exit code
/// is that of the first.
pub(crate) fn run(args: &WorkArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let sweep = SweepDir::find(&args.folder)?;
    let interrupt = Interrupt::install()?;
    let mut tasks = claim(&sweep, args, shell)?;
    if tasks.is_empty() {
        return Ok(Exit::Done);
    }
    let score = sweep.file()?.objective;
    let recipes: Vec<Recipe> = tasks.iter().map(|task| task.recipe.clone()).collect();
    let watched = RefCell::new((&mut tasks, None));
    let mut watch = |number: usize, event: &Event| {
        let (tasks, failure) = &mut *watched.borrow_mut();
        tasks[number].see(event, score).unwrap_or_else(|error| {
            failure.get_or_insert(error);
            ControlFlow::Break(())
        })
    };
    let terms = Terms { on_difference: OnDifference::Refuse, watch: &mut watch };
    let ends = pipeline::train(&recipes, terms, shell, &interrupt);
    let failure = watched.into_inner().1;
    let ends = match ends {
        Ok(ends) => ends,
        // What keeps all from beginning is told of each.
        Err(error) => {
            let text = exit::described(&error);
            let exit = exit::of(&error);
            for task in tasks {
                task.claim.end(env::now(), exit as u8, Some(text.clone()))?;
            }
            return Err(error);
        }
    };
    let mut first = Exit::Done;
    let mut only = None;
    let several = tasks.len() > 1;
    for (task, end) in tasks.into_iter().zip(ends) {
        let (exit, message) = match (&end, task.halted) {
            (Ok(_), Some(step)) => {
                (Exit::Done, Some(format!("halted at step {step}: other runs are better")))
            }
            (Ok(Exit::Done), None) => (Exit::Done, None),
            (Ok(exit), None) => (*exit, Some("interrupted; the state is saved".to_owned())),
            (Err(error), _) => (exit::of(error), Some(exit::described(error))),
        };
        task.claim.end(env::now(), exit as u8, message)?;
        first = if first == Exit::Done { exit } else { first };
        only = end.err().filter(|_| !several);
    }
    // With several, each error has been printed with the run's name.
    failure.or(only).map_or(Ok(first), Err)
}

/// Claims the runs that nobody is at and that are not done.
fn claim(sweep: &SweepDir, args: &WorkArgs, shell: &Shell) -> anyhow::Result<Vec<Task>> {
    let plans = sweep.plans()?;
    let section = sweep.file()?.halving;
    let mut tasks = Vec::new();
    for id in &args.ids {
        let Some(plan) = plans.iter().find(|plan| plan.id == *id) else {
            let message = format!("{}: the sweep has no run {id}", sweep.path().display());
            let hint = "emotrain sweep board FOLDER --runs lists the ids";
            return Err(Complaint::usage(message).hint(hint).into());
        };
        let mut recipe = plan.recipe(sweep)?;
        let folder = sweep.run(id);
        if StoredRun::is_in(&folder) {
            recipe.save.resume_from_checkpoint = Some(ResumeFrom::Latest);
        }
        if let (0, Some(threads)) = (recipe.model.num_threads, args.threads) {
            recipe.model.num_threads = threads;
        }
        recipe.model.device = match recipe.model.device {
            DeviceChoice::Cuda(None) => DeviceChoice::Cuda(args.gpu),
            DeviceChoice::Wgpu(None) => DeviceChoice::Wgpu(args.gpu),
            chosen @ (DeviceChoice::Auto
            | DeviceChoice::Cpu
            | DeviceChoice::Cuda(_)
            | DeviceChoice::Wgpu(_)) => chosen,
        };
        let attempt = Attempt {
            host: env::host(),
            process: std::process::id(),
            begun_unix_s: env::now(),
            ..Attempt::default()
        };
        match sweep.claim(id, attempt)? {
            Claim::Ours(claim) => {
                let halving = section.map(|section| Halving::new(sweep, id, section));
                tasks.push(Task { id: id.clone(), recipe, claim, halving, total: 0, halted: None });
            }
            Claim::Taken(owner) => shell.printer.say(format_args!("{id}: {owner} is at it")),
            Claim::Done => shell.printer.say(format_args!("{id}: is done")),
        }
    }
    Ok(tasks)
}

impl Task {
    /// Stops the run at a rung where others are better.
    fn see(&mut self, event: &Event, score: HeadlineScore) -> anyhow::Result<ControlFlow<()>> {
        match event {
            Event::Started { total_steps, .. } => self.total = *total_steps,
            Event::Evaluated { step, scores, .. } => {
                let Some(halving) = self.halving.as_ref().filter(|one| one.is_rung(*step, self.total)) else {
                    return Ok(ControlFlow::Continue(()));
                };
                let [weighted_f1, macro_f1, accuracy] = scores.classification.ok_or_else(|| {
                    let id = &self.id;
                    Complaint::usage(format!("{id}: [asha] compares scores, and the run has none"))
                        .hint("name data.valid with labels in the base recipe")
                })?;
                let value = match score {
                    HeadlineScore::WeightedF1 => weighted_f1,
                    HeadlineScore::MacroF1 => macro_f1,
                    HeadlineScore::Accuracy => accuracy,
                };
                if halving.decide(*step, value)? == RungVerdict::Halt {
                    self.halted = Some(*step);
                    return Ok(ControlFlow::Break(()));
                }
            }
            Event::Phase { .. } | Event::Step { .. } | Event::EvalProgress { .. } | Event::Saved { .. } => {}
        }
        Ok(ControlFlow::Continue(()))
    }
}
