use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::{DType, Device};
use emotrain_base::random::Key;
use emotrain_recipe::LoraInit;
use expect_test::{Expect, expect};
use serde_json::{Map, Value, json};

use super::*;
use crate::batch::{Batch, Sequence};
use crate::checkpointing::Checkpointing;
use crate::config::Architecture;
use crate::decoder::CausalLm;
use crate::engine::tests::model as tiny;
use crate::float::FloatType;
use crate::gradients::Gradients;
use crate::kernels::{read, slice};
use crate::lora::LoraConfig;
use crate::pass::PassOptions;
use crate::weights::spoiled::{NAN, spoil};
use crate::weights::{NamedTensor, TensorSpec, write_safetensors};

/// A folder with an adapter of ours for the tiny model, its configuration with the keys of `patch` replaced.
fn adapter(patch: &Value) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let mut model = bare();
    model.add_lora(&lora(), 1).unwrap();
    model.save_adapter(folder.path(), BaseModel { name: "tiny", revision: None }, FloatType::F32).unwrap();
    let path = folder.path().join(CONFIG);
    let mut config: Map<String, Value> =
        serde_json::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
    config.extend(patch.as_object().unwrap().clone());
    fs_err::write(&path, Value::Object(config).to_string()).unwrap();
    let tensors = folder.path().join(TENSORS);
    (folder, tensors)
}

fn lora() -> LoraConfig {
    LoraConfig {
        r: 2,
        lora_alpha: 4.0,
        lora_dropout: 0.0,
        target_modules: Some(vec!["q_proj".to_owned(), "v_proj".to_owned()]),
        init: LoraInit::Gaussian,
        ..LoraConfig::default()
    }
}

fn bare() -> CausalLm {
    CausalLm::random(tiny(Architecture::Qwen2).config(), &Device::flex(), DType::F32, 3)
}

/// What loading says, with the folder's name taken out.
fn said(folder: &Path) -> String {
    let Err(error) = bare().load_adapter(folder) else { return "loaded\n".to_owned() };
    let hints = error.hint().map(|hint| format!("  hint: {}\n", hint.replace('\n', "\n  hint: ")));
    format!("{error}\n{}", hints.unwrap_or_default()).replace(&format!("{}/", folder.display()), "")
}

fn of(patches: &[Value], expected: &Expect) {
    let said: Vec<String> = patches.iter().map(|patch| said(adapter(patch).0.path())).collect();
    expected.assert_eq(&said.concat());
}

