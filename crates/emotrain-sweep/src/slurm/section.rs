//! `[slurm]` of a sweep file.

use emotrain_base::{Complaint, Problems};
use serde::{Deserialize, Serialize};

/// The longest warning that Slurm accepts, in seconds.
const LONGEST_WARNING_S: u32 = 65_535;

/// Options of the job array. The keys are `sbatch`'s long options.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlurmSection {
    /// The account that is charged.
    pub account: Option<String>,
    /// The partition, or several with commas.
    pub partition: Option<String>,
    /// The quality of service.
    pub qos: Option<String>,
    /// What each task needs of a node besides CPUs and memory: `gpu:1`.
    pub gres: Option<String>,
    /// CPUs of each task.
    pub cpus_per_task: Option<u32>,
    /// Memory of each task: `32G`.
    pub mem: Option<String>,
    /// The time limit of each task: minutes, `H:MM:SS` or `D-HH:MM:SS`.
    pub time: Option<String>,
    /// Whether a task that was warned, preempted or lost its node goes back to the queue.
    pub requeue: bool,
    /// The warning before the time limit: `B:USR1@` and seconds.
    pub signal: String,
    /// How many tasks may run at once.
    pub array_throttle: Option<u32>,
    /// More options of `sbatch`, as on its command line.
    pub extra: Vec<String>,
    /// Lines of shell before the program starts: `module load cuda`.
    pub setup: Vec<String>,
}

impl Default for SlurmSection {
    fn default() -> Self {
        Self {
            account: None,
            partition: None,
            qos: None,
            gres: None,
            cpus_per_task: None,
            mem: None,
            time: None,
            requeue: true,
            signal: "B:USR1@120".to_owned(),
            array_throttle: None,
            extra: Vec::new(),
            setup: Vec::new(),
        }
    }
}

/// Options of `sbatch` that follow from the sweep or have keys of their own, and where they are set.
const TAKEN: [(&str, &str); 21] = [
    ("array", "the runs of the sweep are the tasks; slurm.array_throttle limits how many run at once"),
    ("job-name", "the program finds its jobs by their names"),
    ("output", "Slurm's own messages are in slurm/, what a run prints is in logs/"),
    ("error", "Slurm's own messages are in slurm/, what a run prints is in logs/"),
    ("open-mode", "the files in slurm/ are appended to"),
    ("chdir", "tasks run where the sweep was submitted"),
    ("parsable", "the program reads the job's id"),
    ("wrap", "the program writes the script"),
    ("wait", "sweep status shows how far the runs are"),
    ("test-only", "emotrain sweep --dry-run submits nothing"),
    ("nodes", "a run uses one node"),
    ("ntasks", "a run is one task"),
    ("account", "use slurm.account"),
    ("partition", "use slurm.partition"),
    ("qos", "use slurm.qos"),
    ("gres", "use slurm.gres"),
    ("cpus-per-task", "use slurm.cpus_per_task"),
    ("mem", "use slurm.mem"),
    ("time", "use slurm.time"),
    ("requeue", "use slurm.requeue"),
    ("signal", "use slurm.signal"),
];
/// The one-letter forms of those, and what also sets them.
const SHORT: [(&str, &str); 14] = [
    ("-a", "array"),
    ("-J", "job-name"),
    ("-o", "output"),
    ("-e", "error"),
    ("-D", "chdir"),
    ("-W", "wait"),
    ("-N", "nodes"),
    ("-n", "ntasks"),
    ("-A", "account"),
    ("-p", "partition"),
    ("-q", "qos"),
    ("-c", "cpus-per-task"),
    ("-t", "time"),
    ("--no-requeue", "requeue"),
];

impl SlurmSection {
    /// Checks the values that Slurm would misunderstand or that the program depends on.
    ///
    /// # Errors
    /// All problems, each with its key.
    pub fn check(&self) -> Result<(), Problems> {
        let mut problems = Problems::default();
        let words = [
            ("account", &self.account),
            ("partition", &self.partition),
            ("qos", &self.qos),
            ("gres", &self.gres),
        ];
        for (key, value) in words {
            if let Some(value) = value.as_ref().filter(|value| !is_word(value)) {
                problems.add(complaint(
                    key,
                    value,
                    "is not one word",
                    "leave the key out for Slurm's default",
                ));
            }
        }
        for (key, value) in [("cpus_per_task", self.cpus_per_task), ("array_throttle", self.array_throttle)] {
            if value == Some(0) {
                problems.add(complaint(
                    key,
                    "0",
                    "is not a number of at least 1",
                    "leave the key out for no limit",
                ));
            }
        }
        if let Some(mem) = self.mem.as_ref().filter(|mem| !is_memory(mem)) {
            problems.add(complaint(
                "mem",
                mem,
                "is no amount of memory",
                "write 32G, or a number of megabytes",
            ));
        }
        if let Some(time) = self.time.as_ref().filter(|time| !is_time(time)) {
            let hint = "write minutes (90), hours (1:30:00) or days (2-12:00:00)";
            problems.add(complaint("time", time, "is no time limit", hint));
        }
        problems.take(check_signal(&self.signal));
        for option in &self.extra {
            problems.take(check_extra(option));
        }
        problems.finish()
    }
}

fn complaint(key: &str, value: &str, what: &str, hint: &str) -> Complaint {
    Complaint::usage(format!("slurm.{key}: \"{value}\" {what}")).hint(hint)
}

fn is_word(value: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic() && !"\"'\\`$".contains(c))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Slurm reads a number of megabytes, or one with a unit.
fn is_memory(mem: &str) -> bool {
    is_number(mem.strip_suffix(['K', 'M', 'G', 'T', 'k', 'm', 'g', 't']).unwrap_or(mem))
}

