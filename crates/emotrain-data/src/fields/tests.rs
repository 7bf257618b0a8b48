use super::*;

/// What is read of `{"key": …}`, or what is wrong with it and the hint.
fn read<'a, T: fmt::Debug>(
    line: &'a str,
    by: impl FnOnce(&mut Fields<'a>) -> Result<Option<T>, DataProblem>,
) -> String {
    let read = Fields::of_line(line, "`key`").and_then(|mut fields| by(&mut fields));
    read.map_or_else(|problem| problem.to_string(), |value| format!("{value:?}"))
}

fn with(value: &str) -> String {
    format!("{{\"key\": {value}}}")
}

#[test]
fn names_are_texts_or_whole_numbers_of_any_length() {
    for (value, expected) in [
        ("\"a\\u00e9\"", "Some(\"aé\")"),
        ("0", "Some(\"0\")"),
        ("-0", "Some(\"0\")"),
        ("2.0", "Some(\"2\")"),
        ("1e3", "Some(\"1000\")"),
        ("12345678901234567890123", "Some(\"12345678901234567890123\")"),
        ("1.5", "`key` should be text or a whole number, not the number 1.5"),
        (
            "12345678901234567890123.5",
            "`key` should be text or a whole number, not the number 12345678901234567890123.5",
        ),
        ("null", "`key` should be text or a whole number, not null"),
        ("true", "`key` should be text or a whole number, not true"),
        ("[1]", "`key` should be text or a whole number, not a list"),
        ("{}", "`key` should be text or a whole number, not an object"),
    ] {
        assert_eq!(read(&with(value), |fields| fields.name("key")), expected, "{value}");
    }
    assert_eq!(read("{}", |fields| fields.name("key")), "None");
}

#[test]
fn positions_are_whole_numbers_from_0_as_numbers_or_text() {
    for (value, expected) in [
        ("3", "Some(3)"),
        ("3.0", "Some(3)"),
        ("\" 3 \"", "Some(3)"),
        ("\"3.0\"", "Some(3)"),
        ("-1", "`key` should be a whole number from 0, not the number -1"),
        ("0.5", "`key` should be a whole number from 0, not the number 0.5"),
        ("\"first\"", "`key` should be a whole number from 0, not \"first\""),
        ("1e30", "`key` should be a whole number from 0, not the number 1e30"),
        ("null", "`key` should be a whole number from 0, not null"),
    ] {
        assert_eq!(read(&with(value), |fields| fields.position("key")), expected, "{value}");
    }
}

#[test]
fn numbers_are_finite_as_numbers_or_text() {
    for (value, expected) in [
        ("1", "Some(1.0)"),
        ("\"-1.5e0\"", "Some(-1.5)"),
        ("1e999", "`key` should be a finite number, not the number 1e999"),
        ("\"nan\"", "`key` should be a finite number, not \"nan\""),
        ("\"0,5\"", "`key` should be a finite number, not \"0,5\""),
        ("null", "`key` should be a finite number, not null"),
    ] {
        assert_eq!(read(&with(value), |fields| fields.number("key")), expected, "{value}");
    }
}

#[test]
fn splits_have_the_names_that_data_sets_give_them() {
    for (value, expected) in [
        ("\"Dev\"", "Some(Valid)"),
        ("\"VALID\"", "Some(Valid)"),
        ("\"val\"", "Some(Valid)"),
        ("\"validation \"", "Some(Valid)"),
        ("\"training\"", "Some(Train)"),
        ("\"held-out\"", "`key` should be train, valid or test, not \"held-out\""),
        ("1", "`key` should be train, valid or test, not the number 1"),
    ] {
        assert_eq!(read(&with(value), |fields| fields.split("key")), expected, "{value}");
    }
}

#[test]
fn what_is_no_object_is_named() {
    let object = |line: &str| read(line, |fields| fields.text("key"));
    assert_eq!(object("7"), "expected an object with `key`, not the number 7");
    assert_eq!(object("\"key\""), "expected an object with `key`, not text");
    assert_eq!(object("{\"key\": 1, \"key\": 2}"), "duplicate field `key`");
    let value: &RawValue = serde_json::from_str("[1]").unwrap();
    let problem = Fields::of_value(value, "utterance 3: ".to_owned(), "`key`").err().unwrap();
    assert_eq!(problem.to_string(), "utterance 3: expected an object with `key`, not a list");
}

#[test]
fn keys_that_are_left_are_metadata_or_refused() {
    let mut fields = Fields::of_line("{\"a\": 1, \"txet\": 1.50, \"b\": null}", "`a`").unwrap();
    assert_eq!(fields.name("a"), Ok(Some("1".into())));
    assert_eq!(fields.missing("text", &[]).to_string(), "unknown field `txet`");
    assert_eq!(fields.missing("speaker", &[]).to_string(), "missing field `speaker`");
    let metadata = fields.without_nulls(&["b"]).into_metadata();
    assert_eq!(serde_json::to_string(&metadata).unwrap(), "{\"txet\":1.50}");
    let fields = Fields::of_line("{\"z\": 1}", "`a`").unwrap();
    let problem = fields.finish(&["a", "text"]).unwrap_err();
    assert_eq!(problem.to_string(), "unknown field `z`; the keys are `a`, `text`");
}
