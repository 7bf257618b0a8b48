//! `emotrain selftest`: whether a device computes what the CPU does.

use emotrain_model::selftest::{Comparison, compare};
use serde_json::{Value, json};

use crate::cli::SelftestArgs;
use crate::exit::Exit;
use crate::shell::Shell;

/// Runs the command: the comparisons as they are made, or all of them as JSON.
///
/// # Errors
/// A device that cannot be opened.
pub(crate) fn run(args: &SelftestArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let mut all = Vec::new();
    let counter = shell.printer.counter("comparing", 0);
    let device = compare(&args.device, &mut |comparison| {
        all.push(comparison);
        counter.add(1);
    })?;
    drop(counter);
    let passed = all.iter().all(Comparison::passed);
    if args.json {
        let comparisons: Vec<Value> = all.iter().map(as_json).collect();
        let result = json!({"device": device, "passed": passed, "comparisons": comparisons});
        shell.printer.result(format!("{result:#}"))?;
    } else {
        shell.printer.result(table(&device, &all))?;
    }
    if !passed {
        shell.printer.warn(format!("{device} deviates from the CPU beyond the tolerance: do not rely on it"));
    }
    Ok(if passed { Exit::Done } else { Exit::Input })
}

fn as_json(comparison: &Comparison) -> Value {
    json!({
        "quantity": comparison.quantity.as_str(),
        "dtype": comparison.dtype.as_str(),
        // JSON has no NaN.
        "deviation": comparison.deviation.is_finite().then_some(comparison.deviation),
        "tolerance": comparison.tolerance,
        "passed": comparison.passed(),
    })
}

fn table(device: &str, all: &[Comparison]) -> String {
    let mut lines = vec![device.to_owned(), "dtype     quantity          deviation  tolerance".to_owned()];
    lines.extend(all.iter().map(|comparison| {
        let Comparison { quantity, dtype, deviation, tolerance } = comparison;
        let verdict = if comparison.passed() { "ok" } else { "FAILED" };
        let (dtype, quantity) = (dtype.as_str(), quantity.as_str());
        format!("{dtype:<10}{quantity:<17}{deviation:>10.1e}{tolerance:>11.1e}  {verdict}")
    }));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use emotrain_model::selftest::Quantity;
    use emotrain_recipe::Dtype;

    use super::*;

    #[test]
    fn a_deviation_stands_beside_its_tolerance() {
        let (quantity, dtype) = (Quantity::Losses, Dtype::Float16);
        let good = Comparison { quantity, dtype, deviation: 1.2e-3, tolerance: 2e-2 };
        let bad = Comparison { deviation: f64::NAN, ..good };
        assert_eq!(
            table("gpu", &[good, bad]),
            "gpu\n\
             dtype     quantity          deviation  tolerance\n\
             float16   losses               1.2e-3     2.0e-2  ok\n\
             float16   losses                  NaN     2.0e-2  FAILED"
        );
        assert_eq!(as_json(&bad)["deviation"], Value::Null);
        assert_eq!(as_json(&bad)["passed"], false);
    }
}
