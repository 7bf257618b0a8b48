//! The adapter of a linear layer forward and backward.

use std::ops::Range;

use burn::tensor::{DType, Tensor};
use emotrain_kernels::DropoutMask;

use super::{AdaptedModule, Dropout, LinearAdapter, MAGNITUDE};
use crate::device::{Side, multiplies};
use crate::gradients::Gradients;
use crate::kernels::{
    Beside, Inputs, add_block, add_dropped, add_dropped_product, add_product, dropout, product, sum_rows,
    wide_product,
};
use crate::linear::Linear;

/// What a linear layer takes.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// `[N, in]`.
    pub(crate) x: Tensor<2>,
    /// What dropout leaves of it for the only adapter, if that is known, `[N, in]`.
    pub(crate) dropped: Option<Tensor<2>>,
}

impl Input {
    /// Of which nothing is dropped yet.
    pub(crate) fn plain(x: Tensor<2>) -> Self {
        Self { x, dropped: None }
    }

    /// The rows that one of several linear layers takes, by its number among their masks.
    pub(crate) fn of(inputs: &Inputs, number: usize) -> Self {
        Self { x: inputs.rows.clone(), dropped: inputs.dropped[number].clone() }
    }
}

/// What [`LinearAdapter::backward`] needs in addition to the input; none where nothing is adapted.
pub(crate) type Low = Option<ByProduct>;

/// What [`LinearAdapter::forward`] computes on its way.
pub(crate) struct ByProduct {
    /// `drop(x)·Aᵀ` of the adapted modules, `[N, Σ R]`.
    low: Tensor<2>,
    /// `(W + s·BA)·drop(x)` of each adapted module that has magnitudes, `[N, out]`.
    directions: Vec<Option<Tensor<2>>>,
}

impl ByProduct {
    /// Whether a row of it has the width of the rank alone.
    pub(crate) fn is_narrow(&self) -> bool {
        self.directions.iter().all(Option::is_none)
    }
}

/// What an adapter adapts in a pass.
#[derive(Clone, Copy)]
pub(crate) struct PartAt<'a> {
    pub(crate) linear: &'a Linear,
    /// The first of its rows among those of the pass.
    pub(crate) first: usize,
    pub(crate) dropout: Option<Dropout>,
}

impl PartAt<'_> {
    fn drops(self) -> bool {
        self.dropout.is_some_and(|dropout| dropout.p > 0.0)
    }
}

impl LinearAdapter {
    /// Adds the adapters' output for an input to the rows of `y` that are theirs.
    ///
    /// # Shapes
    /// The input `[N, in]`, `y` `[M, out]` → `[M, out]`.
    pub(crate) fn forward(&self, input: &Input, y: Tensor<2>, at: PartAt) -> (Tensor<2>, Low) {
        let x = &input.x;
        let Some(a) = self.factor_a(x.dtype()) else { return (y, None) };
        let mut y = self.take_fixed(x, y, at);
        let dropped = self.dropped(input.clone(), at.dropout);
        let again = (at.drops() && self.has_magnitudes()).then(|| at.linear.weight.times(dropped.clone()));
        let low = product(&Side::of(&dropped), &Side::of(&a).transposed());
        if let Some(b) = self.factor_b(x.dtype()) {
            let place = [at.first, self.columns().start];
            y = add_product(y, place, &Side::of(&low), &Side::of(&b).transposed());
            return (y, Some(ByProduct { low, directions: Vec::new() }));
        }
        let mut directions = Vec::with_capacity(self.modules.len());
        for AdaptedModule { columns, ranks, lora, .. } in &self.modules {
            let (place, low) = ([at.first, columns.start], Side::columns(&low, ranks));
            let b = Side::of(&lora.scaled_b(x.dtype())).transposed();
            let Some(gain) = lora.gain(at.linear, columns) else {
                y = add_product(y, place, &low, &b);
                directions.push(None);
                continue;
            };
            let delta = product(&low, &b);
            let base = match &again {
                Some(again) => again.clone().narrow(1, columns.start, columns.len()),
                None => unbiased(&y, columns, x.dims()[0], at),
            };
            let direction = base.clone() + delta;
            let change = direction.clone() * gain.factor.cast(x.dtype()) - base;
            y = add_block(y, change, place);
            directions.push(Some(direction));
        }
        (y, Some(ByProduct { low, directions }))
    }

