//! The smallest difference that a test would have shown.

use super::distribution::{MOST_NONCENTRAL, noncentral_t_cdf, normal_quantile, t_critical};

/// With this probability a test shows a difference of the detectable size.
const POWER: f64 = 0.8;
/// Halvings of a range, beyond the precision of the numbers in it.
const HALVINGS: usize = 60;

/// The smallest difference that a two-sided t test at this confidence level shows with power 0.8, in standard errors of
/// the difference: Cohen (1988), by the noncentral t distribution. `TTestPower` (times the root of n) and `TTestIndPower`
/// (over the root of 1/n₁ + 1/n₂) of statsmodels, solved for the effect size.
pub(crate) fn detectable_by_t_test(freedom: f64, level: f64) -> f64 {
    let critical = t_critical(level, freedom);
    let power = |effect: f64| {
        1.0 - noncentral_t_cdf(critical, freedom, effect) + noncentral_t_cdf(-critical, freedom, effect)
    };
    let (mut low, mut high) = (0.0, MOST_NONCENTRAL);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if power(middle) < POWER { low = middle } else { high = middle }
    }
    high
}

/// The same of a z test, in standard errors: the quantiles of confidence and power added up. `NormalIndPower` of
/// statsmodels but for the other tail, whose probability is 10⁻⁶ at 95 %.
pub(crate) fn detectable_by_z_test(level: f64) -> f64 {
    normal_quantile(f64::midpoint(1.0, level)) + normal_quantile(POWER)
}
