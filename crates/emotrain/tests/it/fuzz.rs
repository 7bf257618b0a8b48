//! Damaged files of every kind, through the program: each ends in a result or in an error with a code of its own,
//! within its limits of time and memory. No panic, no abort, no hang.
//!
//! The runs are drawn from a seed. `EMOTRAIN_FUZZ_RUNS` says how many there are of each kind, `EMOTRAIN_FUZZ_SEED` from
//! where; what went wrong is told with both, and the file is kept.

#[path = "fuzz/kinds.rs"]
mod kinds;
#[path = "fuzz/mutate.rs"]
mod mutate;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use self::kinds::{Kind, kinds};
use self::mutate::{Random, mutated};
use crate::workbench::Workbench;

/// Runs of each kind where nothing else is asked for.
const RUNS: u64 = 3;

/// KiB of address space that a run may have; threads reserve stacks that they do not use.
const MOST_KIB: usize = 6_000_000;

/// Seconds after which a run counts as endless, on a machine that does much else.
const LONGEST_S: usize = 60;

#[expect(clippy::disallowed_methods, reason = "how much is tried is for who tries, not for the program")]
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn damaged_files_are_told_and_harm_nothing() {
    let (runs, seed) = (number("EMOTRAIN_FUZZ_RUNS", RUNS), number("EMOTRAIN_FUZZ_SEED", 1));
    let kinds = kinds();
    let jobs: Vec<(&Kind, u64)> =
        kinds.iter().flat_map(|kind| (0..runs).map(move |run| (kind, run))).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut faults = Vec::new();
        while let Some((kind, run)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            faults.extend(
                fault(kind, Random::of(&[seed, *run], kind.name))
                    .map(|told| format!("seed {seed}, run {run}: {told}")),
            );
        }
        faults
    };
    let faults: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(faults.is_empty(), "{} of {} runs:\n{}", faults.len(), jobs.len(), faults.join("\n"));
}

/// Every kind is read when nothing is damaged: else nothing would be tried.
#[test]
fn files_that_are_not_damaged_are_read() {
    let refused = kinds().into_iter().filter_map(|kind| {
        let bench = Workbench::new();
        (kind.make)(&bench);
        let (code, err) = run(&bench, &kind);
        // The GGUF at hand has no tokenizer, which is looked for when the rest has been read.
        let sound = if kind.name == "gguf" { 3 } else { 0 };
        (code != Some(sound)).then(|| format!("{}: {code:?} {err}", kind.name))
    });
    let refused: Vec<String> = refused.collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

/// What went wrong with one damaged file.
fn fault(kind: &Kind, mut random: Random) -> Option<String> {
    let bench = Workbench::new();
    (kind.make)(&bench);
    let path = bench.path(kind.file);
    let bytes = fs_err::read(&path).unwrap();
    let damaged = mutated(&bytes, &mut random);
    fs_err::write(&path, &damaged).unwrap();
    let (code, err) = run(&bench, kind);
    let is_told = matches!(code, Some(0 | 2 | 3 | 4 | 5)) && !err.contains("a defect of its own");
    if is_told {
        return None;
    }
    let kept = std::env::temp_dir().join(format!("emotrain-fuzz-{}-{:x}", kind.name, random.next()));
    fs_err::write(&kept, &damaged).unwrap();
    let end: String = err.chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
    Some(format!("{} ended with {code:?}, kept as {}: {end}", kind.name, kept.display()))
}

/// The exit code, nothing after a signal, and what was said.
fn run(bench: &Workbench, kind: &Kind) -> (Option<i32>, String) {
    let mut command = limited(&bench.path("."), kind.args);
    let output = command.output().unwrap();
    let code = output.status.code().filter(|code| *code != 124);
    (code, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The program under limits of memory and time; without a shell that has them, as it is.
pub(crate) fn limited(folder: &Path, args: &[&str]) -> Command {
    let program = crate::workbench::command(folder, args);
    if !cfg!(target_os = "linux") {
        return program;
    }
    let mut command = Command::new("sh");
    let script = format!("ulimit -v {MOST_KIB}; exec timeout {LONGEST_S} \"$0\" \"$@\"");
    command.arg("-c").arg(script).arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("RAYON_NUM_THREADS", "1").current_dir(folder).stdin(Stdio::null());
    command
}
