//! The rotary settings of a `config.json`: `rope_theta` and `rope_scaling` of transformers 4, or
//! `rope_parameters` of transformers 5, which holds both, or both for each type of layer (Gemma 3).

use serde_json::{Map, Value};

use super::fields::Fields;
use super::{Family, Llama3Scaling, LongRope, RopeScaling, WindowKeys};

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
    scaling: Option<RopeScaling>,
    partial_rotary_factor: Option<f64>,
}

/// What a file says in all.
pub(super) struct Rope {
    pub(super) theta: f64,
    pub(super) scaling: Option<RopeScaling>,
    /// The part of a head that is rotated.
    pub(super) partial_rotary_factor: f64,
    /// Of the layers with a sliding window, where they have a theta of their own.
    pub(super) local_theta: Option<f64>,
}

/// Everything rotary, wherever it is; a missing theta and two different statements are problems.
pub(super) fn read(fields: &mut Fields, family: &Family) -> Rope {
    let earlier_problems = fields.problems.len();
    let of_layers = by_layer_type(fields, family);
    let by_type = of_layers.is_some();
    let (new, local) = match of_layers {
        Some([full, sliding]) => (full, sliding),
        None => (object(fields, "rope_parameters", "rope_parameters."), None),
    };
    let top = fields.number("rope_theta");
    let old = object(fields, "rope_scaling", "rope_scaling.");
    if let (Some(old), Some(new)) = (&old, &new)
        && old.scaling != new.scaling
    {
        fields.report("rope_scaling", "differs from rope_parameters");
    }
    let new_key =
        if by_type { "rope_parameters.full_attention.rope_theta" } else { "rope_parameters.rope_theta" };
    let partial = [&new, &old].into_iter().flatten().find_map(|stated| stated.partial_rotary_factor);
    let partial = partial.or(fields.own_number(family.fused, "partial_rotary_factor"));
    if let Some(part) = partial.filter(|part| !family.fused && part.to_bits() != 1.0_f64.to_bits()) {
        let object = if new.is_some() { "rope_parameters" } else { "rope_scaling" };
        let key = format!("{object}.partial_rotary_factor");
        fields.report(&key, format!("{part} is not supported (must be 1)"));
    }
    let local_key = fields.own_number(family.window == WindowKeys::Pattern, "rope_local_base_freq");
    let local_theta = local.and_then(|stated| stated.theta).or(local_key);
    let thetas = [
        (new_key, new.as_ref().and_then(|stated| stated.theta)),
        ("rope_scaling.rope_theta", old.as_ref().and_then(|stated| stated.theta)),
        ("rope_theta", top),
    ];
    Rope {
        theta: agreed(fields, thetas, earlier_problems),
        scaling: new.or(old).and_then(|stated| stated.scaling),
        partial_rotary_factor: partial.unwrap_or(1.0),
        local_theta,
    }
}

/// The one theta that all places state.
fn agreed(fields: &mut Fields, thetas: [(&str, Option<f64>); 3], earlier_problems: usize) -> f64 {
    let mut stated = thetas.into_iter().filter_map(|(key, theta)| Some((key, theta?)));
    let Some((first, theta)) = stated.next() else {
        if fields.problems.len() == earlier_problems {
            fields.report_with_hint(
                "rope_theta",
                "missing",
                "add the value the model was trained with: there is no safe default",
            );
        }
        return 0.0;
    };
    for (key, other) in stated {
        // Both were written from one number: only the same number agrees.
        if other.to_bits() != theta.to_bits() {
            fields.report(key, format!("{other} differs from {first} = {theta}"));
        }
    }
    theta
}

/// `rope_parameters` of a model with two types of layers: of those with the whole text, and of those with a window.
fn by_layer_type(fields: &mut Fields, family: &Family) -> Option<[Option<Stated>; 2]> {
    let stated = fields.object.get("rope_parameters")?.as_object()?;
    if family.window != WindowKeys::Pattern || !stated.contains_key("full_attention") {
        return None;
    }
    fields.get("rope_parameters");
    let mut inner = Fields::new(stated, "rope_parameters.");
    let full = object(&mut inner, "full_attention", "rope_parameters.full_attention.");
    let sliding = object(&mut inner, "sliding_attention", "rope_parameters.sliding_attention.");
    if sliding.as_ref().is_some_and(|stated| stated.scaling.is_some()) {
        inner.report("sliding_attention", "a scaling is not supported in layers with a window");
    }
    inner.unknown_keys(&[], "not a type of layer");
    fields.problems.append(&mut inner.problems);
    Some([full, sliding])
}

fn object(fields: &mut Fields, key: &'static str, prefix: &'static str) -> Option<Stated> {
    let inner = fields.object(key)?;
    let lengths = Lengths::of(fields.object);
    let mut inner = Fields::new(inner, prefix);
    let stated = statement(&mut inner, lengths);
    fields.problems.append(&mut inner.problems);
    Some(stated)
}

/// Context lengths that the whole file states.
#[derive(Clone, Copy)]
struct Lengths {
    max: Option<usize>,
    original: Option<usize>,
}

impl Lengths {
    fn of(file: &Map<String, Value>) -> Self {
        let size = |key| file.get(key).and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
        Self { max: size("max_position_embeddings"), original: size("original_max_position_embeddings") }
    }
}

fn statement(fields: &mut Fields, lengths: Lengths) -> Stated {
    let theta = fields.number("rope_theta");
    let kind = fields.text("rope_type");
    let kind = kind.or_else(|| fields.text("type")).unwrap_or_else(|| "default".to_owned());
    // An old file may name its type under both keys.
    fields.get("type");
    let partial_rotary_factor = fields.number("partial_rotary_factor");
    let scaling = match kind.as_str() {
        "default" => None,
        "linear" => Some(RopeScaling::Linear(fields.required_number("factor"))),
        "llama3" => Some(RopeScaling::Llama3(Llama3Scaling {
            factor: fields.required_number("factor"),
            low_freq_factor: fields.required_number("low_freq_factor"),
            high_freq_factor: fields.required_number("high_freq_factor"),
            original_max_position_embeddings: fields.required_size("original_max_position_embeddings"),
        })),
        "longrope" | "su" => Some(RopeScaling::LongRope(longrope(fields, lengths))),
        other => {
            let message = format!("\"{other}\" is not supported");
            fields.report_with_hint("rope_type", message, "supported: default, linear, llama3, longrope");
            return Stated { theta, scaling: None, partial_rotary_factor };
        }
    };
    fields.unknown_keys(&[], &format!("not a setting of rope_type \"{kind}\""));
    Stated { theta, scaling, partial_rotary_factor }
}

fn longrope(fields: &mut Fields, lengths: Lengths) -> LongRope {
    let original = match lengths.original {
        Some(stated) => fields.size("original_max_position_embeddings").unwrap_or(stated),
        None => fields.required_size("original_max_position_embeddings"),
    };
    let factor = fields.number("factor");
    let factor = factor.unwrap_or_else(|| lengths.max.unwrap_or_default() as f64 / original as f64);
    let stated = fields.number("attention_factor");
    LongRope {
        short_factor: fields.required_numbers("short_factor"),
        long_factor: fields.required_numbers("long_factor"),
        original_max_position_embeddings: original,
        attention_factor: stated.unwrap_or_else(|| attention_factor(factor, original)),
    }
}

/// By how much queries and keys are longer where the context is stretched by `factor`: `√(1 + ln factor / ln original)`.
pub(crate) fn attention_factor(factor: f64, original: usize) -> f64 {
    if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / (original as f64).ln()).sqrt() }
}
