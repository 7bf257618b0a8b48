//! Training on a frozen base in fewer bits.

use crate::workbench::{Workbench, refused};

const FORMS: [(&str, &[&str]); 4] = [
    ("nf4", &["--set", "quantization.load_in_4bit=true"]),
    ("nf4-in-bfloat16", &["--set", "quantization.load_in_4bit=true", "--set", "model.dtype=bfloat16"]),
    ("int8", &["--set", "quantization.load_in_8bit=true"]),
    ("bfloat16", &["--set", "model.dtype=bfloat16"]),
];

const ADAPTER: &str = "adapter/adapter_model.safetensors";

#[test]
fn a_run_on_fewer_bits_repeats_and_answers_as_in_its_own_evaluation() {
    let bench = Workbench::new();
    bench.train("float32", &[]).done();
    let full = fs_err::read(bench.path("float32").join(ADAPTER)).unwrap();
    for (name, form) in FORMS {
        bench.train(name, form).done();
        let adapter = fs_err::read(bench.path(name).join(ADAPTER)).unwrap();
        assert!(adapter != full, "{name}: the base is the one in float32");
        let again = format!("{name}-again");
        bench.train(&again, &[form, &["--set", "model.num_threads=1"]].concat()).done();
        assert!(adapter == fs_err::read(bench.path(&again).join(ADAPTER)).unwrap(), "{name}: threads matter");
        let answers = bench.read(&format!("{name}/predictions.valid.jsonl"));
        let eval = ["eval", "recipe.toml", "--run", name, "--split", "valid", "--output", "again.jsonl"];
        let said = bench.run(&[&eval[..], form].concat()).done();
        assert!(answers == bench.read("again.jsonl"), "{name}: other answers\n{}", said.err);
    }
}

#[test]
fn a_run_does_not_go_on_on_other_bits() {
    let bench = Workbench::new();
    bench.train("run", &[]).done();
    let said = bench.train("run", &["--resume", "--set", "quantization.load_in_4bit=true"]);
    refused(&said, 2, &["quantization.load_in_4bit"]);
}

#[test]
fn codes_are_not_trained_and_are_of_one_kind() {
    let bench = Workbench::new();
    let four = ["--set", "quantization.load_in_4bit=true"];
    let said = bench.train("run", &[&four[..], &["--set", "train.method=full"]].concat());
    let frozen = "method = \"full\" trains the weights, and a quantised base is frozen";
    refused(&said, 2, &[frozen, "hint: write method = \"lora\" under [train], or load_in_4bit = false"]);
    let said = bench.train("run", &[&four[..], &["--set", "quantization.load_in_8bit=true"]].concat());
    refused(&said, 2, &["load_in_4bit and load_in_8bit exclude each other", "hint: keep one of them"]);
    assert!(!bench.path("run").exists());
}
