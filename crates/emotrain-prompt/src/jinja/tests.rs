use std::time::Instant;

use super::*;

/// Renders a text for the first time; returns the result and the time.
fn rendered(source: &str) -> (Result<String, String>, f64) {
    let begin = Instant::now();
    let mut environment = environment(UndefinedBehavior::Lenient);
    environment.add_filter("tojson", crate::chat::tojson);
    let text = add(&mut environment, "t", source.to_owned())
        .and_then(|()| tried(move || environment.get_template("t")?.render(minijinja::context!())))
        .map_err(|error| message(&error));
    (text, begin.elapsed().as_secs_f64())
}

#[test]
fn no_template_takes_all_time_or_memory() {
    let grown = "{% set n = namespace(x='0123456789abcdef') %}{% for i in range(15) %}{% set n.x = n.x ~ n.x %}{% endfor %}";
    for body in [
        "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{{ f(n + 1) }}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
        "{% set n = namespace(x='ab') %}{% for i in range(80) %}{% set n.x = n.x + n.x %}{% endfor %}",
        "{{ ('b\n' * 99999)|indent(999999) }}",
        "{{ '%099999999999d'|format(7) }}",
        "{{ '{:>99999999999}'.format(7) }}",
        "{{ range(9)|slice(999999999999)|list|length }}",
        "{{ 'x' * 999999999999 }}",
        "{{ 'x'.center(999999999999) }}",
        "{{ 'x'.zfill(999999999999) }}",
        "{{ 'x'|center(999999999999) }}",
        &format!("{grown}{{{{ n.x.replace('', n.x) | length }}}}"),
        &format!("{grown}{{{{ n.x | replace('0', n.x) | length }}}}"),
        &format!("{grown}{{{{ n.x.join(n.x) | length }}}}"),
        &format!("{grown}{{{{ ''.join([n.x, n.x, n.x, n.x] * 9999) | length }}}}"),
        &format!("{grown}{{{{ (range(9999)|list)|join(n.x)|length }}}}"),
        &format!("{grown}{{% for i in range(99999) %}}{{{{ n.x.upper().count('9') }}}}{{% endfor %}}"),
    ] {
        let (text, seconds) = rendered(body);
        assert!(text.is_err(), "{body}: {:.60}", text.unwrap());
        assert!(seconds < 5.0, "{body}: {seconds} s");
    }
}

#[test]
fn values_that_are_nested_deeply_are_no_json() {
    let body = "{% set n = namespace(x=[]) %}{% for i in range(COUNT) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x|tojson }}";
    let (json, _) = rendered(&body.replace("COUNT", "300"));
    assert_eq!(json.unwrap_err(), "invalid operation: tojson: the value is nested too deeply");
    assert_eq!(rendered(&body.replace("COUNT", "2")).0.unwrap(), "[[[]]]");
    rendered(&body.replace("COUNT", "20000")).0.unwrap_err();
}

#[test]
fn sources_have_limits_too() {
    let (text, seconds) =
        rendered(&format!("{}{}", "{% if 1 %}".repeat(40_000), "{% endif %}".repeat(40_000)));
    assert!(text.unwrap_err().contains("recursion"), "nested");
    assert!(seconds < 5.0, "{seconds}");
    let (text, _) = rendered(&"x".repeat(MOST_BYTES + 1));
    assert_eq!(text.unwrap_err(), "syntax error: the template has 1048577 bytes; the limit is 1048576");
    for unclosed in
        ["{{ (", "{% raw %}{% \"", "{# ", "{{ \"", "{%- if 1 -%}", "{{ [", "{{ a.", "{{ not ", "{{ -"]
    {
        let (_, seconds) = rendered(&unclosed.repeat(60_000));
        assert!(seconds < 5.0, "{unclosed}: {seconds} s");
    }
}

#[test]
fn ordinary_templates_are_far_from_the_limits() {
    let body =
        "{% for i in range(9000) %}{{ i }}: {{ 'some words of an utterance' | upper | trim }}\n{% endfor %}";
    assert!(rendered(body).0.unwrap().len() > 250_000);
}

