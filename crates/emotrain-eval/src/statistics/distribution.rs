//! Tails and quantiles. The special functions are those of `statrs`.

use std::f64::consts::{LN_2, PI, SQRT_2};

use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::function::beta::beta_reg;
use statrs::function::erf::{erfc, erfc_inv};
use statrs::function::factorial::ln_binomial;

/// Terms of a series beyond any that is needed.
const MOST_TERMS: usize = 10_000;

/// The probability that Student's t with `freedom` degrees of freedom is at least as far from 0 as `t`:
/// `2 * scipy.stats.t.sf(abs(t), freedom)`. Abramowitz and Stegun (1964), 26.7.1 and 26.5.27.
pub(crate) fn t_two_sided(t: f64, freedom: f64) -> f64 {
    let square = t * t;
    if square < freedom {
        1.0 - beta_reg(0.5, freedom / 2.0, square / (freedom + square))
    } else {
        beta_reg(freedom / 2.0, 0.5, freedom / (freedom + square))
    }
}

/// How far from 0 Student's t is at most with the probability `level`: `scipy.stats.t.ppf((1 + level) / 2, freedom)`.
pub(crate) fn t_critical(level: f64, freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(f64::midpoint(1.0, level)))
}

/// The standard normal distribution function: `scipy.stats.norm.cdf`. Abramowitz and Stegun (1964), 26.2.29.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    erfc(-z / SQRT_2) / 2.0
}

/// Its inverse: `scipy.stats.norm.ppf`.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    -SQRT_2 * erfc_inv(2.0 * p)
}

/// The probability that chi-square with one degree of freedom is at least `x`: `scipy.stats.chi2.sf(x, 1)`. Abramowitz
/// and Stegun (1964), 26.4.17 with one degree of freedom.
pub(crate) fn chi_square_tail(x: f64) -> f64 {
    erfc((x / 2.0).sqrt())
}

/// The probability of at most `successes` among `trials` fair coins: `scipy.stats.binom.cdf(successes, trials, 0.5)`.
pub(crate) fn fair_coin_cdf(successes: usize, trials: usize) -> f64 {
    if successes >= trials {
        return 1.0;
    }
    let likeliest = (ln_binomial(trials as u64, successes as u64) - trials as f64 * LN_2).exp();
    let mut term = likeliest;
    let smaller = (1..=successes).rev().map(|count| {
        term *= count as f64 / (trials - count + 1) as f64;
        term
    });
    (likeliest + smaller.sum::<f64>()).min(1.0)
}

/// The noncentral t distribution function, `scipy.stats.nct.cdf`: Lenth (1989), algorithm AS 243, for noncentralities
/// up to [`MOST_NONCENTRAL`] on either side.
pub(crate) fn noncentral_t_cdf(t: f64, freedom: f64, noncentrality: f64) -> f64 {
    if t < 0.0 {
        return 1.0 - noncentral_t_cdf(-t, freedom, -noncentrality);
    }
    let (x, half) = (t * t / (t * t + freedom), noncentrality * noncentrality / 2.0);
    let mut even = (-half).exp();
    let mut odd = noncentrality * even * (2.0 / PI).sqrt();
    let mut sum = 0.0;
    for j in (0..MOST_TERMS).map(|j| j as f64) {
        sum += even * beta_reg(j + 0.5, freedom / 2.0, x) + odd * beta_reg(j + 1.0, freedom / 2.0, x);
        even *= half / (j + 1.0);
        odd *= half / (j + 1.5);
        if j > half && even.max(odd.abs()) < 1e-18 {
            break;
        }
    }
    (normal_cdf(-noncentrality) + sum / 2.0).clamp(0.0, 1.0)
}

/// The largest noncentrality whose series begins with a number above 0.
pub(crate) const MOST_NONCENTRAL: f64 = 37.0;
