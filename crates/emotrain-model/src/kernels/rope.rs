//! Rotary position embedding (Su et al. 2021) in the layout of Hugging Face's Llama: element `i` of a head is
//! rotated together with element `i + d/2`.

use burn::tensor::{DType, Device, Tensor, TensorData};
use emotrain_kernels::{for_rows, rotate_head, rotate_head_back};

use super::host::{read, restore, slice, write};
use super::{Form, Rows};

/// The angles of a batch's rows: cosine and sine, each `[N, d/2]` in f32.
#[derive(Clone, Debug)]
pub(crate) struct Rotation {
    cos: Tensor<2>,
    sin: Tensor<2>,
    /// Whether the angles are the opposite ones.
    inverse: bool,
}

impl Rotation {
    /// The angles `position · frequency` of rows at `positions`, for the `d/2` frequencies of a head.
    pub(crate) fn new(positions: &[u32], frequencies: &[f32], device: &Device) -> Self {
        let angles = positions.iter().flat_map(|&p| frequencies.iter().map(move |f| p as f32 * f));
        let (sin, cos): (Vec<f32>, Vec<f32>) = angles.map(f32::sin_cos).unzip();
        let shape = [positions.len(), frequencies.len()];
        let load = |values| Tensor::from_data(TensorData::new(values, shape), (device, DType::F32));
        Self { cos: load(cos), sin: load(sin), inverse: false }
    }

    /// The rotation by the opposite angles: the backward of this one.
    pub(crate) fn inverse(&self) -> Self {
        Self { inverse: !self.inverse, ..self.clone() }
    }

    /// The angles of some of the rows.
    pub(crate) fn select(&self, rows: &Rows) -> Self {
        Self { cos: rows.of(&self.cos), sin: rows.of(&self.sin), inverse: self.inverse }
    }
}

/// Rotates the first `heads` heads of each row and leaves what follows as it is.
///
/// # Shapes
/// `x` `[N, W]` with `heads · d <= W` → `[N, W]`.
pub(crate) fn rotate(x: Tensor<2>, heads: usize, rotation: &Rotation) -> Tensor<2> {
    match Form::of(&x) {
        Form::Host => rotate_in_memory(x, heads, rotation),
        Form::Fused | Form::Tensor => rotate_in_tensors(x, heads, rotation),
    }
}

fn rotate_in_memory(x: Tensor<2>, heads: usize, rotation: &Rotation) -> Tensor<2> {
    let ([_, width], [_, half]) = (x.dims(), rotation.cos.dims());
    let mut x = write(x);
    let (cos, sin) = (read(rotation.cos.clone()), read(rotation.sin.clone()));
    let (cos, sin) = (slice(&cos), slice(&sin));
    for_rows(x.storage_mut(), width, |row, x| {
        let (cos, sin) = (&cos[row * half..(row + 1) * half], &sin[row * half..(row + 1) * half]);
        for head in x[..heads * 2 * half].chunks_exact_mut(2 * half) {
            if rotation.inverse {
                rotate_head_back(head, cos, sin);
            } else {
                rotate_head(head, cos, sin);
            }
        }
    });
    restore(x)
}

fn rotate_in_tensors(x: Tensor<2>, heads: usize, rotation: &Rotation) -> Tensor<2> {
    let ([rows, width], [_, half]) = (x.dims(), rotation.cos.dims());
    let (dtype, turned) = (x.dtype(), heads * 2 * half);
    let kept = (turned < width).then(|| x.clone().narrow(1, turned, width - turned));
    let pairs = x.narrow(1, 0, turned).cast(DType::F32).reshape([rows, heads, 2, half]);
    let (first, second) = (pairs.clone().narrow(2, 0, 1), pairs.narrow(2, 1, 1));
    let cos = rotation.cos.clone().reshape([rows, 1, 1, half]);
    let sin = rotation.sin.clone().reshape([rows, 1, 1, half]);
    let sin = if rotation.inverse { sin.neg() } else { sin };
    let a = first.clone() * cos.clone() - second.clone() * sin.clone();
    let b = second * cos + first * sin;
    let rotated = Tensor::cat(vec![a, b], 2).reshape([rows, turned]).cast(dtype);
    match kept {
        Some(kept) => Tensor::cat(vec![rotated, kept], 1),
        None => rotated,
    }
}