/// The expected texts are those of Jinja2 3.1.6.
#[test]
fn methods_and_filters_that_the_engine_lacks_are_those_of_jinja2() {
    for (expression, expected) in [
        ("'abcdef'.removeprefix('abc')", "def"),
        ("'abcdef'.removesuffix('def')", "abc"),
        ("'abcdef'.removesuffix('x')", "abcdef"),
        ("'a: b: c'.partition(': ')|join('|')", "a|: |b: c"),
        ("'a: b: c'.rpartition(': ')|join('|')", "a: b|: |c"),
        ("'abc'.partition('x')|join('|')", "abc||"),
        ("'abc'.rpartition('x')|join('|')", "||abc"),
        ("'a b  c d'.rsplit(' ', 1)|join('|')", "a b  c|d"),
        ("'a b c'.rsplit(maxsplit=1)|join('|')", "a b|c"),
        ("' a b  c d '.rsplit(None, 2)|join('|')", " a b|c|d"),
        ("' a b '.rsplit()|join('|')", "a|b"),
        ("'abc'.rsplit('b')|join('|')", "a|c"),
        ("'-7'.zfill(5)", "-0007"),
        ("'x'.zfill(3)", "00x"),
        ("'abcd'.zfill(3)", "abcd"),
        ("'ab'.center(7)", "   ab  "),
        ("'abc'.center(6,'*')", "*abc**"),
        ("'ab'.ljust(4,'.')", "ab.."),
        ("'ab'.rjust(4)", "  ab"),
        ("'Ab'.swapcase()", "aB"),
        ("'ab'|center(7)", "   ab  "),
        ("'ab'|center(width=4)", " ab "),
        ("'the quick brown fox jumps'|truncate(12)", "the..."),
        ("'the quick brown fox jumps'|truncate(12, true)", "the quick..."),
        ("'the quick brown fox jumps'|truncate(12, false, '…', 0)", "the quick…"),
        ("'the quick'|truncate(length=5, leeway=2, end='')", "the"),
        ("'foo bar baz qux'|truncate(11)", "foo bar baz qux"),
        ("'Well, it’s 2 o_clock!'|wordcount", "5"),
        ("'<p>a &lt; b</p> <!-- c --> <i>x\n y</i>&amp;&#39;&#x41;&nbsp;'|striptags", "a < b x y&'A\u{a0}"),
        ("'a < b & c'|striptags", "a < b & c"),
        ("'a b/c?d=é&x~'|urlencode", "a%20b/c%3Fd%3D%C3%A9%26x~"),
        ("{'a b': 1, 'c': 'x/y'}|urlencode", "a+b=1&c=x%2Fy"),
        ("[('a', 1), ('b', 'é')]|urlencode", "a=1&b=%C3%A9"),
        ("7|urlencode", "7"),
        ("1e16", "1e+16"),
        ("1e-5", "1e-05"),
        ("0.0001", "0.0001"),
        ("1.5e300", "1.5e+300"),
        ("123456789012345.0", "123456789012345.0"),
        ("2.0", "2.0"),
        ("[1e16, 1e-5, 2.0]|tojson", "[1e+16, 1e-05, 2.0]"),
    ] {
        assert_eq!(rendered(&format!("{{{{ {expression} }}}}")).0.as_deref(), Ok(expected), "{expression}");
    }
    for (expression, expected) in [
        ("'a'.partition('')", "invalid operation: partition: empty separator"),
        (
            "'a'.center(3, 'xy')",
            "invalid operation: center: the fill character must be exactly one character long",
        ),
        ("'abc'|truncate(2)", "invalid operation: truncate: the length 2 is less than that of \"...\""),
    ] {
        assert_eq!(rendered(&format!("{{{{ {expression} }}}}")).0.unwrap_err(), expected, "{expression}");
    }
}
