//! `[interpret]`: what it refuses and how it is resolved.

use emotrain_recipe::Provider;
use expect_test::expect;

use crate::check;

#[test]
fn a_language_model_without_a_word_about_it() {
    let interpret = crate::good("").interpret;
    assert_eq!((interpret.provider, interpret.model, interpret.api_key_env), (Provider::Openai, None, None));
    assert_eq!((interpret.requests_per_minute, interpret.max_tokens), (None, Some(512)));
}

#[test]
fn a_language_model_out_of_range() {
    check(
        r#"
[interpret]
provider = "anthropic"
concurrency = 0
timeout_s = 0
temperature = 3
top_p = 0.0
max_attempts = 0
api_key = "sk-secret"
"#,
        expect![[r#"
            erc.toml:2:12: interpret.provider must be "openai" or "local", not "anthropic"
            erc.toml:3:15: interpret.concurrency must be a whole number from 1 to 1024, not 0
            erc.toml:4:13: interpret.timeout_s must be a number above 0 and at most 86400, not 0
            erc.toml:5:15: interpret.temperature must be a number from 0 to 2, not 3
            erc.toml:6:9: interpret.top_p must be a number above 0 and at most 1, not 0.0
            erc.toml:7:16: interpret.max_attempts must be a whole number from 1 to 1000, not 0
            erc.toml:8:1: "api_key" is another tool's name for interpret.api_key_env
              hint: write api_key_env = …; the name of an environment variable, not the key
        "#]],
    );
}

#[test]
fn an_address_that_is_none() {
    for (address, expected) in [
        ("localhost:8000", "not an address"),
        ("http:///v1", "not an address"),
        ("http://me:secret@host/v1", "contains a user name or a password"),
        ("http://host/v1?key=secret", "contains a space"),
        ("http://host/v1/chat/completions/", "/chat/completions, which is added"),
    ] {
        let problems = crate::recipe(&format!("[interpret]\nbase_url = {address:?}"), &[]).unwrap_err();
        let text = crate::rendered(&problems);
        assert!(text.starts_with("erc.toml:2:12") && text.contains(expected), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn more_members_of_a_request() {
    check(
        r#"
[interpret]
extra_body = '{"seed": 3, "stream": true, "top_k": 20}'
"#,
        expect![[r#"
            erc.toml:2:14: interpret.extra_body sets "seed", which has to be set elsewhere
              hint: it has a key of its own: seed = … under [interpret]
            erc.toml:2:14: interpret.extra_body sets "stream", which has to be set elsewhere
              hint: remove it: emotrain sets the messages and the reply format
        "#]],
    );
    check(
        "[interpret]\nextra_body = \"enable_thinking = false\"",
        expect![[r#"
            erc.toml:2:14: interpret.extra_body is not a JSON object: expected value at line 1 column 1
              hint: write a JSON object in single quotes: extra_body = '{"chat_template_kwargs": {"enable_thinking": false}}'
        "#]],
    );
    let members = r#"{"chat_template_kwargs": {"enable_thinking": false}}"#;
    let interpret = crate::good(&format!("[interpret]\nextra_body = '{members}'")).interpret;
    assert_eq!(interpret.extra_body.as_deref(), Some(members));
}
