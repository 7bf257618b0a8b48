//! The JSON Schema of recipes, for editors that complete and check TOML.
//!
//! Names and values come from [`crate::section`], defaults and descriptions from
//! `recipes/default.toml`.

mod rules;

use std::ops::Bound::{self, Excluded, Included, Unbounded};

use serde_json::{Map, Value, json};
use toml_edit::{DocumentMut, RawString, Table};

use crate::DEFAULT_TOML;
use crate::key::{Key, Kind};
use crate::merge::Merged;
use crate::section::{EXTENDS, KNOWLEDGE, LoraInit, SECTIONS, Section};

/// The JSON Schema (draft 2020-12) of a recipe file, without references.
///
/// It refuses what [`crate::load`] refuses, as far as JSON Schema can say it: names, the values of each key, and rules
/// between keys of a recipe that extends none. It cannot compare the values of two keys, follow `extends` or a named
/// curriculum, or know a file.
///
/// # Panics
///
/// If the embedded `recipes/default.toml` is not TOML or lacks a key, which the tests exclude.
pub fn json_schema() -> Value {
    let comments = DEFAULT_TOML.parse::<DocumentMut>().expect("default.toml is TOML");
    let defaults = serde_json::to_value(Merged::defaults().table()).expect("a recipe has no dates");
    let sections = SECTIONS.iter().map(|section| {
        let comments = comments[section.name].as_table().expect("default.toml has all sections");
        (section.name.to_owned(), section_schema(section, comments, &defaults[section.name]))
    });
    let extends = comments.key(EXTENDS).expect("default.toml has all keys").leaf_decor();
    let extends = json!({ "description": description(extends.prefix()), "type": "string", "default": "" });
    let sections = std::iter::once((EXTENDS.to_owned(), extends)).chain(sections);
    let sections = sections.chain(std::iter::once((KNOWLEDGE.name.to_owned(), sources_schema(&comments))));
    let rules: Value = [required()].into_iter().chain(rules::between_keys(&defaults)).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "emotrain recipe",
        "description": "What a run of emotrain does.",
        "type": "object",
        "properties": sections.collect::<Map<_, _>>(),
        "additionalProperties": false,
        "if": { "properties": { EXTENDS: { "const": "" } } },
        "then": { "allOf": rules },
    })
}

/// What a recipe must have that extends none.
fn required() -> Value {
    let sections = SECTIONS.iter().map(|section| {
        let required = names(section.keys.iter().filter(|key| key.required).map(|key| key.name));
        (section.name.to_owned(), json!({ "required": required }))
    });
    let source = names(KNOWLEDGE.keys.iter().filter(|key| key.required).map(|key| key.name));
    let sources = (KNOWLEDGE.name.to_owned(), json!({ "items": { "required": source } }));
    let must_be = |section: &&Section| section.keys.iter().any(|key| key.required);
    json!({
        "required": names(SECTIONS.iter().filter(must_be).map(|section| section.name)),
        "properties": sections.chain([sources]).collect::<Map<_, _>>(),
    })
}

/// The list of tables `[[knowledge]]`.
fn sources_schema(comments: &DocumentMut) -> Value {
    let tables = comments[KNOWLEDGE.name].as_array_of_tables().and_then(|tables| tables.get(0));
    let comments = tables.expect("default.toml has all sections");
    let defaults = serde_json::to_value(Merged::defaults().source_defaults()).expect("a recipe has no dates");
    let mut source = section_schema(KNOWLEDGE, comments, &defaults);
    // The same source in a recipe below may have the rest.
    merge(&mut source, json!({ "required": ["name"] }));
    json!({ "description": source["description"], "type": "array", "items": source })
}

fn section_schema(section: &Section, comments: &Table, defaults: &Value) -> Value {
    let keys = section.keys.iter().map(|key| {
        let decor = comments.key(key.name).expect("default.toml has all keys").leaf_decor();
        let mut schema = key_schema(key, &description(decor.prefix()), &defaults[key.name]);
        merge(&mut schema, rules::of_key(&format!("{}.{}", section.name, key.name)));
        (key.name.to_owned(), schema)
    });
    json!({
        "description": description(comments.decor().prefix()),
        "type": "object",
        "properties": keys.collect::<Map<_, _>>(),
        "additionalProperties": false,
    })
}

/// A path: nothing expands "~".
const PATH: &str = "^([^~]|$)";

