//! Sweeps on a Slurm that is pretended.

mod pretended;

use std::os::unix::process::ExitStatusExt;

use self::pretended::Pretended;

const FIVE: &str = "base = \"recipe.toml\"\nseeds = [1, 2, 3, 4, 5]\n[slurm]\npartition = \"gpu\"\n";
const TWO: &str = "base = \"recipe.toml\"\nseeds = [1, 2]\n";

#[test]
fn every_run_is_submitted_once() {
    let slurm = Pretended::new(FIVE);
    let said = slurm.sweep(&["sweep.toml", "--engine", "slurm"]).done();
    // This Slurm allows 3 tasks in an array.
    assert_eq!(slurm.tasks(1).len() + slurm.tasks(2).len(), 5, "{}", said.err);
    assert_eq!(slurm.submissions(), 2);
    assert!(said.err.contains("101") && said.err.contains("102"), "{}", said.err);
    let script = fs_err::read_to_string(slurm.folder().join("slurm/1.sh")).unwrap();
    assert!(script.contains("#SBATCH --partition=gpu\n") && script.contains("\nexec /"), "{script}");

    // All of them wait.
    let said = slurm.sweep(&["sweep.toml", "--engine", "slurm"]).done();
    assert_eq!(slurm.submissions(), 2, "{}", said.err);
    // One failed to start, and one of the others is gone from Slurm's memory.
    let queue = slurm.heard("queue");
    let lines: Vec<String> =
        queue.lines().skip(1).map(|line| line.replace("102|1|PENDING", "102|1|FAILED")).collect();
    slurm.tell("queue", &format!("{}\n", lines.join("\n")));
    slurm.sweep(&["sweep.toml", "--engine", "slurm"]).done();
    let again: Vec<String> = slurm.tasks(3).concat();
    assert_eq!(again, [slurm.tasks(1)[0][0].clone(), slurm.tasks(2)[1][0].clone()]);
}

#[test]
fn what_sbatch_refuses_leaves_nothing_behind() {
    let slurm = Pretended::new(FIVE);
    slurm.tell("refusal", "sbatch: error: invalid partition specified: gpu\n");
    let said = slurm.sweep(&["sweep.toml", "--engine", "slurm"]);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(
        said.err.contains("sbatch refused: sbatch: error: invalid partition specified: gpu"),
        "{}",
        said.err
    );
    assert_eq!(slurm.submissions(), 0);
    assert!(!slurm.folder().join("slurm/1.sh").exists());

    slurm.forget("refusal");
    slurm.sweep(&["sweep.toml", "--engine", "slurm"]).done();
    assert_eq!(slurm.submissions(), 2);
}

#[test]
fn a_process_that_dies_while_it_submits_submits_nothing_twice() {
    let slurm = Pretended::new(TWO);
    slurm.tell("murder", "");
    let died = slurm.command(&["sweep.toml", "--engine", "slurm"]).output().unwrap();
    assert_eq!(died.status.signal(), Some(9));
    slurm.forget("murder");
    let told = slurm.sweep(&["status", "sweep.toml"]).done();
    assert!(told.out.contains("PENDING (Priority)"), "{}", told.out);
    slurm.sweep(&["sweep.toml", "--engine", "slurm"]).done();
    assert_eq!((slurm.submissions(), slurm.heard("sbatch").lines().count()), (1, 1));
    slurm.sweep(&["cancel", "sweep.toml"]).done();
    assert_eq!(slurm.heard("scancel"), "101\n");
}

#[test]
fn a_job_whose_id_was_lost_on_the_way_is_found_by_its_name() {
    let slurm = Pretended::new(TWO);
    slurm.tell("silence", "");
    let said = slurm.sweep(&["sweep.toml", "--engine", "slurm"]).done();
    assert!(said.err.contains("101"), "{}", said.err);
    assert_eq!((slurm.submissions(), slurm.heard("sbatch").lines().count()), (1, 1));
}

#[test]
fn nothing_is_submitted_while_slurm_is_silent_about_what_it_has() {
    let slurm = Pretended::new(TWO);
    slurm.sweep(&["sweep.toml", "--engine", "slurm"]).done();
    slurm.tell("down", "");
    let said = slurm.sweep(&["sweep.toml", "--engine", "slurm"]);
    assert_eq!(said.code, 3);
    assert!(
        said.err.contains("Unable to contact slurm controller") && said.err.contains("hint: "),
        "{}",
        said.err
    );
    // Folders can be looked at all the same.
    let told = slurm.sweep(&["status", "sweep.toml"]).done();
    assert!(told.err.contains("Unable to contact slurm controller"), "{}", told.err);
    assert!(told.out.contains("waiting"), "{}", told.out);
}

#[test]
fn without_slurm_the_way_out_is_told() {
    let slurm = Pretended::new(TWO);
    slurm.sweep(&["sweep.toml", "--engine", "slurm"]).done();
    for name in ["sbatch", "squeue", "scancel", "scontrol"] {
        slurm.remove(name);
    }
    let told = slurm.sweep(&["status", "sweep.toml"]).done();
    assert!(told.err.contains("squeue: there is no such program on PATH"), "{}", told.err);
    let fresh = Pretended::new(TWO);
    fresh.remove("sbatch");
    fresh.remove("scontrol");
    let said = fresh.sweep(&["sweep.toml", "--engine", "slurm"]);
    assert_eq!(said.code, 3);
    assert!(
        said.err.contains("there is no such program on PATH") && said.err.contains("--engine script"),
        "{}",
        said.err
    );
    assert_eq!(fresh.submissions(), 0);
}

#[test]
fn a_section_with_errors_is_told_before_anything_is_written() {
    let slurm = Pretended::new("base = \"recipe.toml\"\n[slurm]\ntime = \"soon\"\nsignal = \"USR1@60\"\n");
    let said = slurm.sweep(&["sweep.toml", "--engine", "slurm"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("slurm.time: \"soon\"") && said.err.contains("slurm.signal: "), "{}", said.err);
    assert!(!slurm.folder().exists());
}

#[test]
fn other_schedulers_get_a_script() {
    let slurm = Pretended::new(TWO);
    let script = slurm.sweep(&["sweep.toml", "--engine", "script"]).done().out;
    slurm.bench.write("tasks.sh", &script);
    let listed =
        std::process::Command::new("bash").arg(slurm.bench.path("tasks.sh")).arg("list").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.lines().all(|line| line.starts_with("cd ") && line.contains(" sweep work ")), "{listed}");
    // One of the commands, as a scheduler would give it.
    let line = listed.lines().next().unwrap();
    let ran =
        std::process::Command::new("bash").args(["-c", line]).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    // It is left out of the next script.
    let script = slurm.sweep(&["sweep.toml", "--engine", "script"]).done().out;
    assert!(script.contains(": 1 task"), "{script}");
}
