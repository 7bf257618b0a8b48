#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use expect_test::{Expect, expect};

use super::*;
use crate::fixture::{CHAT, rendered};

fn check(chat_template: &str, expected: &Expect) {
    let closed = rendered(chat_template, Ending::Closed).unwrap();
    let open = rendered(chat_template, Ending::GenerationPrompt).unwrap();
    expected.assert_eq(&format!("{closed}|\n=====\n{open}|"));
}

fn check_refused(chat_template: &str, expected: &Expect) {
    expected.assert_eq(&rendered(chat_template, Ending::Closed).unwrap_err().to_string());
}

#[test]
fn messages_are_written_as_the_template_says() {
    check(
        CHAT,
        &expect![[r#"
        <|turn|>system
        Be brief.<|end|>
        <|turn|>user
        How is she? <|end|>
        <|turn|>assistant
        glad<|end|>
        |
        =====
        <|turn|>system
        Be brief.<|end|>
        <|turn|>user
        How is she? <|end|>
        <|turn|>assistant
        |"#]],
    );
}

#[test]
fn special_tokens_and_python_methods_work() {
    let source = "{{ bos_token }}{% for m in messages %}[{{ m['role'].upper() }}] {{ m.content.strip() }}{{ eos_token }}\n{% endfor %}";
    check(
        source,
        &expect![[r#"
        <s>[SYSTEM] Be brief.</s>
        [USER] How is she?</s>
        [ASSISTANT] glad</s>
        |
        =====
        <s>[SYSTEM] Be brief.</s>
        [USER] How is she?</s>
        |"#]],
    );
}

#[test]
fn generation_tags_change_nothing() {
    let marked = CHAT
        .replace("{%- for", "{% set name = 'generation' %}{%- for")
        .replace("    {{- '<|turn|>' +", "{%- generation -%}\n    {{- '<|turn|>' +")
        .replace("{%- endfor", "{%- endgeneration %}{%- endfor");
    assert!(marked.contains("{%- generation -%}"));
    for ending in [Ending::Closed, Ending::GenerationPrompt] {
        assert_eq!(rendered(&marked, ending).unwrap(), rendered(CHAT, ending).unwrap());
    }
}

#[test]
fn the_date_is_fixed() {
    check(
        "{{ strftime_now('%d %b %Y') }}",
        &expect![[r#"
        26 Jul 2024|
        =====
        26 Jul 2024|"#]],
    );
    check_refused(
        "{{ strftime_now('%Q') }}",
        &expect![[
            r#"models/tiny: chat template, line 1: invalid operation: strftime_now: unknown directive "%Q""#
        ]],
    );
}

#[test]
fn a_template_may_refuse() {
    check_refused(
        "{% if messages[0].role == 'system' %}\n{{ raise_exception('no system messages, please') }}{% endif %}",
        &expect!["models/tiny: chat template, line 2: invalid operation: no system messages, please"],
    );
    check_refused(
        "{{ messages[0].content.nothing() }}",
        &expect!["models/tiny: chat template, line 1: unknown method: string has no method named nothing"],
    );
}

#[test]
fn broken_templates_are_reported_with_their_line() {
    check_refused(
        "fine\n{% for m in messages %}",
        &expect![
            "models/tiny: chat template, line 2: syntax error: unexpected end of input, expected end of block"
        ],
    );
    check_refused(
        "{% unknown %}",
        &expect!["models/tiny: chat template, line 1: syntax error: unknown statement unknown"],
    );
}

/// transformers' output for templates of our own: `tests/golden/chat_template/make.py`.
#[test]
fn own_templates_are_rendered_as_transformers_renders_them() {
    let conversations = include_str!("../../../../tests/golden/chat_template/conversations.json");
    let templates = include_str!("../../../../tests/golden/chat_template/templates.json");
    let rendered = include_str!("../../../../tests/golden/chat_template/templates_rendered.json");
    let json = |text| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let (conversations, templates, rendered) = (json(conversations), json(templates), json(rendered));
    let special = vec![("bos_token", "<s>".to_owned()), ("eos_token", "</s>".to_owned())];
    for case in rendered["cases"].as_array().unwrap() {
        let name = &case["template"];
        let template = templates.as_array().unwrap().iter().find(|entry| entry["name"] == *name).unwrap();
        let source = template["template"].as_str().unwrap().to_owned();
        let template = ChatTemplate::new(name.to_string(), source, special.clone(), DEFAULT_DATE).unwrap();
        let open = case["add_generation_prompt"] == true;
        let ending = if open { Ending::GenerationPrompt } else { Ending::Closed };
        let expected = case["texts"].as_array().unwrap();
        for (conversation, expected) in conversations.as_array().unwrap().iter().zip(expected) {
            let messages: Vec<_> = conversation["messages"].as_array().unwrap().iter().map(message).collect();
            let text = template.render(&messages, ending, Thinking::Off).unwrap();
            assert_eq!(text, expected.as_str().unwrap(), "{name}, {}", conversation["name"]);
        }
    }
}

fn message(json: &serde_json::Value) -> Message<'_> {
    let role = match json["role"].as_str().unwrap() {
        "system" => Role::System,
        "user" => Role::User,
        _ => Role::Assistant,
    };
    Message { role, content: json["content"].as_str().unwrap() }
}
