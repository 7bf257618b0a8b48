//! Activations: `SiLU` and the Gaussian error linear unit, as gates (Shazeer 2020) and alone.
//!
//! Both gates have the form `x · σ(g(x))`: `g(x) = x` for `silu`, and `g(x) = 2·√(2/π)·(x + 0.044715·x³)` for
//! `gelu_pytorch_tanh`, whose `(1 + tanh(u)) / 2` is `σ(2u)`. The derivative is `σ + x·σ·(1 - σ)·g'(x)`.

use crate::exp::exp;
use crate::rows::for_rows;

/// `2·√(2/π)`, the slope of GELU's `g` at 0.
pub const GELU_SLOPE: f32 = 1.595_769;
/// The factor of the cube in GELU's `g`.
pub const GELU_CUBIC: f32 = 0.044_715;

/// `silu(gate) · up` of one row, gate first.
#[inline(always)]
pub fn silu_gate(gate_up: &[f32], out: &mut [f32]) {
    gate(gate_up, out, |x| x);
}

/// `gelu_pytorch_tanh(gate) · up` of one row, gate first.
#[inline(always)]
pub fn gelu_tanh_gate(gate_up: &[f32], out: &mut [f32]) {
    gate(gate_up, out, gelu_inner);
}

#[inline(always)]
fn gate(gate_up: &[f32], out: &mut [f32], inner: impl Fn(f32) -> f32) {
    let (gate, up) = gate_up.split_at(out.len());
    for ((out, &gate), up) in out.iter_mut().zip(gate).zip(up) {
        *out = gate * sigmoid(inner(gate)) * up;
    }
}

/// The gradient for `gate_up` of one row of [`silu_gate`], given that of the result.
#[inline(always)]
pub fn silu_gate_backward(grad: &[f32], gate_up: &[f32], out: &mut [f32]) {
    gate_backward(grad, gate_up, out, |x| (x, 1.0));
}

/// The gradient for `gate_up` of one row of [`gelu_tanh_gate`], given that of the result.
#[inline(always)]
pub fn gelu_tanh_gate_backward(grad: &[f32], gate_up: &[f32], out: &mut [f32]) {
    gate_backward(grad, gate_up, out, |x| (gelu_inner(x), GELU_SLOPE * (1.0 + 3.0 * GELU_CUBIC * x * x)));
}

/// `inner` gives `g(x)` and `g'(x)`.
#[inline(always)]
fn gate_backward(grad: &[f32], gate_up: &[f32], out: &mut [f32], inner: impl Fn(f32) -> (f32, f32)) {
    let width = grad.len();
    let (gate, up) = gate_up.split_at(width);
    let (gate_out, up_out) = out.split_at_mut(width);
    for i in 0..width {
        let (inner, slope) = inner(gate[i]);
        let sigmoid = sigmoid(inner);
        let active = gate[i] * sigmoid;
        gate_out[i] = grad[i] * up[i] * (sigmoid + active * (1.0 - sigmoid) * slope);
        up_out[i] = grad[i] * active;
    }
}

#[inline(always)]
fn gelu_inner(x: f32) -> f32 {
    GELU_SLOPE * (x + GELU_CUBIC * x * x * x)
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `gelu(x + bias)` of each row in place, in GELU's exact form (Hendrycks and Gimpel 2016), BERT's "gelu"; rows are as
/// wide as the bias.
pub fn bias_gelu(x: &mut [f32], bias: &[f32]) {
    for_rows(x, bias.len(), |_, x| {
        for (x, bias) in x.iter_mut().zip(bias) {
            *x = gelu(*x + bias);
        }
    });
}

/// `x · Φ(x)` to about 3 ulp of `x`, without a branch.
///
/// The normal distribution's tail is `Φ(-z) = e^(-z²/2) · P(t)` with `t = 1 / (1 + 0.32 z)` for `z >= 0`: the form of
/// Hastings (1955). `P` was fitted here, in float64, to the least largest error over 0 to 14, which is 6·10⁻⁹.
#[inline(always)]
fn gelu(x: f32) -> f32 {
    let z = x.abs();
    let t = 1.0 / (1.0 + 0.32 * z);
    let mut polynomial = 0.041_967_476;
    for coefficient in
        [-0.222_595_76, 0.372_201_91, -0.128_318, 0.196_176_89, 0.111_660_055, 0.128_907_4, 0.0]
    {
        polynomial = polynomial * t + coefficient;
    }
    let tail = exp(-0.5 * z * z) * polynomial;
    x * if x < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Φ(-z)` by the continued fraction of the error function's complement, and near 0 by its series.
    fn tail(z: f64) -> f64 {
        let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
        if z > 3.0 {
            return density / (1..200).rev().fold(z, |fraction, n| z + f64::from(n) / fraction);
        }
        let (mut term, mut sum) = (z, z);
        for n in 1..100 {
            term *= z * z / f64::from(2 * n + 1);
            sum += term;
        }
        0.5 - density * sum
    }

    #[test]
    fn gelu_is_close_over_its_range() {
        for step in -14_000..=14_000 {
            let x = step as f32 / 1000.0;
            let tail = tail(f64::from(x.abs()));
            let exact = f64::from(x) * if x < 0.0 { tail } else { 1.0 - tail };
            let difference = (f64::from(gelu(x)) - exact).abs();
            // The last place of a number below 1 is worth 6e-8.
            let most = 2e-7 * f64::from(x.abs()).max(0.5);
            assert!(difference <= most, "gelu({x}) = {}, not {exact}", gelu(x));
        }
        assert!(gelu(0.0).abs() < f32::MIN_POSITIVE);
        assert!(gelu(f32::NAN).is_nan());
    }
}
