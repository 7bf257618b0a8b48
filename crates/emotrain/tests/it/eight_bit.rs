//! AdamW with its moments in 8 bits.

use crate::workbench::{Workbench, refused};

const ADAPTER: &str = "adapter/adapter_model.safetensors";
/// Of rank 128 the `A` matrices of a tiny model are large enough for codes, and some `B` matrices too.
const EIGHT: [&str; 6] =
    ["--set", "train.optim=adamw_8bit", "--set", "lora.r=128", "--set", "save.save_total_limit=9"];

#[test]
fn a_run_repeats_and_goes_on_as_if_it_had_not_stopped() {
    let bench = Workbench::new();
    let bytes = |file: &str| fs_err::read(bench.path(file)).unwrap();
    bench.train("whole", &EIGHT).done();
    bench.train("full", &["--set", "lora.r=128"]).done();
    assert!(
        bytes(&format!("whole/{ADAPTER}")) != bytes(&format!("full/{ADAPTER}")),
        "codes change something"
    );
    bench.train("again", &[&EIGHT[..], &["--set", "model.num_threads=1"]].concat()).done();
    assert!(bytes(&format!("whole/{ADAPTER}")) == bytes(&format!("again/{ADAPTER}")), "threads matter");

    let mut steps: Vec<String> = fs_err::read_dir(bench.path("again"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("step-"))
        .collect();
    steps.sort();
    let last = steps.pop().unwrap();
    assert!(!steps.is_empty(), "a step to go on from");
    fs_err::remove_dir_all(bench.path(&format!("again/{last}"))).unwrap();
    bench.train("again", &[&EIGHT[..], &["--resume"]].concat()).done();
    for file in [ADAPTER, &format!("{last}/optimizer.safetensors")] {
        assert!(bytes(&format!("whole/{file}")) == bytes(&format!("again/{file}")), "{file}");
    }
    let size = |run: &str| bytes(&format!("{run}/{last}/optimizer.safetensors")).len();
    assert!(size("whole") * 2 < size("full"), "{} of {} bytes", size("whole"), size("full"));
    let said = bench.train("full", &[&EIGHT[..], &["--resume-anyway"]].concat());
    refused(&said, 2, &["train.optim: \"adamw_torch\" then, \"adamw_8bit\" now"]);
}