    /// Adds the gradients of the adapters, and their part of that of `x` to its rows of `dx` if it is wanted.
    ///
    /// # Shapes
    /// `grad` `[N, out]`, `x` `[N, in]`, `dx` `[M, in]`.
    pub(crate) fn backward(
        &self,
        grad: &Tensor<2>,
        saved: Saved,
        dx: Option<Tensor<2>>,
        gradients: &mut Gradients,
    ) -> Option<Tensor<2>> {
        let Some(a) = self.factor_a(saved.input.x.dtype()) else { return dx };
        let (low_grad, again) = match self.factor_b(saved.input.x.dtype()) {
            Some(b) => (self.joined_backward(grad, &saved.low.low, &b, gradients), None),
            None => self.modules_backward(grad, &saved, dx.is_some(), gradients),
        };
        let Saved { input, at, .. } = saved;
        self.add_gradients_of_a(&low_grad, &self.dropped(input, at.dropout), gradients);
        let dx = self.take_fixed_backward(grad, dx?, at.first);
        let (low_grad, a) = (Side::of(&low_grad), Side::of(&a));
        let Some(Dropout { p, key }) = at.dropout.filter(|_| at.drops()) else {
            return Some(add_product(dx, [at.first, 0], &low_grad, &a));
        };
        let key = key.named(&self.mask);
        let Some(again) = again else {
            return Some(add_dropped_product(dx, at.first, [&low_grad, &a], p, key));
        };
        let rows = 0..again.dims()[0];
        let through = product(&low_grad, &a) + at.linear.weight.times_transposed(again, &[rows]);
        Some(add_dropped(dx, through, at.first, p, key))
    }

    /// Adds the gradient of each `B` and returns that of the low-rank product, `[N, Σ R]`, where `b` is all of them.
    fn joined_backward(
        &self,
        grad: &Tensor<2>,
        low: &Tensor<2>,
        b: &Tensor<2>,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let all = self.columns();
        if multiplies(grad) {
            for AdaptedModule { path, columns, ranks, lora } in &self.modules {
                let sides = [&Side::columns(grad, columns).transposed(), &Side::columns(low, ranks)];
                gradients.add_product(&format!("{path}.lora_B.weight"), sides, lora.scale);
            }
        } else {
            let products = wide_product(&Side::columns(grad, &all).transposed(), &Side::of(low));
            for AdaptedModule { path, columns, ranks, lora } in &self.modules {
                let rows = columns.start - all.start..columns.end - all.start;
                let name = format!("{path}.lora_B.weight");
                gradients.add_block(&name, &products, [rows, ranks.clone()], lora.scale);
            }
        }
        product(&Side::columns(grad, &all), &Side::of(b))
    }

    /// The same, module by module; and what magnitudes change of the gradient of the base's output, if there are any, the
    /// inputs were dropped and the gradient of the `input` is wanted.
    fn modules_backward(
        &self,
        grad: &Tensor<2>,
        saved: &Saved,
        input: bool,
        gradients: &mut Gradients,
    ) -> (Tensor<2>, Option<Tensor<2>>) {
        let Saved { input: Input { x, .. }, low: ByProduct { low, directions }, at } = saved;
        let mut low_grads = Beside::new(low.dims(), low);
        // Of the second product of the base, with what was dropped.
        let mut again = None;
        for (module, direction) in self.modules.iter().zip(directions) {
            let AdaptedModule { path, columns, ranks, lora } = module;
            let mut side = Side::columns(grad, columns);
            if let (Some(gain), Some(direction)) = (lora.gain(at.linear, columns), direction) {
                let dy = side.tensor();
                let sums = sum_rows(dy.clone() * direction.clone()).cast(DType::F32);
                gradients.add(&format!("{path}.{MAGNITUDE}"), sums / gain.norm);
                let scaled = dy.clone() * gain.factor.cast(dy.dtype());
                if at.drops() && input {
                    let all = again.unwrap_or_else(|| grad.zeros_like());
                    let place = [0..dy.dims()[0], columns.clone()];
                    again = Some(all.slice_assign(place, scaled.clone() - dy));
                }
                side = Side::of(&scaled);
            }
            let sides = [&side.transposed(), &Side::columns(low, ranks)];
            gradients.add_product(&format!("{path}.lora_B.weight"), sides, lora.scale);
            low_grads.push(&side, &Side::of(&lora.scaled_b(x.dtype())));
        }
        (low_grads.whole(), again)
    }

