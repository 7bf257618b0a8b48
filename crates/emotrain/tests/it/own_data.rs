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
    bench.write("moods.csv", &table(4).replace("joy", "calm").replace("anger", "tense"));
    let moods = ["bank", "build", "moods", "moods.csv", "--format", "csv", "--encoder", "lexical"];
    refused(
        &bench.run(&[&moods[..], &columns].concat()),
        3,
        &["unknown labels: calm × 4 (from line 3), tense × 4 (from line 4)"],
    );
    bench.run(&[&moods[..], &columns, &["--labels", "neutral,calm,tense"]].concat()).done();
    let parts = ["no key \"txt\"", "did you mean \"text\"?"];
    refused(&bench.run(&[&build[..], &["--columns", "txt=utt"]].concat()), 2, &parts);
    refused(&bench.run(&[&build[..], &["--columns", "utt"]].concat()), 2, &["expected ROLE=COLUMN"]);
}

/// A short prompt with demonstrations.
const SHOWN: &str = "{% block system %}{{ label_list }}{% endblock %}{% block user %}\
{% for one in demonstrations %}{{ one.text }} {{ one.label }}. {% endfor %}\
{% for turn in history %}{{ turn.text }} {% endfor %}{{ speaker }}: {{ utterance }}{% endblock %}";

#[test]
fn a_bank_of_the_undivided_file_shows_nothing_that_is_held_out() {
    let bench = Workbench::new();
    bench.write("own.csv", &table(20));
    bench.write("shown.jinja", SHOWN);
    let build = ["bank", "build", "bank", "own.csv", "--format", "csv", "--encoder", "lexical"];
    let columns = "dialogue=conv_id,position=turn,text=utt,speaker=who,label=emotion";
    bench.run(&[&build[..], &["--columns", columns]].concat()).done();
    let data = ["data.train=own.csv", "data.valid=", "data.test=", "data.format=csv", COLUMNS];
    let more = ["data.split=[0.6, 0.2, 0.2]", "eval.test=true", "train.max_steps=2", "retrieval.bank=bank"];
    let shown =
        ["prompt.template=shown.jinja", "train.max_seq_length=512", "retrieval.exclude_same_text=false"];
    let set: Vec<&str> = [&data[..], &more, &shown].concat().iter().flat_map(|set| ["--set", set]).collect();
    bench.train("run", &set).done();
    let held_out: Vec<String> = ["valid", "test"]
        .iter()
        .flat_map(|split| {
            let answers = bench.read(&format!("run/predictions.{split}.jsonl"));
            let id = |line: &str| line.split(['"', '#']).nth(3).unwrap().to_owned();
            answers.lines().map(id).collect::<Vec<_>>()
        })
        .collect();
    assert!(held_out.len() == 24 && held_out.iter().all(|id| id.starts_with('c')), "{held_out:?}");
    let bank = bench.read("bank/demonstrations.jsonl");
    let of_row: Vec<String> = bank
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["dialogue"].as_str().unwrap().to_owned()
        })
        .collect();
    for split in ["train", "valid", "test"] {
        let retrieved = bench.json(&format!("run/retrieved.{split}.json"));
        let hits = retrieved["hits"].as_object().unwrap().values().flat_map(|hits| hits.as_array().unwrap());
        let rows: Vec<usize> = hits.map(|hit| usize::try_from(hit[0].as_u64().unwrap()).unwrap()).collect();
        assert!(!rows.is_empty(), "{split}: {retrieved}");
        assert!(rows.iter().all(|&row| !held_out.contains(&of_row[row])), "{split}: {retrieved}");
    }
}
