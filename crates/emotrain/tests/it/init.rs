//! `emotrain init`: a recipe for a data file that is sound as it is written.

use std::fmt::Write as _;

use expect_test::expect;

use crate::workbench::{Workbench, material, refused};

/// A base model that is there.
fn base() -> String {
    material().join("base").display().to_string()
}

/// A table of so many dialogues under other names than ours, with these labels.
fn table(name: &str, dialogues: usize, labels: &[&str]) -> String {
    let mut table = "conv_id,turn,who,utt,emotion\n".to_owned();
    for dialogue in 0..dialogues {
        for turn in 0..4 {
            let (who, label) = (["Ada", "Bo"][turn % 2], labels[(dialogue + turn) % labels.len()]);
            writeln!(table, "{name}{dialogue},{turn},{who},\"Well, {name} {dialogue} and {turn}\",{label}")
                .unwrap();
        }
    }
    table
}

#[test]
fn a_recipe_for_a_table_passes_check_as_it_is_written() {
    let bench = Workbench::new();
    bench.write("chats.csv", &table("c", 40, &["calm", "calm", "tense"]));
    let base = base();
    let said = bench.run(&["init", "chats.csv", "--base", &base]).done();
    assert!(
        said.err.contains("chats.toml: a recipe for chats.csv; next: emotrain check chats.toml"),
        "{}",
        said.err
    );
    expect![[r#"
        # 40 dialogues with 160 utterances. Every other key has a default: emotrain schema, or
        # recipes/default.toml of the project.
        #
        #   emotrain check chats.toml              # everything that is wrong, at once
        #   emotrain inspect chats.toml --limit 2  # what the model is trained on
        #   emotrain chats.toml --dry-run          # what it will cost
        #   emotrain chats.toml
        #   emotrain predict --run checkpoints/chats --input new.csv

        [model]
        # A Hub id, a folder or a .gguf file of a Llama, Mistral, Qwen2, Qwen3, Phi-3 or Gemma 3 model with a chat
        # template.
        model_name_or_path = "BASE"

        [data]
        format = "csv"
        columns = { dialogue = "conv_id", position = "turn", speaker = "who", text = "utt", label = "emotion" }
        train = "chats.csv"
        # Divided by whole dialogues into train, valid and test, with alike shares of each label.
        split = [0.8, 0.1, 0.1]
        # In the file: calm × 107, tense × 53.
        label_set = "custom"
        labels = ["calm", "tense"]

        [prompt]
        # Earlier utterances that are shown with the one in question.
        history_window = 5

        [curriculum]
        # "prc_emo" orders dialogues by their emotional shifts, which needs a place on the emotion wheel for every
        # label: the wheel curriculum/wheel.toml (built in) has no labels "calm", "tense".
        # For a wheel of your own, copy curriculum/wheel.toml of the project and name it in wheel.
        name = "none"

        [train]
        learning_rate = 3e-4
        per_device_train_batch_size = 4
        gradient_accumulation_steps = 1
        num_train_epochs = 3

        [eval]
        # The test split is scored once, with the best weights.
        test = true
    "#]].assert_eq(&bench.read("chats.toml").replace(&base, "BASE"));
    let checked = bench.run(&["check", "chats.toml"]).done();
    assert!(checked.out.contains("sound; samples: train 132, valid 16, test 12"), "{}", checked.out);
    let again = bench.run(&["init", "chats.csv", "--base", &base]);
    refused(&again, 2, &["chats.toml: exists already", "name another recipe with --out"]);
}

#[test]
fn what_was_trained_on_a_table_labels_a_table_without_labels() {
    let bench = Workbench::new();
    bench.write("chats.csv", &table("c", 40, &["calm", "tense"]));
    bench.run(&["init", "chats.csv", "--base", &base()]).done();
    let quick = ["train.max_steps=2", "train.num_train_epochs=1", "eval.baseline=false", "model.device=cpu"];
    let set: Vec<&str> = quick.iter().flat_map(|value| ["--set", *value]).collect();
    bench.run(&[&["chats.toml"], &set[..]].concat()).done();
    let unlabelled = table("n", 2, &["x"]).replace(",emotion", "").replace(",x\n", "\n");
    bench.write("new.csv", &unlabelled);
    bench
        .run(&["predict", "--run", "checkpoints/chats", "--input", "new.csv", "--output", "answers.csv"])
        .done();
    let answers = bench.read("answers.csv");
    let mut lines = answers.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    for column in ["dialogue", "position", "speaker", "text", "label", "probability"] {
        assert!(header.contains(&column), "{column} is not in {header:?}");
    }
    assert_eq!(lines.count(), 8, "{answers}");
}

#[test]
fn known_emotions_get_the_curriculum_and_files_are_named_from_the_recipe() {
    let bench = Workbench::new();
    for name in ["train.csv", "valid.csv"] {
        bench.write(name, &table(name, 6, &["joy", "Anger", "neutral"]));
    }
    let base = base();
    let out = ["--out", "recipes/mine.toml", "--base", &base];
    bench.run(&[&["init", "train.csv", "--valid", "valid.csv"], &out[..]].concat()).done();
    let recipe = bench.read("recipes/mine.toml");
    for line in [
        "train = \"../train.csv\"",
        "valid = \"../valid.csv\"",
        "# In the file: Anger × 8, joy × 8, neutral × 8.",
        "label_set = \"custom\"",
        "name = \"prc_emo\"",
    ] {
        assert!(recipe.contains(line), "{line} is not in\n{recipe}");
    }
    bench.run(&["check", "recipes/mine.toml"]).done();
}

#[test]
fn what_no_recipe_can_be_written_for_is_told() {
    let bench = Workbench::new();
    bench.write("one.csv", &table("c", 4, &["calm"]));
    refused(&bench.run(&["init", "one.csv"]), 3, &["one.csv: has one label, \"calm\"", "two labels or more"]);
    bench.write("diary.txt", "Dear diary\n");
    refused(&bench.run(&["init", "diary.txt"]), 3, &["diary.txt: does not look like dialogues"]);
    let said = bench.run(&["init", "nothing.csv"]);
    assert_eq!((said.code, said.err.as_str()), (3, "error: nothing.csv: no such file\n"));
    bench.write("bars.csv", &table("c", 4, &["calm", "tense"]).replace(',', "|"));
    let said = bench.run(&["init", "bars.csv"]);
    expect![[r#"
        error: bars.csv: the columns seem to be separated by |
          hint: write it with commas: python3 -c "import csv, sys; csv.writer(sys.stdout).writerows(csv.reader(sys.stdin, delimiter='|'))" < FILE > commas.csv
    "#]]
    .assert_eq(&said.err);
    let chat = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hm\",\"gefuehl\":\"calm\"}]}\n";
    bench.write("chats.jsonl", chat);
    expect![[r"
        error: chats.jsonl: no utterance has a label
          hint: name the key that has them: --columns label=…; there are gefuehl
    "]]
    .assert_eq(&bench.run(&["init", "chats.jsonl"]).err);
}

#[test]
fn columns_that_cannot_be_guessed_are_named() {
    let bench = Workbench::new();
    let table = table("c", 8, &["calm", "tense"]).replace("conv_id", "a").replace("utt,", "b,");
    // Sorted by turns, so that no column has a dialogue's rows on end, and two have the same.
    let (header, rows) = table.split_once('\n').unwrap();
    let mut rows: Vec<String> =
        rows.lines().map(|row| format!("{row},{}", row.split(',').next().unwrap())).collect();
    rows.sort_by_key(|row| row.split(',').nth(1).unwrap().to_owned());
    bench.write("own.csv", &format!("{header},z\n{}\n", rows.join("\n")));
    expect![[r#"
        error: own.csv:1: no column "dialogue": the columns are a, turn, who, b, emotion, z
          hint: name them: --columns dialogue=…,position=turn,speaker=who,text=b,label=emotion
    "#]]
    .assert_eq(&bench.run(&["init", "own.csv"]).err);
    bench.run(&["init", "own.csv", "--columns", "dialogue=a,text=b", "--base", &base()]).done();
    let line = "columns = { dialogue = \"a\", position = \"turn\", speaker = \"who\", text = \"b\", label = \"emotion\" }";
    assert!(bench.read("own.toml").contains(line), "{}", bench.read("own.toml"));
    bench.run(&["check", "own.toml"]).done();
    refused(
        &bench.run(&["init", "own.csv", "--columns", "txt=b", "--out", "other.toml"]),
        2,
        &["no key \"txt\"", "did you mean \"text\"?"],
    );
}

#[test]
fn rare_labels_and_slips_are_pointed_out() {
    let bench = Workbench::new();
    let labels: Vec<&str> =
        (0..40).map(|place| if place == 39 { "fear" } else { ["joy", "neutral"][place % 2] }).collect();
    bench.write("rare.csv", &table("c", 40, &labels).replacen(",joy\n", ",hapy\n", 1));
    let said = bench.run(&["init", "rare.csv", "--base", &base()]).done();
    assert!(said.err.contains("warning: hapy × 1: did you mean joy?"), "{}", said.err);
    let recipe = bench.read("rare.toml");
    let comments = recipe.lines().skip_while(|line| !line.starts_with("[data]"));
    let comments: Vec<&str> = comments.filter(|line| line.starts_with('#')).collect();
    expect![[r#"
        # Divided by whole dialogues into train, valid and test, with alike shares of each label.
        # In the file: joy × 79, neutral × 76, fear × 4, hapy × 1.
        # hapy × 1: did you mean joy?
        # Earlier utterances that are shown with the one in question.
        # "prc_emo" orders dialogues by their emotional shifts, which needs a place on the emotion wheel for every
        # label: the wheel curriculum/wheel.toml (built in) has no label "hapy".
        # For a wheel of your own, copy curriculum/wheel.toml of the project and name it in wheel.
        # Rare emotions: hapy has 0.6 % of the labels. These raise macro F1, to which every label counts the same,
        # and may lower weighted F1; recipes/README.md of the project says when. With the first two rare labels count
        # twice: take one of them. Put sampling under [data] and metric_for_best_model under [eval].
        # class_weights = "balanced"               # [train] errors on rare labels cost more
        # sampling = "sqrt"                        # [data] samples of rare labels are repeated
        # metric_for_best_model = "macro_f1"       # [eval] the best weights are chosen by it
        # The test split is scored once, with the best weights."#]].assert_eq(&comments.join("\n"));
    bench.run(&["check", "rare.toml"]).done();
    for key in ["class_weights = \"balanced\"", "sampling = \"sqrt\"", "metric_for_best_model = \"macro_f1\""]
    {
        assert!(recipe.contains(&format!("# {key}")), "{key}");
    }
}
