//! The schema, the defaults and the resolved recipe have the same keys.

use std::collections::BTreeSet;

use emotrain_recipe::{DEFAULT_TOML, json_schema};
use expect_test::{Expect, expect};
use serde_json::Value;

use crate::{good, recipe};

fn table(text: &str) -> toml::Table {
    text.parse().unwrap()
}

/// Every `section.key` of a TOML document, in order; keys outside sections alone.
fn keys(document: &toml::Table) -> Vec<String> {
    let keys = document.iter().flat_map(|(section, value)| {
        let table =
            value.as_array().map_or(Some(value), |tables| tables.first()).and_then(toml::Value::as_table);
        match table {
            Some(keys) => keys.keys().map(|key| format!("{section}.{key}")).collect(),
            None => vec![section.clone()],
        }
    });
    keys.collect()
}

/// Every section of the schema, `[[knowledge]]` by that of its tables.
fn sections(schema: &Value) -> Vec<(String, &Value)> {
    let sections = schema["properties"].as_object().unwrap().iter().filter(|(name, _)| *name != "extends");
    let table = |schema: &'_ Value| schema.get("items").is_some();
    sections
        .map(|(name, schema)| (name.clone(), if table(schema) { &schema["items"] } else { schema }))
        .collect()
}

/// Every `section.key` of the schema with its own schema, in order.
fn properties(schema: &Value) -> Vec<(String, &Value)> {
    let keys = sections(schema).into_iter().flat_map(|(section, schema)| {
        let keys = schema["properties"].as_object().unwrap();
        keys.iter().map(move |(key, schema)| (format!("{section}.{key}"), schema))
    });
    keys.collect()
}

#[test]
fn schema_defaults_and_recipe_have_the_same_keys_in_the_same_order() {
    let schema = json_schema();
    let schema: Vec<_> = properties(&schema).into_iter().map(|(key, _)| key).collect();
    assert_eq!([vec!["extends".to_owned()], schema.clone()].concat(), keys(&table(DEFAULT_TOML)));
    let source = good("[[knowledge]]\nname = \"mood\"\npath = \"mood.jsonl\"");
    let resolved: BTreeSet<_> = keys(&table(&source.to_toml())).into_iter().collect();
    assert_eq!(resolved, schema.into_iter().collect());
}

#[test]
fn the_default_values_are_those_of_the_file() {
    let set = ["model.model_name_or_path=tiny", "data.train=a.jsonl", "data.valid=b.jsonl"];
    assert_eq!(recipe(DEFAULT_TOML, &set).unwrap(), recipe("", &set).unwrap());
}

#[test]
fn every_section_and_key_is_described() {
    let schema = json_schema();
    assert!(schema["properties"]["extends"]["description"].as_str().unwrap().ends_with("none."));
    for (section, schema) in sections(&schema) {
        assert!(schema["description"].as_str().unwrap().ends_with('.'), "[{section}]");
    }
    for (key, schema) in properties(&schema) {
        let description = schema["description"].as_str().unwrap();
        assert!(description.ends_with('.') && !description.contains('#'), "{key}: {description}");
        let words = [
            &schema["enum"],
            &schema["items"]["enum"],
            &schema["anyOf"][1]["items"]["enum"],
            &schema["anyOf"][0]["enum"],
        ];
        for word in words.into_iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str) {
            assert!(description.contains(&format!("{word:?}")), "{key} does not explain {word:?}");
        }
    }
}

#[test]
fn unknown_names_are_refused_and_required_ones_asked_for() {
    let schema = json_schema();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["then"]["allOf"][0]["required"], serde_json::json!(["model", "data"]));
    for (section, schema) in sections(&schema) {
        assert_eq!(schema["additionalProperties"], false, "[{section}]");
    }
    for (key, schema) in properties(&schema) {
        let is_required = ["model.model_name_or_path", "data.train", "knowledge.name", "knowledge.path"]
            .contains(&key.as_str());
        assert_eq!(schema.get("default").is_none(), is_required, "{key}");
    }
}

