//! What the command line takes, and what it says when it does not.

use expect_test::expect;
use serde_json::Value;

use crate::workbench::emotrain;

fn anywhere(args: &[&str]) -> crate::workbench::Said {
    emotrain(&std::env::temp_dir(), args)
}

#[test]
fn help_has_examples_and_exit_codes() {
    let help = anywhere(&["--help"]).done().out;
    for part in ["Usage: emotrain [OPTIONS] <RECIPE>", "Examples:", "Exit codes:", "130", "NO_COLOR"] {
        assert!(help.contains(part), "{part} is not in\n{help}");
    }
    for command in ["train", "check", "inspect", "eval", "predict", "tokenizer", "bench"] {
        let help = anywhere(&[command, "--help"]).done().out;
        assert!(help.contains("Examples:"), "{help}");
    }
}

#[test]
fn examples_can_be_copied() {
    let help = anywhere(&["bank", "build", "--help"]).done().out;
    expect![[r"
        Examples:
          emotrain bank build retrieval_bank/mine meld.train.json --dataset meld
          emotrain bank build retrieval_bank/mine more.jsonl --dataset ours --domain \
            workplace
          emotrain bank build retrieval_bank/mine own.csv --columns \
            dialogue=conv_id,text=utt,label=emotion
          emotrain bank build retrieval_bank/mine more.jsonl --encoder \
            sentence-transformers/all-MiniLM-L6-v2
          emotrain bank build retrieval_bank/mine --index hnsw
    "]]
    .assert_eq(&help[help.find("Examples:").unwrap()..]);
}

#[test]
fn a_recipe_takes_the_help_of_train() {
    let help = anywhere(&["recipe.toml", "--help"]).done().out;
    assert!(help.contains("--resume") && help.contains("--dry-run") && help.contains("--set"), "{help}");
}

#[test]
fn the_version_is_told() {
    assert_eq!(anywhere(&["--version"]).done().out, format!("emotrain {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn nothing_at_all_is_answered_with_help() {
    let said = anywhere(&[]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("Usage: emotrain"), "{}", said.err);
}

#[test]
fn options_that_do_not_exist_are_errors() {
    for args in
        [&["recipe.toml", "--resum"][..], &["check"], &["eval", "r.toml", "--run", "a", "--adapter", "b"]]
    {
        let said = anywhere(args);
        assert_eq!(said.code, 2, "{args:?}");
        assert!(said.err.starts_with("error:") && said.out.is_empty(), "{}", said.err);
    }
}

#[test]
fn a_misspelt_command_is_not_taken_for_a_recipe() {
    for args in [&["chekc", "recipe.toml"][..], &["chekc"], &["-q", "chekc"]] {
        let said = anywhere(args);
        assert_eq!(said.code, 2, "{args:?}");
        assert!(said.err.contains("'chekc'") && said.err.contains("'check'"), "{}", said.err);
    }
}

#[test]
fn the_schema_is_json_on_standard_output() {
    let said = anywhere(&["schema"]).done();
    let schema: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(schema["properties"]["train"]["properties"]["seed"]["default"], 42);
    assert!(said.err.is_empty());
}