    /// Adds the gradient of each `A`, given that of the low-rank product, and what was multiplied by `A`.
    ///
    /// # Shapes
    /// `low_grad` `[N, Σ R]`, `dropped` `[N, in]`.
    fn add_gradients_of_a(&self, low_grad: &Tensor<2>, dropped: &Tensor<2>, gradients: &mut Gradients) {
        let name = |module: &AdaptedModule| format!("{}.lora_A.weight", module.path);
        let names: Vec<String> = self.modules.iter().map(name).collect();
        let (left, right) = (Side::of(low_grad).transposed(), Side::of(dropped));
        if gradients.add_stacked_product(&names, [&left, &right]).is_some() {
            return;
        }
        if multiplies(low_grad) {
            for (AdaptedModule { ranks, .. }, name) in self.modules.iter().zip(&names) {
                let part = Side::columns(low_grad, ranks).transposed();
                gradients.add_product(name, [&part, &right], 1.0);
            }
            return;
        }
        let all = wide_product(&left, &right);
        if gradients.add_stacked(&names, &all).is_none() {
            for (AdaptedModule { ranks, .. }, name) in self.modules.iter().zip(names) {
                gradients.add_block(&name, &all, [ranks.clone(), 0..all.dims()[1]], 1.0);
            }
        }
    }

    /// The gradient of the base's output, given that of the sum: magnitudes multiply it where the adapter's input is the
    /// base's.
    ///
    /// # Shapes
    /// `grad` `[M, out]` → `[M, out]`; `rows` are this adapter's.
    pub(crate) fn base_gradient(&self, mut grad: Tensor<2>, rows: &Range<usize>, at: PartAt) -> Tensor<2> {
        if at.drops() {
            return grad;
        }
        for AdaptedModule { columns, lora, .. } in &self.modules {
            if let Some(gain) = lora.gain(at.linear, columns) {
                let place = [rows.clone(), columns.clone()];
                let scaled = grad.clone().slice(place.clone()) * gain.factor.cast(grad.dtype());
                grad = grad.slice_assign(place, scaled);
            }
        }
        grad
    }

    /// The mask of its dropout in a pass, if it drops anything.
    pub(crate) fn mask(&self, dropout: Option<Dropout>) -> Option<DropoutMask> {
        let Dropout { p, key } = dropout.filter(|dropout| dropout.p > 0.0 && self.is_adapted())?;
        Some(DropoutMask::new(p, key.named(&self.mask).bits()))
    }

    pub(super) fn dropped(&self, input: Input, drop: Option<Dropout>) -> Tensor<2> {
        match (drop, input.dropped) {
            (Some(drop), None) if drop.p > 0.0 => dropout(input.x, drop.p, drop.key.named(&self.mask)),
            (Some(drop), Some(dropped)) if drop.p > 0.0 => dropped,
            _ => input.x,
        }
    }
}

/// Some columns of an adapter's rows of `y` without the base's bias, as PEFT takes it off again.
fn unbiased(y: &Tensor<2>, columns: &Range<usize>, rows: usize, at: PartAt) -> Tensor<2> {
    let block = y.clone().narrow(0, at.first, rows).narrow(1, columns.start, columns.len());
    match &at.linear.bias {
        Some(bias) => block - bias.clone().narrow(1, columns.start, columns.len()),
        None => block,
    }
}

/// The forward's input and by-product that [`LinearAdapter::backward`] takes.
pub(crate) struct Saved<'a> {
    pub(crate) input: Input,
    pub(crate) low: ByProduct,
    pub(crate) at: PartAt<'a>,
}