/// Compares the schema of one key without its description.
#[track_caller]
fn check(key: &str, expected: Expect) {
    let schema = json_schema();
    let found = properties(&schema).into_iter().find(|(found, _)| found == key).unwrap().1;
    let mut found = found.clone();
    found.as_object_mut().unwrap().remove("description");
    expected.assert_eq(&found.to_string());
}

#[test]
fn forms_of_values() {
    check("model.model_name_or_path", expect![[r#"{"minLength":1,"type":"string","pattern":"^([^~]|$)"}"#]]);
    check("model.dtype", expect![[r#"{"default":"float32","enum":["float32","bfloat16","float16"]}"#]]);
    check(
        "model.device",
        expect![[r#"{"default":"auto","type":"string","pattern":"^(auto|cpu|(wgpu|cuda)(:[0-9]+)?)$"}"#]],
    );
    check("lora.r", expect![[r#"{"default":32,"type":"integer","minimum":1,"maximum":4096}"#]]);
    check(
        "lora.lora_dropout",
        expect![[r#"{"default":0.05,"type":"number","minimum":0.0,"exclusiveMaximum":1.0}"#]],
    );
    check(
        "lora.target_modules",
        expect![[
            r#"{"default":"all-linear","anyOf":[{"const":"all-linear"},{"type":"array","items":{"enum":["q_proj","k_proj","v_proj","o_proj","gate_proj","up_proj","down_proj","qkv_proj","gate_up_proj"]},"uniqueItems":true,"minItems":1}]}"#
        ]],
    );
    check(
        "lora.init_lora_weights",
        expect![[
            r#"{"default":true,"anyOf":[{"enum":[true,"gaussian","pissa","olora"]},{"type":"string","pattern":"^pissa_niter_[1-9][0-9]?$"}]}"#
        ]],
    );
    check("data.valid", expect![[r#"{"default":"","type":"string","pattern":"^([^~]|$)"}"#]]);
    check(
        "data.label_aliases",
        expect![[r#"{"default":{},"type":"object","additionalProperties":{"type":"string"}}"#]],
    );
    check(
        "data.columns",
        expect![[
            r#"{"default":{},"type":"object","properties":{"dialogue":{"type":"string"},"position":{"type":"string"},"speaker":{"type":"string"},"text":{"type":"string"},"label":{"type":"string"}},"additionalProperties":false}"#
        ]],
    );
    check(
        "data.split",
        expect![[
            r#"{"default":[],"type":"array","items":{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1},"maxItems":3}"#
        ]],
    );
    check(
        "data.labels",
        expect![[
            r#"{"uniqueItems":true,"type":"array","items":{"type":"string","pattern":"[^\\s_\\-]"},"default":[]}"#
        ]],
    );
}

#[test]
fn forms_of_values_of_the_loop() {
    check(
        "train.learning_rate",
        expect![[r#"{"default":0.0003,"type":"number","exclusiveMinimum":0.0,"maximum":1.0}"#]],
    );
    check(
        "curriculum.name",
        expect![[
            r#"{"default":"none","anyOf":[{"enum":["none","prc_emo","wes","es","reverse","random_buckets","length","speakers","file","loss"]},{"type":"string","pattern":"^[^~].*[.]toml$"}]}"#
        ]],
    );
    check("curriculum.k", expect![[r#"{"default":1.0,"type":"number","minimum":0.0,"maximum":1000000.0}"#]]);
    check(
        "eval.eval_steps",
        expect![[
            r#"{"default":0.5,"anyOf":[{"type":"integer","minimum":0,"maximum":1000000000},{"type":"number","exclusiveMinimum":0.0,"maximum":1.0}]}"#
        ]],
    );
    check("eval.baseline", expect![[r#"{"default":true,"type":"boolean"}"#]]);
    check(
        "logging.report_to",
        expect![[
            r#"{"default":["jsonl","tensorboard"],"type":"array","items":{"enum":["jsonl","tensorboard"]},"uniqueItems":true}"#
        ]],
    );
}
