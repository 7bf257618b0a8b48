//! Data in the form of other trainers, and JSON that is no lines of dialogues.

use std::process::Stdio;

use expect_test::expect;

use super::{error, told};
use crate::workbench::{Said, Workbench};

/// A prompt with its answer, in the forms of other trainers.
const PROMPTS: [&str; 5] = [
    r#"{"instruction":"Which emotion?","input":"Ada: It works!","output":"joy"}"#,
    r#"{"prompt":"Ada: It works!","completion":"joy"}"#,
    r#"{"messages":[{"role":"system","content":"Which emotion?"},{"role":"user","content":"Ada: It works!"},{"role":"assistant","content":"joy"}]}"#,
    r#"{"conversations":[{"from":"human","value":"Ada: It works!"},{"from":"gpt","value":"joy"}]}"#,
    r#"{"text":"<s>[INST] Ada: It works! [/INST] joy</s>"}"#,
];

#[test]
fn prompts_with_answers_are_recognised_by_every_command() {
    let bench = Workbench::new();
    bench.train("run", &["--set", "train.max_steps=2", "--set", "eval.baseline=false"]).done();
    for row in PROMPTS {
        let other = row.replace("joy", "anger").replace("It works", "No");
        bench.write("rows.jsonl", &format!("{row}\n{other}\n"));
        bench.write("rows.json", &format!("[\n  {row},\n  {other}\n]\n"));
        for file in ["rows.jsonl", "rows.json"] {
            let set = format!("data.train={file}");
            let held = ["--set", "data.valid=", "--set", "eval.load_best_model_at_end=false"];
            let check = ["check", "recipe.toml", "--set", &set];
            for words in [
                &["init", file][..],
                &[&check[..], &held].concat(),
                &["predict", "--run", "run", "--input", file],
            ] {
                let said = error(&bench, words);
                let is_told = said.contains("each row is a prompt with its answer")
                    && said.contains("recipes/coming_from.md");
                assert!(is_told, "{words:?}: {row}: {said}");
            }
        }
    }
}

