//! An export compared with the run that it came from.

use std::collections::BTreeMap;

use emotrain_model::{FloatType, NamedTensor, SafetensorsFile, TensorSpec, write_safetensors};
use serde_json::Value;

use crate::workbench::{Said, Workbench};

const ADAPTER: &str = "exported/peft/adapter_model.safetensors";
const MODEL: &str = "exported/merged/model.safetensors";

/// A workbench with a run of some steps, exported in both forms.
fn exported() -> Workbench {
    let bench = Workbench::new();
    bench.train("run", &["--set", "eval.baseline=false"]).done();
    bench.run(&["export", "run", "--format", "peft,merged", "--out", "exported"]).done();
    bench
}

fn verify(bench: &Workbench, folder: &str, more: &[&str]) -> Said {
    bench.run(&[&["verify", folder, "--run", "run"], more].concat())
}

/// Changes the tensors of a file as another program does, which keeps no manifest.
fn change(bench: &Workbench, file: &str, change: impl FnOnce(&mut Vec<NamedTensor>)) {
    let path = bench.path(file);
    let source = SafetensorsFile::open(&path).unwrap();
    let tensor = |name: &str| {
        let (shape, values) = source.tensor(name).unwrap();
        NamedTensor { spec: TensorSpec { name: name.to_owned(), shape, dtype: FloatType::F32 }, values }
    };
    let mut tensors: Vec<NamedTensor> = source.names().map(tensor).collect();
    change(&mut tensors);
    write_safetensors(&path, &tensors, &BTreeMap::new()).unwrap();
    fs_err::remove_file(path.with_file_name("manifest.json")).unwrap();
}

/// The command fails with code 3 and says all of this.
#[track_caller]
fn refused(said: &Said, parts: &[&str]) {
    assert_eq!(said.code, 3, "{}\n{}", said.out, said.err);
    for part in parts.iter().chain(&["hint:"]) {
        assert!(said.err.contains(part), "{part} is not in\n{}", said.err);
    }
}

fn json(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap()
}

#[test]
fn an_export_of_either_form_agrees() {
    let bench = exported();
    for folder in ["exported/peft", "exported/merged", "run/adapter"] {
        let said = verify(&bench, folder, &[]).done();
        for part in ["largest difference", "12/12", "100 %", "prompt contract: equal"] {
            assert!(said.out.contains(part), "{part} is not in\n{}", said.out);
        }
        assert!(said.err.contains("the export answers as the run"), "{}", said.err);
    }
    let said = json(&verify(&bench, "exported/merged", &["--json", "--samples", "5"]).done());
    assert_eq!(said["passed"], true);
    assert_eq!(said["prompt_contract"]["state"], "equal");
    assert_eq!(said["answers"]["utterances"], 5);
    assert_eq!(said["answers"]["finding"], "agrees");
    assert_eq!(said["answers"]["to_run"]["same_labels"], 5);
    let f1 = &said["answers"]["weighted_f1"];
    assert!(f1["run"] == f1["export"] && f1["base"].is_f64(), "{f1}");
    assert!(said["answers"]["trained"]["largest"].as_f64().unwrap() > 1e-2, "the training did something");
}

#[test]
fn rounding_to_sixteen_bits_is_allowed_for() {
    let bench = exported();
    for folder in ["exported/peft", "exported/merged"] {
        let largest = |dtype: &str| {
            let said = json(&verify(&bench, folder, &["--json", "--dtype", dtype]).done());
            let answers = &said["answers"];
            let limit = answers["limits"]["tolerance"].as_f64().unwrap();
            (answers["to_run"]["largest"].as_f64().unwrap(), limit)
        };
        let [full, half, brief] = ["float32", "float16", "bfloat16"].map(largest);
        assert!(full.0 < half.0 && half.0 < brief.0, "{full:?} {half:?} {brief:?}");
        assert_eq!(format!("{} {} {}", full.1, half.1, brief.1), "0.001 0.0125 0.1");
    }
    bench.run(&["export", "run", "--format", "merged", "--dtype", "bfloat16", "--out", "brief"]).done();
    verify(&bench, "brief", &[]).done();
    refused(&verify(&bench, "brief", &["--tolerance", "1e-9"]), &["answers otherwise"]);
}

#[test]
fn a_changed_file_is_found_by_its_digest() {
    let bench = exported();
    bench.write("exported/merged/config.json", &bench.read("exported/merged/config.json").replace(',', " ,"));
    let said = verify(&bench, "exported/merged", &[]);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("config.json"), "{}", said.err);
}

#[test]
fn a_tensor_with_another_name_is_found() {
    let bench = exported();
    change(&bench, ADAPTER, |tensors| {
        for tensor in tensors.iter_mut().filter(|tensor| tensor.spec.name.contains("layers.1.")) {
            tensor.spec.name = tensor.spec.name.replace("q_proj", "query");
        }
    });
    refused(&verify(&bench, "exported/peft", &[]), &["the export cannot be loaded", "q_proj"]);
    change(&bench, MODEL, |tensors| tensors[0].spec.name += ".old");
    refused(&verify(&bench, "exported/merged", &[]), &[".old"]);
}

