//! Slurm's commands, as far as sweeps need them: `sbatch`, `squeue`, `scancel` and `scontrol`.

mod external;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use emotrain_base::{Complaint, Lock, create_folder, write_atomic};
use emotrain_sweep::{
    MAX_ARRAY_SIZE, SlurmJob, SlurmPlan, SlurmQueue, SlurmSection, SlurmSubmission, array_limit,
    job_of_sbatch,
};

use crate::env;
use crate::shell::Shell;

use self::external::{Answer, NoAnswer, ask};

/// How long a question may take. Slurm's own commands give up after some 10 to 100 s.
const QUESTION: Duration = Duration::from_mins(1);
/// How long a submission may take: sites check it with programs of their own.
const SUBMISSION: Duration = Duration::from_mins(3);

/// A sweep on Slurm.
#[derive(Debug)]
pub(crate) struct SlurmSweep<'s> {
    /// Its folder, an absolute path.
    folder: PathBuf,
    section: &'s SlurmSection,
    submissions: Vec<SlurmSubmission>,
    /// One process submits at a time.
    _lock: Lock,
}

/// Where the runs of a sweep are in Slurm, by their ids; empty if none was submitted.
///
/// # Errors
/// Records of submissions that cannot be read, and a Slurm that does not answer although something was submitted.
pub(crate) fn places(folder: &Path) -> anyhow::Result<BTreeMap<String, SlurmJob>> {
    let submissions = SlurmSubmission::all(folder)?;
    if submissions.is_empty() {
        return Ok(BTreeMap::new());
    }
    Ok(SlurmSubmission::places(folder, &submissions, &queue(&submissions)?))
}

impl<'s> SlurmSweep<'s> {
    /// Keeps other processes from submitting runs of the sweep, and reads what was submitted before.
    ///
    /// # Errors
    /// A folder that cannot be written or that another process submits from, and damaged records.
    pub(crate) fn open(folder: &Path, section: &'s SlurmSection) -> anyhow::Result<Self> {
        let folder = std::path::absolute(folder).with_context(|| format!("{}", folder.display()))?;
        let place = folder.join("slurm");
        create_folder(&place)?;
        let lock = Lock::take(&place)?;
        let submissions = SlurmSubmission::all(&folder)?;
        Ok(Self { folder, section, submissions, _lock: lock })
    }

    /// Leaves out runs that Slurm has already: those that wait, run, or are being ended.
    ///
    /// # Errors
    /// A Slurm that does not answer although something was submitted.
    pub(crate) fn not_in_slurm(&self, tasks: Vec<Vec<String>>) -> anyhow::Result<Vec<Vec<String>>> {
        if self.submissions.is_empty() {
            return Ok(tasks);
        }
        let queue = queue(&self.submissions).map_err(|complaint| {
            complaint
                .hint("which runs are queued or running is not known, so nothing is submitted; try again")
        })?;
        let places = SlurmSubmission::places(&self.folder, &self.submissions, &queue);
        let is_free = |run: &String| places.get(run).is_none_or(|job| !job.task.state.is_live());
        let free = tasks.into_iter().map(|runs| runs.into_iter().filter(is_free).collect());
        Ok(free.filter(|runs: &Vec<String>| !runs.is_empty()).collect())
    }

    /// Submits tasks, as many arrays as Slurm's limit requires, and returns their job ids.
    ///
    /// # Errors
    /// What `sbatch` says. Arrays before that one are submitted.
    pub(crate) fn submit(&mut self, tasks: &[Vec<String>], shell: &Shell) -> anyhow::Result<Vec<u64>> {
        let limit = ask_for("scontrol", &["show", "config"], QUESTION)?;
        let limit = array_limit(&limit.out).unwrap_or(MAX_ARRAY_SIZE);
        let mut jobs = Vec::new();
        for tasks in tasks.chunks(limit) {
            let number = self.submissions.last().map_or(1, |last| last.number + 1);
            let submission = SlurmSubmission::new(&self.folder, number, env::now(), tasks.to_vec());
            jobs.push(self.submit_array(submission, shell)?);
        }
        Ok(jobs)
    }

