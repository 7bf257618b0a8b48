//! A script for schedulers other than Slurm.

use std::fmt::Write as _;
use std::path::Path;

use super::quoting::shell_word;

/// A shell script with one task for each list of run ids, and with directions for using it.
///
/// Every path is absolute: `program`, the sweep's `folder`, and the `directory` where relative paths of recipes begin.
pub fn task_script(program: &Path, folder: &Path, directory: &Path, tasks: &[Vec<String>]) -> String {
    let word = |path: &Path| shell_word(&path.to_string_lossy());
    let (program, folder, directory, count) = (word(program), word(folder), word(directory), tasks.len());
    let s = if count == 1 { "" } else { "s" };
    let mut text = format!(
        "#!/bin/bash
# Runs of the sweep in {folder}: {count} task{s}, numbered from 1.
# Every node needs this folder and the program at the same paths. Give this script to your scheduler:
#
#   qsub -J 1-{count} SCRIPT               PBS
#   bsub -J \"sweep[1-{count}]\" < SCRIPT    LSF
#   qsub -t 1-{count} SCRIPT               SGE
#
#   bash SCRIPT 3                      task 3
#   bash SCRIPT                        every task, one after another
#   bash SCRIPT list                   the commands, one a line: for ssh, xargs or parallel
#
# A task that is started again skips finished runs and resumes the others, and a run is never trained by two tasks at
# once. On SIGTERM a run saves its state and ends; on SIGUSR1 it saves and continues. What runs print is in logs/.

runs=(
"
    );
    for runs in tasks {
        let _ = writeln!(text, "  {}", shell_word(&runs.join(" ")));
    }
    let _ = write!(
        text,
        ")

cd {directory} || exit 5
number=\"${{1:-${{PBS_ARRAY_INDEX:-${{PBS_ARRAYID:-${{LSB_JOBINDEX:-${{SGE_TASK_ID:-}}}}}}}}}}\"
case \"$number\" in
  list)
    for ids in \"${{runs[@]}}\"; do
      echo cd {quoted_directory} '&&' {quoted_program} sweep work {quoted_folder} \"$ids\" \
        '>>'{quoted_folder}/logs/\"${{ids%% *}}.log\" '2>&1'
    done
    ;;
  '' | 0 | undefined)
    failed=0
    for ids in \"${{runs[@]}}\"; do
      # shellcheck disable=SC2086 # one word for each run
      {program} sweep work {folder} $ids >>{folder}/logs/\"${{ids%% *}}\".log 2>&1 || failed=$?
    done
    exit \"$failed\"
    ;;
  *[!0-9]*)
    echo \"$0: '$number' is neither a task's number nor list\" >&2
    exit 2
    ;;
  *)
    ids=\"${{runs[number - 1]:?there is no such task}}\"
    # shellcheck disable=SC2086 # one word for each run
    exec {program} sweep work {folder} $ids >>{folder}/logs/\"${{ids%% *}}\".log 2>&1
    ;;
esac
",
        quoted_directory = shell_word(&directory),
        quoted_program = shell_word(&program),
        quoted_folder = shell_word(&folder),
    );
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn script(folder: &str) -> String {
        let tasks =
            [vec!["aaaaaaaaaaaa".to_owned(), "bbbbbbbbbbbb".to_owned()], vec!["cccccccccccc".to_owned()]];
        task_script(Path::new("/bin/echo"), Path::new(folder), Path::new("/"), &tasks)
    }

    #[test]
    fn a_script_explains_itself() {
        expect![[r#"
            #!/bin/bash
            # Runs of the sweep in '/data/my sweep': 2 tasks, numbered from 1.
            # Every node needs this folder and the program at the same paths. Give this script to your scheduler:
            #
            #   qsub -J 1-2 SCRIPT               PBS
            #   bsub -J "sweep[1-2]" < SCRIPT    LSF
            #   qsub -t 1-2 SCRIPT               SGE
            #
            #   bash SCRIPT 3                      task 3
            #   bash SCRIPT                        every task, one after another
            #   bash SCRIPT list                   the commands, one a line: for ssh, xargs or parallel
            #
            # A task that is started again skips finished runs and resumes the others, and a run is never trained by two tasks at
            # once. On SIGTERM a run saves its state and ends; on SIGUSR1 it saves and continues. What runs print is in logs/.

            runs=(
              'aaaaaaaaaaaa bbbbbbbbbbbb'
              cccccccccccc
            )

            cd / || exit 5
            number="${1:-${PBS_ARRAY_INDEX:-${PBS_ARRAYID:-${LSB_JOBINDEX:-${SGE_TASK_ID:-}}}}}"
            case "$number" in
              list)
                for ids in "${runs[@]}"; do
                  echo cd / '&&' /bin/echo sweep work ''\''/data/my sweep'\''' "$ids" '>>'''\''/data/my sweep'\'''/logs/"${ids%% *}.log" '2>&1'
                done
                ;;
              '' | 0 | undefined)
                failed=0
                for ids in "${runs[@]}"; do
                  # shellcheck disable=SC2086 # one word for each run
                  /bin/echo sweep work '/data/my sweep' $ids >>'/data/my sweep'/logs/"${ids%% *}".log 2>&1 || failed=$?
                done
                exit "$failed"
                ;;
              *[!0-9]*)
                echo "$0: '$number' is neither a task's number nor list" >&2
                exit 2
                ;;
              *)
                ids="${runs[number - 1]:?there is no such task}"
                # shellcheck disable=SC2086 # one word for each run
                exec /bin/echo sweep work '/data/my sweep' $ids >>'/data/my sweep'/logs/"${ids%% *}".log 2>&1
                ;;
            esac
        "#]].assert_eq(&script("/data/my sweep"));
    }

    #[cfg(unix)]
    #[test]
    fn a_script_runs_the_task_that_it_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = folder.path().join("ada's sweep");
        fs_err::create_dir_all(sweep.join("logs")).unwrap();
        let path = folder.path().join("tasks.sh");
        fs_err::write(&path, script(sweep.to_str().unwrap())).unwrap();
        let said = |argument: &str, variable: (&str, &str)| {
            let mut bash = std::process::Command::new("bash");
            let output =
                bash.arg(&path).args(argument.split_whitespace()).env(variable.0, variable.1).output();
            let output = output.unwrap();
            (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
        };
        // What each run printed until now; the program is echo.
        let logs = || {
            ["aaaaaaaaaaaa", "cccccccccccc"].map(|run| {
                let log = fs_err::read_to_string(sweep.join("logs").join(format!("{run}.log")));
                log.unwrap_or_default().replace(sweep.to_str().unwrap(), "SWEEP")
            })
        };
        let (first, second) =
            ("sweep work SWEEP aaaaaaaaaaaa bbbbbbbbbbbb\n", "sweep work SWEEP cccccccccccc\n");
        let none = ("NO_SCHEDULER", "1");
        assert_eq!(said("2", none), (String::new(), 0));
        assert_eq!(logs(), ["", second]);
        assert_eq!(said("", ("PBS_ARRAY_INDEX", "1")), (String::new(), 0));
        assert_eq!(logs(), [first, second]);
        assert_eq!(said("", ("SGE_TASK_ID", "undefined")), (String::new(), 0));
        assert_eq!(logs(), [first.repeat(2), second.repeat(2)]);
        for line in said("list", none).0.lines() {
            assert!(std::process::Command::new("bash").args(["-c", line]).status().unwrap().success());
        }
        assert_eq!(logs(), [first.repeat(3), second.repeat(3)]);
        assert_eq!((said("3", none).1, said("lost", none).1), (1, 2));
    }
}