/// `M`, `M:SS`, `H:MM:SS`, `D-H`, `D-H:MM`, `D-H:MM:SS`; more than nothing.
fn is_time(time: &str) -> bool {
    let (days, clock) = time.split_once('-').map_or((None, time), |(days, clock)| (Some(days), clock));
    let parts: Vec<&str> = clock.split(':').collect();
    let digits = parts.iter().chain(&days).all(|part| is_number(part));
    digits && parts.len() <= 3 && time.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
}

fn check_signal(signal: &str) -> Result<(), Complaint> {
    let complain = |what: &str, hint: &str| Err(complaint("signal", signal, what, hint));
    let Some(warning) = signal.strip_prefix("B:") else {
        return complain(
            "would not reach the program",
            "write B:USR1@120; without B: Slurm signals only what srun started",
        );
    };
    let Some((name, seconds)) = warning.split_once('@') else {
        return complain("does not say when", "write B:USR1@120: 120 seconds before the time limit");
    };
    if !matches!(name.trim_start_matches("SIG"), "USR1" | "10") {
        return complain(
            "is another signal than USR1",
            "a run that gets USR1 saves its state and goes back to the queue",
        );
    }
    if !seconds.parse::<u32>().is_ok_and(|seconds| (1..=LONGEST_WARNING_S).contains(&seconds)) {
        return complain(
            "is no number of seconds from 1 to 65535",
            "allow for one training step and for saving",
        );
    }
    Ok(())
}

fn check_extra(option: &str) -> Result<(), Complaint> {
    if option.chars().any(char::is_control) {
        return Err(complaint(
            "extra",
            option,
            "has a line break",
            "write each option as a string of its own",
        ));
    }
    if !option.starts_with('-') {
        let hint = "write name and value in one string: \"--exclude=node7\"";
        return Err(complaint("extra", option, "is not an option", hint));
    }
    let name = option.split('=').next().unwrap_or(option);
    let short = SHORT.iter().find(|(letter, _)| {
        if letter.starts_with("--") {
            name == *letter
        } else {
            option.starts_with(letter) && !option.starts_with("--")
        }
    });
    let long = short.map_or_else(|| name.trim_start_matches('-'), |(_, long)| long);
    match TAKEN.iter().find(|(taken, _)| *taken == long) {
        Some((_, hint)) => Err(complaint("extra", option, "cannot be set here", hint)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn checked(text: &str) -> String {
        let section: SlurmSection = toml::from_str(text).unwrap();
        section.check().map_or_else(|problems| problems.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn sensible_sections_pass() {
        for text in [
            "",
            "partition = \"gpu,spare\"\ngres = \"gpu:a100:1\"\nmem = \"32G\"\ntime = \"2-12:00:00\"\nsignal = \"B:SIGUSR1@300\"",
            "mem = \"900\"\ntime = \"90\"\narray_throttle = 4\nrequeue = false\nextra = [\"--exclude=node7\", \"-x node8\"]",
            "mem = \"4g\"\ntime = \"1:30:00\"\nsetup = [\"module load cuda\"]",
        ] {
            assert_eq!(checked(text), "fine", "{text}");
        }
    }

    #[test]
    fn all_problems_are_told_with_their_keys() {
        let text = "partition = \"\"\naccount = \"my group\"\ncpus_per_task = 0\nmem = \"lots\"\ntime = \"0:00\"\n\
            signal = \"USR1@60\"\nextra = [\"--array=1\", \"-p gpu\", \"exclude\", \"--no-requeue\", \"-N2\"]";
        expect![[r#"
            slurm.account: "my group" is not one word
              hint: leave the key out for Slurm's default
            slurm.partition: "" is not one word
              hint: leave the key out for Slurm's default
            slurm.cpus_per_task: "0" is not a number of at least 1
              hint: leave the key out for no limit
            slurm.mem: "lots" is no amount of memory
              hint: write 32G, or a number of megabytes
            slurm.time: "0:00" is no time limit
              hint: write minutes (90), hours (1:30:00) or days (2-12:00:00)
            slurm.signal: "USR1@60" would not reach the program
              hint: write B:USR1@120; without B: Slurm signals only what srun started
            slurm.extra: "--array=1" cannot be set here
              hint: the runs of the sweep are the tasks; slurm.array_throttle limits how many run at once
            slurm.extra: "-p gpu" cannot be set here
              hint: use slurm.partition
            slurm.extra: "exclude" is not an option
              hint: write name and value in one string: "--exclude=node7"
            slurm.extra: "--no-requeue" cannot be set here
              hint: use slurm.requeue
            slurm.extra: "-N2" cannot be set here
              hint: a run uses one node"#]]
        .assert_eq(&checked(text));
    }

    #[test]
    fn a_warning_is_usr1_some_seconds_before() {
        for (signal, what) in [
            ("B:USR1", "does not say when"),
            ("B:TERM@60", "is another signal than USR1"),
            ("B:USR1@0", "is no number of seconds from 1 to 65535"),
            ("B:USR1@70000", "is no number of seconds from 1 to 65535"),
        ] {
            assert!(check_signal(signal).unwrap_err().to_string().ends_with(what), "{signal}");
        }
    }

    #[test]
    fn unknown_keys_are_errors() {
        let error = toml::from_str::<SlurmSection>("partitions = \"gpu\"").unwrap_err();
        assert!(error.message().contains("unknown field `partitions`"), "{error}");
    }
}
