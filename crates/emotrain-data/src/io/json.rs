//! Explaining invalid JSON, and repairs before it is parsed.

use crate::error::DataProblem;

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

/// Common Python output that is not JSON.
fn slip(error: &serde_json::Error, text: &str) -> Option<DataProblem> {
    let text = text.trim_start();
    if text.strip_prefix('{').is_some_and(|inside| inside.trim_start().starts_with('\'')) {
        return Some(DataProblem::PythonForm);
    }
    let line = text.lines().nth(error.line().checked_sub(1)?)?;
    let before = error.column().saturating_sub("-Infinity".len());
    let around: String = line.bytes().skip(before).take(24).map(char::from).collect();
    ["NaN", "-Infinity", "Infinity"]
        .into_iter()
        .find(|name| around.contains(name))
        .map(DataProblem::NotANumberOfJson)
}

/// The problem with a line that should be one value.
pub(crate) fn line_problem(error: &serde_json::Error, line: &str) -> DataProblem {
    let problem = json_problem(error, line);
    let is_broken = matches!(problem, DataProblem::InvalidJson(_));
    if line.trim_start().starts_with('[') && (is_broken || matches!(problem, DataProblem::WrongForm(_))) {
        return DataProblem::JsonList;
    }
    let goes_on = error.is_eof() && line.trim_end().ends_with(['{', ',', '[', ':']);
    if is_broken && goes_on { DataProblem::JsonOverLines } else { problem }
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
}
