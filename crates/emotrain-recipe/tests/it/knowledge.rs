//! `[[knowledge]]`: sources by name.

use std::path::{Path, PathBuf};

use emotrain_recipe::{Availability, KnowledgeLevel, KnowledgeSection, Recipe, parse};
use expect_test::expect;

use crate::{check, check_overridden, completed, good, recipe};

const TWO: &str = r#"
[[knowledge]]
name = "explicit"
path = "k/{split}.jsonl"

[[knowledge]]
name = "characteristic"
path = "/srv/characters.json"
level = "speaker"
required = false
field = "text"
availability = "offline"
query = "characteristic"
"#;

fn names(recipe: &Recipe) -> Vec<&str> {
    recipe.knowledge.iter().map(|source| source.name.as_str()).collect()
}

#[test]
fn sources_are_read_in_their_order() {
    let recipe = parse(&completed(TWO), Path::new("/home/erc.toml"), &[]).unwrap();
    assert_eq!(
        recipe.knowledge,
        [
            KnowledgeSection {
                name: "explicit".to_owned(),
                path: PathBuf::from("/home/k/{split}.jsonl"),
                level: KnowledgeLevel::Utterance,
                required: true,
                field: None,
                availability: Availability::Auto,
                query: None,
            },
            KnowledgeSection {
                name: "characteristic".to_owned(),
                path: PathBuf::from("/srv/characters.json"),
                level: KnowledgeLevel::Speaker,
                required: false,
                field: Some("text".to_owned()),
                availability: Availability::Offline,
                query: Some("characteristic".to_owned()),
            },
        ]
    );
    assert_eq!(recipe.knowledge[0].path_of("valid"), Path::new("/home/k/valid.jsonl"));
    let again = parse(&recipe.to_toml(), Path::new("/elsewhere/erc.toml"), &[]).unwrap();
    assert_eq!(again, recipe);
    assert_ne!(recipe.fingerprint(), good("").fingerprint());
}

#[test]
fn a_table_without_a_name_and_a_path_is_no_source() {
    assert_eq!(good("[[knowledge]]\nname = \"\"").knowledge, []);
    assert_eq!(good("[[knowledge]]\nname = \"\"\npath = \"\"").knowledge, []);
    assert!(good("").to_toml().contains("knowledge = []"));
}

#[test]
fn faults_of_sources_have_their_places() {
    check(
        r#"
[[knowledge]]
name = "mood"
path = "mood.jsonl"
levle = "speaker"
seed = 3

[[knowledge]]
name = "tone"
level = "speakers"

[[knowledge]]
path = "lost.jsonl"

[[knowledge]]
name = "mood"
path = "again.jsonl"

[[knowledge]]
name = ""
path = "nameless.jsonl"

[[knowledge]]
name = "history"
path = "h.jsonl"

[[knowledge]]
name = "two words"
path = "w.jsonl"

[[knowledge]]
name = "loop"
path = "l.jsonl"

[[knowledge]]
name = 3
path = "n.jsonl"
"#,
        expect![[r#"
            erc.toml:4:1: unknown key "levle" in [[knowledge]]
              hint: did you mean "level"?
            erc.toml:5:1: "seed" does not belong in [[knowledge]]
              hint: it is a key of [interpret] and of [train]
            erc.toml:7:1: knowledge.tone.path is required
              hint: add path = "…" under that [[knowledge]]
            erc.toml:9:9: knowledge.tone.level must be "utterance", "speaker" or "dialogue", not "speakers"
              hint: did you mean "speaker"?
            erc.toml:11:1: this [[knowledge]] has no name
              hint: write name = "…" below it
            erc.toml:14:1: the knowledge source "mood" is defined twice, first on line 1
              hint: give each source its own name
            erc.toml:19:8: a knowledge source with a path needs a name
              hint: templates show it by its name
            erc.toml:23:8: "history" is a part of every prompt and cannot name a knowledge source
              hint: these names are reserved: "labels", "label_list", "speaker", "utterance", "history", "future", "demonstrations", "slots", "instruction", "note", "label_statement", "question", "answer", "all"
            erc.toml:27:8: "two words" cannot be the name of a knowledge source
              hint: a name has small letters, digits and "_", and starts with a letter
            erc.toml:31:8: "loop" is a keyword of the template language and cannot name a knowledge source
            erc.toml:35:8: the name of a knowledge source must be text
        "#]],
    );
}

#[test]
fn a_section_where_a_list_of_tables_belongs() {
    check(
        "[knowledge]\nname = \"mood\"\n",
        expect![[r#"
            erc.toml:1:2: unknown section [knowledge]
              hint: did you mean [[knowledge]]?
        "#]],
    );
    check(
        "[[knowlege]]\nname = \"mood\"\n",
        expect![[r#"
            erc.toml:1:3: "knowlege" must be a list of tables
              hint: write [[knowledge]] on a line of its own and below it the keys of one source
        "#]],
    );
    check(
        "knowledge = \"mood.jsonl\"\n",
        expect![[r#"
            erc.toml:1:1: "knowledge" must be a list of tables
              hint: write [[knowledge]] on a line of its own and below it the keys of one source
        "#]],
    );
}

#[test]
fn the_command_line_changes_sources_and_takes_them_away() {
    let source = recipe(TWO, &["knowledge.explicit.path=other.json", "knowledge.explicit.required=false"]);
    let source = source.unwrap().knowledge.swap_remove(0);
    assert_eq!((source.path.as_path(), source.required), (Path::new("other.json"), false));
    assert_eq!(names(&recipe(TWO, &["knowledge=[]"]).unwrap()), [""; 0]);
    check_overridden(
        TWO,
        &[
            "knowledge.explicitt.path=a",
            "knowledge.explicit.pth=a",
            "knowledge.explicit.name=a",
            "knowledge.path=a",
            "knowledge=a",
            "knowledge.explicit.level=word",
        ],
        expect![[r#"
            --set: the recipe has no knowledge source "explicitt"
              hint: did you mean "explicit"?
            --set: unknown key "pth" in [[knowledge]]
              hint: did you mean "path"?
            --set: knowledge.explicit.name: the name of a knowledge source cannot be overridden
              hint: change the name in the recipe
            --set: "knowledge.path" names no key of a knowledge source
              hint: write knowledge.NAME.KEY=VALUE, or knowledge=[] to remove all sources
            --set: "knowledge" names no key of a knowledge source
              hint: write knowledge.NAME.KEY=VALUE, or knowledge=[] to remove all sources
            --set: knowledge.explicit.level must be "utterance", "speaker" or "dialogue", not "word"
        "#]],
    );
    check_overridden(
        "",
        &["knowledge.explicit.path=a"],
        expect![[r#"
            --set: the recipe has no knowledge source "explicit"
              hint: the recipe has none: write [[knowledge]] in the recipe
        "#]],
    );
}

#[test]
fn plain_text_has_nothing_to_know_about() {
    check(
        "[data]\ntrain = \"a.txt\"\nformat = \"text\"\n[train]\ncompletion_only_loss = false\n[eval]\nload_best_model_at_end = false\n[[knowledge]]\nname = \"mood\"\npath = \"m.jsonl\"",
        expect![[r#"
            erc.toml:10:8: format = "text" has no utterances for knowledge
              hint: remove [[knowledge]], or write knowledge = []
        "#]],
    );
}