    fn submit_array(&mut self, mut submission: SlurmSubmission, shell: &Shell) -> anyhow::Result<u64> {
        let program = std::env::current_exe().context("the path of this program is not known")?;
        let directory = std::path::absolute(".").context("the current folder is not known")?;
        let plan = SlurmPlan {
            section: self.section,
            name: &submission.name,
            number: submission.number,
            program: &program,
            folder: &self.folder,
            directory: &directory,
            tasks: &submission.tasks,
        };
        let script = submission.script(&self.folder);
        write_atomic(&script, plan.script().as_bytes())?;
        // Recorded before and after: a process that dies in between leaves a name to look for.
        submission.write(&self.folder)?;
        let job = match sbatch(&script) {
            Ok(job) => job,
            Err(complaint) => match queue(std::slice::from_ref(&submission))
                .map(|queue| queue.job_named(&submission.name))
            {
                // The answer was lost on the way, the job was not.
                Ok(Some(job)) => job,
                Ok(None) => {
                    submission.withdraw(&self.folder)?;
                    return Err(complaint.into());
                }
                Err(_) => {
                    shell.printer.warn(format_args!(
                        "whether Slurm has job {} is not known; the next emotrain sweep command will find out",
                        submission.name
                    ));
                    return Err(complaint.into());
                }
            },
        };
        submission.job = Some(job);
        submission.write(&self.folder)?;
        self.submissions.push(submission);
        Ok(job)
    }
}

/// Submits a script and returns the job's id.
fn sbatch(script: &Path) -> Result<u64, Complaint> {
    let path = script.to_string_lossy();
    let answer = ask_for("sbatch", &["--parsable", &path], SUBMISSION)?;
    job_of_sbatch(&answer.out).ok_or_else(|| {
        Complaint::input(format!("sbatch answered without a job's id: {:?}", answer.out))
            .hint("look for the job with squeue --name, and report the answer")
    })
}

/// What Slurm says of submissions.
fn queue(submissions: &[SlurmSubmission]) -> Result<SlurmQueue, Complaint> {
    let names = submissions.iter().map(|submission| submission.name.as_str());
    let arguments = SlurmQueue::arguments(names);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let answer = ask_for("squeue", &arguments, QUESTION)?;
    SlurmQueue::parse(&answer.out)
        .map_err(|line| Complaint::input(format!("squeue printed a line that is not understood: {line:?}")))
}

/// Cancels job arrays: what waits is removed, what runs gets SIGTERM and saves.
///
/// # Errors
/// What `scancel` says.
pub(crate) fn cancel(jobs: &BTreeSet<u64>) -> Result<(), Complaint> {
    let jobs: Vec<String> = jobs.iter().map(u64::to_string).collect();
    let jobs: Vec<&str> = jobs.iter().map(String::as_str).collect();
    ask_for("scancel", &jobs, QUESTION).map(drop)
}

/// Puts a task of this process's array back into the queue, which ends this process.
///
/// # Errors
/// What `scontrol` says.
pub(crate) fn requeue(task: &str) -> Result<(), Complaint> {
    ask_for("scontrol", &["requeue", task], QUESTION).map(drop)
}

/// Runs one of Slurm's commands, which has to succeed.
fn ask_for(program: &str, arguments: &[&str], limit: Duration) -> Result<Answer, Complaint> {
    let answer = ask(Command::new(program).args(arguments), limit).map_err(|no_answer| match no_answer {
        NoAnswer::Missing => Complaint::input(format!("{program}: there is no such program on PATH")).hint(
            "Slurm's commands are on the login nodes of a cluster; elsewhere use --engine local, or --engine script",
        ),
        NoAnswer::Failed(complaint) => complaint,
    })?;
    if answer.status.success() {
        return Ok(answer);
    }
    let code = answer.status.code().map_or("a signal".to_owned(), |code| format!("exit code {code}"));
    let said = if answer.err.is_empty() { code } else { answer.err };
    Err(Complaint::input(format!("{program} refused: {said}")))
}
