//! A linear layer of the base in a pass: one product for all rows, and for the rows of each share its own adapter.
//!
//! What a share's rows become does not depend on the others: on the CPU it is what they become alone, to the bit.

use std::ops::Range;

use burn::tensor::Tensor;

use crate::gradients::Gradients;
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

    /// Adds each part's gradients to its own, those of the base to the first, and returns that of the input unless
    /// it is not `wanted`.
    ///
    /// # Shapes
    /// `grad` `[N, out]` → `[N, in]`.
    pub(crate) fn backward(
        &self,
        grad: &Tensor<2>,
        tape: LinearTape,
        wanted: bool,
        gradients: &mut [&mut Gradients],
    ) -> Option<Tensor<2>> {
        let LinearTape { input: Input { x, dropped }, low } = tape;
        self.linear.add_gradients(grad, &x, gradients[0]);
        let mut dx = wanted.then(|| {
            let parts: Vec<Range<usize>> = self.parts.iter().map(|part| part.rows.clone()).collect();
            let scaled =
                |grad, part: &AdaptedRows| part.adapter.base_gradient(grad, &part.rows, self.at(part));
            self.linear.weight.times_transposed(self.parts.iter().fold(grad.clone(), scaled), &parts)
        });
        for ((part, low), gradients) in self.parts.iter().zip(low).zip(gradients) {
            let Some(low) = low else { continue };
            let input = Input { x: rows_of(&x, &part.rows), dropped: dropped.clone() };
            let saved = Saved { input, low, at: self.at(part) };
            dx = part.adapter.backward(&rows_of(grad, &part.rows), saved, dx, gradients);
        }
        dx
    }

    fn at(&self, part: &AdaptedRows) -> PartAt<'_> {
        PartAt { linear: self.linear, first: part.rows.start, dropout: part.dropout }
    }
}

/// Some rows; all of them are the tensor itself.
fn rows_of(x: &Tensor<2>, rows: &Range<usize>) -> Tensor<2> {
    if rows.len() == x.dims()[0] { x.clone() } else { x.clone().narrow(0, rows.start, rows.len()) }
}
