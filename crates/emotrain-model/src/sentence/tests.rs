//! Folders that are refused, each with file and key.

use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::SentenceFolder;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/sentence")
}

/// A copy of a tiny encoder.
fn copy(name: &str) -> tempfile::TempDir {
    let target = tempfile::tempdir().unwrap();
    copy_folder(&golden().join(name), target.path());
    target
}

fn copy_folder(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs_err::copy(&path, &target).unwrap();
        }
    }
}

/// What is said of a folder.
fn verdict(folder: &Path) -> String {
    match SentenceFolder::open(folder) {
        Ok(folder) => format!("{}\n", folder.config()),
        Err(error) => {
            let hint = error.hint().map_or(String::new(), |hint| format!("  hint: {hint}\n"));
            format!("{error}\n{hint}").replace(&format!("{}", folder.display()), "encoder")
        }
    }
}

/// The tiny mean-pooling encoder with a file's keys replaced, or removed by null; all the verdicts.
fn check(file: &str, patches: &[Value], expected: &Expect) {
    let mut said = String::new();
    for patch in patches {
        let folder = copy("tiny_mean");
        let path = folder.path().join(file);
        let text = fs_err::read_to_string(&path).unwrap_or_else(|_| "{}".to_owned());
        let mut object: Value = serde_json::from_str(&text).unwrap();
        for (key, value) in patch.as_object().unwrap() {
            object[key] = value.clone();
        }
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, object.to_string()).unwrap();
        said.push_str(&verdict(folder.path()));
    }
    expected.assert_eq(&said);
}

