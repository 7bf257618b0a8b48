//! Labels for new dialogues: what they need, and what comes out.

mod inputs;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::workbench::{Said, Workbench, material, refused};

const SHORT: [&str; 4] = ["--set", "train.max_steps=2", "--set", "eval.baseline=false"];

const INPUT: &str = "\
{\"id\":\"a\",\"utterances\":[{\"speaker\":\"Ada\",\"text\":\"It works!\"},{\"speaker\":\"Bo\",\"text\":\"Good.\"}]}
{\"id\":\"b\",\"utterances\":[{\"speaker\":\"Cleo\",\"text\":\"The train is late again.\"}]}
";

/// A workbench with a run and dialogues to label.
fn trained() -> Workbench {
    let bench = Workbench::new();
    bench.train("run", &SHORT).done();
    bench.write("input.jsonl", INPUT);
    bench
}

fn predict(bench: &Workbench, words: &[&str]) -> Said {
    bench.run(&[&["predict", "--input", "input.jsonl"], words].concat())
}

/// The command is refused with this code and these words; paths of the test's folders are cut.
#[track_caller]
fn refuses(bench: &Workbench, said: &Said, code: i32, expected: &Expect) {
    assert_eq!(said.code, code, "{}", said.err);
    let folders = [
        (bench.path(""), ""),
        (fs_err::canonicalize(bench.path("")).unwrap().join(""), ""),
        (material().join(""), "shared/"),
    ];
    let cut = |text: String, (folder, name): &(std::path::PathBuf, &str)| {
        text.replace(folder.to_str().unwrap(), name)
    };
    expected.assert_eq(&folders.iter().fold(said.err.clone(), cut));
}

/// An exported adapter has no manifest to keep: its files may be changed.
fn exported(bench: &Workbench) {
    bench.run(&["export", "run", "--format", "peft", "--out", "exported"]).done();
    let manifest = bench.path("exported/manifest.json");
    if manifest.exists() {
        fs_err::remove_file(manifest).unwrap();
    }
}

#[test]
fn labels_of_the_input_are_scored_as_by_an_evaluation() {
    let bench = Workbench::new();
    bench.train("run", &[&SHORT[..], &["--set", "eval.test=true"]].concat()).done();
    let input = material().join("test.jsonl").display().to_string();
    let said = bench.run(&["predict", "--run", "run", "--input", &input, "--output", "a.jsonl"]).done();
    let scores = &bench.json("run/report.json")["after"][1]["report"]["scores"];
    let [weighted, macro_f1, accuracy] = ["weighted_f1", "macro_f1", "accuracy"]
        .map(|name| format!("{:.2}", 100.0 * scores[name].as_f64().unwrap()));
    let line = format!(
        "of 12 utterances the input has the label; the likeliest: weighted F1 {weighted}, macro F1 {macro_f1}, accuracy {accuracy}\n"
    );
    assert!(said.err.contains(&line), "{line} is not in {}", said.err);
    bench.write("input.jsonl", INPUT);
    let said = predict(&bench, &["--run", "run"]).done();
    assert!(!said.err.contains("has the label"), "{}", said.err);
}

#[test]
fn a_run_or_its_adapter_needs_no_recipe() {
    let bench = trained();
    let expected = predict(&bench, &["recipe.toml", "--run", "run"]).done().out;
    assert_eq!(expected.lines().count(), 3);
    bench.run(&["export", "run", "--format", "peft,merged", "--out", "exported"]).done();
    fs_err::remove_file(bench.path("recipe.toml")).unwrap();
    for words in [["--run", "run"], ["--adapter", "run/adapter"], ["--adapter", "exported/peft"]] {
        assert_eq!(predict(&bench, &words).done().out, expected, "{words:?}");
    }
    // A whole model rounds otherwise.
    let merged = predict(&bench, &["--adapter", "exported/merged"]).done().out;
    assert_eq!(merged.lines().count(), 3);
}

#[test]
fn the_template_of_a_run_is_that_of_its_training() {
    let bench = Workbench::new();
    fs_err::copy(material().join("short.jinja"), bench.path("own.jinja")).unwrap();
    bench.train("run", &[&SHORT[..], &["--set", "prompt.template=own.jinja"]].concat()).done();
    bench.write("input.jsonl", INPUT);
    let expected = predict(&bench, &["--run", "run"]).done().out;
    bench.write("own.jinja", &bench.read("own.jinja").replace("Labels: ", "One of: "));
    assert_eq!(predict(&bench, &["--run", "run"]).done().out, expected);
    let other = predict(&bench, &["--run", "run", "--set", "prompt.template=own.jinja"]);
    assert!(other.code == 3 && other.err.contains("the prompt template is different"), "{}", other.err);
}

#[test]
fn a_base_that_has_moved_is_asked_for() {
    let bench = Workbench::new();
    let copy = |from: &str, to: &str| {
        fs_err::create_dir(bench.path(to)).unwrap();
        for file in fs_err::read_dir(from).unwrap() {
            let file = file.unwrap();
            fs_err::copy(file.path(), bench.path(to).join(file.file_name())).unwrap();
        }
    };
    copy(material().join("base").to_str().unwrap(), "base");
    bench.train("run", &[&SHORT[..], &["--set", "model.model_name_or_path=./base"]].concat()).done();
    bench.write("input.jsonl", INPUT);
    let expected = predict(&bench, &["--run", "run"]).done().out;
    fs_err::rename(bench.path("base"), bench.path("moved")).unwrap();
    let said = predict(&bench, &["--run", "run"]);
    refuses(
        &bench,
        &said,
        3,
        &expect![[r"
        error: run/adapter: its base model base is not there any more
          hint: name the base where it is now: --base PATH, or its Hub id
    "]],
    );
    let said = predict(&bench, &["--run", "run", "--base", "moved"]).done();
    assert_eq!(said.out, expected);
    assert!(!said.err.contains("not the weights"), "{}", said.err);
}

#[test]
fn what_a_contract_does_not_say_is_asked_for() {
    let bench = trained();
    exported(&bench);
    let file = "exported/prompt_contract.json";
    let contract = bench.read(file);
    let with = |more: &str| bench.write(file, &contract.replacen('{', &format!("{{{more},"), 1));
    let adapter = ["--adapter", "exported"];
    with(r#""knowledge":["mood","trait"]"#);
    refuses(
        &bench,
        &predict(&bench, &adapter),
        2,
        &expect![[r"
        error: exported/prompt_contract.json: prompts show the knowledge mood, trait, and it does not say how its texts are joined
          hint: name the recipe of the training, as in emotrain predict RECIPE --adapter DIR, or the run with --run
    "]],
    );
    with(r#""demonstrations":{"k":2,"order":"most_similar_first","show_score":false,"show_source":false}"#);
    refuses(
        &bench,
        &predict(&bench, &adapter),
        2,
        &expect![[r"
        error: exported/prompt_contract.json: prompts show demonstrations, and it does not say from which bank
          hint: name the recipe of the training, as in emotrain predict RECIPE --adapter DIR, or the run with --run
    "]],
    );
    fs_err::remove_file(bench.path(file)).unwrap();
    refuses(
        &bench,
        &predict(&bench, &adapter),
        3,
        &expect![[r"
        error: exported/prompt_contract.json: there is no such file
          hint: without it nothing says what the prompts of the training were: name the recipe, as in emotrain predict RECIPE --adapter DIR
    "]],
    );
    let said = predict(&bench, &["input.jsonl", "--run", "run"]);
    refuses(
        &bench,
        &said,
        2,
        &expect![[r"
        error: input.jsonl: the word without an option is the recipe
          hint: name the dialogues with --input input.jsonl
    "]],
    );
    bench.write(file, "{}");
    let said = predict(&bench, &["recipe.toml", "--run", "run", "--set", &format!("prompt.template={file}")]);
    refuses(
        &bench,
        &said,
        2,
        &expect![[r"
        error: exported/prompt_contract.json: not a prompt contract: missing field `template` at line 1 column 2
          hint: a template is a .jinja file, or the prompt_contract.json of a training
    "]],
    );
}

/// So many dialogues of three utterances.
fn many(count: usize) -> String {
    let line = |number: usize| {
        let said = ["It works!", "Good.", "The train is late again."];
        let utterances: Vec<Value> = (0..3)
            .map(|turn| json!({ "speaker": "Ada", "text": format!("{} ({number})", said[(number + turn) % 3]) }))
            .collect();
        format!("{}\n", json!({ "id": format!("d{number}"), "utterances": utterances }))
    };
    (0..count).map(line).collect()
}

#[test]
fn rows_say_what_was_said_and_how_sure_the_model_is() {
    let bench = trained();
    let said = predict(&bench, &["--run", "run"]).done();
    for line in said.out.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let shares = row["probabilities"].as_object().unwrap();
        let sum: f64 = shares.values().map(|share| share.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-9 && shares.len() == 3, "{line}");
        let label = row["label"].as_str().unwrap();
        assert_eq!(row["probability"], shares[label]);
        assert_eq!(row["log_likelihood"], row["scores"][label]);
        let id = format!("{}#{}", row["dialogue"].as_str().unwrap(), row["position"]);
        assert_eq!(row["id"], id);
    }
    assert!(said.err.contains("labelled 3 utterances of 2 dialogues in "), "{}", said.err);
    // Dialogues as a table, from a file and from a pipe.
    let rows = "dialogue,speaker,text\na,Ada,It works!\na,Bo,Good.\nb,Cleo,The train is late again.\n";
    bench.write("input.csv", rows);
    let table = bench.run(&["predict", "--run", "run", "--input", "input.csv"]).done();
    assert_eq!(table.out, said.out);
    let mut piped = bench.command(&["predict", "--run", "run", "--input-format", "csv"]);
    let piped = piped.stdin(fs_err::File::open(bench.path("input.csv")).unwrap().into_parts().0);
    assert_eq!(Said::of(&piped.output().unwrap()).done().out, said.out);
    // What the input says besides comes out again.
    bench.write("input.csv", &rows.replace("text\n", "text,channel\n").replace("Good.\n", "Good.,7\n"));
    bench.write(
        "input.csv",
        &bench.read("input.csv").replace("!\n", "!,\n").replace("again.\n", "again.,9\n"),
    );
    let words = ["predict", "--run", "run", "--input", "input.csv", "--output-format", "csv"];
    let kept = bench.run(&words).done().out;
    let last: Vec<&str> = kept.lines().map(|line| line.rsplit(',').next().unwrap()).collect();
    assert_eq!(last, ["channel", "", "7", "9"], "{kept}");
    // As a table, by the file's ending, and by name.
    let table = ["--run", "run", "--top-k", "2", "--threshold", "1"];
    predict(&bench, &[&table[..], &["--output", "labels.csv"]].concat()).done();
    let written = bench.read("labels.csv");
    let lines: Vec<&str> = written.lines().collect();
    let head = "dialogue,position,speaker,text,label,probability,log_likelihood,truth,\
                label_1,probability_1,label_2,probability_2";
    assert_eq!(lines[0], head);
    assert!(lines[1].starts_with("a,0,Ada,It works!,uncertain,0.") && lines.len() == 4, "{written}");
    let said = predict(&bench, &[&table[..], &["--output-format", "csv"]].concat()).done();
    assert_eq!(said.out, written);
    assert!(said.err.contains("3 of 3 answers are \"uncertain\""), "{}", said.err);
}

#[test]
fn dialogues_are_answered_as_they_come() {
    let bench = trained();
    let expected = predict(&bench, &["--run", "run"]).done().out;
    let mut child = bench.command(&["predict", "--run", "run"]);
    let mut child =
        child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let mut rows = String::new();
    for (line, count) in INPUT.lines().zip([2, 1]) {
        writeln!(input, "{line}").unwrap();
        // The next dialogue is not there yet.
        (0..count).for_each(|_| assert!(output.read_line(&mut rows).unwrap() > 0));
    }
    drop(input);
    assert_eq!(output.read_line(&mut rows).unwrap(), 0);
    assert!(child.wait().unwrap().success());
    assert_eq!(rows, expected);
    refuses(
        &bench,
        &bench.run(&["predict", "--run", "run"]),
        3,
        &expect![[r"
        error: standard input: there are no dialogues
    "]],
    );
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let bench = trained();
    bench.write("input.jsonl", &many(400));
    let mut child = bench.command(&["predict", "--run", "run", "--input", "input.jsonl"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut row = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut row).unwrap();
    assert!(row.starts_with("{\"id\":\"d0#0\""), "{row}");
    let ended = child.wait_with_output().unwrap();
    let err = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success() && !err.contains("error"), "{err}");
}

#[test]
fn a_killed_prediction_goes_on_where_it_was() {
    let bench = trained();
    bench.write("input.jsonl", &many(1500));
    let words = |output: &'static str| {
        ["predict", "--run", "run", "--input", "input.jsonl", "--overwrite", "--output", output]
    };
    bench.run(&words("whole.csv")).done();
    bench.write("labels.csv", "those of before\n");
    refuses(
        &bench,
        &predict(&bench, &["--run", "run", "--output", "labels.csv"]),
        2,
        &expect![[r"
            error: labels.csv: exists already
              hint: name another file with --output, or give --overwrite to put the answers in its place
        "]],
    );
    let mut child = bench.command(&words("labels.csv")).stderr(Stdio::null()).spawn().unwrap();
    let (journal, begin) = (bench.path("labels.csv.partial.journal"), Instant::now());
    let lines = || fs_err::read_to_string(&journal).unwrap_or_default().lines().count();
    while lines() < 4 {
        assert!(begin.elapsed() < Duration::from_mins(1), "nothing is written");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(bench.read("labels.csv"), "those of before\n");
    // Another command does not go on with it, and neither does the same one with other dialogues.
    let other = [&words("labels.csv")[..], &["--top-k", "2"]].concat();
    refuses(
        &bench,
        &bench.run(&other),
        2,
        &expect![[r"
        error: labels.csv.partial: was begun with another --top-k, --threshold or output format
          hint: give the command as it was given then, or remove labels.csv.partial and labels.csv.partial.journal to begin again
    "]],
    );
    bench.write("input.jsonl", &many(1500).replacen("It works!", "It fails!", 1));
    let said = bench.run(&words("labels.csv"));
    let parts = [
        "does not begin with the",
        "or remove labels.csv.partial and labels.csv.partial.journal to begin again",
    ];
    refused(&said, 2, &parts);
    bench.write("input.jsonl", &many(1500));
    let said = bench.run(&words("labels.csv")).done();
    assert!(said.err.contains("goes on after"), "{}", said.err);
    assert!(bench.read("labels.csv") == bench.read("whole.csv"));
    assert!(!journal.exists() && !bench.path("labels.csv.partial").exists());
}

/// The same with a file as standard input.
fn piped(bench: &Workbench, words: &[&str], input: &str) -> Said {
    let mut command = bench.command(&[&["predict", "--run", "run"], words].concat());
    command.stdin(fs_err::File::open(bench.path(input)).unwrap().into_parts().0);
    Said::of(&command.output().unwrap())
}

#[test]
fn what_is_wrong_in_the_middle_leaves_what_was_answered() {
    let bench = trained();
    let good = many(60);
    let blank = INPUT.replace("Good.", " ");
    bench.write("input.jsonl", &format!("{good}{blank}{{\"id\":\"x\"}}\n"));
    let words = ["--run", "run", "--output", "labels.jsonl"];
    // A file is checked to its end before anything is answered.
    refuses(
        &bench,
        &predict(&bench, &[&words[..], &["--quiet"]].concat()),
        3,
        &expect![[r"
            error: input.jsonl:61: utterance a#1: the utterance is empty
            input.jsonl:63: missing field `utterances`
        "]],
    );
    assert!(
        !bench.path("labels.jsonl.partial").exists() && !bench.path("labels.jsonl.partial.journal").exists()
    );
    // What comes through a pipe is answered up to there.
    let words = ["--output", "labels.jsonl"];
    let said = piped(&bench, &words, "input.jsonl");
    refused(&said, 3, &["labels.jsonl.partial; the same command goes on behind them"]);
    refuses(
        &bench,
        &piped(&bench, &[&words[..], &["--quiet"]].concat(), "input.jsonl"),
        3,
        &expect![[r"
            error: standard input:61: utterance a#1: the utterance is empty
              hint: leave the utterance out, or write what was heard
              hint: answers end before it; a file named with --input is checked to its end before the first answer, and --skip-errors passes over such dialogues
        "]],
    );
    bench.write("input.jsonl", &format!("{good}{INPUT}"));
    let said = piped(&bench, &words, "input.jsonl").done();
    assert!(said.err.contains("goes on after"), "{}", said.err);
    assert_eq!(bench.read("labels.jsonl"), predict(&bench, &["--run", "run"]).done().out);
}
