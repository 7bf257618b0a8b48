//! Every device of this build agrees with the CPU: the comparisons of `emotrain selftest`.
//!
//! Without GPU features this compares the CPU with itself (two runs are bit-equal); with `--features wgpu` also
//! with the first adapter that wgpu finds, a software one included.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use emotrain_model::device;
use emotrain_model::selftest::{Comparison, Quantity, compare};
use emotrain_recipe::{DeviceChoice, Dtype};

/// The comparisons of a device, each of which has to pass.
fn passed(choice: &DeviceChoice) -> Vec<Comparison> {
    let mut all = Vec::new();
    let name = compare(choice, &mut |comparison| all.push(comparison)).unwrap();
    for Comparison { quantity, dtype, deviation, tolerance } in &all {
        println!("{name} {dtype} {quantity}: {deviation:e} (at most {tolerance:e})");
    }
    let failed: Vec<&Comparison> = all.iter().filter(|comparison| !comparison.passed()).collect();
    assert!(failed.is_empty(), "{name}: {failed:?}");
    all
}

#[test]
fn the_cpu_agrees_with_itself_to_the_bit_and_with_what_was_recorded() {
    let all = passed(&DeviceChoice::Cpu);
    let of = |wanted: Dtype| all.iter().filter(move |comparison| comparison.dtype == wanted);
    let itself = of(Dtype::Float32).filter(|comparison| comparison.quantity != Quantity::RecordedLosses);
    assert!(itself.clone().all(|comparison| comparison.tolerance.abs() < f64::MIN_POSITIVE));
    assert_eq!((itself.count(), of(Dtype::Float32).count()), (6, 7));
    // A base in 16 bits, within their rounding.
    assert_eq!((of(Dtype::Bfloat16).count(), of(Dtype::Float16).count()), (5, 5));
}

#[test]
fn a_gpu_agrees_with_the_cpu() {
    if !device::compiled().contains(&"wgpu") {
        println!("skipped: built without the wgpu feature");
        return;
    }
    let all = passed(&DeviceChoice::Wgpu(None));
    let types = |wanted: Dtype| all.iter().filter(|comparison| comparison.dtype == wanted).count();
    // Five quantities in every type, and the greedy answers in float32.
    assert_eq!((types(Dtype::Float32), types(Dtype::Float16)), (6, 5));
}