#[test]
fn starts_that_change_the_base() {
    let starts = ["pissa", "pissa_niter_16", "olora", "OLoRA", "corda", "loftq", "lora_ga", "new_start"];
    of(
        &starts.map(|start| json!({"init_lora_weights": start})),
        &expect![[r#"
        adapter_config.json: init_lora_weights: "pissa" is not supported: the adapter belongs to a base that this start has changed
          hint: save it again in Python as an adapter of the unchanged base: PEFT's save_pretrained(folder, path_initial_model_for_weight_conversion=folder of the initial adapter)
        adapter_config.json: init_lora_weights: "pissa_niter_16" is not supported: the adapter belongs to a base that this start has changed
          hint: save it again in Python as an adapter of the unchanged base: PEFT's save_pretrained(folder, path_initial_model_for_weight_conversion=folder of the initial adapter)
        adapter_config.json: init_lora_weights: "olora" is not supported: the adapter belongs to a base that this start has changed
          hint: save it again in Python as an adapter of the unchanged base: PEFT's save_pretrained(folder, path_initial_model_for_weight_conversion=folder of the initial adapter)
        adapter_config.json: init_lora_weights: "olora" is not supported: the adapter belongs to a base that this start has changed
          hint: save it again in Python as an adapter of the unchanged base: PEFT's save_pretrained(folder, path_initial_model_for_weight_conversion=folder of the initial adapter)
        adapter_config.json: init_lora_weights: "corda" is not supported: the adapter belongs to a base that this start has changed
          hint: save it again in Python as an adapter of the unchanged base: PEFT's save_pretrained(folder, path_initial_model_for_weight_conversion=folder of the initial adapter)
        adapter_config.json: init_lora_weights: "loftq" is not supported: the adapter belongs to a base that was quantised
          hint: merge the adapter into its base in Python (PEFT's merge_and_unload), save that model and name its folder as the base
        adapter_config.json: init_lora_weights: "lora_ga" is not supported: the adapter belongs to a base that this start has changed
          hint: save it again in Python as an adapter of the unchanged base: PEFT's save_pretrained(folder, path_initial_model_for_weight_conversion=folder of the initial adapter)
        adapter_config.json: init_lora_weights: "new_start" is a start that this program does not know
    "#]],
    );
    let starts =
        [json!("gaussian"), json!("eva"), json!("orthogonal"), json!("mica"), json!(false), Value::Null];
    for start in starts {
        assert_eq!(said(adapter(&json!({"init_lora_weights": start})).0.path()), "loaded\n");
    }
}

#[test]
fn variants_are_refused_by_name() {
    of(
        &[
            json!({"alora_invocation_tokens": [1, 745]}),
            json!({"use_qalora": false, "lora_bias": true}),
            json!({"use_qalora": true}),
            json!({"modules_to_save": ["lm_head"]}),
            json!({"layer_replication": [[0, 2], [1, 3]]}),
            json!({"target_parameters": ["feed_forward.experts.gate_up_proj"]}),
            json!({"trainable_token_indices": {"embed_tokens": [3]}}),
            json!({"use_bdlora": {"nblocks": 2}, "kasa_config": {"beta": 1.0}}),
            json!({"bias": "lora_only"}),
            json!({"peft_type": "ADALORA"}),
            json!({"task_type": "SEQ_CLS"}),
        ],
        &expect![[r#"
            adapter_config.json: alora_invocation_tokens: [1,745] is not supported: an activated LoRA, which counts only from these tokens on
              hint: ask it with PEFT, or train an adapter without the key
            adapter_config.json: lora_bias: true is not supported: biases inside the adapter
              hint: merge the adapter into its base in Python (PEFT's merge_and_unload), save that model and name its folder as the base
            adapter_config.json: use_qalora: true is not supported: QALoRA, which pools the adapter's input
              hint: merge the adapter into its base in Python (PEFT's merge_and_unload), save that model and name its folder as the base
            adapter_config.json: modules_to_save: ["lm_head"] is not supported: whole layers that were trained besides
              hint: merge the adapter into its base in Python (PEFT's merge_and_unload), save that model and name its folder as the base
            adapter_config.json: layer_replication: [[0,2],[1,3]] is not supported: a base whose layers are repeated
              hint: merge the adapter into its base in Python (PEFT's merge_and_unload), save that model and name its folder as the base
            adapter_config.json: target_parameters: ["feed_forward.experts.gate_up_proj"] is not supported: adapted parameters that are no linear layers
              hint: merge the adapter into its base in Python (PEFT's merge_and_unload), save that model and name its folder as the base
            adapter_config.json: trainable_token_indices: {"embed_tokens":[3]} is not supported: embeddings that were trained besides
              hint: merge the adapter into its base in Python (PEFT's merge_and_unload), save that model and name its folder as the base
            adapter_config.json: use_bdlora: {"nblocks":2} is not supported: block-diagonal matrices
            adapter_config.json: kasa_config: {"beta":1.0} is not supported: singular values of a base that was cut
              hint: merge the adapter into its base in Python (PEFT's merge_and_unload), save that model and name its folder as the base
            adapter_config.json: bias: "lora_only" is not supported (only "none"): biases were trained besides
              hint: merge the adapter into its base in Python (PEFT's merge_and_unload), save that model and name its folder as the base
            adapter_config.json: peft_type: "ADALORA" is not supported (only "LORA")
              hint: merge the adapter into its base in Python (PEFT's merge_and_unload), save that model and name its folder as the base
            adapter_config.json: task_type: "SEQ_CLS" is not supported (only "CAUSAL_LM"): it belongs to another model
        "#]],
    );
}

#[test]
fn what_nobody_knows_is_refused_where_it_could_matter() {
    of(
        &[
            json!({"use_new_thing": true, "new_factor": 2, "new_list": ["x"]}),
            json!({"use_new_thing": false, "new_factor": 0, "new_list": [], "new_text": "", "new": null}),
            json!({"peft_version": "0.99", "_saved_by": "a tool", "tool_version": "1", "description": "mine"}),
            json!({"loftq_config": {"loftq_bits": 4}, "eva_config": {"rho": 2.0}, "runtime_config": {"x": true}}),
        ],
        &expect![[r#"
            adapter_config.json: use_new_thing: a setting this program does not know: true
            adapter_config.json: new_factor: a setting this program does not know: 2
            adapter_config.json: new_list: a setting this program does not know: ["x"]
              hint: remove the key from a copy of the file if it does not change what the adapter computes
            loaded
            loaded
            loaded
        "#]],
    );
}

#[test]
fn numbers_and_names_that_do_not_do() {
    of(
        &[
            json!({"r": 0}),
            json!({"r": 1e15, "lora_dropout": 1.5}),
            json!({"lora_alpha": "four"}),
            json!({"target_modules": ["query"]}),
            json!({"target_modules": ["q_proj", "v_proj", "lm_head"]}),
            json!({"target_modules": ".*(q_proj|v_proj|embed_tokens)"}),
            json!({"target_modules": "("}),
            json!({"target_modules": {"q_proj": 1}}),
            json!({"target_modules": ".*q_proj", "layers_to_transform": [1]}),
            json!({"layers_pattern": "layers"}),
            json!({"layers_to_transform": ["first"]}),
            json!({"rank_pattern": {"q_proj": "two", "*": 2}}),
            json!({"rank_pattern": {"q_proj": 3}}),
            json!({"exclude_modules": 7}),
        ],
        &expect![[r#"
            adapter_config.json: r: must be a whole number from 1 to 1048576
            adapter_config.json: r: must be a whole number from 1 to 1048576
            adapter_config.json: lora_dropout: 1.5 is not a probability below 1
            adapter_config.json: lora_alpha: expected a number, found "four"
            adapter_config.json: target_modules: no layer of the model is adapted (it has q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj)
            adapter_config.json: target_modules: lm_head is adapted: only the layers of the decoder blocks can be
              hint: merge the adapter into its base in Python (PEFT's merge_and_unload), save that model and name its folder as the base
            adapter_config.json: target_modules: model.embed_tokens is adapted: only the layers of the decoder blocks can be
              hint: merge the adapter into its base in Python (PEFT's merge_and_unload), save that model and name its folder as the base
            adapter_config.json: target_modules: not a regular expression: Parsing error at position 9: Opening parenthesis without closing parenthesis
            adapter_config.json: target_modules: expected a list of names or a pattern, found {"q_proj":1}
            adapter_config.json: layers_to_transform: cannot be used where target_modules is a text
            adapter_config.json: layers_pattern: has no meaning without layers_to_transform
            adapter_config.json: layers_to_transform: expected a whole number or a list of them
            adapter_config.json: rank_pattern: "q_proj": "two" is not a rank
            adapter_config.json: rank_pattern: "*": not a regular expression: Parsing error at position 10: Target of repeat operator is invalid
            adapter_model.safetensors: tensor "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": shape [2, 36], but this model needs [3, 36]
            adapter_config.json: exclude_modules: expected a list of names or a pattern, found 7
        "#]],
    );
}

#[test]
fn a_pattern_that_never_ends_is_stopped() {
    let evil = format!("({}|x)*z", "(o|o)*".repeat(12));
    let said = said(adapter(&json!({"target_modules": format!(".*{evil}")})).0.path());
    assert!(said.starts_with("adapter_config.json: target_modules: "), "{said}");
}

/// What is done to an adapter's tensors.
type Change = dyn Fn(&mut Vec<NamedTensor>);

fn write(path: &Path, tensors: &[NamedTensor]) {
    write_safetensors(path, tensors, &BTreeMap::new()).unwrap();
    spoil(path);
}

#[test]
fn tensors_that_do_not_do() {
    let read = |path: &Path| -> Vec<NamedTensor> {
        let file = SafetensorsFile::open(path).unwrap();
        let tensor = |name: &str| {
            let (shape, values) = file.tensor(name).unwrap();
            let spec = TensorSpec { name: name.to_owned(), shape, dtype: FloatType::F32 };
            NamedTensor { spec, values }
        };
        file.names().map(tensor).collect()
    };
    let changes: [&Change; 6] = [
        &Vec::clear,
        &|tensors| tensors.truncate(1),
        &|tensors| tensors.truncate(2),
        &|tensors| tensors[1].values[3] = NAN,
        &|tensors| tensors[0].spec.shape.reverse(),
        &|tensors| {
            let mut more = tensors[0].clone();
            more.spec.name = more.spec.name.replace("lora_A.weight", "lora_magnitude_vector");
            tensors.push(more);
        },
    ];
    let mut all = String::new();
    for change in changes {
        let (folder, path) = adapter(&json!({}));
        let mut tensors = read(&path);
        change(&mut tensors);
        write(&path, &tensors);
        all += &said(folder.path());
    }
    let (folder, path) = adapter(&json!({}));
    fs_err::rename(&path, folder.path().join("adapter_model.bin")).unwrap();
    all += &said(folder.path());
    let oid = "3".repeat(64);
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 99\n");
    fs_err::write(&path, &pointer).unwrap();
    all += &said(folder.path());
    fs_err::write(folder.path().join(CONFIG), &pointer).unwrap();
    all += &said(folder.path());
    fs_err::write(folder.path().join(CONFIG), "{").unwrap();
    all += &said(folder.path());
    expect![[r#"
        adapter_model.safetensors: holds no tensors
          hint: the training that wrote it has to gather the weights before it saves them
        adapter_model.safetensors: tensor "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": is half of a pair: "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight" is not in the file
        adapter_model.safetensors: missing 10 tensors: base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight, base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight, base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight, base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight, base_model.model.model.layers.1.self_attn.v_proj.lora_A.weight, base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight, base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight, base_model.model.model.layers.2.self_attn.q_proj.lora_B.weight and 2 more
        adapter_model.safetensors: tensor "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight": holds NaN
        adapter_model.safetensors: tensor "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": shape [36, 2], but this model needs [2, 36]
        adapter_model.safetensors: unused 1 tensor: base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector
        adapter_model.bin: holds pickled tensors, which are not read: such a file can run any program
          hint: load it in Python with PEFT and save it again: save_pretrained writes safetensors
        adapter_model.safetensors: is a Git LFS pointer, not the file itself
          hint: run `git lfs pull` in its folder, or download the file again
        adapter_config.json: is a Git LFS pointer, not the file itself
          hint: run `git lfs pull` in its folder, or download the file again
        adapter_config.json: not valid JSON: EOF while parsing an object at line 1 column 1
          hint: the file is damaged or was cut short: download it again
    "#]].assert_eq(&all);
}

/// Two adapters are trained in turn over one base, whose memory they share, to what each becomes over a base of its own.
#[test]
fn adapters_over_one_base_are_those_over_their_own() {
    let batch = Batch::sequences(&[Sequence { ids: &[3, 1, 4, 1, 5, 9, 2, 6], supervised_from: 4 }]);
    let step = |model: &mut CausalLm| {
        let options = PassOptions {
            factor: 0.25,
            random: Key::new(1),
            neftune_noise_alpha: 0.0,
            label_smoothing_factor: 0.0,
            gradient_checkpointing: Checkpointing::Off,
        };
        let mut gradients = Gradients::default();
        model.forward_backward(&batch, options, &mut gradients);
        for (name, parameter) in model.parameters() {
            let gradient = gradients.remove(&name).unwrap();
            *parameter = parameter.clone() - gradient * 0.5;
        }
    };
    let adapted = |base: &CausalLm, seed| {
        let mut model = base.base();
        model.add_lora(&lora(), seed).unwrap();
        model
    };
    let mut apart = [1, 2].map(|seed| adapted(&bare(), seed));
    let base = bare();
    let mut together = [1, 2].map(|seed| adapted(&base, seed));
    for _ in 0..3 {
        together.iter_mut().for_each(step);
    }
    for model in &mut apart {
        (0..3).for_each(|_| step(model));
    }
    let logits = |model: &CausalLm| model.logits(&[3, 1, 4]).try_into_vec_as::<f32>().unwrap();
    for (ours, alone) in together.iter().zip(&apart) {
        assert_eq!(logits(ours), logits(alone));
        assert_ne!(logits(ours), logits(&base));
        let weight = |model: &CausalLm| slice(&read(model.layers[1].down.weight.dense())).as_ptr();
        assert_eq!(weight(ours), weight(&base), "one memory");
    }
    assert_ne!(logits(&together[0]), logits(&together[1]));
}

/// The ranks and scales that PEFT's rules give, and what is refused where PEFT warns or says nothing.
#[test]
fn patterns_and_blocks_choose_layers() {
    let mut model = bare();
    let stated = |pattern: &str, value: usize| (pattern.to_owned(), value);
    let config = LoraConfig {
        rank_pattern: vec![stated(r"layers\.1\..*q_proj", 1), stated("q_proj", 5)],
        alpha_pattern: vec![("v_proj".to_owned(), 1.0)],
        layers_to_transform: vec![1, 0],
        ..lora()
    };
    model.add_lora(&config, 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    model.save_adapter(folder.path(), BaseModel { name: "tiny", revision: None }, FloatType::F32).unwrap();
    let saved = PeftAdapter::open(folder.path(), model.config()).unwrap();
    let found: Vec<String> = saved
        .modules
        .iter()
        .map(|PeftModule { path, r, alpha, scale, .. }| format!("{path} {r} {alpha} {scale}\n"))
        .collect();
    expect![[r"
        model.layers.0.self_attn.q_proj 5 4 0.8
        model.layers.0.self_attn.v_proj 2 1 0.5
        model.layers.1.self_attn.q_proj 1 4 4
        model.layers.1.self_attn.v_proj 2 1 0.5
    "]]
    .assert_eq(&found.concat());
    let numbers: usize =
        model.parameters().iter().map(|(_, tensor)| tensor.dims().iter().product::<usize>()).sum();
    assert_eq!(config.trained_numbers(model.config()).unwrap(), numbers);

    let refused = [
        LoraConfig { rank_pattern: vec![stated("down_proj", 2)], ..lora() },
        LoraConfig { alpha_pattern: vec![("q_proj(".to_owned(), 2.0)], ..lora() },
        LoraConfig { layers_to_transform: vec![0, 90], ..lora() },
        LoraConfig { init: LoraInit::Olora, rank_pattern: vec![stated("v_proj", 4000)], ..lora() },
    ];
    let said = refused.map(|config| format!("{}\n", bare().add_lora(&config, 1).unwrap_err()));
    expect![[r#"
        rank_pattern: "down_proj" fits the path of no adapted layer
        alpha_pattern: "q_proj(": not a regular expression: Parsing error at position 20: Opening parenthesis without closing parenthesis
        layers_to_transform: the model has no decoder block 90 (it has 0 to 2)
        init_lora_weights: rank 4000 is larger than that of the weight of model.layers.0.self_attn.v_proj, 20
    "#]].assert_eq(&said.concat());
}
