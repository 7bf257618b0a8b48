//! The local engine: processes on this machine.

use std::collections::VecDeque;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use emotrain_base::{Complaint, WriteError};
use emotrain_sweep::{SweepDir, SweepStatus};

use crate::env;
use crate::interrupt::Interrupt;
use crate::printer::duration;
use crate::shell::Shell;

/// How often processes are looked after.
const PAUSE: Duration = Duration::from_millis(50);

/// A process and what it trains.
struct Worker {
    child: Child,
    ids: Vec<String>,
    begun: f64,
    /// Its number among those that run, which is that of its GPU.
    place: usize,
}

/// No process is left behind if this one ends before it: it saves its state first.
impl Drop for Worker {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            tell_to_stop(&self.child);
            // Whether it did is in its attempts.
            let _ = self.child.wait();
        }
    }
}

/// Trains the runs of each task in a process of its own, `jobs` at a time; true if it was stopped by a signal, after
/// which every process has saved its state.
///
/// # Errors
/// A process that cannot be started. What a process fails at is in its attempts and its log.
pub(super) fn train(
    sweep: &SweepDir,
    tasks: Vec<Vec<String>>,
    jobs: usize,
    shell: &Shell,
    interrupt: &Interrupt,
) -> anyhow::Result<bool> {
    let program = std::env::current_exe().context("the path of this program is not known")?;
    let mut waiting: VecDeque<Vec<String>> = tasks.into();
    let total = waiting.len();
    let mut done = 0;
    let mut workers: Vec<Worker> = Vec::new();
    let mut is_told = false;
    interrupt.guard(|| {
        loop {
            let stopped = interrupt.is_stopped();
            if stopped && !is_told {
                is_told = true;
                for worker in &workers {
                    tell_to_stop(&worker.child);
                }
            }
            while !stopped && workers.len() < jobs {
                let Some(ids) = waiting.pop_front() else { break };
                let place = (0..jobs).find(|place| workers.iter().all(|worker| worker.place != *place));
                workers.push(start(&program, sweep, ids, place.unwrap_or(0), jobs)?);
            }
            let mut at = 0;
            while at < workers.len() {
                if workers[at].child.try_wait()?.is_some() {
                    done += 1;
                    let worker = workers.swap_remove(at);
                    tell(&worker, sweep, &format!("{done} of {total}"), shell)?;
                } else {
                    at += 1;
                }
            }
            if workers.is_empty() && (stopped || waiting.is_empty()) {
                return Ok(stopped);
            }
            std::thread::sleep(PAUSE);
        }
    })
}

fn start(
    program: &Path,
    sweep: &SweepDir,
    ids: Vec<String>,
    place: usize,
    jobs: usize,
) -> anyhow::Result<Worker> {
    let path = sweep.log(&ids[0]);
    let log = fs_err::OpenOptions::new().create(true).append(true).open(&path);
    let log = log.map_err(|error| WriteError::new(&path, &error))?.into_file();
    let mut command = Command::new(program);
    command.args(["sweep", "work"]).arg(sweep.path()).args(&ids);
    if jobs > 1 {
        let threads = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / jobs).max(1));
        command.arg("--threads").arg(threads.to_string()).arg("--gpu").arg(place.to_string());
    }
    let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
    let child = child.with_context(|| format!("{} cannot be started", program.display()))?;
    Ok(Worker { child, ids, begun: env::now(), place })
}

/// Asks a process to save its state and end. One that has ended is none to ask.
fn tell_to_stop(child: &Child) {
    // Without unsafe code a signal takes the system's own command.
    let _ = Command::new("kill").arg(child.id().to_string()).stderr(Stdio::null()).status();
}

/// Says how the runs of a process ended.
fn tell(worker: &Worker, sweep: &SweepDir, count: &str, shell: &Shell) -> anyhow::Result<()> {
    let took = duration(env::now() - worker.begun);
    for id in &worker.ids {
        let run = SweepStatus::of_run(sweep, id)?;
        let Some(run) = run else {
            return Err(Complaint::input(format!("{}: the run {id} is gone", sweep.path().display())).into());
        };
        let said = run.message.as_deref().and_then(|text| text.lines().next()).unwrap_or_default();
        let said = if said.is_empty() { String::new() } else { format!(": {said} ({})", run.log.display()) };
        shell.printer.say(format_args!(
            "[{count}] {id} {}, seed {}: {} after {took}{said}",
            run.name, run.seed, run.state
        ));
    }
    Ok(())
}