#[test]
fn a_missing_half_is_found() {
    let bench = exported();
    change(&bench, ADAPTER, |tensors| {
        tensors.retain(|tensor| !tensor.spec.name.contains("1.mlp.up_proj.lora_B"));
    });
    refused(&verify(&bench, "exported/peft", &[]), &["half of a pair", "up_proj.lora_B"]);
}

#[test]
fn a_weight_that_is_not_a_number_is_found() {
    let bench = exported();
    // Which emotrain itself does not write.
    let spoil = |file: &str| {
        const MARK: f32 = 1234.567;
        change(&bench, file, |tensors| tensors[3].values[1] = MARK);
        let mut bytes = fs_err::read(bench.path(file)).unwrap();
        let place = bytes.windows(4).position(|four| four == MARK.to_le_bytes()).unwrap();
        bytes[place..place + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        fs_err::write(bench.path(file), bytes).unwrap();
    };
    spoil(ADAPTER);
    refused(&verify(&bench, "exported/peft", &[]), &["holds NaN"]);
    spoil(MODEL);
    refused(&verify(&bench, "exported/merged", &[]), &["NaN"]);
}

#[test]
fn another_base_is_found() {
    let bench = exported();
    bench.run(&["export", "exported/merged", "--format", "merged", "--out", "other"]).done();
    change(&bench, "other/model.safetensors", |tensors| {
        tensors.iter_mut().flat_map(|tensor| &mut tensor.values).for_each(|value| *value *= 1.05);
    });
    let onto = ["export", "run/adapter", "--base", "other", "--format", "peft,merged", "--out", "onto"];
    bench.run(&onto).done();
    for folder in ["onto/merged", "onto/peft"] {
        refused(&verify(&bench, folder, &[]), &["answers otherwise than the run", "another base"]);
    }
    let said = verify(&bench, "onto/peft", &[]);
    refused(&said, &["other/model.safetensors: not the weights that were trained on"]);
    let base = bench.json("exported/peft/adapter_config.json")["base_model_name_or_path"].clone();
    let said = verify(&bench, "onto/peft", &["--base", base.as_str().unwrap()]).done();
    assert!(!said.err.contains("not the weights"), "{}", said.err);
}

#[test]
fn another_prompt_is_found() {
    let bench = exported();
    let contract = "exported/peft/prompt_contract.json";
    bench.write(contract, &bench.read(contract).replace("Labels: ", "Emotions: "));
    fs_err::remove_file(bench.path("exported/peft/manifest.json")).unwrap();
    let said = verify(&bench, "exported/peft", &["--json"]);
    refused(&said, &["its prompt contract is not that of the run"]);
    let said = json(&said);
    assert_eq!(said["prompt_contract"]["differences"][0], "the prompt template is different");
    assert_eq!((&said["answers"]["finding"], &said["passed"]), (&"agrees".into(), &false.into()));
    fs_err::remove_file(bench.path(contract)).unwrap();
    let said = verify(&bench, "exported/peft", &[]).done();
    assert!(said.out.contains("prompt contract: missing") && said.err.contains("warning"), "{}", said.err);
}

#[test]
fn another_chat_template_of_a_model_is_found() {
    let bench = exported();
    let config = "exported/merged/tokenizer_config.json";
    let changed = bench.read(config).replace("\\\\n", " ");
    assert_ne!(changed, bench.read(config));
    bench.write(config, &changed);
    fs_err::remove_file(bench.path("exported/merged/manifest.json")).unwrap();
    let said = verify(&bench, "exported/merged", &[]);
    refused(&said, &["its prompt contract is not that of the run", "chat template"]);
    assert!(said.out.contains("with the export's tokenizer the chat template is different"), "{}", said.out);
}

#[test]
fn an_adapter_that_does_nothing_is_told_from_one_that_works() {
    let bench = exported();
    change(&bench, ADAPTER, |tensors| {
        let b = tensors.iter_mut().filter(|tensor| tensor.spec.name.contains("lora_B"));
        b.flat_map(|tensor| &mut tensor.values).for_each(|value| *value = 0.0);
    });
    let says = ["the export answers as the base without the adapter", "lora_B"];
    refused(&verify(&bench, "exported/peft", &[]), &says);
    refused(&verify(&bench, "exported/peft", &["--dtype", "bfloat16"]), &says);
    bench.run(&["export", "exported/peft", "--format", "merged", "--out", "nothing"]).done();
    refused(&verify(&bench, "nothing", &[]), &says);
}

#[test]
fn a_model_that_was_trained_as_a_whole_is_verified_too() {
    let bench = Workbench::new();
    let full =
        ["--set", "train.method=full", "--set", "eval.baseline=false", "--set", "train.learning_rate=1e-3"];
    bench.train("run", &full).done();
    bench.run(&["export", "run", "--format", "merged", "--out", "exported"]).done();
    verify(&bench, "exported", &[]).done();
    refused(&verify(&bench, "run", &[]), &["run"]);
    let said = verify(&bench, "exported", &["--base", "exported"]);
    assert_eq!((said.code, said.err.contains("has no base")), (2, true), "{}", said.err);
}
