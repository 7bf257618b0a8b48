//! Back into Slurm's queue.

use emotrain_base::Complaint;

use crate::cli::WorkArgs;
use crate::shell::Shell;
use crate::slurm;

/// The task of a Slurm array that is put back into the queue on a warning.
#[derive(Clone, Debug)]
pub(super) struct Requeue {
    task: Option<String>,
    shell: Shell,
}

impl Requeue {
    /// # Errors
    /// A process that is not a task of an array although it is to be put back.
    pub(super) fn new(args: &WorkArgs, shell: &Shell) -> anyhow::Result<Self> {
        let task = shell.env.slurm_task.clone().filter(|_| args.requeue);
        if args.requeue && task.is_none() {
            let complaint = Complaint::usage("--requeue: this process is not a task of a Slurm array");
            return Err(complaint.hint("leave the option out; scripts of --engine slurm set it").into());
        }
        Ok(Self { task, shell: shell.clone() })
    }

    /// Whether the task is put back on a warning.
    pub(super) fn is_asked(&self) -> bool {
        self.task.is_some()
    }

    /// Puts the task back, which ends this process; not if it would come no further.
    pub(super) fn put_back(&self, is_stuck: bool) {
        let Some(task) = &self.task else { return };
        let printer = &self.shell.printer;
        if is_stuck {
            printer.warn(
                "the task is not requeued: two times in a row it was warned before anything was saved; raise \
slurm.time, or let slurm.signal come later",
            );
        } else if let Err(complaint) = slurm::requeue(task) {
            printer.error(&complaint.into());
        }
    }
}
