//! From the vectors of a text's tokens to the vector of the text.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;

use super::json::{complain, required_object};
use crate::config::Fields;
use crate::error::ModelError;

/// What becomes of the tokens' vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first of them.
    Cls,
    /// The largest of each number.
    Max,
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
            Self::Max => "max",
        })
    }
}

/// One switch a mode, in files of versions before the key `pooling_mode`.
const SWITCHES: [(&str, &str); 6] = [
    ("pooling_mode_cls_token", "cls"),
    ("pooling_mode_max_tokens", "max"),
    ("pooling_mode_mean_tokens", "mean"),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
    ("pooling_mode_weightedmean_tokens", "weightedmean"),
    ("pooling_mode_lasttoken", "lasttoken"),
];

impl Pooling {
    /// Reads the `config.json` of a `Pooling` module over vectors of `width` numbers.
    ///
    /// # Errors
    /// A file that is not there; a mode that is not computed here, several modes or none; another width.
    pub(super) fn read(path: &Path, width: usize) -> Result<Self, ModelError> {
        let object = required_object(path)?;
        let mut fields = Fields::new(&object, "");
        for key in ["embedding_dimension", "word_embedding_dimension"] {
            if let Some(stated) = fields.size(key).filter(|stated| *stated != width) {
                fields.report(key, format!("{stated}, but hidden_size is {width}"));
            }
        }
        // It is about prompts, which are refused elsewhere.
        fields.flag("include_prompt");
        let (key, modes) = modes(&mut fields);
        let pooling = match modes.as_slice() {
            [mode] => [Self::Mean, Self::Cls, Self::Max].into_iter().find(|known| known.to_string() == *mode),
            _ => None,
        };
        if pooling.is_none() && fields.problems.is_empty() {
            let found = if modes.is_empty() { "none".to_owned() } else { modes.join(" and ") };
            let hint = "one of mean, cls and max is computed here";
            fields.report_with_hint(key, format!("pooling by {found} is not supported"), hint);
        }
        fields.unknown_keys(&[], "a setting this program does not know");
        complain(path, fields.problems)?;
        // A problem was reported if there is none.
        pooling.ok_or_else(|| ModelError::file(path, "states no pooling"))
    }

    /// The vectors of the texts whose tokens are the rows of `segments`.
    ///
    /// # Shapes
    /// `tokens` `[N, width]` → `[segments, width]`, both row-major.
    pub(super) fn pool(self, tokens: &[f32], segments: &[Range<usize>], width: usize) -> Vec<f32> {
        let mut pooled = Vec::with_capacity(segments.len() * width);
        for segment in segments {
            let start = pooled.len();
            pooled.extend_from_slice(&tokens[segment.start * width..][..width]);
            let rows = tokens[(segment.start + 1) * width..segment.end * width].chunks_exact(width);
            let out = &mut pooled[start..];
            match self {
                Self::Cls => {}
                Self::Max => rows.for_each(|row| {
                    out.iter_mut().zip(row).for_each(|(out, value)| *out = out.max(*value));
                }),
                Self::Mean => {
                    rows.for_each(|row| out.iter_mut().zip(row).for_each(|(out, value)| *out += value));
                    let count = segment.len() as f32;
                    for out in out.iter_mut() {
                        *out /= count;
                    }
                }
            }
        }
        pooled
    }
}

/// The modes that a file switches on, and the key that says so.
fn modes(fields: &mut Fields) -> (&'static str, Vec<String>) {
    let switched: Vec<(&'static str, &str)> =
        SWITCHES.into_iter().filter(|(key, _)| fields.flag(key).unwrap_or(false)).collect();
    let stated = match fields.get("pooling_mode") {
        None => None,
        Some(Value::String(mode)) => Some(vec![mode.clone()]),
        Some(Value::Array(modes)) => Some(modes.iter().map(mode_name).collect()),
        Some(other) => Some(vec![mode_name(other)]),
    };
    // As sentence-transformers: the newer key goes before the switches.
    if let Some(modes) = stated {
        return ("pooling_mode", modes);
    }
    let key = switched.first().map_or("pooling_mode", |(key, _)| *key);
    (key, switched.into_iter().map(|(_, mode)| mode.to_owned()).collect())
}

fn mode_name(mode: &Value) -> String {
    mode.as_str().map_or_else(|| mode.to_string(), str::to_owned)
}

/// Makes each vector's length 1. One of zeros stays as it is.
pub(super) fn normalise(vectors: &mut [f32], width: usize) {
    for vector in vectors.chunks_exact_mut(width) {
        let squares: f64 = vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
        #[expect(clippy::cast_possible_truncation, reason = "a length of f32 numbers")]
        let inverse = squares.sqrt().max(1e-12).recip() as f32;
        for value in vector {
            *value *= inverse;
        }
    }
}
