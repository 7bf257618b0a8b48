//! Data of one's own, from a table to answers.

use std::fmt::Write as _;

use crate::workbench::{LABELS, Workbench, refused};

/// A table with names of its own, of so many dialogues of three turns.
fn table(dialogues: usize) -> String {
    let mut text = "conv_id,turn,who,utt,emotion,site\n".to_owned();
    for dialogue in 0..dialogues {
        for turn in 0..3 {
            let (who, label) = (["Mara", "Jonas"][turn % 2], LABELS[(dialogue + turn) % 3]);
            writeln!(
                text,
                "c{dialogue},{turn},{who},\"Well, that is {dialogue} times {turn}.\",{label},north"
            )
            .unwrap();
        }
    }
    text
}

const COLUMNS: &str = "data.columns={ dialogue = 'conv_id', position = 'turn', speaker = 'who', text = 'utt', label = 'emotion' }";

#[test]
fn a_table_of_ones_own_is_trained_on_as_its_parts() {
    let bench = Workbench::new();
    bench.write("own.csv", &table(20));
    let set = |more: &[&'static str]| -> Vec<&'static str> {
        let data = ["data.train=own.csv", "data.valid=", "data.test=", "data.format=csv", COLUMNS];
        let split = ["data.split=[0.6, 0.2, 0.2]", "eval.test=true", "train.max_steps=4"];
        let all = data.into_iter().chain(split).chain(more.iter().copied());
        all.flat_map(|set| ["--set", set]).collect()
    };
    let said = bench.run(&[&["recipe.toml", "--dry-run"][..], &set(&[])].concat()).done();
    for part in ["own.csv (train)", "own.csv (valid)", "own.csv (test)"] {
        assert!((said.out.clone() + &said.err).contains(part), "{}{}", said.out, said.err);
    }
    bench.train("run", &set(&[])).done();
    let data = &bench.json("run/run.json")["data"];
    let hash = |split: &str| data[split]["sha256"].as_str().unwrap().to_owned();
    assert!(hash("train") != hash("valid") && hash("valid") != hash("test"), "{data}");
    let answers = bench.read("run/predictions.test.jsonl");
    assert_eq!(answers.lines().count(), 12, "{answers}");
}

#[test]
fn faults_of_a_table_are_told_at_once_and_other_formats_recognised() {
    let bench = Workbench::new();
    let wrong = table(4).replace("joy", "joi").replace(",Mara,\"Well, that is 2 times 0.\"", ",Mara,");
    bench.write("own.csv", &wrong);
    let run = |format: &str, columns: &str| {
        let format = format!("data.format={format}");
        bench.run(&[
            "check",
            "recipe.toml",
            "--set",
            "data.train=own.csv",
            "--set",
            &format,
            "--set",
            columns,
        ])
    };
    let parts = [
        "own.csv:3: unknown labels: joi × 4",
        "did you mean joy?",
        "own.csv:8: utterance c2#0: the utterance is empty",
    ];
    refused(&run("csv", COLUMNS), 3, &parts);
    let parts = ["this looks like CSV", "hint: write data.format = \"csv\""];
    refused(&run("jsonl", "data.columns={}"), 3, &parts);
    let parts = [
        "the columns are conv_id, turn, who, utt, emotion, site",
        "write columns = { dialogue = \"conv_id\", ",
    ];
    refused(&run("csv", "data.columns={}"), 3, &parts);
}

#[test]
fn a_bank_is_built_from_a_table() {
    let bench = Workbench::new();
    bench.write("own.csv", &table(4));
    let build = ["bank", "build", "bank", "own.csv", "--format", "csv", "--encoder", "lexical"];
    let columns = ["--columns", "dialogue=conv_id,text=utt,speaker=who,label=emotion"];
    let said = bench.run(&[&build[..], &columns].concat()).done();
    let told = said.out + &said.err;
    assert!(told.contains("12 demonstrations added as own"), "{told}");
    let parts = ["no key \"txt\"", "did you mean \"text\"?"];
    refused(&bench.run(&[&build[..], &["--columns", "txt=utt"]].concat()), 2, &parts);
    refused(&bench.run(&[&build[..], &["--columns", "utt"]].concat()), 2, &["expected ROLE=COLUMN"]);
}
