//! What JSON Schema can say of the rules between keys ([`crate::check`]), and of single keys beyond their kind.
//!
//! A rule reads "if all of these, then that". A key that is not written has its default, so rules hold for recipes that
//! extend no other; those about `[curriculum]` for recipes that name no curriculum, which would set its keys.

use serde_json::{Value, json};

use crate::section::{NAME_PATTERN, PromptSlots, RetrievalSection, reserved_names};

/// A file for a split, or a part of the training split's file: `data.split` has one for it if it has this many.
fn held_out(key: &'static str, parts: usize, defaults: &Value) -> Value {
    let (file, part) = (given(key), Term("data.split", Form::AtLeast(parts)));
    json!({ "anyOf": [file.schema(defaults), part.schema(defaults)] })
}

/// What is said of the value of a key.
#[derive(Clone)]
enum Form {
    Is(Value),
    IsNot(Value),
    /// A list with this many entries or more.
    AtLeast(usize),
}

impl Form {
    fn schema(&self) -> Value {
        match self {
            Self::Is(value) => json!({ "const": value }),
            Self::IsNot(value) => json!({ "not": { "const": value } }),
            Self::AtLeast(count) => json!({ "minItems": count }),
        }
    }

    fn holds_for(&self, default: &Value) -> bool {
        let same = |value: &Value| match (value.as_f64(), default.as_f64()) {
            (Some(one), Some(other)) => (one - other).abs() < f64::EPSILON,
            _ => value == default,
        };
        match self {
            Self::Is(value) => same(value),
            Self::IsNot(value) => !same(value),
            Self::AtLeast(count) => default.as_array().is_some_and(|items| items.len() >= *count),
        }
    }
}

