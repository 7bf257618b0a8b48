//! What the last lines of a run say of its result.

use crate::workbench::Workbench;

/// The last line of a run's progress stands first.
fn last_lines(err: &str) -> Vec<String> {
    let lines = err.lines().skip_while(|line| !line.contains("the result of step"));
    lines.skip(1).map(str::to_owned).collect()
}

#[test]
fn a_run_ends_with_what_is_wrong_with_it() {
    let bench = Workbench::new();
    let remark = "data.test was not scored, since eval.test = false; emotrain eval with --run and --split test \
                  scores it";
    let joyless = ["--set", "train.learning_rate=1.0", "--set", "eval.load_best_model_at_end=false"];
    let said = bench.train("bad", &joyless).done();
    let lines = last_lines(&said.err);
    let everything = |line: &String| {
        line.starts_with("warning: valid: the model answers \"") && line.ends_with("\" to everything")
    };
    assert!(lines.iter().any(everything), "{}", said.err);
    assert_eq!(lines.last().unwrap(), remark, "{}", said.err);

    let said = bench.train("scored", &["--set", "eval.test=true"]).done();
    assert!(!said.err.contains("was not scored"), "{}", said.err);
}
