//! Better messages than the parser's for common TOML mistakes.

use crate::problem::Fault;

/// The message for a parser error at `found`, which is a part of `line`.
pub(crate) fn fault(message: &str, found: &str, line: &str) -> Fault {
    let plain = Fault::new(format!("not valid TOML: {message}"));
    if message == "duplicate key" {
        return Fault::new(format!("{found:?} is given twice")).hint("keep one of them");
    }
    let Some((name, value)) = line.split_once('=') else {
        return match line.trim().split_once(' ') {
            Some((name, value)) if message.starts_with("key with no value") => {
                plain.hint(format!("write {name} = {}", value.trim()))
            }
            _ => plain,
        };
    };
    let name = name.trim();
    let value = value.split('#').next().unwrap_or_default().trim();
    match value.as_bytes() {
        [] => Fault::new(format!("{name} has no value")).hint("remove the line to use the default"),
        [b'.', b'0'..=b'9', ..] => plain.hint(format!("write {name} = 0{value}")),
        [.., b'0'..=b'9', b'.'] => plain.hint(format!("write {name} = {value}0")),
        [first, ..] if first.is_ascii_alphabetic() => match value {
            "True" | "False" | "TRUE" | "FALSE" | "NaN" | "Inf" => {
                plain.hint(format!("write {name} = {}", value.to_lowercase()))
            }
            "None" | "null" | "nil" => plain.hint("remove the line to use the default"),
            words => Fault::new(format!("the text of {name} has no quotes"))
                .hint(format!("write {name} = {words:?}")),
        },
        _ => plain,
    }
}

/// A line of another language, where that shows.
pub(crate) fn other_language(line: &str) -> Option<Fault> {
    let line = line.trim();
    let key = line.split_once(':').map(|(key, _)| key.trim_start_matches("- ").trim());
    let is_key = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
    let is_json = line == "{" || line.starts_with("{\"") || (line.starts_with('"') && line.contains("\":"));
    let name = if line.contains('=') && !line.starts_with('<') {
        return None;
    } else if key.is_some_and(is_key) {
        "YAML"
    } else if is_json {
        "JSON"
    } else if line.starts_with('<') {
        "HTML"
    } else {
        return None;
    };
    let hint = "a recipe is TOML, key = value under [sections]; recipes/coming_from.md has the keys of other trainers";
    Some(Fault::new(format!("this is {name}, not TOML")).hint(hint))
}
