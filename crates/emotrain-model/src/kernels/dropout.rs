//! Inverted dropout whose mask is a function of a key, so that the backward pass needs no stored mask.

use burn::tensor::{Distribution, Tensor};
use emotrain_base::random::Key;

use super::Form;
use super::host::{restore, write};

/// Zeroes each element with probability `p` and scales the rest by `1 / (1 - p)`.
///
/// The same key and shape give the same mask: applied to a gradient this is its own backward. The mask
/// differs between kinds of device.
///
/// # Shapes
/// `[N, D]` → `[N, D]`.
pub(crate) fn dropout(x: Tensor<2>, p: f32, key: Key) -> Tensor<2> {
    let [rows, width] = x.dims();
    match Form::of(&x) {
        Form::Host => {
            let mut x = write(x);
            emotrain_kernels::dropout(x.storage_mut(), width, p, key.bits());
            restore(x)
        }
        Form::Fused | Form::Tensor => {
            let (device, scale) = (x.device(), 1.0 / (1.0 - p));
            device.seed(key.bits());
            let uniform = Distribution::Uniform(0.0, 1.0);
            let draw = Tensor::<2>::random([rows, width], uniform, (&device, x.dtype()));
            let keep = draw.greater_equal_scalar(p);
            (x * scale).mask_fill(keep.bool_not(), 0.0)
        }
    }
}
