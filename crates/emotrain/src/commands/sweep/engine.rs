//! What trains the runs of a sweep: processes here, Slurm, or whatever runs a script.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use emotrain_base::{WriteError, create_folder};
use emotrain_sweep::{SweepDir, SweepFile, SweepStatus, task_script};

use super::local;
use crate::cli::{Engine, EngineArgs};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::shell::Shell;
use crate::slurm::SlurmSweep;

/// Runs of a sweep that are to be trained.
pub(super) struct Launch<'l> {
    pub(super) sweep: &'l SweepDir,
    pub(super) file: &'l SweepFile,
    /// The runs of each process, by id.
    pub(super) tasks: Vec<Vec<String>>,
    /// The sweep as the command line names it.
    pub(super) named: &'l Path,
}

impl Launch<'_> {
    /// Trains the runs, or hands them on.
    ///
    /// # Errors
    /// A process that cannot be started; a Slurm that refuses.
    pub(super) fn begin(self, args: EngineArgs, shell: &Shell) -> anyhow::Result<Exit> {
        prepare_logs(self.sweep, &self.tasks)?;
        match args.engine {
            Engine::Local => self.train(args.jobs, shell),
            Engine::Slurm => self.submit(shell),
            Engine::Script => self.print(shell),
        }
    }

    fn train(self, jobs: usize, shell: &Shell) -> anyhow::Result<Exit> {
        let interrupt = Interrupt::install()?;
        let stopped = local::train(self.sweep, self.tasks, jobs, shell, &interrupt)?;
        let status = SweepStatus::read(self.sweep)?;
        shell.printer.result(&status)?;
        Ok(if stopped {
            shell.printer.say(format_args!("resume with: emotrain sweep {}", self.named.display()));
            interrupt.exit()
        } else if status.runs.iter().all(|run| run.state.is_over()) {
            let (named, folder) = (self.named.display(), self.sweep.path().display());
            shell
                .printer
                .say(format_args!("runs are in {folder}/runs; emotrain sweep board {named} ranks them"));
            Exit::Done
        } else {
            Exit::Input
        })
    }

    fn submit(self, shell: &Shell) -> anyhow::Result<Exit> {
        let mut slurm = SlurmSweep::open(self.sweep.path(), &self.file.slurm)?;
        let tasks = slurm.not_in_slurm(self.tasks)?;
        if tasks.is_empty() {
            shell.printer.say("nothing is submitted: no run is left that is neither queued nor running");
            return Ok(Exit::Done);
        }
        for job in slurm.submit(&tasks, shell)? {
            shell.printer.say(format_args!("submitted job {job}"));
        }
        shell.printer.say(format_args!("see how far it is: emotrain sweep status {}", self.named.display()));
        Ok(Exit::Done)
    }

    fn print(self, shell: &Shell) -> anyhow::Result<Exit> {
        let program = std::env::current_exe().context("the path of this program is not known")?;
        let directory = std::path::absolute(".").context("the current folder is not known")?;
        let folder = directory.join(self.sweep.path());
        let script = task_script(&program, &folder, &directory, &self.tasks);
        shell.printer.result(script.trim_end())?;
        Ok(Exit::Done)
    }
}

/// Makes the folder of logs, and refers from a run's log to that of its process.
fn prepare_logs(sweep: &SweepDir, tasks: &[Vec<String>]) -> anyhow::Result<()> {
    create_folder(&sweep.logs())?;
    for runs in tasks {
        for other in &runs[1..] {
            let path = sweep.log(other);
            let log = fs_err::OpenOptions::new().create(true).append(true).open(&path);
            let written =
                log.and_then(|mut log| writeln!(log, "trained together with others: see {}.log", runs[0]));
            written.map_err(|error| WriteError::new(&path, &error))?;
        }
    }
    Ok(())
}
