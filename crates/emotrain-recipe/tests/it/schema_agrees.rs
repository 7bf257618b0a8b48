//! An editor with the schema and `emotrain check` refuse the same recipes, as far as JSON Schema can say it.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use emotrain_recipe::{json_schema, load, parse};
use expect_test::expect;
use jsonschema::Validator;
use toml::{Table, Value, toml};

use crate::completed;

static SCHEMA: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft202012::new(&json_schema()).expect("the schema is one"));

/// Whether the schema accepts a recipe as it is written.
fn editor_accepts(recipe: &Table) -> bool {
    SCHEMA.is_valid(&serde_json::to_value(recipe).unwrap())
}

fn check_accepts(recipe: &Table) -> bool {
    parse(&recipe.to_string(), Path::new("erc.toml"), &[]).is_ok()
}

/// A recipe's value for every key: valid for some kinds and invalid for others.
fn values() -> Vec<Value> {
    let numbers = [-1, 0, 1, 7, 3_000_000_000_000].map(Value::Integer);
    let fractions = [-0.5, 0.5, 1.5, 1e12].map(Value::Float);
    let words =
        ["", " ", "none", "zzz", "~/x", "~/x.toml", "x.toml", "cuda:1", "all", "ftp://x", "http://x:1/v1"];
    let words = words.map(|word| Value::String(word.to_owned()));
    let more = toml! {
        of = [[], ["zzz"], ["zzz", "zzz"], ["jsonl", "jsonl"], ["q_proj"], [1], {}, { a = "b" }, { a = 1 }, true, false]
    };
    let more = more["of"].as_array().unwrap().clone();
    numbers.into_iter().chain(fractions).chain(words).chain(more).collect()
}

/// The section of a recipe, or the first of its knowledge sources.
fn section<'t>(recipe: &'t mut Table, name: &str) -> &'t mut Table {
    if name == "knowledge" {
        let sources = recipe
            .entry(name)
            .or_insert_with(|| Value::Array(vec![Value::Table(toml! { name = "mood" path = "mood.jsonl" })]));
        return sources.as_array_mut().unwrap()[0].as_table_mut().unwrap();
    }
    recipe.entry(name).or_insert_with(|| Value::Table(Table::new())).as_table_mut().unwrap()
}

/// A value of a few characters.
fn short(value: &Value) -> String {
    value.to_string().replace(['\n', ' '], "")
}

