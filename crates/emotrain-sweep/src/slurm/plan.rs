//! What is submitted: runs as tasks, tasks as job arrays, an array as a script.

use std::fmt::Write as _;
use std::path::Path;

use super::quoting::{option_value, pattern, shell_word};
use super::section::SlurmSection;

/// Slurm's default for `MaxArraySize`.
pub const MAX_ARRAY_SIZE: usize = 1001;

/// The most tasks that an array may have, from the output of `scontrol show config`.
pub fn array_limit(config: &str) -> Option<usize> {
    let value =
        config.lines().find_map(|line| line.trim_start().strip_prefix("MaxArraySize")?.split('=').nth(1));
    value?.trim().parse().ok().filter(|limit| *limit > 0)
}

/// A job array before it is submitted.
#[derive(Clone, Copy, Debug)]
pub struct SlurmPlan<'p> {
    /// `[slurm]` of the sweep file.
    pub section: &'p SlurmSection,
    /// The job's name.
    pub name: &'p str,
    /// Its number in the sweep, from 1.
    pub number: usize,
    /// The program, an absolute path.
    pub program: &'p Path,
    /// The sweep's folder, an absolute path.
    pub folder: &'p Path,
    /// Where tasks run: relative paths of recipes begin here.
    pub directory: &'p Path,
    /// The ids of the runs of each task.
    pub tasks: &'p [Vec<String>],
}

impl SlurmPlan<'_> {
    /// The batch script. The shell is replaced by the program, so that signals reach it; what that prints is appended to
    /// the log of the task's first run.
    pub fn script(&self) -> String {
        let mut text = "#!/bin/bash\n".to_owned();
        for (option, value) in self.options() {
            let line = value.map_or(option.to_owned(), |value| format!("{option}={}", option_value(&value)));
            let _ = writeln!(text, "#SBATCH {line}");
        }
        for option in &self.section.extra {
            let _ = writeln!(text, "#SBATCH {option}");
        }
        let folder = shell_word(&self.folder.to_string_lossy());
        let _ =
            writeln!(text, "\n# Submission {} of the sweep in {folder}: the runs of each task.", self.number);
        text.push_str("runs=(\n");
        for runs in self.tasks {
            let _ = writeln!(text, "  {}", shell_word(&runs.join(" ")));
        }
        text.push_str(")\n");
        if !self.section.setup.is_empty() {
            let _ = writeln!(text, "\n{}", self.section.setup.join("\n"));
        }
        let program = shell_word(&self.program.to_string_lossy());
        let mut flags = String::new();
        if self.section.requeue {
            flags.push_str(" --requeue");
        }
        if let Some(cpus) = self.section.cpus_per_task {
            let _ = write!(flags, " --threads {cpus}");
        }
        let _ = write!(
            text,
            "\nids=${{runs[SLURM_ARRAY_TASK_ID]}}\n\
             # shellcheck disable=SC2086 # one word for each run\n\
             exec {program} sweep work{flags} {folder} $ids >>{folder}/logs/\"${{ids%% *}}\".log 2>&1\n"
        );
        text
    }

    fn options(&self) -> Vec<(&'static str, Option<String>)> {
        let SlurmSection { account, partition, qos, gres, cpus_per_task, mem, time, .. } = self.section;
        let throttle = self.section.array_throttle.map_or(String::new(), |most| format!("%{most}"));
        let output = pattern(&self.folder.join("slurm").to_string_lossy());
        let mut options = vec![
            ("--job-name", Some(self.name.to_owned())),
            ("--array", Some(format!("0-{}{throttle}", self.tasks.len().saturating_sub(1)))),
            ("--output", Some(format!("{output}/{}_%a.out", self.number))),
            ("--open-mode", Some("append".to_owned())),
            ("--chdir", Some(self.directory.to_string_lossy().into_owned())),
            ("--nodes", Some("1".to_owned())),
            ("--ntasks", Some("1".to_owned())),
        ];
        let cpus = cpus_per_task.map(|cpus| cpus.to_string());
        let chosen = [
            ("--account", account),
            ("--partition", partition),
            ("--qos", qos),
            ("--gres", gres),
            ("--cpus-per-task", &cpus),
            ("--mem", mem),
            ("--time", time),
        ];
        options.extend(chosen.into_iter().filter_map(|(option, value)| Some((option, Some(value.clone()?)))));
        options.push(("--signal", Some(self.section.signal.clone())));
        options.push((if self.section.requeue { "--requeue" } else { "--no-requeue" }, None));
        options
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn plan<'p>(section: &'p SlurmSection, tasks: &'p [Vec<String>]) -> SlurmPlan<'p> {
        SlurmPlan {
            section,
            name: "emotrain-curriculum-1-3f2a1b",
            number: 1,
            program: Path::new("/home/ada/bin/emotrain"),
            folder: Path::new("/scratch/ada/50% of it/curriculum"),
            directory: Path::new("/scratch/ada/50% of it"),
            tasks,
        }
    }

    #[test]
    fn a_script_says_what_its_tasks_run() {
        let section = SlurmSection {
            partition: Some("gpu".into()),
            gres: Some("gpu:1".into()),
            cpus_per_task: Some(8),
            time: Some("4:00:00".into()),
            array_throttle: Some(4),
            extra: vec!["--exclude=node7".into()],
            setup: vec!["module load cuda".into()],
            ..SlurmSection::default()
        };
        let tasks =
            [vec!["aaaaaaaaaaaa".to_owned(), "bbbbbbbbbbbb".to_owned()], vec!["cccccccccccc".to_owned()]];
        expect![[r#"
            #!/bin/bash
            #SBATCH --job-name=emotrain-curriculum-1-3f2a1b
            #SBATCH --array=0-1%4
            #SBATCH --output="/scratch/ada/50%% of it/curriculum/slurm/1_%a.out"
            #SBATCH --open-mode=append
            #SBATCH --chdir="/scratch/ada/50% of it"
            #SBATCH --nodes=1
            #SBATCH --ntasks=1
            #SBATCH --partition=gpu
            #SBATCH --gres=gpu:1
            #SBATCH --cpus-per-task=8
            #SBATCH --time=4:00:00
            #SBATCH --signal=B:USR1@120
            #SBATCH --requeue
            #SBATCH --exclude=node7

            # Submission 1 of the sweep in '/scratch/ada/50% of it/curriculum': the runs of each task.
            runs=(
              'aaaaaaaaaaaa bbbbbbbbbbbb'
              cccccccccccc
            )

            module load cuda

            ids=${runs[SLURM_ARRAY_TASK_ID]}
            # shellcheck disable=SC2086 # one word for each run
            exec /home/ada/bin/emotrain sweep work --requeue --threads 8 '/scratch/ada/50% of it/curriculum' $ids >>'/scratch/ada/50% of it/curriculum'/logs/"${ids%% *}".log 2>&1
        "#]].assert_eq(&plan(&section, &tasks).script());
    }

    #[test]
    fn a_script_can_forbid_requeueing() {
        let section = SlurmSection { requeue: false, ..SlurmSection::default() };
        let script = plan(&section, &[vec!["aaaaaaaaaaaa".to_owned()]]).script();
        assert!(
            script.contains("#SBATCH --no-requeue\n") && script.contains(" sweep work '/scratch"),
            "{script}"
        );
    }

    #[test]
    fn the_limit_of_an_array_is_slurms() {
        let config =
            "Configuration data as of 2026-11-27\nMaxArraySize            = 4001\nMaxJobCount = 10000\n";
        assert_eq!(array_limit(config), Some(4001));
        assert_eq!(array_limit("MaxJobCount = 10000"), None);
    }
}
