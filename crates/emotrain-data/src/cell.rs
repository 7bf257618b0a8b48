//! Values that may be text or numbers.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A name or number where JSON may have either: the label `joy` or `4`, the id `"12"` or `12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell<'a> {
    Text(Cow<'a, str>),
    Number(i64),
}

impl<'a> Cell<'a> {
    /// The text or whole number that a value is; `None` for other values, and for numbers that are too large.
    pub(crate) fn of(value: &'a RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
        if let Ok(Text(text)) = serde_json::from_str(value.get()) {
            return Some(Self::Text(text));
        }
        let integer = value.get().parse().ok();
        let float = || serde_json::from_str(value.get()).ok().and_then(whole);
        integer.or_else(float).map(Self::Number)
    }

    pub(crate) fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => Cow::Owned(number.to_string()),
        }
    }
}

/// An integer without the fraction that pandas adds if a column has gaps: `3` for `3.0`.
pub(crate) fn whole(number: f64) -> Option<i64> {
    const MOST: f64 = 9_007_199_254_740_992.0; // 2^53: above, floats do not represent every integer
    #[expect(clippy::cast_possible_truncation, reason = "whole and small enough")]
    (number.fract() == 0.0 && number.abs() <= MOST).then_some(number as i64)
}

/// A whole number of JSON as it is written, whatever its length.
pub(crate) fn whole_number(json: &str) -> Option<Cow<'_, str>> {
    let digits = json.strip_prefix('-').unwrap_or(json);
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_whole.then(|| Cow::Borrowed(if digits == "0" { digits } else { json }))
}
