//! `emotrain sweep work`: one process of a sweep.

use std::ops::ControlFlow;

use emotrain_base::Complaint;
use emotrain_eval::{Headline, HeadlineScore};
use emotrain_recipe::{DeviceChoice, Recipe, ResumeFrom};
use emotrain_runs::{OnDifference, StoredRun};
use emotrain_sweep::{Attempt, Claim, Halving, RungVerdict, SweepDir};
use emotrain_train::Event;

use crate::cli::WorkArgs;
use crate::env;
use crate::exit::{self, Exit};
use crate::interrupt::Interrupt;
use crate::pipeline::{self, Terms};
use crate::shell::Shell;

use super::claims::Claims;
use super::requeue::Requeue;

/// A run that this process trains.
struct Task {
    id: String,
    recipe: Recipe,
    halving: Option<Halving>,
    /// Steps of the whole run.
    total: usize,
    /// The rung at which it was halted.
    halted: Option<usize>,
    /// Why a rung could not decide.
    failure: Option<anyhow::Error>,
}

/// Runs the command.
///
/// # Errors
/// A folder without the runs; a file that cannot be written. What runs fail at is in their attempts, and the exit code
/// is that of the first.
pub(crate) fn run(args: &WorkArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let sweep = SweepDir::find(&args.folder)?;
    let interrupt = Interrupt::install()?;
    let requeue = Requeue::new(args, shell)?;
    let claims = Claims::default();
    let (at_end, task) = (claims.clone(), requeue.clone());
    interrupt.say_farewell(requeue.is_asked(), move |exit| {
        let is_stuck = at_end.are_stuck(exit);
        at_end.end_all(exit, "ended by a signal while nothing was trained");
        if exit == Exit::Warned {
            task.put_back(is_stuck);
        }
    });
    let mut tasks = claim(&sweep, args, &claims, shell)?;
    if tasks.is_empty() {
        return Ok(Exit::Done);
    }
    let score = sweep.file()?.objective;
    let recipes: Vec<Recipe> = tasks.iter().map(|task| task.recipe.clone()).collect();
    let mut watch = |number: usize, event: &Event| {
        let task = &mut tasks[number];
        task.see(event, score).unwrap_or_else(|error| {
            task.failure = Some(error);
            ControlFlow::Break(())
        })
    };
    let terms = Terms { on_difference: OnDifference::Refuse, watch: &mut watch };
    let ends = pipeline::train(&recipes, terms, shell, &interrupt);
    let ends = match ends {
        Ok(ends) => ends,
        // What keeps all from beginning is told of each.
        Err(error) => {
            claims.end_all(exit::of(&error), &exit::described(&error));
            return Err(error);
        }
    };
    let is_warned = ends.iter().any(|end| matches!(end, Ok(Exit::Warned)));
    let is_stuck = claims.are_stuck(Exit::Warned);
    let ended = end(tasks, ends, &claims);
    if is_warned {
        requeue.put_back(is_stuck);
    }
    ended
}

/// Writes down how each run ended.
fn end(tasks: Vec<Task>, ends: Vec<anyhow::Result<Exit>>, claims: &Claims) -> anyhow::Result<Exit> {
    let mut first = Exit::Done;
    let mut only = None;
    let several = tasks.len() > 1;
    for (task, end) in tasks.into_iter().zip(ends) {
        let end = task.failure.map_or(end, Err);
        let (exit, message) = match (&end, task.halted) {
            (Ok(_), Some(step)) => {
                (Exit::Done, Some(format!("halted at step {step}: other runs are better")))
            }
            (Ok(Exit::Done), None) => (Exit::Done, None),
            (Ok(Exit::Warned), None) => {
                (Exit::Warned, Some("warned by the scheduler; the state is saved".to_owned()))
            }
            (Ok(exit), None) => (*exit, Some("interrupted; the state is saved".to_owned())),
            (Err(error), _) => (exit::of(error), Some(exit::described(error))),
        };
        claims.end(&task.id, exit, message)?;
        first = if first == Exit::Done { exit } else { first };
        only = end.err().filter(|_| !several);
    }
    // With several, each error has been printed with the run's name.
    only.map_or(Ok(first), Err)
}

/// Claims the runs that nobody is at and that are not done.
fn claim(sweep: &SweepDir, args: &WorkArgs, claims: &Claims, shell: &Shell) -> anyhow::Result<Vec<Task>> {
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
            job: shell.env.slurm_task.as_ref().map(|task| format!("slurm {task}")),
            process: std::process::id(),
            begun_unix_s: env::now(),
            ..Attempt::default()
        };
        match sweep.claim(id, attempt)? {
            Claim::Ours(claim) => {
                let halving = section.map(|section| Halving::new(sweep, id, section));
                claims.hold(id, claim);
                tasks.push(Task { id: id.clone(), recipe, halving, total: 0, halted: None, failure: None });
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
                let values = scores.classification.ok_or_else(|| {
                    let id = &self.id;
                    Complaint::usage(format!("{id}: [asha] compares scores, and the run has none"))
                        .hint("name data.valid with labels in the base recipe")
                })?;
                let [weighted_f1, macro_f1, accuracy] = values;
                let value = score.of(&Headline { accuracy, weighted_f1, macro_f1 });
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
