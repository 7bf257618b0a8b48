//! The rotary settings of a `config.json`: `rope_theta` and `rope_scaling` of transformers 4, or
//! `rope_parameters` of transformers 5, which holds both.

use super::Llama3Scaling;
use super::fields::Fields;

/// By what the `llama3` scaling divides each rotary frequency: `head_dim / 2` numbers, the highest frequency
/// first.
///
/// With the wavelength `2π · theta^(2i / head_dim)` and `turns` = how often it fits the original context:
/// 1 from `high_freq_factor` turns up, `factor` below `low_freq_factor` turns, in between the divisor whose
/// inverse is interpolated linearly in `turns`.
pub(crate) fn llama3_divisors(scaling: &Llama3Scaling, head_dim: usize, theta: f64) -> Vec<f64> {
    let (low, high) = (scaling.low_freq_factor, scaling.high_freq_factor);
    let pairs = head_dim / 2;
    let divisor = |pair: usize| {
        let wavelength = std::f64::consts::TAU * theta.powf(pair as f64 / pairs as f64);
        let turns = scaling.original_max_position_embeddings as f64 / wavelength;
        let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
        1.0 / (kept + (1.0 - kept) / scaling.factor)
    };
    (0..pairs).map(divisor).collect()
}

/// What one object says.
struct Stated {
    theta: Option<f64>,
    scaling: Option<Llama3Scaling>,
}

/// Theta and scaling, wherever they stand; a missing theta and two different statements are problems.
pub(super) fn read(fields: &mut Fields) -> (f64, Option<Llama3Scaling>) {
    let earlier_problems = fields.problems.len();
    let top = fields.number("rope_theta");
    let old = object(fields, "rope_scaling", "rope_scaling.");
    let new = object(fields, "rope_parameters", "rope_parameters.");
    if let (Some(old), Some(new)) = (&old, &new)
        && old.scaling != new.scaling
    {
        fields.report("rope_scaling", "differs from rope_parameters");
    }
    let thetas = [
        ("rope_parameters.rope_theta", new.as_ref().and_then(|stated| stated.theta)),
        ("rope_scaling.rope_theta", old.as_ref().and_then(|stated| stated.theta)),
        ("rope_theta", top),
    ];
    let mut stated = thetas.into_iter().filter_map(|(key, theta)| Some((key, theta?)));
    let theta = match stated.next() {
        None => {
            if fields.problems.len() == earlier_problems {
                fields.report_with_hint(
                    "rope_theta",
                    "missing",
                    "add the value the model was trained with: there is no safe default",
                );
            }
            0.0
        }
        Some((first, theta)) => {
            for (key, other) in stated {
                // Both were written from one number: only the same number agrees.
                if other.to_bits() != theta.to_bits() {
                    fields.report(key, format!("{other} differs from {first} = {theta}"));
                }
            }
            theta
        }
    };
    (theta, new.or(old).and_then(|stated| stated.scaling))
}

fn object(fields: &mut Fields, key: &'static str, prefix: &'static str) -> Option<Stated> {
    let inner = fields.object(key)?;
    let mut inner = Fields::new(inner, prefix);
    let stated = statement(&mut inner);
    fields.problems.append(&mut inner.problems);
    Some(stated)
}

fn statement(fields: &mut Fields) -> Stated {
    let theta = fields.number("rope_theta");
    let kind = fields.text("rope_type");
    let kind = kind.or_else(|| fields.text("type")).unwrap_or_else(|| "default".to_owned());
    // An old file may name its type under both keys.
    fields.get("type");
    if let Some(part) = fields.number("partial_rotary_factor")
        && part.to_bits() != 1.0_f64.to_bits()
    {
        fields.report("partial_rotary_factor", format!("{part} is not supported (must be 1)"));
    }
    let scaling = match kind.as_str() {
        "default" => None,
        "llama3" => Some(Llama3Scaling {
            factor: fields.required_number("factor"),
            low_freq_factor: fields.required_number("low_freq_factor"),
            high_freq_factor: fields.required_number("high_freq_factor"),
            original_max_position_embeddings: fields.required_size("original_max_position_embeddings"),
        }),
        other => {
            let message = format!("\"{other}\" is not supported");
            fields.report_with_hint("rope_type", message, "supported: default, llama3");
            return Stated { theta, scaling: None };
        }
    };
    fields.unknown_keys(&[], &format!("not a setting of rope_type \"{kind}\""));
    Stated { theta, scaling }
}
