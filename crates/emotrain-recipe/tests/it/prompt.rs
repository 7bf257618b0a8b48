//! Templates, slots and causality.

use std::path::Path;

use emotrain_recipe::{PromptSlots, PromptTemplate};
use expect_test::expect;

use crate::{check, good, recipe};

const SOURCES: &str = "[[knowledge]]\nname = \"explicit\"\npath = \"e.jsonl\"\navailability = \"online\"\n\
                       [[knowledge]]\nname = \"characteristic\"\npath = \"c.jsonl\"\navailability = \"offline\"\n";

#[test]
fn a_template_is_a_name_or_a_path() {
    let template = |text: &str| good(&format!("[prompt]\ntemplate = {text:?}")).prompt.template;
    assert_eq!((template(""), template("plain")), (PromptTemplate::Plain, PromptTemplate::Plain));
    assert_eq!(template("prc_emo"), PromptTemplate::PrcEmo);
    assert_eq!(template("prc_emo.jinja"), PromptTemplate::File("prc_emo.jinja".into()));
    let given = recipe("", &["prompt.template=prc_emo"]).unwrap().prompt.template;
    assert_eq!(given, PromptTemplate::PrcEmo);
    let text = good("[prompt]\ntemplate = \"prc_emo\"").to_toml();
    let again = emotrain_recipe::parse(&text, Path::new("/else/where.toml"), &[]).unwrap();
    assert_eq!(again.prompt.template, PromptTemplate::PrcEmo);
}

#[test]
fn slots_are_parts_of_prompts_and_knowledge_sources() {
    let slots = good(&format!("{SOURCES}[prompt]\nslots = [\"note\", \"explicit\"]")).prompt.slots;
    assert_eq!(slots, PromptSlots::List(vec!["note".to_owned(), "explicit".to_owned()]));
    assert!(
        slots.has("note") && slots.has("explicit") && !slots.has("history") && !slots.has("characteristic")
    );
    assert!(good("").prompt.slots.has("whatever"));
    let given = recipe(SOURCES, &["prompt.slots=[\"history\"]"]).unwrap().prompt.slots;
    assert_eq!(given, PromptSlots::List(vec!["history".to_owned()]));
    check(
        &format!("{SOURCES}[prompt]\nslots = [\"notes\", \"implicit\", \"question\", \"note\", \"note\"]"),
        expect![[r#"
            erc.toml:10:9: prompt.slots names "notes", which is neither a prompt part nor a knowledge source
              hint: did you mean "note"?
            erc.toml:10:9: prompt.slots names "implicit", which is neither a prompt part nor a knowledge source
              hint: did you mean "explicit"?
            erc.toml:10:9: prompt.slots: "question" is always shown
              hint: the slots are "instruction", "note", "history", "future", "demonstrations", "label_statement", "explicit", "characteristic"
            erc.toml:10:9: prompt.slots names "note" twice
        "#]],
    );
    check(
        "[prompt]\nslots = \"al\"",
        expect![[r#"
        erc.toml:2:9: prompt.slots must be "all" or a list of texts, not "al"
          hint: did you mean "all"?
    "#]],
    );
    check(
        "[prompt]\nslots = \"history\"",
        expect![[r#"
        erc.toml:2:9: prompt.slots must be "all" or a list of texts, not "history"
          hint: write slots = ["history"]
    "#]],
    );
    check(
        "[prompt]\nslots = [3]\ntemplate = 4",
        expect![[r#"
        erc.toml:2:10: every entry of prompt.slots must be text, not 3
        erc.toml:3:12: prompt.template must be "plain", "prc_emo" or a path, not 4
    "#]],
    );
}

#[test]
fn causal_prompts_refuse_what_is_not_known_yet() {
    let causal = |more: &str| format!("[prompt]\ncausal = true\n{more}\n{SOURCES}");
    check(
        &causal("future_window = 2"),
        expect![[r#"
            erc.toml:3:17: prompt.causal = true does not allow a future_window
              hint: write future_window = 0
            erc.toml:11:16: prompt.causal = true refuses the knowledge source "characteristic", which is offline
              hint: remove it from prompt.slots, or use texts that were written without later utterances
        "#]],
    );
    let slots = "slots = [\"history\", \"explicit\"]\nfuture_window = 2";
    assert!(good(&causal(slots)).prompt.causal);
}
