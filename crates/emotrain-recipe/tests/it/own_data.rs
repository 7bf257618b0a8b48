//! Columns of tables, and the parts of one file.

use expect_test::expect;

use crate::check;

#[test]
fn columns_of_a_table() {
    check(
        r#"
[data]
train = "train.csv"
valid = "valid.csv"
format = "csv"
columns = { dialogue = "id", text = "id", label = " ", txt = "utt", position = 3 }
"#,
        expect![[r#"
            erc.toml:5:62: data.columns has no key "txt"
              hint: did you mean "text"?
            erc.toml:5:80: data.columns.position must be text, not 3
        "#]],
    );
    check(
        r#"
[data]
train = "train.csv"
valid = "valid.csv"
format = "csv"
columns = { dialogue = "id", text = "id", label = " " }
"#,
        expect![[r#"
            erc.toml:5:11: data.columns names "id" as dialogue and as text
              hint: each column is read for one thing
            erc.toml:5:11: data.columns.label is blank
              hint: name a column of the file, or leave it out
        "#]],
    );
    check(
        r#"
[data]
train = "train.jsonl"
valid = "valid.jsonl"
columns = { dialogue = "id", position = "turn" }
"#,
        expect![[r#"
            erc.toml:4:11: data.columns.position has no effect with format = "jsonl"
              hint: leave it out: utterances are in the order of their list
        "#]],
    );
    check(
        r#"
[data]
train = "train.csv"
valid = "valid.csv"
format = "meld_csv"
columns = { dialogue = "id" }
"#,
        expect![[r#"
            erc.toml:5:11: data.columns has no effect with format = "meld_csv"
              hint: columns are for data of your own: format = "csv", "tsv", "jsonl" or "chat"
        "#]],
    );
}

#[test]
fn parts_of_one_file() {
    check(
        "[data]\ntrain = \"t.jsonl\"\nsplit = [0.8, 0.3]\n",
        expect![[r#"
        erc.toml:3:9: the shares of data.split sum to 1.1, not to 1
          hint: as in split = [0.8, 0.1, 0.1]
    "#]],
    );
    check(
        "[data]\ntrain = \"t.jsonl\"\nsplit = [0.4, 0.3, 0.2, 0.1]\n",
        expect![[r#"
        erc.toml:3:9: data.split has 4 shares
          hint: write two for training and validation, or three for training, validation and test
    "#]],
    );
    check(
        "[data]\ntrain = \"t.jsonl\"\nsplit = [0.8, 1, \"0.2\"]\n",
        expect![[r#"
            erc.toml:3:15: every entry of data.split must be a number above 0 and below 1, not 1
            erc.toml:3:18: every entry of data.split must be a number above 0 and below 1, not "0.2"
        "#]],
    );
    check(
        "[data]\ntrain = \"t.jsonl\"\nsplit = [0.8, 0.2]\n[eval]\ntest = true\n",
        expect![[r#"
        erc.toml:5:8: eval.test = true needs data.test
          hint: add test = "…" under [data], or write test = false
    "#]],
    );
    check(
        "[data]\ntrain = \"t.jsonl\"\nvalid = \"v.jsonl\"\ntest = \"s.jsonl\"\nsplit = [0.8, 0.1, 0.1]\n",
        expect![[r#"
            erc.toml:5:9: data.split divides data.train, and data.valid is a file of its own
              hint: leave out split, or valid
            erc.toml:5:9: data.split divides data.train, and data.test is a file of its own
              hint: leave out split, or test
        "#]],
    );
    check(
        "[data]\ntrain = \"t.txt\"\nformat = \"text\"\nsplit = [0.8, 0.2]\n",
        expect![[r#"
        erc.toml:3:10: format = "text" has no answers for completion_only_loss
          hint: write completion_only_loss = false under [train]
        erc.toml:3:10: format = "text" has no labels for the metric "weighted_f1"
          hint: write metric_for_best_model = "loss" and greater_is_better = false under [eval]
        erc.toml:4:9: format = "text" has no dialogues for data.split to divide
          hint: name a file in data.valid
    "#]],
    );
}
