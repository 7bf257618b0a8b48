//! A file of another kind than the one that is expected, and wrong words.

use std::fmt::Write as _;

use expect_test::expect;

use super::error;
use crate::workbench::{Workbench, refused};

#[test]
fn data_and_folders_in_the_place_of_a_recipe() {
    let bench = Workbench::new();
    bench.write("chats.csv", "dialogue,speaker,text,label\na,Ada,Hm.,joy\n");
    bench.write("chats.jsonl", "{\"id\":\"a\"}\n");
    bench.write("table", "dialogue,speaker,text,label\na,Ada,Hm.,joy\n");
    bench.train("run", &["--set", "train.max_steps=2", "--set", "eval.baseline=false"]).done();
    bench.write("sweep.toml", "base = \"recipe.toml\"\nseeds = [1]\n");
    let all = [
        &["chats.csv"][..],
        &["plan", "chats.csv"],
        &["check", "chats.jsonl"],
        &["inspect", "table"],
        &["run", "--resume"],
        &["check", "."],
        &["check", "sweep.toml"],
    ];
    expect![[r#"
        error: chats.csv: looks like data, not a recipe
          hint: `emotrain init chats.csv` writes a recipe for it
        error: chats.csv: looks like data, not a recipe
          hint: `emotrain init chats.csv` writes a recipe for it
        error: chats.jsonl: looks like data, not a recipe
          hint: `emotrain init chats.jsonl` writes a recipe for it
        error: table: looks like data, not a recipe
          hint: `emotrain init table` writes a recipe for it
        error: run: is the folder of a run, not a recipe
          hint: name the recipe in it: run/recipe.toml
        error: .: is the folder of a run, not a recipe
          hint: name the recipe in it: ./recipe.toml
        error: sweep.toml: is a sweep file, not a recipe
          hint: emotrain sweep sweep.toml trains its runs
    "#]]
    .assert_eq(&all.map(|words| error(&bench, words)).concat());
}

#[test]
fn a_recipe_in_the_place_of_a_run_or_a_sweep() {
    let bench = Workbench::new();
    let all = [
        &["report", "recipe.toml"][..],
        &["export", "recipe.toml", "--format", "peft", "--out", "out"],
        &["sweep", "recipe.toml"],
        &["sweep", "status", "recipe.toml"],
        &["predict", "--run", "recipe.toml", "--input", "x.jsonl"],
        &["eval", "recipe.toml", "--run", "checkpoints/recip"],
        &["compare", "nowhere", "recipe.toml"],
    ];
    expect![[r#"
        error: recipe.toml: is a recipe, not a run
          hint: name the folder of its run: checkpoints/recipe
        error: recipe.toml: is a recipe, not what was trained
          hint: name the folder of its run: checkpoints/recipe
        error: recipe.toml: is a recipe, not a sweep file
          hint: `emotrain recipe.toml` trains it; a sweep file names it: base = "recipe.toml"
        error: recipe.toml: is a recipe, not a sweep file
          hint: `emotrain recipe.toml` trains it; a sweep file names it: base = "recipe.toml"
        error: recipe.toml: is a recipe, not what was trained
          hint: name the folder of its run: checkpoints/recipe
        error: checkpoints/recip: no such folder
          hint: name the run directory of a training; paths are relative to here
        error: nowhere: no such folder
          hint: name the run directory of a training
    "#]]
    .assert_eq(&all.map(|words| error(&bench, words)).concat());
}

#[test]
fn problems_beyond_twenty_are_counted() {
    let bench = Workbench::new();
    let mut text = "[train]\n".to_owned();
    (0..50).for_each(|number| writeln!(text, "nothing_{number} = 1").unwrap());
    bench.write("long.toml", &text);
    let said = error(&bench, &["check", "long.toml"]);
    assert!(said.contains("long.toml: 3") && said.ends_with(" more problems\n"), "{said}");
    assert_eq!(said.matches("unknown key").count(), 20, "{said}");
}

#[test]
fn what_is_wrong_with_a_sweep_is_told_once() {
    let bench = Workbench::new();
    let sweep = |text: &str| {
        bench.write("sweep.toml", &format!("base = \"recipe.toml\"\n{text}\n"));
        error(&bench, &["sweep", "sweep.toml", "--dry-run"])
    };
    let grid = "[grid]\n\"train.learnin_rate\" = [1e-4, 1e-3]\n\"lora.r\" = [2, 4, 0]";
    let mut all =
        [sweep("seed = [42]"), sweep("[grid]\ntrain.learning_rate = [1e-4]\n\"lora.r\" = 8"), sweep(grid)]
            .concat();
    bench.write("sweep.toml", "base = \"gone.toml\"\n[grid]\n\"lora.r\" = [2, 4]\n");
    all += &error(&bench, &["sweep", "sweep.toml"]);
    all += &error(&bench, &["sweep", "stauts", "sweep.toml"]);
    expect![[r#"
        error: sweep.toml:2: unknown key "seed"
          hint: did you mean seeds?
        error: sweep.toml:3: [grid] train.learning_rate: a key with a dot needs quotes
          hint: write "train.learning_rate" = [0.0001]
        sweep.toml:4: grid."lora.r" = 8: expected a list of values
          hint: write "lora.r" = [8], or put it under [set]
        error: sweep.toml: unknown key "learnin_rate" in [train]
          hint: did you mean "learning_rate"?
        train.learnin_rate=0.0001, lora.r=0 and 1 more: sweep.toml: lora.r must be a whole number from 1 to 4096, not 0
        error: ./gone.toml: No such file or directory (os error 2)
          hint: name a recipe, a TOML file; those that come with emotrain are in recipes/
        error: no command and no sweep file 'stauts'

          tip: a similar command exists: 'sweep status'

        Usage: emotrain [OPTIONS] <RECIPE>...
               emotrain [OPTIONS] <COMMAND>

        For more information, try '--help'.
    "#]].assert_eq(&all);
}

#[test]
fn options_that_come_to_nothing_are_refused() {
    let bench = Workbench::new();
    bench.train("run", &["--set", "train.max_steps=2", "--set", "eval.baseline=false"]).done();
    bench.write("input.jsonl", "{\"id\":\"a\",\"utterances\":[{\"speaker\":\"Ada\",\"text\":\"Hm.\"}]}\n");
    let predict = ["predict", "--run", "run", "--input"];
    let all = [
        &["export", "run", "--format", "peft", "--gguf-type", "q8_0", "--out", "out"][..],
        &["plan", "recipe.toml", "--memory", "24GB"],
        &[&predict[..], &["input.jsonl", "--output", "answers.xlsx"]].concat(),
        &[&predict[..], &["."]].concat(),
    ];
    expect![[r#"
        error: --gguf-type is for models in GGUF, and --format names none
          hint: add gguf to --format, or leave --gguf-type out
        error: invalid value '24GB' for '--memory <GIB>': expected GiB without a unit: write --memory 24

        For more information, try '--help'.
        error: --output answers.xlsx: .xlsx is not written
          hint: name a file that ends in one of .jsonl, .csv, .tsv
        error: .: is a folder, not a file
          hint: name the file inside it
    "#]]
    .assert_eq(&all.map(|words| error(&bench, words)).concat());
    let longer = ["--set", "train.max_steps=0", "--set", "eval.baseline=false", "--resume"];
    let said = bench.train("run", &longer);
    refused(&said, said.code, &["train.max_steps was 2 and is no limit now"]);
}
