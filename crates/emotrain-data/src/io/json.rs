//! Explaining invalid JSON, and repairs before it is parsed.

use crate::error::{DataProblem, JsonSlip};

/// The problem with `text`, without the position, which the parser counts from the start of the value.
pub(crate) fn json_problem(error: &serde_json::Error, text: &str) -> DataProblem {
    let position = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&position).unwrap_or(&message).to_owned();
    if error.is_data() {
        return DataProblem::WrongForm(message);
    }
    slip(error, text).unwrap_or(DataProblem::InvalidJson(message))
}

/// A frequent reason why a text is no JSON.
fn slip(error: &serde_json::Error, text: &str) -> Option<DataProblem> {
    let start = text.trim_start();
    if start.trim_start_matches(['{', '[', ' ']).starts_with('\'') {
        return Some(DataProblem::PythonForm);
    }
    let line = text.lines().nth(error.line().checked_sub(1)?)?;
    let before = error.column().saturating_sub("-Infinity".len());
    let around: String = line.bytes().skip(before).take(24).map(char::from).collect();
    let number = ["NaN", "-Infinity", "Infinity"].into_iter().find(|name| around.contains(name));
    if let Some(name) = number {
        return Some(DataProblem::NotANumberOfJson(name));
    }
    let stop = line.floor_char_boundary(error.column().saturating_sub(1));
    let (read, rest) = (line[..stop].trim_end(), line[stop..].trim_start());
    let at = |words: &[&str]| words.iter().any(|word| rest.starts_with(word));
    if at(&["True", "False", "None"]) {
        return Some(DataProblem::PythonForm);
    }
    slip_at(error, start, read, rest).map(DataProblem::JsonSlip)
}

/// The same for slips that are told by where the parser stopped: between `read` and `rest`.
fn slip_at(error: &serde_json::Error, start: &str, read: &str, rest: &str) -> Option<JsonSlip> {
    let at = |beginnings: &[&str]| beginnings.iter().any(|beginning| rest.starts_with(beginning));
    let is_entry = start.starts_with(['{', '[']);
    if start.trim_end().contains('\r') && !start.contains('\n') {
        Some(JsonSlip::CarriageReturns)
    } else if at(&["//", "/*", "#"]) || start.starts_with(['#', '/']) {
        Some(JsonSlip::Comment)
    } else if is_comma_before_bracket(read, rest) || error.to_string().starts_with("trailing comma") {
        Some(JsonSlip::TrailingComma)
    } else if error.to_string().starts_with("control character") {
        Some(JsonSlip::ControlCharacter)
    } else if at(&["“", "”", "„", "‘"]) {
        Some(JsonSlip::CurlyQuotes)
    } else if is_entry && error.to_string().starts_with("key must be a string") {
        Some(JsonSlip::BareKey)
    } else if !is_entry && !start.starts_with('"') && start.contains([',', ';', '\t']) {
        Some(JsonSlip::Table)
    } else {
        None
    }
}

/// Whether a closing bracket comes next and the last that was read is a comma, or one of both was read already.
fn is_comma_before_bracket(read: &str, rest: &str) -> bool {
    let closes = |text: &str| text.trim_start().starts_with(['}', ']']);
    let after_comma = rest.strip_prefix(',').is_some_and(closes);
    after_comma || (read.ends_with(',') && closes(rest))
}

/// The problem with a line that should be one value.
pub(crate) fn line_problem(error: &serde_json::Error, line: &str) -> DataProblem {
    let problem = json_problem(error, line);
    let is_broken = matches!(problem, DataProblem::InvalidJson(_) | DataProblem::JsonSlip(_));
    if line.trim_start().starts_with('[') && (is_broken || matches!(problem, DataProblem::WrongForm(_))) {
        return DataProblem::JsonList;
    }
    if !matches!(problem, DataProblem::InvalidJson(_)) {
        return problem;
    }
    let goes_on = error.is_eof() && line.trim_end().ends_with(['{', ',', '[', ':']);
    if goes_on {
        return DataProblem::JsonOverLines;
    }
    if !error.to_string().starts_with("trailing characters") {
        return problem;
    }
    let stop = line.floor_char_boundary(error.column().saturating_sub(1));
    match line[stop..].trim() {
        "," => DataProblem::JsonSlip(JsonSlip::CommaBehind),
        rest if rest.starts_with(['{', '[', ',']) => DataProblem::JsonSlip(JsonSlip::SeveralValues),
        _ => problem,
    }
}

