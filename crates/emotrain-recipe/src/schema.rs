//! The JSON Schema of recipes, for editors that complete and check TOML.
//!
//! Names and values come from [`crate::section`], defaults and descriptions from
//! `recipes/default.toml`.

use std::ops::Bound::{self, Excluded, Included, Unbounded};

use serde_json::{Map, Value, json};
use toml_edit::{DocumentMut, RawString, Table};

use crate::DEFAULT_TOML;
use crate::key::{Key, Kind};
use crate::merge::Merged;
use crate::section::{EXTENDS, KNOWLEDGE, SECTIONS, Section};

/// The JSON Schema (draft 2020-12) of a recipe file, without references.
///
/// It covers each key separately; only [`crate::load`] checks rules between keys.
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
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "emotrain recipe",
        "description": "What a run of emotrain does.",
        "type": "object",
        "properties": sections.collect::<Map<_, _>>(),
        "required": names(SECTIONS.iter().filter(|section| section.keys.iter().any(|key| key.required)).map(|s| s.name)),
        "additionalProperties": false,
    })
}

/// The list of tables `[[knowledge]]`.
fn sources_schema(comments: &DocumentMut) -> Value {
    let tables = comments[KNOWLEDGE.name].as_array_of_tables().and_then(|tables| tables.get(0));
    let comments = tables.expect("default.toml has all sections");
    let defaults = serde_json::to_value(Merged::defaults().source_defaults()).expect("a recipe has no dates");
    let source = section_schema(KNOWLEDGE, comments, &defaults);
    json!({ "description": source["description"], "type": "array", "items": source })
}

fn section_schema(section: &Section, comments: &Table, defaults: &Value) -> Value {
    let keys = section.keys.iter().map(|key| {
        let decor = comments.key(key.name).expect("default.toml has all keys").leaf_decor();
        (key.name.to_owned(), key_schema(key, &description(decor.prefix()), &defaults[key.name]))
    });
    json!({
        "description": description(comments.decor().prefix()),
        "type": "object",
        "properties": keys.collect::<Map<_, _>>(),
        "required": names(section.keys.iter().filter(|key| key.required).map(|key| key.name)),
        "additionalProperties": false,
    })
}

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
        Kind::Text | Kind::InputPath | Kind::OutputPath | Kind::Model if key.required => {
            json!({ "type": "string", "minLength": 1 })
        }
        Kind::Text | Kind::InputPath | Kind::OutputPath | Kind::Model => json!({ "type": "string" }),
        Kind::Choice(names) => json!({ "enum": names }),
        Kind::WordOrFile(names) => {
            json!({ "anyOf": [{ "enum": names }, { "type": "string", "pattern": "[.]toml$" }] })
        }
        Kind::WordOrPath(names) => json!({ "anyOf": [{ "enum": names }, { "type": "string" }] }),
        Kind::Device => json!({ "type": "string", "pattern": "^(auto|cpu|(wgpu|cuda)(:[0-9]+)?)$" }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Choices(names) => list_schema(names),
        Kind::WordOrChoices(word, names) => {
            let mut list = list_schema(names);
            merge(&mut list, json!({ "minItems": 1 }));
            json!({ "anyOf": [{ "const": word }, list] })
        }
        Kind::WordOrTexts(word) => {
            json!({ "anyOf": [{ "const": word }, { "type": "array", "items": { "type": "string" } }] })
        }
        Kind::TrueOrWord(word) => json!({ "enum": [true, word] }),
        Kind::WordOrNumbers(names) => {
            let number = json!({ "type": "number", "exclusiveMinimum": 0.0, "maximum": 1e6 });
            json!({ "anyOf": [{ "enum": names }, { "type": "object", "additionalProperties": number }] })
        }
        Kind::TextTable => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
    };
    merge(&mut schema, form);
    if !key.required {
        merge(&mut schema, json!({ "default": default }));
    }
    schema
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
