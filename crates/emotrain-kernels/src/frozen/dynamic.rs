//! The 8-bit data type of block scales: a dynamic exponent and a linear fraction (Dettmers et al. 2022, "8-bit Optimizers
//! via Block-wise Quantization", section 2.2; bitsandbytes' `create_dynamic_map`).

use std::sync::LazyLock;

/// Its 256 numbers in ascending order.
pub static DYNAMIC_MAP: LazyLock<[f32; 256]> = LazyLock::new(|| {
    let mut numbers = vec![0.0, 1.0];
    for exponent in 0..7 {
        let intervals = 1 << exponent;
        let factor = 10.0_f64.powi(exponent - 6);
        let bound = |at: i32| linspace(at, intervals);
        for at in 0..intervals {
            let mean = f32::midpoint(bound(at), bound(at + 1));
            #[expect(clippy::cast_possible_truncation, reason = "as torch multiplies a tensor of f32")]
            let number = factor as f32 * mean;
            numbers.extend([number, -number]);
        }
    }
    numbers.sort_by(f32::total_cmp);
    numbers.try_into().expect("2 + 2 · (1 + 2 + … + 64) numbers")
});

/// The numbers of torch's `linspace(0.1, 1, intervals + 1)`: from the nearer end.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn linspace(at: i32, intervals: i32) -> f32 {
    let step = (1.0_f32 - 0.1) / intervals as f32;
    if 2 * at < intervals + 1 { 0.1 + step * at as f32 } else { 1.0 - step * (intervals - at) as f32 }
}

/// The code whose number is nearest to `number`, which lies between -1 and 1.
pub(super) fn nearest(number: f32) -> u8 {
    let map = &*DYNAMIC_MAP;
    let after = map.partition_point(|known| *known < number).min(255);
    let before = after.saturating_sub(1);
    let code = if number - map[before] < map[after] - number { before } else { after };
    u8::try_from(code).expect("256 numbers")
}
