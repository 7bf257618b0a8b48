//! A linear layer of the base in a pass: one product for all rows, and for the rows of each share its own adapter.
//!
//! What a share's rows become does not depend on the others: on the CPU it is what they become alone, to the bit.

use std::ops::Range;

use burn::tensor::Tensor;

use crate::device::{Side, multiplies, part};
use crate::gradients::Gradients;
use crate::kernels::{add, add_product};
use crate::linear::Linear;
use crate::lora::{Dropout, Input, LinearAdapter, Low, PartAt, Saved};

/// A linear layer, and who adapts it.
pub(crate) struct Adapted<'a> {
    pub(crate) linear: &'a Linear,
    /// In the order of their rows, which are all there are.
    pub(crate) parts: Vec<AdaptedRows<'a>>,
}

/// The rows of one adapter.
pub(crate) struct AdaptedRows<'a> {
    pub(crate) rows: Range<usize>,
    pub(crate) adapter: &'a LinearAdapter,
    pub(crate) dropout: Option<Dropout>,
}

/// What the backward of a layer needs of its forward: the input, and each part's by-product.
pub(crate) struct LinearTape {
    pub(crate) input: Input,
    pub(crate) low: Vec<Low>,
}

/// What is asked of a backward about its input.
#[expect(clippy::large_enum_variant, reason = "one exists at a time")]
pub(crate) enum InputGradient {
    Unwanted,
    /// The gradient.
    Wanted,
    /// The gradient, and beside it that of another layer with this input.
    Beside(Tensor<2>),
}

impl InputGradient {
    pub(crate) fn wanted(wanted: bool) -> Self {
        if wanted { Self::Wanted } else { Self::Unwanted }
    }
}

impl Adapted<'_> {
    /// # Shapes
    /// `[N, in]` → `[N, out]`.
    pub(crate) fn forward(&self, input: &Input) -> (Tensor<2>, Vec<Low>) {
        let Input { x, dropped } = input;
        let mut y = self.linear.forward(x.clone());
        let mut lows = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let own = Input { x: rows_of(x, &part.rows), dropped: dropped.clone() };
            let (sum, low) = part.adapter.forward(&own, y, self.at(part));
            y = sum;
            lows.push(low);
        }
        (y, lows)
    }

    /// Adds each part's gradients to its own, those of the base to the first, and returns what is asked of that of the
    /// input.
    ///
    /// # Shapes
    /// `grad` `[N, out]` → `[N, in]`.
    pub(crate) fn backward(
        &self,
        grad: &Tensor<2>,
        tape: LinearTape,
        of_input: InputGradient,
        gradients: &mut [&mut Gradients],
    ) -> Option<Tensor<2>> {
        let LinearTape { input: Input { x, dropped }, low } = tape;
        self.linear.add_gradients(grad, &x, gradients[0]);
        let mut other = None;
        let mut dx = match of_input {
            InputGradient::Unwanted => None,
            InputGradient::Wanted => Some(self.base_gradient(grad)),
            InputGradient::Beside(sum) if multiplies(grad) => {
                let weight = Side::of(&self.linear.weight.dense());
                Some(add_product(sum, [0, 0], &Side::of(&self.scaled(grad)), &weight))
            }
            InputGradient::Beside(sum) => {
                other = Some(sum);
                Some(self.base_gradient(grad))
            }
        };
        for ((part, low), gradients) in self.parts.iter().zip(low).zip(gradients) {
            let Some(low) = low else { continue };
            let input = Input { x: rows_of(&x, &part.rows), dropped: dropped.clone() };
            let saved = Saved { input, low, at: self.at(part) };
            dx = part.adapter.backward(&rows_of(grad, &part.rows), saved, dx, gradients);
        }
        match other {
            Some(other) => dx.map(|dx| add(dx, &other)),
            None => dx,
        }
    }

    /// The gradient of the base's output, given that of the sum.
    fn scaled(&self, grad: &Tensor<2>) -> Tensor<2> {
        let scaled = |grad, part: &AdaptedRows| part.adapter.base_gradient(grad, &part.rows, self.at(part));
        self.parts.iter().fold(grad.clone(), scaled)
    }

    /// The gradient for the input of the base.
    fn base_gradient(&self, grad: &Tensor<2>) -> Tensor<2> {
        let parts: Vec<Range<usize>> = self.parts.iter().map(|part| part.rows.clone()).collect();
        self.linear.weight.times_transposed(self.scaled(grad), &parts)
    }

    fn at(&self, part: &AdaptedRows) -> PartAt<'_> {
        PartAt { linear: self.linear, first: part.rows.start, dropout: part.dropout }
    }
}

/// Some rows; all of them are the tensor itself.
fn rows_of(x: &Tensor<2>, rows: &Range<usize>) -> Tensor<2> {
    if rows.len() == x.dims()[0] { x.clone() } else { part(x, 0, rows) }
}
