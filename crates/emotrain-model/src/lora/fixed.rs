//! Adapters that begin with a part of the weight (`PiSSA`, Meng et al. 2024; `OLoRA`, Büyükakyüz 2024).
//!
//! PEFT takes the part out of the base, `W - s·B₀A₀`. Here the base stays as it is, for other adapters and for servers:
//! the initial pair is kept and subtracted, `y = W·x + s·(BA - B₀A₀)·x`, which is the same. Saved, it is an adapter of
//! twice the rank, `A' = [A; A₀]`, `B' = [B, -B₀]`, as PEFT's `subtract_mutated_init` makes of it.

use burn::tensor::{DType, Tensor};

use super::factors::Factors;
use super::{AdaptedModule, LinearAdapter, Lora, PartAt};
use crate::device::Side;
use crate::kernels::{add_product, product, scale};

/// The factors that an adapter began with, in f32; they are not trained.
///
/// # Shapes
/// `a` `[R, in]`, `b` `[out, R]`.
#[derive(Clone, Debug)]
pub(crate) struct Fixed {
    pub(super) a: Tensor<2>,
    pub(super) b: Tensor<2>,
}

impl Fixed {
    /// All tensors, to be replaced by the same numbers.
    pub(super) fn tensors(&mut self) -> [&mut Tensor<2>; 2] {
        [&mut self.a, &mut self.b]
    }
}

impl Lora {
    /// The same without a fixed part: of twice the rank where it has one.
    pub(crate) fn whole(&self, use_rslora: bool) -> Self {
        let mut whole = self.clone();
        if let Some(Fixed { a, b }) = whole.fixed.take() {
            whole.a = Tensor::cat(vec![whole.a, a], 0);
            whole.b = Tensor::cat(vec![whole.b, -b], 1);
            // The scale stays.
            whole.alpha *= if use_rslora { 2.0f64.sqrt() } else { 2.0 };
        }
        whole
    }

    /// `-s·B₀`, `[out, R]`, with `A₀`.
    fn taken(&self, dtype: DType) -> Option<[Tensor<2>; 2]> {
        let Fixed { a, b } = self.fixed.as_ref()?;
        Some([a.clone().cast(dtype), scale(b.clone(), -self.scale).cast(dtype)])
    }
}

impl LinearAdapter {
    /// The same without fixed parts, for what does not train it.
    pub(crate) fn whole(&self) -> Self {
        let mut whole = Self { factors: Factors::unknown(), ..self.clone() };
        let mut start = 0;
        for AdaptedModule { ranks, lora, .. } in &mut whole.modules {
            // The numerator of the scale is not asked for.
            *lora = lora.whole(false);
            *ranks = start..start + lora.a.dims()[0];
            start = ranks.end;
        }
        whole
    }

    /// Takes `s·B₀A₀·x` from the rows of `y` that are this adapter's. Nothing of it is dropped: PEFT has it in the base.
    ///
    /// # Shapes
    /// `x` `[N, in]`, `y` `[M, out]` → `[M, out]`.
    pub(super) fn take_fixed(&self, x: &Tensor<2>, mut y: Tensor<2>, at: PartAt) -> Tensor<2> {
        for AdaptedModule { columns, lora, .. } in &self.modules {
            if let Some([a, b]) = lora.taken(x.dtype()) {
                let low = product(&Side::of(x), &Side::of(&a).transposed());
                let place = [at.first, columns.start];
                y = add_product(y, place, &Side::of(&low), &Side::of(&b).transposed());
            }
        }
        y
    }

    /// The gradient that [`LinearAdapter::take_fixed`] gives `x`, added to its rows of `dx`.
    ///
    /// # Shapes
    /// `grad` `[N, out]`, `dx` `[M, in]` → `[M, in]`.
    pub(super) fn take_fixed_backward(&self, grad: &Tensor<2>, mut dx: Tensor<2>, first: usize) -> Tensor<2> {
        for AdaptedModule { columns, lora, .. } in &self.modules {
            if let Some([a, b]) = lora.taken(grad.dtype()) {
                let low = product(&Side::columns(grad, columns), &Side::of(&b));
                dx = add_product(dx, [first, 0], &Side::of(&low), &Side::of(&a));
            }
        }
        dx
    }
}