#[test]
fn the_forms_are_named() {
    let bench = Workbench::new();
    let said: String = PROMPTS
        .into_iter()
        .map(|row| {
            bench.write("rows.jsonl", &format!("{row}\n"));
            error(&bench, &["init", "rows.jsonl"])
        })
        .collect();
    expect![[r#"
        error: rows.jsonl: this looks like Alpaca's rows (instruction, input, output): each row is a prompt with its answer
          hint: emotrain reads dialogues with one utterance per turn and the label beside it, and writes the prompts itself; recipes/coming_from.md of the project has a script that makes them of such rows
        error: rows.jsonl: this looks like rows of prompt and completion, as TRL reads them: each row is a prompt with its answer
          hint: emotrain reads dialogues with one utterance per turn and the label beside it, and writes the prompts itself; recipes/coming_from.md of the project has a script that makes them of such rows
        error: rows.jsonl: this looks like chats in which the assistant's turn is the label, as TRL, axolotl and LLaMA-Factory read them: each row is a prompt with its answer
          hint: emotrain reads dialogues with one utterance per turn and the label beside it, and writes the prompts itself; recipes/coming_from.md of the project has a script that makes them of such rows
        error: rows.jsonl: this looks like chats in which the assistant's turn is the label, as TRL, axolotl and LLaMA-Factory read them: each row is a prompt with its answer
          hint: emotrain reads dialogues with one utterance per turn and the label beside it, and writes the prompts itself; recipes/coming_from.md of the project has a script that makes them of such rows
        error: rows.jsonl: this looks like texts in which prompt and answer are one: each row is a prompt with its answer
          hint: emotrain reads dialogues with one utterance per turn and the label beside it, and writes the prompts itself; recipes/coming_from.md of the project has a script that makes them of such rows
    "#]].assert_eq(&said);
}

#[test]
fn lists_and_utterances_come_with_a_command_that_makes_what_is_read() {
    let bench = Workbench::new();
    let rows = r#"[{"dialogue":"a","speaker":"Ada","text":"Hm.","label":"calm"},{"dialogue":"a","speaker":"Bo","text":"No.","label":"tense"}]"#;
    bench.write("rows.json", rows);
    bench.write("lists.json", "[[{\"speaker\":\"Ada\",\"text\":\"Hm.\",\"label\":\"calm\"}]]");
    bench.write(
        "dialogues.json",
        "[{\"id\":\"a\",\"utterances\":[{\"speaker\":\"Ada\",\"text\":\"Hm.\",\"label\":\"calm\"}]}]",
    );
    let said: String =
        ["rows.json", "lists.json", "dialogues.json"].map(|file| error(&bench, &["init", file])).concat();
    expect![[r#"
        error: rows.json: each row is one utterance, as JSON
          hint: write them as a table: python3 -c "import csv, json, sys; text = sys.stdin.read().strip(); rows = json.loads(text) if text[0] == '[' else [json.loads(row) for row in text.splitlines()]; out = csv.DictWriter(sys.stdout, list(rows[0]), extrasaction='ignore'); out.writeheader(); out.writerows(rows)" < FILE > table.csv
        error: lists.json: is a JSON list of lists, not JSON lines
          hint: write one dialogue a line: jq -c 'to_entries[] | {id: .key, utterances: .value}' FILE > dialogues.jsonl
        error: dialogues.json: is a JSON list, not JSON lines
          hint: write one dialogue or entry a line: jq -c '.[]' FILE
    "#]].assert_eq(&said);
}

#[test]
fn json_on_standard_input_is_not_taken_for_a_table() {
    let bench = Workbench::new();
    bench
        .write("chats.csv", "dialogue,speaker,text,label\na,Ada,Hm.,joy\nb,Bo,No.,anger\nb,Bo,So.,neutral\n");
    let set = [
        "data.train=chats.csv",
        "data.format=csv",
        "data.valid=",
        "data.test=",
        "eval.load_best_model_at_end=false",
    ];
    let set: Vec<&str> = set.iter().flat_map(|set| ["--set", *set]).collect();
    bench.train("run", &[&set[..], &["--set", "train.max_steps=2"]].concat()).done();
    let mut all = String::new();
    for text in [
        "{\"id\":\"a\",\"utterances\":[{\"speaker\":\"Ada\",\"texts\":\"Hm.\"}]}\n",
        "{\n  \"id\": \"a\"\n}\n",
        "[{\"id\":\"a\"}]\n",
    ] {
        bench.write("input", text);
        let mut command = bench.command(&["predict", "--quiet", "--run", "run"]);
        command.stdin(Stdio::from(fs_err::File::open(bench.path("input")).unwrap().into_parts().0));
        all += &told(&bench, &Said::of(&command.output().unwrap()));
    }
    expect![[r#"
        error: standard input:1: utterance 0: unknown field `texts`
          hint: did you mean `text`?
          hint: answers end before it; a file named with --input is checked to its end before the first answer, and --skip-errors passes over such dialogues
        error: standard input:1: a JSON value spans several lines
          hint: write one dialogue or entry a line: jq -c . FILE
          hint: answers end before it; a file named with --input is checked to its end before the first answer, and --skip-errors passes over such dialogues
        error: standard input:1: is a JSON list, not JSON lines
          hint: write one dialogue or entry a line: jq -c '.[]' FILE
          hint: answers end before it; a file named with --input is checked to its end before the first answer, and --skip-errors passes over such dialogues
    "#]]
    .assert_eq(&all);
}

#[test]
fn a_table_with_the_default_columns_is_read_whatever_they_were_called() {
    let bench = Workbench::new();
    bench.write("chats.csv", "conv,who,utt,mood\na,Ada,Hm.,joy\nb,Bo,No.,anger\nb,Bo,So.,neutral\n");
    let columns = "data.columns={ dialogue = 'conv', speaker = 'who', text = 'utt', label = 'mood' }";
    let set = [
        "data.train=chats.csv",
        "data.format=csv",
        columns,
        "data.valid=",
        "data.test=",
        "eval.load_best_model_at_end=false",
    ];
    let set: Vec<&str> = set.iter().flat_map(|set| ["--set", *set]).collect();
    bench.train("run", &[&set[..], &["--set", "train.max_steps=2"]].concat()).done();
    bench.write("new.csv", "dialogue,speaker,text,seq\na,Ada,Hm.,1\na,Bo,No.,0\n");
    let said = bench.run(&["predict", "--quiet", "--run", "run", "--input", "new.csv"]).done();
    assert!(said.out.contains("\"speaker\":\"Bo\"") && said.out.lines().count() == 2, "{}", said.out);
    expect![[r#"
        warning: new.csv: rows keep their order in the file, but "seq" looks like their position and gives another
          hint: if it is, say --set data.format=csv --set 'data.columns={ dialogue = "conv", position = "seq", speaker = "who", text = "utt", label = "mood" }'
    "#]].assert_eq(&said.err);
    bench.write("new.csv", "k,author,x,seq\na,Ada,Hm.,1\na,Bo,No.,0\n");
    expect![[r#"
        error: new.csv:1: no column "conv" for dialogue, "who" for speaker or "utt" for text: the columns are k, author, x, seq
          hint: name them: --set data.format=csv --set 'data.columns={ dialogue = "…", position = "seq", speaker = "author", text = "…", label = "mood" }'
    "#]].assert_eq(&error(&bench, &["predict", "--quiet", "--run", "run", "--input", "new.csv"]));
}
