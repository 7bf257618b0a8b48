//! Training on a frozen base in fewer bits.

use crate::workbench::{Workbench, material, refused};

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

#[test]
fn a_base_that_was_quantised_once_is_trained_on_as_one_that_is_quantised_while_it_is_read() {
    let bench = Workbench::new();
    let base = material().join("base").display().to_string();
    for (name, form) in
        [("nf4", "quantization.load_in_4bit=true"), ("int8", "quantization.load_in_8bit=true")]
    {
        bench.train(name, &["--set", form]).done();
        let (out, model) = (format!("base-{name}"), format!("model.model_name_or_path=base-{name}"));
        bench.run(&["quantize", &base, "--quant-type", name, "--out", &out]).done();
        let [saved, stated] = ["saved", "stated"].map(|run| format!("{name}-{run}"));
        for (run, more) in [(&saved, &[][..]), (&stated, &["--set", form])] {
            bench.train(run, &[&["--set", &model][..], more].concat()).done();
            let [expected, found] =
                [name, run.as_str()].map(|run| fs_err::read(bench.path(run).join(ADAPTER)).unwrap());
            assert!(expected == found, "{run}: another adapter");
        }
        // The adapter is added to the numbers that codes stand for.
        let merged = format!("merged-{name}");
        let words = ["export", &saved, "--format", "merged", "--dtype", "float32", "--out", &merged];
        bench.run(&words).done();
        bench.run(&["verify", &merged, "--run", &saved]).done();
    }
}

#[test]
fn a_base_that_was_quantised_stays_what_it_is() {
    let bench = Workbench::new();
    let base = material().join("base").display().to_string();
    bench.run(&["quantize", &base, "--out", "nf4"]).done();
    refused(&bench.run(&["quantize", &base, "--out", "nf4"]), 2, &["--out nf4: is already there"]);
    let said = bench.run(&["quantize", "nf4", "--out", "again"]);
    refused(&said, 2, &["nf4", "is quantised already", "hint: begin with the base in 16 or 32 bits"]);
    let model = ["--set", "model.model_name_or_path=nf4"];
    let said = bench.train("run", &[&model[..], &["--set", "train.method=full"]].concat());
    refused(
        &said,
        3,
        &["the base is saved as codes of some bits, which are not trained", "hint: train an adapter"],
    );
    let eight = ["--set", "quantization.load_in_8bit=true"];
    for words in [&["recipe.toml"][..], &["check", "recipe.toml"], &["plan", "recipe.toml"]] {
        let said = bench.run(&[words, &model, &eight].concat());
        let parts =
            ["[quantization] says 8 bits, but the base is saved in 4 bits (nf4 with double quantisation)"];
        refused(&said, 3, &parts);
    }
    assert!(!bench.path("again").exists() && !bench.path("run").exists());
    let plans = ["recipe.toml", "base.toml"].map(|recipe| {
        bench.write("base.toml", &bench.read("recipe.toml"));
        let form = if recipe == "base.toml" { &model } else { &["--set", "quantization.load_in_4bit=true"] };
        bench.run(&[&["plan", recipe][..], form].concat()).done().out
    });
    assert_eq!(plans[0], plans[1], "the same memory");
}
