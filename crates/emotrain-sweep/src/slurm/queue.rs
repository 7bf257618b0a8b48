//! What `squeue` says.

use std::fmt;

use serde::Serialize;

/// The tasks that Slurm knows of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlurmQueue {
    tasks: Vec<SlurmTask>,
}

/// A task of a job array, as Slurm sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SlurmTask {
    /// The array's job id.
    pub job: u64,
    /// Its index in the array.
    pub index: usize,
    /// Its state.
    pub state: SlurmTaskState,
    /// Why it waits, or how it ended; empty if there is no reason.
    pub reason: String,
    /// Where it runs or ran; empty before.
    pub nodes: String,
    /// The job's name.
    #[serde(skip)]
    pub name: String,
}

/// The state of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum SlurmTaskState {
    /// It waits, perhaps after it was requeued.
    Pending,
    /// It has a node.
    Running,
    /// Its processes are being ended.
    Completing,
    /// It ended: `COMPLETED`, `FAILED`, `CANCELLED`, `TIMEOUT`, `NODE_FAIL`, ….
    Ended(String),
}

/// The states that a task does not leave.
const ENDS: [&str; 11] = [
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "TIMEOUT",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "BOOT_FAIL",
    "DEADLINE",
    "REVOKED",
    "LAUNCH_FAILED",
];

impl SlurmTaskState {
    /// From Slurm's long name. A state that is not known counts as waiting, so that nothing is submitted twice.
    fn of(name: &str) -> Self {
        match name {
            "COMPLETING" | "STAGE_OUT" => Self::Completing,
            "RUNNING" | "SUSPENDED" | "STOPPED" | "SIGNALING" | "RESIZING" | "CONFIGURING" => Self::Running,
            ended if ENDS.contains(&ended) => Self::Ended(ended.to_owned()),
            _ => Self::Pending,
        }
    }

    /// Whether the task runs or will run.
    pub fn is_live(&self) -> bool {
        !matches!(self, Self::Ended(_))
    }
}

impl fmt::Display for SlurmTaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Completing => "COMPLETING",
            Self::Ended(name) => name,
        })
    }
}

impl From<SlurmTaskState> for String {
    fn from(state: SlurmTaskState) -> Self {
        state.to_string()
    }
}

impl fmt::Display for SlurmTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{} {}", self.job, self.index, self.state)?;
        if self.state == SlurmTaskState::Pending && !self.reason.is_empty() {
            write!(f, " ({})", self.reason)?;
        } else if !self.nodes.is_empty() {
            write!(f, " on {}", self.nodes)?;
        }
        Ok(())
    }
}

impl SlurmQueue {
    /// The arguments of `squeue` for jobs of these names.
    pub fn arguments<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<String> {
        let names: Vec<&str> = names.into_iter().collect();
        let format = "--format=%F|%K|%T|%r|%N|%j".to_owned();
        let given = ["--array", "--states=all", "--noheader"].map(str::to_owned);
        given.into_iter().chain([format, format!("--name={}", names.join(","))]).collect()
    }

    /// Reads the output of `squeue` with these [`arguments`](Self::arguments).
    ///
    /// # Errors
    /// A line that has another form.
    pub fn parse(output: &str) -> Result<Self, String> {
        let mut tasks = Vec::new();
        for line in output.lines().filter(|line| !line.trim().is_empty()) {
            tasks.extend(parse_line(line).ok_or_else(|| line.to_owned())?);
        }
        Ok(Self { tasks })
    }

    /// A task by the array's id and its index. Of a task that is listed twice, the one that is not at its end.
    pub fn task(&self, job: u64, index: usize) -> Option<&SlurmTask> {
        let listed = self.tasks.iter().filter(|task| task.job == job && task.index == index);
        listed.min_by_key(|task| !task.state.is_live())
    }

    /// The id of the array that has this name.
    pub fn job_named(&self, name: &str) -> Option<u64> {
        self.tasks.iter().find(|task| task.name == name).map(|task| task.job)
    }
}

