//! Statistics against scipy's and statsmodels' on the cases of `tests/golden/statistics` (made by its `make.py`).

use serde::Deserialize;

use super::distribution::{
    chi_square_tail, fair_coin_cdf, noncentral_t_cdf, normal_cdf, normal_quantile, t_critical, t_two_sided,
};
use super::*;
use crate::bootstrap::{Bootstrap, Interval};
use crate::error::EvalError;

/// Of values of which both sides compute the same formula by other series.
const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Golden {
    summaries: Vec<SummaryCase>,
    tests: Vec<TestCase>,
    mcnemar: Vec<McNemar>,
    holm: Vec<HolmCase>,
    power: Vec<PowerCase>,
    normal_power: Vec<NormalPowerCase>,
    distributions: Vec<DistributionCase>,
}

#[derive(Deserialize)]
struct SummaryCase {
    values: Vec<f64>,
    level: f64,
    mean: f64,
    std: Option<f64>,
    t: Option<[f64; 2]>,
    bootstrap: Option<[f64; 2]>,
}

#[derive(Deserialize)]
struct TestCase {
    first: Vec<f64>,
    second: Vec<f64>,
    /// For Welch's test: the second sample, in some cases with a further value.
    more: Vec<f64>,
    level: f64,
    paired: Option<GoldenTTest>,
    welch: Option<GoldenTTest>,
    signed_rank: GoldenSignedRank,
}

#[derive(Deserialize)]
struct GoldenTTest {
    statistic: f64,
    freedom: f64,
    p: f64,
    interval: [f64; 2],
}