/// A key and what is said of it.
struct Term(&'static str, Form);

fn is(key: &'static str, value: impl Into<Value>) -> Term {
    Term(key, Form::Is(value.into()))
}

fn is_not(key: &'static str, value: impl Into<Value>) -> Term {
    Term(key, Form::IsNot(value.into()))
}

/// A path or text that is not blank.
fn given(key: &'static str) -> Term {
    is_not(key, "")
}

impl Term {
    fn schema(&self, defaults: &Value) -> Value {
        let Self(path, form) = self;
        let (section, key) = path.split_once('.').expect("a key is in a section");
        let of_key = json!({ key: form.schema() });
        if form.holds_for(&defaults[section][key]) {
            json!({ "properties": { section: { "properties": of_key } } })
        } else {
            let of_section = json!({ "properties": of_key, "required": [key] });
            json!({ "properties": { section: of_section }, "required": [section] })
        }
    }
}

/// If all of these hold, then so does the last.
fn rule(when: &[Term], then: &Value, defaults: &Value) -> Value {
    let when: Vec<Value> = when.iter().map(|term| term.schema(defaults)).collect();
    json!({ "if": { "allOf": when }, "then": then })
}

/// An adapter that does not begin with a part of the weight.
fn plain_start() -> Value {
    let start = json!({ "enum": [true, "gaussian"] });
    json!({ "properties": { "lora": { "properties": { "init_lora_weights": start } } } })
}

/// Terms of which each, if the first hold, makes the last hold.
type Implied = (Vec<Term>, Term);

/// Of the data: label sets, splits, and text without labels.
fn of_data() -> Vec<Implied> {
    let text = || is("data.format", "text");
    let own_order = || is("curriculum.name", "none");
    vec![
        (vec![is_not("data.label_set", "custom")], is("data.labels", json!([]))),
        (vec![is_not("data.label_set", "custom")], is("data.label_aliases", json!({}))),
        (vec![is("data.label_set", "custom")], Term("data.labels", Form::AtLeast(2))),
        (vec![text()], is("train.completion_only_loss", false)),
        (vec![text(), given("data.valid")], is("eval.metric_for_best_model", "loss")),
        (vec![text()], is("retrieval.bank", "")),
        (vec![text()], is("data.split", json!([]))),
        (vec![text()], is("data.sampling", "natural")),
        (vec![text()], is("train.class_weights", "none")),
        (vec![is_not("data.split", json!([]))], is("data.valid", "")),
        (vec![is_not("data.split", json!([]))], is("data.test", "")),
        (vec![text()], is("auxiliary.speaker_identification", 0)),
        (vec![text()], is("auxiliary.emotion_impact", 0)),
        (vec![text()], is("eval.bf16_full_eval", false)),
        (vec![text()], is("train.group_by_dialogue", false)),
        (vec![text(), own_order()], is("curriculum.scheduler", "none")),
        (vec![text(), own_order()], is("curriculum.shuffle", true)),
        (vec![text(), own_order()], is("curriculum.shuffle_by", "utterances")),
    ]
}

/// Of the training.
fn of_training() -> Vec<Implied> {
    let own_order = || is("curriculum.name", "none");
    vec![
        (vec![is_not("train.gradient_checkpointing_every", 1)], is("train.gradient_checkpointing", true)),
        (vec![is("train.activation_offloading", true)], is("train.gradient_checkpointing", true)),
        (vec![given("lora.init_from")], is_not("train.method", "full")),
        (vec![is("lora.use_dora", true)], is_not("train.method", "full")),
        (vec![is_not("train.loraplus_lr_ratio", 1.0)], is_not("train.method", "full")),
        (vec![is("model.init", "random")], is("train.method", "full")),
        (vec![is("eval.metric_for_best_model", "loss")], is("eval.greater_is_better", false)),
        (vec![is_not("eval.metric_for_best_model", "loss")], is("eval.greater_is_better", true)),
        (vec![is("retrieval.encoder", RetrievalSection::LEXICAL)], is("retrieval.index", "exact")),
        (vec![is("eval.load_best_model_at_end", true)], is_not("eval.eval_steps", 0)),
        (vec![is_not("eval.early_stopping_patience", 0)], is_not("eval.eval_steps", 0)),
        (vec![own_order(), is("curriculum.difficulty", "file")], given("curriculum.difficulty_file")),
        (vec![own_order(), is_not("curriculum.difficulty", "file")], is("curriculum.difficulty_file", "")),
        (vec![own_order(), is("curriculum.shuffle", false)], is("train.group_by_length", false)),
        (vec![own_order(), is("curriculum.shuffle", false)], is("curriculum.shuffle_by", "utterances")),
        (vec![own_order(), is("curriculum.shuffle_by", "dialogues")], is("train.group_by_length", false)),
        (vec![own_order(), is("curriculum.scheduler", "none")], is("curriculum.restart_lr_scheduler", false)),
        (vec![own_order(), is("curriculum.scheduler", "none")], is("curriculum.restart_optimizer", false)),
        (vec![is("prompt.causal", true), is("prompt.slots", "all")], is("prompt.future_window", 0)),
    ]
}

/// The rules between the keys of a recipe that extends none.
pub(super) fn between_keys(defaults: &Value) -> Vec<Value> {
    let terms = of_data().into_iter().chain(of_training());
    let rules = terms.map(|(when, then)| rule(&when, &then.schema(defaults), defaults));
    let no_sources = json!({ "properties": { "knowledge": { "maxItems": 0 } } });
    let online = json!({ "not": { "const": "offline" } });
    let all_online =
        json!({ "properties": { "knowledge": { "items": { "properties": { "availability": online } } } } });
    // A number of steps takes the default of the ratio away.
    let no_ratio = json!({ "properties": { "train": { "properties": { "warmup_ratio": { "const": 0 } } } } });
    let own_slots = json!({ "anyOf": [{ "type": "string" }, { "items": { "enum": PromptSlots::NAMES } }] });
    let no_other_slots = json!({
        "if": { "not": { "required": ["knowledge"] } },
        "then": { "properties": { "prompt": { "properties": { "slots": own_slots } } } },
    });
    let plain = plain_start();
    let others = [
        rule(&[is("lora.use_dora", true)], &plain, defaults),
        rule(&[given("lora.init_from")], &plain, defaults),
        no_other_slots,
        rule(&[is("eval.test", true)], &held_out("data.test", 3, defaults), defaults),
        rule(&[is("eval.load_best_model_at_end", true)], &held_out("data.valid", 2, defaults), defaults),
        rule(&[is_not("eval.early_stopping_patience", 0)], &held_out("data.valid", 2, defaults), defaults),
        rule(&[is("data.format", "text")], &no_sources, defaults),
        rule(&[is("prompt.causal", true), is("prompt.slots", "all")], &all_online, defaults),
        rule(&[is_not("train.warmup_steps", 0)], &no_ratio, defaults),
    ];
    rules.chain(others).collect()
}

/// What a key's values must be beyond its kind.
pub(super) fn of_key(path: &str) -> Value {
    match path {
        "retrieval.encoder" => json!({ "minLength": 1 }),
        "knowledge.name" => {
            json!({ "pattern": NAME_PATTERN, "not": { "enum": reserved_names() } })
        }
        "data.labels" => {
            json!({ "items": { "type": "string", "pattern": r"[^\s_\-]" }, "uniqueItems": true })
        }
        "interpret.base_url" => json!({
            "pattern": r"^https?://[^/\s?#@]+(/[^\s?#]*)?$",
            "not": { "pattern": "/chat/completions/*$" },
        }),
        _ => json!({}),
    }
}
