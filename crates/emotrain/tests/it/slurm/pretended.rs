//! Slurm's commands as shell scripts that answer what a test tells them to; a real Slurm is in tests/slurm.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workbench::{Said, Workbench};

/// `sbatch`: keeps its arguments, and what it submits in the queue as waiting tasks.
const SBATCH: &str = r#"
echo "$@" >> "$STATE/sbatch"
if [ -f "$STATE/refusal" ]; then cat "$STATE/refusal" >&2; exit 1; fi
id=$(($(grep -c . "$STATE/sbatch") + 100))
name=$(sed -n 's/^#SBATCH --job-name=//p' "$2")
last=$(sed -n 's/^#SBATCH --array=0-\([0-9]*\).*/\1/p' "$2")
for index in $(seq 0 "$last"); do echo "$id|$index|PENDING|Priority||$name" >> "$STATE/queue"; done
if [ -f "$STATE/murder" ]; then kill -9 "$PPID"; exit; fi
if [ -f "$STATE/silence" ]; then echo "sbatch: error: Socket timed out on send/recv operation" >&2; exit 1; fi
echo "$id"
"#;
const SQUEUE: &str = r#"
if [ -f "$STATE/down" ]; then echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1; fi
cat "$STATE/queue"
"#;
const SCANCEL: &str = r#"
echo "$@" >> "$STATE/scancel"
"#;
const SCONTROL: &str = r#"
echo "$@" >> "$STATE/scontrol"
if [ "$1" = show ]; then echo "MaxArraySize            = 3"; fi
"#;

/// A bench where the program finds these commands, and nothing else, on PATH.
pub(super) struct Pretended {
    pub(super) bench: Workbench,
}

impl Pretended {
    pub(super) fn new(sweep: &str) -> Self {
        let bench = Workbench::new();
        bench.write("sweep.toml", sweep);
        let it = Self { bench };
        fs_err::create_dir_all(it.state()).unwrap();
        it.tell("queue", "");
        for (name, script) in
            [("sbatch", SBATCH), ("squeue", SQUEUE), ("scancel", SCANCEL), ("scontrol", SCONTROL)]
        {
            it.install(name, script);
        }
        it
    }

    fn state(&self) -> PathBuf {
        self.bench.path("state")
    }

    fn install(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;

        let bin = self.bench.path("bin");
        fs_err::create_dir_all(&bin).unwrap();
        let file = bin.join(name);
        let text = format!("#!/bin/sh\nPATH=/usr/bin:/bin\nSTATE='{}'\n{script}", self.state().display());
        fs_err::write(&file, text).unwrap();
        fs_err::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Takes a command away.
    pub(super) fn remove(&self, name: &str) {
        fs_err::remove_file(self.bench.path("bin").join(name)).unwrap();
    }

    /// Sets how the commands behave: a file of theirs.
    pub(super) fn tell(&self, name: &str, text: &str) {
        fs_err::write(self.state().join(name), text).unwrap();
    }

    pub(super) fn forget(&self, name: &str) {
        fs_err::remove_file(self.state().join(name)).unwrap();
    }

    /// What the commands kept.
    pub(super) fn heard(&self, name: &str) -> String {
        fs_err::read_to_string(self.state().join(name)).unwrap_or_default()
    }

    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.bench.command(&[&["sweep"], args].concat());
        command.env("PATH", self.bench.path("bin"));
        command
    }

    pub(super) fn sweep(&self, args: &[&str]) -> Said {
        Said::of(&self.command(args).output().unwrap())
    }

    /// The folder of the sweep.
    pub(super) fn folder(&self) -> PathBuf {
        self.bench.path("checkpoints/sweep")
    }

    /// The runs of each task of a submission.
    pub(super) fn tasks(&self, number: usize) -> Vec<Vec<String>> {
        let path = self.folder().join(format!("slurm/{number}.json"));
        let record: serde_json::Value = serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap();
        serde_json::from_value(record["tasks"].clone()).unwrap()
    }

    /// How many submissions are recorded.
    pub(super) fn submissions(&self) -> usize {
        let files = fs_err::read_dir(self.folder().join("slurm")).into_iter().flatten().flatten();
        files.filter(|file| Path::new(&file.file_name()).extension().is_some_and(|it| it == "json")).count()
    }
}
