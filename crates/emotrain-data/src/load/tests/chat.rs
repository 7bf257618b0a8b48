use super::*;

fn chat(text: &str, expected: &Expect) {
    check_section("format = \"chat\"", text, expected);
}

#[test]
fn messages_are_turns_of_their_roles_or_names() {
    chat(
        r#"{"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"It works!","label":"joy"},{"role":"assistant","content":[{"type":"text","text":"Does"},{"type":"text","text":"it?"}],"label":1}]}

{"id":7,"source":"forum","messages":[{"role":"user","name":"Ada","content":"Hm."},{"content":"No.","role":"user","name":"Bo","label":null}]}
{"id":"g","conversations":[{"from":"human","value":"Hi.","label":"neutral"},{"from":"gpt","value":"Ho."}]}"#,
        &expect![[r#"
            1
              user: It works! [joy]
              assistant: Does it? [surprise]
            7
              Ada: Hm. [-]
              Bo: No. [-]
            g
              human: Hi. [neutral]
              gpt: Ho. [-]
            mended 0
        "#]],
    );
}

#[test]
fn instructions_are_counted_in_the_summary() {
    let text = r#"{"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hi.","label":"joy"}]}"#;
    let folder = folder(&[("file", text.as_bytes())]);
    let labels = LabelSet::builtin(LabelSetName::Meld);
    let split =
        load_split(&folder.path().join("file"), DataFormat::Chat, &labels, LabelPolicy::Required).unwrap();
    let summary = split.summary(&labels).to_string();
    expect!["  left out          1  system messages, which are no turns"]
        .assert_eq(summary.lines().nth(4).unwrap_or_default());
}

/// What is wrong with each of these chats.
fn named(chats: &[&str]) -> String {
    let section = section("format = \"chat\"");
    let labels = LabelSet::from_section(&section).unwrap();
    let named = |chat: &&str| {
        let folder = folder(&[("file", chat.as_bytes())]);
        let result = load_split(&folder.path().join("file"), &section, &labels, LabelPolicy::Context);
        shown(result, &labels, folder.path())
    };
    chats.iter().map(named).collect()
}

#[test]
fn what_is_no_chat_is_named() {
    expect![[r#"
        file:1: missing field `messages`
        file:1: unknown field `message`
        hint: did you mean `messages`?
        file:1: has both `messages` and `conversations`
        hint: they say the same: leave out `messages` or `conversations`
        file:1: dialogue 1: the dialogue has no utterances
        file:1: `messages` should be a list, not an object
        hint: write "messages": […]
        file:1: `id` should be text or a whole number, not a list
        hint: write one text: "id": "…"
        file:1: message 0: expected an object with `role` and `content`, or `from` and `value`, not text
        file:1: message 0: `from` should be text, not an object
        hint: write one text: "from": "…"
        file:1: message 0: `label` should be the name or the number of a label, not a list
        hint: write one label, as in "label": "joy"
    "#]]
    .assert_eq(&named(&[
        r#"{"id":1}"#,
        r#"{"message":[]}"#,
        r#"{"messages":[],"conversations":[]}"#,
        r#"{"messages":[{"role":"system","content":"Be kind."}]}"#,
        r#"{"messages":{"role":"user"}}"#,
        r#"{"id":[1],"messages":[]}"#,
        r#"{"messages":["Hi."]}"#,
        r#"{"conversations":[{"from":{"name":"Ada"},"value":"Hi."}]}"#,
        r#"{"messages":[{"role":"user","content":"Hi.","label":["joy"]}]}"#,
    ]));
}

#[test]
fn what_is_no_message_is_named() {
    expect![[r#"
        file:1: message 0: missing field `role`
        hint: columns = { speaker = "…" } under [data] names the key that has it
        file:1: message 0: unknown field `contents`
        hint: did you mean `content`?
        file:1: message 0: missing field `content`
        hint: columns = { text = "…" } under [data] names the key that has it
        file:1: message 0: `content` should be text, not an object
        hint: write one text: "content": "…"
        file:1: message 0: a part of `content` is "image_url", and only text is read
        file:1: message 0: `content` is null, as in a message that only calls a tool
        hint: leave such messages out: jq -c '.messages |= map(select(.content != null))' FILE
        file:1: message 0: `value` is null, as in a message that only calls a tool
        hint: leave such messages out: jq -c '.conversations |= map(select(.value != null))' FILE
        file:1: message 0: has both `role` and `from`
        hint: they say the same: leave out `role` or `from`
        file:1: message 0: has both `content` and `value`
        hint: they say the same: leave out `content` or `value`
        file:1: message 0: unknown field `lable`
        hint: did you mean `label`?
        file:1: utterance 1#0: the utterance is empty
        file: no utterance has a label
        hint: training and evaluation need labels; emotrain predict finds them
        file: no utterance has a label
        hint: write columns = { label = "emotion" } under [data]
    "#]]
    .assert_eq(&named(&[
        r#"{"messages":[{"content":"Hi."}]}"#,
        r#"{"messages":[{"role":"user","contents":"Hi."}]}"#,
        r#"{"messages":[{"role":"user"}]}"#,
        r#"{"messages":[{"role":"user","content":{"a":1}}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#,
        r#"{"messages":[{"role":"assistant","content":null,"tool_calls":[{}]}]}"#,
        r#"{"conversations":[{"from":"gpt","value":null}]}"#,
        r#"{"messages":[{"role":"user","from":"human","content":"Hi."}]}"#,
        r#"{"messages":[{"role":"user","content":"Hi.","value":"Hi."}]}"#,
        r#"{"messages":[{"role":"user","content":"Hi.","lable":"joy"}]}"#,
        r#"{"messages":[{"role":"user","content":" "}]}"#,
        r#"{"messages":[{"role":"user","content":"Hi."}]}"#,
        r#"{"messages":[{"role":"user","content":"Hi.","emotion":"joy"}]}"#,
    ]));
}

#[test]
fn keys_that_are_named_are_read_and_the_others_kept() {
    let keys = |columns: &str, text: &str, expected: &Expect| {
        check_section(&format!("format = \"chat\"\ncolumns = {{ {columns} }}"), text, expected);
    };
    let row = r#"{"ticket":7,"id":"other","messages":[{"from":"Ada","name":"A.","said":"Hm.","content":"raw","mood":"joy","label":"none"},{"from":"Bo","said":"No.","content":""}]}"#;
    keys(
        r#"dialogue = "ticket", speaker = "from", text = "said", label = "mood""#,
        row,
        &expect![[r#"
        7
          Ada: Hm. [joy]
          Bo: No. [-]
        mended 0
    "#]],
    );
    keys(
        r#"dialogue = "number""#,
        row,
        &expect![[r#"
        file:1: no key `number`, which data.columns names as the dialogue
    "#]],
    );
    keys(
        r#"text = "said", speaker = "who""#,
        row,
        &expect![[r#"
        file:1: message 0: no key `who`, which data.columns names as the speaker
    "#]],
    );
    keys(
        r#"text = "said""#,
        &row.replace("\"Hm.\"", "[1]"),
        &expect![[r#"
        file:1: message 0: a part of `said` has no text
    "#]],
    );
    let section = section("format = \"chat\"\ncolumns = { text = \"said\", label = \"mood\" }");
    let labels = LabelSet::from_section(&section).unwrap();
    let folder = folder(&[("file", row.as_bytes())]);
    let split = load_split(&folder.path().join("file"), &section, &labels, LabelPolicy::Context).unwrap();
    let metadata = serde_json::to_string(&split.dialogues[0].utterances[0].metadata).unwrap();
    expect![[r#"{"content":"raw","label":"none","role":"Ada"}"#]].assert_eq(&metadata);
}