/// Replaces unpaired surrogates with U+FFFD. Programs that cut a text inside an emoji leave them; JSON can escape them,
/// but they are not characters. The text keeps its length.
pub(crate) fn mend_surrogates(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(length) = bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == b'\\')) {
        at += length;
        match (unit(bytes, at), unit(bytes, at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => at += 12,
            (Some(0xd800..=0xdfff), _) => {
                bytes[at + 2..at + 6].copy_from_slice(b"fffd");
                at += 6;
            }
            _ => at += 2,
        }
    }
}

/// The value of an escape: `\u` and four hexadecimal digits.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_pairs_become_replacement_characters() {
        for (text, expected) in [
            (r#""a \ud83d""#, "a \u{fffd}"),
            (r#""\uDE00 b""#, "\u{fffd} b"),
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\\ud83d \ud83d\n""#, "\\ud83d \u{fffd}\n"),
            (r#""\ud83""#, ""),
        ] {
            let mut mended = text.as_bytes().to_vec();
            mend_surrogates(&mut mended);
            assert_eq!(serde_json::from_slice::<String>(&mended).unwrap_or_default(), expected, "{text}");
        }
    }

    #[test]
    fn frequent_slips_are_named() {
        use JsonSlip::{
            BareKey, CarriageReturns, CommaBehind, Comment, ControlCharacter, CurlyQuotes, SeveralValues,
            Table, TrailingComma,
        };
        let named = |line: &str| {
            let error = serde_json::from_str::<&serde_json::value::RawValue>(line).unwrap_err();
            line_problem(&error, line)
        };
        for (line, expected) in [
            ("{\"a\":1}\r{\"a\":2}\r", CarriageReturns),
            ("// a comment", Comment),
            ("# a, comment", Comment),
            ("{\"a\":1} // behind", Comment),
            ("{\"a\":1, /* within */ \"b\":2}", Comment),
            ("{\"a\": // within", Comment),
            ("{\"a\":1,}", TrailingComma),
            ("{\"a\":[1, 2 , ],\"b\":1}", TrailingComma),
            ("{\"a\":[{\"b\":1 , } ]}", TrailingComma),
            ("{\"a\":1},", CommaBehind),
            ("{\"a\":1} {\"a\":2}", SeveralValues),
            ("{\"a\":1},{\"a\":2}", SeveralValues),
            ("{\"é\":1}{\"a\":2}", SeveralValues),
            ("{a: 1}", BareKey),
            ("{\"a\": {b: 1}}", BareKey),
            ("{“a”: 1}", CurlyQuotes),
            ("{\"a\": “x”}", CurlyQuotes),
            ("{\"a\": \"x\ty\"}", ControlCharacter),
            ("dialogue,position,text", Table),
            ("0;1;Hm.", Table),
            ("id\ttext", Table),
        ] {
            assert_eq!(named(line), DataProblem::JsonSlip(expected), "{line}");
        }
        for line in ["{'a': 1}", "{\"a\": True}", "{\"a\": [None]}"] {
            assert_eq!(named(line), DataProblem::PythonForm, "{line}");
        }
        assert_eq!(named("[1, 2,]"), DataProblem::JsonList);
        assert_eq!(
            named("{\"a\": \"#1, // }"),
            DataProblem::InvalidJson("EOF while parsing a string".to_owned())
        );
        assert_eq!(named("{\"a\" \"b\"}"), DataProblem::InvalidJson("expected `:`".to_owned()));
    }
}
