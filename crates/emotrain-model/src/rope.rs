//! The frequencies of the rotary embedding, with Llama 3's scaling.

use crate::config::{Llama3Scaling, ModelConfig};

/// `θ^(-2i/d)` for `i` in `0..d/2`, in f32 as Hugging Face computes them; with `rope_type = "llama3"` long
/// wavelengths are stretched by `factor` and those between the two bounds are interpolated
/// (`modeling_rope_utils.py`, `_compute_llama3_parameters`).
pub(crate) fn frequencies(config: &ModelConfig) -> Vec<f32> {
    let half = config.head_dim / 2;
    let plain = (0..half).map(|i| config.rope_theta.powf(-(i as f64) / half as f64));
    #[expect(clippy::cast_possible_truncation, reason = "angles are f32")]
    plain.map(|f| config.rope_scaling.as_ref().map_or(f, |scaling| scaled(f, scaling)) as f32).collect()
}

fn scaled(frequency: f64, scaling: &Llama3Scaling) -> f64 {
    let original = scaling.original_max_position_embeddings as f64;
    let wavelength = std::f64::consts::TAU / frequency;
    if wavelength < original / scaling.high_freq_factor {
        frequency
    } else if wavelength > original / scaling.low_freq_factor {
        frequency / scaling.factor
    } else {
        let smooth = (original / wavelength - scaling.low_freq_factor)
            / (scaling.high_freq_factor - scaling.low_freq_factor);
        (1.0 - smooth) * frequency / scaling.factor + smooth * frequency
    }
}
