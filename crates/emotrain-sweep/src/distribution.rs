//! Distributions of values that a sweep draws.

use emotrain_base::random::Key;
use serde::Deserialize;
use toml::Value;

/// What a value is drawn from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "distribution", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Distribution {
    /// A number between `min` and `max`.
    Uniform { min: f64, max: f64 },
    /// A number whose logarithm is uniform.
    LogUniform { min: f64, max: f64 },
    /// A whole number from `min` to `max`, both included.
    IntUniform { min: i64, max: i64 },
    /// A whole number whose logarithm is about uniform, both ends included.
    LogIntUniform { min: i64, max: i64 },
    /// One of these values, each as likely.
    Choice { values: Vec<Value> },
}

impl Distribution {
    /// Whether values can be drawn.
    pub(crate) fn check(&self) -> Result<(), String> {
        let ordered = |is: bool| if is { Ok(()) } else { Err("min is not below max".to_owned()) };
        let positive = |is: bool| if is { Ok(()) } else { Err("min is not above 0".to_owned()) };
        match self {
            Self::Uniform { min, max } => ordered(min < max && max.is_finite() && min.is_finite()),
            Self::LogUniform { min, max } => {
                positive(*min > 0.0)?;
                ordered(min < max && max.is_finite())
            }
            Self::IntUniform { min, max } => ordered(min < max),
            Self::LogIntUniform { min, max } => {
                positive(*min > 0)?;
                ordered(min < max)
            }
            Self::Choice { values } if values.is_empty() => Err("values is empty".to_owned()),
            Self::Choice { .. } => Ok(()),
        }
    }

    /// The value at a point of the random draws. Numbers have four significant digits, so that they can be read and written
    /// again.
    pub(crate) fn draw(&self, key: Key) -> Value {
        let share = (key.bits() >> 11) as f64 / (1_u64 << 53) as f64;
        let between = |min: f64, max: f64| min + (max - min) * share;
        let logarithmic = |min: f64, max: f64| between(min.ln(), max.ln()).exp();
        match self {
            Self::Uniform { min, max } => Value::Float(rounded(between(*min, *max)).clamp(*min, *max)),
            Self::LogUniform { min, max } => Value::Float(rounded(logarithmic(*min, *max)).clamp(*min, *max)),
            Self::IntUniform { min, max } => {
                let (min, max) = (*min, *max);
                Value::Integer(floor(between(min as f64, max as f64 + 1.0)).clamp(min, max))
            }
            Self::LogIntUniform { min, max } => {
                let (min, max) = (*min, *max);
                Value::Integer(floor(logarithmic(min as f64, max as f64 + 1.0)).clamp(min, max))
            }
            Self::Choice { values } => {
                let at = floor(between(0.0, values.len() as f64));
                values[usize::try_from(at).unwrap_or(0).min(values.len() - 1)].clone()
            }
        }
    }
}

/// A number with four significant digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

#[expect(clippy::cast_possible_truncation, reason = "a number between two of i64")]
fn floor(value: f64) -> i64 {
    value.floor() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(distribution: &Distribution) -> Vec<f64> {
        let number = |value: Value| value.as_float().or(value.as_integer().map(|whole| whole as f64));
        (0..4000).filter_map(|at| number(distribution.draw(Key::new(0).with(at)))).collect()
    }

    fn share(values: &[f64], below: f64) -> f64 {
        values.iter().filter(|value| **value < below).count() as f64 / values.len() as f64
    }

    #[test]
    fn draws_have_their_distribution_and_its_ends() {
        let close =
            |share: f64, expected: f64| assert!((share - expected).abs() < 0.03, "{share} {expected}");
        let uniform = drawn(&Distribution::Uniform { min: -1.0, max: 3.0 });
        close(share(&uniform, 0.0), 0.25);
        let log = drawn(&Distribution::LogUniform { min: 1e-5, max: 1e-3 });
        close(share(&log, 1e-4), 0.5);
        assert!(log.iter().all(|value| (1e-5..=1e-3).contains(value)));
        let whole = drawn(&Distribution::IntUniform { min: 1, max: 4 });
        close(share(&whole, 3.0), 0.5);
        assert!(
            whole.contains(&1.0) && whole.contains(&4.0) && whole.iter().all(|one| (1.0..=4.0).contains(one))
        );
        let log = drawn(&Distribution::LogIntUniform { min: 4, max: 63 });
        close(share(&log, 16.0), 0.5);
        let words = Distribution::Choice { values: vec![Value::from("a"), Value::from("b")] };
        let first = (0..4000).filter(|at| words.draw(Key::new(1).with(*at)) == Value::from("a")).count();
        close(first as f64 / 4000.0, 0.5);
    }

    #[test]
    fn impossible_distributions_are_refused() {
        for impossible in [
            Distribution::Uniform { min: 1.0, max: 1.0 },
            Distribution::Uniform { min: 0.0, max: f64::INFINITY },
            Distribution::LogUniform { min: 0.0, max: 1.0 },
            Distribution::IntUniform { min: 2, max: 1 },
            Distribution::LogIntUniform { min: 0, max: 1 },
            Distribution::Choice { values: Vec::new() },
        ] {
            assert!(impossible.check().is_err(), "{impossible:?}");
        }
    }
}
