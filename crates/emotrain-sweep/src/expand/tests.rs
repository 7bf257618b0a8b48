use std::time::Instant;

use emotrain_base::{Advice, Fault};
use expect_test::{Expect, expect};
use tempfile::TempDir;

use super::*;

const BASE: &str =
    "[model]\nmodel_name_or_path = \"o/n\"\n[data]\ntrain = \"a.jsonl\"\nvalid = \"b.jsonl\"\n";

struct Place(TempDir);

impl Place {
    fn new(base: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for name in ["a.jsonl", "b.jsonl", "c.jsonl"] {
            fs_err::write(place.0.path().join(name), name).unwrap();
        }
        fs_err::write(place.0.path().join("base.toml"), base).unwrap();
        place
    }

    fn expand(&self, text: &str) -> Result<Vec<PlannedRun>, SweepError> {
        let path = self.0.path().join("s.toml");
        fs_err::write(&path, format!("base = \"base.toml\"\n{text}")).unwrap();
        expand(&SweepFile::read(&path)?, Path::new("runs"))
    }

    fn names(&self, text: &str) -> Vec<String> {
        self.expand(text).unwrap().into_iter().map(|run| run.name).collect()
    }

    /// What is wrong with a sweep file, which is found at once.
    fn wrong(&self, text: &str) -> String {
        let begun = Instant::now();
        let error = self.expand(text).expect_err(text);
        assert!(begun.elapsed().as_secs() < 5, "{text}");
        assert_eq!(error.fault(), Fault::Usage, "{error}");
        let told = Problems::from(error).to_string();
        told.replace(&format!("{}/", self.0.path().display()), "")
    }
}