#[derive(Deserialize)]
#[serde(untagged)]
enum GoldenSignedRank {
    Result {
        statistic: f64,
        p: f64,
    },
    /// More ties than scipy computes exactly.
    TooMany(#[expect(dead_code, reason = "only that it is there counts")] String),
    Undefined,
}

#[derive(Deserialize)]
struct HolmCase {
    p: Vec<f64>,
    corrected: Vec<f64>,
}

#[derive(Deserialize)]
struct PowerCase {
    freedom: f64,
    level: f64,
    errors: f64,
}

#[derive(Deserialize)]
struct NormalPowerCase {
    level: f64,
    errors: f64,
}

#[derive(Deserialize)]
struct DistributionCase {
    kind: String,
    at: Vec<f64>,
    value: f64,
}

fn golden() -> Golden {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/statistics/cases.json");
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

#[track_caller]
fn close(what: &str, found: f64, expected: f64) {
    let apart = (found - expected).abs();
    // Tiny probabilities are compared by their ratio.
    let limit = TOLERANCE * expected.abs().clamp(f64::MIN_POSITIVE, 1.0);
    assert!(apart <= limit || apart < 1e-15, "{what}: {found:e}, not {expected:e}");
}

#[track_caller]
fn ends_are_close(what: &str, found: Interval, expected: [f64; 2], tolerance: f64) {
    for (found, expected) in [found.low, found.high].into_iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{what}: {found}, not {expected}");
    }
}

#[test]
fn distributions_are_scipys() {
    let cases = golden().distributions;
    assert!(cases.len() > 200);
    for DistributionCase { kind, at, value } in cases {
        let what = format!("{kind} at {at:?}");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
        let count = |at: f64| at as usize;
        let found = match (kind.as_str(), &at[..]) {
            ("t_two_sided", [t, freedom]) => t_two_sided(*t, *freedom),
            ("t_critical", [level, freedom]) => t_critical(*level, *freedom),
            ("noncentral_t", [t, freedom, delta]) => {
                // Small probabilities are differences of larger ones, and no power depends on them.
                let found = noncentral_t_cdf(*t, *freedom, *delta);
                assert!((found - value).abs() < 1e-10, "{what}: {found:e}, not {value:e}");
                continue;
            }
            ("normal_cdf", [z]) => normal_cdf(*z),
            ("normal_quantile", [p]) => normal_quantile(*p),
            ("chi_square_tail", [x]) => chi_square_tail(*x),
            ("fair_coin_cdf", [successes, trials]) => fair_coin_cdf(count(*successes), count(*trials)),
            _ => panic!("{what} is unknown"),
        };
        close(&what, found, value);
    }
}

#[test]
fn summaries_of_seeds_are_scipys() {
    let cases = golden().summaries;
    assert!(cases.len() >= 20);
    for case in cases {
        let what = format!("{:?}", case.values);
        let bootstrap = Bootstrap { samples: 20_000, level: case.level, seed: 7 };
        let found = SeedSummary::of(&case.values, bootstrap).unwrap();
        assert_eq!(found.seeds, case.values.len());
        close(&what, found.mean, case.mean);
        assert_eq!(found.std.is_some(), case.std.is_some(), "{what}");
        assert_eq!(found.t_interval.is_some(), case.t.is_some(), "{what}");
        assert_eq!(found.bootstrap_interval.is_some(), case.bootstrap.is_some(), "{what}");
        let (Some(std), Some(t), Some(resampled)) = (case.std, case.t, case.bootstrap) else { continue };
        close(&what, found.std.unwrap(), std);
        ends_are_close(&what, found.t_interval.unwrap(), t, TOLERANCE * t[1].abs().max(1.0));
        // Both draw at random. The means of few values have few values themselves: an end may be the next one.
        let error = std / (case.values.len() as f64).sqrt();
        let tolerance = error * if case.values.len() <= 4 { 1.0 } else { 0.2 };
        ends_are_close(&what, found.bootstrap_interval.unwrap(), resampled, tolerance + 1e-12);
    }
}

#[track_caller]
fn same_t_test(what: &str, found: Option<TTest>, expected: Option<&GoldenTTest>) {
    assert_eq!(found.is_some(), expected.is_some(), "{what}");
    let (Some(found), Some(expected)) = (found, expected) else { return };
    // Differences of scores are rounded before they are divided.
    let relative = |found: f64, expected: f64| {
        assert!((found - expected).abs() <= 1e-7 * expected.abs() + 1e-12, "{what}: {found}, not {expected}");
    };
    relative(found.statistic, expected.statistic);
    relative(found.degrees_of_freedom, expected.freedom);
    relative(found.p, expected.p);
    relative(found.interval.low, expected.interval[0]);
    relative(found.interval.high, expected.interval[1]);
}

#[test]
fn tests_over_seeds_are_scipys() {
    let cases = golden().tests;
    assert!(cases.len() >= 20);
    let mut ranked = 0;
    for case in &cases {
        let what = format!("{:?} and {:?}", case.first, case.second);
        same_t_test(&what, TTest::paired(&case.first, &case.second, case.level), case.paired.as_ref());
        same_t_test(&what, TTest::welch(&case.first, &case.more, case.level), case.welch.as_ref());
        let found = SignedRank::of(&case.first, &case.second);
        match case.signed_rank {
            GoldenSignedRank::Result { statistic, p } => {
                let found = found.unwrap();
                close(&what, found.statistic, statistic);
                close(&what, found.p, p);
                ranked += 1;
            }
            GoldenSignedRank::TooMany(_) => assert!(found.is_some(), "{what}"),
            GoldenSignedRank::Undefined => assert_eq!(found, None, "{what}"),
        }
    }
    assert!(ranked >= 20, "{ranked} cases of Wilcoxon's test");
}

#[test]
fn mcnemars_test_is_that_of_statsmodels() {
    let cases = golden().mcnemar;
    assert!(cases.len() >= 20);
    for case in cases {
        let what = format!("{} and {}", case.only_baseline, case.only_other);
        let found = McNemar::of_counts(case.only_baseline, case.only_other);
        close(&what, found.exact_p, case.exact_p);
        assert_eq!(found.chi_square.is_some(), case.chi_square.is_some(), "{what}");
        if let (Some(chi_square), Some(p)) = (case.chi_square, case.chi_square_p) {
            close(&what, found.chi_square.unwrap(), chi_square);
            close(&what, found.chi_square_p.unwrap(), p);
        }
    }
    let right = |text: &str| text.bytes().map(|byte| byte == b'+').collect::<Vec<bool>>();
    let found = McNemar::of(&right("++--+"), &right("+-+++"));
    assert_eq!((found.only_baseline, found.only_other), (1, 2));
}

#[test]
fn holms_correction_is_that_of_statsmodels() {
    let cases = golden().holm;
    assert!(cases.len() >= 20);
    for HolmCase { p, corrected } in cases {
        for (found, expected) in holm(&p).into_iter().zip(corrected) {
            close(&format!("{p:?}"), found, expected);
        }
    }
    assert_eq!(holm(&[]), [0.0; 0]);
}

#[test]
fn detectable_differences_are_those_of_statsmodels() {
    let Golden { power, normal_power, .. } = golden();
    assert!(power.len() >= 20 && normal_power.len() >= 20);
    for PowerCase { freedom, level, errors } in power {
        let found = detectable_by_t_test(freedom, level);
        assert!((found - errors).abs() < 1e-8 * errors, "{freedom} {level}: {found}, not {errors}");
    }
    for NormalPowerCase { level, errors } in normal_power {
        let found = detectable_by_z_test(level);
        // The other tail, which is left out, is of less than 2·10⁻⁵ at 90 %.
        assert!((found - errors).abs() < 1e-4, "{level}: {found}, not {errors}");
    }
}

#[test]
fn p_values_that_depend_on_each_other_combine_to_a_valid_one() {
    assert_eq!(combined([]), None);
    let close = |p: &[f64], expected: f64| {
        let found = combined(p.iter().copied()).unwrap();
        assert!((found - expected).abs() < 1e-12, "{p:?}: {found}");
    };
    close(&[0.03], 0.03);
    close(&[0.04, 0.01], 0.04); // the larger of two
    close(&[0.5, 0.01, 0.02], 0.03); // 3/2 times the median
    close(&[0.9, 0.9, 0.8], 1.0);
}

#[test]
fn what_cannot_be_known_is_none_and_what_makes_no_sense_an_error() {
    let of = |scores: &[f64], samples, level| SeedSummary::of(scores, Bootstrap { samples, level, seed: 0 });
    assert!(matches!(of(&[], 10, 0.95), Err(EvalError::NothingToCompare)));
    assert!(matches!(of(&[0.5, f64::NAN], 10, 0.95), Err(EvalError::NothingToCompare)));
    assert!(matches!(of(&[0.5], 0, 0.95), Err(EvalError::InvalidBootstrap)));
    assert!(matches!(of(&[0.5], 10, 1.0), Err(EvalError::InvalidBootstrap)));
    for (first, second) in [(0.5, f64::NAN), (f64::INFINITY, 0.5), (f64::MAX, -f64::MAX)] {
        let (first, second) = ([first, 0.25], [second, 0.75]);
        assert_eq!(TTest::paired(&first, &second, 0.95), None, "{first:?} {second:?}");
        assert_eq!(TTest::welch(&first, &second, 0.95), None, "{first:?} {second:?}");
    }
    assert_eq!(SignedRank::of(&[0.5], &[f64::NAN]), None);
    assert_eq!(TTest::welch(&[0.5, 0.5], &[0.75, 0.75], 0.95), None);
    assert_eq!(TTest::paired(&[], &[], 0.95), None);
}