#[test]
fn every_key_with_every_value() {
    let schema = json_schema();
    let mut lenient = Vec::new();
    for (name, of_section) in schema["properties"].as_object().unwrap() {
        let keys = of_section["properties"].as_object();
        for key in keys.or_else(|| of_section["items"]["properties"].as_object()).into_iter().flatten() {
            for value in values() {
                let mut recipe: Table = completed("").parse().unwrap();
                section(&mut recipe, name).insert(key.0.clone(), value.clone());
                match (check_accepts(&recipe), editor_accepts(&recipe)) {
                    (true, false) => panic!("{name}.{} = {value}: only the schema refuses it", key.0),
                    (false, true) => lenient.push(format!("{name}.{} = {}\n", key.0, short(&value))),
                    (true, true) | (false, false) => {}
                }
            }
        }
    }
    // What JSON Schema cannot say: what keys ask of one another, what is inside a text, and what is the same but for its
    // spelling.
    expect![[r#"
        model.num_devices = 7
        data.split_seed = 1000000000000.0
        interpret.seed = 1000000000000.0
        interpret.extra_body = ""
        interpret.extra_body = "none"
        interpret.extra_body = "zzz"
        interpret.extra_body = "~/x"
        interpret.extra_body = "~/x.toml"
        interpret.extra_body = "x.toml"
        interpret.extra_body = "cuda:1"
        interpret.extra_body = "all"
        interpret.extra_body = "ftp://x"
        interpret.extra_body = "http://x:1/v1"
        train.seed = 1000000000000.0
        curriculum.name = "x.toml"
    "#]]
    .assert_eq(&lenient.concat());
}

/// A recipe that a rule between keys refuses, and one that it does not.
const RULES: &[(&str, &str)] = &[
    ("[eval]\ntest = true", "[data]\ntrain = \"a\"\nvalid = \"b\"\ntest = \"c\"\n[eval]\ntest = true"),
    (
        "[data]\ntrain = \"a\"\nvalid = \"b\"\nlabels = [\"c\", \"d\"]",
        "[data]\ntrain = \"a\"\nvalid = \"b\"\nlabel_set = \"custom\"\nlabels = [\"c\", \"d\"]",
    ),
    (
        "[data]\ntrain = \"a\"\nvalid = \"b\"\nlabel_set = \"custom\"\nlabels = [\"c\"]",
        "[data]\ntrain = \"a\"\nvalid = \"b\"\nlabel_set = \"meld\"",
    ),
    (
        "[data]\ntrain = \"a\"\nvalid = \"b\"\nlabel_aliases = { c = \"joy\" }",
        "[data]\ntrain = \"a\"\nvalid = \"b\"\nlabel_aliases = {}",
    ),
    (
        "[data]\nformat = \"text\"\ntrain = \"a\"\n[eval]\nload_best_model_at_end = false",
        "[data]\nformat = \"text\"\ntrain = \"a\"\n[eval]\nload_best_model_at_end = false\n[train]\ncompletion_only_loss = false",
    ),
    (
        "[data]\nformat = \"text\"\ntrain = \"a\"\nvalid = \"b\"\n[train]\ncompletion_only_loss = false",
        "[data]\nformat = \"text\"\ntrain = \"a\"\nvalid = \"b\"\n[train]\ncompletion_only_loss = false\n[eval]\nmetric_for_best_model = \"loss\"\ngreater_is_better = false",
    ),
    (
        "[data]\ntrain = \"a\"\nsplit = [0.8, 0.2]\n[eval]\ntest = true",
        "[data]\ntrain = \"a\"\nsplit = [0.8, 0.1, 0.1]\n[eval]\ntest = true",
    ),
    ("[data]\ntrain = \"a\"\nvalid = \"b\"\nsplit = [0.8, 0.2]", "[data]\ntrain = \"a\"\nsplit = [0.8, 0.2]"),
    (
        "[data]\nformat = \"text\"\ntrain = \"a\"\nsampling = \"sqrt\"\n[eval]\nload_best_model_at_end = false\n[train]\ncompletion_only_loss = false",
        "[data]\ntrain = \"a\"\nvalid = \"b\"\nsampling = \"sqrt\"",
    ),
    (
        "[lora]\ninit_from = \"a\"\n[train]\nmethod = \"full\"",
        "[lora]\ninit_from = \"a\"\n[train]\nmethod = \"lora\"",
    ),
    ("[lora]\nuse_dora = true\n[train]\nmethod = \"full\"", "[lora]\nuse_dora = true"),
    ("[train]\nloraplus_lr_ratio = 2\nmethod = \"full\"", "[train]\nloraplus_lr_ratio = 2"),
    ("[lora]\nuse_dora = true\ninit_lora_weights = \"olora\"", "[lora]\ninit_lora_weights = \"olora\""),
    ("[lora]\ninit_from = \"a\"\ninit_lora_weights = \"pissa_niter_2\"", "[lora]\ninit_from = \"a\""),
    (
        "[model]\nmodel_name_or_path = \"a\"\ninit = \"random\"",
        "[model]\nmodel_name_or_path = \"a\"\ninit = \"random\"\n[train]\nmethod = \"full\"",
    ),
    (
        "[eval]\nmetric_for_best_model = \"loss\"",
        "[eval]\nmetric_for_best_model = \"loss\"\ngreater_is_better = false",
    ),
    ("[eval]\ngreater_is_better = false", "[eval]\nmetric_for_best_model = \"macro_f1\""),
    ("[retrieval]\nencoder = \"lexical\"\nindex = \"hnsw\"", "[retrieval]\nencoder = \"lexical\""),
    ("[data]\ntrain = \"a\"", "[data]\ntrain = \"a\"\n[eval]\nload_best_model_at_end = false"),
    ("[eval]\neval_steps = 0", "[eval]\neval_steps = 0\nload_best_model_at_end = false"),
    (
        "[eval]\neval_steps = 0\nload_best_model_at_end = false\nearly_stopping_patience = 1",
        "[eval]\nearly_stopping_patience = 1",
    ),
    (
        "[curriculum]\ndifficulty = \"file\"",
        "[curriculum]\ndifficulty = \"file\"\ndifficulty_file = \"a.jsonl\"",
    ),
    ("[curriculum]\ndifficulty_file = \"a.jsonl\"", "[curriculum]\ndifficulty_file = \"\""),
    (
        "[curriculum]\nshuffle = false\n[train]\ngroup_by_length = true",
        "[curriculum]\nshuffle = false\n[train]\ngroup_by_length = false",
    ),
    (
        "[curriculum]\nshuffle_by = \"dialogues\"\n[train]\ngroup_by_length = true",
        "[curriculum]\nshuffle_by = \"dialogues\"",
    ),
    (
        "[curriculum]\nshuffle = false\nshuffle_by = \"dialogues\"",
        "[curriculum]\nshuffle = false\nshuffle_by = \"utterances\"",
    ),
    (
        "[data]\nformat = \"text\"\ntrain = \"a\"\n[eval]\nload_best_model_at_end = false\n[train]\ncompletion_only_loss = false\ngroup_by_dialogue = true",
        "[data]\nformat = \"text\"\ntrain = \"a\"\n[eval]\nload_best_model_at_end = false\n[train]\ncompletion_only_loss = false",
    ),
    (
        "[curriculum]\nrestart_optimizer = true",
        "[curriculum]\nrestart_optimizer = true\nscheduler = \"baby_step\"",
    ),
    ("[prompt]\ncausal = true\nfuture_window = 1", "[prompt]\nfuture_window = 1"),
    (
        "[prompt]\ncausal = true\n[[knowledge]]\nname = \"a\"\npath = \"b\"\navailability = \"offline\"",
        "[prompt]\ncausal = true\n[[knowledge]]\nname = \"a\"\npath = \"b\"\navailability = \"online\"",
    ),
    (
        "[train]\ngradient_checkpointing_every = 2",
        "[train]\ngradient_checkpointing_every = 2\ngradient_checkpointing = true",
    ),
    (
        "[train]\nactivation_offloading = true",
        "[train]\nactivation_offloading = true\ngradient_checkpointing = true",
    ),
    ("[train]\nwarmup_steps = 5\nwarmup_ratio = 0.1", "[train]\nwarmup_steps = 5"),
    ("[prompt]\nslots = [\"a\"]", "[prompt]\nslots = [\"a\"]\n[[knowledge]]\nname = \"a\"\npath = \"b\""),
    ("[[knowledge]]\nname = \"A\"\npath = \"b\"", "[[knowledge]]\nname = \"a\"\npath = \"b\""),
    ("[[knowledge]]\nname = \"history\"\npath = \"b\"", "[[knowledge]]\nname = \"story\"\npath = \"b\""),
    ("[[knowledge]]\nname = \"a\"", "knowledge = []"),
    ("[other]", ""),
    ("[train]\nlearning_rat = 0.1", "[train]\nlearning_rate = 0.1"),
];

#[test]
fn rules_between_keys() {
    for (wrong, right) in RULES {
        for (text, is_right) in [(wrong, false), (right, true)] {
            let recipe: Table = completed(text).parse().unwrap();
            assert_eq!((check_accepts(&recipe), editor_accepts(&recipe)), (is_right, is_right), "{text}");
        }
    }
}

#[test]
fn every_recipe_of_the_project() {
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in [recipes.clone(), recipes.join("ablations"), recipes.join("neighbours")] {
        let found = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.extend(found.filter(|path| path.extension().is_some_and(|suffix| suffix == "toml")));
    }
    assert!(files.len() > 15, "{files:?}");
    for file in files {
        let recipe: Table = fs_err::read_to_string(&file).unwrap().parse().unwrap();
        assert_eq!(load(&file, &[]).is_ok(), editor_accepts(&recipe), "{}", file.display());
    }
}
