//! Rotary position embedding (Su et al. 2021) in the layout of Hugging Face's Llama: element `i` of a head is
//! rotated together with element `i + r/2`, where the first `r` of its `d` numbers are rotated.

use burn::tensor::{DType, Device, Tensor};
use emotrain_kernels::{for_rows, rotate_head, rotate_head_back};

use super::host::{read, restore, rows_on, slice, write};
use super::{Form, Rows, fused};
use crate::spec::Rope;

/// The angles of a batch's rows: cosine and sine times the embedding's factor, each `[N, r/2]` in f32.
#[derive(Clone, Debug)]
pub(crate) struct Rotation {
    cos: Tensor<2>,
    sin: Tensor<2>,
    /// Whether the angles are the opposite ones.
    inverse: bool,
}

impl Rotation {
    /// The angles `position · frequency` of rows at `positions`.
    pub(crate) fn new(positions: &[u32], rope: &Rope, device: &Device) -> Self {
        let (cos, sin) = rope.angles(positions.iter().map(|&position| position as f32));
        let shape = [positions.len(), rope.frequencies.len()];
        let load = |values| rows_on(device, values, shape);
        Self { cos: load(cos), sin: load(sin), inverse: false }
    }

    /// The rotation by the opposite angles, with the same factor: the backward of this one.
    pub(crate) fn inverse(&self) -> Self {
        Self { inverse: !self.inverse, ..self.clone() }
    }

    /// Cosines and sines.
    pub(crate) fn angles(&self) -> [Tensor<2>; 2] {
        [self.cos.clone(), self.sin.clone()]
    }

    /// The angles of some of the rows.
    pub(crate) fn select(&self, rows: &Rows) -> Self {
        Self { cos: rows.of(&self.cos), sin: rows.of(&self.sin), inverse: self.inverse }
    }
}

/// Rotates the first `heads` heads, each `dim` wide, of each row and leaves what follows as it is.
///
/// # Shapes
/// `x` `[N, W]` with `heads · d <= W` → `[N, W]`.
pub(crate) fn rotate(x: Tensor<2>, heads: usize, dim: usize, rotation: &Rotation) -> Tensor<2> {
    match Form::of(&x) {
        Form::Host => rotate_in_memory(x, heads, dim, rotation),
        Form::Fused => {
            let (angles, sign) = ([&rotation.cos, &rotation.sin], if rotation.inverse { -1.0 } else { 1.0 });
            fused::rotate(&x, [heads, dim], angles, sign)
                .unwrap_or_else(|| rotate_in_tensors(x, heads, dim, rotation))
        }
        Form::Tensor => rotate_in_tensors(x, heads, dim, rotation),
    }
}

fn rotate_in_memory(x: Tensor<2>, heads: usize, dim: usize, rotation: &Rotation) -> Tensor<2> {
    let ([_, width], [_, half]) = (x.dims(), rotation.cos.dims());
    let mut x = write(x);
    let (cos, sin) = (read(rotation.cos.clone()), read(rotation.sin.clone()));
    let (cos, sin) = (slice(&cos), slice(&sin));
    for_rows(x.storage_mut(), width, |row, x| {
        let (cos, sin) = (&cos[row * half..(row + 1) * half], &sin[row * half..(row + 1) * half]);
        for head in x[..heads * dim].chunks_exact_mut(dim) {
            if rotation.inverse {
                rotate_head_back(&mut head[..2 * half], cos, sin);
            } else {
                rotate_head(&mut head[..2 * half], cos, sin);
            }
        }
    });
    restore(x)
}

/// The form of [`rotate`] in tensor operations.
pub(super) fn rotate_in_tensors(x: Tensor<2>, heads: usize, dim: usize, rotation: &Rotation) -> Tensor<2> {
    let ([rows, width], [_, half]) = (x.dims(), rotation.cos.dims());
    let (dtype, turned) = (x.dtype(), heads * dim);
    let kept = (turned < width).then(|| x.clone().narrow(1, turned, width - turned));
    let all = x.narrow(1, 0, turned).cast(DType::F32).reshape([rows, heads, dim]);
    let pairs = all.clone().narrow(2, 0, 2 * half).reshape([rows, heads, 2, half]);
    let (first, second) = (pairs.clone().narrow(2, 0, 1), pairs.narrow(2, 1, 1));
    let cos = rotation.cos.clone().reshape([rows, 1, 1, half]);
    let sin = rotation.sin.clone().reshape([rows, 1, 1, half]);
    let sin = if rotation.inverse { sin.neg() } else { sin };
    let a = first.clone() * cos.clone() - second.clone() * sin.clone();
    let b = second * cos + first * sin;
    let mut rotated = Tensor::cat(vec![a, b], 2).reshape([rows, heads, 2 * half]);
    if 2 * half < dim {
        rotated = Tensor::cat(vec![rotated, all.narrow(2, 2 * half, dim - 2 * half)], 2);
    }
    let rotated = rotated.reshape([rows, turned]).cast(dtype);
    match kept {
        Some(kept) => Tensor::cat(vec![rotated, kept], 1),
        None => rotated,
    }
}
