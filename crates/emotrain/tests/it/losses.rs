//! The losses of a training over the real command line, step by step.

use crate::workbench::Workbench;

const SET: [&str; 10] = [
    "--set",
    "logging.logging_steps=1",
    "--set",
    "lora.lora_dropout=0.0",
    "--set",
    "eval.baseline=false",
    "--set",
    "eval.eval_steps=0",
    "--set",
    "eval.load_best_model_at_end=false",
];

/// Of the tiny model of the workbench, trained by the recipe there. Another list is another computation.
const EXPECTED: [f64; 8] =
    [5.894_544, 5.577_142, 5.477_764, 5.203_808, 5.077_849, 4.662_609, 4.585_667, 4.488_615];

/// A sum in another order may differ in the last digits of float32.
const TOLERANCE: f64 = 2e-5;

fn losses(bench: &Workbench, run: &str) -> Vec<f64> {
    let rows = bench.read(&format!("{run}/metrics.jsonl"));
    let rows = rows.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    rows.filter(|row| row["event"] == "train").map(|row| row["loss"].as_f64().unwrap()).collect()
}

#[track_caller]
fn check(what: &str, losses: &[f64], expected: &[f64]) {
    let near = |(one, other): (&f64, &f64)| (one - other).abs() <= TOLERANCE * other.abs();
    let same = losses.len() == expected.len() && losses.iter().zip(expected).all(near);
    assert!(same, "{what}: {losses:?}, not {expected:?}");
}

/// The same from an adapter that was trained before, as PEFT keeps it.
const EXPECTED_FROM_AN_ADAPTER: [f64; 8] =
    [4.602_774, 4.451_139, 4.200_412, 4.086_502, 3.885_222, 3.792_162, 3.672_374, 3.572_289];

#[test]
fn a_recipe_has_its_losses_however_a_step_is_split_and_after_every_resumption() {
    let bench = Workbench::new();
    for (size, accumulated) in [(2, 2), (1, 4), (4, 1)] {
        let size = format!("train.per_device_train_batch_size={size}");
        let accumulated = format!("train.gradient_accumulation_steps={accumulated}");
        let set = [&SET[..], &["--set", &size, "--set", &accumulated]].concat();
        let run = format!("{size} {accumulated}");
        bench.train(&run, &set).done();
        check(&run, &losses(&bench, &run), &EXPECTED);
        for step in [6, 2] {
            for later in (step + 2..=8).step_by(2) {
                // Gone already where a later step was gone back from.
                let _ = fs_err::remove_dir_all(bench.path(&run).join(format!("step-{later:06}")));
            }
            bench.train(&run, &[&set[..], &["--resume"]].concat()).done();
            check(&format!("{run} after step {step}"), &losses(&bench, &run), &EXPECTED);
        }
    }
}

#[test]
fn a_training_from_an_adapter_has_its_losses() {
    let bench = Workbench::new();
    bench.train("first", &SET).done();
    bench.train("second", &[&SET[..], &["--set", "lora.init_from=first/adapter"]].concat()).done();
    check("from an adapter", &losses(&bench, "second"), &EXPECTED_FROM_AN_ADAPTER);
}
