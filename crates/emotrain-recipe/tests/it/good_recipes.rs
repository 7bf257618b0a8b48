//! Resolved recipes, and that they survive being written and read.

use std::path::{Path, PathBuf};

use emotrain_recipe::{
    DeviceChoice, LoraInit, Metric, PromptTemplate, Recipe, RecipeError, Reporter, ResumeFrom, TargetModules,
    load, parse,
};
use expect_test::expect_file;
use proptest::prelude::*;

use crate::{DATA, completed, good};

#[track_caller]
fn check_round_trip(recipe: &Recipe) {
    let text = recipe.to_toml();
    let again = parse(&text, Path::new("elsewhere/recipe.toml"), &[]);
    let again = again.unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(&again, recipe, "{text}");
    assert_eq!(again.to_toml(), text);
    assert_eq!(again.fingerprint(), recipe.fingerprint());
}

/// A recipe with an absolute path, so that its paths mean the same wherever it is written.
fn absolute(snippet: &str) -> Recipe {
    let parsed = parse(&completed(snippet), Path::new("/home/erc.toml"), &[]);
    parsed.unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_least_recipe() {
    expect_file!["./least.toml"].assert_eq(&good("").to_toml());
}

#[test]
fn unusual_recipes_survive_being_written_and_read() {
    for snippet in [
        "",
        "[train]\nwarmup_steps = 10",
        "[train]\nmethod = \"full\"\n[model]\nmodel_name_or_path = \"../nano\"\ninit = \"random\"",
        "[lora]\ntarget_modules = [\"q_proj\", \"down_proj\"]\ninit_lora_weights = \"gaussian\"",
        "[lora]\nrank_pattern = { q_proj = 2, \"layers.0.a\" = 9 }\nalpha_pattern = { \"z|a\" = 0.5, b = 3 }\nlayers_to_transform = [3, 1]\nuse_dora = true\n[train]\nloraplus_lr_ratio = 16",
        "[lora]\ninit_lora_weights = \"pissa_niter_12\"",
        "[prompt]\ntemplate = \"prc_emo\"\nslots = [\"history\"]\ncausal = true",
        "[prompt]\ntemplate = \"\"\nslots = []",
        "[save]\nresume_from_checkpoint = \"latest\"\n[logging]\nreport_to = []",
        "[save]\nresume_from_checkpoint = \"checkpoints/erc/step-000400\"",
        "[data]\ntrain = \"a.txt\"\nformat = \"text\"\n[train]\ncompletion_only_loss = false\n[eval]\nload_best_model_at_end = false",
        "[eval]\nmetric_for_best_model = \"loss\"\ngreater_is_better = false",
        "[model]\nmodel_name_or_path = \"tiny\"\ndevice = \"cuda:3\"\n[train]\nseed = 9223372036854775807\nadam_epsilon = 1e-300",
    ] {
        check_round_trip(&absolute(snippet));
    }
    let labels = "label_set = \"custom\"\nlabels = [\"up\", \"a \\\"quoted\\\" é\"]\nlabel_aliases = { high = \"up\", \"to p\" = \"up\" }\nmax_test_samples = 7";
    check_round_trip(&absolute(&format!("{DATA}{labels}")));
}

proptest! {
    #[test]
    fn numbers_survive_being_written_and_read(rate in 1e-30..1.0f64, norm in 0.0..1e9f64, seed in 0..=i64::MAX) {
        let text = format!("[train]\nlearning_rate = {rate:?}\nmax_grad_norm = {norm:?}\nseed = {seed}");
        let recipe = absolute(&text);
        prop_assert_eq!(recipe.train.learning_rate.to_bits(), rate.to_bits());
        check_round_trip(&recipe);
    }
}

#[test]
fn values_have_their_types() {
    let recipe = good(
        "[model]\nmodel_name_or_path = \"Qwen/Qwen3-8B\"\ndevice = \"wgpu:1\"\n\
         [lora]\ntarget_modules = [\"q_proj\"]\ninit_lora_weights = \"gaussian\"\n\
         [train]\nmax_steps = 30\nlearning_rate = 1\n\
         [save]\nresume_from_checkpoint = \"latest\"",
    );
    assert_eq!(recipe.name(), "erc");
    assert_eq!(recipe.model.device, DeviceChoice::Wgpu(Some(1)));
    assert_eq!(recipe.lora.target_modules, TargetModules::List(vec!["q_proj".to_owned()]));
    assert_eq!(recipe.lora.init_lora_weights, LoraInit::Gaussian);
    assert_eq!((recipe.train.max_steps, recipe.data.max_train_samples), (Some(30), None));
    assert_eq!((recipe.data.test, recipe.prompt.template), (None, PromptTemplate::Plain));
    assert_eq!(recipe.eval.metric_for_best_model, Metric::WeightedF1);
    assert_eq!(recipe.save.resume_from_checkpoint, Some(ResumeFrom::Latest));
    assert_eq!(recipe.logging.report_to, [Reporter::Jsonl, Reporter::Tensorboard]);
}

#[test]
fn devices_are_written_as_they_are_read() {
    for name in ["auto", "cpu", "wgpu", "wgpu:0", "wgpu:12", "cuda", "cuda:7"] {
        assert_eq!(name.parse::<DeviceChoice>().unwrap().to_string(), name);
    }
    for name in
        ["", "gpu", "cpu:0", "auto:1", "cuda:", "cuda:x", "cuda:-1", "CUDA", "cuda:99999999999999999999"]
    {
        assert!(name.parse::<DeviceChoice>().is_err(), "{name}");
    }
}

#[test]
fn steps_of_warm_up_replace_the_default_ratio() {
    let train = good("[train]\nwarmup_steps = 10").train;
    assert_eq!((train.warmup_steps, train.warmup_ratio.to_bits()), (10, 0.0f64.to_bits()));
    let train = good("[train]\nwarmup_steps = 10\nwarmup_ratio = 0.0").train;
    assert_eq!(train.warmup_steps, 10);
}

#[test]
fn the_output_goes_to_a_folder_of_the_recipe_s_name() {
    assert_eq!(good("").train.output_dir, Path::new("checkpoints/erc"));
    assert_eq!(good("[train]\noutput_dir = \"runs/1\"").train.output_dir, Path::new("runs/1"));
}

#[test]
fn paths_start_at_the_recipe() {
    let at = |path: &str| {
        let text = format!(
            "[data]\ntrain = {path:?}\nvalid = \"v.jsonl\"\n[model]\nmodel_name_or_path = {path:?}\n[prompt]\ntemplate = {path:?}"
        );
        let recipe = parse(&text, Path::new("/home/recipes/erc.toml"), &[]).unwrap();
        assert_eq!(recipe.prompt.template, PromptTemplate::File(recipe.data.train.clone()));
        (recipe.data.train, recipe.model.model_name_or_path)
    };
    let both = |path: &str| (PathBuf::from(path), path.to_owned());
    assert_eq!(at("../nano"), both("/home/nano"));
    assert_eq!(at("./nano.gguf"), both("/home/recipes/nano.gguf"));
    assert_eq!(at("/srv/nano"), both("/srv/nano"));
    assert_eq!(
        at("Qwen/Qwen3-8B"),
        (PathBuf::from("/home/recipes/Qwen/Qwen3-8B"), "Qwen/Qwen3-8B".to_owned())
    );
}

#[test]
fn a_file_is_read_with_paths_that_hold_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let home = fs_err::canonicalize(folder.path()).unwrap();
    fs_err::create_dir(home.join("recipes")).unwrap();
    let path = home.join("recipes/../recipes/my.run.toml");
    fs_err::write(&path, completed("[prompt]\ntemplate = \"../a.jinja\"")).unwrap();
    let recipe = load(&path, &["data.test=here.jsonl".to_owned()]).unwrap();
    assert_eq!(recipe.name(), "my.run");
    assert_eq!(recipe.data.train, home.join("recipes/train.jsonl"));
    assert_eq!(recipe.prompt.template, PromptTemplate::File(home.join("a.jinja")));
    assert_eq!(recipe.data.test, Some(fs_err::canonicalize(".").unwrap().join("here.jsonl")));
    assert_eq!(recipe.train.output_dir, Path::new("checkpoints/my.run"));

    let kept = home.join("recipe.toml");
    fs_err::write(&kept, recipe.to_toml()).unwrap();
    let again = load(&kept, &[]).unwrap();
    assert_eq!(again, recipe);
    assert_eq!(again.fingerprint(), recipe.fingerprint());
}