#[test]
fn more_runs_than_may_be_are_told_before_any_is_made() {
    let place = Place::new(BASE);
    let values: Vec<String> = (1..=1000).map(|value| value.to_string()).collect();
    let values = values.join(", ");
    let keys = ["lora.r", "lora.lora_alpha", "train.max_steps", "train.warmup_steps"];
    let axes: Vec<String> = keys.iter().map(|key| format!("\"{key}\" = [{values}]\n")).collect();
    let grid = format!("[grid]\n{}", axes.concat());
    let check = |text: String, expected: Expect| expected.assert_eq(&place.wrong(&text));
    check(
        format!("max_runs = 10\nseeds = [1, 2]\n{grid}"),
        expect![[r"
            s.toml: 2000000000000 runs ([grid]: 1000000000000, seeds: 2), and max_runs = 10
              hint: raise max_runs, or remove values or seeds"]],
    );
    check(
        grid.clone(),
        expect![[r"
            s.toml: 1000000000000 runs ([grid]: 1000000000000), and without max_runs at most 10000 are made
              hint: write max_runs = … to allow more, or remove values or seeds"]],
    );
    check(
        format!("max_runs = 1000000000000000\n{grid}"),
        expect![[r"
            s.toml: 1000000000000 runs ([grid]: 1000000000000), and a sweep has at most 1000000
              hint: remove values or seeds"]],
    );
    let random =
        "[random]\nsamples = 1000000000000\n\"lora.r\" = { distribution = \"choice\", values = [4, 8] }\n";
    check(
        random.to_owned(),
        expect![[r"
            s.toml: 1000000000000 runs (random.samples: 1000000000000), and without max_runs at most 10000 are made
              hint: write max_runs = … to allow more, or remove values or seeds"]],
    );
    let all = format!("{random}{grid}").replace("\"lora.r\" = [", "\"lora.lora_dropout\" = [");
    let all = all.replace("1000000000000", "9000000000000000000");
    check(
        all,
        expect![[r"
            s.toml: 18446744073709551615 runs ([grid]: 1000000000000, random.samples: 9000000000000000000), and without max_runs at most 10000 are made
              hint: write max_runs = … to allow more, or remove values or seeds"]],
    );
    check(
        "max_runs = 2\n[random]\nsamples = 5000\n\"lora.r\" = { distribution = \"int_uniform\", min = 1, max = 64 }\n"
            .to_owned(),
        expect![[r"
            s.toml: 5000 runs (random.samples: 5000), and max_runs = 2
              hint: raise max_runs, or remove values or seeds"]],
    );
    let seeds: Vec<String> = (0..150_000).map(|seed| seed.to_string()).collect();
    check(
        format!("seeds = [{}]\n", seeds.join(",")),
        expect![[r"
            s.toml: 150000 runs (seeds: 150000), and without max_runs at most 10000 are made
              hint: write max_runs = … to allow more, or remove values or seeds"]],
    );
}

#[test]
fn draws_that_come_again_end_and_are_one_run() {
    let place = Place::new(BASE);
    let random = "max_runs = 4\n[random]\nsamples = 9000\n\
                  \"lora.r\" = { distribution = \"choice\", values = [4, 8] }\n\
                  \"lora.lora_alpha\" = { distribution = \"int_uniform\", min = 8, max = 9 }\n";
    let mut names = place.names(random);
    names.sort();
    assert_eq!(
        names,
        [
            "lora.r=4, lora.lora_alpha=8",
            "lora.r=4, lora.lora_alpha=9",
            "lora.r=8, lora.lora_alpha=8",
            "lora.r=8, lora.lora_alpha=9"
        ]
    );
    // Four significant digits have few values here.
    let close = "[random]\nsamples = 9000\n\
                 \"train.learning_rate\" = { distribution = \"uniform\", min = 1e-4, max = 1.0000001e-4 }\n";
    assert!(place.names(close).len() < 3);
}

#[test]
fn overlays_grid_and_draws_multiply_in_this_order() {
    let place = Place::new(BASE);
    let text = "seeds = [1, 2]\n[grid]\n\"lora.r\" = [4, 8]\n[random]\nsamples = 2\nseed = 3\n\
                \"lora.lora_alpha\" = { distribution = \"int_uniform\", min = 1, max = 64 }\n\
                [[list]]\nname = \"a\"\n[[list]]\nname = \"b\"\nset = { \"train.max_steps\" = 3 }\n";
    let names = place.names(text);
    assert_eq!(names.len(), 2 * 2 * 2 * 2);
    let begins: Vec<&str> = names.iter().map(|name| &name[..11]).collect();
    let expected = ["a, lora.r=4", "a, lora.r=8", "b, lora.r=4", "b, lora.r=8"];
    assert_eq!(begins, expected.map(|name| [name; 4]).concat());
    let draws: Vec<&str> = names.iter().filter_map(|name| name.split("lora_alpha=").nth(1)).collect();
    assert_eq!(draws[..4].repeat(4), draws);
    assert!(draws[0] == draws[1] && draws[1] != draws[2] && draws[2] == draws[3]);
}

#[test]
fn a_key_has_one_table() {
    let place = Place::new(BASE);
    let (grid, set) = ("[grid]\n\"lora.r\" = [4]\n", "[set]\n\"lora.r\" = 2\n");
    let random = "[random]\nsamples = 2\n\"lora.r\" = { distribution = \"choice\", values = [16, 32] }\n";
    let list = "[[list]]\nname = \"x\"\nset = { \"lora.r\" = 16 }\n";
    for (tables, expected) in [
        ([grid, random], "lora.r is in both [grid] and [random]"),
        ([grid, list], "lora.r is in both [grid] and [[list]] \"x\""),
        ([random, list], "lora.r is in both [random] and [[list]] \"x\""),
        ([set, grid], "lora.r is in both [set] and [grid]"),
        ([set, random], "lora.r is in both [set] and [random]"),
        ([grid, "\"lora.r \" = [8]\n"], "lora.r is in [grid] twice"),
        (["[set]\n", "\" train.seed\" = 3\n"], "train.seed cannot be an axis"),
    ] {
        let told = place.wrong(&tables.concat());
        assert!(told.starts_with(&format!("s.toml: {expected}\n  hint: ")), "{told}");
    }
    // An overlay may change what is set for all.
    let other = "[[list]]\nname = \"y\"\n";
    assert_eq!(place.names(&[set, list, other].concat()), ["x", "y"]);
}

#[test]
fn a_sweep_whose_runs_would_have_no_score_is_refused() {
    let grid = "[grid]\n\"lora.r\" = [4, 8, 16]\n";
    let base = BASE.replace("valid = \"b.jsonl\"", "[eval]\nload_best_model_at_end = false");
    let place = Place::new(&base);
    expect![[r#"
        s.toml: nothing can be scored: split = "valid" needs data.valid
          hint: name a validation file with data.valid in the base recipe, or compare another split: split = "test""#]]
    .assert_eq(&place.wrong(grid));
    expect![[r#"
        x, lora.r=4 and 2 more: s.toml: nothing can be scored: split = "valid" needs data.valid
          hint: name a validation file with data.valid in the base recipe, or compare another split: split = "test""#]]
    .assert_eq(&place.wrong(&format!(
        "{grid}[[list]]\nname = \"x\"\n[[list]]\nname = \"y\"\nset = {{ \"data.valid\" = \"b.jsonl\" }}\n"
    )));
    let place = Place::new(BASE);
    expect![[r#"
        s.toml: nothing can be scored: split = "test" needs data.test and eval.test = true
          hint: name a test file with data.test, and write "eval.test" = true under [set]"#]]
    .assert_eq(&place.wrong(&format!("split = \"test\"\n{grid}")));
    expect![[r#"
        s.toml: nothing can be scored: split = "train" needs to be "valid" or "test"
          hint: write split = "valid""#]]
    .assert_eq(&place.wrong(&format!("split = \"train\"\n{grid}")));
    let text = "format = \"text\"\n[train]\ncompletion_only_loss = false\n\
                [eval]\nmetric_for_best_model = \"loss\"\ngreater_is_better = false\n";
    expect![[r#"
        s.toml: nothing can be scored: data.format = "text" has no labels
          hint: compare the losses of single runs: emotrain runs"#]]
    .assert_eq(&Place::new(&format!("{BASE}{text}")).wrong(grid));
    let scored = "split = \"test\"\n[set]\n\"data.test\" = \"c.jsonl\"\n\"eval.test\" = true\n";
    assert_eq!(place.names(&format!("{scored}{grid}")).len(), 3);
    let parts = BASE.replace("valid = \"b.jsonl\"", "split = [0.8, 0.2]");
    assert_eq!(Place::new(&parts).names(grid).len(), 3);
}

#[test]
fn rungs_that_are_at_no_evaluation_are_told_once() {
    let place = Place::new(&format!("{BASE}[eval]\neval_steps = 20\n"));
    let grid = "[grid]\n\"lora.r\" = [4, 8, 16]\n";
    expect![[r"
        s.toml: asha.min_steps = 30 needs data.valid and an evaluation at every rung, and eval.eval_steps is 20
          hint: set eval.eval_steps to a number of steps, and make min_steps a multiple of eval.eval_steps"]]
    .assert_eq(&place.wrong(&format!("[asha]\nmin_steps = 30\n{grid}")));
    assert_eq!(place.names(&format!("[asha]\nmin_steps = 40\n{grid}")).len(), 3);
}
