#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
#![expect(clippy::needless_pass_by_value, reason = "expectations are handed over, as expect-test has it")]

use std::collections::BTreeSet;

use emotrain_data::LabelSet;
use emotrain_recipe::{LabelSetName, QUERIES};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn dialogue(texts: &[&str]) -> Dialogue {
    let utterance = |(at, text): (usize, &&str)| {
        Utterance::new(["Ada", "Ben"][at % 2].to_owned(), (*text).to_owned(), None)
    };
    Dialogue::new("d".to_owned(), texts.iter().enumerate().map(utterance).collect())
}

#[test]
fn the_built_in_queries() {
    let named: Vec<&str> = QUERIES.iter().copied().filter(|name| !name.is_empty()).collect();
    assert_eq!(Query::names().collect::<Vec<_>>(), named);
    let mut hashes = BTreeSet::new();
    for name in Query::names() {
        let query = Query::find(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let of_utterances = query.level() == KnowledgeLevel::Utterance;
        let expected = if of_utterances { Availability::Online } else { Availability::Offline };
        assert_eq!(query.availability(), expected, "{name}");
        assert!(hashes.insert(query.sha256()));
    }
}

#[test]
fn an_interpretation_sees_the_history_only() {
    let query = Query::find("interpretation").unwrap();
    let said: Vec<String> = (0..9).map(|number| format!("Line {number}.")).collect();
    let dialogue = dialogue(&said.iter().map(String::as_str).collect::<Vec<_>>());
    let text = query.ask(&dialogue, &QueryTarget::Utterance(6)).unwrap();
    expect![[r#"
        Ada: Line 2.
        Ben: Line 3.
        Ada: Line 4.
        Ben: Line 5.
        Ada: Line 6.

        Describe the last line, which Ada says."#]]
    .assert_eq(&text.user);
    assert!(text.system.contains(r#"{"explicit": "...", "implicit": "..."}"#), "{}", text.system);
    let first = query.ask(&dialogue, &QueryTarget::Utterance(0)).unwrap();
    expect![[r#"
        Ada: Line 0.

        Describe the last line, which Ada says."#]]
    .assert_eq(&first.user);
}

#[test]
fn a_characteristic_sees_the_whole_dialogue_once_for_each_speaker() {
    let query = Query::find("characteristic").unwrap();
    let dialogue = dialogue(&["Hello.", "You again?", "Me again."]);
    let targets = query.targets(&dialogue);
    assert_eq!(targets, ["Ada", "Ben"].map(|name| QueryTarget::Speaker(name.to_owned())));
    expect![[r#"
        Ada: Hello.
        Ben: You again?
        Ada: Me again.

        Describe the personality of Ben."#]]
    .assert_eq(&query.ask(&dialogue, &targets[1]).unwrap().user);
}

fn keys() -> Vec<String> {
    ["explicit", "implicit"].map(str::to_owned).to_vec()
}

#[track_caller]
fn check_reply(reply: &str, expected: Expect) {
    let read = read_reply(reply, &keys());
    expected.assert_eq(&read.map_or_else(|error| error.to_string(), |texts| texts.join(" | ")));
}

#[test]
fn replies_are_parsed_strictly() {
    check_reply(r#" {"implicit": " b ", "explicit": "a"} "#, expect!["a | b"]);
    check_reply("```json\n{\"explicit\": \"a\", \"implicit\": \"b\"}\n```", expect!["a | b"]);
    check_reply("```\n{\"explicit\": \"a\", \"implicit\": \"b\"}```\n", expect!["a | b"]);
    check_reply("", expect!["it is empty"]);
    check_reply(
        "<think>\n</think>{\"explicit\": \"a\", \"implicit\": \"b\"}",
        expect!["it contains reasoning"],
    );
    check_reply("Okay, so Ada</THINK>", expect!["it contains reasoning"]);
    check_reply(
        "Sure! {\"explicit\": \"a\"}",
        expect!["it is not one JSON object: it does not start with {"],
    );
    check_reply(
        "Sure!\n```json\n{\"explicit\": \"a\", \"implicit\": \"b\"}\n```",
        expect!["it is not one JSON object: it does not start with {"],
    );
    check_reply(
        r#"{"explicit": "a", "implicit": "b"} I hope this helps."#,
        expect!["it is not one JSON object: trailing characters at line 1 column 36"],
    );
    check_reply(
        r#"{"explicit": "a", "implicit": "b"}{"explicit": "a", "implicit": "b"}"#,
        expect!["it is not one JSON object: trailing characters at line 1 column 35"],
    );
    check_reply(
        r#"{"explicit": "a", "impl"#,
        expect!["it is not one JSON object: EOF while parsing a string at line 1 column 23"],
    );
    check_reply("[\"a\", \"b\"]", expect!["it is not one JSON object: it does not start with {"]);
    check_reply(r#"{"explicit": "a"}"#, expect![[r#"it lacks the key "implicit""#]]);
    check_reply(
        r#"{"explicit": "a", "implicit": "b", "label": "joy"}"#,
        expect![[r#"it has the key "label", which was not requested"#]],
    );
    check_reply(
        r#"{"explicit": "a", "explicit": "c", "implicit": "b"}"#,
        expect![[r#"it has the key "explicit" twice"#]],
    );
    check_reply(
        r#"{"explicit": ["a"], "implicit": "b"}"#,
        expect![[r#"the value of "explicit" is not a text"#]],
    );
    check_reply(r#"{"explicit": "...", "implicit": "b"}"#, expect![[r#"the text of "explicit" is empty"#]]);
}

proptest! {
    #[test]
    fn whatever_is_read_was_said(one in ".*[a-z]", two in ".*[a-z]", noise in ".{0,20}") {
        let object = serde_json::json!({ "explicit": one, "implicit": two }).to_string();
        let marks = ["<think>", "</think>", "<thinking>", "</thinking>", "<reasoning>"];
        prop_assume!(!marks.iter().any(|mark| object.contains(mark)));
        let texts = read_reply(&object, &keys()).unwrap();
        prop_assert_eq!(texts, vec![one.trim().to_owned(), two.trim().to_owned()]);
        // Anything else never panics and is never accepted as an object.
        let may_be_object = unfenced(&noise).starts_with(char::from(b'{'));
        prop_assert!(may_be_object || read_reply(&noise, &keys()).is_err());
    }
}

#[test]
fn words_of_labels_are_found_whole() {
    let meld = LabelSet::builtin(LabelSetName::Meld);
    for (text, count) in [
        ("She sounds calm and a little tired.", 0),
        ("Such joy! And ANGER, too.", 2),
        ("He enjoyed it and was saddened, unjoyfully.", 0),
        ("A sad, mad world", 2),
        ("self-disgust", 1),
    ] {
        assert_eq!(label_words(text, &meld), count, "{text}");
    }
    let daily = LabelSet::builtin(LabelSetName::Dailydialog);
    assert_eq!(label_words("There is no emotion in it, no-emotion at all.", &daily), 2);
}

#[test]
fn lengths_are_counted_in_words() {
    let query = Query::find("interpretation").unwrap();
    let meld = LabelSet::builtin(LabelSetName::Meld);
    let words = |count: usize| vec!["word"; count].join(" ");
    let texts = [words(19), words(20), words(50), words(51), format!("{} joy", words(20))];
    let measures = query.measure(texts.iter().map(String::as_str), &meld);
    assert_eq!(measures, Measures { naming_labels: 1, length_outside: 2 });
}

#[track_caller]
fn check_query(source: &str, expected: Expect) {
    let error = Query::from_source("q.toml".to_owned(), source).unwrap_err();
    expected.assert_eq(&format!("{error}\n"));
}

#[test]
fn problems_of_a_query_are_reported_at_once() {
    check_query(
        "level = \"utterance\"\nreach = \"histroy\"",
        expect![[r#"
        q.toml:2: unknown variant `histroy`, expected `history` or `dialogue`
    "#]],
    );
    check_query(
        "level = \"speaker\"\nreach = \"history\"\nhistory_window = 3\nkeys = [\"speaker\", \"A\", \"a\", \"a\"]\nmin_words = 9\n\
         max_words = 3\nuser = \"{{ utterance }} {speaker}\"",
        expect![[r#"
            q.toml: the key "speaker" is reserved
              hint: the keys dialogue, position, speaker, split identify what a text belongs to
            q.toml: the key "A" is not a valid name
              hint: keys consist of small letters, digits and "_"
            q.toml: the key "a" is repeated
            q.toml: min_words = 9 is more than max_words = 3
            q.toml: reach = "history" needs level = "utterance"
              hint: write reach = "dialogue": only an utterance has a history
            q.toml: history_window needs level = "utterance"
            q.toml: user: unknown placeholder "utterance"
              hint: with this level and reach the placeholders are speaker
            q.toml: user: "{speaker}" is not a placeholder
              hint: write {{ speaker }}
        "#]],
    );
    check_query(
        "level = \"utterance\"\nreach = \"history\"\nkeys = [\"mood\"]\nuser = \"{{ speaker }}: {{ histroy }}\"",
        expect![[r#"
            q.toml: user: unknown placeholder "histroy"
              hint: did you mean "history"?
        "#]],
    );
    check_query(
        "level = \"utterance\"\nreach = \"history\"\nkeys = [\"mood\"]\nuser = \"{{ history[0].text }} {{ speaker }}\"",
        expect![[r#"
            q.toml: the utterance is never shown
              hint: put {{ utterance }} into "user"
            q.toml: the key "mood" is never asked for
              hint: show the form of a reply in the text, with every key in quotes
            q.toml: user: undefined value when a dialogue has only one utterance
        "#]],
    );
}

#[test]
fn a_query_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mood.toml");
    let source = "level = \"dialogue\"\nreach = \"dialogue\"\nkeys = [\"mood\"]\nuser = '''\n{% for turn in dialogue %}\n{{ turn.text }}\n{% endfor %}\nReply: {\"mood\": \"...\"}\n'''\n";
    fs_err::write(&path, source).unwrap();
    let query = Query::find(path.to_str().unwrap()).unwrap();
    let dialogue = dialogue(&["One.", "Two."]);
    assert_eq!(query.targets(&dialogue), [QueryTarget::Dialogue]);
    let text = query.ask(&dialogue, &QueryTarget::Dialogue).unwrap();
    assert_eq!((text.system.as_str(), text.user.as_str()), ("", "One.\nTwo.\nReply: {\"mood\": \"...\"}"));

    let of = |source: &str| Query::from_source("q".to_owned(), source).unwrap().sha256();
    assert_eq!(of(&format!("# A remark.\n{source}")), query.sha256());
    assert_ne!(of(&source.replace("Reply:", "Reply with")), query.sha256());
}

#[test]
fn a_query_that_does_not_exist() {
    let error = Query::find("interpretations").unwrap_err();
    assert_eq!(error.hint().unwrap(), "did you mean \"interpretation\"?");
    assert!(matches!(Query::find("nowhere.toml").unwrap_err(), PromptError::Read(_)));
}
