//! What is recorded of a submission: `slurm/N.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use emotrain_base::{Complaint, Problems, limits, sha256_hex, write_atomic};
use serde::{Deserialize, Serialize};

use super::queue::{SlurmQueue, SlurmTask};

/// The folder of the records within the sweep's folder.
const FOLDER: &str = "slurm";
/// How many characters of the sweep's name are in a job's name.
const NAME_LENGTH: usize = 40;

/// A job array of a sweep. It is recorded before `sbatch` runs and again when the job has an id.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SlurmSubmission {
    /// Its number in the sweep, from 1.
    pub number: usize,
    /// The job's name, which no other submission has.
    pub name: String,
    /// Slurm's id of the array; `None` before `sbatch` answered.
    pub job: Option<u64>,
    /// When it was recorded, in seconds since 1970.
    pub begun_unix_s: f64,
    /// The ids of the runs of each task, by the task's index.
    pub tasks: Vec<Vec<String>>,
}

/// A run's place in Slurm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SlurmJob {
    /// The number of the submission.
    pub submission: usize,
    /// Where Slurm writes its own messages about the task.
    pub output: PathBuf,
    /// What Slurm says.
    #[serde(flatten)]
    pub task: SlurmTask,
}

impl SlurmSubmission {
    /// A submission of the sweep in `folder`, an absolute path.
    pub fn new(folder: &Path, number: usize, begun_unix_s: f64, tasks: Vec<Vec<String>>) -> Self {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let name: String =
            name.chars().take(NAME_LENGTH).map(|c| if is_plain(c) { c } else { '_' }).collect();
        // Sweeps in other folders may be called the same.
        let digest = sha256_hex(format!("{}\n{begun_unix_s}", folder.display()).as_bytes());
        let name = format!("emotrain-{name}-{number}-{}", &digest[..8]);
        Self { number, name, job: None, begun_unix_s, tasks }
    }

    /// The submissions of a sweep, in their order.
    ///
    /// # Errors
    /// Records that cannot be read.
    pub fn all(folder: &Path) -> Result<Vec<Self>, Problems> {
        let Ok(entries) = fs_err::read_dir(folder.join(FOLDER)) else { return Ok(Vec::new()) };
        let mut problems = Problems::default();
        let mut submissions = Vec::new();
        for entry in entries.flatten().filter(|entry| number_of(&entry.path()).is_some()) {
            submissions.extend(problems.take(read(&entry.path())));
        }
        problems.finish()?;
        submissions.sort_by_key(|submission| submission.number);
        Ok(submissions)
    }

    /// Where the batch script of the submission is.
    pub fn script(&self, folder: &Path) -> PathBuf {
        folder.join(FOLDER).join(format!("{}.sh", self.number))
    }

    /// Where the record is.
    pub fn record(&self, folder: &Path) -> PathBuf {
        folder.join(FOLDER).join(format!("{}.json", self.number))
    }

    /// Where Slurm writes its own messages about a task.
    fn output(&self, folder: &Path, index: usize) -> PathBuf {
        folder.join(FOLDER).join(format!("{}_{index}.out", self.number))
    }