fn parse_line(line: &str) -> Option<Vec<SlurmTask>> {
    let mut fields = line.trim().splitn(6, '|');
    let mut next = || fields.next().map(str::trim);
    let (job, indices, state, reason, nodes, name) = (next()?, next()?, next()?, next()?, next()?, next()?);
    let job = job.parse().ok()?;
    let reason = if reason == "None" { "" } else { reason };
    let task = |index| SlurmTask {
        job,
        index,
        state: SlurmTaskState::of(state),
        reason: reason.to_owned(),
        nodes: nodes.to_owned(),
        name: name.to_owned(),
    };
    Some(parse_indices(indices)?.into_iter().map(task).collect())
}

/// The largest index that Slurm allows.
const LARGEST_INDEX: usize = 4_000_000;

/// Indices as Slurm writes them: `3`, `3-7`, `0-9:3`, `1,4-6`, with `%2` at the end for the throttle.
fn parse_indices(text: &str) -> Option<Vec<usize>> {
    let text = text.split('%').next()?.trim_matches(['[', ']']);
    if text == "N/A" {
        return Some(Vec::new());
    }
    let mut indices = Vec::new();
    for part in text.split(',').filter(|part| *part != "...") {
        let (range, step) =
            part.split_once(':').map_or((part, Some(1)), |(range, step)| (range, step.parse().ok()));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        let step = step.filter(|step| *step > 0)?;
        (last <= LARGEST_INDEX).then_some(())?;
        indices.extend((first..=last).step_by(step));
    }
    Some(indices)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(output: &str) -> Vec<String> {
        SlurmQueue::parse(output).unwrap().tasks.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_queue_of_a_real_slurm_is_read() {
        let output = "12|1|PENDING|JobArrayTaskLimit||emotrain-play-1-abcdef\n\
            12|0|RUNNING|None|node1|emotrain-play-1-abcdef\n\
            12|2|COMPLETING|None|node1|emotrain-play-1-abcdef\n\
            12|3|FAILED|NonZeroExitCode|node2|emotrain-play-1-abcdef\n\
            12|4|PENDING|Nodes required for job are DOWN, DRAINED or reserved||emotrain-play-1-abcdef\n\
            13|N/A|RUNNING|None|node2|other\n";
        assert_eq!(
            shown(output),
            [
                "12_1 PENDING (JobArrayTaskLimit)",
                "12_0 RUNNING on node1",
                "12_2 COMPLETING on node1",
                "12_3 FAILED on node2",
                "12_4 PENDING (Nodes required for job are DOWN, DRAINED or reserved)",
            ]
        );
        let queue = SlurmQueue::parse(output).unwrap();
        assert_eq!(queue.job_named("emotrain-play-1-abcdef"), Some(12));
        assert_eq!((queue.job_named("emotrain-play-2-abcdef"), queue.task(13, 0)), (None, None));
        assert!(!queue.task(12, 3).unwrap().state.is_live() && queue.task(12, 2).unwrap().state.is_live());
    }

    #[test]
    fn ranges_are_expanded() {
        assert_eq!(parse_indices("3-7%2").unwrap(), [3, 4, 5, 6, 7]);
        assert_eq!(parse_indices("[1,4-5,9]").unwrap(), [1, 4, 5, 9]);
        assert_eq!(parse_indices("0-9:3").unwrap(), [0, 3, 6, 9]);
        assert_eq!(parse_indices("1-4000001"), None);
        assert_eq!(parse_indices("0-9:0"), None);
        assert_eq!(parse_indices("x"), None);
    }

    #[test]
    fn states_that_are_not_known_count_as_waiting() {
        for state in ["REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD", "DREAMING"] {
            assert_eq!(SlurmTaskState::of(state), SlurmTaskState::Pending, "{state}");
        }
        for state in ENDS {
            assert!(!SlurmTaskState::of(state).is_live(), "{state}");
        }
    }

    #[test]
    fn a_requeued_task_that_is_listed_twice_is_live() {
        let queue = SlurmQueue::parse("5|0|PREEMPTED|None|node1|n\n5|0|PENDING|BeginTime||n\n").unwrap();
        assert_eq!(queue.task(5, 0).unwrap().to_string(), "5_0 PENDING (BeginTime)");
    }

    #[test]
    fn other_output_is_an_error() {
        assert_eq!(SlurmQueue::parse("\nslurm is asleep\n"), Err("slurm is asleep".to_owned()));
        assert_eq!(SlurmQueue::parse("1|0|RUNNING"), Err("1|0|RUNNING".to_owned()));
    }
}