#[test]
fn a_file_that_is_missing_is_named() {
    let error = load(Path::new("no/such/recipe.toml"), &[]).unwrap_err();
    assert!(matches!(error, RecipeError::Read(_)));
    assert!(error.to_string().contains("no/such/recipe.toml"), "{error}");
}

#[test]
fn a_file_that_is_not_text_is_refused_at_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latin1.toml");
    fs_err::write(&path, b"[train]\noutput_dir = \"caf\xe9\"\n").unwrap();
    let RecipeError::Problems(problems) = load(&path, &[]).unwrap_err() else { panic!("it was read") };
    let problem = &problems[0];
    assert_eq!((problem.line, problem.column), (Some(2), Some(18)), "{problem}");
    assert_eq!(problem.message, "not UTF-8 text");
}

#[test]
fn the_fingerprint_is_of_what_is_trained() {
    let plain = good("").fingerprint();
    assert_eq!(plain.len(), 64);
    assert_ne!(good("[train]\nseed = 43").fingerprint(), plain);
    assert_eq!(good("[train]\nseed = 42\noutput_dir = \"other\"").fingerprint(), plain);
    assert_eq!(good("[save]\nresume_from_checkpoint = \"latest\"").fingerprint(), plain);
    assert_eq!(good("[interpret]\nmodel = \"large\"").fingerprint(), plain);
}