#[test]
fn other_encoders_are_refused_by_name() {
    check(
        "config.json",
        &[
            json!({"model_type": "mpnet", "architectures": ["MPNetModel"], "relative_attention_num_buckets": 32}),
            json!({"model_type": null}),
            json!({"architectures": ["RobertaModel"]}),
            json!({"hidden_act": "gelu_new"}),
            json!({"hidden_act": null}),
            json!({"position_embedding_type": "relative_key", "is_decoder": true}),
            json!({"num_attention_heads": 5, "layer_norm_eps": 2, "vocab_size": 0, "rope_theta": 10000.0}),
            json!({"hidden_size": "24"}),
        ],
        &expect![[r#"
            encoder/config.json: model_type: "mpnet" is not supported
              hint: sentence encoders of the BERT family are computed here, such as all-MiniLM-L6-v2
            encoder/config.json: model_type: missing
            encoder/config.json: architectures: ["RobertaModel"] is not supported
              hint: sentence encoders of the BERT family are computed here, such as all-MiniLM-L6-v2
            encoder/config.json: hidden_act: "gelu_new" is not supported: another activation (must be "gelu")
            encoder/config.json: hidden_act: missing
            encoder/config.json: position_embedding_type: "relative_key" is not supported: relative positions (must be "absolute")
            encoder/config.json: is_decoder: true is not supported: a causal mask (must be false)
            encoder/config.json: vocab_size: must be at least 1
            encoder/config.json: num_attention_heads: 5 does not divide hidden_size = 24
            encoder/config.json: layer_norm_eps: 2 is not between 0 and 1
            encoder/config.json: rope_theta: 10000.0 is not supported: rotary positions (must be absent)
            encoder/config.json: hidden_size: expected a whole number, found "24"
        "#]],
    );
}

#[test]
fn lengths_and_cases_are_read_and_not_assumed() {
    check(
        "sentence_bert_config.json",
        &[
            json!({"max_seq_length": null, "do_lower_case": true}),
            json!({"max_seq_length": 0}),
            json!({"max_seq_length": 512}),
            json!({"transformer_task": "fill-mask", "module_output_name": "token_embeddings", "unpad_inputs": false}),
            json!({"modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}}),
            json!({"modality_config": {"text": {"method": "forward", "method_output_name": "pooler_output"}}}),
            json!({"max_len": 3}),
        ],
        &expect![[r#"
            bert num_attention_heads=3 layer_norm_eps=1e-12 max_seq_length=40 do_lower_case=true pooling=mean normalize=true
            encoder/sentence_bert_config.json: max_seq_length: 0 is not between 1 and max_position_embeddings = 48
            encoder/sentence_bert_config.json: max_seq_length: 512 is not between 1 and max_position_embeddings = 48
            encoder/sentence_bert_config.json: transformer_task: "fill-mask" is not supported: a model with a head of its own (must be "feature-extraction")
            bert num_attention_heads=3 layer_norm_eps=1e-12 max_seq_length=32 do_lower_case=false pooling=mean normalize=true
            encoder/sentence_bert_config.json: modality_config: {"text":{"method":"forward","method_output_name":"pooler_output"}} is not supported
            encoder/sentence_bert_config.json: max_len: a setting this program does not know: 3
              hint: remove the key from a copy of the file if it does not change what the model computes
        "#]],
    );
}

#[test]
fn other_poolings_are_refused_by_name() {
    check(
        "1_Pooling/config.json",
        &[
            json!({"pooling_mode_cls_token": true}),
            json!({"pooling_mode_mean_tokens": false}),
            json!({"pooling_mode": "lasttoken"}),
            json!({"pooling_mode": ["mean", "max"]}),
            json!({"pooling_mode": ["max"]}),
            json!({"word_embedding_dimension": 384}),
            json!({"pooling_mode_first_quarter": true}),
        ],
        &expect![[r"
            encoder/1_Pooling/config.json: pooling_mode_cls_token: pooling by cls and mean is not supported
              hint: one of mean, cls and max is computed here
            encoder/1_Pooling/config.json: pooling_mode: pooling by none is not supported
              hint: one of mean, cls and max is computed here
            encoder/1_Pooling/config.json: pooling_mode: pooling by lasttoken is not supported
              hint: one of mean, cls and max is computed here
            encoder/1_Pooling/config.json: pooling_mode: pooling by mean and max is not supported
              hint: one of mean, cls and max is computed here
            bert num_attention_heads=3 layer_norm_eps=1e-12 max_seq_length=32 do_lower_case=false pooling=max normalize=true
            encoder/1_Pooling/config.json: word_embedding_dimension: 384, but hidden_size is 24
            encoder/1_Pooling/config.json: pooling_mode_first_quarter: a setting this program does not know: true
              hint: remove the key from a copy of the file if it does not change what the model computes
        "]],
    );
}

#[test]
fn other_modules_and_prompts_are_refused_by_name() {
    let mut said = String::new();
    for (path, text) in [
        ("modules.json", json!([{"path": "", "type": "sentence_transformers.models.Transformer"}])),
        (
            "modules.json",
            json!([
                {"path": "", "type": "sentence_transformers.models.Transformer"},
                {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                {"path": "2_Dense", "type": "sentence_transformers.models.Dense"},
                {"path": "../3", "type": "mine.Normalize"},
            ]),
        ),
        (
            "modules.json",
            json!([
                {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                {"path": "", "type": "sentence_transformers.models.Transformer"},
            ]),
        ),
        (
            "modules.json",
            json!([
                {"path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"},
                {"path": "1_Pooling", "type": "sentence_transformers.sentence_transformer.modules.pooling.Pooling"},
            ]),
        ),
        ("modules.json", json!({"modules": []})),
        ("2_Normalize/config.json", json!({"module_input_name": "token_embeddings"})),
        (
            "config_sentence_transformers.json",
            json!({"default_prompt_name": "query", "prompts": {"query": "q: "}}),
        ),
        (
            "config_sentence_transformers.json",
            json!({"prompts": {"query": ""}, "similarity_fn_name": "cosine"}),
        ),
    ] {
        let folder = copy("tiny_mean");
        let path = folder.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, text.to_string()).unwrap();
        said.push_str(&verdict(folder.path()));
    }
    expect![[r#"
        encoder/modules.json: [*].type: the modules are Transformer
          hint: they have to be Transformer, Pooling, Normalize, the last of which may be left out
        encoder/modules.json: [2].type: "sentence_transformers.models.Dense" is not supported
        encoder/modules.json: [3].path: "../3" is not a folder of this one
        encoder/modules.json: [3].type: "mine.Normalize" is not supported
          hint: the modules Transformer, Pooling, Normalize are computed here, in this order
        encoder/modules.json: [*].type: the modules are Pooling, Transformer
          hint: they have to be Transformer, Pooling, Normalize, the last of which may be left out
        bert num_attention_heads=3 layer_norm_eps=1e-12 max_seq_length=32 do_lower_case=false pooling=mean normalize=false
        encoder/modules.json: not valid JSON: invalid type: map, expected a sequence
          hint: the file is damaged or was cut short: download it again
        encoder/2_Normalize/config.json: module_input_name: "token_embeddings" is not supported (must be "sentence_embedding")
        encoder/config_sentence_transformers.json: default_prompt_name: "query": prompts before texts are not supported
        bert num_attention_heads=3 layer_norm_eps=1e-12 max_seq_length=32 do_lower_case=false pooling=mean normalize=true
    "#]].assert_eq(&said);
}

#[test]
fn missing_and_damaged_files_are_named() {
    let mut said = String::new();
    for file in ["modules.json", "config.json", "1_Pooling/config.json", "model.safetensors"] {
        let folder = copy("tiny_mean");
        fs_err::remove_file(folder.path().join(file)).unwrap();
        said.push_str(&verdict(folder.path()));
    }
    let folder = copy("tiny_mean");
    let path = folder.path().join("model.safetensors");
    let bytes = fs_err::read(&path).unwrap();
    fs_err::write(&path, &bytes[..bytes.len() - 5]).unwrap();
    said.push_str(&verdict(folder.path()));
    fs_err::write(folder.path().join("config.json"), "{").unwrap();
    said.push_str(&verdict(folder.path()));
    expect![[r#"
        encoder: not a sentence encoder: no modules.json
          hint: give a folder that sentence-transformers has saved, such as all-MiniLM-L6-v2's
        encoder/config.json: missing
        encoder/1_Pooling/config.json: missing
        encoder: holds neither model.safetensors nor model.safetensors.index.json
          hint: download the folder again with its weights, or convert them to safetensors
        encoder/model.safetensors: tensor "pooler.dense.weight": truncated: its data ends at byte 64352 of 64347
        encoder/config.json: not valid JSON: EOF while parsing an object at line 1 column 1
          hint: the file is damaged or was cut short: download it again
    "#]].assert_eq(&said);
}

#[test]
fn tensors_have_to_fit_the_configuration() {
    check(
        "config.json",
        &[json!({"num_hidden_layers": 3}), json!({"num_hidden_layers": 1}), json!({"vocab_size": 221})],
        &expect![[r#"
            encoder/model.safetensors: missing 16 tensors: encoder.layer.2.attention.self.query.weight, encoder.layer.2.attention.self.query.bias, encoder.layer.2.attention.self.key.weight, encoder.layer.2.attention.self.key.bias, encoder.layer.2.attention.self.value.weight, encoder.layer.2.attention.self.value.bias, encoder.layer.2.attention.output.dense.weight, encoder.layer.2.attention.output.dense.bias and 8 more
            encoder/model.safetensors: unused 16 tensors: encoder.layer.1.attention.output.LayerNorm.bias, encoder.layer.1.attention.output.LayerNorm.weight, encoder.layer.1.attention.output.dense.bias, encoder.layer.1.attention.output.dense.weight, encoder.layer.1.attention.self.key.bias, encoder.layer.1.attention.self.key.weight, encoder.layer.1.attention.self.query.bias, encoder.layer.1.attention.self.query.weight and 8 more
            encoder/model.safetensors: tensor "embeddings.word_embeddings.weight": shape [220, 24] where the configuration needs [221, 24]
        "#]],
    );
}
