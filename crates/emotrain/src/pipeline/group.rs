//! Runs that go through the flow together, each with a name before what it says and an end of its own.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;

use emotrain_model::CausalLm;
use emotrain_recipe::Recipe;
use emotrain_runs::{EvalResult, RunLog};
use emotrain_train::{
    End, EvalContext, Event, Job, Models, Outcome, Together, TrainError, Training, record_result,
};

use super::claim::result_folder;
use super::findings::Findings;
use super::outcome::{self, FinalEvaluation};
use super::ready::{Account, Ready};
use crate::env;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::printer::TrainingView;
use crate::shell::Shell;

/// The runs of a process.
pub(super) struct Group<'s> {
    names: Vec<String>,
    /// What each speaks with.
    shells: Vec<Shell>,
    shell: &'s Shell,
    ends: Vec<anyhow::Result<Exit>>,
}

impl<'s> Group<'s> {
    pub(super) fn new(recipes: &[Recipe], names: Vec<String>, shell: &'s Shell) -> Self {
        let named = |name: &String| if recipes.len() > 1 { shell.named(name) } else { shell.clone() };
        let shells = names.iter().map(named).collect();
        Self { shells, shell, ends: recipes.iter().map(|_| Ok(Exit::Done)).collect(), names }
    }

    /// How each ended.
    pub(super) fn ends(self) -> Vec<anyhow::Result<Exit>> {
        self.ends
    }

    /// Does the work for each run, given by its number, and keeps the results; a run for which it fails has ended.
    pub(super) fn each<T, U>(
        &mut self,
        runs: impl IntoIterator<Item = (usize, T)>,
        mut work: impl FnMut(T, &Shell) -> anyhow::Result<U>,
    ) -> Vec<(usize, U)> {
        let mut done = Vec::new();
        for (number, run) in runs {
            match work(run, &self.shells[number]) {
                Ok(result) => done.push((number, result)),
                Err(error) => self.end(number, Err(error)),
            }
        }
        done
    }

    fn end(&mut self, number: usize, end: anyhow::Result<Exit>) {
        if let Err(error) = &end
            && self.ends.len() > 1
        {
            self.shells[number].printer.error(error);
        }
        self.ends[number] = end;
    }

    /// Trains the runs, one of them with replicas on other devices if there are any, and does for each what is left to do as it ends.
    pub(super) fn train(
        &mut self,
        runs: Vec<(usize, (Ready, Account))>,
        mut replicas: Vec<CausalLm>,
        watch: &mut dyn FnMut(usize, &Event) -> ControlFlow<()>,
        interrupt: &Interrupt,
    ) {
        let (numbers, runs): (Vec<usize>, Vec<(Ready, Account)>) = runs.into_iter().unzip();
        let (ready, accounts): (Vec<Ready>, Vec<Account>) = runs.into_iter().unzip();
        let names = numbers.iter().map(|&number| self.names[number].clone()).collect();
        let view = RefCell::new(TrainingView::new(&self.shell.printer, names));
        let watch = RefCell::new(watch);
        let broken: Vec<Cell<bool>> = ready.iter().map(|_| Cell::new(false)).collect();
        let stops: Vec<_> = broken.iter().map(|broken| || interrupt.is_stopped() || broken.get()).collect();
        let jobs: Vec<Job> =
            ready.iter().zip(&stops).map(|(ready, stop)| ready.job(stop, interrupt.saves())).collect();
        let observer = |at: usize| {
            let (view, watch, broken, number) = (&view, &watch, &broken[at], numbers[at]);
            move |event: &Event| {
                view.borrow_mut().show(at, event);
                if (watch.borrow_mut())(number, event).is_break() {
                    broken.set(true);
                }
            }
        };
        let mut observers: Vec<_> = (0..jobs.len()).map(observer).collect();

        let mut logs = Vec::new();
        let last = interrupt.guard(|| {
            let mut started = Vec::new();
            for (at, (account, events)) in accounts.into_iter().zip(&mut observers).enumerate() {
                let Account { model, log, before } = account;
                let models = Models { model, replicas: std::mem::take(&mut replicas) };
                match Training::start(&jobs[at], models, ready[at].data(), events) {
                    Ok(training) => started.push((at, training)),
                    Err(error) => self.end(numbers[at], Err(error.into())),
                }
                logs.push(Some((log, before)));
            }
            let mut group = Together::new(started);
            while let Some((at, trained)) = group.next() {
                if group.is_over() {
                    return Some((at, trained));
                }
                let book = logs[at].take();
                let shell = &self.shells[numbers[at]];
                let rest = || conclude(&ready[at], book, trained, shell, interrupt);
                let end = view.borrow_mut().aside(at, rest);
                self.end(numbers[at], end);
            }
            None
        });
        view.borrow_mut().finish();
        // A signal may end what is left of the last: there is nothing to save.
        if let Some((at, trained)) = last {
            let end = conclude(&ready[at], logs[at].take(), trained, &self.shells[numbers[at]], interrupt);
            self.end(numbers[at], end);
        }
    }
}

/// What follows when training has ended: the record, and what the trained model is worth.
fn conclude(
    ready: &Ready,
    book: Option<(RunLog, Vec<EvalResult>)>,
    trained: Result<Outcome, TrainError>,
    shell: &Shell,
    interrupt: &Interrupt,
) -> anyhow::Result<Exit> {
    let (mut log, before) = book.expect("a run ends once");
    let trained = trained?;
    let Ready { recipe, run, opened, sets, .. } = ready;
    log.end(trained.record(), env::peak_memory_mib());
    log.write(run, env::now())?;
    if trained.end == End::Interrupted {
        shell.printer.say(format_args!("stopped after step {}; the state is saved", trained.state.step));
        return Ok(interrupt.exit());
    }
    let mut report = None;
    if !sets.is_empty() {
        let context = EvalContext { section: &recipe.eval, labels: &opened.labels, listener: &shell.printer };
        let init_from = recipe.lora.init_from.as_deref();
        let evaluation = FinalEvaluation { sets, before, init_from, context, printer: &shell.printer };
        report = Some(evaluation.report(&trained.model, run)?);
    }
    record_result(run, recipe, report.as_ref(), trained.state.step, env::now())?;
    log.finish(run, env::now())?;
    let (folder, summary) = (result_folder(run, recipe), outcome::what_is_there(recipe, &trained));
    shell.printer.say(format_args!("{}: {summary}", folder.display()));
    let Findings { warnings, remarks } = Findings::of(recipe, report.as_ref(), trained.loss_rise);
    for warning in warnings {
        shell.printer.warn(warning);
    }
    for remark in remarks {
        shell.printer.say(remark);
    }
    Ok(Exit::Done)
}