fn key_schema(key: &Key, description: &str, default: &Value) -> Value {
    let mut schema = json!({ "description": description });
    let form = match key.kind {
        Kind::Switch => json!({ "type": "boolean" }),
        Kind::Count(least, i64::MAX) => json!({ "type": "integer", "minimum": least }),
        Kind::Count(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::CountOrShare(most) => json!({ "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": most },
            { "type": "number", "exclusiveMinimum": 0.0, "maximum": 1.0 },
        ] }),
        Kind::Number(low, high) => number_schema(low, high),
        Kind::Text => json!({ "type": "string" }),
        Kind::InputPath | Kind::OutputPath | Kind::Model => json!({ "type": "string", "pattern": PATH }),
        Kind::Choice(names) => json!({ "enum": names }),
        Kind::WordOrFile(names) => {
            json!({ "anyOf": [{ "enum": names }, { "type": "string", "pattern": "^[^~].*[.]toml$" }] })
        }
        Kind::WordOrPath(names) => {
            json!({ "anyOf": [{ "enum": names }, { "type": "string", "pattern": PATH }] })
        }
        Kind::Device => json!({ "type": "string", "pattern": "^(auto|cpu|(wgpu|cuda)(:[0-9]+)?)$" }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Shares => {
            let share = json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 });
            json!({ "type": "array", "items": share, "maxItems": 3 })
        }
        Kind::Choices(names) => list_schema(names),
        Kind::WordOrChoices(word, names) => {
            let mut list = list_schema(names);
            merge(&mut list, json!({ "minItems": 1 }));
            json!({ "anyOf": [{ "const": word }, list] })
        }
        Kind::WordOrTexts(word) => {
            let texts = json!({ "type": "array", "items": { "type": "string" }, "uniqueItems": true });
            json!({ "anyOf": [{ "const": word }, texts] })
        }
        Kind::LoraInit => start_schema(),
        Kind::WordOrNumbers(names) => json!({ "anyOf": [{ "enum": names }, table_schema(1e6)] }),
        Kind::CountTable(least, most) => {
            let count = json!({ "type": "integer", "minimum": least, "maximum": most });
            json!({ "type": "object", "additionalProperties": count })
        }
        Kind::NumberTable(most) => table_schema(most),
        Kind::Counts(most) => {
            let count = json!({ "type": "integer", "minimum": 0, "maximum": most });
            json!({ "type": "array", "items": count, "uniqueItems": true })
        }
        Kind::TextTable => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::TextsBy(names) => {
            let keys = names.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" })));
            let keys = keys.collect::<Map<_, _>>();
            json!({ "type": "object", "properties": keys, "additionalProperties": false })
        }
    };
    merge(&mut schema, form);
    merge(&mut schema, if key.required { json!({ "minLength": 1 }) } else { json!({ "default": default }) });
    schema
}

/// Numbers above 0 by text.
fn table_schema(most: f64) -> Value {
    let number = json!({ "type": "number", "exclusiveMinimum": 0.0, "maximum": most });
    json!({ "type": "object", "additionalProperties": number })
}

/// `true`, or the name of a start of an adapter.
fn start_schema() -> Value {
    let names = LoraInit::NAMES.iter().map(|name| json!(name));
    let words: Value = std::iter::once(json!(true)).chain(names).collect();
    json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": LoraInit::NITER_PATTERN }] })
}

fn number_schema(low: Bound<f64>, high: Bound<f64>) -> Value {
    let mut schema = json!({ "type": "number" });
    let bounds = [("minimum", "exclusiveMinimum", low), ("maximum", "exclusiveMaximum", high)];
    for (included, excluded, bound) in bounds {
        match bound {
            Included(bound) => merge(&mut schema, json!({ included: bound })),
            Excluded(bound) => merge(&mut schema, json!({ excluded: bound })),
            Unbounded => {}
        }
    }
    schema
}

fn list_schema(names: &[&str]) -> Value {
    json!({ "type": "array", "items": { "enum": names }, "uniqueItems": true })
}

fn names<'n>(names: impl Iterator<Item = &'n str>) -> Value {
    names.collect()
}

/// Adds the members of one object to another.
fn merge(schema: &mut Value, more: Value) {
    if let (Value::Object(schema), Value::Object(more)) = (schema, more) {
        schema.extend(more);
    }
}

/// The comment right above a key or section, its lines joined.
fn description(above: Option<&RawString>) -> String {
    let above = above.and_then(RawString::as_str).unwrap_or_default();
    let block = above.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let lines = block.lines().map(|line| line.trim_start_matches('#').trim());
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