    /// Records it.
    ///
    /// # Errors
    /// A record that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Problems> {
        fs_err::create_dir_all(folder.join(FOLDER))?;
        let mut text = serde_json::to_string_pretty(self).map_err(std::io::Error::from)?;
        text.push('\n');
        Ok(write_atomic(&self.record(folder), text.as_bytes())?)
    }

    /// Removes the record and the script of a submission that Slurm refused.
    ///
    /// # Errors
    /// Files that cannot be removed.
    pub fn withdraw(&self, folder: &Path) -> Result<(), Problems> {
        for file in [self.record(folder), self.script(folder)] {
            match fs_err::remove_file(file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// The place of every run that Slurm knows of: of several submissions, the last that has it.
    pub fn places(folder: &Path, submissions: &[Self], queue: &SlurmQueue) -> BTreeMap<String, SlurmJob> {
        let mut places: BTreeMap<String, SlurmJob> = BTreeMap::new();
        for submission in submissions {
            let Some(job) = submission.job.or_else(|| queue.job_named(&submission.name)) else { continue };
            for (index, runs) in submission.tasks.iter().enumerate() {
                let Some(task) = queue.task(job, index) else { continue };
                for run in runs {
                    let place = SlurmJob {
                        submission: submission.number,
                        output: submission.output(folder, index),
                        task: task.clone(),
                    };
                    places.insert(run.clone(), place);
                }
            }
        }
        places
    }
}

/// The id that `sbatch --parsable` printed: `12`, or `12;cluster`.
pub fn job_of_sbatch(output: &str) -> Option<u64> {
    // Sites may print lines of their own.
    output.lines().rev().find_map(|line| line.split(';').next()?.trim().parse().ok())
}

fn number_of(path: &Path) -> Option<usize> {
    path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok()
}

fn read(path: &Path) -> Result<SlurmSubmission, Problems> {
    let text = emotrain_base::read_to_string(path, limits::CONFIG)?;
    let submission = serde_json::from_str(&text).map_err(|error| {
        Complaint::input(format!("{}: {error}", path.display())).hint(
            "the file records a submission to Slurm; remove it if none of its jobs is queued or running",
        )
    })?;
    Ok(submission)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn two_tasks(folder: &Path, number: usize) -> SlurmSubmission {
        let tasks =
            vec![vec!["aaaaaaaaaaaa".to_owned(), "bbbbbbbbbbbb".to_owned()], vec!["cccccccccccc".to_owned()]];
        SlurmSubmission::new(folder, number, 1_700_000_000.0, tasks)
    }

    #[test]
    fn a_submission_is_recorded_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(SlurmSubmission::all(folder.path()).unwrap(), []);
        let mut first = two_tasks(Path::new("/data/my sweep"), 1);
        first.write(folder.path()).unwrap();
        first.job = Some(12);
        first.write(folder.path()).unwrap();
        let text = fs_err::read_to_string(first.record(folder.path())).unwrap();
        expect![[r#"
            {
              "number": 1,
              "name": "emotrain-my_sweep-1-369454ff",
              "job": 12,
              "begun_unix_s": 1700000000.0,
              "tasks": [
                [
                  "aaaaaaaaaaaa",
                  "bbbbbbbbbbbb"
                ],
                [
                  "cccccccccccc"
                ]
              ]
            }
        "#]]
        .assert_eq(&text);
        let second = two_tasks(Path::new("/data/my sweep"), 2);
        second.write(folder.path()).unwrap();
        fs_err::write(folder.path().join("slurm/2_0.out"), "").unwrap();
        assert_eq!(SlurmSubmission::all(folder.path()).unwrap(), [first.clone(), second]);

        first.withdraw(folder.path()).unwrap();
        first.withdraw(folder.path()).unwrap();
        assert_eq!(SlurmSubmission::all(folder.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_damaged_record_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(folder.path().join("slurm")).unwrap();
        fs_err::write(folder.path().join("slurm/3.json"), "{\"number\": 3}").unwrap();
        let error = SlurmSubmission::all(folder.path()).unwrap_err().to_string();
        assert!(error.contains("slurm/3.json: missing field `name`") && error.contains("hint: "), "{error}");
    }

    #[test]
    fn names_tell_sweeps_apart() {
        let names = ["/a/sweep", "/b/sweep"].map(|folder| two_tasks(Path::new(folder), 1).name);
        assert_ne!(names[0], names[1]);
    }

    #[test]
    fn a_run_is_where_it_was_submitted_last() {
        let folder = Path::new("/data/sweep");
        let mut first = two_tasks(folder, 1);
        first.job = Some(7);
        // The process died before it recorded the job's id.
        let second = two_tasks(folder, 2);
        let queue = format!(
            "7|0|FAILED|NonZeroExitCode|node1|{}\n7|1|COMPLETED|None|node1|{}\n9|0|RUNNING|None|node2|{}\n",
            first.name, first.name, second.name
        );
        let queue = SlurmQueue::parse(&queue).unwrap();
        let places = SlurmSubmission::places(folder, &[first, second], &queue);
        let shown: Vec<String> =
            places.iter().map(|(run, job)| format!("{run} {} {}", job.submission, job.task)).collect();
        assert_eq!(
            shown,
            [
                "aaaaaaaaaaaa 2 9_0 RUNNING on node2",
                "bbbbbbbbbbbb 2 9_0 RUNNING on node2",
                "cccccccccccc 1 7_1 COMPLETED on node1"
            ]
        );
    }

    #[test]
    fn sbatch_answers_with_an_id() {
        assert_eq!(job_of_sbatch("1234\n"), Some(1234));
        assert_eq!(job_of_sbatch("Welcome to the cluster!\n1234;north\n"), Some(1234));
        assert_eq!(job_of_sbatch("error\n"), None);
    }
}
