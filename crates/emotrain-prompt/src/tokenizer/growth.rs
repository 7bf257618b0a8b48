//! Normalisers that expand texts without limit.
//!
//! A `tokenizer.json` may replace a letter by a page, and repeat that forty times. The maximum expansion of each step
//! is computed from the file, before any text is normalised.

use serde_json::Value;

/// The maximum expansion of a byte: far above that of compatibility forms and space markers.
const MOST_GROWTH: f64 = 4096.0;

/// Refuses a tokenizer whose normaliser can expand texts beyond the limit.
///
/// # Errors
/// A message with the expansion; invalid JSON is left to the library to report.
pub(super) fn check(json: &str) -> Result<(), String> {
    if !json.contains("\"normalizer\"") {
        return Ok(());
    }
    let Ok(file) = serde_json::from_str::<Parts>(json) else { return Ok(()) };
    for (name, part) in
        [("normalizer", &file.normalizer), ("pre_tokenizer", &file.pre_tokenizer), ("decoder", &file.decoder)]
    {
        let growth = growth(part);
        if growth > MOST_GROWTH {
            return Err(format!(
                "its {name} makes texts up to {growth:.0} times as long (the limit is {MOST_GROWTH:.0})"
            ));
        }
    }
    Ok(())
}

/// The parts that change texts; the vocabulary is skipped.
#[derive(serde::Deserialize)]
struct Parts {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    decoder: Value,
}

/// The maximum number of bytes from one byte.
fn growth(step: &Value) -> f64 {
    let lists = ["normalizers", "pretokenizers", "decoders"];
    if let Some(steps) = lists.iter().find_map(|name| step[*name].as_array()) {
        return steps.iter().map(growth).product();
    }
    let length = |name: &str| step[name].as_str().map_or(0, str::len) as f64;
    match step["type"].as_str() {
        Some("Replace") => {
            let plain = step["pattern"]["String"].as_str().map(str::len).filter(|length| *length > 0);
            match plain {
                Some(pattern) => (length("content") / pattern as f64).max(1.0),
                // An expression may match the empty string between any two characters.
                None => 1.0 + length("content"),
            }
        }
        Some("Prepend") => 1.0 + length("prepend"),
        Some("Metaspace") => length("replacement").max(1.0),
        Some("NFKC" | "NFKD" | "Precompiled") => 18.0,
        Some("NFD" | "ByteLevel" | "Lowercase" | "BertNormalizer") => 3.0,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(normalizers: &str) -> Result<(), String> {
        check(&format!("{{\"normalizer\":{{\"type\":\"Sequence\",\"normalizers\":[{normalizers}]}}}}"))
    }

    #[test]
    fn normalisers_that_double_repeatedly_are_refused() {
        let double = r#"{"type":"Replace","pattern":{"String":"a"},"content":"aa"}"#;
        assert_eq!(checked(double), Ok(()));
        let message = checked(&vec![double; 40].join(",")).unwrap_err();
        assert!(
            message.starts_with("its normalizer makes texts up to 1099511627776 times as long"),
            "{message}"
        );
        let page =
            format!(r#"{{"type":"Replace","pattern":{{"Regex":""}},"content":"{}"}}"#, "x".repeat(5000));
        checked(&page).unwrap_err();
        let usual = r#"{"type":"Prepend","prepend":"\u2581"},{"type":"Replace","pattern":{"String":" "},"content":"\u2581"},{"type":"NFKC"},{"type":"Lowercase"}"#;
        assert_eq!(checked(usual), Ok(()));
    }
}
